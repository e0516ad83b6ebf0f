/* hashes: see hashes.h. */
#include "node/worker/hashes.h"
#include "net/loop.h"
#include "node/node_int.h"
#include "node/wire.h"
#include <stdlib.h>
#include <unistd.h>

enum { LOOK_MS = 1000, HASH_MAX = 255, AT_A_TIME = 32 };
static const uint64_t patience_ns = 15'000'000'000u;

struct node_hashing {
    struct node_hashing *next, **at;
    struct node_hashes *of;
    uint32_t id, app;
    bool sent;
    uint64_t until_ns;
    node_hashed_fn told;
    void *arg;
    size_t password_n, hash_n;
    uint8_t password[NODE_PASSWORD_BYTES_MAX], hash[HASH_MAX];
};
struct node_hashes {
    struct net_loop *loop;
    void (*want)(void *arg);
    void *arg;
    struct net_watch *watch;
    struct net_timer *timer;
    int fd;
    bool wanted;
    uint32_t last_id;
    struct node_hashing *first, **last;
};

static void end(struct node_hashing *a) {
    struct node_hashes *h = a->of;
    *a->at = a->next;
    if (a->next) a->next->at = a->at;
    else h->last = a->at;
    if (!h->first) net_timer_stop(h->timer);
    explicit_bzero(a, sizeof *a);
    free(a);
}

static void tell(struct node_hashing *a, const struct node_hashed *said) {
    node_hashed_fn told = a->told;
    void *arg = a->arg;
    end(a);
    told(arg, said);
}

static void send_waiting(struct node_hashes *h) {
    bool full = false, waits = false;
    for (struct node_hashing *a = h->first; a && !full; a = a->next) {
        str hash = {a->hash, a->hash_n};
        bool none = str_eqc(hash, "-");
        const struct node_message m = NODE_MESSAGE(hash_ask, .id = a->id, .app = a->app, .makes = !a->hash_n,
                                                   .password = {a->password, a->password_n}, .hash = none ? (str){0} : hash);
        if (a->sent) continue;
        waits = true;
        if (h->fd < 0) break;
        err e = node_wire_send(h->fd, &m);
        a->sent = e == ERR_OK;
        full = e == ERR_AGAIN;
        if (e != ERR_OK && !full) break; /* its end is seen soon */
    }
    if (h->watch) net_watch_events(h->watch, NET_READABLE | (full ? NET_WRITABLE : 0));
    if (h->fd >= 0 || !waits || h->wanted) return;
    h->wanted = true;
    h->want(h->arg);
}

static void close_channel(struct node_hashes *h) {
    if (h->fd < 0) return;
    net_watch_free(h->watch);
    close(h->fd);
    h->watch = NULL;
    h->fd = -1;
    for (struct node_hashing *a = h->first; a; a = a->next) a->sent = false;
}

static void on_told(struct node_hashes *h, const struct node_msg_hash_told *m) {
    struct node_hashing *a = h->first;
    while (a && (a->id != m->id || !a->sent)) a = a->next;
    if (a) tell(a, &(struct node_hashed){.err = m->err, .right = m->right, .old = m->old, .hash = m->hash});
}

static void on_events(void *arg, unsigned events) {
    struct node_hashes *h = arg;
    struct node_message m;
    for (int i = 0; i < AT_A_TIME; i++) {
        enum node_wire_got got = node_wire_receive(h->fd, NODE_ROLE_hash, NODE_ROLE_worker, &m);
        if (got == NODE_WIRE_AGAIN) break;
        bool sense = got == NODE_WIRE_GOT && m.type == NODE_MSG_hash_told;
        if (sense) on_told(h, &m.hash_told);
        if (got == NODE_WIRE_GOT) node_message_drop(&m);
        if (sense) continue;
        close_channel(h);
        break;
    }
    send_waiting(h);
}

void node_hashes_channel(struct node_hashes *h, int fd) {
    close_channel(h);
    h->wanted = false;
    h->fd = fd;
    h->watch = net_watch_new(h->loop, fd, NET_READABLE, on_events, h);
    send_waiting(h);
}

static void look(void *arg) {
    struct node_hashes *h = arg;
    uint64_t now = clock_mono_ns();
    for (struct node_hashing *a = h->first, *next; a; a = next) {
        next = a->next;
        if (now < a->until_ns) continue;
        tell(a, &(struct node_hashed){.err = ERR_BUSY});
        next = h->first; /* who was told may have changed the list */
    }
}

struct node_hashing *node_hashes_ask(struct node_hashes *h, uint32_t app, str password, str hash, node_hashed_fn told,
                                     void *arg) {
    struct node_hashing *a = calloc(1, sizeof *a);
    ENSURE(a && password.n <= sizeof a->password && hash.n <= sizeof a->hash);
    *a = (struct node_hashing){.of = h,
                               .at = h->last,
                               .id = ++h->last_id,
                               .app = app,
                               .until_ns = clock_mono_ns() + patience_ns,
                               .told = told,
                               .arg = arg,
                               .password_n = password.n,
                               .hash_n = hash.n};
    if (password.n) memcpy(a->password, password.p, password.n);
    if (hash.n) memcpy(a->hash, hash.p, hash.n);
    if (!h->first) net_timer_start(h->timer, LOOK_MS, LOOK_MS);
    *h->last = a;
    h->last = &a->next;
    send_waiting(h);
    return a;
}

void node_hashes_cancel(struct node_hashing *a) { end(a); }

struct node_hashes *node_hashes_new(struct net_loop *loop, void (*want)(void *arg), void *arg) {
    struct node_hashes *h = calloc(1, sizeof *h);
    ENSURE(h);
    *h = (struct node_hashes){.loop = loop, .want = want, .arg = arg, .fd = -1};
    h->last = &h->first;
    h->timer = net_timer_new(loop, look, h);
    return h;
}

void node_hashes_free(struct node_hashes *h) {
    if (!h) return;
    while (h->first) end(h->first);
    close_channel(h);
    net_timer_free(h->timer);
    free(h);
}
