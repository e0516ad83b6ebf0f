/* fields: headers and trailers, as WASI 0.2 and 0.3 have them alike: an ordered list of names and values. Names keep their case and
 * are compared without it. What each version's interface gives is in p2/fields.c and p3/fields.c. */
#ifndef ORLO_WASI_FIELDS_H
#define ORLO_WASI_FIELDS_H

#include "wasi/wasi_int.h"

struct wasi_http_field {
    struct net_field f; /* first */
    bool owned;         /* name and value are one heap block at f.name.p */
};
struct wasi_http_fields {
    struct app_object o;
    struct host_instance *in;
    bool immutable;
    struct wasi_http_field *list;
    uint32_t count, cap;
    size_t bytes; /* of owned names and values; charged */
    void *origin; /* referenced: borrowed names and values live in it */
};

enum wasi_http_verdict { HTTP_FIELD_FINE, HTTP_FIELD_SYNTAX, HTTP_FIELD_FORBIDDEN, HTTP_FIELD_IMMUTABLE };

/* size: of the resource, a struct that begins with this one. NULL: over the instance's limit. */
void *wasi_http_fields_new(struct host_instance *in, size_t size);
/* Copies nothing but the array: names and values borrow from origin (referenced; may be NULL: then until wasi_http_fields_own). Fields of the
 * connection and Host are left out. Immutable. NULL: over the limit. */
void *wasi_http_fields_of(struct host_instance *in, size_t size, const struct net_field *list, uint32_t count, void *origin);
/* What it borrows becomes its own. False: over the limit; what did not fit is gone from it. */
bool wasi_http_fields_own(struct wasi_http_fields *f);
/* May such values be set under that name (more: beside those that are there)? A name alone with count 0. */
enum wasi_http_verdict wasi_http_fields_judge(const struct wasi_http_fields *f, str name, const str *values, size_t count,
                                              bool more);
/* A copy of name and value at the end; false: over a limit. */
[[nodiscard]] bool wasi_http_fields_add(struct wasi_http_fields *f, str name, str value);
void wasi_http_fields_cut(struct wasi_http_fields *f, uint32_t count); /* to the first count */
void wasi_http_fields_remove(struct wasi_http_fields *f, str name);
bool wasi_http_fields_has(const struct wasi_http_fields *f, str name);
bool wasi_http_fields_copy(struct wasi_http_fields *to, const struct wasi_http_fields *from); /* false: over a limit */
/* The values of that name, in call memory. NULL: no memory. */
str *wasi_http_fields_get(struct host_call *call, const struct wasi_http_fields *f, str name, size_t *n);
/* The plain array in call memory. */
struct net_field *wasi_http_fields_array(struct host_call *call, const struct wasi_http_fields *f);
bool wasi_http_fields_content_length(const struct wasi_http_fields *f, uint64_t *length);
enum abi_trap wasi_http_fields_too_large(struct host_call *call);

struct wasi_http_types_fields {
    struct wasi_http_fields f;
};

#endif
