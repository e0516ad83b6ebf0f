/* p3: a WASI 0.3 component that serves: wasi:http/handler.
 *
 * A *home* is an instance, a *call* one task in it, which serves one run (a request). An instance serves one request and is reset, or,
 * with instance_requests, several at a time and one after another.
 *
 *   run   ── start ──> SERVED ── response out, or failed, or killed ──> reported (run->state is not the call any more)
 *   call  ── begin ──> RUNNING ── run reported ──> LINGERING ── task ended ──> freed     (or the task ends first)
 *                                                      └── due: the home is killed, or retired until its other requests are done
 *   home  ── new ──> OPEN <──> FULL ── worn, retired, dead ──> no calls, no fibers ──> released
 *
 * A request for a WebSocket is reported with its 101; its call goes on with a *socket* (p3/websocket.h) until that is over, and lingers only then.
 *
 * 1. What a guest does after its response is out is bounded: linger_ms, after cancelling cancel_ms. It never holds the connection.
 * 2. A trap ends every request of its home, each with a status of its own; the one whose task trapped has the backtrace.
 * 3. Homes are released and calls are freed in the app's turn alone, on the loop's stack.
 */
#include "wasi/http/outgoing.h"
#include "wasi/p3/http.h"
#include "wasi/p3/websocket.h"
#include <stdlib.h>

enum { TICK_MS = 50, LOOK_AT = 8, IDS_BYTES = 640 };

struct link {
    struct link *next, *prev; /* to itself: the head of an empty list. NULL: in no list */
};
static void link_init(struct link *head) { head->next = head->prev = head; }
static void link_first(struct link *head, struct link *l) {
    *l = (struct link){head->next, head};
    head->next->prev = l;
    head->next = l;
}
static void link_remove(struct link *l) {
    if (!l->next) return;
    l->next->prev = l->prev;
    l->prev->next = l->next;
    *l = (struct link){};
}
static bool link_empty(const struct link *head) { return head->next == head; }

struct socket {
    struct wasi_p3_socket s;
    struct service *service;
    struct call *call; /* NULL: gone, with its instance; the client is still told */
    struct link of_service;
};
struct call {
    struct host_invocation inv;
    struct home *home;
    struct wasi_run *run;                     /* NULL: reported */
    struct app_request *served;               /* referenced */
    struct wasi3_http_types_request *request; /* referenced, until the run is reported */
    struct socket *socket;                    /* NULL: none, or over */
    union {
        struct {
            struct wasi3_http_types_request *request;
        } args;
        struct wasi_p3_socket_args socket_args;
    };
    union {
        struct wasi_p3_result_http_types_response_http_types_error_code result;
        struct wasi_websocket_result_stream_websocket_types_frame_string socket_result;
    };
    struct wasi_p3_inlet inlet;
    struct wasi_p3_outlet outlet;
    bool begun, response_over, task_over, overdue;
    uint64_t due_ns;       /* while it lingers */
    struct link lingering; /* of the service */
    struct link of_home;
};
struct home {
    struct wasi_instance of; /* the user of `in` */
    struct service *service;
    struct host_instance *in;
    struct link calls;
    uint32_t calls_count, runs_count, overdue_count, served;
    uint32_t pins;                       /* reported runs that show its trap record */
    bool started, retired, killed, dead; /* killed: by us, so that there is no trap to show */
    uint64_t idle_since_ns;
    struct link open;    /* of the service: it takes requests */
    struct link settled; /* of the service: to be looked at in the turn */
};
struct service {
    struct wasi_image *image;
    const struct host_export *handle, *websocket; /* one of them may be NULL: it does not export that */
    bool starts;
    struct link open, settled, lingering, sockets;
    uint32_t sockets_count;
    struct net_timer *timer;
    bool ticking;
    struct home *free_homes;
    struct call *free_calls;
};

static struct call *call_of(struct host_invocation *inv) { return container_of(inv, struct call, inv); }

static void settle(struct home *h) {
    if (h->settled.next) return;
    link_first(&h->service->settled, &h->settled);
    app_news(h->of.base.app);
}

static void retire(struct home *h) {
    h->retired = true;
    link_remove(&h->open);
}

/* ---- calls ---- */

