/* search_query: tsquery: its text form, and made of words. See search.h.
 *
 *   or      and | and …        and     phrase & phrase …
 *   phrase  not <-> not …      not     ! not, ( or ), word[:*ABCD]
 */
#include "pg/chars.h"
#include "pg/search.h"

struct reader {
    struct pg_call *call;
    str s;
    size_t i;
    uint32_t depth, nodes;
    bool lexemes, english;  /* words become lexemes, of english */
    enum pg_ts_kind joined; /* what several lexemes of one word are joined by */
};

static bool syntax(struct reader *r) {
    return pg_raise(r->call, "42601", "syntax error in tsquery: \"" STR_FMT "\"", STR_ARG(str_sub(r->s, 0, 400)));
}
static bool is_blank(uint8_t c) { return c == ' ' || (c >= 9 && c <= 13); }
static void blanks(struct reader *r) {
    while (r->i < r->s.n && is_blank(r->s.p[r->i])) r->i++;
}
static bool eat(struct reader *r, uint8_t c) {
    blanks(r);
    if (r->i >= r->s.n || r->s.p[r->i] != c) return false;
    r->i++;
    return true;
}

static struct pg_ts_node *node(struct reader *r, enum pg_ts_kind kind, struct pg_ts_node *left, struct pg_ts_node *right) {
    struct pg_ts_node *n = arena_make(r->call->mem, struct pg_ts_node);
    n->kind = kind;
    n->left = left, n->right = right;
    if (++r->nodes > TS_NODES_MAX) pg_raise(r->call, "54000", "tsquery is too large");
    return n;
}

/* ---- words ---- */

/* The word's lexemes, joined: stop words keep their place. */
static struct pg_ts_node *lexemes(struct reader *r, str text, bool prefix, uint8_t weights) {
    struct pg_ts_word *words;
    uint32_t n;
    struct pg_ts_node *all = NULL;
    if (!pg_ts_words(r->call, text, r->english, &words, &n)) return NULL;
    for (uint32_t i = 0; i < n && !pg_raised(r->call); i++) {
        struct pg_ts_node *one = node(r, words[i].word.n ? TS_WORD : TS_STOP, NULL, NULL);
        if (!words[i].word.n && !all) continue; /* before the first there is nothing to be far from */
        one->word = words[i].word;
        one->prefix = prefix;
        one->weights = weights;
        if (all) all = node(r, r->joined, all, one), all->distance = 1;
        else all = one;
    }
    return all ? all : node(r, TS_STOP, NULL, NULL);
}

static bool is_end_of_word(uint8_t c) {
    return is_blank(c) || c == ':' || c == '&' || c == '|' || c == '!' || c == '(' || c == ')' || c == '<';
}

static bool word_text(struct reader *r, str *out) {
    uint8_t *p = arena_alloc(r->call->mem, r->s.n - r->i + 1, 1);
    size_t n = 0;
    bool quoted = r->s.p[r->i] == '\'';
    if (quoted) r->i++;
    for (; r->i < r->s.n; r->i++) {
        uint8_t c = r->s.p[r->i];
        if (quoted && c == '\'') {
            if (r->i + 1 >= r->s.n || r->s.p[r->i + 1] != '\'') break;
            r->i++;
        } else if (c == '\\') {
            if (++r->i >= r->s.n)
                return pg_raise(r->call, "42601", "there is no escaped character: \"" STR_FMT "\"",
                                STR_ARG(str_sub(r->s, 0, 400)));
            c = r->s.p[r->i];
        } else if (!quoted && is_end_of_word(c)) {
            break;
        }
        p[n++] = c;
    }
    if (quoted && r->i++ >= r->s.n) return syntax(r);
    *out = (str){p, n};
    return n > 0 || quoted || syntax(r);
}

/* :*ABCD */
static void marks(struct reader *r, bool *prefix, uint8_t *weights) {
    if (r->i >= r->s.n || r->s.p[r->i] != ':') return;
    for (r->i++; r->i < r->s.n; r->i++) {
        uint8_t c = r->s.p[r->i] | 0x20;
        if (r->s.p[r->i] == '*') *prefix = true;
        else if (c >= 'a' && c <= 'd') *weights |= (uint8_t)(1 << ('d' - c));
        else break;
    }
}

