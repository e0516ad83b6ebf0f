/* scalar: an expression of a body, evaluated without a statement of its own.
 *
 *   pg_int4_add(?1, 3) > ?2      PLACE 4, CONST 0, CALL pg_int4_add, PLACE 2, GREATER      places by the body's numbers, on a stack of values
 *
 * 1. It gives what SQLite would give for the same text, with the same errors. What it does not know for certain (a subquery, LIKE, a function of SQLite's
 *    own, a number's text as a truth) is no scalar, or is none once it is met (ERR_UNSUPPORTED): then the statement is run.
 * 2. But AND, OR, CASE and coalesce go from left to right and no further than they need, as PostgreSQL does.
 * 3. Bytes are borrowed of places and of the text, or made in the scratch arena, which has a bound.
 * 4. The stack is as deep as the text needs, which is known when it is made; the parser's own depth is bounded by DEPTH_MAX.
 */
#include "query/query_int.h"
#include <stdio.h>
#include <stdlib.h>

enum { DEPTH_MAX = 60, STACK_MAX = 60, STEPS_MAX = 4000, ARGUMENTS_MAX = 40 };

enum op {
    OP_PLACE, /* a */
    OP_CONST, /* a */
    OP_CALL,
    OP_ADD, /* and so on: a: bits of the integer, 0: a float; what is out of the ordinary is left to `function` */
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_MOD,
    OP_EQUAL,
    OP_UNEQUAL,
    OP_LESS,
    OP_LESS_EQUAL,
    OP_GREATER,
    OP_GREATER_EQUAL,
    OP_IS, /* null is null */
    OP_IS_NOT,
    OP_IS_NULL,
    OP_NOT_NULL,
    OP_NOT,
    OP_AND_JUMP, /* false already: to a */
    OP_AND,
    OP_OR_JUMP,
    OP_OR,
    OP_JUMP,
    OP_UNLESS,   /* takes it: not true: to a */
    OP_COALESCE, /* not null: to a; else takes it */
    OP_NULLIF,
    OP_COPY, /* the topmost once more */
    OP_SWAP,
    OP_SLIDE,   /* away with what is below the topmost */
    OP_IN_ITEM, /* x found item: x found' */
    OP_CONCAT,
    OP_NEGATE,
    OP_BIT_NOT,
    OP_BIT_AND,
    OP_BIT_OR,
    OP_TO_TEXT,
    OP_TO_INTEGER,
};

struct step {
    uint8_t op, n; /* n: arguments of a call */
    bool typed;    /* an operand has an affinity, so that values of two kinds are not compared here */
    uint32_t a;
    union {
        const struct db_function *function;
        const struct db_collation *collation;
    };
};
struct query_scalar {
    const struct step *steps;
    const struct db_value *constants;
    uint32_t n;
};

/* ---- making ---- */

struct making {
    arena *mem;
    struct db *db;
    str text;
    size_t at;
    const struct query_places *places;
    VEC(struct step) steps;
    VEC(struct db_value) constants;
    uint32_t depth, height; /* of the parser; of the stack */
};
/* What an operand brings to a comparison. */
struct operand {
    const struct db_collation *collation;
    bool typed;
};

static bool expression(struct making *m, uint32_t power, struct operand *out);

static bool is_word(uint8_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }
static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

static void blanks(struct making *m) {
    while (m->at < m->text.n && (m->text.p[m->at] == ' ' || m->text.p[m->at] == '\n')) m->at++;
}

static str word_here(struct making *m) {
    blanks(m);
    size_t end = m->at;
    if (end < m->text.n && is_digit(m->text.p[end])) return (str){0};
    while (end < m->text.n && is_word(m->text.p[end])) end++;
    return str_sub(m->text, m->at, end - m->at);
}

static bool take_word(struct making *m, const char *word) {
    str w = word_here(m);
    if (!str_eq_nocase(w, str_c(word))) return false;
    m->at += w.n;
    return true;
}

static bool take(struct making *m, const char *sign) {
    size_t n = strlen(sign);
    blanks(m);
    if (m->text.n - m->at < n || memcmp(m->text.p + m->at, sign, n) != 0) return false;
    m->at += n;
    return true;
}

