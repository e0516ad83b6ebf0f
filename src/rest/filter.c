/* filter: what stands behind column=, and inside and=( … ): an operator of query/ops.def and its value.
 *
 *   test     [not.]op[(any|all)|(language)].value           in.(a,"b",c)    is.null
 *   logic    [not.](and|or)(part, part …), part: field.test or logic
 */
#include "rest/rest_int.h"

enum {
    IS_MANY = 1,
    IS_QUANTIFIED = 2,
    IS_TRUTH = 4,
    IS_SEARCH = 8
}; /* of the flags that ops.def names, those that the grammar asks for */
#define QUERY_IS_MANY IS_MANY
#define QUERY_IS_QUANTIFIED IS_QUANTIFIED
#define QUERY_IS_TRUTH IS_TRUTH
#define QUERY_IS_SEARCH IS_SEARCH
#define QUERY_IS_STARS 0
#define QUERY_IS_BARE 0
static const struct op {
    const char *name;
    uint32_t flags;
} ops[QUERY_OP_COUNT] = {
#define OP(id, name, operator, flags) [QUERY_OP_##id] = {name, flags},
#include "query/ops.def"
};

/* ---- values ---- */

static const struct query_json *string_of(arena *out, str s) {
    struct query_json *v = arena_make(out, struct query_json);
    *v = (struct query_json){.kind = JSON_KIND_STR, .raw = s, .s = s};
    return v;
}

static bool ends_value(const struct rest_text *t) { return rest_end(t) || rest_see(t, ",") || rest_see(t, ")"); }

static str until_end(struct rest_text *t) {
    size_t from = t->at;
    while (!ends_value(t)) t->at++;
    return str_sub(t->s, from, t->at - from);
}

/* "…" that , or ) follows, or what stands before those. */
static str list_value(struct rest_text *t) {
    size_t from = t->at;
    struct rest_text saved = *t;
    str v;
    if (rest_quoted(t, &v) && ends_value(t)) return v;
    *t = saved;
    t->at = from;
    return until_end(t);
}

static str logic_value(struct rest_text *t) {
    if (rest_see(t, "{")) {
        size_t from = t->at++;
        while (!rest_end(t) && t->s.p[t->at] != '{' && t->s.p[t->at] != '}') t->at++;
        if (rest_is(t, "}")) return str_sub(t->s, from, t->at - from);
        t->at = from;
    }
    return list_value(t);
}

static str value_of(struct rest_text *t, bool logic) {
    str all = str_sub(t->s, t->at, t->s.n);
    if (logic) return logic_value(t);
    t->at = t->s.n;
    return all;
}

typedef VEC(const struct query_json *) values;

static bool add_value(struct rest_text *t, values *to, str v) {
    if (to->n == QUERY_PARAMS_MAX) return rest_expected(t, "fewer values");
    vec_push(t->out, to, string_of(t->out, v));
    return true;
}

static void give(struct query_test *test, const values *v) {
    test->values = v->p;
    test->values_count = v->n;
}

/* (a,b) */
static bool read_list(struct rest_text *t, bool logic, struct query_test *test) {
    values v = {0};
    rest_blanks(t);
    if (!rest_is(t, "(")) return rest_expected(t, "\"(\"");
    rest_blanks(t);
    do {
        str one = list_value(t);
        if (!add_value(t, &v, one)) return false;
    } while (rest_is(t, ","));
    if (!rest_is(t, ")")) return rest_expected(t, "\",\" or \")\"");
    rest_blanks(t);
    if (v.n == 1 && !v.p[0]->s.n) v.n = 0;
    give(test, &v);
    return logic || rest_end(t) || rest_expected(t, "end of input");
}

/* {a,"b"}, PostgreSQL's way to write an array. */
static bool read_array(struct rest_text *t, str all, struct query_test *test) {
    struct rest_text in = rest_text_of(t->out, str_trim(all));
    values v = {0};
    if (!rest_is(&in, "{")) return false;
    rest_blanks(&in);
    while (!rest_see(&in, "}")) {
        str one;
        if (v.n && !rest_is(&in, ",")) return false;
        rest_blanks(&in);
        if (rest_see(&in, "\"")) {
            if (!rest_quoted(&in, &one)) return false;
            rest_blanks(&in);
        } else {
            size_t from = in.at;
            while (!rest_end(&in) && !rest_see(&in, ",") && !rest_see(&in, "}")) in.at++;
            one = str_trim(str_sub(in.s, from, in.at - from));
            if (!one.n) return false;
        }
        if (!add_value(t, &v, one)) return false;
    }
    give(test, &v);
    return rest_is(&in, "}") && rest_end(&in);
}

static bool read_truth(struct rest_text *t, bool logic, struct query_test *test) {
    static const char *const words[] = {"null", "not_null", "true", "false", "unknown"};
    values v = {0};
    size_t from = t->at;
    str said = logic ? until_end(t) : value_of(t, false);
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (!str_eq_nocase(str_trim(said), str_c(words[i]))) continue;
        if (!add_value(t, &v, str_c(words[i]))) return false;
        give(test, &v);
        return true;
    }
    t->at = from;
    return rest_expected(t, "isVal: (null, not_null, true, false, unknown)");
}

