/* change: rows written one by one, where their table has triggers, or where who writes them is held to policies within a function.
 *
 *   BEFORE statement → rows that the statement finds or makes, whole → for each: BEFORE row, the write, → AFTER row, for all → AFTER statement
 *
 * 1. NEW and OLD are rows of places (catalog_trigger.routine): what a BEFORE trigger returns is what is written, NULL passes the row over.
 * 2. Policies are held against what is written at last, by the triggers that policy.c makes (guards), one row at a time.
 * 3. An upsert writes its row if nothing is in its way, and else changes what is, as an update with that one's triggers.
 * 4. AFTER triggers see the table as the whole statement leaves it. Rows that keys take along (ON DELETE CASCADE) go first, with their own triggers.
 */
#include "query/query_int.h"
#include <stdio.h>

/* ---- triggers ---- */

static bool is_for(const struct catalog_trigger *t, uint32_t event, uint32_t when, bool row) {
    return !t->disabled && t->when & event && t->when & when && !(t->when & CATALOG_TRIGGER_ROW) == !row;
}

static bool concerns(const struct catalog_trigger *t, const struct query_change *c, uint32_t event) {
    if (event != CATALOG_TRIGGER_UPDATE || !t->columns.n) return true;
    const struct catalog_column *const *set = c->event == CATALOG_TRIGGER_INSERT ? c->set : c->columns;
    uint32_t n = c->event == CATALOG_TRIGGER_INSERT ? c->set_count : c->count;
    for (uint32_t i = 0; i < n; i++)
        if (catalog_ids_have(&t->columns, set[i]->number)) return true;
    return false;
}

static bool has_own(const struct catalog_relation *of, uint32_t events) {
    for (uint32_t i = 0; i < of->triggers.n; i++)
        if (!of->triggers.p[i].disabled && of->triggers.p[i].when & events) return true;
    return false;
}

enum { CASCADES_MAX = 64 }; /* keys that lead on from keys */

/* A key that changes rows whose change fires something. */
static bool is_set_null(const struct catalog_edge *g) {
    return g->key->on_delete == CATALOG_SET_NULL && g->from->storage.n && has_own(g->from, CATALOG_TRIGGER_UPDATE);
}
static bool sets_null(const struct catalog *c, const struct catalog_relation *of) {
    struct catalog_edge g = {0};
    while (catalog_edge_next(c, of->id, &g))
        if (g.to == of && is_set_null(&g)) return true;
    return false;
}

/* A key whose other end follows a change of these columns, and fires something as it does. */
static bool is_followed(const struct catalog_edge *g, const struct catalog_relation *of, const struct catalog_column *const *set,
                        uint32_t n) {
    bool follows = g->to == of && (g->key->on_update == CATALOG_CASCADE || g->key->on_update == CATALOG_SET_NULL) &&
                   g->from->storage.n && has_own(g->from, CATALOG_TRIGGER_UPDATE);
    for (uint32_t i = 0; follows && i < n; i++)
        if (catalog_ids_have(&g->key->reference_columns, set[i]->number)) return true;
    return false;
}
bool query_keys_fire(struct query_conn *conn, const struct catalog_relation *of, const struct catalog_column *const *set,
                     uint32_t n) {
    struct catalog_edge g = {0};
    while (n && catalog_edge_next(conn->catalog, of->id, &g))
        if (is_followed(&g, of, set, n)) return true;
    return false;
}

/* Whether rows of a relation, as they are deleted, fire triggers: its own, or those of rows that keys take along, however far. Once for a catalogue. */
static bool deleting_fires(struct query_conn *conn, const struct catalog_relation *of) {
    const struct catalog *c = conn->catalog;
    if (!conn->deleting_fires) {
        uint32_t *stack = arena_array(conn->mem, uint32_t, c->relations.n + 1), n = 0;
        bool *fires = conn->deleting_fires = arena_array(conn->mem, bool, c->relations.n + 1);
        for (uint32_t i = 0; i < c->relations.n; i++)
            if ((fires[i] = has_own(&c->relations.p[i], CATALOG_TRIGGER_DELETE) || sets_null(c, &c->relations.p[i])))
                stack[n++] = i;
        while (n) {
            const struct catalog_relation *child = &c->relations.p[stack[--n]];
            for (uint32_t k = 0; k < child->constraints.n; k++) {
                const struct catalog_constraint *key = &child->constraints.p[k];
                const struct catalog_relation *parent = key->kind == CATALOG_FOREIGN && key->on_delete == CATALOG_CASCADE
                                                            ? catalog_relation_of(c, key->reference)
                                                            : NULL;
                if (!parent || fires[parent - c->relations.p]) continue;
                fires[parent - c->relations.p] = true;
                stack[n++] = (uint32_t)(parent - c->relations.p);
            }
        }
    }
    return conn->deleting_fires[of - c->relations.p];
}

/* The next key by which rows of `of` take others along whose going fires something. */
static bool next_cascade(struct query_conn *conn, const struct catalog_relation *of, uint32_t depth, struct catalog_edge *g) {
    while (depth < CASCADES_MAX && catalog_edge_next(conn->catalog, of->id, g))
        if (g->to == of &&
            ((g->key->on_delete == CATALOG_CASCADE && g->from->storage.n && deleting_fires(conn, g->from)) || is_set_null(g)))
            return true;
    return false;
}

bool query_has_triggers(struct query_conn *conn, const struct catalog_relation *of, uint32_t events) {
    return has_own(of, events) || (events & CATALOG_TRIGGER_DELETE && deleting_fires(conn, of));
}

/* By name, as PostgreSQL fires them. */
static const struct catalog_trigger *next_trigger(const struct query_change *c, uint32_t event, uint32_t when, bool row,
                                                  const struct catalog_trigger *after) {
    const struct catalog_trigger *found = NULL;
    for (uint32_t i = 0; i < c->of->triggers.n; i++) {
        const struct catalog_trigger *t = &c->of->triggers.p[i];
        if (!is_for(t, event, when, row) || !concerns(t, c, event)) continue;
        if (after && str_cmp(t->name, after->name) <= 0) continue;
        if (!found || str_cmp(t->name, found->name) < 0) found = t;
    }
    return found;
}

static str arguments_of(arena *mem, const struct catalog_trigger *t) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    json_put_array(&w, NULL);
    for (uint32_t i = 0; i < t->arguments.n; i++) json_put_str(&w, NULL, t->arguments.p[i]);
    json_put_end(&w);
    str s = arena_str(mem, buf_str(&b));
    buf_free(&b);
    return s;
}

/* All rows of the statement that it happened to, before and after. */
static const struct query_transition *transition_of(struct query_change *c, uint32_t event) {
    if (c->transition && c->transition_event == event) return c->transition;
    struct query_transition *t = arena_make(c->mem, struct query_transition);
    *t = (struct query_transition){.columns = c->of->columns.n};
    for (uint32_t k = 0; k < 2; k++) t->rows[k] = arena_array(c->mem, struct db_value *, c->happened.n + 1);
    for (uint32_t i = 0; i < c->happened.n; i++) {
        const struct query_happened *h = &c->happened.p[i];
        if (h->event != event) continue;
        if (h->old) t->rows[0][t->n[0]++] = h->old;
        if (h->new) t->rows[1][t->n[1]++] = h->new;
    }
    c->transition_event = event;
    return c->transition = t;
}

