/* apps: the apps that a worker serves, and those that it is about to (apps.h, 4).
 *
 *   prepare ──> PREPARED: eager apps are loaded ──applied──> live ──> SERVED ──the next one──> apps that it does not have: retired
 *                  └── another is prepared: dropped
 */
#include "engine/engine.h"
#include "net/loop.h"
#include "node/worker/apps.h"
#include "node/worker/idle.h"
#include <stdlib.h>

static const uint64_t retry_ns = 1'000'000'000;
enum { TRIES = 100 }; /* each takes a round of messages */

struct generation {
    struct node_snapshot *snapshot; /* NULL: none */
    struct node_app **of;           /* NODE_VERSIONS of each entry; NULL: nobody has asked for it */
    uint32_t pending;               /* parts that have to come before it can be served */
    bool proven;                    /* none of its apps is eager */
    bool told;                      /* applied was called */
};
struct node_apps {
    struct node_apps_config c;
    struct generation served, prepared;
    struct node_app **retired;                   /* heap */
    uint32_t retired_count, retired_cap, coming; /* of them: given back, but for instances that are about to end */
    struct node_idle idle;
};

/* ---- the end of apps ---- */

static void retire(struct node_apps *a, struct node_app *app) {
    app->retired = true;
    node_idle_leave(app);
    if (a->retired_count == a->retired_cap) {
        a->retired_cap = a->retired_cap ? 2 * a->retired_cap : 16;
        a->retired = realloc(a->retired, a->retired_cap * sizeof *a->retired);
        ENSURE(a->retired);
    }
    a->retired[a->retired_count++] = app;
    for (uint32_t i = 0; i < app->parts_count; i++)
        if (app->parts[i].state != NODE_PART_READY) a->c.changed(a->c.arg, &app->parts[i]);
    net_loop_wake(a->c.guest->loop);
}

static void log_over(const struct node_app *app) {
    log_event(LOG_INFO, "app-over", LF_CSTR("app", app->name), LF_U64("version", app->record.version),
              LF_U64("requests", app->counts.requests), LF_U64("failed", app->counts.failed),
              LF_U64("refused", app->counts.refused));
}

/* Its kept instances are given back, and with them all that referred to it. */
static bool rested(struct node_app *app) {
    for (uint32_t i = 0; i < app->parts_count; i++)
        if (app->parts[i].image) wasi_image_rest(app->parts[i].image);
    return node_app_over(app);
}

void node_apps_turn(struct node_apps *a) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < a->retired_count; i++) {
        struct node_app *app = a->retired[i];
        if (!rested(app)) {
            a->retired[kept++] = app;
            continue;
        }
        if (app->served) log_over(app);
        a->coming -= app->given_back;
        node_app_free(app);
    }
    a->retired_count = kept;
}

/* ---- generations ---- */

static uint32_t count_of(const struct generation *g) {
    uint32_t n = 0;
    if (g->snapshot) node_snapshot_entries(g->snapshot, &n);
    return n;
}

static struct node_app **at(const struct generation *g, const struct node_entry *e, enum node_version v) {
    uint32_t n;
    return &g->of[NODE_VERSIONS * (e - node_snapshot_entries(g->snapshot, &n)) + v];
}

/* Where it has that record of an app; *v: as which version. NULL: nowhere. */
static struct node_app **same_in(const struct node_apps *a, const struct generation *g, uint32_t id, str record,
                                 enum node_version *v) {
    const struct node_entry *e = g->snapshot ? node_snapshot_app(g->snapshot, id) : NULL;
    if (e && e->cordon != a->c.cordon) return NULL; /* others serve it */
    for (*v = 0; e && *v < NODE_VERSIONS; ++*v)
        if (e->of[*v].record.n && app_record_same(e->of[*v].record, record)) return at(g, e, *v);
    return NULL;
}

/* Where it has that app. NULL: nowhere. */
static const struct node_entry *entry_of(const struct generation *g, const struct node_app *app, enum node_version *v) {
    const struct node_entry *e = g->snapshot ? node_snapshot_app(g->snapshot, app->record.id) : NULL;
    for (*v = 0; e && *v < NODE_VERSIONS; ++*v)
        if (*at(g, e, *v) == app) return e;
    return NULL;
}

