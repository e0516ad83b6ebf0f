/* testrun: runs what baseline makes, without link and engine: one core module, one instance, a minimal runtime of its own.
 *
 *   testrun [options] FILE.wasm [ARGS]   runs _start with a little of WASI preview 1
 *   testrun --spec FILE.wasm             reads calls from stdin: hex name, arguments as u64; answers "ok V…" or "trap TEXT"
 *   testrun --time N FILE.wasm           validates and compiles N times
 *   testrun --dump FILE.wasm             the machine code to stdout, of the machine that --target NAME says
 *
 * Exceptions compile, but throwing one ends the program: that takes the engine.
 *
 * --registers N  as in baseline_options     --cpu MASK  features to use     --far  as in baseline_options
 * --checked      memory, tables and globals through records (ABI_*_FAR), to test that form
 *
 * Every fault must have its site: one that has none ends the program. */
#include "baseline/baseline.h"
#include "baseline/testrun_machine.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { CONTEXT_BYTES = 8 << 20, FRAME_BYTES = 2 << 20, GUARD = 64 << 10, NATIVE_BYTES = 1 << 20 };

static struct wasm_module m;
static struct abi_object object;
static struct abi_layout layout;
static uint8_t *gs, *text, *frame_stack;
static struct abi_func *records;
static struct abi_table *tables;
static struct abi_memory *memories;
static uint64_t **elems;
static uint8_t *elem_dropped, *data_dropped;
static bool checked;
static sigjmp_buf trap_to;
static char **guest_args;
static int guest_args_n;

static void die(const char *what) {
    fprintf(stderr, "testrun: %s\n", what);
    exit(3);
}

static struct abi_memory *memory(uint32_t i) {
    static struct abi_memory m0;
    if (layout.memories[i].where != ABI_MEMORY_GS) return &memories[i];
    m0 = (struct abi_memory){gs, abi_ctx_of(gs)->memory_bytes, m.memories[i].limits.max};
    return &m0;
}

/* ---- runtime calls ---- */

__attribute__((noreturn)) static void raise_trap(enum abi_trap t) { siglongjmp(trap_to, (int)t + 1); }
static bool outside(uint64_t at, uint64_t n, uint64_t size) { return n > size || at > size - n; }

static uint64_t grow_memory(uint32_t i, uint64_t delta) {
    struct abi_memory *mem = memory(i);
    uint64_t pages = mem->bytes / 65536, max = MIN(m.memories[i].limits.max, (uint64_t)65536);
    if (delta > max || pages + delta > max) return UINT64_MAX;
    if (delta && mprotect(mem->base + mem->bytes, delta * 65536, PROT_READ | PROT_WRITE)) return UINT64_MAX;
    mem->bytes += delta * 65536;
    if (layout.memories[i].where == ABI_MEMORY_GS) abi_ctx_of(gs)->memory_bytes = mem->bytes;
    return pages;
}

static uint64_t grow_table(uint32_t i, uint64_t ref, uint64_t n) {
    struct abi_table *t = &tables[i];
    if (n > t->max || t->count + n > t->max) return UINT64_MAX;
    uint64_t old = t->count;
    for (uint64_t k = 0; k < n; k++) t->elements[old + k] = ref;
    t->count += n;
    return old;
}

