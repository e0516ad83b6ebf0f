/* reader: a worker's connections to apps' databases, by which nothing can be written (db.h, DB_READER).
 *
 *   ask ──> WAITS for the app's files (APP_OPEN of the store), for a connection ──> READS on a fiber of the app's share ──> told
 *                                                                                     │ every so many steps, and where a page is not in memory:
 *                                                                                     └ others have their turn
 *
 *   connection: AT WORK ──> IDLE, in the order of use ──> closed: another one is wanted and there are as many as there may be, nobody wants it for
 *                                                         long, its files are gone
 *
 * 1. No query holds the loop: it is computed in slices, charged to its app's share, and a thread waits for the disk.
 * 2. No transaction outlives its query, and none lasts longer than a statement may: what the writer has in its log can go into the file. One that gives its rows
 *    in parts waits for who takes them, and that is no time of the statement's; it is over when its request is, and after NODE_QUERY_OPEN_S in any case.
 * 3. What a database is made of is looked at in each transaction, by a number; all connections of an app have one catalogue.
 * 4. An app has so many connections and so many that wait; all apps together so many connections, and memory for them. Those that give parts are counted
 *    apart, so that no slow client keeps small queries waiting.
 */
#include "app/data.h"
#include "engine/engine.h"
#include "net/loop.h"
#include "node/worker/data.h"
#include "node/worker/query.h"
#include "node/worker/texts.h"
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    READERS_MAX = 64,
    OF_APP_MAX = 4,
    STREAMS_MAX = 16, /* connections beside those that give rows as they come, at the pace of who takes them */
    STREAMS_OF_APP_MAX = 4,
    WAITING_MAX = 512, /* of an app */
    CACHE_KIB = 512,   /* with 128, pages of a list and of what its policy reads were read anew each time */
    STATEMENTS = 24,
    STEPS = 1000,           /* of SQLite's machine, between two looks at the time */
    STEPS_NS = 30'000,      /* that they take */
    STACK_BYTES = 96 << 10, /* of a fiber's, for what a statement nests; as much again three times is left */
    IDLE_MS = 10'000,
    LOOK_MS = 500,
    LOG_GROWS = 1 << 20, /* while one waits: else it was as large before, and is not by him */
    LOG_BYTES =
        64 << 20, /* that a log may grow to while somebody's rows wait to be taken; or a quarter of what the database may have */
};
static const uint64_t idle_ns = 30'000'000'000u, memory_bytes_max = 192 * MiB, statement_bytes_max = 48 * MiB;

struct node_reader {
    struct base *base;
    struct node_reader *next;          /* of its base */
    struct node_reader *newer, *older; /* of those that are idle */
    struct db *db;
    struct node_tree_conn *conn;
    struct node_query *now; /* NULL: it is idle */
    bool streams;           /* it has given a part of that: */
    uint64_t log_bytes;     /* how far the log had grown by then */
    uint64_t used_ns;
};
struct base { /* of an app */
    struct base *next;
    uint32_t app;
    char name[APP_NAME_MAX + 1];
    struct node_readers *readers;
    struct db_files *files; /* NULL: they are not here */
    int file;               /* of them, borrowed */
    bool asked;             /* for them */
    struct node_reader *of;
    uint32_t count, streams, waiting_count;
    struct node_query *waiting, **last;
    struct db_account memory;
    struct net_party *party;     /* of who reads now: the same for all versions of an app */
    struct node_tree_made *made; /* the newest catalogue that one of them has read; NULL: none yet */
};
struct node_readers {
    struct node_guest *guest;
    struct net_timer *idle, *looks; /* looks: while some give parts */
    bool armed;                     /* it runs */
    struct base *bases;
    struct node_reader *newest, *oldest; /* that are idle */
    uint32_t count, streams;
};

/* ---- idle ones ---- */

static void leave_idle(struct node_reader *c) {
    struct node_readers *r = c->base->readers;
    *(c->newer ? &c->newer->older : &r->newest) = c->older;
    *(c->older ? &c->older->newer : &r->oldest) = c->newer;
    c->newer = c->older = NULL;
}

