/* search: tsvector's text form and making, matching and ranking; what SQL calls. See search.h. */
#include "pg/search.h"
#include "pg/chars.h"
#include <math.h>
#include <stdlib.h>

/* ---- tsvector: text ---- */

static bool syntax(struct pg_call *call, str text) {
    return pg_raise(call, "42601", "syntax error in tsvector: \"" STR_FMT "\"", STR_ARG(str_sub(text, 0, 400)));
}
static bool is_blank(uint8_t c) { return c == ' ' || (c >= 9 && c <= 13); }

/* 'a word', or one without blanks; \ escapes. */
static bool read_word(struct pg_call *call, str s, size_t *i, str *out) {
    uint8_t *p = arena_alloc(call->mem, s.n - *i + 1, 1);
    size_t n = 0;
    bool quoted = s.p[*i] == '\'';
    if (quoted) ++*i;
    for (; *i < s.n; ++*i) {
        uint8_t c = s.p[*i];
        if (quoted && c == '\'') {
            if (*i + 1 >= s.n || s.p[*i + 1] != '\'') break;
            ++*i;
        } else if (c == '\\') {
            if (++*i >= s.n)
                return pg_raise(call, "42601", "there is no escaped character: \"" STR_FMT "\"", STR_ARG(str_sub(s, 0, 400)));
            c = s.p[*i];
        } else if (!quoted && (is_blank(c) || (c == ':' && n))) {
            break;
        }
        p[n++] = c;
    }
    if (quoted && *i >= s.n) return syntax(call, s);
    if (quoted) ++*i;
    *out = (str){p, n};
    return n > 0 || syntax(call, s);
}

/* :1A,2 */
static bool read_places(struct pg_call *call, str s, size_t *i, struct pg_ts_lexeme *l) {
    if (*i >= s.n || s.p[*i] != ':') return true;
    l->places = arena_array(call->mem, struct pg_ts_place, TS_POSITIONS_MAX);
    do {
        uint32_t at = 0;
        size_t from = ++*i;
        for (; *i < s.n && s.p[*i] >= '0' && s.p[*i] <= '9'; ++*i) at = MIN(at * 10 + (s.p[*i] - '0'), 1u << 20);
        if (*i == from) return syntax(call, s);
        if (!at) return pg_raise(call, "42601", "wrong position info in tsvector: \"" STR_FMT "\"", STR_ARG(str_sub(s, 0, 400)));
        uint8_t letter = *i < s.n ? s.p[*i] | 0x20 : 0, weight = 0;
        if (letter >= 'a' && letter <= 'd') weight = (uint8_t)('d' - letter), ++*i;
        else if (*i < s.n && s.p[*i] == '*') weight = 3, ++*i;
        if (l->n < TS_POSITIONS_MAX) l->places[l->n++] = (struct pg_ts_place){(uint16_t)MIN(at, (uint32_t)TS_PLACE_MAX), weight};
    } while (*i < s.n && s.p[*i] == ',');
    return *i >= s.n || is_blank(s.p[*i]) || syntax(call, s);
}

static int by_place(const void *a, const void *b) {
    const struct pg_ts_place *x = a, *y = b;
    return x->at != y->at ? (x->at > y->at) - (x->at < y->at) : (y->weight > x->weight) - (y->weight < x->weight);
}
static int by_lexeme(const void *a, const void *b) {
    const struct pg_ts_lexeme *x = a, *y = b;
    int c = str_cmp(x->word, y->word);
    return c ? c : (x > y) - (x < y);
}

/* Places in order, each once with its highest weight. */
static void settle(struct pg_ts_lexeme *l) {
    uint32_t kept = 0;
    if (l->n) qsort(l->places, l->n, sizeof *l->places, by_place);
    for (uint32_t i = 0; i < l->n; i++)
        if (!kept || l->places[kept - 1].at != l->places[i].at) l->places[kept++] = l->places[i];
    l->n = MIN(kept, (uint32_t)TS_POSITIONS_MAX);
}

static void pg_ts_vector_make(struct pg_call *call, struct pg_ts_lexeme *lexemes, uint32_t n, struct pg_ts_vector *out) {
    uint32_t kept = 0;
    if (n) qsort(lexemes, n, sizeof *lexemes, by_lexeme);
    for (uint32_t i = 0, j; i < n; i = j) {
        uint32_t places = 0, at = 0;
        for (j = i; j < n && str_eq(lexemes[j].word, lexemes[i].word); j++) places += lexemes[j].n;
        struct pg_ts_lexeme l = {.word = lexemes[i].word};
        l.places = places ? arena_array(call->mem, struct pg_ts_place, places) : NULL;
        for (uint32_t k = i; k < j; k++)
            for (uint32_t m = 0; m < lexemes[k].n; m++) l.places[at++] = lexemes[k].places[m];
        l.n = places;
        settle(&l);
        lexemes[kept++] = l;
    }
    *out = (struct pg_ts_vector){kept, lexemes};
}

