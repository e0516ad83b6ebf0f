/* store: the process that writes apps' data.
 *
 *   store_open ──> gives up all other rights ──> store_peer … ──> SERVES ──nothing to do for long: store_rests──> RESTS
 *                                                                    its wire is closed: no more peers, and none may ask ──> ENDS
 *                                                                    what had been asked by then is answered ──> exit 0
 *
 * 1. All that it is, knows and may touch came as messages (wire.def). What workers send is hearsay: who sends nonsense is cut off.
 * 2. This thread touches no file: what is asked goes to others (bases.c), and comes back to be answered.
 * 3. Without a folder all is kept in memory, and it does not rest.
 */
#include "node/disk.h"
#include "node/store/store_int.h"
#include "node/node_int.h"
#include "node/role.h"
#include "node/state.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PEERS_MAX = 1024, INLINE_BYTES = 32 << 10, ASK_BYTES_MAX = 24 << 20, OWNER_BYTES_MAX = 64 << 20 };
enum state { SERVES, RESTS, ENDS };
static const uint64_t memory_bytes_max = 512 * MiB; /* of all databases' pages, sorts and values */
static const uint64_t hold_ns_max = 10'000'000'000; /* control waits for twice as long */

struct hold { /* that a moment is waited for */
    bool waits;
    uint32_t id;
    int out;
    uint64_t until_ns;
};
static struct store {
    struct node_limits limits;
    enum state state;
    struct store_peer *peers[PEERS_MAX];
    uint32_t peers_count;
    struct store_peer owner;    /* whoever asks on apps' owners' behalf: it is always there */
    int news;                   /* eventfd: something is done */
    bool keeps, done, leaves;   /* leaves: another waits for its place */
    uint64_t quiet_ns, tick_ns; /* since when nothing was asked; when bases are looked after */
    struct hold hold;
} store;

/* ---- peers ---- */

static void drop_answers(struct store_peer *p) {
    while (p->first) {
        struct store_ask *ask = p->first;
        p->first = ask->next;
        node_store_ask_free(ask);
    }
    p->last = &p->first;
}

static void close_peer(struct store_peer *p) {
    if (p->fd < 0) return;
    close(p->fd);
    p->fd = -1;
    p->over = true;
    drop_answers(p);
    node_store_bases_peer_gone(p);
}

static void add_peer(int fd) {
    uint32_t at = 0;
    while (at < store.peers_count && store.peers[at]->fd >= 0) at++;
    if (at == PEERS_MAX) {
        close(fd);
        return;
    }
    struct store_peer *p = calloc(1, sizeof *p);
    ENSURE(p);
    *p = (struct store_peer){.fd = fd};
    p->last = &p->first;
    store.peers[at] = p; /* who was there before is known to who answers, as long as anything is under way for it */
    store.peers_count += at == store.peers_count;
}

/* ---- answers ---- */

static int bytes_fd(str bytes) {
    int fd = memfd_create("orlo-values", MFD_CLOEXEC);
    for (size_t at = 0; fd >= 0 && at < bytes.n;) {
        ssize_t n = pwrite(fd, bytes.p + at, bytes.n - at, (off_t)at);
        if (n <= 0) {
            close(fd);
            return -1;
        }
        at += (size_t)n;
    }
    return fd;
}

/* They stay the store's, too. */
static err send_files(const struct store_peer *p, const struct store_ask *ask, struct node_message *m) {
    for (size_t i = 0; i < ARRAY_COUNT(ask->files); i++) m->fds[m->fds_count++] = ask->files[i];
    return node_wire_send(p->fd, m);
}

static err send_answer(const struct store_peer *p, const struct store_ask *ask) {
    struct node_message m = NODE_MESSAGE(store_told, .id = ask->id, .outcome = (uint8_t)ask->outcome, .text = str_c(ask->text));
    bool tells = ask->outcome == APP_DATA_OK || ask->outcome == APP_DATA_ERROR;
    str values = tells ? buf_str(&ask->answer) : (str){0};
    if (ask->outcome == APP_DATA_OK) m.store_told.text = (str){0};
    m.store_told.bytes = (uint32_t)values.n;
    if (ask->op == APP_OPEN && ask->outcome == APP_DATA_OK) return send_files(p, ask, &m);
    if (values.n <= INLINE_BYTES) m.store_told.values = values;
    else if ((m.fds[0] = bytes_fd(values)) >= 0) m.fds_count = 1;
    else {
        m.store_told.outcome = APP_DATA_FAILED;
        m.store_told.text = STR("there is no memory for the answer");
        m.store_told.bytes = 0;
    }
    err e = node_wire_send(p->fd, &m);
    node_message_drop(&m);
    return e;
}

