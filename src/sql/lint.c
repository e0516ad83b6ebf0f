/* lint: what a catalogue says that deserves a second look; a function for each row of lints.def that a catalogue can tell.
 *
 * 1. Only what a project made is looked at, and what it made on the platform's tables (policies of storage.objects).
 * 2. Text of expressions is PostgreSQL's, as its printer has it: so "auth.uid()" stands there in one way alone. */
#include "sql/ddl_int.h"
#include <stdio.h>

struct lint {
    arena *mem;
    const struct catalog *c;
    struct sql_report *report;
    const char *name, *level, *what, *instead;
};

static void found(struct lint *l, const struct catalog_relation *r, str in, const char *kind) {
    str schema = r ? catalog_schema_of(l->c, r->schema)->name : (str){0};
    struct sql_note n = {.severity = SQL_LINT, .code = str_c(l->name), .instead = str_c(l->instead)};
    if (r && in.n)
        n.text = arena_fmt(l->mem, "%s: " STR_FMT "." STR_FMT ", %s \"" STR_FMT "\": %s", l->level, STR_ARG(schema),
                           STR_ARG(r->name), kind, STR_ARG(in), l->what);
    else if (r)
        n.text = arena_fmt(l->mem, "%s: " STR_FMT "." STR_FMT ": %s", l->level, STR_ARG(schema), STR_ARG(r->name), l->what);
    else n.text = arena_fmt(l->mem, "%s: %s \"" STR_FMT "\": %s", l->level, kind, STR_ARG(in), l->what);
    text_tame((char *)(uintptr_t)n.text.p, n.text.n);
    sql_note_add(l->mem, l->report, n);
}

/* ---- questions ---- */

static bool is_public(const struct lint *l, uint32_t schema) { return str_eqc(catalog_schema_of(l->c, schema)->name, "public"); }

static bool may_select(const struct lint *l, const struct catalog_relation *r, const char *role) {
    const struct catalog_role *who = catalog_role_named(l->c, str_c(role));
    return who && catalog_may_relation(l->c, who->id, r, CATALOG_SELECT);
}

static bool exposed(const struct lint *l, const struct catalog_relation *r) {
    return is_public(l, r->schema) && (may_select(l, r, "anon") || may_select(l, r, "authenticated"));
}

static bool has(str text, const char *part) { return text.n && memmem(text.p, text.n, part, strlen(part)); }

static bool of_clients(const struct lint *l, const struct catalog_policy *p) {
    for (uint32_t i = 0; i < p->roles.n; i++) {
        const struct catalog_role *r = catalog_role_of(l->c, p->roles.p[i]);
        if (!p->roles.p[i] || (r && (str_eqc(r->name, "anon") || str_eqc(r->name, "authenticated")))) return true;
    }
    return false;
}

#define EACH_RELATION(l, r)                                                                                                      \
    for (const struct catalog_relation *r = (l)->c->relations.p, *end_ = r + (l)->c->relations.n; r < end_; r++)
#define EACH_OWN(l, r) EACH_RELATION(l, r) if (!r->platform)

/* ---- tables ---- */

static bool leads(const catalog_ids *columns, const uint32_t *keys, uint32_t n) {
    for (uint32_t i = 0; i < columns->n; i++) {
        bool in = false;
        for (uint32_t j = 0; j < columns->n && j < n; j++) in |= keys[j] == columns->p[i];
        if (!in) return false;
    }
    return columns->n <= n;
}

static bool is_indexed(const struct catalog_relation *r, const catalog_ids *columns) {
    for (uint32_t i = 0; i < r->constraints.n; i++)
        if (r->constraints.p[i].kind <= CATALOG_UNIQUE &&
            leads(columns, r->constraints.p[i].columns.p, r->constraints.p[i].columns.n))
            return true;
    for (uint32_t i = 0; i < r->indexes.n; i++) {
        uint32_t keys[32], n = 0;
        for (; n < r->indexes.p[i].keys.n && n < 32; n++) keys[n] = r->indexes.p[i].keys.p[n].column;
        if (!r->indexes.p[i].where.source.n && leads(columns, keys, n)) return true;
    }
    return false;
}

