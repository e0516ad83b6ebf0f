/* Trees, asked of SQLite: values that are none of their type's are refused wherever they stand, digits are kept, defaults are whoever's who asks. What
 * answers must be is what PostgreSQL gives (tests/sql/engines.py asks it). */
#include "query/app_test.h"

static const char schema[] =
    "create type mood as enum ('sad', 'ok', 'happy'); create domain positive as integer check (value > 0); create domain words "
    "as text[]; create domain code as varchar(3) not null; create domain even as positive check (value % 2 = 0);"
    "create table t (id bigint primary key, owner uuid default auth.uid(), who text default auth.role(), n numeric, p "
    "numeric(6,2), i integer, s smallint,"
    "  b boolean, u uuid, d date, ts timestamptz, iv interval, j json, jb jsonb, m mood, pos positive, v varchar(3), by bytea, f "
    "double precision,"
    "  a integer[], ta text[], ma mood[], na numeric[], w words);"
    "create table d (id integer primary key, c code, e even, f even);"
    "create table keyed (id integer primary key, name text not null default 'n', at timestamptz default now(), token uuid "
    "default gen_random_uuid(), seq serial, check (name <> 'bad'));"
    "create table closed (id integer primary key); revoke all on closed from anon, authenticated;"
    "create table hushed (id integer primary key, n integer not null); alter table hushed enable row level security; create "
    "policy p on hushed using (true); insert into hushed values (1, 1);"
    "create table owned (id integer primary key, owner uuid, n integer); alter table owned enable row level security;"
    "create policy own on owned to authenticated using (owner = auth.uid()); create policy above on owned as restrictive using "
    "(n > 0);"
    "create table shelf (id integer primary key, n integer); create table book (id integer primary key, shelf integer references "
    "shelf (id)); insert into shelf values (1, 1), (2, 2); insert into book values (1, 2);"
    "create table shown (id integer primary key, shelf integer); alter table shown enable row level security;"
    "create policy p on shown for select using (exists (select 1 from closed c where c.id = shelf));"
    "create function echo(n numeric, b bigint default 9007199254740993, m mood default 'ok', a integer[] default '{1,2}') "
    "returns table (n2 numeric, b2 bigint, m2 mood, a2 integer[])"
    "  language sql stable as $$ select n, b, m, a $$;"
    "create function parts(a integer[]) returns setof integer language sql stable as $$ select unnest(a) $$;"
    "create function steps(upto integer) returns setof integer language sql stable as $$ select g from generate_series(1, upto) "
    "g $$;"
    "create function keys_of(j jsonb) returns setof text language sql stable as $$ select k from jsonb_object_keys(j) k $$;"
    "create function halved(n even) returns integer language sql stable as $$ select n / 2 $$;"
    "create function whose() returns uuid language sql stable as $$ select auth.uid() $$;"
    "create table writer (id integer primary key, name text); create table post (id integer primary key, writer integer "
    "references writer (id), title text); insert into writer values (1, 'w'); insert into post values (1, 1, 't');"
    "create view post_v as select id, writer, title from post; create view writer_v as select id, name from writer;"
    "revoke all on post_v, writer_v from anon; grant select (id, title) on post_v to anon; grant select (name) on writer_v to "
    "anon;"
    "create table tag (id integer primary key, name text); create table tagged (post integer references post (id), tag integer "
    "references tag (id), primary key (post, tag)); insert into tag values (1, 'g'); insert into tagged values (1, 1);"
    "create view tagged_v as select post, tag from tagged; revoke all on tagged_v from anon; grant select (post) on tagged_v to "
    "anon;"
    "create function writer_of(p post_v) returns setof writer rows 1 language sql stable as $$ select w from writer w where w.id "
    "= "
    "p.writer $$;"
    "create function hidden_writers() returns setof integer language sql stable as $$ select writer from post_v $$;"
    "create schema back; revoke all on schema back from public, anon, authenticated;"
    "create table back.item (id integer primary key, post integer references post (id)); create table back.part (id integer "
    "primary key, item integer references back.item (id)); grant select on back.item, back.part to anon;"
    "insert into back.item values (1, 1); insert into back.part values (1, 1);"
    "create function back.secret_of(p post) returns text language sql stable security definer as $$ select 'secret' $$;"
    "create function items() returns setof back.item language sql stable security definer as $$ select i from back.item i $$;"
    "create function items_of(p post) returns setof back.item language sql stable security definer as $$ select i from back.item "
    "i "
    "where i.post = p.id $$;"
    "create table booked (id integer primary key, room integer, gone boolean default false, constraint one_each exclude (room "
    "with "
    "=) where (not gone));"
    "create table kept (id integer primary key, owner uuid, n integer check (n < 100)); insert into kept values (1, null, 1), "
    "(2, '00000000-0000-0000-0000-000000000001', 2);"
    "alter table kept enable row level security; create policy own on kept to authenticated using (owner = auth.uid());"
    "create view kept_asked with (security_invoker = true) as select id, n from kept; create view kept_above as select id, n "
    "from "
    "kept_asked; create view kept_turned as select id from kept; alter view kept_turned set (security_invoker = true);"
    "create view small as select id as key, n, n * 2 as twice from kept where n < 10 with check option;"
    "create view smaller as select key, n from small where n < 5; create view smallest with (check_option = local) as select n, "
    "key "
    "from smaller where n <> 3; create view most as select max(n) as n from kept;"
    "create view mine with (security_invoker = true) as select id, owner, n from kept where n > 0;";

static int start(void **state) { return *state = app_open(schema), 0; }
static int stop(void **state) { return app_close(*state), 0; }

/* Wherever a value of column c may stand. */
static void refused(struct app *a, const char *column, const char *value, const char *want) {
    static const char *const trees[] = {
        "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"%s\",\"op\":\"eq\",\"value\":%s}}",
        "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"not\":{\"column\":\"%s\",\"op\":\"in\",\"values\":[null,%s]}}}",
        "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"or\":[{\"column\":\"id\",\"op\":\"is\",\"value\":null},{\"column\":\"%"
        "s\",\"op\":\"gt\",\"quantifier\":\"any\",\"values\":[%s]}]}}",
        "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"%s\",\"op\":\"isdistinct\",\"value\":%s}}",
        "{\"kind\":\"insert\",\"from\":\"t\",\"rows\":[{\"id\":1,\"%s\":%s}]}",
        "{\"kind\":\"update\",\"from\":\"t\",\"set\":{\"%s\":%s}}",
        "{\"kind\":\"delete\",\"from\":\"t\",\"where\":{\"column\":\"%s\",\"op\":\"lte\",\"value\":%s}}",
        "{\"from\":\"t\",\"select\":[\"id\"],\"order\":[\"id\"],\"limit\":0,\"where\":{\"column\":\"%s\",\"op\":\"neq\","
        "\"value\":%s}}",
    };
    for (size_t i = 0; i < ARRAY_COUNT(trees); i++) {
        char tree[512];
        snprintf(tree, sizeof tree, trees[i], column, value); /* the formats are those above */
        const char *said = ask(a, -1, tree);
        if (strcmp(said, want) != 0) fail_msg("%s\n  says %s\n  and not %s", tree, said, want);
    }
}

