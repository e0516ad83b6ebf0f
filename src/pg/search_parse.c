/* search_parse: a text's lexemes: cut into words, lower case, stemmed. See search.h. */
#include "pg/chars.h"
#include "pg/search.h"
#include <libstemmer.h>
#include <stdlib.h>

/* ---- configurations ---- */

bool pg_ts_config(struct pg_call *call, str name, bool *english) {
    str catalog = STR("pg_catalog.");
    if (str_starts(name, catalog)) name = str_sub(name, catalog.n, name.n);
    *english = !name.n || str_eqc(name, "english");
    if (*english || str_eqc(name, "simple")) return true;
    static const char *const known[] = {"arabic",   "danish",    "dutch",   "finnish",   "french",
                                        "german",   "hungarian", "italian", "norwegian", "portuguese",
                                        "romanian", "russian",   "spanish", "swedish",   "turkish"};
    for (size_t i = 0; i < ARRAY_COUNT(known); i++)
        if (str_eqc(name, known[i]))
            return pg_raise(call, "0A000", "the text search configuration %s is not supported on SQLite: use simple or english",
                            known[i]);
    return pg_raise(call, "42704", "text search configuration \"" STR_FMT "\" does not exist", STR_ARG(name));
}

/* Sorted. */
static const char *const stops[] = {
    "a",         "about",   "above",  "after",   "again",    "against",   "all",    "am",         "an",     "and",     "any",
    "are",       "as",      "at",     "be",      "because",  "been",      "before", "being",      "below",  "between", "both",
    "but",       "by",      "can",    "did",     "do",       "does",      "doing",  "don",        "down",   "during",  "each",
    "few",       "for",     "from",   "further", "had",      "has",       "have",   "having",     "he",     "her",     "here",
    "hers",      "herself", "him",    "himself", "his",      "how",       "i",      "if",         "in",     "into",    "is",
    "it",        "its",     "itself", "just",    "me",       "more",      "most",   "my",         "myself", "no",      "nor",
    "not",       "now",     "of",     "off",     "on",       "once",      "only",   "or",         "other",  "our",     "ours",
    "ourselves", "out",     "over",   "own",     "s",        "same",      "she",    "should",     "so",     "some",    "such",
    "t",         "than",    "that",   "the",     "their",    "theirs",    "them",   "themselves", "then",   "there",   "these",
    "they",      "this",    "those",  "through", "to",       "too",       "under",  "until",      "up",     "very",    "was",
    "we",        "were",    "what",   "when",    "where",    "which",     "while",  "who",        "whom",   "why",     "will",
    "with",      "you",     "your",   "yours",   "yourself", "yourselves"};
static int by_word(const void *a, const void *b) { return str_cmp(*(const str *)a, str_c(*(const char *const *)b)); }

/* ---- cutting ---- */

struct parser {
    struct pg_call *call;
    str s;
    size_t i;
    bool english;
    struct sb_stemmer *stemmer;
    struct pg_ts_word *words;
    uint32_t n, cap, place;
};

/* stemmed: a word of a language; a number, an address: as it is */
static bool add(struct parser *p, str token, bool stemmed) {
    struct buf *b = pg_call_buf(p->call);
    if (token.n > TS_WORD_BYTES_MAX) return true; /* PostgreSQL leaves it out, with a notice */
    pg_chars_lower(b, token);
    str word = arena_str(p->call->mem, buf_str(b));
    if (p->n == p->cap) {
        uint32_t cap = MAX(2 * p->cap, 64u);
        struct pg_ts_word *more = arena_array(p->call->mem, struct pg_ts_word, cap);
        if (p->n) memcpy(more, p->words, p->n * sizeof *more);
        p->words = more;
        p->cap = cap;
    }
    if (stemmed && p->english) {
        if (bsearch(&word, stops, ARRAY_COUNT(stops), sizeof *stops, by_word)) word = (str){0};
        else {
            const sb_symbol *stem = sb_stemmer_stem(p->stemmer, word.p, (int)word.n);
            if (stem) word = arena_str(p->call->mem, (str){stem, (size_t)sb_stemmer_length(p->stemmer)});
        }
    }
    p->place++;
    p->words[p->n++] = (struct pg_ts_word){word, MIN(p->place, (uint32_t)TS_PLACE_MAX)};
    return pg_call_works(p->call, 200);
}

static bool is_word_at(const struct parser *p, size_t i) {
    size_t k;
    return i < p->s.n && pg_char_is_word(pg_char_at(p->s, i, &k));
}
static size_t word_end(const struct parser *p, size_t i) {
    while (is_word_at(p, i)) i += pg_char_bytes(p->s, i);
    return i;
}
static bool is_digit(const struct parser *p, size_t i) { return i < p->s.n && p->s.p[i] >= '0' && p->s.p[i] <= '9'; }
static bool is_letter(const struct parser *p, size_t i) { return is_word_at(p, i) && !is_digit(p, i); }
static bool at(const struct parser *p, size_t i, uint8_t c) { return i < p->s.n && p->s.p[i] == c; }