static bool pg_ts_vector_read(struct pg_call *call, str text, struct pg_ts_vector *out) {
    struct pg_ts_lexeme *all = NULL;
    uint32_t n = 0, cap = 0;
    for (size_t i = 0;;) {
        while (i < text.n && is_blank(text.p[i])) i++;
        if (i >= text.n) break;
        if (n == cap) {
            struct pg_ts_lexeme *more = arena_array(call->mem, struct pg_ts_lexeme, cap = MAX(2 * cap, 32u));
            if (n) memcpy(more, all, n * sizeof *more);
            all = more;
        }
        struct pg_ts_lexeme *l = &all[n++];
        *l = (struct pg_ts_lexeme){0};
        if (!read_word(call, text, &i, &l->word) || !read_places(call, text, &i, l)) return false;
        if (l->word.n > TS_WORD_BYTES_MAX)
            return pg_raise(call, "54000", "word is too long (%zu bytes, max %d bytes)", l->word.n, TS_WORD_BYTES_MAX);
        if (!pg_call_works(call, 100)) return false;
    }
    pg_ts_vector_make(call, all, n, out);
    return true;
}

static void put_word(struct buf *b, str word) {
    buf_putc(b, '\'');
    for (size_t i = 0; i < word.n; i++) {
        if (word.p[i] == '\'' || word.p[i] == '\\') buf_putc(b, word.p[i]);
        buf_putc(b, word.p[i]);
    }
    buf_putc(b, '\'');
}

static void pg_ts_vector_put(struct buf *b, const struct pg_ts_vector *v) {
    for (uint32_t i = 0; i < v->n; i++) {
        if (i) buf_putc(b, ' ');
        put_word(b, v->lexemes[i].word);
        for (uint32_t k = 0; k < v->lexemes[i].n; k++) {
            struct pg_ts_place p = v->lexemes[i].places[k];
            buf_printf(b, "%c%u", k ? ',' : ':', p.at);
            if (p.weight) buf_putc(b, (uint8_t)('D' - p.weight));
        }
    }
}

static struct db_value vector_value(struct pg_call *call, const struct pg_ts_vector *v) {
    struct buf *b = pg_call_buf(call);
    pg_ts_vector_put(b, v);
    return pg_call_built(call, b);
}

bool pg_tsvector_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    struct pg_ts_vector v;
    (void)typmod;
    if (!pg_ts_vector_read(call, text, &v)) return false;
    *out = vector_value(call, &v);
    return !pg_raised(call);
}
bool pg_tsvector_out(struct pg_call *call, struct db_value v, struct buf *text) { return (void)call, buf_puts(text, v.s), true; }
bool pg_regconfig_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    bool english;
    (void)typmod;
    *out = DB_TEXT(text);
    return pg_ts_config(call, text, &english);
}
bool pg_regconfig_out(struct pg_call *call, struct db_value v, struct buf *text) { return (void)call, buf_puts(text, v.s), true; }

/* ---- made of text ---- */

static void to_vector(struct pg_call *call, str config, str text, struct db_value *out) {
    struct pg_ts_word *words;
    struct pg_ts_vector v;
    uint32_t n, kept = 0;
    bool english;
    if (!pg_ts_config(call, config, &english) || !pg_ts_words(call, text, english, &words, &n)) return;
    struct pg_ts_lexeme *all = arena_array(call->mem, struct pg_ts_lexeme, n + 1);
    struct pg_ts_place *places = arena_array(call->mem, struct pg_ts_place, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        if (!words[i].word.n) continue;
        places[kept] = (struct pg_ts_place){(uint16_t)words[i].at, 0};
        all[kept] = (struct pg_ts_lexeme){words[i].word, 1, &places[kept]};
        kept++;
    }
    pg_ts_vector_make(call, all, kept, &v);
    *out = vector_value(call, &v);
}
PG_FN(pg_to_tsvector) { to_vector(call, (str){0}, args[0].s, out); }
PG_FN(pg_to_tsvector_config) { to_vector(call, args[0].s, args[1].s, out); }

