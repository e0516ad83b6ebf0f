/* handler: one request, one fresh instance. Policy around what wasi does: ids, whose it is, deadlines.
 * What it is answered where its app does not is page.c, what the log has of it access.c.
 *
 *   ROUTED ─┬─> RUNNING ──done──> answered, logged ──> AFTER ──next turn──> instance reset, request freed
 *           │    │ ^   └─ deadline or client gone: killed, done comes with WASI_END_KILLED
 *           └─> WAITING at its part, whose image is to come or whose instances are all in use: the first to wait gets the first that is free
 *
 * 1. The exchange is ended in `done`, so that the response is on its way before the instance is reset (node_handler_turn).
 * 2. Many requests that come at once are run in batches, so that guests that only compute share few instances, still in the cache.
 * 3. Every request makes one access-log event, if that is asked for; a guest's failure makes one event more, with its backtrace.
 * 4. Who waits, waits at a part: no other part's requests are behind it.
 */
#include "engine/engine.h"
#include "net/loop.h"
#include "net/websocket.h"
#include "node/worker/compress.h"
#include "node/worker/gate.h"
#include "node/worker/grpc.h"
#include "node/worker/handler_int.h"
#include "node/worker/idle.h"

enum { BATCH = 8, REDIRECTS_MAX = 10, OBJECTS = 512 /* of guests that have ended, dropped in one turn */, GRPC_LATE_MS = 250 };

/* ---- ids: 64 random bits, so that none tells anything of another ---- */

static void new_id(struct node_handler *h, char id[NODE_ID_BYTES + 1]) {
    if (h->ids_left == 0) {
        crypto_random(h->ids, sizeof h->ids);
        h->ids_left = ARRAY_COUNT(h->ids);
    }
    uint64_t v = h->ids[--h->ids_left];
    h->ids[h->ids_left] = 0;
    for (int i = 0; i < NODE_ID_BYTES; i++) id[i] = "0123456789abcdef"[(v >> (60 - 4 * i)) & 15];
    id[NODE_ID_BYTES] = 0;
}

/* ---- a request's life ---- */

static bool start(struct node_request *r);
static void wait_at_part(struct node_request *r);

/* A run that did not end well. Where the client's body broke, that is why, whatever the guest made of it: unless it trapped, nothing is
 * to be mended in it. */
static void failed(struct node_request *r, const struct wasi_outcome *o) {
    bool head_sent = !net_exchange_retract(r->exchange);
    uint16_t bad_body = r->killed == BY_NOBODY ? net_exchange_body_status(r->exchange) : 0;
    enum node_refusal what = bad_body ? node_refusal_of_body(bad_body) : node_refusal_of(r, o);
    if (bad_body) node_handler_refused(net_exchange_peer(r->exchange), bad_body, node_refusal_text(what), r->handler);
    if (!bad_body || o->trap) node_access_failure(r, o, head_sent);
    r->app->counts.failed++;
    r->outcome = o;
    if (!head_sent) node_refuse(r, what);
    else node_refuse_late(r, what);
    r->outcome = NULL;
}

/* Another run for the same request, in an instance of its own. False: there were too many. */
static bool redirect(struct node_request *r, str to) {
    if (++r->redirects > REDIRECTS_MAX) return false;
    free(r->redirect);
    r->redirect = malloc(to.n);
    ENSURE(r->redirect);
    memcpy(r->redirect, to.p, to.n);
    r->redirect_n = to.n;
    wasi_run_free(r->run);
    r->run = NULL;
    r->handler->busy--;
    r->app->running--;
    if (!start(r)) wait_at_part(r);
    net_loop_wake(r->handler->guest->loop);
    return true;
}

/* Nobody refers to it any more: neither the handler nor what goes on in a guest after its response. */
static void recycle(struct app_request *rq) {
    struct node_request *r = container_of(rq, struct node_request, rq);
    node_lines_end(&r->out);
    node_lines_end(&r->err);
    free(r->lacks);
    node_via_forget(r);
    r->part->app->requests--;
    node_idle_used(r->part->app);
    free(r->who);
    r->next = r->handler->free;
    r->handler->free = r;
}

static void done_with(struct node_request *r) {
    struct node_request *caller = r->caller;
    free(r->redirect);
    r->redirect = NULL;
    r->caller = NULL;
    node_front_forget(r);
    node_pulse_end(r->pulse);
    app_request_unref(&r->rq);
    if (caller) app_request_unref(&caller->rq);
}

