/* base: an app's database: its server, connections to it, its catalogue, and what waits for it. States: broker.h.
 *
 * What is the node's own in it: the schema _orlo, of the superuser orlo.
 *   _orlo.meta (key, value)     platform: which of the platform's schemas it has; version, catalog: what it is made of, as text
 *   _orlo.migrations            what was applied, as the store has it on SQLite (store/app.c)
 * and the database _platform, which is as this one was before any migration: what a reset begins with.
 */
#include "node/postgres/broker.h"
#include "node/secrets.h"
#include "sql/sql.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LIVE_BYTES_MAX = 32 << 20, LIVE_BYTES_OF_OTHERS = 8 << 20 }; /* of others: whoever answers there may say anything */
enum { REACH_MS = 12'000, REFUSED_MS = 2'000 };
enum { ROOM_MS = 3'000, OPEN_AGAIN_MS = 100, OPEN_MS = 60'000, CONNECT_MS = 5'000, FREE_MS = 60'000, ADMIN_MS = 60'000 };
enum { ADMIN_BYTES_MAX = CATALOG_BYTES_MAX + (32 << 20) };
static_assert(CATALOG_BYTES_MAX == 67108864); /* BROKER_CATALOG */
static const uint64_t ms_ns = 1'000'000u;

/* ---- catalogues ---- */

void node_made_unref(struct broker_made *made) {
    if (!made || --made->users) return;
    node_plans_free(made);
    arena_free(made->mem);
    free(made);
}

struct live {
    const struct postgres_answer *answer;
    uint32_t first;
};
static uint32_t live_rows(void *arg, uint32_t statement) {
    const struct live *live = arg;
    return postgres_rows(live->answer, live->first + statement);
}
static str live_value(void *arg, uint32_t statement, uint32_t row, uint32_t column) {
    const struct live *live = arg;
    return postgres_value(live->answer, live->first + statement, row, column, NULL);
}

void node_live_add(struct catalog *c, const struct postgres_answer *a, uint32_t first) {
    struct live live = {a, first};
    catalog_live(c, &(struct catalog_answer){&live, live_rows, live_value});
}

/* A catalogue is made on a thread: it may be of many tables and functions, and all others would wait for it. */
struct making {
    uint32_t app, turn; /* whose, and which of his readings */
    char secret[sizeof((struct broker_base *)0)->secret];
    struct postgres_answer *said;
    uint64_t bytes_max;
    bool live, adopts; /* adopts: no text is kept there yet, and one is made of what there is */
    bool large;
    struct broker_made *made;
    struct buf text;
    err e;
    struct diag d;
};

static bool live_fits(const struct making *k) {
    struct live live = {k->said, 2};
    return catalog_live_fits(&(struct catalog_answer){&live, live_rows, live_value}, k->bytes_max);
}

static err make_made(struct making *k, str catalog) {
    struct broker_made *made = calloc(1, sizeof *made);
    ENSURE(made);
    *made = (struct broker_made){.users = 1, .mem = arena_new(0)};
    err e = catalog_read(made->mem, catalog, &made->catalog, &k->d);
    if (e == ERR_OK && k->live && !k->large) {
        node_live_add(made->catalog, k->said, 2);
        made->silent = str_eqc(postgres_value(k->said, 2 + CATALOG_LIVE, 0, 0, NULL), "f");
    }
    if (e == ERR_OK) made->types = query_types_new(made->mem, made->catalog);
    if (e == ERR_OK) k->made = made;
    else node_made_unref(made);
    return e;
}

static void on_thread(void *arg) {
    struct making *k = arg;
    str catalog = postgres_value(k->said, 0, 0, 0, NULL);
    k->large = k->live && !live_fits(k);
    if (k->adopts) k->e = k->large ? ERR_LIMIT : node_server_text(k->said, 2, &k->text, &k->d);
    else if (catalog.n) k->e = make_made(k, catalog);
}

/* ---- what waits ---- */

static struct broker_ask *pop(struct broker_base *b) {
    struct broker_ask *a = b->first;
    b->first = a->next;
    if (!b->first) b->last = &b->first;
    b->waiting--;
    return a;
}

static void fail_waiting(struct broker_base *b, const char *message) {
    while (b->first) {
        struct broker_ask *a = pop(b);
        node_tree_fail(&a->error, "57P03", "%s", message);
        node_broker_answer(a);
    }
}

static void fail_errands(struct broker_base *b, err e, const char *why, uint64_t before_ns) {
    while (b->errands && !b->errands->begun && b->errands->came_ns <= before_ns) {
        struct broker_errand *w = b->errands;
        w->e = diag_set(&w->d, e, DIAG_NOWHERE, "%s", why);
        node_base_errand_over(w);
    }
}

/* ---- connections ---- */

/* What functions find there that say nothing of their own: as a role of the node's own has it. For as long as the connection. */
static const char paths_of_server[] = "select pg_catalog.set_config('search_path', '\"$user\", public, extensions', false) "
                                      "where pg_catalog.current_setting('search_path') = '\"$user\", public'";

struct postgres *node_base_connect(struct broker_base *b, const char *role, const char *database, uint32_t most) {
    char where[400];
    if (b->place)
        return postgres_new(&(struct postgres_options){.loop = node_broker.loop,
                                                       .place = b->place,
                                                       .whose = b->app,
                                                       .connections_max = most,
                                                       .waiting_max = BROKER_WAITING_MAX,
                                                       .connect_ms = REACH_MS,
                                                       .free_ms = FREE_MS,
                                                       .setup = paths_of_server});
    bool above = !strcmp(role, "orlo"); /* what it calls is PostgreSQL's own, whatever the app has made of that name */
    /* Without a password: libpq would hash it as often as whoever answers there likes. What the owner set for all of his database is not for these. */
    snprintf(where, sizeof where,
             "host=/proc/self/fd/%d user=%s dbname=%s application_name=orlo options='%s-c default_transaction_read_only=off "
             "-c statement_timeout=0 -c lock_timeout=0 -c role=none'",
             b->run, role, database, above ? "-c search_path=pg_catalog " : "");
    return postgres_new(&(struct postgres_options){.loop = node_broker.loop,
                                                   .where = where,
                                                   .connections_max = most,
                                                   .waiting_max = BROKER_WAITING_MAX,
                                                   .connect_ms = CONNECT_MS,
                                                   .free_ms = FREE_MS});
}

static void close_one(struct postgres **db) {
    if (*db) postgres_end(*db, "its server is gone");
    postgres_free(*db);
    *db = NULL;
}

/* Whoever is under way is told what became of it. */
void node_base_close(struct broker_base *b) {
    b->leaves = true;
    close_one(&b->asks), close_one(&b->owner), close_one(&b->admin), node_backup_close(b);
    close_one(&b->template);
    b->leaves = false;
    b->again_ns = 0;
}

static void go_away(struct broker_base *b) {
    b->state = BASE_AWAY;
    node_base_close(b);
    if (b->run >= 0) close(b->run);
    b->run = -1;
    node_made_unref(b->made);
    b->made = NULL;
    b->turn++;
    struct broker_errand *w = b->reloads;
    b->reloads = NULL;
    b->checks = false;
    if (w) node_base_errand_over(w); /* what it did is done, or is told so */
}

void node_base_refuse(struct broker_base *b, err e, const char *why) {
    snprintf(b->why, sizeof b->why, "%s", why);
    b->refused_ns = clock_mono_ns() + REFUSED_MS * ms_ns;
    log_event(LOG_ERROR, "postgres-not-reached", LF_CSTR("app", b->name), LF_CSTR("reason", b->why));
    char text[sizeof b->why + 80];
    snprintf(text, sizeof text, "the database's server: %s", b->why);
    fail_waiting(b, text);
    fail_errands(b, e, text, UINT64_MAX);
    b->gives_up = true;
    node_broker_later();
}

/* ---- opening: the platform's schemas, passwords, the catalogue ---- */

static void open_again(struct broker_base *b, const char *why) {
    uint64_t now = clock_mono_ns();
    if (b->secret[0]) {
        node_base_refuse(b, ERR_AGAIN, why);
        return;
    }
    if (now - b->opens_ns < OPEN_MS * ms_ns) {
        b->again_ns = now + OPEN_AGAIN_MS * ms_ns;
        return;
    }
    log_event(LOG_ERROR, "postgres-not-reached", LF_CSTR("app", b->name), LF_CSTR("reason", why));
    fail_waiting(b, "the database system does not answer");
    fail_errands(b, ERR_AGAIN, why, now);
    node_broker_say(&NODE_MESSAGE(cluster_rest, .app = b->app)); /* one that hangs is ended, and started anew when it is wanted */
    b->gives_up = true; /* its connections are closed by the next turn: this is one of them */
    node_broker_later();
}

void node_base_ask_admin(struct broker_base *b, const struct postgres_question *q, postgres_told told) {
    struct postgres_question own = *q;
    own.bytes_max = ADMIN_BYTES_MAX;
    if (!own.ms_max) own.ms_max = ADMIN_MS;
    (void)postgres_ask(b->admin, &own, told, b);
}

static void ask_admin(struct broker_base *b, const struct postgres_statement *s, uint32_t n, bool bare, postgres_told told) {
    node_base_ask_admin(b, &(struct postgres_question){.statements = s, .count = n, .bare = bare}, told);
}
static void ask_admin_text(struct broker_base *b, str text, bool bare, postgres_told told) {
    ask_admin(b, &(struct postgres_statement){.text = text}, 1, bare, told);
}

/* False: it is tried again. */
static bool went_well(struct broker_base *b, const struct postgres_answer *a) {
    if (b->leaves) return false;
    if (postgres_outcome(a) == POSTGRES_DONE) return true;
    const struct postgres_error *e = postgres_error(a);
    char why[300];
    snprintf(why, sizeof why, "%s%s%.250s", e->state, *e->state ? ": " : "", e->message);
    if (*e->state && strncmp(e->state, "57P", 3) != 0)
        log_event(LOG_ERROR, "postgres-not-opened", LF_CSTR("app", b->name), LF_CSTR("reason", why));
    open_again(b, why);
    return false;
}

bool node_base_went_well(struct broker_base *b, const struct postgres_answer *a) { return went_well(b, a); }

static void read_made(struct broker_base *b);

static void take_made(struct broker_base *b, struct making *k) {
    if (k->large)
        log_event(
            LOG_ERROR, "postgres-not-opened", LF_CSTR("app", b->name),
            LF_CSTR(
                "reason",
                "it has more columns, functions and keys than are read: what migrations' text says of it is all that is known"));
    if (k->e != ERR_OK) log_event(LOG_ERROR, "postgres-not-opened", LF_CSTR("app", b->name), LF_CSTR("reason", k->d.text));
    node_made_unref(b->made);
    b->made = k->made;
    k->made = NULL;
    snprintf(b->seen, sizeof b->seen, STR_FMT, STR_ARG(postgres_value(k->said, 1, 0, 0, NULL)));
    b->triggers = k->live && str_eqc(postgres_value(k->said, 2 + CATALOG_LIVE, 0, 1, NULL), "t");
    b->checked_ns = clock_mono_ns(), b->checks = false;
    if (b->asks) postgres_forget(b->asks);
    else b->asks = node_base_connect(b, "authenticator", "postgres", (uint32_t)node_broker.limits.postgres_connections_max);
    b->state = BASE_HERE;
    b->used_ns = clock_mono_ns();
}

static void on_adopted(void *arg, const struct postgres_answer *a) {
    struct broker_base *b = arg;
    if (went_well(b, a)) read_made(b);
}

static void over_reload(struct broker_base *b) {
    struct broker_errand *w = b->reloads;
    b->reloads = NULL;
    if (w) node_base_errand_over(w);
}

/* What was made is of use if the base is still there, and nothing has begun anew meanwhile. */
static void on_thread_over(void *arg, bool ran) {
    struct making *k = arg;
    struct broker_base *b = node_broker.bases;
    while (b && (b->app != k->app || strcmp(b->secret, k->secret) != 0)) b = b->next;
    if (b) b->makings--;
    bool of_use = b && b->turn == k->turn && (b->state == BASE_OPENS || b->state == BASE_HERE);
    if (of_use && !ran)
        b->state == BASE_HERE ? (void)(b->checks = false, b->stale = true) : open_again(b, "too much is done at a time");
    else if (of_use && k->adopts && k->large)
        node_base_refuse(b, ERR_LIMIT,
                         "it has more columns, functions and keys than are read: its URL is to be of a database for this app");
    else if (of_use && k->adopts && k->e == ERR_OK && node_server_adopt(b, buf_str(&k->text), on_adopted)) of_use = false;
    else if (of_use) take_made(b, k);
    if (of_use) over_reload(b);
    node_made_unref(k->made);
    postgres_answer_let_go(k->said);
    buf_free(&k->text);
    free(k);
    node_broker_later();
}

static void on_made(void *arg, const struct postgres_answer *a) {
    struct broker_base *b = arg;
    if (!b->leaves && !b->text_alone && postgres_outcome(a) == POSTGRES_ERROR) {
        log_event(LOG_ERROR, "postgres-not-opened", LF_CSTR("app", b->name), LF_CSTR("reason", postgres_error(a)->message));
        b->text_alone = true;
        read_made(b);
        return;
    }
    if ((b->state != BASE_OPENS && b->state != BASE_HERE) || !went_well(b, a)) {
        over_reload(b);
        return;
    }
    struct making *k = calloc(1, sizeof *k);
    ENSURE(k);
    *k = (struct making){.app = b->app,
                         .turn = ++b->turn,
                         .said = postgres_answer_keep(a),
                         .bytes_max = b->secret[0] ? LIVE_BYTES_OF_OTHERS : LIVE_BYTES_MAX,
                         .live = !b->text_alone,
                         .d = DIAG_INIT};
    snprintf(k->secret, sizeof k->secret, "%s", b->secret);
    k->adopts = b->secret[0] && k->live && !postgres_rows(k->said, 0);
    b->makings++;
    net_work_new(node_broker.loop, NULL, on_thread, on_thread_over, k);
}

static void read_made(struct broker_base *b) {
    struct postgres_statement s[3 + CATALOG_LIVE] = {{.text = STR(BROKER_CATALOG)}, {.text = str_c(node_server_seen)}};
    for (uint32_t i = 0; i < CATALOG_LIVE; i++) s[2 + i] = (struct postgres_statement){.text = catalog_live_text(i)};
    s[2 + CATALOG_LIVE].text = STR(BROKER_SAYS);
    b->stale = false;
    ask_admin(b, s, b->text_alone ? 2 : ARRAY_COUNT(s), false, on_made);
}

void node_base_read(struct broker_base *b) {
    b->text_alone = false; /* what could not be read may be another by now */
    read_made(b);
}

void node_base_reload(struct broker_errand *w) {
    struct broker_base *b = w->base;
    b->text_alone = false;
    b->opens_ns = clock_mono_ns();
    b->reloads = w;
    read_made(b);
}

static void on_fed(void *arg, const struct postgres_answer *a) {
    struct broker_base *b = arg;
    if (!went_well(b, a)) return;
    b->feeds = true;
    read_made(b);
}

static void on_let_in(void *arg, const struct postgres_answer *a) {
    struct broker_base *b = arg;
    if (!went_well(b, a)) return;
    b->frozen = str_eqc(postgres_value(a, 4, 0, 0, NULL), "t");
    node_backup_opened(b, postgres_value(a, 0, 0, 0, NULL));
    b->feeds = str_eqc(postgres_value(a, 4, 0, 1, NULL), "t");
    if (b->feeds) read_made(b);
    else node_feed_make(b, on_fed);
}

/* Rows are copied without what they set off; projects set PostgREST's own. */
#define BROKER_SETTINGS                                                                                                          \
    "grant set on parameter session_replication_role, \"pgrst.db_schemas\", \"pgrst.db_extra_search_path\", "                    \
    "\"pgrst.db_pre_request\", \"pgrst.db_max_rows\", \"pgrst.db_aggregates_enabled\", \"pgrst.db_plan_enabled\", "              \
    "\"pgrst.jwt_secret\" to postgres"

/* The roles that the broker comes as: their owner may have made them such that nobody comes in. What a reset left that did not come to its end goes. */
static void let_in(struct broker_base *b) {
    static const struct postgres_statement s[] = {
        {.text = STR_INIT("select pg_current_wal_flush_lsn()")},
        {.text = STR_INIT("alter role authenticator with login noinherit connection limit -1 password null")},
        {.text = STR_INIT("alter role postgres with login connection limit -1 password null")},
        {.text = STR_INIT(BROKER_SETTINGS)},
        {.text = STR_INIT(
             "select exists (select from _orlo.meta where key = 'frozen'), exists (select from _orlo.meta where key = 'feed' and "
             "value = '" BROKER_FEED "')")},
        {.text = STR_INIT(BROKER_TRIGGERS)},
        {.text = STR_INIT(BROKER_NO_SLOT)}}; /* of a backup that nobody knows of any more */
    ask_admin(b, s, ARRAY_COUNT(s) - (b->backup_ns ? 1 : 0), false, on_let_in);
}

static void on_template(void *arg, const struct postgres_answer *a) {
    struct broker_base *b = arg;
    if (went_well(b, a)) let_in(b);
}

/* Of a database that nothing was migrated to yet. */
static void make_template(struct broker_base *b) {
    ask_admin_text(b, STR("create database _platform template postgres is_template true allow_connections false"), true,
                   on_template);
}

static void on_platform(void *arg, const struct postgres_answer *a) {
    struct broker_base *b = arg;
    if (went_well(b, a)) make_template(b);
}

/* A file has many statements, and an ask takes one: a block that runs them. */
static str block_of(arena *mem, str text) {
    return arena_fmt(mem, "do $orlo_do$ begin execute $orlo_file$" STR_FMT "$orlo_file$; end $orlo_do$", STR_ARG(text));
}

static void make_platform(struct broker_base *b) {
    static const char *const
        before[] = {"set local search_path = public, extensions", "create role postgres with login createrole bypassrls",
                    "alter database postgres owner to postgres"},
        *const between[] =
            {"alter schema extensions owner to postgres",
             "alter publication supabase_realtime owner to postgres",
             "alter default privileges for role postgres in schema public grant all on tables to postgres, anon, "
             "authenticated, service_role",
             "alter default privileges for role postgres in schema public grant all on functions to postgres, anon, "
             "authenticated, service_role",
             "alter default privileges for role postgres in schema public grant all on sequences to postgres, anon, "
             "authenticated, service_role",
             "set local role postgres"},
        *const behind[] = {"reset role",
                           "alter role postgres set search_path = \"$user\", public, extensions",
                           "alter role authenticator set search_path = \"$user\", public, extensions",
                           "grant connect on database postgres to authenticator",
                           "grant " NODE_TREE_OWN_ROLE " to authenticator", /* for hooks of /auth/v1, which the node calls */
                           "create schema _orlo",
                           "create table _orlo.meta (key text primary key, value text not null)",
                           "create table _orlo.migrations (position bigint primary key, name text not null unique, "
                           "sha256 text not null, applied_at bigint not null, statements bigint not null)",
                           "grant usage on schema _orlo to postgres",
                           "grant select, insert, update, delete on _orlo.meta, _orlo.migrations to postgres",
                           "insert into _orlo.meta values ('version', '0')",
                           "insert into _orlo.meta select 'roles', string_agg(quote_literal(rolname), ', ') from pg_roles"};
    arena *mem = arena_new(0);
    VEC(struct postgres_statement) s = {0};
    uint32_t n;
    const struct sql_file *files = sql_platform(true, &n);
    for (size_t i = 0; i < ARRAY_COUNT(before); i++) vec_push(mem, &s, ((struct postgres_statement){.text = str_c(before[i])}));
    for (uint32_t k = 0; k < n; k++) { /* the first makes roles: above anybody but the superuser */
        vec_push(mem, &s, ((struct postgres_statement){.text = block_of(mem, files[k].text)}));
        for (size_t i = 0; !k && i < ARRAY_COUNT(between); i++)
            vec_push(mem, &s, ((struct postgres_statement){.text = str_c(between[i])}));
    }
    for (size_t i = 0; i < ARRAY_COUNT(behind); i++) vec_push(mem, &s, ((struct postgres_statement){.text = str_c(behind[i])}));
    vec_push(mem, &s, ((struct postgres_statement){.text = sql_extension_function(mem, true)}));
    vec_push(mem, &s, ((struct postgres_statement){.text = STR(BROKER_EXTENSION_RIGHTS)}));
    vec_push(mem, &s, ((struct postgres_statement){.text = STR("grant execute on function _orlo.extension to postgres")}));
    vec_push(mem, &s,
             ((struct postgres_statement){
                 .text = arena_fmt(mem, "insert into _orlo.meta values ('platform', '%d')", BROKER_PLATFORM)}));
    ask_admin(b, s.p, s.n, false, on_platform);
    arena_free(mem);
}

/* ---- what a reset left that did not come to its end ---- */

static void open_base(struct broker_base *b);

static void on_healed(void *arg, const struct postgres_answer *a) {
    struct broker_base *b = arg;
    if (went_well(b, a)) open_base(b);
}

static void on_rest_gone(void *arg, const struct postgres_answer *a) {
    struct broker_base *b = arg;
    if (went_well(b, a)) ask_admin_text(b, str_c(b->swapped ? node_roles_drop : node_roles_back), false, on_healed);
}

static void heal(struct broker_base *b, bool swapped) {
    b->swapped = swapped;
    ask_admin_text(b,
                   swapped ? STR("drop database if exists _old with (force)") : STR("drop database if exists _next with (force)"),
                   true, on_rest_gone);
}

static void on_looked(void *arg, const struct postgres_answer *a) {
    struct broker_base *b = arg;
    if (!went_well(b, a)) return;
    bool is[5];
    for (uint32_t i = 0; i < ARRAY_COUNT(is); i++) is[i] = str_eqc(postgres_value(a, 0, 0, i, NULL), "t");
    if (!is[0]) make_platform(b);
    else if (!is[1]) make_template(b);
    else if (is[2] || is[3] || is[4]) heal(b, is[2]);
    else node_upgrade_begin(b);
}

void node_base_let_in(struct broker_base *b) { let_in(b); }

static void on_heard(void *arg) { ((struct broker_base *)arg)->stale = true; }

static void open_base(struct broker_base *b) {
    b->again_ns = 0;
    if (b->state == BASE_COMES) b->state = BASE_OPENS, b->opens_ns = clock_mono_ns();
    if (!b->admin) {
        b->admin = node_base_connect(b, "orlo", "postgres", 1);
        postgres_listen(b->admin, BROKER_CHANNEL, on_heard, b);
    }
    if (b->secret[0]) {
        node_server_open(b);
        return;
    }
    ask_admin_text(
        b,
        STR("select to_regclass('_orlo.meta') is not null, exists (select from pg_database where datname = '_platform'), "
            "exists (select from pg_database where datname = '_old'), exists (select from pg_database where datname = '_next'), "
            "exists (select from pg_roles r where r.rolname like '\\_before\\_%' and not exists (select from pg_roles b where "
            "b.rolname = substr(r.rolname, 9)))"),
        false, on_looked);
}

void node_base_open(struct broker_base *b) {
    b->state = BASE_COMES;
    open_base(b);
}

/* ---- its server ---- */

static void want(struct broker_base *b) {
    b->state = BASE_COMES;
    b->opens_ns = clock_mono_ns();
    if (!b->secret[0]) node_broker_say(&NODE_MESSAGE(cluster_want, .app = b->app, .name = str_c(b->name)));
    else if (node_broker.servers) node_broker_say(&NODE_MESSAGE(server_want, .app = b->app, .secret = str_c(b->secret)));
    else b->state = BASE_AWAY, node_broker.leaves = true;
}

/* As many are up as may be: the one that has not been asked for longest makes room. False: all are busy. */
static bool make_room(struct broker_base *wanted) {
    static uint64_t made_ns;
    struct broker_base *oldest = NULL;
    if (made_ns && clock_mono_ns() - made_ns < ROOM_MS * ms_ns) return true; /* that one has not gone yet */
    for (struct broker_base *b = node_broker.bases; b; b = b->next)
        if (b != wanted && !b->secret[0] && b->state == BASE_HERE && !b->backup && !b->first && !b->running && !b->errands &&
            (!oldest || b->used_ns < oldest->used_ns))
            oldest = b;
    if (!oldest) return false;
    made_ns = clock_mono_ns();
    go_away(oldest);
    node_broker_say(&NODE_MESSAGE(cluster_rest, .app = oldest->app));
    return true;
}

void node_base_cluster(const struct node_msg_cluster *m, int run) {
    struct broker_base *b = node_broker.bases;
    while (b && (b->app != m->app || b->secret[0])) b = b->next;
    if (!b && run >= 0) { /* up since before this process: it rests, if nobody asks */
        b = node_base_of(m->app, (str){0}, (str){0});
    }
    if (!b) return;
    if (m->err == ERR_OK && run >= 0) {
        go_away(b);
        b->run = run;
        snprintf(b->password, sizeof b->password, STR_FMT, STR_ARG(m->password));
        b->state = BASE_COMES;
        open_base(b);
        return;
    }
    if (run >= 0) close(run);
    if (m->err == ERR_BUSY && make_room(b)) {
        b->state = BASE_AWAY; /* wanted again by the next tick */
        return;
    }
    bool later = m->err == ERR_AGAIN || m->err == ERR_BUSY;
    char why[NODE_TEXT_MAX + 1];
    snprintf(why, sizeof why, STR_FMT, STR_ARG(m->text));
    fail_waiting(b, later ? "the database system is starting up" : why);
    if (!later) fail_errands(b, m->err, why, UINT64_MAX);
    go_away(b);
}

/* ---- a server that somebody else runs ---- */

/* One entry, as keys writes them (secrets.h). */
static err read_url(arena *mem, int fd, str *url, struct diag *d) {
    str bytes;
    TRY(node_fd_bytes(mem, fd, NODE_SECRETS_FILE_MAX, &bytes, d));
    struct rd r = rd_of(bytes);
    (void)rd_bytes(&r, rd_u32le(&r));
    *url = rd_bytes(&r, rd_u32le(&r));
    return r.fail ? diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "its URL cannot be read") : ERR_OK;
}

