/* emit: compiles every core instance and lays objects and tables out as an image.
 *
 * 1. Records (struct abi_func) are numbered by core instance, then function index; a core instance's init
 * function is last.
 * 2. .data.rel.ro lies directly behind .text, page-aligned: so text reaches records before anything is
 * written.
 * 3. What is put into the writer is borrowed: tables live in an arena until the file is written.
 */
#include "link/link_int.h"
#include <elf.h>

/* ---- compile ---- */

static bool has_init(const struct link_instance *in) { return in->init.n != 0; }
static uint32_t records_of(const struct link_instance *in) { return in->object.refs.n + has_init(in); }

/* Number of the record of a function, or LINK_NONE. */
static uint32_t record_of(const struct link *l, uint32_t instance, uint32_t func) {
    const struct link_instance *in = &l->instances[instance];
    uint32_t lo = 0, hi = in->object.refs.n;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (in->object.refs.p[mid] < func) lo = mid + 1;
        else hi = mid;
    }
    return lo < in->object.refs.n && in->object.refs.p[lo] == func ? in->records_first + lo : LINK_NONE;
}

/* Offset in the image's text of a function's code; imports of the image's own functions are followed. */
static uint32_t code_of(const struct link *l, uint32_t instance, uint32_t func) {
    for (;;) { /* an import of an import of an import… */
        const struct link_instance *in = &l->instances[instance];
        const struct abi_layout_func *f = func < in->m->funcs_imported && !in->outside ? &in->funcs[func] : NULL;
        if (!f || f->where == ABI_FUNC_HOST) return in->text_at + in->object.funcs[func].start;
        instance = f->instance;
        func = f->func_index;
    }
}

static uint64_t text_bytes(const struct link *l) {
    const struct link_instance *last = &l->instances[l->instances_count - 1];
    return l->instances_count ? last->text_at + last->object.text.n : 0;
}

static void apply_relocs(struct link *l, struct link_instance *in) {
    uint64_t records = align_up(text_bytes(l), ABI_PAGE);
    for (uint32_t i = 0; i < in->object.relocs.n; i++) {
        const struct abi_reloc *r = &in->object.relocs.p[i];
        uint64_t s = 0;
        if (r->kind == ABI_RELOC_FUNC_PC32) s = code_of(l, r->instance, r->target);
        else {
            uint32_t record = record_of(l, r->instance, r->target);
            ENSURE(r->kind == ABI_RELOC_RECORD_PC32 && record != LINK_NONE);
            s = records + (uint64_t)record * sizeof(struct abi_func);
        }
        int64_t distance = (int64_t)s - (int64_t)(in->text_at + r->at);
        ENSURE(distance == (int32_t)distance);
        abi_reloc_apply(l->machine, in->object.text.p + r->at, distance);
    }
}

static err compile_one(struct link *l, uint32_t index) {
    struct link_instance *in = &l->instances[index];
    link_make_init(l, in);
    struct baseline_init init = {.code = buf_str(&in->init)};
    struct baseline_options o = {.machine = l->machine,
                                 .cpu_features = l->cpu_features,
                                 .init = has_init(in) ? &init : NULL,
                                 .threads = l->threads,
                                 .registers = l->registers};
    err e = baseline_compile(&in->layout, &o, l->a, &in->object, l->d);
    if (e != ERR_OK && l->instances_count > 1) diag_prefix(l->d, "core module %u", l->plan->core_instances[index].module);
    return e;
}

err link_compile(struct link *l) {
    uint64_t minimum = abi_cpu_minimum(l->machine);
    l->cpu_features = l->machine == ABI_MACHINE ? abi_cpu_features() : minimum;
    if (~l->cpu_features & minimum)
        return diag_set(l->d, ERR_UNSUPPORTED, DIAG_NOWHERE, "this machine's CPU lacks SSE4.2 or POPCNT");
    l->cpu_features &= ~l->cpu_features_unused | minimum;
    uint64_t text = 0, sites = 0, unwind = 0;
    for (uint32_t i = 0; i < l->instances_count; i++) {
        struct link_instance *in = &l->instances[i];
        TRY(compile_one(l, i));
        text = align_up(text, BASELINE_TEXT_ALIGN);
        in->text_at = (uint32_t)text;
        in->sites_at = (uint32_t)sites;
        in->unwind_at = (uint32_t)unwind;
        in->records_first = l->records_count;
        text += in->object.text.n;
        sites += in->object.sites.n;
        unwind += in->object.unwind.n;
        l->records_count += records_of(in);
        in->init_record = has_init(in) ? l->records_count - 1 : LINK_NONE;
    }
    if (text > INT32_MAX || sites > UINT32_MAX || unwind > UINT32_MAX)
        return diag_set(l->d, ERR_LIMIT, DIAG_NOWHERE, "%llu MiB of machine code: at most 2 GiB fit",
                        (unsigned long long)(text >> 20));
    for (uint32_t i = 0; i < l->instances_count; i++) apply_relocs(l, &l->instances[i]);
    return ERR_OK;
}

