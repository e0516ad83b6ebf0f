/* http1: responses (RFC 9112 §4–7, RFC 9110 §15). */
#include "net/http1_int.h"
#include <time.h>

const char *http1_date_text(struct http1_date *d, uint64_t wall_s) {
    if (d->second == wall_s && d->text[0]) return d->text;
    static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t t = (time_t)wall_s;
    struct tm tm;
    ENSURE(gmtime_r(&t, &tm));
    snprintf(d->text, sizeof d->text, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * tm.tm_wday, tm.tm_mday,
             months + 3 * tm.tm_mon, (tm.tm_year + 1900) % 10000, tm.tm_hour, tm.tm_min, tm.tm_sec % 100);
    d->second = wall_s;
    return d->text;
}

bool http1_field_hop(str name) {
    switch (name.n) {
    case 7: return HTTP1_IS(name, "upgrade");
    case 10: return HTTP1_IS(name, "connection") || HTTP1_IS(name, "keep-alive");
    case 16: return HTTP1_IS(name, "proxy-connection");
    case 17: return HTTP1_IS(name, "transfer-encoding");
    default: return false;
    }
}

size_t http1_response_bytes(const struct net_head *r, const struct http1_frame *f) {
    enum {
        STATUS_LINE = 9 + 4 + 40,   /* with the longest reason phrase */
        OURS = 6 + 29 + 2 + 24 + 2, /* Date, Connection */
        SERVER = 10,
        UPGRADE = 9 + 2, /* and their values */
        FIELD = 4,
    };
    return STATUS_LINE + OURS + HTTP1_GAP_BYTES + r->bytes + FIELD * (size_t)r->fields_count + SERVER + f->server.n + UPGRADE +
           f->upgrade.n;
}

static uint8_t *put(uint8_t *out, const void *p, size_t n) {
    memcpy(out, p, n);
    return out + n;
}
#define PUT(out, lit) put((out), (lit), sizeof(lit) - 1)

static uint8_t *put_field(uint8_t *out, str name, str value) {
    out = put(out, name.p, name.n);
    *out++ = ':';
    *out++ = ' ';
    if (value.n) out = put(out, value.p, value.n);
    *out++ = '\r';
    *out++ = '\n';
    return out;
}

uint8_t *http1_response_write(const struct net_head *r, const struct http1_frame *f, uint8_t *out) {
    if (LIKELY(r->status == 200)) {
        out = PUT(out, "HTTP/1.1 200 OK\r\n");
    } else {
        out = PUT(out, "HTTP/1.1 ");
        *out++ = (uint8_t)('0' + r->status / 100);
        *out++ = (uint8_t)('0' + r->status / 10 % 10);
        *out++ = (uint8_t)('0' + r->status % 10);
        *out++ = ' ';
        const char *text = net_status_text(r->status);
        out = put(out, text, strlen(text));
        out = PUT(out, "\r\n");
    }
    for (uint32_t i = 0; i < r->fields_count; i++) {
        const struct net_field *field = &r->fields[i];
        if (http1_field_hop(field->name) || (f->no_length && HTTP1_IS(field->name, "content-length"))) continue;
        out = put_field(out, field->name, field->value);
    }
    if (f->date) {
        out = PUT(out, "Date: ");
        out = put(out, f->date, 29);
        out = PUT(out, "\r\n");
    }
    if (f->server.n) out = put_field(out, STR("Server"), f->server);
    if (UNLIKELY(f->upgrade.n)) {
        out = PUT(out, "Connection: upgrade\r\n");
        out = put_field(out, STR("Upgrade"), f->upgrade);
    }
    if (f->close) out = PUT(out, "Connection: close\r\n");
    else if (f->keep_alive) out = PUT(out, "Connection: keep-alive\r\n");
    return out;
}

static size_t put_decimal(uint8_t *out, uint64_t v) {
    uint8_t digits[20];
    size_t n = 0;
    do digits[n++] = (uint8_t)('0' + v % 10);
    while (v /= 10);
    for (size_t i = 0; i < n; i++) out[i] = digits[n - 1 - i];
    return n;
}

size_t http1_end_plain(uint8_t *out) { return (size_t)(PUT(out, "\r\n") - out); }

size_t http1_end_length(uint8_t *out, uint64_t length) {
    uint8_t *p = PUT(out, "Content-Length: ");
    p += put_decimal(p, length);
    return (size_t)(PUT(p, "\r\n\r\n") - out);
}

size_t http1_end_chunked(uint8_t *out) { return (size_t)(PUT(out, "Transfer-Encoding: chunked\r\n\r\n") - out); }

size_t http1_chunk_head(uint8_t *out, uint64_t n) {
    int digits = n ? (67 - __builtin_clzll(n)) / 4 : 1;
    for (int i = digits; i-- > 0; n >>= 4) out[i] = (uint8_t) "0123456789abcdef"[n & 15];
    out[digits] = '\r';
    out[digits + 1] = '\n';
    return (size_t)digits + 2;
}

err http1_chunk_last(struct buf *out, const struct net_field *trailers, uint32_t count) {
    if (!net_fields_ok(trailers, count)) return ERR_INVALID;
    buf_puts(out, STR("0\r\n"));
    for (uint32_t i = 0; i < count; i++) {
        if (http1_field_hop(trailers[i].name) || HTTP1_IS(trailers[i].name, "content-length")) continue;
        buf_puts(out, trailers[i].name);
        buf_puts(out, STR(": "));
        buf_puts(out, trailers[i].value);
        buf_puts(out, STR("\r\n"));
    }
    buf_puts(out, STR("\r\n"));
    return ERR_OK;
}
