/* server: a PostgreSQL that somebody else runs, at the URL that is a secret of the app's: what it has of what the node needs, and makes there.
 *
 *   looks ──its role is a superuser, it only reads, it is too old──> refused, and what to do
 *     └──> makes what lacks of the platform, in one transaction ──what the role may not make, and nothing goes without──> refused, with the SQL for who may
 *            └──> its catalogue (base.c) ──none was kept──> adopts: the platform's, and what PostgreSQL says of what is there; kept, read again
 *
 * 1. Nothing that is there is changed: a schema, role, extension that is there is taken as it is.
 * 2. What the role may not make is told, as SQL, in the log; it is tried again whenever the server is opened.
 * 3. Its schemas are others' to change, too: it says so where its role may make it (an event trigger); else it is asked, once a second, before who asks is served.
 *    So are those of the node's own, whose functions may do anything: there nobody waits for what is read.
 */
#include "node/postgres/broker.h"
#include "sql/sql.h"
#include <stdio.h>

enum { FRESH_MS = 1000, CHECK_MS = 3000 };
static const uint64_t ms_ns = 1'000'000u;

/* ---- whether its schemas changed ---- */

/* Each row of these tables has another xmin when something made it anew; what only counts (VACUUM, ANALYZE) is written in place. */
const char node_server_seen[] =
    "select pg_catalog.md5(pg_catalog.count(*) || ':' || coalesce(pg_catalog.sum(pg_catalog.hashint8extended(x, id)), 0)) from ("
    "select xmin::text::bigint, oid::bigint from pg_catalog.pg_class where oid >= 16384 and relpersistence <> 't' "
    "union all select a.xmin::text::bigint, (a.attrelid::bigint << 16) + a.attnum from pg_catalog.pg_attribute a "
    "join pg_catalog.pg_class c on c.oid = a.attrelid where a.attrelid >= 16384 and a.attnum > 0 "
    "and c.relkind in ('r', 'p', 'v', 'm', 'f', 'c') and c.relpersistence <> 't' "
    "union all select xmin::text::bigint, oid::bigint from pg_catalog.pg_proc where oid >= 16384 "
    "union all select xmin::text::bigint, oid::bigint from pg_catalog.pg_constraint where oid >= 16384 "
    "union all select xmin::text::bigint, oid::bigint from pg_catalog.pg_type where oid >= 16384 "
    "union all select xmin::text::bigint, oid::bigint from pg_catalog.pg_namespace where oid >= 16384 "
    "union all select xmin::text::bigint, oid::bigint from pg_catalog.pg_enum where oid >= 16384 "
    "union all select xmin::text::bigint, oid::bigint from pg_catalog.pg_rewrite where oid >= 16384 "
    "union all select xmin::text::bigint, oid::bigint from pg_catalog.pg_policy "
    "union all select xmin::text::bigint, member::bigint from pg_catalog.pg_auth_members "
    "union all select pg_catalog.hashtext(rolname), oid::bigint from pg_catalog.pg_roles) as seen (x, id)";

static void on_seen(void *arg, const struct postgres_answer *a) {
    struct broker_base *b = arg;
    bool said = postgres_outcome(a) == POSTGRES_DONE, same = !said || str_eqc(postgres_value(a, 0, 0, 0, NULL), b->seen);
    if (b->leaves || b->state != BASE_HERE) return;
    b->checked_ns = clock_mono_ns();
    if (!said) b->stale = true;
    if (same) b->checks = false, node_broker_later(); /* one that does not answer tells whoever asks so by itself */
    else node_base_read(b);
}

bool node_server_fresh(struct broker_base *b) {
    bool hears = b->triggers && postgres_hears(b->admin);
    if (b->checks) return false;
    if (hears && !b->stale) return true;
    if (!hears && clock_mono_ns() - b->checked_ns < FRESH_MS * ms_ns) return true;
    const struct postgres_statement s = {.text = str_c(node_server_seen)};
    b->checks = true, b->stale = false;
    node_base_ask_admin(b, &(struct postgres_question){.statements = &s, .count = 1, .ms_max = CHECK_MS, .undone = true},
                        on_seen);
    return false;
}

/* ---- what is made there ---- */

struct making {
    arena *mem;
    struct buf b;
};

static str quoted(struct making *m, str s) {
    struct buf b = {0};
    buf_putc(&b, '\'');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\'') buf_putc(&b, '\'');
        buf_putc(&b, s.p[i]);
    }
    buf_putc(&b, '\'');
    str out = arena_str(m->mem, buf_str(&b));
    buf_free(&b);
    return out;
}

