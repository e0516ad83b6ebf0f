/* Inside handler.c, page.c and access.c: a request of a worker. */
#ifndef ORLO_NODE_HANDLER_INT_H
#define ORLO_NODE_HANDLER_INT_H

#include "net/exchange.h"
#include "node/worker/apps.h"

struct node_request {
    struct node_handler *handler;
    struct node_app *app;           /* that it is for; NULL: nobody's */
    struct node_part *part;         /* its function; NULL: it is answered without a guest */
    struct node_pack *pack;         /* of its part's, or of an earlier version of that, while files.c is at it */
    str path;                       /* as it was asked for; its function may see another */
    uint8_t *seen;                  /* that; heap, or NULL: it is a part of path */
    size_t matched;                 /* so many bytes of path did the route match */
    struct node_amend *amend;       /* what is said in its answer besides; NULL: nothing */
    struct node_compress *compress; /* what its answer may go through; NULL: it goes as it is */
    arena *mem;                     /* of fields that it was given besides; NULL: none */
    struct net_field *fields;       /* and those that it came with */
    uint32_t fields_count;
    uint8_t *who;   /* the principal's words; heap, NULL: nobody's */
    bool who_known; /* who asks has been asked for what he has to bring */
    struct node_request
        *caller;            /* because of which another function of its app makes it, referenced; NULL: it came from outside */
    uint32_t calls_waiting; /* that were made because of it, and wait */
    bool internal;
    struct net_exchange *exchange;
    struct wasi_run *run;
    struct node_sending *sending; /* of a static file; NULL: none */
    struct node_visit *visit;     /* of its app's tables; NULL: none */
    struct node_users *users;     /* of its app's users; NULL: none */
    struct node_request *next;    /* of the AFTER, the WAITING or the free list */
    struct node_request *prev;    /* of the WAITING list */
    enum { BY_NOBODY, BY_LIMIT, BY_CLIENT } killed;
    enum node_refusal limit;            /* that it met */
    struct node_via *via;               /* where a proxy says that it comes from; heap, NULL: none does */
    const struct wasi_outcome *outcome; /* of its run, while it is told what became of it */
    struct app_lacks *lacks;            /* heap; NULL: nobody wants to know */
    bool rpc;                           /* it calls a function of the app as one of its database's: /rest/v1/rpc/NAME */
    bool ruled;                         /* it was counted by its app's rules */
    uint64_t body_max;                  /* of its body, by those; 0: they say nothing */
    bool streams;                       /* its answer has begun, and goes on beyond timeout_ms */
    bool concluded;                     /* it was events, and ended in order here */
    bool rated, admitted;               /* it was counted where it came; it counts among those of its app that are under way */
    uint64_t started_ns, ran_ns;        /* ran: its function began; 0: it has none, or not yet */
    uint16_t refused;                   /* a client of gRPC's, with this status of HTTP; 0: it was not */
    const char *failure;                /* of its function; NULL: none */
    uint8_t span[8];                    /* of its own, if it is sampled; its function's is rq.trace.span */
    char traceparent[APP_TRACEPARENT_BYTES + 1]; /* as its function sees it, if somebody sent one */
    uint32_t pulse;                              /* of node_pulse_begin */
    struct app_request rq;
    char id[NODE_ID_BYTES + 1];
    uint8_t *redirect; /* where the run before redirected to; heap */
    size_t redirect_n;
    uint32_t redirects;
    struct node_lines out, err;
};
struct node_handler {
    struct node_guest *guest;
    struct node_apps *apps;
    const struct node_limits *limits; /* the node's */
    const struct net_prefix *trusted; /* proxies before us */
    size_t trusted_count;
    bool access_log, dev;
    struct node_inbox *inbox; /* to workers of other cordons; NULL: there are none */
    uint32_t cordon;          /* this worker's */
    bool rests;               /* others of it serve what comes */
    struct buf proofs;        /* proofs.c: what authorities are to find here; mostly nothing */
    uint64_t ids[64];         /* random, not given yet */
    uint32_t ids_left;
    struct node_request *after, *free;
    struct node_part *waiting; /* where somebody waits */
    uint32_t busy, waiting_max;
    uint32_t batch; /* started, but not run yet */
};

