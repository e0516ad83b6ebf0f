/* layout: which core instances share a group, and where everything lies in the groups' contexts.
 *
 * 1. Core instances with the same memory 0 are one group. One without a memory joins a group that it has to
 * do with, so that shims and adapters' trampolines switch no GS.
 * 2. Hot things (globals, records, dropped flags) lie directly below struct abi_ctx, cold ones (table
 * elements, computed element segments) below those. Offsets of hot things are handed out first, over all core
 * instances.
 * 3. A table is FIXED (no record, elements in place) unless some code of the image may grow it or somebody in
 * another group or image sees it.
 */
#include "link/link_int.h"

enum { CONTEXT_BYTES_MAX = 64 << 20 };

/* ---- definitions ---- */

static const struct plan_core_def *import_def(const struct link_instance *in, uint32_t import) { return &in->imports[import]; }

/* Resolves memories, tables and globals to who defines them. Plans name the definer, so one step is enough.
 */
static err resolve_defs(struct link *l, uint32_t index) {
    struct link_instance *in = &l->instances[index];
    const struct wasm_module *m = in->m;
    in->defs_memories = arena_array(l->a, struct link_def, m->memories_count);
    in->defs_tables = arena_array(l->a, struct link_def, m->tables_count);
    in->defs_globals = arena_array(l->a, struct link_def, m->globals_count);
    for (uint32_t i = m->memories_imported; i < m->memories_count; i++) in->defs_memories[i] = (struct link_def){index, i};
    for (uint32_t i = m->tables_imported; i < m->tables_count; i++) in->defs_tables[i] = (struct link_def){index, i};
    for (uint32_t i = m->globals_imported; i < m->globals_count; i++) in->defs_globals[i] = (struct link_def){index, i};
    for (uint32_t i = 0; i < m->imports_count; i++) {
        const struct wasm_import *im = &m->imports[i];
        if (im->kind == WASM_EXTERN_FUNC) continue;
        struct link_def def = {LINK_NONE, 0};
        if (!in->outside) {
            const struct plan_core_def *p = import_def(in, i);
            if (p->kind != PLAN_DEF_EXPORT)
                return diag_set(l->d, ERR_LINK, DIAG_NOWHERE,
                                "imports the %s \"" STR_FMT "\" \"" STR_FMT "\": only functions can be had from the host",
                                wasm_extern_text(im->kind), STR_ARG(im->module), STR_ARG(im->name));
            def = (struct link_def){p->instance, p->index};
        }
        switch (im->kind) {
        case WASM_EXTERN_MEMORY: in->defs_memories[im->index] = def; break;
        case WASM_EXTERN_TABLE: in->defs_tables[im->index] = def; break;
        case WASM_EXTERN_GLOBAL: in->defs_globals[im->index] = def; break;
        default: break; /* a tag: give_tag_ids */
        }
    }
    return ERR_OK;
}

/* A tag is a number in code. Definers come first, so that one pass over the imports is enough. */
static err give_tag_ids(struct link *l) {
    for (uint32_t i = 0; i < l->instances_count; i++) {
        struct link_instance *in = &l->instances[i];
        in->tag_ids = arena_array(l->a, uint32_t, in->m->tags_count);
        uint32_t defined = in->m->tags_count - in->m->tags_imported;
        if (defined > ABI_TAGS_MAX - l->tags_count)
            return diag_set(l->d, ERR_LIMIT, DIAG_NOWHERE, "more than %u tags", (unsigned)ABI_TAGS_MAX);
        for (uint32_t t = in->m->tags_imported; t < in->m->tags_count; t++) in->tag_ids[t] = l->tags_count++;
        l->unwind |= in->m->tags_count || in->outside;
    }
    for (uint32_t i = 0; i < l->instances_count; i++) {
        struct link_instance *in = &l->instances[i];
        for (uint32_t k = 0; k < in->m->imports_count; k++) {
            const struct wasm_import *im = &in->m->imports[k];
            if (im->kind != WASM_EXTERN_TAG) continue;
            const struct plan_core_def *p = in->outside ? NULL : import_def(in, k);
            in->tag_ids[im->index] = p ? l->instances[p->instance].tag_ids[p->index] : in->outside[k].tag;
        }
    }
    return ERR_OK;
}

static const struct wasm_memory *memory_of(const struct link *l, struct link_def def) {
    return &l->instances[def.instance].m->memories[def.index];
}

/* ---- groups ---- */