/* Unless it is there: `there`, an expression of PL/pgSQL's. What fails is told as `tell`; empty: as it is. */
static void put_step(struct making *m, str there, str statement, str tell) {
    buf_printf(&m->b,
               "if not (" STR_FMT ") then begin execute " STR_FMT "; exception when others then lacks := lacks || " STR_FMT
               " || '; '; end; end if;\n",
               STR_ARG(there), STR_ARG(quoted(m, statement)), STR_ARG(quoted(m, tell.n ? tell : statement)));
}
static void put_words(struct making *m, const char *there, const char *statement) {
    put_step(m, str_c(there), str_c(statement), (str){0});
}

static void put_role(struct making *m, const char *name) {
    put_step(m, arena_fmt(m->mem, "exists (select from pg_roles where rolname = '%s')", name),
             arena_fmt(m->mem, "create role %s nologin noinherit", name), (str){0});
}

/* Those without which nothing goes come first: what is told has an end. */
static void put_roles(struct making *m, const char *may) {
    static const char *const needed[] = {"anon", "authenticated", "service_role"}, *const others[] = {
                                                                                       "authenticator",
                                                                                       "postgres",
                                                                                       "supabase_admin",
                                                                                       "supabase_auth_admin",
                                                                                       "supabase_storage_admin",
                                                                                       "supabase_realtime_admin",
                                                                                       "supabase_replication_admin",
                                                                                       "supabase_read_only_user",
                                                                                       "supabase_functions_admin",
                                                                                       "dashboard_user",
                                                                                       "pgbouncer"};
    for (size_t i = 0; i < ARRAY_COUNT(needed); i++) put_role(m, needed[i]);
    for (size_t i = 0; i < ARRAY_COUNT(needed); i++)
        put_step(m,
                 arena_fmt(m->mem, "exists (select from pg_roles where rolname = '%s' and pg_has_role(current_user, oid, '%s'))",
                           needed[i], may),
                 arena_fmt(m->mem, "grant %s to current_user", needed[i]), arena_fmt(m->mem, "grant %s to %%ROLE%%", needed[i]));
    put_words(m, "exists (select from pg_roles where rolname = 'service_role' and rolbypassrls)",
              "alter role service_role bypassrls");
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) put_role(m, others[i]);
    put_step(m,
             arena_fmt(m->mem, "coalesce(pg_has_role(current_user, (select oid from pg_roles where rolname = '%s'), '%s'), true)",
                       NODE_TREE_OWN_ROLE, may),
             STR("do $orlo_own$ begin execute format('grant " NODE_TREE_OWN_ROLE
                 " to %I', current_user); exception when others then null; end $orlo_own$"),
             (str){0}); /* where it may not be that one, hooks are called as the service_role */
    for (size_t i = 0; i < ARRAY_COUNT(needed); i++)
        put_step(m,
                 arena_fmt(m->mem,
                           "exists (select from pg_roles r, pg_roles a where r.rolname = '%s' and a.rolname = 'authenticator' "
                           "and pg_has_role(a.oid, r.oid, 'member'))",
                           needed[i]),
                 arena_fmt(m->mem, "grant %s to authenticator", needed[i]), (str){0});
}

/* Rights on what will be made in public, as Supabase has them; where its roles had been there, they are as somebody wanted them. */
static void put_defaults(struct making *m) {
    static const char *const kinds[] = {"tables", "functions", "sequences"};
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        put_step(
            m, STR("had"),
            arena_fmt(m->mem,
                      "alter default privileges in schema public grant all on %s to postgres, anon, authenticated, service_role",
                      kinds[i]),
            (str){0});
    put_words(m, "not exists (select from pg_roles where rolname = 'anon') or has_schema_privilege('anon', 'public', 'usage')",
              "grant usage on schema public to anon, authenticated, service_role, postgres");
}

/* "create schema NAME": from there to the next one, if NAME is not there. */
static void put_schemas(struct making *m, str text) {
    static const str head = STR_INIT("create schema ");
    size_t from = SIZE_MAX;
    for (size_t at = 0; at <= text.n; at++) {
        bool begins = at == text.n || ((!at || text.p[at - 1] == '\n') && str_starts(str_sub(text, at, text.n), head));
        if (begins && from != SIZE_MAX) {
            str part = str_sub(text, from, at - from), name = str_sub(part, head.n, part.n);
            name = str_sub(name, 0, str_find(name, ';'));
            put_step(m, arena_fmt(m->mem, "exists (select from pg_namespace where nspname = '" STR_FMT "')", STR_ARG(name)), part,
                     arena_fmt(m->mem, "create schema " STR_FMT " (and what is in it)", STR_ARG(name)));
        }
        if (begins) from = at;
    }
}

