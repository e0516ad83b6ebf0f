/* parse: the parser's edges: bounds before it, positions and printing after it. */
#include "sql/parse.h"
#include "sql/sql.h"
#include <pg_query.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { STACK_BYTES = 256 << 20, LEVELS_MAX = 1000 };

/* ---- a look at the words, before the parser ---- */

/* Past what begins at i: a comment, a string, a quoted name, a word, or one other byte. */
static size_t past_quoted(str t, size_t i, uint8_t quote, bool escapes) {
    for (i++; i < t.n; i++) {
        if (escapes && t.p[i] == '\\') i++;
        else if (t.p[i] == quote && i + 1 < t.n && t.p[i + 1] == quote) i++;
        else if (t.p[i] == quote) return i + 1;
    }
    return t.n;
}

static size_t past_comment(str t, size_t i) {
    uint32_t depth = 0;
    while (i + 1 < t.n) {
        if (t.p[i] == '/' && t.p[i + 1] == '*') depth++, i += 2;
        else if (t.p[i] == '*' && t.p[i + 1] == '/') {
            i += 2;
            if (!--depth) return i;
        } else i++;
    }
    return t.n;
}

static bool is_word(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c >= 0x80;
}

/* $tag$ … $tag$; a $1 is none. */
static size_t past_dollars(str t, size_t i) {
    size_t j = i + 1;
    while (j < t.n && is_word(t.p[j])) j++;
    if (j >= t.n || t.p[j] != '$' || (j > i + 1 && t.p[i + 1] >= '0' && t.p[i + 1] <= '9')) return i + 1;
    str tag = str_sub(t, i, j + 1 - i);
    for (size_t k = j + 1; k + tag.n <= t.n; k++)
        if (t.p[k] == '$' && !memcmp(t.p + k, tag.p, tag.n)) return k + tag.n;
    return t.n;
}

