/* connection: one, and what is under way on it. States: postgres.h. */
#include "postgres/postgres_int.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

enum { LEAST_READ = 8 << 10, ROW_SLACK = 256 << 10, LOST_KEPT_MAX = 3, UNDO_MS = 5000 };
enum { TOLD_A_SECOND = 200 };
enum { CROWDED_AGAIN_MS = 50, CROWDED_TRIES = 100 };

static void on_ready(void *arg, unsigned events);
static void on_late(void *arg);

/* ---- what is sent ---- */

static void add_op(struct postgres_connection *c, enum op_kind kind, uint32_t statement, uint64_t hash) {
    if (c->ops_count == c->ops_cap) {
        c->ops_cap = c->ops_cap ? 2 * c->ops_cap : 16;
        c->ops = realloc(c->ops, c->ops_cap * sizeof *c->ops);
        ENSURE(c->ops);
    }
    c->ops[c->ops_count++] = (struct op){kind, statement, hash};
}

/* It was prepared, or is about to be, by a statement before it of the same question. */
static bool is_kept(const struct postgres_connection *c, uint64_t hash) {
    for (uint32_t i = 0; i < c->ops_count; i++)
        if (c->ops[i].kind == OP_PREPARE && c->ops[i].hash == hash) return true;
    for (uint32_t i = 0; i < c->kept_count; i++)
        if (c->kept[i] == hash) return true;
    return false;
}

/* One whose first statement is not kept is not asked for often. */
static bool prepares(const struct postgres_connection *c, const struct postgres_ask *ask) {
    return ask->count && ask->statements[0].kept && !ask->again && c->db->lost_kept < LOST_KEPT_MAX;
}

static bool send_own(struct postgres_connection *c, const char *text, enum op_kind kind) {
    add_op(c, kind, 0, 0);
    return PQsendQueryParams(c->raw, text, 0, NULL, NULL, NULL, NULL, 0) == 1;
}

/* begin, commit, rollback: prepared with the first of its questions that prepares anything. Not what is sent once all was heard: nothing may go wrong then. */
static bool send_word(struct postgres_connection *c, const struct postgres_ask *ask, const char *word, enum op_kind kind) {
    uint64_t hash = str_hash(str_c(word));
    bool known = is_kept(c, hash);
    if (!prepares(c, ask) || (!known && c->kept_count == POSTGRES_KEPT_MAX)) return send_own(c, word, kind);
    if (!known) {
        add_op(c, OP_PREPARE, 0, hash);
        if (PQsendPrepare(c->raw, word, word, 0, NULL) != 1) return false;
    }
    add_op(c, kind, 0, 0);
    return PQsendQueryPrepared(c->raw, word, 0, NULL, NULL, NULL, 0) == 1;
}

struct parameters {
    const Oid *types;
    const char *const *values;
    int count;
};
static struct parameters parameters_of(arena *mem, const struct postgres_statement *s) {
    Oid *types = arena_array(mem, Oid, s->count + 1);
    const char **values = arena_array(mem, const char *, s->count + 1);
    for (uint32_t i = 0; i < s->count; i++) {
        types[i] = s->values[i].type;
        values[i] = s->values[i].null ? NULL : (const char *)s->values[i].text.p; /* a NUL follows it: copied by postgres_ask */
    }
    return (struct parameters){types, values, (int)s->count};
}

/* By its text and the types of its values, so that one name never stands for two statements. */
uint64_t postgres_statement_hash(const struct postgres_statement *s) {
    uint64_t hash = str_hash(s->text);
    for (uint32_t i = 0; i < s->count; i++) hash = (hash ^ s->values[i].type) * 0x9e3779b97f4a7c15u;
    return hash ? hash : 1;
}

static void put_name(uint64_t hash, char name[static 24]) {
    *name++ = 'o';
    for (int i = 60; i >= 0; i -= 4) *name++ = "0123456789abcdef"[hash >> i & 15];
    *name = 0;
}