/* ---- operators ---- */

/* Its name and what stands in parentheses behind it, up to the dot. */
static bool read_operator(struct rest_text *t, struct query_test *test) {
    size_t from = t->at;
    for (uint32_t i = 0; i < QUERY_OP_COUNT; i++) {
        uint32_t flags = ops[i].flags;
        if (!rest_is(t, ops[i].name)) continue;
        test->quantifier = QUERY_ONE;
        test->config = (str){0};
        if ((flags & IS_QUANTIFIED) && rest_is(t, "(any)")) test->quantifier = QUERY_ANY;
        else if ((flags & IS_QUANTIFIED) && rest_is(t, "(all)")) test->quantifier = QUERY_ALL;
        else if ((flags & IS_SEARCH) && rest_is(t, "(")) {
            if (!rest_identifier(t, &test->config) || !rest_is(t, ")")) test->config = (str){0};
        }
        test->op = (enum query_op)i;
        if (rest_is(t, ".")) return true;
        t->at = from;
    }
    return false;
}

static bool no_array(struct rest_text *t) { return rest_expected(t, "an array literal: {a,b}"); }

static bool read_value(struct rest_text *t, bool logic, struct query_test *test) {
    uint32_t flags = ops[test->op].flags;
    values v = {0};
    if (flags & IS_MANY) return read_list(t, logic, test);
    if (flags & IS_TRUTH) return read_truth(t, logic, test);
    size_t from = t->at;
    str all = value_of(t, logic);
    if (test->quantifier) {
        if (read_array(t, all, test)) return true;
        t->at = from;
        return no_array(t);
    }
    if (!add_value(t, &v, all)) return false;
    give(test, &v);
    return true;
}

bool rest_test_read(struct rest_text *t, const struct query_field *f, bool logic, struct query_where *to, bool *none) {
    bool negated = rest_is(t, "not.");
    struct query_where *w = negated ? arena_make(t->out, struct query_where) : to;
    *w = (struct query_where){.kind = QUERY_TEST, .test.field = *f};
    *none = !read_operator(t, &w->test);
    if (*none) {
        if (!negated) rest_expected(t, "\"not\"");
        return rest_expected(t, "operator (eq, gt, ...)");
    }
    if (++t->filters > REST_FILTERS_MAX) return rest_expected(t, "fewer filters");
    if (!read_value(t, logic, &w->test)) return false;
    if (negated) *to = (struct query_where){.kind = QUERY_NOT, .parts = w, .parts_count = 1};
    return true;
}

/* ---- logic ---- */

/* [not.](and|or) ( */
static bool begins_logic(const struct rest_text *t) {
    struct rest_text ahead = *t;
    rest_is(&ahead, "not.");
    if (!rest_is(&ahead, "and") && !rest_is(&ahead, "or")) return false;
    rest_blanks(&ahead);
    return rest_see(&ahead, "(");
}

static bool read_part(struct rest_text *t, struct query_where *to) {
    struct rest_text saved = *t;
    struct query_field f = {0};
    bool none = false;
    rest_blanks(t);
    if (rest_field_read(t, &f)) {
        if (!rest_is(t, ".")) rest_expected(t, "delimiter (.)");
        else if (rest_test_read(t, &f, true, to, &none)) return true;
    }
    size_t at = t->at;
    t->at = saved.at;
    rest_blanks(t);
    if (begins_logic(t)) return rest_logic_read(t, to);
    if (at == saved.at) {
        rest_expected(t, "negation operator (not)");
        rest_expected(t, "logic operator (and, or)");
    }
    return false;
}

bool rest_logic_read(struct rest_text *t, struct query_where *to) {
    VEC(struct query_where) parts = {0};
    bool negated = rest_is(t, "not."), both = rest_is(t, "and");
    if (!both && !rest_is(t, "or")) return rest_expected(t, "logic operator (and, or)");
    rest_blanks(t);
    if (!rest_is(t, "(")) return rest_expected(t, "\"(\"");
    if (++t->depth > REST_DEPTH_MAX) return rest_expected(t, "fewer levels");
    do {
        struct query_where *part = vec_add(t->out, &parts);
        if (!read_part(t, part)) return false;
        rest_blanks(t);
    } while (rest_is(t, ","));
    t->depth--;
    if (!rest_is(t, ")")) return rest_expected(t, "\",\" or \")\"");
    rest_blanks(t);
    struct query_where w = {.kind = both ? QUERY_AND : QUERY_OR, .parts = parts.p, .parts_count = parts.n};
    *to = w;
    if (!negated) return true;
    to->kind = QUERY_NOT;
    to->parts = arena_make(t->out, struct query_where);
    to->parts[0] = w;
    to->parts_count = 1;
    return true;
}
