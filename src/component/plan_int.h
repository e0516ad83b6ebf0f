/* plan_int: the tables of a plan while they grow. */
#ifndef ORLO_COMPONENT_PLAN_INT_H
#define ORLO_COMPONENT_PLAN_INT_H

#include "component/component_int.h"

struct pmodule {
    const struct wasm_module *module;
    struct map exports; /* name -> index in module->exports */
    struct {
        uint32_t *p, n;
    } imported[5]; /* by enum wasm_extern, by index in that index space -> index in module->imports */
};
struct pbuild {
    arena *arena;
    VEC(struct plan_module) modules;
    VEC(struct pmodule) module_info; /* same indices */
    VEC(struct plan_core_instance) core_instances;
    VEC(struct plan_core_def) import_defs;
    VEC(struct plan_host_import) host_imports;
    VEC(struct plan_instance) instances;
    VEC(struct plan_type) types;
    VEC(struct plan_field) fields;
    VEC(struct plan_func_type) func_types;
    VEC(struct plan_resource) resources;
    VEC(struct plan_lift) lifts;
    VEC(struct plan_canon) canons;
    VEC(struct plan_import) imports;
    VEC(struct plan_export) exports;
    struct map structures; /* key of a type or function type -> its index */
    struct map modules_by_offset;
    struct map imported_resources; /* interface on its track, and name -> index in resources */
    struct cptrs *types_by_uid;    /* ctype uid -> plan type + 1: those without resources */
    struct buf key;
};

void pbuild_init(struct pbuild *b, arena *out);
void pbuild_finish(struct pbuild *b, struct plan *plan);
/* Index of the module, which is entered at its first use. */
uint32_t pbuild_module(struct pbuild *b, const struct cmodule *m);
/* Index of the type like t; n has kind, element, error, resource and length. */
uint32_t pbuild_type(struct pbuild *b, const struct ctype *t, struct plan_type *n, struct plan_field *fields,
                     uint32_t fields_count);
uint32_t pbuild_func_type(struct pbuild *b, const struct ctype *t, struct plan_func_type *n, struct plan_field *params,
                          uint32_t params_count);

#endif
