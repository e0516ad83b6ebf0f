/* testguest: see testguest.h. */
#include "engine/testguest.h"
#include "base/base.h"
#include <sys/mman.h>
#include <unistd.h>

extern const uint8_t testguest_text[], testguest_end[], testguest_entry[];
#define X(name) extern const uint8_t testguest_##name[];
TESTGUEST_FUNCS
#undef X

static const uint8_t *const starts[] = {
#define X(name) testguest_##name,
    TESTGUEST_FUNCS
#undef X
        testguest_end};

#define SITES                                                                                                                    \
    X(load, load_site, MEMORY)                                                                                                   \
    X(store, store_site, MEMORY)                                                                                                 \
    X(fill, fill_site, MEMORY)                                                                                                   \
    X(divide, divide_site, DIVIDE)                                                                                               \
    X(unreachable, unreachable_ret, TRAP)                                                                                        \
    X(outer, outer_ret, CALL)                                                                                                    \
    X(null, null_site, INDIRECT)                                                                                                 \
    X(null, null_ret, CALL)                                                                                                      \
    X(recurse, recurse_ret, CALL)                                                                                                \
    X(frames, frames_ret, CALL)                                                                                                  \
    X(host0, host0_ret, CALL)                                                                                                    \
    X(deep, deep_ret, CALL)                                                                                                      \
    X(rt, rt_ret, CALL)                                                                                                          \
    X(far, far_ret, CALL)                                                                                                        \
    X(stand, stand_ret, CALL)                                                                                                    \
    X(far_recurse, far_recurse_ret, CALL)
#define X(func, label, kind) extern const uint8_t testguest_##label[];
SITES
#undef X

uint8_t testguest_content(uint64_t i) { return (uint8_t)((i * 7 + i / 4096) | 1); }

static struct abi_span add_str(struct abi_image_writer *w, const char *s) { return abi_image_add(w, s, strlen(s), 1, 1); }

