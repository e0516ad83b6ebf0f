/* validate_ops: the instructions that are rare in practice: references, aggregates, tables and bulk
 * operations, and all that have a fixed signature but no place in the quick loop of validate_func.c. */
#include "wasm/validate_int.h"

/* ---- fixed signatures, with whatever immediates ------------------------------------------------- */

/* A memory's address type; WASM_BOT after a failure. */
static wasm_type memory_address(struct wasm_validator *v, uint32_t index) {
    if (v->r.fail) wv_read_failed(v);
    else if (index < v->m->memories_count) return wasm_address_type(&v->m->memories[index].limits);
    else wv_invalid(v, "unknown memory %u", index);
    return WASM_BOT;
}

static wasm_type read_memory(struct wasm_validator *v) {
    uint32_t index = wasm_rd_u32(&v->r);
    return memory_address(v, index);
}

/* §3.4.6 and the grammar's memarg (§5.4.6): bit 6 of the flags says that a memory index follows. */
static wasm_type read_memarg(struct wasm_validator *v) {
    uint32_t flags = wasm_rd_u32(&v->r), natural = wasm_ops[v->op].aux;
    if (!v->r.fail && flags >= 0x80) return wv_malformed(v, "malformed memop flags"), WASM_BOT;
    uint32_t index = flags & 0x40 ? wasm_rd_u32(&v->r) : 0;
    uint64_t offset = wasm_rd_u64(&v->r);
    wasm_type address = memory_address(v, index);
    if (address == WASM_BOT) return WASM_BOT;
    if ((flags & 0x3f) > natural) return wv_invalid(v, "alignment must not be larger than natural"), WASM_BOT;
    if (v->op >= WASM_BASE_FE && v->op < WASM_BASE_FD && (flags & 0x3f) != natural)
        return wv_invalid(v, "atomic alignment must be natural"), WASM_BOT;
    if (address == WASM_I32 && offset > UINT32_MAX) return wv_invalid(v, "offset out of range"), WASM_BOT;
    return address;
}

static bool read_lane(struct wasm_validator *v, uint32_t lanes) {
    uint8_t lane = rd_u8(&v->r);
    if (v->r.fail) return wv_read_failed(v);
    return lane < lanes ? true : wv_invalid(v, "invalid lane index");
}

static bool check_data(struct wasm_validator *v, uint32_t index) {
    if (v->r.fail) return wv_read_failed(v);
    if (!v->m->has_data_count && !v->made_up) return wv_malformed(v, "data count section required");
    return index < v->m->datas_count ? true : wv_invalid(v, "unknown data segment %u", index);
}

static bool read_data(struct wasm_validator *v) {
    uint32_t index = wasm_rd_u32(&v->r);
    return check_data(v, index);
}

static const struct wasm_elem *elem(struct wasm_validator *v, uint32_t index) {
    if (index < v->m->elems_count) return &v->m->elems[index];
    wv_invalid(v, "unknown elem segment %u", index);
    return NULL;
}

static const struct wasm_elem *read_elem(struct wasm_validator *v) {
    uint32_t index;
    return wv_u32(v, &index) ? elem(v, index) : NULL;
}

static bool read_shuffle(struct wasm_validator *v) {
    for (int i = 0; i < 16; i++)
        if (!read_lane(v, 32)) return false;
    return true;
}

static bool read_fixed_immediates(struct wasm_validator *v, wasm_type *address) {
    switch ((enum wasm_imm)wasm_ops[v->op].imm) {
    case WASM_IMM_MEMARG: return (*address = read_memarg(v)) != WASM_BOT;
    case WASM_IMM_MEMARG_LANE: return (*address = read_memarg(v)) != WASM_BOT && read_lane(v, 16u >> wasm_ops[v->op].aux);
    case WASM_IMM_MEMORY: return (*address = read_memory(v)) != WASM_BOT;
    case WASM_IMM_LANE: return read_lane(v, wasm_ops[v->op].aux);
    case WASM_IMM_SHUFFLE: return read_shuffle(v);
    case WASM_IMM_DATA: return read_data(v);
    case WASM_IMM_ELEM: return read_elem(v) != NULL;
    default: wasm_rd_skip_imm(&v->r, (enum wasm_op)v->op); return v->r.fail ? wv_read_failed(v) : true;
    }
}