static bool send_statement(struct postgres_connection *c, struct postgres_ask *ask, uint32_t i) {
    const struct postgres_statement *s = &ask->statements[i];
    const struct parameters p = parameters_of(ask->mem, s);
    const char *text = (const char *)s->text.p;
    uint64_t hash = s->hash ? s->hash : postgres_statement_hash(s);
    char name[24];
    bool known = is_kept(c, hash), unprepared = ask->again || c->db->lost_kept >= LOST_KEPT_MAX;
    if (!s->kept || unprepared || (!known && c->kept_count == POSTGRES_KEPT_MAX)) {
        add_op(c, OP_STATEMENT, i, 0);
        return PQsendQueryParams(c->raw, text, p.count, p.types, p.values, NULL, NULL, 0) == 1;
    }
    put_name(hash, name);
    if (!known) {
        add_op(c, OP_PREPARE, i, hash);
        if (PQsendPrepare(c->raw, name, text, p.count, p.types) != 1) return false;
    }
    add_op(c, OP_STATEMENT, i, 0);
    return PQsendQueryPrepared(c->raw, name, p.count, p.values, NULL, NULL, 0) == 1;
}

static bool send_sync(struct postgres_connection *c) {
    add_op(c, OP_SYNC, 0, 0);
    return PQpipelineSync(c->raw) == 1;
}

static bool send_ask(struct postgres_connection *c, struct postgres_ask *ask) {
    bool goes_on = ask->held && ask->held->begun;
    bool forgets = c->forgets && !goes_on && !ask->bare;
    if (ask->held && !goes_on) ask->held->begun = true, ask->held->c = c, c->held = ask->held;
    if (forgets) c->forgets = false, c->kept_count = 0;
    if (forgets && !send_own(c, "deallocate all", OP_OWN)) return false;
    bool ok = ask->bare || goes_on || send_word(c, ask, "begin", OP_OWN);
    for (uint32_t i = 0; ok && i < ask->count; i++) ok = send_statement(c, ask, i);
    ask->commits = !ask->judge && !ask->stays;
    if (!ask->bare && !ask->judge && !ask->stays) ok = ok && send_word(c, ask, ask->undone ? "rollback" : "commit", OP_COMMIT);
    return ok && send_sync(c);
}

/* ---- its life ---- */

static void listen_to(struct postgres_connection *c, unsigned events) {
    int fd = PQsocket(c->raw);
    if (c->watch && c->fd == fd) {
        net_watch_events(c->watch, events);
        return;
    }
    if (c->watch) net_watch_free(c->watch);
    c->fd = fd;
    c->watch = fd >= 0 ? net_watch_new(c->db->options.loop, fd, events, on_ready, c) : NULL;
}

void postgres_connection_free(struct postgres_connection *c) {
    if (c->held) postgres_held_leave(c->held);
    if (c->watch) net_watch_free(c->watch);
    if (c->reach) postgres_reach_leave(c->reach);
    net_timer_free(c->timer);
    PQfinish(c->raw);
    free(c->ops);
    free(c);
}

/* It is no more. What was under way on it may be done, or not. */
static void lose_late(struct postgres_connection *c, const char *why, bool late) {
    struct postgres_ask *ask = c->ask;
    struct postgres *db = c->db;
    if (c->held) postgres_held_leave(c->held);
    c->held = NULL;
    bool came = c->state >= POSTGRES_FREE;
    if (!came) snprintf(db->why, sizeof db->why, "%s", why);
    c->ask = NULL;
    if (ask && c->state == POSTGRES_WORKING && ask->answer.outcome == POSTGRES_DONE) {
        bool nothing = ask->undone || !ask->commits;
        if (nothing && late) postgres_answer_refuse(&ask->answer, 0, "57014", "canceling statement due to statement timeout");
        else postgres_answer_fail(&ask->answer, nothing ? POSTGRES_AWAY : POSTGRES_LOST, why);
    }
    if (ask) postgres_ask_tell(ask);
    postgres_gone(db, c, came);
}

static void hear_anew(struct postgres_connection *c) { c->heard = 0, c->reads = 0; }

static const char unasked[] = "it says what nobody asked for";