static struct pg_ts_node *word(struct reader *r) {
    str text;
    bool prefix = false;
    uint8_t weights = 0;
    if (!word_text(r, &text)) return NULL;
    marks(r, &prefix, &weights);
    if (text.n > TS_WORD_BYTES_MAX)
        return pg_raise(r->call, "54000", "word is too long in tsquery: \"" STR_FMT "\"", STR_ARG(str_sub(text, 0, 400))), NULL;
    if (r->lexemes) return lexemes(r, text, prefix, weights);
    if (!text.n) return syntax(r), NULL;
    struct pg_ts_node *n = node(r, TS_WORD, NULL, NULL);
    n->word = text;
    n->prefix = prefix;
    n->weights = weights;
    return n;
}

/* ---- operators ---- */

static struct pg_ts_node *or_of(struct reader *r);

static struct pg_ts_node *not_of(struct reader *r) {
    struct pg_ts_node *n = NULL;
    if (++r->depth > TS_DEPTH_MAX) return pg_raise(r->call, "54001", "stack depth limit exceeded"), NULL;
    blanks(r);
    if (eat(r, '!')) {
        n = not_of(r);
        if (n) n = node(r, TS_NOT, NULL, n);
    } else if (eat(r, '(')) {
        n = or_of(r);
        if (n && !eat(r, ')')) n = NULL, syntax(r);
    } else if (r->i < r->s.n && !is_end_of_word(r->s.p[r->i])) {
        n = word(r);
    } else if (r->i >= r->s.n) {
        pg_raise(r->call, "42601", "no operand in tsquery: \"" STR_FMT "\"", STR_ARG(str_sub(r->s, 0, 400)));
    } else {
        syntax(r);
    }
    r->depth--;
    return pg_raised(r->call) ? NULL : n;
}

/* <-> or <N> */
static bool phrase_operator(struct reader *r, uint32_t *distance) {
    blanks(r);
    str rest = str_sub(r->s, r->i, r->s.n), number, after;
    uint64_t v;
    if (!rest.n || rest.p[0] != '<') return false;
    if (!str_cut(str_sub(rest, 1, rest.n), '>', &number, &after)) return syntax(r);
    if (str_eqc(number, "-")) v = 1;
    else if (!str_to_u64(number, &v)) return syntax(r);
    else if (v > 16384)
        return pg_raise(r->call, "22023", "distance in phrase operator must be an integer value between zero and %d inclusive",
                        16384);
    r->i += number.n + 2;
    *distance = (uint32_t)v;
    return true;
}

static struct pg_ts_node *phrase_of(struct reader *r) {
    struct pg_ts_node *left = not_of(r);
    uint32_t distance;
    while (left && phrase_operator(r, &distance)) {
        struct pg_ts_node *right = not_of(r);
        if (!right) return NULL;
        left = node(r, TS_PHRASE, left, right);
        left->distance = distance;
    }
    return pg_raised(r->call) ? NULL : left;
}
static struct pg_ts_node *and_of(struct reader *r) {
    struct pg_ts_node *left = phrase_of(r);
    while (left && eat(r, '&')) {
        struct pg_ts_node *right = phrase_of(r);
        if (!right) return NULL;
        left = node(r, TS_AND, left, right);
    }
    return pg_raised(r->call) ? NULL : left;
}
static struct pg_ts_node *or_of(struct reader *r) {
    struct pg_ts_node *left = and_of(r);
    while (left && eat(r, '|')) {
        struct pg_ts_node *right = and_of(r);
        if (!right) return NULL;
        left = node(r, TS_OR, left, right);
    }
    return pg_raised(r->call) ? NULL : left;
}

/* ---- without stop words: what they stood between is as far apart as before ---- */