static void join_idle(struct node_reader *c) {
    struct node_readers *r = c->base->readers;
    c->used_ns = clock_mono_ns();
    c->older = r->newest;
    *(r->newest ? &r->newest->newer : &r->oldest) = c;
    r->newest = c;
    if (!r->armed) net_timer_start(r->idle, IDLE_MS, 0);
    r->armed = true;
}

static void forget_files(struct base *b) {
    if (b->readers->guest->texts) node_texts_forget(b->readers->guest->texts, b->app);
    db_files_free(b->files);
    b->files = NULL;
    b->file = -1;
    node_tree_made_unref(b->made);
    b->made = NULL;
}

/* Which is on no list of idle ones. */
static void close_reader(struct node_reader *c) {
    struct base *b = c->base;
    struct node_reader **at = &b->of;
    while (*at != c) at = &(*at)->next;
    *at = c->next;
    db_account_begin(&b->memory, STACK_BYTES);
    node_tree_conn_free(c->conn);
    db_close(c->db);
    db_account_end();
    free(c);
    b->readers->count--;
    if (!--b->count) forget_files(b);
}

static void close_idle(void *arg) {
    struct node_readers *r = arg;
    uint64_t now = clock_mono_ns();
    for (struct node_reader *c; (c = r->oldest) && now - c->used_ns > idle_ns;) {
        leave_idle(c);
        close_reader(c);
    }
    r->armed = r->oldest;
    if (r->armed) net_timer_start(r->idle, IDLE_MS, 0);
    else if (!r->count) malloc_trim(0); /* nobody asks: what catalogues and pages took is the machine's again */
}

/* ---- pages that are not in memory ---- */

static struct node_readers *here; /* this process's */

struct slow {
    struct engine_fiber *fiber; /* that waits; NULL: it does not any more */
    int fd, why;
    size_t n;
    int64_t at;
    ssize_t got;
    bool done;
    uint8_t p[];
};

static void read_piece(void *arg) { /* on a thread */
    struct slow *s = arg;
    do s->got = pread(s->fd, s->p, s->n, (off_t)s->at);
    while (s->got < 0 && errno == EINTR);
    s->why = errno;
}

static void piece_read(void *arg, bool ran) {
    struct slow *s = arg;
    s->done = true;
    if (!ran) s->got = -1, s->why = EIO;
    if (s->fiber) engine_ready(s->fiber);
    else free(s);
}

static ssize_t read_slow(int fd, void *p, size_t n, int64_t at) {
    struct engine *e = here->guest->engine;
    struct engine_fiber *fiber = engine_fiber_current(e);
    if (!fiber) return pread(fd, p, n, (off_t)at);
    struct slow *s = malloc(sizeof *s + n);
    struct db_seat seat;
    ENSURE(s);
    *s = (struct slow){.fiber = fiber, .fd = fd, .n = n, .at = at};
    db_seat_leave(&seat);
    struct base *base = container_of(seat.account, struct base, memory);
    net_work_new(here->guest->loop, base->party, read_piece, piece_read, s);
    bool lives = true;
    while (!s->done && lives) lives = engine_park(e);
    db_seat_take(&seat);
    if (!s->done) { /* its share was ended: the thread has it */
        s->fiber = NULL;
        errno = EIO;
        return -1;
    }
    ssize_t got = s->got;
    if (got > 0) memcpy(p, s->p, (size_t)got);
    errno = s->why;
    free(s);
    return got;
}

/* ---- reading ---- */

static bool goes_on(void *arg) {
    struct node_reader *c = arg;
    struct db_seat seat;
    if (!c->now || c->now->cancelled || clock_mono_ns() >= c->now->until_ns) return false;
    db_seat_leave(&seat);
    bool ok = engine_work(c->base->readers->guest->engine, STEPS_NS);
    db_seat_take(&seat);
    return ok;
}

