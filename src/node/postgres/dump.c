/* dump: rows as INSERT statements, tables that others refer to first: all of them at once, of one moment; or a piece, for who takes them elsewhere while nothing is written (control/move.c).
 *
 *   a piece: table, place ──rows behind that place, so many that they are some MiB──> … ──it is full──> "-- next TABLE PLACE", its rows
 *                                                                                └──no table is left──> "-- last", its rows, where sequences stand
 *
 * A place is a row's ctid: none of them changes while it is read alone. */
#include "node/postgres/broker.h"

enum {
    DUMP_ROWS = 100 /* in a statement */,
    DUMP_MS = 600'000,
    ANSWER_BYTES_MAX = 64 << 20,
    ASK_BYTES = 4 << 20,
    ASK_BYTES_MAX = 32 << 20,
    ASK_ROWS = 200,
    ASK_ROWS_MAX = 20'000
};

struct dump {
    struct broker_errand *errand;
    struct broker_made *made;
    const struct catalog *c;
    VEC(struct postgres_statement) s; /* of the whole */
    VEC(const struct catalog_relation *) tables;
    struct buf out;
    size_t statement; /* where the last one begins, which has so many rows; 0 rows: none is open */
    uint32_t in_statement;
    /* Of a piece: */
    bool pieces;
    uint32_t at, limit;
    str place;
};

static void over(struct dump *u, err e) {
    struct broker_errand *w = u->errand;
    buf_free(&u->out);
    node_made_unref(u->made);
    node_errand_over(w, e);
}

static err failed(struct dump *u, const struct postgres_answer *a) {
    const struct postgres_error *e = postgres_error(a);
    if (postgres_outcome(a) == POSTGRES_ERROR)
        return diag_set(&u->errand->d, ERR_INVALID, DIAG_NOWHERE, "%s: %.600s", e->state, e->message);
    return diag_set(&u->errand->d, ERR_CLOSED, DIAG_NOWHERE, "the database system is not there at the moment: nothing was done");
}

static bool is_large(const struct postgres_answer *a) {
    return postgres_outcome(a) == POSTGRES_ERROR && !strcmp(postgres_error(a)->state, "54000");
}

/* ---- text ---- */

static void put_quoted(struct buf *to, str s) {
    buf_putc(to, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"') buf_putc(to, '"');
        buf_putc(to, s.p[i]);
    }
    buf_putc(to, '"');
}

static void put_relation(const struct catalog *c, const struct catalog_relation *r, struct buf *to) {
    const struct catalog_schema *s = catalog_schema_of(c, r->schema);
    put_quoted(to, s ? s->name : STR("public"));
    buf_putc(to, '.');
    put_quoted(to, r->name);
}

static bool has_columns(const struct catalog_relation *r) {
    for (uint32_t i = 0; i < r->columns.n; i++)
        if (!r->columns.p[i].generated) return true;
    return false;
}

/* select '(' || quote_nullable("a"::text) || … || ')', its place, from t: a row as it stands in an INSERT. */
static str select_of(struct dump *u, const struct catalog_relation *r) {
    struct buf b = {0};
    bool any = false;
    buf_puts(&b, STR("select '('"));
    for (uint32_t i = 0; i < r->columns.n; i++) {
        if (r->columns.p[i].generated) continue;
        buf_puts(&b, any ? STR(" || ', ' || pg_catalog.quote_nullable(") : STR(" || pg_catalog.quote_nullable("));
        put_quoted(&b, r->columns.p[i].name);
        buf_puts(&b, STR("::pg_catalog.text)"));
        any = true;
    }
    buf_puts(&b, u->pieces ? STR(" || ')', ctid::pg_catalog.text as _orlo_place from only ") : STR(" || ')' from only "));
    put_relation(u->c, r, &b);
    str text = arena_str(u->errand->mem, buf_str(&b));
    buf_free(&b);
    return text;
}

static void put_head(struct buf *to, const struct catalog *c, const struct catalog_relation *r) {
    bool any = false, always = false;
    buf_puts(to, STR("insert into "));
    put_relation(c, r, to);
    for (uint32_t i = 0; i < r->columns.n; i++) {
        if (r->columns.p[i].generated) continue;
        buf_puts(to, any ? STR(", ") : STR(" ("));
        put_quoted(to, r->columns.p[i].name);
        any = true;
        always |= r->columns.p[i].identity == CATALOG_IDENTITY_ALWAYS;
    }
    buf_puts(to, always ? STR(") overriding system value values\n") : STR(") values\n"));
}

static void close_statement(struct dump *u) {
    if (u->in_statement) buf_puts(&u->out, STR(";\n"));
    u->in_statement = 0;
}

