/* ddl_do: DO blocks. What defines something is run while the migrations are read: what it asks is the catalogue as it is at its place, what it does are
 * statements of the file. What is of rows alone is compiled as a function is, and the store runs it at its place (ddl_step.c).
 *
 *   do $$ begin if not exists (select from pg_type where typname = 'mood') then create type mood as enum ('sad', 'ok'); end if; end $$      here
 *   do $$ begin perform cron.unschedule('nightly'); exception when others then null; end $$                                                 in the store
 *
 * 1. A block that changes rows, or calls, and neither defines anything nor executes a text goes to the store. Of all others what can be told here is told here,
 *    so that orlo db check says it; one that has done nothing when it comes to rows is begun again in the store, if nothing in it defines.
 * 2. Expressions and queries are asked of an empty SQLite that has the pg room's functions and the catalogue's relations (the system room). A table that this
 *    deployment makes, and that nothing was put into yet, has no rows; of others nothing is known here.
 * 3. Statements that define, and those that change rows, are as they are in a file; the latter's variables are their values by then.
 * 4. What a handler catches here is what a statement was refused with; one that was done before it in its block cannot be undone, and then it is not caught.
 * 5. Steps and processor time are bounded (57014, which no handler catches), rows and memory too (54000): all blocks of a deployment have CPU_MS_MAX together.
 */
#include "db/db.h"
#include "sql/ddl_int.h"
#include "sql/routine_int.h"
#include "system/system.h"
#include <stdio.h>
#include <time.h>

enum { STEPS_MAX = 100'000, ROWS_MAX = 100'000, CPU_MS_MAX = 10'000, BYTES_MAX = 512 << 20 /* that a block takes */ };
typedef struct plpgsql_statement statement;

/* Where expressions are asked, for all blocks of a deployment. */
struct sql_asking {
    struct db *db;
    struct pg_session session;
    struct pg_error raised;
    struct pg_types types;
    struct sql_context cx; /* types' */
    struct system_context system;
    uint64_t until_ms; /* of the processor's time */
    struct sql_ddl *d;
    struct doing *at; /* whose question is asked */
    uint32_t depth;   /* of functions that questions call */
    bool unknown;     /* one of them came to what is not known here */
    struct db_function functions[2];
};

struct failure {
    char state[6];
    str message;
};
struct doing {
    struct sql_ddl *d;
    struct sql_asking *ask;
    struct routine r;
    struct sql_context cx;
    struct catalog_routine out;
    struct catalog_function f; /* the block, as a function */
    VEC(struct db_value) places;
    uint32_t steps, effects;
    size_t bytes;  /* that the arena had before it */
    uint64_t body; /* where its text begins in the file */
    const struct sql_statement *outer;
    struct failure failed, *caught;
    uint32_t failed_at; /* of the statement, in the block's source */
    bool unknown;       /* it came to what is not known here */
    bool is_call;       /* of a function, which a question calls: it changes nothing */
    struct db_value returned;
    str label; /* of EXIT and CONTINUE on their way out */
};
enum flow { GO, FAILED, LEAVES, AGAIN, RETURNS };

/* ---- what went wrong ---- */

static enum flow fail(struct doing *x, const char *state, str message) {
    snprintf(x->failed.state, sizeof x->failed.state, "%.5s", state);
    x->failed.message = arena_str(x->d->mem, message);
    x->failed_at = x->r.at;
    return FAILED;
}

static enum flow fail_problem(struct doing *x) {
    const struct sql_problem *p = &x->cx.problem;
    enum flow f = fail(x, p->set ? p->state : "XX000", str_c(p->set ? p->message : "a statement is not understood"));
    x->cx.problem = (struct sql_problem){0};
    return f;
}

static enum flow not_here(struct doing *x, const char *what) {
    x->unknown = true;
    return fail(x, "0A000", arena_fmt(x->d->mem, "%s is not there in a DO block on SQLite", what));
}

/* ---- its bounds ---- */

static uint64_t cpu_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1'000'000u;
}

static bool asking_goes_on(void *arg) { return cpu_ms() < ((struct sql_asking *)arg)->until_ms; }

/* A step more: of a statement, or of a loop's turn. */
static enum flow step(struct doing *x) {
    x->cx.work = 0; /* each expression may have it whole, as in a function */
    if (++x->steps > STEPS_MAX || (x->steps % 64 == 0 && !asking_goes_on(x->ask)))
        return fail(x, "57014", STR("canceling statement due to statement timeout"));
    if (arena_bytes(x->d->mem) - x->bytes > BYTES_MAX) return fail(x, "54000", STR("a DO block takes too much memory"));
    return GO;
}

/* ---- asking ---- */

static void call_here(struct db_call *call, void *arg, const struct db_value *args, uint32_t n);

static void close_asking(void *arg) { db_close(((struct sql_asking *)arg)->db); }

static struct sql_asking *asking_of(struct sql_ddl *d) {
    struct diag diag = DIAG_INIT;
    if (d->asking) return d->asking;
    struct sql_asking *a = arena_make(d->mem, struct sql_asking);
    *a = (struct sql_asking){.session = {.role = STR("postgres"),
                                         .database = STR("postgres"),
                                         .mem = d->mem,
                                         .now = (int64_t)(clock_wall_ns() / 1000) - 946'684'800'000'000}};
    a->session.statement_now = a->session.now;
    a->session.error = &a->raised;
    a->system.session = &a->session;
    a->until_ms = cpu_ms() + CPU_MS_MAX;
    a->d = d;
    a->functions[0] = (struct db_function){"query_call", -1, 0, call_here, a};
    a->functions[1] = (struct db_function){"query_call_same", -1, 0, call_here, a};
    if (db_open(&(struct db_options){.name = ":memory:", .create = true, .goes_on = asking_goes_on, .arg = a}, &a->db, &diag) !=
        ERR_OK)
        return NULL;
    arena_cleanup(d->mem, close_asking, a);
    if (pg_register(a->db, &a->session, &diag) != ERR_OK || system_register(a->db, &a->system, &diag) != ERR_OK ||
        db_add_functions(a->db, a->functions, ARRAY_COUNT(a->functions), &diag) != ERR_OK)
        return NULL;
    a->session.names = &a->system.names;
    return d->asking = a;
}

