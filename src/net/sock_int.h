/* What the parts of sock share. */
#ifndef ORLO_NET_SOCK_INT_H
#define ORLO_NET_SOCK_INT_H

#include "net/sock.h"

struct net_sock {
    struct net_loop *loop;
    int fd;
    enum net_sock_kind kind;
    bool v6;
    bool shut_after; /* sending ends with the queue */
    bool lingering;  /* its owner is gone, its queue is not */
    unsigned watched;
    struct net_watch *watch;    /* NULL until somebody waits */
    struct net_wait lines[2];   /* rings: who waits for reading, for writing */
    struct net_wait round;      /* who is being told */
    bool *freed;                /* set by net_sock_free while waits are told */
    struct net_timer *deadline; /* of lingering */
    struct buf queue;
    size_t queue_sent; /* of the queue's bytes */
    enum net_sock_error queue_error;
};

struct net_sock *net_sock_wrap(struct net_loop *l, int fd, enum net_sock_kind kind, bool v6); /* takes fd */
static inline bool net_queued(const struct net_sock *s) { return s->queue_sent < s->queue.n; }

#endif