static void lint_foreign_keys(struct lint *l) {
    EACH_OWN(l, r) {
        for (uint32_t i = 0; i < r->constraints.n; i++)
            if (r->constraints.p[i].kind == CATALOG_FOREIGN && !is_indexed(r, &r->constraints.p[i].columns))
                found(l, r, r->constraints.p[i].name, "foreign key");
    }
}

static void lint_no_key(struct lint *l) {
    EACH_OWN(l, r) {
        if (r->kind == CATALOG_TABLE && !catalog_primary_key(r)) found(l, r, (str){0}, NULL);
    }
}

static bool same_keys(const struct catalog_index *a, const struct catalog_index *b) {
    bool same = a->keys.n == b->keys.n && a->unique == b->unique && str_eq(a->method, b->method) &&
                str_eq(a->where.source, b->where.source);
    for (uint32_t i = 0; same && i < a->keys.n; i++)
        same = a->keys.p[i].column == b->keys.p[i].column && str_eq(a->keys.p[i].expr.source, b->keys.p[i].expr.source) &&
               a->keys.p[i].descending == b->keys.p[i].descending && str_eq(a->keys.p[i].opclass, b->keys.p[i].opclass);
    return same;
}

static void lint_duplicates(struct lint *l) {
    EACH_OWN(l, r) {
        for (uint32_t i = 0; i < r->indexes.n; i++)
            for (uint32_t j = 0; j < i; j++)
                if (same_keys(&r->indexes.p[i], &r->indexes.p[j])) found(l, r, r->indexes.p[i].name, "index");
    }
}

static void lint_reg_types(struct lint *l) {
    EACH_OWN(l, r) {
        for (uint32_t i = 0; i < r->columns.n; i++) {
            const struct pg_type *t = pg_type_by_id(r->columns.p[i].type);
            if (t && !strncmp(t->name, "reg", 3)) found(l, r, r->columns.p[i].name, "column");
        }
    }
}

static void lint_auth_unique(struct lint *l) {
    const struct catalog_relation *users = catalog_relation_named(l->c, STR("auth"), STR("users"));
    EACH_OWN(l, r) {
        for (uint32_t i = 0; users && i < r->constraints.n; i++) {
            const struct catalog_constraint *k = &r->constraints.p[i];
            if (k->kind == CATALOG_FOREIGN && k->reference == users->id &&
                !(k->reference_columns.n == 1 && k->reference_columns.p[0] == catalog_primary_key(users)->columns.p[0]))
                found(l, r, k->name, "foreign key");
        }
    }
}

/* ---- row level security ---- */

static void lint_rls_off(struct lint *l) {
    EACH_OWN(l, r) {
        if (r->kind == CATALOG_TABLE && exposed(l, r) && !r->rls) found(l, r, (str){0}, NULL);
    }
}

static void lint_policies_off(struct lint *l) {
    EACH_OWN(l, r) {
        if (!r->rls && r->policies.n) found(l, r, (str){0}, NULL);
    }
}

static void lint_no_policy(struct lint *l) {
    EACH_OWN(l, r) {
        if (r->rls && !r->policies.n) found(l, r, (str){0}, NULL);
    }
}

static bool per_row(str text) {
    static const char *const calls[] = {"auth.uid()", "auth.jwt()", "auth.role()", "auth.email()", "current_setting("};
    for (size_t i = 0; i < ARRAY_COUNT(calls); i++) {
        char once[40];
        snprintf(once, sizeof once, "SELECT %s", calls[i]);
        if (has(text, calls[i]) && !has(text, once)) return true;
    }
    return false;
}

static void lint_init_plan(struct lint *l) {
    EACH_RELATION(l, r) {
        for (uint32_t i = 0; r->rls && i < r->policies.n; i++)
            if (per_row(r->policies.p[i].using_expr.source) || per_row(r->policies.p[i].check_expr.source))
                found(l, r, r->policies.p[i].name, "policy");
    }
}

