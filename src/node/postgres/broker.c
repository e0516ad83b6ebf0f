/* broker: see broker.h. */
#include "node/postgres/broker.h"
#include "node/role.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PACKETS_TURN = 32,
    LOOK_TURNS = 16,
    PEERS_MAX = 1024,
    INLINE_BYTES = 32 << 10,
    ASK_BYTES_MAX = 24 << 20,
    TICK_MS = 100,
    LEAVE_MS = 10'000
};

struct broker_answer {
    struct broker_answer *next;
    struct node_message m; /* its strings behind it */
};

struct broker node_broker;
static struct process {
    struct net_watch *wire;
    struct net_timer *timer, *turn, *news;
    struct broker_peer *peers;
    uint32_t peers_count;
    bool rests;
    uint64_t leaves_ns; /* then it goes, whoever is at work */
} process;

void node_broker_say(const struct node_message *m) {
    if (node_wire_send(NODE_WIRE_FD, m) != ERR_OK) net_loop_stop(node_broker.loop); /* the node is gone, or does not listen */
}

void node_broker_later(void) { net_timer_start(process.turn, 0, 0); }

void node_broker_news_later(uint32_t ms) { net_timer_start(process.news, ms, 0); }

/* ---- answers ---- */

static void on_peer(void *arg, unsigned events);

static void send_answers(struct broker_peer *p) {
    err e = ERR_OK;
    if (node_broker.mutes) return;
    while (p->first && (e = node_wire_send(p->fd, &p->first->m)) != ERR_AGAIN) {
        struct broker_answer *answer = p->first;
        p->first = answer->next;
        node_message_drop(&answer->m);
        free(answer);
    }
    if (!p->first) p->last = &p->first;
    net_watch_events(p->watch, NET_READABLE | (p->first ? NET_WRITABLE : 0));
}

static void put_answer(struct broker_peer *p, struct node_message *m) {
    if (!node_broker.mutes && !p->first && node_wire_send(p->fd, m) != ERR_AGAIN) {
        node_message_drop(m);
        return;
    }
    bool part = m->type == NODE_MSG_postgres_part;
    str values = part ? m->postgres_part.values : m->postgres_told.values, text = part ? (str){0} : m->postgres_told.text;
    struct broker_answer *answer = malloc(sizeof *answer + values.n + text.n);
    ENSURE(answer);
    uint8_t *at = (uint8_t *)(answer + 1);
    answer->next = NULL;
    answer->m = *m;
    if (values.n) memcpy(at, values.p, values.n);
    if (text.n) memcpy(at + values.n, text.p, text.n);
    if (part) answer->m.postgres_part.values.p = at;
    else answer->m.postgres_told.values.p = at, answer->m.postgres_told.text.p = at + values.n;
    *p->last = answer;
    p->last = &answer->next;
    send_answers(p);
}

static void write_values(struct broker_ask *a, struct buf *to) {
    if (a->error.set) node_tree_error_values(&a->error, to);
    else if (a->feed) buf_puts(to, buf_str(&a->values));
    else if (a->outcome == APP_DATA_OK && (a->body.n || a->does < APP_TX_COMMIT))
        app_values_write(to, &APP_TEXT(buf_str(&a->body)), 1);
}

void node_broker_answer(struct broker_ask *a) {
    struct buf values = {0};
    if (a->errand) { /* whoever sent it waits, too */
        node_errand_asked(a->errand, a);
        return;
    }
    if (!a->peer) {
        node_ask_free(a);
        return;
    }
    write_values(a, &values);
    struct node_message m =
        NODE_MESSAGE(postgres_told, .id = a->id, .outcome = (uint8_t)(a->error.set ? APP_DATA_ERROR : a->outcome),
                     .bytes = (uint32_t)values.n);
    if (values.n <= INLINE_BYTES) m.postgres_told.values = buf_str(&values);
    else if ((m.fds[0] = node_bytes_fd("orlo-values", buf_str(&values))) >= 0) m.fds_count = 1;
    else
        m.postgres_told.outcome = APP_DATA_FAILED, m.postgres_told.text = STR("no memory file for the answer"),
        m.postgres_told.bytes = 0;
    put_answer(a->peer, &m);
    buf_free(&values);
    node_ask_free(a);
}

