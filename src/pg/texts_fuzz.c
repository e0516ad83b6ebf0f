/* Fuzz target of the texts' readers: jsonb, arrays, tsvector and tsquery, LIKE, regular expressions. What is read is printed, and read again, as the
 * same; patterns are matched against the rest of the input, within their limits.
 *
 * The first byte says which; a pattern ends at the first NUL byte. */
#include "base/fuzz.h"
#include "pg/pg.h"

static struct pg_error error;
static struct pg_session session;
static uint32_t asked;
static bool goes_on(void *arg) {
    (void)arg;
    return ++asked < 200;
}

static bool text_of(struct pg_call *call, uint32_t type, str in, str *out) {
    struct db_value v;
    struct buf b = {.max = PG_VALUE_BYTES_MAX};
    bool ok = pg_value_in(call, type, -1, in, &v) && v.kind != DB_NULL && pg_value_out(call, type, v, &b);
    if (ok) *out = arena_str(call->mem, buf_str(&b));
    buf_free(&b);
    return ok;
}

static void round_trip(struct pg_call *call, uint32_t type, str in) {
    str once, again;
    if (!text_of(call, type, in, &once)) {
        ENSURE(error.set && strlen(error.state) == 5);
        return;
    }
    ENSURE(text_of(call, type, once, &again));
    if (canary && once.n > 2) again.n--;
    ENSURE(str_eq(once, again));
}

static void call_named(struct pg_call *call, const char *name, const struct db_value *args, uint32_t n) {
    uint32_t count;
    const struct pg_c_function *all = pg_c_functions(&count);
    struct db_value out = DB_NOTHING;
    for (uint32_t i = 0; i < count; i++)
        if (!strcmp(all[i].name, name)) {
            all[i].fn(call, args, n, &out);
            return;
        }
    ENSURE(!"a function of that name");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint32_t types[] = {PG_JSONB,   PG_TEXT_ARRAY, PG_INT4_ARRAY, PG_JSONB_ARRAY, PG_TSVECTOR,
                                     PG_TSQUERY, PG_BYTEA,      PG_UUID,       PG_INET,        PG_JSON};
    static const char *const patterns[] = {
        "pg_like", "pg_ilike", "pg_regex_eq", "pg_regex_substring", "pg_regexp_split_to_array", "pg_regexp_match"};
    if (!size) return 0;
    session.error = &error;
    error.set = false;
    asked = 0;
    struct pg_call call = {.mem = arena_new(0), .session = &session, .error = &error, .goes_on = goes_on};
    str s = {data + 1, MIN(size - 1, (size_t)4096)}, pattern, subject;
    if (!str_is_utf8(s)) s.n = 0;
    if (data[0] % 16 < ARRAY_COUNT(types)) {
        round_trip(&call, types[data[0] % 16], s);
    } else {
        str_cut(s, 0, &pattern, &subject);
        const struct db_value args[] = {DB_TEXT(subject), DB_TEXT(pattern)};
        call_named(&call, patterns[data[0] % 16 - ARRAY_COUNT(types)], args, 2);
        call_named(&call, "pg_similar_to_escape", args + 1, 1);
    }
    arena_free(call.mem);
    return 0;
}
