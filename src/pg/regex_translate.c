/* regex_translate: an advanced regular expression of PostgreSQL's, written anew for PCRE2. See regex.h.
 *
 *   expression   branch | branch …
 *   branch       piece piece …
 *   piece        atom, atom quantifier, constraint
 *
 * Which of its matches an expression prefers: that of its first quantified atom that prefers one; greedy, if it has several branches.
 */
#include "pg/chars.h"
#include "pg/regex.h"

enum prefers { NOTHING, LONG, SHORT };
enum { DEPTH_MAX = 50, REPEAT_MAX = 255 };
struct reader {
    struct pg_call *call;
    str s;
    size_t i;
    struct pg_regex_text *to;
    uint32_t depth, closed; /* groups that are complete */
    uint32_t ahead;         /* within a lookaround: what is in parentheses is not captured */
};

static bool wrong(struct reader *r, const char *what) {
    return pg_raise(r->call, "2201B", "invalid regular expression: %s", what);
}
static bool cannot(struct reader *r, const char *what) {
    pg_raise(r->call, "0A000", "regular expressions with %s are not supported on SQLite", what);
    return false;
}
static bool end(const struct reader *r) { return r->i >= r->s.n; }
static bool is(const struct reader *r, const char *word) { return str_starts(str_sub(r->s, r->i, r->s.n), str_c(word)); }
static bool eat(struct reader *r, const char *word) {
    if (!is(r, word)) return false;
    r->i += strlen(word);
    return true;
}
static void put(struct reader *r, const char *text) { buf_puts(&r->to->text, str_c(text)); }
static void put_char(struct reader *r, uint32_t c) { buf_printf(&r->to->text, "\\x{%x}", c); }

/* What the C.UTF-8 locale calls a blank and a digit; PCRE2 has more of both. The rest is PCRE2's. */
#define SPACES "\\x09-\\x0d\\x20\\x{1680}\\x{2000}-\\x{2006}\\x{2008}-\\x{200a}\\x{2028}\\x{2029}\\x{205f}\\x{3000}"
#define NOT_SPACES                                                                                                               \
    "\\x00-\\x08\\x0e-\\x1f\\x21-\\x{167f}\\x{1681}-\\x{1fff}\\x{2007}\\x{200b}-\\x{2027}\\x{202a}-\\x{205e}\\x{2060}-\\x{2fff}" \
    "\\x{3001}-\\x{10ffff}"
#define NOT_DIGITS "\\x00-\\x2f\\x3a-\\x{10ffff}"
static const struct {
    const char *name, *text; /* within brackets */
} classes[] = {
    {"alnum", "[:alnum:]"},   {"alpha", "[:alpha:]"},
    {"ascii", "\\x00-\\x7f"}, {"blank", "\\x09\\x20\\x{1680}\\x{2000}-\\x{2006}\\x{2008}-\\x{200a}\\x{205f}\\x{3000}"},
    {"cntrl", "[:cntrl:]"},   {"digit", "0-9"},
    {"graph", "[:graph:]"},   {"lower", "[:lower:]"},
    {"print", "[:print:]"},   {"punct", "[:punct:]"},
    {"space", SPACES},        {"upper", "[:upper:]"},
    {"word", "\\w"},          {"xdigit", "0-9A-Fa-f"},
};

/* ---- escapes ---- */

static bool hex(struct reader *r, size_t digits_min, size_t digits_max, uint32_t *out) {
    uint64_t v = 0;
    size_t k = 0;
    for (; k < digits_max && !end(r); k++, r->i++) {
        uint8_t c = r->s.p[r->i] | 0x20;
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0 || (digit < 10 && r->s.p[r->i] < '0')) break;
        v = v << 4 | (unsigned)digit;
        if (v > 0x10ffff) return wrong(r, "invalid escape \\ sequence");
    }
    *out = (uint32_t)v;
    if (k < digits_min || !v || (v >= 0xd800 && v <= 0xdfff)) return wrong(r, "invalid escape \\ sequence");
    return true;
}

