/* show: see show.h. */
#include "node/dev/show.h"
#include <stdarg.h>

static const char margin[] = "             ";
enum { LINE_MAX_BYTES = 64 << 10, VALUES_MAX = 256 };

/* ---- colours: SGR parameters ---- */

enum { PLAIN = 0, BOLD = 1, DIM = 2, RED = 31, GREEN = 32, YELLOW = 33 };
static const int of_functions[] = {36, 35, 34, 32, 33, 96, 95, 94};

static void colour(struct node_dev_show *s, int code) {
    if (s->colour) buf_printf(&s->out, "\x1b[%dm", code);
}

static int colour_of(str function) { return of_functions[str_hash(function) % ARRAY_COUNT(of_functions)]; }

static void put(struct node_dev_show *s, const char *text) { buf_puts(&s->out, str_c(text)); }

static void put_name(struct node_dev_show *s, str function) {
    colour(s, colour_of(function));
    buf_printf(&s->out, "%12.*s", (int)MIN(function.n, (size_t)40), (const char *)function.p);
    colour(s, PLAIN);
    put(s, " │ ");
}

/* Text that somebody else chose, without what a terminal would obey; lines behind the first are indented. */
static void put_text(struct node_dev_show *s, str text, const char *indent) {
    str line, rest;
    while (text.n && text.p[text.n - 1] == '\n') text.n--;
    for (bool first = true; text.n; text = rest, first = false) {
        str_cut(text, '\n', &line, &rest);
        if (!first) buf_putc(&s->out, '\n'), put(s, indent);
        size_t from = s->out.n;
        buf_puts(&s->out, line);
        text_tame((char *)s->out.p + from, s->out.n - from);
    }
}

static void end_line(struct node_dev_show *s) {
    colour(s, PLAIN);
    buf_putc(&s->out, '\n');
}

/* ---- events ---- */

static str text_of(const struct json *e, const char *key) { return json_str(json_get(e, key)); }

/* "2026-01-02T03:04:05.678Z" → "03:04:05" */
static void put_time(struct node_dev_show *s, const struct json *e) {
    colour(s, DIM);
    str time = str_sub(text_of(e, "time"), 11, 8);
    buf_printf(&s->out, "%8.*s ", (int)time.n, (const char *)time.p);
    colour(s, PLAIN);
}

static str function_of(const struct json *e) {
    str f = text_of(e, "function");
    return f.n ? f : text_of(e, "app");
}

static void show_request(struct node_dev_show *s, const struct json *e) {
    int64_t status = json_i64(json_get(e, "status"));
    const struct json *ms = json_get(e, "ms");
    put_time(s, e);
    colour(s, status >= 500 ? RED : status >= 400 ? YELLOW : GREEN);
    buf_printf(&s->out, "%lld ", (long long)status);
    colour(s, PLAIN);
    put_text(s, text_of(e, "method"), "");
    buf_putc(&s->out, ' ');
    put_text(s, text_of(e, "path"), "");
    colour(s, DIM);
    double took = json_is(ms, JSON_KIND_F64) ? ms->f : (double)json_i64(ms);
    buf_printf(&s->out, "  %.1f ms  ", took);
    put_text(s, function_of(e), "");
    end_line(s);
}

static void show_guest(struct node_dev_show *s, const struct json *e) {
    put_time(s, e);
    put_name(s, function_of(e));
    if (str_eqc(text_of(e, "stream"), "stderr")) colour(s, YELLOW);
    put_text(s, text_of(e, "text"), "");
    end_line(s);
}

static void show_lines(struct node_dev_show *s, const struct json *e, const char *key, int code) {
    const struct json *v = json_get(e, key);
    if (!v) return;
    colour(s, code);
    JSON_EACH(line, v) {
        put(s, margin);
        put_text(s, json_str(line), margin);
        buf_putc(&s->out, '\n');
    }
    if (json_is(v, JSON_KIND_STR)) put(s, margin), put_text(s, v->s, margin), buf_putc(&s->out, '\n');
    colour(s, PLAIN);
}

static void show_failure(struct node_dev_show *s, const struct json *e) {
    put_time(s, e);
    put_name(s, function_of(e));
    colour(s, RED);
    put_text(s, text_of(e, "reason"), "");
    str detail = text_of(e, "detail");
    if (detail.n) put(s, ": ");
    put_text(s, detail, margin);
    colour(s, PLAIN);
    buf_putc(&s->out, '\n');
    show_lines(s, e, "backtrace", DIM);
}

/* What a user would find in his inbox. */
static void show_mail(struct node_dev_show *s, const struct json *e) {
    static const char *const keys[] = {"link", "code"};
    put_time(s, e);
    put_name(s, text_of(e, "app"));
    put(s, "mail (");
    put_text(s, text_of(e, "kind"), "");
    put(s, ") to ");
    put_text(s, text_of(e, "to"), "");
    buf_putc(&s->out, '\n');
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        if (!text_of(e, keys[i]).n) continue;
        put(s, margin);
        put(s, i ? "code: " : "link: ");
        put_text(s, text_of(e, keys[i]), margin);
        buf_putc(&s->out, '\n');
    }
}

