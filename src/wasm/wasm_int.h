/* wasm, inside the room: checked readers, types read from bytes, and what the parts of the validator share.
 */
#ifndef ORLO_WASM_INT_H
#define ORLO_WASM_INT_H

#include "wasm/wasm.h"

/* ---- checked readers (§5.2): strict LEB128, sticky failure in the rd ---------------------------- */

uint64_t wasm_rd_leb_slow(struct rd *r, unsigned bits, bool is_signed);

static inline uint32_t wasm_rd_u32(struct rd *r) {
    if (LIKELY(r->p < r->end && *r->p < 0x80)) return *r->p++;
    if (LIKELY(r->end - r->p >= 2 && r->p[1] < 0x80)) {
        uint32_t x = (*r->p & 0x7fu) | (uint32_t)r->p[1] << 7;
        r->p += 2;
        return x;
    }
    return (uint32_t)wasm_rd_leb_slow(r, 32, false);
}
static inline uint64_t wasm_rd_u64(struct rd *r) {
    if (LIKELY(r->p < r->end && *r->p < 0x80)) return *r->p++;
    return wasm_rd_leb_slow(r, 64, false);
}
static inline int64_t wasm_rd_s(struct rd *r, unsigned bits) { return (int64_t)wasm_rd_leb_slow(r, bits, true); }

/* A vector's count: at most max, and no more than the bytes left can hold at bytes_min each. */
uint32_t wasm_rd_count(struct rd *r, uint32_t max, uint32_t bytes_min, const char *over);
str wasm_rd_name(struct rd *r);
wasm_type wasm_rd_type(struct rd *r);     /* value type (§5.3.4) */
wasm_type wasm_rd_ref_type(struct rd *r); /* reference type (§5.3.3) */
uint32_t wasm_rd_heap(struct rd *r);      /* heap type (§5.3.2) */
enum wasm_op wasm_rd_op(struct rd *r);    /* fails on an opcode that is not in the table */
/* Steps over the immediates of op. */
void wasm_rd_skip_imm(struct rd *r, enum wasm_op op);
/* A constant expression or any other, with its `end`. */
wasm_expr wasm_rd_expr(struct rd *r);
/* How a failure of r is reported: over a limit or malformed. */
err wasm_rd_err(const struct rd *r, struct diag *d);

/* One-byte code -> value type or abstract heap type; WASM_BOT and UINT32_MAX if it is none. */
wasm_type wasm_type_of_byte(uint8_t b);
uint32_t wasm_heap_of_byte(uint8_t b);

/* ---- types -------------------------------------------------------------------------------------- */

/* Enters the recursion group of m's types [start, start + count); ids of earlier types are in ids. Gives the
 * id of the first. */
[[nodiscard]] err wasm_types_intern(struct wasm_types *ts, const struct wasm_module *m, const uint32_t *ids, uint32_t start,
                                    uint32_t count, uint32_t *first);

/* ---- validator ---------------------------------------------------------------------------------- */

/* The expression gives one value of type t. Which instructions are constant is checked elsewhere. */
[[nodiscard]] err wasm_validate_expr(struct wasm_validator *v, wasm_expr e, wasm_type t, struct diag *d);

#endif
