/* party: see party.h. */
#include "net/party_int.h"
#include "net/lane.h"
#include <stdlib.h>
#include <sys/resource.h>

enum { ORPHAN_BYTES_MAX = 16 << 20, SOCKETS_LEAST = 16, SOCKETS_MOST = 1 << 18 };
static struct pool pools[NET_PARTS] = {[NET_PART_ORPHAN_BYTES] = {.max = ORPHAN_BYTES_MAX}};
static struct net_party *own;

static void size_sockets(void) {
    struct rlimit files = {.rlim_cur = 1024};
    getrlimit(RLIMIT_NOFILE, &files);
    pools[NET_PART_SOCKETS].max = MAX(MIN((uint64_t)files.rlim_cur / 4, (uint64_t)SOCKETS_MOST), (uint64_t)SOCKETS_LEAST);
}

struct net_party *net_party_new(void) {
    struct net_party *p = calloc(1, sizeof *p);
    ENSURE(p);
    if (!pools[NET_PART_SOCKETS].max) size_sockets();
    for (int i = 0; i < NET_PARTS; i++) pool_part_open(&p->parts[i], &pools[i], 0);
    for (int i = 0; i < NET_CREWS; i++) p->lines[i] = net_line_new(&net_crews[i]);
    return p;
}

struct net_party *net_party_of(struct net_party *p) {
    if (p) return p;
    if (!own) own = net_party_new();
    return own;
}

struct net_quota *net_party_quota(struct net_party *p) {
    return &net_party_of(p)->quota;
}

struct net_lane *net_party_lane(struct net_party *p) {
    p = net_party_of(p);
    if (!p->lane) p->lane = net_lane_new();
    return p->lane;
}

static bool out(const struct net_party *p) {
    uint64_t used = p->works;
    for (int i = 0; i < NET_PARTS; i++) used += p->parts[i].used;
    return used;
}

void net_party_settle(struct net_party *p) {
    if (!p->left || out(p)) return;
    for (int i = 0; i < NET_PARTS; i++) pool_part_close(&p->parts[i]);
    for (int i = 0; i < NET_CREWS; i++) net_line_free(p->lines[i]);
    net_lane_unref(p->lane);
    free(p);
}

void net_party_free(struct net_party *p) {
    if (!p) return;
    p->left = true;
    net_party_settle(p);
}

bool net_party_take(struct net_party *p, enum net_part part, uint64_t n) {
    return pool_part_take(&net_party_of(p)->parts[part], n) == POOL_OK;
}

void net_party_give(struct net_party *p, enum net_part part, uint64_t n) {
    p = net_party_of(p);
    pool_part_give(&p->parts[part], n);
    net_party_settle(p);
}

uint64_t net_party_used(const struct net_party *p, enum net_part part) {
    return (p ? p : own) ? (p ? p : own)->parts[part].used : 0;
}
