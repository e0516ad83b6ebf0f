/* inbox: see inbox.h.
 *
 *   handler: another cordon's ── node_inbox_pass ──> net_exchange_pass ──> `pass` at the cordon's inbox ──> a worker of it
 *                                                                                                             │
 *   handler <── on_request <── net_server_adopt <── generation known here? ─┬─ yes ──────────────────────────┘
 *                                                                           └─ not yet: held until it is live, or for a moment
 *
 * 1. Which cordon an app is of, the snapshot says, and workers go from one to the next at slightly different times. A connection is
 *    held by who knows less than the one who sent it, and led on by who knows more: so it is at its place after few steps.
 * 2. What comes is hearsay: it is served by this worker's own snapshot, within this worker's own limits.
 * 3. So many are taken in a turn; the rest waits where it lies, and others have their turn.
 */
#include "node/worker/inbox.h"
#include "node/wire.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { TAKEN_MAX = 32, HELD_MAX = 1024, HELD_MS = 2000, CORDONS_MAX = 64, EARLY_MAX = 16 * KiB };

struct held {
    struct held *next;
    uint64_t generation;
    uint32_t port, passes;
    bool secure, relayed;
    int fd;
    struct buf bytes;
    uint8_t peer[128];
    uint32_t peer_n;
};
struct node_inbox {
    struct node_inbox_config c;
    int own;
    struct net_watch *watch; /* of own, once something is served */
    struct net_timer *timer;
    struct held *held, **last;
    uint32_t held_count;
    struct way {
        uint32_t cordon;
        int fd;
    } ways[CORDONS_MAX];
    uint32_t ways_count;
};

struct node_inbox *node_inbox_new(const struct node_inbox_config *config) {
    struct node_inbox *in = calloc(1, sizeof *in);
    ENSURE(in);
    in->c = *config;
    in->own = -1;
    in->last = &in->held;
    return in;
}

/* ---- what comes ---- */

static void adopt(struct node_inbox *in, struct held *h) {
    struct net_server *server = in->c.server(in->c.arg, h->port);
    struct net_handover over = {.fd = h->fd,
                                .bytes = buf_str(&h->bytes),
                                .peer = h->peer,
                                .peer_n = h->peer_n,
                                .passes = h->passes,
                                .secure = h->secure,
                                .relayed = h->relayed};
    if (server) net_server_adopt(server, &over);
    else close(h->fd);
    buf_free(&h->bytes);
    free(h);
}

static void let_go(struct node_inbox *in, bool all) {
    uint64_t generation = in->c.generation(in->c.arg);
    struct held *h, *later = NULL, **end = &later;
    uint32_t count = 0;
    while ((h = in->held)) {
        in->held = h->next;
        if (all || h->generation <= generation) {
            adopt(in, h);
            continue;
        }
        h->next = NULL;
        *end = h;
        end = &h->next;
        count++;
    }
    in->held = later;
    in->last = later ? end : &in->held;
    in->held_count = count;
}

/* It has waited long enough: what is served here decides. */
static void on_late(void *arg) { let_go(arg, true); }

static void hold(struct node_inbox *in, struct held *h) {
    if (in->held_count == HELD_MAX) {
        adopt(in, h);
        return;
    }
    if (!in->timer) in->timer = net_timer_new(in->c.loop, on_late, in);
    if (!in->held) net_timer_start(in->timer, HELD_MS, 0);
    *in->last = h;
    in->last = &h->next;
    in->held_count++;
}

static bool read_file(int fd, uint32_t bytes, struct buf *out) {
    if (bytes > NET_HANDOVER_BYTES_MAX) return false;
    buf_reserve(out, bytes);
    ssize_t n = pread(fd, out->p, bytes, 0);
    out->n = n > 0 ? (size_t)n : 0;
    return n == (ssize_t)bytes;
}

static void came(struct node_inbox *in, struct node_message *m) {
    const struct node_msg_pass *pass = &m->pass;
    struct held *h = calloc(1, sizeof *h);
    ENSURE(h);
    *h = (struct held){.generation = pass->generation,
                       .port = pass->port,
                       .passes = pass->passes,
                       .secure = pass->secure,
                       .relayed = pass->relayed,
                       .peer_n = (uint32_t)pass->peer.n};
    if (pass->peer.n) memcpy(h->peer, pass->peer.p, pass->peer.n);
    bool ok = true;
    if (m->fds_count > 1) ok = read_file(m->fds[1], pass->bytes, &h->bytes);
    else buf_puts(&h->bytes, pass->early);
    if (!ok) {
        buf_free(&h->bytes);
        free(h);
        return;
    }
    h->fd = node_message_take(m, 0);
    if (h->generation > in->c.generation(in->c.arg)) hold(in, h);
    else adopt(in, h);
}

static void forget_own(struct node_inbox *in) {
    if (in->watch) net_watch_free(in->watch);
    if (in->own >= 0) close(in->own);
    in->watch = NULL;
    in->own = -1;
}

