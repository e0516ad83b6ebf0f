/* jsonpath: SQL/JSON's paths, as PostgreSQL reads and runs them.
 *
 *   text ──> a tree: an expression, each of whose operands is a primary ($, @, a literal, …) and what is applied to it, one after the other ──> items
 *
 * 1. lax: arrays are taken apart, and what is none is an array of one, where that is asked for; what is missing is nothing. strict: both are errors.
 * 2. Within a predicate an error is "unknown"; elsewhere it ends the path, unless it is to be silent. Memory, time, depth and missing variables end it always.
 * 3. A path nests DEPTH_MAX deep at most, which bounds what evaluates it; .** goes as deep as a value does (PJ_DEPTH_MAX).
 */
#include "pg/jsons.h"
#include <stdio.h>

enum { DEPTH_MAX = 100, TEXT_MAX = 64 << 10, ITEMS_MAX = 200'000 };
enum kind {
    ROOT,
    CURRENT,
    VARIABLE,
    LITERAL,
    LAST, /* primaries */
    MEMBER,
    ANY_MEMBER,
    ANY_ITEM,
    ITEMS,
    ANY_DEPTH,
    FILTER,
    METHOD, /* what is applied */
    ADD,
    SUB,
    MUL,
    DIV,
    MOD,
    PLUS,
    MINUS,
    EQ,
    NE,
    LT,
    LE,
    GT,
    GE,
    LIKE,
    STARTS,
    EXISTS,
    AND,
    OR,
    NOT,
    UNKNOWN /* predicates */
};
struct node {
    enum kind kind;
    struct node *a, *b;   /* operands; of ITEMS from and to */
    struct node *next;    /* what is applied to it */
    struct node *more;    /* of ITEMS: the next one in the brackets */
    str s;                /* a name, a pattern */
    struct pj value;      /* LITERAL */
    uint32_t least, most; /* ANY_DEPTH */
    bool nocase, quoted;  /* LIKE */
};

/* ---- reading ---- */

struct reading {
    struct pg_call *call;
    str s;
    size_t i;
    uint32_t depth, in_brackets, in_filter;
};

static struct node *node_new(struct reading *r, enum kind kind) {
    struct node *n = arena_make(r->call->mem, struct node);
    *n = (struct node){.kind = kind};
    return n;
}

static struct node *wrong(struct reading *r) {
    str rest = str_sub(r->s, r->i, r->s.n);
    size_t n = 1;
    while (n < rest.n && (rest.p[n] & 0xc0) == 0x80) n++;
    if (!rest.n) (void)pg_raise(r->call, "42601", "syntax error at end of jsonpath input");
    else
        (void)pg_raise(r->call, "42601", "syntax error at or near \"" STR_FMT "\" of jsonpath input",
                       STR_ARG(str_sub(rest, 0, n)));
    return NULL;
}

static void skip(struct reading *r) {
    for (;;) {
        while (r->i < r->s.n && strchr(" \t\n\r\f", r->s.p[r->i]) && r->s.p[r->i]) r->i++;
        if (!str_starts(str_sub(r->s, r->i, r->s.n), STR("/*"))) return;
        size_t end = r->i + 2;
        while (end + 1 < r->s.n && !(r->s.p[end] == '*' && r->s.p[end + 1] == '/')) end++;
        r->i = MIN(end + 2, r->s.n);
    }
}

static bool sees(struct reading *r, const char *sign) {
    skip(r);
    return str_starts(str_sub(r->s, r->i, r->s.n), str_c(sign));
}
static bool take(struct reading *r, const char *sign) {
    if (!sees(r, sign)) return false;
    r->i += strlen(sign);
    return true;
}

static bool is_of_word(uint8_t c) { return c && c > ' ' && !strchr("\"?%$.[]{}()|&!=<>@#,*:-+/\\'", c); }
static str word_at(struct reading *r) {
    skip(r);
    size_t n = r->i;
    while (n < r->s.n && is_of_word(r->s.p[n])) n++;
    return str_sub(r->s, r->i, n - r->i);
}
static bool take_word(struct reading *r, const char *word) {
    if (!str_eqc(word_at(r), word)) return false;
    r->i += strlen(word);
    return true;
}

static bool read_string(struct reading *r, str *out) {
    skip(r);
    size_t from = r->i + 1, i = from;
    if (r->i >= r->s.n || r->s.p[r->i] != '"') return wrong(r), false;
    while (i < r->s.n && r->s.p[i] != '"') i += r->s.p[i] == '\\' ? 2 : 1;
    if (i >= r->s.n) return r->i = r->s.n, wrong(r), false;
    str raw = str_sub(r->s, from, i - from);
    struct pj v; /* escapes are JSON's */
    if (!pj_read(r->call, str_sub(r->s, from - 1, raw.n + 2), PJ_JSONB, &v)) return false;
    *out = v.s;
    r->i = i + 1;
    return true;
}

static bool is_digit(const struct reading *r, size_t i) { return i < r->s.n && r->s.p[i] >= '0' && r->s.p[i] <= '9'; }

static struct node *read_number(struct reading *r) {
    size_t i = r->i;
    struct db_value v;
    while (is_digit(r, i)) i++;
    if (i < r->s.n && r->s.p[i] == '.' && (is_digit(r, i + 1) || i > r->i)) {
        if (is_digit(r, i + 1) || !(i + 1 < r->s.n && is_of_word(r->s.p[i + 1])))
            for (i++; is_digit(r, i);) i++;
    }
    if (i < r->s.n && (r->s.p[i] | 32) == 'e') {
        size_t e = i + 1 + (i + 1 < r->s.n && (r->s.p[i + 1] == '+' || r->s.p[i + 1] == '-'));
        if (is_digit(r, e))
            for (i = e; is_digit(r, i);) i++;
    }
    if (i < r->s.n && is_of_word(r->s.p[i])) {
        (void)pg_raise(r->call, "42601", "trailing junk after numeric literal at or near \"" STR_FMT "\" of jsonpath input",
                       STR_ARG(str_sub(r->s, r->i, i + 1 - r->i)));
        return NULL;
    }
    if (!pg_value_in(r->call, PG_NUMERIC, -1, str_sub(r->s, r->i, i - r->i), &v)) return NULL;
    struct node *n = node_new(r, LITERAL);
    n->value = (struct pj){.kind = PJ_NUMBER, .s = v.s};
    r->i = i;
    return n;
}

static struct node *read_any(struct reading *r);
static struct node *read_sum(struct reading *r);

static struct node *read_primary(struct reading *r) {
    struct node *n = NULL;
    skip(r);
    uint8_t c = r->i < r->s.n ? r->s.p[r->i] : 0;
    if (c == '(') {
        r->i++;
        if (!(n = read_any(r))) return NULL;
        return take(r, ")") ? n : wrong(r);
    }
    if (c == '$') {
        r->i++;
        bool named = r->i < r->s.n && (r->s.p[r->i] == '"' || is_of_word(r->s.p[r->i]));
        n = node_new(r, named ? VARIABLE : ROOT);
        if (!named) return n;
        if (r->s.p[r->i] == '"') return read_string(r, &n->s) ? n : NULL;
        n->s = word_at(r), r->i += n->s.n;
        return n;
    }
    if (c == '@') {
        if (!r->in_filter) return (void)pg_raise(r->call, "42601", "@ is not allowed in root expressions"), NULL;
        return r->i++, node_new(r, CURRENT);
    }
    if (c == '"') {
        n = node_new(r, LITERAL);
        n->value.kind = PJ_STRING;
        return read_string(r, &n->value.s) ? n : NULL;
    }
    if ((c >= '0' && c <= '9') || (c == '.' && is_digit(r, r->i + 1))) return read_number(r);
    static const struct {
        const char *word;
        enum pj_kind kind;
    } words[] = {{"null", PJ_NULL}, {"true", PJ_TRUE}, {"false", PJ_FALSE}};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (take_word(r, words[i].word)) {
            n = node_new(r, LITERAL);
            n->value.kind = words[i].kind;
            return n;
        }
    if (take_word(r, "last")) {
        if (!r->in_brackets) return (void)pg_raise(r->call, "42601", "LAST is allowed only in array subscripts"), NULL;
        return node_new(r, LAST);
    }
    if (take_word(r, "exists")) {
        n = node_new(r, EXISTS);
        if (!take(r, "(")) return wrong(r);
        if (!(n->a = read_any(r))) return NULL;
        return take(r, ")") ? n : wrong(r);
    }
    return wrong(r);
}

static bool read_level(struct reading *r, uint32_t *out) {
    str w = word_at(r);
    uint64_t v;
    if (str_eqc(w, "last")) *out = UINT32_MAX;
    else if (str_to_u64(w, &v) && v < UINT32_MAX) *out = (uint32_t)v;
    else return wrong(r), false;
    r->i += w.n;
    return true;
}

static struct node *read_depth(struct reading *r) {
    struct node *n = node_new(r, ANY_DEPTH);
    n->most = UINT32_MAX;
    if (!take(r, "{")) return n;
    if (!read_level(r, &n->least)) return NULL;
    n->most = n->least;
    if (take_word(r, "to") && !read_level(r, &n->most)) return NULL;
    return take(r, "}") ? n : wrong(r);
}

static struct node *read_brackets(struct reading *r) {
    if (take(r, "*")) return take(r, "]") ? node_new(r, ANY_ITEM) : wrong(r);
    struct node *first = NULL, **at = &first;
    r->in_brackets++;
    do {
        struct node *n = *at = node_new(r, ITEMS);
        if (!(n->a = read_sum(r)) || (take_word(r, "to") && !(n->b = read_sum(r)))) return NULL;
        at = &n->more;
    } while (take(r, ","));
    r->in_brackets--;
    return take(r, "]") ? first : wrong(r);
}

static struct node *read_step(struct reading *r) {
    struct node *n;
    if (take(r, "[")) return read_brackets(r);
    if (take(r, "?")) {
        n = node_new(r, FILTER);
        if (!take(r, "(")) return wrong(r);
        r->in_filter++;
        if (!(n->a = read_any(r))) return NULL;
        r->in_filter--;
        if (n->a->kind < EQ || n->a->next) return wrong(r); /* it is to be a predicate */
        return take(r, ")") ? n : wrong(r);
    }
    if (take(r, ".**")) return read_depth(r);
    if (take(r, ".*")) return node_new(r, ANY_MEMBER);
    if (!take(r, ".")) return wrong(r);
    n = node_new(r, MEMBER);
    if (sees(r, "\"")) return read_string(r, &n->s) ? n : NULL;
    n->s = word_at(r);
    if (!n->s.n) return wrong(r);
    r->i += n->s.n;
    if (!take(r, "(")) return n;
    static const char *const methods[] = {"type", "size", "abs", "floor", "ceiling", "double", "keyvalue", "datetime"};
    for (size_t i = 0; i < ARRAY_COUNT(methods); i++)
        if (str_eqc(n->s, methods[i])) n->kind = METHOD, n->least = (uint32_t)i;
    if (n->kind != METHOD) return wrong(r);
    str ignored;
    if (str_eqc(n->s, "datetime") && sees(r, "\"") && !read_string(r, &ignored)) return NULL;
    return take(r, ")") ? n : wrong(r);
}

static struct node *read_path(struct reading *r) {
    struct node *n = read_primary(r), *last = n;
    while (last && last->next) last = last->next; /* of what stood in brackets */
    while (n && (sees(r, ".") || sees(r, "[") || sees(r, "?"))) {
        if (!(last->next = read_step(r))) return NULL;
        last = last->next;
    }
    return n;
}

static struct node *read_unary(struct reading *r) {
    bool plus = sees(r, "+");
    if (!plus && !sees(r, "-")) return read_path(r);
    struct node *n = node_new(r, plus ? PLUS : MINUS);
    r->i++;
    if (++r->depth > DEPTH_MAX) return (void)pg_raise(r->call, "54001", "stack depth limit exceeded"), NULL;
    n->a = read_unary(r);
    r->depth--;
    return n->a ? n : NULL;
}

static struct node *read_product(struct reading *r) {
    struct node *n = read_unary(r);
    while (n && (sees(r, "*") || sees(r, "/") || sees(r, "%"))) {
        struct node *op = node_new(r, r->s.p[r->i] == '*' ? MUL : r->s.p[r->i] == '/' ? DIV : MOD);
        r->i++;
        op->a = n;
        if (!(op->b = read_unary(r))) return NULL;
        n = op;
    }
    return n;
}

static struct node *read_sum(struct reading *r) {
    struct node *n = read_product(r);
    while (n && (sees(r, "+") || sees(r, "-"))) {
        struct node *op = node_new(r, r->s.p[r->i] == '+' ? ADD : SUB);
        r->i++;
        op->a = n;
        if (!(op->b = read_product(r))) return NULL;
        n = op;
    }
    return n;
}

static struct node *read_like(struct reading *r, struct node *n) {
    str flags;
    if (!read_string(r, &n->s)) return NULL;
    if (!take_word(r, "flag")) return n;
    if (!read_string(r, &flags)) return NULL;
    for (size_t i = 0; i < flags.n; i++) switch (flags.p[i]) {
        case 'i': n->nocase = true; break;
        case 'q': n->quoted = true; break;
        case 's':
        case 'm': break;
        default:
            (void)pg_raise(r->call, "42601", "invalid input syntax for type %s", "jsonpath");
            pg_raise_detail(r->call, "Unrecognized flag character \"%c\" in LIKE_REGEX predicate.", flags.p[i]);
            return NULL;
        }
    return n;
}

static struct node *read_comparison(struct reading *r) {
    static const struct {
        const char *sign;
        enum kind kind;
    } signs[] = {{"==", EQ}, {"!=", NE}, {"<>", NE}, {"<=", LE}, {">=", GE}, {"<", LT}, {">", GT}};
    struct node *left = read_sum(r), *n;
    if (!left) return NULL;
    for (size_t i = 0; i < ARRAY_COUNT(signs); i++)
        if (take(r, signs[i].sign)) {
            n = node_new(r, signs[i].kind);
            n->a = left;
            return (n->b = read_sum(r)) ? n : NULL;
        }
    if (take_word(r, "like_regex")) return n = node_new(r, LIKE), n->a = left, read_like(r, n);
    if (take_word(r, "starts")) {
        if (!take_word(r, "with")) return wrong(r);
        n = node_new(r, STARTS), n->a = left;
        return (n->b = read_primary(r)) ? n : NULL;
    }
    if (left->kind >= EQ && take_word(r, "is")) {
        if (!take_word(r, "unknown")) return wrong(r);
        n = node_new(r, UNKNOWN), n->a = left;
        return n;
    }
    return left;
}

static struct node *read_not(struct reading *r) {
    if (sees(r, "!=") || !take(r, "!")) return read_comparison(r);
    struct node *n = node_new(r, NOT);
    n->a = read_primary(r);
    if (!n->a) return NULL;
    return n->a->kind >= EQ ? n : wrong(r);
}

static struct node *joined(struct reading *r, struct node *a, enum kind kind, struct node *b) {
    if (!b) return NULL;
    if (a->kind < EQ || b->kind < EQ) return wrong(r);
    struct node *n = node_new(r, kind);
    n->a = a, n->b = b;
    return n;
}

static struct node *read_any(struct reading *r) {
    if (++r->depth > DEPTH_MAX) return (void)pg_raise(r->call, "54001", "stack depth limit exceeded"), NULL;
    struct node *all = NULL;
    uint32_t links = 0;
    do {
        struct node *n = read_not(r);
        while (n && take(r, "&&") && ++links) n = joined(r, n, AND, read_not(r));
        if (!n) return NULL;
        all = all ? joined(r, all, OR, n) : n;
        if (++links > DEPTH_MAX) return (void)pg_raise(r->call, "54001", "stack depth limit exceeded"), NULL;
    } while (all && take(r, "||"));
    r->depth--;
    return all;
}

struct path {
    struct node *root;
    bool strict;
};
static bool read_whole(struct pg_call *call, str text, struct path *out) {
    struct reading r = {.call = call, .s = text};
    if (!str_trim(text).n)
        return pg_raise(call, "22P02", "invalid input syntax for type %s: \"" STR_FMT "\"", "jsonpath", STR_ARG(text));
    if (text.n > TEXT_MAX) return pg_raise(call, "54000", "a jsonpath has at most %d bytes", TEXT_MAX);
    out->strict = take_word(&r, "strict");
    if (!out->strict) (void)take_word(&r, "lax");
    out->root = read_any(&r);
    if (!out->root) return false;
    skip(&r);
    return r.i == text.n || (wrong(&r), false);
}

bool pg_jsonpath_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    struct path p;
    (void)typmod;
    if (!read_whole(call, text, &p)) return false;
    *out = pg_call_text(call, text);
    return !pg_raised(call);
}
bool pg_jsonpath_out(struct pg_call *call, struct db_value v, struct buf *text) { return (void)call, buf_puts(text, v.s), true; }

