/* data: see data.h.
 *
 * Who answers may hang (stopped, a disk that does not return): nobody waits for ever. What was not answered by its own time, those that may have been
 * before it, and what a disk may take, is answered here, as lost.
 */
#include "node/worker/data.h"
#include "app/app.h"
#include "net/loop.h"
#include "node/node_int.h"
#include "node/wire.h"
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { OF_APP_MAX = 512, INLINE_BYTES = 32 << 10, ANSWER_BYTES_MAX = 24 << 20, HASH = 256, LOOK_MS = 500 };
static const uint64_t slow_disk_ns = 10'000'000'000, slow_start_ns = 60'000'000'000; /* a PostgreSQL may have to be made first */

struct app_ask {
    struct app_ask *next, **at;       /* among those that were not sent, in order */
    struct app_ask *next_id, **at_id; /* among those whose id has the same hash */
    uint32_t id, app;
    uint64_t until_ns;
    bool sent;
    app_told told;        /* NULL: nobody wants to know */
    app_part part;        /* NULL: it is wanted whole */
    uint32_t parts, owed; /* that are not used up; that are, and nobody was told */
    uint64_t patience_ns; /* of until_ns, from when it was sent, or the last part was used up */
    void *arg;
    struct node_message m; /* strings in packet */
    arena *mem;
};
struct node_data {
    struct app_data base;
    struct net_loop *loop;
    enum node_data_to to;
    void (*want)(void *arg);
    void *arg;
    struct net_watch *watch;
    struct net_timer *timer;
    uint32_t asked;        /* under way: the timer runs while there are any */
    uint32_t heard, turns; /* answers of the last turn */
    bool chatty;           /* there were several */
    int fd;                /* -1: none */
    bool full;             /* its socket has no room: more is sent when it has */
    bool owes;             /* somebody's parts are used up, and there was no room to say so */
    bool alone;            /* nobody will ever give it another channel */
    bool wanted, closing;  /* closing: what is sent does not arrive, answers may come yet */
    struct app_ask *waiting, **last;
    struct app_ask *by_id[HASH];
    struct count {
        struct count *next;
        uint32_t app, n;
    } * counts[HASH];
    uint32_t last_id;
};

struct app_data *node_data_of(struct node_data *data) {
    return &data->base;
}

/* ---- asks ---- */

static void unlink_waiting(struct node_data *data, struct app_ask *ask) {
    if (!ask->at) return;
    *ask->at = ask->next;
    if (ask->next) ask->next->at = ask->at;
    else data->last = ask->at;
    ask->at = NULL;
}

/* How many of an app are under way. */
static struct count **count_of(struct node_data *data, uint32_t app) {
    struct count **at = &data->counts[app % HASH];
    while (*at && (*at)->app != app) at = &(*at)->next;
    return at;
}

/* What ends a transaction is not one too many: else it would stay, and hold what it has. */
static bool count_up(struct node_data *data, uint32_t app, bool ends) {
    struct count **at = count_of(data, app);
    if (!*at) {
        *at = calloc(1, sizeof **at);
        ENSURE(*at);
        (*at)->app = app;
    }
    if ((*at)->n >= OF_APP_MAX && !ends) return false;
    (*at)->n++;
    return true;
}

static void count_down(struct node_data *data, uint32_t app) {
    struct count **at = count_of(data, app), *count = *at;
    if (--count->n) return;
    *at = count->next;
    free(count);
}

static void free_ask(struct node_data *data, struct app_ask *ask) {
    unlink_waiting(data, ask);
    *ask->at_id = ask->next_id;
    if (ask->next_id) ask->next_id->at_id = ask->at_id;
    node_message_drop(&ask->m);
    count_down(data, ask->app);
    if (!--data->asked) net_timer_stop(data->timer);
    arena_free(ask->mem); /* it is in there */
}

static void tell(struct node_data *data, struct app_ask *ask, const struct app_answer *answer) {
    app_told told = ask->told;
    void *arg = ask->arg;
    free_ask(data, ask);
    if (told) told(arg, answer);
}

static struct app_ask *find(struct node_data *data, uint32_t id) {
    struct app_ask *ask = data->by_id[id % HASH];
    while (ask && ask->id != id) ask = ask->next_id;
    return ask;
}

/* ---- sending ---- */

static void want(struct node_data *data) {
    if (data->wanted) return;
    data->wanted = true;
    data->want(data->arg);
}

/* ERR_AGAIN: there is no room for all of it. */
static err send_owed(struct node_data *data) {
    err e = ERR_OK;
    for (size_t i = 0; i < HASH && e == ERR_OK; i++)
        for (struct app_ask *ask = data->by_id[i]; ask && e == ERR_OK; ask = ask->next_id) {
            const struct node_message m = NODE_MESSAGE(postgres_more, .id = ask->id, .parts = ask->owed);
            if (ask->owed && (e = node_wire_send(data->fd, &m)) == ERR_OK) ask->owed = 0;
        }
    data->owes = e != ERR_OK;
    return e;
}

