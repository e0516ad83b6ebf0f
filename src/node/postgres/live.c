/* live: what a database is made of as PostgreSQL says it, where the catalogue that the migrations' text made does not know it: what a DO block or a function has
 * made, what functions give whose language is not sql's.
 *
 * 1. Nothing that the catalogue knows is changed but by what it lacks: relations, columns, keys, functions, what a function gives.
 * 2. A type that is none of PostgreSQL's own and not in the catalogue stands as text: values go to PostgreSQL as they came, and come as JSON that it made.
 */
#include "node/postgres/broker.h"

enum { CUT = 0x1f };
#define OURS "n.nspname !~ '^pg_' and n.nspname not in ('information_schema', '_orlo')"
#define TYPE(t) "case when " t " < 16384 then " t "::bigint else 0 end"

/* Names in a row are joined by \x1f. */
static const char relations[] = "select n.nspname, c.relname, c.relkind, c.relrowsecurity, a.attname, " TYPE(
    "a.atttypid") ", tn.nspname, t.typname, a.attnotnull, "
                  "(a.atthasdef or a.attidentity <> '') and a.attgenerated = '', a.attgenerated <> '', "
                  "pg_get_userbyid(c.relowner) "
                  "from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid and "
                  "a.attnum > 0 and not a.attisdropped "
                  "join pg_type t on t.oid = a.atttypid join pg_namespace tn on tn.oid = t.typnamespace "
                  "where c.relkind in ('r', 'p', 'v', 'm', 'f') and " OURS " order by c.oid, a.attnum";
#define NAMES(relation, numbers)                                                                                                 \
    "(select string_agg(a.attname, chr(31) order by u.i) from unnest(" numbers                                                   \
    ") with ordinality u (n, i) join pg_attribute a on a.attrelid = " relation " and a.attnum = u.n)"
static const char keys[] =
    "select n.nspname, c.relname, k.conname, k.contype, " NAMES("k.conrelid", "k.conkey") ", fn.nspname, f.relname, " NAMES(
        "k.confrelid",
        "k.confkey") " from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace "
                     "left join pg_class f on f.oid = k.confrelid left join pg_namespace fn on fn.oid = f.relnamespace "
                     "where k.contype in ('p', 'u', 'f') and " OURS " order by k.contype = 'f', k.oid";
static const char grants[] = "select n.nspname, c.relname, coalesce(r.rolname, ''), string_agg(distinct x.privilege_type, "
                             "chr(31)) from pg_class c join pg_namespace n on n.oid = "
                             "c.relnamespace cross join lateral aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) x "
                             "left join pg_roles r on r.oid = x.grantee "
                             "where c.relkind in ('r', 'p', 'v', 'm', 'f') and " OURS " group by 1, 2, 3";
/* What it gives: of a row its columns, of OUT arguments those, else a value without a name. */
static const char functions[] =
    "select n.nspname, p.proname, array_to_string(p.proargnames, chr(31), ''), coalesce(array_to_string(p.proargmodes, ''), "
    "repeat('i', p.pronargs)), "
    "(select string_agg((" TYPE(
        "u.t") ")::text, chr(31) order by u.i) from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) with ordinality u "
               "(t, i)), "
               "p.pronargdefaults, p.proretset, " TYPE(
                   "p.prorettype") ", rt.typrelid <> 0, "
                                   "(select string_agg(a.attname, chr(31) order by a.attnum) from pg_attribute a where "
                                   "a.attrelid = rt.typrelid and a.attnum > 0 and not a.attisdropped), "
                                   "(select string_agg((" TYPE(
                                       "a.atttypid") ")::text, chr(31) order by a.attnum) from pg_attribute a where a.attrelid = "
                                                     "rt.typrelid and a.attnum > 0 and not a.attisdropped), "
                                                     "(select coalesce(string_agg(coalesce(r.rolname, ''), chr(31)), '-') from "
                                                     "aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x left join "
                                                     "pg_roles r on r.oid = x.grantee), "
                                                     "p.provolatile from pg_proc p join pg_namespace n on n.oid = p.pronamespace "
                                                     "join pg_type rt on rt.oid = p.prorettype "
                                                     "where p.prokind = 'f' and p.prorettype not in (2279, 3838) and not exists "
                                                     "(select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid "
                                                     "= p.oid and d.deptype = 'e') and " OURS " order by p.oid";

