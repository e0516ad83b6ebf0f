/* routine_text: texts that a body runs (EXECUTE), records of whatever columns they have, and what names those (CATALOG_LATE): a text itself, by then.
 *
 * What a text is made into is somebody else's work (script.c); here it gets its values, runs with the rights of the body, and its rows go where they are wanted. */
#include "query/routine_int.h"

static struct db_value argument_at(void *arg, uint32_t i) {
    const struct frame *f = arg;
    return i < f->values.n ? f->values.p[i] : DB_NOTHING;
}

static struct query_expanding as_mine(const struct frame *f) {
    return (struct query_expanding){.conn = f->conn, .at = QUERY_AT_VALUES, .role = f->role, .definer = f->definer};
}

void query_text_over(struct frame *f) { f->argument_types.n = f->argument_places.n = f->want.n = 0; }

/* A text sees the transition tables of the trigger that runs it. */
static void tell_transition(const struct frame *f, struct catalog_text *text) {
    if (!f->trigger || !(f->trigger->old_table.n || f->trigger->new_table.n)) return;
    text->rows_of = f->rows_of;
    text->old_table = f->trigger->old_table, text->new_table = f->trigger->new_table;
}

static struct query_script *text_of(struct frame *f, uint32_t place, enum catalog_text_use use) {
    const struct query_expanding as = as_mine(f);
    struct db_value v = f->places[place].v;
    struct catalog_text text = {
        .function = f->f->id, .use = (uint8_t)use, .text = v.s, .arguments = f->argument_types, .want = f->want};
    tell_transition(f, &text);
    f->values.n = 0;
    for (uint32_t i = 0; i < f->argument_places.n; i++) vec_push(f->mem, &f->values, f->places[f->argument_places.p[i]].v);
    if (v.kind == DB_TEXTUAL) return query_script_of(f->conn, &as, &text);
    query_frame_raised(f, "22004", "query string argument of EXECUTE is null");
    return NULL;
}

/* A column as it is wanted: its value, made so by a statement of its own. */
static bool cast(struct frame *f, const struct catalog_fragment *how, struct db_value *v, arena *mem) {
    struct query_places places = {.mem = mem};
    struct query_expanding x = as_mine(f);
    struct buf b = {.max = 1 << 20};
    struct db_rows *rows;
    struct diag d = DIAG_INIT;
    x.arguments_count = 1, x.places = &places;
    buf_puts(&b, STR("select "));
    bool ok = query_expand(&x, how->text, &b, &f->conn->raised);
    query_wall_up(f->conn);
    err e = ok ? db_query_values(f->conn->db, buf_str(&b), v, places.list.n, &rows, &d) : ERR_OK;
    f->conn->walled = false;
    buf_free(&b);
    if (!ok || e != ERR_OK) return ok && query_frame_failed(f, e, &d);
    struct db_value out = db_next(rows) ? db_value(rows, 0) : DB_NOTHING;
    if (out.kind >= DB_TEXTUAL) out.s = arena_str(mem, out.s);
    *v = out;
    return query_frame_finish(f, rows, true);
}

static bool cast_rows(struct frame *f, const struct catalog_text_part *p, struct cursor *c) {
    for (uint32_t i = 0; i < c->n; i++)
        for (uint32_t k = 0; k < c->columns && k < p->casts.n; k++)
            if (p->casts.p[k].text.n && !cast(f, &p->casts.p[k], &c->values[(size_t)i * c->columns + k], c->mem)) return false;
    return true;
}

static bool change_text(struct frame *f, const struct catalog_fragment *s, struct cursor *to) {
    struct query_expanding x = as_mine(f);
    struct query_change c = {.conn = f->conn, .mem = to->mem};
    x.arguments_count = f->values.n;
    if (!query_change_statement(&c, &x, s->text, argument_at, f)) return false;
    f->rows = c.affected;
    to->columns = c.rows.columns, to->n = c.rows.list.n;
    to->values = arena_array(to->mem, struct db_value, (size_t)to->n * to->columns + 1);
    for (uint32_t i = 0; i < to->n && to->columns; i++)
        memcpy(to->values + (size_t)i * to->columns, c.rows.list.p[i], to->columns * sizeof *to->values);
    return true;
}