/* new, old: rows, or NULL. *out: what it returned; NULL: nothing. */
static bool fire(struct query_change *c, const struct catalog_trigger *t, uint32_t event, const struct db_value *new,
                 const struct db_value *old, struct db_value **out) {
    uint32_t n = c->of->columns.n;
    struct db_value *args = arena_array(c->mem, struct db_value, 2 * n + 9);
    const struct catalog_schema *schema = catalog_schema_of(c->conn->catalog, c->of->schema);
    for (uint32_t i = 0; i < n; i++) args[i] = new ? new[i] : DB_NOTHING, args[n + i] = old ? old[i] : DB_NOTHING;
    struct db_value *told = args + 2 * n;
    told[0] = DB_TEXT(event == CATALOG_TRIGGER_INSERT   ? STR("INSERT")
                      : event == CATALOG_TRIGGER_UPDATE ? STR("UPDATE")
                                                        : STR("DELETE"));
    told[1] = DB_TEXT(t->name);
    told[2] = DB_TEXT(t->when & CATALOG_TRIGGER_BEFORE    ? STR("BEFORE")
                      : t->when & CATALOG_TRIGGER_INSTEAD ? STR("INSTEAD OF")
                                                          : STR("AFTER"));
    told[3] = DB_TEXT(t->when & CATALOG_TRIGGER_ROW ? STR("ROW") : STR("STATEMENT"));
    told[4] = DB_I64(c->of->id);
    told[5] = DB_TEXT(c->of->name);
    told[6] = DB_TEXT(schema ? schema->name : STR("public"));
    told[7] = DB_I64(t->arguments.n);
    told[8] = DB_TEXT(arguments_of(c->mem, t));
    const struct query_transition *outer = c->conn->transition;
    c->conn->transition = t->old_table.n || t->new_table.n ? transition_of(c, event) : NULL;
    bool ok = query_trigger_call(c->conn, t, args, 2 * n + 9, n, c->mem, out);
    c->conn->transition = outer;
    return ok;
}

static bool fire_statement(struct query_change *c, uint32_t event, uint32_t when) {
    const struct catalog_trigger *t = NULL;
    struct db_value *out;
    while ((t = next_trigger(c, event, when, false, t)))
        if (!fire(c, t, event, NULL, NULL, &out)) return false;
    return true;
}

/* *row becomes what they make of it; NULL: it is passed over. */
static bool fire_before(struct query_change *c, uint32_t event, struct db_value **row, const struct db_value *old) {
    const struct catalog_trigger *t = NULL;
    struct db_value *out;
    uint64_t changes = db_changed_ever(c->conn->db);
    while ((t = next_trigger(c, event, CATALOG_TRIGGER_BEFORE, true, t))) {
        bool deletes = event == CATALOG_TRIGGER_DELETE;
        if (!fire(c, t, event, deletes ? NULL : *row, old, &out)) return false;
        if (!out) return *row = NULL, true;
        if (!deletes) *row = out;
        c->meddled |= db_changed_ever(c->conn->db) != changes;
    }
    return true;
}

static bool has_transition(const struct catalog_trigger *t) { return t->old_table.n || t->new_table.n; }

static bool wants_transition(const struct query_change *c, uint32_t event) {
    bool wants = false;
    for (uint32_t i = 0; i < c->of->triggers.n && !wants; i++) {
        const struct catalog_trigger *t = &c->of->triggers.p[i];
        wants = !t->disabled && t->when & event && has_transition(t);
    }
    return wants;
}

static void remember(struct query_change *c, uint32_t event, struct db_value *new, struct db_value *old) {
    if (wants_transition(c, event) || next_trigger(c, event, CATALOG_TRIGGER_AFTER, true, NULL))
        vec_push(c->mem, &c->happened, ((struct query_happened){event, c->depth, new, old}));
}

/* ---- constraint triggers that are deferred: to the end of the transaction ---- */

enum { DEFERRED_BYTES_MAX = 64 << 20 };

static struct db_value *row_kept(arena *mem, const struct db_value *row, uint32_t n) {
    if (!row) return NULL;
    struct db_value *to = arena_array(mem, struct db_value, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        to[i] = row[i];
        if (to[i].kind >= DB_TEXTUAL) to[i].s = arena_str(mem, to[i].s);
    }
    return to;
}

static bool defer(struct query_change *c, const struct catalog_trigger *t, const struct query_happened *h) {
    struct query_conn *conn = c->conn;
    if (!conn->deferred_mem) conn->deferred_mem = arena_new(0);
    arena *mem = conn->deferred_mem;
    vec_push(mem, &conn->deferred,
             ((struct query_deferred){t, c->of, h->event, row_kept(mem, h->new, c->of->columns.n),
                                      row_kept(mem, h->old, c->of->columns.n)}));
    return arena_bytes(mem) <= DEFERRED_BYTES_MAX || query_fail(&conn->raised, "53200", "out of memory");
}

void query_deferred_forget(struct query_conn *conn) {
    if (conn->deferred_mem) arena_free(conn->deferred_mem);
    conn->deferred_mem = NULL;
    conn->deferred.p = NULL, conn->deferred.n = conn->deferred.cap = 0;
}

bool query_deferred_run(struct query_conn *conn) {
    bool ok = true;
    for (uint32_t i = 0; ok && i < conn->deferred.n; i++) { /* what they do may defer more */
        const struct query_deferred d = conn->deferred.p[i];
        struct query_change c = {.conn = conn, .mem = arena_new(0), .event = d.event, .of = d.of, .role = conn->current};
        struct db_value *out;
        ok = db_goes_on(conn->db) || query_fail(&conn->raised, "57014", "canceling statement due to statement timeout");
        ok = ok && fire(&c, d.trigger, d.event, d.new, d.old, &out);
        arena_free(c.mem);
    }
    query_deferred_forget(conn);
    return ok;
}

/* Rows that keys took along went first; they are told of last, those that are nearest before others. */
static bool fire_after_row(struct query_change *c, const struct query_happened *h) {
    const struct catalog_trigger *t = NULL;
    struct db_value *out;
    while ((t = next_trigger(c, h->event, CATALOG_TRIGGER_AFTER, true, t)))
        if (t->constraint && t->deferred ? !defer(c, t, h) : !fire(c, t, h->event, h->new, h->old, &out)) return false;
    return true;
}

static bool fire_after(struct query_change *c) {
    for (uint32_t depth = 0, told = 0; told < c->happened.n && depth <= CASCADES_MAX; depth++)
        for (uint32_t i = 0; i < c->happened.n; i++)
            if (c->happened.p[i].depth == depth && (told++, !fire_after_row(c, &c->happened.p[i]))) return false;
    return true;
}

/* ---- statements ---- */

enum { BYTES_MAX = 64 << 20 };

static bool keep(struct query_change *c, struct db_rows *rows, struct db_value **out, uint32_t *n) {
    *n = db_columns(rows);
    *out = arena_array(c->mem, struct db_value, *n + 1);
    c->bytes += *n * sizeof **out;
    for (uint32_t i = 0; i < *n; i++) {
        (*out)[i] = db_value(rows, i);
        if ((*out)[i].kind < DB_TEXTUAL) continue;
        c->bytes += (*out)[i].s.n;
        (*out)[i].s = arena_str(c->mem, (*out)[i].s);
    }
    return c->bytes <= BYTES_MAX || query_fail(&c->conn->raised, "53200", "out of memory");
}

