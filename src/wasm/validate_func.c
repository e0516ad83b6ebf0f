/* validate_func: one pass over a function body (§3.4), which also counts what the one-pass compiler wants to
 * know.
 *
 * run() keeps cursor and stack pointer in registers and handles what bodies consist of: locals, constants,
 * numbers, memory. All else goes through rare(), which works on the validator's fields. See validate_int.h
 * for the invariants. */
#include "wasm/validate_int.h"
#include <sys/mman.h>

/* ---- failures ----------------------------------------------------------------------------------- */

static uint64_t here(const struct wasm_validator *v) { return (uint64_t)(v->op_at - v->r.start); }

static bool report(struct wasm_validator *v, err e, const char *fmt, va_list ap) {
    char text[512];
    vsnprintf(text, sizeof text, fmt, ap);
    v->e = diag_set(v->d, e, here(v), "%s", text);
    return false;
}

bool wv_invalid(struct wasm_validator *v, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    report(v, ERR_INVALID, fmt, ap);
    va_end(ap);
    return false;
}

bool wv_malformed(struct wasm_validator *v, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    report(v, ERR_MALFORMED, fmt, ap);
    va_end(ap);
    return false;
}

bool wv_limit(struct wasm_validator *v, const char *what) {
    v->e = diag_set(v->d, ERR_LIMIT, here(v), "over a limit of this implementation: %s", what);
    return false;
}

bool wv_read_failed(struct wasm_validator *v) {
    v->e = wasm_rd_err(&v->r, v->d);
    return false;
}

/* ---- operands ----------------------------------------------------------------------------------- */

bool wv_mismatch(struct wasm_validator *v, wasm_type want, wasm_type found) {
    char w[40], f[40];
    const char *op = wasm_ops[v->op].text;
    wasm_type_text(want, w, sizeof w);
    if (found == WASM_BOT) return wv_invalid(v, "type mismatch: %s expects %s, but the stack is empty", op, w);
    return wv_invalid(v, "type mismatch: %s expects %s, found %s", op, w, wasm_type_text(found, f, sizeof f));
}

bool wv_pop_slow(struct wasm_validator *v, wasm_type t) {
    if (v->sp == v->base) return wv_top_frame(v)->unreachable ? true : wv_mismatch(v, t, WASM_BOT);
    wasm_type found = v->sp[-1];
    if (UNLIKELY(found != t && found != WASM_BOT && !wasm_type_sub(v->m, found, t))) return wv_mismatch(v, t, found);
    v->sp--;
    return true;
}

/* WASM_BOT under unreachable code. */
static bool wv_pop_any(struct wasm_validator *v, wasm_type *t) {
    *t = WASM_BOT;
    if (v->sp > v->base) {
        *t = *--v->sp;
        return true;
    }
    if (wv_top_frame(v)->unreachable) return true;
    return wv_invalid(v, "type mismatch: %s expects a value, but the stack is empty", wasm_ops[v->op].text);
}

bool wv_pop_ref(struct wasm_validator *v, wasm_type *t) {
    char text[40];
    if (!wv_pop_any(v, t)) return false;
    if (*t == WASM_BOT) *t = wasm_ref(WASM_HEAP_BOT, false);
    if (wasm_is_ref(*t)) return true;
    return wv_invalid(v, "type mismatch: %s expects a reference, found %s", wasm_ops[v->op].text,
                      wasm_type_text(*t, text, sizeof text));
}

bool wv_pop_some(struct wasm_validator *v, const wasm_type *t, uint32_t n) {
    while (n)
        if (!wv_pop(v, t[--n])) return false;
    return true;
}

bool wv_push_some(struct wasm_validator *v, const wasm_type *t, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (!wv_push(v, t[i])) return false;
    return true;
}

void wv_unreachable(struct wasm_validator *v) {
    v->sp = v->base;
    wv_top_frame(v)->unreachable = true;
    v->weight = 0;
}

/* ---- immediates --------------------------------------------------------------------------------- */

