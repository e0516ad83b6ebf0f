/* app: who calls. What a function of the host knows of the app, the instance and the request that it works for; wasi and services
 * include it alike, and need nothing of each other.
 *
 *   struct app            a function of one version of an app in a worker: what it may, and where its lines go    the node's
 *   struct app_request    what is asked of it: id, principal, deadline, sinks                              the node's handler's; counted
 *   struct app_instance   what is of one of its instances: the user of the struct host_instance           wasi's
 *   struct app_object     what a guest's handle stands for (app/object.h)
 *
 * A function of a service:
 *
 *   enum abi_trap acme_store_kv_get(struct host_call *call, str key, struct … *result) {
 *       struct app_request *rq = app_request_of(call);          // never NULL
 *       … rq->app->name, rq->principal, rq->deadline_ns …
 *   }
 *
 * 1. app_request_of says for whom the guest calls, whatever kind it is of: an instance serves one request and is gone, or several at a
 *    time. Where nobody can know (a task of an instance of several that belongs to none), it is the app's `nobody`.
 * 2. A request is over when its answer is out; what a guest does afterwards is still its: whoever may need it then holds a reference.
 */
#ifndef ORLO_APP_H
#define ORLO_APP_H

#include "app/grants.h"
#include "app/settings.h"
#include "app/trace.h"
#include "host/host.h"

struct app_data;
struct net_exchange;
struct net_loop;

/* Where a guest's bytes go: a descriptor, or a function called with what the guest wrote (not line by line). */
struct app_out {
    int fd; /* used when write is NULL; -1 discards */
    void (*write)(void *arg, str bytes);
    void *arg;
};
/* Writes bytes where `out` says. 0 or an errno: the other side is gone. */
[[nodiscard]] int app_out_write(const struct app_out *out, str bytes);

/* ---- requests ---- */

/* Who asks, as the app's own rules see it. */
struct app_principal {
    str role;    /* "anonymous": nobody has said who he is; empty: he brought a token, or a key, that is not good */
    str subject; /* empty then */
    str claims;  /* of his token, JSON text; empty: he has shown none */
};

/* What its guest lacked: for whoever develops it. Each once, as many as there is room for. */
enum app_lack {
#define X(name, key, what) APP_LACK_##name,
#include "app/lack.def"
#undef X
    APP_LACK_KINDS
};
struct app_lacks {
    struct {
        enum app_lack kind;
        uint32_t n;
        char value[240]; /* as the key takes it: "api.example.org", "tcp:10.0.0.1:5432" */
    } of[8];
    uint32_t count;
};
const char *app_lack_key(enum app_lack kind);  /* "allow_http" */
const char *app_lack_what(enum app_lack kind); /* "a request to a host" */

struct app_request {
    struct app *app;
    str id; /* as in logs and the answer's x-request-id; empty: nobody's, a command's. It lives as long as the owner's memory */
    struct app_principal principal;
    uint64_t deadline_ns;          /* of clock_mono_ns; UINT64_MAX: none */
    struct net_exchange *exchange; /* by which it came; NULL: a command, nobody's, or it is over */
    struct app_out out, err;       /* what is printed for it */
    struct engine_meter meter;     /* of what its guest computes; the owner says how much that may be, and whom to tell */
    uint32_t fetches_left;         /* requests that its guest may still make */
    struct app_trace trace;        /* the owner says */
    struct app_lacks *lacks;       /* NULL: nobody wants to know */
    /* private: */
    uint32_t refs;
    void (*gone)(struct app_request *rq);
    str loop; /* kept of its exchange; heap */
};
/* One reference, the owner's, for whom gone is called with the last of them (NULL: nothing is to be done). Anonymous, without a deadline,
 * of no exchange; its output is the app's own: the owner sets what is otherwise. */
void app_request_begin(struct app_request *rq, struct app *app, str id, void (*gone)(struct app_request *rq));
struct app_request *app_request_ref(struct app_request *rq); /* gives it back */
void app_request_unref(struct app_request *rq);              /* NULL is fine */
/* Its exchange is about to end: what is needed of it later is kept. */
void app_request_over(struct app_request *rq);
/* A guest was refused something that a grant would give it. */
void app_request_lacks(struct app_request *rq, enum app_lack kind, str value);
/* The CDN-Loop (app/hops.h) that it came with; empty: none. */
str app_request_loop(arena *out, const struct app_request *rq);
/* How often it has been here before. */
uint32_t app_request_hops(const struct net_exchange *x, uint32_t app); /* app 0: through the node */
/* Those of a change of the app's that is made because of it (APP_HOPS_NODE); the second also after it is over. */
uint32_t app_request_change(const struct net_exchange *x, uint32_t app);
uint32_t app_request_depth(const struct app_request *rq);