static bool failed(struct query_change *c, err e, const struct diag *d) {
    static const struct query called = {.kind = QUERY_CALL};
    bool key = strstr(d->text, "FOREIGN KEY constraint failed") && !c->conn->raised.set && (c->written || c->unwritten);
    if (key && query_failed_key(c->conn, c->of, c->written, c->unwritten, &c->conn->raised)) return false;
    c->conn->written = c->conn->target == c->of ? c->written : NULL;
    query_failed(c->conn, c->q ? c->q : &called, e, d, &c->conn->raised);
    c->conn->written = NULL;
    return false;
}

/* All rows of a statement, whole. */
static bool gather(struct query_change *c, str sql, const struct db_value *values, uint32_t n, struct query_rows *out) {
    struct diag d = DIAG_INIT;
    struct db_rows *rows;
    bool ok = true;
    *out = (struct query_rows){0};
    query_wall_up(c->conn);
    err e = db_query_values(c->conn->db, sql, values, n, &rows, &d);
    if (e == ERR_OK) {
        while (ok && db_next(rows)) {
            struct db_value *row;
            ok = keep(c, rows, &row, &out->columns);
            vec_push(c->mem, &out->list, row);
        }
        e = db_end(rows, &d);
    }
    c->conn->walled = false;
    return e == ERR_OK ? ok : failed(c, e, &d);
}

static bool is_set(const struct query_change *c, const struct catalog_column *k) {
    const struct catalog_column *const *set = c->event == CATALOG_TRIGGER_INSERT ? c->set : c->columns;
    uint32_t n = c->event == CATALOG_TRIGGER_INSERT ? c->set_count : c->count;
    for (uint32_t i = 0; i < n; i++)
        if (set[i] == k) return true;
    return false;
}

static bool same(struct db_value a, struct db_value b) {
    if (a.kind != b.kind) return false;
    switch (a.kind) {
    case DB_NULL: return true;
    case DB_INTEGER: return a.i == b.i;
    case DB_REAL: return a.f == b.f;
    default: return str_eq(a.s, b.s);
    }
}

/* … returning [what is asked for,] all columns, the key, and the last parameter, so that all of them are there */
static void put_back(struct query_change *c, struct buf *b) {
    buf_puts(b, STR(" returning "));
    if (c->back.n) buf_puts(b, c->back), buf_putc(b, ',');
    for (uint32_t i = 0; i < c->of->columns.n; i++) {
        query_put_name(b, c->of->columns.p[i].storage);
        buf_putc(b, ',');
    }
    buf_printf(b, "%s,?%u", query_rowid_of(c->of), c->of->columns.n + 1 + c->extra_count + 1);
}

/* The row's values, the key, what else the text names. */
static const struct db_value *values_of(struct query_change *c, const struct db_value *row, int64_t key, uint32_t *n) {
    uint32_t count = c->of->columns.n;
    *n = count + 1 + c->extra_count + 1;
    struct db_value *v = arena_array(c->mem, struct db_value, *n);
    for (uint32_t i = 0; i < count; i++) v[i] = row ? row[i] : DB_NOTHING;
    v[count] = DB_I64(key);
    for (uint32_t i = 0; i < c->extra_count; i++) v[count + 1 + i] = c->extra[i];
    v[*n - 1] = DB_NOTHING;
    return v;
}

/* What is written: the answer's part goes to who asked for it. *now: the row as it is; NULL: none was written. */
static bool write(struct query_change *c, str sql, const struct db_value *row, const struct db_value *old, int64_t key,
                  struct db_value **now) {
    struct query_rows rows;
    uint32_t n;
    const struct db_value *values = values_of(c, row, key, &n);
    query_wall_target(c->conn, c->of);
    memcpy(c->conn->guards, c->guards, sizeof c->guards);
    c->written = row, c->unwritten = old;
    bool ok = gather(c, sql, values, n, &rows);
    c->written = c->unwritten = NULL;
    memset(c->conn->guards, 0, sizeof c->conn->guards);
    query_wall_target(c->conn, NULL);
    *now = NULL;
    if (!ok || !rows.list.n) return ok;
    uint32_t mine = rows.columns - c->of->columns.n - 2;
    *now = rows.list.p[0] + mine;
    c->affected++;
    if (c->wants_keys) vec_push(c->mem, &c->keys, (*now)[c->of->columns.n].i);
    c->rows.columns = mine;
    if (c->wants_rows) vec_push(c->mem, &c->rows.list, rows.list.p[0]);
    return true;
}

static bool check_key(struct query_change *c, const struct db_value *row) {
    const struct catalog_constraint *k = catalog_primary_key(c->of);
    const struct catalog_column *key = k && k->columns.n == 1 ? catalog_column_of(c->of, k->columns.p[0]) : NULL;
    bool whole = key && (key->type == PG_INT2 || key->type == PG_INT4 || key->type == PG_INT8) && !key->generated;
    if (!whole || row[key - c->of->columns.p].kind != DB_NULL) return true;
    query_failed_null(c->of, key, &c->conn->raised);
    return false;
}

/* select rowid, columns from main.t */
static void put_rows_of(struct buf *b, const struct catalog_relation *of) {
    buf_printf(b, "select %s", query_rowid_of(of));
    for (uint32_t i = 0; i < of->columns.n; i++) {
        buf_putc(b, ',');
        query_put_name(b, of->columns.p[i].storage);
    }
    buf_puts(b, STR(" from main."));
    query_put_name(b, of->storage);
}

/* A BEFORE trigger of this statement wrote something: is the row still what it was when it was found? */
static bool check_unmeddled(struct query_change *c, const struct db_value *old, int64_t key, const char *what) {
    if (!c->meddled) return true;
    struct query_rows rows;
    struct buf b = {0};
    struct db_value at = DB_I64(key);
    put_rows_of(&b, c->of);
    buf_printf(&b, " where %s=?1", query_rowid_of(c->of));
    query_wall_target(c->conn, c->of);
    bool ok = gather(c, buf_str(&b), &at, 1, &rows), is = ok && rows.list.n;
    query_wall_target(c->conn, NULL);
    buf_free(&b);
    for (uint32_t i = 0; is && i < c->of->columns.n; i++) is = same(rows.list.p[0][1 + i], old[i]);
    if (!ok || is) return ok;
    query_fail(&c->conn->raised, "27000", "tuple to be %s was already modified by an operation triggered by the current command",
               what);
    query_fail_hint(&c->conn->raised,
                    "Consider using an AFTER trigger instead of a BEFORE trigger to propagate changes to other rows.");
    return false;
}

/* Rows that refer to one by a key. */
static bool gather_referring(struct query_change *c, const struct catalog_edge *g, const struct db_value *old,
                             struct query_rows *rows) {
    struct buf b = {0};
    struct db_value *values = arena_array(c->mem, struct db_value, g->key->columns.n + 1);
    put_rows_of(&b, g->from);
    for (uint32_t i = 0; i < g->key->columns.n; i++) {
        buf_puts(&b, i ? STR(" and ") : STR(" where "));
        query_put_name(&b, catalog_column_of(g->from, g->key->columns.p[i])->storage);
        buf_printf(&b, "=?%u", i + 1);
        values[i] = old[catalog_column_of(c->of, g->key->reference_columns.p[i]) - c->of->columns.p];
    }
    query_wall_target(c->conn, g->from);
    bool ok = gather(c, buf_str(&b), values, g->key->columns.n, rows);
    query_wall_target(c->conn, NULL);
    buf_free(&b);
    return ok;
}