static uint64_t do_rt(uint64_t *a, uint32_t rt) {
    struct abi_memory *mem, from;
    struct abi_table *t;
    switch ((enum abi_rtcall)rt) {
    case ABI_RT_MEMORY_GROW: return a[0] = grow_memory((uint32_t)a[1], a[2]);
    case ABI_RT_MEMORY_COPY:
        from = *memory((uint32_t)a[2]);
        mem = memory((uint32_t)a[1]);
        if (outside(a[3], a[5], mem->bytes) || outside(a[4], a[5], from.bytes)) raise_trap(ABI_TRAP_MEMORY_OUT_OF_BOUNDS);
        memmove(mem->base + a[3], from.base + a[4], a[5]);
        return 0;
    case ABI_RT_MEMORY_FILL:
        mem = memory((uint32_t)a[1]);
        if (outside(a[2], a[4], mem->bytes)) raise_trap(ABI_TRAP_MEMORY_OUT_OF_BOUNDS);
        memset(mem->base + a[2], (uint8_t)a[3], a[4]);
        return 0;
    case ABI_RT_MEMORY_INIT: {
        mem = memory((uint32_t)a[1]);
        str s = data_dropped[a[2]] ? (str){0} : m.datas[a[2]].bytes;
        if (outside(a[3], a[5], mem->bytes) || outside(a[4], a[5], s.n)) raise_trap(ABI_TRAP_MEMORY_OUT_OF_BOUNDS);
        if (a[5]) memcpy(mem->base + a[3], s.p + a[4], a[5]);
        return 0;
    }
    case ABI_RT_DATA_DROP: data_dropped[a[1]] = 1; return 0;
    case ABI_RT_TABLE_GROW: return a[0] = grow_table((uint32_t)a[1], a[2], a[3]);
    case ABI_RT_TABLE_FILL:
        t = &tables[a[1]];
        if (outside(a[2], a[4], t->count)) raise_trap(ABI_TRAP_TABLE_OUT_OF_BOUNDS);
        for (uint64_t i = 0; i < a[4]; i++) t->elements[a[2] + i] = a[3];
        return 0;
    case ABI_RT_TABLE_COPY:
        t = &tables[a[1]];
        if (outside(a[3], a[5], t->count) || outside(a[4], a[5], tables[a[2]].count)) raise_trap(ABI_TRAP_TABLE_OUT_OF_BOUNDS);
        memmove(t->elements + a[3], tables[a[2]].elements + a[4], a[5] * 8);
        return 0;
    case ABI_RT_TABLE_INIT: {
        t = &tables[a[1]];
        uint64_t n = elem_dropped[a[2]] ? 0 : m.elems[a[2]].count;
        if (outside(a[3], a[5], t->count) || outside(a[4], a[5], n)) raise_trap(ABI_TRAP_TABLE_OUT_OF_BOUNDS);
        for (uint64_t i = 0; i < a[5]; i++) t->elements[a[3] + i] = elems[a[2]][a[4] + i];
        return 0;
    }
    case ABI_RT_ELEM_DROP: elem_dropped[a[1]] = 1; return 0;
    case ABI_RT_ELEM_SET: elems[a[1]][a[2]] = a[3]; return 0;
    default: die("runtime call");
    }
    return 0;
}

/* ---- a little of preview 1 ---- */

static uint32_t u32_at(uint64_t at) {
    uint32_t v;
    memcpy(&v, gs + at, 4);
    return v;
}
static void put_u32(uint64_t at, uint32_t v) { memcpy(gs + at, &v, 4); }

static uint32_t fd_write(uint64_t *a) {
    uint32_t total = 0;
    for (uint64_t i = 0; i < (uint32_t)a[2]; i++) {
        uint32_t p = u32_at(a[1] + 8 * i), n = u32_at(a[1] + 8 * i + 4);
        ssize_t k = n ? write((int)a[0], gs + p, n) : 0;
        if (k < 0) return 8;
        total += (uint32_t)k;
    }
    put_u32(a[3], total);
    return 0;
}

static uint32_t fd_read(uint64_t *a) {
    if (a[0] != 0) return 8;
    uint32_t p = u32_at(a[1]), n = u32_at(a[1] + 4);
    ssize_t k = read(0, gs + p, n);
    put_u32(a[3], k < 0 ? 0 : (uint32_t)k);
    return k < 0 ? 29 : 0;
}

static uint32_t args_get(uint64_t *a) {
    uint64_t p = a[1];
    for (int i = 0; i < guest_args_n; i++) {
        put_u32(a[0] + 4 * (uint64_t)i, (uint32_t)p);
        size_t n = strlen(guest_args[i]) + 1;
        memcpy(gs + p, guest_args[i], n);
        p += n;
    }
    return 0;
}