static void lint_user_metadata(struct lint *l) {
    EACH_RELATION(l, r) {
        for (uint32_t i = 0; i < r->policies.n; i++)
            if (has(r->policies.p[i].using_expr.source, "user_metadata") ||
                has(r->policies.p[i].check_expr.source, "user_metadata"))
                found(l, r, r->policies.p[i].name, "policy");
    }
}

static bool always(str text) { return str_eq_nocase(text, STR("true")) || str_eqc(text, "1 = 1"); }

static bool writes_freely(const struct catalog_policy *p) {
    bool using_open = !p->using_expr.source.n || always(p->using_expr.source), checks = p->check_expr.source.n;
    bool open = always(p->check_expr.source);
    switch (p->command) {
    case CATALOG_FOR_SELECT: return false;
    case CATALOG_FOR_DELETE: return using_open;
    case CATALOG_FOR_INSERT: return !checks || open;
    default: return using_open || open;
    }
}

static void lint_always_true(struct lint *l) {
    EACH_RELATION(l, r) {
        for (uint32_t i = 0; r->rls && i < r->policies.n; i++)
            if (r->policies.p[i].permissive && of_clients(l, &r->policies.p[i]) && writes_freely(&r->policies.p[i]))
                found(l, r, r->policies.p[i].name, "policy");
    }
}

static uint32_t permissive_for(const struct lint *l, const struct catalog_relation *r, uint32_t role,
                               enum catalog_command command) {
    uint32_t n = 0;
    for (const struct catalog_policy *p = NULL; (p = catalog_policy_next(l->c, r, role, command, true, p));) n++;
    return n;
}

static void lint_several_policies(struct lint *l) {
    const struct catalog_role *who = catalog_role_named(l->c, STR("authenticated"));
    EACH_OWN(l, r) {
        bool several = false;
        for (int command = CATALOG_FOR_SELECT; who && r->rls && command <= CATALOG_FOR_DELETE; command++)
            several |= permissive_for(l, r, who->id, command) > 1;
        if (several) found(l, r, (str){0}, NULL);
    }
}

static void lint_listing(struct lint *l) {
    const struct catalog_relation *r = catalog_relation_named(l->c, STR("storage"), STR("objects"));
    for (uint32_t i = 0; r && i < r->policies.n; i++) {
        const struct catalog_policy *p = &r->policies.p[i];
        bool reads = p->command == CATALOG_FOR_SELECT || p->command == CATALOG_FOR_ALL;
        bool narrow =
            has(p->using_expr.source, "auth.") || has(p->using_expr.source, "foldername") || has(p->using_expr.source, "owner");
        if (reads && p->permissive && of_clients(l, p) && !narrow) found(l, r, p->name, "policy");
    }
}

static void lint_sensitive(struct lint *l) {
    static const char *const names[] = {"password",
                                        "passwd",
                                        "pwd",
                                        "passphrase",
                                        "secret",
                                        "secret_key",
                                        "private_key",
                                        "api_key",
                                        "apikey",
                                        "token",
                                        "access_token",
                                        "refresh_token",
                                        "session_token",
                                        "auth_code",
                                        "recovery_code",
                                        "backup_code",
                                        "otp",
                                        "ssn",
                                        "social_security_number",
                                        "passport_number",
                                        "national_id",
                                        "tax_id",
                                        "drivers_license",
                                        "credit_card",
                                        "card_number",
                                        "cvv",
                                        "bank_account",
                                        "account_number",
                                        "routing_number",
                                        "iban",
                                        "health_record",
                                        "medical_record",
                                        "ssh_key",
                                        "license_key",
                                        "mac_address",
                                        "imei"};
    EACH_OWN(l, r) {
        if (r->kind != CATALOG_TABLE || r->rls || !exposed(l, r)) continue;
        for (uint32_t i = 0; i < r->columns.n; i++)
            for (size_t j = 0; j < ARRAY_COUNT(names); j++)
                if (str_eq_nocase(r->columns.p[i].name, str_c(names[j]))) found(l, r, r->columns.p[i].name, "column");
    }
}

