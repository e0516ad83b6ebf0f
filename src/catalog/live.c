/* live: what a database is made of as PostgreSQL says it. The catalogue that the migrations' text made says what the text means (policies, defaults, ids that
 * last); of what there is, and of which types, PostgreSQL's word holds: it knows what DO blocks and functions have made, and each of its types.
 *
 * 1. What the text knows and PostgreSQL does not is gone, but for the platform's own; what both know keeps its id.
 * 2. A type that is neither PostgreSQL's own nor the catalogue's stands as a domain of text: its values go to PostgreSQL as they came, and come as JSON.
 * 3. Partitions are their table's, and none of their own.
 * 4. What is said may be anything, as one answers as PostgreSQL who is none: what one row costs, and what two of them cost together, has an end.
 */
#include "catalog/catalog_int.h"
#include <stdio.h>

enum { CUT = 0x1f, DOT = 0x1e };
enum {
    TYPE_VOID = 2278,
    TYPE_RECORD = 2249,
    TYPE_TEXT = 25,
    TYPE_CITEXT = 15000,
    TYPE_TRIGGER = 2279,
    TYPE_EVENT_TRIGGER = 3838
};
enum { ROLES, TYPES, COLUMNS, VIEWS, KEYS, GRANTS, COLUMN_GRANTS, FUNCTIONS, CASTS, EXTENSIONS };

#define OURS "n.nspname !~ '^pg_' and n.nspname not in ('information_schema', '_orlo')"
/* A type as 23, or schema␞name, or [schema␞name of an array's elements. */
#define TYPE(oid)                                                                                                                \
    "(select case when ty.oid < 16384 then ty.oid::text else case when te.oid is null then '' else '[' end || tn.nspname || "    \
    "chr(30) || coalesce(te.typname, ty.typname) end from pg_type ty left join pg_type te on te.oid = ty.typelem and "           \
    "ty.typcategory = 'A' join pg_namespace tn on tn.oid = coalesce(te.typnamespace, ty.typnamespace) where ty.oid = " oid ")"
/* Names and types in one value are joined by ␟. */
#define NAMES(relation, numbers)                                                                                                 \
    "(select string_agg(a.attname, chr(31) order by u.i) from unnest(" numbers                                                   \
    ") with ordinality u (n, i) join pg_attribute a on a.attrelid = " relation " and a.attnum = u.n)"
#define FIELDS(what, relation)                                                                                                   \
    "(select string_agg(" what ", chr(31) order by a.attnum) from pg_attribute a where a.attrelid = " relation                   \
    " and a.attnum > 0 and not a.attisdropped)"

