/* log: one line an event. Text for people on a terminal, JSON for machines.
 *
 * As text, what has lines of its own (LOG_LINES) follows the event's line, a line each, indented and under its key.
 * Lines leave by one call of the sink each, unless their writer holds them back (log_hold) to send those of one turn at once; errors are
 * never held. A sink takes whole lines or nothing: what it did not take is counted, and the count is the next line. One thread logs.
 */
#include "base/base.h"
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
    bool ready, json, hold;
    enum log_level min;
    struct buf lines;    /* being made, and held back */
    uint64_t held, lost; /* lines */
    time_t second;       /* whose text is: */
    char second_text[24];
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

struct log_style log_style(void) {
    return (struct log_style){sink.json, sink.min};
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

/* A value takes VALUE_MAX bytes at most as it is shown, and no more than what is left of its line: it ends between two characters. */
static void put_text(struct buf *b, str s, size_t most) {
    enum { PIECE = 256 };
    for (size_t end = b->n + most; s.n && b->n + 6 * PIECE <= end;) {
        str piece = str_sub(s, 0, MIN(s.n, (size_t)PIECE));
        while (piece.n < s.n && piece.n > PIECE - 4 && (s.p[piece.n] & 0xc0) == 0x80) piece.n--;
        buf_json_escape(b, piece);
        s = str_sub(s, piece.n, s.n);
    }
    if (s.n) buf_puts(b, STR("\xe2\x80\xa6")); /* an ellipsis */
}

static bool needs_quotes(str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == ' ' || s.p[i] == '=' || s.p[i] == '"') return true;
    return !s.n;
}

static void put_value(struct buf *b, const struct log_field *f, bool json, size_t most) {
    bool quotes = json || ((f->kind == LOG_STR || f->kind == LOG_LINES) && needs_quotes(f->s));
    switch (f->kind) {
    case LOG_STR:
    case LOG_LINES:
        if (quotes) buf_putc(b, '"');
        put_text(b, f->s, most);
        if (quotes) buf_putc(b, '"');
        break;
    case LOG_U64: put_u64(b, f->u); break;
    case LOG_I64: buf_printf(b, "%lld", (long long)f->i); break;
    case LOG_F64: put_f64(b, f->f); break;
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
        put_text(b, line, end - MIN(b->n, end));
        buf_putc(b, '\n');
    }
}

/* For one more value of the line that starts there. */
static size_t room(const struct buf *b, size_t start) {
    return MIN((size_t)VALUE_MAX, LINE_MAX_BYTES - MIN(b->n - start, (size_t)LINE_MAX_BYTES));
}

static void put_line(struct buf *b, enum log_level level, const char *event, const struct log_field *fields, size_t n) {
    bool json = sink.json;
    size_t start = b->n;
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
        put_value(b, &fields[i], json, room(b, start));
    }
    buf_puts(b, json ? STR("}\n") : STR("\n"));
    for (size_t i = 0; !json && i < n; i++)
        if (fields[i].kind == LOG_LINES) put_lines(b, &fields[i], room(b, start));
}

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

void log_emit(enum log_level level, const char *event, const struct log_field *fields, size_t n) {
    if (!sink.ready) log_init(STDERR_FILENO, !isatty(STDERR_FILENO), LOG_INFO);
    if (level < sink.min) return;
    put_line(&sink.lines, level, event, fields, n);
    sink.held++;
    if (!sink.hold || level == LOG_ERROR || sink.lines.n > HELD_MAX) log_flush();
}
