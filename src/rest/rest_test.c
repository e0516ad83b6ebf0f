/* Requests become the trees that docs/query.md has words for, or are refused with their place; answers say what PostgREST's would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rest/rest.h"
#include <stdio.h>

static const str schemas[] = {STR_INIT("public"), STR_INIT("other")};
static const struct rest_options options = {.explains = true,
                                            .schemas = schemas,
                                            .schemas_count = 1,
                                            .undo = true,
                                            .target_names = true,
                                            .aggregates = true,
                                            .rows_max = 0};

struct asked {
    const char *method, *path, *fields /* NAME: VALUE, a line each */, *body;
};

static bool plan_of(arena *a, const struct asked *q, const struct rest_options *o, struct rest_plan *plan,
                    struct pg_error *error) {
    static struct rest_field fields[8];
    uint32_t n = 0;
    str left = str_c(q->fields), line, path = str_c(q->path);
    while (left.n) {
        str_cut(left, '\n', &line, &left);
        str_cut(line, ':', &fields[n].name, &fields[n].value);
        fields[n].value = str_trim(fields[n].value);
        n++;
    }
    size_t at = str_find(path, '?');
    struct rest_request *rq = arena_make(a, struct rest_request);
    *rq = (struct rest_request){.method = str_c(q->method),
                                .path = str_sub(path, 0, at),
                                .query = str_sub(path, at + 1, path.n),
                                .body = str_c(q->body),
                                .fields = fields,
                                .fields_count = n};
    *error = (struct pg_error){0};
    return rest_plan_of(a, o, rq, plan, error);
}

/* The tree of a plan, without what all have; and read again it is the same. One that reads goes on as it was made. */
static str tree_of(arena *a, const struct rest_plan *plan) {
    struct query_batch made = plan->batch;
    assert_true(query_stands(&made) == (made.queries[0].kind == QUERY_SELECT && !made.queries[0].explain));
    struct buf b = {0}, again = {0};
    struct query_batch read;
    struct pg_error error = {0};
    query_put_batch(&b, &plan->batch);
    if (!query_read_batch(a, buf_str(&b), &read, &error))
        fail_msg("%s: %s %s", error.message, error.detail, arena_cstr(a, buf_str(&b)));
    query_put_batch(&again, &read);
    assert_string_equal(arena_cstr(a, buf_str(&again)), arena_cstr(a, buf_str(&b)));
    str s = arena_str(a, buf_str(&b)), begin = STR("{\"query\":{"), end = STR("},\"counted\":true}");
    buf_free(&b), buf_free(&again);
    assert_true(str_starts(s, begin) && str_ends(s, end));
    return str_sub(s, begin.n, s.n - begin.n - end.n);
}

static const struct {
    struct asked asked;
    const char *tree;
} trees[] = {
#define HEAD(r, a, u, t, f)                                                                                                      \
    { .rows = (r), .affected = (a), .updated = (u), .total = (t), .flags = (f) }
#define FORM(m, f)                                                                                                               \
    { .rows = 1, .total = -1, .flags = QUERY_HEAD_BODY | (f), .media = STR_INIT(m) }
#define SAID(h, s)                                                                                                               \
    {                                                                                                                            \
        .total = -1, .flags = QUERY_HEAD_BODY | QUERY_HEAD_SAID, .said = { STR_INIT(h), STR_INIT(s) }                            \
    }
#define T(method, path, tree) {{method, path, "", ""}, tree},
#define F(method, path, fields, tree) {{method, path, fields, ""}, tree},
#define B(method, path, fields, body, tree) {{method, path, fields, body}, tree},
#include "rest/rest_test.def"
#undef T
#undef F
#undef B
};

