/* Migrations: each kind of statement changes the catalogue as it says, SQLite takes the steps that come of it and keeps its rows; what is wrong is said
 * with its place and SQLSTATE; what reaches outside is refused. */
#include "db/db.h"
#include "pg/pg.h"
#include "sql/parse.h"
#include <pg_query.h>
#include "sql/sql.h"
#include "sql/translate.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static arena *mem;
static struct sql_report report;
static struct sql_plan plan;
static struct db *db;
static struct pg_session session;
static struct pg_error error;

/* Roles and public, as if the platform's schemas were there. */
static struct catalog *base(void) {
    struct catalog *c = catalog_new(mem, CATALOG_SQLITE);
    static const char *const roles[] = {"postgres", "anon", "authenticated", "service_role"};
    for (size_t i = 0; i < ARRAY_COUNT(roles); i++)
        vec_push(mem, &c->roles,
                 ((struct catalog_role){.id = c->next_id++, .name = str_c(roles[i]), .platform = true, .bypass_rls = i == 3}));
    c->owner = c->roles.p[0].id;
    vec_push(mem, &c->schemas,
             ((struct catalog_schema){.id = c->next_id++, .owner = c->owner, .name = STR("public"), .platform = true}));
    c->platform = SQL_PLATFORM;
    return c;
}

static bool reads(void *arg, str text) {
    (void)arg;
    return db_can_read(db, text);
}
static const struct sql_reader reader = {.reads = reads};

static const struct catalog *migrate_as(const struct catalog *from, const char *text, enum catalog_engine engine, bool strict) {
    struct sql_file file = {.name = STR("1.sql"), .text = str_c(text)};
    struct diag d = DIAG_INIT;
    report = (struct sql_report){.strict = strict};
    if (sql_migrate(mem, from ? from : base(), &file, 1, engine, &reader, &plan, &report, &d) != ERR_OK) fail_msg("%s", d.text);
    return plan.catalog;
}
static const struct catalog *migrate(const struct catalog *from, const char *text, enum catalog_engine engine) {
    return migrate_as(from, text, engine, false);
}

static void apply(void) {
    for (uint32_t f = 0; f < plan.files.n; f++)
        for (uint32_t i = 0; i < plan.files.p[f].steps.n; i++) {
            struct diag d = DIAG_INIT;
            db_foreign_keys(db, !plan.foreign_keys_off || plan.files.p[f].steps.p[i].kind != SQL_STEP_STRUCTURE);
            if (plan.files.p[f].steps.p[i].kind != SQL_STEP_CALL &&
                db_run_values(db, plan.files.p[f].steps.p[i].text, NULL, 0, &d) != ERR_OK)
                fail_msg("%s (%s %s)\n" STR_FMT, d.text, error.state, error.message, STR_ARG(plan.files.p[f].steps.p[i].text));
        }
}

/* All is well, and SQLite takes it. */
static const struct catalog *good(const struct catalog *from, const char *text) {
    const struct catalog *c = migrate(from, text, CATALOG_SQLITE);
    if (report.refused)
        fail_msg("%s\n" STR_FMT ": " STR_FMT, text, STR_ARG(report.notes.p[0].code), STR_ARG(report.notes.p[0].text));
    apply();
    return c;
}

static void refused(const struct catalog *from, const char *text, const char *state, uint32_t line, uint32_t column,
                    const char *part) {
    migrate_as(from, text, CATALOG_SQLITE, true);
    for (uint32_t i = 0; i < report.notes.n; i++) {
        const struct sql_note *n = &report.notes.p[i];
        if (n->severity != SQL_REFUSAL || !str_eqc(n->code, state)) continue;
        if (!memmem(n->text.p, n->text.n, part, strlen(part))) fail_msg("%s\n" STR_FMT, text, STR_ARG(n->text));
        if (line && (n->line != line || n->column != column)) fail_msg("%s\nat %u:%u", text, n->line, n->column);
        return;
    }
    fail_msg("%s\nis not refused with %s (%u notes: " STR_FMT " " STR_FMT ")", text, state, report.notes.n,
             STR_ARG(report.notes.n ? report.notes.p[0].code : (str){0}),
             STR_ARG(report.notes.n ? report.notes.p[0].text : (str){0}));
}

static str one(const char *query) {
    struct diag d = DIAG_INIT;
    struct db_rows *rows;
    if (db_query_values(db, str_c(query), NULL, 0, &rows, &d) != ERR_OK) fail_msg("%s: %s", query, d.text);
    str s = db_next(rows)
                ? arena_str(mem, db_value(rows, 0).kind == DB_INTEGER ? arena_fmt(mem, "%lld", (long long)db_i64(rows, 0))
                                                                      : db_str(rows, 0))
                : STR("no row");
    assert_int_equal(db_end(rows, &d), ERR_OK);
    return s;
}
#define assert_one(query, is)                                                                                                    \
    do {                                                                                                                         \
        str s_ = one(query);                                                                                                     \
        if (!str_eqc(s_, is)) fail_msg("%s: " STR_FMT, query, STR_ARG(s_));                                                      \
    } while (0)

static const struct catalog_relation *table(const struct catalog *c, const char *name) {
    const struct catalog_relation *r = catalog_relation_named(c, STR("public"), str_c(name));
    if (!r) fail_msg("no table %s", name);
    return r;
}

/* ---- tables ---- */

static void test_table(void **state) {
    const struct catalog *c = good(NULL, "create table t (id integer primary key, title varchar(5) not null check (title <> ''), "
                                         "n numeric(4,1), ok boolean default true,"
                                         " u uuid, big bigint, at timestamptz(0), tags text[] default '{}', unique (title, n));"
                                         "insert into t (id, title, n) values (1, 'abc', 12.5)");
    const struct catalog_relation *t = table(c, "t");
    assert_int_equal(t->columns.n, 8);
    assert_int_equal(catalog_column_named(t, STR("title"))->typmod, 9);
    assert_int_equal(catalog_column_named(t, STR("at"))->typmod, 0);
    assert_non_null(catalog_constraint_named(t, STR("t_pkey")));
    assert_non_null(catalog_constraint_named(t, STR("t_title_n_key")));
    assert_non_null(catalog_constraint_named(t, STR("t_title_check")));
    assert_one("select ok || title || n || tags from t", "1abc12.5[]");
    struct diag d = DIAG_INIT; /* what no query of ours would write is refused by SQLite itself */
    assert_int_equal(db_run(db, &d, "insert into t (id, title) values (2, 'longer')"), ERR_BUSY);
    assert_int_equal(db_run(db, &d, "insert into t (id, title, n) values (2, 'a', '1.25')"), ERR_BUSY);
    assert_int_equal(db_run(db, &d, "insert into t (id, title, ok) values (2, 'a', 2)"), ERR_BUSY);
    assert_int_equal(db_run(db, &d, "insert into t (id, title, u) values (2, 'a', x'01')"), ERR_BUSY);
    assert_int_equal(db_run(db, &d, "insert into t (id, title) values (9999999999, 'a')"), ERR_BUSY);
    refused(c, "create table t (id int)", "42P07", 1, 14, "already exists");
    good(c, "create table if not exists t (id int)");
    refused(c, "\n\ncreate table x (a int4range, b money, a int)", "0A000", 3, 19, "int4range");
    refused(c, "create table x (a int, a int)", "42701", 1, 24, "already exists");
    refused(c, "create temp table x (a int) on commit delete rows", "0A000", 0, 0, "ON COMMIT DELETE ROWS");
    refused(c, "create table x (a int) partition by range (a)", "0A000", 0, 0, "partitions");
}

static void test_names(void **state) {
    const struct catalog *c = good(NULL, "create schema app; create table app.t (id int primary key, \"A\" int, a int); create "
                                         "table t (id int); create table \"T\" (id int);"
                                         "create table sqlite_x (id int); create table _orlo_x (id int)");
    assert_one("select count(*) from \"app.t\"", "0");
    assert_false(str_eq_nocase(table(c, "T")->storage, table(c, "t")->storage));
    assert_false(str_starts(table(c, "_orlo_x")->storage, STR("_orlo")));
    refused(c, "create table nowhere.t (id int)", "3F000", 0, 0, "nowhere");
}

static void test_foreign_key(void **state) {
    const struct catalog *c = good(
        NULL,
        "create table p (id int primary key, code text unique); create table c (id int primary key, p int not null references p "
        "on delete cascade,"
        " code text references p (code) deferrable initially deferred);"
        "insert into p values (1, 'a'), (2, 'b'); insert into c values (1, 1, 'a'), (2, 2, 'b'); delete from p where id = 1");
    assert_one("select count(*) from c", "1");
    assert_int_equal(catalog_constraint_named(table(c, "c"), STR("c_p_fkey"))->on_delete, CATALOG_CASCADE);
    refused(c, "create table x (p int references nothing)", "42P01", 1, 34, "nothing");
    refused(c, "create table x (p int references c (p))", "42830", 0, 0, "no unique constraint");
    refused(c, "drop table p", "2BP01", 0, 0, "depend");
    c = good(c, "drop table p cascade");
    assert_int_equal(table(c, "c")->constraints.n, 1);
    assert_one("select count(*) from c", "1"); /* its rows are still there */
}