bool wv_type_valid(struct wasm_validator *v, wasm_type t) {
    if (v->r.fail) return wv_read_failed(v);
    if (!wasm_is_ref(t) || !wasm_heap_is_index(wasm_heap_of(t))) return true;
    uint32_t index = wasm_heap_index(wasm_heap_of(t));
    return index < v->m->types_count ? true : wv_invalid(v, "unknown type %u", index);
}

const struct wasm_deftype *wv_read_type(struct wasm_validator *v, enum wasm_comp comp, uint32_t *index) {
    static const char *const names[] = {"function", "structure", "array"};
    if (!wv_u32(v, index)) return NULL;
    if (*index < v->m->types_count && v->m->types[*index].comp == comp) return &v->m->types[*index];
    if (*index < v->m->types_count) wv_invalid(v, "type mismatch: type %u is not of a %s", *index, names[comp]);
    else wv_invalid(v, "unknown type %u", *index);
    return NULL;
}

const struct wasm_table *wv_read_table(struct wasm_validator *v) {
    uint32_t index;
    if (!wv_u32(v, &index)) return NULL;
    if (index < v->m->tables_count) return &v->m->tables[index];
    wv_invalid(v, "unknown table %u", index);
    return NULL;
}

/* ---- parametric, globals ------------------------------------------------------------------------ */

static bool select_op(struct wasm_validator *v) {
    wasm_type a, b;
    if (!wv_pop(v, WASM_I32) || !wv_pop_any(v, &a) || !wv_pop_any(v, &b)) return false;
    if (wasm_is_ref(a) || wasm_is_ref(b)) return wv_invalid(v, "type mismatch: select of references must name its type");
    if (a != b && a != WASM_BOT && b != WASM_BOT) return wv_mismatch(v, b, a);
    return wv_push(v, a == WASM_BOT ? b : a);
}

static bool select_typed(struct wasm_validator *v) {
    uint32_t n;
    if (!wv_u32(v, &n)) return false;
    if (n != 1) return wv_invalid(v, "invalid result arity: select gives one value");
    wasm_type t = wasm_rd_type(&v->r);
    return wv_type_valid(v, t) && wv_pop(v, WASM_I32) && wv_pop(v, t) && wv_pop(v, t) && wv_push(v, t);
}

static bool global_op(struct wasm_validator *v) {
    uint32_t index;
    if (!wv_u32(v, &index)) return false;
    if (index >= v->m->globals_count) return wv_invalid(v, "unknown global %u", index);
    const struct wasm_global *g = &v->m->globals[index];
    if (v->op == WASM_OP_GLOBAL_GET) return wv_push(v, g->type);
    if (!g->mutable && !v->made_up) return wv_invalid(v, "immutable global: global %u cannot be set", index);
    return wv_pop(v, g->type);
}

static bool drop_op(struct wasm_validator *v) {
    wasm_type t;
    return wv_pop_any(v, &t);
}

static bool unreachable_op(struct wasm_validator *v) {
    if (v->weight) wv_recount(v, 1, 0); /* a failure: it hardly ever runs */
    wv_unreachable(v);
    return true;
}

/* ---- dispatch ----------------------------------------------------------------------------------- */

/* Instructions behind which a runtime call may stand. */
static bool may_call_out(uint32_t op) {
    if (op < WASM_BASE_FB)
        return (op >= WASM_OP_THROW && op <= WASM_OP_THROW_REF) || (op >= WASM_OP_CALL && op <= WASM_OP_RETURN_CALL_REF) ||
               op == WASM_OP_TABLE_GET || op == WASM_OP_TABLE_SET || op == WASM_OP_MEMORY_GROW || op == WASM_OP_MEMORY_SIZE;
    return op < WASM_BASE_FC || (op >= WASM_OP_MEMORY_INIT && op < WASM_BASE_FD);
}

