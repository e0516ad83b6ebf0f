/* instance: what the host keeps per engine instance. Records are kept on a free list of their component, with
 * their handle tables, so that acquiring one allocates nothing. */
#include <stdlib.h>

#include "host/host_int.h"

static uint32_t cis_count(const struct host_component *c) {
    return c->has_plan ? c->plan.instances_count : 1;
}

static struct host_instance *instance_new(struct host_component *c) {
    struct host_instance *in = calloc(1, sizeof *in);
    if (!in) return NULL;
    uint32_t n = cis_count(c);
    in->component = c;
    in->cis = calloc(n, sizeof *in->cis);
    in->memories = calloc(c->memories.n + 1, sizeof(struct abi_memory *));
    if (!in->cis || !in->memories) {
        free(in->cis);
        free(in->memories);
        free(in);
        return NULL;
    }
    for (uint32_t i = 0; i < n; i++) {
        in->cis[i].parent = c->has_plan ? c->plan.instances[i].parent : PLAN_NONE;
        in->cis[i].table.max = c->limits.handles_max;
    }
    return in;
}

void host_instance_free(struct host_instance *in) {
    for (uint32_t i = 0; i < cis_count(in->component); i++) free(in->cis[i].table.p);
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
    if (in->engine) return in;
    in->next = c->free_instances;
    c->free_instances = in;
    return NULL;
}

/* The newest first: what was made later may use what was made earlier. */
static void drop_handles(struct host_instance *in, struct host_table *t) {
    for (uint32_t i = t->n; i-- > 1;) {
        struct host_handle *h = &t->p[i];
        if (h->kind == HOST_HANDLE_OWN && h->type->drop) h->type->drop(in, (void *)(uintptr_t)h->rep);
        h->kind = HOST_HANDLE_FREE;
    }
    host_table_clear(t);
}

void host_instance_release(struct host_instance *in) {
    struct host_component *c = in->component;
    for (uint32_t i = 0; i < cis_count(c); i++) {
        if (in->cis[i].table.n) drop_handles(in, &in->cis[i].table);
        in->cis[i].entered = in->cis[i].no_leave = false;
        in->cis[i].backpressure = 0;
    }
    engine_release(in->engine);
    memset(in->memories, 0, (c->memories.n + 1) * sizeof *in->memories);
    in->engine = NULL;
    in->user = NULL;
    in->task = NULL;
    in->charged = 0;
    in->dead = false;
    in->next = c->free_instances;
    c->free_instances = in;
}

enum abi_trap host_instance_start(struct host_instance *in) {
    enum abi_trap t = engine_instance_start(in->engine);
    if (t) in->dead = true;
    return t;
}

void *host_instance_user(struct host_instance *in) { return in->user; }
void host_instance_set_user(struct host_instance *in, void *user) { in->user = user; }
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

bool host_charge(struct host_instance *in, uint64_t bytes) {
    if (bytes > in->component->limits.host_bytes_max - in->charged) return false;
    in->charged += bytes;
    return true;
}
void host_uncharge(struct host_instance *in, uint64_t bytes) {
    ENSURE(bytes <= in->charged);
    in->charged -= bytes;
}
