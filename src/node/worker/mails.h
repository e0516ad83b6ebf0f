/* mails: who sends mails of apps' users, and when: rows of a queue in each app's database (auth/queue.c), and the courier, who brings them to a relay.
 *
 *   a row is written, here or by another worker (mail_waits, mail_news) ──> WANTS ──its secrets have come──> SENDS, on a fiber of the app's share
 *     ^                                                                       ^                                └──> RESTS, or WAITS until the next try is due
 *     └── RESTS <──────────────────────────────────────────────────────────────┴── due
 *
 * 1. One worker of a cordon does it for all of its apps (`start` says which): it looks at each that has users when it begins, and when the app is another.
 * 2. Nothing is kept here: what a killed worker had begun, its successor finds in the database.
 * 3. Apps are looked at some at a time, of those whose looking may start a server fewer.
 */
#ifndef ORLO_NODE_WORKER_MAILS_H
#define ORLO_NODE_WORKER_MAILS_H

#include "node/worker/apps.h"

struct node_mails;
struct node_mails_config {
    struct node_guest *guest;
    struct node_apps *apps;
    uint32_t cordon, relay_hour;            /* mails of an app in an hour that the node's relay takes; 0: there is none */
    uint64_t ms_max;                        /* for a relay to take one */
    bool sends;                             /* else another worker does */
    bool catches;                           /* none leave: somebody develops, and reads them here */
    void (*want)(void *arg);                /* a channel to the courier */
    void (*waits)(void *arg, uint32_t app); /* another worker is to look */
    void *arg;
};
struct node_mails *node_mails_new(const struct node_mails_config *config);
void node_mails_free(struct node_mails *m);               /* NULL is fine */
void node_mails_channel(struct node_mails *m, int fd);    /* takes it */
void node_mails_live(struct node_mails *m);               /* another snapshot is served */
void node_mails_wait(struct node_mails *m, uint32_t app); /* a mail was written, here or elsewhere; 0: of any app */
void node_mails_rest(struct node_mails *m);               /* another does it from now on */
bool node_mails_leave(const struct node_mails *m, const struct node_app *app,
                      bool sms); /* the app has a relay, or the node has; sms: somebody brings its messages to telephones */
uint32_t node_mails_s_max(const struct node_mails *m); /* a mail that was asked for is told by then */

/* ---- of who sends: users.c ---- */

struct node_mail;
struct node_mail_what { /* all is copied */
    str id, to, subject, text, html;
    int64_t made_s;
    bool anywhere; /* the relay may be at a private address */
};
/* told: once, later. OK: the relay has it. DENIED: never. AGAIN, BUSY: not now. IO: nobody's. */
typedef void (*node_mail_told)(void *arg, uint32_t nth, err e, str why);
struct node_mail *node_mail_ask(struct node_mails *m, struct node_app *app, const struct node_mail_what *what, uint32_t nth,
                                node_mail_told told, void *arg);
void node_mail_cancel(struct node_mail *a); /* told is not called */

/* users.c: sends what waits of an app's, and says when to come back: µs since 1970. False: there is no room for that now. */
bool node_users_deliver(struct node_app *app, void (*told)(void *arg, int64_t again_us), void *arg);

#endif
