/* The wall: what a write needs of SQLite's own reads is let through, and nothing else; no table is read but through the role's views. */
#include "query/app_test.h"

static const char schema[] =
    "create table teams (id integer primary key, name text unique, other integer check (other > 0));"
    "create table notes (id integer primary key, team integer references teams (id) on delete cascade, body text, secret text "
    "default 's');"
    "create table named (id uuid primary key, team text references teams (name) on update cascade on delete set null, n integer "
    "check (n < 10));"
    "create table kept (id integer primary key, note integer references notes (id), twin integer references kept (id));"
    "create table pairs (a integer, b integer, primary key (a, b));"
    "create table of_pairs (a integer, b integer, c integer, foreign key (a, b) references pairs (a, b));"
    "alter table notes enable row level security;"
    "create policy own on notes for select to authenticated using (secret = 's');"
    "insert into teams values (1, 'x', 1), (2, 'y', 1); insert into notes values (1, 1, 'a', 's'), (2, 1, 'b', 'hidden'), (3, 2, "
    "'c', 's');"
    "insert into named values ('00000000-0000-0000-0000-000000000001', 'x', 1); insert into kept values (1, 3, 1);"
    "insert into pairs values (1, 2);";

static int start(void **state) { return *state = app_open(schema), 0; }
static int stop(void **state) { return app_close(*state), 0; }

static void keys_are_seen_to(void **state) {
    struct app *a = *state;
    ASK(a, -1, "{\"kind\":\"insert\",\"from\":\"notes\",\"rows\":[{\"id\":4,\"team\":2}],\"select\":[\"id\"]}", "[{\"id\":4}]");
    ASK(a, -1, "{\"kind\":\"insert\",\"from\":\"notes\",\"rows\":[{\"id\":5,\"team\":9}]}",
        "23503 insert or update on table \"notes\" violates foreign key constraint \"notes_team_fkey\" | Key (team)=(9) is not "
        "present in table \"teams\".");
    ASK(a, -1, "{\"kind\":\"insert\",\"from\":\"of_pairs\",\"rows\":[{\"a\":1,\"b\":2},{\"a\":1,\"b\":null}]}", "");
    ASK(a, -1, "{\"kind\":\"insert\",\"from\":\"of_pairs\",\"rows\":[{\"a\":2,\"b\":2}]}",
        "23503 insert or update on table \"of_pairs\" violates foreign key constraint \"of_pairs_a_b_fkey\" | Key (a, b)=(2, 2) "
        "is not present in table \"pairs\".");
    ASK(a, -1, "{\"kind\":\"delete\",\"from\":\"pairs\"}",
        "23503 update or delete on table \"pairs\" violates foreign key constraint \"of_pairs_a_b_fkey\" on table \"of_pairs\" | "
        "Key (a, b)=(1, 2) is still referenced from table \"of_pairs\".");
    ASK(a, -1,
        "{\"kind\":\"update\",\"from\":\"teams\",\"set\":{\"name\":\"z\"},\"where\":{\"column\":\"id\",\"op\":\"eq\",\"value\":1}"
        ",\"select\":[\"id\"]}",
        "[{\"id\":1}]");
    ASK(a, -1, "{\"from\":\"named\",\"select\":[\"team\",\"n\"]}", "[{\"team\":\"z\",\"n\":1}]");
    ASK(a, -1,
        "{\"kind\":\"delete\",\"from\":\"teams\",\"where\":{\"column\":\"id\",\"op\":\"eq\",\"value\":1},\"select\":[\"name\"]}",
        "[{\"name\":\"z\"}]");
    ASK(a, -1, "{\"from\":\"named\",\"select\":[\"team\"]}", "[{\"team\":null}]");
    ASK(a, -1, "{\"from\":\"notes\",\"select\":[\"id\"],\"order\":[\"id\"]}", "[{\"id\":3},{\"id\":4}]");
    ASK(a, -1, "{\"kind\":\"delete\",\"from\":\"notes\",\"where\":{\"column\":\"id\",\"op\":\"eq\",\"value\":3}}",
        "23503 update or delete on table \"notes\" violates foreign key constraint \"kept_note_fkey\" on table \"kept\" | Key "
        "(id)=(3) is still referenced from table \"kept\".");
    ASK(a, -1, "{\"kind\":\"delete\",\"from\":\"kept\",\"select\":[\"id\",\"twin\"]}", "[{\"id\":1,\"twin\":1}]");
}

