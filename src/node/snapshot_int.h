/* Inside snapshot.c and router.c. */
#ifndef ORLO_NODE_SNAPSHOT_INT_H
#define ORLO_NODE_SNAPSHOT_INT_H

#include "node/snapshot.h"

/* ---- router.c: host → app; path → route, in the tree of a version of it. Tables are open addressed, at most half full ---- */

struct node_router {
    uint64_t seed; /* random, so that nobody can choose names that collide */
    struct node_host_slot {
        str host; /* p NULL: free */
        uint32_t app;
    } * hosts;
    struct node_edge { /* from a place to the next, by a word */
        str segment;   /* p NULL: free */
        uint32_t from, to;
    } * edges;
    struct node_place {         /* the first so many are the trees' roots */
        uint32_t any;           /* by ":name"; UINT32_MAX: nowhere, as below */
        uint32_t exact, prefix; /* routes that end here */
        bool edges;             /* some lead on */
    } * places;
    struct node_route *routes;
    uint32_t hosts_cap, edges_cap, places_cap, routes_cap, places_count, routes_count, wildcards, default_app;
    uint32_t segment_bytes; /* of the longest word */
};
struct node_router_size {
    uint32_t trees;
    uint64_t hosts, routes, segments; /* at most; of all together */
};
void node_router_new(struct node_router *r, arena *mem, const struct node_router_size *size);
bool node_router_add_host(struct node_router *r, str host, uint32_t app); /* false: another app has it */
/* What is wrong with it, or NULL. */
const char *node_router_add_route(struct node_router *r, uint32_t tree, const struct app_route *route);
uint32_t node_router_app(const struct node_router *r, str authority); /* UINT32_MAX: nobody's */
const struct node_route *node_router_route(const struct node_router *r, uint32_t tree, str path);
uint32_t node_route_segments(str path, bool exact);

#endif
