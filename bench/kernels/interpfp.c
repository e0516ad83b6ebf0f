/* A stack machine run through a table of functions. */
#include <stdint.h>
#include <stdio.h>

struct vm {
    const uint8_t *pc;
    int64_t *sp;
    int64_t vars[8];
    int64_t stack[64];
};
typedef int (*op)(struct vm *);
static int op_push(struct vm *v) { return *v->sp++ = *v->pc++, 1; }
static int op_load(struct vm *v) { return *v->sp++ = v->vars[*v->pc++], 1; }
static int op_store(struct vm *v) { return v->vars[*v->pc++] = *--v->sp, 1; }
static int op_add(struct vm *v) { return v->sp--, v->sp[-1] += v->sp[0], 1; }
static int op_sub(struct vm *v) { return v->sp--, v->sp[-1] -= v->sp[0], 1; }
static int op_mul(struct vm *v) { return v->sp--, v->sp[-1] *= v->sp[0], 1; }
static int op_xor(struct vm *v) { return v->sp--, v->sp[-1] ^= v->sp[0], 1; }
static int op_jump(struct vm *v) {
    int8_t d = (int8_t)*v->pc++;
    if (*--v->sp) v->pc += d;
    return 1;
}
static int op_halt(struct vm *v) { return 0; }
static op const ops[] = {op_push, op_load, op_store, op_add, op_sub, op_mul, op_xor, op_jump, op_halt};
enum { PUSH, LOAD, STORE, ADD, SUB, MUL, XOR, JUMP, HALT };

int main(void) {
    static const uint8_t code[] = {LOAD, 0, LOAD, 1, PUSH, 3,     MUL, ADD,  PUSH, 77,   XOR,          STORE, 0,
                                   LOAD, 1, PUSH, 1, SUB,  STORE, 1,   LOAD, 1,    JUMP, (uint8_t)-24, HALT};
    struct vm v = {.pc = code, .vars = {1, 12000000}};
    v.sp = v.stack;
    while (ops[*v.pc++](&v)) {}
    printf("%lld\n", (long long)v.vars[0]);
}
