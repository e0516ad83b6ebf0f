/* store: see store.h. */
#include "link/store.h"
#include "link/link_int.h"
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

struct link_store_instance {
    struct link_store *store;
    const struct wasm_module *m;
    struct engine_instance *in;
    /* By index, imports first. */
    struct link_store_item *funcs, *tables, *memories, *globals, *tags;
};

struct link_store {
    arena *a;
    struct engine *engine;
    struct engine_store *groups;
    struct wasm_types *types;
    struct map names;
    VEC(struct link_store_instance *) instances;
    uint32_t tags_count;
    uint32_t registers;
    uint64_t cpu_features_unused;
};

struct link_store *link_store_new(struct engine *e) {
    arena *a = arena_new(0);
    struct link_store *s = arena_make(a, struct link_store);
    s->a = a;
    s->engine = e;
    s->groups = engine_store_new(e);
    s->types = wasm_types_new(a);
    return s;
}

void link_store_restrict(struct link_store *s, uint32_t registers, uint64_t cpu_features_unused) {
    s->registers = registers;
    s->cpu_features_unused = cpu_features_unused;
}

void link_store_free(struct link_store *s) {
    if (!s) return;
    struct engine_image **images = arena_array(s->a, struct engine_image *, s->instances.n);
    for (uint32_t i = 0; i < s->instances.n; i++) images[i] = engine_instance_image(s->instances.p[i]->in);
    engine_store_free(s->groups);
    for (uint32_t i = s->instances.n; i-- > 0;) engine_image_unload(images[i]);
    arena_free(s->a);
}

void link_store_register(struct link_store *s, str name, struct link_store_instance *in) {
    map_put(s->a, &s->names, arena_str(s->a, name), (uintptr_t)in);
}

static struct link_store_item *item_of(struct link_store_instance *in, enum wasm_extern kind, uint32_t index) {
    switch (kind) {
    case WASM_EXTERN_FUNC: return &in->funcs[index];
    case WASM_EXTERN_TABLE: return &in->tables[index];
    case WASM_EXTERN_MEMORY: return &in->memories[index];
    case WASM_EXTERN_GLOBAL: return &in->globals[index];
    case WASM_EXTERN_TAG: return &in->tags[index];
    }
    return NULL;
}

bool link_store_export(struct link_store_instance *in, str name, struct link_store_item *out) {
    const struct wasm_export *x = wasm_export_find(in->m, name);
    const struct link_store_item *item = x ? item_of(in, x->kind, x->index) : NULL;
    if (item) *out = *item;
    return item;
}

/* ---- matching imports (core specification, Validation, Matching) ---- */

static bool limits_match(const struct wasm_limits *have, uint64_t now, const struct wasm_limits *want) {
    if (have->is64 != want->is64 || now < want->min) return false;
    return !want->has_max || (have->has_max && have->max <= want->max);
}

static bool types_equal(const struct link_store *s, wasm_type a, wasm_type b) {
    return wasm_types_value_sub(s->types, a, b) && wasm_types_value_sub(s->types, b, a);
}

static bool item_matches(struct link_store *s, const struct link_store_item *have, const struct wasm_module *m,
                         const struct wasm_import *want) {
    if (have->kind != want->kind) return false;
    switch (want->kind) {
    case WASM_EXTERN_FUNC: return wasm_types_sub(s->types, have->func->type_id, m->type_ids[m->funcs[want->index].type]);
    case WASM_EXTERN_MEMORY: {
        const struct abi_memory *now = have->record;
        return limits_match(&have->limits, now->bytes / ABI_WASM_PAGE, &m->memories[want->index].limits);
    }
    case WASM_EXTERN_TABLE: {
        const struct abi_table *now = have->record;
        const struct wasm_table *t = &m->tables[want->index];
        return types_equal(s, have->type, wasm_type_canon(m, t->type)) && limits_match(&have->limits, now->count, &t->limits);
    }
    case WASM_EXTERN_GLOBAL: {
        const struct wasm_global *g = &m->globals[want->index];
        wasm_type type = wasm_type_canon(m, g->type);
        if (have->mutable != g->mutable) return false;
        return g->mutable ? types_equal(s, have->type, type) : wasm_types_value_sub(s->types, have->type, type);
    }
    case WASM_EXTERN_TAG: return have->type_id == m->type_ids[m->tags[want->index].type];
    }
    return false;
}

