/* arm64: moves, branches, calls, prologues, thunks and adapters of aarch64.
 *
 * A function that calls stores its link register first, beside a zero, so that the native stack holds return addresses and nothing
 * else that looks like one. One that only makes runtime calls stores it around each. */
#include "baseline/arm64_int.h"

/* ---- constants and pools ---- */

void target_begin(struct compiler *c) { arm64_put_helpers(c); }

void arm64_set(struct compiler *c, uint8_t d, uint64_t v) {
    unsigned w = v > UINT32_MAX;
    uint32_t bits;
    if (!(v >> 16)) {
        put(c, arm64_mov_half(0, ARM64_MOVZ, d, (uint32_t)v, 0));
        return;
    }
    unsigned halves = w ? 4 : 2, zeros = 0, ones = 0;
    for (unsigned i = 0; i < halves; i++) zeros += (v >> 16 * i & 0xffff) == 0, ones += (v >> 16 * i & 0xffff) == 0xffff;
    if (zeros < halves - 1 && ones < halves - 1 && arm64_logical(w, v, &bits)) {
        put(c, arm64_logic_imm(w, ARM64_ORR, d, XZR, bits));
        return;
    }
    bool first = true;
    uint32_t skip = ones > zeros ? 0xffff : 0;
    for (unsigned i = 0; i < halves; i++) {
        uint32_t half = v >> 16 * i & 0xffff;
        if (half == skip && !(first && i == halves - 1)) continue;
        if (!first) put(c, arm64_mov_half(w, ARM64_MOVK, d, half, i));
        else if (skip) put(c, arm64_mov_half(w, ARM64_MOVN, d, ~half, i));
        else put(c, arm64_mov_half(w, ARM64_MOVZ, d, half, i));
        first = false;
    }
}

void arm64_add(struct compiler *c, uint8_t d, uint8_t n, int64_t v) {
    uint32_t op = v < 0 ? ARM64_SUB : ARM64_ADD;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    if (u >> 24) {
        arm64_set(c, d, (uint64_t)v);
        put(c, arm64_add_reg(1, ARM64_ADD, d, d, n, 0, 0));
        return;
    }
    if (u >> 12) put(c, arm64_add_imm(1, op, d, n, (uint32_t)u & 0xfff000)), n = d;
    if (u & 0xfff || !(u >> 12)) put(c, arm64_add_imm(1, op, d, n, (uint32_t)u & 0xfff));
}

static void put_pool16(struct compiler *c) {
    code_reserve(c, c->pool16.n * 16 + 32);
    while (code_at(c) & 15) put(c, ARM64_BRK);
    uint32_t start = code_at(c);
    for (uint32_t i = 0; i < c->pool16.n; i++) {
        const struct pool16_use *u = &c->pool16.p[i];
        uint32_t entries = (code_at(c) - start) / 16, where = code_at(c);
        for (uint32_t j = entries; j-- > (entries > 16 ? entries - 16 : 0);)
            if (memcmp(c->text + start + j * 16, u->v, 16) == 0) where = start + j * 16;
        if (where == code_at(c)) {
            memcpy(c->p, u->v, 16);
            c->p += 16;
        }
        target_patch(c, u->at, u->base, where);
    }
    c->pool16.n = 0;
}

void target_end_function(struct compiler *c) {
    if (c->pool16.n) put_pool16(c);
    if (!c->pool.n) return;
    code_reserve(c, c->pool.n * 8 + 16);
    while (code_at(c) & 7) put(c, ARM64_BRK);
    uint32_t start = code_at(c);
    for (uint32_t i = 0; i < c->pool.n; i++) {
        const struct pool_use *u = &c->pool.p[i];
        uint32_t entries = (code_at(c) - start) / 8, where = code_at(c);
        for (uint32_t j = entries; j-- > (entries > 16 ? entries - 16 : 0);)
            if (memcmp(c->text + start + j * 8, &u->v, 8) == 0) where = start + j * 8;
        if (where == code_at(c)) {
            memcpy(c->p, &u->v, 8);
            c->p += 8;
        }
        target_patch(c, u->at, u->base, where);
    }
    c->pool.n = 0;
}