/* The memory that GS would point at for this core instance; instance LINK_NONE: none. */
static struct link_def gs_memory(const struct link *l, const struct link_instance *in) {
    struct link_def none = {LINK_NONE, 0};
    if (!in->m->memories_count || in->defs_memories[0].instance == LINK_NONE) return none;
    return memory_of(l, in->defs_memories[0])->limits.is64 ? none : in->defs_memories[0];
}

/* The group whose memory 0 it is, or LINK_NONE. */
static uint32_t gs_group(const struct link *l, struct link_def def) {
    for (uint32_t g = 0; g < l->groups_count; g++)
        if (l->groups[g].has_memory && l->groups[g].memory_instance == def.instance && l->groups[g].memory_index == def.index)
            return g;
    return LINK_NONE;
}

static uint32_t new_group(struct link *l, struct link_def memory) {
    l->groups[l->groups_count] = (struct link_group){
        .has_memory = memory.instance != LINK_NONE, .memory_instance = memory.instance, .memory_index = memory.index};
    return l->groups_count++;
}

/* The group of some neighbour of a core instance that has none yet: an importer of its, else whom it imports
 * from. */
static uint32_t neighbours_group(const struct link *l, uint32_t index) {
    for (uint32_t i = 0; i < l->instances_count; i++) {
        const struct link_instance *other = &l->instances[i];
        if (other->group == LINK_NONE || other->outside) continue;
        for (uint32_t k = 0; k < other->m->imports_count; k++)
            if (other->imports[k].kind == PLAN_DEF_EXPORT && other->imports[k].instance == index) return other->group;
    }
    const struct link_instance *in = &l->instances[index];
    for (uint32_t k = 0; !in->outside && k < in->m->imports_count; k++)
        if (in->imports[k].kind == PLAN_DEF_EXPORT && l->instances[in->imports[k].instance].group != LINK_NONE)
            return l->instances[in->imports[k].instance].group;
    return LINK_NONE;
}

static void assign_groups(struct link *l) {
    l->groups = arena_array(l->a, struct link_group, l->instances_count + 1);
    for (uint32_t i = 0; i < l->instances_count; i++) {
        struct link_instance *in = &l->instances[i];
        struct link_def memory = gs_memory(l, in);
        in->group = LINK_NONE;
        if (memory.instance == LINK_NONE) continue;
        in->group = gs_group(l, memory);
        if (in->group == LINK_NONE) in->group = new_group(l, memory);
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = 0; i < l->instances_count; i++) {
            struct link_instance *in = &l->instances[i];
            if (in->group != LINK_NONE) continue;
            in->group = neighbours_group(l, i);
            changed = changed || in->group != LINK_NONE;
        }
        for (uint32_t i = 0; i < l->instances_count && !changed; i++)
            if (l->instances[i].group == LINK_NONE) {
                l->instances[i].group = new_group(l, (struct link_def){LINK_NONE, 0});
                changed = true;
            }
    }
}

/* ---- offsets ---- */

/* bytes of a group's hot part, before any cold is given out. What exceeds the limit is refused by make_contexts. */
static int32_t take_hot(struct link_group *g, uint32_t bytes, uint32_t align) {
    uint64_t end = align_up(sizeof(struct abi_ctx) + g->hot + bytes, align);
    g->hot = (uint32_t)MIN(end - sizeof(struct abi_ctx), (uint64_t)CONTEXT_BYTES_MAX + 1);
    return -(int32_t)(sizeof(struct abi_ctx) + g->hot);
}
static int32_t take_cold(struct link_group *g, uint64_t bytes) {
    g->cold = (uint32_t)MIN(g->cold + bytes, (uint64_t)CONTEXT_BYTES_MAX + 1);
    return -(int32_t)(sizeof(struct abi_ctx) + g->hot + g->cold);
}

/* Could the body use table.grow? A missed one (overlong LEB128) only makes growing fail, which it may. */
static bool mentions_table_grow(const struct wasm_module *m) {
    for (uint32_t i = m->funcs_imported; i < m->funcs_count; i++)
        if (memmem(m->funcs[i].body.p, m->funcs[i].body.n, "\xfc\x0f", 2)) return true;
    return false;
}

