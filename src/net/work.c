/* work: what the kernel may hold up, on the crew's threads.
 *
 * 1. fn sees nothing of the loop; what it works on belongs to it alone until done.
 * 2. done is called once, from the loop, whatever happens: also while the loop is being freed. */
#include "net/loop_int.h"
#include "net/party_int.h"

struct net_work {
    struct net_task task;
    struct net_loop *loop;
    struct net_party *party;
    void (*fn)(void *arg);
    void (*done)(void *arg, bool ran);
    void *arg;
    bool ran; /* or is running: the thread's until finish */
};

static void finish(void *arg) {
    struct net_work *w = arg;
    struct net_party *p = w->party;
    net_loop_let_go(w->loop);
    w->done(w->arg, w->ran);
    free(w);
    p->works--;
    net_party_settle(p);
}

static void run(struct net_task *t) {
    struct net_work *w = container_of(t, struct net_work, task);
    w->ran = true;
    w->fn(w->arg);
    net_loop_post(w->loop, finish, w);
}

struct net_work *net_work_new(struct net_loop *l, struct net_party *party, void (*fn)(void *arg),
                              void (*done)(void *arg, bool ran), void *arg) {
    struct net_work *w = malloc(sizeof *w);
    ENSURE(w);
    party = net_party_of(party);
    *w = (struct net_work){.task.run = run, .loop = l, .party = party, .fn = fn, .done = done, .arg = arg};
    party->works++;
    net_loop_hold(l);
    if (!net_crew_add(party->lines[NET_CREW_WORK], &w->task)) net_loop_post(l, finish, w);
    return w;
}

void net_work_cancel(struct net_work *w) {
    if (net_crew_take_back(w->party->lines[NET_CREW_WORK], &w->task)) net_loop_post(w->loop, finish, w);
}
