/* loop: libuv's loop with a hook that runs between polling and sleeping.
 *
 *   timers -> idle -> prepare -> [poll] -> check -> close callbacks -> timers ...
 *
 * 1. check runs the turn hook, then the jobs put off during the turn.
 * 2. The idle handle is active exactly while something waits for the next check; libuv then polls without sleeping.
 *    prepare looks last before the poll, so that a wake from a timer or a closing callback is not slept over.
 */
#include "net/lane.h"
#include <poll.h>

static void on_idle(uv_idle_t *h) { (void)h; }

static void arm_idle(struct net_loop *l) {
    bool busy = l->wake || l->jobs.next != &l->jobs;
    if (busy == (bool)uv_is_active((uv_handle_t *)&l->idle)) return;
    if (busy) uv_idle_start(&l->idle, on_idle);
    else uv_idle_stop(&l->idle);
}

static void on_prepare(uv_prepare_t *h) {
    struct net_loop *l = container_of(h, struct net_loop, prepare);
    arm_idle(l);
    if (!(*l->beats & 1)) return;
    if (l->rest) l->rest(l->rest_arg, clock_mono_ns() - l->awake_ns);
    __atomic_store_n(l->beats, *l->beats + 1, __ATOMIC_RELAXED);
}

/* They had more than there was time for. */
static void on_lanes(struct net_job *job) {
    struct net_loop *l = container_of(job, struct net_loop, lanes_job);
    if (l->lanes_ran) net_job_queue(l, job); /* and have had it just now: the loop looks for news first */
    else net_lanes_run(l);
}

static void run_jobs(struct net_loop *l) {
    /* Only those queued until now: a job that queues itself again waits for the next turn. */
    struct net_job round = {&round, &round, NULL};
    if (l->jobs.next == &l->jobs) return;
    round.next = l->jobs.next;
    round.prev = l->jobs.prev;
    round.next->prev = round.prev->next = &round;
    l->jobs.next = l->jobs.prev = &l->jobs;
    while (round.next != &round) {
        struct net_job *job = round.next;
        net_job_cancel(job);
        job->fn(job);
    }
}

static void on_check(uv_check_t *h) {
    struct net_loop *l = container_of(h, struct net_loop, check);
    net_loop_awake(l);
    if (l->wake && l->turn) {
        l->wake = false;
        if (l->turn(l->turn_arg)) l->wake = true;
    } else if (!l->turn) {
        l->wake = false;
    }
    run_jobs(l);
    l->lanes_ran = false;
    arm_idle(l);
}

static void on_async(uv_async_t *h) {
    struct net_loop *l = container_of(h, struct net_loop, async);
    net_loop_awake(l);
    uv_mutex_lock(&l->posts_lock);
    struct net_post *p = l->posts;
    l->posts = NULL;
    l->posts_end = &l->posts;
    uv_mutex_unlock(&l->posts_lock);
    while (p) {
        struct net_post *next = p->next;
        p->fn(p->arg);
        free(p);
        p = next;
    }
}

struct net_loop *net_loop_new(void) {
    struct net_loop *l = calloc(1, sizeof *l);
    ENSURE(l && uv_loop_init(&l->uv) == 0);
    ENSURE(uv_prepare_init(&l->uv, &l->prepare) == 0 && uv_check_init(&l->uv, &l->check) == 0);
    ENSURE(uv_idle_init(&l->uv, &l->idle) == 0 && uv_async_init(&l->uv, &l->async, on_async) == 0);
    ENSURE(uv_mutex_init(&l->posts_lock) == 0);
    uv_prepare_start(&l->prepare, on_prepare);
    uv_check_start(&l->check, on_check);
    /* The loop lives as long as somebody else's handles. */
    uv_unref((uv_handle_t *)&l->prepare);
    uv_unref((uv_handle_t *)&l->check);
    uv_unref((uv_handle_t *)&l->async);
    l->jobs.next = l->jobs.prev = &l->jobs;
    l->lanes.next = l->lanes.prev = &l->lanes;
    l->lanes_job.fn = on_lanes;
    l->nobodys.refs = 1;
    l->posts_end = &l->posts;
    l->wall_at_ms = UINT64_MAX;
    l->beats = &l->no_beats;
    return l;
}