/* Which defined tables need a record, as seen by each of their users. */
static void mark_records(struct link *l) {
    for (uint32_t i = 0; i < l->instances_count; i++) {
        const struct link_instance *user = &l->instances[i];
        for (uint32_t k = 0; k < user->m->tables_count; k++) {
            struct link_def def = user->defs_tables[k];
            if (def.instance == LINK_NONE) continue;
            struct link_instance *owner = &l->instances[def.instance];
            const struct wasm_limits *lim = &owner->m->tables[def.index].limits;
            if (owner->outside || user->group != owner->group || (user->grows_tables && lim->max > lim->min))
                owner->tables[def.index].where = ABI_TABLE_NEAR;
        }
    }
}

static err lay_out_defined_tables(struct link *l, uint32_t index) {
    struct link_instance *in = &l->instances[index];
    struct link_group *g = &l->groups[in->group];
    for (uint32_t t = in->m->tables_imported; t < in->m->tables_count; t++) {
        const struct wasm_limits *lim = &in->m->tables[t].limits;
        if (lim->min > CONTEXT_BYTES_MAX / 8)
            return diag_set(l->d, ERR_LIMIT, DIAG_NOWHERE, "a table of %llu elements: at most %u can be had",
                            (unsigned long long)lim->min, (unsigned)(CONTEXT_BYTES_MAX / 8));
        if (in->tables[t].where == ABI_TABLE_NEAR) in->tables[t].offset = take_hot(g, sizeof(struct abi_table), 8);
        in->tables[t].count = (uint32_t)lim->min;
    }
    return ERR_OK;
}

static err lay_out_defined(struct link *l, uint32_t index) {
    struct link_instance *in = &l->instances[index];
    const struct wasm_module *m = in->m;
    struct link_group *g = &l->groups[in->group];
    for (uint32_t i = m->memories_imported; i < m->memories_count; i++)
        if (m->memories[i].limits.shared)
            return diag_set(l->d, ERR_UNSUPPORTED, DIAG_NOWHERE,
                            "core instance %u: shared memories (threads) are not supported: compile without -pthread", index);
    for (uint32_t i = m->globals_imported; i < m->globals_count; i++) {
        uint32_t bytes = m->globals[i].type == WASM_V128 ? 16 : 8;
        in->globals[i] = (struct abi_layout_global){.offset = take_hot(g, bytes, bytes)};
    }
    for (uint32_t i = m->memories_imported; i < m->memories_count; i++) {
        if (gs_group(l, (struct link_def){index, i}) != LINK_NONE) continue;
        in->memories[i] = (struct abi_layout_memory){ABI_MEMORY_NEAR, take_hot(g, sizeof(struct abi_memory), 8)};
    }
    in->dropped = take_hot(g, (uint32_t)align_up(m->datas_count + m->elems_count, 8), 8); /* what lies below stays aligned */
    return ERR_OK;
}

/* ---- imports: words that refer to what others define ---- */

static void group_word(struct link *l, uint32_t in_group, int32_t at, uint32_t target, int32_t addend) {
    vec_push(l->a, &l->groups[in_group].relocs,
             ((struct abi_context_reloc){.at = at, .kind = ABI_CONTEXT_GROUP, .target = target, .addend = addend}));
}

static void lay_out_memory(struct link *l, struct link_instance *in, uint32_t i) {
    struct link_def def = in->defs_memories[i];
    if (def.instance == LINK_NONE) {
        in->memories[i] = (struct abi_layout_memory){ABI_MEMORY_FAR, take_hot(&l->groups[in->group], 8, 8)};
        return;
    }
    const struct link_instance *owner = &l->instances[def.instance];
    uint32_t gs = gs_group(l, def), group = gs != LINK_NONE ? gs : owner->group;
    int32_t record = gs != LINK_NONE ? ABI_CTX(base) : owner->memories[def.index].offset;
    if (group == in->group) {
        in->memories[i] = (struct abi_layout_memory){i == 0 && gs != LINK_NONE ? ABI_MEMORY_GS : ABI_MEMORY_NEAR, record};
        return;
    }
    in->memories[i] = (struct abi_layout_memory){ABI_MEMORY_FAR, take_hot(&l->groups[in->group], 8, 8)};
    group_word(l, in->group, in->memories[i].offset, group, record);
}

static void lay_out_global_import(struct link *l, struct link_instance *in, uint32_t i) {
    struct link_def def = in->defs_globals[i];
    if (def.instance != LINK_NONE && l->instances[def.instance].group == in->group) {
        in->globals[i] = l->instances[def.instance].globals[def.index];
        return;
    }
    in->globals[i] = (struct abi_layout_global){.far = true, .offset = take_hot(&l->groups[in->group], 8, 8)};
    if (def.instance == LINK_NONE) return;
    const struct link_instance *owner = &l->instances[def.instance];
    group_word(l, in->group, in->globals[i].offset, owner->group, owner->globals[def.index].offset);
    l->crossing = true;
}

