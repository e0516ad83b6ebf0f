/* rd: sticky reader. */
#include "base/base.h"

void rd_fail(struct rd *r, const char *why) {
    if (r->fail) return;
    r->fail = why;
    r->fail_at = rd_at(r);
    r->p = r->end;
}

uint8_t rd_u8(struct rd *r) {
    if (UNLIKELY(r->p == r->end)) {
        rd_fail(r, "unexpected end");
        return 0;
    }
    return *r->p++;
}

str rd_bytes(struct rd *r, size_t n) {
    if (UNLIKELY(n > rd_left(r))) {
        rd_fail(r, "unexpected end");
        return (str){0};
    }
    str s = {r->p, n};
    r->p += n;
    return s;
}

uint32_t rd_u32le(struct rd *r) {
    uint32_t v = 0;
    str s = rd_bytes(r, 4);
    if (s.n) memcpy(&v, s.p, 4);
    return v;
}

uint64_t rd_u64le(struct rd *r) {
    uint64_t v = 0;
    str s = rd_bytes(r, 8);
    if (s.n) memcpy(&v, s.p, 8);
    return v;
}