static void put_extensions(struct making *m) {
    static const char *const names[] = {"pgcrypto", "uuid-ossp", "citext"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        put_step(m, arena_fmt(m->mem, "exists (select from pg_extension where extname = '%s')", names[i]),
                 arena_fmt(m->mem, "create extension \"%s\" with schema extensions", names[i]), (str){0});
}

/* What the last of its files has of functions; extensions are behind them. */
static str functions_of(str text) {
    static const str end = STR_INIT("create extension");
    for (size_t at = 0; at + end.n <= text.n; at++)
        if (str_starts(str_sub(text, at, text.n), end)) return str_sub(text, 0, at);
    return text;
}

static str platform_of(arena *mem, bool sixteen) {
    struct making m = {.mem = mem};
    uint32_t n;
    const struct sql_file *files = sql_platform(true, &n);
    buf_puts(&m.b,
             STR("do $orlo_do$ declare lacks text := ''; had bool := exists (select from pg_roles where rolname = 'anon') and "
                 "to_regprocedure('auth.uid()') is not null; begin\n")); /* roles are of all databases of a server */
    put_roles(&m, sixteen ? "set" : "member");
    put_words(&m, "exists (select from pg_namespace where nspname = 'extensions')",
              "create schema extensions; grant usage on schema extensions to anon, authenticated, service_role, postgres");
    put_defaults(&m);
    for (uint32_t i = 1; i + 1 < n; i++) put_schemas(&m, files[i].text);
    for (uint32_t i = 1; i + 1 < n; i++)
        if (str_ends(files[i].name, STR("functions.sql")))
            put_step(
                &m,
                STR("to_regprocedure('cron.schedule(text, text)') is not null or to_regprocedure('net.http_post(text, jsonb, "
                    "jsonb, jsonb, integer)') is not null"),
                files[i].text, STR("create functions of cron, net, vault, pgmq, realtime"));
    for (uint32_t i = 1; i + 1 < n; i++)
        if (str_ends(files[i].name, STR("users.sql")))
            put_step(&m, STR("to_regclass('auth.orlo_mails') is not null"), files[i].text,
                     STR("bring the tables of the schema auth to what GoTrue has, and create table auth.orlo_mails"));
    put_step(&m, STR("to_regprocedure('auth.uid()') is not null"), functions_of(files[n - 1].text),
             STR("create function auth.uid(), auth.role(), auth.email(), auth.jwt()"));
    put_extensions(&m);
    put_words(&m, "exists (select from pg_publication where pubname = 'supabase_realtime')",
              "create publication supabase_realtime");
    buf_puts(&m.b,
             STR("perform set_config('orlo.lacks', replace(lacks, '%ROLE%', quote_ident(current_user)), true); end $orlo_do$"));
    str out = arena_str(mem, buf_str(&m.b));
    buf_free(&m.b);
    return out;
}

/* Nothing goes without: roles that it may be, who is asking, what the node keeps. */
static bool judge(void *arg, const struct postgres_answer *a, struct postgres_error *error) {
    struct broker_base *b = arg;
    uint32_t last = 5;
    str lacks = postgres_value(a, 2, 0, 0, NULL);
    snprintf(b->lacks, sizeof b->lacks, STR_FMT, STR_ARG(lacks));
    if (str_eqc(postgres_value(a, last, 0, 0, NULL), "t")) return true;
    snprintf(error->state, sizeof error->state, "42501");
    snprintf(error->message, sizeof error->message,
             "the role of its URL may not make all that the node needs there. Somebody who may runs, in that database: %s",
             b->lacks);
    return false;
}

static void on_platform(void *arg, const struct postgres_answer *a) {
    struct broker_base *b = arg;
    if (b->leaves) return;
    const struct postgres_error *e = postgres_error(a);
    if (postgres_outcome(a) == POSTGRES_ERROR) {
        char why[sizeof b->why];
        bool schema = !strcmp(e->state, "42501") && e->statement == 3; /* _orlo itself */
        snprintf(why, sizeof why, "%.650s%s", e->message,
                 schema ? ": grant create on database to the role of its URL, which is to own what migrations make" : "");
        node_base_refuse(b, ERR_DENIED, why);
        return;
    }
    if (!node_base_went_well(b, a)) return;
    b->frozen = str_eqc(postgres_value(a, 7, 0, 0, NULL), "t");
    if (b->lacks[0]) log_event(LOG_WARN, "postgres-lacks", LF_CSTR("app", b->name), LF_CSTR("sql", b->lacks));
    node_base_read(b);
}

static void make_platform(struct broker_base *b, bool sixteen) {
    arena *mem = arena_new(0);
    const struct postgres_statement s[] = {
        {.text = STR("select pg_catalog.pg_advisory_xact_lock(20260102)")}, /* another node may be at it */
        {.text = platform_of(mem, sixteen)},
        {.text = STR("select pg_catalog.current_setting('orlo.lacks')")},
        {.text = STR(
             "do $orlo_do$ begin if pg_catalog.to_regclass('_orlo.migrations') is null then create schema if not exists _orlo; "
             "create table if not exists _orlo.meta (key text primary key, value text not null); "
             "create table if not exists _orlo.migrations (position bigint primary key, name text not null unique, "
             "sha256 text not null, applied_at bigint not null, statements bigint not null); "
             "insert into _orlo.meta values ('version', '0') on conflict do nothing; end if; end $orlo_do$")},
        {.text =
             arena_fmt(mem,
                       "do $orlo_do$ begin if pg_catalog.to_regprocedure('_orlo.extension(text, name, name, bool, bool, name)') "
                       "is null then " STR_FMT "; revoke execute on function _orlo.extension from public; end if; end $orlo_do$",
                       STR_ARG(sql_extension_function(mem, false)))},
        {.text = arena_fmt(
             mem,
             "select (select pg_catalog.count(*) = 3 from pg_catalog.pg_roles where rolname in ('anon', 'authenticated', "
             "'service_role') "
             "and pg_catalog.pg_has_role(current_user, oid, '%s')) and pg_catalog.to_regprocedure('auth.uid()') is not null "
             "and pg_catalog.to_regprocedure('auth.jwt()') is not null",
             sixteen ? "set" : "member")},
        {.text =
             STR("do $orlo_try$ begin execute $orlo_triggers$" BROKER_TRIGGERS
                 "$orlo_triggers$; exception when others then null; end $orlo_try$")}, /* else it is asked for, once a second */
        {.text = STR("select exists (select from _orlo.meta where key = 'frozen')")}};
    node_base_ask_admin(b, &(struct postgres_question){.statements = s, .count = ARRAY_COUNT(s), .judge = judge}, on_platform);
    arena_free(mem);
}

/* ---- what is there ---- */

static void on_looked(void *arg, const struct postgres_answer *a) {
    struct broker_base *b = arg;
    if (!node_base_went_well(b, a)) return;
    bool superuser = str_eqc(postgres_value(a, 0, 0, 0, NULL), "t"), standby = str_eqc(postgres_value(a, 0, 0, 1, NULL), "t");
    bool sixteen = str_eqc(postgres_value(a, 0, 0, 2, NULL), "t");
    if (postgres_place_plain(b->place) && !b->said_plain) {
        b->said_plain = true;
        log_event(LOG_WARN, "postgres-plain", LF_CSTR("app", b->name));
    }
    if (superuser)
        node_base_refuse(
            b, ERR_DENIED,
            "the role of its URL is a superuser, and what an app's files say is never run as one. Make one for the app: "
            "create role NAME login createrole password '…'; create database NAME owner NAME");
    else if (standby) node_base_refuse(b, ERR_DENIED, "it is a standby, which only reads: its URL is to be that of the primary");
    else make_platform(b, sixteen);
}

void node_server_open(struct broker_base *b) {
    static const struct postgres_statement s = {
        .text = STR_INIT("select r.rolsuper, pg_catalog.pg_is_in_recovery(), "
                         "pg_catalog.current_setting('server_version_num')::int >= 160000 from "
                         "pg_catalog.pg_roles r where r.rolname = current_user")};
    node_base_ask_admin(b, &(struct postgres_question){.statements = &s, .count = 1}, on_looked);
}

/* ---- what was there before ---- */

err node_server_text(const struct postgres_answer *live, uint32_t first, struct buf *text, struct diag *d) {
    arena *mem = arena_new(0);
    struct sql_plan plan = {0};
    struct sql_report report = {0};
    err e = sql_migrate(mem, NULL, NULL, 0, CATALOG_POSTGRES, NULL, &plan, &report, d);
    if (e == ERR_OK && report.refused) e = diag_set(d, ERR_INVALID, DIAG_NOWHERE, "its catalogue is none");
    if (e == ERR_OK) {
        node_live_add(plan.catalog, live, first);
        catalog_write(text, plan.catalog);
    }
    arena_free(mem);
    return e;
}

bool node_server_adopt(struct broker_base *b, str text, postgres_told told) {
    const struct postgres_value value = {.text = text};
    const struct postgres_statement s = {
        .text = STR("insert into _orlo.meta values ('catalog', $1) on conflict (key) do nothing"), .values = &value, .count = 1};
    if (text.n) node_base_ask_admin(b, &(struct postgres_question){.statements = &s, .count = 1}, told);
    return text.n > 0;
}
