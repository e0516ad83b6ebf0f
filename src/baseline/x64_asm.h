/* x64_asm: encoders of x86-64 instructions into a buffer. No knowledge of WebAssembly.
 *
 * 1. Registers are numbers: 0..15 general, 16..31 xmm0..xmm15; encoders use the low four bits.
 * 2. An encoder writes at *p without looking at the room left: the caller keeps X64_INSTR_MAX bytes for each.
 * 3. `w` is 1 for 64-bit operands, 0 for 32-bit ones (which zero the upper half).
 */
#ifndef ORLO_BASELINE_X64_ASM_H
#define ORLO_BASELINE_X64_ASM_H

#include "base/base.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, XMM0, XMM15 = 31, X64_NONE = 0xff };
enum { X64_INSTR_MAX = 16 };

/* Condition codes, as in jcc, setcc, cmovcc; c ^ 1 is the opposite. */
enum x64_cc { CC_O, CC_NO, CC_B, CC_AE, CC_E, CC_NE, CC_BE, CC_A, CC_S, CC_NS, CC_P, CC_NP, CC_L, CC_GE, CC_LE, CC_G };

/* A memory operand, packed into one word so that it travels in a register. */
struct x64_mem {
    uint64_t bits; /* base, index (X64_NONE: none), scale as a shift, flags: a byte each; then disp */
};
enum { X64_GS = 1, X64_ADDR32 = 2 }; /* relative to GS; the sum of base and index wraps at 32 bits */

static inline struct x64_mem x64_mem(unsigned base, unsigned index, unsigned scale, unsigned flags, int32_t disp) {
    return (struct x64_mem){base | index << 8 | scale << 16 | flags << 24 | (uint64_t)(uint32_t)disp << 32};
}
static inline uint8_t x64_base(struct x64_mem m) { return (uint8_t)m.bits; }
static inline uint8_t x64_index(struct x64_mem m) { return (uint8_t)(m.bits >> 8); }
static inline uint8_t x64_scale(struct x64_mem m) { return (uint8_t)(m.bits >> 16); }
static inline int32_t x64_disp(struct x64_mem m) { return (int32_t)(m.bits >> 32); }
static inline struct x64_mem x64_slot(uint32_t slot) { return x64_mem(R13, X64_NONE, 0, 0, (int32_t)(slot * 8)); }
static inline struct x64_mem x64_gs(int32_t disp) { return x64_mem(X64_NONE, X64_NONE, 0, X64_GS, disp); }
static inline struct x64_mem x64_at(uint8_t base, int32_t disp) { return x64_mem(base, X64_NONE, 0, 0, disp); }

static inline void x64_put32(uint8_t *p, uint32_t v) { memcpy(p, &v, 4); }
static inline void x64_put64(uint8_t *p, uint64_t v) { memcpy(p, &v, 8); }

