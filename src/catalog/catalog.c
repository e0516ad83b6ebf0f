/* catalog: finding things in one, and who may do what with them.
 *
 * 1. Before catalog_ready, or where a name is longer than PostgreSQL's 63 bytes, a lookup goes through the list; the answer is the same.
 * 2. A key of the maps is a letter for the kind, the schema's id, and the name; or the letter and the id.
 */
#include "catalog/catalog_int.h"

struct catalog_index_of_names {
    struct map named, by_id; /* → index in its list */
    uint32_t *again;         /* of a function: the next one of its schema and name; 0: none */
};
enum { NAME_BYTES_MAX = 63 };
typedef struct key {
    uint8_t bytes[5 + NAME_BYTES_MAX];
    uint8_t n;
} key;

static key key_of(char kind, uint32_t id, str name) {
    key k = {.n = (uint8_t)(5 + name.n)};
    k.bytes[0] = (uint8_t)kind;
    memcpy(k.bytes + 1, &id, sizeof id);
    if (name.n) memcpy(k.bytes + 5, name.p, name.n);
    return k;
}

struct catalog *catalog_new(arena *mem, enum catalog_engine engine) {
    struct catalog *c = arena_make(mem, struct catalog);
    *c = (struct catalog){.mem = mem, .next_id = CATALOG_FIRST_ID, .engine = (uint8_t)engine};
    return c;
}

static void put(struct catalog *c, struct map *m, char kind, uint32_t id, str name, uint32_t index) {
    if (name.n > NAME_BYTES_MAX) return;
    key k = key_of(kind, id, name);
    uint64_t there;
    if (!map_get(m, (str){k.bytes, k.n}, &there)) map_put(c->mem, m, arena_str(c->mem, (str){k.bytes, k.n}), index);
}

/* Functions of one name, from the first to the last. */
static void chain_functions(struct catalog *c, struct catalog_index_of_names *x) {
    struct map last = {0};
    x->again = arena_array(c->mem, uint32_t, (size_t)c->functions.n + 1);
    for (uint32_t i = 0; i < c->functions.n; i++) {
        const struct catalog_function *f = &c->functions.p[i];
        uint64_t before;
        if (f->name.n > NAME_BYTES_MAX) continue;
        key k = key_of('f', f->schema, f->name);
        if (map_get(&last, (str){k.bytes, k.n}, &before)) x->again[before] = i;
        map_put(c->mem, &last, arena_str(c->mem, (str){k.bytes, k.n}), i);
    }
}

void catalog_ready(struct catalog *c) {
    struct catalog_index_of_names *x = arena_make(c->mem, struct catalog_index_of_names);
#define ALL(kind, list, schema_member)                                                                                           \
    for (uint32_t i = 0; i < c->list.n; i++) {                                                                                   \
        put(c, &x->named, kind, c->list.p[i].schema_member, c->list.p[i].name, i);                                               \
        put(c, &x->by_id, kind, c->list.p[i].id, (str){0}, i);                                                                   \
    }
    ALL('r', relations, schema)
    ALL('t', types, schema)
    ALL('q', sequences, schema)
    ALL('f', functions, schema)
#undef ALL
    chain_functions(c, x);
    c->names = x;
}

/* In which place of a list of n is what has the name, or the id? next: from there on. n: nowhere */
#define FIND(c, kind, list, of_schema, of_name)                                                                                  \
    ({                                                                                                                           \
        uint32_t at_ = (c)->list.n;                                                                                              \
        uint64_t there_;                                                                                                         \
        if ((c)->names && (of_name).n <= NAME_BYTES_MAX) {                                                                       \
            key k_ = key_of(kind, (of_schema), (of_name));                                                                       \
            if (map_get(&(c)->names->named, (str){k_.bytes, k_.n}, &there_)) at_ = (uint32_t)there_;                             \
        } else                                                                                                                   \
            for (at_ = 0; at_ < (c)->list.n; at_++)                                                                              \
                if ((c)->list.p[at_].schema == (of_schema) && str_eq((c)->list.p[at_].name, (of_name))) break;                   \
        at_ < (c)->list.n ? &(c)->list.p[at_] : NULL;                                                                            \
    })
