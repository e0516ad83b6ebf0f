/* compile: a core instance, its functions one after the other, and the dispatch over their instructions. */
#include "baseline/baseline_int.h"

#include <pthread.h>
#include <stdlib.h>

/* ---- output ---- */

/* Far more than any real module needs; crafted ones (branches that carry a thousand values) would fill the memory. */
static uint64_t code_max(const struct compiler *c) { return MIN((64 << 20) + c->m->code_bytes * 32, (uint64_t)1 << 30); }

void code_grow(struct compiler *c, size_t more) {
    struct buf *text = &c->out->text;
    text->n = code_at(c);
    if (text->n + more > code_max(c)) { /* what follows is thrown away: it overwrites the start */
        if (!c->failed) c->failed = diag_set(c->d, ERR_LIMIT, DIAG_NOWHERE, "func %u: too much machine code", c->func_index);
        text->n = 0;
    }
    ENSURE(buf_reserve(text, more + 2 * ROOM + (64 << 10)));
    c->text = text->p;
    c->p = text->p + text->n;
    c->limit = c->end = text->p + text->cap - ROOM;
    if (c->pending || c->dead || c->failed) attention_needed(c);
    c->flags_at = NULL;
}

static_assert((int)TARGET_ALIGN <= (int)BASELINE_TEXT_ALIGN);
static void align_code(struct compiler *c) {
    code_reserve(c, 2 * TARGET_ALIGN);
    while (code_at(c) & (TARGET_ALIGN - 1)) *c->p++ = 0xcc;
}

struct label *stub_add(struct compiler *c, struct stub s) {
    vec_push(c->arena, &c->stubs, s);
    return &c->stubs.p[c->stubs.n - 1].label;
}

struct label *trap_stub(struct compiler *c, enum abi_trap trap) {
    return stub_add(
        c, (struct stub){.label = {NO_LABEL, 0}, .trap = (uint8_t)trap, .wasm_offset = op_offset(c), .resume = NO_LABEL});
}

void unsupported(struct compiler *c) {
    if (c->failed) return;
    const uint8_t *p = c->op;
    enum wasm_op op = wasm_get_op(&p);
    const char *text = (uint32_t)op < WASM_OPS_END && wasm_ops[op].text ? wasm_ops[op].text : "?";
    c->failed = diag_set(c->d, ERR_UNSUPPORTED, wasm_offset(c->m, c->op), "func %u: the instruction %s is not supported",
                         c->func_index, text);
}

/* ---- a function ---- */

static void set_up_locals(struct compiler *c, const struct wasm_func_info *info) {
    if (info->locals_count > c->locals_cap) {
        c->locals_cap = MAX(info->locals_count, c->locals_cap * 2);
        c->locals = arena_array(c->arena, struct local, c->locals_cap);
    }
    uint32_t slot = 0;
    for (uint32_t i = 0; i < info->locals_count; i++) {
        unsigned type = type_of(info->locals[i]);
        c->locals[i] =
            (struct local){.type = (uint8_t)type, .reg = NO_REG, .cache = NO_REG, .flags = info->local_flags[i], .slot = slot};
        slot += type_slots(type);
    }
    c->save_slot = slot;
}

static void set_up_stack(struct compiler *c, const struct wasm_func_info *info) {
    uint32_t need = info->operands_max + 16;
    if (need > c->stack_cap) {
        c->stack_cap = MAX(need, c->stack_cap * 2);
        c->stack = arena_array(c->arena, struct value, c->stack_cap);
    }
    c->stack_slot = c->save_slot + (uint32_t)__builtin_popcount(c->pins_saved);
    c->stack[0] = (struct value){.kind = V_SLOT, .type = T_I32, .slot = c->stack_slot - 1};
    c->sp = c->floor = c->stack + 1;
    c->temps = TARGET_TEMPS;
    if (!c->options->registers) c->temps |= (TARGET_CALLER_INT | TARGET_CALLER_FLOAT) & ~c->pins_caller;
    c->free = c->temps;
    c->cached = 0;
    c->synced = c->pins_synced;
    c->pending = c->flags_live = c->dead = false;
    c->flags_at = NULL;
    c->sum_reg = NO_REG;
    c->controls_n = 0;
    c->fixes_n = 1;
    c->stubs.n = c->pool.n = c->pool16.n = 0;
    c->clauses.n = c->clause_controls.n = c->clause = 0;
}

