/* object: see object.h. */
#include "app/object.h"
#include <stdlib.h>

enum { OBJECT_BYTES = 64 /* what the host keeps for a handle besides */ };

void *app_object_new(struct host_instance *in, size_t size, void (*destroy)(struct host_instance *, void *)) {
    if (!host_charge(in, size + OBJECT_BYTES)) return NULL;
    struct app_object *o = calloc(1, size);
    ENSURE(o);
    *o = (struct app_object){.refs = 1, .bytes = (uint32_t)size + OBJECT_BYTES, .destroy = destroy};
    return o;
}

bool app_object_holds(struct host_instance *in, void *object, uint32_t bytes) {
    if (!host_charge(in, bytes)) return false;
    ((struct app_object *)object)->bytes += bytes;
    return true;
}

void *app_object_ref(void *object) {
    if (object) ((struct app_object *)object)->refs++;
    return object;
}

void app_object_unref(struct host_instance *in, void *object) {
    struct app_object *o = object;
    if (!o || --o->refs) return;
    host_uncharge(in, o->bytes);
    if (o->destroy) o->destroy(in, o);
    free(o);
}

void app_charged_free(struct host_instance *in, str s) {
    host_uncharge(in, s.n);
    free((void *)(uintptr_t)s.p);
}

bool app_charged_replace(struct host_instance *in, str *to, str s) {
    if (!host_charge(in, s.n)) return false;
    uint8_t *p = malloc(s.n + 1);
    ENSURE(p);
    if (s.n) memcpy(p, s.p, s.n);
    app_charged_free(in, *to);
    *to = (str){p, s.n};
    return true;
}
