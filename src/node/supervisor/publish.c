/* publish: a snapshot on its way to all workers.
 *
 *   control ── publish ──> next ─┬─ needs no right that workers lack:  each prepares it ─┬─> all have: `live` to each    ──all serve──> published
 *                                └─ needs more:  a successor for each slot prepares it  ─┘   (the old workers rest)     or rest
 *                                                     └─ one cannot, or dies too often ──> next is dropped, all is as before
 *
 * 1. A worker is told what to prepare, says that it has, and is told to go live. What it lacks is worked out anew whenever something
 *    happened, so that a worker that died meanwhile and came back is no special case.
 * 2. A new generation takes over whole or not at all: its workers are all ready before the old ones are told to rest.
 * 3. Who published hears that it is live when that is what requests meet: each worker has said that it serves it, or that it rests, or is gone. One that
 *    says nothing is ended (workers.c): it might wake up, and answer by what was before.
 */
#include "node/supervisor/supervisor_int.h"
#include "wasi/wasi.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const uint64_t patience_ns = 60'000'000'000u; /* with workers that do not say whether they can */

/* ---- reach ---- */

static void close_reach(struct node_reach *r) {
    for (uint32_t i = 0; i < r->dirs.n; i++)
        if (r->dirs.p[i] >= 0) close(r->dirs.p[i]);
    arena_free(r->mem);
    *r = (struct node_reach){0};
}

/* A folder's own permissions, and how others' are; what is in it may differ. */
static bool reaches(struct node_user user, const struct stat *st, bool write) {
    unsigned want = write ? 7 : 5, has = st->st_mode & 7;
    if (st->st_uid == user.uid) has = st->st_mode >> 6 & 7;
    else if (st->st_gid == user.gid) has = st->st_mode >> 3 & 7;
    return (has & want) == want;
}

static bool reads(struct node_user user, const char *path) {
    if (!path || !*path || access(path, R_OK)) return true; /* there is nothing to be read */
    setfsgid(user.gid), setfsuid(user.uid);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    setfsuid(0), setfsgid(0);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

static void stay_root(struct node_reach *r, struct node_user user, str path, const char *verb) {
    char reason[200];
    snprintf(reason, sizeof reason, "user %u may not %s it; chown or chmod it so that he may, and workers need not be root",
             (unsigned)user.uid, verb);
    log_event(LOG_WARN, "role-as-root", LF_CSTR("role", "worker"), LF_CSTR("reason", reason), LF_STR("path", path));
    r->stays_root = true;
}

/* Workers are a user of their own where they can be. OpenSSL's two variables name what they read, too. */
static void choose_user(struct node_reach *r) {
    node_role_stay_root(false);
    struct node_user user = node_role_user(NODE_ROLE_worker);
    const char *certificates[] = {getenv("SSL_CERT_FILE"), getenv("SSL_CERT_DIR")};
    r->stays_root = false;
    for (uint32_t i = 0; i < r->dirs.n && user.uid && !r->stays_root; i++) {
        const struct node_right_dir *dir = &r->rights.dirs.p[i];
        struct stat st;
        if (r->dirs.p[i] >= 0 && fstat(r->dirs.p[i], &st) == 0 && !reaches(user, &st, dir->write))
            stay_root(r, user, dir->path, dir->write ? "write to" : "read");
    }
    for (size_t i = 0; i < ARRAY_COUNT(certificates) && user.uid && r->rights.network && !r->stays_root; i++)
        if (!reads(user, certificates[i])) stay_root(r, user, str_c(certificates[i]), "read");
}

/* A deployment's path was resolved when it was deployed. A link that is in it by now was put there since, perhaps by a guest that may
 * write above it: it leads nowhere. */
static int open_folder(const char *path, bool deployed) {
    struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC, .resolve = deployed ? RESOLVE_NO_SYMLINKS : 0};
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
    if (fd < 0 || !deployed || wasi_may_grant(fd)) return fd;
    close(fd);
    errno = EPERM; /* the kernel's own */
    return -1;
}

