/* snapshot: runs the instantiation once, here, and makes its outcome the image's initial state.
 *
 * 1. No host function is offered: the first host call ends the attempt, and what comes before that core
 * instance's initialisation is what the snapshot holds. So the outcome cannot depend on the world.
 * 2. Addresses in the outcome become relocations again: words that hold funcrefs, and those that refer to
 * groups. Anything else that is tied to this process (a grown table, a memory beside the groups' own, a reference to a
 * collected object) forgoes the snapshot.
 * 3. The final image overwrites the file that the instance was made from, and its memories are read from the
 * instance then: so nothing of an instance may be a mapping of that file. It is not: before a snapshot no
 * memory has content in the image.
 */
#include "engine/engine.h"
#include "link/link_int.h"
#include <errno.h>
#include <fcntl.h>

enum { SNAPSHOT_MEMORY_MAX = 256 << 20 /* of all memories together */ };

struct run {
    struct link *l;
    struct engine *engine;
    struct engine_image *image;
    struct engine_instance *in;
    uint32_t limit; /* core instances to initialise */
    uint32_t done;  /* of them, how many were */
    bool called_host;
    bool finished;
    enum abi_trap trap;
};

static enum abi_trap refuse(struct engine_call *call, uint64_t *args) {
    struct run *r = engine_call_data(call);
    r->called_host = true;
    return engine_trap(engine_call_instance(call), ABI_TRAP_HOST, "a host call during the snapshot");
}

static void run_steps(void *arg) {
    struct run *r = arg;
    const struct abi_image *im = engine_image_abi(r->image);
    for (; r->done < r->limit; r->done++) {
        uint32_t record = r->l->instances[r->done].init_record;
        uint64_t args[2] = {0};
        if (record == LINK_NONE) continue;
        r->trap = engine_call(r->in, &im->funcs[record], args);
        if (r->trap != ABI_TRAP_NONE) break;
    }
    r->finished = true;
}

/* Runs the first `limit` initialisations in a fresh instance. False: out of resources or time. */
static bool attempt(struct run *r, uint32_t limit, uint64_t ns_max) {
    r->limit = limit;
    r->done = 0;
    r->called_host = r->finished = false;
    r->trap = ABI_TRAP_NONE;
    r->in = engine_acquire(r->image, NULL);
    if (!r->in || !engine_spawn(r->in, run_steps, r)) return false;
    uint64_t end = clock_mono_ns() + ns_max;
    while (!r->finished && clock_mono_ns() < end) engine_run(r->engine, end - clock_mono_ns());
    bool in_time = r->finished;
    if (!in_time) engine_kill(r->in);
    while (engine_instance_fibers(r->in)) engine_run(r->engine, 1'000'000);
    return in_time;
}

static void drop(struct run *r) {
    if (r->in) engine_release(r->in);
    r->in = NULL;
}

/* ---- the outcome ---- */

struct capture {
    struct link *l;
    struct run *r;
    const struct abi_image *im;
    uint8_t **contexts; /* the new ones, by group */
    VEC(struct link_func_word) words;
};

/* Turns `count` references at GS + at into relocations. False: one cannot be. */
static bool capture_refs(struct capture *c, uint32_t group, int32_t at, uint64_t count) {
    const struct link_group *g = &c->l->groups[group];
    uint64_t *p = (uint64_t *)(void *)(c->contexts[group] + g->context_bytes + at);
    uintptr_t first = (uintptr_t)c->im->funcs;
    for (uint64_t i = 0; i < count; i++) {
        if (!p[i] || p[i] & (ABI_REF_I31 | ABI_REF_HOST)) continue; /* no address */
        uint64_t k = (p[i] - first) / sizeof(struct abi_func);
        if (p[i] < first || k >= c->im->head->funcs.count || (p[i] - first) % sizeof(struct abi_func)) return false;
        const struct abi_func *f = &c->im->funcs[k];
        vec_push(c->l->a, &c->words, ((struct link_func_word){group, f->instance, f->func_index, at + (int32_t)(8 * i), false}));
        p[i] = 0;
    }
    return true;
}

static bool capture_instance(struct capture *c, const struct link_instance *in) {
    const struct wasm_module *m = in->m;
    for (uint32_t i = m->memories_imported; i < m->memories_count; i++)
        if (in->memories[i].where == ABI_MEMORY_NEAR && in->memories[i].offset != ABI_CTX(base)) return false;
    for (uint32_t i = m->globals_imported; i < m->globals_count; i++)
        if (wasm_is_ref(m->globals[i].type) && !capture_refs(c, in->group, in->globals[i].offset, 1)) return false;
    for (uint32_t i = m->tables_imported; i < m->tables_count; i++) {
        int32_t at = in->table_elements[i];

        if (!capture_refs(c, in->group, at, in->tables[i].count)) return false;
    }
    for (uint32_t i = 0; i < m->elems_count; i++)
        if (in->elems[i].dynamic_offset && !capture_refs(c, in->group, in->elems[i].dynamic_offset, m->elems[i].count))
            return false;
    return true;
}