static void send_answers(struct store_peer *p) {
    while (p->first) {
        struct store_ask *ask = p->first;
        err e = p->fd >= 0 ? send_answer(p, ask) : ERR_CLOSED;
        if (e == ERR_AGAIN) return;
        p->first = ask->next;
        if (!p->first) p->last = &p->first;
        node_store_ask_free(ask);
        if (e != ERR_OK) close_peer(p);
    }
}

/* ---- news: who tells functions of changes looks, soon; not at each commit of one after the other ---- */

enum { NEWS = 1024, NEWS_MS = 20 };
static const uint64_t news_ns = NEWS_MS * 1'000'000ull;
static struct news {
    uint32_t app; /* 0: nobody's */
    bool due;
    uint64_t told_ns;
} news[NEWS];
static uint32_t news_due;

/* Where the supervisor has no room it is told a moment later. */
static void tell_news(struct news *n, uint64_t now) {
    bool told = node_wire_send(NODE_WIRE_FD, &NODE_MESSAGE(store_news, .app = n->app)) == ERR_OK;
    news_due -= n->due, news_due += !told;
    n->due = !told;
    n->told_ns = now;
}

static void note_news(uint32_t app) {
    struct news *n = &news[app % NEWS];
    uint64_t now = clock_mono_ns();
    if (n->app != app && n->due) tell_news(n, now);
    if (n->app != app) news_due -= n->due, *n = (struct news){.app = app};
    if (n->due) return;
    if (now - n->told_ns >= news_ns) tell_news(n, now);
    else n->due = true, news_due++;
}

static void tell_due_news(uint64_t now) {
    for (size_t i = 0; news_due && i < NEWS; i++)
        if (news[i].due && now - news[i].told_ns >= news_ns) tell_news(&news[i], now);
}

static bool may_be_news(const struct store_ask *ask) {
    if (ask->errand) return true;
    return ask->follows && node_store_ask_stays(ask) && (ask->op == APP_QUERY || ask->op == APP_TX);
}

/* What was refused before it was done, and what its end says of it. */
static err send_did(uint32_t id, err e, const struct diag *d) {
    return node_wire_send(NODE_WIRE_FD,
                          &NODE_MESSAGE(store_did, .id = id, .err = e, .offset = d->offset, .text = str_c(d->text)));
}

static void answer_errand(struct store_ask *ask) {
    struct store_errand *errand = ask->errand;
    if (ask->outcome != APP_DATA_OK && errand->e == ERR_OK)
        errand->e = diag_set(&errand->d,
                             ask->outcome == APP_DATA_BUSY   ? ERR_BUSY
                             : ask->outcome == APP_DATA_FULL ? ERR_LIMIT
                                                             : ERR_IO,
                             DIAG_NOWHERE, "%s", ask->text);
    store.done |= send_did(errand->id, errand->e, &errand->d) != ERR_OK;
    node_store_ask_free(ask);
}

static void answer(struct store_ask *ask) {
    struct store_peer *p = ask->peer;
    if (may_be_news(ask)) note_news(ask->app);
    if (ask->errand) {
        answer_errand(ask);
        return;
    }
    ask->next = NULL;
    if (p->fd < 0) {
        node_store_ask_free(ask);
        return;
    }
    bool first = !p->first;
    *p->last = ask;
    p->last = &ask->next;
    if (first) send_answers(p);
}

static void answer_done(void) {
    uint64_t count;
    ssize_t got = read(store.news, &count, sizeof count);
    (void)got;
    for (struct store_ask *ask = node_store_bases_done(), *next; ask; ask = next) {
        next = ask->next;
        answer(ask);
    }
    store.quiet_ns = clock_mono_ns();
}

static void on_done(void *arg) {
    ssize_t put = write(store.news, &(uint64_t){1}, sizeof(uint64_t));
    (void)put;
}

/* ---- questions ---- */

