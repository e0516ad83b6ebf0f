/* roles: the processes of which there is one each. They are started, watched, started anew and ended here, from a table; and their channels
 * to workers are made here.
 *
 *            wanted, or ALWAYS          rests: its wire is closed
 *   (none) ───────────────────> AT WORK ─────────────────────────> RESTING ──ends──> (none)
 *      ^                           │  ends, dies, sends nonsense                        │
 *      └──── after a pause ────────┴────────────────────────────────────────────────────┘
 *
 * 1. Whoever was asked something and is gone: `gone` sees to it that who asked is told. It is called once for each start, whatever happened.
 * 2. A process that rests gets nothing new: what is wanted of it meanwhile starts its successor when it has ended.
 * 3. A channel is between one process and another: if either is gone, so is the channel, and its successor has a new one.
 */
#include "node/meters.h"
#include "node/supervisor/supervisor_int.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint64_t pause_first_ns = 50'000'000u, pause_most_ns = 10'000'000'000u, second_ns = 1'000'000'000u;

static const struct life {
    bool (*begin)(struct supervisor *s);                        /* it has started: its first messages. False: it cannot be */
    bool (*hear)(struct supervisor *s, struct node_message *m); /* false: nonsense */
    void (*gone)(struct supervisor *s, int status);
} lives[NODE_ROLES] = {
    [NODE_ROLE_control] = {node_singles_begin_control, node_singles_hear_control, node_singles_lose_control},
    [NODE_ROLE_keys] = {node_singles_begin_keys, node_singles_hear_keys, node_singles_lose_keys},
    [NODE_ROLE_store] = {node_data_begin, node_data_hear, node_data_lose},
    [NODE_ROLE_postgres] = {node_clusters_begin, node_clusters_hear, node_clusters_lose},
    [NODE_ROLE_courier] = {node_post_begin, node_post_hear, node_post_lose},
    [NODE_ROLE_hash] = {node_hash_begin, node_hash_hear, node_hash_lose},
};

static bool is_single(enum node_role role) { return lives[role].begin; }
static bool is_there(const struct single *one) { return one->process.pid > 0; }
static bool is_at_work(const struct single *one) { return is_there(one) && one->process.wire >= 0 && !one->rests; }

/* ---- channels ---- */

static const enum node_role role_of_channel[] = {
#define CHANNEL(name, role) NODE_ROLE_##role,
#include "node/channels.def"
#undef CHANNEL
};

static struct node_message peer_of(enum node_channel channel, const struct proc *p) {
    static const enum node_message_type types[] = {
#define CHANNEL(name, role) NODE_MSG_##name##_peer,
#include "node/channels.def"
#undef CHANNEL
    };
    struct node_message m = {.type = types[channel]};
#define CHANNEL(name, role)                                                                                                      \
    if (channel == NODE_CHANNEL_##name) m.name##_peer.worker = p->slot;
#include "node/channels.def"
#undef CHANNEL
    return m;
}

/* For bursts: neither side waits for the other. */
static void make_room(int fd) {
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){1 << 20}, sizeof(int));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &(int){1 << 20}, sizeof(int)); /* where we may */
}

static void open_channel(struct supervisor *s, struct proc *p, enum node_channel channel) {
    int pair[2];
    const struct single *one = &s->singles[role_of_channel[channel]];
    if (!is_at_work(one) || p->process.wire < 0) return;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair)) {
        log_event(LOG_ERROR, "channel-not-made", LF_CSTR("role", node_role_text(one->process.role)),
                  LF_CSTR("reason", strerror(errno)));
        return;
    }
    struct node_message peer = peer_of(channel, p), end = NODE_MESSAGE(channel, .to = (uint8_t)channel);
    make_room(pair[0]), make_room(pair[1]);
    peer.fds[peer.fds_count++] = pair[1];
    end.fds[end.fds_count++] = pair[0];
    node_roles_tell(s, one->process.role, &peer);
    if (node_wire_send(p->process.wire, &end) != ERR_OK) node_process_signal(&p->process, SIGKILL); /* it does not listen */
    close(pair[0]), close(pair[1]);
}

void node_roles_open_channels(struct supervisor *s, struct proc *p) {
    for (enum node_channel channel = 0; channel < NODE_CHANNELS; channel++) open_channel(s, p, channel);
}

void node_roles_channel_want(struct supervisor *s, struct proc *p, enum node_channel channel) {
    enum node_role role = role_of_channel[channel];
    if (node_upgrade_lends(s, channel)) node_upgrade_borrow(s, p, channel);
    else if (is_at_work(&s->singles[role])) open_channel(s, p, channel);
    else node_roles_want(s, role);
}