static void requests(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(trees); i++) {
        arena *a = arena_new(0);
        struct rest_plan plan;
        struct pg_error error;
        if (!plan_of(a, &trees[i].asked, &options, &plan, &error)) fail_msg("%s: %s", trees[i].asked.path, error.message);
        str tree = tree_of(a, &plan), usual = STR(",\"accept\":[\"*/*\"]");
        if (str_ends(tree, usual)) tree.n -= usual.n; /* as nearly all have it */
        if (!str_eqc(tree, trees[i].tree))
            fail_msg("%s:\n  is    " STR_FMT "\n  want  %s", trees[i].asked.path, STR_ARG(tree), trees[i].tree);
        arena_free(a);
    }
}

static void refused(void **state) {
    (void)state;
    static const struct {
        struct asked asked;
        const char *code, *message, *detail;
    } rows[] = {
        {{"GET", "/t?id=foo.1", "", ""},
         "PGRST100",
         "\"failed to parse filter (foo.1)\" (line 1, column 1)",
         "unexpected \"f\" expecting \"not\" or operator (eq, gt, ...)"},
        {{"GET", "/t?or=()", "", ""},
         "PGRST100",
         "\"failed to parse logic tree (())\" (line 1, column 4)",
         "unexpected \")\" expecting field name (* or [a..z0..9_$]), negation operator (not) or logic operator (and, or)"},
        {{"GET", "/t?select=data->>--34", "", ""},
         "PGRST100",
         "\"failed to parse select parameter (data->>--34)\" (line 1, column 9)",
         "unexpected \"-\" expecting digit"},
        {{"POST", "/t?columns=", "", "{}"},
         "PGRST100",
         "\"failed to parse columns parameter ()\" (line 1, column 1)",
         "unexpected end of input expecting field name (* or [a..z0..9_$])"},
        {{"GET", "/t?select=a(b", "", ""}, "PGRST100", NULL, NULL},
        {{"GET", "/t?order=a.desc.nulls", "", ""}, "PGRST100", NULL, "unexpected '.' expecting \",\" or end of input"},
        {{"GET", "/t?select=a->>b->1", "", ""}, "42883", "operator does not exist: text -> integer", ""},
        {{"GET", "/t?a->>b->>c=eq.1", "", ""}, "42883", "operator does not exist: text ->> unknown", ""},
        {{"GET", "/t?id=in.(1,2", "", ""}, "PGRST100", NULL, NULL},
        {{"GET", "/t?id=is.maybe", "", ""},
         "PGRST100",
         NULL,
         "unexpected \"m\" expecting isVal: (null, not_null, true, false, unknown)"},
        {{"GET", "/t?x.id=eq.1", "", ""}, "PGRST108", "'x' is not an embedded resource in this request", ""},
        {{"GET", "/t?limit=-1", "", ""},
         "PGRST103",
         "Requested range not satisfiable",
         "Limit should be greater than or equal to zero."},
        {{"GET", "/t", "Range: 9-2", ""},
         "PGRST103",
         NULL,
         "The lower boundary must be lower than or equal to the upper boundary in the Range header."},
        {{"GET", "/", "Accept: image/png", ""}, "PGRST107", "None of these media types are available: image/png", ""},
        {{"GET", "/t", "Accept-Profile: hidden", ""}, "PGRST106", "Invalid schema: hidden", ""},
        {{"GET", "/t", "Prefer: handling=strict, odd", ""}, "PGRST122", NULL, "Invalid preferences: odd"},
        {{"GET", "/a/b", "", ""}, "PGRST125", NULL, ""},
        {{"BREW", "/t", "", ""}, "PGRST117", "Unsupported HTTP method: BREW", ""},
        {{"PATCH", "/rpc/f", "", ""}, "PGRST101", "Cannot use the PATCH method on RPC", ""},
        {{"PUT", "/t?id=eq.1&limit=1", "", "{}"}, "PGRST114", NULL, ""},
        {{"POST", "/t", "", "{"}, "PGRST102", "Empty or invalid json", ""},
        {{"POST", "/t", "", "[1]"}, "PGRST102", "All object keys must match", ""},
        {{"POST", "/t", "Content-Type: text/csv", "a,b\n1\n"}, "PGRST102", "All lines must have same number of fields", ""},
        {{"POST", "/t", "Content-Type: image/png", "x"}, "PGRST102", "Content-Type not acceptable: image/png", ""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        arena *a = arena_new(0);
        struct rest_plan plan;
        struct pg_error error;
        if (plan_of(a, &rows[i].asked, &options, &plan, &error)) fail_msg("%s is not refused", rows[i].asked.path);
        assert_string_equal(error.state, rows[i].code);
        if (rows[i].message) assert_string_equal(error.message, rows[i].message);
        if (rows[i].detail) assert_string_equal(error.detail, rows[i].detail);
        arena_free(a);
    }
}

/* Of what nests and what is many, as much as is allowed is read by whoever reads the tree, and one more is refused here. */
static void bounds(void **state) {
    (void)state;
    static const struct {
        const char *open, *inner, *close, *begin;
        int most;
        const char *code;
    } rows[] = {
        {"a(", "b", ")", "/t?select=", QUERY_EMBEDS_MAX, "PGRST100"},
        {"not.and(", "a.eq.1,b.eq.2", ")", "/t?or=(", REST_DEPTH_MAX - 1, "PGRST100"},
        {"->a", "", "", "/t?select=a", REST_STEPS_MAX, "PGRST100"},
        {"&a=eq.1", "", "", "/t?a=eq.1", REST_FILTERS_MAX - 1, "54000"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        for (int more = 0; more < 2; more++) {
            arena *a = arena_new(0);
            struct buf b = {0};
            struct rest_plan plan;
            struct pg_error error;
            buf_puts(&b, str_c(rows[i].begin));
            for (int k = 0; k < rows[i].most + more; k++) buf_puts(&b, str_c(rows[i].open));
            buf_puts(&b, str_c(rows[i].inner));
            for (int k = 0; k < rows[i].most + more; k++) buf_puts(&b, str_c(rows[i].close));
            if (strchr(rows[i].begin, '(')) buf_putc(&b, ')');
            struct asked asked = {"GET", arena_cstr(a, buf_str(&b)), "", ""};
            bool ok = plan_of(a, &asked, &options, &plan, &error);
            if (ok == more) fail_msg("%s: %d %s", rows[i].begin, rows[i].most + more, error.message);
            if (ok) tree_of(a, &plan);
            else assert_string_equal(error.state, rows[i].code);
            buf_free(&b);
            arena_free(a);
        }
}

static const struct {
    struct asked asked;
    struct query_head head;
    const char *body;
    uint16_t status;
    const char *field, *value, *said;
} answer_rows[] = {
    {{"GET", "/t", "", ""}, FORM("text/csv", QUERY_HEAD_BARE), "a\n1", 200, "Content-Type", "text/csv; charset=utf-8", "a\n1"},
    {{"GET", "/t", "", ""},
     HEAD(2, 0, 0, -1, QUERY_HEAD_BODY),
     "[{\"a\":1},{\"a\":2}]",
     200,
     "Content-Range",
     "0-1/*",
     "[{\"a\":1},{\"a\":2}]"},
    {{"GET", "/t?offset=2&limit=2", "Prefer: count=exact", ""},
     HEAD(2, 0, 0, 9, QUERY_HEAD_BODY),
     "[{\"a\":1},{\"a\":2}]",
     206,
     "Content-Range",
     "2-3/9",
     NULL},
    {{"GET", "/t?offset=9", "Prefer: count=exact", ""},
     HEAD(0, 0, 0, 9, QUERY_HEAD_BODY),
     "[]",
     206,
     "Content-Range",
     "*/9",
     "[]"},
    {{"GET", "/t?offset=10", "Prefer: count=exact", ""},
     HEAD(0, 0, 0, 9, QUERY_HEAD_BODY),
     "[]",
     416,
     "Content-Range",
     "*/9",
     NULL},
    {{"GET", "/t?b=eq.2&a=eq.a%20b", "", ""},
     HEAD(0, 0, 0, -1, QUERY_HEAD_BODY),
     "[]",
     200,
     "Content-Location",
     "/t?a=eq.a%20b&b=eq.2",
     "[]"},
    {{"HEAD", "/t", "", ""}, HEAD(1, 0, 0, -1, QUERY_HEAD_BODY), "[{\"a\":1}]", 200, "Content-Range", "0-0/*", ""},
    {{"GET", "/t", "", ""},
     FORM("application/vnd.pgrst.object+json", 0),
     "[{\"a\":1}]",
     200,
     "Content-Type",
     "application/vnd.pgrst.object+json; charset=utf-8",
     "{\"a\":1}"},
    {{"GET", "/t", "", ""},
     FORM("image/png", QUERY_HEAD_BARE | QUERY_HEAD_HEX),
     "41fF",
     200,
     "Content-Type",
     "image/png",
     "A\xff"},
    {{"GET", "/t", "Accept: application/vnd.pgrst.plan", ""},
     HEAD(0, 0, 0, -1, QUERY_HEAD_BODY | QUERY_HEAD_BARE),
     "SCAN t",
     200,
     "Content-Type",
     "application/vnd.pgrst.plan+text; for=\"application/json\"; charset=utf-8",
     "SCAN t"},
    {{"POST", "/t", "Prefer: return=headers-only", "{\"a b\":1}"},
     HEAD(1, 1, 0, -1, QUERY_HEAD_BODY),
     "[{\"a b\":\"x/y\"}]",
     201,
     "Location",
     "/t?a%20b=eq.x%2Fy",
     ""},
    {{"POST", "/t", "Prefer: resolution=merge-duplicates", "{\"a\":1}"},
     HEAD(0, 1, 1, -1, QUERY_HEAD_RESOLVED),
     "",
     200,
     "Preference-Applied",
     "resolution=merge-duplicates",
     ""},
    {{"POST", "/t", "Prefer: resolution=merge-duplicates, tx=rollback", "{\"a\":1}"},
     HEAD(0, 1, 0, -1, 0),
     "",
     201,
     "Preference-Applied",
     "tx=rollback",
     ""},
    {{"PATCH", "/t", "", "{\"a\":1}"}, HEAD(0, 3, 0, -1, 0), "", 204, "Content-Range", "0-2/*", ""},
    {{"PATCH", "/t", "Prefer: return=representation", "{\"a\":1}"},
     HEAD(0, 0, 0, -1, QUERY_HEAD_BODY),
     "[]",
     200,
     "Content-Range",
     "*/*",
     "[]"},
    {{"DELETE", "/t", "Prefer: count=exact", ""}, HEAD(0, 3, 0, 3, 0), "", 204, "Content-Range", "*/3", ""},
    {{"PUT", "/t?a=eq.1", "Prefer: return=representation", "{\"a\":1}"},
     HEAD(1, 1, 0, -1, QUERY_HEAD_BODY),
     "[{\"a\":1}]",
     201,
     NULL,
     NULL,
     "[{\"a\":1}]"},
    {{"POST", "/rpc/f", "", "{}"}, HEAD(1, 0, 0, -1, QUERY_HEAD_BODY | QUERY_HEAD_VALUE), "5", 200, NULL, NULL, "5"},
    {{"POST", "/rpc/f", "", "{}"}, HEAD(1, 0, 0, -1, QUERY_HEAD_VALUE | QUERY_HEAD_VOID), "", 204, NULL, NULL, ""},
    {{"GET", "/t", "Prefer: timezone=Europe/Berlin", ""},
     HEAD(0, 0, 0, -1, QUERY_HEAD_BODY),
     "[]",
     200,
     "Preference-Applied",
     "timezone=Europe/Berlin",
     "[]"},
    {{"GET", "/t", "", ""},
     SAID("[{\"content-type\": \"a/b\"}, {\"Content-Length\": \"7\"}]", "418"),
     "[]",
     418,
     "content-type",
     "a/b",
     "[]"},
    {{"GET", "/t", "", ""}, SAID("[{\"Vary\": \"*\"}]", ""), "[]", 200, "Vary", "*", "[]"},
    {{"GET", "/t", "", ""}, SAID("", "204"), "[]", 204, NULL, NULL, ""},
    {{"GET", "/t", "", ""}, SAID("[{\"a\": \"b\\r\\nc: d\"}]", ""), "[]", 500, "Proxy-Status", "PostgREST; error=PGRST111", NULL},
    {{"GET", "/t", "", ""}, SAID("[{\"a:\": \"b\"}]", ""), "[]", 500, "Proxy-Status", "PostgREST; error=PGRST111", NULL},
    {{"GET", "/t", "", ""}, SAID("[{\"a\": 1}]", ""), "[]", 500, "Proxy-Status", "PostgREST; error=PGRST111", NULL},
    {{"GET", "/t", "", ""}, SAID("", "99"), "[]", 500, "Proxy-Status", "PostgREST; error=PGRST112", NULL},
    {{"GET", "/t", "", ""}, SAID("", "teapot"), "[]", 500, "Proxy-Status", "PostgREST; error=PGRST112", NULL},
};

static void answers(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(answer_rows); i++) {
        arena *a = arena_new(0);
        struct rest_plan plan;
        struct rest_response r;
        struct pg_error error;
        if (!plan_of(a, &answer_rows[i].asked, &options, &plan, &error))
            fail_msg("%s: %s", answer_rows[i].asked.path, error.message);
        rest_answer(a, &plan, &answer_rows[i].head, str_c(answer_rows[i].body), &r);
        if (r.status != answer_rows[i].status) fail_msg("row %zu: %d", i, r.status);
        if (answer_rows[i].said && !str_eqc(r.body, answer_rows[i].said)) fail_msg("row %zu: " STR_FMT, i, STR_ARG(r.body));
        bool found = !answer_rows[i].field;
        for (uint32_t k = 0; k < r.fields_count; k++)
            if (answer_rows[i].field && str_eqc(r.fields[k].name, answer_rows[i].field)) {
                if (!str_eqc(r.fields[k].value, answer_rows[i].value))
                    fail_msg("row %zu: " STR_FMT, i, STR_ARG(r.fields[k].value));
                found = true;
            }
        if (!found) fail_msg("row %zu has no %s", i, answer_rows[i].field);
        arena_free(a);
    }
}

static void statuses(void **state) {
    (void)state;
    static const struct {
        const char *code, *message;
        uint16_t status, of_nobody;
    } rows[] = {{"23505", "", 409, 409},
                {"42501", "", 403, 401},
                {"22P02", "", 400, 400},
                {"PT418", "", 418, 418},
                {"PT40A", "", 500, 500},
                {"P0001", "", 400, 400},
                {"P0002", "", 500, 500},
                {"PGRST116", "", 406, 406},
                {"PGRST200", "", 400, 400},
                {"PGRST201", "", 300, 300},
                {"PGRST205", "", 404, 404},
                {"53300", "", 503, 503},
                {"21000", "UPDATE requires a WHERE clause", 400, 400},
                {"21000", "", 500, 500},
                {"22023", "role \"x\" does not exist", 401, 401}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct pg_error e = {.set = true};
        snprintf(e.state, sizeof e.state, "%s", rows[i].code);
        snprintf(e.message, sizeof e.message, "%s", rows[i].message);
        assert_int_equal(rest_status_of(&e, false), rows[i].status);
        assert_int_equal(rest_status_of(&e, true), rows[i].of_nobody);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(requests), cmocka_unit_test(refused), cmocka_unit_test(bounds),
                                       cmocka_unit_test(answers), cmocka_unit_test(statuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