void net_loop_on_rest(struct net_loop *l, void (*fn)(void *arg, uint64_t busy_ns), void *arg) {
    l->rest = fn;
    l->rest_arg = arg;
    l->awake_ns = clock_mono_ns();
}

uint64_t net_loop_turn_ns(const struct net_loop *l) { return l->rest && *l->beats & 1 ? l->awake_ns : clock_mono_ns(); }

void net_loop_beat(struct net_loop *l, uint64_t *beats) { l->beats = beats; }

void net_loop_free(struct net_loop *l) {
    if (!l) return;
    for (struct net_signal *s = l->signals; s; s = s->next) uv_close((uv_handle_t *)&s->uv, NULL);
    uv_close((uv_handle_t *)&l->prepare, NULL);
    uv_close((uv_handle_t *)&l->check, NULL);
    uv_close((uv_handle_t *)&l->idle, NULL);
    while (l->holds) uv_run(&l->uv, UV_RUN_ONCE); /* work that is under way elsewhere */
    uv_close((uv_handle_t *)&l->async, NULL);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    ENSURE(uv_loop_close(&l->uv) == 0);
    for (struct net_signal *s = l->signals, *next; s; s = next) next = s->next, free(s);
    for (struct net_post *p = l->posts, *next; p; p = next) next = p->next, free(p);
    uv_mutex_destroy(&l->posts_lock);
    free(l);
}

void net_loop_run(struct net_loop *l) {
    l->stopped = false;
    do arm_idle(l); /* a wake keeps the loop alive even when nothing else does */
    while (!l->stopped && (uv_run(&l->uv, UV_RUN_DEFAULT) || l->wake || l->jobs.next != &l->jobs));
}

void net_loop_stop(struct net_loop *l) {
    l->stopped = true;
    uv_stop(&l->uv);
}

uint64_t net_loop_now_ns(const struct net_loop *l) { return uv_now(&l->uv) * 1000000u; }

uint64_t net_loop_wall_s(struct net_loop *l) {
    if (uv_now(&l->uv) != l->wall_at_ms) {
        l->wall_at_ms = uv_now(&l->uv);
        l->wall_s = clock_wall_ns() / 1000000000u;
    }
    return l->wall_s;
}

void net_loop_on_turn(struct net_loop *l, bool (*fn)(void *arg), void *arg) {
    l->turn = fn;
    l->turn_arg = arg;
}

void net_loop_wake(struct net_loop *l) { l->wake = true; }

bool net_loop_news(const struct net_loop *l) {
    return l->wake || l->jobs.next != &l->jobs || poll(&(struct pollfd){.fd = uv_backend_fd(&l->uv), .events = POLLIN}, 1, 0) > 0;
}

void net_loop_post(struct net_loop *l, void (*fn)(void *arg), void *arg) {
    struct net_post *p = malloc(sizeof *p);
    ENSURE(p);
    *p = (struct net_post){NULL, fn, arg};
    uv_mutex_lock(&l->posts_lock);
    *l->posts_end = p;
    l->posts_end = &p->next;
    uv_mutex_unlock(&l->posts_lock);
    uv_async_send(&l->async);
}

void net_loop_hold(struct net_loop *l) {
    if (!l->holds++) uv_ref((uv_handle_t *)&l->async);
}
void net_loop_let_go(struct net_loop *l) {
    if (!--l->holds) uv_unref((uv_handle_t *)&l->async);
}

static void on_signal(uv_signal_t *h, int signum) {
    struct net_signal *s = container_of(h, struct net_signal, uv);
    if (s->fn) s->fn(s->arg, signum);
}

