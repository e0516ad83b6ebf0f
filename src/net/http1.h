/* http1: the HTTP/1.1 codec (RFC 9112), both sides. No I/O: as a server bytes in, a request out; a response in, bytes out; as a client
 * the other way round.
 *
 * 1. The same bytes give the same answer however they are split.
 * 2. What two parsers could read in two ways is refused (a request with 400) and the connection closed, not repaired.
 * 3. Nothing here allocates but the trailers of a body, which are rare.
 */
#ifndef ORLO_NET_HTTP1_H
#define ORLO_NET_HTTP1_H

#include "net/exchange_int.h"

struct http1_limits {
    uint32_t head_bytes_max, target_bytes_max, fields_max;
    uint64_t body_bytes_max; /* UINT64_MAX: none */
};

enum http1_result {
    HTTP1_MORE, /* the bytes so far are fine */
    HTTP1_DONE,
    HTTP1_ERROR, /* status and why say what to answer; the connection must be closed after */
};

/* ---- request head ---- */

/* Transfer codings, of one field or of several that are one list (RFC 9110 §5.3). */
struct http1_codings {
    bool chunked, other, unknown, bad; /* bad: something after chunked, or no token */
};

/* What the fields so far say about framing and the connection. */
struct http1_seen {
    str host, length, expect;
    uint8_t hosts, lengths, codings; /* occurrences, saturating */
    struct http1_codings coding;
    bool close, keep_alive, upgrade;
};

struct http1_head {
    const struct http1_limits *limits;
    struct net_field *fields; /* room for limits->fields_max; the caller's */
    struct net_request rq;    /* valid after DONE; points into the bytes parsed and to fields */
    uint32_t bytes;           /* of the head, after DONE */
    const uint8_t *base;      /* the bytes parsed so far stood here; NULL: nothing parsed */
    uint32_t at;              /* offset of the first line that is not parsed */
    uint8_t empty_lines;
    bool line_done; /* the request line is parsed */
    struct http1_seen seen;
    bool keep_alive;
    bool expect_continue;
    bool chunked;
    uint16_t status; /* after ERROR: the answer's status */
    const char *why;
};
/* Ready for a next request. */
void http1_head_init(struct http1_head *h, const struct http1_limits *limits, struct net_field *fields);
/* p[0..n): everything received since the end of the last request. Call again with the same bytes and more after MORE; if they
 * moved in between, parsing begins anew. Writes into p in one case: absolute-form without a path but with a query gets its "/". */
enum http1_result http1_head_parse(struct http1_head *h, uint8_t *p, size_t n);

/* ---- a peer's response head, for a client ---- */

struct http1_answer {
    uint16_t status;
    struct net_field *fields; /* pointing into the head */
    uint32_t fields_count;
    uint64_t length; /* of the body: UINT64_MAX: chunked, or until the connection's end; 0 for one that has none by rule */
    bool chunked, until_close;
    bool keep_alive;      /* the peer does not mean to close */
    enum net_error error; /* after ERROR */
    const char *why;
};
/* Where a head ends in p[0..n), of which p[0..*seen) was looked at before: DONE: behind its empty line at *seen. ERROR: it is none. */
enum http1_result http1_answer_end(const uint8_t *p, size_t n, size_t *seen, const char **why);
/* head: all of one. fields has room for fields_max. method: of the request. */
enum http1_result http1_answer_parse(struct http1_answer *a, str head, str method, uint32_t fields_max);

/* ---- a body that arrives ---- */

struct http1_body {
    uint8_t state;
    bool chunked;
    uint8_t digits;      /* of the chunk size being read */
    uint16_t line_bytes; /* of the extension being read */
    uint32_t ext_bytes;  /* of extensions, less what the data excuses */
    uint64_t left;       /* of the content-length or the chunk */
    uint64_t total, max; /* announced so far; allowed */
    struct buf trailer;  /* the trailer section's bytes */
    struct net_field *trailers;
    uint32_t trailers_count;
    uint16_t status; /* after ERROR */
    const char *why;
};
/* length: UINT64_MAX: chunked; 0: none. bytes_max UINT64_MAX: any. */
void http1_body_init(struct http1_body *b, uint64_t length, uint64_t bytes_max);
void http1_body_free(struct http1_body *b);
/* Looks at p[0..n), the next bytes. *skip: framing bytes done with; the data that follows them, if any, is *data. DONE: the body
 * ended after *skip bytes. MORE with empty data: all of p was used. The data stays until http1_body_took says how much went. */
enum http1_result http1_body_next(struct http1_body *b, const uint8_t *p, size_t n, size_t *skip, str *data);
void http1_body_took(struct http1_body *b, size_t n);
bool http1_body_done(const struct http1_body *b);
/* No more than that, if it was more. ERROR: more is announced already; the body has failed with 413. */
enum http1_result http1_body_limit(struct http1_body *b, uint64_t bytes_max);

/* ---- response ---- */

struct http1_date {
    uint64_t second;
    char text[64]; /* IMF-fixdate (RFC 9110 §5.6.7) */
};
const char *http1_date_text(struct http1_date *d, uint64_t wall_s); /* 29 bytes; formatted once a second */

enum http1_framing {
    HTTP1_FRAME_NONE,   /* no body by rule (HEAD, 204, 304), or its length is in the owner's content-length */
    HTTP1_FRAME_LENGTH, /* as content_length below says */
    HTTP1_FRAME_LATE,   /* the framing field is written later into the gap */
    HTTP1_FRAME_CLOSE,  /* ends with the connection */
};

struct http1_frame {
    bool no_length;   /* leave the owner's content-length out (204) */
    bool close;       /* write connection: close */
    bool keep_alive;  /* write connection: keep-alive (HTTP/1.0) */
    const char *date; /* 29 bytes, or NULL */
    str server;
    str upgrade; /* write connection: upgrade, and to what; empty: neither */
};
enum { HTTP1_GAP_BYTES = 64 }; /* the most that http1_gap_fill writes */
/* Upper bound of what http1_response_write writes, and the gap. */
size_t http1_response_bytes(const struct net_head *r, const struct http1_frame *f);
/* Writes status line and fields, without the framing field and the empty line; returns the end. */
uint8_t *http1_response_write(const struct net_head *r, const struct http1_frame *f, uint8_t *out);
/* What completes a head, into out[0..HTTP1_GAP_BYTES): */
size_t http1_end_plain(uint8_t *out);
size_t http1_end_length(uint8_t *out, uint64_t length);
size_t http1_end_chunked(uint8_t *out);
/* Chunk framing: "1a2b\r\n", at most 18 bytes. */
size_t http1_chunk_head(uint8_t *out, uint64_t n);
/* "0\r\n", trailers, "\r\n" appended to out. ERR_INVALID: a bad trailer, nothing appended. */
[[nodiscard]] err http1_chunk_last(struct buf *out, const struct net_field *trailers, uint32_t count);
/* Fields of the connection, which are not the owner's to set (RFC 9110 §7.6.1). */
bool http1_field_hop(str name);

#endif
