/* feed: changes of rows, kept in the database that they are of, in the order in which they were committed.
 *
 *   a member of a batch changes rows ──> held back, as SQLite tells of them ──it is done──> rows of _orlo_changes, in its savepoint
 *                                                    └──it failed──> forgotten
 *
 *   _orlo_changes    (seq, at, relation, op, key, old, new)     op: I U D, or * for a member that changed too much to keep: who follows reads anew
 *   _orlo_consumers  (name, seq, seen)                          how far somebody has read who is waited for
 *
 * 1. Numbers grow with commits and are never given twice: the newest row stays, whatever goes.
 * 2. What goes: what is older than the app keeps, and has been read by all who follow; and, read or not, what is more than it keeps.
 * 3. Who has not come for a week does not follow any more.
 * 4. Values are as PostgreSQL's to_jsonb has them, objects by the columns' names; key is the primary key's, or the whole row where there is none.
 */
#include "node/store/own.h"
#include <stdlib.h>

enum { HELD_BYTES_MAX = 16 << 20, HELD_ROWS_MAX = 100'000, TRIM_ROWS = 2048 };
static const int64_t forgotten_after_ms = 7ll * 86400000;

struct held { /* offsets into text: key, before, after, in this order */
    uint32_t relation;
    char op;
    size_t key, before, after, end;
};
struct store_feed {
    struct store_base *base;
    struct db *db;
    struct held *held;
    uint32_t count, cap;
    struct buf text;
    bool on, too_much;
    int64_t last;              /* seq of the newest; -1: not known */
    uint32_t rows_max, kept_s; /* of the app, as the last ask said it */
    uint32_t untrimmed;        /* rows written since the last trim */
};

/* ---- what changes ---- */

static void put_object(struct store_feed *f, const struct store_table *t, const struct db_change *c, bool after, bool key_alone) {
    struct buf *b = &f->text;
    bool first = true;
    buf_putc(b, '{');
    for (uint32_t i = 0; i < c->columns && i < t->columns_count; i++) {
        const struct store_column *k = &t->columns[i];
        if (!k->column || (key_alone && !k->is_key)) continue;
        if (!first) buf_putc(b, ',');
        first = false;
        buf_puts(b, k->name_json);
        node_store_own_json(f->base, k->column->type, after ? db_change_after(c, i) : db_change_before(c, i), b);
    }
    buf_putc(b, '}');
}

static void too_much(struct store_feed *f) {
    f->too_much = true;
    f->count = 0;
    buf_free(&f->text);
}

static void see(void *arg, const struct db_change *c) {
    struct store_feed *f = arg;
    const struct store_table *t = f->on && !f->too_much ? node_store_own_table(f->base, str_c(c->table)) : NULL;
    if (!t) return;
    if (f->count == f->cap) {
        f->cap = f->cap ? f->cap * 2 : 16;
        f->held = realloc(f->held, f->cap * sizeof *f->held);
        ENSURE(f->held);
    }
    struct held *h = &f->held[f->count++];
    *h = (struct held){.relation = t->relation, .op = "IUD"[c->kind], .key = f->text.n};
    put_object(f, t, c, c->kind == DB_ROW_NEW, t->has_key);
    h->before = f->text.n;
    if (c->kind != DB_ROW_NEW) put_object(f, t, c, false, false);
    h->after = f->text.n;
    if (c->kind != DB_ROW_GONE) put_object(f, t, c, true, false);
    h->end = f->text.n;
    if (f->text.n > HELD_BYTES_MAX || f->count == HELD_ROWS_MAX) too_much(f);
}

struct store_feed *node_store_feed_new(struct store_base *base, struct db *db) {
    struct store_feed *f = calloc(1, sizeof *f);
    ENSURE(f);
    *f = (struct store_feed){.base = base, .db = db, .last = -1};
    return f;
}

void node_store_feed_free(struct store_feed *f) {
    if (!f) return;
    db_watch(f->db, NULL, NULL);
    buf_free(&f->text);
    free(f->held);
    free(f);
}

void node_store_feed_begin(struct store_feed *f, const struct store_ask *ask) {
    bool on = ask->changes_max > 1;
    f->count = 0;
    f->text.n = 0;
    f->too_much = false;
    f->rows_max = ask->changes_max;
    f->kept_s = ask->changes_s;
    if (on != f->on) db_watch(f->db, on ? see : NULL, f);
    f->on = on;
}

/* ---- what is kept ---- */

static err find_last(struct store_feed *f, struct diag *d) {
    if (f->last >= 0) return ERR_OK;
    err e = db_one_i64(f->db, &f->last, d, "select coalesce(max(seq), 0) from _orlo_changes");
    return e;
}

static struct db_value part(const struct store_feed *f, size_t from, size_t to) {
    return from == to ? DB_NOTHING : DB_TEXT(((str){f->text.p + from, to - from}));
}

static err write_one(struct store_feed *f, int64_t seq, int64_t at, const struct held *h, struct diag *d) {
    return db_run(f->db, d, "insert into _orlo_changes (seq, at, relation, op, key, old, new) values (?, ?, ?, ?, ?, ?, ?)",
                  DB_I64(seq), DB_I64(at), DB_I64(h->relation), DB_TEXT(((str){(const uint8_t *)&h->op, 1})),
                  part(f, h->key, h->before), part(f, h->before, h->after), part(f, h->after, h->end));
}

err node_store_feed_write(struct store_feed *f, struct diag *d) {
    static const struct held all = {.op = '*'};
    int64_t at = (int64_t)(clock_wall_ns() / 1000000u);
    if (!f->on || (!f->count && !f->too_much)) return ERR_OK;
    TRY(find_last(f, d));
    int64_t seq = f->last; /* where this member is undone, so are its rows */
    if (f->too_much) TRY(write_one(f, ++seq, at, &all, d));
    for (uint32_t i = 0; i < f->count; i++) TRY(write_one(f, ++seq, at, &f->held[i], d));
    f->untrimmed += (uint32_t)(seq - f->last);
    f->last = seq;
    return ERR_OK;
}

void node_store_feed_undone(struct store_feed *f) { f->last = -1; }

static err one(struct db *db, int64_t *out, struct diag *d, const char *sql, int64_t value) {
    err e = db_one_i64(db, out, d, sql, DB_I64(value));
    return e;
}

/* A piece at a time: no commit waits for a trim of millions. */
err node_store_feed_trim(struct store_feed *f, struct diag *d) {
    int64_t now = (int64_t)(clock_wall_ns() / 1000000u), read = INT64_MAX, old = 0;
    if (f->untrimmed < TRIM_ROWS / 2 || f->last < 0) return ERR_OK;
    f->untrimmed = 0;
    TRY(db_run(f->db, d, "delete from _orlo_consumers where seen < ?", DB_I64(now - forgotten_after_ms)));
    TRY(one(f->db, &read, d, "select coalesce(min(seq), ?) from _orlo_consumers", INT64_MAX));
    TRY(one(f->db, &old, d,
            "select coalesce(max(seq), 0) from (select seq from _orlo_changes where at < ? order by seq limit 2048)",
            now - (int64_t)f->kept_s * 1000));
    int64_t until = MAX(MIN(read, old), f->last - (int64_t)f->rows_max);
    return db_run(f->db, d,
                  "delete from _orlo_changes where seq in (select seq from _orlo_changes where seq <= ? order by seq limit 2048)",
                  DB_I64(MIN(until, f->last - 1)));
}

/* ---- who follows ---- */

static err follow(struct store_feed *f, const struct app_value *v, struct diag *d) {
    return db_run(f->db, d,
                  "insert into _orlo_consumers (name, seq, seen) values (?, ?, ?)"
                  " on conflict (name) do update set seq = max(seq, excluded.seq), seen = excluded.seen",
                  DB_TEXT(v[0].s), DB_I64(v[1].i), DB_I64((int64_t)(clock_wall_ns() / 1000000u)));
}

static struct app_value text_of(struct db_rows *rows, uint32_t i) {
    struct db_value v = db_value(rows, i);
    return v.kind == DB_TEXTUAL ? APP_TEXT(v.s) : (struct app_value){APP_VALUE_NULL, {0}};
}

/* As many as there is room for: who follows asks again from the last one on. */
static void answer_rows(struct store_feed *f, struct store_ask *ask, struct db_rows *rows) {
    while (ask->answer.n < ask->answer_bytes_max / 2 && db_next(rows)) {
        str schema, table;
        node_store_own_relation(f->base, (uint32_t)db_i64(rows, 2), &schema, &table);
        const struct app_value of[] = {APP_I64(db_i64(rows, 0)), APP_I64(db_i64(rows, 1)), APP_TEXT(schema), APP_TEXT(table),
                                       text_of(rows, 3),         text_of(rows, 4),         text_of(rows, 5), text_of(rows, 6)};
        for (size_t i = 0; i < ARRAY_COUNT(of); i++) node_store_ask_answer(ask, of[i]);
    }
}

void node_store_feed_read(struct store_feed *f, struct store_ask *ask) {
    const struct app_value *v = ask->values;
    struct diag d = DIAG_INIT;
    struct db_rows *rows;
    int64_t first = 0;
    bool named = ask->count == 3 && v[0].kind == APP_VALUE_TEXT;
    if (ask->count != 3 || v[1].kind != APP_VALUE_INTEGER || v[2].kind != APP_VALUE_INTEGER ||
        (v[0].kind != APP_VALUE_NULL && !(named && v[0].s.n && v[0].s.n <= 128))) {
        node_store_ask_fail(ask, APP_DATA_REFUSED, "this is not how changes are asked for");
        return;
    }
    err e = named ? follow(f, v, &d) : ERR_OK;
    if (e == ERR_OK) e = find_last(f, &d);
    if (e == ERR_OK) e = db_one_i64(f->db, &first, &d, "select coalesce(min(seq), 0) from _orlo_changes");
    node_store_ask_answer(ask, APP_I64(first));
    node_store_ask_answer(ask, APP_I64(f->last));
    if (e == ERR_OK)
        e = db_query(f->db, &rows, &d,
                     "select seq, at, relation, op, key, old, new from _orlo_changes where seq > ? order by seq limit ?",
                     DB_I64(v[1].i), DB_I64(MIN(MAX(v[2].i, 0), 10000)));
    if (e == ERR_OK) {
        answer_rows(f, ask, rows);
        e = db_end(rows, &d);
    }
    if (e != ERR_OK) node_store_ask_db_failed(ask, e, &d);
}
