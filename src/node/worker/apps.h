/* apps: what runs guests in a process.
 *
 *   guest ─┬─ loop, engine, rights                          of the process
 *          └─ app ── part, part …                           a version of an app; its functions, each with its image
 *   apps ──── snapshot: host, path → app, part              of a worker
 *   handler ─ requests: routed, waiting at a part, running  of a worker
 *
 * 1. An app that nobody asks for is a row of the snapshot: it takes memory from its first request on, an image when it came.
 * 2. Everything that an app can use up is its own: instances, memory, waiting requests. Who waits at one part keeps nobody from another.
 * 3. A version is served whole: a request that began under it ends under it, whatever is deployed meanwhile; with the last of
 *    them, what goes on after a response included, its memory goes.
 * 4. A new snapshot is prepared beside the one that is served, and takes its place in one step.
 * 5. An app that nobody has asked for a while is a row of the snapshot again (idle.h).
 */
#ifndef ORLO_NODE_APPS_H
#define ORLO_NODE_APPS_H

#include "node/node_int.h"
#include "node/rights.h"
#include "node/snapshot.h"
#include "wasi/wasi.h"

struct node_app;
/* Why a request is turned away: page.c. */
enum node_refusal {
#define REFUSAL(name, ...) NODE_REFUSE_##name,
#include "node/worker/refusal.def"
    NODE_REFUSALS
};
struct node_meters_app;
struct node_meters_call;
struct node_request; /* handler_int.h */
struct node_handler;

/* ---- guest.c: a process that runs guests: a worker, and `orlo run` ---- */

