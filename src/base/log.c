/* log: one line an event. Text for people on a terminal, JSON for machines.
 *
 * As text, what has lines of its own (LOG_LINES) follows the event's line, a line each, indented and under its key.
 * Lines leave by one call of the sink each, unless their writer holds them back (log_hold) to send those of one turn at once; errors are
 * never held. A sink takes whole lines or nothing: what it did not take is counted, and the count is the next line. One thread logs.
 */
#include "base/json.h"
#include <errno.h>
#include <time.h>
#include <unistd.h>

/* Bytes of a string as it is shown; of a line; of lines held back. With what is held at most one more line is sent: 64 KiB. */
enum { VALUE_MAX = 16 << 10, LINE_MAX_BYTES = 30 << 10, HELD_MAX = 32 << 10 };

static bool write_out(void *arg, str lines);
static int out_fd = STDERR_FILENO;
static struct {
    log_send_fn send;
    void *arg;
    log_tap_fn tap;
    void *tap_arg;
    bool ready, json, hold;
    enum log_level min;
    struct buf lines;    /* being made, and held back */
    uint64_t held, lost; /* lines */
    time_t second;       /* whose text is: */
    char time[32];
} sink = {.send = write_out, .arg = &out_fd, .min = LOG_INFO};

/* A file, a terminal, a pipe of this process's own: it waits for whoever reads. */
static bool write_out(void *arg, str lines) {
    int fd = *(int *)arg;
    while (lines.n) {
        ssize_t n = write(fd, lines.p, lines.n);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false; /* a log that cannot be written must not stop the server */
        lines = str_sub(lines, (size_t)n, lines.n);
    }
    return true;
}

void log_init(int fd, bool json, enum log_level min) {
    out_fd = fd;
    sink.json = json;
    sink.min = min;
    sink.ready = true;
    log_to(NULL, NULL);
}

void log_to(log_send_fn send, void *arg) {
    log_flush();
    sink.send = send ? send : write_out;
    sink.arg = send ? arg : &out_fd;
}

void log_tap(log_tap_fn fn, void *arg) {
    sink.tap = fn;
    sink.tap_arg = arg;
}

struct log_style log_style(void) {
    return (struct log_style){sink.json, sink.min};
}

static const char *const level_name[] = {"debug", "info", "warn", "error"};

/* "2026-01-02T03:04:05.678Z", until it is asked again. */
static str time_text(void) {
    uint64_t ns = clock_wall_ns();
    time_t second = (time_t)(ns / 1000000000u);
    if (second != sink.second) {
        struct tm tm;
        sink.second = second;
        gmtime_r(&second, &tm);
        strftime(sink.time, sizeof sink.time, "%Y-%m-%dT%H:%M:%S.000Z", &tm);
    }
    unsigned ms = (unsigned)(ns / 1000000u % 1000u);
    char *thousandths = strchr(sink.time, 0) - 4;
    thousandths[0] = (char)('0' + ms / 100);
    thousandths[1] = (char)('0' + ms / 10 % 10);
    thousandths[2] = (char)('0' + ms % 10);
    return str_c(sink.time);
}

/* ---- as text ---- */

static bool needs_quotes(str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == ' ' || s.p[i] == '=' || s.p[i] == '"') return true;
    return !s.n;
}

static void put_string(struct buf *b, str s, size_t most) {
    bool quotes = needs_quotes(s);
    if (quotes) buf_putc(b, '"');
    json_escape_most(b, s, most);
    if (quotes) buf_putc(b, '"');
}

static void put_value(struct buf *b, const struct log_field *f, size_t most) {
    switch (f->kind) {
    case LOG_STR:
    case LOG_LINES: put_string(b, f->s, most); break;
    case LOG_U64: buf_u64(b, f->u); break;
    case LOG_I64: buf_i64(b, f->i); break;
    case LOG_F64: buf_thousandths(b, f->f); break;
    case LOG_BOOL: buf_puts(b, f->b ? STR("true") : STR("false")); break;
    }
}

/* "    backtrace:\n      first\n      second\n" */
static void put_lines(struct buf *b, const struct log_field *f, size_t most) {
    size_t end = b->n + most;
    buf_puts(b, STR("    "));
    buf_puts(b, str_c(f->key));
    buf_puts(b, STR(":\n"));
    for (str rest = f->s, line; rest.n && b->n < end;) {
        str_cut(rest, '\n', &line, &rest);
        buf_puts(b, STR("      "));
        json_escape_most(b, line, end - MIN(b->n, end));
        buf_putc(b, '\n');
    }
}

