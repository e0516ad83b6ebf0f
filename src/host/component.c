/* component: binds a loaded image: its plan's lifts, canonical definitions and exports, resolved to what
 * calls use. */
#include <stdlib.h>

#include "host/host_int.h"

struct loader {
    struct host_component *c;
    const struct host_offer *offer;
    struct diag *d;
    const struct host_type *const *types[2];
    bool missing; /* a record that the image should have */
};

static uint32_t memory_number(struct host_component *c, const struct plan_core_def *def) {
    for (uint32_t i = 0; i < c->memories.n; i++)
        if (c->memories.p[i].instance == def->instance && c->memories.p[i].index == def->index) return i;
    struct host_memory m = {def->instance, def->index};
    vec_push(c->arena, &c->memories, m);
    return c->memories.n - 1;
}

static struct host_core core_of(struct loader *l, const struct plan_core_def *def) {
    struct host_core f = {};
    if (def->kind == PLAN_DEF_EXPORT) f.func = abi_image_func(engine_image_abi(l->c->image), def->instance, def->index);
    if (def->kind == PLAN_DEF_CANON) f.canon = &l->c->bindings[def->index];
    if (def->kind != PLAN_DEF_NONE && !host_core_given(&f)) l->missing = true;
    return f;
}

static struct host_options options_of(struct loader *l, const struct plan_options *p, uint32_t ci) {
    struct host_options o = {
        .memory64 = p->memory64, .encoding = (uint8_t)p->encoding, .ci = ci, .has_memory = p->memory.kind == PLAN_DEF_EXPORT};
    if (o.has_memory) o.memory = memory_number(l->c, &p->memory);
    o.realloc = core_of(l, &p->realloc);
    o.post_return = core_of(l, &p->post_return);
    return o;
}

static const struct host_type *const *types_for(struct loader *l, bool ptr64) {
    if (!l->types[ptr64])
        l->types[ptr64] = l->c->types[ptr64] = host_types_of_plan(l->c->arena, &l->c->plan, l->c->resources, ptr64);
    return l->types[ptr64];
}

static const struct host_type *params_of(struct loader *l, uint32_t func_type, bool ptr64) {
    return host_params_of_plan(l->c->arena, &l->c->plan, func_type, types_for(l, ptr64), ptr64);
}
static const struct host_type *result_of(struct loader *l, uint32_t func_type, bool ptr64) {
    uint32_t t = l->c->plan.func_types[func_type].result;
    return t == PLAN_NONE ? NULL : types_for(l, ptr64)[t];
}

static void load_lift(struct loader *l, uint32_t i) {
    const struct plan_lift *p = &l->c->plan.lifts[i];
    struct host_lift *lift = &l->c->lifts[i];
    bool wide = p->options.memory64;
    lift->is_async = p->options.is_async;
    lift->callback = p->options.callback.kind != PLAN_DEF_NONE;
    lift->async_type = l->c->plan.func_types[p->type].is_async;
    lift->func = core_of(l, &p->func);
    lift->callback_func = core_of(l, &p->options.callback);
    lift->o = options_of(l, &p->options, p->instance);
    lift->params[wide] = params_of(l, p->type, wide);
    lift->result[wide] = result_of(l, p->type, wide);
    lift->params_flat = lift->params[wide] ? lift->params[wide]->flat_count : 0;
    lift->params_spilled = lift->params_flat > PLAN_FLAT_MAX;
    lift->result_spilled = lift->result[wide] && lift->result[wide]->flat_count > 1;
}

static bool is_within(const struct plan *plan, uint32_t inner, uint32_t outer) {
    for (; inner != PLAN_NONE; inner = plan->instances[inner].parent)
        if (inner == outer) return true;
    return false;
}