bool wv_fixed_op(struct wasm_validator *v) {
    const struct signature *s = &v->signatures[v->op];
    wasm_type address = WASM_BOT;
    if (!read_fixed_immediates(v, &address)) return false;
    for (uint32_t i = s->operands_count; i--;)
        if (!wv_pop(v, s->operands[i] == ADDRESS ? address : s->operands[i])) return false;
    return s->result == WASM_BOT || wv_push(v, s->result == ADDRESS ? address : s->result);
}

/* ---- tables and bulk operations (§3.4.5-3.4.6) -------------------------------------------------- */

/* The length of a copy between two address types is of the smaller one. */
static wasm_type smaller(wasm_type a, wasm_type b) { return a == WASM_I32 || b == WASM_I32 ? WASM_I32 : WASM_I64; }

static bool table_op(struct wasm_validator *v) {
    const struct wasm_table *t = wv_read_table(v);
    if (!t) return false;
    wasm_type a = wasm_address_type(&t->limits);
    switch (v->op) {
    case WASM_OP_TABLE_GET: return wv_pop(v, a) && wv_push(v, t->type);
    case WASM_OP_TABLE_SET: return wv_pop(v, t->type) && wv_pop(v, a);
    case WASM_OP_TABLE_SIZE: return wv_push(v, a);
    case WASM_OP_TABLE_GROW: return wv_pop(v, a) && wv_pop(v, t->type) && wv_push(v, a);
    default: return wv_pop(v, a) && wv_pop(v, t->type) && wv_pop(v, a); /* table.fill */
    }
}

static bool table_copy(struct wasm_validator *v) {
    const struct wasm_table *dst = wv_read_table(v), *src = dst ? wv_read_table(v) : NULL;
    if (!src) return false;
    if (!wasm_type_sub(v->m, src->type, dst->type))
        return wv_invalid(v, "type mismatch: table.copy between tables of other types");
    wasm_type a = wasm_address_type(&dst->limits), b = wasm_address_type(&src->limits);
    return wv_pop(v, smaller(a, b)) && wv_pop(v, b) && wv_pop(v, a);
}

static bool table_init(struct wasm_validator *v) {
    uint32_t index;
    const struct wasm_table *t = wv_u32(v, &index) ? wv_read_table(v) : NULL;
    const struct wasm_elem *e = t ? elem(v, index) : NULL;
    if (!e) return false;
    if (!wasm_type_sub(v->m, e->type, t->type)) return wv_invalid(v, "type mismatch: table.init from a segment of another type");
    return wv_pop(v, WASM_I32) && wv_pop(v, WASM_I32) && wv_pop(v, wasm_address_type(&t->limits));
}

bool wv_bulk_op(struct wasm_validator *v) {
    wasm_type a, b;
    switch (v->op) {
    case WASM_OP_MEMORY_INIT:
        b = wasm_rd_u32(&v->r); /* the data segment */
        if ((a = read_memory(v)) == WASM_BOT || !check_data(v, b)) return false;
        return wv_pop(v, WASM_I32) && wv_pop(v, WASM_I32) && wv_pop(v, a);
    case WASM_OP_MEMORY_COPY:
        if ((a = read_memory(v)) == WASM_BOT || (b = read_memory(v)) == WASM_BOT) return false;
        return wv_pop(v, smaller(a, b)) && wv_pop(v, b) && wv_pop(v, a);
    case WASM_OP_TABLE_COPY: return table_copy(v);
    case WASM_OP_TABLE_INIT: return table_init(v);
    default: return table_op(v);
    }
}

/* ---- references (§3.4.2, §3.4.10) --------------------------------------------------------------- */

static bool read_heap(struct wasm_validator *v, uint32_t *heap) {
    *heap = wasm_rd_heap(&v->r);
    return wv_type_valid(v, wasm_ref(*heap, true));
}

/* The top of the hierarchy that heap belongs to: what a cast may start from. */
static uint32_t top_heap(const struct wasm_module *m, uint32_t heap) {
    if (wasm_heap_is_index(heap)) return m->types[wasm_heap_index(heap)].comp == WASM_COMP_FUNC ? WASM_HEAP_FUNC : WASM_HEAP_ANY;
    switch (heap) {
    case WASM_HEAP_FUNC:
    case WASM_HEAP_NOFUNC: return WASM_HEAP_FUNC;
    case WASM_HEAP_EXTERN:
    case WASM_HEAP_NOEXTERN: return WASM_HEAP_EXTERN;
    case WASM_HEAP_EXN:
    case WASM_HEAP_NOEXN: return WASM_HEAP_EXN;
    default: return WASM_HEAP_ANY;
    }
}

