/* demangle_cpp: see demangle.c. Of the grammar, what names of functions are made of; an expression in a template's arguments is not
 * understood, and template parameters, which stand in types that are not told, are `auto`.
 *
 * A substitution (S_, S0_, …) stands for the text of an earlier component, kept in a pool that ends. */
#include "node/demangle_int.h"

enum { SUBS_MAX = 64, POOL_MAX = 4000 };

struct cpp {
    struct demangle *d;
    uint32_t subs[SUBS_MAX + 1]; /* where each begins in the pool, and the last ends */
    unsigned subs_count;
    char pool[POOL_MAX];
};

static void type(struct cpp *c);
static void template_args(struct cpp *c);
static void encoding(struct cpp *c);

static const struct {
    char code[3];
    const char *text;
} operators[] = {
    {"nw", " new"}, {"na", " new[]"}, {"dl", " delete"}, {"da", " delete[]"}, {"aw", " co_await"}, {"ps", "+"},  {"ng", "-"},
    {"ad", "&"},    {"de", "*"},      {"co", "~"},       {"pl", "+"},         {"mi", "-"},         {"ml", "*"},  {"dv", "/"},
    {"rm", "%"},    {"an", "&"},      {"or", "|"},       {"eo", "^"},         {"aS", "="},         {"pL", "+="}, {"mI", "-="},
    {"mL", "*="},   {"dV", "/="},     {"rM", "%="},      {"aN", "&="},        {"oR", "|="},        {"eO", "^="}, {"ls", "<<"},
    {"rs", ">>"},   {"lS", "<<="},    {"rS", ">>="},     {"eq", "=="},        {"ne", "!="},        {"lt", "<"},  {"gt", ">"},
    {"le", "<="},   {"ge", ">="},     {"ss", "<=>"},     {"nt", "!"},         {"aa", "&&"},        {"oo", "||"}, {"pp", "++"},
    {"mm", "--"},   {"cm", ","},      {"pm", "->*"},     {"pt", "->"},        {"cl", "()"},        {"ix", "[]"},
};

/* What was put since `from` can be named by a substitution. */
static void remember(struct cpp *c, size_t from) {
    struct demangle *d = c->d;
    if (d->bad) return;
    uint32_t at = c->subs[c->subs_count];
    size_t n = d->out.n - from;
    if (!n || c->subs_count == SUBS_MAX || n > POOL_MAX - at) {
        demangle_fail(d);
        return;
    }
    memcpy(c->pool + at, d->out.p + from, n);
    c->subs[++c->subs_count] = at + (uint32_t)n;
}

/* The number in S_ (0), S0_ (1), SZ_ (36), S10_ (37) */
static uint64_t sequence(struct demangle *d) {
    uint64_t v = 0;
    if (demangle_eat(d, '_')) return 0;
    for (uint8_t x; (x = demangle_next(d)) != '_';) {
        unsigned digit = x >= '0' && x <= '9' ? x - '0' + 0u : x >= 'A' && x <= 'Z' ? x - 'A' + 10u : 36;
        if (digit == 36 || (v = v * 36 + digit) > SUBS_MAX) {
            demangle_fail(d);
            return 0;
        }
    }
    return v + 1;
}

/* After an S that no t follows. */
static void substitution(struct cpp *c) {
    static const struct {
        char code;
        const char *text;
    } standard[] = {{'a', "std::allocator"}, {'b', "std::basic_string"}, {'s', "std::string"},
                    {'i', "std::istream"},   {'o', "std::ostream"},      {'d', "std::iostream"}};
    struct demangle *d = c->d;
    for (size_t i = 0; i < ARRAY_COUNT(standard); i++)
        if (demangle_eat(d, (uint8_t)standard[i].code)) {
            demangle_put(d, str_c(standard[i].text));
            return;
        }
    uint64_t i = sequence(d);
    if (i >= c->subs_count) demangle_fail(d);
    else demangle_put(d, (str){(uint8_t *)c->pool + c->subs[i], c->subs[i + 1] - c->subs[i]});
}

static void source_name(struct cpp *c) {
    str name = demangle_bytes(c->d, demangle_decimal(c->d));
    demangle_put(c->d, str_starts(name, STR("_GLOBAL__N")) ? STR("(anonymous namespace)") : name);
}