/* False: not what was announced. */
static bool read_values(struct store_ask *ask, struct node_message *m) {
    str bytes = m->store_ask.values;
    if (m->fds_count) {
        uint8_t *p = arena_alloc(ask->mem, MAX(m->store_ask.bytes, 1u), 1);
        for (size_t at = 0; at < m->store_ask.bytes;) {
            ssize_t n = pread(m->fds[0], p + at, m->store_ask.bytes - at, (off_t)at);
            if (n <= 0) return false;
            at += (size_t)n;
        }
        bytes = (str){p, m->store_ask.bytes};
    } else {
        bytes = arena_str(ask->mem, bytes);
    }
    struct rd r = rd_of(bytes);
    ask->values = app_values_read(ask->mem, &r, &ask->count);
    ask->bytes = sizeof *ask + bytes.n + ask->count * sizeof *ask->values;
    return bytes.n == m->store_ask.bytes && !r.fail;
}

/* False: nonsense. */
static bool on_ask(struct store_peer *p, struct node_message *m) {
    const struct node_msg_store_ask *a = &m->store_ask;
    if (a->bytes > ASK_BYTES_MAX) return false;
    arena *mem = arena_new(0);
    struct store_ask *ask = arena_make(mem, struct store_ask);
    *ask = (struct store_ask){.peer = p,
                              .id = a->id,
                              .op = (enum app_data_op)a->op,
                              .mem = mem,
                              .place = arena_str(mem, a->place),
                              .bytes_max = a->bytes_max,
                              .keys_max = a->keys_max,
                              .value_bytes_max = a->value_bytes_max,
                              .answer_bytes_max = a->answer_bytes_max,
                              .ms_max = MAX(a->ms_max, 1u),
                              .changes_max = a->changes_max,
                              .changes_s = a->changes_s,
                              .app = a->app,
                              .hops = a->hops,
                              .follows = a->follows};
    if (!read_values(ask, m)) {
        node_store_ask_free(ask);
        return false;
    }
    if (!node_store_bases_ask(a->app, a->name, ask)) answer(ask);
    return true;
}

/* False: there is no more. */
static bool hear_one(struct store_peer *p) {
    struct node_message m;
    bool sense = false;
    switch (node_wire_receive(p->fd, NODE_ROLE_worker, NODE_ROLE_store, &m)) {
    case NODE_WIRE_AGAIN: return false;
    case NODE_WIRE_CLOSED:
        if (store.state == ENDS) p->over = true; /* it still reads */
        else close_peer(p);
        return false;
    case NODE_WIRE_NONSENSE: break;
    case NODE_WIRE_GOT:
        sense = m.type == NODE_MSG_store_ask ? on_ask(p, &m) : m.type == NODE_MSG_store_cancel;
        if (m.type == NODE_MSG_store_cancel) node_store_bases_cancel(p, m.store_cancel.id);
        node_message_drop(&m);
    }
    store.quiet_ns = clock_mono_ns();
    if (!sense) close_peer(p);
    return sense;
}

static void hear_peer(struct store_peer *p) {
    enum { AT_A_TIME = 32 /* others have their turn */ };
    for (int i = 0; i < AT_A_TIME && hear_one(p); i++) {}
}

/* ---- what apps' owners ask, by way of the supervisor ---- */

/* It holds, or goes on. */
static void answer_hold(err e, const struct diag *d) {
    if (e != ERR_OK) (void)node_store_bases_release();
    close(store.hold.out);
    store.hold.waits = false;
    store.done |= send_did(store.hold.id, e, d) != ERR_OK;
}

/* A moment between two commits comes, or not: a statement of one app's may take an hour. Nobody else waits for it meanwhile. */
static void try_hold(uint64_t now) {
    struct buf lines = {0};
    struct diag d = DIAG_INIT;
    bool was = node_store_bases_moment(&lines);
    if (!was && now < store.hold.until_ns) return;
    err e =
        was ? ERR_OK
            : diag_set(
                  &d, ERR_BUSY, DIAG_NOWHERE,
                  "a statement of an app's takes long, or the disk is slow: there is no moment between two commits; try again");
    if (lines.n && pwrite(store.hold.out, lines.p, lines.n, 0) != (ssize_t)lines.n)
        e = diag_set(&d, ERR_IO, DIAG_NOWHERE, "there is no memory for the answer");
    buf_free(&lines);
    answer_hold(e, &d);
}