static void no_column_is_read(void **state) {
    struct app *a = *state;
    ASK(a, 1, "{\"from\":\"teams\",\"select\":[\"id\"],\"order\":[\"id\"]}", "[{\"id\":1},{\"id\":2}]");
    ASK(a, 1, "{\"from\":\"teams\",\"select\":[{\"aggregate\":\"count\"}]}", "[{\"count\":2}]");
    ASK(a, 1, "{\"from\":\"notes\",\"select\":[{\"aggregate\":\"count\"}]}", "[{\"count\":2}]");
    ASK(a, 1,
        "{\"from\":\"teams\",\"select\":[\"id\",{\"embed\":\"notes\",\"select\":[\"id\"],\"order\":[\"id\"]}],\"order\":[\"id\"]"
        "}",
        "[{\"id\":1,\"notes\":[{\"id\":1}]},{\"id\":2,\"notes\":[{\"id\":3}]}]");
    ASK(a, 1,
        "{\"from\":\"teams\",\"select\":[\"name\",{\"embed\":\"notes\",\"select\":[]}],\"where\":{\"embed\":\"notes\",\"has\":"
        "true},\"order\":[\"id\"]}",
        "[{\"name\":\"x\"},{\"name\":\"y\"}]");
    ASK(a, 1, "{\"batch\":[{\"from\":\"teams\",\"select\":[\"id\"],\"order\":[\"id\"],\"limit\":1,\"count\":\"exact\"}]}",
        "[{\"rows\":[{\"id\":1}],\"affected\":0,\"total\":2}]");
}

/* A statement that a mistake, or an attacker, might have made of a tree. Texts differ: what was prepared once is kept. */
static bool stands(struct app *a, const char *target, const char *sql) {
    struct db_rows *rows;
    struct diag d = DIAG_INIT;
    query_wall_target(a->conn, target ? catalog_relation_named(a->catalog, STR("public"), str_c(target)) : NULL);
    query_wall_up(a->conn);
    err e = db_query_values(a->db, str_c(sql), NULL, 0, &rows, &d);
    a->conn->walled = false;
    query_wall_target(a->conn, NULL);
    if (e == ERR_OK) assert_int_equal(db_end(rows, &d), ERR_OK);
    return e == ERR_DENIED;
}

static void the_wall_stands(void **state) {
    struct app *a = *state;
    static const char *const never[] = {
        "select body from notes",
        "select body from main.notes",
        "select 1 from notes",
        "select count(*) from notes",
        "select count(*) from main.notes as v",
        "select rowid from notes",
        "select id from notes",
        "select exists (select 1 from notes)",
        "select (select count(*) from json_each('[1]'), notes)",
        "select name from sqlite_schema",
        "select count(*) from sqlite_schema",
        "select name from sqlite_temp_schema",
        "select last from _orlo_sequences",
        "select count(*) from _orlo_sequences",
        "delete from notes",
        "insert into notes (id) values (77)",
        "update notes set body = ''",
        "drop table notes",
        "create temp view v as select * from notes",
        "create table t (a)",
        "pragma table_info(notes)",
        "pragma writable_schema = on",
        "attach ':memory:' as x",
        "begin",
        "commit",
        "rollback",
        "savepoint x",
        "select * from pragma_table_list",
        "analyze",
        "reindex",
    };
    for (size_t i = 0; i < ARRAY_COUNT(never); i++)
        if (!stands(a, NULL, never[i])) fail_msg("the wall lets through: %s", never[i]);
    assert_false(stands(a, NULL, "select count(*) from json_each('[1]')"));
    static const char *const twice[] = {"select 1 from query_table(1, 0) where _orlo_a1 = 9",
                                        "select 1 from query_table(1, 0) as x where x._orlo_a1 in (9, 10)",
                                        "select 1 from query_table(1, 0) as x join (select 9 as y) on x._orlo_a1 = y"};
    for (size_t i = 0; i < ARRAY_COUNT(twice); i++) { /* on behalf of whom it runs is said once */
        struct db_rows *rows;
        struct diag d = DIAG_INIT;
        if (db_query_values(a->db, str_c(twice[i]), NULL, 0, &rows, &d) == ERR_OK)
            fail_msg("an argument is given twice: %s", twice[i]);
        if (!strstr(d.text, "twice")) fail_msg("%s: %s", twice[i], d.text);
    }
}