#define FIND_ID(c, kind, list, of_id)                                                                                            \
    ({                                                                                                                           \
        uint32_t at_ = (c)->list.n;                                                                                              \
        uint64_t there_;                                                                                                         \
        if ((c)->names) {                                                                                                        \
            key k_ = key_of(kind, (of_id), (str){0});                                                                            \
            if (map_get(&(c)->names->by_id, (str){k_.bytes, k_.n}, &there_)) at_ = (uint32_t)there_;                             \
        } else {                                                                                                                 \
            uint32_t low_ = 0, high_ = (c)->list.n; /* made one after the other, so in the order of their ids, mostly */         \
            while (low_ < high_) {                                                                                               \
                uint32_t mid_ = low_ + (high_ - low_) / 2;                                                                       \
                if ((c)->list.p[mid_].id < (of_id)) low_ = mid_ + 1;                                                             \
                else high_ = mid_;                                                                                               \
            }                                                                                                                    \
            at_ = low_;                                                                                                          \
            if (at_ == (c)->list.n || (c)->list.p[at_].id != (of_id))                                                            \
                for (at_ = 0; at_ < (c)->list.n; at_++)                                                                          \
                    if ((c)->list.p[at_].id == (of_id)) break;                                                                   \
        }                                                                                                                        \
        at_ < (c)->list.n ? &(c)->list.p[at_] : NULL;                                                                            \
    })

const struct catalog_schema *catalog_schema_named(const struct catalog *c, str name) {
    for (uint32_t i = 0; i < c->schemas.n; i++)
        if (str_eq(c->schemas.p[i].name, name)) return &c->schemas.p[i];
    return NULL;
}

const struct catalog_schema *catalog_schema_of(const struct catalog *c, uint32_t id) {
    for (uint32_t i = 0; i < c->schemas.n; i++)
        if (c->schemas.p[i].id == id) return &c->schemas.p[i];
    return NULL;
}

const struct catalog_role *catalog_role_named(const struct catalog *c, str name) {
    for (uint32_t i = 0; i < c->roles.n; i++)
        if (str_eq(c->roles.p[i].name, name)) return &c->roles.p[i];
    return NULL;
}

const struct catalog_role *catalog_role_of(const struct catalog *c, uint32_t id) {
    for (uint32_t i = 0; i < c->roles.n; i++)
        if (c->roles.p[i].id == id) return &c->roles.p[i];
    return NULL;
}

const struct catalog_relation *catalog_relation_named(const struct catalog *c, str schema, str name) {
    const struct catalog_schema *s = catalog_schema_named(c, schema);
    return s ? FIND(c, 'r', relations, s->id, name) : NULL;
}

const struct catalog_relation *catalog_relation_of(const struct catalog *c, uint32_t id) {
    return FIND_ID(c, 'r', relations, id);
}

const struct catalog_type *catalog_type_named(const struct catalog *c, str schema, str name) {
    const struct catalog_schema *s = catalog_schema_named(c, schema);
    return s ? FIND(c, 't', types, s->id, name) : NULL;
}

const struct catalog_type *catalog_type_of(const struct catalog *c, uint32_t id) {
    const struct catalog_type *t = id < CATALOG_FIRST_ID ? NULL : FIND_ID(c, 't', types, id);
    for (uint32_t i = 0; !t && id >= CATALOG_FIRST_ID && i < c->types.n; i++)
        if (c->types.p[i].array == id) return &c->types.p[i];
    return t;
}

const struct catalog_sequence *catalog_sequence_named(const struct catalog *c, str schema, str name) {
    const struct catalog_schema *s = catalog_schema_named(c, schema);
    return s ? FIND(c, 'q', sequences, s->id, name) : NULL;
}

