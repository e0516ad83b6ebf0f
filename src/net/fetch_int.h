/* What stands behind a fetch: who answers one embeds it. Its owner looks at nothing else. */
#ifndef ORLO_NET_FETCH_INT_H
#define ORLO_NET_FETCH_INT_H

#include "net/client.h"
#include "net/flow_int.h"

struct net_fetch {
    void (*free)(struct net_fetch *f);
    struct net_source source; /* the response's body */
    struct net_sink sink;     /* the request's */
    void (*on_change)(void *arg);
    void *arg;
    str scheme, authority;
    struct net_response response; /* status 0: none so far */
    enum net_error error;
    char error_text[256];
    bool prohibited; /* an address was turned down: */
    struct net_addr prohibited_address;
};

#endif
