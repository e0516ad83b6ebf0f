/* conditions: the names that exception handlers and RAISE know (PostgreSQL's errcodes). */
#include "plpgsql/plpgsql.h"

static const struct {
    const char *name, *state;
} conditions[] = {
#define CONDITION(state, name) {#name, #state},
#include "plpgsql/conditions.def"
#undef CONDITION
};

const char *plpgsql_condition(str name, size_t *at) {
    if (str_eqc(name, "others")) return (*at)++ ? NULL : "OTHER";
    while (*at < ARRAY_COUNT(conditions)) {
        size_t i = (*at)++;
        if (str_eqc(name, conditions[i].name)) return conditions[i].state;
    }
    return NULL;
}