static size_t past_token(str t, size_t i, bool *blank) {
    uint8_t c = t.p[i], next = i + 1 < t.n ? t.p[i + 1] : 0;
    *blank = true;
    if (c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' || c == '\v') return i + 1;
    if (c == '-' && next == '-') return i + str_find(str_sub(t, i, t.n), '\n');
    if (c == '/' && next == '*') return past_comment(t, i);
    *blank = false;
    if (c == '\'') return past_quoted(t, i, '\'', i && (t.p[i - 1] | 32) == 'e' && (i < 2 || !is_word(t.p[i - 2])));
    if (c == '"') return past_quoted(t, i, '"', false);
    if (c == '$' && !(i && is_word(t.p[i - 1]))) return past_dollars(t, i);
    if (!is_word(c)) return i + 1;
    if (((c | 32) == 'e') && next == '\'') return i + 1;
    while (i < t.n && (is_word(t.p[i]) || t.p[i] == '$')) i++;
    return i;
}

/* How many terms may stand inside of each other. */
struct depth {
    uint32_t terms[LEVELS_MAX], level;
    uint64_t sum, most;
};

static void depth_token(struct depth *d, uint8_t c) {
    if ((c == '(' || c == '[') && d->level + 1 < LEVELS_MAX) d->terms[++d->level] = 0;
    else if ((c == ')' || c == ']') && d->level) d->sum -= d->terms[d->level--];
    else if (c == ',') d->sum -= d->terms[d->level], d->terms[d->level] = 0;
    d->terms[d->level]++, d->sum++;
    d->most = MAX(d->most, d->sum);
}

/* From `from` to its semicolon; *end is past it. False: there is nothing but blanks. */
static bool statement_end(str t, size_t from, size_t *begin, size_t *end, struct depth *depth) {
    bool any = false, blank;
    *depth = (struct depth){0};
    for (size_t i = from, next; i < t.n; i = next) {
        next = past_token(t, i, &blank);
        if (blank) continue;
        if (!any) *begin = i, any = true;
        if (t.p[i] == ';' && !depth->level) return *end = next, true;
        depth_token(depth, t.p[i]);
    }
    *end = t.n;
    return any;
}

/* ---- the parser ---- */

static void *arena_of(void *mem, size_t n) { return arena_alloc(mem, n ? n : 1, 16); }
static void arena_keeps(void *mem, void *p) {}

struct parsing {
    arena *mem;
    const char *text;
    PgQuery__ParseResult *tree;
    str message;
    int cursor; /* in characters, from 1 */
    PgQueryProtobuf printed;
};

static void parse(struct parsing *p) {
    PgQueryProtobufParseResult r = pg_query_parse_protobuf(p->text);
    if (r.error) p->message = arena_str(p->mem, str_c(r.error->message)), p->cursor = r.error->cursorpos;
    else {
        ProtobufCAllocator a = {arena_of, arena_keeps, p->mem};
        p->tree = pg_query__parse_result__unpack(&a, r.parse_tree.len, (const uint8_t *)r.parse_tree.data);
        if (!p->tree) p->message = STR("statement is too complex");
    }
    pg_query_free_protobuf_parse_result(r);
}

void sql_on_deep_stack(void *(*fn)(void *), void *arg) {
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    if (!pthread_create(&thread, &attr, fn, arg)) pthread_join(thread, NULL);
    else fn(arg);
    pthread_attr_destroy(&attr);
}

static uint32_t offset_of_char(str text, int cursor) {
    size_t i = 0;
    for (int chars = 1; i < text.n; i++)
        if ((text.p[i] & 0xc0) != 0x80 && chars++ >= cursor) break;
    return (uint32_t)MIN(i, text.n);
}

/* ---- what PostgreSQL 16 reads and this parser does not ---- */

/* `from (select …)` without an alias gets one, which nobody can have written. */
static str with_alias(arena *mem, str text, size_t at, uint32_t number) {
    uint32_t level = 0;
    bool blank;
    for (size_t i = at, next; i < text.n; i = next) {
        next = past_token(text, i, &blank);
        if (blank) continue;
        level += text.p[i] == '(';
        if (text.p[i] == ')' && level && !--level)
            return arena_fmt(mem, STR_FMT " AS \"unnamed_subquery %u\" " STR_FMT, STR_ARG(str_sub(text, 0, next)), number,
                             STR_ARG(str_sub(text, next, text.n)));
    }
    return (str){0};
}

/* 1_000 */
static str without_underscores(arena *mem, str text, size_t at) {
    str out = arena_str(mem, text);
    uint8_t *p = (uint8_t *)(uintptr_t)out.p;
    size_t to = at, from = at;
    for (; from < text.n && is_word(text.p[from]); from++) {
        bool between = from > at && text.p[from - 1] != '_' && from + 1 < text.n && is_word(text.p[from + 1]);
        if (text.p[from] == '_' && (!between || text.p[from + 1] == '_')) return (str){0};
        if (text.p[from] != '_') p[to++] = text.p[from];
    }
    if (to == from || at == text.n || text.p[at] < '0' || text.p[at] > '9') return (str){0};
    memmove(p + to, text.p + from, text.n - from);
    return (str){p, out.n - (from - to)};
}

bool sql_newer(arena *mem, str *text, const char *message, int cursor, uint32_t *tries) {
    enum { TRIES_MAX = 32 };
    size_t at = cursor > 0 ? offset_of_char(*text, cursor) : text->n;
    str made = {0};
    if (++*tries > TRIES_MAX) return false;
    if (!strcmp(message, "subquery in FROM must have an alias")) made = with_alias(mem, *text, at, *tries);
    else if (!strncmp(message, "trailing junk after numeric literal", 35)) made = without_underscores(mem, *text, at);
    if (made.n) *text = made;
    return made.n != 0;
}

static struct parsing parse_text(arena *mem, str text) {
    struct parsing p = {.mem = mem, .text = arena_cstr(mem, text)};
    uint32_t tries = 0;
    parse(&p);
    while (!p.tree && sql_newer(mem, &text, arena_cstr(mem, p.message), p.cursor, &tries)) {
        p = (struct parsing){.mem = mem, .text = arena_cstr(mem, text)};
        parse(&p);
    }
    return p;
}

static void refuse(struct sql_statement *s, const char *state, str message, uint32_t at) {
    memcpy(s->state, state, 5);
    s->message = message, s->at = at, s->node = NULL;
}

/* The parser tells words alone. */
static const char *state_of(str message) {
    static const struct {
        const char *begins, *state;
    } rows[] = {{"invalid byte sequence", "22021"}, {"invalid Unicode", "22025"},          {"stack depth", "54001"},
                {"memory exhausted", "54001"},      {"statement is too complex", "54001"}, {"out of memory", "53200"}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (str_starts(message, str_c(rows[i].begins))) return rows[i].state;
    return "42601";
}

static void parse_one(arena *mem, str text, size_t begin, size_t end, const struct depth *depth, sql_statements *out) {
    str one = str_sub(text, begin, end - begin);
    struct sql_statement s = {.offset = (uint32_t)begin, .bytes = (uint32_t)one.n, .base = (uint32_t)begin};
    if (one.n > SQL_STATEMENT_BYTES_MAX || depth->most > SQL_TERMS_MAX || depth->level + 1 >= LEVELS_MAX) {
        refuse(&s, "54001",
               arena_fmt(mem, "the statement is too long or nested too deeply (%u MiB, %u terms between commas)",
                         SQL_STATEMENT_BYTES_MAX >> 20, SQL_TERMS_MAX),
               s.offset);
        vec_push(mem, out, s);
        return;
    }
    struct parsing p = parse_text(mem, one);
    if (!p.tree) refuse(&s, state_of(p.message), p.message, (uint32_t)begin + offset_of_char(one, p.cursor));
    else if (p.tree->n_stmts) s.node = p.tree->stmts[0]->stmt;
    else return;
    vec_push(mem, out, s);
}

/* A file that is no text is refused as a whole, at the first byte which is none: what comes after it may be anything. */
static bool is_text(arena *mem, str text, sql_statements *out) {
    struct sql_statement s = {.line = 1, .column = 1};
    size_t at = str_utf8_prefix(text);
    const uint8_t *nul = text.n ? memchr(text.p, 0, text.n) : NULL;
    if (nul) at = MIN(at, (size_t)(nul - text.p));
    if (text.n > SQL_FILE_BYTES_MAX)
        refuse(&s, "54000", arena_fmt(mem, "the file is longer than %u MiB", SQL_FILE_BYTES_MAX >> 20), 0);
    else if (at < text.n)
        refuse(&s, "22021",
               arena_fmt(mem, "invalid byte sequence for encoding \"UTF8\": 0x%02x (byte %zu of the file)", text.p[at], at),
               (uint32_t)at);
    else return true;
    vec_push(mem, out, s);
    return false;
}

/* \restrict, \connect: psql's, to the end of the line. */
static size_t past_meta(str text, size_t at) {
    for (bool blank = true;;) {
        size_t i = at;
        for (size_t next = at; next < text.n && blank; i = blank ? next : i) next = past_token(text, next, &blank);
        blank = true;
        if (i == text.n || text.p[i] != '\\') return at;
        at = i + str_find(str_sub(text, i, text.n), '\n');
        at += at < text.n;
    }
}

/* Behind "COPY t (…) FROM stdin;" its rows stand up to a line "\.". */
static size_t past_rows(str text, size_t begin, size_t end) {
    str s = str_trim(str_sub(text, begin, end - begin));
    if (s.n && s.p[s.n - 1] == ';') s = str_trim(str_sub(s, 0, s.n - 1));
    if (s.n < 10 || !str_eq_nocase(str_sub(s, 0, 5), STR("copy ")) || !str_eq_nocase(str_sub(s, s.n - 5, s.n), STR("stdin")))
        return end;
    for (size_t at = end; at < text.n;) {
        size_t n = str_find(str_sub(text, at, text.n), '\n');
        str line = str_trim(str_sub(text, at, n));
        at += n + 1;
        if (str_eqc(line, "\\.")) return MIN(at, text.n);
    }
    return text.n;
}

static void parse_all(arena *mem, str text, bool dump, sql_statements *out) {
    struct depth *depth = arena_make(mem, struct depth);
    size_t begin = 0, end = 0, at = dump ? past_meta(text, 0) : 0;
    if (!is_text(mem, text, out)) return;
    for (; statement_end(text, at, &begin, &end, depth); at = end) {
        size_t next = dump ? past_rows(text, begin, end) : end;
        if (next == end) parse_one(mem, text, begin, end, depth, out);
        end = dump ? past_meta(text, next) : next;
    }
    struct sql_statement before = {.line = 1, .column = 1};
    for (uint32_t i = 0; i < out->n; before = out->p[i++])
        sql_place(text, &before, out->p[i].offset, &out->p[i].line, &out->p[i].column);
}

void sql_parse(arena *mem, str text, sql_statements *out) { parse_all(mem, text, false, out); }
void sql_parse_dump(arena *mem, str text, sql_statements *out) { parse_all(mem, text, true, out); }

void sql_place(str text, const struct sql_statement *in, uint64_t offset, uint32_t *line, uint32_t *column) {
    *line = in->line, *column = in->column;
    for (size_t i = in->offset; i < offset && i < text.n; i++) {
        if (text.p[i] == '\n') ++*line, *column = 1;
        else *column += (text.p[i] & 0xc0) != 0x80;
    }
}

/* ---- printing ----
 *
 * libpg_query leaves out brackets: (a or b)::text becomes a or b::text. So what it printed is read again, and where that is another tree, operands are put into
 * brackets (an indirection without a step within another one is printed so) and it is printed once more. */

enum { VISIT_DEPTH_MAX = 4000 };

/* Each message below m, itself first. */
static void visit(ProtobufCMessage *m, void (*fn)(ProtobufCMessage *m), uint32_t depth) {
    if (depth > VISIT_DEPTH_MAX) return;
    fn(m);
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        uint8_t *at = (uint8_t *)m + f->offset;
        if (f->type != PROTOBUF_C_TYPE_MESSAGE) continue;
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            ProtobufCMessage **all = *(ProtobufCMessage ***)at;
            size_t n = *(size_t *)((uint8_t *)m + f->quantifier_offset);
            for (size_t k = 0; k < n; k++)
                if (all[k]) visit(all[k], fn, depth + 1);
        } else if (!(f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) || *(uint32_t *)((uint8_t *)m + f->quantifier_offset) == f->id) {
            if (*(ProtobufCMessage **)at) visit(*(ProtobufCMessage **)at, fn, depth + 1);
        }
    }
}

