/* sock: see sock.h. Its waits, its queue, its end; sock_io.c has the calls to the system that need neither.
 *
 *   owned ──free──> lingering (the queue is not empty) ──empty, failed, or 5 s──> closed
 *     └──────free──────────────────────────────────────────────────────────────────^
 *
 * The watch is level-triggered, so it looks only for what somebody waits for: a waiter, or the queue.
 */
#include "net/sock_int.h"
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINGER_MS = 5000, LINGERING_MAX = 256 };
static const unsigned UNKNOWN = ~0u;
static uint32_t lingering; /* of this process: there is one loop */

const char *net_sock_error_text(enum net_sock_error e) {
    static const char *const text[] = {
        "ok",
#define X(name, p2, p3, text) text,
#include "net/sock_error.def"
#undef X
    };
    return e < NET_SOCK_ERRORS ? text[e] : "?";
}

/* ---- lines of waiters ---- */

static void line_init(struct net_wait *line) { line->prev = line->next = line; }
static bool line_empty(const struct net_wait *line) { return line->next == line; }

static void line_join(struct net_wait *line, struct net_wait *w) {
    w->prev = line->prev;
    w->next = line;
    w->prev->next = line->prev = w;
}

void net_wait_cancel(struct net_wait *w) {
    if (!w->next) return;
    w->prev->next = w->next;
    w->next->prev = w->prev;
    w->prev = w->next = NULL;
}

static void line_drop(struct net_wait *line) {
    while (!line_empty(line)) net_wait_cancel(line->next);
}

/* Moves those who wait now to `round`, so that who waits again in a callback waits for the next event. */
static void line_move(struct net_wait *line, struct net_wait *round) {
    while (!line_empty(line)) {
        struct net_wait *w = line->next;
        net_wait_cancel(w);
        line_join(round, w);
    }
}

/* ---- watching ---- */

static void on_watch(void *arg, unsigned events);

static void rewatch(struct net_sock *s) {
    unsigned want =
        (line_empty(&s->lines[0]) ? 0u : NET_READABLE) | (line_empty(&s->lines[1]) && !net_queued(s) ? 0u : NET_WRITABLE);
    if (want == s->watched) return;
    if (!s->watch) s->watch = net_watch_new(s->loop, s->fd, want, on_watch, s);
    else net_watch_events(s->watch, want);
    s->watched = s->watch ? want : 0;
}

static void close_now(struct net_sock *s) {
    if (s->lingering) lingering--;
    net_timer_free(s->deadline);
    if (s->watch) net_watch_free(s->watch);
    line_drop(&s->lines[0]);
    line_drop(&s->lines[1]);
    line_drop(&s->round);
    buf_free(&s->queue);
    close(s->fd);
    free(s);
}

static void flush(struct net_sock *s) {
    while (net_queued(s)) {
        size_t sent = 0;
        enum net_sock_error e = net_sock_send(s, str_sub(buf_str(&s->queue), s->queue_sent, s->queue.n), &sent);
        if (e == NET_SOCK_WOULD_BLOCK) return;
        if (e != NET_SOCK_OK) s->queue_error = e;
        s->queue_sent = e == NET_SOCK_OK ? s->queue_sent + sent : s->queue.n;
    }
    s->queue.n = s->queue_sent = 0;
    if (s->shut_after) shutdown(s->fd, SHUT_WR);
    s->shut_after = false;
}

static void on_watch(void *arg, unsigned events) {
    struct net_sock *s = arg;
    bool was_queued = net_queued(s);
    s->watched = UNKNOWN; /* an error has stopped the watch */
    if (events & NET_WRITABLE) flush(s);
    if (s->lingering) {
        if (net_queued(s)) rewatch(s);
        else close_now(s);
        return;
    }
    bool writable = events & NET_WRITABLE && !(was_queued && net_queued(s));
    if (events & NET_READABLE) line_move(&s->lines[0], &s->round);
    if (writable) line_move(&s->lines[1], &s->round);
    bool freed = false;
    s->freed = &freed;
    while (!freed && !line_empty(&s->round)) {
        struct net_wait *w = s->round.next;
        net_wait_cancel(w);
        w->fn(w->arg);
    }
    if (freed) return;
    s->freed = NULL;
    rewatch(s);
}

void net_sock_wait(struct net_sock *s, unsigned event, struct net_wait *w, void (*fn)(void *arg), void *arg) {
    net_wait_cancel(w);
    w->fn = fn;
    w->arg = arg;
    line_join(&s->lines[event == NET_WRITABLE], w);
    rewatch(s);
}

bool net_sock_ready(const struct net_sock *s, unsigned event) {
    if (event == NET_WRITABLE && net_queued(s)) return false;
    struct pollfd one = {.fd = s->fd, .events = event == NET_WRITABLE ? POLLOUT : POLLIN | POLLRDHUP};
    return poll(&one, 1, 0) != 0;
}

/* ---- the queue ---- */

size_t net_sock_room(struct net_sock *s) {
    if (net_queued(s)) flush(s);
    return net_queued(s) || !net_sock_ready(s, NET_WRITABLE) ? 0 : NET_SOCK_QUEUE_MAX;
}

enum net_sock_error net_sock_write(struct net_sock *s, str data) {
    size_t sent = 0;
    while (data.n && !net_queued(s)) {
        enum net_sock_error e = net_sock_send(s, data, &sent);
        if (e == NET_SOCK_WOULD_BLOCK) break;
        if (e != NET_SOCK_OK) return e;
        data = str_sub(data, sent, data.n);
    }
    buf_puts(&s->queue, data);
    if (net_queued(s)) rewatch(s);
    return NET_SOCK_OK;
}

enum net_sock_error net_sock_queue_error(const struct net_sock *s) { return s->queue_error; }

void net_sock_shut(struct net_sock *s, bool receiving, bool sending) {
    if (receiving) shutdown(s->fd, SHUT_RD);
    s->shut_after = sending && net_queued(s);
    if (sending && !s->shut_after) shutdown(s->fd, SHUT_WR);
}

/* ---- life ---- */

struct net_sock *net_sock_wrap(struct net_loop *l, int fd, enum net_sock_kind kind, bool v6) {
    struct net_sock *s = calloc(1, sizeof *s);
    ENSURE(s);
    *s = (struct net_sock){.loop = l, .fd = fd, .kind = kind, .v6 = v6};
    line_init(&s->lines[0]);
    line_init(&s->lines[1]);
    line_init(&s->round);
    return s;
}

static void on_deadline(void *arg) { close_now(arg); }

void net_sock_free(struct net_sock *s) {
    if (!s) return;
    if (s->freed) *s->freed = true;
    s->freed = NULL;
    if (net_queued(s)) flush(s);
    if (!net_queued(s) || s->queue_error || lingering >= LINGERING_MAX) {
        close_now(s);
        return;
    }
    line_drop(&s->lines[0]);
    line_drop(&s->lines[1]);
    line_drop(&s->round);
    s->lingering = true;
    lingering++;
    s->deadline = net_timer_new(s->loop, on_deadline, s);
    net_timer_start(s->deadline, LINGER_MS, 0);
    rewatch(s);
}
