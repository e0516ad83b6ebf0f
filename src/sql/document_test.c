/* docs/sql.md's tables are what the translator works by. Usage: document_test ROOT [--write] */
#include "sql/sql.h"
#include <stdio.h>
#include <stdlib.h>

static const char begin[] = "<!-- tables -->\n", end[] = "<!-- end -->";

static str read_file(arena *mem, const char *path) {
    static uint8_t bytes[4 << 20];
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    if (f) fclose(f);
    return arena_str(mem, (str){bytes, n});
}

int main(int argc, char **argv) {
    arena *mem = arena_new(0);
    char path[1024];
    struct buf b = {0};
    snprintf(path, sizeof path, "%s/docs/sql.md", argc > 1 ? argv[1] : ".");
    str is = read_file(mem, path);
    const uint8_t *from = memmem(is.p, is.n, begin, sizeof begin - 1),
                  *to = from ? memmem(from, is.n - (size_t)(from - is.p), end, sizeof end - 1) : NULL;
    if (!to) return fprintf(stderr, "%s has no place for its tables\n", path), 1;
    buf_puts(&b, str_sub(is, 0, (size_t)(from - is.p) + sizeof begin - 1));
    sql_document(&b);
    buf_puts(&b, str_sub(is, (size_t)(to - is.p), is.n));
    bool same = str_eq(buf_str(&b), is);
    if (argc > 2 && !strcmp(argv[2], "--write")) {
        FILE *f = fopen(path, "wb");
        if (f) fwrite(b.p, 1, b.n, f), fclose(f);
        same = f != NULL;
    } else if (!same) fprintf(stderr, "%s is not what the tables say: build/tests/sql_document_test . --write\n", path);
    buf_free(&b), arena_free(mem);
    return !same;
}