/* ---- handler.c ---- */

/* It has been answered without a guest, with a page or otherwise, and is over. */
void node_handler_answered(struct node_request *r);

void node_handler_over(struct node_request *r);  /* the same of one that is a part's */
void node_handler_again(struct node_request *r); /* it has become another part's of its app, which may have to be loaded */

/* proofs.c: it is an authority's that asks for what is under way. Then it is answered. */
bool node_proofs_answer(struct node_request *r);

/* Another process answers it. */
void node_handler_passed(struct node_request *r);
/* One that another function of the app makes; caller: because of which, or NULL: it is not known. told: the node makes it, and none of the app's limits of
 * those from outside is meant (rate_max). */
void node_handler_internal(struct node_handler *h, struct net_exchange *x, struct node_part *part, struct node_request *caller,
                           bool told);
/* Whether its app takes one more. False: it was answered. */
bool node_handler_admit(struct node_request *r);

/* ---- internal.c ---- */

void node_internal_waits(struct node_request *r); /* at its part; of one from outside it is nothing */
void node_internal_waits_no_more(struct node_request *r);
/* It has a caller, and if it waited for an instance none would come back but by those who wait, too. */
bool node_internal_stuck(const struct node_request *r);

/* ---- files.c ---- */

/* Answers it from its part's pack, now or bit by bit: it is over sooner or later. */
void node_files_serve(struct node_request *r);
void node_files_gone(struct node_request *r); /* who asked: of one that is being sent */

/* ---- jwks.c ---- */

#define NODE_JWKS_PATH "/auth/v1/.well-known/jwks.json"
bool node_jwks_asked(const struct node_request *r); /* which anybody may */
void node_jwks_serve(struct node_request *r);

/* ---- door.c ---- */

/* Answers it from its app's tables: it is over sooner or later. */
void node_door_serve(struct node_request *r);
bool node_door_is_call(
    struct node_request
        *r); /* one of a function's (r->rpc), by a method and of a form that it has; false: it has been answered */
/* Who asks is gone, or it takes too long (r->killed): of one that is served. */
void node_door_event(struct node_request *r);

/* ---- users.c: /auth/v1 ---- */

bool node_users_asked(const struct node_request *r); /* of one that is the door's */
void node_users_serve(struct node_request *r);       /* it is over sooner or later */
void node_users_event(struct node_request *r);       /* as node_door_event */

/* ---- front.c: whom it is for ---- */

/* The part that is to serve it. NULL: nobody is, and it has been answered. */
struct node_part *node_front_route(struct node_request *r);
/* It is over, or begins anew. */
void node_front_forget(struct node_request *r);

/* ---- spin.c ---- */

void node_spin_fields(struct node_request *r, const struct node_route *route); /* route NULL: of an internal one */

/* ---- amend.c: what is said in every answer to it ---- */

void node_amend_version(struct node_request *r, uint32_t version); /* who comes back gets this one */
/* The app's rules for header fields, which must outlive the request. */
struct app_paths;
void node_amend_headers(struct node_request *r, const struct app_rules *rules, const struct app_paths *paths);
enum { NODE_AMEND_SAYS = 6 };
/* A field, in place of others of that name, which is a literal. Up to 159 bytes; more than NODE_AMEND_SAYS of them are not said. */
void node_amend_say(struct node_request *r, const char *name, const char *value);
/* The app's rules; without any, anybody's pages may where Supabase's clients ask. */
void node_amend_cors(struct node_request *r, const struct app_cors *rules, bool supabase);
bool node_amend_preflight(struct node_request *r); /* true: it is one that the rules answer, and has been */
void node_amend_forget(struct node_request *r);

/* ---- rules.c: what an app says of requests before anybody answers them ---- */

