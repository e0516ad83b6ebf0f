/* orlo: an app's manifest in its own words. One reader a row of manifest.def; then what only the whole can tell: which routes there are, and
 * whether those whom it names are there. */
#include "manifest/manifest_int.h"
#include <stdlib.h>

struct function { /* one that is being read */
    struct manifest *to;
    struct app_function f;
    VEC(struct app_route) routes;
    const struct toml *at;
    bool says_routes, says_verify;
};
struct app {
    struct manifest *to;
    struct app_grants env; /* of all functions */
    VEC(struct function) functions;
};

static uint64_t *limits_setting(void *to, enum app_setting_id id) { return app_limits_at(to, id); }

#define SHAPE(name, ...)
#define KEY(...) MANIFEST_READER(__VA_ARGS__)
#define END
#include "manifest/manifest.def"
#undef SHAPE
#undef KEY
#undef END

#define SHAPE(name, ...) static const struct manifest_key name##_keys[] = {
#define KEY(...) MANIFEST_ROW(__VA_ARGS__)
#define END                                                                                                                      \
    { 0 }                                                                                                                        \
    }                                                                                                                            \
    ;
#include "manifest/manifest.def"
#undef SHAPE
#undef KEY
#undef END

static const struct manifest_shape shapes[] = {
#define SHAPE(name, settings, setting, help) {#name, help, name##_keys, ARRAY_COUNT(name##_keys) - 1, settings, setting},
#define KEY(...)
#define END
#include "manifest/manifest.def"
#undef SHAPE
#undef KEY
#undef END
};
const struct manifest_shapes manifest_orlo_shapes = {"orlo.toml", shapes, ARRAY_COUNT(shapes)};

enum {
#define SHAPE(name, ...) SHAPE_##name,
#define KEY(...)
#define END
#include "manifest/manifest.def"
#undef SHAPE
#undef KEY
#undef END
};

static void read_shape(struct reader *r, const struct toml *v, int shape, void *to) { manifest_table(r, v, &shapes[shape], to); }

/* ---- small things ---- */

static struct app_grants *grants_of(void *function) { return &((struct function *)function)->f.grants; }

static void grant(struct reader *r, const struct toml *v, struct app_grants *g,
                  err (*fn)(arena *, struct app_grants *, str, struct diag *)) {
    struct diag d = DIAG_INIT;
    if (fn(r->mem, g, v->s, &d) != ERR_OK) manifest_error_of(r, v, &d);
}

static void one_env(struct reader *r, void *to, const struct toml *v) {
    struct diag d = DIAG_INIT;
    str pair = arena_fmt(r->mem, STR_FMT "=" STR_FMT, STR_ARG(v->key), STR_ARG(v->s));
    if (!v->key.n || memchr(v->key.p, '=', v->key.n)) manifest_error(r, v, "a variable's name is not empty and has no =");
    else if (app_grant_env(r->mem, to, pair, &d) != ERR_OK) manifest_error_of(r, v, &d);
}

static struct manifest_build *new_build(struct reader *r, str function) {
    struct manifest_build *b = vec_add(r->mem, &r->to->builds);
    b->function = function;
    b->dir = STR(".");
    return b;
}

static void read_build(struct reader *r, const struct toml *v, str function) {
    struct manifest_build *b = new_build(r, function);
    if (v->type == TOML_STRING) build_command(r, b, v);
    else read_shape(r, v, SHAPE_build, b);
    if (v->type == TOML_TABLE && !manifest_toml_get(v, "command")) manifest_error(r, v, "it lacks a command");
}
static void build_command(struct reader *r, void *to, const struct toml *v) {
    if (v->s.n) ((struct manifest_build *)to)->command = v->s;
    else manifest_error(r, v, "it lacks a command");
}
static void build_dir(struct reader *r, void *to, const struct toml *v) {
    ((struct manifest_build *)to)->dir = manifest_bundle_path(r, v);
}
static void one_glob(struct reader *r, void *to, const struct toml *v) {
    str glob = manifest_bundle_path(r, v);
    if (glob.n) vec_push(r->mem, &((struct manifest_build *)to)->watch, glob);
}
static void build_watch(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, MANIFEST_WATCH_MAX, one_glob, to);
}

/* "My App_2" → "my-app-2" */
str manifest_host_label(arena *out, str name) {
    char *to = arena_cstr(out, str_sub(name, 0, APP_NAME_MAX));
    size_t n = 0;
    for (const char *c = to; *c; c++) {
        bool ok = (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9'), upper = *c >= 'A' && *c <= 'Z';
        char as = ok ? *c : upper ? (char)(*c + 32) : '-';
        if (as != '-' || (n && to[n - 1] != '-')) to[n++] = as;
    }
    while (n && to[n - 1] == '-') n--;
    return (str){(uint8_t *)to, n};
}

bool manifest_name_ok(str name, size_t most) {
    bool ok = name.n && name.n <= most;
    for (size_t i = 0; ok && i < name.n; i++) {
        uint8_t c = name.p[i];
        ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
             (i && (c == '-' || c == '.'));
    }
    return ok;
}

static bool check_name(struct reader *r, const struct toml *v, str name) {
    if (manifest_name_ok(name, APP_NAME_MAX)) return true;
    manifest_error(r, v, "a name has up to %d letters, digits, _, - and ., not \"" STR_FMT "\"", APP_NAME_MAX,
                   STR_ARG(str_sub(name, 0, 100)));
    return false;
}

/* ---- functions ---- */

static void function_source(struct reader *r, void *to, const struct toml *v) {
    ((struct function *)to)->f.source = manifest_bundle_path(r, v);
}
static void function_build(struct reader *r, void *to, const struct toml *v) {
    read_build(r, v, ((struct function *)to)->f.name);
}

static bool parse_route(struct reader *r, const struct toml *v, str text, struct app_route *route) {
    struct diag d = DIAG_INIT;
    if (app_route_parse(r->mem, text, route, &d) == ERR_OK) return true;
    manifest_error_of(r, v, &d);
    return false;
}
static void route_path(struct reader *r, void *to, const struct toml *v) {
    struct app_route *route = to, parsed;
    if (!parse_route(r, v, v->s, &parsed)) return;
    route->path = parsed.path, route->exact = parsed.exact;
}
static void route_strip(struct reader *r, void *to, const struct toml *v) { ((struct app_route *)to)->strip = v->i; }
static void one_route(struct reader *r, void *to, const struct toml *v) {
    struct function *f = to;
    struct app_route route = {0};
    if (v->type == TOML_STRING) route_path(r, &route, v);
    else if (v->type != TOML_TABLE) manifest_error(r, v, "it takes a string, or a table with a path");
    else read_shape(r, v, SHAPE_route, &route);
    if (v->type == TOML_TABLE && !manifest_toml_get(v, "path")) manifest_error(r, v, "it lacks a path");
    if (route.path.n) vec_push(r->mem, &f->routes, route);
}
static void function_routes(struct reader *r, void *to, const struct toml *v) {
    ((struct function *)to)->says_routes = true;
    manifest_each(r, v, APP_ROUTES_MAX, one_route, to);
}

static void function_env(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_NAMES_MAX, one_env, grants_of(to));
}

static void add_secret(struct reader *r, str key) {
    for (uint32_t i = 0; i < r->to->record.secrets.n; i++)
        if (str_eq(r->to->record.secrets.p[i].key, key)) return;
    vec_push(r->mem, &r->to->record.secrets, ((struct app_secret){.key = key, .required = true}));
}
static void one_secret(struct reader *r, void *to, const struct toml *v) {
    str env = v->key.n ? v->key : v->s;
    if (!check_name(r, v, env) || !check_name(r, v, v->s)) return;
    vec_push(r->mem, &grants_of(to)->secrets, ((struct app_secret_env){env, v->s}));
    add_secret(r, v->s);
}
static void function_secrets(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_NAMES_MAX, one_secret, to);
}