static bool open_reader(struct node_reader *c) {
    struct diag d = DIAG_INIT;
    const struct db_options options = {.sharing = DB_READER,
                                       .files = c->base->files,
                                       .cache_kib = CACHE_KIB,
                                       .statements = STATEMENTS,
                                       .goes_on = goes_on,
                                       .steps = STEPS,
                                       .memory_bytes_max = statement_bytes_max,
                                       .arg = c};
    if (c->db || db_open(&options, &c->db, &d) == ERR_OK) return true;
    log_event(LOG_WARN, "data-not-read", LF_CSTR("app", c->base->name), LF_CSTR("reason", d.text));
    node_tree_fail(&c->now->error, "58030", "the database cannot be read");
    return false;
}

/* ---- in parts ---- */

static void serve(struct base *b);

static bool may(void *arg) {
    const struct node_reader *c = arg;
    return c->base->streams < STREAMS_OF_APP_MAX && c->base->readers->streams < STREAMS_MAX;
}

/* What is read stays in the log until nobody reads it: who takes his rows slowly may not have it grow without an end. */
static void look(void *arg) {
    struct node_readers *r = arg;
    for (struct base *b = r->bases; b; b = b->next) {
        uint64_t log = b->streams ? db_files_log_bytes(b->files) : 0;
        for (struct node_reader *c = log > LOG_BYTES ? b->of : NULL; c; c = c->next) {
            struct node_query *q = c->now;
            bool waits = c->streams && q && q->fiber && q->waits && log > c->log_bytes + LOG_GROWS;
            if (!waits || log <= q->app->record.limits.database_bytes_max / 4) continue;
            q->late = true;
            q->waits = false;
            engine_ready(q->fiber);
        }
    }
    if (r->streams) net_timer_start(r->looks, LOOK_MS, 0);
}

/* It is one that waits for others from now on, and holds nobody up. */
static bool begin_stream(struct node_reader *c, struct pg_error *error) {
    struct node_readers *r = c->base->readers;
    if (!engine_pay(c->now->app->share, NODE_QUERY_PARTS_BYTES)) {
        node_tree_fail(error, "53200", "the app may not hold more memory");
        return false;
    }
    c->streams = true;
    c->log_bytes = db_files_log_bytes(c->base->files);
    c->base->streams++;
    if (!r->streams++) net_timer_start(r->looks, LOOK_MS, 0);
    c->now->open_ns = clock_mono_ns();
    return true;
}

static void end_stream(struct node_reader *c, struct node_query *q) {
    if (!c->streams) return;
    c->streams = false;
    c->base->streams--, c->base->readers->streams--;
    engine_unpay(q->app->share, NODE_QUERY_PARTS_BYTES);
}

static void tell_part(void *arg) {
    struct node_query *q = arg;
    serve(q->reader->base);
    node_query_given(q);
    if (!q->cancelled) q->part(q->arg, buf_str(&q->piece));
}

/* On its fiber, which waits until the part is used up. */
static bool give(void *arg, struct buf *rows, struct pg_error *error) {
    struct node_reader *c = arg;
    struct node_query *q = c->now;
    struct engine *e = c->base->readers->guest->engine;
    struct db_seat seat;
    if (q->cancelled || (!c->streams && !begin_stream(c, error))) return false;
    uint64_t since = clock_mono_ns();
    if (since - q->open_ns > NODE_QUERY_OPEN_S * 1'000'000'000ull) {
        node_tree_fail(error, "57014", NODE_QUERY_UNTAKEN);
        return false;
    }
    struct buf used = q->piece;
    q->piece = *rows, *rows = used;
    q->waits = true;
    q->gives = (struct engine_post){.fn = tell_part, .arg = q};
    q->fiber = engine_fiber_current(e);
    db_seat_leave(&seat);
    engine_post(q->app->share, &q->gives);
    bool lives = true;
    while (lives && q->waits && !q->cancelled) lives = engine_park(e);
    db_seat_take(&seat);
    q->fiber = NULL;
    engine_post_cancel(&q->gives);
    q->until_ns += clock_mono_ns() - since;
    if (q->late) node_tree_fail(error, "57014", NODE_QUERY_UNTAKEN);
    return lives && !q->cancelled && !q->late;
}

static bool is_over(void *arg) {
    const struct node_reader *c = arg;
    return !c->now || c->now->cancelled || clock_mono_ns() >= c->now->until_ns;
}

