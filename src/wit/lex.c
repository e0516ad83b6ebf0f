/* lex: tokens of WIT text (WIT.md, Lexical structure). Comments vanish, except that doc comments go with the
 * next token. */
#include <stdio.h>

#include "wit/wit_int.h"

static const char *const keywords[] = {
    "as",       "async",  "bool",   "borrow", "char",    "constructor", "enum",   "export", "f32",    "f64",     "flags",
    "from",     "func",   "future", "import", "include", "interface",   "list",   "option", "own",    "package", "record",
    "resource", "result", "s16",    "s32",    "s64",     "s8",          "static", "stream", "string", "tuple",   "type",
    "u16",      "u32",    "u64",    "u8",     "use",     "variant",     "with",   "world",
};

bool wit_is_keyword(str s) {
    for (size_t i = 0; i < ARRAY_COUNT(keywords); i++)
        if (str_eqc(s, keywords[i])) return true;
    return false;
}

void wit_lex_init(struct wit_lexer *l, arena *a, str file, str text, struct diag *d) {
    *l = (struct wit_lexer){.arena = a, .p = text.p, .end = text.p + text.n, .file = file, .line = 1, .d = d};
    if (!str_is_utf8(text)) wit_lex_fail(l, 1, "the file is not UTF-8");
}

void wit_lex_fail(struct wit_lexer *l, uint32_t line, const char *fmt, ...) {
    if (l->failed) return;
    char what[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    l->failed = diag_set(l->d, ERR_MALFORMED, DIAG_NOWHERE, STR_FMT ":%u: %s", STR_ARG(l->file), line, what);
    l->p = l->end;
}

static bool at(const struct wit_lexer *l, const char *s) {
    size_t n = strlen(s);
    return (size_t)(l->end - l->p) >= n && memcmp(l->p, s, n) == 0;
}

/* A block comment, nested; gives what is between its ends. */
static str skip_block(struct wit_lexer *l) {
    const uint8_t *from = l->p + 2;
    uint32_t depth = 0, line = l->line;
    do {
        if (l->p == l->end) {
            wit_lex_fail(l, line, "this comment is never closed");
            return (str){};
        }
        if (at(l, "/*")) {
            depth++;
            l->p += 2;
        } else if (at(l, "*/")) {
            depth--;
            l->p += 2;
        } else {
            l->line += *l->p == '\n';
            l->p++;
        }
    } while (depth);
    return (str){from, (size_t)(l->p - 2 - from)};
}

static str join_docs(struct wit_lexer *l, str docs, str line) {
    line = str_trim(line);
    if (!docs.n) return line.n ? line : STR(" ");
    return arena_fmt(l->arena, STR_FMT "\n" STR_FMT, STR_ARG(docs), STR_ARG(line));
}

/* Over white space and comments; gives the doc comments met. */
static str skip_space(struct wit_lexer *l) {
    str docs = {};
    while (l->p < l->end) {
        if (*l->p == '\n') {
            l->line++;
            l->p++;
        } else if (*l->p == ' ' || *l->p == '\t' || *l->p == '\r') {
            l->p++;
        } else if (at(l, "//")) {
            bool doc = at(l, "///") && !at(l, "////");
            const uint8_t *from = l->p + (doc ? 3 : 2);
            while (l->p < l->end && *l->p != '\n') l->p++;
            if (doc) docs = join_docs(l, docs, (str){from, (size_t)(l->p - from)});
        } else if (at(l, "/*")) {
            bool doc = at(l, "/**") && !at(l, "/***") && !at(l, "/**/");
            str inner = skip_block(l);
            if (doc) docs = join_docs(l, docs, str_sub(inner, 1, inner.n));
        } else {
            break;
        }
    }
    return docs;
}

static bool is_alpha(uint8_t c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }
static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

/* Words of one case, joined by '-', the first starting with a letter (Explainer.md, label). */
static bool is_label(str s) {
    size_t i = 0;
    for (bool first = true;; first = false) {
        if (i == s.n || (first && !is_alpha(s.p[i]))) return false;
        bool upper = false, lower = false;
        for (; i < s.n && s.p[i] != '-'; i++) {
            upper |= s.p[i] >= 'A' && s.p[i] <= 'Z';
            lower |= s.p[i] >= 'a' && s.p[i] <= 'z';
        }
        if ((upper && lower) || s.p[i - 1] == '-') return false;
        if (i == s.n) return true;
        i++;
    }
}

static void lex_id(struct wit_lexer *l, struct wit_token *t) {
    t->kind = WIT_TOKEN_ID;
    t->escaped = *l->p == '%';
    l->p += t->escaped;
    const uint8_t *from = l->p;
    while (l->p < l->end && (is_alpha(*l->p) || is_digit(*l->p) || *l->p == '-')) l->p++;
    t->text = (str){from, (size_t)(l->p - from)};
    if (!is_label(t->text))
        wit_lex_fail(l, t->line,
                     "\"" STR_FMT "\" is no identifier: it takes words of letters and digits, each of one case, joined by '-'",
                     STR_ARG(t->text));
}

static void lex_string(struct wit_lexer *l, struct wit_token *t) {
    t->kind = WIT_TOKEN_STRING;
    const uint8_t *from = ++l->p;
    while (l->p < l->end && *l->p != '"' && *l->p != '\n') l->p += 1 + (*l->p == '\\' && l->p + 1 < l->end);
    if (l->p >= l->end || *l->p != '"') {
        wit_lex_fail(l, t->line, "this string is never closed");
        return;
    }
    t->text = (str){from, (size_t)(l->p - from)};
    l->p++;
}

struct wit_token wit_lex(struct wit_lexer *l) {
    struct wit_token t = {.docs = skip_space(l), .line = l->line};
    if (l->p == l->end) return t;
    uint8_t c = *l->p;
    if (is_alpha(c) || c == '%') {
        lex_id(l, &t);
    } else if (is_digit(c)) {
        t.kind = WIT_TOKEN_INTEGER;
        const uint8_t *from = l->p;
        while (l->p < l->end && is_digit(*l->p)) l->p++;
        t.text = (str){from, (size_t)(l->p - from)};
    } else if (c == '"') {
        lex_string(l, &t);
    } else if (at(l, "->")) {
        t.kind = WIT_TOKEN_ARROW;
        t.text = STR("->");
        l->p += 2;
    } else if (memchr("=,:;(){}<>*/.@_", c, 15)) {
        t.kind = WIT_TOKEN_PUNCT;
        t.punct = c;
        t.text = (str){l->p++, 1};
    } else {
        wit_lex_fail(l, l->line, "unexpected character 0x%02x", c);
    }
    if (l->failed) t = (struct wit_token){.line = t.line};
    return t;
}

str wit_lex_version(struct wit_lexer *l) {
    const uint8_t *from = l->p;
    while (l->p < l->end && (is_alpha(*l->p) || is_digit(*l->p) || memchr(".-+", *l->p, 3))) l->p++;
    while (l->p > from && l->p[-1] == '.') l->p--; /* `@0.2.0.{a}` */
    str s = {from, (size_t)(l->p - from)};
    struct component_version v;
    if (!l->failed && !component_version_parse(s, &v))
        wit_lex_fail(l, l->line, "\"" STR_FMT "\" is no version; write major.minor.patch", STR_ARG(s));
    return s;
}
