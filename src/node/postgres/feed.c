/* feed: changes of rows, as store/feed.c keeps them of a database of SQLite's: the same answers, the same that goes and stays.
 *
 *   a transaction changes rows ──triggers of the platform's, in it──> _orlo.fed, by whoever asks next, or a turn each TRIM_MS──> _orlo.changes: numbered, trimmed
 *
 *   _orlo.fed        (id, at, relation, op, old, new, hops)     what nobody has numbered yet: transactions that are under way write here side by side
 *   _orlo.changes    (seq, at, relation, op, old, new, upto, hops)   op: I U D, or * where all of a table is another; of relation null: of all. upto: bytes there ever were
 *   _orlo.feed       (last, upto)                               of the newest
 *   _orlo.consumers  (name, seq, seen)
 *
 * 1. Numbers are given to what is committed, by one at a time, so none that is lower comes later. Among what is numbered at once it goes by id, which a row's later
 *    change always has higher, and so has whatever was done by somebody who saw the first.
 * 2. A database that is new, or another one (a reset, a restore, a move), begins at the microseconds since 1970: no number that anybody ever had is given again.
 * 3. Triggers are there on each table from the command on that makes it (an event trigger sees to it). They write as a role that may do nothing else: what types and
 *    casts of the app's own have done meanwhile is done by nobody above it.
 */
#include "node/postgres/broker.h"
#include "node/role.h"
#include <stdio.h>

enum {
    FEED = 2 /* version of what is made here */,
    TRIM_MS = 30'000,
    NEWS_MS = 20,
    OWN_MS = 60'000,
    CONSUMERS_MAX = 64,
    NAME_BYTES_MAX = 128,
    MOST = 10'000
};
static const uint64_t ms_ns = 1'000'000u;
static_assert(FEED == 2); /* BROKER_FEED */

#define NOW_MS "(extract(epoch from clock_timestamp()) * 1000)::bigint"
#define NOW_US "(extract(epoch from clock_timestamp()) * 1000000)::bigint"

/* ---- what is made ---- */

static const char row_function[] =
    "create or replace function _orlo.feed_row() returns trigger language plpgsql security definer set "
    "search_path = pg_catalog, pg_temp as $f$ "
    "declare h text := current_setting('orlo.hops', true); "
    "begin "
    "if current_setting('orlo.changes', true) = 'off' then return null; end if; "
    "insert into _orlo.fed (at, relation, op, old, new, hops) values (" NOW_MS
    ", coalesce(pg_partition_root(tg_relid), tg_relid), left(tg_op, 1), case when tg_op <> "
    "'INSERT' then row_to_json(old)::text end, "
    "case when tg_op <> 'DELETE' then row_to_json(new)::text end, "
    "case when h ~ '^[0-9]{1,4}$' then h::int else 0 end); "
    "return null; "
    "end $f$";
static const char all_function[] =
    "create or replace function _orlo.feed_all() returns trigger language plpgsql security definer set search_path = pg_catalog, "
    "pg_temp as "
    "$f$ "
    "declare h text := current_setting('orlo.hops', true); "
    "begin "
    "if current_setting('orlo.changes', true) = 'off' then return null; end if; "
    "insert into _orlo.fed (at, relation, op, hops) values (" NOW_MS
    ", coalesce(pg_partition_root(tg_relid), tg_relid), '*', case when h ~ '^[0-9]{1,4}$' then h::int else 0 end); "
    "return null; "
    "end $f$";
/* A migration: whoever follows reads anew. */
static const char anew_function[] = "create or replace function _orlo.feed_anew() returns void language sql security definer set "
                                    "search_path = pg_catalog, pg_temp as $f$ "
                                    "insert into _orlo.fed (at, op) values (" NOW_MS ", '*') $f$";