/* It is under way no more, as far as its app's limit of those goes. */
static void leave(struct node_request *r) {
    if (r->admitted) pool_part_give(&r->app->under_way, 1);
    r->admitted = false;
}

static void end_exchange(struct node_request *r) {
    node_access_end(r);
    app_request_over(&r->rq);
    net_exchange_listen(r->exchange, NULL, NULL);
    net_exchange_end(r->exchange);
    r->exchange = NULL;
    leave(r);
    net_loop_wake(r->handler->guest->loop);
}

static void stop(struct node_request *r, enum node_refusal limit) {
    r->killed = BY_LIMIT;
    r->limit = limit;
}

static void on_done(void *arg, const struct wasi_outcome *o) {
    struct node_request *r = arg;
    if (r->killed == BY_NOBODY && UNLIKELY(net_exchange_too_large(r->exchange))) stop(r, NODE_REFUSE_LARGE_RESPONSE);
    bool large = r->killed == BY_LIMIT && r->limit == NODE_REFUSE_LARGE_RESPONSE;
    bool gone = r->killed == BY_CLIENT || (o->end == WASI_END_CLIENT_GONE && !large);
    if (gone) r->killed = BY_CLIENT;
    node_lines_end(&r->out);
    node_lines_end(&r->err);
    if (o->end == WASI_END_REDIRECT && r->killed == BY_NOBODY && redirect(r, o->redirect)) return;
    if ((o->end != WASI_END_OK || large) && !gone) failed(r, o);
    end_exchange(r);
    r->next = r->handler->after;
    r->handler->after = r;
}

/* ---- waiting ---- */

static void wait_at_part(struct node_request *r) {
    struct node_handler *h = r->handler;
    struct node_part *p = r->part;
    bool first = r->internal; /* what is under way already */
    r->prev = first ? NULL : p->last;
    r->next = first ? p->first : NULL;
    *(r->prev ? &r->prev->next : &p->first) = r;
    *(r->next ? &r->next->prev : &p->last) = r;
    node_internal_waits(r);
    if (p->waiting++) return;
    p->prev = NULL;
    p->next = h->waiting;
    if (p->next) p->next->prev = p;
    h->waiting = p;
}

/* Behind all others, whoever it is: it has been looked at. */
static void wait_behind(struct node_request *r) {
    bool internal = r->internal;
    r->internal = false;
    wait_at_part(r);
    r->internal = internal;
}

static void wait_no_more(struct node_request *r) {
    struct node_part *p = r->part;
    node_internal_waits_no_more(r);
    *(r->prev ? &r->prev->next : &p->first) = r->next;
    *(r->next ? &r->next->prev : &p->last) = r->prev;
    if (--p->waiting) return;
    *(p->prev ? &p->prev->next : &r->handler->waiting) = p->next;
    if (p->next) p->next->prev = p->prev;
}

void node_handler_over(struct node_request *r) {
    end_exchange(r);
    done_with(r);
}

static void turn_away(struct node_request *r) {
    r->app->counts.refused++;
    if (r->killed != BY_CLIENT) node_refuse_instance(r);
    node_handler_over(r);
}

/* Its answer has begun in time, and may go on for as long as such answers may. */
static bool goes_on(struct node_request *r) {
    const struct app_limits *l = r->part->of.limits;
    if (r->streams || r->internal || !r->run || !net_exchange_responded(r->exchange)) return false;
    const struct net_request *rq = net_exchange_request(r->exchange);
    uint64_t ms = MAX(l->stream_ms_max, l->handler_ms_max), started_ns = net_exchange_stats(r->exchange).started_ns;
    uint64_t asked = UNLIKELY(node_grpc_asks(rq)) ? node_grpc_timeout_ms(rq) : 0; /* of all of a call */
    uint64_t deadline_ns = started_ns + (asked ? MIN(asked + GRPC_LATE_MS, ms) : ms) * 1'000'000;
    if (deadline_ns <= clock_mono_ns()) return false;
    if (!net_exchange_go_on(r->exchange, deadline_ns)) return false;
    r->rq.deadline_ns = deadline_ns;
    return r->streams = true;
}

/* Server-sent events end as if that were all of them: their client comes back, and says what it had last. */
static bool ends_events(struct node_request *r) {
    if (!r->run || !net_exchange_events(r->exchange) || net_sink_finish(net_exchange_sink(r->exchange), NULL, 0) != ERR_OK)
        return false;
    r->killed = BY_CLIENT;
    r->concluded = true;
    wasi_run_cancel(r->run);
    net_loop_wake(r->handler->guest->loop);
    return true;
}

