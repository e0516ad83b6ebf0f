/* takeover: this program takes the place of a node that runs, which has started it (`orlo upgrade`; upgrade.c is the other side).
 *
 *   hello ──> offer, door …, offered ──> its configuration is read, its folders are open ──> prepared ──go──> control, workers ──> serving ──yours──> the node
 *                                                                                              │
 *                                                       the old one is gone, at any point: it is the node's successor all the same
 *
 * 1. Until `go` it has written nothing, and nobody hears of it but who started it. Until `yours` nobody is let in to say what it should change.
 * 2. What it says of itself when it ends goes to who asked for the upgrade.
 */
#include "app/record.h"
#include "node/control/store.h"
#include "node/handover.h"
#include "node/supervisor/supervisor_int.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { INBOXES_MAX = 64, WAIT_MS = 60'000 };

struct takeover {
    int wire; /* -1: the old one is gone */
    bool check, serves, owns;
    bool clusters; /* whose are ours, too */
    uint64_t generation;
    struct setup before; /* doors and cordons, as node_setup_new looks for them */
    int admin_fd;
    str admin;
    struct inbox {
        uint32_t cordon;
        int fds[2]; /* -1: taken */
    } inboxes[INBOXES_MAX];
    uint32_t inboxes_count;
};

/* ---- what is handed on ---- */

static bool is_listening(int fd) {
    int on = 0;
    socklen_t n = sizeof on;
    return fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &n) == 0 && on;
}

static void add_door(struct takeover *t, struct node_handover *m) {
    struct setup *b = &t->before;
    if (node_handover_u64(m, "first")) {
        struct sockaddr_storage a = {0};
        socklen_t n = sizeof a;
        if (b->doors_count == NODE_LISTEN_MAX || !m->fds_count || getsockname(m->fds[0], (struct sockaddr *)&a, &n)) return;
        b->doors[b->doors_count++] = node_door_taken(node_handover_str(m, "host"), (uint16_t)node_handover_u64(m, "port"),
                                                     node_handover_u64(m, "both"), (struct sockaddr *)&a, n);
    }
    for (int i = 0; b->doors_count && i < m->fds_count; i++)
        if (is_listening(m->fds[i])) node_door_add(b->doors[b->doors_count - 1], node_handover_take(m, i));
}

static void add_inbox(struct takeover *t, struct node_handover *m) {
    if (t->inboxes_count == INBOXES_MAX || m->fds_count != 2) return;
    t->inboxes[t->inboxes_count++] =
        (struct inbox){(uint32_t)node_handover_u64(m, "cordon"), {node_handover_take(m, 0), node_handover_take(m, 1)}};
}

static void add_cordon(struct supervisor *s, struct takeover *t, const struct node_handover *m) {
    struct setup_cordon *c = vec_add(s->mem, &t->before.cordons);
    *c = (struct setup_cordon){.name = arena_str(s->mem, node_handover_str(m, "name")),
                               .id = (uint32_t)node_handover_u64(m, "id")};
}

static void take_log(const struct node_handover *m) {
    dup2(NODE_HANDOVER_LOG_FD, STDERR_FILENO);
    log_init(STDERR_FILENO, node_handover_u64(m, "log_json"), (enum log_level)MIN(node_handover_u64(m, "log_min"), 3u));
}

static void take_offer(struct supervisor *s, struct takeover *t, struct node_handover *m) {
    str admin = node_handover_str(m, "admin");
    t->check = node_handover_u64(m, "check");
    t->generation = node_handover_u64(m, "generation");
    s->generation_before = t->generation;
    if (!t->check) take_log(m);
    s->state.lock = node_handover_take(m, 0), s->state.socket = node_handover_take(m, 1),
    s->state.upgrade = node_handover_take(m, 2);
    if (node_handover_u64(m, "rates") && m->fds_count > 3) {
        node_supervisor_close(&s->rates_fd); /* who may come how often, and whose tokens hold no more, goes on */
        s->rates_fd = node_handover_take(m, 3);
    }
    (void)str_to_bytes(node_handover_str(m, "hops"), s->hops_key, sizeof s->hops_key);
    if (admin.n) t->admin = arena_str(s->mem, admin), t->admin_fd = node_handover_take(m, 4);
}

