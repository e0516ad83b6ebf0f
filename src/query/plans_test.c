/* What a tree costs: SQLite's plans of what is printed. Policies as projects write them let indexes serve the read, whoever asks. */
#include "query/app_test.h"

static const char schema[] =
    "create table notes (id integer primary key, owner uuid not null default auth.uid(), team uuid, title text, at timestamptz);"
    "create index notes_owner on notes (owner); create index notes_team on notes (team); create index notes_title on notes "
    "(title);"
    "create table members (who uuid, team uuid, primary key (team, who)); create index members_who on members (who);"
    "alter table members enable row level security; create policy mine on members for select using (who = auth.uid());"
    "create table teams (id uuid primary key, name text unique); alter table teams enable row level security;"
    "create policy member on teams for select using (exists (select 1 from members m where m.team = teams.id and m.who = "
    "auth.uid()));"
    "alter table notes enable row level security;"
    "create table owned (id integer primary key, owner uuid, title text); create index owned_owner on owned (owner);"
    "alter table owned enable row level security; create policy own on owned using (owner = auth.uid()) with check (owner = "
    "auth.uid());"
    "create table wrapped (id integer primary key, owner uuid); create index wrapped_owner on wrapped (owner);"
    "alter table wrapped enable row level security; create policy own on wrapped for select using ((select auth.uid()) = owner);"
    "create policy shared on notes for select using (exists (select 1 from members m where m.team = notes.team and m.who = "
    "auth.uid()));"
    "create table listed (id integer primary key, team uuid); create index listed_team on listed (team);"
    "alter table listed enable row level security; create policy l on listed for select using (team in (select team from members "
    "where who = auth.uid()));"
    "create table lines (id integer primary key, note integer references owned (id), n integer); create index lines_note on "
    "lines (note);"
    "alter table lines enable row level security; create policy own on lines for select using (exists (select 1 from owned o "
    "where o.id = lines.note and o.owner = auth.uid()));";

static int start(void **state) { return *state = app_open(schema), 0; }
static int stop(void **state) { return app_close(*state), 0; }

/* The plans of all that a tree runs. */
static void plan(struct app *a, const char *tree, struct buf *to) {
    a->told.n = 0;
    const char *said = ask(a, 1, tree);
    if (strstr(said, "\"code\"") || (said[0] != '[' && said[0])) fail_msg("%s\n%s", tree, said);
    str left = buf_str(&a->told), line;
    while (left.n) {
        str_cut(left, '\n', &line, &left);
        struct buf sql = {0};
        struct db_rows *rows;
        buf_printf(&sql, "explain query plan " STR_FMT, STR_ARG(line));
        struct db_value none[64] = {0};
        size_t n = 0;
        while (n < ARRAY_COUNT(none) && db_query_values(a->db, buf_str(&sql), none, n, &rows, NULL) != ERR_OK) n++;
        assert_true(n < ARRAY_COUNT(none));
        while (db_next(rows)) buf_printf(to, STR_FMT "\n", STR_ARG(db_str(rows, 3)));
        assert_int_equal(db_end(rows, NULL), ERR_OK);
        buf_free(&sql);
    }
    buf_putc(to, 0);
}

static void has(struct app *a, const char *tree, const char *const *wanted) {
    struct buf b = {0};
    plan(a, tree, &b);
    for (; *wanted; wanted++)
        if (!strstr((const char *)b.p, *wanted)) fail_msg("%s\n is not planned by \"%s\":\n%s", tree, *wanted, (const char *)b.p);
    for (const char *scan = (const char *)b.p; (scan = strstr(scan, "SCAN ")); scan++)
        if (strncmp(scan, "SCAN CONSTANT ROW", 17) != 0) fail_msg("%s\n scans:\n%s", tree, (const char *)b.p);
    buf_free(&b);
}
#define PLAN(a, tree, ...) has(a, tree, (const char *const[]){__VA_ARGS__, NULL})

