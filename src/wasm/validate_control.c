/* validate_control: blocks, branches, calls and exceptions (§3.4.10), as the control stack sees them. */
#include "wasm/validate_int.h"

/* ---- labels ------------------------------------------------------------------------------------- */

static const struct frame *label(struct wasm_validator *v, uint32_t depth, const wasm_type **types, uint32_t *n) {
    if (UNLIKELY(depth >= v->frames_count)) {
        wv_invalid(v, "unknown label %u", depth);
        return NULL;
    }
    const struct frame *f = &v->frames[v->frames_count - 1 - depth];
    bool loop = f->op == WASM_OP_LOOP;
    *types = loop ? f->params : f->results;
    *n = loop ? f->params_count : f->results_count;
    return f;
}

const struct frame *wv_read_label(struct wasm_validator *v, const wasm_type **types, uint32_t *n) {
    uint32_t depth;
    return wv_u32(v, &depth) ? label(v, depth, types, n) : NULL;
}

/* As a pop of all types and a push of what was there. */
static bool check_top(struct wasm_validator *v, const wasm_type *t, uint32_t n) {
    wasm_type *sp = v->sp;
    for (; n; n--) {
        if (sp == v->base) return wv_top_frame(v)->unreachable ? true : wv_mismatch(v, t[n - 1], WASM_BOT);
        wasm_type found = *--sp;
        if (found != t[n - 1] && found != WASM_BOT && !wasm_type_sub(v->m, found, t[n - 1]))
            return wv_mismatch(v, t[n - 1], found);
    }
    return true;
}

/* ---- control (§3.4.10) -------------------------------------------------------------------------- */

static bool grow_frames(struct wasm_validator *v) {
    if (v->frames_cap >= WASM_MAX_NESTING) return wv_limit(v, "nested blocks");
    v->frames_cap = v->frames_cap ? v->frames_cap * 2 : 64;
    v->frames = realloc(v->frames, v->frames_cap * sizeof *v->frames);
    ENSURE(v->frames);
    return true;
}

/* The straight code before a branch out of a loop runs as often as what it branches to: its uses of locals
 * and its calls, counted with the loop's weight, are counted again with `weight` (calls: calls_weight). */
void wv_recount(struct wasm_validator *v, uint32_t weight, uint32_t calls_weight) {
    if (v->weight == UINT32_MAX) return;
    const uint8_t *p = v->straight;
    for (unsigned n = 0; p < v->op_at && n < 64; n++) {
        enum wasm_op op = wasm_get_op(&p);
        if (op == WASM_OP_LOCAL_GET || op == WASM_OP_LOCAL_SET || op == WASM_OP_LOCAL_TEE) {
            uint32_t *w = &v->local_weight[wasm_get_u32(&p)];
            if (*w != UINT32_MAX) *w -= v->weight - weight;
            continue;
        }
        bool call = op == WASM_OP_CALL || op == WASM_OP_CALL_INDIRECT || op == WASM_OP_CALL_REF;
        if (call && v->info.calls_weight != UINT32_MAX) v->info.calls_weight -= v->weight - calls_weight;
        wasm_skip_imm(&p, op);
    }
}

/* The parameters have been popped and will be pushed by the caller. */
bool wv_open_frame(struct wasm_validator *v, uint32_t op, const struct wasm_block_type *t) {
    if (UNLIKELY(v->frames_count == v->frames_cap) && !grow_frames(v)) return false;
    v->frames[v->frames_count++] = (struct frame){.params = t->params,
                                                  .results = t->results,
                                                  .params_count = t->params_count,
                                                  .results_count = t->results_count,
                                                  .height = (uint32_t)(v->sp - v->stack),
                                                  .inits = v->undo_count,
                                                  .weight = v->weight,
                                                  .op = (uint16_t)op};
    v->base = v->sp;
    v->straight = v->r.p;
    if (v->frames_count > v->info.controls_max) v->info.controls_max = v->frames_count;
    if (op == WASM_OP_LOOP) {
        if (++v->loops > v->info.loop_depth_max) v->info.loop_depth_max = v->loops;
        v->weight = v->weight > UINT32_MAX / 32 ? UINT32_MAX : v->weight * 32;
    }
    return true;
}

static void forget_inits(struct wasm_validator *v, uint32_t keep) {
    while (v->undo_count > keep) v->local_set[v->undo[--v->undo_count]] = 0;
}

/* Checks that the block leaves its results and nothing else; restores what was around it. The results are not
 * pushed. */
static bool close_frame(struct wasm_validator *v) {
    struct frame *f = wv_top_frame(v);
    if (!wv_pop_types(v, f->results, f->results_count)) return false;
    if (UNLIKELY(v->sp != v->base))
        return wv_invalid(v, "type mismatch: %u values too many on the stack at the end of the block",
                          (unsigned)(v->sp - v->base));
    forget_inits(v, f->inits);
    v->weight = f->weight;
    v->straight = v->r.p;
    return true;
}