/* REX where it is needed: written always, kept when it says something. */
static inline __attribute__((always_inline)) uint8_t *x64_rex(uint8_t *p, unsigned w, unsigned reg, unsigned index,
                                                              unsigned base) {
    uint8_t rex = (uint8_t)(0x40 | w << 3 | (reg >> 3 & 1) << 2 | (index >> 3 & 1) << 1 | (base >> 3 & 1));
    *p = rex;
    return p + (rex != 0x40);
}
/* REX of an instruction that names the low byte of `reg`: without REX, 4..7 would be ah..bh. */
static inline uint8_t *x64_rex8(uint8_t *p, unsigned w, unsigned reg, unsigned index, unsigned base, unsigned byte_reg) {
    uint8_t rex = (uint8_t)(0x40 | w << 3 | (reg >> 3 & 1) << 2 | (index >> 3 & 1) << 1 | (base >> 3 & 1));
    *p = rex;
    return p + (rex != 0x40 || (byte_reg & 15) >= 4);
}
static inline __attribute__((always_inline)) uint8_t *x64_modrm_rr(uint8_t *p, unsigned reg, unsigned rm) {
    *p = (uint8_t)(0xc0 | (reg & 7) << 3 | (rm & 7));
    return p + 1;
}
static inline uint8_t *x64_modrm_rip(uint8_t *p, unsigned reg) {
    *p = (uint8_t)((reg & 7) << 3 | 5);
    return p + 1; /* the caller writes disp32 */
}
static inline uint8_t *x64_modrm_mem(uint8_t *p, unsigned reg, struct x64_mem m) {
    unsigned r = (reg & 7) << 3, base = x64_base(m), index = x64_index(m);
    int32_t disp = x64_disp(m);
    if (UNLIKELY(base == X64_NONE)) { /* [disp32] or [index*scale + disp32], by SIB without base */
        *p++ = (uint8_t)(r | 4);
        *p++ = (uint8_t)(index == X64_NONE ? 0x25 : (unsigned)x64_scale(m) << 6 | (index & 7) << 3 | 5);
        x64_put32(p, (uint32_t)disp);
        return p + 4;
    }
    unsigned bytes = disp == 0 && (base & 7) != 5 ? 0 : disp == (int8_t)disp ? 1 : 4;
    unsigned mod = bytes == 4 ? 0x80 : bytes << 6;
    if (index != X64_NONE || (base & 7) == 4) {
        *p++ = (uint8_t)(mod | r | 4);
        *p++ = (uint8_t)((unsigned)x64_scale(m) << 6 | (index == X64_NONE ? 4 : index & 7) << 3 | (base & 7));
    } else {
        *p++ = (uint8_t)(mod | r | (base & 7));
    }
    x64_put32(p, (uint32_t)disp);
    return p + bytes;
}
static inline uint8_t *x64_prefix_mem(uint8_t *p, struct x64_mem m) {
    unsigned flags = m.bits >> 24 & 0xff;
    *p = 0x65;
    p += flags & X64_GS;
    *p = 0x67;
    return p + (flags >> 1);
}
/* The bits for REX of a register that may be none. */
static inline unsigned x64_bits(uint8_t reg) { return reg == X64_NONE ? 0 : reg; }

/* ---- one-byte opcodes ---- */

