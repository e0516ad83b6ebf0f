/* What of migrations runs as functions do: DO blocks of rows, rows that fire triggers, statements that call PL/pgSQL; each under the catalogue of its place. */
#include "query/app_test.h"

/* All rows of a query of SQLite's, a value each, comma between. */
static const char *rows_of(struct app *a, const char *sql) {
    struct diag d = DIAG_INIT;
    struct db_rows *rows;
    struct buf b = {.max = sizeof a->answer - 1};
    if (db_query_values(a->db, str_c(sql), NULL, 0, &rows, &d) != ERR_OK) fail_msg("%s: %s", sql, d.text);
    while (db_next(rows)) {
        struct db_value v = db_value(rows, 0);
        if (b.n) buf_putc(&b, ',');
        if (v.kind == DB_INTEGER) buf_printf(&b, "%lld", (long long)v.i);
        else buf_puts(&b, v.kind >= DB_TEXTUAL ? v.s : STR("null"));
    }
    if (db_end(rows, &d) != ERR_OK) fail_msg("%s: %s", sql, d.text);
    snprintf(a->answer, sizeof a->answer, STR_FMT, STR_ARG(buf_str(&b)));
    buf_free(&b);
    return a->answer;
}

static const struct {
    const char *sql, *rows, *are;
} good[] = {
    /* What a called function raises is caught, and what it wrote is undone. */
    {"create table log (t text); create function w(x text) returns int language plpgsql as $$ begin insert into log values (x); "
     "if x = 'bad' then raise "
     "exception 'no'; end if; return 1; end $$; do $$ begin perform cron.unschedule('nope'); exception when others then null; "
     "end $$; do $$ begin perform "
     "w('a'); begin perform w('undone'); perform w('bad'); exception when raise_exception then perform w('caught ' || sqlerrm); "
     "end; end $$",
     "select t from log", "a,caught no"},
    /* Rows of filled tables: loops, INTO, FOUND, ROW_COUNT, RETURNING INTO. */
    {"create table t (id serial primary key, n int); create table log (t text); insert into t (n) values (1), (2), (3); do $$ "
     "declare r record; k int; v int; "
     "begin for r in select * from t where n > 1 order by id loop update t set n = n * 10 where id = r.id; end loop; update t "
     "set n = n + 1 where n >= 20; get "
     "diagnostics k = row_count; insert into log values ('changed ' || k); insert into t (n) values (7) returning id into v; "
     "insert into log values ('id ' || v); "
     "select n into v from t where id = 99; if not found then insert into log values ('none'); end if; if exists (select 1 from "
     "t where n = 31) then insert "
     "into log values ('there'); end if; end $$",
     "select t from log", "changed 2,id 4,none,there"},
    /* Keys act and hold within a block, while tables are made anew in the same plan. */
    {"create table p (id int primary key, a text); create table c (p int references p on delete cascade); insert into p values "
     "(1, '1'), (2, '2'); insert into "
     "c values (1), (2); create table log (t text); alter table p alter a type int using a::int; do $$ begin delete from p where "
     "id = 1; begin insert into c "
     "values (9); exception when foreign_key_violation then insert into log values (sqlstate); end; end $$; alter table c add "
     "column x int not null default 4; "
     "delete from p where id = 2; alter table p add check (id > 0)",
     "select (select count(*) from c) || ' ' || t from log", "0 23503"},
    /* Triggers fire for rows that migrations write, as they are there. */
    {"create table t (id int, by text); create table log (t text); create function f() returns trigger language plpgsql as $$ "
     "begin new.by := 'first'; return "
     "new; end $$; create trigger f before insert on t for each row execute function f(); insert into t values (1); create or "
     "replace function f() returns "
     "trigger language plpgsql as $$ begin insert into log values ('second'); new.by := 'second'; return new; end $$; insert "
     "into t values (2); alter table t "
     "disable trigger f; insert into t values (3); alter table t enable trigger f; alter table t rename column by to who; create "
     "or replace function f() "
     "returns trigger language plpgsql as $$ begin new.who := 'third'; return new; end $$; insert into t select 4; drop trigger "
     "f on t; insert into t values (5)",
     "select coalesce(by, '-') from t order by id", "first,second,-,third,-"},
    /* … and those of rows that keys take along. */
    {"create table p (id int primary key); create table c (id int primary key, p int references p on delete cascade); create "
     "table log (t text); create "
     "function f() returns trigger language plpgsql as $$ begin insert into log values (tg_op || old.id); return old; end $$; "
     "create trigger f after delete on "
     "c for each row execute function f(); insert into p values (1), (2); insert into c values (7, 1), (8, 2); delete from p "
     "where id = 1",
     "select t from log", "DELETE7"},
    /* A function is what it is there, and sees tables as they are there. */
    {"create table t (a int); create function f() returns int language plpgsql as $$ begin return (select count(*) from t where "
     "a = 1); end $$; insert into t "
     "values (1); create table log (t text); insert into log select f() || ''; alter table t rename a to b; create or replace "
     "function f() returns int language "
     "plpgsql as $$ begin return (select count(*) * 10 from t where b = 1); end $$; insert into log select f() || ''; do $$ "
     "begin execute 'alter table t add "
     "c int'; perform f(); end $$",
     "select t from log", "1,10"},
    /* What a block finds of the catalogue is as it is there. */
    {"create table log (t text); do $$ begin if not exists (select 1 from information_schema.tables where table_name = 'later') "
     "then insert into log values "
     "('not yet'); end if; end $$; create table later (id int); do $$ declare r record; begin for r in select table_name from "
     "information_schema.tables where "
     "table_schema = 'public' order by 1 loop insert into log values (r.table_name); end loop; end $$",
     "select t from log", "not yet,later,log"},
    /* Variables of a block that defines something are their values in what it writes. */
    {"create table t (id int primary key, n int); create function f() returns trigger language plpgsql as $$ begin new.n := "
     "new.n + 1; return new; end $$; "
     "create trigger f before insert on t for each row execute function f(); do $$ declare k int; begin create table u (id int); "
     "for k in 1..2 loop insert "
     "into t values (k, k * 10); end loop; end $$",
     "select n from t order by id", "11,21"},
    /* Handlers within handlers, loops that are left, a raise again. */
    {"create table log (t text); insert into log values ('0'); do $$ declare i int := 0; begin loop begin i := i + 1; if i > 3 "
     "then raise unique_violation using "
     "message = 'again'; end if; update log set t = t || i; continue when i < 3; exception when unique_violation then begin "
     "raise; exception when others then "
     "insert into log values (sqlerrm || i); end; exit; end; end loop; end $$",
     "select t from log", "0123,again4"},
    /* Parts of WITH that write. */
    {"create table a (id int primary key, n numeric, t text default 'x'); create table b (id int, n numeric, t "
     "text); create table log (what text);"
     "insert into a (id, n) values (1, 1.50), (2, 2), (3, 3);"
     "with gone as (delete from a where id = 1 returning *) insert into b select * from gone;"
     "with made (k, twice) as (insert into a (id, n) values (10, 5) returning id, n * 2) insert into b (id, n, t) "
     "select k, twice, 'made' from made where twice = 10.0;"
     "with changed as (update a set t = 'y' where id > 1 returning id) insert into log select 'changed ' || "
     "count(*) from changed;"
     "with up as (insert into a (id, t) values (10, 'up'), (11, 'up') on conflict (id) do update set t = "
     "excluded.t returning id, t) insert into log select string_agg(id || t, ',' order by id) from up;"
     "with which as (select id from b where t = 'made'), gone as (delete from b where id in (select id from which) "
     "returning id), more as (insert into log select 'gone ' || id from gone) select 1;"
     "with unused as (select * from a), gone as (delete from a where id = 11 returning id) insert into log select "
     "'last ' || id from gone",
     "select group_concat(x, ';') from (select group_concat(id || n || t) as x from b union all select group_concat(what, ';') "
     "from log)",
     "11.50x;changed 3;10up,11up;gone 10;last 11"},
    {"create table a (id int primary key); create table log (t text); create function f() returns trigger language plpgsql as $$ "
     "begin insert into log values "
     "(tg_op || coalesce(new.id, old.id)); return coalesce(new, old); end $$; create trigger f after insert or delete on a for "
     "each row execute function f(); "
     "insert into a values (1), (2); do $$ declare k int := 100; begin create table other (id int); with gone as (delete from a "
     "where id > k - 100 returning id) "
     "insert into a select id + k from gone where id < (select count(*) from a); end $$",
     "select t from log", "INSERT1,INSERT2,DELETE1,DELETE2,INSERT101"},
    /* Calls by themselves, of all that a function may give. */
    {"create table log (t text); create function n(x text) returns void language plpgsql as $$ begin insert into log values (x); "
     "end $$; create function r(out a "
     "int, out b text) language plpgsql as $$ begin perform n('r'); a := 1; end $$; create function s(x text) returns void "
     "language sql as $$ insert into log "
     "values (x) $$; create function many() returns setof log language sql as $$ insert into log values ('m') returning * $$; "
     "create procedure p(x text) "
     "language plpgsql as $$ begin perform n(x); end $$; select n('n'); select r(); select s('s'); select many(); call p('p'); "
     "select count(*) from pg_class, "
     "n('c'); do $$ begin call p('do'); perform s('do'); end $$",
     "select t from log", "n,r,s,m,p,c,do,do"},
    /* A search path of the file's. */
    {"create schema own; create table own.t (a int); create table t (a text); set search_path = own, public; insert into t "
     "values (1); do $$ declare n int; begin "
     "select count(*) into n from t; update t set a = a + n; end $$",
     "select a from \"own.t\"", "2"},
};

