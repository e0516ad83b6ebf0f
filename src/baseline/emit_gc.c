/* emit_gc: structs, arrays, i31, casts. Layout of objects and references: abi/gc.h.
 *
 * Null is not compared with: a field's or a length's load faults at a low address (ABI_SITE_NULL), of which the engine makes the trap.
 * Only fields beyond FAULT_MAX are checked. What allocates, copies or fills is a runtime call; an access is inline. */
#include "baseline/baseline_int.h"

enum { FAULT_MAX = ABI_PAGE - 64, INLINE_INDEX_MAX = 1 << 20 };

static enum access access_of_field(wasm_type t, bool is_signed) {
    switch (t) {
    case WASM_I8: return is_signed ? A_8S : A_8U;
    case WASM_I16: return is_signed ? A_16S : A_16U;
    case WASM_I32: return A_32;
    case WASM_F32: return A_F32;
    case WASM_F64: return A_F64;
    case WASM_V128: return A_V128;
    default: return A_64;
    }
}

/* On the operand stack. */
static unsigned type_of_field(wasm_type t) { return t == WASM_I8 || t == WASM_I16 ? T_I32 : type_of(t); }

static const uint32_t *offsets_of(struct compiler *c, uint32_t type) {
    if (!c->field_offsets[type]) {
        c->field_offsets[type] = arena_array(c->arena, uint32_t, (size_t)c->m->types[type].fields_count + 1);
        abi_struct_layout(&c->m->types[type], c->field_offsets[type]);
    }
    return c->field_offsets[type];
}

/* Of the payload. */
static uint32_t struct_bytes(struct compiler *c, uint32_t type) {
    const struct wasm_deftype *t = &c->m->types[type];
    uint32_t last = t->fields_count - 1;
    return t->fields_count ? offsets_of(c, type)[last] + abi_field_bytes(t->fields[last].type) : 0;
}

static uint32_t id_of(const struct compiler *c, uint32_t type) { return c->layout->type_ids[type]; }

/* Traps if the held reference is null. */
static void check_null(struct compiler *c, struct value *ref, enum abi_trap trap) {
    uint8_t not_null = target_test(c, 1, ref);
    target_jump(c, not_null ^ 1, trap_stub(c, trap));
}

/* ---- structs ---- */

/* Pops the topmost operands into the new object in the result register, and pushes it. */
static void fill_object(struct compiler *c, const struct wasm_deftype *t, const uint32_t *offsets, uint32_t n) {
    struct value o = pop(c);
    code_reserve(c, (size_t)n * 32 + 64);
    for (uint32_t i = n; i-- > 0;) {
        struct value v = pop(c);
        enum access a = access_of_field(offsets ? t->fields[i].type : t->fields[0].type, false);
        uint32_t at = offsets ? offsets[i] : i * abi_field_bytes(t->fields[0].type);
        if (!is_imm(&v) || v.imm != 0 || v.type == T_V128) target_object_store(c, a, o.reg, ABI_OBJECT_PAYLOAD + at, &v);
        release(c, &v);
    }
    push_reg(c, T_REF, o.reg);
}

void emit_struct_new(struct compiler *c, bool fields) {
    uint32_t type = wasm_get_u32(&c->pc), lead[] = {id_of(c, type)};
    const struct wasm_deftype *t = &c->m->types[type];
    uint32_t bytes = ABI_OBJECT_PAYLOAD + struct_bytes(c, type);
    if (bytes <= ABI_CELL_MAX) emit_new(c, lead[0], bytes);
    else emit_rtcall(c, ABI_RT_STRUCT_NEW, lead, 1, 0, T_REF);
    if (fields && t->fields_count) fill_object(c, t, offsets_of(c, type), t->fields_count);
}

void emit_struct_get(struct compiler *c, bool is_signed) {
    uint32_t type = wasm_get_u32(&c->pc), field = wasm_get_u32(&c->pc);
    wasm_type t = c->m->types[type].fields[field].type;
    uint32_t at = ABI_OBJECT_PAYLOAD + offsets_of(c, type)[field];
    struct value o = pop(c);
    hold(c, &o);
    if (at > FAULT_MAX) check_null(c, &o, ABI_TRAP_NULL_STRUCT);
    uint8_t d = dest(c, type_of_field(t), &o, NULL);
    target_object_load(c, access_of_field(t, is_signed), d, reg_of(c, &o), at);
    finish(c, type_of_field(t), d, &o, NULL);
}