static void lose(struct postgres_connection *c, const char *why) { lose_late(c, why, false); }

/* libpq's words name hosts and users, which are the operator's; its first line is enough. */
static void lose_by_server(struct postgres_connection *c) {
    char why[200];
    const char *text = PQerrorMessage(c->raw);
    snprintf(why, sizeof why, "%.*s", (int)strcspn(text, "\n"), text);
    lose(c, *why ? why : "the server closed the connection");
}

/* One that listens to a channel is told whatever others say there, for as long as it lives: it is not given out again. */
static void become_free(struct postgres_connection *c) {
    if (c->listens) {
        lose(c, unasked);
        return;
    }
    c->state = POSTGRES_FREE;
    c->ops_count = c->op = 0;
    hear_anew(c);
    net_timer_stop(c->timer);
    if (c->db->options.free_ms && !c->hears) net_timer_start(c->timer, c->db->options.free_ms, 0);
    listen_to(c, NET_READABLE);
    postgres_came(c->db);
}

static bool flush(struct postgres_connection *c) {
    int left = PQflush(c->raw);
    if (left >= 0) listen_to(c, left ? NET_READABLE | NET_WRITABLE : NET_READABLE);
    return left >= 0;
}

static void begin_undo(struct postgres_connection *c) {
    c->state = POSTGRES_UNDOING;
    c->ops_count = c->op = 0;
    hear_anew(c);
    if (!send_own(c, "rollback", OP_OWN) || !send_sync(c) || !flush(c)) lose_by_server(c);
}

static bool begin_commit(struct postgres_connection *c, struct postgres_ask *ask) {
    c->ops_count = c->op = 0;
    ask->commits = true;
    return send_own(c, ask->undone || !ask->told ? "rollback" : "commit", OP_COMMIT) && send_sync(c) && flush(c);
}

static void leave_held(struct postgres_connection *c) {
    if (c->held) postgres_held_leave(c->held);
    c->held = NULL;
}

static void become_held(struct postgres_connection *c) {
    c->state = POSTGRES_HELD;
    c->ops_count = c->op = 0;
    hear_anew(c);
    net_timer_stop(c->timer);
    listen_to(c, NET_READABLE);
}

void postgres_connection_let_go(struct postgres_connection *c) {
    c->held = NULL;
    if (c->state != POSTGRES_HELD) return;
    net_timer_start(c->timer, UNDO_MS, 0); /* nobody's ask has one for it */
    begin_undo(c);
}

/* invalid_sql_statement_name, duplicate_prepared_statement: its transaction failed by that, and by nothing of its own. Whose rows were given is not begun anew: they
 * would be given twice. */
static bool lost_kept(struct postgres_connection *c, const struct postgres_ask *ask) {
    const struct postgres_answer *a = &ask->answer;
    uint32_t at = a->error.statement < ask->count ? a->error.statement : 0; /* of a commit: as the first is */
    bool lost = a->outcome == POSTGRES_ERROR && ask->told && !ask->again && !ask->gave && !ask->bare && ask->count &&
                ask->statements[at].kept && (!strcmp(a->error.state, "26000") || !strcmp(a->error.state, "42P05"));
    if (lost) c->kept_count = 0, c->db->lost_kept++;
    return lost;
}

/* All was heard. The ask is told before the connection is anybody else's. */
static void end_ask(struct postgres_connection *c) {
    struct postgres_ask *ask = c->ask;
    if (ask && ask->judge && !ask->commits && ask->answer.outcome == POSTGRES_DONE) {
        struct postgres_error error = {.statement = ask->count};
        if (!ask->told || ask->judge(ask->arg, &ask->answer, &error)) {
            if (!ask->stays || !ask->told) {
                if (!begin_commit(c, ask)) lose_by_server(c);
                return;
            }
        } else ask->answer.outcome = POSTGRES_ERROR, ask->answer.error = error;
    }
    bool open = PQtransactionStatus(c->raw) != PQTRANS_IDLE;
    c->ask = NULL;
    if (ask && ask->stays && c->held && ask->answer.outcome == POSTGRES_DONE && PQtransactionStatus(c->raw) == PQTRANS_INTRANS) {
        become_held(c);
        postgres_ask_tell(ask);
        return;
    }
    bool was_held = c->held;
    leave_held(c);
    if (ask && !was_held && lost_kept(c, ask)) postgres_again(c->db, ask);
    else if (ask) postgres_ask_tell(ask);
    if (open) begin_undo(c);
    else become_free(c);
}