/* ---- running ---- */

typedef VEC(struct pj) items;
struct running {
    struct pg_call *call;
    arena *mem, *scratch; /* of items; what a filter makes on its way is gone when it has answered */
    struct pg_error said; /* what may be silent */
    bool strict;
    const struct pj *root, *current, *variables;
    int64_t last;
};
enum truth { NO, YES, MAYBE };

static bool fail(struct running *r, const char *state, const char *fmt, ...) PRINTF_LIKE(3, 4);
static bool fail(struct running *r, const char *state, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    if (!r->said.set) {
        r->said.set = true;
        snprintf(r->said.state, sizeof r->said.state, "%s", state);
        vsnprintf(r->said.message, sizeof r->said.message, fmt, ap);
    }
    va_end(ap);
    return false;
}

static bool give(struct running *r, items *out, struct pj v) {
    if (!pg_call_works(r->call, 10)) return false;
    if (out->n >= ITEMS_MAX) return pg_raise(r->call, "54000", "a path gives more than %d items", ITEMS_MAX);
    vec_push(r->mem, out, v);
    return true;
}

static struct pj truth_of(enum truth t) { return (struct pj){.kind = t == YES ? PJ_TRUE : t == NO ? PJ_FALSE : PJ_NULL}; }
static struct pj number_of(struct running *r, int64_t v) {
    return (struct pj){.kind = PJ_NUMBER, .s = arena_fmt(r->mem, "%lld", (long long)v)};
}