static void one_http(struct reader *r, void *to, const struct toml *v) { grant(r, v, grants_of(to), app_grant_http); }
static void one_net(struct reader *r, void *to, const struct toml *v) { grant(r, v, grants_of(to), app_grant_net); }
static void one_dir(struct reader *r, void *to, const struct toml *v) { grant(r, v, grants_of(to), app_grant_dir); }
static void function_allow_http(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_NAMES_MAX, one_http, to);
}
static void function_allow_net(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_NAMES_MAX, one_net, to);
}
static void function_dirs(struct reader *r, void *to, const struct toml *v) { manifest_each(r, v, APP_DIRS_MAX, one_dir, to); }
static void function_forward(struct reader *r, void *to, const struct toml *v) { grant(r, v, grants_of(to), app_grant_forward); }

static void one_callee(struct reader *r, void *to, const struct toml *v) {
    if (str_eqc(v->s, "*") || check_name(r, v, v->s)) vec_push(r->mem, &grants_of(to)->functions, v->s);
}
static void function_functions(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_NAMES_MAX, one_callee, to);
}

static bool read_store(struct reader *r, const struct toml *v, struct app_store *s) {
    *s = (struct app_store){v->key.n ? v->key : v->s, v->s};
    return check_name(r, v, s->label) && check_name(r, v, s->store);
}
static void one_store(struct reader *r, void *to, const struct toml *v) {
    struct app_store s;
    if (read_store(r, v, &s)) vec_push(r->mem, &grants_of(to)->stores, s);
}
static void one_database(struct reader *r, void *to, const struct toml *v) {
    struct app_store s;
    if (read_store(r, v, &s)) vec_push(r->mem, &grants_of(to)->sqlite, s);
}
static void function_stores(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_NAMES_MAX, one_store, to);
}
static void function_sqlite(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_NAMES_MAX, one_database, to);
}

/* ---- the app's own database ---- */

static void one_role(struct reader *r, void *to, const struct toml *v) {
    bool plain = v->s.n && v->s.n <= 63;
    for (size_t i = 0; plain && i < v->s.n; i++) plain = v->s.p[i] > ' ' && v->s.p[i] < 0x7f && v->s.p[i] != '=';
    if (plain) vec_push(r->mem, &grants_of(to)->roles, v->s);
    else manifest_error(r, v, "it takes \"caller\", a role's name, or \"*\"");
}
static void function_database(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_NAMES_MAX, one_role, to);
}
static void function_rpc(struct reader *r, void *to, const struct toml *v) {
    struct app_function *f = &((struct function *)to)->f;
    f->rpc_reads = v->type == TOML_STRING && str_eqc(v->s, "read");
    f->rpc = f->rpc_reads || (v->type == TOML_BOOL && v->i);
    if (v->type == TOML_STRING && !f->rpc_reads) manifest_error(r, v, "it takes true, false or \"read\"");
}

/* As it stands in the database, whatever that is: not "ORDERS" for orders. */
static bool is_identifier(struct reader *r, const struct toml *v, str name) {
    bool ok = name.n && name.n <= APP_IDENTIFIER_MAX && str_is_utf8(name);
    for (size_t i = 0; ok && i < name.n; i++) ok = name.p[i] >= ' ' && name.p[i] != 0x7f;
    if (!ok) manifest_error(r, v, "a name in the database has 1 to %d bytes", APP_IDENTIFIER_MAX);
    return ok;
}
/* "orders", "shop.orders" */
static void read_table(struct reader *r, const struct toml *v, str *schema, str *table) {
    size_t dot = str_find(v->s, '.');
    *schema = dot < v->s.n ? str_sub(v->s, 0, dot) : STR("public");
    *table = dot < v->s.n ? str_sub(v->s, dot + 1, v->s.n) : v->s;
    if (is_identifier(r, v, *schema)) (void)is_identifier(r, v, *table);
}
static void trigger_table(struct reader *r, void *to, const struct toml *v) {
    struct app_trigger *t = to;
    read_table(r, v, &t->schema, &t->table);
}
static void one_change(struct reader *r, void *to, const struct toml *v) {
    static const char *const words[APP_CHANGES] = {
#define X(name, word) word,
        APP_CHANGES_LIST(X)
#undef X
    };
    struct app_trigger *t = to;
    uint32_t i = 0;
    while (i < APP_CHANGES && !str_eqc(v->s, words[i])) i++;
    if (i < APP_CHANGES) t->on |= 1u << i;
    else manifest_error(r, v, "it takes \"insert\", \"update\", \"delete\" and \"all\"");
}
static void trigger_on(struct reader *r, void *to, const struct toml *v) { manifest_each(r, v, APP_CHANGES, one_change, to); }
static void one_column(struct reader *r, void *to, const struct toml *v) {
    struct app_trigger *t = to;
    if (is_identifier(r, v, v->s)) vec_push(r->mem, &t->columns, v->s);
}
static void trigger_columns(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_TRIGGERS_MAX, one_column, to);
}
static void trigger_attempts(struct reader *r, void *to, const struct toml *v) {
    if (v->i < 1 || v->i > APP_ATTEMPTS_MAX) manifest_error(r, v, "it takes a number from 1 to %d", APP_ATTEMPTS_MAX);
    else ((struct app_trigger *)to)->attempts = (uint32_t)v->i;
}
static void one_trigger(struct reader *r, void *to, const struct toml *v) {
    struct function *f = to;
    struct app_trigger t = {.attempts = 8};
    if (!manifest_is(r, v, MANIFEST_TABLE)) return;
    read_shape(r, v, SHAPE_trigger, &t);
    if (!manifest_toml_get(v, "table")) manifest_error(r, v, "it lacks a table");
    if (!t.on) t.on = 1u << APP_CHANGE_INSERT | 1u << APP_CHANGE_UPDATE | 1u << APP_CHANGE_DELETE;
    vec_push(r->mem, &f->f.triggers, t);
}
static void function_triggers(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_TRIGGERS_MAX, one_trigger, to);
}

static void computed_table(struct reader *r, void *to, const struct toml *v) {
    struct app_computed *c = to;
    read_table(r, v, &c->schema, &c->table);
}
static void computed_name(struct reader *r, void *to, const struct toml *v) {
    if (is_identifier(r, v, v->s)) ((struct app_computed *)to)->name = v->s;
}
static void computed_type(struct reader *r, void *to, const struct toml *v) {
    if (is_identifier(r, v, v->s)) ((struct app_computed *)to)->type = v->s;
}
static void one_need(struct reader *r, void *to, const struct toml *v) {
    if (is_identifier(r, v, v->s)) vec_push(r->mem, &((struct app_computed *)to)->needs, v->s);
}
static void computed_needs(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_COMPUTED_MAX, one_need, to);
}
static void one_computed(struct reader *r, void *to, const struct toml *v) {
    struct function *f = to;
    struct app_computed c = {.type = STR("json")};
    if (!manifest_is(r, v, MANIFEST_TABLE)) return;
    read_shape(r, v, SHAPE_computed, &c);
    if (!c.table.n || !c.name.n || !c.needs.n) manifest_error(r, v, "it takes a table, a name, and what it needs");
    vec_push(r->mem, &f->f.computes, c);
}
static void function_columns(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_COMPUTED_MAX, one_computed, to);
}

static void variable_secret(struct reader *r, void *to, const struct toml *v) {
    struct app_variable *a = to;
    if (!check_name(r, v, v->s)) return;
    a->secret = true;
    a->value = arena_fmt(r->mem, "{{ " STR_FMT " }}", STR_ARG(v->s));
    add_secret(r, v->s);
}
static void one_variable(struct reader *r, void *to, const struct toml *v) {
    struct app_variable a = {.name = v->key};
    if (!check_name(r, v, v->key)) return;
    if (v->type == TOML_STRING) a.value = v->s;
    else if (v->type != TOML_TABLE) manifest_error(r, v, "it takes a string, or { secret = \"NAME\" }");
    else read_shape(r, v, SHAPE_variable, &a);
    if (v->type == TOML_TABLE && !manifest_toml_get(v, "secret")) manifest_error(r, v, "it lacks a secret's name");
    if (a.value.n > APP_VALUE_MAX) manifest_error(r, v, "it has more than %d bytes", APP_VALUE_MAX);
    vec_push(r->mem, &grants_of(to)->variables, a);
}
static void function_variables(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_NAMES_MAX, one_variable, to);
}

