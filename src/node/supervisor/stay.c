/* stay: what becomes of a process whose node another one has taken over (upgrade.c), where it cannot simply end.
 *
 *   who started it waits for it (a terminal, a container, a shell's `wait`): it stays as the parent of all that follow, and ends as the last of them does
 *   PostgreSQL of apps is its child, and would end with it: it stays as long as there is any
 *   neither (systemd knows by MAINPID= which process is the node's): it ends
 *
 * It holds no socket that listens and no file. Signals that a person sends to it go to the node. Who takes over later says so by the channel that was handed on
 * with the node (`main`): so there is one such parent however often the program is replaced.
 */
#include "node/handover.h"
#include "node/supervisor/supervisor_int.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

void node_stay_tell(const struct supervisor *s, pid_t main) {
    struct buf b = {0};
    if (s->parent_fd < 0) return;
    node_handover_begin(&b, "main");
    node_handover_put_u64(&b, "pid", (uint64_t)main);
    if (node_handover_send(s->parent_fd, &b, (str){0}, NULL, 0) != ERR_OK) {} /* it is gone, and so is who waited for it */
}

struct staying {
    pid_t main;
    int wire, status;
    bool waits, ended; /* for main, whose end is ours */
};

/* What a terminal sends goes to all that run in it; what a person sends by kill came here alone. */
static void pass_on(struct staying *st, int signals) {
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) == (ssize_t)sizeof info) {
        bool person = info.ssi_code <= 0;
        if (info.ssi_signo != SIGCHLD && person && st->waits && st->main > 0) kill(st->main, (int)info.ssi_signo);
    }
}

static void reap(struct supervisor *s, struct staying *st) {
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == st->main) st->ended = true, st->status = status;
        else node_clusters_orphan(s, pid);
    }
}

static void hear(struct staying *st) {
    struct node_handover m;
    enum node_handover_got got = node_handover_receive(st->wire, &m);
    if (got == NODE_HANDOVER_CLOSED) node_supervisor_close(&st->wire);
    if (got != NODE_HANDOVER_GOT) return;
    if (node_handover_is(&m, "main")) st->main = (pid_t)node_handover_u64(&m, "pid"), st->ended = false;
    node_handover_drop(&m);
}

/* The status that this process ends with. */
int node_stay(struct supervisor *s, pid_t main, int wire) {
    struct staying st = {.main = main, .wire = wire, .waits = s->notify_fd < 0 && s->parent_fd < 0};
    prctl(PR_SET_NAME, "orlo-parent");
    while ((st.waits && !st.ended) || (node_clusters_handed(s) && st.wire >= 0)) {
        struct pollfd fds[] = {{.fd = s->signal_fd, .events = POLLIN}, {.fd = st.wire, .events = POLLIN}};
        poll(fds, ARRAY_COUNT(fds), 1000);
        if (fds[0].revents) pass_on(&st, s->signal_fd);
        if (fds[1].revents) hear(&st);
        reap(s, &st);
        if (st.ended && st.wire >= 0) { /* who took over from it may have said so just now */
            struct pollfd last = {.fd = st.wire, .events = POLLIN};
            while (st.wire >= 0 && poll(&last, 1, 0) == 1) hear(&st);
        }
        if (st.waits && !st.ended && st.wire < 0 && st.main > 0 && kill(st.main, 0) && errno == ESRCH) break; /* nobody is left */
    }
    node_supervisor_close(&st.wire);
    if (!st.ended) return 0;
    return WIFEXITED(st.status) ? WEXITSTATUS(st.status) : 128 + WTERMSIG(st.status);
}
