/* http1: request bodies (RFC 9112 §6–7).
 *
 *   SIZE -> DIGITS -+-> SPACE -> EXT -+-> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE ...
 *                   +-----------------+      \-> (size 0) LINE -+-> IN_LINE -> LINE ...
 *                                                               +-> LAST_LF -> END
 */
#include "net/http1_int.h"

enum { SIZE, DIGITS, SPACE, EXT, SIZE_LF, DATA, DATA_CR, DATA_LF, LINE, IN_LINE, LAST_LF, END };

enum {
    SIZE_DIGITS_MAX = 16,
    EXT_LINE_BYTES_MAX = 256, /* of one chunk's extension */
    EXT_BYTES_MAX = 16 << 10, /* of extensions, beyond two bytes for each of data: a flood of them is an attack */
    TRAILER_BYTES_MAX = 16 << 10,
    TRAILERS_MAX = 64,
};

void http1_body_init(struct http1_body *b, uint64_t length, uint64_t bytes_max) {
    *b = (struct http1_body){.max = bytes_max, .chunked = length == UINT64_MAX};
    b->trailer.max = TRAILER_BYTES_MAX;
    if (b->chunked) {
        b->state = SIZE;
    } else {
        b->state = length ? DATA : END;
        b->left = b->total = length;
    }
}

void http1_body_free(struct http1_body *b) {
    buf_free(&b->trailer);
    free(b->trailers);
    b->trailers = NULL;
    b->trailers_count = 0;
}

bool http1_body_done(const struct http1_body *b) { return b->state == END; }

static enum http1_result refuse(struct http1_body *b, uint16_t status, const char *why) {
    b->status = status;
    b->why = why;
    return HTTP1_ERROR;
}

static enum http1_result too_large(struct http1_body *b) { return refuse(b, 413, "request body too large"); }

enum http1_result http1_body_limit(struct http1_body *b, uint64_t bytes_max) {
    b->max = MIN(b->max, bytes_max);
    if (b->total > b->max && !b->status) return too_large(b);
    return b->status ? HTTP1_ERROR : HTTP1_DONE;
}

static enum http1_result chunk_size_done(struct http1_body *b) {
    b->digits = 0;
    b->line_bytes = 0;
    if (!b->left) {
        b->state = LINE;
        return HTTP1_DONE;
    }
    if (b->left > b->max || b->total > b->max - b->left) return too_large(b);
    b->total += b->left;
    b->ext_bytes -= (uint32_t)MIN((uint64_t)b->ext_bytes, 2 * b->left);
    b->state = DATA;
    return HTTP1_DONE;
}

/* §7.1 and §7.1.1. One byte of a chunk's size line; DONE: go on. */
static enum http1_result size_byte(struct http1_body *b, uint8_t c) {
    switch (b->state) {
    case SIZE:
    case DIGITS:
        if (http1_class[c] & CLASS_HEX) {
            if (++b->digits > SIZE_DIGITS_MAX) return refuse(b, 400, "chunk size too long");
            b->left = b->left << 4 | (c <= '9' ? c - (uint64_t)'0' : (c | 0x20u) - 'a' + 10u);
            if (b->left > INT64_MAX) return refuse(b, 400, "chunk size too large");
            b->state = DIGITS;
            return HTTP1_DONE;
        }
        if (b->state == SIZE) return refuse(b, 400, "malformed chunk size");
        [[fallthrough]];
    case SPACE:
        if (c == ' ' || c == '\t') b->state = SPACE;
        else if (c == ';') b->state = EXT;
        else if (c == '\r' && b->state == DIGITS) b->state = SIZE_LF;
        else return refuse(b, 400, "malformed chunk size");
        break;
    case EXT:
        if (c == '\r') b->state = SIZE_LF;
        else if (!(http1_class[c] & CLASS_TEXT)) return refuse(b, 400, "control character in a chunk extension");
        break;
    default:
        if (c != '\n') return refuse(b, 400, "carriage return without line feed in a chunk");
        return chunk_size_done(b);
    }
    if (c != '\r' && (++b->line_bytes > EXT_LINE_BYTES_MAX || ++b->ext_bytes > EXT_BYTES_MAX))
        return refuse(b, 400, "chunk extension too long");
    return HTTP1_DONE;
}

