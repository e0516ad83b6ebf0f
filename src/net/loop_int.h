/* loop's own. */
#ifndef ORLO_NET_LOOP_INT_H
#define ORLO_NET_LOOP_INT_H

#pragma push_macro("MIN") /* sys/param.h has its own */
#pragma push_macro("MAX")
#include <uv.h>
#pragma pop_macro("MIN")
#pragma pop_macro("MAX")

#include "net/loop.h"

/* Work put off to the end of the turn, so that no callback comes from inside a call (loop.h, invariant 1). */
struct net_job {
    struct net_job *prev, *next; /* NULL: not queued */
    void (*fn)(struct net_job *job);
};

struct net_signal {
    struct net_signal *next;
    uv_signal_t uv;
    void (*fn)(void *arg, int signum);
    void *arg;
};

struct net_post {
    struct net_post *next;
    void (*fn)(void *arg);
    void *arg;
};

/* lane.h */
struct net_lane_entry;
struct net_lane {
    struct net_lane *prev, *next; /* ring of those that have anything; NULL: it has nothing */
    struct net_lane_entry *first, *last;
    uint32_t refs;
};

struct net_loop {
    uv_loop_t uv;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle;
    uv_async_t async;
    bool (*turn)(void *arg);
    void *turn_arg;
    void (*rest)(void *arg, uint64_t busy_ns);
    void *rest_arg;
    uint64_t awake_ns; /* since when, if `rest` is set */
    bool wake, stopped;
    uint64_t *beats; /* of net_loop_beat */
    uint64_t no_beats;
    struct net_job jobs; /* ring */
    struct net_lane lanes /* ring of those that have anything */, nobodys;
    struct net_job lanes_job; /* while they have: the loop does not sleep */
    bool lanes_ran;           /* in this turn */
    uint64_t shared_until_ns; /* several of them had something, not long ago */
    struct net_signal *signals;
    uv_mutex_t posts_lock;
    struct net_post *posts, **posts_end;
    uint32_t holds;
    uint64_t wall_at_ms; /* uv_now when wall_s was read */
    uint64_t wall_s;
};

/* First thing in every callback that comes from inside of the poll: the loop is awake. */
static inline void net_loop_awake(struct net_loop *l) {
    if (*l->beats & 1) return;
    __atomic_store_n(l->beats, *l->beats + 1, __ATOMIC_RELAXED);
    if (l->rest) l->awake_ns = clock_mono_ns();
}
/* What comes from another thread by net_loop_post is no handle: until it has come, the loop must not think that nothing can happen. */
void net_loop_hold(struct net_loop *l);
void net_loop_let_go(struct net_loop *l);
void net_job_queue(struct net_loop *l, struct net_job *job); /* idempotent */
void net_job_cancel(struct net_job *job);
uint64_t net_loop_wall_s(struct net_loop *l); /* seconds since 1970, as of this turn */

#endif
