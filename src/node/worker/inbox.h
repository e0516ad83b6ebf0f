/* inbox: connections that go from a worker to one of another cordon, where the next request on them is to be answered. */
#ifndef ORLO_NODE_INBOX_H
#define ORLO_NODE_INBOX_H

#include "net/exchange.h"
#include "net/loop.h"
#include "net/server.h"

struct node_inbox_config {
    struct net_loop *loop;
    uint32_t cordon;                                        /* whose worker this is */
    uint64_t (*generation)(void *arg);                      /* of what is served here; 0: nothing yet */
    struct net_server *(*server)(void *arg, uint32_t port); /* that goes on with what came in there; NULL: none */
    void *arg;
};
struct node_inbox;
struct node_inbox *node_inbox_new(const struct node_inbox_config *config);
/* Takes fd, where those of that cordon receive (own), or one sends to them; -1: there is no such cordon any more. */
void node_inbox_set(struct node_inbox *in, uint32_t cordon, bool own, int fd);
/* Another generation is served, or the first: what has waited for it goes on, and more is received. */
void node_inbox_live(struct node_inbox *in);
/* What lies there is taken, and no more than that; others: it is left to the others of this cordon, if one was told how to send to them. */
void node_inbox_drain(struct node_inbox *in, bool others);
/* Whether one was, and they do not have too much before them already. */
bool node_inbox_leads_back(const struct node_inbox *in);
/* As net_exchange_pass, to the workers of that cordon. ERR_NOT_FOUND: there are none; ERR_LIMIT: it has been passed on too often. */
[[nodiscard]] err node_inbox_pass(struct node_inbox *in, struct net_exchange *x, uint32_t cordon);
/* The same of a connection before it is known what is asked for: the way there. False: there is none. */
[[nodiscard]] bool node_inbox_way(struct node_inbox *in, uint32_t cordon, uint16_t port, struct net_pass *to);
void node_inbox_free(struct node_inbox *in);

#endif