static void send_waiting(struct node_data *data) {
    err e = data->owes && data->fd >= 0 && !data->closing ? send_owed(data) : ERR_OK;
    while (e == ERR_OK && data->waiting && data->fd >= 0 && !data->closing &&
           (e = node_wire_send(data->fd, &data->waiting->m)) == ERR_OK) {
        struct app_ask *ask = data->waiting;
        unlink_waiting(data, ask);
        node_message_drop(&ask->m);
        ask->sent = true;
    }
    if (e != ERR_OK && e != ERR_AGAIN) data->closing = true; /* answers that are on their way come all the same */
    bool full = e == ERR_AGAIN;
    if (data->watch && full != data->full) net_watch_events(data->watch, NET_READABLE | (full ? NET_WRITABLE : 0));
    data->full = full;
    if (data->waiting && data->fd < 0) want(data);
}

/* ---- hearing ---- */

static void lose_sent(struct node_data *data) {
    struct app_answer lost = {.outcome = APP_DATA_LOST,
                              .text = STR("what keeps the app's data ended meanwhile; it may be done, or not")};
    for (size_t i = 0; i < HASH; i++)
        for (struct app_ask *ask = data->by_id[i]; ask;) {
            bool sent = ask->sent;
            if (sent) tell(data, ask, &lost);
            ask = sent ? data->by_id[i] : ask->next_id; /* who was told may have changed the list */
        }
}

static void close_channel(struct node_data *data) {
    if (data->fd < 0) return;
    net_watch_free(data->watch);
    close(data->fd);
    data->watch = NULL;
    data->fd = -1;
    data->closing = false;
    lose_sent(data);
    if (data->waiting) want(data);
}

/* What both of them say. */
static void as_store(struct node_message *m) {
    const struct node_msg_postgres_told t = m->postgres_told;
    if (m->type != NODE_MSG_postgres_told) return;
    m->type = NODE_MSG_store_told;
    m->store_told =
        (struct node_msg_store_told){.id = t.id, .outcome = t.outcome, .text = t.text, .bytes = t.bytes, .values = t.values};
}

static str values_of(struct node_message *m, arena *scratch) {
    const struct node_msg_store_told *told = &m->store_told;
    if (m->fds_count != 1) return told->values;
    uint8_t *p = told->bytes <= ANSWER_BYTES_MAX ? arena_alloc(scratch, MAX(told->bytes, 1u), 1) : NULL;
    for (size_t at = 0; p && at < told->bytes;) {
        ssize_t n = pread(m->fds[0], p + at, told->bytes - at, (off_t)at);
        if (n <= 0) return (str){0};
        at += (size_t)n;
    }
    return (str){p, p ? told->bytes : 0};
}

/* False: nonsense. */
static bool on_told(struct node_data *data, struct node_message *m) {
    struct app_ask *ask = find(data, m->store_told.id);
    if (!ask) return true; /* nobody waited, or it was lost already */
    if (!ask->sent) return false;
    arena *scratch = arena_new(0);
    str bytes = values_of(m, scratch);
    struct rd r = rd_of(bytes);
    struct app_answer answer = {.outcome = (enum app_data_outcome)m->store_told.outcome,
                                .text = m->store_told.text,
                                .files = m->fds_count == 3 ? m->fds : NULL};
    bool ok = bytes.n == m->store_told.bytes;
    if (ask->told) answer.values = app_values_read(scratch, &r, &answer.count);
    if (!ok || r.fail) answer = (struct app_answer){.outcome = APP_DATA_FAILED, .text = STR("the answer cannot be read")};
    tell(data, ask, &answer);
    arena_free(scratch);
    return ok && !r.fail;
}

/* While a part of it is not used up, nobody need say anything. False: nonsense. */
static bool on_part(struct node_data *data, struct node_message *m) {
    const struct node_msg_postgres_part t = m->postgres_part;
    struct app_ask *ask = find(data, t.id);
    if (!ask || !ask->told) return true; /* nobody waits any more */
    if (!ask->sent || !ask->part) return false;
    m->store_told = (struct node_msg_store_told){.id = t.id, .bytes = t.bytes, .values = t.values};
    arena *scratch = arena_new(0);
    str bytes = values_of(m, scratch);
    bool ok = bytes.n && bytes.n == m->store_told.bytes;
    ask->parts++;
    ask->until_ns = UINT64_MAX;
    if (ok) ask->part(ask->arg, bytes);
    arena_free(scratch);
    return ok;
}

