/* Injection: whatever a client says, in each place of a tree where a name or a value stands, SQL's text is made of the catalogue's names and this room's
 * words. Each payload stands in each place; the text of every statement that is prepared is looked at, for SQLite and for PostgreSQL. */
#include "query/app_test.h"

static const char schema[] =
    "create table t (id integer primary key, name text, n integer, tags text[], doc jsonb, at timestamptz, \"odd \"\"name'; --\" "
    "text);"
    "create table child (id integer primary key, t integer references t (id), note text);"
    "create function f(a text, b integer default 1) returns setof t language sql stable as $$ select * from t where name = a $$;"
    "insert into t (id, name) values (1, 'x'); insert into child values (1, 1, 'y');";

static const char *const payloads[] = {
    "zq7'; drop table t; --",
    "zq7\"; drop table t; --",
    "zq7') or 1=1 --",
    "zq7\" union select * from main.sqlite_schema --",
    "zq7*/ or true /*",
    "zq7`",
    "zq7]",
    "zq7\\'",
    "zq7$1",
    "zq7?1",
    "zq7 = 1",
    "zq7::text",
    "zq7\n;select pg_sleep(9)",
    "zq7%27%20or%201%3D1",
    "zq7\xef\xbc\x87 or 1=1", /* a full-width quote */
    "zq7\x01R1\x02",          /* a reference, as fragments have them */
    "zq7$$; select 1; $$",
    "zq7;",
};

/* @ stands for the payload, as JSON. */
static const char *const trees[] = {
    "{\"from\":@,\"select\":[\"id\"]}",
    "{\"schema\":@,\"from\":\"t\",\"select\":[\"id\"]}",
    "{\"from\":\"t\",\"select\":[@]}",
    "{\"from\":\"t\",\"select\":[{\"column\":@}]}",
    "{\"from\":\"t\",\"select\":[{\"column\":\"id\",\"as\":@}]}",
    "{\"from\":\"t\",\"select\":[{\"column\":\"id\",\"cast\":@}]}",
    "{\"from\":\"t\",\"select\":[{\"column\":\"doc\",\"path\":[@,0,@],\"text\":true}]}",
    "{\"from\":\"t\",\"select\":[{\"column\":\"n\",\"aggregate\":@}]}",
    "{\"from\":\"t\",\"select\":[{\"column\":\"n\",\"aggregate\":\"max\",\"as\":@}]}",
    "{\"from\":\"t\",\"select\":[{\"column\":\"n\",\"aggregate\":\"max\",\"castAfter\":@}]}",
    "{\"from\":\"t\",\"select\":[\"id\",{\"embed\":@,\"select\":[\"id\"]}]}",
    "{\"from\":\"t\",\"select\":[\"id\",{\"embed\":\"child\",\"as\":@,\"select\":[\"id\"]}]}",
    "{\"from\":\"t\",\"select\":[\"id\",{\"embed\":\"child\",\"hint\":@,\"select\":[\"id\"]}]}",
    "{\"from\":\"t\",\"select\":[\"id\",{\"embed\":\"child\",\"select\":[{\"column\":\"note\",\"as\":@}],\"where\":{\"column\":"
    "\"note\",\"op\":\"eq\",\"value\":@}}]}",
    "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":@,\"op\":\"eq\",\"value\":1}}",
    "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"name\",\"op\":@,\"value\":1}}",
    "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"name\",\"op\":\"eq\",\"value\":@}}",
    "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"n\",\"op\":\"eq\",\"value\":@}}",
    "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"at\",\"op\":\"gt\",\"value\":@}}",
    "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"name\",\"op\":\"isdistinct\",\"value\":@}}",
    "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"name\",\"op\":\"in\",\"values\":[@,\"x\",@]}}",
    "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"name\",\"op\":\"like\",\"quantifier\":\"any\",\"values\":[@,@]}"
    "}",
    "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"name\",\"op\":\"like\",\"quantifier\":@,\"values\":[\"x\"]}}",
    "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"name\",\"op\":\"match\",\"value\":@}}",
    "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"name\",\"op\":\"is\",\"value\":@}}",
    "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"tags\",\"op\":\"cs\",\"value\":[@]}}",
    "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"doc\",\"op\":\"cs\",\"value\":{\"a\":@}}}",
    "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"doc\",\"path\":[@],\"text\":true,\"op\":\"eq\",\"value\":@}}",
    "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"name\",\"op\":\"fts\",\"config\":@,\"value\":\"x\"}}",
    "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"name\",\"op\":\"wfts\",\"value\":@}}",
    "{\"from\":\"t\",\"select\":[\"id\",{\"embed\":\"child\",\"select\":[]}],\"where\":{\"embed\":@,\"has\":true}}",
    "{\"from\":\"t\",\"select\":[\"id\"],\"order\":[@]}",
    "{\"from\":\"t\",\"select\":[\"id\"],\"order\":[{\"column\":\"id\",\"nulls\":@}]}",
    "{\"from\":\"t\",\"select\":[\"id\"],\"order\":[{\"column\":\"doc\",\"path\":[@]}]}",
    "{\"from\":\"child\",\"select\":[\"id\",{\"embed\":\"t\",\"select\":[]}],\"order\":[{\"embed\":@,\"column\":\"id\"}]}",
    "{\"from\":\"t\",\"select\":[\"id\"],\"limit\":@}",
    "{\"from\":\"t\",\"select\":[\"id\"],\"count\":@}",
    "{\"kind\":@,\"from\":\"t\"}",
    "{\"kind\":\"insert\",\"from\":\"t\",\"rows\":[{\"id\":7,\"name\":@,\"tags\":[@],\"doc\":{\"k\":@}}],\"select\":[\"*\"]}",
    "{\"kind\":\"insert\",\"from\":\"t\",\"rows\":[{\"id\":7,@:1}]}",
    "{\"kind\":\"insert\",\"from\":\"t\",\"rows\":[{\"id\":7}],\"columns\":[\"id\",@]}",
    "{\"kind\":\"insert\",\"from\":\"t\",\"rows\":[{\"id\":1,\"name\":@}],\"conflict\":{\"columns\":[\"id\"],\"do\":\"merge\"}}",
    "{\"kind\":\"insert\",\"from\":\"t\",\"rows\":[{\"id\":1}],\"conflict\":{\"columns\":[@],\"do\":\"merge\"}}",
    "{\"kind\":\"insert\",\"from\":\"t\",\"rows\":[{\"id\":1}],\"conflict\":{\"columns\":[\"id\"],\"do\":@}}",
    "{\"kind\":\"insert\",\"from\":\"t\",\"rows\":[{\"id\":1}],\"missing\":@}",
    "{\"kind\":\"update\",\"from\":\"t\",\"set\":{\"name\":@},\"where\":{\"column\":\"name\",\"op\":\"eq\",\"value\":@}}",
    "{\"kind\":\"update\",\"from\":\"t\",\"set\":{@:1}}",
    "{\"kind\":\"delete\",\"from\":\"child\",\"where\":{\"column\":\"note\",\"op\":\"eq\",\"value\":@}}",
    "{\"kind\":\"call\",\"function\":@}",
    "{\"kind\":\"call\",\"function\":\"f\",\"args\":{\"a\":@}}",
    "{\"kind\":\"call\",\"function\":\"f\",\"args\":{@:1}}",
    "{\"kind\":\"call\",\"function\":\"f\",\"args\":{\"a\":\"x\",\"b\":@}}",
    "{\"kind\":\"call\",\"function\":\"f\",\"args\":{\"a\":\"x\"},\"where\":{\"column\":\"name\",\"op\":\"eq\",\"value\":@},"
    "\"select\":[{\"column\":\"id\",\"as\":@}]}",
};

