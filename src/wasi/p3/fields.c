/* p3: the fields resource of wasi:http 0.3: as that of 0.2, but that a limit is an error of the call. */
#include "wasi/p3/http.h"

/* The error; FINE stands for a limit that was passed. */
static struct wasi3_http_types_header_error error_of(enum wasi_http_verdict v) {
    static const enum wasi3_http_types_header_error_tag tags[] = {
        [HTTP_FIELD_FINE] = WASI3_HTTP_TYPES_HEADER_ERROR_SIZE_EXCEEDED,
        [HTTP_FIELD_SYNTAX] = WASI3_HTTP_TYPES_HEADER_ERROR_INVALID_SYNTAX,
        [HTTP_FIELD_FORBIDDEN] = WASI3_HTTP_TYPES_HEADER_ERROR_FORBIDDEN,
        [HTTP_FIELD_IMMUTABLE] = WASI3_HTTP_TYPES_HEADER_ERROR_IMMUTABLE,
    };
    return (struct wasi3_http_types_header_error){.tag = tags[v]};
}

/* A name keeps the spelling that it came with first. */
static str spelled(const struct wasi_http_fields *f, str name) {
    for (uint32_t i = 0; i < f->count; i++)
        if (str_eq_nocase(f->list[i].f.name, name)) return f->list[i].f.name;
    return name;
}

void wasi3_http_types_fields_drop(struct host_instance *in, struct wasi3_http_types_fields *self) { app_object_unref(in, self); }

static struct wasi3_http_types_fields *new_fields(struct host_call *call) {
    return wasi_http_fields_new(call->instance, sizeof(struct wasi3_http_types_fields));
}

enum abi_trap wasi3_http_types_fields_new(struct host_call *call, struct wasi3_http_types_fields **result) {
    *result = new_fields(call);
    return *result ? ABI_TRAP_NONE : wasi_http_fields_too_large(call);
}

enum abi_trap wasi3_http_types_fields_from_list(struct host_call *call, struct wasi_p3_list_tuple2_string_list_u8 entries,
                                                struct wasi_p3_result_http_types_fields_http_types_header_error *result) {
    struct wasi3_http_types_fields *f = new_fields(call);
    if (!f) return wasi_http_fields_too_large(call);
    for (size_t i = 0; i < entries.n; i++) {
        enum wasi_http_verdict v = wasi_http_fields_judge(&f->f, entries.p[i].f0, &entries.p[i].f1, 1, true);
        bool added = v == HTTP_FIELD_FINE && wasi_http_fields_add(&f->f, spelled(&f->f, entries.p[i].f0), entries.p[i].f1);
        if (added) continue;
        app_object_unref(call->instance, f);
        result->is_err = true;
        result->err = error_of(v);
        return ABI_TRAP_NONE;
    }
    result->ok = f;
    return ABI_TRAP_NONE;
}

enum abi_trap wasi3_http_types_fields_get(struct host_call *call, struct wasi3_http_types_fields *self,
                                          wasi3_http_types_field_name name, struct wasi_p3_list_list_u8 *result) {
    result->p = wasi_http_fields_get(call, &self->f, name, &result->n);
    return result->p ? ABI_TRAP_NONE : wasi_http_fields_too_large(call);
}

enum abi_trap wasi3_http_types_fields_has(struct host_call *call, struct wasi3_http_types_fields *self,
                                          wasi3_http_types_field_name name, bool *result) {
    *result = wasi_http_fields_has(&self->f, name);
    return ABI_TRAP_NONE;
}

/* All of them or none: a set that does not fit leaves what was there. */
static bool set_values(struct wasi_http_fields *f, str name, const str *values, size_t n) {
    uint32_t before = f->count;
    for (size_t i = 0; i < n; i++)
        if (!wasi_http_fields_add(f, name, values[i])) {
            wasi_http_fields_cut(f, before);
            return false;
        }
    uint32_t added = f->count - before;
    f->count = before;
    wasi_http_fields_remove(f, name);
    if (added) memmove(f->list + f->count, f->list + before, added * sizeof *f->list);
    f->count += added;
    return true;
}