static bool read_block_type(struct wasm_validator *v, struct wasm_block_type *t) {
    *t = (struct wasm_block_type){.type = WASM_NO_INDEX};
    if (v->r.p == v->r.end) return rd_u8(&v->r), wv_read_failed(v);
    uint8_t b = *v->r.p;
    if (b == 0x40) {
        v->r.p++;
        return true;
    }
    if (b >= 0x63 && b < 0x80 && (b <= 0x64 || wasm_type_of_byte(b) != WASM_BOT)) {
        wasm_type *one = arena_make(v->scratch, wasm_type);
        *one = wasm_rd_type(&v->r);
        t->results = one, t->results_count = 1;
        return wv_type_valid(v, *one);
    }
    int64_t index = wasm_rd_s(&v->r, 33);
    if (v->r.fail) return wv_read_failed(v);
    if (index < 0) return wv_malformed(v, "malformed block type");
    if (index >= v->m->types_count || v->m->types[index].comp != WASM_COMP_FUNC)
        return wv_invalid(v, "unknown type %lld: not a function type", (long long)index);
    const struct wasm_deftype *d = &v->m->types[index];
    t->type = (uint32_t)index;
    t->params = d->params, t->params_count = d->params_count;
    t->results = d->results, t->results_count = d->results_count;
    return true;
}

bool wv_block(struct wasm_validator *v) {
    struct wasm_block_type t;
    if (!read_block_type(v, &t)) return false;
    if (v->op == WASM_OP_IF && !wv_pop(v, WASM_I32)) return false;
    return wv_pop_types(v, t.params, t.params_count) && wv_open_frame(v, v->op, &t) && wv_push_types(v, t.params, t.params_count);
}

bool wv_else(struct wasm_validator *v) {
    if (wv_top_frame(v)->op != WASM_OP_IF) return wv_malformed(v, "illegal opcode: else without if");
    if (!close_frame(v)) return false;
    struct frame *f = wv_top_frame(v);
    f->op = WASM_OP_ELSE;
    f->unreachable = false;
    return wv_push_types(v, f->params, f->params_count);
}

bool wv_end(struct wasm_validator *v) {
    struct frame *f = wv_top_frame(v);
    if (!close_frame(v)) return false;
    if (f->op == WASM_OP_LOOP) v->loops--;
    if (f->op == WASM_OP_IF) { /* the missing else passes the parameters on */
        if (f->params_count != f->results_count)
            return wv_invalid(v, "type mismatch: an if without else must give what it takes");
        for (uint32_t i = 0; i < f->params_count; i++)
            if (!wasm_type_sub(v->m, f->params[i], f->results[i])) return wv_mismatch(v, f->results[i], f->params[i]);
    }
    v->frames_count--;
    v->base = v->frames_count ? v->stack + wv_top_frame(v)->height : v->stack;
    return wv_push_types(v, f->results, f->results_count);
}

bool wv_br(struct wasm_validator *v) {
    const wasm_type *t;
    uint32_t n;
    const struct frame *f = wv_read_label(v, &t, &n);
    if (!f || !wv_pop_types(v, t, n)) return false;
    uint64_t weight = f->op == WASM_OP_LOOP ? (uint64_t)f->weight * 32 : f->weight;
    if (weight < v->weight) wv_recount(v, (uint32_t)weight, (uint32_t)weight);
    wv_unreachable(v);
    return true;
}

bool wv_br_if(struct wasm_validator *v) {
    const wasm_type *t;
    uint32_t n;
    if (!wv_read_label(v, &t, &n) || !wv_pop(v, WASM_I32)) return false;
    v->straight = v->r.p;
    return n == 0 || (wv_pop_types(v, t, n) && wv_push_types(v, t, n));
}

bool wv_br_table(struct wasm_validator *v) {
    if (!wv_pop(v, WASM_I32)) return false;
    uint32_t count = wasm_rd_count(&v->r, UINT32_MAX - 1, 1, "");
    const wasm_type *last = NULL;
    uint32_t arity = 0;
    for (uint32_t i = 0; i <= count; i++) {
        const wasm_type *t;
        uint32_t n;
        if (!wv_read_label(v, &t, &n)) return false;
        if (i == 0) arity = n;
        if (n != arity) return wv_invalid(v, "type mismatch: labels of br_table take different numbers of values");
        if ((i == 0 || t != last) && !check_top(v, t, n)) return false;
        last = t;
    }
    wv_unreachable(v);
    return true;
}

bool wv_return(struct wasm_validator *v) {
    if (!wv_pop_types(v, v->frames[0].results, v->frames[0].results_count)) return false;
    if (v->weight > 1) wv_recount(v, 1, 1);
    wv_unreachable(v);
    return true;
}

/* ---- calls -------------------------------------------------------------------------------------- */

static bool finish_call(struct wasm_validator *v, const struct wasm_deftype *t) {
    v->info.calls_count++;
    v->info.calls_weight = wv_add_saturated(v->info.calls_weight, v->weight);
    return wv_pop_types(v, t->params, t->params_count) && wv_push_types(v, t->results, t->results_count);
}