/* Of no app: files are held still. Takes out. */
static void hold(const struct node_msg_store_do *a, int out) {
    struct diag d = DIAG_INIT, over = DIAG_INIT;
    diag_set(&over, ERR_CLOSED, DIAG_NOWHERE, "nobody waits for it any more");
    if (store.hold.waits) answer_hold(ERR_CLOSED, &over);
    if (a->does == NODE_DATA_HOLD) {
        store.hold = (struct hold){.waits = true, .id = a->id, .out = out, .until_ns = clock_mono_ns() + hold_ns_max};
        node_store_bases_hold();
        return;
    }
    close(out);
    err e = node_store_bases_release() ? ERR_OK : diag_set(&d, ERR_CLOSED, DIAG_NOWHERE, "the store ended meanwhile: try again");
    store.done |= send_did(a->id, e, &d) != ERR_OK;
}

static void on_errand(struct node_message *m) {
    const struct node_msg_store_do *a = &m->store_do;
    int in = node_message_take(m, 0), out = node_message_take(m, 1);
    if (a->does == NODE_DATA_HOLD || a->does == NODE_DATA_RELEASE) {
        close(in);
        hold(a, out);
        return;
    }
    arena *mem = arena_new(0);
    struct store_ask *ask = arena_make(mem, struct store_ask);
    struct store_errand *errand = arena_make(mem, struct store_errand);
    *errand = (struct store_errand){.id = a->id, .does = (enum node_data_does)a->does, .in = in, .out = out, .d = DIAG_INIT};
    *ask = (struct store_ask){.peer = &store.owner,
                              .id = a->id,
                              .op = APP_QUERY,
                              .mem = mem,
                              .errand = errand,
                              .bytes_max = a->bytes_max,
                              .value_bytes_max = OWNER_BYTES_MAX,
                              .answer_bytes_max = OWNER_BYTES_MAX,
                              .ms_max = MAX(a->ms_max, 1u),
                              .changes_max = UINT32_MAX, /* what an owner changes is told, too */
                              .changes_s = UINT32_MAX,
                              .app = a->app};
    if (!node_store_bases_ask(a->app, a->name, ask)) answer(ask);
}

/* ---- the supervisor ---- */

static err open_store(struct diag *d) {
    struct node_message m;
    if (node_wire_await(NODE_WIRE_FD, NODE_ROLE_supervisor, NODE_ROLE_store, &m) != NODE_WIRE_GOT ||
        m.type != NODE_MSG_store_open)
        return ERR_CLOSED;
    log_init(STDERR_FILENO, m.store_open.log_json, (enum log_level)m.store_open.log_min);
    log_to(node_log_send, NULL);
    struct rd settings = rd_of(m.store_open.settings);
    node_settings_read(&settings, &store.limits);
    int folder = m.fds_count ? node_message_take(&m, 0) : -1;
    store.keeps = folder >= 0;
    if (settings.fail) return ERR_MALFORMED;
    node_disk_limit(store.limits.disk_percent_max);
    static int held;                                         /* as long as this process lives */
    if (store.keeps) TRY(node_state_hold(folder, &held, d)); /* one writer, whoever is about to go */
    if (store.keeps && fchdir(folder)) return diag_set(d, ERR_IO, DIAG_NOWHERE, "the folder of data cannot be entered");
    return node_sandbox_store(folder, d);
}

/* It has been told that it may end: nobody asks any more, and what was asked by then is done yet. */
static void begin_to_end(void) {
    store.state = ENDS;
    for (uint32_t i = 0; i < store.peers_count; i++)
        if (store.peers[i]->fd >= 0) shutdown(store.peers[i]->fd, SHUT_RD);
}

static void hear_supervisor(void) {
    struct node_message m;
    switch (node_wire_receive(NODE_WIRE_FD, NODE_ROLE_supervisor, NODE_ROLE_store, &m)) {
    case NODE_WIRE_AGAIN: return;
    case NODE_WIRE_GOT:
        if (m.type == NODE_MSG_store_peer) add_peer(node_message_take(&m, 0));
        if (m.type == NODE_MSG_store_do) on_errand(&m);
        if (m.type == NODE_MSG_store_rest) store.leaves = true;
        if (m.type == NODE_MSG_store_translator)
            node_store_texts_channel(m.store_translator.app, m.fds_count ? node_message_take(&m, 0) : -1);
        if (m.type == NODE_MSG_store_forget) node_store_bases_forget(m.store_forget.app, m.store_forget.name);
        store.quiet_ns = clock_mono_ns();
        node_message_drop(&m);
        return;
    default:
        if (store.state == RESTS) begin_to_end();
        else store.done = true; /* the node is gone */
    }
}

