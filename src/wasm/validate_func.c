/* validate_func: one pass over a function body (§3.4), which also counts what the one-pass compiler wants to
 * know.
 *
 * run() keeps cursor and stack pointer in registers and handles what bodies consist of: locals, constants,
 * numbers, memory. All else goes through rare(), which works on the validator's fields. See validate_int.h
 * for the invariants. */
#include "wasm/validate_int.h"

/* ---- failures ----------------------------------------------------------------------------------- */

static uint64_t here(const struct wasm_validator *v) { return (uint64_t)(v->op_at - v->r.start); }

static bool report(struct wasm_validator *v, err e, const char *fmt, va_list ap) {
    char text[512];
    vsnprintf(text, sizeof text, fmt, ap);
    v->e = diag_set(v->d, e, here(v), "%s", text);
    return false;
}

bool wv_invalid(struct wasm_validator *v, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    report(v, ERR_INVALID, fmt, ap);
    va_end(ap);
    return false;
}

bool wv_malformed(struct wasm_validator *v, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    report(v, ERR_MALFORMED, fmt, ap);
    va_end(ap);
    return false;
}

bool wv_limit(struct wasm_validator *v, const char *what) {
    v->e = diag_set(v->d, ERR_LIMIT, here(v), "over a limit of this implementation: %s", what);
    return false;
}

bool wv_read_failed(struct wasm_validator *v) {
    v->e = wasm_rd_err(&v->r, v->d);
    return false;
}

/* ---- operands ----------------------------------------------------------------------------------- */

static struct frame *top_frame(struct wasm_validator *v) { return &v->frames[v->frames_count - 1]; }

static bool mismatch(struct wasm_validator *v, wasm_type want, wasm_type found) {
    char w[40], f[40];
    const char *op = wasm_ops[v->op].text;
    wasm_type_text(want, w, sizeof w);
    if (found == WASM_BOT)
        return wv_invalid(v, "type mismatch: %s expects %s, but the stack is empty", op, w);
    return wv_invalid(v, "type mismatch: %s expects %s, found %s", op, w, wasm_type_text(found, f, sizeof f));
}

bool wv_pop_slow(struct wasm_validator *v, wasm_type t) {
    if (v->sp == v->base) return top_frame(v)->unreachable ? true : mismatch(v, t, WASM_BOT);
    wasm_type found = v->sp[-1];
    if (UNLIKELY(found != t && found != WASM_BOT && !wasm_type_sub(v->m, found, t)))
        return mismatch(v, t, found);
    v->sp--;
    return true;
}

bool wv_pop_any(struct wasm_validator *v, wasm_type *t) {
    *t = WASM_BOT;
    if (v->sp > v->base) {
        *t = *--v->sp;
        return true;
    }
    if (top_frame(v)->unreachable) return true;
    return wv_invalid(v, "type mismatch: %s expects a value, but the stack is empty", wasm_ops[v->op].text);
}

bool wv_pop_ref(struct wasm_validator *v, wasm_type *t) {
    char text[40];
    if (!wv_pop_any(v, t)) return false;
    if (*t == WASM_BOT) *t = wasm_ref(WASM_HEAP_BOT, false);
    if (wasm_is_ref(*t)) return true;
    return wv_invalid(v, "type mismatch: %s expects a reference, found %s", wasm_ops[v->op].text,
                      wasm_type_text(*t, text, sizeof text));
}

bool wv_pop_types(struct wasm_validator *v, const wasm_type *t, uint32_t n) {
    while (n)
        if (!wv_pop(v, t[--n])) return false;
    return true;
}

bool wv_push_types(struct wasm_validator *v, const wasm_type *t, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (!wv_push(v, t[i])) return false;
    return true;
}

/* As a pop of all types and a push of what was there. */
static bool check_top(struct wasm_validator *v, const wasm_type *t, uint32_t n) {
    wasm_type *sp = v->sp;
    for (; n; n--) {
        if (sp == v->base) return top_frame(v)->unreachable ? true : mismatch(v, t[n - 1], WASM_BOT);
        wasm_type found = *--sp;
        if (found != t[n - 1] && found != WASM_BOT && !wasm_type_sub(v->m, found, t[n - 1]))
            return mismatch(v, t[n - 1], found);
    }
    return true;
}

