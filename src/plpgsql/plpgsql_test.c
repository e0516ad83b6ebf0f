/* Bodies: what is read of them, and what is refused, where and in which words (PostgreSQL 15's). */
#include "plpgsql/plpgsql.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static arena *mem;

static struct plpgsql_statement *read(const char *body) {
    struct plpgsql_tree tree;
    struct plpgsql_problem problem;
    if (!plpgsql_parse(mem, str_c(body), &tree, &problem)) fail_msg("%s: %s at %u", body, problem.message, problem.at);
    return tree.block;
}

static void statements(void **state) {
    struct plpgsql_statement *b =
        read("declare v public.notes%rowtype; n int not null := 1; begin v.title := 'a;b'; if n > 1 then null; elsif n = 1 "
             "then return; else raise exception 'x % %%', n using errcode = 'P0002'; end if; end;");
    assert_int_equal(b->declarations.n, 2);
    assert_true(str_eqc(b->declarations.p[0].type.text, "public.notes%rowtype") && b->declarations.p[1].not_null);
    assert_int_equal(b->body.n, 2);
    struct plpgsql_statement *set = b->body.p[0], *test = b->body.p[1];
    assert_true(set->kind == PLPGSQL_ASSIGN && set->targets.p[0].n == 2 && str_eqc(set->expr.text, "'a;b'"));
    assert_true(test->kind == PLPGSQL_IF && test->arms.n == 2 && test->has_else);
    struct plpgsql_statement *raise = test->body.p[0];
    assert_true(raise->kind == PLPGSQL_RAISE && raise->exprs.n == 1 && raise->options.n == 1 &&
                raise->level == PLPGSQL_EXCEPTION);
}

static void strings(void **state) {
    struct plpgsql_statement *b =
        read("begin raise exception 'a % '\n  'b %' -- c\n 'd', 1, e'\\'x'; raise notice $$q '%'$$, 2; end");
    assert_true(str_eqc(b->body.p[0]->format, "a % b %d") && b->body.p[0]->exprs.n == 2);
    assert_true(str_eqc(b->body.p[1]->format, "q '%'"));
}

static void into(void **state) {
    struct plpgsql_statement *b =
        read("begin select a, b into strict x, r.f from t where c = 1; insert into t (a) values (1) returning a into x; end");
    assert_true(b->body.p[0]->into && b->body.p[0]->strict && b->body.p[0]->targets.n == 2 && b->body.p[0]->targets.p[1].n == 2);
    assert_true(str_eqc(b->body.p[0]->expr.text, "select a, b  from t where c = 1"));
    assert_true(str_eqc(b->body.p[1]->expr.text, "insert into t (a) values (1) returning a  ") && b->body.p[1]->targets.n == 1);
}

static void loops(void **state) {
    struct plpgsql_statement *b =
        read("<<o>> begin <<l>> for i in reverse 10..1 by 2 loop exit l when i < 3; end loop l; for r in select 1 loop continue; "
             "end loop; foreach x in array a loop null; end loop; while true loop exit; end loop; end o");
    assert_int_equal(b->body.n, 4);
    assert_true(b->body.p[0]->kind == PLPGSQL_FOR_INTEGER && b->body.p[0]->reverse && str_eqc(b->body.p[0]->by.text, "2"));
    assert_true(b->body.p[1]->kind == PLPGSQL_FOR_QUERY && b->body.p[2]->kind == PLPGSQL_FOREACH &&
                b->body.p[3]->kind == PLPGSQL_WHILE);
}

static void handlers(void **state) {
    struct plpgsql_statement *b =
        read("begin perform 1; exception when unique_violation or sqlstate 'P0001' then null; when others then raise; end");
    assert_int_equal(b->handlers.n, 2);
    assert_true(b->handlers.p[0].conditions.n == 2 && str_eqc(b->handlers.p[0].conditions.p[0], "23505"));
    assert_true(str_eqc(b->handlers.p[1].conditions.p[0], "OTHER"));
}