static err take_url(struct broker_base *b, int fd, struct diag *d) {
    arena *mem = arena_new(0);
    struct postgres_place *place = NULL;
    struct diag why = DIAG_INIT;
    str url = {0};
    err e = read_url(mem, fd, &url, d);
    if (e == ERR_OK) e = postgres_place_new(url, node_broker.limits.postgres_private, &place, &why);
    if (why.text[0]) diag_set(d, e, DIAG_NOWHERE, "the secret %s: %s", b->secret, why.text);
    if (url.n) explicit_bzero((void *)(uintptr_t)url.p, url.n);
    arena_free(mem);
    if (e != ERR_OK) return e;
    bool same = b->place && postgres_place_same(b->place, place); /* who is still on the way there is counted */
    postgres_place_free(same ? place : b->place);
    if (!same) b->place = place;
    return ERR_OK;
}

void node_base_server(const struct node_msg_server *m, int fd) {
    struct broker_base *b = node_broker.bases;
    struct diag d = DIAG_INIT;
    while (b && (b->app != m->app || !str_eqc(m->secret, b->secret))) b = b->next;
    if (!b || b->state != BASE_COMES) {
        if (fd >= 0) close(fd);
        return;
    }
    err e = m->err != ERR_OK ? node_diag_of(&d, m->err, DIAG_NOWHERE, m->text) : take_url(b, fd, &d);
    if (fd >= 0) close(fd);
    b->anew = b->said_plain = false;
    if (e == ERR_OK) open_base(b);
    else node_base_refuse(b, e, d.text);
}

