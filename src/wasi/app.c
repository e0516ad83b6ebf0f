/* app: a loaded image with its config; its runs.
 *
 *   wasi_start ─> fiber: instance start, ops->main ─> finished list ─> wasi_app_turn ─> done ─> wasi_run_free ─> free list
 *
 * 1. `done` is called from wasi_app_turn alone: on the loop's stack, when the fiber has returned.
 * 2. Runs are recycled with their arenas: a request in the steady state allocates nothing here.
 */
#include "component/plan.h"
#include "wasi/notice.h"
#include "wasi/p3/http.h"
#include <errno.h>
#include <poll.h>
#include <unistd.h>

/* ---- kinds ---- */

static const struct {
    const char *text;
    bool serves, runs;
} kinds[] = {
#define X(name, text, serves, runs) {text, serves, runs},
#include "wasi/wasi_kind.def"
#undef X
};
static const struct wasi_ops *const ops_of[WASI_KIND_COUNT] = {
#define X(kind, ops) [WASI_##kind] = &ops,
#include "wasi/kinds.def"
#undef X
};

const char *wasi_kind_text(enum wasi_kind k) { return k < WASI_KIND_COUNT ? kinds[k].text : "?"; }
bool wasi_kind_serves(enum wasi_kind k) { return k < WASI_KIND_COUNT && kinds[k].serves && ops_of[k]; }
bool wasi_kind_runs(enum wasi_kind k) { return k < WASI_KIND_COUNT && kinds[k].runs && ops_of[k]; }

enum wasi_kind wasi_kind_of_plan(const struct plan *plan) {
    static const struct {
        const char *interface, *func;
        enum wasi_kind kind;
    } exports[] = {
        {"wasi:http/handler@0.3.0", "handle", WASI_P3_HTTP}, /* who exports both means the newer */
        {"wasi:http/incoming-handler@0.2.0", "handle", WASI_P2_HTTP},
        {"wasi:cli/run@0.3.0", "run", WASI_P3_COMMAND},
        {"wasi:cli/run@0.2.0", "run", WASI_P2_COMMAND},
    };
    for (size_t i = 0; i < ARRAY_COUNT(exports); i++)
        if (plan_export_find(plan, str_c(exports[i].interface), str_c(exports[i].func))) return exports[i].kind;
    return WASI_NONE;
}

const str wasi_p1_entries[WASI_P1_ENTRIES] = {STR_INIT("_start"), STR_INIT("_initialize")};

/* A core module that exports what a preview 1 command is entered by. */
static bool exports_start(const struct abi_image *im) {
    const struct abi_image_export *ex = abi_image_at(im, im->head->exports, struct abi_image_export);
    for (uint64_t i = 0; i < im->head->exports.count; i++)
        for (int k = 0; k < WASI_P1_ENTRIES; k++)
            if (str_eq(abi_image_str(im, ex[i].name), wasi_p1_entries[k])) return true;
    return false;
}

static bool is_core_module(const struct abi_image *im, arena *scratch, struct plan *plan) {
    return !im->head->plan.count || plan_load(scratch, abi_image_str(im, im->head->plan), plan) != ERR_OK || plan->is_core;
}

enum wasi_kind wasi_kind_of(const struct abi_image *im) {
    arena *scratch = arena_new(0);
    struct plan plan;
    enum wasi_kind kind =
        is_core_module(im, scratch, &plan) ? (exports_start(im) ? WASI_P1_COMMAND : WASI_NONE) : wasi_kind_of_plan(&plan);
    arena_free(scratch);
    return kind;
}

/* ---- what is offered ---- */

#include "wasi/offer_headers.h"

static const struct host_interface *const interfaces[] = {
#define INTERFACE(name) &name,
#define CORE(funcs, count)
#include "wasi/offer.def"
#undef INTERFACE
#undef CORE
    NULL,
};

/* All core functions in one array, made at the first use. */
static const struct host_offer *offer(void) {
    static struct host_offer all;
    if (all.interfaces) return &all;
    static const struct {
        const struct host_core_func *p;
        uint32_t n;
    } parts[] = {
#define INTERFACE(name)
#define CORE(funcs, count) {funcs, count},
#include "wasi/offer.def"
#undef INTERFACE
#undef CORE
        {NULL, 0},
    };
    uint32_t n = 0;
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) n += parts[i].n;
    struct host_core_func *core = calloc(n + 1, sizeof *core);
    ENSURE(core);
    all.core = core;
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++)
        for (uint32_t k = 0; k < parts[i].n; k++) core[all.core_count++] = parts[i].p[k];
    all.interfaces_count = ARRAY_COUNT(interfaces) - 1;
    all.interfaces = interfaces;
    return &all;
}