void node_live_statements(struct postgres_statement to[static BROKER_LIVE]) {
    const char *const texts[BROKER_LIVE] = {relations, keys, grants, functions};
    for (size_t i = 0; i < BROKER_LIVE; i++) to[i] = (struct postgres_statement){.text = str_c(texts[i])};
}

struct live {
    struct catalog *c;
    const struct postgres_answer *a;
    uint32_t first; /* the statement of ours that comes first */
    uint32_t own;   /* ids from here on are of what was added */
};

static str text(const struct live *v, uint32_t s, uint32_t row, uint32_t column) {
    return postgres_value(v->a, v->first + s, row, column, NULL);
}
static str kept(const struct live *v, uint32_t s, uint32_t row, uint32_t column) {
    return arena_str(v->c->mem, text(v, s, row, column));
}
static bool is_true(const struct live *v, uint32_t s, uint32_t row, uint32_t column) {
    return str_eqc(text(v, s, row, column), "t");
}

static uint32_t number(str s) {
    uint64_t n = 0;
    return str_to_u64(s, &n) ? (uint32_t)n : 0;
}

/* What comes next of names that are joined. */
static str next_name(str *rest) {
    str one;
    str_cut(*rest, CUT, &one, rest);
    return one;
}

static uint32_t type_of(const struct live *v, uint32_t id, str schema, str name) {
    if (id) return id;
    bool array = name.n && name.p[0] == '_';
    const struct catalog_type *t = catalog_type_named(v->c, schema, array ? str_sub(name, 1, name.n) : name);
    return !t ? PG_TEXT : array ? t->array : t->id;
}

static uint32_t schema_of(struct live *v, str name) {
    const struct catalog_schema *s = catalog_schema_named(v->c, name);
    if (s) return s->id;
    struct catalog_schema made = {.id = v->c->next_id++, .owner = v->c->owner, .name = arena_str(v->c->mem, name)};
    vec_push(v->c->mem, &made.grants, ((struct catalog_grant){CATALOG_PUBLIC, CATALOG_USAGE, 0})); /* PostgreSQL asks */
    vec_push(v->c->mem, &v->c->schemas, made);
    return made.id;
}

static struct catalog_relation *relation_of(const struct live *v, str schema, str name) {
    return (struct catalog_relation *)(uintptr_t)catalog_relation_named(v->c, schema, name);
}

static uint32_t owner_of(const struct live *v, str name) {
    const struct catalog_role *r = catalog_role_named(v->c, name);
    return r ? r->id : v->c->owner;
}

/* ---- relations ---- */

static struct catalog_relation *add_relation(struct live *v, uint32_t row) {
    str kind = text(v, 0, row, 2);
    struct catalog_relation r = {.id = v->c->next_id++,
                                 .schema = schema_of(v, text(v, 0, row, 0)),
                                 .owner = owner_of(v, text(v, 0, row, 11)),
                                 .kind = str_eqc(kind, "v")   ? CATALOG_VIEW
                                         : str_eqc(kind, "m") ? CATALOG_MATVIEW
                                                              : CATALOG_TABLE,
                                 .name = kept(v, 0, row, 1),
                                 .rls = is_true(v, 0, row, 3)};
    r.storage = r.name;
    vec_push(v->c->mem, &v->c->relations, r);
    return &v->c->relations.p[v->c->relations.n - 1];
}

static void add_columns(struct live *v) {
    for (uint32_t i = 0; i < postgres_rows(v->a, v->first); i++) {
        struct catalog_relation *r = relation_of(v, text(v, 0, i, 0), text(v, 0, i, 1));
        if (!r) r = add_relation(v, i);
        if (catalog_column_named(r, text(v, 0, i, 4))) continue;
        struct catalog_column k = {.number = ++r->last_number,
                                   .name = kept(v, 0, i, 4),
                                   .type = type_of(v, number(text(v, 0, i, 5)), text(v, 0, i, 6), text(v, 0, i, 7)),
                                   .typmod = -1,
                                   .not_null = is_true(v, 0, i, 8),
                                   .generated = is_true(v, 0, i, 10)};
        k.storage = k.name;
        if (is_true(v, 0, i, 9)) k.default_value.source = STR("default");
        vec_push(v->c->mem, &r->columns, k);
    }
}

