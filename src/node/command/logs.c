/* logs: what an app has logged, and what it logs from now on. */
#include "node/command/ask.h"
#include "node/command/table.h"
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

/* {"ts": …, "event": …, "function": …, "text": …}: what a person looks for comes first. */
static void print_line(const struct show *s, const struct json *v) {
    str time = json_str(json_get(v, "ts")), event = json_str(json_get(v, "event")), text = json_str(json_get(v, "text")),
        function = json_str(json_get(v, "function"));
    print_text(s->to, time);
    if (function.n) fputc(' ', s->to), print_text(s->to, function);
    if (event.n) fputc(' ', s->to), print_text(s->to, event);
    if (text.n) fputc(' ', s->to), print_text(s->to, text);
    for (uint32_t i = 0; json_is(v, JSON_KIND_OBJECT) && i < v->n; i++) {
        static const char *const said[] = {"ts", "event", "text", "function", "level", "app"};
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

err node_command_logs(const struct node_where *where, const char *app, bool follow, uint32_t lines, bool json, FILE *to,
                      struct diag *d) {
    struct ask *a;
    arena *mem = arena_new(0);
    struct show s = {.to = to, .json = json};
    err e = node_ask_open(where, &a, d);
    if (e == ERR_OK) {
        str path = node_ask_path(mem, follow ? "/apps/%s/logs?lines=%u&follow=true" : "/apps/%s/logs?lines=%u", app, lines);
        e = node_ask_lines(a, mem, path, on_line, &s, d);
        node_ask_close(a);
    }
    arena_free(mem);
    return e;
}