err wasi_offer_check(const struct plan *plan, struct diag *d) { return host_offer_check(offer(), plan, d); }

const char *wasi_core_sig(str module, str name) {
    const struct host_offer *all = offer();
    for (uint32_t i = 0; i < all->core_count; i++)
        if (str_eqc(module, all->core[i].module) && str_eqc(name, all->core[i].name)) return all->core[i].sig;
    return NULL;
}

/* ---- apps ---- */

static err load(struct wasi_app *app, struct abi_image im, struct diag *d) {
    app->kind = wasi_kind_of(&im);
    app->ops = ops_of[app->kind];
    if (app->kind == WASI_NONE || !app->ops) {
        err e = diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE,
                         app->kind ? "it is a %s, which this version does not run"
                                   : "%s: it exports none of wasi:http/incoming-handler, "
                                     "wasi:http/handler, wasi:cli/run and _start",
                         wasi_kind_text(app->kind));
        abi_image_close(&im);
        return e;
    }
    struct host_limits limits = {.handles_max = (uint32_t)app->config.limits->handles_max,
                                 .host_bytes_max = app->config.limits->host_bytes_max};
    TRY(host_component_load(app->engine, im, offer(), &limits, &app->component, d));
    return app->ops->bind(app, d);
}

err wasi_app_new(struct engine *e, struct net_loop *loop, struct abi_image im, const struct wasi_config *config,
                 struct wasi_app **out, struct diag *d) {
    arena *mem = arena_new(0);
    struct wasi_app *app = arena_make(mem, struct wasi_app);
    *app = (struct wasi_app){.mem = mem, .engine = e, .loop = loop};
    app->config = *config;
    err failed = load(app, im, d);
    *out = app;
    if (failed != ERR_OK) {
        wasi_app_free(app);
        *out = NULL;
    }
    return failed;
}

void wasi_app_free(struct wasi_app *app) {
    if (!app) return;
    ENSURE(!app->alive);
    if (app->ops && app->ops->own) app->ops->own->close(app);
    while (app->free) {
        struct wasi_run *run = app->free;
        app->free = run->next;
        arena_free(run->mem);
        free(run);
    }
    if (app->client) net_client_free(app->client);
    if (app->component) host_component_unload(app->component);
    arena_free(app->mem);
}

enum wasi_kind wasi_app_kind(const struct wasi_app *app) { return app->kind; }
struct engine_image *wasi_app_image(const struct wasi_app *app) {
    return host_component_image(app->component);
}

struct net_client *wasi_app_client(struct wasi_app *app) {
    if (app->client || (!app->config.grants->allow_http.n && !app->config.grants->forward_authority.n)) return app->client;
    struct net_client_config config = {.loop = app->loop};
    struct diag d = DIAG_INIT;
    if (net_client_new(&config, &app->client, &d) != ERR_OK) {
        log_event(LOG_ERROR, "no-outgoing-client", LF_CSTR("reason", d.text));
        app->client = NULL;
    }
    return app->client;
}

/* ---- runs ---- */

void wasi_run_end(struct wasi_run *run, enum wasi_end end, const char *fmt, ...) {
    if (run->ended) return;
    run->ended = true;
    run->outcome.end = end;
    if (end == WASI_END_OK) return; /* most of the time */
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(run->outcome.text, sizeof run->outcome.text, fmt, ap);
    va_end(ap);
}

void wasi_run_end_trap(struct wasi_run *run, enum abi_trap t) {
    if (run->ended) return;
    const struct engine_trap_record *record = engine_last_trap(host_instance_engine(run->in));
    bool killed = run->killed || t == ABI_TRAP_INTERRUPTED;
    if (t == ABI_TRAP_EXIT) run->outcome.exit_status = record->exit_code;
    else run->outcome.trap = record;
    wasi_run_end(run, t == ABI_TRAP_EXIT ? WASI_END_EXIT : killed ? WASI_END_KILLED : WASI_END_TRAP, "%s", "");
}

