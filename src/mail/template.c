/* template: see mail.h. One pass over the text: literal pieces move the place in the HTML on, actions write what they stand for.
 *
 *   place ──literal──> place          TEXT, TAG, NAME (of an attribute), VALUE (in quotes; of which kind, and how far a URL is), BARE (without), RAW (script, style),
 *                                     RCDATA (title, textarea), COMMENT
 */
#include "mail/mail.h"
#include <stdio.h>

enum { DEPTH_MAX = 16, PATH_MAX_PARTS = 8, ARGS_MAX = 8, PARENS_MAX = 4, VALUE_BYTES_MAX = 4096, TAG_MAX = 16 };

/* ---- where in the HTML ---- */

enum where { TEXT, OPENING, TAG, NAME, BEHIND_NAME, BEFORE_VALUE, VALUE, BARE, RAW, RCDATA, COMMENT };
enum what { PLAIN, URL, SCRIPT, STYLE };
struct place {
    uint8_t where, what;
    uint8_t quote;
    bool begun, query;                /* of a URL: some of it, and its ? or #, has been */
    char tag[TAG_MAX], name[TAG_MAX]; /* in small letters, cut */
    bool closing;                     /* </tag */
};

static bool is_letter(uint8_t c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }
static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }
static bool is_space(uint8_t c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }

static void add_to(char word[TAG_MAX], uint8_t c) {
    size_t n = strlen(word);
    if (n + 1 < TAG_MAX) word[n] = (char)(c >= 'A' && c <= 'Z' ? c | 32 : c), word[n + 1] = 0;
}

static bool is_any(const char *word, const char *const *of) {
    while (*of && strcmp(word, *of) != 0) of++;
    return *of;
}

static enum what kind_of(const char *name) {
    static const char *const urls[] = {"href",   "src",  "action",   "formaction", "background", "cite",
                                       "poster", "data", "longdesc", "usemap",     "xlink:href", NULL};
    static const char *const refused[] = {"srcset", "srcdoc", NULL};
    if (!strncmp(name, "on", 2)) return SCRIPT;
    if (!strcmp(name, "style") || is_any(name, refused)) return STYLE;
    return is_any(name, urls) ? URL : PLAIN;
}

static bool starts(str s, const char *word) {
    size_t n = strlen(word);
    return s.n >= n && str_eq_nocase(str_sub(s, 0, n), str_c(word));
}

/* The tag's > has come. */
static void end_tag(struct place *p) {
    static const char *const raw[] = {"script", "style", "xmp", "iframe", "noembed", "noframes", "plaintext", NULL};
    static const char *const rcdata[] = {"title", "textarea", NULL};
    p->where = p->closing ? TEXT : is_any(p->tag, raw) ? RAW : is_any(p->tag, rcdata) ? RCDATA : TEXT;
    if (p->where == TEXT) p->tag[0] = 0;
    p->name[0] = 0, p->closing = false;
}

static void begin_value(struct place *p, uint8_t quote) {
    p->where = quote ? VALUE : BARE;
    p->quote = quote;
    p->what = (uint8_t)kind_of(p->name);
    p->begun = p->query = false;
}

static void end_value(struct place *p) {
    p->where = TAG;
    p->name[0] = 0;
    p->what = PLAIN, p->quote = 0, p->begun = p->query = false;
}

