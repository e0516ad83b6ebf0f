/* validate: what bodies may do, what the validator counts on its way, canonical types across modules. */
#include "wasm/test_util.h"

#define NOTHING SECTION(1, 1, 0x60, 0, 0)
#define I32_TO_I32 SECTION(1, 1, 0x60, 1, 0x7f, 1, 0x7f)

struct one {
    arena *a;
    struct wasm_module m;
    struct diag d;
    struct wasm_func_info info;
};

/* Validates the module's function 0 and gives what was counted. */
static struct one count(str bytes) {
    struct one o = {.a = arena_new(0), .d = DIAG_INIT};
    if (check_all(o.a, bytes, &o.m, &o.d)) fail_msg("refused: %s at %llu", o.d.text, (unsigned long long)o.d.offset);
    struct wasm_validator *v = wasm_validator_new(o.a, &o.m);
    assert_int_equal(wasm_validate_func(v, 0, &o.info, &o.d), ERR_OK);
    return o;
}

static void refuse(str bytes, uint64_t offset, const char *text) { expect_error(bytes, ERR_INVALID, offset, text); }

static void test_types_of_operands(void **state) {
    (void)state;
    const uint64_t at = BODY_AT(NOTHING);
    expect_ok(MODULE(NOTHING, 0, 0x41, 1, 0x41, 2, 0x6a, 0x1a, 0x0b));
    refuse(MODULE(NOTHING, 0, 0x41, 1, 0x6a, 0x1a, 0x0b), at + 3,
           "func 0: type mismatch: i32.add expects i32, but the stack is empty");
    refuse(MODULE(NOTHING, 0, 0x41, 1, 0x42, 2, 0x6a, 0x1a, 0x0b), at + 5, "type mismatch: i32.add expects i32, found i64");
    refuse(MODULE(NOTHING, 0, 0x41, 1, 0x0b), at + 3, "1 values too many");
    refuse(MODULE(I32_TO_I32, 0, 0x0b), BODY_AT(I32_TO_I32) + 1, "type mismatch: end expects i32");
    refuse(MODULE(NOTHING, 0, 0x20, 0, 0x1a, 0x0b), at + 1, "unknown local 0");
    refuse(MODULE(NOTHING, 0, 0x0c, 1, 0x0b), at + 1, "unknown label 1");
    refuse(MODULE(NOTHING, 0, 0x10, 1, 0x0b), at + 1, "unknown function 1");
    refuse(MODULE(NOTHING, 0, 0x41, 0, 0x24, 0, 0x0b), at + 3, "immutable global");
    refuse(MODULE(NOTHING, 0, 0x41, 0, 0x28, 3, 0, 0x1a, 0x0b), at + 3, "alignment must not be larger than natural");
    refuse(MODULE(NOTHING, 0, 0x41, 0, 0x28, 2, 0x80, 0x80, 0x80, 0x80, 0x10, 0x1a, 0x0b), at + 3, "offset out of range");
    expect_ok(MODULE(NOTHING, 0, 0x41, 0, 0x28, 2, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x1a, 0x0b));
    expect_ok(MODULE(NOTHING, 0, 0xd2, 0, 0x1a, 0x0b));
    expect_error(MODULE(NOTHING, 0, 0xff, 0x0b), ERR_MALFORMED, at + 1, "illegal opcode ff");
    expect_error(MODULE(NOTHING, 0, 0xfd, 0xff, 0x7f, 0x0b), ERR_MALFORMED, at + 1, "illegal opcode fd 16383");
    expect_error(MODULE(NOTHING, 0, 0x06, 0x40, 0x0b, 0x0b), ERR_MALFORMED, at + 1, "wasm-opt --translate-to-exnref");
    expect_error(MODULE(NOTHING, 0, 0x41, 0), ERR_MALFORMED, at + 3, "END opcode expected");
    expect_error(MODULE(NOTHING, 0, 0x0b, 0x0b), ERR_MALFORMED, at + 2, "section size mismatch");
    expect_error(MODULE(NOTHING, 0, 0x05, 0x0b), ERR_MALFORMED, at + 1, "else without if");
    expect_error(MODULE(NOTHING, 0, 0xfc, 9, 0, 0x0b), ERR_MALFORMED, at + 1, "data count section required");
}

