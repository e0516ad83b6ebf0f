/* lex: the words of a body: SQL's own, and := .. << >> besides. */
#include "plpgsql/plpgsql_int.h"
#include <stdio.h>

static bool is_word(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c >= 0x80 || c == '$';
}
static bool is_blank(uint8_t c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' || c == '\v'; }

static uint8_t at(const struct plpgsql_parser *p, size_t i) { return i < p->source.n ? p->source.p[i] : 0; }

static size_t past_comment(const struct plpgsql_parser *p, size_t i) {
    uint32_t depth = 0;
    while (i < p->source.n) {
        if (at(p, i) == '/' && at(p, i + 1) == '*') depth++, i += 2;
        else if (at(p, i) == '*' && at(p, i + 1) == '/') {
            i += 2;
            if (!--depth) return i;
        } else i++;
    }
    return p->source.n;
}

static size_t past_blanks(const struct plpgsql_parser *p, size_t i) {
    for (;;) {
        while (i < p->source.n && is_blank(at(p, i))) i++;
        if (at(p, i) == '-' && at(p, i + 1) == '-')
            while (i < p->source.n && at(p, i) != '\n') i++;
        else if (at(p, i) == '/' && at(p, i + 1) == '*') i = past_comment(p, i);
        else return i;
    }
}

static size_t past_quoted(const struct plpgsql_parser *p, size_t i, uint8_t quote, bool escapes) {
    for (i++; i < p->source.n; i++) {
        if (escapes && at(p, i) == '\\') i++;
        else if (at(p, i) == quote && at(p, i + 1) == quote) i++;
        else if (at(p, i) == quote) return i + 1;
    }
    return p->source.n;
}

/* $tag$ … $tag$; 0: it is none. */
static size_t past_dollars(struct plpgsql_parser *p, size_t i, str *inside) {
    size_t j = i + 1;
    while (j < p->source.n && is_word(at(p, j)) && at(p, j) != '$') j++;
    if (at(p, j) != '$' || (at(p, i + 1) >= '0' && at(p, i + 1) <= '9')) return 0;
    str tag = str_sub(p->source, i, j + 1 - i);
    for (size_t k = j + 1; k + tag.n <= p->source.n; k++)
        if (!memcmp(p->source.p + k, tag.p, tag.n)) return *inside = str_sub(p->source, j + 1, k - j - 1), k + tag.n;
    if (!p->failed) { /* at once: whoever opens many would have them all looked for */
        *p->problem = (struct plpgsql_problem){.state = "42601", .at = (uint32_t)i};
        snprintf(p->problem->message, sizeof p->problem->message, "unterminated dollar-quoted string at or near \"%.*s\"",
                 (int)MIN(tag.n, 60u), (const char *)tag.p);
    }
    p->failed = true;
    return p->source.n;
}

/* What stands within quotes, each of which is there twice. */
static str unquoted(arena *mem, str s, uint8_t quote, bool escapes) {
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
    uint8_t *to = arena_array(mem, uint8_t, s.n + 1);
    for (size_t i = 0; i < s.n; i++) to[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] | 32 : s.p[i];
    return (str){to, s.n};
}

static void quoted(struct plpgsql_parser *p, struct plpgsql_token *t, size_t from, uint8_t quote, bool escapes) {
    size_t end = past_quoted(p, from, quote, escapes);
    t->kind = quote == '"' ? PLPGSQL_NAME : PLPGSQL_STRING;
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
    if (i >= p->source.n) return t;
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
    return t;
}