static void values_of_the_wrong_type(void **state) {
    struct app *a = *state;
    refused(a, "i", "\"x\"", "22P02 invalid input syntax for type integer: \"x\"");
    refused(a, "i", "1.5", "22P02 invalid input syntax for type integer: \"1.5\"");
    refused(a, "i", "2147483648", "22003 value \"2147483648\" is out of range for type integer");
    refused(a, "s", "32768", "22003 value \"32768\" is out of range for type smallint");
    refused(a, "id", "9223372036854775808", "22003 value \"9223372036854775808\" is out of range for type bigint");
    refused(a, "id", "\"\"", "22P02 invalid input syntax for type bigint: \"\"");
    refused(a, "n", "\"1x\"", "22P02 invalid input syntax for type numeric: \"1x\"");
    refused(a, "b", "\"maybe\"", "22P02 invalid input syntax for type boolean: \"maybe\"");
    refused(a, "u", "\"not-a-uuid\"", "22P02 invalid input syntax for type uuid: \"not-a-uuid\"");
    refused(a, "d", "\"2024-02-30\"", "22008 date/time field value out of range: \"2024-02-30\"");
    refused(a, "d", "\"soon\"", "22007 invalid input syntax for type date: \"soon\"");
    refused(a, "ts", "\"yesterday-ish\"", "22007 invalid input syntax for type timestamp with time zone: \"yesterday-ish\"");
    refused(a, "iv", "\"a while\"", "22007 invalid input syntax for type interval: \"a while\"");
    refused(a, "m", "\"glad\"", "22P02 invalid input value for enum mood: \"glad\"");
    refused(a, "f", "\"1e400\"", "22003 \"1e400\" is out of range for type double precision");
    refused(a, "by", "\"\\\\x0\"", "22023 invalid hexadecimal data: odd number of digits");
    refused(a, "a", "\"{1,x}\"", "22P02 invalid input syntax for type integer: \"x\"");
    refused(a, "a", "[1,\"x\"]", "22P02 invalid input syntax for type integer: \"x\"");
    refused(a, "a", "\"1,2\"",
            "22P02 malformed array literal: \"1,2\" | Array value must start with \"{\" or dimension information.");
    refused(a, "ma", "[\"ok\",\"glad\"]", "22P02 invalid input value for enum mood: \"glad\"");
    ASK(a, -1, "{\"kind\":\"insert\",\"from\":\"t\",\"rows\":[{\"id\":1,\"pos\":0}]}",
        "23514 value for domain positive violates check constraint \"positive_check\"");
    ASK(a, -1, "{\"kind\":\"insert\",\"from\":\"t\",\"rows\":[{\"id\":1,\"v\":\"long\"}]}",
        "22001 value too long for type character varying(3)");
    ASK(a, -1, "{\"kind\":\"insert\",\"from\":\"t\",\"rows\":[{\"id\":1,\"p\":12345}]}",
        "22003 numeric field overflow | A field with precision 6, scale 2 must round to an absolute value less than 10^4.");
    ASK(a, -1, "{\"kind\":\"insert\",\"from\":\"t\",\"rows\":[{\"id\":1,\"i\":\"7\"},{\"id\":2,\"i\":\"x\"}]}",
        "22P02 invalid input syntax for type integer: \"x\"");
    ASK(a, -1, "{\"kind\":\"call\",\"function\":\"echo\",\"args\":{\"n\":\"x\"}}",
        "22P02 invalid input syntax for type numeric: \"x\"");
    ASK(a, -1, "{\"kind\":\"call\",\"function\":\"echo\",\"args\":{\"n\":1,\"m\":\"glad\"}}",
        "22P02 invalid input value for enum mood: \"glad\"");
    ASK(a, -1, "{\"kind\":\"call\",\"function\":\"echo\",\"args\":{\"n\":1,\"a\":[1,\"y\"]}}",
        "22P02 invalid input syntax for type integer: \"y\"");
    ASK(a, -1, "{\"from\":\"t\",\"select\":[\"id\"]}", "[]");
}

static void domains(void **state) {
    struct app *a = *state;
    ASK(a, -1, "{\"kind\":\"insert\",\"from\":\"d\",\"rows\":[{\"id\":1,\"c\":\"long\",\"f\":2}]}",
        "22001 value too long for type character varying(3)");
    ASK(a, -1, "{\"kind\":\"insert\",\"from\":\"d\",\"rows\":[{\"id\":1,\"c\":null,\"f\":2}]}",
        "23502 domain code does not allow null values");
    ASK(a, -1, "{\"kind\":\"insert\",\"from\":\"d\",\"rows\":[{\"id\":1,\"c\":\"x\",\"e\":-2,\"f\":2}]}",
        "23514 value for domain even violates check constraint \"positive_check\"");
    ASK(a, -1, "{\"kind\":\"insert\",\"from\":\"d\",\"rows\":[{\"id\":1,\"c\":\"x\",\"e\":3,\"f\":2}]}",
        "23514 value for domain even violates check constraint \"even_check\"");
    ASK(a, -1,
        "{\"kind\":\"insert\",\"from\":\"d\",\"rows\":[{\"id\":1,\"c\":\"x\",\"e\":null,\"f\":4}],\"select\":[\"c\",\"e\",\"f\"]"
        "}",
        "[{\"c\":\"x\",\"e\":null,\"f\":4}]");
    ASK(a, -1, "{\"kind\":\"update\",\"from\":\"d\",\"set\":{\"e\":7}}",
        "23514 value for domain even violates check constraint \"even_check\"");
    ASK(a, -1, "{\"from\":\"d\",\"select\":[\"id\"],\"where\":{\"column\":\"f\",\"op\":\"gt\",\"value\":-3}}", "[{\"id\":1}]");
    ASK(a, -1, "{\"kind\":\"call\",\"function\":\"halved\",\"args\":{\"n\":5}}",
        "23514 value for domain even violates check constraint \"even_check\"");
    ASK(a, -1, "{\"kind\":\"call\",\"function\":\"halved\",\"args\":{\"n\":6}}", "3");
}

