/* parse: statements. Where an expression ends say the words that its statement waits for, outside of all brackets (pl_gram.y's read_sql_construct).
 *
 * The first thing that is wrong stays in `problem`; from then on every token is the end, so that nothing goes on for long.
 */
#include "plpgsql/plpgsql_int.h"
#include <stdarg.h>
#include <stdio.h>

typedef struct plpgsql_parser parser;
typedef struct plpgsql_statement statement;

/* ---- tokens ---- */

int plpgsql_near(str token) { return (int)str_utf8_prefix(str_sub(token, 0, MIN(token.n, 60u))); }

bool plpgsql_fail(parser *p, uint32_t at, const char *state, const char *fmt, ...) {
    if (p->failed) return false;
    p->failed = true;
    p->problem->state = state;
    p->problem->at = at;
    va_list args;
    va_start(args, fmt);
    vsnprintf(p->problem->message, sizeof p->problem->message, fmt, args);
    va_end(args);
    p->problem->message[str_utf8_prefix(str_c(p->problem->message))] = 0; /* its end may have cut a letter */
    p->token = (struct plpgsql_token){.kind = PLPGSQL_END, .at = at, .end = at};
    return false;
}
#define fail(p, state, ...) plpgsql_fail((p), (p)->token.at, (state), __VA_ARGS__)

/* As bison's parsers say it: what, and which token is at hand. */
static bool fail_near(parser *p, const char *what) {
    if (p->token.kind == PLPGSQL_END) return fail(p, "42601", "%s at end of input", what);
    str token = str_sub(p->source, p->token.at, p->token.end - p->token.at);
    return fail(p, "42601", "%s at or near \"%.*s\"", what, plpgsql_near(token), (const char *)token.p);
}
static bool unexpected(parser *p) { return fail_near(p, "syntax error"); }

/* An expression ends with its statement, and the word that it waited for is not there. */
static bool missing(parser *p, const char *const *ends) {
    char word[16] = "";
    size_t last = 0, n = 0;
    while (ends[last + 1]) last++;
    for (; ends[last][n] && n + 1 < sizeof word; n++)
        word[n] = ends[last][n] >= 'a' && ends[last][n] <= 'z' ? (char)(ends[last][n] - 32) : ends[last][n];
    return fail(p, "42601", "missing \"%s\" at end of SQL expression", word);
}

/* One more of what is in a body. */
static bool count(parser *p) {
    return ++p->parts <= PLPGSQL_PARTS_MAX ||
           fail(p, "54001", "a body has more than %d statements, declarations and values", PLPGSQL_PARTS_MAX);
}

static void next(parser *p) {
    if (!p->failed) p->token = plpgsql_lex(p, p->token.end);
}
static struct plpgsql_token peek(parser *p) { return p->failed ? p->token : plpgsql_lex(p, p->token.end); }

static bool token_is(const struct plpgsql_token *t, const char *word) {
    return (t->kind == PLPGSQL_WORD || t->kind == PLPGSQL_SIGN) && str_eqc(t->text, word);
}
static bool is(const parser *p, const char *word) { return token_is(&p->token, word); }
static bool take(parser *p, const char *word) {
    if (!is(p, word)) return false;
    next(p);
    return true;
}
static bool expect(parser *p, const char *word) { return take(p, word) || unexpected(p); }
static bool is_name(const parser *p) { return p->token.kind == PLPGSQL_WORD || p->token.kind == PLPGSQL_NAME; }

static bool take_name(parser *p, str *out) {
    if (!is_name(p)) return unexpected(p);
    *out = p->token.text;
    next(p);
    return true;
}

/* ---- expressions, as text ---- */

/* Up to one of the words, outside of brackets; the word is at hand then. It may be empty only where that is said. */
static bool read_text(parser *p, const char *const *ends, bool may_be_empty, struct plpgsql_expr *out) {
    uint32_t level = 0, from = p->token.at, to = from;
    for (; p->token.kind != PLPGSQL_END; next(p)) {
        bool end = false;
        for (size_t i = 0; !level && ends[i]; i++) end |= is(p, ends[i]);
        if (end) break;
        if (is(p, ";")) return level ? fail_near(p, "mismatched parentheses") : missing(p, ends);
        if (is(p, "(") || is(p, "[")) level++;
        else if (is(p, ")") || is(p, "]")) {
            if (!level) return fail_near(p, "mismatched parentheses");
            level--;
        }
        to = p->token.end;
    }
    if (p->failed) return false;
    if (p->token.kind == PLPGSQL_END) return unexpected(p);
    *out = (struct plpgsql_expr){str_sub(p->source, from, to - from), from};
    if (to == from && !may_be_empty) return fail_near(p, "missing expression");
    return true;
}
#define ENDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define READ(p, out, ...) read_text((p), ENDS(__VA_ARGS__), false, (out))