void node_base_anew(uint32_t app, str secret) {
    for (struct broker_base *b = node_broker.bases; b; b = b->next)
        if (b->app == app && b->secret[0] && str_eqc(secret, b->secret)) b->anew = b->state != BASE_AWAY, b->refused_ns = 0;
    node_broker_later();
}

/* Nobody is cut off for it: what had begun ends with the URL that it began with. */
static bool is_taken_anew(struct broker_base *b) {
    if (!b->anew || (b->errands && b->errands->begun)) return false;
    if (!b->running && (b->state == BASE_HERE || b->state == BASE_AWAY)) b->anew = false, go_away(b);
    return b->anew;
}

static bool is_refused(struct broker_base *b) {
    if (!b->secret[0] || b->state != BASE_AWAY || clock_mono_ns() >= b->refused_ns) return false;
    char text[sizeof b->why + 80];
    snprintf(text, sizeof text, "the database's server: %s", b->why);
    fail_waiting(b, text);
    return !b->errands; /* an owner is told how it is now */
}

/* ---- asks ---- */

void node_ask_free(struct broker_ask *a) {
    if (a->at_of) {
        *a->at_of = a->next_of;
        if (a->next_of) a->next_of->at_of = a->at_of;
    }
    node_broker.bytes -= a->bytes, a->base->bytes -= a->bytes;
    node_plan_unref(a->plan);
    node_stream_end(a);
    node_made_unref(a->made);
    buf_free(&a->body);
    buf_free(&a->values);
    arena_free(a->mem); /* it is in there */
}