void node_broker_part(struct broker_ask *a, str rows) {
    struct node_message m = NODE_MESSAGE(postgres_part, .id = a->id, .bytes = (uint32_t)rows.n);
    if (rows.n <= INLINE_BYTES) m.postgres_part.values = rows;
    else if ((m.fds[0] = node_bytes_fd("orlo-values", rows)) >= 0) m.fds_count = 1;
    else m.postgres_part.bytes = 0; /* which is nonsense to who asks: his answer is not whole */
    put_answer(a->peer, &m);
}

void node_broker_did(struct broker_errand *w) {
    if (node_broker.mutes) node_backup_mute(w);
    else node_broker_did_now(w);
}

void node_broker_speak(void) {
    for (struct broker_peer *p = process.peers; p; p = p->next) send_answers(p);
}

void node_broker_did_now(struct broker_errand *w) {
    if (w->base) node_feed_news(w->base);
    node_broker_say(&NODE_MESSAGE(postgres_did, .id = w->id, .err = w->e, .offset = w->d.offset, .text = str_c(w->d.text)));
    if (w->in >= 0) close(w->in);
    if (w->out >= 0) close(w->out);
    arena_free(w->mem); /* it is in there */
}

/* ---- workers ---- */

static str values_of(struct node_message *m, arena *mem) {
    const struct node_msg_postgres_ask *a = &m->postgres_ask;
    if (!m->fds_count) return arena_str(mem, a->values);
    uint8_t *p = arena_alloc(mem, MAX(a->bytes, 1u), 1);
    for (size_t at = 0; at < a->bytes;) {
        ssize_t n = pread(m->fds[0], p + at, a->bytes - at, (off_t)at);
        if (n <= 0) return (str){0};
        at += (size_t)n;
    }
    return (str){p, a->bytes};
}

/* A query; or what is done in a transaction, which begins with numbers (app/data.h). False: nonsense. */
static bool read_ask(struct broker_ask *a, const struct app_value *v, uint32_t count) {
    a->of_tx = count && v[0].kind == APP_VALUE_INTEGER;
    if (!a->of_tx) return node_tree_ask_of_values(v, count, &a->who);
    if (count < APP_TX_VALUES || v[1].kind != APP_VALUE_INTEGER || v[2].kind != APP_VALUE_INTEGER || v[1].i < 0 ||
        v[1].i >= APP_TX_KINDS || v[2].i < 1 || v[2].i > 3'600'000)
        return false;
    a->number = v[0].i, a->does = (enum app_tx)v[1].i, a->tx_ms = (uint32_t)v[2].i;
    if (a->does == APP_TX_COMMIT || a->does == APP_TX_ROLLBACK) return count == APP_TX_VALUES;
    return node_tree_ask_of_values(v + APP_TX_VALUES, count - APP_TX_VALUES, &a->who);
}

/* False: nonsense. */
static bool on_ask(struct broker_peer *p, struct node_message *m) {
    const struct node_msg_postgres_ask *q = &m->postgres_ask;
    if (q->bytes > ASK_BYTES_MAX) return false;
    arena *mem = arena_new(0);
    struct broker_ask *a = arena_make(mem, struct broker_ask);
    str bytes = values_of(m, mem);
    struct rd r = rd_of(bytes);
    uint32_t count;
    const struct app_value *values = app_values_read(mem, &r, &count);
    *a = (struct broker_ask){.peer = p,
                             .mem = mem,
                             .id = q->id,
                             .answer_bytes_max = q->answer_bytes_max,
                             .bytes = bytes.n + sizeof *a,
                             .bytes_max = q->bytes_max,
                             .feed = q->feed,
                             .changes_max = q->changes_max,
                             .changes_s = q->changes_s,
                             .news = q->follows,
                             .hops = q->hops,
                             .asks = values,
                             .asks_count = count,
                             .came_ns = clock_mono_ns()};
    a->until_ns = a->came_ns + q->ms_max * 1'000'000ull;
    if (r.fail || bytes.n != q->bytes || (!a->feed && !read_ask(a, values, count))) {
        arena_free(mem);
        return false;
    }
    a->base = node_base_of(q->app, q->name, q->secret);
    a->next_of = p->asks;
    a->at_of = &p->asks;
    if (p->asks) p->asks->at_of = &a->next_of;
    p->asks = a;
    if (a->of_tx) node_tx_ask(a);
    else node_base_ask(a);
    return true;
}

