/* x64_memory: linear memory, globals, tables.
 *
 * The group's memory 0 is at GS: base register + constant, no check, the guard catches. Any other memory (and constants beyond the
 * guard) is compared with its size first. */
#include "baseline/x64_int.h"

static const uint8_t access_bytes[] = {[A_8S] = 1, [A_8U] = 1, [A_16S] = 2, [A_16U] = 2, [A_32S] = 4,
                                       [A_32] = 4, [A_64] = 8, [A_F32] = 4, [A_F64] = 8, [A_V128] = 16};

/* The checked form: leaves base and address in registers. Of a popped operand; the temporary is released by the caller. */
static struct x64_mem checked(struct compiler *c, uint32_t memory, uint64_t offset, unsigned bytes, struct value *addr,
                              uint8_t *temp) {
    const struct abi_layout_memory *l = &c->layout->memories[memory];
    bool is64 = c->m->memories[memory].limits.is64;
    struct x64_mem size = l->where == ABI_MEMORY_GS ? x64_gs(ABI_CTX(memory_bytes)) : x64_gs(l->offset + 8);
    struct x64_mem base = l->where == ABI_MEMORY_GS ? x64_gs(ABI_CTX(base)) : x64_gs(l->offset);
    uint8_t ra = into_reg(c, addr), t = alloc(c, false);
    ra = into_reg(c, addr);
    *temp = t;
    struct label *bad = NULL;
    uint64_t reach;
    bool far_out = __builtin_add_overflow(offset, bytes, &reach);
    if (!is64 && reach <= INT32_MAX) {
        x64_lea(&c->p, 1, t, x64_at(ra, (int32_t)reach));
    } else { /* 64-bit addresses may wrap */
        x64_mov_ri(&c->p, t, far_out ? UINT64_MAX : reach);
        x64_alu_rr(&c->p, 1, X64_ADD, t, ra);
        bad = trap_stub(c, ABI_TRAP_MEMORY_OUT_OF_BOUNDS);
        target_jump(c, CC_B, bad);
    }
    if (l->where == ABI_MEMORY_FAR) {
        x64_load(&c->p, 1, SCRATCH, x64_gs(l->offset));
        size = x64_at(SCRATCH, 8), base = x64_at(SCRATCH, 0);
    }
    x64_alu_rm(&c->p, 1, X64_CMP, t, size);
    target_jump(c, CC_A, bad ? bad : trap_stub(c, ABI_TRAP_MEMORY_OUT_OF_BOUNDS));
    x64_load(&c->p, 1, SCRATCH, base);
    /* t is the address behind the access. */
    return x64_mem(SCRATCH, t, 0, 0, -(int32_t)bytes);
}

/* Where an access goes. *temp: a temporary to release, or NO_REG. May put the address into a register of addr. */
static inline struct x64_mem address(struct compiler *c, enum access a, uint32_t memory, uint64_t offset, struct value *addr,
                                     uint8_t *temp) {
    *temp = NO_REG;
    if (LIKELY(c->memory0_direct && memory == 0 && offset + 16 <= ABI_GUARD_BYTES && !is_imm(addr)))
        return x64_mem(into_reg(c, addr), X64_NONE, 0, X64_GS, (int32_t)offset);
    unsigned bytes = access_bytes[a];
    if (c->layout->memories[memory].where != ABI_MEMORY_GS || offset + 16 > ABI_GUARD_BYTES)
        return checked(c, memory, offset, bytes, addr, temp);
    if (is_imm(addr) && addr->imm + offset <= INT32_MAX) return x64_gs((int32_t)(addr->imm + offset));
    uint8_t r = into_reg(c, addr);
    return x64_mem(r, X64_NONE, 0, X64_GS, (int32_t)offset);
}

struct x64_mem x64_address(struct compiler *c, unsigned log2, uint32_t memory, uint64_t offset, struct value *addr,
                           uint8_t *temp) {
    static const enum access by_log2[] = {A_8U, A_16U, A_32, A_64, A_V128};
    return address(c, by_log2[log2], memory, offset, addr, temp);
}

