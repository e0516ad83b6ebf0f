/* Expressions of a body without a statement: random texts and values, evaluated here and by SQLite: the same value to the byte, or the same error.
 *
 *   ORLO_SEED=7 scalar_test       another run's; what differs is printed with its values */
#include "base/base.h" /* first */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "query/query_int.h"

enum { PLACES = 6, DEPTH = 4 };

struct world {
    arena *mem;
    struct db *db;
    struct query_conn *conn;
    uint64_t seed;
    struct buf text;
    struct query_place places[PLACES];
    struct query_places names;
    bool halts; /* something in it is not evaluated in any case */
};

static uint32_t pick(struct world *w, uint32_t n) {
    w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(w->seed >> 33) % n;
}

/* ---- values ---- */

static struct db_value value(struct world *w, char type) {
    static const int64_t integers[] = {0,
                                       1,
                                       -1,
                                       2,
                                       7,
                                       32767,
                                       -32768,
                                       2147483647,
                                       -2147483648LL,
                                       4294967296,
                                       INT64_MAX,
                                       INT64_MIN,
                                       INT64_MIN + 1,
                                       9007199254740993};
    static const double floats[] = {
        0.0, -0.0, 1.5, -2.25, 0.1, 1e300, -1e300, 5e-324, 1e-200, 9007199254740992.0, 9223372036854775807.0, 2147483648.0};
    static const char *const texts[] = {"", "a", "A", "ab", "b", "1", "1.0", "10", "-5", "\xc3\xa4", "zz'y"};
    static const char *const numerics[] = {"0", "1", "1.0", "-1", "10", "9.99", "123456789012345678901234567890", "-0.001"};
    if (!pick(w, 8)) return DB_NOTHING;
    switch (type) {
    case 'i': return DB_I64(pick(w, 2) ? integers[pick(w, ARRAY_COUNT(integers))] : (int64_t)pick(w, 100) - 50);
    case 'f': return DB_F64(floats[pick(w, ARRAY_COUNT(floats))]);
    case 't': return DB_TEXT(str_c(texts[pick(w, ARRAY_COUNT(texts))]));
    case 'n': return DB_TEXT(str_c(numerics[pick(w, ARRAY_COUNT(numerics))]));
    default: return DB_I64(pick(w, 2));
    }
}

/* ---- texts: i integers, f floats, t text, n numeric, b truth ---- */

static const char place_types[PLACES] = {'i', 'i', 'f', 't', 'n', 'b'};

static void make(struct world *w, char type, uint32_t depth);

static void leaf(struct world *w, char type) {
    uint32_t at = pick(w, PLACES);
    for (uint32_t i = 0; i < PLACES && place_types[at] != type; i++) at = (at + 1) % PLACES;
    if (pick(w, 3)) {
        buf_printf(&w->text, "?%u", at + 1);
        return;
    }
    struct db_value v = value(w, type);
    if (v.kind == DB_NULL) buf_puts(&w->text, STR("null"));
    else if (v.kind == DB_INTEGER && v.i != INT64_MIN) buf_printf(&w->text, "%lld", (long long)v.i);
    else if (v.kind == DB_TEXTUAL && !memchr(v.s.p, '\'', v.s.n + 1)) buf_printf(&w->text, "'" STR_FMT "'", STR_ARG(v.s));
    else if (type == 'f') buf_puts(&w->text, STR("pg_float8_of_numeric('2.5')"));
    else buf_puts(&w->text, STR("1"));
}

/* %i and so on: one of that type, a level down. */
static void fill(struct world *w, const char *form, uint32_t depth) {
    for (; *form; form++) {
        if (*form == '%') make(w, *++form, depth + 1);
        else buf_putc(&w->text, (uint8_t)*form);
    }
}

