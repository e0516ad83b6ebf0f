/* Inside the wasi room: what an image, an instance and a run are to the kinds (p1, p2, …).
 *
 *   image.c    image and run: instances, fibers, outcomes
 *   kinds.def  one row a kind of guest: its struct wasi_ops
 *
 * A kind's main runs on the run's fiber, in a fresh and started instance, and says how it ended with one
 * wasi_run_end… (the first one holds). What it allocates in run->i->base.mem lives until wasi_run_free; what must be
 * undone before the instance is released (descriptors) joins it by arena_cleanup: cleanups run before the release, newest first.
 */
#ifndef ORLO_WASI_INT_H
#define ORLO_WASI_INT_H

#include "app/object.h"
#include "net/client.h"
#include "net/exchange.h"
#include "wasi/wasi.h"

/* Of a kind whose runs share instances: it starts, stops and frees them, and calls wasi_run_finished. */
struct wasi_own_ops {
    bool (*start)(struct wasi_run *run);          /* false: no instance is free */
    void (*kill)(struct wasi_run *run, bool now); /* not now: the client is gone, the guest is asked to stop */
    void (*free)(struct wasi_run *run);
    void (*turn)(struct wasi_image *image);  /* after `done` was called for those that have finished */
    void (*rest)(struct wasi_image *image);  /* instances that nobody uses go */
    void (*close)(struct wasi_image *image); /* no run is alive */
};
struct wasi_ops {
    /* Once an image: looks its exports up, keeps what it needs in image->kind_data (allocated in image->mem). */
    err (*bind)(struct wasi_image *image, struct diag *d);
    /* On the fiber. With run->request->exchange it answers that request, without it runs the command. */
    void (*main)(struct wasi_run *run);
    const struct wasi_own_ops *own; /* NULL: one instance a run, in image.c */
    bool cgi;                       /* serving, its standard streams are those of wasi_sys_cgi */
    bool program;                   /* its C library looks for folders before anybody asked for one */
};

struct wasi_image {
    arena *mem;
    struct app *app;
    struct host_component *component;
    enum wasi_kind kind;
    const struct wasi_ops *ops;
    void *kind_data;
    struct wasi_config config;
    struct net_client *client; /* made at the first use: wasi_image_client */
    struct wasi_run *finished, *free;
    uint32_t alive;
    bool websockets;             /* its service answers them */
    bool told_folders, told_env; /* the log says that none is granted */
};

/* What is of an instance besides: what its guest has open, and may have only so much of. What a guest has open may outlive the request
 * that it was opened for, so none of this is a request's. */
struct wasi_instance {
    struct app_instance base; /* first: the user of its struct host_instance */
    struct wasi_image *image;
    struct wasi_run *run;             /* that has it alone; NULL: of a service that shares it */
    struct net_quota outgoing;        /* requests of its own under way */
    uint32_t files, sockets, lookups; /* open, under way; a guest of preview 1 counts its files itself */
    struct wasi_net_names *names;     /* in base.mem; NULL: no lookup yet */
    uint64_t seed[2];                 /* of its insecure-seed, once seeded */
    bool seeded;
    bool sought_folder, sought_env; /* its guest looked for one, and none is granted */
};
static inline struct wasi_instance *wasi_instance_of(struct host_instance *in) { return host_instance_user(in); }
static inline struct wasi_instance *wasi_caller(struct host_call *call) { return wasi_instance_of(call->instance); }

struct wasi_run {
    struct wasi_image *image;
    struct app_request *request;
    struct wasi_instance *i; /* alone, or one that it shares */
    struct wasi_run_config config;
    void *state; /* the kind's */
    struct wasi_outcome outcome;
    bool ended, killed;
    struct wasi_instance alone;
    struct wasi_run *next;
};

/* Of an image's, but for `in` and `mem`: as new. */
void wasi_instance_begin(struct wasi_instance *i, struct wasi_image *image, arena *mem);
/* Before its host instance is released: what is under way ends, and its memory goes. */
void wasi_instance_end(struct wasi_instance *i);

/* The run's outcome; the first call holds, later ones are ignored. */
void wasi_run_end(struct wasi_run *run, enum wasi_end end, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The outcome that trap t makes: END_EXIT with the code, END_KILLED, END_CLIENT_GONE or END_TRAP. */
void wasi_run_end_trap(struct wasi_run *run, enum abi_trap t);
/* The run is over: `done` is called in the app's next turn. */
void wasi_run_finished(struct wasi_run *run);
/* The outgoing client; NULL when nothing may be reached (no host is granted). */
struct net_client *wasi_image_client(struct wasi_image *image);

/* kinds.def names these. */
#define X(kind, ops) extern const struct wasi_ops ops;
#include "wasi/kinds.def"
#undef X

#endif
