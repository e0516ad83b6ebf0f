/* api_node: the node as a whole. */
#include "node/control/api_int.h"
#include "node/control/blobs.h"
#include "node/control/places.h"
#include <stdlib.h>

void node_api_openapi(struct api_call *call) {
    static struct buf document; /* as long as the process */
    if (!document.n) node_api_document(&document);
    node_api_text(call, "application/json", buf_str(&document));
}

static uint32_t apps_count(const struct api_call *call) {
    uint32_t n = 0;
    for (const struct control_app *app = call->control->apps; app; app = app->next)
        n += call->who.node || str_eq(call->who.app, app->name);
    return n;
}

void node_api_status(struct api_call *call) {
    struct control *c = call->control;
    json_put_object(&call->w, NULL);
    json_put_cstr(&call->w, "version", ORLO_VERSION);
    json_put_cstr(&call->w, "url", c->url);
    json_put_u64(&call->w, "apps", apps_count(call));
    json_put_u64(&call->w, "generation", c->generation);
    json_put_u64(&call->w, "uptime_ms", node_api_uptime_ms(c));
    json_put_u64(&call->w, "deployments", node_api_deployments_count());
    json_put_u64(&call->w, "uploads", node_uploads_count(c));
    if (call->who.node) node_api_put_node(call);
    json_put_array(&call->w, "notes");
    if (call->who.node) node_api_put_notes(call);
    node_api_put_certificates(call);
    for (const struct control_app *app = c->apps; app; app = app->next) {
        const char *note = call->who.node || str_eq(call->who.app, app->name) ? node_places_note(c, call->mem, app) : NULL;
        if (!note) continue;
        json_put_object(&call->w, NULL);
        json_put_str(&call->w, "app", app->name);
        json_put_cstr(&call->w, "text", note);
        json_put_end(&call->w);
    }
    json_put_end(&call->w);
    json_put_end(&call->w);
    node_api_reply(call);
}

/* Who waits for a reload: answered in the order in which they asked. */
static struct waiting {
    struct waiting *next;
    struct api_call *call; /* NULL: it is gone */
} * reloads;

static void reload_gone(struct api_call *call) {
    struct waiting *w = call->state;
    w->call = NULL;
    node_api_end(call);
}

void node_api_reload(struct api_call *call) {
    struct waiting *w = calloc(1, sizeof *w), **at = &reloads;
    ENSURE(w);
    w->call = call;
    while (*at) at = &(*at)->next;
    *at = w;
    call->state = w;
    call->on_gone = reload_gone;
    node_control_tell(call->control, &NODE_MESSAGE(reload));
}

void node_api_reloaded(struct api *api, const struct node_msg_reloaded *m) {
    struct waiting *w = reloads;
    struct diag d = DIAG_INIT;
    if (!w) return;
    reloads = w->next;
    struct api_call *call = w->call;
    free(w);
    if (!call) return;
    call->on_gone = NULL;
    if (node_diag_of(&d, m->err, DIAG_NOWHERE, m->text) != ERR_OK) {
        node_api_fail(call, m->err, &d);
        return;
    }
    json_put_object(&call->w, NULL);
    json_put_cstr(&call->w, "text", "the configuration was read again, and is at work");
    json_put_end(&call->w);
    node_api_reply(call);
}

void node_api_release(struct api_call *call) {
    struct control *c = call->control;
    const struct control_app *app = node_control_app_named(c, call->params[0]);
    struct diag d = DIAG_INIT;
    if (app && node_places_lift(c, app->id)) {
        node_control_publish_again(c);
        node_api_empty(call);
        return;
    }
    err e = diag_set(&d, ERR_NOT_FOUND, DIAG_NOWHERE,
                     app ? "the app has no worker of its own: it is where it was configured to be" : "there is no such app");
    node_api_fail(call, e, &d);
}
