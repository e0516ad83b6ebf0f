/* The tables: every row names types that there are, lookups find what is there, templates print. */
#include "pg/pg.h"
#include <setjmp.h>
#include <cmocka.h>

static void types_are_found(void **state) {
    uint32_t n;
    const struct pg_type *all = pg_types_all(&n);
    assert_true(n > 60);
    for (uint32_t i = 0; i < n; i++) {
        assert_ptr_equal(pg_type_by_id(all[i].id), &all[i]);
        if (all[i].array) assert_int_equal(pg_type_by_id(all[i].array)->element, all[i].id);
    }
    assert_int_equal(pg_type_by_name(STR("timestamp with time zone"))->id, PG_TIMESTAMPTZ);
    assert_int_equal(pg_type_by_name(STR("_int4"))->id, PG_INT4_ARRAY);
    assert_string_equal(pg_type_by_id(PG_INT4_ARRAY)->collation, "array_num");
    assert_string_equal(pg_type_by_id(PG_NUMERIC_ARRAY)->collation, "array_numeric");
    assert_null(pg_type_by_name(STR("nothing")));
}

static void rows_are_sorted_and_whole(void **state) {
    uint32_t n, count;
    const struct pg_operator *operators = pg_operators_all(&n);
    for (uint32_t i = 0; i < n; i++) {
        const struct pg_operator *first = pg_operators_named(str_c(operators[i].name), &count);
        assert_true(first && first <= &operators[i] && &operators[i] < first + count);
    }
    const struct pg_function *functions = pg_functions_all(&n);
    for (uint32_t i = 0; i < n; i++) {
        const struct pg_function *first = pg_functions_named(str_c(functions[i].name), &count);
        assert_true(first && first <= &functions[i] && &functions[i] < first + count);
    }
    const struct pg_c_function *c = pg_c_functions(&n);
    for (uint32_t i = 1; i < n; i++) assert_true(strcmp(c[i - 1].name, c[i].name) < 0);
    assert_null(pg_operators_named(STR("nothing"), &count));
    assert_int_equal(count, 0);
}

static void casts_of_text_are_always_there(void **state) {
    assert_int_equal(pg_cast_find(PG_DATE, PG_TEXT)->context, PG_ASSIGNMENT);
    assert_int_equal(pg_cast_find(PG_TEXT, PG_DATE)->context, PG_EXPLICIT);
    assert_null(pg_cast_find(PG_DATE, PG_BOOL));
}

static void templates_print(void **state) {
    struct buf b = {0};
    uint32_t count;
    const struct pg_operator *o = pg_operators_named(STR("<"), &count);
    while (o->left != PG_NUMERIC) o++;
    struct pg_print_arg args[] = {{STR("a"), PG_NUMERIC, "numeric"}, {STR("b"), PG_NUMERIC, "numeric"}};
    pg_how_print(&b, &o->how, &(struct pg_print){.args = args, .count = 2});
    assert_true(str_eq(buf_str(&b), STR("(a COLLATE numeric < b)")));
    b.n = 0;
    pg_how_print(&b, &pg_cast_find(PG_TEXT, PG_DATE)->how,
                 &(struct pg_print){.args = args, .count = 1, .result = PG_DATE, .typmod = -1});
    assert_true(str_eq(buf_str(&b), STR("pg_in(1082, -1, a)")));
    b.n = 0;
    pg_how_print(&b, &pg_cast_find(PG_UUID, PG_TEXT)->how,
                 &(struct pg_print){.args = (struct pg_print_arg[]){{STR("a"), PG_UUID, ""}}, .count = 1, .result = PG_TEXT});
    assert_true(str_eq(buf_str(&b), STR("pg_out(2950, a)")));
    buf_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_found),
        cmocka_unit_test(rows_are_sorted_and_whole),
        cmocka_unit_test(casts_of_text_are_always_there),
        cmocka_unit_test(templates_print),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
