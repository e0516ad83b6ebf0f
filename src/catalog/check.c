/* check: does a catalogue that was read hold together? So that nobody else has to ask whether an id leads somewhere. */
#include "catalog/catalog_int.h"

struct check {
    const struct catalog *c;
    struct map ids;
    arena *scratch;
    struct diag *d;
};

static err bad(const struct check *k, str where, const char *what) {
    return diag_set(k->d, ERR_INVALID, DIAG_NOWHERE, "the catalogue is damaged: \"" STR_FMT "\" %s", (int)MIN(where.n, 64u),
                    (const char *)where.p, what);
}

enum ids_of { ROLE = 1, SCHEMA, TYPE, RELATION, SEQUENCE, FUNCTION };

static err claim(struct check *k, uint32_t id, enum ids_of kind, str name) {
    uint32_t *key = arena_make(k->scratch, uint32_t);
    *key = id;
    if (id < CATALOG_FIRST_ID || id >= k->c->next_id) return bad(k, name, "has an id out of range");
    if (!map_put(k->scratch, &k->ids, (str){(uint8_t *)key, sizeof *key}, kind))
        return bad(k, name, "has an id that is another's");
    return ERR_OK;
}

static bool is(const struct check *k, uint32_t id, enum ids_of kind) {
    uint64_t found;
    return map_get(&k->ids, (str){(uint8_t *)&id, sizeof id}, &found) && found == kind;
}

static bool are(const struct check *k, const catalog_ids *ids, enum ids_of kind, bool zero) {
    for (uint32_t i = 0; i < ids->n; i++)
        if (!(zero && !ids->p[i]) && !is(k, ids->p[i], kind)) return false;
    return true;
}

static bool type_ok(const struct check *k, uint32_t type) { return type < CATALOG_FIRST_ID || is(k, type, TYPE); }

static bool grants_ok(const struct check *k, const catalog_grants *g) {
    for (uint32_t i = 0; i < g->n; i++)
        if (g->p[i].role != CATALOG_PUBLIC && !is(k, g->p[i].role, ROLE)) return false;
    return true;
}

static err claims(struct check *k) {
    const struct catalog *c = k->c;
    for (uint32_t i = 0; i < c->roles.n; i++) TRY(claim(k, c->roles.p[i].id, ROLE, c->roles.p[i].name));
    for (uint32_t i = 0; i < c->schemas.n; i++) TRY(claim(k, c->schemas.p[i].id, SCHEMA, c->schemas.p[i].name));
    for (uint32_t i = 0; i < c->types.n; i++) {
        const struct catalog_type *t = &c->types.p[i];
        TRY(claim(k, t->id, TYPE, t->name));
        if (t->array) TRY(claim(k, t->array, TYPE, t->name));
    }
    for (uint32_t i = 0; i < c->relations.n; i++) { TRY(claim(k, c->relations.p[i].id, RELATION, c->relations.p[i].name)); }
    for (uint32_t i = 0; i < c->sequences.n; i++) TRY(claim(k, c->sequences.p[i].id, SEQUENCE, c->sequences.p[i].name));
    for (uint32_t i = 0; i < c->functions.n; i++) TRY(claim(k, c->functions.p[i].id, FUNCTION, c->functions.p[i].name));
    return ERR_OK;
}

static bool columns_are(const struct catalog_relation *r, const catalog_ids *numbers) {
    for (uint32_t i = 0; r && i < numbers->n; i++)
        if (!catalog_column_of(r, numbers->p[i])) return false;
    return r != NULL;
}

static err check_columns(const struct check *k, const struct catalog_relation *r) {
    uint8_t *seen = arena_array(k->scratch, uint8_t, r->last_number + 1u);
    for (uint32_t i = 0; i < r->columns.n; i++) {
        const struct catalog_column *c = &r->columns.p[i];
        if (!c->number || c->number > r->last_number || seen[c->number]++)
            return bad(k, c->name, "has a number out of range, or another's");
        if (!type_ok(k, c->type)) return bad(k, c->name, "is of a type that is not there");
        if (c->sequence && !is(k, c->sequence, SEQUENCE)) return bad(k, c->name, "has a sequence that is not there");
        if (!grants_ok(k, &c->grants)) return bad(k, c->name, "is granted to a role that is not there");
    }
    return ERR_OK;
}

static err check_constraints(const struct check *k, const struct catalog_relation *r) {
    for (uint32_t i = 0; i < r->constraints.n; i++) {
        const struct catalog_constraint *c = &r->constraints.p[i];
        if (c->kind > CATALOG_FOREIGN || c->on_delete > CATALOG_SET_DEFAULT || c->on_update > CATALOG_SET_DEFAULT)
            return bad(k, c->name, "is of no kind that is known");
        if (!columns_are(r, &c->columns) || !columns_are(r, &c->set_columns))
            return bad(k, c->name, "names a column that is not there");
        if (c->kind != CATALOG_FOREIGN) continue;
        const struct catalog_relation *to = is(k, c->reference, RELATION) ? catalog_relation_of(k->c, c->reference) : NULL;
        if (!columns_are(to, &c->reference_columns) || c->columns.n != c->reference_columns.n)
            return bad(k, c->name, "refers to what is not there");
    }
    return ERR_OK;
}

static err check_indexes(const struct check *k, const struct catalog_relation *r) {
    for (uint32_t i = 0; i < r->indexes.n; i++) {
        const struct catalog_index *x = &r->indexes.p[i];
        if (!columns_are(r, &x->include)) return bad(k, x->name, "names a column that is not there");
        for (uint32_t j = 0; j < x->keys.n; j++)
            if (x->keys.p[j].column && !catalog_column_of(r, x->keys.p[j].column))
                return bad(k, x->name, "names a column that is not there");
    }
    return ERR_OK;
}

