/* translators: processes that read what the functions of an app EXECUTE (translator.c): of each app that asks one, as long as somebody does. Who asks is given
 * one end of a channel, its translator the other.
 *
 * 1. There are TRANSLATORS_MAX at most: the one that was asked for longest ago makes room. It is told so by the end of its wire, answers what it was asked, and
 *    ends; as many may be at that. One that takes long over it, while it is wanted or others are to end, is killed.
 * 2. One that a text ended comes back after a pause that grows, so that nobody starts processes without an end. Who asks meanwhile is told that there is none.
 */
#include "node/meters.h"
#include "node/supervisor/supervisor_int.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TRANSLATORS_MAX = 16, KNOWN_MAX = 256 };
static const uint64_t last_word_ns = 200'000'000u, pause_first_ns = 20'000'000u, pause_most_ns = 10'000'000'000u,
                      well_ns = 10'000'000'000u;

struct translator {
    struct translator *next; /* the one that was asked for last is the last */
    uint32_t app;
    struct node_process process; /* pid 0: it pauses */
    bool ended;                  /* by us */
    uint64_t started_ns, ended_ns, start_at_ns, pause_ns;
};

static struct translator **place_of(struct supervisor *s, uint32_t app) {
    struct translator **at = &s->translators;
    while (*at && (*at)->app != app) at = &(*at)->next;
    return at;
}

static void forget(struct translator **at) {
    struct translator *t = *at;
    *at = t->next;
    free(t);
}

static void end(struct translator *t) {
    t->ended = true;
    node_supervisor_close(&t->process.wire);
    node_process_signal(&t->process, SIGKILL); /* reaped as any other */
}

static void let_end(struct supervisor *s, struct translator *t, uint64_t now) {
    struct translator *longest = NULL;
    uint32_t ending = 0;
    for (struct translator *o = s->translators; o; o = o->next)
        if (o->process.pid > 0 && o->ended && (ending++, !longest || o->ended_ns < longest->ended_ns)) longest = o;
    if (ending >= TRANSLATORS_MAX) node_process_signal(&longest->process, SIGKILL);
    t->ended = true, t->ended_ns = now;
    node_supervisor_close(&t->process.wire);
}

static void make_room(struct supervisor *s, const struct translator *but, uint64_t now) {
    uint32_t live = 0, known = 0;
    for (struct translator **at = &s->translators; *at;) {
        bool over = *at != but && (*at)->process.pid <= 0 && now >= (*at)->start_at_ns + well_ns;
        if (over) {
            forget(at);
            continue;
        }
        live += (*at)->process.pid > 0 && !(*at)->ended, known++;
        at = &(*at)->next;
    }
    for (struct translator *t = s->translators; t && live >= TRANSLATORS_MAX; t = t->next)
        if (t->process.pid > 0 && !t->ended) let_end(s, t, now), live--;
    for (struct translator **at = &s->translators; *at && known >= KNOWN_MAX;) {
        if ((*at)->process.pid > 0 || *at == but) at = &(*at)->next;
        else forget(at), known--;
    }
}

static bool start(struct supervisor *s, struct translator *t, uint64_t now) {
    if (s->translators_log[0] < 0) {
        node_supervisor_close(&s->translators_log[1]);
        if (!node_supervisor_log_pair(s->translators_log)) return false;
    }
    if (!node_role_start(NODE_ROLE_translator, s->translators_log[1], &t->process)) {
        log_event(LOG_ERROR, "role-not-started", LF_CSTR("role", node_role_text(NODE_ROLE_translator)),
                  LF_CSTR("reason", strerror(errno)));
        t->process = (struct node_process){NODE_ROLE_translator, 0, -1};
        t->start_at_ns = now + 1'000'000'000u;
        return false;
    }
    t->started_ns = now;
    t->ended = false;
    return true;
}

int node_translators_channel(struct supervisor *s, uint32_t app) {
    uint64_t now = clock_mono_ns();
    struct translator **at = place_of(s, app), *t = *at;
    int pair[2];
    if (t && t->process.pid > 0 && t->process.wire < 0) { /* it ends */
        if (now >= t->ended_ns + last_word_ns) node_process_signal(&t->process, SIGKILL);
        return -1;
    }
    if (!t) {
        t = calloc(1, sizeof *t);
        ENSURE(t);
        *t = (struct translator){.app = app, .process = {NODE_ROLE_translator, 0, -1}};
        at = place_of(s, app);
        *at = t;
    }
    *at = t->next;
    t->next = NULL;
    struct translator **last = &s->translators;
    while (*last) last = &(*last)->next;
    *last = t;
    if (t->process.pid <= 0 && (now < t->start_at_ns || (make_room(s, t, now), !start(s, t, now)))) return -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair)) return -1;
    struct node_message peer = NODE_MESSAGE(translator_peer);
    peer.fds[peer.fds_count++] = pair[1];
    err e = node_wire_send(t->process.wire, &peer);
    close(pair[1]);
    if (e == ERR_OK) return pair[0];
    close(pair[0]);
    if (e != ERR_AGAIN) end(t);
    return -1;
}

bool node_translators_reap(struct supervisor *s, pid_t pid, int status) {
    struct translator **at = &s->translators;
    while (*at && (*at)->process.pid != pid) at = &(*at)->next;
    struct translator *t = *at;
    if (!t) return false;
    uint64_t now = clock_mono_ns();
    bool rested = t->ended || (WIFEXITED(status) && !WEXITSTATUS(status));
    node_supervisor_close(&t->process.wire);
    t->process.pid = 0;
    if (rested) {
        forget(at);
        return true;
    }
    t->pause_ns = now - t->started_ns > well_ns ? pause_first_ns
                  : t->pause_ns                 ? MIN(t->pause_ns * 2, pause_most_ns)
                                                : pause_first_ns;
    t->start_at_ns = now + t->pause_ns;
    node_meter_inc(&node_meters->node.role_deaths);
    struct log_field how = WIFSIGNALED(status) ? LF_I64("signal", WTERMSIG(status)) : LF_I64("status", WEXITSTATUS(status));
    if (!s->draining)
        log_event(LOG_ERROR, "role-died", LF_CSTR("role", node_role_text(NODE_ROLE_translator)), how,
                  LF_U64("restart_ms", t->pause_ns / 1000000u));
    return true;
}

void node_translators_end(struct supervisor *s) {
    while (s->translators) {
        node_process_end(&s->translators->process);
        forget(&s->translators);
    }
    node_supervisor_close(&s->translators_log[0]), node_supervisor_close(&s->translators_log[1]);
}