/* False: one of them is not known. */
static bool numbers_of(const struct live *v, const struct catalog_relation *r, str names, catalog_ids *to) {
    while (names.n) {
        const struct catalog_column *k = catalog_column_named(r, next_name(&names));
        if (!k) return false;
        vec_push(v->c->mem, to, (uint32_t)k->number);
    }
    return true;
}

static void add_keys(struct live *v) {
    for (uint32_t i = 0; i < postgres_rows(v->a, v->first + 1); i++) {
        struct catalog_relation *r = relation_of(v, text(v, 1, i, 0), text(v, 1, i, 1));
        const struct catalog_relation *to = relation_of(v, text(v, 1, i, 5), text(v, 1, i, 6));
        str kind = text(v, 1, i, 3);
        if (!r || catalog_constraint_named(r, text(v, 1, i, 2))) continue;
        struct catalog_constraint k = {.id = v->c->next_id++, .name = kept(v, 1, i, 2)};
        k.kind = str_eqc(kind, "p") ? CATALOG_PRIMARY : str_eqc(kind, "u") ? CATALOG_UNIQUE : CATALOG_FOREIGN;
        if (!numbers_of(v, r, text(v, 1, i, 4), &k.columns)) continue;
        if (k.kind == CATALOG_FOREIGN && (!to || !numbers_of(v, to, text(v, 1, i, 7), &k.reference_columns))) continue;
        bool pairs =
            k.kind != CATALOG_FOREIGN || k.columns.n == k.reference_columns.n; /* a name may have what they are joined by */
        if (!pairs || !k.columns.n) continue;
        k.reference = k.kind == CATALOG_FOREIGN ? to->id : 0;
        vec_push(v->c->mem, &r->constraints, k);
    }
}

