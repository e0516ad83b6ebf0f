/* relay: see relay.h. */
#include "net/relay.h"
#include "net/client.h"
#include "net/http1.h"
#include "net/loop_int.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct relay {
    struct net_exchange *x; /* NULL: it has ended */
    struct net_loop *loop;
    struct net_client *client;
    struct net_fetch *fetch;
    struct net_job
        job; /* gives the other end away, or ends the relay: nothing is freed from inside of a callback of what it has */
    struct net_pass to;
    struct net_handover h;
    uint8_t peer[128];
    int ours, theirs; /* -1: given */
    bool asked;       /* the request's body is at its end */
    bool headed, over;
};

static int open_ours(void *arg) {
    struct relay *r = arg;
    int fd = r->ours;
    r->ours = -1;
    if (fd < 0) errno = ECONNREFUSED; /* there is no second one: what broke stays so */
    return fd;
}

static void done(struct relay *r) {
    r->over = true;
    net_job_queue(r->loop, &r->job);
}

static void end_exchange(struct relay *r) {
    struct net_exchange *x = r->x;
    r->x = NULL;
    if (!x) return;
    net_exchange_listen(x, NULL, NULL);
    net_source_notify(net_exchange_source(x), NULL, NULL);
    net_sink_notify(net_exchange_sink(x), NULL, NULL);
    net_exchange_end(x);
}

/* Nobody answers there. */
static void fail(struct relay *r, uint16_t status, const char *why) {
    struct net_field type = {STR("content-type"), STR("text/plain; charset=utf-8")};
    if (r->x && net_exchange_retract(r->x)) {
        err e = net_exchange_reply(r->x, status, &type, 1, str_c(why));
        (void)e; /* the client is gone: it hears nothing */
    } else if (r->x) {
        net_sink_abort(net_exchange_sink(r->x), NET_HTTP_RESPONSE_INCOMPLETE);
    }
    end_exchange(r);
    done(r);
}

/* ---- the request's body ---- */

static void pump_up(void *arg) {
    struct relay *r = arg;
    struct net_source *from;
    struct net_sink *to;
    str data;
    if (!r->x || r->over || r->asked) return;
    from = net_exchange_source(r->x);
    to = net_fetch_sink(r->fetch);
    for (;;) {
        uint32_t count;
        size_t room = net_sink_room(to);
        switch (net_source_peek(from, &data)) {
        case NET_FLOW_DATA: {
            size_t n = MIN(room, data.n);
            if (!n) return;
            if (net_sink_write(to, str_sub(data, 0, n)) != ERR_OK) return;
            net_source_consume(from, n);
            break;
        }
        case NET_FLOW_WAIT: return;
        case NET_FLOW_END: {
            const struct net_field *trailers = net_source_trailers(from, &count);
            r->asked = true;
            if (net_sink_finish(to, trailers, count) != ERR_OK) net_sink_abort(to, NET_CONNECTION_TERMINATED);
            return;
        }
        default:
            r->asked = true;
            net_sink_abort(to, net_source_error(from));
            if (net_exchange_body_status(r->x)) fail(r, net_exchange_body_status(r->x), "the request's body is not whole\n");
            return;
        }
    }
}

/* ---- the response ---- */

static void pump_down(void *arg) {
    struct relay *r = arg;
    struct net_source *from;
    struct net_sink *to;
    str data;
    if (!r->x || r->over || !r->headed) return;
    from = net_fetch_source(r->fetch);
    to = net_exchange_sink(r->x);
    for (;;) {
        uint32_t count;
        switch (net_source_peek(from, &data)) {
        case NET_FLOW_DATA: {
            size_t n = MIN(net_sink_room(to), data.n);
            if (!n) return;
            if (net_sink_write(to, str_sub(data, 0, n)) != ERR_OK) {
                fail(r, 502, "what was answered is not what was announced\n");
                return;
            }
            net_source_consume(from, n);
            break;
        }
        case NET_FLOW_WAIT: return;
        case NET_FLOW_END: {
            const struct net_field *trailers = net_source_trailers(from, &count);
            if (net_sink_finish(to, trailers, count) != ERR_OK) {
                fail(r, 502, "what was answered is not what was announced\n");
                return;
            }
            end_exchange(r);
            done(r);
            return;
        }
        default: fail(r, 502, "whoever answered went away\n"); return;
        }
    }
}