/* weight [, of these lexemes alone] */
PG_FN(pg_setweight) {
    struct pg_ts_vector v;
    uint8_t letter = args[1].s.n ? args[1].s.p[0] | 0x20 : 0;
    if (letter < 'a' || letter > 'd')
        return (void)pg_raise(call, "XX000", "unrecognized weight: %d", args[1].s.n ? args[1].s.p[0] : 0);
    if (!pg_ts_vector_read(call, args[0].s, &v)) return;
    for (uint32_t i = 0; i < v.n; i++)
        for (uint32_t k = 0; k < v.lexemes[i].n; k++) v.lexemes[i].places[k].weight = (uint8_t)('d' - letter);
    *out = vector_value(call, &v);
}
PG_FN(pg_strip) {
    struct pg_ts_vector v;
    if (!pg_ts_vector_read(call, args[0].s, &v)) return;
    for (uint32_t i = 0; i < v.n; i++) v.lexemes[i].n = 0;
    *out = vector_value(call, &v);
}
PG_FN(pg_tsvector_length) {
    struct pg_ts_vector v;
    if (pg_ts_vector_read(call, args[0].s, &v)) *out = DB_I64(v.n);
}
/* The second's places come after the first's last. */
PG_FN(pg_tsvector_concat) {
    struct pg_ts_vector a, b, v;
    uint32_t last = 0;
    if (!pg_ts_vector_read(call, args[0].s, &a) || !pg_ts_vector_read(call, args[1].s, &b)) return;
    for (uint32_t i = 0; i < a.n; i++)
        for (uint32_t k = 0; k < a.lexemes[i].n; k++) last = MAX(last, (uint32_t)a.lexemes[i].places[k].at);
    for (uint32_t i = 0; i < b.n; i++)
        for (uint32_t k = 0; k < b.lexemes[i].n; k++) {
            struct pg_ts_place *p = &b.lexemes[i].places[k];
            p->at = (uint16_t)MIN(p->at + last, (uint32_t)TS_PLACE_MAX);
        }
    struct pg_ts_lexeme *all = arena_array(call->mem, struct pg_ts_lexeme, a.n + b.n + 1);
    if (a.n) memcpy(all, a.lexemes, a.n * sizeof *all);
    if (b.n) memcpy(all + a.n, b.lexemes, b.n * sizeof *all);
    pg_ts_vector_make(call, all, a.n + b.n, &v);
    *out = vector_value(call, &v);
}

/* ---- matching ---- */

struct found {
    uint32_t n, width;
    uint16_t *at;
    bool not ; /* everywhere but there */
};
struct matching {
    struct pg_call *call;
    const struct pg_ts_vector *v;
};

/* The first lexeme that is not before the word. */
static uint32_t lower_bound(const struct pg_ts_vector *v, str word) {
    uint32_t low = 0, high = v->n;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (str_cmp(v->lexemes[middle].word, word) < 0) low = middle + 1;
        else high = middle;
    }
    return low;
}
static bool is_it(const struct pg_ts_node *q, str word) { return q->prefix ? str_starts(word, q->word) : str_eq(word, q->word); }
static bool may(const struct pg_ts_node *q, struct pg_ts_place p) { return !q->weights || q->weights >> p.weight & 1; }

static bool has_word(const struct matching *m, const struct pg_ts_node *q) {
    for (uint32_t i = lower_bound(m->v, q->word); i < m->v->n && is_it(q, m->v->lexemes[i].word); i++) {
        const struct pg_ts_lexeme *l = &m->v->lexemes[i];
        if (!q->weights || !l->n) return true;
        for (uint32_t k = 0; k < l->n; k++)
            if (may(q, l->places[k])) return true;
    }
    return false;
}

static int by_u16(const void *a, const void *b) { return *(const uint16_t *)a - *(const uint16_t *)b; }

static struct found word_places(const struct matching *m, const struct pg_ts_node *q) {
    struct found f = {0};
    uint32_t from = lower_bound(m->v, q->word), all = 0, kept = 0;
    for (uint32_t i = from; i < m->v->n && is_it(q, m->v->lexemes[i].word); i++) all += m->v->lexemes[i].n;
    f.at = arena_array(m->call->mem, uint16_t, all + 1);
    for (uint32_t i = from; i < m->v->n && is_it(q, m->v->lexemes[i].word); i++)
        for (uint32_t k = 0; k < m->v->lexemes[i].n; k++)
            if (may(q, m->v->lexemes[i].places[k])) f.at[f.n++] = m->v->lexemes[i].places[k].at;
    if (f.n) qsort(f.at, f.n, sizeof *f.at, by_u16);
    for (uint32_t i = 0; i < f.n; i++)
        if (!kept || f.at[kept - 1] != f.at[i]) f.at[kept++] = f.at[i];
    f.n = kept;
    return f;
}

