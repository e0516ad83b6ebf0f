/* name: host names, from what a person writes to what the DNS has (addr.h). */
#include "net/addr.h"

enum { NAME_BYTES_MAX = 253, LABEL_BYTES_MAX = 63 };

/* ---- Punycode (RFC 3492 §6.3) ---- */

enum { BASE = 36, TMIN = 1, TMAX = 26, SKEW = 38, DAMP = 700, BIAS = 72, FIRST = 0x80 };

static uint32_t adapt(uint32_t delta, uint32_t points, bool first) {
    uint32_t k = 0;
    delta = first ? delta / DAMP : delta / 2;
    for (delta += delta / points; delta > (BASE - TMIN) * TMAX / 2; k += BASE) delta /= BASE - TMIN;
    return k + (BASE - TMIN + 1) * delta / (delta + SKEW);
}

static uint8_t digit(uint32_t d) { return (uint8_t)(d < 26 ? 'a' + d : '0' + d - 26); }

static void put_delta(struct buf *to, uint32_t delta, uint32_t bias) {
    for (uint32_t k = BASE;; k += BASE) {
        uint32_t t = k <= bias ? TMIN : k >= bias + TMAX ? TMAX : k - bias;
        if (delta < t) break;
        buf_putc(to, digit(t + (delta - t) % (BASE - t)));
        delta = (delta - t) / (BASE - t);
    }
    buf_putc(to, digit(delta));
}

static void punycode(struct buf *to, const uint32_t *points, uint32_t count) {
    uint32_t done = 0, n = FIRST, delta = 0, bias = BIAS, basic;
    for (uint32_t i = 0; i < count; i++)
        if (points[i] < FIRST) buf_putc(to, (uint8_t)points[i]), done++;
    basic = done;
    if (basic) buf_putc(to, '-');
    while (done < count) {
        uint32_t next = UINT32_MAX;
        for (uint32_t i = 0; i < count; i++)
            if (points[i] >= n) next = MIN(next, points[i]);
        delta += (next - n) * (done + 1); /* at most 0x110000 * 64 */
        n = next;
        for (uint32_t i = 0; i < count; i++) {
            if (points[i] < n) delta++;
            if (points[i] != n) continue;
            put_delta(to, delta, bias);
            bias = adapt(delta, done + 1, done == basic);
            delta = 0;
            done++;
        }
        delta++;
        n++;
    }
}

/* ---- labels ---- */

/* The code points of well-formed UTF-8, ASCII in lower case. False: too many. */
static bool points_of(str label, uint32_t points[static LABEL_BYTES_MAX], uint32_t *count, bool *ascii) {
    *count = 0;
    *ascii = true;
    for (size_t i = 0; i < label.n;) {
        uint32_t c = label.p[i++], more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
        if (more) c &= 0x3fu >> more;
        for (; more; more--) c = c << 6 | (label.p[i++] & 0x3fu);
        if (*count == LABEL_BYTES_MAX) return false;
        if (c >= 'A' && c <= 'Z') c += 'a' - 'A';
        *ascii &= c < 0x80;
        points[(*count)++] = c;
    }
    return true;
}

static bool label_ok(str label) {
    for (size_t i = 0; i < label.n; i++) {
        uint8_t c = label.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_')) return false;
    }
    return label.n && label.n <= LABEL_BYTES_MAX && label.p[0] != '-' && label.p[label.n - 1] != '-';
}

static bool put_label(struct buf *to, str label) {
    uint32_t points[LABEL_BYTES_MAX], count;
    bool ascii;
    size_t from = to->n;
    if (!label.n || !points_of(label, points, &count, &ascii)) return false;
    if (!ascii) {
        for (uint32_t i = 0; i < count; i++)
            if (points[i] >= 0x80 && points[i] <= 0xa0) return false; /* controls, no-break space */
        buf_puts(to, STR("xn--"));
        punycode(to, points, count);
    } else {
        for (uint32_t i = 0; i < count; i++) buf_putc(to, (uint8_t)points[i]);
    }
    return label_ok(str_sub(buf_str(to), from, to->n));
}

/* Digits, or 0x and hexadecimal ones: what inet_aton(3) and its heirs read as a number. */
static bool is_number(str s) {
    bool hex = str_starts(s, STR("0x"));
    size_t n = hex ? 2 : 0;
    while (n < s.n && ((s.p[n] >= '0' && s.p[n] <= '9') || (hex && s.p[n] >= 'a' && s.p[n] <= 'f'))) n++;
    return n == s.n;
}

bool net_name_ascii(arena *out, str name, str *ascii) {
    struct buf to = {.max = 4 * NAME_BYTES_MAX};
    if (name.n > 1 && name.p[name.n - 1] == '.') name.n--;
    bool ok = name.n && name.n <= 4 * NAME_BYTES_MAX && str_is_utf8(name);
    while (ok && name.n) {
        size_t dot = str_find(name, '.');
        ok = put_label(&to, str_sub(name, 0, dot)) && to.n <= NAME_BYTES_MAX && dot + 1 != name.n;
        if (dot < name.n) buf_putc(&to, '.');
        name = str_sub(name, dot + 1, name.n);
    }
    str last = buf_str(&to);
    for (size_t dot; (dot = str_find(last, '.')) < last.n;) last = str_sub(last, dot + 1, last.n);
    ok = ok && !is_number(last);
    if (ok) *ascii = arena_str(out, buf_str(&to));
    buf_free(&to);
    return ok;
}

bool net_name_local(str ascii) {
    static const char *const below[] = {".localhost", ".local", ".internal", ".lan", ".home.arpa", ".cluster.local", ".test"};
    if (str_find(ascii, '.') == ascii.n) return true;
    for (size_t i = 0; i < ARRAY_COUNT(below); i++)
        if (str_ends(ascii, str_c(below[i]))) return true;
    return false;
}
