/* app: an app's own database, "NAME.ID/app.db": tables as its migrations made them, and what is the store's own in it.
 *
 *   _orlo_meta        (key, value)            `catalog`: what it is made of (catalog/catalog.h), as JSON; `version`: that catalogue's, a number;
 *                                             `frozen`: it is read alone
 *   _orlo_migrations  (position, name, sha256, applied_at, statements)   what was applied, in order; ms since 1970
 *   _orlo_sequences   (id, last, called)      of the catalogue's sequences those that have begun
 *   _orlo_changes, _orlo_consumers            feed.c
 *   user_version      the format of these tables: steps below
 *
 * 1. The catalogue that is used is the one that is committed: whoever changes it reads it anew then. Readers in other processes look at `version`.
 * 2. A query runs as the role and with the claims that its ask says; a worker has checked who that is.
 */
#include "node/disk.h"
#include "node/store/own.h"
#include "node/tree.h"
#include "pg/pg.h"
#include <stdio.h>

static const char *const steps[] = {
    "create table _orlo_meta (key text primary key, value any) strict, without rowid;"
    "create table _orlo_migrations (position integer primary key, name text not null unique, sha256 text not null,"
    " applied_at integer not null, statements integer not null default 0) strict;"
    "create table _orlo_changes (seq integer primary key, at integer not null, relation integer not null, op text not null, key "
    "text,"
    " old text, new text) strict;"
    "create table _orlo_sequences (id integer primary key, last integer not null, called integer not null) strict;"
    "create table _orlo_consumers (name text primary key, seq integer not null, seen integer not null) strict, without rowid;",
    "alter table _orlo_changes add column upto integer not null default 0;",
    "alter table _orlo_changes add column hops integer not null default 0;",
};

struct store_own {
    arena *mem; /* the catalogue, and what is made of it */
    struct catalog *catalog;
    struct map tables; /* by their names in SQLite: struct store_table * */
    bool frozen;       /* it is read alone: its rows are elsewhere, or on their way there */
    struct store_feed *feed;
    struct query_conn *conn;
    arena *empty;   /* of a catalogue of nothing */
    arena *scratch; /* of one value's JSON */
    struct pg_session session;
    struct pg_error error;
};

const struct catalog *node_store_own_catalog(const struct store_base *base) { return base->own->catalog; }
bool node_store_own_frozen(const struct store_base *base) { return base->own->frozen; }

/* ---- what it is made of ---- */

static str name_json(arena *mem, str name) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    json_put_str(&w, NULL, name);
    buf_putc(&b, ':');
    str out = arena_str(mem, buf_str(&b));
    buf_free(&b);
    return out;
}

static const struct catalog_column *column_stored(const struct catalog_relation *r, str storage) {
    for (uint32_t i = 0; i < r->columns.n; i++)
        if (str_eq(r->columns.p[i].storage, storage)) return &r->columns.p[i];
    return NULL;
}

static void read_column(struct store_own *own, const struct catalog_relation *r, struct store_table *t, struct db_rows *rows) {
    const struct catalog_constraint *key = catalog_primary_key(r);
    struct store_column *k = &t->columns[t->columns_count++];
    k->column = column_stored(r, db_str(rows, 0));
    if (!k->column) return;
    k->name_json = name_json(own->mem, k->column->name);
    k->is_key = key && catalog_ids_have(&key->columns, k->column->number);
    t->has_key |= k->is_key;
}

/* As SQLite has its columns; those that are computed when they are read are no part of a row. */
static err read_table(struct store_base *base, const struct catalog_relation *r, struct diag *d) {
    struct store_own *own = base->own;
    struct db_rows *rows;
    int64_t count = 0;
    TRY(db_one_i64(base->db, &count, d, "select count(*) from pragma_table_xinfo(?) where hidden <> 2", DB_TEXT(r->storage)));
    struct store_table *t = arena_make(own->mem, struct store_table);
    *t = (struct store_table){.relation = r->id, .columns = arena_array(own->mem, struct store_column, (size_t)count)};
    TRY(db_query(base->db, &rows, d, "select name from pragma_table_xinfo(?) where hidden <> 2 order by cid",
                 DB_TEXT(r->storage)));
    while (t->columns_count < count && db_next(rows)) read_column(own, r, t, rows);
    TRY(db_end(rows, d));
    map_put(own->mem, &own->tables, r->storage, (uint64_t)(uintptr_t)t);
    return ERR_OK;
}

static err read_catalog(struct store_base *base, struct diag *d) {
    struct store_own *own = base->own;
    struct db_rows *rows;
    int64_t frozen = 0;
    TRY(db_one_i64(base->db, &frozen, d, "select exists (select 1 from _orlo_meta where key = 'frozen')"));
    own->frozen = frozen;
    TRY(db_query(base->db, &rows, d, "select value from _orlo_meta where key = 'catalog'"));
    err e = db_next(rows) ? catalog_read(own->mem, db_str(rows, 0), &own->catalog, d) : ERR_OK;
    err ended = db_end(rows, d);
    if (e == ERR_OK) e = ended;
    own->session.types = e == ERR_OK && own->catalog ? query_types_new(own->mem, own->catalog) : NULL;
    for (uint32_t i = 0; e == ERR_OK && own->catalog && i < own->catalog->relations.n; i++) {
        const struct catalog_relation *r = &own->catalog->relations.p[i];
        if (r->kind == CATALOG_TABLE) e = read_table(base, r, d);
    }
    return e;
}