/* Names what is not in the table, and what to do where compilers are known to make it. */
static bool illegal(struct wasm_validator *v) {
    uint8_t b = *v->op_at;
    if (b >= 0xfb && b <= 0xfe) {
        struct rd r = {v->op_at + 1, v->r.end, v->r.start, NULL, 0};
        uint32_t code = wasm_rd_u32(&r);
        if (r.fail) return v->r = r, wv_read_failed(v);
        return wv_malformed(v, "illegal opcode %02x %u: not an instruction of WebAssembly 3.0", b, code);
    }
    const char *why = "not an instruction of WebAssembly 3.0";
    if (b == 0x06 || b == 0x07 || b == 0x09 || b == 0x18 || b == 0x19)
        why = "legacy exception handling; translate the module with wasm-opt --translate-to-exnref, or compile for the standard "
              "form (clang: -mllvm -wasm-use-legacy-eh=false)";
    return wv_malformed(v, "illegal opcode %02x: %s", b, why);
}

static bool prefixed(struct wasm_validator *v) {
    v->r.p = v->op_at;
    v->op = wasm_rd_op(&v->r);
    if (v->r.fail) return illegal(v);
    if (v->op >= WASM_BASE_FD) v->info.uses_v128 = true;
    if (may_call_out(v->op)) v->info.is_leaf = false;
    if (v->signatures[v->op].fixed) return wv_fixed_op(v);
    if (v->op >= WASM_BASE_FC) return wv_bulk_op(v);
    return v->op <= WASM_OP_ARRAY_INIT_ELEM ? wv_aggregate_op(v) : wv_reference_op(v);
}

static bool rare(struct wasm_validator *v) {
    if (may_call_out(v->op)) v->info.is_leaf = false;
    switch (v->op) {
    case WASM_OP_UNREACHABLE: return unreachable_op(v);
    case WASM_OP_ELSE: return wv_else(v);
    case WASM_OP_BR_TABLE: return wv_br_table(v);
    case WASM_OP_RETURN: return wv_return(v);
    case WASM_OP_CALL:
    case WASM_OP_CALL_INDIRECT:
    case WASM_OP_CALL_REF:
    case WASM_OP_RETURN_CALL:
    case WASM_OP_RETURN_CALL_INDIRECT:
    case WASM_OP_RETURN_CALL_REF: return wv_call(v);
    case WASM_OP_THROW:
    case WASM_OP_THROW_REF: return wv_throw(v);
    case WASM_OP_TRY_TABLE: return wv_try_table(v);
    case WASM_OP_SELECT_T: return select_typed(v);
    case WASM_OP_TABLE_GET:
    case WASM_OP_TABLE_SET: return wv_bulk_op(v);
    case WASM_OP_REF_NULL:
    case WASM_OP_REF_IS_NULL:
    case WASM_OP_REF_FUNC:
    case WASM_OP_REF_EQ:
    case WASM_OP_REF_AS_NON_NULL:
    case WASM_OP_BR_ON_NULL:
    case WASM_OP_BR_ON_NON_NULL: return wv_reference_op(v);
    case 0xfb:
    case 0xfc:
    case 0xfd:
    case 0xfe: return prefixed(v);
    default:
        if (v->signatures[v->op].fixed) return wv_fixed_op(v);
        return illegal(v);
    }
}

/* A get before any set of the local in the blocks that are open: it reads the default (§3.4.4). */
static bool get_unset(struct wasm_validator *v, uint32_t x) {
    if (!wasm_is_defaultable(v->locals[x])) return wv_invalid(v, "uninitialized local %u", x);
    if (v->weight) {
        v->local_flags[x] |= WASM_LOCAL_NEEDS_ZERO;
        v->local_set[x] = 1; /* nothing more to learn about it */
    }
    return true;
}

static void first_set(struct wasm_validator *v, uint32_t x) {
    v->local_set[x] = 1;
    v->undo[v->undo_count++] = x;
}

static inline void count_set(struct wasm_validator *v, uint32_t x, uint32_t weight) {
    if (!v->local_set[x]) first_set(v, x);
    v->local_weight[x] = wv_add_saturated(v->local_weight[x], weight);
    v->local_flags[x] |= weight != 0;
}