static err resolve(struct link_store *s, struct link_store_instance *in, struct link_outside *outside, struct diag *d) {
    const struct wasm_module *m = in->m;
    for (uint32_t i = 0; i < m->imports_count; i++) {
        const struct wasm_import *im = &m->imports[i];
        uint64_t from;
        struct link_store_item item;
        if (!map_get(&s->names, im->module, &from) ||
            !link_store_export((struct link_store_instance *)(uintptr_t)from, im->name, &item))
            return diag_set(d, ERR_LINK, DIAG_NOWHERE, "unknown import \"" STR_FMT "\" \"" STR_FMT "\"", STR_ARG(im->module),
                            STR_ARG(im->name));
        if (!item_matches(s, &item, m, im))
            return diag_set(d, ERR_LINK, DIAG_NOWHERE, "incompatible import type of \"" STR_FMT "\" \"" STR_FMT "\"",
                            STR_ARG(im->module), STR_ARG(im->name));
        *item_of(in, im->kind, im->index) = item;
        outside[i] = (struct link_outside){item.func, item.record, item.tag_id};
    }
    return ERR_OK;
}

/* ---- making an image and an instance of it ---- */

/* Records of imported functions become copies of the originals: same code, same group. */
static err patch_records(struct link_store_instance *in, struct abi_image *im, struct diag *d) {
    size_t bytes = im->head->funcs.count * sizeof(struct abi_func);
    if (!bytes) return ERR_OK;
    if (mprotect(im->funcs, bytes, PROT_READ | PROT_WRITE) < 0)
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "mprotect: %s", strerror(errno));
    for (uint64_t i = 0; i < im->head->funcs.count; i++) {
        struct abi_func *f = &im->funcs[i];
        if (f->func_index >= in->m->funcs_imported) continue;
        uint32_t index = f->func_index;
        *f = *in->funcs[index].func;
        f->instance = 0;
        f->func_index = index;
    }
    return mprotect(im->funcs, bytes, PROT_READ) < 0 ? diag_set(d, ERR_IO, DIAG_NOWHERE, "mprotect: %s", strerror(errno))
                                                     : ERR_OK;
}

static void define_items(struct link_store_instance *in, const struct link_instance *li, const struct abi_image *im) {
    const struct wasm_module *m = in->m;
    uint8_t *gs = engine_instance_gs(in->in, li->group);
    for (uint32_t i = 0; i < m->funcs_count; i++) {
        const struct abi_func *f = abi_image_func(im, 0, i);
        struct link_store_item *item = &in->funcs[i];
        if (i < m->funcs_imported) continue;
        *item = (struct link_store_item){.kind = WASM_EXTERN_FUNC, .func = f, .sig = wasm_func_type(m, i)};
    }
    for (uint32_t i = m->tables_imported; i < m->tables_count; i++)
        in->tables[i] = (struct link_store_item){.kind = WASM_EXTERN_TABLE,
                                                 .type = wasm_type_canon(m, m->tables[i].type),
                                                 .limits = m->tables[i].limits,
                                                 .record = gs + li->tables[i].offset};
    for (uint32_t i = m->memories_imported; i < m->memories_count; i++)
        in->memories[i] = (struct link_store_item){
            .kind = WASM_EXTERN_MEMORY, .limits = m->memories[i].limits, .record = gs + li->memories[i].offset};
    for (uint32_t i = m->tags_imported; i < m->tags_count; i++)
        in->tags[i] =
            (struct link_store_item){.kind = WASM_EXTERN_TAG, .type_id = m->type_ids[m->tags[i].type], .tag_id = li->tag_ids[i]};
    for (uint32_t i = m->globals_imported; i < m->globals_count; i++)
        in->globals[i] = (struct link_store_item){.kind = WASM_EXTERN_GLOBAL,
                                                  .type = wasm_type_canon(m, m->globals[i].type),
                                                  .mutable = m->globals[i].mutable,
                                                  .record = gs + li->globals[i].offset};
}

static void bind_far(struct link_store_instance *in, const struct link_instance *li) {
    const struct wasm_module *m = in->m;
    for (uint32_t i = 0; i < m->imports_count; i++) {
        uint32_t k = m->imports[i].index;
        switch (m->imports[i].kind) {
        case WASM_EXTERN_FUNC: engine_instance_bind_far(in->in, 0, li->funcs[k].offset, li->outside[i].func); break;
        case WASM_EXTERN_TABLE: engine_instance_bind_far(in->in, 0, li->tables[k].offset, li->outside[i].record); break;
        case WASM_EXTERN_MEMORY: engine_instance_bind_far(in->in, 0, li->memories[k].offset, li->outside[i].record); break;
        case WASM_EXTERN_GLOBAL: engine_instance_bind_far(in->in, 0, li->globals[k].offset, li->outside[i].record); break;
        default: break;
        }
    }
}

