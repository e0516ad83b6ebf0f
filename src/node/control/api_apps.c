/* api_apps: apps, their versions and secrets. What changes something is control's (deploy.h); its answer comes when all workers serve it. */
#include "node/control/api_apps.h"
#include "node/control/api_int.h"
#include "node/control/deploy.h"
#include "node/control/keys.h"

enum { APPS_MAX = 1000 }; /* in an answer */

/* ---- an app ---- */

/* Where its first route is. */
static str url_of(arena *out, const struct control *c, const struct app_record *r) {
    str path = r->routes.n && !r->routes.p[0].exact ? r->routes.p[0].path : STR("/"), url = node_control_app_url(out, c, r->name);
    return arena_fmt(out, STR_FMT STR_FMT, STR_ARG(url), STR_ARG(path));
}
str node_api_app_url(arena *out, const struct control *c, const struct app_record *r) { return url_of(out, c, r); }

static void put_route(struct json_writer *w, const struct app_record *r, const struct app_route *route) {
    json_put_object(w, NULL);
    json_put_str(w, "path", route->path);
    json_put_bool(w, "exact", route->exact);
    if (route->to == APP_TO_FUNCTION && route->index < r->functions.n)
        json_put_str(w, "function", r->functions.p[route->index].name);
    if (route->to == APP_TO_FILES && route->index < r->files.n) json_put_str(w, "files", r->files.p[route->index].folder);
    if (route->to == APP_TO_REDIRECT && route->index < r->redirects.n)
        json_put_str(w, "redirect", r->redirects.p[route->index].to);
    json_put_end(w);
}

static void put_canary(struct json_writer *w, const struct control_state *state) {
    if (!state->canary) return;
    json_put_object(w, "canary");
    json_put_u64(w, "version", state->canary->version);
    json_put_u64(w, "permille", state->permille);
    json_put_end(w);
}

static void put_app(struct api_call *call, const struct control_app *app) {
    struct json_writer *w = &call->w;
    const struct app_record *r = node_control_app_record(call->mem, app);
    json_put_object(w, NULL);
    json_put_str(w, "name", app->name);
    json_put_u64(w, "version", app->state.live->version);
    json_put_bool(w, "default", r->is_default);
    json_put_array(w, "hosts");
    str own = arena_fmt(call->mem, STR_FMT ".%s", STR_ARG(app->name), call->control->domain);
    json_put_str(w, NULL, own);
    for (uint32_t i = 0; i < r->hosts.n; i++)
        if (!str_eq(r->hosts.p[i], own)) json_put_str(w, NULL, r->hosts.p[i]);
    json_put_end(w);
    json_put_array(w, "routes");
    for (uint32_t i = 0; i < r->routes.n; i++) put_route(w, r, &r->routes.p[i]);
    json_put_end(w);
    json_put_array(w, "functions");
    for (uint32_t i = 0; i < r->functions.n; i++) {
        json_put_object(w, NULL);
        json_put_str(w, "name", r->functions.p[i].name);
        json_put_cstr(w, "kind", node_kind_text(r->functions.p[i].kind));
        json_put_end(w);
    }
    json_put_end(w);
    json_put_str(w, "url", url_of(call->mem, call->control, r));
    put_canary(w, &app->state);
    if (r->database.secret.n) json_put_str(w, "server", r->database.secret);
    json_put_end(w);
}

static bool sees(const struct api_call *call, const struct control_app *app) {
    return call->who.node || str_eq(call->who.app, app->name);
}

void node_api_apps(struct api_call *call) {
    uint64_t after = node_api_number(call, "after", 0);
    uint32_t n = 0, last = 0;
    json_put_object(&call->w, NULL);
    json_put_array(&call->w, "apps");
    const struct control_app *app = call->control->apps;
    for (; app && n < APPS_MAX; app = app->next) {
        if (app->id <= after || !sees(call, app)) continue;
        put_app(call, app);
        last = app->id, n++;
    }
    json_put_end(&call->w);
    while (app && !sees(call, app)) app = app->next;
    if (app) json_put_u64(&call->w, "next", last);
    json_put_end(&call->w);
    node_api_reply(call);
}

static void no_app(struct api_call *call) {
    struct diag d = DIAG_INIT;
    err e = diag_set(&d, ERR_NOT_FOUND, DIAG_NOWHERE, "there is no app " STR_FMT "; orlo apps lists those that there are",
                     STR_ARG(call->params[API_PARAM_app]));
    node_api_fail(call, e, &d);
}

void node_api_app(struct api_call *call) {
    const struct control_app *app = node_control_app_named(call->control, call->params[API_PARAM_app]);
    if (!app) {
        no_app(call);
        return;
    }
    put_app(call, app);
    node_api_reply(call);
}

/* ---- what changes something ---- */

struct control_who *node_api_who(struct api_call *call) {
    struct control_who *who = arena_make(call->mem, struct control_who);
    bool any = call->who.node;
    for (uint32_t i = 0; i < call->who.hosts.n; i++) any |= str_eqc(call->who.hosts.p[i], "*");
    *who = (struct control_who){.node = any, .hosts = call->who.hosts.p, .hosts_count = call->who.hosts.n};
    if (call->who.token) who->name = arena_fmt(call->mem, "token %u", call->who.token);
    return who;
}

static void on_done(void *arg, const struct control_result *result) {
    struct api_call *call = arg;
    if (result->err != ERR_OK) node_api_fail_at(call, result->err, result->d, result->key, result->line);
    else node_api_empty(call);
}