static bool local_unknown(struct wasm_validator *v, uint32_t x) { return wv_invalid(v, "unknown local %u", x); }

/* Length of a LEB128 number of at most four bytes; 0: longer, or too near the end to say. */
static inline unsigned short_leb(const uint8_t *p, const uint8_t *end) {
    if (UNLIKELY(end - p < 4)) return p < end && *p < 0x80;
    uint32_t x;
    memcpy(&x, p, sizeof x);
    uint32_t stops = ~x & 0x80808080;
    return stops ? (unsigned)__builtin_ctz(stops) / 8 + 1 : 0;
}

#define SAVE() (v->r.p = p, v->sp = sp, v->top = top)
#define LOAD() (p = v->r.p, sp = v->sp, top = v->top)
#define FAIL(call)                                                                                                               \
    do {                                                                                                                         \
        SAVE();                                                                                                                  \
        return call;                                                                                                             \
    } while (0)
#define READ_U32(x)                                                                                                              \
    uint32_t x;                                                                                                                  \
    if (LIKELY(p < end && *p < 0x80)) {                                                                                          \
        x = *p++;                                                                                                                \
    } else {                                                                                                                     \
        v->r.p = p;                                                                                                              \
        x = (uint32_t)wasm_rd_leb_slow(&v->r, 32, false);                                                                        \
        if (UNLIKELY(v->r.fail)) return wv_read_failed(v);                                                                       \
        p = v->r.p;                                                                                                              \
    }
#define PUSH(t)                                                                                                                  \
    do {                                                                                                                         \
        if (UNLIKELY(sp == v->limit)) FAIL(wv_limit(v, "operands"));                                                             \
        *sp++ = (t);                                                                                                             \
        if (sp > top) top = sp;                                                                                                  \
    } while (0)
#define POP(t)                                                                                                                   \
    do {                                                                                                                         \
        if (LIKELY(sp > base && sp[-1] == (t))) {                                                                                \
            sp--;                                                                                                                \
        } else {                                                                                                                 \
            SAVE();                                                                                                              \
            if (!wv_pop_slow(v, (t))) return false;                                                                              \
            LOAD();                                                                                                              \
        }                                                                                                                        \
    } while (0)
/* Up to four bytes are a valid number of 32 bits or more, signed or not: found without a branch on the
 * length. */
#define SKIP_LEB(bits, is_signed)                                                                                                \
    do {                                                                                                                         \
        unsigned n = short_leb(p, end);                                                                                          \
        if (UNLIKELY(!n)) {                                                                                                      \
            v->r.p = p;                                                                                                          \
            wasm_rd_leb_slow(&v->r, bits, is_signed);                                                                            \
            if (UNLIKELY(v->r.fail)) return wv_read_failed(v);                                                                   \
            p = v->r.p;                                                                                                          \
        }                                                                                                                        \
        p += n;                                                                                                                  \
    } while (0)
#define SKIP_BYTES(n)                                                                                                            \
    do {                                                                                                                         \
        if (UNLIKELY((size_t)(end - p) < (n))) {                                                                                 \
            v->r.p = p;                                                                                                          \
            rd_fail(&v->r, "unexpected end");                                                                                    \
            return wv_read_failed(v);                                                                                            \
        }                                                                                                                        \
        p += (n);                                                                                                                \
    } while (0)
/* [t] -> [r], [t t] -> [r], [a t] -> [] */
#define UNARY(t, r)                                                                                                              \
    do {                                                                                                                         \
        if (LIKELY(sp > base && sp[-1] == (t))) {                                                                                \
            sp[-1] = (r);                                                                                                        \
        } else {                                                                                                                 \
            POP(t);                                                                                                              \
            PUSH(r);                                                                                                             \
        }                                                                                                                        \
    } while (0)
