/* sample: what a worker measures of itself and its apps from time to time, rather than counts as it happens (meters.h): how long the loop's
 * turns take, its connections, and what apps have of memory, instances and processor time.
 *
 *   the loop is about to wait ──> the turn's length; a quarter of a second after the last look, a look
 *   nothing has happened for a while (guest.c) ──> a look, so that what is seen of a worker that sleeps is how it fell asleep
 *
 * A look costs about 50 ns an app that has had a request since this worker started.
 */
#include "net/loop.h"
#include "net/server.h"
#include "node/meters.h"
#include "node/worker/apps.h"
#include <stdlib.h>

enum { LOOK_NS = 250'000'000 };

struct node_sample {
    struct node_guest *guest;
    struct net_server **servers;
    uint32_t *servers_count;
    struct net_server_stats last; /* of all servers together */
    uint64_t due_ns;
};

static void add_stats(struct net_server_stats *sum, const struct net_server_stats *s) {
    sum->accepted += s->accepted, sum->refused += s->refused, sum->evicted += s->evicted;
    sum->bad_requests += s->bad_requests, sum->bytes_in += s->bytes_in, sum->bytes_out += s->bytes_out;
    sum->connections += s->connections, sum->idle += s->idle;
}

static void look_at_servers(struct node_sample *s) {
    struct node_meter_worker *m = &node_meters->worker;
    struct net_server_stats now = {0}, *last = &s->last;
    for (uint32_t i = 0; i < *s->servers_count; i++) {
        struct net_server_stats one = net_server_stats(s->servers[i]);
        add_stats(&now, &one);
    }
    node_meter_add(&m->accepted, now.accepted - last->accepted);
    node_meter_add(&m->refused, now.refused - last->refused);
    node_meter_add(&m->evicted, now.evicted - last->evicted);
    node_meter_add(&m->bad_requests, now.bad_requests - last->bad_requests);
    node_meter_add(&m->bytes_in, now.bytes_in - last->bytes_in);
    node_meter_add(&m->bytes_out, now.bytes_out - last->bytes_out);
    node_meter_set(&node_meters->worker_now.connections, now.connections);
    node_meter_set(&node_meters->worker_now.connections_idle, now.idle);
    *last = now;
}

/* What its share has used since it was last looked at. Of several versions with one share the first one tells. */
static void look_at_app(struct node_app *app) {
    struct engine_share_use use = engine_share_use(app->share);
    struct node_app_sampled *last = app->sampled;
    struct node_meters_app *m = app->meters;
    node_meter_add(&m->counts.cpu_ns, use.cpu_ns - last->cpu_ns);
    node_meter_add(&m->counts.resets, use.resets - last->resets);
    node_meter_add(&m->counts.reset_bytes, use.reset_bytes - last->reset_bytes);
    *last = (struct node_app_sampled){use.cpu_ns, use.resets, use.reset_bytes, last->versions, last->requests};
    if (!m->id) return; /* all others' row: a gauge of one would be taken for theirs */
    node_meter_set(&m->now.memory_bytes, use.bytes);
    node_meter_set(&m->now.instances, use.slots);
}

void node_sample_take(struct node_sample *s) {
    for (struct node_app *app = s->guest->apps; app; app = app->next) app->sampled->requests = 0;
    for (struct node_app *app = s->guest->apps; app; app = app->next) {
        look_at_app(app);
        app->sampled->requests += app->requests;
        if (app->meters->id) node_meter_set(&app->meters->now.requests_now, app->sampled->requests);
    }
    look_at_servers(s);
    node_meter_set(&node_meters->worker_now.memory_bytes, engine_bytes(s->guest->engine));
}

static void on_rest(void *arg, uint64_t busy_ns) {
    struct node_sample *s = arg;
    node_meter_time(&node_meters->worker.turns, busy_ns);
    uint64_t now = net_loop_now_ns(s->guest->loop);
    if (now < s->due_ns) return;
    s->due_ns = now + LOOK_NS;
    node_sample_take(s);
}

struct node_sample *node_sample_new(struct node_guest *g, struct net_server **servers, uint32_t *count) {
    struct node_sample *s = calloc(1, sizeof *s);
    ENSURE(s);
    *s = (struct node_sample){.guest = g, .servers = servers, .servers_count = count};
    g->sample = s;
    net_loop_on_rest(g->loop, on_rest, s);
    return s;
}

void node_sample_free(struct node_sample *s) {
    if (!s) return;
    net_loop_on_rest(s->guest->loop, NULL, NULL);
    s->guest->sample = NULL;
    free(s);
}

/* ---- what was seen of an app's share ---- */

struct node_app_sampled *node_app_sampled_of(struct node_guest *g, const struct node_app *app) {
    for (struct node_app *other = g->apps; other; other = other->next)
        if (other->share == app->share) {
            other->sampled->versions++;
            return other->sampled;
        }
    struct node_app_sampled *s = calloc(1, sizeof *s);
    ENSURE(s);
    s->versions = 1;
    return s;
}

void node_app_sampled_drop(struct node_app *app) {
    look_at_app(app);
    if (!--app->sampled->versions) free(app->sampled);
}
