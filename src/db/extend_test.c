/* extend: functions, aggregates over groups and windows, collations, tables that are functions; and that a guest's limits hold inside them. */
#include "db/db.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct db *db;
static uint32_t asked, patience;

static bool goes_on(void *arg) { return ++asked < patience; }

static int set_up(void **state) {
    struct diag d = DIAG_INIT;
    asked = 0;
    patience = UINT32_MAX;
    const struct db_options options = {.name = ":memory:",
                                       .create = true,
                                       .guest = true,
                                       .goes_on = goes_on,
                                       .memory_bytes_max = 4 * MiB,
                                       .value_bytes_max = 1 * MiB};
    if (db_open(&options, &db, &d) != ERR_OK) fail_msg("%s", d.text);
    return 0;
}

static int tear_down(void **state) {
    db_close(db);
    return 0;
}

/* All rows' first columns, joined by a comma; what went wrong in its place. */
static const char *all(const char *sql) {
    static char text[1024];
    struct buf b = BUF_FIXED((uint8_t *)text);
    struct diag d = DIAG_INIT;
    struct db_rows *rows;
    b.cap = b.max = sizeof text - 1;
    err e = db_query_values(db, str_c(sql), NULL, 0, &rows, &d);
    if (e == ERR_OK) {
        while (db_next(rows)) {
            struct db_value v = db_value(rows, 0);
            if (b.n) buf_putc(&b, ',');
            if (v.kind == DB_INTEGER) buf_printf(&b, "%lld", (long long)v.i);
            else if (v.kind == DB_NULL) buf_puts(&b, STR("null"));
            else if (v.kind == DB_REAL) buf_printf(&b, "%g", v.f);
            else buf_puts(&b, v.s);
        }
        e = db_end(rows, &d);
    }
    if (e != ERR_OK) {
        b.n = 0;
        buf_printf(&b, "%s: %s", err_name(e), d.text);
    }
    text[b.n] = 0;
    return text;
}

static void says(const char *sql, const char *answer) { assert_string_equal(all(sql), answer); }

/* ---- functions ---- */

static void echo(struct db_call *call, void *arg, const struct db_value *args, uint32_t n) {
    if (n == 0) db_refuse(call, STR("nothing to say"));
    else db_answer(call, args[*(uint32_t *)arg % n]);
}

static void forever(struct db_call *call, void *arg, const struct db_value *args, uint32_t n) {
    while (db_call_goes_on(call)) {}
    db_answer(call, DB_I64(1));
}

static void test_functions(void **state) {
    static uint32_t second = 1;
    struct diag d = DIAG_INIT;
    static struct db_function rows[] = {
        {"echo", -1, DB_FN_DETERMINISTIC | DB_FN_INNOCUOUS, echo, &second},
        {"plain", 1, 0, echo, &second},
        {"direct", 1, DB_FN_DIRECT_ONLY, echo, &second},
        {"forever", 0, 0, forever, NULL},
    };
    assert_int_equal(db_add_functions(db, rows, ARRAY_COUNT(rows), &d), ERR_OK);
    says("select echo(1, 'two')", "two");
    says("select echo(1, x'4142')", "AB");
    says("select echo(1, 2.5)", "2.5");
    says("select echo(1, null)", "null");
    says("select echo(1, '')", "");
    says("select length(echo(1, cast(x'410042' as text)))", "1"); /* as SQLite counts: to the NUL */
    says("select echo()", "USAGE: :memory:: nothing to say");
    says("select plain(1, 2)", "USAGE: :memory:: wrong number of arguments to function plain()");
    says("create view v as select echo(1, 2)", "");
    says("select * from v", "2");
    says("create view w as select direct(1)", "");
    says("select * from w", "USAGE: :memory:: unsafe use of direct()");
    patience = 50;
    says("select forever()", "LIMIT: :memory:: the statement took too long");
    assert_int_equal(asked, 50);
}

/* ---- aggregates ---- */

struct total {
    int64_t n;
    void *held;
};
static uint32_t ended;

static void total_step(struct db_call *call, void *arg, void *state, const struct db_value *args, uint32_t n) {
    struct total *t = state;
    if (args[0].kind != DB_INTEGER) db_refuse(call, STR("no number"));
    t->n += args[0].i;
    if (!t->held) t->held = db_take(NULL, 16);
}
static void total_inverse(struct db_call *call, void *arg, void *state, const struct db_value *args, uint32_t n) {
    ((struct total *)state)->n -= args[0].i;
}
static void total_value(struct db_call *call, void *arg, void *state) { db_answer(call, DB_I64(((struct total *)state)->n)); }
static void total_end(void *arg, void *state) {
    ended++;
    db_give_back(((struct total *)state)->held);
}