static bool evaluate(struct running *r, const struct node *n, items *out);
static enum truth holds(struct running *r, const struct node *n);

/* Arrays taken apart, in lax mode. */
static bool evaluate_unwrapped(struct running *r, const struct node *n, items *out) {
    items all = {0};
    if (!evaluate(r, n, &all)) return false;
    for (uint32_t i = 0; i < all.n; i++) {
        bool apart = !r->strict && all.p[i].kind == PJ_ARRAY;
        if (!apart && !give(r, out, all.p[i])) return false;
        for (uint32_t k = 0; apart && k < all.p[i].n; k++)
            if (!give(r, out, all.p[i].items[k])) return false;
    }
    return true;
}

/* An operator of numeric's, whose errors may be silent. */
static bool numeric(struct running *r, pg_fn fn, const struct pj *a, const struct pj *b, items *out) {
    struct pg_error own = {0}, *before = r->call->error;
    const struct db_value args[] = {DB_TEXT(a->s), b ? DB_TEXT(b->s) : DB_NOTHING};
    struct db_value v = DB_NOTHING;
    r->call->error = &own;
    fn(r->call, args, b ? 2 : 1, &v);
    r->call->error = before;
    if (own.set) return fail(r, own.state, "%s", own.message);
    return give(r, out, (struct pj){.kind = PJ_NUMBER, .s = v.s});
}