static const char *why_not(int number) {
    return number == ELOOP   ? "a link has taken its place, or that of a folder above"
           : number == EPERM ? "it is the kernel's own, and shows this machine and its processes"
                             : strerror(number);
}

static bool had(const struct supervisor *s, str path) {
    for (uint32_t i = 0; i < s->now.reach.rights.dirs.n; i++)
        if (str_eq(s->now.reach.rights.dirs.p[i].path, path)) return true;
    return !s->now.generation; /* at the start all were granted before */
}

/* What was granted before, and is not there any more, is the affair of the app that has it: others are deployed all the same. */
static err open_reach(const struct supervisor *s, struct node_reach *r, struct diag *d) {
    for (uint32_t i = 0; i < r->rights.dirs.n; i++) {
        const char *path = arena_cstr(r->mem, r->rights.dirs.p[i].path);
        int fd = open_folder(path, !s->config->file);
        if (fd < 0 && !had(s, r->rights.dirs.p[i].path))
            return diag_set(d, ERR_DENIED, DIAG_NOWHERE, "the folder %s cannot be granted: %s", path, why_not(errno));
        if (fd < 0) log_event(LOG_WARN, "folder-missing", LF_CSTR("folder", path), LF_CSTR("reason", why_not(errno)));
        vec_push(r->mem, &r->dirs, fd);
    }
    choose_user(r);
    return ERR_OK;
}

/* Of a folder that workers have, whether there is another by its name now. */
static bool is_another(const struct supervisor *s, const struct node_right_dir *want) {
    const struct node_reach *have = &s->now.reach;
    struct stat there, here;
    for (uint32_t i = 0; i < have->dirs.n; i++) {
        if (!str_eq(have->rights.dirs.p[i].path, want->path)) continue;
        int fd = open_folder((const char *)want->path.p, !s->config->file);
        bool found = fd >= 0 && fstat(fd, &there) == 0;
        if (fd >= 0) close(fd);
        return found && (have->dirs.p[i] < 0 || fstat(have->dirs.p[i], &here) || there.st_ino != here.st_ino ||
                         there.st_dev != here.st_dev);
    }
    return false;
}

bool node_publish_right(struct supervisor *s, const struct node_msg_right *m) {
    if (s->coming.rights.dirs.n == NODE_RIGHTS_DIRS_MAX) return false;
    if (!s->coming.mem) s->coming.mem = arena_new(0);
    node_rights_add_dir(s->coming.mem, &s->coming.rights, arena_str(s->coming.mem, m->path), m->write);
    return true;
}

void node_publish_forget_rights(struct supervisor *s) { close_reach(&s->coming); }

/* ---- what each worker lacks ---- */

static bool by_successors(const struct supervisor *s) { return s->next.generation && s->next.anew && s->now.generation; }

const struct publication *node_publish_for(const struct supervisor *s, const struct proc *p) {
    bool successor = s->slots[p->slot].successor == p;
    return successor || (s->next.generation && !by_successors(s)) ? &s->next : &s->now;
}

static void send_snapshot(struct proc *p, const struct publication *what, bool proven) {
    struct node_message m = NODE_MESSAGE(snapshot, .generation = what->generation, .proven = proven);
    m.fds[m.fds_count++] = what->fd;
    p->sent = what->generation;
    p->prepared = 0;
    if (node_wire_send(p->process.wire, &m) != ERR_OK) node_process_signal(&p->process, SIGKILL); /* it does not listen */
}

static void send_live(struct supervisor *s, struct proc *p, uint64_t generation) {
    p->live = generation;
    p->state = READY;
    if (node_wire_send(p->process.wire, &NODE_MESSAGE(live, .generation = generation)) != ERR_OK)
        node_process_signal(&p->process, SIGKILL);
}

static bool all_have_next(const struct supervisor *s) {
    for (uint32_t i = 0; i < s->slots_count; i++) {
        const struct proc *p = by_successors(s) ? s->slots[i].successor : s->slots[i].current;
        if (!s->slots[i].used || s->slots[i].leaves) continue;
        if (!p || p->prepared != s->next.generation) return false;
    }
    return true;
}

