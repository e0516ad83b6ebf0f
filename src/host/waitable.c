/* waitable: waitable sets, and what is in them (CanonicalABI.md, Waitable State).
 *
 * 1. A waitable has at most one event; a later one replaces it (a subtask that started and then returned says the
 *    latter).
 * 2. set->pending has exactly those of set->elems that have an event, the oldest first: taking one costs the same
 *    however many there are, and none starves. */
#include <stdlib.h>

#include "host/host_int.h"

static const struct host_resource host_is_waitable_set = {.name = "waitable set"};

enum abi_trap host_no_such(struct host_instance *in, struct host_ci *ci, uint32_t i, const char *want) {
    const struct host_handle *h = host_table_get(&ci->table, i);
    if (!h) return host_fail(in, ABI_TRAP_HOST, "unknown handle index %u", i);
    return host_fail(in, ABI_TRAP_HOST, "handle index %u used with the wrong type, expected a %s but found a %s", i, want,
                     h->type ? h->type->name : "resource");
}

enum abi_trap host_full(struct host_instance *in, const struct host_ci *ci) {
    return host_fail(in, ABI_TRAP_HOST, "the handle table is full: %u handles are alive", ci->table.alive);
}

enum abi_trap host_in_set(struct host_instance *in) {
    return host_fail(in, ABI_TRAP_HOST, "waitable cannot be used synchronously while added to a waitable set");
}

/* ---- waitables -------------------------------------------------------------------------------- */

void host_waitable_notify(struct host_waitable *w) {
    w->has_event = true;
    if (w->waiter) host_poke(w->waiter);
    if (!w->set) return;
    if (!w->of_pending.next) host_list_push(&w->set->pending, &w->of_pending);
    HOST_EACH(n, &w->set->waiters) host_poke(container_of(n, struct host_thread, of_set));
}

struct host_event_data host_waitable_take(struct host_waitable *w) {
    ENSURE(w->has_event);
    w->has_event = false;
    host_list_remove(&w->of_pending);
    return w->is_subtask ? host_subtask_event(container_of(w, struct host_subtask, w))
                         : host_end_event(container_of(w, struct host_end, w));
}

void host_waitable_leave(struct host_waitable *w) {
    host_list_remove(&w->of_set);
    host_list_remove(&w->of_pending);
    w->set = NULL;
}

/* ---- sets ------------------------------------------------------------------------------------- */

bool host_wset_has_event(const struct host_wset *s) { return !host_list_empty(&s->pending); }

struct host_event_data host_wset_take(struct host_wset *s) {
    return host_waitable_take(container_of(s->pending.next, struct host_waitable, of_pending));
}

struct host_wset *host_wset_get(struct host_instance *in, struct host_ci *ci, uint32_t i) {
    const struct host_handle *h = host_table_get(&ci->table, i);
    (void)in;
    return h && h->kind == HOST_HANDLE_WAITABLE_SET ? (struct host_wset *)(uintptr_t)h->rep : NULL;
}

enum abi_trap host_wset_new(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    struct host_ci *ci = &in->cis[b->o.ci];
    if (!host_charge(in, sizeof(struct host_wset))) return host_fail(in, ABI_TRAP_OUT_OF_MEMORY, "too many waitable sets");
    struct host_wset *s = calloc(1, sizeof *s);
    ENSURE(s);
    slots[0] = host_table_add(
        &ci->table, (struct host_handle){.type = &host_is_waitable_set, .rep = (uintptr_t)s, .kind = HOST_HANDLE_WAITABLE_SET});
    if (slots[0]) return ABI_TRAP_NONE;
    free(s);
    return host_full(in, ci);
}

static enum abi_trap store_event(struct host_instance *in, const struct host_binding *b, struct host_event_data e,
                                 uint64_t *slots) {
    struct host_call call = {.instance = in, .caller = b->o.ci};
    struct host_cx cx;
    host_cx_init(&cx, &call, &b->o);
    uint64_t ptr = b->o.memory64 ? slots[1] : (uint32_t)slots[1];
    if (ptr & 3) return host_fail(in, ABI_TRAP_HOST, "unaligned pointer");
    if (cx.mem.n < 8 || ptr > cx.mem.n - 8) return host_fail(in, ABI_TRAP_HOST, "pointer out of bounds of memory");
    memcpy(cx.mem.p + ptr, &e.p1, 4);
    memcpy(cx.mem.p + ptr + 4, &e.p2, 4);
    slots[0] = e.code;
    return ABI_TRAP_NONE;
}

enum abi_trap host_wset_wait(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    struct host_ci *ci = &in->cis[b->o.ci];
    struct host_wset *s = host_wset_get(in, ci, (uint32_t)slots[0]);
    if (!s) return host_no_such(in, ci, (uint32_t)slots[0], "waitable set");
    bool cancelled;
    enum abi_trap trap = host_wait(in, HOST_WAIT_SET, s, b->cancellable, &cancelled);
    if (trap) return trap;
    struct host_event_data e = {HOST_EVENT_TASK_CANCELLED, 0, 0};
    return store_event(in, b, cancelled ? e : host_wset_take(s), slots);
}

enum abi_trap host_wset_poll(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    struct host_ci *ci = &in->cis[b->o.ci];
    struct host_wset *s = host_wset_get(in, ci, (uint32_t)slots[0]);
    if (!s) return host_no_such(in, ci, (uint32_t)slots[0], "waitable set");
    struct host_event_data e = {HOST_EVENT_NONE, 0, 0};
    if (host_deliver_cancel(in->thread->task, b->cancellable)) e.code = HOST_EVENT_TASK_CANCELLED;
    else if (host_wset_has_event(s)) e = host_wset_take(s);
    return store_event(in, b, e, slots);
}

enum abi_trap host_wset_drop(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    struct host_ci *ci = &in->cis[b->o.ci];
    struct host_wset *s = host_wset_get(in, ci, (uint32_t)slots[0]);
    if (!s) return host_no_such(in, ci, (uint32_t)slots[0], "waitable set");
    if (!host_list_empty(&s->elems)) return host_fail(in, ABI_TRAP_HOST, "cannot drop non-empty waitable set");
    if (s->waiting) return host_fail(in, ABI_TRAP_HOST, "cannot drop waitable set with waiters");
    host_table_remove(&ci->table, (uint32_t)slots[0]);
    free(s);
    host_uncharge(in, sizeof *s);
    return ABI_TRAP_NONE;
}

enum abi_trap host_waitable_join(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    struct host_ci *ci = &in->cis[b->o.ci];
    uint32_t wi = (uint32_t)slots[0], si = (uint32_t)slots[1];
    const struct host_handle *h = host_table_get(&ci->table, wi);
    if (!h || (h->kind != HOST_HANDLE_SUBTASK && h->kind != HOST_HANDLE_END)) return host_no_such(in, ci, wi, "waitable");
    struct host_waitable *w = (struct host_waitable *)(uintptr_t)h->rep;
    if (w->waiter) return host_in_set(in);
    struct host_wset *s = si ? host_wset_get(in, ci, si) : NULL;
    if (si && !s) return host_no_such(in, ci, si, "waitable set");
    host_waitable_leave(w);
    if (!s) return ABI_TRAP_NONE;
    w->set = s;
    host_list_push(&s->elems, &w->of_set);
    if (w->has_event) host_waitable_notify(w);
    return ABI_TRAP_NONE;
}