static str tree_of(arena *mem, const char *tree, const char *payload) {
    struct buf b = {0}, quoted = {0};
    buf_putc(&quoted, '"');
    for (const char *c = payload; *c; c++) {
        if (*c == '"' || *c == '\\') buf_printf(&quoted, "\\%c", *c);
        else if ((uint8_t)*c < 0x20) buf_printf(&quoted, "\\u%04x", (uint8_t)*c);
        else buf_putc(&quoted, (uint8_t)*c);
    }
    buf_putc(&quoted, '"');
    for (; *tree; tree++) {
        if (*tree == '@') buf_puts(&b, buf_str(&quoted));
        else buf_putc(&b, (uint8_t)*tree);
    }
    str s = arena_str(mem, buf_str(&b));
    buf_free(&b), buf_free(&quoted);
    return s;
}

static void no_text(const struct buf *sql, const char *tree) {
    if (sql->n && memmem(sql->p, sql->n, "zq7", 3)) fail_msg("%s\n became text: " STR_FMT, tree, STR_ARG(buf_str(sql)));
}

/* What PostgreSQL would be asked; false: it is asked nothing. */
static bool printed(struct app *a, arena *mem, str tree, struct buf *to) {
    struct query q = {0};
    struct pg_error e = {0};
    struct query_text text = {0};
    struct catalog c = *a->catalog;
    c.engine = CATALOG_POSTGRES;
    struct pg_session session = {.role = STR("service_role"), .mem = mem, .types = query_types_new(mem, &c)};
    if (!query_read(mem, tree, &q, &e) || !query_resolve(mem, &c, &session, &q, &e) ||
        !query_print_postgres(mem, &c, &session, &q, &text, &e))
        return false;
    buf_puts(to, text.text), buf_puts(to, text.count);
    return true;
}