/* ---- waiting for a word, before anything else is done ---- */

static enum node_handover_got await(struct takeover *t, struct node_handover *m) {
    enum node_handover_got got;
    while ((got = node_handover_receive(t->wire, m)) == NODE_HANDOVER_AGAIN)
        if (poll(&(struct pollfd){.fd = t->wire, .events = POLLIN}, 1, WAIT_MS) == 0) break;
    if (got == NODE_HANDOVER_AGAIN) got = NODE_HANDOVER_CLOSED;
    return got;
}

static err say_hello(struct takeover *t) {
    struct buf b = {0};
    char wire[33], rates[33], meters[33];
    node_handover_layouts(wire, rates, meters);
    node_handover_begin(&b, "hello");
    node_handover_put(&b, "version", str_c(ORLO_VERSION));
    node_handover_put(&b, "wire", str_c(wire));
    node_handover_put(&b, "rates", str_c(rates));
    node_handover_put(&b, "meters", str_c(meters));
    node_handover_put_u64(&b, "format", node_store_format());
    node_handover_put_u64(&b, "record", APP_RECORD_LAYOUT);
    return node_handover_send(t->wire, &b, (str){0}, NULL, 0);
}

static bool is_handover(int fd) {
    int type = 0;
    socklen_t n = sizeof type;
    return fd > STDERR_FILENO && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_SEQPACKET;
}

void node_takeover_begin(struct supervisor *s) {
    const char *said = getenv(NODE_HANDOVER_VARIABLE);
    struct node_handover m;
    bool all = false;
    int fd = said ? atoi(said) : -1;
    unsetenv(NODE_HANDOVER_VARIABLE);
    if (!said || fd != NODE_HANDOVER_FD || !is_handover(fd)) return;
    struct takeover *t = s->takeover = calloc(1, sizeof *t);
    ENSURE(t);
    fcntl(fd, F_SETFD, FD_CLOEXEC), fcntl(fd, F_SETFL, O_NONBLOCK);
    *t = (struct takeover){.wire = fd, .admin_fd = -1};
    err e = say_hello(t);
    while (e == ERR_OK && !all && await(t, &m) == NODE_HANDOVER_GOT) {
        if (node_handover_is(&m, "offer")) take_offer(s, t, &m);
        else if (node_handover_is(&m, "door")) add_door(t, &m);
        else if (node_handover_is(&m, "inbox")) add_inbox(t, &m);
        else if (node_handover_is(&m, "cordon")) add_cordon(s, t, &m);
        else if (node_handover_is(&m, "tickets"))
            node_certificates_adopt_tickets(s, node_handover_u64(&m, "bytes"), node_handover_take(&m, 0));
        else if (node_handover_is(&m, "region") && m.fds_count == 1)
            node_regions_adopt(s, (uint32_t)node_handover_u64(&m, "slot"), node_handover_take(&m, 0));
        all = node_handover_is(&m, "offered");
        node_handover_drop(&m);
    }
    if (!all) { /* it is gone, or wants no successor any more and ends this one: with what has come, this is the node */
        node_supervisor_close(&t->wire);
        dup2(NODE_HANDOVER_LOG_FD, STDERR_FILENO);
    }
    close(NODE_HANDOVER_LOG_FD);
}

const struct setup *node_takeover_before(const struct supervisor *s) { return s->takeover ? &s->takeover->before : NULL; }

bool node_takeover_broken(const struct supervisor *s) { return s->takeover && s->takeover->wire < 0; }

int node_takeover_admin(struct supervisor *s, str asked) {
    struct takeover *t = s->takeover;
    if (!t || t->admin_fd < 0 || !str_eq(t->admin, asked)) return -1;
    int fd = t->admin_fd;
    t->admin_fd = -1;
    return fd;
}