static bool query_rows_of(struct frame *f, const struct query_script_part *made, bool writes, struct cursor *to, uint64_t most,
                          bool ends) {
    struct db_value few[16], *values = few;
    struct db_rows *rows;
    struct diag d = DIAG_INIT;
    uint32_t n = made->places.list.n;
    uint64_t count = 0;
    bool ok = true;
    if (n > ARRAY_COUNT(few)) values = arena_array(to->mem, struct db_value, n);
    for (uint32_t i = 0; i < n; i++) values[i] = argument_at(f, made->places.list.p[i]);
    query_wall_up(f->conn);
    err e = db_query_values(f->conn->db, made->sql, values, n, &rows, &d);
    f->conn->walled = false;
    if (e != ERR_OK) return query_frame_failed(f, e, &d);
    to->columns = db_columns(rows);
    while (ok && !(ends && count == most) && db_next(rows))
        if (count++ < most) ok = query_frame_keep_row(f, to->mem, rows, to->columns, &to->values, &to->n, &to->cap, &to->bytes);
    if (!query_frame_finish(f, rows, ok)) return false;
    f->rows = writes ? db_changed(f->conn->db) : count;
    return true;
}

static bool named_key_of(struct frame *f, const struct catalog_fragment *s) {
    struct query_expanding x = as_mine(f);
    x.arguments_count = f->values.n;
    query_change_name_key(&x, s, argument_at, f, &f->conn->raised);
    return false;
}

/* Statements of the text; of the last one so many rows. */
static bool run_text(struct frame *f, struct query_script *t, uint32_t from, uint32_t to_part, struct cursor *to, uint64_t most) {
    const struct query_expanding as = as_mine(f);
    f->rows = 0;
    for (uint32_t i = from; i < to_part; i++) {
        const struct catalog_text_part *p = &t->answer.parts.p[i];
        struct query_script_part *made;
        bool last = i + 1 == to_part, writes = p->fragment.flags & CATALOG_WRITES;
        query_frame_cursor_close(f, to);
        to->mem = arena_new(0);
        if (!query_frame_may_write(f, &p->fragment) || !query_script_made(f->conn, t, i, &as, f->values.n, &made)) return false;
        if (made->change ? !change_text(f, &p->fragment, to)
                         : !query_rows_of(f, made, writes, to, last ? most : 0, last && most < UINT64_MAX && most && !writes))
            return named_key_of(f, &p->fragment);
        if (last && !cast_rows(f, p, to)) return false;
    }
    return true;
}

static struct record *record_of(struct frame *f, uint32_t place) {
    for (uint32_t i = 0; i < f->records.n; i++)
        if (f->records.p[i].place == place) return &f->records.p[i];
    struct record *r = vec_add(f->mem, &f->records);
    *r = (struct record){.place = place};
    return r;
}

/* values NULL: a row of nulls. */
static bool set_record(struct frame *f, uint32_t place, const catalog_fields *shape, const struct db_value *values) {
    struct record *r = record_of(f, place);
    arena *mem = arena_new(0);
    struct db_value *to = arena_array(mem, struct db_value, shape->n + 1);
    catalog_fields fields = {0};
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < shape->n; i++) {
        vec_push(mem, &fields, ((struct catalog_field){arena_str(mem, shape->p[i].name), shape->p[i].type, shape->p[i].typmod}));
        to[i] = values ? values[i] : DB_NOTHING;
        if (to[i].kind >= DB_TEXTUAL) to[i].s = arena_str(mem, to[i].s);
    }
    bytes = arena_bytes(mem);
    if (r->mem) arena_free(r->mem);
    query_frame_credit(f, r->bytes);
    *r = (struct record){.place = place, .mem = mem, .shape = fields, .values = to, .bytes = bytes};
    return query_frame_charge(f, bytes);
}

