/* follow: see follow.h. */
#include "node/worker/follow.h"
#include "app/data.h"
#include "app/hops.h"
#include "base/json.h"
#include "net/client.h"
#include "net/exchange.h"
#include "net/local.h"
#include "net/loop.h"
#include "node/meters.h"
#include "node/worker/handler_int.h"
#include "node/worker/query.h"
#include <stdlib.h>

enum {
    MOST = 32,        /* changes at a time */
    LOOK_FILES = 16,  /* functions whose databases are asked at a time, */
    LOOK_SERVERS = 2, /* where that may start a server */
    TICK_MS = 100,
    WAIT_FIRST_MS = 500,
    WAIT_MOST_MS = 60'000,
    DOUBLINGS_MAX = 16,
    APPS_HASH = 1024,
};
static const uint64_t ms_ns = 1'000'000u;

struct change {
    int64_t seq, at, hops;
    str schema, table, old, new; /* old, new: JSON, or nothing */
    enum app_change type;
};
struct line { /* of a function with triggers */
    struct line *next, *next_ready;
    struct followed *of;
    char *name; /* the function's; heap */
    enum { RESTS, WANTS /* its turn to ask */, ASKS, TELLS, WAITS } state;
    bool queued;
    bool news;            /* of which it has not asked yet */
    bool known;           /* seq is */
    int64_t seq;          /* it has dealt with that */
    int64_t tried;        /* the one that did not go well, tries times */
    uint32_t tries, away; /* away: times that the database was */
    uint64_t due_ns;      /* of WAITS */
    /* While it asks and tells: */
    struct node_app *app; /* that is the live one; counted */
    struct app_ask *asked;
    arena *mem;
    VEC(struct change) changes;
    uint32_t at, attempts; /* at: which of them is being told; attempts: that it may have */
    struct net_fetch *fetch;
    enum { UNKNOWN, TAKEN, NOT_TAKEN } answer;
    char reason[64]; /* why it was not */
    struct buf body;
    size_t sent;
};
struct followed { /* an app */
    struct followed *next;
    uint32_t id;
    enum app_database_engine engine;
    uint64_t sum;  /* of its record, as it was last seen: of another version it is another */
    uint64_t seen; /* the snapshot that had it */
    struct line *lines;
};
struct node_follow {
    struct node_guest *guest;
    struct node_apps *apps;
    struct node_handler *handler;
    struct followed *all[APPS_HASH];
    struct line *ready, **last;
    struct net_timer *timer, *turn;
    uint32_t looking[2]; /* lines that ask: of files, of servers */
    uint64_t snapshots;
    bool over, ticks;
};

/* One for a process: what a request is told by finds it. */
static struct node_follow *own;

static bool is_server(const struct node_app *app) { return app->record.database.engine > APP_DATABASE_SQLITE; }

/* It has something to do, in a turn of the loop's own: never from inside of what tells it so. */
static void queue(struct line *l) {
    if (l->queued) return;
    l->queued = true;
    l->next_ready = NULL;
    *own->last = l;
    own->last = &l->next_ready;
    net_timer_start(own->turn, 0, 0);
}

static void unqueue(struct line *l) {
    struct line **at = &own->ready;
    while (*at && *at != l) at = &(*at)->next_ready;
    if (!l->queued || !*at) return;
    *at = l->next_ready;
    if (!*at) own->last = at;
    l->queued = false;
}

/* ---- what is kept of a function ---- */

static void drop_fetch(struct line *l) {
    if (l->fetch) net_fetch_free(l->fetch);
    l->fetch = NULL;
    l->answer = UNKNOWN;
    buf_free(&l->body);
}

/* What it has asked for, and is telling, is forgotten; the app is not needed. */
static void put_away(struct line *l) {
    drop_fetch(l);
    if (l->mem) arena_free(l->mem);
    l->mem = NULL;
    memset(&l->changes, 0, sizeof l->changes);
    l->at = 0;
    if (l->app) l->app->requests--;
    l->app = NULL;
}

static void asks_no_more(struct line *l) {
    if (l->state != ASKS) return;
    if (own->looking[is_server(l->app)]-- && own->ready) net_timer_start(own->turn, 0, 0);
    l->state = RESTS;
}

static void set(struct line *l, int state) {
    asks_no_more(l);
    put_away(l);
    l->state = state;
    if (state == WANTS) queue(l);
    if (state != WAITS || own->ticks) return;
    own->ticks = true;
    net_timer_start(own->timer, TICK_MS, TICK_MS);
}

