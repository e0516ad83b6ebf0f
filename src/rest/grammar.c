/* grammar: names, select lists, orders: PostgREST's words for them, read from the front, with what was expected at the furthest place reached.
 *
 *   name      "…" with \ before any character, or letters, digits, _ $ space, and - that no > follows
 *   field     name, then ->key ->>key ->0 ->-1
 *   item      * | [alias:]field[::cast][.agg()][::cast] | [alias:]count()[::cast] | [alias:|...]target[!hint][!inner|!left](items)
 *   order     field[.asc|.desc][.nullsfirst|.nullslast] | target(field)…
 */
#include "rest/rest_int.h"
#include <stdio.h>
#include <stdlib.h>

/* ---- failing ---- */

bool rest_fail(struct pg_error *e, const char *code, const char *fmt, ...) {
    va_list ap;
    if (e->set) return false;
    *e = (struct pg_error){.set = true};
    snprintf(e->state, sizeof e->state, "%s", code);
    va_start(ap, fmt);
    vsnprintf(e->message, sizeof e->message, fmt, ap);
    va_end(ap);
    text_tame(e->message, strlen(e->message));
    return false;
}

bool rest_fail_detail(struct pg_error *e, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->detail, sizeof e->detail, fmt, ap);
    va_end(ap);
    text_tame(e->detail, strlen(e->detail));
    return false;
}

bool rest_fail_hint(struct pg_error *e, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->hint, sizeof e->hint, fmt, ap);
    va_end(ap);
    text_tame(e->hint, strlen(e->hint));
    return false;
}

struct rest_text rest_text_of(arena *out, str s) {
    return (struct rest_text){.out = out, .s = s};
}

bool rest_expected(struct rest_text *t, const char *what) {
    if (t->at > t->bad || !t->expected_count) t->bad = t->at, t->expected_count = 0;
    if (t->at < t->bad || t->expected_count == REST_EXPECTED_MAX) return false;
    for (uint32_t i = 0; i < t->expected_count; i++)
        if (!strcmp(t->expected[i], what)) return false;
    t->expected[t->expected_count++] = what;
    return false;
}

/* How many bytes the character there has. */
static size_t character(str s, size_t at) {
    size_t n = 1;
    while (at + n < s.n && (s.p[at + n] & 0xc0) == 0x80) n++;
    return n;
}

bool rest_unread(const struct rest_text *t, const char *what, str input, struct pg_error *error) {
    uint32_t line = 1, column = 1;
    struct buf b = {0};
    size_t bad = MIN(t->bad, t->s.n);
    if (t->beyond.n) {
        rest_fail(error, "42883", "operator does not exist: text " STR_FMT, STR_ARG(t->beyond));
        return rest_fail_hint(
            error, "No operator matches the given name and argument types. You might need to add explicit type casts.");
    }
    for (size_t i = 0; i < bad; i++) {
        if (t->s.p[i] == '\n') line++, column = 1;
        else if (t->s.p[i] == '\t') column += 8 - (column - 1) % 8;
        else column += (t->s.p[i] & 0xc0) != 0x80;
    }
    rest_fail(error, "PGRST100", "\"failed to parse %s (" STR_FMT ")\" (line %u, column %u)", what,
              STR_ARG(str_sub(input, 0, 360)), line, column);
    bool end = false; /* where an end was expected, PostgREST tells one character, and else a text of one */
    for (uint32_t i = 0; i < t->expected_count; i++) end |= str_ends(str_c(t->expected[i]), STR("or end of input"));
    if (bad == t->s.n) buf_puts(&b, STR("unexpected end of input"));
    else
        buf_printf(&b, end ? "unexpected '" STR_FMT "'" : "unexpected \"" STR_FMT "\"",
                   STR_ARG(str_sub(t->s, bad, character(t->s, bad))));
    for (uint32_t i = 0; i < t->expected_count; i++)
        buf_printf(&b, "%s%s", !i ? " expecting " : i + 1 == t->expected_count ? " or " : ", ", t->expected[i]);
    rest_fail_detail(error, STR_FMT, STR_ARG(buf_str(&b)));
    buf_free(&b);
    return false;
}

/* ---- words ---- */