#define BINARY(t, r)                                                                                                             \
    do {                                                                                                                         \
        if (LIKELY(sp - base >= 2 && sp[-1] == (t) && sp[-2] == (t))) {                                                          \
            sp--, sp[-1] = (r);                                                                                                  \
        } else {                                                                                                                 \
            POP(t);                                                                                                              \
            POP(t);                                                                                                              \
            PUSH(r);                                                                                                             \
        }                                                                                                                        \
    } while (0)
/* memarg of memory 0 with i32 addresses; anything else goes to the general path, which reports too. */
#define PLAIN_MEMARG()                                                                                                           \
    if (UNLIKELY(!memory0 || end - p < 2 || p[0] > wasm_ops[op].aux)) goto general;                                              \
    unsigned n = short_leb(p + 1, end);                                                                                          \
    if (UNLIKELY(!n)) {                                                                                                          \
        v->r.p = p + 1;                                                                                                          \
        uint64_t offset = wasm_rd_leb_slow(&v->r, 64, false);                                                                    \
        if (UNLIKELY(v->r.fail)) return wv_read_failed(v);                                                                       \
        if (UNLIKELY(offset > UINT32_MAX)) FAIL(wv_invalid(v, "offset out of range"));                                           \
        p = v->r.p - 1;                                                                                                          \
    }                                                                                                                            \
    p += n + 1
/* An instruction that works on the validator's fields. */
#define THROUGH(call)                                                                                                            \
    do {                                                                                                                         \
        SAVE();                                                                                                                  \
        if (UNLIKELY(!(call))) return false;                                                                                     \
        LOAD();                                                                                                                  \
        base = v->base, weight = v->weight;                                                                                      \
    } while (0)

/* To the next instruction's label. Each copy of this jump has its own history for the branch predictor, which
 * is a tenth of the time. */
#define NEXT()                                                                                                                   \
    do {                                                                                                                         \
        v->op_at = p;                                                                                                            \
        if (UNLIKELY(p == end)) return no_end(v);                                                                                \
        v->op = op = *p++;                                                                                                       \
        instrs++;                                                                                                                \
        goto *go[op];                                                                                                            \
    } while (0)

static bool no_end(struct wasm_validator *v) {
    v->r.p = v->r.end;
    rd_fail(&v->r, "unexpected end of section or function: END opcode expected");
    return wv_read_failed(v);
}