static void free_line(struct line *l) {
    if (l->asked) {
        struct app_data *data = node_query_data_of(l->app);
        data->cancel(data, l->asked);
        l->asked = NULL;
    }
    set(l, RESTS);
    unqueue(l);
    free(l->name);
    free(l);
}

static void want(struct line *l) {
    if (l->state == RESTS) set(l, WANTS);
    else l->news |= l->state != WANTS;
}

/* ---- what it is to be told ---- */

static const struct app_function *function_of(const struct line *l) {
    uint32_t i = app_record_function(&l->app->record, str_c(l->name));
    return i == UINT32_MAX ? NULL : &l->app->record.functions.p[i];
}

/* The value of a member of an object that an engine wrote, as it stands there. False: there is none. */
static bool member(str object, str key, str *value) {
    size_t i = 1;
    while (i < object.n && object.p[i] != '}') {
        size_t key_at = i + 1, key_end, depth = 0;
        for (i++; i < object.n && object.p[i] != '"'; i++) i += object.p[i] == '\\';
        key_end = i;
        while (i < object.n && object.p[i] != ':') i++;
        size_t at = ++i;
        for (bool text = false; i < object.n; i++) {
            uint8_t c = object.p[i];
            if (text) {
                if (c == '\\') i++;
                else text = c != '"';
                continue;
            }
            if (c == '"') text = true;
            else if (c == '{' || c == '[') depth++;
            else if ((c == '}' || c == ']') && depth) depth--;
            else if (c == ',' || c == '}') {
                if (!depth) break;
            }
        }
        if (str_eq(str_sub(object, key_at, key_end - key_at), key)) {
            *value = str_sub(object, at, i - at);
            return true;
        }
        while (i < object.n && (object.p[i] == ',' || object.p[i] == ' ')) i++;
    }
    return false;
}

/* One of the columns is another; of one that is not there it is not known, and it is told. */
static bool are_others(const struct app_trigger *t, const struct change *c) {
    for (uint32_t i = 0; i < t->columns.n; i++) {
        struct buf key = {0};
        str before, after;
        json_escape(&key, t->columns.p[i]);
        bool other = !member(c->old, buf_str(&key), &before) || !member(c->new, buf_str(&key), &after) ||
                     !str_eq(str_trim(before), str_trim(after));
        buf_free(&key);
        if (other) return true;
    }
    return !t->columns.n;
}

/* How often it may be told that; 0: it is not. */
static uint32_t attempts_at(const struct app_function *f, const struct change *c) {
    uint32_t attempts = 0;
    bool any = c->type == APP_CHANGE_ALL && !c->table.n;
    for (uint32_t i = 0; i < f->triggers.n; i++) {
        const struct app_trigger *t = &f->triggers.p[i];
        bool named = any || (str_eq(t->table, c->table) && str_eq(t->schema, c->schema));
        if (!named || !(t->on >> c->type & 1)) continue;
        if (c->type == APP_CHANGE_UPDATE && !are_others(t, c)) continue;
        attempts = MAX(attempts, t->attempts);
    }
    return attempts;
}

static void put_json(struct json_writer *w, const char *key, str json) {
    if (json.n) json_put_raw(w, key, json);
    else json_put_null(w, key);
}

static void put_body(const struct change *c, struct buf *to) {
    static const char *const types[APP_CHANGES] = {"INSERT", "UPDATE", "DELETE", "ALL"};
    struct json_writer w = json_writer_of(to);
    json_put_object(&w, NULL);
    json_put_cstr(&w, "type", types[c->type]);
    if (c->table.n) json_put_str(&w, "table", c->table), json_put_str(&w, "schema", c->schema);
    else json_put_null(&w, "table"), json_put_null(&w, "schema");
    put_json(&w, "record", c->new);
    put_json(&w, "old_record", c->old);
    json_put_i64(&w, "seq", c->seq);
    json_put_i64(&w, "at", c->at);
    json_put_end(&w);
}

/* ---- telling ---- */

static uint64_t wait_ms(uint32_t times) {
    return MIN((uint64_t)WAIT_FIRST_MS << MIN(times, (uint32_t)DOUBLINGS_MAX), (uint64_t)WAIT_MOST_MS);
}

static void wait(struct line *l, uint32_t times) {
    l->due_ns = net_loop_now_ns(own->guest->loop) + wait_ms(times) * ms_ns;
    set(l, WAITS);
}

