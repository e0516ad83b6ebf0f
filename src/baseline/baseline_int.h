/* baseline_int: what the files of this room share: the state of a compilation, the compile-time operand stack, registers.
 *
 *   compile.c   module and function, prologue, dispatch          pins.c    which locals live in registers
 *   stack.c     operands: where they are, spilling               control.c blocks and branches
 *   calls.c     calls, runtime calls, thunks, entry adapters     emit_*.c  the families of instructions
 *   exceptions.c  throwing, catch clauses, how functions are left
 *   target.h    what a target provides                           x64_*.c   x86-64, arm64_*.c aarch64
 *
 * A frame, in slots of 8 bytes from r13:  parameters, locals | saved registers | operands | arguments of a call …
 *
 * 1. An operand is an immediate, a lazy reference to a local, a register it owns, its home slot, or a lazy load.
 * 2. A pinned local is in its register at every label, every branch and every instruction boundary, but while a call runs, when
 *    those in caller-saved registers are in their home slots.
 * 3. i32 values are zero-extended to 64 bits in registers, and in slots.
 * 4. At a label all operands below are immediates or in their home slots (flush_all at its start).
 * 5. A cache (cache_of) says that a temporary equals an unpinned local; registers with one may be taken at any time.
 * 6. A lazy load is on the stack only between instructions that cannot be seen to come before it (pending).
 * 7. The scratch registers belong to the target's code of one instruction; operands never are in them.
 */
#ifndef ORLO_BASELINE_INT_H
#define ORLO_BASELINE_INT_H

#include "baseline/baseline.h"
#if BASELINE_MACHINE == 183 /* ABI_MACHINE_AARCH64; meson.build compiles this room once for each machine */
#include "baseline/arm64_regs.h"
#else
#include "baseline/x64_regs.h"
#endif

enum value_kind { V_IMM, V_LOCAL, V_REG, V_SLOT, V_MEM, V_FLAGS };
enum value_type { T_I32 = WASM_I32, T_I64, T_F32, T_F64, T_V128, T_REF = WASM_REF_BIT };
enum { NO_REG = 0xff, NO_LABEL = UINT32_MAX };

static inline enum value_type type_of(wasm_type t) { return t & WASM_REF_BIT ? T_REF : (enum value_type)t; }
static inline bool type_is_float(unsigned t) { return 0x38 >> t & 1; }   /* lives in a vector register */
static inline unsigned type_is_64(unsigned t) { return 0x104 >> t & 1; } /* of integers: i64 and references */
static inline uint32_t type_slots(unsigned t) { return t == T_V128 ? 2 : 1; }

/* Written and copied as two words: a load of a word that was stored in pieces waits for all of them. */
struct value {
    union {
        struct {
            uint8_t kind, type;
            uint8_t reg;   /* V_REG; V_MEM: the base, or NO_REG; V_FLAGS: the target's condition */
            uint8_t owned; /* V_MEM: the base is a temporary of this operand. V_REG: see known_bits */
            uint32_t slot; /* home */
        };
        uint64_t head;
    };
    union {
        uint64_t imm; /* of a vector: the address of its 16 bytes */
        uint32_t local;
        struct { /* V_MEM: a full-width load from the group's memory 0 */
            int32_t disp;
            uint32_t wasm_offset;
        };
    };
};
static inline uint64_t value_head(enum value_kind kind, unsigned type, uint8_t reg, unsigned owned, uint32_t slot) {
    return (uint64_t)kind | (uint64_t)type << 8 | (uint64_t)reg << 16 | (uint64_t)owned << 24 | (uint64_t)slot << 32;
}
/* Of an i32 in V_REG: it is below 1 << known_bits; 0 says nothing. So an address made of it may be seen not to wrap. */
static inline unsigned known_bits(const struct value *v) { return v->kind == V_REG ? v->owned : 0; }
/* v is in the register, or in its slot, now. */
static inline void value_in_reg(struct value *v, uint8_t reg) { v->head = value_head(V_REG, v->type, reg, false, v->slot); }
static inline void value_in_slot(struct value *v) { v->head = value_head(V_SLOT, v->type, 0, false, v->slot); }