void arm64_float_constant(struct compiler *c, uint8_t d, unsigned type, uint64_t v) {
    bool f64 = type == T_F64;
    uint32_t imm;
    if (v == 0) {
        put(c, arm64_vec1(0x2f00e400, d, 16)); /* movi d, #0 */
    } else if (arm64_float_imm(f64, v, &imm)) {
        put(c, arm64_fmov_imm(f64, d, imm));
    } else if (!f64 || c->far_branches || !(v << 32)) { /* one or two instructions, or no pool in reach */
        arm64_set(c, X17, v);
        put(c, arm64_x_to_f(f64, f64, ARM64_FMOV_FROM_X, d, X17));
    } else {
        struct pool_use use = {code_at(c), code_at(c), v};
        vec_push(c->arena, &c->pool, use);
        put(c, arm64_ldr_literal(d, 3));
    }
}

/* ---- memory operands ---- */

struct arm64_mem arm64_at(struct compiler *c, uint8_t base, int64_t disp, unsigned log2) {
    if (arm64_offset_fits(log2, disp)) return (struct arm64_mem){base, NO_INDEX, false, (int32_t)disp};
    int64_t low = disp & 0xfff;
    if (!arm64_scaled_fits(log2, low)) low = 0;
    arm64_add(c, ADDR, base, disp - low);
    return (struct arm64_mem){ADDR, NO_INDEX, false, (int32_t)low};
}

struct arm64_mem arm64_context(struct compiler *c, int32_t offset, unsigned log2) {
    if (offset >= -256) return arm64_at(c, BASE, offset, log2);
    if (offset >= -WINDOW_BYTES && arm64_scaled_fits(log2, offset + WINDOW_BYTES))
        return (struct arm64_mem){WINDOW, NO_INDEX, false, offset + WINDOW_BYTES};
    return arm64_at(c, BASE, offset, log2);
}

struct arm64_mem arm64_slot(struct compiler *c, uint32_t slot, unsigned log2) {
    return arm64_at(c, FRAME, (int64_t)slot * 8, log2);
}

/* ---- moves ---- */

void target_move_reg(struct compiler *c, unsigned type, uint8_t d, uint8_t s) {
    if (d == s) return;
    if (type == T_V128) put(c, arm64_vec(0x4ea01c00, d, s, s)); /* orr */
    else if (type_is_float(type)) put(c, arm64_f1(true, ARM64_FMOV, d, s));
    else put(c, arm64_mov(type_is_64(type), d, s));
}

void target_zero(struct compiler *c, uint8_t d) {
    if (d < 16) put(c, arm64_mov_half(0, ARM64_MOVZ, d, 0, 0));
    else put(c, arm64_vec1(0x6f00e400, d, 16)); /* movi d.2d, #0 */
}

void target_move(struct compiler *c, uint8_t d, const struct value *v) {
    uint8_t r = reg_of(c, v);
    if (r != NO_REG) {
        target_move_reg(c, v->type, d, r);
    } else if (is_imm(v)) {
        uint64_t k[2];
        if (v->type == T_V128) {
            memcpy(k, (const void *)(uintptr_t)v->imm, 16);
            arm64_vector_constant(c, d, k[0], k[1]);
        } else if (type_is_float(v->type)) {
            arm64_float_constant(c, d, v->type, v->imm);
        } else {
            arm64_set(c, d, v->imm);
        }
    } else if (v->kind == V_MEM) {
        target_load_lazy(c, d, v);
    } else {
        target_load_slot(c, v->type, d, slot_of(c, v));
    }
}

static struct arm64_access access_of_type(unsigned type, bool store) {
    switch (type) {
    case T_I32: return store ? ARM64_STORE_X : ARM64_LOAD_W; /* slots are whole */
    case T_F32: return ARM64_LDST(2, 2, 1, !store);
    case T_F64: return ARM64_LDST(3, 3, 1, !store);
    case T_V128: return store ? ARM64_STORE_Q : ARM64_LOAD_Q;
    default: return store ? ARM64_STORE_X : ARM64_LOAD_X;
    }
}