/* Parameters go where their locals live. Gives whether the frame was written. */
static bool place_params(struct compiler *c, const struct wasm_func_info *info) {
    uint32_t ints = 0, floats = 0;
    bool touched = false;
    for (uint32_t i = 0; i < info->params_count; i++) {
        const struct local *l = &c->locals[i];
        uint8_t r = arg_reg(l->type, &ints, &floats);
        code_reserve(c, 64);
        if (l->reg == NO_REG) {
            if (r != NO_REG && info->local_weight[i]) target_store_reg(c, l->type, r, l->slot), touched = true;
        } else if (r == NO_REG) {
            target_load_slot(c, l->type, l->reg, l->slot);
        } else {
            target_move_reg(c, l->type, l->reg, r);
        }
    }
    return touched;
}

static bool zero_locals(struct compiler *c, const struct wasm_func_info *info) {
    uint32_t run = 0, run_slot = 0;
    bool touched = false;
    for (uint32_t i = info->params_count; i < info->locals_count; i++) {
        const struct local *l = &c->locals[i];
        if (!(l->flags & WASM_LOCAL_NEEDS_ZERO)) continue;
        if (l->reg != NO_REG) {
            code_reserve(c, 16);
            target_zero(c, l->reg);
            continue;
        }
        if (run && run_slot + run != l->slot) {
            target_zero_slots(c, run_slot, run);
            run = 0;
        }
        if (!run) run_slot = l->slot;
        run += type_slots(l->type);
        touched = true;
    }
    if (run) target_zero_slots(c, run_slot, run);
    return touched;
}

static void note_frame(struct compiler *c, uint32_t slots) { c->out->frame_bytes_max = MAX(c->out->frame_bytes_max, slots * 8); }

static void prologue(struct compiler *c, const struct wasm_func_info *info) {
    uint32_t slots = c->stack_slot + 2 * info->operands_max + 16; /* a v128 has two; the last are a runtime call's */
    note_frame(c, slots);
    target_enter(c);
    target_check_frame(c, slots);
    bool touched = c->pins_saved;
    uint32_t slot = c->save_slot;
    for (uint32_t m = c->pins_saved; m; m &= m - 1, slot++) {
        uint8_t r = (uint8_t)__builtin_ctz(m);
        target_store_reg(c, r < 16 ? T_I64 : T_F64, r, slot);
    }
    touched |= place_params(c, info);
    touched |= zero_locals(c, info);
    if (info->calls_count) {
        for (uint32_t m = c->pins_synced; m; m &= m - 1) {
            const struct local *l = &c->locals[c->pin_local[__builtin_ctz(m)]];
            target_store_reg(c, l->type, l->reg, l->slot);
            touched = true;
        }
        if (!touched) target_touch_frame(c);
    }
}

static void push_const(struct compiler *c, unsigned type, unsigned bytes) {
    uint64_t v = 0;
    memcpy(&v, c->pc, bytes);
    c->pc += bytes;
    push_imm(c, type, v);
}

/* Instructions that may stand between a lazy load and its consumer: they cannot be seen to come after it. */
static const uint8_t keeps_pending[256] = {
    [WASM_OP_LOCAL_GET] = 1,
    [WASM_OP_I32_CONST... WASM_OP_F64_CONST] = 1,
    [WASM_OP_I32_EQZ... WASM_OP_F64_GE] = 1,
    [WASM_OP_I32_ADD... WASM_OP_I32_MUL] = 1,
    [WASM_OP_I32_AND... WASM_OP_I32_XOR] = 1,
    [WASM_OP_I64_ADD... WASM_OP_I64_MUL] = 1,
    [WASM_OP_I64_AND... WASM_OP_I64_XOR] = 1,
    [WASM_OP_F32_ADD... WASM_OP_F32_DIV] = 1,
    [WASM_OP_F64_ADD... WASM_OP_F64_DIV] = 1,
};

