/* courier: brings spans to a collector, by OTLP over HTTP, mails to relays (mails.c), and asks authorities for certificates (authorities.c). A process of its own, which may connect to others and nothing else.
 *
 *   worker ── spans ──> [ queue: so many spans, so many bytes ] ── a batch, when there are enough or after a second ──> collector
 *                          └─ full: dropped, counted                 └─ does not answer, or says later: again, after a pause that doubles
 *
 *   IDLE ──spans──> GATHERS ──a second, or BATCH──> SENDS ──200──> IDLE, GATHERS
 *                                                    │ ^
 *                                                    v └── the pause is over
 *                                                  WAITS   (429, 502, 503, 504, no answer; after TRIES the batch is dropped)
 *
 * 1. Nothing waits for the courier, and it waits for nobody: what does not fit is dropped, and counted in its meters.
 * 2. What workers say is hearsay: a span is read before it is kept, and who sends nonsense is cut off.
 * 3. A batch is at most one at a time under way; what the collector answers is not looked at beyond its status and what it rejected.
 */
#include "net/client.h"
#include "net/loop.h"
#include "node/courier/courier.h"
#include "node/meters.h"
#include "node/node_int.h"
#include "node/rights.h"
#include "node/role.h"
#include "node/span.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    BATCH = 512,
    BATCH_BYTES = 1 << 20,
    QUEUE = 8192,
    QUEUE_BYTES = 8 << 20,
    GATHER_MS = 1000,
    PAUSE_FIRST_MS = 1000,
    PAUSE_MOST_MS = 30'000,
    TRIES = 6,
    PACKETS_TURN = 32,
    ANSWER_BYTES_MAX = 64 << 10,
    PEERS_MAX = 1024,
    LOOK_MS = 5000,
    HEADERS_MAX = 32,
};

struct waiting { /* a span */
    struct waiting *next;
    size_t n;
    uint8_t bytes[];
};
struct peer {
    struct courier *courier;
    struct net_watch *watch;
    int fd;
    uint64_t number;
    struct peer *next;
};
struct courier {
    arena *mem; /* of what it was told at its start */
    struct net_loop *loop;
    struct net_client *client;
    struct net_watch *wire;
    struct net_timer *timer, *looks;
    struct peer *peers;
    uint32_t peers_count;
    uint64_t peers_all, quiet_ns;
    struct node_courier_mails *mails;
    struct node_courier_authorities *authorities;
    bool rests;
    str scheme, authority, path;
    struct net_field fields[HEADERS_MAX + 4];
    uint32_t fields_count;
    bool json;
    uint32_t timeout_ms;
    struct waiting *first, **last; /* the queue; its beginning is the batch while one is under way */
    uint32_t count;
    size_t bytes;
    struct buf body;       /* of the batch */
    uint32_t batch, tries; /* spans of it; how often it was sent */
    size_t written;
    struct net_fetch *fetch; /* NULL: none is under way */
    struct buf answer;
    bool gathers, waits, down;
    uint64_t told_ns;
};

/* ---- the queue ---- */

static void pop(struct courier *c) {
    struct waiting *w = c->first;
    c->first = w->next;
    if (!c->first) c->last = &c->first;
    c->count--;
    c->bytes -= w->n;
    free(w);
}

static void drop_batch(struct courier *c, bool lost) {
    if (lost) node_meter_add(&node_meters->node.spans_lost, c->batch);
    else node_meter_add(&node_meters->node.spans_exported, c->batch);
    for (; c->batch; c->batch--) pop(c);
    c->tries = 0;
    c->body.n = 0;
    if (c->body.cap > BATCH_BYTES) buf_free(&c->body);
}

static void push(struct courier *c, str span) {
    if (!c->client || c->count >= QUEUE || c->bytes + span.n > QUEUE_BYTES) {
        node_meter_inc(&node_meters->node.spans_lost);
        return;
    }
    struct waiting *w = malloc(sizeof *w + span.n);
    ENSURE(w);
    w->next = NULL;
    w->n = span.n;
    memcpy(w->bytes, span.p, span.n);
    *c->last = w;
    c->last = &w->next;
    c->count++;
    c->bytes += span.n;
}