static void put_row(struct dump *u, const struct catalog_relation *r, str row) {
    if (u->in_statement == DUMP_ROWS || u->out.n - u->statement + row.n > MIGRATION_STATEMENT_BYTES) close_statement(u);
    if (u->in_statement) buf_puts(&u->out, STR(",\n"));
    else u->statement = u->out.n, put_head(&u->out, u->c, r);
    buf_puts(&u->out, row);
    u->in_statement++;
}

static void end_table(struct dump *u) {
    bool any = u->in_statement;
    close_statement(u);
    if (any) buf_putc(&u->out, '\n');
}

/* Those that others refer to come first, as far as they do not refer to each other. depth: of a chain of keys. */
static void list_after(struct dump *u, const struct catalog_relation *r, uint8_t *seen, uint32_t depth) {
    size_t at = (size_t)(r - u->c->relations.p);
    if (seen[at] || r->kind != CATALOG_TABLE) return;
    seen[at] = 1;
    for (uint32_t i = 0; i < r->constraints.n && depth < 200; i++) {
        const struct catalog_relation *to =
            r->constraints.p[i].kind == CATALOG_FOREIGN ? catalog_relation_of(u->c, r->constraints.p[i].reference) : NULL;
        if (to) list_after(u, to, seen, depth + 1);
    }
    if (has_columns(r)) vec_push(u->errand->mem, &u->tables, r);
}

/* For who copies it into a database that the same migrations have been run on: what they put there goes first. */
static void empty_first(struct dump *u) {
    for (uint32_t i = u->c->relations.n; i-- > 0;) {
        if (u->c->relations.p[i].kind != CATALOG_TABLE) continue;
        buf_puts(&u->out, STR("delete from "));
        put_relation(u->c, &u->c->relations.p[i], &u->out);
        buf_puts(&u->out, STR(";\n"));
    }
}

static const char sequences[] =
    "select pg_catalog.format('select pg_catalog.setval(%L, %s, %L);', pg_catalog.format('%I.%I', schemaname, sequencename), "
    "coalesce(last_value, start_value), last_value is not null) from pg_catalog.pg_sequences where schemaname <> '_orlo' "
    "order by 1";

static void put_sequences(struct dump *u, const struct postgres_answer *a, uint32_t statement) {
    for (uint32_t i = 0; i < postgres_rows(a, statement); i++) {
        buf_puts(&u->out, postgres_value(a, statement, i, 0, NULL));
        buf_putc(&u->out, '\n');
    }
}

static void ask(struct dump *u, const struct postgres_statement *s, uint32_t n, uint64_t bytes_max, postgres_told told) {
    (void)postgres_ask(
        u->errand->base->owner,
        &(struct postgres_question){.statements = s, .count = n, .ms_max = DUMP_MS, .bytes_max = bytes_max, .undone = true}, told,
        u);
}

/* ---- all of it ---- */

static void on_dumped(void *arg, const struct postgres_answer *a) {
    struct dump *u = arg;
    if (postgres_outcome(a) != POSTGRES_DONE) {
        over(u, is_large(a) ? diag_set(&u->errand->d, ERR_LIMIT, DIAG_NOWHERE, "the rows are more than %d MiB as SQL",
                                       ANSWER_BYTES_MAX >> 20)
                            : failed(u, a));
        return;
    }
    for (uint32_t i = 0; i < u->tables.n; i++) {
        for (uint32_t row = 0; row < postgres_rows(a, 1 + i); row++)
            put_row(u, u->tables.p[i], postgres_value(a, 1 + i, row, 0, NULL));
        end_table(u);
    }
    put_sequences(u, a, 1 + u->tables.n);
    over(u, node_errand_say(u->errand, buf_str(&u->out)));
}

static void dump_all(struct dump *u) {
    arena *mem = u->errand->mem;
    vec_push(mem, &u->s,
             ((struct postgres_statement){.text = STR("set transaction isolation level repeatable read, read only")}));
    for (uint32_t i = 0; i < u->tables.n; i++)
        vec_push(mem, &u->s, ((struct postgres_statement){.text = select_of(u, u->tables.p[i])}));
    vec_push(mem, &u->s, ((struct postgres_statement){.text = str_c(sequences)}));
    ask(u, u->s.p, u->s.n, ANSWER_BYTES_MAX, on_dumped);
}

/* ---- a piece ---- */

static void say_piece(struct dump *u, bool last) {
    struct buf all = {0};
    end_table(u);
    if (last) buf_puts(&all, STR("-- last\n"));
    else buf_printf(&all, "-- next %u " STR_FMT "\n", u->at, STR_ARG(u->place));
    buf_puts(&all, buf_str(&u->out));
    err e = node_errand_say(u->errand, buf_str(&all));
    buf_free(&all);
    over(u, e);
}

static void on_sequences(void *arg, const struct postgres_answer *a) {
    struct dump *u = arg;
    if (postgres_outcome(a) != POSTGRES_DONE) {
        over(u, failed(u, a));
        return;
    }
    put_sequences(u, a, 0);
    say_piece(u, true);
}

