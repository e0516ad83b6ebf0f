/* Control, stopped at every step: what is there afterwards is what was, or what was to be, whole; and the latter, if anybody was told so. */
#include "node/control/control_test.h"

/* Killed at each of its system calls in turn, from a deployment's beginning to its answer: what is there afterwards is the old version or
 * the new one, whole; and the new one, if anybody was told so. */
static void test_killed_anywhere(void **state) {
    assert_int_equal(deploy("a"), ERR_OK);
    uint32_t version = 1;
    unsigned news = 0, olds = 0, at = 1;
    for (bool whole = false; !whole; at++) {
        assert_true(at < 2000);
        sup.stop_at = at;
        trace();
        send_deploy("a", NULL);
        whole = until(&sup.answered) && sup.control.pid > 0;
        bool told = sup.answered && sup.deployed.err == ERR_OK;
        stop(), start();
        uint32_t now = served("a");
        assert_true(now == version + 1 || (now == version && !told));
        assert_int_equal(files_in("db", ".part") + files_in("images", ".part"), 0);
        assert_int_equal(files_in("images", ""), MIN(now, 10u));
        has_images();
        *(now == version ? &olds : &news) += 1;
        version = now;
    }
    print_message("             %u system calls: %u times the old one, %u the new one\n", at, olds, news);
    assert_true(olds > 10 && news);
}

/* The same of an app's end: it is there with all it had, or not at all. */
static void test_killed_dropping(void **state) {
    unsigned at = 1;
    for (bool whole = false; !whole; at++) {
        assert_true(at < 2000);
        if (!served("a")) assert_int_equal(deploy("a"), ERR_OK);
        sup.stop_at = at;
        trace();
        send_drop("a");
        whole = until(&sup.answered) && sup.control.pid > 0;
        bool told = sup.answered && sup.deployed.err == ERR_OK;
        sup.stop_at = 0;
        stop(), start();
        assert_true(!served("a") || !told);
        int64_t one = served("a") ? 1 : 0;
        has_images();
        assert_int_equal(files_in("images", ""), one);
        assert_true(kept("apps") == one && kept("files") == one);
        assert_int_equal(govern(), ERR_OK);
    }
}

/* ---- other changes ---- */

/* Killed at each step of a change that asks: after it holds() of what was or of what is to be, and of the latter if anybody was told. Then
 * back() makes it what it was. */
static void kill_all_along(const char *method, const char *path, const char *body, bool (*was)(void), bool (*is)(void),
                           void (*back)(void)) {
    unsigned at = 1, olds = 0, news = 0;
    for (bool whole = false; !whole; at++) {
        assert_true(at < 2000 && was());
        sup.stop_at = at;
        trace();
        send_http(method, path, body);
        whole = until(&sup.answered) && sup.control.pid > 0;
        bool told = sup.answered && sup.deployed.err == ERR_OK;
        assert_true(!whole || told);
        sup.stop_at = 0;
        stop(), start();
        assert_true(was() != is());
        assert_true(is() || !told);
        has_images();
        *(is() ? &news : &olds) += 1;
        if (is() && !whole) back();
    }
    print_message("             %u system calls: %u times the old one, %u the new one\n", at, olds, news);
    assert_true(olds > 10 && news);
}

static bool serves_2(void) { return served("a") == 2; }
static bool serves_1(void) { return served("a") == 1; }
static void promote_2(void) { assert_int_equal(ask_http("POST", "a/promote", "{\"version\":2}"), ERR_OK); }

static void test_killed_rolling_back(void **state) {
    assert_int_equal(deploy("a"), ERR_OK);
    assert_int_equal(deploy("a"), ERR_OK);
    kill_all_along("POST", "a/rollback", "{}", serves_2, serves_1, promote_2);
}