struct answer {
    struct db_value *values;
    uint32_t columns, rows;
};

static struct db_value kept(struct doing *x, struct db_value v) {
    if (v.kind >= DB_TEXTUAL) v.s = arena_str(x->d->mem, v.s);
    return v;
}

static bool is_empty(const struct sql_ddl *d, const struct catalog_relation *r) {
    return r->kind != CATALOG_VIEW && r->id >= d->first_id && !d->all_filled && !catalog_ids_have(&d->filled, r->id);
}

/* A relation, as far as its rows are known: they are none. */
static bool put_relation(struct sql_ddl *d, uint32_t id, uint32_t depth, struct buf *to);

/* Marks are values by now. false: it reads what is not known. */
static bool put_known(struct sql_ddl *d, str text, const struct db_value *places, uint32_t places_n, uint32_t depth,
                      struct buf *to) {
    struct catalog_mark m = {0};
    size_t from = 0;
    for (; catalog_mark_next(text, from, &m); from = m.end) {
        buf_puts(to, str_sub(text, from, m.at - from));
        if (m.kind == 'A' && m.id && m.id <= places_n) buf_puts(to, sql_literal(d->mem, places[m.id - 1]));
        else if ((m.kind != 'R' && m.kind != 'B') || !put_relation(d, m.id, depth, to)) return false;
    }
    return buf_puts(to, str_sub(text, from, text.n));
}

static bool put_relation(struct sql_ddl *d, uint32_t id, uint32_t depth, struct buf *to) {
    const struct catalog_relation *r = catalog_relation_of(d->c, id);
    if (!r || depth > 16) return false;
    if (r->kind == CATALOG_VIEW)
        return buf_putc(to, '(') && put_known(d, r->query.fragment.text, NULL, 0, depth + 1, to) && buf_putc(to, ')');
    if (!is_empty(d, r)) return false;
    buf_puts(to, STR("(select "));
    for (uint32_t i = 0; i < r->columns.n; i++)
        buf_printf(to, "null as " STR_FMT ", ", STR_ARG(sql_quoted(d->mem, r->columns.p[i].storage)));
    return buf_puts(to, STR("null as \"_orlo_k\" where 0)"));
}

static bool expand(struct doing *x, str text, struct buf *to) {
    return put_known(x->d, text, x->places.p, x->places.n, 0, to) || (not_here(x, "a query of rows"), false);
}

static enum flow said(struct doing *x, const struct diag *diag) {
    const struct pg_error *e = &x->ask->raised;
    if (!asking_goes_on(x->ask)) return fail(x, "57014", STR("canceling statement due to statement timeout"));
    x->unknown |= x->ask->unknown, x->ask->unknown = false;
    if (e->set) return fail(x, e->state, str_c(e->message));
    if (strstr(diag->text, "no such function") || strstr(diag->text, "no such table"))
        return not_here(x, "a call of a function in PL/pgSQL");
    return fail(x, "XX000", str_c(diag->text));
}

static enum flow ask_as(struct doing *x, str sql, struct answer *out);

static enum flow ask(struct doing *x, str sql, struct answer *out) {
    struct doing *outer = x->ask->at;
    x->ask->at = x;
    enum flow f = ask_as(x, sql, out);
    x->ask->at = outer;
    return f;
}

static enum flow ask_as(struct doing *x, str sql, struct answer *out) {
    struct diag diag = DIAG_INIT;
    struct db_rows *rows;
    VEC(struct db_value) values = {0};
    struct sql_asking *a = x->ask;
    *out = (struct answer){0};
    a->raised = (struct pg_error){0};
    a->cx = sql_context_of(x->d);
    sql_types_of(&a->cx, &a->types);
    a->session.types = &a->types;
    a->system.catalog = x->d->c;
    a->system.path = x->d->path, a->system.path_n = x->d->path_n;
    if (db_query_values(a->db, sql, NULL, 0, &rows, &diag) != ERR_OK) return said(x, &diag);
    out->columns = db_columns(rows);
    while (out->rows < ROWS_MAX && db_next(rows)) {
        for (uint32_t i = 0; i < out->columns; i++) vec_push(x->d->mem, &values, kept(x, db_value(rows, i)));
        out->rows++;
    }
    out->values = values.p;
    if (db_end(rows, &diag) != ERR_OK) return said(x, &diag);
    return out->rows < ROWS_MAX ? GO : fail(x, "54000", STR("a query of a DO block has too many rows"));
}

/* The fragment that was made last. value: an expression's. */
static enum flow ask_fragment(struct doing *x, uint32_t e, bool value, struct answer *out) {
    struct buf b = {0};
    while (x->places.n < x->out.places) vec_push(x->d->mem, &x->places, DB_NOTHING);
    if (value) buf_puts(&b, STR("select "));
    enum flow f = expand(x, x->out.statements.p[e].text, &b) ? ask(x, arena_str(x->d->mem, buf_str(&b)), out) : FAILED;
    buf_free(&b);
    return f;
}

static enum flow value_of(struct doing *x, const struct plpgsql_expr *expr, uint32_t type, int32_t typmod, struct db_value *out,
                          uint32_t *of) {
    uint32_t e;
    struct answer a;
    *out = DB_NOTHING;
    if (sql_routine_value(&x->r, expr, type, typmod, &e, of) != ERR_OK) return fail_problem(x);
    enum flow f = ask_fragment(x, e, true, &a);
    if (f == GO && a.rows) *out = a.values[0];
    return f;
}

static enum flow text_of(struct doing *x, const struct plpgsql_expr *expr, str *out, bool *null) {
    struct db_value v;
    struct plpgsql_expr as_text = {arena_fmt(x->d->mem, "(" STR_FMT ")::text", STR_ARG(expr->text)), expr->at};
    enum flow f = value_of(x, &as_text, PG_TEXT, -1, &v, NULL);
    *null = v.kind != DB_TEXTUAL;
    *out = *null ? (str){0} : v.s;
    return f;
}

