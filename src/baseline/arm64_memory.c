/* arm64_memory: linear memory, globals, tables.
 *
 * The group's memory 0 is at the base register: an index register beside it, or the sum in ADDR and a constant; no check, the guard
 * catches. Any other memory (and constants beyond the guard) is compared with its size first. */
#include "baseline/arm64_int.h"

static struct arm64_access load_access(enum access a, bool to64) {
    switch (a) {
    case A_8S: return ARM64_LDST(0, 0, 0, to64 ? 2 : 3);
    case A_8U: return ARM64_LDST(0, 0, 0, 1);
    case A_16S: return ARM64_LDST(1, 1, 0, to64 ? 2 : 3);
    case A_16U: return ARM64_LDST(1, 1, 0, 1);
    case A_32S: return ARM64_LOAD_SW;
    case A_32: return ARM64_LOAD_W;
    case A_64: return ARM64_LOAD_X;
    case A_F32: return ARM64_LDST(2, 2, 1, 1);
    case A_F64: return ARM64_LDST(3, 3, 1, 1);
    default: return ARM64_LOAD_Q;
    }
}
static struct arm64_access store_access(enum access a) {
    switch (a) {
    case A_8S:
    case A_8U: return ARM64_LDST(0, 0, 0, 0);
    case A_16S:
    case A_16U: return ARM64_LDST(1, 1, 0, 0);
    case A_32S:
    case A_32: return ARM64_STORE_W;
    case A_64: return ARM64_STORE_X;
    case A_F32: return ARM64_LDST(2, 2, 1, 0);
    case A_F64: return ARM64_LDST(3, 3, 1, 0);
    default: return ARM64_STORE_Q;
    }
}

/* ---- addresses ---- */

/* The checked form: base and end of the access in ADDR. */
static struct arm64_mem checked(struct compiler *c, uint32_t memory, uint64_t offset, unsigned bytes, uint8_t r) {
    const struct abi_layout_memory *l = &c->layout->memories[memory];
    bool direct = l->where == ABI_MEMORY_GS;
    int32_t record = direct ? ABI_CTX(base) : l->offset;
    uint64_t reach;
    bool far_out = __builtin_add_overflow(offset, bytes, &reach);
    struct label *bad = trap_stub(c, ABI_TRAP_MEMORY_OUT_OF_BOUNDS);
    uint32_t stub = (uint32_t)(container_of(bad, struct stub, label) - c->stubs.p);
    if (!c->m->memories[memory].limits.is64) {
        arm64_add(c, ADDR2, r, (int64_t)reach);
    } else { /* 64-bit addresses may wrap */
        arm64_set(c, ADDR2, far_out ? UINT64_MAX : reach);
        put(c, arm64_add_reg(1, ARM64_ADD | ARM64_S, ADDR2, ADDR2, r, 0, 0));
        target_jump(c, CC_HS, &c->stubs.p[stub].label);
    }
    if (l->where == ABI_MEMORY_FAR) {
        put_ldst(c, ARM64_LOAD_X, ADDR, arm64_context(c, record, 3));
        put(c, arm64_ldst(ARM64_LOAD_X, ADDR3, ADDR, 8));
        put(c, arm64_ldst(ARM64_LOAD_X, ADDR, ADDR, 0));
    } else {
        put_ldst(c, ARM64_LOAD_X, ADDR3, arm64_context(c, record + 8, 3));
        put_ldst(c, ARM64_LOAD_X, ADDR, arm64_context(c, record, 3));
    }
    put(c, arm64_add_reg(1, ARM64_SUB | ARM64_S, XZR, ADDR2, ADDR3, 0, 0));
    target_jump(c, CC_HI, &c->stubs.p[stub].label);
    put(c, arm64_add_reg(1, ARM64_ADD, ADDR, ADDR, ADDR2, 0, 0));
    return (struct arm64_mem){ADDR, NO_INDEX, false, -(int32_t)bytes};
}