/* Takes memory with each row, as long as it is given some. */
static void hoard_step(struct db_call *call, void *arg, void *state, const struct db_value *args, uint32_t n) {
    struct total *t = state;
    if (!db_call_goes_on(call)) return;
    t->n += 100'000;
    void *p = db_take(t->held, (size_t)t->n);
    if (p) t->held = p;
    else db_refuse(call, STR("no memory"));
}

#define SERIES "with recursive s(n) as (values (1) union all select n + 1 from s where n < 100) "

static void test_aggregates(void **state) {
    struct diag d = DIAG_INIT;
    static const struct db_aggregate rows[] = {
        {"total_of", 1, 0, sizeof(struct total), total_step, total_inverse, total_value, total_end, NULL},
        {"growing", 1, 0, sizeof(struct total), total_step, NULL, total_value, total_end, NULL},
        {"hoard", 1, 0, sizeof(struct total), hoard_step, NULL, total_value, total_end, NULL},
    };
    assert_int_equal(db_add_aggregates(db, rows, ARRAY_COUNT(rows), &d), ERR_OK);
    ended = 0;
    says("select total_of(column1) from (values (1), (2), (4))", "7");
    assert_int_equal(ended, 1);
    says("select total_of(column1) from (values (1)) where 0", "0");
    says("select total_of(column1) filter (where column1 > 1) from (values (1), (2), (4))", "6");
    says("select total_of(distinct column1) from (values (2), (2), (4))", "6");
    says("select total_of(column1) over (order by column1) from (values (1), (2), (4))", "1,3,7");
    says("select total_of(column1) over (order by column1 rows 1 preceding) from (values (1), (2), (4))", "1,3,6");
    says("select growing(column1) over (order by column1) from (values (1), (2), (4))", "1,3,7");
    says("select growing(column1) over (order by column1 rows 1 preceding) from (values (1), (2), (4))",
         "USAGE: :memory:: this aggregate has no windows whose begin moves");
    ended = 0;
    says("select total_of(column1) from (values (1), ('x'))", "USAGE: :memory:: no number");
    assert_int_equal(ended, 1);
    says(SERIES "select hoard(n) from s", "LIMIT: :memory:: the statement took too much memory");
}

/* ---- collations ---- */

static int by_length(void *arg, str a, str b) { return (a.n > b.n) - (a.n < b.n); }

static void test_collations(void **state) {
    struct diag d = DIAG_INIT;
    static const struct db_collation rows[] = {{"by_length", by_length, NULL}, {"by_length", by_length, NULL}};
    assert_int_equal(db_add_collations(db, rows, ARRAY_COUNT(rows), &d), ERR_OK);
    says("select column1 from (values ('zz'), ('a'), ('bbb')) order by column1 collate by_length desc", "bbb,zz,a");
    says("select 'aa' = 'bb' collate by_length", "1");
    says("create table t (k text collate by_length unique)", "");
    says("insert into t values ('aa'), ('bb')", "BUSY: :memory:: UNIQUE constraint failed: t.k");
}

/* ---- tables ---- */

struct range {
    int64_t at, end;
};
static uint32_t open_ranges;

static void range_begin(struct db_call *call, void *arg, void *state, const struct db_value *args, uint32_t n) {
    struct range *r = state;
    open_ranges++;
    if (args[0].kind != DB_INTEGER) db_refuse(call, STR("from what?"));
    r->at = args[0].i;
    r->end = n > 1 ? args[1].i : INT64_MAX;
}
static bool range_next(struct db_call *call, void *arg, void *state, struct db_value *row) {
    struct range *r = state;
    if (r->at > r->end || !db_call_goes_on(call)) return false;
    row[0] = DB_I64(r->at++);
    row[1] = DB_TEXT(STR("x"));
    return true;
}
static void range_end(void *arg, void *state) { open_ranges--; }

static void test_tables(void **state) {
    struct diag d = DIAG_INIT;
    static const struct db_table_function f = {
        "range", {"value", "order"}, 2, 1, DB_FN_INNOCUOUS, sizeof(struct range), range_begin, range_next, range_end, NULL};
    assert_int_equal(db_add_table_functions(db, &f, 1, &d), ERR_OK);
    says("select value from range(3, 5)", "3,4,5");
    says("select \"order\" from range(3, 4)", "x,x");
    says("select value from range(3) limit 2", "3,4");
    says("select value from range(3, 2)", "");
    says("select value from range", "USAGE: :memory:: a table function wants more arguments");
    says("select value from range('a', 2)", "USAGE: :memory:: from what?");
    says("select b.value from range(1, 3) a, range(a.value, 3) b", "1,2,3,2,3,3");
    says("select count(*) from (values (1), (2)) t join range(t.column1, 2) r on r.value = 2", "2");
    says("create view v as select value from range(1, 2)", "");
    says("select * from v", "1,2");
    assert_int_equal(open_ranges, 0);
    patience = 30;
    says("select sum(value) from range(1)", "LIMIT: :memory:: the statement took too long");
    assert_int_equal(open_ranges, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_functions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_aggregates, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_collations, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tables, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