/* Before anything was deployed there is one of nothing, so that functions and sequences are there for what is. */
static const struct catalog *catalog_of(struct store_own *own) {
    if (own->catalog) return own->catalog;
    if (!own->empty) own->empty = arena_new(0);
    arena_reset(own->empty);
    struct catalog *c = catalog_new(own->empty, CATALOG_SQLITE);
    catalog_ready(c);
    return c;
}

err node_store_own_reload(struct store_base *base, struct diag *d) {
    struct store_own *own = base->own;
    arena_free(own->mem);
    own->mem = arena_new(0);
    own->catalog = NULL;
    own->tables = (struct map){0};
    own->session.types = NULL;
    node_store_feed_undone(own->feed);
    base->texts.sent = NULL;
    TRY(read_catalog(base, d));
    return query_conn_catalog(own->conn, catalog_of(own), d);
}

err node_store_own_forget(struct store_base *base, struct diag *d) {
    return query_conn_catalog(base->own->conn, catalog_of(base->own), d);
}

err node_store_own_lend(struct store_base *base, struct catalog *c, struct diag *d) {
    struct store_own *own = base->own;
    own->catalog = c;
    base->texts.sent = NULL;
    own->session.types = query_types_new(own->mem, c);
    return query_conn_catalog(own->conn, c, d);
}

void node_store_own_as_owner(struct store_base *base) {
    int64_t now = node_tree_now_us();
    arena_reset(base->own->scratch);
    query_conn_begin(
        base->own->conn,
        &(struct pg_session){
            .role = STR("postgres"), .login = STR("postgres"), .now = now, .statement_now = now, .mem = base->own->scratch});
}

struct query_conn *node_store_own_conn(const struct store_base *base) {
    return base->own->conn;
}

err node_store_own_put_catalog(struct store_base *base, const struct catalog *c, struct diag *d) {
    struct buf text = {0};
    static const char put[] =
        "insert into _orlo_meta (key, value) values (?, ?) on conflict (key) do update set value = excluded.value";
    catalog_write(&text, c);
    err e = db_run(base->db, d, put, DB_TEXT(STR("catalog")), DB_TEXT(buf_str(&text)));
    buf_free(&text);
    return e == ERR_OK ? db_run(base->db, d, put, DB_TEXT(STR("version")), DB_I64(c->version)) : e;
}

const struct store_table *node_store_own_table(struct store_base *base, str name) {
    uint64_t at;
    return map_get(&base->own->tables, name, &at) ? (const struct store_table *)(uintptr_t)at : NULL;
}

void node_store_own_relation(const struct store_base *base, uint32_t relation, str *schema, str *table) {
    const struct catalog *c = base->own->catalog;
    const struct catalog_relation *r = c ? catalog_relation_of(c, relation) : NULL;
    const struct catalog_schema *s = r ? catalog_schema_of(c, r->schema) : NULL;
    *table = r ? r->name : STR("");
    *schema = s ? s->name : STR("");
}

void node_store_own_json(struct store_base *base, uint32_t type, struct db_value v, struct buf *to) {
    struct store_own *own = base->own;
    struct pg_call call = {.mem = own->scratch, .session = &own->session, .error = &own->error};
    size_t at = to->n;
    own->error = (struct pg_error){0};
    if (v.kind == DB_NULL || !pg_value_json(&call, type, v, to)) to->n = at, buf_puts(to, STR("null"));
    arena_reset(own->scratch);
}

/* ---- what is asked ---- */

static void answer_error(struct store_ask *ask, const struct pg_error *error) {
    node_store_ask_fail(ask, APP_DATA_ERROR, "%s", error->message);
    node_tree_error_values(error, &ask->answer);
}

static bool deletes_alone(const struct query_batch *batch) {
    for (uint32_t i = 0; i < batch->count; i++)
        if (batch->queries[i].kind != QUERY_DELETE) return false;
    return true;
}

/* What has been done leaves it no larger than it may be. */
static bool fits(struct store_base *base, uint64_t before, struct pg_error *error) {
    uint64_t after = 0;
    struct diag d = DIAG_INIT;
    if (!base->nearly_full) return true;
    if (node_store_room_used(base, &after, &d) != ERR_OK) node_tree_fail(error, "58030", "the database cannot be read");
    else if (node_store_room_exceeded(base, before, after)) node_store_room_say(base, error);
    return !error->set;
}

