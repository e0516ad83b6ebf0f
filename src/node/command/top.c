/* top: what a node's apps do right now: the difference of two answers, over and over.
 *
 * On a terminal it takes the whole screen (the alternate one), once a second, until q or Ctrl-C; s, or the first letter of a column, sorts. Elsewhere, and with
 * --once, one second is measured, printed as a table, and that is all.
 */
#include "node/command/ask.h"
#include "node/command/table.h"
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { SECOND_MS = 1000, BUCKETS_MAX = 64 };

struct row {
    str name;
    uint64_t version, memory, instances, in_progress;
    double requests, errors, limits, cpu; /* a second; of cpu cores */
    double p50_ms, p99_ms;                /* -1: nothing to tell */
};
struct sample {
    arena *mem;
    struct answer answer;
};

static int64_t number(const struct json *v, const char *key) { return json_i64(json_get(v, key)); }

/* ---- numbers of two samples ---- */

static const struct json *app_named(const struct json *apps, str name) {
    JSON_EACH(app, apps)
    if (str_eq(json_str(json_get(app, "name")), name)) return app;
    return NULL;
}

static uint64_t bucket_of(const struct json *durations, int64_t up_to) {
    JSON_EACH(b, durations)
    if (number(b, "up_to_us") == up_to) return (uint64_t)number(b, "requests");
    return 0;
}

/* Where so many of a hundred are below: the class's upper bound. */
static double percentile(const struct json *now, const struct json *before, double part) {
    uint64_t total = 0, seen = 0;
    JSON_EACH(b, now) total += (uint64_t)number(b, "requests") - bucket_of(before, number(b, "up_to_us"));
    if (!total) return -1;
    JSON_EACH(b, now) {
        int64_t up_to = number(b, "up_to_us");
        seen += (uint64_t)number(b, "requests") - bucket_of(before, up_to);
        if ((double)seen >= part * (double)total) return up_to ? (double)up_to / 1000 : 1e9;
    }
    return -1;
}

static double rate(const struct json *now, const struct json *before, const char *key, double seconds) {
    int64_t more = number(now, key) - (before ? number(before, key) : 0);
    return more > 0 ? (double)more / seconds : 0;
}

static struct row row_of(const struct json *now, const struct json *before, double seconds) {
    const struct json *durations = json_get(now, "durations"), *earlier = json_get(before, "durations");
    return (struct row){.name = json_str(json_get(now, "name")),
                        .version = (uint64_t)number(now, "version"),
                        .memory = (uint64_t)number(now, "memory_bytes"),
                        .instances = (uint64_t)number(now, "instances"),
                        .in_progress = (uint64_t)number(now, "in_progress"),
                        .requests = rate(now, before, "requests", seconds),
                        .errors = rate(now, before, "errors", seconds),
                        .limits = rate(now, before, "limits", seconds),
                        .cpu = rate(now, before, "cpu_us", seconds) / 1e6,
                        .p50_ms = percentile(durations, earlier, 0.5),
                        .p99_ms = percentile(durations, earlier, 0.99)};
}

/* ---- order ---- */

static const struct {
    const char *name;
    char key;
} sorts[] = {{"requests", 'r'}, {"errors", 'e'}, {"p99", 'p'}, {"cpu", 'c'}, {"memory", 'm'}, {"name", 'n'}};
static int sort_by; /* qsort has no argument */

static double weight(const struct row *r) {
    const double of[] = {r->requests, r->errors, r->p99_ms, r->cpu, (double)r->memory, 0};
    return of[sort_by];
}

static int by_weight(const void *a, const void *b) {
    double x = weight(a), y = weight(b);
    if (x != y) return x < y ? 1 : -1;
    return str_cmp(((const struct row *)a)->name, ((const struct row *)b)->name);
}

static bool set_sort(const char *name) {
    for (size_t i = 0; i < ARRAY_COUNT(sorts); i++)
        if (!strcmp(name, sorts[i].name)) {
            sort_by = (int)i;
            return true;
        }
    return false;
}

/* ---- showing ---- */

static void put_ms(struct table *t, double ms) {
    if (ms < 0) node_table_put(t, STR("-"));
    else if (ms >= 1e8) node_table_put(t, STR("long"));
    else node_table_fmt(t, ms < 10 ? "%.1f ms" : "%.0f ms", ms);
}

static void put_row(struct table *t, const struct row *r) {
    node_table_put(t, r->name);
    node_table_fmt(t, "%llu", (unsigned long long)r->version);
    node_table_fmt(t, "%.0f", r->requests);
    node_table_fmt(t, "%.0f", r->errors);
    node_table_fmt(t, "%.0f", r->limits);
    put_ms(t, r->p50_ms);
    put_ms(t, r->p99_ms);
    node_table_fmt(t, "%.0f %%", r->cpu * 100);
    node_table_put(t, node_table_bytes(t->mem, r->memory));
    node_table_fmt(t, "%llu", (unsigned long long)r->instances);
    node_table_fmt(t, "%llu", (unsigned long long)r->in_progress);
}

