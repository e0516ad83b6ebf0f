/* plan: look-ups in a finished plan, core signatures, and WIT-like text of its types. */
#include "component/plan.h"

/* ---- core signatures (CanonicalABI.md, Flattening) ---------------------------------------------- */

static void param(struct plan_core_sig *s, enum plan_flat t) { s->params[s->params_count++] = (uint8_t)t; }
static void result(struct plan_core_sig *s, enum plan_flat t) { s->results[s->results_count++] = (uint8_t)t; }

static void params_of(const struct plan_func_type *ft, bool ptr64, uint32_t max, struct plan_core_sig *s) {
    const struct plan_layout *l = &ft->params[ptr64];
    s->params_in_memory = l->flat_count > max;
    if (s->params_in_memory) {
        param(s, ptr64 ? PLAN_I64 : PLAN_I32);
        return;
    }
    memcpy(s->params, l->flat, l->flat_count);
    s->params_count = l->flat_count;
}

void plan_lift_sig(const struct plan *plan, const struct plan_lift *lift, struct plan_core_sig *s) {
    const struct plan_func_type *ft = &plan->func_types[lift->type];
    bool ptr64 = lift->options.memory64;
    *s = (struct plan_core_sig){0};
    params_of(ft, ptr64, PLAN_FLAT_MAX, s);
    if (lift->options.is_async) {
        if (lift->options.callback.kind != PLAN_DEF_NONE) result(s, PLAN_I32);
        return;
    }
    if (ft->result == PLAN_NONE) return;
    const struct plan_layout *l = &plan->types[ft->result].layout[ptr64];
    s->result_in_memory = l->flat_count > 1;
    if (s->result_in_memory) result(s, ptr64 ? PLAN_I64 : PLAN_I32);
    else if (l->flat_count) result(s, (enum plan_flat)l->flat[0]);
}

static void lower_sig(const struct plan *plan, const struct plan_canon *c, struct plan_core_sig *s) {
    const struct plan_func_type *ft = &plan->func_types[c->func_type];
    bool ptr64 = c->options.memory64, is_async = c->options.is_async;
    enum plan_flat ptr = ptr64 ? PLAN_I64 : PLAN_I32;
    const struct plan_layout *l = ft->result == PLAN_NONE ? NULL : &plan->types[ft->result].layout[ptr64];
    params_of(ft, ptr64, is_async ? 4 : PLAN_FLAT_MAX, s);
    s->result_in_memory = l && l->flat_count > (is_async ? 0 : 1);
    if (s->result_in_memory) param(s, ptr);
    if (is_async) result(s, PLAN_I32);
    else if (l && l->flat_count && !s->result_in_memory) result(s, (enum plan_flat)l->flat[0]);
}

static void task_return_sig(const struct plan *plan, const struct plan_canon *c, struct plan_core_sig *s) {
    if (c->type == PLAN_NONE) return;
    bool ptr64 = c->options.memory64;
    const struct plan_layout *l = &plan->types[c->type].layout[ptr64];
    struct plan_func_type ft = {.params = {*l, *l}};
    params_of(&ft, ptr64, PLAN_FLAT_MAX, s);
}

/* The rest, as "params:results" in letters: i i32, l i64, p a pointer, t the type of a context slot or start
 * argument, x a table index, r a representation. */
static const char *builtin_sig(enum component_canon_kind k) {
    switch (k) {
    case COMPONENT_CANON_RESOURCE_NEW: return "r:i";
    case COMPONENT_CANON_RESOURCE_REP: return "i:r";
    case COMPONENT_CANON_CONTEXT_GET: return ":t";
    case COMPONENT_CANON_CONTEXT_SET: return "t:";
    case COMPONENT_CANON_STREAM_NEW:
    case COMPONENT_CANON_FUTURE_NEW: return ":l";
    case COMPONENT_CANON_STREAM_READ:
    case COMPONENT_CANON_STREAM_WRITE: return "ipp:p";
    case COMPONENT_CANON_FUTURE_READ:
    case COMPONENT_CANON_FUTURE_WRITE: return "ip:i";
    case COMPONENT_CANON_ERROR_CONTEXT_NEW: return "pp:i";
    case COMPONENT_CANON_ERROR_CONTEXT_DEBUG_MESSAGE: return "ip:";
    case COMPONENT_CANON_WAITABLE_SET_WAIT:
    case COMPONENT_CANON_WAITABLE_SET_POLL: return "ip:i";
    case COMPONENT_CANON_WAITABLE_JOIN: return "ii:";
    case COMPONENT_CANON_THREAD_NEW_INDIRECT:
    case COMPONENT_CANON_THREAD_SPAWN_REF:
    case COMPONENT_CANON_THREAD_SPAWN_INDIRECT: return "xt:i";
    case COMPONENT_CANON_SUBTASK_CANCEL:
    case COMPONENT_CANON_STREAM_CANCEL_READ:
    case COMPONENT_CANON_STREAM_CANCEL_WRITE:
    case COMPONENT_CANON_FUTURE_CANCEL_READ:
    case COMPONENT_CANON_FUTURE_CANCEL_WRITE:
    case COMPONENT_CANON_THREAD_SUSPEND_THEN_RESUME:
    case COMPONENT_CANON_THREAD_YIELD_THEN_RESUME:
    case COMPONENT_CANON_THREAD_SUSPEND_THEN_PROMOTE:
    case COMPONENT_CANON_THREAD_YIELD_THEN_PROMOTE: return "i:i";
    case COMPONENT_CANON_WAITABLE_SET_NEW:
    case COMPONENT_CANON_THREAD_INDEX:
    case COMPONENT_CANON_THREAD_SUSPEND:
    case COMPONENT_CANON_THREAD_YIELD:
    case COMPONENT_CANON_THREAD_AVAILABLE_PARALLELISM: return ":i";
    case COMPONENT_CANON_TASK_CANCEL:
    case COMPONENT_CANON_BACKPRESSURE_INC:
    case COMPONENT_CANON_BACKPRESSURE_DEC: return ":";
    default: return "i:"; /* the drops, thread.resume-later */
    }
}