/* rise: by how much the stack is higher afterwards */
static uint32_t emit(struct making *m, enum op op, uint32_t a, int32_t rise) {
    vec_push(m->mem, &m->steps, ((struct step){.op = (uint8_t)op, .a = a}));
    m->height += (uint32_t)rise;
    return m->steps.n - 1;
}

static void land(struct making *m, uint32_t step) { m->steps.p[step].a = m->steps.n; }
static bool has_room(const struct making *m) { return m->height < STACK_MAX && m->steps.n < STEPS_MAX && m->depth < DEPTH_MAX; }

static void constant(struct making *m, struct db_value v) {
    vec_push(m->mem, &m->constants, v);
    emit(m, OP_CONST, m->constants.n - 1, 1);
}

/* As the literal's, or the place's, number; it does not fit: none. */
static bool number(struct making *m, int64_t *out) {
    size_t from = m->at;
    *out = 0;
    for (; m->at < m->text.n && is_digit(m->text.p[m->at]); m->at++)
        if (__builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, m->text.p[m->at] - '0', out)) return false;
    return m->at > from && (m->at == m->text.n || (!is_word(m->text.p[m->at]) && m->text.p[m->at] != '.'));
}

static bool quoted(struct making *m) {
    uint8_t *to = arena_alloc(m->mem, m->text.n - m->at + 1, 1);
    size_t n = 0;
    for (m->at++;; m->at++) {
        if (m->at >= m->text.n) return false;
        if (m->text.p[m->at] == '\'' && (m->at + 1 >= m->text.n || m->text.p[m->at + 1] != '\'')) break;
        m->at += m->text.p[m->at] == '\'';
        to[n++] = m->text.p[m->at];
    }
    m->at++;
    constant(m, DB_TEXT(((str){to, n})));
    return true;
}

static bool place(struct making *m) {
    int64_t k;
    m->at++;
    if (!number(m, &k) || k < 1 || k > m->places->list.n) return false;
    emit(m, OP_PLACE, m->places->list.p[k - 1], 1);
    return true;
}

/* ---- calls ---- */

static const struct {
    const char *name;
    uint8_t op, bits;
} quick[] = {
#define QUICK(prefix, bits)                                                                                                      \
    {prefix "_add", OP_ADD, bits}, {prefix "_sub", OP_SUB, bits}, {prefix "_mul", OP_MUL, bits}, { prefix "_div", OP_DIV, bits }
    QUICK("pg_int2", 16),        QUICK("pg_int4", 32),        QUICK("pg_int8", 64),        QUICK("pg_float8", 0),
    {"pg_int2_mod", OP_MOD, 16}, {"pg_int4_mod", OP_MOD, 32}, {"pg_int8_mod", OP_MOD, 64},
};

/* Numbers from constants are made once: they hang on nothing else. */
static void fold(struct making *m, const struct db_function *f, uint32_t from, uint32_t n) {
    struct db_value args[2], v;
    struct diag d = DIAG_INIT;
    static const char *const names[] = {"pg_float8_of_", "pg_float4_of_", "pg_int"};
    bool folds = false;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) folds |= !strncmp(f->name, names[i], strlen(names[i]));
    if (!folds || !n || n > ARRAY_COUNT(args) || m->steps.n - from != n + 1) return; /* one step each */
    for (uint32_t i = 0; i < n; i++) {
        const struct step *s = &m->steps.p[from + i];
        if (s->op != OP_CONST || m->constants.p[s->a].kind == DB_NULL) return;
        args[i] = m->constants.p[s->a];
    }
    /* An error is told when it is evaluated. */
    if (db_call_function(m->db, f, args, n, m->mem, &v, &d) != ERR_OK || v.kind == DB_NULL) return;
    m->steps.n = from;
    m->height--;
    constant(m, v);
}

static bool arguments(struct making *m, uint32_t *n) {
    struct operand ignored;
    *n = 0;
    if (take(m, ")")) return true;
    do {
        if (++*n > ARGUMENTS_MAX || !expression(m, 0, &ignored)) return false;
    } while (take(m, ","));
    return take(m, ")");
}