static void load_from(struct compiler *c, enum access a, uint8_t d, struct x64_mem m, bool to64) {
    switch (a) {
    case A_8S: x64_0f_rm(&c->p, 0, to64, 0xbe, d, m); break;
    case A_8U: x64_0f_rm(&c->p, 0, 0, 0xb6, d, m); break;
    case A_16S: x64_0f_rm(&c->p, 0, to64, 0xbf, d, m); break;
    case A_16U: x64_0f_rm(&c->p, 0, 0, 0xb7, d, m); break;
    case A_32S: x64_rm(&c->p, 1, 0x63, d, m); break;
    case A_32: x64_load(&c->p, 0, d, m); break;
    case A_64: x64_load(&c->p, 1, d, m); break;
    case A_F32: sse_rm(c, 0xf3, 0x10, d, m); break;
    case A_F64: sse_rm(c, 0xf2, 0x10, d, m); break;
    case A_V128: sse_rm(c, 0, 0x10, d, m); break;
    }
}

void target_load(struct compiler *c, enum access a, unsigned type, uint32_t memory, uint64_t offset, uint8_t d,
                 struct value *addr) {
    uint8_t temp;
    struct x64_mem m = address(c, a, memory, offset, addr, &temp);
    site(c, ABI_SITE_MEMORY);
    load_from(c, a, d, m, type == T_I64);
    if (temp != NO_REG) release_reg(c, temp);
}

/* The address size prefix makes the sum wrap at 32 bits before GS is added. */
static struct x64_mem sum(const struct compiler *c, const struct value *base, const struct value *index, unsigned shift) {
    uint8_t i = reg_of(c, index);
    if (!is_imm(base)) return x64_mem(reg_of(c, base), i, shift, X64_GS | X64_ADDR32, 0);
    if (shift) return x64_mem(X64_NONE, i, shift, X64_GS | X64_ADDR32, (int32_t)base->imm);
    return x64_mem(i, X64_NONE, 0, X64_GS | X64_ADDR32, (int32_t)base->imm);
}

void target_load_sum(struct compiler *c, enum access a, unsigned type, uint8_t d, const struct value *base,
                     const struct value *index, unsigned shift) {
    site(c, ABI_SITE_MEMORY);
    load_from(c, a, d, sum(c, base, index, shift), type == T_I64);
}

void target_load_scaled(struct compiler *c, enum access a, unsigned type, uint8_t d, uint8_t index, unsigned shift,
                        int32_t disp) {
    site(c, ABI_SITE_MEMORY);
    load_from(c, a, d, x64_mem(X64_NONE, index, shift, X64_GS, disp), type == T_I64);
}

void target_load_lazy(struct compiler *c, uint8_t d, const struct value *v) {
    static const uint8_t access[] = {[T_I32] = A_32, [T_I64] = A_64, [T_F32] = A_F32, [T_F64] = A_F64, [T_V128] = A_V128};
    mem_site(c, v);
    load_from(c, access[v->type], d, mem_of(c, v), false);
}

static void store_imm(struct compiler *c, enum access a, struct x64_mem m, uint64_t imm) {
    switch (a) {
    case A_8S:
    case A_8U: x64_store8_imm(&c->p, m, (uint8_t)imm); break;
    case A_16S:
    case A_16U: x64_store16_imm(&c->p, m, (uint16_t)imm); break;
    case A_64: x64_store_imm(&c->p, 1, m, (int32_t)imm); break;
    default: x64_store_imm(&c->p, 0, m, (int32_t)imm); break;
    }
}

static void store_to(struct compiler *c, enum access a, struct x64_mem m, uint8_t s) {
    switch (a) {
    case A_8S:
    case A_8U: x64_store8(&c->p, s, m); break;
    case A_16S:
    case A_16U: x64_store16(&c->p, s, m); break;
    case A_32S:
    case A_32: x64_store(&c->p, 0, s, m); break;
    case A_64: x64_store(&c->p, 1, s, m); break;
    case A_F32: sse_rm(c, 0xf3, 0x11, s, m); break;
    case A_F64: sse_rm(c, 0xf2, 0x11, s, m); break;
    case A_V128: sse_rm(c, 0, 0x11, s, m); break;
    }
}

static bool fits_imm(enum access a, const struct value *v) {
    return is_imm(v) && (a < A_64 || a == A_F32 || (a == A_64 && imm_is_32(v)) || (a == A_F64 && v->imm == 0));
}

static void store_value(struct compiler *c, enum access a, struct x64_mem m, const struct value *v) {
    if (fits_imm(a, v)) store_imm(c, a == A_F32 ? A_32 : a == A_F64 ? A_64 : a, m, v->imm);
    else store_to(c, a, m, reg_of(c, v));
}

