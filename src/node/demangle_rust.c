/* demangle_rust: see demangle.c. */
#include "node/demangle_int.h"

/* ---- the older form: like a C++ name, with a hash for its last part, and $…$ for what is no letter ---- */

static bool is_hash(str s) {
    if (s.n != 17 || s.p[0] != 'h') return false;
    for (size_t i = 1; i < s.n; i++)
        if (!memchr("0123456789abcdef", s.p[i], 16)) return false;
    return true;
}

/* What begins with $ is an escape; puts it and tells its length, or 0. */
static size_t escape(struct demangle *d, str s) {
    static const struct {
        const char *name, *text;
    } table[] = {{"$SP$", "@"}, {"$BP$", "*"}, {"$RF$", "&"}, {"$LT$", "<"},
                 {"$GT$", ">"}, {"$LP$", "("}, {"$RP$", ")"}, {"$C$", ","}};
    for (size_t i = 0; i < ARRAY_COUNT(table); i++)
        if (str_starts(s, str_c(table[i].name))) {
            demangle_put(d, str_c(table[i].text));
            return strlen(table[i].name);
        }
    unsigned v = 0;
    size_t n = 2;
    if (!str_starts(s, STR("$u"))) return 0;
    for (const char *digits = "0123456789abcdef", *at; n < MIN(s.n, (size_t)6) && s.p[n] && (at = strchr(digits, s.p[n])); n++)
        v = v * 16 + (unsigned)(at - digits);
    if (n == 2 || n == s.n || s.p[n] != '$' || v < 0x20 || v > 0x7e) return 0;
    uint8_t c = (uint8_t)v;
    demangle_put(d, (str){&c, 1});
    return n + 1;
}

static void legacy_part(struct demangle *d, str s) {
    if (str_starts(s, STR("_$"))) s = str_sub(s, 1, s.n);
    while (s.n) {
        size_t n = s.p[0] == '$' ? escape(d, s) : 0;
        if (!n && str_starts(s, STR(".."))) DEMANGLE_PUT(d, "::"), n = 2;
        if (!n) demangle_put(d, str_sub(s, 0, n = 1));
        s = str_sub(s, n, s.n);
    }
}

void demangle_rust_legacy(struct demangle *d) {
    for (bool first = true;; first = false) {
        str part = demangle_bytes(d, demangle_decimal(d));
        if (d->bad) return;
        if (demangle_peek(d) == 'E') {
            if (!is_hash(part) || first) demangle_fail(d);
            return;
        }
        if (!first) DEMANGLE_PUT(d, "::");
        legacy_part(d, part);
    }
}

/* ---- v0 ---- */

static void path(struct demangle *d, bool value);
static void type(struct demangle *d);

/* <base-62-number>: digits and _; "_" is 0, "0_" is 1 */
static uint64_t base62(struct demangle *d) {
    uint64_t v = 0;
    if (demangle_eat(d, '_')) return 0;
    for (uint8_t c; (c = demangle_next(d)) != '_';) {
        unsigned digit = c >= '0' && c <= '9'   ? c - '0' + 0u
                         : c >= 'a' && c <= 'z' ? c - 'a' + 10u
                         : c >= 'A' && c <= 'Z' ? c - 'A' + 36u
                                                : 62;
        if (digit == 62 || __builtin_mul_overflow(v, 62u, &v) || __builtin_add_overflow(v, digit + 1, &v)) {
            demangle_fail(d);
            return 0;
        }
        v--; /* so that v + 1 fits */
    }
    return v + 1;
}

static uint64_t disambiguator(struct demangle *d) { return demangle_eat(d, 's') ? base62(d) + 1 : 0; }

static str undisambiguated(struct demangle *d, bool *punycode) {
    *punycode = demangle_eat(d, 'u');
    uint64_t n = demangle_decimal(d);
    demangle_eat(d, '_');
    return demangle_bytes(d, n);
}

static void put_name(struct demangle *d, str name, bool punycode) {
    if (punycode) DEMANGLE_PUT(d, "punycode{");
    demangle_put(d, name);
    if (punycode) DEMANGLE_PUT(d, "}");
}

/* B and a number: the rule is applied again at that place, which is before. */
static void backref(struct demangle *d, void (*rule)(struct demangle *d, bool value), bool value) {
    size_t here = d->at - 1;
    uint64_t there = base62(d);
    if (there >= here) demangle_fail(d);
    if (d->bad || d->quiet) return;
    size_t after = d->at;
    d->at = (size_t)there;
    rule(d, value);
    if (!d->bad) d->at = after;
}