/* What stands in the way of the next instruction: see attention_needed. */
static void attend(struct compiler *c) {
    if (c->dead) skip_dead(c);
    if (c->p > c->end) code_grow(c, ROOM);
    if (c->pending && !keeps_pending[*c->pc] && !simd_folds(c, c->pc)) materialise(c);
    c->limit = c->pending ? NULL : c->end;
}

static void body(struct compiler *c) {
    for (;;) {
        if (UNLIKELY(c->p > c->limit)) {
            attend(c);
            if (c->failed) return;
        }
        const uint8_t *pc = c->pc;
        c->op = pc;
        uint32_t op = *pc++;
        c->pc = pc;
        if (UNLIKELY(op >= 0xf0)) {
            if (op <= BASELINE_OP_DATA_RUN) {
                if (op == BASELINE_OP_ELEM_SET) emit_elem_set(c);
                else emit_data_run(c);
                continue;
            }
            c->pc--;
            op = wasm_get_op(&c->pc);
        }
        switch (op) {
#define X(name, statement)                                                                                                       \
    case WASM_OP_##name:                                                                                                         \
        statement;                                                                                                               \
        break;
#include "baseline/ops.def"
#undef X
        default: unsupported(c); return;
        }
    }
}

static void put_stubs(struct compiler *c) {
    for (uint32_t i = 0; i < c->stubs.n; i++) {
        struct stub *s = &c->stubs.p[i];
        if (!s->label.fixes) continue;
        code_reserve(c, 64);
        label_bind(c, &s->label);
        target_stub(c, s);
    }
}

static void begin_function(struct compiler *c, uint32_t func_index) {
    align_code(c);
    c->func_index = func_index;
    c->func_start = code_at(c);
    c->sites = (struct abi_sites_writer){0};
    c->out->funcs[func_index] = (struct abi_object_func){.start = c->func_start, .sites = (uint32_t)c->out->sites.n};
}

static void end_function(struct compiler *c, uint32_t func_index) {
    target_end_function(c);
    c->out->funcs[func_index].size = code_at(c) - c->func_start;
    abi_sites_end(&c->out->sites, c->out->funcs[func_index].sites);
}

static err compile_once(struct compiler *c, uint32_t func_index, const struct wasm_deftype *t,
                        const struct wasm_func_info *info) {
    begin_function(c, func_index);
    c->pc = c->op = info->code.p;
    set_up_locals(c, info);
    pins_choose(c, info);
    set_up_stack(c, info);
    c->calls_out = info->calls_count || info->throws_count;
    c->body_bytes = (uint32_t)info->code.n;
    c->epilogue_short = !c->pins_saved && t->results_count <= 1;
    prologue(c, info);
    struct wasm_block_type bt = {.type = WASM_NO_INDEX, .results = t->results, .results_count = t->results_count};
    control_push(c, C_FUNC, &bt);
    body(c);
    if (c->failed) return c->failed;
    put_stubs(c);
    end_function(c, func_index);
    if (c->layout->unwind) put_unwind(c, func_index);
    return code_at(c) > INT32_MAX / 2 ? diag_set(c->d, ERR_LIMIT, DIAG_NOWHERE, "the machine code is larger than 1 GiB") : ERR_OK;
}

/* A function larger than branches reach is made again, of branches that reach further. */
static err compile_function(struct compiler *c, uint32_t func_index, const struct wasm_deftype *t,
                            const struct wasm_func_info *info) {
    uint32_t start = code_at(c), relocs = c->out->relocs.n, calls = c->calls.n;
    size_t sites = c->out->sites.n, unwind = c->out->unwind.n;
    err e = compile_once(c, func_index, t, info);
    if (e || !c->out_of_reach) return e;
    c->p = c->text + start;
    c->out->relocs.n = relocs, c->calls.n = calls, c->out->sites.n = sites, c->out->unwind.n = unwind;
    c->out_of_reach = false;
    c->far_branches = true;
    e = compile_once(c, func_index, t, info);
    c->far_branches = c->options->far;
    if (!e && c->out_of_reach) e = diag_set(c->d, ERR_LIMIT, DIAG_NOWHERE, "func %u: too much machine code", func_index);
    return e;
}

/* ---- a core instance ---- */

