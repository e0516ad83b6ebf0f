/* party's own, and the crews there are. */
#ifndef ORLO_NET_PARTY_INT_H
#define ORLO_NET_PARTY_INT_H

#include "net/client.h"
#include "net/crew.h"
#include "net/party.h"

enum { NET_CREW_WORK, NET_CREW_LOOKUP, NET_CREWS };
extern struct net_crew net_crews[NET_CREWS];

struct net_party {
    struct net_line *lines[NET_CREWS];
    struct pool_part parts[NET_PARTS];
    struct net_quota quota; /* of requests under way; all are over when it is left */
    struct net_lane *lane;  /* of connections that are served for it; NULL: there was none yet */
    uint64_t works;         /* net_work and net_lookup that have not ended */
    bool left;              /* by its owner */
};
struct net_party *net_party_of(struct net_party *p); /* NULL: the process's own */
struct net_lane *net_party_lane(struct net_party *p);
void net_party_settle(struct net_party *p); /* something of it has ended: the last thing takes it along */

#endif
