/* unwind: from a throw to the catch clause that takes it.
 *
 *   native stack   return address │ return address │ far return, base │ return address │ … │ entry adapter of an engine_call
 *                     thrower          caller            far call          caller              uncaught: a trap
 *
 * Each return address of compiled code has a site that says where its function's frame is, below the callee's, and which clauses are
 * around the call; the function's struct abi_unwind says which registers the frame holds. So one pass upwards brings back what the
 * catcher had: its frame, its registers, its base, its stack pointer.
 *
 * 1. Nothing changes before a clause is found: what nobody catches is a trap with the thrower's backtrace.
 * 2. The native stack is written by compiled code's calls and our stubs only, and what is not such a return address ends the walk, as
 *    does the innermost engine_call: an exception never leaves it, so host functions see a trap.
 * 3. The payload is moved within the frame stack, from the thrower's frame down to the catcher's. Only clauses with a reference make an
 *    object of it. */
#include "engine/engine_int.h"
#include "engine/heap.h"
#include <stdlib.h>

enum { CACHE_BITS = 10 };

struct exception {
    uint32_t tag, slots;
    const uint64_t *payload;
    struct abi_gc_object *object; /* NULL: it has none yet */
};

/* ---- return addresses ---- */

void engine_unwind_forget(struct engine *e) {
    if (e->unwind_cache) memset(e->unwind_cache, 0, sizeof(struct engine_unwind_entry) << CACHE_BITS);
}

static bool look_up(struct engine *e, const uint8_t *pc, struct engine_unwind_entry *out) {
    const struct engine_image *image = engine_image_of(e, pc - 1); /* a call may be the last instruction */
    const struct abi_image_code *code = image ? abi_image_find(&image->im, pc - 1) : NULL;
    if (!code) return false;
    const struct abi_image_head *h = image->im.head;
    const uint8_t *sites = image->im.base + h->sites.offset + code->sites;
    struct abi_site s;
    if (!abi_sites_find_kind(sites, (uint32_t)(pc - image->text) - code->start, 1 << ABI_SITE_UNWIND, &s)) return false;
    *out = (struct engine_unwind_entry){
        .pc = pc,
        .start = image->text + code->start,
        .unwind = (const struct abi_unwind *)(const void *)(image->im.base + h->unwind.offset + code->unwind),
        .group = h->group_base + image->instances[code->instance].group,
        .frame = s.frame,
        .clause = s.clause};
    return true;
}

static const struct engine_unwind_entry *entry_of(struct engine *e, const uint8_t *pc) {
    if (UNLIKELY(!e->unwind_cache)) {
        e->unwind_cache = calloc(1u << CACHE_BITS, sizeof *e->unwind_cache);
        ENSURE(e->unwind_cache);
    }
    struct engine_unwind_entry *u = &e->unwind_cache[(uint64_t)(uintptr_t)pc * 0x9e3779b97f4a7c15 >> (64 - CACHE_BITS)];
    return LIKELY(u->pc == pc) || look_up(e, pc, u) ? u : NULL;
}

/* ---- the walk ---- */

static const struct abi_clause *clause_for(const struct engine_unwind_entry *u, uint32_t tag) {
    const struct abi_clause *clause = NULL;
    for (uint32_t n = u->clause; n; n = clause->next) {
        ENSURE(n <= u->unwind->clauses_count);
        clause = &u->unwind->clauses[n - 1];
        if (clause->tag == ABI_TAG_ANY || clause->tag == tag) return clause;
    }
    return NULL;
}

/* The registers that u's function has saved, as its caller had them. */
NO_ASAN static void leave(struct engine_throw *t, const struct engine_unwind_entry *u) {
    const uint64_t *saved = (const uint64_t *)(const void *)t->frame + u->unwind->save_slot;
    for (uint32_t m = u->unwind->saved; m; m &= m - 1) t->regs[__builtin_ctz(m)] = *saved++;
}

/* The clause that takes a tag, with t as it finds it; NULL in *clause: none. */
NO_ASAN static enum abi_trap find_clause(struct engine *e, struct engine_throw *t, uint32_t tag,
                                         const struct abi_clause **clause) {
    const struct engine_fiber *f = e->current;
    void **end = f->frame->sp;
    *clause = NULL;
    for (void **p = t->sp; p < end;) {
        const uint8_t *pc = engine_return_address(p);
        if (pc == (const uint8_t *)(uintptr_t)engine_asm_far_return) {
            t->base = engine_far_base(p);
            p += ENGINE_FAR_WORDS;
            continue;
        }
        const struct engine_unwind_entry *found = entry_of(e, pc);
        if (!found) return ABI_TRAP_NONE;
        struct engine_unwind_entry u = *found;
        p += ENGINE_RETURN_WORDS;
        t->frame -= (size_t)u.frame * 8;
        ENSURE(t->frame >= f->frame_low && t->frame < f->frame_limit);
        if ((*clause = clause_for(&u, tag))) {
            ENSURE(t->base == f->frame->in->group_gs[u.group]);
            t->sp = p;
            t->pc = u.start + (*clause)->pad;
            return ABI_TRAP_NONE;
        }
        leave(t, &u);
        if (UNLIKELY(!engine_slice_check(e))) return ABI_TRAP_INTERRUPTED;
    }
    return ABI_TRAP_NONE;
}

