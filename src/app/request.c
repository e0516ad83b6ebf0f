/* request: what is asked of an app, and for whom a guest calls (app.h). */
#include "app/app.h"
#include "app/hops.h"
#include "net/exchange.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

int app_out_write(const struct app_out *out, str bytes) {
    if (out->write) {
        out->write(out->arg, bytes);
        return 0;
    }
    while (out->fd >= 0 && bytes.n) {
        ssize_t n = write(out->fd, bytes.p, bytes.n);
        if (n < 0 && errno == EAGAIN)
            poll(&(struct pollfd){.fd = out->fd, .events = POLLOUT}, 1, -1); /* shared with a shell that set it so */
        else if (n < 0 && errno != EINTR) return errno;
        if (n > 0) bytes = str_sub(bytes, (size_t)n, bytes.n);
    }
    return 0;
}

void app_request_begin(struct app_request *rq, struct app *app, str id, void (*gone)(struct app_request *rq)) {
    *rq = (struct app_request){.app = app,
                               .id = id,
                               .principal = {.role = STR("anonymous")},
                               .deadline_ns = UINT64_MAX,
                               .out = app->nobody.out,
                               .err = app->nobody.err,
                               .fetches_left = UINT32_MAX,
                               .refs = 1,
                               .gone = gone};
}

struct app_request *app_request_ref(struct app_request *rq) {
    rq->refs++;
    return rq;
}

void app_request_unref(struct app_request *rq) {
    if (!rq || --rq->refs) return;
    free((void *)(uintptr_t)rq->loop.p);
    app_trace_end(&rq->trace);
    if (rq->gone) rq->gone(rq);
}

/* ---- what was lacking ---- */

static const struct {
    const char *key, *what;
} lacks[APP_LACK_KINDS] = {
#define X(name, key, what) {key, what},
#include "app/lack.def"
#undef X
};
const char *app_lack_key(enum app_lack kind) { return lacks[kind].key; }
const char *app_lack_what(enum app_lack kind) { return lacks[kind].what; }

void app_request_lacks(struct app_request *rq, enum app_lack kind, str value) {
    struct app_lacks *l = rq->lacks;
    if (LIKELY(!l) || l->count == ARRAY_COUNT(l->of)) return;
    value.n = MIN(value.n, sizeof l->of[0].value);
    for (uint32_t i = 0; i < l->count; i++)
        if (l->of[i].kind == kind && str_eq((str){(uint8_t *)l->of[i].value, l->of[i].n}, value)) return;
    l->of[l->count].kind = kind;
    l->of[l->count].n = (uint32_t)value.n;
    memcpy(l->of[l->count++].value, value.p, value.n);
}

/* ---- hops ---- */

/* All fields of that name, as one. */
static str loop_of(arena *out, const struct net_exchange *x) {
    const struct net_request *r = net_exchange_request(x);
    str loop = {};
    for (uint32_t i = 0; i < r->fields_count; i++) {
        if (!app_hops_field(r->fields[i].name)) continue;
        str value = r->fields[i].value;
        loop = loop.n ? arena_fmt(out, STR_FMT ", " STR_FMT, STR_ARG(loop), STR_ARG(value)) : value;
    }
    return loop;
}

str app_request_loop(arena *out, const struct app_request *rq) { return rq->exchange ? loop_of(out, rq->exchange) : rq->loop; }

uint32_t app_request_hops(const struct net_exchange *x, uint32_t app) {
    const struct net_request *r = net_exchange_request(x);
    uint32_t most = 0;
    for (uint32_t i = 0; i < r->fields_count; i++)
        if (UNLIKELY(app_hops_field(r->fields[i].name))) most = MAX(most, app_hops_count(r->fields[i].value, app));
    return most;
}

uint32_t app_request_change(const struct net_exchange *x, uint32_t app) {
    return app_request_hops(x, app) + APP_HOPS_NODE * app_request_hops(x, 0);
}

uint32_t app_request_depth(const struct app_request *rq) {
    uint32_t app = rq->app->id;
    if (rq->exchange) return app_request_change(rq->exchange, app);
    return app_hops_count(rq->loop, app) + APP_HOPS_NODE * app_hops_count(rq->loop, 0);
}

void app_request_over(struct app_request *rq) {
    if (rq->exchange && rq->refs > 1) {
        arena *scratch = arena_new(0);
        str loop = loop_of(scratch, rq->exchange); /* at most a head's bytes */
        uint8_t *own = loop.n ? malloc(loop.n) : NULL;
        ENSURE(own || !loop.n);
        if (loop.n) rq->loop = (str){memcpy(own, loop.p, loop.n), loop.n};
        arena_free(scratch);
    }
    rq->exchange = NULL;
}

struct app_request *app_request_in(struct host_instance *in) {
    struct host_invocation *inv = host_instance_current(in);
    return inv && inv->served ? inv->served : app_instance_of(in)->request;
}

struct app_request *app_request_of(const struct host_call *call) {
    return app_request_in(call->instance);
}