bool rest_end(const struct rest_text *t) { return t->at == t->s.n; }

bool rest_see(const struct rest_text *t, const char *word) { return str_starts(str_sub(t->s, t->at, t->s.n), str_c(word)); }

bool rest_is(struct rest_text *t, const char *word) {
    if (!rest_see(t, word)) return false;
    t->at += strlen(word);
    return true;
}

void rest_blanks(struct rest_text *t) {
    while (!rest_end(t) && (t->s.p[t->at] == ' ' || t->s.p[t->at] == '\t')) t->at++;
}

static str trimmed(str s) { return str_trim(s); }

bool rest_quoted(struct rest_text *t, str *value) {
    size_t from = t->at, n = 0;
    if (!rest_is(t, "\"")) return false;
    size_t end = t->at; /* what is taken for it is no more than it has */
    while (end < t->s.n && t->s.p[end] != '"') end += t->s.p[end] == '\\' ? 2 : 1;
    uint8_t *p = arena_alloc(t->out, MIN(end, t->s.n) - t->at + 1, 1);
    while (!rest_end(t) && t->s.p[t->at] != '"') {
        if (t->s.p[t->at] == '\\' && ++t->at == t->s.n) break;
        p[n++] = t->s.p[t->at++];
    }
    *value = (str){p, n};
    if (rest_is(t, "\"")) return true;
    rest_expected(t, "\"\\\"\"");
    t->at = from;
    return false;
}

static bool is_letter(uint8_t c) {
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c >= 0x80 || c == '_' || c == '$' || c == ' ';
}

bool rest_identifier(struct rest_text *t, str *name) {
    size_t from = t->at;
    while (!rest_end(t) && is_letter(t->s.p[t->at])) t->at++;
    *name = trimmed(str_sub(t->s, from, t->at - from));
    return t->at > from || rest_expected(t, "letter, digit, \"_\", \" \" or \"$\"");
}

/* Parts with dashes between them; a - before a > is none. Each part is trimmed. */
static bool dashed(struct rest_text *t, bool (*part)(uint8_t), str *name) {
    size_t from = t->at;
    struct buf b = {0};
    bool plain = true;
    for (;;) {
        size_t at = t->at;
        while (!rest_end(t) && part(t->s.p[t->at])) t->at++;
        if (t->at == at) {
            buf_free(&b);
            return false;
        }
        str one = str_sub(t->s, at, t->at - at), trim = trimmed(one);
        plain &= trim.n == one.n;
        buf_puts(&b, trim);
        if (!rest_see(t, "-") || rest_see(t, "->")) break;
        t->at++;
        buf_putc(&b, '-');
    }
    *name = plain ? str_sub(t->s, from, t->at - from) : arena_str(t->out, buf_str(&b));
    buf_free(&b);
    return true;
}

[[nodiscard]] static bool read_name(struct rest_text *t, str *name) {
    size_t from = t->at;
    static const char what[] = "field name (* or [a..z0..9_$])";
    if (rest_see(t, "\"")) return (rest_quoted(t, name) && name->n) || rest_expected(t, what);
    if (dashed(t, is_letter, name) && name->n) return true;
    if (t->at == from || !name->n) rest_expected(t, what);
    return false;
}

static bool is_key(uint8_t c) { return !memchr("(-:.,>)", c, 7); }

static bool read_index(struct rest_text *t, struct query_step *step) {
    size_t from = t->at;
    bool minus = rest_is(t, "-");
    size_t first = t->at;
    while (!rest_end(t) && t->s.p[t->at] >= '0' && t->s.p[t->at] <= '9') t->at++;
    if (t->at == first) {
        if (!minus) rest_expected(t, "\"-\"");
        rest_expected(t, "digit");
    }
    bool ended =
        rest_end(t) || rest_see(t, "->") || rest_see(t, "::") || rest_see(t, ".") || rest_see(t, ",") || rest_see(t, ")");
    if (t->at == first || !ended || t->at - first > 9) {
        t->at = from;
        return false;
    }
    step->is_index = true;
    step->index = strtoll(arena_cstr(t->out, str_sub(t->s, from, t->at - from)), NULL, 10);
    return true;
}

