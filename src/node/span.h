/* span: what a worker tells the courier of a request, a function's run, or an outgoing request; and how a collector is told (OTLP). */
#ifndef ORLO_NODE_SPAN_H
#define ORLO_NODE_SPAN_H

#include "base/base.h"

enum { NODE_SPAN_ATTRS_MAX = 10, NODE_SPAN_TEXT_MAX = 1024, NODE_SPAN_BYTES_MAX = 16 << 10 };
enum node_span_kind { NODE_SPAN_INTERNAL = 1, NODE_SPAN_SERVER = 2, NODE_SPAN_CLIENT = 3 }; /* as OTLP numbers them */
struct node_attr {
    str key, text;
    int64_t number;
    bool is_number;
};
struct node_span {
    uint8_t trace[16], span[8], parent[8]; /* parent all zero: none */
    uint8_t kind;
    bool error;
    uint32_t version;              /* of the app */
    uint64_t start_ns, end_ns;     /* since 1970 */
    str app, name, message, state; /* message: of an error; state: tracestate */
    struct node_attr attrs[NODE_SPAN_ATTRS_MAX];
    uint32_t attrs_count;
};
void node_span_attr(struct node_span *s, const char *key, str text);
void node_span_attr_number(struct node_span *s, const char *key, int64_t v);
/* As it travels, and as the courier keeps it. Texts are cut. */
void node_span_write(struct buf *to, const struct node_span *s);
void node_span_read(struct rd *from, struct node_span *s); /* strings borrow; else rd_fail */

/* ---- otlp.c ---- */

/* An ExportTraceServiceRequest with these spans, those of an app together: its name is the service's. Sorts them. */
void node_otlp_protobuf(struct buf *to, struct node_span *spans, size_t n);
void node_otlp_json(struct buf *to, struct node_span *spans, size_t n);
/* Of an ExportTraceServiceResponse in protobuf: spans that were not taken. Of nonsense: 0. */
uint64_t node_otlp_rejected(str response);

#endif