bool node_takeover_inbox(struct supervisor *s, uint32_t cordon, int fds[2]) {
    struct takeover *t = s->takeover;
    for (uint32_t i = 0; t && i < t->inboxes_count; i++) {
        struct inbox *in = &t->inboxes[i];
        if (in->cordon != cordon || in->fds[0] < 0) continue;
        fds[0] = in->fds[0], fds[1] = in->fds[1];
        in->fds[0] = in->fds[1] = -1;
        return true;
    }
    return false;
}

/* What of it is not used any more is closed: addresses that are not configured now among it. */
static void close_rest(struct takeover *t) {
    for (uint32_t i = 0; i < t->before.doors_count; i++) node_door_leave(t->before.doors[i]);
    t->before.doors_count = 0;
    for (uint32_t i = 0; i < t->inboxes_count; i++)
        for (int k = 0; k < 2; k++) node_supervisor_close(&t->inboxes[i].fds[k]);
    t->inboxes_count = 0;
    node_supervisor_close(&t->admin_fd);
}

/* Of addresses, which are new here and which are no more. */
static void put_note(struct supervisor *s, struct buf *b) {
    struct buf note = {0};
    for (uint32_t i = 0; i < s->setup->doors_count; i++) {
        bool had = false;
        for (uint32_t k = 0; k < s->takeover->before.doors_count; k++) had |= s->takeover->before.doors[k] == s->setup->doors[i];
        if (!had)
            buf_printf(&note, "%slistens at %s, which is new", note.n ? ", " : "",
                       (const char *)node_door_url(s->mem, s->setup->doors[i], false).p);
    }
    for (uint32_t k = 0; k < s->takeover->before.doors_count; k++) {
        const struct door *door = s->takeover->before.doors[k];
        if (door->uses == 1)
            buf_printf(&note, "%slistens at %s no more", note.n ? ", " : "", (const char *)node_door_url(s->mem, door, false).p);
    }
    node_handover_put(b, "note", buf_str(&note));
    buf_free(&note);
}

err node_takeover_prepared(struct supervisor *s, struct diag *d) {
    struct takeover *t = s->takeover;
    struct node_handover m;
    struct buf b = {0};
    if (!t) return ERR_OK;
    node_handover_begin(&b, "prepared");
    put_note(s, &b);
    err e = node_handover_send(t->wire, &b, (str){0}, NULL, 0);
    enum node_handover_got got = NODE_HANDOVER_CLOSED;
    while (e == ERR_OK && (got = await(t, &m)) == NODE_HANDOVER_GOT && !node_handover_is(&m, "go")) node_handover_drop(&m);
    if (got == NODE_HANDOVER_GOT) node_handover_drop(&m);
    else node_supervisor_close(&t->wire); /* it is for us now */
    if (t->check) return diag_set(d, ERR_CLOSED, DIAG_NOWHERE, "it was only to be checked");
    close_rest(t);
    return ERR_OK;
}

/* ---- serving ---- */

static void own(struct supervisor *s) {
    struct takeover *t = s->takeover;
    if (t->owns || !t->serves) return;
    t->owns = true;
    node_upgrade_forget_copy(s);
    node_singles_tell(s, &NODE_MESSAGE(control_open));
    node_notify_ready(s);
}

/* There is nobody else any more. */
static void is_over(struct supervisor *s) {
    struct takeover *t = s->takeover;
    node_supervisor_close(&t->wire);
    node_relay_share(&s->relay, -1);
    node_regions_free_adopted(s);
    t->clusters = true;
    own(s);
    if (!t->serves) return; /* it says so when it does */
    free(t);
    s->takeover = NULL;
    node_workers_news(s, 0);
}

void node_takeover_serves(struct supervisor *s) {
    struct takeover *t = s->takeover;
    struct buf b = {0};
    if (!t || t->serves) return;
    t->serves = true;
    node_handover_begin(&b, "serving");
    if (t->wire < 0 || node_handover_send(t->wire, &b, (str){0}, NULL, 0) != ERR_OK) is_over(s);
}

