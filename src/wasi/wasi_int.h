/* Inside the wasi room: what an app and a run are to the kinds (p1, p2, …).
 *
 *   app.c      app and run: config, instances, fibers, outcomes
 *   kinds.def  one row a kind of guest: its struct wasi_ops
 *   offer.def  what the host offers: interfaces (components) and core functions (preview 1)
 *
 * A kind's main runs on the run's fiber, in a fresh and started instance, and says how it ended with one
 * wasi_run_end… (the first one holds). What it allocates in run->mem lives until wasi_run_free; what must be
 * undone before the instance is released (fetches, descriptors) joins run->mem by arena_cleanup: cleanups run
 * before the release, newest first.
 */
#ifndef ORLO_WASI_INT_H
#define ORLO_WASI_INT_H

#include "host/host.h"
#include "net/client.h"
#include "net/exchange.h"
#include "wasi/wasi.h"

/* Of a kind whose runs share instances: it starts, stops and frees them, and calls wasi_run_finished. */
struct wasi_own_ops {
    bool (*start)(struct wasi_run *run);          /* false: no instance is free */
    void (*kill)(struct wasi_run *run, bool now); /* not now: the client is gone, the guest is asked to stop */
    void (*free)(struct wasi_run *run);
    void (*turn)(struct wasi_app *app);  /* after `done` was called for those that have finished */
    void (*close)(struct wasi_app *app); /* no run is alive */
};
struct wasi_ops {
    /* Once an app: looks its exports up, keeps what it needs in app->kind_data (allocated in app->mem). */
    err (*bind)(struct wasi_app *app, struct diag *d);
    /* On the fiber. With run->config.exchange it answers that request, without it runs the command. */
    void (*main)(struct wasi_run *run);
    /* On the loop's stack, before the run's memory is given back. May be NULL. */
    void (*release)(struct wasi_run *run);
    const struct wasi_own_ops *own; /* NULL: one instance a run, in app.c */
};

struct wasi_app {
    arena *mem;
    struct engine *engine;
    struct net_loop *loop;
    struct host_component *component;
    enum wasi_kind kind;
    const struct wasi_ops *ops;
    void *kind_data;
    struct wasi_config config; /* strings and arrays in mem, limits filled in */
    struct net_client *client; /* made at the first use: wasi_app_client */
    struct wasi_run *finished, *free;
    uint32_t alive;
    bool told_folders; /* the log says that no folder is granted */
};

/* Something that is still under way for a run when its guest has ended. */
struct wasi_late {
    struct wasi_late *next, **prev;
    void (*gone)(struct wasi_late *l); /* the run is freed; it is off the list */
};

struct wasi_run {
    struct wasi_app *app;
    struct host_instance *in; /* its user is this run: host_user(call), host_instance_user(in) */
    arena *mem;
    struct wasi_run_config config;
    void *state; /* the kind's */
    struct wasi_outcome outcome;
    bool ended, killed;
    struct net_quota outgoing;     /* requests of its own under way */
    struct wasi_p3_fetch *fetches; /* of those, what a 0.3 guest sent */
    uint32_t notices;              /* logged since notices_since_ns: notice.h */
    uint64_t notices_since_ns;
    bool sought_folder; /* its guest looked for a folder, and none is granted */
    uint32_t files;     /* open for a guest of 0.2 or 0.3 */
    struct wasi_late *late;
    uint64_t seed[2]; /* of its insecure-seed, once seeded */
    bool seeded;
    struct {
        uint32_t sockets, lookups;    /* of the guest: open, under way */
        struct wasi_net_names *names; /* in mem; NULL: no lookup yet */
    } net;
    struct wasi_run *next;
};

/* The run's outcome; the first call holds, later ones are ignored. */
void wasi_run_end(struct wasi_run *run, enum wasi_end end, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The outcome that trap t makes: END_EXIT with the code, END_KILLED, END_CLIENT_GONE or END_TRAP. */
void wasi_run_end_trap(struct wasi_run *run, enum abi_trap t);
/* The id of the request that a guest asks something for, now; empty: of none. */
str wasi_run_request_id(const struct wasi_run *run);
/* The run is over: `done` is called in the app's next turn. */
void wasi_run_finished(struct wasi_run *run);
/* Writes bytes where `out` says. 0 or an errno: the other side is gone. */
[[nodiscard]] int wasi_out_write(const struct wasi_out *out, str bytes);
void wasi_late_add(struct wasi_run *run, struct wasi_late *l, void (*gone)(struct wasi_late *l));
void wasi_late_remove(struct wasi_late *l);
void wasi_late_end(struct wasi_run *run); /* all of them are gone: before their instance is released */
/* The app's outgoing client; NULL when nothing may be reached (config.allow_http is empty). */
struct net_client *wasi_app_client(struct wasi_app *app);

/* kinds.def and offer.def name these. */
#define X(kind, ops) extern const struct wasi_ops ops;
#include "wasi/kinds.def"
#undef X

#endif
