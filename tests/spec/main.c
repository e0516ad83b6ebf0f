/* orlo-spec [--validate] [-v] PATH…: runs conformance suites. Each file runs in a process of its own, so that
 * one that brings it down or never ends costs no other. Exit code 1: something failed that
 * expected-failures.txt does not name, or something named there passes by now (the list may only shrink).
 */
#include "spec.h"
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FAILURES_PRINTED = 8, SECONDS_MAX = 120 };

/* ---- for the suites ---- */

void spec_pass(struct spec_file *f) { f->passed++; }

void spec_fail(struct spec_file *f, json_t *command, const char *fmt, ...) {
    char text[900];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (f->failed++ < FAILURES_PRINTED || f->verbose)
        printf("%s:%lld: %s: %s\n", f->path, (long long)json_integer_value(json_object_get(command, "line")),
               spec_member(command, "type"), text);
    else if (f->failed == FAILURES_PRINTED + 1) printf("%s: more failures (-v prints them)\n", f->path);
}

void spec_skip(struct spec_file *f, json_t *command, const char *why) {
    f->skipped++;
    const char *name = spec_member(command, "filename");
    if (f->verbose)
        printf("%s:%lld: skipped (%s): %s\n", f->path,
               (long long)json_integer_value(json_object_get(command, "line")), why,
               name ? name : spec_member(command, "type"));
}

const char *spec_member(json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

str spec_member_str(json_t *object, const char *key) {
    json_t *v = json_object_get(object, key);
    return (str){(const uint8_t *)json_string_value(v), json_string_length(v)};
}

static bool read_file(const char *path, str *out) {
    FILE *in = fopen(path, "rb");
    if (!in) return false;
    struct buf b = {0};
    char chunk[65536];
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, in)) > 0;) buf_put(&b, chunk, n);
    fclose(in);
    buf_reserve(&b, 1);
    *out = buf_str(&b);
    return true;
}

bool spec_binary(struct spec_file *f, json_t *command, str *bytes) {
    const char *name = spec_member(command, "binary_filename");
    const char *type = spec_member(command, "module_type");
    if (!name && (!type || strcmp(type, "text") != 0)) name = spec_member(command, "filename");
    if (!name) return false;
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", f->folder, name);
    return read_file(path, bytes);
}

/* ---- files ---- */

struct path_list {
    VEC(char *) paths;
    arena *a;
};

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* .json files at and under path. */
static bool find(struct path_list *l, const char *path) {
    struct stat st;
    if (stat(path, &st) < 0) return false;
    if (!S_ISDIR(st.st_mode)) {
        if (str_ends(str_c(path), STR(".json"))) vec_push(l->a, &l->paths, arena_cstr(l->a, str_c(path)));
        return true;
    }
    DIR *dir = opendir(path);
    if (!dir) return false;
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] == '.') continue;
        if (e->d_type == DT_REG && !str_ends(str_c(e->d_name), STR(".json"))) continue;
        find(l, arena_cstr(l->a, arena_fmt(l->a, "%s/%s", path, e->d_name)));
    }
    closedir(dir);
    return true;
}

/* Expected failures: lines that end paths without ".json"; '#' starts a comment. */
static bool is_expected(str list, const char *path) {
    str p = str_c(path), line;
    if (str_ends(p, STR(".json"))) p.n -= 5;
    while (list.n) {
        str_cut(list, '\n', &line, &list);
        str_cut(line, '#', &line, &(str){0});
        line = str_trim(line);
        if (line.n && str_ends(p, line) && (p.n == line.n || p.p[p.n - line.n - 1] == '/')) return true;
    }
    return false;
}

/* ---- running ---- */

struct counts {
    uint32_t passed, failed, skipped;
};

