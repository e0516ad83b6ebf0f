/* supabase: a Supabase project's config.toml. Its functions are Deno's, which do not run here yet; one whose entrypoint is a WebAssembly file
 * does, where Supabase's clients expect it. What the other sections say is of services that are not here: a remark each. */
#include "manifest/manifest_int.h"

struct project {
    struct manifest *to;
    bool no_migrations, no_seed;
    VEC(str) secrets; /* of all functions */
};
struct edge {
    struct project *p;
    struct app_function f;
    bool is_enabled;
};

/* A section: a reader like any, that tells of it. */
static void tell(struct reader *r, const struct toml *v, const char *why);
#define SHAPE(name, ...)
#define KEY(...) MANIFEST_READER(__VA_ARGS__)
#define SECTION(name, why)                                                                                                       \
    static void project_##name(struct reader *r, void *to, const struct toml *v) { tell(r, v, why); }
#define END
#include "manifest/supabase.def"
#undef SHAPE
#undef KEY
#undef END

#define SHAPE(name, ...) static const struct manifest_key name##_keys[] = {
#define KEY(...) MANIFEST_ROW(__VA_ARGS__)
#define SECTION(name, why) {#name, MANIFEST_ANY, project_##name, "none", "Not honoured: " why, ""},
#define END                                                                                                                      \
    { 0 }                                                                                                                        \
    }                                                                                                                            \
    ;
#include "manifest/supabase.def"
#undef SHAPE
#undef KEY
#undef END

static const struct manifest_shape shapes[] = {
#define SHAPE(name, settings, setting, help) {#name, help, name##_keys, ARRAY_COUNT(name##_keys) - 1, settings, setting},
#define KEY(...)
#define END
#include "manifest/supabase.def"
#undef SHAPE
#undef KEY
#undef END
};
const struct manifest_shapes manifest_supabase_shapes = {"supabase/config.toml", shapes, ARRAY_COUNT(shapes)};

enum {
#define SHAPE(name, ...) SHAPE_##name,
#define KEY(...)
#define END
#include "manifest/supabase.def"
#undef SHAPE
#undef KEY
#undef END
};

static void read_shape(struct reader *r, const struct toml *v, int shape, void *to) { manifest_table(r, v, &shapes[shape], to); }

static uint32_t keys_in(const struct toml *v, int depth) {
    uint32_t n = 0;
    for (uint32_t i = 0; v->type == TOML_TABLE && i < v->n; i++)
        n += v->items[i].type == TOML_TABLE && depth < 16 ? keys_in(&v->items[i], depth + 1) : 1;
    return n;
}

static void tell(struct reader *r, const struct toml *v, const char *why) {
    uint32_t n = keys_in(v, 0);
    manifest_remark(r, v, "not honoured (%u key%s): %s", n, n == 1 ? "" : "s", why);
}

/* ---- the project ---- */

static void project_project_id(struct reader *r, void *to, const struct toml *v) {
    struct app_record *record = &((struct project *)to)->to->record;
    str name = manifest_host_label(r->mem, v->s);
    if (!name.n) manifest_error(r, v, "a project's id has letters and digits");
    else if (!record->name.n && !str_eq(name, v->s))
        manifest_remark(r, v, "the app is called " STR_FMT " here, for that is part of its host", STR_ARG(name));
    if (!record->name.n) record->name = name;
}
static void project_remotes(struct reader *r, void *to, const struct toml *v) {}

static void project_edge_runtime(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_runtime, to); }
static void runtime_enabled(struct reader *r, void *to, const struct toml *v) {}
static void runtime_policy(struct reader *r, void *to, const struct toml *v) {}
static void runtime_inspector_port(struct reader *r, void *to, const struct toml *v) {}
static void runtime_deno_version(struct reader *r, void *to, const struct toml *v) {}
static void one_secret(struct reader *r, void *to, const struct toml *v) {
    if (manifest_name_ok(v->key, APP_NAME_MAX)) vec_push(r->mem, &((struct project *)to)->secrets, v->key);
    else manifest_error(r, v, "a secret's name has letters, digits and _");
}
static void runtime_secrets(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_NAMES_MAX, one_secret, to);
    if (v->n) manifest_remark(r, v, "their values are not taken from here: orlo secrets set APP KEY");
}

