/* loop: one per process; what else is in this room runs on its thread, but for what says otherwise. libuv is behind it, and seen by this room alone.
 *
 * 1. Callbacks come from the loop, never from inside a call made here or in another header of this room, so a caller needs no guard against
 *    re-entrance. (A reply to a wrong use comes as an err at once.)
 * 2. A `str` handed out borrows: each function says until when.
 * 3. A slow peer costs its own connection and bounded memory; nothing here blocks.
 */
#ifndef ORLO_NET_LOOP_H
#define ORLO_NET_LOOP_H

#include "net/party.h"

#define NET_NO_LIMIT UINT32_MAX /* of a deadline in ms: there is none */

struct net_loop;
struct net_loop *net_loop_new(void);    /* after fork, in the process that runs it */
void net_loop_free(struct net_loop *l); /* what was made on it must be freed before */
void net_loop_run(struct net_loop *l);  /* until net_loop_stop; also returns when nothing can happen any more */
void net_loop_stop(struct net_loop *l);
/* Monotonic, as of this turn of the loop: free to call, up to a turn old, 1 ms grain. */
uint64_t net_loop_now_ns(const struct net_loop *l);

/* Where the loop counts, for who watches it from outside: odd while it does something, even while it waits for events. Atomic. */
void net_loop_beat(struct net_loop *l, uint64_t *beats);

/* fn runs before the loop waits for events: what had come since the last time took it so long, and made others wait. Wakes nobody. */
void net_loop_on_rest(struct net_loop *l, void (*fn)(void *arg, uint64_t busy_ns), void *arg);
/* When this turn began, as clock_mono_ns has it: what it found had come by then. Free to call where somebody listens to rests. */
uint64_t net_loop_turn_ns(const struct net_loop *l);

/* The turn hook: fn runs once a turn, after the turn's I/O events were handled, when net_loop_wake was called since, or fn
 * returned true ("more to do") the last time. While it returns true the loop polls I/O without sleeping between calls. */
void net_loop_on_turn(struct net_loop *l, bool (*fn)(void *arg), void *arg);
void net_loop_wake(struct net_loop *l); /* the hook runs before the loop sleeps; from the loop's thread (any callback) */
/* Whether the loop has something to do: it was woken, or a descriptor that it watches is ready. For the turn hook, also from a signal
 * handler on its thread. */
bool net_loop_news(const struct net_loop *l);
/* fn(arg) on the loop's thread, soon; from any thread. */
void net_loop_post(struct net_loop *l, void (*fn)(void *arg), void *arg);
/* fn(arg, signum) on the loop when the signal came. fn NULL: forget it. */
void net_loop_on_signal(struct net_loop *l, int signum, void (*fn)(void *arg, int signum), void *arg);

struct net_timer;
struct net_timer *net_timer_new(struct net_loop *l, void (*fn)(void *arg), void *arg);
void net_timer_start(struct net_timer *t, uint64_t after_ms, uint64_t repeat_ms); /* restarts; repeat_ms 0: once */
void net_timer_stop(struct net_timer *t);
void net_timer_free(struct net_timer *t); /* NULL is fine; also from its own fn */

/* Watches a descriptor (pipe, socketpair, socket), level-triggered. The descriptor stays the caller's. */
enum { NET_READABLE = 1, NET_WRITABLE = 2 };
struct net_watch;
struct net_watch *net_watch_new(struct net_loop *l, int fd, unsigned events, void (*fn)(void *arg, unsigned events), void *arg);
void net_watch_events(struct net_watch *w, unsigned events); /* 0: pause */
void net_watch_free(struct net_watch *w);                    /* before fd is closed; also from its own fn */

/* Work that the kernel may hold up, on another thread: fn(arg) there, then done(arg, ran) on the loop's thread. The threads are
 * four, for the whole process and all parties in turn (party.h), made when they are needed (so after a sandbox was put on), and take no
 * signals. */
struct net_work;
struct net_work *net_work_new(struct net_loop *l, struct net_party *party, void (*fn)(void *arg),
                              void (*done)(void *arg, bool ran), void *arg);
void net_work_cancel(struct net_work *w); /* before done: if fn has not begun it never will, and done is told so */

#endif
