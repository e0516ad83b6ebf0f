/* instance: what is of one instance of an app, whatever kind of guest it is (app.h). */
#include "app/app.h"
#include "net/loop.h"

void app_init(struct app *app, struct app_out out, struct app_out err) {
    app->engine = engine_share_engine(app->share);
    app->nobody.out = out;
    app->nobody.err = err;
    app_request_begin(&app->nobody, app, (str){}, NULL);
}

void app_news(struct app *app) {
    if (app->news) app->news(app);
    else net_loop_wake(app->loop);
}

struct app_instance *app_instance_of(struct host_instance *in) {
    return host_instance_user(in);
}

str app_doing_for(struct engine_instance *in) {
    struct host_instance *of = engine_instance_user(in);
    const struct app_instance *i = of ? app_instance_of(of) : NULL;
    return i ? i->request->id : (str){0};
}

/* ---- what is still under way ---- */

void app_late_add(struct app_instance *i, struct app_late *l, void (*gone)(struct app_late *l)) {
    *l = (struct app_late){.next = i->late, .prev = &i->late, .gone = gone};
    if (l->next) l->next->prev = &l->next;
    i->late = l;
}

void app_late_remove(struct app_late *l) {
    if (!l->prev) return;
    *l->prev = l->next;
    if (l->next) l->next->prev = l->prev;
    l->prev = NULL;
}

void app_late_end(struct app_instance *i) {
    while (i->late) {
        struct app_late *l = i->late;
        app_late_remove(l);
        l->gone(l);
    }
}

/* ---- notices ---- */

enum { INSTANCE_MAX = 8 };
static const uint64_t minute_ns = 60'000'000'000;

bool app_notice_due(struct app_instance *i, str what) {
    struct app_notices *n = &i->app->notices;
    uint64_t hash = str_hash(what), now = clock_mono_ns();
    if (now - i->notices_since_ns > minute_ns) { /* of a service's instance, which outlives its requests */
        i->notices_since_ns = now;
        i->notices = 0;
    }
    if (i->notices >= INSTANCE_MAX || n->of[n->next].until_ns > now) return false;
    for (size_t k = 0; k < ARRAY_COUNT(n->of); k++)
        if (n->of[k].hash == hash && n->of[k].until_ns > now) return false;
    n->of[n->next].hash = hash;
    n->of[n->next].until_ns = now + minute_ns;
    n->next = (n->next + 1) % ARRAY_COUNT(n->of);
    i->notices++;
    return true;
}
