/* logs: what apps have logged, kept by control, the one writer; and who reads it. */
#ifndef ORLO_NODE_LOGS_H
#define ORLO_NODE_LOGS_H

#include "base/base.h"

struct control;
struct node_msg_app_lines;

/* The folder of logs is c->state.logs; -1: nothing is kept. Sizes are c->limits'. After the apps are known: logs of apps that are gone go. */
void node_logs_open(struct control *c);
bool node_logs_peer(struct control *c, int fd);         /* a worker's channel; takes it. False: too many */
void node_logs_forget(struct control *c, uint32_t app); /* it was deleted: who reads is told, and its files go */
/* A line of control's own in an app's log. */
void node_logs_event(struct control *c, uint32_t app, enum log_level level, const char *event, const struct log_field *fields,
                     size_t n);
uint64_t node_logs_bytes(const struct control *c); /* of all files */
void node_logs_close(struct control *c);

/* ---- reading ---- */

struct node_logs_query {
    uint32_t app;
    bool follow;
    uint64_t lines;       /* of the past, the latest of those that match; UINT64_MAX: all */
    uint64_t since_ms;    /* Unix time; 0: whenever */
    enum log_level level; /* and above */
};
struct node_reader;
struct node_reader_config {
    /* A line with its end. False: there is no room; node_reader_more once there is. */
    bool (*line)(void *arg, str line);
    /* There is nothing more, and the reader is gone. why: NULL, or a word. */
    void (*end)(void *arg, const char *why);
    void *arg;
};
/* Calls neither from within: node_reader_more begins. */
struct node_reader *node_reader_new(struct control *c, const struct node_logs_query *q, const struct node_reader_config *config);
void node_reader_more(struct node_reader *r); /* may end it */
void node_reader_free(struct node_reader *r); /* before it has ended */

#endif
