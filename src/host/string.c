/* string: strings between linear memory and str, in three encodings (CanonicalABI.md, load_string,
 * store_string).
 *
 * 1. What is lifted for C is UTF-8. Between components a string keeps its encoding until it is lowered, so
 *    that the callee sees the calls of realloc that the specification prescribes: str.n holds the code units,
 *    its top bits the encoding.
 * 2. A string is validated when it is lifted. A caller that shares its memory with the callee may still
 *    change it before it is lowered; so decoding here never reads past the units, and never trusts them.
 * 3. Strings may be long: each loop over one is work (host_work), after every STEP units. */
#include "host/host_int.h"

enum encoding { UTF8, UTF16, LATIN1, UTF16_TAGGED }; /* TAGGED: utf16 of a latin1+utf16 side */
enum { STEP = 64 << 10 /* code units */, UNIT_NS = 3 /* to decode and encode one, about */ };
#define UNITS_BITS 62
#define UNITS_MASK ((1ull << UNITS_BITS) - 1)

/* ---- checking --------------------------------------------------------------------------------- */

/* What the characters that start in [*at, end) are: 0 well-formed; 1 not; 2 cut short at n. */
static int check_utf8(const uint8_t *p, size_t *at, size_t end, size_t n) {
    size_t i = *at;
    while (i < end) {
        uint64_t w;
        if (n - i >= 8 && (memcpy(&w, p + i, 8), !(w & 0x8080808080808080ull))) {
            i += 8;
            continue;
        }
        uint8_t c = p[i];
        if (c < 0x80) {
            i++;
            continue;
        }
        uint32_t more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
        if (c < 0xc2 || c > 0xf4) return 1;
        uint8_t low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80, high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
        for (uint32_t k = 1; k <= more; k++) {
            if (i + k == n) return 2;
            if (p[i + k] < low || p[i + k] > high) return 1;
            low = 0x80;
            high = 0xbf;
        }
        i += more + 1;
    }
    *at = i;
    return 0;
}

static uint16_t unit16(const uint8_t *p, size_t i) { return (uint16_t)(p[2 * i] | p[2 * i + 1] << 8); }
static bool is_high(uint32_t u) { return u >= 0xd800 && u < 0xdc00; }
static bool is_low(uint32_t u) { return u >= 0xdc00 && u < 0xe000; }

static bool check_utf16(const uint8_t *p, size_t *at, size_t end, size_t units) {
    for (; *at < end; ++*at) {
        uint16_t u = unit16(p, *at);
        if (is_low(u)) return false;
        if (is_high(u) && (++*at == units || !is_low(unit16(p, *at)))) return false;
    }
    return true;
}

/* ---- decoding and encoding -------------------------------------------------------------------- */

struct decoder {
    const uint8_t *p;
    size_t i, n; /* code units */
    enum encoding e;
};

static uint32_t decode_utf8(struct decoder *d) {
    const uint8_t *p = d->p + d->i;
    size_t left = d->n - d->i;
    uint8_t c = p[0];
    uint32_t more = c < 0x80 ? 0 : c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 4;
    if (more >= left || more == 4) {
        d->i++;
        return more ? 0xfffd : c;
    }
    d->i += more + 1;
    uint32_t u = more == 0 ? c : c & (0x3fu >> more);
    for (uint32_t k = 1; k <= more; k++) u = u << 6 | (p[k] & 0x3f);
    return u > 0x10ffff ? 0xfffd : u;
}

static uint32_t decode(struct decoder *d) {
    if (d->e == UTF8) return decode_utf8(d);
    if (d->e == LATIN1) return d->p[d->i++];
    uint32_t u = unit16(d->p, d->i++);
    if (is_high(u) && d->i < d->n && is_low(unit16(d->p, d->i)))
        u = 0x10000 + ((u - 0xd800) << 10) + (unit16(d->p, d->i++) - 0xdc00u);
    return u;
}

static size_t encode_utf8(uint8_t *out, uint32_t u) {
    if (u < 0x80) {
        out[0] = (uint8_t)u;
        return 1;
    }
    if (u < 0x800) {
        out[0] = (uint8_t)(0xc0 | u >> 6);
        out[1] = (uint8_t)(0x80 | (u & 0x3f));
        return 2;
    }
    size_t n = u < 0x10000 ? 3 : 4;
    for (size_t k = n - 1; k; k--, u >>= 6) out[k] = (uint8_t)(0x80 | (u & 0x3f));
    out[0] = (uint8_t)(n == 3 ? 0xe0 | u : 0xf0 | u);
    return n;
}