void emit_struct_set(struct compiler *c) {
    uint32_t type = wasm_get_u32(&c->pc), field = wasm_get_u32(&c->pc);
    uint32_t at = ABI_OBJECT_PAYLOAD + offsets_of(c, type)[field];
    struct value v = pop(c), o = pop(c);
    if (!is_imm(&v)) hold(c, &v);
    hold(c, &o);
    if (at > FAULT_MAX) check_null(c, &o, ABI_TRAP_NULL_STRUCT);
    target_object_store(c, access_of_field(c->m->types[type].fields[field].type, false), reg_of(c, &o), at, &v);
    release(c, &v), release(c, &o);
}

/* ---- arrays ---- */

void emit_array_new(struct compiler *c, bool with_default) {
    uint32_t lead[] = {id_of(c, wasm_get_u32(&c->pc))};
    emit_rtcall(c, with_default ? ABI_RT_ARRAY_NEW_DEFAULT : ABI_RT_ARRAY_NEW, lead, 1, with_default ? 1 : 2, T_REF);
}

void emit_array_new_fixed(struct compiler *c) {
    uint32_t type = wasm_get_u32(&c->pc), n = wasm_get_u32(&c->pc), lead[] = {id_of(c, type), n};
    emit_rtcall(c, ABI_RT_ARRAY_NEW_DEFAULT, lead, 2, 0, T_REF);
    if (n) fill_object(c, &c->m->types[type], NULL, n);
}

void emit_array_new_segment(struct compiler *c, enum abi_rtcall rt) {
    uint32_t type = wasm_get_u32(&c->pc), segment = wasm_get_u32(&c->pc);
    uint32_t lead[] = {c->layout->instance, id_of(c, type), segment};
    emit_rtcall(c, rt, lead, 3, 2, T_REF);
}

static void hold_index(struct compiler *c, struct value *index) {
    if (!is_imm(index) || index->imm >= INLINE_INDEX_MAX) hold(c, index);
}

void emit_array_get(struct compiler *c, bool is_signed) {
    wasm_type t = c->m->types[wasm_get_u32(&c->pc)].fields[0].type;
    struct value index = pop(c), o = pop(c);
    hold_index(c, &index);
    hold(c, &o);
    target_array_check(c, reg_of(c, &o), &index);
    uint8_t d = dest(c, type_of_field(t), &o, &index);
    target_element_load(c, access_of_field(t, is_signed), d, reg_of(c, &o), &index);
    finish(c, type_of_field(t), d, &o, &index);
}

void emit_array_set(struct compiler *c) {
    wasm_type t = c->m->types[wasm_get_u32(&c->pc)].fields[0].type;
    struct value v = pop(c), index = pop(c), o = pop(c);
    if (!is_imm(&v)) hold(c, &v);
    hold_index(c, &index);
    hold(c, &o);
    target_array_check(c, reg_of(c, &o), &index);
    target_element_store(c, access_of_field(t, false), reg_of(c, &o), &index, &v);
    release(c, &v), release(c, &index), release(c, &o);
}

void emit_array_len(struct compiler *c) {
    struct value o = pop(c);
    hold(c, &o);
    uint8_t d = dest(c, T_I32, &o, NULL);
    target_object_load(c, A_32, d, reg_of(c, &o), offsetof(struct abi_gc_object, length));
    finish(c, T_I32, d, &o, NULL);
}

void emit_array_fill(struct compiler *c) {
    wasm_get_u32(&c->pc);
    emit_rtcall(c, ABI_RT_ARRAY_FILL, NULL, 0, 4, 0);
}

void emit_array_copy(struct compiler *c) {
    wasm_get_u32(&c->pc), wasm_get_u32(&c->pc);
    emit_rtcall(c, ABI_RT_ARRAY_COPY, NULL, 0, 5, 0);
}

void emit_array_init(struct compiler *c, enum abi_rtcall rt) {
    wasm_get_u32(&c->pc);
    uint32_t lead[] = {c->layout->instance, wasm_get_u32(&c->pc)};
    emit_rtcall(c, rt, lead, 2, 4, 0);
}

/* ---- i31 ---- */

void emit_ref_i31(struct compiler *c) {
    struct value v = pop(c);
    if (is_imm(&v)) {
        push_imm(c, T_REF, v.imm << ABI_I31_SHIFT | ABI_REF_I31);
        return;
    }
    uint8_t d = dest(c, T_REF, &v, NULL);
    struct value shift = {.kind = V_IMM, .type = T_I64, .imm = ABI_I31_SHIFT},
                 tag = {.kind = V_IMM, .type = T_I64, .imm = ABI_REF_I31};
    v.type = T_I64; /* i32 are zero-extended */
    target_shift(c, SHIFT_SHL, 1, d, &v, &shift);
    struct value shifted = {.kind = V_REG, .type = T_I64, .reg = d};
    target_alu(c, ALU_OR, 1, d, &shifted, &tag);
    finish(c, T_REF, d, &v, NULL);
}