static uint32_t octal(struct reader *r, uint32_t v, int digits) {
    for (; digits && !end(r) && r->s.p[r->i] >= '0' && r->s.p[r->i] <= '7'; digits--) v = v * 8 + (r->s.p[r->i++] - '0');
    return v;
}

/* An escape that stands for one character; r->i is after its letter. 1: it is one, 0: not, -1: raised. */
static int escaped_char(struct reader *r, uint8_t c, uint32_t *out) {
    static const char letters[] = "aebfnrtv", values[] = "\a\033\b\f\n\r\t\v";
    const char *at = c ? strchr(letters, c) : NULL;
    if (at) return *out = (uint8_t)values[at - letters], 1;
    switch (c) {
    case 'B': return *out = '\\', 1;
    case 'c':
        if (end(r)) return wrong(r, "invalid escape \\ sequence") ? 1 : -1;
        return *out = r->s.p[r->i++] & 0x1f, 1;
    case 'u': return hex(r, 4, 4, out) ? 1 : -1;
    case 'U': return hex(r, 8, 8, out) ? 1 : -1;
    case 'x': return hex(r, 1, 255, out) ? 1 : -1;
    case '0': return *out = octal(r, 0, 2), 1;
    default: return 0;
    }
}

static const char *class_of(uint8_t letter) {
    return letter == 'd' ? "0-9" : letter == 's' ? SPACES : letter == 'w' ? "\\w" : NULL;
}

static bool back_reference(struct reader *r, uint8_t first) {
    uint32_t v = first - '0';
    size_t from = r->i;
    while (!end(r) && r->s.p[r->i] >= '0' && r->s.p[r->i] <= '9' && v < 1000) v = v * 10 + (r->s.p[r->i++] - '0');
    if (r->i > from && v > r->to->groups) { /* of several digits, and no group: a character's number in octal */
        r->i = from;
        if (first > '7') return wrong(r, "invalid backreference number");
        put_char(r, octal(r, first - '0', 2));
        return true;
    }
    if (v > r->closed || r->ahead) return wrong(r, "invalid backreference number");
    r->to->back = true;
    buf_printf(&r->to->text, "\\g{%u}", v);
    return true;
}

