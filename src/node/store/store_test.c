/* What the store answers: keys and their quotas, statements and what they may, batches of which one fails, and that one app's endless
 * statement holds nobody else's. In a folder, and by the threads that do it in the process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "node/store/store_int.h"
#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

static int news;
static struct store_peer me = {.fd = 1}, other = {.fd = 2};
static uint64_t bytes_max = 1 * MiB, keys_max = 1000;
static uint32_t answer_max = 1 << 20, ms_max = 10000;

static void on_done(void *arg) { assert_int_equal(write(news, &(uint64_t){1}, 8), 8); }

static struct store_ask *question(struct store_peer *peer, enum app_data_op op, const char *place, const struct app_value *v,
                                  uint32_t n) {
    arena *mem = arena_new(0);
    struct store_ask *ask = arena_make(mem, struct store_ask);
    struct buf b = {0};
    static uint32_t id;
    *ask = (struct store_ask){.peer = peer,
                              .id = ++id,
                              .op = op,
                              .mem = mem,
                              .place = str_c(place),
                              .bytes = 100,
                              .bytes_max = bytes_max,
                              .keys_max = keys_max,
                              .value_bytes_max = 64 << 10,
                              .answer_bytes_max = answer_max,
                              .ms_max = ms_max};
    app_values_write(&b, v, n);
    struct rd r = rd_of(arena_str(mem, buf_str(&b)));
    ask->values = app_values_read(mem, &r, &ask->count);
    assert_int_equal(ask->count, n);
    buf_free(&b);
    return ask;
}

/* All that was asked and is not answered yet; in the order of their ids. */
static struct store_ask *answered;
static struct store_ask *await(uint32_t id) {
    for (;;) {
        for (struct store_ask **at = &answered; *at; at = &(*at)->next)
            if ((*at)->id == id) {
                struct store_ask *ask = *at;
                *at = ask->next;
                return ask;
            }
        assert_int_equal(poll(&(struct pollfd){.fd = news, .events = POLLIN}, 1, 30000), 1);
        uint64_t count;
        assert_int_equal(read(news, &count, 8), 8);
        struct store_ask **last = &answered;
        while (*last) last = &(*last)->next;
        *last = node_store_bases_done();
    }
}

/* What came of it, as text: "ok 1 'a' x'00'", or its outcome and why. */
static char said[4096];
static const char *answer_text(struct store_ask *ask) {
    static const char *const names[] = {"ok", "full", "large", "refused", "late", "busy", "lost", "failed"};
    struct buf b = {.p = (uint8_t *)said, .cap = sizeof said, .max = sizeof said - 1};
    buf_puts(&b, str_c(names[ask->outcome]));
    if (ask->outcome != APP_DATA_OK) buf_printf(&b, " %s", ask->text);
    arena *scratch = arena_new(0);
    struct rd r = rd_of(buf_str(&ask->answer));
    uint32_t n;
    const struct app_value *v = app_values_read(scratch, &r, &n);
    assert_null(r.fail);
    for (uint32_t i = 0; i < n; i++) switch (v[i].kind) {
        case APP_VALUE_NULL: buf_puts(&b, STR(" null")); break;
        case APP_VALUE_INTEGER: buf_printf(&b, " %lld", (long long)v[i].i); break;
        case APP_VALUE_REAL: buf_printf(&b, " %g", v[i].f); break;
        default: buf_printf(&b, " '" STR_FMT "'", STR_ARG(v[i].s));
        }
    arena_free(scratch);
    said[b.n] = 0;
    node_store_ask_free(ask);
    return said;
}

static uint32_t send(uint32_t app, struct store_ask *ask) {
    uint32_t id = ask->id;
    assert_true(node_store_bases_ask(app, STR("shop"), ask));
    return id;
}
#define VALUES(...)                                                                                                              \
    (const struct app_value[]){__VA_ARGS__}, sizeof((const struct app_value[]){__VA_ARGS__}) / sizeof(struct app_value)
