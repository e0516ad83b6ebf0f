/* http1: request heads (RFC 9112 §2–3, §5–6).
 *
 * Parsing goes line by line and stops in front of the first line that is not complete; only that line is looked at again when
 * more came. What is wrong in a line is refused as soon as it can be seen.
 */
#include "net/http1_int.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define T (CLASS_TOKEN | CLASS_TARGET | CLASS_TEXT)
#define V (CLASS_TARGET | CLASS_TEXT)
#define H CLASS_HOST
#define X CLASS_HEX
#define B CLASS_TEXT
/* clang-format off */
const uint8_t http1_class[256] = {
    [0x09] = B, [' '] = B, ['!'] = T | H, ['"'] = V, ['#'] = T & ~CLASS_TARGET, ['$'] = T | H, ['%'] = T | H, ['&'] = T | H,
    ['\''] = T | H, ['('] = V | H, [')'] = V | H, ['*'] = T | H, ['+'] = T | H, [','] = V | H, ['-'] = T | H, ['.'] = T | H,
    ['/'] = V, ['0' ... '9'] = T | H | X, [':'] = V | H, [';'] = V | H, ['<'] = V, ['='] = V | H, ['>'] = V, ['?'] = V, ['@'] = V,
    ['A' ... 'F'] = T | H | X, ['G' ... 'Z'] = T | H, ['['] = V | H, ['\\'] = V, [']'] = V | H, ['^'] = T, ['_'] = T | H,
    ['`'] = T, ['a' ... 'f'] = T | H | X, ['g' ... 'z'] = T | H, ['{'] = V, ['|'] = T, ['}'] = V, ['~'] = T | H,
    [0x80 ... 0xff] = B,
};
/* clang-format on */
#undef T
#undef V
#undef H
#undef X
#undef B

size_t http1_scan_text(const uint8_t *p, size_t i, size_t n) {
#ifdef __SSE2__
    const __m128i limit = _mm_set1_epi8(0x1f), del = _mm_set1_epi8(0x7f), tab = _mm_set1_epi8('\t');
    for (; n - i >= 16; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
        __m128i bad = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(v, tab), _mm_cmpeq_epi8(_mm_min_epu8(v, limit), v)),
                                   _mm_cmpeq_epi8(v, del));
        int mask = _mm_movemask_epi8(bad);
        if (mask) return i + (size_t)__builtin_ctz((unsigned)mask);
    }
#endif
    while (i < n && (http1_class[p[i]] & CLASS_TEXT)) i++;
    return i;
}

void http1_head_init(struct http1_head *h, const struct http1_limits *limits, struct net_field *fields) {
    h->limits = limits;
    h->fields = fields;
    h->base = NULL;
    h->bytes = 0;
    h->keep_alive = h->expect_continue = h->chunked = false;
    h->status = 0;
    h->why = NULL;
    h->rq = (struct net_request){.fields = fields};
}

static enum http1_result refuse(struct http1_head *h, uint16_t status, const char *why) {
    h->status = status;
    h->why = why;
    return HTTP1_ERROR;
}

enum http1_result http1_field_line(const uint8_t *p, size_t n, size_t *at, struct net_field *field, const char **why) {
    size_t i = *at, name = i;
    while (i < n && (http1_class[p[i]] & CLASS_TOKEN)) i++;
    if (i == n) return HTTP1_MORE;
    if (i == name || p[i] != ':') {
        bool space = p[i] == ' ' || p[i] == '\t';
        /* §5.2: obs-fold is refused; §5.1: no whitespace between name and colon. */
        *why =
            space ? (i == name ? "line folding in a field" : "whitespace before the colon of a field") : "malformed field name";
        return HTTP1_ERROR;
    }
    field->name = (str){p + name, i - name};
    i++;
    while (i < n && (p[i] == ' ' || p[i] == '\t')) i++;
    size_t value = i;
    i = http1_scan_text(p, i, n);
    if (i == n) return HTTP1_MORE;
    if (p[i] != '\r') {
        *why = p[i] == '\n' ? "line feed without carriage return" : "control character in a field";
        return HTTP1_ERROR;
    }
    if (i + 1 == n) return HTTP1_MORE;
    if (p[i + 1] != '\n') {
        *why = "carriage return without line feed";
        return HTTP1_ERROR;
    }
    *at = i + 2;
    while (i > value && (p[i - 1] == ' ' || p[i - 1] == '\t')) i--;
    field->value = (str){p + value, i - value};
    return HTTP1_DONE;
}