static bool finish_tail_call(struct wasm_validator *v, const struct wasm_deftype *t) {
    const struct frame *f = &v->frames[0];
    v->info.tail_calls_count++;
    if (t->results_count != f->results_count)
        return wv_invalid(v, "type mismatch: %s of a function with other results", wasm_ops[v->op].text);
    for (uint32_t i = 0; i < f->results_count; i++)
        if (!wasm_type_sub(v->m, t->results[i], f->results[i])) return wv_mismatch(v, f->results[i], t->results[i]);
    if (!wv_pop_types(v, t->params, t->params_count)) return false;
    wv_unreachable(v);
    return true;
}

static const struct wasm_deftype *callee_indirect(struct wasm_validator *v) {
    uint32_t index;
    const struct wasm_deftype *t = wv_read_type(v, WASM_COMP_FUNC, &index);
    const struct wasm_table *table = t ? wv_read_table(v) : NULL;
    if (!table) return NULL;
    if (!wasm_type_sub(v->m, table->type, WASM_FUNCREF)) {
        wv_invalid(v, "type mismatch: %s through a table that does not hold functions", wasm_ops[v->op].text);
        return NULL;
    }
    return wv_pop(v, wasm_address_type(&table->limits)) ? t : NULL;
}

static const struct wasm_deftype *callee_ref(struct wasm_validator *v) {
    uint32_t index;
    const struct wasm_deftype *t = wv_read_type(v, WASM_COMP_FUNC, &index);
    return t && wv_pop(v, wasm_ref_index(index, true)) ? t : NULL;
}

static const struct wasm_deftype *callee(struct wasm_validator *v) {
    uint32_t index;
    if (!wv_u32(v, &index)) return NULL;
    if (index < v->m->funcs_count) return wasm_func_type(v->m, index);
    wv_invalid(v, "unknown function %u", index);
    return NULL;
}

bool wv_call(struct wasm_validator *v) {
    const struct wasm_deftype *t;
    switch (v->op) {
    case WASM_OP_CALL: return (t = callee(v)) && finish_call(v, t);
    case WASM_OP_CALL_INDIRECT: return (t = callee_indirect(v)) && finish_call(v, t);
    case WASM_OP_CALL_REF: return (t = callee_ref(v)) && finish_call(v, t);
    case WASM_OP_RETURN_CALL: return (t = callee(v)) && finish_tail_call(v, t);
    case WASM_OP_RETURN_CALL_INDIRECT: return (t = callee_indirect(v)) && finish_tail_call(v, t);
    default: return (t = callee_ref(v)) && finish_tail_call(v, t);
    }
}

/* ---- exceptions --------------------------------------------------------------------------------- */

static const struct wasm_deftype *read_tag(struct wasm_validator *v) {
    uint32_t index;
    if (!wv_u32(v, &index)) return NULL;
    if (index < v->m->tags_count) return &v->m->types[v->m->tags[index].type];
    wv_invalid(v, "unknown tag %u", index);
    return NULL;
}

bool wv_throw(struct wasm_validator *v) {
    v->info.throws_count++;
    if (v->op == WASM_OP_THROW) {
        const struct wasm_deftype *t = read_tag(v);
        if (!t || !wv_pop_types(v, t->params, t->params_count)) return false;
    } else if (!wv_pop(v, wasm_ref(WASM_HEAP_EXN, true))) {
        return false;
    }
    wv_unreachable(v);
    return true;
}

/* A handler's label takes the tag's values and, with _ref, the exception (§3.4.10, catch clauses). */
static bool read_catch(struct wasm_validator *v) {
    static const struct wasm_deftype nothing;
    uint8_t kind = rd_u8(&v->r);
    if (v->r.fail) return wv_read_failed(v);
    if (kind > 3) return wv_malformed(v, "malformed catch clause");
    const struct wasm_deftype *tag = kind < 2 ? read_tag(v) : &nothing;
    const wasm_type *t;
    uint32_t n, with_ref = kind & 1;
    if (!tag || !wv_read_label(v, &t, &n)) return false;
    if (n != tag->params_count + with_ref)
        return wv_invalid(v, "type mismatch: the label of a catch clause takes another number of values");
    for (uint32_t i = 0; i < tag->params_count; i++)
        if (!wasm_type_sub(v->m, tag->params[i], t[i])) return wv_mismatch(v, t[i], tag->params[i]);
    wasm_type exn = wasm_ref(WASM_HEAP_EXN, false);
    return !with_ref || wasm_type_sub(v->m, exn, t[n - 1]) ? true : wv_mismatch(v, t[n - 1], exn);
}

bool wv_try_table(struct wasm_validator *v) {
    struct wasm_block_type t;
    if (!read_block_type(v, &t)) return false;
    uint32_t count = wasm_rd_count(&v->r, UINT32_MAX, 2, "");
    if (v->r.fail) return wv_read_failed(v);
    for (uint32_t i = 0; i < count; i++)
        if (!read_catch(v)) return false;
    return wv_pop_types(v, t.params, t.params_count) && wv_open_frame(v, v->op, &t) && wv_push_types(v, t.params, t.params_count);
}
