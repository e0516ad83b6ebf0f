/* feed: changes of rows, kept in the database that they are of, in the order in which they were committed.
 *
 *   a member of a batch changes rows ──> held back, as SQLite tells of them ──it is done──> rows of _orlo_changes, in its savepoint
 *                                                    └──it failed──> forgotten
 *
 *   _orlo_changes    (seq, at, relation, op, key, old, new, upto, hops)   op: I U D, or * where too much changed to keep: who follows reads anew
 *                                                                   upto: bytes of all there ever were, this one included; hops: of the request
 *                                                                   because of which it was (app/hops.h)
 *   _orlo_consumers  (name, seq, seen)                              how far somebody has read who is waited for
 *
 * 1. Numbers grow with commits and are never given twice: the newest row stays, whatever goes. One may be left out.
 * 2. What goes: what is older than the app keeps, and has been read by all who follow; and, read or not, what is more than it keeps, in rows or bytes
 *    (an eighth of what its database may have). Where the database is full, what was kept goes first.
 * 3. Who has not come for a week does not follow any more; functions that are told of changes ("trigger:NAME") do, unless there are too many.
 * 4. Values are as PostgreSQL's to_jsonb has them, objects by the columns' names; key is the primary key's, or the whole row where there is none.
 * 5. What makes the tables other ones (a migration, a reset) is one * without a table; what was before it goes, but for what functions are still to be told.
 */
#include "node/store/own.h"
#include <stdlib.h>

enum {
    HELD_BYTES_MAX = 16 << 20,
    HELD_ROWS_MAX = 100'000,
    TRIM_ROWS = 2048,
    CONSUMERS_MAX = 64,
    NAME_BYTES_MAX = 128,
    ROW_BYTES = 64,        /* beside its texts */
    PAGE_BYTES = 4096,     /* that a row may leave unused */
    ROOM_BYTES = 64 << 10, /* left for what tells that there is no room */
    PART_OF_DATABASE = 8,
};
static const int64_t forgotten_after_ms = 7ll * 86400000, seen_again_ms = 60'000, looked_at_ms = 30'000;

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
    uint32_t all_of;           /* where it is too much: of that relation alone; 0: of more */
    int64_t last, upto;        /* of the newest; last -1: not known */
    uint32_t rows_max, kept_s; /* of the app, as the last ask said it */
    uint32_t hops;             /* of the member */
    uint64_t untrimmed;        /* rows written since the last trim */
    int64_t untrimmed_bytes;
    int64_t trimmed_ms; /* when that was */
    bool moved;         /* somebody has read on */
    bool no_room;       /* for what changed: what was kept goes */
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
    f->all_of = f->count ? f->held[0].relation : 0;
    for (uint32_t i = 1; i < f->count; i++)
        if (f->held[i].relation != f->all_of) f->all_of = 0;
    f->too_much = true;
    f->count = 0;
    buf_free(&f->text);
}

static void see(void *arg, const struct db_change *c) {
    struct store_feed *f = arg;
    const struct store_table *t = f->on && (!f->too_much || f->all_of) ? node_store_own_table(f->base, str_c(c->table)) : NULL;
    if (t && f->too_much && t->relation != f->all_of) f->all_of = 0;
    if (!t || f->too_much) return;
    if (f->count == f->cap) {
        f->cap = f->cap ? f->cap * 2 : 16;
        f->held = realloc(f->held, f->cap * sizeof *f->held);
        ENSURE(f->held);
    }
    struct held *h = &f->held[f->count++];
    *h = (struct held){.relation = t->relation, .op = "IUD"[c->kind], .key = f->text.n};
    if (t->has_key) put_object(f, t, c, c->kind == DB_ROW_NEW, true);
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
    f->hops = ask->hops;
    if (on != f->on) db_watch(f->db, on ? see : NULL, f);
    if (f->on && !on) f->untrimmed = TRIM_ROWS;
    f->on = on;
}

void node_store_feed_stop(struct store_feed *f) { node_store_feed_begin(f, &(struct store_ask){0}); }

/* ---- what is kept ---- */

static int64_t now_ms(void) { return (int64_t)(clock_wall_ns() / 1000000u); }