static bool call(struct making *m, str name) {
    uint32_t n, height = m->height, from = m->steps.n;
    if (!arguments(m, &n)) return false;
    const struct db_function *f = db_function_named(m->db, name, n);
    if (!f) return false;
    uint32_t at = emit(m, OP_CALL, 0, 0);
    m->steps.p[at].function = f;
    m->steps.p[at].n = (uint8_t)n;
    m->height = height + 1;
    for (size_t i = 0; i < ARRAY_COUNT(quick); i++)
        if (n == 2 && str_eqc(name, quick[i].name)) m->steps.p[at].op = quick[i].op, m->steps.p[at].a = quick[i].bits;
    fold(m, f, from, n);
    return true;
}

/* Its first value that is not null. */
static bool coalesce(struct making *m) {
    VEC(uint32_t) ends = {0};
    struct operand ignored;
    do {
        if (!expression(m, 0, &ignored)) return false;
        vec_push(m->mem, &ends, emit(m, OP_COALESCE, 0, -1));
    } while (take(m, ","));
    constant(m, DB_NOTHING);
    for (uint32_t i = 0; i < ends.n; i++) land(m, ends.p[i]);
    return take(m, ")");
}

static void compare_with(struct making *m, enum op op, const struct operand *a, const struct operand *b, int32_t rise) {
    uint32_t at = emit(m, op, 0, rise);
    m->steps.p[at].collation = a->collation ? a->collation : b->collation;
    m->steps.p[at].typed = a->typed || b->typed;
}

static bool nullif(struct making *m) {
    struct operand a, b;
    if (!expression(m, 0, &a) || !take(m, ",") || !expression(m, 0, &b)) return false;
    compare_with(m, OP_NULLIF, &a, &b, -1);
    return take(m, ")");
}

static bool cast(struct making *m, struct operand *out) {
    struct operand ignored;
    if (!expression(m, 0, &ignored) || !take_word(m, "as")) return false;
    if (take_word(m, "text")) emit(m, OP_TO_TEXT, 0, 0);
    else if (take_word(m, "integer")) emit(m, OP_TO_INTEGER, 0, 0);
    else return false;
    out->typed = true;
    return take(m, ")");
}

/* case [x] when a then b … [else c] end */
static bool choice(struct making *m) {
    struct operand x = {0}, a, ignored;
    VEC(uint32_t) ends = {0};
    bool compares = !str_eq_nocase(word_here(m), STR("when"));
    if (compares && !expression(m, 0, &x)) return false;
    while (take_word(m, "when")) {
        if (compares) emit(m, OP_COPY, 0, 1);
        if (!has_room(m) || !expression(m, 0, &a)) return false;
        if (compares) compare_with(m, OP_EQUAL, &x, &a, -1);
        uint32_t next = emit(m, OP_UNLESS, 0, -1);
        if (!take_word(m, "then") || !expression(m, 0, &ignored)) return false;
        if (compares) emit(m, OP_SLIDE, 0, -1);
        vec_push(m->mem, &ends, emit(m, OP_JUMP, 0, compares ? 0 : -1));
        land(m, next);
    }
    if (!ends.n) return false;
    if (take_word(m, "else")) {
        if (!expression(m, 0, &ignored)) return false;
    } else constant(m, DB_NOTHING);
    if (compares) emit(m, OP_SLIDE, 0, -1);
    for (uint32_t i = 0; i < ends.n; i++) land(m, ends.p[i]);
    return take_word(m, "end");
}

/* ---- operators ---- */

enum power { /* how strongly they bind, as in SQLite */
             POWER_OR = 1,
             POWER_AND,
             POWER_NOT,
             POWER_EQUAL,
             POWER_LESS,
             POWER_BITS,
             POWER_CONCAT,
             POWER_COLLATE,
             POWER_PREFIX
};

static bool named(struct making *m, struct operand *out) {
    str w = word_here(m);
    m->at += w.n;
    if (str_eq_nocase(w, STR("null"))) return constant(m, DB_NOTHING), true;
    if (str_eq_nocase(w, STR("case"))) return choice(m);
    if (str_eq_nocase(w, STR("not")))
        return expression(m, POWER_NOT, out) && (emit(m, OP_NOT, 0, 0), *out = (struct operand){0}, true);
    if (!take(m, "(")) return false;
    if (str_eq_nocase(w, STR("coalesce"))) return coalesce(m);
    if (str_eq_nocase(w, STR("nullif"))) return nullif(m);
    if (str_eq_nocase(w, STR("cast"))) return cast(m, out);
    return call(m, w);
}

