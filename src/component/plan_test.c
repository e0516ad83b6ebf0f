/* plan: what components of the corpus come to. Argument: the corpus's folder. */
#include "component/component_int.h"

#include <setjmp.h>

#include <cmocka.h>

static const char *corpus;

static str read_file(arena *a, const char *name) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s.wasm", corpus, name);
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("cannot read %s", path);
    uint8_t *p = arena_alloc(a, 65536, 1);
    size_t n = fread(p, 1, 65536, f);
    fclose(f);
    return (str){p, n};
}

/* The plan as a worker has it: through its bytes. */
static void plan_of(arena *a, const char *name, struct plan *plan) {
    struct diag d = DIAG_INIT;
    struct component *c;
    struct plan built;
    struct buf b = {0};
    err e = component_decode(a, read_file(a, name), &c, &d);
    if (e == ERR_OK) e = component_plan(a, c, &built, &d);
    if (e != ERR_OK) fail_msg("%s: %s", name, d.text);
    plan_save(&built, &b);
    assert_int_equal(plan_load(a, arena_str(a, buf_str(&b)), plan), ERR_OK);
    buf_free(&b);
}

static const struct plan_canon *canon_of(const struct plan *p, enum component_canon_kind kind, uint32_t nth) {
    for (uint32_t i = 0; i < p->canons_count; i++)
        if (p->canons[i].kind == kind && nth-- == 0) return &p->canons[i];
    fail_msg("no such canon");
    return NULL;
}

static void expect_sig(const struct plan *p, const struct plan_canon *c, const char *text) {
    static const char letters[] = {[PLAN_I32] = 'i', [PLAN_I64] = 'l', [PLAN_F32] = 'f', [PLAN_F64] = 'd'};
    struct plan_core_sig s;
    char have[64];
    uint32_t n = 0;
    plan_canon_sig(p, c, &s);
    for (uint32_t i = 0; i < s.params_count; i++) have[n++] = letters[s.params[i]];
    have[n++] = ':';
    for (uint32_t i = 0; i < s.results_count; i++) have[n++] = letters[s.results[i]];
    have[n] = 0;
    assert_string_equal(have, text);
}

static void test_lift(void **state) {
    (void)state;
    arena *a = arena_new(0);
    struct plan p;
    plan_of(a, "lift", &p);
    assert_int_equal(p.modules_count, 2);
    assert_int_equal(p.core_instances_count, 2);
    const struct plan_core_instance *main = &p.core_instances[1];
    assert_int_equal(main->imports_count, 4); /* h.log, h.get, h.many: lowered; libc.m: the memory of instance 0 */
    const struct plan_core_def *imports = &p.import_defs[main->imports_first];
    for (uint32_t i = 0; i < 3; i++) assert_int_equal(imports[i].kind, PLAN_DEF_CANON);
    assert_true(imports[3].kind == PLAN_DEF_EXPORT && imports[3].instance == 0 && imports[3].extern_kind == WASM_EXTERN_MEMORY);

    const struct plan_canon *log = &p.canons[imports[0].index], *many = &p.canons[imports[2].index];
    assert_int_equal(log->kind, COMPONENT_CANON_LOWER);
    assert_int_equal(log->target.kind, PLAN_FUNC_IMPORT);
    const struct plan_import *x = &p.imports[log->target.index];
    assert_true(str_eqc(x->interface, "host") && str_eqc(x->name, "log"));
    assert_int_equal(log->options.memory.instance, 0);
    assert_int_equal(log->options.realloc.kind, PLAN_DEF_NONE);
    assert_int_equal(many->options.encoding, COMPONENT_UTF16);
    expect_sig(&p, log, "ii:");
    expect_sig(&p, &p.canons[imports[1].index], "i:"); /* a list comes back through memory */
    expect_sig(&p, many, "ii:");                       /* 18 parameters, and a pair comes back */

    const struct plan_export *run = plan_export_find(&p, STR("my:pkg/api@1.0.0"), STR("run"));
    assert_true(run && run->kind == PLAN_EXPORT_FUNC && run->func.kind == PLAN_FUNC_LIFT);
    assert_ptr_equal(plan_export_find(&p, STR("my:pkg/api@2.0.0"), STR("run")), NULL);
    assert_int_equal(plan_export_find(&p, STR(""), STR("run"))->func.index, run->func.index);
    const struct plan_lift *l = &p.lifts[run->func.index];
    assert_true(l->func.kind == PLAN_DEF_EXPORT && l->func.instance == 1);
    assert_true(l->options.post_return.kind == PLAN_DEF_EXPORT && l->options.realloc.instance == 0);
    struct buf text = {0};
    plan_print_func(&p, l->type, &text);
    buf_putc(&text, 0);
    assert_string_equal((char *)text.p, "func(in: string) -> result<string>");
    buf_free(&text);
    arena_free(a);
}