/* ---- what is heard ---- */

/* A pooler says of its connections that they are processes of its own: behind one, another's would listen. What was said before this one listens nobody hears. */
static void hear_setup(struct postgres_connection *c, enum op_kind kind, const PGresult *r) {
    if (kind == OP_PID) c->direct = PQntuples(r) == 1 && atoi(PQgetvalue(r, 0, 0)) == PQbackendPID(c->raw);
    if (kind == OP_LISTEN) c->hears = true, c->db->heard(c->db->heard_arg);
}

static void hear_row(struct postgres_connection *c, struct postgres_ask *ask, const PGresult *r) {
    const str value = {(const uint8_t *)PQgetvalue(r, 0, 0), (size_t)PQgetlength(r, 0, 0)};
    ask->gave = true;
    c->paused = !ask->row(ask->arg, &ask->answer, value);
}

static void hear_statement(struct postgres_connection *c, const struct op *op, PGresult *r) {
    c->heard = 0;
    if (c->state == POSTGRES_SETTING) hear_setup(c, op->kind, r);
    if (c->ask && PQresultStatus(r) == PGRES_SINGLE_TUPLE) {
        hear_row(c, c->ask, r);
        PQclear(r);
    } else if (!c->ask || op->kind != OP_STATEMENT) PQclear(r);
    else if (!postgres_answer_take(&c->ask->answer, op->statement, r)) c->ended = true;
}

static void hear_result(struct postgres_connection *c, const struct op *op, PGresult *r) {
    switch (PQresultStatus(r)) {
    case PGRES_COMMAND_OK:
        if (op->kind == OP_PREPARE && c->kept_count < POSTGRES_KEPT_MAX) c->kept[c->kept_count++] = op->hash;
        [[fallthrough]];
    case PGRES_SINGLE_TUPLE:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY: hear_statement(c, op, r); return;
    case PGRES_PIPELINE_ABORTED: break;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH: /* its rows have no place in a pipeline, and libpq finds no way out: the connection goes, and nothing is committed */
        if (c->ask)
            postgres_answer_refuse(&c->ask->answer, op->statement, "0A000",
                                   "COPY has nowhere to go to here: write insert or select");
        c->ended = true;
        break;
    default:
        if (c->ask) postgres_answer_error(&c->ask->answer, op->kind == OP_COMMIT ? c->ask->count : op->statement, r);
    }
    PQclear(r);
}

/* What is heard now is a statement whose rows are given as they come. */
static bool is_streamed(const struct postgres_connection *c) {
    const struct op *op = c->op < c->ops_count ? &c->ops[c->op] : NULL;
    return op && op->kind == OP_STATEMENT && c->ask && c->ask->streams == op->statement + 1;
}

/* False: nothing more is there yet. */
static bool hear_one(struct postgres_connection *c) {
    if (c->ended || c->paused || c->op == c->ops_count || PQisBusy(c->raw)) return false;
    const struct op op = c->ops[c->op];
    PGresult *r = PQgetResult(c->raw);
    if (!r) {
        c->op++;
        if (is_streamed(c)) (void)PQsetSingleRowMode(c->raw);
        return true;
    }
    if (PQresultStatus(r) == PGRES_PIPELINE_SYNC) {
        c->op = c->ops_count;
        PQclear(r);
    } else hear_result(c, &op, r);
    return true;
}

