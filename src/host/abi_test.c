/* Lifting and lowering over a made-up memory: random types and random values go in and come out the same;
 * random bytes are lifted or refused, never more. Handle tables against a model. A printed seed replays a
 * run: abi_test SEED. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "host/host_int.h"

static uint64_t seed, state_;
static uint64_t rnd(void) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
}
static uint32_t below(uint32_t n) { return (uint32_t)(rnd() % n); }

/* ---- a random plan of types: layouts straight from the specification's formulas --------------- */

enum { TYPES_MAX = 400, FIELDS_MAX = 4000 };
struct maker {
    struct plan plan;
    struct plan_type types[TYPES_MAX];
    struct plan_field fields[FIELDS_MAX];
    struct plan_resource resources[1];
    arena *a;
};

static void flat_push(struct plan_layout *l, uint8_t f) {
    if (l->flat_count < PLAN_FLAT_MAX) l->flat[l->flat_count] = f;
    if (l->flat_count <= PLAN_FLAT_MAX) l->flat_count++;
}
static void flat_add(struct plan_layout *l, const struct plan_layout *more) {
    for (uint32_t i = 0; i < more->flat_count; i++) flat_push(l, i < PLAN_FLAT_MAX ? more->flat[i] : 0);
}

static void lay_scalar(struct plan_type *t, uint32_t size, uint8_t flat) {
    for (int p = 0; p < 2; p++) {
        t->layout[p] = (struct plan_layout){.size = size, .align = size};
        flat_push(&t->layout[p], flat);
    }
}
static void lay_pair(struct plan_type *t) {
    for (int p = 0; p < 2; p++) {
        uint32_t word = p ? 8 : 4;
        t->layout[p] = (struct plan_layout){.size = 2 * word, .align = word};
        flat_push(&t->layout[p], p ? PLAN_I64 : PLAN_I32);
        flat_push(&t->layout[p], p ? PLAN_I64 : PLAN_I32);
    }
}
static void lay_record(struct maker *m, struct plan_type *t) {
    for (int p = 0; p < 2; p++) {
        struct plan_layout *l = &t->layout[p];
        *l = (struct plan_layout){.align = 1};
        for (uint32_t i = 0; i < t->fields_count; i++) {
            struct plan_field *f = &m->fields[t->fields_first + i];
            const struct plan_layout *fl = &m->types[f->type].layout[p];
            l->size = (uint32_t)align_up(l->size, fl->align);
            f->offset[p] = l->size;
            l->size += fl->size;
            l->align = MAX(l->align, fl->align);
            flat_add(l, fl);
        }
        l->size = (uint32_t)align_up(l->size, l->align);
    }
}
static uint8_t join(uint8_t a, uint8_t b) {
    if (a == b) return a;
    return (a == PLAN_I32 || a == PLAN_F32) && (b == PLAN_I32 || b == PLAN_F32) ? PLAN_I32 : PLAN_I64;
}
static void lay_cases(struct maker *m, struct plan_type *t, const uint32_t *cases, uint32_t n) {
    t->discriminant_size = n <= 256 ? 1 : 2;
    for (int p = 0; p < 2; p++) {
        struct plan_layout *l = &t->layout[p], payload = {};
        uint32_t align = 1, size = 0;
        for (uint32_t i = 0; i < n; i++) {
            if (cases[i] == PLAN_NONE) continue;
            const struct plan_layout *c = &m->types[cases[i]].layout[p];
            align = MAX(align, c->align);
            size = MAX(size, c->size);
            for (uint32_t k = 0; k < c->flat_count; k++) {
                uint8_t f = k < PLAN_FLAT_MAX ? c->flat[k] : PLAN_I64;
                if (k < payload.flat_count && k < PLAN_FLAT_MAX) payload.flat[k] = join(payload.flat[k], f);
                else if (k >= payload.flat_count) flat_push(&payload, f);
            }
        }
        *l = (struct plan_layout){.align = MAX(align, t->discriminant_size)};
        t->payload_offset[p] = (uint32_t)align_up(t->discriminant_size, align);
        l->size = (uint32_t)align_up(t->payload_offset[p] + size, l->align);
        flat_push(l, PLAN_I32);
        flat_add(l, &payload);
    }
}

