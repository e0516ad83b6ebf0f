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

/* ---- relations by their names ---- */

/* One part of a name: folded, unless it is quoted. false: it is none. */
static bool part_of(str *text, char *to, size_t room, str *out) {
    str s = *text;
    size_t n = 0, i = 0;
    bool quoted = s.n && s.p[0] == '"', closed = !quoted;
    for (i = quoted; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (quoted && c == '"') {
            if (i + 1 == s.n || s.p[i + 1] != '"') {
                closed = true, i++;
                break;
            }
            i++;
        }
        if (!quoted && c == '.') break;
        if (n == room) return false;
        to[n++] = (char)(quoted || c < 'A' || c > 'Z' ? c : c + 32);
    }
    *out = (str){(const uint8_t *)to, n};
    *text = str_sub(s, i, s.n);
    return n && closed;
}

static uint32_t relation_by(const struct catalog *c, str schema, str name) {
    const struct catalog_relation *r = catalog_relation_named(c, schema, name);
    const struct catalog_sequence *q = r ? NULL : catalog_sequence_named(c, schema, name);
    const struct catalog_schema *s = catalog_schema_named(c, schema);
    if (r || q) return r ? r->id : q->id;
    for (uint32_t i = 0; s && i < c->relations.n; i++) {
        const struct catalog_relation *t = &c->relations.p[i];
        if (t->schema != s->id) continue;
        for (uint32_t k = 0; k < t->indexes.n; k++)
            if (str_eq(t->indexes.p[k].name, name)) return t->indexes.p[k].id;
        for (uint32_t k = 0; k < t->constraints.n; k++)
            if ((t->constraints.p[k].kind == CATALOG_PRIMARY || t->constraints.p[k].kind == CATALOG_UNIQUE) &&
                str_eq(t->constraints.p[k].name, name))
                return t->constraints.p[k].id;
    }
    return 0;
}

/* What regclass reads: schema.name, "quoted", or an id. 0: there is none. */
static uint32_t regclass(const struct catalog *c, str text) {
    static const char *const path[] = {"public", "extensions"};
    char rooms[2][128];
    str parts[2], rest = str_trim(text);
    uint64_t id;
    if (str_to_u64(rest, &id)) return (uint32_t)MIN(id, (uint64_t)UINT32_MAX);
    if (!part_of(&rest, rooms[0], sizeof rooms[0], &parts[0])) return 0;
    if (rest.n) {
        if (rest.p[0] != '.') return 0;
        rest = str_sub(rest, 1, rest.n);
        return part_of(&rest, rooms[1], sizeof rooms[1], &parts[1]) && !rest.n ? relation_by(c, parts[0], parts[1]) : 0;
    }
    for (size_t i = 0; i < ARRAY_COUNT(path); i++) {
        uint32_t found = relation_by(c, str_c(path[i]), parts[0]);
        if (found) return found;
    }
    return 0;
}

static void fn_to_regclass(struct db_call *call, void *arg, const struct db_value *args, uint32_t n) {
    struct system_context *cx = arg;
    uint32_t id = n == 1 && args[0].kind == DB_TEXTUAL ? regclass(cx->catalog, args[0].s) : 0;
    db_answer(call, id ? DB_I64(id) : DB_NOTHING);
}

/* As regclass prints: without its schema where that is public, in quotes where it must be. */
static void put_name(struct buf *b, str name) {
    bool plain = name.n && (name.p[0] == '_' || (name.p[0] >= 'a' && name.p[0] <= 'z'));
    for (size_t i = 0; plain && i < name.n; i++)
        plain = name.p[i] == '_' || (name.p[i] >= 'a' && name.p[i] <= 'z') || (name.p[i] >= '0' && name.p[i] <= '9');
    if (plain) return (void)buf_puts(b, name);
    buf_putc(b, '"');
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '"') buf_putc(b, '"');
        buf_putc(b, name.p[i]);
    }
    buf_putc(b, '"');
}

static void fn_regclass_text(struct db_call *call, void *arg, const struct db_value *args, uint32_t n) {
    struct system_context *cx = arg;
    struct buf b = {0};
    (void)n;
    if (args[0].kind != DB_INTEGER) return db_answer(call, DB_NOTHING);
    const struct catalog_relation *r = catalog_relation_of(cx->catalog, (uint32_t)args[0].i);
    const struct catalog_sequence *q = r ? NULL : catalog_sequence_of(cx->catalog, (uint32_t)args[0].i);
    const struct catalog_schema *s = r || q ? catalog_schema_of(cx->catalog, r ? r->schema : q->schema) : NULL;
    if (s && !str_eqc(s->name, "public")) put_name(&b, s->name), buf_putc(&b, '.');
    if (r || q) put_name(&b, r ? r->name : q->name);
    else buf_printf(&b, "%lld", (long long)args[0].i);
    db_answer(call, DB_TEXT(buf_str(&b)));
    buf_free(&b);
}

/* ---- rights ---- */

enum object { OF_TABLE, OF_COLUMN, OF_FUNCTION, OF_SCHEMA };

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
        for (uint32_t i = 0; what->kind == DB_INTEGER && i < c->functions.n; i++)
            if (c->functions.p[i].id == what->i) return catalog_may_function(c, role, &c->functions.p[i]);
        return *there = false;
    }
    uint32_t id = what->kind == DB_TEXTUAL ? regclass(c, what->s) : (uint32_t)what->i;
    const struct catalog_relation *r = catalog_relation_of(c, id);
    const struct catalog_column *k = r && of == OF_COLUMN ? catalog_column_named(r, column) : NULL;
    if (!(*there = r && (of != OF_COLUMN || k))) return false;
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
                                       [OF_SCHEMA] = CATALOG_ALL_SCHEMA};
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
        if (!(bit & allowed[of])) return raise(cx, call, "22023", "unrecognized privilege type: \"%.*s\"", one);
        any |= may(cx, of, role->id, &args[2], bit, column, &there);
    }
    if (there) return db_answer(call, DB_I64(any));
    const struct catalog_relation *r =
        args[2].kind == DB_TEXTUAL && of == OF_COLUMN ? catalog_relation_of(cx->catalog, regclass(cx->catalog, args[2].s)) : NULL;
    if (r && args[3].kind == DB_TEXTUAL) {
        arena *mem = arena_new(0);
        str what = arena_fmt(mem, STR_FMT "\" of relation \"" STR_FMT, STR_ARG(args[3].s), STR_ARG(r->name));
        raise(cx, call, "42703", "column \"%.*s\" does not exist", what);
        arena_free(mem);
        return;
    }
    if (args[2].kind != DB_TEXTUAL) return db_answer(call, DB_NOTHING);
    raise(cx, call, of == OF_SCHEMA ? "3F000" : "42P01",
          of == OF_SCHEMA ? "schema \"%.*s\" does not exist" : "relation \"%.*s\" does not exist", args[2].s);
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
        {"pg_to_regclass", 1, DB_FN_INNOCUOUS, fn_to_regclass, cx},
        {"pg_regclass_text", 1, DB_FN_INNOCUOUS, fn_regclass_text, cx},
        {"pg_may", 5, DB_FN_INNOCUOUS, fn_may, cx},
    };
    static_assert(sizeof functions == sizeof cx->functions);
    memcpy(cx->functions, functions, sizeof functions);
    TRY(db_add_functions(db, cx->functions, ARRAY_COUNT(cx->functions), d));
    return db_add_table_functions(db, t, 1, d);
}
