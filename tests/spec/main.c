/* orlo-spec [--validate] [-v] [-j N] PATH…: runs conformance suites. Each file runs in a process of its own, so that
 * one that brings it down or never ends costs no other; what they print comes in the files' order. Exit code 1: something
 * failed. No failure is expected, and there is no list of such.
 */
#include "spec.h"
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FAILURES_PRINTED = 8, SECONDS_MAX = 240 };

#define NAME(x) #x,
static const char *const skipped_names[] = {SPEC_SKIPPED(NAME)};
static_assert(ARRAY_COUNT(skipped_names) == ARRAY_COUNT(((struct spec_counts *)0)->skipped_of), "one count each");

/* ---- for the suites ---- */

void spec_pass(struct spec_file *f) { f->counts->passed++; }

void spec_fail(struct spec_file *f, const struct json *command, const char *fmt, ...) {
    char text[900];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    uint32_t n = ++f->counts->failed;
    if (n <= FAILURES_PRINTED || f->verbose)
        printf("%s:%lld: %s: %s\n", f->path, (long long)json_i64(json_get(command, "line")), spec_member(command, "type"), text);
    else if (n == FAILURES_PRINTED + 1) printf("%s: more failures (-v prints them)\n", f->path);
}

void spec_skip(struct spec_file *f, const struct json *command, const char *why) {
    const char *name = spec_member(command, "filename"), *type = spec_member(command, "type");
    size_t kind = 0;
    while (kind < ARRAY_COUNT(skipped_names) - 1 && strcmp(type, skipped_names[kind]) != 0) kind++;
    f->counts->skipped++;
    f->counts->skipped_of[kind]++;
    if (f->verbose)
        printf("%s:%lld: skipped (%s): %s %s\n", f->path, (long long)json_i64(json_get(command, "line")), why, type,
               name ? name : "");
}

const char *spec_member(const struct json *object, const char *key) { return json_cstr(json_get(object, key)); }

str spec_member_str(const struct json *object, const char *key) { return json_str(json_get(object, key)); }

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

enum spec_source spec_read_binary(struct spec_file *f, const struct json *definition, str *bytes) {
    const char *name = spec_member(definition, "binary_filename"), *type = spec_member(definition, "module_type");
    if (!name && type && !strcmp(type, "text")) return SPEC_TEXT;
    if (!name) name = spec_member(definition, "filename");
    char path[1024];
    if (!name || snprintf(path, sizeof path, "%s/%s", f->folder, name) >= (int)sizeof path) return SPEC_MISSING;
    return read_file(path, bytes) ? SPEC_BINARY : SPEC_MISSING;
}