void link_objects_free(struct link *l) {
    for (uint32_t i = 0; i < l->instances_count; i++) {
        baseline_object_free(&l->instances[i].object);
        buf_free(&l->instances[i].init);
    }
}

/* ---- records ---- */

struct emit {
    struct link *l;
    arena *a;
    struct abi_image_writer w;
    struct abi_image_code *codes;
    str *names; /* parallel to codes */
    uint32_t codes_count;
    struct buf plan;
};

static uint64_t sig_of(const struct wasm_deftype *t) {
    uint64_t args = 0, results = 0;
    for (uint32_t i = 0; i < t->params_count; i++) args += wasm_type_slots(t->params[i]);
    for (uint32_t i = 0; i < t->results_count; i++) results += wasm_type_slots(t->results[i]);
    return args | results << 32;
}

static void *text_address(const struct emit *e, uint64_t at) { return (void *)(uintptr_t)(e->w.head.text.offset + at); }

static uint32_t group_of_func(const struct link *l, const struct link_instance *in, uint32_t func) {
    if (func < in->m->funcs_imported && !in->outside && in->funcs[func].where != ABI_FUNC_HOST)
        return l->instances[in->funcs[func].instance].group;
    return in->group;
}

static void record(struct emit *e, uint32_t index, uint32_t func, struct abi_func *out) {
    const struct link *l = e->l;
    const struct link_instance *in = &l->instances[index];
    bool is_init = func == in->m->funcs_count;
    uint32_t type = is_init ? in->m->types_count : in->m->funcs[func].type;
    uint32_t entry = in->object.entries[type];
    *out =
        (struct abi_func){.instance = index,
                          .func_index = func,
                          .code = text_address(e, is_init ? in->text_at + in->object.funcs[func].start : code_of(l, index, func)),
                          .entry = entry == UINT32_MAX ? NULL : text_address(e, in->text_at + entry),
                          .group = l->group_base + (is_init ? in->group : group_of_func(l, in, func))};
    if (is_init) out->type_id = l->init_type_id;
    else {
        out->type_id = in->m->type_ids[type];
        out->sig = sig_of(&in->m->types[type]);
    }
}

static void add_records(struct emit *e) {
    struct link *l = e->l;
    struct abi_func *records = arena_array(e->a, struct abi_func, l->records_count);
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->instances_count; i++) {
        const struct link_instance *in = &l->instances[i];
        for (uint32_t k = 0; k < in->object.refs.n; k++) record(e, i, in->object.refs.p[k], &records[n++]);
        if (has_init(in)) record(e, i, in->m->funcs_count, &records[n++]);
    }
    abi_image_begin(&e->w, ABI_SECTION_RELRO, ".data.rel.ro");
    e->w.head.funcs = abi_image_add(&e->w, records, n, sizeof *records, 8);
}

/* ---- tables ---- */

static struct abi_span add_str(struct emit *e, str s) { return abi_image_add(&e->w, s.p, s.n, 1, 1); }

/* Names for people: of the name section, else of an export, else of the import. */
static str *func_names(struct emit *e, const struct link_instance *in) {
    const struct wasm_module *m = in->m;
    str *names = arena_array(e->a, str, m->funcs_count + 1);
    for (uint32_t i = 0; i < m->imports_count; i++)
        if (m->imports[i].kind == WASM_EXTERN_FUNC) names[m->imports[i].index] = m->imports[i].name;
    for (uint32_t i = 0; i < m->exports_count; i++)
        if (m->exports[i].kind == WASM_EXTERN_FUNC) names[m->exports[i].index] = m->exports[i].name;
    for (uint32_t i = 0; m->func_names && i < m->funcs_count; i++)
        if (m->func_names[i].n) names[i] = m->func_names[i];
    names[m->funcs_count] = STR("(instantiation)");
    return names;
}

static int by_start(const void *a, const void *b) {
    const struct abi_image_code *x = a, *y = b;
    return x->start < y->start ? -1 : x->start > y->start;
}

