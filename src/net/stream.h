/* stream: bytes both ways, however they travel: over a socket, by TLS over another stream, in memory.
 *
 * 1. Nothing blocks. What fell short is tried again when the stream says so: fn of net_stream_listen, called from the loop.
 * 2. The two directions end apart: the peer's with a recv that answers 0, ours with net_stream_shutdown.
 * 3. Its owner closes it, once: also after it failed, and also from inside of fn.
 */
#ifndef ORLO_NET_STREAM_H
#define ORLO_NET_STREAM_H

#include <sys/types.h>
#include <sys/uio.h>

#include "net/addr.h"

struct net_stream;
enum {
    NET_STREAM_WAIT = -1,   /* nothing now */
    NET_STREAM_FAILED = -2, /* nothing any more, and that is not the end that it should have had */
};
/* So many bytes, 0: the peer sends no more, or one of the above. n > 0. */
ssize_t net_stream_recv(struct net_stream *s, void *p, size_t n);
/* How many bytes were taken, which may be fewer than n, or one of the above. n > 0. */
ssize_t net_stream_send(struct net_stream *s, const void *p, size_t n);
ssize_t net_stream_sendv(struct net_stream *s, const struct iovec *parts, int count); /* the same of several parts, in order */
/* fn(arg) when it may be worth trying what fell short before, and when it failed. fn NULL: nobody listens. */
void net_stream_listen(struct net_stream *s, void (*fn)(void *arg), void *arg);
bool net_stream_has_input(struct net_stream *s); /* a recv would answer with bytes now */
/* Whoever lent the stream wants it back soon (a server that drains): say goodbye, and close. */
bool net_stream_ending(const struct net_stream *s);
void net_stream_shutdown(struct net_stream *s); /* no more will be sent */
/* reset: so that the peer cannot take this for an orderly end. */
void net_stream_close(struct net_stream *s, bool reset);

#endif