struct label {
    uint32_t at;    /* in text, or NO_LABEL while not bound */
    uint32_t fixes; /* list of branches to it, 0 ends */
};
struct local {
    uint8_t type, reg; /* NO_REG: not pinned */
    uint8_t cache;     /* a temporary that holds it too, or NO_REG */
    uint8_t flags;     /* WASM_LOCAL_* */
    uint32_t slot;
    uint16_t uses; /* in the loop that loops.c looks at; 0 between */
    bool lent, loop_written;
};
/* A register that a loop has for a local of its own: loops.c. */
struct loan {
    uint8_t reg;
    bool written; /* the loop sets `to` */
    bool synced;
    uint32_t from, to;
};
struct loop_exit { /* branches from such a loop to the control `index` */
    uint32_t index;
    struct label label;
};
enum { LOANS_MAX = 16 };

struct fix { /* target_patch at `at` */
    uint32_t at, base, next;
};

enum control_kind { C_FUNC, C_BLOCK, C_LOOP, C_IF, C_ELSE, C_TRY };
struct control {
    uint8_t kind;
    uint8_t result; /* the type of the only result, 0: none or several */
    uint32_t params_count, results_count;
    const wasm_type *params, *results; /* NULL where `result` says it all */
    uint32_t height;                   /* operands below the parameters, the sentinel included */
    uint32_t synced;                   /* as at the start */
    uint32_t exit;                     /* its place in loop_exits, if it is there */
    uint32_t clauses, clauses_count;   /* C_TRY: its clauses, the first of them, */
    uint32_t outer_clause;             /* and the first around it, as compiler.clause */
    struct label label, otherwise;
};

struct stub { /* code put behind the function: a trap */
    struct label label;
    uint8_t trap, nan_type; /* nan_type: T_F32, T_F64: INVALID_CONVERSION if `reg` is a NaN */
    uint8_t reg;
    uint32_t wasm_offset;
    uint32_t resume;        /* far calls: where to go back to, else NO_LABEL */
    uint32_t frame, clause; /* far calls: of their sites */
};
enum { STUB_FAR_CALL = 0xff }; /* in `trap` */

struct pool_use {
    uint32_t at, base;
    uint64_t v;
};

struct pool16_use { /* a constant of 16 bytes: the 32 bits at `at` become its place - base */
    uint32_t at, base;
    uint64_t v[2];
};

struct compiler {
    /* hot */
    uint8_t *p, *limit;       /* output; beyond limit something is to be done before the next instruction */
    const uint8_t *pc;        /* wasm, behind the opcode and what was read of its immediates */
    const uint8_t *op;        /* the current opcode */
    struct value *sp, *floor; /* operands; those below floor are immediates or in their slots */
    struct local *locals;
    uint32_t free;   /* temporaries no operand owns */
    uint32_t temps;  /* all temporaries of this function */
    uint32_t cached; /* temporaries with a cache */
    uint32_t synced; /* caller-saved pins whose home slot is up to date */
    uint32_t hint;   /* local the next instruction stores the result to, or WASM_NO_INDEX */
    uint8_t hint_bytes;
    bool hint_tee;
    uint32_t addend;            /* the load that comes next adds this to its offset */
    bool pending;               /* a V_MEM is on the stack */
    bool flags_live;            /* a V_FLAGS is being consumed: no instruction may change the flags */
    bool dead;                  /* the code read now cannot be reached */
    uint8_t flags_reg, flags_w; /* at text position flags_at the zero flag tells about this register */
    const uint8_t *flags_at;
    uint8_t sum_reg; /* a target's: of which register the sum with the base is in a scratch register, or NO_REG; labels end it */
    uint32_t cache_of[32];

