/* log: one line an event, one write(2) a line. Text for people on a terminal, JSON for machines. */
#include "base/base.h"
#include <time.h>
#include <unistd.h>

static struct {
    int fd;
    bool ready, json;
    enum log_level min;
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
    time_t seconds = (time_t)(ns / 1000000000u);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
               tm.tm_min, tm.tm_sec, (unsigned)(ns / 1000000u % 1000u));
}

static void put_value(struct buf *b, const struct log_field *f, bool json) {
    switch (f->kind) {
    case LOG_STR:
        if (json) buf_putc(b, '"'), buf_json_escape(b, f->s), buf_putc(b, '"');
        else buf_json_escape(b, f->s);
        break;
    case LOG_U64: buf_printf(b, "%llu", (unsigned long long)f->u); break;
    case LOG_I64: buf_printf(b, "%lld", (long long)f->i); break;
    case LOG_F64: buf_printf(b, "%.3f", f->f); break;
    case LOG_BOOL: buf_puts(b, f->b ? STR("true") : STR("false")); break;
    }
}

void log_emit(enum log_level level, const char *event, const struct log_field *fields, size_t n) {
    if (!sink.ready) log_init(STDERR_FILENO, !isatty(STDERR_FILENO), LOG_INFO);
    if (level < sink.min) return;
    struct buf b = {.max = 64 * KiB};
    if (sink.json) {
        buf_puts(&b, STR("{\"time\":\""));
        put_time(&b);
        buf_printf(&b, "\",\"level\":\"%s\",\"event\":\"%s\"", level_name[level], event);
    } else {
        put_time(&b);
        buf_printf(&b, " %-5s %s", level_name[level], event);
    }
    for (size_t i = 0; i < n; i++) {
        buf_printf(&b, sink.json ? ",\"%s\":" : " %s=", fields[i].key);
        put_value(&b, &fields[i], sink.json);
    }
    if (b.full) b.n = MIN(b.n, (size_t)(64 * KiB - 2)); /* a cut line beats a lost one */
    b.max = 0;
    buf_puts(&b, sink.json ? STR("}\n") : STR("\n"));
    if (write(sink.fd, b.p, b.n) < 0) { /* a log that cannot be written must not stop the server */
    }
    buf_free(&b);
}