void plan_canon_sig(const struct plan *plan, const struct plan_canon *c, struct plan_core_sig *s) {
    *s = (struct plan_core_sig){0};
    if (c->kind == COMPONENT_CANON_LOWER) return lower_sig(plan, c, s);
    if (c->kind == COMPONENT_CANON_TASK_RETURN) return task_return_sig(plan, c, s);
    bool after = false;
    for (const char *p = builtin_sig(c->kind); *p; p++) {
        bool wide = *p == 'l' || (*p == 'p' && c->options.memory64) || (*p == 't' && c->immediate64) ||
                    (*p == 'x' && c->table64) || (*p == 'r' && plan->resources[c->resource].rep64);
        if (*p == ':') after = true;
        else if (after) result(s, wide ? PLAN_I64 : PLAN_I32);
        else param(s, wide ? PLAN_I64 : PLAN_I32);
    }
}

/* ---- look-ups ----------------------------------------------------------------------------------- */

static const struct plan_export *export_in(const struct plan *plan, uint32_t parent, str name) {
    for (uint32_t i = 0; i < plan->exports_count; i++)
        if (plan->exports[i].parent == parent && str_eq(plan->exports[i].name, name)) return &plan->exports[i];
    return NULL;
}

const struct plan_export *plan_export_find(const struct plan *plan, str interface, str name) {
    if (!interface.n) return export_in(plan, PLAN_NONE, name);
    for (int exact = 1; exact >= 0; exact--) {
        for (uint32_t i = 0; i < plan->exports_count; i++) {
            const struct plan_export *x = &plan->exports[i];
            if (x->kind != PLAN_EXPORT_INSTANCE || x->parent != PLAN_NONE) continue;
            if (exact ? !str_eq(x->name, interface) : !component_name_matches(interface, x->name)) continue;
            const struct plan_export *found = export_in(plan, i, name);
            if (found) return found;
        }
    }
    return NULL;
}

/* ---- text --------------------------------------------------------------------------------------- */

static void print_resource(const struct plan *plan, uint32_t resource, struct buf *out) {
    const struct plan_resource *r = &plan->resources[resource];
    if (r->label.n) buf_puts(out, r->label);
    else buf_printf(out, "resource-%u", resource);
}

static void plan_print_type(const struct plan *plan, uint32_t type, struct buf *out);

static void print_fields(const struct plan *plan, const struct plan_type *t, const char *open, struct buf *out) {
    buf_printf(out, "%s", open);
    for (uint32_t i = 0; i < t->fields_count; i++) {
        const struct plan_field *f = &plan->fields[t->fields_first + i];
        buf_printf(out, "%s" STR_FMT, i ? ", " : "", STR_ARG(f->name));
        if (f->type == PLAN_NONE) continue;
        bool variant = t->kind == COMPONENT_TYPE_VARIANT;
        buf_printf(out, "%s", variant ? "(" : f->name.n ? ": " : "");
        plan_print_type(plan, f->type, out);
        if (variant) buf_putc(out, ')');
    }
}

static void print_result(const struct plan *plan, const struct plan_type *t, struct buf *out) {
    buf_puts(out, STR("result"));
    if (t->element == PLAN_NONE && t->error == PLAN_NONE) return;
    buf_putc(out, '<');
    if (t->element == PLAN_NONE) buf_putc(out, '_');
    else plan_print_type(plan, t->element, out);
    if (t->error != PLAN_NONE) {
        buf_puts(out, STR(", "));
        plan_print_type(plan, t->error, out);
    }
    buf_putc(out, '>');
}

