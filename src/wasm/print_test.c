/* print: golden text for a small module with something of everything. */
#include "wasm/test_util.h"

static void expect_text(str bytes, const char *want) {
    arena *a = arena_new(0);
    struct wasm_module m;
    struct diag d;
    if (check_all(a, bytes, &m, &d)) fail_msg("refused: %s at %llu", d.text, (unsigned long long)d.offset);
    struct buf out = {0};
    wasm_print(&out, &m);
    buf_putc(&out, 0);
    assert_string_equal((const char *)out.p, want);
    buf_free(&out);
    arena_free(a);
}

static void test_module(void **state) {
    (void)state;
    str bytes = BYTES(HEADER, SECTION(1, 2, 0x60, 1, 0x7f, 1, 0x7f, 0x50, 0, 0x5f, 1, 0x78, 1),
                      SECTION(2, 1, SIZED('e', 'n', 'v'), SIZED('"', 0x0a), 0, 0), SECTION(3, 1, 0), SECTION(4, 1, 0x70, 1, 1, 2),
                      SECTION(5, 1, 0, 1), SECTION(6, 1, 0x7d, 1, 0x43, 0, 0, 0xc0, 0x7f, 0x0b), SECTION(7, 1, SIZED('f'), 0, 1),
                      SECTION(9, 1, 0, 0x41, 0, 0x0b, 2, 0, 1),
                      SECTION(10, 1,
                              SIZED(1, 2, 0x7e, 0x20, 0, 0x04, 0x7f, 0x20, 0, 0x28, 1, 8, 0x05, 0x41, 0x7f, 0x10, 0, 0x0b, 0x44,
                                    0, 0, 0, 0, 0, 0, 0xe0, 0x3f, 0x1a, 0x0b)),
                      SECTION(11, 1, 0, 0x41, 0, 0x0b, SIZED('a', 0, '\\')),
                      SECTION(0, SIZED('n', 'a', 'm', 'e'), 1, SIZED(2, 0, SIZED('a', ' ', 'b'), 1, SIZED('f'))));
    expect_text(bytes, "(module\n"
                       "  (type (;0;) (func (param i32) (result i32)))\n"
                       "  (type (;1;) (sub (struct (field (mut i8)))))\n"
                       "  (import \"env\" \"\\22\\0a\" (func $\"a b\" (;0;) (type 0) (param i32) (result i32)))\n"
                       "  (table (;0;) 1 2 funcref)\n"
                       "  (memory (;0;) 1)\n"
                       "  (global (;0;) (mut f32) f32.const nan:0x400000)\n"
                       "  (export \"f\" (func $f))\n"
                       "  (elem (;0;) (table 0) (offset i32.const 0) func $\"a b\" $f)\n"
                       "  (data (;0;) (offset i32.const 0) \"a\\00\\5c\")\n"
                       "  (func $f (;1;) (type 0) (param i32) (result i32)\n"
                       "    (local i64 i64)\n"
                       "    local.get 0\n"
                       "    if (result i32)\n"
                       "      local.get 0\n"
                       "      i32.load offset=8 align=2\n"
                       "    else\n"
                       "      i32.const -1\n"
                       "      call $\"a b\"\n"
                       "    end\n"
                       "    f64.const 0.5\n"
                       "    drop\n"
                       "  ))\n");
}

/* Two functions of one name are called by their indices. */
static void test_ambiguous_names(void **state) {
    (void)state;
    str bytes =
        BYTES(HEADER, SECTION(1, 1, 0x60, 0, 0), SECTION(3, 2, 0, 0), SECTION(10, 2, SIZED(0, 0x10, 1, 0x0b), SIZED(0, 0x0b)),
              SECTION(0, SIZED('n', 'a', 'm', 'e'), 1, SIZED(2, 0, SIZED('x'), 1, SIZED('x'))));
    expect_text(bytes, "(module\n"
                       "  (type (;0;) (func))\n"
                       "  (func (;0;) (type 0)\n"
                       "    call 1\n"
                       "  )\n"
                       "  (func (;1;) (type 0)\n"
                       "  ))\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_module), cmocka_unit_test(test_ambiguous_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
