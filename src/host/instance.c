/* instance: what the host keeps per engine instance. Records are kept on a free list of their component, with
 * their handle tables, so that acquiring one allocates nothing. */
#include <stdlib.h>

#include "host/host_int.h"

static uint32_t cis_count(const struct host_component *c) { return c->has_plan ? c->plan.instances_count : 1; }

/* Paid as long as there is the record, used or not. */
static uint64_t record_bytes(const struct host_component *c) {
    return sizeof(struct host_instance) + cis_count(c) * sizeof(struct host_ci) +
           (c->memories.n + 1) * sizeof(struct abi_memory *);
}

static struct host_instance *instance_new(struct host_component *c) {
    uint32_t n = cis_count(c);
    struct engine_share *s = engine_image_share(c->image);
    uint64_t bytes = record_bytes(c);
    if (!engine_pay(s, bytes)) return NULL;
    struct host_instance *in = calloc(1, sizeof *in);
    if (!in) {
        engine_unpay(s, bytes);
        return NULL;
    }
    in->component = c;
    in->cis = calloc(n, sizeof *in->cis);
    in->memories = calloc(c->memories.n + 1, sizeof(struct abi_memory *));
    if (!in->cis || !in->memories) {
        free(in->cis);
        free(in->memories);
        free(in);
        engine_unpay(s, bytes);
        return NULL;
    }
    for (uint32_t i = 0; i < n; i++) {
        in->cis[i].parent = c->has_plan ? c->plan.instances[i].parent : PLAN_NONE;
        in->cis[i].table = (struct host_table){.max = c->limits.handles_max, .in = in};
        in->cis[i].threads = (struct host_table){.max = c->limits.threads_max, .in = in};
    }
    return in;
}

void host_instance_free(struct host_instance *in) {
    for (uint32_t i = 0; i < cis_count(in->component); i++) {
        host_table_free(&in->cis[i].table);
        host_table_free(&in->cis[i].threads);
    }
    ENSURE(!in->charged && !in->table_bytes);
    engine_unpay(engine_image_share(in->component->image), record_bytes(in->component));
    free(in->cis);
    free(in->memories);
    free(in);
}

struct host_instance *host_instance_acquire(struct host_component *c, void *user) {
    struct host_instance *in = c->free_instances;
    if (in) c->free_instances = in->next;
    else if (!(in = instance_new(c))) return NULL;
    in->user = user;
    in->engine = engine_acquire(c->image, in);
    in->post = (struct engine_post){.fn = host_notes_post, .arg = in};
    if (in->engine) return in;
    in->next = c->free_instances;
    c->free_instances = in;
    return NULL;
}

static void drop_handle(struct host_instance *in, const struct host_handle *h) {
    void *rep = (void *)(uintptr_t)h->rep;
    switch ((enum host_handle_kind)h->kind) {
    case HOST_HANDLE_OWN:
        if (h->type->drop) h->type->drop(in, rep);
        break;
    case HOST_HANDLE_SUBTASK: host_subtask_free(rep); break;
    case HOST_HANDLE_WAITABLE_SET: free(rep); break;
    case HOST_HANDLE_ERROR_CONTEXT: host_error_context_drop(rep); break;
    default: break; /* streams and futures: host_pipes_gone */
    }
}

/* The newest first: what was made later may use what was made earlier. No more than so many. */
static void drop_handles(struct host_instance *in, struct host_table *t, uint32_t *budget) {
    uint32_t before = *budget;
    for (; t->n > 1 && *budget; --*budget) {
        struct host_handle h = t->p[--t->n];
        t->p[t->n].kind = HOST_HANDLE_FREE;
        drop_handle(in, &h);
    }
    base_heap_freed(before - *budget);
}

bool host_instance_wind_down(struct host_instance *in, uint32_t *budget) {
    bool alone = !in->fibers && !in->threads_count && !in->calls && host_list_empty(&in->pendings) &&
                 host_list_empty(&in->pipes) && host_list_empty(&in->notes);
    if (!alone) return true; /* it is the release that ends these, before handles are dropped */
    in->dead = true;
    for (uint32_t i = cis_count(in->component); i-- > 0 && *budget;) drop_handles(in, &in->cis[i].table, budget);
    return *budget;
}

static void reset_ci(struct host_ci *ci) {
    host_table_clear(&ci->table);
    host_table_clear(&ci->threads);
    ci->entered = ci->no_leave = false;
    ci->backpressure = 0;
    ci->entering = 0;
    ci->exclusive = NULL;
    ci->waiting = ci->held = (struct host_node){};
}