static void load_lower(struct loader *l, const struct plan_canon *p, struct host_binding *b) {
    bool wide = p->options.memory64;
    b->params = params_of(l, p->func_type, wide);
    b->result = result_of(l, p->func_type, wide);
    uint32_t flat = b->params ? b->params->flat_count : 0;
    b->is_async = p->options.is_async;
    b->async_type = l->c->plan.func_types[p->func_type].is_async;
    b->params_spilled = flat > (b->is_async ? HOST_FLAT_ASYNC_MAX : PLAN_FLAT_MAX);
    b->params_flat = b->params_spilled ? 1 : flat;
    b->result_spilled = b->result && (b->is_async || b->result->flat_count > 1);
    if (p->target.kind == PLAN_FUNC_LIFT) {
        b->kind = HOST_BIND_LIFT;
        b->lift = &l->c->lifts[p->target.index];
        uint32_t callee = l->c->plan.lifts[p->target.index].instance;
        b->related = is_within(&l->c->plan, callee, p->instance) || is_within(&l->c->plan, p->instance, callee);
        return;
    }
    b->kind = HOST_BIND_IMPORT;
    const struct host_func *f = host_offer_find(l->offer, &l->c->plan.imports[p->target.index]);
    ENSURE(f); /* host_offer_check_types found it */
    if (f->params) ENSURE(b->params->host_size == f->params->host_size);
    if (f->result) ENSURE(b->result->host_size == f->result->host_size && b->result->host_payload == f->result->host_payload);
    b->fn = f->fn;
    b->name = f->name;
}

static void load_task_return(struct loader *l, const struct plan_canon *p, struct host_binding *b) {
    if (p->type == PLAN_NONE) return;
    b->result = types_for(l, b->o.memory64)[p->type];
    b->params_spilled = b->result->flat_count > PLAN_FLAT_MAX;
}

static const host_builtin builtins[COMPONENT_CANON_COUNT] = {
    [COMPONENT_CANON_TASK_RETURN] = host_task_return,
    [COMPONENT_CANON_TASK_CANCEL] = host_task_cancel,
    [COMPONENT_CANON_SUBTASK_CANCEL] = host_subtask_cancel,
    [COMPONENT_CANON_SUBTASK_DROP] = host_subtask_drop,
    [COMPONENT_CANON_WAITABLE_SET_NEW] = host_wset_new,
    [COMPONENT_CANON_WAITABLE_SET_WAIT] = host_wset_wait,
    [COMPONENT_CANON_WAITABLE_SET_POLL] = host_wset_poll,
    [COMPONENT_CANON_WAITABLE_SET_DROP] = host_wset_drop,
    [COMPONENT_CANON_WAITABLE_JOIN] = host_waitable_join,
    [COMPONENT_CANON_STREAM_NEW] = host_pipe_new_builtin,
    [COMPONENT_CANON_STREAM_READ] = host_end_read,
    [COMPONENT_CANON_STREAM_WRITE] = host_end_write,
    [COMPONENT_CANON_STREAM_CANCEL_READ] = host_end_cancel_read,
    [COMPONENT_CANON_STREAM_CANCEL_WRITE] = host_end_cancel_write,
    [COMPONENT_CANON_STREAM_DROP_READABLE] = host_end_drop_readable,
    [COMPONENT_CANON_STREAM_DROP_WRITABLE] = host_end_drop_writable,
    [COMPONENT_CANON_FUTURE_NEW] = host_pipe_new_builtin,
    [COMPONENT_CANON_FUTURE_READ] = host_end_read,
    [COMPONENT_CANON_FUTURE_WRITE] = host_end_write,
    [COMPONENT_CANON_FUTURE_CANCEL_READ] = host_end_cancel_read,
    [COMPONENT_CANON_FUTURE_CANCEL_WRITE] = host_end_cancel_write,
    [COMPONENT_CANON_FUTURE_DROP_READABLE] = host_end_drop_readable,
    [COMPONENT_CANON_FUTURE_DROP_WRITABLE] = host_end_drop_writable,
    [COMPONENT_CANON_ERROR_CONTEXT_NEW] = host_error_context_new_builtin,
    [COMPONENT_CANON_ERROR_CONTEXT_DEBUG_MESSAGE] = host_error_context_debug_message,
    [COMPONENT_CANON_ERROR_CONTEXT_DROP] = host_error_context_drop_builtin,
    [COMPONENT_CANON_THREAD_INDEX] = host_thread_index,
    [COMPONENT_CANON_THREAD_NEW_INDIRECT] = host_thread_new_indirect,
    [COMPONENT_CANON_THREAD_RESUME_LATER] = host_thread_resume_later,
    [COMPONENT_CANON_THREAD_SUSPEND] = host_thread_suspend,
    [COMPONENT_CANON_THREAD_YIELD] = host_thread_yield,
    [COMPONENT_CANON_THREAD_SUSPEND_THEN_RESUME] = host_thread_suspend_then_resume,
    [COMPONENT_CANON_THREAD_YIELD_THEN_RESUME] = host_thread_yield_then_resume,
    [COMPONENT_CANON_THREAD_SUSPEND_THEN_PROMOTE] = host_thread_suspend_then_promote,
    [COMPONENT_CANON_THREAD_YIELD_THEN_PROMOTE] = host_thread_yield_then_promote,
};

