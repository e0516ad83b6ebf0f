/* system: PostgreSQL's own relations as a table of SQLite's that is a function, and PostgreSQL's functions that ask the catalogue. */
#include "system/system_int.h"

/* ---- which there are ---- */

#define C(name, type) {#name, PG_##type},
#define RELATION(schema, name, rows, columns) static const struct system_column name##_##rows[] = {columns};
#include "system/system.def"
#undef RELATION
#undef C

static const struct system_relation relations[] = {
#define C(name, type)
#define RELATION(schema, name, rows, columns) {schema, #name, name##_##rows, ARRAY_COUNT(name##_##rows)},
#include "system/system.def"
#undef RELATION
#undef C
};

const struct system_relation *system_relation_named(str schema, str name) {
    for (size_t i = 0; i < ARRAY_COUNT(relations); i++)
        if (str_eqc(name, relations[i].name) && str_eqc(schema.n ? schema : STR("pg_catalog"), relations[i].schema))
            return &relations[i];
    return NULL;
}

const struct system_relation *system_relation_at(uint32_t number) {
    return number < ARRAY_COUNT(relations) ? &relations[number] : NULL;
}

uint32_t system_relation_number(const struct system_relation *r) { return (uint32_t)(r - relations); }

/* ---- rows ---- */

static uint32_t role_of(const struct system_context *cx) {
    const struct catalog_role *r = cx->session ? catalog_role_named(cx->catalog, cx->session->role) : NULL;
    return !r || r->superuser ? 0 : r->id;
}

static void begin(struct db_call *call, void *arg, void *state, const struct db_value *args, uint32_t n) {
    struct system_context *cx = arg;
    struct system_rows *o = state;
    *o = (struct system_rows){.c = cx->catalog, .role = role_of(cx)};
    if (n != 1 || args[0].kind != DB_INTEGER || args[0].i < 0 || args[0].i >= (int64_t)ARRAY_COUNT(relations) || !cx->catalog)
        return db_refuse(call, STR("no such relation"));
    o->mem = arena_new(0);
    o->columns = relations[args[0].i].columns_count;
    system_rows_make(o, (uint32_t)args[0].i);
    o->at = 0;
}

static bool next(struct db_call *call, void *arg, void *state, struct db_value *row) {
    struct system_rows *o = state;
    (void)call, (void)arg;
    if (o->at == o->n) return false;
    memcpy(row, o->values + (size_t)o->at++ * o->columns, o->columns * sizeof *row);
    for (uint32_t i = o->columns; i < SYSTEM_COLUMNS_MAX; i++) row[i] = DB_NOTHING;
    return true;
}

static void end(void *arg, void *state) {
    struct system_rows *o = state;
    (void)arg;
    if (o->mem) arena_free(o->mem);
}

/* ---- rights ---- */

enum object { OF_TABLE, OF_COLUMN, OF_FUNCTION, OF_SCHEMA, OF_ANY_COLUMN, OF_SEQUENCE, OF_ROLE };

static uint32_t found(struct system_context *cx, uint32_t type, const struct db_value *what) {
    uint32_t id = 0;
    if (what->kind != DB_TEXTUAL) return (uint32_t)what->i;
    return cx->names.find(cx, type, what->s, &id) == PG_FOUND ? id : 0;
}

static const struct {
    const char *word;
    uint32_t bit;
} rights[] = {{"select", CATALOG_SELECT},   {"insert", CATALOG_INSERT},     {"update", CATALOG_UPDATE},
              {"delete", CATALOG_DELETE},   {"truncate", CATALOG_TRUNCATE}, {"references", CATALOG_REFERENCES},
              {"trigger", CATALOG_TRIGGER}, {"execute", CATALOG_EXECUTE},   {"usage", CATALOG_USAGE},
              {"create", CATALOG_CREATE}};

static void raise(struct system_context *cx, struct db_call *call, const char *state, const char *what, str name) {
    struct pg_error *e = cx->session ? cx->session->error : NULL;
    char text[200];
    snprintf(text, sizeof text, what, (int)MIN(name.n, 100u), (const char *)name.p);
    if (e && !e->set) {
        *e = (struct pg_error){.set = true};
        snprintf(e->state, sizeof e->state, "%s", state);
        snprintf(e->message, sizeof e->message, "%s", text);
    }
    db_refuse(call, str_c(text));
}

