/* tree: a reader's connection over many queries: what was made for policies stays, whatever the queries come to, until the catalogue is another one; and what
 * was undone and made again takes no memory for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "node/tree.h"
#include "sql/sql.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char schema[] = "create table notes (id bigint primary key, owner uuid default auth.uid(), n int check (n < 10));"
                             "alter table notes enable row level security;"
                             "create policy own on notes for all to authenticated using (owner = auth.uid()) with check (n > 0);"
                             "create view few as select n from notes where n < 5;";
static const char ann[] = "{\"sub\":\"6f1c0a52-9d5e-4f0c-8f57-0d7b8b0a7a11\",\"role\":\"authenticated\"}";

static arena *mem;
static struct query_conn *writing;
static struct catalog *catalog;

static void run(struct db *db, const char *sql) {
    struct diag d = DIAG_INIT;
    if (db_script(db, sql, &d) != ERR_OK) fail_msg("%s: %s", sql, d.text);
}

static void put_version(struct db *db, int64_t version) {
    struct buf text = {0};
    struct diag d = DIAG_INIT;
    catalog->version = (uint32_t)version;
    catalog_write(&text, catalog);
    assert_int_equal(db_run(db, &d, "insert or replace into _orlo_meta values ('catalog', ?), ('version', ?)",
                            DB_TEXT(buf_str(&text)), DB_I64(version)),
                     ERR_OK);
    buf_free(&text);
}

static struct db *writer(void) {
    struct sql_file file = {.name = STR("1.sql"), .text = str_c(schema)};
    struct sql_plan plan = {0};
    struct sql_report report = {0};
    struct diag d = DIAG_INIT;
    struct db *db;
    assert_int_equal(sql_migrate(mem, NULL, &file, 1, CATALOG_SQLITE, NULL, &plan, &report, &d), ERR_OK);
    assert_int_equal(report.refused, 0);
    assert_int_equal(db_open(&(struct db_options){.name = "app.db", .create = true, .sharing = DB_WRITER}, &db, &d), ERR_OK);
    catalog = plan.catalog;
    catalog_ready(catalog);
    assert_int_equal(query_conn_new(db, catalog, &(struct query_options){.writer = true}, &writing, &d), ERR_OK);
    run(db, "create table _orlo_meta (key text primary key, value any) strict, without rowid;"
            "create table _orlo_sequences (id integer primary key, last integer not null, called integer not null) strict;");
    for (uint32_t i = 0; i < plan.files.n; i++)
        for (uint32_t k = 0; k < plan.files.p[i].steps.n; k++) run(db, arena_cstr(mem, plan.files.p[i].steps.p[k].text));
    put_version(db, 1);
    run(db, "insert into notes values (1, x'6f1c0a529d5e4f0c8f570d7b8b0a7a11', 3), (2, x'00000000000000000000000000000000', 4)");
    return db;
}

static struct db *reader(struct db *from, struct db_files **set) {
    struct db *db;
    struct diag d = DIAG_INIT;
    int files[3], copies[3];
    assert_int_equal(db_files_of(from, files, &d), ERR_OK);
    for (int i = 0; i < 3; i++) copies[i] = fcntl(files[i], F_DUPFD_CLOEXEC, 3);
    *set = db_files_new(copies[0], copies[1], copies[2]);
    assert_int_equal(db_open(&(struct db_options){.sharing = DB_READER, .files = *set}, &db, &d), ERR_OK);
    return db;
}

struct reading {
    struct db *db;
    struct node_tree_conn *conn;
    struct node_tree_made *made;
};

/* What is answered, or the SQLSTATE. */
static const char *read_as(struct reading *r, const char *claims, const char *body) {
    static char said[256];
    arena *scratch = arena_new(0);
    struct query_batch batch;
    struct pg_error error = {0};
    struct buf b = {0};
    struct node_tree_ask ask = {
        .role = claims ? STR("authenticated") : STR("anon"), .claims = claims ? str_c(claims) : (str){0}, .body = str_c(body)};
    assert_true(query_read_batch(scratch, ask.body, &batch, &error));
    node_tree_read(
        &(struct node_tree_reading){
            .db = r->db, .conn = &r->conn, .made = &r->made, .ask = &ask, .batch = &batch, .mem = scratch, .bytes_max = 4096},
        &b, &error);
    snprintf(said, sizeof said, "%s" STR_FMT, error.state, STR_ARG(error.set ? (str){0} : buf_str(&b)));
    buf_free(&b);
    arena_free(scratch);
    assert_false(db_in_transaction(r->db));
    return said;
}