/* Of a partition its root's are there; one that becomes a partition has had its own. A name of the table's number: those of a root come to it as they are. */
static const char watch_function[] =
    "create or replace function _orlo.feed_watch(which oid[]) returns void language plpgsql set search_path = pg_catalog, "
    "pg_temp as $f$ "
    "declare r record; "
    "begin "
    "for r in select t.tgrelid, t.tgname from pg_trigger t join pg_class c on c.oid = t.tgrelid where c.oid = any (which) and "
    "c.relispartition and "
    "t.tgparentid = 0 and not t.tgisinternal and t.tgname ~ '^_orlo_feed' loop "
    "execute format('drop trigger %I on %s', r.tgname, r.tgrelid::regclass); end loop; "
    "for r in select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = any (which) and c.relkind "
    "in ('r', 'p') and not "
    "c.relispartition and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', '_orlo') "
    "and not exists "
    "(select from pg_trigger t where t.tgrelid = c.oid and t.tgname = '_orlo_feed_' || c.oid) loop "
    "execute format('create trigger %I after insert or update or delete on %s for each row execute function _orlo.feed_row()', "
    "'_orlo_feed_' || r.oid, "
    "r.oid::regclass); "
    "execute format('create trigger %I after truncate on %s for each statement execute function _orlo.feed_all()', "
    "'_orlo_feed_all_' || r.oid, "
    "r.oid::regclass); "
    "end loop; "
    "end $f$";
/* What becomes a partition, or is none any more, is not named: its root is. */
static const char event_function[] =
    "create or replace function _orlo.feed_event() returns event_trigger language plpgsql security definer "
    "set search_path = pg_catalog, pg_temp as $f$ "
    "declare which oid[] := array(select objid from pg_event_trigger_ddl_commands() where "
    "classid = 'pg_class'::regclass and object_type like 'table%'); "
    "begin "
    "if exists (select from pg_class where oid = any (which) and relkind = 'p') then which := "
    "array(select oid from pg_class where relkind in ('r', 'p')); end if; "
    "perform _orlo.feed_watch(which); "
    "end $f$";

static const char *const makes[] = {
    "do $f$ begin if not exists (select from pg_roles where rolname = 'orlo_feed') then create "
    "role orlo_feed nologin; end if; end $f$",
    "create table if not exists _orlo.fed (id bigint generated always as identity primary key, at bigint not "
    "null, relation oid, op text not null, old text, new text)",
    "create table if not exists _orlo.changes (seq bigint primary key, at bigint not null, relation oid, op "
    "text not null, old text, new text, upto bigint not null)",
    "create table if not exists _orlo.feed (one boolean primary key default true check (one), last bigint not "
    "null, upto bigint not null)",
    "create table if not exists _orlo.consumers (name text primary key, seq bigint not null, seen bigint not "
    "null)",
    "alter table _orlo.fed add column if not exists hops int not null default 0", /* version 2 */
    "alter table _orlo.changes add column if not exists hops int not null default 0",
    "insert into _orlo.changes (seq, at, op, upto) select " NOW_US ", " NOW_MS
    ", '*', 64 where not exists (select from _orlo.feed)",
    "insert into _orlo.feed (last, upto) select seq, upto from _orlo.changes where not exists (select from _orlo.feed)",
    row_function,
    all_function,
    anew_function,
    watch_function,
    event_function,
    "grant usage on schema _orlo to orlo_feed",
    "grant insert on _orlo.fed to orlo_feed",
    "alter function _orlo.feed_row() owner to orlo_feed",
    "alter function _orlo.feed_all() owner to orlo_feed",
    "alter function _orlo.feed_anew() owner to orlo_feed",
    "revoke all on function _orlo.feed_anew(), _orlo.feed_watch(oid[]), _orlo.feed_event() from "
    "public", /* who makes a partition has its root's triggers */
    "grant execute on function _orlo.feed_anew() to postgres",
    "drop event trigger if exists orlo_feed",
    "create event trigger orlo_feed on ddl_command_end when tag in ('CREATE TABLE', 'CREATE "
    "TABLE AS', 'SELECT INTO', 'ALTER TABLE', 'CREATE SCHEMA') execute "
    "function _orlo.feed_event()",
    "select _orlo.feed_watch(array(select oid from pg_class))",
    "insert into _orlo.meta values ('feed', '" BROKER_FEED "') on conflict (key) do update set value = "
    "excluded.value"};

