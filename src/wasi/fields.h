/* fields: headers and trailers, as WASI 0.2 and 0.3 have them alike: an ordered list of names and values. Names keep their case and
 * are compared without it. What each version's interface gives is in p2_fields.c and p3_fields.c. */
#ifndef ORLO_WASI_FIELDS_H
#define ORLO_WASI_FIELDS_H

#include "wasi/p2_int.h"

struct http_field {
    struct net_field f; /* first */
    bool owned;         /* name and value are one heap block at f.name.p */
};
struct http_fields {
    struct p2_object o;
    struct host_instance *in;
    bool immutable;
    struct http_field *list;
    uint32_t count, cap;
    size_t bytes; /* of owned names and values; charged */
    void *origin; /* referenced: borrowed names and values live in it */
};

enum http_verdict { HTTP_FIELD_FINE, HTTP_FIELD_SYNTAX, HTTP_FIELD_FORBIDDEN, HTTP_FIELD_IMMUTABLE };

/* size: of the resource, a struct that begins with this one. NULL: over the instance's limit. */
void *http_fields_new(struct host_instance *in, size_t size);
/* Copies nothing but the array: names and values borrow from origin (referenced; may be NULL: then until http_fields_own). Fields of the
 * connection and Host are left out. Immutable. NULL: over the limit. */
void *http_fields_of(struct host_instance *in, size_t size, const struct net_field *list, uint32_t count, void *origin);
/* What it borrows becomes its own. False: over the limit; what did not fit is gone from it. */
bool http_fields_own(struct http_fields *f);
/* May such values be set under that name (more: beside those that are there)? A name alone with count 0. */
enum http_verdict http_fields_judge(const struct http_fields *f, str name, const str *values, size_t count, bool more);
/* A copy of name and value at the end; false: over a limit. */
[[nodiscard]] bool http_fields_add(struct http_fields *f, str name, str value);
void http_fields_cut(struct http_fields *f, uint32_t count); /* to the first count */
void http_fields_remove(struct http_fields *f, str name);
bool http_fields_has(const struct http_fields *f, str name);
bool http_fields_copy(struct http_fields *to, const struct http_fields *from); /* false: over a limit */
/* The values of that name, in call memory. NULL: no memory. */
str *http_fields_get(struct host_call *call, const struct http_fields *f, str name, size_t *n);
/* The plain array in call memory. */
struct net_field *http_fields_array(struct host_call *call, const struct http_fields *f);
bool http_fields_content_length(const struct http_fields *f, uint64_t *length);
enum abi_trap http_fields_too_large(struct host_call *call);

struct wasi_http_types_fields {
    struct http_fields f;
};

#endif
