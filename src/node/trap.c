/* trap: a guest's backtrace, a frame a line. */
#include "engine/engine.h"
#include "node/node_int.h"

enum { NAME_MAX_BYTES = 1000 };

static void put_name(str name, struct buf *out) {
    struct buf source = {0};
    if (node_demangle(name, &source)) name = buf_str(&source);
    size_t from = out->n;
    buf_puts(out, str_sub(name, 0, NAME_MAX_BYTES));
    text_tame((char *)out->p + from, out->n - from);
    for (size_t i = from; i < out->n; i++)
        if (out->p[i] == '\n') out->p[i] = '?';
    buf_free(&source);
}

void node_backtrace_lines(const struct engine_trap_record *r, struct buf *out) {
    for (uint32_t i = 0; i < r->frames_count && !out->full; i++) {
        buf_puts(out, i ? STR("\n") : STR(""));
        if (r->frames[i].name.n) put_name(r->frames[i].name, out);
        else buf_printf(out, "func[%u]", r->frames[i].func_index);
        buf_puts(out, STR(" ("));
        if (r->frames[i].module.n) put_name(r->frames[i].module, out);
        else buf_printf(out, "module %u", r->frames[i].instance);
        buf_printf(out, "+0x%x)", r->frames[i].wasm_offset);
    }
}
