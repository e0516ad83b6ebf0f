/* rights: what a worker may touch besides its apps' memory: the union of what its apps are granted. A worker gives up all the rest when it
 * starts, for good; so a snapshot that needs more than a running worker has is served by a new one. */
#ifndef ORLO_NODE_RIGHTS_H
#define ORLO_NODE_RIGHTS_H

#include "app/grants.h"

enum { NODE_RIGHTS_CONNECT = 1, NODE_RIGHTS_LISTEN = 2 };
enum { NODE_RIGHTS_PORTS_MAX = 128, NODE_RIGHTS_DIRS_MAX = 256 /* of all apps: a worker has each open */ };
struct node_right_dir {
    str path;
    bool write;
};
struct node_rights {
    uint32_t network;                      /* NODE_RIGHTS_… */
    bool any_port_out;                     /* else TCP connections go to these ports alone */
    uint16_t ports[NODE_RIGHTS_PORTS_MAX]; /* ascending */
    size_t ports_count;
    VEC(struct node_right_dir) dirs; /* no path twice */
};
/* Paths are borrowed. */
void node_rights_of(arena *out, struct node_rights *r, const struct app_grants *grants);
void node_rights_join(arena *out, struct node_rights *r, const struct node_rights *more);
void node_rights_add_dir(arena *out, struct node_rights *r, str path, bool write);
bool node_rights_within(const struct node_rights *want, const struct node_rights *have);
/* As they are in messages: two bytes each. False: no such list. */
str node_rights_ports(const struct node_rights *r);
bool node_rights_set_ports(struct node_rights *r, str bytes);

#endif
