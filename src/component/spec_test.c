/* The component model's suite, validation only: `module` and `module_definition` must be valid, function
 * bodies included, and `assert_invalid`, `assert_malformed` must fail. Argument: the suite's folder. Exit
 * code 77 where it is not there. A second argument, -v, prints what is said about each bad one whose text
 * differs from the suite's. */
#include "base/json.h"
#include "component/component.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static struct {
    uint32_t passed, failed, skipped, worded, classed;
    bool verbose;
    arena *paths;
} run;

static bool read_file(const char *path, struct buf *b) {
    FILE *in = fopen(path, "rb");
    if (!in) return false;
    uint8_t chunk[65536];
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, in)) > 0;) buf_put(b, chunk, n);
    fclose(in);
    return true;
}

static err validate(str bytes, struct diag *d) {
    arena *a = arena_new(0);
    struct component *c;
    err e = component_decode(a, bytes, &c, d);
    if (e == ERR_OK) e = component_validate_code(c, d);
    arena_free(a);
    return e;
}

/* A path of two parts, until the process ends. */
static const char *join(const char *folder, const char *name, const char *suffix) {
    if (!run.paths) run.paths = arena_new(0);
    return arena_cstr(run.paths, arena_fmt(run.paths, "%s/%s%s", folder, name, suffix));
}

static const char *member(const struct json *o, const char *key) { return json_cstr(json_get(o, key)); }

static void command(const char *folder, const char *file, const struct json *c) {
    const char *type = member(c, "type"), *name = member(c, "filename"), *kind = member(c, "module_type");
    bool good = !strcmp(type, "module") || !strcmp(type, "module_definition") || !strcmp(type, "assert_uninstantiable") ||
                !strcmp(type, "assert_unlinkable");
    bool bad = !strcmp(type, "assert_invalid") || !strcmp(type, "assert_malformed");
    if (!good && !bad) return;
    if (!name || (kind && !strcmp(kind, "text"))) {
        run.skipped++;
        return;
    }
    const char *path = join(folder, name, "");
    struct buf b = {0};
    struct diag d = DIAG_INIT;
    if (!read_file(path, &b)) {
        run.failed++;
        printf("%s: cannot be read\n", path);
        return;
    }
    err e = validate(buf_str(&b), &d);
    buf_free(&b);
    const char *text = member(c, "text");
    if (good == (e == ERR_OK)) run.passed++;
    else {
        run.failed++;
        printf("%s:%lld %s: %s: %s (%s at 0x%llx)\n", file, (long long)json_i64(json_get(c, "line")), name, type,
               good ? d.text : text, good ? err_name(e) : "accepted", (unsigned long long)d.offset);
    }
    if (!bad || e == ERR_OK || !text) return;
    err want = strcmp(type, "assert_malformed") ? ERR_INVALID : ERR_MALFORMED;
    if (e == want) run.classed++;
    else if (run.verbose) printf("%s: class: want %s, have %s `%s`\n", name, err_name(want), err_name(e), d.text);
    if (strstr(d.text, text)) run.worded++;
    else if (run.verbose) printf("%s: wording: want `%s`, have `%s`\n", name, text, d.text);
}

static void suite(const char *folder, const char *name) {
    const char *path = join(folder, name, ".json");
    struct buf text = {0};
    struct json root;
    struct diag d = DIAG_INIT;
    arena *a = arena_new(0);
    if (!read_file(path, &text)) {
    } else if (json_read(a, buf_str(&text), &(struct json_limits){256 << 20, 32, 4 << 20}, &root, &d)) {
        printf("%s: %s\n", path, d.text);
        run.failed++;
    } else {
        JSON_EACH(c, json_get(&root, "commands")) command(folder, name, c);
    }
    buf_free(&text);
    arena_free(a);
}

static bool walk(const char *folder, unsigned depth) {
    DIR *dir = opendir(folder);
    if (!dir) return false;
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] == '.' || e->d_type != DT_DIR) continue;
        const char *path = join(folder, e->d_name, "");
        if (depth == 0) walk(path, 1);
        else suite(path, e->d_name);
    }
    closedir(dir);
    return true;
}

int main(int argc, char **argv) {
    run.verbose = argc > 2;
    if (argc < 2 || !walk(argv[1], 0)) {
        printf("skipped: no folder %s\n", argc > 1 ? argv[1] : "named");
        return 77;
    }
    arena_free(run.paths);
    printf("%u passed, %u failed, %u skipped; of the failures %u of the suite's kind, %u in its words\n", run.passed, run.failed,
           run.skipped, run.classed, run.worded);
    return run.failed != 0;
}
