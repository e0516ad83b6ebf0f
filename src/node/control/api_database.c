/* api_database: calls about an app's database, on its owner's behalf. The store does it; here it is asked and answered. */
#include "node/control/api_int.h"
#include "node/control/data.h"
#include <sys/stat.h>
#include <unistd.h>

enum { ASK_MS_MAX = 60'000, TOLD_BYTES_MAX = 128 << 20, NOTES_SHOWN_MAX = 2'000 };

/* The app that a call is about, if it has a database. NULL: it has been answered. */
static const struct control_app *app_of(struct api_call *call, struct app_record *r) {
    struct diag d = DIAG_INIT;
    str name = call->params[API_PARAM_app];
    const struct control_app *app = node_control_app_named(call->control, name);
    err e = app ? ERR_OK
                : diag_set(&d, ERR_NOT_FOUND, DIAG_NOWHERE, "there is no app " STR_FMT ": orlo deploy it first", STR_ARG(name));
    if (app) *r = *node_control_app_record(call->mem, app);
    if (app && !r->database.engine)
        e = diag_set(&d, ERR_NOT_FOUND, DIAG_NOWHERE,
                     "the app " STR_FMT " has no database: write database = \"sqlite\" into its manifest, and deploy it",
                     STR_ARG(name));
    if (e == ERR_OK) return app;
    node_api_fail(call, e, &d);
    return NULL;
}

/* ---- asking the store ---- */

static void ask_store(struct api_call *call, enum node_data_does does, str in,
                      void (*done)(void *arg, err e, const struct diag *d, int out)) {
    struct app_record r;
    struct diag d = DIAG_INIT;
    const struct control_app *app = app_of(call, &r);
    if (!app) return;
    int fd = in.n ? node_bytes_fd("orlo-asked", in) : -1;
    if (in.n && fd < 0) {
        node_api_fail(call, diag_set(&d, ERR_IO, DIAG_NOWHERE, "no memory file: there are too many open"), &d);
        return;
    }
    node_data_ask(call->control, &(struct control_data_want){.does = does,
                                                             .app = app->id,
                                                             .name = app->name,
                                                             .postgres = r.database.engine > APP_DATABASE_SQLITE,
                                                             .secret = r.database.secret,
                                                             .in = fd,
                                                             .bytes = in.n,
                                                             .limits = &r.limits,
                                                             .ms_max = ASK_MS_MAX,
                                                             .done = done,
                                                             .arg = call});
    if (fd >= 0) close(fd);
}

/* False: it has been answered. */
static bool told(struct api_call *call, err e, const struct diag *d, int out, str *bytes) {
    struct diag own = *d;
    if (e == ERR_OK) e = node_fd_bytes(call->mem, out, TOLD_BYTES_MAX, bytes, &own);
    if (out >= 0) close(out);
    if (e != ERR_OK) node_api_fail(call, e, &own);
    return e == ERR_OK;
}

static void on_text(void *arg, err e, const struct diag *d, int out) {
    struct api_call *call = arg;
    str bytes;
    if (told(call, e, d, out, &bytes)) node_api_text(call, "text/plain; charset=utf-8", bytes);
}

/* ---- what there is ---- */

static bool state_of(struct api_call *call, err e, const struct diag *d, int out, struct migration_state *state) {
    str bytes;
    struct diag own = DIAG_INIT;
    if (!told(call, e, d, out, &bytes)) return false;
    e = node_migration_state_read(call->mem, bytes, state, &own);
    if (e != ERR_OK) node_api_fail(call, e, &own);
    return e == ERR_OK;
}

static void put_applied(struct json_writer *w, const struct migration_state *state) {
    char time[API_TIME_BYTES];
    json_put_array(w, "migrations");
    for (uint32_t i = 0; i < state->applied.n; i++) {
        const struct migration_applied *a = &state->applied.p[i];
        json_put_object(w, NULL);
        json_put_str(w, "name", a->name);
        json_put_hex(w, "digest", "", a->digest, sizeof a->digest);
        json_put_cstr(w, "at", node_api_time(a->at_s, time));
        json_put_end(w);
    }
    json_put_end(w);
}

static void on_state(void *arg, err e, const struct diag *d, int out) {
    struct api_call *call = arg;
    struct migration_state state;
    const struct control_app *app = node_control_app_named(call->control, call->params[API_PARAM_app]);
    if (!state_of(call, e, d, out, &state)) return;
    enum app_database_engine engine = app ? node_control_app_record(call->mem, app)->database.engine : APP_DATABASE_NONE;
    json_put_object(&call->w, NULL);
    json_put_cstr(&call->w, "engine", app_database_text(engine));
    json_put_u64(&call->w, "bytes", state.bytes);
    put_applied(&call->w, &state);
    json_put_end(&call->w);
    node_api_reply(call);
}

void node_api_database(struct api_call *call) { ask_store(call, NODE_DATA_STATE, (str){0}, on_state); }

