/* trap: a guest's backtrace, a frame a line, for the log. */
#include "engine/engine.h"
#include "node/node_int.h"

void node_backtrace_lines(const struct engine_trap_record *r, struct buf *out) {
    for (uint32_t i = 0; i < r->frames_count; i++) {
        buf_puts(out, i ? STR("\n") : STR(""));
        if (r->frames[i].name.n) buf_puts(out, r->frames[i].name);
        else buf_printf(out, "func[%u]", r->frames[i].func_index);
        buf_puts(out, STR(" ("));
        if (r->frames[i].module.n) buf_puts(out, r->frames[i].module);
        else buf_printf(out, "module %u", r->frames[i].instance);
        buf_printf(out, "+0x%x)", r->frames[i].wasm_offset);
    }
}
