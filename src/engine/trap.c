/* trap: from a fault or a call of rt_trap to a record and the end of the innermost engine_call.
 *
 * 1. Everything between a signal and the sigreturn is async-signal-safe: it reads images and stacks, and
 *    writes the record.
 * 2. Only faults at pcs that the image lists as sites of their kind, at addresses that fit, are a guest's.
 *    Any other fault is our own bug: it is reported and takes its default action.
 * 3. A record belongs to the trap under way until its engine_call returned (record_filled): host functions
 *    that hand on the trap of a nested call keep it.
 */
#include "engine/engine_int.h"
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum { TRAP_STACK_BYTES = 64 << 10, SIGNAL_STACK_BYTES = 128 << 10 };

__thread struct engine *engine_of_thread;

/* ---- which image ---- */

void engine_texts_publish(struct engine *e) {
    uint32_t n = 0;
    for (struct engine_image *i = e->images; i; i = i->next) n++;
    struct engine_texts *t = malloc(sizeof *t + n * sizeof t->images[0]), *old = e->texts;
    ENSURE(t);
    t->n = 0;
    for (struct engine_image *i = e->images; i; i = i->next) {
        uint32_t at = t->n++;
        for (; at && t->images[at - 1]->text > i->text; at--) t->images[at] = t->images[at - 1];
        t->images[at] = i;
    }
    __atomic_store_n(&e->texts, t, __ATOMIC_RELEASE); /* read by this thread's handlers */
    free(old);
}

struct engine_image *engine_image_of(const struct engine *e, const void *pc) {
    const struct engine_texts *t = __atomic_load_n(&e->texts, __ATOMIC_ACQUIRE);
    const uint8_t *p = pc;
    uint32_t lo = 0, hi = t ? t->n : 0;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (t->images[mid]->text <= p) lo = mid + 1;
        else hi = mid;
    }
    return lo && p < t->images[lo - 1]->text_end ? t->images[lo - 1] : NULL;
}

/* ---- backtraces ---- */

enum {
    CALL_SITES = 1 << ABI_SITE_CALL | 1 << ABI_SITE_TRAP | 1 << ABI_SITE_UNWIND,
    FAULT_SITES = 1 << ABI_SITE_MEMORY | 1 << ABI_SITE_INDIRECT | 1 << ABI_SITE_NULL | 1 << ABI_SITE_DIVIDE,
};

static void add_frame(struct engine_trap_record *r, const struct engine_image *image, const struct abi_image_code *code,
                      uint32_t wasm_offset) {
    if (r->frames_count == ENGINE_FRAMES_MAX) return;
    str module = {0};
    if (code->instance < image->im.head->instances.count)
        module = abi_image_str(&image->im, image->instances[code->instance].name);
    uint32_t n = r->frames_count++;
    r->frames[n].instance = code->instance;
    r->frames[n].func_index = code->func_index;
    r->frames[n].wasm_offset = wasm_offset;
    r->frames[n].module = module;
    r->frames[n].name = abi_image_str(&image->im, code->name);
}

static bool find_site(const struct engine_image *image, const struct abi_image_code *code, const uint8_t *pc, uint32_t kinds,
                      struct abi_site *s) {
    const uint8_t *sites = image->im.base + image->im.head->sites.offset + code->sites;
    return abi_sites_find_kind(sites, (uint32_t)(pc - image->text) - code->start, kinds, s);
}

/* A word of the stack: a frame if it is the return address of a call. */
static void try_word(struct engine *e, struct engine_trap_record *r, const uint8_t *word) {
    const struct engine_image *image = engine_image_of(e, word);
    if (!image) return;
    const struct abi_image_code *code = abi_image_find(&image->im, word - 1); /* a call may be the last instruction */
    struct abi_site s;
    if (code && find_site(image, code, word, CALL_SITES, &s)) add_frame(r, image, code, s.wasm_offset);
}

/* The function at pc itself. Where pc is a call that met the stack's guard, its site is that of the return
 * address. */