/* For one more value of the line that starts there. */
static size_t room(const struct buf *b, size_t start) {
    return MIN((size_t)VALUE_MAX, LINE_MAX_BYTES - MIN(b->n - start, (size_t)LINE_MAX_BYTES));
}

static void put_text_line(struct buf *b, enum log_level level, const char *event, const struct log_field *fields, size_t n) {
    size_t start = b->n;
    buf_puts(b, time_text());
    buf_putc(b, ' ');
    buf_puts(b, str_c(level_name[level]));
    buf_puts(b, level == LOG_INFO || level == LOG_WARN ? STR("  ") : STR(" "));
    buf_puts(b, str_c(event));
    for (size_t i = 0; i < n; i++) {
        if (fields[i].kind == LOG_LINES) continue;
        buf_putc(b, ' ');
        buf_puts(b, str_c(fields[i].key));
        buf_putc(b, '=');
        put_value(b, &fields[i], room(b, start));
    }
    buf_putc(b, '\n');
    for (size_t i = 0; i < n; i++)
        if (fields[i].kind == LOG_LINES) put_lines(b, &fields[i], room(b, start));
}

/* ---- as JSON ---- */

static void put_member(struct json_writer *w, const struct log_field *f, size_t most) {
    switch (f->kind) {
    case LOG_STR:
    case LOG_LINES: json_put_text(w, f->key, f->s, most); break;
    case LOG_U64: json_put_u64(w, f->key, f->u); break;
    case LOG_I64: json_put_i64(w, f->key, f->i); break;
    case LOG_F64: json_put_ms(w, f->key, f->f); break;
    case LOG_BOOL: json_put_bool(w, f->key, f->b); break;
    }
}

static void put_json_line(struct buf *b, enum log_level level, const char *event, const struct log_field *fields, size_t n) {
    size_t start = b->n;
    struct json_writer w = json_writer_of(b);
    json_put_object(&w, NULL);
    json_put_str(&w, "time", time_text());
    json_put_cstr(&w, "level", level_name[level]);
    json_put_cstr(&w, "event", event);
    for (size_t i = 0; i < n; i++) put_member(&w, &fields[i], room(b, start));
    json_put_end(&w);
    buf_putc(b, '\n');
}

static void put_line(struct buf *b, enum log_level level, const char *event, const struct log_field *fields, size_t n) {
    (sink.json ? put_json_line : put_text_line)(b, level, event, fields, n);
}

/* ---- lines that leave ---- */

void log_hold(bool hold) {
    sink.hold = hold;
    if (!hold) log_flush();
}

void log_flush(void) {
    if (!sink.lines.n && !sink.lost) return;
    if (sink.lost) put_line(&sink.lines, LOG_WARN, "log-lost", &LF_U64("lines", sink.lost), 1);
    if (sink.send(sink.arg, buf_str(&sink.lines))) sink.lost = 0;
    else sink.lost += sink.held;
    sink.lines.n = 0;
    sink.held = 0;
}

void log_format(struct buf *b, enum log_level level, const char *event, const struct log_field *fields, size_t n) {
    put_line(b, level, event, fields, n);
}

void log_format_json(struct buf *b, enum log_level level, const char *event, const struct log_field *fields, size_t n) {
    put_json_line(b, level, event, fields, n);
}

/* True: it goes nowhere else. */
static bool put_tapped(enum log_level level, const char *event, const struct log_field *fields, size_t n) {
    bool alone = false;
    struct buf *own = sink.tap(sink.tap_arg, level, fields, n, &alone);
    if (own) put_json_line(own, level, event, fields, n);
    return own && alone;
}

void log_emit(enum log_level level, const char *event, const struct log_field *fields, size_t n) {
    if (!sink.ready) log_init(STDERR_FILENO, !isatty(STDERR_FILENO), LOG_INFO);
    if (level < sink.min) return;
    if (sink.tap && put_tapped(level, event, fields, n)) return;
    put_line(&sink.lines, level, event, fields, n);
    sink.held++;
    if (!sink.hold || level == LOG_ERROR || sink.lines.n > HELD_MAX) log_flush();
}