static void function_limits(struct reader *r, void *to, const struct toml *v) {
    read_shape(r, v, SHAPE_limits, &((struct function *)to)->f.limits);
}
static void function_supabase(struct reader *r, void *to, const struct toml *v) { ((struct function *)to)->f.supabase = v->i; }
static void function_verify_jwt(struct reader *r, void *to, const struct toml *v) {
    ((struct function *)to)->f.verify_jwt = v->i;
    ((struct function *)to)->says_verify = true;
}
static void function_spin_headers(struct reader *r, void *to, const struct toml *v) { ((struct function *)to)->f.spin = v->i; }

/* "api": a part of a host and of a path. */
static bool function_name_ok(str name) {
    bool ok = name.n && name.n <= APP_NAME_MAX;
    for (size_t i = 0; ok && i < name.n; i++) {
        uint8_t c = name.p[i];
        ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || (i && c == '-');
    }
    return ok;
}

static void one_function(struct reader *r, void *to, const struct toml *v) {
    struct app *app = to;
    struct function f = {.to = app->to, .at = v, .f = {.name = v->key, .verify_jwt = true}};
    if (!manifest_is(r, v, MANIFEST_TABLE)) return;
    if (!function_name_ok(v->key))
        manifest_error(r, v, "a function's name has up to %d letters a-z, digits, -, _ and ., not \"" STR_FMT "\"", APP_NAME_MAX,
                       STR_ARG(str_sub(v->key, 0, 100)));
    manifest_place(r, v);
    read_shape(r, v, SHAPE_function, &f);
    if (!manifest_toml_get(v, "source")) manifest_error(r, v, "it lacks a source: the WebAssembly file");
    if (f.says_verify && !f.f.supabase)
        manifest_error(r, manifest_toml_get(v, "verify_jwt"), "verify_jwt is for a function with supabase = true");
    f.f.verify_jwt &= f.f.supabase;
    vec_push(r->mem, &app->functions, f);
}
static void app_functions(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_FUNCTIONS_MAX, one_function, to);
}

/* ---- what the node answers itself ---- */

static void add_route(struct reader *r, const struct app_route *route, enum app_route_to to, uint32_t index) {
    struct app_route own = *route;
    own.to = (uint8_t)to, own.index = index;
    vec_push(r->mem, &r->to->record.routes, own);
}

struct files {
    struct app_files f;
    struct app_route route;
};
static void files_route(struct reader *r, void *to, const struct toml *v) {
    struct files *f = to;
    if (parse_route(r, v, v->s, &f->route) && f->route.exact)
        manifest_error(r, v, "a folder is at a path with all below it: leave the = out");
}
static void files_folder(struct reader *r, void *to, const struct toml *v) {
    ((struct files *)to)->f.folder = manifest_bundle_path(r, v);
}
static void files_index(struct reader *r, void *to, const struct toml *v) {
    ((struct files *)to)->f.index = v->s.n ? manifest_bundle_path(r, v) : v->s;
}
static void files_not_found(struct reader *r, void *to, const struct toml *v) {
    ((struct files *)to)->f.not_found = manifest_bundle_path(r, v);
}
static void files_clean_urls(struct reader *r, void *to, const struct toml *v) { ((struct files *)to)->f.clean = v->i; }
static void files_immutable(struct reader *r, void *to, const struct toml *v) { ((struct files *)to)->f.no_immutable = !v->i; }
static void cache_match(struct reader *r, void *to, const struct toml *v) {
    manifest_cache_match(r, v, &((struct app_cache *)to)->match);
}
static void cache_value(struct reader *r, void *to, const struct toml *v) {
    manifest_cache_value(r, v, &((struct app_cache *)to)->value);
}
static void one_cache(struct reader *r, void *to, const struct toml *v) {
    struct app_cache c = {0};
    if (!manifest_is(r, v, MANIFEST_TABLE)) return;
    read_shape(r, v, SHAPE_cache, &c);
    if (!manifest_toml_get(v, "match") || !manifest_toml_get(v, "value")) manifest_error(r, v, "it lacks match, or value");
    if (c.match.n && c.value.n) vec_push(r->mem, &((struct files *)to)->f.cache, c);
}
static void files_cache(struct reader *r, void *to, const struct toml *v) { manifest_each(r, v, APP_RULES_MAX, one_cache, to); }
static void files_spa(struct reader *r, void *to, const struct toml *v) { ((struct files *)to)->f.spa = v->i; }
static void one_files(struct reader *r, void *to, const struct toml *v) {
    struct app *app = to;
    struct files f = {.f = {.index = STR("index.html")}, .route = {.path = STR("/")}};
    if (!manifest_is(r, v, MANIFEST_TABLE)) return;
    manifest_place(r, v);
    read_shape(r, v, SHAPE_files, &f);
    if (!manifest_toml_get(v, "folder")) manifest_error(r, v, "it lacks a folder");
    f.f.name = f.f.folder;
    if (f.f.spa && !f.f.index.n) manifest_error(r, v, "with spa it needs an index");
    add_route(r, &f.route, APP_TO_FILES, app->to->record.files.n);
    vec_push(r->mem, &app->to->record.files, f.f);
}
static void app_files(struct reader *r, void *to, const struct toml *v) { manifest_each(r, v, APP_FILES_MAX, one_files, to); }

struct redirect {
    struct app_redirect r;
    struct app_moved m; /* if it asks for more than a path */
    const struct toml *from;
};
static void redirect_from(struct reader *r, void *to, const struct toml *v) { ((struct redirect *)to)->from = v; }
static void redirect_host(struct reader *r, void *to, const struct toml *v) {
    manifest_moved_host(r, v, &((struct redirect *)to)->m);
}
static void one_condition(struct reader *r, void *to, const struct toml *v) {
    manifest_moved_condition(r, v, &((struct redirect *)to)->m);
}
static void redirect_query(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_RULE_WORDS_MAX, one_condition, to);
}
static void redirect_to(struct reader *r, void *to, const struct toml *v) {
    bool place = str_starts(v->s, STR("https://")) || str_starts(v->s, STR("http://")) ||
                 (v->s.n && v->s.p[0] == '/' && !str_starts(v->s, STR("//")));
    for (size_t i = 0; place && i < v->s.n; i++) place = v->s.p[i] > ' ' && v->s.p[i] < 0x7f;
    if (place && v->s.n <= APP_URL_MAX) ((struct redirect *)to)->r.to = v->s;
    else manifest_error(r, v, "it takes a path, or an https:// or http:// URL, as it stands in a URL");
}
static void redirect_status(struct reader *r, void *to, const struct toml *v) {
    static const int64_t ok[] = {301, 302, 303, 307, 308};
    for (size_t i = 0; i < ARRAY_COUNT(ok); i++)
        if (v->i == ok[i]) ((struct redirect *)to)->r.status = (uint16_t)v->i;
    if (((struct redirect *)to)->r.status != v->i)
        manifest_error(r, v, "it takes 301, 302, 303, 307 or 308, not %lld", (long long)v->i);
}
/* "/old/" "*" is the route /old: what is below it is what the star stands for. */
static void redirect_by_route(struct reader *r, const struct toml *v, struct redirect *d) {
    struct app_route route = {0};
    str from = d->from->s;
    bool below = str_ends(from, STR("/*"));
    if (!below) manifest_target(r, v, d->r.to, from);
    else manifest_target(r, v, d->r.to, from), from.n -= from.n > 2 ? 2 : 1;
    if (!parse_route(r, d->from, from, &route)) return;
    add_route(r, &route, APP_TO_REDIRECT, r->to->record.redirects.n);
    vec_push(r->mem, &r->to->record.redirects, d->r);
}
static void one_redirect(struct reader *r, void *to, const struct toml *v) {
    struct redirect d = {.r = {.status = 308}};
    if (!manifest_is(r, v, MANIFEST_TABLE)) return;
    read_shape(r, v, SHAPE_redirect, &d);
    bool asks = manifest_toml_get(v, "host") || manifest_toml_get(v, "query");
    if (!asks && !manifest_toml_get(v, "from")) manifest_error(r, v, "it lacks from: the path that is elsewhere");
    if (!manifest_toml_get(v, "to")) manifest_error(r, v, "it lacks to: where that is");
    if (!asks && d.from) redirect_by_route(r, v, &d);
    if (!asks) return;
    if (d.from) manifest_pattern(r, d.from, &d.m.from);
    d.m.to = d.r.to, d.m.status = d.r.status;
    manifest_moved_finish(r, v, &d.m);
    if (d.m.to.n) vec_push(r->mem, &r->to->record.rules.moved, d.m);
}
static void app_redirects(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_REDIRECTS_MAX, one_redirect, to);
}