/* For whom the guest calls right now. */
struct app_request *app_request_of(const struct host_call *call);
struct app_request *app_request_in(struct host_instance *in); /* the same, where there is no call */

/* A request to others that was made for one, when it has ended, or its answer's head has come. */
struct app_outgoing {
    uint64_t started_ns; /* of clock_mono_ns */
    uint8_t span[8];     /* of its own, if the request is traced */
    str method, scheme, authority;
    uint16_t status;   /* 0: none came */
    const char *error; /* why; NULL: there is a status */
    bool denied;       /* it was not granted, and not sent */
};

/* ---- apps ---- */

struct net_local; /* net/local.h */
enum app_local {
    APP_LOCAL_NO,     /* of the network */
    APP_LOCAL_DENIED, /* a function of the same app, which it may not call */
    APP_LOCAL_YES,    /* one that it may */
};

struct app_notices { /* what was said of it within a minute: once is enough, and no more than these */
    struct {
        uint64_t hash, until_ns;
    } of[64];
    uint32_t next;
};
struct app {
    uint32_t id, version; /* the app's, which all its functions have in common, as they have name, share and party */
    str name, function;
    str server;                      /* the secret that is the URL of its PostgreSQL, where somebody else runs that; empty else */
    bool follows;                    /* some function of it is told of changes */
    const struct app_grants *grants; /* the function's own; folders opened */
    const struct app_limits *limits; /* the function's own; filled in */
    struct engine_share *share;
    struct engine *engine; /* the share's: app_init sets it */
    struct net_loop *loop;
    struct app_data *data; /* what keeps its stores and databases; NULL: nobody */
    /* Its own database: questions APP_QUERY and APP_TX, a query's values being role, claims and body alone. NULL: it has none. */
    struct app_data *tables;
    struct net_party *party; /* its part of the process's pools; NULL: the process's own */
    /* What http://AUTHORITY is to a request that is made because of rq. to, if it may be asked: how; it holds as long as rq does. NULL: an address of the
     * network's, whatever it says. */
    enum app_local (*local)(struct app_request *rq, str authority, struct net_local *to);
    void (*outgoing)(struct app_request *rq, const struct app_outgoing *o); /* NULL: nobody wants to know */
    void (*met)(struct app *app, enum app_setting_id limit);                /* a guest of it met a limit; NULL: nobody counts */
    void (*news)(struct app *app); /* an image of it has something to report in its next turn; NULL: the loop is woken */
    struct app_notices notices;
    struct app_request nobody; /* what is of no request: its lines are the app's own */
};
/* After the rest is set: out and err take what is of no request. */
void app_init(struct app *app, struct app_out out, struct app_out err);
void app_news(struct app *app);

/* ---- instances ---- */

struct app_instance {
    struct app *app;
    struct host_instance *in;
    struct app_request *request; /* that it serves alone; several, or none: the app's nobody */
    arena *mem;                  /* what goes with it */
    struct app_late *late;
    uint32_t notices; /* logged since notices_since_ns */
    uint64_t notices_since_ns;
};
struct app_instance *app_instance_of(struct host_instance *in);
/* The id of the request that it serves; empty if it serves several, or none. Async-signal-safe. */
str app_doing_for(struct engine_instance *in);

/* Something that is still under way for an instance when its guest has ended. */
struct app_late {
    struct app_late *next, **prev;    /* prev NULL: on no list */
    void (*gone)(struct app_late *l); /* the instance is about to be released; l is off the list */
};
void app_late_add(struct app_instance *i, struct app_late *l, void (*gone)(struct app_late *l));
void app_late_remove(struct app_late *l); /* may be on no list */
void app_late_end(struct app_instance *i);

/* Warnings about what guests do, which could do it a million times: in a minute an instance says at most so many things, and a worker, each
 * once. Whether `what` (the thing, not its circumstances) may be logged now; it then counts as logged. */
bool app_notice_due(struct app_instance *i, str what);

#endif
