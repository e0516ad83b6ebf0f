/* granted: what a function may, in words that a person reads. */
#ifndef ORLO_NODE_GRANTED_H
#define ORLO_NODE_GRANTED_H

#include "app/grants.h"

typedef VEC(str) node_words;
void node_granted(arena *out, const struct app_grants *g, node_words *to); /* in out; nothing granted: none */

#endif
