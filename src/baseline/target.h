/* target: what a target provides to the neutral part. Included by baseline_int.h only.
 *
 * Registers are numbers 0..31: general ones below 16, vector ones from 16. In `d = a op b`, d is a register; a and b are operands
 * of any kind but V_FLAGS, and still own their registers; d may be a register of theirs. Nothing but d and the scratch registers
 * changes (and caches of temporaries it allocates).
 */
#ifndef ORLO_BASELINE_TARGET_H
#define ORLO_BASELINE_TARGET_H

enum { CC_ALWAYS = 0xfe }; /* else a target's condition code; c ^ 1 is its opposite */

/* Once an object: shared constants and the like at the start of text. */
void target_begin(struct compiler *c);
/* Makes what was emitted at `at` refer to text position `to`, counted from base; sets out_of_reach where it cannot. */
void target_patch(struct compiler *c, uint32_t at, uint32_t base, uint32_t to);
/* Moves v into d. Keeps the flags when c->flags_live. */
void target_move(struct compiler *c, uint8_t d, const struct value *v);
void target_move_reg(struct compiler *c, unsigned type, uint8_t d, uint8_t s);
/* Stores v to a frame slot; changes the scratch registers only. */
void target_store(struct compiler *c, const struct value *v, uint32_t slot);
void target_load_slot(struct compiler *c, unsigned type, uint8_t d, uint32_t slot);
void target_store_reg(struct compiler *c, unsigned type, uint8_t s, uint32_t slot);
void target_zero(struct compiler *c, uint8_t d);
void target_zero_slots(struct compiler *c, uint32_t slot, uint32_t n); /* prologue: may change the first float temporary */

void target_alu(struct compiler *c, enum alu op, unsigned w, uint8_t d, struct value *a, struct value *b);
void target_add_shifted(struct compiler *c, uint8_t d, struct value *base, struct value *index, unsigned shift); /* i32 */
void target_shift(struct compiler *c, enum shift op, unsigned w, uint8_t d, struct value *a, struct value *b);
void target_div(struct compiler *c, enum div op, unsigned type, struct value *a, struct value *b); /* pushes */
void target_unary(struct compiler *c, enum unary op, unsigned w, uint8_t d, struct value *a);
/* Sets the flags; gives the condition code that stands for `cond`. */
uint8_t target_compare(struct compiler *c, enum cond cond, unsigned w, struct value *a, struct value *b);
uint8_t target_test_bits(struct compiler *c, unsigned w, struct value *a, struct value *b); /* a & b != 0 */
uint8_t target_test(struct compiler *c, unsigned w, struct value *a);                       /* a != 0 */
uint8_t target_fcompare(struct compiler *c, enum fcond cond, unsigned type, struct value *a, struct value *b);
void target_set(struct compiler *c, uint8_t d, uint8_t cc, bool zeroed); /* d = cc ? 1 : 0 */
void target_select(struct compiler *c, unsigned type, uint8_t cc, uint8_t d, struct value *a, struct value *b);

void target_fbin(struct compiler *c, enum fbin op, unsigned type, uint8_t d, struct value *a, struct value *b);
void target_fun(struct compiler *c, enum fun op, unsigned type, uint8_t d, struct value *a);
void target_trunc(struct compiler *c, unsigned from, unsigned to, bool is_signed, bool saturating, uint8_t d, struct value *a);
void target_convert(struct compiler *c, unsigned from, unsigned to, bool is_signed, uint8_t d, struct value *a);
void target_float_to_float(struct compiler *c, unsigned from, uint8_t d, struct value *a);
void target_reinterpret(struct compiler *c, unsigned from, uint8_t d, struct value *a);

/* Memory: the address operand, the constant offset. */
void target_load(struct compiler *c, enum access a, unsigned type, uint32_t memory, uint64_t offset, uint8_t d,
                 struct value *addr);
/* Of memory 0, at base + (index << shift), which wraps at 32 bits. The index is in a register, the base in one or an immediate. */
void target_load_sum(struct compiler *c, enum access a, unsigned type, uint8_t d, const struct value *base,
                     const struct value *index, unsigned shift);
void target_store_sum(struct compiler *c, enum access a, const struct value *base, const struct value *index, unsigned shift,
                      struct value *v);
/* From (index << shift) + disp of memory 0, which is known not to wrap. */
void target_load_scaled(struct compiler *c, enum access a, unsigned type, uint8_t d, uint8_t index, unsigned shift, int32_t disp);
void target_store_memory(struct compiler *c, enum access a, uint32_t memory, uint64_t offset, struct value *addr,
                         struct value *v);
void target_load_lazy(struct compiler *c, uint8_t d, const struct value *v); /* v is V_MEM */
void target_memory_size(struct compiler *c, uint32_t memory, uint8_t d);
/* memory.copy and memory.fill of a small constant size, inline; false: not done, nothing emitted. */
bool target_copy_small(struct compiler *c, struct value *dst, struct value *src, uint64_t n);
/* Calls the helper for sizes up to BULK_BYTES_MAX, known at run time: dst, src or byte, and size in target_bulk_args; jumps to the label it gives when that
 * did it. Changes what a runtime call does, but if it did nothing the arguments are still there. */