static void add_codes(struct emit *e) {
    struct link *l = e->l;
    uint64_t max = 0;
    for (uint32_t i = 0; i < l->instances_count; i++) max += l->instances[i].object.funcs_count + 1;
    e->codes = arena_array(e->a, struct abi_image_code, max);
    e->names = arena_array(e->a, str, max);
    for (uint32_t i = 0; i < l->instances_count; i++) {
        const struct link_instance *in = &l->instances[i];
        const str *names = func_names(e, in);
        uint32_t first = e->codes_count;
        bool sorted = true;
        for (uint32_t f = 0; f < in->m->funcs_count + has_init(in); f++) {
            const struct abi_object_func *of = &in->object.funcs[f];
            if (!of->size) continue;
            struct abi_image_code *c = &e->codes[e->codes_count++];
            *c = (struct abi_image_code){.start = in->text_at + of->start,
                                         .size = of->size,
                                         .instance = i,
                                         .func_index = f,
                                         .sites = in->sites_at + of->sites,
                                         .unwind = in->unwind_at + of->unwind,
                                         .name = add_str(e, names[f])};
            sorted = sorted && (c == &e->codes[first] || c[-1].start < c->start);
        }
        if (!sorted) qsort(&e->codes[first], e->codes_count - first, sizeof *e->codes, by_start);
        for (uint32_t k = first; k < e->codes_count; k++) e->names[k] = names[e->codes[k].func_index];
    }
    e->w.head.codes = abi_image_add(&e->w, e->codes, e->codes_count, sizeof *e->codes, 8);
}

static struct abi_span add_memories(struct emit *e, const struct link_instance *in) {
    const struct wasm_module *m = in->m;
    struct abi_image_memory *t = arena_array(e->a, struct abi_image_memory, m->memories_count);
    for (uint32_t i = 0; i < m->memories_count; i++)
        t[i] = (struct abi_image_memory){.layout = in->memories[i],
                                         .memory64 = m->memories[i].limits.is64,
                                         .pages_max = m->memories[i].limits.max,
                                         .owner_instance = in->defs_memories[i].instance,
                                         .owner_index = in->defs_memories[i].index};
    return abi_image_add(&e->w, t, m->memories_count, sizeof *t, 8);
}

static struct abi_span add_tables(struct emit *e, const struct link_instance *in) {
    const struct wasm_module *m = in->m;
    struct abi_image_table *t = arena_array(e->a, struct abi_image_table, m->tables_count);
    for (uint32_t i = 0; i < m->tables_count; i++)
        t[i] = (struct abi_image_table){.layout = in->tables[i],
                                        .table64 = m->tables[i].limits.is64,
                                        .is_funcref = wasm_type_sub(m, m->tables[i].type, WASM_FUNCREF),
                                        .count_max = m->tables[i].limits.max,
                                        .owner_instance = in->defs_tables[i].instance,
                                        .owner_index = in->defs_tables[i].index};
    return abi_image_add(&e->w, t, m->tables_count, sizeof *t, 8);
}

/* Segments that the snapshot has applied are dropped: their bytes are needed no more. */
static bool is_applied(const struct link *l, const struct link_instance *in) { return in->layout.instance < l->steps_done; }

static struct abi_span add_data(struct emit *e, const struct link_instance *in) {
    const struct wasm_module *m = in->m;
    struct abi_image_segment *t = arena_array(e->a, struct abi_image_segment, m->datas_count);
    for (uint32_t i = 0; i < m->datas_count; i++)
        if (m->datas[i].mode == WASM_SEGMENT_PASSIVE || !is_applied(e->l, in)) t[i].bytes = add_str(e, m->datas[i].bytes);
    return abi_image_add(&e->w, t, m->datas_count, sizeof *t, 8);
}

static struct abi_span add_active(struct emit *e, const struct link_instance *in) {
    const struct wasm_module *m = in->m;
    if (is_applied(e->l, in)) return (struct abi_span){0};
    struct abi_image_active *t = arena_array(e->a, struct abi_image_active, m->datas_count);
    for (uint32_t i = 0; i < m->datas_count; i++)
        if (m->datas[i].mode == WASM_SEGMENT_ACTIVE && link_constant(m->datas[i].offset, &t[i].offset))
            t[i].memory = m->datas[i].memory;
    return abi_image_add(&e->w, t, m->datas_count, sizeof *t, 8);
}