static struct pg_ts_node *clean(struct pg_ts_node *n, uint32_t *before, uint32_t *after) {
    uint32_t ll = 0, lr = 0, rl = 0, rr = 0;
    *before = *after = 0;
    if (n->kind == TS_WORD) return n;
    if (n->kind == TS_STOP) return NULL;
    if (n->kind == TS_NOT) {
        n->right = clean(n->right, before, after);
        return n->right ? n : NULL;
    }
    bool phrase = n->kind == TS_PHRASE;
    uint32_t distance = phrase ? n->distance : 0;
    n->left = clean(n->left, &ll, &lr);
    n->right = clean(n->right, &rl, &rr);
    if (!n->left && !n->right) {
        *before = *after = phrase ? ll + distance + rl : MAX(ll, rl);
        return NULL;
    }
    if (!n->left) {
        *before = phrase ? ll + distance + rl : rl;
        *after = rr;
        return n->right;
    }
    if (!n->right) {
        *before = ll;
        *after = phrase ? lr + distance + rr : lr;
        return n->left;
    }
    if (phrase) {
        n->distance += lr + rl;
        *before = ll;
        *after = rr;
    }
    return n;
}

/* ---- websearch: words, "phrases", or, - ---- */

static struct pg_ts_node *web_item(struct reader *r) {
    bool not = false;
    blanks(r);
    while (r->i < r->s.n && r->s.p[r->i] == '-') not = true, r->i++;
    blanks(r);
    if (r->i >= r->s.n) return NULL;
    size_t from = r->i, end;
    struct pg_ts_node *n;
    if (r->s.p[from] == '"') {
        from++;
        end = from + str_find(str_sub(r->s, from, r->s.n), '"');
        r->i = MIN(end + 1, r->s.n);
        r->joined = TS_PHRASE;
        n = lexemes(r, str_sub(r->s, from, end - from), false, 0);
        r->joined = TS_AND;
    } else {
        for (end = from; end < r->s.n && !is_blank(r->s.p[end]) && r->s.p[end] != '"'; end++) {}
        r->i = end;
        r->joined = TS_PHRASE;
        n = lexemes(r, str_sub(r->s, from, end - from), false, 0);
        r->joined = TS_AND;
    }
    return n && not ? node(r, TS_NOT, NULL, n) : n;
}
static bool web_or(struct reader *r) {
    blanks(r);
    bool is = r->i + 2 < r->s.n && (r->s.p[r->i] | 0x20) == 'o' && (r->s.p[r->i + 1] | 0x20) == 'r' && is_blank(r->s.p[r->i + 2]);
    if (is) r->i += 2;
    return is;
}
static struct pg_ts_node *web(struct reader *r) {
    struct pg_ts_node *any = NULL, *all = NULL;
    while (!pg_raised(r->call)) {
        if (all && web_or(r)) {
            any = any ? node(r, TS_OR, any, all) : all;
            all = NULL;
        }
        struct pg_ts_node *one = web_item(r);
        if (!one) break;
        all = all ? node(r, TS_AND, all, one) : one;
    }
    if (any && all) return node(r, TS_OR, any, all);
    return any ? any : all;
}

/* ---- reading, making ---- */

static bool pg_ts_query_of(struct pg_call *call, str text, bool english, enum pg_ts_form form, struct pg_ts_node **out) {
    struct reader r = {.call = call, .s = text, .lexemes = true, .english = english};
    uint32_t before, after;
    r.joined = form == TS_FORM_PLAIN || form == TS_FORM_WEB ? TS_AND : TS_PHRASE;
    *out = NULL;
    if (form == TS_FORM_QUERY) {
        blanks(&r);
        if (r.i < text.n) *out = or_of(&r);
        blanks(&r);
        if (!pg_raised(call) && r.i < text.n) syntax(&r);
    } else {
        *out = form == TS_FORM_WEB ? web(&r) : lexemes(&r, text, false, 0);
    }
    if (pg_raised(call)) return false;
    if (*out) *out = clean(*out, &before, &after);
    return true;
}

bool pg_ts_query_read(struct pg_call *call, str text, struct pg_ts_node **out) {
    struct reader r = {.call = call, .s = text};
    *out = NULL;
    blanks(&r);
    if (r.i >= text.n) return true;
    *out = or_of(&r);
    blanks(&r);
    if (!pg_raised(call) && r.i < text.n) syntax(&r);
    return !pg_raised(call);
}

/* ---- printing ---- */