/* Two neighbours of the frame in one instruction: `word` moves 8 bytes of a general register. */
static bool pair_up(struct compiler *c, uint32_t word) {
    uint32_t last = last_word(c), offset = word >> 10 & 0xfff, before = last >> 10 & 0xfff;
    if ((last & ~0x3ffc1fu) != (word & ~0x3ffc1fu) || (word >> 5 & 31) != FRAME || (last >> 5 & 31) != FRAME) return false;
    bool load = word >> 22 & 1, up = offset == before + 1;
    if ((!up && before != offset + 1) || MIN(offset, before) > 63) return false;
    uint32_t low = up ? last & 31 : word & 31, high = up ? word & 31 : last & 31;
    if (load && low == high) return false;
    take_back(c);
    put(c, arm64_pair(load ? ARM64_LDP : ARM64_STP, low, high, FRAME, (int32_t)MIN(offset, before) * 8));
    return true;
}

static void access_slot(struct compiler *c, struct arm64_access a, uint8_t r, uint32_t slot) {
    if (a.log2 == 3 && !arm64_is_vector(a) && slot < 4096) {
        uint32_t word = arm64_ldst(a, r, FRAME, (int32_t)slot * 8);
        if (pair_up(c, word)) return;
        put(c, word);
        note(c);
        return;
    }
    put_ldst(c, a, r, arm64_slot(c, slot, a.log2));
}

void target_load_slot(struct compiler *c, unsigned type, uint8_t d, uint32_t slot) {
    /* A slot of an i32 holds it zero-extended. */
    access_slot(c, type == T_I32 ? ARM64_LOAD_X : access_of_type(type, false), d, slot);
}

void target_store_reg(struct compiler *c, unsigned type, uint8_t s, uint32_t slot) {
    access_slot(c, access_of_type(type, true), s, slot);
}

void target_store(struct compiler *c, const struct value *v, uint32_t slot) {
    uint8_t r = reg_of(c, v);
    if (r != NO_REG) {
        target_store_reg(c, v->type, r, slot);
    } else if (v->type == T_V128) {
        target_move(c, FSCRATCH, v);
        target_store_reg(c, T_V128, FSCRATCH, slot);
    } else if (is_imm(v)) {
        if (v->imm) arm64_set(c, SCRATCH, v->imm);
        access_slot(c, ARM64_STORE_X, v->imm ? SCRATCH : XZR, slot);
    } else {
        struct value as_int = *v;
        as_int.type = v->type == T_I32 || v->type == T_F32 ? T_I32 : T_I64;
        target_move(c, SCRATCH, &as_int);
        access_slot(c, ARM64_STORE_X, SCRATCH, slot);
    }
}

void target_zero_slots(struct compiler *c, uint32_t slot, uint32_t n) {
    code_reserve(c, (size_t)n * 8 + 64);
    for (; n; n--, slot++) access_slot(c, ARM64_STORE_X, XZR, slot);
}

/* ---- branches ---- */

void target_patch(struct compiler *c, uint32_t at, uint32_t base, uint32_t to) {
    uint32_t word;
    memcpy(&word, c->text + at, 4);
    if (!arm64_set_offset(&word, (int64_t)to - base)) c->out_of_reach = true;
    memcpy(c->text + at, &word, 4);
}

/* The branch on cc, one with the test before it where there is such a form; near: in reach of 14 bits. */
static uint32_t branch_word(struct compiler *c, uint8_t cc, bool near) {
    uint32_t last = last_word(c);
    unsigned w = last >> 31, n = last >> 5 & 31;
    if ((last & 0x7ffffc1f) == 0x7100001f && n != XZR) { /* cmp n, #0 */
        if (cc <= CC_NE) {
            take_back(c);
            return arm64_cbz(w, cc == CC_NE, n);
        }
        if (near && (cc == CC_LT || cc == CC_GE)) {
            take_back(c);
            return arm64_tbz(cc == CC_LT, n, w ? 63 : 31);
        }
    }
    if ((last & 0x7f80001f) == 0x7200001f && !(last & 0xfc00) && near && cc <= CC_NE) { /* tst n, #1 << k: imms 0 */
        unsigned size = w ? 64 : 32, rotate = last >> 16 & 63;
        if (w == (last >> 22 & 1)) {
            take_back(c);
            return arm64_tbz(cc == CC_NE, n, (size - rotate) & (size - 1));
        }
    }
    return arm64_b_cond(cc);
}

