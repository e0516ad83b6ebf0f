/* p2: the fields resource of wasi:http 0.2. */
#include "wasi/http/fields.h"
#include "wasi/p2/p2_int.h"

static struct wasi_http_types_header_error error_of(enum wasi_http_verdict v) {
    return (struct wasi_http_types_header_error){.tag = v == HTTP_FIELD_IMMUTABLE ? WASI_HTTP_TYPES_HEADER_ERROR_IMMUTABLE
                                                        : v == HTTP_FIELD_FORBIDDEN
                                                            ? WASI_HTTP_TYPES_HEADER_ERROR_FORBIDDEN
                                                            : WASI_HTTP_TYPES_HEADER_ERROR_INVALID_SYNTAX};
}

void wasi_http_types_fields_drop(struct host_instance *in, struct wasi_http_types_fields *self) { app_object_unref(in, self); }

static struct wasi_http_types_fields *new_fields(struct host_call *call) {
    return wasi_http_fields_new(call->instance, sizeof(struct wasi_http_types_fields));
}

enum abi_trap wasi_http_types_fields_new(struct host_call *call, struct wasi_http_types_fields **result) {
    *result = new_fields(call);
    return *result ? ABI_TRAP_NONE : wasi_http_fields_too_large(call);
}

enum abi_trap wasi_http_types_fields_from_list(struct host_call *call, struct wasi_p2_list_tuple2_string_list_u8 entries,
                                               struct wasi_p2_result_http_types_fields_http_types_header_error *result) {
    struct wasi_http_types_fields *f = new_fields(call);
    if (!f) return wasi_http_fields_too_large(call);
    for (size_t i = 0; i < entries.n; i++) {
        enum wasi_http_verdict v = wasi_http_fields_judge(&f->f, entries.p[i].f0, &entries.p[i].f1, 1, true);
        bool added = v == HTTP_FIELD_FINE && wasi_http_fields_add(&f->f, entries.p[i].f0, entries.p[i].f1);
        if (added) continue;
        app_object_unref(call->instance, f);
        if (v == HTTP_FIELD_FINE) return wasi_http_fields_too_large(call);
        result->is_err = true;
        result->err = error_of(v);
        return ABI_TRAP_NONE;
    }
    result->ok = f;
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_http_types_fields_get(struct host_call *call, struct wasi_http_types_fields *self,
                                         wasi_http_types_field_key name, struct wasi_p2_list_list_u8 *result) {
    result->p = wasi_http_fields_get(call, &self->f, name, &result->n);
    return result->p ? ABI_TRAP_NONE : wasi_http_fields_too_large(call);
}

enum abi_trap wasi_http_types_fields_has(struct host_call *call, struct wasi_http_types_fields *self,
                                         wasi_http_types_field_key name, bool *result) {
    *result = wasi_http_fields_has(&self->f, name);
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_http_types_fields_set(struct host_call *call, struct wasi_http_types_fields *self,
                                         wasi_http_types_field_key name, struct wasi_p2_list_list_u8 value,
                                         struct wasi_p2_result_void_http_types_header_error *result) {
    enum wasi_http_verdict v = wasi_http_fields_judge(&self->f, name, value.p, value.n, false);
    if ((result->is_err = v != HTTP_FIELD_FINE)) {
        result->err = error_of(v);
        return ABI_TRAP_NONE;
    }
    wasi_http_fields_remove(&self->f, name);
    for (size_t i = 0; i < value.n; i++)
        if (!wasi_http_fields_add(&self->f, name, value.p[i])) return wasi_http_fields_too_large(call);
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_http_types_fields_delete(struct host_call *call, struct wasi_http_types_fields *self,
                                            wasi_http_types_field_key name,
                                            struct wasi_p2_result_void_http_types_header_error *result) {
    enum wasi_http_verdict v = wasi_http_fields_judge(&self->f, name, NULL, 0, false);
    if ((result->is_err = v != HTTP_FIELD_FINE)) result->err = error_of(v);
    else wasi_http_fields_remove(&self->f, name);
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_http_types_fields_append(struct host_call *call, struct wasi_http_types_fields *self,
                                            wasi_http_types_field_key name, wasi_http_types_field_value value,
                                            struct wasi_p2_result_void_http_types_header_error *result) {
    enum wasi_http_verdict v = wasi_http_fields_judge(&self->f, name, &value, 1, true);
    if ((result->is_err = v != HTTP_FIELD_FINE)) result->err = error_of(v);
    else if (!wasi_http_fields_add(&self->f, name, value)) return wasi_http_fields_too_large(call);
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_http_types_fields_entries(struct host_call *call, struct wasi_http_types_fields *self,
                                             struct wasi_p2_list_tuple2_string_list_u8 *result) {
    result->p = host_alloc(call, (self->f.count + 1) * sizeof *result->p, _Alignof(str));
    if (!result->p) return wasi_http_fields_too_large(call);
    for (; result->n < self->f.count; result->n++) {
        result->p[result->n].f0 = self->f.list[result->n].f.name;
        result->p[result->n].f1 = self->f.list[result->n].f.value;
    }
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_http_types_fields_clone(struct host_call *call, struct wasi_http_types_fields *self,
                                           struct wasi_http_types_fields **result) {
    struct wasi_http_types_fields *f = new_fields(call);
    if (f && wasi_http_fields_copy(&f->f, &self->f)) {
        *result = f;
        return ABI_TRAP_NONE;
    }
    app_object_unref(call->instance, f);
    return wasi_http_fields_too_large(call);
}