static void lifetime(struct demangle *d) { (void)base62(d); } /* erased, but in types that say for which: left out */

static void constant(struct demangle *d, bool value) {
    if (!demangle_enter(d)) return;
    uint8_t kind = demangle_next(d);
    if (kind == 'B') backref(d, constant, value);
    else if (kind == 'p') DEMANGLE_PUT(d, "_");
    else if (kind && strchr("abchijlmnostxy", kind)) {
        if (demangle_eat(d, 'n')) DEMANGLE_PUT(d, "-");
        size_t from = d->at;
        uint64_t v = 0;
        for (const char *digits = "0123456789abcdef", *at; (at = memchr(digits, demangle_peek(d), 16)); d->at++)
            v = v << 4 | (uint64_t)(at - digits);
        str hex = str_sub(d->in, from, d->at - from);
        if (!hex.n || !demangle_eat(d, '_')) demangle_fail(d);
        char text[24];
        snprintf(text, sizeof text, "%llu", (unsigned long long)v);
        if (kind == 'b') demangle_put(d, v ? STR("true") : STR("false"));
        else if (hex.n <= 16 && kind != 'c') demangle_put(d, str_c(text));
        else DEMANGLE_PUT(d, "0x"), demangle_put(d, hex);
    } else demangle_fail(d);
    demangle_leave(d);
}

/* Lifetimes alone are nothing to write. */
static void generic_args(struct demangle *d, str begin) {
    bool first = true;
    while (!d->bad && !demangle_eat(d, 'E')) {
        if (demangle_eat(d, 'L')) {
            lifetime(d);
            continue;
        }
        demangle_put(d, first ? begin : STR(", "));
        first = false;
        if (demangle_eat(d, 'K')) constant(d, false);
        else type(d);
    }
    if (!first) DEMANGLE_PUT(d, ">");
}

/* <impl-path>: where the impl stands, which is not told. */
static void impl_path(struct demangle *d) {
    d->quiet++;
    (void)disambiguator(d);
    path(d, false);
    d->quiet--;
}

static void nested(struct demangle *d, bool value) {
    uint8_t space = demangle_next(d);
    path(d, value);
    uint64_t number = disambiguator(d);
    bool punycode;
    str name = undisambiguated(d, &punycode);
    if (space >= 'a' && space <= 'z') {
        if (name.n) DEMANGLE_PUT(d, "::"), put_name(d, name, punycode);
        return;
    }
    if (space < 'A' || space > 'Z') demangle_fail(d);
    DEMANGLE_PUT(d, "::{");
    if (space == 'C') DEMANGLE_PUT(d, "closure");
    else if (space == 'S') DEMANGLE_PUT(d, "shim");
    else demangle_put(d, (str){&space, 1});
    if (name.n) DEMANGLE_PUT(d, ":"), put_name(d, name, punycode);
    char text[24];
    snprintf(text, sizeof text, "#%llu}", (unsigned long long)number);
    demangle_put(d, str_c(text));
}

static void self_as(struct demangle *d, bool has_trait) {
    DEMANGLE_PUT(d, "<");
    type(d);
    if (has_trait) DEMANGLE_PUT(d, " as "), path(d, false);
    DEMANGLE_PUT(d, ">");
}

/* value: generic arguments are written ::<…>, as in expressions. */
static void path(struct demangle *d, bool value) {
    if (!demangle_enter(d)) return;
    bool punycode;
    switch (demangle_next(d)) {
    case 'C': {
        (void)disambiguator(d);
        str name = undisambiguated(d, &punycode);
        put_name(d, name, punycode);
        break;
    }
    case 'M':
        impl_path(d);
        self_as(d, false);
        break;
    case 'X':
        impl_path(d);
        self_as(d, true);
        break;
    case 'Y': self_as(d, true); break;
    case 'N': nested(d, value); break;
    case 'I':
        path(d, value);
        generic_args(d, value ? STR("::<") : STR("<"));
        break;
    case 'B': backref(d, path, value); break;
    default: demangle_fail(d);
    }
    demangle_leave(d);
}

static void binder(struct demangle *d) {
    if (demangle_eat(d, 'G')) (void)base62(d);
}

