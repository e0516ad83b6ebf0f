/* courier: what the node itself sends out.
 *
 *   courier.c   its life, its peers, and spans
 *   otlp.c      spans as a collector reads them
 *   mails.c     mails, and the relays that take them
 *   authorities.c   certificates, and the authorities that give them
 */
#ifndef ORLO_NODE_COURIER_H
#define ORLO_NODE_COURIER_H

#include "net/loop.h"
#include "node/wire.h"

struct node_courier_mails;
/* open: the node's own relay; its strings are copied. told: to the worker that asked, by the number under which he was added. */
struct node_courier_mails *node_courier_mails_new(struct net_loop *loop, const struct node_msg_courier_open *open,
                                                  void (*told)(void *arg, uint64_t peer, const struct node_message *m),
                                                  void *arg);
/* False: nonsense. */
[[nodiscard]] bool node_courier_mails_take(struct node_courier_mails *m, uint64_t peer, struct node_message *ask);
void node_courier_mails_lose(struct node_courier_mails *m, uint64_t peer); /* nobody waits there any more */
bool node_courier_mails_busy(const struct node_courier_mails *m);

struct node_courier_authorities;
struct node_courier_authorities *node_courier_authorities_new(struct net_loop *loop);
void node_courier_authorities_trust(struct node_courier_authorities *a,
                                    int ca_fd); /* a file, read now; else whom the system trusts */
void node_courier_authorities_channel(struct node_courier_authorities *a,
                                      int fd); /* control's: takes it; what came on another before is over */
bool node_courier_authorities_busy(const struct node_courier_authorities *a);

#endif