/* One character, with what follows it. How many are passed over. */
static size_t step(struct place *p, str s) {
    uint8_t c = s.p[0];
    char end[TAG_MAX + 3];
    switch (p->where) {
    case TEXT:
        if (starts(s, "<!--")) {
            p->where = COMMENT;
            return 4;
        }
        if (c == '<' && s.n > 1 && (is_letter(s.p[1]) || s.p[1] == '/' || s.p[1] == '!' || s.p[1] == '?')) {
            p->where = OPENING, p->tag[0] = 0;
            p->closing = s.p[1] == '/';
            return p->closing ? 2 : 1;
        }
        return 1;
    case COMMENT:
        if (starts(s, "-->")) {
            p->where = TEXT;
            return 3;
        }
        return 1;
    case RAW:
    case RCDATA:
        snprintf(end, sizeof end, "</%s", p->tag);
        if (starts(s, end)) {
            p->where = OPENING, p->closing = true;
            p->tag[0] = 0;
            return 2;
        }
        return 1;
    case OPENING:
        if (c == '>') end_tag(p);
        else if (is_space(c) || c == '/') p->where = TAG;
        else add_to(p->tag, c);
        return 1;
    case TAG:
    case BEHIND_NAME:
        if (c == '>') end_tag(p);
        else if (c == '=' && p->where == BEHIND_NAME) p->where = BEFORE_VALUE;
        else if (!is_space(c) && c != '/') p->where = NAME, p->name[0] = 0, add_to(p->name, c);
        return 1;
    case NAME:
        if (c == '>') end_tag(p);
        else if (c == '=') p->where = BEFORE_VALUE;
        else if (is_space(c)) p->where = BEHIND_NAME;
        else if (c == '/') p->where = TAG;
        else add_to(p->name, c);
        return 1;
    case BEFORE_VALUE:
        if (is_space(c)) return 1;
        if (c == '>') end_tag(p);
        else begin_value(p, c == '"' || c == '\'' ? c : 0);
        return 1;
    case VALUE:
        if (c == p->quote) end_value(p);
        else p->query |= c == '?' || c == '#', p->begun |= !is_space(c);
        return 1;
    default: /* BARE */
        if (c == '>') end_value(p), end_tag(p);
        else if (is_space(c)) end_value(p);
        return 1;
    }
}

static void pass(struct place *p, str text) {
    while (text.n) text = str_sub(text, step(p, text), text.n);
}

static bool same_place(const struct place *a, const struct place *b) {
    return a->where == b->where && a->what == b->what && a->quote == b->quote && a->closing == b->closing &&
           !strcmp(a->tag, b->tag) && !strcmp(a->name, b->name);
}

/* ---- values, as they stand there ---- */

static void put_html(struct buf *to, str s) {
    for (size_t i = 0; i < s.n; i++) switch (s.p[i]) {
        case '<': buf_puts(to, STR("&lt;")); break;
        case '>': buf_puts(to, STR("&gt;")); break;
        case '&': buf_puts(to, STR("&amp;")); break;
        case '"': buf_puts(to, STR("&#34;")); break;
        case '\'': buf_puts(to, STR("&#39;")); break;
        case '+': buf_puts(to, STR("&#43;")); break;
        default: buf_putc(to, s.p[i]);
        }
}

static void put_percent(struct buf *to, str s, bool whole) {
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        bool plain = is_letter(c) || is_digit(c) || (c && strchr("-._~", c));
        if (!plain && !whole) plain = c && strchr("!#$&*+,/:;=?@[]%", c); /* as it is in a URL */
        if (plain) buf_putc(to, c);
        else buf_printf(to, "%%%02X", c);
    }
}

/* What runs something where it is followed. */
static bool is_safe_url(str s, bool trusted) {
    static const char *const known[] = {"http", "https", "mailto", "tel", NULL}, *const run[] = {"javascript", "vbscript", "data",
                                                                                                 "blob",       "file",     NULL};
    char scheme[TAG_MAX] = "";
    size_t end = 0;
    while (end < s.n && !strchr(":/?#", s.p[end] ? s.p[end] : '/')) add_to(scheme, s.p[end++]);
    if (end == s.n || s.p[end] != ':') return true;
    return trusted ? !is_any(scheme, run) : is_any(scheme, known);
}

static void put_value(struct buf *to, const struct mail_value *v, struct place *p, bool html) {
    struct buf clean = {0}, url = {0};
    str text = str_sub(v->text, 0, VALUE_BYTES_MAX);
    text.n = str_utf8_prefix(text);
    if (v->kind == MAIL_NOTHING || v->kind == MAIL_MANY) text = (str){0};
    for (size_t i = 0; i < text.n; i++) buf_putc(&clean, text.p[i] < ' ' || text.p[i] == 0x7f ? ' ' : text.p[i]);
    text = buf_str(&clean);
    if (!html) buf_puts(to, text);
    else if (p->where == VALUE && p->what == URL) {
        if (!p->begun && !is_safe_url(text, v->trusted)) buf_puts(&url, STR("#"));
        else put_percent(&url, text, p->query);
        put_html(to, buf_str(&url));
        p->begun |= text.n > 0; /* a ? in what was put says nothing of what the template goes on with: as html/template has it */
    } else put_html(to, text);
    buf_free(&clean), buf_free(&url);
}