static enum flow holds(struct doing *x, const struct plpgsql_expr *expr, bool *out) {
    uint32_t e;
    struct answer a;
    *out = false;
    if (sql_routine_condition(&x->r, expr, &e) != ERR_OK) return fail_problem(x);
    enum flow f = ask_fragment(x, e, true, &a);
    *out = f == GO && a.rows && a.values[0].kind == DB_INTEGER && a.values[0].i;
    return f;
}

/* ---- variables ---- */

static void put(struct doing *x, uint32_t place, struct db_value v) {
    while (x->places.n < x->out.places) vec_push(x->d->mem, &x->places, DB_NOTHING);
    x->places.p[place] = v;
}

static void set_found(struct doing *x, bool found) { put(x, 0, DB_I64(found)); }

static enum flow assign(struct doing *x, const struct plpgsql_target *t, const struct plpgsql_expr *expr) {
    struct routine_target to;
    bool later;
    struct db_value v;
    if (t->steps.n) return not_here(x, "an assignment to an element");
    if (sql_routine_target(&x->r, t, &to, &later) != ERR_OK) return fail_problem(x);
    if (later || (to.variable && (to.variable->fields || to.variable->record))) return not_here(x, "an assignment to a row");
    enum flow f = value_of(x, expr, to.type, to.typmod, &v, NULL);
    if (f == GO) put(x, to.place, v);
    return f;
}

static enum flow declare(struct doing *x, const struct plpgsql_declaration *d) {
    uint32_t type;
    int32_t typmod;
    const catalog_fields *fields;
    bool record;
    struct db_value v = DB_NOTHING;
    if (d->cursor || d->alias.n) return not_here(x, d->cursor ? "a cursor" : "an alias");
    if (sql_routine_type(&x->r, &d->type, &type, &typmod, &fields, &record) != ERR_OK) return fail_problem(x);
    enum flow f = d->value.text.n && !fields ? value_of(x, &d->value, type, typmod, &v, NULL) : GO;
    if (f != GO) return f;
    struct sql_variable *made = sql_routine_variable(&x->r, d->name, type, typmod, fields);
    made->record = record;
    put(x, made->place, v);
    return GO;
}

/* A row goes into what is named: a record, a row, or values. */
static enum flow take(struct doing *x, const plpgsql_targets *targets, const catalog_fields *columns,
                      const struct db_value *row) {
    for (uint32_t i = 0; i < targets->n; i++) {
        struct routine_target to;
        bool later;
        if (sql_routine_target(&x->r, &targets->p[i], &to, &later) != ERR_OK) return fail_problem(x);
        struct sql_variable *v = to.variable;
        if (later) return not_here(x, "an assignment to a field");
        if (v && (v->record || v->fields)) {
            if (targets->n > 1) return not_here(x, "a row among several variables");
            if (v->record) sql_routine_shape(&x->r, v, columns);
            for (uint32_t k = 0; k < v->fields->n; k++) put(x, v->place + k, row && k < columns->n ? row[k] : DB_NOTHING);
            return GO;
        }
        struct db_value value = row && i < columns->n ? row[i] : DB_NOTHING;
        if (i < columns->n && columns->p[i].type != to.type) {
            struct sql_variable *hidden = sql_routine_variable(&x->r, STR(" "), columns->p[i].type, columns->p[i].typmod, NULL);
            uint32_t e;
            struct answer a;
            put(x, hidden->place, value);
            if (sql_routine_cast(&x->r, hidden->place, columns->p[i].type, to.type, to.typmod, &e) != ERR_OK)
                return fail_problem(x);
            enum flow f = ask_fragment(x, e, true, &a);
            if (f != GO) return f;
            value = a.rows ? a.values[0] : DB_NOTHING;
        }
        put(x, to.place, value);
    }
    return GO;
}

/* ---- statements of the file's kind ---- */

static bool is_row_statement(const PgQuery__Node *n) {
    return n->node_case == PG_QUERY__NODE__NODE_SELECT_STMT || n->node_case == PG_QUERY__NODE__NODE_INSERT_STMT ||
           n->node_case == PG_QUERY__NODE__NODE_UPDATE_STMT || n->node_case == PG_QUERY__NODE__NODE_DELETE_STMT ||
           n->node_case == PG_QUERY__NODE__NODE_MERGE_STMT;
}

static uint32_t parts_of(const PgQuery__Node *n) {
    return n->node_case == PG_QUERY__NODE__NODE_ALTER_TABLE_STMT ? (uint32_t)n->alter_table_stmt->n_cmds : 1;
}

/* What it was refused with is taken out of the report again: a handler may want it. */
static enum flow run_one(struct doing *x, const struct sql_statement *s) {
    struct sql_ddl *d = x->d;
    uint32_t notes = d->report->notes.n, refused = d->report->refused, needs = d->report->needs_postgres;
    const struct sql_statement *outer = d->statement;
    if (x->is_call) return not_here(x, "a function that changes something");
    if (!s->node) return fail(x, s->state, s->message);
    if (s->node->node_case == PG_QUERY__NODE__NODE_TRANSACTION_STMT || s->node->node_case == PG_QUERY__NODE__NODE_DO_STMT)
        return not_here(x, s->node->node_case == PG_QUERY__NODE__NODE_DO_STMT ? "a DO block" : "a transaction");
    d->statement = s;
    while (x->places.n < x->out.places) vec_push(d->mem, &x->places, DB_NOTHING);
    d->variables = is_row_statement(s->node) ? x->cx.variables : NULL;
    d->places = x->places.p, d->places_n = x->places.n;
    (void)sql_statement_run(d, s->node);
    d->variables = NULL, d->places_n = 0;
    d->statement = outer;
    for (uint32_t i = notes; i < d->report->notes.n; i++) {
        const struct sql_note *n = &d->report->notes.p[i];
        if (n->severity != SQL_REFUSAL) continue;
        str text = n->instead.n ? arena_fmt(d->mem, STR_FMT "\n" STR_FMT, STR_ARG(n->text), STR_ARG(n->instead)) : n->text;
        char state[6];
        snprintf(state, sizeof state, STR_FMT, STR_ARG(n->code));
        if (parts_of(s->node) > 1) x->effects++;
        d->report->notes.n = notes, d->report->refused = refused, d->report->needs_postgres = needs;
        return fail(x, state, text);
    }
    x->effects++;
    return GO;
}