static err make_image(struct link *l, struct abi_image *im) {
    TRY(link_layout(l));
    TRY(link_compile(l));
    int fd = memfd_create("orlo-store", MFD_CLOEXEC);
    if (fd < 0) return diag_set(l->d, ERR_IO, DIAG_NOWHERE, "cannot make a memory file: %s", strerror(errno));
    err e = link_emit(l, fd, NULL, false, NULL);
    if (e != ERR_OK) {
        close(fd);
        return e;
    }
    return abi_image_open(fd, NULL, im, l->d);
}

static err load(struct link_store *s, struct link_store_instance *in, const struct link_instance *li, struct abi_image im,
                struct diag *d) {
    err e = patch_records(in, &im, d);
    if (e != ERR_OK) {
        abi_image_close(&im);
        return e;
    }
    struct engine_image *image = engine_image_load(engine_share_own(s->engine), im);
    in->in = image ? engine_store_acquire(s->groups, image, in) : NULL;
    if (!in->in) {
        if (image) engine_image_unload(image);
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "no more instances can be had");
    }
    vec_push(s->a, &s->instances, in);
    define_items(in, li, engine_image_abi(image));
    bind_far(in, li);
    return ERR_OK;
}

/* ---- running ---- */

struct call {
    struct engine_instance *in;
    const struct abi_func *f; /* NULL: the instantiation */
    uint64_t *args;
    enum abi_trap trap;
    bool done;
};

static void run_call(void *arg) {
    struct call *c = arg;
    c->trap = c->f ? engine_call(c->in, c->f, c->args) : engine_instance_start(c->in);
    c->done = true;
}

static enum abi_trap run(struct link_store_instance *in, const struct abi_func *f, uint64_t *args) {
    struct call c = {.in = in->in, .f = f, .args = args};
    if (!engine_spawn(in->in, run_call, &c)) return ABI_TRAP_OUT_OF_MEMORY;
    while (!c.done) engine_run(in->store->engine, 1'000'000'000);
    while (engine_instance_fibers(in->in)) engine_run(in->store->engine, 1'000'000);
    return c.trap;
}

enum abi_trap link_store_call(struct link_store_instance *in, const struct abi_func *f, uint64_t *args) {
    return run(in, f, args);
}

static err instantiate(struct link_store *s, struct link_store_instance *in, struct wasm_module *m, str bytes, struct diag *d) {
    TRY(wasm_decode(s->a, bytes, m, d));
    TRY(wasm_validate(s->a, m, s->types, d));
    in->m = m;
    in->store = s;
    in->funcs = arena_array(s->a, struct link_store_item, m->funcs_count);
    in->tables = arena_array(s->a, struct link_store_item, m->tables_count);
    in->memories = arena_array(s->a, struct link_store_item, m->memories_count);
    in->globals = arena_array(s->a, struct link_store_item, m->globals_count);
    in->tags = arena_array(s->a, struct link_store_item, m->tags_count);
    struct link_outside *outside = arena_array(s->a, struct link_outside, m->imports_count + 1);
    struct link_instance li = {.m = m, .outside = outside};
    struct link l = {.a = s->a,
                     .d = d,
                     .types = s->types,
                     .instances = &li,
                     .instances_count = 1,
                     .registers = s->registers,
                     .cpu_features_unused = s->cpu_features_unused,
                     .machine = ABI_MACHINE,
                     .group_base = engine_store_groups(s->groups),
                     .tags_count = s->tags_count,
                     .init_type_id = wasm_types_func(s->types, NULL, 0, NULL, 0)};
    TRY(resolve(s, in, outside, d));
    struct abi_image im;
    err e = make_image(&l, &im);
    s->tags_count = l.tags_count;
    if (e == ERR_OK) e = load(s, in, &li, im, d);
    link_objects_free(&l);
    return e;
}

err link_store_instantiate(struct link_store *s, str bytes, struct link_store_instance **out, enum abi_trap *trap,
                           struct diag *d) {
    struct link_store_instance *in = arena_make(s->a, struct link_store_instance);
    *trap = ABI_TRAP_NONE;
    *out = NULL;
    TRY(instantiate(s, in, arena_make(s->a, struct wasm_module), arena_str(s->a, bytes), d));
    *out = in;
    *trap = run(in, NULL, NULL);
    return *trap == ABI_TRAP_NONE ? ERR_OK : diag_set(d, ERR_TRAP, DIAG_NOWHERE, "%s", abi_trap_text(*trap));
}