enum { LEFT_ONLY = 1, RIGHT_ONLY = 2, BOTH = 4 };
static void join(const struct matching *m, struct found *to, const struct found *l, const struct found *r, int which,
                 uint32_t left_by, uint32_t right_by) {
    uint32_t i = 0, j = 0;
    to->at = arena_array(m->call->mem, uint16_t, l->n + r->n + 1);
    while (i < l->n || j < r->n) {
        uint32_t x = i < l->n ? l->at[i] + left_by : UINT32_MAX, y = j < r->n ? r->at[j] + right_by : UINT32_MAX;
        int is = x < y ? LEFT_ONLY : x > y ? RIGHT_ONLY : BOTH;
        if (which & is) to->at[to->n++] = (uint16_t)MIN(x, y);
        i += x <= y, j += y <= x;
    }
}

/* Where the phrase that q is ends. */
static struct found places(const struct matching *m, const struct pg_ts_node *q) {
    struct found f = {0};
    if (!pg_call_works(m->call, 50)) return f;
    if (q->kind == TS_WORD) return word_places(m, q);
    if (q->kind == TS_NOT) {
        f = places(m, q->right);
        f.not = f.n || f.not ? !f.not : true;
        return f;
    }
    struct found l = places(m, q->left), r = places(m, q->right);
    uint32_t left_by, right_by = 0;
    if (q->kind == TS_PHRASE) {
        left_by = q->distance + r.width;
        f.width = q->distance + l.width + r.width;
    } else {
        f.width = MAX(l.width, r.width);
        left_by = f.width - l.width;
        right_by = f.width - r.width;
    }
    if (q->kind == TS_OR) {
        int which = l.not &&r.not ? BOTH : l.not ? LEFT_ONLY : r.not ? RIGHT_ONLY : BOTH | LEFT_ONLY | RIGHT_ONLY;
        f.not = l.not || r.not ;
        join(m, &f, &l, &r, which, left_by, right_by);
    } else {
        int which = l.not &&r.not ? BOTH | LEFT_ONLY | RIGHT_ONLY : l.not ? RIGHT_ONLY : r.not ? LEFT_ONLY : BOTH;
        f.not = l.not &&r.not ;
        join(m, &f, &l, &r, which, left_by, right_by);
    }
    return f;
}

static bool matches(const struct matching *m, const struct pg_ts_node *q) {
    if (!pg_call_works(m->call, 50)) return false;
    switch (q->kind) {
    case TS_WORD: return has_word(m, q);
    case TS_NOT: return !matches(m, q->right);
    case TS_AND: return matches(m, q->left) && matches(m, q->right);
    case TS_OR: return matches(m, q->left) || matches(m, q->right);
    case TS_PHRASE: {
        struct found f = places(m, q);
        return f.n || f.not ;
    }
    case TS_STOP: break;
    }
    return false;
}
static bool pg_ts_matches(struct pg_call *call, const struct pg_ts_vector *v, const struct pg_ts_node *q) {
    return q && matches(&(struct matching){call, v}, q);
}
static void match_value(struct pg_call *call, str vector, str query, struct db_value *out) {
    struct pg_ts_vector v;
    struct pg_ts_node *q;
    if (pg_ts_vector_read(call, vector, &v) && pg_ts_query_read(call, query, &q)) *out = pg_bool(pg_ts_matches(call, &v, q));
}
PG_FN(pg_ts_match_vq) { match_value(call, args[0].s, args[1].s, out); }
PG_FN(pg_ts_match_qv) { match_value(call, args[1].s, args[0].s, out); }
/* text @@ tsquery */
PG_FN(pg_ts_match_tq) {
    struct db_value v = DB_NOTHING;
    to_vector(call, (str){0}, args[0].s, &v);
    if (!pg_raised(call)) match_value(call, v.s, args[1].s, out);
}

/* ---- ranking: by how often and how near, as PostgreSQL's ts_rank ---- */

struct operand {
    const struct pg_ts_node *word;
    const struct pg_ts_lexeme *lexeme; /* the last that it is; NULL: none */
};
static const float rank_weights[] = {0.1f, 0.2f, 0.4f, 1.0f};