static void on_fetch(void *arg) {
    struct relay *r = arg;
    const struct net_response *a = net_fetch_response(r->fetch);
    if (!r->x || r->over) return;
    if (!a) {
        if (net_fetch_error(r->fetch) != NET_OK) fail(r, 503, "nobody takes it now; try again\n");
        return;
    }
    if (!r->headed) {
        r->headed = true;
        if (net_exchange_respond(r->x, a->status, a->fields, a->fields_count) != ERR_OK) {
            fail(r, 502, "what was answered is no answer\n");
            return;
        }
    }
    pump_down(r);
}

static void on_event(void *arg, enum net_event event) {
    struct relay *r = arg;
    if (event == NET_EVENT_DEADLINE) {
        fail(r, 504, "it took too long\n");
        return;
    }
    end_exchange(r);
    done(r);
}

/* ---- life ---- */

static void relay_free(struct relay *r) {
    end_exchange(r);
    if (r->fetch) net_fetch_free(r->fetch);
    net_client_free(r->client);
    if (r->to.give && r->to.drop) r->to.drop(r->to.arg);
    if (r->ours >= 0) close(r->ours);
    if (r->theirs >= 0) close(r->theirs);
    net_job_cancel(&r->job);
    free(r);
}

static void on_job(struct net_job *job) {
    struct relay *r = container_of(job, struct relay, job);
    struct net_pass to = r->to;
    if (!r->over && to.give) {
        r->to.give = NULL;
        r->h.fd = r->theirs;
        if (!to.give(to.arg, &r->h)) fail(r, 503, "whoever is to answer takes no more now; try again\n");
        close(r->theirs);
        r->theirs = -1;
    }
    if (r->over) relay_free(r);
    else pump_up(r);
}

static void begin(struct relay *r, struct net_exchange *x) {
    const struct net_request *rq = net_exchange_request(x);
    struct net_field *fields = calloc(rq->fields_count + 1, sizeof *fields);
    uint32_t n = 0;
    ENSURE(fields);
    for (uint32_t i = 0; i < rq->fields_count; i++)
        if (!http1_field_hop(rq->fields[i].name)) fields[n++] = rq->fields[i];
    struct net_fetch_request ask = {.method = rq->method,
                                    .scheme = STR("http"),
                                    .authority = rq->authority,
                                    .path = rq->path,
                                    .fields = fields,
                                    .fields_count = n,
                                    .has_body = rq->has_body,
                                    .first_byte_ms_max = NET_NO_LIMIT,
                                    .between_bytes_ms_max = NET_NO_LIMIT}; /* those of the exchange hold */
    enum net_error e = net_fetch_new(r->client, &ask, on_fetch, r, &r->fetch);
    free(fields);
    r->x = x;
    net_exchange_listen(x, on_event, r);
    net_exchange_amend(x, NULL, NULL);
    if (e != NET_OK) {
        fail(r, 400, "it cannot be asked for so\n");
        return;
    }
    net_source_notify(net_exchange_source(x), pump_up, r);
    net_sink_notify(net_exchange_sink(x), pump_down, r);
    net_sink_notify(net_fetch_sink(r->fetch), pump_up, r);
    net_source_notify(net_fetch_source(r->fetch), pump_down, r);
}

err net_relay(struct net_loop *l, struct net_exchange *x, const struct net_pass *to, const struct net_handover *h) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) return ERR_IO;
    struct relay *r = calloc(1, sizeof *r);
    struct diag d = DIAG_INIT;
    ENSURE(r);
    *r = (struct relay){.loop = l, .to = *to, .h = *h, .ours = pair[0], .theirs = pair[1], .job.fn = on_job};
    memcpy(r->peer, h->peer, MIN(h->peer_n, sizeof r->peer));
    r->h.peer = r->peer;
    r->h.bytes = (str){0};
    r->h.relayed = true;
    err e = net_client_new(&(struct net_client_config){.loop = l, .connections_max = 1, .open = open_ours, .open_arg = r},
                           &r->client, &d);
    if (e != ERR_OK) {
        close(pair[0]);
        close(pair[1]);
        free(r);
        return ERR_IO;
    }
    net_job_queue(l, &r->job);
    begin(r, x);
    return ERR_OK;
}