void node_feed_make(struct broker_base *b, postgres_told told) {
    struct postgres_statement s[ARRAY_COUNT(makes)];
    for (size_t i = 0; i < ARRAY_COUNT(makes); i++) s[i] = (struct postgres_statement){.text = str_c(makes[i])};
    (void)postgres_ask(b->admin,
                       &(struct postgres_question){.statements = s, .count = ARRAY_COUNT(s), .ms_max = OWN_MS, .bytes_max = MiB},
                       told, b);
}

/* ---- numbers, and what goes ---- */

/* One at a time: a lock that only whose the table is can have. Not a stronger one: who may only see the schema may hold that up, by preparing an update. */
static const char lock[] = "lock table _orlo.feed in share update exclusive mode";
static const char give_numbers[] =
    "with gone as (delete from _orlo.fed f using (select id from _orlo.fed order by id limit 20000) x where f.id = x.id "
    "returning f.*), "
    "row_ as (select g.*, row_number() over (order by id) k, sum(64 + octet_length(coalesce(old, '')) + "
    "octet_length(coalesce(new, ''))) over (order by id) b "
    "from gone g), "
    "put as (insert into _orlo.changes (seq, at, relation, op, old, new, upto, hops) select f.last + k, at, relation, op, old, "
    "new, "
    "f.upto + b, hops from row_, _orlo.feed f "
    "returning seq, upto) "
    "update _orlo.feed set last = (select max(seq) from put), upto = (select max(upto) from put) where exists (select from put)";
static const char drop_before[] =
    "delete from _orlo.changes where seq < (select max(seq) from _orlo.changes where op = '*' and relation is null) and seq <= "
    "coalesce((select min(seq) from _orlo.consumers where name ~ '^trigger:'), seq)";
static const char drop_consumers[] =
    "delete from _orlo.consumers where seen < " NOW_MS " - 604800000 and (name !~ '^trigger:' or (seen < " NOW_MS
    " - 4 * 604800000::bigint and (select count(*) from _orlo.consumers) > 32))";
/* $1: as old as it may be, ms; $2: bytes; $3: rows. The oldest alone are looked at. */
static const char trim[] =
    "delete from _orlo.changes where seq <= (select least(greatest(least((select coalesce(min(seq), f.last) from "
    "_orlo.consumers), o.old), o.large, f.last - "
    "$3::bigint), o.last, f.last - 1) from _orlo.feed f, (select coalesce(max(seq) filter (where at < " NOW_MS
    " - $1::bigint), 0) as old, coalesce(max(seq) filter (where c.upto <= f2.upto - $2::bigint), 0) as large, coalesce(max(seq), "
    "0) as last from (select seq, at, upto "
    "from _orlo.changes order by seq limit 20000) c, _orlo.feed f2) o)";
enum { TRIM_STATEMENTS = 5 };

static str number_of(arena *mem, uint64_t v) { return arena_fmt(mem, "%llu", (unsigned long long)v); }

static void put_trim(arena *mem, struct postgres_statement to[static TRIM_STATEMENTS], uint32_t rows, uint32_t kept_s,
                     uint64_t bytes_max) {
    struct postgres_value *v = arena_array(mem, struct postgres_value, 3);
    v[0].text = number_of(mem, kept_s * 1000ull), v[1].text = number_of(mem, bytes_max / 8), v[2].text = number_of(mem, rows);
    const char *const texts[] = {lock, give_numbers, drop_before, drop_consumers, trim};
    for (size_t i = 0; i < TRIM_STATEMENTS; i++) to[i] = (struct postgres_statement){.text = str_c(texts[i]), .kept = true};
    to[TRIM_STATEMENTS - 1].values = v, to[TRIM_STATEMENTS - 1].count = 3;
}

static void on_trimmed(void *arg, const struct postgres_answer *a) {}

