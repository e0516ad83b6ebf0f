/* p2: fields: headers and trailers. Names keep their case and order; they are compared without case. */
#include "wasi/p2_int.h"
#include <stdlib.h>

/* Fields of the connection, which a guest neither sees nor sets (RFC 9110 §7.6.1), and Host, which is the authority. */
static const char *const forbidden[] = {"connection",       "keep-alive",        "proxy-authenticate", "proxy-authorization",
                                        "proxy-connection", "transfer-encoding", "upgrade",            "host",
                                        "http2-settings"};

static bool is_forbidden(str name) {
    for (size_t i = 0; i < ARRAY_COUNT(forbidden); i++)
        if (str_eq_nocase(name, str_c(forbidden[i]))) return true;
    return false;
}

/* ---- the list ---- */

static void release_field(struct wasi_http_types_fields *f, struct p2_field *e) {
    if (!e->owned) return;
    size_t bytes = e->f.name.n + e->f.value.n;
    f->bytes -= bytes;
    host_uncharge(f->in, bytes);
    free((void *)(uintptr_t)e->f.name.p);
}

void p2_fields_destroy(struct host_instance *in, void *self) {
    struct wasi_http_types_fields *f = self;
    for (uint32_t i = 0; i < f->count; i++) release_field(f, &f->list[i]);
    host_uncharge(in, f->cap * sizeof *f->list);
    free(f->list);
    p2_unref(in, f->origin);
}

/* Room for n more. False: over the instance's limit. */
static bool reserve(struct wasi_http_types_fields *f, uint32_t n) {
    if (n <= f->cap - f->count) return true;
    uint32_t cap = MAX(f->count + n, f->cap * 2);
    if (!host_charge(f->in, (cap - f->cap) * sizeof *f->list)) return false;
    f->cap = cap;
    f->list = realloc(f->list, cap * sizeof *f->list);
    ENSURE(f->list);
    return true;
}

/* A copy of name and value; false: over a limit. */
static bool add_copy(struct wasi_http_types_fields *f, str name, str value) {
    size_t bytes = name.n + value.n, max = ((struct wasi_run *)host_instance_user(f->in))->app->config.limits.head_bytes_max;
    if (bytes > max || f->bytes > max - bytes || !reserve(f, 1) || !host_charge(f->in, bytes)) return false;
    uint8_t *p = malloc(bytes + 1);
    ENSURE(p);
    if (name.n) memcpy(p, name.p, name.n);
    if (value.n) memcpy(p + name.n, value.p, value.n);
    f->list[f->count++] = (struct p2_field){{{p, name.n}, {p + name.n, value.n}}, true};
    f->bytes += bytes;
    return true;
}

static void remove_name(struct wasi_http_types_fields *f, str name) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        if (str_eq_nocase(f->list[i].f.name, name)) release_field(f, &f->list[i]);
        else f->list[kept++] = f->list[i];
    }
    f->count = kept;
}

struct wasi_http_types_fields *p2_fields_of(struct host_instance *in, const struct net_field *list, uint32_t count, void *origin) {
    struct wasi_http_types_fields *f = p2_object_new(in, sizeof *f, p2_fields_destroy);
    if (!f) return NULL;
    f->in = in;
    f->immutable = true;
    f->origin = p2_ref(origin);
    if (!reserve(f, count)) {
        p2_unref(in, f);
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++)
        if (!is_forbidden(list[i].name)) f->list[f->count++] = (struct p2_field){list[i], false};
    return f;
}

struct net_field *p2_fields_array(struct host_call *call, const struct wasi_http_types_fields *f) {
    struct net_field *to = host_alloc(call, (f->count + 1) * sizeof *to, _Alignof(struct net_field));
    for (uint32_t i = 0; to && i < f->count; i++) to[i] = f->list[i].f;
    return to;
}

bool p2_fields_content_length(const struct wasi_http_types_fields *f, uint64_t *length) {
    for (uint32_t i = 0; i < f->count; i++)
        if (str_eq_nocase(f->list[i].f.name, STR("content-length"))) return str_to_u64(f->list[i].f.value, length);
    return false;
}

/* ---- the interface ---- */

enum verdict { FINE, SYNTAX, FORBIDDEN, IMMUTABLE };

static enum verdict judge(const struct wasi_http_types_fields *f, str name, const str *values, size_t count) {
    if (f->immutable) return IMMUTABLE;
    if (!net_field_name_ok(name)) return SYNTAX;
    for (size_t i = 0; i < count; i++)
        if (!net_field_value_ok(values[i])) return SYNTAX;
    return is_forbidden(name) ? FORBIDDEN : FINE;
}