static uint32_t new_type(struct maker *m, enum component_type_kind kind) {
    ENSURE(m->plan.types_count < TYPES_MAX);
    m->types[m->plan.types_count] =
        (struct plan_type){.kind = kind, .element = PLAN_NONE, .error = PLAN_NONE, .resource = PLAN_NONE};
    return m->plan.types_count++;
}

static void primitives(struct maker *m) {
    static const struct {
        uint32_t size;
        uint8_t flat;
    } of[] = {[COMPONENT_TYPE_BOOL] = {1, PLAN_I32}, [COMPONENT_TYPE_S8] = {1, PLAN_I32},
              [COMPONENT_TYPE_U8] = {1, PLAN_I32},   [COMPONENT_TYPE_S16] = {2, PLAN_I32},
              [COMPONENT_TYPE_U16] = {2, PLAN_I32},  [COMPONENT_TYPE_S32] = {4, PLAN_I32},
              [COMPONENT_TYPE_U32] = {4, PLAN_I32},  [COMPONENT_TYPE_S64] = {8, PLAN_I64},
              [COMPONENT_TYPE_U64] = {8, PLAN_I64},  [COMPONENT_TYPE_F32] = {4, PLAN_F32},
              [COMPONENT_TYPE_F64] = {8, PLAN_F64},  [COMPONENT_TYPE_CHAR] = {4, PLAN_I32},
              [COMPONENT_TYPE_STRING] = {0, 0},      [COMPONENT_TYPE_ERROR_CONTEXT] = {4, PLAN_I32}};
    for (uint32_t k = 0; k < COMPONENT_PRIMITIVES; k++) {
        uint32_t i = new_type(m, k);
        if (k == COMPONENT_TYPE_STRING) lay_pair(&m->types[i]);
        else lay_scalar(&m->types[i], of[k].size, of[k].flat);
    }
}

static uint32_t make_type(struct maker *m, unsigned depth, bool handles);

static uint32_t add_fields(struct maker *m, uint32_t n, unsigned depth, bool handles, bool payloads, bool optional) {
    uint32_t types[40];
    for (uint32_t i = 0; i < n; i++)
        types[i] = payloads && !(optional && below(3) == 0) ? make_type(m, depth, handles) : PLAN_NONE;
    uint32_t first = m->plan.fields_count;
    ENSURE(first + n <= FIELDS_MAX);
    for (uint32_t i = 0; i < n; i++)
        m->fields[first + i] = (struct plan_field){.name = arena_fmt(m->a, "n%u", i), .type = types[i]};
    m->plan.fields_count += n;
    return first;
}

static uint32_t make_variant(struct maker *m, unsigned depth, bool handles) {
    uint32_t n = 1 + below(5), first = add_fields(m, n, depth, handles, true, true), cases[40],
             i = new_type(m, COMPONENT_TYPE_VARIANT);
    for (uint32_t k = 0; k < n; k++) cases[k] = m->fields[first + k].type;
    m->types[i].fields_first = first, m->types[i].fields_count = n;
    lay_cases(m, &m->types[i], cases, n);
    return i;
}