static const char *const texts[CATALOG_LIVE] = {
    [ROLES] =
        "select r.rolname, r.rolsuper, r.rolbypassrls, r.rolinherit, (select string_agg(g.rolname, chr(31)) from pg_auth_members "
        "m join pg_roles g on g.oid = m.roleid where m.member = r.oid) from pg_roles r where r.rolname !~ '^pg_' order by "
        "r.oid",
    [TYPES] = "select n.nspname, t.typname, t.typtype, " TYPE(
        "nullif(t.typbasetype, 0)") ", t.typtypmod, t.typnotnull, (select "
                                    "string_agg(e.enumlabel, chr(31) order by e.enumsortorder) from pg_enum e where e.enumtypid "
                                    "= t.oid), " FIELDS("a.attname", "t.typrelid") ", " FIELDS(
                                        TYPE("a.atttypid"),
                                        "t.typrelid") ", obj_description(t.oid, 'pg_type') "
                                                      "from pg_type t join pg_namespace n on n.oid = t.typnamespace left join "
                                                      "pg_class c on c.oid = t.typrelid "
                                                      "where t.oid >= 16384 and t.typtype in ('b', 'c', 'd', 'e', 'r', 'm') and "
                                                      "not (t.typelem <> 0 and t.typcategory = "
                                                      "'A') and (c.oid is null or c.relkind = 'c') and " OURS " order by t.oid",
    [COLUMNS] = "select n.nspname, c.relname, c.relkind, c.relrowsecurity, pg_get_userbyid(c.relowner), obj_description(c.oid, "
                "'pg_class'), c.oid, a.attname, a.attnum, " TYPE(
                    "a.atttypid") ", a.atttypmod, a.attnotnull, (a.atthasdef or "
                                  "a.attidentity <> '') and a.attgenerated = '', a.attgenerated <> '', a.attidentity, "
                                  "col_description(c.oid, "
                                  "a.attnum), case when c.relkind in ('r', 'p') then 28 else "
                                  "pg_relation_is_updatable(c.oid::regclass, true) end "
                                  "from pg_class c join pg_namespace n on n.oid = c.relnamespace left join pg_attribute a on "
                                  "a.attrelid = c.oid and "
                                  "a.attnum > 0 and not a.attisdropped where c.relkind in ('r', 'p', 'v', 'm', 'f') and not "
                                  "c.relispartition and " OURS " order by c.oid, a.attnum",
    [VIEWS] =
        "select n.nspname, c.relname, r.ev_action from pg_class c join pg_namespace n on n.oid = c.relnamespace join "
        "pg_rewrite r on r.ev_class = c.oid and r.rulename = '_RETURN' where c.relkind in ('v', 'm') and " OURS " order by c.oid",
    [KEYS] =
        "select n.nspname, c.relname, k.conname, k.contype, " NAMES("k.conrelid", "k.conkey") ", fn.nspname, f.relname, " NAMES(
            "k.confrelid",
            "k.confkey") " from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = "
                         "c.relnamespace left join pg_class f on f.oid = k.confrelid left join pg_namespace fn on fn.oid = "
                         "f.relnamespace "
                         "where k.contype in ('p', 'u', 'f') and k.conparentid = 0 and not c.relispartition and " OURS
                         " order by k.contype = 'f', k.oid",
    [GRANTS] =
        "select n.nspname, c.relname, coalesce(r.rolname, ''), string_agg(distinct x.privilege_type, chr(31)) from pg_class c "
        "join pg_namespace n on n.oid = c.relnamespace cross join lateral aclexplode(coalesce(c.relacl, acldefault('r', "
        "c.relowner))) x left join pg_roles r on r.oid = x.grantee where c.relkind in ('r', 'p', 'v', 'm', 'f') and " OURS
        " group by 1, 2, 3 order by 1, 2, 3",
    [COLUMN_GRANTS] =
        "select n.nspname, c.relname, a.attname, coalesce(r.rolname, ''), string_agg(distinct x.privilege_type, chr(31)) from "
        "pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace cross join lateral "
        "aclexplode(a.attacl) x left join pg_roles r on r.oid = x.grantee where a.attacl is not null and a.attnum > 0 and not "
        "a.attisdropped and " OURS " group by 1, 2, 3, 4 order by 1, 2, 3, 4",
    /* What it gives: of a row its columns, of OUT arguments those, else a value without a name. */
    [FUNCTIONS] =
        "select n.nspname, p.proname, array_to_string(p.proargnames, chr(31), ''), coalesce(array_to_string(p.proargmodes, ''), "
        "case "
        "when p.provariadic <> 0 then repeat('i', p.pronargs - 1) || 'v' else repeat('i', p.pronargs) end), (select "
        "string_agg(" TYPE(
            "u.t") ", chr(31) order by u.i) from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) with ordinality u (t, "
                   "i)), "
                   "p.pronargdefaults, p.proretset, p.prorows = 1, " TYPE("p.prorettype") ", " FIELDS(
                       "a.attname",
                       "bt.typrelid") ", " FIELDS(TYPE("a.atttypid"),
                                                  "bt.typrelid") ", (select coalesce(string_agg(coalesce(r.rolname, ''), "
                                                                 "chr(31) order by x.grantee), '-') from "
                                                                 "aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x "
                                                                 "left join pg_roles r on r.oid = x.grantee), p.provolatile, "
                                                                 "obj_description(p.oid, 'pg_proc'), "
                                                                 "array_to_string(p.proconfig, chr(31)), "
                                                                 "pg_get_userbyid(p.proowner), p.prokind "
                                                                 "from pg_proc p join pg_namespace n on n.oid = p.pronamespace "
                                                                 "join pg_type rt on rt.oid = p.prorettype join pg_type bt on "
                                                                 "bt.oid = coalesce(nullif(rt.typbasetype, 0), rt.oid) where "
                                                                 "p.prokind in ('f', 'a') and p.prorettype not in (2279, 3838) "
                                                                 "and not "
                                                                 "exists (select from pg_depend d where d.classid = "
                                                                 "'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e') "
                                                                 "and " OURS " order by p.oid",
    [CASTS] = "select " TYPE("k.castsource") ", " TYPE(
        "k.casttarget") ", n.nspname, p.proname from pg_cast k join pg_proc p on "
                        "p.oid = k.castfunc join pg_namespace n on n.oid = p.pronamespace join pg_type s on s.oid = k.castsource "
                        "join "
                        "pg_type t on t.oid = k.casttarget where k.castcontext = 'i' and k.castmethod = 'f' and ((s.typtype = "
                        "'d' and "
                        "t.oid in (25, 114)) or (t.typtype = 'd' and s.oid in (25, 114))) order by k.oid",
    [EXTENSIONS] = "select e.extname, n.nspname, e.extversion from pg_extension e join pg_namespace n on n.oid = e.extnamespace "
                   "where n.nspname !~ '^pg_' order by e.extname",
};

str catalog_live_text(uint32_t statement) { return str_c(texts[statement]); }

/* ---- how much is said ---- */