static uint64_t wasi(str name, uint64_t *a) {
    if (str_eqc(name, "fd_write")) return fd_write(a);
    if (str_eqc(name, "fd_read")) return fd_read(a);
    if (str_eqc(name, "proc_exit")) exit((int)a[0]);
    if (str_eqc(name, "args_get")) return args_get(a);
    if (str_eqc(name, "args_sizes_get")) {
        uint32_t n = 0;
        for (int i = 0; i < guest_args_n; i++) n += (uint32_t)strlen(guest_args[i]) + 1;
        put_u32(a[0], (uint32_t)guest_args_n), put_u32(a[1], n);
        return 0;
    }
    if (str_eqc(name, "environ_sizes_get")) {
        put_u32(a[0], 0), put_u32(a[1], 0);
        return 0;
    }
    if (str_eqc(name, "environ_get")) return 0;
    if (str_eqc(name, "clock_time_get")) {
        struct timespec t;
        clock_gettime(a[0] == 1 ? CLOCK_MONOTONIC : CLOCK_REALTIME, &t);
        uint64_t ns = (uint64_t)t.tv_sec * 1'000'000'000 + (uint64_t)t.tv_nsec;
        memcpy(gs + a[2], &ns, 8);
        return 0;
    }
    if (str_eqc(name, "fd_fdstat_get")) {
        if (a[0] > 2) return 8;
        memset(gs + a[1], 0, 24);
        gs[a[1]] = 2;
        return 0;
    }
    return str_starts(name, STR("fd_")) ? 8 : 52;
}

static uint64_t do_host(uint64_t *a, uint32_t index) {
    for (uint32_t i = 0; i < m.imports_count; i++) {
        const struct wasm_import *im = &m.imports[i];
        if (im->kind != WASM_EXTERN_FUNC || im->index != index) continue;
        if (str_starts(im->module, STR("wasi_"))) a[0] = wasi(im->name, a);
        return a[0];
    }
    return 0;
}

/* ---- what the stubs call ---- */

uint64_t testrun_rt_synced(uint64_t *a, uint32_t rt);
uint64_t testrun_host(uint64_t *a, uint32_t i);
void testrun_trap(uint32_t t);
__attribute__((used)) uint64_t testrun_host(uint64_t *a, uint32_t i) { return do_host(a, i); }
__attribute__((used)) void testrun_trap(uint32_t t) { raise_trap((enum abi_trap)t); }

static void on_signal(int sig, siginfo_t *info, void *uc) {
    ucontext_t *u = uc;
    uint64_t pc = context_pc(u), at = (uint64_t)info->si_addr;
    bool guest = pc - (uint64_t)text < object.text.n;
    uint64_t frames_end = (uint64_t)frame_stack + FRAME_BYTES;
    if (guest && sig == SIGSEGV && at - frames_end < GUARD) raise_trap(ABI_TRAP_STACK_OVERFLOW);
    uint64_t sp = context_sp(u);
    if (guest && sig == SIGSEGV && at - (sp - 256) < 512) raise_trap(ABI_TRAP_STACK_OVERFLOW);
    struct abi_site s = {0};
    if (guest) {
        for (uint32_t i = 0; i < m.funcs_count + 1; i++) {
            const struct abi_object_func *f = &object.funcs[i];
            if (pc - (uint64_t)text - f->start < f->size &&
                abi_sites_find(object.sites.p + f->sites, (uint32_t)(pc - (uint64_t)text) - f->start, &s)) {
                if (s.kind == ABI_SITE_MEMORY) raise_trap(ABI_TRAP_MEMORY_OUT_OF_BOUNDS);
                if (s.kind == ABI_SITE_INDIRECT) raise_trap(ABI_TRAP_INDIRECT_NULL);
                if (s.kind == ABI_SITE_NULL) raise_trap(ABI_TRAP_NULL_REFERENCE);
                if (s.kind == ABI_SITE_DIVIDE && sig == SIGFPE) raise_trap(ABI_TRAP_INTEGER_OVERFLOW);
            }
        }
    }
    fprintf(stderr, "testrun: signal %d at text+%#lx, address %#lx: no site\n", sig, (long)(pc - (uint64_t)text), (long)at);
    _exit(4);
}