/* The flat loop over a body's instructions. */
static bool run(struct wasm_validator *v) {
    static const void *const go[256] = {
        [0] = &&general,
        [WASM_OP_NOP] = &&nop,
        [WASM_OP_BLOCK... WASM_OP_IF] = &&block,
        [WASM_OP_ELSE... WASM_OP_END - 1] = &&general,
        [WASM_OP_END] = &&end_of_block,
        [WASM_OP_BR] = &&br,
        [WASM_OP_BR_IF] = &&br_if,
        [WASM_OP_BR_TABLE... WASM_OP_DROP - 1] = &&general,
        [WASM_OP_DROP] = &&drop,
        [WASM_OP_SELECT] = &&select,
        [WASM_OP_SELECT_T... WASM_OP_LOCAL_GET - 1] = &&general,
        [WASM_OP_LOCAL_GET] = &&local_get,
        [WASM_OP_LOCAL_SET] = &&local_set,
        [WASM_OP_LOCAL_TEE] = &&local_tee,
        [WASM_OP_GLOBAL_GET... WASM_OP_GLOBAL_SET] = &&global,
        [WASM_OP_TABLE_GET... WASM_OP_I32_LOAD - 1] = &&general,
        [WASM_OP_I32_LOAD... WASM_OP_I64_LOAD32_U] = &&load,
        [WASM_OP_I32_STORE... WASM_OP_I64_STORE32] = &&store,
        [WASM_OP_MEMORY_SIZE... WASM_OP_MEMORY_GROW] = &&general,
        [WASM_OP_I32_CONST] = &&i32_const,
        [WASM_OP_I64_CONST] = &&i64_const,
        [WASM_OP_F32_CONST] = &&f32_const,
        [WASM_OP_F64_CONST] = &&f64_const,
        [WASM_OP_I32_EQZ] = &&i32_eqz,
        [WASM_OP_I32_EQ... WASM_OP_I32_GE_U] = &&i32_binary,
        [WASM_OP_I64_EQZ... WASM_OP_I32_POPCNT] = &&number,
        [WASM_OP_I32_ADD... WASM_OP_I32_ROTR] = &&i32_binary,
        [WASM_OP_I64_CLZ... WASM_OP_I64_EXTEND32_S] = &&number,
        [WASM_OP_I64_EXTEND32_S + 1 ... 255] = &&general,
    };
    const uint8_t *p = v->r.p, *const end = v->r.end;
    wasm_type *sp = v->sp, *top = v->top, *base = v->base;
    uint32_t weight = v->weight, instrs = 0, op;
    const bool memory0 = v->memory0_is32;
    NEXT();

local_get : {
    READ_U32(x);
    if (UNLIKELY(x >= v->locals_count)) FAIL(local_unknown(v, x));
    if (UNLIKELY(!v->local_set[x]) && !get_unset(v, x)) return false;
    v->local_weight[x] = wv_add_saturated(v->local_weight[x], weight);
    PUSH(v->locals[x]);
    NEXT();
}
local_set : {
    READ_U32(x);
    if (UNLIKELY(x >= v->locals_count)) FAIL(local_unknown(v, x));
    count_set(v, x, weight);
    wasm_type t = v->locals[x];
    POP(t);
    NEXT();
}
local_tee : {
    READ_U32(x);
    if (UNLIKELY(x >= v->locals_count)) FAIL(local_unknown(v, x));
    count_set(v, x, weight);
    wasm_type t = v->locals[x];
    UNARY(t, t);
    NEXT();
}
i32_const:
    SKIP_LEB(32, true);
    PUSH(WASM_I32);
    NEXT();
i64_const:
    SKIP_LEB(64, true);
    PUSH(WASM_I64);
    NEXT();
f32_const:
    SKIP_BYTES(4);
    PUSH(WASM_F32);
    NEXT();
f64_const:
    SKIP_BYTES(8);
    PUSH(WASM_F64);
    NEXT();
load : {
    PLAIN_MEMARG();
    wasm_type t = v->signatures[op].result;
    UNARY(WASM_I32, t);
    NEXT();
}
store : {
    PLAIN_MEMARG();
    wasm_type t = v->signatures[op].operands[1];
    POP(t);
    POP(WASM_I32);
    NEXT();
}
i32_eqz:
    UNARY(WASM_I32, WASM_I32);
    NEXT();
i32_binary:
    BINARY(WASM_I32, WASM_I32);
    NEXT();
number : {
    const struct signature *s = &v->signatures[op];
    wasm_type t = s->operands[0], r = s->result;
    if (s->operands_count == 2) BINARY(t, r);
    else UNARY(t, r);
    NEXT();
}
nop:
    NEXT();
br_if: /* nearly all are to a label near by that takes nothing */
    if (LIKELY(p < end && *p < v->frames_count && *p < 0x80)) {
        const struct frame *f = &v->frames[v->frames_count - 1 - *p];
        if (LIKELY(!(f->op == WASM_OP_LOOP ? f->params_count : f->results_count))) {
            p++;
            POP(WASM_I32);
            v->straight = p;
            NEXT();
        }
    }
    THROUGH(wv_br_if(v));
    NEXT();
br:
    THROUGH(wv_br(v));
    NEXT();
block:
    THROUGH(wv_block(v));
    NEXT();
global:
    THROUGH(global_op(v));
    NEXT();
drop:
    THROUGH(drop_op(v));
    NEXT();
select:
    THROUGH(select_op(v));
    NEXT();
end_of_block:
    THROUGH(wv_end(v));
    if (LIKELY(v->frames_count)) NEXT();
    v->info.instrs_count = instrs;
    return true;
general:
    THROUGH(rare(v));
    NEXT();
}