int wasi_out_write(const struct wasi_out *out, str bytes) {
    if (out->write) {
        out->write(out->arg, bytes);
        return 0;
    }
    while (out->fd >= 0 && bytes.n) {
        ssize_t n = write(out->fd, bytes.p, bytes.n);
        if (n < 0 && errno == EAGAIN)
            poll(&(struct pollfd){.fd = out->fd, .events = POLLOUT}, 1, -1); /* shared with a shell that set it so */
        else if (n < 0 && errno != EINTR) return errno;
        if (n > 0) bytes = str_sub(bytes, (size_t)n, bytes.n);
    }
    return 0;
}

str wasi_run_request_id(const struct wasi_run *run) {
    return run->config.exchange || run->config.request_id.n ? run->config.request_id : wasi_p3_service_request_id(run->in);
}

void wasi_run_finished(struct wasi_run *run) {
    struct wasi_app *app = run->app;
    wasi_notice_folder_if_failed(run);
    run->next = app->finished;
    app->finished = run;
    net_loop_wake(app->loop);
}

static void run_main(void *arg) {
    struct wasi_run *run = arg;
    struct wasi_app *app = run->app;
    enum abi_trap t = host_instance_start(run->in);
    if (t == ABI_TRAP_NONE) app->ops->main(run);
    else wasi_run_end_trap(run, t);
    if (!run->ended) wasi_run_end(run, WASI_END_NO_RESPONSE, "%s", "");
    wasi_run_finished(run);
}

static struct wasi_run *new_run(struct wasi_app *app) {
    struct wasi_run *run = app->free;
    if (run) {
        app->free = run->next;
        arena *mem = run->mem;
        *run = (struct wasi_run){.mem = mem, .app = app};
        return run;
    }
    run = calloc(1, sizeof *run);
    ENSURE(run);
    run->mem = arena_new(0);
    run->app = app;
    return run;
}

static bool start_alone(struct wasi_run *run) {
    run->outgoing.max = (uint32_t)run->app->config.limits->outgoing_max;
    run->in = host_instance_acquire(run->app->component, run);
    if (run->in && engine_spawn(host_instance_engine(run->in), run_main, run)) return true;
    if (run->in) host_instance_release(run->in);
    return false;
}

struct wasi_run *wasi_start(struct wasi_app *app, const struct wasi_run_config *config) {
    struct wasi_run *run = new_run(app);
    run->config = *config;
    if (app->ops->own ? app->ops->own->start(run) : start_alone(run)) {
        app->alive++;
        return run;
    }
    run->next = app->free;
    app->free = run;
    return NULL;
}

static void kill_run(struct wasi_run *run, bool now) {
    const struct wasi_own_ops *own = run->app->ops->own;
    run->killed = true;
    if (own) own->kill(run, now);
    else engine_kill(host_instance_engine(run->in));
}

void wasi_run_kill(struct wasi_run *run) { kill_run(run, true); }
void wasi_run_cancel(struct wasi_run *run) { kill_run(run, false); }

str wasi_doing_for(struct engine_instance *in) {
    struct host_instance *of = engine_instance_user(in);
    const struct wasi_run *run = of ? host_instance_user(of) : NULL;
    return run ? run->config.request_id : (str){0};
}

void wasi_app_turn(struct wasi_app *app) {
    struct wasi_run *run = app->finished;
    app->finished = NULL;
    while (run) {
        struct wasi_run *next = run->next;
        run->config.done(run->config.arg, &run->outcome);
        run = next;
    }
    if (app->ops->own) app->ops->own->turn(app);
}

void wasi_late_add(struct wasi_run *run, struct wasi_late *l, void (*gone)(struct wasi_late *l)) {
    *l = (struct wasi_late){.next = run->late, .prev = &run->late, .gone = gone};
    if (l->next) l->next->prev = &l->next;
    run->late = l;
}

void wasi_late_remove(struct wasi_late *l) {
    *l->prev = l->next;
    if (l->next) l->next->prev = l->prev;
}

void wasi_late_end(struct wasi_run *run) {
    while (run->late) {
        struct wasi_late *l = run->late;
        wasi_late_remove(l);
        l->gone(l);
    }
}

bool wasi_run_wind_down(struct wasi_run *run, uint32_t *budget) {
    return run->app->ops->own || host_instance_wind_down(run->in, budget);
}

void wasi_run_free(struct wasi_run *run) {
    struct wasi_app *app = run->app;
    wasi_late_end(run);
    if (app->ops->release) app->ops->release(run);
    if (app->ops->own) app->ops->own->free(run);
    wasi_p3_client_gone(run);
    arena_reset(run->mem);
    if (!app->ops->own) host_instance_release(run->in);
    run->in = NULL;
    run->next = app->free;
    app->free = run;
    app->alive--;
}