static err check_relation(const struct check *k, const struct catalog_relation *r) {
    if (!is(k, r->schema, SCHEMA) || r->kind > CATALOG_MATVIEW || !is(k, r->owner, ROLE))
        return bad(k, r->name, "has no schema, owner or kind");
    if (r->row_type && (!is(k, r->row_type, TYPE) || !is(k, r->row_array, TYPE))) return bad(k, r->name, "has rows of no type");
    TRY(check_columns(k, r));
    TRY(check_constraints(k, r));
    TRY(check_indexes(k, r));
    for (uint32_t i = 0; i < r->policies.n; i++) {
        const struct catalog_policy *p = &r->policies.p[i];
        if (p->command > CATALOG_FOR_DELETE || !are(k, &p->roles, ROLE, true))
            return bad(k, p->name, "is for no command, or a role that is not there");
    }
    for (uint32_t i = 0; i < r->triggers.n; i++)
        if (!is(k, r->triggers.p[i].function, FUNCTION) || !catalog_routine_holds(&r->triggers.p[i].routine))
            return bad(k, r->triggers.p[i].name, "calls a function that is not there");
    if (r->base && !is(k, r->base, RELATION)) return bad(k, r->name, "is written through to what is not there");
    if (r->check_option > CATALOG_CHECK_CASCADED) return bad(k, r->name, "has a check option that is none");
    if (!are(k, &r->depends, RELATION, false)) return bad(k, r->name, "reads a relation that is not there");
    return grants_ok(k, &r->grants) ? ERR_OK : bad(k, r->name, "is granted to a role that is not there");
}

static err check_type(const struct check *k, const struct catalog_type *t) {
    bool ok = is(k, t->schema, SCHEMA) && t->kind <= CATALOG_ROW && type_ok(k, t->base) && grants_ok(k, &t->grants) &&
              (!t->relation || is(k, t->relation, RELATION));
    for (uint32_t i = 0; i < t->fields.n; i++) ok = ok && type_ok(k, t->fields.p[i].type);
    return ok ? ERR_OK : bad(k, t->name, "is a type of what is not there");
}

static err check_function(const struct check *k, const struct catalog_function *f) {
    bool ok = is(k, f->schema, SCHEMA) && is(k, f->owner, ROLE) && type_ok(k, f->returns) && grants_ok(k, &f->grants) &&
              f->volatility <= CATALOG_IS_IMMUTABLE && catalog_routine_holds(&f->routine);
    for (uint32_t i = 0; i < f->arguments.n; i++)
        ok = ok && type_ok(k, f->arguments.p[i].type) && f->arguments.p[i].mode <= CATALOG_TABLE_COLUMN;
    for (uint32_t i = 0; i < f->columns.n; i++) ok = ok && type_ok(k, f->columns.p[i].type);
    return ok ? ERR_OK : bad(k, f->name, "is a function of what is not there");
}

static err check_rest(const struct check *k) {
    const struct catalog *c = k->c;
    for (uint32_t i = 0; i < c->roles.n; i++)
        if (!are(k, &c->roles.p[i].member_of, ROLE, false))
            return bad(k, c->roles.p[i].name, "is a member of a role that is not there");
    for (uint32_t i = 0; i < c->schemas.n; i++)
        if (!grants_ok(k, &c->schemas.p[i].grants)) return bad(k, c->schemas.p[i].name, "is granted to a role that is not there");
    for (uint32_t i = 0; i < c->sequences.n; i++) {
        const struct catalog_sequence *s = &c->sequences.p[i];
        if (!is(k, s->schema, SCHEMA) || (s->relation && !is(k, s->relation, RELATION)) || !s->increment ||
            !grants_ok(k, &s->grants))
            return bad(k, s->name, "is a sequence of what is not there");
    }
    for (uint32_t i = 0; i < c->default_grants.n; i++) {
        const struct catalog_default_grants *g = &c->default_grants.p[i];
        if (!is(k, g->owner, ROLE) || (g->schema && !is(k, g->schema, SCHEMA)) || g->object > CATALOG_ON_SCHEMAS ||
            !grants_ok(k, &g->grants))
            return bad(k, STR("default privileges"), "name what is not there");
    }
    for (uint32_t i = 0; i < c->publications.n; i++)
        if (!are(k, &c->publications.p[i].relations, RELATION, false))
            return bad(k, c->publications.p[i].name, "publishes what is not there");
    return ERR_OK;
}

static err check_all(struct check *k) {
    const struct catalog *c = k->c;
    if (c->engine > CATALOG_POSTGRES) return bad(k, STR("engine"), "is none that is known");
    TRY(claims(k));
    if (c->owner && !is(k, c->owner, ROLE)) return bad(k, STR("owner"), "is no role");
    for (uint32_t i = 0; i < c->relations.n; i++) TRY(check_relation(k, &c->relations.p[i]));
    for (uint32_t i = 0; i < c->types.n; i++) TRY(check_type(k, &c->types.p[i]));
    for (uint32_t i = 0; i < c->functions.n; i++) TRY(check_function(k, &c->functions.p[i]));
    return check_rest(k);
}

err catalog_check(const struct catalog *c, struct diag *d) {
    struct check k = {.c = c, .scratch = arena_new(0), .d = d};
    err e = check_all(&k);
    arena_free(k.scratch);
    return e;
}