static uint32_t canary(void) {
    struct node_snapshot *s;
    struct diag d = DIAG_INIT;
    assert_int_equal(node_snapshot_map(sup.snapshot, &s, &d), ERR_OK);
    const struct node_entry *e = node_snapshot_named(s, STR("a"));
    uint32_t version = e && e->of[NODE_CANARY].record.n ? e->of[NODE_CANARY].version : 0;
    assert_true(e && (!version || e->canary_permille == 50));
    node_snapshot_free(s);
    return version;
}
static bool has_none(void) { return served("a") == 2 && !canary(); }
static bool has_canary(void) { return served("a") == 2 && canary() == 1; }

static void test_killed_promoting(void **state) {
    assert_int_equal(deploy("a"), ERR_OK);
    assert_int_equal(deploy("a"), ERR_OK);
    kill_all_along("POST", "a/promote", "{\"version\":1,\"permille\":50}", has_none, has_canary, promote_2);
}

static uint64_t revision(void) {
    struct node_snapshot *s;
    struct diag d = DIAG_INIT;
    struct app_record r;
    arena *mem = arena_new(0);
    assert_int_equal(node_snapshot_map(sup.snapshot, &s, &d), ERR_OK);
    const struct node_entry *e = node_snapshot_named(s, STR("a"));
    assert_int_equal(app_record_decode(mem, e->of[NODE_LIVE].record, &r, &d), ERR_OK);
    node_snapshot_free(s);
    arena_free(mem);
    return r.secrets_revision;
}

/* The value, and that workers have it anew, are one. */
static uint64_t revision_before;
static int64_t kept_with(uint64_t r) {
    char sql[256];
    node_process_end(&sup.control);
    snprintf(sql, sizeof sql,
             "select count(*) from apps a join secrets s on s.app = a.id where s.sealed = cast('new' as blob) and "
             "a.secrets_revision = %llu",
             (unsigned long long)r);
    int64_t n = ask_store(sql);
    assert_int_equal(govern(), ERR_OK);
    return n;
}
static bool is_old(void) { return revision() == revision_before && kept_with(revision_before) == 0; }
static bool is_new(void) { return revision() == revision_before + 1 && kept_with(revision_before + 1) == 1; }
static void set_old(void) {
    assert_int_equal(ask_http("PUT", "a/secrets/KEY", "{\"value\":\"old\"}"), ERR_OK);
    revision_before = revision();
}

static void test_killed_setting_secret(void **state) {
    assert_int_equal(deploy("a"), ERR_OK);
    set_old();
    kill_all_along("PUT", "a/secrets/KEY", "{\"value\":\"new\"}", is_old, is_new, set_old);
}

/* A key that was said to be revoked is none any more, whatever becomes of control; and what workers have is what is kept. */
static bool key_kept(bool there) {
    char sql[256];
    uint64_t r = revision();
    node_process_end(&sup.control);
    snprintf(sql, sizeof sql,
             "select count(*) from apps a left join api_keys k on k.app = a.id and k.id = 7 where a.secrets_revision = %llu and "
             "(k.id is %s null)",
             (unsigned long long)r, there ? "not" : "");
    int64_t n = ask_store(sql);
    assert_int_equal(govern(), ERR_OK);
    return n == 1;
}
static bool has_key(void) { return key_kept(true); }
static bool has_no_key(void) { return key_kept(false); }
static void put_key(void) {
    node_process_end(&sup.control);
    change_store("insert into api_keys (id, app, name, secret, hash, begin, created, last_used, expires)"
                 " select 7, id, 'web', 1, zeroblob(32), 'sb_secret_', 1, 0, 0 from apps");
    assert_int_equal(govern(), ERR_OK);
}

static void test_killed_revoking_key(void **state) {
    assert_int_equal(deploy("a"), ERR_OK);
    put_key();
    kill_all_along("DELETE", "a/api-keys/7", "", has_key, has_no_key, put_key);
}

/* ---- a folder of an older format ---- */