static void digits_are_kept(void **state) {
    struct app *a = *state;
    ASK(a, -1,
        "{\"kind\":\"insert\",\"from\":\"t\",\"rows\":[{\"id\":9007199254740993,\"n\":123456789012345678901234567890."
        "1234567890123456789,\"p\":1.005,\"jb\":{\"x\":12345678901234567890123},\"na\":[1.10,9007199254740993.5],\"f\":0.1}],"
        "\"select\":[\"id\",\"n\",\"p\",\"jb\",\"na\",\"f\"]}",
        "[{\"id\":9007199254740993,\"n\":123456789012345678901234567890.1234567890123456789,\"p\":1.01,\"jb\":{\"x\": "
        "12345678901234567890123},\"na\":[1.10,9007199254740993.5],\"f\":0.1}]");
    ASK(a, -1,
        "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"n\",\"op\":\"eq\",\"value\":123456789012345678901234567890."
        "12345678901234567890}}",
        "[{\"id\":9007199254740993}]");
    ASK(a, -1,
        "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"n\",\"op\":\"eq\",\"value\":123456789012345678901234567890."
        "1234567890123456788}}",
        "[]");
    ASK(a, -1, "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"id\",\"op\":\"eq\",\"value\":9007199254740992}}",
        "[]");
    ASK(a, -1, "{\"kind\":\"update\",\"from\":\"t\",\"set\":{\"n\":-9223372036854775809.50},\"select\":[\"n\"]}",
        "[{\"n\":-9223372036854775809.50}]");
    ASK(a, -1, "{\"kind\":\"call\",\"function\":\"echo\",\"args\":{\"n\":0.10000000000000000000001}}",
        "[{\"n2\":0.10000000000000000000001,\"b2\":9007199254740993,\"m2\":\"ok\",\"a2\":[1,2]}]");
    ASK(a, -1, "{\"kind\":\"call\",\"function\":\"echo\",\"args\":{\"n\":1e3,\"b\":-9223372036854775808,\"m\":null,\"a\":[]}}",
        "[{\"n2\":1000,\"b2\":-9223372036854775808,\"m2\":null,\"a2\":[]}]");
}

/* The row that was refused, with what its defaults came to; of a key that is null, too. */
static void refused_rows_are_told(void **state) {
    struct app *a = *state;
    ASK(a, -1,
        "{\"kind\":\"insert\",\"from\":\"keyed\",\"rows\":[{\"id\":1,\"name\":null,\"at\":\"2024-01-01T00:00:00Z\",\"token\":"
        "null}]}",
        "23502 null value in column \"name\" of relation \"keyed\" violates not-null constraint | Failing row contains (1, null, "
        "2024-01-01 00:00:00+00, null, 1).");
    ASK(a, -1,
        "{\"kind\":\"insert\",\"from\":\"keyed\",\"rows\":[{\"id\":1,\"at\":null,\"token\":null,\"seq\":7},{\"id\":null,\"at\":"
        "null,\"token\":null,\"seq\":8}]}",
        "23502 null value in column \"id\" of relation \"keyed\" violates not-null constraint | Failing row contains (null, n, "
        "null, null, 8).");
    ASK(a, -1,
        "{\"kind\":\"insert\",\"from\":\"keyed\",\"rows\":[{\"id\":1,\"name\":\"a\",\"at\":null,\"token\":null,\"seq\":9},{"
        "\"id\":2,\"name\":\"bad\",\"at\":null,\"token\":null,\"seq\":10}]}",
        "23514 new row for relation \"keyed\" violates check constraint \"keyed_name_check\" | Failing row contains (2, bad, "
        "null, null, 10).");
    ASK(a, -1,
        "{\"kind\":\"insert\",\"from\":\"keyed\",\"rows\":[{\"id\":1,\"at\":null,\"token\":null,\"seq\":9}],\"select\":[\"name\"]"
        "}",
        "[{\"name\":\"n\"}]");
    ASK(a, -1, "{\"kind\":\"update\",\"from\":\"keyed\",\"set\":{\"name\":\"bad\"}}",
        "23514 new row for relation \"keyed\" violates check constraint \"keyed_name_check\" | Failing row contains (1, bad, "
        "null, null, 9).");
    ASK(a, -1, "{\"kind\":\"update\",\"from\":\"keyed\",\"set\":{\"id\":null}}",
        "23502 null value in column \"id\" of relation \"keyed\" violates not-null constraint | Failing row contains (null, n, "
        "null, null, 9).");
    ASK(a, -1, "{\"from\":\"keyed\",\"select\":[\"id\",\"name\"]}", "[{\"id\":1,\"name\":\"n\"}]");
    ASK(a, 1, "{\"kind\":\"update\",\"from\":\"hushed\",\"set\":{\"n\":null}}",
        "23502 null value in column \"n\" of relation \"hushed\" violates not-null constraint");
}

/* Names are looked up before values are read, and values before rights. */
static void what_is_wrong_first(void **state) {
    struct app *a = *state;
    ASK(a, 1,
        "{\"from\":\"closed\",\"select\":[\"id\"],\"where\":[{\"column\":\"id\",\"op\":\"eq\",\"value\":\"x\"},{\"column\":"
        "\"nope\",\"op\":\"eq\",\"value\":1}]}",
        "42703 column closed.nope does not exist");
    ASK(a, 1, "{\"from\":\"closed\",\"select\":[\"id\"],\"where\":[{\"column\":\"id\",\"op\":\"eq\",\"value\":\"x\"}]}",
        "22P02 invalid input syntax for type integer: \"x\"");
    ASK(a, 1, "{\"from\":\"closed\",\"select\":[\"id\"]}", "42501 permission denied for table closed");
}

static void text_search(void **state) {
    struct app *a = *state;
    ASK(a, -1, "{\"kind\":\"insert\",\"from\":\"t\",\"rows\":[{\"id\":1,\"who\":\"The Cats ran\"},{\"id\":2,\"who\":\"a dog\"}]}",
        "");
    ASK(a, -1,
        "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"who\",\"op\":\"fts\",\"config\":\"simple\",\"value\":"
        "\"cats\"}}",
        "[{\"id\":1}]");
    ASK(a, -1,
        "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"who\",\"op\":\"plfts\",\"config\":\"simple\",\"value\":"
        "\"the cat\"}}",
        "[]");
    ASK(a, -1,
        "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"who\",\"op\":\"wfts\",\"config\":\"simple\",\"value\":\"dog "
        "or cats\"},\"order\":[\"id\"]}",
        "[{\"id\":1},{\"id\":2}]");
    ASK(a, -1,
        "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"who\",\"op\":\"fts\",\"config\":\"klingon\",\"value\":\"x\"}"
        "}",
        "42704 text search configuration \"klingon\" does not exist");
}