    struct control *controls;
    uint32_t controls_n, controls_cap;
    struct value *stack;
    uint32_t stack_cap, locals_cap;
    uint8_t *text; /* = out->text.p */
    uint8_t *end;  /* beyond it ROOM bytes are left */
    uint32_t func_start;
    uint32_t func_index;
    uint32_t stack_slot; /* slot of the first operand */
    uint32_t pins_saved; /* callee-saved registers in use, stored from slot save_slot */
    uint32_t save_slot;
    uint32_t pins_caller; /* caller-saved registers with a pin */
    uint32_t pin_local[32];
    uint32_t pins_synced; /* those whose local is never written */
    bool unpinned_hot;    /* there is a local without a register that loops use */
    struct loan loans[LOANS_MAX];
    uint32_t loans_n, loop_index; /* of the loop that has them: its control */
    VEC(struct loop_exit) loop_exits;
    bool epilogue_short;
    bool memory0_direct;             /* memory 0 exists and is at GS */
    bool calls_out;                  /* the function has calls (not: runtime calls) */
    uint32_t body_bytes;             /* of the function, wasm */
    bool far_branches, out_of_reach; /* branches of this function must reach anywhere in it; one did not */
    bool far_calls;                  /* likewise for calls in the object */

    struct fix *fixes;
    uint32_t fixes_n, fixes_cap;
    VEC(struct stub) stubs;
    VEC(struct pool_use) pool;
    VEC(struct pool16_use) pool16;
    VEC(uint32_t) depths; /* of a br_table */
    VEC(struct label *) labels;
    VEC(struct fix) calls; /* forward calls within the object: base = function index */
    struct abi_sites_writer sites;
    uint32_t clause;                /* number + 1 of the first catch clause around the current instruction, or 0 */
    VEC(struct abi_clause) clauses; /* of the function */
    VEC(uint32_t) clause_controls;  /* parallel: the control each one branches to */

    const struct abi_layout *layout;
    const struct wasm_module *m;
    const struct baseline_options *options;
    struct abi_object *out;
    arena *arena;
    uint32_t **field_offsets; /* by type index, made when first needed */
    uint8_t *needs_record;    /* by function index: has been put into refs */
    uint32_t bulk_helpers[2]; /* positions in text */
    uint64_t cpu;
    err failed;
    struct diag *d;
};
enum { ROOM = 4096, LAZY_MAX = 64 };

/* Small and everywhere on the hot path. */
#define HOT static inline __attribute__((always_inline))

/* ---- output ---- */

void code_grow(struct compiler *c, size_t more);
static inline void code_reserve(struct compiler *c, size_t more) {
    if (UNLIKELY(c->p > c->end || (size_t)(c->end - c->p) < more)) code_grow(c, more + ROOM);
}
/* Before the next instruction: the code is dead, a load is pending, or room is short. */
static inline void attention_needed(struct compiler *c) { c->limit = NULL; }
static inline uint32_t code_at(const struct compiler *c) { return (uint32_t)(c->p - c->text); }
static inline uint32_t op_offset(const struct compiler *c) {
    return (uint32_t)MIN(wasm_offset(c->m, c->op), (uint64_t)UINT32_MAX);
}
HOT void site_at(struct compiler *c, enum abi_site_kind kind, uint32_t wasm_offset) {
    abi_sites_put(&c->out->sites, &c->sites,
                  (struct abi_site){.pc = code_at(c) - c->func_start, .wasm_offset = wasm_offset, .kind = kind});
}
HOT void site(struct compiler *c, enum abi_site_kind kind) { site_at(c, kind, op_offset(c)); }
/* Behind a call of a function whose frame is that many slots up, and which exceptions may leave. */
HOT void call_site_at(struct compiler *c, uint32_t wasm_offset, uint32_t frame, uint32_t clause) {
    struct abi_site s = {code_at(c) - c->func_start, wasm_offset, c->layout->unwind ? ABI_SITE_UNWIND : ABI_SITE_CALL, frame,
                         clause};
    abi_sites_put(&c->out->sites, &c->sites, s);
}
HOT void call_site(struct compiler *c, uint32_t frame) { call_site_at(c, op_offset(c), frame, c->clause); }

