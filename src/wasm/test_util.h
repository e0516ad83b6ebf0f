/* What the room's tests share: modules written down as bytes. Included by tests only. */
#ifndef ORLO_WASM_TEST_UTIL_H
#define ORLO_WASM_TEST_UTIL_H

#include "wasm/wasm.h"
#include <setjmp.h>
#include <cmocka.h>

#define HEADER 0, 'a', 's', 'm', 1, 0, 0, 0
#define BYTES(...) ((str){(const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})})

/* A section, a body or a name: something with its size in front (below 128 bytes). */
#define SIZED(...) sizeof((const uint8_t[]){__VA_ARGS__}), __VA_ARGS__
#define SECTION(id, ...) id, SIZED(__VA_ARGS__)

/* Decodes and validates everything. */
static inline err check_all(arena *a, str bytes, struct wasm_module *m, struct diag *d) {
    *d = (struct diag)DIAG_INIT;
    TRY(wasm_decode(a, bytes, m, d));
    TRY(wasm_validate(a, m, NULL, d));
    TRY(wasm_validate_bodies(m, d));
    wasm_names_decode(a, m);
    return ERR_OK;
}

static inline void expect_ok(str bytes) {
    arena *a = arena_new(0);
    struct wasm_module m;
    struct diag d;
    if (check_all(a, bytes, &m, &d)) fail_msg("refused: %s at %llu", d.text, (unsigned long long)d.offset);
    arena_free(a);
}

static inline void expect_error(str bytes, err want, uint64_t offset, const char *text) {
    arena *a = arena_new(0);
    struct wasm_module m;
    struct diag d;
    err e = check_all(a, bytes, &m, &d);
    if (e != want || d.offset != offset || !strstr(d.text, text))
        fail_msg("wanted %s \"%s\" at %lld, got %s \"%s\" at %lld", err_name(want), text, (long long)offset, err_name(e), d.text,
                 (long long)d.offset);
    arena_free(a);
}

/* Types, and one function of type 0 with the given body (locals' declarations and instructions); a memory of
 * a page, two globals (i32 immutable, i64 mutable) and a table of ten functions, which function 0 is declared
 * for. The body starts at BODY_AT(types). */
#define TYPE(...) SECTION(1, __VA_ARGS__)
#define MODULE(types, ...)                                                                                                       \
    BYTES(HEADER, types, SECTION(3, 1, 0), SECTION(4, 1, 0x70, 0, 10), SECTION(5, 1, 0, 1),                                      \
          SECTION(6, 2, 0x7f, 0, 0x41, 7, 0x0b, 0x7e, 1, 0x42, 9, 0x0b), SECTION(9, 1, 3, 0, 1, 0),                              \
          SECTION(10, 1, SIZED(__VA_ARGS__)))
#define BODY_AT(types) (8 + sizeof((const uint8_t[]){types}) + 4 + 6 + 5 + 13 + 7 + 4)

#endif