static void explain(struct app *a, enum catalog_command command, const char *key, const char *want) {
    arena *mem = arena_new(0);
    struct json claims;
    static const struct json_limits limits = {.bytes_max = 4096, .depth_max = 8, .values_max = 64};
    struct pg_session session = {
        .role = STR("authenticated"), .mem = mem, .claims = STR("{\"sub\":\"00000000-0000-0000-0000-000000000001\"}")};
    struct pg_error e = {0};
    struct query_json filter;
    struct buf b = {0};
    assert_int_equal(json_read(mem, session.claims, &limits, &claims, NULL), ERR_OK);
    session.claims_json = &claims;
    if (key) assert_true(query_json_read(mem, str_c(key), &filter, &e));
    if (!query_explain_policy(a->conn, &session, STR("public"), STR("owned"), command, key ? &filter : NULL, &b, &e))
        buf_printf(&b, "%s %s", e.state, e.message);
    buf_putc(&b, 0);
    assert_string_equal((const char *)b.p, want);
    buf_free(&b), arena_free(mem);
}

/* Each policy by itself, of the rows that there are, or of those that are asked about. */
static void policies_are_explained(void **state) {
    struct app *a = *state;
    ASK(a, -1,
        "{\"kind\":\"insert\",\"from\":\"owned\",\"rows\":[{\"id\":1,\"owner\":\"00000000-0000-0000-0000-000000000001\",\"n\":1},"
        "{\"id\":2,\"owner\":\"00000000-0000-0000-0000-000000000001\",\"n\":-1},{\"id\":3,\"owner\":\"00000000-0000-0000-0000-"
        "000000000002\",\"n\":1}]}",
        "");
    explain(a, CATALOG_FOR_SELECT, NULL,
            "{\"table\":\"owned\",\"role\":\"authenticated\",\"command\":\"select\",\"rls\":true,\"holds\":true,\"rows\":3,"
            "\"visible\":1,\"policies\":["
            "{\"name\":\"above\",\"permissive\":false,\"for\":\"all\",\"using\":\"n > 0\",\"passes\":2},"
            "{\"name\":\"own\",\"permissive\":true,\"for\":\"all\",\"using\":\"owner = auth.uid()\",\"passes\":2}]}");
    explain(a, CATALOG_FOR_UPDATE, "{\"column\":\"id\",\"op\":\"eq\",\"value\":3}",
            "{\"table\":\"owned\",\"role\":\"authenticated\",\"command\":\"update\",\"rls\":true,\"holds\":true,\"rows\":1,"
            "\"visible\":0,\"accepted\":0,\"policies\":["
            "{\"name\":\"above\",\"permissive\":false,\"for\":\"all\",\"using\":\"n > 0\",\"passes\":1,\"passesCheck\":1},"
            "{\"name\":\"own\",\"permissive\":true,\"for\":\"all\",\"using\":\"owner = "
            "auth.uid()\",\"passes\":0,\"passesCheck\":0}]}");
    explain(a, CATALOG_FOR_SELECT, "{\"column\":\"nope\",\"op\":\"eq\",\"value\":3}", "42703 column owned.nope does not exist");
}

static void enums_arrays_and_null(void **state) {
    struct app *a = *state;
    ASK(a, -1,
        "{\"kind\":\"insert\",\"from\":\"t\",\"rows\":[{\"id\":1,\"m\":\"ok\",\"pos\":3,\"a\":[1,null,3],\"ta\":[\"a,b\","
        "\"\\\"\",\"NULL\",null,\"\"],\"ma\":[\"happy\",null],\"w\":[\"x\"],\"j\":null,\"jb\":null},"
        "{\"id\":2,\"m\":null,\"pos\":null,\"a\":[],\"ta\":null,\"ma\":\"{sad}\",\"w\":\"{y,z}\",\"j\":\"null\",\"jb\":\"null\"}]"
        "}",
        "");
    ASK(a, -1, "{\"from\":\"t\",\"select\":[\"m\",\"pos\",\"a\",\"ta\",\"ma\",\"w\",\"j\",\"jb\"],\"order\":[\"id\"]}",
        "[{\"m\":\"ok\",\"pos\":3,\"a\":[1,null,3],\"ta\":[\"a,b\",\"\\\"\",\"NULL\",null,\"\"],\"ma\":[\"happy\",null],\"w\":["
        "\"x\"],\"j\":null,\"jb\":null},"
        "{\"m\":null,\"pos\":null,\"a\":[],\"ta\":null,\"ma\":[\"sad\"],\"w\":[\"y\",\"z\"],\"j\":\"null\",\"jb\":\"null\"}]");
    ASK(a, -1, "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"m\",\"op\":\"gte\",\"value\":\"sad\"}}",
        "[{\"id\":1}]");
    ASK(a, -1, "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"m\",\"op\":\"isdistinct\",\"value\":null}}",
        "[{\"id\":1}]");
    ASK(a, -1, "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"m\",\"op\":\"eq\",\"value\":null}}", "[]");
    ASK(a, -1, "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"m\",\"op\":\"in\",\"values\":[\"ok\",null]}}",
        "[{\"id\":1}]");
    ASK(a, -1, "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"ma\",\"op\":\"cs\",\"value\":[\"happy\"]}}",
        "[{\"id\":1}]");
    ASK(a, -1, "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"w\",\"op\":\"ov\",\"value\":\"{z}\"}}",
        "[{\"id\":2}]");
    ASK(a, -1, "{\"from\":\"t\",\"select\":[\"id\"],\"where\":{\"column\":\"a\",\"op\":\"eq\",\"value\":[]}}", "[{\"id\":2}]");
    ASK(a, -1,
        "{\"from\":\"t\",\"select\":[{\"column\":\"m\",\"aggregate\":\"max\"},{\"column\":\"pos\",\"aggregate\":\"sum\"}]}",
        "[{\"max\":\"ok\",\"sum\":3}]");
    ASK(a, -1,
        "{\"from\":\"t\",\"select\":[{\"column\":\"m\",\"cast\":\"text\"},{\"column\":\"a\",\"cast\":\"text\",\"as\":\"x\"}],"
        "\"order\":[\"id\"]}",
        "[{\"m\":\"ok\",\"x\":\"{1,NULL,3}\"},{\"m\":null,\"x\":\"{}\"}]");
}