void target_store_memory(struct compiler *c, enum access a, uint32_t memory, uint64_t offset, struct value *addr,
                         struct value *v) {
    uint8_t temp;
    bool as_imm = fits_imm(a, v);
    if (!as_imm) into_reg(c, v);
    struct x64_mem m = address(c, a, memory, offset, addr, &temp);
    if (as_imm) {
        site(c, ABI_SITE_MEMORY);
        store_imm(c, a == A_F32 ? A_32 : a == A_F64 ? A_64 : a, m, v->imm);
    } else {
        uint8_t s = into_reg(c, v);
        if (x64_base(m) != SCRATCH && x64_base(m) != X64_NONE &&
            reg_of(c, addr) == NO_REG) { /* the address was only cached, and is lost */
            target_move(c, SCRATCH, addr);
            m = x64_mem(SCRATCH, x64_index(m), x64_scale(m), X64_GS, x64_disp(m));
        }
        site(c, ABI_SITE_MEMORY);
        store_to(c, a, m, s);
    }
    if (temp != NO_REG) release_reg(c, temp);
}

void target_store_sum(struct compiler *c, enum access a, const struct value *base, const struct value *index, unsigned shift,
                      struct value *v) {
    if (!fits_imm(a, v)) into_reg(c, v);
    site(c, ABI_SITE_MEMORY);
    store_value(c, a, sum(c, base, index, shift), v);
}

void target_memory_size(struct compiler *c, uint32_t memory, uint8_t d) {
    const struct abi_layout_memory *l = &c->layout->memories[memory];
    if (l->where == ABI_MEMORY_GS) {
        x64_load(&c->p, 1, d, x64_gs(ABI_CTX(memory_bytes)));
    } else if (l->where == ABI_MEMORY_NEAR) {
        x64_load(&c->p, 1, d, x64_gs(l->offset + 8));
    } else {
        x64_load(&c->p, 1, d, x64_gs(l->offset));
        x64_load(&c->p, 1, d, x64_at(d, 8));
    }
    x64_shift_ri(&c->p, 1, X64_SHR, d, 16);
}

/* Pieces of a constant size: 16, 8, 4, 2, 1 bytes; the last may overlap the one before. */
struct piece {
    uint8_t at, log2;
};
static unsigned pieces_of(uint64_t n, struct piece *out) {
    unsigned k = 0, at = 0;
    while (at < n) {
        unsigned left = (unsigned)n - at;
        unsigned log2 = left >= 16 ? 4 : 31 - (unsigned)__builtin_clz(left);
        if (left != 1u << log2 && left < 16 && n >= 2u << log2 && log2 < 4) { /* overlap backwards */
            log2++;
            out[k++] = (struct piece){(uint8_t)(n - (1u << log2)), (uint8_t)log2};
            break;
        }
        out[k++] = (struct piece){(uint8_t)at, (uint8_t)log2};
        at += 1u << log2;
    }
    return k;
}

static const uint8_t access_by_log2[] = {A_8U, A_16U, A_32, A_64, A_V128};

/* All loads come before all stores, and the last piece is stored first: if any byte is out of bounds, nothing is written. */
bool target_copy_small(struct compiler *c, struct value *dst, struct value *src, uint64_t n) {
    struct piece piece[8];
    if (n == 0 || n > 48 || c->layout->memories[0].where != ABI_MEMORY_GS) return false;
    unsigned k = pieces_of(n, piece);
    if (k > 3) return false;
    uint8_t d = into_reg(c, dst), s = into_reg(c, src);
    uint8_t reg[3];
    for (unsigned i = 0; i < k; i++) reg[i] = i == 0 ? (piece[i].log2 == 4 ? FSCRATCH : SCRATCH) : alloc(c, piece[i].log2 == 4);
    d = into_reg(c, dst), s = into_reg(c, src);
    d = into_reg(c, dst);
    for (unsigned i = 0; i < k; i++) {
        struct x64_mem m = x64_mem(s, X64_NONE, 0, X64_GS, piece[i].at);
        site(c, ABI_SITE_MEMORY);
        load_from(c, access_by_log2[piece[i].log2], reg[i], m, false);
    }
    for (unsigned i = k; i-- > 0;) {
        struct x64_mem m = x64_mem(d, X64_NONE, 0, X64_GS, piece[i].at);
        site(c, ABI_SITE_MEMORY);
        store_to(c, access_by_log2[piece[i].log2], m, reg[i]);
        if (i) release_reg(c, reg[i]);
    }
    return true;
}