static bool read_list(parser *p, const char *const *ends, plpgsql_exprs *out) {
    const char *all[8];
    size_t n = 0;
    while (ends[n]) all[n] = ends[n], n++;
    all[n] = ",", all[n + 1] = NULL;
    for (;;) {
        struct plpgsql_expr e;
        if (!count(p) || !read_text(p, all, false, &e)) return false;
        vec_push(p->mem, out, e);
        if (!take(p, ",")) return true;
    }
}

/* ---- targets ---- */

static bool read_step(parser *p, struct plpgsql_target *t, bool subscript) {
    struct plpgsql_expr e = {.at = p->token.at};
    str name = {0};
    if (!count(p) || (subscript ? !READ(p, &e, "]") : !take_name(p, &name))) return false;
    if (subscript) e.text = arena_fmt(p->mem, "[" STR_FMT "]", STR_ARG(e.text)), next(p);
    else e.text = arena_fmt(p->mem, "." STR_FMT, STR_ARG(name));
    vec_push(p->mem, &t->steps, e);
    return true;
}

/* steps: of an assignment alone */
static bool read_target(parser *p, struct plpgsql_target *t, bool steps) {
    *t = (struct plpgsql_target){.at = p->token.at};
    bool dot;
    do {
        if (t->n == ARRAY_COUNT(t->names)) break;
        if (!take_name(p, &t->names[t->n])) return false;
        t->n++;
    } while ((dot = take(p, ".")));
    if (dot && !steps) return unexpected(p);
    while (dot || (steps && take(p, "["))) {
        if (!read_step(p, t, !dot)) return false;
        dot = take(p, ".");
    }
    return true;
}

static bool read_targets(parser *p, statement *s) {
    do {
        struct plpgsql_target t;
        if (!count(p) || !read_target(p, &t, false)) return false;
        vec_push(p->mem, &s->targets, t);
    } while (take(p, ","));
    return true;
}

static bool read_into(parser *p, statement *s) {
    if (s->into) return fail(p, "42601", "INTO specified more than once");
    s->into = true;
    s->strict = take(p, "strict");
    return read_targets(p, s);
}

/* ---- statements ---- */

static bool read_body(parser *p, plpgsql_body *out);
static statement *read_block(parser *p, str label);

static statement *statement_new(parser *p, enum plpgsql_kind kind) {
    statement *s = arena_make(p->mem, statement);
    *s = (statement){.kind = kind, .at = p->token.at};
    (void)count(p);
    return s;
}

static bool read_end(parser *p, const char *what, str label) {
    str again;
    if (!expect(p, "end") || (what && !expect(p, what))) return false;
    if (is_name(p)) {
        if (!take_name(p, &again)) return false;
        if (!label.n) return fail(p, "42601", "end label \"" STR_FMT "\" specified for unlabeled block", STR_ARG(again));
        if (!str_eq(again, label))
            return fail(p, "42601", "end label \"" STR_FMT "\" differs from block's label \"" STR_FMT "\"", STR_ARG(again),
                        STR_ARG(label));
    }
    return true;
}

static bool read_arm(parser *p, statement *s) {
    struct plpgsql_arm *a = vec_add(p->mem, &s->arms);
    *a = (struct plpgsql_arm){0};
    plpgsql_body body = {0};
    if (!count(p) || !READ(p, &a->when, "then")) return false;
    next(p);
    bool ok = read_body(p, &body);
    s->arms.p[s->arms.n - 1].body = body;
    return ok;
}