static size_t put16(uint8_t *out, uint32_t u) {
    out[0] = (uint8_t)u;
    out[1] = (uint8_t)(u >> 8);
    return 2;
}
static size_t encode_utf16(uint8_t *out, uint32_t u) {
    if (u < 0x10000) return put16(out, u);
    u -= 0x10000;
    put16(out, 0xd800 + (u >> 10));
    return 2 + put16(out + 2, 0xdc00 + (u & 0x3ff));
}

/* Where a loop that stands at d->i is to stop, and after it the work that was. */
static size_t step_end(const struct decoder *d) { return MIN(d->n, d->i + STEP); }
static enum abi_trap worked(struct host_cx *cx, size_t units) {
    return host_work(cx->in, units * UNIT_NS) ? ABI_TRAP_NONE : ABI_TRAP_INTERRUPTED;
}

/* ---- lifting ---------------------------------------------------------------------------------- */

/* UTF-8 of a checked string, in the call's memory. */
static enum abi_trap to_utf8(struct host_cx *cx, const uint8_t *p, size_t units, enum encoding e, str *out) {
    uint8_t *to = host_alloc(cx->call, units * (e == LATIN1 ? 2 : 3) + 1, 1);
    if (!to) return host_fail(cx->in, ABI_TRAP_OUT_OF_MEMORY, "a call passes more data than this host takes at once");
    size_t n = 0;
    enum abi_trap trap = ABI_TRAP_NONE;
    for (struct decoder d = {p, 0, units, e}; !trap && d.i < d.n;) {
        size_t from = d.i, end = step_end(&d);
        while (d.i < end) n += encode_utf8(to + n, decode(&d));
        trap = worked(cx, d.i - from);
    }
    *out = (str){to, n};
    return trap;
}

static enum abi_trap lift_utf8(struct host_cx *cx, const uint8_t *p, size_t n, str *out) {
    for (size_t i = 0; i < n;) {
        size_t from = i;
        int bad = check_utf8(p, &i, MIN(n, i + STEP), n);
        if (bad)
            return host_fail(cx->in, ABI_TRAP_HOST, bad == 2 ? "incomplete utf-8 byte sequence" : "invalid utf-8 in a string");
        if (!host_work(cx->in, i - from)) return ABI_TRAP_INTERRUPTED;
    }
    *out = (str){p, n};
    if (!cx->copy || !n) return ABI_TRAP_NONE;
    uint8_t *own = host_alloc(cx->call, n, 1);
    if (!own) return host_fail(cx->in, ABI_TRAP_OUT_OF_MEMORY, "a call passes more data than this host takes at once");
    out->p = own;
    return host_copy(cx, own, p, n);
}

static enum abi_trap lift_utf16_check(struct host_cx *cx, const uint8_t *p, size_t units) {
    for (size_t i = 0; i < units;) {
        size_t from = i;
        if (!check_utf16(p, &i, MIN(units, i + STEP), units))
            return host_fail(cx->in, ABI_TRAP_HOST, "invalid utf-16 in a string: unpaired surrogate");
        if (!host_work(cx->in, 2 * (i - from))) return ABI_TRAP_INTERRUPTED;
    }
    return ABI_TRAP_NONE;
}

