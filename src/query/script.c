/* script: a text that a function runs (EXECUTE): asked for, looked at, made SQLite's, and kept for who runs the same again.
 *
 *   the function ──(text, types of $1 …, what is wanted)──> options.translate ──> statements, or what is wrong with them
 *                                                            of whoever may read PostgreSQL's language (sql/routine_text.c)
 *
 * 1. What comes back is hearsay: it is held against script_wall.c, and each statement runs with the wall up, with the rights of the function.
 * 2. So many are kept, and so many bytes, of a connection; one that is under way stays. With the catalogue all go.
 */
#include "query/query_int.h"
#include <stdlib.h>

enum { KEPT_MAX = 100, BYTES_MAX = 2 << 20, PARTS_BYTES_MAX = 4 << 20 };

static bool failed(struct query_conn *conn, const struct catalog_text_answer *a) {
    char state[6] = "XX000";
    bool sound = a->state.n == 5;
    for (size_t i = 0; sound && i < 5; i++) {
        uint8_t c = a->state.p[i];
        sound = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
    }
    if (sound && memcmp(a->state.p, "00", 2) != 0) memcpy(state, a->state.p, 5);
    query_fail(&conn->raised, state, STR_FMT, STR_ARG(str_sub(a->message, 0, 1000)));
    if (a->detail.n) query_fail_detail(&conn->raised, STR_FMT, STR_ARG(str_sub(a->detail, 0, 1000)));
    if (a->hint.n) query_fail_hint(&conn->raised, STR_FMT, STR_ARG(str_sub(a->hint, 0, 1000)));
    return false;
}

static bool parts_hold(struct query_conn *conn, const struct query_script *t, uint32_t definer, bool rows) {
    for (uint32_t i = 0; i < t->answer.parts.n; i++) {
        const struct catalog_text_part *p = &t->answer.parts.p[i];
        bool ok =
            query_script_holds(conn->catalog, &p->fragment, definer, rows) && p->query != !!(p->fragment.flags & CATALOG_WRITES);
        for (uint32_t k = 0; ok && k < p->casts.n; k++)
            if (p->casts.p[k].text.n) {
                struct catalog_fragment cast = p->casts.p[k];
                cast.flags &= ~(uint32_t)CATALOG_WRITES;
                cast.text = arena_fmt(t->mem, "select " STR_FMT, STR_ARG(cast.text));
                ok = query_script_holds(conn->catalog, &cast, definer, false);
            }
        if (!ok) return query_fail(&conn->raised, "XX000", "what a text was made into is refused");
    }
    return true;
}

/* ---- what is kept ---- */

static void drop(struct query_conn *conn, struct query_script **at) {
    struct query_script *t = *at;
    *at = t->next;
    conn->scripts_n--;
    conn->scripts_bytes -= t->bytes;
    arena_free(t->mem);
}

void query_scripts_free(struct query_conn *conn) {
    while (conn->scripts) drop(conn, &conn->scripts);
}

/* The one that was used longest ago is the last. */
static void make_room(struct query_conn *conn, size_t bytes) {
    while (conn->scripts_n >= KEPT_MAX || (conn->scripts_n && conn->scripts_bytes + bytes > BYTES_MAX)) {
        struct query_script **last = NULL;
        for (struct query_script **at = &conn->scripts; *at; at = &(*at)->next)
            if (!(*at)->uses) last = at;
        if (!last) return;
        drop(conn, last);
    }
}

static struct query_script *kept(struct query_conn *conn, str key) {
    for (struct query_script **at = &conn->scripts; *at; at = &(*at)->next) {
        struct query_script *t = *at;
        if (!str_eq(t->key, key)) continue;
        *at = t->next;
        t->next = conn->scripts;
        return conn->scripts = t;
    }
    return NULL;
}

/* ---- asking ---- */

