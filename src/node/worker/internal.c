/* internal: http://NAME.internal (and Spin's http://NAME.spin.internal), by which a function reaches another of its app, of the same version: in this
 * process, without a socket.
 *
 *   guest ── wasi:http ──> node_internal: may it? ── net_fetch_local ──> node_internal_request ──> a request as any other, but
 *
 * 1. it has no more time than the one because of which it is made; it counts hops as all outgoing requests do (app/hops.h), so a circle ends;
 * 2. it waits before those from outside: what is under way goes first;
 * 3. it never waits for an instance that only those could give back who wait for such: where all that run of an app wait for others of it, it
 *    is turned away. */
#include "net/local.h"
#include "net/loop.h"
#include "node/worker/handler_int.h"

static bool ends(str *s, const char *end) {
    size_t n = strlen(end);
    if (s->n <= n || !str_eq_nocase(str_sub(*s, s->n - n, s->n), str_c(end))) return false;
    s->n -= n;
    return true;
}

/* The function that an authority names. NULL: none. */
static struct node_part *named(const struct node_app *app, str authority) {
    str name = authority;
    (void)ends(&name, ":80");
    if (!ends(&name, ".spin.internal") && !ends(&name, ".internal")) return NULL;
    for (uint32_t i = 0; i < app->record.functions.n; i++)
        if (str_eq_nocase(app->record.functions.p[i].name, name)) return &app->parts[i];
    return NULL;
}

static bool granted(const struct app_grants *g, str name) {
    for (uint32_t i = 0; i < g->functions.n; i++)
        if (str_eqc(g->functions.p[i], "*") || str_eq(g->functions.p[i], name)) return true;
    return false;
}

/* Of a request of an app's function; of nobody's (app.h) there is none. */
static struct node_request *request_of(struct app_request *rq) {
    return rq == &rq->app->nobody ? NULL : container_of(rq, struct node_request, rq);
}

static void on_request(struct net_exchange *x, void *caller) {
    struct app_request *rq = caller; /* its fetch is alive, so it is */
    struct node_app *app = container_of(rq->app, struct node_part, of)->app;
    struct node_part *part = named(app, net_exchange_request(x)->authority);
    ENSURE(part);
    node_handler_internal(app->guest->handler, x, part, request_of(rq), false);
}

enum app_local node_internal(struct app_request *rq, str authority, struct net_local *to) {
    const struct node_app *app = container_of(rq->app, struct node_part, of)->app;
    const struct node_part *part = app->guest->handler ? named(app, authority) : NULL;
    if (!part) return APP_LOCAL_NO;
    if (!granted(rq->app->grants, part->function->name)) return APP_LOCAL_DENIED;
    if (!to) return APP_LOCAL_YES;
    uint64_t now = clock_mono_ns(), left_ms = rq->deadline_ns > now ? (rq->deadline_ns - now) / 1'000'000 : 0;
    *to = (struct net_local){.on_request = on_request,
                             .arg = rq,
                             .peer = rq->exchange ? net_exchange_peer(rq->exchange) : STR("127.0.0.1"),
                             .handler_ms_max = (uint32_t)MIN(MAX(left_ms, (uint64_t)1), (uint64_t)NET_NO_LIMIT)};
    return APP_LOCAL_YES;
}

/* ---- who waits for whom ---- */

void node_internal_waits(struct node_request *r) {
    if (r->caller && !r->caller->calls_waiting++) r->app->blocked++;
}

void node_internal_waits_no_more(struct node_request *r) {
    if (r->caller && !--r->caller->calls_waiting) r->app->blocked--;
}

bool node_internal_stuck(const struct node_request *r) {
    uint32_t blocked = r->app->blocked + !r->caller->calls_waiting; /* if it waited */
    return blocked >= r->app->running;
}
