/* snapshot: what a worker serves, whole and immutable: every app with its hosts and routes.
 *
 *   control ── node_snapshot_add ──> bytes ── node_snapshot_seal ──> sealed memfd ──wire──> workers ── node_snapshot_map
 *                                                                                              │
 *                            host, path ── node_snapshot_find ──> app, function <──────────────┘
 *
 *   "orls" layout  generation  apps…          all numbers little-endian
 *   app: bytes, then one record (app/record.h)
 *
 * 1. A snapshot is never changed. Another takes its place at once, between two turns of a worker; what began under the old one ends
 *    under it.
 * 2. Reading is by a sticky reader: nonsense is an error with an offset, never half a snapshot. No two apps have one id, one name or
 *    one host, at most one is the default, every route leads to a function there is.
 * 3. Of a record only what routing needs is kept in memory; the rest is read when the app is first asked for.
 * 4. A lookup takes a hash per label of the host and per segment of the path, as far as any app's or route's goes: not how many there are.
 */
#ifndef ORLO_NODE_SNAPSHOT_H
#define ORLO_NODE_SNAPSHOT_H

#include "app/record.h"

enum { NODE_APPS_MAX = 65536 };

/* ---- a snapshot ---- */

/* begin, one app after another, seal: nobody needs all of them in memory at once. */
void node_snapshot_begin(struct buf *to, uint64_t generation);
void node_snapshot_add(struct buf *to, const struct app_record *r);
void node_snapshot_add_bytes(struct buf *to, str record); /* what app_record_write wrote */
/* A sealed memfd with these bytes, or -1 with errno. */
int node_snapshot_seal(str bytes);

struct node_entry; /* an app of a snapshot */
struct node_snapshot;
/* Maps what fd holds, which must be sealed; fd stays the caller's. ERR_MALFORMED, ERR_LIMIT, ERR_IO. */
[[nodiscard]] err node_snapshot_map(int fd, struct node_snapshot **out, struct diag *d);
/* The same of bytes that stay for as long as it does. */
[[nodiscard]] err node_snapshot_read(str bytes, struct node_snapshot **out, struct diag *d);
void node_snapshot_free(struct node_snapshot *s);
uint64_t node_snapshot_generation(const struct node_snapshot *s);

struct node_entry {
    uint32_t id, version;
    bool eager;
    str name, record; /* its bytes: app_record_decode */
};
const struct node_entry *node_snapshot_entries(const struct node_snapshot *s, uint32_t *count);
const struct node_entry *node_snapshot_named(const struct node_snapshot *s, str name); /* NULL: none */
const struct node_entry *node_snapshot_app(const struct node_snapshot *s, uint32_t id);

enum node_found { NODE_FOUND, NODE_NO_HOST, NODE_NO_ROUTE };
/* Whom a request is for. authority and path as it has them (net_request); *function: the index. Of NODE_NO_ROUTE *app is set. */
enum node_found node_snapshot_find(const struct node_snapshot *s, str authority, str path, const struct node_entry **app,
                                   uint32_t *function);

#endif