/* What a function EXECUTEs: on its fiber, which waits. */
static bool translate(void *arg, arena *mem, const struct catalog *of, str text, str *answer, struct pg_error *error) {
    struct node_reader *c = arg;
    struct node_texts *texts = c->base->readers->guest->texts;
    struct db_seat seat;
    if (!texts) return node_tree_fail(error, "0A000", "EXECUTE is not there"), false;
    db_seat_leave(&seat);
    bool ok = node_texts_translate(texts, c->base->app, c->now->app->share, is_over, c, mem, of, text, answer, error);
    db_seat_take(&seat);
    return ok;
}

/* On its fiber. */
static void read_on_fiber(void *arg) {
    struct node_reader *c = arg;
    struct node_query *q = c->now;
    const uint64_t most = q->app->record.limits.data_answer_bytes_max;
    struct query_stream stream = {.first = MIN((size_t)most, (size_t)NODE_TREE_FIRST_BYTES),
                                  .part = NODE_TREE_PART_BYTES,
                                  .counts = str_eqc(q->ask.parts, NODE_TREE_PARTS_COUNTED),
                                  .may = may,
                                  .give = give,
                                  .arg = c};
    db_account_begin(&c->base->memory, STACK_BYTES);
    if (open_reader(c))
        node_tree_read(&(struct node_tree_reading){.db = c->db,
                                                   .conn = &c->conn,
                                                   .made = &c->base->made,
                                                   .ask = &q->ask,
                                                   .batch = &q->batch,
                                                   .mem = q->mem,
                                                   .bytes_max = (uint32_t)most,
                                                   .translate = translate,
                                                   .translate_arg = c,
                                                   .stream = q->part ? &stream : NULL},
                       &q->body, &q->error);
    if (q->error.set && clock_mono_ns() >= q->until_ns) node_tree_late(&q->error);
    db_account_end();
    engine_post(q->app->share, &q->post);
}

/* Those who have no reader at work that would serve them, and found no room for one. */
static void serve_others(struct node_readers *r) {
    for (struct base *b = r->bases; b; b = b->next)
        if (b->waiting && !b->count && !b->asked) serve(b);
}

static void join_idle_or_close(struct node_reader *c) {
    if (c->db) join_idle(c);
    else close_reader(c);
}

static void has_read(void *arg) {
    struct node_query *q = arg;
    struct node_reader *c = q->reader;
    struct base *b = c->base;
    c->now = NULL;
    q->reader = NULL;
    end_stream(c, q);
    if (b->count - b->streams > OF_APP_MAX) close_reader(c);
    else join_idle_or_close(c);
    node_query_read(q);
    serve(b);
    if (b->readers->count - b->readers->streams >= READERS_MAX - 1) serve_others(b->readers);
}

static void refuse(struct node_query *q, const char *state, const char *message) {
    node_tree_fail(&q->error, state, "%s", message);
    node_query_read(q);
}

static void begin(struct node_reader *c, struct node_query *q) {
    q->state = NODE_QUERY_READS;
    c->base->party = q->app->party;
    q->reader = c;
    q->post = (struct engine_post){.fn = has_read, .arg = q};
    c->now = q;
    if (engine_share_spawn(q->app->share, read_on_fiber, c)) return;
    node_tree_fail(&q->error, "53300", "too many queries of the app are under way");
    engine_post(q->app->share, &q->post);
}

/* An idle one of its own, or another. NULL: it is to wait for one that is at work. */
static struct node_reader *free_reader(struct base *b) {
    struct node_readers *r = b->readers;
    struct node_reader *c = b->of;
    while (c && c->now) c = c->next;
    if (c) {
        leave_idle(c);
        return c;
    }
    bool full = r->count - r->streams >= READERS_MAX;
    if (b->count - b->streams >= OF_APP_MAX || (full && !r->oldest)) return NULL;
    if (full) {
        struct node_reader *oldest = r->oldest;
        leave_idle(oldest);
        close_reader(oldest);
    }
    c = calloc(1, sizeof *c);
    ENSURE(c);
    *c = (struct node_reader){.base = b, .next = b->of};
    b->of = c;
    b->count++, r->count++;
    return c;
}

/* ---- its files ---- */