enum { ROWS_MAX = 50'000, NAMES_MAX = 500'000, VIEWS_BYTES_MAX = 32 << 20 };
enum { COLUMNS_MAX = 1664 /* PostgreSQL's */, ARGUMENTS_MAX = 100 + COLUMNS_MAX, LIST_MAX = 16'384, SAME_NAME_MAX = 1000 };

static const uint8_t widths[CATALOG_LIVE] = {[ROLES] = 5,  [TYPES] = 10,        [COLUMNS] = 17,   [VIEWS] = 3, [KEYS] = 8,
                                             [GRANTS] = 4, [COLUMN_GRANTS] = 5, [FUNCTIONS] = 17, [CASTS] = 4, [EXTENSIONS] = 3};

static uint64_t names_in(str list) {
    uint64_t n = 0;
    for (const uint8_t *at = list.p, *end = list.p + list.n; at < end && (at = memchr(at, CUT, (size_t)(end - at))); at++) n++;
    return n;
}

struct said {
    uint64_t rows, names, bytes, views;
};

static bool row_fits(const struct catalog_answer *a, uint32_t s, uint32_t row, struct said *all) {
    for (uint32_t k = 0; k < widths[s]; k++) {
        str value = a->value(a->arg, s, row, k);
        uint64_t names = s == VIEWS ? 0 : names_in(value);
        *(s == VIEWS ? &all->views : &all->bytes) += value.n;
        all->names += names;
        if (names > LIST_MAX) return false;
    }
    size_t arguments = s == FUNCTIONS ? a->value(a->arg, s, row, 3).n : 0;
    all->names += arguments;
    return arguments <= ARGUMENTS_MAX;
}

bool catalog_live_fits(const struct catalog_answer *a, uint64_t bytes_max) {
    struct said all = {0};
    for (uint32_t s = 0; s < CATALOG_LIVE; s++) all.rows += a->rows(a->arg, s);
    if (all.rows > ROWS_MAX) return false;
    for (uint32_t s = 0; s < CATALOG_LIVE; s++)
        for (uint32_t i = 0, same = 0; i < a->rows(a->arg, s); i++) {
            bool fits =
                row_fits(a, s, i, &all) && all.names <= NAMES_MAX && all.bytes <= bytes_max && all.views <= VIEWS_BYTES_MAX;
            same = s == COLUMNS && i && str_eq(a->value(a->arg, s, i, 6), a->value(a->arg, s, i - 1, 6)) ? same + 1 : 0;
            if (!fits || same >= COLUMNS_MAX) return false;
        }
    return true;
}

/* ---- what is read, by its names ---- */

struct live {
    struct catalog *c;
    const struct catalog_answer *a;
    struct map relations, columns;     /* by oid, by oid.number: a relation's id, a column's number */
    struct map ids;                    /* of relations: their places */
    struct map schemas, named_schemas; /* by id, by name: their places */
    struct map roles, named_types, named_relations, named_functions; /* by schema␞name, places in the catalogue's lists */
    catalog_ids next;                                                /* of each of its functions: the next of that name, and 1 */
};

static str key_of(const struct live *v, str schema, str name) {
    return arena_fmt(v->c->mem, STR_FMT "\x1e" STR_FMT, STR_ARG(schema), STR_ARG(name));
}

static uint32_t place_of(const struct map *m, str key) {
    uint64_t at;
    return map_get(m, key, &at) ? (uint32_t)at : UINT32_MAX;
}

static const struct catalog_schema *schema_with(const struct live *v, uint32_t id) {
    uint32_t at = place_of(&v->schemas, (str){(const uint8_t *)&id, sizeof id});
    return at == UINT32_MAX ? NULL : &v->c->schemas.p[at];
}

static str schema_name_of(const struct live *v, uint32_t id) {
    const struct catalog_schema *s = schema_with(v, id);
    return s ? s->name : (str){0};
}

static void name_schema(struct live *v, uint32_t at) {
    const struct catalog_schema *s = &v->c->schemas.p[at];
    map_put(v->c->mem, &v->schemas, arena_str(v->c->mem, (str){(const uint8_t *)&s->id, sizeof s->id}), at);
    map_put(v->c->mem, &v->named_schemas, s->name, at);
}

static uint32_t rows(const struct live *v, uint32_t s) { return v->a->rows(v->a->arg, s); }
static str text(const struct live *v, uint32_t s, uint32_t row, uint32_t column) {
    return v->a->value(v->a->arg, s, row, column);
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

static int32_t typmod_of(str s) { return s.n && s.p[0] != '-' ? (int32_t)number(s) : -1; }

/* What comes next of names that are joined. */
static str next_name(str *rest) {
    str one;
    str_cut(*rest, CUT, &one, rest);
    return one;
}

/* ---- schemas, roles, types ---- */

static uint32_t schema_of(struct live *v, str name) {
    uint32_t at = place_of(&v->named_schemas, name);
    if (at != UINT32_MAX) return v->c->schemas.p[at].id;
    struct catalog_schema made = {.id = v->c->next_id++, .owner = v->c->owner, .name = arena_str(v->c->mem, name)};
    vec_push(v->c->mem, &made.grants, ((struct catalog_grant){CATALOG_PUBLIC, CATALOG_USAGE, 0})); /* PostgreSQL asks */
    vec_push(v->c->mem, &v->c->schemas, made);
    name_schema(v, v->c->schemas.n - 1);
    return made.id;
}

static struct catalog_role *role_named(const struct live *v, str name) {
    uint32_t at = place_of(&v->roles, name);
    return at == UINT32_MAX ? NULL : &v->c->roles.p[at];
}

static uint32_t owner_of(const struct live *v, str name) {
    const struct catalog_role *r = role_named(v, name);
    return r ? r->id : v->c->owner;
}

static void add_roles(struct live *v) {
    for (uint32_t i = 0; i < v->c->roles.n; i++) map_put(v->c->mem, &v->roles, v->c->roles.p[i].name, i);
    for (uint32_t i = 0; i < rows(v, ROLES); i++) {
        struct catalog_role *r = role_named(v, text(v, ROLES, i, 0));
        if (!r) {
            struct catalog_role made = {.id = v->c->next_id++, .name = kept(v, ROLES, i, 0)};
            map_put(v->c->mem, &v->roles, made.name, v->c->roles.n);
            vec_push(v->c->mem, &v->c->roles, made);
            r = &v->c->roles.p[v->c->roles.n - 1];
        }
        r->superuser = is_true(v, ROLES, i, 1);
        r->bypass_rls = is_true(v, ROLES, i, 2);
        r->no_inherit = !is_true(v, ROLES, i, 3);
        r->member_of.n = 0;
    }
    for (uint32_t i = 0; i < rows(v, ROLES); i++)
        for (str rest = text(v, ROLES, i, 4); rest.n;) {
            const struct catalog_role *of = role_named(v, next_name(&rest));
            if (of) vec_push(v->c->mem, &role_named(v, text(v, ROLES, i, 0))->member_of, of->id);
        }
}

static const struct catalog_type *type_at(const struct live *v, str key) {
    uint32_t at = place_of(&v->named_types, key);
    return at == UINT32_MAX ? NULL : &v->c->types.p[at];
}

static void push_type(struct live *v, struct catalog_type t, str schema) {
    map_put(v->c->mem, &v->named_types, key_of(v, schema, t.name), v->c->types.n);
    vec_push(v->c->mem, &v->c->types, t);
}

static uint32_t type_of(const struct live *v, str ref) {
    bool array = ref.n && ref.p[0] == '[';
    if (number(ref)) return number(ref);
    const struct catalog_type *t = type_at(v, str_sub(ref, array, ref.n));
    if (!t && str_ends(ref, STR("\x1e"
                                "citext")))
        return TYPE_CITEXT + array;
    return !t ? TYPE_TEXT : array ? t->array : t->id;
}

static struct catalog_type *type_named(struct live *v, uint32_t row) {
    str schema = text(v, TYPES, row, 0), key = key_of(v, schema, text(v, TYPES, row, 1));
    if (!type_at(v, key)) {
        struct catalog_type made = {.id = v->c->next_id++, .owner = v->c->owner, .name = kept(v, TYPES, row, 1), .typmod = -1};
        made.schema = schema_of(v, schema);
        made.array = v->c->next_id++;
        push_type(v, made, schema);
    }
    return (struct catalog_type *)(uintptr_t)type_at(v, key);
}

static void add_type(struct live *v, uint32_t row) {
    if (str_eqc(text(v, TYPES, row, 1), "citext")) return; /* the pg room's own */
    uint32_t had = v->c->types.n;
    struct catalog_type *t = type_named(v, row);
    str kind = text(v, TYPES, row, 2);
    bool is_new = v->c->types.n > had;
    if (str_eqc(kind, "e")) {
        t->kind = CATALOG_ENUM;
        t->labels.n = 0;
        int64_t sort = 0;
        for (str rest = text(v, TYPES, row, 6); rest.n;)
            vec_push(v->c->mem, &t->labels, ((struct catalog_label){arena_str(v->c->mem, next_name(&rest)), sort += 1024}));
    } else if (str_eqc(kind, "c")) {
        t->kind = CATALOG_COMPOSITE;
        t->fields.n = 0;
        str types = text(v, TYPES, row, 8);
        for (str rest = text(v, TYPES, row, 7); rest.n;) {
            str name = arena_str(v->c->mem, next_name(&rest));
            vec_push(v->c->mem, &t->fields, ((struct catalog_field){name, type_of(v, next_name(&types)), -1}));
        }
    } else if (is_new || str_eqc(kind, "d")) {
        t->kind = CATALOG_DOMAIN;
        t->base = str_eqc(kind, "d") ? type_of(v, text(v, TYPES, row, 3)) : TYPE_TEXT;
        t->typmod = typmod_of(text(v, TYPES, row, 4));
        t->not_null = is_true(v, TYPES, row, 5);
    }
    if (text(v, TYPES, row, 9).n) t->comment = kept(v, TYPES, row, 9);
}

/* ---- relations ---- */

static struct catalog_relation *relation_of(const struct live *v, str schema, str name) {
    uint32_t at = place_of(&v->named_relations, key_of(v, schema, name));
    return at == UINT32_MAX ? NULL : &v->c->relations.p[at];
}

static struct catalog_relation *add_relation(struct live *v, uint32_t row) {
    struct catalog_relation r = {.id = v->c->next_id++, .schema = schema_of(v, text(v, COLUMNS, row, 0))};
    struct catalog_type t = {
        .id = v->c->next_id++, .schema = r.schema, .owner = v->c->owner, .kind = CATALOG_ROW, .relation = r.id, .typmod = -1};
    t.array = v->c->next_id++;
    r.name = r.storage = t.name = kept(v, COLUMNS, row, 1);
    r.row_type = t.id, r.row_array = t.array;
    r.rls = is_true(v, COLUMNS, row, 3);
    r.owner = owner_of(v, text(v, COLUMNS, row, 4));
    push_type(v, t, text(v, COLUMNS, row, 0));
    map_put(v->c->mem, &v->named_relations, key_of(v, text(v, COLUMNS, row, 0), r.name), v->c->relations.n);
    vec_push(v->c->mem, &v->c->relations, r);
    return &v->c->relations.p[v->c->relations.n - 1];
}

static void take_column(struct live *v, uint32_t row, struct catalog_relation *r, catalog_columns *to) {
    const struct catalog_column *known = catalog_column_named(r, text(v, COLUMNS, row, 7));
    struct catalog_column k = known ? *known : (struct catalog_column){.name = kept(v, COLUMNS, row, 7)};
    if (!known) k.number = ++r->last_number, k.storage = k.name;
    str identity = text(v, COLUMNS, row, 14);
    k.type = type_of(v, text(v, COLUMNS, row, 9));
    k.typmod = typmod_of(text(v, COLUMNS, row, 10));
    k.not_null = is_true(v, COLUMNS, row, 11);
    k.generated = is_true(v, COLUMNS, row, 13);
    k.identity = str_eqc(identity, "a") ? CATALOG_IDENTITY_ALWAYS : str_eqc(identity, "d") ? CATALOG_IDENTITY_BY_DEFAULT : 0;
    if (text(v, COLUMNS, row, 15).n) k.comment = kept(v, COLUMNS, row, 15);
    if (is_true(v, COLUMNS, row, 12) && !k.default_value.source.n) k.default_value.source = STR("default");
    if (!is_true(v, COLUMNS, row, 12) && !k.generated) k.default_value.source = (str){0};
    k.from = 0, k.from_number = 0;
    vec_push(v->c->mem, to, k);
    map_put(v->c->mem, &v->columns,
            arena_fmt(v->c->mem, STR_FMT "." STR_FMT, STR_ARG(text(v, COLUMNS, row, 6)), STR_ARG(text(v, COLUMNS, row, 8))),
            k.number);
}

static void name_relations(struct live *v) {
    v->named_relations = (struct map){0};
    for (uint32_t i = 0; i < v->c->relations.n; i++) {
        const struct catalog_schema *s = schema_with(v, v->c->relations.p[i].schema);
        if (s) map_put(v->c->mem, &v->named_relations, key_of(v, s->name, v->c->relations.p[i].name), i);
    }
}

static void add_columns(struct live *v) {
    bool *there = arena_array(v->c->mem, bool, v->c->relations.n + 1);
    for (uint32_t i = 0, n = rows(v, COLUMNS); i < n;) {
        struct catalog_relation *r = relation_of(v, text(v, COLUMNS, i, 0), text(v, COLUMNS, i, 1));
        str oid = text(v, COLUMNS, i, 6), kind = text(v, COLUMNS, i, 2);
        catalog_columns columns = {0};
        r->kind = str_eqc(kind, "v") ? CATALOG_VIEW : str_eqc(kind, "m") ? CATALOG_MATVIEW : CATALOG_TABLE;
        r->partitioned = str_eqc(kind, "p");
        r->commands = (uint8_t)number(text(v, COLUMNS, i, 16));
        if (text(v, COLUMNS, i, 5).n) r->comment = kept(v, COLUMNS, i, 5);
        there[r - v->c->relations.p] = true;
        map_put(v->c->mem, &v->relations, arena_str(v->c->mem, oid), r->id);
        for (; i < n && str_eq(text(v, COLUMNS, i, 6), oid); i++)
            if (text(v, COLUMNS, i, 7).n) take_column(v, i, r, &columns);
        r->columns = columns;
    }
    uint32_t left = 0;
    for (uint32_t i = 0; i < v->c->relations.n; i++) {
        const struct catalog_relation *r = &v->c->relations.p[i];
        if (r->platform || there[i]) v->c->relations.p[left++] = *r;
    }
    v->c->relations.n = left;
    name_relations(v);
}

/* ---- views: a column that is a table's own, whatever it is called. PostgreSQL keeps a view's query as a tree's text,
 *
 *   ({QUERY … :targetList ({TARGETENTRY :expr {…} :resno 1 :resname id :ressortgroupref 0 :resorigtbl 16400 :resorigcol 1 :resjunk false} …
 *
 * in which the view's own list is at the fourth level. Of a view of a view the table is that view. ---- */

static uint32_t member_of(str s, size_t at, const char *key) {
    size_t k = strlen(key);
    if (at + k >= s.n || memcmp(s.p + at, key, k) != 0) return 0;
    str digits = str_sub(s, at + k, s.n), one;
    str_cut(digits, ' ', &one, &digits);
    return number(one);
}

static void view_columns(struct live *v, str tree, struct catalog_relation *r) {
    uint32_t depth = 0, resno = 0, table = 0;
    for (size_t i = 0; i < tree.n; i++) {
        uint8_t c = tree.p[i];
        if (c == '\\') i++;
        else if (c == '{' || c == '(') depth++;
        else if (c == '}' || c == ')') depth--;
        if (depth != 4 || c != ':') continue;
        uint32_t n = member_of(tree, i, ":resno "), t = member_of(tree, i, ":resorigtbl "),
                 k = member_of(tree, i, ":resorigcol ");
        if (n) resno = n, table = 0;
        if (t) table = t;
        uint64_t of, column;
        if (!k || !table || !resno || resno > r->columns.n) continue;
        char key[32];
        int whole = snprintf(key, sizeof key, "%u.%u", table, k);
        if (!map_get(&v->relations, str_sub(str_c(key), 0, strcspn(key, ".")), &of) ||
            !map_get(&v->columns, (str){(const uint8_t *)key, (size_t)whole}, &column))
            continue;
        r->columns.p[resno - 1].from = (uint32_t)of;
        r->columns.p[resno - 1].from_number = (uint16_t)column;
    }
}

static const struct catalog_relation *relation_with(const struct live *v, uint32_t id) {
    uint32_t at = place_of(&v->ids, arena_fmt(v->c->mem, "%u", id));
    return at == UINT32_MAX ? NULL : &v->c->relations.p[at];
}

static void name_ids(struct live *v) {
    v->ids = (struct map){0};
    for (uint32_t i = 0; i < v->c->relations.n; i++)
        map_put(v->c->mem, &v->ids, arena_fmt(v->c->mem, "%u", v->c->relations.p[i].id), i);
}

static void add_views(struct live *v) {
    name_ids(v);
    for (uint32_t i = 0; i < rows(v, VIEWS); i++) {
        struct catalog_relation *r = relation_of(v, text(v, VIEWS, i, 0), text(v, VIEWS, i, 1));
        if (r) view_columns(v, text(v, VIEWS, i, 2), r);
    }
    for (uint32_t i = 0; i < v->c->relations.n; i++) /* of a view of a view: that one's table */
        for (uint32_t k = 0; k < v->c->relations.p[i].columns.n; k++) {
            struct catalog_column *column = &v->c->relations.p[i].columns.p[k];
            for (uint32_t depth = 0; column->from && depth < 32; depth++) {
                const struct catalog_relation *of = relation_with(v, column->from);
                const struct catalog_column *next = of ? catalog_column_of(of, column->from_number) : NULL;
                if (!of || of->kind == CATALOG_TABLE) break;
                column->from = next ? next->from : 0;
                column->from_number = next ? next->from_number : 0;
            }
        }
}

/* ---- keys, rights ---- */

/* False: one of them is not known. */
static bool numbers_of(const struct live *v, const struct catalog_relation *r, str names, catalog_ids *to) {
    while (names.n) {
        const struct catalog_column *k = catalog_column_named(r, next_name(&names));
        if (!k) return false;
        vec_push(v->c->mem, to, (uint32_t)k->number);
    }
    return true;
}

static void take_key(struct live *v, uint32_t row) {
    struct catalog_relation *r = relation_of(v, text(v, KEYS, row, 0), text(v, KEYS, row, 1));
    const struct catalog_relation *to = relation_of(v, text(v, KEYS, row, 5), text(v, KEYS, row, 6));
    str kind = text(v, KEYS, row, 3);
    if (!r) return;
    struct catalog_constraint *known = (struct catalog_constraint *)(uintptr_t)catalog_constraint_named(r, text(v, KEYS, row, 2));
    struct catalog_constraint k = known ? *known : (struct catalog_constraint){.name = kept(v, KEYS, row, 2)};
    k.kind = str_eqc(kind, "p") ? CATALOG_PRIMARY : str_eqc(kind, "u") ? CATALOG_UNIQUE : CATALOG_FOREIGN;
    k.columns = k.reference_columns = (catalog_ids){0};
    bool foreign = k.kind == CATALOG_FOREIGN;
    if (!numbers_of(v, r, text(v, KEYS, row, 4), &k.columns) || !k.columns.n) return;
    if (foreign && (!to || !numbers_of(v, to, text(v, KEYS, row, 7), &k.reference_columns))) return;
    if (foreign && k.columns.n != k.reference_columns.n) return; /* a name may have what they are joined by */
    k.reference = foreign ? to->id : 0;
    if (known) *known = k;
    else if (r->constraints.n < COLUMNS_MAX) {
        k.id = v->c->next_id++;
        vec_push(v->c->mem, &r->constraints, k);
    }
}

/* Keys that there are no more, and those whose columns were not theirs. */
static void add_keys(struct live *v) {
    for (uint32_t i = 0; i < v->c->relations.n; i++) {
        struct catalog_relation *r = &v->c->relations.p[i];
        for (uint32_t k = 0; k < r->constraints.n && !r->platform; k++)
            if (r->constraints.p[k].kind != CATALOG_CHECK) r->constraints.p[k].columns.n = 0;
    }
    for (uint32_t i = 0; i < rows(v, KEYS); i++) take_key(v, i);
    for (uint32_t i = 0; i < v->c->relations.n; i++) {
        struct catalog_relation *r = &v->c->relations.p[i];
        uint32_t left = 0;
        for (uint32_t k = 0; k < r->constraints.n; k++)
            if (r->constraints.p[k].kind == CATALOG_CHECK || r->constraints.p[k].columns.n)
                r->constraints.p[left++] = r->constraints.p[k];
        r->constraints.n = left;
    }
}

static uint32_t privilege_of(str name) {
    static const struct {
        const char *name;
        uint32_t bit;
    } bits[] = {{"SELECT", CATALOG_SELECT},  {"INSERT", CATALOG_INSERT},     {"UPDATE", CATALOG_UPDATE},
                {"DELETE", CATALOG_DELETE},  {"TRUNCATE", CATALOG_TRUNCATE}, {"REFERENCES", CATALOG_REFERENCES},
                {"TRIGGER", CATALOG_TRIGGER}};
    for (size_t i = 0; i < ARRAY_COUNT(bits); i++)
        if (str_eqc(name, bits[i].name)) return bits[i].bit;
    return 0;
}

/* CATALOG_PUBLIC; UINT32_MAX: a role that is not known. */
static uint32_t role_of(const struct live *v, str name) {
    const struct catalog_role *r = name.n ? role_named(v, name) : NULL;
    return !name.n ? CATALOG_PUBLIC : r ? r->id : UINT32_MAX;
}

static void add_grant(struct live *v, catalog_grants *to, str role, str privileges) {
    struct catalog_grant g = {.role = role_of(v, role)};
    if (g.role == UINT32_MAX) return;
    for (str rest = privileges; rest.n;) g.privileges |= privilege_of(next_name(&rest));
    vec_push(v->c->mem, to, g);
}

static void add_grants(struct live *v) {
    for (uint32_t i = 0; i < v->c->relations.n; i++) {
        struct catalog_relation *r = &v->c->relations.p[i];
        r->grants.n = 0;
        for (uint32_t k = 0; k < r->columns.n; k++) r->columns.p[k].grants.n = 0;
    }
    for (uint32_t i = 0; i < rows(v, GRANTS); i++) {
        struct catalog_relation *r = relation_of(v, text(v, GRANTS, i, 0), text(v, GRANTS, i, 1));
        if (r) add_grant(v, &r->grants, text(v, GRANTS, i, 2), text(v, GRANTS, i, 3));
    }
    for (uint32_t i = 0; i < rows(v, COLUMN_GRANTS); i++) {
        struct catalog_relation *r = relation_of(v, text(v, COLUMN_GRANTS, i, 0), text(v, COLUMN_GRANTS, i, 1));
        struct catalog_column *k =
            r ? (struct catalog_column *)(uintptr_t)catalog_column_named(r, text(v, COLUMN_GRANTS, i, 2)) : NULL;
        if (k) add_grant(v, &k->grants, text(v, COLUMN_GRANTS, i, 3), text(v, COLUMN_GRANTS, i, 4));
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
    a.type = type_of(v, type);
    return a;
}

static bool goes_in(const struct catalog_argument *a) {
    return a->mode == CATALOG_IN || a->mode == CATALOG_INOUT || a->mode == CATALOG_VARIADIC;
}

static void read_arguments(const struct live *v, uint32_t row, struct catalog_function *f) {
    str names = text(v, FUNCTIONS, row, 2), modes = text(v, FUNCTIONS, row, 3), types = text(v, FUNCTIONS, row, 4);
    uint32_t defaults = number(text(v, FUNCTIONS, row, 5));
    for (size_t i = 0; i < modes.n; i++)
        vec_push(v->c->mem, &f->arguments, argument_of(v, modes.p[i], next_name(&names), next_name(&types)));
    for (uint32_t i = f->arguments.n; i-- > 0 && defaults;) /* the last of those that go in */
        if (goes_in(&f->arguments.p[i])) f->arguments.p[i].default_value.source = STR("default"), defaults--;
}

static void read_columns(const struct live *v, uint32_t row, struct catalog_function *f) {
    str names = text(v, FUNCTIONS, row, 9), types = text(v, FUNCTIONS, row, 10);
    for (uint32_t i = 0; i < f->arguments.n; i++) {
        const struct catalog_argument *a = &f->arguments.p[i];
        if (a->mode != CATALOG_IN && a->mode != CATALOG_VARIADIC)
            vec_push(v->c->mem, &f->columns, ((struct catalog_field){a->name, a->type, -1}));
    }
    if (f->columns.n || f->returns == TYPE_VOID || f->returns == TYPE_RECORD) return;
    while (names.n) {
        str name = arena_str(v->c->mem, next_name(&names));
        vec_push(v->c->mem, &f->columns, ((struct catalog_field){name, type_of(v, next_name(&types)), -1}));
    }
    if (!f->columns.n) vec_push(v->c->mem, &f->columns, ((struct catalog_field){(str){0}, f->returns, -1}));
}

/* The same arguments, by name and way. */
static bool is_same(const struct catalog_function *f, const struct catalog_function *g) {
    bool same = f->arguments.n == g->arguments.n;
    for (uint32_t i = 0; same && i < f->arguments.n; i++)
        same = f->arguments.p[i].mode == g->arguments.p[i].mode && str_eq(f->arguments.p[i].name, g->arguments.p[i].name) &&
               f->arguments.p[i].type == g->arguments.p[i].type;
    return same;
}

static struct catalog_function function_at(struct live *v, uint32_t row) {
    struct catalog_function f = {.returns = type_of(v, text(v, FUNCTIONS, row, 8)),
                                 .set = is_true(v, FUNCTIONS, row, 6),
                                 .one_row = is_true(v, FUNCTIONS, row, 7),
                                 .name = kept(v, FUNCTIONS, row, 1),
                                 .comment = kept(v, FUNCTIONS, row, 13),
                                 .owner = owner_of(v, text(v, FUNCTIONS, row, 15)),
                                 .language = STR("plpgsql")};
    f.aggregate = str_eqc(text(v, FUNCTIONS, row, 16), "a");
    str volatility = text(v, FUNCTIONS, row, 12), whole = text(v, FUNCTIONS, row, 11);
    f.schema = schema_of(v, text(v, FUNCTIONS, row, 0));
    f.volatility = str_eqc(volatility, "i")   ? CATALOG_IS_IMMUTABLE
                   : str_eqc(volatility, "s") ? CATALOG_IS_STABLE
                                              : CATALOG_IS_VOLATILE;
    read_arguments(v, row, &f);
    read_columns(v, row, &f);
    for (str rest = text(v, FUNCTIONS, row, 14); rest.n;) {
        str one = arena_str(v->c->mem, next_name(&rest));
        vec_push(v->c->mem, &f.settings, one);
    }
    for (str rest = whole; !str_eqc(whole, "-");) {
        uint32_t role = role_of(v, next_name(&rest));
        if (role != UINT32_MAX) vec_push(v->c->mem, &f.grants, ((struct catalog_grant){role, CATALOG_EXECUTE, 0}));
        if (!rest.n) break;
    }
    return f;
}

static void name_functions(struct live *v) {
    for (uint32_t i = 0; i < v->c->functions.n; i++) vec_push(v->c->mem, &v->next, 0);
    for (uint32_t i = v->c->functions.n; i-- > 0;) {
        str key = key_of(v, schema_name_of(v, v->c->functions.p[i].schema), v->c->functions.p[i].name);
        uint32_t behind = place_of(&v->named_functions, key);
        v->next.p[i] = behind == UINT32_MAX ? 0 : behind + 1;
        map_put(v->c->mem, &v->named_functions, key, i);
    }
}

/* Its place in the text's; UINT32_MAX: the text knows none. */
static uint32_t known_function(const struct live *v, str schema, const struct catalog_function *f) {
    uint32_t left = SAME_NAME_MAX, at = place_of(&v->named_functions, key_of(v, schema, f->name));
    for (; at != UINT32_MAX && left; at = v->next.p[at] - 1, left--)
        if (is_same(&v->c->functions.p[at], f)) return at;
    return UINT32_MAX;
}

/* In the order in which they were made; those of the text that take a trigger's place are not asked for, and stay. */
static void add_functions(struct live *v) {
    typeof(v->c->functions) all = {0};
    bool *found = arena_array(v->c->mem, bool, v->c->functions.n + 1);
    name_functions(v);
    for (uint32_t i = 0; i < rows(v, FUNCTIONS); i++) {
        struct catalog_function f = function_at(v, i);
        uint32_t at = known_function(v, text(v, FUNCTIONS, i, 0), &f);
        if (at != UINT32_MAX) {
            const struct catalog_function *g = &v->c->functions.p[at];
            found[at] = true;
            f.id = g->id, f.source = g->source, f.platform = g->platform, f.definer = g->definer, f.strict = g->strict;
            f.language = g->language, f.leakproof = g->leakproof;
            for (uint32_t k = 0; k < f.arguments.n; k++)
                if (f.arguments.p[k].default_value.source.n && g->arguments.p[k].default_value.source.n)
                    f.arguments.p[k].default_value = g->arguments.p[k].default_value;
        } else f.id = v->c->next_id++;
        vec_push(v->c->mem, &all, f);
    }
    for (uint32_t i = 0; i < v->c->functions.n; i++) {
        const struct catalog_function *f = &v->c->functions.p[i];
        bool stays = f->platform || f->procedure || f->returns == TYPE_TRIGGER || f->returns == TYPE_EVENT_TRIGGER;
        if (stays && !found[i]) vec_push(v->c->mem, &all, *f);
    }
    v->c->functions = all;
}

static void add_casts(struct live *v) {
    v->c->casts = (typeof(v->c->casts)){0};
    for (uint32_t i = 0; i < rows(v, CASTS); i++) {
        struct catalog_cast k = {.from = type_of(v, text(v, CASTS, i, 0)), .to = type_of(v, text(v, CASTS, i, 1))};
        k.schema = kept(v, CASTS, i, 2);
        k.function = kept(v, CASTS, i, 3);
        vec_push(v->c->mem, &v->c->casts, k);
    }
}

/* Those that the text could not make are there all the same. */
static void add_extensions(struct live *v) {
    for (uint32_t i = 0; i < rows(v, EXTENSIONS); i++) {
        str name = kept(v, EXTENSIONS, i, 0);
        uint32_t at = 0;
        while (at < v->c->extensions.n && !str_eq(v->c->extensions.p[at].name, name)) at++;
        if (at == v->c->extensions.n) *vec_add(v->c->mem, &v->c->extensions) = (struct catalog_extension){.name = name};
        struct catalog_extension *e = &v->c->extensions.p[at];
        e->schema = schema_of(v, text(v, EXTENSIONS, i, 1));
        e->version = kept(v, EXTENSIONS, i, 2);
    }
}

const struct catalog_cast *catalog_cast_of(const struct catalog *c, uint32_t from, uint32_t to) {
    for (uint32_t i = 0; i < c->casts.n; i++)
        if (c->casts.p[i].from == from && c->casts.p[i].to == to) return &c->casts.p[i];
    return NULL;
}

/* ---- what spoke of what is gone ---- */

static bool has_columns(const struct catalog_relation *r, const catalog_ids *numbers) {
    for (uint32_t i = 0; i < numbers->n; i++)
        if (numbers->p[i] && !catalog_column_of(r, numbers->p[i])) return false;
    return true;
}

static bool has_keys(const struct catalog_relation *r, const struct catalog_index *x) {
    for (uint32_t i = 0; i < x->keys.n; i++)
        if (x->keys.p[i].column && !catalog_column_of(r, x->keys.p[i].column)) return false;
    return has_columns(r, &x->include);
}

/* Those of a list that hold, in their order. */
#define KEEP(list, one, holds)                                                                                                   \
    do {                                                                                                                         \
        uint32_t left_ = 0;                                                                                                      \
        for (uint32_t k_ = 0; k_ < (list).n; k_++) {                                                                             \
            typeof(&(list).p[0]) one = &(list).p[k_];                                                                            \
            if (holds) (list).p[left_++] = *one;                                                                                 \
        }                                                                                                                        \
        (list).n = left_;                                                                                                        \
    } while (0)

static void tidy(struct live *v) {
    struct catalog *c = v->c;
    struct map types = {0};
    for (uint32_t i = 0; i < rows(v, TYPES); i++)
        map_put(c->mem, &types, key_of(v, text(v, TYPES, i, 0), text(v, TYPES, i, 1)), 1);
    name_ids(v);
    for (uint32_t i = 0; i < c->relations.n; i++) {
        struct catalog_relation *r = &c->relations.p[i];
        KEEP(r->constraints, k, has_columns(r, &k->columns) && has_columns(r, &k->set_columns));
        KEEP(r->indexes, x, has_keys(r, x));
        KEEP(r->depends, id, relation_with(v, *id));
    }
    for (uint32_t i = 0; i < c->sequences.n; i++)
        if (c->sequences.p[i].relation && !relation_with(v, c->sequences.p[i].relation)) c->sequences.p[i].relation = 0;
    for (uint32_t i = 0; i < c->publications.n; i++) KEEP(c->publications.p[i].relations, id, relation_with(v, *id));
    KEEP(c->types, t,
         t->kind == CATALOG_ROW
             ? relation_with(v, t->relation) != NULL
             : t->platform || place_of(&types, key_of(v, schema_name_of(v, t->schema), t->name)) != UINT32_MAX);
}

void catalog_live(struct catalog *c, const struct catalog_answer *a) {
    struct live v = {.c = c, .a = a};
    c->names = NULL; /* it changes */
    add_roles(&v);
    for (uint32_t i = 0; i < c->schemas.n; i++) name_schema(&v, i);
    name_relations(&v);
    for (uint32_t i = 0; i < c->types.n; i++) {
        const struct catalog_schema *s = schema_with(&v, c->types.p[i].schema);
        if (s) map_put(c->mem, &v.named_types, key_of(&v, s->name, c->types.p[i].name), i);
    }
    for (uint32_t i = 0; i < rows(&v, COLUMNS); i++) /* first their row types, which columns and functions may be of */
        if (!relation_of(&v, text(&v, COLUMNS, i, 0), text(&v, COLUMNS, i, 1))) (void)add_relation(&v, i);
    for (uint32_t i = 0; i < rows(&v, TYPES); i++) add_type(&v, i);
    add_columns(&v);
    add_views(&v);
    add_keys(&v);
    add_grants(&v);
    add_functions(&v);
    add_casts(&v);
    add_extensions(&v);
    tidy(&v);
    catalog_ready(c);
}
