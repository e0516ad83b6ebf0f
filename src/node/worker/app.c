/* app: one version of an app in this process (apps.h). */
#include "net/client.h"
#include "net/loop.h"
#include "net/party.h"
#include "node/meters.h"
#include "node/pack.h"
#include "node/worker/apps.h"
#include "node/worker/calls.h"
#include "node/worker/data.h"
#include "node/worker/idle.h"
#include "node/worker/keys.h"
#include "node/worker/query.h"
#include <fcntl.h>

static void on_met(struct app *of, enum app_setting_id limit) {
    node_meter_limit(container_of(of, struct node_part, of)->app->meters, limit);
}

static void on_news(struct app *of) {
    struct node_app *app = container_of(of, struct node_part, of)->app;
    net_loop_wake(app->guest->loop);
    if (app->has_news) return;
    app->has_news = true;
    app->next_news = app->guest->news;
    app->guest->news = app;
}

static err find_folders(const struct node_guest *g, struct app_grants *grants, struct diag *d) {
    for (uint32_t i = 0; i < grants->dirs.n; i++) {
        struct app_dir *dir = &grants->dirs.p[i];
        dir->fd = -1;
        for (uint32_t k = 0; k < g->folders.n && dir->fd < 0; k++)
            if (str_eq(g->folders.p[k].path, dir->host)) dir->fd = g->folders.p[k].fd;
        if (dir->fd < 0)
            return diag_set(d, ERR_DENIED, DIAG_NOWHERE,
                            "the folder " STR_FMT
                            " was not there, or not permitted, when it was to be opened: see to it, and deploy the app again",
                            STR_ARG(dir->host));
    }
    return ERR_OK;
}

static struct app app_of(struct node_app *app, const struct app_function *f) {
    static const struct app_grants nothing;
    return (struct app){.id = app->record.id,
                        .version = app->record.version,
                        .name = app->record.name,
                        .function = f ? f->name : STR(""),
                        .server = app->record.database.secret,
                        .follows = app->record.follows,
                        .grants = f ? &f->grants : &nothing,
                        .limits = f ? &f->limits : &app->record.limits,
                        .share = app->share,
                        .loop = app->guest->loop,
                        .data = app->guest->data ? node_data_of(app->guest->data) : NULL,
                        .tables = app->record.database.engine == APP_DATABASE_NONE ? NULL : node_tables(),
                        .party = app->party,
                        .outgoing = node_trace_outgoing,
                        .local = node_internal,
                        .met = on_met,
                        .news = on_news};
}

static const uint8_t no_digest[APP_DIGEST_BYTES];

static void make_part(struct node_app *app, struct node_part *part, const struct app_function *f, const struct app_files *files) {
    *part = (struct node_part){.of = app_of(app, f),
                               .app = app,
                               .function = f,
                               .files = files,
                               .door = !f && !files,
                               .name = f       ? f->name
                                       : files ? arena_fmt(app->mem, "files " STR_FMT, STR_ARG(files->name))
                                               : STR("data"),
                               .digest = f       ? f->digest
                                         : files ? files->digest
                                                 : no_digest};
    app_init(&part->of, (struct app_out){.fd = -1, .write = node_lines_put, .arg = &app->out},
             (struct app_out){.fd = -1, .write = node_lines_put, .arg = &app->err});
}

static void make_parts(struct node_app *app) {
    const struct app_record *r = &app->record;
    bool door = app_record_for_supabase(r);
    app->parts_count = r->functions.n + r->files.n + door;
    app->parts = arena_array(app->mem, struct node_part, app->parts_count);
    for (uint32_t i = 0; i < r->functions.n; i++) make_part(app, &app->parts[i], &r->functions.p[i], NULL);
    for (uint32_t i = 0; i < r->files.n; i++) make_part(app, &app->parts[r->functions.n + i], NULL, &r->files.p[i]);
    if (door) make_part(app, &app->parts[r->functions.n + r->files.n], NULL, NULL);
}

static void join(struct node_app *app) {
    struct node_guest *g = app->guest;
    app->next = g->apps;
    app->prev = &g->apps;
    if (app->next) app->next->prev = &app->next;
    g->apps = app;
}

static void leave(struct node_app *app) {
    struct node_guest *g = app->guest;
    *app->prev = app->next;
    if (app->next) app->next->prev = app->prev;
    struct node_app **const lists[] = {&g->news, &g->told};
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++)
        for (struct node_app **at = lists[i]; app->has_news && *at; at = &(*at)->next_news)
            if (*at == app) {
                *at = app->next_news;
                return;
            }
}