static void host_thunks(struct compiler *c) {
    for (uint32_t i = 0; i < c->m->funcs_imported; i++) {
        c->out->funcs[i] = (struct abi_object_func){0};
        if (c->layout->funcs[i].where != ABI_FUNC_HOST) continue;
        begin_function(c, i);
        const struct wasm_deftype *t = wasm_func_type(c->m, i);
        note_frame(c, 2 * MAX(t->params_count, t->results_count) + 16);
        target_host_thunk(c, t, c->layout->funcs[i].host_index);
        end_function(c, i);
    }
}

static err compile_functions(struct compiler *c, uint32_t from, uint32_t to) {
    arena *scratch = arena_new(0); /* the validator's stacks are large: a thousand modules' must not pile up */
    struct wasm_validator *v = wasm_validator_new(scratch, c->m);
    err e = ERR_OK;
    for (uint32_t i = from; i < to && e == ERR_OK; i++) {
        struct wasm_func_info info;
        e = wasm_validate_func(v, i, &info, c->d);
        if (e == ERR_OK) e = compile_function(c, i, wasm_func_type(c->m, i), &info);
    }
    arena_free(scratch);
    return e;
}

/* Operands at once, at most: what stands between two instructions that take all there are. */
static uint32_t init_operands_max(str code) {
    uint32_t depth = 0, max = 0;
    for (const uint8_t *p = code.p, *end = p + code.n; p < end;) {
        if (*p == BASELINE_OP_ELEM_SET || *p == BASELINE_OP_DATA_RUN) {
            p++;
            wasm_get_u32(&p), wasm_get_u32(&p);
            depth = 0;
            continue;
        }
        enum wasm_op op = wasm_get_op(&p);
        const char *sig = (uint32_t)op < WASM_OPS_END ? wasm_ops[op].sig : NULL;
        bool fixed = sig && *sig != '*';
        bool push = op == WASM_OP_LOCAL_GET || op == WASM_OP_GLOBAL_GET || op == WASM_OP_REF_FUNC || op == WASM_OP_REF_NULL ||
                    (fixed && *sig == ':') || (uint32_t)op - WASM_BASE_FB < WASM_BASE_FC - WASM_BASE_FB;
        bool all = op == WASM_OP_GLOBAL_SET || op == WASM_OP_LOCAL_SET || op == WASM_OP_TABLE_SET || op == WASM_OP_CALL ||
                   op == WASM_OP_MEMORY_INIT || op == WASM_OP_TABLE_INIT || op == WASM_OP_TABLE_FILL;
        depth = all ? 0 : depth + push;
        max = MAX(max, depth);
        wasm_skip_imm(&p, op);
    }
    return max + 16;
}

static err compile_init(struct compiler *c, const struct baseline_init *init) {
    static const struct wasm_deftype nothing = {.comp = WASM_COMP_FUNC, .final = true};
    uint32_t *weights = arena_array(c->arena, uint32_t, init->locals_count + 1);
    uint8_t *flags = arena_array(c->arena, uint8_t, init->locals_count + 1);
    memset(flags, WASM_LOCAL_WRITTEN | WASM_LOCAL_NEEDS_ZERO, init->locals_count);
    struct wasm_func_info info = {.code = init->code,
                                  .locals = init->locals,
                                  .locals_count = init->locals_count,
                                  .local_weight = weights,
                                  .local_flags = flags,
                                  .calls_count = 1,
                                  .calls_weight = 1,
                                  .operands_max = init_operands_max(init->code)};
    return compile_function(c, c->m->funcs_count, &nothing, &info);
}

static bool resolve_calls(struct compiler *c) {
    for (uint32_t i = 0; i < c->calls.n; i++)
        if (!target_resolve_call(c, c->calls.p[i].at, c->out->funcs[c->calls.p[i].base].start)) return false;
    return true;
}

static void list_refs(struct compiler *c) {
    for (uint32_t i = 0; i < c->m->funcs_count; i++) {
        bool declared = c->m->funcs_declared && c->m->funcs_declared[i >> 3] >> (i & 7) & 1;
        if (declared || c->needs_record[i] || i == c->m->start) vec_push(c->arena, &c->out->refs, i);
    }
}

