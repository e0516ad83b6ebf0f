/* regex: compiling and matching. See regex.h. The one file that sees PCRE2. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "pg/chars.h"
#include "pg/regex.h"
#include <pcre2.h>
#include <stdlib.h>

enum {
    KEPT_MAX = 16,
    STEPS_MAX = 2'000'000,
    DEPTH_STEPS_MAX = 200'000,
    HEAP_KIB_MAX = 16 << 10,
    SHORT_BYTES = 256,   /* of a text that is matched without being watched, */
    SHORT_STEPS = 2'000, /* as long as it takes no more at each of its places */
    WORKSPACE = 4096,
    WORKSPACE_MAX = 1 << 20
};
struct pg_regex {
    uint8_t *pattern; /* what it was compiled of, and how: the key */
    size_t pattern_n;
    struct pg_regex_flags flags, given;
    uint32_t groups;
    bool lazy, back;
    pcre2_code *code;
    pcre2_code *watched; /* the same, which asks at each of its parts whether it is to go on; NULL: not needed yet */
    struct buf text;     /* what both are compiled of */
    pcre2_match_data *data;
    pcre2_match_context *limits;
    uint64_t used;
    bool heavy; /* the last match took long, and what it took of memory for it stays with data */
};
struct pg_regex_cache {
    struct pg_regex *kept[KEPT_MAX];
    uint64_t clock;
};

/* ---- compiling ---- */

static void regex_free(void *arg) {
    struct pg_regex *re = arg;
    if (!re) return;
    pcre2_match_context_free(re->limits);
    pcre2_match_data_free(re->data);
    pcre2_code_free(re->code);
    pcre2_code_free(re->watched);
    buf_free(&re->text);
    free(re->pattern);
    free(re);
}

static int nests_too_deep(uint32_t depth, void *arg) {
    (void)arg;
    return depth > 250;
}

/* What PCRE2 refuses and PostgreSQL would not. */
static bool refused(struct pg_call *call, int code) {
    uint8_t text[160];
    if (pcre2_get_error_message(code, text, sizeof text) < 0) text[0] = 0;
    if (code == PCRE2_ERROR_PATTERN_TOO_LARGE || code == PCRE2_ERROR_PARENTHESES_NEST_TOO_DEEP ||
        code == PCRE2_ERROR_PARENTHESES_STACK_CHECK)
        return pg_raise(call, "2201B", "invalid regular expression: regular expression is too complex");
    return pg_raise(call, "0A000", "this regular expression is not supported on SQLite: %s", text);
}

static pcre2_code *compile(struct pg_call *call, const struct pg_regex_text *t, uint32_t more) {
    int code;
    size_t at;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    pcre2_set_parens_nest_limit(context, 250);
    pcre2_set_compile_recursion_guard(context, nests_too_deep, NULL);
    uint32_t options = more | PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C |
                       (t->flags.icase ? PCRE2_CASELESS : 0) |
                       (t->lazy ? PCRE2_NO_AUTO_POSSESS : 0); /* which would leave nothing but the longest */
    pcre2_code *re = pcre2_compile(t->text.n ? t->text.p : (const uint8_t *)"", t->text.n, options, &code, &at, context);
    pcre2_compile_context_free(context);
    if (!re) refused(call, code);
    return re;
}

static pcre2_match_data *new_data(void) { return pcre2_match_data_create(PG_REGEX_GROUPS_MAX + 1, NULL); }

static struct pg_regex *regex_new(struct pg_call *call, str pattern, struct pg_regex_flags flags) {
    struct pg_regex_text t;
    bool ok = pg_regex_translate(call, pattern, flags, &t);
    pcre2_code *code = ok ? compile(call, &t, 0) : NULL;
    if (!code) return buf_free(&t.text), NULL;
    struct pg_regex *re = calloc(1, sizeof *re);
    ENSURE(re);
    *re = (struct pg_regex){
        .flags = t.flags, .given = flags, .groups = t.groups, .lazy = t.lazy, .back = t.back, .code = code, .text = t.text};
    re->pattern = malloc(pattern.n + 1);
    ENSURE(re->pattern);
    if (pattern.n) memcpy(re->pattern, pattern.p, pattern.n);
    re->pattern_n = pattern.n;
    re->data = new_data();
    re->limits = pcre2_match_context_create(NULL);
    ENSURE(re->data && re->limits);
    pcre2_set_depth_limit(re->limits, DEPTH_STEPS_MAX);
    pcre2_set_heap_limit(re->limits, HEAP_KIB_MAX);
    return re;
}