static void log_given_up(const struct line *l, const struct change *c, const char *reason) {
    log_event(LOG_WARN, "change-given-up", LF_CSTR("app", l->app->name), LF_CSTR("function", l->name),
              LF_STR("schema", c->schema), LF_STR("table", c->table), LF_I64("seq", c->seq), LF_U64("attempts", l->tries),
              LF_CSTR("reason", reason));
    node_meter_inc(&l->app->meters->counts.changes_given_up);
}

static void dealt_with(struct line *l) {
    l->seq = l->changes.p[l->at++].seq;
    l->tries = 0;
    drop_fetch(l);
}

static void tell_over(struct line *l, const char *reason) {
    l->answer = reason ? NOT_TAKEN : TAKEN;
    snprintf(l->reason, sizeof l->reason, "%s", reason ? reason : "");
    queue(l);
}

/* Its answer's head has come: once its body has, too, it is over. */
static void read_answer(void *arg) {
    struct line *l = arg;
    struct net_source *source = net_fetch_source(l->fetch);
    str data;
    enum net_flow flow;
    while ((flow = net_source_peek(source, &data)) == NET_FLOW_DATA) net_source_consume(source, data.n);
    if (flow == NET_FLOW_WAIT) return;
    char reason[sizeof l->reason];
    uint16_t status = net_fetch_response(l->fetch)->status;
    bool whole = flow == NET_FLOW_END;
    if (whole) snprintf(reason, sizeof reason, "it answered %u", status);
    else snprintf(reason, sizeof reason, "its answer broke off");
    net_source_notify(source, NULL, NULL);
    tell_over(l, whole && status >= 200 && status < 300 ? NULL : reason);
}

static void on_answer(void *arg) {
    struct line *l = arg;
    if (!net_fetch_response(l->fetch)) {
        tell_over(l, "it did not answer");
        return;
    }
    net_source_notify(net_fetch_source(l->fetch), read_answer, l);
    read_answer(l);
}

static void send_body(void *arg) {
    struct line *l = arg;
    struct net_sink *sink = net_fetch_sink(l->fetch);
    while (l->sent < l->body.n) {
        size_t n = MIN(net_sink_room(sink), l->body.n - l->sent);
        if (!n || net_sink_write(sink, str_sub(buf_str(&l->body), l->sent, n)) != ERR_OK) return;
        l->sent += n;
    }
    net_sink_notify(sink, NULL, NULL);
    err e = net_sink_finish(sink, NULL, 0);
    (void)e; /* nobody reads it: the answer says what came of it */
}

/* From the loop, while it is told: the app is the one that it was asked of. */
static void on_request(struct net_exchange *x, void *arg) {
    struct line *l = arg;
    uint32_t i = app_record_function(&l->app->record, str_c(l->name));
    ENSURE(i != UINT32_MAX);
    node_handler_internal(own->handler, x, &l->app->parts[i], NULL, true);
}

static void tell(struct line *l, const struct change *c) {
    arena *scratch = arena_new(0);
    put_body(c, &l->body);
    l->sent = 0;
    const struct net_field fields[] = {
        {STR("content-type"), STR("application/json")},
        {STR("content-length"), arena_fmt(scratch, "%zu", l->body.n)},
        {STR("user-agent"), STR("orlo")},
        {STR("x-orlo-change"), arena_fmt(scratch, "%lld", (long long)c->seq)},
        {STR("x-orlo-attempt"), arena_fmt(scratch, "%u", l->tried == c->seq ? l->tries + 1 : 1)},
        {STR("cdn-loop"), app_hops_made(scratch, (uint32_t)c->hops, l->app->record.id)},
    };
    const struct net_fetch_request rq = {.method = STR("POST"),
                                         .scheme = STR("http"),
                                         .authority = arena_fmt(scratch, "%s.internal", l->name),
                                         .path = STR("/trigger"),
                                         .fields = fields,
                                         .fields_count = ARRAY_COUNT(fields),
                                         .has_body = true,
                                         .first_byte_ms_max = NET_NO_LIMIT};
    const struct net_local to = {.on_request = on_request, .arg = l, .peer = STR("127.0.0.1")};
    enum net_error e = net_fetch_local(own->guest->loop, &rq, &to, on_answer, l, &l->fetch);
    arena_free(scratch);
    if (e != NET_OK) {
        tell_over(l, "it cannot be asked");
        return;
    }
    net_sink_notify(net_fetch_sink(l->fetch), send_body, l);
    send_body(l);
}

