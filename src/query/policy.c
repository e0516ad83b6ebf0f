/* policy: what a role sees of a relation, as a TEMP view of a name that nobody can know, and what its new rows are held against, as a TEMP trigger. Both
 * are made by their first use, and last as long as the catalogue does.
 *
 *   create temp view "v3f…_7" as select _orlo_t."id" as "id", …, _orlo_t.rowid as "_orlo_k", (policy) as "_orlo_p"
 *          from main."notes" as _orlo_t where (policy)
 *   create temp trigger "v3f…_8" before insert on main."notes" when query_guard(8)
 *          begin select query_refuse(0) where not coalesce((check), 0); end
 *
 * 1. Permissive policies are joined by OR, restrictive ones by AND; no permissive one: no row (rowsecurity.c). WITH CHECK is USING where it is not given.
 * 2. Where a statement reads columns, SELECT's policies hold for the rows that it changes, too: those that are there are not found, new ones are refused.
 * 3. The existing row of an upsert is refused, and not left out.
 * 4. A trigger is of one role and command: its guard is up only in such a statement, so that what cascades through keys passes.
 * 5. Relations that a policy reads are seen as the role sees them; those of a view or a definer's function as their owner does.
 */
#include "query/query_int.h"
#include <stdio.h>

/* ---- fragments ---- */

static bool expand_column(const struct query_expanding *x, const struct catalog_mark *r, struct buf *to, struct pg_error *error) {
    static const char *const rows[] = {[QUERY_AT_TABLE] = "_orlo_t.", [QUERY_AT_NEW] = "new.", [QUERY_AT_OLD] = "old.",
                                       [QUERY_AT_VALUES] = "",        [QUERY_AT_ALONE] = "",   [QUERY_AT_ALIAS] = ""};
    const struct catalog_column *c = x->of ? catalog_column_of(x->of, r->id) : NULL;
    if (x->at == QUERY_AT_ALONE && !r->id) return buf_puts(to, STR("?1"));
    if (!c) return query_fail(error, "XX000", "an expression names a column that is not there");
    if (x->at == QUERY_AT_ALIAS) buf_printf(to, "q%u.", x->alias);
    else buf_puts(to, str_c(r->kind == 'N' ? "new." : r->kind == 'O' ? "old." : rows[x->at]));
    query_put_name(to, c->storage);
    return true;
}

static bool ends_with_word(const struct buf *b, const char *word) {
    str s = str_trim(buf_str(b));
    while (s.n && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == ' ')) s.n--;
    size_t n = strlen(word);
    return s.n >= n && str_eq_nocase(str_sub(s, s.n - n, n), str_c(word)) &&
           (s.n == n || s.p[s.n - n - 1] == ' ' || s.p[s.n - n - 1] == '(');
}

static bool is_target(const struct query_expanding *x, const struct buf *to) {
    return x->writes && (ends_with_word(to, "insert into") || ends_with_word(to, "update") || ends_with_word(to, "delete from") ||
                         ends_with_word(to, "update or rollback") || ends_with_word(to, "update or abort"));
}

static bool expand_relation(const struct query_expanding *x, const struct catalog_mark *r, bool merges, struct buf *to,
                            struct pg_error *error) {
    const struct catalog_relation *of = catalog_relation_of(x->conn->catalog, r->id);
    if (!of) return query_fail(error, "XX000", "an expression names a relation that is not there");
    uint32_t role = r->kind == 'R' ? x->role : x->definer ? x->definer : of->owner;
    if (is_target(x, to)) {
        bool inserts = ends_with_word(to, "insert into"), deletes = ends_with_word(to, "delete from");
        uint32_t needs =
            inserts ? CATALOG_INSERT | (merges ? CATALOG_UPDATE | CATALOG_SELECT : 0u) | (x->returns ? CATALOG_SELECT : 0)
                    : CATALOG_SELECT | (deletes ? CATALOG_DELETE : CATALOG_UPDATE);
        if (!catalog_may_relation(x->conn->catalog, role, of, needs))
            return query_fail(error, "42501", "permission denied for table " STR_FMT, STR_ARG(of->name));
        if (catalog_policies_hold(x->conn->catalog, role, of))
            return query_fail(error, "0A000",
                              "a function that runs with the rights of who calls it cannot write table \"" STR_FMT
                              "\", which has policies, on SQLite",
                              STR_ARG(of->name));
        query_wall_touch(x->conn, of);
        query_put_name(to, of->storage);
        return true;
    }
    str name;
    if (!query_view_of(x->conn, of, role, QUERY_SEES, &name, error)) return false;
    query_put_name(to, name);
    return true;
}

