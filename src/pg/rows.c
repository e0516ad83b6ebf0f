/* rows: the tables (rows.def) as what they are looked up in.
 *
 * The rows' text is one long literal without a pointer in it, so that a process that never looks costs nothing, and its parts are read once,
 * by whoever asks first:
 *
 *   kind name NUL parameters NUL result NUL how NUL    kind F A R O C; how: a letter (enum pg_how_kind), then its text
 *
 * 1. What is read is our own source: a row that names no type is a bug, and ends the process that looks (the unit test looks).
 * 2. After the first use nothing changes; any thread may look.
 */
#include "pg/pg_int.h"
#include <pthread.h>
#include <stdlib.h>

#define STRICT PG_STRICT
#define STABLE PG_STABLE
#define VOLATILE PG_VOLATILE
#define SAFE PG_SAFE
#define VARIADIC PG_VARIADIC
#define WINDOW PG_WINDOW
#define ORDERED PG_ORDERED

/* ---- the rows, three times: their text, their flags, what C rows are ---- */

#define FN(name, parameters, result, flags, how) "F" name "\0" parameters "\0" result "\0" how "\0"
#define AGG(name, parameters, result, flags, how) "A" name "\0" parameters "\0" result "\0" how "\0"
#define SRF(name, parameters, columns, flags, how) "R" name "\0" parameters "\0" columns "\0" how "\0"
#define OP(name, left, right, result, flags, how) "O" name "\0" left " " right "\0" result "\0" how "\0"
#define CAST(from, to, context, flags, how) "C" #context "\0" from "\0" to "\0" how "\0"
#define HELPER(fn, count, flags) "H" #fn "\0" #count "\0\0C\0"
#define C(fn) "C" #fn
#define CT(fn) "T" #fn
#define CTS(fn) "M" #fn
#define CR(fn) "R" #fn
#define SQL(text) "S" text
#define A(object) "A" #object
#define AT(object) "Y" #object
#define S(object) "E" #object
#define ST(object) "Z" #object
static const char rows_text[] =
#include "pg/rows.def"
    ;

#define FN(name, parameters, result, flags, how) (flags),
#define AGG FN
#define SRF FN
#define OP(name, left, right, result, flags, how) (flags),
#define CAST(from, to, context, flags, how) (flags),
#define HELPER(fn, count, flags) (flags),
static const uint8_t rows_flags[] = {
#include "pg/rows.def"
};

/* What the C rows name, in their order. */
#define FN(name, parameters, result, flags, how) how
#define AGG(name, parameters, result, flags, how)
#define SRF(name, parameters, columns, flags, how)
#define OP(name, left, right, result, flags, how) how
#define CAST(from, to, context, flags, how) how
#define HELPER(fn, count, flags) fn,
#define C(fn) fn,
#define CT(fn) fn,
#define CTS(fn) fn,
#define CR(fn) fn,
#define SQL(text)
static const pg_fn rows_fns[] = {
#include "pg/rows.def"
    NULL};

#define FN(name, parameters, result, flags, how)
#define AGG(name, parameters, result, flags, how) how
#define SRF(name, parameters, columns, flags, how)
#define OP(name, left, right, result, flags, how)
#define CAST(from, to, context, flags, how)
#define HELPER(fn, count, flags)
#define SQL(text)
#define A(object) &object,
#define AT(object) &object,
static const struct pg_aggregate *const rows_aggregates[] = {
#include "pg/rows.def"
    NULL};

#define FN(name, parameters, result, flags, how)
#define AGG(name, parameters, result, flags, how)
#define SRF(name, parameters, columns, flags, how) how
#define OP(name, left, right, result, flags, how)
#define CAST(from, to, context, flags, how)
#define HELPER(fn, count, flags)
#define S(object) &object,
#define ST(object) &object,
static const struct pg_set *const rows_sets[] = {
#include "pg/rows.def"
    NULL};

/* ---- reading them ---- */

enum { ROWS = ARRAY_COUNT(rows_flags) };
static struct {
    arena *mem;
    VEC(struct pg_function) functions, aggregates;
    VEC(struct pg_operator) operators;
    VEC(struct pg_cast) casts;
    VEC(struct pg_c_function) c_functions;
    VEC(struct pg_c_aggregate) c_aggregates;
    VEC(struct pg_c_set) c_sets;
} all;