static bool read_step(struct rest_text *t, struct query_step *step) {
    if (read_index(t, step)) return true;
    if (rest_see(t, "\"")) return rest_quoted(t, &step->key);
    return dashed(t, is_key, &step->key) || rest_expected(t, "any non reserved character different from: .,>()");
}

static bool read_steps(struct rest_text *t, struct query_field *f) {
    VEC(struct query_step) steps = {0};
    while (rest_see(t, "->")) {
        struct query_step step = {0};
        bool text = rest_see(t, "->>");
        t->at += text ? 3 : 2;
        if (f->text) {
            if (!read_step(t, &step)) return false;
            t->beyond = arena_fmt(t->out, "%s %s", text ? "->>" : "->", step.is_index ? "integer" : "unknown");
            return false;
        }
        f->text = text;
        if (!read_step(t, &step)) return false;
        if (steps.n == REST_STEPS_MAX) return rest_expected(t, "a path of fewer steps");
        vec_push(t->out, &steps, step);
    }
    f->steps = steps.p;
    f->steps_count = steps.n;
    return true;
}

bool rest_field_read(struct rest_text *t, struct query_field *f) {
    rest_blanks(t);
    if (!read_name(t, &f->column) || !read_steps(t, f)) return false;
    rest_blanks(t);
    return true;
}

bool rest_names_read(struct rest_text *t, rest_names *to) {
    do {
        str name;
        rest_blanks(t);
        if (!read_name(t, &name)) return false;
        rest_blanks(t);
        if (to->n == QUERY_ITEMS_MAX) return rest_expected(t, "fewer names");
        vec_push(t->out, to, name);
    } while (rest_is(t, ","));
    return true;
}

bool rest_path_read(struct rest_text *t, rest_names *path, struct query_field *f) {
    for (;;) {
        if (!read_name(t, &f->column)) return false;
        if (!rest_see(t, ".")) break;
        t->at++;
        vec_push(t->out, path, f->column);
    }
    return read_steps(t, f) && (rest_end(t) || rest_expected(t, "end of input"));
}

/* ---- select ---- */

static bool item_ends(struct rest_text *t) {
    rest_blanks(t);
    return rest_end(t) || rest_see(t, ")") || rest_see(t, ",") || rest_expected(t, "\",\", \")\" or end of input");
}

/* alias: that no second : follows. */
static void read_alias(struct rest_text *t, str *alias) {
    struct rest_text saved = *t;
    if (read_name(t, alias) && rest_see(t, ":") && !rest_see(t, "::")) {
        t->at++;
        return;
    }
    *t = saved;
    *alias = (str){0};
}

static bool read_embed_params(struct rest_text *t, struct query_embed *e) {
    bool joined = false;
    for (int i = 0; i < 2 && rest_is(t, "!"); i++) {
        str word;
        if (!read_name(t, &word)) return false;
        if (!joined && (str_eqc(word, "left") || str_eqc(word, "inner"))) {
            e->join = str_eqc(word, "inner") ? QUERY_INNER : QUERY_LEFT;
            joined = true;
        } else if (!e->hint.n) e->hint = word;
    }
    return true;
}

static bool read_items(struct rest_text *t, struct query_select *to);

/* target!hint!inner( … ): *is false where no ( follows. */
static bool read_embed(struct rest_text *t, struct query_item *it, bool *is) {
    struct rest_text saved = *t;
    struct query_embed *e = arena_make(t->out, struct query_embed);
    e->select.limit = -1;
    rest_blanks(t);
    e->spread = rest_is(t, "...");
    if (!e->spread) read_alias(t, &e->alias);
    *is = read_name(t, &e->target) && (e->spread || !str_eqc(e->target, "count")) && read_embed_params(t, e) && rest_see(t, "(");
    if (!*is) {
        if (e->spread) rest_expected(t, "\"!\" or \"(\"");
        t->at = saved.at;
        return !e->spread;
    }
    t->at++;
    if (++t->depth > QUERY_EMBEDS_MAX) return rest_expected(t, "fewer embeds in each other");
    *it = (struct query_item){.kind = QUERY_EMBED, .alias = e->alias, .embed = e};
    e->select.relation = e->target;
    e->select.has_items = true;
    if (!read_items(t, &e->select)) return false;
    t->depth--;
    if (!rest_is(t, ")")) return rest_expected(t, "\",\" or \")\"");
    rest_blanks(t);
    return true;
}