/* Two instances of a component have two resource types; calls between components name the right lifts. */
static void test_nested(void **state) {
    (void)state;
    arena *a = arena_new(0);
    struct plan p;
    plan_of(a, "nested", &p);
    assert_int_equal(p.instances_count, 5);
    assert_int_equal(p.resources_count, 2);
    assert_int_equal(p.modules_count, 2);
    assert_int_equal(p.core_instances_count, 4);
    for (uint32_t i = 1; i < 5; i++) assert_int_equal(p.instances[i].parent, 0);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(p.resources[i].imported, false);
        assert_int_equal(p.resources[i].instance, 1 + i);
        assert_int_equal(p.resources[i].destructor.instance, i);
        assert_true(str_eqc(p.resources[i].label, "r") || i == 1);
        const struct plan_canon *lower = canon_of(&p, COMPONENT_CANON_LOWER, i),
                                *drop = canon_of(&p, COMPONENT_CANON_RESOURCE_DROP, 2 + i);
        assert_int_equal(lower->instance, 3 + i);
        assert_int_equal(lower->target.kind, PLAN_FUNC_LIFT);
        const struct plan_lift *callee = &p.lifts[lower->target.index];
        assert_int_equal(callee->instance, 1 + i);
        assert_int_equal(callee->func.instance, i);
        assert_int_equal(drop->resource, i);
        const struct plan_type *own = &p.types[p.fields[p.func_types[lower->func_type].params_first].type];
        assert_true(own->kind == COMPONENT_TYPE_OWN && own->resource == i);
        expect_sig(&p, lower, "i:i");
        expect_sig(&p, drop, "i:");
    }
    const struct plan_export *r = plan_export_find(&p, STR("a"), STR("r"));
    assert_true(r && r->kind == PLAN_EXPORT_RESOURCE && r->index == 0);
    arena_free(a);
}

/* A component that the root defines, instantiated two levels further in. */
static void test_aliases(void **state) {
    (void)state;
    arena *a = arena_new(0);
    struct plan p;
    plan_of(a, "alias", &p);
    assert_int_equal(p.core_instances_count, 1);
    const struct plan_export *deep = plan_export_find(&p, STR(""), STR("deep"));
    assert_true(deep && deep->func.kind == PLAN_FUNC_LIFT);
    assert_int_equal(p.lifts[deep->func.index].func.kind, PLAN_DEF_EXPORT);
    arena_free(a);
}

/* wasi:io/error through two versions of a track is one resource, of another track another. */
static void test_tracks(void **state) {
    (void)state;
    arena *a = arena_new(0);
    struct plan p;
    plan_of(a, "wasi", &p);
    assert_int_equal(p.resources_count, 3);
    assert_true(str_eqc(p.resources[0].interface, "wasi:io/error@0.2.3") && str_eqc(p.resources[0].name, "error"));
    assert_true(str_eqc(p.resources[1].name, "output-stream"));
    assert_true(str_eqc(p.resources[2].interface, "wasi:io/error@0.3.0-rc-1"));
    assert_int_equal(p.imports_count, 3);
    assert_true(str_eqc(p.imports[0].name, "[method]output-stream.write"));
    assert_true(str_eqc(p.imports[2].name, "f") && p.imports[2].interface.n == 0);
    arena_free(a);
}

static void test_async(void **state) {
    (void)state;
    arena *a = arena_new(0);
    struct plan p;
    static const struct {
        enum component_canon_kind kind;
        const char *sig;
    } cases[] = {
        {COMPONENT_CANON_LOWER, "i:i"},
        {COMPONENT_CANON_TASK_RETURN, "ii:"},
        {COMPONENT_CANON_STREAM_NEW, ":l"},
        {COMPONENT_CANON_STREAM_READ, "iii:i"},
        {COMPONENT_CANON_FUTURE_READ, "ii:i"},
        {COMPONENT_CANON_FUTURE_CANCEL_READ, "i:i"},
        {COMPONENT_CANON_WAITABLE_JOIN, "ii:"},
        {COMPONENT_CANON_CONTEXT_GET, ":i"},
        {COMPONENT_CANON_CONTEXT_SET, "i:"},
        {COMPONENT_CANON_THREAD_YIELD, ":i"},
        {COMPONENT_CANON_SUBTASK_DROP, "i:"},
        {COMPONENT_CANON_BACKPRESSURE_INC, ":"},
        {COMPONENT_CANON_THREAD_NEW_INDIRECT, "ii:i"},
        {COMPONENT_CANON_ERROR_CONTEXT_NEW, "ii:i"},
    };
    plan_of(a, "async", &p);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) expect_sig(&p, canon_of(&p, cases[i].kind, 0), cases[i].sig);
    assert_true(canon_of(&p, COMPONENT_CANON_LOWER, 0)->options.is_async);
    assert_true(canon_of(&p, COMPONENT_CANON_SUBTASK_CANCEL, 0)->is_async);
    assert_int_equal(canon_of(&p, COMPONENT_CANON_WAITABLE_SET_WAIT, 0)->options.memory.kind, PLAN_DEF_EXPORT);
    assert_int_equal(p.types[canon_of(&p, COMPONENT_CANON_STREAM_READ, 0)->type].kind, COMPONENT_TYPE_STREAM);
    struct plan_core_sig s;
    plan_lift_sig(&p, &p.lifts[0], &s);
    assert_true(s.params_count == 0 && s.results_count == 1 && s.results[0] == PLAN_I32);
    arena_free(a);
}

