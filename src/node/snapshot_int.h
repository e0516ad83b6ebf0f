/* Inside snapshot.c and router.c. */
#ifndef ORLO_NODE_SNAPSHOT_INT_H
#define ORLO_NODE_SNAPSHOT_INT_H

#include "node/snapshot.h"

/* ---- router.c: host → app, path → function; open addressing, at most half full ---- */

enum { NODE_SEGMENTS_MAX = 64, NODE_NOWHERE = UINT32_MAX };
struct node_router {
    uint64_t seed; /* random, so that nobody can choose names that collide */
    struct node_host_slot {
        str host; /* p NULL: free */
        uint32_t app;
    } * hosts;
    struct node_route_slot {
        str path; /* p NULL: free */
        uint32_t app, function;
        bool exact;
    } * routes;
    struct node_paths {                               /* of each app, what bounds a lookup */
        uint32_t root;                                /* the function of "/"; NODE_NOWHERE: none */
        uint16_t segments, prefix_bytes, exact_bytes; /* of its longest routes; 0: there are none but "/" */
    } * paths;
    uint32_t hosts_cap, routes_cap, wildcards, default_app;
};
void node_router_new(struct node_router *r, arena *mem, uint32_t apps, uint64_t hosts, uint64_t routes);
/* What is wrong with it, or NULL: another app has the host; the app has the route. */
const char *node_router_add_host(struct node_router *r, str host, uint32_t app);
const char *node_router_add_route(struct node_router *r, const struct app_route *route, uint32_t app);
uint32_t node_router_app(const struct node_router *r, str authority);
uint32_t node_router_function(const struct node_router *r, uint32_t app, str path);

#endif