/* As PostgreSQL 15 makes them up (it was asked). */
static void test_made_names(void **state) {
    static const char *const made[] = {"a_very_long_table_name_that__a_very_long_column_name_that_check",
                                       "a_very_long_table_name_that_g_a_very_long_column_name_that__key",
                                       "a_very_long_table_name_that_g_a_very_long_column_name_that_fkey",
                                       "a_very_long_table_name_that_goes_on_and_on_for_ever_x_check",
                                       "a_very_long_table_name_that_goes_on_and_on_for_ever_x_check1"};
    const struct catalog *c = good(
        NULL,
        "create table p (id serial primary key, a int, b int, check (a > b), check (b > 0)); create index on p (a, "
        "lower(b::text), (a * b));"
        "create table a_very_long_table_name_that_goes_on_and_on_for_ever (a_very_long_column_name_that_goes_on_as_well int "
        "references p unique"
        " check (a_very_long_column_name_that_goes_on_as_well > 1), x int check (x > 1) check (x < 100));"
        "create index on p (a); create index on p (a); create index on p ((a + b)); alter table p add check (a > 1 and b > 1)");
    const struct catalog_relation *t = table(c, "a_very_long_table_name_that_goes_on_and_on_for_ever"), *p = table(c, "p");
    for (size_t i = 0; i < ARRAY_COUNT(made); i++)
        if (!catalog_constraint_named(t, str_c(made[i]))) fail_msg("no %s", made[i]);
    assert_true(catalog_constraint_named(p, STR("p_check")) && catalog_constraint_named(p, STR("p_b_check")) &&
                catalog_constraint_named(p, STR("p_check1")));
    assert_true(str_eqc(p->indexes.p[0].name, "p_a_lower_expr_idx") && str_eqc(p->indexes.p[2].name, "p_a_idx1") &&
                str_eqc(p->indexes.p[3].name, "p_expr_idx"));
}

/* ---- ALTER TABLE ---- */

static void test_alter(void **state) {
    const struct catalog *c =
        good(NULL, "create table t (id int primary key, a text, b int); create table r (t int references t on delete cascade);"
                   "insert into t values (1, '10', 5), (2, '20', null); insert into r values (1), (2)");
    c = good(c, "alter table t add column d int not null default 7; alter table t add e text");
    assert_one("select group_concat(d) from t", "7,7");
    c = good(c, "alter table t alter column a type int using a::int; alter table t alter b set default 3");
    assert_one("select sum(a) || typeof(a) from t", "30integer");
    c = good(
        c,
        "alter table t rename column a to amount; alter table t rename to things; insert into things (id, amount) values (3, 9)");
    assert_one("select b from t where id = 3", "3"); /* the name in SQLite stays */
    assert_true(plan.files.p[0].steps.n == 1);
    c = good(c, "alter table things drop column e, add constraint pos check (amount > 0), add unique (amount)");
    assert_one("select count(*) from r", "2"); /* copying the rows deleted nothing that refers to them */
    assert_true(plan.foreign_keys_off);
    assert_non_null(catalog_constraint_named(table(c, "things"), STR("things_amount_key")));
    refused(c, "alter table things add check (nothing > 0)", "42703", 0, 0, "nothing");
    refused(c, "alter table things drop column nothing", "42703", 0, 0, "nothing");
    refused(c, "alter table nothing add x int", "42P01", 1, 13, "nothing");
    good(c, "alter table if exists nothing add x int; alter table things add column if not exists b int; alter table things drop "
            "constraint if exists q");
    c = good(c, "update things set b = 0 where b is null; alter table things alter b set not null");
    assert_true(catalog_column_named(table(c, "things"), STR("b"))->not_null);
}

/* Rows that go while foreign keys are off, as a table's rows are copied in the same plan, take with them what refers to them. */
static void test_actions(void **state) {
    const struct catalog *c =
        good(NULL, "create table p (id int primary key, a text); create table c (id int primary key, p int references p on "
                   "delete cascade); create table n (c int references c on delete set null);"
                   "insert into p values (1, '1'), (2, '2'); insert into c values (1, 1), (2, 2); insert into n values (1), (2)");
    good(c, "delete from p where id = 1; alter table p alter a type int using a::int");
    assert_true(plan.foreign_keys_off);
    assert_one("select group_concat(id) from c", "2");
    assert_one("select count(*) || count(c) from n", "21");
    assert_one("select count(*) from pragma_foreign_key_check", "0");
}

/* A table that ten statements made is made once, and one that is gone by the end is never made. */
static void test_once(void **state) {
    good(NULL, "create table t (a int); alter table t add b int not null; alter table t add primary key (a); alter table t alter "
               "b type bigint;"
               "create index on t (b); alter table t add constraint u unique (b); create table gone (a int); drop table gone");
    assert_int_equal(plan.files.p[0].steps.n, 3);
    assert_false(plan.foreign_keys_off);
}

static void test_identity(void **state) {
    const struct catalog *c = good(
        NULL,
        "create table t (id bigint generated always as identity primary key, s serial, a int generated always as (s + 1) stored);"
        "create sequence q start 10 increment 5; alter sequence q owned by t.s");
    const struct catalog_relation *t = table(c, "t");
    assert_int_equal(catalog_column_named(t, STR("id"))->identity, CATALOG_IDENTITY_ALWAYS);
    assert_non_null(catalog_sequence_named(c, STR("public"), STR("t_id_seq")));
    assert_true(catalog_column_named(t, STR("s"))->default_value.fragment.flags & CATALOG_VOLATILE);
    assert_true(catalog_column_named(t, STR("a"))->generated);
    assert_int_equal(catalog_sequence_named(c, STR("public"), STR("q"))->start, 10);
    c = good(c, "create table k (id int not null); alter table k alter id add generated by default as identity (sequence name "
                "public.\"Own\" start 7)");
    assert_int_equal(catalog_sequence_named(c, STR("public"), STR("Own"))->start, 7);
    refused(c, "alter sequence q increment 0", "22023", 0, 0, "zero");
    c = good(c, "drop table t");
    assert_null(catalog_sequence_named(c, STR("public"), STR("t_id_seq")));
}

static void test_index(void **state) {
    const struct catalog *c = good(NULL, "create table t (a int, b text, c jsonb); create index on t (b) where a > 3; create "
                                         "unique index u on t (lower(b)); create index on t (a desc) include (b);"
                                         "create index g on t using gin (c); create unique index nn on t (a) nulls not distinct");
    assert_int_equal(table(c, "t")->indexes.n, 5);
    assert_one("select count(*) from sqlite_schema where type = 'index'", "4"); /* gin is left out, and said */
    assert_int_equal(report.notes.n, 1);
    struct diag d = DIAG_INIT;
    assert_int_equal(db_run(db, &d, "insert into t (b) values ('x')"), ERR_OK);
    assert_int_equal(db_run(db, &d, "insert into t (b) values ('y')"), ERR_BUSY);
    refused(c, "create index u on t (a)", "42P07", 0, 0, "already exists");
    good(c, "create index v on t using hnsw (a)"); /* what it would find is found without it */
    assert_true(report.notes.n == 1 && report.notes.p[0].severity == SQL_IGNORED);
    c = good(c, "drop index u; alter index g rename to h");
    assert_int_equal(table(c, "t")->indexes.n, 4);
    refused(c, "drop index u", "42704", 0, 0, "does not exist");
}

/* ---- types ---- */

static void test_enum(void **state) {
    const struct catalog *c =
        good(NULL, "create type mood as enum ('sad', 'ok'); alter type mood add value 'fine' before 'ok'; alter type mood rename "
                   "value 'ok' to 'happy';"
                   "create table t (m mood not null default 'fine'); insert into t values ('happy'), (default)");
    const struct catalog_type *t = catalog_type_named(c, STR("public"), STR("mood"));
    assert_true(catalog_label_named(t, STR("fine"))->sort < catalog_label_named(t, STR("happy"))->sort);
    assert_one("select group_concat(m) from (select m from t order by m)", "1536,2048");
    refused(c, "insert into t values ('furious')", "22P02", 0, 0, "furious");
    refused(c, "alter type mood add value 'fine'", "42710", 0, 0, "already exists");
    refused(c, "drop type mood", "2BP01", 0, 0, "depend");
    good(c, "alter type mood add value if not exists 'fine'; drop table t; drop type mood");
}