static void on_event(void *arg, enum net_event event) {
    struct node_request *r = arg;
    if (r->killed != BY_NOBODY) return;
    if (event == NET_EVENT_DEADLINE && (goes_on(r) || ends_events(r))) return;
    if (event == NET_EVENT_GONE) r->killed = BY_CLIENT;
    else
        stop(r, event == NET_EVENT_TOO_LARGE ? NODE_REFUSE_LARGE_RESPONSE
                : r->streams                 ? NODE_REFUSE_STREAM
                                             : NODE_REFUSE_DEADLINE);
    if (r->sending) {
        node_files_gone(r);
        return;
    }
    if (r->visit) {
        node_door_event(r);
        return;
    }
    if (r->users) {
        node_users_event(r);
        return;
    }
    if (!r->run) {
        wait_no_more(r);
        turn_away(r);
        return;
    }
    if (event == NET_EVENT_GONE) wasi_run_cancel(r->run);
    else wasi_run_kill(r->run);
    net_loop_wake(r->handler->guest->loop);
}

/* Its guest has computed for as long as it may; from engine_run. */
static void on_spent(void *arg) {
    struct node_request *r = arg;
    if (r->killed != BY_NOBODY || !r->run || !r->exchange) return;
    stop(r, NODE_REFUSE_CPU);
    wasi_run_kill(r->run);
    net_loop_wake(r->handler->guest->loop);
}

/* Nothing is to come back that the app could start an instance with: its own memory, or all, is out. */
static bool hopeless(const struct node_part *p, const struct node_request *r) {
    if (r->caller && node_internal_stuck(r)) return true;
    const struct node_guest *g = p->app->guest;
    const struct engine_refusal *why = engine_last_refusal(g->engine);
    struct engine_share *share = p->app->share;
    bool own = why->share == share;
    if (own) return !engine_share_use(share).slots;
    return !engine_holds(g->engine) && !node_apps_spare(r->handler->apps, p->app);
}

/* ---- whose it is ---- */

static struct node_request *new_request(struct node_handler *h, struct net_exchange *x) {
    struct node_request *r = h->free;
    if (r) h->free = r->next;
    else r = malloc(sizeof *r);
    ENSURE(r);
    r->handler = h;
    r->app = NULL;
    r->part = NULL;
    r->path = net_exchange_request(x)->path;
    r->seen = NULL;
    r->amend = NULL;
    r->compress = NULL;
    r->mem = NULL;
    r->who = NULL;
    r->who_known = r->internal = false;
    r->caller = NULL;
    r->calls_waiting = 0;
    r->exchange = x;
    r->run = NULL;
    r->sending = NULL;
    r->visit = NULL;
    r->users = NULL;
    r->next = NULL;
    r->killed = BY_NOBODY;
    r->outcome = NULL;
    r->via = NULL;
    r->lacks = NULL;
    r->concluded = r->streams = r->rated = r->admitted = r->rpc = r->ruled = false;
    r->body_max = 0;
    r->refused = 0;
    r->redirect = NULL;
    r->redirect_n = r->redirects = 0;
    r->started_ns = net_loop_turn_ns(h->guest->loop);
    r->ran_ns = 0;
    r->failure = NULL;
    new_id(h, r->id);
    return r;
}

/* It is a part's from here on. */
static void give(struct node_request *r, struct node_part *part) {
    struct node_app *app = part->app;
    r->app = app;
    r->part = part;
    r->pulse = node_pulse_begin(app->record.id, r->id);
    r->out.stream = "stdout", r->err.stream = "stderr";
    r->out.request_id = r->err.request_id = r->id;
    r->out.app = r->err.app = app->name;
    r->out.function = r->err.function = part->name;
    r->out.part = r->err.part = &app->log;
    r->out.bytes_max = r->err.bytes_max = (uint32_t)part->of.limits->log_bytes_max;
    node_lines_begin(&r->out);
    node_lines_begin(&r->err);
    app_request_begin(&r->rq, &part->of, (str){(uint8_t *)r->id, NODE_ID_BYTES}, recycle);
    r->rq.deadline_ns = net_exchange_stats(r->exchange).started_ns + part->of.limits->handler_ms_max * 1'000'000;
    r->rq.exchange = r->exchange;
    node_trace_begin(r);
    if (UNLIKELY(r->handler->dev)) r->rq.lacks = r->lacks = r->lacks ? r->lacks : calloc(1, sizeof *r->lacks);
    r->rq.fetches_left = (uint32_t)part->of.limits->fetches_max;
    r->rq.meter = (struct engine_meter){.max_ns = part->of.limits->cpu_ms_max * 1'000'000, .spent = on_spent, .arg = r};
    r->rq.out = (struct app_out){.fd = -1, .write = node_lines_put, .arg = &r->out};
    r->rq.err = (struct app_out){.fd = -1, .write = node_lines_put, .arg = &r->err};
    app->requests++;
    app->counts.requests++;
    if (!r->internal && !node_users_asked(r)) node_compress_begin(r); /* tokens beside what anybody may have put there: never */
}

