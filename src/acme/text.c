/* text: what authorities write: URLs, times, tokens, problems (RFC 9457), certificates. */
#include "acme/acme_int.h"
#include "base/json.h"

/* ---- tokens and URLs ---- */

static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }
static bool is_word(uint8_t c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_'; }

bool acme_token_is(str s, size_t n_min, size_t n_max) {
    if (s.n < n_min || s.n > n_max) return false;
    for (size_t i = 0; i < s.n; i++)
        if (!is_word(s.p[i])) return false;
    return true;
}

/* No user, no fragment, nothing that is to be escaped. */
bool acme_url_parts(str url, str *scheme, str *authority, str *path) {
    static const str https = STR_INIT("https://");
    if (url.n > ACME_URL_MAX || !str_starts(url, https)) return false;
    str rest = str_sub(url, https.n, url.n);
    size_t slash = str_find(rest, '/');
    *scheme = STR("https");
    *authority = str_sub(rest, 0, slash);
    *path = str_sub(rest, slash, rest.n);
    if (!authority->n || !path->n) return false;
    for (size_t i = 0; i < authority->n; i++) {
        uint8_t c = authority->p[i];
        if (!is_word(c) && c != '.' && c != ':' && c != '[' && c != ']') return false;
    }
    for (size_t i = 0; i < path->n; i++)
        if (path->p[i] <= ' ' || path->p[i] >= 0x7f || strchr("#\\\"<>^`{|}", path->p[i])) return false;
    return true;
}

bool acme_url_is(str url) {
    str scheme, authority, path;
    return acme_url_parts(url, &scheme, &authority, &path);
}

/* ---- times ---- */

static bool number(str s, size_t at, size_t n, uint32_t least, uint32_t most, uint32_t *out) {
    uint64_t v;
    if (at + n > s.n || !str_to_u64(str_sub(s, at, n), &v) || v < least || v > most) return false;
    *out = (uint32_t)v;
    return true;
}

/* Days since 1970 of a day of the Gregorian calendar, from 1970 to 9999. */
static uint64_t days(uint32_t y, uint32_t m, uint32_t d) {
    uint32_t a = m <= 2, yy = y - a, era = yy / 400, of_era = yy - era * 400;
    uint32_t of_year = (153 * (m + (a ? 9 : -3u)) + 2) / 5 + d - 1;
    return (uint64_t)era * 146'097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719'468;
}

static bool take_offset(str rest, int64_t *s) {
    uint32_t h, m;
    if (str_eqc(rest, "Z") || str_eqc(rest, "z")) return true;
    if (rest.n != 6 || (rest.p[0] != '+' && rest.p[0] != '-') || rest.p[3] != ':') return false;
    if (!number(rest, 1, 2, 0, 23, &h) || !number(rest, 4, 2, 0, 59, &m)) return false;
    *s -= (rest.p[0] == '+' ? 1 : -1) * (int64_t)(h * 3600 + m * 60);
    return true;
}

bool acme_time(str t, uint64_t *out) {
    uint32_t y, mo, d, h, mi, s;
    size_t at = 19;
    if (t.n < 20 || t.p[4] != '-' || t.p[7] != '-' || (t.p[10] != 'T' && t.p[10] != 't') || t.p[13] != ':' || t.p[16] != ':')
        return false;
    if (!number(t, 0, 4, 1970, 9999, &y) || !number(t, 5, 2, 1, 12, &mo) || !number(t, 8, 2, 1, 31, &d)) return false;
    if (!number(t, 11, 2, 0, 23, &h) || !number(t, 14, 2, 0, 59, &mi) || !number(t, 17, 2, 0, 60, &s)) return false;
    if (t.p[at] == '.')
        for (at++; at < t.n && is_digit(t.p[at]);) at++;
    int64_t v = (int64_t)(days(y, mo, d) * 86'400) + h * 3600 + mi * 60 + s;
    if (!take_offset(str_sub(t, at, t.n), &v) || v < 0) return false;
    *out = (uint64_t)v;
    return true;
}

/* "Fri, 31 Dec 1999 23:59:59 GMT" (RFC 9110 §5.6.7: its one form that is sent). */
static bool http_date(str t, uint64_t *out) {
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    uint32_t d, y, h, mi, s, m = 0;
    if (t.n != 29 || !str_ends(t, STR(" GMT")) || t.p[3] != ',') return false;
    while (m < 12 && memcmp(months + 3 * m, t.p + 8, 3)) m++;
    if (m == 12 || !number(t, 5, 2, 1, 31, &d) || !number(t, 12, 4, 1970, 9999, &y)) return false;
    if (!number(t, 17, 2, 0, 23, &h) || !number(t, 20, 2, 0, 59, &mi) || !number(t, 23, 2, 0, 60, &s)) return false;
    *out = days(y, m + 1, d) * 86'400 + h * 3600 + mi * 60 + s;
    return true;
}

uint64_t acme_retry_after_s(str text, uint64_t now_s) {
    enum { MOST_S = 31 * 86'400 };
    uint64_t v;
    text = str_trim(text);
    if (text.n > 9 && text.n < 25 && str_to_u64(text, &v)) return MOST_S;
    if (str_to_u64(text, &v)) return MIN(v, (uint64_t)MOST_S);
    return http_date(text, &v) && v > now_s ? MIN(v - now_s, (uint64_t)MOST_S) : 0;
}

/* ---- problems ---- */

static void put_plain(struct buf *to, str s, size_t most) {
    size_t n = str_utf8_prefix(str_sub(s, 0, most));
    for (size_t i = 0; i < n; i++) buf_putc(to, s.p[i] >= ' ' && s.p[i] != 0x7f ? s.p[i] : ' ');
}

static void put_type(struct buf *to, str type) {
    static const str urn = STR_INIT("urn:ietf:params:acme:error:");
    if (str_starts(type, urn)) type = str_sub(type, urn.n, type.n);
    put_plain(to, type, 100);
}

void acme_problem(struct buf *to, const struct json *p, uint32_t status) {
    enum { PARTS = 4, DETAIL = 400 };
    str type = json_str(json_get(p, "type")), detail = json_str(json_get(p, "detail"));
    if (!detail.n) detail = json_str(json_get(p, "title"));
    if (status) buf_printf(to, "HTTP %u", status);
    if (status && (type.n || detail.n)) buf_puts(to, STR(": "));
    put_type(to, type);
    if (type.n && detail.n) buf_puts(to, STR(": "));
    put_plain(to, detail, DETAIL);
    const struct json *parts = json_get(p, "subproblems");
    for (uint32_t i = 0; i < MIN(json_count(parts), (uint32_t)PARTS); i++) {
        const struct json *part = json_item(parts, i);
        buf_puts(to, STR("; "));
        put_plain(to, json_str(json_get(json_get(part, "identifier"), "value")), 100);
        buf_puts(to, STR(": "));
        put_plain(to, json_str(json_get(part, "detail")), 200);
    }
}

/* ---- certificates ---- */

bool acme_certificate_name(str key_identifier, str serial, char out[ACME_CERTIFICATE_MAX]) {
    struct buf b = {.p = (uint8_t *)out, .cap = ACME_CERTIFICATE_MAX - 1, .max = ACME_CERTIFICATE_MAX - 1};
    if (!key_identifier.n || !serial.n) return false;
    acme_base64url(&b, key_identifier);
    buf_putc(&b, '.');
    acme_base64url(&b, serial);
    out[b.n] = 0;
    return !b.full;
}

static int digit64(uint8_t c) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Lines of base64 (RFC 7468 §3). False: something else is among them. */
static bool base64(arena *out, str text, str *bytes) {
    uint8_t *p = arena_alloc(out, text.n / 4 * 3 + 3, 1);
    uint32_t v = 0, bits = 0, pads = 0;
    size_t n = 0, letters = 0;
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        if (c == '\n' || c == '\r') continue;
        letters++;
        if (c == '=') {
            pads++;
            continue;
        }
        int d = digit64(c);
        if (d < 0 || pads) return false;
        v = v << 6 | (uint32_t)d, bits += 6;
        if (bits >= 8) bits -= 8, p[n++] = (uint8_t)(v >> bits), v &= (1u << bits) - 1;
    }
    *bytes = (str){p, n};
    return n && pads <= 2 && letters % 4 == 0 && !v;
}

static str skip_blank(str s) {
    while (s.n && (s.p[0] == '\n' || s.p[0] == '\r' || s.p[0] == ' ' || s.p[0] == '\t')) s = str_sub(s, 1, s.n);
    return s;
}

uint32_t acme_chain_read(arena *out, str pem, str der[ACME_CHAIN_CERTS_MAX]) {
    static const str begin = STR_INIT("-----BEGIN CERTIFICATE-----"), end = STR_INIT("-----END CERTIFICATE-----");
    uint32_t count = 0;
    if (pem.n > ACME_CHAIN_MAX) return 0;
    for (pem = skip_blank(pem); pem.n; pem = skip_blank(pem)) {
        if (count == ACME_CHAIN_CERTS_MAX || !str_starts(pem, begin)) return 0;
        pem = str_sub(pem, begin.n, pem.n);
        size_t n = str_find(pem, '-');
        if (!base64(out, str_sub(pem, 0, n), &der[count++])) return 0;
        pem = str_sub(pem, n, pem.n);
        if (!str_starts(pem, end)) return 0;
        pem = str_sub(pem, end.n, pem.n);
    }
    return count;
}
