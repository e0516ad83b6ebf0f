/* meters: what is counted, in shared memory that its writer alone writes and control reads.
 *
 *   worker ── counts ──> [ region ] <── mapped read-only ── control ── sums ──> /_orlo/metrics, `orlo top`
 *                         ▲ given to it, and to the worker after it in the same slot, by the supervisor, who has one of his own
 *
 *   region:  head │ apps: row 0 is all others', then one an app │ calls: row 0, then one for each app, version and function
 *
 * 1. One process writes a region at a time, with plain 64-bit stores. What a dead worker counted stays, and its successor counts on:
 *    counters never go back.
 * 2. A row is given out when its app, or its function in that version, is first asked for, and costs nothing before. Are all in use, then
 *    what nobody needs any more makes room: a version's counts go to its app's `earlier`, an app's to row 0. While that goes on `moves` is odd.
 * 3. What a region says is hearsay for whoever did not write it: rows and names are copied, counted and checked (control/metrics.c).
 */
#ifndef ORLO_NODE_METERS_H
#define ORLO_NODE_METERS_H

#include "app/settings.h"

/* Places that are no worker's. */
#define NODE_METERS_COURIER (UINT32_MAX - 1)
#define NODE_METERS_SUPERVISOR UINT32_MAX
enum { NODE_METERS_APPS = 16384, NODE_METERS_CALLS = 16384, NODE_METERS_NAME = 63 };

enum {
#define BUCKET(ns, shown) +1
    NODE_METER_BUCKETS = 0
#include "node/buckets.def"
};
extern const uint64_t node_meter_bounds_ns[NODE_METER_BUCKETS];
extern const bool node_meter_bounds_shown[NODE_METER_BUCKETS];

struct node_meter_histogram {
    uint64_t sum_ns;
    uint64_t of[NODE_METER_BUCKETS + 1]; /* by bound, not cumulated; the last: above all */
};

#define METER_TYPE_COUNT uint64_t
#define METER_TYPE_BYTES uint64_t
#define METER_TYPE_SECONDS uint64_t
#define METER_TYPE_HISTOGRAM struct node_meter_histogram
/* Whatever they hold is 64-bit words, so that whole structs are added up word by word. */
struct node_meter_call {
#define METER_CALL(kind, field) METER_TYPE_##kind field;
#define METER_APP(kind, field)
#define METER_APP_NOW(kind, field)
#define METER_WORKER(kind, field)
#define METER_WORKER_NOW(kind, field)
#define METER_NODE(kind, field)
#define METER_NODE_NOW(kind, field)
#define METER(scope, kind, field, ...) METER_##scope(kind, field)
#include "node/meters.def"
#undef METER_CALL
#define METER_CALL(kind, field)
};
struct node_meter_app {
#undef METER_APP
#define METER_APP(kind, field) METER_TYPE_##kind field;
#define METER(scope, kind, field, ...) METER_##scope(kind, field)
#include "node/meters.def"
#undef METER_APP
#define METER_APP(kind, field)
    uint64_t limits[APP_SETTINGS]; /* requests that met each */
};
struct node_meter_app_now {
#undef METER_APP_NOW
#define METER_APP_NOW(kind, field) METER_TYPE_##kind field;
#define METER(scope, kind, field, ...) METER_##scope(kind, field)
#include "node/meters.def"
#undef METER_APP_NOW
#define METER_APP_NOW(kind, field)
};
struct node_meter_worker {
#undef METER_WORKER
#define METER_WORKER(kind, field) METER_TYPE_##kind field;
#define METER(scope, kind, field, ...) METER_##scope(kind, field)
#include "node/meters.def"
#undef METER_WORKER
#define METER_WORKER(kind, field)
};
struct node_meter_worker_now {
#undef METER_WORKER_NOW
#define METER_WORKER_NOW(kind, field) METER_TYPE_##kind field;
#define METER(scope, kind, field, ...) METER_##scope(kind, field)
#include "node/meters.def"
#undef METER_WORKER_NOW
#define METER_WORKER_NOW(kind, field)
};
struct node_meter_node {
#undef METER_NODE
#define METER_NODE(kind, field) METER_TYPE_##kind field;
#define METER(scope, kind, field, ...) METER_##scope(kind, field)
#include "node/meters.def"
#undef METER_NODE
#define METER_NODE(kind, field)
};
struct node_meter_node_now {
#undef METER_NODE_NOW
#define METER_NODE_NOW(kind, field) METER_TYPE_##kind field;
#define METER(scope, kind, field, ...) METER_##scope(kind, field)
#include "node/meters.def"
#undef METER_NODE_NOW
};

