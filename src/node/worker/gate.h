/* gate: how many requests of an app may be under way, and how many may come.
 *
 * Under way: a pool of the worker's, which has as many places as there may be connections; each app has a part of it, with its own cap (base/pool.h).
 * So one app cannot hold all connections of a worker, however many it is asked for.
 *
 * Coming: a token bucket for each app, on a page that all workers of a node share, so that it does not matter which of them is asked. A bucket is
 * the moment at which it would be full again (the generic cell rate algorithm): one word, changed by compare and swap, that means nothing any
 * more once it has passed. So a bucket that is full is free for another app. Whoever writes nonsense there lets too many in, or too few.
 */
#ifndef ORLO_NODE_GATE_H
#define ORLO_NODE_GATE_H

#include "base/base.h"

enum { NODE_ENDED = 4096 }; /* users who were banned within the life of a token; beyond that those go whose tokens expire first */
enum {
    NODE_RULED = 65536,  /* whom the rates of apps' rules know at the same time */
    NODE_RULED_SET = 16, /* each has one of so many places */
    NODE_RULED_APP = 12, /* of which an app has so many at most: another's flood leaves room */
    NODE_RULED_SHARED = 4096,
    NODE_RULED_WIDE = 64 /* of whom there is no room for, all of a rule together come so many times as often as one */
};
enum { NODE_RATES = 16384 }; /* apps that may be at their rate at the same time, each with a bucket of its own */
struct node_rates {
    struct {
        uint64_t app;                    /* its id + 1; 0: none yet */
        uint64_t full_ns;                /* of clock_mono_ns */
    } of[NODE_RATES], keyed[NODE_RATES]; /* keyed: of what an app's users do, by a hash of what is said of it */
    struct {
        uint64_t user, until_ns;
    } ended[NODE_ENDED]; /* users whose tokens hold no more, by a hash, until the last of those has expired */
    uint64_t ended_ns;   /* the last of them: whoever asks later need not look */
    struct {
        uint64_t who, full_ns;
    } ruled[NODE_RULED], ruled_shared[NODE_RULED_SHARED]; /* who: an app's 16 bits beside 48 of a hash; 0: nobody yet */
    uint8_t salt[32];                                     /* of that hash: nobody chooses names that meet */
};
/* This process's own, where there is no other; never NULL. */
extern struct node_rates *node_rates;
int node_rates_new(void); /* a memory file for all workers; -1: there is none */
[[nodiscard]] err node_rates_map(int fd, struct diag *d);
/* One more request: 0, or the nanoseconds after which there is room for one. burst: so many may come at once. */
/* The same of what a key says, of an app: each so many ns. take false: whether there is room. */
uint64_t node_rates_take_key(uint32_t app, str key, uint64_t each_ns, uint64_t burst, uint64_t now_ns, bool take);
/* Tokens of a user of an app's that were signed before now are nobody's from now on, for so long; 0: they are his again. */
void node_rates_end(uint32_t app, str user, uint64_t for_ns, uint64_t now_ns);
bool node_rates_ended(uint32_t app, str user, uint64_t now_ns);
/* A request by a rule of an app's, and whose it is. Who is counted keeps his place until his bucket is full again, however many others come: they share
 * one when there is no place left. 0, or the nanoseconds after which there is room; take false: without taking it. */
struct node_ruled {
    uint64_t each_ns, burst;
    uint64_t left, full_ns; /* out: so many more at once; until all of the burst is there again */
};
uint64_t node_rates_take_ruled(uint32_t app, uint32_t rule, str key, struct node_ruled *of, uint64_t now_ns, bool take);
uint64_t node_rates_siphash(const uint8_t key[16], str text); /* SipHash-2-4 */
uint64_t node_rates_take(uint32_t app, uint64_t per_second, uint64_t burst, uint64_t now_ns);

#endif