static err find_last(struct store_feed *f, struct diag *d) {
    struct db_rows *rows;
    if (f->last >= 0) return ERR_OK;
    TRY(db_query(f->db, &rows, d, "select seq, upto from _orlo_changes order by seq desc limit 1"));
    bool any = db_next(rows);
    int64_t last = any ? db_i64(rows, 0) : 0, upto = any ? db_i64(rows, 1) : 0;
    TRY(db_end(rows, d));
    f->last = last, f->upto = upto;
    return ERR_OK;
}

static struct db_value part(const struct store_feed *f, size_t from, size_t to) {
    return from == to ? DB_NOTHING : DB_TEXT(((str){f->text.p + from, to - from}));
}

/* Where its member is undone, the row goes with it, and its number (node_store_feed_undone). */
static err write_one(struct store_feed *f, int64_t at, const struct held *h, struct diag *d) {
    f->last++;
    int64_t bytes = ROW_BYTES + (int64_t)(h->end - h->key);
    f->upto += bytes, f->untrimmed_bytes += bytes;
    f->untrimmed++;
    return db_run(
        f->db, d,
        "insert into _orlo_changes (seq, at, relation, op, key, old, new, upto, hops) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        DB_I64(f->last), DB_I64(at), DB_I64(h->relation), DB_TEXT(((str){(const uint8_t *)&h->op, 1})),
        part(f, h->key, h->before), part(f, h->before, h->after), part(f, h->after, h->end), DB_I64(f->upto), DB_I64(f->hops));
}

static bool is_room(struct store_feed *f) {
    uint64_t wants = ROOM_BYTES + f->text.n + f->count * (uint64_t)ROW_BYTES * 2;
    if (!f->base->nearly_full && wants < f->base->bytes_max / 16) return true;
    for (uint32_t i = 0; i < f->count; i++) wants += f->held[i].end - f->held[i].key > PAGE_BYTES / 4 ? PAGE_BYTES : 0;
    return wants <= node_store_room_left(f->base);
}

static const struct held all_changed = {.op = '*'};

err node_store_feed_write(struct store_feed *f, struct diag *d) {
    int64_t at = now_ms();
    if (!f->on || (!f->count && !f->too_much)) return ERR_OK;
    TRY(find_last(f, d));
    if (!f->too_much && !is_room(f)) too_much(f), f->no_room = true;
    const struct held all = {.op = '*', .relation = f->all_of};
    if (f->too_much) return write_one(f, at, &all, d);
    for (uint32_t i = 0; i < f->count; i++) TRY(write_one(f, at, &f->held[i], d));
    return ERR_OK;
}

err node_store_feed_anew(struct store_feed *f, struct diag *d) {
    int64_t any = 0;
    f->last = -1;
    TRY(find_last(f, d));
    TRY(db_one_i64(f->db, &any, d, "select exists (select 1 from _orlo_consumers)"));
    if (f->last || any) TRY(write_one(f, now_ms(), &all_changed, d));
    return db_run(f->db, d,
                  "delete from _orlo_changes where seq < ?1 and seq <= coalesce((select min(seq) from _orlo_consumers where name "
                  "glob 'trigger:*'), ?1)",
                  DB_I64(f->last));
}

void node_store_feed_undone(struct store_feed *f) { f->last = -1; } /* what is there says it anew */

/* ---- what goes ---- */

static int64_t bytes_kept(const struct store_feed *f) {
    return f->no_room ? 0 : (int64_t)MIN(f->base->bytes_max / PART_OF_DATABASE, (uint64_t)INT64_MAX / 2);
}

static bool is_due(const struct store_feed *f, int64_t now) {
    if (f->untrimmed >= TRIM_ROWS / 2 || f->untrimmed_bytes >= bytes_kept(f) / 4) return true;
    return (f->moved || f->untrimmed) && now - f->trimmed_ms >= looked_at_ms;
}

struct oldest { /* of the oldest rows there are, by their numbers */
    int64_t old, large, last;
};
static err find_oldest(struct store_feed *f, int64_t rows_max, int64_t before_ms, int64_t upto, struct oldest *out,
                       struct diag *d) {
    struct db_rows *rows;
    TRY(db_query(f->db, &rows, d,
                 "select max(seq) filter (where at < ?2), max(seq) filter (where upto <= ?3), max(seq)"
                 " from (select seq, at, upto from _orlo_changes order by seq limit ?1)",
                 DB_I64(rows_max), DB_I64(before_ms), DB_I64(upto)));
    if (db_next(rows)) *out = (struct oldest){db_i64(rows, 0), db_i64(rows, 1), db_i64(rows, 2)};
    return db_end(rows, d);
}