bool target_fill_small(struct compiler *c, struct value *dst, uint64_t byte, uint64_t n) {
    struct piece piece[8];
    if (n == 0 || n > 64 || c->layout->memories[0].where != ABI_MEMORY_GS) return false;
    unsigned k = pieces_of(n, piece);
    if (n >= 16 && byte != 0) return false;
    uint8_t d = into_reg(c, dst);
    uint64_t pattern = (byte & 0xff) * 0x0101010101010101ull;
    if (n >= 16) sse3_rr(c, 0, 0, 0x57, FSCRATCH, FSCRATCH, FSCRATCH);
    bool loaded = false;
    for (unsigned i = k; i-- > 0;) {
        struct x64_mem m = x64_mem(d, X64_NONE, 0, X64_GS, piece[i].at);
        if (piece[i].log2 < 4 && !loaded) x64_mov_ri(&c->p, SCRATCH, pattern), loaded = true;
        site(c, ABI_SITE_MEMORY);
        store_to(c, access_by_log2[piece[i].log2], m, piece[i].log2 == 4 ? FSCRATCH : SCRATCH);
    }
    return true;
}

/* ---- memory.copy and memory.fill of up to BULK_BYTES_MAX, sizes known at run time ----
 *
 * Helpers at the start of text. rax destination, rcx source or byte, rdx size, all 64 bits. The zero flag says that it is done;
 * if not (too long, or out of bounds), the three registers are as they were. They change what a runtime call may, and never
 * fault: bounds are compared, so they need no sites. Being compiled code, they may be preempted between any two instructions. */

static struct x64_mem from_start(uint8_t base, int32_t at) { return x64_mem(base, X64_NONE, 0, X64_GS, at); }
static struct x64_mem from_end(uint8_t base, int32_t at) { return x64_mem(base, RDX, 0, X64_GS, at); }

/* Returns, with the zero flag clear as `above` leaves it: to the `ret` right before the helper. */
static void return_if_above(struct compiler *c, const uint8_t *ret) {
    *c->p++ = 0x70 | CC_A;
    *c->p = (uint8_t)(ret - (c->p + 1));
    c->p++;
}

static void helper_bounds(struct compiler *c, uint8_t base, const uint8_t *ret) {
    x64_lea(&c->p, 1, SCRATCH, x64_mem(base, RDX, 0, 0, 0));
    x64_alu_rm(&c->p, 1, X64_CMP, SCRATCH, x64_gs(ABI_CTX(memory_bytes)));
    return_if_above(c, ret);
}

/* Starts a helper; gives where its `ret` for the slow case is. */
static const uint8_t *helper_begin(struct compiler *c, unsigned which) {
    const uint8_t *ret = c->p;
    x64_ret(&c->p);
    c->bulk_helpers[which] = code_at(c);
    x64_alu_ri(&c->p, 1, X64_CMP, RDX, BULK_BYTES_MAX);
    return_if_above(c, ret);
    helper_bounds(c, RAX, ret);
    return ret;
}

static void helper_end(struct compiler *c, uint8_t *done[], unsigned done_n) {
    for (unsigned i = 0; i < done_n; i++) x64_land(done[i], c->p);
    x64_alu_rr(&c->p, 0, X64_CMP, RAX, RAX);
    x64_ret(&c->p);
}

/* Below 16 bytes: two overlapping pieces of 8, 4 or 2, or one byte. */
static unsigned helper_small(struct compiler *c, bool copy, uint8_t *done[]) {
    static const uint8_t access[] = {A_64, A_32, A_16U};
    unsigned n = 0;
    for (unsigned i = 0; i < 3; i++) {
        int32_t bytes = 8 >> i;
        x64_test_ri(&c->p, 0, RDX, (uint32_t)bytes);
        uint8_t *less = x64_jcc8(&c->p, CC_E);
        if (copy) {
            load_from(c, access[i], SCRATCH, from_start(RCX, 0), false);
            load_from(c, access[i], RCX, from_end(RCX, -bytes), false);
        }
        store_to(c, access[i], from_start(RAX, 0), copy ? SCRATCH : RCX);
        store_to(c, access[i], from_end(RAX, -bytes), RCX);
        done[n++] = x64_jmp8(&c->p);
        x64_land(less, c->p);
    }
    x64_test_rr(&c->p, 0, RDX, RDX);
    done[n++] = x64_jcc8(&c->p, CC_E);
    if (copy) load_from(c, A_8U, RCX, from_start(RCX, 0), false);
    store_to(c, A_8U, from_start(RAX, 0), RCX);
    return n;
}