enum abi_trap host_lift_string(struct host_cx *cx, uint64_t ptr, uint64_t tagged, str *out) {
    uint64_t tag = cx->o->memory64 ? 1ull << 63 : 1ull << 31, units = tagged;
    enum encoding e = UTF8;
    if (cx->o->encoding == COMPONENT_UTF16) {
        e = UTF16;
    } else if (cx->o->encoding == COMPONENT_LATIN1_UTF16) {
        e = tagged & tag ? UTF16_TAGGED : LATIN1;
        units &= ~tag;
    }
    bool wide = e == UTF16 || e == UTF16_TAGGED;
    uint64_t bytes = units > HOST_LIST_BYTES_MAX ? UINT64_MAX : units << wide;
    if (UNLIKELY(e != UTF8 && ptr & 1)) return host_fail(cx->in, ABI_TRAP_HOST, "unaligned pointer");
    if (UNLIKELY(bytes > HOST_LIST_BYTES_MAX || bytes > cx->mem.n || ptr > cx->mem.n - bytes))
        return host_fail(cx->in, ABI_TRAP_HOST,
                         cx->fused ? "string content out-of-bounds" : "string pointer/length out of bounds of memory");
    cx->call->checked += bytes; /* many strings may share their bytes: what is checked twice counts twice */
    if (UNLIKELY(cx->call->checked > HOST_LIST_BYTES_MAX))
        return host_fail(cx->in, ABI_TRAP_OUT_OF_MEMORY, "a call passes more data than this host takes at once");
    const uint8_t *p = cx->mem.p + ptr;
    if (e == UTF8) return lift_utf8(cx, p, units, out);
    enum abi_trap trap = wide ? lift_utf16_check(cx, p, units) : ABI_TRAP_NONE;
    if (trap) return trap;
    if (!cx->fused) return to_utf8(cx, p, units, e, out);
    *out = (str){p, units | (uint64_t)e << UNITS_BITS};
    return ABI_TRAP_NONE;
}

/* ---- lowering --------------------------------------------------------------------------------- */

struct target { /* the block being written */
    struct host_cx *cx;
    uint32_t align;
    uint64_t ptr, bytes;
};

static enum abi_trap resize(struct target *t, uint32_t align, uint64_t bytes) {
    uint64_t args[4] = {t->ptr, t->bytes, align, bytes};
    enum abi_trap trap = t->cx->reallocate(t->cx, args, &t->ptr);
    if (trap) return trap;
    t->bytes = bytes;
    bool fused = t->cx->fused;
    if (t->ptr & (align - 1))
        return host_fail(t->cx->in, ABI_TRAP_HOST, fused ? "unaligned pointer" : "realloc return: result not aligned");
    if (bytes > t->cx->mem.n || t->ptr > t->cx->mem.n - bytes)
        return host_fail(t->cx->in, ABI_TRAP_HOST,
                         fused ? "string content out-of-bounds" : "realloc return: beyond end of memory");
    return ABI_TRAP_NONE;
}
static uint8_t *at(struct target *t) { return t->cx->mem.p + t->ptr; }

static enum abi_trap copy(struct target *t, const struct decoder *d, uint32_t unit_bytes) {
    enum abi_trap trap = resize(t, t->align, d->n * unit_bytes);
    return trap ? trap : host_copy(t->cx, at(t), d->p, d->n * unit_bytes);
}

/* From utf16 or latin1: as many bytes as units while all are ASCII, else the worst case and a cut. */
static enum abi_trap to_guest_utf8(struct target *t, struct decoder *d, uint64_t *units) {
    uint64_t worst = d->n * (d->e == LATIN1 ? 2 : 3), n = 0;
    enum abi_trap trap = resize(t, 1, d->n);
    bool grown = false;
    while (!trap && d->i < d->n) {
        size_t from = d->i, end = step_end(d);
        while (!trap && d->i < end) {
            uint32_t u = decode(d);
            if (u >= 0x80 && !grown) {
                trap = resize(t, 1, worst);
                grown = true;
                if (trap) break;
            }
            n += encode_utf8(at(t) + n, u);
        }
        if (!trap) trap = worked(t->cx, d->i - from);
    }
    if (!trap && grown && n < worst) trap = resize(t, 1, n);
    *units = n;
    return trap;
}

/* What is left, as utf16 behind the n bytes that there are. */
static enum abi_trap rest_as_utf16(struct target *t, struct decoder *d, uint64_t *n) {
    enum abi_trap trap = ABI_TRAP_NONE;
    while (!trap && d->i < d->n) {
        size_t from = d->i, end = step_end(d);
        while (d->i < end) *n += encode_utf16(at(t) + *n, decode(d));
        trap = worked(t->cx, d->i - from);
    }
    return trap;
}