/* at: where the text stands in the block; UINT32_MAX: nowhere, it was made. */
static enum flow run_text(struct doing *x, str text, uint32_t at) {
    sql_statements all = {0};
    enum flow f = GO;
    sql_parse(x->d->mem, text, &all);
    for (uint32_t i = 0; f == GO && i < all.n; i++) {
        struct sql_statement *s = &all.p[i];
        uint64_t to = x->body + at;
        bool placed = x->body && at != UINT32_MAX && to + s->offset + s->bytes <= x->d->file->text.n;
        if (placed) s->offset += (uint32_t)to, s->base += (uint32_t)to, s->at += (uint32_t)to;
        else s->offset = x->outer->offset, s->bytes = x->outer->bytes, s->base = x->outer->offset;
        sql_place(x->d->file->text, x->outer, s->offset, &s->line, &s->column);
        f = run_one(x, s);
    }
    return f;
}

/* ---- queries ---- */

static enum flow ask_query(struct doing *x, const struct plpgsql_expr *query, catalog_fields *columns, struct answer *out) {
    uint32_t e;
    bool is_select;
    if (sql_routine_statement(&x->r, query, NULL, &e, columns, &is_select) != ERR_OK) return fail_problem(x);
    return is_select ? ask_fragment(x, e, false, out) : not_here(x, "what a statement returns");
}

static enum flow select_into(struct doing *x, const statement *s, const struct plpgsql_expr *query) {
    catalog_fields columns;
    struct answer a;
    enum flow f = ask_query(x, query, &columns, &a);
    if (f != GO) return f;
    if (s->strict && a.rows != 1)
        return fail(x, a.rows ? "P0003" : "P0002",
                    a.rows ? STR("query returned more than one row") : STR("query returned no rows"));
    set_found(x, a.rows > 0);
    return take(x, &s->targets, &columns, a.rows ? a.values : NULL);
}

/* $1, $2 … of USING */
static enum flow with_arguments(struct doing *x, const statement *s, struct sql_variables *scope) {
    VEC(struct db_value) values = {0};
    VEC(uint32_t) types = {0};
    for (uint32_t i = 0; i < s->exprs.n; i++) {
        struct db_value v;
        uint32_t type;
        enum flow f = value_of(x, &s->exprs.p[i], PG_NO_TYPE, -1, &v, &type);
        if (f != GO) return f;
        vec_push(x->d->mem, &values, v);
        vec_push(x->d->mem, &types, type);
    }
    sql_routine_open(&x->r, scope, (str){0});
    for (uint32_t i = 0; i < values.n; i++) {
        struct sql_variable *v = sql_routine_variable(&x->r, arena_fmt(x->d->mem, "$%u", i + 1), types.p[i], -1, NULL);
        put(x, v->place, values.p[i]);
    }
    return GO;
}

static void close_scope(struct doing *x, const struct sql_variables *scope) {
    x->r.scope = (struct sql_variables *)(uintptr_t)scope->outer;
    x->cx.variables = scope->outer;
}

static enum flow execute(struct doing *x, const statement *s) {
    struct sql_variables scope;
    bool null;
    str text;
    enum flow f = text_of(x, &s->expr, &text, &null);
    if (f == GO && null) f = fail(x, "22004", STR("query string argument of EXECUTE is null"));
    if (f == GO) f = with_arguments(x, s, &scope);
    if (f != GO) return f;
    struct plpgsql_expr query = {text, s->expr.at};
    f = s->into ? select_into(x, s, &query) : run_text(x, text, UINT32_MAX);
    close_scope(x, &scope);
    return f;
}

/* ---- RAISE ---- */

static enum flow raise_text(struct doing *x, const statement *s, str *out) {
    struct buf b = {0};
    uint32_t at = 0;
    enum flow f = GO;
    for (size_t i = 0; f == GO && i < s->format.n; i++) {
        bool hole = s->format.p[i] == '%', twice = hole && i + 1 < s->format.n && s->format.p[i + 1] == '%';
        if (!hole || twice) {
            buf_putc(&b, s->format.p[i]);
            i += twice;
            continue;
        }
        str value;
        bool null = true;
        if (at < s->exprs.n) f = text_of(x, &s->exprs.p[at++], &value, &null);
        buf_puts(&b, null ? STR("<NULL>") : value);
    }
    *out = arena_str(x->d->mem, buf_str(&b));
    buf_free(&b);
    return f;
}

static void tell(struct doing *x, enum plpgsql_level level, str message) {
    struct sql_ddl *d = x->d;
    if (level < PLPGSQL_INFO || d->platform) return;
    str text =
        arena_fmt(d->mem, "%s: " STR_FMT, level == PLPGSQL_WARNING ? "WARNING" : "NOTICE", STR_ARG(str_sub(message, 0, 1000)));
    struct sql_note n = {.severity = SQL_REMARK,
                         .file = d->file->name,
                         .text = text,
                         .code = level == PLPGSQL_WARNING ? STR("01000") : STR("00000")};
    text_tame((char *)(uintptr_t)text.p, text.n);
    n.line = x->outer->line, n.column = x->outer->column;
    sql_note_add(d->mem, d->report, n);
}

static enum flow raise(struct doing *x, const statement *s) {
    size_t at = 0;
    str message = s->condition;
    const char *state =
        s->condition.n ? s->is_state ? arena_cstr(x->d->mem, s->condition) : plpgsql_condition(s->condition, &at) : "P0001";
    if (!s->format.p && !s->condition.n && !s->options.n && s->level == PLPGSQL_EXCEPTION) {
        if (!x->caught) return fail(x, "0Z002", STR("RAISE without parameters cannot be used outside an exception handler"));
        x->failed = *x->caught;
        return FAILED;
    }
    enum flow f = s->format.p ? raise_text(x, s, &message) : GO;
    for (uint32_t i = 0; f == GO && i < s->options.n; i++) {
        str value;
        bool null;
        f = text_of(x, &s->options.p[i].value, &value, &null);
        if (f != GO || null) continue;
        if (str_eqc(s->options.p[i].name, "message")) message = value;
        if (!str_eqc(s->options.p[i].name, "errcode")) continue;
        at = 0;
        const char *named = plpgsql_condition(value, &at);
        state = named ? named : arena_cstr(x->d->mem, value);
    }
    if (f == GO && s->level != PLPGSQL_EXCEPTION) tell(x, s->level, message);
    if (f != GO || s->level != PLPGSQL_EXCEPTION) return f;
    return fail(x, state ? state : "P0001", message);
}

