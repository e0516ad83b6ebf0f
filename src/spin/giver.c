/* giver: what was answered, as a stream whose pages are asked for as the guest reads, and the future that says how it ended.
 *
 *   the stream   PAGE ──all of it read, and there is more──> ASKS ──answer──> PAGE
 *                  └──all read, nobody reads, an error──> closed
 *   the future   not KNOWN ──the last page is there, an error, nobody reads──> KNOWN ──who has it has the value, or let go──> closed
 *
 * 1. Who only waits for the future need not read: it is known as soon as all has been answered.
 * 2. The instance may go at any time: both ends say so, each by its waker. With the second end the giver goes.
 */
#include "spin/spin_int.h"
#include <stdlib.h>

enum { PIECES_MAX = 16, RESULT_BYTES_MAX = 64 };
struct spin_giver {
    struct host_instance *in;
    struct app *app;
    const struct spin_giver_ops *ops;
    struct host_stream_writer *s; /* NULL: closed */
    struct host_future_writer *f; /* NULL: nobody wants it */
    arena *mem;                   /* of this page */
    uint64_t charged;
    const uint8_t *elements;
    size_t at, n;
    bool more, known;
    struct app_question q; /* for the next page; place is the app's, values are mem's */
    struct app_ask *ask;
    _Alignas(16) uint8_t result[RESULT_BYTES_MAX];
};

static struct host_stream_writer *as_stream(struct host_future_writer *f) { return (struct host_stream_writer *)(void *)f; }

static void release(struct spin_giver *g) {
    if (g->ask) g->app->data->cancel(g->app->data, g->ask);
    if (g->s) host_stream_writer_close(g->s);
    if (g->f) host_future_writer_close(g->f);
    host_uncharge(g->in, g->charged);
    arena_free(g->mem);
    free(g);
}

/* With its second end it goes. */
static void close_future(struct spin_giver *g) {
    host_future_writer_close(g->f);
    g->f = NULL;
    if (!g->s) release(g);
}

static void run_future(void *arg) {
    struct spin_giver *g = arg;
    if (!g->known && !host_stream_writer_gone(as_stream(g->f))) return;
    bool done = !g->known || host_future_writer_settle(g->f) || host_future_write(g->f, g->result) != HOST_COPY_BLOCKED;
    if (done) close_future(g);
}

static void know(struct spin_giver *g) {
    if (g->known) return;
    g->known = true;
    if (g->f) host_stream_writer_wake(as_stream(g->f));
}

static void close_stream(struct spin_giver *g) {
    host_stream_writer_close(g->s);
    g->s = NULL;
    g->more = false;
    if (g->ask) g->app->data->cancel(g->app->data, g->ask);
    g->ask = NULL;
    if (!g->f) release(g);
    else know(g);
}

/* False: it does not fit. What the page takes is what its answer had, about. */
static bool take_page(struct spin_giver *g, const struct app_answer *a) {
    arena *mem = arena_new(0), *before = g->mem;
    uint64_t was = g->charged;
    g->elements = g->ops->elements(mem, a, &g->n, &g->more);
    g->at = 0;
    g->more = g->more && g->n && g->ops->after;
    if (g->more) g->ops->after(&g->q, a, mem);
    uint64_t bytes = sizeof *g + arena_bytes(mem);
    bool ok = bytes <= was || host_charge(g->in, bytes - was);
    if (ok && bytes < was) host_uncharge(g->in, was - bytes);
    if (ok) g->charged = bytes;
    g->mem = ok ? mem : before;
    arena_free(ok ? before : mem);
    if (ok && !g->more) know(g);
    return ok;
}

static void on_told(void *arg, const struct app_answer *a) {
    struct spin_giver *g = arg;
    struct app_answer full = {.outcome = APP_DATA_TOO_LARGE, .text = STR("the instance has no memory for more of the answer")};
    g->ask = NULL;
    if (a->outcome == APP_DATA_OK && take_page(g, a)) {
        host_stream_writer_wake(g->s);
        return;
    }
    g->n = g->at = 0;
    g->more = false;
    if (!g->mem) g->mem = arena_new(0);
    g->ops->failed(a->outcome == APP_DATA_OK ? &full : a, g->mem, g->result);
    know(g);
    host_stream_writer_wake(g->s);
}

static void ask_more(struct spin_giver *g) {
    if (!g->app->data) {
        on_told(g, &(struct app_answer){.outcome = APP_DATA_FAILED, .text = STR("nothing keeps data here")});
        return;
    }
    g->ask = g->app->data->ask(g->app->data, g->app, &g->q, on_told, g);
    if (!g->ask) on_told(g, &(struct app_answer){.outcome = APP_DATA_BUSY, .text = STR("too many wait")});
}

static void run_stream(void *arg) {
    struct spin_giver *g = arg;
    g->at += host_stream_writer_settle(g->s);
    for (int pieces = 0; pieces < PIECES_MAX; pieces++) {
        size_t given = 0;
        if (host_stream_writer_over(g->s)) {
            close_stream(g);
            return;
        }
        if (g->ask) return;
        if (g->at == g->n && g->more) {
            ask_more(g);
            return;
        }
        if (g->at == g->n) {
            if (!host_stream_writer_untold(g->s)) close_stream(g); /* else it will ask once more */
            return;
        }
        if (!host_stream_writer_asked(g->s)) return;
        if (host_stream_write(g->s, g->elements + g->at * g->ops->element_bytes, g->n - g->at, &given) == HOST_COPY_BLOCKED)
            return;
        g->at += given;
    }
    host_stream_writer_wake(g->s); /* others first */
}

bool spin_giver_new(struct host_instance *in, const struct spin_giver_ops *ops, const struct app_question *q,
                    const struct app_answer *first, struct host_stream **s, struct host_future **f) {
    struct spin_giver *g = calloc(1, sizeof *g);
    ENSURE(g && ops->result_bytes <= RESULT_BYTES_MAX);
    *g = (struct spin_giver){.in = in, .app = app_instance_of(in)->app, .ops = ops, .q = *q, .more = !first};
    bool ok = first ? take_page(g, first) : host_charge(in, g->charged = sizeof *g);
    if (!ok) g->charged = 0;
    *s = ok ? host_stream_new(in, &g->s) : NULL;
    *f = *s ? host_future_new(in, &g->f) : NULL;
    if (!*f) {
        if (*s) host_stream_close(*s);
        release(g);
        return false;
    }
    host_stream_writer_set_waker(g->s, run_stream, g);
    host_future_writer_set_waker(g->f, run_future, g);
    host_stream_writer_wake(g->s);
    if (g->known) host_stream_writer_wake(as_stream(g->f));
    return true;
}