/* Who tells functions of changes looks, soon: not at each of many that come at once. */
static void tell_news(struct broker_base *b, uint64_t now) {
    b->news_ns = now;
    b->news_due = node_wire_send(NODE_WIRE_FD, &NODE_MESSAGE(postgres_news, .app = b->app)) == ERR_AGAIN;
    if (b->news_due) node_broker_news_later(NEWS_MS); /* the supervisor has no room for it at the moment */
}

void node_feed_news(struct broker_base *b) {
    uint64_t now = clock_mono_ns();
    if (now - b->news_ns >= NEWS_MS * ms_ns) tell_news(b, now);
    else if (!b->news_due) b->news_due = true, node_broker_news_later(NEWS_MS);
}

void node_feed_tell_news(void) {
    for (struct broker_base *b = node_broker.bases; b; b = b->next)
        if (b->news_due) tell_news(b, clock_mono_ns());
}

/* What was written is not kept for ever where nobody asks. */
void node_feed_tick(struct broker_base *b, uint64_t now) {
    if (!b->feeds || !b->fed || !b->changes_max || b->state != BASE_HERE || !b->admin || now - b->trimmed_ns < TRIM_MS * ms_ns)
        return;
    b->fed = false;
    b->trimmed_ns = now;
    arena *mem = arena_new(0);
    struct postgres_statement s[TRIM_STATEMENTS];
    put_trim(mem, s, b->changes_max, b->changes_s, b->changes_bytes);
    (void)postgres_ask(b->admin,
                       &(struct postgres_question){.statements = s, .count = TRIM_STATEMENTS, .ms_max = OWN_MS, .bytes_max = MiB},
                       on_trimmed, NULL);
    arena_free(mem);
}

void node_feed_note(struct broker_ask *a) {
    struct broker_base *b = a->base;
    b->fed = true;
    if (a->news) node_feed_news(b);
    b->changes_max = a->changes_max, b->changes_s = a->changes_s, b->changes_bytes = a->bytes_max;
}

/* ---- who follows ---- */

enum { CONSUMER, AFTER, HOW_MANY, SINCE, VALUES_MAX, VALUES = SINCE };

static bool is_asked_well(const struct app_value *v, uint32_t n) {
    bool resumes = n == VALUES_MAX && v[SINCE].kind == APP_VALUE_INTEGER;
    bool named = (n == VALUES || resumes) && v[CONSUMER].kind == APP_VALUE_TEXT;
    if (resumes && !named) return false;
    if (named && (!v[CONSUMER].s.n || v[CONSUMER].s.n > NAME_BYTES_MAX || !str_is_utf8(v[CONSUMER].s) ||
                  memchr(v[CONSUMER].s.p, 0, v[CONSUMER].s.n)))
        return false;
    return (n == VALUES || resumes) && (named || v[CONSUMER].kind == APP_VALUE_NULL) && v[AFTER].kind == APP_VALUE_INTEGER &&
           v[HOW_MANY].kind == APP_VALUE_INTEGER && (named || v[HOW_MANY].i >= 0);
}

#define AFTER_OF(n) "(select case when $" n "::bigint < 0 then last else least($" n "::bigint, last) end from _orlo.feed)"
static const char count_others[] = "select count(*) from _orlo.consumers where name <> $1";
static const char follow_no_more[] = "delete from _orlo.consumers where name = $1";
static const char follow[] = "insert into _orlo.consumers as c (name, seq, seen) select $1, " AFTER_OF(
    "2") ", " NOW_MS " where (select count(*) from _orlo.consumers where name <> $1) < 64 on conflict (name) do update set seq = "
         "greatest(c.seq, excluded.seq), seen = "
         "excluded.seen where excluded.seq > c.seq or c.seen < excluded.seen - 60000";
static_assert(CONSUMERS_MAX == 64);
/* Who goes on where he was, or begins with what changed since then ($3). */
static const char follow_on[] = "insert into _orlo.consumers as c (name, seq, seen) select $1, case when $2::bigint < 0 then "
                                "coalesce((select min(seq) - 1 from "
                                "_orlo.changes where at >= $3::bigint), f.last) else least($2::bigint, f.last) end, " NOW_MS
                                " from _orlo.feed f where (select count(*) from _orlo.consumers where name <> $1) < 64 on "
                                "conflict (name) do update set seq = "
                                "case when $2::bigint < 0 then c.seq else greatest(c.seq, excluded.seq) end, seen = "
                                "excluded.seen where excluded.seq > c.seq or "
                                "c.seen < excluded.seen - 60000";