/* Above 64 bytes: pieces of 32 bytes where there is AVX, else of 16, two in a turn of a loop. r10 is the place in both. */
static int32_t piece_bytes(const struct compiler *c) { return has_avx(c) ? 32 : 16; }

static void move_piece(struct compiler *c, bool store, uint8_t r, struct x64_mem m) {
    uint8_t op = store ? 0x11 : 0x10;
    if (has_avx(c)) x64_vex_rm(&c->p, X64_VEX_256, 1, 0, op, r, 0, m);
    else sse_rm(c, 0, op, r, m);
}
static void load_piece(struct compiler *c, uint8_t r, struct x64_mem m) { move_piece(c, false, r, m); }
static void store_piece(struct compiler *c, uint8_t r, struct x64_mem m) { move_piece(c, true, r, m); }
static struct x64_mem from_place(uint8_t base, int32_t at) { return x64_mem(base, SCRATCH, 0, X64_GS, at); }

static void pieces_end(struct compiler *c) {
    if (has_avx(c)) x64_vzeroupper(&c->p);
    helper_end(c, NULL, 0);
}

/* The place of the first whole piece of the destination, so that stores cross no cache line; rdx becomes that of the last two. */
static void place_up(struct compiler *c) {
    x64_mov_rr(&c->p, 0, SCRATCH, RAX);
    x64_f7_r(&c->p, 0, X64_NEG, SCRATCH);
    x64_alu_ri(&c->p, 0, X64_AND, SCRATCH, piece_bytes(c) - 1);
    x64_alu_ri(&c->p, 1, X64_SUB, RDX, 2 * piece_bytes(c));
}

/* A turn of the loop is behind: the next, up to the last two pieces. `enter` is where the loop is entered from. */
static void next_up(struct compiler *c, uint8_t *enter) {
    x64_alu_ri(&c->p, 1, X64_ADD, SCRATCH, 2 * piece_bytes(c));
    x64_land(enter, c->p);
    x64_alu_rr(&c->p, 1, X64_CMP, SCRATCH, RDX);
    x64_jcc8_back(&c->p, CC_B, enter + 1);
}

/* First and last pieces are read before, and written behind the loop: they are what it does not reach, whatever overlaps. */
static void copy_up(struct compiler *c) {
    int32_t n = piece_bytes(c);
    load_piece(c, XMM0 + 1, from_start(RCX, 0));
    load_piece(c, XMM0 + 2, from_end(RCX, -2 * n));
    load_piece(c, FSCRATCH, from_end(RCX, -n));
    place_up(c);
    uint8_t *enter = x64_jmp8(&c->p);
    for (int32_t at = 0; at < 2 * n; at += n) {
        load_piece(c, XMM0, from_place(RCX, at));
        store_piece(c, XMM0, from_place(RAX, at));
    }
    next_up(c, enter);
    store_piece(c, XMM0 + 1, from_start(RAX, 0));
    store_piece(c, XMM0 + 2, from_end(RAX, 0));
    store_piece(c, FSCRATCH, from_end(RAX, n));
    pieces_end(c);
}

/* The same from the end: the destination begins within the source. */
static void copy_down(struct compiler *c) {
    int32_t n = piece_bytes(c);
    load_piece(c, XMM0 + 1, from_end(RCX, -n));
    load_piece(c, XMM0 + 2, from_start(RCX, 0));
    load_piece(c, FSCRATCH, from_start(RCX, n));
    x64_lea(&c->p, 1, SCRATCH, x64_mem(RAX, RDX, 0, 0, 0));
    x64_alu_ri(&c->p, 0, X64_AND, SCRATCH, n - 1);
    x64_f7_r(&c->p, 1, X64_NEG, SCRATCH);
    x64_alu_rr(&c->p, 1, X64_ADD, SCRATCH, RDX);
    uint8_t *enter = x64_jmp8(&c->p);
    for (int32_t at = -n; at >= -2 * n; at -= n) {
        load_piece(c, XMM0, from_place(RCX, at));
        store_piece(c, XMM0, from_place(RAX, at));
    }
    x64_alu_ri(&c->p, 1, X64_SUB, SCRATCH, 2 * n);
    x64_land(enter, c->p);
    x64_alu_ri(&c->p, 1, X64_CMP, SCRATCH, 2 * n);
    x64_jcc8_back(&c->p, CC_A, enter + 1);
    store_piece(c, XMM0 + 1, from_end(RAX, -n));
    store_piece(c, XMM0 + 2, from_start(RAX, 0));
    store_piece(c, FSCRATCH, from_start(RAX, n));
    pieces_end(c);
}