/* ---- request line (RFC 9112 §3) ---- */

static enum http1_result request_line(struct http1_head *h, const uint8_t *p, size_t n, size_t *at) {
    enum { METHOD_BYTES_MAX = 64 };
    size_t i = *at, method = i;
    while (i < n && (http1_class[p[i]] & CLASS_TOKEN)) i++;
    if (i - method > METHOD_BYTES_MAX) return refuse(h, 501, "method too long");
    if (i == n) return HTTP1_MORE;
    if (i == method || p[i] != ' ') return refuse(h, 400, "malformed method");
    h->rq.method = (str){p + method, i - method};
    size_t target = ++i;
    while (i < n && (http1_class[p[i]] & CLASS_TARGET)) i++;
    if (i - target > h->limits->target_bytes_max) return refuse(h, 414, "request target too long");
    if (i == n) return HTTP1_MORE;
    if (i == target || p[i] != ' ') return refuse(h, 400, p[i] == '\r' ? "no HTTP version" : "malformed request target");
    h->rq.path = (str){p + target, i - target};
    i++;
    for (size_t k = 0; k < 8; k++) {
        if (i + k == n) return HTTP1_MORE;
        uint8_t c = p[i + k];
        bool digit = c >= '0' && c <= '9';
        if (k == 5 || k == 7 ? !digit : c != (uint8_t) "HTTP/ . "[k]) return refuse(h, 400, "malformed HTTP version");
    }
    if (p[i + 5] == '2') return refuse(h, 505, "HTTP/2 begins with its preface, and not with a request line");
    if (p[i + 5] != '1') return refuse(h, 505, "HTTP version not supported");
    h->rq.version =
        p[i + 7] == '0' ? NET_HTTP_1_0 : NET_HTTP_1_1; /* a higher minor version is read as the highest known: RFC 9110 §2.5 */
    i += 8;
    if (i == n || (p[i] == '\r' && i + 1 == n)) return HTTP1_MORE;
    if (p[i] != '\r' || p[i + 1] != '\n') return refuse(h, 400, "malformed end of the request line");
    *at = i + 2;
    return HTTP1_DONE;
}

bool http1_authority_ok(str a, bool port_needed) {
    size_t i = 0;
    if (a.n && a.p[0] == ':') return false;
    if (a.n && a.p[0] == '[') {
        i = str_find(a, ']');
        if (i == a.n || i < 3) return false;
        for (size_t k = 1; k < i; k++)
            if (!(http1_class[a.p[k]] & CLASS_HOST) || a.p[k] == '[') return false;
        i++;
    } else {
        while (i < a.n && a.p[i] != ':') {
            if (!(http1_class[a.p[i]] & CLASS_HOST) || a.p[i] == '[' || a.p[i] == ']') return false;
            i++;
        }
    }
    if (i == a.n) return !port_needed;
    if (a.p[i] != ':' || a.n - i > 6 || (port_needed && (i == 0 || a.n - i < 2))) return false;
    for (i++; i < a.n; i++)
        if (a.p[i] < '0' || a.p[i] > '9') return false;
    return true;
}

static enum http1_result absolute_form(struct http1_head *h, uint8_t *target, size_t n) {
    size_t scheme = n > 7 && http1_is(target, "http://", 7) ? 4 : n > 8 && http1_is(target, "https://", 8) ? 5 : 0;
    if (!scheme) return refuse(h, 400, "malformed request target");
    h->rq.scheme = scheme == 4 ? STR("http") : STR("https");
    size_t start = scheme + 3, i = start;
    while (i < n && target[i] != '/' && target[i] != '?') i++;
    if (i == start || !http1_authority_ok((str){target + start, i - start}, false))
        return refuse(h, 400, "malformed authority in the request target");
    h->rq.authority = (str){target + start, i - start};
    if (i < n && target[i] == '?') {
        /* An empty path is "/" (RFC 9112 §3.2.1): the authority moves over the slash before it and makes room. */
        memmove(target + start - 1, target + start, i - start);
        h->rq.authority.p--;
        target[--i] = '/';
    }
    h->rq.path = i < n ? (str){target + i, n - i} : STR("/");
    for (uint32_t k = 0; k < h->rq.fields_count; k++) /* it is what counts, whatever Host says (§3.2.2) */
        if (HTTP1_IS(h->rq.fields[k].name, "host")) ((struct net_field *)(uintptr_t)h->rq.fields)[k].value = h->rq.authority;
    return HTTP1_DONE;
}