static bool arithmetic(struct running *r, const struct node *n, items *out) {
    static const struct {
        const char *sign;
        pg_fn fn;
    } ops[] = {[ADD] = {"+", pg_numeric_add},
               [SUB] = {"-", pg_numeric_sub},
               [MUL] = {"*", pg_numeric_mul},
               [DIV] = {"/", pg_numeric_div},
               [MOD] = {"%", pg_numeric_mod}};
    items a = {0}, b = {0};
    if (!evaluate_unwrapped(r, n->a, &a) || !evaluate_unwrapped(r, n->b, &b)) return false;
    if (a.n != 1 || a.p[0].kind != PJ_NUMBER)
        return fail(r, "22038", "left operand of jsonpath operator %s is not a single numeric value", ops[n->kind].sign);
    if (b.n != 1 || b.p[0].kind != PJ_NUMBER)
        return fail(r, "22038", "right operand of jsonpath operator %s is not a single numeric value", ops[n->kind].sign);
    return numeric(r, ops[n->kind].fn, &a.p[0], &b.p[0], out);
}

static bool signs(struct running *r, const struct node *n, items *out) {
    items a = {0};
    if (!evaluate_unwrapped(r, n->a, &a)) return false;
    for (uint32_t i = 0; i < a.n; i++) {
        if (a.p[i].kind != PJ_NUMBER)
            return fail(r, "2203B", "operand of unary jsonpath operator %s is not a numeric value", n->kind == PLUS ? "+" : "-");
        if (n->kind == PLUS ? !give(r, out, a.p[i]) : !numeric(r, pg_numeric_minus, &a.p[i], NULL, out)) return false;
    }
    return true;
}