void label_use(struct compiler *c, struct label *l, uint32_t at, uint32_t base); /* what is at `at` refers to it: target_patch */
void label_bind(struct compiler *c, struct label *l);
/* A cold label that raises the trap, at the current instruction's offset. */
struct label *trap_stub(struct compiler *c, enum abi_trap trap);
struct label *stub_add(struct compiler *c, struct stub s);
void unsupported(struct compiler *c);

/* ---- registers and operands: stack.c ---- */

void spill(struct compiler *c, bool floating);            /* frees a temporary */
void flush(struct compiler *c, struct value *v);          /* to its home slot */
void flush_all(struct compiler *c);                       /* all but immediates; the floor rises */
void flush_whole(struct compiler *c, struct value *from); /* as flush_all, and immediates from `from` up */
void unlazy(struct compiler *c, uint32_t local);          /* copies of the local's value for lazy references to it */
void materialise(struct compiler *c);                     /* loads what is pending */
void claim(struct compiler *c, uint8_t reg);              /* makes this temporary the caller's, moving its owner away */
void floor_slow(struct compiler *c);
void caches_kill(struct compiler *c, uint32_t regs);
uint8_t into_temp(struct compiler *c, struct value *v); /* into a register that may be changed */
void hold(struct compiler *c, struct value *v);         /* into a register that no alloc takes away */

static inline uint32_t bit(unsigned reg) { return 1u << reg; }
enum { INT_REGS = 0xffff };

HOT void cache_kill(struct compiler *c, uint8_t r) {
    if (UNLIKELY(c->cached & bit(r))) {
        c->locals[c->cache_of[r]].cache = NO_REG;
        c->cached &= ~bit(r);
    }
}
static inline void cache_set(struct compiler *c, uint8_t r, uint32_t local) {
    if (!(c->temps & bit(r))) return;
    cache_kill(c, r);
    if (c->locals[local].cache != NO_REG) c->cached &= ~bit(c->locals[local].cache);
    c->locals[local].cache = r;
    c->cache_of[r] = local;
    c->cached |= bit(r);
}
static inline void cache_drop(struct compiler *c, struct local *l) {
    if (l->cache != NO_REG) c->cached &= ~bit(l->cache), l->cache = NO_REG;
}

/* Prefers a register without a cache, and keeps the first (that of results) for last. */
static inline uint8_t alloc(struct compiler *c, bool floating) {
    uint32_t in_class = floating ? ~(uint32_t)INT_REGS : INT_REGS;
    if (UNLIKELY(!(c->free & in_class))) spill(c, floating);
    uint32_t m = c->free & in_class;
    uint32_t better = m & ~c->cached & ~0x10001u;
    if (!better) better = m & ~c->cached;
    if (!better) better = m;
    uint8_t r = (uint8_t)__builtin_ctz(better);
    c->free &= ~bit(r);
    cache_kill(c, r);
    return r;
}
static inline void release_reg(struct compiler *c, uint8_t r) { c->free |= bit(r); }
HOT void release(struct compiler *c, const struct value *v) {
    if (v->kind == V_REG || (v->kind == V_MEM && v->owned)) c->free |= bit(v->reg);
}
/* All but d. */
HOT void release_except(struct compiler *c, const struct value *v, uint8_t d) {
    if ((v->kind == V_REG || (v->kind == V_MEM && v->owned)) && v->reg != d) c->free |= bit(v->reg);
}

static inline uint8_t result_reg(unsigned type) { return type_is_float(type) ? TARGET_FLOAT_RESULT : TARGET_INT_RESULT; }

/* The register that holds v now, or NO_REG. */
HOT uint8_t reg_of(const struct compiler *c, const struct value *v) {
    if (v->kind == V_REG) return v->reg;
    if (v->kind == V_LOCAL) {
        const struct local *l = &c->locals[v->local];
        return l->reg & l->cache; /* at most one of them is not NO_REG (all ones) */
    }
    return NO_REG;
}
static inline uint32_t slot_of(const struct compiler *c, const struct value *v) {
    return v->kind == V_LOCAL ? c->locals[v->local].slot : v->slot;
}
static inline bool is_imm(const struct value *v) { return v->kind == V_IMM; }
static inline bool imm_is_32(const struct value *v) { /* as a sign-extended operand */
    return v->kind == V_IMM && (!type_is_64(v->type) || (int64_t)v->imm == (int32_t)v->imm);
}