/* What keys do to rows of another table, as one statement of their owner's for all rows of this one. False: a BEFORE trigger failed. */
static bool child_of(struct query_change *c, const struct catalog_edge *g, uint32_t event, struct query_change **out) {
    struct query_change *root = c->root ? c->root : c, *child = NULL;
    for (uint32_t i = 0; i < root->along.n && !child; i++)
        if (root->along.p[i]->event == event && root->along.p[i]->of == g->from) child = root->along.p[i];
    bool fresh = !child;
    if (fresh) {
        child = arena_make(c->mem, struct query_change);
        *child = (struct query_change){.conn = c->conn,
                                       .q = c->q,
                                       .mem = c->mem,
                                       .event = event,
                                       .of = g->from,
                                       .role = g->from->owner,
                                       .root = root,
                                       .level = c->depth + 1};
        child->columns = arena_array(c->mem, const struct catalog_column *, g->from->columns.n + 1);
        vec_push(c->mem, &root->along, child);
    }
    *out = child;
    for (uint32_t i = 0; event == CATALOG_TRIGGER_UPDATE && i < g->key->columns.n; i++) {
        const struct catalog_column *k = catalog_column_of(g->from, g->key->columns.p[i]);
        if (!is_set(child, k)) child->columns[child->count++] = k;
    }
    return !fresh || query_change_before(child);
}

struct follower { /* a key, and the rows that will follow it */
    struct catalog_edge edge;
    struct query_rows rows;
};
typedef VEC(struct follower) followers;

static bool key_changes(const struct query_change *c, const struct catalog_edge *g, const struct db_value *new,
                        const struct db_value *old) {
    for (uint32_t i = 0; i < g->key->reference_columns.n; i++) {
        uint32_t at = (uint32_t)(catalog_column_of(c->of, g->key->reference_columns.p[i]) - c->of->columns.p);
        if (!same(new[at], old[at])) return true;
    }
    return false;
}

static bool find_followers(struct query_change *c, const struct db_value *new, const struct db_value *old, followers *out) {
    struct catalog_edge g = {0};
    while (c->depth < CASCADES_MAX && catalog_edge_next(c->conn->catalog, c->of->id, &g)) {
        const struct catalog_column *first =
            catalog_column_of(c->of, g.to == c->of && g.key->reference_columns.n ? g.key->reference_columns.p[0] : 0);
        struct follower f = {.edge = g};
        if (!first || !is_followed(&g, c->of, &first, 1) || !key_changes(c, &g, new, old)) continue;
        if (!gather_referring(c, &g, old, &f.rows)) return false;
        vec_push(c->mem, out, f);
    }
    return true;
}

static bool write_update(struct query_change *c, struct db_value *new, struct db_value *old, int64_t key);

/* SQLite has changed them by now: what their triggers make of them is written over it. A row that they pass over stays changed. */
static bool follow(struct query_change *c, const followers *list, const struct db_value *now) {
    for (uint32_t k = 0; k < list->n; k++) {
        const struct follower *f = &list->p[k];
        const struct catalog_constraint *key = f->edge.key;
        struct query_change *child;
        uint32_t n = f->edge.from->columns.n, current = c->conn->current;
        if (!child_of(c, &f->edge, CATALOG_TRIGGER_UPDATE, &child)) return false;
        child->depth = c->depth + 1;
        for (uint32_t i = 0; i < f->rows.list.n; i++) {
            struct db_value *old = f->rows.list.p[i] + 1, *plain = arena_array(c->mem, struct db_value, n + 1), *row = plain;
            memcpy(plain, old, n * sizeof *plain);
            for (uint32_t j = 0; j < key->columns.n; j++)
                plain[catalog_column_of(f->edge.from, key->columns.p[j]) - f->edge.from->columns.p] =
                    key->on_update == CATALOG_SET_NULL
                        ? DB_NOTHING
                        : now[catalog_column_of(c->of, key->reference_columns.p[j]) - c->of->columns.p];
            if (!db_goes_on(c->conn->db))
                return query_fail(&c->conn->raised, "57014", "canceling statement due to statement timeout");
            c->conn->current = f->edge.from->owner;
            bool ok = fire_before(child, CATALOG_TRIGGER_UPDATE, &row, old) &&
                      write_update(child, row ? row : plain, old, f->rows.list.p[i][0].i);
            c->conn->current = current;
            if (!ok) return false;
        }
    }
    return true;
}

/* ---- of a view: what its INSTEAD OF triggers do, and nothing else ---- */

/* What RETURNING says of a row. */
static bool give_back(struct query_change *c, const struct db_value *row) {
    struct query_rows rows;
    struct buf b = {0};
    uint32_t n;
    const struct db_value *values = values_of(c, row, 0, &n);
    buf_printf(&b, "select " STR_FMT ",?%u from (select ", STR_ARG(c->back), n);
    for (uint32_t i = 0; i < c->of->columns.n; i++) {
        buf_printf(&b, "%s?%u as ", i ? "," : "", i + 1);
        query_put_name(&b, c->of->columns.p[i].storage);
    }
    buf_puts(&b, STR(")"));
    if (c->alias.n) buf_printf(&b, " as " STR_FMT, STR_ARG(c->alias));
    bool ok = gather(c, buf_str(&b), values, n, &rows);
    buf_free(&b);
    if (!ok || !rows.list.n) return ok;
    c->rows.columns = rows.columns - 1;
    vec_push(c->mem, &c->rows.list, rows.list.p[0]);
    return true;
}

static bool instead(struct query_change *c, struct db_value *new, struct db_value *old) {
    const struct catalog_trigger *t = NULL;
    struct db_value *out, *row = c->event == CATALOG_TRIGGER_DELETE ? old : new;
    while ((t = next_trigger(c, c->event, CATALOG_TRIGGER_INSTEAD, true, t))) {
        if (!fire(c, t, c->event, new, old, &out)) return false;
        if (!out) return true; /* it does nothing for this one */
        if (new) row = new = out;
    }
    c->affected++;
    vec_push(c->mem, &c->instead, row);
    return !c->back.n || give_back(c, row);
}

/* ---- the three ---- */

static bool update_row(struct query_change *c, struct db_value *new, struct db_value *old, int64_t key) {
    if (c->of->kind == CATALOG_VIEW) return instead(c, new, old);
    if (!fire_before(c, CATALOG_TRIGGER_UPDATE, &new, old)) return false;
    if (!new) return true;
    return check_unmeddled(c, old, key, "updated") && check_key(c, new) && write_update(c, new, old, key);
}