void target_jump(struct compiler *c, uint8_t cc, struct label *l) {
    uint32_t word = ARM64_B;
    if (cc != CC_ALWAYS) {
        int64_t back = l->at == NO_LABEL ? 0 : (int64_t)code_at(c) - l->at;
        bool near = l->at == NO_LABEL ? !c->far_branches && c->body_bytes < 4096 : back < 32000;
        word = branch_word(c, cc, near);
        if (l->at == NO_LABEL ? c->far_branches : back > 1000000) { /* the opposite, over a branch that reaches */
            uint32_t opposite = (word & 0xff000000) == 0x54000000 ? word ^ 1 : word ^ 1u << 24;
            put(c, opposite | 2u << 5); /* every such form has its offset at bit 5 */
            word = ARM64_B;
        }
    }
    uint32_t at = code_at(c);
    put(c, word);
    label_use(c, l, at, at);
}

void target_jump_table(struct compiler *c, uint8_t index, struct label **labels, uint32_t n) {
    code_reserve(c, (size_t)n * 4 + 64);
    put(c, arm64_adr(ADDR, 16));
    put(c, arm64_ldst_reg(ARM64_LOAD_SW, index, ADDR, index, true));
    put(c, arm64_add_reg(1, ARM64_ADD, ADDR, ADDR, index, 0, 0));
    put(c, arm64_br(ADDR));
    uint32_t table = code_at(c);
    memset(c->p, 0, (size_t)n * 4);
    c->p += (size_t)n * 4;
    for (uint32_t i = 0; i < n; i++) label_use(c, labels[i], table + i * 4, table);
}

void target_bind_loop(struct compiler *c) { (void)c; }

void arm64_call_stub(struct compiler *c, int32_t field) {
    put(c, arm64_ldst(ARM64_LOAD_X, X17, BASE, field));
    put(c, arm64_blr(X17));
}

/* The number is in x0. Where the link register has not been stored, the call overwrites the caller's address: x16 keeps it. */
static void call_trap(struct compiler *c, uint32_t wasm_offset) {
    put(c, arm64_mov(1, X16, c->calls_out ? XZR : X30));
    arm64_call_stub(c, ABI_CTX(rt_trap));
    site_at(c, ABI_SITE_TRAP, wasm_offset);
}

static void raise(struct compiler *c, enum abi_trap trap, uint32_t wasm_offset) {
    arm64_set(c, X0, trap);
    call_trap(c, wasm_offset);
}

void target_trap(struct compiler *c, enum abi_trap trap) { raise(c, trap, op_offset(c)); }

void target_stub(struct compiler *c, struct stub *s) {
    if (s->trap == STUB_FAR_CALL) {
        arm64_call_stub(c, ABI_CTX(rt_far));
        call_site_at(c, s->wasm_offset, s->frame, s->clause);
        uint32_t at = code_at(c);
        put(c, ARM64_B);
        target_patch(c, at, at, s->resume);
        return;
    }
    if (s->nan_type) {
        put(c, arm64_fcmp(s->nan_type == T_F64, s->reg, s->reg));
        arm64_set(c, X0, s->trap);
        arm64_set(c, X16, ABI_TRAP_INVALID_CONVERSION);
        put(c, arm64_csel(0, X0, X16, X0, CC_VS));
        call_trap(c, s->wasm_offset);
        return;
    }
    raise(c, (enum abi_trap)s->trap, s->wasm_offset);
}

/* ---- calls ---- */

static void store_link(struct compiler *c) { put(c, arm64_pair(ARM64_STP_PRE, XZR, X30, XSP, -16)); }
static void load_link(struct compiler *c) { put(c, arm64_pair(ARM64_LDP_POST, XZR, X30, XSP, 16)); }

static void move_frame(struct compiler *c, int64_t slots) {
    int64_t bytes = slots * 8;
    if (!bytes) return;
    if (bytes < -0xffffff || bytes > 0xffffff) { /* arm64_add would need another register */
        arm64_set(c, X17, (uint64_t)bytes);
        put(c, arm64_add_reg(1, ARM64_ADD, FRAME, FRAME, X17, 0, 0));
    } else {
        arm64_add(c, FRAME, FRAME, bytes);
    }
}