static void on_catalog(void *arg, err e, const struct diag *d, int out) {
    struct api_call *call = arg;
    struct migration_state state;
    if (state_of(call, e, d, out, &state)) node_api_text(call, "text/plain; charset=utf-8", state.catalog);
}
void node_api_catalog(struct api_call *call) { ask_store(call, NODE_DATA_STATE, (str){0}, on_catalog); }

void node_api_dump(struct api_call *call) { ask_store(call, NODE_DATA_DUMP, (str){0}, on_text); }

/* ---- as somebody ---- */

static void ask_as(struct api_call *call, enum node_data_does does) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    json_put(&w, NULL, call->body);
    ask_store(call, does, buf_str(&b), on_text);
    buf_free(&b);
}
static void on_selected(void *arg, const struct control_migrated *r) {
    struct api_call *call = arg;
    if (r->err == ERR_OK) {
        node_api_text(call, "text/plain; charset=utf-8", arena_str(call->mem, r->answer));
        return;
    }
    node_api_fail(call, r->err, r->d);
}

/* What may write is a function for as long as it is asked; a select is a view, and nothing but a select is one. What it reads holds for who asks, or all of it is the owner's. */
static void ask_sql(struct api_call *call, str sql) {
    bool owner = json_bool(node_api_member(call, "owner")), writes = json_bool(node_api_member(call, "write"));
    struct app_record r;
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    const struct control_app *app = app_of(call, &r);
    if (!app) return;
    if (r.database.engine > APP_DATABASE_SQLITE) { /* which knows what a query is */
        ask_as(call, NODE_DATA_QUERY);
        return;
    }
    json_put_object(&w, NULL);
    json_put_str(&w, "role", json_str(node_api_member(call, "role")));
    json_put_str(&w, "claims", json_str(node_api_member(call, "claims")));
    if (writes) json_put_bool(&w, "write", true);
    json_put_cstr(&w, "query",
                  writes ? "{\"query\":{\"kind\":\"call\",\"function\":\"_orlo_query\",\"args\":{}}}"
                         : "{\"query\":{\"from\":\"_orlo_query\",\"select\":[\"*\"]}}");
    json_put_end(&w);
    str view = arena_fmt(call->mem,
                         "create view public._orlo_query with (security_invoker = %s) as select * from (\n" STR_FMT
                         "\n) as _orlo_query; grant select on public._orlo_query to public;",
                         owner ? "false" : "true", STR_ARG(sql));
    node_migrate_begin(call->control, &(struct control_migrate){.app = app->id,
                                                                .name = app->name,
                                                                .engine = r.database.engine,
                                                                .secret = r.database.secret,
                                                                .limits = &r.limits,
                                                                .sql = writes ? sql : view,
                                                                .writes = writes,
                                                                .owner = owner,
                                                                .asked = buf_str(&b),
                                                                .done = on_selected,
                                                                .arg = call});
    buf_free(&b);
}

void node_api_query(struct api_call *call) {
    str sql = json_str(node_api_member(call, "sql"));
    struct diag d = DIAG_INIT;
    if (sql.n) ask_sql(call, sql);
    else if (json_str(node_api_member(call, "query")).n) ask_as(call, NODE_DATA_QUERY);
    else node_api_fail(call, diag_set(&d, ERR_INVALID, DIAG_NOWHERE, "query, or sql: one of them is needed"), &d);
}
void node_api_explain_policy(struct api_call *call) { ask_as(call, NODE_DATA_EXPLAIN); }

/* ---- migrations ---- */

static void put_note(struct json_writer *w, const struct migration_note *n) {
    json_put_object(w, NULL);
    json_put_str(w, "file", n->file);
    if (n->line) json_put_u64(w, "line", n->line);
    if (n->column) json_put_u64(w, "column", n->column);
    json_put_bool(w, "error", n->is_error);
    json_put_cstr(w, "kind", node_migration_note_word(n->kind));
    json_put_str(w, "code", n->code);
    json_put_str(w, "text", n->text);
    json_put_end(w);
}

static void on_migrated(void *arg, const struct control_migrated *r) {
    struct api_call *call = arg;
    struct json_writer *w = &call->w;
    json_put_object(w, NULL);
    json_put_array(w, "migrations");
    for (uint32_t i = 0; i < r->pending_count; i++) {
        json_put_object(w, NULL);
        json_put_str(w, "name", r->pending[i]);
        json_put_bool(w, "applied", i < r->applied_count);
        json_put_end(w);
    }
    json_put_end(w);
    json_put_array(w, "notes");
    for (uint32_t i = 0; i < MIN(r->notes_count, (uint32_t)NOTES_SHOWN_MAX); i++) put_note(w, &r->notes[i]);
    json_put_end(w);
    if (r->err != ERR_OK) {
        struct api_problem p = node_api_problem(r->err, r->d);
        p.key = r->file, p.line = r->line;
        node_api_put_problem(w, "error", &p);
    }
    json_put_end(w);
    node_api_reply(call);
}