void wv_unreachable(struct wasm_validator *v) {
    v->sp = v->base;
    top_frame(v)->unreachable = true;
    v->weight = 0;
}

/* ---- immediates --------------------------------------------------------------------------------- */

bool wv_u32(struct wasm_validator *v, uint32_t *x) {
    *x = wasm_rd_u32(&v->r);
    return UNLIKELY(v->r.fail) ? wv_read_failed(v) : true;
}

bool wv_type_valid(struct wasm_validator *v, wasm_type t) {
    if (v->r.fail) return wv_read_failed(v);
    if (!wasm_is_ref(t) || !wasm_heap_is_index(wasm_heap_of(t))) return true;
    uint32_t index = wasm_heap_index(wasm_heap_of(t));
    return index < v->m->types_count ? true : wv_invalid(v, "unknown type %u", index);
}

const struct wasm_deftype *wv_read_type(struct wasm_validator *v, enum wasm_comp comp, uint32_t *index) {
    static const char *const names[] = {"function", "structure", "array"};
    if (!wv_u32(v, index)) return NULL;
    if (*index < v->m->types_count && v->m->types[*index].comp == comp) return &v->m->types[*index];
    if (*index < v->m->types_count)
        wv_invalid(v, "type mismatch: type %u is not of a %s", *index, names[comp]);
    else wv_invalid(v, "unknown type %u", *index);
    return NULL;
}

const struct wasm_table *wv_read_table(struct wasm_validator *v) {
    uint32_t index;
    if (!wv_u32(v, &index)) return NULL;
    if (index < v->m->tables_count) return &v->m->tables[index];
    wv_invalid(v, "unknown table %u", index);
    return NULL;
}

