/* routine: does a compiled body hold together? Whoever runs it relies on that. */
#include "catalog/catalog.h"

enum operand { OPERAND__, OPERAND_P, OPERAND_N, OPERAND_M, OPERAND_E, OPERAND_J, OPERAND_C, OPERAND_V, OPERAND_O };
static const uint8_t operands[][4] = {
#define OP(id, a, b, c, d, what) {OPERAND_##a, OPERAND_##b, OPERAND_##c, OPERAND_##d},
#include "catalog/routine.def"
#undef OP
};

static bool is_in(const struct catalog_routine *r, const uint32_t *op, uint32_t i) {
    uint64_t n = op[i], count = r->code.n / CATALOG_OP_WIDTH;
    switch (operands[op[0]][i - 1]) {
    case OPERAND_P: return n < r->places;
    case OPERAND_O: return n < r->places || n == UINT32_MAX;
    case OPERAND_N: return op[i - 1] == UINT32_MAX ? !n : op[i - 1] + n <= r->places;
    case OPERAND_M: return op[1] + n <= r->places && op[2] + n <= r->places;
    case OPERAND_E: return n < r->statements.n;
    case OPERAND_J: return n < count;
    case OPERAND_C: return n < CATALOG_CURSORS_MAX;
    default: return true;
    }
}

bool catalog_routine_holds(const struct catalog_routine *r) {
    if (!r->code.n) return true;
    if (r->code.n % CATALOG_OP_WIDTH || !r->places || r->places > CATALOG_PLACES_MAX) return false;
    for (uint32_t at = 0; at < r->code.n; at += CATALOG_OP_WIDTH) {
        const uint32_t *op = r->code.p + at;
        if (op[0] >= CATALOG_OP_COUNT) return false;
        for (uint32_t i = 1; i <= 4; i++)
            if (!is_in(r, op, i)) return false;
        if (op[0] == CATALOG_OP_RAISE && op[2] + CATALOG_RAISE_COUNT > r->places) return false;
        if (op[0] == CATALOG_OP_CATCH && op[2] + 2 > r->places) return false;
    }
    for (uint32_t i = 0; i < r->statements.n; i++) { /* what is in sight of a late one */
        const struct catalog_fragment *f = &r->statements.p[i];
        if (f->scope.n % 2 || f->names.n != f->scope.n / 2 * 3) return false;
        for (uint32_t k = 0; k < f->scope.n; k += 2)
            if (f->scope.p[k] >= r->places) return false;
    }
    uint32_t last = r->code.p[r->code.n - CATALOG_OP_WIDTH]; /* nothing runs off the end */
    return last == CATALOG_OP_RETURN || last == CATALOG_OP_RETURN_NULL || last == CATALOG_OP_NO_RETURN;
}
