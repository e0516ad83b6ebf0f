/* Catalogues: what is written is read as the same; what does not hold together is refused; names, rights, policies and keys are found. */
#include "catalog/catalog.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static arena *mem;

static uint32_t role(struct catalog *c, const char *name) {
    struct catalog_role *r = vec_add(mem, &c->roles);
    r->id = c->next_id++, r->name = str_c(name);
    return r->id;
}

static struct catalog_column *column(struct catalog_relation *r, const char *name, uint32_t type) {
    struct catalog_column *k = vec_add(mem, &r->columns);
    *k = (struct catalog_column){
        .number = ++r->last_number, .name = str_c(name), .storage = str_c(name), .type = type, .typmod = -1};
    k->default_value.fragment.typmod = -1;
    return k;
}

static void policy(struct catalog_relation *r, const char *name, enum catalog_command command, bool permissive, uint32_t to) {
    struct catalog_policy *p = vec_add(mem, &r->policies);
    *p = (struct catalog_policy){.id = 1, .name = str_c(name), .command = (uint8_t)command, .permissive = permissive};
    p->using_expr = (struct catalog_expr){.source = STR("owner = auth.uid()"),
                                          .fragment = {.text = STR("\x01"
                                                                   "C2\x02 = auth_uid()"),
                                                       .type = 16,
                                                       .typmod = -1,
                                                       .flags = CATALOG_SESSION}};
    vec_push(mem, &p->roles, to);
}

/* notes(id, owner, title varchar(20), at timestamp(0)), tags(note → notes); roles anon, authenticated ⊂ everyone, service_role, postgres */
static struct catalog *whole(void) {
    struct catalog *c = catalog_new(mem, CATALOG_SQLITE);
    uint32_t anon = role(c, "anon"), user = role(c, "authenticated"), service = role(c, "service_role"),
             owner = role(c, "postgres");
    uint32_t everyone = role(c, "everyone");
    c->version = 1ull << 40, c->owner = owner;
    c->roles.p[2].bypass_rls = true;
    vec_push(mem, &c->roles.p[1].member_of, everyone);
    vec_push(mem, &c->schemas, ((struct catalog_schema){.id = c->next_id++, .name = STR("public"), .owner = owner}));
    struct catalog_type *t = vec_add(mem, &c->types);
    *t = (struct catalog_type){
        .id = c->next_id++, .array = c->next_id++, .schema = c->schemas.p[0].id, .name = STR("mood"), .typmod = -1};
    vec_push(mem, &t->labels, ((struct catalog_label){STR("sad"), 1024}));
    vec_push(mem, &t->labels, ((struct catalog_label){STR("hap\"py\x01\n"), -2048}));
    for (int i = 0; i < 2; i++) {
        struct catalog_relation *r = vec_add(mem, &c->relations);
        r->id = c->next_id++, r->schema = c->schemas.p[0].id, r->owner = owner,
        r->name = r->storage = i ? STR("tags") : STR("notes");
        column(r, "id", 23)->not_null = true;
        column(r, "owner", 2950);
    }
    struct catalog_relation *notes = &c->relations.p[0], *tags = &c->relations.p[1];
    column(notes, "title", 1043)->typmod = 24;
    column(notes, "at", 1114)->typmod = 0;
    vec_push(mem, &notes->columns.p[2].grants, ((struct catalog_grant){anon, CATALOG_SELECT, 0}));
    vec_push(mem, &notes->grants, ((struct catalog_grant){everyone, CATALOG_SELECT | CATALOG_INSERT, CATALOG_SELECT}));
    vec_push(mem, &notes->grants, ((struct catalog_grant){service, CATALOG_ALL_TABLE, 0}));
    notes->rls = true;
    policy(notes, "a", CATALOG_FOR_SELECT, true, user), policy(notes, "b", CATALOG_FOR_ALL, true, CATALOG_PUBLIC);
    policy(notes, "c", CATALOG_FOR_ALL, false, everyone), policy(notes, "d", CATALOG_FOR_DELETE, true, user);
    struct catalog_constraint *k = vec_add(mem, &tags->constraints);
    *k = (struct catalog_constraint){.id = c->next_id++,
                                     .kind = CATALOG_FOREIGN,
                                     .name = STR("tags_id_fkey"),
                                     .reference = notes->id,
                                     .on_delete = CATALOG_CASCADE};
    vec_push(mem, &k->columns, 1);
    vec_push(mem, &k->reference_columns, 1);
    return c;
}