bool target_resolve_call(struct compiler *c, uint32_t at, uint32_t func_start) {
    uint32_t word;
    memcpy(&word, c->text + at, 4);
    if ((word & 0x7c000000) == ARM64_B) { /* or bl */
        if (!arm64_set_offset(&word, (int64_t)func_start - at)) return false;
        memcpy(c->text + at, &word, 4);
        return true;
    }
    abi_reloc_apply(ABI_MACHINE_AARCH64, c->text + at, (int64_t)func_start - at);
    return true;
}

/* d = the address of what abi_reloc_apply will be told; gives what it wants to be given. Changes x17. */
static uint32_t far_address(struct compiler *c, uint8_t d) {
    put(c, arm64_adr(d, 0));
    uint32_t at = code_at(c);
    put(c, arm64_mov_half(0, ARM64_MOVZ, X17, 0, 0));
    put(c, arm64_mov_half(0, ARM64_MOVK, X17, 0, 1));
    put(c, arm64_add_word(ARM64_ADD, true, d, d, X17));
    return at;
}

static const struct abi_layout_func *imported(const struct compiler *c, uint32_t func_index) {
    return func_index < c->m->funcs_imported ? &c->layout->funcs[func_index] : NULL;
}

/* A call or a jump to a function whose code is at a distance known when the image is made. */
static void to_near(struct compiler *c, uint32_t func_index, const struct abi_layout_func *f, bool call) {
    bool outside = f && f->where == ABI_FUNC_DIRECT;
    uint32_t at = code_at(c);
    if (outside || c->far_calls) {
        at = far_address(c, X16);
        put(c, call ? arm64_blr(X16) : arm64_br(X16));
    } else {
        put(c, call ? ARM64_BL : ARM64_B);
    }
    if (outside) {
        struct abi_reloc r = {at, ABI_RELOC_FUNC_PC32, f->instance, f->func_index};
        vec_push(c->arena, &c->out->relocs, r);
        return;
    }
    uint32_t start = c->out->funcs[func_index].start;
    if (start == UINT32_MAX || !target_resolve_call(c, at, start)) {
        struct fix forward = {at, func_index, 0};
        vec_push(c->arena, &c->calls, forward);
    }
}

void target_call(struct compiler *c, uint32_t func_index, uint32_t frame) {
    const struct abi_layout_func *f = imported(c, func_index);
    if (f && (f->where == ABI_FUNC_NEAR || f->where == ABI_FUNC_FAR)) {
        put_ldst(c, ARM64_LOAD_X, X0, arm64_context(c, f->offset, 3));
        target_call_record(c, frame, f->where == ABI_FUNC_FAR);
        return;
    }
    move_frame(c, frame);
    to_near(c, func_index, f, true);
    call_site(c, frame);
    move_frame(c, -(int64_t)frame);
}

static void load_field(struct compiler *c, struct arm64_access a, uint8_t d, size_t offset) {
    put(c, arm64_ldst(a, d, X0, (int32_t)offset));
}

/* Sets the flags as of n less the constant; changes x17. */
static void compare_word(struct compiler *c, uint8_t n, uint32_t v) {
    if (arm64_add_fits(v)) {
        put(c, arm64_add_imm(0, ARM64_SUB | ARM64_S, XZR, n, v));
    } else {
        arm64_set(c, X17, v);
        put(c, arm64_add_reg(0, ARM64_SUB | ARM64_S, XZR, n, X17, 0, 0));
    }
}

/* x0 holds the struct abi_func. */
void target_call_record(struct compiler *c, uint32_t frame, bool may_be_far) {
    move_frame(c, frame);
    struct label *far_stub = NULL;
    if (may_be_far) {
        load_field(c, ARM64_LOAD_W, X16, offsetof(struct abi_func, group));
        compare_word(c, X16, c->layout->group);
        far_stub = stub_add(
            c,
            (struct stub){
                .label = {NO_LABEL, 0}, .trap = STUB_FAR_CALL, .wasm_offset = op_offset(c), .frame = frame, .clause = c->clause});
        target_jump(c, CC_NE, far_stub);
    }
    load_field(c, ARM64_LOAD_X, X16, offsetof(struct abi_func, code));
    put(c, arm64_blr(X16));
    call_site(c, frame);
    if (may_be_far) container_of(far_stub, struct stub, label)->resume = code_at(c);
    move_frame(c, -(int64_t)frame);
}