static bool read_if(parser *p, statement *s) {
    next(p);
    if (!read_arm(p, s)) return false;
    while (is(p, "elsif") || is(p, "elseif")) {
        next(p);
        if (!read_arm(p, s)) return false;
    }
    if (take(p, "else")) {
        s->has_else = true;
        if (!read_body(p, &s->body)) return false;
    }
    return expect(p, "end") && expect(p, "if") && expect(p, ";");
}

static bool read_case(parser *p, statement *s) {
    next(p);
    if (!read_text(p, ENDS("when"), true, &s->expr)) return false;
    while (take(p, "when"))
        if (!read_arm(p, s)) return false;
    if (take(p, "else")) {
        s->has_else = true;
        if (!read_body(p, &s->body)) return false;
    }
    return expect(p, "end") && expect(p, "case") && expect(p, ";");
}

static bool read_loop_body(parser *p, statement *s) {
    return expect(p, "loop") && read_body(p, &s->body) && read_end(p, "loop", s->label) && expect(p, ";");
}

static bool read_while(parser *p, statement *s) {
    next(p);
    return READ(p, &s->expr, "loop") && read_loop_body(p, s);
}

static bool begins_query(const parser *p) {
    static const char *const words[] = {"select", "with", "insert", "update", "delete", "values", "table"};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (is(p, words[i])) return true;
    return false;
}

static bool read_for_execute(parser *p, statement *s) {
    next(p);
    s->kind = PLPGSQL_FOR_QUERY, s->dynamic = true;
    if (!READ(p, &s->expr, "using", "loop")) return false;
    return !take(p, "using") || read_list(p, ENDS("loop"), &s->exprs);
}

/* ---- cursors ---- */

/* (1, b := 2) */
static bool read_arguments(parser *p, plpgsql_options *out) {
    if (!take(p, "(")) return true;
    do {
        struct plpgsql_option o = {0};
        parser before = *p;
        if (!count(p)) return false;
        bool named = is_name(p);
        if (named) next(p);
        named = named && is(p, ":=");
        if (!named && !p->failed) *p = before;
        if (named) o.name = before.token.text, next(p);
        if (!read_text(p, ENDS(",", ")"), false, &o.value)) return false;
        vec_push(p->mem, out, o);
    } while (take(p, ","));
    return expect(p, ")");
}

/* for r in c [(arguments)] loop: what stands there is no query. */
static bool read_for_cursor(parser *p, statement *s) {
    s->kind = PLPGSQL_CURSOR, s->cursor_does = PLPGSQL_FOR_CURSOR;
    s->expr = (struct plpgsql_expr){0};
    return take_name(p, &s->cursor) && read_arguments(p, &s->options);
}

static bool read_open(parser *p, statement *s) {
    next(p);
    s->cursor_does = PLPGSQL_OPEN;
    if (!take_name(p, &s->cursor) || !read_arguments(p, &s->options)) return false;
    s->no_scroll = take(p, "no");
    if (take(p, "scroll") || is(p, "for")) {
        if (!expect(p, "for")) return false;
        if (take(p, "execute")) {
            s->dynamic = true;
            if (!READ(p, &s->expr, "using", ";")) return false;
            if (take(p, "using") && !read_list(p, ENDS(";"), &s->exprs)) return false;
        } else if (!READ(p, &s->expr, ";")) return false;
    }
    return expect(p, ";");
}

/* next, prior, first, last, [absolute, relative] n, forward, backward [n, all]; from, in */
static bool read_seek(parser *p, statement *s) {
    static const char *const names[] = {"next", "prior", "first", "last", "absolute", "relative", "forward", "backward"};
    parser before = *p;
    for (uint32_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (!is(p, names[i])) continue;
        next(p);
        if (is(p, ";") || is(p, "into")) return *p = before, true; /* a cursor of that name */
        s->seek = (enum plpgsql_seek)i;
        break;
    }
    bool counts = s->seek == PLPGSQL_SEEK_ABSOLUTE || s->seek == PLPGSQL_SEEK_RELATIVE;
    bool goes = s->seek == PLPGSQL_SEEK_FORWARD || s->seek == PLPGSQL_SEEK_BACKWARD;
    bool all = take(p, "all"), sign = p->token.kind == PLPGSQL_NUMBER || is(p, "-") || is(p, "+");
    if (all) s->seek = s->seek == PLPGSQL_SEEK_BACKWARD ? PLPGSQL_SEEK_BACKWARD_ALL : PLPGSQL_SEEK_FORWARD_ALL;
    if (!counts && !goes && sign) s->seek = PLPGSQL_SEEK_FORWARD, goes = true;
    if (counts || (goes && sign)) {
        if (!READ(p, &s->by, "from", "in")) return false;
    }
    if (!take(p, "from")) (void)take(p, "in");
    return !p->failed;
}

