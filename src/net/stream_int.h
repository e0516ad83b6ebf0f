/* What stands behind a stream: who implements one embeds it.
 *
 * `readable` and `writable` tell what is worth trying: true until a call fell short, and true again before `ready` is called.
 */
#ifndef ORLO_NET_STREAM_INT_H
#define ORLO_NET_STREAM_INT_H

#include "crypto/tls.h"
#include "net/stream.h"

struct net_stream_ops {
    ssize_t (*recv)(struct net_stream *s, void *p, size_t n);
    ssize_t (*send)(struct net_stream *s, const void *p, size_t n);
    ssize_t (*sendv)(struct net_stream *s, const struct iovec *parts, int count);
    /* What is in head, and n bytes of a file behind it, without a copy: how many of all went. NULL: it copies. */
    ssize_t (*file)(struct net_stream *s, const void *head, size_t head_n, int fd, uint64_t at, size_t n);
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
void net_plain_events(struct net_plain *p, uint32_t events); /* of epoll; net_stream_tell is the caller's to call */

/* Over a connected socket, watched by the loop. Takes it. */
struct net_sock;
struct net_stream *net_stream_of_sock(struct net_sock *sock);

/* TLS over below; takes both. Nothing can be sent or received before the handshake is done. recv fails at an end that the peer did not announce. */
struct net_loop;
struct net_stream *net_stream_tls(struct net_loop *l, struct net_stream *below, struct crypto_tls *tls);
/* 0: it is done. WAIT: go on when the stream says so. FAILED: *r and *why say for what. */
ssize_t net_stream_handshake(struct net_stream *s, enum crypto_tls_result *r, const char **why);

/* A handshake of a server goes on that waited for a signature; answers as net_stream_handshake, of which WAIT with SIGN says that it waits. */
ssize_t net_stream_signed(struct net_stream *s, str signature, enum crypto_tls_result *r, const char **why);

/* What a kind does that has no better sendv. */
ssize_t net_stream_sendv_each(struct net_stream *s, const struct iovec *parts, int count);

#endif
