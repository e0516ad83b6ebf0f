/* hash: passwords, for workers that ask: argon2id made, and compared with what was made before. A process of its own, so that what takes tens of
 * milliseconds of a core stalls no request, and a password that was sent is in no other's memory for longer than it takes to hand it on.
 *
 *   worker ──hash_ask──> [ an app's line: so many ] ──in turn──> a thread ──hash_told──> worker
 *                          └─ full: told at once that it is (ERR_BUSY)
 *
 * 1. Apps take turns: who is asked a thousand times waits for himself.
 * 2. As many at a time as half of the cores, each with 19 MiB: what it may take is known.
 * 3. What one costs is measured at the start, and lies between PASSES_MIN and PASSES_MAX; what was made with less than PASSES_MIN is old.
 */
#include "crypto/crypto.h"
#include "net/loop.h"
#include "node/node_int.h"
#include "node/role.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    MEMORY_KIB = 19 << 10,
    PASSES_MIN = 2,
    PASSES_MAX = 6,
    WANTED_MS = 40,
    OF_APP_MAX = 64,
    ALL_MAX = 1024,
    PEERS_MAX = 1024,
    PACKETS_TURN = 32,
    AT_A_TIME_MAX = 32,
    LOOK_MS = 5000
};

struct peer {
    struct net_watch *watch;
    int fd; /* -1: it is gone, and asks of it are under way */
    uint32_t asks;
    struct peer *next;
};
struct ask {
    struct ask *next;
    struct peer *peer;
    uint32_t id;
    bool makes, none; /* none: there is nothing to compare with, and it takes as long */
    size_t password_n;
    uint8_t password[NODE_PASSWORD_BYTES_MAX];
    char hash[CRYPTO_HASH_TEXT_MAX];
    bool right, old;
};
struct line { /* of an app */
    struct line *next;
    uint32_t app, n;
    struct ask *first, **last;
};
static struct {
    struct net_loop *loop;
    struct net_watch *wire;
    struct net_timer *timer;
    struct peer *peers;
    uint32_t peers_count, waiting, running, at_a_time, passes;
    struct line *lines, *turn; /* a ring's last; of those where somebody waits */
    uint64_t quiet_ns;
    bool rests;
} h;

/* ---- answers ---- */

static void free_peer(struct peer *p) {
    struct peer **at = &h.peers;
    while (*at != p) at = &(*at)->next;
    *at = p->next;
    h.peers_count--;
    free(p);
}

static void drop_peer(struct peer *p) {
    if (p->fd < 0) return;
    net_watch_free(p->watch);
    close(p->fd);
    p->fd = -1;
    if (!p->asks) free_peer(p);
}

static void tell(struct peer *p, const struct node_message *m) {
    if (p->fd >= 0 && node_wire_send(p->fd, m) != ERR_OK) drop_peer(p); /* he asks anew, of whom there is then */
}

static void free_ask(struct ask *a) {
    struct peer *p = a->peer;
    explicit_bzero(a, sizeof *a);
    free(a);
    if (!--p->asks && p->fd < 0) free_peer(p);
}

/* ---- the work ---- */

static void run(void *arg) {
    struct ask *a = arg;
    char made[CRYPTO_ARGON2_TEXT_MAX];
    str password = {a->password, a->password_n};
    if (a->makes || a->none || crypto_hash_known(str_c(a->hash)) != CRYPTO_HASH_OK) { /* what is never right takes as long */
        crypto_argon2_make(password, h.passes, MEMORY_KIB, made);
        if (a->makes) memcpy(a->hash, made, sizeof made);
    } else {
        a->right = crypto_password_is(password, a->hash, PASSES_MIN, MEMORY_KIB, &a->old);
    }
    explicit_bzero(a->password, sizeof a->password);
}

static void begin_more(void);

static void ran(void *arg, bool did) {
    struct ask *a = arg;
    const struct node_message m = NODE_MESSAGE(hash_told, .id = a->id, .err = did ? ERR_OK : ERR_BUSY, .right = a->right,
                                               .old = a->old, .hash = a->makes ? str_c(a->hash) : (str){0});
    tell(a->peer, &m);
    free_ask(a);
    h.running--;
    begin_more();
}

