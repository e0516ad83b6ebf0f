/* actions: what may be asked of control besides a deployment (deploy.h): which of an app's versions is served to whom, and its end. */
#include "node/control/blobs.h"
#include "node/control/control_int.h"
#include "node/control/data.h"
#include "node/control/logs.h"
#include <stdlib.h>

struct action {
    struct control_change change;
    arena *mem;
    control_done_fn done;
    void *arg;
    uint32_t version, permille;
    bool back;              /* to version, or to the one before */
    struct control_now now; /* as it is to be */
    struct app_record record;
};

static void over(struct control *c, struct control_change *ch, err e, const struct diag *d) {
    struct action *a = ch->arg;
    if (a->done)
        a->done(a->arg, &(struct control_result){.err = e,
                                                 .d = d,
                                                 .app = ch->app,
                                                 .version = e == ERR_OK ? a->version : 0,
                                                 .live = e == ERR_OK && a->now.live == a->version,
                                                 .record = e == ERR_OK && a->record.name.n ? &a->record : NULL});
    arena_free(a->mem);
}

static struct action *new_action(str app, control_done_fn done, void *arg) {
    arena *mem = arena_new(0);
    struct action *a = arena_make(mem, struct action);
    *a = (struct action){.mem = mem, .done = done, .arg = arg};
    a->change = (struct control_change){.app = arena_str(mem, app), .over = over, .arg = a};
    return a;
}

static err no_app(str app, struct diag *d) {
    return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "there is no app " STR_FMT "; orlo apps lists those that there are",
                    STR_ARG(str_sub(app, 0, APP_NAME_MAX)));
}

/* ---- which version is served ---- */

static err served(struct control *c, struct action *a, uint32_t version, uint64_t revision, struct control_served **out,
                  struct diag *d) {
    TRY(node_store_record(c, a->mem, a->now.app, version, &a->record, d));
    for (uint32_t i = 0; i < a->record.functions.n; i++)
        if (!node_images_have(c, a->record.functions.p[i].digest, NULL))
            return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "an image of version %u is missing: deploy it again", version);
    a->record.secrets_revision = revision;
    *out = node_served_new(&a->record);
    return ERR_OK;
}

/* What is live, and what is its canary, in place of what was. */
static err become(struct control *c, struct action *a, uint64_t revision, struct diag *d) {
    struct control_state *to = &a->change.to;
    to->secrets_revision = revision;
    to->permille = a->now.permille;
    if (a->now.canary) TRY(served(c, a, a->now.canary, revision, &to->canary, d));
    if (a->now.canary) TRY(node_move_check(c, a->change.app, a->record.database.engine, d));
    err e = served(c, a, a->now.live, revision, &to->live, d);
    if (e == ERR_OK) e = node_move_check(c, a->change.app, a->record.database.engine, d);
    if (e == ERR_OK && a->now.canary) e = node_store_record(c, a->mem, a->now.app, a->version, &a->record, d);
    return e; /* what is in `to` the change frees */
}

static err stage_rollback(struct control *c, struct control_change *ch, struct diag *d) {
    struct action *a = ch->arg;
    uint64_t revision;
    TRY(node_store_now(c, ch->app, &a->now, &revision, d));
    if (!a->version) TRY(node_store_before(c, &a->now, &a->version, d));
    ch->id = a->now.app;
    ch->eager = true;
    a->now = (struct control_now){.app = a->now.app, .live = a->version};
    return become(c, a, revision, d);
}

static err stage_promote(struct control *c, struct control_change *ch, struct diag *d) {
    struct action *a = ch->arg;
    uint64_t revision;
    TRY(node_store_now(c, ch->app, &a->now, &revision, d));
    ch->id = a->now.app;
    ch->eager = true;
    if (a->permille >= 1000) {
        a->now.live = a->version;
        a->now.canary = a->now.permille = 0;
    } else if (!a->now.live) {
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "no version of it is live: promote %u without a share first", a->version);
    } else if (a->version == a->now.live && a->permille) {
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "version %u is live already: a share is another version's", a->version);
    } else {
        a->now.canary = a->permille ? a->version : 0;
        a->now.permille = a->permille;
    }
    return become(c, a, revision, d);
}