static void test_good(void **state) {
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        struct app *a = app_open(good[i].sql);
        if (strcmp(rows_of(a, good[i].rows), good[i].are) != 0) fail_msg("%s\n%s", good[i].sql, a->answer);
        app_close(a);
    }
}

static const struct {
    const char *sql, *state, *part;
    bool when_run; /* it is told then, and not while it is read */
} bad[] = {
    {"create table t (id int); insert into t values (1); do $$ begin if (select count(*) from t) = 1 then raise exception 'one "
     "of %', 1; end if; end $$",
     "P0001", "one of 1", true},
    {"create table t (id int primary key); insert into t values (1); do $$ begin insert into t values (2); insert into t values "
     "(1); end $$",
     "23505", "duplicate", true},
    {"create table t (id int); insert into t values (1); do $$ begin assert (select count(*) from t) = 2, 'two'; exception when "
     "others then null; end $$",
     "P0004", "two", true},
    {"do $$ begin assert false; exception when others then null; end $$", "P0004", "assertion failed", false},
    {"create table t (id int); insert into t values (1); do $$ begin if exists (select from t) then create table u (id int); end "
     "if; end $$",
     "0A000", "rows", false},
    {"create table t (id int); do $$ begin perform 1; update nope set a = 1; end $$", "42P01", "nope", true},
    {"create table t (id int); insert into t values (1); do $$ declare x text := 'a'; begin for i in 1..40 loop x := x || x; end "
     "loop; perform 1; end $$",
     "54000", "larger", true},
    {"create function f() returns int language plpgsql as $$ begin return f() + 1; end $$; do $$ begin perform f(); exception "
     "when others then null; end $$",
     "54001", "stack", true},
};

