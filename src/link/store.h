/* store: core modules instantiated one after the other, each linked against the live instances before it
 * (core specification, Modules, Instantiation). For the conformance suites; nothing here is meant to be fast.
 *
 * 1. Every instance is an image of its own, in a slot of its own; imports are bound to addresses in this
 * process.
 * 2. One registry of types, one numbering of groups.
 * 3. An instance lives as long as the store, also when its instantiation trapped: others may hold its
 * functions.
 */
#ifndef ORLO_LINK_STORE_H
#define ORLO_LINK_STORE_H

#include "engine/engine.h"
#include "wasm/wasm.h"

struct link_store;
struct link_store_instance;

struct link_store *link_store_new(struct engine *e);
void link_store_free(struct link_store *s);
/* For modules to come: baseline_options.registers, and ABI_CPU_* that their code must do without. */
void link_store_restrict(struct link_store *s, uint32_t registers, uint64_t cpu_features_unused);

/* Decodes, validates, links and instantiates. bytes are copied. ERR_MALFORMED, ERR_INVALID, ERR_LIMIT,
 * ERR_UNSUPPORTED; ERR_LINK: "unknown import" or "incompatible import type" starts d's text; ERR_TRAP: *trap
 * says which. */
[[nodiscard]] err link_store_instantiate(struct link_store *s, str bytes, struct link_store_instance **out, enum abi_trap *trap,
                                         struct diag *d);
/* Modules to come may import its exports under this name; an older registration of the name goes. */
void link_store_register(struct link_store *s, str name, struct link_store_instance *in);

struct link_store_item {
    enum wasm_extern kind;
    wasm_type type; /* of a global, a table: heap types are canonical ids */
    bool mutable;
    struct wasm_limits limits; /* of a table, a memory, as defined */
    const struct abi_func *func;
    void *record;                   /* struct abi_memory, struct abi_table, or a global's cell of 8 or 16 bytes */
    const struct wasm_deftype *sig; /* of a function */
    uint32_t type_id, tag_id;       /* of a tag: canonical; abi_layout.tag_ids */
};
bool link_store_export(struct link_store_instance *in, str name, struct link_store_item *out);
/* Calls a function of the store on a fiber; args is the canonical array. */
enum abi_trap link_store_call(struct link_store_instance *in, const struct abi_func *f, uint64_t *args);

#endif
