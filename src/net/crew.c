/* crew: see crew.h. */
#include "net/party_int.h"
#include <signal.h>
#include <stdlib.h>

enum { STACK_BYTES = 512 << 10 };

struct net_crew net_crews[NET_CREWS] = {[NET_CREW_WORK] = NET_CREW(4), [NET_CREW_LOOKUP] = NET_CREW(16)};

/* ---- lines; under the lock ---- */

static void ring_join(struct net_crew *c, struct net_line *line) {
    if (line->next) return;
    line->next = c->turn ? c->turn->next : line;
    if (c->turn) c->turn->next = line;
    c->turn = line;
}

static void ring_leave(struct net_crew *c, struct net_line *line) {
    struct net_line *before = line;
    while (before->next != line) before = before->next;
    before->next = line->next;
    if (c->turn == line) c->turn = before == line ? NULL : before;
    line->next = NULL;
}

static struct net_task *take(struct net_crew *c, struct net_line *line) {
    struct net_task *t = line->first;
    line->first = t->next;
    c->waiting--;
    c->turn = line; /* the next one's turn is the next */
    if (!line->first) {
        line->last = &line->first;
        ring_leave(c, line);
    }
    return t;
}

/* Of the first party that may have a thread. NULL: there is none. */
static struct net_task *next_task(struct net_crew *c, struct net_line **of) {
    if (!c->turn) return NULL;
    struct net_line *line = c->turn->next, *end = line;
    do {
        if (pool_part_take(&line->at_work, 1) == POOL_OK) return take(c, *of = line);
        line = line->next;
    } while (line != end);
    return NULL;
}

static void destroy(struct net_line *line) {
    pool_part_close(&line->at_work);
    free(line);
}

struct net_line *net_line_new(struct net_crew *crew) {
    struct net_line *line = calloc(1, sizeof *line);
    ENSURE(line);
    line->crew = crew;
    line->last = &line->first;
    pthread_mutex_lock(&crew->lock);
    pool_part_open(&line->at_work, &crew->pool, 0);
    pthread_mutex_unlock(&crew->lock);
    return line;
}

void net_line_free(struct net_line *line) {
    struct net_crew *c = line->crew;
    pthread_mutex_lock(&c->lock);
    ENSURE(!line->first && !line->left);
    line->left = true;
    if (!line->at_work.used) destroy(line); /* else its last thread does: a lookup cannot be stopped */
    pthread_mutex_unlock(&c->lock);
}

/* ---- threads ---- */

static void *work(void *arg) {
    struct net_crew *c = arg;
    pthread_mutex_lock(&c->lock);
    for (;;) {
        struct net_line *line;
        struct net_task *t = next_task(c, &line);
        if (!t) {
            c->idle++;
            pthread_cond_wait(&c->come, &c->lock);
            c->idle--;
            continue;
        }
        pthread_mutex_unlock(&c->lock);
        t->run(t);
        pthread_mutex_lock(&c->lock);
        pool_part_give(&line->at_work, 1);
        if (line->left && !line->at_work.used) destroy(line);
        if (c->turn && c->idle) pthread_cond_signal(&c->come); /* somebody may have waited for its end */
    }
    return NULL;
}

static bool start_thread(struct net_crew *c) {
    sigset_t all, before; /* which new threads inherit: signals are for the thread that runs guests */
    pthread_attr_t attr;
    pthread_t thread;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    bool ok = pthread_create(&thread, &attr, work, c) == 0;
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    c->threads += ok;
    return ok;
}

bool net_crew_add(struct net_line *line, struct net_task *t) {
    struct net_crew *c = line->crew;
    pthread_mutex_lock(&c->lock);
    bool ok = c->waiting < c->idle || (c->threads < c->pool.max && start_thread(c)) || c->threads;
    if (ok) {
        c->waiting++;
        t->next = NULL;
        *line->last = t;
        line->last = &t->next;
        ring_join(c, line);
        pthread_cond_signal(&c->come);
    }
    pthread_mutex_unlock(&c->lock);
    return ok;
}

bool net_crew_take_back(struct net_line *line, struct net_task *t) {
    struct net_crew *c = line->crew;
    pthread_mutex_lock(&c->lock);
    struct net_task **at = &line->first;
    while (*at && *at != t) at = &(*at)->next;
    bool found = *at;
    if (found) {
        *at = t->next;
        c->waiting--;
        if (line->last == &t->next) line->last = at;
        if (!line->first) ring_leave(c, line);
    }
    pthread_mutex_unlock(&c->lock);
    return found;
}