enum spec_source spec_binary(struct spec_file *f, const struct json *command, const struct json *definition, str *bytes) {
    enum spec_source from = spec_read_binary(f, definition, bytes);
    if (from == SPEC_TEXT) spec_skip(f, command, "text format");
    if (from == SPEC_MISSING) spec_fail(f, command, "its file is missing");
    return from;
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

/* ---- running ---- */

struct options {
    bool validate_only, verbose;
    uint32_t jobs;
};

static void run_here(const char *path, const struct options *o, struct spec_counts *counts) {
    str text = {0};
    struct json root = {0};
    struct diag d = DIAG_INIT;
    arena *a = arena_new(0);
    if (!read_file(path, &text)) diag_set(&d, ERR_IO, DIAG_NOWHERE, "it cannot be read");
    else if (json_read(a, text, &spec_json_limits, &root, &d) == ERR_OK) diag_set(&d, ERR_INVALID, DIAG_NOWHERE, "no commands");
    const struct json *commands = json_get(&root, "commands");
    if (!json_count(commands)) {
        printf("%s: not a suite: %s\n", path, d.text);
        counts->failed = 1;
        return;
    }
    char folder[1024];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    struct spec_file f = {path, folder, commands, o->validate_only, o->verbose, counts};
    if (spec_is_component(&f)) spec_component(&f);
    else spec_core(&f);
    if (counts->passed + counts->failed + counts->skipped < json_count(commands)) {
        printf("%s: a command was neither passed nor failed nor skipped\n", path);
        counts->failed++;
    }
    arena_free(a);
}

struct job {
    const char *path;
    pid_t child;                /* 0: not started */
    int out;                    /* what it prints; a memory file */
    struct spec_counts *counts; /* shared with the child */
};

static void start(struct job *j, const struct options *o) {
    j->out = memfd_create("orlo-spec", MFD_CLOEXEC);
    fflush(stdout);
    j->child = fork();
    ENSURE(j->out >= 0 && j->child >= 0);
    if (j->child) return;
    dup2(j->out, 1);
    alarm(SECONDS_MAX);
    run_here(j->path, o, j->counts);
    fflush(stdout);
    j->counts->whole = true;
    _exit(0);
}

static void print_file(int fd) {
    char chunk[4096];
    for (ssize_t n; (n = read(fd, chunk, sizeof chunk)) > 0;) fwrite(chunk, 1, (size_t)n, stdout);
}

/* Waits for its end; a crash or a time-out is a failure of the whole file. */
static void finish(struct job *j) {
    int status = 0;
    while (waitpid(j->child, &status, 0) < 0 && errno == EINTR) {}
    lseek(j->out, 0, SEEK_SET);
    print_file(j->out);
    close(j->out);
    if (j->counts->whole && WIFEXITED(status) && !WEXITSTATUS(status)) return;
    *j->counts = (struct spec_counts){.failed = 1};
    if (!WIFSIGNALED(status)) printf("%s: ended early\n", j->path);
    else if (WTERMSIG(status) == SIGALRM) printf("%s: does not end\n", j->path);
    else printf("%s: %s\n", j->path, strsignal(WTERMSIG(status)));
}

static void add(struct spec_counts *sum, const struct spec_counts *c) {
    sum->passed += c->passed, sum->failed += c->failed, sum->skipped += c->skipped;
    for (size_t i = 0; i < ARRAY_COUNT(c->skipped_of); i++) sum->skipped_of[i] += c->skipped_of[i];
}

/* Runs all, o->jobs at a time. */
static void run_all(struct job *jobs, uint32_t n, const struct options *o, struct spec_counts *sum) {
    uint32_t started = 0;
    for (uint32_t i = 0; i < n; i++) {
        while (started < n && started < i + o->jobs) start(&jobs[started++], o);
        finish(&jobs[i]);
        const struct spec_counts *c = jobs[i].counts;
        printf("%s %s: %u passed, %u failed, %u skipped\n", c->failed ? "FAIL" : "ok  ", jobs[i].path, c->passed, c->failed,
               c->skipped);
        add(sum, c);
    }
}

static int usage(void) {
    fputs("usage: orlo-spec [--validate] [-v] [-j N] PATH...\n"
          "  PATH        a JSON file made by wast2json, or a folder of them\n"
          "  --validate  only decoding and validation\n"
          "  -j N        files at a time; as many as there are processors\n"
          "  -v          every failure, every skipped command\n",
          stderr);
    return 64;
}

/* False: usage. Exits when a path is not there. */
static bool read_options(int argc, char **argv, struct options *o, struct path_list *l) {
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--validate")) o->validate_only = true;
        else if (!strcmp(argv[i], "-v")) o->verbose = true;
        else if (!strcmp(argv[i], "-j") && i + 1 < argc) o->jobs = (uint32_t)atoi(argv[++i]);
        else if (argv[i][0] == '-') return false;
        else if (!find(l, argv[i])) {
            fprintf(stderr, "orlo-spec: %s: %s\n", argv[i], strerror(errno));
            exit(66);
        }
    }
    return l->paths.n && o->jobs;
}

int main(int argc, char **argv) {
    struct path_list l = {.a = arena_new(0)};
    struct options o = {.jobs = (uint32_t)MAX(1, sysconf(_SC_NPROCESSORS_ONLN))};
    if (!read_options(argc, argv, &o, &l)) return usage();
    uint32_t n = l.paths.n;
    qsort(l.paths.p, n, sizeof *l.paths.p, by_name);
    struct spec_counts sum = {0},
                       *counts = mmap(NULL, n * sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ENSURE(counts != MAP_FAILED);
    struct job *jobs = arena_array(l.a, struct job, n);
    for (uint32_t i = 0; i < n; i++) jobs[i] = (struct job){.path = l.paths.p[i], .counts = &counts[i]};
    run_all(jobs, n, &o, &sum);
    arena_free(l.a);
    if (sum.skipped && !o.verbose) printf("-v names what was skipped\n");
    for (size_t i = 0; i < ARRAY_COUNT(skipped_names); i++)
        if (sum.skipped_of[i]) printf("skipped: %u %s\n", sum.skipped_of[i], skipped_names[i]);
    printf("%u passed, %u failed, %u skipped\n", sum.passed, sum.failed, sum.skipped);
    return sum.failed != 0;
}