/* Where it stands in the text. */
static bool is_place(const ProtobufCFieldDescriptor *f) {
    if (f->type != PROTOBUF_C_TYPE_INT32 || f->label == PROTOBUF_C_LABEL_REPEATED) return false;
    return !strcmp(f->name, "location") || !strcmp(f->name, "stmt_location") || !strcmp(f->name, "stmt_len");
}

static bool same_tree(const ProtobufCMessage *a, const ProtobufCMessage *b, uint32_t depth);

static size_t bytes_of(ProtobufCType type) {
    switch (type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_DOUBLE: return 8;
    case PROTOBUF_C_TYPE_MESSAGE:
    case PROTOBUF_C_TYPE_STRING: return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
    default: return 4;
    }
}

static bool same_value(ProtobufCType type, const uint8_t *a, const uint8_t *b, uint32_t depth) {
    const void *const *x = (const void *const *)a, *const *y = (const void *const *)b;
    if (type == PROTOBUF_C_TYPE_MESSAGE) return *x && *y ? same_tree(*x, *y, depth + 1) : *x == *y;
    if (type == PROTOBUF_C_TYPE_STRING) return *x && *y ? !strcmp(*x, *y) : *x == *y;
    if (type == PROTOBUF_C_TYPE_BYTES) return false; /* trees have none */
    return !memcmp(a, b, bytes_of(type));
}

