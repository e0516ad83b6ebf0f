/* demangle: a function's name as its source has it, for backtraces: Rust's (v0, which is RFC 2603, and the form before it) and C++'s
 * (Itanium C++ ABI §5.1). Of a function its name is told, not its parameters.
 *
 * Names are the guest's, and may mean harm:
 * 1. Whatever is not understood, or is longer than DEMANGLE_TEXT_MAX, is left as it is.
 * 2. Steps are counted and nesting is limited, so that a name of references to itself costs no more than another.
 */
#include "node/demangle_int.h"

uint64_t demangle_decimal(struct demangle *d) {
    uint64_t v = 0;
    uint8_t c = demangle_peek(d);
    if (c < '0' || c > '9') demangle_fail(d);
    if (demangle_eat(d, '0')) return 0; /* another digit begins another number */
    for (; (c = demangle_peek(d)) >= '0' && c <= '9'; d->at++)
        if ((v = v * 10 + (c - '0')) > UINT32_MAX) demangle_fail(d);
    return v;
}

str demangle_bytes(struct demangle *d, uint64_t n) {
    if (n > d->in.n - d->at) {
        demangle_fail(d);
        return (str){0};
    }
    str s = str_sub(d->in, d->at, (size_t)n);
    d->at += (size_t)n;
    return s;
}

static bool try(void (*rule)(struct demangle *d), str in, struct buf *out) {
    struct demangle d = {.in = in, .out.max = DEMANGLE_TEXT_MAX};
    rule(&d);
    bool understood = !d.bad && d.out.n;
    if (understood) buf_puts(out, buf_str(&d.out));
    buf_free(&d.out);
    return understood;
}

bool node_demangle(str name, struct buf *out) {
    if (name.n > 2 * DEMANGLE_TEXT_MAX) return false;
    str rest = str_sub(name, 2, name.n);
    if (str_starts(name, STR("_R"))) return try(demangle_rust_v0, rest, out);
    if (!str_starts(name, STR("_Z"))) return false;
    return (rest.n && rest.p[0] == 'N' && try(demangle_rust_legacy, str_sub(rest, 1, rest.n), out)) ||
           try(demangle_cpp, rest, out);
}
