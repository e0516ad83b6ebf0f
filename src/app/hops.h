/* hops: how often a request has come through this node, and because of one app, in CDN-Loop (RFC 8586), which every outgoing request carries:
 *
 *   CDN-Loop: others; as=they;came, orlo-1f2e3d4c;hops=2;seal=00112233445566778899aabb, orlo-99887766;hops=1;seal=…
 *
 * The node's ends circles, through whichever apps they go: at hops_max a request is refused. The app's is what its own changes of rows are told by, or not: whom
 * another app sends a request has that one's count and the node's, and cannot have changes of this one's told to nobody. A change keeps both, as one number.
 *
 * An entry is sealed with the node's key for a minute or two, so neither can a client make a request look as if it had come round, nor can what
 * a guest sends take anything off: its own fields of that name are left out, and the count goes on from the request that it serves.
 * Entries of others are passed on as they are.
 */
#ifndef ORLO_APP_HOPS_H
#define ORLO_APP_HOPS_H

#include "base/base.h"

enum {
    APP_HOPS_KEY_BYTES = 32,
    APP_HOPS_NODE = 1 << 10 /* a change's hops are the app's, and this many times the node's */
};
/* One for all workers of a node. Without it the count is this process's alone. */
void app_hops_key(const uint8_t key[APP_HOPS_KEY_BYTES]);
/* What a request's CDN-Loop says of this node; 0: it has not been here. */
uint32_t app_hops_count(str loop, uint32_t app); /* app 0: of the node as a whole */
/* The CDN-Loop of a request that is sent by an app because of one that came with loop. */
str app_hops_next(arena *out, str loop, uint32_t app);
str app_hops_made(arena *out, uint32_t of_change, uint32_t app); /* of one that tells of a change */
bool app_hops_field(str name);                                   /* "cdn-loop" */

#endif