static void take_over(struct supervisor *s) {
    for (uint32_t i = 0; i < s->slots_count; i++) {
        struct slot *slot = &s->slots[i];
        if (!slot->used || slot->leaves) continue; /* cordons.c */
        if (slot->current) node_workers_rest(s, slot->current);
        slot->current = slot->successor;
        slot->successor = NULL;
        slot->pause_ns = 0;
    }
}

static void switch_over(struct supervisor *s) {
    bool successors = by_successors(s);
    if (successors) take_over(s);
    if (successors || !s->now.generation) {
        close_reach(&s->now.reach);
        s->now.reach = s->next.reach;
    } else { /* it is within what they have */
        close_reach(&s->next.reach);
    }
    node_supervisor_close(&s->now.fd);
    s->now.fd = s->next.fd;
    s->now.generation = s->next.generation;
    s->now.quarantines = s->next.quarantines;
    s->next = (struct publication){.fd = -1};
    s->early_deaths = 0;
    if (s->coming_setup) {
        struct setup *before = s->setup;
        s->setup = s->coming_setup;
        s->coming_setup = NULL;
        node_certificates_live(s);
        node_post_setup(s, before);
        node_setup_free(before);
    }
    node_cordons_settle(s);
}

bool node_publish_is_behind(const struct supervisor *s, const struct proc *p) {
    if (!s->untold || !p->live || p->stuck_ms || p->dropped || p->process.pid <= 0) return false;
    return p->state == RESTING ? !p->rests : p->serves != s->now.generation;
}

void node_publish_tell(struct supervisor *s) {
    const struct proc *p = s->procs;
    while (p && !node_publish_is_behind(s, p)) p = p->next;
    if (!s->untold || p) return;
    s->untold = false;
    node_singles_tell(s, &NODE_MESSAGE(published, .generation = s->now.generation, .err = ERR_OK, .offset = DIAG_NOWHERE));
    node_config_live(s);
}

void node_publish_forget_who_asked(struct supervisor *s) {
    if (s->untold) node_config_live(s);
    s->untold = false;
}

void node_publish_settle(struct supervisor *s) {
    if (s->draining) return;
    if (s->next.generation && all_have_next(s)) {
        switch_over(s);
        s->untold = true;
        for (struct proc *p = s->procs; p; p = p->next) p->behind = 0;
    }
    for (struct proc *p = s->procs; p; p = p->next) {
        const struct publication *what = node_publish_for(s, p);
        if (p->state == RESTING || p->stuck_ms || p->dropped || p->process.wire < 0 || !what->generation) continue;
        if (p->sent != what->generation) send_snapshot(p, what, what == &s->now);
        else if (what == &s->now && p->prepared == what->generation && p->live != what->generation)
            send_live(s, p, what->generation);
    }
    node_publish_tell(s);
    node_serve_announce(s);
}

/* ---- a publication's life ---- */

static const struct diag *diag_of_text(struct diag *d, const char *text) {
    diag_set(d, ERR_OK, DIAG_NOWHERE, "%s", text);
    return d;
}