/* ---- what a clause gets ---- */

static enum abi_trap make_object(struct engine_instance *in, struct exception *x) {
    enum abi_trap trap = ABI_TRAP_OUT_OF_MEMORY;
    uint32_t header = abi_object_header(x->tag, ABI_OBJECT_WORDS);
    x->object = engine_heap_new(in, header, x->slots, (uint64_t)x->slots * 8, &trap);
    if (!x->object) return trap;
    memcpy(x->object->payload, x->payload, (size_t)x->slots * 8);
    return ABI_TRAP_NONE;
}

NO_ASAN static enum abi_trap deliver(struct engine_instance *in, struct exception *x, const struct abi_clause *clause,
                                     const struct engine_throw *t) {
    uint64_t *to = (uint64_t *)(void *)t->frame + clause->slot;
    if ((uint8_t *)(to + clause->slots + clause->ref) > in->engine->current->frame_limit) return ABI_TRAP_STACK_OVERFLOW;
    ENSURE(clause->tag == ABI_TAG_ANY ? !clause->slots : clause->slots == x->slots);
    enum abi_trap trap = clause->ref && !x->object ? make_object(in, x) : ABI_TRAP_NONE;
    if (trap != ABI_TRAP_NONE) return trap;
    if (clause->slots) memmove(to, x->payload, (size_t)clause->slots * 8);
    if (clause->ref) to[clause->slots] = (uintptr_t)x->object;
    return ABI_TRAP_NONE;
}

/* The name of a tag, as the module of the code at pc knows it. */
static str tag_name(const struct engine *e, const uint8_t *pc, uint32_t tag) {
    const struct engine_image *image = engine_image_of(e, pc - 1);
    if (!image) return (str){0};
    const struct abi_image_tag *tags = abi_image_at(&image->im, image->im.head->tags, struct abi_image_tag);
    for (uint64_t i = 0; i < image->im.head->tags.count; i++)
        if (tags[i].id == tag && tags[i].name.count) return abi_image_str(&image->im, tags[i].name);
    return (str){0};
}

static enum abi_trap uncaught(struct engine_instance *in, const struct exception *x, const uint8_t *pc) {
    str name = tag_name(in->engine, pc, x->tag);
    uint8_t shown[100]; /* the guest's: control characters do not reach a terminal */
    name.n = MIN(name.n, sizeof shown);
    for (size_t i = 0; i < name.n; i++) shown[i] = name.p[i] < 0x20 || name.p[i] == 0x7f ? '?' : name.p[i];
    name.p = shown;
    if (!name.n) return engine_trap(in, ABI_TRAP_EXCEPTION, "uncaught exception");
    return engine_trap(in, ABI_TRAP_EXCEPTION, "uncaught exception of tag \"" STR_FMT "\"", STR_ARG(name));
}

static enum abi_trap throw(struct engine_instance * in, struct exception *x, struct engine_throw *t) {
    const uint8_t *pc = engine_return_address(t->sp); const struct abi_clause * clause;
    enum abi_trap trap = find_clause(in->engine, t, x->tag, &clause);
    if (trap != ABI_TRAP_NONE) return trap;
    return clause ? deliver(in, x, clause, t) : uncaught(in, x, pc);
}

void engine_throw(struct engine_instance *in, uint32_t tag, uint32_t slots, const uint64_t *payload, struct engine_throw *t) {
    struct engine *e = in->engine;
    struct engine_fiber *f = e->current;
    void **sp = t->sp;
    uint8_t *top = f->frame_top, *end = (uint8_t *)(uintptr_t)(payload + slots);
    if (UNLIKELY(f->actor->killed)) engine_raise(e, ABI_TRAP_INTERRUPTED, sp);
    if (UNLIKELY(end > f->frame_limit)) engine_raise(e, ABI_TRAP_STACK_OVERFLOW, sp);
    f->frame_top = end; /* what a collection looks at */
    struct exception x = {.tag = tag, .slots = slots, .payload = payload};
    enum abi_trap trap = ABI_TRAP_NONE;
    if (tag == ABI_TAG_REF) {
        struct abi_gc_object *o = (struct abi_gc_object *)(uintptr_t)payload[0];
        if (o) x = (struct exception){o->header >> ABI_OBJECT_TYPE_SHIFT, o->length, o->payload, o};
        else trap = ABI_TRAP_NULL_EXCEPTION;
    }
    if (trap == ABI_TRAP_NONE) trap = throw(in, &x, t);
    if (UNLIKELY(!engine_slice_check(e))) trap = ABI_TRAP_INTERRUPTED;
    f->frame_top = top;
    if (LIKELY(trap == ABI_TRAP_NONE)) return;
    if (trap == ABI_TRAP_EXCEPTION) engine_raise(e, trap, sp);
    engine_trap_raise(in, trap, sp, NULL, NULL);
}