static bool expand_argument(const struct query_expanding *x, const struct catalog_mark *r, struct buf *to,
                            struct pg_error *error) {
    if (!r->id || r->id > x->arguments_count)
        return query_fail(error, "XX000", "an expression names an argument that is not there");
    uint32_t at = 0;
    for (; x->places && at < x->places->list.n && x->places->list.p[at] != r->id - 1; at++) {}
    if (x->places && at == x->places->list.n) vec_push(x->places->mem, &x->places->list, r->id - 1);
    buf_printf(to, "?%u", x->arguments_from + (x->places ? at + 1 : r->id));
    return true;
}

bool query_expand(const struct query_expanding *x, str text, struct buf *to, struct pg_error *error) {
    struct catalog_mark r = {0};
    bool merges = false; /* ON CONFLICT DO UPDATE: its part */
    while (x->writes && !merges && catalog_mark_next(text, r.end, &r)) merges = r.kind == 'P' && r.id == 7;
    r = (struct catalog_mark){0};
    size_t from = 0;
    for (; catalog_mark_next(text, from, &r); from = r.end) {
        bool ok = r.kind != 0;
        buf_puts(to, str_sub(text, from, r.at - from));
        if (ok && strchr("PKQ", r.kind)) continue; /* where its parts begin and end */
        if (ok && r.kind == 'T') ok = buf_puts(to, x->rows);
        else if (ok && (r.kind == 'R' || r.kind == 'B')) ok = expand_relation(x, &r, merges, to, error);
        else if (ok && r.kind == 'A') ok = expand_argument(x, &r, to, error);
        else if (ok) ok = expand_column(x, &r, to, error);
        if (!ok) return query_fail(error, "XX000", "an expression is not understood");
    }
    buf_puts(to, str_sub(text, from, text.n));
    return true;
}

/* ---- a policy's expressions ---- */

/* Not 0: SQLite leaves out what stands beside that, and whoever may not use it would not be told. */
#define FALSE "(0=1)"

static bool put_expression(const struct query_expanding *x, const struct catalog_policy *p, bool check, struct buf *to,
                           struct pg_error *error) {
    const struct catalog_expr *e = check && p->check_expr.source.n ? &p->check_expr : &p->using_expr;
    if (!e->fragment.text.n)
        return query_fail(error, "0A000", "policy \"" STR_FMT "\" for table \"" STR_FMT "\" cannot run on SQLite",
                          STR_ARG(p->name), STR_ARG(x->of->name));
    if (str_eqc(e->fragment.text, "0")) return buf_puts(to, STR(FALSE)); /* using (false) */
    buf_putc(to, '(');
    return query_expand(x, e->fragment.text, to, error) && buf_putc(to, ')');
}

static bool has_expression(const struct catalog_policy *p, bool check) {
    return p->using_expr.source.n || (check && p->check_expr.source.n);
}

/* (a or b), or what is false, where no others are looked at. */
static bool put_permissive(const struct query_expanding *x, enum catalog_command command, bool check, struct buf *to, bool *none,
                           struct pg_error *error) {
    const struct catalog_policy *p = NULL;
    bool any = false;
    buf_putc(to, '(');
    while ((p = catalog_policy_next(x->conn->catalog, x->of, x->role, command, true, p))) {
        if (!has_expression(p, check)) continue;
        if (any) buf_puts(to, STR(" or "));
        any = true;
        if (!put_expression(x, p, check, to, error)) return false;
    }
    if (!any) buf_puts(to, STR(FALSE));
    *none = !any;
    return buf_putc(to, ')');
}