bool node_publish_begin(struct supervisor *s, struct node_message *m) {
    struct diag d = DIAG_INIT;
    struct node_reach reach = s->coming;
    s->coming = (struct node_reach){0};
    if (!reach.mem) reach.mem = arena_new(0);
    reach.rights.network = m->publish.network;
    reach.rights.any_port_out = m->publish.any_port_out;
    if (s->next.generation || s->untold || m->publish.generation <= s->now.generation ||
        !node_rights_set_ports(&reach.rights, m->publish.ports)) {
        close_reach(&reach);
        return false;
    }
    s->servers |= m->publish.servers;
    (void)node_config_comes(s, m->publish.revision);
    bool more = s->anew || s->coming_setup || !node_rights_within(&reach.rights, &s->now.reach.rights);
    for (uint32_t i = 0; i < reach.rights.dirs.n && !more; i++) more = is_another(s, &reach.rights.dirs.p[i]);
    s->next = (struct publication){.generation = m->publish.generation,
                                   .fd = node_message_take(m, 0),
                                   .anew = more,
                                   .late_at_ns = clock_mono_ns() + patience_ns,
                                   .reach = reach,
                                   .quarantines = m->publish.quarantines};
    s->early_deaths = 0;
    s->anew = false;
    if (s->draining) {
        node_publish_fail(s, ERR_CLOSED, diag_of_text(&d, "the node is being stopped"));
        return true;
    }
    if ((more || !s->now.generation) && open_reach(s, &s->next.reach, &d) != ERR_OK) {
        node_publish_fail(s, ERR_DENIED, &d);
        return true;
    }
    if (!node_cordons_arrange(s, node_setup_of(s, &s->next), s->next.quarantines)) {
        node_publish_fail(s, ERR_IO, diag_of_text(&d, "there is no place for its workers"));
        return true;
    }
    for (uint32_t i = 0; i < s->slots_count && by_successors(s); i++)
        if (s->slots[i].used && !s->slots[i].leaves && !(s->slots[i].successor = node_workers_spawn(s, i, &s->next))) {
            node_publish_fail(s, ERR_IO, diag_of_text(&d, "its workers cannot be started"));
            return true;
        }
    node_publish_settle(s);
    return true;
}

void node_publish_applied(struct supervisor *s, struct proc *p, const struct node_msg_applied *m) {
    struct diag d = DIAG_INIT;
    if (m->generation && m->generation != p->sent) return; /* it had been withdrawn meanwhile */
    if (node_diag_of(&d, m->err, m->offset, m->text) == ERR_OK) {
        p->prepared = m->generation;
        node_publish_settle(s);
        return;
    }
    if (node_publish_for(s, p) == &s->next) {
        node_publish_fail(s, m->err, &d);
        return;
    }
    log_event(LOG_ERROR, "worker-failed", LF_U64("worker", p->slot), LF_CSTR("reason", d.text));
    node_process_signal(&p->process, SIGKILL); /* it would serve nobody; its successor tries again */
}

bool node_publish_serves(struct supervisor *s, struct proc *p, uint64_t generation) {
    if (generation <= p->serves || generation > p->live) return false;
    p->serves = generation;
    node_publish_tell(s);
    node_serve_announce(s);
    return true;
}

static void drop_worker(struct proc **at) {
    if (!*at) return;
    (*at)->dropped = true;
    node_process_signal(&(*at)->process, SIGKILL);
    *at = NULL;
}

void node_publish_forget_next(struct supervisor *s) {
    for (uint32_t i = 0; i < s->slots_count; i++) {
        drop_worker(&s->slots[i].successor);
        if (!s->now.generation) drop_worker(&s->slots[i].current); /* it was started for this one */
    }
    close_reach(&s->next.reach);
    node_supervisor_close(&s->next.fd);
    bool was = s->next.generation;
    s->next = (struct publication){.fd = -1};
    s->early_deaths = 0;
    node_setup_free(s->coming_setup);
    s->coming_setup = NULL;
    if (was && s->now.generation) node_cordons_forget(s);
}

void node_publish_fail(struct supervisor *s, err e, const struct diag *d) {
    if (!s->next.generation) return;
    uint64_t generation = s->next.generation;
    if (!s->now.generation && !s->config->file) node_supervisor_fail(s, e, d); /* of a node that starts; `orlo serve` is told */
    node_publish_forget_next(s);
    node_singles_tell(s,
                      &NODE_MESSAGE(published, .generation = generation, .err = e, .offset = d->offset, .text = str_c(d->text)));
    node_config_failed(s, e, d);
    node_publish_settle(s);
}

void node_publish_act(struct supervisor *s, uint64_t now) {
    struct diag d = DIAG_INIT;
    if (s->next.generation && now >= s->next.late_at_ns)
        node_publish_fail(s, ERR_BUSY, diag_of_text(&d, "the workers did not say within a minute whether they can serve it"));
}

void node_publish_end(struct supervisor *s) {
    close_reach(&s->now.reach), close_reach(&s->next.reach), close_reach(&s->coming);
    node_supervisor_close(&s->now.fd), node_supervisor_close(&s->next.fd);
}