/* ---- layout and instantiation ---- */

static int32_t context_at;
static int32_t context_take(uint32_t bytes) {
    context_at -= (int32_t)align_up(bytes, 8);
    if (-context_at > CONTEXT_BYTES) die("context too large");
    return context_at;
}

static void lay_out(arena *a) {
    context_at = -(int32_t)sizeof(struct abi_ctx);
    struct abi_layout_func *funcs = arena_array(a, struct abi_layout_func, m.funcs_imported + 1);
    for (uint32_t i = 0; i < m.funcs_imported; i++) funcs[i] = (struct abi_layout_func){.where = ABI_FUNC_HOST, .host_index = i};
    struct abi_layout_global *globals = arena_array(a, struct abi_layout_global, m.globals_count + 1);
    for (uint32_t i = 0; i < m.globals_count; i++)
        globals[i] = (struct abi_layout_global){.far = checked,
                                                .offset = context_take(m.globals[i].type == WASM_V128 || checked ? 16 : 8)};
    struct abi_layout_memory *mems = arena_array(a, struct abi_layout_memory, m.memories_count + 1);
    for (uint32_t i = 0; i < m.memories_count; i++)
        if (i || checked || m.memories[i].limits.is64)
            mems[i] =
                (struct abi_layout_memory){i & 1 ? ABI_MEMORY_NEAR : ABI_MEMORY_FAR, context_take(sizeof(struct abi_memory))};
    struct abi_layout_table *tabs = arena_array(a, struct abi_layout_table, m.tables_count + 1);
    for (uint32_t i = 0; i < m.tables_count; i++) {
        const struct wasm_limits *l = &m.tables[i].limits;
        if (!checked && l->has_max && l->max == l->min && l->min < 10000)
            tabs[i] = (struct abi_layout_table){ABI_TABLE_FIXED, context_take((uint32_t)l->min * 8), (uint32_t)l->min};
        else
            tabs[i] =
                (struct abi_layout_table){checked ? ABI_TABLE_FAR : ABI_TABLE_NEAR, context_take(sizeof(struct abi_table)), 0};
    }
    uint32_t *tags = arena_array(a, uint32_t, m.tags_count + 1);
    for (uint32_t i = 0; i < m.tags_count; i++) tags[i] = i;
    layout = (struct abi_layout){.module = &m,
                                 .funcs = funcs,
                                 .memories = mems,
                                 .tables = tabs,
                                 .globals = globals,
                                 .type_ids = m.type_ids,
                                 .tag_ids = tags,
                                 .unwind = m.tags_count};
}

static void leb(struct buf *b, int64_t v) {
    for (;;) {
        uint8_t byte = v & 0x7f;
        v >>= 7;
        bool done = (v == 0 && !(byte & 0x40)) || (v == -1 && byte & 0x40);
        buf_putc(b, done ? byte : byte | 0x80);
        if (done) return;
    }
}
static void uleb(struct buf *b, uint32_t v) {
    for (; v >= 0x80; v >>= 7) buf_putc(b, (uint8_t)(v | 0x80));
    buf_putc(b, (uint8_t)v);
}
static void expr(struct buf *b, wasm_expr e) { buf_put(b, e.p, e.n - 1); }