/* What rows a command finds. */
bool query_put_policies(const struct query_expanding *x, enum catalog_command command, bool check, struct buf *to,
                        struct pg_error *error) {
    const struct catalog_policy *p = NULL;
    bool none;
    if (!put_permissive(x, command, check, to, &none, error)) return false;
    while (!none && (p = catalog_policy_next(x->conn->catalog, x->of, x->role, command, false, p))) {
        if (!has_expression(p, check)) continue;
        buf_puts(to, STR(" and "));
        if (!put_expression(x, p, check, to, error)) return false;
    }
    return true;
}

static bool put_filter(const struct query_expanding *x, enum catalog_command command, struct buf *to, struct pg_error *error) {
    return query_put_policies(x, command, false, to, error);
}

static bool put_sight(const struct query_expanding *x, enum query_sight sight, struct buf *to, struct pg_error *error) {
    static const enum catalog_command commands[] = {CATALOG_FOR_SELECT, CATALOG_FOR_UPDATE, CATALOG_FOR_UPDATE,
                                                    CATALOG_FOR_DELETE, CATALOG_FOR_DELETE};
    if (!put_filter(x, commands[sight], to, error)) return false;
    if (sight != QUERY_UPDATES_READ && sight != QUERY_DELETES_READ) return true;
    buf_puts(to, STR(" and "));
    return put_filter(x, CATALOG_FOR_SELECT, to, error);
}

/* ---- making ---- */

/* Of each who asks another one: whatever a relation reads may be an invoker's view, however deep. */
enum { KEY = 48 };
static str key_of(const struct query_conn *conn, char to[static KEY], const struct catalog_relation *of, uint32_t role,
                  uint32_t use) {
    const struct catalog_role *asks = catalog_role_named(conn->catalog, conn->session.role);
    const uint32_t parts[] = {of->id, role, asks ? asks->id : 0, use};
    static_assert(sizeof parts <= KEY);
    memcpy(to, parts, sizeof parts);
    return (str){(const uint8_t *)to, sizeof parts};
}

enum { CHECKS = 100 }; /* a check's use, beside a sight's */

/* The place of what is to be made under a key: the one that it had, or a new one, with a name. */
static uint32_t place_of(struct query_conn *conn, struct map *map, str key) {
    uint64_t at;
    if (map_get(map, key, &at)) return (uint32_t)at;
    struct query_made *m = vec_add(conn->mem, &conn->made);
    *m = (struct query_made){.name = arena_fmt(conn->mem, "v%s_%u", conn->token, conn->made.n - 1), .gone = true};
    map_put(conn->mem, map, arena_str(conn->mem, key), conn->made.n - 1);
    return conn->made.n - 1;
}

static const struct query_made *made_of(const struct query_conn *conn, const struct map *map, str key) {
    uint64_t at;
    return map_get(map, key, &at) && !conn->made.p[at].gone ? &conn->made.p[at] : NULL;
}

static int64_t temp_version(struct query_conn *conn) {
    int64_t v = 0;
    bool walled = conn->walled;
    conn->walled = false;
    if (db_one_i64(conn->db, &v, NULL, "pragma temp.schema_version") != ERR_OK) v = -1;
    conn->walled = walled;
    return v;
}

static void mark_what_is_left(struct query_conn *conn) {
    struct map there = {0};
    arena *scratch = arena_new(0);
    struct db_rows *rows;
    if (db_query(conn->db, &rows, NULL, "select name from sqlite_temp_schema") == ERR_OK) {
        while (db_next(rows)) map_put(scratch, &there, arena_str(scratch, db_str(rows, 0)), 1);
        (void)db_end(rows, NULL);
    }
    for (uint32_t i = 0; i < conn->made.n; i++) {
        uint64_t one;
        bool gone = !map_get(&there, conn->made.p[i].name, &one);
        conn->made_generation += gone && !conn->made.p[i].gone;
        conn->made.p[i].gone = gone;
    }
    arena_free(scratch);
}

void query_made_look(struct query_conn *conn) {
    if (!conn->made.n) return;
    int64_t now = temp_version(conn);
    if (now == conn->made_at) return;
    mark_what_is_left(conn);
    conn->made_at = now;
}