static bool prefix(struct making *m, enum op op, struct operand *out) {
    bool comment = m->at + 1 < m->text.n && m->text.p[m->at] == '-' && m->text.p[m->at + 1] == '-';
    m->at++;
    if (comment || !expression(m, POWER_PREFIX, out)) return false;
    emit(m, op, 0, 0);
    *out = (struct operand){0};
    return true;
}

static bool first(struct making *m, struct operand *out) {
    int64_t v;
    blanks(m);
    if (m->at >= m->text.n) return false;
    uint8_t c = m->text.p[m->at];
    if (c == '?') return place(m);
    if (c == '\'') return quoted(m);
    if (c == '(') return m->at++, expression(m, 0, out) && take(m, ")");
    if (c == '-') return prefix(m, OP_NEGATE, out);
    if (c == '~') return prefix(m, OP_BIT_NOT, out);
    if (is_digit(c)) return number(m, &v) && (constant(m, DB_I64(v)), true);
    return is_word(c) && named(m, out);
}

/* All of it is evaluated, as PostgreSQL makes an array of it. */
static bool in_list(struct making *m, const struct operand *x, bool negated) {
    struct operand item;
    if (!take(m, "(")) return false;
    constant(m, DB_I64(0));
    do {
        if (!expression(m, 0, &item)) return false;
        item.collation = NULL, item.typed = false; /* the left side's alone hold */
        compare_with(m, OP_IN_ITEM, x, &item, -1);
    } while (take(m, ","));
    emit(m, OP_SLIDE, 0, -1);
    if (negated) emit(m, OP_NOT, 0, 0);
    return take(m, ")");
}

static bool between(struct making *m, const struct operand *x, bool negated) {
    struct operand low, high;
    emit(m, OP_COPY, 0, 1);
    if (!expression(m, POWER_EQUAL, &low)) return false;
    compare_with(m, OP_GREATER_EQUAL, x, &low, -1);
    uint32_t below = emit(m, OP_AND_JUMP, 0, 0);
    emit(m, OP_SWAP, 0, 0);
    if (!take_word(m, "and") || !expression(m, POWER_EQUAL, &high)) return false;
    compare_with(m, OP_LESS_EQUAL, x, &high, -1);
    emit(m, OP_AND, 0, -1);
    uint32_t past = emit(m, OP_JUMP, 0, 0);
    land(m, below);
    emit(m, OP_SLIDE, 0, 0);
    land(m, past);
    if (negated) emit(m, OP_NOT, 0, 0);
    return true;
}

/* x is [not] …, x [not] in …, x [not] between … */
static bool worded(struct making *m, struct operand *x) {
    struct operand b;
    bool is = take_word(m, "is"), negated = take_word(m, "not");
    if (is && str_eq_nocase(word_here(m), STR("distinct"))) return false;
    if (is) {
        uint32_t from = m->steps.n;
        if (!expression(m, POWER_EQUAL, &b)) return false;
        const struct step *s = &m->steps.p[from];
        if (m->steps.n == from + 1 && s->op == OP_CONST && m->constants.p[s->a].kind == DB_NULL) {
            m->steps.n--, m->height--;
            emit(m, negated ? OP_NOT_NULL : OP_IS_NULL, 0, 0);
        } else compare_with(m, negated ? OP_IS_NOT : OP_IS, x, &b, -1);
        return true;
    }
    if (negated && take_word(m, "null")) return emit(m, OP_NOT_NULL, 0, 0), true;
    if (take_word(m, "in")) return in_list(m, x, negated);
    return take_word(m, "between") && between(m, x, negated);
}

static bool both(struct making *m, bool and) {
    struct operand b;
    uint32_t past = emit(m, and? OP_AND_JUMP : OP_OR_JUMP, 0, 0);
    if (!expression(m, and? POWER_AND : POWER_OR, &b)) return false;
    emit(m, and? OP_AND : OP_OR, 0, -1);
    land(m, past);
    return true;
}

