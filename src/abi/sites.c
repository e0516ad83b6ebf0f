/* sites: a function's list of pcs that may trap or be returned to.
 *
 *   site  = leb128(pc delta << 3 | kind) leb128(zigzag(wasm offset delta)), of UNWIND: leb128(frame) leb128(clause)
 *   end   = the byte 7, which is no kind
 *   index = leb128(count << 3 | 7) count × { u32 pc, wasm offset, bytes }
 *
 * Deltas start from 0, 0. Two bytes a site are usual. A long list starts with an index: what the deltas add up to before the site so many
 * bytes behind the index. So a function of any size is looked up in a few hundred steps, in a signal handler too.
 */
#include "abi/abi.h"

enum { SITES_END = 7, STEP_BYTES = 512 /* between two entries of the index */ };
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

static uint64_t get_leb(const uint8_t **p) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t b = *(*p)++;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) break;
    }
    return v;
}

/* The next site; false at the end. */
static bool next_site(const uint8_t **list, struct abi_site *s) {
    if (**list == SITES_END) return false;
    uint64_t head = get_leb(list);
    uint32_t zigzag = (uint32_t)get_leb(list);
    s->kind = (enum abi_site_kind)(head & 7);
    s->pc += (uint32_t)(head >> 3);
    s->wasm_offset += zigzag >> 1 ^ (0 - (zigzag & 1));
    s->frame = s->clause = 0;
    if (s->kind == ABI_SITE_UNWIND) {
        s->frame = (uint32_t)get_leb(list);
        s->clause = (uint32_t)get_leb(list);
    }
    return true;
}

struct site_entry {
    uint32_t pc, wasm_offset, bytes;
};

/* Puts an index in front of the list at start. */
static void add_index(struct buf *out, size_t start) {
    struct buf index = {0};
    const uint8_t *first = out->p + start, *p = first, *last = first;
    struct abi_site s = {0};
    while (next_site(&p, &s)) {
        if (p - last < STEP_BYTES) continue;
        struct site_entry e = {s.pc, s.wasm_offset, (uint32_t)(p - first)};
        buf_put(&index, &e, sizeof e);
        last = p;
    }
    uint8_t head[16];
    size_t list = out->n - start, n = put_leb(head, index.n / sizeof(struct site_entry) << 3 | SITES_END), more = n + index.n;
    if (buf_reserve(out, more)) {
        memmove(out->p + start + more, out->p + start, list);
        memcpy(out->p + start, head, n);
        if (index.n) memcpy(out->p + start + n, index.p, index.n);
        out->n += more;
    }
    buf_free(&index);
}

void abi_sites_end(struct buf *out, size_t start) {
    buf_putc(out, SITES_END);
    if (out->n - start > 2 * STEP_BYTES) add_index(out, start);
}

/* The list proper, from the last entry of the index before pc; s starts there. */
static const uint8_t *skip_to(const uint8_t *list, uint32_t pc, struct abi_site *s) {
    if ((*list & 7) != SITES_END || *list == SITES_END) return list;
    uint32_t count = (uint32_t)(get_leb(&list) >> 3), lo = 0, hi = count;
    while (lo < hi) { /* of two sites at one pc the first is asked for: an entry at pc itself may be between them */
        uint32_t mid = lo + (hi - lo) / 2;
        struct site_entry e;
        memcpy(&e, list + mid * sizeof e, sizeof e);
        if (e.pc < pc) {
            *s = (struct abi_site){.pc = e.pc, .wasm_offset = e.wasm_offset, .frame = e.bytes};
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return list + count * sizeof(struct site_entry) + s->frame;
}

bool abi_sites_find_kind(const uint8_t *list, uint32_t pc, uint32_t kinds, struct abi_site *out) {
    struct abi_site s = {0};
    list = skip_to(list, pc, &s);
    while (next_site(&list, &s) && s.pc <= pc) {
        if (s.pc != pc || !(kinds >> s.kind & 1)) continue;
        *out = s;
        return true;
    }
    return false;
}