/* The instantiation as wasm (§4.7.2). */
static void init_code(struct buf *b) {
    for (uint32_t i = m.globals_imported; i < m.globals_count; i++) {
        expr(b, m.globals[i].init);
        buf_putc(b, 0x24), uleb(b, i);
    }
    for (uint32_t i = 0; i < m.tables_count; i++) {
        if (!m.tables[i].init.n) continue;
        bool is64 = m.tables[i].limits.is64;
        buf_putc(b, is64 ? 0x42 : 0x41), leb(b, 0);
        expr(b, m.tables[i].init);
        buf_putc(b, is64 ? 0x42 : 0x41), leb(b, (int64_t)m.tables[i].limits.min);
        buf_putc(b, 0xfc), buf_putc(b, 17), uleb(b, i);
    }
    for (uint32_t i = 0; i < m.elems_count; i++) {
        for (uint32_t k = 0; k < m.elems[i].count; k++) {
            if (m.elems[i].funcs) buf_putc(b, 0xd2), uleb(b, m.elems[i].funcs[k]);
            else expr(b, m.elems[i].exprs[k]);
            buf_putc(b, 0xf0), uleb(b, i), uleb(b, k);
        }
        if (m.elems[i].mode == WASM_SEGMENT_ACTIVE) {
            expr(b, m.elems[i].offset);
            buf_putc(b, 0x41), leb(b, 0), buf_putc(b, 0x41), leb(b, m.elems[i].count);
            buf_putc(b, 0xfc), buf_putc(b, 12), uleb(b, i), uleb(b, m.elems[i].table);
        }
        if (m.elems[i].mode != WASM_SEGMENT_PASSIVE) buf_putc(b, 0xfc), buf_putc(b, 13), uleb(b, i);
    }
    for (uint32_t i = 0; i < m.datas_count; i++) {
        if (m.datas[i].mode != WASM_SEGMENT_ACTIVE) continue;
        expr(b, m.datas[i].offset);
        buf_putc(b, 0x41), leb(b, 0), buf_putc(b, 0x41), leb(b, (int32_t)m.datas[i].bytes.n);
        buf_putc(b, 0xfc), buf_putc(b, 8), uleb(b, i), uleb(b, m.datas[i].memory);
        buf_putc(b, 0xfc), buf_putc(b, 9), uleb(b, i);
    }
    if (m.start != WASM_NO_INDEX) buf_putc(b, 0x10), uleb(b, m.start);
    buf_putc(b, 0x0b);
}

static uint8_t *reserve(size_t n) {
    uint8_t *p = mmap(NULL, n, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) die("mmap");
    return p;
}
static void open_up(uint8_t *p, size_t n) {
    if (n && mprotect(p, n, PROT_READ | PROT_WRITE)) die("mprotect");
}

static void make_memories(arena *a) {
    gs = reserve(CONTEXT_BYTES + ABI_MEMORY_RESERVE) + CONTEXT_BYTES;
    open_up(gs - CONTEXT_BYTES, CONTEXT_BYTES);
    memories = arena_array(a, struct abi_memory, m.memories_count + 1);
    for (uint32_t i = 0; i < m.memories_count; i++) {
        uint64_t bytes = m.memories[i].limits.min * 65536;
        if (layout.memories[i].where == ABI_MEMORY_GS) {
            open_up(gs, bytes);
            abi_ctx_of(gs)->memory_bytes = bytes;
            abi_ctx_of(gs)->base = gs;
        } else {
            memories[i] = (struct abi_memory){reserve(ABI_MEMORY_RESERVE), bytes, 0};
            open_up(memories[i].base, bytes);
            struct abi_memory *p = &memories[i];
            memcpy(gs + layout.memories[i].offset, layout.memories[i].where == ABI_MEMORY_FAR ? (void *)&p : (void *)p,
                   layout.memories[i].where == ABI_MEMORY_FAR ? 8 : sizeof *p);
        }
    }
}

