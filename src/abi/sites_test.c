/* sites: what is put is found, and nothing else. */
#include "abi/abi.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_round_trip(void **state) {
    static const struct abi_site sites[] = {
        {0, 40, ABI_SITE_MEMORY, 0, 0},
        {5, 42, ABI_SITE_CALL, 0, 0},
        {20, 41, ABI_SITE_INDIRECT, 0, 0},
        {4000, 900, ABI_SITE_TRAP, 0, 0},
        {4001, 12, ABI_SITE_DIVIDE, 0, 0},
        {1u << 30, 0x7fffffff, ABI_SITE_NULL, 0, 0},
        {(1u << 30) + 1, 0, ABI_SITE_CALL, 0, 0},
        {(1u << 30) + 9, 7, ABI_SITE_UNWIND, 3, 0},
        {1u << 31, 8, ABI_SITE_UNWIND, 70000, 300},
        {UINT32_MAX, 0xffffffff, ABI_SITE_TRAP, 0, 0},
    };
    struct buf b = {0};
    struct abi_sites_writer w = {0};
    buf_puts(&b, STR("xx"));
    for (size_t i = 0; i < ARRAY_COUNT(sites); i++) abi_sites_put(&b, &w, sites[i]);
    abi_sites_end(&b, 2);
    struct abi_site got;
    for (size_t i = 0; i < ARRAY_COUNT(sites); i++) {
        assert_true(abi_sites_find(b.p + 2, sites[i].pc, &got));
        assert_int_equal(got.wasm_offset, sites[i].wasm_offset);
        assert_int_equal(got.kind, sites[i].kind);
        assert_int_equal(got.pc, sites[i].pc);
        assert_int_equal(got.frame, sites[i].frame);
        assert_int_equal(got.clause, sites[i].clause);
    }
    assert_false(abi_sites_find(b.p + 2, 1, &got));
    assert_false(abi_sites_find(b.p + 2, 4002, &got));
    buf_free(&b);
}

/* A load straight behind a call stands at the call's return address. */
static void test_two_at_one_pc(void **state) {
    struct buf b = {0};
    struct abi_sites_writer w = {0};
    abi_sites_put(&b, &w, (struct abi_site){9, 30, ABI_SITE_CALL, 0, 0});
    abi_sites_put(&b, &w, (struct abi_site){9, 34, ABI_SITE_MEMORY, 0, 0});
    abi_sites_end(&b, 0);
    struct abi_site got;
    assert_true(abi_sites_find(b.p, 9, &got) && got.wasm_offset == 30);
    assert_true(abi_sites_find_kind(b.p, 9, 1 << ABI_SITE_MEMORY, &got) && got.wasm_offset == 34);
    assert_true(abi_sites_find_kind(b.p, 9, 1 << ABI_SITE_CALL, &got) && got.wasm_offset == 30);
    assert_false(abi_sites_find_kind(b.p, 9, 1 << ABI_SITE_DIVIDE, &got));
    buf_free(&b);
}

/* A million sites: each is found, though no more than a few hundred are looked at (a search from the start of the list would take
 * minutes here). */
static void test_long(void **state) {
    enum { N = 1'000'000 };
    struct buf b = {0};
    struct abi_sites_writer w = {0};
    buf_puts(&b, STR("before"));
    for (uint32_t i = 0; i < N; i++) {
        abi_sites_put(&b, &w, (struct abi_site){10 * i + 7, 3 * i % 5000, ABI_SITE_CALL, 0, 0});
        abi_sites_put(&b, &w, (struct abi_site){10 * i + 7, i, i % 3 ? ABI_SITE_MEMORY : ABI_SITE_UNWIND, i % 300, i % 7});
    }
    abi_sites_end(&b, 6);
    struct abi_site got;
    for (uint32_t i = 0; i < N; i += 1 + i % 13) {
        assert_true(abi_sites_find(b.p + 6, 10 * i + 7, &got));
        assert_int_equal(got.wasm_offset, 3 * i % 5000);
        assert_true(abi_sites_find_kind(b.p + 6, 10 * i + 7, 1 << ABI_SITE_MEMORY | 1 << ABI_SITE_UNWIND, &got));
        assert_int_equal(got.wasm_offset, i);
        if (i % 3 == 0) assert_int_equal(got.frame, i % 300);
        assert_false(abi_sites_find(b.p + 6, 10 * i + 8, &got));
    }
    assert_false(abi_sites_find(b.p + 6, 6, &got));
    assert_false(abi_sites_find(b.p + 6, UINT32_MAX, &got));
    buf_free(&b);
}

static void test_empty(void **state) {
    struct buf b = {0};
    struct abi_site got;
    abi_sites_end(&b, 0);
    assert_false(abi_sites_find(b.p, 0, &got));
    buf_free(&b);
}

static void test_trap_texts(void **state) {
    assert_string_equal(abi_trap_text(ABI_TRAP_UNREACHABLE), "unreachable");
    assert_string_equal(abi_trap_text(ABI_TRAP_STACK_OVERFLOW), "call stack exhausted");
    assert_string_equal(abi_trap_text(ABI_TRAP_COUNT), "unknown trap");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_two_at_one_pc), cmocka_unit_test(test_long),
        cmocka_unit_test(test_empty),      cmocka_unit_test(test_trap_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
