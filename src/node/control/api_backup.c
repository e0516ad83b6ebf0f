/* api_backup: a backup's moment: the node holds still for who copies its files.
 *
 *   POST /v1/backup/cluster: of each PostgreSQL, before: its files are copied (postgres/backup.c)
 *   GET /v1/backup ──changes of apps wait──> node.db has no log any more ──PostgreSQL answers nobody──> the store: between two commits ──> PostgreSQL answers
 *                  ──> lines, the last one is the moment
 *                  ──as long as that answer is not ended: no log goes into its file, no file that a version named goes──> POST …/release, or gone
 *
 * 1. From the moment on nothing that was written down by then is touched: what comes later is in logs, behind their ends.
 * 2. Whoever asked and is gone holds nobody; nor does he who takes more than an hour. Whether it held all the time, release says. */
#include "node/control/api_int.h"
#include "node/control/data.h"
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { HOLD_MS_MAX = 3'600'000, STORE_MS_MAX = 20'000, CLUSTER_MS_MAX = 300'000 };
struct control_backup {
    struct api_call *call; /* NULL: it is gone */
    struct net_timer *timer;
    uint64_t at_ms;
    uint64_t number;     /* of PostgreSQL's hold; 0: none */
    str clusters, lines; /* of PostgreSQL's, and of the store's; in the call's memory */
    err e;               /* of the store's hold */
    struct diag d;
    bool waits; /* for the store */
    bool lost;  /* the store did not hold all the time */
};

static uint64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1'000'000;
}

/* number: of PostgreSQL's hold; 0: none. */
static void ask_of_all(struct control *c, enum node_data_does does, bool postgres, uint64_t number,
                       void (*done)(void *, err, const struct diag *, int), void *arg) {
    static const struct app_limits none;
    char text[24] = "";
    if (number) snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    int in = number ? node_bytes_fd("orlo-hold", str_c(text)) : -1;
    node_data_ask(c, &(struct control_data_want){.does = does,
                                                 .name = STR("backup"),
                                                 .postgres = postgres,
                                                 .in = in,
                                                 .bytes = in >= 0 ? strlen(text) : 0,
                                                 .limits = &none,
                                                 .ms_max = STORE_MS_MAX,
                                                 .done = done,
                                                 .arg = arg});
    if (in >= 0) close(in);
}
static void ask_store(struct control *c, enum node_data_does does, void (*done)(void *, err, const struct diag *, int),
                      void *arg) {
    ask_of_all(c, does, false, 0, done, arg);
}

/* ---- its end ---- */

static void on_let_go(void *arg, err e, const struct diag *d, int out) {
    if (out >= 0) close(out);
}

static void let_go(struct control *c) {
    struct control_backup *b = c->backup;
    struct diag d = DIAG_INIT;
    net_timer_free(b->timer);
    free(b);
    c->backup = NULL;
    if (db_run(c->db, &d, "pragma wal_autocheckpoint = 1000") != ERR_OK)
        log_event(LOG_WARN, "backup-end", LF_CSTR("reason", d.text));
    node_change_go_on(c);
}

/* They are told in any case: what is held, and nobody waits for, would fill the disk. */
static void finish(struct control *c) {
    ask_store(c, NODE_DATA_RELEASE, on_let_go, NULL);
    if (c->clusters) ask_of_all(c, NODE_DATA_RELEASE, true, 0, on_let_go, NULL);
    let_go(c);
}

static void on_gone(struct api_call *call) {
    struct control *c = call->control;
    struct control_backup *b = c->backup;
    if (call->streams) net_sink_notify(net_exchange_sink(call->x), NULL, NULL);
    node_api_end(call);
    if (!b || b->call != call) return;
    b->call = NULL;
    if (!b->waits) finish(c);
}

static void on_late(void *arg) {
    struct control *c = arg;
    struct api_call *call = c->backup->call;
    log_event(LOG_WARN, "backup-too-slow", LF_U64("ms_max", HOLD_MS_MAX));
    c->backup->lost = true;
    if (call) on_gone(call);
}

static void on_released(void *arg, err e, const struct diag *d, int out) {
    struct api_call *call = arg;
    if (out >= 0) close(out);
    if (e == ERR_OK) node_api_empty(call);
    else node_api_fail(call, e, d);
}

void node_api_backup_release(struct api_call *call) {
    struct control *c = call->control;
    struct control_backup *b = c->backup;
    struct diag d = DIAG_INIT;
    if (!b || b->waits || b->lost || !b->call) {
        err e = diag_set(&d, ERR_BUSY, DIAG_NOWHERE, "the node did not hold still all the time: try again");
        node_api_fail(call, e, &d);
        return;
    }
    ask_store(c, NODE_DATA_RELEASE, on_released, call);
    if (c->clusters) ask_of_all(c, NODE_DATA_RELEASE, true, 0, on_let_go, NULL);
    c->clusters = false;
    struct api_call *holder = b->call;
    let_go(c);
    holder->on_gone = NULL;
    if (net_sink_finish(net_exchange_sink(holder->x), NULL, 0) != ERR_OK) {}
    node_api_end(holder);
}

/* ---- its beginning ---- */

/* All lines, and then the moment. */
static void tell(struct api_call *call, str lines, uint64_t at_ms) {
    struct net_sink *sink;
    str last = arena_fmt(call->mem, "{\"at_ms\":%llu}", (unsigned long long)at_ms);
    node_api_stream(call);
    sink = net_exchange_sink(call->x);
    bool ok = true;
    for (str line; ok && lines.n;) {
        str_cut(lines, '\n', &line, &lines);
        if (line.n) ok = node_api_line(call, line);
    }
    ok = ok && node_api_line(call, last) && node_api_number(call, "hold", 1);
    if (!ok && net_sink_finish(sink, NULL, 0) != ERR_OK) {}
    if (!ok) on_gone(call);
}

