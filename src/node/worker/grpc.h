/* grpc: what a client of gRPC's is told in an app's place (PROTOCOL-HTTP2.md of gRPC). Its calls are requests like others: what a guest says to them, bodies and
 * trailers, passes as it is. */
#ifndef ORLO_NODE_WORKER_GRPC_H
#define ORLO_NODE_WORKER_GRPC_H

#include "net/exchange.h"

/* It is a call: over HTTP/2, of application/grpc or application/grpc+FORMAT. */
bool node_grpc_asks(const struct net_request *rq);
/* How long its client waits (grpc-timeout), rounded up; 0: for ever, or it says nothing that can be read. */
uint32_t node_grpc_timeout_ms(const struct net_request *rq);
/* What a refusal by that status of HTTP is to it. */
uint32_t node_grpc_status(uint16_t http_status);
/* `sentence` as grpc-message has it: what is no printable ASCII, and %, by %XX. */
str node_grpc_message(arena *out, str sentence);

#endif
