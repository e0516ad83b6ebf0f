/* data: a worker's side of apps' data (app/data.h): what is asked goes to the store, by a channel of which the supervisor hands out the ends.
 *
 *   ask ──> WAITING ──there is room in the channel──> SENT ──answer──> told
 *              │ no channel: one is wanted                │ the channel's other end is gone: told APP_DATA_LOST
 *
 * 1. What was sent and not answered when the other end went is told so: it may have been done, or not. What was not sent waits for the next.
 * 2. An app has so many questions under way, and each is as large as it may be: the rest is refused at once.
 */
#ifndef ORLO_NODE_WORKER_DATA_H
#define ORLO_NODE_WORKER_DATA_H

#include "app/data.h"

struct net_loop;
struct node_data;
/* want: a channel is wanted; it comes by node_data_channel, some time. */
enum node_data_to { NODE_DATA_TO_STORE, NODE_DATA_TO_POSTGRES /* asks of APP_QUERY alone */ };
struct node_data *node_data_new(struct net_loop *loop, enum node_data_to to, void (*want)(void *arg), void *arg);
void node_data_free(struct node_data *data);
struct app_data *node_data_of(struct node_data *data); /* what apps ask */
void node_data_alone(
    struct node_data *data); /* the supervisor is gone: what no channel has taken yet is answered soon, as busy */
void node_data_channel(struct node_data *data, int fd); /* takes it */

#endif