static void put_node(struct buf *b, const struct pg_ts_node *q, int outer, bool right_of_phrase) {
    static const int priority[] = {[TS_NOT] = 4, [TS_PHRASE] = 3, [TS_AND] = 2, [TS_OR] = 1};
    if (q->kind == TS_WORD) {
        buf_putc(b, '\'');
        for (size_t i = 0; i < q->word.n; i++) {
            if (q->word.p[i] == '\'' || q->word.p[i] == '\\') buf_putc(b, q->word.p[i]);
            buf_putc(b, q->word.p[i]);
        }
        buf_putc(b, '\'');
        if (q->prefix || q->weights) buf_putc(b, ':');
        if (q->prefix) buf_putc(b, '*');
        for (int w = 3; w >= 0; w--)
            if (q->weights >> w & 1) buf_putc(b, (uint8_t)('D' - w));
        return;
    }
    bool brackets = priority[q->kind] < outer || (q->kind == TS_PHRASE && right_of_phrase);
    if (brackets) buf_puts(b, STR("( "));
    if (q->kind == TS_NOT) {
        buf_putc(b, '!');
        put_node(b, q->right, 4, false);
    } else {
        put_node(b, q->left, priority[q->kind], false);
        if (q->kind == TS_PHRASE && q->distance != 1) buf_printf(b, " <%u> ", q->distance);
        else buf_puts(b, q->kind == TS_PHRASE ? STR(" <-> ") : q->kind == TS_AND ? STR(" & ") : STR(" | "));
        put_node(b, q->right, priority[q->kind], q->kind == TS_PHRASE);
    }
    if (brackets) buf_puts(b, STR(" )"));
}
static void pg_ts_query_put(struct buf *b, const struct pg_ts_node *q) {
    if (q) put_node(b, q, 0, false);
}

static struct db_value query_value(struct pg_call *call, const struct pg_ts_node *q) {
    struct buf *b = pg_call_buf(call);
    pg_ts_query_put(b, q);
    return pg_call_built(call, b);
}
bool pg_tsquery_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    struct pg_ts_node *q;
    (void)typmod;
    if (!pg_ts_query_read(call, text, &q)) return false;
    *out = query_value(call, q);
    return !pg_raised(call);
}
bool pg_tsquery_out(struct pg_call *call, struct db_value v, struct buf *text) { return (void)call, buf_puts(text, v.s), true; }

static void made(struct pg_call *call, const struct db_value *args, uint32_t n, enum pg_ts_form form, struct db_value *out) {
    struct pg_ts_node *q;
    bool english;
    if (pg_ts_config(call, n > 1 ? args[0].s : (str){0}, &english) && pg_ts_query_of(call, args[n - 1].s, english, form, &q))
        *out = query_value(call, q);
}
/* [configuration,] text */
PG_FN(pg_to_tsquery) { made(call, args, n, TS_FORM_QUERY, out); }
PG_FN(pg_plainto_tsquery) { made(call, args, n, TS_FORM_PLAIN, out); }
PG_FN(pg_phraseto_tsquery) { made(call, args, n, TS_FORM_PHRASE, out); }
PG_FN(pg_websearch_to_tsquery) { made(call, args, n, TS_FORM_WEB, out); }

static void combined(struct pg_call *call, const struct db_value *args, enum pg_ts_kind kind, struct db_value *out) {
    struct pg_ts_node *a, *b;
    struct reader r = {.call = call};
    if (!pg_ts_query_read(call, args[0].s, &a) || !pg_ts_query_read(call, args[1].s, &b)) return;
    struct pg_ts_node *both = a && b ? node(&r, kind, a, b) : a ? a : b;
    if (both) both->distance = both->kind == TS_PHRASE && both->left == a && both->right == b ? 1 : both->distance;
    *out = query_value(call, both);
}
PG_FN(pg_tsquery_and) { combined(call, args, TS_AND, out); }
PG_FN(pg_tsquery_or) { combined(call, args, TS_OR, out); }
PG_FN(pg_tsquery_phrase) { combined(call, args, TS_PHRASE, out); }
PG_FN(pg_tsquery_not) {
    struct pg_ts_node *q;
    struct reader r = {.call = call};
    if (pg_ts_query_read(call, args[0].s, &q)) *out = query_value(call, q ? node(&r, TS_NOT, NULL, q) : NULL);
}
static uint32_t count_nodes(const struct pg_ts_node *q) { return q ? 1 + count_nodes(q->left) + count_nodes(q->right) : 0; }
PG_FN(pg_numnode) {
    struct pg_ts_node *q;
    if (pg_ts_query_read(call, args[0].s, &q)) *out = DB_I64(count_nodes(q));
}
