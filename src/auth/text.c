/* text: what a request says, and how things are written: queries, addresses, times, ids. */
#include "auth/auth_int.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <time.h>

/* ---- requests ---- */

str auth_header(const struct auth_call *c, const char *name) {
    for (uint32_t i = 0; i < c->rq->fields_count; i++)
        if (str_eq_nocase(c->rq->fields[i].name, str_c(name))) return str_trim(c->rq->fields[i].value);
    return (str){0};
}

static int digit(uint8_t d) {
    return d >= '0' && d <= '9' ? d - '0' : (d | 32) >= 'a' && (d | 32) <= 'f' ? (d | 32) - 'a' + 10 : -1;
}

static str decoded(arena *out, str text) {
    uint8_t *p = arena_alloc(out, text.n + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        bool escaped = text.p[i] == '%' && i + 2 < text.n && digit(text.p[i + 1]) >= 0 && digit(text.p[i + 2]) >= 0;
        p[n++] = (uint8_t)(escaped ? digit(text.p[i + 1]) << 4 | digit(text.p[i + 2]) : text.p[i] == '+' ? ' ' : text.p[i]);
        if (escaped) i += 2;
    }
    return (str){p, n};
}

str auth_param(struct auth_call *c, const char *name) {
    str query = c->rq->query, one, key, value;
    while (query.n) {
        str_cut(query, '&', &one, &query);
        str_cut(one, '=', &key, &value);
        if (!str_eqc(decoded(c->mem, key), name)) continue;
        value = decoded(c->mem, value);
        return str_is_utf8(value) && !memchr(value.p, 0, value.n) ? value : (str){0};
    }
    return (str){0};
}

/* curl -d says that of JSON, too; a form that a browser sends has no brace as it is. */
bool auth_is_form(const struct auth_call *c) {
    return str_starts(auth_header(c, "content-type"), STR("application/x-www-form-urlencoded")) &&
           !str_starts(c->rq->body, STR("{"));
}

str auth_text(const struct auth_call *c, const char *key) { return json_str(json_get(&c->body, key)); }

/* ---- limits ---- */

str auth_network(struct auth_call *c) {
    uint8_t ip[16];
    if (str_find(c->rq->address, ':') == c->rq->address.n || inet_pton(AF_INET6, arena_cstr(c->mem, c->rq->address), ip) != 1)
        return c->rq->address;
    return auth_hex(c->mem, ip, 8); /* however it is written */
}

bool auth_limited(struct auth_call *c, const char *what, str whom, uint32_t n, uint64_t window_s) {
    str key = arena_fmt(c->mem, "%s " STR_FMT, what, STR_ARG(whom));
    uint64_t each = window_s * 1'000'000'000u / MAX(n, 1u);
    return !c->failed &&
           (c->host->limit(c->host->arg, key, each, n, true) == 0 || auth_fail(c, AUTH_ERROR_over_request_rate_limit));
}

/* ---- addresses ---- */

static bool is_local(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr(".!#$%&'*+/=?^_`{|}~-", c));
}
static bool is_host(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
}

/* ASCII, so that no letter looks like another's: no line of a mail's head can be made by it. */
const char *auth_address(arena *out, str text, str *email) {
    size_t at = str_find(text, '@');
    bool ok = at > 0 && at <= 64 && at + 1 < text.n && text.p[at + 1] != '.' && text.p[at + 1] != '-' &&
              text.p[text.n - 1] != '.' && text.p[text.n - 1] != '-' && text.p[0] != '.' && text.p[at - 1] != '.';
    if (!text.n) return "An email address is required";
    if (text.n > 255) return "An email address is too long";
    for (size_t i = 0; i < text.n && ok; i++) ok = i < at ? is_local(text.p[i]) : i == at || is_host(text.p[i]);
    for (size_t i = 0; i + 1 < text.n && ok; i++) ok = text.p[i] != '.' || text.p[i + 1] != '.';
    if (!ok) return "Unable to validate email address: invalid format";
    uint8_t *p = arena_alloc(out, text.n + 1, 1);
    for (size_t i = 0; i < text.n; i++) p[i] = text.p[i] >= 'A' && text.p[i] <= 'Z' ? text.p[i] | 32 : text.p[i];
    *email = (str){p, text.n};
    return NULL;
}

bool auth_email(struct auth_call *c, str text, str *email) {
    const char *why = auth_address(c->mem, text, email);
    return !why || auth_fail_text(c, AUTH_ERROR_validation_failed, "%s", why);
}

/* ---- ids and bytes ---- */