static bool write_update(struct query_change *c, struct db_value *new, struct db_value *old, int64_t key) {
    struct buf b = {0};
    struct db_value *now;
    followers follows = {0};
    if (!find_followers(c, new, old, &follows)) return false;
    buf_puts(&b, STR("update main."));
    query_put_name(&b, c->of->storage);
    if (c->alias.n) buf_printf(&b, " as " STR_FMT, STR_ARG(c->alias));
    uint32_t set = 0;
    for (uint32_t i = 0; i < c->of->columns.n; i++) {
        const struct catalog_column *k = &c->of->columns.p[i];
        if (k->generated || (!is_set(c, k) && same(new[i], old[i]))) continue;
        buf_puts(&b, set++ ? STR(",") : STR(" set "));
        query_put_name(&b, k->storage);
        buf_printf(&b, "=?%u", i + 1);
    }
    if (!set) { /* (default) of what is generated alone */
        buf_puts(&b, STR(" set "));
        query_put_name(&b, c->of->columns.p[0].storage);
        buf_putc(&b, '=');
        query_put_name(&b, c->of->columns.p[0].storage);
    }
    buf_printf(&b, " where %s=?%u", query_rowid_of(c->of), c->of->columns.n + 1);
    put_back(c, &b);
    bool ok = write(c, buf_str(&b), new, old, key, &now);
    buf_free(&b);
    if (ok && now) remember(c, CATALOG_TRIGGER_UPDATE, now, old);
    return ok && (!now || follow(c, &follows, now));
}

/* What is in the way of a row: the first one that has its arbiter's values; as it is, as the role may see it (what is set, and whether its WHERE holds, are
 * read there, with the role's rights to columns), and with what the row sets. */
static bool find_conflict(struct query_change *c, const struct db_value *row, struct query_rows *found) {
    struct buf b = {0};
    uint32_t n;
    str alias = c->alias.n ? c->alias : STR("_orlo_u"), view;
    if (!query_view_of(c->conn, c->of, c->role, QUERY_UPDATES_READ, &view, &c->conn->raised)) return false;
    buf_printf(&b, "select _orlo_m.%s", query_rowid_of(c->of));
    for (uint32_t i = 0; i < c->of->columns.n; i++) {
        buf_puts(&b, STR(",_orlo_m."));
        query_put_name(&b, c->of->columns.p[i].storage);
    }
    buf_printf(&b, "," STR_FMT ".\"_orlo_k\" is not null", STR_ARG(alias));
    if (c->conflict_where.n)
        buf_printf(&b, ",(" STR_FMT ")", STR_ARG(str_sub(c->conflict_where, 7, c->conflict_where.n))); /* " where " */
    else buf_puts(&b, STR(",1"));
    for (uint32_t i = 0; i < c->set_count; i++) buf_printf(&b, "," STR_FMT, STR_ARG(c->set_texts[i]));
    buf_printf(&b, ",?%u from (select ", c->of->columns.n + 1 + c->extra_count + 1);
    for (uint32_t i = 0; i < c->of->columns.n; i++) {
        buf_printf(&b, "%s?%u as ", i ? "," : "", i + 1);
        query_put_name(&b, c->of->columns.p[i].storage);
    }
    buf_puts(&b, STR(") as excluded join main."));
    query_put_name(&b, c->of->storage);
    buf_puts(&b, STR(" as _orlo_m on "));
    for (uint32_t i = 0; i < c->arbiter.n; i++) {
        str name = catalog_column_of(c->of, c->arbiter.p[i])->storage;
        buf_printf(&b, "%s_orlo_m.", i ? " and " : "");
        query_put_name(&b, name);
        buf_puts(&b, STR("=excluded."));
        query_put_name(&b, name);
    }
    buf_puts(&b, STR(" left join "));
    query_put_name(&b, view);
    buf_printf(&b, " as " STR_FMT " on " STR_FMT ".\"_orlo_k\"=_orlo_m.%s", STR_ARG(alias), STR_ARG(alias),
               query_rowid_of(c->of));
    const struct db_value *values = values_of(c, row, 0, &n);
    query_wall_target(c->conn, c->of);
    bool ok = gather(c, buf_str(&b), values, n, found);
    query_wall_target(c->conn, NULL);
    buf_free(&b);
    return ok;
}

static bool merge_row(struct query_change *c, const struct db_value *row) {
    struct query_rows found;
    uint32_t n = c->of->columns.n;
    if (!find_conflict(c, row, &found)) return false;
    if (!found.list.n) return true;
    struct db_value *first = found.list.p[0], *old = first + 1, *new = arena_array(c->mem, struct db_value, n);
    if (!first[1 + n].i) /* before any trigger sees it */
        return query_fail(&c->conn->raised, "42501",
                          "new row violates row-level security policy (USING expression) for table \"" STR_FMT "\"",
                          STR_ARG(c->of->name));
    if (first[2 + n].kind != DB_INTEGER || !first[2 + n].i) return true; /* its WHERE says no */
    for (uint32_t i = 0; i < c->merged.n; i++)
        if (c->merged.p[i] == first[0].i) {
            query_fail(&c->conn->raised, "21000", "ON CONFLICT DO UPDATE command cannot affect row a second time");
            query_fail_hint(
                &c->conn->raised,
                "Ensure that no rows proposed for insertion within the same command have duplicate constrained values.");
            return false;
        }
    vec_push(c->mem, &c->merged, first[0].i);
    memcpy(new, old, n * sizeof *new);
    for (uint32_t i = 0; i < c->set_count; i++) new[c->set[i] - c->of->columns.p] = first[3 + n + i];
    return update_row(c, new, old, first[0].i);
}

static bool insert_row(struct query_change *c, struct db_value *new) {
    struct buf b = {0};
    struct db_value *now;
    if (c->of->kind == CATALOG_VIEW) return instead(c, new, NULL);
    if (!fire_before(c, CATALOG_TRIGGER_INSERT, &new, NULL)) return false;
    if (!new) return true;
    if (!check_key(c, new)) return false;
    buf_puts(&b, STR("insert into main."));
    query_put_name(&b, c->of->storage);
    if (c->alias.n) buf_printf(&b, " as " STR_FMT, STR_ARG(c->alias));
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->of->columns.n; i++) {
        if (c->of->columns.p[i].generated) continue;
        buf_puts(&b, n++ ? STR(",") : STR(" ("));
        query_put_name(&b, c->of->columns.p[i].storage);
    }
    buf_puts(&b, n ? STR(") values (") : STR(" default values"));
    n = 0;
    for (uint32_t i = 0; i < c->of->columns.n; i++)
        if (!c->of->columns.p[i].generated) buf_printf(&b, "%s?%u", n++ ? "," : "", i + 1);
    if (n) buf_putc(&b, ')');
    if (c->conflicts) buf_printf(&b, " on conflict" STR_FMT " do nothing", STR_ARG(c->arbiter_text));
    put_back(c, &b);
    bool ok = write(c, buf_str(&b), new, NULL, 0, &now);
    buf_free(&b);
    if (!ok) return false;
    if (now) {
        vec_push(c->mem, &c->merged, now[c->of->columns.n].i);
        remember(c, CATALOG_TRIGGER_INSERT, now, NULL);
    }
    return now || !c->merges || merge_row(c, new);
}

static bool run_rows(struct query_change *c, const struct query_rows *rows);

