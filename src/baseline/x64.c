/* x64: moves, branches, calls, prologues, thunks and adapters of x86-64. */
#include "baseline/x64_int.h"

/* ---- shared constants and pools ---- */

void target_begin(struct compiler *c) {
    static const uint64_t k[K_COUNT][2] = {
        [K_ABS32] = {0x7fffffff7fffffff, 0x7fffffff7fffffff},
        [K_ABS64] = {0x7fffffffffffffff, 0x7fffffffffffffff},
        [K_SIGN32] = {0x8000000080000000, 0x8000000080000000},
        [K_SIGN64] = {0x8000000000000000, 0x8000000000000000},
        [K_I32_MIN] = {0xc1e0000000000000},
        [K_I32_MAX] = {0x41dfffffffc00000},
        [K_U32_MAX] = {0x41efffffffe00000},
        [K_2P63_F64] = {0x43e0000000000000},
        [K_2P63_F32] = {0x5f000000},
        [K_M2P63_F64] = {0xc3e0000000000000},
        [K_M2P63_F32] = {0xdf000000},
    };
    memcpy(c->p, k, sizeof k);
    c->p += sizeof k;
    x64_put_helpers(c);
}

/* An instruction with a RIP-relative operand; gives where its disp32 is, which ends it. */
static uint8_t *sse3_rip(struct compiler *c, uint8_t prefix, uint8_t op, uint8_t d, uint8_t a) {
    if (has_avx(c)) {
        c->p = x64_vex(c->p, vex_pp(prefix), 1, 0, d, a, 0, 0);
    } else {
        c->p = x64_sse_prefix(c->p, prefix);
        c->p = x64_rex(c->p, 0, d, 0, 0);
        *c->p++ = 0x0f;
    }
    *c->p++ = op;
    c->p = x64_modrm_rip(c->p, d);
    c->p += 4;
    return c->p - 4;
}

void sse3_constant(struct compiler *c, uint8_t prefix, uint8_t op, uint8_t d, uint8_t a, enum x64_constant k) {
    uint8_t *at = sse3_rip(c, prefix, op, d, a);
    x64_put32(at, (uint32_t)k * 16 - code_at(c));
}

void sse3_pool(struct compiler *c, uint8_t prefix, uint8_t op, uint8_t d, uint8_t a, uint64_t v) {
    uint8_t *at = sse3_rip(c, prefix, op, d, a);
    struct pool_use use = {(uint32_t)(at - c->text), code_at(c), v};
    vec_push(c->arena, &c->pool, use);
}

void target_end_function(struct compiler *c) {
    x64_put_pool16(c);
    if (!c->pool.n) return;
    code_reserve(c, c->pool.n * 8 + 16);
    while (code_at(c) & 7) *c->p++ = 0xcc;
    uint32_t start = code_at(c);
    for (uint32_t i = 0; i < c->pool.n; i++) {
        const struct pool_use *u = &c->pool.p[i];
        uint32_t entries = (code_at(c) - start) / 8, where = UINT32_MAX;
        for (uint32_t j = entries; j-- > (entries > 16 ? entries - 16 : 0);) {
            uint64_t v;
            memcpy(&v, c->text + start + j * 8, 8);
            if (v == u->v) {
                where = start + j * 8;
                break;
            }
        }
        if (where == UINT32_MAX) {
            where = code_at(c);
            x64_put64(c->p, u->v);
            c->p += 8;
        }
        x64_put32(c->text + u->at, where - u->base);
    }
    c->pool.n = 0;
}

/* ---- moves ---- */

void target_move_reg(struct compiler *c, unsigned type, uint8_t d, uint8_t s) {
    if (d == s) return;
    if (type_is_float(type)) sse_rr(c, 0, 0x28, d, s); /* movaps */
    else x64_mov_rr(&c->p, type_is_64(type), d, s);
}

void target_zero(struct compiler *c, uint8_t d) {
    if (d >= XMM0) sse3_rr(c, 0, 0, 0x57, d, d, d);
    else if (c->flags_live) x64_mov_ri(&c->p, d, 0);
    else x64_zero(&c->p, d);
}

