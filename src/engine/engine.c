/* engine: the engine itself, its images, and what is asked of them by name. */
#include "engine/engine_int.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- the engine ---- */

enum { SLICE_NS_MIN = 20'000 }; /* a tick must take less than a slice, else nothing else is done */

/* As many as the system lets a process have. */
static uint64_t system_mappings(void) {
    char text[32] = "";
    uint64_t n = 65530; /* the kernel's default */
    int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return n; /* a job may open no file */
    str line, rest;
    if (read(fd, text, sizeof text - 1) > 0) {
        str_cut(str_c(text), '\n', &line, &rest);
        str_to_u64(line, &n);
    }
    close(fd);
    return n;
}

struct engine *engine_new(const struct engine_config *config) {
    const char *lacks = engine_machine_lacks();
    if (lacks) {
        fprintf(stderr, "orlo: this machine cannot run guests: %s\n", lacks);
        abort();
    }
    struct engine *e = calloc(1, sizeof *e);
    ENSURE(e);
    if (config) e->config = *config;
    struct engine_config *c = &e->config;
    if (!c->slots_max) c->slots_max = 1000;
    if (!c->fibers_max) c->fibers_max = 4 * c->slots_max;
    const char *slice = getenv("ORLO_ENGINE_SLICE_NS");
    if (!c->slice_ns && slice) str_to_u64(str_c(slice), &c->slice_ns);
    c->slice_ns = c->slice_ns ? MAX(c->slice_ns, (uint64_t)SLICE_NS_MIN) : 1'500'000;
    const char *verify = getenv("ORLO_ENGINE_VERIFY");
    if (verify && verify[0] == '1') c->verify = true;
    const char *collect = getenv("ORLO_ENGINE_COLLECT");
    if (collect && collect[0] == '1') c->collect_always = true;
    const char *reserve = getenv("ORLO_ENGINE_RESERVE");
    if (!c->reserve_bytes_max && reserve) str_to_u64(str_c(reserve), &c->reserve_bytes_max);
    if (!c->reserve_bytes_max) c->reserve_bytes_max = ENGINE_MEMORY64_RESERVE;
    engine_shares_init(e);
    e->cleaning_last = &e->cleaning;
    e->bytes.max = c->account_bytes_max;
    e->slots.max = c->slots_max;
    e->stacks.max = c->fibers_max;
    e->kept_max = c->account_bytes_max ? MIN(ENGINE_KEPT_MAX, c->account_bytes_max / 8) : ENGINE_KEPT_MAX;
    e->mappings.max = system_mappings() / 4 * 3;
    engine_reset_init(e);
    engine_signals_init(e);
    engine_tick_init(e);
    return e;
}

void engine_free(struct engine *e) {
    if (!e) return;
    ENSURE(!e->slots.used && !e->stacks.used && !e->current);
    while (e->images) engine_image_unload(e->images);
    engine_share_free(e->own);
    ENSURE(!e->bytes.parts);
    engine_tick_free(e);
    engine_signals_free(e);
    engine_fibers_free(e);
    free(e->unwind_cache);
    if (e->pagemap >= 0) close(e->pagemap);
    free(e);
}

bool engine_idle(struct engine *e) {
    uint64_t now = clock_mono_ns();
    engine_clean_piece(e);
    bool slots = engine_slots_idle(e, now), fibers = engine_fibers_idle(e, now);
    return e->cleaning || slots || fibers;
}

uint32_t engine_idle_wait_ms(const struct engine *e) { return engine_slots_waiting(e) || engine_fibers_waiting(e) ? 1000 : 0; }

uint64_t engine_turns(const struct engine *e) { return e->run_seq; }
uint64_t engine_work_most(const struct engine *e) { return e->work_most; }

/* ---- images ---- */

/* Pages of zeroes are left out: of a memory file, or of memory that is zero, they cost nothing. */
void engine_copy_sparse(uint8_t *to, const uint8_t *from, uint64_t n) {
    static const uint8_t zero[ABI_PAGE];
    for (uint64_t at = 0; at < n; at += ABI_PAGE) {
        uint64_t some = MIN(n - at, (uint64_t)ABI_PAGE);
        if (memcmp(from + at, zero, some) != 0) memcpy(to + at, from + at, some);
    }
}

/* Makes the template of a group's context: its bytes with the FUNC words in place, in a memfd that slots map
 * copy-on-write, or in plain memory when slots copy it whole. */
static void load_context(struct engine_image *image, struct engine_image_group *g, const struct abi_image_group *ag) {
    const struct abi_image *im = &image->im;
    g->context_bytes = ag->context_bytes;
    g->hot_bytes = MIN(ag->hot_bytes, (uint64_t)ENGINE_HOT_MAX);
    g->whole = g->context_bytes <= ENGINE_WHOLE_CONTEXT || image->engine->config.no_files;
    if (g->context_bytes > ENGINE_WHOLE_CONTEXT) image->initial_bytes += g->context_bytes;
    g->fd = -1;
    uint8_t *t;
    if (g->context_bytes <= ENGINE_WHOLE_CONTEXT) {
        t = arena_alloc(image->arena, g->context_bytes, 64);
    } else {
        if (!g->whole) g->fd = memfd_create("orlo-context", MFD_CLOEXEC);
        ENSURE(g->whole || (g->fd >= 0 && ftruncate(g->fd, (off_t)g->context_bytes) == 0));
        t = mmap(NULL, g->context_bytes, PROT_READ | PROT_WRITE, g->whole ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, g->fd, 0);
        ENSURE(t != MAP_FAILED);
    }
    engine_copy_sparse(t, im->base + ag->context.offset, MIN(ag->context.count, g->context_bytes));
    const struct abi_context_reloc *relocs = abi_image_at(im, ag->relocs, struct abi_context_reloc);
    struct abi_context_reloc *left = arena_array(image->arena, struct abi_context_reloc, ag->relocs.count);
    for (uint64_t i = 0; i < ag->relocs.count; i++) {
        if (relocs[i].kind == ABI_CONTEXT_FUNC) {
            uint64_t address = (uintptr_t)&im->funcs[relocs[i].target] + (uint64_t)(int64_t)relocs[i].addend;
            memcpy(t + g->context_bytes + relocs[i].at, &address, 8);
        } else {
            left[g->relocs_count++] = relocs[i];
        }
    }
    g->relocs = left;
    g->template = t;
    if (!g->whole) ENSURE(mprotect(t, g->context_bytes, PROT_READ) == 0);
}

static void load_group(struct engine_image *image, struct engine_image_group *g, const struct abi_image_group *ag) {
    load_context(image, g, ag);
    image->slot_bytes += ABI_STACK_GUARD_BYTES;
    g->low = image->slot_bytes;
    g->gs = g->low + g->context_bytes;
    image->slot_bytes = g->gs;
    if (!ag->has_memory) return;
    g->has_memory = true;
    g->memory_bytes = ag->memory_bytes;
    g->memory_bytes_max = MIN(ag->memory_bytes_max, 4 * GiB);
    g->content = image->im.base + ag->memory.offset;
    g->content_bytes = MIN(ag->memory.count, g->memory_bytes);
    g->content_offset = ag->memory.offset;
    g->content_mapped = g->content_bytes & ~(uint64_t)(ABI_PAGE - 1);
    image->slot_bytes += ABI_MEMORY_RESERVE;
    image->initial_bytes += g->memory_bytes;
}

/* Finds the memories with an address space of their own. */
static void load_memories(struct engine_image *image) {
    const struct abi_image *im = &image->im;
    VEC(struct engine_image_memory) own = {0};
    for (uint32_t i = 0; i < im->head->instances.count; i++) {
        const struct abi_image_instance *ai = &image->instances[i];
        const struct abi_image_memory *m = abi_image_at(im, ai->memories, struct abi_image_memory);
        for (uint32_t k = 0; k < ai->memories.count; k++) {
            if (m[k].owner_instance != i || m[k].owner_index != k) continue;
            if (m[k].layout.where != ABI_MEMORY_NEAR) continue;
            const struct engine_image_group *g = &image->groups[ai->group];
            struct abi_memory record;
            memcpy(&record, g->template + g->context_bytes + m[k].layout.offset, sizeof record);
            uint64_t max = m[k].memory64 ? record.bytes_max : MIN(record.bytes_max, 4 * GiB);
            uint64_t reserve = MAX(MIN(max, image->engine->config.reserve_bytes_max), (uint64_t)ABI_PAGE);
            vec_push(image->arena, &own,
                     ((struct engine_image_memory){ai->group, m[k].layout.offset, record.bytes, max, reserve}));
            image->initial_bytes += record.bytes;
        }
    }
    image->memories = own.p;
    image->memories_count = own.n;
}

static enum abi_trap unbound(struct engine_call *call, uint64_t *args) {
    struct engine_instance *in = call->in;
    const struct abi_image *im = &in->image->im;
    const struct abi_image_host *h = abi_image_at(im, im->head->hosts, struct abi_image_host) + call->import;
    str module = abi_image_str(im, h->module), name = abi_image_str(im, h->name);
    return engine_trap(in, ABI_TRAP_HOST, "the import \"" STR_FMT "\" \"" STR_FMT "\" is not offered here", STR_ARG(module),
                       STR_ARG(name));
}

struct engine_image *engine_image_load(struct engine_share *s, struct abi_image im) {
    struct engine *e = s->engine;
    arena *a = arena_new(0);
    struct engine_image *image = arena_make(a, struct engine_image);
    *image = (struct engine_image){.engine = e, .share = s, .im = im, .arena = a, .next = e->images, .wants_slot = true};
    const struct abi_image_head *h = im.head;
    image->instances = abi_image_at(&im, h->instances, struct abi_image_instance);
    image->text = im.base + h->text.offset;
    image->text_end = image->text + h->text.count;
    image->groups_count = (uint32_t)h->groups.count;
    image->groups = arena_array(a, struct engine_image_group, MAX(image->groups_count, 1));
    const struct abi_image_group *groups = abi_image_at(&im, h->groups, struct abi_image_group);
    for (uint32_t i = 0; i < image->groups_count; i++) load_group(image, &image->groups[i], &groups[i]);
    image->slot_bytes += ABI_STACK_GUARD_BYTES;
    load_memories(image);
    image->slot_mappings =
        4 + 4ull * image->groups_count + 3ull * image->memories_count; /* guard, context, content, rest; 3 of the heap */
    image->hosts_count = (uint32_t)h->hosts.count;
    image->hosts = arena_array(a, struct engine_host, MAX(image->hosts_count, 1));
    const struct abi_image_host *hosts = abi_image_at(&im, h->hosts, struct abi_image_host);
    for (uint32_t i = 0; i < image->hosts_count; i++)
        image->hosts[i] = (struct engine_host){
            .fn = unbound, .slots = MAX(MAX(hosts[i].arg_slots, hosts[i].result_slots), 1), .caller = hosts[i].instance};
    e->images = image;
    s->images++;
    engine_texts_publish(e);
    uint64_t bytes = engine_image_bytes(image);
    if (engine_pay(s, bytes)) {
        image->paid_bytes = bytes;
        return image;
    }
    engine_image_unload(image);
    return NULL;
}

void engine_image_unload(struct engine_image *image) {
    struct engine *e = image->engine;
    ENSURE(!image->alive);
    engine_clean_forget(image);
    while (image->free_count) engine_slot_free(image->free[--image->free_count]);
    free(image->free);
    engine_unpay(image->share, image->paid_bytes);
    image->share->images--;
    struct engine_image **at = &e->images;
    while (*at != image) at = &(*at)->next;
    *at = image->next;
    engine_texts_publish(e);
    engine_unwind_forget(e);
    for (uint32_t i = 0; i < image->groups_count; i++) {
        struct engine_image_group *g = &image->groups[i];
        if (g->context_bytes <= ENGINE_WHOLE_CONTEXT) continue;
        munmap((void *)(uintptr_t)g->template, g->context_bytes);
        if (g->fd >= 0) close(g->fd);
    }
    abi_image_close(&image->im);
    arena_free(image->arena);
}

uint32_t engine_image_alive(const struct engine_image *image) { return image->alive; }

void engine_image_limit(struct engine_image *image, uint64_t memory_bytes_max) { image->memory_bytes_max = memory_bytes_max; }
uint64_t engine_image_bytes(const struct engine_image *image) {
    uint64_t bytes = image->im.size + arena_bytes(image->arena);
    for (uint32_t i = 0; i < image->groups_count; i++)
        if (!image->groups[i].whole) bytes += image->groups[i].context_bytes;
    return bytes;
}

struct engine_share *engine_image_share(const struct engine_image *image) {
    return image->share;
}
uint64_t engine_image_initial_bytes(const struct engine_image *image) { return image->initial_bytes; }

const struct abi_image *engine_image_abi(const struct engine_image *image) { return &image->im; }

void engine_image_bind(struct engine_image *image, uint32_t host_index, engine_host_fn fn, void *data) {
    ENSURE(host_index < image->hosts_count);
    image->hosts[host_index].fn = fn;
    image->hosts[host_index].data = data;
}

/* ---- exports ---- */

static const struct abi_image_export *find_export(const struct engine_image *image, uint32_t instance, str name,
                                                  enum wasm_extern kind) {
    const struct abi_image *im = &image->im;
    const struct abi_image_export *x = abi_image_at(im, im->head->exports, struct abi_image_export);
    for (uint64_t i = 0; i < im->head->exports.count; i++)
        if (x[i].instance == instance && x[i].kind == (uint32_t)kind && str_eq(abi_image_str(im, x[i].name), name)) return &x[i];
    return NULL;
}

const struct abi_func *engine_export_func(struct engine_image *image, uint32_t instance, str name) {
    const struct abi_image_export *x = find_export(image, instance, name, WASM_EXTERN_FUNC);
    return x ? &image->im.funcs[x->index] : NULL;
}

bool engine_export_memory(struct engine_image *image, uint32_t instance, str name, uint32_t *index) {
    const struct abi_image_export *x = find_export(image, instance, name, WASM_EXTERN_MEMORY);
    if (x) *index = x->index;
    return x;
}

uint64_t *engine_export_global(struct engine_instance *in, uint32_t instance, str name) {
    const struct engine_image *image = in->image;
    const struct abi_image_export *x = find_export(image, instance, name, WASM_EXTERN_GLOBAL);
    if (!x) return NULL;
    const struct abi_image_instance *ai = &image->instances[instance];
    const struct abi_layout_global *g = abi_image_at(&image->im, ai->globals, struct abi_layout_global) + x->index;
    uint8_t *at = in->groups[ai->group].gs + g->offset;
    return g->far ? *(uint64_t **)(void *)at : (uint64_t *)(void *)at;
}

struct engine_bytes engine_memory(struct engine_instance *in, uint32_t instance, uint32_t index) {
    struct abi_memory *m = engine_find_memory(in, instance, index);
    return (struct engine_bytes){m->base, m->bytes};
}

struct abi_memory *engine_memory_record(struct engine_instance *in, uint32_t instance, uint32_t index) {
    return engine_find_memory(in, instance, index);
}

struct abi_table *engine_table_record(struct engine_instance *in, uint32_t instance, uint32_t table, struct abi_table *fixed) {
    return engine_find_table(in, instance, table, fixed);
}

uint64_t engine_table_get(struct engine_instance *in, uint32_t instance, uint32_t table, uint64_t i) {
    struct abi_table fixed;
    const struct abi_table *t = engine_find_table(in, instance, table, &fixed);
    return i < t->count ? t->elements[i] : 0;
}
