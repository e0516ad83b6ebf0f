/* crew: threads for what blocks, shared by parties. Private to net.
 *
 *   net_crew_add ─> the party's line ─┬─> a thread: task->run
 *                                     └─> net_crew_take_back
 *
 * 1. A thread that is free takes the first task of the party whose turn it is: parties take turns, so a long line holds up nobody else.
 * 2. A party among several never has all threads (base/pool.h): those who come find one even where tasks hang.
 * 3. Threads are made when they are needed, after a sandbox was put on; they take no signals, are detached, and nobody waits for
 *    them at the end of the process.
 */
#ifndef ORLO_NET_CREW_H
#define ORLO_NET_CREW_H

#include "base/pool.h"
#include <pthread.h>

struct net_crew;
struct net_task {
    struct net_task *next;           /* in its line */
    void (*run)(struct net_task *t); /* on a thread; may free t */
};
struct net_line { /* of one party, for one crew; all under the crew's lock */
    struct net_crew *crew;
    struct net_line *next; /* in the crew's ring, if somebody stands in it; else NULL */
    struct net_task *first, **last;
    struct pool_part at_work; /* threads */
    bool left;                /* by its party: it goes with its last task */
};
struct net_crew {
    pthread_mutex_t lock;
    pthread_cond_t come;
    struct pool pool;                /* of threads; max is how many there may be */
    uint32_t threads, idle, waiting; /* waiting: tasks */
    struct net_line *turn;           /* the ring's last; NULL: nobody waits */
};
#define NET_CREW(threads_max)                                                                                                    \
    {                                                                                                                            \
        .lock = PTHREAD_MUTEX_INITIALIZER, .come = PTHREAD_COND_INITIALIZER, .pool = {.max = (threads_max) }                     \
    }

struct net_line *net_line_new(struct net_crew *crew);
void net_line_free(struct net_line *line); /* nobody stands in it; what is at work may go on */
/* False: there is no thread and none can be made; t is nowhere. */
[[nodiscard]] bool net_crew_add(struct net_line *line, struct net_task *t);
/* True: it has not begun, and never will. */
bool net_crew_take_back(struct net_line *line, struct net_task *t);

#endif