static bool make(struct query_conn *conn, const char *kind, uint32_t at, const struct buf *sql, struct pg_error *error) {
    struct diag d = DIAG_INIT;
    const char *text = arena_cstr(conn->mem, buf_str(sql));
    bool walled = conn->walled;
    conn->walled = false;
    err e = sql->full ? ERR_LIMIT : db_script(conn->db, text, &d);
    conn->walled = walled;
    if (e != ERR_OK) return query_fail(error, "XX000", "a policy's %s cannot be made: %s", kind, d.text);
    struct query_made *m = &conn->made.p[at];
    conn->remade += m->drop.n != 0;
    if (!m->drop.n) m->drop = arena_fmt(conn->mem, "drop %s if exists temp.\"" STR_FMT "\"", kind, STR_ARG(m->name));
    m->gone = false;
    query_routine_warm(conn, buf_str(sql)); /* as long as nothing runs that reads it */
    conn->made_at = temp_version(conn);
    return true;
}

/* A row's key, where it is no column of its own: of three names that SQLite has for it, one that no column has. */
static const char *rowid_of(const struct catalog_relation *of) {
    static const char *const names[] = {"_rowid_", "rowid", "oid"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        bool taken = false;
        for (uint32_t k = 0; k < of->columns.n; k++) taken |= str_eq_nocase(of->columns.p[k].storage, str_c(names[i]));
        if (!taken) return names[i];
    }
    return "_rowid_";
}
const char *query_rowid_of(const struct catalog_relation *of) { return rowid_of(of); }

static void put_columns(struct buf *b, const struct catalog_relation *of) {
    for (uint32_t i = 0; i < of->columns.n; i++) {
        buf_puts(b, STR("_orlo_t."));
        query_put_name(b, of->columns.p[i].storage);
        buf_puts(b, STR(" as "));
        query_put_name(b, of->columns.p[i].storage);
        buf_puts(b, STR(", "));
    }
}

static bool table_view(struct query_conn *conn, const struct catalog_relation *of, uint32_t role, enum query_sight sight,
                       struct buf *b, struct pg_error *error) {
    struct query_expanding x = {.conn = conn, .of = of, .at = QUERY_AT_TABLE, .role = role};
    struct buf policy = {0};
    bool hold = of->kind == CATALOG_TABLE && catalog_policies_hold(conn->catalog, role, of), ok = true;
    if (hold) ok = put_sight(&x, sight, &policy, error);
    else buf_putc(&policy, '1');
    put_columns(b, of);
    buf_printf(b, "_orlo_t.%s as \"_orlo_k\", (" STR_FMT ") as \"_orlo_p\" from main.", rowid_of(of), STR_ARG(buf_str(&policy)));
    query_put_name(b, of->storage);
    buf_puts(b, STR(" as _orlo_t"));
    if (hold) buf_printf(b, " where " STR_FMT, STR_ARG(buf_str(&policy)));
    buf_free(&policy);
    return ok;
}

/* Who reads what a view reads. */
static uint32_t reader_of(const struct query_conn *conn, const struct catalog_relation *of) {
    const struct catalog_role *asks = catalog_role_named(conn->catalog, conn->session.role);
    return of->security_invoker && asks ? asks->id : of->owner;
}

static struct query_expanding inside_of(struct query_conn *conn, const struct catalog_relation *of) {
    return (struct query_expanding){.conn = conn, .role = reader_of(conn, of), .definer = of->owner};
}

/* Rows that are written through a view, with the keys that they have in its table. */
static bool through_view(struct query_conn *conn, const struct catalog_relation *of, enum query_sight sight, struct buf *b,
                         struct pg_error *error) {
    struct query_expanding x = inside_of(conn, of);
    struct buf name = {0};
    const struct catalog_relation *base = catalog_relation_of(conn->catalog, of->base);
    if (!base) return query_fail(error, "55000", "cannot write view \"" STR_FMT "\"", STR_ARG(of->name));
    enum query_sight below = sight == QUERY_WRITTEN && base->kind == CATALOG_TABLE ? QUERY_SEES : sight;
    str view;
    if (!query_view_of(conn, base, x.role, below, &view, error)) return false;
    query_put_name(&name, view);
    x.rows = buf_str(&name);
    put_columns(b, of);
    buf_puts(b, STR("\"_orlo_k\", \"_orlo_p\" from (select "));
    bool ok =
        query_expand(&x, of->base_list, b, error) && buf_puts(b, STR(" from ")) && query_expand(&x, of->base_from, b, error);
    if (ok && of->base_where.n && sight != QUERY_WRITTEN)
        ok = buf_puts(b, STR(" where ")) && query_expand(&x, of->base_where, b, error);
    buf_free(&name);
    return ok && buf_puts(b, STR(") as _orlo_t"));
}

