/* For tests of this room: an app made of migrations in PostgreSQL's language, with the platform's schemas, in memory, that is asked trees. */
#ifndef ORLO_QUERY_APP_TEST_H
#define ORLO_QUERY_APP_TEST_H

#include "query/plan_test.h"
#include "query/query_int.h"
#include "sql/sql.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define UNUSED __attribute__((unused))

struct app {
    arena *mem;
    struct db *db;
    struct query_conn *conn;
    const struct catalog *catalog;
    struct buf told; /* statements since it was emptied, one a line */
    char answer[16384];
};

static void tell(void *arg, str sql) {
    struct app *a = arg;
    buf_printf(&a->told, STR_FMT "\n", STR_ARG(sql));
}

static void app_step(struct app *a, str sql) {
    struct diag d = DIAG_INIT;
    if (db_run_values(a->db, sql, NULL, 0, &d) != ERR_OK) fail_msg("%s\n" STR_FMT, d.text, STR_ARG(sql));
}

static UNUSED struct app *app_open(const char *sql) {
    struct app *a = calloc(1, sizeof *a);
    struct diag d = DIAG_INIT;
    struct sql_file file = {.name = STR("1.sql"), .text = str_c(sql)};
    struct sql_plan plan = {0};
    struct sql_report report = {0};
    assert_non_null(a);
    a->mem = arena_new(0);
    const struct query_options options = {.writer = true, .told = tell, .told_arg = a};
    if (db_open(&(struct db_options){.name = ":memory:", .create = true, .quick = true}, &a->db, &d) != ERR_OK)
        fail_msg("%s", d.text);
    assert_int_equal(query_conn_new(a->db, catalog_new(a->mem, CATALOG_SQLITE), &options, &a->conn, &d), ERR_OK);
    assert_int_equal(sql_migrate(a->mem, NULL, &file, 1, CATALOG_SQLITE, NULL, &plan, &report, &d), ERR_OK);
    for (uint32_t i = 0; report.refused && i < report.notes.n; i++)
        if (report.notes.p[i].severity <= SQL_NEEDS_POSTGRES)
            fail_msg(STR_FMT " (line %u, column %u)", STR_ARG(report.notes.p[i].text), report.notes.p[i].line,
                     report.notes.p[i].column);
    app_step(a,
             STR("create table _orlo_sequences (id integer primary key, last integer not null, called integer not null) strict"));
    catalog_ready(plan.catalog);
    a->catalog = plan.catalog;
    struct plan_place where;
    if (!plan_run(a->mem, a->db, a->conn, &plan, &where, &d))
        fail_msg(STR_FMT ":%u: %s%s", STR_ARG(where.file), where.line, d.text, query_conn_raised(a->conn)->message);
    return a;
}

static UNUSED void app_close(struct app *a) {
    query_conn_free(a->conn);
    db_close(a->db);
    buf_free(&a->told);
    arena_free(a->mem);
    free(a);
}

enum { APP_USER_MAX = 9 };
/* Of user 1 … 9 (authenticated, with a sub of that digit), 0 (anon) or -1 (service_role): a tree's rows; of one that failed "STATE message | detail | hint". */
static UNUSED const char *ask(struct app *a, int user, const char *tree) {
    arena *mem = arena_new(0);
    static const struct json_limits limits = {.bytes_max = 4096, .depth_max = 8, .values_max = 64};
    struct json claims;
    struct diag d = DIAG_INIT;
    const char *role = user < 0 ? "service_role" : user ? "authenticated" : "anon";
    struct pg_session session = {.role = str_c(role), .mem = mem};
    session.claims = user > 0 ? arena_fmt(mem, "{\"role\":\"%s\",\"sub\":\"00000000-0000-0000-0000-00000000000%d\"}", role, user)
                              : arena_fmt(mem, "{\"role\":\"%s\"}", role);
    assert_int_equal(json_read(mem, session.claims, &limits, &claims, &d), ERR_OK);
    session.claims_json = &claims;
    struct query_batch b = {0};
    struct pg_error e = {0};
    struct query_result results[8] = {0};
    bool whole = !strncmp(tree, "{\"batch\"", 8) || !strncmp(tree, "{\"query\"", 8);
    bool ok = query_read_batch(mem, arena_fmt(mem, whole ? "%s" : "{\"query\":%s}", tree), &b, &e);
    assert_in_range(b.count, 0, ARRAY_COUNT(results));
    assert_int_equal(db_begin(a->db, &d), ERR_OK);
    struct query_said said;
    if (ok) ok = query_run_batch(a->conn, &session, &b, results, &said);
    if (!ok || b.rollback) db_rollback(a->db);
    else assert_int_equal(db_commit(a->db, &d), ERR_OK);
    struct buf body = {0};
    if (ok) query_batch_body(&b, results, &said, &body);
    for (uint32_t i = 0; i < b.count; i++) {
        if (results[i].error.set && !e.set) e = results[i].error;
        query_result_free(&results[i]);
    }
    if (ok) snprintf(a->answer, sizeof a->answer, STR_FMT, STR_ARG(buf_str(&body)));
    else
        snprintf(a->answer, sizeof a->answer, "%s %s%s%s%s%s", e.state, e.message, *e.detail ? " | " : "", e.detail,
                 *e.hint ? " | " : "", e.hint);
    buf_free(&body), arena_free(mem);
    return a->answer;
}

#define ASK(a, user, tree, want) assert_string_equal(ask(a, user, tree), want)

#endif
