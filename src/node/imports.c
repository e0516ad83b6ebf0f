/* imports: what a file imports is offered here. Asked in jobs, before anything is compiled: what starts, starts everywhere. */
#include "component/plan.h"
#include "node/node_int.h"
#include "wasi/wasi.h"
#include "wasm/wasm.h"

static bool types_fit(const wasm_type *types, uint32_t count, const char *letters, size_t n) {
    static const struct {
        char letter;
        wasm_type type;
    } table[] = {{'i', WASM_I32}, {'l', WASM_I64}, {'f', WASM_F32}, {'d', WASM_F64}};
    if (count != n) return false;
    for (uint32_t i = 0; i < count; i++)
        for (size_t k = 0; k < ARRAY_COUNT(table); k++)
            if (table[k].letter == letters[i] && table[k].type != types[i]) return false;
    return true;
}

static bool is_offered_as(const struct wasm_module *m, const struct wasm_import *im, const char *sig) {
    const struct wasm_deftype *t = wasm_func_type(m, im->index);
    size_t params = strcspn(sig, ":");
    return types_fit(t->params, t->params_count, sig, params) &&
           types_fit(t->results, t->results_count, sig + params + 1, strlen(sig + params + 1));
}

/* Of core modules; components' are compared by host_offer_check. */
static err check_core_types(const struct plan *plan, struct diag *d) {
    if (!plan->modules_count) return ERR_OK; /* an image's: they were checked when it was made */
    for (uint32_t i = 0; i < plan->host_imports_count; i++) {
        const struct plan_host_import *h = &plan->host_imports[i];
        const struct wasm_module *m = plan->modules[plan->core_instances[h->core_instance].module].module;
        const struct host_core_func *f = host_offer_core(node_offer(), h->module, h->name);
        if (m && f && !is_offered_as(m, &m->imports[h->import], f->sig))
            return diag_set(d, ERR_LINK, DIAG_NOWHERE,
                            "it imports " STR_FMT "." STR_FMT
                            " with another type than it is offered with: build it for WASI preview 1",
                            STR_ARG(h->module), STR_ARG(h->name));
    }
    return ERR_OK;
}

static const char what_to_do[] = "\nBuild it for what is offered, or link in a component that provides it (wac plug); "
                                 "`orlo inspect` lists all it imports.";

err node_imports_check(const struct plan *plan, struct diag *d) {
    err e = host_offer_check(node_offer(), plan, d);
    if (e == ERR_OK) return check_core_types(plan, d);
    size_t n = strlen(d->text);
    if (n + sizeof what_to_do <= sizeof d->text) memcpy(d->text + n, what_to_do, sizeof what_to_do);
    return e;
}

uint32_t node_kind_of_plan(const struct plan *plan) {
    if (!plan->is_core) return wasi_kind_of_plan(plan);
    for (uint32_t i = 0; i < plan->modules_count; i++)
        for (int k = 0; k < WASI_P1_ENTRIES; k++) {
            const struct wasm_export *entry = wasm_export_find(plan->modules[i].module, wasi_p1_entries[k]);
            if (entry && entry->kind == WASM_EXTERN_FUNC) return WASI_P1_COMMAND;
        }
    return WASI_NONE;
}
