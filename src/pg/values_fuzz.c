/* Fuzz target of texts that are read as numbers, dates, times and intervals, and of pictures. What is read is printed, and read again is the
 * same; nothing else but an error of PostgreSQL's comes of any bytes. The first byte says which type, or which picture's function. */
#include "base/fuzz.h"
#include "pg/pg.h"

static const uint32_t types[] = {PG_NUMERIC, PG_FLOAT8, PG_FLOAT4, PG_INT4,      PG_INT8,        PG_BOOL,    PG_OID,
                                 PG_DATE,    PG_TIME,   PG_TIMETZ, PG_TIMESTAMP, PG_TIMESTAMPTZ, PG_INTERVAL};

static void round_trip(struct pg_call *call, uint32_t type, str text) {
    struct db_value v, again;
    struct buf b = {0}, c = {0};
    if (pg_value_in(call, type, -1, text, &v)) {
        ENSURE(!pg_raised(call) && pg_value_out(call, type, v, &b));
        ENSURE(pg_value_in(call, type, -1, buf_str(&b), &again));
        ENSURE(pg_value_out(call, type, again, &c));
        if (canary && type == PG_NUMERIC) c.n = 0;
        ENSURE(str_eq(buf_str(&b), buf_str(&c)) && pg_value_compare(type, v, again) == 0);
    } else {
        ENSURE(pg_raised(call) && strlen(call->error->state) == 5 && call->error->message[0]);
    }
    buf_free(&b), buf_free(&c);
}

/* picture NUL text */
static void pictured(struct pg_call *call, const char *name, str s, struct db_value value) {
    str picture, text;
    uint32_t n;
    const struct pg_c_function *all = pg_c_functions(&n);
    str_cut(s, 0, &picture, &text);
    struct db_value args[] = {value.kind == DB_NULL ? DB_TEXT(text) : value, DB_TEXT(picture)}, out = DB_NOTHING;
    for (uint32_t i = 0; i < n; i++)
        if (!strcmp(all[i].name, name)) all[i].fn(call, args, 2, &out);
    ENSURE(pg_raised(call) == (call->error->message[0] != 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size) return 0;
    struct pg_error error = {0};
    struct pg_session session = {.time_zone = STR("Europe/Berlin"), .now = 820454400000000, .error = &error};
    struct pg_call call = {.mem = arena_new(64 << 20), .session = &session, .error = &error};
    str text = {data + 1, size - 1};
    switch (data[0] % (ARRAY_COUNT(types) + 4)) {
    case ARRAY_COUNT(types): pictured(&call, "pg_to_timestamp_text", text, DB_NOTHING); break;
    case ARRAY_COUNT(types) + 1: pictured(&call, "pg_to_char_timestamptz", text, DB_I64(123456789012345678)); break;
    case ARRAY_COUNT(types) + 2: pictured(&call, "pg_to_char_interval", text, DB_TEXT(STR("-1 years 3 mons -04:05:06.7"))); break;
    case ARRAY_COUNT(types) + 3: pictured(&call, "pg_to_date", text, DB_NOTHING); break;
    default: round_trip(&call, types[data[0] % (ARRAY_COUNT(types) + 4)], text); break;
    }
    arena_free(call.mem);
    return 0;
}