static struct abi_span add_elems(struct emit *e, const struct link_instance *in) {
    const struct wasm_module *m = in->m;
    struct abi_image_elem *t = arena_array(e->a, struct abi_image_elem, m->elems_count);
    for (uint32_t i = 0; i < m->elems_count; i++) {
        const struct wasm_elem *seg = &m->elems[i];
        if (seg->mode == WASM_SEGMENT_DECLARATIVE || (seg->mode == WASM_SEGMENT_ACTIVE && is_applied(e->l, in))) continue;
        t[i].dynamic_offset = in->elems[i].dynamic_offset;
        t[i].count = seg->count;
        if (!in->elems[i].refs) continue;
        uint32_t *refs = arena_array(e->a, uint32_t, seg->count);
        for (uint32_t k = 0; k < seg->count; k++)
            if (in->elems[i].refs[k]) refs[k] = record_of(e->l, in->layout.instance, in->elems[i].refs[k] - 1) + 1;
        t[i].refs = abi_image_add(&e->w, refs, seg->count, sizeof *refs, 4);
    }
    return abi_image_add(&e->w, t, m->elems_count, sizeof *t, 8);
}

static void add_instances(struct emit *e) {
    const struct link *l = e->l;
    struct abi_image_instance *t = arena_array(e->a, struct abi_image_instance, l->instances_count);
    uint32_t code = 0;
    for (uint32_t i = 0; i < l->instances_count; i++) {
        const struct link_instance *in = &l->instances[i];
        uint32_t first = code;
        while (code < e->codes_count && e->codes[code].instance == i) code++;
        t[i] = (struct abi_image_instance){.group = in->group,
                                           .init_func = in->init_record,
                                           .memories = add_memories(e, in),
                                           .tables = add_tables(e, in),
                                           .globals =
                                               abi_image_add(&e->w, in->globals, in->m->globals_count, sizeof *in->globals, 8),
                                           .data = add_data(e, in),
                                           .active = add_active(e, in),
                                           .elems = add_elems(e, in),
                                           .dropped_offset = in->dropped,
                                           .code_funcs = {e->w.head.codes.offset + first * sizeof *e->codes, code - first},
                                           .name = add_str(e, in->m->name)};
    }
    e->w.head.instances = abi_image_add(&e->w, t, l->instances_count, sizeof *t, 8);
}

static void add_hosts(struct emit *e) {
    const struct link *l = e->l;
    struct abi_image_host *t = arena_array(e->a, struct abi_image_host, l->hosts.n);
    for (uint32_t i = 0; i < l->hosts.n; i++) {
        const struct link_host *h = &l->hosts.p[i];
        const struct wasm_import *im = &l->instances[h->instance].m->imports[h->import];
        t[i] = (struct abi_image_host){.module = add_str(e, im->module),
                                       .name = add_str(e, im->name),
                                       .instance = h->instance,
                                       .type_id = h->type_id,
                                       .arg_slots = h->arg_slots,
                                       .result_slots = h->result_slots,
                                       .plan_kind = h->plan_kind,
                                       .plan_index = h->plan_index};
    }
    e->w.head.hosts = abi_image_add(&e->w, t, l->hosts.n, sizeof *t, 8);
}

static void add_exports(struct emit *e) {
    const struct link *l = e->l;
    uint64_t max = 0, n = 0;
    for (uint32_t i = 0; i < l->instances_count; i++) max += l->instances[i].m->exports_count;
    struct abi_image_export *t = arena_array(e->a, struct abi_image_export, max);
    for (uint32_t i = 0; i < l->instances_count; i++) {
        const struct wasm_module *m = l->instances[i].m;
        for (uint32_t k = 0; k < m->exports_count; k++) {
            const struct wasm_export *x = &m->exports[k];
            uint32_t index = x->kind == WASM_EXTERN_FUNC ? record_of(l, i, x->index) : x->index;
            t[n++] = (struct abi_image_export){.name = add_str(e, x->name), .instance = i, .kind = x->kind, .index = index};
        }
    }
    e->w.head.exports = abi_image_add(&e->w, t, n, sizeof *t, 8);
}

static void add_types(struct emit *e) {
    const struct wasm_types *ts = e->l->types;
    struct abi_type *t = arena_array(e->a, struct abi_type, ts->defs.n);
    abi_types_make(ts, t);
    e->w.head.types = abi_image_add(&e->w, t, ts->defs.n, sizeof *t, sizeof *t);
}