static void on_cancel(struct broker_peer *p, uint32_t id) {
    struct broker_ask *a = p->asks;
    while (a && a->id != id) a = a->next_of;
    if (a) node_ask_cancel(a);
}

static void on_more(struct broker_peer *p, uint32_t id, uint32_t parts) {
    struct broker_ask *a = p->asks;
    while (a && a->id != id) a = a->next_of;
    if (a && a->streams) node_stream_more(a, parts);
}

static void drop_peer(struct broker_peer *p) {
    struct broker_peer **at = &process.peers;
    while (*at != p) at = &(*at)->next;
    *at = p->next;
    process.peers_count--;
    while (p->asks) node_ask_cancel(p->asks);
    node_tx_peer_gone(p);
    for (struct broker_answer *answer; (answer = p->first);) {
        p->first = answer->next;
        node_message_drop(&answer->m);
        free(answer);
    }
    if (p->watch) net_watch_free(p->watch);
    close(p->fd);
    free(p);
}

/* False: it is gone, or sends nonsense. */
static bool hear_peer(struct broker_peer *p, uint32_t most) {
    struct node_message m;
    for (p->heard = 0; p->heard < most; p->heard++) {
        bool sense = false;
        switch (node_wire_receive(p->fd, NODE_ROLE_worker, NODE_ROLE_postgres, &m)) {
        case NODE_WIRE_AGAIN: return true;
        case NODE_WIRE_CLOSED: return false;
        case NODE_WIRE_NONSENSE: break;
        case NODE_WIRE_GOT:
            sense = m.type == NODE_MSG_postgres_ask ? on_ask(p, &m) : true;
            if (m.type == NODE_MSG_postgres_cancel) on_cancel(p, m.postgres_cancel.id);
            if (m.type == NODE_MSG_postgres_more) on_more(p, m.postgres_more.id, m.postgres_more.parts);
            node_message_drop(&m);
        }
        if (sense) continue;
        log_event(LOG_ERROR, "role-cut-off", LF_CSTR("role", "worker"), LF_CSTR("channel", "postgres"));
        return false;
    }
    return true;
}

/* One that mostly has one packet at a time is not asked for a second, which costs as much: the loop says when there is one. */
static bool hear_turn(struct broker_peer *p) {
    bool looks = p->chatty || ++p->turns % LOOK_TURNS == 0;
    if (!hear_peer(p, looks ? PACKETS_TURN : 1)) return false;
    if (looks) p->chatty = p->heard > 1;
    return true;
}

static void on_peer(void *arg, unsigned events) {
    struct broker_peer *p = arg;
    node_broker.quiet_ns = clock_mono_ns();
    if (events & NET_WRITABLE) send_answers(p);
    if (!hear_turn(p)) drop_peer(p);
}

static void add_peer(int fd) {
    struct broker_peer *p = calloc(1, sizeof *p);
    ENSURE(p);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    *p = (struct broker_peer){.fd = fd, .next = process.peers};
    p->last = &p->first;
    process.peers = p;
    process.peers_count++;
    p->watch = net_watch_new(node_broker.loop, fd, NET_READABLE, on_peer, p);
    if (!p->watch) drop_peer(p);
}

/* ---- the supervisor ---- */

static void on_do(struct node_message *m) {
    const struct node_msg_postgres_do *q = &m->postgres_do;
    arena *mem = arena_new(0);
    struct broker_errand *w = arena_make(mem, struct broker_errand);
    *w = (struct broker_errand){.mem = mem,
                                .id = q->id,
                                .does = (enum node_data_does)q->does,
                                .bytes_max = q->bytes_max,
                                .ms_max = MAX(q->ms_max, 1u),
                                .d = DIAG_INIT};
    w->in = node_message_take(m, 0), w->out = node_message_take(m, 1);
    if (w->does == NODE_DATA_HOLD || w->does == NODE_DATA_RELEASE) {
        if (w->does == NODE_DATA_HOLD) node_backup_hold(w);
        else node_backup_release(w);
        return;
    }
    w->base = node_base_of(q->app, q->name, q->secret);
    node_base_errand(w);
}

/* Whatever came on the channels by now is answered: nobody has begun it. */
static void end(void) {
    if (process.rests)
        for (struct broker_peer *p = process.peers; p; p = p->next) (void)hear_peer(p, UINT32_MAX);
    node_bases_refuse();
    net_loop_stop(node_broker.loop);
}