static void test_domain(void **state) {
    const struct catalog *c = good(
        NULL,
        "create domain code as varchar(3) check (value <> ''); create type pair as (a int, b text); create table t (c code)");
    const struct catalog_type *t = catalog_type_named(c, STR("public"), STR("code"));
    assert_int_equal(t->base, PG_VARCHAR);
    assert_int_equal(t->checks.n, 1);
    assert_int_equal(catalog_type_named(c, STR("public"), STR("pair"))->fields.n, 2);
    struct diag d = DIAG_INIT;
    assert_int_equal(db_run(db, &d, "insert into t (c) values ('')"), ERR_BUSY);
    assert_int_equal(db_run(db, &d, "insert into t (c) values ('ab')"), ERR_OK);
    c = good(c, "alter domain code add constraint no_x check (value <> 'x')");
    assert_int_equal(db_run(db, &d, "insert into t (c) values ('x')"), ERR_BUSY);
    assert_one("select c from t", "ab");
    refused(c, "create table x (p t)", "0A000", 0, 0, "row type");
    c = good(c, "create table x (id int, p pair default row(1, 'd')::pair); insert into x (id) values (1); insert into x values "
                "(2, row(2, 'a\"b'));"
                "update x set p.b = 'new' where id = 2");
    assert_one("select group_concat(p, ' ') from x", "[1,\"d\"] [2,\"new\"]");
    c = good(c, "create domain positive as int check (value > 0); create domain even as positive check (value % 2 = 0) default 8;"
                "create table e (id int, f even default 4, g even not null, h even default 6 + 2); insert into e (id) values (1);"
                "alter table e alter f set default 10; insert into e (id) values (2)");
    assert_one("select group_concat(f || ' ' || g || ' ' || h) from e", "4 8 8,10 8 8");
    c = good(c,
             "create function twice(a int) returns int language sql as 'select a'; create table s_t (id int); create view s_v as "
             "select *, "
             "twice(id) as n from s_t; alter table s_t add column more int; create or replace function twice(a int) returns int "
             "language sql as 'select a + 1'"); /* the view is made again, of more columns than it has */
}

/* ---- views, functions ---- */

static void test_views(void **state) {
    const struct catalog *c =
        good(NULL, "create table t (id int primary key, n int); insert into t values (1, 5), (2, 6); create view v (x) as select "
                   "n from t where id > 1;"
                   "create materialized view m as select n from t; create table k as select id, n as m from t");
    assert_int_equal(table(c, "v")->kind, CATALOG_VIEW);
    assert_true(str_eqc(table(c, "v")->columns.p[0].name, "x"));
    assert_one("select sum(n) from m", "11");
    assert_one("select sum(m) from k", "11");
    refused(c, "drop table t", "2BP01", 0, 0, "view v");
    refused(c, "create or replace view v as select id as y from t", "42P16", 0, 0, "cannot");
    c = good(c,
             "insert into t values (3, 1); refresh materialized view m; create or replace view v (x, id) as select n, id from t");
    assert_one("select sum(n) from m", "12");
    c = good(c, "alter table t rename n to number");
    assert_non_null(memmem(table(c, "v")->query.source.p, table(c, "v")->query.source.n, "number", 6));
    c = good(c, "drop table t cascade");
    assert_null(catalog_relation_named(c, STR("public"), STR("v")));
}

static void test_functions(void **state) {
    const struct catalog *c = good(NULL, "create table t (id int); create function one(a int default 4) returns int language sql "
                                         "immutable set search_path = '' as 'select a + 1';"
                                         "create function two() returns setof t language sql as 'select * from t';"
                                         "create function three() returns int language plpgsql as 'begin return 1; end'; revoke "
                                         "all on function one(int) from public;"
                                         "grant execute on function one to anon; comment on function one(int) is 'adds'");
    const struct catalog_function *f = catalog_function_next(c, STR("public"), STR("one"), NULL);
    assert_true(f && !f->why_not.n && f->statements.n == 1 && f->volatility == CATALOG_IS_IMMUTABLE);
    assert_true(catalog_may_function(c, catalog_role_named(c, STR("anon"))->id, f));
    assert_false(catalog_may_function(c, catalog_role_named(c, STR("authenticated"))->id, f));
    f = catalog_function_next(c, STR("public"), STR("three"), NULL);
    assert_true(!f->why_not.n && f->routine.code.n && f->statements.n == 1 && !report.notes.n);
    refused(NULL, "create function f() returns int language plpgsql as $$\nbegin\n  return 1 +;\nend $$", "42601", 3, 13,
            "syntax error");
    refused(NULL, "create function f() returns int language plpgsql as $$\nbegin\n  if true then\nend $$", "42601", 4, 5,
            "end of input");
    refused(NULL, "create function f() returns int language plpgsql as 'begin x := 1; return 1; end'", "42601", 1, 60,
            "known variable");
    refused(NULL, "create function f() returns int language plpgsql as 'declare v no_type; begin return 1; end'", "42704", 0, 0,
            "no_type");
    good(NULL, "create function f() returns int language plpgsql as $$\nbegin\n  return (select 1 from later);\nend $$; create "
               "table later (id int)");
    assert_int_equal(report.notes.n, 0);
    good(
        NULL,
        "create function f() returns int language plpgsql as $$\nbegin\n  return (select 1 from never);\nend $$"); /* it raises when it comes there */
    assert_true(report.notes.n == 1 && report.notes.p[0].severity == SQL_REMARK && report.notes.p[0].line == 3);
    refused(c, "create function one(b int) returns int language sql as 'select 1'", "42723", 0, 0, "already exists");
    refused(c, "create or replace function one(b int) returns text language sql as $$ select 'a' $$", "42P13", 0, 0,
            "return type");
    refused(c, "create function x() returns int language plpython3u as 'return 1'", "0A000", 0, 0, "plpython3u");
    c = good(c, "create function trg() returns trigger language plpgsql as 'begin new.id := new.id + 1; return new; end'; create "
                "trigger g before "
                "insert or update of id on t for each row when (new.id > 0) execute function trg()");
    const struct catalog_trigger *g = &table(c, "t")->triggers.p[0];
    assert_true(g->routine.code.n && g->columns.n == 1 && !report.notes.n);
    refused(c,
            "create trigger h after insert or update on t referencing new table as n for each statement execute function trg()",
            "0A000", 0, 0, "more than one event");
    refused(c, "create trigger h before update of no_such on t for each row execute function trg()", "42703", 0, 0, "no_such");
    refused(c, "create trigger h before truncate on t execute function trg()", "0A000", 0, 0, "TRUNCATE");
    c = good(c, "drop function one; drop function if exists nothing(int)");
    assert_null(catalog_function_next(c, STR("public"), STR("one"), NULL));
}

/* A view's star has the columns that were there; it is read again when what it calls changes. */
static void test_star(void **state) {
    const struct catalog *c =
        good(NULL, "create table t (id int primary key); create function f(a int) returns int language sql as 'select a';"
                   "create view v as select f(id) as x, t.* from t; alter table t add column b int, add column c int;"
                   "create or replace function f(a int) returns int language sql as 'select a + 1'");
    assert_int_equal(table(c, "v")->columns.n, 2);
}

