/* schema_fuzz: any JSON as a body of the admin API.
 *
 * What must hold: for each schema there is a verdict, with words and the place where it is wrong; the same value, written again, has the same
 * one. The canary breaks the last of these. */
#include "base/fuzz.h"
#include "node/control/api_int.h"

static const struct json_limits limits = {.bytes_max = 1 << 20, .depth_max = 16, .values_max = 1 << 14};

static err verdict(arena *mem, enum api_schema schema, const struct json *v, str *key) {
    struct diag d = DIAG_INIT;
    *key = (str){0};
    err e = node_api_schema_check(mem, schema, v, key, &d);
    ENSURE(e == ERR_OK || (e == ERR_INVALID && d.text[0]));
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena *mem = arena_new(0);
    struct json v, again;
    struct diag d = DIAG_INIT;
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    if (json_read(mem, (str){data, size}, &limits, &v, &d) == ERR_OK) {
        json_put(&w, NULL, &v);
        ENSURE(json_done(&w) &&
               json_read(mem, buf_str(&b), &(struct json_limits){.bytes_max = 8 << 20, .depth_max = 16, .values_max = 1 << 14},
                         &again, &d) == ERR_OK);
        for (enum api_schema s = 0; s < API_SCHEMAS; s++) {
            str key, other;
            if (!node_api_schemas[s].name) continue;
            err e = verdict(mem, s, &v, &key), f = verdict(mem, s, &again, &other);
            if (canary && e == ERR_OK) f = ERR_INVALID;
            ENSURE(e == f && str_eq(key, other));
        }
    }
    buf_free(&b);
    arena_free(mem);
    return 0;
}