static void print_json(FILE *to, const struct row *rows, uint32_t n) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    json_put_array(&w, NULL);
    for (uint32_t i = 0; i < n; i++) {
        const struct row *r = &rows[i];
        json_put_object(&w, NULL);
        json_put_str(&w, "name", r->name);
        json_put_u64(&w, "version", r->version);
        json_put_ms(&w, "requests_per_s", r->requests);
        json_put_ms(&w, "errors_per_s", r->errors);
        json_put_ms(&w, "limits_per_s", r->limits);
        if (r->p50_ms >= 0) json_put_ms(&w, "p50_ms", r->p50_ms);
        if (r->p99_ms >= 0) json_put_ms(&w, "p99_ms", r->p99_ms);
        json_put_ms(&w, "cores", r->cpu);
        json_put_u64(&w, "memory_bytes", r->memory);
        json_put_u64(&w, "instances", r->instances);
        json_put_u64(&w, "in_progress", r->in_progress);
        json_put_end(&w);
    }
    json_put_end(&w);
    fprintf(to, STR_FMT "\n", STR_ARG(buf_str(&b)));
    buf_free(&b);
}

static void show(const struct sample *now, const struct sample *before, bool json, uint32_t rows_max, FILE *to) {
    static const char *const heads[] = {"APP", "VERSION", "REQ/S",  "ERR/S", "LIMIT/S", "P50",
                                        "P99", "CPU",     "MEMORY", "INST",  "OPEN",    NULL};
    const struct json *apps = json_get(&now->answer.body, "apps"), *earlier = json_get(&before->answer.body, "apps");
    double seconds = (double)MAX(number(&now->answer.body, "at_us") - number(&before->answer.body, "at_us"), (int64_t)1) / 1e6;
    arena *mem = arena_new(0);
    struct row *rows = arena_array(mem, struct row, json_count(apps) + 1);
    uint32_t n = 0;
    struct table t;
    JSON_EACH(app, apps) rows[n++] = row_of(app, app_named(earlier, json_str(json_get(app, "name"))), seconds);
    qsort(rows, n, sizeof *rows, by_weight);
    node_table_begin(&t, mem, heads);
    for (uint32_t i = 0; i < MIN(n, rows_max); i++) put_row(&t, &rows[i]);
    if (json) print_json(to, rows, n);
    else node_table_print(&t, to);
    arena_free(mem);
}

/* ---- asking ---- */

static err ask(struct ask *a, struct sample *to, struct diag *d) {
    *to = (struct sample){.mem = arena_new(0)};
    return node_ask(a, to->mem, &(struct ask_call){.method = "GET", .path = STR("/top")}, &to->answer, d);
}

static err once(struct ask *a, bool json, FILE *to, struct diag *d) {
    struct sample before, now = {0};
    err e = ask(a, &before, d);
    if (e == ERR_OK) poll(NULL, 0, SECOND_MS);
    if (e == ERR_OK) e = ask(a, &now, d);
    if (e == ERR_OK) show(&now, &before, json, UINT32_MAX, to);
    arena_free(before.mem), arena_free(now.mem);
    return e;
}

static volatile sig_atomic_t ended;
static void on_signal(int signum) { ended = signum; }

/* Keys for a second. False: enough. */
static bool heed_keys(void) {
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    uint64_t until_ns = clock_mono_ns() + SECOND_MS * 1000000ull;
    for (uint64_t now; !ended && (now = clock_mono_ns()) < until_ns;) {
        char c;
        if (poll(&in, 1, (int)((until_ns - now) / 1000000u) + 1) <= 0) continue;
        if (read(STDIN_FILENO, &c, 1) != 1 || c == 'q') return false;
        if (c == 's') sort_by = (sort_by + 1) % (int)ARRAY_COUNT(sorts);
        for (size_t i = 0; i < ARRAY_COUNT(sorts); i++)
            if (c == sorts[i].key) sort_by = (int)i;
        return true;
    }
    return !ended;
}

static err live(struct ask *a, FILE *to, struct diag *d) {
    struct sample before, now;
    struct winsize size = {.ws_row = 24};
    err e = ask(a, &before, d);
    for (bool more = e == ERR_OK && heed_keys(); more && e == ERR_OK; more = e == ERR_OK && heed_keys()) {
        e = ask(a, &now, d);
        if (e != ERR_OK) {
            arena_free(now.mem);
            break;
        }
        ioctl(fileno(to), TIOCGWINSZ, &size);
        fprintf(to, "\x1b[H\x1b[J%lld workers, by %s (s: another; q: enough)\n\n", (long long)number(&now.answer.body, "workers"),
                sorts[sort_by].name);
        show(&now, &before, false, size.ws_row > 5 ? size.ws_row - 5u : 1u, to);
        fflush(to);
        arena_free(before.mem);
        before = now;
    }
    arena_free(before.mem);
    return e;
}

/* The screen as it was, whatever ends this. */
static err on_screen(struct ask *a, FILE *to, struct diag *d) {
    struct termios before, raw;
    struct sigaction act = {.sa_handler = on_signal};
    bool keys = tcgetattr(STDIN_FILENO, &before) == 0;
    sigaction(SIGINT, &act, NULL), sigaction(SIGTERM, &act, NULL), sigaction(SIGHUP, &act, NULL);
    raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    if (keys) tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    fputs("\x1b[?1049h\x1b[?25l", to);
    err e = live(a, to, d);
    fputs("\x1b[?25h\x1b[?1049l", to);
    fflush(to);
    if (keys) tcsetattr(STDIN_FILENO, TCSANOW, &before);
    return e;
}

err node_command_top(const struct node_where *where, const char *sort, bool is_once, bool json, FILE *to, struct diag *d) {
    struct ask *a;
    if (sort && !set_sort(sort))
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--sort is requests, errors, p99, cpu, memory or name, not '%s'", sort);
    TRY(node_ask_open(where, &a, d));
    err e = is_once || json || !isatty(fileno(to)) ? once(a, json, to, d) : on_screen(a, to, d);
    node_ask_close(a);
    return e;
}
