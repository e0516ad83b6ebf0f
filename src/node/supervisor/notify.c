/* notify: what systemd is told (sd_notify(3)), where it has started the node and asks for that: datagrams at $NOTIFY_SOCKET.
 *
 *   READY=1 ──SIGHUP──> RELOADING=1 ──> READY=1 ──SIGTERM──> STOPPING=1        STATUS=…: one line, for `systemctl status`
 *   WATCHDOG=1, twice in the time that $WATCHDOG_USEC gives: this loop turns, and it is the one that ends workers whose loop does not
 *
 * Nobody waits for who reads there, and no other process of the node's has the socket or knows its name.
 */
#include "node/supervisor/supervisor_int.h"
#include <stddef.h>
#include <stdlib.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int connect_to(const char *path) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || n < 2 || n >= sizeof a.sun_path) return -1;
    memcpy(a.sun_path, path, n);
    if (path[0] == '@') a.sun_path[0] = 0; /* an abstract name */
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (path[0] == '/'));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, length) == 0) return fd;
    close(fd);
    return -1;
}

/* The time is for this process, or for whoever is started. */
static uint64_t watchdog_ns(void) {
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (!usec || (pid && strtoull(pid, NULL, 10) != (unsigned long long)getpid())) return 0;
    uint64_t us = strtoull(usec, NULL, 10);
    return us > UINT64_MAX / 1000 ? 0 : us * 1000 / 2;
}

void node_notify_open(struct supervisor *s) {
    const char *path = getenv("NOTIFY_SOCKET");
    s->notify_fd = path && *path ? connect_to(path) : -1;
    if (path && *path && s->notify_fd < 0)
        log_event(LOG_WARN, "not-notified", LF_CSTR("socket", path), LF_CSTR("reason", "$NOTIFY_SOCKET leads nowhere"));
    s->watchdog_ns = s->notify_fd >= 0 ? watchdog_ns() : 0;
    unsetenv("NOTIFY_SOCKET"), unsetenv("WATCHDOG_USEC"), unsetenv("WATCHDOG_PID");
}

static void say(const struct supervisor *s, const char *what) {
    if (s->notify_fd < 0) return;
    ssize_t n = send(s->notify_fd, what, strlen(what), MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)n; /* who does not listen is not waited for */
}

void node_notify_ready(const struct supervisor *s) {
    char text[512];
    snprintf(text, sizeof text, "READY=1\nSTATUS=serving at %.300s with %u workers\n", (const char *)s->setup->shown.p,
             node_setup_workers(s->setup));
    say(s, text);
}

void node_notify_reloading(const struct supervisor *s) {
    char text[128];
    struct timespec t = {0};
    clock_gettime(CLOCK_MONOTONIC, &t);
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=reading its configuration again\n",
             (unsigned long long)t.tv_sec * 1'000'000u + (unsigned long long)t.tv_nsec / 1000);
    say(s, text);
}

void node_notify_main(const struct supervisor *s, pid_t pid) {
    char text[64];
    snprintf(text, sizeof text, "MAINPID=%d\n", (int)pid);
    say(s, text);
}

void node_notify_stopping(const struct supervisor *s) { say(s, "STOPPING=1\nSTATUS=finishing requests in progress\n"); }

void node_notify_act(struct supervisor *s, uint64_t now) {
    if (!s->watchdog_ns || now < s->watchdog_at_ns) return;
    say(s, "WATCHDOG=1\n");
    s->watchdog_at_ns = now + s->watchdog_ns;
}

uint64_t node_notify_due_ns(const struct supervisor *s) { return s->watchdog_ns ? s->watchdog_at_ns : UINT64_MAX; }

void node_notify_close(struct supervisor *s) { node_supervisor_close(&s->notify_fd); }