static bool view_view(struct query_conn *conn, const struct catalog_relation *of, struct buf *b, struct pg_error *error) {
    struct query_expanding x = inside_of(conn, of);
    if (!of->query.fragment.text.n)
        return query_fail(error, "0A000", "view \"" STR_FMT "\" cannot run on SQLite", STR_ARG(of->name));
    put_columns(b, of);
    buf_puts(b, STR("null as \"_orlo_k\", 1 as \"_orlo_p\" from ("));
    return query_expand(&x, of->query.fragment.text, b, error) && buf_puts(b, STR(") as _orlo_t"));
}

/* The role has some right to read it, as PostgreSQL asks of whoever a policy or view reads with. */
static bool may_read(struct query_conn *conn, const struct catalog_relation *of, uint32_t role, struct pg_error *error) {
    if (catalog_may_relation(conn->catalog, role, of, CATALOG_SELECT)) return true;
    for (uint32_t i = 0; i < of->columns.n; i++)
        if (catalog_may_column(conn->catalog, role, of, &of->columns.p[i], CATALOG_SELECT)) return true;
    return query_fail(error, "42501", "permission denied for %s " STR_FMT,
                      of->kind == CATALOG_VIEW      ? "view"
                      : of->kind == CATALOG_MATVIEW ? "materialized view"
                                                    : "table",
                      STR_ARG(of->name));
}

/* What is being made for the same role and use, and needs itself. */
static bool enter(struct query_conn *conn, const struct catalog_relation *of, uint32_t role, uint32_t use,
                  struct pg_error *error) {
    struct query_nesting mine = {of, role, use};
    for (uint32_t i = 0; i < conn->depth; i++)
        if (conn->nesting[i].of == of && conn->nesting[i].role == role && conn->nesting[i].use == use)
            return query_fail(error, "42P17", "infinite recursion detected in %s for relation \"" STR_FMT "\"",
                              of->kind == CATALOG_VIEW ? "rules" : "policy", STR_ARG(of->name));
    if (conn->depth == QUERY_NESTING_MAX)
        return query_fail(error, "54001", "policies and views nest deeper than %d", QUERY_NESTING_MAX);
    conn->nesting[conn->depth++] = mine;
    return true;
}

/* Views that name views twice double with each: SQLite would be at that for long, and hears nobody meanwhile. */
enum { PARTS_MAX = 3000 };

bool query_view_of(struct query_conn *conn, const struct catalog_relation *of, uint32_t role, enum query_sight sight, str *name,
                   struct pg_error *error) {
    bool view = of->kind == CATALOG_VIEW;
    char room[KEY];
    str key = key_of(conn, room, of, role, sight);
    if (sight == QUERY_SEES && !may_read(conn, of, role, error)) return false;
    const struct query_made *there = made_of(conn, &conn->views, key);
    if (there) return conn->parts = MIN(conn->parts + there->parts, PARTS_MAX + 1), *name = there->name, true;
    if (!enter(conn, of, role, sight, error)) return false;
    struct buf b = {.max = 4 << 20};
    struct buf body = {.max = 4 << 20};
    uint32_t before = conn->parts;
    bool ok;
    conn->parts = 1;
    if (!view) ok = table_view(conn, of, role, sight, &body, error);
    else ok = sight == QUERY_SEES ? view_view(conn, of, &body, error) : through_view(conn, of, sight, &body, error);
    uint32_t at = place_of(conn, &conn->views, key); /* now: what it reads was made before it */
    *name = conn->made.p[at].name;
    uint32_t parts = conn->made.p[at].parts = conn->parts;
    conn->made.p[at].of = of, conn->made.p[at].role = role;
    buf_printf(&b, "create temp view \"" STR_FMT "\" as select " STR_FMT, STR_ARG(*name), STR_ARG(buf_str(&body)));
    conn->depth--;
    if (ok && parts > PARTS_MAX)
        ok = query_fail(error, "54001", "view \"" STR_FMT "\" is too complex, with all that it is made of", STR_ARG(of->name));
    ok = ok && make(conn, "view", at, &b, error);
    conn->parts = MIN(before + parts, PARTS_MAX + 1);
    buf_free(&b), buf_free(&body);
    return ok;
}