/* base + r + offset of memory 0 */
static struct arm64_mem direct(struct compiler *c, unsigned log2, uint64_t offset, uint8_t r) {
    if (offset == 0) return (struct arm64_mem){BASE, r, false, 0};
    int64_t low = (int64_t)(offset & 0xfff);
    if (arm64_offset_fits(log2, (int64_t)offset)) low = (int64_t)offset;
    else if (!arm64_offset_fits(log2, low)) low = 0;
    if (c->sum_reg != r) {
        put(c, arm64_add_reg(1, ARM64_ADD, ADDR, BASE, r, 0, 0));
        c->sum_reg = r;
    }
    uint64_t high = offset - (uint64_t)low;
    if (!high) return (struct arm64_mem){ADDR, NO_INDEX, false, (int32_t)low};
    if (high >> 24) {
        arm64_set(c, ADDR2, high);
        put(c, arm64_add_reg(1, ARM64_ADD, ADDR2, ADDR, ADDR2, 0, 0));
    } else {
        arm64_add(c, ADDR2, ADDR, (int64_t)high);
    }
    return (struct arm64_mem){ADDR2, NO_INDEX, false, (int32_t)low};
}

/* Where an access goes, for one instruction. The address is in a register, an immediate, or loaded into x16. */
struct arm64_mem arm64_address(struct compiler *c, unsigned log2, uint32_t memory, uint64_t offset, struct value *addr) {
    bool in_guard = offset + 16 <= ABI_GUARD_BYTES;
    if (!in_guard || c->layout->memories[memory].where != ABI_MEMORY_GS) {
        uint8_t r = reg_of(c, addr);
        if (r == NO_REG) target_move(c, X16, addr), r = X16;
        return checked(c, memory, offset, 1u << log2, r);
    }
    if (is_imm(addr)) {
        uint64_t at = (uint32_t)addr->imm + offset;
        if (arm64_scaled_fits(log2, (int64_t)at)) return (struct arm64_mem){BASE, NO_INDEX, false, (int32_t)at};
        arm64_set(c, ADDR, at);
        return (struct arm64_mem){BASE, ADDR, false, 0};
    }
    uint8_t r = reg_of(c, addr);
    if (r == NO_REG) target_move(c, X16, addr), r = X16;
    return direct(c, log2, offset, r);
}

void target_load(struct compiler *c, enum access a, unsigned type, uint32_t memory, uint64_t offset, uint8_t d,
                 struct value *addr) {
    struct arm64_access load = load_access(a, type == T_I64);
    if (!is_imm(addr)) into_reg(c, addr);
    struct arm64_mem m = arm64_address(c, load.log2, memory, offset, addr);
    site(c, ABI_SITE_MEMORY);
    put_ldst(c, load, d, m);
}

static struct arm64_mem sum(struct compiler *c, const struct value *base, const struct value *index, unsigned shift) {
    uint8_t i = reg_of(c, index);
    if (is_imm(base) && !shift && arm64_add_fits((uint32_t)base->imm)) {
        put(c, arm64_add_imm(0, ARM64_ADD, ADDR, i, (uint32_t)base->imm));
    } else if (is_imm(base) && !shift && arm64_add_fits((uint32_t)-base->imm)) {
        put(c, arm64_add_imm(0, ARM64_SUB, ADDR, i, (uint32_t)-base->imm));
    } else {
        put(c, arm64_add_reg(0, ARM64_ADD, ADDR, in_reg(c, base, X16), i, ARM64_LSL, shift));
    }
    return (struct arm64_mem){BASE, ADDR, false, 0};
}

void target_load_sum(struct compiler *c, enum access a, unsigned type, uint8_t d, const struct value *base,
                     const struct value *index, unsigned shift) {
    struct arm64_mem m = sum(c, base, index, shift);
    site(c, ABI_SITE_MEMORY);
    put_ldst(c, load_access(a, type == T_I64), d, m);
}

