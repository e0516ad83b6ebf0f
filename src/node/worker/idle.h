/* idle: a worker's apps in the order in which they were last asked, so that those that nobody asks can be given back.
 *
 *   made ──> NEWEST ──others are asked──> … ──> OLDEST ──not asked for as long as --app-idle──────────> given back
 *              ^                                  │  └──memory for another app's image or instance is out──> given back
 *              └── asked, or found busy ──────────┘
 *
 * 1. An app that a request refers to, or whose image is on its way, is never given back.
 * 2. One timer for all of them, which runs only while there is an app; a turn gives back a bounded number of them.
 */
#ifndef ORLO_NODE_IDLE_H
#define ORLO_NODE_IDLE_H

#include "base/base.h"

struct net_loop;
struct net_timer;
struct node_app;

struct node_idle {
    struct net_loop *loop;
    struct net_timer *timer;
    uint64_t after_ms;
    struct node_app *newest, *oldest;
    uint32_t given; /* since the heap was last trimmed */
    bool armed;
    void (*give_back)(void *arg, struct node_app *app); /* which is idle, and on the list no more */
    void *arg;
};
void node_idle_open(struct node_idle *i, struct net_loop *loop, uint64_t after_ms,
                    void (*give_back)(void *arg, struct node_app *app), void *arg);
void node_idle_close(struct node_idle *i); /* its apps are on no list any more */
void node_idle_add(struct node_idle *i, struct node_app *app);
void node_idle_used(struct node_app *app);  /* just now; nothing, if it is on no list */
void node_idle_leave(struct node_app *app); /* the same */
/* The oldest idle ones go, as many as n of them. How many there were. */
uint32_t node_idle_give_back(struct node_idle *i, uint32_t n);
bool node_idle_any(struct node_idle *i); /* one could be given back */

#endif