/* But for their places. */
static bool same_tree(const ProtobufCMessage *a, const ProtobufCMessage *b, uint32_t depth) {
    if (a->descriptor != b->descriptor || depth > VISIT_DEPTH_MAX) return false;
    for (unsigned i = 0; i < a->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &a->descriptor->fields[i];
        const uint8_t *x = (const uint8_t *)a + f->offset, *y = (const uint8_t *)b + f->offset;
        if (is_place(f)) continue;
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t n = *(const size_t *)((const uint8_t *)a + f->quantifier_offset), size = bytes_of(f->type);
            if (n != *(const size_t *)((const uint8_t *)b + f->quantifier_offset)) return false;
            const uint8_t *xs = *(const uint8_t *const *)x, *ys = *(const uint8_t *const *)y;
            for (size_t k = 0; k < n; k++)
                if (!same_value(f->type, xs + k * size, ys + k * size, depth)) return false;
        } else if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
            uint32_t is = *(const uint32_t *)((const uint8_t *)a + f->quantifier_offset);
            if (is != *(const uint32_t *)((const uint8_t *)b + f->quantifier_offset)) return false;
            if (is == f->id && !same_value(f->type, x, y, depth)) return false;
        } else if (!same_value(f->type, x, y, depth)) return false;
    }
    return true;
}