void net_loop_on_signal(struct net_loop *l, int signum, void (*fn)(void *arg, int signum), void *arg) {
    struct net_signal *s = l->signals;
    while (s && s->uv.signum != signum) s = s->next;
    if (!s) {
        if (!fn) return;
        s = calloc(1, sizeof *s);
        ENSURE(s && uv_signal_init(&l->uv, &s->uv) == 0);
        s->next = l->signals;
        l->signals = s;
    }
    s->fn = fn;
    s->arg = arg;
    if (!fn) {
        uv_signal_stop(&s->uv);
        return;
    }
    ENSURE(uv_signal_start(&s->uv, on_signal, signum) == 0);
    uv_unref((uv_handle_t *)&s->uv);
}

/* ---- jobs ---- */

void net_job_queue(struct net_loop *l, struct net_job *job) {
    if (job->next) return;
    job->prev = l->jobs.prev;
    job->next = &l->jobs;
    job->prev->next = job;
    l->jobs.prev = job;
}

void net_job_cancel(struct net_job *job) {
    if (!job->next) return;
    job->prev->next = job->next;
    job->next->prev = job->prev;
    job->prev = job->next = NULL;
}

/* ---- timers ---- */

struct net_timer {
    uv_timer_t uv;
    void (*fn)(void *arg);
    void *arg;
};

static void on_timer(uv_timer_t *h) {
    struct net_timer *t = container_of(h, struct net_timer, uv);
    t->fn(t->arg);
}

static void free_timer(uv_handle_t *h) { free(container_of((uv_timer_t *)h, struct net_timer, uv)); }

struct net_timer *net_timer_new(struct net_loop *l, void (*fn)(void *arg), void *arg) {
    struct net_timer *t = calloc(1, sizeof *t);
    ENSURE(t && uv_timer_init(&l->uv, &t->uv) == 0);
    t->fn = fn;
    t->arg = arg;
    return t;
}

void net_timer_start(struct net_timer *t, uint64_t after_ms, uint64_t repeat_ms) {
    uv_timer_start(&t->uv, on_timer, after_ms, repeat_ms);
}

void net_timer_stop(struct net_timer *t) { uv_timer_stop(&t->uv); }

void net_timer_free(struct net_timer *t) {
    if (t) uv_close((uv_handle_t *)&t->uv, free_timer);
}

/* ---- descriptors ---- */

struct net_watch {
    uv_poll_t uv;
    void (*fn)(void *arg, unsigned events);
    void *arg;
    unsigned events;
};

static void on_watch(uv_poll_t *h, int status, int events) {
    struct net_watch *w = container_of(h, struct net_watch, uv);
    net_loop_awake(container_of(h->loop, struct net_loop, uv));
    if (status < 0) {
        /* libuv stopped watching: whoever reads or writes finds the error. */
        w->fn(w->arg, w->events);
        return;
    }
    unsigned got = (events & (UV_READABLE | UV_DISCONNECT) ? NET_READABLE : 0u) | (events & UV_WRITABLE ? NET_WRITABLE : 0u);
    w->fn(w->arg, got);
}

static void free_watch(uv_handle_t *h) { free(container_of((uv_poll_t *)h, struct net_watch, uv)); }

struct net_watch *net_watch_new(struct net_loop *l, int fd, unsigned events, void (*fn)(void *arg, unsigned events), void *arg) {
    struct net_watch *w = calloc(1, sizeof *w);
    ENSURE(w);
    if (uv_poll_init(&l->uv, &w->uv, fd) != 0) {
        free(w);
        return NULL;
    }
    w->fn = fn;
    w->arg = arg;
    net_watch_events(w, events);
    return w;
}

/* What it watches for already costs nothing: libuv would tell the system twice. One that it gave up is begun again. */
void net_watch_events(struct net_watch *w, unsigned events) {
    if (events == w->events && (bool)uv_is_active((uv_handle_t *)&w->uv) == (events != 0)) return;
    w->events = events;
    int uv = (events & NET_READABLE ? UV_READABLE : 0) | (events & NET_WRITABLE ? UV_WRITABLE : 0);
    if (uv) uv_poll_start(&w->uv, uv, on_watch);
    else uv_poll_stop(&w->uv);
}

void net_watch_free(struct net_watch *w) {
    if (w) uv_close((uv_handle_t *)&w->uv, free_watch);
}
