/* workers: one for each core, kept alive.
 *
 *   STARTING ──its snapshot is live──> READY ──told to rest──> RESTING ──> gone
 *      │                                 └──dies, hangs──> gone, and its slot has a new one at once (causes.c)
 *      └──says why not──> its publication fails (publish.c)
 *
 * 1. Sockets belong to the slot, not to the worker: a new worker takes over the queue of the one that died.
 * 2. What a worker sends is hearsay: messages (wire.def), the page of its pulse, log lines; who sends anything else is cut off.
 */
#include "node/meters.h"
#include "node/supervisor/supervisor_int.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { EARLY_DEATHS_MAX = 3 };
static const uint64_t retry_ns = 1'000'000'000u; /* after the system had no process or no descriptor for us */

static void free_proc(struct proc *p) {
    node_supervisor_close(&p->process.wire);
    node_supervisor_close(&p->log_fd);
    if (p->pulse) node_pulse_free(p->pulse);
    node_regions_give(p);
    free(p);
}

/* ---- starting one ---- */

static err send_ears(struct supervisor *s, const struct proc *p, const struct setup *setup) {
    const struct slot *slot = &s->slots[p->slot];
    for (uint32_t i = 0; i < setup->doors_count; i++) {
        const struct door *door = setup->doors[i];
        struct node_message m =
            NODE_MESSAGE(ear, .port = node_door_port(door), .proxied = setup->speaks[i].proxied, .tls = setup->speaks[i].tls);
        if (slot->cordon) TRY(node_wire_send(p->process.wire, &m));
        for (uint32_t k = slot->nth; k < door->count && !slot->cordon; k += setup->workers) {
            m.fds[0] = door->fds[k], m.fds_count = 1;
            TRY(node_wire_send(p->process.wire, &m));
        }
    }
    return ERR_OK;
}

static uint32_t count_ears(const struct slot *slot, const struct setup *setup) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < setup->doors_count && slot->cordon; i++) n++;
    for (uint32_t i = 0; i < setup->doors_count && !slot->cordon; i++)
        for (uint32_t k = slot->nth; k < setup->doors[i]->count; k += setup->workers) n++;
    return n;
}

static str trusted_bytes(const struct setup *setup, uint8_t to[17 * NODE_TRUSTED_MAX]) {
    uint32_t n = MIN(setup->trusted.n, (uint32_t)NODE_TRUSTED_MAX);
    for (uint32_t i = 0; i < n; i++) {
        const struct net_prefix *p = &setup->trusted.p[i];
        memcpy(to + 17 * i, p->prefix.ip, 16);
        to[17 * i + 16] = (uint8_t)(p->prefix.v6 ? p->bits : p->bits + 129);
    }
    return (str){to, 17 * n};
}

static err send_start(struct supervisor *s, struct proc *p, const struct publication *what, int pulse_fd) {
    struct log_style log = log_style();
    struct buf settings = {0};
    const struct node_reach *reach = &what->reach;
    const struct setup *setup = node_setup_of(s, what);
    const struct slot *slot = &s->slots[p->slot];
    node_settings_write(&settings, &setup->limits);
    struct node_message m = NODE_MESSAGE(
        start, .index = p->slot, .workers = node_setup_workers(setup), .cordon = slot->cordon, .follows = !slot->nth,
        .log_json = log.json, .log_min = (uint8_t)log.min, .access_log = setup->access_log, .dev = s->config->dev,
        .traces = setup->otlp.endpoint.n, .sample_ppm = setup->otlp.sample_ppm, .logs_alone = setup->logs_alone,
        .relay_hour = setup->mail.relay.host.n ? setup->mail.per_app_hour : 0, .shown = str_sub(setup->shown, 0, 256),
        .network = (uint8_t)reach->rights.network, .any_port_out = reach->rights.any_port_out,
        .ports = node_rights_ports(&reach->rights), .ears = count_ears(slot, setup), .settings = buf_str(&settings));
    for (uint32_t i = 0; i < reach->dirs.n; i++) m.start.dirs += reach->dirs.p[i] >= 0;
    m.fds[m.fds_count++] = pulse_fd;
    m.fds[m.fds_count++] = node_regions_take(s, p);
    m.fds[m.fds_count++] = s->rates_fd;
    uint8_t trusted[17 * NODE_TRUSTED_MAX];
    m.start.trusted = trusted_bytes(setup, trusted);
    memcpy(m.start.hops_key, s->hops_key, sizeof s->hops_key);
    err e = p->region ? node_wire_send(p->process.wire, &m) : ERR_IO;
    buf_free(&settings);
    return e == ERR_OK ? send_ears(s, p, setup) : e;
}