void node_ask_over(struct broker_ask *a) {
    struct broker_base *b = a->base;
    b->used_ns = clock_mono_ns();
    if (a->of_tx) {
        node_tx_over(a);
        return;
    }
    b->running--;
    node_broker_answer(a);
    node_broker_later();
}

void node_ask_cancel(struct broker_ask *a) {
    struct broker_base *b = a->base;
    a->peer = NULL;
    if (a->at_of) {
        *a->at_of = a->next_of;
        if (a->next_of) a->next_of->at_of = a->at_of;
        a->at_of = NULL;
    }
    if (a->reads) return; /* a thread has it */
    if (a->tx) {
        node_tx_cancel(a);
    } else if (a->under_way) {
        if (a->asked) postgres_cancel(a->asked);
        if (!a->of_tx) b->running--;
    } else {
        struct broker_ask **at = &b->first;
        while (*at != a) at = &(*at)->next;
        *at = a->next;
        if (!a->next) b->last = at;
        b->waiting--;
    }
    node_ask_free(a);
    node_broker_later();
}

/* The first one that may begin. NULL: there is none. */
static struct broker_ask *pop_next(struct broker_base *b) {
    struct broker_ask **at = &b->first, *a;
    while (*at && (*at)->of_tx && !node_tx_may_begin(b)) at = &(*at)->next;
    if (!(a = *at)) return NULL;
    *at = a->next;
    if (!*at) b->last = at;
    b->waiting--;
    return a;
}