static void lay_out_table_import(struct link *l, struct link_instance *in, uint32_t i) {
    struct link_def def = in->defs_tables[i];
    if (def.instance != LINK_NONE && l->instances[def.instance].group == in->group) return; /* copied once cold is laid out */
    in->tables[i] = (struct abi_layout_table){.where = ABI_TABLE_FAR, .offset = take_hot(&l->groups[in->group], 8, 8)};
    if (def.instance == LINK_NONE) return;
    const struct link_instance *owner = &l->instances[def.instance];
    group_word(l, in->group, in->tables[i].offset, owner->group, owner->tables[def.index].offset);
    l->crossing = true;
}

static uint32_t add_host(struct link *l, uint32_t index, uint32_t import, uint32_t func, uint32_t kind, uint32_t plan_index) {
    const struct link_instance *in = &l->instances[index];
    const struct wasm_deftype *t = wasm_func_type(in->m, func);
    struct link_host h = {.instance = index,
                          .import = import,
                          .type_id = in->m->type_ids[in->m->funcs[func].type],
                          .plan_kind = kind,
                          .plan_index = plan_index};
    for (uint32_t i = 0; i < t->params_count; i++) h.arg_slots += wasm_type_slots(t->params[i]);
    for (uint32_t i = 0; i < t->results_count; i++) h.result_slots += wasm_type_slots(t->results[i]);
    vec_push(l->a, &l->hosts, h);
    return l->hosts.n - 1;
}

static err lay_out_func_import(struct link *l, uint32_t index, uint32_t import) {
    struct link_instance *in = &l->instances[index];
    const struct wasm_import *im = &in->m->imports[import];
    struct abi_layout_func *f = &in->funcs[im->index];
    if (in->outside) {
        *f = (struct abi_layout_func){.where = ABI_FUNC_FAR, .offset = take_hot(&l->groups[in->group], 8, 8)};
        return ERR_OK;
    }
    const struct plan_core_def *def = import_def(in, import);
    uint32_t *host = NULL;
    switch (def->kind) {
    case PLAN_DEF_EXPORT: {
        f->instance = def->instance;
        f->func_index = def->index;
        f->where = ABI_FUNC_DIRECT;
        if (l->instances[def->instance].group == in->group) return ERR_OK;
        f->where = ABI_FUNC_FAR;
        f->offset = take_hot(&l->groups[in->group], 8, 8);
        l->crossing = true;
        vec_push(l->a, &l->func_words, ((struct link_func_word){in->group, def->instance, def->index, f->offset, true}));
        return ERR_OK;
    }
    case PLAN_DEF_CANON: host = &l->canon_hosts[def->index]; break;
    case PLAN_DEF_HOST: host = &l->import_hosts[def->index]; break;
    default:
        return diag_set(l->d, ERR_LINK, DIAG_NOWHERE, "the import \"" STR_FMT "\" \"" STR_FMT "\" is given nothing",
                        STR_ARG(im->module), STR_ARG(im->name));
    }
    if (*host == LINK_NONE) *host = add_host(l, index, import, im->index, def->kind, def->index);
    f->where = ABI_FUNC_HOST;
    f->host_index = *host;
    return ERR_OK;
}

/* ---- cold ---- */

static bool elem_is_static(const struct wasm_elem *e) {
    for (uint32_t i = 0; !e->funcs && i < e->count; i++) {
        const uint8_t *p = e->exprs[i].p, *end = p + e->exprs[i].n;
        enum wasm_op op = wasm_get_op(&p);
        if (op != WASM_OP_REF_NULL && op != WASM_OP_REF_FUNC) return false;
        wasm_skip_imm(&p, op);
        if (p + 1 != end) return false; /* more than that one instruction and `end` */
    }
    return true;
}

/* Element segments whose elements are all ref.func or ref.null become lists of functions; others get room to
 * be computed in. */
