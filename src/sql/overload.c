/* overload: which function or operator of a name is meant, given the types of its arguments (PostgreSQL's parse_func.c and parse_oper.c).
 *
 *   all of the name ─→ those with as many arguments (defaults, VARIADIC, names) ─→ one that fits exactly
 *                                                                              └→ those that implicit casts reach ─→ one
 *                                                                                                                 └→ select: exact matches,
 *                                                                                     preferred types, what an untyped literal may be
 *
 * 1. pg's rows and the catalogue's functions compete together, as those of several schemas of a search path do; of two with the same parameters
 *    pg_catalog's holds, then the path's order.
 * 2. A polymorphic parameter takes what makes all of its family agree; what it became stands in the callee.
 */
#include "sql/translate_int.h"

enum { CANDIDATES_MAX = 256 };
struct candidate {
    uint32_t *params; /* one for each argument of the call, defaults behind them */
    uint32_t n;       /* with defaults */
    const struct pg_function *builtin;
    const struct catalog_function *own;
    const struct pg_operator *operator_;
    bool aggregate;
    uint32_t result;
    int32_t *filled;
    uint32_t *slots;
    uint32_t variadic_from, variadic_element, defaults;
};
/* One that is being looked at. There are many of them, and of an expression many more: those that are kept take what they need alone. */
struct looked_at {
    struct candidate c;
    uint32_t params[SQL_ARGS_MAX], slots[SQL_ARGS_MAX];
    int32_t filled[SQL_ARGS_MAX];
};
static struct candidate *look_at(struct looked_at *l) {
    l->c = (struct candidate){.params = l->params, .slots = l->slots, .filled = l->filled};
    return &l->c;
}

/* ---- polymorphic families ---- */

struct poly {
    uint32_t element, array; /* anyelement & kin */
    uint32_t compatible;     /* anycompatible & kin: the common one */
    bool has_simple, has_compatible, unknown;
};

static bool is_compatible_family(uint32_t t) {
    return t == PG_ANYCOMPATIBLE || t == PG_ANYCOMPATIBLEARRAY || t == PG_ANYCOMPATIBLENONARRAY;
}

static bool note_simple(struct sql_context *cx, struct poly *p, uint32_t param, uint32_t actual) {
    p->has_simple = true;
    if (actual == PG_UNKNOWN) {
        p->unknown = true;
        return true;
    }
    if (param == PG_ANYARRAY) {
        uint32_t base = sql_base_type(cx, actual), element = sql_element_type(cx, base);
        if (!element || (p->array && p->array != base)) return false;
        p->array = base;
        return true;
    }
    if (p->element && p->element != actual) return false;
    const struct pg_type *t = sql_type_of(cx, sql_base_type(cx, actual));
    if (param == PG_ANYENUM && (!t || t->kind != PG_KIND_ENUM)) return false;
    if (param == PG_ANYNONARRAY && t && t->kind == PG_KIND_ARRAY) return false;
    p->element = actual;
    return true;
}

static bool settle_simple(struct sql_context *cx, struct poly *p) {
    if (!p->has_simple) return true;
    if (p->array) {
        uint32_t element = sql_element_type(cx, p->array);
        if (p->element && p->element != element && sql_base_type(cx, p->element) != element) return false;
        p->element = element;
    } else if (p->element) {
        p->array = sql_array_type(cx, p->element);
    }
    return true;
}

static bool settle_compatible(struct sql_context *cx, struct poly *p, const struct sql_value *values, uint32_t n) {
    if (!p->has_compatible) return true;
    struct sql_problem before = cx->problem;
    uint32_t type = 0;
    bool good = n == 0 || sql_common_type(cx, values, n, "ARRAY", &type) == ERR_OK;
    cx->problem = before;
    if (!good) return false;
    for (uint32_t i = 0; i < n; i++)
        if (!sql_can_coerce(cx, values[i].type, type, PG_IMPLICIT)) return false;
    p->compatible = n ? type : PG_TEXT;
    return true;
}

