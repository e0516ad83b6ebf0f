/* texts: what functions EXECUTE while the store runs them (node/translate.h). The thread that has the database waits, within its statement's time; channels come
 * by the thread that hears the supervisor. */
#include "node/store/store_int.h"
#include "node/role.h"
#include "node/tree.h"
#include "node/wire.h"
#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 20 };
struct wish { /* of a thread that waits for a channel */
    struct wish *next;
    uint32_t app;
    int fd;
    bool said;
};
static struct {
    pthread_mutex_t lock;
    pthread_cond_t came;
    struct wish *first;
} wishes = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL};

void node_store_texts_channel(uint32_t app, int fd) {
    pthread_mutex_lock(&wishes.lock);
    struct wish *w = wishes.first;
    while (w && (w->app != app || w->said)) w = w->next;
    if (w) w->fd = fd, w->said = true;
    pthread_cond_broadcast(&wishes.came);
    pthread_mutex_unlock(&wishes.lock);
    if (!w && fd >= 0) close(fd);
}

static err want_channel(struct store_base *base) {
    struct wish mine = {.app = base->now->app, .fd = -1}, **at;
    err e = ERR_OK;
    pthread_mutex_lock(&wishes.lock);
    mine.next = wishes.first, wishes.first = &mine;
    e = node_wire_send(NODE_WIRE_FD, &NODE_MESSAGE(store_translator_want, .app = mine.app));
    while (e == ERR_OK && !mine.said) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOOK_MS * 1'000'000;
        if (until.tv_nsec >= 1'000'000'000) until.tv_nsec -= 1'000'000'000, until.tv_sec++;
        pthread_cond_timedwait(&wishes.came, &wishes.lock, &until);
        if (!mine.said && !node_store_goes_on(base)) e = ERR_LIMIT;
    }
    for (at = &wishes.first; *at != &mine; at = &(*at)->next) {}
    *at = mine.next;
    pthread_mutex_unlock(&wishes.lock);
    if (e == ERR_OK && mine.fd < 0) e = ERR_BUSY;
    if (e == ERR_OK) base->texts.fd = mine.fd;
    return e == ERR_AGAIN ? ERR_BUSY : e;
}

static err ask(struct store_base *base, arena *mem, const struct catalog *c, str text, str *answer) {
    struct node_translating *t = &base->texts;
    uint64_t until_ns = clock_mono_ns() + NODE_TRANSLATOR_PAUSE_MS * 1'000'000ull;
    for (err e = ERR_BUSY; t->fd < 0;) {
        if ((e = want_channel(base)) == ERR_BUSY && clock_mono_ns() < until_ns) (void)poll(NULL, 0, LOOK_MS);
        else TRY(e);
    }
    TRY(node_translate_send(t, c, text));
    for (;;) {
        err e = node_translate_take(t, mem, answer);
        if (e != ERR_AGAIN) return e;
        (void)poll(&(struct pollfd){.fd = t->fd, .events = POLLIN}, 1, LOOK_MS);
        if (!node_store_goes_on(base)) return ERR_LIMIT;
    }
}

bool node_store_translate(void *arg, arena *mem, const struct catalog *c, str text, str *answer, struct pg_error *error) {
    struct store_base *base = arg;
    err e = ERR_CLOSED;
    for (int i = 0; e == ERR_CLOSED && i < NODE_TRANSLATOR_TRIES; i++) {
        e = ask(base, mem, c, text, answer);
        if (e == ERR_CLOSED || e == ERR_LIMIT) node_translating_close(&base->texts); /* what it answers yet, nobody waits for */
    }
    if (e != ERR_OK) node_translate_failed(error, e);
    return e == ERR_OK;
}
