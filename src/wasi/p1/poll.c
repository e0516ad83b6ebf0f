/* p1: poll_oneoff. Parks the fiber until a clock rings, or standard input has something. */
#include "wasi/p1/p1_int.h"
#include "wasi/standard.h"

enum { SUBSCRIPTION_BYTES = 48, EVENT_BYTES = 32, SUBSCRIPTIONS_MAX = 1 << 16 };
enum { STAND_NS = 300 /* to see how one stands: it may be a system call */ };
enum { EVENT_CLOCK, EVENT_FD_READ, EVENT_FD_WRITE };
enum { CLOCK_ABSTIME = 1 };

struct subscription {
    uint64_t userdata;
    uint8_t type;
    uint32_t id; /* clock or descriptor */
    uint64_t timeout;
    uint16_t flags;
};

static struct subscription subscription_at(const uint8_t *m) {
    struct subscription s = {.type = m[8]};
    memcpy(&s.userdata, m, 8);
    memcpy(&s.id, m + 16, 4);
    memcpy(&s.timeout, m + 24, 8);
    memcpy(&s.flags, m + 40, 2);
    return s;
}

static void put_event(uint8_t *m, const struct subscription *s, uint32_t e, uint64_t nbytes) {
    uint16_t code = (uint16_t)e;
    memset(m, 0, EVENT_BYTES);
    memcpy(m, &s->userdata, 8);
    memcpy(m + 8, &code, 2);
    m[10] = s->type;
    memcpy(m + 16, &nbytes, 8);
}

/* How a subscription stands. Clocks: *due is when it rings on the monotonic clock. */
enum standing { READY, WAITS, WAITS_FOR_INPUT };

static enum standing stand(struct wasi_p1 *p, const struct subscription *s, uint64_t started, uint64_t *due, uint32_t *e) {
    *e = 0;
    if (s->type == EVENT_CLOCK) {
        uint64_t now = clock_mono_ns(), base = started;
        if (s->id > 1) {
            *e = P1_EINVAL;
            return READY;
        }
        if (s->flags & CLOCK_ABSTIME) {
            uint64_t reads = s->id == 0 ? clock_wall_ns() : now;
            *due = s->timeout > reads ? now + MIN(s->timeout - reads, UINT64_MAX - now) : now;
        } else *due = base + MIN(s->timeout, UINT64_MAX - base);
        return *due <= now ? READY : WAITS;
    }
    struct wasi_p1_desc *d = wasi_p1_desc(p, s->id, 0, e);
    if (!d) return READY;
    bool reads = s->type == EVENT_FD_READ;
    if (d->kind == P1_DIR || (!reads && d->kind == P1_STDIN) || (reads && (d->kind == P1_STDOUT || d->kind == P1_STDERR)))
        *e = P1_EBADF;
    if (reads && d->kind == P1_STDIN && !p->stdio->readable(p->run)) return WAITS_FOR_INPUT;
    return READY;
}

/* What a call waits for. */
struct wait {
    uint64_t next; /* when the first clock rings */
    bool input;
};

/* Fills in events for what is ready, and what to wait for. False: the run was killed. */
static bool collect(struct wasi_p1 *p, const uint8_t *in, uint8_t *out, uint64_t n, uint64_t started, struct wait *w,
                    uint32_t *count) {
    uint32_t events = 0;
    w->next = UINT64_MAX;
    w->input = false;
    for (uint64_t i = 0; i < n; i++) {
        if (!engine_work(p->run->image->app->engine, STAND_NS)) return false;
        struct subscription s = subscription_at(in + i * SUBSCRIPTION_BYTES);
        uint64_t due = 0;
        uint32_t e;
        enum standing now = stand(p, &s, started, &due, &e);
        if (now == READY) put_event(out + EVENT_BYTES * (uint64_t)events++, &s, e, s.type == EVENT_CLOCK || e ? 0 : 1);
        else if (now == WAITS) w->next = MIN(w->next, due);
        else if (now == WAITS_FOR_INPUT) w->input = true;
    }
    *count = events;
    return true;
}

static void ring(void *arg) { engine_ready(arg); }

/* Parks until one of them comes. False: the run was killed. */
static bool wait_for(struct wasi_p1 *p, struct wait *w) {
    struct engine *e = p->run->image->app->engine;
    struct engine_fiber *fiber = engine_fiber_current(e);
    struct net_timer *timer = NULL;
    uint64_t now = clock_mono_ns();
    if (w->next != UINT64_MAX) {
        timer = net_timer_new(p->run->image->app->loop, ring, fiber);
        net_timer_start(timer, w->next > now ? (w->next - now + 999999) / 1000000 : 0, 0);
    }
    if (w->input) p->stdio->notify(p->run, fiber);
    bool alive = engine_park(e);
    if (w->input) p->stdio->notify(p->run, NULL);
    net_timer_free(timer);
    return alive;
}

enum abi_trap wasi_p1_poll_oneoff(struct engine_call *call, uint64_t *a) {
    struct wasi_p1 *p = wasi_p1_of(call);
    uint64_t in_at = a[0], out_at = a[1], n = a[2], count_at = a[3], started = clock_mono_ns();
    a[0] = P1_EINVAL;
    struct wait w = {};
    if (n == 0 || n > SUBSCRIPTIONS_MAX) return ABI_TRAP_NONE;
    for (;;) {
        uint8_t *in = wasi_p1_mem(p, in_at, n * SUBSCRIPTION_BYTES), *out = wasi_p1_mem(p, out_at, n * EVENT_BYTES);
        a[0] = P1_EFAULT;
        if (!in || !out) return ABI_TRAP_NONE;
        uint32_t events;
        if (!collect(p, in, out, n, started, &w, &events)) return ABI_TRAP_INTERRUPTED;
        if (events) {
            a[0] = wasi_p1_put_u32(p, count_at, events) ? P1_SUCCESS : P1_EFAULT;
            return ABI_TRAP_NONE;
        }
        if (!wait_for(p, &w)) return ABI_TRAP_INTERRUPTED;
    }
}