static uint32_t make_type(struct maker *m, unsigned depth, bool handles) {
    static const uint32_t none[40] = {[0 ... 39] = PLAN_NONE};
    uint32_t i, e, n;
    if (depth == 0) return below(COMPONENT_TYPE_ERROR_CONTEXT);
    switch (below(handles ? 12 : 10)) {
    case 0:
        n = 1 + below(5), e = add_fields(m, n, depth - 1, handles, true, false),
        i = new_type(m, below(2) ? COMPONENT_TYPE_RECORD : COMPONENT_TYPE_TUPLE);
        m->types[i].fields_first = e, m->types[i].fields_count = n;
        lay_record(m, &m->types[i]);
        return i;
    case 1: return make_variant(m, depth - 1, handles);
    case 2:
    case 3:
        e = make_type(m, depth - 1, handles), i = new_type(m, COMPONENT_TYPE_LIST);
        m->types[i].element = e;
        lay_pair(&m->types[i]);
        return i;
    case 4:
        n = 1 + below(40), e = add_fields(m, n, 0, false, false, false), i = new_type(m, COMPONENT_TYPE_ENUM);
        m->types[i].fields_first = e, m->types[i].fields_count = n;
        lay_cases(m, &m->types[i], none, n);
        return i;
    case 5:
        n = 1 + below(32), e = add_fields(m, n, 0, false, false, false), i = new_type(m, COMPONENT_TYPE_FLAGS);
        m->types[i].fields_first = e, m->types[i].fields_count = n;
        lay_scalar(&m->types[i], n <= 8 ? 1 : n <= 16 ? 2 : 4, PLAN_I32);
        return i;
    case 6:
        e = make_type(m, depth - 1, handles), i = new_type(m, COMPONENT_TYPE_OPTION);
        m->types[i].element = e;
        lay_cases(m, &m->types[i], (uint32_t[]){PLAN_NONE, e}, 2);
        return i;
    case 7: {
        uint32_t ok = below(3) ? make_type(m, depth - 1, handles) : PLAN_NONE,
                 bad = below(3) ? make_type(m, depth - 1, handles) : PLAN_NONE;
        i = new_type(m, COMPONENT_TYPE_RESULT);
        m->types[i].element = ok, m->types[i].error = bad;
        lay_cases(m, &m->types[i], (uint32_t[]){ok, bad}, 2);
        return i;
    }
    case 8:
        e = make_type(m, depth - 1, handles), n = 1 + below(4), i = new_type(m, COMPONENT_TYPE_FIXED_LIST);
        m->types[i].element = e, m->types[i].length = n;
        for (int p = 0; p < 2; p++) {
            const struct plan_layout *el = &m->types[e].layout[p];
            m->types[i].layout[p] = (struct plan_layout){.size = n * el->size, .align = el->align};
            for (uint32_t k = 0; k < n; k++) flat_add(&m->types[i].layout[p], el);
        }
        return i;
    case 9:
        e = below(COMPONENT_TYPE_ERROR_CONTEXT), n = make_type(m, depth - 1, handles), i = new_type(m, COMPONENT_TYPE_MAP);
        m->types[i].element = e, m->types[i].error = n;
        lay_pair(&m->types[i]);
        return i;
    default:
        i = new_type(m, COMPONENT_TYPE_OWN);
        m->types[i].resource = 0;
        lay_scalar(&m->types[i], 4, PLAN_I32);
        return i;
    }
}

/* ---- random values ---------------------------------------------------------------------------- */

static size_t put_scalar_value(uint8_t *out, uint32_t kind) {
    static const uint32_t ranges[4][2] = {{0x20, 0x7f}, {0x80, 0x100}, {0x100, 0xd800}, {0xe000, 0x110000}};
    const uint32_t *r = ranges[kind];
    uint32_t u = r[0] + below(r[1] - r[0]);
    if (u < 0x80) return out[0] = (uint8_t)u, 1;
    if (u < 0x800) return out[0] = (uint8_t)(0xc0 | u >> 6), out[1] = (uint8_t)(0x80 | (u & 63)), 2;
    size_t n = u < 0x10000 ? 3 : 4;
    for (size_t k = n - 1; k; k--, u >>= 6) out[k] = (uint8_t)(0x80 | (u & 63));
    out[0] = (uint8_t)((n == 3 ? 0xe0 : 0xf0) | u);
    return n;
}

static str random_string(arena *a) {
    uint32_t n = below(4) ? below(30) : 0, kinds = 1 + below(4);
    uint8_t *p = arena_alloc(a, n * 4 + 1, 1);
    size_t at = 0;
    for (uint32_t i = 0; i < n; i++) at += put_scalar_value(p + at, below(kinds));
    return (str){p, at};
}

static uint64_t next_rep = 1, dropped, made;
static void count_drop(struct host_instance *in, void *rep) { dropped++; }
static const struct host_resource thing = {"thing", count_drop, 0};