/* Do the arguments of polymorphic parameters agree? What they agree on is put into p. */
static bool agree(struct sql_context *cx, const uint32_t *params, const uint32_t *actuals, uint32_t n, struct poly *p) {
    *p = (struct poly){0};
    struct sql_value compatible[SQL_ARGS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!sql_is_polymorphic(params[i])) continue;
        if (!is_compatible_family(params[i])) {
            if (!note_simple(cx, p, params[i], actuals[i])) return false;
            continue;
        }
        p->has_compatible = true;
        uint32_t type = actuals[i];
        if (type == PG_UNKNOWN) continue;
        if (params[i] == PG_ANYCOMPATIBLEARRAY && !(type = sql_element_type(cx, type))) return false;
        compatible[count++] = (struct sql_value){.type = type, .location = -1};
    }
    return settle_simple(cx, p) && settle_compatible(cx, p, compatible, count);
}

static uint32_t resolved(struct sql_context *cx, uint32_t type, const struct poly *p) {
    switch (type) {
    case PG_ANYELEMENT:
    case PG_ANYNONARRAY:
    case PG_ANYENUM: return p->element;
    case PG_ANYARRAY: return p->array;
    case PG_ANYCOMPATIBLE:
    case PG_ANYCOMPATIBLENONARRAY: return p->compatible;
    case PG_ANYCOMPATIBLEARRAY: return sql_array_type(cx, p->compatible);
    default: return type;
    }
}

/* ---- choosing ---- */

typedef VEC(struct candidate *) candidates;

static bool fits(struct sql_context *cx, const struct candidate *c, const uint32_t *types, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (!sql_can_coerce(cx, types[i], c->params[i], PG_IMPLICIT)) return false;
    struct poly p;
    return agree(cx, c->params, types, n, &p);
}

static struct candidate *exact(const candidates *all, const uint32_t *types, uint32_t n) {
    for (uint32_t i = 0; i < all->n; i++)
        if (!memcmp(all->p[i]->params, types, n * sizeof *types)) return all->p[i];
    return NULL;
}

/* Keeps those with the highest score of `score`. */
static void keep_best(candidates *all, const uint32_t *scores) {
    uint32_t best = 0, kept = 0;
    for (uint32_t i = 0; i < all->n; i++) best = MAX(best, scores[i]);
    for (uint32_t i = 0; i < all->n; i++)
        if (scores[i] == best) all->p[kept++] = all->p[i];
    all->n = kept;
}

static void keep_most_exact(struct sql_context *cx, candidates *all, const uint32_t *types, uint32_t n, bool preferred_too) {
    uint32_t scores[CANDIDATES_MAX] = {0};
    for (uint32_t c = 0; c < all->n; c++)
        for (uint32_t i = 0; i < n; i++) {
            if (types[i] == PG_UNKNOWN) continue;
            bool preferred = false;
            uint32_t param = all->p[c]->params[i];
            if (preferred_too && param != types[i])
                preferred = sql_type_category(cx, param, &preferred) == sql_type_category(cx, types[i], NULL) && preferred;
            scores[c] += param == types[i] || preferred;
        }
    keep_best(all, scores);
}

/* What category an untyped literal at place i should be of: text if any candidate takes text there, else what all agree on; 0: they do not. */
static char literal_category(struct sql_context *cx, const candidates *all, uint32_t i, bool *has_preferred) {
    char category = 0;
    bool conflict = false;
    *has_preferred = false;
    for (uint32_t c = 0; c < all->n; c++) {
        bool preferred;
        char k = sql_type_category(cx, all->p[c]->params[i], &preferred);
        if (!category) {
            category = k;
            *has_preferred = preferred;
        } else if (k == category) {
            *has_preferred |= preferred;
        } else if (k == 'S') {
            category = k;
            *has_preferred = preferred;
        } else {
            conflict = true;
        }
    }
    return conflict && category != 'S' ? 0 : category;
}