/* A piece at a time, so that no commit waits for a trim of millions; but more than was written meanwhile. */
err node_store_feed_trim(struct store_feed *f, struct diag *d) {
    int64_t now = now_ms(), read = 0;
    struct oldest at = {0};
    if (!f->rows_max || !is_due(f, now)) return ERR_OK; /* or: since it was opened nobody has said how much is kept */
    TRY(find_last(f, d));
    TRY(db_run(
        f->db, d,
        "delete from _orlo_consumers where seen < ?1 and (name not glob 'trigger:*' or (seen < ?2 and (select count(*) from "
        "_orlo_consumers) > ?3))",
        DB_I64(now - forgotten_after_ms), DB_I64(now - 4 * forgotten_after_ms), DB_I64(CONSUMERS_MAX / 2)));
    TRY(db_one_i64(f->db, &read, d, "select coalesce(min(seq), ?) from _orlo_consumers", DB_I64(f->last)));
    TRY(find_oldest(f, (int64_t)MAX(2 * f->untrimmed, (uint64_t)TRIM_ROWS), now - (int64_t)f->kept_s * 1000,
                    f->upto - bytes_kept(f), &at, d));
    int64_t until = MAX(MIN(read, at.old), MAX(at.large, f->last - (int64_t)f->rows_max));
    TRY(db_run(f->db, d, "delete from _orlo_changes where seq <= min(?, (select max(seq) - 1 from _orlo_changes))",
               DB_I64(MIN(until, at.last))));
    f->untrimmed = until > at.last ? TRIM_ROWS : 0; /* there is more to do */
    f->untrimmed_bytes = 0;
    f->trimmed_ms = now;
    f->moved = f->no_room = false;
    return ERR_OK;
}

/* ---- who follows ---- */

enum { CONSUMER, AFTER, MOST, SINCE, VALUES_MAX, VALUES = SINCE };

static bool is_asked_well(const struct store_ask *ask) {
    const struct app_value *v = ask->values;
    bool resumes = ask->count == VALUES_MAX && v[SINCE].kind == APP_VALUE_INTEGER;
    bool named = (ask->count == VALUES || resumes) && v[CONSUMER].kind == APP_VALUE_TEXT;
    if (resumes && !named) return false;
    if (named && (!v[CONSUMER].s.n || v[CONSUMER].s.n > NAME_BYTES_MAX || !str_is_utf8(v[CONSUMER].s))) return false;
    return (ask->count == VALUES || resumes) && (named || v[CONSUMER].kind == APP_VALUE_NULL) &&
           v[AFTER].kind == APP_VALUE_INTEGER && v[MOST].kind == APP_VALUE_INTEGER && (named || v[MOST].i >= 0);
}

/* He is waited for, as far as he has read; where he comes again and again for nothing, that is not written each time. */
static err follow(struct store_feed *f, struct store_ask *ask, int64_t after, struct diag *d) {
    int64_t others = 0, now = now_ms();
    struct db_value name = DB_TEXT(ask->values[CONSUMER].s);
    f->moved = true;
    if (ask->values[MOST].i < 0) return db_run(f->db, d, "delete from _orlo_consumers where name = ?", name);
    TRY(db_one_i64(f->db, &others, d, "select count(*) from _orlo_consumers where name <> ?", name));
    if (others >= CONSUMERS_MAX) {
        node_store_ask_fail(ask, APP_DATA_REFUSED, "%d follow the app's changes already, as many as may", CONSUMERS_MAX);
        return ERR_OK;
    }
    return db_run(f->db, d,
                  "insert into _orlo_consumers (name, seq, seen) values (?1, ?2, ?3) on conflict (name) do update"
                  " set seq = max(seq, excluded.seq), seen = excluded.seen where excluded.seq > seq or seen < ?4",
                  name, DB_I64(after), DB_I64(now), DB_I64(now - seen_again_ms));
}

static struct app_value text_of(struct db_rows *rows, uint32_t i) {
    struct db_value v = db_value(rows, i);
    return v.kind == DB_TEXTUAL ? APP_TEXT(v.s) : (struct app_value){APP_VALUE_NULL, {0}};
}

