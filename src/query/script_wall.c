/* script_wall: a text that somebody else has made SQLite's of, while a function runs (script.c). Whoever made it read bytes that nobody vouched for, and may be
 * anybody's by now: so it is looked at here, word by word, before SQLite sees it, and then it is held to the wall (wall.c) as all statements are.
 *
 * 1. Tables are named by marks alone, and by marks of the function's own rights: where a table may stand, no name of one does, nor a string.
 * 2. Of what runs on behalf of this room it calls functions of the catalogue, as the role that runs, and nothing else.
 * 3. What is written is the target of its first verb; that it sets what is there on a conflict, or gives rows back, is said in its marks and flags, by which
 *    rights are asked for.
 * 4. No second statement, no comment, no quotes but "" and ''; nothing of ours (_orlo…) is named.
 */
#include "query/query_int.h"
#include <stdlib.h>

enum token { END, WORD, NAME /* quoted */, STRING, MARK, OTHER };
enum { DEPTH_MAX = 500 };
struct level {
    bool in_from, wants_table, begins; /* begins: nothing of it was read yet */
};
struct looking {
    const struct catalog *catalog;
    const struct catalog_fragment *f;
    uint32_t definer;
    bool rows; /* it is a trigger's that has transition tables */
    str text;
    size_t at, from; /* from: of the token at hand */
    enum token token;
    uint8_t sign; /* of OTHER */
    struct catalog_mark mark;
    struct level levels[DEPTH_MAX];
    uint32_t depth;
    bool returns, merges;
};

static bool is_word(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' || c >= 0x80;
}

/* False: it is not to be there at all. */
static bool next(struct looking *l) {
    while (l->at < l->text.n && (l->text.p[l->at] == ' ' || l->text.p[l->at] == '\n')) l->at++;
    size_t i = l->from = l->at;
    if (i >= l->text.n) return l->token = END, true;
    uint8_t c = l->text.p[i], after = i + 1 < l->text.n ? l->text.p[i + 1] : 0;
    if (c == '\'' || c == '"') {
        for (i++; i < l->text.n; i++)
            if (l->text.p[i] == c && !(i + 1 < l->text.n && l->text.p[i + 1] == c)) break;
            else if (l->text.p[i] == c) i++;
        l->token = c == '"' ? NAME : STRING;
        return l->at = i + 1, i < l->text.n;
    }
    if (c == 1) {
        l->token = MARK;
        bool ok = catalog_mark_next(l->text, i, &l->mark) && l->mark.at == i && l->mark.kind;
        return l->at = l->mark.end, ok;
    }
    if (is_word(c)) {
        while (i < l->text.n && is_word(l->text.p[i])) i++;
        return l->token = WORD, l->at = i, true;
    }
    l->token = OTHER, l->sign = c, l->at = i + 1;
    return c > ' ' && c < 0x7f && !strchr(";`[]{}\\#?@:", c) && !(c == '-' && after == '-') && !(c == '/' && after == '*');
}

static str said(const struct looking *l) {
    str s = str_sub(l->text, l->from, l->at - l->from);
    return l->token == NAME || l->token == STRING ? str_sub(s, 1, s.n - 2) : s;
}

static bool is(const struct looking *l, const char *word) { return l->token == WORD && str_eq_nocase(said(l), str_c(word)); }
static bool is_sign(const struct looking *l, uint8_t c) { return l->token == OTHER && l->sign == c; }

static bool begins(str s, const char *with) {
    return s.n >= strlen(with) && str_eq_nocase(str_sub(s, 0, strlen(with)), str_c(with));
}

static str behind(const struct looking *l) {
    size_t i = l->at;
    while (i < l->text.n && (l->text.p[i] == ' ' || l->text.p[i] == '\n')) i++;
    return str_sub(l->text, i, l->text.n);
}

