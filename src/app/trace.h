/* trace: which trace a request is part of (W3C Trace Context), as it comes in and goes out.
 *
 *   traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01     version, trace, span of who asks, sampled or not
 *   tracestate:  vendor=value,tenant@vendor=value                            passed on as it is
 *
 * A traceparent that is malformed, or there twice, is none; a tracestate without one, or malformed, is none.
 */
#ifndef ORLO_APP_TRACE_H
#define ORLO_APP_TRACE_H

#include "base/base.h"

struct net_request;

enum { APP_TRACEPARENT_BYTES = 55, APP_TRACESTATE_BYTES_MAX = 8192, APP_TRACESTATE_MEMBERS_MAX = 32 };
struct app_trace {
    bool on; /* it is part of one: what it sends says so */
    bool sampled, has_parent;
    bool recorded;                         /* what is sent for it has spans of its own; else it goes on as it came */
    uint8_t trace[16], span[8], parent[8]; /* span: whose children are what it sends */
    str state;                             /* heap; empty: none */
};
/* trace, parent and sampled of a traceparent's value. False: it is none. */
[[nodiscard]] bool app_traceparent_read(str value, struct app_trace *t);
/* With a NUL. */
void app_traceparent_write(const struct app_trace *t, const uint8_t span[8], char to[static APP_TRACEPARENT_BYTES + 1]);
/* Appends the members of one field's value, without what stands around them. False: malformed, or too many in all. */
[[nodiscard]] bool app_tracestate_add(struct buf *to, str value);
/* What the request's fields say, if they name a parent: on, trace, parent, sampled, state. */
void app_trace_of(const struct net_request *rq, struct app_trace *t);
/* A trace of its own. */
void app_trace_begin(struct app_trace *t, bool sampled);
void app_trace_end(struct app_trace *t);
void app_trace_id(uint8_t *id, size_t n); /* random, not all zero; for no secret */
uint32_t app_trace_random(void);

#endif
