/* client: an app's connections: how many there are, and those that rest until they are used again.
 *
 * A connection is one client's, so one app's: no other app ever sends or reads on it. It rests only after a request and a response that
 * are both whole, and is used again for the same scheme, host and port, once its address is asked about again.
 */
#include "crypto/tls.h"
#include "net/client_int.h"

enum { SWEEP_MS = 50, SLOW_SWEEP_MS = 1000, CONNECTIONS_MAX = 256, RESTING_MAX = 64 };

/* ---- deadlines ---- */

uint64_t net_client_deadline(const struct net_client *c, uint32_t ms, uint32_t ms_default) {
    if (!ms) ms = ms_default;
    return ms == NET_NO_LIMIT ? 0 : net_loop_now_ns(c->loop) + ms * 1000000ull;
}

static void expire(struct http1_fetch *f) {
    switch (f->phase) {
    case NET_FETCH_WAITING: http1_fetch_fail(f, NET_CONNECTION_LIMIT_REACHED, "no connection became free in time"); break;
    case NET_FETCH_CONNECTING:
        if (net_dial_looks_up(f->wire->dial)) http1_fetch_fail(f, NET_DNS_TIMEOUT, "the name lookup took too long");
        else http1_fetch_fail(f, NET_CONNECTION_TIMEOUT, "connecting took too long");
        break;
    case NET_FETCH_SENT: http1_fetch_fail(f, NET_HTTP_RESPONSE_TIMEOUT, "no response came in time"); break;
    default: http1_fetch_fail(f, NET_CONNECTION_READ_TIMEOUT, "the response's body took too long"); break;
    }
}

static bool passed(uint64_t deadline, uint64_t now) { return deadline && now >= deadline; }

static void slow_down(struct net_client *c);

static void on_sweep(uv_timer_t *h) {
    struct net_client *c = container_of(h, struct net_client, sweep);
    uint64_t now = net_loop_now_ns(c->loop);
    for (struct http1_fetch *f = c->fetches; f; f = f->next) { /* told by job: f stays */
        if (f->phase == NET_FETCH_DONE || f->freed) continue;
        if (passed(f->deadline_ns, now)) expire(f);
        else if (passed(f->write_deadline_ns, now))
            http1_fetch_fail(f, NET_CONNECTION_WRITE_TIMEOUT, "the peer takes no more of the request");
    }
    for (struct net_wire *w = c->resting.prev, *prev; !c->fetches && w != &c->resting; w = prev) {
        prev = w->prev;
        if (now - w->rested_ns > NET_WIRE_REST_MS * 1'000'000ull || !net_wire_fit(w)) net_wire_free(w);
    }
    if (!c->fetches) slow_down(c);
}

/* Nothing is under way. What rests is looked at now and then, which is no reason for the loop to go on. */
static void slow_down(struct net_client *c) {
    if (!c->resting_count) {
        uv_timer_stop(&c->sweep);
    } else if (c->busy) {
        uv_timer_start(&c->sweep, on_sweep, SLOW_SWEEP_MS, SLOW_SWEEP_MS);
        uv_unref((uv_handle_t *)&c->sweep);
    }
    c->busy = false;
}

void net_client_busy(struct net_client *c) {
    if (c->busy) return;
    c->busy = true;
    uv_timer_start(&c->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    uv_ref((uv_handle_t *)&c->sweep);
}

/* ---- wires ---- */

static void wake_line(struct net_client *c) {
    for (struct http1_fetch *f = c->fetches; f; f = f->next)
        if (f->phase == NET_FETCH_WAITING && !f->freed) net_job_queue(c->loop, &f->job);
}

void net_client_wires(struct net_client *c, int change) {
    c->wires_count = (uint32_t)((int)c->wires_count + change);
    if (change < 0) wake_line(c);
}

struct net_wire *net_client_take(struct net_client *c, const char *key, bool *may) {
    uint32_t max = c->c.connections_max ? c->c.connections_max : CONNECTIONS_MAX;
    for (struct net_wire *w = c->resting.next, *next; w != &c->resting; w = next) {
        next = w->next;
        if (strcmp(w->key, key) != 0) continue;
        if (!net_wire_fit(w)) {
            net_wire_free(w);
            continue;
        }
        w->prev->next = w->next;
        w->next->prev = w->prev;
        w->prev = w->next = NULL;
        c->resting_count--;
        w->reused = true;
        return w;
    }
    if (c->wires_count >= max && c->resting_count) net_wire_free(c->resting.prev);
    *may = c->wires_count < max;
    return NULL;
}

void net_client_give(struct net_client *c, struct net_wire *w) {
    uint32_t max = c->c.idle_max ? c->c.idle_max : RESTING_MAX;
    if (c->resting_count >= max) net_wire_free(c->resting.prev);
    w->next = c->resting.next;
    w->prev = &c->resting;
    w->next->prev = w->prev->next = w;
    c->resting_count++;
    w->rested_ns = net_loop_now_ns(c->loop);
    net_wire_rest(w);
    wake_line(c);
}

struct crypto_tls_trust *net_client_trust(struct net_client *c) {
    if (c->trust) return c->trust;
    c->trust = crypto_tls_trust_new(c->ca_file[0] ? c->ca_file : NULL);
    if (c->trust && c->cert_file && !crypto_tls_trust_show(c->trust, c->cert_file, c->key_file)) {
        crypto_tls_trust_free(c->trust);
        c->trust = NULL;
    }
    return c->trust;
}

/* ---- life ---- */

err net_client_new(const struct net_client_config *config, struct net_client **out, struct diag *d) {
    *out = NULL;
    struct net_client *c = calloc(1, sizeof *c);
    ENSURE(c);
    c->loop = config->loop;
    c->c = *config;
    c->resting.next = c->resting.prev = &c->resting;
    if (config->ca_file.n >= sizeof c->ca_file) {
        free(c);
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "the name of the certificate file is too long");
    }
    snprintf(c->ca_file, sizeof c->ca_file, STR_FMT, STR_ARG(config->ca_file));
    c->cert_file = config->cert_file, c->key_file = config->key_file;
    if (config->trust_now && !net_client_trust(c)) {
        err e = diag_set(d, ERR_IO, DIAG_NOWHERE, "the certificates to trust cannot be read%s%s", config->ca_file.n ? ": " : "",
                         c->ca_file);
        free(c);
        return e;
    }
    ENSURE(uv_timer_init(&c->loop->uv, &c->sweep) == 0);
    *out = c;
    return ERR_OK;
}

static void on_closed(uv_handle_t *h) { free(container_of(h, struct net_client, sweep)); }

void net_client_free(struct net_client *c) {
    if (!c) return;
    while (c->fetches) {
        ENSURE(c->fetches->freed);
        struct net_job *job = &c->fetches->job;
        net_job_cancel(job);
        http1_fetch_job(job);
    }
    while (c->resting_count) net_wire_free(c->resting.prev);
    crypto_tls_trust_free(c->trust);
    uv_close((uv_handle_t *)&c->sweep, on_closed);
}