#define ASK(app, op, place, ...) answer_text(await(send(app, question(&me, APP_##op, place, VALUES(__VA_ARGS__)))))
#define T(s) APP_TEXT(str_c(s))
#define B(s) APP_BLOB(str_c(s))
#define N(v) APP_I64(v)
static const struct app_value none = {APP_VALUE_NULL, {0}};
#define SQL(app, text, ...) ASK(app, SQL_RUN, "default", N(0), T(text) __VA_OPT__(, ) __VA_ARGS__)

static int threads(void) {
    DIR *dir = opendir("/proc/self/task");
    int n = 0;
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

/* However much is asked of one database while nobody has come to it yet, one thread does it. The first test: nobody else's are there. */
static void test_threads(void **state) {
    enum { MANY = 500 };
    uint32_t ids[MANY];
    for (int i = 0; i < MANY; i++) ids[i] = send(20, question(&me, APP_KV_ADD, "default", VALUES(T("n"), N(1))));
    for (int i = 0; i < MANY; i++) (void)answer_text(await(ids[i]));
    assert_true(threads() <= 2);
    assert_string_equal(ASK(20, KV_GET, "default", T("n")), "ok '500'");
}

static void test_keys(void **state) {
    assert_string_equal(ASK(1, KV_GET, "default", T("a")), "ok null");
    assert_string_equal(ASK(1, KV_SET, "default", T("a"), B("one")), "ok");
    assert_string_equal(ASK(1, KV_SET, "default", T("b"), B("")), "ok");
    assert_string_equal(ASK(1, KV_GET, "default", T("a")), "ok 'one'");
    assert_string_equal(ASK(1, KV_GET, "default", T("b")), "ok ''");
    assert_string_equal(ASK(1, KV_GET, "other", T("a")), "ok null");   /* another store of the same app */
    assert_string_equal(ASK(2, KV_GET, "default", T("a")), "ok null"); /* another app */
    assert_string_equal(ASK(1, KV_EXISTS, "default", T("b")), "ok 1");
    assert_string_equal(ASK(1, KV_KEYS, "default", none), "ok 0 'a' 'b'");
    assert_string_equal(ASK(1, KV_KEYS, "default", T("a")), "ok 0 'b'");
    assert_string_equal(ASK(1, KV_SET_MANY, "default", T("c"), B("3"), T("d"), B("4")), "ok");
    assert_string_equal(ASK(1, KV_GET_MANY, "default", T("d"), T("x"), T("c")), "ok '4' null '3'");
    assert_string_equal(ASK(1, KV_DELETE_MANY, "default", T("a"), T("x"), T("c")), "ok");
    assert_string_equal(ASK(1, KV_DELETE, "default", T("d")), "ok");
    assert_string_equal(ASK(1, KV_KEYS, "default", none), "ok 0 'b'");
    assert_string_equal(ASK(1, KV_ADD, "default", T("n"), N(-5)), "ok -5");
    assert_string_equal(ASK(1, KV_ADD, "default", T("n"), N(7)), "ok 2");
    assert_string_equal(ASK(1, KV_GET, "default", T("n")), "ok '2'");
    assert_non_null(strstr(ASK(1, KV_ADD, "default", T("b"), N(1)), "refused the value of the key is no number"));
    assert_string_equal(ASK(1, KV_SET, "default", T("n"), B("9223372036854775807")), "ok");
    assert_non_null(strstr(ASK(1, KV_ADD, "default", T("n"), N(1)), "beyond 64 bits"));
}

static void test_swap(void **state) {
    int64_t id, version;
    assert_string_equal(ASK(3, KV_READ, "s", T("k")), "ok null 0 0");
    assert_string_equal(ASK(3, KV_SWAP, "s", T("k"), N(0), N(0), B("a")), "ok 1");
    assert_int_equal(sscanf(ASK(3, KV_READ, "s", T("k")), "ok 'a' %ld %ld", &id, &version), 2);
    assert_string_equal(ASK(3, KV_SWAP, "s", T("k"), N(id), N(version), B("b")), "ok 1");
    assert_non_null(strstr(ASK(3, KV_SWAP, "s", T("k"), N(id), N(version), B("c")), "ok 0 'b' "));
    /* Deleted and made again, it is another one, whatever it holds. */
    assert_int_equal(sscanf(ASK(3, KV_READ, "s", T("k")), "ok 'b' %ld %ld", &id, &version), 2);
    (void)ASK(3, KV_DELETE, "s", T("k"));
    (void)ASK(3, KV_SET, "s", T("k"), B("b"));
    assert_non_null(strstr(ASK(3, KV_SWAP, "s", T("k"), N(id), N(version), B("c")), "ok 0 'b' "));
}

static void test_quotas(void **state) {
    char key[32];
    static char big[70000];
    memset(big, 'x', sizeof big - 1);
    assert_non_null(strstr(ASK(4, KV_SET, "q", T("big"), B(big)), "large the value has 69999 bytes"));
    static char long_key[2000];
    memset(long_key, 'k', sizeof long_key - 1);
    assert_non_null(strstr(ASK(4, KV_SET, "q", T(long_key), B("")), "large a key has"));
    keys_max = 3;
    for (int i = 0; i < 3; i++)
        snprintf(key, sizeof key, "k%d", i), assert_string_equal(ASK(4, KV_SET, "q", T(key), B("v")), "ok");
    assert_non_null(strstr(ASK(4, KV_SET, "elsewhere", T("k"), B("v")), "full the app's stores have 3 keys"));
    assert_string_equal(ASK(4, KV_SET, "q", T("k1"), B("w")), "ok"); /* one that is there */
    (void)ASK(4, KV_DELETE, "q", T("k0"));
    /* A list of which one does not fit changes nothing. */
    assert_non_null(strstr(ASK(4, KV_SET_MANY, "q", T("k5"), B("v"), T("k6"), B("v")), "full"));
    assert_string_equal(ASK(4, KV_KEYS, "q", none), "ok 0 'k1' 'k2'");
    keys_max = 1000;
    bytes_max = 50000;
    big[40000] = 0;
    assert_string_equal(ASK(4, KV_SET, "q", T("big"), B(big)), "ok");
    assert_non_null(strstr(ASK(4, KV_SET, "q", T("big2"), B(big)), "full the app's stores are full"));
    assert_string_equal(ASK(4, KV_SET, "q", T("big"), B("small")), "ok");
    assert_string_equal(ASK(4, KV_SET, "q", T("big2"), B(big)), "ok");
    bytes_max = 1 * MiB;
}

static void test_sql(void **state) {
    assert_string_equal(SQL(5, "create table t (id integer primary key, a text unique, r real, b blob)"), "ok 0 0 0 0");
    assert_string_equal(
        SQL(5, "insert into t (a, r, b) values (?, ?, ?)", T("x"), ((struct app_value){APP_VALUE_REAL, {.f = 1.5}}), B("\1")),
        "ok 0 1 1 0");
    assert_string_equal(SQL(5, "select id, a, r, null as n from t"), "ok 0 0 -1 4 'id' 'a' 'r' 'n' 1 'x' 1.5 null");
    assert_non_null(strstr(SQL(5, "insert into t (a) values ('x')"), "refused UNIQUE constraint failed"));
    assert_non_null(strstr(SQL(5, "select * from nowhere"), "refused no such table: nowhere"));
    assert_non_null(strstr(SQL(5, "select ?"), "refused"));
    assert_non_null(strstr(SQL(5, "select 1; select 2"), "refused"));
    assert_non_null(strstr(SQL(5, "attach '../shop.1/keys.db' as k"), "refused"));
    assert_non_null(strstr(SQL(5, "vacuum into '/tmp/x.db'"), "refused"));
    assert_non_null(strstr(SQL(5, "select load_extension('x')"), "refused"));
    assert_non_null(strstr(SQL(5, "pragma journal_mode = delete"), "refused"));
    assert_non_null(strstr(SQL(5, "select cast(x'ff' as text)"), "not UTF-8"));
    assert_non_null(strstr(SQL(5, "with recursive r(n) as (select 1 union all select n + 1 from r) select n from r"),
                           "large the answer is larger"));
    assert_string_equal(SQL(6, "select count(*) from sqlite_schema"), "ok 0 0 -1 1 'count(*)' 0"); /* another app's */
    bytes_max = 256 << 10;
    (void)SQL(7, "create table t (b)");
    assert_non_null(strstr(SQL(7, "insert into t select zeroblob(400000)"), "full the database is full"));
    assert_non_null(strstr(SQL(7, "select count(*) from t"), "'count(*)' 0"));
    bytes_max = 1 * MiB;
}

static void test_transactions(void **state) {
    (void)SQL(8, "create table t (n)");
    assert_string_equal(ASK(8, SQL_RUN, "default", N(1), T(" /* mine */ -- so\n BEGIN")), "ok 1 0 -1 0");
    assert_string_equal(ASK(8, SQL_RUN, "default", N(1), T("insert into t values (1)")), "ok 1 1 1 0");
    uint32_t waits = send(8, question(&me, APP_SQL_RUN, "default", VALUES(N(2), T("select count(*) from t"))));
    assert_string_equal(ASK(8, SQL_RUN, "default", N(1), T("insert into t values (2)")), "ok 1 2 1 0");
    assert_string_equal(ASK(8, SQL_RUN, "default", N(1), T("commit")), "ok 0 0 -1 0");
    assert_string_equal(answer_text(await(waits)), "ok 0 0 -1 1 'count(*)' 2");
    /* Who lets go of his connection has not done it. */
    (void)ASK(8, SQL_RUN, "default", N(3), T("begin"));
    (void)ASK(8, SQL_RUN, "default", N(3), T("delete from t"));
    assert_string_equal(ASK(8, SQL_CLOSE, "default", N(3)), "ok");
    assert_string_equal(SQL(8, "select count(*) from t"), "ok 0 0 -1 1 'count(*)' 2");
    /* Nor who is gone, nor who takes too long. */
    (void)answer_text(await(send(8, question(&other, APP_SQL_RUN, "default", VALUES(N(3), T("begin"))))));
    (void)answer_text(await(send(8, question(&other, APP_SQL_RUN, "default", VALUES(N(3), T("delete from t"))))));
    node_store_bases_peer_gone(&other);
    waits = send(8, question(&me, APP_SQL_RUN, "default", VALUES(N(2), T("select count(*) from t"))));
    assert_true(node_store_bases_tick(clock_mono_ns()));
    assert_string_equal(answer_text(await(waits)), "ok 0 0 -1 1 'count(*)' 2");
    (void)ASK(8, SQL_RUN, "default", N(4), T("begin"));
    (void)node_store_bases_tick(clock_mono_ns() + ms_max * 2000000ull);
    assert_string_equal(ASK(8, SQL_RUN, "default", N(2), T("select count(*) from t")), "ok 0 0 -1 1 'count(*)' 2");
}

/* Many at once, of which some fail and one undoes all that it can. */
static void test_batches(void **state) {
    enum { MANY = 200 };
    uint32_t ids[MANY];
    (void)SQL(9, "create table t (n integer primary key)");
    for (int i = 0; i < MANY; i++)
        ids[i] =
            send(9, question(&me, APP_SQL_RUN, "default",
                             VALUES(N(0), T(i % 50 == 49 ? "insert or rollback into t values (?)" : "insert into t values (?)"),
                                    N(i % 10 == 9 ? 1 : i))));
    int ok = 0;
    for (int i = 0; i < MANY; i++) ok += !strncmp(answer_text(await(ids[i])), "ok", 2);
    assert_int_equal(ok, MANY - MANY / 10);
    assert_non_null(strstr(SQL(9, "select count(*) from t"), "'count(*)' 180"));
    for (int i = 0; i < MANY; i++) ids[i] = send(9, question(&me, APP_KV_ADD, "default", VALUES(T("n"), N(1))));
    for (int i = 0; i < MANY; i++) (void)answer_text(await(ids[i]));
    assert_string_equal(ASK(9, KV_GET, "default", T("n")), "ok '200'");
}

/* One that fails undoes what was done beside it, which is done again: whichever it is, each of the others is done, and once. */
static void test_failing_among_others(void **state) {
    enum { MANY = 60 };
    static const int fails[] = {0, 1, 30, MANY - 1};
    static const char *const how[] = {"insert into t values (?)", "insert or rollback into t values (?)"};
    uint32_t ids[MANY];
    for (uint32_t round = 0; round < ARRAY_COUNT(fails) * ARRAY_COUNT(how); round++) {
        uint32_t app = 100 + round;
        (void)SQL(app, "create table t (n integer primary key)");
        (void)SQL(app, "create table log (n integer)");
        (void)SQL(app, "insert into t values (7)");
        for (int i = 0; i < MANY; i++) {
            bool failing = i == fails[round / 2];
            ids[i] =
                send(app, question(&me, APP_SQL_RUN, "default",
                                   VALUES(N(0), T(failing ? how[round % 2] : "insert into log values (?)"), N(failing ? 7 : i))));
        }
        for (int i = 0; i < MANY; i++) {
            const char *text = answer_text(await(ids[i]));
            if (i == fails[round / 2]) assert_non_null(strstr(text, "refused UNIQUE constraint failed"));
            else assert_int_equal(strncmp(text, "ok", 2), 0);
        }
        assert_string_equal(SQL(app, "select count(*) as a, count(distinct n) as b from log"), "ok 0 0 -1 2 'a' 'b' 59 59");
    }
}

static void test_endless(void **state) {
    enum { MANY = 4 };
    uint32_t ids[MANY];
    const char *endless = "with recursive r(n) as (select 1 union all select n + 1 from r) select count(*) from r";
    ms_max = 600000;
    for (int i = 0; i < MANY; i++) ids[i] = send(10, question(&me, APP_SQL_RUN, i % 2 ? "a" : "b", VALUES(N(0), T(endless))));
    ms_max = 10000;
    assert_string_equal(ASK(11, KV_SET, "default", T("a"), B("1")), "ok");
    assert_string_equal(SQL(11, "select 1"), "ok 0 0 -1 1 '1' 1");
    for (int i = 0; i < MANY; i++) node_store_bases_cancel(&me, ids[i]);
    for (int i = 0; i < MANY; i++) assert_int_not_equal(strncmp(answer_text(await(ids[i])), "ok", 2), 0);
    const char *greedy =
        "with recursive r(n) as (select 1 union all select n + 1 from r) "
        "select count(distinct hex(n) || 'much more text than there are numbers in it, so that it soon takes a lot') from r";
    ms_max = 300000;
    assert_string_equal(SQL(10, greedy), "large the statement took too much memory");
    ms_max = 20;
    assert_string_equal(SQL(10, endless), "late it took longer than 20 ms, and was undone (data_timeout_ms)");
    ms_max = 10000;
}

static int64_t number_of(const struct buf *lines, const char *base, const char *key) {
    char *text = strndup((const char *)lines->p, lines->n), *at = strstr(text, base);
    if (at) at = strstr(at, key);
    int64_t n = at ? strtoll(at + strlen(key) + 2, NULL, 10) : -1; /* "key":n */
    free(text);
    return n;
}

/* A backup's moment is between two commits: while one is under way there is none, and nobody waits for that. Of who reads for long it does not depend. */
static void test_moment(void **state) {
    struct buf lines = {0};
    const char *endless = "with recursive r(n) as (select 1 union all select n + 1 from r) select count(*) from r";
    assert_false(node_store_bases_release());
    ms_max = 600000;
    uint32_t id = send(14, question(&me, APP_SQL_RUN, "default", VALUES(N(0), T(endless))));
    node_store_bases_hold();
    while (!node_store_bases_moment(&lines)) {} /* it may be opening its database */
    assert_true(node_store_bases_release());
    node_store_bases_cancel(&me, id);
    assert_int_not_equal(strncmp(answer_text(await(id)), "ok", 2), 0);
    /* In a transaction of its own it may be one that commits. */
    assert_string_equal(SQL(14, "begin"), "ok 1 0 -1 0");
    id = send(14, question(&me, APP_SQL_RUN, "default", VALUES(N(0), T(endless))));
    ms_max = 10000;
    do node_store_bases_hold();
    while (node_store_bases_moment(&lines)); /* it has not begun yet */
    for (int i = 0; i < 10; i++) {
        assert_string_equal(ASK(15, KV_SET, "default", T("a"), B("1")), "ok");
        assert_false(node_store_bases_moment(&lines));
    }
    node_store_bases_cancel(&me, id);
    assert_int_not_equal(strncmp(answer_text(await(id)), "ok", 2), 0);
    lines.n = 0;
    while (!node_store_bases_moment(&lines)) {}
    assert_non_null(memmem(lines.p, lines.n, "{\"database\":\"shop.15/keys", 25));
    assert_true(node_store_bases_release());
    assert_false(node_store_bases_release());
    buf_free(&lines);
}

/* A log that is all in its file begins anew, and has as many pages as it had: a backup copies them. */
static void test_log_of_the_same_length(void **state) {
    struct buf lines = {0};
    bytes_max = 64 * MiB;
    (void)SQL(16, "create table t (id integer primary key, v blob)");
    (void)SQL(16, "with recursive r(n) as (select 1 union all select n + 1 from r where n < 1300) insert into t select n, "
                  "randomblob(3900) from r");
    (void)SQL(16, "update t set v = randomblob(3900)");
    do lines.n = 0, poll(NULL, 0, 1); /* it is brought into its file once it is answered */
    while (!node_store_bases_moment(&lines) || number_of(&lines, "shop.16/sql", "frames") != 0);
    int64_t before = number_of(&lines, "shop.16/sql", "end");
    assert_true(before >= 1300);
    node_store_bases_hold();
    (void)SQL(16, "update t set v = randomblob(3900)");
    lines.n = 0;
    while (!node_store_bases_moment(&lines)) {}
    assert_int_equal(number_of(&lines, "shop.16/sql", "end"), before);
    assert_int_equal(number_of(&lines, "shop.16/sql", "frames"), before);
    assert_true(node_store_bases_release());
    bytes_max = 1 * MiB;
    buf_free(&lines);
}

/* What is refused for the size of its answer is not done, whoever else asked or not. */
static void test_refused_is_undone(void **state) {
    (void)SQL(17, "create table t (n integer primary key, v text)");
    answer_max = 4096;
    for (int i = 0; i < 3; i++)
        assert_non_null(
            strstr(SQL(17, "with recursive r(n) as (select 1 union all select n + 1 from r where n < 400) insert into t (v)"
                           " select 'some text' from r returning n, v"),
                   "large the answer is larger"));
    answer_max = 1 << 20;
    assert_string_equal(SQL(17, "select count(*) from t"), "ok 0 0 -1 1 'count(*)' 0");
}

static bool has_history(const char *folder) {
    DIR *dir = opendir(folder);
    bool any = false;
    for (struct dirent *e; dir && (e = readdir(dir));) any |= strstr(e->d_name, "-history-") && strlen(e->d_name) > 30;
    if (dir) closedir(dir);
    return any;
}

/* Where there can be no history when a database is opened, there is one as soon as there can be, however busy it is. */
static void test_history_later(void **state) {
    node_store_past_init(64 * MiB, 3'600'000);
    assert_int_equal(mkdir("shop.18", 0700), 0);
    assert_int_equal(mkdir("shop.18/keys.db-history-times", 0700), 0);
    assert_string_equal(ASK(18, KV_SET, "default", T("a"), B("1")), "ok");
    assert_false(has_history("shop.18"));
    assert_int_equal(rmdir("shop.18/keys.db-history-times"), 0);
    for (int i = 0; i < 3000 && !has_history("shop.18"); i++) {
        assert_string_equal(ASK(18, KV_SET, "default", T("a"), B("1")), "ok");
        poll(NULL, 0, 10);
    }
    assert_true(has_history("shop.18"));
    node_store_past_init(0, 0);
}

static void test_nonsense(void **state) {
    struct store_ask *ask = question(&me, APP_KV_GET, "x", VALUES(T("a")));
    assert_false(node_store_bases_ask(1, STR("../shop"), ask));
    assert_string_equal(answer_text(ask), "refused there is no such app or store");
    assert_non_null(strstr(ASK(1, KV_SET, "x", T("a")), "refused"));
    assert_non_null(strstr(ASK(1, KV_SET, "x", B("a"), B("a")), "refused"));
    assert_non_null(strstr(ASK(1, KV_SWAP, "x", T("a"), N(1), B(""), B("a")), "refused"));
    assert_non_null(strstr(ASK(1, SQL_RUN, "x", T("select 1")), "refused"));
    assert_string_equal(ASK(12, SQL_RUN, "../../X y", N(0), T("select 1")), "ok 0 0 -1 1 '1' 1"); /* a name, not a way */
    assert_int_equal(access("shop.12/sql-%2e%2e%2f%2e%2e%2f%58%20y.db", F_OK), 0);
}

static void test_forget(void **state) {
    assert_string_equal(ASK(13, KV_SET, "s", T("k"), B("v")), "ok");
    (void)SQL(13, "create table t (n)");
    assert_int_equal(access("shop.13/sql-default.db", F_OK), 0);
    node_store_bases_forget(13, STR("shop"));
    for (int i = 0; i < 1000 && access("shop.13", F_OK) == 0; i++) usleep(10000);
    assert_int_not_equal(access("shop.13", F_OK), 0);
    assert_string_equal(ASK(13, KV_GET, "s", T("k")), "ok null"); /* whoever comes after */
    node_store_bases_forget(14, STR("shop"));                     /* there is nothing of it */
    assert_string_equal(ASK(1, KV_EXISTS, "default", T("b")), "ok 1");
}

static void test_alone(void **state) {
    static const char *const those[] = {"begin",           "BEGIN immediate", ";;commit",    "--x\nend",
                                        "/* a */rollback", "/**/ pragma x",   "savepoint a", "vacuum"};
    static const char *const not [] = {"beginning", "select 'begin'", "insert into t values (1)", "", "--begin",
                                       "/* begin",  "/*/begin"};
    for (size_t i = 0; i < ARRAY_COUNT(those); i++) assert_true(node_store_sql_is_alone(str_c(those[i])));
    for (size_t i = 0; i < ARRAY_COUNT(not ); i++) assert_false(node_store_sql_is_alone(str_c(not [i])));
}

static int set_up(void **state) {
    char folder[] = "/tmp/orlo-store-test-XXXXXX";
    news = eventfd(0, 0);
    if (!mkdtemp(folder) || chdir(folder)) return 1;
    node_store_bases_init(&(struct store_config){.keeps = true, .done = on_done});
    return 0;
}

static int tear_down(void **state) {
    char command[256], folder[128];
    if (!getcwd(folder, sizeof folder) || !strstr(folder, "/orlo-store-test-")) return 1;
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_swap),
        cmocka_unit_test(test_quotas),
        cmocka_unit_test(test_sql),
        cmocka_unit_test(test_transactions),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_endless),
        cmocka_unit_test(test_moment),
        cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_forget),
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_log_of_the_same_length),
        cmocka_unit_test(test_refused_is_undone),
        cmocka_unit_test(test_failing_among_others),
        cmocka_unit_test(test_history_later),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