/* One call: whatever runs there is its. Of several, the host knows whose task runs (host_invocation). */
static void know_whom(struct home *h) {
    struct call *only = h->calls_count == 1 ? container_of(h->calls.next, struct call, of_home) : NULL;
    h->of.base.request = only ? only->served : &h->of.base.app->nobody;
}

static struct call *call_new(struct home *h, struct wasi_run *run) {
    struct service *s = h->service;
    struct call *c = s->free_calls;
    if (c) s->free_calls = (struct call *)c->lingering.next;
    else c = malloc(sizeof *c);
    ENSURE(c);
    memset(c, 0, sizeof *c);
    c->home = h;
    c->run = run;
    c->served = app_request_ref(run->request);
    link_first(&h->calls, &c->of_home);
    h->calls_count++;
    h->runs_count++;
    h->served++;
    know_whom(h);
    return c;
}

static void call_free(struct call *c) {
    struct service *s = c->home->service;
    if (c->overdue) c->home->overdue_count--;
    c->home->calls_count--;
    link_remove(&c->of_home);
    link_remove(&c->lingering);
    know_whom(c->home);
    c->served->meter.spent = NULL;
    app_request_unref(c->served);
    c->lingering.next = (struct link *)s->free_calls;
    s->free_calls = c;
}

static bool call_over(const struct call *c) { return !c->run && !c->socket && (c->task_over || !c->begun); }

static void overdue(struct call *c);

/* It has computed all that its request may, and its response is out. */
static void on_spent(void *arg) { overdue(arg); }

static void linger(struct call *c) {
    struct home *h = c->home;
    c->due_ns = clock_mono_ns() + h->of.base.app->limits->handler_ms_max * 1'000'000;
    link_first(&h->service->lingering, &c->lingering);
}

/* The run's outcome is known: the exchange may end from here on. */
static void report(struct call *c) {
    struct wasi_run *run = c->run;
    struct home *h = c->home;
    c->run = NULL;
    h->runs_count--;
    wasi_p3_inlet_detach(&c->inlet);
    wasi_p3_outlet_stop(&c->outlet, NET_CONNECTION_TERMINATED);
    if (c->request) wasi_p3_request_detach(c->request);
    c->request = NULL;
    run->state = NULL;
    if (run->outcome.trap) {
        run->state = h;
        h->pins++;
    }
    if (!c->task_over && c->begun && !h->dead) {
        if (!c->socket) linger(c);
        c->served->meter.spent = on_spent;
        c->served->meter.arg = c;
    }
    if (call_over(c)) settle(h);
    wasi_run_finished(run);
}

static void fail(struct call *c, enum wasi_end end, const char *why) {
    if (!c->run) return;
    wasi_run_end(c->run, end, "%s", why);
    report(c);
}

/* Once the response is out, what is left of the request's body is waited for only by a guest that still wants it. */
static void maybe_report(struct call *c) {
    if (!c->run || !c->response_over) return;
    bool wants_body = net_exchange_request(c->run->request->exchange)->has_body && !c->inlet.over;
    if (!wants_body || c->task_over) fail(c, WASI_END_OK, "");
}

static void on_inlet_over(void *arg) { maybe_report(arg); }

static void on_task_over(struct host_invocation *inv, void *arg) {
    struct call *c = arg;
    c->task_over = true;
    maybe_report(c);
    settle(c->home);
}

/* ---- the response ---- */

static void on_response_over(void *arg, enum net_error e, const struct wasi3_http_types_error_code *code) {
    struct call *c = arg;
    if (!c->run) return;
    bool gone = net_sink_error(net_exchange_sink(c->run->request->exchange)) != NET_OK;
    if (e == NET_OK) {
        c->response_over = true;
        maybe_report(c);
    } else if (gone) {
        fail(c, WASI_END_CLIENT_GONE, "");
    } else if (code) {
        fail(c, WASI_END_ERROR, net_error_wit(wasi_p3_error_of(code)));
    } else if (e == NET_HTTP_RESPONSE_BODY_SIZE) {
        fail(c, WASI_END_BAD_RESPONSE, "its body is not as long as its content-length says");
    } else {
        fail(c, WASI_END_NO_RESPONSE, net_error_text(e));
    }
}