static bool keep_by_literals(struct sql_context *cx, candidates *all, const uint32_t *types, uint32_t n) {
    char categories[SQL_ARGS_MAX] = {0};
    bool preferred[SQL_ARGS_MAX];
    for (uint32_t i = 0; i < n; i++) {
        if (types[i] != PG_UNKNOWN) continue;
        if (!(categories[i] = literal_category(cx, all, i, &preferred[i]))) return false;
    }
    candidates kept = {0};
    for (uint32_t c = 0; c < all->n; c++) {
        bool keep = true;
        for (uint32_t i = 0; i < n && keep; i++) {
            if (types[i] != PG_UNKNOWN) continue;
            bool is_preferred;
            char k = sql_type_category(cx, all->p[c]->params[i], &is_preferred);
            keep = k == categories[i] && (!preferred[i] || is_preferred);
        }
        if (keep) vec_push(cx->mem, &kept, all->p[c]);
    }
    if (kept.n) *all = kept;
    return true;
}

/* All that is known is of one type: then the literals might be of it too. */
static struct candidate *by_known_type(struct sql_context *cx, const candidates *all, const uint32_t *types, uint32_t n) {
    uint32_t known = PG_UNKNOWN, same[SQL_ARGS_MAX];
    for (uint32_t i = 0; i < n; i++) {
        if (types[i] == PG_UNKNOWN || types[i] == known) continue;
        if (known != PG_UNKNOWN) return NULL;
        known = types[i];
    }
    if (known == PG_UNKNOWN) return NULL;
    for (uint32_t i = 0; i < n; i++) same[i] = known;
    struct candidate *found = NULL;
    for (uint32_t c = 0; c < all->n; c++) {
        if (!fits(cx, all->p[c], same, n)) continue;
        if (found) return NULL;
        found = all->p[c];
    }
    return found;
}

/* func_select_candidate. NULL: ambiguous. */
static struct candidate *choose(struct sql_context *cx, candidates all, const uint32_t *actuals, uint32_t n) {
    uint32_t types[SQL_ARGS_MAX], unknowns = 0;
    for (uint32_t i = 0; i < n; i++) {
        types[i] = sql_base_type(cx, actuals[i]);
        unknowns += types[i] == PG_UNKNOWN;
    }
    keep_most_exact(cx, &all, types, n, false);
    if (all.n == 1) return all.p[0];
    keep_most_exact(cx, &all, types, n, true);
    if (all.n == 1) return all.p[0];
    if (!unknowns) return NULL;
    if (keep_by_literals(cx, &all, types, n) && all.n == 1) return all.p[0];
    return unknowns < n ? by_known_type(cx, &all, types, n) : NULL;
}

static struct candidate *match(struct sql_context *cx, const candidates *all, const uint32_t *types, uint32_t n,
                               bool *ambiguous) {
    candidates fitting = {0};
    for (uint32_t i = 0; i < all->n; i++)
        if (fits(cx, all->p[i], types, n)) vec_push(cx->mem, &fitting, all->p[i]);
    *ambiguous = false;
    if (fitting.n <= 1) return fitting.n ? fitting.p[0] : NULL;
    struct candidate *best = choose(cx, fitting, types, n);
    *ambiguous = !best;
    return best;
}

/* ---- operators ---- */

static const struct pg_operator *native_enum(struct sql_context *cx, str name, uint32_t type) {
    const struct pg_type *t = sql_type_of(cx, sql_base_type(cx, type));
    if (!t || t->kind != PG_KIND_ENUM) return NULL;
#define COMPARES(op)                                                                                                             \
    {                                                                                                                            \
        .name = op, .left = PG_ANYENUM, .right = PG_ANYENUM, .result = PG_BOOL, .flags = PG_STRICT | PG_SAFE, .how = {           \
            .kind = PG_HOW_SQL,                                                                                                  \
            .text = "$1 " op " $2"                                                                                               \
        }                                                                                                                        \
    }
    static const struct pg_operator rows[] = {COMPARES("="),  COMPARES("<>"), COMPARES("<"),
                                              COMPARES("<="), COMPARES(">"),  COMPARES(">=")};
#undef COMPARES
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (str_eqc(name, rows[i].name)) return &rows[i];
    return NULL;
}