static str written(const struct catalog *c) {
    struct buf b = {0};
    catalog_write(&b, c);
    str s = arena_str(mem, buf_str(&b));
    buf_free(&b);
    return s;
}

static struct catalog *read_again(const struct catalog *c) {
    struct diag d = DIAG_INIT;
    struct catalog *again;
    if (catalog_read(mem, written(c), &again, &d) != ERR_OK) fail_msg("%s", d.text);
    return again;
}

static void test_round(void **state) {
    struct catalog *c = whole(), *again = read_again(c);
    str a = written(c), b = written(again);
    assert_true(str_eq(a, b));
    const struct catalog_relation *notes = catalog_relation_named(again, STR("public"), STR("notes"));
    assert_int_equal(catalog_column_named(notes, STR("title"))->typmod, 24);
    assert_int_equal(catalog_column_named(notes, STR("at"))->typmod, 0);
    assert_int_equal(catalog_column_named(notes, STR("id"))->typmod, -1);
    assert_true(str_eq(notes->policies.p[0].using_expr.fragment.text, STR("\x01"
                                                                          "C2\x02 = auth_uid()")));
    assert_int_equal(again->version, 1ull << 40);
    assert_int_equal(again->types.p[0].labels.p[1].sort, -2048);
}

static void test_lookup(void **state) {
    struct catalog *makes = whole(), *c = read_again(makes);
    for (int i = 0; i < 2; i++, c = makes) { /* with maps and without */
        const struct catalog_relation *r = catalog_relation_named(c, STR("public"), STR("tags"));
        assert_non_null(r);
        assert_ptr_equal(catalog_relation_of(c, r->id), r);
        assert_null(catalog_relation_named(c, STR("public"), STR("tag")));
        assert_null(catalog_relation_named(c, STR("private"), STR("tags")));
        assert_null(catalog_relation_of(c, 16384));
        const struct catalog_type *t = catalog_type_named(c, STR("public"), STR("mood"));
        assert_ptr_equal(catalog_type_of(c, t->array), t);
        assert_ptr_equal(catalog_type_of(c, t->id), t);
        assert_null(catalog_type_of(c, 25));
        assert_int_equal(catalog_label_named(t, STR("sad"))->sort, 1024);
        assert_true(str_eqc(catalog_label_stored(t, 1024)->name, "sad"));
    }
}

static void test_rights(void **state) {
    struct catalog *c = read_again(whole());
    const struct catalog_relation *notes = catalog_relation_named(c, STR("public"), STR("notes"));
    uint32_t anon = catalog_role_named(c, STR("anon"))->id, user = catalog_role_named(c, STR("authenticated"))->id;
    uint32_t service = catalog_role_named(c, STR("service_role"))->id;
    assert_true(catalog_may_relation(c, user, notes, CATALOG_SELECT | CATALOG_INSERT)); /* as a member */
    assert_false(catalog_may_relation(c, user, notes, CATALOG_DELETE));
    assert_false(catalog_may_relation(c, anon, notes, CATALOG_SELECT));
    assert_true(catalog_may_column(c, anon, notes, catalog_column_named(notes, STR("title")), CATALOG_SELECT));
    assert_false(catalog_may_column(c, anon, notes, catalog_column_named(notes, STR("owner")), CATALOG_SELECT));
    assert_true(catalog_policies_hold(c, user, notes));
    assert_false(catalog_policies_hold(c, service, notes)); /* bypasses */
    assert_false(catalog_policies_hold(c, c->owner, notes));
    ((struct catalog_relation *)notes)->force_rls = true;
    assert_true(catalog_policies_hold(c, c->owner, notes));
}

static const char *policies(const struct catalog *c, const char *who, enum catalog_command command, bool permissive) {
    static char said[16];
    size_t n = 0;
    const struct catalog_relation *notes = catalog_relation_named(c, STR("public"), STR("notes"));
    for (const struct catalog_policy *p = NULL;
         (p = catalog_policy_next(c, notes, catalog_role_named(c, str_c(who))->id, command, permissive, p));)
        said[n++] = (char)p->name.p[0];
    said[n] = 0;
    return said;
}

static void test_policies(void **state) {
    struct catalog *c = read_again(whole());
    assert_string_equal(policies(c, "authenticated", CATALOG_FOR_SELECT, true), "ab");
    assert_string_equal(policies(c, "authenticated", CATALOG_FOR_SELECT, false), "c");
    assert_string_equal(policies(c, "authenticated", CATALOG_FOR_DELETE, true), "bd");
    assert_string_equal(policies(c, "anon", CATALOG_FOR_SELECT, true), "b");
    assert_string_equal(policies(c, "anon", CATALOG_FOR_INSERT, false), "");
}