static void respond(struct call *c, struct wasi3_http_types_response *r) {
    struct net_exchange *x = c->run->request->exchange;
    const struct net_field *fields = wasi_http_fields_array(&c->inv.call, &r->headers->f);
    err e = fields ? net_exchange_respond(x, r->status, fields, r->headers->f.count) : ERR_INVALID;
    if (e != ERR_OK) {
        fail(c, e == ERR_CLOSED ? WASI_END_CLIENT_GONE : WASI_END_BAD_RESPONSE,
             e == ERR_CLOSED ? "" : "its status or headers cannot be sent");
        return;
    }
    c->outlet = (struct wasi_p3_outlet){.in = c->home->in,
                                        .sink = net_exchange_sink(x),
                                        .wrong_size = NET_HTTP_RESPONSE_BODY_SIZE,
                                        .on_over = on_response_over,
                                        .arg = c};
    wasi_p3_outlet_start(&c->outlet, &r->body);
}

static void report_error(struct call *c, const struct wasi3_http_types_error_code *code) {
    char text[256];
    bool own = code->tag == WASI3_HTTP_TYPES_ERROR_CODE_INTERNAL_ERROR && code->internal_error.some;
    str why = own ? code->internal_error.value : str_c(net_error_wit(wasi_p3_error_of(code)));
    snprintf(text, sizeof text, STR_FMT, STR_ARG(why));
    fail(c, WASI_END_ERROR, text);
}

static void on_done(struct host_invocation *inv, void *arg) {
    struct call *c = arg;
    if (inv->trap) {
        if (c->run) {
            wasi_run_end_trap(c->run, inv->trap);
            report(c);
        }
    } else if (inv->cancelled) {
        fail(c, WASI_END_NO_RESPONSE, "it gave up");
    } else if (c->result.is_err) {
        if (c->run) report_error(c, &c->result.err);
    } else {
        if (c->run) respond(c, c->result.ok);
        app_object_unref(c->home->in, c->result.ok);
    }
    host_invoke_end(inv);
    if (call_over(c)) settle(c->home);
}

/* ---- WebSockets ---- */

static void socket_free(struct socket *k) {
    link_remove(&k->of_service);
    k->service->sockets_count--;
    free(k);
}

static void on_socket_over(void *arg) {
    struct socket *k = arg;
    struct call *c = k->call;
    socket_free(k);
    if (!c) return;
    c->socket = NULL;
    if (!c->task_over && !c->home->dead && !c->lingering.next) linger(c);
    settle(c->home);
}

/* What a request may use, each message may anew. */
static void on_socket_message(void *arg) {
    struct call *c = ((struct socket *)arg)->call;
    if (!c) return;
    c->served->meter.used_ns = 0;
    c->served->fetches_left = (uint32_t)c->home->of.base.app->limits->fetches_max;
}

/* Its instance is gone, or about to be. */
static void socket_leave(struct call *c) {
    struct socket *k = c->socket;
    if (!k) return;
    c->socket = NULL;
    k->call = NULL;
    wasi_p3_socket_gone(&k->s);
    if (wasi_p3_socket_over(&k->s)) socket_free(k);
}

static void on_socket_done(struct host_invocation *inv, void *arg) {
    struct call *c = arg;
    bool failed = !inv->trap && !inv->cancelled && c->socket_result.is_err;
    if (failed)
        log_event(LOG_WARN, "websocket-failed", LF_STR("app", c->home->of.base.app->name), LF_STR("request", c->served->id),
                  LF_STR("reason", str_sub(c->socket_result.err, 0, 256)));
    struct host_stream *out = !inv->trap && !inv->cancelled && !failed ? c->socket_result.ok : NULL;
    if (c->socket) wasi_p3_socket_returned(&c->socket->s, out);
    else if (out) host_stream_close(out);
    host_invoke_end(inv);
    if (call_over(c)) settle(c->home);
}

/* There is an answer, and no guest is asked. */
static void answer(struct call *c, uint16_t status, const struct net_field *more, const char *text) {
    struct net_field fields[3] = {{STR("content-type"), STR("text/plain; charset=utf-8")}};
    uint32_t n = 1;
    if (more) fields[n++] = *more;
    if (status == 426) fields[n++] = (struct net_field){STR("upgrade"), STR("websocket")};
    err e = net_exchange_reply(c->run->request->exchange, status, fields, n, str_c(text));
    fail(c, e == ERR_OK ? WASI_END_OK : WASI_END_CLIENT_GONE, "");
}