enum { NODE_FIBERS_MAX = 200'000 };

struct node_folder {
    str path; /* as granted: of the host's */
    int fd;   /* owned; it stays open */
    bool write;
};
struct node_data;    /* data.h */
struct node_readers; /* query.h */
struct node_hashes;  /* hashes.h */
struct node_guest {
    struct net_loop *loop;
    struct engine *engine;
    struct net_timer *idle;
    bool idle_armed, idle_late; /* the timer runs; it only waits for things to stay unused */
    uint64_t turns_seen;        /* of the engine, when upkeep was last arranged for */
    VEC(struct node_folder) folders;
    struct node_log_pool log;
    struct node_tracer *tracer;           /* trace.c; NULL: no spans are sent */
    struct node_applog *applog;           /* applog.c; NULL: apps have no logs of their own */
    struct pool under_way;                /* requests: gate.h */
    struct node_sample *sample;           /* sample.c; NULL: nobody wants to know */
    struct node_data *data;               /* of apps; NULL: there is none */
    struct node_data *postgres;           /* the same, of those whose tables are PostgreSQL's */
    struct node_readers *readers;         /* query.h; NULL: there are none */
    struct node_hashes *hashes, *signers; /* of passwords; of tokens; NULL: there are none */
    struct node_mails *mails;             /* mails.h */
    uint32_t relay_hour;                  /* mails of an app in an hour that the node's relay takes; 0: there is none */
    struct node_texts *texts;             /* texts.h; NULL: nobody reads what is executed */
    struct node_app *apps, *news, *told;  /* all; those that want a turn; those that are having it */
    bool (*turn)(void *arg);              /* before the engine runs; may be NULL */
    struct node_handler *handler;         /* of its requests; NULL: it has none */
    void *turn_arg;
};
struct node_guest_config {
    const struct node_rights *rights; /* all that guests of this process may be granted; folders are the guest's */
    const struct node_limits *limits;
    uint32_t workers; /* that share the node's memory; 0: it is the only one */
    const int *keep;  /* descriptors that stay open besides the folders and the standard streams */
    size_t keep_count;
};
/* Opens the folders of grants. ERR_DENIED, ERR_LIMIT. */
[[nodiscard]] err node_guest_folders(arena *out, struct node_guest *g, const struct app_grants *grants, struct diag *d);
/* With its folders: makes loop and engine, gives up the process's rights. On failure the process is to end. */
[[nodiscard]] err node_guest_open(struct node_guest *g, const struct node_guest_config *config, struct diag *d);
/* Runs guests for a while and reports what ended: the loop's turn hook, and for an owner that has started many. */
bool node_guest_turn(struct node_guest *g);
void node_guest_close(struct node_guest *g); /* frees its apps */
/* Of a worker's memory: what connections may hold (no more than they can), and what is left for guests. */
uint64_t node_connections_memory(const struct node_limits *l, uint32_t workers);
/* Why there was no instance, the last time: which limit, its value, and the flag that raises it. */
void node_guest_refusal(const struct node_guest *g, struct buf *out);

/* ---- app.c ---- */

enum node_part_state { NODE_PART_ABSENT, NODE_PART_WANTED, NODE_PART_READY, NODE_PART_FAILED };
struct node_pack;
struct node_part { /* a function, a static folder, or the door to the app's tables */
    struct app of; /* first: what guests' host functions know of it */
    struct node_app *app;
    const struct app_function *function; /* NULL: it is a folder */
    const struct app_files *files;       /* the other way round */
    bool door;                           /* neither: to the app's tables (door.c) */
    str name;                            /* the function's, "files NAME", or "data" */
    const uint8_t *digest;               /* of its image, or its pack; zeroes: it has none */
    struct node_meters_call *meters;     /* NULL: it was not asked yet */
    enum node_part_state state;
    uint64_t retry_ns; /* of a FAILED one: not before then is its image asked for again */
    uint32_t tries;    /* to load it, while idle apps make room */
    struct wasi_image *image;
    struct node_pack *pack;
    bool has_secrets;
    struct node_request *first, *last; /* that wait */
    uint32_t waiting;
    struct node_part *next, *prev; /* of the parts where somebody waits */
};
struct node_app {
    struct node_guest *guest;
    struct engine_share *share; /* one for all versions of an app */
    struct net_party *party;    /* the same */
    arena *mem;
    const char *name;
    struct app_record record;
    struct node_part *parts; /* one a function, then one a folder; then, of one that has a database, the door to it */
    uint32_t parts_count;
    uint64_t bodies; /* bytes of what is being sent to its tables (door.c) */
    uint32_t users,
        users_large;          /* requests of its users that run; that are large, of those and of those that are read (users.c) */
    struct node_calls *calls; /* calls.h; NULL: none was made */
    struct node_meters_app *meters;
    struct node_meters_call *answered; /* node_app_meters; NULL: nothing was */
    struct node_app_sampled {
        uint64_t cpu_ns, resets, reset_bytes;
        uint32_t versions, requests; /* that have it */
    } * sampled;                     /* of its share, as it was last seen; of all its versions together */
    struct node_kept {
        struct buf lines;     /* of this turn, for its own log */
        uint64_t count, lost; /* of them; that found no room before */
        bool queued;
        struct node_app *next;
    } kept;                     /* applog.c */
    struct pool_part under_way; /* requests of its: gate.h */
    struct {
        uint64_t next_ns, times;
    } refused[NODE_REFUSALS];   /* when the log may have the next of each, and how many it has not had */
    struct node_log_part log;   /* of what all its guests have logged */
    struct node_lines out, err; /* of guests, where no request is known */
    uint32_t requests;          /* that refer to it: waiting, running, and what goes on after their responses */
    uint32_t running, blocked;  /* of them: have an instance; of those, wait for another function of the app (internal.c) */
    bool served, retired;       /* a snapshot that was served had it; none has it any more */
    bool given_back;            /* retired, as it was idle */
    bool has_news;              /* a part of it */
    struct node_app *next, **prev, *next_news;
    struct node_idle *idle; /* idle.h; NULL: it is on no list */
    struct node_app *newer, *older;
    str secrets;            /* the app's, of one that has users, once its door has come: secrets.c */
    struct node_keys *keys; /* keys.h: what its callers are known by; NULL: nothing, or no part has come yet */
    uint64_t used_ns;       /* when it was last asked, or its last request ended */
    struct {
        uint64_t requests, failed, refused; /* that came; whose guest failed; that met a limit */
    } counts;
};
/* Takes mem, in which the record's strings are to live. Versions of one app (id) have one share, with the limits of the last.
 * Its folders are those of the guest's that its grants name (ERR_DENIED: one is not). */
[[nodiscard]] err node_app_new(struct node_guest *g, arena *mem, const struct app_record *r, struct node_app **out,
                               struct diag *d);
/* The part's image, or pack, has come: it is loaded, and bound. There is room for it and one instance, or it is not. image's descriptor is borrowed,
 * args (what a command is given) for the app's life. */
[[nodiscard]] err node_part_load(struct node_part *part, struct node_image *image, const char *const *args, size_t count,
                                 struct diag *d);
/* What its app's secrets say of it, in its environment and variables; once, before it is loaded. secrets: as secrets.c has them. */
void node_part_secrets(struct node_part *part, str secrets);
/* A secret of an app that has users, by its name. False: it has none, or none has come yet. */
bool node_app_secret(const struct node_app *app, str name, str *value);
struct node_part *node_app_door(struct node_app *app);             /* NULL: it has none */
struct node_meters_call *node_part_meters(struct node_part *part); /* its row: node/meters.h */
struct node_meters_call *node_app_meters(struct node_app *app); /* of what the node answers in its place: redirects, refusals */
/* Nothing refers to it, and no instance of it is alive. */
bool node_app_over(const struct node_app *app);
/* Nothing refers to it, and nothing is to come for it. Instances may be kept for its next request. */
bool node_app_idle(const struct node_app *app);
void node_app_free(struct node_app *app); /* which is over, or the process ends */

/* ---- internal.c ---- */

struct net_local;
enum app_local node_internal(struct app_request *rq, str authority, struct net_local *to); /* app.local */

/* ---- apps.c: the apps of a worker ---- */

struct node_apps_config {
    struct node_guest *guest;
    uint32_t cordon;  /* apps of others are nobody's here */
    uint64_t idle_ms; /* unused for so long, an app is given back */
    /* Ask for the part's image, and for what is whose; node_apps_image is called some time later, not from within. */
    void (*want)(void *arg, const struct node_part *part);
    /* What was prepared can be served, or cannot (e, d). */
    void (*applied)(void *arg, uint64_t generation, err e, const struct diag *d);
    /* A part is READY, or nobody is to wait for it any more: its image has not come, or its app is retired. */
    void (*changed)(void *arg, struct node_part *part);
    void *arg;
};
struct node_apps;
struct node_apps *node_apps_new(const struct node_apps_config *config);
void node_apps_free(struct node_apps *a);
/* Takes s. What was prepared before and is not served is dropped. proven: others serve it, so eager apps are as any other. applied is called,
 * perhaps from within. */
void node_apps_prepare(struct node_apps *a, struct node_snapshot *s, bool proven);
/* What was prepared is served from now on. False: it is not ready, or of another generation. */
bool node_apps_live(struct node_apps *a, uint64_t generation);
uint64_t node_apps_generation(const struct node_apps *a); /* that is served; 0: none */
/* What is wanted by that digest is a pack. */
bool node_apps_want_pack(const struct node_apps *a, const uint8_t digest[APP_DIGEST_BYTES]);
/* Whose secrets come with an image. app 0: nobody's, it is the same for whoever wants it. */
struct node_owner {
    uint32_t app, version;
    uint64_t revision;
};
struct node_owner node_part_owner(const struct node_part *part);
void node_apps_alone(struct node_apps *a); /* the supervisor is gone: no image will come for who waits for one */
/* An image that was wanted, or why there is none (image NULL). */
void node_apps_image(struct node_apps *a, const uint8_t digest[APP_DIGEST_BYTES], const struct node_owner *owner,
                     struct node_image *image, str why);
/* Whose a request is: of what is served, until it turns again. NULL: nobody's, also while nothing is served. */
const struct node_entry *node_apps_at(const struct node_apps *a, str authority);
/* As node_snapshot_route. */
const struct node_route *node_apps_route(const struct node_apps *a, const struct node_entry *e, enum node_version v, str path);
/* That version of it, made if nobody has asked for it before. NULL: it cannot be made, which is logged. */
struct node_app *node_apps_app(struct node_apps *a, const struct node_entry *e, enum node_version v);
/* All of what is served. */
const struct node_entry *node_apps_entries(const struct node_apps *a, uint32_t *count);
struct node_app *node_apps_live_app(struct node_apps *a,
                                    uint32_t id); /* of this cordon. NULL: there is none, or it cannot be made */
/* It is ABSENT, or FAILED long enough ago: its image is asked for. */
void node_apps_want(struct node_apps *a, struct node_part *part);
/* Memory, or places, for an instance or an image of the app were refused: idle apps go, the longest not asked first; n of them. How many
 * there were: 0 if that is no help, as it was its own limit, it has its part already, or what was given back before is still to come. */
uint32_t node_apps_make_room(struct node_apps *a, const struct node_app *app, uint32_t n);
bool node_apps_spare(struct node_apps *a, const struct node_app *app); /* there is one that would go */
/* Of a turn: what is over and no longer served goes. */
void node_apps_turn(struct node_apps *a);

/* ---- applog.c: lines that are an app's ---- */

enum { NODE_LOG_LINE_MAX = 32 << 10 }; /* log.c makes none that is longer */
struct node_applog;
/* alone: such lines are in no other log. */
struct node_applog *node_applog_new(struct node_guest *g, bool alone);
void node_applog_channel(struct node_applog *l, int fd); /* takes it: to control, or to another one */
void node_applog_flush(struct node_applog *l);           /* of a turn */
void node_applog_forget(struct node_applog *l, struct node_app *app);
void node_applog_key_used(struct node_applog *l, uint32_t app, uint32_t key); /* a key of an app's, opaque, just now */
void node_applog_free(struct node_applog *l);                                 /* NULL is fine */

/* ---- trace.c: spans on their way to the courier ---- */

struct node_tracer;
/* sample_ppm: of a million requests without a parent. want: a channel is to come. */
struct node_tracer *node_tracer_new(struct node_guest *g, uint32_t sample_ppm, void (*want)(void *arg), void *arg);
void node_tracer_channel(struct node_tracer *t, int fd); /* takes it */
void node_tracer_flush(struct node_tracer *t);           /* what waits is sent; where there is no courier, one is asked for */
void node_tracer_free(struct node_tracer *t);            /* before its guest is closed; NULL is fine */
void node_trace_outgoing(struct app_request *rq, const struct app_outgoing *o); /* of struct app */

/* ---- sample.c: what a worker measures of itself ---- */

struct net_server;
struct node_sample;
/* Of servers that are there when it looks. */
struct node_sample *node_sample_new(struct node_guest *g, struct net_server **servers, uint32_t *count);
void node_sample_free(struct node_sample *s); /* before its guest is closed; NULL is fine */
void node_sample_take(struct node_sample *s);
struct node_app_sampled *node_app_sampled_of(struct node_guest *g, const struct node_app *app);
void node_app_sampled_drop(struct node_app *app);

/* ---- handler.c: requests of a worker ---- */

struct node_handler;
struct node_handler *node_handler_new(struct node_guest *g, struct node_apps *apps, const struct node_limits *limits,
                                      bool access_log, bool dev);
void node_handler_trust(struct node_handler *h, const struct net_prefix *trusted,
                        size_t count);                                                /* proxies before us: via.c. Borrowed */
void node_handler_request(struct net_exchange *x, void *handler);                     /* on_request of a net_server */
void node_handler_refused(str peer, uint16_t status, const char *why, void *handler); /* on_refused */
/* Requests for apps of other cordons than this worker's go there. */
struct node_inbox;
void node_handler_use_inbox(struct node_handler *h, struct node_inbox *inbox, uint32_t cordon);
void node_handler_proofs(
    struct node_handler *h,
    str table); /* what authorities are to find here from now on: HOST, TOKEN, proof, a newline behind each */
void node_handler_rest(struct node_handler *h); /* requests that come go to others of that cordon, where it can send to them */
uint32_t node_handler_busy(const struct node_handler *h);                       /* requests in progress */
void node_handler_part_changed(struct node_handler *h, struct node_part *part); /* node_apps_config.changed */
void node_handler_end(struct node_handler *h); /* no request is busy: what the last of them left is given back */
/* After its guest is closed: what goes on after a response refers to the request. */
void node_handler_free(struct node_handler *h);

#endif