bool auth_is_id(str text) {
    bool ok = text.n == AUTH_ID_BYTES;
    for (size_t i = 0; i < text.n && ok; i++)
        ok = i == 8 || i == 13 || i == 18 || i == 23 ? text.p[i] == '-' : digit(text.p[i]) >= 0;
    return ok;
}

str auth_new_id(struct auth_call *c) {
    uint8_t b[16];
    crypto_random(b, sizeof b);
    b[6] = (uint8_t)((b[6] & 15) | 0x40), b[8] = (uint8_t)((b[8] & 63) | 0x80);
    return arena_fmt(c->mem, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4],
                     b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

str auth_hex(arena *out, const uint8_t *p, size_t n) {
    static const char of[] = "0123456789abcdef";
    uint8_t *to = arena_alloc(out, 2 * n + 1, 1);
    for (size_t i = 0; i < n; i++) to[2 * i] = (uint8_t)of[p[i] >> 4], to[2 * i + 1] = (uint8_t)of[p[i] & 15];
    return (str){to, 2 * n};
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

str auth_base64url(arena *out, str bytes) {
    uint8_t *to = arena_alloc(out, bytes.n / 3 * 4 + 5, 1);
    size_t n = 0;
    for (size_t i = 0; i < bytes.n; i += 3) {
        uint32_t v = (uint32_t)bytes.p[i] << 16 | (i + 1 < bytes.n ? (uint32_t)bytes.p[i + 1] << 8 : 0) |
                     (i + 2 < bytes.n ? bytes.p[i + 2] : 0);
        size_t letters_n = MIN(bytes.n - i, (size_t)3) + 1;
        for (size_t k = 0; k < letters_n; k++) to[n++] = (uint8_t)alphabet[v >> (18 - 6 * k) & 63];
    }
    return (str){to, n};
}

bool auth_base64url_read(arena *out, str text, str *bytes) {
    uint8_t *to = arena_alloc(out, text.n / 4 * 3 + 3, 1);
    uint32_t v = 0, bits = 0;
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        const char *at = text.p[i] ? strchr(alphabet, text.p[i]) : NULL;
        if (!at) return false;
        v = v << 6 | (uint32_t)(at - alphabet), bits += 6;
        if (bits >= 8) bits -= 8, to[n++] = (uint8_t)(v >> bits);
        v &= (1u << bits) - 1;
    }
    *bytes = (str){to, n};
    return text.n % 4 != 1 && !v; /* one way to say it, and no other */
}

void auth_put_escaped(struct buf *to, str text) {
    for (size_t i = 0; i < text.n; i++) {
        uint8_t ch = text.p[i];
        bool plain = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '-' || ch == '_' ||
                     ch == '.' || ch == '~';
        if (plain) buf_putc(to, ch);
        else if (ch == ' ') buf_putc(to, '+');
        else buf_printf(to, "%%%02X", ch);
    }
}

/* ---- times ---- */

/* "2024-05-01T10:00:00.123456+00:00", as the tables tell them: in UTC. */
int64_t auth_time_of(const struct json *v) {
    struct tm tm = {0};
    int at = 0;
    const char *text = json_cstr(v);
    if (!text ||
        sscanf(text, "%4d-%2d-%2d%*1[T ]%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec,
               &at) != 6 ||
        !at)
        return INT64_MIN;
    tm.tm_year -= 1900, tm.tm_mon -= 1;
    int64_t us = (int64_t)timegm(&tm) * 1'000'000, unit = 100'000;
    if (text[at] == '.')
        for (const char *p = text + at + 1; *p >= '0' && *p <= '9' && unit; p++, unit /= 10) us += (*p - '0') * unit;
    return us;
}

str auth_time_text(arena *out, int64_t us) {
    time_t s = (time_t)(us / 1'000'000);
    int64_t rest = us % 1'000'000;
    struct tm tm;
    char text[AUTH_TIME_BYTES];
    if (rest < 0) rest += 1'000'000, s--;
    gmtime_r(&s, &tm);
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    str whole = arena_fmt(out, "%.*s.%06lld", (int)n, text, (long long)rest);
    while (whole.p[whole.n - 1] == '0') whole.n--;
    if (whole.p[whole.n - 1] == '.') whole.n--;
    return arena_fmt(out, STR_FMT "Z", STR_ARG(whole));
}

void auth_put_time(struct json_writer *w, const char *key, const struct json *v) {
    int64_t us = auth_time_of(v);
    arena *scratch = us == INT64_MIN ? NULL : arena_new(0);
    if (!scratch) return;
    json_put_str(w, key, auth_time_text(scratch, us));
    arena_free(scratch);
}