bool node_takeover_waits(const struct supervisor *s) { return s->takeover && !s->takeover->owns; }
bool node_takeover_clusters_wait(const struct supervisor *s) { return s->takeover && !s->takeover->clusters; }

void node_takeover_failed(struct supervisor *s, err e, const struct diag *d) {
    struct buf b = {0};
    if (!s->takeover || s->takeover->wire < 0 || s->takeover->owns) return;
    node_handover_begin(&b, "failed");
    node_handover_put(&b, "text", str_c(d->text[0] ? d->text : err_text(e)));
    if (node_handover_send(s->takeover->wire, &b, (str){0}, NULL, 0) != ERR_OK) {} /* then nobody wants to know */
}

/* ---- for the old one's workers ---- */

static void lend(struct supervisor *s, const struct node_handover *m) {
    struct buf b = {0};
    uint64_t channel = node_handover_u64(m, "channel");
    int end =
        channel < NODE_CHANNELS ? node_roles_lend(s, (enum node_channel)channel, (uint32_t)node_handover_u64(m, "slot")) : -1;
    if (end < 0) return; /* who waits for it is told by his own patience */
    node_handover_begin(&b, "lent");
    node_handover_put_u64(&b, "pid", node_handover_u64(m, "pid"));
    node_handover_put_u64(&b, "channel", channel);
    err e = node_handover_send(s->takeover->wire, &b, (str){0}, &end, 1);
    (void)e;
    close(end);
}

static void on_image_want(struct supervisor *s, const struct node_handover *m) {
    struct node_message want = {0};
    if (node_wire_decode(m->body, NODE_ROLE_worker, NODE_ROLE_supervisor, &want) && want.type == NODE_MSG_image_want)
        node_singles_image_lent(s, (uint32_t)node_handover_u64(m, "id"), &want.image_want);
}

err node_takeover_image(struct supervisor *s, uint32_t id, const struct node_message *image) {
    struct buf b = {0}, body = {0};
    if (!s->takeover || s->takeover->wire < 0 || !node_wire_encode(image, &body)) return ERR_CLOSED;
    node_handover_begin(&b, "image");
    node_handover_put_u64(&b, "id", id);
    err e = node_handover_send(s->takeover->wire, &b, buf_str(&body), image->fds, image->fds_count);
    buf_free(&body);
    return e;
}

/* ---- as the loop has it ---- */

int node_takeover_fd(const struct supervisor *s) { return s->takeover ? s->takeover->wire : -1; }

static void on_yours(struct supervisor *s, struct node_handover *m) {
    int at = 0;
    if (node_handover_u64(m, "notify")) s->notify_fd = node_handover_take(m, at++);
    s->parent_fd = node_handover_u64(m, "parent") ? node_handover_take(m, at) : fcntl(s->takeover->wire, F_DUPFD_CLOEXEC, 0);
    s->watchdog_ns = s->notify_fd >= 0 ? node_handover_u64(m, "watchdog_ns") : 0;
    own(s);
}

void node_takeover_hear(struct supervisor *s) {
    struct node_handover m;
    switch (node_handover_receive(s->takeover->wire, &m)) {
    case NODE_HANDOVER_AGAIN: return;
    case NODE_HANDOVER_CLOSED: is_over(s); return;
    case NODE_HANDOVER_GOT: break;
    }
    if (node_handover_is(&m, "yours")) on_yours(s, &m);
    else if (node_handover_is(&m, "cluster"))
        node_clusters_adopt(s, (uint32_t)node_handover_u64(&m, "app"), node_handover_str(&m, "name"),
                            (pid_t)node_handover_u64(&m, "pid"));
    else if (node_handover_is(&m, "clusters")) s->takeover->clusters = true;
    else if (node_handover_is(&m, "lend")) lend(s, &m);
    else if (node_handover_is(&m, "image-want")) on_image_want(s, &m);
    bool done = node_handover_is(&m, "done");
    node_handover_drop(&m);
    if (done) is_over(s);
}
