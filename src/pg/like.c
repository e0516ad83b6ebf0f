/* like: LIKE, ILIKE, and SIMILAR TO's way to a regular expression.
 *
 * Matching keeps one place to go back to, that of the last '%': what stood before it has matched as early as it could, and needs no other try. So
 * a pattern costs at most its length for each character of the text, whatever it is.
 */
#include "pg/chars.h"
#include "pg/pg_int.h"

static bool dangling(struct pg_call *call) { return pg_raise(call, "22025", "LIKE pattern must not end with escape character"); }

struct match {
    struct pg_call *call;
    str t, p;
    size_t i, j;           /* in the text, in the pattern */
    size_t back_i, back_j; /* after the last '%'; back_j 0: there was none */
};

/* '%', and what of '%' and '_' follows it. 1: matched, 0: not, -1: it goes on. */
static int percent(struct match *m) {
    while (m->j < m->p.n && (m->p.p[m->j] == '%' || m->p.p[m->j] == '_')) {
        if (m->p.p[m->j++] == '%') continue;
        if (m->i >= m->t.n) return 0;
        m->i += pg_char_bytes(m->t, m->i);
    }
    if (m->j >= m->p.n) return 1;
    if (m->p.p[m->j] == '\\' && m->j + 1 >= m->p.n) return dangling(m->call);
    m->back_i = m->i;
    m->back_j = m->j;
    return m->i >= m->t.n ? 0 : -1;
}

/* To the next place where what follows the last '%' may begin. */
static bool go_back(struct match *m) {
    if (!m->back_j || m->back_i >= m->t.n) return false;
    m->back_i += pg_char_bytes(m->t, m->back_i);
    uint8_t first = m->p.p[m->back_j];
    if (first == '\\') first = m->p.p[m->back_j + 1];
    const uint8_t *p = m->back_i < m->t.n ? memchr(m->t.p + m->back_i, first, m->t.n - m->back_i) : NULL;
    if (!p || !pg_call_works(m->call, 3)) return false;
    m->i = m->back_i = (size_t)(p - m->t.p);
    m->j = m->back_j;
    return true;
}

static bool like(struct pg_call *call, str t, str p) {
    struct match m = {call, t, p, 0, 0, 0, 0};
    for (;;) {
        bool same = false;
        if (m.i < t.n && m.j < p.n && p.p[m.j] == '%') {
            int done = percent(&m);
            if (done >= 0) return done;
            continue;
        }
        if (m.i < t.n && m.j < p.n) {
            if (p.p[m.j] == '_') {
                same = true;
                m.i += pg_char_bytes(t, m.i);
                m.j++;
            } else {
                if (p.p[m.j] == '\\' && ++m.j >= p.n) return dangling(call);
                same = p.p[m.j++] == t.p[m.i++];
            }
        } else if (m.i >= t.n) {
            while (m.j < p.n && p.p[m.j] == '%') m.j++;
            return m.j >= p.n; /* a shorter rest of the text will not match more */
        }
        if (!pg_call_works(call, 1)) return false;
        if (!same && !go_back(&m)) return false;
    }
}

PG_FN(pg_like) { *out = pg_bool(like(call, args[0].s, args[1].s)); }
PG_FN(pg_nlike) { *out = pg_bool(!like(call, args[0].s, args[1].s)); }

static bool ilike(struct pg_call *call, const struct db_value *args) {
    struct buf *t = pg_call_buf(call), *p = pg_call_buf(call);
    pg_chars_lower(t, args[0].s);
    pg_chars_lower(p, args[1].s);
    return like(call, buf_str(t), buf_str(p));
}
PG_FN(pg_ilike) { *out = pg_bool(ilike(call, args)); }
PG_FN(pg_nilike) { *out = pg_bool(!ilike(call, args)); }

/* ---- ESCAPE ---- */

static bool bad_escape(struct pg_call *call) {
    pg_raise(call, "22025", "invalid escape string");
    pg_raise_hint(call, "Escape string must be empty or one character.");
    return false;
}

/* The same pattern with a backslash for an escape. */
PG_FN(pg_like_escape) {
    str p = args[0].s, e = args[1].s;
    struct buf *b = pg_call_buf(call);
    if (e.n && pg_char_bytes(e, 0) != e.n) {
        bad_escape(call);
        return;
    }
    bool after = false;
    for (size_t i = 0, k; i < p.n; i += k) {
        k = pg_char_bytes(p, i);
        bool is = e.n == k && !memcmp(p.p + i, e.p, k);
        if (is && !after) {
            buf_putc(b, '\\');
            after = true;
            continue;
        }
        if (p.p[i] == '\\' && !after) buf_putc(b, '\\');
        buf_put(b, p.p + i, k);
        after = false;
    }
    *out = pg_call_built(call, b);
}

/* ---- SIMILAR TO ----
 *
 * SQL's regular expression as an advanced one: ^(?: … )$, in which '%' is .*, '_' is ., an escape before '"' parts what SUBSTRING gives. */

struct similar {
    struct pg_call *call;
    str p, e;
    size_t i;
    struct buf *b;
    uint32_t quotes;
    bool bracket;
};

static void part_begins(struct similar *s) {
    /* the first: what comes before, as short as it can be; the second: what comes after */
    buf_puts(s->b, s->quotes == 0 ? STR("){1,1}?(") : STR("){1,1}(?:"));
    s->quotes++;
}

static bool escaped(struct similar *s) {
    if (s->i >= s->p.n) return true; /* as PostgreSQL: a last escape is nothing */
    size_t k = pg_char_bytes(s->p, s->i);
    if (s->p.p[s->i] == '"' && !s->bracket) {
        if (s->quotes >= 2)
            return pg_raise(s->call, "2200C",
                            "SQL regular expression may not contain more than two escape-double-quote separators");
        part_begins(s);
    } else {
        buf_putc(s->b, '\\');
        buf_put(s->b, s->p.p + s->i, k);
    }
    s->i += k;
    return true;
}

static void one(struct similar *s) {
    size_t k = pg_char_bytes(s->p, s->i);
    uint8_t c = s->p.p[s->i];
    if (s->bracket) {
        if (c == '\\') buf_putc(s->b, '\\');
        buf_put(s->b, s->p.p + s->i, k);
        if (c == ']') s->bracket = false;
    } else if (c == '[') {
        buf_putc(s->b, '[');
        s->bracket = true;
    } else if (c == '%') {
        buf_puts(s->b, STR(".*"));
    } else if (c == '_') {
        buf_putc(s->b, '.');
    } else if (c == '(') {
        buf_puts(s->b, STR("(?:"));
    } else {
        if (c == '\\' || c == '.' || c == '^' || c == '$') buf_putc(s->b, '\\');
        buf_put(s->b, s->p.p + s->i, k);
    }
    s->i += k;
}

/* pattern, escape (none: a backslash) */
PG_FN(pg_similar_to_escape) {
    struct similar s = {.call = call, .p = args[0].s, .e = n > 1 ? args[1].s : STR("\\"), .b = pg_call_buf(call)};
    if (s.e.n && pg_char_bytes(s.e, 0) != s.e.n) {
        bad_escape(call);
        return;
    }
    buf_puts(s.b, STR("^(?:"));
    while (s.i < s.p.n) {
        if (s.e.n && s.e.n <= s.p.n - s.i && !memcmp(s.p.p + s.i, s.e.p, s.e.n)) {
            s.i += s.e.n;
            if (!escaped(&s)) return;
        } else {
            one(&s);
        }
    }
    buf_puts(s.b, STR(")$"));
    *out = pg_call_built(call, s.b);
}