static void on_wire(void *arg, unsigned events) {
    struct node_message m;
    bool sense = true;
    enum node_wire_got got = node_wire_receive(NODE_WIRE_FD, NODE_ROLE_supervisor, NODE_ROLE_postgres, &m);
    if (got == NODE_WIRE_AGAIN) return;
    if (got != NODE_WIRE_GOT) {
        net_watch_events(process.wire, 0);
        end();
        return;
    }
    node_broker.quiet_ns = clock_mono_ns();
    switch (m.type) {
    case NODE_MSG_postgres_peer: add_peer(node_message_take(&m, 0)); break;
    case NODE_MSG_postgres_do: on_do(&m); break;
    case NODE_MSG_postgres_forget: node_base_forget(m.postgres_forget.app); break;
    case NODE_MSG_server: node_base_server(&m.server, m.fds_count ? node_message_take(&m, 0) : -1); break;
    case NODE_MSG_server_anew: node_base_anew(m.server_anew.app, m.server_anew.secret); break;
    case NODE_MSG_cluster: node_base_cluster(&m.cluster, m.fds_count ? node_message_take(&m, 0) : -1); break;
    default: sense = false;
    }
    node_message_drop(&m);
    if (!sense) net_loop_stop(node_broker.loop);
}

/* ---- its life ---- */

static void on_turn(void *arg) {
    for (struct broker_base *b = node_broker.bases; b; b = b->next) node_base_turn(b);
}

static void on_tick(void *arg) {
    uint64_t now = clock_mono_ns();
    node_base_tick(now);
    node_backup_late(now);
    if (!node_bases_idle() || node_broker.mutes) node_broker.quiet_ns = now;
    if (node_broker.leaves && !process.leaves_ns) process.leaves_ns = now + LEAVE_MS * 1'000'000ull;
    bool leaves = node_broker.leaves && (!node_bases_work() || now >= process.leaves_ns);
    if (process.rests || (!leaves && now - node_broker.quiet_ns < node_role_idle_s(NODE_ROLE_postgres) * 1'000'000'000ull))
        return;
    process.rests = true;
    node_broker_say(&NODE_MESSAGE(postgres_rests));
}

static void on_news(void *arg) { node_feed_tell_news(); }

static err begin(struct diag *d) {
    struct node_message m;
    if (node_wire_await(NODE_WIRE_FD, NODE_ROLE_supervisor, NODE_ROLE_postgres, &m) != NODE_WIRE_GOT ||
        m.type != NODE_MSG_postgres_open)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "this is started by orlo itself");
    log_init(STDERR_FILENO, m.postgres_open.log_json, (enum log_level)m.postgres_open.log_min);
    log_to(node_log_send, NULL);
    struct rd settings = rd_of(m.postgres_open.settings);
    node_settings_read(&settings, &node_broker.limits);
    bool bad = settings.fail, servers = m.postgres_open.servers;
    node_message_drop(&m);
    if (bad) return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "settings that are none");
    node_broker.servers = servers;
    TRY(node_sandbox_postgres(servers, d));
    fcntl(NODE_WIRE_FD, F_SETFL, O_NONBLOCK);
    process.wire = net_watch_new(node_broker.loop, NODE_WIRE_FD, NET_READABLE, on_wire, NULL);
    process.turn = net_timer_new(node_broker.loop, on_turn, NULL);
    process.timer = net_timer_new(node_broker.loop, on_tick, NULL);
    process.news = net_timer_new(node_broker.loop, on_news, NULL);
    net_timer_start(process.timer, TICK_MS, TICK_MS);
    node_broker.quiet_ns = clock_mono_ns();
    return ERR_OK;
}

int node_postgres_main(void) {
    struct diag d = DIAG_INIT;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    setenv("UV_USE_IO_URING", "0", 1); /* the sandbox has no rings */
    node_broker.loop = net_loop_new();
    err e = begin(&d);
    if (e != ERR_OK) log_event(LOG_ERROR, "postgres-failed", LF_CSTR("reason", d.text[0] ? d.text : err_text(e)));
    else net_loop_run(node_broker.loop);
    return e != ERR_OK; /* the system takes back what it holds: servers undo what was under way */
}