/* The first row of what a text gave, where it is wanted. */
static bool take_row(struct frame *f, const uint32_t *op, const struct query_script *t, const struct cursor *rows) {
    const struct catalog_text_part *p = t->answer.parts.n ? &t->answer.parts.p[t->answer.parts.n - 1] : NULL;
    if (op[4] & CATALOG_RUN_RECORD) return p && set_record(f, op[2], &p->columns, rows->n ? rows->values : NULL);
    for (uint32_t i = 0; i < op[3]; i++)
        if (!query_frame_put(f, op[2] + i, rows->n && i < rows->columns ? rows->values[i] : DB_NOTHING)) return false;
    return true;
}

bool query_text_execute(struct frame *f, const uint32_t *op) {
    bool into = op[4] & CATALOG_RUN_INTO, strict = op[4] & CATALOG_RUN_STRICT;
    struct cursor rows = {0};
    struct query_script *t = text_of(f, op[1], into ? CATALOG_TEXT_INTO : CATALOG_TEXT_RUN);
    bool ok = t && run_text(f, t, 0, t->answer.parts.n, &rows, into ? strict ? 2 : 1 : 0);
    if (ok && into && strict && rows.n > 1) ok = query_frame_raised(f, "P0003", "query returned more than one row");
    if (ok && into && strict && !rows.n) ok = query_frame_raised(f, "P0002", "query returned no rows");
    if (ok && into) ok = take_row(f, op, t, &rows);
    query_frame_cursor_close(f, &rows);
    if (t) query_script_done(f->conn, t);
    query_text_over(f);
    return ok;
}

/* ---- what names a record that a text filled (CATALOG_LATE): a text itself, by now ---- */

const struct catalog_fragment *query_text_late(const struct frame *f, uint32_t e) {
    const struct catalog_fragment *s = &f->loaded->code->statements.p[e];
    return s->flags & CATALOG_LATE ? s : NULL;
}

static void add_value(struct frame *f, struct catalog_text *text, arena *mem, const str *names, str field, uint32_t type,
                      struct db_value v) {
    vec_push(mem, &text->names,
             arena_fmt(mem, STR_FMT "\x1f" STR_FMT "\x1f" STR_FMT, STR_ARG(names[0]), STR_ARG(names[1]), STR_ARG(field)));
    vec_push(mem, &text->arguments, type);
    vec_push(f->mem, &f->values, v);
}

struct query_script *query_text_late_script(struct frame *f, const struct catalog_fragment *s, enum catalog_text_use use) {
    const struct query_expanding as = as_mine(f);
    arena *mem = arena_new(0);
    struct catalog_text text = {.function = f->f->id, .use = (uint8_t)use, .text = s->text, .want = s->want};
    tell_transition(f, &text);
    f->values.n = 0;
    for (uint32_t i = 0; i * 2 < s->scope.n; i++) {
        uint32_t place = s->scope.p[i * 2], type = s->scope.p[i * 2 + 1];
        const str *names = &s->names.p[i * 3];
        const struct record *r = type == PG_RECORD && !names[2].n ? record_of(f, place) : NULL;
        for (uint32_t k = 0; r && r->mem && k < r->shape.n; k++)
            add_value(f, &text, mem, names, r->shape.p[k].name, r->shape.p[k].type, r->values[k]);
        if (!r) add_value(f, &text, mem, names, names[2], type, f->places[place].v);
        else if (!r->mem) add_value(f, &text, mem, names, (str){0}, PG_RECORD, DB_NOTHING);
    }
    struct query_script *t = query_script_of(f->conn, &as, &text);
    arena_free(mem);
    return t;
}

/* Of which type a place is that took a value whose own type was not known before. */
static void note_type(struct frame *f, uint32_t place, const struct query_script *t) {
    const struct catalog_text_part *p = &t->answer.parts.p[t->answer.parts.n - 1];
    uint32_t type = p->columns.n ? p->columns.p[0].type : (uint32_t)PG_TEXT;
    for (uint32_t i = 0; i + 1 < f->types.n; i += 2)
        if (f->types.p[i] == place) {
            f->types.p[i + 1] = type;
            return;
        }
    vec_push(f->mem, &f->types, place);
    vec_push(f->mem, &f->types, type);
}