static void test_edges(void **state) {
    struct catalog *c = read_again(whole());
    struct catalog_edge e = {0};
    uint32_t notes = catalog_relation_named(c, STR("public"), STR("notes"))->id;
    assert_true(catalog_edge_next(c, notes, &e));
    assert_true(str_eqc(e.from->name, "tags") && e.to->id == notes);
    assert_false(catalog_edge_next(c, notes, &e));
}

static void refused(struct catalog *c, const char *part) {
    struct diag d = DIAG_INIT;
    struct catalog *out;
    assert_int_equal(catalog_read(mem, written(c), &out, &d), ERR_INVALID);
    if (!strstr(d.text, part)) fail_msg("%s", d.text);
}

static void test_damaged(void **state) {
    struct catalog *c = whole();
    c->relations.p[0].columns.p[1].number = 1, refused(c, "another's");
    c = whole(), c->relations.p[0].columns.p[1].type = 99999, refused(c, "type that is not there");
    c = whole(), c->relations.p[1].constraints.p[0].reference = 99999, refused(c, "refers to");
    c = whole(), c->relations.p[1].constraints.p[0].columns.p[0] = 9, refused(c, "column that is not there");
    c = whole(), c->relations.p[0].policies.p[0].roles.p[0] = 9, refused(c, "role that is not there");
    c = whole(), c->relations.p[0].grants.p[0].role = 9, refused(c, "granted");
    c = whole(), c->relations.p[1].id = c->relations.p[0].id, refused(c, "another's");
    c = whole(), c->next_id = 16385, refused(c, "out of range");
    struct diag d = DIAG_INIT;
    assert_int_equal(catalog_read(mem, STR("{\"format\":2}"), &c, &d), ERR_INVALID);
    d = (struct diag)DIAG_INIT;
    assert_int_equal(catalog_read(mem, STR("{\"format\":1,\"next_id\":16384,\"rolls\":[]}"), &c, &d), ERR_INVALID);
    assert_non_null(strstr(d.text, "rolls"));
    assert_int_equal(catalog_read(mem, STR("[]"), &c, &d), ERR_INVALID);
    assert_int_equal(catalog_read(mem, STR("{"), &c, &d), ERR_MALFORMED);
}

/* ---- what PostgreSQL says, or who says that he is one ---- */

enum { TYPES = 1, COLUMNS = 2, FUNCTIONS = 7 }; /* live.c */
struct says {
    uint32_t statement, rows;
    bool apart; /* each row is of another relation, in another schema */
    uint32_t column;
    str list; /* of that column */
};
static uint32_t says_rows(void *arg, uint32_t statement) {
    const struct says *s = arg;
    return statement == s->statement ? s->rows : 0;
}
static str says_value(void *arg, uint32_t statement, uint32_t row, uint32_t column) {
    const struct says *s = arg;
    static char texts[8][16]; /* a few are held at once */
    static uint32_t turn;
    char *text = texts[turn++ % 8];
    uint32_t n = s->apart ? row : 0;
    if (s->list.n && column == s->column) return s->list;
    if (statement == COLUMNS && column == 7) snprintf(text, sizeof texts[0], "c%u", row);
    else if (statement == COLUMNS && column == 9) return STR("23");
    else if (statement == COLUMNS && column < 2) snprintf(text, sizeof texts[0], "%c%u", column ? 't' : 's', n);
    else if (statement == COLUMNS && (column == 6 || column == 8))
        snprintf(text, sizeof texts[0], "%u", column == 6 ? 20000 + n : row + 1);
    else if (statement == TYPES && column == 2) return STR("e");
    else if (column < 2) snprintf(text, sizeof texts[0], "n%u", row);
    else return (str){0};
    return str_c(text);
}

static str repeated(const char *one, size_t times) {
    struct buf b = {0};
    for (size_t i = 0; i < times; i++) buf_puts(&b, str_c(one));
    str s = arena_str(mem, buf_str(&b));
    buf_free(&b);
    return s;
}