static const struct frame *label(struct wasm_validator *v, uint32_t depth, const wasm_type **types,
                                 uint32_t *n) {
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

/* ---- control (§3.4.10) -------------------------------------------------------------------------- */

static bool grow_frames(struct wasm_validator *v) {
    if (v->frames_cap >= WASM_MAX_NESTING) return wv_limit(v, "nested blocks");
    v->frames_cap = v->frames_cap ? v->frames_cap * 2 : 64;
    v->frames = realloc(v->frames, v->frames_cap * sizeof *v->frames);
    ENSURE(v->frames);
    return true;
}

/* The parameters have been popped and will be pushed by the caller. */
static bool open_frame(struct wasm_validator *v, uint32_t op, const struct wasm_block_type *t) {
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
    struct frame *f = top_frame(v);
    if (!wv_pop_types(v, f->results, f->results_count)) return false;
    if (UNLIKELY(v->sp != v->base))
        return wv_invalid(v, "type mismatch: %u values too many on the stack at the end of the block",
                          (unsigned)(v->sp - v->base));
    forget_inits(v, f->inits);
    v->weight = f->weight;
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

static bool block(struct wasm_validator *v) {
    struct wasm_block_type t;
    if (!read_block_type(v, &t)) return false;
    if (v->op == WASM_OP_IF && !wv_pop(v, WASM_I32)) return false;
    return wv_pop_types(v, t.params, t.params_count) && open_frame(v, v->op, &t) &&
           wv_push_types(v, t.params, t.params_count);
}

static bool else_op(struct wasm_validator *v) {
    if (top_frame(v)->op != WASM_OP_IF) return wv_malformed(v, "illegal opcode: else without if");
    if (!close_frame(v)) return false;
    struct frame *f = top_frame(v);
    f->op = WASM_OP_ELSE;
    f->unreachable = false;
    return wv_push_types(v, f->params, f->params_count);
}

static bool end_op(struct wasm_validator *v) {
    struct frame *f = top_frame(v);
    if (!close_frame(v)) return false;
    if (f->op == WASM_OP_LOOP) v->loops--;
    if (f->op == WASM_OP_IF) { /* the missing else passes the parameters on */
        if (f->params_count != f->results_count)
            return wv_invalid(v, "type mismatch: an if without else must give what it takes");
        for (uint32_t i = 0; i < f->params_count; i++)
            if (!wasm_type_sub(v->m, f->params[i], f->results[i]))
                return mismatch(v, f->results[i], f->params[i]);
    }
    v->frames_count--;
    v->base = v->frames_count ? v->stack + top_frame(v)->height : v->stack;
    return wv_push_types(v, f->results, f->results_count);
}

static bool br(struct wasm_validator *v) {
    const wasm_type *t;
    uint32_t n;
    if (!wv_read_label(v, &t, &n) || !wv_pop_types(v, t, n)) return false;
    wv_unreachable(v);
    return true;
}

static bool br_if(struct wasm_validator *v) {
    const wasm_type *t;
    uint32_t n;
    if (!wv_read_label(v, &t, &n) || !wv_pop(v, WASM_I32)) return false;
    return n == 0 || (wv_pop_types(v, t, n) && wv_push_types(v, t, n));
}

static bool br_table(struct wasm_validator *v) {
    if (!wv_pop(v, WASM_I32)) return false;
    uint32_t count = wasm_rd_count(&v->r, UINT32_MAX - 1, 1, "");
    const wasm_type *last = NULL;
    uint32_t arity = 0;
    for (uint32_t i = 0; i <= count; i++) {
        const wasm_type *t;
        uint32_t n;
        if (!wv_read_label(v, &t, &n)) return false;
        if (i == 0) arity = n;
        if (n != arity)
            return wv_invalid(v, "type mismatch: labels of br_table take different numbers of values");
        if ((i == 0 || t != last) && !check_top(v, t, n)) return false;
        last = t;
    }
    wv_unreachable(v);
    return true;
}

static bool return_op(struct wasm_validator *v) {
    if (!wv_pop_types(v, v->frames[0].results, v->frames[0].results_count)) return false;
    wv_unreachable(v);
    return true;
}

/* ---- calls -------------------------------------------------------------------------------------- */

static uint32_t add_saturated(uint32_t a, uint32_t b) { return a + b < a ? UINT32_MAX : a + b; }

static bool finish_call(struct wasm_validator *v, const struct wasm_deftype *t) {
    v->info.calls_count++;
    v->info.calls_weight = add_saturated(v->info.calls_weight, v->weight);
    return wv_pop_types(v, t->params, t->params_count) && wv_push_types(v, t->results, t->results_count);
}

static bool finish_tail_call(struct wasm_validator *v, const struct wasm_deftype *t) {
    const struct frame *f = &v->frames[0];
    v->info.tail_calls_count++;
    if (t->results_count != f->results_count)
        return wv_invalid(v, "type mismatch: %s of a function with other results", wasm_ops[v->op].text);
    for (uint32_t i = 0; i < f->results_count; i++)
        if (!wasm_type_sub(v->m, t->results[i], f->results[i]))
            return mismatch(v, f->results[i], t->results[i]);
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

static bool call(struct wasm_validator *v) {
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

static bool throw_op(struct wasm_validator *v) {
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
        if (!wasm_type_sub(v->m, tag->params[i], t[i])) return mismatch(v, t[i], tag->params[i]);
    wasm_type exn = wasm_ref(WASM_HEAP_EXN, false);
    return !with_ref || wasm_type_sub(v->m, exn, t[n - 1]) ? true : mismatch(v, t[n - 1], exn);
}

static bool try_table(struct wasm_validator *v) {
    struct wasm_block_type t;
    if (!read_block_type(v, &t)) return false;
    uint32_t count = wasm_rd_count(&v->r, UINT32_MAX, 2, "");
    if (v->r.fail) return wv_read_failed(v);
    for (uint32_t i = 0; i < count; i++)
        if (!read_catch(v)) return false;
    return wv_pop_types(v, t.params, t.params_count) && open_frame(v, v->op, &t) &&
           wv_push_types(v, t.params, t.params_count);
}

/* ---- parametric, globals ------------------------------------------------------------------------ */

static bool select_op(struct wasm_validator *v) {
    wasm_type a, b;
    if (!wv_pop(v, WASM_I32) || !wv_pop_any(v, &a) || !wv_pop_any(v, &b)) return false;
    if (wasm_is_ref(a) || wasm_is_ref(b))
        return wv_invalid(v, "type mismatch: select of references must name its type");
    if (a != b && a != WASM_BOT && b != WASM_BOT) return mismatch(v, b, a);
    return wv_push(v, a == WASM_BOT ? b : a);
}

static bool select_typed(struct wasm_validator *v) {
    uint32_t n;
    if (!wv_u32(v, &n)) return false;
    if (n != 1) return wv_invalid(v, "invalid result arity: select gives one value");
    wasm_type t = wasm_rd_type(&v->r);
    return wv_type_valid(v, t) && wv_pop(v, WASM_I32) && wv_pop(v, t) && wv_pop(v, t) && wv_push(v, t);
}

static bool global(struct wasm_validator *v) {
    uint32_t index;
    if (!wv_u32(v, &index)) return false;
    if (index >= v->m->globals_count) return wv_invalid(v, "unknown global %u", index);
    const struct wasm_global *g = &v->m->globals[index];
    if (v->op == WASM_OP_GLOBAL_GET) return wv_push(v, g->type);
    if (!g->mutable && !v->made_up) return wv_invalid(v, "immutable global: global %u cannot be set", index);
    return wv_pop(v, g->type);
}

static bool drop(struct wasm_validator *v) {
    wasm_type t;
    return wv_pop_any(v, &t);
}

static bool unreachable_op(struct wasm_validator *v) {
    wv_unreachable(v);
    return true;
}

/* ---- dispatch ----------------------------------------------------------------------------------- */

/* Instructions behind which a runtime call may stand. */
static bool may_call_out(uint32_t op) {
    if (op < WASM_BASE_FB)
        return (op >= WASM_OP_THROW && op <= WASM_OP_THROW_REF) ||
               (op >= WASM_OP_CALL && op <= WASM_OP_RETURN_CALL_REF) || op == WASM_OP_TABLE_GET ||
               op == WASM_OP_TABLE_SET || op == WASM_OP_MEMORY_GROW || op == WASM_OP_MEMORY_SIZE;
    return op < WASM_BASE_FC || (op >= WASM_OP_MEMORY_INIT && op < WASM_BASE_FD);
}

static bool prefixed(struct wasm_validator *v) {
    v->r.p = v->op_at;
    v->op = wasm_rd_op(&v->r);
    if (v->r.fail) return wv_read_failed(v);
    if (v->op >= WASM_BASE_FD) v->info.uses_v128 = true;
    if (may_call_out(v->op)) v->info.is_leaf = false;
    if (v->signatures[v->op].fixed) return wv_fixed_op(v);
    if (v->op >= WASM_BASE_FC) return wv_bulk_op(v);
    return v->op <= WASM_OP_ARRAY_INIT_ELEM ? wv_aggregate_op(v) : wv_reference_op(v);
}

static bool rare(struct wasm_validator *v) {
    if (may_call_out(v->op)) v->info.is_leaf = false;
    switch (v->op) {
    case WASM_OP_UNREACHABLE: return unreachable_op(v);
    case WASM_OP_ELSE: return else_op(v);
    case WASM_OP_BR_TABLE: return br_table(v);
    case WASM_OP_RETURN: return return_op(v);
    case WASM_OP_CALL:
    case WASM_OP_CALL_INDIRECT:
    case WASM_OP_CALL_REF:
    case WASM_OP_RETURN_CALL:
    case WASM_OP_RETURN_CALL_INDIRECT:
    case WASM_OP_RETURN_CALL_REF: return call(v);
    case WASM_OP_THROW:
    case WASM_OP_THROW_REF: return throw_op(v);
    case WASM_OP_TRY_TABLE: return try_table(v);
    case WASM_OP_SELECT_T: return select_typed(v);
    case WASM_OP_TABLE_GET:
    case WASM_OP_TABLE_SET: return wv_bulk_op(v);
    case WASM_OP_REF_NULL:
    case WASM_OP_REF_IS_NULL:
    case WASM_OP_REF_FUNC:
    case WASM_OP_REF_EQ:
    case WASM_OP_REF_AS_NON_NULL:
    case WASM_OP_BR_ON_NULL:
    case WASM_OP_BR_ON_NON_NULL: return wv_reference_op(v);
    case 0xfb:
    case 0xfc:
    case 0xfd:
    case 0xfe: return prefixed(v);
    default:
        if (v->signatures[v->op].fixed) return wv_fixed_op(v);
        return wv_malformed(v, "illegal opcode %02x", v->op);
    }
}

/* A get before any set of the local in the blocks that are open: it reads the default (§3.4.4). */
static bool get_unset(struct wasm_validator *v, uint32_t x) {
    if (!wasm_is_defaultable(v->locals[x])) return wv_invalid(v, "uninitialized local %u", x);
    if (v->weight) {
        v->local_flags[x] |= WASM_LOCAL_NEEDS_ZERO;
        v->local_set[x] = 1; /* nothing more to learn about it */
    }
    return true;
}

static void first_set(struct wasm_validator *v, uint32_t x) {
    v->local_set[x] = 1;
    v->undo[v->undo_count++] = x;
}

static bool local_unknown(struct wasm_validator *v, uint32_t x) {
    return wv_invalid(v, "unknown local %u", x);
}

/* Length of a LEB128 number of at most four bytes; 0: longer, or too near the end to say. */
static inline unsigned short_leb(const uint8_t *p, const uint8_t *end) {
    if (UNLIKELY(end - p < 4)) return p < end && *p < 0x80;
    uint32_t x;
    memcpy(&x, p, sizeof x);
    uint32_t stops = ~x & 0x80808080;
    return stops ? (unsigned)__builtin_ctz(stops) / 8 + 1 : 0;
}

#define SAVE() (v->r.p = p, v->sp = sp, v->top = top)
#define LOAD() (p = v->r.p, sp = v->sp, top = v->top)
#define FAIL(call)                                                                                           \
    do {                                                                                                     \
        SAVE();                                                                                              \
        return call;                                                                                         \
    } while (0)
#define READ_U32(x)                                                                                          \
    uint32_t x;                                                                                              \
    if (LIKELY(p < end && *p < 0x80)) {                                                                      \
        x = *p++;                                                                                            \
    } else {                                                                                                 \
        v->r.p = p;                                                                                          \
        x = (uint32_t)wasm_rd_leb_slow(&v->r, 32, false);                                                    \
        if (UNLIKELY(v->r.fail)) return wv_read_failed(v);                                                   \
        p = v->r.p;                                                                                          \
    }
#define PUSH(t)                                                                                              \
    do {                                                                                                     \
        if (UNLIKELY(sp == v->limit)) FAIL(wv_limit(v, "operands"));                                         \
        *sp++ = (t);                                                                                         \
        if (sp > top) top = sp;                                                                              \
    } while (0)
#define POP(t)                                                                                               \
    do {                                                                                                     \
        if (LIKELY(sp > base && sp[-1] == (t))) {                                                            \
            sp--;                                                                                            \
        } else {                                                                                             \
            SAVE();                                                                                          \
            if (!wv_pop_slow(v, (t))) return false;                                                          \
            LOAD();                                                                                          \
        }                                                                                                    \
    } while (0)
/* Up to four bytes are a valid number of 32 bits or more, signed or not: found without a branch on the
 * length. */
#define SKIP_LEB(bits, is_signed)                                                                            \
    do {                                                                                                     \
        unsigned n = short_leb(p, end);                                                                      \
        if (UNLIKELY(!n)) {                                                                                  \
            v->r.p = p;                                                                                      \
            wasm_rd_leb_slow(&v->r, bits, is_signed);                                                        \
            if (UNLIKELY(v->r.fail)) return wv_read_failed(v);                                               \
            p = v->r.p;                                                                                      \
        }                                                                                                    \
        p += n;                                                                                              \
    } while (0)
#define SKIP_BYTES(n)                                                                                        \
    do {                                                                                                     \
        if (UNLIKELY((size_t)(end - p) < (n))) {                                                             \
            v->r.p = p;                                                                                      \
            rd_fail(&v->r, "unexpected end");                                                                \
            return wv_read_failed(v);                                                                        \
        }                                                                                                    \
        p += (n);                                                                                            \
    } while (0)
/* [t] -> [r], [t t] -> [r], [a t] -> [] */
#define UNARY(t, r)                                                                                          \
    do {                                                                                                     \
        if (LIKELY(sp > base && sp[-1] == (t))) {                                                            \
            sp[-1] = (r);                                                                                    \
        } else {                                                                                             \
            POP(t);                                                                                          \
            PUSH(r);                                                                                         \
        }                                                                                                    \
    } while (0)
#define BINARY(t, r)                                                                                         \
    do {                                                                                                     \
        if (LIKELY(sp - base >= 2 && sp[-1] == (t) && sp[-2] == (t))) {                                      \
            sp--, sp[-1] = (r);                                                                              \
        } else {                                                                                             \
            POP(t);                                                                                          \
            POP(t);                                                                                          \
            PUSH(r);                                                                                         \
        }                                                                                                    \
    } while (0)
/* memarg of memory 0 with i32 addresses; anything else goes to the general path, which reports too. */
#define PLAIN_MEMARG()                                                                                       \
    if (UNLIKELY(!memory0 || end - p < 2 || p[0] > wasm_ops[op].aux)) goto general;                          \
    unsigned n = short_leb(p + 1, end);                                                                      \
    if (UNLIKELY(!n)) {                                                                                      \
        v->r.p = p + 1;                                                                                      \
        uint64_t offset = wasm_rd_leb_slow(&v->r, 64, false);                                                \
        if (UNLIKELY(v->r.fail)) return wv_read_failed(v);                                                   \
        if (UNLIKELY(offset > UINT32_MAX)) FAIL(wv_invalid(v, "offset out of range"));                       \
        p = v->r.p - 1;                                                                                      \
    }                                                                                                        \
    p += n + 1
/* An instruction that works on the validator's fields. */
#define THROUGH(call)                                                                                        \
    do {                                                                                                     \
        SAVE();                                                                                              \
        if (UNLIKELY(!(call))) return false;                                                                 \
        LOAD();                                                                                              \
        base = v->base, weight = v->weight;                                                                  \
    } while (0)

/* The flat loop over a body's instructions. */
static bool run(struct wasm_validator *v) {
    const uint8_t *p = v->r.p, *const end = v->r.end;
    wasm_type *sp = v->sp, *top = v->top, *base = v->base;
    uint32_t weight = v->weight, instrs = 0;
    const bool memory0 = v->memory0_is32;
    for (;;) {
        v->op_at = p;
        if (UNLIKELY(p == end)) {
            v->r.p = p;
            rd_fail(&v->r, "unexpected end of section or function: END opcode expected");
            return wv_read_failed(v);
        }
        uint32_t op = *p++;
        v->op = op;
        instrs++;
        switch (op) {
        case WASM_OP_LOCAL_GET: {
            READ_U32(x);
            if (UNLIKELY(x >= v->locals_count)) FAIL(local_unknown(v, x));
            if (UNLIKELY(!v->local_set[x]) && !get_unset(v, x)) return false;
            v->local_weight[x] = add_saturated(v->local_weight[x], weight);
            PUSH(v->locals[x]);
            continue;
        }
        case WASM_OP_LOCAL_SET:
        case WASM_OP_LOCAL_TEE: {
            READ_U32(x);
            if (UNLIKELY(x >= v->locals_count)) FAIL(local_unknown(v, x));
            if (!v->local_set[x]) first_set(v, x);
            v->local_weight[x] = add_saturated(v->local_weight[x], weight);
            v->local_flags[x] |= weight != 0;
            wasm_type t = v->locals[x];
            if (op == WASM_OP_LOCAL_TEE) UNARY(t, t);
            else POP(t);
            continue;
        }
        case WASM_OP_I32_CONST:
            SKIP_LEB(32, true);
            PUSH(WASM_I32);
            continue;
        case WASM_OP_I64_CONST:
            SKIP_LEB(64, true);
            PUSH(WASM_I64);
            continue;
        case WASM_OP_F32_CONST:
            SKIP_BYTES(4);
            PUSH(WASM_F32);
            continue;
        case WASM_OP_F64_CONST:
            SKIP_BYTES(8);
            PUSH(WASM_F64);
            continue;
        case WASM_OP_I32_LOAD ... WASM_OP_I64_LOAD32_U: {
            PLAIN_MEMARG();
            wasm_type t = v->signatures[op].result;
            UNARY(WASM_I32, t);
            continue;
        }
        case WASM_OP_I32_STORE ... WASM_OP_I64_STORE32: {
            PLAIN_MEMARG();
            wasm_type t = v->signatures[op].operands[1];
            POP(t);
            POP(WASM_I32);
            continue;
        }
        case WASM_OP_I32_EQZ: UNARY(WASM_I32, WASM_I32); continue;
        case WASM_OP_I32_EQ ... WASM_OP_I32_GE_U:
        case WASM_OP_I32_ADD ... WASM_OP_I32_ROTR: BINARY(WASM_I32, WASM_I32); continue;
        case WASM_OP_I64_EQZ ... WASM_OP_I32_POPCNT:
        case WASM_OP_I64_CLZ ... WASM_OP_I64_EXTEND32_S: {
            const struct signature *s = &v->signatures[op];
            wasm_type t = s->operands[0], r = s->result;
            if (s->operands_count == 2) BINARY(t, r);
            else UNARY(t, r);
            continue;
        }
        case WASM_OP_NOP: continue;
        case WASM_OP_BR_IF: THROUGH(br_if(v)); continue;
        case WASM_OP_BR: THROUGH(br(v)); continue;
        case WASM_OP_BLOCK:
        case WASM_OP_LOOP:
        case WASM_OP_IF: THROUGH(block(v)); continue;
        case WASM_OP_GLOBAL_GET:
        case WASM_OP_GLOBAL_SET: THROUGH(global(v)); continue;
        case WASM_OP_DROP: THROUGH(drop(v)); continue;
        case WASM_OP_SELECT: THROUGH(select_op(v)); continue;
        case WASM_OP_END:
            THROUGH(end_op(v));
            if (UNLIKELY(!v->frames_count)) break;
            continue;
        default:
        general:
            THROUGH(rare(v));
            continue;
        }
        v->info.instrs_count = instrs;
        return true;
    }
}

/* ---- bodies ------------------------------------------------------------------------------------- */

static bool add_locals(struct wasm_validator *v, uint32_t n, wasm_type t) {
    if (n > WASM_MAX_LOCALS - v->locals_count) return wv_limit(v, "locals of a function");
    for (uint32_t i = 0; i < n; i++) v->locals[v->locals_count++] = t;
    if (n && t == WASM_V128) v->info.uses_v128 = true;
    return true;
}

/* §5.5.13; the sum of all counts is checked before any is used. */
static bool read_locals(struct wasm_validator *v) {
    uint32_t groups = wasm_rd_count(&v->r, UINT32_MAX, 2, "");
    struct rd ahead = v->r;
    uint64_t total = v->locals_count;
    for (uint32_t i = 0; i < groups && !ahead.fail; i++) {
        total += wasm_rd_u32(&ahead);
        if (total > UINT32_MAX) return wv_malformed(v, "too many locals");
        wasm_rd_type(&ahead);
    }
    for (uint32_t i = 0; i < groups && !v->r.fail; i++) {
        v->op_at = v->r.p;
        uint32_t n = wasm_rd_u32(&v->r);
        wasm_type t = wasm_rd_type(&v->r);
        if (!wv_type_valid(v, t) || !add_locals(v, n, t)) return false;
    }
    return v->r.fail ? wv_read_failed(v) : true;
}

static void start_body(struct wasm_validator *v, str body, struct diag *d) {
    bool inside = (uintptr_t)body.p - (uintptr_t)v->m->bytes.p < v->m->bytes.n;
    v->r = (struct rd){body.p, body.p + body.n, inside ? v->m->bytes.p : body.p, NULL, 0};
    v->d = d, v->e = ERR_OK;
    v->op_at = body.p, v->op = WASM_OP_END;
    v->sp = v->base = v->top = v->stack;
    v->frames_count = v->locals_count = v->params_count = v->undo_count = v->loops = 0;
    v->weight = 1;
    v->info = (struct wasm_func_info){.is_leaf = true};
    arena_reset(v->scratch);
}

static bool run_whole(struct wasm_validator *v, const struct wasm_block_type *t) {
    if (!open_frame(v, WASM_OP_BLOCK, t) || !run(v)) return false;
    if (v->r.p == v->r.end) return true;
    v->op_at = v->r.p;
    return wv_malformed(v, "unexpected content after the end of the function: section size mismatch");
}

static bool validate_body(struct wasm_validator *v, uint32_t type) {
    static const struct wasm_deftype nothing;
    const struct wasm_deftype *ft = type == WASM_NO_INDEX ? &nothing : &v->m->types[type];
    for (uint32_t i = 0; i < ft->params_count; i++)
        if (!add_locals(v, 1, ft->params[i])) return false;
    v->params_count = ft->params_count;
    if (!read_locals(v)) return false;
    memset(v->local_weight, 0, v->locals_count * sizeof *v->local_weight);
    memset(v->local_flags, 0, v->locals_count);
    memset(v->local_set, 0, v->locals_count);
    memset(v->local_set, 1, v->params_count);
    v->info.code = (str){v->r.p, rd_left(&v->r)};
    return run_whole(v,
                     &(struct wasm_block_type){.results = ft->results, .results_count = ft->results_count});
}

static void give_info(struct wasm_validator *v, uint32_t type, struct wasm_func_info *info) {
    if (!info) return;
    *info = v->info;
    info->type = type;
    info->locals = v->locals, info->locals_count = v->locals_count, info->params_count = v->params_count;
    info->local_weight = v->local_weight, info->local_flags = v->local_flags;
    info->operands_max = (uint32_t)(v->top - v->stack);
}

err wasm_validate_func(struct wasm_validator *v, uint32_t func_index, struct wasm_func_info *info,
                       struct diag *d) {
    const struct wasm_func *f = &v->m->funcs[func_index];
    ENSURE(func_index >= v->m->funcs_imported && func_index < v->m->funcs_count);
    start_body(v, f->body, d);
    v->made_up = false;
    if (validate_body(v, f->type)) {
        give_info(v, f->type, info);
        return ERR_OK;
    }
    str name = str_sub(wasm_func_name(v->m, func_index), 0, 120);
    if (name.n) diag_prefix(d, "func %u <" STR_FMT ">", func_index, STR_ARG(name));
    else diag_prefix(d, "func %u", func_index);
    return v->e;
}

err wasm_validate_made_up(struct wasm_validator *v, uint32_t type, str body, struct wasm_func_info *info,
                          struct diag *d) {
    start_body(v, body, d);
    v->made_up = true;
    if (!validate_body(v, type)) return v->e;
    give_info(v, type, info);
    return ERR_OK;
}

err wasm_validate_expr(struct wasm_validator *v, wasm_expr e, wasm_type t, struct diag *d) {
    start_body(v, e, d);
    v->made_up = false;
    return run_whole(v, &(struct wasm_block_type){.results = &t, .results_count = 1}) ? ERR_OK : v->e;
}

/* ---- the validator itself ----------------------------------------------------------------------- */

static uint8_t type_of_letter(char c) {
    switch (c) {
    case 'i': return WASM_I32;
    case 'l': return WASM_I64;
    case 'f': return WASM_F32;
    case 'd': return WASM_F64;
    case 'v': return WASM_V128;
    default: return ADDRESS;
    }
}

static void unpack_signature(struct signature *s, const char *sig) {
    *s = (struct signature){0};
    if (!sig || *sig == '*') return;
    s->fixed = true;
    for (; *sig != ':'; sig++) s->operands[s->operands_count++] = type_of_letter(*sig);
    if (sig[1]) s->result = type_of_letter(sig[1]);
}

static void free_stacks(void *arg) {
    struct wasm_validator *v = arg;
    free(v->stack), free(v->frames), free(v->locals), free(v->local_weight);
    free(v->local_flags), free(v->local_set), free(v->undo);
    arena_free(v->scratch);
}

static void *lazily_zeroed(size_t n, size_t size) { /* pages that are never touched cost nothing */
    void *p = calloc(n, size);
    ENSURE(p);
    return p;
}

struct wasm_validator *wasm_validator_new(arena *out, const struct wasm_module *m) {
    struct wasm_validator *v = arena_make(out, struct wasm_validator);
    v->m = m;
    v->stack = lazily_zeroed(OPERANDS_MAX, sizeof *v->stack);
    v->limit = v->stack + OPERANDS_MAX;
    v->locals = lazily_zeroed(WASM_MAX_LOCALS, sizeof *v->locals);
    v->local_weight = lazily_zeroed(WASM_MAX_LOCALS, sizeof *v->local_weight);
    v->undo = lazily_zeroed(WASM_MAX_LOCALS, sizeof *v->undo);
    v->local_flags = lazily_zeroed(WASM_MAX_LOCALS, 1);
    v->local_set = lazily_zeroed(WASM_MAX_LOCALS, 1);
    v->scratch = arena_new(0);
    v->memory0_is32 = m->memories_count && !m->memories[0].limits.is64;
    for (uint32_t i = 0; i < WASM_OPS_END; i++) unpack_signature(&v->signatures[i], wasm_ops[i].sig);
    arena_cleanup(out, free_stacks, v);
    return v;
}