/* The slot above an operand's. */
HOT uint32_t next_slot(const struct value *below) { return below->slot + type_slots(below->type); }

HOT struct value *push(struct compiler *c, enum value_kind kind, unsigned type, uint8_t reg) {
    struct value *v = c->sp++;
    v->head = value_head(kind, type, reg, false, next_slot(v - 1));
    if (UNLIKELY((size_t)(v - c->floor) > LAZY_MAX)) floor_slow(c); /* v is below the floor, or far above it */
    return v;
}
HOT void push_reg(struct compiler *c, unsigned type, uint8_t reg) { push(c, V_REG, type, reg); }
HOT void push_imm(struct compiler *c, unsigned type, uint64_t imm) { push(c, V_IMM, type, 0)->imm = imm; }
HOT void push_local(struct compiler *c, uint32_t local) { push(c, V_LOCAL, c->locals[local].type, 0)->imm = local; }
HOT void push_slot(struct compiler *c, unsigned type) { push(c, V_SLOT, type, 0); }
static inline void push_flags(struct compiler *c, uint8_t cc) { push(c, V_FLAGS, T_I32, cc); }
/* v again, with the home that belongs to its place now. */
static inline void push_value(struct compiler *c, const struct value *v) {
    struct value *top = push(c, (enum value_kind)v->kind, v->type, v->reg);
    top->owned = v->owned;
    top->imm = v->imm;
}
HOT struct value pop(struct compiler *c) {
    const struct value *v = --c->sp;
    struct value r;
    r.head = v->head;
    r.imm = v->imm;
    return r;
}
/* a and b were popped: the lazy load is off the stack if it was one of them. */
HOT void took(struct compiler *c, const struct value *a, const struct value *b) {
    if (UNLIKELY(c->pending) && (a->kind == V_MEM || b->kind == V_MEM)) c->pending = false;
}

/* In a register that may only be read. */
uint8_t into_reg_slow(struct compiler *c, struct value *v);
HOT uint8_t into_reg(struct compiler *c, struct value *v) {
    uint8_t r = reg_of(c, v);
    return LIKELY(r != NO_REG) ? r : into_reg_slow(c, v);
}

/* The register for a result: that of the local which the next instruction sets, else a temporary of a popped operand, else a
 * new one. Between dest and finish the target emits; finish releases the operands and pushes the result. */
