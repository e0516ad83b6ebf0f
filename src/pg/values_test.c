/* The tests of numbers and times, with answers that PostgreSQL 15 gave: they hold where there is none to ask (tests/pg/oracle.py asks). */
#include "pg/pg.h"
#include <setjmp.h>
#include <cmocka.h>

struct fixture {
    struct pg_error error;
    struct pg_session session;
    struct pg_call call;
};

static bool never(void *arg) { return false; }

static void open_fixture(struct fixture *f) {
    *f = (struct fixture){.session = {.time_zone = STR("Europe/Berlin"), .now = 820454400000000}};
    f->call = (struct pg_call){.mem = arena_new(0), .session = &f->session, .error = &f->error};
}

static pg_fn function_named(const char *name) {
    uint32_t n;
    const struct pg_c_function *all = pg_c_functions(&n);
    for (uint32_t i = 0; i < n; i++)
        if (!strcmp(all[i].name, name)) return all[i].fn;
    fail_msg("no function %s", name);
    return NULL;
}

/* The text of the answer, or "! SQLSTATE message". */
static const char *answer(struct fixture *f, uint32_t type, struct db_value v) {
    struct buf b = {0};
    if (!pg_raised(&f->call) && v.kind == DB_NULL) return "null";
    if (!pg_raised(&f->call)) (void)pg_value_out(&f->call, type, v, &b);
    str s = pg_raised(&f->call) ? arena_fmt(f->call.mem, "! %s %s", f->error.state, f->error.message)
                                : arena_str(f->call.mem, buf_str(&b));
    buf_free(&b);
    return (const char *)s.p;
}

static void reads(uint32_t type, const char *text, const char *expected) {
    struct fixture f;
    struct db_value v;
    open_fixture(&f);
    if (!pg_value_in(&f.call, type, -1, str_c(text), &v)) v = DB_NOTHING;
    assert_string_equal(answer(&f, type, v), expected);
    arena_free(f.call.mem);
}

