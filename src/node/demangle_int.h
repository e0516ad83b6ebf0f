/* What demangle.c, demangle_rust.c and demangle_cpp.c share: a reader of a mangled name that cannot be made to run, grow or recurse. */
#ifndef ORLO_NODE_DEMANGLE_INT_H
#define ORLO_NODE_DEMANGLE_INT_H

#include "node/node_int.h"

enum { DEMANGLE_STEPS_MAX = 1000, DEMANGLE_DEPTH_MAX = 64, DEMANGLE_TEXT_MAX = 2000 };

struct demangle {
    str in;
    size_t at;
    struct buf out; /* max DEMANGLE_TEXT_MAX; the text so far */
    unsigned steps, depth;
    unsigned quiet; /* nothing is put */
    bool bad;       /* not understood: sticky */
};

static inline void demangle_fail(struct demangle *d) {
    d->bad = true;
    d->at = d->in.n;
}
static inline uint8_t demangle_peek(const struct demangle *d) { return d->at < d->in.n ? d->in.p[d->at] : 0; }
static inline uint8_t demangle_peek2(const struct demangle *d) { return d->at + 1 < d->in.n ? d->in.p[d->at + 1] : 0; }
/* 0 at the end, which no rule takes for a character: names have none. */
static inline uint8_t demangle_next(struct demangle *d) { return d->at < d->in.n ? d->in.p[d->at++] : 0; }
static inline bool demangle_eat(struct demangle *d, uint8_t c) {
    bool is = !d->bad && c && demangle_peek(d) == c;
    d->at += is;
    return is;
}
static inline void demangle_put(struct demangle *d, str s) {
    if (d->quiet || d->bad) return;
    if (d->out.n + s.n > DEMANGLE_TEXT_MAX) demangle_fail(d);
    else buf_puts(&d->out, s);
}
#define DEMANGLE_PUT(d, literal) demangle_put((d), STR(literal))
/* Every rule that may hold others begins with enter and ends with leave. */
static inline bool demangle_enter(struct demangle *d) {
    if (++d->steps > DEMANGLE_STEPS_MAX || ++d->depth > DEMANGLE_DEPTH_MAX) demangle_fail(d);
    return !d->bad;
}
static inline void demangle_leave(struct demangle *d) { d->depth--; }
uint64_t demangle_decimal(struct demangle *d); /* fails without a digit */
str demangle_bytes(struct demangle *d, uint64_t n);

void demangle_rust_v0(struct demangle *d);     /* what follows _R */
void demangle_rust_legacy(struct demangle *d); /* what follows _ZN, if it ends as Rust's do */
void demangle_cpp(struct demangle *d);         /* what follows _Z */

#endif
