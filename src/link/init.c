/* init: what an instantiation still has to do when the context is laid out, as a wasm function [] -> [].
 *
 * The order is that of the core specification (Execution, Modules, Instantiation): globals, tables, element
 * segments' values, then active element segments, active data segments, the start function. What is constant
 * and cannot trap goes into the initial context instead.
 */
#include "link/link_int.h"

static void op(struct buf *b, uint8_t byte) { buf_putc(b, byte); }

static void op_fc(struct buf *b, uint8_t code) {
    op(b, 0xfc);
    op(b, code);
}

static void u32(struct buf *b, uint32_t v) {
    for (; v >= 0x80; v >>= 7) buf_putc(b, (uint8_t)(v | 0x80));
    buf_putc(b, (uint8_t)v);
}

static void s64(struct buf *b, int64_t v) {
    for (;;) {
        uint8_t byte = v & 0x7f;
        v >>= 7;
        if ((v == 0 && !(byte & 0x40)) || (v == -1 && (byte & 0x40))) {
            buf_putc(b, byte);
            return;
        }
        buf_putc(b, byte | 0x80);
    }
}

static void i32_const(struct buf *b, uint32_t v) {
    op(b, 0x41);
    s64(b, (int32_t)v);
}
static void address_const(struct buf *b, bool is64, uint64_t v) {
    op(b, is64 ? 0x42 : 0x41);
    s64(b, is64 ? (int64_t)v : (int32_t)v);
}

bool link_constant(wasm_expr e, uint64_t *out) {
    const uint8_t *p = e.p, *end = e.p + e.n - 1;
    switch (wasm_get_op(&p)) {
    case WASM_OP_I32_CONST: *out = (uint32_t)wasm_get_s32(&p); break;
    case WASM_OP_I64_CONST: *out = (uint64_t)wasm_get_s64(&p); break;
    default: return false;
    }
    return p == end;
}

/* The expression without its `end`. */
static void expr(struct buf *b, wasm_expr e) { buf_put(b, e.p, e.n - 1); }

/* ---- globals ---- */

/* A single constant instruction: into the context. False: must be computed. */
static bool constant_global(struct link *l, struct link_instance *in, uint32_t i) {
    wasm_expr e = in->m->globals[i].init;
    struct link_group *g = &l->groups[in->group];
    int32_t at = in->globals[i].offset;
    uint8_t *to = link_context_at(g, at);
    const uint8_t *p = e.p, *end = e.p + e.n - 1;
    uint64_t v;
    switch (wasm_get_op(&p)) {
    case 0x41: v = (uint32_t)wasm_get_s32(&p); break;
    case 0x42: v = (uint64_t)wasm_get_s64(&p); break;
    case 0x43: {
        uint32_t f;
        memcpy(&f, p, 4);
        v = f;
        p += 4;
        break;
    }
    case 0x44:
        memcpy(&v, p, 8);
        p += 8;
        break;
    case WASM_BASE_FD + 12: /* v128.const */
        if (p + 16 != end) return false;
        memcpy(to, p, 16);
        return true;
    case 0xd0:
        wasm_get_heap(&p);
        v = 0;
        break;
    case 0xd2: {
        uint32_t f = wasm_get_u32(&p);
        if (p != end) return false;
        vec_push(l->a, &l->func_words, ((struct link_func_word){in->group, in->layout.instance, f, at, false}));
        return true;
    }
    default: return false;
    }
    if (p != end) return false;
    memcpy(to, &v, 8);
    return true;
}

static void globals(struct link *l, struct link_instance *in) {
    for (uint32_t i = in->m->globals_imported; i < in->m->globals_count; i++) {
        if (constant_global(l, in, i)) continue;
        expr(&in->init, in->m->globals[i].init);
        op(&in->init, 0x24);
        u32(&in->init, i);
    }
}

/* ---- tables and segments ---- */

static bool is_null(wasm_expr e) {
    const uint8_t *p = e.p;
    if (wasm_get_op(&p) != WASM_OP_REF_NULL) return false;
    wasm_get_heap(&p);
    return p + 1 == e.p + e.n;
}

static void tables(struct link_instance *in) {
    for (uint32_t t = in->m->tables_imported; t < in->m->tables_count; t++) {
        const struct wasm_table *table = &in->m->tables[t];
        if (!table->init.n || is_null(table->init)) continue;
        address_const(&in->init, table->limits.is64, 0);
        expr(&in->init, table->init);
        address_const(&in->init, table->limits.is64, table->limits.min);
        op_fc(&in->init, 17); /* table.fill */
        u32(&in->init, t);
    }
}

static void computed_elements(struct link_instance *in) {
    for (uint32_t k = 0; k < in->m->elems_count; k++) {
        const struct wasm_elem *e = &in->m->elems[k];
        if (!in->elems[k].dynamic_offset) continue;
        for (uint32_t i = 0; i < e->count; i++) {
            expr(&in->init, e->exprs[i]);
            op(&in->init, BASELINE_OP_ELEM_SET);
            u32(&in->init, k);
            u32(&in->init, i);
        }
    }
}

static void active_elements(struct link_instance *in) {
    for (uint32_t k = 0; k < in->m->elems_count; k++) {
        const struct wasm_elem *e = &in->m->elems[k];
        if (e->mode != WASM_SEGMENT_ACTIVE) continue;
        expr(&in->init, e->offset);
        i32_const(&in->init, 0);
        i32_const(&in->init, e->count);
        op_fc(&in->init, 12); /* table.init */
        u32(&in->init, k);
        u32(&in->init, e->table);
        op_fc(&in->init, 13); /* elem.drop */
        u32(&in->init, k);
    }
}

/* Go's modules have 100,000 of them. */
static uint32_t data_run(const struct wasm_module *m, uint32_t from) {
    uint32_t k = from;
    uint64_t offset;
    while (k < m->datas_count && m->datas[k].mode == WASM_SEGMENT_ACTIVE && link_constant(m->datas[k].offset, &offset)) k++;
    return k - from;
}

static void active_data(struct link_instance *in) {
    for (uint32_t k = 0; k < in->m->datas_count; k++) {
        const struct wasm_data *seg = &in->m->datas[k];
        if (seg->mode != WASM_SEGMENT_ACTIVE) continue;
        uint32_t run = data_run(in->m, k);
        if (run) {
            op(&in->init, BASELINE_OP_DATA_RUN);
            u32(&in->init, k);
            u32(&in->init, run);
            k += run - 1;
            continue;
        }
        expr(&in->init, seg->offset);
        i32_const(&in->init, 0);
        i32_const(&in->init, (uint32_t)seg->bytes.n);
        op_fc(&in->init, 8); /* memory.init */
        u32(&in->init, k);
        u32(&in->init, seg->memory);
        op_fc(&in->init, 9); /* data.drop */
        u32(&in->init, k);
    }
}

void link_make_init(struct link *l, struct link_instance *in) {
    globals(l, in);
    tables(in);
    computed_elements(in);
    active_elements(in);
    active_data(in);
    if (in->m->start != WASM_NO_INDEX) {
        op(&in->init, 0x10); /* call */
        u32(&in->init, in->m->start);
    }
    if (in->init.n) op(&in->init, 0x0b);
}