/* The class that a constructor is of: the last name of what was put since `from`, without template arguments. */
static str last_name(const struct demangle *d, size_t from) {
    str s = {d->out.p + from, d->out.n - from};
    size_t depth = 0, end = s.n, at = s.n;
    for (; at; at--) {
        uint8_t x = s.p[at - 1];
        if (x == '>') depth++;
        else if (x == '<' && depth && !--depth) end = at - 1;
        else if (x == ':' && !depth) break;
    }
    return str_sub(s, at, end > at ? end - at : 0);
}

static void structor(struct cpp *c, size_t from) {
    struct demangle *d = c->d;
    bool destructor = demangle_next(d) == 'D';
    uint8_t kind = demangle_next(d);
    str name = last_name(d, from);
    char copy[256];
    if (kind < '0' || kind > '5' || name.n > sizeof copy) {
        demangle_fail(d);
        return;
    }
    memcpy(copy, name.p, name.n); /* what it lies in moves */
    demangle_put(d, destructor ? STR("::~") : STR("::"));
    demangle_put(d, (str){(uint8_t *)copy, name.n});
}

static void types_until(struct cpp *c, uint8_t end) {
    for (bool first = true; !c->d->bad && !demangle_eat(c->d, end); first = false) {
        if (!first) DEMANGLE_PUT(c->d, ", ");
        type(c);
    }
}

/* Ul <types> E [number] _ a lambda, Ut [number] _ another type without a name */
static void unnamed(struct cpp *c) {
    struct demangle *d = c->d;
    bool lambda = demangle_eat(d, 'l');
    if (!lambda && !demangle_eat(d, 't')) demangle_fail(d);
    size_t n = d->out.n;
    if (lambda) types_until(c, 'E');
    if (!d->bad) d->out.n = n;
    if (!demangle_eat(d, '_')) {
        (void)demangle_decimal(d);
        if (!demangle_eat(d, '_')) demangle_fail(d);
    }
    demangle_put(d, lambda ? STR("{lambda}") : STR("{unnamed type}"));
}

static void operator_name(struct cpp *c) {
    struct demangle *d = c->d;
    uint8_t a = demangle_next(d), b = demangle_next(d);
    DEMANGLE_PUT(d, "operator");
    for (size_t i = 0; i < ARRAY_COUNT(operators); i++)
        if (a == (uint8_t)operators[i].code[0] && b == (uint8_t)operators[i].code[1]) {
            demangle_put(d, str_c(operators[i].text));
            return;
        }
    if (a == 'c' && b == 'v') DEMANGLE_PUT(d, " "), type(c);
    else if (a == 'l' && b == 'i') DEMANGLE_PUT(d, "\"\" "), source_name(c);
    else demangle_fail(d);
}

/* A name without what it lies in; constructors are nested's. */
static void unqualified(struct cpp *c) {
    struct demangle *d = c->d;
    demangle_eat(d, 'L');
    uint8_t x = demangle_peek(d);
    if (x >= '0' && x <= '9') source_name(c);
    else if (demangle_eat(d, 'U')) unnamed(c);
    else if (x >= 'a' && x <= 'z') operator_name(c);
    else demangle_fail(d);
    while (demangle_eat(d, 'B')) DEMANGLE_PUT(d, "[abi:"), source_name(c), DEMANGLE_PUT(d, "]");
}

/* One component after what was put since `from`. False: it is no candidate for a substitution. */
static bool component(struct cpp *c, size_t from) {
    struct demangle *d = c->d;
    uint8_t x = demangle_peek(d), y = demangle_peek2(d);
    bool first = d->out.n == from;
    if (x == 'I') {
        template_args(c);
        return true;
    }
    if (x == 'S' && first) {
        d->at++;
        if (demangle_eat(d, 't')) DEMANGLE_PUT(d, "std");
        else substitution(c);
        return false;
    }
    if ((x == 'C' || x == 'D') && y >= '0' && y <= '5' && !first) structor(c, from);
    else if (x == 'T' && first) type(c);
    else {
        if (!first) DEMANGLE_PUT(d, "::");
        unqualified(c);
    }
    return x != 'T';
}

/* After N. */
static void nested(struct cpp *c) {
    struct demangle *d = c->d;
    size_t from = d->out.n;
    while (demangle_eat(d, 'r') || demangle_eat(d, 'V') || demangle_eat(d, 'K')) {}
    if (!demangle_eat(d, 'R')) demangle_eat(d, 'O');
    while (!d->bad) {
        bool candidate = component(c, from);
        if (demangle_eat(d, 'E')) return;
        if (candidate) remember(c, from);
    }
}