static bool collate(struct making *m, struct operand *x) {
    str name = word_here(m);
    m->at += name.n;
    if (str_eq_nocase(name, STR("binary"))) return x->collation = NULL, true;
    return (x->collation = db_collation_named(m->db, name)) != NULL;
}

static const struct {
    const char *sign;
    uint8_t power, op;
} signs[] = {
    {"||", POWER_CONCAT, OP_CONCAT},
    {"<=", POWER_LESS, OP_LESS_EQUAL},
    {">=", POWER_LESS, OP_GREATER_EQUAL},
    {"<>", POWER_EQUAL, OP_UNEQUAL},
    {"!=", POWER_EQUAL, OP_UNEQUAL},
    {"==", POWER_EQUAL, OP_EQUAL},
    {"=", POWER_EQUAL, OP_EQUAL},
    {"<<", 0, 0},
    {">>", 0, 0},
    {"<", POWER_LESS, OP_LESS},
    {">", POWER_LESS, OP_GREATER},
    {"&", POWER_BITS, OP_BIT_AND},
    {"|", POWER_BITS, OP_BIT_OR},
};

/* *more: there was an operator that binds more strongly than `power`. */
static bool infix(struct making *m, uint32_t power, struct operand *x, bool *more) {
    struct operand b;
    str w = word_here(m);
    *more = false;
    for (size_t i = 0; !w.n && i < ARRAY_COUNT(signs); i++) {
        size_t before = m->at;
        if (!take(m, signs[i].sign)) continue;
        if (!signs[i].op) return false;
        if (signs[i].power <= power) return m->at = before, true;
        *more = true;
        if (!expression(m, signs[i].power, &b)) return false;
        compare_with(m, signs[i].op, x, &b, -1);
        *x = (struct operand){0};
        return true;
    }
    if (!w.n) return true;
    bool and = str_eq_nocase(w, STR("and")), or = str_eq_nocase(w, STR("or")), sorts = str_eq_nocase(w, STR("collate"));
    bool tests = str_eq_nocase(w, STR("is")) || str_eq_nocase(w, STR("not")) || str_eq_nocase(w, STR("in")) ||
                 str_eq_nocase(w, STR("between"));
    uint32_t mine = and? POWER_AND : or ? POWER_OR : sorts ? POWER_COLLATE : POWER_EQUAL;
    if (!and&&! or &&!sorts && !tests) return true; /* whoever asked knows the word, or nobody does */
    if (mine <= power) return true;
    *more = true;
    if (!tests) m->at += w.n;
    if (sorts) return collate(m, x);
    bool ok = tests ? worded(m, x) : both(m, and);
    *x = (struct operand){0};
    return ok;
}

static bool expression(struct making *m, uint32_t power, struct operand *out) {
    bool more = true;
    *out = (struct operand){0};
    if (!has_room(m)) return false;
    m->depth++;
    bool ok = first(m, out);
    while (ok && more) ok = infix(m, power, out, &more);
    m->depth--;
    return ok;
}

const struct query_scalar *query_scalar_new(arena *mem, struct db *db, str text, const struct query_places *places) {
    struct making m = {.mem = mem, .db = db, .text = text, .places = places};
    struct operand ignored;
    if (!expression(&m, 0, &ignored)) return NULL;
    blanks(&m);
    if (m.at < m.text.n) return NULL;
    struct query_scalar *s = arena_make(mem, struct query_scalar);
    *s = (struct query_scalar){m.steps.p, m.constants.p, m.steps.n};
    return s;
}

/* ---- running ---- */

struct running {
    struct db *db;
    arena *scratch;
    struct diag *d;
    bool acted; /* something was called that may not be called twice */
};

static int sign_of(bool greater, bool less) { return greater - less; }

/* An integer and a float by their values, as far as that goes. */
static int compare_mixed(int64_t i, double f) {
    if (f < -9223372036854775808.0) return 1;
    if (f >= 9223372036854775808.0) return -1;
    int64_t whole = (int64_t)f;
    if (i != whole) return sign_of(i > whole, i < whole);
    double rest = f - (double)whole;
    return sign_of(rest<0, rest> 0);
}