/* ---- predicates ---- */

static enum truth compare(enum kind op, const struct pj *a, const struct pj *b) {
    int c = 0;
    bool booleans = (a->kind == PJ_TRUE || a->kind == PJ_FALSE) && (b->kind == PJ_TRUE || b->kind == PJ_FALSE);
    if (a->kind != b->kind && !booleans) return a->kind == PJ_NULL || b->kind == PJ_NULL ? (op == NE ? YES : NO) : MAYBE;
    if (booleans) c = (a->kind == PJ_TRUE) - (b->kind == PJ_TRUE);
    else if (a->kind == PJ_NUMBER) c = pg_numeric_compare_text(a->s, b->s);
    else if (a->kind == PJ_STRING) c = str_cmp(a->s, b->s);
    else if (a->kind != PJ_NULL) return MAYBE;
    switch (op) {
    case EQ: return c == 0;
    case NE: return c != 0;
    case LT: return c < 0;
    case LE: return c <= 0;
    case GT: return c > 0;
    default: return c >= 0;
    }
}

static enum truth is_like(struct running *r, const struct node *n, const struct pj *v) {
    struct db_value out = DB_NOTHING;
    struct buf b = {0};
    if (v->kind != PJ_STRING) return MAYBE;
    if (n->quoted) buf_puts(&b, STR("***="));
    buf_puts(&b, n->s);
    const struct db_value args[] = {DB_TEXT(v->s), DB_TEXT(arena_str(r->mem, buf_str(&b)))};
    buf_free(&b);
    (n->nocase ? pg_regex_ieq : pg_regex_eq)(r->call, args, 2, &out);
    return out.kind == DB_INTEGER && out.i ? YES : NO;
}

static enum truth one_holds(struct running *r, const struct node *n, const struct pj *a, const struct pj *b) {
    if (n->kind == LIKE) return is_like(r, n, a);
    if (n->kind != STARTS) return compare(n->kind, a, b);
    if (a->kind != PJ_STRING || b->kind != PJ_STRING) return MAYBE;
    return str_starts(a->s, b->s) ? YES : NO;
}

/* Of any two of what its sides give; an error is not known. */
static enum truth any_holds(struct running *r, const struct node *n) {
    items a = {0}, b = {0};
    struct pg_error before = r->said;
    bool found = false, error = false;
    if (!evaluate_unwrapped(r, n->a, &a) || (n->b && !evaluate_unwrapped(r, n->b, &b))) return r->said = before, MAYBE;
    if (!n->b) vec_push(r->mem, &b, (struct pj){.kind = PJ_NULL});
    for (uint32_t i = 0; i < a.n; i++)
        for (uint32_t k = 0; k < b.n; k++) {
            if (!pg_call_works(r->call, 10)) return MAYBE;
            enum truth t = one_holds(r, n, &a.p[i], &b.p[k]);
            if (t == MAYBE && r->strict) return MAYBE;
            if (t == YES && !r->strict) return YES;
            error |= t == MAYBE, found |= t == YES;
        }
    return found ? YES : error ? MAYBE : NO;
}

static enum truth there_is(struct running *r, const struct node *n) {
    items a = {0};
    struct pg_error before = r->said;
    if (!evaluate(r, n->a, &a)) return r->said = before, MAYBE;
    return a.n ? YES : NO;
}