/* Run while the files are read: they ask the catalogue, and what they do are statements. */
static void test_do(void **state) {
    const struct catalog *c = good(
        NULL,
        "do $$ begin create type mood as enum ('sad', 'ok'); exception when duplicate_object then null; end $$;"
        "do $$ begin create type mood as enum ('sad'); exception when duplicate_object then raise notice 'it is there: %', "
        "sqlerrm; "
        "end $$;"
        "create table t (id int primary key, n int constraint n_ok check (n > 0)); create table log (what text);"
        "do $$ begin if not exists (select 1 from pg_constraint where conname = 'n_few') then alter table t add constraint n_few "
        "check (n < 9); end if; if exists (select from pg_constraint where conname = 'n_ok') then alter table t drop constraint "
        "n_ok; end if; if not exists (select 1 from information_schema.columns where table_name = 't' and column_name = 'at') "
        "then alter table t add column at date; end if; end $$;"
        "do $$ declare r record; i int := 1; names text[] := array['a', 'b']; name text; begin for r in select tablename from "
        "pg_tables where schemaname = 'public' order by 1 loop execute format('alter table %I add column %I int', r.tablename, "
        "'x' || i); i := i + 1; insert into log (what) values (r.tablename || i); end loop; foreach name in array names loop "
        "continue when name = 'a'; execute 'create table made_' || name || ' (id int)'; end loop; while i < 5 loop i := i + 1; "
        "exit when i = 4; end loop; for k in 1..2 loop insert into log values ('k' || k || i); end loop; end $$;"
        "do $$ declare n int; q text := 'insert into log values ($1)'; begin select count(*) into n from pg_enum where enumtypid "
        "= (select oid from pg_type where typname "
        "= 'mood'); execute q using 'labels ' || n; case n when 1, 2 then insert into log values "
        "('few'); else null; end case; if to_regclass('public.t') is not null and to_regclass('public.nope') is null then insert "
        "into log values ('there'); end if; end $$");
    const struct catalog_relation *t = table(c, "t");
    assert_null(catalog_constraint_named(t, STR("n_ok")));
    assert_non_null(catalog_constraint_named(t, STR("n_few")));
    assert_non_null(catalog_column_named(t, STR("at")));
    assert_non_null(catalog_column_named(t, STR("x2")));
    assert_non_null(catalog_column_named(table(c, "log"), STR("x1")));
    assert_null(catalog_relation_named(c, STR("public"), STR("made_a")));
    table(c, "made_b");
    assert_one("select group_concat(what, ',') from log", "log2,t3,k14,k24,labels 2,few,there");
    refused(c, "create table a (id int);\ndo $$ begin\n  create table b (id int);\n  create table a (id int);\nend $$", "42P07",
            4, 3, "already exists");
    refused(c, "do $$ begin if exists (select from t where n = 1) then drop table t; end if; end $$", "0A000", 1, 13, "rows");
    /* What is of rows alone is a call, where nothing is known of it here. */
    migrate(NULL,
            "create table t (id int); insert into t values (1); do $$ begin perform 1; if (select count(*) from t) > 0 then "
            "null; end "
            "if; end $$; do $$ declare r record; begin for r in select * from t loop null; end loop; end $$; alter table t add a "
            "int; do "
            "$$ begin perform 2; end $$",
            CATALOG_SQLITE);
    assert_int_equal(report.refused, 0);
    assert_int_equal(plan.catalogs.n, 2); /* one for both of the first, as nothing is defined between them */
    uint32_t calls = 0;
    for (uint32_t f = 0; f < plan.files.n; f++)
        for (uint32_t i = 0; i < plan.files.p[f].steps.n; i++) calls += plan.files.p[f].steps.p[i].kind == SQL_STEP_CALL;
    assert_int_equal(calls, 3);
    migrate(
        NULL,
        "create table t (id int, who uuid); create table u (id int); create view v as select * from t where id > 1; insert into "
        "u "
        "select id from t; do $$ declare r record; n int; begin for r in select * from v join u using (id) loop drop table t; "
        "end "
        "loop; select count(*) into n from u; if n > 0 or exists (select from t) then drop table t; end if; insert into u values "
        "(n); end $$",
        CATALOG_SQLITE); /* they are empty, as far as that goes */
    if (report.refused) fail_msg(STR_FMT, STR_ARG(report.notes.p[0].text));
    refused(c, "do $$ begin raise exception 'no % of %', 1, 'it' using errcode = 'foreign_key_violation'; end $$", "23503", 1, 13,
            "no 1 of it");
    refused(c, "do $$ begin loop null; end loop; end $$", "57014", 1, 18, "timeout");
    refused(c, "do $$ begin create table z (id int); create table t (id int); exception when duplicate_table then null; end $$",
            "0A000", 1, 38, "undoes");
    refused(c, "do $$ begin perform 1; nonsense; end $$", "42601", 1, 24, "syntax");
    refused(c, "do $$ begin if nope then null; end if; end $$", "42703", 1, 13, "nope");
    refused(c, "do language plpython3u 'pass'", "0A000", 1, 1, "plpython3u");
    refused(c, "do $$ begin execute null; end $$", "22004", 1, 13, "null");
    /* Functions that only ask are read, too. */
    c = good(NULL, "create table tt (id int primary key, n int constraint some_name check (n > 0)); create function check_of(tab "
                   "text) returns text language "
                   "plpgsql as $f$ declare r record; begin for r in select conname from pg_constraint c join pg_class t on t.oid "
                   "= c.conrelid where t.relname = "
                   "tab and contype = 'c' loop return r.conname; end loop; return null; end $f$; create function twice(n int) "
                   "returns int language plpgsql as $f$ "
                   "begin if n > 5 then return n; end if; return twice(n + 1); end $f$; do $$ declare name text; begin name := "
                   "check_of('tt'); if name is null then "
                   "raise exception 'none'; end if; execute format('alter table tt drop constraint %I', name); execute 'alter "
                   "table tt add column c' || twice(1) || ' "
                   "int'; end $$");
    assert_null(catalog_constraint_named(table(c, "tt"), STR("some_name")));
    assert_non_null(catalog_column_named(table(c, "tt"), STR("c6")));
    refused(NULL,
            "create table t (id int); create function f() returns int language plpgsql as $f$ begin insert into t values (1); "
            "return 1; end $f$; do $$ begin if "
            "f() = 1 then drop table t; end if; end $$",
            "0A000", 0, 0, "changes something");
    refused(NULL,
            "create function f(n int) returns int language plpgsql as $f$ begin return f(n + 1); end $f$; do $$ begin if f(1) = "
            "1 then create table t (id "
            "int); end if; end $$",
            "54001", 0, 0, "stack");
    refused(NULL,
            "create function f() returns int language plpgsql as $f$ begin raise exception 'no' using errcode = '22012'; end "
            "$f$; do $$ begin if f() = 1 then "
            "create table t (id int); end if; end $$",
            "22012", 0, 0, "no");
    /* What has no end, and what grows. */
    refused(NULL, "do $x$ begin for i in 1..2000000000 loop for j in 1..2000000000 loop end loop; end loop; end $x$", "57014", 0,
            0, "timeout");
    refused(NULL, "do $x$ begin loop begin assert true; exception when others then null; end; end loop; end $x$", "57014", 0, 0,
            "timeout");
    refused(NULL,
            "do $x$ declare t text := repeat('x', 5000000); n int; begin for i in 1..5000 loop n := length(t); end loop; end $x$",
            "54000", 0, 0, "memory");
}

static void test_no_text(void **state) {
    refused(NULL, "create table t (id int);\n-- \xff\n", "22021", 2, 4, "0xff (byte 28 of the file)");
    refused(NULL, "create table t (id int);\n\n insert into t values ('\xc3\x28')", "22021", 3, 25, "0xc3");
    refused(NULL, "create table t (a text default E'\\xff')", "22021", 1, 1, "0xff");
    refused(NULL, "create table t (a text default E'\\000')", "22021", 1, 1, "0x00");
    const struct catalog *c = good(
        NULL, "create table "
              "\"\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4"
              "\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\" (id int)");
    for (uint32_t i = 0; i < c->relations.n; i++) assert_true(str_is_utf8(c->relations.p[i].name)); /* cut within a character */
    static const struct sql_file nul = {.name = STR_INIT("nul.sql"), .text = {(const uint8_t *)"select 1;\n\0", 11}};
    struct sql_plan plan;
    struct sql_report report = {0};
    struct diag d = DIAG_INIT;
    assert_int_equal(sql_migrate(mem, NULL, &nul, 1, CATALOG_SQLITE, NULL, &plan, &report, &d), ERR_OK);
    assert_true(report.refused == 1 && str_eqc(report.notes.p[0].code, "22021") && report.notes.p[0].line == 2);
}

static str nested(const char *open, const char *inner, const char *close, uint32_t n) {
    struct buf b = {0};
    for (uint32_t i = 0; i < n; i++) buf_puts(&b, str_c(open));
    buf_puts(&b, str_c(inner));
    for (uint32_t i = 0; i < n; i++) buf_puts(&b, str_c(close));
    buf_putc(&b, 0);
    str text = arena_str(mem, buf_str(&b));
    buf_free(&b);
    return text;
}

/* What SQLite's parser has no room for is told when it is deployed; what only looks long is not. */
static void test_complex(void **state) {
    const char *deep = (const char *)nested("upper(", "a", ")", 60).p, *deeper = (const char *)nested("(", "a", " || '')", 195).p;
    const char *list = (const char *)nested("", "a = 'x'", " or a = 'y'", 1500).p,
               *sum = (const char *)nested("", "a", " || a", 190).p;
    const struct catalog *c = good(NULL, "create table t (id int, a text)");
    refused(c, (const char *)arena_fmt(mem, "\nalter table t add check (%s > '')%c", deep, 0).p, "54001", 2, 1, "too complex");
    refused(c, (const char *)arena_fmt(mem, "\n\ncreate policy p on t using (%s > '')%c", deep, 0).p, "54001", 3, 1,
            "too complex");
    refused(c, (const char *)arena_fmt(mem, "create view v as select %s as x from t%c", deep, 0).p, "54001", 1, 1, "too complex");
    refused(c, (const char *)arena_fmt(mem, "create index on t ((%s))%c", deep, 0).p, "54001", 1, 1, "too complex");
    refused(c, (const char *)arena_fmt(mem, "update t set a = %s%c", deep, 0).p, "54001", 1, 1, "too complex");
    good(c, (const char *)arena_fmt(mem, "create function f(a text) returns text language sql as $$ select %s $$%c", deep, 0).p);
    assert_true(report.notes.n >= 1 && report.notes.p[0].severity == SQL_LATER); /* it is kept, and a call of it is refused */
    refused(
        c,
        (const char *)arena_fmt(mem, "insert into t (a) select %s from t%c", (const char *)nested("(", "a", " || '')", 300).p, 0)
            .p,
        "54001", 0, 0, "stack depth");
    c = good(c, (const char *)arena_fmt(mem,
                                        "create policy p on t using (%s); create policy q on t using (%s > ''); alter table t "
                                        "add check (%s <> 'b'); insert into t values (1, 'x'); update t set a = %s%c",
                                        list, sum, deeper, sum, 0)
                    .p);
    assert_one("select length(a) from t", "191");
}