/* Words that refer to groups must be what they were; they become relocations again. */
static bool capture_group_words(struct capture *c, uint32_t group) {
    const struct link_group *g = &c->l->groups[group];
    for (uint32_t i = 0; i < g->relocs.n; i++) {
        const struct abi_context_reloc *rel = &g->relocs.p[i];
        uint8_t *at = c->contexts[group] + g->context_bytes + rel->at;
        uint64_t v, want = (uintptr_t)(engine_instance_gs(c->r->in, rel->target) + rel->addend);
        memcpy(&v, at, 8);
        if (v != want) return false;
        memset(at, 0, 8);
    }
    return true;
}

/* Words of function imports stay as they were. */
static void capture_import_words(struct capture *c) {
    for (uint32_t i = 0; i < c->l->func_words.n; i++) {
        const struct link_func_word *w = &c->l->func_words.p[i];
        if (!w->is_import) continue;
        memset(c->contexts[w->group] + c->l->groups[w->group].context_bytes + w->at, 0, 8);
        vec_push(c->l->a, &c->words, *w);
    }
}

static uint64_t used_bytes(const uint8_t *p, uint64_t n) {
    static const uint8_t zero[ABI_PAGE];
    while (n >= ABI_PAGE && memcmp(p + n - ABI_PAGE, zero, ABI_PAGE) == 0) n -= ABI_PAGE;
    return n;
}

static bool capture(struct link *l, struct run *r) {
    struct capture c = {.l = l, .r = r, .im = engine_image_abi(r->image)};
    c.contexts = arena_array(l->a, uint8_t *, l->groups_count);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < l->groups_count; i++) {
        const struct link_group *g = &l->groups[i];
        const uint8_t *gs = engine_instance_gs(r->in, i);
        bytes += g->has_memory ? abi_ctx_of((uint8_t *)(uintptr_t)gs)->memory_bytes : 0;
        if (bytes > SNAPSHOT_MEMORY_MAX || (l->image_bytes_max && bytes > l->image_bytes_max / 2)) return false;
        c.contexts[i] = arena_alloc(l->a, g->context_bytes, 16);
        memcpy(c.contexts[i], gs - g->context_bytes, g->context_bytes - sizeof(struct abi_ctx));
        if (!capture_group_words(&c, i)) return false;
    }
    capture_import_words(&c);
    for (uint32_t i = 0; i < l->instances_count; i++)
        if (!capture_instance(&c, &l->instances[i])) return false;
    for (uint32_t i = 0; i < l->groups_count; i++) {
        struct link_group *g = &l->groups[i];
        uint8_t *gs = engine_instance_gs(r->in, i);
        g->context = c.contexts[i];
        if (!g->has_memory) continue;
        g->memory = gs;
        g->memory_bytes = abi_ctx_of(gs)->memory_bytes;
        g->memory_stored = used_bytes(gs, g->memory_bytes);
    }
    l->func_words.p = c.words.p;
    l->func_words.n = c.words.n;
    l->func_words.cap = c.words.cap;
    return true;
}

/* ---- all of it ---- */

static err report_trap(struct link *l, struct run *r) {
    struct buf text = {0};
    engine_trap_print(engine_last_trap(r->in), &text);
    err e = diag_set(l->d, ERR_TRAP, DIAG_NOWHERE, "instantiation trapped: " STR_FMT, STR_ARG(buf_str(&text)));
    buf_free(&text);
    return e;
}

static err snapshot(struct link *l, struct run *r, uint64_t ns_max) {
    if (!attempt(r, l->instances_count, ns_max) || r->called_host) {
        if (!r->in) return ERR_OK;
        uint32_t before = r->done;
        drop(r);
        if (!before || !attempt(r, before, ns_max)) return ERR_OK;
    }
    if (r->trap != ABI_TRAP_NONE) return report_trap(l, r);
    if (!capture(l, r)) return ERR_OK;
    l->steps_done = r->done;
    while (l->steps_done < l->instances_count && l->instances[l->steps_done].init_record == LINK_NONE) l->steps_done++;
    l->snapshot = l->steps_done == l->instances_count;
    return ERR_OK;
}

err link_snapshot(struct link *l, int fd, const struct link_options *o) {
    struct abi_image im;
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (own < 0) return diag_set(l->d, ERR_IO, DIAG_NOWHERE, "no descriptor: %s", strerror(errno));
    TRY(abi_image_open(own, NULL, &im, l->d));
    struct run *r = arena_make(l->a, struct run);
    l->run = r;
    r->l = l;
    r->engine = engine_new(&(struct engine_config){.memory_bytes_max = o->memory_bytes_max,
                                                   .slots_max = 2,
                                                   .no_files = true,
                                                   .reset = ENGINE_RESET_MADVISE} /* a job may open no file */);
    uint64_t hosts = im.head->hosts.count;
    r->image = engine_image_load(engine_share_own(r->engine), im);
    ENSURE(r->image); /* no cap */
    for (uint32_t i = 0; i < hosts; i++) engine_image_bind(r->image, i, refuse, r);
    return snapshot(l, r, o->snapshot_ns_max ? o->snapshot_ns_max : 2'000'000'000);
}

void link_snapshot_free(struct link *l) {
    if (!l->run) return;
    drop(l->run);
    engine_image_unload(l->run->image);
    engine_free(l->run->engine);
    l->run = NULL;
}
