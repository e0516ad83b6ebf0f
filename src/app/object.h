/* object: what a guest's handle stands for, on the host's side: counted, and charged to the instance.
 *
 * 1. A resource is a struct that begins with a struct app_object. Whoever keeps a pointer to one holds a reference, so the order in which
 *    a guest drops its handles cannot leave a pointer to nothing.
 * 2. Objects outlive the memory of a run (the guest's handles are dropped last), so they are on the heap.
 */
#ifndef ORLO_APP_OBJECT_H
#define ORLO_APP_OBJECT_H

#include "host/host.h"

struct app_object {
    uint32_t refs;
    uint32_t bytes; /* charged */
    void (*destroy)(struct host_instance *in, void *self);
};
/* Zeroed, one reference, charged to the instance. NULL: over its limit (APP_OBJECT_NEW returns the trap). */
void *app_object_new(struct host_instance *in, size_t size, void (*destroy)(struct host_instance *in, void *self));
/* Charges what an object holds besides, until it goes. False: over a limit. */
[[nodiscard]] bool app_object_holds(struct host_instance *in, void *object, uint32_t bytes);
void *app_object_ref(void *object);                            /* gives it back */
void app_object_unref(struct host_instance *in, void *object); /* NULL is fine */
#define APP_OBJECT_NEW(call, var, type, destroy)                                                                                 \
    struct type *var = app_object_new((call)->instance, sizeof(struct type), (destroy));                                         \
    if (!var) return host_trap((call), ABI_TRAP_OUT_OF_MEMORY, "the host memory of this instance is used up")

/* Charged copies of strings. */
void app_charged_free(struct host_instance *in, str s);
/* *to becomes a copy of s. False: over the instance's limit. */
[[nodiscard]] bool app_charged_replace(struct host_instance *in, str *to, str s);

#endif