/* A write of one table is none of another's, and reads of others what keys need. */
static void a_write_is_of_its_target(void **state) {
    struct app *a = *state;
    static const struct {
        const char *target, *sql;
        bool stands;
    } rows[] = {
        {"notes", "insert into notes (id) values (77)", false},
        {"notes", "update notes set body = body returning secret", false},
        {"notes", "delete from teams", true},
        {"notes", "update teams set name = ''", true},
        {"notes", "insert into notes (body) select name from teams", true},
        {"notes", "insert into notes (body) select other from teams", true},
        {"notes", "insert into notes (body) select count(*) from teams", true},
        {"notes", "insert into notes (body) select n from named", true},
        {"notes", "delete from kept", true},   /* refers to notes, but goes not with them */
        {"teams", "delete from notes", false}, /* goes with them: SQLite does it */
        {"teams", "insert into teams (name) select body from notes", true},
        {"teams", "insert into teams (name) select secret from notes", true},
        {"teams", "insert into teams (name) select n from named", true},
        {"pairs", "insert into pairs select c, c from of_pairs", true},
        {"kept", "insert into kept (id) select id from teams", true},
        {"kept", "delete from main.notes", true},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        assert_int_equal(db_begin(a->db, NULL), ERR_OK);
        if (stands(a, rows[i].target, rows[i].sql) != rows[i].stands)
            fail_msg("writing %s, the wall is wrong of: %s", rows[i].target, rows[i].sql);
        db_rollback(a->db);
    }
}

