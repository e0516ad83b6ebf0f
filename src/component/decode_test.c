/* decode: hand-made components, good and bad: what is said, and where. */
#include "component/component_int.h"

#include <setjmp.h>

#include <cmocka.h>

#define HEADER 0, 'a', 's', 'm', 0x0d, 0, 1, 0
#define CORE_HEADER 0, 'a', 's', 'm', 1, 0, 0, 0
#define BYTES(...) ((str){(const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})})

static err decode(str bytes, struct diag *d) {
    arena *a = arena_new(0);
    uint8_t *exact = malloc(bytes.n ? bytes.n : 1);
    memcpy(exact, bytes.p, bytes.n);
    struct component *c;
    err e = component_decode(a, (str){exact, bytes.n}, &c, d);
    if (e == ERR_OK) e = component_validate_code(c, d);
    arena_free(a);
    free(exact);
    return e;
}

static void good(str bytes) {
    struct diag d = DIAG_INIT;
    if (decode(bytes, &d) != ERR_OK) fail_msg("refused: %s at %llu", d.text, (unsigned long long)d.offset);
}

static void bad(str bytes, err want, uint64_t offset, const char *text) {
    struct diag d = DIAG_INIT;
    err e = decode(bytes, &d);
    if (e != want || !strstr(d.text, text) || d.offset != offset)
        fail_msg("want %s at %llu: %s; have %s at %llu: %s", err_name(want), (unsigned long long)offset, text, err_name(e),
                 (unsigned long long)d.offset, d.text);
}

#define SIZED(...) sizeof((const uint8_t[]){__VA_ARGS__}), __VA_ARGS__
#define SECTION(id, ...) id, SIZED(__VA_ARGS__)

/* A component that exports function "f" of its core module; sections end at 41, 47, 56, 63, 71. */
#define CORE_MODULE                                                                                                              \
    CORE_HEADER, SECTION(1, 1, 0x60, 0, 0), SECTION(3, 1, 0), SECTION(7, 1, 1, 'f', 0, 0), SECTION(10, 1, 2, 0, 0x0b)
#define LIFTED                                                                                                                   \
    HEADER, SECTION(1, CORE_MODULE), SECTION(2, 1, 0, 0, 0) /* core instance */, SECTION(6, 1, 0, 0, 1, 0, 1, 'f') /* its f */,  \
        SECTION(7, 1, 0x40, 0, 1, 0) /* (func) */, SECTION(8, 1, 0, 0, 0, 0, 0) /* canon lift */,                                \
        SECTION(11, 1, 0, 1, 'f', 1, 0, 0)

static void test_kinds(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        enum component_kind kind;
        const char *text;
    } cases[] = {
        {"\0asm\x01\0\0\0", 8, COMPONENT_KIND_MODULE, ""},
        {"\0asm\x0d\0\x01\0", 8, COMPONENT_KIND_COMPONENT, ""},
        {"\0asm\x0e\0\x01\0", 8, COMPONENT_KIND_UNKNOWN, "version 0xe"},
        {"\0asm\x02\0\0\0", 8, COMPONENT_KIND_UNKNOWN, "unknown binary version 0x2"},
        {"\0asm\x01", 5, COMPONENT_KIND_UNKNOWN, "unexpected end-of-file"},
        {"\0a", 2, COMPONENT_KIND_UNKNOWN, "unexpected end-of-file"},
        {"", 0, COMPONENT_KIND_UNKNOWN, "empty"},
        {"\x01\x02\x03\x04", 4, COMPONENT_KIND_UNKNOWN, "does not start with"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct diag d = DIAG_INIT;
        assert_int_equal(component_kind((str){(const uint8_t *)cases[i].bytes, cases[i].n}, &d), cases[i].kind);
        assert_non_null(strstr(d.text, cases[i].text));
    }
}

static void test_good(void **state) {
    (void)state;
    good(BYTES(HEADER));
    good(BYTES(LIFTED));
    good(BYTES(HEADER, 0, 5, 4, 'n', 'o', 't', 'e'));              /* custom section */
    good(BYTES(HEADER, 4, 8, HEADER));                             /* nested component */
    good(BYTES(HEADER, 7, 8, 2, 0x72, 1, 1, 0x78, 0x79, 0x70, 0)); /* record, and list of it */
}

