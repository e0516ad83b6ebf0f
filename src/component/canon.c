/* canon: decoding and checking of canonical definitions (Binary.md, Canonical Definitions; CanonicalABI.md,
 * "validation specifies" under each). canon.def lists them with their immediates. */
#include "component/component_int.h"

#define SIG_MAX (PLAN_FLAT_MAX + 1)
struct sig {
    wasm_type params[SIG_MAX], result;
    uint32_t params_count;
    bool has_result;
};

static uint32_t sig_id(struct cvalidator *v, const struct sig *s) {
    return wasm_types_func(v->ts->core, s->params, s->params_count, &s->result, s->has_result);
}

static wasm_type core_of(uint8_t flat) {
    static const wasm_type types[] = {[PLAN_I32] = WASM_I32, [PLAN_I64] = WASM_I64, [PLAN_F32] = WASM_F32, [PLAN_F64] = WASM_F64};
    return types[flat];
}

static struct sig sig_of_flat(const struct plan_core_sig *f) {
    struct sig s = {.params_count = f->params_count, .has_result = f->results_count > 0};
    for (uint32_t i = 0; i < f->params_count; i++) s.params[i] = core_of(f->params[i]);
    if (s.has_result) s.result = core_of(f->results[0]);
    return s;
}

/* ---- options ------------------------------------------------------------------------------------ */

static err core_func(struct cvalidator *v, struct cscope *s, uint32_t index, const struct wasm_deftype **t, uint64_t at) {
    if (index >= s->core_funcs.n) CFAIL(at, "unknown core function %u: function index out of bounds", index);
    *t = &v->ts->core->defs.p[s->core_funcs.p[index]];
    return ERR_OK;
}

static err abi_memory(struct cvalidator *v, struct cscope *s, uint32_t index, bool *is64, uint64_t at) {
    if (index >= s->core_memories.n) CFAIL(at, "unknown memory %u: memory index out of bounds", index);
    const struct wasm_limits *l = &s->core_memories.p[index].limits;
    if (l->shared) CFAIL(at, "mismatch in the shared flag for memories");
    *is64 = l->is64;
    return ERR_OK;
}

static err option_index(struct cvalidator *v, struct crd *r, uint32_t *field, const char *name, uint64_t at) {
    if (*field != PLAN_NONE) CFAIL(at, "canonical option `%s` is specified more than once", name);
    return crd_u32(r, field);
}

static err option(struct cvalidator *v, struct crd *r, struct coptions *o) {
    static const char *const encodings[] = {"utf8", "utf16", "latin1-utf16"};
    uint64_t at = crd_at(r);
    uint8_t b;
    TRY(crd_u8(r, &b));
    switch (b) {
    case 0:
    case 1:
    case 2:
        if (o->has_encoding)
            CFAIL(at, "canonical encoding option `%s` conflicts with option `%s`", encodings[o->encoding], encodings[b]);
        o->has_encoding = true;
        o->encoding = (enum component_encoding)b;
        return ERR_OK;
    case 3: return option_index(v, r, &o->memory, "memory", at);
    case 4: return option_index(v, r, &o->realloc, "realloc", at);
    case 5: return option_index(v, r, &o->post_return, "post-return", at);
    case 6:
        if (o->is_async) CFAIL(at, "canonical option `async` is specified more than once");
        o->is_async = true;
        return ERR_OK;
    case 7: return option_index(v, r, &o->callback, "callback", at);
    default: CMALFORMED(at, "invalid leading byte (0x%x) for canonical option", b);
    }
}

static err check_realloc(struct cvalidator *v, struct cscope *s, const struct coptions *o, bool is64, uint64_t at) {
    const struct wasm_deftype *t;
    if (o->memory == PLAN_NONE) CFAIL(at, "canonical option `realloc` requires `memory` to also be specified");
    TRY(core_func(v, s, o->realloc, &t, at));
    wasm_type ptr = is64 ? WASM_I64 : WASM_I32;
    bool ok = t->params_count == 4 && t->results_count == 1 && t->results[0] == ptr;
    for (uint32_t i = 0; ok && i < 4; i++) ok = t->params[i] == ptr;
    if (!ok) CFAIL(at, "canonical option `realloc` uses a core function with an incorrect signature");
    return ERR_OK;
}