void target_tail_call(struct compiler *c, uint32_t func_index) {
    const struct abi_layout_func *f = imported(c, func_index);
    if (f && (f->where == ABI_FUNC_NEAR || f->where == ABI_FUNC_FAR)) {
        put_ldst(c, ARM64_LOAD_X, X0, arm64_context(c, f->offset, 3));
        target_tail_call_record(c, f->where == ABI_FUNC_FAR);
        return;
    }
    if (c->calls_out) load_link(c);
    to_near(c, func_index, f, false);
}

void target_tail_call_record(struct compiler *c, bool may_be_far) {
    if (c->calls_out) load_link(c);
    if (may_be_far) {
        load_field(c, ARM64_LOAD_W, X16, offsetof(struct abi_func, group));
        compare_word(c, X16, c->layout->group);
        uint32_t near = arm64_skip(c, arm64_b_cond(CC_EQ));
        put(c, arm64_ldst(ARM64_LOAD_X, X17, BASE, ABI_CTX(rt_far_tail)));
        put(c, arm64_br(X17));
        arm64_land(c, near);
    }
    load_field(c, ARM64_LOAD_X, X16, offsetof(struct abi_func, code));
    put(c, arm64_br(X16));
}

void target_throw(struct compiler *c, uint32_t tag, uint32_t slots, uint32_t slot) {
    arm64_add(c, 1, FRAME, (int64_t)slot * 8);
    arm64_set(c, X0, tag);
    arm64_set(c, 2, slots);
    arm64_call_stub(c, ABI_CTX(rt_throw));
    call_site(c, 0);
}

void target_rtcall(struct compiler *c, enum abi_rtcall rt, uint32_t frame) {
    if (!c->calls_out) store_link(c);
    arm64_add(c, 1, FRAME, (int64_t)frame * 8);
    arm64_set(c, X0, rt);
    arm64_call_stub(c, ABI_CTX(rt_call));
    site(c, ABI_SITE_CALL);
    if (!c->calls_out) load_link(c);
}

void target_new(struct compiler *c, uint32_t type_id, uint32_t class, uint32_t frame) {
    if (!c->calls_out) store_link(c);
    put(c, arm64_ldst(ARM64_LOAD_X, X16, BASE, ABI_CTX(heap)));
    arm64_set(c, X0, offsetof(struct abi_heap, runs) + class * sizeof(struct abi_run));
    arm64_set(c, 2, abi_object_header(type_id, ABI_OBJECT_STRUCT));
    arm64_add(c, 1, FRAME, (int64_t)frame * 8);
    put_ldst(c, ARM64_LOAD_X, X17, arm64_at(c, X16, offsetof(struct abi_heap, allocate), 3));
    put(c, arm64_blr(X17));
    site(c, ABI_SITE_CALL);
    if (!c->calls_out) load_link(c);
}

struct label target_bulk_helper(struct compiler *c, bool fill) {
    struct label done = {NO_LABEL, 0};
    uint32_t at = code_at(c);
    if (at - c->bulk_helpers[fill] > 120u << 20) return done; /* the runtime does it */
    if (!c->calls_out) store_link(c), at += 4;
    put(c, ARM64_BL);
    target_patch(c, at, at, c->bulk_helpers[fill]);
    site(c, ABI_SITE_CALL); /* who is taken off in there, or ended, has this function in its backtrace */
    if (!c->calls_out) load_link(c);
    target_jump(c, CC_EQ, &done);
    return done;
}

void target_ref_func(struct compiler *c, uint32_t func_index, uint8_t d) {
    struct abi_reloc r = {far_address(c, d), ABI_RELOC_RECORD_PC32, c->layout->instance, func_index};
    vec_push(c->arena, &c->out->relocs, r);
}

/* ---- prologue, return ---- */

void target_enter(struct compiler *c) {
    if (c->calls_out) store_link(c);
}

