/* value: walks over values in host layout. */
#include "host/host_int.h"

struct drop {
    struct host_instance *in;
    uint32_t skip; /* owns still to pass over */
};

static void drop_in(struct drop *d, const struct host_type *t, const uint8_t *v) {
    if (!t || !t->has_own) return;
    const struct {
        const uint8_t *p;
        size_t n;
    } *list = (const void *)v;
    uint32_t i;
    switch ((enum host_kind)t->kind) {
    case HOST_OWN:
        if (d->skip) d->skip--;
        else if (t->resource->drop) t->resource->drop(d->in, *(void *const *)(const void *)v);
        break;
    case HOST_STREAM:
    case HOST_FUTURE:
        if (d->skip) d->skip--;
        else host_end_drop(&(*(struct host_pipe *const *)(const void *)v)->end[0]);
        break;
    case HOST_ERROR_CONTEXT:
        if (d->skip) d->skip--;
        else host_error_context_drop(*(struct host_error_context *const *)(const void *)v);
        break;
    case HOST_LIST:
        for (size_t k = 0; k < list->n; k++) drop_in(d, t->elem, list->p + k * t->elem->host_size);
        break;
    case HOST_ARRAY:
        for (uint32_t k = 0; k < t->count; k++) drop_in(d, t->elem, v + (size_t)k * t->elem->host_size);
        break;
    case HOST_RECORD:
        for (uint32_t k = 0; k < t->count; k++) drop_in(d, t->fields[k].type, v + t->fields[k].host_offset);
        break;
    case HOST_VARIANT:
    case HOST_OPTION:
    case HOST_RESULT:
        i = t->kind == HOST_VARIANT ? *(const uint32_t *)(const void *)v : *v;
        if (i < t->count) drop_in(d, t->fields[i].type, v + t->host_payload);
        break;
    default: break;
    }
}

void host_value_drop_from(struct host_instance *in, const struct host_type *t, const void *value, uint32_t skip) {
    struct drop d = {in, skip};
    drop_in(&d, t, value);
}

void host_value_drop(struct host_instance *in, const struct host_type *t, const void *value) {
    host_value_drop_from(in, t, value, 0);
}

static bool equal_list(const struct host_type *e, const uint8_t *a, const uint8_t *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!host_value_equal(e, a + i * e->host_size, b + i * e->host_size)) return false;
    return true;
}

static bool equal_cases(const struct host_type *t, const uint8_t *a, const uint8_t *b) {
    uint32_t i = *a, k = *b;
    if (t->kind == HOST_VARIANT) {
        memcpy(&i, a, 4);
        memcpy(&k, b, 4);
    }
    if (i != k) return false;
    const struct host_type *c = t->fields[i].type;
    return !c || host_value_equal(c, a + t->host_payload, b + t->host_payload);
}

bool host_value_equal(const struct host_type *t, const void *a, const void *b) {
    const struct {
        const uint8_t *p;
        size_t n;
    } *la = a, *lb = b;
    switch ((enum host_kind)t->kind) {
    case HOST_STRING: return str_eq(*(const str *)a, *(const str *)b);
    case HOST_LIST: return la->n == lb->n && equal_list(t->elem, la->p, lb->p, la->n);
    case HOST_ARRAY: return equal_list(t->elem, a, b, t->count);
    case HOST_RECORD:
        for (uint32_t i = 0; i < t->count; i++) {
            const struct host_field *f = &t->fields[i];
            if (!host_value_equal(f->type, (const uint8_t *)a + f->host_offset, (const uint8_t *)b + f->host_offset))
                return false;
        }
        return true;
    case HOST_VARIANT:
    case HOST_OPTION:
    case HOST_RESULT: return equal_cases(t, a, b);
    case HOST_F32: {
        float x = *(const float *)a, y = *(const float *)b;
        return x == y ? memcmp(a, b, 4) == 0 : x != x && y != y; /* every NaN is one */
    }
    case HOST_F64: {
        double x = *(const double *)a, y = *(const double *)b;
        return x == y ? memcmp(a, b, 8) == 0 : x != x && y != y;
    }
    default: return memcmp(a, b, t->host_size) == 0;
    }
}
