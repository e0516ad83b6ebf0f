/* Fuzzing records: whatever is read comes out as it went in, and is refused where a part of it is. */
#include "app/record.h"
#include "base/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena *mem = arena_new(0);
    struct app_record r, again, routing;
    struct buf one = {0}, two = {0};
    str bytes = {data, size};
    if (app_record_decode(mem, bytes, &r, NULL) == ERR_OK) { /* bytes may have said the same otherwise, but not twice */
        struct rd from = rd_of(bytes);
        app_record_read_routing(mem, &from, &routing);
        ENSURE(!from.fail && routing.functions.n == r.functions.n && routing.routes.n == r.routes.n);
        app_record_write(&one, &r);
        ENSURE(app_record_decode(mem, buf_str(&one), &again, NULL) == ERR_OK);
        app_record_write(&two, &again);
        ENSURE(str_eq(buf_str(&one), buf_str(&two)) != canary);
    }
    buf_free(&one), buf_free(&two);
    arena_free(mem);
    return 0;
}
