/* trap: what a trap is called. */
#include "abi/abi.h"

const char *abi_trap_text(enum abi_trap t) {
    static const char *const text[] = {
#define X(name, t) t,
#include "abi/trap.def"
#undef X
    };
    return (unsigned)t < ABI_TRAP_COUNT ? text[t] : "unknown trap";
}
