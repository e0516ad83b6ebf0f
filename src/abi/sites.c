/* sites: a function's list of pcs that may trap or be returned to.
 *
 *   site  = leb128(pc delta << 3 | kind) leb128(zigzag(wasm offset delta)), of UNWIND: leb128(frame) leb128(clause)
 *   end   = the byte 7, which is no kind
 *
 * Deltas start from 0, 0. Two bytes a site are usual.
 */
#include "abi/abi.h"

enum { SITES_END = 7, SITE_BYTES_MAX = 12 };
static_assert((int)ABI_SITE_UNWIND < (int)SITES_END);

static size_t put_leb(uint8_t *p, uint64_t v) {
    size_t n = 0;
    for (; v >= 0x80; v >>= 7) p[n++] = (uint8_t)(v | 0x80);
    p[n++] = (uint8_t)v;
    return n;
}

void abi_sites_put_long(struct buf *out, uint64_t head, uint32_t zigzag) {
    uint8_t b[16];
    size_t n = put_leb(b, head);
    n += put_leb(b + n, zigzag);
    buf_put(out, b, n);
}

void abi_sites_put_unwind(struct buf *out, struct abi_site s) {
    uint8_t b[16];
    size_t n = put_leb(b, s.frame);
    n += put_leb(b + n, s.clause);
    buf_put(out, b, n);
}

void abi_sites_end(struct buf *out) { buf_putc(out, SITES_END); }

static uint64_t get_leb(const uint8_t **p) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t b = *(*p)++;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) break;
    }
    return v;
}

bool abi_sites_find_kind(const uint8_t *list, uint32_t pc, uint32_t kinds, struct abi_site *out) {
    uint32_t at = 0, wasm = 0;
    while (*list != SITES_END) {
        uint64_t head = get_leb(&list);
        uint32_t zigzag = (uint32_t)get_leb(&list), frame = 0, clause = 0;
        if ((head & 7) == ABI_SITE_UNWIND) {
            frame = (uint32_t)get_leb(&list);
            clause = (uint32_t)get_leb(&list);
        }
        at += (uint32_t)(head >> 3);
        wasm += zigzag >> 1 ^ (0 - (zigzag & 1));
        if (at > pc) return false;
        if (at == pc && kinds >> (head & 7) & 1) {
            *out = (struct abi_site){at, wasm, (enum abi_site_kind)(head & 7), frame, clause};
            return true;
        }
    }
    return false;
}