/* PostgreSQL answers again: whether it answered nobody until the store held, that says. */
static void on_spoken(void *arg, err e, const struct diag *d, int out) {
    struct control *c = arg;
    struct control_backup *b = c->backup;
    struct api_call *call = b->call;
    if (out >= 0) close(out);
    b->waits = false;
    if (b->e == ERR_OK && e != ERR_OK) b->e = e, b->d = *d;
    if (!call || b->e != ERR_OK) {
        if (call) call->on_gone = NULL, node_api_fail(call, b->e, &b->d);
        finish(c);
        return;
    }
    tell(call, arena_fmt(call->mem, STR_FMT STR_FMT, STR_ARG(b->clusters), STR_ARG(b->lines)), b->at_ms);
    node_change_go_on(c); /* what comes from now on is behind the log's end */
}

static void on_held(void *arg, err e, const struct diag *d, int out) {
    struct control *c = arg;
    struct control_backup *b = c->backup;
    b->e = e, b->d = *d;
    b->at_ms = now_ms();
    if (e == ERR_OK && b->call) b->e = node_fd_bytes(b->call->mem, out, 16 * MiB, &b->lines, &b->d);
    if (out >= 0) close(out);
    if (b->number) ask_of_all(c, NODE_DATA_RELEASE, true, b->number, on_spoken, c);
    else on_spoken(c, ERR_OK, &(struct diag)DIAG_INIT, -1);
}

static void on_muted(void *arg, err e, const struct diag *d, int out) {
    struct control *c = arg;
    struct control_backup *b = c->backup;
    struct api_call *call = b->call;
    struct diag own = *d;
    if (e == ERR_OK && call) e = node_fd_bytes(call->mem, out, 16 * MiB, &b->clusters, &own);
    if (out >= 0) close(out);
    if (call && e == ERR_OK) {
        ask_store(c, NODE_DATA_HOLD, on_held, c);
        return;
    }
    b->waits = false;
    if (call) call->on_gone = NULL, node_api_fail(call, e, &own);
    finish(c);
}

static err still(struct control *c, struct diag *d) {
    TRY(db_run(c->db, d, "pragma wal_autocheckpoint = 0"));
    return db_checkpoint(c->db, d);
}

void node_api_backup(struct api_call *call) {
    struct control *c = call->control;
    struct diag d = DIAG_INIT;
    err e = !c->db ? diag_set(&d, ERR_UNSUPPORTED, DIAG_NOWHERE, "this node keeps nothing")
            : c->backup || c->publishing
                ? diag_set(&d, ERR_BUSY, DIAG_NOWHERE,
                           c->backup ? "a backup is being made already" : "a deployment is becoming live: try again in a moment")
                : still(c, &d);
    if (e != ERR_OK) {
        node_api_fail(call, e, &d);
        return;
    }
    c->backup = calloc(1, sizeof *c->backup);
    ENSURE(c->backup);
    *c->backup = (struct control_backup){.call = call, .waits = true, .timer = net_timer_new(c->loop, on_late, c)};
    net_timer_start(c->backup->timer, HOLD_MS_MAX, 0);
    call->on_gone = on_gone;
    if (c->clusters) c->backup->number = clock_mono_ns();
    if (c->clusters) ask_of_all(c, NODE_DATA_HOLD, true, c->backup->number, on_muted, c);
    else ask_store(c, NODE_DATA_HOLD, on_held, c);
}

/* ---- a PostgreSQL's files ---- */

static void on_cluster(void *arg, err e, const struct diag *d, int out) {
    struct api_call *call = arg;
    struct diag own = *d;
    str text = {0};
    if (e == ERR_OK) e = node_fd_bytes(call->mem, out, MiB, &text, &own);
    if (out >= 0) close(out);
    const struct control_app *app = node_control_app_numbered(call->control, (uint32_t)json_i64(node_api_member(call, "app")));
    if (e != ERR_OK && app) diag_prefix(&own, "app " STR_FMT, STR_ARG(app->name));
    if (e == ERR_OK) node_api_text(call, "text/plain; charset=utf-8", text);
    else node_api_fail(call, e, &own);
}

void node_api_backup_cluster(struct api_call *call) {
    static const struct {
        const char *word;
        enum node_data_does does;
    } rows[] = {{"begin", NODE_DATA_CLUSTER_BEGIN}, {"end", NODE_DATA_CLUSTER_END}, {"at", NODE_DATA_CLUSTER_AT}};
    struct control *c = call->control;
    struct diag d = DIAG_INIT;
    str does = json_str(node_api_member(call, "does"));
    const struct control_app *app = node_control_app_numbered(c, (uint32_t)json_i64(node_api_member(call, "app")));
    size_t i = 0;
    while (i < ARRAY_COUNT(rows) && !str_eqc(does, rows[i].word)) i++;
    if (!app || i == ARRAY_COUNT(rows)) {
        node_api_fail(
            call,
            diag_set(&d, app ? ERR_INVALID : ERR_NOT_FOUND, DIAG_NOWHERE, app ? "begin, end, or at" : "there is no such app"),
            &d);
        return;
    }
    static const struct app_limits none;
    c->clusters = true;
    node_data_ask(c, &(struct control_data_want){.does = rows[i].does,
                                                 .app = app->id,
                                                 .name = app->name,
                                                 .postgres = true,
                                                 .in = -1,
                                                 .limits = &none,
                                                 .ms_max = CLUSTER_MS_MAX,
                                                 .done = on_cluster,
                                                 .arg = call});
}

bool node_backup_waits(const struct control *c) { return c->backup && c->backup->waits; }