static void drop_threads(struct host_instance *in) {
    while (!host_list_empty(&in->threads)) {
        struct host_thread *t = container_of(in->threads.next, struct host_thread, of_instance);
        t->state = HOST_THREAD_SUSPENDED; /* what it waits for may be gone */
        host_thread_free(t);
    }
}

void host_instance_finish(struct host_instance *in) {
    struct host_component *c = in->component;
    in->dead = true; /* who is told that its end is gone can see why */
    host_pendings_gone(in);
    host_pipes_gone(in);
    if (!host_list_empty(&in->notes)) host_tell_all(in);
    host_pipes_detach(in);
    if (!host_list_empty(&in->threads)) drop_threads(in);
    for (uint32_t i = cis_count(c), all = UINT32_MAX; i-- > 0;) drop_handles(in, &in->cis[i].table, &all);
    ENSURE(host_list_empty(&in->notes));
    engine_post_cancel(&in->post);
    for (uint32_t i = 0; i < cis_count(c); i++) reset_ci(&in->cis[i]);
    host_unpay(in, in->charged); /* of objects that are gone with the instance */
    engine_release(in->engine);
    memset(in->memories, 0, (c->memories.n + 1) * sizeof *in->memories);
    struct abi_memory **memories = in->memories;
    struct host_ci *cis = in->cis;
    *in = (struct host_instance){
        .component = c, .memories = memories, .cis = cis, .table_bytes = in->table_bytes, .next = c->free_instances};
    c->free_instances = in;
}

void host_instance_release(struct host_instance *in) {
    ENSURE(!host_is_telling());
    in->on_idle = NULL;
    in->on_death = NULL;
    if (UNLIKELY(in->threads_count || in->calls)) host_die(in, ABI_TRAP_INTERRUPTED);
    if (in->fibers) {
        host_pendings_gone(in);
        host_tell_all(in); /* while `user` is what it was */
        in->releasing = true;
        engine_kill(in->engine);
        return;
    }
    host_instance_finish(in);
}

void host_instance_kill(struct host_instance *in) {
    host_die(in, ABI_TRAP_INTERRUPTED);
    engine_kill(in->engine);
}

uint32_t host_instance_tasks(const struct host_instance *in) { return in->tasks; }

void host_instance_on_idle(struct host_instance *in, void (*fn)(struct host_instance *in, void *arg), void *arg) {
    in->on_idle = fn;
    in->on_idle_arg = arg;
}

void host_instance_on_death(struct host_instance *in, void (*fn)(struct host_instance *in, void *arg), void *arg) {
    in->on_death = fn;
    in->on_death_arg = arg;
}

uint64_t host_instance_charged(const struct host_instance *in) { return in->charged; }

enum abi_trap host_instance_start(struct host_instance *in) {
    struct host_thread th = {};
    struct host_task task = {.state = HOST_TASK_RESOLVED, .implicit = &th};
    enum abi_trap t = host_base_begin(in, &th, &task);
    th.nested = true;
    if (!t) t = engine_instance_start(in->engine);
    if (t) host_die(in, t);
    host_task_leave_stack(in, &task, &th);
    if (th.in) host_base_end(in, &th);
    return t;
}

void *host_instance_user(struct host_instance *in) { return in->user; }
struct engine_instance *host_instance_engine(struct host_instance *in) {
    return in->engine;
}
struct host_component *host_instance_component(struct host_instance *in) {
    return in->component;
}
struct host_instance *host_instance_of(struct engine_instance *in) {
    return engine_instance_user(in);
}
bool host_instance_dead(const struct host_instance *in) { return in->dead; }

bool host_work(struct host_instance *in, uint64_t units) {
    return !in->engine || host_is_telling() || engine_work(engine_instance_engine(in->engine), units);
}

bool host_pay(struct host_instance *in, uint64_t bytes) {
    const struct engine_image *image = in->component->image; /* NULL in tests of lifting and lowering */
    return !image || engine_pay(engine_image_share(image), bytes);
}
void host_unpay(struct host_instance *in, uint64_t bytes) {
    const struct engine_image *image = in->component->image;
    if (image) engine_unpay(engine_image_share(image), bytes);
}

bool host_charge(struct host_instance *in, uint64_t bytes) {
    if (bytes > in->component->limits.host_bytes_max - in->charged || !host_pay(in, bytes)) return false;
    in->charged += bytes;
    return true;
}
void host_uncharge(struct host_instance *in, uint64_t bytes) {
    ENSURE(bytes <= in->charged);
    in->charged -= bytes;
    host_unpay(in, bytes);
}