static void function_type(struct demangle *d) {
    binder(d);
    if (demangle_eat(d, 'U')) DEMANGLE_PUT(d, "unsafe ");
    if (demangle_eat(d, 'K')) {
        bool punycode;
        str abi = demangle_eat(d, 'C') ? STR("C") : undisambiguated(d, &punycode);
        DEMANGLE_PUT(d, "extern \"");
        demangle_put(d, abi);
        DEMANGLE_PUT(d, "\" ");
    }
    DEMANGLE_PUT(d, "fn(");
    for (bool first = true; !d->bad && !demangle_eat(d, 'E'); first = false) {
        if (!first) DEMANGLE_PUT(d, ", ");
        type(d);
    }
    DEMANGLE_PUT(d, ")");
    if (!demangle_eat(d, 'u')) DEMANGLE_PUT(d, " -> "), type(d);
}

static void dyn_type(struct demangle *d) {
    DEMANGLE_PUT(d, "dyn ");
    binder(d);
    for (bool first = true; !d->bad && !demangle_eat(d, 'E'); first = false) {
        if (!first) DEMANGLE_PUT(d, " + ");
        path(d, false);
        while (demangle_eat(d, 'p')) { /* joins the trait's own arguments */
            bool punycode, more = d->out.n && d->out.p[d->out.n - 1] == '>' && !d->quiet;
            str name = undisambiguated(d, &punycode);
            if (more && !d->bad) d->out.n--;
            demangle_put(d, more ? STR(", ") : STR("<"));
            put_name(d, name, punycode);
            DEMANGLE_PUT(d, " = ");
            type(d);
            DEMANGLE_PUT(d, ">");
        }
    }
    if (!demangle_eat(d, 'L')) demangle_fail(d);
    else lifetime(d);
}

static void reference(struct demangle *d, str text) {
    demangle_put(d, text);
    if (text.p[0] == '&' && demangle_eat(d, 'L')) lifetime(d);
    if (text.p[0] == '&' && text.n > 1) DEMANGLE_PUT(d, " ");
    type(d);
}

static void type_again(struct demangle *d, bool value) {
    (void)value;
    type(d);
}

static void type(struct demangle *d) {
    static const char *const basic[26] = {"i8",    "bool", "char", "f64", "str",  "f32",  NULL,  "u8", "isize",
                                          "usize", NULL,   "i32",  "u32", "i128", "u128", "_",   NULL, NULL,
                                          "i16",   "u16",  "()",   "...", NULL,   "i64",  "u64", "!"};
    if (!demangle_enter(d)) return;
    uint8_t c = demangle_next(d);
    if (c >= 'a' && c <= 'z') {
        if (basic[c - 'a']) demangle_put(d, str_c(basic[c - 'a']));
        else demangle_fail(d);
    } else switch (c) {
        case 'R': reference(d, STR("&")); break;
        case 'Q': reference(d, STR("&mut")); break;
        case 'P': reference(d, STR("*const ")); break;
        case 'O': reference(d, STR("*mut ")); break;
        case 'A':
        case 'S':
            DEMANGLE_PUT(d, "[");
            type(d);
            if (c == 'A') DEMANGLE_PUT(d, "; "), constant(d, false);
            DEMANGLE_PUT(d, "]");
            break;
        case 'T':
            DEMANGLE_PUT(d, "(");
            for (unsigned n = 0; !d->bad; n++) {
                if (demangle_eat(d, 'E')) {
                    if (n == 1) DEMANGLE_PUT(d, ",");
                    break;
                }
                if (n) DEMANGLE_PUT(d, ", ");
                type(d);
            }
            DEMANGLE_PUT(d, ")");
            break;
        case 'F': function_type(d); break;
        case 'D': dyn_type(d); break;
        case 'B': backref(d, type_again, false); break;
        default:
            if (c) d->at--, path(d, false);
            else demangle_fail(d);
        }
    demangle_leave(d);
}

void demangle_rust_v0(struct demangle *d) {
    if (demangle_peek(d) >= '0' && demangle_peek(d) <= '9') demangle_fail(d); /* of a version to come */
    path(d, true);
    if (d->bad || d->at == d->in.n || demangle_peek(d) == '.' || demangle_peek(d) == '$') return;
    d->quiet++; /* the crate that made it */
    path(d, false);
    if (d->at < d->in.n && demangle_peek(d) != '.' && demangle_peek(d) != '$') demangle_fail(d);
}