static bool read_fetch(parser *p, statement *s) {
    bool moves = is(p, "move");
    next(p);
    s->cursor_does = moves ? PLPGSQL_MOVE : PLPGSQL_FETCH;
    if (!read_seek(p, s) || !take_name(p, &s->cursor)) return false;
    if (!moves && (!expect(p, "into") || !read_into(p, s))) return false;
    bool many = s->seek == PLPGSQL_SEEK_FORWARD_ALL || s->seek == PLPGSQL_SEEK_BACKWARD_ALL ||
                ((s->seek == PLPGSQL_SEEK_FORWARD || s->seek == PLPGSQL_SEEK_BACKWARD) && s->by.text.n);
    if (!moves && many) return fail(p, "42601", "FETCH statement cannot return multiple rows");
    return expect(p, ";");
}

static bool read_close(parser *p, statement *s) {
    next(p);
    s->cursor_does = PLPGSQL_CLOSE;
    return take_name(p, &s->cursor) && expect(p, ";");
}

/* for i in [reverse] a .. b [by c], for r in query */
static bool read_for(parser *p, statement *s) {
    next(p);
    if (!read_targets(p, s) || !expect(p, "in")) return false;
    if (is(p, "execute")) return read_for_execute(p, s) && read_loop_body(p, s);
    parser first = *p;
    bool query = begins_query(p);
    s->reverse = take(p, "reverse");
    if (!READ(p, &s->expr, "..", "loop")) return false;
    if (!take(p, "..")) {
        if (s->reverse) return fail(p, "42601", "cannot specify REVERSE in query FOR loop");
        s->kind = query || str_starts(s->expr.text, STR("(")) ? PLPGSQL_FOR_QUERY : PLPGSQL_CURSOR;
        if (s->kind == PLPGSQL_CURSOR) {
            *p = first;
            s->at = p->token.at;
            if (!read_for_cursor(p, s)) return false;
        }
        return read_loop_body(p, s);
    }
    if (!READ(p, &s->to, "by", "loop")) return false;
    if (take(p, "by") && !READ(p, &s->by, "loop")) return false;
    return read_loop_body(p, s);
}

static bool read_foreach(parser *p, statement *s) {
    next(p);
    if (!read_targets(p, s)) return false;
    if (take(p, "slice")) {
        uint64_t n;
        if (p->token.kind != PLPGSQL_NUMBER || !str_to_u64(p->token.text, &n)) return unexpected(p);
        s->slice = (uint32_t)MIN(n, 1000);
        next(p);
    }
    return expect(p, "in") && expect(p, "array") && READ(p, &s->expr, "loop") && read_loop_body(p, s);
}

static bool read_exit(parser *p, statement *s) {
    next(p);
    if (is_name(p) && !is(p, "when") && !take_name(p, &s->label)) return false;
    if (take(p, "when") && !READ(p, &s->expr, ";")) return false;
    return expect(p, ";");
}

static bool is_one_of(str name, const char *const *names) {
    for (; *names; names++)
        if (str_eqc(name, *names)) return true;
    return false;
}

static bool read_options(parser *p, statement *s) {
    static const char *const known[] = {"message",    "errcode",  "detail", "hint",   "column",
                                        "constraint", "datatype", "table",  "schema", NULL};
    do {
        struct plpgsql_option o = {0};
        if (!count(p)) return false;
        if (is_name(p) && !is_one_of(p->token.text, known)) return fail_near(p, "unrecognized RAISE statement option");
        if (!take_name(p, &o.name)) return false;
        if (!take(p, "=") && !expect(p, ":=")) return false;
        if (!READ(p, &o.value, ",", ";")) return false;
        vec_push(p->mem, &s->options, o);
    } while (take(p, ","));
    return expect(p, ";");
}

