/* metrics: what all of a node's processes have counted, for who asks. */
#ifndef ORLO_NODE_METRICS_H
#define ORLO_NODE_METRICS_H

#include "node/meters.h"

struct control;
struct json_writer;

/* ---- sums: metrics.c ---- */

struct control_call { /* a function of an app in a version, over all workers */
    str function;
    uint32_t version;
    struct node_meter_call counts;
};
struct control_counts { /* an app */
    str name;           /* empty: all those that no row could be had for */
    struct node_meter_app counts;
    struct node_meter_app_now now;
    struct node_meter_call earlier, all; /* of versions that have no row any more; with those that have one */
    VEC(struct control_call) calls;      /* the latest version first */
    struct control_label *label;         /* metrics_text.c; NULL: it has none */
};
struct control_worker {
    uint32_t slot;
    struct node_meter_worker counts;
    struct node_meter_worker_now now;
};
struct control_sums {
    VEC(struct control_counts) apps;
    VEC(struct control_worker) workers;
    struct node_meter_node node;
    struct node_meter_node_now node_now;
};
/* Of all regions, as they are now; in out. */
void node_metrics_sum(const struct control *c, arena *out, struct control_sums *sums);
bool node_metrics_add(struct control *c, uint32_t slot, int fd); /* takes the descriptor. False: nonsense */

bool node_metrics_ready(const struct control *c, struct buf *why); /* does the node serve; why not, in words, lines */

uint64_t node_metrics_began_ns(const struct control *c); /* when the node began, as clock_mono_ns has it; 0: not known */

void node_metrics_close(struct control *c);

/* ---- as text: metrics_text.c ---- */

enum { NODE_METRICS_CALLS_MAX = 64 }; /* of an app that are shown, the latest versions; what others counted was shown before */
/* Prometheus' text format 0.0.4, or OpenMetrics 1.0. */
void node_metrics_text(struct control *c, bool openmetrics, struct buf *to);
void node_metrics_forget_labels(struct control *c);
void node_metrics_rank_now(struct control *c);                   /* labels are looked over at the next one: for tests */
extern const char node_metrics_type[], node_metrics_type_open[]; /* content-type of each */
bool node_metrics_wants_open(str accept);                        /* by an Accept field */

#endif