void node_base_turn(struct broker_base *b) {
    if (b->leaves) return;
    if (b->gives_up) b->gives_up = false, go_away(b);
    if (node_broker.leaves || is_taken_anew(b) || is_refused(b)) return;
    if (b->state == BASE_AWAY && (b->first || (b->errands && !b->errands->begun))) want(b);
    node_stream_turn(b);
    if (b->state != BASE_HERE || !b->asks) return;
    if (b->first && !node_server_fresh(b) && b->secret[0]) return; /* in one of the node's own, who asks goes on meanwhile */
    struct broker_ask *a;
    while (!b->held && b->running < node_broker.limits.postgres_connections_max && (a = pop_next(b))) {
        if (!a->of_tx) b->running++, node_ask_begin(a);
        else node_tx_begin(a);
    }
    struct broker_errand *w = b->errands;
    if (!w || w->begun || !node_stream_yields(w)) return;
    close_one(&b->owner); /* whatever the last one set there */
    w->begun = true;
    node_errand_begin(w);
}

bool node_base_may_hold(const struct broker_base *b) {
    uint32_t parts = 1; /* of those that have something, and of one that comes */
    if (b->bytes > BROKER_APP_BYTES) return false;
    if (node_broker.bytes <= BROKER_BYTES) return true;
    for (const struct broker_base *one = node_broker.bases; one; one = one->next) parts += one->bytes > 0;
    return b->bytes <= BROKER_BYTES / parts;
}