static bool ref_func(struct wasm_validator *v) {
    uint32_t index;
    if (!wv_u32(v, &index)) return false;
    if (index >= v->m->funcs_count) return wv_invalid(v, "unknown function %u", index);
    if (!v->made_up && !(v->m->funcs_declared[index >> 3] >> (index & 7) & 1))
        return wv_invalid(v, "undeclared function reference: function %u is not mentioned outside of function bodies", index);
    return wv_push(v, wasm_ref_index(v->m->funcs[index].type, false));
}

static bool br_on_null(struct wasm_validator *v) {
    const wasm_type *t;
    uint32_t n;
    wasm_type ref;
    return wv_read_label(v, &t, &n) && wv_pop_ref(v, &ref) && wv_pop_types(v, t, n) && wv_push_types(v, t, n) &&
           wv_push(v, ref & ~(wasm_type)WASM_NULL_BIT);
}

static bool br_on_non_null(struct wasm_validator *v) {
    const wasm_type *t;
    uint32_t n;
    if (!wv_read_label(v, &t, &n)) return false;
    if (!n || !wasm_is_ref(t[n - 1])) return wv_invalid(v, "type mismatch: the label of br_on_non_null takes no reference");
    return wv_pop(v, t[n - 1] | WASM_NULL_BIT) && wv_pop_types(v, t, n - 1) && wv_push_types(v, t, n - 1);
}

/* §3.4.10: from rt1, rt2 <: rt1; the label gets what is rt2 (br_on_cast) or what is not (br_on_cast_fail). */
static bool br_on_cast(struct wasm_validator *v) {
    uint8_t flags = rd_u8(&v->r);
    if (!v->r.fail && flags > 3) return wv_malformed(v, "malformed br_on_cast flags");
    const wasm_type *t;
    uint32_t n, from_heap, to_heap;
    if (!wv_read_label(v, &t, &n) || !read_heap(v, &from_heap) || !read_heap(v, &to_heap)) return false;
    wasm_type from = wasm_ref(from_heap, flags & 1), to = wasm_ref(to_heap, flags & 2);
    wasm_type rest = flags & 2 ? wasm_ref(from_heap, false) : from;
    wasm_type taken = v->op == WASM_OP_BR_ON_CAST ? to : rest, kept = v->op == WASM_OP_BR_ON_CAST ? rest : to;
    if (!wasm_type_sub(v->m, to, from)) return wv_invalid(v, "type mismatch: a cast to what is no subtype of the source");
    if (!n || !wasm_type_sub(v->m, taken, t[n - 1]))
        return wv_invalid(v, "type mismatch: the label of %s does not take the reference", wasm_ops[v->op].text);
    return wv_pop(v, from) && wv_pop_types(v, t, n - 1) && wv_push_types(v, t, n - 1) && wv_push(v, kept);
}

static bool cast(struct wasm_validator *v) {
    uint32_t heap;
    if (!read_heap(v, &heap) || !wv_pop(v, wasm_ref(top_heap(v->m, heap), true))) return false;
    bool test = v->op == WASM_OP_REF_TEST || v->op == WASM_OP_REF_TEST_NULL;
    return wv_push(v, test ? WASM_I32 : wasm_ref(heap, v->op == WASM_OP_REF_CAST_NULL));
}

static bool convert(struct wasm_validator *v, uint32_t from, uint32_t to) {
    wasm_type t;
    if (!wv_pop_ref(v, &t)) return false;
    if (!wasm_type_sub(v->m, t, wasm_ref(from, true)) && wasm_heap_of(t) != WASM_HEAP_BOT)
        return wv_invalid(v, "type mismatch: %s of a reference of another hierarchy", wasm_ops[v->op].text);
    return wv_push(v, wasm_ref(to, wasm_is_nullable(t)));
}

