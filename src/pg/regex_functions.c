/* regex_functions: what SQL calls of regular expressions: ~ and its kin, regexp_*(), substring(… from …). */
#include "pg/arrays.h"
#include "pg/chars.h"
#include "pg/regex.h"

static const struct pg_regex_flags plain = {0}, nocase = {.icase = true};

/* ---- is there a match? ---- */

static bool is_match(struct pg_call *call, const struct db_value *args, struct pg_regex_flags flags) {
    const struct pg_regex *re = pg_regex_get(call, args[1].s, flags);
    return re && pg_regex_is(call, re, args[0].s);
}
PG_FN(pg_regex_eq) { *out = pg_bool(is_match(call, args, plain)); }
PG_FN(pg_regex_ne) { *out = pg_bool(!is_match(call, args, plain)); }
PG_FN(pg_regex_ieq) { *out = pg_bool(is_match(call, args, nocase)); }
PG_FN(pg_regex_ine) { *out = pg_bool(!is_match(call, args, nocase)); }

/* ---- one match after the other ---- */

struct walk {
    struct pg_call *call;
    const struct pg_regex *re;
    str s;
    size_t at, end; /* the next search begins at; the last match ended at */
    bool over, global;
    struct pg_span spans[PG_REGEX_GROUPS_MAX + 1];
};

/* flags: of a function of that name. start: a character from 1. False: raised. */
static bool walk_begin(struct walk *w, struct pg_call *call, str s, str pattern, str flags, bool g, const char *function,
                       int64_t start) {
    struct pg_regex_flags f = {0};
    *w = (struct walk){.call = call, .s = s};
    if (!pg_regex_flags_read(call, flags, g, function, &f) || !pg_regex_subject(call, s)) return false;
    w->global = f.global;
    w->at = pg_chars_skip(s, (uint64_t)(start - 1));
    if (w->at == s.n && start - 1 > (int64_t)pg_chars_count(s)) w->over = true;
    w->re = pg_regex_get(call, pattern, f);
    return w->re != NULL;
}

static bool walk_next(struct walk *w) {
    if (w->over || !pg_call_works(w->call, 100) || !pg_regex_match(w->call, w->re, w->s, w->at, w->spans)) return false;
    w->at = w->end = w->spans[0].to;
    if (w->spans[0].from < w->spans[0].to) return true;
    if (w->at < w->s.n) w->at += pg_char_bytes(w->s, w->at);
    else w->over = true;
    return true;
}

static str walk_group(const struct walk *w, uint32_t i) {
    return str_sub(w->s, w->spans[i].from, w->spans[i].to - w->spans[i].from);
}

static bool positive(struct pg_call *call, const char *name, int64_t v, int64_t least) {
    return v >= least || pg_raise(call, "22023", "invalid value for parameter \"%s\": %lld", name, (long long)v);
}

/* ---- regexp_replace ---- */

static void put_replacement(struct buf *b, const struct walk *w, str by) {
    for (size_t i = 0; i < by.n; i++) {
        uint8_t c = i + 1 < by.n ? by.p[i + 1] : 0;
        if (by.p[i] != '\\' || i + 1 >= by.n) {
            buf_putc(b, by.p[i]);
            continue;
        }
        i++;
        if (c == '&') buf_puts(b, walk_group(w, 0));
        else if (c >= '1' && c <= '9') {
            uint32_t group = c - '0';
            if (group <= pg_regex_groups(w->re) && w->spans[group].from != SIZE_MAX) buf_puts(b, walk_group(w, group));
        } else if (c == '\\') {
            buf_putc(b, '\\');
        } else {
            buf_putc(b, '\\');
            i--;
        }
    }
}

/* nth: 0: all of them */
static void replace(struct walk *w, str by, int64_t nth, struct db_value *out) {
    struct buf *b = pg_call_buf(w->call);
    size_t copied = 0;
    int64_t count = 0;
    while (!b->full && walk_next(w)) {
        if (nth && ++count < nth) continue;
        buf_puts(b, str_sub(w->s, copied, w->spans[0].from - copied));
        put_replacement(b, w, by);
        copied = w->spans[0].to;
        if (nth) break;
    }
    buf_puts(b, str_sub(w->s, copied, w->s.n));
    *out = pg_call_built(w->call, b);
}