static void nothing_that_came_is_text(void **state) {
    struct app *a = *state;
    for (size_t i = 0; i < ARRAY_COUNT(trees); i++) {
        struct buf first = {0}, theirs = {0};
        for (size_t k = 0; k < ARRAY_COUNT(payloads); k++) {
            arena *mem = arena_new(0);
            struct buf sql = {0};
            str tree = tree_of(mem, trees[i], payloads[k]);
            a->told.n = 0;
            str rolled = arena_fmt(mem, "{\"query\":" STR_FMT ",\"tx\":\"rollback\"}", STR_ARG(tree));
            ask(a, -1, arena_cstr(mem, rolled));
            no_text(&a->told, trees[i]);
            bool is = printed(a, mem, tree, &sql);
            no_text(&sql, trees[i]);
            /* the same place, another payload: the same statements, as far as it gets */
            if (!k) buf_puts(&first, buf_str(&a->told)), buf_puts(&theirs, buf_str(&sql));
            else if (is && !str_eq(buf_str(&theirs), buf_str(&sql))) fail_msg("%s\n has two texts", trees[i]);
            else if (a->told.n && first.n && !str_starts(buf_str(&first), buf_str(&a->told)) &&
                     !str_starts(buf_str(&a->told), buf_str(&first)))
                fail_msg("%s\n has two texts:\n" STR_FMT STR_FMT, trees[i], STR_ARG(buf_str(&first)), STR_ARG(buf_str(&a->told)));
            buf_free(&sql), arena_free(mem);
        }
        buf_free(&first), buf_free(&theirs);
    }
    ASK(a, -1, "{\"from\":\"t\",\"select\":[\"id\",\"name\",{\"embed\":\"child\",\"select\":[\"note\"]}]}",
        "[{\"id\":1,\"name\":\"x\",\"child\":[{\"note\":\"y\"}]}]");
}

/* ---- texts that are kept: with the values of another tree of the same outline they are that tree's ---- */

struct kept {
    struct query_outline outline;
    struct query_text text;
    struct query_slot *slots;
    uint32_t slots_count;
    bool printed, whole;
};

static void keep(struct app *a, arena *mem, str tree, struct kept *k) {
    struct query q = {0};
    struct pg_error e = {0};
    struct catalog *c = arena_make(mem, struct catalog);
    *c = *a->catalog;
    c->engine = CATALOG_POSTGRES;
    struct pg_session session = {.role = STR("service_role"), .mem = mem, .types = query_types_new(mem, c)};
    *k = (struct kept){0};
    k->printed = query_read(mem, tree, &q, &e) && query_resolve(mem, c, &session, &q, &e) &&
                 query_print_postgres(mem, c, &session, &q, &k->text, &e);
    k->whole =
        query_outline(tree, &k->outline) && k->printed && query_slots(mem, &k->outline, &k->text, &k->slots, &k->slots_count);
}

static void same_values(const char *tree, const struct query_bound *a, uint32_t a_n, const struct query_bound *b, uint32_t b_n) {
    if (a_n != b_n) fail_msg("%s\n has other values", tree);
    for (uint32_t i = 0; i < a_n; i++)
        if (a[i].null != b[i].null || !str_eq(a[i].text, b[i].text))
            fail_msg("%s\n value %u: " STR_FMT " and not " STR_FMT, tree, i + 1, STR_ARG(a[i].text), STR_ARG(b[i].text));
}

/* a's text takes b's holes: is it b's? */
static void compare_kept(arena *mem, const char *tree, const struct kept *a, const struct kept *b) {
    struct query_bound *const of[] = {a->text.values, a->text.count.n ? a->text.count_values : a->text.planned_values,
                                      a->text.planned_values};
    for (uint32_t i = 0; i < a->slots_count; i++)
        of[a->slots[i].statement][a->slots[i].value].text =
            query_slot_text(mem, &a->slots[i].of, b->outline.holes[a->slots[i].hole]);
    if (!b->printed) fail_msg("%s\n is none, and was kept", tree);
    if (!str_eq(a->text.text, b->text.text) || !str_eq(a->text.count, b->text.count) || !str_eq(a->text.planned, b->text.planned))
        fail_msg("%s\n has two texts", tree);
    same_values(tree, a->text.values, a->text.values_count, b->text.values, b->text.values_count);
    same_values(tree, a->text.count_values, a->text.count_values_count, b->text.count_values, b->text.count_values_count);
    same_values(tree, a->text.planned_values, a->text.planned_values_count, b->text.planned_values, b->text.planned_values_count);
}