void emit_i31_get(struct compiler *c, bool is_signed) {
    struct value v = pop(c);
    hold(c, &v);
    check_null(c, &v, ABI_TRAP_NULL_I31);
    uint8_t d = dest(c, T_I32, &v, NULL);
    struct value shift = {.kind = V_IMM, .type = T_I64, .imm = ABI_I31_SHIFT};
    target_shift(c, is_signed ? SHIFT_SHR_S : SHIFT_SHR_U, 1, d, &v, &shift);
    struct value wide = {.kind = V_REG, .type = T_I64, .reg = d};
    if (is_signed) target_unary(c, UN_WRAP, 0, d, &wide);
    finish(c, T_I32, d, &v, NULL);
}

/* ---- casts ---- */

/* A type that a check of the display cannot find: deep in a chain of supertypes. */
static bool is_deep(const struct compiler *c, uint32_t heap) {
    return wasm_heap_is_index(heap) && c->m->canon->depths.p[id_of(c, wasm_heap_index(heap))] >= ABI_DISPLAY;
}

static void jump_if_bits(struct compiler *c, uint8_t reg, uint32_t bits, bool set, struct label *to) {
    struct value v = {.kind = V_REG, .type = T_I32, .reg = reg}, mask = {.kind = V_IMM, .type = T_I32, .imm = bits};
    uint8_t any = target_test_bits(c, 0, &v, &mask);
    target_jump(c, set ? any : any ^ 1, to);
}

static void jump_if_equal(struct compiler *c, uint8_t reg, uint32_t imm, bool equal, struct label *to) {
    struct value v = {.kind = V_REG, .type = T_I32, .reg = reg}, k = {.kind = V_IMM, .type = T_I32, .imm = imm};
    target_jump(c, target_compare(c, equal ? EQ : NE, 0, &v, &k), to);
}

/* The object's or function's type is `type` or a subtype, else to fail. t and s are temporaries; r holds it, not null. */
static void check_concrete(struct compiler *c, uint8_t r, uint32_t type, uint8_t t, uint8_t s, struct label *fail) {
    const struct wasm_deftype *def = &c->m->types[type];
    bool func = def->comp == WASM_COMP_FUNC;
    uint32_t id = id_of(c, type), kind = func ? 0 : def->comp == WASM_COMP_STRUCT ? ABI_OBJECT_STRUCT : ABI_OBJECT_ARRAY;
    if (!func) jump_if_bits(c, r, ABI_REF_I31 | ABI_REF_HOST, true, fail);
    target_object_load(c, A_32, t, r, func ? offsetof(struct abi_func, type_id) : offsetof(struct abi_gc_object, header));
    uint32_t exact = func ? id : abi_object_header(id, (enum abi_object_kind)kind);
    if (def->final) {
        jump_if_equal(c, t, exact, false, fail);
        return;
    }
    struct label same = {NO_LABEL, 0};
    struct value vt = {.kind = V_REG, .type = T_I64, .reg = t}, vs = {.kind = V_REG, .type = T_I64, .reg = s};
    jump_if_equal(c, t, exact, true, &same);
    if (func) {
        struct value shift = {.kind = V_IMM, .type = T_I64, .imm = ABI_OBJECT_TYPE_SHIFT};
        target_shift(c, SHIFT_SHL, 1, t, &vt, &shift);
    } else { /* the kind may be another than the wanted one: an offset for it would read between two ids */
        struct value id_bits = {.kind = V_IMM, .type = T_I64, .imm = ~((1ull << ABI_OBJECT_TYPE_SHIFT) - 1)};
        target_alu(c, ALU_AND, 1, t, &vt, &id_bits);
    }
    target_context_load(c, s, ABI_CTX(heap));
    target_object_load(c, A_64, s, s, offsetof(struct abi_heap, types));
    target_alu(c, ALU_ADD, 1, s, &vs, &vt);
    uint32_t depth = c->m->canon->depths.p[id];
    target_object_load(c, A_32, t, s, offsetof(struct abi_type, display) + depth * 4);
    jump_if_equal(c, t, id, false, fail);
    label_bind(c, &same);
}