/* query_call(function, as whom …): as the role that runs it, or as the function's definer, who it is. */
static bool call_holds(struct looking *l) {
    str name = said(l), rest = str_sub(l->text, l->at, l->text.n);
    size_t i = 1;
    uint64_t as = 0;
    if (l->rows && l->token == WORD && str_eqc(name, "query_transition"))
        return str_starts(rest, STR("(0)")) || str_starts(rest, STR("(1)"));
    if (l->token != WORD || (!str_eqc(name, "query_call") && !str_eqc(name, "query_call_same") && !str_eqc(name, "query_table")))
        return false;
    if (!rest.n || rest.p[0] != '(') return false;
    while (i < rest.n && rest.p[i] >= '0' && rest.p[i] <= '9') i++;
    if (i == 1 || i + 2 >= rest.n || rest.p[i] != ',' || rest.p[i + 1] != ' ') return false;
    size_t from = i += 2;
    for (; i < rest.n && rest.p[i] >= '0' && rest.p[i] <= '9' && as <= UINT32_MAX; i++)
        as = as * 10 + (uint64_t)(rest.p[i] - '0');
    return i > from && i < rest.n && (rest.p[i] == ',' || rest.p[i] == ')') && (!as || as == l->definer);
}

/* A part of the statement itself, or a function: no table is called so. */
static bool is_no_table(const struct looking *l, str name) {
    if (begins(name, "sqlite_") || begins(name, "pragma_") || begins(name, "dbstat")) return false;
    for (uint32_t i = 0; i < l->catalog->relations.n; i++)
        if (str_eq_nocase(l->catalog->relations.p[i].storage, name)) return false;
    return true;
}

static bool mark_holds(const struct looking *l) {
    switch (l->mark.kind) {
    case 'A': return true;
    case 'R': return true;
    case 'B': return l->definer != 0;
    case 'P':
    case 'K':
    case 'Q': return l->f->flags & CATALOG_WRITES;
    default: return false;
    }
}

static bool ends_from(const struct looking *l) {
    static const char *const words[] = {"where",  "group",     "having", "order",     "limit",  "window", "union",
                                        "except", "intersect", "set",    "returning", "values", "select"};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (is(l, words[i])) return true;
    return false;
}

/* Where a table stands. */
static bool table_holds(struct looking *l, struct level *v, bool begins_here) {
    if (is_sign(l, '(')) {
        if (l->depth + 1 == DEPTH_MAX) return false;
        l->levels[++l->depth] = (struct level){.in_from = true, .wants_table = true, .begins = true};
        v->wants_table = false;
        return true;
    }
    v->wants_table = false;
    if (is(l, "select") || is(l, "with") || is(l, "values")) return v->in_from = false, begins_here && l->depth; /* (select … */
    if (l->token == MARK) return l->mark.kind == 'R' || l->mark.kind == 'B';
    if (l->token != WORD && l->token != NAME) return false;
    if (!is_no_table(l, said(l)) || (l->token == NAME && str_find(said(l), '"') < said(l).n)) return false;
    if (begins(said(l), "query_") && !call_holds(l)) return false; /* what it gives hangs on where, too, if it has no brackets */
    str rest = behind(l);
    return !(rest.n && rest.p[0] == '.');
}

/* window is a name like others, where no name and "as" are behind it. */
static bool window_holds(const struct looking *l) {
    str rest = behind(l);
    size_t i = 0;
    while (i < rest.n && is_word(rest.p[i])) i++;
    return i && str_starts(str_sub(rest, i, rest.n), STR(" as ("));
}

static bool step(struct looking *l, const str *before, bool *was_in) {
    struct level *v = &l->levels[l->depth];
    bool begins_here = v->begins;
    v->begins = false;
    if (l->token == MARK && (!mark_holds(l) || (strchr("RB", l->mark.kind) && !v->wants_table))) return false;
    if ((l->token == NAME || l->token == WORD) && begins(said(l), "_orlo")) return false;
    if ((l->token == NAME || l->token == WORD) && begins(said(l), "query_") && l->at < l->text.n &&
        (l->text.p[l->at] == '(' || l->text.p[l->at] == ' ' || l->text.p[l->at] == '\n')) {
        str rest = behind(l);
        if (rest.n && rest.p[0] == '(' && !call_holds(l)) return false;
    }
    if (l->token == STRING && l->at < l->text.n && l->text.p[l->at] == '.') return false; /* 'x'.y is a column, too */
    if (*was_in && !is_sign(l, '(')) return false;                                        /* x in t */
    *was_in = is(l, "in");
    if (v->wants_table && l->token == MARK && strchr("PKQ", l->mark.kind)) return true;
    if (v->wants_table) {
        bool sets = is(l, "set") && str_eqc(*before, "update"); /* do update set */
        if (!sets) return table_holds(l, v, begins_here);
        v->wants_table = false;
    }
    if (is(l, "window") && !window_holds(l)) return false;
    if (is_sign(l, '(')) {
        if (l->depth + 1 == DEPTH_MAX) return false;
        l->levels[++l->depth] = (struct level){.begins = true};
    } else if (is_sign(l, ')')) {
        if (!l->depth) return false;
        l->depth--;
    } else if (is(l, "from")) {
        bool distinct = str_eqc(*before, "distinct");
        if (!distinct) v->in_from = v->wants_table = true;
    } else if (is(l, "join") || is(l, "into") || is(l, "update")) v->wants_table = true;
    else if (is_sign(l, ',') && v->in_from) v->wants_table = true;
    else if (ends_from(l)) v->in_from = false;
    l->returns |= is(l, "returning");
    l->merges |= is(l, "update") && str_eqc(*before, "do");
    return true;
}

