/* emit_float: floating point arithmetic and conversions. */
#include "baseline/baseline_int.h"

void emit_fbin(struct compiler *c, enum fbin op, unsigned type) {
    struct value b = pop(c), a = pop(c);
    took(c, &a, &b);
    uint8_t d = dest(c, type, &a, &b);
    target_fbin(c, op, type, d, &a, &b);
    finish(c, type, d, &a, &b);
}

void emit_fun(struct compiler *c, enum fun op, unsigned type) {
    struct value a = pop(c);
    uint8_t d = dest(c, type, &a, NULL);
    target_fun(c, op, type, d, &a);
    finish(c, type, d, &a, NULL);
}

void emit_trunc(struct compiler *c, unsigned from, unsigned to, bool is_signed, bool saturating) {
    struct value a = pop(c);
    into_reg(c, &a);
    uint8_t d = dest(c, to, &a, NULL);
    target_trunc(c, from, to, is_signed, saturating, d, &a);
    finish(c, to, d, &a, NULL);
}

void emit_convert(struct compiler *c, unsigned from, unsigned to, bool is_signed) {
    struct value a = pop(c);
    into_reg(c, &a);
    uint8_t d = dest(c, to, &a, NULL);
    target_convert(c, from, to, is_signed, d, &a);
    finish(c, to, d, &a, NULL);
}

void emit_float_to_float(struct compiler *c, unsigned from, unsigned to) {
    struct value a = pop(c);
    uint8_t d = dest(c, to, &a, NULL);
    target_float_to_float(c, from, d, &a);
    finish(c, to, d, &a, NULL);
}

void emit_reinterpret(struct compiler *c, unsigned from, unsigned to) {
    struct value a = pop(c);
    uint8_t d = dest(c, to, NULL, NULL);
    target_reinterpret(c, from, d, &a);
    finish(c, to, d, &a, NULL);
}
