/* Hops: the count goes on from what came, nobody can forge it, and what others said is passed on. */
#include "app/hops.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static const uint8_t key[APP_HOPS_KEY_BYTES] = "a node's", other[APP_HOPS_KEY_BYTES] = "another node's";

static void test_counts(void **state) {
    arena *mem = arena_new(0);
    str loop = {};
    app_hops_key(key);
    assert_int_equal(app_hops_count(loop, 0), 0);
    for (uint32_t n = 1; n <= 6; n++) {
        loop = app_hops_next(mem, loop, 0);
        assert_int_equal(app_hops_count(loop, 0), n);
        assert_true(str_find(loop, ',') == loop.n); /* one entry */
    }
    arena_free(mem);
}

static void test_others_stay(void **state) {
    arena *mem = arena_new(0);
    app_hops_key(key);
    str loop = app_hops_next(mem, STR("fastly;x=1,  foo, orlo"), 0);
    assert_true(str_starts(loop, STR("fastly;x=1, foo, orlo, orlo-")));
    assert_int_equal(app_hops_count(loop, 0), 1);
    app_hops_key(other); /* on its way through another node, and back */
    assert_int_equal(app_hops_count(loop, 0), 0);
    loop = app_hops_next(mem, loop, 0);
    assert_int_equal(app_hops_count(loop, 0), 1);
    app_hops_key(key);
    assert_int_equal(app_hops_count(loop, 0), 1);
    loop = app_hops_next(mem, loop, 0);
    assert_int_equal(app_hops_count(loop, 0), 2);
    app_hops_key(other);
    assert_int_equal(app_hops_count(loop, 0), 1);
    arena_free(mem);
}

/* With any byte changed it says nothing, or what it said. */
static void test_forged(void **state) {
    arena *mem = arena_new(0);
    app_hops_key(key);
    str loop = app_hops_next(mem, app_hops_next(mem, (str){}, 0), 0);
    uint8_t *p = arena_alloc(mem, loop.n, 1);
    for (size_t i = 0; i < loop.n; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            memcpy(p, loop.p, loop.n);
            p[i] ^= (uint8_t)(1u << bit);
            uint32_t n = app_hops_count((str){p, loop.n}, 0);
            assert_true(n == 0 || n == 2);
        }
    for (size_t n = 0; n < loop.n; n++) assert_int_equal(app_hops_count(str_sub(loop, 0, n), 0), 0);
    assert_int_equal(app_hops_count(STR("orlo, orlo, orlo;hops=9;seal="), 0), 0);
    arena_free(mem);
}

/* Each app's count is its own: what one's guests are sent, or what is made of that, says nothing of another's. */
static void test_of_apps(void **state) {
    enum { ONE = 7, OTHER = 8 };
    arena *mem = arena_new(0);
    app_hops_key(key);
    str loop = {};
    for (int i = 0; i < 4; i++) loop = app_hops_next(mem, loop, ONE);
    assert_int_equal(app_hops_count(loop, 0), 4);
    assert_int_equal(app_hops_count(loop, ONE), 4);
    assert_int_equal(app_hops_count(loop, OTHER), 0);
    loop = app_hops_next(mem, loop, OTHER); /* a circle through both is counted by each, and by the node */
    loop = app_hops_next(mem, loop, ONE);
    assert_int_equal(app_hops_count(loop, 0), 6);
    assert_int_equal(app_hops_count(loop, ONE), 5);
    assert_int_equal(app_hops_count(loop, OTHER), 1);
    str made = app_hops_made(mem, 2 + APP_HOPS_NODE, OTHER), seal, id, rest; /* its seal under another's name */
    assert_int_equal(app_hops_count(made, OTHER), 3);
    assert_int_equal(app_hops_count(made, 0), 2);
    str_cut(app_hops_made(mem, 2, ONE), ',', &rest, &id);
    str_cut(str_trim(id), ';', &id, &rest);
    str_cut(made, ',', &rest, &seal);
    str_cut(seal, ';', &rest, &seal);
    assert_int_equal(app_hops_count(arena_fmt(mem, STR_FMT ";" STR_FMT, STR_ARG(id), STR_ARG(seal)), ONE), 0);
    arena_free(mem);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_counts), cmocka_unit_test(test_others_stay),
                                       cmocka_unit_test(test_forged), cmocka_unit_test(test_of_apps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