/* string, pattern, replacement [, flags] */
PG_FN(pg_regexp_replace) {
    struct walk w;
    str flags = n > 3 ? args[3].s : (str){0};
    if (flags.n && flags.p[0] >= '0' && flags.p[0] <= '9') {
        pg_raise(call, "22023", "invalid regular expression option: \"%.*s\"", (int)pg_char_bytes(flags, 0),
                 (const char *)flags.p);
        pg_raise_hint(
            call, "If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly.");
        return;
    }
    if (walk_begin(&w, call, args[0].s, args[1].s, flags, true, "regexp_replace()", 1))
        replace(&w, args[2].s, w.global ? 0 : 1, out);
}
/* string, pattern, replacement, start [, nth [, flags]] */
PG_FN(pg_regexp_replace_at) {
    struct walk w;
    int64_t nth = n > 4 ? args[4].i : 1;
    if (!positive(call, "start", args[3].i, 1) || !positive(call, "n", nth, 0)) return;
    if (!walk_begin(&w, call, args[0].s, args[1].s, n > 5 ? args[5].s : (str){0}, true, "regexp_replace()", args[3].i)) return;
    if (n <= 4 && w.global) nth = 0;
    replace(&w, args[2].s, nth, out);
}

/* ---- what matched ---- */

static void put_groups(const struct walk *w, struct pg_array_writer *a) {
    uint32_t groups = pg_regex_groups(w->re);
    for (uint32_t i = groups ? 1 : 0; i <= groups; i++)
        if (w->spans[i].from == SIZE_MAX) pg_array_put_null(a);
        else pg_array_put_text(a, walk_group(w, i));
}

/* string, pattern [, flags] */
PG_FN(pg_regexp_match) {
    struct walk w;
    if (!walk_begin(&w, call, args[0].s, args[1].s, n > 2 ? args[2].s : (str){0}, false, "regexp_match()", 1)) {
        if (pg_raised(call) && strstr(call->error->message, "global"))
            pg_raise_hint(call, "Use the regexp_matches function instead.");
        return;
    }
    if (!walk_next(&w)) return;
    struct pg_array_writer a = pg_array_write(call);
    put_groups(&w, &a);
    *out = pg_array_done(&a);
}

PG_FN(pg_regexp_like) {
    struct walk w;
    if (walk_begin(&w, call, args[0].s, args[1].s, n > 2 ? args[2].s : (str){0}, false, "regexp_like()", 1))
        *out = pg_bool(pg_regex_is(call, w.re, w.s));
}

/* string, pattern [, start [, flags]] */
PG_FN(pg_regexp_count) {
    struct walk w;
    int64_t count = 0, start = n > 2 ? args[2].i : 1;
    if (!positive(call, "start", start, 1)) return;
    if (!walk_begin(&w, call, args[0].s, args[1].s, n > 3 ? args[3].s : (str){0}, false, "regexp_count()", start)) return;
    while (walk_next(&w)) count++;
    *out = DB_I64(count);
}

/* The nth match; false: there are fewer, or raised. */
static bool nth_match(struct walk *w, int64_t nth) {
    while (walk_next(w))
        if (--nth == 0) return true;
    return false;
}

/* string, pattern [, start [, nth [, flags [, subexpression]]]] */
PG_FN(pg_regexp_substr) {
    struct walk w;
    int64_t start = n > 2 ? args[2].i : 1, nth = n > 3 ? args[3].i : 1, group = n > 5 ? args[5].i : 0;
    if (!positive(call, "start", start, 1) || !positive(call, "n", nth, 1) || !positive(call, "subexpr", group, 0)) return;
    if (!walk_begin(&w, call, args[0].s, args[1].s, n > 4 ? args[4].s : (str){0}, false, "regexp_substr()", start)) return;
    if (group > pg_regex_groups(w.re) || !nth_match(&w, nth) || w.spans[group].from == SIZE_MAX) return;
    *out = DB_TEXT(walk_group(&w, (uint32_t)group));
}