/* What comes of a text that a function EXECUTEs, made by somebody who may be anybody's by now. R and B stand for relations: notes. */
static void scripts_are_held_to_their_marks(void **state) {
    struct app *a = *state;
    enum {
        WRITES = CATALOG_WRITES,
        RETURNS = CATALOG_WRITES | CATALOG_RETURNS,
        ROWS = 1 << 30 /* a trigger's that has transition tables */
    };
    static const struct {
        bool holds;
        uint32_t flags, definer;
        const char *text; /* <R> <B> <A1> <P1> … are marks */
    } rows[] = {
        {true, ROWS, 0, "select a1.c1 from query_transition(1) as a1, query_transition(0) as a2"},
        {false, 0, 0, "select a1.c1 from query_transition(1) as a1"},
        {false, ROWS, 0, "select a1.c1 from query_transition as a1 where a1.a1 = 1"},
        {false, ROWS, 0, "select a1.c1 from query_transition(<A1>) as a1"},
        {false, ROWS, 0, "select a1.c1 from query_transition(1, query_kept(1)) as a1"},
        {false, ROWS, 0, "select a1.c1 from query_kept(1) as a1"},
        {true, 0, 0, "select a1.\"body\" as \"body\" from <R> as a1 where (a1.\"id\" = <A1>)"},
        {true, 0, 0,
         "with w1 as materialized (select 1 as c1) select a1.c1, a2.c2 from w1 as a1, (values (1, 'a''b'), (2, 'c')) as a2"},
        {true, 0, 0,
         "select count(*) from <R> as a1 left join <R> as a2 on (a1.\"id\" in (select 1 from <R> as a3)), json_each('[1]') as "
         "a4"},
        {true, 0, 0, "select pg_concat('main.notes', '_orlo_meta; -- /*', \"query_id\") from <R> as a1"},
        {true, 0, 0, "select query_call(17, 0, 1), query_call_same(17, 0) from query_table(18, 0, 'x') as a1"},
        {true, 0, 9, "select query_call(17, 9, 1) from <B> as a1"},
        {true, 0, 0, "select (a1.\"notes\" is not distinct from a1.\"id\"), x'00ff' from <R> as a1 where a1.\"teams\" in (1, 2)"},
        {true, WRITES, 0, "<P1>insert into <R> as a1<P2> (\"id\"<K1>, \"body\"<K3>)<P3> values (<A1>, 'x')<P4><P5>"},
        {true, RETURNS, 0,
         "<P1>insert into <R> as a1<P2> (\"id\"<K1>)<P3> values (1)<P4> on conflict (\"id\"<K1>)<P6> do update set \"body\"<K3> "
         "= "
         "excluded.\"body\"<Q0><P7> where (a1.\"id\" > 1)<P5> returning \"id\" as \"id\""},
        {true, RETURNS, 0,
         "<P1>update <R> as a1<P2> set \"body\"<K3> = 'x'<Q0><P3> from <R> as a2<P4> where (a1.\"id\" = a2.\"id\")<P5> returning "
         "\"id\" as \"id\""},
        {true, WRITES, 0, "with a2 as (select 1 as c1) <P1>delete from <R> as a1<P4> where exists (select 1 from a2)<P5>"},
        /* tables by their names */
        {false, 0, 0, "select secret from notes"},
        {false, 0, 0, "select secret from \"notes\" as a1"},
        {false, 0, 0, "select secret from 'notes' as a1"},
        {false, 0, 0, "select secret from main.notes"},
        {false, 0, 0, "select secret from NOTES"},
        {false, 0, 0, "select 1 from <R> as a1, notes"},
        {false, 0, 0, "select 1 from <R> as a1 join notes"},
        {false, 0, 0, "select 1 from (<R> as a1, notes)"},
        {false, 0, 0, "select 1 from ((notes))"},
        {false, 0, 0, "select 1 from <R> as a1 where 1 in notes"},
        {false, 0, 0, "select 1 from <R> as a1 where 1 in 'notes'"},
        {false, 0, 0, "select (select 1 from notes)"},
        {false, 0, 0, "select 1 union select secret from notes"},
        {false, 0, 0, "select name from sqlite_schema"},
        {false, 0, 0, "select 1 from pragma_table_list"},
        {false, 0, 0, "select _orlo_m.secret from <R> as a1"},
        {false, 0, 0, "select \"_orlo_k\" from <R> as a1"},
        {false, 0, 0, "select '_orlo_m'.secret from <R> as a1"},
        {true, 0, 0, "select rank() over w1 as c1 from <R> as a1 window w1 as (order by a1.\"id\")"},
        {false, 0, 0, "select secret from main . notes"},
        {false, 0, 0, "select secret from \"main\" .\"notes\""},
        {false, 0, 0, "select secret from \"a\"\"b\""},
        {false, 0, 0, "select 1 from <R> as window, notes"},
        {false, 0, 0, "select 1 from <R> window, notes"},
        {false, 0, 0, "with \"with\" as (select 1) select 1 from (<R> as a1, with, notes)"},
        {false, 0, 0, "select c1 from query_table where a1 = 17 and a2 = 9"},
        {false, 0, 0, "select c1 from query_kept as a1"},
        {false, 0, 0, "select c1 from \"query_table\" as a1"},
        /* rights that the function has not */
        {false, 0, 0, "select 1 from <B> as a1"},
        {false, 0, 0, "select <N1>, <O1>, <C1>"},
        {false, 0, 0, "select <T1>"},
        {false, 0, 0, "select query_call(17, 9)"},
        {false, 0, 9, "select query_call(17, 8)"},
        {false, 0, 0, "select query_call(17,0)"},
        {false, 0, 0, "select query_call (17, 0)"},
        {false, 0, 0, "select query_call(17, 0 + 9)"},
        {false, 0, 0, "select query_call(17, 00000000000000009)"},
        {false, 0, 0, "select \"query_call\"(17, 0)"},
        {false, 0, 0, "select QUERY_CALL(17, 0)"},
        {false, 0, 0, "select query_apply('x')"},
        {false, 0, 0, "select query_refuse(1), query_guard(1)"},
        /* other statements, and what hides them */
        {false, 0, 0, "delete from <R> as a1"},
        {false, 0, 0, "select 1; delete from <R>"},
        {false, 0, 0, "select 1 -- x"},
        {false, 0, 0, "select 1 /* x */"},
        {false, 0, 0, "select [secret]"},
        {false, 0, 0, "select `secret`"},
        {false, 0, 0, "select ?1"},
        {false, 0, 0, "select @x"},
        {false, 0, 0, "select 'x"},
        {false, 0, 0, "select (1"},
        {false, 0, 0, "select 1)"},
        {false, 0, 0, "pragma writable_schema = on"},
        {false, 0, 0, "explain select 1"},
        {false, 0, 0, ""},
        {false, WRITES, 0, "delete from <R> as a1"},
        {false, WRITES, 0, "<P1>delete from notes as a1<P4>"},
        {false, WRITES, 0, "<P1>delete from \"notes\" as a1<P4> where 1 in (select 1 from <R> as a2)"},
        {false, WRITES, 0, "<P1>replace into <R> as a1<P2>"},
        {false, WRITES, 0, "<P1>insert or replace into <R> as a1<P2> (\"id\"<K1>)<P3> values (1)<P4><P5>"},
        {false, WRITES, 0, "<P1>delete from <R> as a1, (select 1)<P4>"},
        {false, WRITES, 0, "<P1>delete from <R> as \"a1\"<P4>"},
        {false, WRITES, 0, "delete from <R> as a2 where 1 <P1>delete from <R> as a1<P4>"},
        {false, WRITES, 0, "<P1>delete from <R> as a1<P4><P1>insert into <R> as a1<P2>"},
        {false, WRITES, 0, "<P1>update <R> as a1<P2> set \"body\"<K3> = 'x'<Q0><P3><P4> where 1<P5> returning \"secret\""},
        {false, WRITES, 0,
         "<P1>insert into <R> as a1<P2> (\"id\"<K1>)<P3> values (1)<P4> on conflict do update set \"body\" = 'x'<P5>"},
        {false, WRITES, 0, "<P1>insert into <R> as a1<P2> (\"id\"<K1>)<P3> select 'insert into' <R> from <R> as a2<P4><P5>"},
    };
    uint32_t notes = catalog_relation_named(a->catalog, STR("public"), STR("notes"))->id;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct buf b = {0};
        for (const char *p = rows[i].text; *p; p++) {
            const char *end = *p == '<' && p[1] >= 'A' && p[1] <= 'Z' ? strchr(p, '>') : NULL;
            if (!end || end - p > 4) {
                buf_putc(&b, (uint8_t)*p);
                continue;
            }
            if (end == p + 2) buf_printf(&b, "\x01%c%u\x02", p[1], notes);
            else buf_printf(&b, "\x01%.*s\x02", (int)(end - p - 1), p + 1);
            p = end;
        }
        struct catalog_fragment f = {.text = buf_str(&b), .typmod = -1, .flags = rows[i].flags & ~(uint32_t)ROWS};
        if (query_script_holds(a->catalog, &f, rows[i].definer, rows[i].flags & ROWS) != rows[i].holds)
            fail_msg("wrong of: %s", rows[i].text);
        buf_free(&b);
    }
}