/* ---- starting one ---- */

static void forget(struct supervisor *s, struct single *one) {
    if (one->log_fd >= 0) node_relay_take(&s->relay, one->log_fd, node_role_text(one->process.role), NULL, 1);
    node_supervisor_close(&one->log_fd);
    node_supervisor_close(&one->process.wire);
    one->process.pid = 0;
    one->rests = false;
}

static bool start(struct single *one, enum node_role role) {
    int log[2];
    if (!node_supervisor_log_pair(log)) return false;
    bool ok = node_role_start(role, log[1], &one->process);
    int why = errno;
    close(log[1]);
    one->log_fd = ok ? log[0] : -1;
    one->started_ns = clock_mono_ns();
    if (!ok) close(log[0]);
    errno = why;
    return ok;
}

bool node_roles_start(struct supervisor *s, enum node_role role) {
    struct single *one = &s->singles[role];
    if (is_there(one)) return true;
    one->wanted = false;
    if (!start(one, role)) {
        log_event(LOG_ERROR, "role-not-started", LF_CSTR("role", node_role_text(role)), LF_CSTR("reason", strerror(errno)));
        one->start_at_ns = clock_mono_ns() + second_ns;
        return false;
    }
    if (!lives[role].begin(s)) {
        node_roles_end(s, role);
        return false;
    }
    for (struct proc *p = s->procs; p; p = p->next)
        for (enum node_channel channel = 0; channel < NODE_CHANNELS; channel++)
            if (role_of_channel[channel] == role) open_channel(s, p, channel);
    return true;
}

int node_roles_lend(struct supervisor *s, enum node_channel channel, uint32_t slot) {
    enum node_role role = role_of_channel[channel];
    const struct proc p = {.slot = slot};
    struct node_message peer = peer_of(channel, &p);
    int pair[2];
    if (!is_at_work(&s->singles[role]) && (is_there(&s->singles[role]) || !node_roles_start(s, role))) return -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair)) return -1;
    make_room(pair[0]), make_room(pair[1]);
    peer.fds[peer.fds_count++] = pair[1];
    node_roles_tell(s, role, &peer);
    close(pair[1]);
    return pair[0];
}

void node_roles_want(struct supervisor *s, enum node_role role) {
    struct single *one = &s->singles[role];
    if (is_at_work(one)) return;
    one->wanted = true; /* node_roles_act */
}

/* ---- what they say ---- */

void node_roles_tell(struct supervisor *s, enum node_role role, const struct node_message *m) {
    struct single *one = &s->singles[role];
    if (one->process.wire < 0) return;
    if (node_wire_send(one->process.wire, m) != ERR_OK) node_process_signal(&one->process, SIGKILL);
}

void node_roles_rest(struct supervisor *s, enum node_role role) {
    struct single *one = &s->singles[role];
    one->rests = true;
    node_supervisor_close(&one->process.wire);
}

/* One that had been at work for a while comes back at once, and so does one that had rested. */
static void set_pause(struct single *one, bool well, uint64_t now) {
    bool long_lived = well || now - one->started_ns > 10 * second_ns;
    one->pause_ns = long_lived ? 0 : one->pause_ns ? MIN(one->pause_ns * 2, pause_most_ns) : pause_first_ns;
    one->start_at_ns = now + one->pause_ns;
}

static void log_death(enum node_role role, int status, uint64_t pause_ns) {
    node_meter_inc(&node_meters->node.role_deaths);
    struct log_field how = WIFSIGNALED(status) ? LF_I64("signal", WTERMSIG(status)) : LF_I64("status", WEXITSTATUS(status));
    log_event(LOG_ERROR, "role-died", LF_CSTR("role", node_role_text(role)), how, LF_U64("restart_ms", pause_ns / 1000000u));
}

static void lose(struct supervisor *s, enum node_role role, int status) {
    struct single *one = &s->singles[role];
    bool asked = one->rests || (role == NODE_ROLE_control && node_upgrade_holds_control(s));
    bool rested = asked && WIFEXITED(status) && !WEXITSTATUS(status);
    forget(s, one);
    set_pause(one, rested, clock_mono_ns());
    lives[role].gone(s, status);
    if (!s->draining && !rested) log_death(role, status, one->pause_ns);
}