static enum abi_trap to_guest_utf16(struct target *t, struct decoder *d, uint64_t *units) {
    uint64_t worst = 2 * d->n, n = 0;
    enum abi_trap trap = resize(t, 2, worst);
    if (!trap) trap = rest_as_utf16(t, d, &n);
    if (!trap && n < worst) trap = resize(t, 2, n);
    *units = n / 2;
    return trap;
}

static enum abi_trap widen(struct target *t, struct decoder *d, uint64_t worst, uint64_t n, uint32_t u, uint64_t *units) {
    enum abi_trap trap = resize(t, 2, worst);
    if (trap) return trap;
    for (uint64_t j = n; !trap && j;) {
        uint64_t some = MIN(j, (uint64_t)STEP);
        for (uint64_t end = j - some; j > end; j--) put16(at(t) + 2 * (j - 1), at(t)[j - 1]);
        trap = worked(t->cx, some);
    }
    n *= 2;
    n += encode_utf16(at(t) + n, u);
    if (!trap) trap = rest_as_utf16(t, d, &n);
    if (!trap && n < worst) trap = resize(t, 2, n);
    *units = n / 2 | (t->cx->o->memory64 ? 1ull << 63 : 1ull << 31);
    return trap;
}

/* From utf8 or utf16: latin1 while it fits, else all of it as utf16. */
static enum abi_trap to_guest_latin1(struct target *t, struct decoder *d, uint64_t *units) {
    uint64_t n = 0, room = d->n;
    enum abi_trap trap = resize(t, 2, room);
    while (!trap && d->i < d->n) {
        size_t from = d->i, end = step_end(d);
        while (d->i < end) {
            uint32_t u = decode(d);
            if (u >= 0x100) return widen(t, d, 2 * room, n, u, units);
            at(t)[n++] = (uint8_t)u;
        }
        trap = worked(t->cx, d->i - from);
    }
    if (!trap && n < room) trap = resize(t, 2, n);
    *units = n;
    return trap;
}

/* From utf16 that a latin1+utf16 side tagged: most likely it stays utf16. */
static enum abi_trap probably_utf16(struct target *t, struct decoder *d, uint64_t *units) {
    enum abi_trap trap = copy(t, d, 2);
    if (trap) return trap;
    *units = d->n | (t->cx->o->memory64 ? 1ull << 63 : 1ull << 31);
    for (size_t i = 0; !trap && i < d->n;) {
        size_t from = i, end = MIN(d->n, i + STEP);
        for (; i < end; i++)
            if (unit16(d->p, i) >= 0x100) return ABI_TRAP_NONE;
        trap = worked(t->cx, i - from);
    }
    for (size_t i = 0; !trap && i < d->n;) {
        size_t from = i, end = MIN(d->n, i + STEP);
        for (; i < end; i++) at(t)[i] = at(t)[2 * i];
        trap = worked(t->cx, i - from);
    }
    if (trap) return trap;
    *units = d->n;
    return resize(t, 1, d->n);
}

enum abi_trap host_lower_string(struct host_cx *cx, str s, uint64_t *ptr, uint64_t *units) {
    struct decoder d = {s.p, 0, cx->fused ? s.n & UNITS_MASK : s.n, cx->fused ? (enum encoding)(s.n >> UNITS_BITS) : UTF8};
    if (d.n > HOST_LIST_BYTES_MAX) return host_fail(cx->in, ABI_TRAP_HOST, "a string of %zu code units is too long to pass", d.n);
    struct target t = {.cx = cx, .align = cx->o->encoding == COMPONENT_UTF8 ? 1 : 2};
    enum abi_trap trap;
    *units = d.n;
    if (cx->o->encoding == COMPONENT_UTF8) {
        trap = d.e == UTF8 ? copy(&t, &d, 1) : to_guest_utf8(&t, &d, units);
    } else if (cx->o->encoding == COMPONENT_UTF16) {
        if (d.e == UTF8) trap = to_guest_utf16(&t, &d, units);
        else if (d.e == LATIN1) trap = to_guest_utf16(&t, &d, units);
        else trap = copy(&t, &d, 2);
    } else if (d.e == LATIN1) {
        trap = copy(&t, &d, 1);
    } else {
        trap = d.e == UTF16_TAGGED ? probably_utf16(&t, &d, units) : to_guest_latin1(&t, &d, units);
    }
    *ptr = t.ptr;
    return trap;
}