static void defaults_are_whose_who_asks(void **state) {
    struct app *a = *state;
    ASK(a, 3, "{\"kind\":\"insert\",\"from\":\"t\",\"rows\":[{\"id\":1}],\"select\":[\"owner\",\"who\"]}",
        "[{\"owner\":\"00000000-0000-0000-0000-000000000003\",\"who\":\"authenticated\"}]");
    ASK(a, 4,
        "{\"kind\":\"insert\",\"from\":\"t\",\"rows\":[{\"id\":2,\"owner\":null},{\"id\":3}],\"columns\":[\"id\",\"owner\"],"
        "\"missing\":\"default\",\"select\":[\"owner\"]}",
        "[{\"owner\":null},{\"owner\":\"00000000-0000-0000-0000-000000000004\"}]");
    ASK(a, 0, "{\"kind\":\"insert\",\"from\":\"t\",\"rows\":[{\"id\":4}],\"select\":[\"owner\",\"who\"]}",
        "[{\"owner\":null,\"who\":\"anon\"}]");
    ASK(a, 5, "{\"kind\":\"call\",\"function\":\"whose\"}", "\"00000000-0000-0000-0000-000000000005\"");
}

static void tables_that_are_functions(void **state) {
    struct app *a = *state;
    ASK(a, 1, "{\"kind\":\"call\",\"function\":\"parts\",\"args\":{\"a\":[3,1,2]}}", "[3,1,2]");
    ASK(a, 1, "{\"kind\":\"call\",\"function\":\"steps\",\"args\":{\"upto\":3}}", "[1,2,3]");
    ASK(a, 1,
        "{\"kind\":\"call\",\"function\":\"echo\",\"args\":{\"n\":1},\"select\":[\"n2\"],\"where\":{\"column\":\"n2\",\"op\":"
        "\"in\",\"values\":[\"1\",\"2\"]}}",
        "[{\"n2\":1}]");
    ASK(a, 1, "{\"kind\":\"call\",\"function\":\"keys_of\",\"args\":{\"j\":{\"b\":1,\"a\":2}}}", "[\"a\",\"b\"]");
}

/* What stands beside an `or` holds for all of it. */
static void or_beside_others(void **state) {
    struct app *a = *state;
    ASK(a, -1,
        "{\"from\":\"shelf\",\"select\":[\"id\",{\"embed\":\"book\",\"select\":[\"id\"],\"join\":\"inner\"}],\"where\":{\"or\":[{"
        "\"column\":\"n\","
        "\"op\":\"eq\",\"value\":1},{\"column\":\"n\",\"op\":\"eq\",\"value\":2}]}}",
        "[{\"id\":2,\"book\":[{\"id\":1}]}]");
    ASK(a, -1,
        "{\"from\":\"shelf\",\"select\":[\"id\",{\"embed\":\"book\",\"select\":[\"id\"],\"join\":\"inner\"}],\"where\":{"
        "\"column\":\"n\",\"op\":"
        "\"eq\",\"quantifier\":\"any\",\"values\":[1,2]}}",
        "[{\"id\":2,\"book\":[{\"id\":1}]}]");
}

/* A row that is passed over is not the one whose key leads nowhere. */
static void keys_of_what_is_passed_over(void **state) {
    ASK(*state, -1,
        "{\"kind\":\"insert\",\"from\":\"book\",\"rows\":[{\"id\":1,\"shelf\":7},{\"id\":2,\"shelf\":8}],\"conflict\":{\"do\":"
        "\"ignore\"}}",
        "23503 insert or update on table \"book\" violates foreign key constraint \"book_shelf_fkey\" | Key (shelf)=(8) is not "
        "present "
        "in table \"shelf\".");
}

/* A small tree may be a statement without end: each embed is printed where it is named, and all that it names within. */
static void embeds_named_again_and_again(void **state) {
    static const char *const two[] = {"book", "shelf"};
    static char tree[32768];
    struct app *a = *state;
    enum { TIMES = 10, DEEP = 7 };
    char *embed = tree;
    snprintf(embed, sizeof tree, "\"id\"");
    for (int level = DEEP; level > 0; level--) { /* from the inside */
        static char inner[sizeof tree];
        snprintf(inner, sizeof inner, "%s", embed);
        int n = snprintf(embed, sizeof tree, "\"id\",{\"embed\":\"%s\",\"select\":[%s]", two[level % 2], inner);
        if (level < DEEP) {
            n += snprintf(embed + n, sizeof tree - (size_t)n, ",\"where\":{\"and\":[");
            for (int i = 0; i < TIMES; i++)
                n += snprintf(embed + n, sizeof tree - (size_t)n, "%s{\"embed\":\"%s\",\"has\":true}", i ? "," : "",
                              two[(level + 1) % 2]);
            n += snprintf(embed + n, sizeof tree - (size_t)n, "]}");
        }
        snprintf(embed + n, sizeof tree - (size_t)n, "}");
    }
    static char whole[40000];
    snprintf(whole, sizeof whole, "{\"from\":\"%s\",\"select\":[%s]}", two[0], embed);
    ASK(a, -1, whole, "54001 the query names what it embeds too often");
}

/* Answers of a batch are bounded together. */
static void batches_are_bounded(void **state) {
    struct app *a = *state;
    static const char batch[] = "{\"batch\":[{\"from\":\"shelf\"},{\"from\":\"shelf\"},{\"from\":\"shelf\"}]}";
    query_conn_answer_max(a->conn, 60);
    ASK(a, -1, "{\"from\":\"shelf\"}", "[{\"id\":1,\"n\":1},{\"id\":2,\"n\":2}]");
    ASK(a, -1, batch, "54000 the answer is larger than 60 bytes");
    query_conn_answer_max(a->conn, 1 << 20);
}

static void one_embedded_row_from_an_offset(void **state) {
    ASK(*state, -1, "{\"from\":\"book\",\"select\":[\"id\",{\"embed\":\"shelf\",\"select\":[\"id\"],\"offset\":1}]}",
        "[{\"id\":1,\"shelf\":null}]");
}

/* No policy lets it, and what it would have to read is looked at all the same. */
static void nothing_to_delete(void **state) {
    ASK(*state, 1, "{\"kind\":\"delete\",\"from\":\"shown\",\"where\":{\"column\":\"id\",\"op\":\"eq\",\"value\":1}}",
        "42501 permission denied for table closed");
}