bool wv_reference_op(struct wasm_validator *v) {
    wasm_type t;
    uint32_t heap;
    switch (v->op) {
    case WASM_OP_REF_NULL: return read_heap(v, &heap) && wv_push(v, wasm_ref(heap, true));
    case WASM_OP_REF_IS_NULL: return wv_pop_ref(v, &t) && wv_push(v, WASM_I32);
    case WASM_OP_REF_FUNC: return ref_func(v);
    case WASM_OP_REF_EQ: t = wasm_ref(WASM_HEAP_EQ, true); return wv_pop(v, t) && wv_pop(v, t) && wv_push(v, WASM_I32);
    case WASM_OP_REF_AS_NON_NULL: return wv_pop_ref(v, &t) && wv_push(v, t & ~(wasm_type)WASM_NULL_BIT);
    case WASM_OP_BR_ON_NULL: return br_on_null(v);
    case WASM_OP_BR_ON_NON_NULL: return br_on_non_null(v);
    case WASM_OP_REF_TEST:
    case WASM_OP_REF_TEST_NULL:
    case WASM_OP_REF_CAST:
    case WASM_OP_REF_CAST_NULL: return cast(v);
    case WASM_OP_BR_ON_CAST:
    case WASM_OP_BR_ON_CAST_FAIL: return br_on_cast(v);
    case WASM_OP_ANY_CONVERT_EXTERN: return convert(v, WASM_HEAP_EXTERN, WASM_HEAP_ANY);
    case WASM_OP_EXTERN_CONVERT_ANY: return convert(v, WASM_HEAP_ANY, WASM_HEAP_EXTERN);
    case WASM_OP_REF_I31: return wv_pop(v, WASM_I32) && wv_push(v, wasm_ref(WASM_HEAP_I31, false));
    default: return wv_pop(v, wasm_ref(WASM_HEAP_I31, true)) && wv_push(v, WASM_I32); /* i31.get_s, i31.get_u */
    }
}

/* ---- structures and arrays (§3.4.2) ------------------------------------------------------------- */