static void move_float_imm(struct compiler *c, uint8_t d, const struct value *v) {
    if (v->type == T_V128) {
        x64_move_v128(c, d, v);
    } else if (v->imm == 0) {
        target_zero(c, d);
    } else if (v->type == T_F32) {
        x64_mov_ri(&c->p, SCRATCH, v->imm);
        if (has_avx(c)) x64_vex_rr(&c->p, 1, 1, 0, 0x6e, d, 0, SCRATCH);
        else x64_0f_rr(&c->p, 0x66, 0, 0x6e, d, SCRATCH);
    } else {
        sse3_pool(c, 0xf2, 0x10, d, 0, v->imm);
    }
}

void target_move(struct compiler *c, uint8_t d, const struct value *v) {
    bool f = type_is_float(v->type);
    uint8_t r = reg_of(c, v);
    if (r != NO_REG) {
        target_move_reg(c, v->type, d, r);
    } else if (is_imm(v)) {
        if (f) move_float_imm(c, d, v);
        else if (v->imm == 0) target_zero(c, d);
        else x64_mov_ri(&c->p, d, v->imm);
    } else if (v->kind == V_MEM) {
        target_load_lazy(c, d, v);
    } else {
        target_load_slot(c, v->type, d, slot_of(c, v));
    }
}

void target_load_slot(struct compiler *c, unsigned type, uint8_t d, uint32_t slot) {
    if (LIKELY(!type_is_float(type))) {
        x64_rs(&c->p, type_is_64(type), 0x8b, d, slot);
        return;
    }
    struct x64_mem m = x64_slot(slot);
    if (type == T_V128) sse_rm(c, 0, 0x10, d, m);
    else sse_rm(c, scalar(type), 0x10, d, m);
}

void target_store_reg(struct compiler *c, unsigned type, uint8_t s, uint32_t slot) {
    if (LIKELY(!type_is_float(type))) {
        x64_rs(&c->p, 1, 0x89, s, slot);
        return;
    }
    struct x64_mem m = x64_slot(slot);
    if (type == T_V128) sse_rm(c, 0, 0x11, s, m);
    else sse_rm(c, scalar(type), 0x11, s, m);
}

void target_store(struct compiler *c, const struct value *v, uint32_t slot) {
    uint8_t r = reg_of(c, v);
    if (r != NO_REG) {
        target_store_reg(c, v->type, r, slot);
    } else if (is_imm(v) && v->type != T_V128) {
        if ((int64_t)v->imm == (int32_t)v->imm) {
            x64_store_imm(&c->p, 1, x64_slot(slot), (int32_t)v->imm);
        } else {
            x64_mov_ri(&c->p, SCRATCH, v->imm);
            x64_store(&c->p, 1, SCRATCH, x64_slot(slot));
        }
    } else if (v->type == T_V128) {
        target_move(c, FSCRATCH, v);
        target_store_reg(c, T_V128, FSCRATCH, slot);
    } else {
        struct value as_int = *v;
        as_int.type = v->type == T_I32 || v->type == T_F32 ? T_I32 : T_I64;
        target_move(c, SCRATCH, &as_int);
        x64_store(&c->p, 1, SCRATCH, x64_slot(slot));
    }
}

void target_zero_slots(struct compiler *c, uint32_t slot, uint32_t n) {
    code_reserve(c, (size_t)n * 8 + 64);
    if (n == 1) {
        x64_store_imm(&c->p, 1, x64_slot(slot), 0);
        return;
    }
    target_zero(c, XMM0);
    for (; n >= 2; n -= 2, slot += 2) target_store_reg(c, T_V128, XMM0, slot);
    if (n) target_store_reg(c, T_F64, XMM0, slot);
}

/* ---- branches ---- */

void target_patch(struct compiler *c, uint32_t at, uint32_t base, uint32_t to) { x64_put32(c->text + at, to - base); }

void target_jump(struct compiler *c, uint8_t cc, struct label *l) {
    if (cc == CC_FNE) {
        target_jump(c, CC_P, l);
        cc = CC_NE;
    } else if (cc == CC_FEQ) {
        uint8_t *unordered = x64_jcc8(&c->p, CC_P);
        target_jump(c, CC_E, l);
        x64_land(unordered, c->p);
        return;
    }
    if (l->at != NO_LABEL) {
        int32_t distance = (int32_t)(l->at - code_at(c) - 2);
        if (distance >= -128) {
            *c->p++ = cc == CC_ALWAYS ? 0xeb : (uint8_t)(0x70 | cc);
            *c->p++ = (uint8_t)distance;
            return;
        }
    }
    uint8_t *at = cc == CC_ALWAYS ? x64_jmp(&c->p) : x64_jcc(&c->p, (enum x64_cc)cc);
    label_use(c, l, (uint32_t)(at - c->text), code_at(c));
}