/* ---- what new rows are held against ---- */

static void put_refusal(struct query_conn *conn, struct buf *b, const struct query_refusal *r) {
    vec_push(conn->mem, &conn->refusals, *r);
    buf_printf(b, "select query_refuse(%u) where not coalesce(", conn->refusals.n - 1);
}

/* One check of the permissive ones together, and one of each restrictive. */
static bool put_checks(const struct query_expanding *x, enum catalog_command command, bool check, bool existing, struct buf *b,
                       struct pg_error *error) {
    const struct catalog_policy *p = NULL;
    bool none;
    put_refusal(x->conn, b, &(struct query_refusal){.of = x->of, .existing = existing});
    if (!put_permissive(x, command, check, b, &none, error)) return false;
    buf_puts(b, STR(", 0);"));
    while (!none && (p = catalog_policy_next(x->conn->catalog, x->of, x->role, command, false, p))) {
        if (!has_expression(p, check)) continue;
        put_refusal(x->conn, b, &(struct query_refusal){.of = x->of, .policy = p, .existing = existing});
        if (!put_expression(x, p, check, b, error)) return false;
        buf_puts(b, STR(", 0);"));
    }
    return true;
}

static bool put_policies(struct query_expanding *x, enum query_check check, struct buf *b, struct pg_error *error) {
    bool insert = check == QUERY_CHECK_INSERT || check == QUERY_CHECK_INSERT_READ;
    enum catalog_command command = insert ? CATALOG_FOR_INSERT : CATALOG_FOR_UPDATE;
    bool reads = check != QUERY_CHECK_INSERT && check != QUERY_CHECK_UPDATE;
    if (check == QUERY_CHECK_UPSERT) {
        x->at = QUERY_AT_OLD;
        if (!put_checks(x, CATALOG_FOR_UPDATE, false, true, b, error) ||
            !put_checks(x, CATALOG_FOR_SELECT, false, true, b, error))
            return false;
        x->at = QUERY_AT_NEW;
    }
    return put_checks(x, command, true, false, b, error) && (!reads || put_checks(x, CATALOG_FOR_SELECT, false, false, b, error));
}

/* CHECKs that SQLite's cannot hold are true unless they are false. */
static bool put_late(const struct query_expanding *x, struct buf *b, struct pg_error *error) {
    for (uint32_t i = 0; i < x->of->constraints.n; i++) {
        const struct catalog_constraint *k = &x->of->constraints.p[i];
        if (k->kind != CATALOG_CHECK || !k->late || !k->check.fragment.text.n) continue;
        put_refusal(x->conn, b, &(struct query_refusal){.of = x->of, .check = k});
        buf_putc(b, '(');
        if (!query_expand(x, k->check.fragment.text, b, error)) return false;
        buf_puts(b, STR("), 1);"));
    }
    return true;
}

static bool make_check(struct query_conn *conn, const struct catalog_relation *of, uint32_t role, enum query_check check, str key,
                       struct pg_error *error) {
    struct query_expanding x = {.conn = conn, .of = of, .at = QUERY_AT_NEW, .role = role};
    bool insert = check == QUERY_CHECK_INSERT || check == QUERY_CHECK_INSERT_READ, ok = true;
    struct buf b = {.max = 4 << 20}, body = {.max = 4 << 20};
    if (catalog_policies_hold(conn->catalog, role, of)) ok = put_policies(&x, check, &body, error);
    ok = ok && put_late(&x, &body, error);
    uint32_t at = place_of(conn, &conn->checks, key);
    struct query_made *m = &conn->made.p[at];
    if (body.n && !m->guard) m->guard = ++conn->guards_made;
    str name = m->name;
    buf_printf(&b, "create temp trigger \"" STR_FMT "\" before %s on main.", STR_ARG(name), insert ? "insert" : "update");
    query_put_name(&b, of->storage);
    buf_printf(&b, " when query_guard(%u) begin " STR_FMT " end", m->guard, STR_ARG(buf_str(&body)));
    if (ok && m->guard) ok = make(conn, "trigger", at, &b, error);
    buf_free(&b), buf_free(&body);
    return ok;
}