static err send_dirs(const struct proc *p, const struct node_reach *reach) {
    for (uint32_t i = 0; i < reach->dirs.n; i++) {
        const struct node_right_dir *dir = &reach->rights.dirs.p[i];
        struct node_message m = NODE_MESSAGE(dir, .path = dir->path, .write = dir->write);
        m.fds[m.fds_count++] = reach->dirs.p[i];
        if (reach->dirs.p[i] >= 0) TRY(node_wire_send(p->process.wire, &m));
    }
    return ERR_OK;
}

/* For all its folders at once: it reads when it has started. */
static void make_room(int wire) {
    setsockopt(wire, SOL_SOCKET, SO_SNDBUF, &(int){1 << 20}, sizeof(int));
    setsockopt(wire, SOL_SOCKET, SO_SNDBUFFORCE, &(int){1 << 20}, sizeof(int)); /* where we may */
}

static bool start(struct supervisor *s, struct proc *p, const struct publication *what) {
    const struct node_reach *reach = &what->reach;
    int log[2] = {-1, -1}, pulse_fd = node_pulse_new(&p->pulse);
    bool ok = pulse_fd >= 0 && node_supervisor_log_pair(log);
    p->log_fd = log[0];
    node_role_stay_root(reach->stays_root);
    ok = ok && node_role_start(NODE_ROLE_worker, log[1], &p->process);
    if (ok) make_room(p->process.wire);
    ok = ok && send_start(s, p, what, pulse_fd) == ERR_OK && send_dirs(p, reach) == ERR_OK && node_certificates_tell(s, p, what);
    int why = errno;
    node_supervisor_close(&pulse_fd), node_supervisor_close(&log[1]);
    errno = why;
    return ok;
}

static void tell_proofs(const struct supervisor *s, const struct proc *p) {
    if (p->process.wire >= 0 && node_wire_send(p->process.wire, &NODE_MESSAGE(proofs, .table = buf_str(&s->proofs))) != ERR_OK)
        node_process_signal(&p->process, SIGKILL); /* it does not listen */
}

struct proc *node_workers_spawn(struct supervisor *s, uint32_t slot, const struct publication *what) {
    struct proc *p = calloc(1, sizeof *p);
    ENSURE(p);
    *p = (struct proc){.slot = slot, .log_fd = -1, .process = {NODE_ROLE_worker, -1, -1}};
    if (!start(s, p, what)) {
        log_event(LOG_ERROR, "worker-not-started", LF_U64("worker", slot), LF_CSTR("reason", strerror(errno)));
        node_process_end(&p->process);
        free_proc(p);
        return NULL;
    }
    p->next = s->procs;
    s->procs = p;
    node_cordons_tell(s, p);
    node_roles_open_channels(s, p);
    if (s->proofs.n) tell_proofs(s, p);
    return p;
}

/* Its connections go to those of its cordon. */
void node_workers_rest(struct supervisor *s, struct proc *p) { node_workers_leave(s, p, true); }

void node_workers_leave(struct supervisor *s, struct proc *p, bool back) {
    p->state = RESTING;
    if (back) node_cordons_lead_back(s, p);
    p->kill_at_ns = clock_mono_ns() + (s->setup->limits.drain_ms_max + 1000) * 1000000u;
    if (node_wire_send(p->process.wire, &NODE_MESSAGE(rest)) != ERR_OK) node_process_signal(&p->process, SIGTERM);
}

/* The first of each cordon tells functions of changes: of one that has no room, which does nothing else at the moment, no word is lost for good. */
static void tell_news(struct proc *p, uint32_t app) {
    if (p->process.wire < 0 || p->state == RESTING) return;
    p->news_lost = node_wire_send(p->process.wire, &NODE_MESSAGE(news, .app = p->news_lost ? 0 : app)) != ERR_OK;
}

void node_workers_proofs(struct supervisor *s, str table) {
    s->proofs.n = 0;
    buf_puts(&s->proofs, table);
    for (struct proc *p = s->procs; p; p = p->next) tell_proofs(s, p);
}

void node_workers_news(struct supervisor *s, uint32_t app) {
    for (struct proc *p = s->procs; p; p = p->next)
        if (!s->slots[p->slot].nth) tell_news(p, app);
}

static void tell_mails(struct proc *p, uint32_t app) {
    if (p->process.wire < 0 || p->state == RESTING) return;
    p->mails_lost = node_wire_send(p->process.wire, &NODE_MESSAGE(mail_news, .app = p->mails_lost ? 0 : app)) != ERR_OK;
}