void target_jump_table(struct compiler *c, uint8_t index, struct label **labels, uint32_t n) {
    code_reserve(c, (size_t)n * 4 + 64);
    uint8_t *at = x64_lea_rip(&c->p, SCRATCH);
    uint32_t after = code_at(c);
    x64_rm(&c->p, 1, 0x63, index, x64_mem(SCRATCH, index, 2, 0, 0));
    x64_alu_rr(&c->p, 1, X64_ADD, SCRATCH, index);
    x64_jmp_r(&c->p, SCRATCH);
    while (code_at(c) & 3) *c->p++ = 0xcc;
    uint32_t table = code_at(c);
    x64_put32(at, table - after);
    c->p += (size_t)n * 4;
    for (uint32_t i = 0; i < n; i++) label_use(c, labels[i], table + i * 4, table);
}

void target_bind_loop(struct compiler *c) {
    unsigned past = code_at(c) & (TARGET_ALIGN - 1);
    if (past) x64_nops(&c->p, TARGET_ALIGN - past);
}

static void raise(struct compiler *c, enum abi_trap trap, uint32_t wasm_offset) {
    x64_mov_ri(&c->p, RAX, trap);
    x64_call_m(&c->p, x64_gs(ABI_CTX(rt_trap)));
    site_at(c, ABI_SITE_TRAP, wasm_offset);
}

void target_trap(struct compiler *c, enum abi_trap trap) { raise(c, trap, op_offset(c)); }

void target_stub(struct compiler *c, struct stub *s) {
    if (s->trap == STUB_FAR_CALL) {
        x64_call_m(&c->p, x64_gs(ABI_CTX(rt_far)));
        call_site_at(c, s->wasm_offset, s->frame, s->clause);
        uint8_t *back = x64_jmp(&c->p);
        x64_put32(back, s->resume - code_at(c));
        return;
    }
    if (s->nan_type) {
        sse_rr(c, packed(s->nan_type), 0x2e, s->reg, s->reg);
        x64_mov_ri(&c->p, RAX, s->trap);
        uint8_t *number = x64_jcc8(&c->p, CC_NP);
        x64_mov_ri(&c->p, RAX, ABI_TRAP_INVALID_CONVERSION);
        x64_land(number, c->p);
        x64_call_m(&c->p, x64_gs(ABI_CTX(rt_trap)));
        site_at(c, ABI_SITE_TRAP, s->wasm_offset);
        return;
    }
    raise(c, (enum abi_trap)s->trap, s->wasm_offset);
}

/* ---- calls ---- */

static void move_frame(struct compiler *c, int32_t slots) {
    if (slots) x64_alu_ri(&c->p, 1, slots > 0 ? X64_ADD : X64_SUB, R13, (slots > 0 ? slots : -slots) * 8);
}

bool target_resolve_call(struct compiler *c, uint32_t at, uint32_t func_start) {
    x64_put32(c->text + at, func_start - at - 4);
    return true;
}

/* `at`: the 32 bits of a call or jump to a function of this object. */
static void to_internal(struct compiler *c, uint32_t func_index, uint32_t at) {
    uint32_t start = c->out->funcs[func_index].start;
    if (start != UINT32_MAX) {
        target_resolve_call(c, at, start);
    } else {
        struct fix f = {at, func_index, 0};
        vec_push(c->arena, &c->calls, f);
    }
}

static const struct abi_layout_func *imported(const struct compiler *c, uint32_t func_index) {
    return func_index < c->m->funcs_imported ? &c->layout->funcs[func_index] : NULL;
}

/* To a function whose code is at a distance known when the image is made. */
static void to_near(struct compiler *c, uint32_t func_index, const struct abi_layout_func *f, const uint8_t *field) {
    uint32_t at = (uint32_t)(field - c->text);
    if (!f || f->where != ABI_FUNC_DIRECT) {
        to_internal(c, func_index, at);
        return;
    }
    struct abi_reloc r = {at, ABI_RELOC_FUNC_PC32, f->instance, f->func_index};
    vec_push(c->arena, &c->out->relocs, r);
}