/* One text, listed once a group; the sites' wasm offsets are 100 * function + their place. */
static void add_codes(struct abi_image_writer *w, uint32_t groups) {
    static const char *const names[] = {
#define X(name) #name,
        TESTGUEST_FUNCS
#undef X
    };
    struct buf sites = {0};
    struct abi_image_code *codes = arena_array(w->arena, struct abi_image_code, GUEST_COUNT * groups);
    for (uint32_t g = 0; g < groups; g++)
        for (uint32_t f = 0; f < GUEST_COUNT; f++) {
            struct abi_image_code *c = &codes[g * GUEST_COUNT + f];
            *c = (struct abi_image_code){.start = (uint32_t)(starts[f] - testguest_text) +
                                                  g * (uint32_t)(testguest_end - testguest_text),
                                         .size = (uint32_t)(starts[f + 1] - starts[f]),
                                         .instance = g,
                                         .func_index = f,
                                         .sites = (uint32_t)sites.n,
                                         .name = add_str(w, names[f])};
            struct abi_sites_writer sw = {0};
            uint32_t n = 0;
#define X(func, label, site)                                                                                                     \
    if (GUEST_##func == f)                                                                                                       \
        abi_sites_put(&sites, &sw,                                                                                               \
                      (struct abi_site){(uint32_t)(testguest_##label - starts[f]), 100 * f + n++, ABI_SITE_##site, 0, 0});
            SITES
#undef X
            abi_sites_end(&sites, c->sites);
        }
    w->head.codes = abi_image_add(w, codes, GUEST_COUNT * groups, sizeof *codes, 8);
    uint8_t *copy = arena_alloc(w->arena, sites.n, 1);
    memcpy(copy, sites.p, sites.n);
    w->head.sites = abi_image_add(w, copy, sites.n, 1, 1);
    buf_free(&sites);
}

static void add_instance(struct abi_image_writer *w, const struct testguest *g, struct abi_image_instance *in, uint32_t group) {
    *in = (struct abi_image_instance){.group = group, .init_func = UINT32_MAX, .dropped_offset = TESTGUEST_DROPPED};
    in->name = add_str(w, "guest");
    struct abi_image_memory *m = arena_array(w->arena, struct abi_image_memory, 2);
    m[0] = (struct abi_image_memory){.layout = {ABI_MEMORY_GS, ABI_CTX(base)}, .owner_instance = group};
    m[1] = (struct abi_image_memory){.layout = {ABI_MEMORY_NEAR, TESTGUEST_NEAR}, .owner_instance = group, .owner_index = 1};
    in->memories = abi_image_add(w, m, g->near_bytes_max && !group ? 2 : 1, sizeof *m, 8);
    struct abi_image_table *t = arena_make(w->arena, struct abi_image_table);
    *t = (struct abi_image_table){.layout = {ABI_TABLE_NEAR, TESTGUEST_TABLE, g->table_count}, .owner_instance = group};
    in->tables = abi_image_add(w, t, 1, sizeof *t, 8);
    struct abi_image_segment *s = arena_make(w->arena, struct abi_image_segment);
    s->bytes = add_str(w, "segment bytes");
    in->data = abi_image_add(w, s, 1, sizeof *s, 8);
    uint32_t *refs = arena_array(w->arena, uint32_t, 4);
    for (uint32_t i = 0; i < 4; i++) refs[i] = i ? i : 0;
    struct abi_image_elem *e = arena_make(w->arena, struct abi_image_elem);
    *e = (struct abi_image_elem){.refs = abi_image_add(w, refs, 4, sizeof *refs, 4), .count = 4};
    in->elems = abi_image_add(w, e, 1, sizeof *e, 8);
}

static void add_hosts(struct abi_image_writer *w, uint32_t n) {
    struct abi_image_host *h = arena_array(w->arena, struct abi_image_host, MAX(n, 1u));
    for (uint32_t i = 0; i < n; i++) {
        str name = arena_fmt(w->arena, "%u", i);
        h[i] = (struct abi_image_host){
            .module = add_str(w, "test"), .name = abi_image_add(w, name.p, name.n, 1, 1), .arg_slots = 2, .result_slots = 1};
    }
    w->head.hosts = abi_image_add(w, h, n, sizeof *h, 8);
}

static void add_exports(struct abi_image_writer *w) {
    struct abi_image_export *x = arena_array(w->arena, struct abi_image_export, 2);
    x[0] = (struct abi_image_export){.name = add_str(w, "load"), .kind = WASM_EXTERN_FUNC, .index = GUEST_load};
    x[1] = (struct abi_image_export){.name = add_str(w, "memory"), .kind = WASM_EXTERN_MEMORY};
    w->head.exports = abi_image_add(w, x, 2, sizeof *x, 8);
}

static void put_word(uint8_t *context, uint64_t bytes, int32_t at, uint64_t v) { memcpy(context + bytes + at, &v, 8); }

static uint8_t *make_context(struct abi_image_writer *w, const struct testguest *g, uint64_t bytes) {
    uint8_t *c = arena_alloc(w->arena, bytes, 16);
    put_word(c, bytes, TESTGUEST_GLOBAL, 0x1111);
    put_word(c, bytes, TESTGUEST_TABLE + 8, g->table_count);
    put_word(c, bytes, TESTGUEST_TABLE + 16, UINT32_MAX);
    put_word(c, bytes, TESTGUEST_NEAR + 8, g->near_bytes);
    put_word(c, bytes, TESTGUEST_NEAR + 16, g->near_bytes_max);
    return c;
}

static struct abi_span add_relocs(struct abi_image_writer *w, const struct testguest *g, uint64_t bytes, uint32_t group,
                                  uint32_t groups) {
    struct abi_context_reloc *r = arena_array(w->arena, struct abi_context_reloc, g->table_count + 2);
    uint32_t n = 0;
    r[n++] =
        (struct abi_context_reloc){.at = TESTGUEST_TABLE, .kind = ABI_CONTEXT_GROUP, .target = group, .addend = -(int32_t)bytes};
    if (groups > 1) r[n++] = (struct abi_context_reloc){.at = TESTGUEST_FAR, .kind = ABI_CONTEXT_GROUP, .target = groups - 1};
    for (uint32_t i = 0; i < g->table_count; i += 3)
        r[n++] = (struct abi_context_reloc){
            .at = (int32_t)(8 * i) - (int32_t)bytes, .kind = ABI_CONTEXT_FUNC, .target = i % GUEST_COUNT};
    return abi_image_add(w, r, n, sizeof *r, 8);
}

static void add_text(struct abi_image_writer *w, const struct testguest *g, uint32_t groups) {
    size_t n = (size_t)(testguest_end - testguest_text);
    abi_image_begin(w, ABI_SECTION_TEXT, ".text");
    for (uint32_t i = 0; i < groups; i++) {
        struct abi_span s = abi_image_add(w, testguest_text, n, 1, 16);
        if (!i) w->head.text = s;
    }
    w->head.text.count = n * groups;
    abi_image_begin(w, ABI_SECTION_RELRO, ".data.rel.ro");
    struct abi_func *f = arena_array(w->arena, struct abi_func, GUEST_COUNT * groups);
    for (uint32_t i = 0; i < GUEST_COUNT * groups; i++) {
        uint64_t text = w->head.text.offset + i / GUEST_COUNT * n;
        f[i] = (struct abi_func){.code = (void *)(uintptr_t)(text + (uint64_t)(starts[i % GUEST_COUNT] - testguest_text)),
                                 .entry = (void *)(uintptr_t)(text + (uint64_t)(testguest_entry - testguest_text)),
                                 .group = g->group_base + i / GUEST_COUNT,
                                 .instance = i / GUEST_COUNT,
                                 .func_index = i % GUEST_COUNT};
    }
    w->head.funcs = abi_image_add(w, f, GUEST_COUNT * groups, sizeof *f, 8);
}

struct abi_image testguest_image(const struct testguest *g) {
    ENSURE((testguest_end - testguest_text) % 16 == 0);
    arena *a = arena_new(0);
    struct abi_image_writer w;
    abi_image_writer_init(&w, a);
    w.head.group_base = g->group_base;
    uint32_t groups = g->groups ? g->groups : 1;
    uint64_t context_bytes = g->context_bytes ? g->context_bytes : ABI_PAGE;
    add_codes(&w, groups);
    struct abi_image_instance *instances = arena_array(a, struct abi_image_instance, groups);
    for (uint32_t i = 0; i < groups; i++) add_instance(&w, g, &instances[i], i);
    w.head.instances = abi_image_add(&w, instances, groups, sizeof *instances, 8);
    add_hosts(&w, g->hosts);
    add_exports(&w);
    struct abi_image_group *t = arena_array(a, struct abi_image_group, groups);
    for (uint32_t i = 0; i < groups; i++)
        t[i] = (struct abi_image_group){.context_bytes = context_bytes,
                                        .hot_bytes = -TESTGUEST_DROPPED,
                                        .has_memory = g->memory_bytes_max > 0,
                                        .memory_bytes = g->memory_bytes,
                                        .memory_bytes_max = g->memory_bytes_max,
                                        .relocs = add_relocs(&w, g, context_bytes, i, groups)};
    w.head.groups = abi_image_add(&w, t, groups, sizeof *t, 8);
    add_text(&w, g, groups);
    uint8_t *content = arena_alloc(a, g->content_bytes, 1);
    for (uint64_t i = 0; i < g->content_bytes; i++) content[i] = testguest_content(i);
    for (uint32_t i = 0; i < groups; i++) {
        abi_image_begin(&w, ABI_SECTION_MAPPED, ".context");
        t[i].context = abi_image_add(&w, make_context(&w, g, context_bytes), context_bytes, 1, ABI_PAGE);
        if (!g->content_bytes) continue;
        abi_image_begin(&w, ABI_SECTION_MAPPED, ".memory");
        t[i].memory = abi_image_add(&w, content, g->content_bytes, 1, ABI_PAGE);
    }
    int fd = memfd_create("testguest", MFD_CLOEXEC);
    struct abi_image im;
    struct diag d = DIAG_INIT;
    ENSURE(abi_image_write(&w, fd, NULL, &d) == ERR_OK);
    ENSURE(abi_image_open(fd, NULL, &im, &d) == ERR_OK);
    arena_free(a);
    return im;
}

const struct abi_func *testguest_func(struct engine_image *image, uint32_t group, enum testguest_func f) {
    return abi_image_func(engine_image_abi(image), group, f);
}