/* ---- actions ---- */

struct run {
    const struct mail_template *t;
    struct mail_fault *fault;
    str all, left; /* left: of an action */
    struct buf *to;
    size_t begun; /* of to */
    struct place place;
    uint32_t depth, parens;
    struct level {
        bool taken, takes, outer, has_else; /* one of its branches was; this one is; the one around is */
        struct place began, ended;          /* ended: of the first branch */
        bool has_ended;
    } levels[DEPTH_MAX];
};

static bool fail(struct run *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
static bool fail(struct run *r, const char *fmt, ...) {
    if (r->fault->line) return false;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->fault->text, sizeof r->fault->text, fmt, ap);
    va_end(ap);
    r->fault->line = 1;
    for (const uint8_t *c = r->all.p; c < r->left.p; c++) r->fault->line += *c == '\n';
    return false;
}

static bool takes(const struct run *r) { return !r->depth || r->levels[r->depth - 1].takes; }

static void skip_space(struct run *r) {
    while (r->left.n && is_space(r->left.p[0])) r->left = str_sub(r->left, 1, r->left.n);
}

static str take_word(struct run *r) {
    size_t n = 0;
    while (n < r->left.n && (is_letter(r->left.p[n]) || is_digit(r->left.p[n]) || r->left.p[n] == '_')) n++;
    str word = str_sub(r->left, 0, n);
    r->left = str_sub(r->left, n, r->left.n);
    return word;
}

static bool take_path(struct run *r, struct mail_value *v) {
    str path[PATH_MAX_PARTS];
    uint32_t n = 0;
    bool known = false;
    str begun = r->left;
    while (r->left.n && r->left.p[0] == '.') {
        r->left = str_sub(r->left, 1, r->left.n);
        str word = take_word(r);
        if (!word.n) return fail(r, n ? "a name is missing behind the dot" : "the dot alone is not there: {{ .Name }}");
        if (n == PATH_MAX_PARTS) return fail(r, "a name with more than %d parts", PATH_MAX_PARTS);
        path[n++] = word;
    }
    for (const char *const *name = r->t->names; *name && !known; name++) known = str_eqc(path[0], *name);
    r->left = known ? r->left : begun;
    if (!known) return fail(r, "there is no ." STR_FMT " here", STR_ARG(str_sub(path[0], 0, 40)));
    if (n > 1 && !str_eqc(path[0], "Data")) return fail(r, "." STR_FMT " has no parts", STR_ARG(path[0]));
    if (r->t->find) r->t->find(r->t->arg, path, n, v);
    return true;
}

static bool take_quoted(struct run *r, struct mail_value *v) {
    uint8_t quote = r->left.p[0];
    str rest = str_sub(r->left, 1, r->left.n);
    size_t end = str_find(rest, quote);
    if (end == rest.n) return fail(r, "a word's quotes have no end");
    v->kind = MAIL_TEXT, v->text = str_sub(rest, 0, end), v->is_true = end > 0;
    if (quote == '"' && str_find(v->text, '\\') < v->text.n) return fail(r, "a word in quotes has no backslash here");
    r->left = str_sub(rest, end + 1, rest.n);
    return true;
}

static bool take_command(struct run *r, struct mail_value *v);

static bool take_operand(struct run *r, struct mail_value *v) {
    *v = (struct mail_value){0};
    skip_space(r);
    uint8_t c = r->left.n ? r->left.p[0] : 0;
    if (c == '.') return take_path(r, v);
    if (c == '"' || c == '`') return take_quoted(r, v);
    if (c == '(') {
        if (++r->parens > PARENS_MAX) return fail(r, "more than %d parentheses in each other", PARENS_MAX);
        r->left = str_sub(r->left, 1, r->left.n);
        if (!take_command(r, v)) return false;
        skip_space(r);
        if (!r->left.n || r->left.p[0] != ')') return fail(r, "a parenthesis has no end");
        r->left = str_sub(r->left, 1, r->left.n);
        r->parens--;
        return true;
    }
    if (is_digit(c) || (c == '-' && r->left.n > 1 && is_digit(r->left.p[1]))) {
        size_t n = 1;
        while (n < r->left.n && (is_digit(r->left.p[n]) || r->left.p[n] == '.')) n++;
        v->kind = MAIL_TEXT, v->text = str_sub(r->left, 0, n), v->is_true = !str_eqc(v->text, "0");
        r->left = str_sub(r->left, n, r->left.n);
        return true;
    }
    str before = r->left, word = take_word(r);
    if (str_eqc(word, "true") || str_eqc(word, "false")) {
        v->kind = MAIL_BOOL, v->text = word, v->is_true = word.n == 4;
        return true;
    }
    if (str_eqc(word, "nil")) return true;
    r->left = before;
    if (c == '$') return fail(r, "variables ($) are not there");
    if (!word.n) return fail(r, c ? "what begins with %c is not there" : "something is missing", c);
    return fail(r, STR_FMT " is no function that is there: eq, ne, and, or, not, index, urlquery", STR_ARG(str_sub(word, 0, 40)));
}