static void rest(uint64_t now) {
    uint64_t idle_ns = node_role_idle_s(NODE_ROLE_store) * 1'000'000'000ull;
    bool long_quiet = now - store.quiet_ns >= idle_ns && !news_due && !node_store_checkpoint_held();
    if (store.state != SERVES || !store.keeps || !(store.leaves || long_quiet) || !node_store_bases_idle()) return;
    if (node_wire_send(NODE_WIRE_FD, &NODE_MESSAGE(store_rests)) == ERR_OK) store.state = RESTS;
}

static bool all_over(void) {
    for (uint32_t i = 0; i < store.peers_count; i++)
        if (store.peers[i]->fd >= 0 && (!store.peers[i]->over || store.peers[i]->first)) return false;
    return node_store_bases_idle();
}

/* ---- its life ---- */

enum { PEERS_AT = 2 };

static void wait_turn(int wait_ms) {
    static struct pollfd fds[PEERS_AT + PEERS_MAX];
    fds[0] = (struct pollfd){.fd = store.state == ENDS ? -1 : NODE_WIRE_FD, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = store.news, .events = POLLIN};
    uint32_t n = store.peers_count;
    for (uint32_t i = 0; i < n; i++) {
        const struct store_peer *p = store.peers[i];
        fds[PEERS_AT + i] = (struct pollfd){.fd = p->fd, .events = (short)((p->over ? 0 : POLLIN) | (p->first ? POLLOUT : 0))};
        if (p->over && !p->first) fds[PEERS_AT + i].fd = -1;
    }
    if (poll(fds, PEERS_AT + n, wait_ms) <= 0) return;
    if (fds[1].revents) answer_done();
    for (uint32_t i = 0; i < n; i++) {
        struct store_peer *p = store.peers[i];
        if (fds[PEERS_AT + i].revents & POLLOUT && p->fd >= 0) send_answers(p);
        if (fds[PEERS_AT + i].revents & (POLLIN | POLLHUP | POLLERR) && p->fd >= 0 && !p->over) hear_peer(p);
    }
    if (fds[0].revents) hear_supervisor();
}

static int until_due(uint64_t now) {
    uint64_t due = now + 5'000'000'000u;
    if (store.tick_ns) due = MIN(due, store.tick_ns);
    if (store.state == ENDS) due = MIN(due, now + 20'000'000u);
    if (store.hold.waits) due = MIN(due, now + 1'000'000u);
    if (news_due) due = MIN(due, now + news_ns);
    if (store.leaves) due = MIN(due, now + 1'000'000u);
    return due <= now ? 0 : (int)((due - now) / 1000000u + 1);
}

static void serve(void) {
    while (!store.done) {
        uint64_t now = clock_mono_ns();
        if (now >= store.tick_ns) store.tick_ns = node_store_bases_tick(now);
        if (store.hold.waits) try_hold(now);
        if (news_due) tell_due_news(now);
        rest(now);
        if (store.state == ENDS && all_over()) return;
        wait_turn(until_due(now));
    }
}

int node_store_main(void) {
    struct diag d = DIAG_INIT;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    store.news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    store.quiet_ns = clock_mono_ns();
    err e = open_store(&d);
    if (e != ERR_OK) {
        log_event(LOG_ERROR, "store-failed", LF_CSTR("reason", d.text[0] ? d.text : err_text(e)));
        return 1;
    }
    db_memory_max(memory_bytes_max);
    node_store_bases_init(&(struct store_config){.keeps = store.keeps,
                                                 .history_bytes_max = store.limits.history_bytes_max,
                                                 .history_ms_max = store.limits.history_ms_max,
                                                 .done = on_done});
    fcntl(NODE_WIRE_FD, F_SETFL, O_NONBLOCK);
    serve();
    return 0; /* what is open is on the disk: nothing waits */
}