static void lay_out_elems(struct link *l, struct link_instance *in) {
    in->elems = arena_array(l->a, struct link_elem, in->m->elems_count);
    for (uint32_t k = 0; k < in->m->elems_count; k++) {
        const struct wasm_elem *e = &in->m->elems[k];
        if (e->mode == WASM_SEGMENT_DECLARATIVE || !e->count) continue;
        if (!elem_is_static(e)) {
            in->elems[k].dynamic_offset = take_cold(&l->groups[in->group], 8ull * e->count);
            continue;
        }
        in->elems[k].refs = arena_array(l->a, uint32_t, e->count);
        for (uint32_t i = 0; i < e->count; i++) {
            const uint8_t *p = e->funcs ? NULL : e->exprs[i].p;
            if (e->funcs) in->elems[k].refs[i] = e->funcs[i] + 1;
            else if (*p++ == 0xd2) in->elems[k].refs[i] = wasm_get_u32(&p) + 1;
        }
    }
}

static void lay_out_cold(struct link *l, struct link_instance *in) {
    struct link_group *g = &l->groups[in->group];
    for (uint32_t t = in->m->tables_imported; t < in->m->tables_count; t++) {
        int32_t at = take_cold(g, 8ull * in->tables[t].count);
        if (in->tables[t].where == ABI_TABLE_FIXED) in->tables[t].offset = at;
        else group_word(l, in->group, in->tables[t].offset, in->group, at);
        in->table_elements[t] = at;
    }
    lay_out_elems(l, in);
}

/* ---- contexts ---- */

static void put_u64(const struct link_group *g, int32_t at, uint64_t v) { memcpy(link_context_at(g, at), &v, 8); }

static void fill_context(struct link *l, struct link_instance *in) {
    struct link_group *g = &l->groups[in->group];
    const struct wasm_module *m = in->m;
    for (uint32_t t = m->tables_imported; t < m->tables_count; t++) {
        if (in->tables[t].where != ABI_TABLE_NEAR) continue;
        const struct wasm_limits *lim = &m->tables[t].limits;
        put_u64(g, in->tables[t].offset + (int32_t)offsetof(struct abi_table, count), lim->min);
        put_u64(g, in->tables[t].offset + (int32_t)offsetof(struct abi_table, max), lim->max);
    }
    for (uint32_t i = m->memories_imported; i < m->memories_count; i++) {
        if (in->memories[i].where != ABI_MEMORY_NEAR || in->memories[i].offset == ABI_CTX(base)) continue;
        const struct wasm_limits *lim = &m->memories[i].limits;
        uint64_t max = lim->max > UINT64_MAX / ABI_WASM_PAGE ? UINT64_MAX : lim->max * ABI_WASM_PAGE;
        put_u64(g, in->memories[i].offset + (int32_t)offsetof(struct abi_memory, bytes), lim->min * ABI_WASM_PAGE);
        put_u64(g, in->memories[i].offset + (int32_t)offsetof(struct abi_memory, bytes_max), max);
    }
    for (uint32_t i = 0; i < m->elems_count; i++)
        if (m->elems[i].mode == WASM_SEGMENT_DECLARATIVE) *link_context_at(g, in->dropped + (int32_t)(m->datas_count + i)) = 1;
}

static err make_contexts(struct link *l) {
    for (uint32_t k = 0; k < l->groups_count; k++) {
        struct link_group *g = &l->groups[k];
        if (g->cold > CONTEXT_BYTES_MAX || g->hot > CONTEXT_BYTES_MAX)
            return diag_set(l->d, ERR_LIMIT, DIAG_NOWHERE, "tables and globals need more than %u MiB",
                            (unsigned)(CONTEXT_BYTES_MAX >> 20));
        g->context_bytes = align_up(sizeof(struct abi_ctx) + g->hot + g->cold, ABI_PAGE);
        g->context = arena_alloc(l->a, g->context_bytes, 16);
        if (g->has_memory)
            g->memory_bytes = l->instances[g->memory_instance].m->memories[g->memory_index].limits.min * ABI_WASM_PAGE;
    }
    for (uint32_t i = 0; i < l->instances_count; i++) fill_context(l, &l->instances[i]);
    return ERR_OK;
}