static bool same(const struct mail_value *a, const struct mail_value *b) {
    return (a->kind == MAIL_NOTHING) == (b->kind == MAIL_NOTHING) && str_eq(a->text, b->text);
}

enum function { EQ, NE, AND, OR, NOT, INDEX, URLQUERY, FUNCTIONS };
static const struct {
    const char *name;
    uint8_t least, most;
} functions[FUNCTIONS] = {
    [EQ] = {"eq", 2, ARGS_MAX}, [NE] = {"ne", 2, 2},       [AND] = {"and", 1, ARGS_MAX},   [OR] = {"or", 1, ARGS_MAX},
    [NOT] = {"not", 1, 1},      [INDEX] = {"index", 2, 3}, [URLQUERY] = {"urlquery", 1, 1}};

static void be_bool(struct mail_value *v, bool is) {
    *v = (struct mail_value){.kind = MAIL_BOOL, .text = is ? STR("true") : STR("false"), .is_true = is};
}

/* index .Data "name" "of": the same as .Data.name.of, for names that are no words. */
static bool take_index(struct run *r, struct mail_value *v) {
    str path[3] = {STR("Data")};
    uint32_t n = 1;
    struct mail_value part;
    skip_space(r);
    if (!starts(r->left, ".Data")) return fail(r, "index takes .Data and names of it");
    r->left = str_sub(r->left, 5, r->left.n);
    for (skip_space(r); r->left.n && (r->left.p[0] == '"' || r->left.p[0] == '`'); skip_space(r)) {
        if (n == 3) return fail(r, "index takes two names");
        if (!take_quoted(r, &part)) return false;
        path[n++] = part.text;
    }
    *v = (struct mail_value){0};
    if (n == 1) return fail(r, "index takes .Data and names of it");
    if (r->t->find) r->t->find(r->t->arg, path, n, v);
    return true;
}

static bool call(struct run *r, enum function f, const struct mail_value *args, uint32_t n, struct mail_value *v) {
    uint32_t i = 0;
    bool any = false;
    switch (f) {
    case EQ:
        for (i = 1; i < n; i++) any |= same(&args[0], &args[i]);
        be_bool(v, any);
        return true;
    case NE: be_bool(v, !same(&args[0], &args[1])); return true;
    case NOT: be_bool(v, !args[0].is_true); return true;
    case AND:
    case OR:
        while (i + 1 < n && args[i].is_true == (f == AND)) i++;
        *v = args[i];
        return true;
    default: return fail(r, "urlquery stands alone: {{ urlquery .Email }}");
    }
}

static bool at_end(struct run *r) {
    skip_space(r);
    return !r->left.n || r->left.p[0] == ')';
}

/* "eq .Data.lang \"de\"", or one operand. */
static bool take_command(struct run *r, struct mail_value *v) {
    struct mail_value args[ARGS_MAX];
    uint32_t n = 0;
    skip_space(r);
    str before = r->left, word = r->left.n && is_letter(r->left.p[0]) ? take_word(r) : (str){0};
    enum function f = 0;
    while (f < FUNCTIONS && !str_eqc(word, functions[f].name)) f++;
    if (f == FUNCTIONS) {
        r->left = before;
        if (!take_operand(r, v)) return false;
    } else if (f == INDEX) {
        if (!take_index(r, v)) return false;
    } else {
        while (!at_end(r)) {
            if (n == ARGS_MAX) return fail(r, "more than %d things for one function", ARGS_MAX);
            if (!take_operand(r, &args[n++])) return false;
        }
        if (n < functions[f].least || n > functions[f].most)
            return fail(r, "%s takes another number of things", functions[f].name);
        if (!call(r, f, args, n, v)) return false;
    }
    if (at_end(r)) return true;
    return fail(r, r->left.p[0] == '|' ? "pipes (|) are not there: functions stand before what they take"
                                       : "something stands behind it that is not of it");
}

