/* What stands behind a stream: who implements one embeds it.
 *
 * `readable` and `writable` tell what is worth trying: true until a call fell short, and true again before `ready` is called.
 */
#ifndef ORLO_NET_STREAM_INT_H
#define ORLO_NET_STREAM_INT_H

#include "net/stream.h"

struct net_stream_ops {
    ssize_t (*recv)(struct net_stream *s, void *p, size_t n);
    ssize_t (*send)(struct net_stream *s, const void *p, size_t n);
    ssize_t (*sendv)(struct net_stream *s, const struct iovec *parts, int count);
    bool (*has_input)(struct net_stream *s);
    bool (*local)(struct net_stream *s,
                  struct net_addr *out);  /* where the peer connected to; false: nowhere that has an address */
    void (*listen)(struct net_stream *s); /* ready was changed; NULL: that is nothing to this kind */
    void (*shutdown)(struct net_stream *s);
    void (*close)(struct net_stream *s, bool reset);
};
struct net_stream {
    const struct net_stream_ops *ops;
    void (*ready)(void *arg);
    void *arg;
    bool readable, writable;
    bool half_closed; /* the peer's end was announced; what came before it may still have to be read */
    bool failed;
    bool ending;
};
static inline void net_stream_tell(struct net_stream *s) {
    if (s->ready) s->ready(s->arg);
}

/* A connected socket, non-blocking, whose events somebody else watches, edge-triggered. */
struct net_plain {
    struct net_stream s;
    int fd;
    bool shut; /* for sending */
};
void net_plain_init(struct net_plain *p, int fd);            /* takes fd */
void net_plain_events(struct net_plain *p, uint32_t events); /* of epoll */

#endif