/* §3.2: the four forms. */
static enum http1_result resolve_target(struct http1_head *h, str host) {
    str target = h->rq.path;
    h->rq.authority = host;
    if (str_eq(h->rq.method, STR("CONNECT"))) {
        if (!http1_authority_ok(target, true)) return refuse(h, 400, "malformed authority in the request target");
        h->rq.authority = target;
        h->rq.path = (str){0};
        return HTTP1_DONE;
    }
    if (LIKELY(target.p[0] == '/')) return HTTP1_DONE;
    if (target.n == 1 && target.p[0] == '*') {
        if (!str_eq(h->rq.method, STR("OPTIONS"))) return refuse(h, 400, "malformed request target");
        return HTTP1_DONE;
    }
    return absolute_form(h, (uint8_t *)(uintptr_t)target.p, target.n);
}

/* ---- fields that matter to framing ---- */

static void count(uint8_t *n) {
    if (*n < UINT8_MAX) ++*n;
}

static void see_connection(struct http1_seen *s, str value) {
    while (value.n) {
        str token;
        str_cut(value, ',', &token, &value);
        token = str_trim(token);
        if (HTTP1_IS(token, "close")) s->close = true;
        else if (HTTP1_IS(token, "keep-alive")) s->keep_alive = true;
        else if (HTTP1_IS(token, "upgrade")) s->upgrade = true;
    }
}

void http1_see_coding(struct http1_codings *c, str value) {
    for (bool more = true; more;) {
        str token;
        more = str_cut(value, ',', &token, &value);
        token = str_trim(token);
        if (c->chunked) c->bad = true; /* something after chunked, or chunked twice */
        if (HTTP1_IS(token, "chunked")) c->chunked = true;
        else if (HTTP1_IS(token, "gzip") || HTTP1_IS(token, "x-gzip") || HTTP1_IS(token, "deflate") ||
                 HTTP1_IS(token, "compress") || HTTP1_IS(token, "x-compress") || HTTP1_IS(token, "identity"))
            c->other = true;
        else if (net_token_ok(token)) c->unknown = true;
        else c->bad = true;
    }
}

static void see(struct http1_seen *s, const struct net_field *f) {
    switch (f->name.n) {
    case 4:
        if (http1_is(f->name.p, "host", 4)) count(&s->hosts), s->host = f->value;
        break;
    case 6:
        if (http1_is(f->name.p, "expect", 6)) s->expect = f->value;
        break;
    case 10:
        if (http1_is(f->name.p, "connection", 10)) see_connection(s, f->value);
        break;
    case 14:
        if (http1_is(f->name.p, "content-length", 14)) count(&s->lengths), s->length = f->value;
        break;
    case 17:
        if (http1_is(f->name.p, "transfer-encoding", 17)) count(&s->codings), http1_see_coding(&s->coding, f->value);
        break;
    default: break;
    }
}

/* §6.3, and §6.1 for what is refused. */
static enum http1_result resolve_framing(struct http1_head *h, const struct http1_seen *s) {
    if (s->codings) {
        if (s->lengths) return refuse(h, 400, "both content-length and transfer-encoding");
        if (h->rq.version == NET_HTTP_1_0) return refuse(h, 400, "transfer-encoding in HTTP/1.0");
        if (s->coding.unknown) return refuse(h, 501, "unknown transfer coding");
        if (s->coding.bad || !s->coding.chunked) return refuse(h, 400, "transfer-encoding does not end in one chunked");
        if (s->coding.other) return refuse(h, 501, "transfer coding not supported");
        h->chunked = true;
        h->rq.has_body = true;
        h->rq.content_length = UINT64_MAX;
        return HTTP1_DONE;
    }
    if (!s->lengths) return HTTP1_DONE;
    if (s->lengths > 1) return refuse(h, 400, "more than one content-length");
    uint64_t length;
    if (!str_to_u64(s->length, &length) || length > INT64_MAX) return refuse(h, 400, "malformed content-length");
    if (length > h->limits->body_bytes_max) return refuse(h, 413, "request body too large");
    h->rq.has_body = true;
    h->rq.content_length = length;
    return HTTP1_DONE;
}