static enum flow assertion(struct doing *x, const statement *s) {
    bool yes, null = true;
    str message = {0};
    enum flow f = holds(x, &s->expr, &yes);
    if (f == GO && !yes && s->to.text.n) f = text_of(x, &s->to, &message, &null);
    if (f != GO || yes) return f;
    return fail(x, "P0004", null ? STR("assertion failed") : message);
}

/* ---- blocks, loops ---- */

static enum flow run_body(struct doing *x, const plpgsql_body *body);

static bool catches(const struct plpgsql_handler *h, const char *state) {
    for (uint32_t i = 0; i < h->conditions.n; i++) {
        const char *c;
        for (size_t at = 0; (c = plpgsql_condition(h->conditions.p[i], &at)); at++) {
            size_t n = strlen(c);
            bool others = !strcmp(c, "OTHER") && strcmp(state, "57014") != 0 && strcmp(state, "P0004") != 0;
            bool class = n == 5 && !strcmp(c + 2, "000") && !strncmp(c, state, 2);
            if (others || class || !strcmp(c, state)) return true;
        }
        if (h->conditions.p[i].n == 5 && str_eqc(h->conditions.p[i], state)) return true; /* SQLSTATE '…' */
    }
    return false;
}

static enum flow handle(struct doing *x, const struct plpgsql_handler *h) {
    struct sql_variables scope;
    struct failure mine = x->failed, *outer = x->caught;
    sql_routine_open(&x->r, &scope, (str){0});
    put(x, sql_routine_variable(&x->r, STR("sqlstate"), PG_TEXT, -1, NULL)->place,
        DB_TEXT(arena_str(x->d->mem, str_c(mine.state))));
    put(x, sql_routine_variable(&x->r, STR("sqlerrm"), PG_TEXT, -1, NULL)->place, DB_TEXT(mine.message));
    x->caught = &mine;
    enum flow f = run_body(x, &h->body);
    x->caught = outer;
    close_scope(x, &scope);
    return f;
}

static enum flow block(struct doing *x, const statement *s) {
    struct sql_variables scope;
    enum flow f = GO;
    uint32_t effects = x->effects;
    sql_routine_open(&x->r, &scope, s->label);
    for (uint32_t i = 0; f == GO && i < s->declarations.n; i++) f = declare(x, &s->declarations.p[i]);
    if (f == GO) f = run_body(x, &s->body);
    close_scope(x, &scope);
    if (f == LEAVES && s->label.n && str_eq(s->label, x->label)) return GO;
    for (uint32_t i = 0; f == FAILED && i < s->handlers.n; i++) {
        if (!catches(&s->handlers.p[i], x->failed.state)) continue;
        if (!strcmp(x->failed.state, "0A000") || !strcmp(x->failed.state, "54000"))
            break; /* it is ours, and PostgreSQL would not have it */
        if (x->effects != effects) return not_here(x, "an exception that undoes what came before it");
        return handle(x, &s->handlers.p[i]);
    }
    return f;
}

/* Is the loop left? */
static bool leaves(struct doing *x, const statement *s, enum flow *f) {
    bool own = !x->label.n || str_eq(x->label, s->label);
    if (*f == GO || (*f == AGAIN && own)) return *f = GO, false;
    if (*f == LEAVES && own) *f = GO;
    return true;
}

static enum flow loop_query(struct doing *x, const statement *s) {
    catalog_fields columns;
    struct answer a;
    struct sql_variables scope;
    struct plpgsql_expr query = s->expr;
    bool null;
    enum flow f = s->dynamic ? text_of(x, &s->expr, &query.text, &null) : GO;
    if (f == GO && s->dynamic) f = with_arguments(x, s, &scope);
    if (f != GO) return f;
    f = ask_query(x, &query, &columns, &a);
    if (s->dynamic) close_scope(x, &scope);
    for (uint32_t i = 0; f == GO && i < a.rows; i++) {
        f = step(x);
        if (f == GO) f = take(x, &s->targets, &columns, a.values + (size_t)i * a.columns);
        if (f == GO) f = run_body(x, &s->body);
        if (leaves(x, s, &f)) break;
    }
    if (f == GO) set_found(x, a.rows > 0);
    return f;
}

static enum flow loop_each(struct doing *x, const statement *s) {
    struct plpgsql_expr query = {arena_fmt(x->d->mem, "select unnest(" STR_FMT ")", STR_ARG(s->expr.text)), s->expr.at};
    catalog_fields columns;
    struct answer a;
    if (s->slice) return not_here(x, "FOREACH … SLICE");
    enum flow f = ask_query(x, &query, &columns, &a);
    for (uint32_t i = 0; f == GO && i < a.rows; i++) {
        f = step(x);
        if (f == GO) f = take(x, &s->targets, &columns, a.values + (size_t)i * a.columns);
        if (f == GO) f = run_body(x, &s->body);
        if (leaves(x, s, &f)) break;
    }
    return f;
}

static enum flow loop_integer(struct doing *x, const statement *s) {
    struct db_value from, to, by = DB_I64(1);
    struct sql_variables scope;
    enum flow f = value_of(x, &s->expr, PG_INT4, -1, &from, NULL);
    if (f == GO) f = value_of(x, &s->to, PG_INT4, -1, &to, NULL);
    if (f == GO && s->by.text.n) f = value_of(x, &s->by, PG_INT4, -1, &by, NULL);
    if (f != GO) return f;
    if (from.kind != DB_INTEGER || to.kind != DB_INTEGER || by.kind != DB_INTEGER || by.i <= 0 || !s->targets.n)
        return fail(x, "22004", STR("lower bound of FOR loop cannot be null"));
    sql_routine_open(&x->r, &scope, s->label);
    struct sql_variable *v = sql_routine_variable(&x->r, s->targets.p[0].names[0], PG_INT4, -1, NULL);
    for (int64_t i = from.i; f == GO && (s->reverse ? i >= to.i : i <= to.i); i += s->reverse ? -by.i : by.i) {
        put(x, v->place, DB_I64(i));
        f = step(x);
        if (f == GO) f = run_body(x, &s->body);
        if (leaves(x, s, &f)) break;
    }
    close_scope(x, &scope);
    return f;
}