const struct catalog_sequence *catalog_sequence_of(const struct catalog *c, uint32_t id) {
    return FIND_ID(c, 'q', sequences, id);
}

const struct catalog_function *catalog_function_next(const struct catalog *c, str schema, str name,
                                                     const struct catalog_function *after) {
    const struct catalog_schema *s = catalog_schema_named(c, schema);
    if (!s) return NULL;
    if (!after) return FIND(c, 'f', functions, s->id, name);
    if (c->names && name.n <= NAME_BYTES_MAX && after->schema == s->id && str_eq(after->name, name)) {
        uint32_t next = c->names->again[after - c->functions.p];
        return next ? &c->functions.p[next] : NULL;
    }
    for (const struct catalog_function *f = after + 1; f < c->functions.p + c->functions.n; f++)
        if (f->schema == s->id && str_eq(f->name, name)) return f;
    return NULL;
}

const struct catalog_column *catalog_column_named(const struct catalog_relation *r, str name) {
    for (uint32_t i = 0; i < r->columns.n; i++)
        if (str_eq(r->columns.p[i].name, name)) return &r->columns.p[i];
    return NULL;
}

const struct catalog_column *catalog_column_of(const struct catalog_relation *r, uint32_t number) {
    for (uint32_t i = 0; i < r->columns.n; i++)
        if (r->columns.p[i].number == number) return &r->columns.p[i];
    return NULL;
}

const struct catalog_expr *catalog_default_of(const struct catalog *c, const struct catalog_column *column) {
    const struct catalog_expr *d = &column->default_value;
    uint32_t type = column->type;
    for (uint32_t depth = 0; !d->source.n && !column->sequence && !column->generated && depth < 32; depth++) {
        const struct catalog_type *t = type >= CATALOG_FIRST_ID ? catalog_type_of(c, type) : NULL;
        if (!t || t->kind != CATALOG_DOMAIN || t->id != type) break; /* catalog_type_of gives an array's type, too */
        d = &t->default_value, type = t->base;
    }
    return d;
}

const struct catalog_constraint *catalog_constraint_named(const struct catalog_relation *r, str name) {
    for (uint32_t i = 0; i < r->constraints.n; i++)
        if (str_eq(r->constraints.p[i].name, name)) return &r->constraints.p[i];
    return NULL;
}

const struct catalog_constraint *catalog_primary_key(const struct catalog_relation *r) {
    for (uint32_t i = 0; i < r->constraints.n; i++)
        if (r->constraints.p[i].kind == CATALOG_PRIMARY) return &r->constraints.p[i];
    return NULL;
}

const struct catalog_label *catalog_label_named(const struct catalog_type *t, str name) {
    for (uint32_t i = 0; i < t->labels.n; i++)
        if (str_eq(t->labels.p[i].name, name)) return &t->labels.p[i];
    return NULL;
}

const struct catalog_label *catalog_label_stored(const struct catalog_type *t, int64_t sort) {
    for (uint32_t i = 0; i < t->labels.n; i++)
        if (t->labels.p[i].sort == sort) return &t->labels.p[i];
    return NULL;
}

bool catalog_ids_have(const catalog_ids *ids, uint32_t id) {
    for (uint32_t i = 0; i < ids->n; i++)
        if (ids->p[i] == id) return true;
    return false;
}

/* ---- rights ---- */

static bool role_is(const struct catalog *c, uint32_t role, uint32_t of, uint32_t depth) {
    if (role == of) return true;
    const struct catalog_role *r = depth < 32 ? catalog_role_of(c, role) : NULL; /* memberships may go round */
    if (!r || r->superuser) return r;
    for (uint32_t i = 0; !r->no_inherit && i < r->member_of.n; i++)
        if (role_is(c, r->member_of.p[i], of, depth + 1)) return true;
    return false;
}