static void random_value(arena *a, const struct host_type *t, uint8_t *out) {
    memset(out, 0, t->host_size);
    struct {
        uint8_t *p;
        size_t n;
    } list;
    uint32_t i;
    uint64_t bits = rnd();
    switch ((enum host_kind)t->kind) {
    case HOST_BOOL: *out = (uint8_t)below(2); break;
    case HOST_CHAR: i = below(2) ? below(0xd800) : 0xe000 + below(0x110000 - 0xe000), memcpy(out, &i, 4); break;
    case HOST_STRING: *(str *)(void *)out = random_string(a); break;
    case HOST_LIST:
        list.n = below(4) ? below(6) : 0;
        list.p = arena_alloc(a, list.n * t->elem->host_size + 1, 16);
        for (size_t k = 0; k < list.n; k++) random_value(a, t->elem, list.p + k * t->elem->host_size);
        memcpy(out, &list, sizeof list);
        break;
    case HOST_ARRAY:
        for (i = 0; i < t->count; i++) random_value(a, t->elem, out + i * t->elem->host_size);
        break;
    case HOST_RECORD:
        for (i = 0; i < t->count; i++) random_value(a, t->fields[i].type, out + t->fields[i].host_offset);
        break;
    case HOST_VARIANT:
    case HOST_OPTION:
    case HOST_RESULT:
        i = below(t->count), memcpy(out, &i, t->kind == HOST_VARIANT ? 4 : 1);
        if (t->fields[i].type) random_value(a, t->fields[i].type, out + t->host_payload);
        break;
    case HOST_ENUM: i = below(t->count), memcpy(out, &i, 4); break;
    case HOST_FLAGS: i = (uint32_t)bits & (t->count == 32 ? UINT32_MAX : (1u << t->count) - 1), memcpy(out, &i, 4); break;
    case HOST_OWN: made++, memcpy(out, &next_rep, 8), next_rep++; break;
    default: memcpy(out, &bits, t->host_size); break;
    }
}

/* ---- a made-up guest -------------------------------------------------------------------------- */

enum { MEMORY_BYTES = 256 << 10 };
struct guest {
    struct host_component c;
    struct host_instance in;
    struct host_ci ci;
    struct host_options o;
    uint8_t *memory;
    uint64_t top;
    struct host_call call;
};

static struct guest *guest_of(struct host_cx *cx) { return container_of(cx->in, struct guest, in); }

static enum abi_trap fake_realloc(struct host_cx *cx, const uint64_t args[4], uint64_t *ptr) {
    struct guest *g = guest_of(cx);
    uint64_t at = align_up(g->top, args[2]);
    if (at + args[3] > MEMORY_BYTES) return host_fail(cx->in, ABI_TRAP_HOST, "the test's memory is full");
    memmove(g->memory + at, g->memory + args[0], MIN(args[1], args[3]));
    g->top = at + args[3];
    *ptr = at;
    return ABI_TRAP_NONE;
}

static void guest_init(struct guest *g, uint8_t encoding, bool memory64) {
    *g = (struct guest){.memory = malloc(MEMORY_BYTES), .top = 64};
    memset(g->memory, 0xa5, 4096);
    g->c.limits = (struct host_limits){.handles_max = 1000, .call_bytes_max = 64 * MiB, .host_bytes_max = 64 * MiB};
    g->in = (struct host_instance){.component = &g->c, .cis = &g->ci};
    g->ci = (struct host_ci){.parent = PLAN_NONE, .table = {.max = 100000, .in = &g->in}};
    g->o = (struct host_options){.encoding = encoding, .memory64 = memory64};
    host_call_begin(&g->call, &g->in);
}
static struct host_cx guest_cx(struct guest *g) {
    return (struct host_cx){
        .call = &g->call, .in = &g->in, .o = &g->o, .ci = &g->ci, .mem = {g->memory, MEMORY_BYTES}, .reallocate = fake_realloc};
}
static void guest_free(struct guest *g) {
    host_call_end(&g->call);
    host_chunks_free(&g->c);
    host_table_free(&g->ci.table);
    assert_int_equal(g->in.table_bytes, 0);
    free(g->memory);
}

static struct maker *maker_new(arena *a) {
    struct maker *m = arena_make(a, struct maker);
    m->a = a;
    m->resources[0] = (struct plan_resource){.imported = true};
    m->plan = (struct plan){.types = m->types, .fields = m->fields, .resources = m->resources, .resources_count = 1};
    primitives(m);
    return m;
}