static bool goes_round(const struct line *l, const struct change *c) {
    return c->hops % APP_HOPS_NODE + 1 >= (int64_t)l->app->record.limits.hops_max;
}

/* How far it is, where nobody goes on from here. */
static void keep_place(struct line *l);

/* The next one that its function wants to know; those between are dealt with. */
static void tell_next(struct line *l) {
    for (; l->at < l->changes.n; dealt_with(l)) {
        const struct change *c = &l->changes.p[l->at];
        const struct app_function *f = function_of(l);
        l->attempts = f ? attempts_at(f, c) : 0;
        if (!l->attempts) continue;
        if (goes_round(l, c)) {
            log_given_up(l, c, "it has come round in a circle as often as one may (hops)");
            continue;
        }
        if (l->app->retired || own->over) break;
        tell(l, c);
        return;
    }
    if (own->over) keep_place(l), set(l, RESTS);
    else set(l, WANTS); /* how far it is, is kept by asking for more */
}

static void take_answer(struct line *l) {
    const struct change *c = &l->changes.p[l->at];
    if (l->answer == TAKEN) {
        node_meter_inc(&l->app->meters->counts.changes_told);
        dealt_with(l);
        return;
    }
    node_meter_inc(&l->app->meters->counts.changes_failed);
    l->tries = l->tried == c->seq ? l->tries + 1 : 1;
    l->tried = c->seq;
    if (l->tries < l->attempts) {
        wait(l, l->tries - 1);
        return;
    }
    log_given_up(l, c, l->reason);
    dealt_with(l);
}

/* ---- asking ---- */

enum { HEAD = 3, SEQ = 0, AT, SCHEMA, TABLE, OP, KEY, OLD, NEW, HOPS, OF_CHANGE };

static bool are_integers(const struct app_value *v, uint32_t n) {
    bool ok = true;
    for (uint32_t i = 0; i < n; i++) ok &= v[i].kind == APP_VALUE_INTEGER;
    return ok;
}

static str text_of(arena *mem, const struct app_value *v) { return v->kind == APP_VALUE_TEXT ? arena_str(mem, v->s) : (str){0}; }

static bool take_change(struct line *l, const struct app_value *v) {
    if (!are_integers(v, 2) || !are_integers(v + HOPS, 1) || v[OP].kind != APP_VALUE_TEXT) return false;
    struct change c = {.seq = v[SEQ].i, .at = v[AT].i, .hops = v[HOPS].i, .type = APP_CHANGE_ALL};
    c.schema = text_of(l->mem, &v[SCHEMA]), c.table = text_of(l->mem, &v[TABLE]);
    c.old = text_of(l->mem, &v[OLD]), c.new = text_of(l->mem, &v[NEW]);
    if (str_eqc(v[OP].s, "I")) c.type = APP_CHANGE_INSERT;
    if (str_eqc(v[OP].s, "U")) c.type = APP_CHANGE_UPDATE;
    if (str_eqc(v[OP].s, "D")) c.type = APP_CHANGE_DELETE;
    vec_push(l->mem, &l->changes, c);
    return true;
}

static void log_missed(const struct line *l, str table, int64_t seq) {
    log_event(LOG_WARN, "changes-missed", LF_CSTR("app", l->app->name), LF_CSTR("function", l->name), LF_STR("table", table),
              LF_I64("seq", seq));
}

/* Where more has changed than is kept, its owner hears of it, too: the function may not want to. A migration's, or a move's, says it itself. */
static void note_missed(struct line *l, int64_t first, const struct app_value *next) {
    bool says = next && next[SEQ].i == first && next[OP].kind == APP_VALUE_TEXT && str_eqc(next[OP].s, "*") &&
                (next[TABLE].kind != APP_VALUE_TEXT || !next[TABLE].s.n);
    if (first <= l->seq + 1 || says) return;
    log_missed(l, STR(""), first);
    vec_push(l->mem, &l->changes,
             ((struct change){.seq = first - 1, .at = (int64_t)(clock_wall_ns() / ms_ns), .type = APP_CHANGE_ALL}));
}

static bool is_of_a_trigger(const struct line *l, const struct change *c) {
    const struct app_function *f = function_of(l);
    for (uint32_t i = 0; f && i < f->triggers.n; i++)
        if (str_eq(f->triggers.p[i].table, c->table) && str_eq(f->triggers.p[i].schema, c->schema)) return true;
    return false;
}