#define WHERE_HE_IS "(select coalesce(min(seq), 0) from _orlo.consumers where name = $1)"
static const char ends_on[] = "select (select coalesce(min(seq), 0) from _orlo.changes), last, " WHERE_HE_IS " from _orlo.feed";
static const char ends[] = "select (select coalesce(min(seq), 0) from _orlo.changes), last from _orlo.feed";
/* $2: rows; $3: bytes of all; $4: of one, that is told as * if it is larger. */
#define ROWS_AFTER(place)                                                                                                        \
    "select seq, at, coalesce(n.nspname, ''), coalesce(c.relname, ''), case when large then '*' else op end, case when not "     \
    "large "                                                                                                                     \
    "then key end, case when not large "                                                                                         \
    "then old end, case when not large then new end, hops from (select r.*, sum(case when large then 64 else bytes end) over "   \
    "(order "                                                                                                                    \
    "by seq) as upto_here, row_number() over "                                                                                   \
    "(order by seq) as k from (select *, octet_length(coalesce(old, '')) + octet_length(coalesce(new, '')) as bytes, "           \
    "octet_length(coalesce(old, '')) + "                                                                                         \
    "octet_length(coalesce(new, '')) > $4::bigint as large from _orlo.changes where seq > " place                                \
    " order by seq limit $2::bigint) r) r left join pg_class c on c.oid = r.relation left join pg_namespace n on n.oid "         \
    "= c.relnamespace left join lateral "                                                                                        \
    "(select json_object_agg(a.attname, coalesce(r.new, r.old)::json -> a.attname order by "                                     \
    "array_position(i.indkey::int[], a.attnum::int))::text as key from "                                                         \
    "pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey) where i.indrelid = "                \
    "r.relation and i.indisprimary and r.op <> "                                                                                 \
    "'*') p on true where (k = 1 or upto_here <= $3::bigint) and (r.relation is null or c.oid is not null) order by seq"
static const char rows_after[] = ROWS_AFTER(AFTER_OF("1")), rows_on[] = ROWS_AFTER(WHERE_HE_IS);

static struct app_value text_of(const struct postgres_answer *a, uint32_t s, uint32_t row, uint32_t column) {
    bool null;
    str text = postgres_value(a, s, row, column, &null);
    return null ? (struct app_value){APP_VALUE_NULL, {0}} : APP_TEXT(text);
}
static struct app_value number_at(const struct postgres_answer *a, uint32_t s, uint32_t row, uint32_t column) {
    uint64_t v = 0;
    (void)str_to_u64(postgres_value(a, s, row, column, NULL), &v);
    return APP_I64((int64_t)v);
}

static void put_rows(struct broker_ask *ask, const struct postgres_answer *a, uint32_t s) {
    VEC(struct app_value) v = {0};
    for (uint32_t i = 0; i < (ask->asks_count == VALUES_MAX ? 3u : 2u); i++) vec_push(ask->mem, &v, number_at(a, s, 0, i));
    for (uint32_t row = 0; row < postgres_rows(a, s + 1); row++) {
        struct app_value key = text_of(a, s + 1, row, 5), old = text_of(a, s + 1, row, 6), new = text_of(a, s + 1, row, 7);
        for (uint32_t i = 0; i < 2; i++) vec_push(ask->mem, &v, number_at(a, s + 1, row, i));
        for (uint32_t i = 2; i < 5; i++) vec_push(ask->mem, &v, text_of(a, s + 1, row, i));
        vec_push(ask->mem, &v,
                 (key.kind == APP_VALUE_TEXT   ? key
                  : old.kind == APP_VALUE_TEXT ? old
                                               : new)); /* without a key all of it is */
        vec_push(ask->mem, &v, old);
        vec_push(ask->mem, &v, new);
        vec_push(ask->mem, &v, number_at(a, s + 1, row, 8));
    }
    app_values_write(&ask->values, v.p, v.n);
}