static void operators_of(struct sql_context *cx, str name, bool prefix, candidates *all) {
    uint32_t count;
    const struct pg_operator *rows = pg_operators_named(name, &count);
    for (uint32_t i = 0; i < count && all->n < CANDIDATES_MAX; i++) {
        if ((rows[i].left == PG_NO_TYPE) != prefix) continue;
        struct candidate *c = arena_make(cx->mem, struct candidate);
        c->params = arena_array(cx->mem, uint32_t, 2);
        c->operator_ = &rows[i];
        c->result = rows[i].result;
        c->n = prefix ? 1 : 2;
        c->params[0] = prefix ? rows[i].right : rows[i].left;
        c->params[1] = prefix ? 0 : rows[i].right;
        vec_push(cx->mem, all, c);
    }
}

static err no_operator(struct sql_context *cx, str name, const uint32_t *types, bool prefix, bool ambiguous, int32_t location) {
    str right = sql_type_name(cx, types[prefix ? 0 : 1]);
    str left = prefix ? (str){0} : sql_fmt(cx, STR_FMT " ", STR_ARG(sql_type_name(cx, types[0])));
    err e = sql_refuse(cx, location, ambiguous ? "42725" : "42883", "operator %s: " STR_FMT STR_FMT " " STR_FMT,
                       ambiguous ? "is not unique" : "does not exist", STR_ARG(left), STR_ARG(name), STR_ARG(right));
    sql_hint(cx, ambiguous ? "Could not choose a best candidate operator. You might need to add explicit type casts."
                           : "No operator matches the given name and argument types. You might need to add explicit type casts.");
    return e;
}

static struct candidate *operator_exact(struct sql_context *cx, const candidates *all, const uint32_t *types, uint32_t n) {
    uint32_t t[2] = {types[0], n > 1 ? types[1] : 0};
    bool was_unknown = n > 1 && (t[0] == PG_UNKNOWN) != (t[1] == PG_UNKNOWN);
    if (n > 1 && t[0] == PG_UNKNOWN) t[0] = t[1];
    if (n > 1 && t[1] == PG_UNKNOWN) t[1] = t[0];
    struct candidate *found = exact(all, t, n);
    if (found || !was_unknown) return found;
    t[0] = t[1] = sql_base_type(cx, t[0]);
    return exact(all, t, n);
}

err sql_find_operator(struct sql_context *cx, str name, const struct sql_value *left, const struct sql_value *right,
                      int32_t location, const struct pg_operator **out, uint32_t *left_type, uint32_t *right_type,
                      uint32_t *result) {
    uint32_t n = left ? 2 : 1, types[2] = {left ? left->type : right->type, right->type};
    candidates all = {0};
    operators_of(cx, str_eqc(name, "!=") ? STR("<>") : name, !left, &all);
    bool ambiguous = false;
    struct candidate *found = operator_exact(cx, &all, types, n);
    if (!found) found = match(cx, &all, types, n, &ambiguous);
    if (!found) {
        uint32_t of = types[0] == PG_UNKNOWN ? types[1] : types[0];
        bool alike = n == 2 && (types[0] == types[1] || types[0] == PG_UNKNOWN || types[1] == PG_UNKNOWN);
        if (alike && (*out = native_enum(cx, str_eqc(name, "!=") ? STR("<>") : name, of))) {
            *left_type = *right_type = of;
            *result = PG_BOOL;
            return ERR_OK;
        }
        return no_operator(cx, name, types, !left, ambiguous, location);
    }
    struct poly p;
    agree(cx, found->params, types, n, &p);
    *left_type = resolved(cx, found->params[0], &p);
    *right_type = resolved(cx, found->params[n - 1], &p);
    *result = resolved(cx, found->result, &p);
    if (!*left_type || !*right_type)
        return sql_refuse(cx, location, "42804", "could not determine polymorphic type because input has type unknown");
    *out = found->operator_;
    return ERR_OK;
}