static inline __attribute__((always_inline)) void x64_rr(uint8_t **pp, unsigned w, uint8_t op, unsigned reg, unsigned rm) {
    uint8_t *p = x64_rex(*pp, w, reg, 0, rm);
    *p++ = op;
    *pp = x64_modrm_rr(p, reg, rm);
}
/* [base + disp] or gs:[base + disp] of a base that needs no SIB byte: nearly all there are. */
static inline bool x64_is_plain(struct x64_mem m) {
    return (m.bits & 0xff00) == 0xff00 && (m.bits & 7) != 4 && (m.bits >> 24 & X64_ADDR32) == 0 && (m.bits & 0xff) != X64_NONE;
}
static inline uint8_t *x64_plain_prefix(uint8_t *p, unsigned w, unsigned reg, struct x64_mem m) {
    uint8_t rex = (uint8_t)(0x40 | w << 3 | (reg & 8) >> 1 | (m.bits & 8) >> 3);
    *p = 0x65;
    p += m.bits >> 24 & 1;
    *p = rex;
    return p + (rex != 0x40);
}
static inline uint8_t *x64_plain_modrm(uint8_t *p, unsigned reg, struct x64_mem m) {
    unsigned rm = (reg & 7) << 3 | (m.bits & 7);
    int32_t disp = x64_disp(m);
    if (disp == (int8_t)disp) {
        unsigned some = disp != 0 || (m.bits & 7) == 5;
        p[0] = (uint8_t)(rm | some << 6);
        p[1] = (uint8_t)disp;
        return p + 1 + some;
    }
    p[0] = (uint8_t)(rm | 0x80);
    x64_put32(p + 1, (uint32_t)disp);
    return p + 5;
}
static inline void x64_rm(uint8_t **pp, unsigned w, uint8_t op, unsigned reg, struct x64_mem m) {
    uint8_t *p = *pp;
    if (LIKELY(x64_is_plain(m))) {
        p = x64_plain_prefix(p, w, reg, m);
        *p++ = op;
        *pp = x64_plain_modrm(p, reg, m);
        return;
    }
    p = x64_prefix_mem(p, m);
    p = x64_rex(p, w, reg, x64_bits(x64_index(m)), x64_bits(x64_base(m)));
    *p++ = op;
    *pp = x64_modrm_mem(p, reg, m);
}
/* Of the frame, by slot. */
static inline void x64_rs(uint8_t **pp, unsigned w, uint8_t op, unsigned reg, uint32_t slot) {
    uint8_t *p = *pp;
    p[0] = (uint8_t)(0x41 | w << 3 | (reg & 8) >> 1);
    p[1] = op;
    if (LIKELY(slot < 16)) {
        p[2] = (uint8_t)(0x45 | (reg & 7) << 3);
        p[3] = (uint8_t)(slot * 8);
        *pp = p + 4;
    } else {
        p[2] = (uint8_t)(0x85 | (reg & 7) << 3);
        x64_put32(p + 3, slot * 8);
        *pp = p + 7;
    }
}
/* Byte and 16-bit stores: op 0x88 with a byte register, 0x89 behind 0x66. */
static inline void x64_store8(uint8_t **pp, unsigned reg, struct x64_mem m) {
    uint8_t *p = x64_prefix_mem(*pp, m);
    p = x64_rex8(p, 0, reg, x64_bits(x64_index(m)), x64_bits(x64_base(m)), reg);
    *p++ = 0x88;
    *pp = x64_modrm_mem(p, reg, m);
}
static inline void x64_store16(uint8_t **pp, unsigned reg, struct x64_mem m) {
    uint8_t *p = x64_prefix_mem(*pp, m);
    *p++ = 0x66;
    p = x64_rex(p, 0, reg, x64_bits(x64_index(m)), x64_bits(x64_base(m)));
    *p++ = 0x89;
    *pp = x64_modrm_mem(p, reg, m);
}

