/* net_rules: what of the network a guest may use: its grants against addresses and names. Pure: no I/O, no state but net_names.
 *
 * 1. An address is what counts, at the moment of use. A name opens the addresses that this run was told the name has, if they are
 *    such as a name may have: none of this machine's own or its link's, and private ones only of a name that no stranger decides on
 *    (net_name_local). So a name that suddenly points somewhere else (DNS rebinding) opens nothing.
 * 2. Link-local addresses (where clouds hand out credentials), multicast and broadcast are open only to a rule that names
 *    nothing else: "*", 0.0.0.0/0 and names do not cover them.
 */
#ifndef ORLO_WASI_NET_RULES_H
#define ORLO_WASI_NET_RULES_H

#include "wasi/wasi.h"

const char *wasi_net_use_text(enum wasi_net_use use); /* "tcp", "listen-udp" */

/* Addresses that names of rules were found to have; the oldest goes when it is full. */
struct net_names {
    struct {
        uint32_t rule;
        struct net_addr ip;
    } list[128];
    uint32_t count, next;
};

struct net_rules {
    const struct wasi_net_rule *list;
    size_t count;
};
/* Whether the use, with the address and its port, is granted. names may be NULL. */
bool net_rules_allow(struct net_rules r, enum wasi_net_use use, const struct net_addr *a, const struct net_names *names);
/* Whether there is any rule for the use at all. */
bool net_rules_any(struct net_rules r, enum wasi_net_use use);
/* Whether a name (as net_name_ascii gives it) may be looked up: by a rule for lookups, or one that names it to be reached. */
bool net_rules_allow_lookup(struct net_rules r, str ascii);
void net_names_learn(struct net_names *names, struct net_rules r, str ascii, const struct net_addr *list, uint32_t count);

#endif