enum { BULK_BYTES_MAX = 64 << 10 };
struct label target_bulk_helper(struct compiler *c, bool fill);
bool target_fill_small(struct compiler *c, struct value *dst, uint64_t byte, uint64_t n);
void target_global_get(struct compiler *c, uint32_t global, uint8_t d);
void target_global_set(struct compiler *c, uint32_t global, struct value *v);
void target_table_get(struct compiler *c, uint32_t table, uint8_t d, struct value *index);
void target_table_set(struct compiler *c, uint32_t table, struct value *index, struct value *v);
void target_table_size(struct compiler *c, uint32_t table, uint8_t d);
void target_ref_func(struct compiler *c, uint32_t func_index, uint8_t d);

/* Objects: base is a register with a reference to one. The first access to a null one faults, if its offset is small. */
void target_object_load(struct compiler *c, enum access a, uint8_t d, uint8_t base, uint32_t offset);
void target_object_store(struct compiler *c, enum access a, uint8_t base, uint32_t offset, struct value *v);
/* Traps unless index, held or a small immediate, is below the array's length. */
void target_array_check(struct compiler *c, uint8_t base, const struct value *index);
/* Then these cannot fault. */
void target_element_load(struct compiler *c, enum access a, uint8_t d, uint8_t base, const struct value *index);
void target_element_store(struct compiler *c, enum access a, uint8_t base, const struct value *index, struct value *v);
void target_context_load(struct compiler *c, uint8_t d, int32_t offset); /* the 8 bytes at GS + offset */

/* Vectors. Operands that are held are in registers, which do not change. */
enum { SIMD_NO_REGS = 0xff };
/* The temporaries target_simd wants for this instruction, whose operands are held; SIMD_NO_REGS: none, operands of any kind. */
unsigned target_simd_temps(uint32_t op);
bool target_simd_folds(const struct compiler *c, uint32_t op); /* it may have a lazy load as operand */
void target_simd(struct compiler *c, uint32_t op, unsigned n, uint8_t d, struct value *v, const uint8_t *t);
/* Held but for the count; t a temporary. */
void target_simd_shift(struct compiler *c, uint32_t op, uint8_t d, struct value *a, struct value *n, uint8_t t);
uint8_t target_simd_test(struct compiler *c, uint32_t op, struct value *a); /* gives the condition */
void target_simd_bitmask(struct compiler *c, uint32_t op, uint8_t d, struct value *a);
void target_simd_splat(struct compiler *c, uint32_t op, uint8_t d, struct value *a);
void target_simd_extract(struct compiler *c, uint32_t op, uint8_t lane, uint8_t d, struct value *a);
void target_simd_replace(struct compiler *c, uint32_t op, uint8_t lane, uint8_t d, struct value *a, struct value *x);
void target_simd_shuffle(struct compiler *c, uint8_t *lanes, uint8_t d, struct value *a, struct value *b); /* changes lanes */
void target_simd_load(struct compiler *c, uint32_t op, uint32_t memory, uint64_t offset, uint8_t d, struct value *addr);
void target_simd_load_lane(struct compiler *c, unsigned log2, uint8_t lane, uint32_t memory, uint64_t offset, uint8_t d,
                           struct value *addr, struct value *a);
void target_simd_store_lane(struct compiler *c, unsigned log2, uint8_t lane, uint32_t memory, uint64_t offset, struct value *addr,
                            struct value *a);

void target_jump(struct compiler *c, uint8_t cc, struct label *l);                            /* cc or CC_ALWAYS */
void target_jump_table(struct compiler *c, uint8_t index, struct label **labels, uint32_t n); /* index < n */
void target_bind_loop(struct compiler *c);                /* alignment, before a loop's label */
void target_trap(struct compiler *c, enum abi_trap trap); /* in place */
void target_stub(struct compiler *c, struct stub *s);

/* Calls: arguments are in place; `frame` is the slot of the callee's frame. */
void target_call(struct compiler *c, uint32_t func_index, uint32_t frame);
/* Puts the record of a checked funcref into the first result register, which the caller has claimed. If its type is not exactly the
 * wanted one it goes to `other`, the record there already; NULL: it traps. */
void target_indirect_record(struct compiler *c, uint32_t table, uint32_t type_index, struct value *index, struct label *other);
void target_ref_record(struct compiler *c, struct value *ref);
void target_call_record(struct compiler *c, uint32_t frame, bool may_be_far);
/* Tail calls: the callee's frame is this function's, whose saved registers are back; jumps. A record of another group goes through
 * rt_far_tail, which puts GS back once, however many of them follow each other. */
void target_tail_call(struct compiler *c, uint32_t func_index);
void target_tail_call_record(struct compiler *c, bool may_be_far); /* the record is in the first result register */
/* Calls rt_throw: the tag's id or ABI_TAG_REF, the payload, or the reference, in that many slots from `slot`. Does not return. */
void target_throw(struct compiler *c, uint32_t tag, uint32_t slots, uint32_t slot);
/* A new struct from the size class's run in the first result register; changes what a runtime call does. */
void target_new(struct compiler *c, uint32_t type_id, uint32_t class, uint32_t frame);
void target_rtcall(struct compiler *c, enum abi_rtcall rt, uint32_t frame);
void target_check_frame(struct compiler *c, uint32_t slots); /* a frame that may reach beyond the guard: compares */
void target_touch_frame(struct compiler *c);
void target_enter(struct compiler *c); /* the first of the prologue */
void target_return(struct compiler *c);
void target_host_thunk(struct compiler *c, const struct wasm_deftype *t, uint32_t host_index);
void target_entry(struct compiler *c, const struct wasm_deftype *t);
void target_end_function(struct compiler *c);                                   /* pools */
bool target_resolve_call(struct compiler *c, uint32_t at, uint32_t func_start); /* false: out of reach */

#endif
