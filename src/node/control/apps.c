/* apps: what is served, in memory. Of each app the records of the version that is live and of its canary, as the bytes that a snapshot has;
 * whoever wants more of one decodes it. With 10,000 apps that is a few megabytes.
 *
 * An app that has versions and none that is live is in the database alone.
 */
#include "node/control/acme.h"
#include "node/control/control_int.h"
#include <stdlib.h>

/* ---- a version that is served ---- */

static bool wants_more(const struct app_record *r) {
    bool more = r->hosts.n || r->auth.calls;
    for (uint32_t i = 0; i < r->functions.n && !more; i++) {
        const struct app_grants *g = &r->functions.p[i].grants;
        more = g->dirs.n || g->allow_http.n || g->net.n || g->forward_authority.n;
    }
    return more;
}

static void note_more(struct control_served *s, const struct app_record *r) {
    s->mem = arena_new(0);
    for (uint32_t i = 0; i < r->hosts.n; i++) vec_push(s->mem, &s->hosts, arena_str(s->mem, r->hosts.p[i]));
    for (uint32_t i = 0; i < r->functions.n; i++) {
        struct node_rights own;
        node_rights_of(s->mem, &own, &r->functions.p[i].grants);
        for (uint32_t k = 0; k < own.dirs.n; k++) own.dirs.p[k].path = arena_str(s->mem, own.dirs.p[k].path);
        node_rights_join(s->mem, &s->rights, &own);
    }
    if (r->auth.calls) { /* at whichever port a provider is: calls.h says to whom */
        const struct node_rights calls = {.network = NODE_RIGHTS_CONNECT, .any_port_out = true};
        node_rights_join(s->mem, &s->rights, &calls);
    }
}

struct control_served *node_served_new(const struct app_record *r) {
    struct buf b = {0};
    app_record_write(&b, r);
    struct control_served *s = malloc(sizeof *s + b.n);
    ENSURE(s);
    *s = (struct control_served){.version = r->version,
                                 .is_default = r->is_default,
                                 .server = r->database.engine == APP_DATABASE_SERVER,
                                 .bytes = {s->own, b.n}};
    memcpy(s->own, b.p, b.n);
    if (wants_more(r)) note_more(s, r);
    buf_free(&b);
    return s;
}

void node_served_record(arena *out, const struct control_served *s, struct app_record *r) {
    struct diag d = DIAG_INIT;
    ENSURE(app_record_decode(out, s->bytes, r, &d) == ERR_OK); /* it was written here */
}

void node_served_free(struct control_served *s) {
    if (!s) return;
    arena_free(s->mem);
    free(s);
}

/* ---- all apps ---- */

static struct control_app **chain(struct control *c, str name) { return &c->named[str_hash(name) % ARRAY_COUNT(c->named)]; }

struct control_app *node_control_app_named(const struct control *c, str name) {
    struct control_app *app = c->named[str_hash(name) % ARRAY_COUNT(c->named)];
    while (app && !str_eq(app->name, name)) app = app->next_named;
    return app;
}

struct control_app *node_control_app_numbered(const struct control *c, uint32_t id) {
    struct control_app *app = c->numbered[id % ARRAY_COUNT(c->numbered)];
    while (app && app->id != id) app = app->next_numbered;
    return app;
}

const struct app_record *node_control_app_record(arena *out, const struct control_app *app) {
    struct app_record *r = arena_make(out, struct app_record);
    node_served_record(out, app->state.live, r);
    return r;
}

/* Ids grow, so a new one is the last; but not those of a folder of an older format. */
static void link_app(struct control *c, struct control_app *app) {
    struct control_app *before = c->last, **named = chain(c, app->name),
                       **numbered = &c->numbered[app->id % ARRAY_COUNT(c->numbered)];
    while (before && before->id > app->id) before = before->previous;
    app->previous = before;
    app->next = before ? before->next : c->apps;
    *(before ? &before->next : &c->apps) = app;
    *(app->next ? &app->next->previous : &c->last) = app;
    app->next_named = *named, *named = app;
    app->next_numbered = *numbered, *numbered = app;
    c->apps_count++;
}

void node_control_app_put(struct control *c, uint32_t id, str name, const struct control_state *state) {
    struct control_app *app = node_control_app_named(c, name);
    if (!app) {
        app = calloc(1, sizeof *app);
        ENSURE(app && name.n <= APP_NAME_MAX);
        memcpy(app->own, name.p, name.n);
        app->id = id;
        app->name = (str){app->own, name.n};
        link_app(c, app);
    }
    node_hosts_remove(c, app);
    if (app->state.live != state->live) node_served_free(app->state.live);
    if (app->state.canary != state->canary) node_served_free(app->state.canary);
    app->state = *state;
    node_hosts_add(c, app);
    node_acme_changed(c);
}

void node_control_app_remove(struct control *c, struct control_app *app) {
    struct control_app **named = chain(c, app->name), **numbered = &c->numbered[app->id % ARRAY_COUNT(c->numbered)];
    while (*named != app) named = &(*named)->next_named;
    while (*numbered != app) numbered = &(*numbered)->next_numbered;
    *named = app->next_named;
    *numbered = app->next_numbered;
    *(app->previous ? &app->previous->next : &c->apps) = app->next;
    *(app->next ? &app->next->previous : &c->last) = app->previous;
    node_hosts_remove(c, app);
    node_served_free(app->state.live);
    node_served_free(app->state.canary);
    c->apps_count--;
    free(app);
    node_acme_changed(c);
}

/* ---- where an app is ---- */

/* "http://127.0.0.1:8080" and "shop": "http://shop.localhost:8080"; "https://example.org" of the domain example.org: "https://shop.example.org". */
str node_control_app_url(arena *out, const struct control *c, str app) {
    str url = str_c(c->url), scheme = str_starts(url, STR("https:")) ? STR("https") : STR("http"), port = {0};
    size_t colon = url.n;
    uint64_t number;
    while (colon && url.p[colon - 1] != ':') colon--;
    if (str_to_u64(str_sub(url, colon, url.n), &number) && number != (scheme.n == 5 ? 443 : 80))
        port = str_sub(url, colon, url.n);
    return arena_fmt(out, STR_FMT "://" STR_FMT ".%s%s" STR_FMT, STR_ARG(scheme), STR_ARG(app),
                     c->domain[0] ? c->domain : "localhost", port.n ? ":" : "", STR_ARG(port));
}