static enum flow loop_while(struct doing *x, const statement *s) {
    enum flow f = GO;
    for (bool more = true; f == GO;) {
        if ((f = step(x)) != GO) return f;
        if (s->kind == PLPGSQL_WHILE) f = holds(x, &s->expr, &more);
        if (f != GO || !more) break;
        f = run_body(x, &s->body);
        if (leaves(x, s, &f)) break;
    }
    return f;
}

static enum flow choose(struct doing *x, const statement *s) {
    for (uint32_t i = 0; i < s->arms.n; i++) {
        struct plpgsql_expr when = s->arms.p[i].when;
        bool yes;
        if (s->kind == PLPGSQL_CASE && s->expr.text.n)
            when.text = arena_fmt(x->d->mem, "(" STR_FMT ") in (" STR_FMT ")", STR_ARG(s->expr.text), STR_ARG(when.text));
        enum flow f = holds(x, &when, &yes);
        if (f != GO || yes) return f == GO ? run_body(x, &s->arms.p[i].body) : f;
    }
    if (s->kind == PLPGSQL_CASE && !s->has_else) return fail(x, "20000", STR("case not found"));
    return run_body(x, &s->body);
}

static enum flow leave(struct doing *x, const statement *s) {
    bool yes = true;
    enum flow f = s->expr.text.n ? holds(x, &s->expr, &yes) : GO;
    if (f != GO || !yes) return f;
    x->label = s->label;
    return s->kind == PLPGSQL_EXIT ? LEAVES : AGAIN;
}

static enum flow returns(struct doing *x, const statement *s) {
    enum flow f = x->is_call && s->expr.text.n ? value_of(x, &s->expr, x->f.returns, -1, &x->returned, NULL) : GO;
    return f == GO ? RETURNS : f;
}

static enum flow run(struct doing *x, const statement *s) {
    struct plpgsql_expr query;
    x->r.at = s->at;
    enum flow f = step(x);
    if (f != GO) return f;
    switch (s->kind) {
    case PLPGSQL_BLOCK: return block(x, s);
    case PLPGSQL_IF:
    case PLPGSQL_CASE: return choose(x, s);
    case PLPGSQL_LOOP:
    case PLPGSQL_WHILE: return loop_while(x, s);
    case PLPGSQL_FOR_INTEGER: return loop_integer(x, s);
    case PLPGSQL_FOR_QUERY: return loop_query(x, s);
    case PLPGSQL_FOREACH: return loop_each(x, s);
    case PLPGSQL_EXIT:
    case PLPGSQL_CONTINUE: return leave(x, s);
    case PLPGSQL_ASSIGN: return s->targets.n == 1 ? assign(x, &s->targets.p[0], &s->expr) : not_here(x, "an assignment");
    case PLPGSQL_SQL: return s->into ? select_into(x, s, &s->expr) : run_text(x, s->expr.text, s->expr.at);
    case PLPGSQL_PERFORM:
        query = (struct plpgsql_expr){arena_fmt(x->d->mem, "select " STR_FMT, STR_ARG(s->expr.text)), s->expr.at};
        set_found(x, true);
        return run_text(x, query.text, UINT32_MAX);
    case PLPGSQL_EXECUTE: return execute(x, s);
    case PLPGSQL_RAISE: return raise(x, s);
    case PLPGSQL_ASSERT: return assertion(x, s);
    case PLPGSQL_NULL: return GO;
    case PLPGSQL_RETURN: return returns(x, s);
    case PLPGSQL_GET: return not_here(x, "GET DIAGNOSTICS");
    case PLPGSQL_CURSOR: return not_here(x, "a cursor");
    case PLPGSQL_TRANSACTION: return not_here(x, "a transaction");
    case PLPGSQL_RETURN_NEXT:
    case PLPGSQL_RETURN_QUERY: break;
    }
    return fail(x, "42804", STR("cannot use RETURN in a DO block with a value"));
}

static enum flow run_body(struct doing *x, const plpgsql_body *body) {
    enum flow f = GO;
    for (uint32_t i = 0; f == GO && i < body->n; i++) f = run(x, body->p[i]);
    return f;
}

/* ---- functions that questions call ---- */

enum { CALLS_MAX = 16 }; /* in each other */

static bool is_value(const struct catalog_function *f) {
    bool ins = true;
    for (uint32_t i = 0; i < f->arguments.n; i++)
        ins &= f->arguments.p[i].mode == CATALOG_IN && f->arguments.p[i].type < PG_OWN_MIN;
    return sql_is_routine(f) && !f->set && ins && f->returns != PG_RECORD && f->returns < PG_OWN_MIN;
}

static enum flow run_function(struct doing *x, const struct db_value *args, uint32_t n) {
    struct plpgsql_tree tree;
    struct plpgsql_problem problem;
    struct sql_variables scope;
    if (x->ask->depth > CALLS_MAX) return fail(x, "54001", STR("stack depth limit exceeded"));
    if (!is_value(&x->f)) return not_here(x, "a call of such a function");
    if (!plpgsql_parse(x->d->mem, x->f.source, &tree, &problem)) return fail(x, problem.state, str_c(problem.message));
    x->r = (struct routine){.cx = &x->cx, .f = &x->f, .out = &x->out, .source = x->f.source};
    sql_routine_inside(&x->cx, &x->f);
    scope = (struct sql_variables){.conflict = (uint8_t)tree.conflict, .label = x->f.name};
    x->r.scope = &scope, x->cx.variables = &scope;
    sql_routine_variable(&x->r, STR("found"), PG_BOOL, -1, NULL);
    set_found(x, false);
    for (uint32_t i = 0; i < x->f.arguments.n; i++) {
        str number = arena_fmt(x->d->mem, "$%u", i + 1), name = x->f.arguments.p[i].name;
        for (uint32_t k = 0; k < 2; k++)
            if (!k || name.n)
                put(x, sql_routine_variable(&x->r, k ? name : number, x->f.arguments.p[i].type, -1, NULL)->place,
                    i < n ? kept(x, args[i]) : DB_NOTHING);
    }
    enum flow f = run(x, tree.block);
    if (f == GO && x->f.returns != PG_VOID) return fail(x, "2F005", STR("control reached end of function without RETURN"));
    return f;
}

