/* image: a loaded image bound to what it imports; its runs.
 *
 *   wasi_start ─> fiber: instance start, ops->main ─> finished list ─> wasi_image_turn ─> done ─> wasi_run_free ─> free list
 *
 * 1. `done` is called from wasi_image_turn alone: on the loop's stack, when the fiber has returned.
 * 2. Runs are recycled with their arenas: a request in the steady state allocates nothing here.
 */
#include "component/plan.h"
#include "wasi/notice.h"
#include "wasi/wasi_int.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

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
        {"wasmcloud:websocket/handler@0.1.0", "handle", WASI_P3_HTTP},
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

/* ---- images ---- */

static err load(struct wasi_image *image, const struct host_offer *offer, struct abi_image im, struct diag *d) {
    image->kind = wasi_kind_of(&im);
    image->ops = ops_of[image->kind];
    if (image->kind == WASI_NONE || !image->ops) {
        err e = diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE,
                         image->kind ? "it is a %s, which this version does not run"
                                     : "%s: it exports none of wasi:http/incoming-handler, "
                                       "wasi:http/handler, wasmcloud:websocket/handler, wasi:cli/run and _start",
                         wasi_kind_text(image->kind));
        abi_image_close(&im);
        return e;
    }
    const struct app_limits *l = image->app->limits;
    struct host_limits limits = {.handles_max = (uint32_t)l->handles_max,
                                 .host_bytes_max = l->host_bytes_max,
                                 .call_bytes_max = MAX(16 * MiB, l->websocket_message_bytes_max + 1 * MiB)};
    TRY(host_component_load(image->app->share, im, offer, &limits, &image->component, d));
    return image->ops->bind(image, d);
}

err wasi_image_new(struct app *app, const struct host_offer *offer, struct abi_image im, const struct wasi_config *config,
                   struct wasi_image **out, struct diag *d) {
    arena *mem = arena_new(0);
    struct wasi_image *image = arena_make(mem, struct wasi_image);
    *image = (struct wasi_image){.mem = mem, .app = app, .config = *config};
    err failed = load(image, offer, im, d);
    *out = image;
    if (failed != ERR_OK) {
        wasi_image_free(image);
        *out = NULL;
    }
    return failed;
}

void wasi_image_rest(struct wasi_image *image) {
    if (image->ops->own) image->ops->own->rest(image);
}

void wasi_image_free(struct wasi_image *image) {
    if (!image) return;
    ENSURE(!image->alive);
    if (image->ops && image->ops->own) image->ops->own->close(image);
    while (image->free) {
        struct wasi_run *run = image->free;
        image->free = run->next;
        if (run->alone.base.mem) arena_free(run->alone.base.mem);
        free(run);
    }
    if (image->client) net_client_free(image->client);
    if (image->component) host_component_unload(image->component);
    arena_free(image->mem);
}

enum wasi_kind wasi_image_kind(const struct wasi_image *image) { return image->kind; }
bool wasi_image_websockets(const struct wasi_image *image) { return image->websockets; }
struct engine_image *wasi_image_engine(const struct wasi_image *image) {
    return host_component_image(image->component);
}

struct net_client *wasi_image_client(struct wasi_image *image) {
    const struct app_grants *g = image->app->grants;
    if (image->client || (!g->allow_http.n && !g->forward_authority.n)) return image->client;
    struct net_client_config config = {.loop = image->app->loop, .party = image->app->party};
    struct diag d = DIAG_INIT;
    if (net_client_new(&config, &image->client, &d) != ERR_OK) {
        log_event(LOG_ERROR, "no-outgoing-client", LF_CSTR("reason", d.text));
        image->client = NULL;
    }
    return image->client;
}

/* ---- instances ---- */

void wasi_instance_begin(struct wasi_instance *i, struct wasi_image *image, arena *mem) {
    *i = (struct wasi_instance){.base = {.app = image->app, .request = &image->app->nobody, .mem = mem}, .image = image};
    i->outgoing.max = (uint32_t)image->app->limits->outgoing_max;
    i->outgoing.of = net_party_quota(image->app->party);
}

