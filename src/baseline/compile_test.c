/* Machine code of small functions against golden_*.txt, byte for byte; object invariants. GOLDEN=write rewrites the file. */
#include "baseline/baseline.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* Every golden function sits in one module: memory 0, a table of 8 functions, a mutable i32 and an i64 global, an imported
 * function (i32) -> i32. */
static void put_section(struct buf *m, uint8_t id, str body) {
    buf_putc(m, id);
    for (size_t n = body.n;;) {
        buf_putc(m, (uint8_t)(n & 0x7f) | (n >= 0x80 ? 0x80 : 0));
        n >>= 7;
        if (!n) break;
    }
    buf_puts(m, body);
}
static void put_text(struct buf *m, uint8_t id, const char *bytes, size_t n) {
    put_section(m, id, (str){(const uint8_t *)bytes, n});
}
#define SECTION(m, id, bytes) put_text(m, id, bytes, sizeof(bytes) - 1)

static uint8_t type_byte(char c) { return c == 'i' ? 0x7f : c == 'l' ? 0x7e : c == 'f' ? 0x7d : c == 'v' ? 0x7b : 0x7c; }
static void put_types(struct buf *b, str letters) {
    buf_putc(b, (uint8_t)letters.n);
    for (size_t i = 0; i < letters.n; i++) buf_putc(b, type_byte((char)letters.p[i]));
}

struct golden {
    str name, params, results, locals, body;
};

static struct buf module_of(const struct golden *g) {
    struct buf m = {0}, types = {0}, code = {0}, body = {0};
    buf_puts(&m, STR("\0asm\1\0\0\0"));
    buf_puts(&types, STR("\2\x60\1\x7f\1\x7f\x60"));
    put_types(&types, g->params);
    put_types(&types, g->results);
    put_section(&m, 1, buf_str(&types));
    SECTION(&m, 2, "\1\1m\1f\0\0");
    SECTION(&m, 3, "\1\1");
    SECTION(&m, 4, "\1\x70\1\x08\x08");
    SECTION(&m, 5, "\1\0\1");
    SECTION(&m, 6, "\2\x7f\1\x41\0\x0b\x7e\1\x42\0\x0b");
    buf_putc(&body, (uint8_t)g->locals.n);
    for (size_t i = 0; i < g->locals.n; i++) buf_putc(&body, 1), buf_putc(&body, type_byte((char)g->locals.p[i]));
    buf_puts(&body, g->body);
    buf_putc(&body, 0x0b);
    buf_putc(&code, 1);
    for (size_t n = body.n;;) {
        buf_putc(&code, (uint8_t)(n & 0x7f) | (n >= 0x80 ? 0x80 : 0));
        n >>= 7;
        if (!n) break;
    }
    buf_puts(&code, buf_str(&body));
    put_section(&m, 10, buf_str(&code));
    buf_free(&types), buf_free(&code), buf_free(&body);
    return m;
}

static struct abi_object compile(arena *a, str bytes) {
    static const struct abi_layout_func funcs[1] = {{.where = ABI_FUNC_HOST, .host_index = 7}};
    static const struct abi_layout_memory memories[1] = {{.where = ABI_MEMORY_GS}};
    static const struct abi_layout_table tables[1] = {{ABI_TABLE_FIXED, -512, 8}};
    static const struct abi_layout_global globals[2] = {{false, -256}, {false, -248}};
    static const struct baseline_options o = {.cpu_features = ABI_CPU_AVX | ABI_CPU_BMI};
    struct wasm_module *m = arena_make(a, struct wasm_module);
    struct diag d = DIAG_INIT;
    assert_int_equal(wasm_decode(a, bytes, m, &d), ERR_OK);
    assert_int_equal(wasm_validate(a, m, NULL, &d), ERR_OK);
    struct abi_layout layout = {
        .module = m, .funcs = funcs, .memories = memories, .tables = tables, .globals = globals, .type_ids = m->type_ids};
    struct abi_object object;
    err e = baseline_compile(&layout, &o, a, &object, &d);
    if (e) print_message("%s\n", d.text);
    assert_int_equal(e, ERR_OK);
    return object;
}

static str hex_bytes(arena *a, str hex) {
    uint8_t *out = arena_alloc(a, hex.n + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i + 1 < hex.n;) {
        if (hex.p[i] == ' ') {
            i++;
            continue;
        }
        unsigned v;
        char two[3] = {(char)hex.p[i], (char)hex.p[i + 1], 0};
        assert_int_equal(sscanf(two, "%2x", &v), 1);
        out[n++] = (uint8_t)v;
        i += 2;
    }
    return (str){out, n};
}

/* "name | params | results | locals | wasm bytes" */
static struct golden parse(arena *a, str line) {
    str part[5];
    for (int i = 0; i < 5; i++) {
        str rest;
        str_cut(line, '|', &part[i], &rest);
        part[i] = str_trim(part[i]);
        line = rest;
    }
    return (struct golden){part[0], part[1], part[2], part[3], hex_bytes(a, part[4])};
}

static str read_golden(arena *a, const char *path) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    uint8_t *p = arena_alloc(a, 1 << 20, 1);
    size_t n = fread(p, 1, 1 << 20, f);
    fclose(f);
    return (str){p, n};
}