void target_call(struct compiler *c, uint32_t func_index, uint32_t frame) {
    const struct abi_layout_func *f = imported(c, func_index);
    if (f && (f->where == ABI_FUNC_NEAR || f->where == ABI_FUNC_FAR)) {
        x64_load(&c->p, 1, RAX, x64_gs(f->offset));
        target_call_record(c, frame, f->where == ABI_FUNC_FAR);
        return;
    }
    move_frame(c, (int32_t)frame);
    to_near(c, func_index, f, x64_call(&c->p));
    call_site(c, frame);
    move_frame(c, -(int32_t)frame);
}

/* rax holds the struct abi_func. */
void target_call_record(struct compiler *c, uint32_t frame, bool may_be_far) {
    move_frame(c, (int32_t)frame);
    struct label *far_call = NULL;
    if (may_be_far) {
        x64_alu_mi(&c->p, 0, X64_CMP, x64_at(RAX, offsetof(struct abi_func, group)), (int32_t)c->layout->group);
        far_call = stub_add(
            c,
            (struct stub){
                .label = {NO_LABEL, 0}, .trap = STUB_FAR_CALL, .wasm_offset = op_offset(c), .frame = frame, .clause = c->clause});
        target_jump(c, CC_NE, far_call);
    }
    x64_call_m(&c->p, x64_at(RAX, offsetof(struct abi_func, code)));
    call_site(c, frame);
    if (may_be_far) container_of(far_call, struct stub, label)->resume = code_at(c);
    move_frame(c, -(int32_t)frame);
}

void target_tail_call(struct compiler *c, uint32_t func_index) {
    const struct abi_layout_func *f = imported(c, func_index);
    if (f && (f->where == ABI_FUNC_NEAR || f->where == ABI_FUNC_FAR)) {
        x64_load(&c->p, 1, RAX, x64_gs(f->offset));
        target_tail_call_record(c, f->where == ABI_FUNC_FAR);
        return;
    }
    to_near(c, func_index, f, x64_jmp(&c->p));
}

void target_tail_call_record(struct compiler *c, bool may_be_far) {
    if (may_be_far) {
        x64_alu_mi(&c->p, 0, X64_CMP, x64_at(RAX, offsetof(struct abi_func, group)), (int32_t)c->layout->group);
        uint8_t *near = x64_jcc8(&c->p, CC_E);
        x64_jmp_m(&c->p, x64_gs(ABI_CTX(rt_far_tail)));
        x64_land(near, c->p);
    }
    x64_jmp_m(&c->p, x64_at(RAX, offsetof(struct abi_func, code)));
}

void target_throw(struct compiler *c, uint32_t tag, uint32_t slots, uint32_t slot) {
    x64_lea(&c->p, 1, RCX, x64_slot(slot));
    x64_mov_ri(&c->p, RAX, tag);
    x64_mov_ri(&c->p, RDX, slots);
    x64_call_m(&c->p, x64_gs(ABI_CTX(rt_throw)));
    call_site(c, 0);
}

void target_rtcall(struct compiler *c, enum abi_rtcall rt, uint32_t frame) {
    x64_lea(&c->p, 1, RCX, x64_slot(frame));
    x64_mov_ri(&c->p, RAX, rt);
    x64_call_m(&c->p, x64_gs(ABI_CTX(rt_call)));
    site(c, ABI_SITE_CALL);
}

void target_new(struct compiler *c, uint32_t type_id, uint32_t class, uint32_t frame) {
    x64_load(&c->p, 1, SCRATCH, x64_gs(ABI_CTX(heap)));
    x64_mov_ri(&c->p, RAX, offsetof(struct abi_heap, runs) + class * sizeof(struct abi_run));
    x64_mov_ri(&c->p, RDX, abi_object_header(type_id, ABI_OBJECT_STRUCT));
    x64_lea(&c->p, 1, RCX, x64_slot(frame));
    x64_call_m(&c->p, x64_at(SCRATCH, offsetof(struct abi_heap, allocate)));
    site(c, ABI_SITE_CALL);
}

void target_ref_func(struct compiler *c, uint32_t func_index, uint8_t d) {
    uint8_t *at = x64_lea_rip(&c->p, d);
    struct abi_reloc r = {(uint32_t)(at - c->text), ABI_RELOC_RECORD_PC32, c->layout->instance, func_index};
    vec_push(c->arena, &c->out->relocs, r);
}

/* ---- prologue, return ---- */

