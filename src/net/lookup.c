/* lookup: names to addresses by getaddrinfo, which blocks, and so runs on threads of its own.
 *
 *   net_lookup_new ─> line ─> a thread: getaddrinfo ─> answered, net_loop_post ─> fn
 *
 * 1. At most THREADS_MAX threads run at once; one that finds the line empty ends. They are detached: getaddrinfo cannot be
 *    stopped, and nobody waits for it at the end of a process.
 * 2. A lookup that a thread is at work on is the thread's: given up meanwhile, it is freed there. Else it is its owner's.
 *    A thread touches the loop only while the lookup is owned, under the lock, and an owner outlives no loop.
 */
#include "net/loop_int.h"
#include "net/sock.h"
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { THREADS_MAX = 16, STACK_BYTES = 512 << 10 };

struct net_lookup {
    struct net_lookup *next; /* in line, or answered */
    struct net_loop *loop;
    void (*fn)(void *arg);
    void *arg;
    char *name;
    /* under the lock: */
    enum { IN_LINE, AT_WORK, ANSWERED, DONE } state;
    bool owned;
    bool done; /* the loop's alone */
    /* the thread's while it is AT_WORK */
    enum net_lookup_error error;
    uint32_t count;
    struct net_addr addresses[NET_LOOKUP_ADDRESSES_MAX];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct net_lookup *first, **last = &first; /* the line */
static struct net_lookup *answered;
static uint32_t threads;

static void destroy(struct net_lookup *k) {
    free(k->name);
    free(k);
}

/* ---- on a thread ---- */

static enum net_lookup_error error_of(int why) {
    switch (why) {
    case 0: return NET_LOOKUP_OK;
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY: return NET_LOOKUP_NO_NAME;
    case EAI_AGAIN:
    case EAI_MEMORY:
    case EAI_SYSTEM: return NET_LOOKUP_TEMPORARY;
    default: return NET_LOOKUP_PERMANENT;
    }
}

static void add(struct net_lookup *k, const struct sockaddr *from) {
    struct net_addr a;
    net_addr_of(from, &a);
    a.flow = 0;
    for (uint32_t i = 0; i < k->count; i++)
        if (net_addr_same_ip(&k->addresses[i], &a)) return;
    if (k->count < NET_LOOKUP_ADDRESSES_MAX) k->addresses[k->count++] = a;
}

static void look_up(struct net_lookup *k) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    k->error = error_of(getaddrinfo(k->name, NULL, &hints, &list));
    for (struct addrinfo *a = list; a; a = a->ai_next)
        if (a->ai_family == AF_INET || a->ai_family == AF_INET6) add(k, a->ai_addr);
    if (list) freeaddrinfo(list);
    if (k->error == NET_LOOKUP_OK && !k->count) k->error = NET_LOOKUP_NO_NAME;
}

static struct net_lookup *take_answered(const struct net_loop *l) {
    pthread_mutex_lock(&lock);
    struct net_lookup **at = &answered;
    while (*at && (*at)->loop != l) at = &(*at)->next;
    struct net_lookup *k = *at;
    if (k) {
        *at = k->next;
        k->state = DONE;
        k->done = true;
    }
    pthread_mutex_unlock(&lock);
    return k;
}

/* On the loop. Posted for each answer, it takes all there are. */
static void on_answers(void *loop) {
    for (struct net_lookup *k; (k = take_answered(loop));) {
        net_loop_let_go(loop);
        k->fn(k->arg);
    }
}

/* Under the lock. */
static void answer(struct net_lookup *k) {
    k->state = ANSWERED;
    k->next = answered;
    answered = k;
    net_loop_post(k->loop, on_answers, k->loop);
}

static struct net_lookup *next_in_line(void) {
    struct net_lookup *k = first;
    if (k) {
        first = k->next;
        if (!first) last = &first;
        k->state = AT_WORK;
    } else {
        threads--;
    }
    return k;
}

static void *work(void *arg) {
    (void)arg;
    for (;;) {
        pthread_mutex_lock(&lock);
        struct net_lookup *k = next_in_line();
        pthread_mutex_unlock(&lock);
        if (!k) return NULL;
        look_up(k);
        pthread_mutex_lock(&lock);
        bool owned = k->owned;
        if (owned) answer(k);
        pthread_mutex_unlock(&lock);
        if (!owned) destroy(k);
    }
}

/* ---- on the loop's thread ---- */

/* With no signals, which are the loop's business. */
static bool start_thread(void) {
    sigset_t all, before;
    pthread_attr_t attr;
    pthread_t thread;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    bool ok = pthread_create(&thread, &attr, work, NULL) == 0;
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok;
}

/* No thread can be made, and none runs: who stands in line fails. */
static void fail_line(void) {
    for (struct net_lookup *k = first, *next; k; k = next) {
        next = k->next;
        k->error = NET_LOOKUP_TEMPORARY;
        answer(k);
    }
    first = NULL;
    last = &first;
}

struct net_lookup *net_lookup_new(struct net_loop *l, str name, void (*fn)(void *arg), void *arg) {
    struct net_lookup *k = calloc(1, sizeof *k);
    ENSURE(k);
    *k = (struct net_lookup){.loop = l, .fn = fn, .arg = arg, .owned = true, .name = malloc(name.n + 1)};
    ENSURE(k->name);
    memcpy(k->name, name.p, name.n);
    k->name[name.n] = 0;
    net_loop_hold(l);
    pthread_mutex_lock(&lock);
    *last = k;
    last = &k->next;
    if (threads < THREADS_MAX) {
        if (start_thread()) threads++;
        else if (!threads) fail_line();
    }
    pthread_mutex_unlock(&lock);
    return k;
}

bool net_lookup_done(const struct net_lookup *k) { return k->done; }
enum net_lookup_error net_lookup_error(const struct net_lookup *k) { return k->error; }

const struct net_addr *net_lookup_addresses(const struct net_lookup *k, uint32_t *count) {
    *count = net_lookup_done(k) ? k->count : 0;
    return k->addresses;
}

static void leave(struct net_lookup **at, struct net_lookup *k) {
    while (*at != k) at = &(*at)->next;
    *at = k->next;
    if (last == &k->next) last = at;
}

void net_lookup_free(struct net_lookup *k) {
    if (!k) return;
    if (!k->done) net_loop_let_go(k->loop);
    pthread_mutex_lock(&lock);
    bool at_work = k->state == AT_WORK; /* its thread frees it */
    if (k->state == IN_LINE) leave(&first, k);
    if (k->state == ANSWERED) leave(&answered, k);
    k->owned = false;
    pthread_mutex_unlock(&lock);
    if (!at_work) destroy(k);
}
