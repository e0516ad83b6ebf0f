/* hashes: see hashes.h. */
#include "node/worker/hashes.h"
#include "net/loop.h"
#include "node/node_int.h"
#include "node/wire.h"
#include <stdlib.h>
#include <unistd.h>

enum { LOOK_MS = 1000, AT_A_TIME = 32 };
static const uint64_t patience_ns = 15'000'000'000u;

struct node_hashing {
    struct node_hashing *next, **at;
    struct node_hashes *of;
    uint32_t id;
    bool sent;
    uint64_t until_ns;
    node_hashed_fn told;
    void *arg;
    struct buf packet;
};
struct node_hashes {
    struct net_loop *loop;
    enum node_role role; /* whom it asks */
    void (*want)(void *arg);
    void *arg;
    struct net_watch *watch;
    struct net_timer *timer;
    int fd;
    bool wanted, alone; /* alone: nobody will ever give it a channel */
    uint32_t last_id;
    struct node_hashing *first, **last;
};

static void end(struct node_hashing *a) {
    struct node_hashes *h = a->of;
    *a->at = a->next;
    if (a->next) a->next->at = a->at;
    else h->last = a->at;
    if (!h->first) net_timer_stop(h->timer);
    explicit_bzero(a->packet.p, a->packet.n);
    buf_free(&a->packet);
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
        if (a->sent) continue;
        waits = true;
        if (h->fd < 0) break;
        err e = node_wire_send_packet(h->fd, buf_str(&a->packet));
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

/* False: nonsense. */
static bool on_told(struct node_hashes *h, const struct node_message *m) {
    const struct node_msg_hash_told *t = &m->hash_told;
    bool hashed = m->type == NODE_MSG_hash_told, signature = m->type == NODE_MSG_token_told,
         vault = m->type == NODE_MSG_vault_told, tls = m->type == NODE_MSG_tls_told;
    uint32_t id = hashed ? t->id : vault ? m->vault_told.id : tls ? m->tls_told.id : m->token_told.id;
    struct node_hashing *a = h->first;
    struct node_hashed said = {0};
    if (!hashed && !signature && !vault && !tls) return false;
    while (a && (a->id != id || !a->sent)) a = a->next;
    if (hashed) said = (struct node_hashed){.err = t->err, .right = t->right, .old = t->old, .hash = t->hash};
    else if (vault) said = (struct node_hashed){.err = m->vault_told.err, .hash = m->vault_told.bytes};
    else if (tls) said = (struct node_hashed){.err = m->tls_told.err, .hash = m->tls_told.signature};
    else said = (struct node_hashed){.err = m->token_told.err, .hash = m->token_told.signature};
    if (a) tell(a, &said);
    return true;
}

static void on_events(void *arg, unsigned events) {
    struct node_hashes *h = arg;
    struct node_message m;
    for (int i = 0; i < AT_A_TIME; i++) {
        enum node_wire_got got = node_wire_receive(h->fd, h->role, NODE_ROLE_worker, &m);
        if (got == NODE_WIRE_AGAIN) break;
        bool sense = got == NODE_WIRE_GOT && on_told(h, &m);
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

void node_hashes_alone(struct node_hashes *h) { h->alone = true; }

static void look(void *arg) {
    struct node_hashes *h = arg;
    uint64_t now = clock_mono_ns();
    while (h->first && (now >= h->first->until_ns || (h->alone && h->fd < 0)))
        tell(h->first, &(struct node_hashed){.err = ERR_BUSY}); /* the oldest is the first */
}

/* ---- asking ---- */

static struct node_hashing *ask(struct node_hashes *h, const struct node_message *m, uint32_t id, node_hashed_fn told,
                                void *arg) {
    struct node_hashing *a = calloc(1, sizeof *a);
    ENSURE(a);
    *a = (struct node_hashing){
        .of = h, .at = h->last, .id = id, .until_ns = clock_mono_ns() + patience_ns, .told = told, .arg = arg};
    ENSURE(node_wire_encode(m, &a->packet));
    if (!h->first) net_timer_start(h->timer, LOOK_MS, LOOK_MS);
    *h->last = a;
    h->last = &a->next;
    send_waiting(h);
    return a;
}

struct node_hashing *node_hashes_ask(struct node_hashes *h, uint32_t app, str password, str hash, node_hashed_fn told,
                                     void *arg) {
    uint32_t id = ++h->last_id;
    const struct node_message m = NODE_MESSAGE(hash_ask, .id = id, .app = app, .makes = !hash.n, .password = password,
                                               .hash = str_eqc(hash, "-") ? (str){0} : hash);
    return ask(h, &m, id, told, arg);
}

struct node_hashing *node_hashes_sign(struct node_hashes *h, uint32_t app, enum node_key_algorithm algorithm, str key, str sealed,
                                      str message, node_hashed_fn told, void *arg) {
    uint32_t id = ++h->last_id;
    const struct node_message m = NODE_MESSAGE(token_ask, .id = id, .app = app, .algorithm = (uint8_t)algorithm, .key = key,
                                               .sealed = sealed, .message = message);
    return ask(h, &m, id, told, arg);
}

struct node_hashing *node_hashes_vault(struct node_hashes *h, uint32_t app, str pass, bool opens, str about, str bytes,
                                       node_hashed_fn told, void *arg) {
    uint32_t id = ++h->last_id;
    struct node_message m = NODE_MESSAGE(vault_ask, .id = id, .app = app, .opens = opens, .about = about, .bytes = bytes);
    memcpy(m.vault_ask.pass, pass.p, sizeof m.vault_ask.pass);
    return ask(h, &m, id, told, arg);
}

struct node_hashing *node_hashes_tls(struct node_hashes *h, uint16_t scheme, str sealed, str message, node_hashed_fn told,
                                     void *arg) {
    uint32_t id = ++h->last_id;
    const struct node_message m = NODE_MESSAGE(tls_ask, .id = id, .scheme = scheme, .sealed = sealed, .message = message);
    return ask(h, &m, id, told, arg);
}

void node_hashes_cancel(struct node_hashing *a) { end(a); }

struct node_hashes *node_hashes_new(struct net_loop *loop, bool signs, void (*want)(void *arg), void *arg) {
    struct node_hashes *h = calloc(1, sizeof *h);
    ENSURE(h);
    *h = (struct node_hashes){.loop = loop, .role = signs ? NODE_ROLE_keys : NODE_ROLE_hash, .want = want, .arg = arg, .fd = -1};
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