/* Rows that refer to one by a key: their own triggers fire, as their owner, before SQLite would take them along, or set them, without a word. */
static bool take_along(struct query_change *c, const struct catalog_edge *g, const struct db_value *old) {
    struct query_change *child;
    struct query_rows rows;
    bool takes = g->key->on_delete == CATALOG_CASCADE;
    uint32_t current = c->conn->current, n = g->from->columns.n;
    c->conn->current = g->from->owner;
    bool ok = child_of(c, g, takes ? CATALOG_TRIGGER_DELETE : CATALOG_TRIGGER_UPDATE, &child);
    child->bytes = c->bytes, child->going = c->going;
    uint32_t depth = child->depth;
    child->depth = c->depth + 1;
    ok = ok && gather_referring(c, g, old, &rows);
    for (uint32_t i = 0; ok && !takes && i < rows.list.n; i++) { /* what is set: nulls */
        struct db_value *row = arena_array(c->mem, struct db_value, 1 + n + child->count + 1);
        memcpy(row, rows.list.p[i], (n + 1) * sizeof *row);
        for (uint32_t k = 0; k < child->count; k++)
            row[1 + n + k] = catalog_ids_have(&g->key->columns, child->columns[k]->number)
                                 ? DB_NOTHING
                                 : row[1 + (child->columns[k] - g->from->columns.p)];
        rows.list.p[i] = row;
    }
    ok = ok && run_rows(child, &rows);
    child->depth = depth;
    c->conn->current = current;
    c->bytes = MAX(c->bytes, child->bytes);
    return ok;
}

static bool cascade(struct query_change *c, const struct db_value *old) {
    struct catalog_edge g = {0};
    while (next_cascade(c->conn, c->of, c->depth, &g))
        if (!take_along(c, &g, old)) return false;
    return true;
}

static bool delete_row(struct query_change *c, struct db_value *old, int64_t key) {
    struct buf b = {0};
    struct db_value *row = old, *now;
    if (c->of->kind == CATALOG_VIEW) return instead(c, NULL, old);
    if (!c->told && !fire_before(c, CATALOG_TRIGGER_DELETE, &row, old)) return false;
    if (!row) return true;
    if (!c->told && !check_unmeddled(c, old, key, "deleted")) return false;
    if (!cascade(c, old)) return false;
    buf_puts(&b, STR("delete from main."));
    query_put_name(&b, c->of->storage);
    if (c->alias.n) buf_printf(&b, " as " STR_FMT, STR_ARG(c->alias));
    buf_printf(&b, " where %s=?%u", query_rowid_of(c->of), c->of->columns.n + 1);
    put_back(c, &b);
    bool ok = write(c, buf_str(&b), NULL, old, key, &now);
    buf_free(&b);
    if (ok && (now || c->depth))
        remember(c, CATALOG_TRIGGER_DELETE, NULL, old); /* it may have gone along with another one already */
    return ok;
}

static bool change_row(struct query_change *c, struct db_value *row, struct map *seen) {
    uint32_t n = c->of->columns.n;
    struct db_value *new = arena_array(c->mem, struct db_value, n + 1);
    if (c->event == CATALOG_TRIGGER_INSERT) {
        for (uint32_t i = 0; i < n; i++) new[i] = DB_NOTHING;
        for (uint32_t i = 0; i < c->count; i++) new[c->columns[i] - c->of->columns.p] = row[i];
        return insert_row(c, new);
    }
    uint64_t there;
    struct {
        int64_t row;
        uint64_t relation;
    } who = {row[0].i, c->of->id};
    str key = {(const uint8_t *)&who, sizeof who}; /* FROM may find a row twice, and keys lead back: it is changed once */
    if (c->of->kind != CATALOG_VIEW && map_get(seen, key, &there)) return true; /* rows of a view have no keys */
    if (c->of->kind != CATALOG_VIEW) map_put(c->mem, seen, arena_str(c->mem, key), 1);
    if (c->event == CATALOG_TRIGGER_DELETE) return delete_row(c, row + 1, row[0].i);
    memcpy(new, row + 1, n * sizeof *new);
    for (uint32_t i = 0; i < c->count; i++) new[c->columns[i] - c->of->columns.p] = row[1 + n + i];
    return update_row(c, new, row + 1, row[0].i);
}

static bool run_rows(struct query_change *c, const struct query_rows *rows) {
    struct map own = {0}, *seen = c->event == CATALOG_TRIGGER_DELETE && c->going ? c->going : &own;
    if (c->event == CATALOG_TRIGGER_DELETE) c->going = seen; /* of all that go along, too */
    for (uint32_t i = 0; i < rows->list.n; i++)
        if (!db_goes_on(c->conn->db))
            return query_fail(&c->conn->raised, "57014", "canceling statement due to statement timeout");
        else if (!change_row(c, rows->list.p[i], seen)) return false;
    return true;
}

/* Of a delete that is answered with its rows: those that BEFORE triggers let go are told of before they are gone. */
static bool tell_first(struct query_change *c, const struct query_rows *rows, struct query_rows *left) {
    *left = (struct query_rows){.columns = rows->columns};
    for (uint32_t i = 0; i < rows->list.n; i++) {
        struct db_value *row = rows->list.p[i] + 1;
        if (!fire_before(c, CATALOG_TRIGGER_DELETE, &row, rows->list.p[i] + 1)) return false;
        if (!row) continue;
        vec_push(c->mem, &left->list, rows->list.p[i]);
        vec_push(c->mem, &c->keys, rows->list.p[i][0].i);
    }
    c->told = true;
    return c->tell(c->tell_arg, c);
}

/* What comes behind all rows: of those that were taken along last, as who asks, too. */
static bool end_rows(struct query_change *c) {
    if (!fire_after(c) || (c->merges && !fire_statement(c, CATALOG_TRIGGER_UPDATE, CATALOG_TRIGGER_AFTER)) ||
        !fire_statement(c, c->event, CATALOG_TRIGGER_AFTER))
        return false;
    for (uint32_t level = 1, n = 0; n < c->along.n && level <= CASCADES_MAX; level++) /* those that went first, first */
        for (uint32_t i = 0; i < c->along.n; i++)
            if (c->along.p[i]->level == level && (n++, !end_rows(c->along.p[i]))) return false;
    return true;
}

bool query_change_run(struct query_change *c, const struct query_rows *rows) {
    memcpy(c->guards, c->conn->guards, sizeof c->guards);
    memset(c->conn->guards, 0, sizeof c->conn->guards);
    struct query_rows left;
    if (!c->tell) return run_rows(c, rows) && end_rows(c);
    return tell_first(c, rows, &left) && run_rows(c, &left) && end_rows(c);
}

bool query_change_before(struct query_change *c) {
    return fire_statement(c, c->event, CATALOG_TRIGGER_BEFORE) &&
           (!c->merges || fire_statement(c, CATALOG_TRIGGER_UPDATE, CATALOG_TRIGGER_BEFORE));
}

bool query_change_gather(struct query_change *c, str sql, const struct db_value *values, uint32_t n, struct query_rows *out) {
    return gather(c, sql, values, n, out);
}

/* ---- a statement of a function's ---- */

struct parts { /* text between marks P1 … P7; 0: before the first */
    str text[8];
};

static struct parts parts_of(str text) {
    struct parts p = {0};
    struct catalog_mark m = {0};
    uint32_t at = 0;
    size_t from = 0;
    while (catalog_mark_next(text, m.end, &m)) {
        if (m.kind != 'P' || m.id > 7) continue;
        p.text[at] = str_sub(text, from, m.at - from);
        at = m.id, from = m.end;
    }
    p.text[at] = str_sub(text, from, text.n);
    return p;
}