static void test_blocks(void **state) {
    (void)state;
    const uint64_t at = BODY_AT(I32_TO_I32);
    expect_ok(MODULE(I32_TO_I32, 0, 0x20, 0, 0x04, 0x7f, 0x41, 1, 0x05, 0x41, 2, 0x0b, 0x0b));
    refuse(MODULE(I32_TO_I32, 0, 0x20, 0, 0x04, 0x7f, 0x41, 1, 0x0b, 0x0b), at + 7, "if without else");
    expect_ok(MODULE(I32_TO_I32, 0, 0x20, 0, 0x03, 0, 0x20, 0, 0x0d, 0, 0x0b, 0x0b) /* br_if of a loop wants its parameter */);
    refuse(MODULE(I32_TO_I32, 0, 0x20, 0, 0x02, 0, 0x1a, 0x0b, 0x0b), at + 6, "type mismatch: end expects i32");
    expect_ok(MODULE(I32_TO_I32, 0, 0x00, 0x0b));
    expect_ok(MODULE(I32_TO_I32, 0, 0x00, 0x6a, 0x0b));
    refuse(MODULE(I32_TO_I32, 0, 0x00, 0x7c, 0x0b), at + 3, "found i64");
    expect_ok(MODULE(I32_TO_I32, 0, 0x20, 0, 0x20, 0, 0x0e, 2, 0, 0, 0, 0x0b));
    refuse(MODULE(I32_TO_I32, 0, 0x02, 0x40, 0x20, 0, 0x20, 0, 0x0e, 1, 0, 1, 0x0b, 0x20, 0, 0x0b), at + 7,
           "different numbers of values");
}

static void test_locals(void **state) {
    (void)state;
    const uint64_t at = BODY_AT(NOTHING);
    expect_ok(MODULE(NOTHING, 1, 0xcf, 0x86, 0x03, 0x7f, 0x0b)); /* 49,999 */
    expect_error(MODULE(NOTHING, 1, 0xd1, 0x86, 0x03, 0x7f, 0x0b), ERR_LIMIT, at + 1,
                 "over a limit of this implementation: locals");
    expect_error(MODULE(NOTHING, 2, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7f, 1, 0x7f, 0x0b), ERR_MALFORMED, at, "too many locals");
    refuse(MODULE(NOTHING, 1, 1, 0x64, 0x70, 0x20, 0, 0x1a, 0x0b), at + 4, "uninitialized local 0");
    expect_ok(MODULE(NOTHING, 1, 1, 0x64, 0x70, 0xd2, 0, 0x21, 0, 0x20, 0, 0x1a, 0x0b));
    /* set inside of a block, read after it */
    refuse(MODULE(NOTHING, 1, 1, 0x64, 0x70, 0x02, 0x40, 0xd2, 0, 0x21, 0, 0x0b, 0x20, 0, 0x1a, 0x0b), at + 11,
           "uninitialized local 0");
    /* in dead code the local stays unset, which validation has no pardon for */
    refuse(MODULE(NOTHING, 1, 1, 0x64, 0x70, 0x00, 0x20, 0, 0x1a, 0x0b), at + 5, "uninitialized local 0");
}

/* One function that has everything: parameter 0 read at weight 1, local 1 in a loop, local 2 read before it
 * is set, local 3 only in dead code, local 4 set and then read. */
