/* translate: policies, checks and statements as text. What it means is asked of a PostgreSQL (tests/sql/expressions.py); here stands what it
 * looks like, where that matters: indexes are used, each thing is evaluated once, marks are of the right kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pg_query.h>

#include "sql/sql.h"
#include "sql/translate.h"

static const char schema[] = "create table teams (id int primary key, name text, owner uuid);"
                             "create table members (team int, person uuid, role text, primary key (team, person));"
                             "create table notes (id int primary key, team int, owner uuid, title text, price numeric(8,2), done "
                             "boolean not null default false);"
                             "create function is_in(t int) returns boolean language sql stable as 'select exists (select 1 from "
                             "members where team = t and person = auth.uid())';"
                             "create function is_boss(t int) returns boolean language sql stable security definer as "
                             "'select exists (select 1 from members where team = t and person = auth.uid() and role = ''boss'')';"
                             "create function my_teams() returns setof int language sql stable security definer as 'select team "
                             "from members where person = auth.uid()';";
static arena *mem;
static struct catalog *cat;

static int set_up(void **state) {
    (void)state;
    struct diag d = DIAG_INIT;
    struct sql_file file = {.name = STR("schema.sql"), .text = str_c(schema)};
    struct sql_plan plan;
    struct sql_report report = {0};
    mem = arena_new(0);
    if (sql_migrate(mem, NULL, &file, 1, CATALOG_SQLITE, NULL, &plan, &report, &d) != ERR_OK || report.refused)
        fail_msg("%s " STR_FMT, d.text, STR_ARG(report.notes.n ? report.notes.p[0].text : STR("")));
    cat = plan.catalog;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_free(mem);
    return 0;
}

/* Marks by names: {R:members} {C:team} {A:1} */
static str readable(str text, const struct catalog_relation *row) {
    struct buf b = {0};
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] != 1) {
            buf_putc(&b, text.p[i]);
            continue;
        }
        uint32_t id = 0;
        char kind = (char)text.p[i + 1];
        for (i += 2; text.p[i] != 2; i++) id = id * 10 + text.p[i] - '0';
        if (kind == 'R' || kind == 'B') buf_printf(&b, "{%c:" STR_FMT "}", kind, STR_ARG(catalog_relation_of(cat, id)->name));
        else if (kind == 'C') buf_printf(&b, "{C:" STR_FMT "}", STR_ARG(catalog_column_of(row, id)->name));
        else buf_printf(&b, "{%c:%u}", kind, id);
    }
    str out = arena_str(mem, buf_str(&b));
    buf_free(&b);
    return out;
}

static PgQuery__ParseResult *parse(const char *sql) {
    PgQueryProtobufParseResult r = pg_query_parse_protobuf(sql);
    if (r.error) fail_msg("%s: %s", sql, r.error->message);
    PgQuery__ParseResult *tree = pg_query__parse_result__unpack(NULL, r.parse_tree.len, (const uint8_t *)r.parse_tree.data);
    pg_query_free_protobuf_parse_result(r);
    return tree;
}

static void expect(const char *clause, const char *expression, const char *want) {
    static const str path[] = {STR_INIT("public")};
    const struct catalog_relation *row = catalog_relation_named(cat, STR("public"), STR("notes"));
    struct sql_context cx = {.mem = mem, .catalog = cat, .path = path, .path_count = 1, .row = row, .row_kind = SQL_ROW_AT_HAND};
    struct sql_want w = {.type = PG_BOOL, .typmod = -1, .context = PG_ASSIGNMENT, .clause = clause};
    struct catalog_fragment f;
    PgQuery__ParseResult *tree = parse((const char *)arena_fmt(mem, "select %s", expression).p);
    err e = sql_translate_expr(&cx, tree->stmts[0]->stmt->select_stmt->target_list[0]->res_target->val, &w, &f);
    str got = e == ERR_OK ? readable(f.text, row) : arena_fmt(mem, "%s %s", cx.problem.state, cx.problem.message);
    pg_query__parse_result__free_unpacked(tree, NULL);
    if (!str_eqc(got, want)) fail_msg("%s\n  got  " STR_FMT "\n  want %s", expression, STR_ARG(got), want);
}

static void policies(void **state) {
    (void)state;
#define ROW(clause, expression, want) expect(clause, expression, want);
#include "sql/translate_test.def"
#undef ROW
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(policies)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