enum { AT_A_TIME = 32 /* others have their turn */, LOOK_TURNS = 16 };

/* False: the channel is gone. */
static bool hear(struct node_data *data, uint32_t most) {
    for (data->heard = 0; data->heard < most; data->heard++) {
        struct node_message m;
        bool sense = false;
        switch (node_wire_receive(data->fd, data->to == NODE_DATA_TO_STORE ? NODE_ROLE_store : NODE_ROLE_postgres,
                                  NODE_ROLE_worker, &m)) {
        case NODE_WIRE_AGAIN: return true;
        case NODE_WIRE_GOT:
            as_store(&m);
            sense =
                (m.type == NODE_MSG_store_told && on_told(data, &m)) || (m.type == NODE_MSG_postgres_part && on_part(data, &m));
            node_message_drop(&m);
            break;
        default: break;
        }
        if (!sense) return false;
    }
    return true;
}

/* One answer at a time is the rule where few ask: whether there is a second is not asked for then, as that costs as much; the loop says so. */
static void on_events(void *arg, unsigned events) {
    struct node_data *data = arg;
    bool looks = data->chatty || ++data->turns % LOOK_TURNS == 0;
    if (!hear(data, looks ? AT_A_TIME : 1)) close_channel(data);
    else send_waiting(data);
    if (looks) data->chatty = data->heard > 1;
}

/* Its other end is there. */
static bool is_up(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) >= 0 && !(p.revents & (POLLHUP | POLLERR));
}

/* A second one comes where one was asked for just as another was given to all: what was asked on the first is answered there. */
void node_data_channel(struct node_data *data, int fd) {
    data->wanted = false;
    if (data->fd >= 0 && hear(data, UINT32_MAX) && data->fd >= 0 &&
        is_up(data->fd)) { /* … and what the one before had said yet was heard */
        close(fd);
        send_waiting(data);
        return;
    }
    close_channel(data);
    data->wanted = false;
    data->fd = fd;
    data->full = false;
    data->watch = net_watch_new(data->loop, fd, NET_READABLE, on_events, data);
    send_waiting(data);
}

/* ---- asking ---- */

static int bytes_fd(str bytes) {
    int fd = memfd_create("orlo-values", MFD_CLOEXEC);
    for (size_t at = 0; fd >= 0 && at < bytes.n;) {
        ssize_t n = pwrite(fd, bytes.p + at, bytes.n - at, (off_t)at);
        if (n <= 0) {
            close(fd);
            return -1;
        }
        at += (size_t)n;
    }
    return fd;
}

/* The first one of a line that has waited for too long, or waits for what does not come. */
static struct app_ask *find_late(const struct node_data *data, struct app_ask *ask, uint64_t now) {
    bool in_vain = data->alone && data->fd < 0;
    while (ask && now < ask->until_ns && !(in_vain && !ask->sent)) ask = ask->next_id;
    return ask;
}

static void cancel_sent(struct node_data *data, const struct app_ask *a) {
    struct node_message m = NODE_MESSAGE(store_cancel, .id = a->id);
    if (data->to == NODE_DATA_TO_POSTGRES) m = NODE_MESSAGE(postgres_cancel, .id = a->id);
    err e = data->fd >= 0 && !data->closing ? node_wire_send(data->fd, &m) : ERR_OK;
    (void)e; /* where there is no room for that, it is done for nobody */
}

static void look(void *arg) {
    struct node_data *data = arg;
    uint64_t now = clock_mono_ns();
    for (size_t i = 0; i < HASH; i++)
        for (struct app_ask *ask; (ask = find_late(data, data->by_id[i], now));) {
            struct app_answer a = {.outcome = ask->sent ? APP_DATA_LOST : APP_DATA_BUSY,
                                   .text = STR("what keeps the app's data does not answer; it may be done, or not")};
            if (ask->sent) cancel_sent(data, ask);
            else a.text = STR("what keeps the app's data does not answer");
            tell(data, ask, &a);
        }
}

static uint32_t u32_of(uint64_t v) { return (uint32_t)MIN(v, UINT32_MAX); }