/* A task of each request that an instance may serve, and one more for what it does besides; others of a guest's own threads. */
static uint32_t fibers_max(const struct app_record *r) {
    uint64_t slots = MIN(r->limits.instances_max, (uint64_t)NODE_FIBERS_MAX), at_once = 0;
    for (uint32_t i = 0; i < r->functions.n; i++) at_once = MAX(at_once, r->functions.p[i].limits.instance_requests);
    at_once = MIN(at_once, (uint64_t)NODE_FIBERS_MAX);
    return (uint32_t)MIN(slots * (4 + 2 * at_once), (uint64_t)NODE_FIBERS_MAX);
}

static struct engine_share *share_of(struct node_guest *g, const struct app_record *r) {
    const struct app_limits *l = &r->limits;
    struct engine_share_config config = {
        .weight = MIN(MAX(r->weight, 1u), (uint32_t)ENGINE_WEIGHT_MAX),
        .slots_max = (uint32_t)MIN(l->instances_max, UINT32_MAX),
        .fibers_max = fibers_max(r),
        .account_bytes_max = l->app_memory_bytes_max == UINT64_MAX ? 0 : l->app_memory_bytes_max, /* the worker's says no */
        .memory_bytes_max = l->memory_bytes_max,
    };
    for (struct node_app *other = g->apps; other; other = other->next)
        if (other->record.id == r->id) {
            engine_share_limit(other->share, &config);
            return other->share;
        }
    return engine_share_new(g->engine, &config);
}

/* One for all versions of an app, as its share is. */
static struct net_party *party_of(const struct node_guest *g, const struct app_record *r) {
    for (const struct node_app *other = g->apps; other; other = other->next)
        if (other->record.id == r->id) return other->party;
    return net_party_new();
}

static void leave_share(const struct node_app *app) {
    for (const struct node_app *other = app->guest->apps; other; other = other->next)
        if (other != app && other->share == app->share) return;
    engine_share_free(app->share);
    net_party_free(app->party);
}

err node_app_new(struct node_guest *g, arena *mem, const struct app_record *r, struct node_app **out, struct diag *d) {
    struct node_app *app = arena_make(mem, struct node_app);
    *app = (struct node_app){.guest = g, .mem = mem, .name = arena_cstr(mem, r->name), .record = *r};
    *out = NULL;
    err e = ERR_OK;
    for (uint32_t i = 0; i < r->functions.n && e == ERR_OK; i++) e = find_folders(g, &app->record.functions.p[i].grants, d);
    if (e != ERR_OK) {
        arena_free(mem);
        return e;
    }
    app->share = share_of(g, &app->record);
    app->party = party_of(g, &app->record);
    net_party_quota(app->party)->max = (uint32_t)r->limits.app_outgoing_max;
    pool_part_open(&app->under_way, &g->under_way, r->limits.requests_max);
    node_log_part_open(&app->log, &g->log, r->limits.app_log_bytes_max);
    app->out = (struct node_lines){.stream = "stdout",
                                   .request_id = "",
                                   .app = app->name,
                                   .part = &app->log,
                                   .bytes_max = (uint32_t)r->limits.log_bytes_max};
    app->err = (struct node_lines){.stream = "stderr",
                                   .request_id = "",
                                   .app = app->name,
                                   .part = &app->log,
                                   .bytes_max = (uint32_t)r->limits.log_bytes_max};
    app->sampled = node_app_sampled_of(g, app);
    app->meters = node_meters_app(r->id, r->name);
    app->log.dropped = &app->meters->counts.log_lines_dropped;
    make_parts(app);
    join(app);
    *out = app;
    return ERR_OK;
}

struct node_meters_call *node_app_meters(struct node_app *app) {
    if (!app->answered) app->answered = node_meters_call(app->meters, app->record.version, STR("(node)"));
    return app->answered;
}

struct node_meters_call *node_part_meters(struct node_part *p) {
    if (!p->meters) p->meters = node_meters_call(p->app->meters, p->app->record.version, p->name);
    return p->meters;
}