bool query_check_of(struct query_conn *conn, const struct catalog_relation *of, uint32_t role, enum query_check check,
                    uint32_t *guard, struct pg_error *error) {
    uint64_t at;
    char room[KEY];
    str key = key_of(conn, room, of, role, check);
    const struct query_made *there = made_of(conn, &conn->checks, key);
    if (there) return *guard = there->guard, true;
    if (!enter(conn, of, role, CHECKS + check, error)) return false;
    bool ok = make_check(conn, of, role, check, key, error);
    conn->depth--;
    *guard = map_get(&conn->checks, key, &at) ? conn->made.p[at].guard : 0;
    return ok;
}

/* ---- what a view asks of what is written through it ---- */

/* "new" or "old", as the relation has it: select … from (select … from (select new."a" as "a", …) as a1) as a2 */
static bool put_row_of(struct query_conn *conn, const struct catalog_relation *of, const char *row, uint32_t depth, struct buf *b,
                       struct pg_error *error) {
    if (of->kind == CATALOG_TABLE) {
        buf_puts(b, STR("(select "));
        for (uint32_t i = 0; i < of->columns.n; i++) {
            buf_printf(b, "%s.", row);
            query_put_name(b, of->columns.p[i].storage);
            buf_puts(b, STR(" as "));
            query_put_name(b, of->columns.p[i].storage);
            buf_puts(b, STR(", "));
        }
        return buf_printf(b, "%s.%s as \"_orlo_k\", 1 as \"_orlo_p\")", row, rowid_of(of));
    }
    const struct catalog_relation *base = catalog_relation_of(conn->catalog, of->base);
    struct query_expanding x = inside_of(conn, of);
    struct buf rows = {.max = 4 << 20};
    bool ok = base && depth < QUERY_NESTING_MAX && put_row_of(conn, base, row, depth + 1, &rows, error);
    x.rows = buf_str(&rows);
    ok = ok && buf_puts(b, STR("(select ")) && query_expand(&x, of->base_list, b, error) && buf_puts(b, STR(" from ")) &&
         query_expand(&x, of->base_from, b, error) && buf_puts(b, STR(")"));
    ok = ok && !rows.full;
    buf_free(&rows);
    return ok || query_fail(error, "54001", "views nest deeper than %d", QUERY_NESTING_MAX);
}

static bool put_option(struct query_conn *conn, const struct catalog_relation *of, bool existing, struct buf *b,
                       struct pg_error *error) {
    const struct catalog_relation *base = catalog_relation_of(conn->catalog, of->base);
    struct query_expanding x = inside_of(conn, of);
    struct buf rows = {.max = 4 << 20};
    bool ok = put_row_of(conn, base, existing ? "old" : "new", 0, &rows, error);
    x.rows = buf_str(&rows);
    vec_push(conn->mem, &conn->refusals, ((struct query_refusal){.of = base, .view = of, .existing = existing}));
    buf_printf(b, "select query_refuse(%u) where not exists (select 1 from ", conn->refusals.n - 1);
    ok = ok && query_expand(&x, of->base_from, b, error) && buf_puts(b, STR(" where ")) &&
         query_expand(&x, of->base_where, b, error) && buf_puts(b, STR(");"));
    buf_free(&rows);
    return ok;
}

/* Those of views below come first; a cascaded one is theirs, too. An upsert's row that is there has to be seen through each of them. */
static bool put_options(struct query_conn *conn, const struct catalog_relation *of, bool existing, bool cascaded, uint32_t depth,
                        struct buf *b, struct pg_error *error) {
    const struct catalog_relation *base = catalog_relation_of(conn->catalog, of->base);
    cascaded |= existing || of->check_option == CATALOG_CHECK_CASCADED;
    if (depth == QUERY_NESTING_MAX) return query_fail(error, "54001", "views nest deeper than %d", QUERY_NESTING_MAX);
    if (base && base->kind == CATALOG_VIEW && !put_options(conn, base, existing, cascaded, depth + 1, b, error)) return false;
    return !(cascaded || of->check_option) || !of->base_where.n || put_option(conn, of, existing, b, error);
}