/* In the transaction of its batch, or its own; where it fails, that is undone by who began it. */
static void do_query(struct store_base *base, struct store_ask *ask) {
    struct store_own *own = base->own;
    struct pg_error error = {0};
    struct node_tree_ask who;
    struct query_batch batch;
    struct buf body = {0};
    struct diag d = DIAG_INIT;
    char full[NODE_DISK_TEXT];
    uint64_t before = 0;
    uint32_t before_it = ask->op == APP_TX ? APP_TX_VALUES : 0; /* which are there: bases.c */
    if (!node_tree_ask_of_values(ask->values + before_it, ask->count - before_it, &who)) {
        node_store_ask_fail(ask, APP_DATA_REFUSED, "no query");
        return;
    }
    bool ok = node_tree_read_batch(ask->mem, &who, &batch, &error);
    if (ok && !deletes_alone(&batch) && node_disk_full(full)) {
        node_store_ask_fail(ask, APP_DATA_FULL, "%s", full);
        return;
    }
    if (ok && base->nearly_full && node_store_room_used(base, &before, &d) != ERR_OK)
        node_tree_fail(&error, "58030", "the database cannot be read"), ok = false;
    if (ok && own->frozen && node_tree_writes(&batch)) node_tree_fail(&error, "57P03", NODE_TREE_MOVES), ok = false;
    if (ok && !own->catalog) node_tree_fail(&error, "42P01", "nothing was migrated to this database yet"), ok = false;
    if (ok)
        ok = node_tree_run(&(struct node_tree_running){.conn = own->conn,
                                                       .catalog = own->catalog,
                                                       .ask = &who,
                                                       .batch = &batch,
                                                       .mem = ask->mem,
                                                       .bytes_max = ask->answer_bytes_max},
                           &body, &error);
    if (ok) ok = fits(base, before, &error);
    else if (!strcmp(error.state, "53100")) node_store_room_say(base, &error);
    if (!ok && base->late) node_tree_late(&error);
    if (ok && ask->op == APP_TX && batch.rollback)
        node_tree_fail(&error, "0A000", "a query in a transaction has no end of its own"), ok = false;
    ask->undone = ok && batch.rollback;
    if (ok) node_store_ask_answer(ask, APP_TEXT(buf_str(&body)));
    else answer_error(ask, &error);
    buf_free(&body);
}

err node_store_own_save(struct store_base *base, struct diag *d) {
    err e = node_store_feed_trim(base->own->feed, d);
    return e;
}

void node_store_own_undone(struct store_base *base) { node_store_feed_undone(base->own->feed); }
struct store_feed *node_store_own_feed(struct store_base *base) {
    return base->own->feed;
}

void node_store_own_rest(struct store_base *base) {
    struct store_own *own = base->own;
    struct diag d = DIAG_INIT;
    if (query_conn_worn(own->conn) && query_conn_catalog(own->conn, catalog_of(own), &d) != ERR_OK) base->close = true;
}

static void do_open(struct store_base *base, struct store_ask *ask) {
    struct diag d = DIAG_INIT;
    err e = db_files_of(base->db, ask->files, &d);
    if (e != ERR_OK) node_store_ask_db_failed(ask, e, &d);
}

void node_store_own_do(struct store_base *base, struct store_ask *ask) {
    struct diag d = DIAG_INIT;
    struct store_feed *feed = base->own->feed;
    switch (ask->op) {
    case APP_OPEN: do_open(base, ask); return;
    case APP_FEED: node_store_feed_read(feed, ask); return;
    default: break;
    }
    node_store_feed_begin(feed, ask);
    do_query(base, ask);
    err e = node_store_ask_stays(ask) ? node_store_feed_write(feed, &d) : ERR_OK;
    if (e != ERR_OK) node_store_ask_db_failed(ask, e, &d);
}

/* ---- opening ---- */

err node_store_own_open(struct store_base *base, struct diag *d) {
    struct store_own *own = calloc(1, sizeof *own);
    ENSURE(own);
    base->own = own;
    own->mem = arena_new(0);
    own->scratch = arena_new(0);
    own->session = (struct pg_session){.role = STR("postgres"), .mem = own->scratch, .error = &own->error};
    own->feed = node_store_feed_new(base, base->db);
    TRY(db_upgrade(base->db, steps, ARRAY_COUNT(steps), d));
    TRY(read_catalog(base, d));
    return query_conn_new(base->db, catalog_of(own),
                          &(struct query_options){.writer = true, .translate = node_store_translate, .translate_arg = base},
                          &own->conn, d);
}

void node_store_own_close(struct store_base *base) {
    struct store_own *own = base->own;
    struct diag d = DIAG_INIT;
    if (node_store_bases_keep() && !node_store_checkpoint_held() && db_wal(base->db).frames) {
        err e = db_checkpoint(base->db, &d);
        if (e == ERR_OK) base->wal = (struct db_wal){0};
        else if (e != ERR_BUSY)
            log_event(LOG_ERROR, "data-log-not-merged", LF_CSTR("database", base->name), LF_CSTR("reason", d.text));
    }
    node_store_feed_free(own->feed);
    query_conn_free(own->conn);
    arena_free(own->empty);
    arena_free(own->scratch);
    arena_free(own->mem);
    free(own);
    base->own = NULL;
}