/* In SQLite's order: numbers, text, bytes. */
static int compare(const struct step *s, const struct db_value *a, const struct db_value *b) {
    uint32_t of_a = a->kind == DB_REAL ? DB_INTEGER : a->kind, of_b = b->kind == DB_REAL ? DB_INTEGER : b->kind;
    if (of_a != of_b) return sign_of(of_a > of_b, of_a < of_b);
    if (a->kind == DB_INTEGER && b->kind == DB_INTEGER) return sign_of(a->i > b->i, a->i < b->i);
    if (a->kind == DB_REAL && b->kind == DB_REAL) return sign_of(a->f > b->f, a->f < b->f);
    if (a->kind == DB_INTEGER) return compare_mixed(a->i, b->f);
    if (a->kind == DB_REAL) return -compare_mixed(b->i, a->f);
    if (s->collation && a->kind == DB_TEXTUAL) return s->collation->compare(s->collation->arg, a->s, b->s);
    int c = MIN(a->s.n, b->s.n) ? memcmp(a->s.p, b->s.p, MIN(a->s.n, b->s.n)) : 0;
    return c ? c : sign_of(a->s.n > b->s.n, a->s.n < b->s.n);
}

/* Are they of two kinds that SQLite would make one of first? */
static bool is_unlike(const struct step *s, const struct db_value *a, const struct db_value *b) {
    return s->typed && a->kind != DB_NULL && b->kind != DB_NULL && (a->kind >= DB_TEXTUAL || b->kind >= DB_TEXTUAL) &&
           a->kind != b->kind;
}

static bool holds(enum op op, int c) {
    switch (op) {
    case OP_EQUAL:
    case OP_IS: return c == 0;
    case OP_UNEQUAL:
    case OP_IS_NOT: return c != 0;
    case OP_LESS: return c < 0;
    case OP_LESS_EQUAL: return c <= 0;
    case OP_GREATER: return c > 0;
    default: return c >= 0;
    }
}

static err compare_step(const struct step *s, struct db_value *a, const struct db_value *b) {
    bool null = a->kind == DB_NULL || b->kind == DB_NULL;
    if (is_unlike(s, a, b)) return ERR_UNSUPPORTED;
    if (null && (s->op == OP_IS || s->op == OP_IS_NOT)) *a = DB_I64((a->kind == b->kind) == (s->op == OP_IS));
    else if (null) *a = DB_NOTHING;
    else *a = DB_I64(holds(s->op, compare(s, a, b)));
    return ERR_OK;
}

/* True, false or null: 1, 0, -1. */
static err truth(const struct db_value *v, int *out) {
    if (v->kind >= DB_TEXTUAL) return ERR_UNSUPPORTED;
    *out = v->kind == DB_NULL ? -1 : v->kind == DB_INTEGER ? v->i != 0 : v->f != 0;
    return ERR_OK;
}

static void set_truth(struct db_value *v, int is) { *v = is < 0 ? DB_NOTHING : DB_I64(is); }

static err text_of(struct running *r, const struct db_value *v, str *out) {
    char digits[24];
    if (v->kind == DB_TEXTUAL) return *out = v->s, ERR_OK;
    if (v->kind != DB_INTEGER) return ERR_UNSUPPORTED;
    int n = snprintf(digits, sizeof digits, "%lld", (long long)v->i);
    uint8_t *p = arena_try_alloc(r->scratch, (size_t)n + 1, 1);
    if (!p) return diag_set(r->d, ERR_LIMIT, DIAG_NOWHERE, "too much memory");
    memcpy(p, digits, (size_t)n);
    return *out = (str){p, (size_t)n}, ERR_OK;
}

static err concat(struct running *r, struct db_value *a, const struct db_value *b) {
    str x, y;
    if (a->kind == DB_NULL || b->kind == DB_NULL) return *a = DB_NOTHING, ERR_OK;
    TRY(text_of(r, a, &x));
    TRY(text_of(r, b, &y));
    if (x.n + y.n > PG_VALUE_BYTES_MAX) return diag_set(r->d, ERR_LIMIT, DIAG_NOWHERE, "string or blob too big");
    uint8_t *p = arena_try_alloc(r->scratch, x.n + y.n + 1, 1);
    if (!p) return diag_set(r->d, ERR_LIMIT, DIAG_NOWHERE, "too much memory");
    if (x.n) memcpy(p, x.p, x.n);
    if (y.n) memcpy(p + x.n, y.p, y.n);
    return *a = DB_TEXT(((str){p, x.n + y.n})), ERR_OK;
}