static uint32_t type_named(str name, const char *row) {
    if (!name.n) return PG_NO_TYPE;
    const struct pg_type *type = pg_type_by_name(name);
    if (!type) {
        fprintf(stderr, "pg: the row %s names a type %.*s that there is not\n", row, STR_ARG(name));
        abort();
    }
    return type->id;
}

/* "n:int4=0" */
static struct pg_param param_of(str text, const char *row) {
    struct pg_param p = {0};
    str before, after;
    if (str_cut(text, ':', &before, &after)) {
        p.name = before;
        text = after;
    }
    if (str_cut(text, '=', &before, &after)) p.dflt = after;
    p.type = type_named(before, row);
    return p;
}

static void params_of(struct pg_function *f, str text) {
    VEC(struct pg_param) params = {0};
    for (str one; text.n;) {
        str_cut(text, ' ', &one, &text);
        if (one.n) vec_push(all.mem, &params, param_of(one, f->name));
    }
    ENSURE(params.n <= PG_PARAMS_MAX);
    f->params = params.p;
    f->params_count = params.n;
}

static struct pg_how how_of(const char *text) {
    static const struct {
        char letter;
        enum pg_how_kind kind;
    } kinds[] = {{'S', PG_HOW_SQL},       {'C', PG_HOW_C},         {'T', PG_HOW_CT},  {'M', PG_HOW_CTS}, {'R', PG_HOW_CR},
                 {'A', PG_HOW_AGGREGATE}, {'Y', PG_HOW_AGGREGATE}, {'E', PG_HOW_SET}, {'Z', PG_HOW_SET}};
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        if (kinds[i].letter == text[0]) return (struct pg_how){kinds[i].kind, text + 1, text[0] == 'Y' || text[0] == 'Z'};
    ENSURE(!"a row's how");
    return (struct pg_how){0};
}

/* As SQLite counts them. */
static int32_t arguments_of(const struct pg_how *how, uint32_t params, enum pg_flags flags) {
    if (how->kind == PG_HOW_CTS || flags & PG_VARIADIC) return -1;
    if (how->typed && how->kind == PG_HOW_AGGREGATE) return 2 * (int32_t)params;
    return (int32_t)params + (how->kind == PG_HOW_CT || how->kind == PG_HOW_CR || how->typed);
}

struct reader {
    const char *at;
    uint32_t row, fn, aggregate, set;
};

static bool is_c(const struct pg_how *how) { return how->kind >= PG_HOW_C && how->kind <= PG_HOW_CR; }

static void c_function(struct reader *r, const struct pg_how *how, int32_t args, enum pg_flags flags) {
    if (!is_c(how)) return;
    vec_push(all.mem, &all.c_functions, ((struct pg_c_function){how->text, rows_fns[r->fn++], args, flags}));
}

static void function_row(struct reader *r, char kind, const char *name, const char *params, const char *result,
                         struct pg_how how) {
    enum pg_flags flags = rows_flags[r->row];
    struct pg_function f = {.name = name, .flags = flags, .how = how};
    params_of(&f, str_c(params));
    bool record = kind == 'R' && strchr(result, ':');
    f.result = record ? PG_RECORD : type_named(str_c(result), name);
    f.columns = record ? result : "";
    int32_t args = arguments_of(&how, f.params_count, flags);
    if (how.kind == PG_HOW_AGGREGATE)
        vec_push(all.mem, &all.c_aggregates, ((struct pg_c_aggregate){how.text, rows_aggregates[r->aggregate++], args, flags}));
    else if (how.kind == PG_HOW_SET)
        vec_push(all.mem, &all.c_sets, ((struct pg_c_set){how.text, rows_sets[r->set++], args, flags}));
    else c_function(r, &how, args, flags);
    if (kind == 'A') vec_push(all.mem, &all.aggregates, f);
    else vec_push(all.mem, &all.functions, f);
}

static void operator_row(struct reader *r, const char *name, const char *operands, const char *result, struct pg_how how) {
    str left, right;
    str_cut(str_c(operands), ' ', &left, &right);
    struct pg_operator o = {.name = name, .flags = rows_flags[r->row], .how = how};
    o.left = type_named(left, name);
    o.right = type_named(right, name);
    o.result = type_named(str_c(result), name);
    c_function(r, &how, arguments_of(&how, 1 + (left.n > 0), o.flags), o.flags);
    vec_push(all.mem, &all.operators, o);
}