static err options(struct cvalidator *v, struct cscope *s, struct crd *r, struct ccanon *c) {
    uint64_t at = crd_at(r);
    struct coptions *o = &c->options;
    uint32_t n;
    *o = (struct coptions){.memory = PLAN_NONE, .realloc = PLAN_NONE, .post_return = PLAN_NONE, .callback = PLAN_NONE};
    TRY(crd_count(r, CMAX_PARAMS, "canonical options", &n));
    for (uint32_t i = 0; i < n; i++) TRY(option(v, r, o));
    if (o->memory != PLAN_NONE) TRY(abi_memory(v, s, o->memory, &c->memory64, at));
    if (o->callback != PLAN_NONE && !o->is_async) CFAIL(at, "cannot specify callback without async");
    if (o->post_return != PLAN_NONE && o->is_async) CFAIL(at, "cannot specify post-return function in async");
    if (o->realloc != PLAN_NONE) TRY(check_realloc(v, s, o, c->memory64, at));
    return ERR_OK;
}

static err need_memory(struct cvalidator *v, const struct coptions *o, uint64_t at) {
    if (o->memory == PLAN_NONE) CFAIL(at, "canonical option `memory` is required");
    return ERR_OK;
}

static err need_realloc(struct cvalidator *v, const struct coptions *o, uint64_t at) {
    TRY(need_memory(v, o, at));
    if (o->realloc == PLAN_NONE) CFAIL(at, "canonical option `realloc` is required");
    return ERR_OK;
}

static err only_lowering(struct cvalidator *v, const struct coptions *o, uint64_t at) {
    if (o->post_return != PLAN_NONE) CFAIL(at, "canonical option `post-return` cannot be specified for lowerings");
    if (o->callback != PLAN_NONE) CFAIL(at, "canonical option `callback` cannot be specified for lowerings");
    return ERR_OK;
}

static err only_sync(struct cvalidator *v, const struct ccanon *c, uint64_t at) {
    if (c->options.is_async) CFAIL(at, "cannot specify `async` option on `%s`", component_canon_text(c->kind));
    return ERR_OK;
}

static bool params_have_pointer(const struct ctype *ft) {
    for (uint32_t i = 0; i < ft->fields_count; i++)
        if (ft->fields[i].type->has_pointer) return true;
    return false;
}

/* ---- lift and lower ----------------------------------------------------------------------------- */

static void put_types(char *out, size_t n, const wasm_type *types, uint32_t count) {
    size_t at = (size_t)snprintf(out, n, "[");
    for (uint32_t i = 0; i < count && at < n; i++) {
        static const char *const names[] = {[WASM_I32] = "I32", [WASM_I64] = "I64", [WASM_F32] = "F32", [WASM_F64] = "F64"};
        char text[40];
        bool number = types[i] >= WASM_I32 && types[i] <= WASM_F64;
        at += (size_t)snprintf(out + at, n - at, "%s%s", i ? ", " : "",
                               number ? names[types[i]] : wasm_type_text(types[i], text, sizeof text));
    }
    if (at < n) snprintf(out + at, n - at, "]");
}

static err same_types(struct cvalidator *v, const char *what, const wasm_type *want, uint32_t want_count, const wasm_type *have,
                      uint32_t have_count, uint32_t func, uint64_t at) {
    bool same = want_count == have_count;
    for (uint32_t i = 0; same && i < want_count; i++) same = want[i] == have[i];
    if (same) return ERR_OK;
    char w[200], h[200];
    put_types(w, sizeof w, want, want_count);
    put_types(h, sizeof h, have, have_count);
    CFAIL(at, "lowered %s types `%s` do not match %s types `%s` of core function %u", what, w, what, h, func);
}

static err lift_needs(struct cvalidator *v, const struct ccanon *c, const struct plan_core_sig *sig, uint64_t at) {
    const struct coptions *o = &c->options;
    if (params_have_pointer(c->type) || sig->params_in_memory) TRY(need_realloc(v, o, at));
    if (!c->type->elem) return ERR_OK;
    struct cflat result = {0};
    cflat_type(&result, c->type->elem, c->memory64);
    if (c->type->elem->has_pointer || result.count > (o->is_async ? PLAN_FLAT_MAX : 1)) TRY(need_memory(v, o, at));
    return ERR_OK;
}