static void same(const struct host_type *t, const void *a, const void *b, const char *what) {
    if (!host_value_equal(t, a, b)) fail_msg("seed %llu: %s changed a value", (unsigned long long)seed, what);
}
static void no_trap(struct guest *g, enum abi_trap trap, const char *what) {
    if (trap) fail_msg("seed %llu: %s: %s", (unsigned long long)seed, what, g->in.text);
}

/* What was lifted says nothing of what lay there before: a case without a payload has an empty one. */
static void no_residue(const struct host_type *t, const uint8_t *p) {
    uint32_t i;
    switch ((enum host_kind)t->kind) {
    case HOST_ARRAY:
        for (i = 0; i < t->count; i++) no_residue(t->elem, p + i * t->elem->host_size);
        break;
    case HOST_RECORD:
        for (i = 0; i < t->count; i++) no_residue(t->fields[i].type, p + t->fields[i].host_offset);
        break;
    case HOST_VARIANT:
    case HOST_OPTION:
    case HOST_RESULT:
        i = t->kind == HOST_VARIANT ? *(const uint32_t *)p : *p;
        const struct host_type *payload = t->fields[i].type;
        if (payload) no_residue(payload, p + t->host_payload);
        for (uint32_t k = !t->host_payload ? t->host_size : t->host_payload + (payload ? payload->host_size : 0);
             k < t->host_size; k++)
            assert_int_equal(p[k], 0);
        break;
    default: break;
    }
}

/* Into memory and back, into core values and back, both ways of keeping pointers. */
static void round_trip(arena *a, const struct host_type *t, struct guest *g) {
    struct host_cx cx = guest_cx(g);
    cx.copy = below(2);
    uint8_t *in = arena_alloc(a, t->host_size, 16), *out = arena_alloc(a, t->host_size, 16);
    uint64_t ptr = 0;
    random_value(a, t, in);
    no_trap(g, host_allocate(&cx, t->align, t->size, "value", &ptr), "allocate");
    no_trap(g, host_store_at(&cx, t, ptr, in), "store");
    memset(out, 0xee, t->host_size);
    no_trap(g, host_load_at(&cx, t, ptr, out), "load");
    no_residue(t, out);
    same(t, in, out, "memory");
    assert_int_equal(g->ci.table.alive, 0);
    if (t->flat_count > PLAN_FLAT_MAX) return;
    uint64_t flat[PLAN_FLAT_MAX + 1] = {[PLAN_FLAT_MAX] = 0x1234}, *v = flat;
    const uint64_t *w = flat;
    random_value(a, t, in);
    no_trap(g, host_lower_flat(&cx, t, &v, in), "lower flat");
    assert_int_equal(v - flat, t->flat_count);
    for (uint32_t i = 0; i < t->flat_count; i++)
        if (t->flat[i] == PLAN_I32 || t->flat[i] == PLAN_F32) assert_int_equal(flat[i] >> 32, 0);
    memset(out, 0xee, t->host_size);
    no_trap(g, host_lift_flat(&cx, t, &w, out), "lift flat");
    no_residue(t, out);
    assert_int_equal(w - flat, t->flat_count);
    same(t, in, out, "flattening");
    assert_int_equal(flat[PLAN_FLAT_MAX], 0x1234);
}

/* Any bytes as any type: a value that can be stored again, or a trap; and no own is lost. */
static void garbage(arena *a, const struct host_type *t, struct guest *g) {
    struct host_cx cx = guest_cx(g);
    uint8_t *out = arena_alloc(a, t->host_size, 16);
    cx.mem.n = 4096;
    for (uint32_t i = 0; i < 4096; i++) g->memory[i] = below(3) ? (uint8_t)below(8) : (uint8_t)rnd();
    for (int i = 0; i < 3; i++)
        host_table_add(&g->ci.table, (struct host_handle){.type = &thing, .rep = 1, .kind = HOST_HANDLE_OWN});
    uint64_t before = dropped;
    enum abi_trap trap = host_load_at(&cx, t, align_up(below(4200), below(2) ? t->align : 1), out);
    if (trap) host_moved_drop(&g->call);
    else host_value_drop(&g->in, t, out);
    g->call.moved = NULL;
    assert_int_equal(g->ci.table.alive + (dropped - before), 3);
    host_table_clear(&g->ci.table);
}

