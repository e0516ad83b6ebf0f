/* errand: what an app's owner has done with the app's database, where that is PostgreSQL's: as the store does it on SQLite (store/errand.c).
 *
 *   MIGRATE  a plan: for each part its statements, as the role postgres, its row in _orlo.migrations; then the catalogue ──one transaction──> all of it, or none.
 *            Where a later part needs that an earlier one is committed, the plan has a catalogue there too, and is as many transactions
 *   RESET    the same in a new database, made of _platform; then the two change places: nobody is at work, all are cut off, both are renamed in one transaction,
 *            and the old one goes. What is left of one that did not come to its end goes when the base is opened again
 *   FILL     as MIGRATE
 *   DUMP     all rows as INSERT statements (dump.c)
 *   QUERY    a query tree, as a role and with claims: an ask like all others (ask.c)
 *
 * 1. Each is done alone; what apps ask of the database meanwhile goes on, and PostgreSQL's locks say who waits.
 * 2. A plan is of one catalogue, by its digest, which is looked at in its own transaction. Where another one is there by now, nothing is done (ERR_AGAIN).
 * 3. A statement that a file has is sent by itself, so that none of it can be two; what it sets is its connection's, which is closed behind it.
 */
#include "crypto/crypto.h"
#include "node/postgres/broker.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { SWAP_ATTEMPTS = 100, ANSWER_BYTES_MAX = 64 << 20 };
enum { OWN_MS = 60'000, PLAN_MS = 3'600'000 };

struct owed { /* a statement that is sent: of which part and step; step 0: our own */
    uint32_t part, step;
};
struct work {
    struct broker_errand *errand;
    struct migration_plan plan;
    struct migration_done done;
    uint32_t at, until; /* parts of the transaction that is on its way */
    str catalog;        /* that is to be there afterwards; empty: the same */
    VEC(struct postgres_statement) s;
    VEC(struct owed) of;
    char digest[2 * APP_DIGEST_BYTES + 1];
    uint32_t ours; /* statements of our own before all of the parts' */
    bool other;    /* the catalogue is not that of the plan */
    /* RESET */
    struct postgres *next, *template;                                /* connections to _next, to template1 */
    enum { RESET_WORKS, RESET_WAITS, RESET_CUTS, RESET_ENDS } reset; /* what it is to do where it is not told: node_errand_tick */
    uint32_t attempts;
};

static struct work *work_of(struct broker_errand *w) { return w->work; }

err node_errand_say(struct broker_errand *w, str bytes) {
    for (size_t at = 0; at < bytes.n;) {
        ssize_t n = pwrite(w->out, bytes.p + at, bytes.n - at, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return diag_set(&w->d, ERR_IO, DIAG_NOWHERE, "there is no memory for the answer: %s", strerror(errno));
        at += (size_t)n;
    }
    return ERR_OK;
}

void node_errand_over(struct broker_errand *w, err e) {
    w->e = e;
    node_base_errand_over(w);
}

/* What went wrong with a statement of our own. */
static err failed(struct broker_errand *w, const struct postgres_answer *a) {
    const struct postgres_error *e = postgres_error(a);
    switch (postgres_outcome(a)) {
    case POSTGRES_LOST:
        return diag_set(&w->d, ERR_CLOSED, DIAG_NOWHERE, "the database system ended meanwhile: it may be done, or not");
    case POSTGRES_ERROR: return diag_set(&w->d, ERR_INVALID, DIAG_NOWHERE, "%s: %.600s", e->state, e->message);
    default: return diag_set(&w->d, ERR_CLOSED, DIAG_NOWHERE, "the database system is not there at the moment: nothing was done");
    }
}

static str text_of(struct broker_errand *w, const struct postgres_answer *a, uint32_t s, uint32_t row, uint32_t column) {
    return arena_str(w->mem, postgres_value(a, s, row, column, NULL));
}

static uint64_t number(str s) {
    uint64_t v = 0;
    return str_to_u64(s, &v) ? v : 0;
}

static void ask_admin(struct broker_errand *w, struct postgres *db, const struct postgres_statement *s, uint32_t n, bool bare,
                      postgres_told told) {
    const struct postgres_question q = {
        .statements = s, .count = n, .ms_max = OWN_MS, .bytes_max = ANSWER_BYTES_MAX + CATALOG_BYTES_MAX, .bare = bare};
    (void)postgres_ask(db, &q, told, w);
}

/* ---- what there is ---- */

static bool digest_of(str hex, uint8_t digest[APP_DIGEST_BYTES]) {
    bool ok = hex.n == 2 * APP_DIGEST_BYTES;
    for (size_t i = 0; ok && i < hex.n; i++) {
        uint8_t c = hex.p[i], v = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
        ok = v < 16;
        digest[i / 2] = (uint8_t)(i % 2 ? digest[i / 2] | v : v << 4);
    }
    return ok;
}

static void on_state(void *arg, const struct postgres_answer *a) {
    struct broker_errand *w = arg;
    struct migration_state state = {0};
    struct buf b = {0};
    if (postgres_outcome(a) != POSTGRES_DONE) {
        node_errand_over(w, failed(w, a));
        return;
    }
    state.catalog = text_of(w, a, 0, 0, 0);
    state.bytes = number(postgres_value(a, 2, 0, 0, NULL));
    for (uint32_t i = 0; i < postgres_rows(a, 1); i++) {
        struct migration_applied m = {.name = text_of(w, a, 1, i, 0), .at_s = number(postgres_value(a, 1, i, 2, NULL)) / 1000};
        if (digest_of(postgres_value(a, 1, i, 1, NULL), m.digest)) vec_push(w->mem, &state.applied, m);
    }
    node_migration_state_write(&b, &state);
    err e = node_errand_say(w, buf_str(&b));
    buf_free(&b);
    node_errand_over(w, e);
}

static void tell_state(struct broker_errand *w) {
    static const struct postgres_statement s[] = {
        {.text = STR_INIT(BROKER_CATALOG)},
        {.text = STR_INIT("select name, sha256, applied_at from _orlo.migrations order by position")},
        {.text = STR_INIT("select pg_catalog.pg_database_size(pg_catalog.current_database())")}};
    ask_admin(w, w->base->admin, s, ARRAY_COUNT(s), false, on_state);
}

/* ---- a plan ---- */

static void push(struct work *k, str text, const struct postgres_value *values, uint32_t n, struct owed of) {
    arena *mem = k->errand->mem;
    vec_push(mem, &k->s, ((struct postgres_statement){.text = text, .values = values, .count = n}));
    vec_push(mem, &k->of, of);
}
static void push_own(struct work *k, const char *text) { push(k, str_c(text), NULL, 0, (struct owed){UINT32_MAX, 0}); }

static void push_values(struct work *k, const char *text, const str *values, uint32_t n) {
    struct postgres_value *v = arena_array(k->errand->mem, struct postgres_value, n);
    for (uint32_t i = 0; i < n; i++) v[i] = (struct postgres_value){.text = values[i]};
    push(k, str_c(text), v, n, (struct owed){UINT32_MAX, 0});
}

static void hex_of(const uint8_t digest[APP_DIGEST_BYTES], char to[static 2 * APP_DIGEST_BYTES + 1]) {
    for (size_t i = 0; i < APP_DIGEST_BYTES; i++) snprintf(to + 2 * i, 3, "%02x", digest[i]);
}

/* Rows that are copied into a server that somebody runs: a reset there, or what fills it, is a move's. */
static bool fills_server(const struct broker_errand *w) {
    return w->base->secret[0] && (w->does == NODE_DATA_RESET || w->does == NODE_DATA_FILL);
}

static void push_part(struct work *k, uint32_t i) {
    const struct migration_part *p = &k->plan.parts.p[i];
    arena *mem = k->errand->mem;
    char hex[2 * APP_DIGEST_BYTES + 1];
    if (p->seed && fills_server(k->errand)) push_own(k, node_move_rows);
    for (uint32_t step = 0; step < p->steps.n; step++) push(k, p->steps.p[step].text, NULL, 0, (struct owed){i, step + 1});
    push_own(k, "reset session authorization");
    push_own(k, "reset role");
    push_own(k, "reset search_path");
    if (p->seed) return;
    hex_of(p->digest, hex);
    const str values[] = {p->name, arena_str(mem, str_c(hex)),
                          arena_fmt(mem, "%llu", (unsigned long long)(clock_wall_ns() / 1'000'000u)),
                          arena_fmt(mem, "%u", p->steps.n)};
    push_values(k,
                "insert into _orlo.migrations (position, name, sha256, applied_at, statements) values "
                "((select coalesce(max(position), 0) + 1 from _orlo.migrations), $1, $2, $3::bigint, $4::bigint)",
                values, ARRAY_COUNT(values));
}

/* The next transaction: the first statement says what is there, the last what it has become. */
static void push_plan(struct work *k) {
    char limit[80];
    k->s.n = k->of.n = 0;
    k->catalog = (str){0};
    snprintf(limit, sizeof limit, "set local statement_timeout = %u", k->errand->ms_max);
    push_own(k, "select pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(coalesce((select value from _orlo.meta where "
                "key = 'catalog'), ''), "
                "'UTF8')), 'hex'), pg_catalog.pg_database_size(pg_catalog.current_database()), pg_advisory_xact_lock(20260101)");
    push(k, arena_str(k->errand->mem, str_c(limit)), NULL, 0, (struct owed){UINT32_MAX, 0});
    if (!k->at && k->errand->base->secret[0] && k->errand->does == NODE_DATA_RESET)
        for (uint32_t i = 0; i < BROKER_MOVE_BEFORE; i++) push_own(k, node_move_before[i]);
    k->ours = k->s.n;
    bool feeds = k->errand->base->feeds && k->errand->does == NODE_DATA_MIGRATE;
    if (feeds) push_own(k, "select pg_catalog.set_config('orlo.changes', 'off', true)");
    for (k->until = k->at; k->until < k->plan.parts.n && !k->catalog.n; k->until++) {
        push_part(k, k->until);
        k->catalog = k->plan.parts.p[k->until].catalog;
    }
    if (k->catalog.n)
        push_values(k, "insert into _orlo.meta values ('catalog', $1) on conflict (key) do update set value = excluded.value",
                    &k->catalog, 1);
    if (feeds) push_own(k, "select _orlo.feed_anew()");
    push_own(k, "update _orlo.meta set value = (value::bigint + 1)::text where key = 'version'");
    push_own(k, "select pg_catalog.pg_database_size(pg_catalog.current_database())");
}

static bool judge(void *arg, const struct postgres_answer *a, struct postgres_error *error) {
    struct broker_errand *w = arg;
    struct work *k = work_of(w);
    uint64_t before = number(postgres_value(a, 0, 0, 1, NULL)), behind = number(postgres_value(a, k->s.n - 1, 0, 0, NULL));
    k->other = w->does == NODE_DATA_MIGRATE && !str_eqc(postgres_value(a, 0, 0, 0, NULL), k->digest);
    snprintf(error->state, sizeof error->state, "53100");
    snprintf(error->message, sizeof error->message, "the database would have %llu bytes, and may have %llu (database_mb)",
             (unsigned long long)behind, (unsigned long long)w->bytes_max);
    return !k->other && (w->base->secret[0] || behind <= w->bytes_max || behind <= before);
}

static err tell_done(struct broker_errand *w) {
    struct buf b = {0};
    node_migration_done_write(&b, &work_of(w)->done);
    err e = node_errand_say(w, buf_str(&b));
    buf_free(&b);
    return e;
}

/* A statement of a file, or what it left to be checked at the commit: the file's fault, and an answer. */
static void name_failed(struct work *k, const struct postgres_error *e) {
    struct owed of = e->statement < k->of.n ? k->of.p[e->statement] : (struct owed){UINT32_MAX, 0};
    bool ours = !of.step;
    k->done.failed = ours ? MAX(k->until, 1u) - 1 : of.part;
    k->done.step = ours ? 1 : of.step;
    k->done.state = arena_str(k->errand->mem, str_c(e->state));
    k->done.text = arena_fmt(
        k->errand->mem, "%s%s%s%s%s%s", e->message, e->detail[0] ? "; " : "", e->detail, e->hint[0] ? "; " : "", e->hint,
        strcmp(e->state, "25001") ? "" : "; all that is pending is one transaction: write it without CONCURRENTLY");
}

static void take_outcome(struct broker_errand *w, const struct postgres_answer *a) {
    struct work *k = work_of(w);
    if (postgres_outcome(a) == POSTGRES_DONE) {
        k->done.parts = k->until;
        w->e = ERR_OK;
    } else if (k->other) {
        w->e = diag_set(&w->d, ERR_AGAIN, DIAG_NOWHERE, "the database was migrated meanwhile: try again");
    } else if (postgres_outcome(a) == POSTGRES_ERROR && w->base->secret[0] && w->does == NODE_DATA_RESET &&
               postgres_error(a)->statement < k->ours) {
        w->e = diag_set(&w->d, ERR_INVALID, DIAG_NOWHERE, "the server: %.600s", postgres_error(a)->message);
    } else if (postgres_outcome(a) == POSTGRES_ERROR) {
        name_failed(k, postgres_error(a));
        if (w->does == NODE_DATA_RESET) k->done.parts = 0;
        w->e = ERR_OK;
    } else {
        w->e = failed(w, a);
    }
    if (w->e == ERR_OK) w->e = tell_done(w);
}

static void ask_plan(struct broker_errand *w, struct postgres *db, postgres_told told) {
    struct work *k = work_of(w);
    uint64_t each = w->ms_max,
             ms_max = MIN(each * (k->s.n + 1), MAX(each, (uint64_t)PLAN_MS)); /* a file may set its own timeout */
    (void)postgres_ask(db,
                       &(struct postgres_question){.statements = k->s.p,
                                                   .count = k->s.n,
                                                   .ms_max = (uint32_t)MIN(ms_max, (uint64_t)INT32_MAX),
                                                   .bytes_max = 64 << 20, /* of selects in files, which nobody reads */
                                                   .judge = judge},
                       told, w);
}

/* What stands is the next one's ground. */
static bool goes_on(struct broker_errand *w, const struct postgres_answer *a, struct postgres *db, postgres_told told) {
    struct work *k = work_of(w);
    uint8_t digest[APP_DIGEST_BYTES];
    if (postgres_outcome(a) != POSTGRES_DONE || k->until >= k->plan.parts.n || w->base->leaves) return false;
    k->done.parts = k->at = k->until;
    crypto_sha256(k->catalog, digest);
    hex_of(digest, k->digest);
    push_plan(k);
    ask_plan(w, db, told);
    return true;
}

static void on_migrated(void *arg, const struct postgres_answer *a) {
    struct broker_errand *w = arg;
    if (goes_on(w, a, w->base->owner, on_migrated)) return;
    take_outcome(w, a);
    if (work_of(w)->done.parts && !w->base->leaves && w->base->admin) node_base_reload(w);
    else node_errand_over(w, w->e);
}

static err read_plan(struct broker_errand *w) {
    struct work *k = work_of(w);
    str bytes;
    if (w->base->frozen && !fills_server(w)) /* what a move left there that was broken off goes first */
        return diag_set(&w->d, ERR_BUSY, DIAG_NOWHERE, NODE_TREE_MOVES ": try again later");
    TRY(node_fd_bytes(w->mem, w->in, MIGRATION_PLAN_BYTES_MAX, &bytes, &w->d));
    TRY(node_migration_plan_read(w->mem, bytes, &k->plan, &w->d));
    if (k->plan.errors) return diag_set(&w->d, ERR_INVALID, DIAG_NOWHERE, "a plan that has mistakes");
    hex_of(k->plan.from, k->digest);
    push_plan(k);
    return ERR_OK;
}

static void migrate(struct broker_errand *w) {
    struct broker_base *b = w->base;
    err e = read_plan(w);
    if (e != ERR_OK) {
        node_errand_over(w, e);
        return;
    }
    b->owner = node_base_connect(b, "postgres", "postgres", 1);
    ask_plan(w, b->owner, on_migrated);
}

/* ---- all anew ---- */

static const char roles_aside[] =
    "do $$ declare r record; begin for r in select rolname from pg_catalog.pg_roles where rolname !~ '^(pg_|_before_)' and "
    "rolname not in ('orlo', 'orlo_feed') and "
    "not quote_literal(rolname) = any (string_to_array((select value from _orlo.meta where key = 'roles'), ', ')) loop "
    "execute format('alter role %I rename to %I', r.rolname, '_before_' || r.rolname); end loop; end $$";
const char node_roles_back[] =
    "do $$ declare r record; begin for r in select o.rolname from pg_catalog.pg_roles o where o.rolname like '\\_before\\_%' and "
    "not exists (select from pg_catalog.pg_roles b where b.rolname = substr(o.rolname, 9)) loop "
    "execute format('alter role %I rename to %I', r.rolname, substr(r.rolname, 9)); end loop; end $$";
const char node_roles_drop[] = "do $$ declare r record; begin for r in select rolname from pg_catalog.pg_roles where rolname "
                               "like '\\_before\\_%' loop "
                               "begin execute format('drop role %I', r.rolname); exception when others then null; end; end loop; "
                               "end $$"; /* one that owns something is the owner's own */

static void ask_text(struct broker_errand *w, struct postgres *db, const char *text, bool bare, postgres_told told) {
    ask_admin(w, db, &(struct postgres_statement){.text = str_c(text)}, 1, bare, told);
}

/* False: it is over, or ends. What is left of it is taken away when the base is opened again. */
static bool goes_well(struct broker_errand *w, const struct postgres_answer *a) {
    struct work *k = work_of(w);
    if (postgres_outcome(a) == POSTGRES_DONE) return true;
    w->e = failed(w, a);
    k->reset = RESET_ENDS;
    return false;
}

static void on_old_roles_gone(void *arg, const struct postgres_answer *a) { work_of(arg)->reset = RESET_ENDS; }

static void on_old_gone(void *arg, const struct postgres_answer *a) {
    struct broker_errand *w = arg;
    ask_text(w, work_of(w)->template, node_roles_drop, false,
             on_old_roles_gone); /* what of this fails is done at the next opening */
}

/* It has been tried so often; somebody may come between again. */
static void cut_off(struct broker_errand *w, postgres_told told) {
    ask_text(w, work_of(w)->template,
             "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname in ('postgres', '_next') and pid <> "
             "pg_backend_pid()",
             false, told);
}

static void on_swapped(void *arg, const struct postgres_answer *a) {
    struct broker_errand *w = arg;
    struct work *k = work_of(w);
    bool used = postgres_outcome(a) == POSTGRES_ERROR && !strcmp(postgres_error(a)->state, "55006");
    if (used && k->attempts++ < SWAP_ATTEMPTS) k->reset = RESET_CUTS;
    else if (goes_well(w, a)) ask_text(w, k->template, "drop database if exists _old with (force)", true, on_old_gone);
}

static void on_cut_off(void *arg, const struct postgres_answer *a) {
    static const struct postgres_statement s[] = {{.text = STR_INIT("alter database postgres rename to _old")},
                                                  {.text = STR_INIT("alter database _next rename to postgres")}};
    struct broker_errand *w = arg;
    if (goes_well(w, a)) ask_admin(w, work_of(w)->template, s, ARRAY_COUNT(s), false, on_swapped);
}

static void on_filled(void *arg, const struct postgres_answer *a) {
    struct broker_errand *w = arg;
    struct work *k = work_of(w);
    if (goes_on(w, a, k->next, on_filled)) return;
    take_outcome(w, a);
    k->reset = postgres_outcome(a) == POSTGRES_DONE ? RESET_WAITS : RESET_ENDS;
    w->base->held = k->reset == RESET_WAITS;
}

static void on_aside(void *arg, const struct postgres_answer *a) {
    struct broker_errand *w = arg;
    struct work *k = work_of(w);
    if (!goes_well(w, a)) return;
    k->next = node_base_connect(w->base, "postgres", "_next", 1);
    ask_plan(w, k->next, on_filled);
}

static void on_copied(void *arg, const struct postgres_answer *a) {
    struct broker_errand *w = arg;
    if (goes_well(w, a)) ask_text(w, w->base->admin, roles_aside, false, on_aside);
}

static void on_none_left(void *arg, const struct postgres_answer *a) {
    struct broker_errand *w = arg;
    if (goes_well(w, a)) ask_text(w, w->base->admin, "create database _next template _platform owner postgres", true, on_copied);
}

/* Of a server that somebody runs: a move goes into what is empty there, and is its transactions. */
static void on_server_filled(void *arg, const struct postgres_answer *a) {
    struct broker_errand *w = arg;
    if (goes_on(w, a, w->base->owner, on_server_filled)) return;
    take_outcome(w, a);
    if (postgres_outcome(a) == POSTGRES_DONE) w->base->frozen = false;
    if (work_of(w)->done.parts && !w->base->leaves && w->base->admin) node_base_reload(w);
    else node_errand_over(w, w->e);
}

static void reset_server(struct broker_errand *w) {
    struct broker_base *b = w->base;
    b->owner = node_base_connect(b, "postgres", "postgres", 1);
    ask_plan(w, b->owner, on_server_filled);
}

static void reset(struct broker_errand *w) {
    err e = read_plan(w);
    if (e != ERR_OK) node_errand_over(w, e);
    else if (w->base->secret[0]) reset_server(w);
    else ask_text(w, w->base->admin, "drop database if exists _next with (force)", true, on_none_left);
}

static void close_own(struct postgres **db) {
    if (*db) postgres_end(*db, "it is done");
    postgres_free(*db);
    *db = NULL;
}

static void end_reset(struct broker_errand *w) {
    struct work *k = work_of(w);
    struct broker_base *b = w->base;
    k->reset = RESET_ENDS;
    close_own(&k->next), close_own(&k->template);
    if (b->run < 0) {
        if (w->e == ERR_OK)
            w->e = diag_set(&w->d, ERR_CLOSED, DIAG_NOWHERE, "the database system ended meanwhile: it may be done, or not");
        node_errand_over(w, w->e);
        return;
    }
    b->reloads = w;
    node_base_close(b);
    node_base_open(b);
}

void node_errand_tick(struct broker_errand *w) {
    struct work *k = work_of(w);
    struct broker_base *b = w->base;
    if (w->does == NODE_DATA_FREEZE) node_move_tick(w);
    if (w->does == NODE_DATA_SCHEMA) node_schema_tick(w);
    if (w->does != NODE_DATA_RESET || b->secret[0] || b->reloads == w) return;
    if (k->reset == RESET_ENDS || b->run < 0) {
        end_reset(w);
    } else if (k->reset == RESET_CUTS) {
        k->reset = RESET_WORKS;
        cut_off(w, on_cut_off);
    } else if (k->reset == RESET_WAITS && b->running == 0) {
        k->reset = RESET_WORKS;
        node_base_close(b);
        close_own(&k->next);
        k->template = node_base_connect(b, "orlo", "template1", 1);
        cut_off(w, on_cut_off);
    }
}

/* ---- as somebody ---- */

static void query(struct broker_errand *w) {
    static const struct json_limits limits = {.bytes_max = 9 << 20, .depth_max = 8, .values_max = 64};
    struct json v;
    str text;
    err e = node_fd_bytes(w->mem, w->in, limits.bytes_max, &text, &w->d);
    if (e == ERR_OK) e = json_read(w->mem, text, &limits, &v, &w->d);
    if (e != ERR_OK) {
        node_errand_over(w, e);
        return;
    }
    if (json_get(&v, "sql")) {
        node_sql_ask(w, &v);
        return;
    }
    arena *mem = arena_new(0);
    struct broker_ask *a = arena_make(mem, struct broker_ask);
    uint64_t now = clock_mono_ns();
    *a = (struct broker_ask){.mem = mem,
                             .base = w->base,
                             .errand = w,
                             .answer_bytes_max = ANSWER_BYTES_MAX,
                             .bytes = text.n + sizeof *a,
                             .bytes_max = w->bytes_max,
                             .came_ns = now,
                             .until_ns = now + w->ms_max * 1'000'000ull};
    const struct node_tree_ask who = {.role = json_str(json_get(&v, "role")),
                                      .claims = json_str(json_get(&v, "claims")),
                                      .body = json_str(json_get(&v, "query"))};
    node_tree_ask_copy(mem, &who, &a->who);
    node_base_ask(a);
}

void node_errand_asked(struct broker_errand *w, struct broker_ask *a) {
    const struct pg_error *e = &a->error;
    err how = e->set ? diag_set(&w->d, ERR_INVALID, DIAG_NOWHERE, "%s: %s%s%s%s%s", e->state, e->message,
                                e->detail[0] ? "; " : "", e->detail, e->hint[0] ? "; " : "", e->hint)
                     : node_errand_say(w, buf_str(&a->body));
    node_ask_free(a);
    node_errand_over(w, how);
}

/* ---- which ---- */

void node_errand_begin(struct broker_errand *w) {
    static void (*const does[NODE_DATA_DOES])(struct broker_errand * w) = {[NODE_DATA_STATE] = tell_state,
                                                                           [NODE_DATA_MIGRATE] = migrate,
                                                                           [NODE_DATA_RESET] = reset,
                                                                           [NODE_DATA_DUMP] = node_dump_begin,
                                                                           [NODE_DATA_FILL] = migrate,
                                                                           [NODE_DATA_QUERY] = query,
                                                                           [NODE_DATA_EXPLAIN] = node_explain_begin,
                                                                           [NODE_DATA_SCHEMA] = node_schema_begin,
                                                                           [NODE_DATA_CLUSTER_BEGIN] = node_backup_begin,
                                                                           [NODE_DATA_CLUSTER_END] = node_backup_end,
                                                                           [NODE_DATA_CLUSTER_AT] = node_backup_at,
                                                                           [NODE_DATA_FREEZE] = node_move_freeze,
                                                                           [NODE_DATA_THAW] = node_move_thaw,
                                                                           [NODE_DATA_DROP] = node_move_undo,
                                                                           [NODE_DATA_SUMS] = node_move_sums};
    struct work *k = arena_make(w->mem, struct work);
    *k = (struct work){.errand = w};
    w->work = k;
    if (does[w->does]) does[w->does](w);
    else
        node_errand_over(w,
                         diag_set(&w->d, ERR_UNSUPPORTED, DIAG_NOWHERE, "that is not there yet for a PostgreSQL of the app's"));
}