static enum truth holds(struct running *r, const struct node *n) {
    enum truth a, b;
    switch (n->kind) {
    case AND:
        if ((a = holds(r, n->a)) == NO) return NO;
        b = holds(r, n->b);
        return b == NO ? NO : a == YES && b == YES ? YES : MAYBE;
    case OR:
        if ((a = holds(r, n->a)) == YES) return YES;
        b = holds(r, n->b);
        return b == YES ? YES : a == NO && b == NO ? NO : MAYBE;
    case NOT: return (a = holds(r, n->a)) == MAYBE ? MAYBE : a == YES ? NO : YES;
    case UNKNOWN: return holds(r, n->a) == MAYBE ? YES : NO;
    case EXISTS: return there_is(r, n);
    default: return any_holds(r, n);
    }
}

/* ---- what is applied to an item ---- */

static bool member(struct running *r, const struct node *n, const struct pj *v, items *out) {
    const struct pj_member *m = v->kind == PJ_OBJECT ? pj_find(v, n->s) : NULL;
    if (m) return give(r, out, m->v);
    if (!r->strict) return true;
    if (v->kind == PJ_OBJECT) return fail(r, "2203A", "JSON object does not contain key \"" STR_FMT "\"", STR_ARG(n->s));
    return fail(r, "2203A", "jsonpath member accessor can only be applied to an object");
}

static bool any_member(struct running *r, const struct pj *v, items *out) {
    if (v->kind != PJ_OBJECT)
        return !r->strict || fail(r, "2203C", "jsonpath wildcard member accessor can only be applied to an object");
    for (uint32_t i = 0; i < v->n; i++)
        if (!give(r, out, v->members[i].v)) return false;
    return true;
}

static bool any_item(struct running *r, const struct pj *v, items *out) {
    if (v->kind != PJ_ARRAY)
        return r->strict ? fail(r, "22039", "jsonpath wildcard array accessor can only be applied to an array")
                         : give(r, out, *v);
    for (uint32_t i = 0; i < v->n; i++)
        if (!give(r, out, v->items[i])) return false;
    return true;
}

static bool subscript(struct running *r, const struct node *n, int64_t *out) {
    items all = {0}, whole = {0};
    if (!evaluate(r, n, &all)) return false;
    if (all.n != 1 || all.p[0].kind != PJ_NUMBER)
        return fail(r, "22033", "jsonpath array subscript is not a single numeric value");
    if (!numeric(r, pg_numeric_trunc, &all.p[0], NULL, &whole)) return false;
    bool minus = whole.p[0].s.n && whole.p[0].s.p[0] == '-';
    uint64_t v;
    if (!str_to_u64(str_sub(whole.p[0].s, minus, whole.p[0].s.n), &v) || v > INT32_MAX)
        return fail(r, "22033", "jsonpath array subscript is out of integer range");
    *out = minus ? -(int64_t)v : (int64_t)v;
    return true;
}

static bool some_items(struct running *r, const struct node *n, const struct pj *v, items *out) {
    const struct pj *list = v->kind == PJ_ARRAY ? v->items : v;
    int64_t size = v->kind == PJ_ARRAY ? v->n : 1, before = r->last;
    if (v->kind != PJ_ARRAY && r->strict) return fail(r, "22039", "jsonpath array accessor can only be applied to an array");
    bool ok = true;
    for (const struct node *one = n; ok && one; one = one->more) {
        int64_t from, to;
        r->last = size - 1;
        ok = subscript(r, one->a, &from);
        to = from;
        if (ok && one->b) ok = subscript(r, one->b, &to);
        if (ok && r->strict && (from < 0 || from > to || to >= size))
            ok = fail(r, "22033", "jsonpath array subscript is out of bounds");
        from = MAX(from, (int64_t)0), to = MIN(to, size - 1);
        for (int64_t i = from; ok && i <= to; i++) ok = give(r, out, list[i]);
    }
    r->last = before;
    return ok;
}

static bool descend(struct running *r, const struct node *n, const struct pj *v, uint32_t level, items *out) {
    if (level >= n->least && level <= n->most && (n->least != UINT32_MAX || (v->kind != PJ_ARRAY && v->kind != PJ_OBJECT)))
        if (!give(r, out, *v)) return false;
    bool leaf =
        n->least == UINT32_MAX && v->kind != PJ_ARRAY && v->kind != PJ_OBJECT; /* {last}: those that have nothing in them */
    if (leaf && level < n->least && !give(r, out, *v)) return false;
    if (level >= n->most || level > PJ_DEPTH_MAX) return true;
    for (uint32_t i = 0; (v->kind == PJ_ARRAY || v->kind == PJ_OBJECT) && i < v->n; i++)
        if (!descend(r, n, v->kind == PJ_ARRAY ? &v->items[i] : &v->members[i].v, level + 1, out)) return false;
    return true;
}

static bool filtered(struct running *r, const struct node *n, const struct pj *v, items *out) {
    const struct pj *before = r->current;
    arena *mem = r->mem;
    bool outer = mem != r->scratch;
    if (!r->scratch) r->scratch = arena_new(0);
    r->current = v, r->mem = r->scratch;
    enum truth t = holds(r, n->a);
    r->current = before, r->mem = mem;
    if (outer) arena_reset(r->scratch);
    return !pg_raised(r->call) && (t != YES || give(r, out, *v));
}