/* Each of them doubles what the one before it is. */
static void test_doubling(void **state) {
    struct buf b = {0};
    buf_puts(&b, STR("create table t (id int); create view v0 as select id from t;\n"));
    for (int i = 1; i < 40; i++)
        buf_printf(&b, "create view v%d as select a.id from v%d a join v%d b on a.id = b.id;\n", i, i - 1, i - 1);
    buf_puts(&b, STR("create function f0(a int) returns int language sql as 'select a';\n"));
    for (int i = 1; i < 40; i++)
        buf_printf(&b, "create function f%d(a int) returns int language sql as 'select f%d(a) + f%d(a)';\n", i, i - 1, i - 1);
    buf_putc(&b, 0);
    const struct catalog *c = good(NULL, (const char *)arena_str(mem, buf_str(&b)).p);
    buf_free(&b);
    assert_true(arena_bytes(mem) < 512 * MiB);
    refused(c, "insert into t select id from v39", "54001", 1, 1, "too complex");
    refused(c, "create table s as select * from v39", "54001", 1, 1, "too complex");
    refused(c, "select f39(1)", "54001", 1, 8, "");
    c = good(c, "insert into t values (1); insert into t select id + 1 from v3; create table s as select * from v2; select "
                "f5(id) from v2");
    assert_one("select group_concat(id) from t", "1,2");
}

/* Bytes that mark references in fragments are nothing but bytes where a name or a literal has them. */
static void test_marks(void **state) {
    const struct catalog *c = good(NULL, "create table t (id int, \"a\x01"
                                         "C1\x02\" text default E'\\x01R17\\x02', \"b\x01\" int, \"x\"\"\x01"
                                         "A1\x02\" text);"
                                         "alter table t add check (\"a\x01"
                                         "C1\x02\" <> '\x01"
                                         "C2\x02'), add check (\"b\x01\" > 0);"
                                         "create index on t ((\"a\x01"
                                         "C1\x02\" || '\x01"
                                         "C2\x02'));"
                                         "create view \"v\x01R1\x02\" as select \"a\x01"
                                         "C1\x02\" as \"\x01\x02\", '\x01O1\x02' as l from t;"
                                         "insert into t (id, \"b\x01\") values (1, 2); insert into t values (2, (select "
                                         "max(\"\x01\x02\" || l) from \"v\x01R1\x02\"), 1, '');"
                                         "alter table t alter id type bigint; alter table t add column c text default '\x01"
                                         "C1\x02' not null");
    assert_one("select group_concat(hex(\"a\x01"
               "C1\x02\"), '|') from t",
               "01523137"
               "02|0152313702014F3102");
    assert_one("select group_concat(hex(c), '|') from t", "01433102|01433102");
    refused(c, "alter table t drop column nothing", "42703", 0, 0, "nothing");
    good(c, "alter table t drop column \"b\x01\""); /* no other constraint speaks of it */
}

/* A policy holds the function's text: when that changes, so does the policy. */
static void test_refresh(void **state) {
    const struct catalog *c = good(NULL, "create table t (id int); alter table t enable row level security; create function "
                                         "low() returns int language sql as 'select 3';"
                                         "create policy p on t for select using (id < low())");
    c = good(c, "create or replace function low() returns int language sql as 'select 77'");
    str text = table(c, "t")->policies.p[0].using_expr.fragment.text;
    assert_non_null(memmem(text.p, text.n, "77", 2));
}

static bool policy_has(const struct catalog *c, const char *part) {
    str text = table(c, "rooms")->policies.p[0].using_expr.fragment.text;
    return memmem(text.p, text.n, part, strlen(part));
}

/* EXISTS goes from the row to its members where a key leads there; it is a set of rooms where that set is found by an index. */
static void test_exists(void **state) {
    const struct catalog *c = good(
        NULL, "create table rooms (id int primary key); create table members (room int, member int, primary key (room, member));"
              "alter table rooms enable row level security; create policy p on rooms using (exists (select 1 from members m "
              "where m.room = rooms.id and m.member = 7));");
    assert_true(policy_has(c, "(exists (select 1") && !policy_has(c, " in (select"));
    c = good(c, "create index by_member on members (member)");
    assert_true(policy_has(c, " in (select") && !policy_has(c, "exists"));
    c = good(c, "drop index by_member; create index on members (member) where room > 1");
    assert_true(policy_has(c, "(exists (select 1"));
    c = good(c, "alter table members drop constraint members_pkey");
    assert_true(policy_has(c, " in (select"));
}

/* Parts of WITH that write (query/blocks_test.c runs them): what cannot be told apart from what they wrote is refused. */
static void test_writing_with(void **state) {
    const struct catalog *c =
        good(NULL, "create table a (id int primary key, n numeric, t text default 'x'); create table b (id int, n numeric, t "
                   "text); create table log (what text); with gone as (delete from a returning id) insert into a (id) select id "
                   "+ 100 from gone");
    assert_int_equal(plan.catalogs.n, 1);
    refused(c, "with gone as (delete from a returning id) update a set id = 5 where id in (select id from gone)", "0A000", 1, 1,
            "another part");
    refused(
        c, "create view v as select id from a; with gone as (delete from a returning id) insert into log select 'x' from gone, v",
        "0A000", 1, 36, "another part");
    refused(c, "with gone as (delete from a returning nothing) insert into log select 'x' from gone", "42703", 1, 39, "nothing");
    refused(c, "with gone as (delete from nothing returning id) select 1", "42P01", 1, 27, "nothing");
    refused(c, "with gone as (delete from a) select * from gone", "42P01", 1, 44, "gone");
    refused(c,
            "create function f() returns int language sql as 'select count(*)::int from gone'; with gone as (delete from a "
            "returning id) select f()",
            "42P01", 0, 0, "gone");
}

/* ---- policies and grants ---- */

static void test_policies(void **state) {
    const struct catalog *c =
        good(NULL, "create table t (id int, owner text); alter table t enable row level security, force row level security;"
                   "create policy b on t for select to anon, authenticated using (owner = 'x');"
                   "create policy a on t as restrictive for update using (id > 0) with check (id > 1); alter policy b on t to "
                   "anon; alter policy b on t rename to z");
    const struct catalog_relation *t = table(c, "t");
    assert_true(t->rls && t->force_rls && t->policies.n == 2);
    assert_true(str_eqc(t->policies.p[0].name, "a") && !t->policies.p[0].permissive);
    assert_int_equal(t->policies.p[1].roles.n, 1);
    assert_true(str_eqc(t->policies.p[1].using_expr.source, "owner = 'x'"));
    refused(c, "create policy a on t using (true)", "42710", 0, 0, "already exists");
    refused(c, "create policy q on t using (nothing)", "42703", 1, 29, "nothing");
    refused(c, "create policy q on t for insert using (true)", "42601", 0, 0, "WITH CHECK");
    refused(c, "create policy q on t to nobody using (true)", "42704", 1, 25, "nobody");
    refused(c, "create policy q on nothing using (true)", "42P01", 1, 20, "nothing");
    c = good(c, "drop policy a on t; drop policy if exists a on t; drop policy if exists a on nothing");
    assert_int_equal(table(c, "t")->policies.n, 1);
}

static void test_grants(void **state) {
    const struct catalog *c =
        good(NULL, "alter default privileges in schema public grant select on tables to anon; create table t (a int, b int); "
                   "revoke select on t from anon;"
                   "grant select (a) on t to anon; grant insert, update on all tables in schema public to authenticated; grant "
                   "usage on schema public to anon;"
                   "create role team; grant team to authenticated; grant delete on t to team; create table n (a int)");
    uint32_t anon = catalog_role_named(c, STR("anon"))->id, user = catalog_role_named(c, STR("authenticated"))->id;
    const struct catalog_relation *t = table(c, "t");
    assert_false(catalog_may_relation(c, anon, t, CATALOG_SELECT));
    assert_true(catalog_may_column(c, anon, t, &t->columns.p[0], CATALOG_SELECT));
    assert_false(catalog_may_column(c, anon, t, &t->columns.p[1], CATALOG_SELECT));
    assert_true(catalog_may_relation(c, user, t, CATALOG_INSERT | CATALOG_UPDATE | CATALOG_DELETE));
    assert_true(catalog_may_relation(c, anon, table(c, "n"), CATALOG_SELECT));
    c = good(c, "alter table t owner to team; create function f() returns int language sql as 'select 1'; alter function f() "
                "owner to team");
    uint32_t team = catalog_role_named(c, STR("team"))->id; /* an owner's rights go with what he owns */
    assert_true(catalog_may_relation(c, team, table(c, "t"), CATALOG_SELECT | CATALOG_TRUNCATE));
    assert_false(catalog_may_relation(c, c->owner, table(c, "t"), CATALOG_SELECT));
    assert_true(catalog_may_relation(c, c->owner, table(c, "n"), CATALOG_SELECT));
    refused(c, "grant select on nothing to anon", "42P01", 0, 0, "nothing");
    refused(c, "create role boss superuser", "42501", 0, 0, "above the rules");
    refused(c, "grant service_role to anon", "42501", 0, 0, "service_role");
    refused(c, "alter role anon bypassrls", "42501", 0, 0, "platform");
}

/* ---- the rest ---- */