/* query_call(function, as whom, arguments …): read as a block is, over the same catalogue; it changes nothing. */
static void call_here(struct db_call *call, void *arg, const struct db_value *args, uint32_t n) {
    struct sql_asking *a = arg;
    struct doing *outer = a->at;
    struct doing x = {.d = a->d, .ask = a, .is_call = true, .outer = outer->outer, .bytes = outer->bytes, .steps = outer->steps};
    bool strict = false;
    x.cx = sql_context_of(a->d);
    for (uint32_t i = 0; n >= 2 && i < a->d->c->functions.n; i++)
        if (a->d->c->functions.p[i].id == args[0].i) x.f = a->d->c->functions.p[i];
    for (uint32_t i = 2; i < n; i++) strict |= x.f.strict && args[i].kind == DB_NULL;
    a->depth++;
    enum flow f = strict ? GO : run_function(&x, args + MIN(n, 2u), n - MIN(n, 2u));
    a->depth--;
    outer->steps = x.steps;
    a->raised = (struct pg_error){0};
    if (f != FAILED) return db_answer(call, strict || x.f.returns == PG_VOID ? DB_NOTHING : x.returned);
    a->unknown |= x.unknown;
    a->raised.set = true;
    snprintf(a->raised.state, sizeof a->raised.state, "%s", x.failed.state);
    snprintf(a->raised.message, sizeof a->raised.message, STR_FMT, STR_ARG(x.failed.message));
    db_refuse(call, STR("a function failed"));
}

/* ---- what is in a block ---- */

enum { READS, WRITES = 1, EXECUTES = 2, DEFINES = 4 };

/* A statement's first word. */
static str word_of(str text) {
    size_t i = 0, from;
    for (;;) {
        while (i < text.n && strchr(" \t\r\n(", text.p[i])) i++;
        if (i + 1 < text.n && text.p[i] == '-' && text.p[i + 1] == '-')
            while (i < text.n && text.p[i] != '\n') i++;
        else if (i + 1 < text.n && text.p[i] == '/' && text.p[i + 1] == '*') {
            for (i += 2; i + 1 < text.n && (text.p[i] != '*' || text.p[i + 1] != '/'); i++) {}
            i += 2;
        } else break;
    }
    for (from = i; i < text.n && ((text.p[i] | 32) >= 'a' && (text.p[i] | 32) <= 'z'); i++) {}
    return str_sub(text, from, i - from);
}

static uint32_t nature_of_sql(str text) {
    static const char *const reads[] = {"select", "with", "values", "table", "set"}, *const writes[] = {"insert", "update",
                                                                                                        "delete", "merge",
                                                                                                        "call"};
    str word = word_of(text);
    for (size_t i = 0; i < ARRAY_COUNT(reads); i++)
        if (str_eq_nocase(word, str_c(reads[i]))) return i == 1 ? WRITES : READS;
    for (size_t i = 0; i < ARRAY_COUNT(writes); i++)
        if (str_eq_nocase(word, str_c(writes[i]))) return WRITES;
    return DEFINES;
}

/* EXECUTE 'update …' || …, format('insert …', …): by the first literal's first word. */
static uint32_t nature_of_text(str expr) {
    size_t at = str_find(expr, '\'');
    uint32_t n = at < expr.n ? nature_of_sql(str_sub(expr, at + 1, expr.n)) : DEFINES;
    return n == DEFINES ? EXECUTES : WRITES;
}

static uint32_t nature_of_body(const plpgsql_body *body);

static uint32_t nature_of(const statement *s) {
    uint32_t n = nature_of_body(&s->body) | (s->dynamic ? nature_of_text(s->expr.text) : READS);
    for (uint32_t i = 0; i < s->arms.n; i++) n |= nature_of_body(&s->arms.p[i].body);
    for (uint32_t i = 0; i < s->handlers.n; i++) n |= nature_of_body(&s->handlers.p[i].body);
    switch (s->kind) {
    case PLPGSQL_SQL: return n | nature_of_sql(s->expr.text);
    case PLPGSQL_FOR_QUERY: return n | (s->dynamic ? READS : nature_of_sql(s->expr.text));
    case PLPGSQL_PERFORM: return n | WRITES;
    case PLPGSQL_EXECUTE: return n | nature_of_text(s->expr.text);
    default: return n;
    }
}

static uint32_t nature_of_body(const plpgsql_body *body) {
    uint32_t n = READS;
    for (uint32_t i = 0; i < body->n; i++) n |= nature_of(body->p[i]);
    return n;
}

/* ---- the statement ---- */

/* As a location in the statement's tree; -1: not known. */
static int32_t location_of(const struct sql_ddl *d, uint64_t body, uint32_t at) {
    return body && d->statement ? (int32_t)(body + at - d->statement->base) : -1;
}

static err refuse(struct doing *x, uint32_t nature) {
    struct sql_ddl *d = x->d;
    const struct failure *f = &x->failed;
    str text, instead;
    bool hint = str_cut(f->message, '\n', &text, &instead), rows = x->unknown && nature & DEFINES;
    return sql_refuse_at(
        d, location_of(d, x->body, x->failed_at), f->state,
        hint   ? arena_cstr(d->mem, instead)
        : rows ? "what a block defines is decided while the migrations are read, without rows: write what needs them as a "
                 "block of its own, or write the statements themselves"
        : !strcmp(f->state, "0A000") ? "write the statements themselves"
                                     : NULL,
        STR_FMT " (in a DO block)", STR_ARG(text));
}

static void note_routine(struct sql_ddl *d, const struct catalog_routine *r);