static void with_random_types(bool handles, void (*with)(arena *, const struct host_type *, struct guest *)) {
    for (int round = 0; round < 300; round++) {
        arena *a = arena_new(0);
        struct maker *m = maker_new(a);
        uint32_t index = make_type(m, 1 + below(4), handles);
        bool ptr64 = below(4) == 0;
        const struct host_resource *const resources[1] = {&thing};
        const struct host_type *t = host_types_of_plan(a, &m->plan, resources, ptr64)[index];
        for (int i = 0; i < 10; i++) {
            struct guest g;
            guest_init(&g, (uint8_t)below(3), ptr64);
            with(a, t, &g);
            guest_free(&g);
        }
        arena_free(a);
    }
}

static void test_round_trip(void **s) { with_random_types(true, round_trip); }
static void test_garbage(void **s) { with_random_types(true, garbage); }

/* ---- strings between encodings ---------------------------------------------------------------- */

/* From each encoding to each, as between components: through a lift that keeps the encoding. */
static void test_transcode(void **s) {
    arena *a = arena_new(0);
    for (int round = 0; round < 1000; round++) {
        struct guest from, to;
        guest_init(&from, (uint8_t)below(3), false);
        guest_init(&to, (uint8_t)below(3), false);
        struct host_cx fx = guest_cx(&from), tx = guest_cx(&to);
        str in = random_string(a), kept, out;
        uint64_t p, n;
        no_trap(&from, host_lower_string(&fx, in, &p, &n), "lower");
        fx.fused = tx.fused = true;
        no_trap(&from, host_lift_string(&fx, p, n, &kept), "lift between");
        no_trap(&to, host_lower_string(&tx, kept, &p, &n), "lower between");
        tx.fused = false;
        no_trap(&to, host_lift_string(&tx, p, n, &out), "lift");
        if (!str_eq(in, out))
            fail_msg("seed %llu: a string changed from encoding %u to %u", (unsigned long long)seed, from.o.encoding,
                     to.o.encoding);
        guest_free(&from);
        guest_free(&to);
    }
    arena_free(a);
}

static void check_bytes(uint8_t encoding, const void *bytes, uint64_t units, const char *want) {
    struct guest g;
    guest_init(&g, encoding, false);
    memcpy(g.memory + 16, bytes, 32);
    struct host_cx cx = guest_cx(&g);
    str out;
    enum abi_trap trap = host_lift_string(&cx, 16, units, &out);
    if (want) {
        assert_int_equal(trap, ABI_TRAP_HOST);
        assert_non_null(strstr(g.in.text, want));
    } else {
        no_trap(&g, trap, "lift");
    }
    guest_free(&g);
}