static void test_bad(void **state) {
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct app *a = app_open("select 1");
        struct sql_file file = {.name = STR("2.sql"), .text = str_c(bad[i].sql)};
        struct sql_plan plan = {0};
        struct sql_report report = {0};
        struct plan_place where;
        struct diag d = DIAG_INIT;
        assert_int_equal(sql_migrate(a->mem, a->catalog, &file, 1, CATALOG_SQLITE, NULL, &plan, &report, &d), ERR_OK);
        if (bad[i].when_run == (report.refused != 0)) fail_msg("%s: %u refused", bad[i].sql, report.refused);
        const char *is = report.refused ? arena_cstr(a->mem, report.notes.p[0].code) : NULL,
                   *text = report.refused ? arena_cstr(a->mem, report.notes.p[0].text) : NULL;
        if (!report.refused) {
            assert_int_equal(db_begin(a->db, &d), ERR_OK);
            catalog_ready(plan.catalog);
            assert_false(plan_run(a->mem, a->db, a->conn, &plan, &where, &d));
            is = query_conn_raised(a->conn)->state, text = query_conn_raised(a->conn)->message;
            db_rollback(a->db);
        }
        if (strcmp(is, bad[i].state) != 0 || !strstr(text, bad[i].part)) fail_msg("%s: %s %s", bad[i].sql, is, text);
        app_close(a);
    }
}

static void on_notice(void *arg, bool warns, str text) { buf_printf(arg, "%s" STR_FMT ";", warns ? "! " : "", STR_ARG(text)); }

static void test_notices(void **state) {
    struct app *a = app_open("create table t (id int)");
    struct buf said = {0};
    struct sql_file file = {.name = STR("2.sql"),
                            .text = STR("insert into t values (1); do $$ declare n int; begin select count(*) into n from t; "
                                        "raise notice '% of %', n, 'it'; raise debug "
                                        "'no'; raise warning 'it is'; end $$;\ndo $$ begin raise notice 'read'; end $$")};
    struct sql_plan plan = {0};
    struct sql_report report = {0};
    struct plan_place where;
    struct diag d = DIAG_INIT;
    assert_int_equal(sql_migrate(a->mem, a->catalog, &file, 1, CATALOG_SQLITE, NULL, &plan, &report, &d), ERR_OK);
    assert_int_equal(report.notes.n, 1);
    assert_true(str_eqc(report.notes.p[0].text, "NOTICE: read") && report.notes.p[0].line == 2 &&
                str_eqc(report.notes.p[0].code, "00000"));
    catalog_ready(plan.catalog);
    query_conn_notices(a->conn, on_notice, &said);
    assert_true(plan_run(a->mem, a->db, a->conn, &plan, &where, &d));
    assert_true(str_eqc(buf_str(&said), "1 of it;! it is;"));
    buf_free(&said);
    app_close(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad), cmocka_unit_test(test_notices)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