static void write_old_app(const char *name, uint32_t id) {
    char path[128];
    uint8_t digest[CRYPTO_SHA256_BYTES];
    arena *mem = arena_new(0);
    struct buf b = {0};
    struct app_record r = {.id = id, .version = 7, .name = str_c(name), .weight = 1};
    app_limits_fill(&r.limits);
    *vec_add(mem, &r.functions) = (struct app_function){.name = STR("main"), .limits = r.limits};
    *vec_add(mem, &r.routes) = (struct app_route){.path = STR("/")};
    memset(r.functions.p[0].digest, (int)id, sizeof r.functions.p[0].digest);
    buf_put(&b, "orla", 4);
    buf_put(&b, &(uint32_t){1}, 4);
    app_record_write(&b, &r);
    crypto_sha256(buf_str(&b), digest);
    buf_put(&b, digest, sizeof digest);
    snprintf(path, sizeof path, "%s/apps/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, b.p, b.n), b.n);
    close(fd);
    buf_free(&b);
    arena_free(mem);
}

static void make_old_folder(void) {
    char command[512];
    snprintf(command, sizeof command, "rm -rf %s/db %s/lock %s/apps; mkdir %s/apps %s/db; printf 41 > %s/apps/.next-id", folder,
             folder, folder, folder, folder, folder);
    assert_int_equal(system(command), 0);
    write_old_app("a", 3);
    write_old_app("b", 12);
}

/* Killed at each step of its first start, or twice: apps are there, whole, each with its number, and a copy of what it was. */
static void test_killed_upgrading(void **state) {
    unsigned at = 1;
    for (bool whole = false; !whole; at++) {
        assert_true(at < 3000);
        stop();
        make_old_folder();
        struct diag d = DIAG_INIT;
        assert_int_equal(node_state_open(str_c(folder), &sup.state, &d), ERR_OK);
        sup.stop_at = at;
        whole = govern_traced();
        sup.stop_at = 0;
        stop(), start();
        assert_true(served("a") == 7 && served("b") == 7);
        assert_int_equal(files_in("apps", ""), 1);
        assert_true(files_in("db", ".a") >= 1 && files_in("db", ".b") >= 1);
        assert_true(kept("apps") == 2 && kept("files") == 2);
    }
    print_message("             %u system calls\n", at);
    assert_true(at > 100);
    assert_int_equal(govern(), ERR_OK);
    assert_int_equal(deploy("c"), ERR_OK);
    node_process_end(&sup.control);
    assert_int_equal(ask_store("select id from apps where name = 'c'"), 41);
    assert_int_equal(govern(), ERR_OK);
}

/* There is no room from each of the calls that write on, in turn, until the answer. */
static void test_full_anywhere(void **state) {
    assert_int_equal(deploy("a"), ERR_OK);
    uint32_t version = 1, at = 1;
    unsigned refused = 0;
    for (bool whole = false; !whole; at++) {
        assert_true(at < 500);
        sup.full_at = at;
        trace();
        send_deploy("a", NULL);
        bool alive = until(&sup.answered);
        whole = alive && sup.writes < at;
        if (sup.answered && sup.deployed.err != ERR_OK) {
            assert_true(sup.deployed.err == ERR_LIMIT || sup.deployed.err == ERR_IO);
            assert_non_null(strstr(sup.text, "full"));
            refused++;
        }
        bool told = sup.answered && sup.deployed.err == ERR_OK;
        sup.full_at = 0;
        stop(), start();
        uint32_t now = served("a");
        assert_true(now == version + 1 || (now == version && !told));
        assert_int_equal(files_in("db", ".part") + files_in("images", ".part"), 0);
        assert_int_equal(files_in("images", ""), MIN(now, 10u));
        has_images();
        version = now;
    }
    print_message("             %u calls that write, %u times refused\n", at, refused);
    assert_true(refused > 5);
}

int main(int argc, char **argv) {
    node_be(argv);
    if (argc > 1) cmocka_set_test_filter(argv[1]); /* one of them */
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(test_killed_anywhere),       TEST(test_killed_dropping),
                                       TEST(test_killed_rolling_back),   TEST(test_killed_promoting),
                                       TEST(test_killed_setting_secret), TEST(test_killed_revoking_key),
                                       TEST(test_killed_upgrading),      TEST(test_full_anywhere)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