/* text || anything: what is no text is cast to it. */
static err to_text(struct sql_context *cx, const struct pg_operator *op, struct sql_value *args, uint32_t *types) {
    for (uint32_t i = 0; i < 2; i++) {
        if ((i ? op->right : op->left) != PG_ANYNONARRAY) continue;
        TRY(sql_coerce_to(cx, &args[i], PG_TEXT, -1, PG_EXPLICIT));
        types[i] = PG_TEXT;
    }
    return ERR_OK;
}

/* a || b || c is one call. */
static void concat(struct sql_context *cx, const struct sql_value *args, struct sql_value *out) {
    static const str head = STR_INIT("pg_textcat(");
    if (!str_starts(out->text, head)) return;
    if (sql_chain_goes_on(&args[0], SQL_CHAIN_CONCAT) && str_starts(args[0].text, head))
        out->text =
            sql_fmt(cx, STR_FMT ", " STR_FMT ")", STR_ARG(str_sub(args[0].text, 0, args[0].text.n - 1)), STR_ARG(args[1].text));
    sql_chain_add(out, &args[0], SQL_CHAIN_CONCAT);
}

err sql_apply_operator(struct sql_context *cx, str name, const struct sql_value *left, const struct sql_value *right,
                       int32_t location, struct sql_value *out) {
    const struct pg_operator *op;
    uint32_t types[2], result;
    TRY(sql_find_operator(cx, name, left, right, location, &op, &types[0], &types[1], &result));
    struct sql_value args[2];
    uint32_t n = 0;
    if (left) args[n++] = *left;
    args[n++] = *right;
    if (n == 2 && str_eqc(name, "||") && (op->left == PG_ANYNONARRAY || op->right == PG_ANYNONARRAY)) {
        TRY(to_text(cx, op, args, types));
        TRY(sql_find_operator(cx, name, &args[0], &args[1], location, &op, &types[0], &types[1], &result));
    }
    for (uint32_t i = 0; i < n; i++) TRY(sql_coerce_to(cx, &args[i], types[n == 1 ? 1 : i], -1, PG_IMPLICIT));
    TRY(sql_apply_how(cx, &op->how, op->flags, args, n, result, -1, false, out));
    out->location = location;
    if (n == 2 && str_eqc(name, "||") && (result == PG_TEXT || result == PG_BYTEA)) concat(cx, args, out);
    if (n == 2 && str_eqc(name, "=") && types[0] == types[1]) {
        struct sql_value *sides = arena_array(cx->mem, struct sql_value, 2);
        memcpy(sides, args, sizeof args);
        out->sides = sides;
    }
    return ERR_OK;
}

/* ---- functions ---- */

/* What a function of either kind has for parameters. */
struct signature {
    uint32_t n, required;
    uint32_t types[SQL_ARGS_MAX];
    str names[SQL_ARGS_MAX];
    bool variadic, any;
};

static bool has_default_builtin(const struct pg_param *p) { return p->dflt.n > 0; }

static void signature_of_builtin(const struct pg_function *f, struct signature *s) {
    *s = (struct signature){.n = f->params_count, .variadic = f->flags & PG_VARIADIC};
    for (uint32_t i = 0; i < s->n; i++) {
        s->types[i] = f->params[i].type;
        s->names[i] = f->params[i].name;
        if (!has_default_builtin(&f->params[i])) s->required = i + 1;
    }
    s->any = s->variadic && s->types[s->n - 1] == PG_ANY;
}