bool node_base_count(struct broker_ask *a) {
    node_broker.bytes += a->bytes, a->base->bytes += a->bytes;
    return node_base_may_hold(a->base);
}

void node_base_ask(struct broker_ask *a) {
    struct broker_base *b = a->base;
    b->used_ns = a->came_ns;
    bool many = !node_base_count(a) || b->waiting >= BROKER_WAITING_MAX;
    if (many && !a->errand) {
        node_tree_fail(&a->error, "53300", "too many queries of the app wait");
        node_broker_answer(a);
        return;
    }
    a->next = NULL;
    *b->last = a;
    b->last = &a->next;
    b->waiting++;
    node_base_turn(b);
}

/* ---- errands ---- */

void node_base_errand(struct broker_errand *w) {
    struct broker_base *b = w->base;
    b->used_ns = clock_mono_ns();
    if (b->forgotten) {
        w->e = diag_set(&w->d, ERR_NOT_FOUND, DIAG_NOWHERE, "the app is no more");
        node_broker_did(w);
        return;
    }
    w->came_ns = b->used_ns;
    *b->last_errand = w;
    b->last_errand = &w->next;
    node_base_turn(b);
}

void node_base_errand_over(struct broker_errand *w) {
    struct broker_base *b = w->base;
    struct broker_errand **at = &b->errands;
    while (*at != w) at = &(*at)->next;
    *at = w->next;
    if (!w->next) b->last_errand = at;
    b->used_ns = clock_mono_ns();
    b->held = false;
    node_broker_did(w);
    node_broker_later();
}

