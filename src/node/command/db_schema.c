/* db_schema: what stands in a PostgreSQL, and what migrations make of an empty one, held against each other (the node tells both: postgres/schema.c).
 *
 *   a dump:  what stands there and is not the platform's, in the order in which it can be made
 *   a diff:  SQL that brings what the migrations make to what stands there: what is there no more goes, the last first; what is new or other is made
 *
 * What cannot be brought there without its rows (a composite type's fields, a column's expression) is told as a comment: that is a person's to write. */
#include "node/command/db.h"
#include <stdlib.h>

enum { PHASE_COLUMN = 31, PHASE_NOT_NULL = 32, PHASE_ROWS = 60 };

struct object {
    uint32_t phase;
    str kind, key, text, gone, of;
    const struct object *other; /* of the other list; NULL: it has none */
};
typedef VEC(struct object) objects;

static str id_of(arena *mem, const struct object *o) {
    return arena_fmt(mem, STR_FMT "\t" STR_FMT, STR_ARG(o->kind), STR_ARG(o->key));
}

static err read_line(arena *mem, str line, objects *to, struct diag *d) {
    static const struct json_limits limits = {.bytes_max = 16 << 20, .depth_max = 2, .values_max = 16};
    struct json v;
    TRY(json_read(mem, line, &limits, &v, d));
    if (json_count(&v) != 6) return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "the node tells of no object");
    str s[5];
    for (uint32_t i = 0; i < 5; i++) s[i] = json_str(json_item(&v, i + 1));
    vec_push(mem, to, ((struct object){(uint32_t)json_i64(json_item(&v, 0)), s[0], s[1], s[2], s[3], s[4], NULL}));
    return ERR_OK;
}

static err read_lists(arena *mem, str text, objects *live, objects *made, bool *both, struct diag *d) {
    *both = false;
    for (str rest = text, line; rest.n;) {
        str_cut(rest, '\n', &line, &rest);
        if (str_eqc(line, "-")) *both = true;
        else if (line.n) TRY(read_line(mem, line, *both ? made : live, d));
    }
    return ERR_OK;
}

static void pair(arena *mem, objects *a, const objects *b) {
    struct map there = {0};
    uint64_t at;
    for (uint32_t i = 0; i < b->n; i++) map_put(mem, &there, id_of(mem, &b->p[i]), i);
    for (uint32_t i = 0; i < a->n; i++)
        if (map_get(&there, id_of(mem, &a->p[i]), &at)) a->p[i].other = &b->p[at];
}

/* Tables and columns that one list has and the other has not: by their keys. */
static struct map alone(arena *mem, const objects *list, const char *kind) {
    struct map m = {0};
    for (uint32_t i = 0; i < list->n; i++)
        if (str_eqc(list->p[i].kind, kind) && !list->p[i].other) map_put(mem, &m, list->p[i].key, 1);
    return m;
}

static bool is_inner(const struct object *o) { return o->phase == PHASE_COLUMN || o->phase == PHASE_NOT_NULL; }
static bool is_kind(const struct object *o, const char *kind) { return str_eqc(o->kind, kind); }
static void put(struct buf *to, str text) { buf_puts(to, text), buf_putc(to, '\n'); }

static void put_comment(struct buf *to, const struct object *o) {
    buf_printf(to, "-- " STR_FMT " " STR_FMT " is another one; here it is:\n", STR_ARG(o->kind), STR_ARG(o->key));
    for (str rest = o->text, line; rest.n;) {
        str_cut(rest, '\n', &line, &rest);
        buf_printf(to, "--   " STR_FMT "\n", STR_ARG(line));
    }
}

/* ---- a dump ---- */

static bool is_platforms(const struct catalog *c, const struct object *o) {
    str schema = o->of.n ? o->of : o->key, rest;
    if (is_kind(o, "grants") || is_kind(o, "comment")) { /* "table a.b" */
        while (str_cut(schema, ' ', &rest, &schema) && schema.n) {}
        if (!schema.n) schema = rest;
    }
    str_cut(schema, '.', &schema, &rest);
    const struct catalog_schema *s = c ? catalog_schema_named(c, schema) : NULL;
    return s && s->platform && !str_eqc(s->name, "public");
}

static void put_made(const struct object *o, struct buf *before, struct buf *behind) {
    struct buf *to = o->phase < PHASE_ROWS ? before : behind;
    if (!is_kind(o, "materialized view")) {
        put(to, o->text);
        return;
    }
    buf_printf(to, STR_FMT " with no data;\n",
               STR_ARG(str_sub(o->text, 0, o->text.n - (o->text.n && o->text.p[o->text.n - 1] == ';'))));
    buf_printf(behind, "refresh materialized view " STR_FMT ";\n", STR_ARG(o->key));
}

err node_db_schema_dump(arena *mem, str text, const struct catalog *c, struct buf *before, struct buf *behind, struct diag *d) {
    objects live = {0}, platform = {0};
    bool both;
    uint64_t one;
    TRY(read_lists(mem, text, &live, &platform, &both, d));
    pair(mem, &live, &platform);
    struct map tables = alone(mem, &live, "table");
    put(before, STR("set check_function_bodies = off;"));
    if (c) node_db_sql_roles(c, before);
    for (uint32_t i = 0; i < live.n; i++) {
        const struct object *o = &live.p[i];
        bool in_table = is_inner(o) && (!both || map_get(&tables, o->of, &one));
        if (in_table || (o->other && str_eq(o->other->text, o->text)) || (!both && is_platforms(c, o))) continue;
        if (is_kind(o, "table") && o->other) continue; /* its columns are told */
        put_made(o, before, behind);
    }
    return ERR_OK;
}