static void signature_of_own(const struct catalog_function *f, struct signature *s) {
    *s = (struct signature){0};
    for (uint32_t i = 0; i < f->arguments.n && s->n < SQL_ARGS_MAX; i++) {
        const struct catalog_argument *a = &f->arguments.p[i];
        if (a->mode == CATALOG_OUT || a->mode == CATALOG_TABLE_COLUMN) continue;
        s->types[s->n] = a->type;
        s->names[s->n++] = a->name;
        if (a->mode == CATALOG_VARIADIC) s->variadic = true;
        if (!a->default_value.source.n) s->required = s->n;
    }
}

/* Which parameter each argument of the call goes to, by place and then by name. */
static bool place(const struct signature *s, const str *arg_names, uint32_t n, uint32_t *slots) {
    bool taken[SQL_ARGS_MAX] = {false};
    for (uint32_t i = 0; i < n; i++) {
        uint32_t slot = i;
        if (arg_names[i].n)
            for (slot = 0; slot < s->n && !str_eq(s->names[slot], arg_names[i]);) slot++;
        if (slot >= s->n || taken[slot]) return false;
        taken[slot] = true;
        slots[i] = slot;
    }
    for (uint32_t i = 0; i < s->required; i++)
        if (!taken[i]) return false;
    return true;
}

static bool spread(const struct signature *s, uint32_t n, uint32_t element, struct candidate *c) {
    if (!s->variadic || n < s->n || (!element && !s->any)) return false;
    for (uint32_t i = 0; i < n; i++) {
        c->slots[i] = MIN(i, s->n - 1);
        c->params[i] = i < s->n - 1 ? s->types[i] : s->any ? PG_ANY : element;
        c->filled[i] = (int32_t)i;
    }
    c->n = n;
    c->variadic_from = s->any ? n : s->n - 1;
    c->variadic_element = s->any ? 0 : element;
    return true;
}

static uint32_t element_of_parameter(struct sql_context *cx, uint32_t array) {
    if (array == PG_ANYARRAY) return PG_ANYELEMENT;
    if (array == PG_ANYCOMPATIBLEARRAY) return PG_ANYCOMPATIBLE;
    return sql_element_type(cx, array);
}

/* Fills c for a call with n arguments; false: it cannot be called so. */
static bool candidate_of(struct sql_context *cx, const struct signature *s, const str *arg_names, uint32_t n, bool variadic,
                         struct candidate *c) {
    bool named = false;
    for (uint32_t i = 0; i < n; i++) named |= arg_names[i].n > 0;
    c->variadic_from = UINT32_MAX;
    if (s->variadic && !variadic && !named && s->n) return spread(s, n, element_of_parameter(cx, s->types[s->n - 1]), c);
    if (n > s->n || s->required > s->n || (variadic && !s->variadic)) return false;
    if (!place(s, arg_names, n, c->slots)) return false;
    bool taken[SQL_ARGS_MAX] = {false};
    for (uint32_t i = 0; i < n; i++) {
        c->params[i] = s->types[c->slots[i]];
        c->filled[i] = (int32_t)i;
        taken[c->slots[i]] = true;
    }
    c->n = n;
    for (uint32_t i = 0; i < s->n; i++) {
        if (taken[i]) continue;
        c->params[c->n] = s->types[i];
        c->slots[c->n] = i;
        c->filled[c->n++] = -1;
        c->defaults++;
    }
    return true;
}

static void keep(struct sql_context *cx, struct candidate *kept, const struct candidate *c) {
    *kept = *c;
    kept->params = memcpy(arena_array(cx->mem, uint32_t, c->n + 1), c->params, c->n * sizeof *c->params);
    kept->slots = memcpy(arena_array(cx->mem, uint32_t, c->n + 1), c->slots, c->n * sizeof *c->slots);
    kept->filled = memcpy(arena_array(cx->mem, int32_t, c->n + 1), c->filled, c->n * sizeof *c->filled);
}