void node_handler_passed(struct node_request *r) {
    struct node_handler *h = r->handler;
    r->exchange = NULL;
    leave(r);
    net_loop_wake(h->guest->loop);
    node_front_forget(r);
    free(r->lacks);
    node_via_forget(r);
    r->next = h->free;
    h->free = r;
}

void node_handler_answered(struct node_request *r) {
    struct node_handler *h = r->handler;
    node_access_end(r);
    net_exchange_listen(r->exchange, NULL, NULL);
    net_exchange_end(r->exchange);
    r->exchange = NULL;
    leave(r);
    net_loop_wake(h->guest->loop);
    node_front_forget(r);
    free(r->lacks);
    node_via_forget(r);
    r->next = h->free;
    h->free = r;
}

static bool start(struct node_request *r) {
    struct node_handler *h = r->handler;
    struct wasi_run_config config = {
        .request = &r->rq,
        .redirect = {r->redirect, r->redirect_n},
        .stdin_fd = -1,
        .done = on_done,
        .arg = r,
    };
    r->run = wasi_start(r->part->image, &config);
    if (r->rq.trace.recorded && !r->ran_ns) r->ran_ns = clock_mono_ns();
    h->busy += r->run != NULL;
    r->app->running += r->run != NULL;
    return r->run;
}

/* Its function is there, and with it what says who may ask. False: he may not, and it has been answered. */
static bool may_ask(struct node_request *r) {
    const struct app_function *f = r->part->function;
    bool closed = r->part->door ? !node_jwks_asked(r) && !node_users_asked(r) : r->rpc || (f && f->supabase && f->verify_jwt);
    bool asks = !r->who_known && closed && !str_eqc(net_exchange_request(r->exchange)->method, "OPTIONS");
    if (UNLIKELY(f && f->grants.roles.n) && !r->who_known && !closed) node_who_is(r);
    r->who_known = true;
    return LIKELY(!asks) || node_who_asks(r);
}

/* HTTP/2's way to ask for another protocol (RFC 8441): a 200 would grant it, so who knows nothing of it is not asked. */
static bool speaks(struct node_request *r) {
    const struct net_request *rq = net_exchange_request(r->exchange);
    if (LIKELY(!rq->protocol.n)) return true;
    if (net_websocket_asked(rq) && r->part->image && wasi_image_websockets(r->part->image)) return true;
    node_refuse(r, NODE_REFUSE_NO_PROTOCOL);
    return false;
}

/* What else it does, and may do, nobody knows. False: it has been answered. */
static bool is_call(struct node_request *r) { return speaks(r) && (LIKELY(!r->rpc) || node_door_is_call(r)); }

/* Without a guest. */
static void serve_itself(struct node_request *r) {
    if (r->part->files) node_files_serve(r);
    else if (node_users_asked(r)) node_users_serve(r);
    else node_door_serve(r);
}

/* It runs, or waits, or is turned away. */
static void begin(struct node_request *r) {
    struct node_handler *h = r->handler;
    struct node_part *p = r->part;
    node_apps_want(h->apps, p);
    bool tried = p->state == NODE_PART_READY && !p->waiting; /* else somebody was here before */
    if (tried && (!may_ask(r) || !is_call(r))) {
        node_handler_over(r);
        return;
    }
    if (tried && (p->files || p->door)) {
        serve_itself(r);
        return;
    }
    if (tried && start(r)) return;
    if (p->state == NODE_PART_FAILED || p->waiting >= h->waiting_max || (tried && hopeless(p, r))) turn_away(r);
    else wait_at_part(r);
}

void node_handler_again(struct node_request *r) { begin(r); }

static bool refused(struct node_request *r, enum node_refusal what, uint64_t retry_ns) {
    r->app->counts.refused++;
    node_refuse_for(r, what, retry_ns);
    node_handler_answered(r);
    return false;
}

