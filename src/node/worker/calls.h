/* calls: requests of the node's own for an app, to others: to providers of identities, hooks, whoever judges a captcha. By HTTP as a guest's outgoing ones
 * are made, certificates verified, names looked up in the app's party, counted among what the app has under way.
 *
 *   ask ──> fetched ──> its body, bounded ──> told          whatever happens: once, later, never from within
 *     └──────────── deadline ──────────────────┘
 *
 * 1. Where it may go, a deployer does not decide: to public addresses by HTTPS. Private ones and this machine's, and plain HTTP to those, are the operator's
 *    to allow. The address counts that is connected to, whatever its name said before. Link-local ones, where clouds give credentials out: never.
 * 2. An app has so many under way in a worker, and so many of them at one host: who is slow there takes no place of who asks elsewhere.
 * 3. A redirect is an answer as any other; nobody follows it. */
#ifndef ORLO_NODE_WORKER_CALLS_H
#define ORLO_NODE_WORKER_CALLS_H

#include "net/addr.h"
#include "net/http.h"

enum { NODE_CALLS_MAX = 48, NODE_CALLS_HOST_MAX = 24, NODE_CALL_MS_MAX = 30'000, NODE_CALL_BYTES_MAX = 1 << 20 };

struct node_app;
struct node_call;
struct node_calls; /* of an app */
struct node_call_what {
    str method, url;
    const struct net_field *fields; /* user-agent, content-length and cdn-loop are said besides */
    uint32_t fields_count;
    str body;
    str loop;             /* the cdn-loop of what it is made for */
    uint32_t deadline_ms; /* of all of it; no more than NODE_CALL_MS_MAX */
    uint32_t bytes_max;   /* of the body that is answered; no more than NODE_CALL_BYTES_MAX */
    bool private;         /* the operator allows it */
};
struct node_called {
    err err; /* ERR_OK: answered; ERR_BUSY: later, perhaps; ERR_DENIED: it may not be asked; ERR_CLOSED: it is broken */
    const char *why;
    uint16_t status;
    const struct net_field *fields;
    uint32_t fields_count;
    str body;
};
typedef void (*node_called_fn)(void *arg, const struct node_called *said); /* what it brings holds as long as the call */
/* Copied. */
struct node_call *node_call_ask(struct node_app *app, const struct node_call_what *what, node_called_fn told, void *arg);
void node_call_cancel(struct node_call *c); /* told is not called */
/* Answers that hold for a while (discovery, public keys), a few of an app, whose memory they are; the oldest makes room. False: there is none that is so young. */
bool node_calls_kept(const struct node_app *app, str url, uint64_t age_ns_max, str *body); /* until the next keep */
void node_calls_keep(struct node_app *app, str url, str body);
void node_calls_free(struct node_calls *c); /* none is under way; NULL is fine */

/* "https://host:1/path?query" taken apart; borrowed. False: it is none, or has something else in it (a user, a fragment). */
struct node_call_url {
    str scheme, authority, path;
    str host; /* of the authority */
};
bool node_call_url_read(str url, struct node_call_url *to);
/* Whether it may be connected to. private: the operator allows it. */
bool node_call_may_reach(const struct net_addr *a, bool https, bool private);

#endif
