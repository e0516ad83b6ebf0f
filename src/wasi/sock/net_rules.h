/* net_rules: what of the network a guest may use: its grants against addresses and names. Pure: no I/O, no state but net_names.
 *
 * 1. An address is what counts, at the moment of use. A name opens the addresses that this run was told the name has, if they are
 *    such as a name may have: none of this machine's own or its link's, and private ones only of a name that no stranger decides on
 *    (net_name_local). So a name that suddenly points somewhere else (DNS rebinding) opens nothing.
 * 2. An HTTP request names its host itself, and often a stranger gave it the name: there a name opens public addresses only, whatever
 *    name it is, "*" included, but that localhost is the loopback. Others have to be granted by address.
 * 3. Link-local addresses (where clouds hand out credentials), multicast and broadcast are open only to a rule that names
 *    nothing else: "*", 0.0.0.0/0 and names do not cover them.
 */
#ifndef ORLO_WASI_NET_RULES_H
#define ORLO_WASI_NET_RULES_H

#include "wasi/wasi.h"

/* Addresses that names of rules were found to have; the oldest goes when it is full. */
struct wasi_net_names {
    struct {
        uint32_t rule;
        struct net_addr ip;
    } list[128];
    uint32_t count, next;
};

struct wasi_net_rules {
    const struct app_net_rule *list;
    size_t count;
};
/* Whether the use, with the address and its port, is granted. names may be NULL. */
bool wasi_net_rules_allow(struct wasi_net_rules r, enum app_net_use use, const struct net_addr *a,
                          const struct wasi_net_names *names);
/* Whether there is any rule for the use at all. */
bool wasi_net_rules_any(struct wasi_net_rules r, enum app_net_use use);
/* Whether a name (as net_name_ascii gives it) may be looked up: by a rule for lookups, or one that names it to be reached. */
bool wasi_net_rules_allow_lookup(struct wasi_net_rules r, str ascii);
/* ---- HTTP requests: the rules for TCP, asked twice ---- */

/* The host of a request, as its URL has it: an address, or a name as net_name_ascii gives it. */
struct wasi_net_host {
    bool is_address;
    struct net_addr address;
    str name;
};
/* False: it is neither; nothing may be done with it, since who connects might read it as something ("127.1", "%6c"). */
[[nodiscard]] bool wasi_net_host_parse(arena *out, str text, struct wasi_net_host *host);
/* Whether a request to the host may be tried at all. */
bool wasi_net_rules_allow_host(struct wasi_net_rules r, const struct wasi_net_host *host, uint16_t port);
/* Whether it may go to this address (with its port), which the host was found to have. */
bool wasi_net_rules_allow_found(struct wasi_net_rules r, const struct wasi_net_host *host, const struct net_addr *a);

void wasi_net_names_learn(struct wasi_net_names *names, struct wasi_net_rules r, str ascii, const struct net_addr *list,
                          uint32_t count);

#endif
