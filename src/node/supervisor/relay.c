/* relay: log lines of all processes on their way to standard error, through the one process that writes there.
 *
 *   worker ── datagrams ──> [ relay: at most RELAY_MAX bytes of whole lines ] ── writes that do not wait ──> standard error
 *
 * 1. Nothing waits for who reads the log. Lines that do not fit are counted, and the count is a line of its own once there is room.
 *    Workers fill half of the room at most, each its part in a turn; what is not taken in time from a worker's socket is that worker's loss.
 * 2. A line is never torn: this process alone writes, and what is taken in is whole lines. While a node is replaced there are two such processes: each
 *    locks who writes, from a line's begin to a line's end.
 * 3. What workers send is hearsay, and bytes: controls, which might steer a terminal, are replaced.
 */
#include "node/meters.h"
#include "node/node_int.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    RELAY_MAX = 1 * MiB,
    WORKERS_PART = RELAY_MAX / 2,
    DATAGRAM_MAX = 96 * KiB,
    SURE_BYTES = 4096 /* that a pipe has room for if it says so */
};

static void open_out(struct node_relay *r) {
    struct stat st;
    r->fd = STDERR_FILENO;
    r->kind = NODE_RELAY_ASKS;
    if (fstat(STDERR_FILENO, &st)) return;
    if (S_ISSOCK(st.st_mode)) r->kind = NODE_RELAY_SOCKET;
    else if (S_ISREG(st.st_mode)) r->kind = NODE_RELAY_WRITES;
    else { /* an open file of its own, so that others who write here do not find theirs non-blocking */
        int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0) return;
        r->fd = fd;
        r->kind = NODE_RELAY_WRITES;
    }
}

static ssize_t put_some(struct node_relay *r, const uint8_t *p, size_t n) {
    if (r->kind == NODE_RELAY_SOCKET) return send(r->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (r->kind == NODE_RELAY_WRITES) return write(r->fd, p, n);
    struct pollfd ready = {.fd = r->fd, .events = POLLOUT};
    if (poll(&ready, 1, 0) == 1 && ready.revents & POLLOUT) return write(r->fd, p, MIN(n, (size_t)SURE_BYTES));
    errno = EAGAIN;
    return -1;
}

static void put_lost(struct node_relay *r) {
    if (r->lost) log_format(&r->lines, LOG_WARN, "log-lost", &LF_U64("lines", r->lost), 1);
    r->lost = 0;
}

void node_relay_share(struct node_relay *r, int lock_fd) {
    if (r->lock_fd > 0) close(r->lock_fd); /* and with it the lock */
    r->lock_fd = MAX(lock_fd, 0);
    r->locked = r->busy = false;
}

static struct flock lock_of(short type) {
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = 1000, .l_len = 1};
}

static bool may_write(struct node_relay *r) {
    struct flock lock = lock_of(F_WRLCK);
    if (!r->lock_fd || r->locked) return true;
    r->locked = fcntl(r->lock_fd, F_OFD_SETLK, &lock) == 0;
    r->busy = !r->locked && (errno == EAGAIN || errno == EACCES);
    return !r->busy;
}

static void let_others(struct node_relay *r) {
    struct flock lock = lock_of(F_UNLCK);
    if (r->locked && !r->torn) fcntl(r->lock_fd, F_OFD_SETLK, &lock), r->locked = false;
}

static void write_out(struct node_relay *r) {
    while (r->from < r->lines.n) {
        ssize_t n = put_some(r, r->lines.p + r->from, r->lines.n - r->from);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) break; /* nobody will ever read it */
        r->from += (size_t)n;
        r->torn = r->lines.p[r->from - 1] != '\n';
        if (r->from == r->lines.n) put_lost(r);
    }
    r->from = r->lines.n = 0;
    r->torn = false;
    if (r->lines.cap > 128 * KiB) buf_free(&r->lines);
}