/* A view's column that a role may not read is told by no embed along its key, no row that a function is given, and nobody's body. */
static void hidden_keys(void **state) {
    static const struct {
        const char *tree, *want;
    } rows[] = {
        {"{\"from\":\"post_v\",\"select\":[\"id\",\"title\"]}", "[{\"id\":1,\"title\":\"t\"}]"},
        {"{\"from\":\"post_v\",\"select\":[\"writer\"]}", "42501 permission denied for view post_v"},
        {"{\"from\":\"writer\",\"select\":[\"id\",{\"embed\":\"post_v\",\"select\":[\"title\"]}]}",
         "42501 permission denied for view post_v"},
        {"{\"from\":\"writer\",\"select\":[\"id\",{\"embed\":\"post_v\",\"select\":[{\"aggregate\":\"count\"}]}]}",
         "42501 permission denied for view post_v"},
        {"{\"from\":\"post_v\",\"select\":[\"title\",{\"embed\":\"writer\",\"select\":[\"id\"]}]}",
         "42501 permission denied for view post_v"},
        {"{\"from\":\"post_v\",\"select\":[\"title\",{\"embed\":\"writer\",\"select\":[\"id\"],\"spread\":true}]}",
         "42501 permission denied for view post_v"},
        {"{\"from\":\"post_v\",\"select\":[\"title\",{\"embed\":\"writer\",\"select\":[],\"join\":\"inner\",\"where\":{"
         "\"column\":\"id\",\"op\":\"eq\",\"value\":7}}]}",
         "42501 permission denied for view post_v"},
        {"{\"from\":\"post_v\",\"select\":[\"title\",{\"embed\":\"writer\",\"select\":[]}],\"where\":{\"not\":{\"embed\":"
         "\"writer\",\"has\":true}}}",
         "42501 permission denied for view post_v"},
        {"{\"from\":\"post_v\",\"select\":[\"title\",{\"embed\":\"writer\",\"select\":[]}],\"order\":[{\"embed\":\"writer\","
         "\"column\":\"id\"}]}",
         "42501 permission denied for view post_v"},
        {"{\"from\":\"post_v\",\"select\":[\"title\",{\"embed\":\"writer\",\"select\":[]}]}", "[{\"title\":\"t\"}]"},
        {"{\"from\":\"post\",\"select\":[\"id\",{\"embed\":\"writer_v\",\"select\":[\"name\"]}]}",
         "42501 permission denied for view writer_v"},
        {"{\"from\":\"post\",\"select\":[\"id\",{\"embed\":\"tag\",\"hint\":\"tagged_v\",\"select\":[\"name\"]}]}",
         "42501 permission denied for view tagged_v"},
        {"{\"from\":\"post\",\"select\":[\"id\",{\"embed\":\"tag\",\"hint\":\"tagged\",\"select\":[\"name\"]}]}",
         "[{\"id\":1,\"tag\":[{\"name\":\"g\"}]}]"},
        {"{\"from\":\"post\",\"select\":[\"id\",{\"embed\":\"tagged_v\",\"select\":[\"post\"]}]}",
         "[{\"id\":1,\"tagged_v\":[{\"post\":1}]}]"},
        {"{\"from\":\"post_v\",\"select\":[\"title\",{\"embed\":\"writer_of\",\"select\":[\"id\"]}]}",
         "42501 permission denied for view post_v"},
        {"{\"kind\":\"call\",\"function\":\"hidden_writers\"}", "42501 permission denied for view post_v"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const char *said = ask(*state, 0, rows[i].tree);
        if (strcmp(said, rows[i].want) != 0) fail_msg("%s\n  says %s\n  and not %s", rows[i].tree, said, rows[i].want);
    }
    ASK(*state, 1, "{\"from\":\"writer\",\"select\":[{\"embed\":\"post_v\",\"select\":[\"title\"]}]}",
        "[{\"post_v\":[{\"title\":\"t\"}]}]");
    ASK(*state, 1, "{\"from\":\"post_v\",\"select\":[{\"embed\":\"writer_of\",\"select\":[\"id\"]}]}",
        "[{\"writer_of\":{\"id\":1}}]");
    ASK(*state, 1, "{\"kind\":\"call\",\"function\":\"hidden_writers\"}", "[1]");
}

/* An invoker's view is whoever's who asks, through whatever it is read, and also when it became one later. */
static void views_of_who_asks(void **state) {
    for (int round = 0; round < 2; round++) {
        ASK(*state, -1, "{\"from\":\"kept_above\",\"select\":[\"id\"]}", "[{\"id\":1},{\"id\":2}]");
        ASK(*state, 1, "{\"from\":\"kept_above\",\"select\":[\"id\"]}", "[{\"id\":2}]");
        ASK(*state, 0, "{\"from\":\"kept_above\",\"select\":[\"id\"]}", "[]");
        ASK(*state, 1, "{\"from\":\"kept_turned\",\"select\":[\"id\"]}", "[{\"id\":2}]");
    }
}

#define INSERT(view, row) "{\"kind\":\"insert\",\"from\":\"" view "\",\"rows\":[" row "],\"select\":[\"*\"]}"
/* Rows are written through views as PostgreSQL writes them: to the table, with its constraints, policies, and what views ask. */
static void written_views(void **state) {
    static const struct {
        int user;
        const char *tree, *want;
    } rows[] = {
        {-1, INSERT("small", "{\"key\":10,\"n\":4}"), "[{\"key\":10,\"n\":4,\"twice\":8}]"},
        {-1, INSERT("small", "{\"key\":11,\"n\":50}"),
         "44000 new row violates check option for view \"small\" | Failing row contains (11, null, 50)."},
        {-1, INSERT("small", "{\"key\":11,\"n\":null}"),
         "44000 new row violates check option for view \"small\" | Failing row contains (11, null, null)."},
        {-1, INSERT("small", "{\"key\":11,\"n\":100}"),
         "23514 new row for relation \"kept\" violates check constraint \"kept_n_check\" | Failing row contains (11, null, "
         "100)."},
        {-1, INSERT("small", "{\"key\":1,\"n\":50}"),
         "23505 duplicate key value violates unique constraint \"kept_pkey\" | Key (id)=(1) already exists."},
        {-1, INSERT("small", "{\"key\":11,\"twice\":4}"),
         "0A000 cannot insert into column \"twice\" of view \"small\" | View columns that are not columns of their base relation "
         "are "
         "not updatable."},
        {-1, INSERT("smaller", "{\"key\":12,\"n\":7}"), "[{\"key\":12,\"n\":7}]"}, /* it has no option of its own */
        {-1, INSERT("smaller", "{\"key\":13,\"n\":17}"),
         "44000 new row violates check option for view \"small\" | Failing row contains (13, null, 17)."},
        {-1, INSERT("smallest", "{\"key\":13,\"n\":3}"),
         "44000 new row violates check option for view \"smallest\" | Failing row contains (13, null, 3)."},
        {-1, INSERT("smallest", "{\"key\":13,\"n\":6}"), "[{\"n\":6,\"key\":13}]"},
        {-1, INSERT("most", "{\"n\":1}"),
         "55000 cannot insert into view \"most\" | Views that return aggregate functions are not automatically updatable. | To "
         "enable "
         "inserting into the view, provide an INSTEAD OF INSERT trigger or an unconditional ON INSERT DO INSTEAD rule."},
        {-1, "{\"kind\":\"update\",\"from\":\"smaller\",\"set\":{\"n\":20}}",
         "44000 new row violates check option for view \"small\" | Failing row contains (1, null, 20)."},
        {-1,
         "{\"kind\":\"update\",\"from\":\"smaller\",\"set\":{\"n\":9},\"where\":{\"column\":\"key\",\"op\":\"in\",\"values\":[10,"
         "12]}"
         ",\"select\":[\"key\",\"n\"]}",
         "[{\"key\":10,\"n\":9}]"}, /* 12 is in it no more */
        {-1,
         "{\"kind\":\"insert\",\"from\":\"small\",\"rows\":[{\"key\":10,\"n\":2},{\"key\":14,\"n\":2}],\"conflict\":{\"do\":"
         "\"merge\","
         "\"columns\":[\"key\"]},\"select\":[\"key\",\"twice\"]}",
         "[{\"key\":10,\"twice\":4},{\"key\":14,\"twice\":4}]"},
        {-1,
         "{\"kind\":\"insert\",\"from\":\"small\",\"rows\":[{\"key\":10,\"n\":70}],\"conflict\":{\"do\":\"merge\",\"columns\":["
         "\"key\"]}}",
         "44000 new row violates check option for view \"small\" | Failing row contains (10, null, 70)."},
        {-1,
         "{\"kind\":\"delete\",\"from\":\"small\",\"where\":{\"column\":\"twice\",\"op\":\"eq\",\"value\":4},\"order\":[\"key\"],"
         "\"select\":[\"key\"]}",
         "[{\"key\":2},{\"key\":10},{\"key\":14}]"},
        {1, "{\"kind\":\"update\",\"from\":\"mine\",\"set\":{\"n\":5},\"select\":[\"id\"]}", "[]"},
        {1, INSERT("mine", "{\"id\":20,\"n\":1}"), "42501 new row violates row-level security policy for table \"kept\""},
        {1, INSERT("mine", "{\"id\":20,\"n\":1,\"owner\":\"00000000-0000-0000-0000-000000000001\"}"),
         "[{\"id\":20,\"owner\":\"00000000-0000-0000-0000-000000000001\",\"n\":1}]"},
        {1, "{\"kind\":\"update\",\"from\":\"mine\",\"set\":{\"n\":-1},\"select\":[\"id\",\"n\"]}", "[{\"id\":20,\"n\":-1}]"},
        {1, "{\"kind\":\"delete\",\"from\":\"mine\",\"select\":[\"id\"]}", "[]"},
        {-1, "{\"kind\":\"delete\",\"from\":\"mine\",\"order\":[\"id\"],\"select\":[\"id\"]}",
         "[{\"id\":1},{\"id\":12},{\"id\":13}]"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const char *said = ask(*state, rows[i].user, rows[i].tree);
        if (strcmp(said, rows[i].want) != 0) fail_msg("%s\n  says %s\n  and not %s", rows[i].tree, said, rows[i].want);
    }
}

/* EXCLUDE with = is a unique index that says so in other words. */
static void excluded(void **state) {
    ASK(*state, -1,
        "{\"kind\":\"insert\",\"from\":\"booked\",\"rows\":[{\"id\":1,\"room\":7,\"gone\":false},{\"id\":2,\"room\":7,\"gone\":"
        "true}],"
        "\"select\":[\"id\"]}",
        "[{\"id\":1},{\"id\":2}]");
    ASK(*state, -1, "{\"kind\":\"insert\",\"from\":\"booked\",\"rows\":[{\"id\":3,\"room\":7}]}",
        "23P01 conflicting key value violates exclusion constraint \"one_each\" | Key (room)=(7) conflicts with existing key "
        "(room)=(7).");
    ASK(*state, -1,
        "{\"kind\":\"insert\",\"from\":\"booked\",\"rows\":[{\"id\":3,\"room\":7}],\"conflict\":{\"do\":\"merge\",\"columns\":["
        "\"room\"]}}",
        "42P10 there is no unique or exclusion constraint matching the ON CONFLICT specification");
}

/* A schema without USAGE is closed, whichever way a tree leads into it; rows that a function of an open one gives are none of it. */
static void hidden_schemas(void **state) {
    static const struct {
        const char *tree, *want;
    } rows[] = {
        {"{\"schema\":\"back\",\"from\":\"item\"}", "42501 permission denied for schema back"},
        {"{\"from\":\"post\",\"path\":[\"back\"],\"select\":[\"id\",\"secret_of\"]}", "42501 permission denied for schema back"},
        {"{\"from\":\"post\",\"path\":[\"back\"],\"select\":[\"id\"],\"where\":{\"column\":\"secret_of\",\"op\":\"eq\","
         "\"value\":\"x\"}}",
         "42501 permission denied for schema back"},
        {"{\"from\":\"post\",\"path\":[\"back\"],\"select\":[\"id\"],\"order\":[\"secret_of\"]}",
         "42501 permission denied for schema back"},
        {"{\"kind\":\"call\",\"function\":\"items\",\"select\":[\"id\"]}", "[{\"id\":1}]"},
        {"{\"from\":\"post\",\"select\":[{\"embed\":\"items_of\",\"select\":[\"id\"]}]}", "[{\"items_of\":[{\"id\":1}]}]"},
        {"{\"from\":\"post\",\"select\":[{\"embed\":\"items_of\",\"select\":[{\"embed\":\"part\",\"select\":[\"id\"]}]}]}",
         "42501 permission denied for schema back"},
        {"{\"kind\":\"call\",\"function\":\"items\",\"select\":[{\"embed\":\"part\",\"select\":[\"id\"]}]}",
         "42501 permission denied for schema back"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const char *said = ask(*state, 0, rows[i].tree);
        if (strcmp(said, rows[i].want) != 0) fail_msg("%s\n  says %s\n  and not %s", rows[i].tree, said, rows[i].want);
    }
    ASK(*state, -1, "{\"from\":\"post\",\"path\":[\"back\"],\"select\":[\"id\"]}", "[{\"id\":1}]");
}

/* As a column's name it groups nothing: what does is an aggregate, which REST lets through or not. */
static void a_count_without_parentheses(void **state) {
    struct app *a = *state;
    ASK(a, -1, "{\"from\":\"shelf\",\"select\":[\"count\",{\"column\":\"count\",\"as\":\"c\",\"cast\":\"text\"}]}",
        "[{\"count\":2,\"c\":\"2\"}]");
    ASK(a, -1, "{\"from\":\"shelf\",\"select\":[\"id\",\"count\"]}",
        "42803 column \"shelf.id\" must appear in the GROUP BY clause or be used in an aggregate function");
    ASK(a, -1, "{\"from\":\"shelf\",\"select\":[\"count\",\"*\"]}",
        "42803 column \"shelf.id\" must appear in the GROUP BY clause or be used in an aggregate function");
    ASK(a, -1, "{\"from\":\"book\",\"select\":[\"count\",{\"embed\":\"shelf\",\"select\":[\"n\"],\"spread\":true}]}",
        "42803 column \"shelf\" must appear in the GROUP BY clause or be used in an aggregate function");
    ASK(a, -1, "{\"from\":\"book\",\"select\":[\"id\",{\"embed\":\"shelf\",\"select\":[\"count\"],\"spread\":true}]}",
        "PGRST127 Feature not implemented | In a spread, count is not implemented without its parentheses.");
    ASK(a, -1, "{\"from\":\"shelf\",\"select\":[\"id\",{\"embed\":\"book\",\"select\":[\"count\"]}],\"order\":[\"id\"]}",
        "[{\"id\":1,\"book\":[{\"count\":0}]},{\"id\":2,\"book\":[{\"count\":1}]}]");
    ASK(a, -1, "{\"from\":\"shelf\",\"select\":[\"id\",{\"aggregate\":\"count\"}],\"order\":[\"id\"]}",
        "[{\"id\":1,\"count\":1},{\"id\":2,\"count\":1}]");
}

static bool may(void *arg) { return true; }

static bool take_part(void *arg, struct buf *part, struct pg_error *error) {
    buf_puts(arg, buf_str(part));
    return true;
}

/* Parts and what is left, one after the other; the head stands before the first. */
static const char *in_parts(struct app *a, const char *tree, size_t first, size_t part, bool *begun) {
    static char all[2048];
    struct buf parts = {0};
    struct query_stream s = {.first = first, .part = part, .counts = true, .may = may, .give = take_part, .arg = &parts};
    query_conn_stream(a->conn, &s);
    const char *rest = ask(a, -1, tree), *head = strstr(tree, "counted") && s.begun ? strchr(rest, '\n') : NULL;
    snprintf(all, sizeof all, STR_FMT "%s", STR_ARG(buf_str(&parts)), head ? head + 1 : rest);
    query_conn_stream(a->conn, NULL);
    buf_free(&parts);
    *begun = s.begun;
    return all;
}

static void told_as_they_come(void **state) {
    struct app *a = *state;
    static const struct {
        const char *tree;
        bool streams;
    } rows[] = {
        {"{\"query\":{\"from\":\"shelf\",\"order\":[\"id\"]}}", true},
        {"{\"query\":{\"from\":\"shelf\",\"order\":[\"id\"]},\"counted\":true}", true},
        {"{\"query\":{\"from\":\"shelf\",\"order\":[\"id\"],\"count\":\"exact\"},\"counted\":true}", true},
        {"{\"query\":{\"from\":\"shelf\",\"order\":[\"id\"],\"count\":\"exact\",\"limit\":1},\"counted\":true}", true},
        {"{\"query\":{\"from\":\"shelf\",\"order\":[\"id\"],\"limit\":7,\"offset\":1},\"counted\":true}", true},
        {"{\"query\":{\"from\":\"shelf\",\"select\":[\"n\",{\"aggregate\":\"count\"}]},\"counted\":true}", true},
        {"{\"query\":{\"from\":\"book\",\"select\":[\"id\",{\"embed\":\"shelf\",\"join\":\"inner\"}]},\"counted\":true}", true},
        {"{\"query\":{\"from\":\"shelf\",\"order\":[\"id\"],\"limit\":0},\"counted\":true}", false},
        {"{\"query\":{\"from\":\"shelf\",\"where\":{\"column\":\"id\",\"op\":\"eq\",\"value\":1},\"single\":true},\"counted\":"
         "true}",
         false},
        {"{\"query\":{\"kind\":\"call\",\"function\":\"steps\",\"args\":{\"upto\":9}},\"counted\":true}", false},
        {"{\"batch\":[{\"from\":\"shelf\"},{\"from\":\"shelf\"}]}", false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char want[2048];
        bool begun;
        snprintf(want, sizeof want, "%s", ask(a, -1, rows[i].tree));
        for (size_t bytes = 1; bytes < 64; bytes += 7) {
            assert_string_equal(in_parts(a, rows[i].tree, bytes, 1, &begun), want);
            assert_string_equal(in_parts(a, rows[i].tree, bytes, bytes, &begun), want);
        }
        assert_string_equal(in_parts(a, rows[i].tree, 1, 1, &begun), want);
        assert_int_equal(begun, rows[i].streams);
        assert_string_equal(in_parts(a, rows[i].tree, sizeof want, 1, &begun), want);
        assert_false(begun);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(told_as_they_come, start, stop),
        cmocka_unit_test_setup_teardown(values_of_the_wrong_type, start, stop),
        cmocka_unit_test_setup_teardown(domains, start, stop),
        cmocka_unit_test_setup_teardown(digits_are_kept, start, stop),
        cmocka_unit_test_setup_teardown(refused_rows_are_told, start, stop),
        cmocka_unit_test_setup_teardown(what_is_wrong_first, start, stop),
        cmocka_unit_test_setup_teardown(embeds_named_again_and_again, start, stop),
        cmocka_unit_test_setup_teardown(batches_are_bounded, start, stop),
        cmocka_unit_test_setup_teardown(one_embedded_row_from_an_offset, start, stop),
        cmocka_unit_test_setup_teardown(or_beside_others, start, stop),
        cmocka_unit_test_setup_teardown(keys_of_what_is_passed_over, start, stop),
        cmocka_unit_test_setup_teardown(nothing_to_delete, start, stop),
        cmocka_unit_test_setup_teardown(policies_are_explained, start, stop),
        cmocka_unit_test_setup_teardown(text_search, start, stop),
        cmocka_unit_test_setup_teardown(enums_arrays_and_null, start, stop),
        cmocka_unit_test_setup_teardown(defaults_are_whose_who_asks, start, stop),
        cmocka_unit_test_setup_teardown(tables_that_are_functions, start, stop),
        cmocka_unit_test_setup_teardown(hidden_keys, start, stop),
        cmocka_unit_test_setup_teardown(views_of_who_asks, start, stop),
        cmocka_unit_test_setup_teardown(excluded, start, stop),
        cmocka_unit_test_setup_teardown(written_views, start, stop),
        cmocka_unit_test_setup_teardown(hidden_schemas, start, stop),
        cmocka_unit_test_setup_teardown(a_count_without_parentheses, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