static void make(struct world *w, char type, uint32_t depth) {
    static const char *const integers[] = {"pg_int4_add(%i, %i)",
                                           "pg_int8_mul(%i, %i)",
                                           "pg_int8_sub(%i, %i)",
                                           "pg_int4_div(%i, %i)",
                                           "pg_int8_mod(%i, %i)",
                                           "pg_int2_add(%i, %i)",
                                           "pg_int8_div(%i, %i)",
                                           "case when %b then %i else %i end",
                                           "coalesce(%i, %i)",
                                           "(%i & %i)",
                                           "(~%i)",
                                           "(- %i)",
                                           "pg_length(%t)",
                                           "nullif(%i, %i)",
                                           "case %i when %i then %i when 7 then %i end",
                                           "(%i | %i)",
                                           "pg_int4_of_int(%i)",
                                           "cast(%b as integer)"};
    static const char *const floats[] = {"pg_float8_add(%f, %f)",   "pg_float8_mul(%f, %f)", "pg_float8_sub(%f, %f)",
                                         "pg_float8_div(%f, %f)",   "pg_float8_of_int(%i)",  "coalesce(%f, %f)",
                                         "case when %b then %f end"};
    static const char *const texts[] = {"pg_textcat(%t, %t)", "%t || %t",          "cast(%i as text)",
                                        "pg_upper(%t)",       "coalesce(%t, 'x')", "case when %b then %t else 'o''k' end",
                                        "(%i || ',' || %t)",  "pg_left(%t, %i)"};
    static const char *const numerics[] = {"pg_numeric_add(%n, %n)", "pg_numeric_mul(%n, %n)", "coalesce(%n, %n)"};
    static const char *const truths[] = {"(%i < %i)",
                                         "(%i = %i)",
                                         "(%f >= %f)",
                                         "(%t <> %t)",
                                         "(%b and %b)",
                                         "(%b or %b)",
                                         "(not %b)",
                                         "(%i is null)",
                                         "(%t is not null)",
                                         "(%i is %i)",
                                         "(%t is not %t)",
                                         "(%i in (%i, 1, %i))",
                                         "(%t not in ('a', %t))",
                                         "(%i between %i and %i)",
                                         "(%i != %f)",
                                         "(%b and %b or %b)",
                                         "not %b and %b",
                                         "%i = %i and %t < %t",
                                         "(%i not between %i and %i)",
                                         "(%f is not null) = %b"};
    const char *form;
    if (depth >= DEPTH || !pick(w, 4)) {
        leaf(w, type);
        return;
    }
    switch (type) {
    case 'i': form = integers[pick(w, ARRAY_COUNT(integers))]; break;
    case 'f': form = floats[pick(w, ARRAY_COUNT(floats))]; break;
    case 't': form = texts[pick(w, ARRAY_COUNT(texts))]; break;
    case 'n': form = numerics[pick(w, ARRAY_COUNT(numerics))]; break;
    default: form = truths[pick(w, ARRAY_COUNT(truths))]; break;
    }
    w->halts |= strstr(form, " and ") || strstr(form, " or ") || strstr(form, " in (") || strstr(form, "between") ||
                strstr(form, "coalesce") || strstr(form, "case");
    fill(w, form, depth);
}

/* ---- both ---- */

static bool by_sqlite(struct world *w, str text, struct db_value *out, char state[static 16]) {
    struct db_value values[PLACES];
    struct db_rows *rows;
    struct diag d = DIAG_INIT;
    str sql = arena_fmt(w->mem, "select " STR_FMT, STR_ARG(text));
    for (uint32_t i = 0; i < PLACES; i++) values[i] = w->places[i].v;
    uint32_t n = 0; /* SQLite counts to the highest number that is met */
    for (size_t i = 0; i + 1 < text.n; i++)
        if (text.p[i] == '?') n = MAX(n, (uint32_t)(text.p[i + 1] - '0'));
    w->conn->raised = (struct pg_error){0};
    err e = db_query_values(w->db, sql, values, n, &rows, &d);
    if (e == ERR_OK) {
        *out = db_next(rows) ? db_value(rows, 0) : DB_NOTHING;
        if (out->kind >= DB_TEXTUAL) out->s = arena_str(w->mem, out->s);
        e = db_end(rows, &d);
    }
    snprintf(state, 16, "%s", e == ERR_OK ? "" : w->conn->raised.set ? w->conn->raised.state : "?");
    return e == ERR_OK;
}