/* libpq parses nothing before it is asked to, and keeps each notification. Nobody waits for those: a function of the app's may have said listen. */
static void drain(struct postgres_connection *c) {
    const char *ours = c->db->listens;
    bool told = false;
    for (PGnotify *n; (n = PQnotifies(c->raw)); PQfreemem(n)) {
        if (ours && !strcmp(n->relname, ours)) told = true, c->told++;
        else c->listens = true;
    }
    if (!told) return;
    uint64_t now = clock_mono_ns();
    if (!c->ask) c->heard = 0; /* an answer's bytes count whatever is said in between */
    if (now - c->told_ns > 1'000'000'000u) c->told_ns = now, c->told = 1;
    if (c->told > TOLD_A_SECOND && c->state == POSTGRES_FREE)
        c->ended = true; /* anybody may say something there: it is found out otherwise then */
    c->db->heard(c->db->heard_arg);
}

/* libpq reads no more at a time than its buffer has room for: what comes at first is no more than what came before. */
static bool read_more(struct postgres_connection *c) {
    int before = 0, after = 0;
    bool counts = !c->ask || c->reads++;
    if (counts) ioctl(c->fd, FIONREAD, &before);
    if (!PQconsumeInput(c->raw) || PQstatus(c->raw) == CONNECTION_BAD) return false;
    if (before > LEAST_READ) ioctl(c->fd, FIONREAD, &after);
    c->heard += (uint64_t)MAX(before - after, MIN(before, LEAST_READ));
    return true;
}

/* libpq keeps what has come of a statement until all of it is there: that is bounded, too; and what comes where nothing was asked. */
static bool consume(struct postgres_connection *c) {
    struct postgres_ask *ask = c->ask;
    if (!read_more(c)) return false;
    while (hear_one(c)) {}
    drain(c);
    if (!ask && (c->heard > ROW_SLACK || (c->listens && c->state == POSTGRES_FREE))) c->ended = true;
    if (!ask || c->ask != ask || c->op == c->ops_count) return true;
    uint64_t most = ask->answer.bytes_max ? ask->answer.bytes_max : INT32_MAX;
    if (c->heard <= most + ROW_SLACK) return true;
    postgres_answer_large(&ask->answer, c->ops[c->op].statement);
    c->ended = true;
    return true;
}

/* Who takes the rows has enough: the server waits, and that is not its time. */
static void pause_ask(struct postgres_connection *c) {
    struct postgres_ask *ask = c->ask;
    uint64_t ms = (clock_mono_ns() - ask->since_ns) / 1'000'000u;
    ask->left_ms = ask->left_ms > ms ? ask->left_ms - ms : 1;
    net_timer_stop(c->timer);
    listen_to(c, 0);
}

static bool begin_listen(struct postgres_connection *c) {
    char text[80];
    c->ops_count = c->op = 0;
    c->direct = false; /* once: a standby has nobody listen */
    hear_anew(c);
    snprintf(text, sizeof text, "listen %s", c->db->listens);
    return send_own(c, text, OP_LISTEN) && send_sync(c) && flush(c);
}

static void hear(struct postgres_connection *c) {
    if (!consume(c)) {
        lose_by_server(c);
        return;
    }
    if (c->paused && !c->ended) {
        pause_ask(c);
        return;
    }
    if (c->ended) {
        lose(c, unasked);
        return;
    }
    if (c->op < c->ops_count || c->state == POSTGRES_FREE || c->state == POSTGRES_HELD) return;
    if (c->state == POSTGRES_WORKING) end_ask(c);
    else if (c->state == POSTGRES_SETTING && c->direct && !c->hears) {
        if (!begin_listen(c)) lose_by_server(c);
    } else become_free(c);
}

void postgres_more(struct postgres_ask *ask) {
    struct postgres_connection *c = ask->on;
    if (!c || !c->paused) return;
    c->paused = false;
    ask->since_ns = clock_mono_ns();
    if (ask->ms_max) net_timer_start(c->timer, ask->left_ms, 0);
    if (!flush(c)) lose_by_server(c);
    else hear(c);
}

/* What statements raise for whoever sits there: nobody does. */
static void let_go(void *arg, const char *notice) {}

static bool sets_up(const struct postgres_connection *c) { return c->db->setup || c->db->listens; }

static bool begin_setup(struct postgres_connection *c) {
    c->state = POSTGRES_SETTING;
    hear_anew(c);
    if (PQsetnonblocking(c->raw, 1) || PQenterPipelineMode(c->raw) != 1) return false;
    if (!sets_up(c)) return true;
    return (!c->db->setup || send_own(c, c->db->setup, OP_OWN)) &&
           (!c->db->listens || send_own(c, "select pg_catalog.pg_backend_pid()", OP_PID)) && send_sync(c) && flush(c);
}

static void go_on_connecting(struct postgres_connection *c) {
    switch (PQconnectPoll(c->raw)) {
    case PGRES_POLLING_READING: listen_to(c, NET_READABLE); return;
    case PGRES_POLLING_WRITING: listen_to(c, NET_WRITABLE); return;
    case PGRES_POLLING_OK:
        if (!begin_setup(c)) lose_by_server(c);
        else if (!sets_up(c)) become_free(c);
        return;
    default: lose_by_server(c);
    }
}

void postgres_connection_reached(struct postgres_connection *c, PGconn *raw, const char *why, bool refused) {
    c->reach = NULL;
    c->raw = raw;
    c->db->unwelcome = !raw && refused;
    if (!raw) {
        lose(c, why);
        return;
    }
    PQsetNoticeProcessor(c->raw, let_go, NULL);
    listen_to(c, NET_READABLE);
    if (!begin_setup(c)) lose_by_server(c);
    else if (!sets_up(c)) become_free(c);
}

static void on_ready(void *arg, unsigned events) {
    struct postgres_connection *c = arg;
    if (c->state == POSTGRES_CONNECTING) {
        go_on_connecting(c);
        return;
    }
    if (events & NET_WRITABLE && !flush(c)) {
        lose_by_server(c);
        return;
    }
    hear(c);
}

void postgres_connection_lose(struct postgres_connection *c, const char *why) { lose(c, why); }

/* Where too many are on the way to servers, it waits for one of them to be there. */
static void begin_reach(struct postgres_connection *c) {
    const struct postgres_options *o = &c->db->options;
    c->reach = postgres_reach_new(c, o->place, o->whose, o->loop);
    net_timer_start(c->timer, c->reach ? o->connect_ms : CROWDED_AGAIN_MS, 0);
}

static void on_late(void *arg) {
    struct postgres_connection *c = arg;
    bool crowded = c->state == POSTGRES_CONNECTING && !c->reach && !c->raw;
    if (crowded && c->tries++ < CROWDED_TRIES) {
        begin_reach(c);
        return;
    }
    lose_late(c,
              c->state == POSTGRES_FREE ? ""
              : crowded                 ? "too many connections to it have not come"
                                        : "the server does not answer",
              true);
}

void postgres_connection_take(struct postgres_connection *c, struct postgres_ask *ask) {
    c->state = POSTGRES_WORKING;
    c->ask = ask;
    ask->on = c;
    hear_anew(c);
    net_timer_stop(c->timer);
    if (ask->ms_max) net_timer_start(c->timer, ask->ms_max, 0);
    c->paused = false;
    ask->since_ns = clock_mono_ns(), ask->left_ms = ask->ms_max;
    if (!send_ask(c, ask) || !flush(c)) lose_by_server(c);
}

struct postgres_connection *postgres_connection_new(struct postgres *db) {
    struct postgres_connection *c = calloc(1, sizeof *c);
    ENSURE(c);
    c->db = db;
    c->fd = -1;
    c->state = POSTGRES_CONNECTING;
    c->timer = net_timer_new(db->options.loop, on_late, c);
    if (db->options.place) {
        begin_reach(c);
        return c;
    }
    c->raw = PQconnectStart(db->where);
    ENSURE(c->raw);
    PQsetNoticeProcessor(c->raw, let_go, NULL);
    net_timer_start(c->timer, PQstatus(c->raw) == CONNECTION_BAD ? 1 : db->options.connect_ms, 0); /* told from the loop */
    if (PQstatus(c->raw) != CONNECTION_BAD) listen_to(c, NET_WRITABLE);
    return c;
}
