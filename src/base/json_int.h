/* Inside src/base: what json_read is made of. */
#ifndef ORLO_BASE_JSON_INT_H
#define ORLO_BASE_JSON_INT_H

#include "base/json.h"

/* False: it is not plainly right, and is for the library to judge; out has some of it then. */
[[nodiscard]] bool json_read_quick(arena *out, str text, struct json *v);
[[nodiscard]] err json_read_library(arena *out, str text, struct json *v, struct diag *d);

#endif
