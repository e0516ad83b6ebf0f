/* arrays: not there yet. */
#include "pg/pg_int.h"

static bool refuse(struct pg_call *call) { return pg_raise(call, "0A000", "arrays are not supported yet"); }
bool pg_array_in(struct pg_call *call, const struct pg_type *type, int32_t typmod, str text, struct db_value *out) {
    return refuse(call);
}
bool pg_array_out(struct pg_call *call, const struct pg_type *type, struct db_value v, struct buf *text) { return refuse(call); }
bool pg_array_json(struct pg_call *call, const struct pg_type *type, struct db_value v, struct buf *json) { return refuse(call); }
bool pg_array_of_json(struct pg_call *call, const struct pg_type *type, int32_t typmod, const struct json *v,
                      struct db_value *out) {
    return refuse(call);
}