/* After Z: a function, and what is in it. */
static void local(struct cpp *c) {
    struct demangle *d = c->d;
    encoding(c);
    size_t n = d->out.n;
    types_until(c, 'E');
    if (!d->bad) d->out.n = n;
    if (demangle_eat(d, 's')) {
        DEMANGLE_PUT(d, "::{string}");
    } else {
        if (demangle_eat(d, 'd')) {
            if (!demangle_eat(d, '_')) (void)demangle_decimal(d), demangle_eat(d, '_');
        }
        DEMANGLE_PUT(d, "::");
        if (demangle_eat(d, 'N')) nested(c);
        else unqualified(c);
    }
    if (demangle_eat(d, '_')) {
        bool longer = demangle_eat(d, '_');
        (void)demangle_decimal(d);
        if (longer && !demangle_eat(d, '_')) demangle_fail(d);
    }
}

static void name(struct cpp *c) {
    struct demangle *d = c->d;
    if (!demangle_enter(d)) return;
    size_t from = d->out.n;
    if (demangle_eat(d, 'N')) nested(c);
    else if (demangle_eat(d, 'Z')) local(c);
    else {
        bool again = demangle_peek(d) == 'S' && demangle_peek2(d) != 't';
        if (again) d->at++, substitution(c);
        else {
            if (demangle_eat(d, 'S')) d->at++, DEMANGLE_PUT(d, "std::");
            unqualified(c);
        }
        if (demangle_peek(d) == 'I') {
            if (!again) remember(c, from);
            template_args(c);
        }
    }
    demangle_leave(d);
}

static void literal(struct cpp *c) {
    struct demangle *d = c->d;
    if (demangle_eat(d, '_')) {
        if (!demangle_eat(d, 'Z')) demangle_fail(d);
        encoding(c);
        size_t n = d->out.n;
        types_until(c, 'E');
        if (!d->bad) d->out.n = n;
        return;
    }
    static const char *const suffixes[][2] = {{"i", ""},   {"b", ""},   {"j", "u"},   {"l", "l"},
                                              {"m", "ul"}, {"x", "ll"}, {"y", "ull"}, {"D", ""}};
    const char *suffix = NULL;
    uint8_t kind = demangle_peek(d);
    for (size_t i = 0; i < ARRAY_COUNT(suffixes); i++)
        if (kind == (uint8_t)suffixes[i][0][0]) suffix = suffixes[i][1];
    size_t n = d->out.n;
    DEMANGLE_PUT(d, "(");
    type(c);
    DEMANGLE_PUT(d, ")");
    if (!d->bad && suffix) d->out.n = n;
    str digits = demangle_bytes(d, str_find(str_sub(d->in, d->at, d->in.n), 'E'));
    if (!demangle_eat(d, 'E')) demangle_fail(d);
    if (kind == 'D') DEMANGLE_PUT(d, "nullptr");
    else if (kind == 'b') demangle_put(d, str_eq(digits, STR("0")) ? STR("false") : STR("true"));
    else {
        bool negative = str_starts(digits, STR("n"));
        if (negative) DEMANGLE_PUT(d, "-");
        demangle_put(d, str_sub(digits, negative, digits.n));
        if (suffix) demangle_put(d, str_c(suffix));
    }
}

static void list_of_args(struct cpp *c, bool *first) {
    struct demangle *d = c->d;
    if (!demangle_enter(d)) return;
    while (!d->bad && !demangle_eat(d, 'E')) {
        if (demangle_eat(d, 'J')) {
            list_of_args(c, first);
            continue;
        }
        if (!*first) DEMANGLE_PUT(d, ", ");
        *first = false;
        if (demangle_eat(d, 'L')) literal(c);
        else type(c);
    }
    demangle_leave(d);
}

static void template_args(struct cpp *c) {
    bool first = true;
    demangle_eat(c->d, 'I');
    DEMANGLE_PUT(c->d, "<");
    list_of_args(c, &first);
    DEMANGLE_PUT(c->d, ">");
}