void target_check_frame(struct compiler *c, uint32_t slots) {
    uint64_t bytes = (uint64_t)slots * 8;
    if (bytes <= ABI_STACK_GUARD_BYTES / 2) return;
    x64_lea(&c->p, 1, SCRATCH, x64_at(R13, (int32_t)bytes));
    x64_alu_rm(&c->p, 1, X64_CMP, SCRATCH, x64_gs(ABI_CTX(frame_limit)));
    target_jump(c, CC_A, trap_stub(c, ABI_TRAP_STACK_OVERFLOW));
}

void target_touch_frame(struct compiler *c) { x64_rm(&c->p, 0, 0x84, RAX, x64_slot(0)); /* test [r13], al */ }

void target_enter(struct compiler *c) { (void)c; }

void target_return(struct compiler *c) { x64_ret(&c->p); }

/* ---- host thunks and entry adapters ---- */

void target_host_thunk(struct compiler *c, const struct wasm_deftype *t, uint32_t host_index) {
    uint32_t ints = 0, floats = 0, slot = 0;
    code_reserve(c, 256);
    for (uint32_t i = 0; i < t->params_count; i++) {
        unsigned type = type_of(t->params[i]);
        uint8_t r = arg_reg(type, &ints, &floats);
        if (r != NO_REG) target_store_reg(c, type, r, slot);
        slot += type_slots(type);
    }
    x64_mov_rr(&c->p, 1, RCX, R13);
    x64_mov_ri(&c->p, RAX, host_index);
    x64_call_m(&c->p, x64_gs(ABI_CTX(rt_host)));
    site_at(c, ABI_SITE_CALL, 0);
    if (t->results_count) {
        unsigned type = type_of(t->results[0]);
        target_load_slot(c, type, type_is_float(type) ? XMM0 : RAX, 0);
    }
    x64_ret(&c->p);
}

/* C calling convention in (rdi = record, rsi = canonical array, rdx = frame), wasm's out. */
void target_entry(struct compiler *c, const struct wasm_deftype *t) {
    static const uint8_t saved[] = {RBX, RBP, R12, R13, R14, R15, RSI};
    code_reserve(c, ((size_t)t->params_count + t->results_count) * 24 + 256);
    for (unsigned i = 0; i < ARRAY_COUNT(saved); i++) x64_push(&c->p, saved[i]);
    x64_mov_rr(&c->p, 1, R13, RDX);
    x64_mov_rr(&c->p, 1, RAX, RDI);
    x64_mov_rr(&c->p, 1, RCX, RSI);
    uint32_t ints = 0, floats = 0, slot = 0;
    for (uint32_t i = 0; i < t->params_count; i++) {
        unsigned type = type_of(t->params[i]), n = type_slots(type);
        uint8_t r = arg_reg(type, &ints, &floats);
        struct x64_mem m = x64_at(RCX, (int32_t)(slot * 8));
        if (r == NO_REG) {
            for (unsigned k = 0; k < n; k++) {
                x64_load(&c->p, 1, SCRATCH, x64_at(RCX, (int32_t)((slot + k) * 8)));
                x64_store(&c->p, 1, SCRATCH, x64_slot(slot + k));
            }
        } else if (!type_is_float(type)) {
            x64_load(&c->p, type_is_64(type), r, m);
        } else {
            sse_rm(c, type == T_V128 ? 0 : scalar(type), 0x10, r, m);
        }
        slot += n;
    }
    x64_call_m(&c->p, x64_at(RAX, offsetof(struct abi_func, code)));
    x64_pop(&c->p, RCX);
    slot = 0;
    for (uint32_t i = 0; i < t->results_count; i++) {
        unsigned type = type_of(t->results[i]), n = type_slots(type);
        struct x64_mem m = x64_at(RCX, (int32_t)(slot * 8));
        if (i == 0 && !type_is_float(type)) {
            x64_store(&c->p, 1, RAX, m);
        } else if (i == 0) {
            sse_rm(c, type == T_V128 ? 0 : scalar(type), 0x11, XMM0, m);
        } else {
            for (unsigned k = 0; k < n; k++) {
                x64_load(&c->p, 1, SCRATCH, x64_slot(slot + k));
                x64_store(&c->p, 1, SCRATCH, x64_at(RCX, (int32_t)((slot + k) * 8)));
            }
        }
        slot += n;
    }
    for (unsigned i = ARRAY_COUNT(saved) - 1; i-- > 0;) x64_pop(&c->p, saved[i]);
    x64_ret(&c->p);
}