static void owner_is_who_asks(void **state) {
    struct app *a = *state;
    PLAN(a, "{\"from\":\"owned\",\"select\":[\"*\"]}", "SEARCH _orlo_t USING INDEX owned_owner (owner=?)");
    PLAN(a, "{\"from\":\"owned\",\"select\":[\"id\"],\"order\":[\"id\"],\"limit\":10,\"count\":\"exact\"}",
         "owned_owner (owner=?)");
    PLAN(a, "{\"from\":\"owned\",\"select\":[\"title\"],\"where\":{\"column\":\"id\",\"op\":\"eq\",\"value\":1}}",
         "SEARCH _orlo_t USING INTEGER PRIMARY KEY (rowid=?)");
    PLAN(a, "{\"from\":\"owned\",\"select\":[\"title\"],\"where\":{\"column\":\"title\",\"op\":\"ilike\",\"value\":\"a*\"}}",
         "owned_owner (owner=?)");
    PLAN(a, "{\"from\":\"wrapped\",\"select\":[\"id\"]}", "wrapped_owner (owner=?)");
    PLAN(a, "{\"from\":\"owned\",\"select\":[{\"aggregate\":\"count\"}]}", "owned_owner (owner=?)");
    PLAN(a,
         "{\"kind\":\"update\",\"from\":\"owned\",\"set\":{\"title\":\"x\"},\"where\":{\"column\":\"id\",\"op\":\"eq\",\"value\":"
         "1}}",
         "INTEGER PRIMARY KEY (rowid=?)");
    PLAN(a, "{\"kind\":\"delete\",\"from\":\"owned\",\"select\":[\"id\"]}", "owned_owner (owner=?)");
}

static void membership(void **state) {
    struct app *a = *state;
    PLAN(a, "{\"from\":\"teams\",\"select\":[\"name\"],\"where\":{\"column\":\"name\",\"op\":\"eq\",\"value\":\"x\"}}",
         "teams_name_key (name=?)", "members_who (who=?)");
    PLAN(a,
         "{\"from\":\"notes\",\"select\":[\"title\"],\"where\":{\"column\":\"team\",\"op\":\"eq\",\"value\":\"00000000-0000-0000-"
         "0000-000000000001\"}}",
         "notes_team (team=?)", "members_who (who=?)");
    PLAN(a, "{\"from\":\"notes\",\"select\":[\"title\"],\"where\":{\"column\":\"title\",\"op\":\"eq\",\"value\":\"x\"}}",
         "notes_title (title=?)", "members_who (who=?)");
    PLAN(a, "{\"from\":\"listed\",\"select\":[\"id\"]}", "listed_team (team=?)", "members_who (who=?)");
    PLAN(a, "{\"from\":\"lines\",\"select\":[\"n\"],\"where\":{\"column\":\"note\",\"op\":\"eq\",\"value\":1}}",
         "lines_note (note=?)", "owned_owner (owner=?)");
    PLAN(a, "{\"from\":\"owned\",\"select\":[\"id\",{\"embed\":\"lines\",\"select\":[\"n\"]}]}", "owned_owner (owner=?)",
         "lines_note (note=?)");
    PLAN(a, "{\"from\":\"teams\",\"select\":[\"name\"]}", "(id=?)", "members_who (who=?)");
}

/* # stands for a value. */
static void fill(char *to, size_t room, const char *tree, char with) {
    snprintf(to, room, "%s", tree);
    for (char *at = to; (at = strchr(at, '#'));) *at = with;
}

/* The same shape is the same text, whatever the values: it is prepared once. */
static void shapes_are_kept(void **state) {
    struct app *a = *state;
    static const char *const trees[] = {
        "{\"from\":\"owned\",\"select\":[\"id\"],\"where\":{\"column\":\"id\",\"op\":\"eq\",\"value\":#}}",
        "{\"from\":\"owned\",\"select\":[\"id\"],\"where\":{\"column\":\"title\",\"op\":\"like\",\"value\":\"#\"},\"limit\":#,"
        "\"offset\":#}",
        "{\"kind\":\"update\",\"from\":\"owned\",\"set\":{\"title\":\"#\"},\"where\":{\"column\":\"id\",\"op\":\"gt\",\"value\":#"
        "}}",
        "{\"from\":\"owned\",\"select\":[\"id\"],\"where\":{\"column\":\"id\",\"op\":\"in\",\"values\":[#,#,3]}}",
    };
    for (size_t i = 0; i < ARRAY_COUNT(trees); i++) {
        char one[512], other[512];
        fill(one, sizeof one, trees[i], '1');
        fill(other, sizeof other, trees[i], '2');
        a->told.n = 0;
        ask(a, 1, one);
        str first = arena_str(a->mem, buf_str(&a->told));
        a->told.n = 0;
        ask(a, 2, other);
        assert_true(str_eq(first, buf_str(&a->told)));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(owner_is_who_asks, start, stop),
        cmocka_unit_test_setup_teardown(membership, start, stop),
        cmocka_unit_test_setup_teardown(shapes_are_kept, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