static void columns_of(struct query_change *c, str text, const struct catalog_column ***out, uint32_t *n) {
    struct catalog_mark m = {0};
    *out = arena_array(c->mem, const struct catalog_column *, c->of->columns.n + 1);
    *n = 0;
    while (catalog_mark_next(text, m.end, &m)) {
        const struct catalog_column *k = m.kind == 'K' ? catalog_column_of(c->of, m.id) : NULL;
        if (k && *n < c->of->columns.n) (*out)[(*n)++] = k;
    }
}

/* name K = text Q, … : the texts, expanded. */
static bool set_texts(struct query_change *c, const struct query_expanding *x, str text, uint32_t n, str **out) {
    struct catalog_mark m = {0};
    uint32_t at = 0;
    size_t from = 0;
    *out = arena_array(c->mem, str, n + 1);
    while (catalog_mark_next(text, m.end, &m)) {
        if (m.kind == 'K') from = m.end + 3; /* " = " */
        if (m.kind != 'Q' || at == n) continue;
        struct buf b = {.max = 4 << 20};
        bool ok = query_expand(x, str_sub(text, from, m.at - from), &b, &c->conn->raised);
        (*out)[at++] = arena_str(c->mem, buf_str(&b));
        buf_free(&b);
        if (!ok) return false;
    }
    return at == n && n ? true
                        : query_fail(&c->conn->raised, "0A000",
                                     "a table with triggers cannot be set to several values at once, on SQLite");
}

static bool expanded(struct query_change *c, const struct query_expanding *x, str text, str *out) {
    struct buf b = {.max = 4 << 20};
    bool ok = query_expand(x, text, &b, &c->conn->raised);
    *out = arena_str(c->mem, buf_str(&b));
    buf_free(&b);
    return ok;
}

static uint32_t event_of(str head) {
    return str_starts(head, STR("insert"))   ? CATALOG_TRIGGER_INSERT
           : str_starts(head, STR("update")) ? CATALOG_TRIGGER_UPDATE
                                             : CATALOG_TRIGGER_DELETE;
}

static bool target_of(const struct query_expanding *x, str head, const struct catalog_relation **of, uint32_t *role, str *alias) {
    struct catalog_mark m = {0};
    if (!catalog_mark_next(head, 0, &m) || (m.kind != 'R' && m.kind != 'B')) return false;
    *of = catalog_relation_of(x->conn->catalog, m.id);
    if (!*of || ((*of)->kind != CATALOG_TABLE && !catalog_is_instead(*of, event_of(head)))) return false;
    *role = m.kind == 'R' ? x->role : x->definer ? x->definer : (*of)->owner;
    *alias = str_trim(str_sub(head, m.end + 4, head.n)); /* " as " */
    return true;
}

const struct catalog_relation *query_change_target(const struct query_expanding *x, str text) {
    const struct catalog_relation *of;
    uint32_t role;
    str alias, head = parts_of(text).text[1];
    return head.n && target_of(x, head, &of, &role, &alias) ? of : NULL;
}

bool query_change_needed(const struct query_expanding *x, str text) {
    struct parts p = parts_of(text);
    const struct catalog_relation *of;
    uint32_t role, events = event_of(p.text[1]);
    str alias;
    if (!p.text[1].n || !target_of(x, p.text[1], &of, &role, &alias)) return false;
    if (p.text[7].p) events |= CATALOG_TRIGGER_UPDATE;
    if (of->kind == CATALOG_VIEW) return true;
    bool late = false, follows = false;
    struct catalog_mark m = {0};
    for (uint32_t i = 0; i < of->constraints.n; i++) late |= of->constraints.p[i].late;
    for (str set = events & CATALOG_TRIGGER_UPDATE ? p.text[p.text[7].p ? 6 : 2] : (str){0};
         !follows && catalog_mark_next(set, m.end, &m);) {
        const struct catalog_column *k = m.kind == 'K' ? catalog_column_of(of, m.id) : NULL;
        follows = k && query_keys_fire(x->conn, of, &k, 1);
    }
    return follows || query_has_triggers(x->conn, of, events) || catalog_policies_hold(x->conn->catalog, role, of) || late;
}

const struct catalog_relation *query_change_warm(const struct query_expanding *x, str text) {
    static const enum query_check checks[] = {QUERY_CHECK_INSERT, QUERY_CHECK_INSERT_READ, QUERY_CHECK_UPSERT};
    struct parts p = parts_of(text);
    const struct catalog_relation *of;
    uint32_t role, guard, event = event_of(p.text[1]);
    struct pg_error ignored = {0};
    str alias, name;
    if (!p.text[1].n || !target_of(x, p.text[1], &of, &role, &alias) || !query_change_needed(x, text)) return NULL;
    bool ok = of->kind != CATALOG_VIEW || query_view_of(x->conn, of, role, QUERY_SEES, &name, &ignored);
    if (of->kind == CATALOG_VIEW) return of;
    for (size_t i = 0; ok && event == CATALOG_TRIGGER_INSERT && i < ARRAY_COUNT(checks); i++)
        ok = query_check_of(x->conn, of, role, checks[i], &guard, &ignored);
    if (ok && event == CATALOG_TRIGGER_UPDATE) ok = query_check_of(x->conn, of, role, QUERY_CHECK_UPDATE_READ, &guard, &ignored);
    if (ok && event != CATALOG_TRIGGER_INSERT)
        ok = query_view_of(x->conn, of, role, event == CATALOG_TRIGGER_UPDATE ? QUERY_UPDATES_READ : QUERY_DELETES_READ, &name,
                           &ignored);
    (void)ok; /* who comes to it is told */
    return of;
}

static bool may(struct query_change *c, uint32_t privilege, const struct catalog_column *const *columns, uint32_t n) {
    bool ok = catalog_may_relation(c->conn->catalog, c->role, c->of, privilege);
    for (uint32_t i = 0; !ok && i < n; i++) {
        if (!catalog_may_column(c->conn->catalog, c->role, c->of, columns[i], privilege)) break;
        ok = i + 1 == n;
    }
    return ok || query_fail(&c->conn->raised, "42501", "permission denied for %s " STR_FMT,
                            c->of->kind == CATALOG_VIEW ? "view" : "table", STR_ARG(c->of->name));
}

static bool may_write(struct query_change *c) {
    if (c->back.n && !may(c, CATALOG_SELECT, NULL, 0)) return false;
    if (c->event == CATALOG_TRIGGER_DELETE) return may(c, CATALOG_DELETE, NULL, 0);
    if (c->event == CATALOG_TRIGGER_UPDATE) return may(c, CATALOG_UPDATE, c->columns, c->count);
    return may(c, CATALOG_INSERT, c->columns, c->count) && (!c->merges || may(c, CATALOG_UPDATE, c->set, c->set_count));
}

static bool raise_guards(struct query_change *c) {
    struct query_conn *conn = c->conn;
    bool reads = c->back.n;
    if (c->event == CATALOG_TRIGGER_DELETE || c->of->kind == CATALOG_VIEW) return true;
    if (c->event == CATALOG_TRIGGER_UPDATE)
        return query_check_of(conn, c->of, c->role, QUERY_CHECK_UPDATE_READ, &conn->guards[0], &conn->raised);
    return query_check_of(conn, c->of, c->role, reads || c->conflicts ? QUERY_CHECK_INSERT_READ : QUERY_CHECK_INSERT,
                          &conn->guards[0], &conn->raised) &&
           (!c->merges || query_check_of(conn, c->of, c->role, QUERY_CHECK_UPSERT, &conn->guards[1], &conn->raised));
}

