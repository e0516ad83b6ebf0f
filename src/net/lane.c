/* lane: see lane.h. */
#include "net/lane.h"
#include <stdlib.h>

/* Alone nobody waits for the end of a turn; where others have been there in the last moment, turns are short, which costs more looks for news. */
enum { LANE_NS = 25'000, LANES_NS = 75'000, LANE_SHARED_NS = 12'000, LANES_SHARED_NS = 36'000, SHARED_FOR_NS = 5'000'000 };

struct net_lane *net_lane_new(void) {
    struct net_lane *lane = calloc(1, sizeof *lane);
    ENSURE(lane);
    lane->refs = 1;
    return lane;
}

void net_lane_unref(struct net_lane *lane) {
    if (!lane || --lane->refs) return;
    ENSURE(!lane->first);
    free(lane);
}

static void leave_ring(struct net_lane *lane) {
    lane->prev->next = lane->next;
    lane->next->prev = lane->prev;
    lane->prev = lane->next = NULL;
}

static void join_ring(struct net_loop *l, struct net_lane *lane) { /* behind all others */
    lane->prev = l->lanes.prev;
    lane->next = &l->lanes;
    lane->prev->next = l->lanes.prev = lane;
}

static void take_out(struct net_lane_entry *e) {
    struct net_lane *lane = e->in;
    *(e->prev ? &e->prev->next : &lane->first) = e->next;
    *(e->next ? &e->next->prev : &lane->last) = e->prev;
    e->in = NULL;
    e->prev = e->next = NULL;
    if (!lane->first && lane->next) leave_ring(lane);
    net_lane_unref(lane);
}

void net_lane_choose(struct net_lane_entry *e, struct net_lane *lane) {
    if (e->lane == lane) return;
    struct net_lane *before = e->lane;
    if (lane) lane->refs++;
    e->lane = lane;
    net_lane_unref(before);
}

void net_lane_put(struct net_loop *l, struct net_lane_entry *e) {
    if (e->in) return;
    struct net_lane *lane = e->lane ? e->lane : &l->nobodys;
    if (!lane->first) join_ring(l, lane);
    lane->refs++;
    e->in = lane;
    e->next = NULL;
    e->prev = lane->last;
    *(lane->last ? &lane->last->next : &lane->first) = e;
    lane->last = e;
}

void net_lane_drop(struct net_lane_entry *e) {
    if (e->in) take_out(e);
    net_lane_choose(e, NULL);
}

/* The first of them, for its time. */
static uint64_t run_lane(struct net_loop *l, struct net_lane *lane, uint64_t now, uint64_t ns) {
    uint64_t end = now + ns;
    leave_ring(lane);
    join_ring(l, lane);
    lane->refs++; /* what runs may let go of it */
    do {
        struct net_lane_entry *e = lane->first;
        take_out(e);
        e->fn(e);
        now = clock_mono_ns();
    } while (lane->first && now < end);
    net_lane_unref(lane);
    return now;
}

void net_lanes_run(struct net_loop *l) {
    uint64_t now = clock_mono_ns();
    if (l->lanes.next != l->lanes.prev) l->shared_until_ns = now + SHARED_FOR_NS;
    bool shared = now < l->shared_until_ns;
    uint64_t end = now + (shared ? LANES_SHARED_NS : LANES_NS);
    while (l->lanes.next != &l->lanes && now < end) now = run_lane(l, l->lanes.next, now, shared ? LANE_SHARED_NS : LANE_NS);
    l->lanes_ran = true;
    if (l->lanes.next != &l->lanes) net_job_queue(l, &l->lanes_job);
}