static bool type_name(struct running *r, const struct pj *v, items *out) {
    static const char *const names[] = {
        [PJ_NULL] = "null",    [PJ_STRING] = "string", [PJ_NUMBER] = "number", [PJ_FALSE] = "boolean",
        [PJ_TRUE] = "boolean", [PJ_ARRAY] = "array",   [PJ_OBJECT] = "object"};
    return give(r, out, (struct pj){.kind = PJ_STRING, .s = str_c(names[v->kind])});
}

static bool to_double(struct running *r, const struct pj *v, items *out) {
    struct pg_error own = {0}, *before = r->call->error;
    struct db_value f, text;
    if (v->kind != PJ_NUMBER && v->kind != PJ_STRING)
        return fail(r, "22036", "jsonpath item method .double() can only be applied to a string or numeric value");
    r->call->error = &own;
    bool ok = pg_value_in(r->call, PG_FLOAT8, -1, v->s, &f);
    if (ok) pg_numeric_of_float8(r->call, &f, 1, &text);
    ok = ok && !own.set && text.kind == DB_TEXTUAL && text.s.n &&
         (text.s.p[0] == '-' || (text.s.p[0] >= '0' && text.s.p[0] <= '9'));
    r->call->error = before;
    if (!ok && v->kind == PJ_STRING)
        return fail(
            r, "22036",
            "string argument of jsonpath item method .double() is not a valid representation of a double precision number");
    if (!ok)
        return fail(r, "22036", "numeric argument of jsonpath item method .double() is out of range for type double precision");
    return give(r, out, (struct pj){.kind = PJ_NUMBER, .s = text.s});
}

static bool key_values(struct running *r, const struct pj *v, items *out) {
    if (v->kind != PJ_OBJECT) return fail(r, "2203C", "jsonpath item method .keyvalue() can only be applied to an object");
    for (uint32_t i = 0; i < v->n; i++) {
        struct pj_member *m = arena_array(r->mem, struct pj_member, 3);
        m[0] = (struct pj_member){STR("id"), number_of(r, 0)};
        m[1] = (struct pj_member){STR("key"), {.kind = PJ_STRING, .s = v->members[i].key}};
        m[2] = (struct pj_member){STR("value"), v->members[i].v};
        if (!give(r, out, (struct pj){.kind = PJ_OBJECT, .n = 3, .members = m})) return false;
    }
    return true;
}

enum { TYPE, SIZE, ABS, FLOOR, CEILING, DOUBLE, KEYVALUE, DATETIME };
static bool method(struct running *r, const struct node *n, const struct pj *v, items *out) {
    static const pg_fn fns[] = {[ABS] = pg_numeric_abs, [FLOOR] = pg_numeric_floor, [CEILING] = pg_numeric_ceil};
    switch (n->least) {
    case TYPE: return type_name(r, v, out);
    case SIZE:
        if (v->kind != PJ_ARRAY && r->strict)
            return fail(r, "22039", "jsonpath item method .size() can only be applied to an array");
        return give(r, out, number_of(r, v->kind == PJ_ARRAY ? v->n : 1));
    case DOUBLE: return to_double(r, v, out);
    case KEYVALUE: return key_values(r, v, out);
    case DATETIME: return pg_raise(r->call, "0A000", "jsonpath item method .datetime() is not supported on SQLite");
    default: break;
    }
    if (v->kind != PJ_NUMBER)
        return fail(r, "22036", "jsonpath item method ." STR_FMT "() can only be applied to a numeric value", STR_ARG(n->s));
    return numeric(r, fns[n->least], v, NULL, out);
}

static bool apply_to(struct running *r, const struct node *n, const struct pj *v, items *out) {
    switch (n->kind) {
    case MEMBER: return member(r, n, v, out);
    case ANY_MEMBER: return any_member(r, v, out);
    case ANY_ITEM: return any_item(r, v, out);
    case ITEMS: return some_items(r, n, v, out);
    case ANY_DEPTH: return descend(r, n, v, 0, out);
    case FILTER: return filtered(r, n, v, out);
    default: return method(r, n, v, out);
    }
}

static bool takes_apart(const struct node *n) {
    return n->kind == MEMBER || n->kind == ANY_MEMBER || n->kind == FILTER || (n->kind == METHOD && n->least > SIZE);
}

static bool apply(struct running *r, const struct node *n, const struct pj *v, items *out) {
    if (r->strict || v->kind != PJ_ARRAY || !takes_apart(n)) return apply_to(r, n, v, out);
    for (uint32_t i = 0; i < v->n; i++)
        if (!apply_to(r, n, &v->items[i], out)) return false;
    return true;
}

