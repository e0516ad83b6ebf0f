/* snapshot: what a worker serves, whole and immutable: every app with its hosts and routes.
 *
 *   control ── node_snapshot_add ──> bytes ── node_snapshot_seal ──> sealed memfd ──wire──> workers ── node_snapshot_map
 *                                                                                              │
 *                    host ── node_snapshot_at ──> app ── path, version ── node_snapshot_route ─┴─> route
 *
 *   "orls" layout  generation  domain  apps…             all numbers little-endian
 *   app: cordon  per mille of the canary  bytes, the live record (app/record.h)  bytes, the canary's: none are no canary
 *
 * 1. A snapshot is never changed. Another takes its place at once, between two turns of a worker; what began under the old one ends
 *    under it.
 * 2. Reading is by a sticky reader: nonsense is an error with an offset, never half a snapshot. No two apps have one id, one name or
 *    one host, at most one is the default, every route leads to something there is. Who answers NAME.domain is the app of that name, unless
 *    another was given the host.
 * 3. Of a record only what routing needs is kept in memory; the rest is read when the app is first asked for.
 * 4. A lookup takes a hash per label of the host and per segment of the path, as far as any app's or route's goes: not how many there are.
 *    Where routes have words and :names side by side it may take NODE_ROUTE_WAYS_MAX of them, and no more.
 */
#ifndef ORLO_NODE_SNAPSHOT_H
#define ORLO_NODE_SNAPSHOT_H

#include "app/record.h"

enum {
    NODE_APPS_MAX = 65536,
    NODE_SEGMENTS_MAX = 64,        /* of a route */
    NODE_SEGMENTS_ALL_MAX = 65536, /* of all routes of an app */
    NODE_ROUTE_WAYS_MAX = 256,     /* beginnings of routes that one path may have to be compared with */
};

/* Whether a router can hold its routes: not two for the same, not too much of them. ERR_USAGE, ERR_LIMIT: d says which, and what to do. */
[[nodiscard]] err node_routes_check(const struct app_record *r, struct diag *d);

/* ---- writing ---- */

struct node_live {
    const struct app_record *record, *canary; /* canary NULL: there is none */
    uint32_t canary_permille, cordon;         /* cordon 0: none */
};
/* begin, one app after another, seal: nobody needs all of them in memory at once. Each app answers at NAME.domain (empty: it does not). */
void node_snapshot_begin(struct buf *to, uint64_t generation, str domain);
void node_snapshot_add(struct buf *to, const struct node_live *app);
/* The same of what app_record_write wrote; canary empty: there is none. */
void node_snapshot_add_bytes(struct buf *to, str live, str canary, uint32_t canary_permille, uint32_t cordon);
/* A sealed memfd with these bytes, or -1 with errno. */
int node_snapshot_seal(str bytes);

/* ---- reading ---- */

struct node_entry; /* an app of a snapshot */
struct node_snapshot;
/* Maps what fd holds, which must be sealed; fd stays the caller's. ERR_MALFORMED, ERR_LIMIT, ERR_IO. */
[[nodiscard]] err node_snapshot_map(int fd, struct node_snapshot **out, struct diag *d);
/* The same of bytes that stay for as long as it does. */
[[nodiscard]] err node_snapshot_read(str bytes, struct node_snapshot **out, struct diag *d);
void node_snapshot_free(struct node_snapshot *s);
uint64_t node_snapshot_generation(const struct node_snapshot *s);
str node_snapshot_domain(const struct node_snapshot *s);

enum node_version { NODE_LIVE, NODE_CANARY, NODE_VERSIONS };
struct node_entry {
    uint32_t id, cordon;
    uint32_t canary_permille;
    str name;
    struct {
        str record;       /* its bytes: app_record_decode; empty: there is no canary */
        uint32_t version; /* as people count them */
        bool eager;
        bool follows, has_users;
    } of[NODE_VERSIONS];
};
const struct node_entry *node_snapshot_entries(const struct node_snapshot *s, uint32_t *count);
const struct node_entry *node_snapshot_named(const struct node_snapshot *s, str name); /* NULL: none */
const struct node_entry *node_snapshot_app(const struct node_snapshot *s, uint32_t id);

/* Whose a request with that authority is (net_request). NULL: nobody's. */
const struct node_entry *node_snapshot_at(const struct node_snapshot *s, str authority);

struct node_route {
    str path;       /* as app_route has it */
    uint32_t index; /* of what it leads to, */
    uint8_t to;     /* enum app_route_to */
    bool exact, strip, slash;
};
/* The most specific route to a path (with its query: it says nothing). NULL: there is none. */
const struct node_route *node_snapshot_route(const struct node_snapshot *s, const struct node_entry *e, enum node_version v,
                                             str path);
/* So many bytes of a path that it led to did the route match: all but the query, or what is before its rest. */
size_t node_route_matched(const struct node_route *route, str path);
/* One :name of the route and what stands there in such a path after the other; false: no more. name: {0} at first. */
struct node_route_name {
    str name, value;
    size_t route_at, path_at; /* private */
};
bool node_route_next_name(const struct node_route *route, str path, struct node_route_name *name);

#endif