/* The file: comments and blank lines are kept; after each function line stands "= machine code". */
static void test_golden(void **state) {
    const char *path = *state;
    arena *a = arena_new(0);
    struct buf out = {0};
    str text = read_golden(a, path), line;
    unsigned functions = 0;
    while (text.n) {
        str_cut(text, '\n', &line, &text);
        if (line.n && line.p[0] == '=') continue;
        buf_puts(&out, line), buf_putc(&out, '\n');
        if (!line.n || line.p[0] == '#') continue;
        struct golden g = parse(a, line);
        struct buf bytes = module_of(&g);
        struct abi_object o = compile(a, buf_str(&bytes));
        buf_putc(&out, '=');
        for (uint32_t i = 0; i < o.funcs[1].size; i++) buf_printf(&out, " %02x", o.text.p[o.funcs[1].start + i]);
        buf_putc(&out, '\n');
        baseline_object_free(&o);
        buf_free(&bytes);
        functions++;
    }
    assert_true(functions > 10);
    str now = read_golden(a, path);
    if (!str_eq(now, buf_str(&out))) {
        const char *mode = getenv("GOLDEN");
        if (!mode || strcmp(mode, "write")) {
            size_t at = 0, start = 0;
            while (at < MIN(now.n, out.n) && now.p[at] == out.p[at])
                if (now.p[at++] == '\n') start = at;
            str left, rest;
            str_cut((str){out.p + start, out.n - start}, '\n', &left, &rest);
            print_message("the golden file differs; now:\n" STR_FMT "\nGOLDEN=write rewrites it\n", STR_ARG(left));
            fail();
        }
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(out.p, 1, out.n, f), out.n);
        fclose(f);
    }
    buf_free(&out);
    arena_free(a);
}

static struct golden simple(str params, str results, str body) {
    return (struct golden){.params = params, .results = results, .body = body};
}

/* Offsets, sizes and sites of an object hang together. */
static void test_object(void **state) {
    arena *a = arena_new(0);
    /* local.get 0, i32.load, local.get 0, i32.div_s, call 0 */
    struct golden g = simple(STR("i"), STR("i"), STR("\x20\0\x28\2\0\x20\0\x6d\x10\0"));
    struct buf bytes = module_of(&g);
    struct abi_object o = compile(a, buf_str(&bytes));
    assert_int_equal(o.funcs_count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(o.funcs[i].start % 16, 0);
        assert_true(o.funcs[i].size > 0 && o.funcs[i].start + o.funcs[i].size <= o.text.n);
    }
    unsigned kinds[8] = {0};
    for (uint32_t pc = 0; pc <= o.funcs[1].size; pc++) {
        struct abi_site s;
        if (!abi_sites_find(o.sites.p + o.funcs[1].sites, pc, &s)) continue;
        kinds[s.kind]++;
        assert_in_range(s.wasm_offset, bytes.n - 16, bytes.n);
    }
    assert_int_equal(kinds[ABI_SITE_MEMORY], 1);
    bool divides = ABI_MACHINE == ABI_MACHINE_X86_64; /* by itself the processor finds what overflows */
    assert_int_equal(kinds[ABI_SITE_DIVIDE], divides ? 1 : 0);
    assert_int_equal(kinds[ABI_SITE_CALL], 1);
    assert_int_equal(kinds[ABI_SITE_TRAP], divides ? 1 : 2);
    assert_int_equal(o.relocs.n, 0);
    baseline_object_free(&o);
    buf_free(&bytes);
    arena_free(a);
}

/* What is not implemented, and what is not valid, is refused with its place. */
static void test_refusals(void **state) {
    arena *a = arena_new(0);
    struct golden g = simple(STR("l"), STR("i"), STR("\x20\0"));
    struct buf bytes = module_of(&g);
    struct wasm_module m;
    struct diag d = DIAG_INIT;
    assert_int_equal(wasm_decode(a, buf_str(&bytes), &m, &d), ERR_OK);
    assert_int_equal(wasm_validate(a, &m, NULL, &d), ERR_OK);
    struct abi_layout_func funcs[1] = {{.where = ABI_FUNC_HOST}};
    struct abi_layout_memory memories[1] = {{.where = ABI_MEMORY_GS}};
    struct abi_layout_table tables[1] = {{ABI_TABLE_FIXED, -512, 8}};
    struct abi_layout_global globals[2] = {{false, -256}, {false, -248}};
    struct abi_layout layout = {
        .module = &m, .funcs = funcs, .memories = memories, .tables = tables, .globals = globals, .type_ids = m.type_ids};
    struct abi_object o;
    assert_int_equal(baseline_compile(&layout, &(struct baseline_options){0}, a, &o, &d), ERR_INVALID);
    assert_true(d.offset != DIAG_NOWHERE && d.text[0]);
    assert_null(o.text.p);
    buf_free(&bytes);
    arena_free(a);
}

int main(int argc, char **argv) {
    static char path[4096] = "src/baseline/golden_x64.txt";
    if (argc > 1) snprintf(path, sizeof path, "%s", argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_golden, path),
        cmocka_unit_test(test_object),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