enum { ARRAY_FIXED_MAX = 10'000 };

static wasm_type unpacked(wasm_type t) { return t == WASM_I8 || t == WASM_I16 ? WASM_I32 : t; }
static bool is_packed(wasm_type t) { return t == WASM_I8 || t == WASM_I16; }

static bool check_mutable(struct wasm_validator *v, const struct wasm_field *f, const char *what) {
    return f->mutable ? true : wv_invalid(v, "immutable %s", what);
}

static bool check_defaultable(struct wasm_validator *v, const struct wasm_field *f) {
    return wasm_is_defaultable(f->type) ? true : wv_invalid(v, "type mismatch: a field's type has no default value");
}

/* Packed fields are read by the _s and _u forms, others by the plain one. */
static bool check_packing(struct wasm_validator *v, const struct wasm_field *f, bool plain) {
    if (is_packed(f->type) != plain) return true;
    return wv_invalid(v, "type mismatch: %s of a field that is %spacked", wasm_ops[v->op].text, plain ? "" : "not ");
}

static bool check_bytes(struct wasm_validator *v, const struct wasm_field *f) {
    return !wasm_is_ref(f->type) ? true : wv_invalid(v, "array type is not numeric or vector");
}

static bool struct_new(struct wasm_validator *v, const struct wasm_deftype *t, uint32_t index) {
    for (uint32_t i = t->fields_count; i--;) {
        if (v->op == WASM_OP_STRUCT_NEW_DEFAULT ? !check_defaultable(v, &t->fields[i]) : !wv_pop(v, unpacked(t->fields[i].type)))
            return false;
    }
    return wv_push(v, wasm_ref_index(index, false));
}

static bool struct_op(struct wasm_validator *v) {
    uint32_t index, field;
    const struct wasm_deftype *t = wv_read_type(v, WASM_COMP_STRUCT, &index);
    if (!t) return false;
    if (v->op <= WASM_OP_STRUCT_NEW_DEFAULT) return struct_new(v, t, index);
    if (!wv_u32(v, &field)) return false;
    if (field >= t->fields_count) return wv_invalid(v, "unknown field %u", field);
    const struct wasm_field *f = &t->fields[field];
    wasm_type ref = wasm_ref_index(index, true);
    if (v->op == WASM_OP_STRUCT_SET) return check_mutable(v, f, "field") && wv_pop(v, unpacked(f->type)) && wv_pop(v, ref);
    return check_packing(v, f, v->op == WASM_OP_STRUCT_GET) && wv_pop(v, ref) && wv_push(v, unpacked(f->type));
}

static bool array_new(struct wasm_validator *v, const struct wasm_field *f, wasm_type ref) {
    uint32_t n;
    const struct wasm_elem *e;
    switch (v->op) {
    case WASM_OP_ARRAY_NEW: return wv_pop(v, WASM_I32) && wv_pop(v, unpacked(f->type)) && wv_push(v, ref);
    case WASM_OP_ARRAY_NEW_DEFAULT: return check_defaultable(v, f) && wv_pop(v, WASM_I32) && wv_push(v, ref);
    case WASM_OP_ARRAY_NEW_FIXED:
        if (!wv_u32(v, &n)) return false;
        if (n > ARRAY_FIXED_MAX) return wv_limit(v, "operands of array.new_fixed");
        while (n--)
            if (!wv_pop(v, unpacked(f->type))) return false;
        return wv_push(v, ref);
    case WASM_OP_ARRAY_NEW_DATA:
        if (!check_bytes(v, f) || !read_data(v)) return false;
        break;
    default: /* array.new_elem */
        if (!(e = read_elem(v))) return false;
        if (!wasm_type_sub(v->m, e->type, f->type))
            return wv_invalid(v, "type mismatch: array.new_elem from a segment of another type");
    }
    return wv_pop(v, WASM_I32) && wv_pop(v, WASM_I32) && wv_push(v, ref);
}

static bool array_copy(struct wasm_validator *v, const struct wasm_field *f, wasm_type ref) {
    uint32_t index;
    const struct wasm_deftype *src = wv_read_type(v, WASM_COMP_ARRAY, &index);
    if (!src || !check_mutable(v, f, "array")) return false;
    if (!wasm_type_sub(v->m, src->fields[0].type, f->type)) return wv_invalid(v, "array types do not match");
    return wv_pop(v, WASM_I32) && wv_pop(v, WASM_I32) && wv_pop(v, wasm_ref_index(index, true)) && wv_pop(v, WASM_I32) &&
           wv_pop(v, ref);
}

static bool array_init(struct wasm_validator *v, const struct wasm_field *f, wasm_type ref) {
    if (v->op == WASM_OP_ARRAY_INIT_DATA) {
        if (!read_data(v) || !check_mutable(v, f, "array") || !check_bytes(v, f)) return false;
    } else {
        const struct wasm_elem *e = read_elem(v);
        if (!e || !check_mutable(v, f, "array")) return false;
        if (!wasm_type_sub(v->m, e->type, f->type))
            return wv_invalid(v, "type mismatch: array.init_elem from a segment of another type");
    }
    return wv_pop(v, WASM_I32) && wv_pop(v, WASM_I32) && wv_pop(v, WASM_I32) && wv_pop(v, ref);
}

static bool array_op(struct wasm_validator *v) {
    if (v->op == WASM_OP_ARRAY_LEN) return wv_pop(v, wasm_ref(WASM_HEAP_ARRAY, true)) && wv_push(v, WASM_I32);
    uint32_t index;
    const struct wasm_deftype *t = wv_read_type(v, WASM_COMP_ARRAY, &index);
    if (!t) return false;
    const struct wasm_field *f = &t->fields[0];
    wasm_type ref = wasm_ref_index(index, true);
    switch (v->op) {
    case WASM_OP_ARRAY_GET:
    case WASM_OP_ARRAY_GET_S:
    case WASM_OP_ARRAY_GET_U:
        return check_packing(v, f, v->op == WASM_OP_ARRAY_GET) && wv_pop(v, WASM_I32) && wv_pop(v, ref) &&
               wv_push(v, unpacked(f->type));
    case WASM_OP_ARRAY_SET:
        return check_mutable(v, f, "array") && wv_pop(v, unpacked(f->type)) && wv_pop(v, WASM_I32) && wv_pop(v, ref);
    case WASM_OP_ARRAY_FILL:
        return check_mutable(v, f, "array") && wv_pop(v, WASM_I32) && wv_pop(v, unpacked(f->type)) && wv_pop(v, WASM_I32) &&
               wv_pop(v, ref);
    case WASM_OP_ARRAY_COPY: return array_copy(v, f, ref);
    case WASM_OP_ARRAY_INIT_DATA:
    case WASM_OP_ARRAY_INIT_ELEM: return array_init(v, f, ref);
    default: return array_new(v, f, wasm_ref_index(index, false));
    }
}

bool wv_aggregate_op(struct wasm_validator *v) { return v->op <= WASM_OP_STRUCT_SET ? struct_op(v) : array_op(v); }
