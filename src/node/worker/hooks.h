/* hooks: a function of the app that is asked, within a time, what it has to say: POST /hook, from inside of this process, as nobody (auth/hook.c).
 *
 * 1. It counts hops as all requests do, from that one because of which it is asked (app/hops.h): a circle ends.
 * 2. Whoever asks holds nothing of the worker's meanwhile but memory: a fiber parks. What does not come in time is cancelled, with the function's instance.
 */
#ifndef ORLO_NODE_HOOKS_H
#define ORLO_NODE_HOOKS_H

#include "node/worker/apps.h"

struct net_field;
struct node_hook_ask {
    str function, body;
    const struct net_field *fields; /* besides content-type and -length */
    uint32_t fields_count;
    str loop; /* the CDN-Loop of the request because of which it is asked */
    uint32_t ms;
    size_t bytes_max; /* of the answer's body; one more tells that it is larger */
};
struct node_hook_said {
    uint16_t status; /* 0: it did not answer, or not in time (late) */
    bool late;
    str type, retry, body;
};
typedef void (*node_hook_told)(
    void *arg, const struct node_hook_said *said); /* from the loop, never from within; said lives as long as the call */
struct node_hooking;
/* All of ask is copied. NULL: the app has no such function. */
struct node_hooking *node_hook_ask(struct node_app *app, const struct node_hook_ask *ask, node_hook_told told, void *arg);
void node_hook_cancel(struct node_hooking *h); /* told is not called */

#endif
