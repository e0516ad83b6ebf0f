/* HTTP/2 over a connection (RFC 9113): a session of nghttp2's, its streams, and what an exchange is there.
 *
 *   stream ── recv ──> nghttp2 ──callbacks──> streams' heads, bodies          (http2_conn.c)
 *                                                │ due: begin, tell, free
 *   stream <── send ── out <── nghttp2 <──────── heads, queues of responses   (http2_exchange.c)
 *
 * 1. nghttp2 is never called from inside of its own callbacks: they note what came, and a turn sees to the streams that are due.
 * 2. A body that nobody takes is at most a window of its stream's, and all of a connection's are at most a window of the connection's: what is
 *    taken opens them again. A response that the client does not take is no more than the client's windows have room for (of its stream, and of the
 *    connection with all the others' that wait, which are HTTP2_QUEUED_BYTES at most), at most queue_bytes_max, at least HTTP2_LEAST_ROOM, and has
 *    write_ms_max for each of its bytes.
 * 3. A stream's memory stays while its exchange is live. Those count as open, also where the client has reset them: who resets fast gains nothing.
 * 4. What costs the client little and us something (SETTINGS, PING, RST_STREAM, empty DATA …) is counted against what it moves.
 * 5. Who is answered and still sends gets HTTP2_LINGER_MS to read that before his stream is reset (RFC 9113 §8.1): curl 7.88 shows nothing of an answer
 *    that a reset comes with, and of a good one it shows nothing before it has sent everything, for which there is HTTP2_DISCARD_BYTES of room.
 * 6. Of responses that could go, RFC 9218 says which goes first: the request's `priority`, PRIORITY_UPDATE, the response's `priority` in their order. Who
 *    has shown no sign of knowing that gets all of them by turns.
 * 7. A server that drains says so by a GOAWAY that takes everything yet, and by one that names the last stream when the client has seen the first (its
 *    PING came back, or NET_QUIET_MS are over): what was on its way meanwhile is answered.
 */
#ifndef ORLO_NET_HTTP2_CONN_H
#define ORLO_NET_HTTP2_CONN_H

#include "net/priority.h"
#include "net/server_int.h"
#include <nghttp2/nghttp2.h>

enum {
    HTTP2_STREAMS_MAX = 128,
    HTTP2_STREAM_WINDOW = 64 << 10,
    HTTP2_WINDOW = 1 << 20,
    HTTP2_TURN_BYTES = 128 << 10, /* received in a turn; others first */
    HTTP2_CLOSED_KEPT = 256,
    HTTP2_LINGER_MS = 2000,
    HTTP2_DISCARD_BYTES = 1 << 20,
    HTTP2_QUEUED_BYTES = 256 << 10, /* of all of a connection's responses, whatever its window */
    HTTP2_LEAST_ROOM = 4 << 10,     /* for a response, whatever the windows: who opens them byte by byte wakes nobody for each */
};

struct http2_queue { /* bytes that wait, of which `used` are over */
    struct buf b;
    size_t used;
};
static inline size_t http2_queued(const struct http2_queue *q) { return q->b.n - q->used; }