static void test_bad_strings(void **s) {
    static const char utf8[][32] = {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\x80", "\xe2\x28\xa1", "\xc3\x28"};
    for (size_t i = 0; i < ARRAY_COUNT(utf8); i++) check_bytes(COMPONENT_UTF8, utf8[i], strlen(utf8[i]), "invalid utf-8");
    check_bytes(COMPONENT_UTF8, (char[32]){"ab\xe2\x82\xac"}, 4, "incomplete utf-8 byte sequence");
    check_bytes(COMPONENT_UTF8, (char[32]){"ab\xe2\x82\xac"}, 5, NULL);
    check_bytes(COMPONENT_UTF16, (uint16_t[16]){0xd800, 0x41}, 2, "unpaired surrogate");
    check_bytes(COMPONENT_UTF16, (uint16_t[16]){0xdc00, 0x41}, 2, "unpaired surrogate");
    check_bytes(COMPONENT_UTF16, (uint16_t[16]){0x41, 0xd800}, 2, "unpaired surrogate");
    check_bytes(COMPONENT_UTF16, (uint16_t[16]){0xd83d, 0xde00}, 2, NULL);
    check_bytes(COMPONENT_LATIN1_UTF16, (uint16_t[16]){0xdc00}, 1 | 1u << 31, "unpaired surrogate");
    check_bytes(COMPONENT_UTF8, (char[32]){""}, MEMORY_BYTES, "out of bounds");
    check_bytes(COMPONENT_UTF16, (char[32]){""}, 0x7fffffff, "out of bounds");
    check_bytes(COMPONENT_UTF8, (char[32]){""}, UINT32_MAX, "out of bounds");
}

/* ---- handle tables ---------------------------------------------------------------------------- */

static void test_table(void **s) {
    enum { MAX = 300 };
    struct host_component c = {.limits.host_bytes_max = 64 * MiB};
    struct host_instance in = {.component = &c};
    struct host_table t = {.max = MAX, .in = &in};
    uint64_t model[MAX + 2] = {0};
    uint32_t alive = 0;
    for (int step = 0; step < 100000; step++) {
        if (below(2)) {
            uint64_t rep = rnd() | 1;
            uint32_t i = host_table_add(&t, (struct host_handle){.type = &thing, .rep = rep, .kind = HOST_HANDLE_OWN});
            assert_int_equal(i == 0, alive == MAX);
            if (!i) continue;
            assert_true(i <= MAX);
            assert_int_equal(model[i], 0);
            model[i] = rep;
            alive++;
        } else {
            uint32_t i = below(MAX + 2);
            struct host_handle *h = host_table_get(&t, i);
            assert_int_equal(h != NULL, model[i] != 0);
            if (!h) continue;
            assert_int_equal(h->rep, model[i]);
            host_table_remove(&t, i);
            model[i] = 0;
            alive--;
        }
        assert_int_equal(t.alive, alive);
    }
    host_table_clear(&t);
    assert_null(host_table_get(&t, 1));
    assert_int_equal(host_table_add(&t, (struct host_handle){.type = &thing, .kind = HOST_HANDLE_OWN}), 1);
    host_table_free(&t);
}

/* Reuse order is the specification's: the last freed first. */
static void test_table_order(void **s) {
    struct host_component c = {.limits.host_bytes_max = 32 * sizeof(struct host_handle)};
    struct host_instance in = {.component = &c};
    struct host_table t = {.max = 100, .in = &in};
    const struct host_handle h = {.type = &thing, .kind = HOST_HANDLE_OWN};
    for (uint32_t i = 1; i <= 5; i++) assert_int_equal(host_table_add(&t, h), i);
    host_table_remove(&t, 2);
    host_table_remove(&t, 4);
    assert_int_equal(host_table_add(&t, h), 4);
    assert_int_equal(host_table_add(&t, h), 2);
    assert_int_equal(host_table_add(&t, h), 6);
    assert_null(host_table_get(&t, 0));
    assert_null(host_table_get(&t, UINT32_MAX));
    for (uint32_t i = 7; i < 32; i++) assert_int_equal(host_table_add(&t, h), i);
    assert_int_equal(host_table_add(&t, h), 0); /* what an instance may hold is used up */
    host_table_free(&t);
    assert_int_equal(in.table_bytes, 0);
}

/* A borrow holds its handle for the call; an own that fails to be passed on is dropped once. */
static void test_handles(void **s) {
    struct guest g;
    guest_init(&g, COMPONENT_UTF8, false);
    struct host_cx cx = guest_cx(&g);
    const struct host_type own = {
        .kind = HOST_OWN, .resource = &thing, .size = 4, .align = 4, .has_own = 1, .host_size = 8, .host_align = 8};
    const struct host_type borrow = {
        .kind = HOST_BORROW, .resource = &thing, .size = 4, .align = 4, .has_borrow = 1, .host_size = 8, .host_align = 8};
    const struct host_resource other = {"other", count_drop, 0};
    uint64_t i = host_table_add(&g.ci.table, (struct host_handle){.type = &thing, .rep = 77, .kind = HOST_HANDLE_OWN}), rep;
    const uint64_t *v = &i;
    no_trap(&g, host_lift_flat(&cx, &borrow, &v, &rep), "borrow");
    assert_int_equal(rep, 77);
    v = &i;
    assert_int_equal(host_lift_flat(&cx, &own, &v, &rep), ABI_TRAP_HOST);
    assert_string_equal(g.in.text, "cannot remove owned resource while borrowed");
    host_lends_return(&g.call);
    v = &i;
    no_trap(&g, host_lift_flat(&cx, &own, &v, &rep), "own");
    uint64_t before = dropped;
    host_moved_drop(&g.call);
    assert_int_equal(dropped - before, 1);
    v = &i;
    assert_int_equal(host_lift_flat(&cx, &own, &v, &rep), ABI_TRAP_HOST);
    assert_string_equal(g.in.text, "unknown handle index 1");
    host_table_add(&g.ci.table, (struct host_handle){.type = &other, .rep = 5, .kind = HOST_HANDLE_OWN});
    v = &i;
    assert_int_equal(host_lift_flat(&cx, &own, &v, &rep), ABI_TRAP_HOST);
    assert_non_null(strstr(g.in.text, "handle index 1 used with the wrong type"));
    host_table_free(&g.ci.table);
    g.ci.table = (struct host_table){.max = 1, .in = &g.in};
    host_table_add(&g.ci.table, (struct host_handle){.type = &other, .rep = 5, .kind = HOST_HANDLE_OWN});
    assert_int_equal(host_lower_flat(&cx, &own, &(uint64_t *){&i}, &rep), ABI_TRAP_HOST);
    assert_non_null(strstr(g.in.text, "handle table is full"));
    guest_free(&g);
}

/* Lists of lists that share their elements are small in the guest and large here: capped, not obeyed. */
static void test_amplification(void **s) {
    arena *a = arena_new(0);
    struct maker *m = maker_new(a);
    uint32_t inner = new_type(m, COMPONENT_TYPE_LIST), outer = new_type(m, COMPONENT_TYPE_LIST),
             most = new_type(m, COMPONENT_TYPE_LIST);
    m->types[inner].element = COMPONENT_TYPE_BOOL;
    m->types[outer].element = inner;
    m->types[most].element = outer;
    lay_pair(&m->types[inner]), lay_pair(&m->types[outer]), lay_pair(&m->types[most]);
    const struct host_resource *const resources[1] = {&thing};
    const struct host_type *t = host_types_of_plan(a, &m->plan, resources, false)[most];
    struct guest g;
    guest_init(&g, COMPONENT_UTF8, false);
    struct host_cx cx = guest_cx(&g);
    uint32_t pair[2] = {0, 30000};
    for (uint32_t i = 0; i < 30000; i++) memcpy(g.memory + i * 8, pair, 8);
    struct {
        void *p;
        size_t n;
    } out;
    uint64_t flat[2] = {0, 30000};
    const uint64_t *v = flat;
    assert_int_equal(host_lift_flat(&cx, t, &v, &out), ABI_TRAP_OUT_OF_MEMORY);
    guest_free(&g);
    arena_free(a);
}

/* So are strings that share their bytes: each has to be looked at. */
static void test_shared_strings(void **s) {
    arena *a = arena_new(0);
    struct maker *m = maker_new(a);
    uint32_t list = new_type(m, COMPONENT_TYPE_LIST);
    m->types[list].element = COMPONENT_TYPE_STRING;
    lay_pair(&m->types[list]);
    const struct host_resource *const resources[1] = {&thing};
    const struct host_type *t = host_types_of_plan(a, &m->plan, resources, false)[list];
    struct guest g;
    guest_init(&g, COMPONENT_UTF8, false);
    struct host_cx cx = guest_cx(&g);
    memset(g.memory, 'a', MEMORY_BYTES);
    uint32_t pair[2] = {0x10000, 0x20000};
    for (uint32_t i = 0; i < 8000; i++) memcpy(g.memory + i * 8, pair, 8);
    struct {
        void *p;
        size_t n;
    } out;
    uint64_t flat[2] = {0, 8000};
    const uint64_t *v = flat;
    assert_int_equal(host_lift_flat(&cx, t, &v, &out), ABI_TRAP_OUT_OF_MEMORY);
    guest_free(&g);
    arena_free(a);
}

int main(int argc, char **argv) {
    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : clock_wall_ns() % 1000000007;
    state_ = seed * 0x9e3779b97f4a7c15 + 1;
    printf("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),  cmocka_unit_test(test_garbage),       cmocka_unit_test(test_transcode),
        cmocka_unit_test(test_bad_strings), cmocka_unit_test(test_table),         cmocka_unit_test(test_table_order),
        cmocka_unit_test(test_handles),     cmocka_unit_test(test_amplification), cmocka_unit_test(test_shared_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