static void test_rest(void **state) {
    const struct catalog *c = good(NULL, "begin; select pg_catalog.set_config('search_path', '', false); set statement_timeout = "
                                         "0; set search_path to app, public; create schema app; "
                                         "create table t (id int); set search_path = public;"
                                         "create extension if not exists pgcrypto with schema public; create extension pg_cron; "
                                         "comment on table app.t is 'it''s'; create publication p for table app.t;"
                                         "notify pgrst, 'reload schema'; lock table app.t in exclusive mode; analyze; select 1; "
                                         "alter table app.t owner to postgres; commit");
    const struct catalog_relation *t = catalog_relation_named(c, STR("app"), STR("t"));
    assert_true(t && str_eqc(t->comment, "it's"));
    assert_int_equal(c->publications.p[0].relations.n, 1);
    assert_int_equal(c->extensions.n, 2);
    refused(c, "create extension postgis", "0A000", 0, 0, "postgis");
    refused(c, "rollback", "2D000", 0, 0, "ROLLBACK");
    c = good(c, "truncate app.t; drop publication p; drop schema app cascade");
    assert_null(catalog_schema_named(c, STR("app")));
}

/* Each of these may do harm somewhere; none gets as far as a step. */
static void test_malicious(void **state) {
    static const char *const texts[] = {
        "copy t from program 'id'",
        "copy t to '/etc/passwd'",
        "alter system set x = 1",
        "load 'x'",
        "create foreign data wrapper w",
        "create server s foreign data wrapper w",
        "create database d",
        "create tablespace s location '/'",
        "create subscription s connection 'x' publication p",
        "attach database 'x' as y",
        "pragma journal_mode = off",
        "select load_extension('x')",
        "select pg_read_file('/etc/passwd')",
        "select lo_import('/etc/passwd')",
        "select * from sqlite_schema",
        "create table x as select * from _orlo_meta",
        "select pg_sleep(100)",
        "drop table _orlo_meta",
        "insert into _orlo_meta values (1)",
        "set role postgres",
        "create event trigger e on ddl_command_end execute function f()",
        "create rule r as on insert to t do nothing",
        "prepare p as select 1",
        "execute p",
        "create language c",
        "select 1; \x01R1\x02",
        "set session authorization anon",
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        migrate(NULL, texts[i], CATALOG_SQLITE);
        if (!report.refused) fail_msg("%s", texts[i]);
        if (plan.files.p[0].steps.n > 1) fail_msg("%s: " STR_FMT, texts[i], STR_ARG(plan.files.p[0].steps.p[0].text));
    }
}

