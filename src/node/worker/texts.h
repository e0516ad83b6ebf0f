/* texts: a worker's asks of translators (node/translate.h): of each app one channel and one ask at a time, for which fibers wait. */
#ifndef ORLO_NODE_WORKER_TEXTS_H
#define ORLO_NODE_WORKER_TEXTS_H

#include "node/translate.h"

struct engine;
struct net_loop;
struct engine_share;
struct node_texts;
/* want: a channel to the app's translator is wanted; node_texts_channel brings it, or says that there is none (-1). False: it cannot be said now. */
struct node_texts *node_texts_new(struct engine *e, struct net_loop *loop, bool (*want)(void *arg, uint32_t app), void *arg);
void node_texts_free(struct node_texts *t);
void node_texts_channel(struct node_texts *t, uint32_t app, int fd); /* takes it */
void node_texts_forget(struct node_texts *t, uint32_t app);          /* its catalogues are others */
/* On a fiber, which parks; the time that it takes is the share's. ends: nobody waits for it any more, or its time is over. */
[[nodiscard]] bool node_texts_translate(struct node_texts *t, uint32_t app, struct engine_share *share, bool (*ends)(void *arg),
                                        void *arg, arena *mem, const struct catalog *c, str text, str *answer,
                                        struct pg_error *error);

#endif