/* ---- compression ---- */

static void compress_enabled(struct reader *r, void *to, const struct toml *v) { r->to->record.compress.off = !v->i; }
static void compress_min_bytes(struct reader *r, void *to, const struct toml *v) {
    if (v->i > 1 << 30) manifest_error(r, v, "it takes up to 1073741824");
    else r->to->record.compress.bytes_min = (uint32_t)MAX(v->i, 1);
}
static void one_compressed(struct reader *r, void *to, const struct toml *v) {
    size_t slash = str_find(v->s, '/');
    bool ok = v->s.n <= APP_NAME_MAX && slash && slash < v->s.n;
    for (size_t i = 0; ok && i < v->s.n; i++) ok = v->s.p[i] > ' ' && v->s.p[i] < 0x7f && v->s.p[i] != ';' && v->s.p[i] != ',';
    if (ok) vec_push(r->mem, &r->to->record.compress.types, v->s);
    else manifest_error(r, v, "it takes media types, such as model/gltf+json, or model/ for all below it");
}
static void compress_types(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_COMPRESS_TYPES_MAX, one_compressed, to);
}
static void app_compress(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_compress, to); }

/* ---- CORS ---- */

static bool visible(str s) {
    bool ok = s.n && s.n <= APP_HOST_MAX + 16;
    for (size_t i = 0; ok && i < s.n; i++) ok = s.p[i] > ' ' && s.p[i] < 0x7f && s.p[i] != ',';
    return ok;
}
static void one_origin(struct reader *r, void *to, const struct toml *v) {
    str rest = str_starts(v->s, STR("https://"))  ? str_sub(v->s, 8, v->s.n)
               : str_starts(v->s, STR("http://")) ? str_sub(v->s, 7, v->s.n)
                                                  : (str){0};
    bool ok = str_eqc(v->s, "*") || (rest.n && visible(v->s) && !memchr(rest.p, '/', rest.n));
    if (ok) vec_push(r->mem, &((struct app_cors *)to)->origins, v->s);
    else manifest_error(r, v, "it takes origins, such as https://shop.example, without a path, or *");
}
static bool word_ok(struct reader *r, const struct toml *v) {
    if (visible(v->s)) return true;
    manifest_error(r, v, "it takes names, each a string of its own");
    return false;
}
static void one_method(struct reader *r, void *to, const struct toml *v) {
    if (word_ok(r, v)) vec_push(r->mem, &((struct app_cors *)to)->methods, v->s);
}
static void one_header(struct reader *r, void *to, const struct toml *v) {
    if (word_ok(r, v)) vec_push(r->mem, &((struct app_cors *)to)->headers, v->s);
}
static void one_exposed(struct reader *r, void *to, const struct toml *v) {
    if (word_ok(r, v)) vec_push(r->mem, &((struct app_cors *)to)->expose, v->s);
}
static void cors_origins(struct reader *r, void *to, const struct toml *v) { manifest_each(r, v, APP_CORS_MAX, one_origin, to); }
static void cors_methods(struct reader *r, void *to, const struct toml *v) { manifest_each(r, v, APP_CORS_MAX, one_method, to); }
static void cors_headers(struct reader *r, void *to, const struct toml *v) { manifest_each(r, v, APP_CORS_MAX, one_header, to); }
static void cors_expose(struct reader *r, void *to, const struct toml *v) { manifest_each(r, v, APP_CORS_MAX, one_exposed, to); }
static void cors_credentials(struct reader *r, void *to, const struct toml *v) { ((struct app_cors *)to)->credentials = v->i; }
static void cors_max_age_s(struct reader *r, void *to, const struct toml *v) {
    if (v->i > 7 * 86400) manifest_error(r, v, "it takes up to 604800, a week");
    else ((struct app_cors *)to)->max_age_s = (uint32_t)v->i;
}
static void cors_private_network(struct reader *r, void *to, const struct toml *v) {
    ((struct app_cors *)to)->private_network = v->i;
}
static void cors_match(struct reader *r, void *to, const struct toml *v) {
    manifest_pattern(r, v, &container_of((struct app_cors *)to, struct app_cors_of, cors)->match);
}
static void one_cors(struct reader *r, void *to, const struct toml *v) {
    struct app_cors_of of = {.cors.max_age_s = 600}, *own = &of;
    struct app_cors *c = &own->cors;
    if (!manifest_is(r, v, MANIFEST_TABLE)) return;
    read_shape(r, v, SHAPE_cors, c);
    if (own->match.n) vec_push(r->mem, &r->to->record.rules.cors, of);
    else r->to->record.cors = own->cors;
    if (!c->origins.n) manifest_error(r, v, "it lacks origins");
    for (uint32_t i = 0; i < c->origins.n; i++)
        if (c->credentials && str_eqc(c->origins.p[i], "*"))
            manifest_error(r, v, "credentials are not for every origin: name those that may send cookies");
}
static void app_cors(struct reader *r, void *to, const struct toml *v) {
    if (v->type == TOML_TABLE) one_cors(r, to, v);
    else manifest_each(r, v, APP_RULES_MAX, one_cors, to);
}

/* ---- rules for requests: rules.c ---- */

static void headers_match(struct reader *r, void *to, const struct toml *v) {
    manifest_pattern(r, v, &((struct app_headers *)to)->match);
}
#define X(name, key)                                                                                                             \
    static void one_##key(struct reader *r, void *to, const struct toml *v) { manifest_field(r, v, APP_FIELD_##name, to); }      \
    static void headers_##key(struct reader *r, void *to, const struct toml *v) {                                                \
        manifest_each(r, v, APP_RULE_FIELDS_MAX, one_##key, to);                                                                 \
    }
APP_FIELD_HOWS_LIST(X)
#undef X
static void one_headers(struct reader *r, void *to, const struct toml *v) {
    struct app_headers h = {.match = STR("/*")};
    if (!manifest_is(r, v, MANIFEST_TABLE)) return;
    read_shape(r, v, SHAPE_headers, &h);
    if (h.match.n) vec_push(r->mem, &r->to->record.rules.headers, h);
}
static void app_headers(struct reader *r, void *to, const struct toml *v) { manifest_each(r, v, APP_RULES_MAX, one_headers, to); }