static void begin_socket(struct call *c) {
    struct service *s = c->home->service;
    if (s->sockets_count >= s->image->app->limits->websockets_max) {
        if (s->image->app->met) s->image->app->met(s->image->app, APP_SETTING_websockets_max);
        answer(c, 503, NULL, "503: so many WebSockets are open already; try again later\n");
        return;
    }
    struct socket *k = calloc(1, sizeof *k);
    ENSURE(k);
    k->s = (struct wasi_p3_socket){.in = c->home->in, .on_message = on_socket_message, .on_over = on_socket_over, .arg = k};
    k->service = s;
    if (!wasi_p3_socket_open(&k->s, c->run->request->exchange, &c->socket_args)) {
        free(k);
        fail(c, WASI_END_OK, "");
        return;
    }
    k->call = c;
    c->socket = k;
    link_first(&s->sockets, &k->of_service);
    s->sockets_count++;
    c->begun = true;
    c->served->deadline_ns = UINT64_MAX;
    host_invoke(&c->inv, c->home->in, s->websocket, &c->socket_args, &c->socket_result, on_socket_done, c);
    c->inv.served = c->served;
    host_invoke_on_end(&c->inv, on_task_over);
    host_invoke_meter(&c->inv, &c->served->meter);
    fail(c, WASI_END_OK, ""); /* its 101 is all that its exchange is answered with */
}

static void begin(struct call *c) {
    struct wasi_run *run = c->run;
    struct service *s = c->home->service;
    struct net_exchange *x = run->request->exchange;
    const struct net_request *rq = net_exchange_request(x);
    struct host_instance *in = c->home->in;
    if (UNLIKELY(s->websocket && net_websocket_asked(rq))) {
        begin_socket(c);
        return;
    }
    if (UNLIKELY(!s->handle)) {
        answer(c, 426, &net_websocket_version, "426: this service answers WebSockets alone\n");
        return;
    }
    bool https = str_eqc(rq->scheme, "https");
    wasi_p3_inlet_init(&c->inlet, in, net_exchange_source(x), on_inlet_over, c);
    c->request = wasi_p3_request_of(in, rq, https, &c->inlet);
    if (!c->request) {
        fail(c, WASI_END_LIMIT, "the host memory of an instance is too small for a request");
        return;
    }
    c->begun = true;
    c->args.request = app_object_ref(c->request);
    host_invoke(&c->inv, in, c->home->service->handle, &c->args, &c->result, on_done, c);
    c->inv.served = c->served;
    host_invoke_on_end(&c->inv, on_task_over);
    host_invoke_meter(&c->inv, &c->served->meter);
}

/* ---- homes ---- */

/* Whose task it was that trapped, if that can be known. */
static struct call *guilty_call(struct home *h) {
    struct host_invocation *inv = host_instance_culprit(h->in);
    if (inv) return call_of(inv);
    struct call *only = NULL;
    for (struct link *l = h->calls.next; l != &h->calls; l = l->next) {
        struct call *c = container_of(l, struct call, of_home);
        if (c->run && only) return NULL;
        if (c->run) only = c;
    }
    return !only && h->calls_count == 1 ? container_of(h->calls.next, struct call, of_home) : only;
}

/* The ids of the requests that were in it, the youngest first, as many as fit. */
static void list_ids(const struct home *h, char *to, size_t size) {
    size_t n = 0;
    to[0] = 0;
    for (struct link *l = h->calls.next; l != &h->calls && n < size; l = l->next) {
        const struct call *c = container_of(l, struct call, of_home);
        if (call_over(c)) continue;
        int k = snprintf(to + n, size - n, "%s" STR_FMT, n ? " " : "", STR_ARG(c->served->id));
        if ((size_t)k >= size - n) to[n] = 0; /* not half of one */
        n += (size_t)k;
    }
}

/* With nobody left to tell, a trap is told to the log. */
static void log_trap(const struct home *h, const struct call *guilty, const struct engine_trap_record *r) {
    char ids[IDS_BYTES];
    if (r->trap == ABI_TRAP_EXIT) return;
    list_ids(h, ids, sizeof ids);
    struct log_field fields[5] = {LF_STR("app", h->of.base.app->name), LF_CSTR("reason", "the guest trapped after its response"),
                                  LF_CSTR("detail", r->text[0] ? r->text : abi_trap_text(r->trap))};
    size_t n = 3;
    if (guilty) fields[n++] = LF_STR("request", guilty->served->id);
    fields[n++] = LF_CSTR("requests", ids);
    log_emit(LOG_ERROR, "guest-failed", fields, n);
}