static err call_step(struct running *r, const struct step *s, struct db_value *args, struct db_value *out) {
    struct db_value v;
    r->acted |= !(s->function->flags & DB_FN_DETERMINISTIC);
    TRY(db_call_function(r->db, s->function, args, s->n, r->scratch, &v, r->d));
    *out = v;
    return ERR_OK;
}

static bool quick_integer(const struct step *s, int64_t a, int64_t b, int64_t *out) {
    bool over = false;
    switch ((enum op)s->op) {
    case OP_ADD: over = __builtin_add_overflow(a, b, out); break;
    case OP_SUB: over = __builtin_sub_overflow(a, b, out); break;
    case OP_MUL: over = __builtin_mul_overflow(a, b, out); break;
    default:
        if (b == 0 || b == -1) return false;
        *out = s->op == OP_DIV ? a / b : a % b;
        break;
    }
    if (over) return false;
    return s->a == 64 || (s->a == 32 ? *out == (int32_t)*out : *out == (int16_t)*out);
}

/* What is no ordinary number, or may have become too small for one, is left to the function. */
static bool quick_float(const struct step *s, double a, double b, double *out) {
    switch ((enum op)s->op) {
    case OP_ADD: *out = a + b; break;
    case OP_SUB: *out = a - b; break;
    case OP_MUL: *out = a * b; break;
    default: *out = b == 0 ? 0 : a / b; break;
    }
    return *out - *out == 0 && *out != 0;
}

static err arithmetic(struct running *r, const struct step *s, struct db_value *a, const struct db_value *b) {
    int64_t i;
    double f;
    if (a->kind == DB_INTEGER && b->kind == DB_INTEGER && s->a && quick_integer(s, a->i, b->i, &i)) return a->i = i, ERR_OK;
    if (a->kind == DB_REAL && b->kind == DB_REAL && !s->a && quick_float(s, a->f, b->f, &f)) return a->f = f, ERR_OK;
    return call_step(r, s, a, a); /* b is behind it */
}

static err bits(const struct step *s, struct db_value *a, const struct db_value *b) {
    if (a->kind == DB_NULL || b->kind == DB_NULL) return *a = DB_NOTHING, ERR_OK;
    if (a->kind != DB_INTEGER || b->kind != DB_INTEGER) return ERR_UNSUPPORTED;
    a->i = s->op == OP_BIT_AND ? a->i & b->i : a->i | b->i;
    return ERR_OK;
}

static err of_one(struct running *r, const struct step *s, struct db_value *v) {
    int is;
    str text;
    if (s->op == OP_NOT) {
        TRY(truth(v, &is));
        return set_truth(v, is < 0 ? is : !is), ERR_OK;
    }
    if (v->kind == DB_NULL) return ERR_OK;
    if (s->op == OP_TO_TEXT) {
        TRY(text_of(r, v, &text));
        return *v = DB_TEXT(text), ERR_OK;
    }
    if (v->kind != DB_INTEGER || (s->op == OP_NEGATE && v->i == INT64_MIN)) return ERR_UNSUPPORTED;
    if (s->op == OP_NEGATE) v->i = -v->i;
    if (s->op == OP_BIT_NOT) v->i = ~v->i;
    return ERR_OK;
}

static err logic(const struct step *s, struct db_value *a, const struct db_value *b) {
    int x, y, strong = s->op == OP_OR; /* what decides it */
    TRY(truth(a, &x));
    TRY(truth(b, &y));
    set_truth(a, x == strong || y == strong ? strong : x < 0 || y < 0 ? -1 : !strong);
    return ERR_OK;
}

