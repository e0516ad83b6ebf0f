/* watch: whether a worker's loop still turns, from what it publishes (untrusted: it may lie, about itself alone) and what the kernel
 * says of its main thread.
 *
 * 1. A loop that waits for events is not stuck, however long.
 * 2. Time counts only while the worker could have gone on: what it computes itself, and what it waits for in a system call. Being
 *    stopped, traced, or kept from the core by others does not count; nor does the time in which the watcher itself did not run.
 */
#include "node/node_int.h"
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

static const uint64_t sample_ns_max = 2 * NODE_WATCH_SAMPLE_MS * 1000000ull;

enum node_watch_verdict node_watch_sample(struct node_watch *w, const struct node_vitals *v) {
    bool turned = !w->sampled_ns || v->beats != w->last.beats;
    bool waits = !(v->beats & 1) && v->state == 'S';
    uint64_t passed = MIN(v->now_ns - w->sampled_ns, sample_ns_max), computed = MIN(v->cpu_ns - w->last.cpu_ns, sample_ns_max);
    w->last = *v;
    w->sampled_ns = v->now_ns;
    if (turned || waits) {
        w->stuck_ns = 0;
        w->asked = false;
        return NODE_WATCH_WELL;
    }
    switch (v->state) {
    case 'S':
    case 'D': w->stuck_ns += passed; break;
    case 'T':
    case 't': break;
    default: w->stuck_ns += computed; break;
    }
    if (w->stuck_ns >= NODE_STUCK_MS * 1000000ull) return NODE_WATCH_STUCK;
    if (w->asked || w->stuck_ns < NODE_STUCK_MS / 2 * 1000000ull) return NODE_WATCH_WELL;
    w->asked = true;
    return NODE_WATCH_ASK;
}

/* Of "PID (NAME) S PPID …": the state, and the 14th and 15th field, user and system time in ticks (proc(5)). */
static bool parse(const char *text, char *state, uint64_t *cpu_ns) {
    const char *p = strrchr(text, ')');
    unsigned long long user, system;
    if (!p || sscanf(p + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", state, &user, &system) != 3) return false;
    long ticks = sysconf(_SC_CLK_TCK);
    *cpu_ns = (user + system) * (1000000000u / (uint64_t)MAX(ticks, 1L));
    return true;
}

/* Where /proc hides other users' processes, and a worker's is root's: what all of its threads have computed, and no state. */
static bool cpu_alone(pid_t pid, struct node_vitals *v) {
    clockid_t id;
    struct timespec t;
    v->state = '?';
    v->now_ns = clock_mono_ns();
    if (clock_getcpuclockid(pid, &id) != 0 || clock_gettime(id, &t) != 0) return false;
    v->cpu_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    return true;
}

bool node_vitals_read(pid_t pid, struct node_vitals *v) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", (int)pid, (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return cpu_alone(pid, v);
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[MAX(n, (ssize_t)0)] = 0;
    v->now_ns = clock_mono_ns();
    return n > 0 && parse(text, &v->state, &v->cpu_ns);
}