static void test_counts(void **state) {
    (void)state;
    struct one o = count(MODULE(I32_TO_I32, 1, 4, 0x7f,          /* (local i32 i32 i32 i32) */
                                0x41, 5, 0x21, 4,                /* i32.const 5, local.set 4 */
                                0x20, 4, 0x21, 1,                /* local.get 4, local.set 1 */
                                0x03, 0x40,                      /* loop */
                                0x20, 1, 0x41, 1, 0x6b, 0x22, 1, /*   local.get 1, i32.const 1, i32.sub, local.tee 1 */
                                0x20, 0, 0x10, 0, 0x1a,          /*   local.get 0, call 0, drop */
                                0x03, 0x40, 0x20, 1, 0x1a, 0x0b, /*   loop, local.get 1, drop, end */
                                0x0d, 0,                         /*   br_if 0 */
                                0x0b,                            /* end */
                                0x20, 2, 0x0f,                   /* local.get 2, return */
                                0x20, 3, 0x10, 0, 0x21, 3,       /* dead: local.get 3, call 0, local.set 3 */
                                0x20, 2, 0x0b));
    const struct wasm_func_info *i = &o.info;
    assert_int_equal(i->params_count, 1);
    assert_int_equal(i->locals_count, 5);
    assert_int_equal(i->local_weight[0], 32);
    assert_int_equal(i->local_weight[1], 1 + 32 + 32 + 1024);
    assert_int_equal(i->local_weight[2], 1);
    assert_int_equal(i->local_weight[3], 0);
    assert_int_equal(i->local_weight[4], 2);
    assert_int_equal(i->local_flags[0], 0);
    assert_int_equal(i->local_flags[1], WASM_LOCAL_WRITTEN);
    assert_int_equal(i->local_flags[2], WASM_LOCAL_NEEDS_ZERO);
    assert_int_equal(i->local_flags[3], 0);
    assert_int_equal(i->local_flags[4], WASM_LOCAL_WRITTEN);
    assert_int_equal(i->calls_weight, 32);
    assert_int_equal(i->calls_count, 2);
    assert_int_equal(i->loop_depth_max, 2);
    assert_int_equal(i->controls_max, 3);
    assert_int_equal(i->operands_max, 2);
    assert_false(i->is_leaf);
    assert_false(i->uses_v128);
    assert_int_equal(i->code.p[0], 0x41);
    assert_int_equal(i->code.p[i->code.n - 1], 0x0b);
    arena_free(o.a);
}

/* Nested loops saturate; a local set in one arm of an if needs its zero after it. */
static void test_counts_more(void **state) {
    (void)state;
    struct one o = count(MODULE(I32_TO_I32, 0, 0x03, 0x40, 0x03, 0x40, 0x03, 0x40, 0x03, 0x40, 0x03, 0x40, 0x03, 0x40, 0x03, 0x40,
                                0x20, 0, 0x1a, 0x20, 0, 0x1a, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x20, 0, 0x0b));
    assert_int_equal(o.info.local_weight[0], UINT32_MAX);
    assert_int_equal(o.info.loop_depth_max, 7);
    assert_true(o.info.is_leaf);
    arena_free(o.a);
    o = count(MODULE(I32_TO_I32, 1, 2, 0x7f, 0x20, 0, 0x04, 0x40, 0x41, 1, 0x21, 1, 0x41, 1, 0x21, 2, 0x20, 2, 0x1a, 0x05, 0x0b,
                     0x20, 1, 0x0b));
    assert_int_equal(o.info.local_flags[1], WASM_LOCAL_WRITTEN | WASM_LOCAL_NEEDS_ZERO);
    assert_int_equal(o.info.local_flags[2], WASM_LOCAL_WRITTEN);
    arena_free(o.a);
    o = count(MODULE(NOTHING, 0, 0xfd, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x1a, 0x0b));
    assert_true(o.info.uses_v128);
    assert_int_equal(o.info.operands_max, 1);
    arena_free(o.a);
}

/* Code of a loop that leaves it weighs what it goes to; calls before a failure weigh nothing. */
static void test_counts_of_exits(void **state) {
    (void)state;
    struct one o = count(MODULE(I32_TO_I32, 1, 3, 0x7f, 0x03, 0x40,    /* loop */
                                0x20, 0, 0x04, 0x40,                   /*   local.get 0, if */
                                0x20, 1, 0x10, 0, 0x0f, 0x0b,          /*     local.get 1, call 0, return, end */
                                0x20, 0, 0x04, 0x40,                   /*   local.get 0, if */
                                0x20, 2, 0x10, 0, 0x1a, 0x00, 0x0b,    /*     local.get 2, call 0, drop, unreachable, end */
                                0x20, 3, 0x10, 0, 0x1a, 0x0c, 0, 0x0b, /*   local.get 3, call 0, drop, br 0, end */
                                0x00, 0x0b));
    assert_int_equal(o.info.local_weight[0], 64);
    assert_int_equal(o.info.local_weight[1], 1);
    assert_int_equal(o.info.local_weight[2], 1);
    assert_int_equal(o.info.local_weight[3], 32);
    assert_int_equal(o.info.calls_weight, 1 + 0 + 32);
    arena_free(o.a);
}