/* The group of add or adc sbb and sub xor cmp: `n` 0..7. */
enum { X64_ADD = 0, X64_OR = 1, X64_ADC = 2, X64_SBB = 3, X64_AND = 4, X64_SUB = 5, X64_XOR = 6, X64_CMP = 7 };
static inline void x64_alu_rr(uint8_t **pp, unsigned w, unsigned n, unsigned d, unsigned s) {
    x64_rr(pp, w, (uint8_t)(n << 3 | 3), d, s);
}
static inline void x64_alu_rm(uint8_t **pp, unsigned w, unsigned n, unsigned d, struct x64_mem m) {
    x64_rm(pp, w, (uint8_t)(n << 3 | 3), d, m);
}
static inline void x64_alu_mr(uint8_t **pp, unsigned w, unsigned n, struct x64_mem m, unsigned s) {
    x64_rm(pp, w, (uint8_t)(n << 3 | 1), s, m);
}
static inline void x64_alu_ri(uint8_t **pp, unsigned w, unsigned n, unsigned d, int32_t imm) {
    if (imm == (int8_t)imm) {
        x64_rr(pp, w, 0x83, n, d);
        *(*pp)++ = (uint8_t)imm;
    } else {
        if ((d & 15) == RAX) {
            *pp = x64_rex(*pp, w, 0, 0, 0);
            *(*pp)++ = (uint8_t)(n << 3 | 5);
        } else {
            x64_rr(pp, w, 0x81, n, d);
        }
        x64_put32(*pp, (uint32_t)imm);
        *pp += 4;
    }
}
static inline void x64_alu_mi(uint8_t **pp, unsigned w, unsigned n, struct x64_mem m, int32_t imm) {
    bool small = imm == (int8_t)imm;
    x64_rm(pp, w, small ? 0x83 : 0x81, n, m);
    x64_put32(*pp, (uint32_t)imm);
    *pp += small ? 1 : 4;
}
static inline void x64_test_rr(uint8_t **pp, unsigned w, unsigned a, unsigned b) { x64_rr(pp, w, 0x85, a, b); }
static inline void x64_test_ri(uint8_t **pp, unsigned w, unsigned a, uint32_t imm) {
    uint8_t *p;
    if (imm < 0x80) { /* of a byte register: the same flags, three bytes less */
        p = x64_rex8(*pp, 0, 0, 0, a, a);
        *p++ = 0xf6;
        p = x64_modrm_rr(p, 0, a);
        *p++ = (uint8_t)imm;
    } else {
        p = x64_rex(*pp, w, 0, 0, a);
        *p++ = 0xf7;
        p = x64_modrm_rr(p, 0, a);
        x64_put32(p, imm), p += 4;
    }
    *pp = p;
}
static inline void x64_mov_rr(uint8_t **pp, unsigned w, unsigned d, unsigned s) { x64_rr(pp, w, 0x8b, d, s); }
static inline void x64_load(uint8_t **pp, unsigned w, unsigned d, struct x64_mem m) { x64_rm(pp, w, 0x8b, d, m); }
static inline void x64_store(uint8_t **pp, unsigned w, unsigned s, struct x64_mem m) { x64_rm(pp, w, 0x89, s, m); }
static inline void x64_store_imm(uint8_t **pp, unsigned w, struct x64_mem m, int32_t imm) {
    x64_rm(pp, w, 0xc7, 0, m);
    x64_put32(*pp, (uint32_t)imm);
    *pp += 4;
}
static inline void x64_store8_imm(uint8_t **pp, struct x64_mem m, uint8_t imm) {
    x64_rm(pp, 0, 0xc6, 0, m);
    *(*pp)++ = imm;
}
static inline void x64_store16_imm(uint8_t **pp, struct x64_mem m, uint16_t imm) {
    uint8_t *p = x64_prefix_mem(*pp, m);
    *p++ = 0x66;
    p = x64_rex(p, 0, 0, x64_bits(x64_index(m)), x64_bits(x64_base(m)));
    *p++ = 0xc7;
    p = x64_modrm_mem(p, 0, m);
    memcpy(p, &imm, 2);
    *pp = p + 2;
}
static inline void x64_lea(uint8_t **pp, unsigned w, unsigned d, struct x64_mem m) { x64_rm(pp, w, 0x8d, d, m); }
/* lea d, [rip + disp32]; gives where the disp32 is. */
static inline uint8_t *x64_lea_rip(uint8_t **pp, unsigned d) {
    uint8_t *p = x64_rex(*pp, 1, d, 0, 0);
    *p++ = 0x8d;
    p = x64_modrm_rip(p, d);
    x64_put32(p, 0);
    *pp = p + 4;
    return p;
}
/* Any constant, in the shortest form that leaves the flags alone. */
static inline void x64_mov_ri(uint8_t **pp, unsigned d, uint64_t v) {
    uint8_t *p = *pp;
    if (v <= UINT32_MAX) {
        p = x64_rex(p, 0, 0, 0, d);
        *p++ = (uint8_t)(0xb8 | (d & 7));
        x64_put32(p, (uint32_t)v), p += 4;
    } else if ((int64_t)v == (int32_t)v) {
        p = x64_rex(p, 1, 0, 0, d);
        *p++ = 0xc7;
        p = x64_modrm_rr(p, 0, d);
        x64_put32(p, (uint32_t)v), p += 4;
    } else {
        p = x64_rex(p, 1, 0, 0, d);
        *p++ = (uint8_t)(0xb8 | (d & 7));
        x64_put64(p, v), p += 8;
    }
    *pp = p;
}
static inline void x64_zero(uint8_t **pp, unsigned d) { x64_rr(pp, 0, 0x33, d, d); }