static void test_truncated(void **state) {
    (void)state;
    str whole = BYTES(LIFTED);
    static const uint8_t ends[] = {8, 41, 47, 56, 63, 71}; /* where a section ends, a component may end */
    for (size_t n = 0; n < whole.n; n++) {
        struct diag d = DIAG_INIT;
        bool section_end = memchr(ends, (int)n, sizeof ends) != NULL;
        err e = decode((str){whole.p, n}, &d);
        assert_int_equal(e == ERR_OK, section_end);
        if (e) assert_true(d.text[0] && d.offset <= n);
    }
}

static void test_malformed(void **state) {
    (void)state;
    bad(BYTES(CORE_HEADER), ERR_MALFORMED, 0, "expected a version header for a component");
    bad(BYTES(HEADER, 13, 0), ERR_MALFORMED, 8, "malformed section id");
    bad(BYTES(HEADER, 7, 2, 0, 0), ERR_MALFORMED, 11, "section size mismatch");
    bad(BYTES(HEADER, 7, 0xff, 0xff, 0xff, 0xff, 0x7f), ERR_MALFORMED, 9, "integer too large");
    bad(BYTES(HEADER, 7, 0x80, 0x80, 0x80, 0x80, 0x80, 0), ERR_MALFORMED, 9, "integer representation too long");
    bad(BYTES(HEADER, 7, 2, 1, 0x62), ERR_MALFORMED, 11, "invalid leading byte (0x62) for component defined type");
    bad(BYTES(HEADER, 2, 2, 1, 2), ERR_MALFORMED, 11, "invalid leading byte (0x2) for core instance");
    bad(BYTES(HEADER, 8, 2, 1, 0x43), ERR_MALFORMED, 11, "invalid leading byte (0x43) for canonical function");
    bad(BYTES(HEADER, 10, 7, 1, 0, 1, 0xff, 1, 0, 0), ERR_MALFORMED, 13, "malformed UTF-8 encoding");
    bad(BYTES(HEADER, 1, 8, HEADER), ERR_MALFORMED, 10, "expected a version header for a module");
    bad(BYTES(HEADER, 1, 10, CORE_HEADER, 0x55, 0), ERR_MALFORMED, 18, "core module 0");
}

static void test_invalid(void **state) {
    (void)state;
    bad(BYTES(HEADER, 7, 3, 1, 0x70, 0), ERR_INVALID, 12, "type index out of bounds");
    bad(BYTES(HEADER, 7, 3, 1, 0x72, 0), ERR_INVALID, 11, "record type must have at least one field");
    bad(BYTES(HEADER, 7, 8, 1, 0x6e, 2, 1, 'a', 1, 'A', 0), ERR_INVALID, 15,
        "flag name `A` conflicts with previous flag name `a`");
    bad(BYTES(HEADER, 7, 5, 1, 0x6d, 1, 1, '1'), ERR_INVALID, 13, "enum tag name `1` is not in kebab case");
    bad(BYTES(HEADER, 7, 4, 1, 0x67, 0x7d, 0), ERR_INVALID, 11, "Fixed-length lists must have more than zero elements");
    bad(BYTES(HEADER, 7, 7, 1, 0x67, 0x7d, 0x80, 0x80, 0x80, 0x80, 1), ERR_MALFORMED, 17, "unexpected end-of-file");
    bad(BYTES(HEADER, 7, 8, 1, 0x67, 0x7d, 0x80, 0x80, 0x80, 0x80, 1), ERR_INVALID, 11, "exceeds maximum byte size");
    bad(BYTES(HEADER, 7, 4, 1, 0x66, 1, 0x74), ERR_INVALID, 11, "`stream<char>` is not valid");
    bad(BYTES(HEADER, 8, 3, 1, 2, 0), ERR_INVALID, 12, "type index out of bounds");
    bad(BYTES(HEADER, 11, 7, 1, 0, 1, 'f', 1, 0, 0), ERR_INVALID, 11, "function index out of bounds");
    bad(BYTES(LIFTED, 11, 7, 1, 0, 1, 'F', 1, 0, 0), ERR_INVALID, 83, "export name `F` conflicts with previous name `f`");
    bad(BYTES(HEADER, 5, 4, 1, 0, 0, 0), ERR_INVALID, 11, "unknown component 0");
    bad(BYTES(HEADER, 6, 5, 1, 3, 2, 1, 0), ERR_INVALID, 11, "invalid outer alias count of 1");
}