static void test_made_up(void **state) {
    (void)state;
    struct one o = count(MODULE(NOTHING, 0, 0x0b));
    struct wasm_validator *v = wasm_validator_new(o.a, &o.m);
    str body = BYTES(0, 0x41, 3, 0x24, 0, 0x0b); /* sets the immutable global 0 */
    assert_int_equal(wasm_validate_made_up(v, WASM_NO_INDEX, body, &o.info, &o.d), ERR_OK);
    assert_int_equal(o.info.code.n, 5);
    body = BYTES(0, 0x41, 3, 0x0b);
    assert_int_equal(wasm_validate_made_up(v, WASM_NO_INDEX, body, &o.info, &o.d), ERR_INVALID);
    assert_int_equal(o.d.offset, 3);
    arena_free(o.a);
}

static void test_module_rules(void **state) {
    (void)state;
    refuse(BYTES(HEADER, SECTION(5, 1, 1, 2, 1)), DIAG_NOWHERE, "size minimum must not be greater than maximum");
    refuse(BYTES(HEADER, SECTION(5, 1, 0, 0x81, 0x80, 4)), DIAG_NOWHERE, "memory size must be at most 65536 pages");
    expect_ok(BYTES(HEADER, SECTION(5, 1, 4, 0x81, 0x80, 4)));
    refuse(BYTES(HEADER, SECTION(3, 1, 0), SECTION(10, 1, SIZED(0, 0x0b))), DIAG_NOWHERE, "unknown type 0");
    refuse(BYTES(HEADER, SECTION(6, 1, 0x7f, 0, 0x42, 0, 0x0b)), 15, "type mismatch");
    refuse(BYTES(HEADER, SECTION(6, 1, 0x7f, 0, 0x01, 0x41, 0, 0x0b)), 13, "constant expression required");
    refuse(BYTES(HEADER, SECTION(6, 2, 0x7f, 0, 0x23, 1, 0x0b, 0x7f, 0, 0x41, 0, 0x0b)), 13, "unknown global 1");
    expect_ok(BYTES(HEADER, SECTION(6, 2, 0x7f, 0, 0x41, 1, 0x0b, 0x7f, 0, 0x23, 0, 0x41, 2, 0x6c, 0x0b)));
    refuse(BYTES(HEADER, SECTION(5, 1, 0, 1), SECTION(7, 2, SIZED('m'), 2, 0, SIZED('m'), 2, 0)), 21,
           "duplicate export name \"m\"");
    refuse(BYTES(HEADER, SECTION(7, 1, SIZED('m'), 2, 0)), DIAG_NOWHERE, "unknown memory 0");
    refuse(BYTES(HEADER, SECTION(8, 0)), DIAG_NOWHERE, "unknown function 0");
    refuse(BYTES(HEADER, I32_TO_I32, SECTION(3, 1, 0), SECTION(8, 0), SECTION(10, 1, SIZED(0, 0x20, 0, 0x0b))), DIAG_NOWHERE,
           "start function");
    refuse(BYTES(HEADER, SECTION(11, 1, 0, 0x41, 0, 0x0b, 0)), DIAG_NOWHERE, "unknown memory 0");
    refuse(BYTES(HEADER, SECTION(4, 1, 0x64, 0x70, 0, 1)), DIAG_NOWHERE, "type mismatch");
    refuse(BYTES(HEADER, I32_TO_I32, SECTION(13, 1, 0, 0)), DIAG_NOWHERE, "non-empty tag result type");
    refuse(MODULE(NOTHING, 0, 0xd2, 1, 0x1a, 0x0b), BODY_AT(NOTHING) + 1, "unknown function 1");
    refuse(BYTES(HEADER, NOTHING, SECTION(3, 1, 0), SECTION(10, 1, SIZED(0, 0xd2, 0, 0x1a, 0x0b))), 23,
           "undeclared function reference");
}

/* The same types in two modules at different indices get the same ids; a group's shape is part of its
 * identity. */
