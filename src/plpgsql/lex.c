/* lex: the words of a body: SQL's own, and := .. << >> besides. */
#include "plpgsql/plpgsql_int.h"

static bool is_word(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c >= 0x80 || c == '$';
}
static bool is_blank(uint8_t c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' || c == '\v'; }

static uint8_t at(const struct plpgsql_parser *p, size_t i) { return i < p->source.n ? p->source.p[i] : 0; }

static void unterminated(struct plpgsql_parser *p, const char *what, size_t i) {
    str rest = str_sub(p->source, i, p->source.n - i);
    plpgsql_fail(p, (uint32_t)i, "42601", "unterminated %s at or near \"%.*s\"", what, plpgsql_near(rest), (const char *)rest.p);
}

static size_t past_comment(struct plpgsql_parser *p, size_t i) {
    uint32_t depth = 0;
    size_t from = i;
    while (i < p->source.n) {
        if (at(p, i) == '/' && at(p, i + 1) == '*') depth++, i += 2;
        else if (at(p, i) == '*' && at(p, i + 1) == '/') {
            i += 2;
            if (!--depth) return i;
        } else i++;
    }
    return unterminated(p, "/* comment", from), p->source.n;
}

static size_t past_blanks(struct plpgsql_parser *p, size_t i) {
    for (;;) {
        while (i < p->source.n && is_blank(at(p, i))) i++;
        if (at(p, i) == '-' && at(p, i + 1) == '-')
            while (i < p->source.n && at(p, i) != '\n') i++;
        else if (at(p, i) == '/' && at(p, i + 1) == '*') i = past_comment(p, i);
        else return i;
    }
}

static size_t past_quoted(struct plpgsql_parser *p, size_t i, uint8_t quote, bool escapes) {
    size_t from = i;
    for (i++; i < p->source.n; i++) {
        if (escapes && at(p, i) == '\\') i++;
        else if (at(p, i) == quote && at(p, i + 1) == quote) i++;
        else if (at(p, i) == quote) return i + 1;
    }
    return unterminated(p, quote == '"' ? "quoted identifier" : "quoted string", from), p->source.n;
}

/* $tag$ … $tag$; 0: it is none. A tag that nothing closes is wrong, as in PostgreSQL: whoever took it for a word would look for each to the end. */
static size_t past_dollars(struct plpgsql_parser *p, size_t i, str *inside) {
    size_t j = i + 1;
    while (j < p->source.n && is_word(at(p, j)) && at(p, j) != '$') j++;
    if (at(p, j) != '$' || (at(p, i + 1) >= '0' && at(p, i + 1) <= '9')) return 0;
    str tag = str_sub(p->source, i, j + 1 - i);
    for (size_t k = j + 1; k + tag.n <= p->source.n; k++)
        if (!memcmp(p->source.p + k, tag.p, tag.n)) return *inside = str_sub(p->source, j + 1, k - j - 1), k + tag.n;
    return unterminated(p, "dollar-quoted string", i), p->source.n;
}

/* What stands within quotes, each of which is there twice. It borrows where it may: words are read more than once. */
static str unquoted(arena *mem, str s, uint8_t quote, bool escapes) {
    if (!s.n || (!memchr(s.p, quote, s.n) && !(escapes && memchr(s.p, '\\', s.n)))) return s;
    uint8_t *to = arena_array(mem, uint8_t, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == quote && i + 1 < s.n && s.p[i + 1] == quote) i++;
        else if (escapes && s.p[i] == '\\' && i + 1 < s.n) {
            i++;
            to[n++] = s.p[i] == 'n' ? '\n' : s.p[i] == 't' ? '\t' : s.p[i] == 'r' ? '\r' : s.p[i];
            continue;
        }
        to[n++] = s.p[i];
    }
    return (str){to, n};
}