/* Names of what it has made. */
static const char *views(struct reading *r) {
    static char names[2048];
    struct db_rows *rows;
    struct diag d = DIAG_INIT;
    size_t n = 0;
    names[0] = 0;
    assert_int_equal(db_query(r->db, &rows, &d, "select name from sqlite_temp_schema order by rowid"), ERR_OK);
    while (db_next(rows)) n += (size_t)snprintf(names + n, sizeof names - n, STR_FMT " ", STR_ARG(db_str(rows, 0)));
    assert_int_equal(db_end(rows, &d), ERR_OK);
    return names;
}

static const char all[] = "{\"query\": {\"from\": \"notes\", \"select\": [\"n\"]}}",
                  few[] = "{\"query\": {\"from\": \"few\", \"select\": [\"n\"]}}",
                  wrong[] = "{\"batch\": [{\"from\": \"few\", \"select\": [\"n\"]}, {\"from\": \"none\", \"select\": [\"n\"]}]}";

static void test_views_stay(void **state) {
    struct db_files *set;
    struct db *from = writer();
    struct reading r = {.db = reader(from, &set)};
    char first[2048];
    assert_string_equal(read_as(&r, ann, all), "[{\"n\":3}]");
    snprintf(first, sizeof first, "%s", views(&r));
    assert_true(first[0]);
    for (int i = 0; i < 20; i++) {
        assert_string_equal(read_as(&r, ann, all), "[{\"n\":3}]");
        assert_string_equal(views(&r), first);
    }
    /* What fails takes none away, neither does another's role. */
    assert_string_equal(read_as(&r, ann, wrong), "PGRST205");
    assert_string_equal(read_as(&r, NULL, all), "[]");
    assert_string_equal(read_as(&r, ann, few), "[{\"n\":3},{\"n\":4}]");
    assert_true(str_starts(str_c(views(&r)), str_c(first)));
    snprintf(first, sizeof first, "%s", views(&r));
    assert_string_equal(read_as(&r, ann, all), "[{\"n\":3}]");
    assert_string_equal(views(&r), first);
    /* Another catalogue: others. */
    put_version(from, 2);
    assert_string_equal(read_as(&r, ann, all), "[{\"n\":3}]");
    assert_false(str_starts(str_c(views(&r)), str_sub(str_c(first), 0, 16)));
    node_tree_conn_free(r.conn);
    node_tree_made_unref(r.made);
    db_close(r.db);
    db_files_free(set);
    query_conn_free(writing);
    db_close(from);
}

/* In a part of a transaction that is undone, over and over, as a client does that inserts what is refused. */
static void test_undone_for_ever(void **state) {
    struct db *db = writer();
    struct query_conn *conn = writing;
    struct diag d = DIAG_INIT;
    int renewed = 0;
    for (int i = 0; i < 5000; i++) {
        arena *scratch = arena_new(0);
        struct query_batch batch;
        struct pg_error error = {0};
        struct query_result result = {0};
        struct query_said said;
        struct pg_session session = {.role = STR("authenticated"), .mem = scratch};
        assert_true(query_read_batch(
            scratch, STR("{\"query\": {\"kind\": \"insert\", \"from\": \"notes\", \"rows\": [{\"id\": 7, \"n\": 0}]}}"), &batch,
            &error));
        assert_int_equal(db_begin(db, &d), ERR_OK);
        assert_false(query_run_batch(conn, &session, &batch, &result, &said));
        assert_string_equal(result.error.state, "42501");
        query_result_free(&result);
        db_rollback(db);
        arena_free(scratch);
        if (!query_conn_worn(conn)) continue;
        assert_int_equal(query_conn_catalog(conn, catalog, &d), ERR_OK);
        renewed++;
    }
    assert_in_range(renewed, 2, 10);
    query_conn_free(conn);
    db_close(db);
}

static char folder[64];
static int set_up(void **state) {
    snprintf(folder, sizeof folder, "/tmp/orlo-tree-XXXXXX");
    mem = arena_new(0);
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int tear_down(void **state) {
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    arena_free(mem);
    return chdir("/") || system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_views_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_undone_for_ever, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