static void add_pc(struct engine *e, struct engine_trap_record *r, const uint8_t *pc) {
    const struct engine_image *image = engine_image_of(e, pc);
    const struct abi_image_code *code = image ? abi_image_find(&image->im, pc) : NULL;
    if (!code) return;
    struct abi_site s = {0};
    for (int skip = 0; skip <= 10; skip++)
        if (find_site(image, code, pc + skip, skip ? CALL_SITES | FAULT_SITES : FAULT_SITES, &s)) break;
    add_frame(r, image, code, s.wasm_offset);
}

/* At an instruction, the link register is where its function returns to, unless that has called (then it points into the function
 * itself) or has stored it (then it lies on the stack too). */
NO_ASAN static void add_link(struct engine *e, struct engine_trap_record *r, struct engine_where at) {
    const struct engine_image *image = engine_image_of(e, at.link);
    if (!image) return;
    if (at.pc) {
        const struct abi_image_code *code = abi_image_find(&image->im, at.pc);
        if (at.sp[1] == at.link || (code && code == abi_image_find(&image->im, at.link - 1))) return;
    }
    try_word(e, r, at.link);
}

/* Scans the stacks of the nested engine_calls, from sp up. Host code between them is left out. */
NO_ASAN static void backtrace(struct engine *e, struct engine_trap_record *r, const struct engine_frame *frame, void **sp) {
    for (;;) {
        for (; sp < (void **)frame->sp && r->frames_count < ENGINE_FRAMES_MAX; sp++) try_word(e, r, *sp);
        if (!frame->host || r->frames_count == ENGINE_FRAMES_MAX) return;
        sp = frame->host->sp;
        frame = frame->up;
    }
}

/* ---- records ---- */

void engine_record(struct engine_fiber *f, enum abi_trap t, struct engine_where at, uint64_t address) {
    struct engine_instance *in = f->frame->in;
    struct engine_trap_record *r = &in->record;
    if (t == ABI_TRAP_STACK_OVERFLOW) f->overflowed = true;
    if (!in->record_filled || r->trap != t) {
        r->text[0] = 0;
        r->exit_code = 0;
        r->frames_count = 0;
    }
    in->record_filled = true;
    r->trap = t;
    if (r->frames_count) return;
    r->address = address;
    if (at.pc) add_pc(f->engine, r, at.pc);
    if (at.back) try_word(f->engine, r, at.back);
    if (at.link) add_link(f->engine, r, at);
    backtrace(f->engine, r, f->frame, at.sp);
}

__attribute__((noreturn)) NO_ASAN static void raise_at(struct engine *e, enum abi_trap t, struct engine_where at) {
    struct engine_fiber *f = e->current;
    if (t <= ABI_TRAP_NONE || t >= ABI_TRAP_COUNT) t = ABI_TRAP_HOST;
    engine_record(f, t, at, UINT64_MAX);
    engine_asm_unwind(f->frame);
}
NO_ASAN void engine_raise(struct engine *e, enum abi_trap t, void **sp) { raise_at(e, t, (struct engine_where){.sp = sp}); }

NO_ASAN void engine_trap_raise(struct engine_instance *in, enum abi_trap t, void **sp, const uint8_t *at, const uint8_t *link) {
    in->engine->current->frame->in->record_filled = false;
    raise_at(in->engine, t, (struct engine_where){NULL, at, link, sp});
}

/* Starts a record whose frames are still to come. */
static struct engine_trap_record *begin(struct engine_instance *in, enum abi_trap t) {
    struct engine_fiber *f = in->engine->current;
    if (f && f->frame) in = f->frame->in;
    struct engine_trap_record *r = &in->record;
    r->trap = t;
    r->text[0] = 0;
    r->exit_code = 0;
    r->address = UINT64_MAX;
    r->frames_count = 0;
    in->record_filled = true;
    return r;
}

enum abi_trap engine_trap(struct engine_instance *in, enum abi_trap t, const char *fmt, ...) {
    struct engine_trap_record *r = begin(in, t);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->text, sizeof r->text, fmt, ap);
    va_end(ap);
    return t;
}

enum abi_trap engine_exit(struct engine_instance *in, int32_t code) {
    begin(in, ABI_TRAP_EXIT)->exit_code = code;
    return ABI_TRAP_EXIT;
}