static uint32_t privilege_of(str name) {
    static const struct {
        const char *name;
        uint32_t bit;
    } rows[] = {{"SELECT", CATALOG_SELECT},  {"INSERT", CATALOG_INSERT},     {"UPDATE", CATALOG_UPDATE},
                {"DELETE", CATALOG_DELETE},  {"TRUNCATE", CATALOG_TRUNCATE}, {"REFERENCES", CATALOG_REFERENCES},
                {"TRIGGER", CATALOG_TRIGGER}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (str_eqc(name, rows[i].name)) return rows[i].bit;
    return 0;
}

/* CATALOG_PUBLIC; UINT32_MAX: a role that is not known. */
static uint32_t role_of(const struct live *v, str name) {
    const struct catalog_role *r = name.n ? catalog_role_named(v->c, name) : NULL;
    return !name.n ? CATALOG_PUBLIC : r ? r->id : UINT32_MAX;
}

static void add_grants(struct live *v) {
    for (uint32_t i = 0; i < postgres_rows(v->a, v->first + 2); i++) {
        struct catalog_relation *r = relation_of(v, text(v, 2, i, 0), text(v, 2, i, 1));
        struct catalog_grant g = {.role = role_of(v, text(v, 2, i, 2))};
        if (!r || r->id < v->own || g.role == UINT32_MAX) continue;
        for (str rest = text(v, 2, i, 3); rest.n;) g.privileges |= privilege_of(next_name(&rest));
        vec_push(v->c->mem, &r->grants, g);
    }
}

/* ---- functions ---- */

static struct catalog_argument argument_of(const struct live *v, uint8_t mode, str name, str type) {
    static const struct {
        char letter;
        uint8_t mode;
    } modes[] = {{'o', CATALOG_OUT}, {'b', CATALOG_INOUT}, {'v', CATALOG_VARIADIC}, {'t', CATALOG_TABLE_COLUMN}};
    struct catalog_argument a = {.name = arena_str(v->c->mem, name), .typmod = -1, .mode = CATALOG_IN};
    for (size_t i = 0; i < ARRAY_COUNT(modes); i++)
        if (mode == (uint8_t)modes[i].letter) a.mode = modes[i].mode;
    a.type = type_of(v, number(type), (str){0}, (str){0});
    return a;
}

static void read_arguments(const struct live *v, uint32_t row, struct catalog_function *f) {
    str names = text(v, 3, row, 2), modes = text(v, 3, row, 3), types = text(v, 3, row, 4);
    uint32_t defaults = number(text(v, 3, row, 5));
    for (size_t i = 0; i < modes.n; i++)
        vec_push(v->c->mem, &f->arguments, argument_of(v, modes.p[i], next_name(&names), next_name(&types)));
    for (uint32_t i = f->arguments.n; i-- > 0 && defaults;) /* the last of those that go in */
        if (f->arguments.p[i].mode == CATALOG_IN || f->arguments.p[i].mode == CATALOG_INOUT)
            f->arguments.p[i].default_value.source = STR("default"), defaults--;
}

static void read_columns(const struct live *v, uint32_t row, struct catalog_function *f) {
    str names = text(v, 3, row, 9), types = text(v, 3, row, 10);
    uint32_t outs = 0;
    for (uint32_t i = 0; i < f->arguments.n; i++) {
        const struct catalog_argument *a = &f->arguments.p[i];
        if (a->mode == CATALOG_IN || a->mode == CATALOG_VARIADIC) continue;
        outs++;
        vec_push(v->c->mem, &f->columns, ((struct catalog_field){a->name, a->type, -1}));
    }
    if (outs == 1 && f->arguments.n && f->arguments.p[f->arguments.n - 1].mode != CATALOG_TABLE_COLUMN)
        f->columns.p[0].name = (str){0};
    if (outs || f->returns == PG_VOID || f->returns == PG_RECORD) return;
    while (names.n) {
        str name = arena_str(v->c->mem, next_name(&names));
        vec_push(v->c->mem, &f->columns,
                 ((struct catalog_field){name, type_of(v, number(next_name(&types)), (str){0}, (str){0}), -1}));
    }
    if (!f->columns.n) vec_push(v->c->mem, &f->columns, ((struct catalog_field){(str){0}, f->returns, -1}));
}

/* The same arguments, by name and way. */
static bool is_same(const struct catalog_function *f, const struct catalog_function *g) {
    bool same = f->arguments.n == g->arguments.n;
    for (uint32_t i = 0; same && i < f->arguments.n; i++)
        same = f->arguments.p[i].mode == g->arguments.p[i].mode && str_eq(f->arguments.p[i].name, g->arguments.p[i].name) &&
               (f->arguments.p[i].type == g->arguments.p[i].type || g->arguments.p[i].type == PG_TEXT);
    return same;
}

static void add_function(struct live *v, uint32_t row) {
    struct catalog_function f = {.returns = type_of(v, number(text(v, 3, row, 7)), (str){0}, (str){0}),
                                 .set = is_true(v, 3, row, 6)};
    str volatility = text(v, 3, row, 12);
    f.volatility = str_eqc(volatility, "i")   ? CATALOG_IS_IMMUTABLE
                   : str_eqc(volatility, "s") ? CATALOG_IS_STABLE
                                              : CATALOG_IS_VOLATILE;
    read_arguments(v, row, &f);
    read_columns(v, row, &f);
    const struct catalog_function *g = NULL;
    while ((g = catalog_function_next(v->c, text(v, 3, row, 0), text(v, 3, row, 1), g)) && !is_same(g, &f)) {}
    if (g) {
        if (!g->columns.n) ((struct catalog_function *)(uintptr_t)g)->columns = f.columns;
        return;
    }
    f.id = v->c->next_id++;
    f.schema = schema_of(v, text(v, 3, row, 0));
    f.owner = v->c->owner;
    f.name = kept(v, 3, row, 1);
    f.language = STR("plpgsql");
    for (str rest = text(v, 3, row, 11), whole = rest; !str_eqc(whole, "-");) {
        uint32_t role = role_of(v, next_name(&rest));
        if (role != UINT32_MAX) vec_push(v->c->mem, &f.grants, ((struct catalog_grant){role, CATALOG_EXECUTE, 0}));
        if (!rest.n) break;
    }
    vec_push(v->c->mem, &v->c->functions, f);
}

void node_live_add(struct catalog *c, const struct postgres_answer *a, uint32_t first) {
    struct live v = {c, a, first, c->next_id};
    c->names = NULL; /* it changes */
    add_columns(&v);
    add_keys(&v);
    add_grants(&v);
    for (uint32_t i = 0; i < postgres_rows(a, first + 3); i++) add_function(&v, i);
    catalog_ready(c);
}