/* ---- bodies ------------------------------------------------------------------------------------- */

static bool add_locals(struct wasm_validator *v, uint32_t n, wasm_type t) {
    if (n > WASM_MAX_LOCALS - v->locals_count) return wv_limit(v, "locals of a function");
    for (uint32_t i = 0; i < n; i++) v->locals[v->locals_count++] = t;
    if (n && t == WASM_V128) v->info.uses_v128 = true;
    return true;
}

/* §5.5.13; the sum of all counts is checked before any is used. */
static bool read_locals(struct wasm_validator *v) {
    uint32_t groups = wasm_rd_count(&v->r, UINT32_MAX, 2, "");
    struct rd ahead = v->r;
    uint64_t total = v->locals_count;
    for (uint32_t i = 0; i < groups && !ahead.fail; i++) {
        total += wasm_rd_u32(&ahead);
        if (total > UINT32_MAX) return wv_malformed(v, "too many locals");
        wasm_rd_type(&ahead);
    }
    for (uint32_t i = 0; i < groups && !v->r.fail; i++) {
        v->op_at = v->r.p;
        uint32_t n = wasm_rd_u32(&v->r);
        wasm_type t = wasm_rd_type(&v->r);
        if (!wv_type_valid(v, t) || !add_locals(v, n, t)) return false;
    }
    return v->r.fail ? wv_read_failed(v) : true;
}

static void start_body(struct wasm_validator *v, str body, struct diag *d) {
    bool inside = (uintptr_t)body.p - (uintptr_t)v->m->bytes.p < v->m->bytes.n;
    v->r = (struct rd){body.p, body.p + body.n, inside ? v->m->bytes.p : body.p, NULL, 0};
    v->d = d, v->e = ERR_OK;
    v->op_at = body.p, v->op = WASM_OP_END;
    v->sp = v->base = v->top = v->stack;
    v->frames_count = v->locals_count = v->params_count = v->undo_count = v->loops = 0;
    v->weight = 1;
    v->straight = body.p;
    v->info = (struct wasm_func_info){.is_leaf = true};
    arena_reset(v->scratch);
}

static bool run_whole(struct wasm_validator *v, const struct wasm_block_type *t) {
    if (!wv_open_frame(v, WASM_OP_BLOCK, t) || !run(v)) return false;
    if (v->r.p == v->r.end) return true;
    v->op_at = v->r.p;
    return wv_malformed(v, "unexpected content after the end of the function: section size mismatch");
}

static bool validate_body(struct wasm_validator *v, uint32_t type) {
    static const struct wasm_deftype nothing;
    const struct wasm_deftype *ft = type == WASM_NO_INDEX ? &nothing : &v->m->types[type];
    for (uint32_t i = 0; i < ft->params_count; i++)
        if (!add_locals(v, 1, ft->params[i])) return false;
    v->params_count = ft->params_count;
    if (!read_locals(v)) return false;
    memset(v->local_weight, 0, v->locals_count * sizeof *v->local_weight);
    memset(v->local_flags, 0, v->locals_count);
    memset(v->local_set, 0, v->locals_count);
    memset(v->local_set, 1, v->params_count);
    v->straight = v->r.p;
    v->info.code = (str){v->r.p, rd_left(&v->r)};
    return run_whole(v, &(struct wasm_block_type){.results = ft->results, .results_count = ft->results_count});
}

static void give_info(struct wasm_validator *v, uint32_t type, struct wasm_func_info *info) {
    if (!info) return;
    *info = v->info;
    info->type = type;
    info->locals = v->locals, info->locals_count = v->locals_count, info->params_count = v->params_count;
    info->local_weight = v->local_weight, info->local_flags = v->local_flags;
    info->operands_max = (uint32_t)(v->top - v->stack);
}