static bool read_level(parser *p, statement *s) {
    static const char *const levels[] = {"debug", "log", "info", "notice", "warning", "exception"};
    s->level = PLPGSQL_EXCEPTION;
    for (size_t i = 0; i < ARRAY_COUNT(levels); i++)
        if (take(p, levels[i])) return s->level = (enum plpgsql_level)i, true;
    return true;
}

/* How many % want a value: %% is one of the text's. */
static uint32_t holes(str format) {
    uint32_t n = 0;
    for (size_t i = 0; i < format.n; i++) {
        if (format.p[i] != '%') continue;
        if (i + 1 < format.n && format.p[i + 1] == '%') i++;
        else n++;
    }
    return n;
}

static bool read_raise_what(parser *p, statement *s) {
    if (p->token.kind == PLPGSQL_STRING) {
        s->format = p->token.text;
        next(p);
        if (take(p, ",") && !read_list(p, ENDS("using", ";"), &s->exprs)) return false;
        if (s->exprs.n > holes(s->format)) return fail(p, "42601", "too many parameters specified for RAISE");
        if (s->exprs.n < holes(s->format)) return fail(p, "42601", "too few parameters specified for RAISE");
        return true;
    }
    if (take(p, "sqlstate")) {
        if (p->token.kind != PLPGSQL_STRING) return unexpected(p);
        s->condition = p->token.text, s->is_state = true;
        if (s->condition.n != 5) return fail(p, "42601", "invalid SQLSTATE code");
        next(p);
        return true;
    }
    size_t at = 0;
    if (!take_name(p, &s->condition)) return false;
    if (!plpgsql_condition(s->condition, &at))
        return fail(p, "42704", "unrecognized exception condition \"" STR_FMT "\"", STR_ARG(s->condition));
    return true;
}

static bool read_raise(parser *p, statement *s) {
    next(p);
    if (take(p, ";")) return s->level = PLPGSQL_EXCEPTION, true;
    if (!read_level(p, s)) return false;
    if (is(p, ";")) return unexpected(p);
    if (!is(p, "using") && !is(p, ";") && !read_raise_what(p, s)) return false;
    if (take(p, "using")) return read_options(p, s);
    return expect(p, ";");
}

static bool not_there(parser *p, bool stacked, str name) {
    char item[32] = "";
    for (size_t i = 0; i < name.n && i + 1 < sizeof item; i++) item[i] = name.p[i] == '_' ? '_' : (char)(name.p[i] & ~32);
    return fail(p, "42601", "diagnostics item %s is not allowed in GET %s DIAGNOSTICS", item, stacked ? "STACKED" : "CURRENT");
}

static bool read_get(parser *p, statement *s) {
    static const char *const now[] = {"row_count", "pg_context", NULL};
    static const char *const error[] = {
        "message_text",     "returned_sqlstate", "pg_exception_detail", "pg_exception_hint",    "column_name", "constraint_name",
        "pg_datatype_name", "table_name",        "schema_name",         "pg_exception_context", NULL};
    next(p);
    s->stacked = take(p, "stacked");
    if (!s->stacked) take(p, "current");
    if (!expect(p, "diagnostics")) return false;
    do {
        struct plpgsql_option o = {0};
        if (!count(p) || !read_target(p, &o.target, false)) return false;
        if (!take(p, "=") && !expect(p, ":=")) return false;
        bool of_now = is_name(p) && is_one_of(p->token.text, now), of_error = is_name(p) && is_one_of(p->token.text, error);
        if (is_name(p) && !of_now && !of_error) return fail_near(p, "unrecognized GET DIAGNOSTICS item");
        if (!take_name(p, &o.name)) return false;
        if (s->stacked ? of_now : of_error) return not_there(p, s->stacked, o.name);
        vec_push(p->mem, &s->options, o);
    } while (take(p, ","));
    return expect(p, ";");
}

static bool read_execute(parser *p, statement *s) {
    next(p);
    if (!READ(p, &s->expr, "into", "using", ";")) return false;
    for (;;) {
        if (take(p, "into")) {
            if (!read_into(p, s)) return false;
        } else if (take(p, "using")) {
            if (s->exprs.n) return unexpected(p);
            if (!read_list(p, ENDS("into", ";"), &s->exprs)) return false;
        } else return expect(p, ";");
    }
}