static err by_us(struct world *w, const struct query_scalar *s, struct db_value *out, char state[static 16]) {
    struct diag d = DIAG_INIT;
    w->conn->raised = (struct pg_error){0};
    err e = query_scalar_run(w->conn, s, w->places, w->mem, out, &d);
    snprintf(state, 16, "%s", e == ERR_OK ? "" : w->conn->raised.set ? w->conn->raised.state : "?");
    return e;
}

static bool is_same(const struct db_value *a, const struct db_value *b) {
    if (a->kind != b->kind) return false;
    if (a->kind >= DB_TEXTUAL) return str_eq(a->s, b->s);
    return a->kind == DB_NULL || (a->kind == DB_INTEGER ? a->i == b->i : !memcmp(&a->f, &b->f, sizeof a->f));
}

static void tell(struct world *w, str text, const char *ours, const char *theirs, const struct db_value *a,
                 const struct db_value *b) {
    print_message(STR_FMT "\n  here %s%d %lld, SQLite %s%d %lld\n", STR_ARG(text), ours, a->kind, (long long)a->i, theirs,
                  b->kind, (long long)b->i);
    for (uint32_t i = 0; i < PLACES; i++) {
        struct db_value v = w->places[i].v;
        if (v.kind == DB_TEXTUAL) print_message("  ?%u '" STR_FMT "'\n", i + 1, STR_ARG(v.s));
        else if (v.kind == DB_REAL) print_message("  ?%u %.17g\n", i + 1, v.f);
        else print_message("  ?%u %s%lld\n", i + 1, v.kind == DB_NULL ? "null " : "", (long long)v.i);
    }
}

static void as_sqlite_does(void **state) {
    static struct world w;
    struct diag d = DIAG_INIT;
    uint32_t scalars = 0, failures = 0, differ = 0, given_up = 0;
    const char *seed = getenv("ORLO_SEED");
    enum { TRIES = 6000 };
    (void)state;
    w.mem = arena_new(0);
    w.seed = seed ? strtoull(seed, NULL, 10) : 1;
    assert_int_equal(db_open(&(struct db_options){.name = ":memory:", .create = true}, &w.db, &d), ERR_OK);
    assert_int_equal(query_conn_new(w.db, catalog_new(w.mem, CATALOG_SQLITE), &(struct query_options){0}, &w.conn, &d), ERR_OK);
    struct pg_session session = {.role = STR("nobody"), .mem = w.mem};
    query_conn_begin(w.conn, &session);
    for (uint32_t i = 0; i < PLACES; i++) vec_push(w.mem, &w.names.list, i);
    for (uint32_t i = 0; i < TRIES; i++) {
        struct db_value mine = DB_NOTHING, theirs = DB_NOTHING;
        char my_state[16], their_state[16];
        w.text.n = 0, w.halts = false;
        for (uint32_t k = 0; k < PLACES; k++) w.places[k].v = value(&w, place_types[k]);
        make(&w, "iftnb"[pick(&w, 5)], 0);
        str text = arena_str(w.mem, buf_str(&w.text));
        const struct query_scalar *s = query_scalar_new(w.mem, w.db, text, &w.names);
        if (!s) fail_msg("no scalar: " STR_FMT, STR_ARG(text));
        scalars++;
        err e = by_us(&w, s, &mine, my_state);
        bool ok = by_sqlite(&w, text, &theirs, their_state);
        if (e == ERR_UNSUPPORTED) {
            given_up++;
            continue;
        }
        failures += e != ERR_OK;
        if (w.halts && (e != ERR_OK || !ok))
            continue; /* SQLite looks at both sides, the last one first, or at the one that is a constant */
        if ((e == ERR_OK) == ok && !strcmp(my_state, their_state) && (!ok || is_same(&mine, &theirs))) continue;
        if (differ++ < 10) tell(&w, text, my_state, their_state, &mine, &theirs);
    }
    print_message("%u expressions, %u refused, %u left to a statement\n", scalars, failures, given_up);
    assert_int_equal(differ, 0);
    assert_true(failures > TRIES / 50 && given_up < TRIES / 5);
    buf_free(&w.text);
    query_conn_free(w.conn);
    db_close(w.db);
    arena_free(w.mem);
}