err wasm_validate_func(struct wasm_validator *v, uint32_t func_index, struct wasm_func_info *info, struct diag *d) {
    const struct wasm_func *f = &v->m->funcs[func_index];
    ENSURE(func_index >= v->m->funcs_imported && func_index < v->m->funcs_count);
    start_body(v, f->body, d);
    v->made_up = false;
    if (validate_body(v, f->type)) {
        give_info(v, f->type, info);
        return ERR_OK;
    }
    str name = str_sub(wasm_func_name(v->m, func_index), 0, 120);
    if (name.n) diag_prefix(d, "func %u <" STR_FMT ">", func_index, STR_ARG(name));
    else diag_prefix(d, "func %u", func_index);
    return v->e;
}

err wasm_validate_made_up(struct wasm_validator *v, uint32_t type, str body, struct wasm_func_info *info, struct diag *d) {
    start_body(v, body, d);
    v->made_up = true;
    if (!validate_body(v, type)) return v->e;
    give_info(v, type, info);
    return ERR_OK;
}

err wasm_validate_expr(struct wasm_validator *v, wasm_expr e, wasm_type t, struct diag *d) {
    start_body(v, e, d);
    v->made_up = false;
    return run_whole(v, &(struct wasm_block_type){.results = &t, .results_count = 1}) ? ERR_OK : v->e;
}

/* ---- the validator itself ----------------------------------------------------------------------- */

static uint8_t type_of_letter(char c) {
    switch (c) {
    case 'i': return WASM_I32;
    case 'l': return WASM_I64;
    case 'f': return WASM_F32;
    case 'd': return WASM_F64;
    case 'v': return WASM_V128;
    default: return ADDRESS;
    }
}

static void unpack_signature(struct signature *s, const char *sig) {
    *s = (struct signature){0};
    if (!sig || *sig == '*') return;
    s->fixed = true;
    for (; *sig != ':'; sig++) s->operands[s->operands_count++] = type_of_letter(*sig);
    if (sig[1]) s->result = type_of_letter(sig[1]);
}

static void free_stacks(void *arg) {
    struct wasm_validator *v = arg;
    munmap(v->stacks, v->stacks_bytes);
    free(v->frames);
    arena_free(v->scratch);
}

/* The parts of the stacks' mapping, one behind the other: *at is what is taken. Called with base NULL to sum up. */
static void *part(uint8_t *base, size_t *at, size_t n, size_t size) {
    size_t from = *at;
    *at = align_up(from + n * size, 64);
    return base ? base + from : NULL;
}

static size_t place_stacks(struct wasm_validator *v, uint8_t *base) {
    size_t at = 0;
    v->stack = part(base, &at, OPERANDS_MAX, sizeof *v->stack);
    v->locals = part(base, &at, WASM_MAX_LOCALS, sizeof *v->locals);
    v->local_weight = part(base, &at, WASM_MAX_LOCALS, sizeof *v->local_weight);
    v->undo = part(base, &at, WASM_MAX_LOCALS, sizeof *v->undo);
    v->local_flags = part(base, &at, WASM_MAX_LOCALS, 1);
    v->local_set = part(base, &at, WASM_MAX_LOCALS, 1);
    return at;
}

/* Mapped, since the pages that are never touched then cost nothing: calloc clears what it has had before, and a component has many
 * modules. */
static void map_stacks(struct wasm_validator *v) {
    v->stacks_bytes = place_stacks(v, NULL);
    v->stacks = mmap(NULL, v->stacks_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ENSURE(v->stacks != MAP_FAILED);
    place_stacks(v, v->stacks);
    v->limit = v->stack + OPERANDS_MAX;
}

struct wasm_validator *wasm_validator_new(arena *out, const struct wasm_module *m) {
    struct wasm_validator *v = arena_make(out, struct wasm_validator);
    v->m = m;
    map_stacks(v);
    v->scratch = arena_new(0);
    v->memory0_is32 = m->memories_count && !m->memories[0].limits.is64;
    for (uint32_t i = 0; i < WASM_OPS_END; i++) unpack_signature(&v->signatures[i], wasm_ops[i].sig);
    arena_cleanup(out, free_stacks, v);
    return v;
}
