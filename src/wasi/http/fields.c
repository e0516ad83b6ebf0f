/* fields: the list behind the fields resources (http/fields.h). */
#include "wasi/http/fields.h"
#include <stdlib.h>

/* Fields of the connection, which a guest neither sees nor sets (RFC 9110 §7.6.1), and Host, which is the authority. */
static const str forbidden[] = {STR_INIT("connection"),
                                STR_INIT("keep-alive"),
                                STR_INIT("proxy-authenticate"),
                                STR_INIT("proxy-authorization"),
                                STR_INIT("proxy-connection"),
                                STR_INIT("transfer-encoding"),
                                STR_INIT("upgrade"),
                                STR_INIT("host"),
                                STR_INIT("http2-settings")};

static bool is_forbidden(str name) {
    for (size_t i = 0; i < ARRAY_COUNT(forbidden); i++)
        if (str_eq_nocase(name, forbidden[i])) return true;
    return false;
}

static void release_field(struct wasi_http_fields *f, struct wasi_http_field *e) {
    if (!e->owned) return;
    size_t bytes = e->f.name.n + e->f.value.n;
    f->bytes -= bytes;
    host_uncharge(f->in, bytes);
    free((void *)(uintptr_t)e->f.name.p);
}

static void destroy(struct host_instance *in, void *self) {
    struct wasi_http_fields *f = self;
    for (uint32_t i = 0; i < f->count; i++) release_field(f, &f->list[i]);
    host_uncharge(in, f->cap * sizeof *f->list);
    free(f->list);
    app_object_unref(in, f->origin);
}

void *wasi_http_fields_new(struct host_instance *in, size_t size) {
    struct wasi_http_fields *f = app_object_new(in, size, destroy);
    if (f) f->in = in;
    return f;
}

/* So that going through them all is a short step. */
enum { FIELDS_MAX = 4096 };

/* Room for n more. False: over the instance's limit. */
static bool reserve(struct wasi_http_fields *f, uint32_t n) {
    if (n > FIELDS_MAX - f->count) return false;
    if (n <= f->cap - f->count) return true;
    uint32_t cap = MAX(f->count + n, f->cap * 2);
    if (!host_charge(f->in, (cap - f->cap) * sizeof *f->list)) return false;
    f->cap = cap;
    f->list = realloc(f->list, cap * sizeof *f->list);
    ENSURE(f->list);
    return true;
}

void *wasi_http_fields_of(struct host_instance *in, size_t size, const struct net_field *list, uint32_t count, void *origin) {
    struct wasi_http_fields *f = wasi_http_fields_new(in, size);
    if (!f) return NULL;
    f->immutable = true;
    f->origin = app_object_ref(origin);
    if (!reserve(f, count)) {
        app_object_unref(in, f);
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++)
        if (!is_forbidden(list[i].name)) f->list[f->count++] = (struct wasi_http_field){list[i], false};
    return f;
}

static size_t bytes_max(const struct wasi_http_fields *f) { return app_instance_of(f->in)->app->limits->head_bytes_max; }

/* False: over a limit, and nothing taken. */
static bool copy_field(struct wasi_http_fields *f, struct wasi_http_field *to, str name, str value) {
    size_t bytes = name.n + value.n, max = bytes_max(f);
    if (bytes > max || f->bytes > max - bytes || !host_charge(f->in, bytes)) return false;
    uint8_t *p = malloc(bytes + 1);
    ENSURE(p);
    if (name.n) memcpy(p, name.p, name.n);
    if (value.n) memcpy(p + name.n, value.p, value.n);
    *to = (struct wasi_http_field){{{p, name.n}, {p + name.n, value.n}}, true};
    f->bytes += bytes;
    return true;
}

bool wasi_http_fields_add(struct wasi_http_fields *f, str name, str value) {
    if (!reserve(f, 1) || !copy_field(f, &f->list[f->count], name, value)) return false;
    f->count++;
    return true;
}

bool wasi_http_fields_own(struct wasi_http_fields *f) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        struct wasi_http_field e = f->list[i];
        if (e.owned || copy_field(f, &e, e.f.name, e.f.value)) f->list[kept++] = e;
    }
    bool all = kept == f->count;
    f->count = kept;
    return all;
}

void wasi_http_fields_cut(struct wasi_http_fields *f, uint32_t count) {
    while (f->count > count) release_field(f, &f->list[--f->count]);
}

void wasi_http_fields_remove(struct wasi_http_fields *f, str name) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        if (str_eq_nocase(f->list[i].f.name, name)) release_field(f, &f->list[i]);
        else f->list[kept++] = f->list[i];
    }
    f->count = kept;
}

bool wasi_http_fields_has(const struct wasi_http_fields *f, str name) {
    for (uint32_t i = 0; i < f->count; i++)
        if (str_eq_nocase(f->list[i].f.name, name)) return true;
    return false;
}

bool wasi_http_fields_copy(struct wasi_http_fields *to, const struct wasi_http_fields *from) {
    for (uint32_t i = 0; i < from->count; i++)
        if (!wasi_http_fields_add(to, from->list[i].f.name, from->list[i].f.value)) return false;
    return true;
}

str *wasi_http_fields_get(struct host_call *call, const struct wasi_http_fields *f, str name, size_t *n) {
    str *p = host_alloc(call, (f->count + 1) * sizeof *p, _Alignof(str));
    *n = 0;
    for (uint32_t i = 0; p && i < f->count; i++)
        if (str_eq_nocase(f->list[i].f.name, name)) p[(*n)++] = f->list[i].f.value;
    return p;
}

struct net_field *wasi_http_fields_array(struct host_call *call, const struct wasi_http_fields *f) {
    struct net_field *to = host_alloc(call, (f->count + 1) * sizeof *to, _Alignof(struct net_field));
    for (uint32_t i = 0; to && i < f->count; i++) to[i] = f->list[i].f;
    return to;
}

bool wasi_http_fields_content_length(const struct wasi_http_fields *f, uint64_t *length) {
    for (uint32_t i = 0; i < f->count; i++)
        if (str_eq_nocase(f->list[i].f.name, STR("content-length"))) return str_to_u64(f->list[i].f.value, length);
    return false;
}

/* Of content-length, of which there may be one (RFC 9110 §8.6). */
static bool length_ok(str value) {
    uint64_t n;
    return str_to_u64(value, &n) && n <= INT64_MAX;
}

enum wasi_http_verdict wasi_http_fields_judge(const struct wasi_http_fields *f, str name, const str *values, size_t count,
                                              bool more) {
    if (f->immutable) return HTTP_FIELD_IMMUTABLE;
    size_t bytes = name.n, max = bytes_max(f);
    for (size_t i = 0; i < count && i <= FIELDS_MAX && bytes <= max; i++) bytes += values[i].n;
    if (bytes > max || count > FIELDS_MAX) return HTTP_FIELD_FINE; /* however long it takes to look at: it cannot be added */
    if (!net_field_name_ok(name)) return HTTP_FIELD_SYNTAX;
    for (size_t i = 0; i < count; i++)
        if (!net_field_value_ok(values[i])) return HTTP_FIELD_SYNTAX;
    if (count && str_eq_nocase(name, STR("content-length")) &&
        (count > 1 || !length_ok(values[0]) || (more && wasi_http_fields_has(f, name))))
        return HTTP_FIELD_SYNTAX;
    return is_forbidden(name) ? HTTP_FIELD_FORBIDDEN : HTTP_FIELD_FINE;
}

enum abi_trap wasi_http_fields_too_large(struct host_call *call) {
    return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "wasi:http: a fields resource grew past the limit of header bytes");
}