static void rule_match(struct reader *r, void *to, const struct toml *v) {
    manifest_pattern(r, v, &((struct app_allow *)to)->match);
}
static void one_allowed(struct reader *r, void *to, const struct toml *v) {
    str method = {0};
    manifest_method(r, v, &method);
    if (method.n) vec_push(r->mem, &((struct app_allow *)to)->methods, method);
}
static void rule_methods(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_RULE_WORDS_MAX, one_allowed, to);
}
static void rule_body_kb(struct reader *r, void *to, const struct toml *v) {
    manifest_setting(r, v, APP_SETTING_body_bytes_max, &((struct app_allow *)to)->body_bytes_max);
}
static void one_rule(struct reader *r, void *to, const struct toml *v) {
    struct app_allow a = {.match = STR("/*")};
    if (!manifest_is(r, v, MANIFEST_TABLE)) return;
    read_shape(r, v, SHAPE_rule, &a);
    if (!a.methods.n && !a.body_bytes_max) manifest_error(r, v, "it says nothing: methods, or body_kb");
    if (a.match.n) vec_push(r->mem, &r->to->record.rules.allows, a);
}
static void app_rules(struct reader *r, void *to, const struct toml *v) { manifest_each(r, v, APP_RULES_MAX, one_rule, to); }

static void rate_match(struct reader *r, void *to, const struct toml *v) {
    manifest_pattern(r, v, &((struct app_rate *)to)->match);
}
static void rate_name(struct reader *r, void *to, const struct toml *v) { ((struct app_rate *)to)->name = v->s; }
static void one_rated(struct reader *r, void *to, const struct toml *v) {
    str method = {0};
    manifest_method(r, v, &method);
    if (method.n) vec_push(r->mem, &((struct app_rate *)to)->methods, method);
}
static void rate_methods(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_RULE_WORDS_MAX, one_rated, to);
}
static void rate_number(struct reader *r, const struct toml *v, uint32_t *to, int64_t most) {
    if (v->i < 1 || v->i > most) manifest_error(r, v, "it takes a number from 1 to %lld", (long long)most);
    else *to = (uint32_t)v->i;
}
static void rate_requests(struct reader *r, void *to, const struct toml *v) {
    rate_number(r, v, &((struct app_rate *)to)->requests, APP_RATE_MAX);
}
static void rate_per_s(struct reader *r, void *to, const struct toml *v) {
    rate_number(r, v, &((struct app_rate *)to)->per_s, APP_RATE_S_MAX);
}
static void rate_burst(struct reader *r, void *to, const struct toml *v) {
    rate_number(r, v, &((struct app_rate *)to)->burst, APP_RATE_MAX);
}
static void rate_by(struct reader *r, void *to, const struct toml *v) { manifest_rate_by(r, v, to); }
static void one_rate(struct reader *r, void *to, const struct toml *v) {
    struct app_rate a = {.match = STR("/*"), .per_s = 60};
    if (!manifest_is(r, v, MANIFEST_TABLE)) return;
    read_shape(r, v, SHAPE_rate, &a);
    manifest_rate_finish(r, v, &a);
    if (a.match.n) vec_push(r->mem, &r->to->record.rules.rates, a);
}
static void app_rates(struct reader *r, void *to, const struct toml *v) { manifest_each(r, v, APP_RULES_MAX, one_rate, to); }

static void hsts_max_age_s(struct reader *r, void *to, const struct toml *v) {
    rate_number(r, v, &r->to->record.rules.hsts_s, INT32_MAX);
}
static void hsts_include_subdomains(struct reader *r, void *to, const struct toml *v) {
    r->to->record.rules.hsts_subdomains = v->i;
}
static void hsts_preload(struct reader *r, void *to, const struct toml *v) { r->to->record.rules.hsts_preload = v->i; }
static void app_hsts(struct reader *r, void *to, const struct toml *v) {
    r->to->record.rules.hsts_s = 15'552'000;
    read_shape(r, v, SHAPE_hsts, to);
    manifest_hsts_finish(r, v);
}
static void app_https(struct reader *r, void *to, const struct toml *v) { manifest_https(r, v); }

/* ---- the database ---- */

static void database_secret(struct reader *r, void *to, const struct toml *v) {
    if (!manifest_name_ok(v->s, APP_NAME_MAX)) {
        manifest_error(r, v, "a secret's name has letters, digits and _");
        return;
    }
    r->to->record.database = (struct app_database){APP_DATABASE_SERVER, v->s};
    manifest_need_secret(r, v->s);
}
static void app_database(struct reader *r, void *to, const struct toml *v) {
    if (v->type == TOML_STRING) {
        manifest_database_word(r, v);
        return;
    }
    read_shape(r, v, SHAPE_database, to);
    if (!manifest_toml_get(v, "secret")) manifest_error(r, v, "it lacks a secret: the name of the one that is its URL");
}
static void rest_enabled(struct reader *r, void *to, const struct toml *v) { r->to->record.rest.off = !v->i; }
static void rest_schemas(struct reader *r, void *to, const struct toml *v) { manifest_rest_schemas(r, v); }
static void rest_search_path(struct reader *r, void *to, const struct toml *v) { manifest_rest_search(r, v); }
static void rest_pre_request(struct reader *r, void *to, const struct toml *v) {
    manifest_rest_function(r, v, &r->to->record.rest.before);
}
static void rest_aggregates(struct reader *r, void *to, const struct toml *v) { r->to->record.rest.aggregates = v->i; }
static void rest_plan(struct reader *r, void *to, const struct toml *v) { r->to->record.rest.plans = v->i; }
static void rest_openapi(struct reader *r, void *to, const struct toml *v) { r->to->record.rest.no_openapi = !v->i; }
static void rest_root_spec(struct reader *r, void *to, const struct toml *v) {
    manifest_rest_function(r, v, &r->to->record.rest.root);
}
static void rest_jwt_aud(struct reader *r, void *to, const struct toml *v) { manifest_rest_audience(r, v); }
static void rest_error_details(struct reader *r, void *to, const struct toml *v) { r->to->record.rest.terse = !v->i; }
static void rest_server_timing(struct reader *r, void *to, const struct toml *v) { r->to->record.rest.timed = v->i; }
static void app_rest(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_rest, to); }
static void auth_enabled(struct reader *r, void *to, const struct toml *v) { r->to->record.auth.on = v->i; }
static void auth_site_url(struct reader *r, void *to, const struct toml *v) { manifest_auth_site(r, v); }
static void auth_redirect_urls(struct reader *r, void *to, const struct toml *v) { manifest_auth_redirects(r, v); }
static void auth_password_needs(struct reader *r, void *to, const struct toml *v) { manifest_auth_password(r, v); }
#define FLAG(key, field)                                                                                                         \
    static void auth_##key(struct reader *r, void *to, const struct toml *v) { r->to->record.auth.field = v->i; }
FLAG(sign_up, sign_up)
FLAG(anonymous, anonymous)
FLAG(email, email)
FLAG(confirm_email, confirm_email)
FLAG(confirm_both_addresses, both_addresses)
FLAG(password_change_needs_recent_sign_in, recent_for_password)
FLAG(refresh_rotation, rotates)
FLAG(one_session, one_session)
FLAG(manual_linking, manual_linking)
#undef FLAG
#define FLAG(shape, key, field)                                                                                                  \
    static void shape##_##key(struct reader *r, void *to, const struct toml *v) { r->to->record.auth.field = v->i; }
FLAG(mfa, totp, totp)
FLAG(mfa, totp_enrol, totp_enrol)
FLAG(mfa, phone, factor_phone)
FLAG(mfa, phone_enrol, factor_phone_enrol)
FLAG(mfa, webauthn, factor_webauthn)
FLAG(mfa, webauthn_enrol, factor_webauthn_enrol)
FLAG(mfa, recovery_codes, recovery_codes)
FLAG(passkeys, enabled, passkeys)
FLAG(passwords, leaked_closed, leaked_closed)
FLAG(passkeys, verify_user, passkeys_verify_user)
#undef FLAG
#define NUMBER(shape, key, field)                                                                                                \
    static void shape##_##key(struct reader *r, void *to, const struct toml *v) {                                                \
        manifest_auth_number(r, v, MANIFEST_AUTH_##field, v->i);                                                                 \
    }