/* ---- statements ---- */

static bool has(const struct run *r, const char *word) {
    size_t n = strlen(word);
    return starts(r->left, word) && (r->left.n == n || !(is_letter(r->left.p[n]) || is_digit(r->left.p[n])));
}
static void drop(struct run *r, const char *word) { r->left = str_sub(r->left, strlen(word), r->left.n); }

static bool condition(struct run *r, bool *is) {
    struct mail_value v;
    if (!take_command(r, &v)) return false;
    *is = v.is_true;
    return !r->left.n || fail(r, "a parenthesis has no beginning");
}

static bool begin_if(struct run *r) {
    bool is;
    if (r->depth == DEPTH_MAX) return fail(r, "more than %d ifs in each other", DEPTH_MAX);
    if (!condition(r, &is)) return false;
    bool outer = takes(r);
    r->levels[r->depth++] = (struct level){.taken = is, .takes = outer && is, .outer = outer, .began = r->place};
    return true;
}

static bool end_branch(struct run *r, struct level *l) {
    if (l->has_ended && r->t->html && !same_place(&l->ended, &r->place))
        return fail(r, "branches of an if end in different places of the HTML");
    l->ended = r->place, l->has_ended = true;
    return true;
}

static bool do_else(struct run *r) {
    struct level *l = r->depth ? &r->levels[r->depth - 1] : NULL;
    bool is = true;
    if (!l || l->has_else) return fail(r, "an else without an if");
    if (!end_branch(r, l)) return false;
    r->place = l->began;
    skip_space(r);
    if (has(r, "if")) {
        drop(r, "if");
        if (!condition(r, &is)) return false;
    } else if (r->left.n) return fail(r, "an else takes an if, or nothing");
    else l->has_else = true;
    l->takes = l->outer && !l->taken && is;
    l->taken |= is;
    return true;
}

static bool do_end(struct run *r) {
    struct level *l = r->depth ? &r->levels[r->depth - 1] : NULL;
    if (!l) return fail(r, "an end without an if");
    skip_space(r);
    if (r->left.n) return fail(r, "end stands alone");
    if (!end_branch(r, l)) return false;
    if (!l->has_else) { /* where no branch is taken, it goes on as it began */
        r->place = l->began;
        if (!end_branch(r, l)) return false;
    }
    r->depth--;
    return true;
}

static bool may_stand(struct run *r) {
    const struct place *p = &r->place;
    if (!r->t->html) return true;
    switch (p->where) {
    case TEXT:
    case RCDATA:
    case COMMENT: return true;
    case RAW: return fail(r, "in <%s> nothing can be put safely", p->tag);
    case VALUE:
        if (p->what == SCRIPT) return fail(r, "in %s, which is run, nothing can be put safely", p->name);
        if (p->what == STYLE) return fail(r, "in %s nothing can be put safely", p->name);
        return true;
    case BARE:
    case BEFORE_VALUE: return fail(r, "the value of %s needs quotes around it", p->name);
    default: return fail(r, "in a tag nothing can be put but into values of attributes");
    }
}

static bool put(struct run *r) {
    struct mail_value v;
    static const char *const refused[] = {"range", "with", "template", "define", "block", "break", "continue", NULL};
    bool query = has(r, "urlquery");
    for (const char *const *word = refused; *word; word++)
        if (has(r, *word)) return fail(r, "%s is not there: if, else and end are", *word);
    if (!may_stand(r)) return false;
    if (query) drop(r, "urlquery");
    if (!take_command(r, &v)) return false;
    if (r->left.n) return fail(r, "a parenthesis has no beginning");
    if (v.kind == MAIL_MANY) v = (struct mail_value){0};
    struct buf escaped = {0};
    if (!takes(r)) { /* nothing is written, and that costs nothing */
        r->place.begun |= r->place.where == VALUE && r->place.what == URL && v.text.n;
        return true;
    }
    if (query) put_percent(&escaped, str_sub(v.text, 0, VALUE_BYTES_MAX), true), v.text = buf_str(&escaped);
    put_value(r->to, &v, &r->place, r->t->html);
    buf_free(&escaped);
    return r->to->n - r->begun <= MAIL_FILLED_BYTES_MAX || fail(r, "filled, it has more than %d bytes", MAIL_FILLED_BYTES_MAX);
}