static void make_tables(arena *a) {
    tables = arena_array(a, struct abi_table, m.tables_count + 1);
    for (uint32_t i = 0; i < m.tables_count; i++) {
        const struct wasm_limits *l = &m.tables[i].limits;
        const struct abi_layout_table *t = &layout.tables[i];
        uint64_t max = MIN(l->max, (uint64_t)100'000);
        uint64_t *elements =
            t->where == ABI_TABLE_FIXED ? (uint64_t *)(void *)(gs + t->offset) : arena_array(a, uint64_t, max + 1);
        tables[i] = (struct abi_table){elements, l->min, max};
        struct abi_table *p = &tables[i];
        if (t->where == ABI_TABLE_FAR) memcpy(gs + t->offset, &p, 8);
    }
    elems = arena_array(a, uint64_t *, m.elems_count + 1);
    for (uint32_t i = 0; i < m.elems_count; i++) elems[i] = arena_array(a, uint64_t, m.elems[i].count + 1);
    elem_dropped = arena_array(a, uint8_t, m.elems_count + 1);
    data_dropped = arena_array(a, uint8_t, m.datas_count + 1);
}
/* NEAR records live in the context; the runtime works on its own copies. */
static void sync_records(bool to_context) {
    for (uint32_t i = 0; i < m.tables_count; i++)
        if (layout.tables[i].where == ABI_TABLE_NEAR) {
            if (to_context) memcpy(gs + layout.tables[i].offset, &tables[i], sizeof tables[i]);
        }
    for (uint32_t i = 0; i < m.memories_count; i++)
        if (layout.memories[i].where == ABI_MEMORY_NEAR && to_context)
            memcpy(gs + layout.memories[i].offset, &memories[i], sizeof memories[i]);
}
__attribute__((used)) uint64_t testrun_rt_synced(uint64_t *a, uint32_t rt) {
    uint64_t v = do_rt(a, rt);
    sync_records(true);
    return v;
}

static void put_imported_globals(void) {
    for (uint32_t i = 0; i < m.imports_count; i++) {
        if (m.imports[i].kind != WASM_EXTERN_GLOBAL) continue;
        uint64_t v = 666;
        float f = 666.6f;
        double d = 666.6;
        if (m.globals[m.imports[i].index].type == WASM_F32) v = 0, memcpy(&v, &f, 4);
        if (m.globals[m.imports[i].index].type == WASM_F64) memcpy(&v, &d, 8);
        memcpy(gs + layout.globals[m.imports[i].index].offset, &v, 8);
    }
    if (!checked) return;
    for (uint32_t i = 0; i < m.globals_count; i++) { /* the record holds the address of the value, which we keep behind it */
        uint8_t *at = gs + layout.globals[i].offset;
        memcpy(at + 8, at, 8);
        uint8_t *value = at + 8;
        memcpy(at, &value, 8);
    }
}

static void make_records(arena *a) {
    records = arena_array(a, struct abi_func, m.funcs_count + 1);
    for (uint32_t i = 0; i < object.refs.n; i++) {
        uint32_t f = object.refs.p[i], type = m.funcs[f].type;
        records[f] = (struct abi_func){.code = text + object.funcs[f].start,
                                       .entry = text + object.entries[type],
                                       .type_id = layout.type_ids[type],
                                       .func_index = f};
    }
    records[m.funcs_count] =
        (struct abi_func){.code = text + object.funcs[m.funcs_count].start, .entry = text + object.entries[m.types_count]};
}

/* Text and records must be near each other: records lie behind the text. */
static void load_text(arena *a) {
    size_t n = align_up(object.text.n, 4096);
    text = reserve(n + (size_t)(m.funcs_count + 1) * sizeof(struct abi_func) + 4096);
    open_up(text, n + (size_t)(m.funcs_count + 1) * sizeof(struct abi_func));
    memcpy(text, object.text.p, object.text.n);
    make_records(a);
    struct abi_func *near = (struct abi_func *)(void *)(text + n);
    memcpy(near, records, (m.funcs_count + 1) * sizeof *near);
    records = near;
    for (uint32_t i = 0; i < object.relocs.n; i++) {
        const struct abi_reloc *r = &object.relocs.p[i];
        if (r->kind != ABI_RELOC_RECORD_PC32) die("relocation");
        abi_reloc_apply(ABI_MACHINE, text + r->at, (uint8_t *)&near[r->target] - (text + r->at));
    }
    __builtin___clear_cache((char *)text, (char *)text + n);
    if (mprotect(text, n, PROT_READ | PROT_EXEC)) die("mprotect");
    if (getenv("TESTRUN_BASE")) fprintf(stderr, "text %p\n", (void *)text);
}

static void set_up(arena *a) {
    make_memories(a);
    make_tables(a);
    put_imported_globals();
    sync_records(true);
    load_text(a);
    frame_stack = reserve(FRAME_BYTES + GUARD);
    open_up(frame_stack, FRAME_BYTES);
    struct abi_ctx *x = abi_ctx_of(gs);
    x->rt_call = (void *)stub_rt, x->rt_host = (void *)stub_host, x->rt_trap = (void *)stub_trap;
    x->frame_limit = (uint64_t)frame_stack + FRAME_BYTES;
    static uint8_t signal_stack[65536];
    stack_t ss = {.ss_sp = signal_stack, .ss_size = sizeof signal_stack};
    sigaltstack(&ss, NULL);
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigaction(SIGSEGV, &sa, NULL), sigaction(SIGFPE, &sa, NULL), sigaction(SIGBUS, &sa, NULL), sigaction(SIGILL, &sa, NULL);
}

static enum abi_trap call(const struct abi_func *f, uint64_t *args) {
    int t = sigsetjmp(trap_to, 1);
    if (t) return (enum abi_trap)(t - 1);
    enter(f->entry, f, args, frame_stack, gs);
    return ABI_TRAP_NONE;
}

/* ---- commands ---- */

static int run_start(void) {
    const struct wasm_export *e = wasm_export_find(&m, STR("_start"));
    if (!e || e->kind != WASM_EXTERN_FUNC) die("no _start");
    uint64_t args[8] = {0};
    enum abi_trap t = call(&records[e->index], args);
    if (t) fprintf(stderr, "trap: %s\n", abi_trap_text(t));
    return t ? 134 : 0;
}

static void print_memory_hash(void) {
    uint64_t h = 0;
    for (uint32_t i = 0; i < m.memories_count; i++) {
        struct abi_memory *mem = memory(i);
        h = h * 31 + str_hash((str){mem->base, mem->bytes});
    }
    printf("memory %lx\n", (unsigned long)h);
}

static int run_spec(bool memory_hash) {
    static char line[65536];
    while (fgets(line, sizeof line, stdin)) {
        uint8_t name[2048];
        size_t n = 0;
        char *p = line;
        for (unsigned byte; *p && *p != ' ' && *p != '\n'; p += 2) sscanf(p, "%2x", &byte), name[n++] = (uint8_t)byte;
        const struct wasm_export *e = wasm_export_find(&m, (str){name, n});
        if (!e || (e->kind != WASM_EXTERN_FUNC && e->kind != WASM_EXTERN_GLOBAL)) {
            puts("noexport");
            continue;
        }
        uint64_t args[2048] = {0};
        if (e->kind == WASM_EXTERN_GLOBAL) {
            memcpy(args, gs + layout.globals[e->index].offset + (checked ? 8 : 0), 8);
            printf("ok %lu\n", (unsigned long)args[0]);
            continue;
        }
        for (unsigned i = 0; *p == ' '; i++) args[i] = strtoull(p, &p, 10);
        enum abi_trap t = call(&records[e->index], args);
        const struct wasm_deftype *ft = wasm_func_type(&m, e->index);
        if (t) {
            printf("trap %s\n", abi_trap_text(t));
        } else {
            printf("ok");
            for (uint32_t i = 0; i < ft->results_count; i++) printf(" %lu", (unsigned long)args[i]);
            printf("\n");
        }
        fflush(stdout);
    }
    if (memory_hash) print_memory_hash();
    return 0;
}

static str read_file(arena *a, const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) die(strerror(errno));
    fseek(f, 0, SEEK_END);
    size_t n = (size_t)ftell(f);
    rewind(f);
    uint8_t *p = arena_alloc(a, n + 16, 1);
    if (fread(p, 1, n, f) != n) die("read");
    fclose(f);
    return (str){p, n};
}