void wasi_instance_end(struct wasi_instance *i) {
    app_late_end(&i->base);
    arena_reset(i->base.mem);
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
    const struct engine_trap_record *record = engine_last_trap(host_instance_engine(run->i->base.in));
    bool killed = run->killed || t == ABI_TRAP_INTERRUPTED;
    if (t == ABI_TRAP_EXIT) run->outcome.exit_status = record->exit_code;
    else run->outcome.trap = record;
    wasi_run_end(run, t == ABI_TRAP_EXIT ? WASI_END_EXIT : killed ? WASI_END_KILLED : WASI_END_TRAP, "%s", "");
}

void wasi_run_finished(struct wasi_run *run) {
    struct wasi_image *image = run->image;
    wasi_notice_if_failed(run);
    run->next = image->finished;
    image->finished = run;
    app_news(image->app);
}

static void run_main(void *arg) {
    struct wasi_run *run = arg;
    enum abi_trap t = host_instance_start(run->i->base.in);
    if (t == ABI_TRAP_NONE) run->image->ops->main(run);
    else wasi_run_end_trap(run, t);
    if (!run->ended) wasi_run_end(run, WASI_END_NO_RESPONSE, "%s", "");
    wasi_run_finished(run);
}

static struct wasi_run *new_run(struct wasi_image *image) {
    struct wasi_run *run = image->free;
    if (run) image->free = run->next;
    else run = calloc(1, sizeof *run);
    ENSURE(run);
    arena *mem = run->alone.base.mem;
    *run = (struct wasi_run){.image = image, .alone.base.mem = mem};
    return run;
}

static bool start_alone(struct wasi_run *run) {
    struct wasi_instance *i = run->i = &run->alone;
    arena *mem = i->base.mem ? i->base.mem : arena_new(0);
    wasi_instance_begin(i, run->image, mem);
    i->run = run;
    i->base.request = run->request;
    struct host_instance *in = i->base.in = host_instance_acquire(run->image->component, i);
    if (in) engine_instance_meter(host_instance_engine(in), &run->request->meter);
    if (in && engine_spawn(host_instance_engine(in), run_main, run)) return true;
    if (in) host_instance_release(in);
    return false;
}

struct wasi_run *wasi_start(struct wasi_image *image, const struct wasi_run_config *config) {
    const struct wasi_own_ops *own = image->ops->own;
    struct wasi_run *run = new_run(image);
    run->config = *config;
    run->request = config->request;
    if (own ? own->start(run) : start_alone(run)) {
        image->alive++;
        return run;
    }
    run->next = image->free;
    image->free = run;
    return NULL;
}

static void kill_run(struct wasi_run *run, bool now) {
    const struct wasi_own_ops *own = run->image->ops->own;
    run->killed = true;
    if (own) own->kill(run, now);
    else engine_kill(host_instance_engine(run->i->base.in));
}

void wasi_run_kill(struct wasi_run *run) { kill_run(run, true); }
void wasi_run_cancel(struct wasi_run *run) { kill_run(run, false); }

void wasi_image_turn(struct wasi_image *image) {
    struct wasi_run *run = image->finished;
    image->finished = NULL;
    while (run) {
        struct wasi_run *next = run->next;
        run->config.done(run->config.arg, &run->outcome);
        run = next;
    }
    if (image->ops->own) image->ops->own->turn(image);
}

bool wasi_run_wind_down(struct wasi_run *run, uint32_t *budget) {
    return run->image->ops->own || host_instance_wind_down(run->i->base.in, budget);
}

void wasi_run_free(struct wasi_run *run) {
    struct wasi_image *image = run->image;
    if (image->ops->own) image->ops->own->free(run);
    else {
        wasi_instance_end(run->i);
        engine_instance_meter(host_instance_engine(run->i->base.in), NULL);
        host_instance_release(run->i->base.in);
    }
    run->next = image->free;
    image->free = run;
    image->alive--;
}