NUMBER(mfa, max_factors, factors_most)
NUMBER(mfa, challenge_s, challenge_s)
NUMBER(mfa, tries_per_min, factor_tries)
NUMBER(mfa, sms_every_s, factor_sms_every_s)
NUMBER(mfa, sms_digits, factor_digits)
NUMBER(passkeys, max, passkeys_most)
NUMBER(passwords, min, password_min)
NUMBER(passkeys, challenge_s, passkey_challenge_s)
NUMBER(passkeys, asks_per_5min, passkey_asks)
#undef NUMBER
static void passkeys_rp_id(struct reader *r, void *to, const struct toml *v) { manifest_auth_rp_id(r, v); }
static void passkeys_rp_name(struct reader *r, void *to, const struct toml *v) { manifest_auth_rp_name(r, v); }
static void passkeys_origins(struct reader *r, void *to, const struct toml *v) { manifest_auth_origins(r, v); }
static void passwords_needs(struct reader *r, void *to, const struct toml *v) { manifest_auth_password(r, v); }
static void passwords_leaked(struct reader *r, void *to, const struct toml *v) { manifest_auth_leaked(r, v); }
static void auth_passwords(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_passwords, to); }
static void auth_mfa(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_mfa, to); }
static void auth_passkeys(struct reader *r, void *to, const struct toml *v) {
    r->to->record.auth.passkeys = true;
    read_shape(r, v, SHAPE_passkeys, to);
}
#define NUMBER(key, field)                                                                                                       \
    static void auth_##key(struct reader *r, void *to, const struct toml *v) {                                                   \
        manifest_auth_number(r, v, MANIFEST_AUTH_##field, v->i);                                                                 \
    }
NUMBER(audit_days, audit_days)
NUMBER(audit_rows, audit_rows)
NUMBER(password_min, password_min)
NUMBER(token_s, jwt_s)
NUMBER(refresh_reuse_s, reuse_s)
NUMBER(session_timebox_s, timebox_s)
NUMBER(session_idle_s, idle_s)
NUMBER(code_digits, otp_digits)
NUMBER(code_s, otp_s)
NUMBER(mail_every_s, mail_every_s)
NUMBER(mails_per_hour, mails_hour)
NUMBER(sign_ins_per_5min, sign_ins)
NUMBER(refreshes_per_5min, refreshes)
NUMBER(codes_per_5min, verifies)
NUMBER(anonymous_per_hour, anonymous_hour)
#undef NUMBER
static void auth_templates(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_templates, to); }
static void one_template(struct reader *r, const struct toml *v, enum app_template_kind kind, str language, int shape) {
    struct app_template t = {.kind = (uint8_t)kind, .language = language};
    read_shape(r, v, shape, &t);
    manifest_template_add(r, v, &t);
}
#define X(name)                                                                                                                  \
    static void templates_##name(struct reader *r, void *to, const struct toml *v) {                                             \
        one_template(r, v, APP_TEMPLATE_##name, (str){0}, SHAPE_template);                                                       \
    }
APP_TEMPLATES_LIST(X)
#undef X
static void template_subject(struct reader *r, void *to, const struct toml *v) { manifest_template_subject(r, v, to); }
static void template_html(struct reader *r, void *to, const struct toml *v) {
    ((struct app_template *)to)->html_path = manifest_bundle_path(r, v);
}
static void template_text(struct reader *r, void *to, const struct toml *v) {
    ((struct app_template *)to)->text_path = manifest_bundle_path(r, v);
}
static void one_language(struct reader *r, void *to, const struct toml *v) {
    str language;
    if (!manifest_is(r, v, MANIFEST_TABLE) || !manifest_language(r, v, &language)) return;
    one_template(r, v, ((struct app_template *)to)->kind, language, SHAPE_template_language);
}
static void template_languages(struct reader *r, void *to, const struct toml *v) { manifest_each(r, v, 64, one_language, to); }
static void template_language_subject(struct reader *r, void *to, const struct toml *v) { template_subject(r, to, v); }
static void template_language_html(struct reader *r, void *to, const struct toml *v) { template_html(r, to, v); }
static void template_language_text(struct reader *r, void *to, const struct toml *v) { template_text(r, to, v); }
static void auth_mail_notify(struct reader *r, void *to, const struct toml *v) { manifest_each(r, v, 16, manifest_notify, NULL); }
static void auth_sms(struct reader *r, void *to, const struct toml *v) {
    struct app_sms *s = &r->to->record.auth.sms;
    r->to->record.auth.phone = true;
    read_shape(r, v, SHAPE_auth_sms, s);
    manifest_sms_finish(r, v, s);
}
static void auth_sms_enabled(struct reader *r, void *to, const struct toml *v) { r->to->record.auth.phone = v->i; }
static void auth_sms_confirm(struct reader *r, void *to, const struct toml *v) { r->to->record.auth.confirm_phone = v->i; }
static void auth_sms_provider(struct reader *r, void *to, const struct toml *v) { manifest_sms_provider(r, v, v->s, to); }
static void auth_sms_account(struct reader *r, void *to, const struct toml *v) {
    manifest_mail_words(r, v, &((struct app_sms *)to)->account);
}
static void auth_sms_token(struct reader *r, void *to, const struct toml *v) {
    read_shape(r, v, SHAPE_auth_secret, &((struct app_sms *)to)->secret);
}
static void auth_sms_from(struct reader *r, void *to, const struct toml *v) {
    manifest_mail_words(r, v, &((struct app_sms *)to)->from);
}
static void auth_sms_url(struct reader *r, void *to, const struct toml *v) { manifest_sms_url(r, v, to); }
static void auth_sms_message(struct reader *r, void *to, const struct toml *v) { manifest_sms_words(r, v, to); }
static void auth_sms_test_codes(struct reader *r, void *to, const struct toml *v) { manifest_sms_tests(r, v, to); }
static void auth_sms_every_s(struct reader *r, void *to, const struct toml *v) {
    manifest_auth_number(r, v, MANIFEST_AUTH_sms_every_s, v->i);
}
static void auth_sms_per_hour(struct reader *r, void *to, const struct toml *v) {
    manifest_auth_number(r, v, MANIFEST_AUTH_sms_hour, v->i);
}
static void auth_sms_code_digits(struct reader *r, void *to, const struct toml *v) {
    manifest_auth_number(r, v, MANIFEST_AUTH_sms_digits, v->i);
}
static void auth_sms_code_s(struct reader *r, void *to, const struct toml *v) {
    manifest_auth_number(r, v, MANIFEST_AUTH_sms_s, v->i);
}
static void auth_mail(struct reader *r, void *to, const struct toml *v) {
    struct app_mail *m = &r->to->record.auth.mail;
    read_shape(r, v, SHAPE_auth_mail, m);
    manifest_mail_finish(r, v, m, "admin_email");
}
static void auth_mail_host(struct reader *r, void *to, const struct toml *v) { manifest_mail_host(r, v, to); }
static void auth_mail_port(struct reader *r, void *to, const struct toml *v) { manifest_mail_port(r, v, to); }
static void auth_mail_tls(struct reader *r, void *to, const struct toml *v) { manifest_mail_tls(r, v, to); }
static void auth_mail_user(struct reader *r, void *to, const struct toml *v) {
    manifest_mail_words(r, v, &((struct app_mail *)to)->user);
}
static void auth_mail_password(struct reader *r, void *to, const struct toml *v) {
    read_shape(r, v, SHAPE_auth_secret, &((struct app_mail *)to)->secret);
}
static void auth_secret_secret(struct reader *r, void *to, const struct toml *v) {
    *(str *)to = v->s;
    if (!manifest_name_ok(v->s, APP_NAME_MAX)) manifest_error(r, v, "a secret's name has letters, digits and _");
    else manifest_need_secret(r, v->s);
}
static void auth_mail_sender_name(struct reader *r, void *to, const struct toml *v) {
    manifest_mail_words(r, v, &((struct app_mail *)to)->sender);
}
static void auth_mail_admin_email(struct reader *r, void *to, const struct toml *v) {
    manifest_mail_address(r, v, &((struct app_mail *)to)->from);
}
static void hook_function(struct reader *r, void *to, const struct toml *v) { manifest_hook_function(r, to, v); }
static void hook_sql(struct reader *r, void *to, const struct toml *v) { manifest_hook_sql(r, to, v); }
static void hook_url(struct reader *r, void *to, const struct toml *v) { manifest_hook_url(r, to, v); }
static void hook_secret(struct reader *r, void *to, const struct toml *v) { manifest_hook_secret(r, to, v); }
#define X(name)                                                                                                                  \
    static void hooks_##name(struct reader *r, void *to, const struct toml *v) {                                                 \
        read_shape(r, v, SHAPE_hook, &r->to->record.auth.hooks[APP_HOOK_##name]);                                                \
    }
APP_HOOKS_LIST(X)
#undef X
static void oauth_server_enabled(struct reader *r, void *to, const struct toml *v) { r->to->record.auth.oauth.on = v->i; }
static void oauth_server_registration(struct reader *r, void *to, const struct toml *v) {
    r->to->record.auth.oauth.registers = v->i;
}
static void oauth_server_consent_path(struct reader *r, void *to, const struct toml *v) { manifest_oauth_path(r, v); }
static void auth_oauth_server(struct reader *r, void *to, const struct toml *v) {
    r->to->record.auth.oauth.on = true;
    read_shape(r, v, SHAPE_oauth_server, to);
}
static void captcha_provider(struct reader *r, void *to, const struct toml *v) { manifest_captcha_provider(r, v); }
static void captcha_secret(struct reader *r, void *to, const struct toml *v) { manifest_captcha_secret(r, v, v->s); }
static void captcha_url(struct reader *r, void *to, const struct toml *v) { manifest_captcha_url(r, v); }
static void auth_captcha(struct reader *r, void *to, const struct toml *v) {
    read_shape(r, v, SHAPE_captcha, to);
    manifest_captcha_finish(r, v);
}
static void pages_enabled(struct reader *r, void *to, const struct toml *v) { r->to->record.auth.pages.on = v->i; }
static void pages_name(struct reader *r, void *to, const struct toml *v) { manifest_pages_name(r, v); }
static void pages_logo(struct reader *r, void *to, const struct toml *v) { manifest_pages_logo(r, v); }
static void pages_colour(struct reader *r, void *to, const struct toml *v) { manifest_pages_colour(r, v); }
static void auth_pages(struct reader *r, void *to, const struct toml *v) {
    r->to->record.auth.pages.on = true;
    read_shape(r, v, SHAPE_pages, to);
}
static void auth_hooks(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_hooks, to); }