/* SQLite puts each view that is named into the statement, and nobody can end that. */
static void views_do_not_double_without_an_end(void **state) {
    (void)state;
    struct buf b = {0};
    buf_puts(&b, STR("create table t (id integer primary key); insert into t values (1); create view v0 as select id from t;"));
    for (int i = 1; i <= 25; i++)
        buf_printf(&b, "create view v%d as select a.id from v%d a union all select b.id from v%d b where b.id > 1;", i, i - 1,
                   i - 1);
    buf_putc(&b, 0);
    struct app *a = app_open((const char *)b.p);
    ASK(a, 1, "{\"from\":\"v6\"}", "[{\"id\":1}]");
    ASK(a, 1, "{\"from\":\"v25\"}", "54001 view \"v10\" is too complex, with all that it is made of");
    ASK(a, 1, "{\"from\":\"v12\"}", "54001 view \"v10\" is too complex, with all that it is made of");
    ASK(a, 1, "{\"from\":\"v9\"}", "[{\"id\":1}]");
    app_close(a);
    buf_free(&b);
}

/* More tables in one join than SQLite has room for. */
static void joins_have_room_for_so_many(void **state) {
    (void)state;
    struct buf b = {0};
    buf_puts(&b, STR("create table t (id integer primary key); insert into t values (1); create view v0 as select id from t;"));
    for (int i = 1; i <= 9; i++)
        buf_printf(&b, "create view v%d as select a.id from v%d a join v%d b using (id);", i, i - 1, i - 1);
    buf_putc(&b, 0);
    struct app *a = app_open((const char *)b.p);
    ASK(a, 1, "{\"from\":\"v3\"}", "[{\"id\":1}]");
    ASK(a, 1, "{\"from\":\"v7\"}", "54001 statement is too complex");
    ASK(a, 1, "{\"from\":\"v8\"}", "54001 statement is too complex");
    ASK(a, 1, "{\"from\":\"v9\"}", "54001 statement is too complex");
    app_close(a);
    buf_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_are_seen_to, start, stop),
        cmocka_unit_test_setup_teardown(no_column_is_read, start, stop),
        cmocka_unit_test_setup_teardown(the_wall_stands, start, stop),
        cmocka_unit_test_setup_teardown(a_write_is_of_its_target, start, stop),
        cmocka_unit_test_setup_teardown(scripts_are_held_to_their_marks, start, stop),
        cmocka_unit_test(views_do_not_double_without_an_end),
        cmocka_unit_test(joins_have_room_for_so_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