static bool same(const struct pg_regex *re, str pattern, const struct pg_regex_flags *f) {
    const struct pg_regex_flags *g = &re->given;
    return str_eq((str){re->pattern, re->pattern_n}, pattern) && g->icase == f->icase && g->expanded == f->expanded &&
           g->literal == f->literal && g->dot_stops == f->dot_stops && g->lines == f->lines;
}

const struct pg_regex *pg_regex_get(struct pg_call *call, str pattern, struct pg_regex_flags flags) {
    struct pg_regex_cache *cache = call->regexes ? *call->regexes : NULL;
    size_t oldest = 0;
    if (call->regexes && !cache) {
        cache = *call->regexes = calloc(1, sizeof *cache);
        ENSURE(cache);
    }
    for (size_t i = 0; cache && i < KEPT_MAX; i++) {
        struct pg_regex *re = cache->kept[i];
        if (re && same(re, pattern, &flags)) return re->used = ++cache->clock, re;
        if (!re || (cache->kept[oldest] && re->used < cache->kept[oldest]->used)) oldest = i;
    }
    struct pg_regex *re = regex_new(call, pattern, flags);
    if (!re) return NULL;
    if (cache) {
        regex_free(cache->kept[oldest]);
        cache->kept[oldest] = re;
        re->used = ++cache->clock;
    } else {
        arena_cleanup(call->mem, regex_free, re);
    }
    return re;
}

void pg_regex_cache_free(struct pg_regex_cache *cache) {
    for (size_t i = 0; cache && i < KEPT_MAX; i++) regex_free(cache->kept[i]);
    free(cache);
}

uint32_t pg_regex_groups(const struct pg_regex *re) { return re->groups; }

/* ---- matching ---- */

static bool matched(struct pg_call *call, int code) {
    if (code >= 0) return true;
    if (code == PCRE2_ERROR_NOMATCH || code == PCRE2_ERROR_PARTIAL) return false;
    if (code == PCRE2_ERROR_MATCHLIMIT || code == PCRE2_ERROR_DEPTHLIMIT || code == PCRE2_ERROR_HEAPLIMIT ||
        code == PCRE2_ERROR_NOMEMORY)
        return pg_raise(call, "2201B", "regular expression failed: it takes too many steps to match");
    return pg_raise(call, "2201B", "regular expression failed: error %d", code);
}

static const uint8_t *bytes_of(str s) { return s.n ? s.p : (const uint8_t *)""; }

/* After a match, when nothing of its data is needed: up to HEAP_KIB_MAX of memory is not kept for the next one. */
static void relieve(const struct pg_regex *borrowed) {
    struct pg_regex *re = (struct pg_regex *)(uintptr_t)borrowed;
    if (!re->heavy) return;
    pcre2_match_data_free(re->data);
    re->data = new_data();
    ENSURE(re->data);
    re->heavy = false;
}

/* A part of a pattern may run over all of a text before the next one asks. */
static int watch(pcre2_callout_block *at, void *arg) {
    return pg_call_works(arg, 100 + at->subject_length / 16) ? 0 : PCRE2_ERROR_CALLOUT;
}

/* PCRE2's limit of steps is one for each place where a match may begin, and a step may take as long as the text is: so it alone bounds nothing. */
static const pcre2_code *watched(struct pg_call *call, struct pg_regex *re) {
    const struct pg_regex_text t = {.text = re->text, .flags = re->flags, .lazy = re->lazy};
    if (!re->watched) re->watched = compile(call, &t, PCRE2_AUTO_CALLOUT);
    pcre2_set_callout(re->limits, watch, call);
    pcre2_set_match_limit(re->limits, STEPS_MAX);
    return re->watched;
}

/* Most texts are short, and match or do not in a few steps. */
static int match_short(struct pg_regex *re, str s, size_t at, uint32_t options) {
    if (s.n > SHORT_BYTES) return PCRE2_ERROR_MATCHLIMIT;
    pcre2_set_callout(re->limits, NULL, NULL);
    pcre2_set_match_limit(re->limits, SHORT_STEPS);
    return pcre2_match(re->code, bytes_of(s), s.n, at, options, re->data, re->limits);
}