static void on_files(void *arg, const struct app_answer *a) {
    struct base *b = arg;
    b->asked = false;
    if (a->outcome == APP_DATA_OK && a->files) {
        b->files = db_files_new(b->file = a->files[0], a->files[1], a->files[2]);
        for (int i = 0; i < 3; i++) a->files[i] = -1;
    }
    bool there = b->files;
    while (!there && b->waiting) {
        struct node_query *q = b->waiting;
        b->waiting = q->next;
        b->waiting_count--;
        refuse(q, a->outcome == APP_DATA_BUSY || a->outcome == APP_DATA_LOST ? "57P03" : "58030",
               "the database cannot be opened at the moment");
    }
    if (!b->waiting) b->last = &b->waiting;
    serve(b);
}

static void want_files(struct base *b) {
    struct node_app *app = b->waiting->app;
    struct app *of = &app->parts[app->parts_count - 1].of;
    struct app_question question = {.op = APP_OPEN, .place = STR("app")};
    if (b->asked) return;
    b->asked = of->data && of->data->ask(of->data, of, &question, on_files, b);
    if (!b->asked) on_files(b, &(struct app_answer){.outcome = APP_DATA_BUSY});
}

/* It was taken away, and perhaps another put in its place: what is open is of nobody any more. */
static void check_files(struct base *b) {
    struct stat st;
    bool gone = b->files && (fstat(b->file, &st) || !st.st_nlink);
    for (struct node_reader *c = gone ? b->of : NULL, *next; c; c = next) {
        next = c->next;
        if (c->now) continue; /* it ends by itself, and then is closed */
        bool last = b->count == 1;
        leave_idle(c);
        close_reader(c);
        if (last) return;
    }
    if (gone && !b->count) forget_files(b);
}

static void serve(struct base *b) {
    if (!b->waiting) return;
    check_files(b);
    while (b->waiting) {
        if (!b->files) {
            want_files(b);
            return;
        }
        struct node_reader *c = free_reader(b);
        if (!c) return;
        struct node_query *q = b->waiting;
        b->waiting = q->next;
        if (!b->waiting) b->last = &b->waiting;
        b->waiting_count--;
        if (q->cancelled) {
            join_idle_or_close(c);
            node_query_read(q);
        } else {
            begin(c, q);
        }
    }
}

/* ---- asking ---- */

static struct base *base_of(struct node_readers *r, const struct node_app *app) {
    struct base *b = r->bases;
    while (b && b->app != app->record.id) b = b->next;
    if (b) return b;
    b = calloc(1, sizeof *b);
    ENSURE(b && app->record.name.n < sizeof b->name);
    *b = (struct base){.next = r->bases, .app = app->record.id, .readers = r, .file = -1};
    memcpy(b->name, app->record.name.p, app->record.name.n);
    b->last = &b->waiting;
    r->bases = b;
    return b;
}

void node_reader_ask(struct node_readers *r, struct node_query *q) {
    struct base *b = base_of(r, q->app);
    if (b->waiting_count == WAITING_MAX) {
        refuse(q, "53300", "too many queries of the app wait");
        return;
    }
    q->state = NODE_QUERY_WAITS;
    q->next = NULL;
    *b->last = q;
    b->last = &q->next;
    b->waiting_count++;
    serve(b);
}

/* ---- their life ---- */

struct node_readers *node_readers_new(struct node_guest *g) {
    struct node_readers *r = calloc(1, sizeof *r);
    ENSURE(r);
    *r = (struct node_readers){
        .guest = g, .idle = net_timer_new(g->loop, close_idle, r), .looks = net_timer_new(g->loop, look, r)};
    db_memory_max(memory_bytes_max);
    db_read_slow(read_slow);
    return here = r;
}

void node_readers_free(struct node_readers *r) {
    if (!r) return;
    for (struct base *b = r->bases, *next; b; b = next) {
        next = b->next;
        while (b->of) {
            if (!b->of->now) leave_idle(b->of);
            close_reader(b->of);
        }
        forget_files(b);
        free(b);
    }
    net_timer_free(r->idle);
    net_timer_free(r->looks);
    free(r);
}