/* Where it jumps; 0: it goes on. Takes what it takes off the stack. */
static err jump(const struct step *s, struct db_value **top, uint32_t *to) {
    int is;
    *to = 0;
    switch ((enum op)s->op) {
    case OP_JUMP: *to = s->a; return ERR_OK;
    case OP_UNLESS:
        TRY(truth((*top)--, &is));
        if (is <= 0) *to = s->a;
        return ERR_OK;
    case OP_COALESCE:
        if ((*top)->kind != DB_NULL) *to = s->a;
        else --*top;
        return ERR_OK;
    default:
        TRY(truth(*top, &is));
        if (is == (s->op == OP_OR_JUMP)) set_truth(*top, is), *to = s->a;
        return ERR_OK;
    }
}

/* x, found, item */
static err in_item(const struct step *s, struct db_value *x) {
    struct db_value *found = x + 1, *item = x + 2;
    bool is = found->kind == DB_INTEGER && found->i;
    if (is) return ERR_OK;
    if (x->kind == DB_NULL || item->kind == DB_NULL) return *found = DB_NOTHING, ERR_OK;
    if (is_unlike(s, x, item)) return ERR_UNSUPPORTED;
    if (compare(s, x, item) == 0) *found = DB_I64(1);
    return ERR_OK;
}

static err run_steps(struct running *r, const struct query_scalar *q, const struct query_place *places, struct db_value *stack,
                     struct db_value *out) {
    struct db_value *top = stack, v; /* the first one is nobody's */
    for (uint32_t at = 0, to; at < q->n;) {
        const struct step *s = &q->steps[at++];
        switch ((enum op)s->op) {
        case OP_PLACE: *++top = places[s->a].v; break;
        case OP_CONST: *++top = q->constants[s->a]; break;
        case OP_CALL:
            top -= s->n;
            TRY(call_step(r, s, top + 1, top + 1));
            top++;
            break;
        case OP_ADD:
        case OP_SUB:
        case OP_MUL:
        case OP_DIV:
        case OP_MOD:
            top--;
            TRY(arithmetic(r, s, top, top + 1));
            break;
        case OP_EQUAL:
        case OP_UNEQUAL:
        case OP_LESS:
        case OP_LESS_EQUAL:
        case OP_GREATER:
        case OP_GREATER_EQUAL:
        case OP_IS:
        case OP_IS_NOT:
            top--;
            TRY(compare_step(s, top, top + 1));
            break;
        case OP_IS_NULL: *top = DB_I64(top->kind == DB_NULL); break;
        case OP_NOT_NULL: *top = DB_I64(top->kind != DB_NULL); break;
        case OP_AND:
        case OP_OR:
            top--;
            TRY(logic(s, top, top + 1));
            break;
        case OP_AND_JUMP:
        case OP_OR_JUMP:
        case OP_UNLESS:
        case OP_COALESCE:
        case OP_JUMP:
            TRY(jump(s, &top, &to));
            if (to) at = to;
            break;
        case OP_NULLIF:
            top--, v = *top;
            TRY(compare_step(&(struct step){.op = OP_EQUAL, .typed = s->typed, .collation = s->collation}, top, top + 1));
            *top = top->kind == DB_INTEGER && top->i ? DB_NOTHING : v;
            break;
        case OP_COPY: top++, *top = top[-1]; break;
        case OP_SWAP: v = *top, *top = top[-1], top[-1] = v; break;
        case OP_SLIDE: top--, *top = top[1]; break;
        case OP_IN_ITEM:
            TRY(in_item(s, top - 2));
            top--;
            break;
        case OP_CONCAT:
            top--;
            TRY(concat(r, top, top + 1));
            break;
        case OP_BIT_AND:
        case OP_BIT_OR:
            top--;
            TRY(bits(s, top, top + 1));
            break;
        case OP_NOT:
        case OP_NEGATE:
        case OP_BIT_NOT:
        case OP_TO_TEXT:
        case OP_TO_INTEGER: TRY(of_one(r, s, top)); break;
        }
    }
    *out = *top;
    return ERR_OK;
}

err query_scalar_run(struct query_conn *conn, const struct query_scalar *q, const struct query_place *places, arena *scratch,
                     struct db_value *out, struct diag *d) {
    struct db_value stack[STACK_MAX + 4];
    struct running r = {.db = conn->db, .scratch = scratch, .d = d};
    err e = run_steps(&r, q, places, stack, out);
    if (e == ERR_UNSUPPORTED && r.acted) return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "an expression cannot be evaluated twice");
    return e;
}