static void must(err e, const struct diag *d) {
    if (!e) return;
    fprintf(stderr, "%s at %#lx: %s\n", err_text(e), (long)d->offset, d->text);
    exit(3);
}

static void compile(arena *a, const struct baseline_options *o) {
    struct diag d = DIAG_INIT;
    must(baseline_compile(&layout, o, a, &object, &d), &d);
}

/* Processor time: the machine may be shared. */
static uint64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1'000'000'000 + (uint64_t)t.tv_nsec;
}

static int time_it(const struct baseline_options *o, int rounds) {
    uint64_t best = UINT64_MAX, bodies = 0, best_validate = UINT64_MAX;
    for (uint32_t i = m.funcs_imported; i < m.funcs_count; i++) bodies += m.funcs[i].body.n;
    for (int i = 0; i < rounds; i++) {
        arena *a = arena_new(0);
        uint64_t t = cpu_ns();
        struct diag d = DIAG_INIT;
        must(wasm_validate_bodies(&m, &d), &d);
        best_validate = MIN(best_validate, cpu_ns() - t);
        t = cpu_ns();
        compile(a, o);
        best = MIN(best, cpu_ns() - t);
        if (i + 1 < rounds) baseline_object_free(&object);
        arena_free(a);
    }
    printf("%.2f MB of code: %.1f ms = %.1f MB/s (validation alone %.1f ms), %.2f bytes a byte, sites %.2f\n",
           (double)bodies / 1e6, (double)best / 1e6, (double)bodies * 1e3 / (double)best, (double)best_validate / 1e6,
           (double)object.text.n / (double)bodies, (double)object.sites.n / (double)bodies);
    return 0;
}