static void copy_long(struct compiler *c) {
    x64_mov_rr(&c->p, 1, SCRATCH, RAX);
    x64_alu_rr(&c->p, 1, X64_SUB, SCRATCH, RCX);
    x64_alu_rr(&c->p, 1, X64_CMP, SCRATCH, RDX);
    uint8_t *down = x64_jcc(&c->p, CC_B);
    copy_up(c);
    x64_put32(down, (uint32_t)(c->p - (down + 4)));
    copy_down(c);
}

/* Both halves of xmm0 hold the bytes. */
static void fill_long(struct compiler *c) {
    int32_t n = piece_bytes(c);
    if (has_avx(c)) {
        x64_vex_rr(&c->p, 1 | X64_VEX_256, 3, 0, 0x18, XMM0, XMM0, XMM0); /* vinsertf128 */
        *c->p++ = 1;
    }
    place_up(c);
    store_piece(c, XMM0, from_start(RAX, 0));
    uint8_t *enter = x64_jmp8(&c->p);
    store_piece(c, XMM0, from_place(RAX, 0));
    store_piece(c, XMM0, from_place(RAX, n));
    next_up(c, enter);
    store_piece(c, XMM0, from_end(RAX, 0));
    store_piece(c, XMM0, from_end(RAX, n));
    pieces_end(c);
}

static void copy_helper(struct compiler *c) {
    uint8_t *done[8];
    helper_bounds(c, RCX, helper_begin(c, 0));
    x64_alu_ri(&c->p, 0, X64_CMP, RDX, 16);
    uint8_t *large = x64_jcc8(&c->p, CC_AE);
    unsigned n = helper_small(c, true, done);
    helper_end(c, done, n);
    x64_land(large, c->p);
    load_from(c, A_V128, XMM0, from_start(RCX, 0), false);
    load_from(c, A_V128, XMM0 + 1, from_end(RCX, -16), false);
    x64_alu_ri(&c->p, 0, X64_CMP, RDX, 32);
    uint8_t *two = x64_jcc8(&c->p, CC_BE);
    x64_alu_ri(&c->p, 0, X64_CMP, RDX, 64);
    uint8_t *longer = x64_jcc8(&c->p, CC_A);
    load_from(c, A_V128, XMM0 + 2, from_start(RCX, 16), false);
    load_from(c, A_V128, FSCRATCH, from_end(RCX, -32), false);
    store_to(c, A_V128, from_start(RAX, 16), XMM0 + 2);
    store_to(c, A_V128, from_end(RAX, -32), FSCRATCH);
    x64_land(two, c->p);
    store_to(c, A_V128, from_start(RAX, 0), XMM0);
    store_to(c, A_V128, from_end(RAX, -16), XMM0 + 1);
    helper_end(c, NULL, 0);
    x64_land(longer, c->p);
    copy_long(c);
}

static void fill_helper(struct compiler *c) {
    uint8_t *done[8];
    helper_begin(c, 1);
    x64_movzx8(&c->p, RCX, RCX);
    x64_mov_ri(&c->p, SCRATCH, 0x0101010101010101);
    x64_imul_rr(&c->p, 1, RCX, SCRATCH);
    x64_alu_ri(&c->p, 0, X64_CMP, RDX, 16);
    uint8_t *large = x64_jcc8(&c->p, CC_AE);
    unsigned n = helper_small(c, false, done);
    helper_end(c, done, n);
    x64_land(large, c->p);
    if (has_avx(c)) x64_vex_rr(&c->p, 1, 1, 1, 0x6e, XMM0, 0, RCX); /* movq */
    else x64_0f_rr(&c->p, 0x66, 1, 0x6e, XMM0, RCX);
    sse3_rr(c, 0x66, 0, 0x6c, XMM0, XMM0, XMM0); /* punpcklqdq */
    x64_alu_ri(&c->p, 0, X64_CMP, RDX, 32);
    uint8_t *two = x64_jcc8(&c->p, CC_BE);
    x64_alu_ri(&c->p, 0, X64_CMP, RDX, 64);
    uint8_t *longer = x64_jcc8(&c->p, CC_A);
    store_to(c, A_V128, from_start(RAX, 16), XMM0);
    store_to(c, A_V128, from_end(RAX, -32), XMM0);
    x64_land(two, c->p);
    store_to(c, A_V128, from_start(RAX, 0), XMM0);
    store_to(c, A_V128, from_end(RAX, -16), XMM0);
    helper_end(c, NULL, 0);
    x64_land(longer, c->p);
    fill_long(c);
}

