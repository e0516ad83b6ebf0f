/* secrets: what an app's functions get of its secrets, when their image comes. They are in this process's memory from then on, in no snapshot and
 * no line of the log.
 *
 *   { key's length, key, value's length, value } …          lengths of 4 bytes, little-endian
 *
 * A key is the name of a secret of the app's; or one of ours: "_keys" (what the app's callers are known by: keyset.h), "_jwt…" (secrets that tokens of HS256 are signed with); what begins
 * with SUPABASE_ is for the environment of functions that Supabase's clients call, where the app says nothing else. */
#include "node/secrets.h"
#include "node/worker/apps.h"
#include "node/worker/keys.h"

static str find_or(const struct node_app *app, str secrets, str key) {
    str value;
    if (node_secret_find(secrets, key, &value)) return value;
    for (uint32_t i = 0; i < app->record.secrets.n; i++)
        if (str_eq(app->record.secrets.p[i].key, key)) return app->record.secrets.p[i].otherwise;
    return (str){0};
}

/* "a {{ KEY }} b", with what the secrets say. */
static str filled(struct node_app *app, str secrets, str template) {
    struct buf b = {0};
    while (template.n) {
        size_t open = 0, close;
        while (open < template.n && !str_starts(str_sub(template, open, template.n), STR("{{"))) open++;
        buf_puts(&b, str_sub(template, 0, open));
        if (open == template.n) break;
        template = str_sub(template, open + 2, template.n);
        for (close = 0; close < template.n && !str_starts(str_sub(template, close, template.n), STR("}}"));) close++;
        buf_puts(&b, find_or(app, secrets, str_trim(str_sub(template, 0, close))));
        template = str_sub(template, MIN(close + 2, template.n), template.n);
    }
    str out = arena_str(app->mem, buf_str(&b));
    buf_free(&b);
    return out;
}

static bool has_env(const struct app_grants *g, str key) {
    for (uint32_t i = 0; i < g->env.n; i++)
        if (str_eq(g->env.p[i].key, key)) return true;
    return false;
}

static void set_env(struct node_app *app, struct app_grants *g, str key, str value) {
    struct app_env env = {key, arena_str(app->mem, value)};
    if (!memchr(value.p ? value.p : (const uint8_t *)"", 0, value.n) && !has_env(g, key)) vec_push(app->mem, &g->env, env);
}

static void set_supabase(struct node_app *app, struct app_grants *g, str secrets) {
    for (struct rd from = rd_of(secrets); rd_left(&from);) {
        str k = rd_bytes(&from, rd_u32le(&from)), v = rd_bytes(&from, rd_u32le(&from));
        if (!from.fail && str_starts(k, STR("SUPABASE_"))) set_env(app, g, arena_str(app->mem, k), v);
    }
}

static void fill_function(struct node_app *app, struct app_function *f, str secrets) {
    for (uint32_t i = 0; i < f->grants.secrets.n; i++) {
        str value;
        if (node_secret_find(secrets, f->grants.secrets.p[i].secret, &value))
            set_env(app, &f->grants, f->grants.secrets.p[i].env, value);
    }
    for (uint32_t i = 0; i < f->grants.variables.n; i++) {
        struct app_variable *v = &f->grants.variables.p[i];
        if (v->secret) v->value = filled(app, secrets, v->value), v->secret = false;
    }
    if (f->supabase) set_supabase(app, &f->grants, secrets);
}

bool node_app_secret(const struct node_app *app, str name, str *value) {
    return name.n && name.p[0] != '_' && node_secret_find(app->secrets, name, value);
}

struct node_part *node_app_door(struct node_app *app) {
    struct node_part *last = app->parts_count ? &app->parts[app->parts_count - 1] : NULL;
    return last && last->door ? last : NULL;
}

void node_part_secrets(struct node_part *part, str secrets) {
    struct node_app *app = part->app;
    struct app_function *f = (struct app_function *)(uintptr_t)part->function; /* the app's own */
    if ((!f && !part->door) || part->has_secrets) return;
    part->has_secrets = true;
    if (f) fill_function(app, f, secrets);
    else if (app->record.auth.on) app->secrets = arena_str(app->mem, secrets);
    str set;
    if (!app->keys && node_secret_find(secrets, STR(NODE_KEYSET_ENTRY), &set)) app->keys = node_keys_new(app, secrets);
}