static enum http1_result resolve(struct http1_head *h, const struct http1_seen *s) {
    /* §3.2: exactly one Host in HTTP/1.1, valid. */
    if (s->hosts > 1) return refuse(h, 400, "more than one host field");
    if (!s->hosts && h->rq.version >= NET_HTTP_1_1) return refuse(h, 400, "no host field");
    if (!http1_authority_ok(s->host, false)) return refuse(h, 400, "malformed host field");
    h->rq.scheme = STR("http");
    enum http1_result r = resolve_target(h, s->host);
    if (r != HTTP1_DONE) return r;
    r = resolve_framing(h, s);
    if (r != HTTP1_DONE) return r;
    h->keep_alive = !s->close && (h->rq.version >= NET_HTTP_1_1 || s->keep_alive);
    if (s->expect.n && h->rq.version >= NET_HTTP_1_1) {
        if (!HTTP1_IS(s->expect, "100-continue")) return refuse(h, 417, "unknown expectation");
        h->expect_continue = h->rq.has_body && h->rq.content_length != 0;
    }
    return HTTP1_DONE;
}

/* ---- the whole head ---- */

/* Empty lines before a request are skipped (§2.2), a few. */
static enum http1_result empty_lines(struct http1_head *h, const uint8_t *p, size_t n, size_t *i) {
    enum { EMPTY_LINES_MAX = 2 };
    for (;; *i += 2) {
        if (*i == n) return HTTP1_MORE;
        if (LIKELY(p[*i] != '\r')) return HTTP1_DONE;
        if (h->empty_lines == EMPTY_LINES_MAX) return refuse(h, 400, "malformed request line");
        if (*i + 1 == n) return HTTP1_MORE;
        if (p[*i + 1] != '\n') return refuse(h, 400, "malformed request line");
        h->empty_lines++;
    }
}

static enum http1_result field_lines(struct http1_head *h, const uint8_t *p, size_t n, size_t *i) {
    for (;;) {
        if (*i == n) return HTTP1_MORE;
        if (p[*i] == '\r') {
            if (*i + 1 == n) return HTTP1_MORE;
            if (p[*i + 1] != '\n') return refuse(h, 400, "carriage return without line feed");
            *i += 2;
            return HTTP1_DONE;
        }
        if (h->rq.fields_count == h->limits->fields_max) return refuse(h, 431, "too many header fields");
        struct net_field *f = &h->fields[h->rq.fields_count];
        enum http1_result r = http1_field_line(p, n, i, f, &h->why);
        if (r != HTTP1_DONE) return r == HTTP1_MORE ? r : refuse(h, 400, h->why);
        see(&h->seen, f);
        h->rq.fields_count++;
    }
}

static enum http1_result parse(struct http1_head *h, uint8_t *p, size_t n, size_t *i) {
    enum http1_result r;
    if (!h->line_done) {
        r = empty_lines(h, p, n, i);
        if (r != HTTP1_DONE) return r;
        r = request_line(h, p, n, i);
        if (r != HTTP1_DONE) return r;
        h->line_done = true;
    }
    return field_lines(h, p, n, i);
}

enum http1_result http1_head_parse(struct http1_head *h, uint8_t *p, size_t n) {
    if (h->base != p) {
        h->base = p;
        h->at = 0;
        h->empty_lines = 0;
        h->line_done = false;
        h->rq.fields_count = 0;
        h->seen = (struct http1_seen){0};
    }
    size_t i = h->at;
    enum http1_result r = parse(h, p, n, &i);
    h->at = (uint32_t)i;
    if (r == HTTP1_ERROR) return r;
    if (UNLIKELY((r == HTTP1_DONE ? i : n) > h->limits->head_bytes_max)) return refuse(h, 431, "header section too large");
    if (r == HTTP1_MORE) return r;
    h->bytes = (uint32_t)i;
    return resolve(h, &h->seen);
}
