/* hops: how often a request has come through this node, in CDN-Loop (RFC 8586), which every outgoing request carries:
 *
 *   CDN-Loop: others; as=they;came, orlo-1f2e3d4c;hops=2;seal=00112233445566778899aabb
 *
 * The entry is sealed with the node's key for a minute or two, so neither can a client make a request look as if it had come round, nor can what
 * a guest sends take anything off: its own fields of that name are left out, and the count goes on from the request that it serves.
 * Entries of others are passed on as they are.
 */
#ifndef ORLO_APP_HOPS_H
#define ORLO_APP_HOPS_H

#include "base/base.h"

enum { APP_HOPS_KEY_BYTES = 32 };
/* One for all workers of a node. Without it the count is this process's alone. */
void app_hops_key(const uint8_t key[APP_HOPS_KEY_BYTES]);
/* What a request's CDN-Loop says of this node; 0: it has not been here. */
uint32_t app_hops_count(str loop);
/* The CDN-Loop of a request that is sent because of one that came with loop. */
str app_hops_next(arena *out, str loop);
str app_hops_made(arena *out, uint32_t hops); /* of one that has no such before it, and is the so many-th of a circle */
bool app_hops_field(str name);                /* "cdn-loop" */

#endif