uint32_t query_text_type(const struct frame *f, uint32_t place) {
    for (uint32_t i = 0; i + 1 < f->types.n; i += 2)
        if (f->types.p[i] == place) return f->types.p[i + 1];
    return PG_TEXT;
}

bool query_text_late_value(struct frame *f, const struct catalog_fragment *s, uint32_t to, bool *is) {
    struct cursor rows = {0};
    struct query_script *t = query_text_late_script(f, s, CATALOG_TEXT_INTO);
    bool ok = t && run_text(f, t, 0, t->answer.parts.n, &rows, 1);
    struct db_value v = rows.n && rows.columns ? rows.values[0] : DB_NOTHING;
    if (is) *is = ok && v.kind == DB_INTEGER && v.i;
    else if (ok) ok = query_frame_put(f, to, v);
    if (ok && !is && !s->want.n && t->answer.parts.n) note_type(f, to, t);
    query_frame_cursor_close(f, &rows);
    if (t) query_script_done(f->conn, t);
    return ok;
}

bool query_text_late_statement(struct frame *f, const struct catalog_fragment *s, const uint32_t *op) {
    bool into = op[4] & CATALOG_RUN_INTO, strict = op[4] & (CATALOG_RUN_STRICT | CATALOG_RUN_ONE);
    struct cursor rows = {0};
    struct query_script *t = query_text_late_script(f, s, into ? CATALOG_TEXT_INTO : CATALOG_TEXT_RUN);
    bool ok = t && run_text(f, t, 0, t->answer.parts.n, &rows, into ? strict ? 2 : 1 : 0);
    if (ok && into && strict && rows.n > 1) ok = query_frame_too_many(f);
    if (ok && into && op[4] & CATALOG_RUN_STRICT && !rows.n) ok = query_frame_raised(f, "P0002", "query returned no rows");
    if (ok && into) ok = take_row(f, op, t, &rows);
    if (ok) query_frame_set_found(f, f->rows);
    query_frame_cursor_close(f, &rows);
    if (t) query_script_done(f->conn, t);
    return ok;
}

bool query_text_open_script(struct frame *f, uint32_t slot, struct query_script *t) {
    struct cursor *c = query_frame_cursor(f, slot);
    query_frame_cursor_close(f, c);
    bool ok = t && run_text(f, t, 0, t->answer.parts.n, c, UINT64_MAX);
    const struct catalog_text_part *last = ok && t->answer.parts.n ? &t->answer.parts.p[t->answer.parts.n - 1] : NULL;
    for (uint32_t i = 0; last && i < last->columns.n; i++)
        vec_push(c->mem, &c->shape,
                 ((struct catalog_field){arena_str(c->mem, last->columns.p[i].name), last->columns.p[i].type,
                                         last->columns.p[i].typmod}));
    if (t) query_script_done(f->conn, t);
    query_text_over(f);
    return ok;
}

bool query_text_open(struct frame *f, const uint32_t *op) {
    return query_text_open_script(f, op[1], text_of(f, op[2], CATALOG_TEXT_ROWS));
}

bool query_text_next(struct frame *f, const uint32_t *op, bool *more) {
    struct cursor *c = query_frame_cursor(f, op[1]);
    *more = c->at < c->n;
    if (!*more) return !c->at ? set_record(f, op[2], &c->shape, NULL) : true; /* after its loop it is the last one */
    return set_record(f, op[2], &c->shape, c->values + (size_t)c->at++ * c->columns);
}

