/* query_fuzz: any bytes as a request. It is read, or refused with a code and a sentence; what was read keeps within the bounds, and refers to the text
 * alone. The canary says that a refusal has no sentence. */
#include "base/fuzz.h"
#include "query/query.h"

static void check_where(const struct query_where *w, uint32_t depth) {
    ENSURE(depth <= 33 && w->kind <= QUERY_HAS);
    if (w->kind == QUERY_TEST) ENSURE(w->test.op < QUERY_OP_COUNT && w->test.field.column.n);
    for (uint32_t i = 0; i < w->parts_count; i++) check_where(&w->parts[i], depth + 1);
}

static void check_select(const struct query_select *s, uint32_t depth) {
    ENSURE(depth <= QUERY_EMBEDS_MAX && s->limit >= -1 && s->offset >= 0);
    if (s->where) check_where(s->where, 0);
    for (uint32_t i = 0; i < s->items_count; i++)
        if (s->items[i].embed) check_select(&s->items[i].embed->select, depth + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena *a = arena_new(0);
    struct pg_error error = {0};
    struct query_batch b;
    if (query_read_batch(a, (str){data, size}, &b, &error)) {
        ENSURE(!error.set && b.count);
        for (uint32_t i = 0; i < b.count; i++) check_select(&b.queries[i].select, 0);
    } else {
        if (canary) error.message[0] = 0;
        ENSURE(error.set && error.state[0] && error.message[0]);
    }
    arena_free(a);
    return 0;
}