static uint32_t slots_of(const struct wasm_deftype *t) { return (uint32_t)sig_of(t); }

static void add_tags(struct emit *e) {
    const struct link *l = e->l;
    uint64_t max = 0, n = 0;
    for (uint32_t i = 0; i < l->instances_count; i++) max += l->instances[i].m->tags_count;
    struct abi_image_tag *t = arena_array(e->a, struct abi_image_tag, max);
    for (uint32_t i = 0; i < l->instances_count; i++) {
        const struct link_instance *in = &l->instances[i];
        const struct wasm_module *m = in->m;
        str *names = arena_array(e->a, str, m->tags_count);
        for (uint32_t k = 0; k < m->imports_count; k++)
            if (m->imports[k].kind == WASM_EXTERN_TAG) names[m->imports[k].index] = m->imports[k].name;
        for (uint32_t k = 0; k < m->exports_count; k++)
            if (m->exports[k].kind == WASM_EXTERN_TAG) names[m->exports[k].index] = m->exports[k].name;
        for (uint32_t k = 0; m->tag_names && k < m->tags_count; k++)
            if (m->tag_names[k].n) names[k] = m->tag_names[k];
        for (uint32_t k = 0; k < m->tags_count; k++)
            t[n++] = (struct abi_image_tag){in->tag_ids[k], slots_of(&m->types[m->tags[k].type]), add_str(e, names[k])};
    }
    e->w.head.tags = abi_image_add(&e->w, t, n, sizeof *t, 8);
}

static void add_unwind(struct emit *e) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < e->l->instances_count; i++) {
        const struct buf *u = &e->l->instances[i].object.unwind;
        struct abi_span span = abi_image_add(&e->w, u->p, u->n, 1, 4);
        if (!i) e->w.head.unwind.offset = span.offset;
        n += u->n;
    }
    e->w.head.unwind.count = n;
}

static void add_sites(struct emit *e) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < e->l->instances_count; i++) {
        const struct buf *s = &e->l->instances[i].object.sites;
        struct abi_span span = abi_image_add(&e->w, s->p, s->n, 1, 1);
        if (!i) e->w.head.sites.offset = span.offset;
        n += s->n;
    }
    e->w.head.sites.count = n;
}

/* The init functions left to run, in order. */
static void add_steps(struct emit *e) {
    const struct link *l = e->l;
    uint32_t *t = arena_array(e->a, uint32_t, l->instances_count);
    uint32_t n = 0;
    for (uint32_t i = l->steps_done; i < l->instances_count; i++)
        if (has_init(&l->instances[i])) t[n++] = l->instances[i].init_record;
    e->w.head.start_steps = abi_image_add(&e->w, t, n, sizeof *t, 4);
}

/* ---- groups: contexts and memories ---- */

static struct abi_span add_context_relocs(struct emit *e, uint32_t group) {
    const struct link *l = e->l;
    const struct link_group *g = &l->groups[group];
    struct abi_context_reloc *t = arena_array(e->a, struct abi_context_reloc, g->relocs.n + l->func_words.n);
    uint64_t n = 0;
    for (uint32_t i = 0; i < g->relocs.n; i++) t[n++] = g->relocs.p[i];
    for (uint32_t i = 0; i < l->func_words.n; i++) {
        const struct link_func_word *f = &l->func_words.p[i];
        if (f->group != group) continue;
        uint32_t target = record_of(l, f->instance, f->func);
        ENSURE(target != LINK_NONE);
        t[n++] = (struct abi_context_reloc){.at = f->at, .kind = ABI_CONTEXT_FUNC, .target = target};
    }
    return abi_image_add(&e->w, t, n, sizeof *t, 8);
}

/* The groups' table goes into .rodata now; what it says of the sections after it is filled in by
 * add_groups_content. */
static struct abi_image_group *add_groups(struct emit *e) {
    const struct link *l = e->l;
    struct abi_image_group *t = arena_array(e->a, struct abi_image_group, l->groups_count);
    for (uint32_t i = 0; i < l->groups_count; i++) {
        const struct link_group *g = &l->groups[i];
        t[i] = (struct abi_image_group){.context_bytes = g->context_bytes,
                                        .hot_bytes = sizeof(struct abi_ctx) + g->hot,
                                        .relocs = add_context_relocs(e, i),
                                        .has_memory = g->has_memory,
                                        .memory_bytes = g->memory_bytes};
        if (!g->has_memory) continue;
        uint64_t max = l->instances[g->memory_instance].m->memories[g->memory_index].limits.max;
        t[i].memory_bytes_max = MIN(max, 4 * GiB / ABI_WASM_PAGE) * ABI_WASM_PAGE;
    }
    e->w.head.groups = abi_image_add(&e->w, t, l->groups_count, sizeof *t, 8);
    return t;
}