static bool may_sequence(const struct catalog *c, uint32_t role, const struct catalog_sequence *q, uint32_t bit) {
    const struct catalog_role *r = catalog_role_of(c, role);
    if ((r && r->superuser) || catalog_role_is(c, role, q->owner)) return true;
    for (uint32_t i = 0; i < q->grants.n; i++)
        if (q->grants.p[i].privileges & bit && catalog_role_is(c, role, q->grants.p[i].role)) return true;
    return false;
}

static bool may(struct system_context *cx, enum object of, uint32_t role, const struct db_value *what, uint32_t bit, str column,
                bool *there) {
    const struct catalog *c = cx->catalog;
    *there = true;
    if (of == OF_SCHEMA) {
        const struct catalog_schema *s =
            what->kind == DB_TEXTUAL ? catalog_schema_named(c, what->s) : catalog_schema_of(c, (uint32_t)what->i);
        return (*there = s != NULL) && catalog_may_schema(c, role, s->id, bit);
    }
    if (of == OF_FUNCTION) {
        const struct catalog_function *f = system_function_of(c, found(cx, PG_REGPROCEDURE, what));
        return (*there = f != NULL) && catalog_may_function(c, role, f);
    }
    if (of == OF_ROLE) {
        uint32_t other = found(cx, PG_REGROLE, what);
        return (*there = catalog_role_of(c, other) != NULL) && catalog_role_is(c, role, other);
    }
    if (of == OF_SEQUENCE) {
        const struct catalog_sequence *q = catalog_sequence_of(c, found(cx, PG_REGCLASS, what));
        return (*there = q != NULL) && may_sequence(c, role, q, bit);
    }
    const struct catalog_relation *r = catalog_relation_of(c, found(cx, PG_REGCLASS, what));
    const struct catalog_column *k = r && of == OF_COLUMN ? catalog_column_named(r, column) : NULL;
    if (!(*there = r && (of != OF_COLUMN || k))) return false;
    for (uint32_t i = 0; of == OF_ANY_COLUMN && i < r->columns.n; i++)
        if (catalog_may_column(c, role, r, &r->columns.p[i], bit)) return true;
    return catalog_may_relation(c, role, r, bit) || (k && catalog_may_column(c, role, r, k, bit));
}