/* False: nonsense. */
static bool take_changes(struct line *l, const struct app_answer *a) {
    const struct app_value *v = a->values;
    if (a->count < HEAD || (a->count - HEAD) % OF_CHANGE || !are_integers(v, HEAD)) return false;
    if (!l->known || v[2].i < l->seq) l->seq = v[2].i; /* what it was told last may be gone: it went back in time */
    l->known = true;
    l->mem = arena_new(0);
    note_missed(l, v[0].i, a->count > HEAD ? v + HEAD : NULL);
    for (uint32_t i = HEAD; i < a->count; i += OF_CHANGE) {
        if (!take_change(l, v + i)) return false;
        const struct change *c = &l->changes.p[l->changes.n - 1];
        if (c->type == APP_CHANGE_ALL && is_of_a_trigger(l, c)) log_missed(l, c->table, c->seq);
    }
    return true;
}

static void on_told(void *arg, const struct app_answer *a) {
    struct line *l = arg;
    l->asked = NULL;
    if (a->outcome != APP_DATA_OK || !take_changes(l, a)) {
        wait(l, l->away++);
        return;
    }
    l->away = 0;
    if (!l->changes.n) {
        set(l, l->news ? WANTS : RESTS);
        return;
    }
    asks_no_more(l);
    l->state = TELLS;
    queue(l);
}

static struct app_ask *ask_feed(struct line *l, int64_t most, app_told told) {
    char name[APP_FUNCTION_NAME_MAX + 16];
    snprintf(name, sizeof name, "trigger:%s", l->name);
    struct app_data *data = node_query_data_of(l->app);
    struct app *of = &l->app->parts[l->app->parts_count - 1].of;
    const struct app_value values[] = {APP_TEXT(str_c(name)), APP_I64(l->known ? l->seq : -1), APP_I64(most),
                                       APP_I64(l->app->record.made_ms)};
    const struct app_question q = {.op = APP_FEED, .place = STR("app"), .values = values, .count = ARRAY_COUNT(values)};
    return data ? data->ask(data, of, &q, told, l) : NULL;
}

static void keep_place(struct line *l) { (void)ask_feed(l, 0, NULL); }

/* False: too many ask at the moment. */
static bool ask(struct line *l) {
    struct node_app *app = node_apps_live_app(own->apps, l->of->id);
    if (!app) {
        wait(l, l->away++);
        return true;
    }
    uint32_t most = is_server(app) ? LOOK_SERVERS : LOOK_FILES, *looking = &own->looking[is_server(app)];
    if (*looking >= most) return false;
    ++*looking;
    l->app = app;
    l->app->requests++;
    l->state = ASKS;
    l->news = false;
    l->asked = ask_feed(l, MOST, on_told);
    if (!l->asked) wait(l, l->away++);
    return true;
}

static void step(struct line *l) {
    if (l->state == WANTS && !ask(l)) queue(l);
    if (l->state != TELLS) return;
    bool told = !l->fetch && !l->answer; /* none is on its way */
    if (l->answer) take_answer(l), told = true;
    if (l->state == TELLS && told) tell_next(l);
}

static void on_turn(void *arg) {
    struct node_follow *f = arg;
    struct line *l = f->ready;
    f->ready = NULL; /* who is queued meanwhile is of the next turn */
    f->last = &f->ready;
    for (struct line *next; l; l = next) {
        next = l->next_ready;
        l->queued = false;
        step(l);
    }
    bool waits = f->looking[0] >= LOOK_FILES || f->looking[1] >= LOOK_SERVERS;
    if (f->ready && waits) net_timer_stop(f->turn), net_timer_start(f->turn, TICK_MS, 0); /* until one of them has its answer */
}

static void on_tick(void *arg) {
    struct node_follow *f = arg;
    uint64_t now = net_loop_now_ns(f->guest->loop);
    bool any = false;
    for (uint32_t i = 0; i < APPS_HASH; i++)
        for (struct followed *w = f->all[i]; w; w = w->next)
            for (struct line *l = w->lines; l; l = l->next) {
                if (l->state == WAITS && now >= l->due_ns) set(l, WANTS);
                any |= l->state == WAITS;
            }
    if (any) return;
    f->ticks = false;
    net_timer_stop(f->timer);
}

/* ---- which there are ---- */

static struct followed *find(struct node_follow *f, uint32_t id) {
    struct followed *w = f->all[id % APPS_HASH];
    while (w && w->id != id) w = w->next;
    return w;
}

