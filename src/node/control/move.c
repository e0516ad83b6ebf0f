/* move: an app's database goes to another engine, with all of its rows (`orlo db move`).
 *
 *   it is noted down ──> FREEZE: the old one is read alone ──> its state and rows ──> THAW, RESET: the same migrations on the new one, then the rows in place of
 *   what those put there ──> FREEZE ──> SUMS of both are the same ──> a version of the app that is as the live one, on the new engine, is published and kept
 *   ──> THAW of the new one ──> it is forgotten
 *                                   └── whatever goes wrong before it is kept: THAW of the old one, until that is done ──> it is forgotten
 *
 * 1. Nothing is written to either between the copy and the version: what was acknowledged is in it. Who writes meanwhile is told 57P03, 503 by HTTP.
 * 2. Who ends in the middle leaves the note, and a database that is read alone. The next control lets that one be written which the live version is on (node_moves_mend).
 * 3. The old database stays as it was, read alone, until it is said to go (node_move_drop_old). Versions before the move are on it, so none of them is served again (node_move_check), unless it is moved back.
 */
#include "node/control/data.h"
#include <stdlib.h>
#include <unistd.h>

enum { ASK_MS = 60'000, ROWS_MS = 600'000, AGAIN_MS = 1'000, TOLD_BYTES_MAX = 128 << 20 };

struct control_move {
    struct control_move *next;
    struct control *c;
    arena *mem;
    uint32_t app;
    str name;
    struct app_database from, to;
    struct app_limits limits;
    struct migration_state state;
    str rows, sums;                       /* of the old one; rows: a piece of them */
    arena *piece;                         /* of rows */
    str behind;                           /* where the next piece begins; empty: that was the last */
    void (*then)(struct control_move *m); /* what an ask's answer is for */
    str answer;
    control_moved_fn done; /* NULL: nobody waits */
    void *arg;
    bool kept;  /* the new one is the app's */
    bool begun; /* something may have been put on a server of somebody's, which goes again if it is not kept */
    err e;
    struct diag d;
    struct net_timer *timer;
    struct control_now now;
    struct app_record record;
    VEC(struct control_held) held;
    struct control_change change;
};

/* ---- that it is under way ---- */

static str note_of(arena *mem, uint32_t app) { return arena_fmt(mem, "move:%u", app); }

/* Where it goes, if that is a server: whoever finds the note takes away what was put there. */
static err note(struct control_move *m) {
    str value = arena_fmt(m->mem, "%s %s " STR_FMT, app_database_text(m->from.engine), app_database_text(m->to.engine),
                          STR_ARG(m->to.secret));
    return db_run(m->c->db, &m->d, "insert or replace into meta (key, value) values (?, ?)", DB_TEXT(note_of(m->mem, m->app)),
                  DB_TEXT(value));
}

static void read_note(struct control_move *m, str value) {
    str from, to, secret, rest;
    str_cut(value, ' ', &from, &rest), str_cut(rest, ' ', &to, &secret);
    if (str_eqc(to, app_database_text(APP_DATABASE_SERVER)) && secret.n)
        m->to = (struct app_database){APP_DATABASE_SERVER, arena_str(m->mem, secret)};
}

static void forget(struct control_move *m) {
    struct control_move **at = &m->c->moves;
    struct diag d = DIAG_INIT;
    if (db_run(m->c->db, &d, "delete from meta where key = ?", DB_TEXT(note_of(m->mem, m->app))) != ERR_OK)
        log_event(LOG_WARN, "move-not-forgotten", LF_STR("app", m->name), LF_CSTR("reason", d.text));
    while (*at != m) at = &(*at)->next;
    *at = m->next;
    net_timer_free(m->timer);
    arena_free(m->piece);
    arena_free(m->mem);
}

bool node_move_is(const struct control *c, uint32_t app) {
    const struct control_move *m = c->moves;
    while (m && m->app != app) m = m->next;
    return m;
}

static bool holds_rows(enum app_database_engine engine) {
    return engine == APP_DATABASE_SQLITE || engine == APP_DATABASE_POSTGRES;
}

static bool is_server(const struct app_database *db) { return db->engine == APP_DATABASE_SERVER; }

/* As somebody says it. */
static const char *said(enum app_database_engine engine) {
    return engine == APP_DATABASE_SERVER ? "a server of yours" : app_database_text(engine);
}

err node_move_check(const struct control *c, str name, enum app_database_engine engine, struct diag *d) {
    arena *mem = arena_new(0);
    const struct control_app *app = node_control_app_named(c, name);
    enum app_database_engine live = app ? node_control_app_record(mem, app)->database.engine : APP_DATABASE_NONE;
    const char *is = said(live), *other = app_database_text(engine);
    err e = ERR_OK;
    if (app && node_move_is(c, app->id))
        e = diag_set(d, ERR_BUSY, DIAG_NOWHERE, "its database is being moved: try again in a moment");
    else if (live == APP_DATABASE_SERVER && holds_rows(engine))
        e = diag_set(
            d, ERR_INVALID, DIAG_NOWHERE,
            "its database is on %s, and this is for %s: orlo db move --engine %s takes its rows there; or say database = "
            "{ secret = … }, as before",
            is, other, other);
    else if (holds_rows(live) && holds_rows(engine) && live != engine)
        e = diag_set(
            d, ERR_INVALID, DIAG_NOWHERE,
            "its database is on %s, and this is for %s: orlo db move --engine %s takes its rows there; or say database = \"%s\"",
            is, other, other, is);
    arena_free(mem);
    return e;
}

/* ---- asking the one, and the other ---- */

static void fail(struct control_move *m, err e);
static void on_rows(struct control_move *m), on_more_rows(struct control_move *m);

static void on_told(void *arg, err e, const struct diag *d, int out) {
    struct control_move *m = arg;
    m->answer = (str){0};
    if (e != ERR_OK) m->d = *d;
    arena *mem = m->then == on_rows || m->then == on_more_rows ? m->piece : m->mem;
    if (mem == m->piece) arena_reset(mem);
    if (e == ERR_OK) e = node_fd_bytes(mem, out, TOLD_BYTES_MAX, &m->answer, &m->d);
    if (out >= 0) close(out);
    if (e == ERR_OK) m->then(m);
    else fail(m, e);
}

/* Of a server, keys are looked at again before it is read alone. */
static bool takes_long(enum node_data_does does, const struct app_database *whom) {
    return does == NODE_DATA_DUMP || does == NODE_DATA_SUMS || (does == NODE_DATA_FREEZE && is_server(whom));
}

static void ask_as(struct control_move *m, enum node_data_does does, const struct app_database *whom, str in,
                   void (*done)(void *arg, err e, const struct diag *d, int out)) {
    int fd = in.n ? node_bytes_fd("orlo-move", in) : -1;
    node_data_ask(m->c, &(struct control_data_want){.does = does,
                                                    .app = m->app,
                                                    .name = m->name,
                                                    .postgres = whom->engine > APP_DATABASE_SQLITE,
                                                    .secret = whom->secret,
                                                    .in = fd,
                                                    .bytes = in.n,
                                                    .limits = &m->limits,
                                                    .ms_max = takes_long(does, whom) ? ROWS_MS : ASK_MS,
                                                    .done = done,
                                                    .arg = m});
    if (fd >= 0) close(fd);
}

static void ask(struct control_move *m, enum node_data_does does, const struct app_database *whom, str in,
                void (*then)(struct control_move *m)) {
    m->then = then;
    ask_as(m, does, whom, in, on_told);
}

/* ---- its end ---- */

static void tell(struct control_move *m) {
    if (m->done)
        m->done(m->arg, &(struct control_moved){
                            .err = m->e, .d = &m->d, .tables = m->kept ? m->sums : (str){0}, .version = m->record.version});
    m->done = NULL;
}

static void thaw(void *arg);

/* What was put on a server is gone from it; where it is not reached, the next move there begins with that. */
static void on_undone(void *arg, err e, const struct diag *d, int out) {
    struct control_move *m = arg;
    if (out >= 0) close(out);
    if (e != ERR_OK) log_event(LOG_WARN, "move-not-undone", LF_STR("app", m->name), LF_CSTR("reason", d->text));
    tell(m);
    forget(m);
}

/* The app's database may be written again, whoever has to come up for that first. */
static void on_thawed(void *arg, err e, const struct diag *d, int out) {
    struct control_move *m = arg;
    if (out >= 0) close(out);
    bool there = e != ERR_NOT_FOUND && node_control_app_numbered(m->c, m->app); /* else nothing is left to do */
    if (e != ERR_OK && there) {
        log_event(LOG_WARN, "move-waits", LF_STR("app", m->name), LF_CSTR("reason", d->text));
        net_timer_start(m->timer, AGAIN_MS, 0);
        return;
    }
    if (there && m->begun && !m->kept && is_server(&m->to)) {
        ask_as(m, NODE_DATA_DROP, &m->to, (str){0}, on_undone);
        return;
    }
    tell(m);
    forget(m);
}

static void thaw(void *arg) {
    struct control_move *m = arg;
    ask_as(m, NODE_DATA_THAW, m->kept ? &m->to : &m->from, (str){0}, on_thawed);
}

static void fail(struct control_move *m, err e) {
    m->e = e;
    diag_prefix(&m->d, "nothing was moved, and the app is on %s as before", said(m->from.engine));
    thaw(m);
}

/* ---- the version that is on the new one ---- */

static err stage(struct control *c, struct control_change *ch, struct diag *d) {
    struct control_move *m = ch->arg;
    struct db_rows *rows;
    uint64_t revision;
    TRY(node_store_now(c, m->name, &m->now, &revision, d));
    if (m->now.canary)
        return diag_set(d, ERR_BUSY, DIAG_NOWHERE, "version %u is its canary: promote it, or roll back, first", m->now.canary);
    TRY(node_store_record(c, m->mem, m->now.app, m->now.live, &m->record, d));
    TRY(db_query(c->db, &rows, d, "select kind, digest, bytes from files where app = ? and version = ?", DB_I64(m->now.app),
                 DB_I64(m->now.live)));
    while (db_next(rows)) {
        struct control_held h = {.kind = (enum control_file_kind)db_i64(rows, 0), .bytes = (uint64_t)db_i64(rows, 2)};
        if (db_str(rows, 1).n != sizeof h.digest) continue;
        memcpy(h.digest, db_str(rows, 1).p, sizeof h.digest);
        vec_push(m->mem, &m->held, h);
    }
    TRY(db_end(rows, d));
    m->record.database = m->to;
    m->record.secrets_revision = revision;
    ch->id = m->app, ch->eager = true;
    err e = node_store_stage(c, &m->record, STR("orlo db move"), m->held.p, m->held.n, d);
    if (e == ERR_OK) ch->to = (struct control_state){.live = node_served_new(&m->record), .secrets_revision = revision};
    return e;
}

static err keep(struct control *c, struct control_change *ch, struct diag *d) {
    struct control_move *m = ch->arg;
    uint64_t most = m->record.limits.versions_max;
    const struct control_now now = {.app = m->app, .live = m->record.version};
    TRY(node_store_set(c, &now, most ? most : UINT32_MAX, d));
    m->kept = true;
    struct diag own = DIAG_INIT;
    if (db_run(c->db, &own, "insert or replace into meta (key, value) values (?, ?)",
               DB_TEXT(arena_fmt(m->mem, "moved:%u", m->app)), DB_TEXT(str_c(app_database_text(m->from.engine)))) != ERR_OK)
        log_event(LOG_WARN, "move-not-forgotten", LF_STR("app", m->name), LF_CSTR("reason", own.text));
    log_event(LOG_INFO, "app-moved", LF_STR("app", m->name), LF_U64("version", m->record.version),
              LF_CSTR("engine", app_database_text(m->to.engine)));
    return ERR_OK;
}

static void undo(struct control *c, struct control_change *ch) {
    struct control_move *m = ch->arg;
    node_store_unstage(c, m->app, m->record.version);
}

static void over(struct control *c, struct control_change *ch, err e, const struct diag *d) {
    struct control_move *m = ch->arg;
    if (e != ERR_OK) {
        m->d = *d;
        fail(m, e);
        return;
    }
    thaw(m);
}

/* ---- rows ---- */

/* What the platform of somebody's server keeps in those by itself (the migrations of GoTrue, say): that the rest of them was empty was asked before. */
static bool is_platforms(str table) {
    static const char *const schemas[] = {"auth.", "storage.", "realtime.", "vault.", "cron.", "net.", "pgmq."};
    for (size_t i = 0; i < ARRAY_COUNT(schemas); i++)
        if (str_starts(table, str_c(schemas[i]))) return true;
    return false;
}

/* A table that the one has rows of and the other has not, or others. */
static err compare_with(struct control_move *m, str sums, str others_sums, bool servers) {
    for (str rest = sums, line; rest.n;) {
        str_cut(rest, '\n', &line, &rest);
        str table, numbers;
        str_cut(line, '\t', &table, &numbers);
        bool same = false;
        for (str others = others_sums, other; others.n && !same;) {
            str_cut(others, '\n', &other, &others);
            same = str_eq(line, other);
        }
        if (same || !line.n || (servers && is_platforms(table))) continue;
        return diag_set(&m->d, ERR_INVALID, DIAG_NOWHERE,
                        "table " STR_FMT
                        ": its rows are not the same on %s (they are counted, and a sum of their values compared)",
                        STR_ARG(str_sub(table, 0, 200)), said(m->to.engine));
    }
    return ERR_OK;
}

/* Both ways: what fills a table may have a trigger that fills another. */
static err compare(struct control_move *m) {
    TRY(compare_with(m, m->sums, m->answer, is_server(&m->from)));
    return compare_with(m, m->answer, m->sums, is_server(&m->to));
}

static void on_new_sums(struct control_move *m) {
    err e = compare(m);
    if (e != ERR_OK) {
        fail(m, e);
        return;
    }
    m->change = (struct control_change){.app = m->name, .stage = stage, .keep = keep, .undo = undo, .over = over, .arg = m};
    node_change_begin(m->c, &m->change);
}

static void on_old_sums(struct control_move *m) {
    m->sums = m->answer;
    ask(m, NODE_DATA_SUMS, &m->to, (str){0}, on_new_sums);
}

static void on_new_frozen(struct control_move *m) { ask(m, NODE_DATA_SUMS, &m->from, (str){0}, on_old_sums); }

static void ask_rows(struct control_move *m, str from, void (*then)(struct control_move *m)) {
    str what = arena_fmt(m->mem, "%s " STR_FMT, app_database_text(m->to.engine), STR_ARG(from));
    ask(m, NODE_DATA_DUMP, &m->from, what, then);
}

static void on_filled(void *arg, const struct control_migrated *r) {
    struct control_move *m = arg;
    if (r->err != ERR_OK) {
        m->d = *r->d;
        fail(m, r->err);
        return;
    }
    if (m->behind.n) ask_rows(m, m->behind, on_more_rows);
    else ask(m, NODE_DATA_FREEZE, &m->to, (str){0}, on_new_frozen);
}

/* Its first line says where the next one begins. */
static void take_rows(struct control_move *m) {
    str line, rest, word = STR("-- next ");
    m->rows = m->answer;
    str_cut(m->answer, '\n', &line, &rest);
    m->behind = str_starts(line, word) ? arena_str(m->mem, str_sub(line, word.n, line.n)) : (str){0};
}

/* Pieces behind the first are put beside what is there: nobody sees it before it is whole, and a move that fails begins with a reset again. */
static void on_more_rows(struct control_move *m) {
    take_rows(m);
    node_migrate_begin(m->c, &(struct control_migrate){.app = m->app,
                                                       .name = m->name,
                                                       .engine = m->to.engine,
                                                       .secret = m->to.secret,
                                                       .limits = &m->limits,
                                                       .fills = true,
                                                       .rows = m->rows,
                                                       .done = on_filled,
                                                       .arg = m});
}

static void on_new_open(struct control_move *m) {
    m->begun = true;
    uint32_t n = m->state.applied.n;
    struct migration_file *files = arena_array(m->mem, struct migration_file, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        files[i] = (struct migration_file){.name = m->state.applied.p[i].name};
        memcpy(files[i].digest, m->state.applied.p[i].digest, sizeof files[i].digest);
    }
    node_migrate_begin(m->c, &(struct control_migrate){.app = m->app,
                                                       .name = m->name,
                                                       .engine = m->to.engine,
                                                       .secret = m->to.secret,
                                                       .limits = &m->limits,
                                                       .files = files,
                                                       .files_count = n,
                                                       .reset = true,
                                                       .moves = true,
                                                       .makes = true,
                                                       .rows = m->rows,
                                                       .done = on_filled,
                                                       .arg = m});
}

/* It may be read alone since it was moved away from. */
static void on_rows(struct control_move *m) {
    take_rows(m);
    if (is_server(&m->to)) on_new_open(m); /* which was seen to be there, and is looked at first */
    else ask(m, NODE_DATA_THAW, &m->to, (str){0}, on_new_open);
}

static void on_state(struct control_move *m) {
    err e = node_migration_state_read(m->mem, m->answer, &m->state, &m->d);
    if (e == ERR_OK && !m->state.applied.n)
        e = diag_set(&m->d, ERR_INVALID, DIAG_NOWHERE,
                     "nothing was migrated to it: say database = %s in the manifest, and deploy it",
                     m->to.engine == APP_DATABASE_SQLITE     ? "\"sqlite\""
                     : m->to.engine == APP_DATABASE_POSTGRES ? "\"postgres\""
                                                             : "{ secret = … }");
    if (e != ERR_OK) fail(m, e);
    else ask_rows(m, STR("0 -"), on_rows);
}

static void on_old_frozen(struct control_move *m) { ask(m, NODE_DATA_STATE, &m->from, (str){0}, on_state); }

static void freeze_old(struct control_move *m) { ask(m, NODE_DATA_FREEZE, &m->from, (str){0}, on_old_frozen); }

/* A server lets in before the app is held up for it. */
static void on_new_seen(struct control_move *m) { freeze_old(m); }

/* ---- its beginning ---- */

static struct control_move *new_move(struct control *c, uint32_t app, str name) {
    arena *mem = arena_new(0);
    struct control_move *m = arena_make(mem, struct control_move);
    *m = (struct control_move){
        .next = c->moves, .c = c, .mem = mem, .app = app, .name = arena_str(mem, name), .piece = arena_new(0), .d = DIAG_INIT};
    m->timer = net_timer_new(c->loop, thaw, m);
    c->moves = m;
    return m;
}

err node_move_begin(struct control *c, const struct control_app *app, const struct app_database *to, control_moved_fn done,
                    void *arg, struct diag *d) {
    arena *mem = arena_new(0);
    const struct app_record *r = node_control_app_record(mem, app);
    struct app_database from = r->database;
    struct app_limits limits = r->limits;
    err e = ERR_OK;
    if (node_move_is(c, app->id)) e = diag_set(d, ERR_BUSY, DIAG_NOWHERE, "its database is being moved already");
    else if (from.engine == to->engine && str_eq(from.secret, to->secret))
        e = diag_set(d, ERR_INVALID, DIAG_NOWHERE, "its database is on %s already", said(to->engine));
    else if (from.engine == APP_DATABASE_NONE || to->engine == APP_DATABASE_NONE || is_server(to) != (to->secret.n > 0))
        e = diag_set(
            d, ERR_UNSUPPORTED, DIAG_NOWHERE,
            "a database is moved between sqlite, postgres and a server of yours (by the secret that is its URL), not from "
            "%s to %s",
            app_database_text(from.engine), app_database_text(to->engine));
    if (e == ERR_OK) {
        struct control_move *m = new_move(c, app->id, app->name);
        m->from = (struct app_database){from.engine, arena_str(m->mem, from.secret)};
        m->to = (struct app_database){to->engine, arena_str(m->mem, to->secret)};
        m->limits = limits;
        m->done = done, m->arg = arg;
        e = note(m);
        if (e != ERR_OK) *d = m->d, forget(m);
        else if (is_server(&m->to)) ask(m, NODE_DATA_STATE, &m->to, (str){0}, on_new_seen);
        else freeze_old(m);
    }
    arena_free(mem);
    return e;
}

/* ---- what was left behind ---- */

/* What it was moved from last; of moves before that was noted down, the other one of the two. */
static err moved_from(struct control *c, uint32_t app, enum app_database_engine live, enum app_database_engine *old,
                      struct diag *d) {
    struct db_rows *rows;
    arena *mem = arena_new(0);
    *old = live == APP_DATABASE_SQLITE     ? APP_DATABASE_POSTGRES
           : live == APP_DATABASE_POSTGRES ? APP_DATABASE_SQLITE
                                           : APP_DATABASE_NONE;
    err e = db_query(c->db, &rows, d, "select value from meta where key = ?", DB_TEXT(arena_fmt(mem, "moved:%u", app)));
    if (e == ERR_OK) {
        if (db_next(rows))
            for (uint32_t i = 0; i < APP_DATABASES; i++)
                if (str_eqc(db_str(rows, 0), app_database_text((enum app_database_engine)i)) && i != live)
                    *old = (enum app_database_engine)i;
        e = db_end(rows, d);
    }
    arena_free(mem);
    return e;
}

/* A cluster's files are the supervisor's to remove; of SQLite the file stays, with nothing in it, as the store has others beside it. */
err node_move_drop_old(struct control *c, const struct control_app *app,
                       void (*done)(void *arg, err e, const struct diag *d, int out), void *arg, struct diag *d) {
    arena *mem = arena_new(0);
    const struct app_record *r = node_control_app_record(mem, app);
    enum app_database_engine live = r->database.engine, old = APP_DATABASE_NONE;
    struct app_limits limits = r->limits;
    arena_free(mem);
    if (node_move_is(c, app->id))
        return diag_set(d, ERR_BUSY, DIAG_NOWHERE, "its database is being moved: try again in a moment");
    TRY(moved_from(c, app->id, live, &old, d));
    if (old == APP_DATABASE_SERVER)
        return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE,
                        "it was moved away from a server of yours, where nothing is dropped from here: drop the database there");
    if (!holds_rows(live) && !holds_rows(old))
        return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "its database is on %s, and was not moved there from here", said(live));
    log_event(LOG_INFO, "app-old-dropped", LF_STR("app", app->name), LF_CSTR("engine", app_database_text(old)));
    if (old == APP_DATABASE_POSTGRES) {
        node_control_tell(c, &NODE_MESSAGE(data_forget, .app = app->id, .name = app->name, .cluster = true));
        done(arg, ERR_OK, d, -1);
        return ERR_OK;
    }
    node_data_ask(c, &(struct control_data_want){.does = NODE_DATA_DROP,
                                                 .app = app->id,
                                                 .name = app->name,
                                                 .in = -1,
                                                 .limits = &limits,
                                                 .ms_max = ASK_MS,
                                                 .done = done,
                                                 .arg = arg});
    return ERR_OK;
}