/* ---- views, functions, extensions ---- */

static void lint_users_exposed(struct lint *l) {
    const struct catalog_relation *users = catalog_relation_named(l->c, STR("auth"), STR("users"));
    EACH_OWN(l, r) {
        if (users && r->kind != CATALOG_TABLE && !r->security_invoker && exposed(l, r) &&
            catalog_ids_have(&r->depends, users->id))
            found(l, r, (str){0}, NULL);
    }
}

static void lint_definer_view(struct lint *l) {
    EACH_OWN(l, r) {
        if (r->kind == CATALOG_VIEW && !r->security_invoker && exposed(l, r)) found(l, r, (str){0}, NULL);
    }
}

static void lint_matview(struct lint *l) {
    EACH_OWN(l, r) {
        if (r->kind == CATALOG_MATVIEW && exposed(l, r)) found(l, r, (str){0}, NULL);
    }
}

static void lint_search_path(struct lint *l) {
    for (uint32_t i = 0; i < l->c->functions.n; i++) {
        const struct catalog_function *f = &l->c->functions.p[i];
        bool set = f->platform;
        for (uint32_t j = 0; j < f->settings.n; j++) set |= str_starts(f->settings.p[j], STR("search_path="));
        if (!set) found(l, NULL, f->name, "function");
    }
}

static void definer(struct lint *l, const char *role) {
    const struct catalog_role *who = catalog_role_named(l->c, str_c(role));
    for (uint32_t i = 0; who && i < l->c->functions.n; i++) {
        const struct catalog_function *f = &l->c->functions.p[i];
        if (!f->platform && f->definer && f->returns != PG_TRIGGER && is_public(l, f->schema) &&
            catalog_may_function(l->c, who->id, f))
            found(l, NULL, f->name, "function");
    }
}
static void lint_definer_anon(struct lint *l) { definer(l, "anon"); }
static void lint_definer_authenticated(struct lint *l) { definer(l, "authenticated"); }

static void lint_extension_public(struct lint *l) {
    for (uint32_t i = 0; i < l->c->extensions.n; i++) {
        const struct catalog_extension *x = &l->c->extensions.p[i];
        if (!str_eqc(x->name, "plpgsql") && (!x->schema || is_public(l, x->schema))) found(l, NULL, x->name, "extension");
    }
}

static void graphql(struct lint *l, const char *role) {
    bool there = false;
    for (uint32_t i = 0; i < l->c->extensions.n; i++) there |= str_eqc(l->c->extensions.p[i].name, "pg_graphql");
    EACH_OWN(l, r) {
        if (there && is_public(l, r->schema) && may_select(l, r, role)) found(l, r, (str){0}, NULL);
    }
}
static void lint_graphql_anon(struct lint *l) { graphql(l, "anon"); }
static void lint_graphql_authenticated(struct lint *l) { graphql(l, "authenticated"); }

static void lint_queues(struct lint *l) {
    EACH_RELATION(l, r) {
        bool queue = str_eqc(catalog_schema_of(l->c, r->schema)->name, "pgmq") && str_starts(r->name, STR("q_"));
        if (queue && !r->rls && (may_select(l, r, "anon") || may_select(l, r, "authenticated"))) found(l, r, (str){0}, NULL);
    }
}

/* ---- all ---- */

#define lint_NONE NULL
static const struct {
    const char *name, *level, *what, *instead;
    void (*fn)(struct lint *l);
} lints[] = {
#define LINT(name, level, check, what, instead) {#name, #level, what, instead, lint_##check},
#include "sql/lints.def"
#undef LINT
};

void sql_lint(arena *out, const struct catalog *c, struct sql_report *report) {
    for (size_t i = 0; i < ARRAY_COUNT(lints); i++) {
        struct lint l = {out, c, report, lints[i].name, lints[i].level, lints[i].what, lints[i].instead};
        if (lints[i].fn) lints[i].fn(&l);
    }
}
