/* lane: connections that have news, in turns by whose they are, so that who has many keeps nobody waiting who has few.
 *
 *   epoll ── news ──> lane of the app that was last asked for on it, or of nobody's ──in turn, so long each──> its protocol
 *
 * 1. A lane has its turn for LANE_NS, all of them together for LANES_NS; then the loop looks for news again, and guests run.
 * 2. A lane with one connection waits for one turn of each other lane that has any, whatever they have in theirs.
 * On the loop's thread; one set of lanes for each loop.
 */
#ifndef ORLO_NET_LANE_H
#define ORLO_NET_LANE_H

#include "net/loop_int.h"

struct net_lane_entry {    /* in a connection */
    struct net_lane *lane; /* NULL: nobody's */
    struct net_lane *in;   /* that it waits in; NULL: in none */
    struct net_lane_entry *prev, *next;
    void (*fn)(struct net_lane_entry *e);
};
struct net_lane *net_lane_new(void); /* with one reference */
void net_lane_unref(struct net_lane *lane);
/* Whose it is from now on; lane NULL: nobody's. */
void net_lane_choose(struct net_lane_entry *e, struct net_lane *lane);
void net_lane_put(struct net_loop *l, struct net_lane_entry *e); /* fn(e) is called in its turn; idempotent */
void net_lane_drop(struct net_lane_entry *e);                    /* it is not, and belongs to none */
void net_lanes_run(struct net_loop *l);                          /* for as long as they may */

#endif
