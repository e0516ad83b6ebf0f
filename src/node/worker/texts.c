/* texts: see texts.h.
 *
 *   a fiber ──> WAITS for the channel, for its turn ──> ASKS ──> answered
 *                  └ every LOOK_MS, and where anything happens to the channel, all who wait look again
 */
#include "node/worker/texts.h"
#include "engine/engine.h"
#include "net/loop.h"
#include "node/tree.h"
#include <stdlib.h>
#include <unistd.h>

enum { LOOK_MS = 50 };
struct waiter {
    struct waiter *next;
    struct engine_fiber *fiber;
};
struct channel { /* of an app */
    struct channel *next;
    struct node_texts *texts;
    uint32_t app, users; /* fibers that are in here */
    struct node_translating to;
    struct net_watch *watch;
    bool wanted, refused, busy;
    struct waiter *waiters;
};
struct node_texts {
    struct engine *engine;
    struct net_loop *loop;
    bool (*want)(void *arg, uint32_t app);
    void *arg;
    struct net_timer *timer;
    uint32_t waiting;
    struct channel *channels;
};

static void wake(struct channel *c) {
    for (struct waiter *w = c->waiters; w; w = w->next) engine_ready(w->fiber);
}

static void look(void *arg) {
    struct node_texts *t = arg;
    for (struct channel *c = t->channels; c; c = c->next) wake(c);
}

static void close_channel(struct channel *c) {
    if (c->watch) net_watch_free(c->watch);
    c->watch = NULL;
    node_translating_close(&c->to);
}

static void on_events(void *arg, unsigned events) {
    struct channel *c = arg;
    if (!c->busy) close_channel(c); /* nobody asked: its end */
    wake(c);
}

static struct channel **place_of(struct node_texts *t, uint32_t app) {
    struct channel **at = &t->channels;
    while (*at && (*at)->app != app) at = &(*at)->next;
    return at;
}

static struct channel *channel_of(struct node_texts *t, uint32_t app) {
    struct channel **at = place_of(t, app);
    if (*at) return *at;
    struct channel *c = *at = calloc(1, sizeof **at);
    ENSURE(c);
    *c = (struct channel){.texts = t, .app = app, .to.fd = -1};
    return c;
}

void node_texts_channel(struct node_texts *t, uint32_t app, int fd) {
    struct channel *c = *place_of(t, app);
    if (!c) {
        if (fd >= 0) close(fd);
        return;
    }
    if (fd >= 0 && c->busy) close(fd); /* somebody asks by the one before yet */
    else if (fd >= 0) {
        close_channel(c);
        c->to.fd = fd;
        c->watch = net_watch_new(t->loop, fd, NET_READABLE, on_events, c);
    }
    c->refused = fd < 0;
    c->wanted = false;
    if (fd >= 0) wake(c); /* else they look again soon, and want one again */
}

void node_texts_forget(struct node_texts *t, uint32_t app) {
    struct channel *c = *place_of(t, app);
    if (c) c->to.sent = NULL;
}

/* Until anything happens. False: the fiber is to end. */
static bool park(struct channel *c) {
    struct node_texts *t = c->texts;
    struct waiter me = {c->waiters, engine_fiber_current(t->engine)};
    c->waiters = &me;
    if (!t->waiting++) net_timer_start(t->timer, LOOK_MS, LOOK_MS);
    bool lives = engine_park(t->engine);
    struct waiter **at = &c->waiters;
    while (*at != &me) at = &(*at)->next;
    *at = me.next;
    if (!--t->waiting) net_timer_stop(t->timer);
    return lives;
}

/* The channel, and the turn. */
static err begin(struct channel *c, bool (*ends)(void *arg), void *arg) {
    uint64_t until_ns = clock_mono_ns() + NODE_TRANSLATOR_PAUSE_MS * 1'000'000ull;
    c->refused = false;
    for (;;) {
        if (c->to.fd >= 0 && !c->busy) return ERR_OK;
        if (c->refused && clock_mono_ns() >= until_ns) return ERR_BUSY;
        if (c->to.fd < 0 && !c->busy && !c->wanted) c->wanted = c->texts->want(c->texts->arg, c->app);
        if (!park(c) || ends(arg)) return ERR_LIMIT;
    }
}

/* What reads it works for the app, on a core that others want: its time is the share's, as if a fiber of its own had computed so long. */
static err ask(struct channel *c, struct engine_share *share, bool (*ends)(void *arg), void *arg, arena *mem,
               const struct catalog *catalog, str text, str *answer) {
    TRY(begin(c, ends, arg));
    uint64_t since_ns = clock_mono_ns();
    c->busy = true;
    err e = node_translate_send(&c->to, catalog, text);
    while (e == ERR_OK && (e = node_translate_take(&c->to, mem, answer)) == ERR_AGAIN) {
        e = park(c) && !ends(arg) ? ERR_OK : ERR_LIMIT;
    }
    c->busy = false;
    engine_share_charge(share, clock_mono_ns() - since_ns);
    if (e == ERR_CLOSED || e == ERR_LIMIT) close_channel(c); /* what it answers yet, nobody waits for */
    wake(c);
    return e;
}

bool node_texts_translate(struct node_texts *t, uint32_t app, struct engine_share *share, bool (*ends)(void *arg), void *arg,
                          arena *mem, const struct catalog *catalog, str text, str *answer, struct pg_error *error) {
    struct channel *c = channel_of(t, app);
    c->users++;
    err e = ERR_CLOSED;
    for (int i = 0; e == ERR_CLOSED && i < NODE_TRANSLATOR_TRIES; i++) e = ask(c, share, ends, arg, mem, catalog, text, answer);
    c->users--;
    if (e != ERR_OK) node_translate_failed(error, e);
    return e == ERR_OK;
}

struct node_texts *node_texts_new(struct engine *e, struct net_loop *loop, bool (*want)(void *arg, uint32_t app), void *arg) {
    struct node_texts *t = calloc(1, sizeof *t);
    ENSURE(t);
    *t = (struct node_texts){.engine = e, .loop = loop, .want = want, .arg = arg};
    t->timer = net_timer_new(loop, look, t);
    return t;
}

void node_texts_free(struct node_texts *t) {
    if (!t) return;
    for (struct channel *c = t->channels, *next; c; c = next) {
        next = c->next;
        close_channel(c);
        node_translating_end(&c->to);
        free(c);
    }
    net_timer_free(t->timer);
    free(t);
}
