/* spec_test DIR: decodes and validates every binary module of the specification's test suite (JSON form)
 * under DIR.
 *
 * Modules that are to be linked or run must be accepted; assert_malformed and assert_invalid must be refused,
 * each with its own kind of error. Modules in the text format are skipped and counted. -v prints each
 * failure, and where our wording differs. Exit: 0 all passed, 1 some failed, 77 no such folder. */
#include "base/json.h"
#include "wasm/wasm.h"
#include <dirent.h>
#include <sys/stat.h>

struct tally {
    unsigned passed, failed, skipped, reworded;
};
static bool verbose;

static str read_file(arena *a, const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) return (str){0};
    struct stat st;
    ENSURE(fstat(fileno(f), &st) == 0);
    uint8_t *p = arena_alloc(a, (size_t)st.st_size + 1, 1);
    size_t n = fread(p, 1, (size_t)st.st_size, f);
    fclose(f);
    return (str){p, n};
}

static err check_module(arena *a, str bytes, struct diag *d) {
    struct wasm_module m;
    TRY(wasm_decode(a, bytes, &m, d));
    TRY(wasm_validate(a, &m, NULL, d));
    TRY(wasm_validate_bodies(&m, d));
    wasm_names_decode(a, &m);
    return ERR_OK;
}

/* What the command's module must come to; false: the command has none. */
static bool expected(const char *type, err *want) {
    static const struct {
        const char *type;
        err want;
    } table[] = {{"module", ERR_OK},
                 {"module_definition", ERR_OK},
                 {"assert_unlinkable", ERR_OK},
                 {"assert_uninstantiable", ERR_OK},
                 {"assert_invalid", ERR_INVALID},
                 {"assert_malformed", ERR_MALFORMED}};
    for (size_t i = 0; i < ARRAY_COUNT(table); i++)
        if (!strcmp(type, table[i].type)) {
            *want = table[i].want;
            return true;
        }
    return false;
}

static void run_command(const char *dir, const char *file, const struct json *c, struct tally *t) {
    err want;
    if (!expected(json_cstr(json_get(c, "type")), &want)) return;
    const char *kind = json_cstr(json_get(c, "module_type"));
    if (!kind || strcmp(kind, "binary")) {
        t->skipped++;
        return;
    }
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", dir, json_cstr(json_get(c, "filename")));
    arena *a = arena_new(0);
    struct diag d = DIAG_INIT;
    str bytes = read_file(a, path);
    err e = check_module(a, bytes, &d);
    long long line = json_i64(json_get(c, "line"));
    const char *text = json_cstr(json_get(c, "text"));
    if (e == want) t->passed++;
    else t->failed++;
    if (e != want && verbose)
        printf("%s:%lld: expected %s%s%s, got %s \"%s\" at %llu (%s)\n", file, line, err_name(want), text ? " " : "",
               text ? text : "", err_name(e), d.text, (unsigned long long)d.offset, path);
    if (e == want && e && text && !strstr(d.text, text)) {
        t->reworded++;
        if (verbose) printf("%s:%lld: wording: suite \"%s\", ours \"%s\"\n", file, line, text, d.text);
    }
    arena_free(a);
}

static void run_file(const char *root, const char *name, struct tally *all) {
    char dir[512], path[1024];
    snprintf(dir, sizeof dir, "%s/%s", root, name);
    snprintf(path, sizeof path, "%s/%s.json", dir, name);
    arena *a = arena_new(0);
    struct json suite;
    struct diag d = DIAG_INIT;
    struct tally t = {0};
    str text = read_file(a, path);
    if (text.p && json_read(a, text, &(struct json_limits){256 << 20, 32, 4 << 20}, &suite, &d)) {
        printf("%s: %s\n", path, d.text);
        t.failed++;
    } else if (text.p) {
        JSON_EACH(command, json_get(&suite, "commands")) run_command(dir, name, command, &t);
    }
    if (t.failed) printf("%s: %u passed, %u failed, %u skipped\n", name, t.passed, t.failed, t.skipped);
    all->passed += t.passed, all->failed += t.failed, all->skipped += t.skipped, all->reworded += t.reworded;
    arena_free(a);
}

int main(int argc, char **argv) {
    if (argc > 2 && !strcmp(argv[1], "-v")) verbose = true, argc--, argv++;
    const char *root = argc > 1 ? argv[1] : "../shared/spec/core";
    struct dirent **entries;
    int n = scandir(root, &entries, NULL, alphasort);
    if (n < 0) {
        printf("skipped: no folder %s\n", root);
        return 77;
    }
    struct tally all = {0};
    for (int i = 0; i < n; i++) {
        if (entries[i]->d_name[0] != '.') run_file(root, entries[i]->d_name, &all);
        free(entries[i]);
    }
    free(entries);
    printf("%u passed, %u failed, %u skipped (modules in text), %u refused in other words than the suite's\n", all.passed,
           all.failed, all.skipped, all.reworded);
    return all.failed || !all.passed;
}