/* ---- the database ---- */

static void project_db(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_db, to); }
static void project_api(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_api, to); }
static void api_enabled(struct reader *r, void *to, const struct toml *v) { r->to->record.rest.off = !v->i; }
static void api_schemas(struct reader *r, void *to, const struct toml *v) { manifest_rest_schemas(r, v); }
static void api_extra_search_path(struct reader *r, void *to, const struct toml *v) { manifest_rest_search(r, v); }
static void api_max_rows(struct reader *r, void *to, const struct toml *v) {
    struct diag d = DIAG_INIT;
    if (v->i < 0 || app_setting_check(APP_SETTING_rest_rows_max, "max_rows", (uint64_t)v->i, &d) != ERR_OK)
        manifest_error(r, v, "it takes a number of rows, from 1 on");
    else r->to->record.limits.rest_rows_max = (uint64_t)v->i;
}
static void api_port(struct reader *r, void *to, const struct toml *v) {}
static void api_external_url(struct reader *r, void *to, const struct toml *v) {}
static void api_tls(struct reader *r, void *to, const struct toml *v) {}
static void api_auto_expose_new_tables(struct reader *r, void *to, const struct toml *v) {}
static void project_orlo(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_node, to); }
static void node_database(struct reader *r, void *to, const struct toml *v) { manifest_database_word(r, v); }
static void db_migrations(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_migrations, to); }
static void db_seed(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_seed, to); }
static void db_major_version(struct reader *r, void *to, const struct toml *v) {}
static void db_port(struct reader *r, void *to, const struct toml *v) {}
static void db_shadow_port(struct reader *r, void *to, const struct toml *v) {}
static void db_health_timeout(struct reader *r, void *to, const struct toml *v) {}
static void db_root_key(struct reader *r, void *to, const struct toml *v) {}
static void db_pooler(struct reader *r, void *to, const struct toml *v) {}
static void db_settings(struct reader *r, void *to, const struct toml *v) { tell(r, v, "they are of PostgreSQL's server"); }
static void db_vault(struct reader *r, void *to, const struct toml *v) {
    tell(r, v, "secrets are set by orlo secrets set APP KEY");
}
static void db_network_restrictions(struct reader *r, void *to, const struct toml *v) {}
static void db_ssl_enforcement(struct reader *r, void *to, const struct toml *v) {}
static void migrations_enabled(struct reader *r, void *to, const struct toml *v) {
    ((struct project *)to)->no_migrations = !v->i;
}
static void migrations_schema_paths(struct reader *r, void *to, const struct toml *v) {
    if (v->type == TOML_ARRAY && v->n)
        manifest_remark(r, v, "not honoured: what makes the database are its migrations (supabase db diff writes them)");
}
static void seed_enabled(struct reader *r, void *to, const struct toml *v) { ((struct project *)to)->no_seed = !v->i; }
static void seed_sql_paths(struct reader *r, void *to, const struct toml *v) { manifest_database_seed(r, v, "supabase/"); }

/* A project has one, whatever its file says. */
static void settle_database(struct reader *r, const struct project *p, const struct toml *root) {
    struct manifest_database *db = &r->to->database;
    if (!r->to->record.database.engine) r->to->record.database.engine = APP_DATABASE_SQLITE;
    if (p->no_seed) db->seeds.n = 0, db->seeds_said = true;
    manifest_database_places(r, root, "supabase/");
    if (p->no_migrations) db->migrations = (str){0};
}

/* ---- functions ---- */