/* select alias.key, alias's columns, what is set from the rows that may be changed, and what stands beside them, where … */
static bool put_found(struct query_change *c, const struct query_expanding *x, const struct parts *p, struct buf *b) {
    str view;
    enum query_sight sight = c->of->kind == CATALOG_VIEW          ? QUERY_SEES
                             : c->event == CATALOG_TRIGGER_UPDATE ? QUERY_UPDATES_READ
                                                                  : QUERY_DELETES_READ;
    if (!query_view_of(c->conn, c->of, c->role, sight, &view, &c->conn->raised)) return false;
    buf_printf(b, "select " STR_FMT ".\"_orlo_k\"", STR_ARG(c->alias));
    for (uint32_t i = 0; i < c->of->columns.n; i++) {
        buf_printf(b, "," STR_FMT ".", STR_ARG(c->alias));
        query_put_name(b, c->of->columns.p[i].storage);
    }
    for (uint32_t i = 0; c->event == CATALOG_TRIGGER_UPDATE && i < c->count; i++)
        buf_printf(b, "," STR_FMT, STR_ARG(c->update_texts[i]));
    buf_puts(b, STR(" from "));
    query_put_name(b, view);
    buf_printf(b, " as " STR_FMT, STR_ARG(c->alias));
    str from = p->text[3];
    if (str_starts(from, STR(" from "))) {
        buf_puts(b, STR(", "));
        if (!query_expand(x, str_sub(from, 6, from.n), b, &c->conn->raised)) return false;
    }
    return query_expand(x, p->text[4], b, &c->conn->raised);
}

static bool source_of(struct query_change *c, const struct query_expanding *x, const struct parts *p, struct buf *b) {
    if (!query_expand(x, p->text[0], b, &c->conn->raised)) return false;
    if (c->event != CATALOG_TRIGGER_INSERT) return put_found(c, x, p, b);
    if (!c->count) return buf_puts(b, STR("select 1"));
    return query_expand(x, p->text[3], b, &c->conn->raised);
}

static bool read_parts(struct query_change *c, const struct query_expanding *x, const struct parts *p) {
    static const char head[] = " returning ";
    str conflict = p->text[4];
    bool inserts = c->event == CATALOG_TRIGGER_INSERT;
    columns_of(c, p->text[2], &c->columns, &c->count);
    if (c->event == CATALOG_TRIGGER_UPDATE && !set_texts(c, x, p->text[2], c->count, &c->update_texts)) return false;
    if (p->text[5].n && !expanded(c, x, str_sub(p->text[5], sizeof head - 1, p->text[5].n), &c->back)) return false;
    c->conflicts = inserts && conflict.n;
    c->merges = inserts && p->text[7].p;
    if (c->conflicts && c->of->kind == CATALOG_VIEW)
        return query_fail(&c->conn->raised, "0A000", "ON CONFLICT of a view with INSTEAD OF triggers is not there, on SQLite");
    if (!c->conflicts) return true;
    const struct catalog_column **arbiter;
    uint32_t n;
    columns_of(c, conflict, &arbiter, &n);
    for (uint32_t i = 0; i < n; i++) vec_push(c->mem, &c->arbiter, arbiter[i]->number);
    if (!expanded(c, x, str_sub(conflict, 12, conflict.n), &c->arbiter_text)) return false; /* " on conflict" */
    if (!c->merges) return true;
    if (!n)
        return query_fail(&c->conn->raised, "0A000",
                          "ON CONFLICT of an expression is not there for a table with triggers, on SQLite");
    columns_of(c, p->text[6], &c->set, &c->set_count);
    return set_texts(c, x, p->text[6], c->set_count, &c->set_texts) && expanded(c, x, p->text[7], &c->conflict_where);
}

/* value(arg, i): of place i. Rows that it gives back are in c->rows. */
bool query_change_statement(struct query_change *c, const struct query_expanding *outer, str text,
                            struct db_value (*value)(void *arg, uint32_t place), void *arg) {
    struct query_places places = {.mem = c->mem}, own = {.mem = c->mem};
    struct query_expanding x = *outer, y = *outer;
    struct parts p = parts_of(text);
    struct query_rows rows;
    struct buf b = {.max = 4 << 20};
    if (!target_of(outer, p.text[1], &c->of, &c->role, &c->alias))
        return query_fail(&c->conn->raised, "XX000", "a statement is not understood");
    c->event = event_of(p.text[1]);
    x.writes = y.writes = false;
    x.places = &places, y.places = &own;
    x.arguments_from = c->of->columns.n + 1; /* behind the row's values and its key */
    y.arguments_from = 0;
    c->wants_rows = true;
    bool updates = event_of(p.text[1]) == CATALOG_TRIGGER_UPDATE;
    if (!read_parts(c, &x, &p)) return false;
    if (updates && !set_texts(c, &y, p.text[2], c->count, &c->update_texts)) return false; /* of the source */
    c->extra_count = places.list.n;
    struct db_value *extra = arena_array(c->mem, struct db_value, places.list.n + 1);
    for (uint32_t i = 0; i < places.list.n; i++) extra[i] = value(arg, places.list.p[i]);
    c->extra = extra;
    if (!may_write(c) || !query_change_before(c)) return false;
    bool ok = source_of(c, &y, &p, &b);
    struct db_value *values = arena_array(c->mem, struct db_value, own.list.n + 1);
    for (uint32_t i = 0; i < own.list.n; i++) values[i] = value(arg, own.list.p[i]);
    ok = ok && gather(c, buf_str(&b), values, own.list.n, &rows);
    buf_free(&b);
    ok = ok && raise_guards(c) && query_change_run(c, &rows);
    memset(c->conn->guards, 0, sizeof c->conn->guards);
    return ok;
}

/* Once more, row by row, and undone: so the row is at hand. What it would do again elsewhere is not done twice: then it stays without a name. */
void query_change_name_key(const struct query_expanding *x, const struct catalog_fragment *f,
                           struct db_value (*value)(void *arg, uint32_t place), void *arg, struct pg_error *error) {
    struct query_conn *conn = x->conn;
    struct pg_error before = *error, raised = conn->raised;
    struct diag d = DIAG_INIT;
    bool walled = conn->walled;
    uint32_t deferred = conn->deferred.n;
    if (strcmp(before.state, "23503") != 0 || before.constraint[0] || !(f->flags & CATALOG_WRITES) ||
        f->flags & CATALOG_VOLATILE || f->calls.n || conn->reads_only)
        return;
    conn->raised = (struct pg_error){0}, conn->walled = false;
    if (db_script(conn->db, "savepoint orlo_named", &d) == ERR_OK) {
        struct query_change c = {.conn = conn, .mem = arena_new(0)};
        (void)!query_change_statement(&c, x, f->text, value, arg);
        arena_free(c.mem);
        conn->walled = false;
        conn->deferred.n = deferred;
        if (db_script(conn->db, "rollback to orlo_named; release orlo_named", &d) == ERR_OK &&
            !strcmp(conn->raised.state, "23503") && conn->raised.constraint[0])
            before = conn->raised;
        query_sequences_again(conn);
    }
    conn->raised = raised, conn->walled = walled;
    *error = before;
}