/* ---- sending ---- */

static void look(struct courier *c);

static void make_batch(struct courier *c) {
    static struct node_span spans[BATCH];
    size_t bytes = 0;
    c->batch = 0;
    for (const struct waiting *w = c->first; w && c->batch < BATCH && (!c->batch || bytes + w->n <= BATCH_BYTES); w = w->next) {
        struct rd r = rd_of((str){w->bytes, w->n});
        node_span_read(&r, &spans[c->batch++]);
        bytes += w->n;
    }
    c->body.n = 0;
    (c->json ? node_otlp_json : node_otlp_protobuf)(&c->body, spans, c->batch);
}

static void arm(struct courier *c, uint64_t ms) { net_timer_start(c->timer, ms, 0); }

static void say_down(struct courier *c, const char *why, uint16_t status) {
    uint64_t now = clock_mono_ns();
    c->down = true;
    node_meter_set(&node_meters->node_now.collector_up, 0);
    if (c->told_ns && now - c->told_ns < 60'000'000'000u) return;
    c->told_ns = now;
    if (status) log_event(LOG_WARN, "collector-refuses", LF_STR("collector", c->authority), LF_U64("status", status));
    else log_event(LOG_WARN, "collector-does-not-answer", LF_STR("collector", c->authority), LF_CSTR("reason", why));
}

/* Again, later; or not at all. */
static void put_off(struct courier *c, uint64_t pause_ms) {
    if (++c->tries >= TRIES) {
        drop_batch(c, true);
        pause_ms = PAUSE_MOST_MS;
    }
    c->waits = true;
    arm(c, MIN(pause_ms, (uint64_t)PAUSE_MOST_MS));
}

static uint64_t pause_of(const struct courier *c) { return (uint64_t)PAUSE_FIRST_MS << MIN(c->tries, 5u); }

static uint64_t retry_after_ms(const struct net_response *r) {
    uint64_t s;
    for (uint32_t i = 0; i < r->fields_count; i++)
        if (str_eq_nocase(r->fields[i].name, STR("retry-after")) && str_to_u64(r->fields[i].value, &s))
            return MIN(s, (uint64_t)PAUSE_MOST_MS / 1000) * 1000;
    return 0;
}

static void answered(struct courier *c, const struct net_response *r) {
    bool later = r->status == 429 || r->status == 502 || r->status == 503 || r->status == 504;
    uint16_t status = r->status;
    uint64_t pause = MAX(retry_after_ms(r), pause_of(c)), rejected = 0;
    if (status / 100 == 2 && !c->json) rejected = MIN(node_otlp_rejected(buf_str(&c->answer)), (uint64_t)c->batch);
    net_fetch_free(c->fetch);
    c->fetch = NULL;
    if (later) {
        say_down(c, "", status);
        put_off(c, pause);
        return;
    }
    if (status / 100 != 2) say_down(c, "", status); /* it will not be taken another time either */
    else if (c->down) log_event(LOG_INFO, "collector-answers", LF_STR("collector", c->authority));
    if (status / 100 == 2) c->down = false, c->told_ns = 0, node_meter_set(&node_meters->node_now.collector_up, 1);
    node_meter_add(&node_meters->node.spans_lost, rejected);
    c->batch -= (uint32_t)rejected;
    for (uint64_t i = 0; i < rejected; i++) pop(c);
    drop_batch(c, status / 100 != 2);
    look(c);
}

static void failed(struct courier *c, const char *why) {
    say_down(c, why, 0);
    net_fetch_free(c->fetch);
    c->fetch = NULL;
    put_off(c, pause_of(c));
}

static void write_more(void *arg) {
    struct courier *c = arg;
    struct net_sink *sink = net_fetch_sink(c->fetch);
    size_t room;
    while (c->written < c->body.n && (room = net_sink_room(sink))) {
        str some = str_sub(buf_str(&c->body), c->written, room);
        if (net_sink_write(sink, some) != ERR_OK) return; /* the fetch ends */
        c->written += some.n;
    }
    if (c->written == c->body.n) {
        net_sink_notify(sink, NULL, NULL);
        if (net_sink_finish(sink, NULL, 0) != ERR_OK) {}
    }
}

/* As much of its answer as is looked at; the rest is let go. */
static void read_answer(void *arg) {
    struct courier *c = arg;
    struct net_source *source = net_fetch_source(c->fetch);
    enum net_flow flow;
    str data;
    while ((flow = net_source_peek(source, &data)) == NET_FLOW_DATA) {
        if (c->answer.n + data.n <= ANSWER_BYTES_MAX) buf_puts(&c->answer, data);
        net_source_consume(source, data.n);
    }
    if (flow == NET_FLOW_END) answered(c, net_fetch_response(c->fetch));
    else if (flow == NET_FLOW_FAILED) failed(c, "its answer broke off");
}

static void on_change(void *arg) {
    struct courier *c = arg;
    char why[256];
    if (!c->fetch) return;
    if (net_fetch_response(c->fetch)) {
        net_source_notify(net_fetch_source(c->fetch), read_answer, c);
        read_answer(c);
    } else if (net_fetch_error(c->fetch) != NET_OK) {
        snprintf(why, sizeof why, STR_FMT, STR_ARG(net_fetch_error_text(c->fetch)));
        failed(c, why);
    }
}

static void send_batch(struct courier *c) {
    char length[24];
    if (!c->batch) make_batch(c);
    node_meter_set(&node_meters->node_now.collector_asked, 1);
    c->written = 0;
    c->answer.n = 0;
    c->fields[0] =
        (struct net_field){STR("content-length"), {(uint8_t *)length, (size_t)snprintf(length, sizeof length, "%zu", c->body.n)}};
    struct net_fetch_request rq = {.method = STR("POST"),
                                   .scheme = c->scheme,
                                   .authority = c->authority,
                                   .path = c->path,
                                   .fields = c->fields,
                                   .fields_count = c->fields_count,
                                   .has_body = true,
                                   .connect_ms_max = c->timeout_ms,
                                   .first_byte_ms_max = c->timeout_ms,
                                   .between_bytes_ms_max = c->timeout_ms};
    enum net_error e = net_fetch_new(c->client, &rq, on_change, c, &c->fetch);
    if (e != NET_OK) {
        say_down(c, net_error_wit(e), 0);
        put_off(c, PAUSE_MOST_MS);
        return;
    }
    net_sink_notify(net_fetch_sink(c->fetch), write_more, c);
    write_more(c);
}

/* Whether there is something to do. */
static void look(struct courier *c) {
    if (c->fetch || c->waits || !c->count) return;
    if (c->count >= BATCH || c->bytes >= BATCH_BYTES) {
        c->gathers = false;
        send_batch(c);
    } else if (!c->gathers) {
        c->gathers = true;
        arm(c, GATHER_MS);
    }
}

static void on_timer(void *arg) {
    struct courier *c = arg;
    bool due = c->gathers || c->waits;
    c->gathers = c->waits = false;
    if (due && !c->fetch && c->count) send_batch(c);
}

/* ---- workers ---- */

static bool take(struct courier *c, const struct node_msg_spans *m) {
    struct rd r = rd_of(m->spans);
    while (rd_left(&r) && !r.fail) {
        const uint8_t *at = r.p;
        struct node_span span;
        node_span_read(&r, &span);
        if (!r.fail) push(c, (str){at, (size_t)(r.p - at)});
    }
    return !r.fail;
}

static void drop_peer(struct peer *p) {
    struct peer **at = &p->courier->peers;
    while (*at != p) at = &(*at)->next;
    *at = p->next;
    p->courier->peers_count--;
    node_courier_mails_lose(p->courier->mails, p->number);
    if (p->watch) net_watch_free(p->watch);
    close(p->fd);
    free(p);
}

static void on_peer(void *arg, unsigned events) {
    struct peer *p = arg;
    struct courier *c = p->courier;
    struct node_message m;
    for (int i = 0; i < PACKETS_TURN; i++) {
        enum node_wire_got got = node_wire_receive(p->fd, NODE_ROLE_worker, NODE_ROLE_courier, &m);
        if (got == NODE_WIRE_AGAIN) break;
        bool sense = got == NODE_WIRE_GOT && (m.type == NODE_MSG_spans      ? take(c, &m.spans)
                                              : m.type == NODE_MSG_mail_ask ? node_courier_mails_take(c->mails, p->number, &m)
                                                                            : false);
        c->quiet_ns = clock_mono_ns();
        if (got == NODE_WIRE_GOT) node_message_drop(&m);
        if (sense) continue;
        if (got != NODE_WIRE_CLOSED)
            log_event(LOG_ERROR, "role-cut-off", LF_CSTR("role", "worker"), LF_CSTR("channel", "courier"));
        drop_peer(p);
        break;
    }
    look(c);
}

static void add_peer(struct courier *c, int fd) {
    struct peer *p = calloc(1, sizeof *p);
    ENSURE(p);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    *p = (struct peer){.courier = c, .fd = fd, .number = ++c->peers_all, .next = c->peers};
    c->peers = p;
    c->peers_count++;
    p->watch = net_watch_new(c->loop, fd, NET_READABLE, on_peer, p);
    if (!p->watch) drop_peer(p);
}

/* He may be gone, or not listen: then he asks anew, whoever there is. */
static void on_mail_told(void *arg, uint64_t peer, const struct node_message *m) {
    struct courier *c = arg;
    struct peer *p = c->peers;
    c->quiet_ns = clock_mono_ns();
    while (p && p->number != peer) p = p->next;
    err e = p ? node_wire_send(p->fd, m) : ERR_OK;
    (void)e;
}

/* ---- its life ---- */

static void on_look(void *arg) {
    struct courier *c = arg;
    uint64_t idle_ns = node_role_idle_s(NODE_ROLE_courier) * 1'000'000'000ull;
    if (c->rests || c->client || node_courier_mails_busy(c->mails) || node_courier_authorities_busy(c->authorities) ||
        clock_mono_ns() - c->quiet_ns < idle_ns)
        return;
    c->rests = node_wire_send(NODE_WIRE_FD, &NODE_MESSAGE(courier_rests)) == ERR_OK;
}

static void on_wire(void *arg, unsigned events) {
    struct courier *c = arg;
    struct node_message m;
    enum node_wire_got got = node_wire_receive(NODE_WIRE_FD, NODE_ROLE_supervisor, NODE_ROLE_courier, &m);
    if (got == NODE_WIRE_AGAIN) return;
    bool acme = got == NODE_WIRE_GOT && m.type == NODE_MSG_acme_peer;
    bool sense = acme || (got == NODE_WIRE_GOT && m.type == NODE_MSG_courier_peer && c->peers_count < PEERS_MAX);
    c->quiet_ns = clock_mono_ns();
    if (acme) node_courier_authorities_channel(c->authorities, node_message_take(&m, 0));
    else if (sense) add_peer(c, node_message_take(&m, 0));
    if (got == NODE_WIRE_GOT) node_message_drop(&m);
    if (!sense) net_loop_stop(c->loop);
}

/* "http://127.0.0.1:4318": /v1/traces is added where it is not the end already. */
static bool take_endpoint(struct courier *c, str url) {
    static const str end = STR_INIT("/v1/traces");
    str rest;
    c->scheme = str_starts(url, STR("https://")) ? STR("https") : STR("http");
    if (!str_starts(url, STR("http://")) && !str_starts(url, STR("https://"))) return false;
    rest = str_sub(url, c->scheme.n + 3, url.n);
    size_t slash = str_find(rest, '/');
    c->authority = arena_str(c->mem, str_sub(rest, 0, slash));
    str path = str_sub(rest, slash, rest.n);
    while (path.n && path.p[path.n - 1] == '/') path.n--;
    c->path = arena_fmt(c->mem, STR_FMT "%s", STR_ARG(path), str_ends(path, end) ? "" : (const char *)end.p);
    return c->authority.n;
}

/* "KEY\nVALUE\n" each. */
static void take_headers(struct courier *c, str headers) {
    c->fields[c->fields_count++] = (struct net_field){0}; /* the length */
    c->fields[c->fields_count++] =
        (struct net_field){STR("content-type"), c->json ? STR("application/json") : STR("application/x-protobuf")};
    c->fields[c->fields_count++] = (struct net_field){STR("user-agent"), STR("orlo/" ORLO_VERSION)};
    for (str key, value; headers.n && c->fields_count < ARRAY_COUNT(c->fields);) {
        str_cut(headers, '\n', &key, &headers);
        str_cut(headers, '\n', &value, &headers);
        c->fields[c->fields_count++] = (struct net_field){arena_str(c->mem, key), arena_str(c->mem, value)};
    }
}

static err begin(struct courier *c, struct diag *d) {
    struct node_message m;
    if (node_wire_await(NODE_WIRE_FD, NODE_ROLE_supervisor, NODE_ROLE_courier, &m) != NODE_WIRE_GOT ||
        m.type != NODE_MSG_courier_open)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "this is started by orlo itself");
    log_init(STDERR_FILENO, m.courier_open.log_json, (enum log_level)m.courier_open.log_min);
    log_to(node_log_send, NULL);
    c->json = m.courier_open.json;
    c->timeout_ms = m.courier_open.timeout_ms;
    bool exports = m.courier_open.endpoint.n, ok = !exports || take_endpoint(c, m.courier_open.endpoint);
    take_headers(c, m.courier_open.headers);
    c->mails = node_courier_mails_new(c->loop, &m.courier_open, on_mail_told, c);
    c->authorities = node_courier_authorities_new(c->loop);
    err e = node_meters_map(m.fds[0], d);
    if (m.fds_count > 1) node_courier_authorities_trust(c->authorities, m.fds[1]);
    node_message_drop(&m);
    TRY(e);
    if (!ok) return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "the collector's address is none: http://HOST:PORT");
    struct net_client_config config = {.loop = c->loop, .connections_max = 2, .idle_max = 1};
    TRY(node_sandbox_courier(d));
    if (exports) TRY(net_client_new(&config, &c->client, d));
    fcntl(NODE_WIRE_FD, F_SETFL, O_NONBLOCK);
    c->quiet_ns = clock_mono_ns();
    c->timer = net_timer_new(c->loop, on_timer, c);
    c->looks = net_timer_new(c->loop, on_look, c);
    net_timer_start(c->looks, LOOK_MS, LOOK_MS);
    c->wire = net_watch_new(c->loop, NODE_WIRE_FD, NET_READABLE, on_wire, c);
    return ERR_OK;
}

int node_courier_main(void) {
    static struct courier c;
    struct diag d = DIAG_INIT;
    signal(SIGPIPE, SIG_IGN);
    setenv("UV_USE_IO_URING", "0", 1); /* the sandbox has no rings */
    c.mem = arena_new(0);
    c.last = &c.first;
    c.loop = net_loop_new();
    err e = begin(&c, &d);
    if (e != ERR_OK) log_event(LOG_ERROR, "courier-failed", LF_CSTR("reason", d.text[0] ? d.text : err_text(e)));
    else net_loop_run(c.loop);
    return e != ERR_OK; /* the system takes back what it holds */
}
