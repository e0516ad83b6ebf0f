/* component_fuzz: any bytes through component decoder, validator, plan, its two-way serialisation and the
 * printers.
 *
 * What must hold: a refusal says why and where; a plan comes back from its bytes as it was; all its core
 * definitions name items that exist and that were there before their user. The canary breaks the second of
 * these. */
#include "base/fuzz.h"
#include "component/component.h"
#include "component/plan.h"

static void check_order(const struct plan *p) {
    for (uint32_t i = 0; i < p->core_instances_count; i++) {
        const struct plan_core_instance *c = &p->core_instances[i];
        ENSURE(c->module < p->modules_count && c->imports_first + c->imports_count <= p->import_defs_count);
        for (uint32_t k = 0; k < c->imports_count; k++) {
            const struct plan_core_def *d = &p->import_defs[c->imports_first + k];
            ENSURE(d->kind == PLAN_DEF_EXPORT || d->kind == PLAN_DEF_CANON);
            ENSURE(d->kind != PLAN_DEF_EXPORT || d->instance < i);
            ENSURE(d->kind != PLAN_DEF_CANON || d->index < p->canons_count);
        }
    }
}

static void check_sigs(const struct plan *p) {
    struct plan_core_sig sig;
    for (uint32_t i = 0; i < p->lifts_count; i++) plan_lift_sig(p, &p->lifts[i], &sig);
    for (uint32_t i = 0; i < p->canons_count; i++) plan_canon_sig(p, &p->canons[i], &sig);
}

static void check_types(const struct plan *p) {
    for (uint32_t i = COMPONENT_PRIMITIVES; i < p->types_count; i++) {
        const struct plan_type *t = &p->types[i];
        ENSURE(t->element == PLAN_NONE || t->element < i);
        ENSURE(t->error == PLAN_NONE || t->error < i);
        ENSURE(t->layout[0].align && t->layout[1].align && t->layout[0].flat_count);
    }
    check_sigs(p);
}

static void check_round_trip(arena *a, const struct plan *p) {
    struct buf first = {0}, second = {0};
    struct plan again;
    plan_save(p, &first);
    ENSURE(plan_load(a, buf_str(&first), &again) == ERR_OK);
    plan_save(&again, &second);
    if (canary) second.p[second.n - 1] ^= 1;
    ENSURE(str_eq(buf_str(&first), buf_str(&second)));
    for (size_t n = 0; n < first.n; n += 1 + first.n / 16) ENSURE(plan_load(a, (str){first.p, n}, &again) == ERR_MALFORMED);
    buf_free(&first);
    buf_free(&second);
}

/* A plan with a byte changed is refused, or is one that the look-ups can stand. */
static void check_changed(arena *a, const struct plan *p, uint8_t by, uint32_t at) {
    struct buf b = {0}, text = {.max = 64 * KiB};
    struct plan changed;
    plan_save(p, &b);
    for (uint32_t i = 0; i < 8; i++) {
        uint8_t *byte = &b.p[(at + i * 97) % b.n];
        *byte ^= by;
        if (plan_load(a, buf_str(&b), &changed) == ERR_OK) {
            check_sigs(&changed);
            component_inspect(&changed, &text);
        }
        *byte ^= by;
    }
    buf_free(&b);
    buf_free(&text);
}

static void print(const struct component *c, const struct plan *p) {
    struct buf text = {.max = 1 * MiB}, wat = {.max = 1 * MiB};
    if (p) component_inspect(p, &text);
    struct diag d = DIAG_INIT;
    err e = component_print(c, &wat, &d); /* a function body may be invalid */
    ENSURE(e == ERR_OK || d.text[0]);
    buf_free(&text);
    buf_free(&wat);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena *a = arena_new(0);
    struct component *c;
    struct plan plan;
    struct diag d = DIAG_INIT;
    err e = component_decode(a, (str){data, size}, &c, &d);
    ENSURE(e == ERR_OK || d.text[0]);
    ENSURE(d.offset == DIAG_NOWHERE || d.offset <= size);
    if (e == ERR_OK) {
        e = component_plan(a, c, &plan, &d);
        ENSURE(e == ERR_OK || d.text[0]);
        if (e == ERR_OK) {
            check_order(&plan);
            check_types(&plan);
            check_round_trip(a, &plan);
            check_changed(a, &plan, size ? data[size - 1] | 1 : 1,
                          size > 1 ? (uint32_t)data[size - 2] * 131u + data[size / 2] : 0);
        }
        print(c, e == ERR_OK ? &plan : NULL);
    }
    arena_free(a);
    return 0;
}