/* False: there is nothing more, now. */
static bool take(struct node_inbox *in) {
    struct node_message m;
    switch (node_wire_receive(in->own, NODE_ROLE_worker, NODE_ROLE_worker, &m)) {
    case NODE_WIRE_GOT:
        came(in, &m);
        node_message_drop(&m);
        return true;
    case NODE_WIRE_NONSENSE: return true; /* whoever it was: what he sent is gone, and others go on */
    case NODE_WIRE_AGAIN: return false;
    case NODE_WIRE_CLOSED: forget_own(in); return false; /* nothing will come any more */
    }
    return false;
}

static void on_own(void *arg, unsigned events) {
    struct node_inbox *in = arg;
    for (int i = 0; i < TAKEN_MAX && in->own >= 0 && take(in); i++) {}
}

/* ---- where to ---- */

void node_inbox_set(struct node_inbox *in, uint32_t cordon, bool own, int fd) {
    uint32_t i = 0;
    if (own) {
        forget_own(in);
        in->own = fd;
        if (fd >= 0 && in->c.generation(in->c.arg)) node_inbox_live(in);
        return;
    }
    while (i < in->ways_count && in->ways[i].cordon != cordon) i++;
    if (i < in->ways_count) {
        close(in->ways[i].fd);
        in->ways[i] = in->ways[--in->ways_count];
    }
    if (fd < 0) return;
    if (in->ways_count == CORDONS_MAX) close(fd);
    else in->ways[in->ways_count++] = (struct way){cordon, fd};
}

void node_inbox_live(struct node_inbox *in) {
    let_go(in, false);
    if (in->own >= 0 && !in->watch) in->watch = net_watch_new(in->c.loop, in->own, NET_READABLE, on_own, in);
}

static int way_to(const struct node_inbox *in, uint32_t cordon) {
    for (uint32_t i = 0; i < in->ways_count; i++)
        if (in->ways[i].cordon == cordon) return in->ways[i].fd;
    return -1;
}

void node_inbox_drain(struct node_inbox *in, bool others) {
    enum { AT_MOST = 4096 };
    bool leave = others && way_to(in, in->c.cordon) >= 0;
    for (int i = 0; i < AT_MOST && in->watch && !leave && take(in); i++) {}
    forget_own(in);
    let_go(in, true);
}

/* ---- what goes ---- */

static int memory_file(str bytes) {
    int fd = memfd_create("orlo-pass", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd >= 0 && write(fd, bytes.p, bytes.n) == (ssize_t)bytes.n &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        return fd;
    if (fd >= 0) close(fd);
    return -1;
}

struct going {
    struct node_inbox *inbox;
    uint32_t cordon, port;
};

static bool give(void *arg, const struct net_handover *over) {
    struct going *g = arg;
    struct node_inbox *in = g->inbox;
    struct node_message m = NODE_MESSAGE(pass, .generation = in->c.generation(in->c.arg), .port = g->port, .passes = over->passes,
                                         .peer = {over->peer, over->peer_n}, .secure = over->secure, .relayed = over->relayed);
    int way = way_to(in, g->cordon), file = -1;
    bool ok = true;
    free(g);
    m.fds[m.fds_count++] = over->fd;
    if (over->bytes.n <= EARLY_MAX) {
        m.pass.early = over->bytes;
    } else {
        m.pass.bytes = (uint32_t)over->bytes.n;
        ok = (file = memory_file(over->bytes)) >= 0;
        m.fds[m.fds_count++] = file;
    }
    ok = ok && way >= 0 && node_wire_send(way, &m) == ERR_OK;
    if (file >= 0) close(file);
    return ok;
}

err node_inbox_pass(struct node_inbox *in, struct net_exchange *x, uint32_t cordon) {
    if (way_to(in, cordon) < 0) return ERR_NOT_FOUND;
    struct going *g = malloc(sizeof *g);
    ENSURE(g);
    *g = (struct going){in, cordon, net_exchange_port(x)};
    err e = net_exchange_pass(x, &(struct net_pass){give, free, g});
    if (e != ERR_OK) free(g);
    return e;
}

bool node_inbox_way(struct node_inbox *in, uint32_t cordon, uint16_t port, struct net_pass *to) {
    if (way_to(in, cordon) < 0) return false;
    struct going *g = malloc(sizeof *g);
    ENSURE(g);
    *g = (struct going){in, cordon, port};
    *to = (struct net_pass){give, free, g};
    return true;
}

bool node_inbox_leads_back(const struct node_inbox *in) {
    struct pollfd way = {.fd = way_to(in, in->c.cordon), .events = POLLOUT};
    return way.fd >= 0 && poll(&way, 1, 0) == 1 && way.revents == POLLOUT;
}

void node_inbox_free(struct node_inbox *in) {
    forget_own(in);
    for (uint32_t i = 0; i < in->ways_count; i++) close(in->ways[i].fd);
    while (in->held) {
        struct held *h = in->held;
        in->held = h->next;
        close(h->fd);
        buf_free(&h->bytes);
        free(h);
    }
    if (in->timer) net_timer_free(in->timer);
    free(in);
}