static struct wasi_http_types_header_error error_of(enum verdict v) {
    return (struct wasi_http_types_header_error){.tag = v == IMMUTABLE   ? WASI_HTTP_TYPES_HEADER_ERROR_IMMUTABLE
                                                        : v == FORBIDDEN ? WASI_HTTP_TYPES_HEADER_ERROR_FORBIDDEN
                                                                         : WASI_HTTP_TYPES_HEADER_ERROR_INVALID_SYNTAX};
}

static enum abi_trap too_large(struct host_call *call) {
    return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "wasi:http: a fields resource grew past the limit of header bytes");
}

void wasi_http_types_fields_drop(struct host_instance *in, struct wasi_http_types_fields *self) { p2_unref(in, self); }

enum abi_trap wasi_http_types_fields_new(struct host_call *call, struct wasi_http_types_fields **result) {
    P2_NEW(call, f, wasi_http_types_fields, p2_fields_destroy);
    f->in = call->instance;
    *result = f;
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_http_types_fields_from_list(struct host_call *call, struct wasi_p2_list_tuple2_string_list_u8 entries,
                                               struct wasi_p2_result_http_types_fields_http_types_header_error *result) {
    P2_NEW(call, f, wasi_http_types_fields, p2_fields_destroy);
    f->in = call->instance;
    for (size_t i = 0; i < entries.n; i++) {
        enum verdict v = judge(f, entries.p[i].f0, &entries.p[i].f1, 1);
        bool added = v == FINE && add_copy(f, entries.p[i].f0, entries.p[i].f1);
        if (added) continue;
        p2_unref(call->instance, f);
        if (v == FINE) return too_large(call);
        result->is_err = true;
        result->err = error_of(v);
        return ABI_TRAP_NONE;
    }
    result->ok = f;
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_http_types_fields_get(struct host_call *call, struct wasi_http_types_fields *self, wasi_http_types_field_key name,
                                         struct wasi_p2_list_list_u8 *result) {
    result->p = host_alloc(call, (self->count + 1) * sizeof *result->p, _Alignof(str));
    if (!result->p) return too_large(call);
    for (uint32_t i = 0; i < self->count; i++)
        if (str_eq_nocase(self->list[i].f.name, name)) result->p[result->n++] = self->list[i].f.value;
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_http_types_fields_has(struct host_call *call, struct wasi_http_types_fields *self, wasi_http_types_field_key name, bool *result) {
    for (uint32_t i = 0; i < self->count && !*result; i++) *result = str_eq_nocase(self->list[i].f.name, name);
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_http_types_fields_set(struct host_call *call, struct wasi_http_types_fields *self, wasi_http_types_field_key name,
                                         struct wasi_p2_list_list_u8 value, struct wasi_p2_result_void_http_types_header_error *result) {
    enum verdict v = judge(self, name, value.p, value.n);
    if ((result->is_err = v != FINE)) {
        result->err = error_of(v);
        return ABI_TRAP_NONE;
    }
    remove_name(self, name);
    for (size_t i = 0; i < value.n; i++)
        if (!add_copy(self, name, value.p[i])) return too_large(call);
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_http_types_fields_delete(struct host_call *call, struct wasi_http_types_fields *self, wasi_http_types_field_key name,
                                            struct wasi_p2_result_void_http_types_header_error *result) {
    enum verdict v = judge(self, name, NULL, 0);
    if ((result->is_err = v != FINE)) result->err = error_of(v);
    else remove_name(self, name);
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_http_types_fields_append(struct host_call *call, struct wasi_http_types_fields *self, wasi_http_types_field_key name,
                                            wasi_http_types_field_value value, struct wasi_p2_result_void_http_types_header_error *result) {
    enum verdict v = judge(self, name, &value, 1);
    if ((result->is_err = v != FINE)) result->err = error_of(v);
    else if (!add_copy(self, name, value)) return too_large(call);
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_http_types_fields_entries(struct host_call *call, struct wasi_http_types_fields *self,
                                             struct wasi_p2_list_tuple2_string_list_u8 *result) {
    result->p = host_alloc(call, (self->count + 1) * sizeof *result->p, _Alignof(str));
    if (!result->p) return too_large(call);
    for (; result->n < self->count; result->n++) {
        result->p[result->n].f0 = self->list[result->n].f.name;
        result->p[result->n].f1 = self->list[result->n].f.value;
    }
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_http_types_fields_clone(struct host_call *call, struct wasi_http_types_fields *self, struct wasi_http_types_fields **result) {
    P2_NEW(call, f, wasi_http_types_fields, p2_fields_destroy);
    f->in = call->instance;
    for (uint32_t i = 0; i < self->count; i++)
        if (!add_copy(f, self->list[i].f.name, self->list[i].f.value)) {
            p2_unref(call->instance, f);
            return too_large(call);
        }
    *result = f;
    return ABI_TRAP_NONE;
}