enum abi_trap wasi3_http_types_fields_set(struct host_call *call, struct wasi3_http_types_fields *self,
                                          wasi3_http_types_field_name name, struct wasi_p3_list_list_u8 value,
                                          struct wasi_p3_result_void_http_types_header_error *result) {
    enum wasi_http_verdict v = wasi_http_fields_judge(&self->f, name, value.p, value.n, false);
    result->is_err = v != HTTP_FIELD_FINE || !set_values(&self->f, name, value.p, value.n);
    if (result->is_err) result->err = error_of(v);
    return ABI_TRAP_NONE;
}

/* A forbidden name may be deleted: it is not there. */
static bool may_delete(const struct wasi_http_fields *f, str name, enum wasi_http_verdict *v) {
    *v = wasi_http_fields_judge(f, name, NULL, 0, false);
    return *v == HTTP_FIELD_FINE || *v == HTTP_FIELD_FORBIDDEN;
}

enum abi_trap wasi3_http_types_fields_delete(struct host_call *call, struct wasi3_http_types_fields *self,
                                             wasi3_http_types_field_name name,
                                             struct wasi_p3_result_void_http_types_header_error *result) {
    enum wasi_http_verdict v;
    if ((result->is_err = !may_delete(&self->f, name, &v))) result->err = error_of(v);
    else wasi_http_fields_remove(&self->f, name);
    return ABI_TRAP_NONE;
}

enum abi_trap wasi3_http_types_fields_get_and_delete(struct host_call *call, struct wasi3_http_types_fields *self,
                                                     wasi3_http_types_field_name name,
                                                     struct wasi_p3_result_list_list_u8_http_types_header_error *result) {
    enum wasi_http_verdict v;
    if ((result->is_err = !may_delete(&self->f, name, &v))) {
        result->err = error_of(v);
        return ABI_TRAP_NONE;
    }
    result->ok.p = wasi_http_fields_get(call, &self->f, name, &result->ok.n);
    if (!result->ok.p) return wasi_http_fields_too_large(call);
    for (size_t i = 0; i < result->ok.n; i++) { /* they go with the fields */
        result->ok.p[i] = host_alloc_str(call, result->ok.p[i]);
        if (!result->ok.p[i].p) return wasi_http_fields_too_large(call);
    }
    wasi_http_fields_remove(&self->f, name);
    return ABI_TRAP_NONE;
}

enum abi_trap wasi3_http_types_fields_append(struct host_call *call, struct wasi3_http_types_fields *self,
                                             wasi3_http_types_field_name name, wasi3_http_types_field_value value,
                                             struct wasi_p3_result_void_http_types_header_error *result) {
    enum wasi_http_verdict v = wasi_http_fields_judge(&self->f, name, &value, 1, true);
    result->is_err = v != HTTP_FIELD_FINE || !wasi_http_fields_add(&self->f, spelled(&self->f, name), value);
    if (result->is_err) result->err = error_of(v);
    return ABI_TRAP_NONE;
}

enum abi_trap wasi3_http_types_fields_copy_all(struct host_call *call, struct wasi3_http_types_fields *self,
                                               struct wasi_p3_list_tuple2_string_list_u8 *result) {
    result->p = host_alloc(call, (self->f.count + 1) * sizeof *result->p, _Alignof(str));
    if (!result->p) return wasi_http_fields_too_large(call);
    for (; result->n < self->f.count; result->n++) {
        result->p[result->n].f0 = self->f.list[result->n].f.name;
        result->p[result->n].f1 = self->f.list[result->n].f.value;
    }
    return ABI_TRAP_NONE;
}

enum abi_trap wasi3_http_types_fields_clone(struct host_call *call, struct wasi3_http_types_fields *self,
                                            struct wasi3_http_types_fields **result) {
    struct wasi3_http_types_fields *f = new_fields(call);
    if (f && wasi_http_fields_copy(&f->f, &self->f)) {
        *result = f;
        return ABI_TRAP_NONE;
    }
    app_object_unref(call->instance, f);
    return wasi_http_fields_too_large(call);
}