/* By its name if it has one. */
static void plan_print_type(const struct plan *plan, uint32_t type, struct buf *out) {
    const struct plan_type *t = &plan->types[type];
    bool nominal = t->kind == COMPONENT_TYPE_RECORD || t->kind == COMPONENT_TYPE_VARIANT || t->kind == COMPONENT_TYPE_FLAGS ||
                   t->kind == COMPONENT_TYPE_ENUM;
    if (t->name.n && nominal) buf_puts(out, t->name);
    else plan_print_type_definition(plan, type, out);
}

void plan_print_type_definition(const struct plan *plan, uint32_t type, struct buf *out) {
    const struct plan_type *t = &plan->types[type];
    const char *text = component_type_text(t->kind);
    switch (t->kind) {
    case COMPONENT_TYPE_RECORD:
    case COMPONENT_TYPE_VARIANT:
    case COMPONENT_TYPE_FLAGS:
    case COMPONENT_TYPE_ENUM:
        buf_puts(out, str_c(text));
        print_fields(plan, t, " { ", out);
        buf_puts(out, STR(" }"));
        return;
    case COMPONENT_TYPE_TUPLE:
        print_fields(plan, t, "tuple<", out);
        buf_putc(out, '>');
        return;
    case COMPONENT_TYPE_RESULT: print_result(plan, t, out); return;
    case COMPONENT_TYPE_OWN: print_resource(plan, t->resource, out); return;
    case COMPONENT_TYPE_BORROW:
        buf_puts(out, STR("borrow<"));
        print_resource(plan, t->resource, out);
        buf_putc(out, '>');
        return;
    default: break;
    }
    buf_puts(out, str_c(text));
    if (t->element == PLAN_NONE) return;
    buf_putc(out, '<');
    plan_print_type(plan, t->element, out);
    if (t->kind == COMPONENT_TYPE_FIXED_LIST) buf_printf(out, ", %u", t->length);
    if (t->error != PLAN_NONE) {
        buf_puts(out, STR(", "));
        plan_print_type(plan, t->error, out);
    }
    buf_putc(out, '>');
}

void plan_print_func(const struct plan *plan, uint32_t func_type, struct buf *out) {
    const struct plan_func_type *f = &plan->func_types[func_type];
    buf_printf(out, "%sfunc(", f->is_async ? "async " : "");
    for (uint32_t i = 0; i < f->params_count; i++) {
        const struct plan_field *p = &plan->fields[f->params_first + i];
        buf_printf(out, "%s" STR_FMT ": ", i ? ", " : "", STR_ARG(p->name));
        plan_print_type(plan, p->type, out);
    }
    buf_putc(out, ')');
    if (f->result == PLAN_NONE) return;
    buf_puts(out, STR(" -> "));
    plan_print_type(plan, f->result, out);
}

static void inspect_imports(const struct plan *plan, struct buf *out) {
    str interface = STR("");
    buf_puts(out, STR("imports:\n"));
    for (uint32_t i = 0; i < plan->imports_count; i++) {
        const struct plan_import *x = &plan->imports[i];
        if (x->interface.n && !str_eq(x->interface, interface)) buf_printf(out, "  " STR_FMT "\n", STR_ARG(x->interface));
        interface = x->interface;
        buf_printf(out, "%s" STR_FMT ": ", x->interface.n ? "    " : "  ", STR_ARG(x->name));
        plan_print_func(plan, x->type, out);
        buf_putc(out, '\n');
    }
    for (uint32_t i = 0; i < plan->host_imports_count; i++) {
        const struct plan_host_import *x = &plan->host_imports[i];
        buf_printf(out, "  " STR_FMT "." STR_FMT " (%s)\n", STR_ARG(x->module), STR_ARG(x->name),
                   wasm_extern_text((enum wasm_extern)x->extern_kind));
    }
}

static uint32_t depth_of(const struct plan *plan, const struct plan_export *x) {
    uint32_t n = 0;
    for (; x->parent != PLAN_NONE && n < 16; n++) x = &plan->exports[x->parent];
    return n;
}

static void inspect_exports(const struct plan *plan, struct buf *out) {
    buf_puts(out, STR("exports:\n"));
    for (uint32_t i = 0; i < plan->exports_count; i++) {
        const struct plan_export *x = &plan->exports[i];
        buf_printf(out, "%*s" STR_FMT, (int)(2 + 2 * depth_of(plan, x)), "", STR_ARG(x->name));
        switch (x->kind) {
        case PLAN_EXPORT_FUNC:
            buf_puts(out, STR(": "));
            plan_print_func(plan, x->index, out);
            break;
        case PLAN_EXPORT_RESOURCE: buf_puts(out, STR(": resource")); break;
        case PLAN_EXPORT_TYPE:
            buf_puts(out, STR(" = "));
            plan_print_type_definition(plan, x->index, out);
            break;
        case PLAN_EXPORT_INSTANCE: break;
        case PLAN_EXPORT_OTHER: buf_puts(out, STR(": (a type, component or core module)")); break;
        }
        buf_putc(out, '\n');
    }
}

void component_inspect(const struct plan *plan, struct buf *out) {
    inspect_imports(plan, out);
    inspect_exports(plan, out);
}