/* CanonicalABI.md, Element Size and Flattening, on types of every shape: size, alignment and core types for
 * 32-bit pointers. */
static void test_layout(void **state) {
    (void)state;
    static const struct {
        const char *type;
        uint32_t size, align;
        const char *flat;
    } cases[] = {
        {"record { a: u8, b: option<string>, c: tuple<f32, f64, char> }", 40, 8, "iiiifdi"},
        {"option<string>", 12, 4, "iii"},
        {"tuple<f32, f64, char>", 24, 8, "fdi"},
    };
    arena *a = arena_new(0);
    struct plan p;
    plan_of(a, "types", &p);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        bool found = false;
        for (uint32_t t = COMPONENT_PRIMITIVES; t < p.types_count; t++) {
            struct buf text = {0};
            plan_print_type_definition(&p, t, &text);
            if (str_eqc(buf_str(&text), cases[i].type)) {
                const struct plan_layout *l = &p.types[t].layout[0];
                found = true;
                assert_int_equal(l->size, cases[i].size);
                assert_int_equal(l->align, cases[i].align);
                assert_int_equal(l->flat_count, strlen(cases[i].flat));
                for (uint32_t k = 0; k < l->flat_count; k++)
                    assert_int_equal(l->flat[k], cases[i].flat[k] == 'i'   ? PLAN_I32
                                                 : cases[i].flat[k] == 'f' ? PLAN_F32
                                                                           : PLAN_F64);
            }
            buf_free(&text);
        }
        if (!found) fail_msg("no type %s", cases[i].type);
    }
    arena_free(a);
}

/* A byte changed anywhere: refused, or a plan that can be looked at. */
static void test_damaged(void **state) {
    (void)state;
    arena *a = arena_new(0);
    struct plan p, q;
    struct plan_core_sig sig;
    struct buf b = {0};
    plan_of(a, "nested", &p);
    plan_save(&p, &b);
    uint32_t refused = 0;
    for (size_t i = 0; i < b.n; i++) {
        struct buf text = {.max = 64 * KiB};
        arena *scratch = arena_new(0);
        b.p[i] ^= 0xa5;
        if (plan_load(scratch, buf_str(&b), &q) == ERR_OK) {
            component_inspect(&q, &text);
            for (uint32_t k = 0; k < q.canons_count; k++) plan_canon_sig(&q, &q.canons[k], &sig);
        } else refused++;
        b.p[i] ^= 0xa5;
        buf_free(&text);
        arena_free(scratch);
    }
    assert_in_range(refused, b.n / 4, b.n - 1);
    buf_free(&b);
    arena_free(a);
}

/* Core types that refer to each other and to themselves; the module's types are the same as the component's. */
static void test_core_types(void **state) {
    (void)state;
    arena *a = arena_new(0);
    struct plan p;
    plan_of(a, "gc", &p);
    assert_int_equal(p.core_instances_count, 2);
    arena_free(a);
}

static void test_core_module(void **state) {
    (void)state;
    static const uint8_t bytes[] = {0, 'a', 's', 'm', 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 2, 7, 1, 1, 'e', 1, 'f', 0, 0};
    arena *a = arena_new(0);
    struct wasm_module m;
    struct plan p, q;
    struct buf b = {0};
    assert_int_equal(wasm_decode(a, (str){bytes, sizeof bytes}, &m, NULL), ERR_OK);
    plan_of_core_module(a, &m, 0, sizeof bytes, &p);
    plan_save(&p, &b);
    assert_int_equal(plan_load(a, buf_str(&b), &q), ERR_OK);
    assert_true(q.is_core && q.core_instances_count == 1 && q.host_imports_count == 1);
    assert_int_equal(q.import_defs[0].kind, PLAN_DEF_HOST);
    assert_true(str_eqc(q.host_imports[0].module, "e") && str_eqc(q.host_imports[0].name, "f"));
    buf_free(&b);
    arena_free(a);
}

int main(int argc, char **argv) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lift),        cmocka_unit_test(test_nested),  cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_tracks),      cmocka_unit_test(test_async),   cmocka_unit_test(test_layout),
        cmocka_unit_test(test_core_module), cmocka_unit_test(test_damaged), cmocka_unit_test(test_core_types),
    };
    if (argc < 2) return 64;
    corpus = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