HOT uint8_t dest_hint(struct compiler *c) {
    const uint8_t *q = c->pc;
    c->hint = WASM_NO_INDEX;
    if (*q != WASM_OP_LOCAL_SET && *q != WASM_OP_LOCAL_TEE) return NO_REG;
    uint32_t l = q[1], n = 2;
    if (UNLIKELY(l >= 0x80)) {
        if (q[2] >= 0x80) return NO_REG;
        l = (l & 0x7f) | (uint32_t)q[2] << 7;
        n = 3;
    }
    uint8_t r = c->locals[l].reg;
    if (r == NO_REG) return NO_REG;
    unlazy(c, l);
    c->hint = l;
    c->hint_bytes = (uint8_t)n;
    c->hint_tee = *q == WASM_OP_LOCAL_TEE;
    return r;
}
/* Likewise if that is only the next but one, and the next has this result as its operand: the local is set an instruction early. */
uint8_t dest_ahead(struct compiler *c, unsigned type);
enum { AHEAD_NO, AHEAD_OPERAND, AHEAD_I32, AHEAD_I64, AHEAD_SWAPS = 0x80 };
static const uint8_t ahead_of[256] = {
    /* by opcode: what dest_ahead makes of it */
    [WASM_OP_LOCAL_GET] = AHEAD_OPERAND,
    [WASM_OP_I32_CONST] = AHEAD_OPERAND,
    [WASM_OP_I64_CONST] = AHEAD_OPERAND,
    [WASM_OP_I32_ADD] = AHEAD_I32 | AHEAD_SWAPS,
    [WASM_OP_I32_SUB] = AHEAD_I32,
    [WASM_OP_I32_MUL] = AHEAD_I32 | AHEAD_SWAPS,
    [WASM_OP_I32_AND... WASM_OP_I32_XOR] = AHEAD_I32 | AHEAD_SWAPS,
    [WASM_OP_I32_SHL... WASM_OP_I32_ROTR] = AHEAD_I32,
    [WASM_OP_I64_ADD] = AHEAD_I64 | AHEAD_SWAPS,
    [WASM_OP_I64_SUB] = AHEAD_I64,
    [WASM_OP_I64_MUL] = AHEAD_I64 | AHEAD_SWAPS,
    [WASM_OP_I64_AND... WASM_OP_I64_XOR] = AHEAD_I64 | AHEAD_SWAPS,
    [WASM_OP_I64_SHL... WASM_OP_I64_ROTR] = AHEAD_I64,
};
HOT uint8_t dest(struct compiler *c, unsigned type, const struct value *a, const struct value *b) {
    uint8_t r = dest_hint(c);
    if (r != NO_REG) return r;
    bool f = type_is_float(type);
    if (TARGET_TWO_OPERANDS && ahead_of[*c->pc] && !f) {
        r = dest_ahead(c, type);
        if (r != NO_REG) return r;
    }
    if (*c->pc == WASM_OP_END || *c->pc == WASM_OP_RETURN) { /* most likely a block's only result */
        r = f ? TARGET_FLOAT_RESULT : TARGET_INT_RESULT;
        if (c->free & bit(r)) {
            c->free &= ~bit(r);
            cache_kill(c, r);
            return r;
        }
    }
    if (a && a->kind == V_REG && type_is_float(a->type) == f) r = a->reg;
    else if (b && b->kind == V_REG && type_is_float(b->type) == f) r = b->reg;
    else return alloc(c, f);
    cache_kill(c, r);
    return r;
}
HOT void finish(struct compiler *c, unsigned type, uint8_t d, const struct value *a, const struct value *b) {
    if (a) release_except(c, a, d);
    if (b) release_except(c, b, d);
    if (c->hint != WASM_NO_INDEX) {
        c->pc += c->hint_bytes;
        c->synced &= ~bit(d);
        if (c->hint_tee) push_local(c, c->hint);
    } else {
        push_reg(c, type, d);
    }
}

/* What finish just pushed is an i32 below 1 << bits. */
HOT void set_known_bits(struct compiler *c, unsigned bits) {
    struct value *v = c->sp - 1;
    if (c->hint == WASM_NO_INDEX && bits && bits < 32) v->head = value_head(V_REG, T_I32, v->reg, bits, v->slot);
}

/* ---- families ---- */

enum alu { ALU_ADD, ALU_SUB, ALU_AND, ALU_OR, ALU_XOR, ALU_MUL };
enum shift { SHIFT_SHL, SHIFT_SHR_S, SHIFT_SHR_U, SHIFT_ROTL, SHIFT_ROTR };
enum div { DIV_S, DIV_U, REM_S, REM_U };
enum unary { UN_CLZ, UN_CTZ, UN_POPCNT, UN_EXT8, UN_EXT16, UN_EXT32, UN_WRAP, UN_ZEXT32 };
enum cond { EQ, NE, LT_S, LT_U, GT_S, GT_U, LE_S, LE_U, GE_S, GE_U };
enum fcond { FEQ, FNE, FLT, FGT, FLE, FGE };
enum fbin { FBIN_ADD, FBIN_SUB, FBIN_MUL, FBIN_DIV, FBIN_MIN, FBIN_MAX, FBIN_COPYSIGN };
enum fun { FUN_ABS, FUN_NEG, FUN_CEIL, FUN_FLOOR, FUN_TRUNC, FUN_NEAREST, FUN_SQRT };
/* What a memory access moves. */
enum access { A_8S, A_8U, A_16S, A_16U, A_32S, A_32, A_64, A_F32, A_F64, A_V128 };