void target_load_scaled(struct compiler *c, enum access a, unsigned type, uint8_t d, uint8_t index, unsigned shift,
                        int32_t disp) {
    struct arm64_access load = load_access(a, type == T_I64);
    struct arm64_mem m = {BASE, index, true, 0};
    if (disp || shift != load.log2) {
        put(c, arm64_add_reg(1, ARM64_ADD, ADDR2, BASE, index, ARM64_LSL, shift));
        m = arm64_at(c, ADDR2, disp, load.log2);
    }
    site(c, ABI_SITE_MEMORY);
    put_ldst(c, load, d, m);
}

void target_load_lazy(struct compiler *c, uint8_t d, const struct value *v) {
    static const enum access access[] = {[T_I32] = A_32, [T_I64] = A_64, [T_F32] = A_F32, [T_F64] = A_F64, [T_V128] = A_V128};
    struct arm64_access load = load_access(access[v->type], false);
    struct value addr = {.kind = V_IMM, .type = T_I32, .imm = (uint32_t)v->disp};
    if (v->reg != NO_REG) addr = (struct value){.kind = V_REG, .type = T_I32, .reg = v->reg};
    struct arm64_mem m = arm64_address(c, load.log2, 0, v->reg == NO_REG ? 0 : (uint32_t)v->disp, &addr);
    site_at(c, ABI_SITE_MEMORY, v->wasm_offset);
    put_ldst(c, load, d, m);
}

/* v in a register to store from: without allocating any, so that the address stays where it is. */
static uint8_t to_store(struct compiler *c, struct arm64_access *store, const struct value *v) {
    if (is_imm(v) && v->type != T_V128 && store->log2 < 4) { /* the bits, as an integer */
        store->bits &= ~(1u << 26);
        if (v->imm == 0) return XZR;
        arm64_set(c, X17, v->imm);
        return X17;
    }
    uint8_t r = reg_of(c, v);
    if (r != NO_REG) return r;
    uint8_t t = type_is_float(v->type) ? FSCRATCH : X17;
    target_move(c, t, v);
    return t;
}

void target_store_memory(struct compiler *c, enum access a, uint32_t memory, uint64_t offset, struct value *addr,
                         struct value *v) {
    struct arm64_access store = store_access(a);
    if (!is_imm(addr)) into_reg(c, addr);
    uint8_t s = to_store(c, &store, v);
    struct arm64_mem m = arm64_address(c, store.log2, memory, offset, addr);
    site(c, ABI_SITE_MEMORY);
    put_ldst(c, store, s, m);
}

void target_store_sum(struct compiler *c, enum access a, const struct value *base, const struct value *index, unsigned shift,
                      struct value *v) {
    struct arm64_access store = store_access(a);
    uint8_t s = to_store(c, &store, v);
    struct arm64_mem m = sum(c, base, index, shift);
    site(c, ABI_SITE_MEMORY);
    put_ldst(c, store, s, m);
}

void target_memory_size(struct compiler *c, uint32_t memory, uint8_t d) {
    const struct abi_layout_memory *l = &c->layout->memories[memory];
    if (l->where == ABI_MEMORY_FAR) {
        put_ldst(c, ARM64_LOAD_X, d, arm64_context(c, l->offset, 3));
        put(c, arm64_ldst(ARM64_LOAD_X, d, d, 8));
    } else {
        put_ldst(c, ARM64_LOAD_X, d, arm64_context(c, l->where == ABI_MEMORY_GS ? ABI_CTX(memory_bytes) : l->offset + 8, 3));
    }
    put(c, arm64_lsr(1, d, d, 16));
}

/* ---- memory.copy and memory.fill of small constant sizes ---- */