/* Before its route is looked for. False: it was led elsewhere, and has been answered. */
bool node_rules_begin(struct node_request *r, const struct node_app *app);
/* Once it has one, and is no preflight. False: it may not be asked, and has been answered. */
bool node_rules_let(struct node_request *r);
const struct app_cors *node_rules_cors(const struct node_app *app, const struct node_request *r);
void node_rules_redirect(struct node_request *r, const struct app_redirect *to, const struct node_route *route);

/* ---- who.c ---- */

/* Of whom a request is counted, by what holds: the subject of its token, its key. In to; false: it brings none that holds. */
bool node_who_counts(const struct node_request *r, bool by_key, struct buf *to);

/* Whether who asks brings what its part wants of him; then he is its principal, whatever asks what he may. False: it has been answered, 401. */
bool node_who_asks(struct node_request *r);
/* The same of one that everybody may ask, and that asks the app's database as its caller: without a good token he is nobody. */
void node_who_is(struct node_request *r);
/* Of one of the app's users: the key that he brings, and the token. open: he need bring none. False: it has been answered. */
struct node_who_said {
    str role;        /* of the token that holds, else the key's; empty: neither is there */
    str claims;      /* of the token that holds */
    bool brings;     /* an Authorization with something in it */
    const char *why; /* the token does not hold; NULL: it does, or there is none */
};
bool node_who_key(struct node_request *r, bool open, struct node_who_said *said);
void node_who_as(struct node_request *r, const struct app_principal *principal); /* the one because of which it is made */
/* A query without the key, where that came in it: what is left is what is asked. In out. */
str node_who_query(arena *out, const struct net_request *rq, str query);

/* ---- via.c: what proxies say of it ---- */

/* Before anything of it is looked at: from those that are trusted it is so, from others it is forgotten. */
void node_via_read(struct node_request *r);
void node_via_forget(struct node_request *r);

/* ---- page.c ---- */

/* What keeps a page of the node's own, or a static file, from being taken for what it is not; an app's [[headers]] say otherwise. */
enum { NODE_PAGE_SAFETY = 3 };
extern const struct net_field node_page_safety[NODE_PAGE_SAFETY];
/* Answers r, says so in the log where nobody else does, and counts it. Its exchange is still to be ended. retry_ns: not before then. */
void node_refuse(struct node_request *r, enum node_refusal what);
void node_refuse_for(struct node_request *r, enum node_refusal what, uint64_t retry_ns);
void node_refusal_count(struct node_request *r, enum node_refusal what);
void node_refuse_late(struct node_request *r,
                      enum node_refusal what);           /* the same, and its answer is not whole: what can be said yet is */
void node_refuse_instance(struct node_request *r);       /* it got none, of its part, for the reason that the engine last had */
enum node_refusal node_refusal_of_body(uint16_t status); /* net_exchange_body_status */
/* Of a run that did not end well. */
enum node_refusal node_refusal_of(const struct node_request *r, const struct wasi_outcome *o);
const char *node_refusal_text(enum node_refusal what);
struct node_limit {
    enum app_setting_id id; /* APP_SETTING_NONE: none */
    uint64_t value;
};
struct node_limit node_limit_of(const struct node_request *r, enum node_refusal what);

/* ---- trace.c ---- */

/* It is its part's: is it traced? */
void node_trace_begin(struct node_request *r);
/* It has ended; before its exchange does. */
void node_trace_end(struct node_request *r, uint16_t status, uint64_t took_ns);
/* ---- report.c: for who develops ---- */

struct node_dev_report;
void node_dev_report_of(arena *out, const struct node_request *r, struct node_dev_report *to); /* all but what the page says */

/* ---- access.c ---- */

const char *node_access_why(const struct node_request *r, const struct wasi_outcome *o); /* "the guest trapped" */
const char *node_access_detail(const struct wasi_outcome *o);                            /* the trap, or what it said; or empty */

/* It is about to end: it is counted, and logged if that is asked for. */
void node_access_end(struct node_request *r);
/* The run of its guest did not end well. */
void node_access_failure(struct node_request *r, const struct wasi_outcome *o, bool head_sent);

#endif