static uint32_t operands(const struct pg_ts_node *q, struct operand *out, uint32_t n) {
    if (!q || n == TS_NODES_MAX) return n;
    if (q->kind != TS_WORD) return operands(q->right, out, q->kind == TS_NOT ? n : operands(q->left, out, n));
    for (uint32_t i = 0; i < n; i++)
        if (str_eq(out[i].word->word, q->word)) return n;
    out[n] = (struct operand){q, NULL};
    return n + 1;
}

static int by_operand(const void *a, const void *b) {
    return str_cmp(((const struct operand *)a)->word->word, ((const struct operand *)b)->word->word);
}

static const struct pg_ts_place no_places[] = {{TS_PLACE_MAX - 1, 0}};
static const struct pg_ts_place *places_of(const struct pg_ts_lexeme *l, uint32_t *n) {
    *n = l->n ? l->n : 1;
    return l->n ? l->places : no_places;
}

static float rank_or(const float *w, const struct pg_ts_vector *v, const struct operand *all, uint32_t n) {
    float sum = 0;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = lower_bound(v, all[i].word->word); k < v->n && is_it(all[i].word, v->lexemes[k].word); k++) {
            uint32_t count, best = 0;
            const struct pg_ts_place *p = places_of(&v->lexemes[k], &count);
            float here = 0, most = -1;
            for (uint32_t j = 0; j < count; j++) {
                here = here + w[p[j].weight] / (float)((j + 1) * (j + 1));
                if (w[p[j].weight] > most) most = w[p[j].weight], best = j;
            }
            sum = (float)(sum + (most + here - most / (float)((best + 1) * (best + 1))) / 1.64493406685);
        }
    return n ? sum / (float)n : sum;
}

static float distance_weight(int32_t d) { return d > 100 ? 1e-30f : (float)(1.0 / (1.005 + 0.05 * exp((float)d / 1.5 - 2))); }

static float rank_pair(const float *w, const struct pg_ts_lexeme *a, const struct pg_ts_lexeme *b, float rank) {
    uint32_t n, m;
    const struct pg_ts_place *p = places_of(a, &n), *q = places_of(b, &m);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < m; j++) {
            int32_t d = abs(p[i].at - q[j].at);
            if (!d && a->n && b->n) continue;
            if (!d) d = TS_PLACE_MAX + 1;
            float here = (float)sqrt(w[p[i].weight] * w[q[j].weight] * distance_weight(d));
            rank = rank < 0 ? here : (float)(1.0 - (1.0 - rank) * (1.0 - here));
        }
    return rank;
}

static float rank_and(struct pg_call *call, const float *w, const struct pg_ts_vector *v, struct operand *all, uint32_t n) {
    float rank = -1;
    if (n < 2) return rank_or(w, v, all, n);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = lower_bound(v, all[i].word->word); k < v->n && is_it(all[i].word, v->lexemes[k].word); k++) {
            all[i].lexeme = &v->lexemes[k];
            for (uint32_t j = 0; j < i && pg_call_works(call, 100); j++)
                if (all[j].lexeme) rank = rank_pair(w, all[i].lexeme, all[j].lexeme, rank);
        }
    return rank;
}

static float normalized(float rank, const struct pg_ts_vector *v, int64_t how) {
    uint32_t length = 0;
    for (uint32_t i = 0; i < v->n; i++) length += MAX(v->lexemes[i].n, 1u);
    if (how & 1 && v->n) rank = (float)(rank / log((double)length + 1) * log(2.0));
    if (how & 2 && length) rank /= (float)length;
    if (how & 8 && v->n) rank /= (float)v->n;
    if (how & 16 && v->n) rank = (float)(rank / (log((double)v->n + 1) / log(2.0)));
    if (how & 32) rank /= rank + 1;
    return rank;
}
/* vector, query [, how it is normalized] */
PG_FN(pg_ts_rank) {
    struct pg_ts_vector v;
    struct pg_ts_node *q;
    if (!pg_ts_vector_read(call, args[0].s, &v) || !pg_ts_query_read(call, args[1].s, &q)) return;
    struct operand *all = arena_array(call->mem, struct operand, TS_NODES_MAX);
    uint32_t count = operands(q, all, 0);
    if (count) qsort(all, count, sizeof *all, by_operand); /* as PostgreSQL adds them up */
    float rank = 0;
    if (v.n && q)
        rank = q->kind == TS_AND || q->kind == TS_PHRASE ? rank_and(call, rank_weights, &v, all, count)
                                                         : rank_or(rank_weights, &v, all, count);
    if (rank < 0) rank = 1e-20f;
    if (v.n && q) rank = normalized(rank, &v, n > 2 ? args[2].i : 0);
    *out = DB_F64((double)rank);
}