void x64_put_helpers(struct compiler *c) {
    if (!c->memory0_direct) return;
    copy_helper(c);
    fill_helper(c);
}

struct label target_bulk_helper(struct compiler *c, bool fill) {
    uint32_t at = (uint32_t)(x64_call(&c->p) - c->text);
    target_resolve_call(c, at, c->bulk_helpers[fill]);
    site(c, ABI_SITE_CALL); /* who is taken off in there, or ended, has this function in its backtrace */
    struct label done = {NO_LABEL, 0};
    target_jump(c, CC_E, &done);
    return done;
}

/* ---- globals ---- */

static struct x64_mem global_at(struct compiler *c, uint32_t global) {
    const struct abi_layout_global *g = &c->layout->globals[global];
    if (!g->far) return x64_gs(g->offset);
    x64_load(&c->p, 1, SCRATCH, x64_gs(g->offset));
    return x64_at(SCRATCH, 0);
}

static enum access access_of(unsigned type) {
    switch (type) {
    case T_I32: return A_32;
    case T_F32: return A_F32;
    case T_F64: return A_F64;
    case T_V128: return A_V128;
    default: return A_64;
    }
}

void target_global_get(struct compiler *c, uint32_t global, uint8_t d) {
    load_from(c, access_of(type_of(c->m->globals[global].type)), d, global_at(c, global), false);
}

void target_global_set(struct compiler *c, uint32_t global, struct value *v) {
    unsigned type = type_of(c->m->globals[global].type);
    if (is_imm(v) && imm_is_32(v) && !type_is_float(type)) {
        struct x64_mem m = global_at(c, global);
        /* i32 globals are 8 bytes, zero-extended. */
        if (type == T_I32 && (int32_t)v->imm < 0) store_imm(c, A_32, m, v->imm);
        else store_imm(c, A_64, m, v->imm);
        return;
    }
    uint8_t r = into_reg(c, v);
    store_to(c, type == T_I32 ? A_64 : access_of(type), global_at(c, global), r);
}

/* ---- objects ---- */

/* The element's place; the scratch register may be part of it. */
static struct x64_mem element_at(struct compiler *c, enum access a, uint8_t base, const struct value *index) {
    if (is_imm(index)) return x64_at(base, (int32_t)((uint32_t)index->imm * access_bytes[a] + ABI_OBJECT_PAYLOAD));
    uint8_t r = reg_of(c, index);
    if (a != A_V128) return x64_mem(base, r, (unsigned)__builtin_ctz(access_bytes[a]), 0, (int32_t)ABI_OBJECT_PAYLOAD);
    x64_lea(&c->p, 1, SCRATCH, x64_mem(base, r, 3, 0, 0)); /* there is no scale of 16 */
    return x64_mem(SCRATCH, r, 3, 0, (int32_t)ABI_OBJECT_PAYLOAD);
}

void target_object_load(struct compiler *c, enum access a, uint8_t d, uint8_t base, uint32_t offset) {
    site(c, ABI_SITE_NULL);
    load_from(c, a, d, x64_at(base, (int32_t)offset), false);
}

void target_object_store(struct compiler *c, enum access a, uint8_t base, uint32_t offset, struct value *v) {
    if (!fits_imm(a, v)) hold(c, v);
    site(c, ABI_SITE_NULL);
    store_value(c, a, x64_at(base, (int32_t)offset), v);
}

void target_array_check(struct compiler *c, uint8_t base, const struct value *index) {
    struct x64_mem length = x64_at(base, (int32_t)offsetof(struct abi_gc_object, length));
    site(c, ABI_SITE_NULL);
    if (is_imm(index)) x64_alu_mi(&c->p, 0, X64_CMP, length, (int32_t)index->imm);
    else x64_alu_mr(&c->p, 0, X64_CMP, length, reg_of(c, index));
    target_jump(c, CC_BE, trap_stub(c, ABI_TRAP_ARRAY_OUT_OF_BOUNDS));
}