static void load_builtin(struct loader *l, const struct plan_canon *p, struct host_binding *b) {
    const struct plan *plan = &l->c->plan;
    b->builtin = builtins[p->kind];
    b->kind = b->builtin ? HOST_BIND_TASK : HOST_BIND_UNSUPPORTED;
    b->name = component_canon_text(p->kind);
    b->is_async = p->options.is_async;
    b->async_op = p->is_async;
    b->cancellable = p->cancellable;
    if (p->kind >= COMPONENT_CANON_STREAM_NEW && p->kind <= COMPONENT_CANON_FUTURE_DROP_WRITABLE) {
        b->end_type = p->kind >= COMPONENT_CANON_FUTURE_NEW ? &host_is_future : &host_is_stream;
        b->elem = plan->types[p->type].element;
        (void)types_for(l, b->o.memory64); /* so that they are there */
    }
    if (p->kind == COMPONENT_CANON_THREAD_NEW_INDIRECT) {
        b->table_instance = p->table.instance;
        b->table = p->table.index;
        b->table64 = p->table64;
        b->wide = p->immediate64;
        b->start_type = p->immediate;
    }
}

static err load_resource(struct loader *l, const struct plan_canon *p, struct host_binding *b, enum host_binding_kind kind) {
    b->kind = kind;
    const struct plan_resource *r = &l->c->plan.resources[p->resource];
    b->resource = l->c->resources[p->resource];
    b->wide = r->rep64;
    if (r->imported) return ERR_OK;
    b->dtor = core_of(l, &r->destructor);
    b->dtor_ci = r->instance;
    return ERR_OK;
}

static err load_canon(struct loader *l, uint32_t i) {
    const struct plan_canon *p = &l->c->plan.canons[i];
    struct host_binding *b = &l->c->bindings[i];
    b->o = options_of(l, &p->options, p->instance);
    switch (p->kind) {
    case COMPONENT_CANON_LOWER: load_lower(l, p, b); return ERR_OK;
    case COMPONENT_CANON_TASK_RETURN: load_task_return(l, p, b); break;
    case COMPONENT_CANON_RESOURCE_NEW: return load_resource(l, p, b, HOST_BIND_RESOURCE_NEW);
    case COMPONENT_CANON_RESOURCE_REP: return load_resource(l, p, b, HOST_BIND_RESOURCE_REP);
    case COMPONENT_CANON_RESOURCE_DROP: return load_resource(l, p, b, HOST_BIND_RESOURCE_DROP);
    case COMPONENT_CANON_BACKPRESSURE_INC: b->kind = HOST_BIND_BACKPRESSURE_INC; return ERR_OK;
    case COMPONENT_CANON_BACKPRESSURE_DEC: b->kind = HOST_BIND_BACKPRESSURE_DEC; return ERR_OK;
    case COMPONENT_CANON_CONTEXT_GET:
    case COMPONENT_CANON_CONTEXT_SET:
        b->kind = p->kind == COMPONENT_CANON_CONTEXT_GET ? HOST_BIND_CONTEXT_GET : HOST_BIND_CONTEXT_SET;
        b->slot = p->immediate;
        b->wide = p->immediate64;
        return b->slot < 2 ? ERR_OK : diag_set(l->d, ERR_MALFORMED, DIAG_NOWHERE, "context slot %u", b->slot);
    default: break;
    }
    load_builtin(l, p, b);
    return ERR_OK;
}