static void on_death(struct host_instance *in, void *arg) {
    struct home *h = arg;
    const struct engine_trap_record *record = engine_last_trap(host_instance_engine(in));
    struct call *guilty = guilty_call(h);
    h->dead = true;
    retire(h);
    if (!h->killed && guilty && guilty->run) {
        wasi_run_end_trap(guilty->run, record->trap);
        report(guilty);
    } else if (!h->killed) {
        log_trap(h, guilty, record);
    }
    char why[128] = "another request of its instance ended the instance";
    if (guilty && !h->killed)
        snprintf(why, sizeof why, "another request of its instance ended the instance: " STR_FMT, STR_ARG(guilty->served->id));
    for (struct link *l = h->calls.next; l != &h->calls; l = l->next)
        fail(container_of(l, struct call, of_home), WASI_END_KILLED, why);
    for (struct link *l = h->calls.next; l != &h->calls; l = l->next) socket_leave(container_of(l, struct call, of_home));
    settle(h);
}

static void kill_home(struct home *h) {
    h->killed = true;
    if (!h->dead) host_instance_kill(h->in);
    settle(h);
}

static void start_main(void *arg) {
    struct home *h = arg;
    if (host_instance_start(h->in) != ABI_TRAP_NONE) return; /* it has died */
    h->started = true;
    for (struct link *l = h->calls.prev, *prev; l != &h->calls && !h->dead; l = prev) { /* the oldest first */
        prev = l->prev;
        struct call *c = container_of(l, struct call, of_home);
        if (c->run) begin(c);
    }
}

static uint64_t capacity(const struct service *s) { return MAX(s->image->app->limits->instance_requests, (uint64_t)1); }

/* There is room for the stack of a call, without which an instance that has begun would die. */
static bool has_stack(struct home *h) {
    struct engine_share *share = h->service->image->app->share;
    if (!engine_pay(share, ENGINE_STACK_BYTES)) return false;
    engine_unpay(share, ENGINE_STACK_BYTES);
    return true;
}

static struct home *home_new(struct service *s) {
    struct home *h = s->free_homes;
    arena *mem = h ? h->of.base.mem : arena_new(0);
    if (h) s->free_homes = (struct home *)h->open.next;
    else h = malloc(sizeof *h);
    ENSURE(h);
    *h = (struct home){.service = s};
    wasi_instance_begin(&h->of, s->image, mem);
    h->of.outgoing.max *= (uint32_t)MIN(capacity(s), (uint64_t)1000);
    link_init(&h->calls);
    h->of.base.in = h->in = host_instance_acquire(s->image->component, &h->of);
    h->started = !s->starts;
    if (h->in && (h->started ? has_stack(h) : engine_spawn(host_instance_engine(h->in), start_main, h) != NULL)) {
        host_instance_on_death(h->in, on_death, h);
        link_first(&s->open, &h->open);
        return h;
    }
    if (h->in) host_instance_release(h->in);
    h->open.next = (struct link *)s->free_homes;
    s->free_homes = h;
    return NULL;
}

/* No call, no fiber, nobody who looks at its trap record. */
static void home_release(struct home *h) {
    struct service *s = h->service;
    host_instance_on_death(h->in, NULL, NULL);
    for (struct link *l = h->calls.next; l != &h->calls; l = l->next) socket_leave(container_of(l, struct call, of_home));
    wasi_instance_end(&h->of);
    host_instance_release(h->in); /* which tells the rest to calls and h */
    link_remove(&h->settled);
    while (!link_empty(&h->calls)) call_free(container_of(h->calls.next, struct call, of_home)); /* tasks of a dead one */
    link_remove(&h->open);
    h->in = NULL;
    h->open.next = (struct link *)s->free_homes;
    s->free_homes = h;
}

/* It has served enough, or grown too much: it takes no more requests. */
static bool worn(const struct home *h) {
    const struct app_limits *l = h->of.base.app->limits;
    return h->served >= l->instance_reuse_max || engine_instance_growth(host_instance_engine(h->in)) > l->instance_growth_max ||
           host_instance_charged(h->in) > l->host_bytes_max / 4;
}