/* Of an app that is no more nothing is left to do. What is on a server goes, unless the app is there by now. */
err node_moves_mend(struct control *c, struct diag *d) {
    struct db_rows *rows;
    struct left {
        uint32_t app;
        str note;
    };
    VEC(struct left) left = {0};
    arena *mem = arena_new(0);
    if (!c->db) return ERR_OK;
    TRY(db_query(c->db, &rows, d, "select cast(substr(key, 6) as integer), value from meta where key like 'move:%'"));
    while (db_next(rows)) vec_push(mem, &left, ((struct left){(uint32_t)db_i64(rows, 0), arena_str(mem, db_str(rows, 1))}));
    TRY(db_end(rows, d));
    for (uint32_t i = 0; i < left.n; i++) {
        const struct control_app *app = node_control_app_numbered(c, left.p[i].app);
        struct control_move *m = new_move(c, left.p[i].app, app ? app->name : (str){0});
        const struct app_record *r = app ? node_control_app_record(m->mem, app) : NULL;
        if (r) m->from = r->database, m->limits = r->limits;
        read_note(m, left.p[i].note);
        m->begun = is_server(&m->to) && !(is_server(&m->from) && str_eq(m->from.secret, m->to.secret));
        if (r && m->from.engine != APP_DATABASE_NONE) thaw(m);
        else forget(m);
    }
    arena_free(mem);
    return ERR_OK;
}