bool node_handler_admit(struct node_request *r) {
    struct node_app *app = r->app;
    const struct app_limits *l = &app->record.limits;
    bool told = r->internal && r->rated; /* by the node, which looks at how often its app's change has come round */
    if (!told && UNLIKELY(app_request_hops(r->exchange, 0) >= l->hops_max)) return refused(r, NODE_REFUSE_LOOP, 0);
    if (UNLIKELY(l->rate_max) && !r->rated) {
        uint64_t burst = l->burst_max ? l->burst_max : l->rate_max;
        uint64_t wait_ns = node_rates_take(app->record.id, l->rate_max, burst, clock_mono_ns());
        r->rated = true;
        if (wait_ns) return refused(r, NODE_REFUSE_RATE, wait_ns);
    }
    enum pool_answer a = pool_part_take(&app->under_way, 1);
    if (UNLIKELY(a != POOL_OK)) return refused(r, a == POOL_PART_FULL ? NODE_REFUSE_BUSY : NODE_REFUSE_CROWDED, 0);
    return r->admitted = true;
}

/* A call of gRPC's has its own deadline. Its client ends it by then; where he does not, the node does so a little later. */
static uint32_t grpc_bound(const struct node_request *r, uint32_t ms) {
    const struct net_request *rq = net_exchange_request(r->exchange);
    uint32_t asked = UNLIKELY(node_grpc_asks(rq)) ? node_grpc_timeout_ms(rq) : 0;
    return asked && asked < ms - MIN(ms, (uint32_t)GRPC_LATE_MS) ? asked + GRPC_LATE_MS : ms;
}

/* What its function has to say of a request, before its body is looked at. False: it was answered. */
static bool bound(struct node_request *r) {
    const struct app_limits *l = r->part->of.limits;
    uint32_t ms = r->part->files ? NET_NO_LIMIT
                                 : (uint32_t)MIN(l->handler_ms_max, NET_NO_LIMIT); /* a slow reader's is as long as it takes */
    if (!r->part->files) ms = grpc_bound(r, ms);
    if (!r->part->files) net_exchange_response_limit(r->exchange, l->response_bytes_max);
    uint64_t body_max = UNLIKELY(r->body_max) ? MIN(r->body_max, l->body_bytes_max) : l->body_bytes_max;
    if (net_exchange_limits(r->exchange, ms, body_max) == ERR_OK) return true;
    r->app->counts.refused++;
    node_handler_refused(net_exchange_peer(r->exchange), 413, node_refusal_text(NODE_REFUSE_LARGE_BODY), r->handler);
    node_refuse(r, NODE_REFUSE_LARGE_BODY);
    node_handler_over(r);
    return false;
}

void node_handler_request(struct net_exchange *x, void *handler) {
    struct node_handler *h = handler;
    struct node_request *r = new_request(h, x);
    net_exchange_own_field(x, STR("x-request-id"), (str){(uint8_t *)r->id, NODE_ID_BYTES});
    node_via_read(r);
    struct node_part *part = node_front_route(r);
    if (!part) return;
    give(r, part);
    if (!bound(r)) return;
    net_exchange_listen(x, on_event, r);
    begin(r);
    net_loop_wake(h->guest->loop);
    if (++h->batch >= BATCH) node_guest_turn(h->guest);
}

void node_handler_internal(struct node_handler *h, struct net_exchange *x, struct node_part *part, struct node_request *caller,
                           bool told) {
    struct node_request *r = new_request(h, x);
    net_exchange_own_field(x, STR("x-request-id"), (str){(uint8_t *)r->id, NODE_ID_BYTES});
    r->app = part->app;
    r->internal = r->who_known = true;
    r->rated = told;
    if (!node_handler_admit(r)) return;
    if (part->function->spin) node_spin_fields(r, NULL);
    give(r, part);
    if (caller && told) { /* who asks for it has no instance that waits */
        r->rq.deadline_ns = MIN(r->rq.deadline_ns, caller->rq.deadline_ns);
        node_who_as(r, &caller->rq.principal);
    } else if (caller) {
        r->caller = container_of(app_request_ref(&caller->rq), struct node_request, rq);
        r->rq.deadline_ns = MIN(r->rq.deadline_ns, caller->rq.deadline_ns);
        node_who_as(r, &caller->rq.principal);
    }
    if (!bound(r)) return;
    net_exchange_listen(x, on_event, r);
    begin(r);
    net_loop_wake(h->guest->loop);
}

