/* toml: a file as a tree in an arena, by toml++ (toml.cc), within bounds.
 *
 * 1. What toml++ has no bound for is counted first: how many bytes there are, how many parts a key has. With its own bound of how deep values
 *    lie in one another, no tree is deeper than (TOML_DEPTH_MAX + 2) * TOML_KEY_PARTS_MAX, which a stack has room for.
 * 2. Entries of a table are in the order of the file: what is said of them, too.
 */
#include "manifest/manifest_int.h"
#include <stdlib.h>

/* ---- keys of too many parts ---- */

struct scan {
    str s;
    size_t at;
    uint32_t line;
};

static bool is_at(const struct scan *sc, const char *what) { return str_starts(str_sub(sc->s, sc->at, sc->s.n), str_c(what)); }

/* Behind a string that begins here: one or three quotes, an escape where they are double ones. */
static void skip_string(struct scan *sc) {
    uint8_t quote = sc->s.p[sc->at];
    const char *const three = quote == '"' ? "\"\"\"" : "'''";
    bool many = is_at(sc, three);
    for (sc->at += many ? 3 : 1; sc->at < sc->s.n; sc->at++) {
        uint8_t c = sc->s.p[sc->at];
        if (c == '\n') {
            if (!many) return; /* no string: toml++ says so */
            sc->line++;
        }
        if (c == '\\' && quote == '"') sc->at++;
        else if (c == quote && (!many || is_at(sc, three))) {
            sc->at += many ? 3 : 1;
            for (int more = 0; many && more < 2 && sc->at < sc->s.n && sc->s.p[sc->at] == quote; more++)
                sc->at++; /* of the string's */
            return;
        }
    }
}

/* The line of a key with more parts than there may be; 0: there is none. */
static uint32_t long_key(str text) {
    struct scan sc = {text, 0, 1};
    for (uint32_t dots = 0; sc.at < text.n;) {
        uint8_t c = text.p[sc.at];
        if (c == '"' || c == '\'') {
            skip_string(&sc);
            continue;
        }
        if (c == '#') {
            while (sc.at < text.n && text.p[sc.at] != '\n') sc.at++;
            continue;
        }
        sc.at++;
        if (c == '\n') sc.line++;
        if (c == '.' && ++dots >= TOML_KEY_PARTS_MAX) return sc.line;
        if (strchr("=,[]{}\n", c)) dots = 0;
    }
    return 0;
}

/* The line that is no UTF-8; 0: there is none. */
static uint32_t foreign_line(str text) {
    uint32_t at = 1;
    if (str_is_utf8(text)) return 0;
    for (str line, rest = text;; at++) {
        str_cut(rest, '\n', &line, &rest);
        if (!str_is_utf8(line) || !rest.n) return at;
    }
}

/* ---- the tree ---- */

struct growing {
    arena *mem;
    struct toml *root;
    VEC(struct toml *) open; /* arrays and tables, the innermost last */
    uint32_t values;
    bool too_many;
};

static int order_places(const void *a, const void *b) {
    const struct toml *x = a, *y = b;
    uint64_t p = (uint64_t)x->key_line << 32 | x->key_column, q = (uint64_t)y->key_line << 32 | y->key_column;
    return (p > q) - (p < q);
}

static struct toml *add_item(struct growing *g) {
    struct toml *in = g->open.n ? g->open.p[g->open.n - 1] : NULL;
    if (!in) return g->root = arena_make(g->mem, struct toml);
    if (in->n == in->cap) in->items = base_vec_grow(g->mem, in->items, &in->cap, sizeof *in->items);
    in->items[in->n] = (struct toml){0};
    return &in->items[in->n++];
}

/* A table's place among its siblings may change while it is open: nothing is added to those then. */
static void on_event(void *arg, const struct toml_event *e) {
    struct growing *g = arg;
    if (g->too_many) return;
    if (e->type == TOML_END) {
        struct toml *done = g->open.p[--g->open.n];
        if (done->type == TOML_TABLE && done->n) qsort(done->items, done->n, sizeof *done->items, order_places);
        return;
    }
    g->too_many = ++g->values > TOML_VALUES_MAX;
    struct toml *t = add_item(g);
    *t = (struct toml){.type = e->type, .line = e->line, .column = e->column, .i = e->i, .f = e->f};
    if (e->key) t->key = arena_str(g->mem, (str){(const uint8_t *)e->key, e->key_n});
    t->key_line = e->key_line ? e->key_line : e->line, t->key_column = e->key_line ? e->key_column : e->column;
    if (e->type == TOML_STRING) t->s = arena_str(g->mem, (str){(const uint8_t *)e->s, e->n});
    if (e->type == TOML_ARRAY || e->type == TOML_TABLE) vec_push(g->mem, &g->open, t);
}

static const struct toml *refuse(struct manifest_note *wrong, uint32_t line, uint32_t column, str text) {
    *wrong = (struct manifest_note){.line = line, .column = column, .is_error = true, .text = text};
    return NULL;
}

const struct toml *manifest_toml(arena *out, str text, struct manifest_note *wrong) {
    struct growing g = {.mem = out};
    struct toml_wrong why = {0};
    if (text.n > TOML_BYTES_MAX)
        return refuse(wrong, 1, 1, arena_fmt(out, "it has %zu bytes, and may have %d", text.n, TOML_BYTES_MAX));
    if (text.n && memchr(text.p, 0, text.n)) return refuse(wrong, 1, 1, STR("it has NUL bytes, and is no text"));
    uint32_t line = foreign_line(text);
    if (line) return refuse(wrong, line, 1, STR("it has bytes that are no UTF-8"));
    line = long_key(text);
    if (line) return refuse(wrong, line, 1, arena_fmt(out, "a key has at most %d parts", TOML_KEY_PARTS_MAX));
    if (!manifest_toml_shim((const char *)text.p, text.n, on_event, &g, &why)) {
        text_tame(why.text, strlen(why.text));
        return refuse(wrong, MAX(why.line, 1u), MAX(why.column, 1u), arena_str(out, str_c(why.text)));
    }
    if (g.too_many) return refuse(wrong, 1, 1, arena_fmt(out, "it has more than %d values", TOML_VALUES_MAX));
    return g.root;
}

const struct toml *manifest_toml_get(const struct toml *table, const char *key) {
    for (uint32_t i = 0; table->type == TOML_TABLE && i < table->n; i++)
        if (str_eqc(table->items[i].key, key)) return &table->items[i];
    return NULL;
}