static void add_candidate(struct sql_context *cx, candidates *all, struct candidate *c, uint32_t n) {
    for (uint32_t i = 0; i < all->n; i++) {
        struct candidate *have = all->p[i];
        if (memcmp(have->params, c->params, n * sizeof *c->params)) continue;
        /* the same to the caller: fewer defaults hold, then what was found first */
        bool better = have->defaults > c->defaults ||
                      (have->defaults == c->defaults && have->variadic_from != UINT32_MAX && c->variadic_from == UINT32_MAX);
        if (better) keep(cx, have, c);
        return;
    }
    if (all->n < CANDIDATES_MAX) {
        struct candidate *kept = arena_make(cx->mem, struct candidate);
        keep(cx, kept, c);
        vec_push(cx->mem, all, kept);
    }
}

static void builtins_of(struct sql_context *cx, const struct pg_function *rows, uint32_t count, bool aggregate,
                        const str *arg_names, uint32_t n, bool variadic, candidates *all) {
    for (uint32_t i = 0; i < count; i++) {
        struct signature s;
        signature_of_builtin(&rows[i], &s);
        struct looked_at l;
        struct candidate *c = look_at(&l);
        c->builtin = &rows[i], c->aggregate = aggregate, c->result = rows[i].result;
        if (candidate_of(cx, &s, arg_names, n, variadic, c)) add_candidate(cx, all, c, n);
    }
}

static void own_of(struct sql_context *cx, str schema, str name, const str *arg_names, uint32_t n, bool variadic,
                   candidates *all) {
    const struct catalog_function *f = NULL;
    while ((f = catalog_function_next(cx->catalog, schema, name, f))) {
        if (f->procedure && cx->procedure != f->id) continue;
        struct signature s;
        signature_of_own(f, &s);
        struct looked_at l;
        struct candidate *c = look_at(&l);
        c->own = f, c->result = f->returns;
        if (candidate_of(cx, &s, arg_names, n, variadic, c)) add_candidate(cx, all, c, n);
    }
}

static bool of_pg_catalog(str schema) { return !schema.n || str_eqc(schema, "pg_catalog") || str_eqc(schema, "extensions"); }

static void functions_of(struct sql_context *cx, str schema, str name, const str *arg_names, uint32_t n, bool variadic,
                         candidates *all) {
    uint32_t count;
    str full = of_pg_catalog(schema) ? name : sql_fmt(cx, STR_FMT "." STR_FMT, STR_ARG(schema), STR_ARG(name));
    const struct pg_function *rows = pg_functions_named(full, &count);
    builtins_of(cx, rows, count, false, arg_names, n, variadic, all);
    rows = pg_aggregates_named(full, &count);
    builtins_of(cx, rows, count, true, arg_names, n, variadic, all);
    if (!cx->catalog) return;
    if (schema.n) {
        if (!all->n) own_of(cx, schema, name, arg_names, n, variadic, all);
        /* an extension's functions, by the schema that they were put into */
        if (!all->n && str_eqc(schema, "public")) functions_of(cx, (str){0}, name, arg_names, n, variadic, all);
        return;
    }
    for (uint32_t i = 0; i < cx->path_count; i++) {
        str qualified = sql_fmt(cx, STR_FMT "." STR_FMT, STR_ARG(cx->path[i]), STR_ARG(name));
        rows = pg_functions_named(qualified, &count);
        builtins_of(cx, rows, count, false, arg_names, n, variadic, all);
        if (!count) own_of(cx, cx->path[i], name, arg_names, n, variadic, all);
    }
}

static str call_text(struct sql_context *cx, str schema, str name, const struct sql_value *args, const str *arg_names,
                     uint32_t n) {
    str parts[SQL_ARGS_MAX];
    for (uint32_t i = 0; i < n; i++) {
        parts[i] = sql_type_name(cx, args[i].type);
        if (arg_names[i].n) parts[i] = sql_fmt(cx, STR_FMT " => " STR_FMT, STR_ARG(arg_names[i]), STR_ARG(parts[i]));
    }
    return sql_fmt(cx, STR_FMT "%s" STR_FMT "(" STR_FMT ")", STR_ARG(schema), schema.n ? "." : "", STR_ARG(name),
                   STR_ARG(sql_joined(cx, parts, n, ", ")));
}