static struct query_script *ask(struct query_conn *conn, const struct query_expanding *as, bool rows, str key, str bytes) {
    struct diag d = DIAG_INIT;
    arena *mem = arena_new(0);
    struct query_script *t = arena_make(mem, struct query_script);
    str answer;
    *t = (struct query_script){.mem = mem, .key = arena_str(mem, key)};
    bool ok = conn->options.translate
                  ? conn->options.translate(conn->options.translate_arg, mem, conn->catalog, bytes, &answer, &conn->raised)
                  : query_fail(&conn->raised, "0A000", "EXECUTE is not there, where nobody reads its text");
    if (ok && catalog_text_answer_read(mem, answer, &t->answer, &d) != ERR_OK)
        ok = query_fail(&conn->raised, "XX000", "what a text was made into cannot be read: %s", d.text);
    if (ok && t->answer.message.n) ok = failed(conn, &t->answer);
    if (ok) ok = parts_hold(conn, t, as->definer, rows);
    t->parts = arena_array(mem, struct query_script_part, t->answer.parts.n + 1);
    memset(t->parts, 0, (t->answer.parts.n + 1) * sizeof *t->parts);
    if (ok) return t;
    arena_free(mem);
    return NULL;
}

struct query_script *query_script_of(struct query_conn *conn, const struct query_expanding *as, const struct catalog_text *text) {
    struct buf b = {0};
    struct query_script *t = NULL;
    if (text->text.n > CATALOG_TEXT_BYTES_MAX) {
        query_fail(&conn->raised, "54000", "a text of EXECUTE has at most %d bytes", CATALOG_TEXT_BYTES_MAX);
        return NULL;
    }
    const uint32_t who[] = {as->role, as->definer};
    buf_put(&b, who, sizeof who);
    catalog_text_write(&b, text);
    t = kept(conn, buf_str(&b));
    if (!t && (t = ask(conn, as, text->rows_of != 0, buf_str(&b), str_sub(buf_str(&b), sizeof who, b.n)))) {
        t->bytes = arena_bytes(t->mem);
        make_room(conn, t->bytes);
        t->next = conn->scripts;
        conn->scripts = t;
        conn->scripts_n++;
        conn->scripts_bytes += t->bytes;
    }
    buf_free(&b);
    if (t) t->uses++;
    return t;
}

void query_script_done(struct query_conn *conn, struct query_script *t) {
    if (--t->uses) return;
    size_t now = arena_bytes(t->mem); /* statements were made of it meanwhile */
    conn->scripts_bytes += now - t->bytes;
    t->bytes = now;
    make_room(conn, 0);
}

/* ---- made SQLite's ---- */

bool query_script_made(struct query_conn *conn, struct query_script *t, uint32_t i, const struct query_expanding *as,
                       uint32_t arguments, struct query_script_part **out) {
    struct query_script_part *p = *out = &t->parts[i];
    const struct catalog_fragment *f = &t->answer.parts.p[i].fragment;
    struct query_expanding x = *as;
    x.at = QUERY_AT_VALUES, x.of = NULL;
    x.arguments_count = arguments;
    x.writes = f->flags & CATALOG_WRITES, x.returns = f->flags & CATALOG_RETURNS;
    if (!query_schemas_hold(&x, f, &conn->raised)) return false;
    if (x.writes && query_change_needed(&x, f->text)) return p->change = true;
    p->change = false;
    if (x.writes) query_wall_target(conn, NULL);
    if (p->there && p->generation == conn->made_generation && !x.writes)
        return true; /* what is written is told to the wall each time */
    struct buf b = {.max = PARTS_BYTES_MAX};
    p->places.mem = t->mem, p->places.list.n = 0;
    x.places = &p->places;
    bool ok = query_expand(&x, f->text, &b, &conn->raised);
    if (ok && b.full) ok = query_fail(&conn->raised, "54001", "statement is too complex");
    if (ok && !(p->there && str_eq(p->sql, buf_str(&b)))) p->sql = arena_str(t->mem, buf_str(&b));
    p->there = ok, p->generation = conn->made_generation;
    buf_free(&b);
    if (ok) query_routine_warm(conn, p->sql);
    return ok;
}