struct node_meters_app {
    uint32_t used; /* written last, with release */
    uint32_t id;
    char name[NODE_METERS_NAME + 1];
    struct node_meter_app counts;
    struct node_meter_app_now now; /* of a worker that is alive */
    struct node_meter_call earlier;
};
struct node_meters_call {
    uint32_t used;
    uint32_t app, version; /* app: its row */
    char name[NODE_METERS_NAME + 1];
    struct node_meter_call counts;
};
struct node_meters {
    uint64_t moves;       /* odd while rows change hands */
    uint32_t alive;       /* somebody writes it: the supervisor says so */
    uint32_t apps, calls; /* rows that were ever given out, row 0 included */
    uint64_t began_ns;    /* the supervisor's: when the node began, by the clock that nobody sets */
    struct node_meter_worker worker;
    struct node_meter_worker_now worker_now;
    struct node_meter_node node;
    struct node_meter_node_now node_now;
};
struct node_meters_region { /* as it lies in memory */
    struct node_meters head;
    _Alignas(4096) struct node_meters_app apps[NODE_METERS_APPS];
    _Alignas(4096) struct node_meters_call calls[NODE_METERS_CALLS];
};

/* ---- writing ---- */

/* This process's own. Where nobody gave it a region, what it counts is counted and seen by nobody. Never NULL. */
extern struct node_meters *node_meters;
struct node_meters *node_meters_nobodys(void); /* as long as there is none */

static inline void node_meter_add(uint64_t *at, uint64_t n) {
    __atomic_store_n(at, *at + n, __ATOMIC_RELAXED); /* pairs with the reader's loads in control/metrics.c */
}
static inline void node_meter_inc(uint64_t *at) { node_meter_add(at, 1); }
static inline void node_meter_set(uint64_t *at, uint64_t v) { __atomic_store_n(at, v, __ATOMIC_RELAXED); }
void node_meter_time(struct node_meter_histogram *h, uint64_t ns);
/* A request has ended with that status; 0 or 499: the client is gone. */
void node_meter_status(struct node_meter_call *c, uint16_t status);
void node_meter_outgoing(struct node_meter_app *a, uint16_t status); /* likewise; 0: there was no answer */
static inline void node_meter_limit(struct node_meters_app *a, enum app_setting_id limit) {
    node_meter_inc(&a->counts.limits[limit]);
}

/* ---- rows: worker/meters.c ---- */

/* fd: of a region; stays the caller's. Gauges of whoever had it before are 0 again. ERR_IO. */
[[nodiscard]] err node_meters_map(int fd, struct diag *d);
void node_meters_unmap(void); /* no row is held any more */
/* The row of an app, and that of what it answers with in a version: a function, or "files NAME". Each is held until it is let go, as
 * often; it may then become another's. Never NULL: row 0 where all are held. Names are cut. */
struct node_meters_app *node_meters_app(uint32_t id, str name);
void node_meters_app_drop(struct node_meters_app *app);
struct node_meters_call *node_meters_call(struct node_meters_app *app, uint32_t version, str name);
void node_meters_call_drop(struct node_meters_call *call);

/* ---- regions: the supervisor's and control's side, meters.c ---- */

/* A descriptor of an empty one that cannot change its size, or -1. */
int node_meters_new(void);
struct node_meters_region *node_meters_open(int fd, bool write); /* NULL: errno */
void node_meters_close(struct node_meters_region *r);
struct node_meters *node_meters_open_head(int fd); /* to be written; NULL: errno */
void node_meters_close_head(struct node_meters *m);

#endif