static void add_groups_content(struct emit *e, struct abi_image_group *t) {
    for (uint32_t i = 0; i < e->l->groups_count; i++) {
        const struct link_group *g = &e->l->groups[i];
        abi_image_begin(&e->w, ABI_SECTION_MAPPED, arena_cstr(e->a, arena_fmt(e->a, ".context.%u", i)));
        t[i].context = abi_image_add(&e->w, g->context, g->context_bytes, 1, ABI_PAGE);
        if (!g->memory_stored) continue;
        abi_image_begin(&e->w, ABI_SECTION_MAPPED, arena_cstr(e->a, arena_fmt(e->a, ".memory.%u", i)));
        t[i].memory = abi_image_add(&e->w, g->memory, g->memory_stored, 1, ABI_PAGE);
    }
}

/* ---- all of it ---- */

static void add_text(struct emit *e) {
    abi_image_begin(&e->w, ABI_SECTION_TEXT, ".text");
    for (uint32_t i = 0; i < e->l->instances_count; i++) {
        const struct buf *text = &e->l->instances[i].object.text;
        struct abi_span span = abi_image_add(&e->w, text->p, text->n, 1, BASELINE_TEXT_ALIGN);
        if (!i) e->w.head.text.offset = span.offset;
    }
    e->w.head.text.count = text_bytes(e->l);
}

static void add_plan(struct emit *e) {
    if (!e->l->plan || e->l->plan->is_core) return;
    plan_save(e->l->plan, &e->plan);
    e->w.head.plan = abi_image_add(&e->w, e->plan.p, e->plan.n, 1, 8);
}

static err check_size(const struct emit *e, const struct abi_image_group *groups) {
    const struct link *l = e->l;
    if (!l->image_bytes_max || e->w.end <= l->image_bytes_max) return ERR_OK;
    uint64_t memories = 0, tables = 0;
    for (uint32_t i = 0; i < l->groups_count; i++) memories += groups[i].memory.count, tables += groups[i].context.count;
    return diag_set(l->d, ERR_LIMIT, DIAG_NOWHERE,
                    "its image has %llu MiB (code %llu, memories %llu, tables %llu MiB), and may have %llu MiB (--max-image)",
                    (unsigned long long)(e->w.end / MiB), (unsigned long long)(e->w.head.text.count / MiB),
                    (unsigned long long)(memories / MiB), (unsigned long long)(tables / MiB),
                    (unsigned long long)(l->image_bytes_max / MiB));
}

err link_emit(struct link *l, int fd, const struct crypto_ed25519 *key, bool symbols, struct link_stats *stats) {
    struct emit e = {.l = l, .a = arena_new(0)};
    abi_image_writer_init(&e.w, e.a);
    e.w.head.machine = l->machine;
    e.w.head.cpu_features = l->cpu_features;
    e.w.head.group_base = l->group_base;
    e.w.head.snapshot = l->snapshot;
    for (uint32_t i = 0; i < l->instances_count; i++)
        e.w.head.frame_bytes_max = MAX(e.w.head.frame_bytes_max, l->instances[i].object.frame_bytes_max);
    memcpy(e.w.head.wasm_digest, l->wasm_digest, sizeof e.w.head.wasm_digest);
    e.w.text_written = l->text_written;
    add_text(&e);
    add_records(&e);
    abi_image_begin(&e.w, ABI_SECTION_TABLES, ".rodata");
    struct abi_image_group *groups = add_groups(&e);
    add_codes(&e);
    add_instances(&e);
    add_hosts(&e);
    add_exports(&e);
    add_types(&e);
    add_steps(&e);
    add_plan(&e);
    add_sites(&e);
    add_tags(&e);
    add_unwind(&e);
    add_groups_content(&e, groups);
    if (symbols) abi_image_add_symbols(&e.w, e.codes, e.names, e.codes_count);
    err r = check_size(&e, groups);
    if (r == ERR_OK) r = abi_image_write(&e.w, fd, key, l->d);
    if (stats) {
        stats->text_bytes = e.w.head.text.count;
        stats->image_bytes = e.w.head.file_bytes;
    }
    buf_free(&e.plan);
    arena_free(e.a);
    return r;
}