static err lift(struct cvalidator *v, struct cscope *s, struct ccanon *c, uint64_t at) {
    const struct coptions *o = &c->options;
    const struct wasm_deftype *core, *f;
    struct plan_core_sig sig;
    TRY(core_func(v, s, c->func, &core, at));
    if (o->is_async && !c->type->is_async) CFAIL(at, "the `async` canonical option requires an async function type");
    cflat_func(c->type, true, o->is_async, o->callback != PLAN_NONE, c->memory64, &sig);
    TRY(lift_needs(v, c, &sig, at));
    struct sig want = sig_of_flat(&sig);
    TRY(same_types(v, "parameter", want.params, want.params_count, core->params, core->params_count, c->func, at));
    TRY(same_types(v, "result", &want.result, want.has_result, core->results, core->results_count, c->func, at));
    if (o->post_return != PLAN_NONE) {
        TRY(core_func(v, s, o->post_return, &f, at));
        if (f->results_count || f->params_count != want.has_result || (want.has_result && f->params[0] != want.result))
            CFAIL(at, "canonical option `post-return` uses a core function with an incorrect signature");
    }
    if (o->callback != PLAN_NONE) {
        TRY(core_func(v, s, o->callback, &f, at));
        bool ok = f->params_count == 3 && f->results_count == 1 && f->results[0] == WASM_I32;
        for (uint32_t i = 0; ok && i < 3; i++) ok = f->params[i] == WASM_I32;
        if (!ok) CFAIL(at, "canonical option `callback` uses a core function with an incorrect signature");
    }
    return cscope_push(v, s, (struct centity){.kind = CE_FUNC, .type = c->type}, at);
}

static err lower_needs(struct cvalidator *v, const struct ccanon *c, const struct ctype *ft, const struct plan_core_sig *sig,
                       uint64_t at) {
    if (params_have_pointer(ft) || sig->params_in_memory || sig->result_in_memory) TRY(need_memory(v, &c->options, at));
    if (ft->elem && ft->elem->has_pointer) TRY(need_realloc(v, &c->options, at));
    return ERR_OK;
}

static err lower(struct cvalidator *v, struct cscope *s, struct ccanon *c, struct sig *sig, uint64_t at) {
    struct plan_core_sig flat;
    if (c->func >= s->funcs.n) CFAIL(at, "unknown function %u: function index out of bounds", c->func);
    c->type = s->funcs.p[c->func];
    TRY(only_lowering(v, &c->options, at));
    if (c->options.is_async && !c->type->is_async) CFAIL(at, "the `async` canonical option requires an async function type");
    cflat_func(c->type, false, c->options.is_async, false, c->memory64, &flat);
    TRY(lower_needs(v, c, c->type, &flat, at));
    *sig = sig_of_flat(&flat);
    return ERR_OK;
}

static err task_return(struct cvalidator *v, struct ccanon *c, struct sig *sig, uint64_t at) {
    struct cfield param = {STR_INIT("v"), c->type};
    struct ctype ft = {.kind = CT_FUNC, .fields = &param, .fields_count = c->type != NULL};
    struct plan_core_sig flat;
    if (c->options.realloc != PLAN_NONE) CFAIL(at, "cannot specify `realloc` option on `task.return`");
    if (c->options.post_return != PLAN_NONE) CFAIL(at, "cannot specify `post-return` option on `task.return`");
    TRY(only_lowering(v, &c->options, at));
    TRY(only_sync(v, c, at));
    cflat_func(&ft, false, false, false, c->memory64, &flat);
    TRY(lower_needs(v, c, &ft, &flat, at));
    *sig = sig_of_flat(&flat);
    return ERR_OK;
}

/* ---- built-ins ---------------------------------------------------------------------------------- */