static struct counts run_here(const char *path, bool validate_only, bool verbose) {
    json_error_t error;
    json_t *root = json_load_file(path, JSON_ALLOW_NUL, &error);
    if (!root || !json_is_array(json_object_get(root, "commands"))) {
        printf("%s: not a suite: %s\n", path, root ? "no commands" : error.text);
        return (struct counts){.failed = 1};
    }
    char folder[1024];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    struct spec_file f = {.path = path,
                          .folder = folder,
                          .commands = json_object_get(root, "commands"),
                          .validate_only = validate_only,
                          .verbose = verbose};
    if (spec_is_component(&f)) spec_component(&f);
    else spec_core(&f);
    json_decref(root);
    return (struct counts){f.passed, f.failed, f.skipped};
}

/* In a child; a crash or a time-out is a failure of the whole file. */
static struct counts run_apart(const char *path, bool validate_only, bool verbose) {
    int p[2];
    struct counts got = {.failed = 1};
    fflush(stdout);
    if (pipe(p) < 0) return got;
    pid_t child = fork();
    if (child == 0) {
        close(p[0]);
        alarm(SECONDS_MAX);
        got = run_here(path, validate_only, verbose);
        fflush(stdout);
        _exit(write(p[1], &got, sizeof got) == sizeof got ? 0 : 70);
    }
    close(p[1]);
    bool whole = child > 0 && read(p[0], &got, sizeof got) == sizeof got;
    close(p[0]);
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    if (!whole) {
        got = (struct counts){.failed = 1};
        if (WIFSIGNALED(status))
            printf("%s: %s\n", path,
                   WTERMSIG(status) == SIGALRM ? "does not end" : strsignal(WTERMSIG(status)));
        else printf("%s: ended early\n", path);
    }
    return got;
}

static int usage(void) {
    fputs("usage: orlo-spec [--validate] [-v] PATH...\n"
          "  PATH        a JSON file made by wast2json, or a folder of them\n"
          "  --validate  only decoding and validation\n"
          "  -v          every failure, every skipped command\n",
          stderr);
    return 64;
}

int main(int argc, char **argv) {
    struct path_list l = {.a = arena_new(0)};
    bool validate_only = false, verbose = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--validate") == 0) validate_only = true;
        else if (strcmp(argv[i], "-v") == 0) verbose = true;
        else if (argv[i][0] == '-') return usage();
        else if (!find(&l, argv[i])) {
            fprintf(stderr, "orlo-spec: %s: %s\n", argv[i], strerror(errno));
            return 66;
        }
    }
    if (!l.paths.n) return usage();
    qsort(l.paths.p, l.paths.n, sizeof *l.paths.p, by_name);
    str expected = {0};
    if (!validate_only) read_file(SPEC_EXPECTED_FAILURES, &expected);
    struct counts sum = {0};
    uint32_t unexpected = 0, expected_files = 0;
    for (uint32_t i = 0; i < l.paths.n; i++) {
        const char *path = l.paths.p[i];
        struct counts c = run_apart(path, validate_only, verbose);
        bool listed = is_expected(expected, path);
        printf("%s %s: %u passed, %u failed, %u skipped\n",
               !c.failed ? "ok  "
               : listed  ? "list"
                         : "FAIL",
               path, c.passed, c.failed, c.skipped);
        if (listed && !c.failed)
            printf("FAIL %s: passes whole, take it off %s\n", path, SPEC_EXPECTED_FAILURES);
        if (listed != (c.failed != 0)) unexpected++;
        if (listed && c.failed) expected_files++;
        sum.passed += c.passed, sum.failed += c.failed, sum.skipped += c.skipped;
    }
    free((void *)(uintptr_t)expected.p);
    arena_free(l.a);
    if (expected_files) printf("%u files fail as expected-failures.txt expects\n", expected_files);
    if (unexpected) printf("%u files do not do what is expected of them\n", unexpected);
    if (sum.skipped && !verbose) printf("-v names what was skipped\n");
    printf("%u passed, %u failed, %u skipped\n", sum.passed, sum.failed, sum.skipped);
    return unexpected != 0;
}