static void on_app(void *arg, const struct control_result *result) {
    struct api_call *call = arg;
    const struct control_app *app = node_control_app_named(call->control, call->params[API_PARAM_app]);
    if (result->err != ERR_OK) {
        node_api_fail_at(call, result->err, result->d, result->key, result->line);
    } else if (!app) {
        no_app(call); /* deleted meanwhile */
    } else {
        put_app(call, app);
        node_api_reply(call);
    }
}

static uint32_t version_of(const struct api_call *call) { return (uint32_t)json_i64(node_api_member(call, "version")); }

void node_api_delete(struct api_call *call) {
    node_control_drop(call->control, call->params[API_PARAM_app], node_api_who(call), on_done, call);
}
void node_api_rollback(struct api_call *call) {
    node_control_rollback(call->control, call->params[API_PARAM_app], version_of(call), node_api_who(call), on_app, call);
}
void node_api_promote(struct api_call *call) {
    const struct json *share = node_api_member(call, "permille");
    node_control_promote(call->control, call->params[API_PARAM_app], version_of(call), share ? (uint32_t)json_i64(share) : 1000,
                         node_api_who(call), on_app, call);
}

/* ---- versions ---- */

void node_api_versions(struct api_call *call) {
    struct control_version *versions;
    uint32_t count;
    struct diag d = DIAG_INIT;
    char time[API_TIME_BYTES];
    err e = node_control_versions(call->control, call->mem, call->params[API_PARAM_app], &versions, &count, &d);
    if (e != ERR_OK) {
        node_api_fail(call, e, &d);
        return;
    }
    json_put_object(&call->w, NULL);
    json_put_array(&call->w, "versions");
    for (uint32_t i = 0; i < count; i++) {
        const struct control_version *v = &versions[i];
        json_put_object(&call->w, NULL);
        json_put_u64(&call->w, "version", v->version);
        json_put_bool(&call->w, "live", v->live);
        json_put_bool(&call->w, "canary", v->canary);
        json_put_cstr(&call->w, "created", node_api_time(v->created_s, time));
        json_put_str(&call->w, "by", v->by);
        json_put_u64(&call->w, "bytes", v->bytes);
        json_put_end(&call->w);
    }
    json_put_end(&call->w);
    json_put_end(&call->w);
    node_api_reply(call);
}

/* ---- secrets ---- */

void node_api_secrets(struct api_call *call) {
    struct control_secret *secrets;
    uint32_t count;
    struct diag d = DIAG_INIT;
    char time[API_TIME_BYTES];
    err e = node_control_secrets(call->control, call->mem, call->params[API_PARAM_app], &secrets, &count, &d);
    if (e != ERR_OK) {
        node_api_fail(call, e, &d);
        return;
    }
    json_put_object(&call->w, NULL);
    json_put_array(&call->w, "secrets");
    for (uint32_t i = 0; i < count; i++) {
        json_put_object(&call->w, NULL);
        json_put_str(&call->w, "key", secrets[i].key);
        json_put_cstr(&call->w, "changed", node_api_time(secrets[i].changed_s, time));
        json_put_end(&call->w);
    }
    json_put_end(&call->w);
    json_put_end(&call->w);
    node_api_reply(call);
}

void node_api_secret_set(struct api_call *call) {
    str value = json_str(node_api_member(call, "value"));
    struct diag d = DIAG_INIT;
    if (value.n > NODE_SECRET_BYTES_MAX) {
        err e = diag_set(&d, ERR_LIMIT, DIAG_NOWHERE, "a secret has at most %d KiB", NODE_SECRET_BYTES_MAX / 1024);
        node_api_fail(call, e, &d);
        return;
    }
    node_control_secret_set(call->control, call->params[API_PARAM_app], call->params[API_PARAM_secret], value, on_done, call);
}
void node_api_secret_delete(struct api_call *call) {
    node_control_secret_remove(call->control, call->params[API_PARAM_app], call->params[API_PARAM_secret], on_done, call);
}

/* ---- keys ---- */

static void on_service_role(void *arg, const struct control_result *result) {
    struct api_call *call = arg;
    const struct control_app *app = node_control_app_named(call->control, call->params[API_PARAM_app]);
    if (result->err != ERR_OK) {
        node_api_fail(call, result->err, result->d);
        return;
    }
    str *anon = call->state;
    json_put_object(&call->w, NULL);
    json_put_str(&call->w, "url", app ? node_control_app_url(call->mem, call->control, app->name) : (str){0});
    json_put_str(&call->w, "anon", *anon);
    json_put_str(&call->w, "service_role", result->text);
    json_put_end(&call->w);
    node_api_reply(call);
}

static void on_anon(void *arg, const struct control_result *result) {
    struct api_call *call = arg;
    str *anon = arena_make(call->mem, str);
    if (result->err != ERR_OK) {
        node_api_fail(call, result->err, result->d);
        return;
    }
    *anon = arena_str(call->mem, result->text);
    call->state = anon;
    node_keys_role(call->control, call->params[API_PARAM_app], STR("service_role"), on_service_role, call);
}

void node_api_keys(struct api_call *call) {
    if (!node_control_app_named(call->control, call->params[API_PARAM_app])) no_app(call);
    else node_keys_role(call->control, call->params[API_PARAM_app], STR("anon"), on_anon, call);
}