static void tell_all_mails(struct supervisor *s, uint32_t app) {
    for (struct proc *p = s->procs; p; p = p->next)
        if (!s->slots[p->slot].nth) tell_mails(p, app);
}

/* ---- what they say ---- */

static void cut_off(struct proc *p) {
    node_supervisor_cut_off(&p->process, &p->slot);
    node_supervisor_close(&p->process.wire);
    node_process_signal(&p->process, SIGKILL); /* its end is seen as any other's */
}

static void give_translator(struct supervisor *s, struct proc *p, uint32_t app) {
    struct node_message m = NODE_MESSAGE(translator, .app = app);
    int fd = node_translators_channel(s, app);
    if (fd >= 0) m.fds[m.fds_count++] = fd;
    if (node_wire_send(p->process.wire, &m) != ERR_OK) node_process_signal(&p->process, SIGKILL); /* it does not listen */
    if (fd >= 0) close(fd);
}

void node_workers_hear(struct supervisor *s, struct proc *p) {
    struct node_message m;
    switch (node_wire_receive(p->process.wire, NODE_ROLE_worker, NODE_ROLE_supervisor, &m)) {
    case NODE_WIRE_AGAIN: return;
    case NODE_WIRE_CLOSED: /* it died, SIGCHLD tells the rest; or it pretends */
        node_supervisor_close(&p->process.wire);
        if (!p->kill_at_ns) p->kill_at_ns = clock_mono_ns() + 5'000'000'000u;
        return;
    case NODE_WIRE_NONSENSE: cut_off(p); return;
    case NODE_WIRE_GOT: break;
    }
    if (p->dropped) return; /* it was ended together with what it speaks of */
    if (m.type == NODE_MSG_applied) node_publish_applied(s, p, &m.applied);
    else if (m.type == NODE_MSG_image_want) node_singles_image_want(s, p, &m.image_want);
    else if (m.type == NODE_MSG_mail_waits) tell_all_mails(s, m.mail_waits.app);
    else if (m.type == NODE_MSG_translator_want) give_translator(s, p, m.translator_want.app);
    else if (m.type == NODE_MSG_channel_want) node_roles_channel_want(s, p, m.channel_want.to);
    else if (m.type == NODE_MSG_rests && p->state == RESTING) p->rests = true, node_publish_tell(s);
    else if (m.type != NODE_MSG_serves || !node_publish_serves(s, p, m.serves.generation)) cut_off(p);
}

/* ---- their ends ---- */

static void log_death(const struct proc *p, int status, const struct node_death *death, uint64_t pause_ns, str ids,
                      const char *doing) {
    struct log_field f[9] = {LF_U64("worker", p->slot)};
    size_t n = 1;
    node_meter_inc(p->stuck_ms ? &node_meters->node.worker_hangs : &node_meters->node.worker_deaths);
    if (p->stuck_ms) {
        f[n++] = LF_U64("stuck_ms", p->stuck_ms);
    } else if (WIFSIGNALED(status)) {
        f[n++] = LF_I64("signal", WTERMSIG(status));
        f[n++] = LF_CSTR("name", strsignal(WTERMSIG(status)));
    } else {
        f[n++] = LF_I64("status", WEXITSTATUS(status));
    }
    if (p->state != RESTING) f[n++] = LF_U64("restart_ms", pause_ns / 1000000u);
    if (doing[0]) f[n++] = LF_CSTR("doing", doing);
    if (ids.n) f[n++] = LF_STR("requests", ids);
    if (death->running != NODE_NO_APP) f[n++] = LF_U64("app", death->running);
    if (p->stuck_ms) log_emit(LOG_ERROR, "worker-stuck", f, n);
    else log_emit(LOG_ERROR, "worker-died", f, n);
}

