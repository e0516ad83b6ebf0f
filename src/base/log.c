/* log: one line an event. Text for people on a terminal, JSON for machines.
 *
 * As text, what has lines of its own (LOG_LINES) follows the event's line, a line each, indented and under its key.
 * A line is one write(2), unless its writer holds lines back (log_hold) to write those of one turn at once; errors are never
 * held. One thread logs.
 */
#include "base/base.h"
#include <time.h>
#include <unistd.h>

enum { VALUE_MAX = 16 << 10, HELD_MAX = 32 << 10 }; /* bytes of a string that are shown; of lines held back */

static struct {
    int fd;
    bool ready, json, hold;
    enum log_level min;
    struct buf lines; /* being made, and held back */
    time_t second;    /* whose text is: */
    char second_text[24];
} sink = {.fd = STDERR_FILENO, .min = LOG_INFO};

void log_init(int fd, bool json, enum log_level min) {
    sink.fd = fd;
    sink.json = json;
    sink.min = min;
    sink.ready = true;
}

static const char *const level_name[] = {"debug", "info", "warn", "error"};

static void put_time(struct buf *b) {
    uint64_t ns = clock_wall_ns();
    time_t second = (time_t)(ns / 1000000000u);
    if (second != sink.second) {
        struct tm tm;
        sink.second = second;
        gmtime_r(&second, &tm);
        strftime(sink.second_text, sizeof sink.second_text, "%Y-%m-%dT%H:%M:%S", &tm);
    }
    unsigned ms = (unsigned)(ns / 1000000u % 1000u);
    char tail[5] = {'.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10), 'Z'};
    buf_puts(b, str_c(sink.second_text));
    buf_put(b, tail, sizeof tail);
}

static void put_u64(struct buf *b, uint64_t v) {
    char text[20], *p = text + sizeof text;
    do *--p = (char)('0' + v % 10);
    while (v /= 10);
    buf_put(b, p, (size_t)(text + sizeof text - p));
}

/* Three decimals. printf takes as long for one as all else of an access log's line. */
static void put_f64(struct buf *b, double v) {
    if (!(v >= 0 && v < 1e12)) {
        buf_printf(b, "%.3f", v);
        return;
    }
    uint64_t thousandths = (uint64_t)(v * 1000 + 0.5);
    unsigned rest = (unsigned)(thousandths % 1000);
    char tail[4] = {'.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10), (char)('0' + rest % 10)};
    put_u64(b, thousandths / 1000);
    buf_put(b, tail, sizeof tail);
}

/* The beginning of a long string, cut between two characters. */
static str shown(str s) {
    if (s.n <= VALUE_MAX) return s;
    s.n = VALUE_MAX;
    while (s.n && (s.p[s.n] & 0xc0) == 0x80) s.n--;
    return s;
}

static bool needs_quotes(str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == ' ' || s.p[i] == '=' || s.p[i] == '"') return true;
    return !s.n;
}

static void put_value(struct buf *b, const struct log_field *f, bool json) {
    switch (f->kind) {
    case LOG_STR:
    case LOG_LINES:
        if (json || needs_quotes(f->s)) buf_putc(b, '"'), buf_json_escape(b, shown(f->s)), buf_putc(b, '"');
        else buf_json_escape(b, shown(f->s));
        break;
    case LOG_U64: put_u64(b, f->u); break;
    case LOG_I64: buf_printf(b, "%lld", (long long)f->i); break;
    case LOG_F64: put_f64(b, f->f); break;
    case LOG_BOOL: buf_puts(b, f->b ? STR("true") : STR("false")); break;
    }
}

/* "    backtrace:\n      first\n      second\n" */
static void put_lines(struct buf *b, const struct log_field *f) {
    buf_puts(b, STR("    "));
    buf_puts(b, str_c(f->key));
    buf_puts(b, STR(":\n"));
    for (str rest = shown(f->s), line; rest.n;) {
        str_cut(rest, '\n', &line, &rest);
        buf_puts(b, STR("      "));
        buf_json_escape(b, line);
        buf_putc(b, '\n');
    }
}

static void put_line(struct buf *b, enum log_level level, const char *event, const struct log_field *fields, size_t n) {
    bool json = sink.json;
    if (json) buf_puts(b, STR("{\"time\":\""));
    put_time(b);
    buf_puts(b, json ? STR("\",\"level\":\"") : STR(" "));
    buf_puts(b, str_c(level_name[level]));
    buf_puts(b, json ? STR("\",\"event\":\"") : level == LOG_INFO || level == LOG_WARN ? STR("  ") : STR(" "));
    buf_puts(b, str_c(event));
    if (json) buf_putc(b, '"');
    for (size_t i = 0; i < n; i++) {
        if (!json && fields[i].kind == LOG_LINES) continue;
        buf_puts(b, json ? STR(",\"") : STR(" "));
        buf_puts(b, str_c(fields[i].key));
        buf_puts(b, json ? STR("\":") : STR("="));
        put_value(b, &fields[i], json);
    }
    buf_puts(b, json ? STR("}\n") : STR("\n"));
    for (size_t i = 0; !json && i < n; i++)
        if (fields[i].kind == LOG_LINES) put_lines(b, &fields[i]);
}

void log_hold(bool hold) {
    sink.hold = hold;
    if (!hold) log_flush();
}

void log_flush(void) {
    if (sink.lines.n && write(sink.fd, sink.lines.p, sink.lines.n) < 0) { /* a log that cannot be written must not stop the server */
    }
    sink.lines.n = 0;
}

void log_emit(enum log_level level, const char *event, const struct log_field *fields, size_t n) {
    if (!sink.ready) log_init(STDERR_FILENO, !isatty(STDERR_FILENO), LOG_INFO);
    if (level < sink.min) return;
    put_line(&sink.lines, level, event, fields, n);
    if (!sink.hold || level == LOG_ERROR || sink.lines.n > HELD_MAX) log_flush();
    if (!sink.lines.n && sink.lines.cap > 4 * HELD_MAX) buf_free(&sink.lines); /* after a giant */
}
