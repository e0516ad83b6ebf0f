/* link: drives the way from bytes to an image. */
#include "link/link_int.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- decoding ---- */

static err decode_module(arena *a, str wasm, struct plan *plan, struct diag *d) {
    struct wasm_module *m = arena_make(a, struct wasm_module);
    TRY(wasm_decode(a, wasm, m, d));
    TRY(wasm_validate(a, m, NULL, d));
    plan_of_core_module(a, m, 0, wasm.n, plan);
    return ERR_OK;
}

static err decode(arena *a, str wasm, struct plan *plan, bool *is_component, struct diag *d) {
    switch (component_kind(wasm, d)) {
    case COMPONENT_KIND_MODULE: return decode_module(a, wasm, plan, d);
    case COMPONENT_KIND_COMPONENT: {
        struct component *c;
        *is_component = true;
        TRY(component_decode(a, wasm, &c, d));
        return component_plan(a, c, plan, d);
    }
    default: return ERR_MALFORMED;
    }
}

/* ---- linking ---- */

static void set_up(struct link *l) {
    const struct plan *p = l->plan;
    l->instances_count = p->core_instances_count;
    l->instances = arena_array(l->a, struct link_instance, l->instances_count + 1);
    for (uint32_t i = 0; i < p->modules_count; i++)
        wasm_names_decode(l->a, (struct wasm_module *)(uintptr_t)p->modules[i].module); /* ours: made in decode */
    for (uint32_t i = 0; i < l->instances_count; i++) {
        struct link_instance *in = &l->instances[i];
        const struct plan_core_instance *pi = &p->core_instances[i];
        in->m = p->modules[pi->module].module;
        if (pi->imports_count) in->imports = p->import_defs + pi->imports_first;
        ENSURE(pi->imports_count == in->m->imports_count);
        ENSURE(in->m->canon == l->instances[0].m->canon);
    }
    struct wasm_types *types = l->instances_count ? l->instances[0].m->canon : wasm_types_new(l->a);
    l->init_type_id = wasm_types_func(types, NULL, 0, NULL, 0);
    l->types = types;
}

static void count(const struct link *l, str wasm, struct link_stats *s) {
    s->wasm_bytes = wasm.n;
    s->core_instances = l->instances_count;
    s->groups = l->groups_count;
    for (uint32_t i = 0; i < l->instances_count; i++) {
        const struct wasm_module *m = l->instances[i].m;
        s->code_bytes += m->code_bytes;
        s->functions += m->funcs_count - m->funcs_imported;
    }
}

/* The image is written as it is before its instantiation, run, and written again; its text stays where it is.
 */
static err make_snapshot(struct link *l, int fd, const struct link_options *o) {
    bool any = false;
    for (uint32_t i = 0; i < l->instances_count; i++) any = any || l->instances[i].init_record != LINK_NONE;
    if (!any) {
        l->steps_done = l->instances_count;
        l->snapshot = true;
        return ERR_OK;
    }
    if (l->machine != ABI_MACHINE) return ERR_OK; /* it cannot be run here */
    TRY(link_emit(l, fd, NULL, false, NULL));
    l->text_written = true;
    return link_snapshot(l, fd, o);
}

/* The digest is made while the code is. */
struct digest {
    str wasm;
    uint8_t *out;
    pthread_t thread;
    bool started;
};

static void *make_digest(void *arg) {
    struct digest *d = arg;
    crypto_sha256(d->wasm, d->out);
    return NULL;
}

static uint32_t cpus(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0) return 1;
    return MIN((uint32_t)CPU_COUNT(&set), 4u);
}

static err lay_out_and_compile(struct link *l, str wasm) {
    struct digest digest = {.wasm = wasm, .out = l->wasm_digest};
    digest.started = l->threads > 1 && pthread_create(&digest.thread, NULL, make_digest, &digest) == 0;
    err e = link_layout(l);
    if (e == ERR_OK) e = link_compile(l);
    if (digest.started) pthread_join(digest.thread, NULL);
    else make_digest(&digest);
    return e;
}

static err run(struct link *l, str wasm, const struct link_options *o, int fd, struct link_stats *s) {
    set_up(l);
    uint64_t t0 = clock_mono_ns();
    TRY(lay_out_and_compile(l, wasm));
    uint64_t t1 = clock_mono_ns();
    if (!o->no_snapshot) TRY(make_snapshot(l, fd, o));
    uint64_t t2 = clock_mono_ns();
    TRY(link_emit(l, fd, o->key, !o->no_symbols, s));
    count(l, wasm, s);
    s->snapshot = l->snapshot;
    s->compile_ns = t1 - t0;
    s->snapshot_ns = t2 - t1;
    s->write_ns = clock_mono_ns() - t2;
    return ERR_OK;
}

err link_file(str wasm, const struct link_options *o, int fd, struct link_stats *stats, struct diag *d) {
    struct link_stats own, *s = stats ? stats : &own;
    *s = (struct link_stats){0};
    arena *a = arena_new(0);
    struct plan *plan = arena_make(a, struct plan);
    struct link l = {.a = a,
                     .plan = plan,
                     .d = d,
                     .threads = o->threads ? o->threads : cpus(),
                     .registers = o->registers,
                     .cpu_features_unused = o->cpu_features_unused,
                     .memory_bytes_max = o->memory_bytes_max,
                     .image_bytes_max = o->image_bytes_max,
                     .machine = o->machine ? o->machine : ABI_MACHINE};
    uint64_t start = clock_mono_ns();
    err e = decode(a, wasm, plan, &s->component, d);
    s->decode_ns = clock_mono_ns() - start;
    if (e == ERR_OK && o->check) e = o->check(plan, d);
    if (e == ERR_OK) e = run(&l, wasm, o, fd, s);
    link_snapshot_free(&l);
    link_objects_free(&l);
    arena_free(a);
    s->total_ns = clock_mono_ns() - start;
    return e;
}

err link_file_memfd(str wasm, const struct link_options *o, int *fd, struct link_stats *stats, struct diag *d) {
    *fd = memfd_create("orlo-image", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*fd < 0) return diag_set(d, ERR_IO, DIAG_NOWHERE, "cannot make a memory file: %s", strerror(errno));
    err e = link_file(wasm, o, *fd, stats, d);
    if (e == ERR_OK && fcntl(*fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        e = diag_set(d, ERR_IO, DIAG_NOWHERE, "cannot seal the image: %s", strerror(errno));
    if (e != ERR_OK) {
        close(*fd);
        *fd = -1;
    }
    return e;
}