/* As a function that is called at its place. */
static err run_in_store(struct sql_ddl *d, str source, uint64_t body) {
    struct sql_context cx = sql_context_of(d);
    struct catalog_function f = sql_step_function(d, source);
    cx.variables = NULL;
    sql_flush(d);
    err e = sql_compile_routine(&cx, &f, NULL, NULL, &f.routine);
    bool lacks = cx.problem.set && (!strcmp(cx.problem.state, "0A000") || !strcmp(cx.problem.state, "54001"));
    if (e != ERR_OK || lacks) {
        cx.problem.location = cx.problem.location < 0 ? -1 : location_of(d, body, (uint32_t)cx.problem.location);
        return sql_refuse_problem(d, &cx);
    }
    note_routine(d, &f.routine);
    for (uint32_t i = 0; i < f.routine.statements.n; i++) sql_note_recorded(d, &f.routine.statements.p[i]);
    sql_step_call(d, f);
    return ERR_OK;
}

static uint64_t place_of(const struct sql_ddl *d, str source) {
    str file = d->file->text;
    const uint8_t *at =
        source.n && d->statement
            ? memmem(file.p + d->statement->offset, MIN(d->statement->bytes, file.n - d->statement->offset), source.p, source.n)
            : NULL;
    return at ? (uint64_t)(at - file.p) : 0;
}

err sql_do_block_run(struct sql_ddl *d, str source) {
    struct plpgsql_tree tree;
    struct plpgsql_problem problem;
    struct sql_variables scope;
    struct doing x = {
        .d = d, .ask = asking_of(d), .outer = d->statement, .bytes = arena_bytes(d->mem), .body = place_of(d, source)};
    uint32_t notes = d->report->notes.n;
    if (!plpgsql_parse(d->mem, source, &tree, &problem))
        return sql_refuse_at(d, location_of(d, x.body, problem.at), problem.state, NULL, "%s", problem.message);
    if (!x.ask) return sql_refuse_at(d, -1, "53200", NULL, "out of memory");
    uint32_t nature = nature_of(tree.block);
    if (nature == WRITES) return run_in_store(d, source, x.body);
    x.cx = sql_context_of(d);
    x.f = (struct catalog_function){
        .name = STR("inline_code_block"), .language = STR("plpgsql"), .source = source, .returns = PG_VOID};
    x.r = (struct routine){.cx = &x.cx, .f = &x.f, .out = &x.out, .source = source};
    scope = (struct sql_variables){.conflict = tree.conflict};
    x.r.scope = &scope, x.cx.variables = &scope;
    sql_routine_variable(&x.r, STR("found"), PG_BOOL, -1, NULL);
    set_found(&x, false);
    if (run(&x, tree.block) != FAILED) return ERR_OK;
    if (!x.unknown || nature & DEFINES || x.effects) return refuse(&x, nature);
    d->report->notes.n = notes; /* what it raised is raised again */
    return run_in_store(d, source, x.body);
}

/* As a block of nothing else. */
err sql_do_call(struct sql_ddl *d, const PgQuery__Node *node_) {
    if (d->engine == CATALOG_POSTGRES) return ERR_OK;
    d->all_filled = true;
    return run_in_store(d, arena_fmt(d->mem, "BEGIN " STR_FMT "; END", STR_ARG(sql_statement_text(d->mem, node_))), 0);
}

/* ---- what is known of rows ---- */

/* A query, which rows of an insert come from, that reads what is empty: does it give any? */
static bool gives_rows(struct sql_ddl *d, const PgQuery__InsertStmt *s) {
    const PgQuery__SelectStmt *select = s->select_stmt ? s->select_stmt->select_stmt : NULL;
    struct doing x = {.d = d, .ask = asking_of(d)};
    struct sql_context cx = sql_context_of(d);
    struct catalog_fragment f;
    struct answer a;
    struct buf b = {0};
    if (!select || !select->n_from_clause || s->with_clause || !x.ask) return true;
    if (sql_translate_query(&cx, select, NULL, 0, &f, NULL) != ERR_OK) return true;
    buf_puts(&b, STR("select 1 from ("));
    bool known = put_known(d, f.text, d->places, d->places_n, 0, &b) && buf_puts(&b, STR(") limit 1"));
    bool none = known && ask(&x, arena_str(d->mem, buf_str(&b)), &a) == GO && !a.rows;
    buf_free(&b);
    return !none;
}

/* What a block writes has rows from then on, as far as that is known. */
static void note_routine(struct sql_ddl *d, const struct catalog_routine *r) {
    for (uint32_t i = 0; i < r->statements.n; i++) {
        const struct catalog_fragment *f = &r->statements.p[i];
        struct catalog_mark m = {0};
        d->all_filled |= f->calls.n != 0;
        while (f->flags & CATALOG_WRITES && catalog_mark_next(f->text, m.end, &m)) {
            const struct catalog_relation *to = m.kind == 'R' || m.kind == 'B' ? catalog_relation_of(d->c, m.id) : NULL;
            if (!to) continue;
            d->all_filled |= to->kind == CATALOG_VIEW || to->triggers.n;
            if (!catalog_ids_have(&d->filled, to->id)) vec_push(d->mem, &d->filled, to->id);
        }
    }
}

void sql_note_rows(struct sql_ddl *d, const PgQuery__Node *node, str fragment) {
    const PgQuery__RangeVar *var = node->node_case == PG_QUERY__NODE__NODE_INSERT_STMT   ? node->insert_stmt->relation
                                   : node->node_case == PG_QUERY__NODE__NODE_UPDATE_STMT ? node->update_stmt->relation
                                   : node->node_case == PG_QUERY__NODE__NODE_DELETE_STMT ? node->delete_stmt->relation
                                                                                         : NULL;
    const struct catalog_relation *r = var ? sql_relation_of(d, var) : NULL;
    static const char call[] = "query_"; /* of PL/pgSQL's, whatever that does */
    if ((var && (!r || r->kind != CATALOG_TABLE)) || memmem(fragment.p, fragment.n, call, sizeof call - 1)) d->all_filled = true;
    if (d->all_filled || !r || is_empty(d, r)) {
        if (d->all_filled || !r) return;
        if (node->node_case != PG_QUERY__NODE__NODE_INSERT_STMT || !gives_rows(d, node->insert_stmt)) return;
        vec_push(d->mem, &d->filled, r->id);
    }
    d->all_filled |= r->triggers.n != 0; /* they may write to any */
}