static bool read_return(parser *p, statement *s) {
    next(p);
    if (take(p, "next")) {
        s->kind = PLPGSQL_RETURN_NEXT;
        return read_text(p, ENDS(";"), true, &s->expr) && expect(p, ";");
    }
    if (!take(p, "query")) return read_text(p, ENDS(";"), true, &s->expr) && expect(p, ";");
    s->kind = PLPGSQL_RETURN_QUERY;
    if (!take(p, "execute")) return READ(p, &s->expr, ";") && expect(p, ";");
    s->dynamic = true;
    if (!READ(p, &s->expr, "using", ";")) return false;
    if (take(p, "using") && !read_list(p, ENDS(";"), &s->exprs)) return false;
    return expect(p, ";");
}

/* A statement of SQL's, to its semicolon: INTO is taken out, unless it is INSERT's or MERGE's own. */
static bool read_sql(parser *p, statement *s) {
    uint32_t from = p->token.at, level = 0;
    struct buf b = {0};
    size_t kept = from;
    str before = {0};
    bool ok = true;
    while (ok && p->token.kind != PLPGSQL_END && !(is(p, ";") && !level)) {
        bool into = is(p, "into") && !str_eqc(before, "insert") && !str_eqc(before, "merge");
        before = p->token.kind == PLPGSQL_WORD ? p->token.text : (str){0};
        if (is(p, "(") || is(p, "[")) level++;
        if ((is(p, ")") || is(p, "]")) && level) level--;
        if (!into) {
            next(p);
            continue;
        }
        buf_puts(&b, str_sub(p->source, kept, p->token.at - kept));
        next(p);
        ok = read_into(p, s);
        kept = p->token.at;
        buf_putc(&b, ' ');
    }
    if (ok && p->token.kind == PLPGSQL_END) ok = fail_near(p, level ? "unexpected end of function definition" : "syntax error");
    if (ok) {
        buf_puts(&b, str_sub(p->source, kept, p->token.at - kept));
        s->expr = (struct plpgsql_expr){arena_str(p->mem, buf_str(&b)), from};
    }
    buf_free(&b);
    return ok && expect(p, ";");
}

/* v := …, v.f[1] = … ? */
static bool is_assignment(parser *p) {
    struct plpgsql_parser look = *p;
    struct plpgsql_problem ignored;
    struct plpgsql_target t;
    look.problem = &ignored;
    if (!is_name(p)) return false;
    struct plpgsql_token after = peek(p);
    if (!token_is(&after, ".") && !token_is(&after, "[") && !token_is(&after, ":=") && !token_is(&after, "=")) return false;
    if (look.parts < PLPGSQL_PARTS_MAX && read_target(&look, &t, true)) return is(&look, ":=") || is(&look, "=");
    return look.parts >= PLPGSQL_PARTS_MAX; /* then it is told as one */
}

static bool read_assignment(parser *p, statement *s) {
    struct plpgsql_target t;
    if (!read_target(p, &t, true)) return false;
    vec_push(p->mem, &s->targets, t);
    next(p);
    return READ(p, &s->expr, ";") && expect(p, ";");
}

static bool read_perform(parser *p, statement *s) {
    next(p);
    return read_text(p, ENDS(";"), true, &s->expr) && expect(p, ";");
}

static bool read_null(parser *p, statement *s) {
    (void)s;
    next(p);
    return expect(p, ";");
}

static bool read_assert(parser *p, statement *s) {
    next(p);
    if (!READ(p, &s->expr, ",", ";")) return false;
    if (take(p, ",") && !READ(p, &s->to, ";")) return false;
    return expect(p, ";");
}

static bool read_plain_loop(parser *p, statement *s) { return read_loop_body(p, s); }