/* A collation is its comparison's alone, which SQLite hands on to what stands around. */
static void collations(void **state) {
    static const struct {
        const char *text;
        int64_t gives;
    } rows[] = {{"(?1 collate numeric = '1')", 1},
                {"?1 = '1'", 0},
                {"'1' = ?1 collate numeric", 1},
                {"'10' > '9' collate numeric", 1},
                {"'10' > '9'", 0},
                {"(case when ?1 collate numeric = '1' then '10' end) > '9'", 0},
                {"?1 collate numeric in ('2', '1')", 1},
                {"?1 collate numeric between '1' and '1.000'", 1},
                {"nullif(?1 collate numeric, '1') is null", 1},
                {"case ?1 collate numeric when '1' then 3 end", 3}};
    struct world w = {.mem = arena_new(0)};
    struct diag d = DIAG_INIT;
    (void)state;
    vec_push(w.mem, &w.names.list, 0);
    w.places[0].v = DB_TEXT(STR("1.0"));
    assert_int_equal(db_open(&(struct db_options){.name = ":memory:", .create = true}, &w.db, &d), ERR_OK);
    assert_int_equal(query_conn_new(w.db, catalog_new(w.mem, CATALOG_SQLITE), &(struct query_options){0}, &w.conn, &d), ERR_OK);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct db_value v;
        const struct query_scalar *s = query_scalar_new(w.mem, w.db, str_c(rows[i].text), &w.names);
        if (!s || query_scalar_run(w.conn, s, w.places, w.mem, &v, &d) != ERR_OK || v.kind != DB_INTEGER || v.i != rows[i].gives)
            fail_msg("%s gives another value", rows[i].text);
    }
    query_conn_free(w.conn);
    db_close(w.db);
    arena_free(w.mem);
}

/* What is no scalar, or holds what SQLite alone knows. */
static void what_needs_a_statement(void **state) {
    static const char *const texts[] = {"(select 1)",
                                        "?1 like 'a'",
                                        "length(?1)",
                                        "nope(1)",
                                        "pg_int4_add(1)",
                                        "1.5",
                                        "?9",
                                        "x'00'",
                                        "?1 + 1",
                                        "\"a\"",
                                        "?1 << 2",
                                        "(1",
                                        "1 1",
                                        "'a",
                                        "case end",
                                        "case when 1 end",
                                        "1 in ()",
                                        "exists (select 1)",
                                        "?1 ->> 'a'",
                                        "99999999999999999999",
                                        "?1 collate nowhere = 'a'",
                                        "?1 collate nocase = 'a'",
                                        "--1",
                                        "",
                                        "?",
                                        "not",
                                        "?1 is distinct from 1"};
    arena *mem = arena_new(0);
    struct db *db;
    struct query_conn *conn;
    struct diag d = DIAG_INIT;
    struct query_places names = {0};
    struct buf deep = {0};
    (void)state;
    vec_push(mem, &names.list, 0);
    assert_int_equal(db_open(&(struct db_options){.name = ":memory:", .create = true}, &db, &d), ERR_OK);
    assert_int_equal(query_conn_new(db, catalog_new(mem, CATALOG_SQLITE), &(struct query_options){0}, &conn, &d), ERR_OK);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        if (query_scalar_new(mem, db, str_c(texts[i]), &names)) fail_msg("%s is a scalar", texts[i]);
    for (uint32_t i = 0; i < 100'000; i++) buf_putc(&deep, '(');
    assert_null(query_scalar_new(mem, db, buf_str(&deep), &names));
    deep.n = 0;
    for (uint32_t i = 0; i < 1000; i++) buf_puts(&deep, STR("coalesce(?1, "));
    assert_null(query_scalar_new(mem, db, buf_str(&deep), &names));
    assert_non_null(query_scalar_new(mem, db, STR(" ( ?1 = 1 ) "), &names));
    buf_free(&deep);
    query_conn_free(conn);
    db_close(db);
    arena_free(mem);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_sqlite_does), cmocka_unit_test(collations),
                                       cmocka_unit_test(what_needs_a_statement)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