static void gives(const char *name, uint32_t result, const char *expected, uint32_t n, const uint32_t *types,
                  const char *const *texts) {
    struct fixture f;
    struct db_value args[8], out = DB_NOTHING;
    open_fixture(&f);
    for (uint32_t i = 0; i < n; i++) {
        if (types[i] == PG_TEXT) args[i] = DB_TEXT(str_c(texts[i]));
        else assert_true(pg_value_in(&f.call, types[i], -1, str_c(texts[i]), &args[i]));
    }
    function_named(name)(&f.call, args, n, &out);
    assert_string_equal(answer(&f, result, out), expected);
    arena_free(f.call.mem);
}
#define GIVES2(name, type, other, result, a, b, expected)                                                                        \
    gives(name, PG_##result, expected, 2, (const uint32_t[]){PG_##type, PG_##other}, (const char *const[]){a, b})
#define GIVES1(name, type, result, a, expected)                                                                                  \
    gives(name, PG_##result, expected, 1, (const uint32_t[]){PG_##type}, (const char *const[]){a})

static void numbers_are_read(void **state) {
    reads(PG_NUMERIC, " 1.50 ", "1.50");
    reads(PG_NUMERIC, "1.5e3", "1500");
    reads(PG_NUMERIC, "-1.5e-3", "-0.0015");
    reads(PG_NUMERIC, "nan", "NaN");
    reads(PG_NUMERIC, "-Inf", "-Infinity");
    reads(PG_NUMERIC, "-0.00", "0.00");
    reads(PG_NUMERIC, "1e131072", "! 22003 value overflows numeric format");
    reads(PG_NUMERIC, "1e2147483647", "! 22003 value overflows numeric format");
    reads(PG_NUMERIC, "1_000", "! 22P02 invalid input syntax for type numeric: \"1_000\"");
    reads(PG_INT4, "2147483648", "! 22003 value \"2147483648\" is out of range for type integer");
    reads(PG_INT2, " -32768 ", "-32768");
    reads(PG_INT8, "", "! 22P02 invalid input syntax for type bigint: \"\"");
    reads(PG_FLOAT8, "0.1", "0.1");
    reads(PG_FLOAT8, "1e15", "1e+15");
    reads(PG_FLOAT8, "5.0993717942005424e16", "5.0993717942005424e+16");
    reads(PG_FLOAT8, "5e-324", "5e-324");
    reads(PG_FLOAT4, "40490674", "4.0490672e+07");
    reads(PG_FLOAT8, "1e400", "! 22003 \"1e400\" is out of range for type double precision");
    reads(PG_BOOL, "of", "f");
    reads(PG_BOOL, "o", "! 22P02 invalid input syntax for type boolean: \"o\"");
}

static void numeric_is_exact(void **state) {
    GIVES2("pg_numeric_add", NUMERIC, NUMERIC, NUMERIC, "0.1", "0.20", "0.30");
    GIVES2("pg_numeric_div", NUMERIC, NUMERIC, NUMERIC, "1", "3", "0.33333333333333333333");
    GIVES2("pg_numeric_div", NUMERIC, NUMERIC, NUMERIC, "123456789012345678901234567890", "7", "17636684144620811271604938270");
    GIVES2("pg_numeric_div", NUMERIC, NUMERIC, NUMERIC, "1", "0", "! 22012 division by zero");
    GIVES2("pg_numeric_mul", NUMERIC, NUMERIC, NUMERIC, "99999.99", "-99999.99", "-9999998000.0001");
    GIVES2("pg_numeric_mod", NUMERIC, NUMERIC, NUMERIC, "-10.5", "3", "-1.5");
    GIVES2("pg_numeric_power", NUMERIC, NUMERIC, NUMERIC, "2", "0.5", "1.4142135623730950");
    GIVES2("pg_numeric_power", NUMERIC, NUMERIC, NUMERIC, "-2.5", "7", "-610.3515625000000000");
    GIVES2("pg_numeric_power", NUMERIC, NUMERIC, NUMERIC, "10", "200000", "! 22003 value overflows numeric format");
    GIVES1("pg_numeric_sqrt", NUMERIC, NUMERIC, "2", "1.414213562373095");
    GIVES1("pg_numeric_exp", NUMERIC, NUMERIC, "1", "2.7182818284590452");
    GIVES1("pg_numeric_ln", NUMERIC, NUMERIC, "10", "2.3025850929940457");
    GIVES1("pg_numeric_ln", NUMERIC, NUMERIC, "0", "! 2201E cannot take logarithm of zero");
    GIVES2("pg_numeric_round", NUMERIC, INT4, NUMERIC, "-2.345", "2", "-2.35");
    GIVES2("pg_numeric_round", NUMERIC, INT4, NUMERIC, "1450", "-2", "1500");
    GIVES2("pg_numeric_sized", NUMERIC, INT4, NUMERIC, "999.995", "327686", "! 22003 numeric field overflow");
    GIVES2("pg_numeric_sized", NUMERIC, INT4, NUMERIC, "999.994", "327686", "999.99");
    GIVES1("pg_int4_of_numeric", NUMERIC, INT4, "-2.5", "-3");
    GIVES1("pg_int4_of_float", FLOAT8, INT4, "2.5", "2");
    GIVES2("pg_int4_add", INT4, INT4, INT4, "2147483647", "1", "! 22003 integer out of range");
    GIVES2("pg_int8_div", INT8, INT8, INT8, "-9223372036854775808", "-1", "! 22003 bigint out of range");
}

static void times_are_read(void **state) {
    reads(PG_DATE, "January 8, 99 BC", "0099-01-08 BC");
    reads(PG_DATE, "J2451187", "1999-01-08");
    reads(PG_DATE, "2023-02-29", "! 22008 date/time field value out of range: \"2023-02-29\"");
    reads(PG_DATE, "infinity", "infinity");
    reads(PG_TIMESTAMP, "19990108T040506.7890126", "1999-01-08 04:05:06.789013");
    reads(PG_TIMESTAMPTZ, "2024-07-01 12:00", "2024-07-01 12:00:00+02");
    reads(PG_TIMESTAMPTZ, "2024-03-31 02:30", "2024-03-31 03:30:00+02");
    reads(PG_TIMESTAMPTZ, "2024-10-27 02:30", "2024-10-27 02:30:00+01");
    reads(PG_TIMESTAMPTZ, "2100-07-01 12:00 America/New_York", "2100-07-01 18:00:00+02");
    reads(PG_TIMESTAMPTZ, "294277-01-02", "! 22008 timestamp out of range: \"294277-01-02\"");
    reads(PG_TIME, "04:05 PM", "16:05:00");
    reads(PG_TIMETZ, "04:05:06+05:30", "04:05:06+05:30");
    reads(PG_INTERVAL, "P1Y2M10DT2H30M", "1 year 2 mons 10 days 02:30:00");
    reads(PG_INTERVAL, "1.5 months", "1 mon 15 days");
    reads(PG_INTERVAL, "1 year -2 mons 3 days ago", "-10 mons -3 days");
    reads(PG_INTERVAL, "1 fortnight", "! 22007 invalid input syntax for type interval: \"1 fortnight\"");
    reads(PG_INTERVAL, "2147483648 days", "! 22015 interval field value out of range: \"2147483648 days\"");
}

static void times_are_counted(void **state) {
    GIVES2("pg_timestamp_add", TIMESTAMP, INTERVAL, TIMESTAMP, "2024-01-31 10:00", "1 month", "2024-02-29 10:00:00");
    GIVES2("pg_timestamptz_add", TIMESTAMPTZ, INTERVAL, TIMESTAMPTZ, "2024-03-30 12:00+01", "1 day", "2024-03-31 12:00:00+02");
    GIVES2("pg_timestamptz_add", TIMESTAMPTZ, INTERVAL, TIMESTAMPTZ, "2024-03-30 12:00+01", "24 hours", "2024-03-31 13:00:00+02");
    GIVES2("pg_age_timestamp", TIMESTAMP, TIMESTAMP, INTERVAL, "2001-04-10", "1957-06-13", "43 years 9 mons 27 days");
    GIVES2("pg_extract_timestamp", TEXT, TIMESTAMP, NUMERIC, "epoch", "1970-01-02 00:00:00.5", "86400.500000");
    GIVES2("pg_extract_timestamp", TEXT, TIMESTAMP, NUMERIC, "week", "2006-01-01", "52");
    GIVES2("pg_extract_date", TEXT, DATE, NUMERIC, "hour", "2006-01-01", "! 0A000 unit \"hour\" not supported for type date");
    GIVES2("pg_date_trunc_timestamptz", TEXT, TIMESTAMPTZ, TIMESTAMPTZ, "day", "2024-03-31 12:00+02", "2024-03-31 00:00:00+01");
    GIVES2("pg_timezone_timestamptz", TEXT, TIMESTAMPTZ, TIMESTAMP, "America/New_York", "2024-07-01 12:00+00",
           "2024-07-01 08:00:00");
    GIVES2("pg_timezone_timestamp", TEXT, TIMESTAMP, TIMESTAMPTZ, "Nowhere", "2024-07-01",
           "! 22023 time zone \"Nowhere\" not recognized");
    GIVES2("pg_interval_mul", INTERVAL, FLOAT8, INTERVAL, "1 mon", "0.5", "15 days");
    GIVES1("pg_justify_interval", INTERVAL, INTERVAL, "1 mon -1 hour", "29 days 23:00:00");
    GIVES2("pg_to_char_timestamp", TIMESTAMP, TEXT, TEXT, "2024-02-09 14:05", "FMDay, DDth Month YYYY HH12:MI am",
           "Friday, 09th February  2024 02:05 pm");
    GIVES2("pg_to_date", TEXT, TEXT, DATE, "05 Dec 2000", "DD Mon YYYY", "2000-12-05");
}

/* What takes long asks, and ends. */
static void time_is_limited(void **state) {
    struct fixture f;
    open_fixture(&f);
    f.call.goes_on = never;
    struct db_value v, out = DB_NOTHING;
    assert_true(pg_value_in(&f.call, PG_NUMERIC, -1, STR("1e20000"), &v));
    struct db_value one[] = {DB_TEXT(STR("7")), DB_TEXT(STR("140000"))};
    function_named("pg_numeric_power")(&f.call, one, 2, &out);
    assert_string_equal(f.error.state, "57014");
    arena_free(f.call.mem);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read),  cmocka_unit_test(numeric_is_exact), cmocka_unit_test(times_are_read),
        cmocka_unit_test(times_are_counted), cmocka_unit_test(time_is_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