struct provider {
    struct app_provider p;
    bool enabled;
};
#define PROVIDER(to) (&((struct provider *)(to))->p)
static void provider_enabled(struct reader *r, void *to, const struct toml *v) { ((struct provider *)to)->enabled = v->i; }
static void one_client(struct reader *r, void *to, const struct toml *v) { manifest_provider_clients(r, v, PROVIDER(to), true); }
static void provider_client_id(struct reader *r, void *to, const struct toml *v) {
    if (v->type == TOML_STRING) one_client(r, to, v);
    else manifest_each(r, v, APP_PROVIDER_CLIENTS_MAX, one_client, to);
}
static void provider_secret(struct reader *r, void *to, const struct toml *v) { manifest_provider_secret(r, v, PROVIDER(to)); }
static void provider_url(struct reader *r, void *to, const struct toml *v) { manifest_provider_url(r, v, &PROVIDER(to)->url); }
static void provider_issuer(struct reader *r, void *to, const struct toml *v) {
    manifest_provider_url(r, v, &PROVIDER(to)->issuer);
}
static void provider_authorize_url(struct reader *r, void *to, const struct toml *v) {
    manifest_provider_url(r, v, &PROVIDER(to)->authorize);
}
static void provider_token_url(struct reader *r, void *to, const struct toml *v) {
    manifest_provider_url(r, v, &PROVIDER(to)->token);
}
static void provider_userinfo_url(struct reader *r, void *to, const struct toml *v) {
    manifest_provider_url(r, v, &PROVIDER(to)->userinfo);
}
static void provider_redirect_url(struct reader *r, void *to, const struct toml *v) {
    manifest_provider_url(r, v, &PROVIDER(to)->redirect);
}
static void one_scope(struct reader *r, void *to, const struct toml *v) {
    str scope = {0};
    manifest_provider_text(r, v, &scope);
    struct app_provider *p = PROVIDER(to);
    p->scopes = p->scopes.n ? arena_fmt(r->mem, STR_FMT " " STR_FMT, STR_ARG(p->scopes), STR_ARG(scope)) : scope;
}
static void provider_scopes(struct reader *r, void *to, const struct toml *v) { manifest_each(r, v, 32, one_scope, to); }
static void provider_team_id(struct reader *r, void *to, const struct toml *v) {
    manifest_provider_text(r, v, &PROVIDER(to)->team);
}
static void provider_key_id(struct reader *r, void *to, const struct toml *v) {
    manifest_provider_text(r, v, &PROVIDER(to)->key);
}
static void provider_skip_nonce_check(struct reader *r, void *to, const struct toml *v) { PROVIDER(to)->skip_nonce = v->i; }
static void provider_email_optional(struct reader *r, void *to, const struct toml *v) { PROVIDER(to)->email_optional = v->i; }
#undef PROVIDER
static void one_provider(struct reader *r, void *to, const struct toml *v) {
    struct provider p = {.p.name = v->key, .enabled = true};
    if (!manifest_is(r, v, MANIFEST_TABLE)) return;
    read_shape(r, v, SHAPE_provider, &p);
    manifest_provider_add(r, v, &p.p, p.enabled);
}
static void auth_providers(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_PROVIDERS_MAX, one_provider, NULL);
}
static void auth_custom_providers(struct reader *r, void *to, const struct toml *v) {
    if (v->i) r->to->record.auth.calls = true;
}
static void app_auth(struct reader *r, void *to, const struct toml *v) {
    manifest_auth_begin(r);
    read_shape(r, v, SHAPE_auth, to);
}
static void app_migrations(struct reader *r, void *to, const struct toml *v) { manifest_database_migrations(r, v); }
static void app_seed(struct reader *r, void *to, const struct toml *v) { manifest_database_seed(r, v, ""); }

/* ---- the app ---- */

static void app_name(struct reader *r, void *to, const struct toml *v) {
    struct app_record *record = &((struct app *)to)->to->record;
    struct diag d = DIAG_INIT;
    if (app_name_check(v->s, &d) != ERR_OK) manifest_error_of(r, v, &d);
    else if (!record->name.n) record->name = v->s;
}
static void one_host(struct reader *r, void *to, const struct toml *v) {
    struct app_record *record = to;
    struct diag d = DIAG_INIT;
    str host;
    if (str_eqc(v->s, "*")) {
        record->is_default = true;
        return;
    }
    if (app_host_parse(r->mem, v->s, &host, &d) != ERR_OK) {
        manifest_error_of(r, v, &d);
        return;
    }
    for (uint32_t i = 0; i < record->hosts.n; i++)
        if (str_eq(record->hosts.p[i], host)) manifest_error(r, v, "the host " STR_FMT " stands there twice", STR_ARG(host));
    vec_push(r->mem, &record->hosts, host);
}
static void app_hosts(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_HOSTS_MAX, one_host, &((struct app *)to)->to->record);
}
static void app_weight(struct reader *r, void *to, const struct toml *v) {
    if (v->i < 1 || v->i > 10000) manifest_error(r, v, "it takes a number from 1 to 10000");
    else ((struct app *)to)->to->record.weight = (uint32_t)v->i;
}
static void app_env(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_NAMES_MAX, one_env, &((struct app *)to)->env);
}
static void app_limits(struct reader *r, void *to, const struct toml *v) {
    read_shape(r, v, SHAPE_limits, &((struct app *)to)->to->record.limits);
}
static void app_build(struct reader *r, void *to, const struct toml *v) { read_build(r, v, STR("")); }