void target_check_frame(struct compiler *c, uint32_t slots) {
    uint64_t bytes = (uint64_t)slots * 8;
    if (bytes <= ABI_STACK_GUARD_BYTES / 2) return;
    arm64_add(c, X16, FRAME, (int64_t)bytes);
    put(c, arm64_ldst(ARM64_LOAD_X, X17, BASE, ABI_CTX(frame_limit)));
    put(c, arm64_add_reg(1, ARM64_SUB | ARM64_S, XZR, X16, X17, 0, 0));
    target_jump(c, CC_HI, trap_stub(c, ABI_TRAP_STACK_OVERFLOW));
}

void target_touch_frame(struct compiler *c) { put(c, arm64_ldst(ARM64_LOAD_X, X16, FRAME, 0)); }

void target_return(struct compiler *c) {
    if (c->calls_out) load_link(c);
    put(c, ARM64_RET);
}

/* ---- host thunks and entry adapters ---- */

void target_host_thunk(struct compiler *c, const struct wasm_deftype *t, uint32_t host_index) {
    uint32_t ints = 0, floats = 0, slot = 0;
    code_reserve(c, 256);
    store_link(c);
    for (uint32_t i = 0; i < t->params_count; i++) {
        unsigned type = type_of(t->params[i]);
        uint8_t r = arg_reg(type, &ints, &floats);
        if (r != NO_REG) target_store_reg(c, type, r, slot);
        slot += type_slots(type);
    }
    put(c, arm64_mov(1, 1, FRAME));
    arm64_set(c, X0, host_index);
    arm64_call_stub(c, ABI_CTX(rt_host));
    site_at(c, ABI_SITE_CALL, 0);
    if (t->results_count) {
        unsigned type = type_of(t->results[0]);
        put(c, arm64_ldst(access_of_type(type, false), type_is_float(type) ? TARGET_FLOAT_RESULT : TARGET_INT_RESULT, FRAME, 0));
    }
    load_link(c);
    put(c, ARM64_RET);
}

static void copy_slots(struct compiler *c, uint8_t to, uint8_t from, uint32_t slot, unsigned n) {
    for (; n; n--, slot++) {
        put_ldst(c, ARM64_LOAD_X, X16, arm64_at(c, from, (int64_t)slot * 8, 3));
        put_ldst(c, ARM64_STORE_X, X16, arm64_at(c, to, (int64_t)slot * 8, 3));
    }
}

/* From x0 = record, x1 = canonical array, x2 = frame, with x28 the group's base; whoever calls it has saved what C wants to find
 * again. */
void target_entry(struct compiler *c, const struct wasm_deftype *t) {
    code_reserve(c, ((size_t)t->params_count + t->results_count) * 48 + 256);
    put(c, arm64_pair(ARM64_STP_PRE, 1, X30, XSP, -16));
    arm64_add(c, WINDOW, BASE, -WINDOW_BYTES);
    put(c, arm64_mov(1, FRAME, 2));
    uint32_t ints = 0, floats = 0, slot = 0;
    for (uint32_t i = 0; i < t->params_count; i++) {
        unsigned type = type_of(t->params[i]), n = type_slots(type);
        uint8_t r = arg_reg(type, &ints, &floats);
        struct arm64_access a = access_of_type(type, false);
        if (r == NO_REG) copy_slots(c, FRAME, 1, slot, n);
        else put_ldst(c, a, r, arm64_at(c, 1, (int64_t)slot * 8, a.log2));
        slot += n;
    }
    load_field(c, ARM64_LOAD_X, X16, offsetof(struct abi_func, code));
    put(c, arm64_blr(X16));
    put(c, arm64_pair(ARM64_LDP_POST, 1, X30, XSP, 16));
    slot = 0;
    for (uint32_t i = 0; i < t->results_count; i++) {
        unsigned type = type_of(t->results[i]), n = type_slots(type);
        struct arm64_access a = access_of_type(type, true);
        if (i == 0) put(c, arm64_ldst(a, type_is_float(type) ? TARGET_FLOAT_RESULT : TARGET_INT_RESULT, 1, 0));
        else copy_slots(c, 1, FRAME, slot, n);
        slot += n;
    }
    put(c, ARM64_RET);
}