static void ask_rows(struct dump *u);

/* So many rows as make some MiB, by those that came. */
static void on_some(void *arg, const struct postgres_answer *a) {
    struct dump *u = arg;
    const struct catalog_relation *r = u->tables.p[u->at];
    uint32_t rows = postgres_rows(a, 0);
    if (is_large(a) && u->limit > 1) {
        u->limit = MAX(1u, u->limit / 16);
        ask_rows(u);
        return;
    }
    if (postgres_outcome(a) != POSTGRES_DONE) {
        over(u, is_large(a) ? diag_set(&u->errand->d, ERR_LIMIT, DIAG_NOWHERE, "a row of " STR_FMT " has more than %d MiB as SQL",
                                       STR_ARG(r->name), ASK_BYTES_MAX >> 20)
                            : failed(u, a));
        return;
    }
    size_t before = u->out.n;
    for (uint32_t i = 0; i < rows; i++) put_row(u, r, postgres_value(a, 0, i, 0, NULL));
    if (rows) u->place = arena_str(u->errand->mem, postgres_value(a, 0, rows - 1, 1, NULL));
    bool through = rows < u->limit;
    if (rows)
        u->limit = (uint32_t)MIN(MAX((uint64_t)ASK_BYTES * rows / (u->out.n - before + 1), (uint64_t)1), (uint64_t)ASK_ROWS_MAX);
    if (through) {
        end_table(u);
        u->at++, u->place = STR("-"), u->limit = ASK_ROWS;
    }
    if (u->out.n > MIGRATION_PIECE_BYTES && u->at < u->tables.n) say_piece(u, false);
    else ask_rows(u);
}

static void ask_rows(struct dump *u) {
    arena *mem = u->errand->mem;
    if (!u->errand->base->owner) {
        over(u, diag_set(&u->errand->d, ERR_CLOSED, DIAG_NOWHERE, "the database system ended meanwhile"));
        return;
    }
    if (u->at >= u->tables.n) {
        const struct postgres_statement s = {.text = str_c(sequences)};
        ask(u, &s, 1, MiB, on_sequences);
        return;
    }
    struct postgres_value *v = arena_array(mem, struct postgres_value, 2);
    v[0] = (struct postgres_value){.text = str_eqc(u->place, "-") ? STR("(0,0)") : u->place};
    v[1] = (struct postgres_value){.text = arena_fmt(mem, "%u", u->limit)};
    const struct postgres_statement s = {
        .text = arena_fmt(mem, STR_FMT " where ctid > $1::pg_catalog.tid order by ctid limit $2::pg_catalog.int4",
                          STR_ARG(select_of(u, u->tables.p[u->at]))),
        .values = v,
        .count = 2};
    ask(u, &s, 1, ASK_BYTES_MAX, on_some);
}

/* "postgres 3 (0,17)": the fourth table goes on behind that row; "-": at its first. */
static err read_piece(struct dump *u, str in) {
    str engine, table, rest;
    uint64_t n = 0;
    if (!in.n) return ERR_OK;
    str_cut(in, ' ', &engine, &rest), str_cut(rest, ' ', &table, &u->place);
    u->pieces = true, u->limit = ASK_ROWS;
    if (!str_to_u64(table, &n) || n > UINT32_MAX || !u->place.n)
        return diag_set(&u->errand->d, ERR_MALFORMED, DIAG_NOWHERE, "no piece");
    u->at = (uint32_t)n;
    if (str_eqc(engine, "postgres")) buf_puts(&u->out, STR("set local session_replication_role = replica;\n"));
    if (!n && str_eqc(u->place, "-")) empty_first(u);
    return ERR_OK;
}

/* As the owner: what he made is run by nobody above him. */
void node_dump_begin(struct broker_errand *w) {
    struct broker_base *b = w->base;
    if (!b->made) {
        node_errand_over(w, ERR_OK);
        return;
    }
    struct dump *u = arena_make(w->mem, struct dump);
    str in;
    *u = (struct dump){.errand = w, .made = b->made, .c = b->made->catalog};
    u->made->users++;
    uint8_t *seen = arena_alloc(w->mem, u->c->relations.n + 1, 1);
    memset(seen, 0, u->c->relations.n + 1);
    err e = node_fd_bytes(w->mem, w->in, 64, &in, &w->d);
    if (e == ERR_OK) e = read_piece(u, in);
    if (e != ERR_OK) {
        over(u, e);
        return;
    }
    for (uint32_t i = 0; i < u->c->relations.n; i++) list_after(u, &u->c->relations.p[i], seen, 0);
    b->owner = node_base_connect(b, "postgres", "postgres", 1);
    if (u->pieces) ask_rows(u);
    else dump_all(u);
}