static void hear_one(struct supervisor *s, enum node_role role) {
    struct single *one = &s->singles[role];
    struct node_message m;
    bool sense = false;
    switch (node_wire_receive(one->process.wire, role, NODE_ROLE_supervisor, &m)) {
    case NODE_WIRE_AGAIN: return;
    case NODE_WIRE_CLOSED: node_supervisor_close(&one->process.wire); return; /* it ends, and is reaped */
    case NODE_WIRE_NONSENSE: break;
    case NODE_WIRE_GOT: sense = lives[role].hear(s, &m); node_message_drop(&m);
    }
    if (sense) return;
    node_supervisor_cut_off(&one->process, NULL);
    node_process_signal(&one->process, SIGKILL); /* nobody waits for it to be gone */
    lose(s, role, SIGKILL);
}

/* ---- their ends ---- */

void node_roles_end(struct supervisor *s, enum node_role role) {
    struct single *one = &s->singles[role];
    node_process_signal(&one->process, SIGKILL);
    forget(s, one);
}

static void reap_one(struct supervisor *s, enum node_role role, int status) {
    struct single *one = &s->singles[role];
    pid_t pid = one->process.pid;
    while (one->process.wire >= 0 && one->process.pid == pid) { /* its last words may be why */
        if (poll(&(struct pollfd){.fd = one->process.wire, .events = POLLIN}, 1, 0) != 1) break;
        hear_one(s, role);
    }
    if (one->process.pid == pid) lose(s, role, status);
}

bool node_roles_reap(struct supervisor *s, pid_t pid, int status) {
    for (enum node_role role = 0; role < NODE_ROLES; role++)
        if (is_single(role) && s->singles[role].process.pid == pid) {
            reap_one(s, role, status);
            return true;
        }
    return false;
}

/* What they hold, the lock of the state folder and those of databases, the next node is to find free. */
void node_roles_end_all(struct supervisor *s) {
    enum { TRIES = 100 };
    pid_t pids[NODE_ROLES];
    for (enum node_role role = 0; role < NODE_ROLES; role++) {
        pids[role] = s->singles[role].process.pid;
        if (is_single(role)) node_roles_end(s, role);
    }
    for (enum node_role role = 0; role < NODE_ROLES; role++)
        for (int i = 0; i < TRIES && pids[role] > 0 && waitpid(pids[role], NULL, WNOHANG) == 0; i++) poll(NULL, 0, 10);
}

/* ---- as the loop has them ---- */

void node_roles_init(struct supervisor *s) {
    for (enum node_role role = 0; role < NODE_ROLES; role++)
        s->singles[role] = (struct single){.process = {role, 0, -1}, .log_fd = -1};
}

/* Of one that cannot be started, and of one that comes back, it is not yet time. */
static bool is_due(const struct supervisor *s, enum node_role role) {
    if (role == NODE_ROLE_control && node_upgrade_holds_control(s)) return false;
    return is_single(role) && !is_there(&s->singles[role]) && (s->singles[role].wanted || node_role_is_always(role));
}

/* A node that drains has no use for what ALWAYS starts; what a worker waits for is WANTED all the same. */
void node_roles_act(struct supervisor *s, uint64_t now) {
    for (enum node_role role = 0; role < NODE_ROLES; role++)
        if (is_due(s, role) && now >= s->singles[role].start_at_ns && (s->singles[role].wanted || !s->draining))
            (void)node_roles_start(s, role);
}

uint64_t node_roles_due_ns(const struct supervisor *s) {
    uint64_t due = UINT64_MAX;
    for (enum node_role role = 0; role < NODE_ROLES; role++)
        if (is_due(s, role) && (s->singles[role].wanted || !s->draining)) due = MIN(due, s->singles[role].start_at_ns);
    return due;
}

/* Two places for each role, by its number. */
void node_roles_poll(const struct supervisor *s, struct pollfd fds[static 2 * NODE_ROLES], bool take_lines) {
    for (enum node_role role = 0; role < NODE_ROLES; role++) {
        fds[2 * role] = (struct pollfd){.fd = s->singles[role].process.wire, .events = POLLIN};
        fds[2 * role + 1] = (struct pollfd){.fd = take_lines ? s->singles[role].log_fd : -1, .events = POLLIN};
    }
}

/* Who is started and who ends meanwhile is of the next turn: what is here by then is not what was polled. */
void node_roles_polled(struct supervisor *s, const struct pollfd fds[static 2 * NODE_ROLES]) {
    for (enum node_role role = NODE_ROLES; role-- > 0;) {
        struct single *one = &s->singles[role];
        if (fds[2 * role + 1].revents && one->log_fd == fds[2 * role + 1].fd) node_supervisor_take_lines(s, role, &one->log_fd);
        if (fds[2 * role].revents && one->process.wire == fds[2 * role].fd) hear_one(s, role);
    }
}