static bool give_rows(struct frame *f, const struct cursor *rows) {
    struct query_routine_rows *to = f->result;
    for (uint32_t i = 0; i < rows->n; i++) {
        uint64_t bytes = to->columns * sizeof(struct db_value) * 2;
        if (to->n == to->cap) {
            struct db_value *grown = arena_array(to->mem, struct db_value, (size_t)MAX(to->cap * 2, 16u) * MAX(to->columns, 1u));
            if (to->n) memcpy(grown, to->values, (size_t)to->n * to->columns * sizeof *grown);
            to->values = grown, to->cap = MAX(to->cap * 2, 16u);
        }
        for (uint32_t k = 0; k < to->columns; k++) {
            struct db_value v = k < rows->columns ? rows->values[(size_t)i * rows->columns + k] : DB_NOTHING;
            if (v.kind >= DB_TEXTUAL) bytes += v.s.n, v.s = arena_str(to->mem, v.s);
            to->values[(size_t)to->n * to->columns + k] = v;
        }
        to->n++;
        if (!query_frame_charge(f, bytes)) return false;
    }
    return true;
}

bool query_text_give_script(struct frame *f, struct query_script *t) {
    struct cursor rows = {0};
    uint64_t given = 0;
    bool ok = t;
    for (uint32_t i = 0; ok && i < t->answer.parts.n; i++) {
        ok = run_text(f, t, i, i + 1, &rows, UINT64_MAX) && give_rows(f, &rows);
        given += rows.n;
    }
    f->rows = given;
    if (ok) query_frame_set_found(f, given);
    query_frame_cursor_close(f, &rows);
    if (t) query_script_done(f->conn, t);
    query_text_over(f);
    return ok;
}

bool query_text_give(struct frame *f, const uint32_t *op) {
    return query_text_give_script(f, text_of(f, op[1], CATALOG_TEXT_RESULT));
}

/* ---- cursors over texts ---- */

/* A column of an executed text, as what is wanted: by a text of its own, which is kept as any. */
static bool cast_as(struct frame *f, struct db_value *v, const struct catalog_field *from, const struct catalog_field *to,
                    arena *mem) {
    if (from->type == to->type && (from->typmod == to->typmod || to->typmod == -1)) return true;
    const struct query_expanding as = as_mine(f);
    struct catalog_text text = {.function = f->f->id, .use = CATALOG_TEXT_INTO, .text = STR("select $1")};
    vec_push(mem, &text.arguments, from->type);
    vec_push(mem, &text.want, *to);
    struct query_script *t = query_script_of(f->conn, &as, &text);
    struct query_script_part *made;
    struct db_rows *rows;
    struct diag d = DIAG_INIT;
    bool ok = t && t->answer.parts.n == 1 && query_script_made(f->conn, t, 0, &as, 1, &made);
    query_wall_up(f->conn);
    err e = ok ? db_query_values(f->conn->db, made->sql, v, made->places.list.n, &rows, &d) : ERR_OK;
    f->conn->walled = false;
    if (ok && e != ERR_OK) ok = query_frame_failed(f, e, &d);
    else if (ok) {
        struct db_value out = db_next(rows) ? db_value(rows, 0) : DB_NOTHING;
        if (out.kind >= DB_TEXTUAL) out.s = arena_str(mem, out.s);
        *v = out;
        ok = query_frame_finish(f, rows, true);
    }
    if (t) query_script_done(f->conn, t);
    return ok;
}

bool query_text_cursor_row(struct frame *f, const uint32_t *op) {
    const struct cursor *c = query_frame_cursor(f, op[1]);
    bool there = c->at >= 1 && c->at <= c->n, ok = true;
    if (op[4] == 2) return set_record(f, op[2], &c->shape, there ? c->values + (size_t)(c->at - 1) * c->columns : NULL);
    arena *scratch = arena_new(0);
    for (uint32_t i = 0; ok && i < op[3]; i++) {
        struct db_value v = there && i < c->columns ? c->values[(size_t)(c->at - 1) * c->columns + i] : DB_NOTHING;
        if (op[4] && v.kind != DB_NULL && i < c->shape.n && i < f->want.n)
            ok = cast_as(f, &v, &c->shape.p[i], &f->want.p[i], scratch);
        ok = ok && query_frame_put(f, op[2] + i, v);
    }
    query_text_over(f);
    arena_free(scratch);
    return ok;
}