void node_relay_flush(struct node_relay *r) {
    r->busy = false;
    if (r->lines.n && !may_write(r)) return;
    write_out(r);
    if (r->lock_fd) let_others(r);
}

static uint64_t count_lines(str s) {
    uint64_t n = 0;
    for (const uint8_t *p = s.p, *end = s.p + s.n; (p = memchr(p, '\n', (size_t)(end - p))); p++) n++;
    return n;
}

void node_relay_put(struct node_relay *r, str lines) {
    if (r->from > RELAY_MAX / 2) buf_drop(&r->lines, r->from), r->from = 0;
    if (r->lines.n - r->from + lines.n > RELAY_MAX) {
        uint64_t n = count_lines(lines);
        r->lost += n;
        node_meter_add(&node_meters->node.log_lines_lost, n);
        return;
    }
    put_lost(r);
    buf_put(&r->lines, lines.p, lines.n);
}

static bool send_own(void *arg, str lines) {
    node_relay_put(arg, lines);
    return true;
}

static void clean(uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if ((p[i] < ' ' && p[i] != '\n') || p[i] == 0x7f) p[i] = '?';
}

/* What was not sent by log.c: an assertion's words, a library's, a sanitizer's. */
static void put_words(const char *role, const uint32_t *worker, str text) {
    while (text.n) {
        size_t end = str_find(text, '\n');
        str line = str_sub(text, 0, end);
        if (end && worker) log_event(LOG_ERROR, "worker-said", LF_U64("worker", *worker), LF_STR("text", line));
        else if (end) log_event(LOG_ERROR, "role-said", LF_CSTR("role", role), LF_STR("text", line));
        text = str_sub(text, MIN(end + 1, text.n), text.n);
    }
}

bool node_relay_has_room(const struct node_relay *r) { return r->lines.n - r->from < WORKERS_PART; }

bool node_relay_take(struct node_relay *r, int fd, const char *role, const uint32_t *worker, uint32_t workers) {
    static uint8_t bytes[DATAGRAM_MAX];
    for (size_t taken = 0, part = WORKERS_PART / MAX(workers, 1u); taken == 0 || taken < part;) {
        ssize_t n = recv(fd, bytes, sizeof bytes - 1, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n < 0 && errno == EAGAIN;
        taken += (size_t)n;
        if (bytes[0] != NODE_LOG_MARK) {
            put_words(role, worker, (str){bytes, (size_t)n});
            continue;
        }
        clean(bytes + 1, (size_t)n - 1);
        if (n > 1 && bytes[n - 1] != '\n') bytes[n++] = '\n';
        node_relay_put(r, (str){bytes + 1, (size_t)n - 1});
    }
    return true;
}

void node_relay_open(struct node_relay *r) {
    *r = (struct node_relay){.fd = -1};
    open_out(r);
    log_to(send_own, r);
}

void node_relay_close(struct node_relay *r) {
    enum { WAIT_MS = 1000 };
    for (uint64_t end = clock_mono_ns() + WAIT_MS * 1000000ull; node_relay_flush(r), r->lines.n;) {
        uint64_t now = clock_mono_ns();
        if (now >= end) break;
        if (r->busy) poll(NULL, 0, 1);
        else if (poll(&(struct pollfd){.fd = r->fd, .events = POLLOUT}, 1, (int)((end - now) / 1000000u + 1)) == 0) break;
    }
    node_relay_share(r, -1);
    log_to(NULL, NULL);
    buf_free(&r->lines);
    if (r->fd != STDERR_FILENO) close(r->fd);
}

bool node_relay_wants(const struct node_relay *r) { return r->lines.n && !r->busy; }

bool node_log_send(void *arg, str lines) {
    uint8_t mark = NODE_LOG_MARK;
    struct iovec v[] = {{&mark, 1}, {(void *)(uintptr_t)lines.p, lines.n}};
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
    return sendmsg(STDERR_FILENO, &m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}
