/* arm64_int: what the arm64_*.c files share.
 *
 * Where flags_at is the text position, the last instruction may give its place to the next: a comparison with zero, a test, a
 * multiplication, a shift, a load or store of the frame; its word tells which. sum_reg is the register whose sum with the base ADDR
 * holds: put() sees to it that neither has changed since. */
#ifndef ORLO_BASELINE_ARM64_INT_H
#define ORLO_BASELINE_ARM64_INT_H

#include "baseline/arm64_asm.h"
#include "baseline/baseline_int.h"

enum { SCRATCH = TARGET_SCRATCH, FSCRATCH = TARGET_FLOAT_SCRATCH };
enum { BASE = X28, FRAME = X27, WINDOW = X26, ADDR = X25, ADDR2 = X24, ADDR3 = X23 };
enum { WINDOW_BYTES = 32 << 10 }; /* WINDOW is this much below BASE */
enum { NO_INDEX = 0xff };

/* What an instruction writes has its number in the lowest bits, but for calls and the second register of a pair. */
static inline bool may_write(uint32_t word, unsigned reg) {
    bool pair = (word & 0xfe400000) == 0xa8400000, call = (word & 0xfc000000) == ARM64_BL || (word & 0xfffffc1f) == 0xd63f0000;
    return (word & 31) == reg || (pair && (word >> 10 & 31) == reg) || call;
}
HOT void put(struct compiler *c, uint32_t word) {
    if (UNLIKELY(c->sum_reg != NO_REG) && (may_write(word, c->sum_reg) || may_write(word, ADDR))) c->sum_reg = NO_REG;
    memcpy(c->p, &word, 4);
    c->p += 4;
}
/* The instruction just emitted may be replaced by the next. */
static inline void note(struct compiler *c) { c->flags_at = c->p; }
static inline uint32_t last_word(const struct compiler *c) {
    uint32_t word = 0;
    if (c->flags_at == c->p) memcpy(&word, c->p - 4, 4);
    return word;
}
static inline void take_back(struct compiler *c) {
    c->p -= 4;
    c->flags_at = NULL;
}

/* d = v; w as narrow as v allows. */
void arm64_set(struct compiler *c, uint8_t d, uint64_t v);
/* d = n + v, for any v; changes d only, which may be n where v is below 1 << 24 either way. */
void arm64_add(struct compiler *c, uint8_t d, uint8_t n, int64_t v);

/* v in a register: its own, or loaded into t. */
static inline uint8_t in_reg(struct compiler *c, const struct value *v, uint8_t t) {
    uint8_t r = reg_of(c, v);
    if (r != NO_REG) return r;
    if (is_imm(v) && v->imm == 0) return XZR;
    target_move(c, t, v);
    return t;
}
static inline uint8_t in_freg(struct compiler *c, const struct value *v, uint8_t t) {
    uint8_t r = reg_of(c, v);
    if (r != NO_REG) return r;
    target_move(c, t, v);
    return t;
}

/* ---- memory operands: fit for one instruction ---- */

struct arm64_mem {
    uint8_t base, index; /* NO_INDEX: disp instead */
    bool scaled;
    int32_t disp;
};
static inline void put_ldst(struct compiler *c, struct arm64_access a, uint8_t t, struct arm64_mem m) {
    put(c, m.index == NO_INDEX ? arm64_ldst(a, t, m.base, m.disp) : arm64_ldst_reg(a, t, m.base, m.index, m.scaled));
}
struct arm64_mem arm64_at(struct compiler *c, uint8_t base, int64_t disp, unsigned log2); /* may use ADDR */
struct arm64_mem arm64_context(struct compiler *c, int32_t offset, unsigned log2);        /* may use ADDR */
struct arm64_mem arm64_slot(struct compiler *c, uint32_t slot, unsigned log2);            /* may use ADDR */
struct arm64_mem arm64_address(struct compiler *c, unsigned log2, uint32_t memory, uint64_t offset, struct value *addr);

/* ---- what else they call of each other ---- */

void arm64_call_stub(struct compiler *c, int32_t field); /* blr of what the context's field says; changes x17 */
void arm64_float_constant(struct compiler *c, uint8_t d, unsigned type, uint64_t v);
void arm64_vector_constant(struct compiler *c, uint8_t d, uint64_t low, uint64_t high);
void arm64_pool16(struct compiler *c, uint8_t d, uint64_t low, uint64_t high);
void arm64_put_helpers(struct compiler *c);

/* A short forward branch; arm64_land lands it. */
static inline uint32_t arm64_skip(struct compiler *c, uint32_t branch) {
    uint32_t at = code_at(c);
    put(c, branch);
    return at;
}
static inline void arm64_land(struct compiler *c, uint32_t at) {
    target_patch(c, at, at, code_at(c));
    c->flags_at = NULL;
    c->sum_reg = NO_REG;
}

#endif
