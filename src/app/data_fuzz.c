/* data_fuzz: any bytes as values. What is read is written as the same bytes. The canary breaks that. */
#include "app/data.h"
#include "base/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena *scratch = arena_new(0);
    struct rd r = rd_of((str){data, size});
    uint32_t count;
    const struct app_value *values = app_values_read(scratch, &r, &count);
    struct buf again = {0};
    app_values_write(&again, values, count);
    if (canary) again.n -= again.n > 0;
    if (!r.fail) ENSURE(str_eq(buf_str(&again), (str){data, size}));
    else ENSURE(!count);
    buf_free(&again);
    arena_free(scratch);
    return 0;
}