static void cast_row(struct reader *r, const char *context, const char *from, const char *to, struct pg_how how) {
    struct pg_cast c = {.flags = rows_flags[r->row], .how = how};
    c.from = type_named(str_c(from), "cast");
    c.to = type_named(str_c(to), "cast");
    c.context = context[0] == 'I' ? PG_IMPLICIT : context[0] == 'A' ? PG_ASSIGNMENT : PG_EXPLICIT;
    c_function(r, &how, arguments_of(&how, 1, c.flags), c.flags);
    vec_push(all.mem, &all.casts, c);
}

static const char *part(struct reader *r) {
    const char *p = r->at;
    r->at += strlen(p) + 1;
    return p;
}

static void read_row(struct reader *r) {
    const char *name = part(r), *a = part(r), *b = part(r), *how_text = part(r);
    char kind = *name++;
    struct pg_how how = how_of(how_text);
    if (kind == 'O') {
        operator_row(r, name, a, b, how);
    } else if (kind == 'C') {
        cast_row(r, name, a, b, how);
    } else if (kind == 'H') {
        how.text = name;
        c_function(r, &how, atoi(a), rows_flags[r->row]);
    } else {
        function_row(r, kind, name, a, b, how);
    }
    r->row++;
}

/* Names at the same place in all of them, so that one function sorts each. */
static_assert(!offsetof(struct pg_function, name) && !offsetof(struct pg_operator, name) &&
              !offsetof(struct pg_c_function, name) && !offsetof(struct pg_c_aggregate, name) &&
              !offsetof(struct pg_c_set, name));

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static int by_types(const void *a, const void *b) {
    const struct pg_cast *x = a, *y = b;
    if (x->from != y->from) return x->from < y->from ? -1 : 1;
    return (x->to > y->to) - (x->to < y->to);
}

/* The same function in several rows is registered once; taken with different numbers of arguments, with any. */
#define ONCE(v, same_number)                                                                                                     \
    do {                                                                                                                         \
        uint32_t kept = 0;                                                                                                       \
        for (uint32_t i = 0; i < (v)->n; i++) {                                                                                  \
            if (!kept || strcmp((v)->p[i].name, (v)->p[kept - 1].name)) (v)->p[kept++] = (v)->p[i];                              \
            else if ((v)->p[i].args != (v)->p[kept - 1].args) (v)->p[kept - 1].args = -1;                                        \
        }                                                                                                                        \
        (v)->n = kept;                                                                                                           \
    } while (0)
#define SORT(v)                                                                                                                  \
    if ((v)->n) qsort((v)->p, (v)->n, sizeof *(v)->p, by_name)

static void read_all(void) {
    all.mem = arena_new(0);
    struct reader r = {.at = rows_text};
    while (r.row < ROWS) read_row(&r);
    SORT(&all.functions);
    SORT(&all.aggregates);
    SORT(&all.operators);
    SORT(&all.c_functions);
    SORT(&all.c_aggregates);
    SORT(&all.c_sets);
    if (all.casts.n) qsort(all.casts.p, all.casts.n, sizeof *all.casts.p, by_types);
    ONCE(&all.c_functions, args);
    ONCE(&all.c_aggregates, args);
    ONCE(&all.c_sets, args);
}

static void ready(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, read_all);
}

/* ---- lookups ---- */

/* The first of those called name among n things of `size` bytes that are sorted by the name they begin with. */
static const void *named(const void *p, uint32_t n, size_t size, str name, uint32_t *count) {
    uint32_t low = 0, high = n;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        const char *have = *(const char *const *)((const char *)p + middle * size);
        if (str_cmp(str_c(have), name) < 0) low = middle + 1;
        else high = middle;
    }
    for (*count = 0; low + *count < n; ++*count)
        if (!str_eqc(name, *(const char *const *)((const char *)p + (low + *count) * size))) break;
    return *count ? (const char *)p + low * size : NULL;
}

#define LOOKUP(function, type, v)                                                                                                \
    const type *function##_named(str name, uint32_t *count) {                                                                    \
        ready();                                                                                                                 \
        return named(all.v.p, all.v.n, sizeof *all.v.p, name, count);                                                            \
    }                                                                                                                            \
    const type *function##_all(uint32_t *count) {                                                                                \
        ready();                                                                                                                 \
        *count = all.v.n;                                                                                                        \
        return all.v.p;                                                                                                          \
    }