static bool reuses(const struct service *s) { return s->image->app->limits->instance_requests != 0; }

/* One that can begin at once, else a new one, else one where it has to wait. */
static struct home *pick(struct service *s) {
    struct home *busy = NULL;
    uint32_t looked = 0;
    const struct host_export *ex = s->handle ? s->handle : s->websocket;
    for (struct link *l = s->open.next; reuses(s) && l != &s->open && looked < LOOK_AT; l = l->next, looked++) {
        struct home *h = container_of(l, struct home, open);
        if (!h->started || !host_export_busy(h->in, ex)) return h;
        if (!busy) busy = h;
    }
    struct home *new = home_new(s);
    return new ? new : busy;
}

static bool start(struct wasi_run *run) {
    struct service *s = run->image->kind_data;
    struct home *h = pick(s);
    if (!h) return false;
    struct call *c = call_new(h, run);
    run->state = c;
    run->i = &h->of;
    if (h->calls_count >= capacity(s)) link_remove(&h->open);
    if (worn(h)) retire(h);
    if (h->started) begin(c);
    return true;
}

/* ---- ends ---- */

static void overdue(struct call *c) {
    struct home *h = c->home;
    link_remove(&c->lingering);
    if (!c->overdue) h->overdue_count++;
    c->overdue = true;
    retire(h);
    if (h->overdue_count == h->calls_count || host_instance_current(h->in) == &c->inv) kill_home(h);
}

/* Time is up (now), or the client is gone: the guest is asked to stop, and stopped where it can be done without harm to others. */
static void kill_run(struct wasi_run *run, bool now) {
    struct call *c = run->state;
    if (!c || run->ended) return;
    struct home *h = c->home;
    fail(c, now ? WASI_END_KILLED : WASI_END_CLIENT_GONE, "");
    if (h->dead || (c->begun && c->task_over)) return;
    if ((now || !h->started) && (h->calls_count == 1 || !h->runs_count)) {
        kill_home(h);
        return;
    }
    if (!c->begun) return;
    c->due_ns = clock_mono_ns() + h->of.base.app->limits->cancel_ms * 1'000'000;
    host_invoke_cancel(&c->inv);
}

static void free_run(struct wasi_run *run) {
    struct home *h = run->state;
    if (!h) return;
    h->pins--;
    settle(h);
}

static void tick(void *arg) {
    struct service *s = arg;
    uint64_t now = clock_mono_ns(), idle_ns = s->image->app->limits->instance_idle_ms * 1'000'000;
    for (struct link *l = s->lingering.next, *next; l != &s->lingering; l = next) {
        next = l->next;
        struct call *c = container_of(l, struct call, lingering);
        if (c->due_ns > now) continue;
        overdue(c);
        next = s->lingering.next; /* killing a home takes others of its calls with it */
    }
    bool idle = false;
    for (struct link *l = s->open.next, *next; l != &s->open; l = next) {
        next = l->next;
        struct home *h = container_of(l, struct home, open);
        if (h->calls_count) continue;
        idle = true;
        if (now - h->idle_since_ns < idle_ns) continue;
        retire(h);
        settle(h);
    }
    s->ticking = idle || !link_empty(&s->lingering);
    if (!s->ticking) net_timer_stop(s->timer);
}

static void tick_on(struct service *s) {
    if (s->ticking) return;
    s->ticking = true;
    net_timer_start(s->timer, TICK_MS, TICK_MS);
}

/* True: h is done with. */
static bool look_after(struct home *h) {
    struct service *s = h->service;
    for (struct link *l = h->calls.next, *next; l != &h->calls; l = next) {
        next = l->next;
        struct call *c = container_of(l, struct call, of_home);
        /* In an instance of its own nobody will write what it left. */
        if (c->task_over && capacity(s) == 1 && wasi_p3_outlet_forsaken(&c->outlet))
            fail(c, WASI_END_NO_RESPONSE, "it ended without finishing the body of its response");
        if (c->task_over && c->socket && wasi_p3_socket_forsaken(&c->socket->s))
            wasi_p3_socket_fail(&c->socket->s, WEBSOCKET_INTERNAL_ERROR, "");
        if (call_over(c)) call_free(c);
    }
    if (!h->dead && h->overdue_count && h->overdue_count == h->calls_count) kill_home(h);
    if (h->calls_count && !h->dead) {
        bool full = h->calls_count >= capacity(s);
        if (!full && !h->retired && reuses(s) && !h->open.next) link_first(&s->open, &h->open);
        return false;
    }
    if (!h->dead && !h->retired && reuses(s) && !worn(h)) {
        h->idle_since_ns = clock_mono_ns();
        if (!h->open.next) link_first(&s->open, &h->open);
        tick_on(s);
        return false;
    }
    retire(h);
    if (h->pins || h->runs_count) return false;
    if (engine_instance_fibers(host_instance_engine(h->in))) {
        kill_home(h);
        settle(h); /* once they have unwound */
        return false;
    }
    return true;
}

