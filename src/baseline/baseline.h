/* baseline: the one-pass compiler. WebAssembly in, machine code for the abi out; knows nothing of images or of the engine.
 *
 *   for each function:  wasm_validate_func (counts the uses of locals) -> one forward pass that emits -> forgotten
 *
 * 1. Nothing of a function is kept once it is emitted but its code, sites, relocations and references.
 * 2. The code is position-independent; calls within the object are resolved, relocations name only what lies outside it (functions of other
 *    instances) and struct abi_func records.
 * 3. At any instruction of compiled code: nothing lives below the stack pointer (no red zone), the native stack holds return addresses only,
 *    and all that lives on the frame stack lies below the frame pointer + the function's frame + the arguments of a call in the making. Code
 *    that interrupts it saves all registers on the native stack and leaves this fiber's frame stack alone.
 * 4. Every function that calls touches its own frame, or compares with frame_limit, before it moves the frame pointer: overflow of the frame
 *    stack meets the guard. Overflow of the native stack meets its guard by the call's push.
 * 5. Targets: x86-64 with SSE4.2 and POPCNT at least, and any aarch64. The frame pointer is r13, or x27.
 */
#ifndef ORLO_BASELINE_H
#define ORLO_BASELINE_H

#include "abi/abi.h"
#include "abi/cpu.h"
#include "base/base.h"
#include "wasm/wasm.h"

/* A function [] -> [] that is not in the module: runs an instantiation. Its code may, besides all of wasm,
 * set immutable globals and use the opcode 0xf0: u32 segment, u32 index; pops a reference and makes it that
 * element of the element segment (ELEM_SET); and 0xf1: u32 segment, u32 n: that many active data segments
 * (DATA_RUN). It is trusted: not validated. */
enum { BASELINE_OP_ELEM_SET = 0xf0, BASELINE_OP_DATA_RUN = 0xf1 };
struct baseline_init {
    str code; /* instructions; the last one is the closing `end` */
    const wasm_type *locals;
    uint32_t locals_count;
};

struct baseline_options {
    uint32_t machine;      /* ABI_MACHINE_*, which the code is for; 0: this program's */
    uint64_t cpu_features; /* ABI_CPU_* the code may use, a subset of what its machine has; the minimum is always used */
    const struct baseline_init *init; /* NULL: none */
    uint32_t threads;                 /* so many work on a large module; 0 is 1. The code depends on it, its meaning does not */
    bool far;                         /* tests: calls and branches in the forms that reach anywhere */
    uint32_t registers;               /* tests: use at most so many registers of each kind for locals (0: all, else 1 is none) */
};

enum { BASELINE_TEXT_ALIGN = 32 }; /* what an object's text is to be aligned to, for its loops to be */

/* Validates and compiles every function of a core instance. The module has passed wasm_validate; layout is complete.
 *
 * out (overwritten): text and sites are heap buffers the caller frees (baseline_object_free), arrays are in `a`.
 *   funcs    funcs_count entries, and one more for the init function when there is one
 *   refs     functions of the module (its imports too) that need a struct abi_func: in exports, element segments, global initialisers,
 *            start, ref.func. Ascending, each once. The linker makes the init function's own record.
 *   entries  by type index, for the types of refs; entries[types_count] is the one of [] -> [], there when init is
 *
 * ERR_INVALID, ERR_MALFORMED (from the validator), ERR_LIMIT, ERR_UNSUPPORTED (an instruction without a row in ops.def; all of WebAssembly 3.0 has one). */
[[nodiscard]] err baseline_compile(const struct abi_layout *layout, const struct baseline_options *o, arena *a,
                                   struct abi_object *out, struct diag *d);
void baseline_object_free(struct abi_object *object);

#endif