/* To fail if the reference in r is not of the type; r is as before. */
static void check_cast(struct compiler *c, uint8_t r, uint32_t heap, bool null_ok, uint8_t t, uint8_t s, struct label *fail) {
    struct value ref = {.kind = V_REG, .type = T_REF, .reg = r};
    struct label ok = {NO_LABEL, 0};
    uint8_t not_null = target_test(c, 1, &ref);
    target_jump(c, not_null ^ 1, null_ok ? &ok : fail);
    switch (heap) {
    case WASM_HEAP_FUNC:
    case WASM_HEAP_EXTERN:
    case WASM_HEAP_ANY:
    case WASM_HEAP_EXN: break;
    case WASM_HEAP_EQ: jump_if_bits(c, r, ABI_REF_HOST, true, fail); break;
    case WASM_HEAP_I31: jump_if_bits(c, r, ABI_REF_I31, false, fail); break;
    case WASM_HEAP_STRUCT:
    case WASM_HEAP_ARRAY:
        jump_if_bits(c, r, ABI_REF_I31 | ABI_REF_HOST, true, fail);
        target_object_load(c, A_32, t, r, offsetof(struct abi_gc_object, header));
        jump_if_bits(c, t, heap == WASM_HEAP_STRUCT ? ABI_OBJECT_STRUCT : ABI_OBJECT_ARRAY, false, fail);
        break;
    default:
        if (wasm_heap_is_index(heap)) check_concrete(c, r, wasm_heap_index(heap), t, s, fail);
        else target_jump(c, CC_ALWAYS, fail); /* the bottom types have no value but null */
        break;
    }
    label_bind(c, &ok);
}

/* For deep types: 1 or 0 in a register on top of the reference, which is in its slot. */
static void test_by_runtime(struct compiler *c, uint32_t heap, bool null_ok) {
    uint32_t lead[] = {WASM_HEAP_INDEX + id_of(c, wasm_heap_index(heap)), null_ok};
    flush_whole(c, c->sp - 1);
    emit_rtcall(c, ABI_RT_TYPE_TEST, lead, 2, 1, T_I32);
    struct value outcome = pop(c);
    push_slot(c, T_REF);
    push_value(c, &outcome);
}

/* The same for any type, the reference held. */
static void test(struct compiler *c, uint32_t heap, bool null_ok) {
    if (is_deep(c, heap)) {
        test_by_runtime(c, heap, null_ok);
        return;
    }
    struct value v = pop(c);
    hold(c, &v);
    uint8_t t = alloc(c, false), s = alloc(c, false);
    struct label fail = {NO_LABEL, 0}, done = {NO_LABEL, 0};
    struct value yes = {.kind = V_IMM, .type = T_I32, .imm = 1}, no = {.kind = V_IMM, .type = T_I32};
    check_cast(c, reg_of(c, &v), heap, null_ok, t, s, &fail);
    target_move(c, t, &yes);
    target_jump(c, CC_ALWAYS, &done);
    label_bind(c, &fail);
    target_move(c, t, &no);
    label_bind(c, &done);
    release_reg(c, s);
    push_value(c, &v);
    push_reg(c, T_I32, t);
}

void emit_ref_test(struct compiler *c, bool null_ok) {
    test(c, wasm_get_heap(&c->pc), null_ok);
    struct value outcome = pop(c), v = pop(c);
    release(c, &v);
    push_value(c, &outcome);
}

void emit_ref_cast(struct compiler *c, bool null_ok) {
    uint32_t heap = wasm_get_heap(&c->pc);
    if (is_deep(c, heap)) {
        test_by_runtime(c, heap, null_ok);
        struct value outcome = pop(c);
        uint8_t yes = target_test(c, 0, &outcome);
        target_jump(c, yes ^ 1, trap_stub(c, ABI_TRAP_CAST));
        release(c, &outcome);
        return;
    }
    struct value v = pop(c);
    hold(c, &v);
    uint8_t t = alloc(c, false), s = alloc(c, false);
    check_cast(c, reg_of(c, &v), heap, null_ok, t, s, trap_stub(c, ABI_TRAP_CAST));
    release_reg(c, t), release_reg(c, s);
    push_value(c, &v);
}

void emit_br_on_cast(struct compiler *c, bool on_fail) {
    enum { TO_NULLABLE = 2 };
    uint8_t flags = *c->pc++;
    uint32_t depth = wasm_get_u32(&c->pc);
    wasm_get_heap(&c->pc);
    test(c, wasm_get_heap(&c->pc), flags & TO_NULLABLE);
    struct value outcome = pop(c);
    uint8_t yes = target_test(c, 0, &outcome);
    release(c, &outcome);
    c->flags_live = true;
    branch_if(c, depth, on_fail ? yes ^ 1 : yes);
}