/* ---- what only the whole can tell ---- */

/* The app's environment first, so that a function's own is the later one. */
static void join_env(struct reader *r, const struct app *app, struct app_grants *g) {
    struct app_grants all = {0};
    const struct app_grants *const both[] = {&app->env, g};
    for (size_t k = 0; k < ARRAY_COUNT(both); k++)
        for (uint32_t i = 0; i < both[k]->env.n; i++) {
            uint32_t at = 0;
            while (at < all.env.n && !str_eq(all.env.p[at].key, both[k]->env.p[i].key)) at++;
            if (at < all.env.n) all.env.p[at] = both[k]->env.p[i];
            else vec_push(r->mem, &all.env, both[k]->env.p[i]);
        }
    memcpy(&g->env, &all.env, sizeof g->env);
}

void manifest_limits_below(struct app_limits *limits, const struct app_limits *of) {
    for (int id = 0; id < APP_SETTINGS; id++) {
        uint64_t *at = app_limits_at(limits, (enum app_setting_id)id);
        if (at && !*at) *at = *app_limits_at((struct app_limits *)(uintptr_t)of, (enum app_setting_id)id);
    }
}

void manifest_add_supabase_route(struct reader *r, const struct app_function *f, uint32_t index) {
    struct app_route route = {.path = arena_fmt(r->mem, "/functions/v1/" STR_FMT, STR_ARG(f->name))};
    if (f->supabase) add_route(r, &route, APP_TO_FUNCTION, index);
}

/* It is called by the database's clients, or because of it. */
static bool is_database_s(const struct app_function *f) { return f->rpc || f->triggers.n || f->computes.n; }

static void add_routes(struct reader *r, const struct function *f, uint32_t index, bool alone) {
    static const struct app_route root = {.path = STR_INIT("/")};
    if (!f->says_routes && alone && !f->f.supabase && !is_database_s(&f->f)) add_route(r, &root, APP_TO_FUNCTION, index);
    for (uint32_t i = 0; i < f->routes.n; i++) add_route(r, &f->routes.p[i], APP_TO_FUNCTION, index);
    manifest_add_supabase_route(r, &f->f, index);
}

void manifest_check_routes(struct reader *r, const struct toml *root) {
    struct map seen = {0};
    const struct app_record *record = &r->to->record;
    if (record->routes.n > APP_ROUTES_MAX) manifest_error(r, root, "an app has at most %d routes", APP_ROUTES_MAX);
    for (uint32_t i = 0; i < record->routes.n; i++) {
        const struct app_route *route = &record->routes.p[i];
        str key = arena_fmt(r->mem, "%s" STR_FMT, route->exact ? "=" : "", STR_ARG(route->path));
        uint64_t before;
        if (route->internal) continue;
        if (map_get(&seen, key, &before)) manifest_error(r, root, "the route " STR_FMT " stands there twice", STR_ARG(key));
        else map_put(r->mem, &seen, key, i);
    }
}

static void check_callees(struct reader *r, const struct function *f) {
    for (uint32_t i = 0; i < f->f.grants.functions.n; i++) {
        str name = f->f.grants.functions.p[i];
        if (str_eqc(name, "*") || app_record_function(&r->to->record, name) != UINT32_MAX) continue;
        manifest_error(r, manifest_toml_get(f->at, "functions"),
                       "functions." STR_FMT " calls " STR_FMT ", and there is no function of that name", STR_ARG(f->f.name),
                       STR_ARG(name));
    }
}

/* What is about the app's database is for an app that has one. */
static void check_reached(struct reader *r, const struct function *f) {
    const char *key = f->f.grants.roles.n ? "database" : f->f.rpc ? "rpc" : f->f.triggers.n ? "triggers" : "columns";
    if ((f->f.grants.roles.n || is_database_s(&f->f)) && !r->to->record.database.engine)
        manifest_error(r, manifest_toml_get(f->at, key),
                       "functions." STR_FMT ".%s: it is for an app with a database: write database = \"sqlite\" too",
                       STR_ARG(f->f.name), key);
}

static bool is_called(const struct app *app, str name) {
    for (uint32_t i = 0; i < app->functions.n; i++)
        for (uint32_t k = 0; k < app->functions.p[i].f.grants.functions.n; k++) {
            str callee = app->functions.p[i].f.grants.functions.p[k];
            if (str_eq(callee, name) || str_eqc(callee, "*")) return true;
        }
    return false;
}

/* Each is somebody who follows. */
static void check_triggers(struct reader *r, const struct app *app, const struct toml *root) {
    uint32_t follow = 0;
    const struct app_record *record = &r->to->record;
    for (uint32_t i = 0; i < app->functions.n; i++) {
        const struct function *f = &app->functions.p[i];
        follow += f->f.triggers.n > 0;
        if (f->f.triggers.n && record->database.engine == APP_DATABASE_SERVER)
            manifest_error(r, manifest_toml_get(f->at, "triggers"),
                           "functions." STR_FMT ".triggers: changes of a server of yours are not kept: write a trigger there",
                           STR_ARG(f->f.name));
    }
    if (follow && record->limits.changes_max == 1)
        manifest_error(r, root,
                       "limits.database_changes = 1 keeps no changes, and functions have triggers that are told of them");
    if (follow > APP_FOLLOWERS_MAX) manifest_error(r, root, "at most %d functions of an app have triggers", APP_FOLLOWERS_MAX);
}

static void join_all(struct reader *r, struct app *app, const struct toml *root) {
    struct app_record *record = &r->to->record;
    bool alone = app->functions.n == 1 && !record->files.n && !record->redirects.n;
    for (uint32_t i = 0; i < app->functions.n; i++) {
        struct function *f = &app->functions.p[i];
        join_env(r, app, &f->f.grants);
        manifest_limits_below(&f->f.limits, &record->limits);
        add_routes(r, f, i, alone);
        record->follows |= f->f.triggers.n > 0;
        vec_push(r->mem, &record->functions, f->f);
    }
    for (uint32_t i = 0; i < app->functions.n; i++) {
        const struct function *f = &app->functions.p[i];
        check_callees(r, f);
        check_reached(r, f);
        if (!f->routes.n && !alone && !f->f.supabase && !is_database_s(&f->f) && !is_called(app, f->f.name))
            manifest_remark(r, f->at, "functions." STR_FMT " has no routes, and no function calls it: nothing reaches it",
                            STR_ARG(f->f.name));
    }
    check_triggers(r, app, root);
    manifest_check_routes(r, root);
}

/* For all formats: what every app has. */
void manifest_finish(struct reader *r, const struct toml *root) {
    struct app_record *record = &r->to->record;
    if (!record->name.n) manifest_error(r, root, "it lacks a name: the app's");
    if (!record->functions.n && !record->files.n && !record->redirects.n && !record->database.engine)
        manifest_error(r, root,
                       "it has neither functions nor files nor redirects, and no database: there is nothing to answer with");
    vec_push(r->mem, &r->to->said, record->limits);
    for (uint32_t i = 0; i < record->functions.n; i++) vec_push(r->mem, &r->to->said, record->functions.p[i].limits);
    if (record->secrets.n > APP_SECRETS_MAX) manifest_error(r, root, "an app has at most %d secrets", APP_SECRETS_MAX);
}

void manifest_read_orlo(struct reader *r, const struct toml *root) {
    struct app app = {.to = r->to};
    read_shape(r, root, SHAPE_app, &app);
    join_all(r, &app, root);
    manifest_database_places(r, root, "");
    manifest_check_hooks(r, root);
    manifest_finish(r, root);
}