static size_t digits_end(const struct parser *p, size_t i) {
    while (is_digit(p, i)) i++;
    return i;
}

/* [+-] digits [. digits …] [e digits]; its end, or i where it is none or goes on as a word */
static size_t number_end(const struct parser *p, size_t i) {
    size_t start = i;
    if (at(p, i, '-') || at(p, i, '+')) i++;
    size_t end = digits_end(p, i);
    if (end == i) return start;
    while (at(p, end, '.') && is_digit(p, end + 1)) end = digits_end(p, end + 1);
    if (end < p->s.n && (p->s.p[end] | 0x20) == 'e') {
        size_t e = end + 1;
        if (at(p, e, '-') || at(p, e, '+')) e++;
        if (is_digit(p, e)) end = digits_end(p, e);
    }
    return is_word_at(p, end) ? start : end;
}

/* label.label…, the last of letters: its end, or i */
static size_t host_end(const struct parser *p, size_t i) {
    size_t end = i, dots = 0;
    bool letters = false;
    for (;;) {
        size_t label = end;
        letters = true;
        while (end < p->s.n && p->s.p[end] < 0x80 && (is_word_at(p, end) || (p->s.p[end] == '-' && is_word_at(p, end + 1)))) {
            letters &= !is_digit(p, end) && p->s.p[end] != '-';
            end++;
        }
        if (end == label) return i;
        if (!at(p, end, '.') || !is_word_at(p, end + 1)) break;
        end++, dots++;
    }
    return dots && (letters || is_letter(p, i)) && !is_word_at(p, end) ? end : i;
}

static size_t email_end(const struct parser *p, size_t i) {
    size_t end = i;
    while (end < p->s.n && p->s.p[end] < 0x80 &&
           (is_word_at(p, end) || p->s.p[end] == '.' || p->s.p[end] == '-' || p->s.p[end] == '_'))
        end++;
    if (end == i || !at(p, end, '@')) return i;
    size_t host = host_end(p, end + 1);
    return host == end + 1 ? i : host;
}

/* <tag …>, &entity;: nothing of theirs is a word */
static size_t skipped_end(const struct parser *p, size_t i) {
    if (at(p, i, '<') && (is_letter(p, i + 1) || at(p, i + 1, '/'))) {
        const uint8_t *end = memchr(p->s.p + i, '>', MIN(p->s.n - i, (size_t)1000));
        if (end) return (size_t)(end - p->s.p) + 1;
    }
    if (at(p, i, '&') && is_letter(p, i + 1)) {
        size_t end = word_end(p, i + 1);
        if (at(p, end, ';')) return end + 1;
    }
    return i;
}

static bool has_digit(str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] >= '0' && s.p[i] <= '9') return true;
    return false;
}

/* A word, or words with hyphens between: all of it, then each. */
static bool take_word(struct parser *p) {
    size_t start = p->i, end = word_end(p, start), parts = 1;
    size_t last = end;
    while (at(p, last, '-') && is_word_at(p, last + 1)) {
        size_t next = word_end(p, last + 1);
        if (is_digit(p, last + 1) && digits_end(p, last + 1) == next) break; /* a number of its own */
        last = next;
        parts++;
    }
    str whole = str_sub(p->s, start, last - start);
    p->i = last;
    if (parts > 1 && !add(p, whole, !has_digit(whole))) return false;
    for (size_t from = start; from < last; from = end + 1) {
        end = word_end(p, from);
        str part = str_sub(p->s, from, end - from);
        if (!add(p, part, !has_digit(part))) return false;
    }
    return true;
}

static bool take(struct parser *p) {
    size_t end = skipped_end(p, p->i);
    if (end > p->i) return p->i = end, true;
    bool after_word = p->i > 0 && is_word_at(p, pg_char_before(p->s, p->i));
    if ((end = email_end(p, p->i)) == p->i) end = host_end(p, p->i);
    if (end == p->i && (!after_word || is_digit(p, p->i))) end = number_end(p, p->i);
    if (end > p->i) {
        str token = str_sub(p->s, p->i, end - p->i);
        p->i = end;
        return add(p, token, false);
    }
    if (is_word_at(p, p->i)) return take_word(p);
    p->i += pg_char_bytes(p->s, p->i);
    return true;
}

static void drop_stemmer(void *arg) { sb_stemmer_delete(arg); }

bool pg_ts_words(struct pg_call *call, str text, bool english, struct pg_ts_word **out, uint32_t *n) {
    struct parser p = {.call = call, .s = text, .english = english};
    if (english) {
        p.stemmer = sb_stemmer_new("english", "UTF_8");
        ENSURE(p.stemmer);
        arena_cleanup(call->mem, drop_stemmer, p.stemmer);
    }
    while (p.i < text.n)
        if (!take(&p) || !pg_call_works(call, 5)) return false;
    *out = p.words;
    *n = p.n;
    return true;
}