const struct engine_trap_record *engine_last_trap(struct engine_instance *in) { return &in->record; }

/* Names are the guest's: control characters do not reach a terminal. */
static void put_name(struct buf *out, str s) {
    s.n = MIN(s.n, 200u);
    for (size_t i = 0; i < s.n; i++) buf_putc(out, s.p[i] < 0x20 || s.p[i] == 0x7f ? '?' : s.p[i]);
}

void engine_trap_print(const struct engine_trap_record *r, struct buf *out) {
    if (r->trap == ABI_TRAP_EXIT) buf_printf(out, "the guest exited with code %d\n", r->exit_code);
    else buf_printf(out, "wasm trap: %s", r->text[0] ? r->text : abi_trap_text(r->trap));
    if (r->trap != ABI_TRAP_EXIT) {
        if (r->trap == ABI_TRAP_MEMORY_OUT_OF_BOUNDS && r->address != UINT64_MAX)
            buf_printf(out, " (address 0x%llx)", (unsigned long long)r->address);
        buf_putc(out, '\n');
    }
    for (uint32_t i = 0; i < r->frames_count; i++) {
        buf_printf(out, "  %u: ", i);
        put_name(out, r->frames[i].name.n ? r->frames[i].name : STR("?"));
        buf_puts(out, STR(" ("));
        if (r->frames[i].module.n) put_name(out, r->frames[i].module);
        else buf_printf(out, "module %u", r->frames[i].instance);
        buf_printf(out, ", func %u", r->frames[i].func_index);
        if (r->frames[i].wasm_offset != UINT32_MAX) buf_printf(out, ", offset 0x%x", r->frames[i].wasm_offset); /* else made up */
        buf_puts(out, STR(")\n"));
    }
    if (r->frames_count == ENGINE_FRAMES_MAX) buf_puts(out, STR("  ...\n"));
}

/* ---- signals ---- */

static const int fault_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
static struct sigaction old_actions[ARRAY_COUNT(fault_signals)];
static int engines; /* how many; engines are made and freed by one thread at a time in the programs we have */
static __thread struct {
    int engines;
    void *stack; /* signal handlers' */
    stack_t old_stack;
} thread_signals;

static bool in_range(const uint8_t *p, const uint8_t *from, const uint8_t *to) { return p >= from && p < to; }

/* The trap that a fault in compiled code is, or NONE: not a guest's doing. */
static enum abi_trap classify(struct engine_fiber *f, int sig, const uint8_t *pc, const uint8_t *address, const uint8_t *gs) {
    const struct engine_image *image = engine_image_of(f->engine, pc);
    bool far = in_range(pc, (const uint8_t *)(uintptr_t)engine_asm_far, (const uint8_t *)(uintptr_t)engine_asm_far_end);
    if ((!image && !far) || (sig != SIGSEGV && sig != SIGFPE)) return ABI_TRAP_NONE;
    if (sig == SIGSEGV && (in_range(address, f->native_low - ABI_STACK_GUARD_BYTES, f->native_low) ||
                           in_range(address, f->frame_limit, f->frame_limit + ABI_STACK_GUARD_BYTES)))
        return ABI_TRAP_STACK_OVERFLOW;
    if (!image) return ABI_TRAP_NONE;
    const struct abi_image_code *code = abi_image_find(&image->im, pc);
    struct abi_site s;
    if (!code || !find_site(image, code, pc, FAULT_SITES, &s)) return ABI_TRAP_NONE;
    if (sig == SIGFPE) return s.kind == ABI_SITE_DIVIDE ? ABI_TRAP_INTEGER_OVERFLOW : ABI_TRAP_NONE;
    if (s.kind == ABI_SITE_MEMORY && in_range(address, gs, gs + ABI_MEMORY_RESERVE)) return ABI_TRAP_MEMORY_OUT_OF_BOUNDS;
    if (s.kind == ABI_SITE_INDIRECT && (uintptr_t)address < ABI_PAGE) return ABI_TRAP_INDIRECT_NULL;
    if (s.kind == ABI_SITE_NULL && (uintptr_t)address < ABI_PAGE) /* an array's length is read first, a struct's header never */
        return (uintptr_t)address < ABI_OBJECT_PAYLOAD ? ABI_TRAP_NULL_ARRAY : ABI_TRAP_NULL_STRUCT;
    return ABI_TRAP_NONE;
}