/* (kind, role or null, object, column or null, privileges): any of them, as PostgreSQL has it */
static void fn_may(struct db_call *call, void *arg, const struct db_value *args, uint32_t n) {
    struct system_context *cx = arg;
    enum object of = (enum object)args[0].i;
    static const uint32_t allowed[] = {[OF_TABLE] = CATALOG_SELECT | CATALOG_INSERT | CATALOG_UPDATE | CATALOG_DELETE |
                                                    CATALOG_TRUNCATE | CATALOG_REFERENCES | CATALOG_TRIGGER,
                                       [OF_COLUMN] = CATALOG_ALL_COLUMN,
                                       [OF_FUNCTION] = CATALOG_EXECUTE,
                                       [OF_SCHEMA] = CATALOG_ALL_SCHEMA,
                                       [OF_ANY_COLUMN] = CATALOG_ALL_COLUMN,
                                       [OF_SEQUENCE] = CATALOG_ALL_SEQUENCE,
                                       [OF_ROLE] = CATALOG_USAGE};
    const struct catalog_role *role = NULL;
    (void)n;
    if (args[2].kind == DB_NULL || args[4].kind != DB_TEXTUAL) return db_answer(call, DB_NOTHING);
    if (args[1].kind == DB_INTEGER) role = catalog_role_of(cx->catalog, (uint32_t)args[1].i);
    else
        role = catalog_role_named(cx->catalog, args[1].kind == DB_TEXTUAL ? args[1].s
                                               : cx->session              ? cx->session->role
                                                                          : STR("postgres"));
    if (!role) return raise(cx, call, "42704", "role \"%.*s\" does not exist", args[1].kind == DB_TEXTUAL ? args[1].s : STR(""));
    bool any = false, there = true;
    str column = args[3].kind == DB_TEXTUAL ? args[3].s : (str){0};
    if (args[2].kind == DB_TEXTUAL) (void)may(cx, of, role->id, &args[2], 0, column, &there); /* names are looked for first */
    for (str rest = args[4].s, one; rest.n && there;) {
        uint32_t bit = 0;
        str_cut(rest, ',', &one, &rest);
        one = str_trim(one);
        str word = one.n > 18 && str_eq_nocase(str_sub(one, one.n - 18, one.n), STR(" with grant option"))
                       ? str_sub(one, 0, one.n - 18)
                       : one;
        for (size_t i = 0; i < ARRAY_COUNT(rights); i++)
            if (str_eq_nocase(word, str_c(rights[i].word))) bit = rights[i].bit;
        if (of == OF_ROLE && str_eq_nocase(word, STR("member"))) bit = CATALOG_USAGE;
        if (!(bit & allowed[of])) return raise(cx, call, "22023", "unrecognized privilege type: \"%.*s\"", one);
        any |= may(cx, of, role->id, &args[2], bit, column, &there);
    }
    if (there) return db_answer(call, DB_I64(any));
    const struct catalog_relation *r =
        args[2].kind == DB_TEXTUAL && of == OF_COLUMN ? catalog_relation_of(cx->catalog, found(cx, PG_REGCLASS, &args[2])) : NULL;
    if (r && args[3].kind == DB_TEXTUAL) {
        arena *mem = arena_new(0);
        str what = arena_fmt(mem, STR_FMT "\" of relation \"" STR_FMT, STR_ARG(args[3].s), STR_ARG(r->name));
        raise(cx, call, "42703", "column \"%.*s\" does not exist", what);
        arena_free(mem);
        return;
    }
    if (args[2].kind != DB_TEXTUAL) return db_answer(call, DB_NOTHING);
    static const struct {
        const char *state, *message;
    } missing[] = {[OF_TABLE] = {"42P01", "relation \"%.*s\" does not exist"},
                   [OF_COLUMN] = {"42P01", "relation \"%.*s\" does not exist"},
                   [OF_FUNCTION] = {"42883", "function \"%.*s\" does not exist"},
                   [OF_SCHEMA] = {"3F000", "schema \"%.*s\" does not exist"},
                   [OF_ANY_COLUMN] = {"42P01", "relation \"%.*s\" does not exist"},
                   [OF_SEQUENCE] = {"42P01", "relation \"%.*s\" does not exist"},
                   [OF_ROLE] = {"42704", "role \"%.*s\" does not exist"}};
    raise(cx, call, missing[of].state, missing[of].message, args[2].s);
}

/* ---- a connection's ---- */

err system_register(struct db *db, struct system_context *cx, struct diag *d) {
    struct db_table_function *t = &cx->table;
    *t = (struct db_table_function){.name = "pg_system",
                                    .arguments = 1,
                                    .arguments_min = 1,
                                    .flags = DB_FN_INNOCUOUS,
                                    .state_bytes = sizeof(struct system_rows),
                                    .begin = begin,
                                    .next = next,
                                    .end = end,
                                    .arg = cx};
    static const char *const names[] = {"c1",  "c2",  "c3",  "c4",  "c5",  "c6",  "c7",  "c8",  "c9",  "c10",
                                        "c11", "c12", "c13", "c14", "c15", "c16", "c17", "c18", "c19", "c20"};
    static_assert(ARRAY_COUNT(names) == SYSTEM_COLUMNS_MAX);
    memcpy(t->columns, names, sizeof names);
    const struct db_function functions[] = {
        {"pg_may", 5, DB_FN_INNOCUOUS, fn_may, cx},
    };
    static_assert(sizeof functions == sizeof cx->functions);
    memcpy(cx->functions, functions, sizeof functions);
    cx->names = system_names(cx);
    TRY(db_add_functions(db, cx->functions, ARRAY_COUNT(cx->functions), d));
    return db_add_table_functions(db, t, 1, d);
}