/* Those that wait at a part that will not be: of an app that another version has taken the place of, they are the other's. */
void node_handler_part_changed(struct node_handler *h, struct node_part *p) {
    net_loop_wake(h->guest->loop);
    if (p->state == NODE_PART_READY) return; /* the next turn starts them */
    struct node_request *r, *last = p->last;
    for (bool more = last; more;) {
        r = p->first;
        more = r != last;
        wait_no_more(r);
        if (!p->app->retired || (r->internal && p->state == NODE_PART_FAILED)) {
            turn_away(r);
            continue;
        }
        if (r->internal) { /* it is that version's, whatever came after it */
            wait_behind(r);
            continue;
        }
        node_pulse_end(r->pulse);
        app_trace_end(&r->rq.trace);
        p->app->requests--;
        leave(r);
        r->app = NULL;
        r->part = NULL;
        r->who_known = false;
        node_front_forget(r);
        struct node_part *other = node_front_route(r);
        if (!other) continue;
        give(r, other);
        if (bound(r)) begin(r); /* by what the other says, whatever was said before */
    }
}

/* From the loop, where nothing of an app is on the stack: before there is no room for it, idle apps go. */
static bool start_somehow(struct node_request *r) {
    bool started = start(r);
    for (uint32_t n = 1; !started && node_apps_make_room(r->handler->apps, r->app, n); n *= 2) started = start(r);
    return started;
}

/* Those that wait at a part, as many as there is room for. True: there may be room for more. */
static bool start_waiting(struct node_part *p) {
    uint32_t n = 0;
    if (p->state != NODE_PART_READY) return false;
    for (; n < BATCH && p->first; n++) {
        struct node_request *r = p->first;
        bool may = may_ask(r) && is_call(r);
        bool itself = p->files || p->door;
        if (may && !itself && !start_somehow(r)) break;
        wait_no_more(r);
        if (!may) node_handler_over(r);
        else if (itself) serve_itself(r);
    }
    while (n < BATCH && p->first && hopeless(p, p->first)) {
        struct node_request *r = p->first;
        wait_no_more(r);
        turn_away(r);
    }
    return n == BATCH;
}

/* Responses of the last turn are out: now their instances are reset, and those that wait are started. */
static bool handler_turn(void *arg) {
    struct node_handler *h = arg;
    struct node_request *r;
    uint32_t objects = OBJECTS;
    h->batch = 0;
    engine_release_many(h->guest->engine);
    while ((r = h->after) && wasi_run_wind_down(r->run, &objects)) {
        h->after = r->next;
        wasi_run_free(r->run);
        r->app->running--;
        done_with(r);
        h->busy--;
    }
    engine_release_end(h->guest->engine);
    bool more = h->after;
    for (struct node_part *p = h->waiting, *next; p; p = next) {
        next = p->next;
        more |= start_waiting(p);
    }
    node_apps_turn(h->apps);
    return more;
}

struct node_handler *node_handler_new(struct node_guest *g, struct node_apps *apps, const struct node_limits *limits,
                                      bool access_log, bool dev) {
    struct node_handler *h = calloc(1, sizeof *h);
    ENSURE(h);
    h->guest = g;
    h->apps = apps;
    h->access_log = access_log;
    h->dev = dev;
    h->limits = limits;
    g->under_way.max = limits->connections_max;
    h->waiting_max = (uint32_t)MIN(limits->connections_max, UINT32_MAX);
    log_hold(true); /* the lines of one turn are written at once, at its end */
    g->turn = handler_turn;
    g->turn_arg = g->handler = h;
    return h;
}

void node_handler_trust(struct node_handler *h, const struct net_prefix *trusted, size_t count) {
    h->trusted = trusted;
    h->trusted_count = count;
}

void node_handler_use_inbox(struct node_handler *h, struct node_inbox *inbox, uint32_t cordon) {
    h->inbox = inbox;
    h->cordon = cordon;
}

void node_handler_rest(struct node_handler *h) { h->rests = true; }

uint32_t node_handler_busy(const struct node_handler *h) { return h->busy; }

void node_handler_end(struct node_handler *h) {
    do handler_turn(h);
    while (h->after);
    ENSURE(!h->busy);
}

void node_handler_free(struct node_handler *h) {
    while (h->free) {
        struct node_request *r = h->free;
        h->free = r->next;
        free(r);
    }
    free(h);
}