static size_t put_hex(char *p, const char *text, uintptr_t v) {
    size_t n = strlen(text);
    memcpy(p, text, n);
    for (int shift = 60; shift >= 0; shift -= 4) p[n++] = "0123456789abcdef"[v >> shift & 15];
    return n;
}

static void report(int sig, uintptr_t pc, uintptr_t address) {
    char line[160];
    size_t n = put_hex(line, "orlo: fatal signal 0x", (uintptr_t)sig);
    n += put_hex(line + n, " at pc 0x", pc);
    n += put_hex(line + n, " address 0x", address);
    line[n++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, n);
    (void)ignored;
}

/* Not a guest's: to whoever handled the signal before us, or the default action when the instruction is run
 * again. */
static void not_ours(int sig, siginfo_t *info, ucontext_t *uc) {
    for (size_t i = 0; i < ARRAY_COUNT(fault_signals); i++) {
        if (fault_signals[i] != sig) continue;
        const struct sigaction *old = &old_actions[i];
        if ((old->sa_flags & SA_SIGINFO) && old->sa_sigaction) {
            old->sa_sigaction(sig, info, uc);
            return;
        }
        report(sig, (uintptr_t)engine_context_pc(uc), (uintptr_t)info->si_addr);
        sigaction(sig, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        if (info->si_code <= 0) raise(sig); /* sent, not caused by an instruction */
    }
}

NO_ASAN static void on_fault(int sig, siginfo_t *info, void *context) {
    ucontext_t *uc = context;
    struct engine *e = engine_of_thread;
    struct engine_fiber *f = e ? e->current : NULL;
    struct engine_where at = {engine_context_pc(uc), NULL, engine_context_link(uc), engine_context_sp(uc)};
    const uint8_t *address = info->si_addr, *base = engine_context_base(uc);
    enum abi_trap t = f && f->frame && info->si_code > 0 ? classify(f, sig, at.pc, address, base) : ABI_TRAP_NONE;
    if (t == ABI_TRAP_NONE) {
        not_ours(sig, info, uc);
        return;
    }
    f->frame->in->record_filled = false;
    engine_record(f, t, at, t == ABI_TRAP_MEMORY_OUT_OF_BOUNDS ? (uint64_t)(address - base) : UINT64_MAX);
    engine_context_go(uc, (void (*)(void))engine_asm_unwind, f->frame);
}

void engine_signals_init(struct engine *e) {
    e->trap_stack_low = mmap(NULL, TRAP_STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ENSURE(e->trap_stack_low != MAP_FAILED);
    e->trap_stack = e->trap_stack_low + TRAP_STACK_BYTES;
    if (!thread_signals.engines++) {
        void *p = mmap(NULL, SIGNAL_STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ENSURE(p != MAP_FAILED);
        thread_signals.stack = p;
        stack_t stack = {.ss_sp = p, .ss_size = SIGNAL_STACK_BYTES};
        ENSURE(sigaltstack(&stack, &thread_signals.old_stack) == 0);
    }
    if (engines++) return;
    struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaddset(&sa.sa_mask, SIGVTALRM);
    for (size_t i = 0; i < ARRAY_COUNT(fault_signals); i++) ENSURE(sigaction(fault_signals[i], &sa, &old_actions[i]) == 0);
}

void engine_signals_free(struct engine *e) {
    if (!--engines)
        for (size_t i = 0; i < ARRAY_COUNT(fault_signals); i++) sigaction(fault_signals[i], &old_actions[i], NULL);
    if (!--thread_signals.engines) {
        sigaltstack(&thread_signals.old_stack, NULL);
        munmap(thread_signals.stack, SIGNAL_STACK_BYTES);
    }
    munmap(e->trap_stack_low, TRAP_STACK_BYTES);
    free(e->texts);
}
