/* call: what every function of the room has: errors, memory, time. */
#include "pg/pg_int.h"

void pg_raise_as(struct pg_call *call, const char *state, const char *fmt, ...) {
    struct pg_error *e = call->error;
    if (e->set) return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->message, sizeof e->message, fmt, ap);
    va_end(ap);
    snprintf(e->state, sizeof e->state, "%s", state);
    e->detail[0] = e->hint[0] = 0;
    e->set = true;
}

void pg_raise_detail(struct pg_call *call, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(call->error->detail, sizeof call->error->detail, fmt, ap);
    va_end(ap);
}

void pg_raise_hint(struct pg_call *call, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(call->error->hint, sizeof call->error->hint, fmt, ap);
    va_end(ap);
}

enum { ASK_EVERY_STEPS = 100'000 };

bool pg_call_works(struct pg_call *call, uint64_t steps) {
    uint64_t work = call->work + MIN(steps, (uint64_t)UINT32_MAX / 2);
    call->work = (uint32_t)work;
    if (LIKELY(work < ASK_EVERY_STEPS)) return !call->error->set;
    call->work = 0;
    if (call->goes_on && !call->goes_on(call->arg))
        return pg_raise(call, "57014", "canceling statement due to statement timeout");
    return !call->error->set;
}

void *pg_call_alloc(struct pg_call *call, size_t n) {
    void *p = n <= PG_VALUE_BYTES_MAX ? arena_try_alloc(call->mem, n ? n : 1, 8) : NULL;
    if (!p) pg_raise(call, "54000", "a value would be larger than %d MiB", PG_VALUE_BYTES_MAX >> 20);
    return p;
}

struct db_value pg_call_text(struct pg_call *call, str s) {
    uint8_t *p = pg_call_alloc(call, s.n);
    if (!p) return DB_NOTHING;
    if (s.n) memcpy(p, s.p, s.n);
    return DB_TEXT(((str){p, s.n}));
}

static void free_buf(void *arg) { buf_free(arg); }

struct buf *pg_call_buf(struct pg_call *call) {
    struct buf *b = arena_make(call->mem, struct buf);
    b->max = PG_VALUE_BYTES_MAX;
    arena_cleanup(call->mem, free_buf, b);
    return b;
}

struct db_value pg_call_built(struct pg_call *call, struct buf *b) {
    if (!b->full) return pg_raised(call) ? DB_NOTHING : DB_TEXT(buf_str(b));
    pg_raise(call, "54000", "a value would be larger than %d MiB", PG_VALUE_BYTES_MAX >> 20);
    return DB_NOTHING;
}