/* One that died before it had what is to be published. */
static void died_early(struct supervisor *s, const struct proc *p, int status) {
    struct diag d = DIAG_INIT;
    bool successor = s->slots[p->slot].successor == p;
    if (successor) s->slots[p->slot].successor = NULL;
    if (successor) diag_set(&d, ERR_TRAP, DIAG_NOWHERE, "a worker died as it started");
    else
        diag_set(&d, ERR_TRAP, DIAG_NOWHERE, "its workers die as they start (%s %d)", WIFSIGNALED(status) ? "signal" : "status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    if (successor || ++s->early_deaths >= EARLY_DEATHS_MAX) node_publish_fail(s, ERR_TRAP, &d);
}

/* What a worker's end means: words for the log, and when its slot has another one. */
static void lost(struct supervisor *s, struct proc *p, int status) {
    struct slot *slot = &s->slots[p->slot];
    bool failure = p->stuck_ms || WIFSIGNALED(status) || WEXITSTATUS(status), current = slot->current == p,
         successor = slot->successor == p, early = node_publish_for(s, p) == &s->next && p->prepared != s->next.generation;
    uint64_t now = clock_mono_ns();
    struct node_death death;
    char doing[NODE_DOING_BYTES];
    struct buf ids = {0};
    node_pulse_read(p->pulse, &death, &ids, doing);
    death.served = p->state != STARTING && death.served;
    struct node_fate fate = node_causes_death(&s->causes, &death, slot->pause_ns, now);
    if (current) {
        slot->current = NULL;
        slot->pause_ns = fate.pause_ns;
        slot->spawn_at_ns = now + fate.pause_ns;
    }
    if (s->failed == ERR_OK && !s->draining && (current || (failure && !successor)))
        log_death(p, status, &death, fate.pause_ns, buf_str(&ids), doing);
    if (fate.isolate != NODE_NO_APP && !s->draining) node_serve_app_kills(s, fate.isolate);
    buf_free(&ids);
    if (successor || (current && early && p->state == STARTING)) died_early(s, p, status);
}

static void died(struct supervisor *s, struct proc *p, int status) {
    pid_t pid = p->process.pid;
    p->process.pid = 0;
    while (p->log_fd >= 0 && node_relay_take(&s->relay, p->log_fd, NULL, &p->slot, s->slots_count)) { /* its last words */
        char byte;
        if (recv(p->log_fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) <= 0) break;
    }
    if (p->process.wire >= 0 && p->state == STARTING) node_workers_hear(s, p);
    if (!p->stuck_ms && !p->dropped) lost(s, p, status);
    node_singles_forget_asks(s, pid);
    for (struct proc **at = &s->procs; *at; at = &(*at)->next)
        if (*at == p) {
            *at = p->next;
            break;
        }
    free_proc(p);
    node_publish_tell(s);
}

bool node_workers_reap(struct supervisor *s, pid_t pid, int status) {
    struct proc *p = s->procs;
    while (p && p->process.pid != pid) p = p->next;
    if (p) died(s, p, status);
    return p;
}

/* ---- watching ---- */

static void end_stuck(struct supervisor *s, struct proc *p, uint64_t ms) {
    p->stuck_ms = ms;
    node_process_signal(&p->process, SIGKILL);
    lost(s, p, 0); /* its successor does not wait for the kernel to be rid of it */
}

/* Even one that is stopped: it would go on some day, and serve what is long over. Time in which nobody was looked at does not count. */
static bool is_late(const struct supervisor *s, struct proc *p) {
    p->behind = node_publish_is_behind(s, p) ? p->behind + 1 : 0;
    return p->behind * NODE_WATCH_SAMPLE_MS >= NODE_BEHIND_MS;
}

void node_workers_watch(struct supervisor *s) {
    for (struct proc *p = s->procs, *next; p; p = next) {
        next = p->next;
        struct node_vitals v = {.beats = __atomic_load_n(&p->pulse->beats, __ATOMIC_RELAXED)};
        if (p->news_lost) tell_news(p, 0);
        if (p->mails_lost) tell_mails(p, 0);
        if (p->stuck_ms || !node_vitals_read(p->process.pid, &v)) continue;
        enum node_watch_verdict verdict = node_watch_sample(&p->watch, &v);
        if (verdict == NODE_WATCH_ASK && p->state != STARTING) node_process_signal(&p->process, SIGUSR1);
        if (verdict == NODE_WATCH_STUCK) end_stuck(s, p, NODE_STUCK_MS);
        else if (is_late(s, p)) end_stuck(s, p, NODE_BEHIND_MS);
    }
    node_publish_tell(s);
}

void node_workers_signal(struct supervisor *s, int signum) {
    for (struct proc *p = s->procs; p; p = p->next) node_process_signal(&p->process, signum);
}

void node_workers_act(struct supervisor *s, uint64_t now) {
    for (struct proc *p = s->procs; p; p = p->next)
        if (p->kill_at_ns && now >= p->kill_at_ns) node_process_signal(&p->process, SIGKILL), p->kill_at_ns = UINT64_MAX;
    const struct publication *what = s->now.generation ? &s->now : &s->next;
    for (uint32_t i = 0; i < s->slots_count && what->generation && !s->draining; i++) {
        struct slot *slot = &s->slots[i];
        if (!slot->used || slot->current || slot->rest_at_ns || now < slot->spawn_at_ns) continue;
        if (slot->joins && s->next.anew && s->now.generation) continue; /* it begins with a successor */
        slot->current = node_workers_spawn(s, i, what);
        if (!slot->current) slot->spawn_at_ns = now + retry_ns;
        else node_publish_settle(s);
    }
}