static const struct {
    const char *word;
    enum plpgsql_kind kind;
    bool (*read)(parser *p, statement *s);
} words[] = {
    {"if", PLPGSQL_IF, read_if},
    {"case", PLPGSQL_CASE, read_case},
    {"loop", PLPGSQL_LOOP, read_plain_loop},
    {"while", PLPGSQL_WHILE, read_while},
    {"for", PLPGSQL_FOR_INTEGER, read_for},
    {"foreach", PLPGSQL_FOREACH, read_foreach},
    {"exit", PLPGSQL_EXIT, read_exit},
    {"continue", PLPGSQL_CONTINUE, read_exit},
    {"raise", PLPGSQL_RAISE, read_raise},
    {"assert", PLPGSQL_ASSERT, read_assert},
    {"get", PLPGSQL_GET, read_get},
    {"execute", PLPGSQL_EXECUTE, read_execute},
    {"perform", PLPGSQL_PERFORM, read_perform},
    {"return", PLPGSQL_RETURN, read_return},
    {"null", PLPGSQL_NULL, read_null},
    {"open", PLPGSQL_CURSOR, read_open},
    {"fetch", PLPGSQL_CURSOR, read_fetch},
    {"move", PLPGSQL_CURSOR, read_fetch},
    {"close", PLPGSQL_CURSOR, read_close},
    {"commit", PLPGSQL_TRANSACTION, read_sql},
    {"rollback", PLPGSQL_TRANSACTION, read_sql},
};

static bool read_label(parser *p, str *label) {
    *label = (str){0};
    return !take(p, "<<") || (take_name(p, label) && expect(p, ">>"));
}

static statement *read_statement(parser *p) {
    str label;
    if (!read_label(p, &label)) return NULL;
    if (is(p, "declare") || is(p, "begin")) {
        statement *b = read_block(p, label);
        return b && expect(p, ";") ? b : NULL;
    }
    bool assigns = is_assignment(p);
    for (size_t i = 0; !assigns && i < ARRAY_COUNT(words); i++) {
        if (!is(p, words[i].word)) continue;
        statement *s = statement_new(p, words[i].kind);
        s->label = label;
        return words[i].read(p, s) ? s : NULL;
    }
    statement *s = statement_new(p, assigns ? PLPGSQL_ASSIGN : PLPGSQL_SQL);
    return (assigns ? read_assignment(p, s) : read_sql(p, s)) ? s : NULL;
}

static bool ends_body(const parser *p) {
    static const char *const ends[] = {"end", "else", "elsif", "elseif", "exception", "when"};
    for (size_t i = 0; i < ARRAY_COUNT(ends); i++)
        if (is(p, ends[i])) return true;
    return p->token.kind == PLPGSQL_END;
}

static bool read_body(parser *p, plpgsql_body *out) {
    if (++p->depth > PLPGSQL_DEPTH_MAX) return fail(p, "54001", "blocks nest deeper than %d", PLPGSQL_DEPTH_MAX);
    while (!ends_body(p)) {
        statement *s = read_statement(p);
        if (!s || p->failed) return false;
        vec_push(p->mem, out, s);
    }
    p->depth--;
    return !p->failed;
}

/* ---- blocks ---- */

/* [no] scroll cursor (a int, b text) for query */
static bool read_cursor(parser *p, struct plpgsql_declaration *d) {
    d->no_scroll = take(p, "no");
    if (d->no_scroll ? !expect(p, "scroll") : (take(p, "scroll"), false)) return false;
    if (!expect(p, "cursor")) return false;
    if (take(p, "(")) {
        do {
            struct plpgsql_option o = {0};
            if (!count(p) || !take_name(p, &o.name) || !read_text(p, ENDS(",", ")"), false, &o.value)) return false;
            vec_push(p->mem, &d->parameters, o);
        } while (take(p, ","));
        if (!expect(p, ")")) return false;
    }
    if (!take(p, "is") && !expect(p, "for")) return false;
    return READ(p, &d->value, ";");
}

static bool read_declaration(parser *p, statement *block, struct map *names) {
    struct plpgsql_declaration d = {.at = p->token.at};
    if (!count(p) || !take_name(p, &d.name)) return false;
    if (!map_put(p->mem, names, d.name, 1))
        return fail(p, "42601", "duplicate declaration at or near \"" STR_FMT "\"", STR_ARG(d.name));
    if (take(p, "alias")) {
        if (!expect(p, "for")) return false;
        d.alias = p->token.text;
        next(p);
        vec_push(p->mem, &block->declarations, d);
        return expect(p, ";");
    }
    d.constant = take(p, "constant");
    d.cursor = is(p, "cursor") || is(p, "no") || is(p, "scroll");
    if (d.cursor) {
        if (!read_cursor(p, &d)) return false;
        vec_push(p->mem, &block->declarations, d);
        return expect(p, ";");
    }
    if (!read_text(p, ENDS("not", "default", ":=", "=", "collate", ";"), false, &d.type)) return false;
    if (take(p, "collate")) next(p);
    if (take(p, "not")) {
        if (!expect(p, "null")) return false;
        d.not_null = true;
    }
    if (is(p, "default") || is(p, ":=") || is(p, "=")) {
        next(p);
        if (!READ(p, &d.value, ";")) return false;
    }
    if (d.not_null && !d.value.text.n)
        return fail(p, "22004", "variable \"" STR_FMT "\" must have a default value, since it's declared NOT NULL",
                    STR_ARG(d.name));
    vec_push(p->mem, &block->declarations, d);
    return expect(p, ";");
}