static PgQuery__Node *within(PgQuery__Node *node) {
    PgQuery__AIndirection *ind = malloc(sizeof *ind); /* freed with the tree that it is put into */
    PgQuery__Node *n = malloc(sizeof *n);
    ENSURE(ind && n);
    *ind = (PgQuery__AIndirection)PG_QUERY__A__INDIRECTION__INIT;
    *n = (PgQuery__Node)PG_QUERY__NODE__INIT;
    ind->arg = node;
    n->node_case = PG_QUERY__NODE__NODE_A_INDIRECTION, n->a_indirection = ind;
    return n;
}

static bool stands_alone(const PgQuery__Node *n) {
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
    case PG_QUERY__NODE__NODE_A_EXPR:
    case PG_QUERY__NODE__NODE_NULL_TEST:
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE: return false;
    case PG_QUERY__NODE__NODE_FUNC_CALL: return n->func_call->funcformat != PG_QUERY__COERCION_FORM__COERCE_SQL_SYNTAX;
    case PG_QUERY__NODE__NODE_SUB_LINK:
        return n->sub_link->sub_link_type != PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK &&
               n->sub_link->sub_link_type != PG_QUERY__SUB_LINK_TYPE__ALL_SUBLINK;
    default: return true;
    }
}

static void bracket(PgQuery__Node **n) {
    if (!*n || stands_alone(*n)) return;
    bool by_itself = (*n)->node_case == PG_QUERY__NODE__NODE_A_EXPR || (*n)->node_case == PG_QUERY__NODE__NODE_FUNC_CALL;
    *n = within(by_itself ? *n : within(*n));
}

static void bracket_operands(ProtobufCMessage *m) {
    if (m->descriptor == &pg_query__type_cast__descriptor) bracket(&((PgQuery__TypeCast *)m)->arg);
    if (m->descriptor == &pg_query__null_test__descriptor) bracket(&((PgQuery__NullTest *)m)->arg);
    if (m->descriptor == &pg_query__boolean_test__descriptor) bracket(&((PgQuery__BooleanTest *)m)->arg);
    if (m->descriptor == &pg_query__collate_clause__descriptor) bracket(&((PgQuery__CollateClause *)m)->arg);
    if (m->descriptor == &pg_query__sub_link__descriptor) bracket(&((PgQuery__SubLink *)m)->testexpr);
    if (m->descriptor == &pg_query__a__expr__descriptor) {
        PgQuery__AExpr *e = (PgQuery__AExpr *)m;
        bracket(&e->lexpr), bracket(&e->rexpr);
        if (e->rexpr && e->rexpr->node_case == PG_QUERY__NODE__NODE_LIST && e->kind != PG_QUERY__A__EXPR__KIND__AEXPR_IN)
            for (size_t i = 0; i < e->rexpr->list->n_items; i++) bracket(&e->rexpr->list->items[i]);
    }
    if (m->descriptor == &pg_query__func_call__descriptor) {
        PgQuery__FuncCall *f = (PgQuery__FuncCall *)m;
        if (f->funcformat == PG_QUERY__COERCION_FORM__COERCE_SQL_SYNTAX)
            for (size_t i = 0; i < f->n_args; i++) bracket(&f->args[i]);
    }
    if (m->descriptor == &pg_query__a__indirection__descriptor) {
        PgQuery__AIndirection *a = (PgQuery__AIndirection *)m;
        PgQuery__Node__NodeCase c = a->arg ? a->arg->node_case : PG_QUERY__NODE__NODE__NOT_SET;
        bool own =
            c == PG_QUERY__NODE__NODE_A_INDIRECTION || c == PG_QUERY__NODE__NODE_COLUMN_REF ||
            c == PG_QUERY__NODE__NODE_PARAM_REF || c == PG_QUERY__NODE__NODE__NOT_SET ||
            (c == PG_QUERY__NODE__NODE_SUB_LINK && a->arg->sub_link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK);
        if (a->n_indirection && !own) a->arg = within(a->arg);
    }
}

