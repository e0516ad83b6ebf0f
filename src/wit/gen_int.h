/* Inside of the binding generator: one run's state, C names. */
#ifndef ORLO_WIT_GEN_INT_H
#define ORLO_WIT_GEN_INT_H

#include "wit/wit_int.h"

struct wit_gen {
    arena *a;
    struct wit_set *set;
    struct wit_world *world;
    const struct wit_gen_options *o;
    struct buf *out;
    struct map done;  /* header: anonymous types defined; source: descriptors defined */
    struct map names; /* C functions and types declared, against clashes */
    struct diag *d;
};

/* An interface of the world in its roles. */
struct wit_role {
    struct wit_interface *interface;
    bool imported, exported;
};
struct wit_roles {
    VEC(struct wit_role) p;
};
/* Interfaces that the world imports, exports and uses, used before users. World functions come as an interface named "". */
void wit_gen_roles(struct wit_set *set, struct wit_world *world, struct wit_roles *out);

str wit_snake(arena *a, str kebab);                          /* "TLS-error" → "tls_error"; C keywords get a '_' */
str wit_upper(arena *a, str kebab);                          /* "TLS_ERROR" */
str wit_def_c(struct wit_gen *g, const struct wit_def *def); /* "wasi_http_types_method" */
str wit_ident(struct wit_gen *g, const struct wit_type *t);  /* "list_http_types_method": part of an anonymous type's name */
str wit_c_type(struct wit_gen *g, const struct wit_type *t); /* "struct wasi_p2_list_u32", "str", "uint8_t" */
str wit_func_c(struct wit_gen *g, const struct wit_interface *i, const struct wit_func *f); /* "wasi_http_types_fields_append" */
/* Passed by value (scalars, handles, strings, lists), not by const pointer. */
bool wit_by_value(const struct wit_type *t);
/* list<u8>, which is str in C. */
bool wit_is_bytes(const struct wit_type *t);
/* The parameters as C: ", struct x *self, str name". */
str wit_c_params(struct wit_gen *g, const struct wit_func *f);
str wit_param_c(struct wit_gen *g, str name); /* a parameter's C name */

#endif