/* False: there is no room for its values. */
static bool make_message(struct app_ask *ask, enum node_data_to to, const struct app *app, const struct app_question *q) {
    const struct app_limits *l = app->limits;
    const uint64_t bytes_max[APP_DATA_OFS] = {
        [APP_OF_KEYS] = l->store_bytes_max, [APP_OF_SQL] = l->sqlite_bytes_max, [APP_OF_APP] = l->database_bytes_max};
    struct buf b = {0};
    app_values_write(&b, q->values, q->count);
    ask->m = NODE_MESSAGE(store_ask, .id = ask->id, .app = app->id, .name = arena_str(ask->mem, app->name), .op = (uint8_t)q->op,
                          .place = arena_str(ask->mem, q->place), .bytes_max = bytes_max[app_data_of(q->op)],
                          .keys_max = l->store_keys_max, .value_bytes_max = u32_of(l->store_value_bytes_max),
                          .answer_bytes_max = u32_of(l->data_answer_bytes_max), .ms_max = u32_of(l->data_ms_max),
                          .changes_max = u32_of(l->changes_max), .changes_s = u32_of(l->changes_ms_max / 1000),
                          .follows = app->follows, .hops = q->hops, .bytes = (uint32_t)b.n);
    if (to == NODE_DATA_TO_POSTGRES)
        ask->m = NODE_MESSAGE(postgres_ask, .id = ask->id, .app = app->id, .name = arena_str(ask->mem, app->name),
                              .secret = arena_str(ask->mem, app->server), .bytes_max = l->database_bytes_max,
                              .answer_bytes_max = u32_of(l->data_answer_bytes_max), .ms_max = u32_of(l->data_ms_max),
                              .feed = q->op == APP_FEED, .changes_max = u32_of(l->changes_max),
                              .changes_s = u32_of(l->changes_ms_max / 1000), .follows = app->follows, .hops = q->hops,
                              .bytes = (uint32_t)b.n);
    bool ok = true;
    str *values = to == NODE_DATA_TO_POSTGRES ? &ask->m.postgres_ask.values : &ask->m.store_ask.values;
    if (b.n <= INLINE_BYTES) *values = arena_str(ask->mem, buf_str(&b));
    else ok = (ask->m.fds[0] = bytes_fd(buf_str(&b))) >= 0;
    ask->m.fds_count = ok && b.n > INLINE_BYTES;
    buf_free(&b);
    return ok;
}

static struct app_ask *ask(struct app_data *base, struct app *app, const struct app_question *q, app_told told, void *arg) {
    struct node_data *data = container_of(base, struct node_data, base);
    bool ends = q->op == APP_TX && q->count == APP_TX_VALUES && q->values[1].i == APP_TX_ROLLBACK;
    if (!count_up(data, app->id, ends)) return NULL;
    arena *mem = arena_new(0);
    struct app_ask *a = arena_make(mem, struct app_ask);
    while (find(data, ++data->last_id)) {}
    *a = (struct app_ask){.id = data->last_id, .app = app->id, .told = told, .part = q->part, .arg = arg, .mem = mem};
    a->patience_ns = 2 * app->limits->data_ms_max * 1'000'000 + (data->to == NODE_DATA_TO_STORE ? slow_disk_ns : slow_start_ns);
    a->until_ns = clock_mono_ns() + a->patience_ns;
    if (!make_message(a, data->to, app, q)) {
        count_down(data, app->id);
        arena_free(mem);
        return NULL;
    }
    if (!data->asked++) net_timer_start(data->timer, LOOK_MS, LOOK_MS);
    struct app_ask **list = &data->by_id[a->id % HASH];
    a->next_id = *list;
    if (*list) (*list)->at_id = &a->next_id;
    a->at_id = list;
    *list = a;
    a->at = data->last;
    *data->last = a;
    data->last = &a->next;
    send_waiting(data);
    return a;
}

static void cancel(struct app_data *base, struct app_ask *a) {
    struct node_data *data = container_of(base, struct node_data, base);
    a->told = NULL;
    if (!a->sent) {
        free_ask(data, a);
        return;
    }
    cancel_sent(data, a);
}

static void more(struct app_data *base, struct app_ask *a, uint32_t parts) {
    struct node_data *data = container_of(base, struct node_data, base);
    a->parts -= MIN(parts, a->parts);
    if (!a->parts) a->until_ns = clock_mono_ns() + a->patience_ns;
    a->owed += parts;
    data->owes = true;
    send_waiting(data);
}

/* ---- its life ---- */

void node_data_alone(struct node_data *data) { data->alone = true; }

struct node_data *node_data_new(struct net_loop *loop, enum node_data_to to, void (*want)(void *arg), void *arg) {
    struct node_data *data = calloc(1, sizeof *data);
    ENSURE(data);
    *data = (struct node_data){.base = {ask, cancel, more}, .loop = loop, .to = to, .want = want, .arg = arg, .fd = -1};
    data->last = &data->waiting;
    data->timer = net_timer_new(loop, look, data);
    return data;
}

void node_data_free(struct node_data *data) {
    if (data->fd >= 0) {
        net_watch_free(data->watch);
        close(data->fd);
    }
    for (size_t i = 0; i < HASH; i++)
        while (data->by_id[i]) free_ask(data, data->by_id[i]);
    net_timer_free(data->timer);
    free(data);
}