/* The apps of g go that are not other's too. */
static void drop(struct node_apps *a, struct generation *g, const struct generation *other) {
    struct generation old = *g;
    enum node_version v;
    *g = (struct generation){0};
    for (uint32_t i = 0, n = NODE_VERSIONS * count_of(&old); i < n; i++)
        if (old.of[i] && !entry_of(other, old.of[i], &v)) retire(a, old.of[i]);
    free(old.of);
    node_snapshot_free(old.snapshot);
}

/* It is a row of the snapshots again. */
static void give_back(void *arg, struct node_app *app) {
    struct node_apps *a = arg;
    struct generation *const of[] = {&a->served, &a->prepared};
    const struct node_entry *e;
    enum node_version v;
    for (size_t i = 0; i < ARRAY_COUNT(of); i++)
        while ((e = entry_of(of[i], app, &v))) *at(of[i], e, v) = NULL;
    log_event(LOG_DEBUG, "app-given-back", LF_CSTR("app", app->name), LF_U64("version", app->record.version),
              LF_U64("requests", app->counts.requests));
    app->served = false; /* it is not over: only this one's counts end here */
    if (rested(app)) {
        node_app_free(app);
        return;
    }
    app->given_back = true;
    a->coming++;
    retire(a, app);
}

/* What it was refused the last time is the worker's, and not what others are to come back to while it has its part already. */
static bool would_help(const struct node_app *app) {
    const struct engine_refusal *why = engine_last_refusal(app->guest->engine);
    return !why->share && why->what != ENGINE_REFUSED_INSTANCE && !(why->leaves && app->running);
}

uint32_t node_apps_make_room(struct node_apps *a, const struct node_app *app, uint32_t n) {
    return would_help(app) && !a->coming ? node_idle_give_back(&a->idle, n) : 0;
}

bool node_apps_spare(struct node_apps *a, const struct node_app *app) {
    return would_help(app) && (a->coming || node_idle_any(&a->idle));
}

/* The app of an entry, made at the first use. NULL: d says why not. */
static struct node_app *app_at(struct node_apps *a, struct generation *g, const struct node_entry *e, enum node_version v,
                               struct diag *d) {
    struct node_app **app = at(g, e, v), **next;
    if (*app) {
        node_idle_used(*app);
        return *app;
    }
    arena *mem = arena_new(0);
    struct app_record r;
    if (app_record_decode(mem, arena_str(mem, e->of[v].record), &r, d) != ERR_OK) {
        arena_free(mem);
        return NULL;
    }
    if (node_app_new(a->c.guest, mem, &r, app, d) != ERR_OK) return NULL;
    (*app)->served = g == &a->served;
    node_idle_add(&a->idle, *app);
    if (g == &a->served && (next = same_in(a, &a->prepared, e->id, e->of[v].record, &v))) *next = *app; /* unchanged there */
    return *app;
}

static void tell(struct node_apps *a, err e, const struct diag *d) {
    struct generation *g = &a->prepared;
    if (g->told) return;
    g->told = true;
    uint64_t generation = node_snapshot_generation(g->snapshot);
    if (e != ERR_OK) drop(a, g, &a->served);
    a->c.applied(a->c.arg, generation, e, d);
}

void node_apps_want(struct node_apps *a, struct node_part *part) {
    bool wait = part->state == NODE_PART_FAILED && clock_mono_ns() < part->retry_ns;
    if (part->state == NODE_PART_WANTED || part->state == NODE_PART_READY || wait) return;
    part->state = NODE_PART_WANTED;
    a->c.want(a->c.arg, part);
}

static err load_version(struct node_apps *a, struct generation *g, const struct node_entry *e, enum node_version v,
                        struct diag *d) {
    struct node_app *app = app_at(a, g, e, v, d);
    if (!app) return ERR_DENIED;
    for (uint32_t k = 0; k < app->parts_count; k++) {
        struct node_part *part = &app->parts[k];
        if (part->state == NODE_PART_READY) continue;
        g->pending++;
        part->retry_ns = 0;
        node_apps_want(a, part);
    }
    return ERR_OK;
}

/* Eager apps: all their parts are there before it is served. */
static err load_eager(struct node_apps *a, struct generation *g, struct diag *d) {
    uint32_t n;
    const struct node_entry *e = node_snapshot_entries(g->snapshot, &n);
    for (uint32_t i = 0; i < n; i++)
        for (enum node_version v = 0; v < NODE_VERSIONS; v++)
            if (e[i].of[v].eager && e[i].cordon == a->c.cordon) TRY(load_version(a, g, &e[i], v, d));
    return ERR_OK;
}

