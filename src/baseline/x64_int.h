/* x64_int: what the x64_*.c files share. */
#ifndef ORLO_BASELINE_X64_INT_H
#define ORLO_BASELINE_X64_INT_H

#include "baseline/baseline_int.h"
#include "baseline/x64_asm.h"

/* Conditions beyond the processor's: equal and ordered; not equal or unordered. c ^ 1 is the opposite, as for the others. */
enum { CC_FEQ = 16, CC_FNE = 17 };

enum { SCRATCH = TARGET_SCRATCH, FSCRATCH = TARGET_FLOAT_SCRATCH };

/* Shared constants at the start of text, 16 bytes each. */
enum x64_constant {
    K_ABS32,
    K_ABS64,
    K_SIGN32,
    K_SIGN64,
    K_ZERO,
    K_I32_MIN, /* as f64, and so on: the bounds of saturation */
    K_I32_MAX,
    K_U32_MAX,
    K_2P63_F64, /* 2^63 */
    K_2P63_F32,
    K_M2P63_F64, /* -2^63 */
    K_M2P63_F32,
    K_COUNT
};

/* Where an operand that is neither in a register nor an immediate is. */
static inline struct x64_mem mem_of(const struct compiler *c, const struct value *v) {
    if (v->kind == V_MEM) return x64_mem(v->reg, X64_NONE, 0, X64_GS, v->disp);
    return x64_slot(slot_of(c, v));
}
/* Right before an instruction that has v as its memory operand. */
static inline void mem_site(struct compiler *c, const struct value *v) {
    if (v->kind == V_MEM) site_at(c, ABI_SITE_MEMORY, v->wasm_offset);
}
static inline void set_flags_of(struct compiler *c, uint8_t reg, unsigned w) {
    c->flags_at = c->p, c->flags_reg = reg, c->flags_w = (uint8_t)w;
}
/* v in a register: its own, or loaded into the scratch register. */
static inline uint8_t reg_or_scratch(struct compiler *c, const struct value *v) {
    uint8_t r = reg_of(c, v);
    if (r != NO_REG) return r;
    target_move(c, SCRATCH, v);
    return SCRATCH;
}
static inline uint8_t freg_or_scratch(struct compiler *c, const struct value *v) {
    uint8_t r = reg_of(c, v);
    if (r != NO_REG) return r;
    target_move(c, FSCRATCH, v);
    return FSCRATCH;
}

/* ---- vector instructions in VEX or legacy form; prefix 0, 66, f3, f2; all of map 0f ---- */

static inline unsigned vex_pp(uint8_t prefix) { return prefix == 0 ? 0 : prefix == 0x66 ? 1 : prefix == 0xf3 ? 2 : 3; }
static inline bool has_avx(const struct compiler *c) { return c->cpu & ABI_CPU_AVX; }
static inline bool has_bmi(const struct compiler *c) { return has_avx(c) && (c->cpu & ABI_CPU_BMI) == ABI_CPU_BMI; }
/* One source: moves, compares, conversions that write all of d. */
static inline void sse_rr(struct compiler *c, uint8_t prefix, uint8_t op, uint8_t d, uint8_t s) {
    if (has_avx(c)) x64_vex_rr(&c->p, vex_pp(prefix), 1, 0, op, d, 0, s);
    else x64_0f_rr(&c->p, prefix, 0, op, d, s);
}
static inline void sse_rm(struct compiler *c, uint8_t prefix, uint8_t op, uint8_t d, struct x64_mem m) {
    if (has_avx(c)) x64_vex_rm(&c->p, vex_pp(prefix), 1, 0, op, d, 0, m);
    else x64_0f_rm(&c->p, prefix, 0, op, d, m);
}
/* d = a op s; without AVX d must be a. w: of conversions with a general register. */
static inline void sse3_rr(struct compiler *c, uint8_t prefix, unsigned w, uint8_t op, uint8_t d, uint8_t a, uint8_t s) {
    if (has_avx(c)) x64_vex_rr(&c->p, vex_pp(prefix), 1, w, op, d, a, s);
    else x64_0f_rr(&c->p, prefix, w, op, d, s);
}
static inline void sse3_rm(struct compiler *c, uint8_t prefix, uint8_t op, uint8_t d, uint8_t a, struct x64_mem m) {
    if (has_avx(c)) x64_vex_rm(&c->p, vex_pp(prefix), 1, 0, op, d, a, m);
    else x64_0f_rm(&c->p, prefix, 0, op, d, m);
}
/* d = a op [rip + constant] */
void sse3_constant(struct compiler *c, uint8_t prefix, uint8_t op, uint8_t d, uint8_t a, enum x64_constant k);
/* d = a op [rip + pool], v the constant's bits */
void sse3_pool(struct compiler *c, uint8_t prefix, uint8_t op, uint8_t d, uint8_t a, uint64_t v);
/* Where an access of 1 << log2 bytes goes, for one instruction; *temp: a temporary to release then, or NO_REG. The address is in a
 * register, or an immediate. Uses the scratch register. */
struct x64_mem x64_address(struct compiler *c, unsigned log2, uint32_t memory, uint64_t offset, struct value *addr,
                           uint8_t *temp);
void x64_move_v128(struct compiler *c, uint8_t d, const struct value *v); /* v an immediate */
void x64_put_pool16(struct compiler *c);
static inline uint8_t scalar(unsigned type) { return type == T_F64 ? 0xf2 : 0xf3; } /* sd or ss */
static inline uint8_t packed(unsigned type) { return type == T_F64 ? 0x66 : 0; }    /* pd or ps */

void x64_put_helpers(struct compiler *c); /* x64_memory.c */

/* Short jumps taken when cc holds; x64_skip_end lands them. */
struct x64_skip {
    uint8_t *at[2];
};
struct x64_skip x64_skip_if(struct compiler *c, uint8_t cc);
static inline void x64_skip_end(struct compiler *c, struct x64_skip s) {
    for (int i = 0; i < 2; i++)
        if (s.at[i]) x64_land(s.at[i], c->p);
}

#endif