static bool words_hold(struct looking *l) {
    str before = {0};
    bool was_in = false;
    for (;;) {
        if (!next(l)) return false;
        if (l->token == END) return !l->depth && !l->levels[0].wants_table && !was_in;
        if (!step(l, &before, &was_in)) return false;
        before = l->token == WORD ? said(l) : (str){0};
    }
}

/* with …, insert into T as a … */
static bool change_holds(const struct looking *l) {
    static const char *const verbs[] = {"insert into ", "update ", "delete from "};
    struct catalog_mark m = {0};
    str text = l->text;
    uint32_t verbs_n = 0;
    bool merges = false;
    size_t head = 0;
    while (catalog_mark_next(text, m.end, &m)) {
        if (m.kind != 'P') continue;
        if (m.id == 1 && !head) head = m.end;
        else if (m.id == 1 || !head) return false;
        merges |= m.id == 7;
    }
    if (!head || (merges != l->merges) || (l->returns && !(l->f->flags & CATALOG_RETURNS))) return false;
    if (!str_starts(text, STR("with ")) && text.p[0] != 1) return false;
    for (size_t i = 0; i < ARRAY_COUNT(verbs); i++) {
        str rest = str_sub(text, head, text.n);
        size_t n = strlen(verbs[i]), k;
        if (!str_starts(rest, str_c(verbs[i])) || !catalog_mark_next(text, head, &m) || m.at != head + n) continue;
        if (m.kind != 'R' && m.kind != 'B') return false;
        rest = str_sub(text, m.end, text.n);
        if (!str_starts(rest, STR(" as "))) return false;
        for (k = 4; k < rest.n && ((rest.p[k] >= 'a' && rest.p[k] <= 'z') || (rest.p[k] >= '0' && rest.p[k] <= '9')); k++) {}
        verbs_n += k > 4 && k < rest.n && rest.p[k] == 1;
    }
    m = (struct catalog_mark){0};
    uint32_t targets = 0;
    while (catalog_mark_next(text, m.end, &m)) { /* what policy.c would take for a target */
        str left = str_trim(str_sub(text, 0, m.at));
        static const char *const words[] = {"insert into", "update", "delete from", "rollback", "abort"};
        for (size_t i = 0; (m.kind == 'R' || m.kind == 'B') && i < ARRAY_COUNT(words); i++) {
            size_t n = strlen(words[i]);
            targets += left.n >= n && str_eq_nocase(str_sub(left, left.n - n, n), str_c(words[i]));
        }
    }
    return verbs_n == 1 && targets == 1;
}

bool query_script_holds(const struct catalog *c, const struct catalog_fragment *f, uint32_t definer, bool rows) {
    struct looking *l = calloc(1, sizeof *l);
    ENSURE(l);
    *l = (struct looking){.catalog = c, .f = f, .definer = definer, .rows = rows, .text = f->text};
    bool ok = words_hold(l);
    if (ok && f->flags & CATALOG_WRITES) ok = change_holds(l);
    else if (ok)
        ok = str_starts(f->text, STR("select ")) || str_starts(f->text, STR("with ")) || str_starts(f->text, STR("values"));
    free(l);
    return ok;
}