static bool read_cast(struct rest_text *t, str *cast) { return !rest_is(t, "::") || rest_identifier(t, cast); }

static bool read_aggregate(struct rest_text *t, struct query_item *it) {
    static const char *const names[] = {"sum", "avg", "count", "max", "min"};
    if (!rest_is(t, ".")) return true;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (!rest_is(t, names[i])) continue;
        it->kind = QUERY_AGGREGATE;
        it->aggregate = str_c(names[i]);
        return rest_is(t, "()") || rest_expected(t, "\"()\"");
    }
    return rest_expected(t, "\"sum\", \"avg\", \"count\", \"max\" or \"min\"");
}

static bool read_field_item(struct rest_text *t, struct query_item *it) {
    *it = (struct query_item){.kind = QUERY_FIELD};
    rest_blanks(t);
    if (rest_is(t, "*")) {
        it->kind = QUERY_STAR;
        it->field.column = STR("*");
        return item_ends(t);
    }
    read_alias(t, &it->alias);
    if (rest_is(t, "count()")) {
        it->kind = QUERY_AGGREGATE;
        it->whole = true;
        it->aggregate = STR("count");
        return read_cast(t, &it->cast_after) && item_ends(t);
    }
    if (!rest_field_read(t, &it->field) || !read_cast(t, &it->cast) || !read_aggregate(t, it)) return false;
    if (it->kind == QUERY_AGGREGATE && !read_cast(t, &it->cast_after)) return false;
    return item_ends(t);
}

static bool read_item(struct rest_text *t, struct query_item *it) {
    bool embed = false;
    if (!read_embed(t, it, &embed)) return false;
    return embed || read_field_item(t, it);
}

static bool read_items(struct rest_text *t, struct query_select *to) {
    VEC(struct query_item) items = {0};
    rest_blanks(t);
    if (rest_end(t) || rest_see(t, ")")) return true;
    do {
        struct query_item *it = vec_add(t->out, &items);
        if (items.n > QUERY_ITEMS_MAX) return rest_expected(t, "a shorter list");
        if (!read_item(t, it)) return false;
    } while (rest_is(t, ","));
    to->items = items.p;
    to->items_count = items.n;
    return true;
}

/* What stands behind the list is not looked at, as PostgREST has it: clients send a parenthesis too many. */
bool rest_select_read(struct rest_text *t, struct query_select *to) {
    to->has_items = true;
    return read_items(t, to);
}

/* ---- order ---- */

static bool order_ends(struct rest_text *t) {
    rest_blanks(t);
    return rest_end(t) || rest_see(t, ",") || rest_expected(t, "\",\" or end of input");
}

static bool read_direction(struct rest_text *t, struct query_order *o) {
    if (rest_is(t, ".desc")) o->descending = true;
    else rest_is(t, ".asc");
    if (rest_is(t, ".nullsfirst")) o->nulls = QUERY_NULLS_FIRST;
    else if (rest_is(t, ".nullslast")) o->nulls = QUERY_NULLS_LAST;
    return order_ends(t);
}

static bool read_order_term(struct rest_text *t, struct query_order *o) {
    struct rest_text saved;
    rest_blanks(t);
    saved = *t;
    if (read_name(t, &o->embed) && rest_is(t, "(")) {
        return rest_field_read(t, &o->field) && (rest_is(t, ")") || rest_expected(t, "\")\"")) && read_direction(t, o);
    }
    *t = saved;
    o->embed = (str){0};
    return rest_field_read(t, &o->field) && read_direction(t, o);
}

bool rest_order_read(struct rest_text *t, struct query_select *to) {
    VEC(struct query_order) terms = {0};
    do {
        struct query_order *o = vec_add(t->out, &terms);
        if (terms.n > 100) return rest_expected(t, "fewer terms");
        if (!read_order_term(t, o)) return false;
    } while (rest_is(t, ","));
    to->order = terms.p;
    to->order_count = terms.n;
    return true;
}