static bool is_head(str key) {
    return str_eqc(key, "time") || str_eqc(key, "level") || str_eqc(key, "event") || str_eqc(key, "app") ||
           str_eqc(key, "function") || str_eqc(key, "request");
}

/* What has no form of its own: its name, and its fields. */
static void show_other(struct node_dev_show *s, const struct json *e) {
    bool bad = str_eqc(text_of(e, "level"), "error");
    put_time(s, e);
    str function = function_of(e);
    if (function.n) put_name(s, function);
    colour(s, bad ? RED : YELLOW);
    put_text(s, text_of(e, "event"), "");
    for (uint32_t i = 0; i < e->n; i++) {
        const struct json_member *m = &e->members[i];
        if (is_head(m->key) || m->v.kind == JSON_KIND_ARRAY || m->v.kind == JSON_KIND_OBJECT) continue;
        put(s, "  ");
        put_text(s, m->key, "");
        buf_putc(&s->out, '=');
        struct json_writer w = json_writer_of(&s->out);
        if (m->v.kind == JSON_KIND_STR) put_text(s, m->v.s, margin);
        else json_put(&w, NULL, &m->v);
    }
    end_line(s);
}

static const struct {
    const char *event;
    void (*show)(struct node_dev_show *s, const struct json *e);
} forms[] = {{"request", show_request}, {"guest", show_guest}, {"guest-failed", show_failure}, {"mail-caught", show_mail}};

static void show_event(struct node_dev_show *s, const struct json *e) {
    str event = text_of(e, "event"), level = text_of(e, "level");
    if (s->event) s->event(s->event_arg, event, e);
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++)
        if (str_eqc(event, forms[i].event)) {
            forms[i].show(s, e);
            return;
        }
    if (str_eqc(level, "warn") || str_eqc(level, "error")) show_other(s, e);
}

static void show_line(struct node_dev_show *s, str line) {
    static const struct json_limits limits = {.bytes_max = LINE_MAX_BYTES, .depth_max = 8, .values_max = VALUES_MAX};
    struct json e;
    struct diag d = DIAG_INIT;
    arena *scratch = arena_new(0);
    bool event =
        line.n && line.p[0] == '{' && json_read(scratch, line, &limits, &e, &d) == ERR_OK && json_is(&e, JSON_KIND_OBJECT);
    if (event) {
        show_event(s, &e);
    } else if (line.n) {
        put_text(s, line, "");
        buf_putc(&s->out, '\n');
    }
    arena_free(scratch);
}

void node_dev_show_put(struct node_dev_show *s, str bytes) {
    str line, rest;
    while (bytes.n && (str_find(bytes, '\n') < bytes.n || s->pending.n + bytes.n >= LINE_MAX_BYTES)) {
        str_cut(bytes, '\n', &line, &rest);
        if (s->pending.n) {
            buf_put(&s->pending, line.p, line.n);
            line = buf_str(&s->pending);
        }
        show_line(s, line);
        s->pending.n = 0;
        bytes = rest;
    }
    buf_put(&s->pending, bytes.p, bytes.n);
}

static void show_step(struct node_dev_show *s, str function, str line) {
    put(s, "         ");
    put_name(s, function);
    put_text(s, line, "");
    buf_putc(&s->out, '\n');
}

void node_dev_show_of(struct node_dev_show *s, str function, str bytes) {
    str line, rest;
    while (str_find(bytes, '\n') < bytes.n || s->step.n + bytes.n >= LINE_MAX_BYTES) {
        str_cut(bytes, '\n', &line, &rest);
        buf_put(&s->step, line.p, line.n);
        show_step(s, function, buf_str(&s->step));
        s->step.n = 0;
        bytes = rest;
    }
    buf_put(&s->step, bytes.p, bytes.n);
}

void node_dev_show_of_end(struct node_dev_show *s, str function) {
    if (s->step.n) show_step(s, function, buf_str(&s->step));
    s->step.n = 0;
}

/* ---- lines of our own ---- */

static void say(struct node_dev_show *s, int code, const char *format, va_list args) {
    char text[2048];
    vsnprintf(text, sizeof text, format, args);
    colour(s, code);
    put_text(s, str_c(text), "");
    end_line(s);
}

void node_dev_show_say(struct node_dev_show *s, const char *format, ...) {
    va_list args;
    va_start(args, format);
    say(s, BOLD, format, args);
    va_end(args);
}

void node_dev_show_complain(struct node_dev_show *s, const char *format, ...) {
    va_list args;
    va_start(args, format);
    say(s, RED, format, args);
    va_end(args);
}

void node_dev_show_free(struct node_dev_show *s) {
    buf_free(&s->pending);
    buf_free(&s->step);
    buf_free(&s->out);
}
