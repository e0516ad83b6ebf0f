/* http1: heads of responses that a peer sends us (RFC 9112 §4–6), read as strictly as those of requests. */
#include "net/http1_int.h"

static enum http1_result wrong(struct http1_answer *a, enum net_error e, const char *why) {
    a->error = e;
    a->why = why;
    return HTTP1_ERROR;
}

enum http1_result http1_answer_end(const uint8_t *p, size_t n, size_t *seen, const char **why) {
    static const char start[] = "HTTP/1.";
    for (size_t i = *seen; i < MIN(n, sizeof start - 1); i++)
        if (p[i] != (uint8_t)start[i]) {
            *why = "what came is not HTTP/1";
            return HTTP1_ERROR;
        }
    for (size_t i = *seen; i < n; i++) {
        const uint8_t *lf = memchr(p + i, '\n', n - i);
        if (!lf) break;
        i = (size_t)(lf - p);
        if (p[i - 1] != '\r') { /* i > 0: the first byte is 'H' */
            *why = "the response has a line feed without carriage return";
            return HTTP1_ERROR;
        }
        if (i >= 3 && p[i - 2] == '\n') {
            *seen = i + 1;
            return HTTP1_DONE;
        }
    }
    *seen = n;
    return HTTP1_MORE;
}

/* "HTTP/1.1 200 OK"; the phrase, and the space before it, may be missing. */
static enum http1_result status_line(struct http1_answer *a, str head, size_t *at, bool *old) {
    const uint8_t *p = head.p;
    size_t n = head.n, i = 9;
    bool digits = n > 14 && p[7] >= '0' && p[7] <= '9' && p[8] == ' ';
    for (; digits && i < 12; i++) digits = p[i] >= '0' && p[i] <= '9';
    if (!digits || p[9] == '0' || (p[12] != ' ' && p[12] != '\r'))
        return wrong(a, NET_HTTP_PROTOCOL_ERROR, "the response has a malformed status line");
    a->status = (uint16_t)((p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0'));
    *old = p[7] == '0';
    i = http1_scan_text(p, i, n);
    if (p[i] != '\r' || p[i + 1] != '\n')
        return wrong(a, NET_HTTP_PROTOCOL_ERROR, "the response has a control character in its status line");
    *at = i + 2;
    return HTTP1_DONE;
}

struct seen {
    uint32_t lengths, codings;
    uint64_t length;
    bool bad_length, close, keep_alive;
    struct http1_codings coding;
};

static bool lists(str value, const char *token) {
    str one;
    while (value.n) {
        str_cut(value, ',', &one, &value);
        if (str_eq_nocase(str_trim(one), str_c(token))) return true;
    }
    return false;
}

static void see(struct seen *s, const struct net_field *f) {
    if (HTTP1_IS(f->name, "content-length")) {
        s->lengths++;
        s->bad_length |= !str_to_u64(f->value, &s->length) || s->length > INT64_MAX;
    } else if (HTTP1_IS(f->name, "transfer-encoding")) {
        s->codings++;
        http1_see_coding(&s->coding, f->value);
    } else if (HTTP1_IS(f->name, "connection")) {
        s->close |= lists(f->value, "close");
        s->keep_alive |= lists(f->value, "keep-alive");
    }
}

/* §6.3, and §6.1 for what is refused. */
static enum http1_result framing(struct http1_answer *a, const struct seen *s, str method, bool old) {
    if (s->bad_length) return wrong(a, NET_HTTP_PROTOCOL_ERROR, "the response has a malformed content-length");
    if (s->lengths > 1) return wrong(a, NET_HTTP_PROTOCOL_ERROR, "the response has more than one content-length");
    if (s->codings && s->lengths)
        return wrong(a, NET_HTTP_PROTOCOL_ERROR, "the response has both content-length and transfer-encoding");
    if (s->codings && old) return wrong(a, NET_HTTP_PROTOCOL_ERROR, "the response has a transfer-encoding in HTTP/1.0");
    if (s->codings && (s->coding.bad || !s->coding.chunked || s->coding.other || s->coding.unknown))
        return wrong(a, NET_HTTP_RESPONSE_TRANSFER_CODING, "the response has a transfer coding that is not chunked");
    a->keep_alive = !s->close && (!old || s->keep_alive);
    if (net_response_bodiless(method, a->status)) {
        a->length = 0;
    } else if (s->codings) {
        a->length = UINT64_MAX;
        a->chunked = true;
    } else if (s->lengths) {
        a->length = s->length;
    } else {
        a->length = UINT64_MAX;
        a->until_close = true;
    }
    return HTTP1_DONE;
}

enum http1_result http1_answer_parse(struct http1_answer *a, str head, str method, uint32_t fields_max) {
    struct seen s = {0};
    size_t at = 0;
    bool old;
    a->fields_count = 0;
    a->chunked = a->until_close = false;
    if (status_line(a, head, &at, &old) != HTTP1_DONE) return HTTP1_ERROR;
    while (at + 2 < head.n) {
        if (a->fields_count == fields_max)
            return wrong(a, NET_HTTP_RESPONSE_HEADER_SECTION_SIZE, "the response has too many header fields");
        struct net_field *f = &a->fields[a->fields_count];
        const char *why = "malformed field";
        if (http1_field_line(head.p, head.n, &at, f, &why) != HTTP1_DONE) return wrong(a, NET_HTTP_PROTOCOL_ERROR, why);
        see(&s, f);
        a->fields_count++;
    }
    return framing(a, &s, method, old);
}