/* Shifts: n as in the opcode extension. */
enum { X64_ROL = 0, X64_ROR = 1, X64_SHL = 4, X64_SHR = 5, X64_SAR = 7 };
static inline void x64_shift_ri(uint8_t **pp, unsigned w, unsigned n, unsigned d, uint8_t imm) {
    if (imm == 1) {
        x64_rr(pp, w, 0xd1, n, d);
        return;
    }
    x64_rr(pp, w, 0xc1, n, d);
    *(*pp)++ = imm;
}
static inline void x64_shift_rcl(uint8_t **pp, unsigned w, unsigned n, unsigned d) { x64_rr(pp, w, 0xd3, n, d); }
/* f7 group: not 2, neg 3, mul 4, imul 5, div 6, idiv 7. */
enum { X64_NOT = 2, X64_NEG = 3, X64_MUL = 4, X64_IMUL = 5, X64_DIV = 6, X64_IDIV = 7 };
static inline void x64_f7_r(uint8_t **pp, unsigned w, unsigned n, unsigned d) { x64_rr(pp, w, 0xf7, n, d); }
static inline void x64_imul_rri(uint8_t **pp, unsigned w, unsigned d, unsigned s, int32_t imm) {
    bool small = imm == (int8_t)imm;
    x64_rr(pp, w, small ? 0x6b : 0x69, d, s);
    x64_put32(*pp, (uint32_t)imm);
    *pp += small ? 1 : 4;
}
static inline void x64_imul_rmi(uint8_t **pp, unsigned w, unsigned d, struct x64_mem m, int32_t imm) {
    bool small = imm == (int8_t)imm;
    x64_rm(pp, w, small ? 0x6b : 0x69, d, m);
    x64_put32(*pp, (uint32_t)imm);
    *pp += small ? 1 : 4;
}

/* ---- 0f opcodes, with an optional prefix 66, f2, f3 (0: none) ---- */