static uint32_t put_entry(struct compiler *c, const struct wasm_deftype *t) {
    align_code(c);
    uint32_t at = code_at(c);
    target_entry(c, t);
    return at;
}

/* One adapter for each distinct type. */
static void put_entries(struct compiler *c) {
    uint32_t n = c->m->types_count, ids = 0;
    uint32_t *entries = arena_array(c->arena, uint32_t, (size_t)n + 1);
    for (uint32_t i = 0; i < n; i++) ids = MAX(ids, c->layout->type_ids[i] + 1);
    uint32_t *by_id = arena_array(c->arena, uint32_t, ids);
    memset(entries, 0xff, (n + 1) * sizeof *entries);
    for (uint32_t i = 0; i < c->out->refs.n; i++) {
        uint32_t type = c->m->funcs[c->out->refs.p[i]].type;
        uint32_t *made = &by_id[c->layout->type_ids[type]];
        if (!*made) *made = put_entry(c, &c->m->types[type]);
        entries[type] = *made;
    }
    if (c->options->init) entries[n] = put_entry(c, &(struct wasm_deftype){.comp = WASM_COMP_FUNC});
    c->out->entries = entries;
}

/* ---- several threads: each makes the code of a run of functions, put one behind the other afterwards ----
 */

enum { PARTS_MAX = 8, PART_BYTES = 512 << 10 /* of bodies; less is not worth a thread */ };

struct part {
    pthread_t thread;
    bool started;
    struct compiler *c;
    struct abi_object object;
    struct diag d;
    uint32_t from, to;
    err e;
};

static struct compiler *compiler_new(const struct compiler *like, struct abi_object *out, arena *a, struct diag *d) {
    const struct wasm_module *m = like->m;
    *out = (struct abi_object){.funcs_count = m->funcs_count};
    struct compiler *c = arena_make(a, struct compiler);
    *c = (struct compiler){.layout = like->layout,
                           .m = m,
                           .options = like->options,
                           .out = out,
                           .arena = a,
                           .cpu = like->cpu,
                           .d = d,
                           .far_calls = like->far_calls,
                           .far_branches = like->options->far,
                           .memory0_direct = m->memories_count && like->layout->memories[0].where == ABI_MEMORY_GS,
                           .controls_cap = 64};
    uint32_t funcs = m->funcs_count + (c->options->init != NULL);
    out->funcs = arena_array(a, struct abi_object_func, (size_t)funcs + 1);
    if (like->layout->unwind) buf_put(&out->unwind, &(struct abi_unwind){0}, sizeof(struct abi_unwind)); /* of many functions */
    for (uint32_t i = 0; i < funcs; i++) out->funcs[i].start = UINT32_MAX;
    c->field_offsets = arena_array(a, uint32_t *, (size_t)m->types_count + 1);
    c->needs_record = arena_array(a, uint8_t, (size_t)m->funcs_count + 1);
    c->controls = arena_array(a, struct control, c->controls_cap);
    return c;
}

static void *compile_part(void *arg) {
    struct part *p = arg;
    target_begin(p->c);
    p->e = compile_functions(p->c, p->from, p->to);
    p->object.text.n = code_at(p->c);
    return NULL;
}

/* The functions of part p begin here; gives where part p + 1 does. Parts have about the same number of bytes.
 */
static uint32_t part_end(const struct wasm_module *m, uint32_t from, uint64_t bytes) {
    uint64_t sum = 0;
    while (from < m->funcs_count && sum < bytes) sum += m->funcs[from++].body.n;
    return from;
}