static void refused(void **state) {
    static const struct {
        const char *body, *state, *message;
    } rows[] = {
        {"begin", "42601", "syntax error at end of input"},
        {"begin x := ; end", "42601", "missing expression at or near \";\""},
        {"begin if true null; end if; end", "42601", "missing \"THEN\" at end of SQL expression"},
        {"begin raise exception 'a %'; end", "42601", "too few parameters specified for RAISE"},
        {"begin raise exception 'a', 1; end", "42601", "too many parameters specified for RAISE"},
        {"begin raise no_such; end", "42704", "unrecognized exception condition \"no_such\""},
        {"declare a int; a int; begin end", "42601", "duplicate declaration at or near \"a\""},
        {"begin null; end; x", "42601", "syntax error at or near \"x\""},
        {"begin select (1; end", "42601", "unexpected end of function definition at end of input"},
        {"<<a>> begin end b", "42601", "end label \"b\" differs from block's label \"a\""},
        {"select 1", "42601", "syntax error at or near \"select\""},
        {"begin x := $a$ b $b$; end", "42601", "unterminated dollar-quoted string at or near \"$a$ b $b$; end\""},
        {"begin x := 'a; end", "42601", "unterminated quoted string at or near \"'a; end\""},
        {"begin \"x := 1; end", "42601", "unterminated quoted identifier at or near \"\"x := 1; end\""},
        {"begin \"\" := 1; end", "42601", "zero-length delimited identifier at or near \"\"\"\""},
        {"begin null; /* a /* b */ end", "42601", "unterminated /* comment at or near \"/* a /* b */ end\""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct plpgsql_tree tree;
        struct plpgsql_problem problem;
        assert_false(plpgsql_parse(mem, str_c(rows[i].body), &tree, &problem));
        assert_string_equal(problem.message, rows[i].message);
        assert_string_equal(problem.state, rows[i].state);
    }
    struct buf deep = {0};
    for (uint32_t i = 0; i < 10'000; i++) buf_puts(&deep, STR("begin "));
    struct plpgsql_tree tree;
    struct plpgsql_problem problem;
    assert_false(plpgsql_parse(mem, buf_str(&deep), &tree, &problem));
    assert_string_equal(problem.state, "54001");
    buf_free(&deep);
}

/* first, then the unit again and again, then last */
static str repeated(struct buf *b, const char *first, const char *unit, uint32_t times, const char *last) {
    b->n = 0;
    buf_puts(b, str_c(first));
    for (uint32_t i = 0; i < times; i++) buf_printf(b, unit, i);
    buf_puts(b, str_c(last));
    return buf_str(b);
}

/* Bodies that were made to be dear: what is wrong is told at its first place, and memory is in proportion to the bytes. */
static void dear(void **state) {
    static const struct {
        const char *first, *unit, *last, *state; /* NULL: it is read */
        uint32_t times, at;                      /* at 0: anywhere */
    } rows[] = {
        {"begin x := ", "$a%u$ ", "; end", "42601", 100'000, 11},
        {"begin raise exception ", "'%u'\n", "; end", NULL, 100'000, 0},
        {"begin raise exception e", "'\\n%u'\n", "; end", NULL, 100'000, 0},
        {"declare ", "v%u int; ", "begin end", NULL, 19'000, 0},
        {"declare ", "v%u int; ", "begin end", "54001", 80'000, 0},
        {"declare ", "v%u int; ", "v0 text; begin end", "42601", 19'000, 0},
        {"declare ", "v%u alias for a; ", "begin end", "54001", 50'000, 0},
        {"begin ", "x := %u; ", "end", "54001", 50'000, 0},
        {"begin ", "a.b.c[%u ", "end", "42601", 50'000, 0},
        {"begin ", "a[%u] := 1; ", "end", "54001", 50'000, 0},
        {"begin x", "[%u]", " := 1; end", "54001", 50'000, 0},
        {"begin if a then null; ", "elsif %u then ", "end if; end", "54001", 50'000, 0},
        {"begin case ", "when %u then ", "end case; end", "54001", 50'000, 0},
        {"begin exception ", "when others then /* %u */ ", "end", "54001", 30'000, 0},
        {"begin exception when others ", "or others /* %u */", " then end", NULL, 40'000, 0},
        {"begin raise exception 'a', ", "%u, ", "1; end", "54001", 50'000, 0},
        {"begin raise exception 'a' using ", "detail = %u, ", "hint = ''; end", "54001", 50'000, 0},
        {"begin get diagnostics ", "v%u = row_count, ", "v = row_count; end", "54001", 50'000, 0},
        {"begin execute '' using ", "%u, ", "1; end", "54001", 50'000, 0},
        {"begin select 1 into ", "v%u, ", "v; end", "54001", 50'000, 0},
        {"begin select ", "(%u", "; end", "42601", 100'000, 0},
        {"begin select 1", " + A%u", "; end", NULL, 100'000, 0},
        {"begin ", "/*%u", " end", "42601", 100'000, 6},
        {"begin ", "--%u\n", " end", NULL, 100'000, 0},
        {"", "<<l%u>> begin ", "end", "54001", 50'000, 0},
        {"", "#option dump%u ", "begin end", NULL, 50'000, 0},
    };
    struct buf b = {0};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        arena *own = arena_new(0);
        struct plpgsql_tree tree;
        struct plpgsql_problem problem;
        str source = repeated(&b, rows[i].first, rows[i].unit, rows[i].times, rows[i].last);
        bool ok = plpgsql_parse(own, source, &tree, &problem);
        if (ok != !rows[i].state || (!ok && strcmp(rows[i].state, problem.state) != 0))
            fail_msg("%s%s: %s %s at %u", rows[i].first, rows[i].unit, ok ? "read" : problem.state, problem.message, problem.at);
        if (rows[i].at) assert_int_equal(problem.at, rows[i].at);
        if (arena_bytes(own) > (64u << 10) + 100 * source.n)
            fail_msg("%s%s: %zu bytes take %zu", rows[i].first, rows[i].unit, source.n, arena_bytes(own));
        arena_free(own);
    }
    buf_free(&b);
}

/* A message's end cuts no letter: as name, and as what stands at hand. */
static void letters(void **state) {
    static const char *const rows[][2] = {{"<<", ">> begin end a"},   {"<<a", ">> begin end a"}, {"declare ", " alias of"},
                                          {"begin end ", ""},         {"begin end a", ""},       {"begin raise ", "; end"},
                                          {"begin raise a", "; end"}, {"begin x := 'a", ""},     {"begin x := '", ""}};
    struct buf b = {0};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct plpgsql_tree tree;
        struct plpgsql_problem problem;
        assert_false(plpgsql_parse(mem, repeated(&b, rows[i][0], "é", 200, rows[i][1]), &tree, &problem));
        assert_true(str_is_utf8(str_c(problem.message)));
    }
    buf_free(&b);
}

static int begin(void **state) { return mem = arena_new(0), 0; }
static int end(void **state) { return arena_free(mem), 0; }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements), cmocka_unit_test(into),    cmocka_unit_test(strings), cmocka_unit_test(loops),
        cmocka_unit_test(handlers),   cmocka_unit_test(refused), cmocka_unit_test(dear),    cmocka_unit_test(letters),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