static inline uint8_t *x64_sse_prefix(uint8_t *p, uint8_t prefix) {
    *p = prefix;
    return p + (prefix != 0);
}
static inline void x64_0f_rr(uint8_t **pp, uint8_t prefix, unsigned w, uint8_t op, unsigned reg, unsigned rm) {
    uint8_t *p = x64_sse_prefix(*pp, prefix);
    p = x64_rex(p, w, reg, 0, rm);
    *p++ = 0x0f;
    *p++ = op;
    *pp = x64_modrm_rr(p, reg, rm);
}
static inline void x64_0f_rr8(uint8_t **pp, unsigned w, uint8_t op, unsigned reg, unsigned rm) { /* rm is a byte register */
    uint8_t *p = x64_rex8(*pp, w, reg, 0, rm, rm);
    *p++ = 0x0f;
    *p++ = op;
    *pp = x64_modrm_rr(p, reg, rm);
}
static inline void x64_0f_rm(uint8_t **pp, uint8_t prefix, unsigned w, uint8_t op, unsigned reg, struct x64_mem m) {
    uint8_t *p = *pp;
    if (LIKELY(prefix == 0 && x64_is_plain(m))) {
        p = x64_plain_prefix(p, w, reg, m);
        p[0] = 0x0f, p[1] = op;
        *pp = x64_plain_modrm(p + 2, reg, m);
        return;
    }
    p = x64_prefix_mem(p, m);
    p = x64_sse_prefix(p, prefix);
    p = x64_rex(p, w, reg, x64_bits(x64_index(m)), x64_bits(x64_base(m)));
    *p++ = 0x0f;
    *p++ = op;
    *pp = x64_modrm_mem(p, reg, m);
}
static inline void x64_imul_rr(uint8_t **pp, unsigned w, unsigned d, unsigned s) { x64_0f_rr(pp, 0, w, 0xaf, d, s); }
static inline void x64_imul_rm(uint8_t **pp, unsigned w, unsigned d, struct x64_mem m) { x64_0f_rm(pp, 0, w, 0xaf, d, m); }
static inline void x64_setcc(uint8_t **pp, enum x64_cc cc, unsigned d) { x64_0f_rr8(pp, 0, (uint8_t)(0x90 | cc), 0, d); }
static inline void x64_movzx8(uint8_t **pp, unsigned d, unsigned s) { x64_0f_rr8(pp, 0, 0xb6, d, s); }
static inline void x64_movzx16(uint8_t **pp, unsigned d, unsigned s) { x64_0f_rr(pp, 0, 0, 0xb7, d, s); }
static inline void x64_movsx8(uint8_t **pp, unsigned w, unsigned d, unsigned s) { x64_0f_rr8(pp, w, 0xbe, d, s); }
static inline void x64_movsx16(uint8_t **pp, unsigned w, unsigned d, unsigned s) { x64_0f_rr(pp, 0, w, 0xbf, d, s); }
static inline void x64_movsxd(uint8_t **pp, unsigned d, unsigned s) { x64_rr(pp, 1, 0x63, d, s); }
static inline void x64_cmov_rr(uint8_t **pp, unsigned w, enum x64_cc cc, unsigned d, unsigned s) {
    x64_0f_rr(pp, 0, w, (uint8_t)(0x40 | cc), d, s);
}
static inline void x64_cmov_rm(uint8_t **pp, unsigned w, enum x64_cc cc, unsigned d, struct x64_mem m) {
    x64_0f_rm(pp, 0, w, (uint8_t)(0x40 | cc), d, m);
}
/* 0f 3a: with an immediate byte (roundss, roundsd). */
static inline void x64_0f3a_rr(uint8_t **pp, uint8_t prefix, unsigned w, uint8_t op, unsigned reg, unsigned rm, uint8_t imm) {
    uint8_t *p = x64_sse_prefix(*pp, prefix);
    p = x64_rex(p, w, reg, 0, rm);
    *p++ = 0x0f;
    *p++ = 0x3a;
    *p++ = op;
    p = x64_modrm_rr(p, reg, rm);
    *p++ = imm;
    *pp = p;
}

/* ---- VEX: pp 0 none, 1 66, 2 f3, 3 f2, and with X64_VEX_256 of 32 bytes; map 1 0f, 2 0f38, 3 0f3a; v the second operand (0 with none) ---- */

enum { X64_VEX_256 = 4 };
static inline uint8_t *x64_vex(uint8_t *p, unsigned vpp, unsigned map, unsigned w, unsigned reg, unsigned v, unsigned index,
                               unsigned base) {
    unsigned r = ~reg >> 3 & 1, x = ~index >> 3 & 1, b = ~base >> 3 & 1, vv = ~v & 15;
    if (x & b & (map == 1) & !w) {
        *p++ = 0xc5;
        *p++ = (uint8_t)(r << 7 | vv << 3 | vpp);
    } else {
        *p++ = 0xc4;
        *p++ = (uint8_t)(r << 7 | x << 6 | b << 5 | map);
        *p++ = (uint8_t)(w << 7 | vv << 3 | vpp);
    }
    return p;
}
static inline void x64_vex_rr(uint8_t **pp, unsigned vpp, unsigned map, unsigned w, uint8_t op, unsigned reg, unsigned v,
                              unsigned rm) {
    uint8_t *p = x64_vex(*pp, vpp, map, w, reg, v, 0, rm);
    *p++ = op;
    *pp = x64_modrm_rr(p, reg, rm);
}
static inline void x64_vex_rm(uint8_t **pp, unsigned vpp, unsigned map, unsigned w, uint8_t op, unsigned reg, unsigned v,
                              struct x64_mem m) {
    uint8_t *p = x64_prefix_mem(*pp, m);
    p = x64_vex(p, vpp, map, w, reg, v, x64_bits(x64_index(m)), x64_bits(x64_base(m)));
    *p++ = op;
    *pp = x64_modrm_mem(p, reg, m);
}

