/* wasi: the world a guest sees. Preview 1, WASI 0.2 and 0.3, and their CGI face; the node room drives it.
 *
 *   image --wasi_app_new--> app --wasi_start--> run (fresh instance, fiber) --done--> node --wasi_run_free--> slot reset
 *
 * 1. Guest semantics live here: what an import does, how a request becomes CGI or an incoming-request. Policy lives in
 *    the node: deadlines, error pages, logs, what is granted.
 * 2. Nothing is granted by default. What struct wasi_config does not name, no guest of the app can reach.
 * 3. One run is a request served or a command run; it has an instance to itself, or (0.3 services) shares one. Its outcome is
 *    reported exactly once, on the loop's stack, never from inside wasi_start.
 * 4. The node listens to the exchange's events (deadline, client gone) and kills the run; wasi listens to source and sink.
 * 5. Host memory that a guest can make grow (handles, bodies, headers, strings) is charged to its run and capped.
 */
#ifndef ORLO_WASI_H
#define ORLO_WASI_H

#include "app/grants.h"
#include "app/settings.h"
#include "engine/engine.h"

struct net_loop;
struct plan;         /* component/plan.h */
struct net_exchange; /* one request and its response on a server connection: net/net.h */

/* ---- what is granted: app/grants.h --------------------------------------------------------------------------- */

/* Whether the folder may be granted: not one of a file system in which the kernel shows itself and other processes (proc, sysfs, …). */
bool wasi_may_grant(int folder_fd);
/* Where a guest's bytes go: a descriptor, or a function called with what the guest wrote (not line by line). */
struct wasi_out {
    int fd; /* used when write is NULL; -1 discards */
    void (*write)(void *arg, str bytes);
    void *arg;
};

/* Per app; borrowed until wasi_app_free. */
struct wasi_config {
    const str *args; /* argv; [0] is the program's name. Served as CGI, a guest gets args[0] only */
    size_t args_count;
    const struct app_grants *grants; /* folders opened */
    const struct app_limits *limits; /* filled in */
    struct wasi_out out, err;        /* where an instance writes that serves several requests, while it is not known for which */
    str server_name;                 /* SERVER_SOFTWARE: "orlo/0.1.0" */
};

/* ---- an app: a loaded image bound to its host functions ----------------------------------------------------- */

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
/* Are all imports offered? ERR_LINK: the diagnostic names what is not, and the nearest that is. Needs no engine. */
err wasi_offer_check(const struct plan *plan, struct diag *d);
/* The type that a core function is offered with, "iil:i" (parameters, colon, results; i i32, l i64, f f32, d f64); NULL: none. */
const char *wasi_core_sig(str module, str name);

struct wasi_app;
/* Takes im (also on failure). Loads it into e and binds every host import. loop carries timers and outgoing requests.
 * ERR_LINK: an import that is not offered, the diagnostic names it and the nearest that is. ERR_UNSUPPORTED: of no kind. */
err wasi_app_new(struct engine *e, struct net_loop *loop, struct abi_image im, const struct wasi_config *config,
                 struct wasi_app **out, struct diag *d);
void wasi_app_free(struct wasi_app *app); /* no run of it may be alive */
enum wasi_kind wasi_app_kind(const struct wasi_app *app);
struct engine_image *wasi_app_image(const struct wasi_app *app);

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
    struct net_exchange *exchange; /* a request to serve, or NULL: run as a command. Borrowed until done is called */
    str request_id;                /* borrowed until wasi_run_free; in HTTP_X_REQUEST_ID for CGI */
    str redirect; /* served as CGI: not what the exchange asks for, but GET of this path and query, which a run redirected to */
    str remote;   /* the client's address without port; empty: unknown */
    bool https;
    int stdin_fd;             /* command only: -1 is empty. A served CGI guest reads the request's body */
    struct wasi_out out, err; /* stdout (command and 0.2 only: a CGI guest's stdout is the response) and stderr */
    void (*done)(void *arg, const struct wasi_outcome *outcome);
    void *arg;
};
struct wasi_run;
/* Acquires an instance, a fresh one unless the app shares them, and starts the guest at the next engine_run. config is copied, but not its strings.
 * NULL: no instance is free (answer 503). */
struct wasi_run *wasi_start(struct wasi_app *app, const struct wasi_run_config *config);
/* Stops the guest; done is called with WASI_END_KILLED (or what had happened before) at a later engine_run. */
void wasi_run_kill(struct wasi_run *run);
/* The same for a client that is gone: a guest that can hear it (0.3) is asked to stop, and has a while to do so. */
void wasi_run_cancel(struct wasi_run *run);
/* Calls done for the runs that have ended: after every engine_run, on the loop's stack. */
void wasi_app_turn(struct wasi_app *app);
/* After done, before wasi_run_free: lets go of some of what the guest still holds, at most *budget objects. False: call it again. */
bool wasi_run_wind_down(struct wasi_run *run, uint32_t *budget);
/* The id of the request that this instance serves; empty if it serves several, or none. Async-signal-safe. */
struct engine_instance;
str wasi_doing_for(struct engine_instance *in);
/* After done: resets and returns the instance's slot, frees the run. Call it once the response is out. */
void wasi_run_free(struct wasi_run *run);

#endif