static void load_exports(struct host_component *c) {
    c->exports = arena_array(c->arena, struct host_export, c->plan.exports_count);
    for (uint32_t i = 0; i < c->plan.exports_count; i++) {
        const struct plan_export *p = &c->plan.exports[i];
        if (p->kind == PLAN_EXPORT_FUNC && p->func.kind == PLAN_FUNC_LIFT) c->exports[i].lift = &c->lifts[p->func.index];
    }
}

static err load_plan(struct loader *l, str bytes) {
    struct host_component *c = l->c;
    if (plan_load(c->arena, bytes, &c->plan))
        return diag_set(l->d, ERR_MALFORMED, DIAG_NOWHERE, "the image's component plan cannot be read");
    const struct plan *plan = &c->plan;
    c->has_plan = true;
    c->resources = host_resources_of_plan(c->arena, plan, l->offer);
    TRY(host_offer_check_types(l->offer, plan, c->resources, types_for(l, false), l->d));
    c->lifts = arena_array(c->arena, struct host_lift, plan->lifts_count);
    c->bindings = arena_array(c->arena, struct host_binding, plan->canons_count);
    for (uint32_t i = 0; i < plan->lifts_count; i++) load_lift(l, i);
    for (uint32_t i = 0; i < plan->canons_count; i++) TRY(load_canon(l, i));
    load_exports(c);
    if (l->missing) return diag_set(l->d, ERR_MALFORMED, DIAG_NOWHERE, "the image lacks functions that its component plan names");
    return ERR_OK;
}

/* "iil:i" has so many letters before and after its colon (all of one slot but v128, which no host function takes). */
static bool slots_fit(const struct abi_image_host *host, const char *sig) {
    const char *colon = strchr(sig, ':');
    return colon && (size_t)(colon - sig) == host->arg_slots && strlen(colon + 1) == host->result_slots;
}

static err bind_core(struct loader *l, uint32_t host_index, const struct abi_image *im, const struct abi_image_host *host) {
    struct plan_host_import import = {.module = abi_image_str(im, host->module), .name = abi_image_str(im, host->name)};
    const struct host_core_func *f = host_offer_core(l->offer, import.module, import.name);
    if (f && slots_fit(host, f->sig)) {
        engine_image_bind(l->c->image, host_index, f->fn, NULL);
        return ERR_OK;
    }
    if (f)
        return diag_set(l->d, ERR_LINK, DIAG_NOWHERE,
                        "this module imports " STR_FMT "." STR_FMT " with another type than it is offered with",
                        STR_ARG(import.module), STR_ARG(import.name));
    struct plan missing = {.is_core = true, .host_imports = &import, .host_imports_count = 1};
    return host_offer_check(l->offer, &missing, l->d);
}

static err bind_hosts(struct loader *l) {
    const struct abi_image *im = engine_image_abi(l->c->image);
    const struct abi_image_host *hosts = abi_image_at(im, im->head->hosts, struct abi_image_host);
    for (uint32_t i = 0; i < im->head->hosts.count; i++) {
        if (hosts[i].plan_kind != PLAN_DEF_CANON) {
            TRY(bind_core(l, i, im, &hosts[i]));
            continue;
        }
        if (hosts[i].plan_index >= l->c->plan.canons_count)
            return diag_set(l->d, ERR_MALFORMED, DIAG_NOWHERE, "the image's host imports and plan differ");
        engine_image_bind(l->c->image, i, host_bound, &l->c->bindings[hosts[i].plan_index]);
    }
    return ERR_OK;
}