/* The next one of the app whose turn it is. */
static struct ask *next_ask(void) {
    struct line *prev = h.turn, *l = prev ? prev->next : NULL;
    if (!l) return NULL;
    struct ask *a = l->first;
    l->first = a->next;
    l->n--, h.waiting--;
    if (l->first) {
        h.turn = l;
        return a;
    }
    if (l == prev) h.turn = NULL;
    else prev->next = l->next;
    free(l);
    return a;
}

static void begin_more(void) {
    while (h.running < h.at_a_time) {
        struct ask *a = next_ask();
        if (!a) return;
        h.running++;
        net_work_new(h.loop, NULL, run, ran, a);
    }
}

static struct line *line_of(uint32_t app) {
    struct line *l = h.turn;
    if (l) do
            if (l->app == app) return l;
        while ((l = l->next) != h.turn);
    l = calloc(1, sizeof *l);
    ENSURE(l);
    l->app = app;
    l->last = &l->first;
    if (h.turn) l->next = h.turn->next, h.turn->next = l;
    else l->next = l;
    h.turn = l;
    return l;
}

/* ---- workers ---- */

static void take(struct peer *p, const struct node_msg_hash_ask *m) {
    struct line *l = h.waiting < ALL_MAX ? line_of(m->app) : NULL;
    if (!l || l->n >= OF_APP_MAX) {
        tell(p, &NODE_MESSAGE(hash_told, .id = m->id, .err = ERR_BUSY));
        return;
    }
    struct ask *a = calloc(1, sizeof *a);
    ENSURE(a);
    *a = (struct ask){.peer = p, .id = m->id, .makes = m->makes, .none = !m->hash.n && !m->makes, .password_n = m->password.n};
    if (m->password.n) memcpy(a->password, m->password.p, m->password.n);
    if (m->hash.n) memcpy(a->hash, m->hash.p, m->hash.n);
    p->asks++;
    *l->last = a;
    l->last = &a->next;
    l->n++, h.waiting++;
    begin_more();
}

static void on_peer(void *arg, unsigned events) {
    struct peer *p = arg;
    struct node_message m;
    h.quiet_ns = clock_mono_ns();
    for (int i = 0; i < PACKETS_TURN && p->fd >= 0; i++) {
        enum node_wire_got got = node_wire_receive(p->fd, NODE_ROLE_worker, NODE_ROLE_hash, &m);
        if (got == NODE_WIRE_AGAIN) return;
        bool sense = got == NODE_WIRE_GOT && m.type == NODE_MSG_hash_ask;
        p->asks++; /* it stays for as long as it is looked at */
        if (sense) take(p, &m.hash_ask);
        if (got == NODE_WIRE_GOT) node_message_drop(&m);
        if (!sense && got != NODE_WIRE_CLOSED)
            log_event(LOG_ERROR, "role-cut-off", LF_CSTR("role", "worker"), LF_CSTR("channel", "hash"));
        bool gone = p->fd < 0;
        p->asks--;
        if (!sense && !gone) {
            drop_peer(p);
            return;
        }
        if (gone && !p->asks) {
            free_peer(p);
            return;
        }
    }
}

static void add_peer(int fd) {
    struct peer *p = calloc(1, sizeof *p);
    ENSURE(p);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    *p = (struct peer){.fd = fd, .next = h.peers};
    h.peers = p;
    h.peers_count++;
    p->watch = net_watch_new(h.loop, fd, NET_READABLE, on_peer, p);
    ENSURE(p->watch);
}

/* ---- its life ---- */

static void on_wire(void *arg, unsigned events) {
    struct node_message m;
    enum node_wire_got got = node_wire_receive(NODE_WIRE_FD, NODE_ROLE_supervisor, NODE_ROLE_hash, &m);
    if (got == NODE_WIRE_AGAIN) return;
    bool sense = got == NODE_WIRE_GOT && m.type == NODE_MSG_hash_peer && h.peers_count < PEERS_MAX;
    if (sense) add_peer(node_message_take(&m, 0));
    if (got == NODE_WIRE_GOT) node_message_drop(&m);
    h.quiet_ns = clock_mono_ns();
    if (!sense) net_loop_stop(h.loop); /* what was asked is asked anew, of the next one */
}