/* What is written, and who writes it. */
static const struct catalog_relation *table_of(const struct query_conn *conn, const struct catalog_relation *of, uint32_t *role) {
    for (uint32_t depth = 0; of && of->kind == CATALOG_VIEW && depth < QUERY_NESTING_MAX; depth++) {
        *role = reader_of(conn, of);
        of = catalog_relation_of(conn->catalog, of->base);
    }
    return of && of->kind == CATALOG_TABLE ? of : NULL;
}

/* The row that an upsert finds is held against policies first, and this trigger may come before theirs. */
static bool put_existing(struct query_conn *conn, const struct catalog_relation *table, uint32_t role, struct buf *b,
                         struct pg_error *error) {
    struct query_expanding x = {.conn = conn, .of = table, .at = QUERY_AT_OLD, .role = role};
    return !catalog_policies_hold(conn->catalog, role, table) || (put_checks(&x, CATALOG_FOR_UPDATE, false, true, b, error) &&
                                                                  put_checks(&x, CATALOG_FOR_SELECT, false, true, b, error));
}

static bool make_options(struct query_conn *conn, const struct catalog_relation *of, enum query_view_check check, str key,
                         struct pg_error *error) {
    static const char *const when[] = {
        [QUERY_VIEW_INSERTED] = "after insert", [QUERY_VIEW_UPDATED] = "after update", [QUERY_VIEW_FOUND] = "before update"};
    struct buf b = {.max = 4 << 20}, body = {.max = 4 << 20}, before = {.max = 4 << 20};
    uint32_t role = 0;
    bool existing = check == QUERY_VIEW_FOUND;
    const struct catalog_relation *table = table_of(conn, of, &role);
    bool ok = table ? put_options(conn, of, existing, false, 0, &body, error) : true;
    uint32_t at = place_of(conn, &conn->checks, key);
    struct query_made *m = &conn->made.p[at];
    if (body.n && !m->guard) m->guard = ++conn->guards_made;
    if (ok && m->guard && existing) ok = put_existing(conn, table, role, &before, error);
    if (ok && m->guard) {
        buf_printf(&b, "create temp trigger \"" STR_FMT "\" %s on main.", STR_ARG(m->name), when[check]);
        query_put_name(&b, table->storage);
        buf_printf(&b, " when query_guard(%u) begin " STR_FMT STR_FMT " end", m->guard, STR_ARG(buf_str(&before)),
                   STR_ARG(buf_str(&body)));
        ok = make(conn, "trigger", at, &b, error);
    }
    buf_free(&b), buf_free(&body), buf_free(&before);
    return ok;
}

bool query_view_check_of(struct query_conn *conn, const struct catalog_relation *of, uint32_t role, enum query_view_check check,
                         uint32_t *guard, struct pg_error *error) {
    enum { OPTIONS = 2 * CHECKS };
    uint64_t at;
    char room[KEY];
    str key = key_of(conn, room, of, role, OPTIONS + check);
    *guard = 0;
    if (of->kind != CATALOG_VIEW) return true;
    const struct query_made *there = made_of(conn, &conn->checks, key);
    if (there) return *guard = there->guard, true;
    if (!enter(conn, of, role, OPTIONS + check, error)) return false;
    bool ok = make_options(conn, of, check, key, error);
    conn->depth--;
    *guard = map_get(&conn->checks, key, &at) ? conn->made.p[at].guard : 0;
    return ok;
}

bool query_schemas_hold(const struct query_expanding *x, const struct catalog_fragment *f, struct pg_error *error) {
    for (uint32_t i = 0; i < f->schemas.n; i++) {
        const struct catalog_schema *s = catalog_schema_of(x->conn->catalog, f->schemas.p[i]);
        if (s && !catalog_may_schema(x->conn->catalog, x->role, s->id, CATALOG_USAGE))
            return query_fail(error, "42501", "permission denied for schema " STR_FMT, STR_ARG(s->name));
    }
    return true;
}