void target_element_load(struct compiler *c, enum access a, uint8_t d, uint8_t base, const struct value *index) {
    load_from(c, a, d, element_at(c, a, base, index), false);
}

void target_element_store(struct compiler *c, enum access a, uint8_t base, const struct value *index, struct value *v) {
    if (!fits_imm(a, v)) hold(c, v);
    store_value(c, a, element_at(c, a, base, index), v);
}

void target_context_load(struct compiler *c, uint8_t d, int32_t offset) { x64_load(&c->p, 1, d, x64_gs(offset)); }

/* ---- tables ---- */

/* The address of an element, its index checked. Uses the scratch register; *temp as in checked(). */
static struct x64_mem element(struct compiler *c, uint32_t table, enum abi_trap trap, struct value *index, uint8_t *temp) {
    const struct abi_layout_table *t = &c->layout->tables[table];
    *temp = NO_REG;
    if (t->where == ABI_TABLE_FIXED && is_imm(index) && index->imm < t->count) return x64_gs(t->offset + (int32_t)index->imm * 8);
    uint8_t r = into_reg(c, index);
    if (t->where == ABI_TABLE_FIXED) {
        x64_alu_ri(&c->p, 1, X64_CMP, r, (int32_t)t->count);
        target_jump(c, CC_AE, trap_stub(c, trap));
        return x64_mem(X64_NONE, r, 3, X64_GS, t->offset);
    }
    if (t->where == ABI_TABLE_NEAR) {
        x64_alu_rm(&c->p, 1, X64_CMP, r, x64_gs(t->offset + 8));
        target_jump(c, CC_AE, trap_stub(c, trap));
        x64_load(&c->p, 1, SCRATCH, x64_gs(t->offset));
    } else {
        x64_load(&c->p, 1, SCRATCH, x64_gs(t->offset));
        x64_alu_rm(&c->p, 1, X64_CMP, r, x64_at(SCRATCH, 8));
        target_jump(c, CC_AE, trap_stub(c, trap));
        x64_load(&c->p, 1, SCRATCH, x64_at(SCRATCH, 0));
    }
    return x64_mem(SCRATCH, r, 3, 0, 0);
}

void target_table_get(struct compiler *c, uint32_t table, uint8_t d, struct value *index) {
    uint8_t temp;
    x64_load(&c->p, 1, d, element(c, table, ABI_TRAP_TABLE_OUT_OF_BOUNDS, index, &temp));
}

void target_table_set(struct compiler *c, uint32_t table, struct value *index, struct value *v) {
    uint8_t temp, r = into_temp(c, v);
    x64_store(&c->p, 1, r, element(c, table, ABI_TRAP_TABLE_OUT_OF_BOUNDS, index, &temp));
}

void target_table_size(struct compiler *c, uint32_t table, uint8_t d) {
    const struct abi_layout_table *t = &c->layout->tables[table];
    if (t->where == ABI_TABLE_FIXED) {
        x64_mov_ri(&c->p, d, t->count);
    } else if (t->where == ABI_TABLE_NEAR) {
        x64_load(&c->p, 1, d, x64_gs(t->offset + 8));
    } else {
        x64_load(&c->p, 1, d, x64_gs(t->offset));
        x64_load(&c->p, 1, d, x64_at(d, 8));
    }
}

/* ---- funcrefs ---- */

static int32_t record_field(size_t offset) { return (int32_t)offset; }

void target_indirect_record(struct compiler *c, uint32_t table, uint32_t type_index, struct value *index, struct label *other) {
    uint8_t temp;
    struct x64_mem m = element(c, table, ABI_TRAP_INDIRECT_OUT_OF_BOUNDS, index, &temp);
    x64_load(&c->p, 1, RAX, m);
    site(c, ABI_SITE_INDIRECT);
    x64_alu_mi(&c->p, 0, X64_CMP, x64_at(RAX, record_field(offsetof(struct abi_func, type_id))),
               (int32_t)c->layout->type_ids[type_index]);
    target_jump(c, CC_NE, other ? other : trap_stub(c, ABI_TRAP_INDIRECT_TYPE));
}

void target_ref_record(struct compiler *c, struct value *ref) {
    target_move(c, RAX, ref);
    x64_test_rr(&c->p, 1, RAX, RAX);
    target_jump(c, CC_E, trap_stub(c, ABI_TRAP_NULL_FUNCTION));
}