/* Fields that mean something to framing, routing or authentication may not come late (RFC 9110 §6.5.1): dropped. */
static bool trailer_forbidden(str name) {
    static const str names[] = {STR_INIT("content-length"), STR_INIT("transfer-encoding"),
                                STR_INIT("host"),           STR_INIT("connection"),
                                STR_INIT("trailer"),        STR_INIT("te"),
                                STR_INIT("keep-alive"),     STR_INIT("upgrade"),
                                STR_INIT("authorization"),  STR_INIT("content-encoding"),
                                STR_INIT("content-type"),   STR_INIT("content-range"),
                                STR_INIT("expect"),         STR_INIT("cookie")};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (str_eq_nocase(name, names[i])) return true;
    return false;
}

static enum http1_result parse_trailers(struct http1_body *b) {
    if (!b->trailer.n) return HTTP1_DONE;
    b->trailers = calloc(TRAILERS_MAX, sizeof *b->trailers);
    ENSURE(b->trailers);
    for (size_t i = 0; i < b->trailer.n;) {
        struct net_field f;
        if (http1_field_line(b->trailer.p, b->trailer.n, &i, &f, &b->why) != HTTP1_DONE)
            return refuse(b, 400, b->why ? b->why : "malformed trailer");
        if (trailer_forbidden(f.name)) continue;
        if (b->trailers_count == TRAILERS_MAX) return refuse(b, 431, "too many trailer fields");
        b->trailers[b->trailers_count++] = f;
    }
    return HTTP1_DONE;
}

/* §7.1.2. Takes bytes of the trailer section from p[*i); DONE: go on. */
static enum http1_result trailer_bytes(struct http1_body *b, const uint8_t *p, size_t n, size_t *i) {
    if (b->state == LINE && p[*i] == '\r') {
        ++*i;
        b->state = LAST_LF;
        return HTTP1_DONE;
    }
    if (b->state == LAST_LF) {
        if (p[(*i)++] != '\n') return refuse(b, 400, "carriage return without line feed");
        b->state = END;
        return parse_trailers(b);
    }
    const uint8_t *lf = memchr(p + *i, '\n', n - *i);
    size_t end = lf ? (size_t)(lf - p) + 1 : n;
    if (!buf_put(&b->trailer, p + *i, end - *i)) return refuse(b, 431, "trailer section too large");
    *i = end;
    b->state = lf ? LINE : IN_LINE;
    return HTTP1_DONE;
}

enum http1_result http1_body_next(struct http1_body *b, const uint8_t *p, size_t n, size_t *skip, str *data) {
    size_t i = 0;
    enum http1_result r = b->status ? HTTP1_ERROR : HTTP1_DONE;
    *data = (str){0};
    while (r == HTTP1_DONE && i < n && b->state != END) {
        switch (b->state) {
        case DATA:
            *skip = i;
            *data = (str){p + i, (size_t)MIN(b->left, (uint64_t)(n - i))};
            return HTTP1_MORE;
        case DATA_CR:
            if (p[i++] != '\r') r = refuse(b, 400, "chunk longer than its size");
            else b->state = DATA_LF;
            break;
        case DATA_LF:
            if (p[i++] != '\n') r = refuse(b, 400, "carriage return without line feed after a chunk");
            else b->state = SIZE;
            break;
        case LINE:
        case IN_LINE:
        case LAST_LF: r = trailer_bytes(b, p, n, &i); break;
        default: r = size_byte(b, p[i++]); break;
        }
    }
    *skip = i;
    return r == HTTP1_ERROR ? r : b->state == END ? HTTP1_DONE : HTTP1_MORE;
}

void http1_body_took(struct http1_body *b, size_t n) {
    ENSURE(b->state == DATA && n <= b->left);
    b->left -= n;
    if (!b->left) b->state = b->chunked ? DATA_CR : END;
}
