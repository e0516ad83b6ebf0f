/* A register machine run by a switch: primes by sieve in its own code. */
#include <stdint.h>
#include <stdio.h>

enum { SET, MOV, ADD, ADDI, LOAD, STORE, JLT, JZ, JMP, HALT };
struct instr {
    uint8_t op, a, b, c;
    int32_t imm;
};
static uint32_t mem[1 << 16];

static uint64_t run(const struct instr *code) {
    uint32_t r[16] = {0};
    uint64_t steps = 0;
    for (const struct instr *i = code;; i++, steps++) {
        switch (i->op) {
        case SET: r[i->a] = (uint32_t)i->imm; break;
        case MOV: r[i->a] = r[i->b]; break;
        case ADD: r[i->a] = r[i->b] + r[i->c]; break;
        case ADDI: r[i->a] = r[i->b] + (uint32_t)i->imm; break;
        case LOAD: r[i->a] = mem[r[i->b] & 0xffff]; break;
        case STORE: mem[r[i->b] & 0xffff] = r[i->a]; break;
        case JLT:
            if (r[i->a] < r[i->b]) i += i->imm;
            break;
        case JZ:
            if (!r[i->a]) i += i->imm;
            break;
        case JMP: i += i->imm; break;
        case HALT: return steps + r[3];
        }
    }
}

int main(void) {
    static const struct instr sieve[] = {{SET, 0, 0, 0, 2},  {SET, 1, 0, 0, 60000}, {SET, 2, 0, 0, 1},  {SET, 3, 0, 0, 0},
                                         {LOAD, 4, 0, 0, 0}, {JZ, 4, 0, 0, 1},      {JMP, 0, 0, 0, 6},  {ADDI, 3, 3, 0, 1},
                                         {ADD, 5, 0, 0, 0},  {JLT, 5, 1, 0, 1},     {JMP, 0, 0, 0, 3},  {STORE, 2, 5, 0, 0},
                                         {ADD, 5, 5, 0, 0},  {JMP, 0, 0, 0, -5},    {ADDI, 0, 0, 0, 1}, {JLT, 0, 1, 0, -12},
                                         {HALT, 0, 0, 0, 0}};
    uint64_t sum = 0;
    for (int round = 0; round < 150; round++) {
        for (int i = 0; i < 1 << 16; i++) mem[i] = 0;
        sum += run(sieve);
    }
    printf("%llu\n", (unsigned long long)sum);
}
