/* exec: a process of the node's own is this same program under another name, started with the descriptors it is to have and no others:
 * an address layout and canaries of its own, nothing of the starter's memory, no terminal. */
#include "node/node_int.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

enum { PLACES_MAX = 8 };

/* Between fork and exec: only what may follow a fork. */
_Noreturn void node_exec_self(const int *fds, int count, char **argv, char **environment) {
    int at[PLACES_MAX], self = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    setsid(); /* what a person types there is not for it, and it types nothing */
    for (int sig = 1; sig < 32; sig++) signal(sig, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int i = 0; i < count; i++) at[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 2 * PLACES_MAX); /* out of the way of the places */
    self = fcntl(self, F_DUPFD_CLOEXEC, 2 * PLACES_MAX);
    for (int i = 0; i < count; i++) dup2(at[i], i);
    int keep[PLACES_MAX + 1];
    for (int i = 0; i < count; i++) keep[i] = i;
    keep[count] = self;
    node_close_fds_except(keep, (size_t)count + 1);
    fexecve(self, argv, environment);
    dprintf(STDERR_FILENO, "orlo cannot start itself from /proc/self/exe: %s\n", strerror(errno));
    _exit(1);
}