/* A table without a key: all of the row is it. */
static struct app_value key_of(struct db_rows *rows) {
    struct app_value key = text_of(rows, 4), old = text_of(rows, 5);
    return key.kind == APP_VALUE_TEXT ? key : old.kind == APP_VALUE_TEXT ? old : text_of(rows, 6);
}

enum { TEXTS = 4 }; /* key, old, new */

static size_t bytes_of(struct db_rows *rows) {
    size_t n = 0;
    for (uint32_t i = TEXTS; i < TEXTS + 3; i++) n += db_str(rows, i).n;
    return n;
}

/* As many as there is room for: who follows asks again from the last one on. One that is larger than an answer is told as *: its table is to be read anew. */
static void answer_rows(struct store_feed *f, struct store_ask *ask, struct db_rows *rows) {
    while (ask->answer.n < ask->answer_bytes_max / 2 && db_next(rows)) {
        str schema, table;
        size_t bytes = bytes_of(rows);
        bool large = bytes > ask->answer_bytes_max / 4;
        if (!large && ask->answer.n + bytes > ask->answer_bytes_max / 2) return;
        node_store_own_relation(f->base, (uint32_t)db_i64(rows, 2), &schema, &table);
        if (db_i64(rows, 2) && !table.n) continue; /* it is no more */
        const struct app_value none = {APP_VALUE_NULL, {0}}, of[] = {APP_I64(db_i64(rows, 0)),
                                                                     APP_I64(db_i64(rows, 1)),
                                                                     APP_TEXT(schema),
                                                                     APP_TEXT(table),
                                                                     large ? APP_TEXT(STR("*")) : text_of(rows, 3),
                                                                     large ? none : key_of(rows),
                                                                     large ? none : text_of(rows, 5),
                                                                     large ? none : text_of(rows, 6),
                                                                     APP_I64(db_i64(rows, 7))};
        for (size_t i = 0; i < ARRAY_COUNT(of); i++) node_store_ask_answer(ask, of[i]);
    }
}

/* Where he goes on who has followed before, or begins who has not: with what changed since then. */
static err find_place(struct store_feed *f, const struct app_value *v, int64_t *after, struct diag *d) {
    return db_one_i64(
        f->db, after, d,
        "select coalesce((select seq from _orlo_consumers where name = ?1), (select min(seq) - 1 from _orlo_changes "
        "where at >= ?2), ?3)",
        DB_TEXT(v[CONSUMER].s), DB_I64(v[SINCE].i), DB_I64(f->last));
}

static err read_changes(struct store_feed *f, struct store_ask *ask, struct diag *d) {
    const struct app_value *v = ask->values;
    struct db_rows *rows;
    int64_t first = 0;
    TRY(find_last(f, d));
    int64_t after = v[AFTER].i < 0 ? f->last : MIN(v[AFTER].i, f->last);
    if (ask->count == VALUES_MAX && v[AFTER].i < 0) TRY(find_place(f, v, &after, d));
    after = MIN(after, f->last);
    if (v[CONSUMER].kind == APP_VALUE_TEXT) TRY(follow(f, ask, after, d));
    TRY(db_one_i64(f->db, &first, d, "select coalesce(min(seq), 0) from _orlo_changes"));
    node_store_ask_answer(ask, APP_I64(first));
    node_store_ask_answer(ask, APP_I64(f->last));
    if (ask->count == VALUES_MAX) node_store_ask_answer(ask, APP_I64(after));
    TRY(db_query(f->db, &rows, d,
                 "select seq, at, relation, op, key, old, new, hops from _orlo_changes where seq > ? order by seq limit ?",
                 DB_I64(after), DB_I64(MIN(MAX(v[MOST].i, 0), 10000))));
    answer_rows(f, ask, rows);
    return db_end(rows, d);
}

void node_store_feed_read(struct store_feed *f, struct store_ask *ask) {
    struct diag d = DIAG_INIT;
    if (!is_asked_well(ask)) {
        node_store_ask_fail(ask, APP_DATA_REFUSED, "this is not how changes are asked for");
        return;
    }
    f->rows_max = ask->changes_max;
    f->kept_s = ask->changes_s;
    err e = read_changes(f, ask, &d);
    if (e != ERR_OK) node_store_ask_db_failed(ask, e, &d);
}
