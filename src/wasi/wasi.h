/* wasi: the world a guest sees. Preview 1, WASI 0.2 and 0.3, and their CGI face; the node room drives it.
 *
 *   image --wasi_image_new--> image --wasi_start--> run (fresh instance, fiber) --done--> node --wasi_run_free--> slot reset
 *
 * 1. Guest semantics live here: what an import does, how a request becomes CGI or an incoming-request. Policy lives in
 *    the node: deadlines, error pages, logs, what is granted.
 * 2. Nothing is granted by default. What the app's grants do not name, no guest of it can reach.
 * 3. One run is a request served or a command run; it has an instance to itself, or (0.3 services) shares one. Its outcome is
 *    reported exactly once, on the loop's stack, never from inside wasi_start.
 * 4. The node listens to the exchange's events (deadline, client gone) and kills the run; wasi listens to source and sink.
 * 5. Host memory that a guest can make grow (handles, bodies, headers, strings) is charged to its run and capped.
 */
#ifndef ORLO_WASI_H
#define ORLO_WASI_H

#include "app/app.h"

struct plan; /* component/plan.h */

/* Whether the folder may be granted: not one of a file system in which the kernel shows itself and other processes (proc, sysfs, …). */
bool wasi_may_grant(int folder_fd);

/* What guests are offered of WASI: the node composes it with what services offer. */
extern const struct host_offer wasi_p1_offer, wasi_p2_offer, wasi_p3_offer, wasi_websocket_offer;

/* Per image; copied, strings and arrays borrowed until wasi_image_free. */
struct wasi_config {
    const str *args; /* argv; [0] is the program's name. Served as CGI, a guest gets args[0] only */
    size_t args_count;
    str server_name; /* SERVER_SOFTWARE: "orlo/0.1.0" */
};

/* ---- an image: loaded, and bound to its host functions -------------------------------------------------------- */

/* What an image offers to be run as. X-macro in wasi_kind.def: name, what a person reads, served?, run as a command? */
enum wasi_kind {
#define X(name, text, serves, runs) WASI_##name,
#include "wasi/wasi_kind.def"
#undef X
    WASI_KIND_COUNT
};
const char *wasi_kind_text(enum wasi_kind k);
/* What a preview 1 command is entered by, the first of them it exports: _start; or _initialize, where Kotlin's compiler runs main. */
enum { WASI_P1_ENTRIES = 2 };
extern const str wasi_p1_entries[WASI_P1_ENTRIES];
bool wasi_kind_serves(enum wasi_kind k); /* wasi_start with an exchange works */
bool wasi_kind_runs(enum wasi_kind k);   /* wasi_start without one works */
enum wasi_kind wasi_kind_of(const struct abi_image *im);
enum wasi_kind wasi_kind_of_plan(const struct plan *plan); /* of a component's plan */

struct wasi_image;
/* Takes im (also on failure); app and offer are borrowed until wasi_image_free. Loads it into the app's share and binds every host
 * import. ERR_LINK: an import that is not offered, the diagnostic names it and the nearest that is. ERR_UNSUPPORTED: of no kind. ERR_LIMIT: the share has
 * no room for the image. */
err wasi_image_new(struct app *app, const struct host_offer *offer, struct abi_image im, const struct wasi_config *config,
                   struct wasi_image **out, struct diag *d);
/* It is about to go: instances that are kept for the next request are given back, in turns to come. */
void wasi_image_rest(struct wasi_image *image);
void wasi_image_free(struct wasi_image *image); /* no run of it may be alive */
enum wasi_kind wasi_image_kind(const struct wasi_image *image);
bool wasi_image_websockets(const struct wasi_image *image); /* it answers them */
struct engine_image *wasi_image_engine(const struct wasi_image *image);

/* ---- a run -------------------------------------------------------------------------------------------------- */

enum wasi_end {
    WASI_END_OK,           /* served: the whole response was handed to the exchange. Command: exit_status is set */
    WASI_END_TRAP,         /* the guest trapped; trap points at the record */
    WASI_END_EXIT,         /* served: the guest exited before its response was whole; exit_status is set */
    WASI_END_NO_RESPONSE,  /* returned without a response, or without finishing its body */
    WASI_END_BAD_RESPONSE, /* what it wrote is no response (CGI header, illegal field, length not kept); text says why */
    WASI_END_ERROR,        /* the guest itself set an error (wasi:http error-code); text names it */
    WASI_END_CLIENT_GONE,  /* the exchange was closed by the other side first */
    WASI_END_KILLED,       /* wasi_run_kill */
    WASI_END_BAD_REQUEST,  /* the client's body failed while it was read: net_exchange_body_status */
    WASI_END_REDIRECT,     /* served as CGI: another run is to serve this request, at `redirect` (RFC 3875 §6.2.2) */
    WASI_END_LIMIT,        /* a limit of the run was passed; text names it */
};
struct wasi_outcome {
    enum wasi_end end;
    int exit_status;
    char text[256];                        /* empty, or why; for the log */
    str redirect;                          /* path and query; valid until wasi_run_free */
    const struct engine_trap_record *trap; /* of the run's instance; valid until wasi_run_free. NULL without a trap */
};

struct wasi_run_config {
    struct app_request
        *request; /* to be served if it came by an exchange, else a command is run for it. Borrowed until wasi_run_free */
    str redirect; /* served as CGI: not what the exchange asks for, but GET of this path and query, which a run redirected to */
    int stdin_fd; /* command only: -1 is empty. A served CGI guest reads the request's body */
    void (*done)(void *arg, const struct wasi_outcome *outcome); /* the request is over, or another run serves it, from here on */
    void *arg;
};
struct wasi_run;
/* Acquires an instance, a fresh one unless the app shares them, and starts the guest at the next engine_run. config is copied.
 * NULL: no instance is free (answer 503). */
struct wasi_run *wasi_start(struct wasi_image *image, const struct wasi_run_config *config);
/* Stops the guest; done is called with WASI_END_KILLED (or what had happened before) at a later engine_run. */
void wasi_run_kill(struct wasi_run *run);
/* The same for a client that is gone: a guest that can hear it (0.3) is asked to stop, and has a while to do so. */
void wasi_run_cancel(struct wasi_run *run);
/* Calls done for the runs that have ended: after every engine_run, on the loop's stack. */
void wasi_image_turn(struct wasi_image *image);
/* After done, before wasi_run_free: lets go of some of what the guest still holds, at most *budget objects. False: call it again. */
bool wasi_run_wind_down(struct wasi_run *run, uint32_t *budget);
/* After done: resets and returns the instance's slot, frees the run. Call it once the response is out. */
void wasi_run_free(struct wasi_run *run);

#endif