static str folded(arena *mem, str s) {
    bool upper = false;
    for (size_t i = 0; i < s.n; i++) upper |= s.p[i] >= 'A' && s.p[i] <= 'Z';
    if (!upper) return s;
    uint8_t *to = arena_array(mem, uint8_t, s.n + 1);
    for (size_t i = 0; i < s.n; i++) to[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] | 32 : s.p[i];
    return (str){to, s.n};
}

static void quoted(struct plpgsql_parser *p, struct plpgsql_token *t, size_t from, uint8_t quote, bool escapes) {
    size_t end = past_quoted(p, from, quote, escapes);
    t->kind = quote == '"' ? PLPGSQL_NAME : PLPGSQL_STRING;
    if (quote == '"' && end == from + 2)
        plpgsql_fail(p, (uint32_t)from, "42601", "zero-length delimited identifier at or near \"\"\"\"");
    t->text = unquoted(p->mem, str_sub(p->source, from + 1, end > from + 2 ? end - from - 2 : 0), quote, escapes);
    t->end = (uint32_t)end;
}

/* 'a', then a line's end among blanks, then 'b': one string. */
static void go_on(struct plpgsql_parser *p, struct plpgsql_token *t, bool escapes) {
    struct buf all = {0};
    for (;;) {
        size_t next = past_blanks(p, t->end);
        str between = str_sub(p->source, t->end, next - t->end);
        if (at(p, next) != '\'' || str_find(between, '\n') >= between.n) break;
        struct plpgsql_token more = {0};
        quoted(p, &more, next, '\'', escapes);
        if (!all.n) buf_puts(&all, t->text);
        buf_puts(&all, more.text);
        t->end = more.end;
    }
    if (all.n) t->text = arena_str(p->mem, buf_str(&all));
    buf_free(&all);
}

static void number(struct plpgsql_parser *p, struct plpgsql_token *t) {
    size_t i = t->at;
    while ((at(p, i) >= '0' && at(p, i) <= '9') || (at(p, i) == '.' && at(p, i + 1) != '.')) i++;
    *t = (struct plpgsql_token){PLPGSQL_NUMBER, str_sub(p->source, t->at, i - t->at), t->at, (uint32_t)i};
}

static void sign(struct plpgsql_parser *p, struct plpgsql_token *t) {
    static const char *const two[] = {":=", "..", "<<", ">>", "::", "=>", "<=", ">=", "<>", "!="};
    size_t n = 1;
    for (size_t i = 0; i < ARRAY_COUNT(two); i++)
        if (str_starts(str_sub(p->source, t->at, 2), str_c(two[i]))) n = 2;
    *t = (struct plpgsql_token){PLPGSQL_SIGN, str_sub(p->source, t->at, n), t->at, t->at + (uint32_t)n};
}

struct plpgsql_token plpgsql_lex(struct plpgsql_parser *p, size_t from) {
    size_t i = past_blanks(p, from);
    struct plpgsql_token t = {.kind = PLPGSQL_END, .at = (uint32_t)i, .end = (uint32_t)i};
    uint8_t c = at(p, i);
    size_t end;
    if (p->failed || i >= p->source.n) return t;
    if (c == '"') quoted(p, &t, i, c, false);
    else if (c == '\'') quoted(p, &t, i, c, false), go_on(p, &t, false);
    else if ((c | 32) == 'e' && at(p, i + 1) == '\'') quoted(p, &t, i + 1, '\'', true), go_on(p, &t, true);
    else if (c == '$' && (end = past_dollars(p, i, &t.text))) t.kind = PLPGSQL_STRING, t.end = (uint32_t)end;
    else if (c >= '0' && c <= '9') number(p, &t);
    else if (is_word(c)) {
        while (i < p->source.n && is_word(at(p, i))) i++;
        t.kind = PLPGSQL_WORD, t.end = (uint32_t)i;
        t.text = folded(p->mem, str_sub(p->source, t.at, i - t.at));
    } else sign(p, &t);
    if (p->failed) t = (struct plpgsql_token){.kind = PLPGSQL_END, .at = (uint32_t)i, .end = (uint32_t)i};
    return t;
}