void emit_alu(struct compiler *c, enum alu op, unsigned type);
void emit_shift(struct compiler *c, enum shift op, unsigned type);
void emit_div(struct compiler *c, enum div op, unsigned type);
void emit_unary(struct compiler *c, enum unary op, unsigned from, unsigned to);
void emit_compare(struct compiler *c, enum cond cond, unsigned type);
void emit_eqz(struct compiler *c, unsigned type);
void emit_select(struct compiler *c);

void emit_fbin(struct compiler *c, enum fbin op, unsigned type);
void emit_fun(struct compiler *c, enum fun op, unsigned type);
void emit_fcompare(struct compiler *c, enum fcond cond, unsigned type);
void emit_trunc(struct compiler *c, unsigned from, unsigned to, bool is_signed, bool saturating);
void emit_convert(struct compiler *c, unsigned from, unsigned to, bool is_signed);
void emit_float_to_float(struct compiler *c, unsigned from, unsigned to);
void emit_reinterpret(struct compiler *c, unsigned from, unsigned to);

void emit_load(struct compiler *c, enum access a, unsigned type);
void emit_store(struct compiler *c, enum access a, unsigned type);
void emit_memory_size(struct compiler *c);
void emit_memory_grow(struct compiler *c);
void emit_memory_copy(struct compiler *c);
void emit_memory_fill(struct compiler *c);
void emit_memory_init(struct compiler *c);
void emit_data_drop(struct compiler *c);
void emit_data_run(struct compiler *c);

void emit_v128_const(struct compiler *c);
bool simd_folds(const struct compiler *c, const uint8_t *pc); /* the instruction at pc may have a lazy load as operand */
void emit_simd(struct compiler *c, uint32_t op, unsigned n);  /* n vectors to one */
void emit_simd_shift(struct compiler *c, uint32_t op);
void emit_simd_test(struct compiler *c, uint32_t op);
void emit_simd_bitmask(struct compiler *c, uint32_t op);
void emit_simd_splat(struct compiler *c, uint32_t op);
void emit_simd_extract(struct compiler *c, uint32_t op, unsigned type);
void emit_simd_replace(struct compiler *c, uint32_t op);
void emit_simd_shuffle(struct compiler *c);
void emit_simd_load(struct compiler *c, uint32_t op);
void emit_simd_load_lane(struct compiler *c, unsigned log2);
void emit_simd_store_lane(struct compiler *c, unsigned log2);

void emit_local_set(struct compiler *c, bool tee);
void emit_global_get(struct compiler *c);
void emit_global_set(struct compiler *c);
void emit_table_get(struct compiler *c);
void emit_table_set(struct compiler *c);
void emit_table_call(struct compiler *c, enum abi_rtcall rt); /* size, grow, fill, copy, init, elem.drop */
void emit_ref_null(struct compiler *c);
void emit_ref_func(struct compiler *c);
void emit_ref_as_non_null(struct compiler *c);
void emit_elem_set(struct compiler *c);
void emit_drop(struct compiler *c);

/* emit_gc.c */
void emit_struct_new(struct compiler *c, bool fields);
void emit_struct_get(struct compiler *c, bool is_signed);
void emit_struct_set(struct compiler *c);
void emit_array_new(struct compiler *c, bool with_default);
void emit_array_new_fixed(struct compiler *c);
void emit_array_new_segment(struct compiler *c, enum abi_rtcall rt);
void emit_array_get(struct compiler *c, bool is_signed);
void emit_array_set(struct compiler *c);
void emit_array_len(struct compiler *c);
void emit_array_fill(struct compiler *c);
void emit_array_copy(struct compiler *c);
void emit_array_init(struct compiler *c, enum abi_rtcall rt);
void emit_ref_test(struct compiler *c, bool null_ok);
void emit_ref_cast(struct compiler *c, bool null_ok);
void emit_br_on_cast(struct compiler *c, bool on_fail);
void emit_ref_i31(struct compiler *c);
void emit_i31_get(struct compiler *c, bool is_signed);

