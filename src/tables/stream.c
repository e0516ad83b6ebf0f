/* stream: rows as a stream, a page at a time, and the future that says whether those were all.
 *
 *   PAGE ──all of it read──> the next page ──none, an error, nobody reads──> closed, and the future has its value
 *
 * 1. Nothing is made, and no part asked for, before somebody reads: who does not, holds the answer's text, which is charged to his instance.
 * 2. The instance may go at any time: both ends say so, each by its waker. With the second end it goes.
 */
#include "tables/tables_int.h"
#include <stdlib.h>

enum { PIECES_MAX = 16 };
typedef struct tables_wit_result_void_database_client_error done;

struct stream {
    struct host_instance *in;
    struct orlo_database_client_rows *rows; /* a reference */
    struct host_stream_writer *s;           /* NULL: closed */
    struct host_future_writer *f;           /* NULL: nobody wants it */
    arena *mem;                             /* of this page */
    uint64_t charged;
    struct tables_page page;
    size_t at;
    bool waits; /* for the next part of them */
    bool known; /* whether those were all */
    struct pg_error error;
    done result;
};

static struct host_stream_writer *as_stream(struct host_future_writer *f) { return (struct host_stream_writer *)(void *)f; }

static void release(struct stream *g) {
    if (g->s) host_stream_writer_close(g->s);
    if (g->f) host_future_writer_close(g->f);
    host_uncharge(g->in, g->charged);
    app_object_unref(g->in, g->rows);
    arena_free(g->mem);
    free(g);
}

static void run_future(void *arg) {
    struct stream *g = arg;
    if (!g->known && !host_stream_writer_gone(as_stream(g->f))) return;
    if (g->known && !host_future_writer_settle(g->f) && host_future_write(g->f, &g->result) == HOST_COPY_BLOCKED) return;
    host_future_writer_close(g->f);
    g->f = NULL;
    if (!g->s) release(g);
}

static void know(struct stream *g) {
    g->known = true;
    if (g->f) host_stream_writer_wake(as_stream(g->f));
}

static void close_stream(struct stream *g) {
    if (g->waits) tables_source_leave(tables_rows_source(g->rows));
    g->waits = false;
    host_stream_writer_close(g->s);
    g->s = NULL;
    if (!g->f) release(g);
    else if (!g->known) know(g);
}

static void fail(struct stream *g) {
    g->page = (struct tables_page){0};
    g->result.is_err = true;
    g->result.err = (tables_error){str_c(g->error.state), str_c(g->error.message), str_c(g->error.detail), str_c(g->error.hint)};
    know(g);
}

static void take_page(struct stream *g);

static void on_part(void *arg, const struct app_answer *answer) {
    struct stream *g = arg;
    g->waits = false;
    const struct app_value *v = answer->values;
    if (answer->outcome != APP_DATA_OK) {
        g->error = (struct pg_error){.set = true, .state = "58030", .message = "what keeps the app's data failed"};
        if (answer->outcome == APP_DATA_ERROR && answer->count >= 2) {
            snprintf(g->error.state, sizeof g->error.state, STR_FMT, STR_ARG(v[0].s));
            snprintf(g->error.message, sizeof g->error.message, STR_FMT, STR_ARG(v[1].s));
        }
        fail(g);
    } else if (!tables_rows_refill(g->rows, answer->count ? v[0].s : (str){0}, &g->error)) fail(g);
    else take_page(g);
    if (g->s) host_stream_writer_wake(g->s);
}

/* The next one; an empty one: that was all. */
static void take_page(struct stream *g) {
    host_uncharge(g->in, g->charged);
    g->charged = 0;
    arena_free(g->mem);
    g->mem = arena_new(0);
    g->at = 0;
    if (!tables_rows_page(g->rows, g->mem, SIZE_MAX, &g->page, &g->error)) {
        fail(g);
        return;
    }
    g->charged = arena_bytes(g->mem);
    if (!host_charge(g->in, g->charged)) {
        g->charged = 0;
        g->error = (struct pg_error){.set = true, .state = "53200", .message = "out of memory"};
        fail(g);
        return;
    }
    if (g->page.n) return;
    if (tables_rows_over(g->rows)) {
        know(g);
        return;
    }
    g->waits = true;
    tables_source_more(tables_rows_source(g->rows), on_part, g);
}

static void run_stream(void *arg) {
    struct stream *g = arg;
    g->at += host_stream_writer_settle(g->s);
    for (int pieces = 0; pieces < PIECES_MAX; pieces++) {
        size_t given = 0;
        if (host_stream_writer_over(g->s)) {
            close_stream(g);
            return;
        }
        if (g->waits) return;
        if (!g->known && g->at == g->page.n) {
            if (!host_stream_writer_asked(g->s) && g->mem)
                return; /* the first page is looked at at once: who waits for the future alone hears of none */
            take_page(g);
            if (g->waits) return;
        }
        if (g->at == g->page.n) {
            if (!host_stream_writer_untold(g->s)) close_stream(g); /* else it will ask once more */
            return;
        }
        if (!host_stream_writer_asked(g->s)) return;
        if (host_stream_write(g->s, g->page.rows + g->at, g->page.n - g->at, &given) == HOST_COPY_BLOCKED) return;
        g->at += given;
    }
    host_stream_writer_wake(g->s); /* others first */
}

enum abi_trap
orlo_database_streams_read(struct host_call *call, struct orlo_database_client_rows *rows,
                           struct tables_wit_tuple2_stream_database_client_row_future_result_void_database_client_error *result) {
    struct stream *g = calloc(1, sizeof *g);
    ENSURE(g);
    *g = (struct stream){.in = call->instance, .rows = rows};
    struct host_stream *s = host_stream_new(g->in, &g->s);
    struct host_future *f = s ? host_future_new(g->in, &g->f) : NULL;
    if (!f) {
        if (s) host_stream_close(s);
        release(g);
        return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "the host memory of this instance is used up");
    }
    host_stream_writer_set_waker(g->s, run_stream, g);
    host_future_writer_set_waker(g->f, run_future, g);
    host_stream_writer_wake(g->s);
    result->f0 = s, result->f1 = f;
    return ABI_TRAP_NONE;
}
