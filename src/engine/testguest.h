/* testguest: images of hand-made guests, for tests and measurements of the engine that need no compiler. */
#ifndef ORLO_ENGINE_TESTGUEST_H
#define ORLO_ENGINE_TESTGUEST_H

#include "engine/engine.h"

enum testguest_func {
#define X(name) GUEST_##name,
/* clang-format off */
#define TESTGUEST_FUNCS                                                                                                          \
    X(load)                                                                                                                      \
    X(store)                                                                                                                     \
    X(fill)                                                                                                                      \
    X(divide) X(unreachable) X(outer) X(null) X(recurse) X(frames) X(host0) X(deep) X(rt) X(far) X(gs) X(forever) X(stand)       \
        X(spin) X(global) X(context) X(nothing) X(far_recurse2) X(far_recurse1) X(far_recurse)
    /* clang-format on */
    TESTGUEST_FUNCS
#undef X
        GUEST_COUNT
};

struct testguest {
    uint32_t groups; /* 0: 1; functions exist once a group, func_index the same */
    uint32_t group_base;
    uint64_t context_bytes;                                 /* 0: a page */
    uint64_t memory_bytes, memory_bytes_max, content_bytes; /* content: byte i of the memory is (i * 7 + i / 4096) | 1 */
    uint32_t table_count;                /* a growable table, its elements at the low end of the context; every third is a
                             function */
    uint64_t near_bytes, near_bytes_max; /* memory 1, with bounds checks; max 0: none */
    uint32_t hosts;                      /* imports test.0 … with two argument slots */
};
/* In group 0 the context is, from GS down: struct abi_ctx, 8 bytes of global (0x1111), the table's record,
 * the near memory's record, a FAR word that points to the last group's context (0 if it is the only one), 16
 * bytes of dropped flags. */
enum {
    TESTGUEST_CTX = -(int)sizeof(struct abi_ctx),
    TESTGUEST_GLOBAL = TESTGUEST_CTX - 8,
    TESTGUEST_TABLE = TESTGUEST_CTX - 32,
    TESTGUEST_NEAR = TESTGUEST_CTX - 56,
    TESTGUEST_FAR = TESTGUEST_CTX - 64,
    TESTGUEST_DROPPED = TESTGUEST_CTX - 80,
};

struct abi_image testguest_image(const struct testguest *g);
const struct abi_func *testguest_func(struct engine_image *image, uint32_t group, enum testguest_func f);
uint8_t testguest_content(uint64_t i);

#endif