/* After a backslash, outside brackets. *constraint: it takes no quantifier. */
static bool escape(struct reader *r, bool *constraint) {
    static const char *const places[] = {"m[[:<:]]", "M[[:>:]]", "y\\b", "Y\\B", "A\\A", "Z\\z"};
    if (end(r)) return wrong(r, "invalid escape \\ sequence");
    uint8_t c = r->s.p[r->i];
    uint32_t v;
    if (!((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && !(c >= '0' && c <= '9')) { /* stands for itself */
        size_t k;
        v = pg_char_at(r->s, r->i, &k);
        r->i += k;
        return put_char(r, v), true;
    }
    r->i++;
    for (size_t i = 0; i < ARRAY_COUNT(places); i++)
        if (places[i][0] == c) return put(r, places[i] + 1), *constraint = true, true;
    if (c >= '1' && c <= '9') return back_reference(r, c);
    int one = escaped_char(r, c, &v);
    if (one) return put_char(r, v), one > 0;
    const char *class = class_of(c | 0x20);
    if (!class) return wrong(r, "invalid escape \\ sequence");
    put(r, c & 0x20 ? "[" : "[^");
    put(r, class);
    put(r, "]");
    return true;
}

/* ---- brackets ---- */

/* [:name:] [.c.] [=c=]; r->i is after the second character. 1: a character, 0: a class, -1: raised. */
static int bracket_named(struct reader *r, uint8_t kind, uint32_t *out) {
    const uint8_t close[] = {kind, ']', 0};
    size_t from = r->i;
    while (!end(r) && !is(r, (const char *)close)) r->i++;
    if (end(r)) return wrong(r, "brackets [] not balanced") ? 0 : -1;
    str name = str_sub(r->s, from, r->i - from);
    r->i += 2;
    if (kind == ':') {
        for (size_t i = 0; i < ARRAY_COUNT(classes); i++)
            if (str_eqc(name, classes[i].name)) {
                bool case_class = r->to->flags.icase && (name.p[0] == 'l' || name.p[0] == 'u');
                return put(r, case_class ? "[:alpha:]" : classes[i].text), 0;
            }
        return wrong(r, "invalid character class") ? 0 : -1;
    }
    size_t k;
    if (!name.n || pg_char_bytes(name, 0) != name.n) return cannot(r, "collating elements") ? 0 : -1;
    *out = pg_char_at(name, 0, &k);
    return 1;
}

/* 1: one character, 0: a class was put, -1: raised */
static int bracket_item(struct reader *r, uint32_t *out) {
    size_t k;
    if (end(r)) return wrong(r, "brackets [] not balanced") ? 0 : -1;
    if (is(r, "[:") || is(r, "[.") || is(r, "[=")) {
        uint8_t kind = r->s.p[r->i + 1];
        r->i += 2;
        return bracket_named(r, kind, out);
    }
    uint8_t c = r->s.p[r->i];
    if (c != '\\') return *out = pg_char_at(r->s, r->i, &k), r->i += k, 1;
    if (++r->i >= r->s.n) return wrong(r, "invalid escape \\ sequence") ? 0 : -1;
    c = r->s.p[r->i];
    if (!((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && !(c >= '0' && c <= '9'))
        return *out = pg_char_at(r->s, r->i, &k), r->i += k, 1;
    r->i++;
    if (c >= '1' && c <= '7') return *out = octal(r, c - '0', 2), 1;
    int one = escaped_char(r, c, out);
    if (one) return one;
    const char *class = c == 'D' ? NOT_DIGITS : c == 'S' ? NOT_SPACES : c == 'W' ? "\\W" : class_of(c);
    if (!class) return wrong(r, "invalid escape \\ sequence") ? 0 : -1;
    return put(r, class), 0;
}

static bool bracket_range(struct reader *r, uint32_t from) {
    uint32_t to;
    r->i++; /* the '-' */
    int kind = bracket_item(r, &to);
    if (kind < 0) return false;
    if (kind == 0 || to < from) return wrong(r, "invalid character range");
    put_char(r, from);
    put(r, "-");
    put_char(r, to);
    return true;
}

static bool brackets(struct reader *r) {
    bool negated = eat(r, "^");
    put(r, negated ? "[^" : "[");
    if (negated && r->to->flags.dot_stops) put(r, "\\n");
    for (bool first = true; first || !is(r, "]"); first = false) {
        uint32_t c;
        int kind = bracket_item(r, &c);
        if (kind < 0) return false;
        bool range = is(r, "-") && r->i + 1 < r->s.n && r->s.p[r->i + 1] != ']';
        if (kind == 0 && range) return wrong(r, "invalid character range");
        if (kind == 0) continue;
        if (range && !bracket_range(r, c)) return false;
        if (!range) put_char(r, c);
        if (!pg_call_works(r->call, 10)) return false;
    }
    r->i++;
    put(r, "]");
    return true;
}

/* ---- pieces ---- */

static bool expression(struct reader *r, enum prefers *prefers);

/* What expanded syntax takes for nothing, and comments. */
static bool skip(struct reader *r) {
    for (;;) {
        if (eat(r, "(?#")) {
            while (!end(r) && !is(r, ")")) r->i++;
            if (!eat(r, ")")) return wrong(r, "parentheses () not balanced");
        } else if (r->to->flags.expanded && !end(r) && (str_find(STR(" \t\n\r\f\v"), r->s.p[r->i]) < 6)) {
            r->i++;
        } else if (r->to->flags.expanded && is(r, "#")) {
            while (!end(r) && !is(r, "\n")) r->i++;
        } else {
            return true;
        }
    }
}

/* After '('. */
static bool group(struct reader *r, enum prefers *prefers, bool *constraint) {
    static const char *const around[] = {"?=", "?!", "?<=", "?<!"};
    bool captured = !r->ahead;
    *constraint = false;
    for (size_t i = 0; i < ARRAY_COUNT(around) && !*constraint; i++)
        if (eat(r, around[i])) {
            put(r, "(");
            put(r, around[i]);
            *constraint = true;
        }
    if (!*constraint) {
        if (eat(r, "?:")) captured = false;
        else if (is(r, "?")) return wrong(r, "quantifier operand invalid");
        if (captured && ++r->to->groups > PG_REGEX_GROUPS_MAX) return cannot(r, "more than 64 groups");
        put(r, captured ? "(" : "(?:");
    }
    r->ahead += *constraint;
    if (!expression(r, prefers)) return false;
    r->ahead -= *constraint;
    if (!eat(r, ")")) return wrong(r, "parentheses () not balanced");
    put(r, ")");
    if (captured && !*constraint) r->closed = r->to->groups;
    if (*constraint) *prefers = NOTHING;
    return true;
}

static bool number(struct reader *r, uint32_t *out) {
    size_t from = r->i;
    for (*out = 0; !end(r) && r->s.p[r->i] >= '0' && r->s.p[r->i] <= '9'; r->i++)
        *out = MIN(*out * 10 + (r->s.p[r->i] - '0'), 1000u);
    if (r->i == from || *out > REPEAT_MAX) return wrong(r, "invalid repetition count(s)");
    return true;
}

/* {m} {m,} {m,n}; r->i is after '{' */
static bool bounds(struct reader *r, bool *fixed) {
    uint32_t low, high;
    if (!number(r, &low)) return false;
    *fixed = !is(r, ",");
    buf_printf(&r->to->text, "{%u", low);
    if (eat(r, ",")) {
        put(r, ",");
        if (!is(r, "}")) {
            if (!number(r, &high)) return false;
            if (low > high) return wrong(r, "invalid repetition count(s)");
            buf_printf(&r->to->text, "%u", high);
            *fixed = low == high;
        }
    }
    put(r, "}");
    return eat(r, "}") || wrong(r, "braces {} not balanced");
}

static bool at_quantifier(const struct reader *r) {
    if (end(r)) return false;
    uint8_t c = r->s.p[r->i];
    if (c == '*' || c == '+' || c == '?') return true;
    return c == '{' && r->i + 1 < r->s.n && r->s.p[r->i + 1] >= '0' && r->s.p[r->i + 1] <= '9';
}

static bool quantifier(struct reader *r, enum prefers *prefers) {
    bool fixed = false;
    uint8_t c = r->s.p[r->i++];
    if (c == '{' && !bounds(r, &fixed)) return false;
    if (c != '{') buf_putc(&r->to->text, c);
    bool lazy = eat(r, "?");
    if (lazy) put(r, "?");
    if (!fixed) *prefers = lazy ? SHORT : LONG;
    if (!skip(r)) return false;
    return at_quantifier(r) ? wrong(r, "quantifier operand invalid") : true;
}

static bool piece(struct reader *r, enum prefers *prefers) {
    size_t k;
    bool constraint = false, ok = true;
    uint8_t c = r->s.p[r->i];
    *prefers = NOTHING;
    if (at_quantifier(r)) return wrong(r, "quantifier operand invalid");
    if (eat(r, "[[:<:]]")) put(r, "[[:<:]]"), constraint = true;
    else if (eat(r, "[[:>:]]")) put(r, "[[:>:]]"), constraint = true;
    else if (c == '[') r->i++, ok = brackets(r);
    else if (c == '\\') r->i++, ok = escape(r, &constraint);
    else if (c == '(') r->i++, ok = group(r, prefers, &constraint);
    else if (c == '.') r->i++, put(r, r->to->flags.dot_stops ? "[^\\n]" : "(?s:.)");
    else if (c == '^') r->i++, put(r, r->to->flags.lines ? "(?m:^)" : "\\A"), constraint = true;
    else if (c == '$') r->i++, put(r, r->to->flags.lines ? "(?m:$)" : "\\z"), constraint = true;
    else put_char(r, pg_char_at(r->s, r->i, &k)), r->i += k;
    if (!ok || !skip(r)) return false;
    if (!at_quantifier(r)) return pg_call_works(r->call, 20);
    return constraint ? wrong(r, "quantifier operand invalid") : quantifier(r, prefers);
}

static bool branch(struct reader *r, enum prefers *prefers) {
    *prefers = NOTHING;
    if (!skip(r)) return false;
    while (!end(r) && !is(r, "|") && !is(r, ")")) {
        enum prefers one;
        if (!piece(r, &one)) return false;
        if (*prefers == NOTHING) *prefers = one;
        if (r->to->text.full) return pg_raise(r->call, "54000", "the regular expression is too long");
    }
    return true;
}

static bool expression(struct reader *r, enum prefers *prefers) {
    if (++r->depth > DEPTH_MAX) return wrong(r, "regular expression is too complex");
    if (!branch(r, prefers)) return false;
    while (eat(r, "|")) {
        enum prefers other;
        put(r, "|");
        if (!branch(r, &other)) return false;
        *prefers = LONG;
    }
    r->depth--;
    return true;
}

/* ---- options ---- */

/* One letter; false: there is no such. */
static bool flag(struct pg_regex_flags *f, uint8_t c) {
    switch (c) {
    case 'i': return f->icase = true;
    case 'c': return f->icase = false, true;
    case 'x': return f->expanded = true;
    case 't': return f->expanded = false, true;
    case 'q': return f->literal = true;
    case 's': return f->dot_stops = f->lines = false, true;
    case 'm':
    case 'n': return f->dot_stops = f->lines = true;
    case 'p': return f->lines = false, f->dot_stops = true;
    case 'w': return f->dot_stops = false, f->lines = true;
    default: return false;
    }
}

bool pg_regex_flags_read(struct pg_call *call, str text, bool g, const char *function, struct pg_regex_flags *out) {
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        if (c == 'g') {
            out->global = true;
        } else if (c == 'b' || c == 'e') {
            return pg_raise(call, "0A000",
                            "basic and extended regular expressions (options \"b\" and \"e\") are not supported on SQLite");
        } else if (!flag(out, c)) {
            return pg_raise(call, "22023", "invalid regular expression option: \"%.*s\"", (int)pg_char_bytes(text, i),
                            (const char *)text.p + i);
        }
    }
    if (out->global && !g) return pg_raise(call, "22023", "%s does not support the \"global\" option", function);
    return true;
}

/* ***: ***= (?letters) at the very beginning */
static bool directors(struct reader *r) {
    if (eat(r, "***=")) return r->to->flags.literal = true;
    if (is(r, "***") && !eat(r, "***:")) return wrong(r, "quantifier operand invalid");
    if (!is(r, "(?") || r->i + 2 >= r->s.n || (r->s.p[r->i + 2] | 0x20) < 'a' || (r->s.p[r->i + 2] | 0x20) > 'z') return true;
    for (r->i += 2; !end(r) && !is(r, ")"); r->i++) {
        uint8_t c = r->s.p[r->i];
        if (c == 'b' || c == 'e') return cannot(r, "the option (?b) or (?e)");
        if (!flag(&r->to->flags, c)) return wrong(r, "invalid embedded option");
    }
    return eat(r, ")") || wrong(r, "parentheses () not balanced");
}

static void literal(struct reader *r) {
    for (size_t k; !end(r); r->i += k) put_char(r, pg_char_at(r->s, r->i, &k));
}

bool pg_regex_translate(struct pg_call *call, str pattern, struct pg_regex_flags flags, struct pg_regex_text *out) {
    *out = (struct pg_regex_text){.flags = flags, .text = {.max = 10 * PG_REGEX_BYTES_MAX}};
    struct reader r = {.call = call, .s = pattern, .to = out};
    enum prefers prefers = NOTHING;
    if (pattern.n > PG_REGEX_BYTES_MAX)
        return pg_raise(call, "54000", "the regular expression is longer than %d KiB", PG_REGEX_BYTES_MAX >> 10);
    if (!out->flags.literal && !directors(&r)) return false;
    if (out->flags.literal && (out->flags.expanded || out->flags.dot_stops || out->flags.lines))
        return wrong(&r, "invalid argument to regex function");
    if (out->flags.literal) literal(&r);
    else if (!expression(&r, &prefers)) return false;
    if (!end(&r)) return wrong(&r, "parentheses () not balanced");
    out->lazy = prefers == SHORT;
    return true;
}