static inline void x64_vzeroupper(uint8_t **pp) {
    memcpy(*pp, (const uint8_t[]){0xc5, 0xf8, 0x77}, 3);
    *pp += 3;
}

/* ---- jumps ---- */

/* Each gives where its rel32 is. */
static inline uint8_t *x64_jmp(uint8_t **pp) {
    uint8_t *p = *pp;
    *p++ = 0xe9;
    *pp = p + 4;
    return p;
}
static inline uint8_t *x64_jcc(uint8_t **pp, enum x64_cc cc) {
    uint8_t *p = *pp;
    *p++ = 0x0f;
    *p++ = (uint8_t)(0x80 | cc);
    *pp = p + 4;
    return p;
}
static inline uint8_t *x64_call(uint8_t **pp) {
    uint8_t *p = *pp;
    *p++ = 0xe8;
    *pp = p + 4;
    return p;
}
/* A short forward jump; x64_land completes it. */
static inline uint8_t *x64_jcc8(uint8_t **pp, enum x64_cc cc) {
    uint8_t *p = *pp;
    *p++ = (uint8_t)(0x70 | cc);
    *pp = p + 1;
    return p;
}
/* A short jump back to `to`. */
static inline void x64_jcc8_back(uint8_t **pp, enum x64_cc cc, const uint8_t *to) {
    uint8_t *p = *pp;
    ENSURE(p + 2 - to <= 128);
    p[0] = (uint8_t)(0x70 | cc);
    p[1] = (uint8_t)(to - (p + 2));
    *pp = p + 2;
}
static inline uint8_t *x64_jmp8(uint8_t **pp) {
    uint8_t *p = *pp;
    *p++ = 0xeb;
    *pp = p + 1;
    return p;
}
static inline void x64_land(uint8_t *at, const uint8_t *here) {
    ENSURE(here - at - 1 < 128);
    *at = (uint8_t)(here - at - 1);
}
static inline void x64_ret(uint8_t **pp) { *(*pp)++ = 0xc3; }
static inline void x64_call_m(uint8_t **pp, struct x64_mem m) { x64_rm(pp, 0, 0xff, 2, m); }
static inline void x64_jmp_m(uint8_t **pp, struct x64_mem m) { x64_rm(pp, 0, 0xff, 4, m); }
static inline void x64_jmp_r(uint8_t **pp, unsigned r) { x64_rr(pp, 0, 0xff, 4, r); }
static inline void x64_push(uint8_t **pp, unsigned r) {
    *pp = x64_rex(*pp, 0, 0, 0, r);
    *(*pp)++ = (uint8_t)(0x50 | (r & 7));
}
static inline void x64_pop(uint8_t **pp, unsigned r) {
    *pp = x64_rex(*pp, 0, 0, 0, r);
    *(*pp)++ = (uint8_t)(0x58 | (r & 7));
}
static inline void x64_nops(uint8_t **pp, unsigned n) { /* in the long forms */
    static const uint8_t nop9[] = {0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0}, nop8[] = {0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0},
                         nop7[] = {0x0f, 0x1f, 0x80, 0, 0, 0, 0}, nop6[] = {0x66, 0x0f, 0x1f, 0x44, 0, 0},
                         nop5[] = {0x0f, 0x1f, 0x44, 0, 0}, nop4[] = {0x0f, 0x1f, 0x40, 0}, nop3[] = {0x0f, 0x1f, 0},
                         nop2[] = {0x66, 0x90}, nop1[] = {0x90};
    static const uint8_t *const nops[] = {nop1, nop2, nop3, nop4, nop5, nop6, nop7, nop8, nop9};
    while (n) {
        unsigned k = MIN(n, 9u);
        memcpy(*pp, nops[k - 1], k);
        *pp += k;
        n -= k;
    }
}

#endif