err node_db_schema_all(arena *mem, str text, struct buf *to, struct diag *d) {
    objects live = {0}, none = {0};
    bool both;
    TRY(read_lists(mem, text, &live, &none, &both, d));
    for (uint32_t i = 0; i < live.n; i++)
        if (!is_inner(&live.p[i])) put(to, live.p[i].text);
    return ERR_OK;
}

/* ---- a diff ---- */

/* "alter table T add column C what": what. */
static str column_is(arena *mem, const struct object *o) {
    str name = str_sub(o->key, o->of.n + 1, o->key.n);
    str head = arena_fmt(mem, "alter table " STR_FMT " add column " STR_FMT " ", STR_ARG(o->of), STR_ARG(name));
    return str_starts(o->text, head) ? str_sub(o->text, head.n, o->text.n - head.n - 1) : (str){0};
}

static void change_column(arena *mem, const struct object *o, struct buf *to) {
    static const char word[] = " generated ";
    str was = column_is(mem, o->other), is = column_is(mem, o), name = str_sub(o->key, o->of.n + 1, o->key.n);
    bool plain = was.n && is.n && !memmem(was.p, was.n, word, sizeof word - 1) && !memmem(is.p, is.n, word, sizeof word - 1);
    if (plain)
        buf_printf(to, "alter table " STR_FMT " alter column " STR_FMT " type " STR_FMT ";\n", STR_ARG(o->of), STR_ARG(name),
                   STR_ARG(is));
    else put_comment(to, o);
}

/* Labels that came behind those that were there. */
static bool change_enum(const struct object *o, struct buf *to) {
    str was = o->other->text, is = o->text, label;
    if (was.n < 2 || !memmem(was.p, was.n, " as enum (", 10)) return false;
    was.n -= 2; /* ");" */
    if (!str_starts(is, was) || is.n < was.n + 2) return false;
    for (str rest = str_sub(is, was.n, is.n - was.n - 2); rest.n;) { /* , 'a', 'b' */
        if (!str_starts(rest, STR(", '"))) return false;
        size_t end = 3;
        while (end < rest.n && (rest.p[end] != '\'' || (end + 1 < rest.n && rest.p[end + 1] == '\'')))
            end += rest.p[end] == '\'' ? 2 : 1;
        label = str_sub(rest, 2, end - 1);
        buf_printf(to, "alter type " STR_FMT " add value " STR_FMT ";\n", STR_ARG(o->key), STR_ARG(label));
        rest = str_sub(rest, MIN(end + 1, rest.n), rest.n);
    }
    return true;
}

/* It goes and is made anew: nobody's rows are in it. */
static bool is_remade(const struct object *o) {
    static const char *const kinds[] = {"constraint", "index", "policy", "trigger", "view", "materialized view", "column grants"};
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        if (is_kind(o, kinds[i])) return true;
    return false;
}

static bool differs(const struct object *o) { return o->other && !str_eq(o->text, o->other->text) && !is_kind(o, "table"); }

static void put_gone(const objects *made, const struct map *tables, const struct map *columns, struct buf *to) {
    uint64_t one;
    for (uint32_t i = made->n; i-- > 0;) {
        const struct object *o = &made->p[i];
        bool goes = !o->other || (differs(o) && is_remade(o));
        if (!goes || (o->of.n && map_get(tables, o->of, &one)) || (!is_kind(o, "column") && map_get(columns, o->key, &one)))
            continue;
        if (is_kind(o, "grants") && !o->other) continue; /* with what they are of */
        if (o->gone.n) put(to, o->gone);
    }
}

static void put_there(arena *mem, const objects *live, const struct map *tables, struct buf *to) {
    uint64_t one;
    for (uint32_t i = 0; i < live->n; i++) {
        const struct object *o = &live->p[i];
        if (!o->other && is_inner(o) && map_get(tables, o->of, &one)) continue;
        if (!o->other) put(to, o->text);
        else if (!differs(o)) continue;
        else if (is_kind(o, "column")) change_column(mem, o, to);
        else if (is_kind(o, "type") ? !change_enum(o, to)
                                    : is_kind(o, "domain") || is_kind(o, "sequence") || is_kind(o, "extension"))
            put_comment(to, o);
        else if (!is_kind(o, "type")) put(to, o->text);
    }
}

err node_db_schema_diff(arena *mem, str text, struct buf *to, struct diag *d) {
    objects live = {0}, made = {0};
    bool both;
    TRY(read_lists(mem, text, &live, &made, &both, d));
    if (!both)
        return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE,
                        "its PostgreSQL is run by somebody else, where the node makes no database to compare with: orlo db dump "
                        "--schema-only says what stands there");
    pair(mem, &live, &made), pair(mem, &made, &live);
    struct map came = alone(mem, &live, "table"), went = alone(mem, &made, "table"), columns = alone(mem, &made, "column");
    put_gone(&made, &went, &columns, to);
    put_there(mem, &live, &came, to);
    return ERR_OK;
}
