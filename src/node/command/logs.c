/* logs: what an app has logged, and what it logs from now on. */
#include "node/command/ask.h"
#include "node/command/table.h"
#include <time.h>
#include <unistd.h>

struct show {
    FILE *to;
    bool json;
};

/* A control character that a guest printed does nothing here. */
static void print_text(FILE *to, str text) {
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        if (c >= 32 && c != 127) fputc(c, to);
        else if (c == '\t') fputc('\t', to);
        else fprintf(to, "\\x%02x", c);
    }
}

/* {"time": …, "event": …, "function": …, "text": …}: what a person looks for comes first. */
static void print_line(const struct show *s, const struct json *v) {
    str time = json_str(json_get(v, "time")), event = json_str(json_get(v, "event")), text = json_str(json_get(v, "text")),
        function = json_str(json_get(v, "function")), level = json_str(json_get(v, "level"));
    print_text(s->to, time);
    if (!str_eqc(level, "info") && level.n) fputc(' ', s->to), print_text(s->to, level);
    if (function.n) fputc(' ', s->to), print_text(s->to, function);
    if (event.n) fputc(' ', s->to), print_text(s->to, event);
    if (text.n) fputc(' ', s->to), print_text(s->to, text);
    for (uint32_t i = 0; json_is(v, JSON_KIND_OBJECT) && i < v->n; i++) {
        static const char *const said[] = {"time", "event", "text", "function", "level", "app"};
        bool known = false;
        for (size_t k = 0; k < ARRAY_COUNT(said); k++) known |= str_eqc(v->members[i].key, said[k]);
        if (known) continue;
        struct buf b = {0};
        struct json_writer w = json_writer_of(&b);
        json_put(&w, NULL, &v->members[i].v);
        fprintf(s->to, " " STR_FMT "=" STR_FMT, STR_ARG(v->members[i].key), STR_ARG(buf_str(&b)));
        buf_free(&b);
    }
    fputc('\n', s->to);
}

static bool on_line(void *arg, str line) {
    const struct show *s = arg;
    static const struct json_limits limits = {.bytes_max = 1 << 20, .depth_max = 16, .values_max = 4096};
    arena *mem = arena_new(0);
    struct json v;
    struct diag unused = DIAG_INIT;
    if (json_read(mem, line, &limits, &v, &unused) != ERR_OK) print_text(s->to, line), fputc('\n', s->to);
    else if (s->json) fprintf(s->to, STR_FMT "\n", STR_ARG(line));
    else print_line(s, &v);
    arena_free(mem);
    return fflush(s->to) == 0; /* nobody reads it any more */
}

/* "10m", "2d" ago, or "2026-01-31T10:00:00Z": milliseconds since 1970. */
static bool since_ms(const char *text, uint64_t *ms) {
    struct tm tm = {0};
    uint64_t ago, days;
    size_t n = strlen(text);
    str number = {(const uint8_t *)text, n - (n > 0)};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    *ms = clock_wall_ns() / 1000000u;
    if (end && (!*end || !strcmp(end, "Z"))) *ms = (uint64_t)MAX(timegm(&tm), 0) * 1000;
    else if (n && text[n - 1] == 'd' && str_to_u64(number, &days) && days <= 36500) *ms -= MIN(days * 86'400'000, *ms);
    else if (app_parse_ms(text, &ago)) *ms -= MIN(ago, *ms);
    else return false;
    return true;
}

/* As a query; in out. */
static err query_of(arena *out, bool follow, const char *lines, const char *since, const char *level, str *query,
                    struct diag *d) {
    uint64_t ms = 0, most = 0;
    if (since && !since_ms(since, &ms))
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE,
                        "--since is how long ago, such as 10m, 2h or 3d, or a time such as 2026-01-31T10:00:00Z, not '%s'",
                        since);
    if (lines && (!str_to_u64(str_c(lines), &most) || most > 1'000'000))
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--lines takes a number up to 1000000, not '%s'", lines);
    if (level && strcmp(level, "debug") != 0 && strcmp(level, "info") != 0 && strcmp(level, "warn") != 0 &&
        strcmp(level, "error") != 0)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--level is debug, info, warn or error, not '%s'", level);
    *query = arena_fmt(out, "?follow=%s", follow ? "true" : "false");
    if (lines) *query = arena_fmt(out, STR_FMT "&lines=%llu", STR_ARG(*query), (unsigned long long)most);
    if (since) *query = arena_fmt(out, STR_FMT "&since_ms=%llu", STR_ARG(*query), (unsigned long long)ms);
    if (level) *query = arena_fmt(out, STR_FMT "&level=%s", STR_ARG(*query), level);
    return ERR_OK;
}

err node_command_logs(const struct node_where *where, const char *app, bool follow, const char *lines, const char *since,
                      const char *level, bool json, FILE *to, struct diag *d) {
    struct ask *a = NULL;
    arena *mem = arena_new(0);
    struct show s = {.to = to, .json = json};
    str query = {0};
    err e = query_of(mem, follow, lines, since, level, &query, d);
    if (e == ERR_OK) e = node_ask_open(where, &a, d);
    if (e == ERR_OK) {
        str path = node_ask_path(mem, "/apps/%s/logs", app);
        e = node_ask_lines(a, mem, arena_fmt(mem, STR_FMT STR_FMT, STR_ARG(path), STR_ARG(query)), on_line, &s, d);
        node_ask_close(a);
    }
    arena_free(mem);
    return e;
}