static bool variable(struct running *r, const struct node *n, items *out) {
    const struct pj_member *m = r->variables->kind == PJ_OBJECT ? pj_find(r->variables, n->s) : NULL;
    if (!m) return pg_raise(r->call, "42704", "could not find jsonpath variable \"" STR_FMT "\"", STR_ARG(n->s));
    return give(r, out, m->v);
}

static bool primary(struct running *r, const struct node *n, items *out) {
    switch (n->kind) {
    case ROOT: return give(r, out, *r->root);
    case CURRENT: return give(r, out, *r->current);
    case VARIABLE: return variable(r, n, out);
    case LITERAL: return give(r, out, n->value);
    case LAST: return give(r, out, number_of(r, r->last));
    case ADD:
    case SUB:
    case MUL:
    case DIV:
    case MOD: return arithmetic(r, n, out);
    case PLUS:
    case MINUS: return signs(r, n, out);
    default: return give(r, out, truth_of(holds(r, n))) && !pg_raised(r->call);
    }
}

static bool evaluate(struct running *r, const struct node *n, items *out) {
    items now = {0};
    if (!primary(r, n, n->next ? &now : out)) return false;
    for (const struct node *step = n->next; step; step = step->next) {
        items more = {0}, *to = step->next ? &more : out;
        for (uint32_t i = 0; i < now.n; i++)
            if (!apply(r, step, &now.p[i], to)) return false;
        now = more;
    }
    return true;
}

/* ---- functions: (target, path [, variables [, silent]]) ---- */

/* *silenced: it failed, and that is not told. */
static bool run(struct pg_call *call, const struct db_value *args, uint32_t n, bool silent, items *out, bool *silenced) {
    struct path p;
    struct pj target, variables = {.kind = PJ_OBJECT};
    struct running r = {.call = call, .mem = call->mem, .root = &target, .current = &target, .variables = &variables};
    *silenced = false;
    if (!read_whole(call, args[1].s, &p) || !pj_read(call, args[0].s, PJ_JSONB, &target)) return false;
    if (n > 2 && !pj_read(call, args[2].s, PJ_JSONB, &variables)) return false;
    if (n > 2 && variables.kind != PJ_OBJECT) {
        (void)pg_raise(call, "22023", "\"vars\" argument is not an object");
        pg_raise_detail(call, "Jsonpath parameters should be encoded as key-value pairs of \"vars\" object.");
        return false;
    }
    r.strict = p.strict;
    bool ok = evaluate(&r, p.root, out);
    if (r.scratch) arena_free(r.scratch);
    if (pg_raised(call)) return false;
    if (ok) return true;
    *silenced = silent || (n > 3 && args[3].i);
    return *silenced || pg_raise(call, r.said.state, "%s", r.said.message);
}

static void exists(struct pg_call *call, const struct db_value *args, uint32_t n, bool silent, struct db_value *out) {
    items all = {0};
    bool silenced;
    if (!run(call, args, n, silent, &all, &silenced)) return;
    *out = silenced ? DB_NOTHING : pg_bool(all.n);
}
PG_FN(pg_jsonb_path_exists) { exists(call, args, n, false, out); }
PG_FN(pg_jsonb_path_exists_op) { exists(call, args, n, true, out); }

static void match(struct pg_call *call, const struct db_value *args, uint32_t n, bool silent, struct db_value *out) {
    items all = {0};
    bool silenced;
    *out = DB_NOTHING;
    if (!run(call, args, n, silent, &all, &silenced) || silenced) return;
    enum pj_kind kind = all.n == 1 ? all.p[0].kind : PJ_STRING;
    if (kind == PJ_TRUE || kind == PJ_FALSE) *out = pg_bool(kind == PJ_TRUE);
    else if (kind != PJ_NULL && !silent && !(n > 3 && args[3].i))
        (void)pg_raise(call, "22038", "single boolean result is expected");
}
PG_FN(pg_jsonb_path_match) { match(call, args, n, false, out); }
PG_FN(pg_jsonb_path_match_op) { match(call, args, n, true, out); }

PG_FN(pg_jsonb_path_query_array) {
    items all = {0};
    bool silenced;
    if (!run(call, args, n, false, &all, &silenced)) return;
    *out = pj_text(call, &(struct pj){.kind = PJ_ARRAY, .n = all.n, .items = all.p});
}
PG_FN(pg_jsonb_path_query_first) {
    items all = {0};
    bool silenced;
    if (!run(call, args, n, false, &all, &silenced)) return;
    *out = all.n ? pj_text(call, &all.p[0]) : DB_NOTHING;
}

struct query_state {
    items all;
    uint32_t at;
};
static void query_open(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    struct query_state *s = state;
    bool silenced;
    *s = (struct query_state){0};
    if (!run(call, args, n, false, &s->all, &silenced)) s->all.n = 0;
}
static bool query_next(struct pg_call *call, void *state, struct db_value *columns) {
    struct query_state *s = state;
    if (s->at == s->all.n) return false;
    columns[0] = pj_text(call, &s->all.p[s->at++]);
    return columns[0].kind != DB_NULL;
}
const struct pg_set pg_jsonb_path_query = {sizeof(struct query_state), 1, query_open, query_next, NULL};