void node_apps_prepare(struct node_apps *a, struct node_snapshot *s, bool proven) {
    struct diag d = DIAG_INIT;
    struct generation *g = &a->prepared;
    uint32_t n;
    drop(a, g, &a->served);
    const struct node_entry *e = node_snapshot_entries(s, &n);
    *g = (struct generation){.snapshot = s, .of = calloc(NODE_VERSIONS * n + 1, sizeof *g->of)};
    ENSURE(g->of);
    for (uint32_t i = 0; i < NODE_VERSIONS * n; i++) { /* an app that has not changed goes on as it is */
        const struct node_entry *own = &e[i / NODE_VERSIONS];
        str record = own->of[i % NODE_VERSIONS].record;
        enum node_version v;
        struct node_app **before = record.n && own->cordon == a->c.cordon ? same_in(a, &a->served, own->id, record, &v) : NULL;
        if (before) g->of[i] = *before;
    }
    g->proven = proven;
    err failed = proven ? ERR_OK : load_eager(a, g, &d);
    if (failed != ERR_OK || !g->pending) tell(a, failed, &d);
}

bool node_apps_live(struct node_apps *a, uint64_t generation) {
    struct generation *g = &a->prepared, old = a->served;
    if (!g->snapshot || g->pending || node_snapshot_generation(g->snapshot) != generation)
        return a->served.snapshot && node_snapshot_generation(a->served.snapshot) == generation;
    a->served = *g;
    *g = (struct generation){0};
    for (uint32_t i = 0, n = NODE_VERSIONS * count_of(&a->served); i < n; i++)
        if (a->served.of[i]) a->served.of[i]->served = true;
    drop(a, &old, &a->served);
    return true;
}

uint64_t node_apps_generation(const struct node_apps *a) {
    return a->served.snapshot ? node_snapshot_generation(a->served.snapshot) : 0;
}

/* ---- images ---- */

/* It is served by requests: a command, say, is not. */
static err load(struct node_part *part, struct node_image *image, struct diag *d) {
    TRY(node_part_load(part, image, NULL, 0, d));
    if (part->files || part->door) return ERR_OK;
    enum wasi_kind kind = wasi_image_kind(part->image);
    if (wasi_kind_serves(kind)) return ERR_OK;
    wasi_image_free(part->image);
    part->image = NULL;
    return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "it is a %s, which cannot be served", wasi_kind_text(kind));
}

/* Before it is refused for want of room, idle apps go: each time twice as many, as it is not known how much that is. */
static err load_somehow(struct node_apps *a, struct node_part *part, struct node_image *image, struct diag *d) {
    struct diag said = DIAG_INIT;
    err e = load(part, image, &said);
    for (uint32_t n = 1u << MIN(part->tries, 8u); e == ERR_LIMIT && node_apps_make_room(a, part->app, n); n *= 2) {
        said = (struct diag)DIAG_INIT;
        e = load(part, image, &said);
    }
    if (e != ERR_OK) *d = said;
    return e;
}

/* Of an eager app, about to be served, the failure is the snapshot's; of others it is logged. */
static err part_came(struct node_apps *a, struct node_part *part, struct node_image *image, str why, struct diag *d) {
    struct generation *g = &a->prepared;
    err e = image ? load_somehow(a, part, image, d) : diag_set(d, ERR_IO, DIAG_NOWHERE, STR_FMT, STR_ARG(why));
    if (e == ERR_LIMIT && a->coming && part->tries++ < TRIES) { /* it is asked for again, while what has been given back comes */
        part->state = NODE_PART_ABSENT;
        node_apps_want(a, part);
        return ERR_OK;
    }
    part->tries = 0;
    enum node_version v;
    const struct node_entry *entry = g->proven ? NULL : entry_of(g, part->app, &v);
    bool eager = entry && entry->of[v].eager;
    if (e != ERR_OK) {
        part->state = NODE_PART_FAILED;
        part->retry_ns = clock_mono_ns() + retry_ns;
    }
    if (e != ERR_OK && !eager)
        log_event(LOG_ERROR, "app-not-loaded", LF_CSTR("app", part->app->name), LF_STR("function", part->name),
                  LF_CSTR("reason", d->text));
    if (eager) g->pending--;
    a->c.changed(a->c.arg, part);
    return eager ? e : ERR_OK;
}

