/* snapshot: what a worker serves, whole and immutable: every app with its hosts and routes.
 *
 *   control ── node_snapshot_add ──> bytes ── node_snapshot_seal ──> sealed memfd ──wire──> workers ── node_snapshot_map
 *                                                                                              │
 *                            host, path ── node_snapshot_find ──> app, function <──────────────┘
 *
 *   "orls" layout  generation  apps…          all numbers little-endian
 *   app: bytes, then one record ("a record", below)
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

#include "app/grants.h"
#include "app/settings.h"

enum {
    NODE_APPS_MAX = 65536,
    NODE_NAME_MAX = 63, /* of an app: a label of a host */
    NODE_FUNCTION_NAME_MAX = 255,
    NODE_HOST_MAX = 253, /* RFC 1035, as text */
    NODE_HOSTS_MAX = 1024,
    NODE_ROUTES_MAX = 16384,
    NODE_ROUTE_BYTES_MAX = 1024,
    NODE_FUNCTIONS_MAX = 256,
    NODE_DIGEST_BYTES = 32,
};

/* ---- a record: an app in one version, as it is deployed ---- */

struct node_route {
    str path;          /* "/", "/api": begins with a slash, and ends with none but the first */
    bool exact;        /* that path alone; else what is below it, too ("/api", "/api/x", not "/apix") */
    uint32_t function; /* index */
};
struct node_function {
    str name;
    uint8_t digest[NODE_DIGEST_BYTES]; /* SHA-256 of its image file */
    uint32_t kind;                     /* wasi_kind */
};
struct node_record {
    uint32_t id, version; /* id: never given twice in a node's life; version: counts from 1 */
    str name;
    bool is_default; /* it answers hosts that nobody else does */
    bool eager;      /* a worker loads it before it says that it applied the snapshot */
    VEC(str) hosts;  /* as node_host_normal has them, or "*." before one */
    VEC(struct node_route) routes;
    VEC(struct node_function) functions;
    struct app_grants grants;
    struct app_limits limits;
    uint32_t weight; /* of its share of the core */
};
void node_record_write(struct buf *to, const struct node_record *r);
/* One that a file makes alone, as `orlo serve FILE` and `orlo run` do: the default of all hosts, all paths lead to it. Named after the file. */
void node_record_of_file(arena *out, str file, struct node_record *r);
/* Strings borrow what is read. Else rd_fail. */
void node_record_read(arena *out, struct rd *from, struct node_record *r);
/* All of bytes is one record. ERR_MALFORMED: d says where. */
[[nodiscard]] err node_record_decode(arena *out, str bytes, struct node_record *r, struct diag *d);
/* Whether two records are the same but for `eager`, which each snapshot says anew. */
bool node_record_same(str a, str b);

/* ---- names ---- */

/* "shop", "a-1": letters in lower case, digits, inner hyphens; up to 63. ERR_USAGE: d says what it takes. */
[[nodiscard]] err node_app_name_check(str name, struct diag *d);
/* A request's authority as hosts are compared: without a port, in lower case, without a last dot, an IPv6 address in brackets as RFC 5952
 * writes it, an IPv4 one as it is. False: no host has that form. to: of NODE_HOST_MAX + 3 bytes. */
[[nodiscard]] bool node_host_normal(str authority, char *to, size_t *n);
/* "HOST", "*.HOST", as an app is to have it: names of other scripts become xn--… ERR_USAGE. */
[[nodiscard]] err node_host_parse(arena *out, str arg, str *host, struct diag *d);
/* "/api", "/api/" (a prefix), "=/health" (that path alone). ERR_USAGE. */
[[nodiscard]] err node_route_parse(arena *out, str arg, struct node_route *route, struct diag *d);

/* ---- a snapshot ---- */

/* begin, one app after another, seal: nobody needs all of them in memory at once. */
void node_snapshot_begin(struct buf *to, uint64_t generation);
void node_snapshot_add(struct buf *to, const struct node_record *r);
void node_snapshot_add_bytes(struct buf *to, str record); /* what node_record_write wrote */
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
    str name, record; /* its bytes: node_record_decode */
};
const struct node_entry *node_snapshot_entries(const struct node_snapshot *s, uint32_t *count);
const struct node_entry *node_snapshot_named(const struct node_snapshot *s, str name); /* NULL: none */
const struct node_entry *node_snapshot_app(const struct node_snapshot *s, uint32_t id);

enum node_found { NODE_FOUND, NODE_NO_HOST, NODE_NO_ROUTE };
/* Whom a request is for. authority and path as it has them (net_request); *function: the index. Of NODE_NO_ROUTE *app is set. */
enum node_found node_snapshot_find(const struct node_snapshot *s, str authority, str path, const struct node_entry **app,
                                   uint32_t *function);

#endif