static uint8_t *packed(const PgQuery__ParseResult *tree, size_t *n) {
    uint8_t *bytes = malloc((*n = pg_query__parse_result__get_packed_size(tree)) + 1);
    ENSURE(bytes);
    pg_query__parse_result__pack(tree, bytes);
    return bytes;
}

static str deparsed(arena *mem, const PgQuery__ParseResult *tree) {
    size_t n;
    uint8_t *bytes = packed(tree, &n);
    PgQueryDeparseResult r = pg_query_deparse_protobuf((PgQueryProtobuf){n, (char *)bytes});
    str text = !r.error && r.query ? arena_str(mem, str_c(r.query)) : (str){0};
    pg_query_free_deparse_result(r);
    free(bytes);
    return text;
}

static bool reads_as(arena *mem, str text, const PgQuery__ParseResult *like) {
    PgQueryProtobufParseResult r = pg_query_parse_protobuf(arena_cstr(mem, text));
    PgQuery__ParseResult *tree =
        r.error ? NULL : pg_query__parse_result__unpack(NULL, r.parse_tree.len, (const uint8_t *)r.parse_tree.data);
    bool same = tree && same_tree(&tree->base, &like->base, 0);
    if (tree) pg_query__parse_result__free_unpacked(tree, NULL);
    pg_query_free_protobuf_parse_result(r);
    return same;
}

static void print(struct parsing *p) {
    p->message = deparsed(p->mem, p->tree);
    if (!p->message.n || reads_as(p->mem, p->message, p->tree)) return;
    size_t n;
    uint8_t *bytes = packed(p->tree, &n);
    PgQuery__ParseResult *copy = pg_query__parse_result__unpack(NULL, n, bytes);
    free(bytes);
    if (!copy) return;
    visit(&copy->base, bracket_operands, 0);
    str again = deparsed(p->mem, copy);
    if (again.n) p->message = again;
    pg_query__parse_result__free_unpacked(copy, NULL);
}

str sql_statement_text(arena *mem, const PgQuery__Node *node) {
    PgQuery__RawStmt raw = PG_QUERY__RAW_STMT__INIT, *stmts = &raw;
    PgQuery__ParseResult tree = PG_QUERY__PARSE_RESULT__INIT;
    raw.stmt = (PgQuery__Node *)node;
    tree.version = PG_VERSION_NUM, tree.n_stmts = 1, tree.stmts = &stmts;
    struct parsing p = {.mem = mem, .tree = &tree};
    print(&p);
    return p.message;
}

str sql_expr_text(arena *mem, const PgQuery__Node *node) {
    PgQuery__ResTarget target = PG_QUERY__RES_TARGET__INIT;
    PgQuery__Node target_node = PG_QUERY__NODE__INIT, select_node = PG_QUERY__NODE__INIT, *targets = &target_node;
    PgQuery__SelectStmt select = PG_QUERY__SELECT_STMT__INIT;
    target.val = (PgQuery__Node *)node;
    target_node.node_case = PG_QUERY__NODE__NODE_RES_TARGET, target_node.res_target = &target;
    select.n_target_list = 1, select.target_list = &targets;
    select.op = PG_QUERY__SET_OPERATION__SETOP_NONE, select.limit_option = PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_DEFAULT;
    select_node.node_case = PG_QUERY__NODE__NODE_SELECT_STMT, select_node.select_stmt = &select;
    str text = sql_statement_text(mem, &select_node);
    return str_starts(text, STR("SELECT ")) ? str_sub(text, 7, text.n) : text;
}

const PgQuery__Node *sql_statement_tree(arena *mem, str text) {
    struct parsing p = parse_text(mem, text);
    return p.tree && p.tree->n_stmts == 1 ? p.tree->stmts[0]->stmt : NULL;
}

const PgQuery__Node *sql_expr_tree(arena *mem, str text) {
    const PgQuery__Node *n = sql_statement_tree(mem, arena_fmt(mem, "SELECT " STR_FMT, STR_ARG(text)));
    bool is = n && n->node_case == PG_QUERY__NODE__NODE_SELECT_STMT && n->select_stmt->n_target_list == 1;
    return is ? n->select_stmt->target_list[0]->res_target->val : NULL;
}
