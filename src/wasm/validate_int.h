/* The function validator's state (Appendix, "Validation Algorithm"), for its three files: validate_func.c
 * runs the body, validate_control.c has control flow, validate_ops.c the families that are rare in practice.
 *
 *   stack  |<- values of outer blocks ->|<- this block's ->|
 *          stack                        base               sp        limit
 *
 * 1. A check that fails reports to v->d, sets v->e and returns false; callers return false at once.
 * 2. v->weight is 0 exactly while the current code is unreachable.
 */
#ifndef ORLO_WASM_VALIDATE_INT_H
#define ORLO_WASM_VALIDATE_INT_H

#include "wasm/wasm_int.h"

enum { OPERANDS_MAX = 1 << 20 };

struct frame {
    const wasm_type *params, *results;
    uint32_t params_count, results_count;
    uint32_t height; /* operands below this block's */
    uint32_t inits;  /* entries of v->undo before this block */
    uint32_t weight; /* of the code around the block */
    uint16_t op;     /* BLOCK, LOOP, IF, ELSE, TRY_TABLE */
    bool unreachable;
};

/* A fixed signature, unpacked; 'a' is ADDRESS until the memory is known. */
enum { ADDRESS = 0xff };
struct signature {
    uint8_t operands_count, operands[3];
    uint8_t result; /* WASM_BOT: none */
    bool fixed;
};

struct wasm_validator {
    const struct wasm_module *m;
    struct rd r;
    struct diag *d;
    err e;
    const uint8_t *op_at;
    uint32_t op; /* enum wasm_op of the instruction at op_at */

    uint8_t *stacks; /* the mapping that stack, locals, local_weight, undo, local_flags and local_set lie in */
    size_t stacks_bytes;
    wasm_type *stack, *sp, *base, *limit, *top;
    struct frame *frames;
    uint32_t frames_count, frames_cap;

    wasm_type *locals;
    uint32_t *local_weight;
    uint8_t *local_flags, *local_set; /* local_set: has a value here, by the structure of blocks */
    uint32_t *undo;                   /* locals whose local_set began in an open block */
    uint32_t undo_count, locals_count, params_count;

    uint32_t weight, loops;
    const uint8_t *straight; /* since here the code has neither labels nor branches */
    struct wasm_func_info info;
    bool made_up;
    bool memory0_is32; /* memory 0 exists and has i32 addresses: the quick case */
    arena *scratch;    /* block types of one body */
    struct signature signatures[WASM_OPS_END];
};

/* ---- failures ----------------------------------------------------------------------------------- */

bool wv_invalid(struct wasm_validator *v, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool wv_malformed(struct wasm_validator *v, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool wv_limit(struct wasm_validator *v, const char *what);
bool wv_read_failed(struct wasm_validator *v); /* reports v->r's failure; false */

/* ---- operands ----------------------------------------------------------------------------------- */

static inline struct frame *wv_top_frame(struct wasm_validator *v) { return &v->frames[v->frames_count - 1]; }
static inline uint32_t wv_add_saturated(uint32_t a, uint32_t b) { return a + b < a ? UINT32_MAX : a + b; }
bool wv_mismatch(struct wasm_validator *v, wasm_type want, wasm_type found); /* found WASM_BOT: nothing there */
bool wv_pop_slow(struct wasm_validator *v, wasm_type t);
bool wv_pop_ref(struct wasm_validator *v, wasm_type *t); /* any reference */
bool wv_pop_some(struct wasm_validator *v, const wasm_type *t, uint32_t n);
bool wv_push_some(struct wasm_validator *v, const wasm_type *t, uint32_t n);
/* Of most blocks and labels there are none. */
static inline bool wv_pop_types(struct wasm_validator *v, const wasm_type *t, uint32_t n) { return !n || wv_pop_some(v, t, n); }
static inline bool wv_push_types(struct wasm_validator *v, const wasm_type *t, uint32_t n) { return !n || wv_push_some(v, t, n); }
void wv_unreachable(struct wasm_validator *v);
void wv_recount(struct wasm_validator *v, uint32_t weight, uint32_t calls_weight);

static inline bool wv_pop(struct wasm_validator *v, wasm_type t) {
    if (LIKELY(v->sp > v->base && v->sp[-1] == t)) {
        v->sp--;
        return true;
    }
    return wv_pop_slow(v, t);
}
static inline bool wv_push(struct wasm_validator *v, wasm_type t) {
    if (UNLIKELY(v->sp == v->limit)) return wv_limit(v, "operands");
    *v->sp++ = t;
    if (v->sp > v->top) v->top = v->sp;
    if (UNLIKELY(t == WASM_V128)) v->info.uses_v128 = true;
    return true;
}

/* ---- immediates: read and looked up; NULL or false after a failure ------------------------------ */

static inline bool wv_u32(struct wasm_validator *v, uint32_t *x) {
    *x = wasm_rd_u32(&v->r);
    return UNLIKELY(v->r.fail) ? wv_read_failed(v) : true;
}
bool wv_type_valid(struct wasm_validator *v, wasm_type t);
const struct wasm_deftype *wv_read_type(struct wasm_validator *v, enum wasm_comp comp, uint32_t *index);
const struct wasm_table *wv_read_table(struct wasm_validator *v);
const struct frame *wv_read_label(struct wasm_validator *v, const wasm_type **types, uint32_t *n);

/* Instructions of validate_control.c; v->op says which. */
bool wv_open_frame(struct wasm_validator *v, uint32_t op, const struct wasm_block_type *t);
bool wv_block(struct wasm_validator *v); /* block, loop, if */
bool wv_else(struct wasm_validator *v);
bool wv_end(struct wasm_validator *v);
bool wv_br(struct wasm_validator *v);
bool wv_br_if(struct wasm_validator *v);
bool wv_br_table(struct wasm_validator *v);
bool wv_return(struct wasm_validator *v);
bool wv_call(struct wasm_validator *v);  /* all six kinds of call */
bool wv_throw(struct wasm_validator *v); /* throw, throw_ref */
bool wv_try_table(struct wasm_validator *v);

/* Instructions of validate_ops.c; v->op says which. */
bool wv_reference_op(struct wasm_validator *v); /* 0xd0..0xd6, FB 20..30 */
bool wv_aggregate_op(struct wasm_validator *v); /* FB 0..19 */
bool wv_bulk_op(struct wasm_validator *v);      /* tables, FC 8..17 without a fixed signature */
bool wv_fixed_op(struct wasm_validator *v);     /* whatever has a fixed signature */

#endif