int main(int argc, char **argv) {
    struct baseline_options o = {0};
    bool spec = false, dump = false, memory_hash = false;
    int rounds = 0, i = 1;
    o.cpu_features = abi_cpu_features();
    if (~o.cpu_features & ABI_CPU_MINIMUM) die("this machine is too old");
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (!strcmp(argv[i], "--spec")) spec = true;
        else if (!strcmp(argv[i], "--dump")) dump = true;
        else if (!strcmp(argv[i], "--memory-hash")) memory_hash = true; /* with --spec: a last line */
        else if (!strcmp(argv[i], "--checked")) checked = true;
        else if (!strcmp(argv[i], "--far")) o.far = true;
        else if (!strcmp(argv[i], "--target") && i + 1 < argc) o.machine = abi_machine_named(argv[++i]);
        else if (!strcmp(argv[i], "--time") && i + 1 < argc) rounds = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--registers") && i + 1 < argc) o.registers = (uint32_t)atoi(argv[++i]);
        else if (!strcmp(argv[i], "--cpu") && i + 1 < argc) o.cpu_features &= strtoull(argv[++i], NULL, 0);
        else die("unknown option");
    }
    if (o.machine && o.machine != ABI_MACHINE) o.cpu_features = abi_cpu_minimum(o.machine);
    if (o.machine && o.machine != ABI_MACHINE && !dump) die("--target is for --dump");
    if (i == argc) die("usage: testrun [options] FILE.wasm [ARGS]");
    guest_args = argv + i, guest_args_n = argc - i;
    arena *a = arena_new(0);
    struct diag d = DIAG_INIT;
    must(wasm_decode(a, read_file(a, argv[i]), &m, &d), &d);
    must(wasm_validate(a, &m, NULL, &d), &d);
    lay_out(a);
    if (rounds) return time_it(&o, rounds);
    struct buf code = {0};
    init_code(&code);
    struct baseline_init init = {.code = buf_str(&code)};
    o.init = &init;
    compile(a, &o);
    if (dump) {
        for (uint32_t k = m.funcs_imported; k <= m.funcs_count; k++)
            fprintf(stderr, "f%u %x %x\n", k, object.funcs[k].start, object.funcs[k].size);
        fwrite(object.text.p, 1, object.text.n, stdout);
        return 0;
    }
    set_up(a);
    uint64_t args[8];
    enum abi_trap t = call(&records[m.funcs_count], args);
    if (t) {
        fprintf(stderr, "trap in instantiation: %s\n", abi_trap_text(t));
        if (!spec) return 134;
    }
    return spec ? run_spec(memory_hash) : run_start();
}