static err no_function(struct sql_context *cx, str schema, str name, const struct sql_value *args, const str *arg_names,
                       uint32_t n, bool ambiguous, int32_t location) {
    str call = call_text(cx, schema, name, args, arg_names, n);
    if (schema.n && !of_pg_catalog(schema) && !catalog_schema_named(cx->catalog, schema))
        return sql_refuse(cx, location, "3F000", "schema \"" STR_FMT "\" does not exist", STR_ARG(schema));
    err e = sql_refuse(cx, location, ambiguous ? "42725" : "42883", "function " STR_FMT " %s", STR_ARG(call),
                       ambiguous ? "is not unique" : "does not exist");
    sql_hint(cx, ambiguous ? "Could not choose a best candidate function. You might need to add explicit type casts."
                           : "No function matches the given name and argument types. You might need to add explicit type casts.");
    return e;
}

/* text(x), date(x): a cast in a function's dress. */
static bool is_cast_call(struct sql_context *cx, str name, const struct sql_value *args, uint32_t n, uint32_t *to) {
    const struct pg_type *t = n == 1 && !args[0].row ? pg_type_by_name(name) : NULL;
    if (!t || t->kind != PG_KIND_BASE || !str_eqc(name, t->name)) return false;
    *to = t->id;
    return args[0].type == PG_UNKNOWN || sql_can_coerce(cx, args[0].type, t->id, PG_EXPLICIT);
}

static err fill_callee(struct sql_context *cx, const struct candidate *c, const struct sql_value *args, uint32_t n,
                       int32_t location, struct sql_callee *out) {
    uint32_t types[SQL_ARGS_MAX];
    for (uint32_t i = 0; i < n; i++) types[i] = args[i].type;
    struct poly p;
    agree(cx, c->params, types, n, &p);
    *out = (struct sql_callee){
        .builtin = c->builtin, .own = c->own, .aggregate = c->aggregate, .n = c->n, .variadic_from = c->variadic_from};
    for (uint32_t i = 0; i < c->n; i++) {
        out->params[i] = resolved(cx, c->params[i], &p);
        out->filled[i] = c->filled[i];
        out->slots[i] = c->slots[i];
        if (!out->params[i])
            return sql_refuse(cx, location, "42804", "could not determine polymorphic type because input has type unknown");
    }
    out->result = resolved(cx, c->result, &p);
    out->variadic_element = c->variadic_element ? resolved(cx, c->variadic_element, &p) : 0;
    if (!out->result)
        return sql_refuse(cx, location, "42804", "could not determine polymorphic type because input has type unknown");
    return ERR_OK;
}

err sql_find_function(struct sql_context *cx, const str *names, uint32_t names_n, const struct sql_value *args,
                      const str *arg_names, uint32_t n, bool variadic, int32_t location, struct sql_callee *out) {
    if (n > SQL_ARGS_MAX)
        return sql_refuse(cx, location, "54023", "cannot pass more than %d arguments to a function", SQL_ARGS_MAX);
    str name = names[names_n - 1], schema = names_n > 1 ? names[names_n - 2] : (str){0};
    candidates all = {0};
    functions_of(cx, schema, name, arg_names, n, variadic, &all);
    uint32_t types[SQL_ARGS_MAX], cast_to;
    for (uint32_t i = 0; i < n; i++) types[i] = args[i].type;
    bool ambiguous = false;
    struct candidate *found = exact(&all, types, n);
    if (!found && names_n < 3 && of_pg_catalog(schema) && !arg_names[0].n && is_cast_call(cx, name, args, n, &cast_to)) {
        *out = (struct sql_callee){.is_cast = true, .result = cast_to, .n = 1};
        return ERR_OK;
    }
    if (!found) found = match(cx, &all, types, n, &ambiguous);
    if (!found) return no_function(cx, schema, name, args, arg_names, n, ambiguous, location);
    sql_names_schema(cx, schema);
    return fill_callee(cx, found, args, n, location, out);
}