#define SIG(has, res, ...)                                                                                                       \
    ((struct sig){.params = {__VA_ARGS__},                                                                                       \
                  .params_count = ARRAY_COUNT(((wasm_type[]){WASM_BOT, ##__VA_ARGS__})) - 1,                                     \
                  .result = res,                                                                                                 \
                  .has_result = has})

static err resource_builtin(struct cvalidator *v, struct cscope *s, struct ccanon *c, uint32_t index, struct sig *sig,
                            uint64_t at) {
    if (c->type->kind != CT_RESOURCE) CFAIL(at, "type index %u is not a resource type", index);
    if (c->kind == COMPONENT_CANON_RESOURCE_DROP) {
        *sig = SIG(false, 0, WASM_I32);
        return ERR_OK;
    }
    if (c->type->res->owner != s) CFAIL(at, "type %u is not a local resource", index);
    wasm_type rep = c->type->res->rep64 ? WASM_I64 : WASM_I32;
    *sig = c->kind == COMPONENT_CANON_RESOURCE_NEW ? SIG(true, WASM_I32, rep) : SIG(true, rep, WASM_I32);
    return ERR_OK;
}

/* stream.* and future.*; lift: the value leaves this component (write). */
static err copy_builtin(struct cvalidator *v, struct ccanon *c, bool read, bool is_stream, struct sig *sig, uint64_t at) {
    wasm_type ptr = c->memory64 ? WASM_I64 : WASM_I32;
    TRY(only_lowering(v, &c->options, at));
    if (c->type->elem) {
        TRY(need_memory(v, &c->options, at));
        if (read && c->type->elem->has_pointer) TRY(need_realloc(v, &c->options, at));
    }
    *sig = is_stream ? SIG(true, ptr, WASM_I32, ptr, ptr) : SIG(true, WASM_I32, WASM_I32, ptr);
    return ERR_OK;
}

static err stream_builtin(struct cvalidator *v, struct ccanon *c, struct sig *sig, uint64_t at) {
    bool is_stream = c->kind >= COMPONENT_CANON_STREAM_NEW && c->kind <= COMPONENT_CANON_STREAM_DROP_WRITABLE;
    if (c->type->kind != (is_stream ? COMPONENT_TYPE_STREAM : COMPONENT_TYPE_FUTURE))
        CFAIL(at, "`%s` requires a %s type", component_canon_text(c->kind), is_stream ? "stream" : "future");
    switch (c->kind) {
    case COMPONENT_CANON_STREAM_NEW:
    case COMPONENT_CANON_FUTURE_NEW: *sig = SIG(true, WASM_I64); return ERR_OK;
    case COMPONENT_CANON_STREAM_READ:
    case COMPONENT_CANON_FUTURE_READ: return copy_builtin(v, c, true, is_stream, sig, at);
    case COMPONENT_CANON_STREAM_WRITE:
    case COMPONENT_CANON_FUTURE_WRITE: return copy_builtin(v, c, false, is_stream, sig, at);
    case COMPONENT_CANON_STREAM_CANCEL_READ:
    case COMPONENT_CANON_STREAM_CANCEL_WRITE:
    case COMPONENT_CANON_FUTURE_CANCEL_READ:
    case COMPONENT_CANON_FUTURE_CANCEL_WRITE: *sig = SIG(true, WASM_I32, WASM_I32); return ERR_OK;
    default: *sig = SIG(false, 0, WASM_I32); return ERR_OK;
    }
}

static err context_builtin(struct cvalidator *v, struct cscope *s, struct ccanon *c, wasm_type t, struct sig *sig, uint64_t at) {
    const char *name = component_canon_text(c->kind);
    if (t != WASM_I32 && t != WASM_I64) CFAIL(at, "`%s` only supports `i32` or `i64`", name);
    if (s->context_type && s->context_type != t) CFAIL(at, "`%s` type must match previous context type", name);
    if (c->immediate > 1) CFAIL(at, "`%s` immediate must be zero or one: %u", name, c->immediate);
    s->context_type = (uint8_t)t;
    c->immediate64 = t == WASM_I64;
    *sig = c->kind == COMPONENT_CANON_CONTEXT_GET ? SIG(true, t) : SIG(false, 0, t);
    return ERR_OK;
}

static err error_context_builtin(struct cvalidator *v, struct ccanon *c, struct sig *sig, uint64_t at) {
    wasm_type ptr = c->memory64 ? WASM_I64 : WASM_I32;
    bool is_new = c->kind == COMPONENT_CANON_ERROR_CONTEXT_NEW;
    TRY(is_new ? need_memory(v, &c->options, at) : need_realloc(v, &c->options, at));
    TRY(only_sync(v, c, at));
    TRY(only_lowering(v, &c->options, at));
    *sig = is_new ? SIG(true, WASM_I32, ptr, ptr) : SIG(false, 0, WASM_I32, ptr);
    return ERR_OK;
}

static err thread_start_builtin(struct cvalidator *v, struct cscope *s, struct ccanon *c, uint32_t type, struct sig *sig,
                                uint64_t at) {
    wasm_type index = WASM_I32;
    if (type >= s->core_types.n) CFAIL(at, "unknown type %u: type index out of bounds", type);
    const struct ccore_type_def *def = &s->core_types.p[type];
    if (def->module) CFAIL(at, "expected a core function type");
    const struct wasm_deftype *t = &v->ts->core->defs.p[def->type_id];
    if (t->comp != WASM_COMP_FUNC) CFAIL(at, "start type must be a function");
    if (t->params_count != 1 || (t->params[0] != WASM_I32 && t->params[0] != WASM_I64))
        CFAIL(at, "start function must take a single `i32` argument (currently)");
    if (t->results_count) CFAIL(at, "start function must not return any values");
    if (c->kind != COMPONENT_CANON_THREAD_NEW_INDIRECT) CFAIL(at, "spawn type must be shared");
    if (c->table >= s->core_tables.n) CFAIL(at, "unknown table %u: table index out of bounds", c->table);
    const struct ccore *table = &s->core_tables.p[c->table];
    if (table->type != WASM_FUNCREF || table->limits.shared) CFAIL(at, "table is not a table of (ref null func)");
    c->table64 = table->limits.is64;
    c->immediate64 = t->params[0] == WASM_I64;
    c->immediate = def->type_id;
    if (c->table64) index = WASM_I64;
    *sig = SIG(true, WASM_I32, index, t->params[0]);
    return ERR_OK;
}

/* Those whose type depends on nothing but the kind. */
static struct sig plain_builtin(enum component_canon_kind k) {
    switch (k) {
    case COMPONENT_CANON_SUBTASK_CANCEL:
    case COMPONENT_CANON_THREAD_SUSPEND_THEN_RESUME:
    case COMPONENT_CANON_THREAD_YIELD_THEN_RESUME:
    case COMPONENT_CANON_THREAD_SUSPEND_THEN_PROMOTE:
    case COMPONENT_CANON_THREAD_YIELD_THEN_PROMOTE: return SIG(true, WASM_I32, WASM_I32);
    case COMPONENT_CANON_WAITABLE_SET_NEW:
    case COMPONENT_CANON_THREAD_INDEX:
    case COMPONENT_CANON_THREAD_SUSPEND:
    case COMPONENT_CANON_THREAD_YIELD:
    case COMPONENT_CANON_THREAD_AVAILABLE_PARALLELISM: return SIG(true, WASM_I32);
    case COMPONENT_CANON_SUBTASK_DROP:
    case COMPONENT_CANON_ERROR_CONTEXT_DROP:
    case COMPONENT_CANON_WAITABLE_SET_DROP:
    case COMPONENT_CANON_THREAD_RESUME_LATER: return SIG(false, 0, WASM_I32);
    case COMPONENT_CANON_WAITABLE_JOIN: return SIG(false, 0, WASM_I32, WASM_I32);
    default: return SIG(false, 0); /* task.cancel, backpressure.* */
    }
}

/* ---- decoding ----------------------------------------------------------------------------------- */

struct immediates { /* what does not go into the ccanon */
    uint32_t type_index, core_type;
    wasm_type valtype;
};

static err flag(struct cvalidator *v, struct crd *r, bool *out) {
    uint64_t at = crd_at(r);
    uint8_t b;
    TRY(crd_u8(r, &b));
    if (b > 1) CMALFORMED(at, "invalid boolean value");
    *out = b;
    return ERR_OK;
}

static err immediate(struct cvalidator *v, struct cscope *s, struct crd *r, char what, struct ccanon *c, struct immediates *im) {
    uint64_t at = crd_at(r);
    switch (what) {
    case 'F':
    case 'f': return crd_u32(r, &c->func);
    case 'Y':
        TRY(crd_u32(r, &im->type_index));
        TRY(cscope_type(v, s, im->type_index, &c->type, at));
        if (c->type->kind != CT_FUNC) CFAIL(at, "type index %u is not a function type", im->type_index);
        return ERR_OK;
    case 't': TRY(crd_u32(r, &im->type_index)); return cscope_type(v, s, im->type_index, &c->type, at);
    case 'T': return crd_u32(r, &im->core_type);
    case 'o': return options(v, s, r, c);
    case 'a': return flag(v, r, &c->is_async);
    case 'c': return flag(v, r, &c->cancellable);
    case 's': return flag(v, r, &c->shared);
    case 'm': TRY(crd_u32(r, &c->memory)); return abi_memory(v, s, c->memory, &c->memory64, at);
    case 'b': return crd_u32(r, &c->table);
    case 'r': return cdec_resultlist(v, s, r, &c->type);
    case 'v': return cdec_core_valtype(v, s, r, &im->valtype);
    default: return crd_u32(r, &c->immediate);
    }
}

static err builtin(struct cvalidator *v, struct cscope *s, struct ccanon *c, const struct immediates *im, struct sig *sig,
                   uint64_t at) {
    switch (c->kind) {
    case COMPONENT_CANON_LOWER: return lower(v, s, c, sig, at);
    case COMPONENT_CANON_TASK_RETURN: return task_return(v, c, sig, at);
    case COMPONENT_CANON_RESOURCE_NEW:
    case COMPONENT_CANON_RESOURCE_DROP:
    case COMPONENT_CANON_RESOURCE_REP: return resource_builtin(v, s, c, im->type_index, sig, at);
    case COMPONENT_CANON_CONTEXT_GET:
    case COMPONENT_CANON_CONTEXT_SET: return context_builtin(v, s, c, im->valtype, sig, at);
    case COMPONENT_CANON_ERROR_CONTEXT_NEW:
    case COMPONENT_CANON_ERROR_CONTEXT_DEBUG_MESSAGE: return error_context_builtin(v, c, sig, at);
    case COMPONENT_CANON_WAITABLE_SET_WAIT:
    case COMPONENT_CANON_WAITABLE_SET_POLL:
        *sig = SIG(true, WASM_I32, WASM_I32, c->memory64 ? WASM_I64 : WASM_I32);
        return ERR_OK;
    case COMPONENT_CANON_THREAD_NEW_INDIRECT:
    case COMPONENT_CANON_THREAD_SPAWN_REF:
    case COMPONENT_CANON_THREAD_SPAWN_INDIRECT: return thread_start_builtin(v, s, c, im->core_type, sig, at);
    default:
        if (c->kind >= COMPONENT_CANON_STREAM_NEW && c->kind <= COMPONENT_CANON_FUTURE_DROP_WRITABLE)
            return stream_builtin(v, c, sig, at);
        *sig = plain_builtin(c->kind);
        return ERR_OK;
    }
}

static const struct {
    uint8_t opcode;
    const char *immediates;
} canons[] = {
#define X(name, opcode, text, immediates) [COMPONENT_CANON_##name] = {opcode, immediates},
#include "component/canon.def"
#undef X
};

static err kind_of(struct cvalidator *v, struct crd *r, enum component_canon_kind *kind) {
    uint64_t at = crd_at(r);
    uint8_t b, second;
    TRY(crd_u8(r, &b));
    for (unsigned k = 0; k < ARRAY_COUNT(canons); k++) {
        if (canons[k].opcode != b) continue;
        *kind = (enum component_canon_kind)k;
        if (k > COMPONENT_CANON_LOWER) return ERR_OK;
        TRY(crd_u8(r, &second));
        if (second)
            CMALFORMED(at + 1, "invalid leading byte (0x%x) for canonical function %s", second,
                       component_canon_text((enum component_canon_kind)k));
        return ERR_OK;
    }
    CMALFORMED(at, "invalid leading byte (0x%x) for canonical function", b);
}

err cdec_canon(struct cvalidator *v, struct cscope *s, struct crd *r) {
    uint64_t at = crd_at(r);
    struct ccanon *c = arena_make(v->arena, struct ccanon);
    struct immediates im = {0};
    struct sig sig = {0};
    c->memory = c->table = PLAN_NONE;
    c->options = (struct coptions){.memory = PLAN_NONE, .realloc = PLAN_NONE, .post_return = PLAN_NONE, .callback = PLAN_NONE};
    TRY(kind_of(v, r, &c->kind));
    for (const char *i = canons[c->kind].immediates; *i; i++) TRY(immediate(v, s, r, *i, c, &im));
    if (s->core_funcs.n >= CMAX_COUNT) CLIMIT(at, "functions count exceeds the limit of %u", CMAX_COUNT);
    cscope_def(v, s, CDEF_CANON)->canon = c;
    if (c->kind == COMPONENT_CANON_LIFT) return lift(v, s, c, at);
    TRY(builtin(v, s, c, &im, &sig, at));
    vec_push(v->arena, &s->core_funcs, sig_id(v, &sig));
    return ERR_OK;
}