static void what_is_kept_takes_other_values(void **state) {
    struct app *a = *state;
    static const char *const plain[] = {"a*b", "null", "true", "{1,2}", "[\"x\"]", "", "not_null", "7", "2026-01-01"};
    uint32_t compared = 0, refused = 0;
    for (size_t i = 0; i < ARRAY_COUNT(trees); i++)
        for (size_t k = 0; k < ARRAY_COUNT(plain); k++)
            for (size_t j = 0; j < ARRAY_COUNT(plain) + ARRAY_COUNT(payloads); j++) {
                arena *mem = arena_new(0);
                struct kept one, other;
                keep(a, mem, tree_of(mem, trees[i], plain[k]), &one);
                keep(a, mem, tree_of(mem, trees[i], j < ARRAY_COUNT(plain) ? plain[j] : payloads[j - ARRAY_COUNT(plain)]),
                     &other);
                bool same = str_eq(buf_str(&one.outline.text), buf_str(&other.outline.text)) &&
                            one.outline.count == other.outline.count && one.outline.count;
                if (one.whole && same) compare_kept(mem, trees[i], &one, &other), compared++;
                else refused++;
                buf_free(&one.outline.text), buf_free(&other.outline.text);
                arena_free(mem);
            }
    assert_true(compared > 500 && refused > 500);
}

/* What is no hole: keys, strings elsewhere, what has escapes, lists in lists; and whatever JSON would not have. */
static void holes(void **state) {
    static const struct {
        const char *json, *outline; /* ^ stands for a hole; NULL: it has none */
    } rows[] = {
        {"{\"value\":\"a\"}", "{\"value\":^}"},
        {"{ \"value\" : \"a\" , \"x\" : \"value\" }", "{ \"value\" : ^ , \"x\" : \"value\" }"},
        {"{\"values\":[\"a\",1,\"\",[\"b\"],{\"k\":\"c\"},\"d\"]}", "{\"values\":[^,1,^,[\"b\"],{\"k\":\"c\"},^]}"},
        {"{\"value\":[\"a\"]}", "{\"value\":[\"a\"]}"},
        {"{\"value\":1,\"x\":\"a\"}", "{\"value\":1,\"x\":\"a\"}"},
        {"{\"value\":null,\"column\":\"value\",\"as\":\"b\"}", "{\"value\":null,\"column\":\"value\",\"as\":\"b\"}"},
        {"{\"val\\u0075e\":\"a\"}", "{\"val\\u0075e\":\"a\"}"},
        {"{\"value\":\"a\\u0000\"}", NULL},
        {"{\"value\":\"a\\\"}", NULL},
        {"{\"value\":\"a\nb\"}", NULL},
        {"{\"value\":\x01}", NULL},
        {"{\"value\":\"a", NULL},
        {"]", NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct query_outline o = {0};
        bool is = query_outline(str_c(rows[i].json), &o);
        if (is != (rows[i].outline != NULL)) fail_msg("%s", rows[i].json);
        for (size_t k = 0; k < o.text.n; k++)
            if (o.text.p[k] == 1) o.text.p[k] = '^';
        if (is && !str_eqc(buf_str(&o.text), rows[i].outline)) fail_msg("%s: " STR_FMT, rows[i].json, STR_ARG(buf_str(&o.text)));
        buf_free(&o.text);
    }
}

/* A name of the catalogue's may be anything: it is quoted. */
static void hostile_names_are_quoted(void **state) {
    struct app *a = *state;
    ASK(a, -1,
        "{\"kind\":\"update\",\"from\":\"t\",\"set\":{\"odd \\\"name'; --\":\"v\"},\"where\":{\"column\":\"odd \\\"name'; "
        "--\",\"op\":\"is\",\"value\":null},\"select\":[\"odd \\\"name'; --\"]}",
        "[{\"odd \\\"name'; --\":\"v\"}]");
    ASK(a, -1,
        "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"odd \\\"name'; "
        "--\",\"op\":\"eq\",\"value\":\"v\"},\"order\":[\"odd \\\"name'; --\"]}",
        "[{\"id\":1}]");
}

/* Would it be noticed? A statement that has a payload in it. */
static void the_look_sees(void **state) {
    struct app *a = *state;
    struct buf sql = {0};
    buf_puts(&sql, STR("select 'zq7'"));
    assert_non_null(memmem(sql.p, sql.n, "zq7", 3));
    buf_free(&sql);
    a->told.n = 0;
    ask(a, -1, "{\"from\":\"t\",\"select\":[\"id\"]}");
    assert_true(a->told.n > 0); /* statements are told */
}

static int start(void **state) { return *state = app_open(schema), 0; }
static int stop(void **state) { return app_close(*state), 0; }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_that_came_is_text, start, stop),
        cmocka_unit_test_setup_teardown(what_is_kept_takes_other_values, start, stop),
        cmocka_unit_test(holes),
        cmocka_unit_test_setup_teardown(hostile_names_are_quoted, start, stop),
        cmocka_unit_test_setup_teardown(the_look_sees, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