static void on_read(void *arg, const struct postgres_answer *a) {
    struct broker_ask *ask = arg;
    ask->asked = NULL;
    uint32_t at = TRIM_STATEMENTS + ask->follows;
    uint64_t others = 0;
    if (postgres_outcome(a) == POSTGRES_ERROR)
        node_tree_fail(&ask->error, postgres_error(a)->state, "%s", postgres_error(a)->message);
    else if (postgres_outcome(a) != POSTGRES_DONE)
        node_tree_fail(&ask->error, "57P03", "the database system is not there at the moment");
    else if (ask->follows == 2 && str_to_u64(postgres_value(a, TRIM_STATEMENTS, 0, 0, NULL), &others) && others >= CONSUMERS_MAX)
        node_tree_fail(&ask->error, "22023", "%d follow the app's changes already, as many as may", CONSUMERS_MAX);
    else put_rows(ask, a, at);
    node_ask_over(ask);
}

/* As the superuser, with PostgreSQL's own names alone; nothing that the app has made is run by it. */
void node_feed_ask(struct broker_ask *ask) {
    struct broker_base *b = ask->base;
    const struct app_value *v = ask->asks;
    if (!is_asked_well(v, ask->asks_count)) node_tree_fail(&ask->error, "22023", "this is not how changes are asked for");
    else if (!b->feeds) node_tree_fail(&ask->error, "0A000", "changes of a server of somebody else's are not kept");
    if (ask->error.set || !b->admin) {
        node_ask_over(ask);
        return;
    }
    struct postgres_statement s[TRIM_STATEMENTS + 4];
    uint32_t n = TRIM_STATEMENTS;
    struct postgres_value *p = arena_array(ask->mem, struct postgres_value, 6);
    put_trim(ask->mem, s, ask->changes_max, ask->changes_s, ask->bytes_max);
    p[0].text = v[CONSUMER].s, p[1].text = arena_fmt(ask->mem, "%lld", (long long)v[AFTER].i);
    p[2].text = p[1].text, p[3].text = number_of(ask->mem, (uint64_t)MIN(MAX(v[HOW_MANY].i, 0), (int64_t)MOST));
    p[4].text = number_of(ask->mem, ask->answer_bytes_max / 2), p[5].text = number_of(ask->mem, ask->answer_bytes_max / 4);
    bool on = ask->asks_count == VALUES_MAX;
    struct postgres_value since[3] = {p[0], p[1], {0}};
    if (on) since[2].text = number_of(ask->mem, (uint64_t)MAX(v[SINCE].i, 0)), p[2] = p[0];
    ask->follows = 0;
    if (v[CONSUMER].kind == APP_VALUE_TEXT && v[HOW_MANY].i < 0) {
        s[n++] = (struct postgres_statement){.text = str_c(follow_no_more), .values = p, .count = 1, .kept = true};
        ask->follows = 1;
    } else if (v[CONSUMER].kind == APP_VALUE_TEXT) {
        s[n++] = (struct postgres_statement){.text = str_c(count_others), .values = p, .count = 1, .kept = true};
        s[n++] = on ? (struct postgres_statement){.text = str_c(follow_on), .values = since, .count = 3, .kept = true}
                    : (struct postgres_statement){.text = str_c(follow), .values = p, .count = 2, .kept = true};
        ask->follows = 2;
    }
    s[n++] = (struct postgres_statement){.text = str_c(on ? ends_on : ends), .values = p, .count = on, .kept = true};
    s[n++] = (struct postgres_statement){.text = str_c(on ? rows_on : rows_after), .values = p + 2, .count = 4, .kept = true};
    ask->asked = postgres_ask(b->admin,
                              &(struct postgres_question){
                                  .statements = s, .count = n, .ms_max = OWN_MS, .bytes_max = 4ull * ask->answer_bytes_max + MiB},
                              on_read, ask);
}