void emit_unreachable(struct compiler *c);
void emit_block(struct compiler *c, enum control_kind kind);
void emit_if(struct compiler *c);
void emit_else(struct compiler *c);
bool emit_end(struct compiler *c); /* true: of the function */
void emit_br(struct compiler *c);
void emit_br_if(struct compiler *c);
void emit_br_table(struct compiler *c);
void emit_return(struct compiler *c);
void emit_br_on_null(struct compiler *c, bool on_null);
void branch_if(struct compiler *c, uint32_t depth, uint8_t cc); /* flags_live is set */
void skip_dead(struct compiler *c);
void set_dead(struct compiler *c); /* what follows cannot be reached */
void restore_saved(struct compiler *c);
void control_push(struct compiler *c, enum control_kind kind, const struct wasm_block_type *t);
static inline struct control *control_at(struct compiler *c, uint32_t depth) { return &c->controls[c->controls_n - 1 - depth]; }

void emit_call(struct compiler *c);
void emit_call_indirect(struct compiler *c);
void emit_call_ref(struct compiler *c);
void emit_return_call(struct compiler *c);
void emit_return_call_indirect(struct compiler *c);
void emit_return_call_ref(struct compiler *c);
void save_pins(struct compiler *c);   /* caller-saved ones, as a call wants it */
void reload_pins(struct compiler *c); /* and behind it */

/* ---- exceptions.c ---- */

void emit_throw(struct compiler *c);
void emit_throw_ref(struct compiler *c);
/* The clauses at c->pc, of a try_table that is about to be entered; and at its end, where nothing falls into them. */
void clauses_read(struct compiler *c, struct control *into);
void clauses_enter(struct compiler *c, const struct control *k);
void put_unwind(struct compiler *c, uint32_t func_index); /* at the function's end */

/* A runtime call: `lead` immediates, then the `n` topmost operands, popped. The result, if any, is in the target's first
 * result register, pushed as `result` (0: none). */
void emit_rtcall(struct compiler *c, enum abi_rtcall rt, const uint32_t *lead, uint32_t lead_n, uint32_t n, unsigned result);
/* Pushes a new struct of at most ABI_CELL_MAX bytes, its header included. */
void emit_new(struct compiler *c, uint32_t type_id, uint32_t bytes);
void emit_bulk(struct compiler *c, bool fill, const uint32_t *lead, uint32_t lead_n);
void needs_record(struct compiler *c, uint32_t func_index);

/* ---- loops.c ---- */

void loop_enter(struct compiler *c);                               /* before an innermost loop's label */
void loop_leave(struct compiler *c);                               /* at its end, if loans_n */
void loop_give_back(struct compiler *c);                           /* right before a branch out of it */
struct label *loop_exit_label(struct compiler *c, uint32_t depth); /* to branch to instead of control `depth`'s */
/* The branch leaves the loop that has loans, and not the function. */
static inline bool leaves_loans(const struct compiler *c, uint32_t depth) {
    uint32_t index = c->controls_n - 1 - depth;
    return UNLIKELY(c->loans_n) && index < c->loop_index && index != 0;
}

/* ---- pins.c ---- */

void pins_choose(struct compiler *c, const struct wasm_func_info *info);
#include "baseline/target.h"

/* The register parameter i of a function type arrives in, given how many of each kind came before; NO_REG: its slot. */
static inline uint8_t arg_reg(unsigned type, uint32_t *ints, uint32_t *floats) {
    if (type_is_float(type)) return *floats < TARGET_FLOAT_ARGS ? target_float_args[(*floats)++] : NO_REG;
    return *ints < TARGET_INT_ARGS ? target_int_args[(*ints)++] : NO_REG;
}

#endif