static err keep_now(struct control *c, struct control_change *ch, struct diag *d) {
    const struct action *a = ch->arg;
    uint64_t versions_max = a->record.limits.versions_max;
    TRY(node_store_set(c, &a->now, versions_max ? versions_max : UINT32_MAX, d));
    struct log_field fields[] = {LF_STR("app", ch->app), LF_U64("version", a->now.canary ? a->now.canary : a->now.live),
                                 LF_U64("permille", a->now.permille)};
    if (a->now.canary) log_emit(LOG_INFO, "app-canary", fields, 3);
    else log_emit(LOG_INFO, "app-live", fields, 2);
    node_logs_event(c, ch->id, LOG_INFO, a->now.canary ? "app-canary" : "app-live", fields, a->now.canary ? 3 : 2);
    return ERR_OK;
}

void node_control_rollback(struct control *c, str app, uint32_t version, const struct control_who *who, control_done_fn done,
                           void *arg) {
    struct action *a = new_action(app, done, arg);
    a->version = version;
    a->change.stage = stage_rollback;
    a->change.keep = keep_now;
    node_change_begin(c, &a->change);
}

void node_control_promote(struct control *c, str app, uint32_t version, uint32_t permille, const struct control_who *who,
                          control_done_fn done, void *arg) {
    struct action *a = new_action(app, done, arg);
    a->version = version;
    a->permille = permille;
    a->change.stage = stage_promote;
    a->change.keep = keep_now;
    node_change_begin(c, &a->change);
}

/* ---- the end of an app ---- */

static err stage_drop(struct control *c, struct control_change *ch, struct diag *d) {
    struct action *a = ch->arg;
    const struct control_app *app = node_control_app_named(c, ch->app);
    if (!c->db && !app) return no_app(ch->app, d);
    if (c->db) TRY(node_store_now(c, ch->app, &a->now, NULL, d));
    else a->now.app = app->id;
    ch->id = a->now.app;
    if (node_move_is(c, ch->id)) return diag_set(d, ERR_BUSY, DIAG_NOWHERE, "its database is being moved: try again in a moment");
    ch->quiet = !app; /* nothing of it is served */
    return ERR_OK;
}

static err keep_drop(struct control *c, struct control_change *ch, struct diag *d) {
    if (!c->db && node_control_app_numbered(c, ch->id)) node_images_retire_app(c, node_control_app_numbered(c, ch->id));
    TRY(node_store_drop(c, ch->id, d));
    if (c->db) {
        node_blob_drop(c, ch->app);
        node_logs_forget(c, ch->id);
        node_control_tell(c, &NODE_MESSAGE(data_forget, .app = ch->id, .name = ch->app));
        log_event(LOG_INFO, "app-removed", LF_STR("app", ch->app));
    }
    return ERR_OK;
}

void node_control_drop(struct control *c, str app, const struct control_who *who, control_done_fn done, void *arg) {
    struct action *a = new_action(app, done, arg);
    a->change.drops = true;
    a->change.stage = stage_drop;
    a->change.keep = keep_drop;
    node_change_begin(c, &a->change);
}

/* ---- what there is ---- */

struct listed {
    arena *out;
    const struct control_now *now;
    VEC(struct control_version) all;
};

static err add_version(struct control *c, struct db_rows *rows, struct listed *l, struct diag *d) {
    struct control_version *v = vec_add(l->out, &l->all);
    struct app_record *r = arena_make(l->out, struct app_record);
    *v = (struct control_version){.version = (uint32_t)db_i64(rows, 0),
                                  .created_s = (uint64_t)db_i64(rows, 1),
                                  .bytes = (uint64_t)db_i64(rows, 2),
                                  .by = arena_str(l->out, db_str(rows, 3)),
                                  .record = r};
    v->live = v->version == l->now->live;
    v->canary = v->version == l->now->canary;
    return app_record_decode(l->out, arena_str(l->out, db_str(rows, 4)), r, d);
}

err node_control_versions(struct control *c, arena *out, str app, struct control_version **versions, uint32_t *count,
                          struct diag *d) {
    struct control_now now;
    struct listed l = {.out = out, .now = &now};
    struct db_rows *rows;
    TRY(node_store_now(c, app, &now, NULL, d));
    TRY(db_query(
        c->db, &rows, d,
        "select version, created, bytes, made_by, record from versions where app = ? and state <> 0 order by version desc",
        DB_I64(now.app)));
    err e = ERR_OK;
    while (e == ERR_OK && db_next(rows)) e = add_version(c, rows, &l, d);
    err ended = db_end(rows, d);
    *versions = l.all.p;
    *count = l.all.n;
    return e == ERR_OK ? ended : e;
}