static void look(void *arg) {
    uint64_t idle_ns = node_role_idle_s(NODE_ROLE_hash) * 1'000'000'000ull;
    if (h.rests || h.running || h.waiting || clock_mono_ns() - h.quiet_ns < idle_ns) return;
    h.rests = node_wire_send(NODE_WIRE_FD, &NODE_MESSAGE(hash_rests)) == ERR_OK;
}

/* So many passes take WANTED_MS, of a core that does nothing else; the quicker of two, as it may be disturbed. */
static uint32_t measure(void) {
    char out[CRYPTO_ARGON2_TEXT_MAX];
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 2; i++) {
        uint64_t since = clock_mono_ns();
        crypto_argon2_make(STR("measured"), PASSES_MIN, MEMORY_KIB, out);
        best = MIN(best, clock_mono_ns() - since);
    }
    uint64_t each = MAX(best / PASSES_MIN, (uint64_t)1);
    return (uint32_t)MIN(MAX(WANTED_MS * 1'000'000ull / each, (uint64_t)PASSES_MIN), (uint64_t)PASSES_MAX);
}

/* libcrypto makes itself ready when it is first asked, by files that the sandbox does not have: asked before it. */
static void ready_imported(void) {
    static const char *const kinds[] = {
        "$pbkdf2-sha1$i=1$c2FsdA$qQDPSZa3Ormyy9oK1Pu0ZLLwP2Q", "$pbkdf2-sha256$i=1$c2FsdA$qQDPSZa3Ormyy9oK1Pu0ZLLwP2Q",
        "$pbkdf2-sha512$i=1$c2FsdA$qQDPSZa3Ormyy9oK1Pu0ZLLwP2Q",
        "$fbscrypt$v=1,n=1,r=1,p=1,ss=Bw==,sk=qQDPSZa3Ormyy9oK1Pu0ZLLwP2Q=$c2FsdA$qQDPSZa3Ormyy9oK1Pu0ZLLwP2Q="};
    bool old;
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        ENSURE(!crypto_password_is(STR("nobody's"), kinds[i], PASSES_MIN, MEMORY_KIB, &old) && old);
}

static err begin(struct diag *d) {
    struct node_message m;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (node_wire_await(NODE_WIRE_FD, NODE_ROLE_supervisor, NODE_ROLE_hash, &m) != NODE_WIRE_GOT || m.type != NODE_MSG_hash_open)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "this is started by orlo itself");
    log_init(STDERR_FILENO, m.hash_open.log_json, (enum log_level)m.hash_open.log_min);
    log_to(node_log_send, NULL);
    node_message_drop(&m);
    h.at_a_time = (uint32_t)MIN(MAX(cores / 2, 1), AT_A_TIME_MAX);
    setpriority(PRIO_PROCESS, 0, 10); /* who serves goes before who computes */
    h.quiet_ns = clock_mono_ns();
    ready_imported();
    TRY(node_sandbox_hash(d));
    h.passes = measure();
    log_event(LOG_DEBUG, "hash-cost", LF_U64("passes", h.passes), LF_U64("memory_kib", MEMORY_KIB),
              LF_U64("at_a_time", h.at_a_time));
    fcntl(NODE_WIRE_FD, F_SETFL, O_NONBLOCK);
    h.timer = net_timer_new(h.loop, look, NULL);
    net_timer_start(h.timer, LOOK_MS, LOOK_MS);
    h.wire = net_watch_new(h.loop, NODE_WIRE_FD, NET_READABLE, on_wire, NULL);
    return ERR_OK;
}

int node_hash_main(void) {
    struct diag d = DIAG_INIT;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    setenv("UV_USE_IO_URING", "0", 1); /* the sandbox has no rings */
    h.loop = net_loop_new();
    err e = begin(&d);
    if (e != ERR_OK) log_event(LOG_ERROR, "hash-failed", LF_CSTR("reason", d.text[0] ? d.text : err_text(e)));
    else net_loop_run(h.loop);
    return e != ERR_OK; /* the system takes back what it holds */
}