static bool act(struct run *r) {
    skip_space(r);
    if (starts(r->left, "/*")) return str_ends(r->left, STR("*/")) || fail(r, "a comment has no end");
    if (has(r, "if")) return drop(r, "if"), begin_if(r);
    if (has(r, "else")) return drop(r, "else"), do_else(r);
    if (has(r, "end")) return drop(r, "end"), do_end(r);
    return put(r);
}

/* The end of an action's text, behind which its }} stands; in quotes and comments there may be others. */
static size_t end_of(str s) {
    uint8_t quote = 0;
    if (starts(str_trim(s), "/*"))
        for (size_t i = 0; i + 1 < s.n; i++)
            if (s.p[i] == '*' && s.p[i + 1] == '/') {
                s = str_sub(s, 0, s.n);
                for (i += 2; i + 1 < s.n && !(s.p[i] == '}' && s.p[i + 1] == '}'); i++) {}
                return i + 1 < s.n ? i : s.n;
            }
    for (size_t i = 0; i + 1 < s.n; i++) {
        uint8_t c = s.p[i];
        if (quote) quote = c == quote ? 0 : quote;
        else if (c == '"' || c == '`') quote = c;
        else if (c == '}' && s.p[i + 1] == '}') return i;
    }
    return s.n;
}

static void put_literal(struct run *r, str text, bool trims) {
    while (trims && text.n && is_space(text.p[0])) text = str_sub(text, 1, text.n);
    pass(&r->place, text);
    if (takes(r)) buf_puts(r->to, text);
}

bool mail_template_fill(struct buf *to, str text, const struct mail_template *t, struct mail_fault *fault) {
    struct run r = {.t = t, .fault = fault, .all = text, .to = to, .begun = to->n};
    bool trims = false;
    *fault = (struct mail_fault){0};
    r.left = str_sub(text, 0, 0);
    if (text.n > MAIL_TEMPLATE_BYTES_MAX) return fail(&r, "it has more than %d bytes", MAIL_TEMPLATE_BYTES_MAX);
    if (!str_is_utf8(text)) return fail(&r, "it is no UTF-8");
    while (text.n) {
        size_t open = 0;
        while (open < text.n && !(text.p[open] == '{' && open + 1 < text.n && text.p[open + 1] == '{')) open++;
        str literal = str_sub(text, 0, open), action = str_sub(text, open + 2, text.n);
        bool cuts = action.n > 1 && action.p[0] == '-' && is_space(action.p[1]);
        while (cuts && literal.n && is_space(literal.p[literal.n - 1])) literal.n--;
        put_literal(&r, literal, trims);
        if (open == text.n) break;
        size_t end = end_of(action);
        r.left = str_sub(text, open, 2);
        if (end == action.n) return fail(&r, "{{ has no }}");
        text = str_sub(action, end + 2, action.n);
        action = str_sub(action, cuts ? 1 : 0, end - (cuts ? 1 : 0));
        trims = action.n > 1 && action.p[action.n - 1] == '-' && is_space(action.p[action.n - 2]);
        if (trims) action.n--;
        while (action.n && is_space(action.p[action.n - 1])) action.n--;
        r.left = action;
        if (!act(&r)) return false;
    }
    r.left = str_sub(r.all, r.all.n, 0);
    if (r.depth) return fail(&r, "an if has no end");
    return !t->html || r.place.where == TEXT || fail(&r, "it ends within a tag, a comment or an element that is not closed");
}

/* ---- messages to telephones ---- */

static void find_code(void *arg, const str *path, uint32_t n, struct mail_value *v) {
    const str *code = arg;
    *v = (struct mail_value){.kind = MAIL_TEXT, .text = *code, .is_true = true};
}

bool mail_sms_words(str words, str code, struct buf *to, struct mail_fault *fault) {
    static const char *const names[] = {"Code", NULL};
    const struct mail_template t = {.names = names, .find = find_code, .arg = &code};
    return mail_template_fill(to, words.n ? words : STR("Your code is {{ .Code }}"), &t, fault);
}
