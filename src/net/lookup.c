/* lookup: names to addresses by getaddrinfo, which blocks, and so runs on threads of a crew.
 *
 *   net_lookup_new ─> line ─> a thread: getaddrinfo ─> answered, net_loop_post ─> fn
 *
 * 1. getaddrinfo cannot be stopped, and nobody waits for it at the end of a process.
 * 2. A lookup that a thread has taken is the thread's: given up meanwhile, it is freed there. Else it is its owner's.
 *    A thread touches the loop only while the lookup is owned, under the lock, and an owner outlives no loop.
 */
#include "net/loop_int.h"
#include "net/party_int.h"
#include "net/sock.h"
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/socket.h>

struct net_lookup {
    struct net_task task;
    struct net_party *party;
    struct net_lookup *next; /* answered */
    struct net_loop *loop;
    void (*fn)(void *arg);
    void *arg;
    char *name;
    /* under the lock: */
    enum { IN_LINE, ANSWERED, DONE } state; /* IN_LINE: or a thread has it */
    bool owned;
    bool done; /* the loop's alone */
    /* the thread's until it is ANSWERED */
    enum net_lookup_error error;
    uint32_t count;
    struct net_addr addresses[NET_LOOKUP_ADDRESSES_MAX];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct net_lookup *answered;

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

static bool owned(struct net_lookup *k) {
    pthread_mutex_lock(&lock);
    bool it_is = k->owned;
    pthread_mutex_unlock(&lock);
    return it_is;
}

static void run(struct net_task *t) {
    struct net_lookup *k = container_of(t, struct net_lookup, task);
    if (owned(k)) look_up(k);
    pthread_mutex_lock(&lock);
    bool wanted = k->owned;
    if (wanted) answer(k);
    pthread_mutex_unlock(&lock);
    if (!wanted) destroy(k);
}

/* ---- on the loop's thread ---- */

struct net_lookup *net_lookup_new(struct net_loop *l, struct net_party *party, str name, void (*fn)(void *arg), void *arg) {
    struct net_lookup *k = calloc(1, sizeof *k);
    ENSURE(k);
    party = net_party_of(party);
    *k = (struct net_lookup){
        .task.run = run, .party = party, .loop = l, .fn = fn, .arg = arg, .owned = true, .name = malloc(name.n + 1)};
    ENSURE(k->name);
    memcpy(k->name, name.p, name.n);
    k->name[name.n] = 0;
    party->works++;
    net_loop_hold(l);
    if (net_crew_add(party->lines[NET_CREW_LOOKUP], &k->task)) return k;
    k->error = NET_LOOKUP_TEMPORARY; /* no thread can be made, and none runs */
    pthread_mutex_lock(&lock);
    answer(k);
    pthread_mutex_unlock(&lock);
    return k;
}

bool net_lookup_done(const struct net_lookup *k) { return k->done; }
enum net_lookup_error net_lookup_error(const struct net_lookup *k) { return k->error; }

const struct net_addr *net_lookup_addresses(const struct net_lookup *k, uint32_t *count) {
    *count = net_lookup_done(k) ? k->count : 0;
    return k->addresses;
}

void net_lookup_free(struct net_lookup *k) {
    if (!k) return;
    struct net_party *p = k->party;
    if (!k->done) net_loop_let_go(k->loop);
    bool mine = k->done || net_crew_take_back(p->lines[NET_CREW_LOOKUP], &k->task);
    pthread_mutex_lock(&lock);
    if (k->state == ANSWERED) {
        struct net_lookup **at = &answered;
        while (*at != k) at = &(*at)->next;
        *at = k->next;
        mine = true;
    }
    k->owned = false;
    pthread_mutex_unlock(&lock);
    if (mine) destroy(k); /* else its thread does */
    p->works--;
    net_party_settle(p);
}