static err does_not_fit(const struct node_app *app, struct diag *d) {
    const struct node_guest *g = app->guest;
    struct buf why = {.max = 300};
    node_guest_refusal(g, &why);
    diag_set(d, ERR_LIMIT, DIAG_NOWHERE,
             "its image and one instance with its stack do not fit (%llu MiB more were asked for): " STR_FMT,
             (unsigned long long)((engine_last_refusal(g->engine)->bytes + MiB - 1) / MiB), STR_ARG(buf_str(&why)));
    buf_free(&why);
    return ERR_LIMIT;
}

/* There is room for one instance, or it is not loaded. */
static err try_one(struct node_part *part, struct diag *d) {
    struct engine_share *share = part->app->share;
    struct engine_instance *first = engine_acquire(wasi_image_engine(part->image), NULL);
    bool fits = first && engine_pay(share, ENGINE_STACK_BYTES);
    if (fits) engine_unpay(share, ENGINE_STACK_BYTES);
    if (first) engine_release(first);
    return fits ? ERR_OK : does_not_fit(part->app, d);
}

/* What the guest sees as its arguments: its own name, and what a command was given. */
static str *arguments(struct node_part *part, const char *const *args, size_t count) {
    str *all = arena_array(part->app->mem, str, count + 1);
    all[0] = part->function->name;
    for (size_t i = 0; i < count; i++) all[i + 1] = str_c(args[i]);
    return all;
}

static err load_pack(struct node_part *part, struct node_pack *pack, struct diag *d) {
    if (!engine_pay(part->app->share, node_pack_memory(pack))) return does_not_fit(part->app, d);
    part->pack = node_pack_ref(pack);
    part->state = NODE_PART_READY;
    return ERR_OK;
}

err node_part_load(struct node_part *part, struct node_image *image, const char *const *args, size_t count, struct diag *d) {
    struct node_app *app = part->app;
    struct abi_image im;
    if (!image->pack != !part->files)
        return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "a pack in an image's place, or the other way round");
    if (part->files) return load_pack(part, image->pack, d);
    node_part_secrets(part, image->secrets);
    if (part->door) {
        part->state = NODE_PART_READY;
        return ERR_OK;
    }
    TRY(node_image_take(image, &im, d));
    struct wasi_config wasi = {
        .args = arguments(part, args, count), .args_count = count + 1, .server_name = STR("orlo/" ORLO_VERSION)};
    struct diag said = DIAG_INIT;
    err e = wasi_image_new(&part->of, node_offer(), im, &wasi, &part->image, &said);
    if (e == ERR_LIMIT) return does_not_fit(app, d);
    if (e == ERR_OK) engine_image_limit(wasi_image_engine(part->image), part->of.limits->memory_bytes_max);
    if (e != ERR_OK) {
        if (d) *d = said;
        return e;
    }
    e = try_one(part, d);
    if (e == ERR_OK) {
        part->state = NODE_PART_READY;
        return ERR_OK;
    }
    wasi_image_free(part->image);
    part->image = NULL;
    return e;
}

bool node_app_over(const struct node_app *app) {
    for (uint32_t i = 0; i < app->parts_count; i++)
        if (app->parts[i].waiting || (app->parts[i].image && engine_image_alive(wasi_image_engine(app->parts[i].image))))
            return false;
    return !app->requests;
}

bool node_app_idle(const struct node_app *app) {
    for (uint32_t i = 0; i < app->parts_count; i++)
        if (app->parts[i].waiting || app->parts[i].state == NODE_PART_WANTED) return false;
    return !app->requests && !app->under_way.used && !app->has_news && !app->kept.queued;
}

static void drop_part(struct node_part *part) {
    if (part->image) wasi_image_free(part->image);
    if (part->pack) engine_unpay(part->app->share, node_pack_memory(part->pack));
    node_pack_unref(part->pack);
}

void node_app_free(struct node_app *app) {
    node_idle_leave(app);
    for (uint32_t i = 0; i < app->parts_count; i++) drop_part(&app->parts[i]);
    node_lines_end(&app->out);
    node_lines_end(&app->err);
    if (app->guest->applog) node_applog_forget(app->guest->applog, app);
    node_log_part_close(&app->log);
    pool_part_close(&app->under_way);
    node_app_sampled_drop(app);
    for (uint32_t i = 0; i < app->parts_count; i++)
        if (app->parts[i].meters) node_meters_call_drop(app->parts[i].meters);
    if (app->answered) node_meters_call_drop(app->answered);
    node_meters_app_drop(app->meters);
    node_keys_forget(app->keys);
    node_calls_free(app->calls);
    leave_share(app);
    leave(app);
    arena_free(app->mem);
}