static void add_secret(struct reader *r, struct app_grants *g, str env, str key) {
    vec_push(r->mem, &g->secrets, ((struct app_secret_env){env, key}));
    manifest_need_secret(r, key);
}

static void edge_enabled(struct reader *r, void *to, const struct toml *v) { ((struct edge *)to)->is_enabled = v->i; }
static void edge_verify_jwt(struct reader *r, void *to, const struct toml *v) { ((struct edge *)to)->f.verify_jwt = v->i; }
static void edge_import_map(struct reader *r, void *to, const struct toml *v) {}
static void edge_static_files(struct reader *r, void *to, const struct toml *v) {}
/* From the folder supabase, in which this file is; its parent is the app's. */
static void edge_entrypoint(struct reader *r, void *to, const struct toml *v) {
    struct toml below = *v;
    str path = v->s;
    while (str_starts(path, STR("./"))) path = str_sub(path, 2, path.n);
    below.s = str_starts(path, STR("../")) ? str_sub(path, 3, path.n) : arena_fmt(r->mem, "supabase/" STR_FMT, STR_ARG(path));
    ((struct edge *)to)->f.source = manifest_bundle_path(r, &below);
}
static void one_env(struct reader *r, void *to, const struct toml *v) {
    struct app_grants *g = &((struct edge *)to)->f.grants;
    str secret = str_starts(v->s, STR("env(")) && str_ends(v->s, STR(")")) ? str_sub(v->s, 4, v->s.n - 5) : (str){0};
    if (!manifest_name_ok(v->key, APP_NAME_MAX) || (secret.p && !manifest_name_ok(secret, APP_NAME_MAX)))
        manifest_error(r, v, "a variable's name has letters, digits and _");
    else if (secret.p) add_secret(r, g, v->key, secret);
    else vec_push(r->mem, &g->env, ((struct app_env){v->key, v->s}));
}
static void edge_env(struct reader *r, void *to, const struct toml *v) { manifest_each(r, v, APP_NAMES_MAX, one_env, to); }

static void one_edge(struct reader *r, void *to, const struct toml *v) {
    struct project *p = to;
    struct app_record *record = &p->to->record;
    struct edge e = {.p = p, .is_enabled = true, .f = {.name = v->key, .supabase = true, .verify_jwt = true}};
    if (!manifest_is(r, v, MANIFEST_TABLE)) return;
    if (!manifest_name_ok(v->key, APP_NAME_MAX))
        manifest_error(r, v, "a function's name has up to %d letters, digits, - and _", APP_NAME_MAX);
    manifest_place(r, v);
    read_shape(r, v, SHAPE_edge, &e);
    if (!e.is_enabled) return;
    if (!str_ends(e.f.source, STR(".wasm"))) {
        manifest_remark(
            r, v,
            "it is a function of Deno's (" STR_FMT
            "), which does not run here yet: write it for a component (orlo new typescript-hono), "
            "and name that with entrypoint = \"functions/" STR_FMT "/app.wasm\"",
            STR_ARG(e.f.source.n ? e.f.source : arena_fmt(r->mem, "supabase/functions/" STR_FMT "/index.ts", STR_ARG(v->key))),
            STR_ARG(v->key));
        return;
    }
    manifest_add_supabase_route(r, &e.f, record->functions.n);
    vec_push(r->mem, &record->functions, e.f);
}
static void project_functions(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_FUNCTIONS_MAX, one_edge, to);
}

void manifest_read_supabase(struct reader *r, const struct toml *root) {
    struct project p = {.to = r->to};
    struct app_record *record = &r->to->record;
    read_shape(r, root, SHAPE_project, &p);
    for (uint32_t i = 0; i < record->functions.n; i++)
        for (uint32_t k = 0; k < p.secrets.n; k++) add_secret(r, &record->functions.p[i].grants, p.secrets.p[k], p.secrets.p[k]);
    settle_database(r, &p, root);
    manifest_check_routes(r, root);
    manifest_finish(r, root);
}
