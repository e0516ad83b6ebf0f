/* party: on whose behalf something of the process's is used. An app has one; so one app cannot use up what there is for all.
 *
 * 1. Threads (loop.h: net_work; sock.h: net_lookup) go from party to party in turn, and one of several never has all of them.
 * 2. What is counted in a pool is bounded as in base/pool.h: one of several leaves the others something.
 * 3. A party is freed by its owner at any time; what is still out for it keeps it.
 * A NULL party is the process's own. On the loop's thread.
 */
#ifndef ORLO_NET_PARTY_H
#define ORLO_NET_PARTY_H

#include "base/base.h"

enum net_part {
    NET_PART_SOCKETS,      /* of guests, in all: a quarter of the descriptors that this process may have */
    NET_PART_ORPHAN_BYTES, /* of work whose owner is gone */
    NET_PARTS
};
struct net_party;
struct net_quota; /* client.h */
struct net_party *net_party_new(void);
void net_party_free(struct net_party *p); /* NULL is fine */
/* Requests of its under way, over all its clients: for its owner to set a cap, and to count in (client.h). */
struct net_quota *net_party_quota(struct net_party *p);
[[nodiscard]] bool net_party_take(struct net_party *p, enum net_part part, uint64_t n);
void net_party_give(struct net_party *p, enum net_part part, uint64_t n);
uint64_t net_party_used(const struct net_party *p, enum net_part part);

#endif