bool catalog_role_is(const struct catalog *c, uint32_t role, uint32_t of) {
    return of == CATALOG_PUBLIC || role_is(c, role, of, 0);
}

/* Which of the privileges wanted the role has: its own, by its memberships, as everybody. */
static uint32_t privileges_of(const struct catalog *c, uint32_t role, const catalog_grants *grants, uint32_t wanted) {
    const struct catalog_role *r = catalog_role_of(c, role);
    if (r && r->superuser) return wanted;
    uint32_t has = 0;
    for (uint32_t i = 0; i < grants->n; i++)
        if ((grants->p[i].privileges & wanted & ~has) && catalog_role_is(c, role, grants->p[i].role))
            has |= grants->p[i].privileges;
    return has & wanted;
}

bool catalog_may_relation(const struct catalog *c, uint32_t role, const struct catalog_relation *r, uint32_t privilege) {
    return privileges_of(c, role, &r->grants, privilege) == privilege;
}

bool catalog_may_column(const struct catalog *c, uint32_t role, const struct catalog_relation *r, const struct catalog_column *k,
                        uint32_t privilege) {
    return catalog_may_relation(c, role, r, privilege) || privileges_of(c, role, &k->grants, privilege) == privilege;
}

bool catalog_may_function(const struct catalog *c, uint32_t role, const struct catalog_function *f) {
    return privileges_of(c, role, &f->grants, CATALOG_EXECUTE) == CATALOG_EXECUTE;
}

bool catalog_may_schema(const struct catalog *c, uint32_t role, uint32_t schema, uint32_t privilege) {
    const struct catalog_schema *s = catalog_schema_of(c, schema);
    return s && privileges_of(c, role, &s->grants, privilege) == privilege;
}

/* ---- policies ---- */

bool catalog_policies_hold(const struct catalog *c, uint32_t role, const struct catalog_relation *r) {
    const struct catalog_role *who = catalog_role_of(c, role);
    if (!r->rls || (who && (who->superuser || who->bypass_rls))) return false;
    return r->force_rls || !catalog_role_is(c, role, r->owner);
}

const struct catalog_policy *catalog_policy_next(const struct catalog *c, const struct catalog_relation *r, uint32_t role,
                                                 enum catalog_command command, bool permissive,
                                                 const struct catalog_policy *after) {
    const struct catalog_policy *p = after ? after + 1 : r->policies.p;
    for (; p < r->policies.p + r->policies.n; p++) {
        if (p->permissive != permissive || (p->command != CATALOG_FOR_ALL && p->command != command)) continue;
        for (uint32_t i = 0; i < p->roles.n; i++)
            if (catalog_role_is(c, role, p->roles.p[i])) return p;
    }
    return NULL;
}

/* ---- foreign keys ---- */

bool catalog_is_instead(const struct catalog_relation *view, uint32_t event) {
    const uint32_t bits = CATALOG_TRIGGER_INSTEAD | event;
    for (uint32_t i = 0; view->kind == CATALOG_VIEW && i < view->triggers.n; i++)
        if (!view->triggers.p[i].disabled && (view->triggers.p[i].when & bits) == bits) return true;
    return false;
}

bool catalog_edge_next(const struct catalog *c, uint32_t relation, struct catalog_edge *edge) {
    const struct catalog_relation *r = edge->from ? edge->from : c->relations.p;
    const struct catalog_constraint *k = edge->key ? edge->key + 1 : NULL;
    for (; r < c->relations.p + c->relations.n; r++, k = NULL) {
        for (k = k ? k : r->constraints.p; k < r->constraints.p + r->constraints.n; k++)
            if (k->kind == CATALOG_FOREIGN && (r->id == relation || k->reference == relation)) {
                *edge = (struct catalog_edge){r, k, catalog_relation_of(c, k->reference)};
                return true;
            }
    }
    return false;
}