err host_component_load(struct engine_share *s, struct abi_image im, const struct host_offer *offer,
                        const struct host_limits *limits, struct host_component **out, struct diag *d) {
    struct engine_image *image = engine_image_load(s, im);
    if (!image) return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "there is no room for the image");
    arena *a = arena_new(0);
    struct host_component *c = arena_make(a, struct host_component);
    *c = (struct host_component){.arena = a, .image = image};
    if (limits) c->limits = *limits;
    if (!c->limits.handles_max) c->limits.handles_max = 65536;
    if (!c->limits.threads_max) c->limits.threads_max = 1000;
    if (!c->limits.call_bytes_max) c->limits.call_bytes_max = 16 * MiB;
    if (!c->limits.host_bytes_max) c->limits.host_bytes_max = 64 * MiB;
    struct loader l = {.c = c, .offer = offer, .d = d};
    str plan = abi_image_str(&im, im.head->plan);
    err fail = plan.n ? load_plan(&l, plan) : ERR_OK;
    if (!fail) fail = bind_hosts(&l);
    if (fail) {
        host_component_unload(c);
        return fail;
    }
    *out = c;
    return ERR_OK;
}

void host_component_unload(struct host_component *c) {
    for (struct host_instance *in = c->free_instances, *next; in; in = next) {
        next = in->next;
        host_instance_free(in);
    }
    host_chunks_free(c);
    engine_image_unload(c->image);
    arena_free(c->arena);
}

struct engine_image *host_component_image(const struct host_component *c) {
    return c->image;
}
/* ---- exports ---------------------------------------------------------------------------------- */

const struct host_export *host_component_export_named(const struct host_component *c, str interface, str func) {
    if (!c->has_plan) return NULL;
    const struct plan_export *p = plan_export_find(&c->plan, interface, func);
    if (!p || p->kind != PLAN_EXPORT_FUNC) return NULL;
    const struct host_export *ex = &c->exports[p - c->plan.exports];
    return ex->lift ? ex : NULL;
}

static str desc_interface(const struct host_export_desc *desc, char *buf, size_t n) {
    if (!desc->interface) return (str){};
    struct diag text = DIAG_INIT;
    struct host_version v = desc->interface->version;
    if (v.major || v.minor || v.patch)
        (void)diag_set(&text, ERR_OK, 0, "%s@%u.%u.%u%s%s", desc->interface->name, v.major, v.minor, v.patch, v.pre ? "-" : "",
                       v.pre ? v.pre : "");
    else (void)diag_set(&text, ERR_OK, 0, "%s", desc->interface->name);
    size_t len = MIN(strlen(text.text), n);
    memcpy(buf, text.text, len);
    return (str){(const uint8_t *)buf, len};
}

static bool type_fits(const struct host_type *have, const struct host_type *want, bool params, char *where, size_t n) {
    if (!have || !want) return !have == !want;
    struct host_type w = *want;
    w.is_tuple |= params;
    return host_type_equal(have, &w, where, n);
}

const struct host_export *host_component_export(const struct host_component *c, const struct host_export_desc *desc,
                                                struct diag *d) {
    char name[256], where[200] = "";
    const struct host_export *ex =
        host_component_export_named(c, desc_interface(desc, name, sizeof name), str_c(desc->func.name));
    if (!ex) return NULL;
    if (type_fits(host_export_params(ex), desc->func.params, true, where, sizeof where) &&
        type_fits(host_export_result(ex), desc->func.result, false, where, sizeof where))
        return ex;
    (void)diag_set(d, ERR_LINK, DIAG_NOWHERE, "the component's export \"%s\" of %s has another type than it should have (%s)",
                   desc->func.name, desc->interface ? desc->interface->name : "its world",
                   where[0] ? where : "number of parameters or results");
    return NULL;
}

const struct host_type *host_export_params(const struct host_export *ex) { return ex->lift->params[ex->lift->o.memory64]; }
const struct host_type *host_export_result(const struct host_export *ex) { return ex->lift->result[ex->lift->o.memory64]; }
