/* work: what the kernel may hold up, on libuv's threads.
 *
 * 1. fn sees nothing of the loop; what it works on belongs to it alone until done.
 * 2. done is called once, from the loop, whatever happens: also while the loop is being freed. */
#include <signal.h>

#include "net/loop_int.h"

struct net_work {
    uv_work_t uv;
    void (*fn)(void *arg);
    void (*done)(void *arg, bool ran);
    void *arg;
};

static void run(uv_work_t *h) {
    struct net_work *w = container_of(h, struct net_work, uv);
    w->fn(w->arg);
}

static void finish(uv_work_t *h, int status) {
    struct net_work *w = container_of(h, struct net_work, uv);
    w->done(w->arg, status == 0);
    free(w);
}

struct net_work *net_work_new(struct net_loop *l, void (*fn)(void *arg), void (*done)(void *arg, bool ran), void *arg) {
    struct net_work *w = malloc(sizeof *w);
    ENSURE(w);
    *w = (struct net_work){.fn = fn, .done = done, .arg = arg};
    sigset_t all, before; /* which new threads inherit: signals are for the thread that runs guests */
    sigfillset(&all);
    ENSURE(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    ENSURE(uv_queue_work(&l->uv, &w->uv, run, finish) == 0);
    ENSURE(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    return w;
}

void net_work_cancel(struct net_work *w) { uv_cancel((uv_req_t *)&w->uv); }
