/* front: whom a request is for, before anybody is asked to serve it.
 *
 *   host ──> app ──> version ──> route ─┬─> function: its path is what the function is to see of it
 *                                       ├─> static folder
 *                                       └─> redirect: answered here
 *
 * 1. Nothing of it depends on what the app's guest says or on its image: what is answered here is answered while there is none.
 */
#include "node/worker/handler_int.h"
#include <stdlib.h>

static struct node_part *answer(struct node_request *r, enum node_refusal what) {
    node_refuse(r, what);
    node_handler_answered(r);
    return NULL;
}

/* ---- paths ---- */

/* What is left of the path when its first n bytes are off: it begins with a slash. */
static void strip(struct node_request *r, size_t n) {
    str rest = str_sub(r->path, n, r->path.n);
    if (!n) return;
    if (!rest.n) rest = STR("/");
    else if (rest.p[0] != '/') { /* "?query" */ r->seen = malloc(rest.n + 1);
        ENSURE(r->seen);
        r->seen[0] = '/';
        memcpy(r->seen + 1, rest.p, rest.n);
        rest = (str){r->seen, rest.n + 1};
    }
    net_exchange_set_path(r->exchange, rest);
}

void node_front_forget(struct node_request *r) {
    if (r->exchange && r->path.p) net_exchange_set_path(r->exchange, r->path);
    free(r->seen);
    r->seen = NULL;
}

/* ---- redirects ---- */

/* Where it leads: with the rest of the path, which stays a path whatever slashes it begins with, and the query. */
static void put_location(struct buf *to, const struct app_redirect *d, str rest) {
    size_t query = str_find(rest, '?'), own_query = str_find(d->to, '?'), slashes = 0;
    str path = str_sub(rest, 0, query), asked = str_sub(rest, query, rest.n), target = str_sub(d->to, 0, own_query);
    while (slashes < path.n && (path.p[slashes] == '/' || path.p[slashes] == '\\')) slashes++;
    if (slashes && target.n && target.p[target.n - 1] == '/') target.n--;
    buf_puts(to, target);
    if (slashes) buf_putc(to, '/');
    for (size_t i = slashes; i < path.n; i++)
        if (path.p[i] == '\\') buf_printf(to, "%%5C"); /* some read it as a slash */
        else buf_putc(to, path.p[i]);
    buf_puts(to, str_sub(d->to, own_query, d->to.n));
    if (asked.n && own_query < d->to.n) buf_putc(to, '&'), asked = str_sub(asked, 1, asked.n);
    buf_puts(to, asked);
}

static struct node_part *redirect(struct node_request *r, const struct app_redirect *to) {
    struct buf location = {0};
    put_location(&location, to, str_sub(r->path, r->matched, r->path.n));
    struct net_field fields[] = {{STR("location"), buf_str(&location)}, {STR("x-request-id"), str_c(r->id)}};
    err e = net_exchange_reply(r->exchange, to->status, fields, ARRAY_COUNT(fields), STR(""));
    if (e != ERR_OK) log_event(LOG_DEBUG, "redirect-not-sent", LF_CSTR("request", r->id), LF_CSTR("reason", err_text(e)));
    buf_free(&location);
    node_handler_answered(r);
    return NULL;
}

/* ---- routes ---- */

static struct node_part *to_function(struct node_request *r, uint32_t index, const struct node_route *route) {
    const struct app_function *f = &r->app->record.functions.p[index];
    static const char supabase[] = "/functions/v1";
    if (route->strip) strip(r, r->matched);
    else if (f->supabase && str_starts(route->path, STR("/functions/v1/"))) strip(r, sizeof supabase - 1);
    return &r->app->parts[index];
}

struct node_part *node_front_route(struct node_request *r) {
    struct node_apps *apps = r->handler->apps;
    const struct node_entry *e = node_apps_at(apps, net_exchange_request(r->exchange)->authority);
    if (!e) return answer(r, NODE_REFUSE_NO_HOST);
    const struct node_route *route = node_apps_route(apps, e, NODE_LIVE, r->path);
    if (!route) return answer(r, NODE_REFUSE_NO_ROUTE);
    r->app = node_apps_app(apps, e, NODE_LIVE);
    if (!r->app) return answer(r, NODE_REFUSE_NO_APP);
    if (!node_handler_admit(r)) return NULL;
    r->matched = node_route_matched(route, r->path);
    switch ((enum app_route_to)route->to) {
    case APP_TO_FUNCTION: return to_function(r, route->index, route);
    case APP_TO_FILES: return &r->app->parts[r->app->record.functions.n + route->index];
    case APP_TO_REDIRECT: return redirect(r, &r->app->record.redirects.p[route->index]);
    default: return answer(r, NODE_REFUSE_NO_ROUTE);
    }
}
