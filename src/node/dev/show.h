/* show: the node's log as somebody reads it who writes an app: what its guests print, a line a request, failures with all that is known. */
#ifndef ORLO_NODE_DEV_SHOW_H
#define ORLO_NODE_DEV_SHOW_H

#include "base/json.h"

struct node_dev_show {
    bool colour;                                              /* for a terminal */
    struct buf pending, step;                                 /* the beginning of a line: of the node, of a build */
    struct buf out;                                           /* what is to be written; the owner empties it */
    void (*event)(void *arg, str name, const struct json *e); /* each of them; NULL: nobody wants to know */
    void *event_arg;
};
/* Bytes of the node's standard error, whose log is JSON; what is no event of it is shown as it is. */
void node_dev_show_put(struct node_dev_show *s, str bytes);
/* A line of our own: what is being done. */
void node_dev_show_say(struct node_dev_show *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void node_dev_show_complain(struct node_dev_show *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What a build has printed, by lines under a function's name. */
void node_dev_show_of(struct node_dev_show *s, str function, str bytes);
void node_dev_show_of_end(struct node_dev_show *s, str function); /* it prints no more */
void node_dev_show_free(struct node_dev_show *s);

#endif