/* ---- all of them ---- */

struct broker_base *node_base_of(uint32_t app, str name, str secret) {
    struct broker_base *b = node_broker.bases;
    while (b && (b->app != app || !str_eqc(secret, b->secret))) b = b->next;
    if (!b) {
        b = calloc(1, sizeof *b);
        ENSURE(b);
        *b = (struct broker_base){.next = node_broker.bases, .app = app, .run = -1, .used_ns = clock_mono_ns()};
        snprintf(b->secret, sizeof b->secret, STR_FMT, STR_ARG(secret));
        b->last = &b->first;
        b->last_errand = &b->errands;
        node_broker.bases = b;
    }
    if (name.n && name.n < sizeof b->name) snprintf(b->name, sizeof b->name, STR_FMT, STR_ARG(name));
    return b;
}

static void forget(struct broker_base *b) {
    b->forgotten = true;
    fail_waiting(b, "the app is no more");
    fail_errands(b, ERR_NOT_FOUND, "the app is no more", UINT64_MAX);
}

void node_base_forget(uint32_t app) {
    for (struct broker_base *b = node_broker.bases; b; b = b->next)
        if (b->app == app) forget(b);
}

static void free_base(struct broker_base **at) {
    struct broker_base *b = *at;
    *at = b->next;
    postgres_place_free(b->place);
    free(b);
}