struct http2_tunnel;
struct http2_stream {
    struct net_ring ring; /* of its connection's */
    struct http2_stream *next_due;
    struct http2_conn *h;
    int32_t id;
    arena *mem;                  /* of heads and trailers */
    struct net_request rq, came; /* as its owner has it; as it came, of `fields` */
    struct net_exchange x;
    VEC(struct net_field) fields;
    VEC(struct net_field) trailers;
    struct buf cookie;
    struct http2_queue body, out;
    struct net_head head; /* of the response; its fields are in mem */
    struct net_field *out_trailers;
    uint64_t body_bytes, body_bytes_max;
    uint64_t io_deadline_ns, write_deadline_ns; /* 0: none */
    uint64_t reset_due_ns;                      /* it was answered, and has time to see that; 0: it was not, or has ended */
    struct net_priority priority;
    uint32_t head_bytes, out_trailers_count, discarded;
    uint16_t refused; /* its head is none that can be answered but by this status */
    const char *why;
    bool due;
    bool begun;      /* it has an exchange */
    bool begin_due;  /* its head is whole */
    bool trailing;   /* what is received are trailers */
    bool body_ended; /* the client sends no more of it */
    bool closed;     /* nghttp2 knows nothing of it any more */
    bool head_due;   /* of the response, which is not submitted */
    bool head_sent;  /* submitted */
    bool out_ended;
    bool all_sent;  /* its last frame has left nghttp2 */
    bool deferred;  /* nghttp2 waits for more of out */
    bool flush_due; /* what was written has not left: tell when it has */
    bool gone_told, continue_due;
    bool was_reset;   /* by us */
    bool prioritized; /* by the client: `priority` is his, or his default */
    bool relayed;     /* its exchange is nobody's who is told of the server's end */
    bool tunnelled;   /* its exchange was upgraded: neither body has a length, or a time between two of its pieces */
    bool handing;     /* and was ended since: upgrade.fn is due */
    struct net_upgrade upgrade;
    struct http2_tunnel *tunnel; /* NULL: none, or closed */
};

struct http2_conn {
    struct net_conn *c;
    nghttp2_session *session;
    struct net_ring streams;
    struct http2_stream *due, **due_end;
    struct http2_stream *last; /* that a frame was of; NULL: to be looked for */
    uint32_t streams_count;
    uint64_t io_deadline_ns, write_deadline_ns;
    uint64_t credit, credit_at_ns; /* for what costs little */
    size_t out_queued;             /* of all streams' responses */
    uint64_t last_due_ns; /* of a connection that drains: when its last stream is named at the latest; 0: it does not, or was */
    /* Streams that ended last, by turns: their numbers, which are odd; one less: by our own reset, so that what was under way may still come. */
    uint32_t closed[HTTP2_CLOSED_KEPT];
    uint32_t closed_count, newest;
    uint8_t frame_head[9]; /* of the frame that comes, so far */
    uint32_t frame_have, frame_left;
    bool idle; /* it counts among those that rest */
    bool eof, failed;
    bool frame_is_priority; /* whose stream may still be the one that it depends on */
    bool in_turn, expired, ends;
    bool knows_priorities; /* its client has shown a sign of RFC 9218 */
    bool window_news;      /* who waits for room may have some */
    bool drains, seen_draining;
};

/* The connection speaks HTTP/2 from here on; c->in has what came of it. */
void http2_conn_begin(struct net_conn *c);

/* http2_conn.c */
void http2_stream_due(struct http2_stream *st);         /* the turn sees to it */
void http2_consumed(struct http2_stream *st, size_t n); /* of its body: its windows open again */
void http2_reset(struct http2_stream *st, uint32_t code);
uint64_t http2_after_ms(const struct http2_stream *st, uint32_t ms);
void http2_queue_put(struct http2_stream *st, struct http2_queue *q, str data);
void http2_queue_take(struct http2_stream *st, struct http2_queue *q, size_t n);

/* http2_exchange.c */
void http2_exchange_begin(struct http2_stream *st);
void http2_exchange_progress(struct http2_stream *st); /* what the owner is to be told, what of the response is to go */
void http2_exchange_abandon(struct http2_stream *st);  /* the server goes */
void http2_exchange_refuse(struct http2_stream *st, uint16_t status, const char *why);
void http2_exchange_expired(struct http2_stream *st, uint64_t now_ns);
bool http2_exchange_next_deadline(const struct http2_stream *st, uint64_t now_ns); /* one of its has passed */

/* http2_tunnel.c: an extended CONNECT (RFC 8441) */
void http2_tunnel_begin(struct http2_stream *st);
void http2_tunnel_ending(struct http2_stream *st);  /* its connection drains; it has a tunnel */
void http2_tunnel_abandon(struct http2_stream *st); /* the server goes */

#endif