static void test_canonical_types(void **state) {
    (void)state;
    arena *a = arena_new(0);
    struct wasm_types *ts = wasm_types_new(a);
    struct wasm_module m1, m2;
    struct diag d = DIAG_INIT;
    /* (rec (func (param (ref 1))) (struct)), (func), (func (param i32)) */
    str one = BYTES(HEADER, SECTION(1, 3, 0x4e, 2, 0x60, 1, 0x64, 1, 0, 0x5f, 0, 0x60, 0, 0, 0x60, 1, 0x7f, 0));
    /* (func (param i32)), (rec (func (param (ref 2))) (struct)), (struct), (func) */
    str two = BYTES(HEADER, SECTION(1, 4, 0x60, 1, 0x7f, 0, 0x4e, 2, 0x60, 1, 0x64, 2, 0, 0x5f, 0, 0x5f, 0, 0x60, 0, 0));
    assert_int_equal(wasm_decode(a, one, &m1, &d), ERR_OK);
    assert_int_equal(wasm_validate(a, &m1, ts, &d), ERR_OK);
    assert_int_equal(wasm_decode(a, two, &m2, &d), ERR_OK);
    assert_int_equal(wasm_validate(a, &m2, ts, &d), ERR_OK);
    assert_int_equal(m1.type_ids[0], m2.type_ids[1]);
    assert_int_equal(m1.type_ids[1], m2.type_ids[2]);
    assert_int_not_equal(m1.type_ids[1], m2.type_ids[3]); /* a lone (struct) is not the one in the group */
    assert_int_equal(m1.type_ids[2], m2.type_ids[4]);
    assert_int_equal(m1.type_ids[3], m2.type_ids[0]);
    assert_int_equal(wasm_types_func(ts, (wasm_type[]){WASM_I32}, 1, NULL, 0), m1.type_ids[3]);
    wasm_type by_ref = wasm_ref_index(m1.type_ids[1], false);
    uint32_t lone = wasm_types_func(ts, &by_ref, 1, NULL, 0);
    assert_int_not_equal(lone, m1.type_ids[0]);
    assert_int_equal(lone, wasm_types_func(ts, &by_ref, 1, NULL, 0));
    assert_int_equal(wasm_type_canon(&m2, wasm_ref_index(2, true)), wasm_ref_index(m1.type_ids[1], true));
    arena_free(a);
}

static void test_abstract_subtypes(void **state) {
    (void)state;
    arena *a = arena_new(0);
    struct wasm_types *ts = wasm_types_new(a);
    wasm_type any = wasm_ref(WASM_HEAP_ANY, true), eq = wasm_ref(WASM_HEAP_EQ, true), i31 = wasm_ref(WASM_HEAP_I31, false);
    assert_true(wasm_types_value_sub(ts, i31, eq) && wasm_types_value_sub(ts, eq, any) && wasm_types_value_sub(ts, i31, any));
    assert_false(wasm_types_value_sub(ts, any, eq) ||
                 wasm_types_value_sub(ts, wasm_ref(WASM_HEAP_EQ, true), wasm_ref(WASM_HEAP_EQ, false)));
    assert_true(wasm_types_value_sub(ts, wasm_ref(WASM_HEAP_NONE, true), wasm_ref(WASM_HEAP_ARRAY, true)));
    assert_true(wasm_types_value_sub(ts, wasm_ref(WASM_HEAP_NOFUNC, true), WASM_FUNCREF));
    assert_false(wasm_types_value_sub(ts, wasm_ref(WASM_HEAP_NONE, true), WASM_FUNCREF));
    assert_false(wasm_types_value_sub(ts, WASM_EXTERNREF, any) || wasm_types_value_sub(ts, WASM_I32, WASM_I64));
    char text[40];
    assert_string_equal(wasm_type_text(WASM_FUNCREF, text, sizeof text), "funcref");
    assert_string_equal(wasm_type_text(wasm_ref_index(7, true), text, sizeof text), "(ref null 7)");
    assert_string_equal(wasm_type_text(i31, text, sizeof text), "(ref i31)");
    arena_free(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types_of_operands),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_locals),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_counts_more),
        cmocka_unit_test(test_counts_of_exits),
        cmocka_unit_test(test_made_up),
        cmocka_unit_test(test_module_rules),
        cmocka_unit_test(test_canonical_types),
        cmocka_unit_test(test_abstract_subtypes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