static void test_live(void **state) {
    const struct {
        struct says says;
        bool fits;
    } cases[] = {
        {{COLUMNS, 50'000, true, 0, {0}}, true},
        {{COLUMNS, 50'001, true, 0, {0}}, false},
        {{COLUMNS, 1664, false, 0, {0}}, true},
        {{COLUMNS, 1665, false, 0, {0}}, false},
        {{FUNCTIONS, 1, true, 3, repeated("i", 100)}, true},
        {{FUNCTIONS, 1, true, 3, repeated("i", 100'000)}, false},
        {{FUNCTIONS, 50'000, true, 3, repeated("i", 100)}, false}, /* not so many of those */
        {{TYPES, 1, true, 6, repeated("a\x1f", 10'000)}, true},
        {{TYPES, 1, true, 6, repeated("a\x1f", 20'000)}, false},
        {{TYPES, 1000, true, 6, repeated("a\x1f", 10'000)}, false},
        {{TYPES, 100, true, 9, repeated("comment ", 20'000)}, false}, /* 16 MB */
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct says says = cases[i].says;
        const struct catalog_answer a = {&says, says_rows, says_value};
        if (catalog_live_fits(&a, 8 << 20) != cases[i].fits) fail_msg("case %zu", i);
        if (!cases[i].fits) continue;
        struct catalog *c = catalog_new(arena_new(0), CATALOG_POSTGRES);
        catalog_live(c, &a);
        uint32_t n = says.statement == COLUMNS ? c->relations.n
                     : says.statement == TYPES ? c->types.p[0].labels.n
                                               : c->functions.p[0].arguments.n;
        assert_int_equal(n, says.statement == TYPES ? 10'000 : says.statement == FUNCTIONS ? 100 : says.apart ? 50'000 : 1);
        if (says.statement == COLUMNS && says.apart) assert_non_null(catalog_relation_named(c, STR("s49999"), STR("t49999")));
        arena_free(c->mem);
    }
}

/* A text made of another one is what it was, and what no text was made of makes none. */
static void test_delta(void **state) {
    str one = written(whole());
    for (uint32_t k = 0; k < 200; k++) {
        struct buf other = {0}, delta = {0}, back = {0};
        buf_puts(&other, one);
        for (uint32_t i = 0; i < k % 7; i++) {
            uint32_t at = (k * 7919 + i * 104729) % (uint32_t)(other.n + 1), n = (k * 31 + i * 17) % 90;
            struct buf next = {0};
            buf_puts(&next, str_sub(buf_str(&other), 0, at));
            if (k % 3) buf_printf(&next, "%*s", (int)n, "new");
            buf_puts(&next, str_sub(buf_str(&other), k % 2 ? at : at + n, other.n));
            buf_free(&other);
            other = next;
        }
        str from = k % 11 == 10 ? (str){0} : one;
        catalog_delta(&delta, from, buf_str(&other));
        assert_true(catalog_delta_apply(&back, from, buf_str(&delta)));
        assert_true(str_eq(buf_str(&back), buf_str(&other)));
        if (from.n && one.n > 1000) assert_true(delta.n < 2000);
        back.n = 0;
        if (delta.n > 13) assert_false(catalog_delta_apply(&back, from, str_sub(buf_str(&delta), 0, delta.n - 1)));
        back.n = 0;
        if (from.n && delta.n >= 24) assert_false(catalog_delta_apply(&back, str_sub(from, 0, 3), buf_str(&delta)));
        buf_free(&other), buf_free(&delta), buf_free(&back);
    }
    struct buf bomb = {0}, made = {0}; /* a piece says the whole again and again */
    for (uint32_t i = 0; i < 1 << 20; i++) {
        const uint32_t piece[3] = {0, (uint32_t)one.n, 0};
        buf_put(&bomb, piece, sizeof piece);
    }
    assert_false(catalog_delta_apply(&made, one, buf_str(&bomb)));
    assert_true(made.n <= CATALOG_BYTES_MAX);
    buf_free(&bomb), buf_free(&made);
}

static int setup(void **state) { return mem = arena_new(0), 0; }
static int teardown(void **state) { return arena_free(mem), 0; }

int main(int argc, char **argv) {
    if (argc > 2 && !strcmp(argv[1], "--write")) { /* the corpus of catalog_fuzz */
        mem = arena_new(0);
        FILE *f = fopen(argv[2], "wb");
        str s = written(whole());
        fwrite(s.p, 1, s.n, f), fclose(f), arena_free(mem);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lookup, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rights, setup, teardown),
        cmocka_unit_test_setup_teardown(test_policies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_edges, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_live, setup, teardown),
        cmocka_unit_test_setup_teardown(test_delta, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
