/* follow: functions of apps are told of changes of tables, once they are committed (a function's `triggers`).
 *
 *   news of an app ──> each function of it that has triggers, by itself:
 *
 *   RESTS ──news──> ASKS the feed (node_data_changes's) ──nothing──> RESTS
 *     ^               └─ changes ──> TELLS: one after the other, each a POST to the function ──all are taken──> ASKS: what is told is kept there
 *     └── forgotten       ^                └─ not 2xx, no answer in its time, or the database is away ──> WAITS, longer each time ──> ASKS
 *
 * 1. A change is told at least once: how far a function is stands in the database, written after it has answered. Whoever is killed meanwhile tells it again.
 * 2. In the order of commits, one at a time: what comes later waits for what is tried again. So often as the trigger says; then it is given up, with an event in
 *    the app's log.
 * 3. One worker of a cordon does it for all of its apps (`start` says which). What it asks and calls are the app's: its limits, its share.
 * 4. A change that was made because of one that was told has come round so often as its request had hops (app/hops.h): where that is as often as the app may,
 *    it is told to nobody.
 */
#ifndef ORLO_NODE_FOLLOW_H
#define ORLO_NODE_FOLLOW_H

#include "node/worker/apps.h"

struct node_follow;
struct node_follow *node_follow_new(struct node_guest *g, struct node_apps *apps, struct node_handler *h);
void node_follow_live(struct node_follow *f);               /* another snapshot is served */
void node_follow_news(struct node_follow *f, uint32_t app); /* its database has changed; 0: any may have */
void node_follow_rest(struct node_follow *f);               /* another does it from now on; what is being told is told yet */
void node_follow_free(struct node_follow *f);               /* NULL is fine */

#endif