/* (resource) in a type; resource.new of an imported one; a function that mentions a resource without a name.
 */
static void test_resources(void **state) {
    (void)state;
    good(BYTES(HEADER, 7, 4, 1, 0x3f, 0x7f, 0, 8, 3, 1, 2, 0));
    bad(BYTES(HEADER, 7, 7, 1, 0x42, 1, 1, 0x3f, 0x7f, 0), ERR_INVALID, 14,
        "resources can only be defined within a concrete component");
    bad(BYTES(HEADER, 10, 6, 1, 0, 1, 'r', 3, 1, 8, 3, 1, 2, 0), ERR_INVALID, 19, "type 0 is not a local resource");
    bad(BYTES(HEADER, 7, 4, 1, 0x3f, 0x7c, 0), ERR_INVALID, 11, "represented by `i32` or `i64`");
    bad(BYTES(HEADER, 7, 13, 3, 0x3f, 0x7f, 0, 0x69, 0, 0x40, 1, 1, 'x', 1, 1, 0, 10, 6, 1, 0, 1, 'f', 1, 2), ERR_INVALID, 26,
        "func not valid to be used as import");
}

/* 40 records, each of two of the one before, are 2^40 bytes; 40 lists of pairs of lists are a tree of 2^40
 * nodes. */
static void test_blow_up(void **state) {
    (void)state;
    for (int lists = 0; lists < 2; lists++) {
        struct buf types = {0}, file = {0};
        uint32_t n = 0;
        buf_put(&types, "\x70\x7d", 2);
        for (n = 1; n < 120;) {
            uint8_t tuple[] = {0x6f, 2, (uint8_t)(n - 1), (uint8_t)(n - 1)}, list[] = {0x70, (uint8_t)n};
            if (n > 62) break;
            buf_put(&types, tuple, sizeof tuple);
            n++;
            if (!lists) continue;
            buf_put(&types, list, sizeof list);
            n++;
        }
        uint8_t head[] = {HEADER, 7, (uint8_t)((types.n + 1) | 0x80), (uint8_t)((types.n + 1) >> 7), (uint8_t)n};
        buf_put(&file, head, sizeof head);
        buf_puts(&file, buf_str(&types));
        struct diag d = DIAG_INIT;
        err e = decode(buf_str(&file), &d);
        assert_true(e == ERR_LIMIT || e == ERR_INVALID);
        assert_non_null(strstr(d.text, "exceeds"));
        buf_free(&types);
        buf_free(&file);
    }
}

static void test_nesting(void **state) {
    (void)state;
    struct buf b = {0};
    uint8_t start[] = {HEADER};
    buf_put(&b, start, sizeof start);
    for (int i = 0; i < 150; i++) { /* wrap what there is in one more component */
        struct buf outer = {0};
        buf_put(&outer, start, sizeof start);
        uint8_t section[] = {4, (uint8_t)(b.n | 0x80), (uint8_t)(b.n >> 7 | 0x80), (uint8_t)(b.n >> 14)};
        buf_put(&outer, section, sizeof section);
        buf_puts(&outer, buf_str(&b));
        buf_free(&b);
        b = outer;
    }
    struct diag d = DIAG_INIT;
    assert_int_equal(decode(buf_str(&b), &d), ERR_LIMIT);
    assert_non_null(strstr(d.text, "nested deeper"));
    buf_free(&b);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),     cmocka_unit_test(test_good),    cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_malformed), cmocka_unit_test(test_invalid), cmocka_unit_test(test_resources),
        cmocka_unit_test(test_blow_up),   cmocka_unit_test(test_nesting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