static void test_bombs(void **state) {
    struct buf b = {0};
    buf_puts(&b, STR("select 1"));
    for (int i = 0; i < 300'000; i++) buf_puts(&b, STR("+1"));
    buf_putc(&b, 0);
    refused(NULL, (const char *)b.p, "54001", 1, 1, "nested");
    b.n = 0;
    buf_puts(&b, STR("select "));
    for (int i = 0; i < 5'000; i++) buf_putc(&b, '(');
    buf_putc(&b, 0);
    refused(NULL, (const char *)b.p, "54001", 0, 0, "");
    buf_free(&b);
}

static void test_all_at_once(void **state) {
    migrate(NULL,
            "create table a (x nothing);\n\nselect from where;\n  create policy p on a using (x = 'ü' and \"ö\" = 1);\ncreate "
            "table b (id int);\nalter table c enable row level security;",
            CATALOG_SQLITE);
    assert_int_equal(report.refused, 4);
    assert_int_equal(report.notes.p[0].line, 1);
    assert_int_equal(report.notes.p[1].line, 3);
    assert_true(str_eqc(report.notes.p[1].code, "42601"));
    assert_int_equal(report.notes.p[2].line, 4);
    assert_int_equal(report.notes.p[2].column, 43); /* characters, not bytes */
    assert_int_equal(report.notes.p[3].line, 6);
    assert_non_null(catalog_relation_named(plan.catalog, STR("public"), STR("b")));
}

/* On PostgreSQL what SQLite lacks is a remark. */
static void test_engine(void **state) {
    migrate(NULL, "do $$ begin null; end $$; create table t (a int4range)", CATALOG_POSTGRES);
    assert_int_equal(report.refused, 0);
    assert_int_equal(report.needs_postgres, 2);
}

/* A value of an enum is used once it is committed: on PostgreSQL a transaction ends behind it, where more comes. */
static void test_commits(void **state) {
    static const struct sql_file files[] = {
        {.name = STR_INIT("1.sql"),
         .text = STR_INIT("create type m as enum ('a'); create table p (id int primary key); create table "
                          "c (p int references p on delete cascade); insert into p values (1)")},
        {.name = STR_INIT("2.sql"), .text = STR_INIT("ALTER TYPE public.m ADD VALUE 'b';")},
        {.name = STR_INIT("3.sql"), .text = STR_INIT("alter type m rename value 'b' to 'c'")},
        {.name = STR_INIT("4.sql"),
         .text = STR_INIT("create table t (m m default 'c'); alter table p add n int not null default 1; delete from p")}};
    struct diag d = DIAG_INIT;
    for (int engine = CATALOG_SQLITE; engine <= CATALOG_POSTGRES; engine++) {
        report = (struct sql_report){0};
        assert_int_equal(
            sql_migrate(mem, base(), files, ARRAY_COUNT(files), (enum catalog_engine)engine, &reader, &plan, &report, &d),
            ERR_OK);
        assert_int_equal(report.refused, 0);
        assert_int_equal(plan.files.n, ARRAY_COUNT(files));
        for (uint32_t i = 0; i < plan.files.n; i++)
            assert_int_equal(plan.files.p[i].catalog.n > 0, engine == CATALOG_POSTGRES && i == 1);
        if (engine == CATALOG_POSTGRES) assert_int_equal(plan.files.p[3].steps.n, 3); /* the file's own alone */
    }
}

static void test_extensions_on_postgres(void **state) {
    static const struct {
        const char *text, *step;
    } rows[] = {
        {"create extension if not exists pgcrypto", "create extension if not exists pgcrypto"},
        {"create extension if not exists postgis with schema gis cascade",
         "select _orlo.extension('create', 'postgis', 'gis', true, true)"},
        {"create extension pg_cron", "select _orlo.extension('create', 'pg_cron', null, false, false)"},
        {"create extension vector with schema \"a'b\"", "select _orlo.extension('create', 'vector', 'a''b', false, false)"},
        {"drop extension if exists pg_net", "select _orlo.extension('drop', 'pg_net', null, true, false)"},
        {"drop extension postgis, hstore cascade", "select _orlo.extension('drop', 'postgis', null, false, true), "
                                                   "_orlo.extension('drop', 'hstore', null, false, true)"},
        {"comment on extension pg_graphql is 'it''s'",
         "do language plpgsql 'begin execute ''comment on extension pg_graphql is ''''it''''''''s''''''; exception when "
         "undefined_object or insufficient_privilege then null; end'"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        migrate(NULL, rows[i].text, CATALOG_POSTGRES);
        assert_int_equal(report.refused, 0);
        assert_int_equal(plan.files.p[0].steps.n, 1);
        if (!str_eqc(plan.files.p[0].steps.p[0].text, rows[i].step))
            fail_msg("%s: " STR_FMT, rows[i].text, STR_ARG(plan.files.p[0].steps.p[0].text));
    }
}

/* ---- lints ---- */

static const struct {
    const char *name, *text;
} lint_cases[] = {
    {"unindexed_foreign_keys", "create table p (id int primary key); create table c (id int primary key, p int references p)"},
    {"auth_rls_initplan",
     "create function current_setting(a text, b boolean) returns text language sql set search_path = '' as 'select a'; create "
     "table t (id int primary key, o text); "
     "alter table t enable row level security; create policy p on t for select using (o = current_setting('x', true))"},
    {"no_primary_key", "create table t (id int)"},
    {"multiple_permissive_policies", "create table t (id int primary key); alter table t enable row level security; create "
                                     "policy a on t for select using (id > 1); create policy b on t for select using (id > 2)"},
    {"policy_exists_rls_disabled", "create table t (id int primary key); create policy a on t for select using (id > 1)"},
    {"rls_enabled_no_policy", "create table t (id int primary key); alter table t enable row level security"},
    {"duplicate_index", "create table t (id int primary key, a int); create index x on t (a); create index y on t (a)"},
    {"security_definer_view",
     "create table t (id int primary key); create view v as select id from t; grant select on v to anon"},
    {"function_search_path_mutable", "create function f() returns int language sql as 'select 1'"},
    {"rls_disabled_in_public", "create table t (id int primary key); grant select on t to anon"},
    {"extension_in_public", "create extension pgcrypto with schema public"},
    {"rls_references_user_metadata", "create table t (id int primary key, user_metadata text); alter table t enable row level "
                                     "security; create policy a on t for select using (user_metadata = 'x')"},
    {"materialized_view_in_api",
     "create table t (id int primary key); create materialized view v as select id from t; grant select on v to authenticated"},
    {"unsupported_reg_types", "create table t (id int primary key, r regclass)"},
    {"insecure_queue_exposed_in_api",
     "create schema pgmq; create table pgmq.q_mail (id int primary key); grant select on pgmq.q_mail to anon"},
    {"fkey_to_auth_unique", "create schema auth; create table auth.users (id int primary key, phone text unique); create table t "
                            "(id int primary key, p text references auth.users (phone))"},
    {"auth_users_exposed", "create schema auth; create table auth.users (id int primary key); create view v as select id from "
                           "auth.users; grant select on v to anon"},
    {"sensitive_columns_exposed", "create table t (id int primary key, api_key text); grant select on t to anon"},
    {"rls_policy_always_true", "create table t (id int primary key); alter table t enable row level security; create policy a on "
                               "t for update using (true)"},
    {"public_bucket_allows_listing", "create schema storage; create table storage.objects (id int primary key, bucket_id text); "
                                     "create policy a on storage.objects for select using (bucket_id = 'x')"},
    {"pg_graphql_anon_table_exposed",
     "create extension pg_graphql; create table t (id int primary key); grant select on t to anon"},
    {"pg_graphql_authenticated_table_exposed",
     "create extension pg_graphql; create table t (id int primary key); grant select on t to authenticated"},
    {"anon_security_definer_function_executable", "create function f() returns int language sql security definer set search_path "
                                                  "= '' as 'select 1'; grant execute on function f to anon"},
    {"authenticated_security_definer_function_executable",
     "create function f() returns int language sql security definer set search_path = '' as 'select 1'"},
};

static bool has_lint(const char *name) {
    for (uint32_t i = 0; i < report.notes.n; i++)
        if (report.notes.p[i].severity == SQL_LINT && str_eqc(report.notes.p[i].code, name)) return true;
    return false;
}

static void test_lints(void **state) {
    for (size_t i = 0; i < ARRAY_COUNT(lint_cases); i++) {
        const struct catalog *c = migrate(NULL, lint_cases[i].text, CATALOG_SQLITE);
        if (report.refused) fail_msg("%s: " STR_FMT, lint_cases[i].name, STR_ARG(report.notes.p[0].text));
        sql_lint(mem, c, &report);
        if (!has_lint(lint_cases[i].name)) fail_msg("%s is not found", lint_cases[i].name);
    }
    const struct catalog *clean =
        migrate(NULL,
                "create function current_setting(a text, b boolean) returns text language sql set search_path = '' as 'select "
                "a'; create table t (id int primary key, owner text); alter table t enable row level security;"
                "create policy a on t for select using (owner = (select current_setting('x', true))); grant select on t to anon",
                CATALOG_SQLITE);
    sql_lint(mem, clean, &report);
    if (report.notes.n) fail_msg(STR_FMT, STR_ARG(report.notes.p[0].text));
}

/* What SQLite lacks is deployed and raises when it is run; strictly it is refused. What is a mistake on PostgreSQL, too, is refused in any case. */
static const struct {
    const char *text, *said;
} later[] = {
    {"create function f() returns text language sql as 'select xmlforest(1)'; create table t (id int); alter table t enable row "
     "level security; create policy p on "
     "t using (f() = 'x'); create view v as select id, f() as x from t",
     "function f raises 0A000 when it is called"},
    {"create table t (id int); alter table t enable row level security; create policy p on t using (pg_backend_pid() > id)",
     "policy \"p\" of \"t\" raises 0A000"},
    {"create table t (id int, x int default pg_current_xact_id()::text::int)", "the default of \"x\" raises 0A000"},
    {"create table t (id int check (pg_column_compression(id) is null))", "a check of \"t\" raises 0A000"},
    {"create table t (id int, b text); create view v as select t.*, pg_column_compression(id) as c, b::int as d from t; create "
     "view w as select c, d + 1 as e from v",
     "view \"v\" raises 0A000 when it is read"},
    {"create function f(a int) returns int language plv8 as 'return a'",
     "function f raises 0A000 when it is called: language plv8"},
    {"create extension postgis; create table t (id int primary key, at geography(point, 4326)); insert into t values (1, null); "
     "create function f(a geography) "
     "returns float language sql as 'select st_distance(a, a)'; create index on t using gist (at)",
     "extension \"postgis\" is not there on SQLite"},
};

static bool is_said(const char *text, enum sql_severity severity) {
    for (uint32_t i = 0; i < report.notes.n; i++)
        if (report.notes.p[i].severity == severity &&
            memmem(report.notes.p[i].text.p, report.notes.p[i].text.n, text, strlen(text)))
            return true;
    return false;
}

static void test_later(void **state) {
    for (size_t i = 0; i < ARRAY_COUNT(later); i++) {
        migrate(NULL, later[i].text, CATALOG_SQLITE);
        if (report.refused || !report.raises) fail_msg("%s: %u, %u", later[i].text, report.refused, report.raises);
        if (!is_said(later[i].said, SQL_LATER)) fail_msg("%s: " STR_FMT, later[i].text, STR_ARG(report.notes.p[0].text));
        migrate_as(NULL, later[i].text, CATALOG_SQLITE, true);
        if (!report.refused) fail_msg("%s", later[i].text);
    }
    const struct catalog *c = good(NULL, later[1].text);
    const struct catalog_policy *p = &table(c, "t")->policies.p[0]; /* it opens nothing */
    assert_true(str_starts(p->using_expr.fragment.text, STR("pg_refuse('0A000'")) &&
                !(p->using_expr.fragment.flags & CATALOG_SAFE));
    c = migrate(NULL, later[4].text, CATALOG_SQLITE);
    assert_int_equal(table(c, "v")->columns.n, 4);
    assert_int_equal(catalog_column_named(table(c, "v"), STR("id"))->type, PG_INT4);
    assert_int_equal(catalog_column_named(table(c, "v"), STR("d"))->type, PG_INT4);
    c = migrate(c, "create or replace view v as select t.*, 'x'::text as c, 1 as d from t",
                CATALOG_SQLITE); /* whoever reads it reads it anew */
    assert_true(!table(c, "v")->query.why_not.n);
    refused(NULL, "create function f() returns text language sql as 'select no_such()'", "42883", 0, 0, "no_such");
    refused(NULL, "create table t (id int); create policy p on t using (no_such(id))", "42883", 0, 0, "no_such");
    refused(NULL, "create table t (at geography)", "0A000", 0, 0, "geography");
    refused(NULL, "create language c", "42501", 0, 0, "language");
}

static void test_unchecked(void **state) {
    static const char body[] = "create function f() returns bigint language sql as 'select count(*) from t';";
    refused(NULL, body, "42P01", 0, 0, "\"t\"");
    const struct catalog *c =
        good(NULL, (const char *)arena_fmt(mem,
                                           "set check_function_bodies = off; %s create table u (id int); create policy p on u "
                                           "using (f() > 0); create table t (id int)%c",
                                           body, 0)
                       .p);
    const struct catalog_function *f = catalog_function_next(c, STR("public"), STR("f"), NULL);
    assert_true(!f->why_not.n && f->statements.n == 1 && !report.notes.n);
    assert_false(str_starts(table(c, "u")->policies.p[0].using_expr.fragment.text, STR("pg_refuse")));
    c = migrate(NULL, (const char *)arena_fmt(mem, "select set_config('check_function_bodies', 'false', false); %s%c", body, 0).p,
                CATALOG_SQLITE);
    assert_true(is_said("function f raises 0A000 when it is called: relation \"t\" does not exist", SQL_REMARK));
    c = migrate(c, "create table t (id int); create or replace function f() returns bigint language sql as 'select 1::bigint'",
                CATALOG_SQLITE);
    assert_false(catalog_function_next(c, STR("public"), STR("f"), NULL)->why_not.n);
    /* what it names goes: as on PostgreSQL nobody minds until it is called */
    c = migrate(NULL,
                (const char *)arena_fmt(
                    mem,
                    "create table t (id int); create function g() returns int language sql as 'select 1'; create function f() "
                    "returns bigint language sql as 'select count(*) from t where id = g()'; alter table t rename to s; "
                    "create or replace function g() returns int language sql as 'select 2'%c",
                    0)
                    .p,
                CATALOG_SQLITE);
    assert_true(catalog_function_next(c, STR("public"), STR("f"), NULL)->why_not.n);
}

static void test_newer(void **state) {
    const struct catalog *c =
        good(NULL, "create table t (id int); insert into t values (1_000); create view v as select a, b from (select id as a "
                   "from (select id from t)), lateral (select 2 as b); "
                   "create function f() returns bigint language sql as 'select n from (select count(*) as n from v)'");
    assert_one("select id from t", "1000");
    assert_int_equal(table(c, "v")->columns.n, 2);
    refused(c, "select 1__0", "42601", 1, 8, "");
    refused(c, "select 1 from (select 1", "42601", 0, 0, "");
}

static int setup(void **state) {
    struct diag d = DIAG_INIT;
    mem = arena_new(0);
    error = (struct pg_error){0};
    session = (struct pg_session){.error = &error, .mem = mem};
    if (db_open(&(struct db_options){.name = ":memory:", .create = true}, &db, &d) != ERR_OK ||
        pg_register(db, &session, &d) != ERR_OK)
        fail_msg("%s", d.text);
    return db_script(
        db, "create table _orlo_sequences (id integer primary key, last integer not null, called integer not null) strict", &d);
}

static int teardown(void **state) { return db_close(db), arena_free(mem), 0; }

/* A function's name is told by the search path of whoever asks: what a dump begins with takes public out of it. */
static void test_told_names(void **state) {
    (void)state;
    const struct catalog *c =
        good(NULL, "create function f(a int) returns int language sql as 'select a';"
                   "select pg_catalog.set_config('search_path', '', false);"
                   "do $$ declare p regprocedure := to_regprocedure('public.f(int)'); begin "
                   "if p is null or p::text <> 'public.f(integer)' or to_regprocedure('f(int)') is not null then "
                   "raise exception '%', p; end if; "
                   "execute format('comment on function %s is %L', p, 'told'); end $$");
    const struct catalog_function *f = catalog_function_next(c, STR("public"), STR("f"), NULL);
    assert_true(f && str_eqc(f->comment, "told"));
}

/* What is printed of an expression is that expression: libpg_query leaves out brackets. */
static void test_brackets(void **state) {
    (void)state;
    static const char *const rows[] = {"(now() at time zone 'utc')::date",
                                       "(a at time zone 'b') at time zone 'c'",
                                       "a at time zone (b || 'c')",
                                       "(a collate \"C\") || b",
                                       "(a || b) collate \"C\"",
                                       "-(a + b)",
                                       "-(-a)",
                                       "(- a)::int",
                                       "(-1)::int",
                                       "-1::int",
                                       "(a + b)::int",
                                       "(a)::int + 1",
                                       "not (a and b)",
                                       "(not a) is null",
                                       "(a is null) is true",
                                       "(a = b) = c",
                                       "a = (b = c)",
                                       "(a between 1 and 2) = b",
                                       "(a like 'b') is true",
                                       "(a in (1,2)) is not null",
                                       "(a in (1, 2)) = b",
                                       "(select 1)::text",
                                       "(array[1,2])[1]",
                                       "(a || b)[1]",
                                       "(a).b",
                                       "(f(x)).b",
                                       "(a -> 'b') ->> 'c'",
                                       "a -> ('b' || 'c')",
                                       "(a ->> 'b')::int",
                                       "(a or b) and c",
                                       "a or (b and c)",
                                       "(case when a then b end)::text",
                                       "(extract(epoch from a))::int",
                                       "(overlay(a placing b from 1)) || c",
                                       "(substring(a from 1 for 2))::int",
                                       "(position('a' in b))::text",
                                       "(trim(both 'x' from a))::text",
                                       "(a is distinct from b) = c",
                                       "((a + b) * c) / d",
                                       "a - (b - c)",
                                       "a ^ (b ^ c)",
                                       "(a ^ b) ^ c",
                                       "@ (-5)",
                                       "(a operator(pg_catalog.+) b) * c",
                                       "(a > b) is not true",
                                       "coalesce(a at time zone 'utc', b)",
                                       "(a at time zone 'utc') > b",
                                       "(interval '1 day') * 2",
                                       "(a = any(b)) = c",
                                       "(a = any(b)) is true",
                                       "(exists (select 1)) = b",
                                       "(a and b) is null",
                                       "(row(1,2)) = (row(3,4))",
                                       "(a + b) is null",
                                       "(a::text)::int",
                                       "cast(a as text) collate \"C\"",
                                       "(a collate \"C\")::text",
                                       "(a ~ 'x') and b",
                                       "(a is null)::int",
                                       "(a or b)::text",
                                       "(a = b)::text",
                                       "(a in (1))::int",
                                       "(not a)::int",
                                       "(a between 1 and 2)::int",
                                       "(a like 'x')::int",
                                       "(a is distinct from b)::int",
                                       "(a = any(b))::int",
                                       "(exists (select 1))::int",
                                       "(current_date - a)::text",
                                       "(current_timestamp at time zone 'UTC')::timestamp",
                                       "(a between b and (c and d))",
                                       "a between (b = c) and d",
                                       "(a)::int::text",
                                       "(array[1])::text[]",
                                       "(a at time zone 'x').y",
                                       "(-a) ^ 2",
                                       "- (a ^ 2)",
                                       "a[1:2]",
                                       "(a[1])[2]",
                                       "(a.b).c",
                                       "(a is true) = b",
                                       "(a is null) = b",
                                       "(a is null) is null",
                                       "a || (b is null)",
                                       "(a = b) is null",
                                       "(a < b) < c",
                                       "('{\"a\": 1}'::jsonb) ? 'a'",
                                       "(xmlelement(name a))::text",
                                       "a <> all (array[1]) and b",
                                       "(timestamp '2020-01-01') at time zone 'utc'",
                                       "(a #>> '{b}')::int > 1",
                                       "(a::jsonb -> 'b')::text",
                                       "(a + b) at time zone 'x'",
                                       "(- a) at time zone 'x'",
                                       "a at time zone ('x'::text)",
                                       "(a::timestamptz) at time zone 'x'",
                                       "(a collate \"C\") collate \"D\"",
                                       "(not a) collate \"C\"",
                                       "(a at time zone 'b') collate \"C\"",
                                       "(a is null) collate \"C\"",
                                       "(not a) = b",
                                       "(not a) in (b)",
                                       "a in ((b and c))",
                                       "(not a) like 'x'",
                                       "(a and b) between c and d",
                                       "a between (b or c) and d",
                                       "(a or b) is true",
                                       "(not a) is true",
                                       "- (a at time zone 'b')",
                                       "not (a is null)",
                                       "not (not a)",
                                       "(a and b) or c",
                                       "(a or b) or c",
                                       "not (a or b)",
                                       "(case a when (b and c) then 1 end)",
                                       "(a is null) = any(b)",
                                       "(a and b) = any(c)",
                                       "(a at time zone 'b') = any(c)",
                                       "(a or b) :: text || 'x'",
                                       "((a at time zone 'b')::date)::text",
                                       "(array[1,2] || 3)[1]",
                                       "(array(select 1))[1]",
                                       "(case when a then b end)[1]",
                                       "(coalesce(a, b))[1]",
                                       "(coalesce(a, b)).c",
                                       "(case when a then b end).c",
                                       "((a)::foo).c",
                                       "(row(1,2)).f1",
                                       "(select x).c",
                                       "(a is distinct from b) is null",
                                       "(a = b) is distinct from c",
                                       "(a and b) is distinct from c",
                                       "(not a) is distinct from b",
                                       "(a between b and c) is null",
                                       "(a in (b)) is null",
                                       "(a like b) is null",
                                       "(a is null) is distinct from b",
                                       "nullif((a and b), c)",

                                       "((a, b) overlaps (c, d))::text",
                                       "(a similar to 'x')::text",
                                       "'x' || (a at time zone 'b')::text",
                                       "current_date::text",
                                       "(current_date)::text",
                                       "(a <> b) is unknown"};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        arena *mem = arena_new(0);
        const PgQuery__Node *tree = sql_expr_tree(mem, str_c(rows[i]));
        if (!tree) fail_msg("%s", rows[i]);
        str text = sql_expr_text(mem, tree), all = arena_fmt(mem, "SELECT " STR_FMT, STR_ARG(text));
        char was[2000];
        snprintf(was, sizeof was, "SELECT %s", rows[i]);
        PgQueryFingerprintResult a = pg_query_fingerprint(was), b = pg_query_fingerprint(arena_cstr(mem, all));
        if (b.error || strcmp(a.fingerprint_str, b.fingerprint_str))
            fail_msg("%s\nis printed as\n" STR_FMT, rows[i], STR_ARG(text));
        pg_query_free_fingerprint_result(a), pg_query_free_fingerprint_result(b);
        arena_free(mem);
    }
    arena *mem = arena_new(0); /* where none are needed there are none */
    assert_string_equal(arena_cstr(mem, sql_expr_text(mem, sql_expr_tree(mem, STR("(a + b) > 1 and c is null")))),
                        "(a + b) > 1 AND c IS NULL");
    arena_free(mem);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
int main(void) {
    const struct CMUnitTest tests[] = {T(table),
                                       T(brackets),
                                       T(told_names),
                                       T(names),
                                       T(made_names),
                                       T(foreign_key),
                                       T(alter),
                                       T(actions),
                                       T(once),
                                       T(identity),
                                       T(index),
                                       T(enum),
                                       T(domain),
                                       T(views),
                                       T(functions),
                                       T(star),
                                       T(refresh),
                                       T(no_text),
                                       T(writing_with),
                                       T(exists),
                                       T(doubling),
                                       T(complex),
                                       T(marks),
                                       T(policies),
                                       T(grants),
                                       T(rest),
                                       T(malicious),
                                       T(bombs),
                                       T(all_at_once),
                                       T(engine),
                                       T(lints),
                                       T(commits),
                                       T(extensions_on_postgres),
                                       T(later),
                                       T(unchecked),
                                       T(newer),
                                       T(do)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
