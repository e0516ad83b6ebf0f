/* spin: what guests of Spin's import, and those of wasi:keyvalue and wasi:config.
 *
 * 1. A guest reaches the stores, databases and variables that its function was granted, by their labels; of others it hears access-denied,
 *    whether there are such or not.
 * 2. While an answer is under way its fiber is parked, or (an async function) its call pends: the loop goes on.
 */
#ifndef ORLO_SPIN_H
#define ORLO_SPIN_H

#include "host/host.h"

/* The interfaces of now, and those of before with the same names; the node composes them with the rest. */
extern const struct host_offer spin_world_offer, spin_before_offer, spin_pg_offer;

#endif