static void take_part(struct compiler *c, const struct part *p) {
    align_code(c);
    code_reserve(c, p->object.text.n);
    uint32_t base = code_at(c), sites = (uint32_t)c->out->sites.n, unwind = (uint32_t)c->out->unwind.n;
    memcpy(c->p, p->object.text.p, p->object.text.n);
    c->p += p->object.text.n;
    buf_puts(&c->out->sites, buf_str(&p->object.sites));
    buf_puts(&c->out->unwind, buf_str(&p->object.unwind));
    for (uint32_t i = p->from; i < p->to; i++) {
        struct abi_object_func f = p->object.funcs[i];
        c->out->funcs[i] = (struct abi_object_func){f.start + base, f.size, f.sites + sites, f.unwind + unwind};
    }
    for (uint32_t i = 0; i < p->object.relocs.n; i++) {
        struct abi_reloc r = p->object.relocs.p[i];
        r.at += base;
        vec_push(c->arena, &c->out->relocs, r);
    }
    for (uint32_t i = 0; i < p->c->calls.n; i++) {
        struct fix call = p->c->calls.p[i];
        call.at += base;
        vec_push(c->arena, &c->calls, call);
    }
    for (uint32_t i = 0; i < c->m->funcs_count; i++) c->needs_record[i] |= p->c->needs_record[i];
    c->out->frame_bytes_max = MAX(c->out->frame_bytes_max, p->object.frame_bytes_max);
}

static err compile_in_parts(struct compiler *c, uint32_t n) {
    struct part *parts = arena_array(c->arena, struct part, n);
    uint64_t each = c->m->code_bytes / n + 1;
    uint32_t first_end = part_end(c->m, c->m->funcs_imported, each), from = first_end;
    for (uint32_t i = 1; i < n; i++) {
        struct part *p = &parts[i];
        *p = (struct part){.d = DIAG_INIT, .from = from, .to = i + 1 < n ? part_end(c->m, from, each) : c->m->funcs_count};
        from = p->to;
        p->c = compiler_new(c, &p->object, arena_new(0), &p->d);
        code_grow(p->c, each * 2);
        p->started = pthread_create(&p->thread, NULL, compile_part, p) == 0;
    }
    err e = compile_functions(c, c->m->funcs_imported, first_end);
    for (uint32_t i = 1; i < n; i++) {
        struct part *p = &parts[i];
        if (p->started) pthread_join(p->thread, NULL);
        else compile_part(p);
        if (!e && p->e) e = diag_set(c->d, p->e, p->d.offset, "%s", p->d.text);
        if (!e) take_part(c, p);
        baseline_object_free(&p->object);
        arena_free(p->c->arena);
    }
    return e;
}

static err compile_bodies(struct compiler *c) {
    uint64_t n = MIN(MIN((uint64_t)c->options->threads, c->m->code_bytes / PART_BYTES), (uint64_t)PARTS_MAX);
    return n > 1 ? compile_in_parts(c, (uint32_t)n) : compile_functions(c, c->m->funcs_imported, c->m->funcs_count);
}

static err compile_all(struct compiler *c) {
    target_begin(c);
    host_thunks(c);
    TRY(compile_bodies(c));
    if (c->options->init) TRY(compile_init(c, c->options->init));
    if (!resolve_calls(c)) {
        ENSURE(!c->far_calls);
        c->far_calls = true;
        return ERR_OK;
    }
    list_refs(c);
    put_entries(c);
    return ERR_OK;
}

#ifndef BASELINE_OTHER /* the second copy of this room, whose functions have this before their names */
err other_baseline_compile(const struct abi_layout *layout, const struct baseline_options *o, arena *a, struct abi_object *out,
                           struct diag *d);
#endif

err baseline_compile(const struct abi_layout *layout, const struct baseline_options *o, arena *a, struct abi_object *out,
                     struct diag *d) {
#ifndef BASELINE_OTHER
    if (o->machine && o->machine != BASELINE_MACHINE) return other_baseline_compile(layout, o, a, out, d);
#endif
    const struct wasm_module *m = layout->module;
    struct compiler like = {.layout = layout, .m = m, .options = o, .cpu = o->cpu_features, .far_calls = o->far};
    struct compiler *c = compiler_new(&like, out, a, d);
    code_grow(c, m->code_bytes * 2);
    err e = compile_all(c);
    if (!e && c->far_calls != o->far) { /* a module larger than calls reach is made again */
        baseline_object_free(out);
        like.far_calls = true;
        c = compiler_new(&like, out, a, d);
        code_grow(c, m->code_bytes * 2);
        e = compile_all(c);
    }
    out->text.n = code_at(c);
    if (e) baseline_object_free(out);
    return e;
}

void baseline_object_free(struct abi_object *object) {
    buf_free(&object->text);
    buf_free(&object->sites);
    buf_free(&object->unwind);
}
