/* idle: see idle.h. */
#include "node/worker/idle.h"
#include "net/loop.h"
#include "node/meters.h"
#include "node/worker/apps.h"

enum {
    LOOK_AT = 64,
    GIVE_BACK = 16 /* in one turn, each some 30 us */,
    BLOCKS = 128,
    ALL = 1 << 16 /* of an app, of many: for base_heap_freed */
};
static const uint64_t second_ns = 1'000'000'000;

/* ---- the list ---- */

static void put_first(struct node_idle *i, struct node_app *app) {
    app->older = i->newest;
    app->newer = NULL;
    *(i->newest ? &i->newest->newer : &i->oldest) = app;
    i->newest = app;
}

static void take_out(struct node_idle *i, struct node_app *app) {
    *(app->newer ? &app->newer->older : &i->newest) = app->older;
    *(app->older ? &app->older->newer : &i->oldest) = app->newer;
}

static void arm(struct node_idle *i, uint64_t after_ms) {
    i->armed = true;
    net_timer_start(i->timer, after_ms, 0);
}

void node_idle_used(struct node_app *app) {
    struct node_idle *i = app->idle;
    if (!i) return;
    app->used_ns = net_loop_turn_ns(i->loop);
    if (i->newest == app) return;
    take_out(i, app);
    put_first(i, app);
}

void node_idle_add(struct node_idle *i, struct node_app *app) {
    app->idle = i;
    app->used_ns = net_loop_turn_ns(i->loop);
    put_first(i, app);
    node_meter_set(&node_meters->worker_now.apps, node_meters->worker_now.apps + 1);
    if (!i->armed) arm(i, i->after_ms);
}

void node_idle_leave(struct node_app *app) {
    if (!app->idle) return;
    take_out(app->idle, app);
    app->idle = NULL;
    node_meter_set(&node_meters->worker_now.apps, node_meters->worker_now.apps - 1);
}

/* ---- giving back ---- */

/* The one that was not asked for the longest; those before it that are busy are as good as asked just now. NULL: there is none. */
static struct node_app *oldest_idle(struct node_idle *i) {
    for (uint32_t n = 0; i->oldest && n < LOOK_AT; n++) {
        if (node_app_idle(i->oldest)) return i->oldest;
        node_idle_used(i->oldest);
    }
    return NULL;
}

bool node_idle_any(struct node_idle *i) { return oldest_idle(i); }

static void give_back(struct node_idle *i, struct node_app *app) {
    node_idle_leave(app);
    i->give_back(i->arg, app);
    i->given++;
    node_meter_add(&node_meters->worker.apps_given_back, 1);
}

uint32_t node_idle_give_back(struct node_idle *i, uint32_t n) {
    struct node_app *app;
    uint32_t given = 0;
    for (; given < n && (app = oldest_idle(i)); given++) give_back(i, app);
    return given;
}

/* What its apps were made of lies between what is still in use: once all that were due have gone, the system has it back. */
static void trim(struct node_idle *i, bool last) {
    if (i->given) base_heap_freed(last ? ALL : i->given * BLOCKS);
    i->given = 0;
}

static void on_timer(void *arg) {
    struct node_idle *i = arg;
    uint64_t now = net_loop_now_ns(i->loop), after_ns = i->after_ms * 1'000'000;
    struct node_app *app;
    uint32_t n = 0;
    i->armed = false;
    for (; n < GIVE_BACK && (app = oldest_idle(i)) && app->used_ns + after_ns <= now; n++) give_back(i, app);
    uint64_t due = i->oldest ? i->oldest->used_ns + after_ns : UINT64_MAX;
    if (n < GIVE_BACK) trim(i, due > now + second_ns);
    if (!i->oldest) return;
    arm(i, n == GIVE_BACK || due <= now ? 1 : (due - now) / 1'000'000 + 1);
}

/* ---- its life ---- */

void node_idle_open(struct node_idle *i, struct net_loop *loop, uint64_t after_ms, void (*how)(void *arg, struct node_app *app),
                    void *arg) {
    *i = (struct node_idle){.loop = loop, .after_ms = MAX(after_ms, (uint64_t)1), .give_back = how, .arg = arg};
    i->timer = net_timer_new(loop, on_timer, i);
}

void node_idle_close(struct node_idle *i) {
    while (i->oldest) node_idle_leave(i->oldest);
    net_timer_free(i->timer);
}