enum { HEAVY_NS = 100'000 };
/* The matcher's own, and what it took counts as work. */
static bool first_match(struct pg_call *call, const struct pg_regex *borrowed, str s, size_t at, uint32_t options) {
    struct pg_regex *re = (struct pg_regex *)(uintptr_t)borrowed;
    uint64_t begin = clock_mono_ns();
    options |= PCRE2_NO_UTF_CHECK;
    int code = match_short(re, s, at, options);
    if (code == PCRE2_ERROR_MATCHLIMIT) {
        const pcre2_code *of = watched(call, re);
        code = of ? pcre2_match(of, bytes_of(s), s.n, at, options, re->data, re->limits) : PCRE2_ERROR_NOMEMORY;
    }
    uint64_t took = clock_mono_ns() - begin;
    re->heavy |= took > HEAVY_NS;
    return pg_call_works(call, took) && matched(call, code);
}

/* Where the longest (or the shortest) match at `at` ends; `otherwise`, where that algorithm cannot say. */
static size_t best_end(struct pg_call *call, const struct pg_regex *borrowed, str s, size_t at, size_t otherwise) {
    struct pg_regex *re = (struct pg_regex *)(uintptr_t)borrowed;
    size_t ends[2];
    int code = PCRE2_ERROR_DFA_WSSIZE;
    uint64_t begin = clock_mono_ns();
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    uint32_t options = PCRE2_NO_UTF_CHECK | PCRE2_ANCHORED | (re->lazy ? PCRE2_DFA_SHORTEST : 0);
    const pcre2_code *of = watched(call, re);
    for (size_t n = WORKSPACE; of && code == PCRE2_ERROR_DFA_WSSIZE && n <= WORKSPACE_MAX; n *= 16) {
        int *workspace = malloc(n * sizeof *workspace);
        ENSURE(workspace);
        code = pcre2_dfa_match(of, bytes_of(s), s.n, at, options, data, re->limits, workspace, n);
        free(workspace);
    }
    memcpy(ends, pcre2_get_ovector_pointer(data), sizeof ends);
    pcre2_match_data_free(data);
    (void)pg_call_works(call, clock_mono_ns() - begin);
    return code >= 0 && ends[1] >= at ? ends[1] : otherwise;
}

static bool match(struct pg_call *call, const struct pg_regex *re, str s, size_t at,
                  struct pg_span spans[PG_REGEX_GROUPS_MAX + 1]) {
    if (at > s.n || !first_match(call, re, s, at, 0)) return false;
    size_t *v = pcre2_get_ovector_pointer(re->data), from = v[0];
    size_t to = re->back ? v[1] : best_end(call, re, s, from, v[1]);
    if (to != v[1] && re->groups && !pg_raised(call) &&
        !first_match(call, re, str_sub(s, 0, to), from, PCRE2_ANCHORED | PCRE2_ENDANCHORED)) {
        if (pg_raised(call)) return false;
        (void)first_match(call, re, s, at, 0); /* its parentheses look beyond the end: the first match, then */
        to = v[1];
    }
    for (uint32_t i = 0; i <= re->groups; i++) spans[i] = (struct pg_span){v[2 * i], v[2 * i + 1]};
    for (uint32_t i = 0; i <= re->groups; i++)
        if (spans[i].from == PCRE2_UNSET) spans[i].from = SIZE_MAX;
    spans[0] = (struct pg_span){from, to};
    return !pg_raised(call);
}

bool pg_regex_match(struct pg_call *call, const struct pg_regex *re, str s, size_t at,
                    struct pg_span spans[PG_REGEX_GROUPS_MAX + 1]) {
    bool found = match(call, re, s, at, spans);
    relieve(re);
    return found;
}

bool pg_regex_subject(struct pg_call *call, str s) {
    return str_is_utf8(s) || pg_raise(call, "22021", "invalid byte sequence for encoding \"UTF8\"");
}

bool pg_regex_is(struct pg_call *call, const struct pg_regex *re, str s) {
    bool found = pg_regex_subject(call, s) && first_match(call, re, s, 0, 0);
    relieve(re);
    return found;
}