LOOKUP(pg_functions, struct pg_function, functions)
LOOKUP(pg_aggregates, struct pg_function, aggregates)
LOOKUP(pg_operators, struct pg_operator, operators)

#define LIST(function, type, v)                                                                                                  \
    const type *function(uint32_t *count) {                                                                                      \
        ready();                                                                                                                 \
        *count = all.v.n;                                                                                                        \
        return all.v.p;                                                                                                          \
    }
LIST(pg_casts_all, struct pg_cast, casts)
LIST(pg_c_functions, struct pg_c_function, c_functions)
LIST(pg_c_aggregates, struct pg_c_aggregate, c_aggregates)
LIST(pg_c_sets, struct pg_c_set, c_sets)

static bool is_text(uint32_t type) { return type == PG_TEXT || type == PG_VARCHAR || type == PG_BPCHAR || type == PG_NAME; }

const struct pg_cast *pg_cast_find(uint32_t from, uint32_t to) {
    static const struct pg_cast out = {PG_ANY, PG_TEXT, PG_ASSIGNMENT, PG_STRICT, {PG_HOW_CT, "pg_out", false}},
                                in = {PG_TEXT, PG_ANY, PG_EXPLICIT, PG_STRICT, {PG_HOW_SQL, "pg_in($R, $M, $1)", false}};
    ready();
    struct pg_cast wanted = {.from = from, .to = to};
    const struct pg_cast *found = all.casts.n ? bsearch(&wanted, all.casts.p, all.casts.n, sizeof wanted, by_types) : NULL;
    if (found) return found;
    return from == to ? NULL : is_text(to) ? &out : is_text(from) ? &in : NULL;
}

/* ---- printing ---- */

static void put_arguments(struct buf *out, const struct pg_print *with, bool typed) {
    for (uint32_t i = 0; i < with->count; i++) {
        if (i) buf_puts(out, STR(", "));
        if (typed) buf_printf(out, "%u, ", with->args[i].type);
        buf_puts(out, with->args[i].text);
    }
}

static void put_call(struct buf *out, const struct pg_how *how, const struct pg_print *with) {
    buf_printf(out, "%s(", how->text);
    bool first = how->kind == PG_HOW_CT || (how->typed && how->kind == PG_HOW_SET);
    if (first) buf_printf(out, "%u", with->count ? with->args[0].type : 0);
    if (how->kind == PG_HOW_CR) buf_printf(out, "%u", with->result);
    if ((first || how->kind == PG_HOW_CR) && with->count) buf_puts(out, STR(", "));
    put_arguments(out, with, how->kind == PG_HOW_CTS || (how->typed && how->kind == PG_HOW_AGGREGATE));
    buf_putc(out, ')');
}

static const struct pg_print_arg *argument(const struct pg_print *with, char digit) {
    ENSURE(digit >= '1' && digit <= '9');
    uint32_t i = (uint32_t)(digit - '1');
    ENSURE(i < with->count);
    return &with->args[i];
}

/* What stands behind a $; gives how many characters that was. */
static size_t put_variable(struct buf *out, const char *p, const struct pg_print *with) {
    const struct pg_print_arg *a;
    switch (*p) {
    case '*': put_arguments(out, with, false); return 1;
    case 'R': buf_printf(out, "%u", with->result); return 1;
    case 'M': buf_printf(out, "%d", with->typmod); return 1;
    case 'E': buf_putc(out, with->is_explicit ? '1' : '0'); return 1;
    case 'T': buf_printf(out, "%u", argument(with, p[1])->type); return 2;
    case 'C':
        a = argument(with, p[1]);
        if (a->collation && a->collation[0]) buf_printf(out, " COLLATE %s", a->collation);
        return 2;
    default: buf_puts(out, argument(with, *p)->text); return 1;
    }
}

void pg_how_print(struct buf *out, const struct pg_how *how, const struct pg_print *with) {
    if (how->kind != PG_HOW_SQL) {
        put_call(out, how, with);
        return;
    }
    for (const char *p = how->text; *p;) {
        if (*p == '$') p += 1 + put_variable(out, p + 1, with);
        else buf_putc(out, (uint8_t)*p++);
    }
}