static bool read_conditions(parser *p, plpgsql_names *out) {
    do {
        str name;
        size_t at = 0;
        if (take(p, "sqlstate")) {
            if (p->token.kind != PLPGSQL_STRING || p->token.text.n != 5) return fail_near(p, "invalid SQLSTATE code");
            vec_push(p->mem, out, p->token.text);
            next(p);
            continue;
        }
        if (!take_name(p, &name)) return false;
        if (!plpgsql_condition(name, &at))
            return fail(p, "42704", "unrecognized exception condition \"" STR_FMT "\"", STR_ARG(name));
        at = 0;
        for (const char *state; (state = plpgsql_condition(name, &at));) vec_push(p->mem, out, str_c(state));
    } while (take(p, "or"));
    return true;
}

static bool read_handlers(parser *p, statement *block) {
    block->has_handlers = true;
    if (!is(p, "when")) return unexpected(p);
    while (take(p, "when")) {
        struct plpgsql_handler h = {0};
        if (!count(p) || !read_conditions(p, &h.conditions) || !expect(p, "then") || !read_body(p, &h.body)) return false;
        vec_push(p->mem, &block->handlers, h);
    }
    return true;
}

static statement *read_block(parser *p, str label) {
    statement *b = statement_new(p, PLPGSQL_BLOCK);
    struct map names = {0};
    b->label = label;
    while (take(p, "declare"))
        while (!is(p, "begin") && !is(p, "declare") && p->token.kind != PLPGSQL_END)
            if (!read_declaration(p, b, &names)) return NULL;
    if (!expect(p, "begin") || !read_body(p, &b->body)) return NULL;
    if (take(p, "exception") && !read_handlers(p, b)) return NULL;
    return read_end(p, NULL, label) ? b : NULL;
}

/* #variable_conflict use_column, and others that change nothing */
static bool read_directives(parser *p, struct plpgsql_tree *out) {
    while (take(p, "#")) {
        str name, value;
        if (!take_name(p, &name) || !take_name(p, &value)) return false;
        if (!str_eqc(name, "variable_conflict")) continue;
        if (!str_eqc(value, "use_column") && !str_eqc(value, "use_variable") && !str_eqc(value, "error"))
            return fail(p, "42601", "syntax error at or near \"" STR_FMT "\"", STR_ARG(value));
        out->conflict = str_eqc(value, "use_column")     ? PLPGSQL_CONFLICT_COLUMN
                        : str_eqc(value, "use_variable") ? PLPGSQL_CONFLICT_VARIABLE
                                                         : PLPGSQL_CONFLICT_ERROR;
    }
    return true;
}

bool plpgsql_parse(arena *mem, str source, struct plpgsql_tree *out, struct plpgsql_problem *problem) {
    struct plpgsql_parser p = {.mem = mem, .source = source, .problem = problem};
    str label;
    *problem = (struct plpgsql_problem){0};
    *out = (struct plpgsql_tree){0};
    if (source.n > PLPGSQL_BYTES_MAX) return fail(&p, "54001", "a body has more than %d bytes", PLPGSQL_BYTES_MAX);
    next(&p);
    if (!read_directives(&p, out) || !read_label(&p, &label)) return false;
    if (!is(&p, "declare") && !is(&p, "begin")) return unexpected(&p);
    out->block = read_block(&p, label);
    if (!out->block) return unexpected(&p);
    take(&p, ";");
    return p.token.kind == PLPGSQL_END && !p.failed ? true : unexpected(&p);
}