static bool builtin(struct demangle *d) {
    static const struct {
        char code[3];
        const char *text;
    } table[] = {
        {"v", "void"},        {"w", "wchar_t"},
        {"b", "bool"},        {"c", "char"},
        {"a", "signed char"}, {"h", "unsigned char"},
        {"s", "short"},       {"t", "unsigned short"},
        {"i", "int"},         {"j", "unsigned int"},
        {"l", "long"},        {"m", "unsigned long"},
        {"x", "long long"},   {"y", "unsigned long long"},
        {"n", "__int128"},    {"o", "unsigned __int128"},
        {"f", "float"},       {"d", "double"},
        {"e", "long double"}, {"g", "__float128"},
        {"z", "..."},         {"Dn", "decltype(nullptr)"},
        {"Di", "char32_t"},   {"Ds", "char16_t"},
        {"Du", "char8_t"},    {"Da", "auto"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(table); i++)
        if (str_starts(str_sub(d->in, d->at, 2), str_c(table[i].code))) {
            d->at += strlen(table[i].code);
            demangle_put(d, str_c(table[i].text));
            return true;
        }
    return false;
}

/* After F: the result, then parameters. */
static void function_type(struct cpp *c) {
    struct demangle *d = c->d;
    demangle_eat(d, 'Y');
    type(c);
    DEMANGLE_PUT(d, " (");
    if (demangle_peek(d) == 'v' && demangle_peek2(d) == 'E') d->at++;
    types_until(c, 'E');
    DEMANGLE_PUT(d, ")");
}

static void array_type(struct cpp *c) {
    struct demangle *d = c->d;
    uint64_t n = demangle_peek(d) == '_' ? 0 : demangle_decimal(d);
    if (!demangle_eat(d, '_')) demangle_fail(d);
    type(c);
    char text[32];
    snprintf(text, sizeof text, n ? " [%llu]" : " []", (unsigned long long)n);
    demangle_put(d, str_c(text));
}

/* What is written behind the type it is made of; NULL: no such letter. */
static const char *behind(uint8_t x) {
    return x == 'P'   ? "*"
           : x == 'R' ? "&"
           : x == 'O' ? "&&"
           : x == 'K' ? " const"
           : x == 'V' ? " volatile"
           : x == 'r' ? " restrict"
                      : NULL;
}

static void type(struct cpp *c) {
    struct demangle *d = c->d;
    if (!demangle_enter(d)) return;
    size_t from = d->out.n;
    uint8_t x = demangle_peek(d), y = demangle_peek2(d);
    bool candidate = true;
    if (behind(x)) {
        d->at++;
        type(c);
        demangle_put(d, str_c(behind(x)));
    } else if (builtin(d)) candidate = false;
    else if (demangle_eat(d, 'u')) source_name(c);
    else if (demangle_eat(d, 'F')) function_type(c);
    else if (demangle_eat(d, 'A')) array_type(c);
    else if (demangle_eat(d, 'M')) type(c), DEMANGLE_PUT(d, "::*"), type(c);
    else if (x == 'D' && y == 'p') d->at += 2, type(c), DEMANGLE_PUT(d, "...");
    else if (demangle_eat(d, 'T')) {
        (void)sequence(d);
        DEMANGLE_PUT(d, "auto");
        if (demangle_peek(d) == 'I') remember(c, from), template_args(c);
    } else {
        candidate = !(x == 'S' && y != 't');
        size_t begin = d->at;
        name(c);
        if (!candidate)
            candidate = str_find(str_sub(d->in, begin, d->at - begin), 'I') < d->at - begin; /* with arguments it is new */
    }
    if (candidate) remember(c, from);
    demangle_leave(d);
}

static void encoding(struct cpp *c) {
    struct demangle *d = c->d;
    if (!demangle_enter(d)) return;
    if (demangle_peek(d) == 'T' &&
        (demangle_peek2(d) == 'h' || demangle_peek2(d) == 'v')) { /* a thunk: n1, and n2 of a virtual one */
        d->at++;
        for (unsigned n = demangle_next(d) == 'v' ? 2 : 1; n; n--) {
            demangle_eat(d, 'n');
            (void)demangle_decimal(d);
            if (!demangle_eat(d, '_')) demangle_fail(d);
        }
        DEMANGLE_PUT(d, "thunk to ");
    }
    name(c);
    demangle_leave(d);
}

void demangle_cpp(struct demangle *d) {
    struct cpp c = {.d = d};
    encoding(&c);
}