/* Pieces of a constant size: 16, 8, 4, 2, 1 bytes; the last may overlap the one before. */
struct piece {
    uint8_t at, log2;
};
static unsigned pieces_of(uint64_t n, struct piece *out) {
    unsigned k = 0, at = 0;
    while (at < n) {
        unsigned left = (unsigned)n - at, log2 = left >= 16 ? 4 : 31 - (unsigned)__builtin_clz(left);
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

/* All loads come before all stores, and the last piece is stored first: if any byte is out of bounds, nothing is written. Pieces are
 * in scratch registers. */
bool target_copy_small(struct compiler *c, struct value *dst, struct value *src, uint64_t n) {
    struct piece piece[8];
    if (n == 0 || n > 64 || c->layout->memories[0].where != ABI_MEMORY_GS) return false;
    unsigned k = pieces_of(n, piece);
    if (k > 4) return false;
    uint8_t d = in_reg(c, dst, X16), s = in_reg(c, src, X17);
    put(c, arm64_add_reg(1, ARM64_ADD, ADDR, BASE, s, 0, 0));
    put(c, arm64_add_reg(1, ARM64_ADD, ADDR2, BASE, d, 0, 0));
    for (unsigned i = 0; i < k; i++) {
        struct arm64_access load = load_access(access_by_log2[piece[i].log2], false);
        load.bits |= piece[i].log2 < 4 ? 1u << 26 : 0; /* ldr b, h, s, d */
        struct arm64_mem m = {ADDR, NO_INDEX, false, piece[i].at};
        site(c, ABI_SITE_MEMORY);
        put_ldst(c, load, (uint8_t)(V16 + i), m);
    }
    for (unsigned i = k; i-- > 0;) {
        struct arm64_access store = store_access(access_by_log2[piece[i].log2]);
        store.bits |= 1u << 26;
        struct arm64_mem m = {ADDR2, NO_INDEX, false, piece[i].at};
        site(c, ABI_SITE_MEMORY);
        put_ldst(c, store, (uint8_t)(V16 + i), m);
    }
    return true;
}

bool target_fill_small(struct compiler *c, struct value *dst, uint64_t byte, uint64_t n) {
    struct piece piece[8];
    if (n == 0 || n > 64 || c->layout->memories[0].where != ABI_MEMORY_GS) return false;
    unsigned k = pieces_of(n, piece);
    uint8_t d = in_reg(c, dst, X16);
    uint64_t pattern = (byte & 0xff) * 0x0101010101010101ull;
    arm64_vector_constant(c, V16, pattern, pattern);
    put(c, arm64_add_reg(1, ARM64_ADD, ADDR2, BASE, d, 0, 0));
    for (unsigned i = k; i-- > 0;) {
        struct arm64_access store = store_access(access_by_log2[piece[i].log2]);
        store.bits |= 1u << 26;
        site(c, ABI_SITE_MEMORY);
        put_ldst(c, store, V16, (struct arm64_mem){ADDR2, NO_INDEX, false, piece[i].at});
    }
    return true;
}

/* ---- memory.copy and memory.fill of up to BULK_BYTES_MAX, sizes known at run time ----
 *
 * Helpers at the start of text. x0 destination, x1 source or byte, x2 size, all 64 bits. The zero flag says that it is done;
 * if not (too long, or out of bounds), the three registers are as they were. They change what a runtime call may and scratch
 * registers, and never fault: bounds are compared, so they need no sites. */

static void return_unless(struct compiler *c, uint8_t cc) { /* with the zero flag clear, as the opposite of ls leaves it */
    uint32_t over = arm64_skip(c, arm64_b_cond(cc));
    put(c, ARM64_RET);
    arm64_land(c, over);
}

static void compare_bytes(struct compiler *c, uint32_t n) { put(c, arm64_add_imm(1, ARM64_SUB | ARM64_S, XZR, 2, n)); }

static void helper_bounds(struct compiler *c, uint8_t base) {
    put(c, arm64_add_reg(1, ARM64_ADD, SCRATCH, base, 2, 0, 0));
    put(c, arm64_ldst(ARM64_LOAD_X, X17, BASE, ABI_CTX(memory_bytes)));
    put(c, arm64_add_reg(1, ARM64_SUB | ARM64_S, XZR, SCRATCH, X17, 0, 0));
    return_unless(c, CC_LS);
}

static void helper_begin(struct compiler *c, unsigned which) {
    c->bulk_helpers[which] = code_at(c);
    compare_bytes(c, BULK_BYTES_MAX);
    return_unless(c, CC_LS);
    helper_bounds(c, 0);
}

static void helper_end(struct compiler *c, const uint32_t *done, unsigned n) {
    for (unsigned i = 0; i < n; i++) arm64_land(c, done[i]);
    put(c, arm64_add_reg(1, ARM64_SUB | ARM64_S, XZR, XZR, XZR, 0, 0));
    put(c, ARM64_RET);
}

enum { TO = ADDR2, FROM = ADDR, TO_END = ADDR3, FROM_END = X16 };

static void helper_move(struct compiler *c, bool store, enum access a, uint8_t r, uint8_t base, int32_t disp) {
    put(c, arm64_ldst(store ? store_access(a) : load_access(a, false), r, base, disp));
}

/* Below 16 bytes: two overlapping pieces of 8, 4 or 2, or one byte. Values in x1 and the scratch register. */
static unsigned helper_small(struct compiler *c, bool copy, uint32_t *done) {
    static const uint8_t access[] = {A_64, A_32, A_16U};
    unsigned n = 0;
    for (unsigned i = 0; i < 3; i++) {
        int32_t bytes = 8 >> i;
        uint32_t less = arm64_skip(c, arm64_tbz(false, 2, 3 - i));
        if (copy) {
            helper_move(c, false, access[i], SCRATCH, FROM, 0);
            helper_move(c, false, access[i], 1, FROM_END, -bytes);
        }
        helper_move(c, true, access[i], copy ? SCRATCH : 1, TO, 0);
        helper_move(c, true, access[i], 1, TO_END, -bytes);
        done[n++] = arm64_skip(c, ARM64_B);
        arm64_land(c, less);
    }
    done[n++] = arm64_skip(c, arm64_cbz(0, false, 2));
    if (copy) helper_move(c, false, A_8U, 1, FROM, 0);
    helper_move(c, true, A_8U, 1, TO, 0);
    return n;
}

static void helper_ends(struct compiler *c, bool copy) {
    put(c, arm64_add_reg(1, ARM64_ADD, TO, BASE, 0, 0, 0));
    put(c, arm64_add_reg(1, ARM64_ADD, TO_END, TO, 2, 0, 0));
    if (!copy) return;
    put(c, arm64_add_reg(1, ARM64_ADD, FROM, BASE, 1, 0, 0));
    put(c, arm64_add_reg(1, ARM64_ADD, FROM_END, FROM, 2, 0, 0));
}

/* Above 64 bytes: a loop over 64 at once. What it does not reach, at the end that it goes to, is read before it and written behind it,
 * whatever overlaps. */
static void move_64(struct compiler *c, bool store, unsigned first, uint8_t base, int32_t disp) {
    for (int i = 0; i < 4; i++) helper_move(c, store, A_V128, (uint8_t)(first + (unsigned)i), base, disp + 16 * i);
}
static void same_64(struct compiler *c, uint8_t base, int32_t disp) {
    for (int i = 0; i < 4; i++) helper_move(c, true, A_V128, V16, base, disp + 16 * i);
}
static void step_64(struct compiler *c, uint32_t op, uint8_t base) { put(c, arm64_add_imm(1, op, base, base, 64)); }
static void again_if(struct compiler *c, uint8_t cc, uint8_t base, uint32_t loop) {
    put(c, arm64_add_reg(1, ARM64_SUB | ARM64_S, XZR, base, X17, 0, 0));
    uint32_t at = arm64_skip(c, arm64_b_cond(cc));
    target_patch(c, at, at, loop);
}

static void copy_long(struct compiler *c) {
    put(c, arm64_add_reg(1, ARM64_SUB, SCRATCH, 0, 1, 0, 0));
    put(c, arm64_add_reg(1, ARM64_SUB | ARM64_S, XZR, SCRATCH, 2, 0, 0));
    uint32_t down = arm64_skip(c, arm64_b_cond(CC_LO));
    move_64(c, false, V16 + 4, FROM_END, -64);
    put(c, arm64_add_imm(1, ARM64_SUB, X17, TO_END, 64));
    uint32_t loop = code_at(c);
    move_64(c, false, V16, FROM, 0);
    move_64(c, true, V16, TO, 0);
    step_64(c, ARM64_ADD, FROM), step_64(c, ARM64_ADD, TO);
    again_if(c, CC_LO, TO, loop);
    move_64(c, true, V16 + 4, TO_END, -64);
    helper_end(c, NULL, 0);
    arm64_land(c, down); /* the destination begins within the source */
    move_64(c, false, V16 + 4, FROM, 0);
    put(c, arm64_add_imm(1, ARM64_ADD, X17, TO, 64));
    loop = code_at(c);
    move_64(c, false, V16, FROM_END, -64);
    move_64(c, true, V16, TO_END, -64);
    step_64(c, ARM64_SUB, FROM_END), step_64(c, ARM64_SUB, TO_END);
    again_if(c, CC_HI, TO_END, loop);
    move_64(c, true, V16 + 4, TO, 0);
    helper_end(c, NULL, 0);
}

static void fill_long(struct compiler *c) {
    put(c, arm64_add_imm(1, ARM64_SUB, X17, TO_END, 64));
    uint32_t loop = code_at(c);
    same_64(c, TO, 0);
    step_64(c, ARM64_ADD, TO);
    again_if(c, CC_LO, TO, loop);
    same_64(c, TO_END, -64);
    helper_end(c, NULL, 0);
}

static void copy_helper(struct compiler *c) {
    uint32_t done[8];
    helper_begin(c, 0);
    helper_bounds(c, 1);
    helper_ends(c, true);
    compare_bytes(c, 16);
    uint32_t large = arm64_skip(c, arm64_b_cond(CC_HS));
    helper_end(c, done, helper_small(c, true, done));
    arm64_land(c, large);
    helper_move(c, false, A_V128, V16, FROM, 0);
    helper_move(c, false, A_V128, V16 + 1, FROM_END, -16);
    compare_bytes(c, 32);
    uint32_t two = arm64_skip(c, arm64_b_cond(CC_LS));
    compare_bytes(c, 64);
    uint32_t longer = arm64_skip(c, arm64_b_cond(CC_HI));
    helper_move(c, false, A_V128, V16 + 2, FROM, 16);
    helper_move(c, false, A_V128, V16 + 3, FROM_END, -32);
    helper_move(c, true, A_V128, V16 + 2, TO, 16);
    helper_move(c, true, A_V128, V16 + 3, TO_END, -32);
    arm64_land(c, two);
    helper_move(c, true, A_V128, V16, TO, 0);
    helper_move(c, true, A_V128, V16 + 1, TO_END, -16);
    helper_end(c, NULL, 0);
    arm64_land(c, longer);
    copy_long(c);
}

static void fill_helper(struct compiler *c) {
    uint32_t done[8];
    helper_begin(c, 1);
    helper_ends(c, false);
    put(c, arm64_vec1(0x4e010c00, V16, 16) | 1u << 5); /* dup v.16b, w1 */
    put(c, arm64_f_to_x(1, true, ARM64_FMOV_TO_X, 1, V16));
    compare_bytes(c, 16);
    uint32_t large = arm64_skip(c, arm64_b_cond(CC_HS));
    helper_end(c, done, helper_small(c, false, done));
    arm64_land(c, large);
    compare_bytes(c, 32);
    uint32_t two = arm64_skip(c, arm64_b_cond(CC_LS));
    compare_bytes(c, 64);
    uint32_t longer = arm64_skip(c, arm64_b_cond(CC_HI));
    helper_move(c, true, A_V128, V16, TO, 16);
    helper_move(c, true, A_V128, V16, TO_END, -32);
    arm64_land(c, two);
    helper_move(c, true, A_V128, V16, TO, 0);
    helper_move(c, true, A_V128, V16, TO_END, -16);
    helper_end(c, NULL, 0);
    arm64_land(c, longer);
    fill_long(c);
}

void arm64_put_helpers(struct compiler *c) {
    if (!c->memory0_direct) return;
    copy_helper(c);
    fill_helper(c);
}

/* ---- globals ---- */

static struct arm64_mem global_at(struct compiler *c, uint32_t global, unsigned log2) {
    const struct abi_layout_global *g = &c->layout->globals[global];
    if (!g->far) return arm64_context(c, g->offset, log2);
    put_ldst(c, ARM64_LOAD_X, ADDR, arm64_context(c, g->offset, 3));
    return (struct arm64_mem){ADDR, NO_INDEX, false, 0};
}

static enum access access_of_global(const struct compiler *c, uint32_t global) {
    switch (type_of(c->m->globals[global].type)) {
    case T_F32: return A_F32;
    case T_F64: return A_F64;
    case T_V128: return A_V128;
    default: return A_64; /* an i32 is zero-extended */
    }
}

void target_global_get(struct compiler *c, uint32_t global, uint8_t d) {
    struct arm64_access load = load_access(access_of_global(c, global), false);
    if (type_of(c->m->globals[global].type) == T_I32) load = ARM64_LOAD_W; /* a host's may not be */
    put_ldst(c, load, d, global_at(c, global, load.log2));
}

void target_global_set(struct compiler *c, uint32_t global, struct value *v) {
    struct arm64_access store = store_access(access_of_global(c, global));
    uint8_t s = to_store(c, &store, v);
    put_ldst(c, store, s, global_at(c, global, store.log2));
}

/* ---- objects ---- */

void target_object_load(struct compiler *c, enum access a, uint8_t d, uint8_t base, uint32_t offset) {
    struct arm64_access load = load_access(a, false);
    struct arm64_mem m = arm64_at(c, base, (int32_t)offset, load.log2);
    site(c, ABI_SITE_NULL);
    put_ldst(c, load, d, m);
}

void target_object_store(struct compiler *c, enum access a, uint8_t base, uint32_t offset, struct value *v) {
    struct arm64_access store = store_access(a);
    uint8_t s = to_store(c, &store, v);
    struct arm64_mem m = arm64_at(c, base, (int32_t)offset, store.log2);
    site(c, ABI_SITE_NULL);
    put_ldst(c, store, s, m);
}

void target_array_check(struct compiler *c, uint8_t base, const struct value *index) {
    uint8_t r = is_imm(index) ? X17 : reg_of(c, index);
    if (is_imm(index)) arm64_set(c, X17, index->imm);
    site(c, ABI_SITE_NULL);
    put(c, arm64_ldst(ARM64_LOAD_W, X16, base, offsetof(struct abi_gc_object, length)));
    put(c, arm64_add_reg(0, ARM64_SUB | ARM64_S, XZR, X16, r, 0, 0));
    target_jump(c, CC_LS, trap_stub(c, ABI_TRAP_ARRAY_OUT_OF_BOUNDS));
}

static struct arm64_mem element_at(struct compiler *c, unsigned log2, uint8_t base, const struct value *index) {
    if (is_imm(index)) return arm64_at(c, base, ((int64_t)(uint32_t)index->imm << log2) + ABI_OBJECT_PAYLOAD, log2);
    put(c, arm64_add_reg(1, ARM64_ADD, ADDR2, base, reg_of(c, index), ARM64_LSL, log2));
    return (struct arm64_mem){ADDR2, NO_INDEX, false, ABI_OBJECT_PAYLOAD};
}

void target_element_load(struct compiler *c, enum access a, uint8_t d, uint8_t base, const struct value *index) {
    struct arm64_access load = load_access(a, false);
    put_ldst(c, load, d, element_at(c, load.log2, base, index));
}

void target_element_store(struct compiler *c, enum access a, uint8_t base, const struct value *index, struct value *v) {
    struct arm64_access store = store_access(a);
    uint8_t s = to_store(c, &store, v);
    put_ldst(c, store, s, element_at(c, store.log2, base, index));
}

void target_context_load(struct compiler *c, uint8_t d, int32_t offset) {
    put_ldst(c, ARM64_LOAD_X, d, arm64_context(c, offset, 3));
}

/* ---- tables ---- */

/* The address of an element, its index checked. */
static struct arm64_mem element(struct compiler *c, uint32_t table, enum abi_trap trap, struct value *index) {
    const struct abi_layout_table *t = &c->layout->tables[table];
    bool fixed = t->where == ABI_TABLE_FIXED;
    if (fixed && is_imm(index) && index->imm < t->count) return arm64_context(c, t->offset + (int32_t)index->imm * 8, 3);
    uint8_t r = reg_of(c, index);
    if (r == NO_REG) target_move(c, X16, index), r = X16;
    if (fixed && arm64_add_fits(t->count)) {
        put(c, arm64_add_imm(1, ARM64_SUB | ARM64_S, XZR, r, t->count));
    } else {
        if (t->where == ABI_TABLE_FAR) put_ldst(c, ARM64_LOAD_X, ADDR2, arm64_context(c, t->offset, 3));
        if (fixed) arm64_set(c, ADDR, t->count);
        else if (t->where == ABI_TABLE_FAR) put(c, arm64_ldst(ARM64_LOAD_X, ADDR, ADDR2, 8));
        else put_ldst(c, ARM64_LOAD_X, ADDR, arm64_context(c, t->offset + 8, 3));
        put(c, arm64_add_reg(1, ARM64_SUB | ARM64_S, XZR, r, ADDR, 0, 0));
    }
    target_jump(c, CC_HS, trap_stub(c, trap));
    if (fixed) arm64_add(c, ADDR, BASE, t->offset);
    else if (t->where == ABI_TABLE_FAR) put(c, arm64_ldst(ARM64_LOAD_X, ADDR, ADDR2, 0));
    else put_ldst(c, ARM64_LOAD_X, ADDR, arm64_context(c, t->offset, 3));
    return (struct arm64_mem){ADDR, r, true, 0};
}

void target_table_get(struct compiler *c, uint32_t table, uint8_t d, struct value *index) {
    put_ldst(c, ARM64_LOAD_X, d, element(c, table, ABI_TRAP_TABLE_OUT_OF_BOUNDS, index));
}

void target_table_set(struct compiler *c, uint32_t table, struct value *index, struct value *v) {
    struct arm64_access store = ARM64_STORE_X;
    uint8_t s = to_store(c, &store, v);
    put_ldst(c, store, s, element(c, table, ABI_TRAP_TABLE_OUT_OF_BOUNDS, index));
}

void target_table_size(struct compiler *c, uint32_t table, uint8_t d) {
    const struct abi_layout_table *t = &c->layout->tables[table];
    if (t->where == ABI_TABLE_FIXED) {
        arm64_set(c, d, t->count);
    } else if (t->where == ABI_TABLE_NEAR) {
        put_ldst(c, ARM64_LOAD_X, d, arm64_context(c, t->offset + 8, 3));
    } else {
        put_ldst(c, ARM64_LOAD_X, d, arm64_context(c, t->offset, 3));
        put(c, arm64_ldst(ARM64_LOAD_X, d, d, 8));
    }
}

/* ---- funcrefs ---- */

void target_indirect_record(struct compiler *c, uint32_t table, uint32_t type_index, struct value *index, struct label *other) {
    put_ldst(c, ARM64_LOAD_X, X0, element(c, table, ABI_TRAP_INDIRECT_OUT_OF_BOUNDS, index));
    site(c, ABI_SITE_INDIRECT);
    put(c, arm64_ldst(ARM64_LOAD_W, X16, X0, offsetof(struct abi_func, type_id)));
    uint32_t id = c->layout->type_ids[type_index];
    if (arm64_add_fits(id)) {
        put(c, arm64_add_imm(0, ARM64_SUB | ARM64_S, XZR, X16, id));
    } else {
        arm64_set(c, X17, id);
        put(c, arm64_add_reg(0, ARM64_SUB | ARM64_S, XZR, X16, X17, 0, 0));
    }
    target_jump(c, CC_NE, other ? other : trap_stub(c, ABI_TRAP_INDIRECT_TYPE));
}

void target_ref_record(struct compiler *c, struct value *ref) {
    target_move(c, X0, ref);
    put(c, arm64_add_imm(1, ARM64_SUB | ARM64_S, XZR, X0, 0));
    note(c);
    target_jump(c, CC_EQ, trap_stub(c, ABI_TRAP_NULL_FUNCTION));
}