static struct followed *add(struct node_follow *f, uint32_t id) {
    struct followed *w = calloc(1, sizeof *w), **at = &f->all[id % APPS_HASH];
    ENSURE(w);
    *w = (struct followed){.id = id, .next = *at};
    return *at = w;
}

/* What is told at the moment is told yet; what did not go well is tried by the other version at once. */
static void add_line(struct followed *w, str name) {
    struct line *l = w->lines;
    while (l && !str_eqc(name, l->name)) l = l->next;
    if (!l) {
        l = calloc(1, sizeof *l);
        ENSURE(l);
        *l = (struct line){.next = w->lines, .of = w, .name = strndup((const char *)name.p, name.n), .tried = -1};
        ENSURE(l->name);
        w->lines = l;
    }
    if (l->state == WAITS) l->tries = l->away = 0, set(l, WANTS);
    else want(l);
}

static void look_at(struct node_follow *f, struct followed *w) {
    const struct node_app *app = node_apps_live_app(f->apps, w->id);
    bool moved = app && w->engine != app->record.database.engine; /* there nobody has followed yet, and numbers are others */
    for (struct line *l = w->lines; moved && l; l = l->next) l->known = false;
    if (app) w->engine = app->record.database.engine;
    for (uint32_t i = 0; app && i < app->record.functions.n; i++)
        if (app->record.functions.p[i].triggers.n) add_line(w, app->record.functions.p[i].name);
    for (struct line **at = &w->lines; app && *at;) {
        struct line *l = *at;
        uint32_t i = app_record_function(&app->record, str_c(l->name));
        if (i != UINT32_MAX && app->record.functions.p[i].triggers.n) {
            at = &l->next;
            continue;
        }
        *at = l->next;
        free_line(l);
    }
}

static void forget(struct followed **at) {
    struct followed *w = *at;
    *at = w->next;
    while (w->lines) {
        struct line *l = w->lines;
        w->lines = l->next;
        free_line(l);
    }
    free(w);
}

void node_follow_live(struct node_follow *f) {
    uint32_t n;
    const struct node_entry *e = node_apps_entries(f->apps, &n);
    if (f->over) return;
    f->snapshots++;
    for (uint32_t i = 0; i < n; i++) {
        if (!e[i].of[NODE_LIVE].follows || e[i].cordon != f->handler->cordon) continue;
        struct followed *w = find(f, e[i].id);
        uint64_t sum = str_hash(e[i].of[NODE_LIVE].record);
        bool other = !w || w->sum != sum;
        if (!w) w = add(f, e[i].id);
        w->seen = f->snapshots, w->sum = sum;
        if (other) look_at(f, w);
    }
    for (uint32_t i = 0; i < APPS_HASH; i++)
        for (struct followed **at = &f->all[i]; *at;)
            if ((*at)->seen == f->snapshots) at = &(*at)->next;
            else forget(at);
}

void node_follow_news(struct node_follow *f, uint32_t app) {
    for (uint32_t i = app ? app % APPS_HASH : 0; i < APPS_HASH && !f->over; i++) {
        for (struct followed *w = f->all[i]; w; w = w->next)
            for (struct line *l = !app || w->id == app ? w->lines : NULL; l; l = l->next) want(l);
        if (app) return;
    }
}

void node_follow_rest(struct node_follow *f) {
    f->over = true;
    for (uint32_t i = 0; i < APPS_HASH; i++)
        for (struct followed *w = f->all[i]; w; w = w->next)
            for (struct line *l = w->lines; l; l = l->next)
                if (l->state == WANTS || l->state == WAITS) set(l, RESTS);
}

struct node_follow *node_follow_new(struct node_guest *g, struct node_apps *apps, struct node_handler *h) {
    struct node_follow *f = calloc(1, sizeof *f);
    ENSURE(f && !own);
    *f = (struct node_follow){.guest = g, .apps = apps, .handler = h};
    f->last = &f->ready;
    f->timer = net_timer_new(g->loop, on_tick, f);
    f->turn = net_timer_new(g->loop, on_turn, f);
    return own = f;
}

void node_follow_free(struct node_follow *f) {
    if (!f) return;
    for (uint32_t i = 0; i < APPS_HASH; i++)
        while (f->all[i]) forget(&f->all[i]);
    net_timer_free(f->timer);
    net_timer_free(f->turn);
    free(f);
    own = NULL;
}