/* string, pattern [, start [, nth [, endoption [, flags [, subexpression]]]]] */
PG_FN(pg_regexp_instr) {
    struct walk w;
    int64_t start = n > 2 ? args[2].i : 1, nth = n > 3 ? args[3].i : 1, after = n > 4 ? args[4].i : 0,
            group = n > 6 ? args[6].i : 0;
    if (!positive(call, "start", start, 1) || !positive(call, "n", nth, 1)) return;
    if (after != 0 && after != 1) {
        pg_raise(call, "22023", "invalid value for parameter \"%s\": %lld", "endoption", (long long)after);
        return;
    }
    if (!positive(call, "subexpr", group, 0)) return;
    if (!walk_begin(&w, call, args[0].s, args[1].s, n > 5 ? args[5].s : (str){0}, false, "regexp_instr()", start)) return;
    *out = DB_I64(0);
    if (group > pg_regex_groups(w.re) || !nth_match(&w, nth) || w.spans[group].from == SIZE_MAX) return;
    size_t at = after ? w.spans[group].to : w.spans[group].from;
    *out = DB_I64(pg_chars_count(str_sub(w.s, 0, at)) + 1);
}

/* substring(string from pattern): what the first parentheses matched, or the whole */
PG_FN(pg_regex_substring) {
    struct walk w;
    if (!walk_begin(&w, call, args[0].s, args[1].s, (str){0}, false, "", 1) || !walk_next(&w)) return;
    uint32_t group = pg_regex_groups(w.re) ? 1 : 0;
    if (w.spans[group].from != SIZE_MAX) *out = DB_TEXT(walk_group(&w, group));
}

/* ---- sets, and splitting ---- */

struct matches {
    struct walk walk;
    size_t from; /* of what is split: the next piece */
    bool last;
};

static void matches_open(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    call->regexes = NULL; /* its own, as long as it is open: the kept ones come and go */
    struct matches *m = state;
    (void)walk_begin(&m->walk, call, args[0].s, args[1].s, n > 2 ? args[2].s : (str){0}, true, "regexp_matches()", 1);
}
static bool matches_next(struct pg_call *call, void *state, struct db_value *columns) {
    struct matches *m = state;
    m->walk.call = call;
    if (!m->walk.re || m->last || !walk_next(&m->walk)) return false;
    m->last = !m->walk.global;
    struct pg_array_writer a = pg_array_write(call);
    put_groups(&m->walk, &a);
    columns[0] = pg_array_done(&a);
    return !pg_raised(call);
}
const struct pg_set pg_regexp_matches = {sizeof(struct matches), 1, matches_open, matches_next, NULL};

/* The next piece: to a match that is not empty where the last one ended, nor at the very end. */
static bool next_piece(struct matches *m, str *piece) {
    if (m->last || !m->walk.re) return false;
    while (walk_next(&m->walk)) {
        struct pg_span s = m->walk.spans[0];
        if (s.from >= m->walk.s.n || s.to <= m->from) {
            if (!(s.from < m->walk.s.n && s.to > m->from)) continue;
        }
        *piece = str_sub(m->walk.s, m->from, s.from - m->from);
        m->from = s.to;
        return true;
    }
    *piece = str_sub(m->walk.s, m->from, m->walk.s.n);
    m->last = true;
    return !pg_raised(m->walk.call);
}

static void split_open(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    call->regexes = NULL;
    struct matches *m = state;
    (void)walk_begin(&m->walk, call, args[0].s, args[1].s, n > 2 ? args[2].s : (str){0}, false, "regexp_split_to_table()", 1);
}
static bool split_next(struct pg_call *call, void *state, struct db_value *columns) {
    struct matches *m = state;
    str piece;
    m->walk.call = call;
    if (!next_piece(m, &piece)) return false;
    columns[0] = DB_TEXT(piece);
    return true;
}
const struct pg_set pg_regexp_split_to_table = {sizeof(struct matches), 1, split_open, split_next, NULL};

PG_FN(pg_regexp_split_to_array) {
    struct matches m = {0};
    str piece;
    if (!walk_begin(&m.walk, call, args[0].s, args[1].s, n > 2 ? args[2].s : (str){0}, false, "regexp_split_to_array()", 1))
        return;
    struct pg_array_writer a = pg_array_write(call);
    while (next_piece(&m, &piece)) pg_array_put_text(&a, piece);
    *out = pg_array_done(&a);
}