/* Who waits for a server that does not come is told so. */
static void tell_late(struct broker_base *b, uint64_t now) {
    while (b->first && b->state != BASE_HERE &&
           now > MIN(b->first->until_ns, b->first->came_ns + (uint64_t)BROKER_PATIENCE_MS * ms_ns)) {
        struct broker_ask *a = pop(b);
        node_tree_fail(&a->error, "57P03", "the database system is starting up");
        node_broker_answer(a);
    }
    while (b->first && b->held && now > b->first->until_ns) { /* behind an errand that waits for quiet */
        struct broker_ask *a = pop(b);
        node_tree_late(&a->error);
        node_broker_answer(a);
    }
    if (b->state != BASE_HERE && now > OPEN_MS * ms_ns)
        fail_errands(b, ERR_AGAIN, "the database system does not come up", now - OPEN_MS * ms_ns);
}

/* A backup does not wait for its migrations for ever. */
static void end_copies(struct broker_base *b, uint64_t now) {
    for (struct broker_errand **at = &b->errands, *w; (w = *at);) {
        bool copies = w->does == NODE_DATA_CLUSTER_BEGIN || w->does == NODE_DATA_CLUSTER_END || w->does == NODE_DATA_CLUSTER_AT;
        if (w->begun || !copies || now < w->came_ns + w->ms_max * ms_ns) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        if (!w->next) b->last_errand = at;
        w->e = diag_set(&w->d, ERR_BUSY, DIAG_NOWHERE, "its database is busy with what its owner has done with it");
        node_broker_did(w);
    }
}

static void rest(struct broker_base *b, uint64_t now) {
    uint64_t idle = b->forgotten ? 0 : node_broker.limits.postgres_idle_ms * ms_ns;
    if (b->state != BASE_HERE || b->first || b->running || b->errands || b->backup || now - b->used_ns < idle) return;
    go_away(b);
    if (!b->secret[0]) node_broker_say(&NODE_MESSAGE(cluster_rest, .app = b->app));
}

void node_base_tick(uint64_t now) {
    for (struct broker_base **at = &node_broker.bases; *at;) {
        struct broker_base *b = *at;
        if (b->again_ns && now >= b->again_ns && b->state == BASE_OPENS) open_base(b);
        tell_late(b, now);
        end_copies(b, now);
        node_tx_tick(b, now);
        node_backup_tick(b, now);
        node_feed_tick(b, now);
        if (b->errands && b->errands->begun) node_errand_tick(b->errands);
        if (b->errands && b->errands->begun) node_errand_tick(b->errands);
        rest(b, now);
        if (b->state == BASE_AWAY || b->gives_up || b->anew || (b->errands && b->errands->yields_ns && !b->errands->begun))
            node_base_turn(b);
        if (b->state == BASE_AWAY && !b->first && !b->running && !b->errands && b->run < 0 &&
            (!b->place || !postgres_place_busy(b->place)) && now >= b->refused_ns && !b->backup_ns && !b->makings)
            free_base(at);
        else at = &b->next;
    }
}

bool node_bases_work(void) {
    bool works = false;
    for (struct broker_base *b = node_broker.bases; b; b = b->next) works |= b->running || (b->errands && b->errands->begun);
    return works;
}

bool node_bases_idle(void) { return !node_broker.bases; }

void node_bases_refuse(void) {
    for (struct broker_base *b = node_broker.bases; b; b = b->next) fail_waiting(b, "the database system is starting up");
}