/* What every instance starts with is declared here, a few bytes for gigabytes: said before anything is made of it. */
static err check_declared(const struct link *l) {
    uint64_t memories = 0, tables = 0, count = 0;
    for (uint32_t k = 0; k < l->groups_count; k++) tables += (uint64_t)l->groups[k].hot + l->groups[k].cold;
    for (uint32_t i = 0; i < l->instances_count; i++) {
        const struct wasm_module *m = l->instances[i].m;
        for (uint32_t k = m->memories_imported; k < m->memories_count; k++, count++)
            memories += MIN(m->memories[k].limits.min, 1ull << 40) * ABI_WASM_PAGE;
    }
    if (!l->memory_bytes_max || (memories <= l->memory_bytes_max && tables <= l->memory_bytes_max - memories)) return ERR_OK;
    bool small = l->memory_bytes_max < MiB;
    uint64_t of = small ? KiB : MiB;
    const char *unit = small ? "KiB" : "MiB";
    return diag_set(l->d, ERR_LIMIT, DIAG_NOWHERE,
                    "an instance starts with %llu %s (%llu %s %llu %s, its tables %llu %s), and may have %llu %s (--max-memory)",
                    (unsigned long long)((memories + tables + of - 1) / of), unit, (unsigned long long)count,
                    count == 1 ? "memory has" : "memories have", (unsigned long long)(memories / of), unit,
                    (unsigned long long)((tables + of - 1) / of), unit, (unsigned long long)(l->memory_bytes_max / of), unit);
}

/* ---- all of it ---- */

static void make_arrays(struct link *l, uint32_t index) {
    struct link_instance *in = &l->instances[index];
    in->funcs = arena_array(l->a, struct abi_layout_func, in->m->funcs_imported);
    in->memories = arena_array(l->a, struct abi_layout_memory, in->m->memories_count);
    in->tables = arena_array(l->a, struct abi_layout_table, in->m->tables_count);
    in->globals = arena_array(l->a, struct abi_layout_global, in->m->globals_count);
    in->table_elements = arena_array(l->a, int32_t, in->m->tables_count);
    in->grows_tables = mentions_table_grow(in->m);
}

static err lay_out_imports(struct link *l, uint32_t index) {
    struct link_instance *in = &l->instances[index];
    for (uint32_t i = 0; i < in->m->memories_count; i++)
        if (i < in->m->memories_imported || in->memories[i].offset == 0) lay_out_memory(l, in, i);
    for (uint32_t i = 0; i < in->m->globals_imported; i++) lay_out_global_import(l, in, i);
    for (uint32_t i = 0; i < in->m->tables_imported; i++) lay_out_table_import(l, in, i);
    for (uint32_t i = 0; i < in->m->imports_count; i++)
        if (in->m->imports[i].kind == WASM_EXTERN_FUNC) TRY(lay_out_func_import(l, index, i));
    return ERR_OK;
}

static uint32_t *none_array(arena *a, uint32_t n) {
    uint32_t *p = arena_array(a, uint32_t, n);
    for (uint32_t i = 0; i < n; i++) p[i] = LINK_NONE;
    return p;
}

err link_layout(struct link *l) {
    l->canon_hosts = none_array(l->a, l->plan ? l->plan->canons_count : 0);
    l->import_hosts = none_array(l->a, l->plan ? l->plan->host_imports_count : 0);
    for (uint32_t i = 0; i < l->instances_count; i++) {
        make_arrays(l, i);
        TRY(resolve_defs(l, i));
    }
    TRY(give_tag_ids(l));
    assign_groups(l);
    mark_records(l);
    for (uint32_t i = 0; i < l->instances_count; i++) {
        TRY(lay_out_defined_tables(l, i));
        TRY(lay_out_defined(l, i));
    }
    for (uint32_t i = 0; i < l->instances_count; i++) TRY(lay_out_imports(l, i));
    for (uint32_t i = 0; i < l->instances_count; i++) lay_out_cold(l, &l->instances[i]);
    for (uint32_t i = 0; i < l->instances_count; i++) {
        struct link_instance *in = &l->instances[i];
        for (uint32_t t = 0; t < in->m->tables_imported; t++) {
            struct link_def def = in->defs_tables[t];
            if (def.instance != LINK_NONE && l->instances[def.instance].group == in->group)
                in->tables[t] = l->instances[def.instance].tables[def.index];
        }
        in->layout = (struct abi_layout){.module = in->m,
                                         .instance = i,
                                         .group = l->group_base + in->group,
                                         .funcrefs_far = l->crossing || in->outside,
                                         .funcs = in->funcs,
                                         .memories = in->memories,
                                         .tables = in->tables,
                                         .globals = in->globals,
                                         .type_ids = in->m->type_ids,
                                         .tag_ids = in->tag_ids,
                                         .unwind = l->unwind};
    }
    TRY(check_declared(l));
    return make_contexts(l);
}
