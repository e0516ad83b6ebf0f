/* applog: lines that are an app's, on their way from a worker to control, which keeps them (control/logs.c).
 *
 *   log_event with a field "app" ──> [ the app's lines of this turn ] ──the turn ends──> a message of the channel `logs` ──> control
 *                                                                        └─ no room: they are counted, and the count goes with the next ones
 *
 * 1. Nothing waits. What control does not take in time, or what comes while there is no control, is counted: in the app's meters and in its
 *    log.
 * 2. Whatever says in its line whose it is, wherever it is logged, is in that app's log: accesses, failures, what guests print, what they
 *    were refused.
 * 3. Before it comes here, what a guest can say is bounded (lines.c).
 */
#include "net/loop.h"
#include "node/meters.h"
#include "node/wire.h"
#include "node/worker/apps.h"
#include <stdlib.h>
#include <unistd.h>

enum { PACKET_BYTES = 48 << 10, NAMES = 256 };

struct node_applog {
    struct node_guest *guest;
    int fd;                  /* -1: control is gone, and another one not there yet */
    bool alone;              /* they are in no other log */
    struct node_app *queued; /* with lines, or lines that were lost */
    struct {
        const uint8_t *name; /* where a line's name was */
        struct node_app *app;
    } names[NAMES];
};

/* ---- whose it is ---- */

static struct node_app *look_for(struct node_applog *l, str name) {
    size_t at = ((uintptr_t)name.p >> 4) % NAMES;
    struct node_app *app = l->names[at].app;
    if (app && l->names[at].name == name.p && str_eqc(name, app->name)) return app;
    app = l->guest->apps;
    while (app && !str_eqc(name, app->name)) app = app->next;
    if (app) l->names[at].name = name.p, l->names[at].app = app;
    return app;
}

static void queue(struct node_applog *l, struct node_app *app) {
    if (app->kept.queued) return;
    app->kept.queued = true;
    app->kept.next = l->queued;
    l->queued = app;
    net_loop_wake(l->guest->loop);
}

static void lose(struct node_app *app, uint64_t lines) {
    app->kept.lost += lines;
    node_meter_add(&app->meters->counts.log_lines_dropped, lines);
}

static void send_lines(struct node_applog *l, struct node_app *app) {
    struct node_kept *k = &app->kept;
    struct node_message m = NODE_MESSAGE(app_lines, .app = app->record.id, .lost = k->lost, .lines = buf_str(&k->lines));
    err e = l->fd >= 0 ? node_wire_send(l->fd, &m) : ERR_CLOSED;
    if (e == ERR_OK) k->lost = 0;
    else lose(app, k->count);
    if (e != ERR_OK && e != ERR_AGAIN && l->fd >= 0) close(l->fd), l->fd = -1;
    k->lines.n = 0;
    k->count = 0;
}

static struct buf *take_line(void *arg, enum log_level level, const struct log_field *fields, size_t n, bool *alone) {
    struct node_applog *l = arg;
    size_t i = 0;
    while (i < n && !(fields[i].kind == LOG_STR && !strcmp(fields[i].key, "app"))) i++;
    struct node_app *app = i < n && fields[i].s.n ? look_for(l, fields[i].s) : NULL;
    if (!app) return NULL;
    struct node_kept *k = &app->kept;
    if (k->lines.n > PACKET_BYTES - NODE_LOG_LINE_MAX) send_lines(l, app);
    queue(l, app);
    k->count++;
    node_meter_inc(&app->meters->counts.log_lines);
    *alone = l->alone;
    return &k->lines;
}

/* ---- turns ---- */

void node_applog_flush(struct node_applog *l) {
    while (l->queued) {
        struct node_app *app = l->queued;
        l->queued = app->kept.next;
        app->kept.queued = false;
        send_lines(l, app);
        if (app->kept.lines.cap > 4 * KiB) buf_free(&app->kept.lines);
    }
}

/* Hearsay of no weight: where there is no room for it, it is said the next time. */
void node_applog_key_used(struct node_applog *l, uint32_t app, uint32_t key) {
    err e = l->fd >= 0 ? node_wire_send(l->fd, &NODE_MESSAGE(key_used, .app = app, .key = key)) : ERR_CLOSED;
    if (e != ERR_OK && e != ERR_AGAIN && l->fd >= 0) close(l->fd), l->fd = -1;
}

/* ---- its life ---- */

struct node_applog *node_applog_new(struct node_guest *g, bool alone) {
    struct node_applog *l = calloc(1, sizeof *l);
    ENSURE(l);
    *l = (struct node_applog){.guest = g, .fd = -1, .alone = alone};
    g->applog = l;
    return l;
}

void node_applog_channel(struct node_applog *l, int fd) {
    if (l->fd >= 0) close(l->fd);
    l->fd = fd;
    log_tap(take_line, l);
}

void node_applog_forget(struct node_applog *l, struct node_app *app) {
    struct node_app **at = &l->queued;
    while (*at && *at != app) at = &(*at)->kept.next;
    if (*at) {
        *at = app->kept.next;
        send_lines(l, app);
    }
    for (size_t i = 0; i < NAMES; i++)
        if (l->names[i].app == app) l->names[i].app = NULL;
    buf_free(&app->kept.lines);
}

void node_applog_free(struct node_applog *l) {
    if (!l) return;
    node_applog_flush(l);
    log_tap(NULL, NULL);
    l->guest->applog = NULL;
    if (l->fd >= 0) close(l->fd);
    free(l);
}