static uint8_t digit(uint8_t c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

static err take_files(struct api_call *call, struct migration_file *files, struct diag *d) {
    struct migration_file *f = files;
    JSON_EACH(item, node_api_member(call, "files")) {
        str digest = json_str(json_get(item, "digest"));
        *f = (struct migration_file){.name = json_str(json_get(item, "name")),
                                     .seed = json_bool(json_get(item, "seed")),
                                     .mark = json_bool(json_get(item, "mark")),
                                     .copied = json_bool(node_api_member(call, "rows"))};
        for (size_t i = 0; i < sizeof f->digest; i++)
            f->digest[i] = (uint8_t)(digit(digest.p[2 * i]) << 4 | digit(digest.p[2 * i + 1]));
        if (f->copied && !f->seed) return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "files: of rows, all are seeds");
        bool ordered = f == files || f->seed || (!f[-1].seed && str_cmp(f[-1].name, f->name) < 0);
        if (!ordered || (f->seed && f->mark) || memchr(f->name.p, 0, f->name.n))
            return diag_set(d, ERR_INVALID, DIAG_NOWHERE,
                            "files: migrations are in the order of their names, each once, and seeds behind them");
        f++;
    }
    return ERR_OK;
}

static void on_compared(void *arg, const struct control_migrated *r) {
    struct api_call *call = arg;
    if (r->err == ERR_OK) node_api_text(call, "text/plain; charset=utf-8", arena_str(call->mem, r->answer));
    else node_api_fail(call, r->err, r->d);
}

static void migrate(struct api_call *call, bool compares) {
    struct app_record r;
    struct diag d = DIAG_INIT;
    const struct json *list = node_api_member(call, "files");
    struct migration_file *files = arena_array(call->mem, struct migration_file, json_count(list) + 1);
    const struct control_app *app = app_of(call, &r);
    if (!app) return;
    err e = take_files(call, files, &d);
    if (e == ERR_OK && compares && r.database.engine == APP_DATABASE_SQLITE)
        e = diag_set(&d, ERR_UNSUPPORTED, DIAG_NOWHERE,
                     "its database is SQLite's: all of it is in its catalogue (GET …/database/catalog)");
    if (e != ERR_OK) {
        node_api_fail(call, e, &d);
        return;
    }
    node_migrate_begin(call->control, &(struct control_migrate){.app = app->id,
                                                                .name = app->name,
                                                                .engine = r.database.engine,
                                                                .secret = r.database.secret,
                                                                .limits = &r.limits,
                                                                .files = files,
                                                                .files_count = json_count(list),
                                                                .dry_run = json_bool(node_api_member(call, "dry_run")),
                                                                .reset = !compares && json_bool(node_api_member(call, "reset")),
                                                                .compares = compares,
                                                                .seeds = !compares && json_bool(node_api_member(call, "rows")),
                                                                .makes = !compares && r.auth.on,
                                                                .done = compares ? on_compared : on_migrated,
                                                                .arg = call});
}
void node_api_migrate(struct api_call *call) { migrate(call, false); }
void node_api_schema(struct api_call *call) { migrate(call, true); }

/* ---- to another engine ---- */

static void on_moved(void *arg, const struct control_moved *r) {
    struct api_call *call = arg;
    if (r->err != ERR_OK) {
        node_api_fail(call, r->err, r->d);
        return;
    }
    json_put_object(&call->w, NULL);
    json_put_u64(&call->w, "version", r->version);
    json_put_array(&call->w, "tables");
    for (str rest = r->tables, line; rest.n;) {
        str name, numbers, rows, sum;
        uint64_t n = 0;
        str_cut(rest, '\n', &line, &rest);
        str_cut(line, '\t', &name, &numbers), str_cut(numbers, '\t', &rows, &sum);
        if (!str_to_u64(rows, &n)) continue;
        json_put_object(&call->w, NULL);
        json_put_str(&call->w, "name", name);
        json_put_u64(&call->w, "rows", n);
        json_put_end(&call->w);
    }
    json_put_end(&call->w);
    json_put_end(&call->w);
    node_api_reply(call);
}

void node_api_move(struct api_call *call) {
    struct app_record r;
    struct diag d = DIAG_INIT;
    str engine = json_str(node_api_member(call, "engine"));
    enum app_database_engine to = APP_DATABASE_NONE;
    for (uint32_t i = 0; i < APP_DATABASES; i++)
        if (str_eqc(engine, app_database_text((enum app_database_engine)i))) to = (enum app_database_engine)i;
    const struct control_app *app = app_of(call, &r);
    if (!app) return;
    const struct app_database there = {to, json_str(node_api_member(call, "secret"))};
    err e = node_move_begin(call->control, app, &there, on_moved, call, &d);
    if (e != ERR_OK) node_api_fail(call, e, &d);
}

static void on_dropped(void *arg, err e, const struct diag *d, int out) {
    struct api_call *call = arg;
    if (out >= 0) close(out);
    if (e == ERR_OK) node_api_empty(call);
    else node_api_fail(call, e, d);
}

void node_api_drop_old(struct api_call *call) {
    struct app_record r;
    struct diag d = DIAG_INIT;
    const struct control_app *app = app_of(call, &r);
    if (!app) return;
    err e = node_move_drop_old(call->control, app, on_dropped, call, &d);
    if (e != ERR_OK) node_api_fail(call, e, &d);
}