static void turn(struct wasi_image *image) {
    enum { OBJECTS = 512 /* of instances that have ended, dropped in one turn */ };
    struct service *s = image->kind_data;
    struct link todo;
    uint32_t objects = OBJECTS;
    if (!link_empty(&s->settled)) {
        todo = s->settled;
        todo.next->prev = todo.prev->next = &todo;
        link_init(&s->settled);
        while (!link_empty(&todo)) {
            struct home *h = container_of(todo.next, struct home, settled);
            link_remove(&h->settled);
            if (!look_after(h)) continue;
            if (host_instance_wind_down(h->in, &objects)) home_release(h);
            else settle(h);
        }
    }
    if (!link_empty(&s->lingering)) tick_on(s);
}

static void rest(struct wasi_image *image) {
    enum { AT_ONCE = 100, STEP_MS = 20 }; /* whoever is sent away comes back at once, and not all at once */
    struct service *s = image->kind_data;
    uint32_t n = 0;
    for (struct link *l = s->sockets.next; l != &s->sockets; l = l->next)
        wasi_p3_socket_go_away(&container_of(l, struct socket, of_service)->s, n++ % AT_ONCE * STEP_MS);
    for (struct link *l = s->open.next; l != &s->open; l = s->open.next) {
        struct home *h = container_of(l, struct home, open);
        retire(h);
        settle(h);
    }
}

static void close_service(struct wasi_image *image) {
    struct service *s = image->kind_data;
    if (!s) return;
    for (struct link *l = s->lingering.next; l != &s->lingering; l = s->lingering.next) {
        struct call *c = container_of(l, struct call, lingering);
        link_remove(l);
        kill_home(c->home);
    }
    while (!link_empty(&s->sockets)) {
        struct socket *k = container_of(s->sockets.next, struct socket, of_service);
        struct call *c = k->call;
        wasi_p3_socket_end(&k->s);
        socket_free(k);
        if (!c) continue;
        c->socket = NULL;
        if (!c->task_over) kill_home(c->home);
        settle(c->home);
    }
    rest(image);
    while (!link_empty(&s->settled)) {
        (void)engine_run(image->app->engine, 1'000'000);
        turn(image);
    }
    while (s->free_homes) {
        struct home *h = s->free_homes;
        s->free_homes = (struct home *)h->open.next;
        arena_free(h->of.base.mem);
        free(h);
    }
    while (s->free_calls) {
        struct call *c = s->free_calls;
        s->free_calls = (struct call *)c->lingering.next;
        free(c);
    }
    net_timer_free(s->timer);
}

static err bind(struct wasi_image *image, struct diag *d) {
    const struct host_export *ex = host_component_export(image->component, &wasi3_http_handler_handle_export, d);
    const struct host_export *ws = host_component_export(image->component, &wasmcloud_websocket_handler_handle_export, d);
    if ((d && d->text[0]) || (!ex && !ws))
        return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "it exports neither wasi:http/handler nor wasmcloud:websocket/handler");
    struct service *s = arena_make(image->mem, struct service);
    *s = (struct service){
        .image = image, .handle = ex, .websocket = ws, .starts = engine_image_starts(host_component_image(image->component))};
    link_init(&s->open);
    link_init(&s->settled);
    link_init(&s->lingering);
    link_init(&s->sockets);
    s->timer = net_timer_new(image->app->loop, tick, s);
    image->kind_data = s;
    image->websockets = ws;
    return ERR_OK;
}

static const struct wasi_own_ops own = {start, kill_run, free_run, turn, rest, close_service};
const struct wasi_ops wasi_p3_http_ops = {.bind = bind, .own = &own};