bool node_apps_want_pack(const struct node_apps *a, const uint8_t digest[APP_DIGEST_BYTES]) {
    for (const struct node_app *app = a->c.guest->apps; app; app = app->next)
        for (uint32_t i = app->record.functions.n; i < app->parts_count; i++)
            if (app->parts[i].files && app->parts[i].state == NODE_PART_WANTED &&
                !memcmp(app->parts[i].digest, digest, APP_DIGEST_BYTES))
                return true;
    return false;
}

struct node_owner node_part_owner(const struct node_part *part) {
    const struct app_record *r = &part->app->record;
    const struct app_function *f = part->files ? NULL : part->function;
    if (!part->door && (!f || !(r->secrets.n || f->supabase || f->verify_jwt || f->grants.roles.n || f->rpc)))
        return (struct node_owner){0};
    return (struct node_owner){r->id, r->version, r->secrets_revision};
}

static bool is_for(const struct node_part *part, const uint8_t digest[APP_DIGEST_BYTES], const struct node_owner *owner) {
    struct node_owner own = node_part_owner(part);
    return part->state == NODE_PART_WANTED && !memcmp(part->digest, digest, APP_DIGEST_BYTES) && own.app == owner->app &&
           own.version == owner->version && own.revision == owner->revision;
}

void node_apps_image(struct node_apps *a, const uint8_t digest[APP_DIGEST_BYTES], const struct node_owner *owner,
                     struct node_image *image, str why) {
    struct diag d = DIAG_INIT;
    err failed = ERR_OK;
    for (struct node_app *app = a->c.guest->apps; app; app = app->next)
        for (uint32_t i = 0; i < app->parts_count; i++) {
            struct node_part *part = &app->parts[i];
            if (!is_for(part, digest, owner)) continue;
            struct diag own = DIAG_INIT;
            err e = part_came(a, part, image, why, &own);
            if (e != ERR_OK && failed == ERR_OK) failed = e, d = own;
        }
    if (a->prepared.snapshot && (failed != ERR_OK || !a->prepared.pending)) tell(a, failed, &d);
}

void node_apps_alone(struct node_apps *a) {
    for (struct node_app *app = a->c.guest->apps; app; app = app->next)
        for (uint32_t i = 0; i < app->parts_count; i++) {
            struct diag own = DIAG_INIT;
            bool waits = app->parts[i].state == NODE_PART_WANTED;
            err e = waits ? part_came(a, &app->parts[i], NULL, STR("the node has ended"), &own) : ERR_OK;
            (void)e; /* it is logged, and whoever waits is answered */
        }
}

/* ---- its life, and asking ---- */

struct node_apps *node_apps_new(const struct node_apps_config *config) {
    struct node_apps *a = calloc(1, sizeof *a);
    ENSURE(a);
    a->c = *config;
    node_idle_open(&a->idle, a->c.guest->loop, a->c.idle_ms, give_back, a);
    return a;
}

const struct node_entry *node_apps_at(const struct node_apps *a, str authority) {
    return a->served.snapshot ? node_snapshot_at(a->served.snapshot, authority) : NULL;
}

const struct node_route *node_apps_route(const struct node_apps *a, const struct node_entry *e, enum node_version v, str path) {
    return node_snapshot_route(a->served.snapshot, e, v, path);
}

struct node_app *node_apps_app(struct node_apps *a, const struct node_entry *e, enum node_version v) {
    struct diag d = DIAG_INIT;
    struct node_app *app = app_at(a, &a->served, e, v, &d);
    if (!app) log_event(LOG_ERROR, "app-not-loaded", LF_STR("app", e->name), LF_CSTR("function", ""), LF_CSTR("reason", d.text));
    return app;
}

const struct node_entry *node_apps_entries(const struct node_apps *a, uint32_t *count) {
    *count = 0;
    return a->served.snapshot ? node_snapshot_entries(a->served.snapshot, count) : NULL;
}

struct node_app *node_apps_live_app(struct node_apps *a, uint32_t id) {
    const struct node_entry *e = a->served.snapshot ? node_snapshot_app(a->served.snapshot, id) : NULL;
    return e && e->cordon == a->c.cordon ? node_apps_app(a, e, NODE_LIVE) : NULL;
}

void node_apps_free(struct node_apps *a) {
    drop(a, &a->prepared, &a->served);
    drop(a, &a->served, &a->prepared);
    node_idle_close(&a->idle);
    free(a->retired); /* the guest frees what is not over */
    free(a);
}
