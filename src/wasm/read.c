/* read: the checked readers of the binary format (§5.1-5.3). Every one is sticky: after a failure it gives 0.
 */
#include "wasm/wasm_int.h"

static const char OVER[] = "over a limit of this implementation: ";

err wasm_rd_err(const struct rd *r, struct diag *d) {
    if (!r->fail) return ERR_OK;
    bool limit = !strncmp(r->fail, OVER, sizeof OVER - 1);
    return diag_set(d, limit ? ERR_LIMIT : ERR_MALFORMED, r->fail_at, "%s", r->fail);
}

/* §5.2.2: at most ceil(bits / 7) bytes, and the unused bits of the last are zero, or copies of the sign. */
uint64_t wasm_rd_leb_slow(struct rd *r, unsigned bits, bool is_signed) {
    uint64_t v = 0;
    for (unsigned shift = 0;; shift += 7) {
        if (UNLIKELY(r->p == r->end)) {
            rd_fail(r, "unexpected end");
            return 0;
        }
        uint8_t b = *r->p++;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (shift + 7 < bits) {
            if (b & 0x80) continue;
            if (is_signed && (b & 0x40)) v |= ~0ull << (shift + 7);
            return v;
        }
        unsigned used = bits - shift; /* of the last byte's seven */
        uint8_t high = (uint8_t)((b & 0x7f) >> (is_signed ? used - 1 : used));
        uint8_t ones = (uint8_t)(0x7f >> (is_signed ? used - 1 : used));
        if (UNLIKELY(b & 0x80)) {
            r->p--;
            rd_fail(r, "integer representation too long");
            return 0;
        }
        if (UNLIKELY(high != 0 && !(is_signed && high == ones))) {
            r->p--;
            rd_fail(r, "integer too large");
            return 0;
        }
        if (is_signed && (b & 0x40) && shift + 7 < 64) v |= ~0ull << (shift + 7);
        return v;
    }
}

uint32_t wasm_rd_count(struct rd *r, uint32_t max, uint32_t bytes_min, const char *over) {
    uint32_t n = wasm_rd_u32(r);
    if (UNLIKELY(n > rd_left(r) / bytes_min)) {
        rd_fail(r, "unexpected end of section or function: the count is larger than the bytes that follow");
        return 0;
    }
    if (UNLIKELY(n > max)) {
        rd_fail(r, over);
        return 0;
    }
    return n;
}

str wasm_rd_name(struct rd *r) {
    uint32_t n = wasm_rd_u32(r);
    if (UNLIKELY(n > rd_left(r))) {
        rd_fail(r, "length out of bounds");
        return (str){0};
    }
    str s = {r->p, n};
    if (UNLIKELY(!str_is_utf8(s))) {
        rd_fail(r, "malformed UTF-8 encoding");
        return (str){0};
    }
    r->p += n;
    return s;
}

uint32_t wasm_heap_of_byte(uint8_t b) {
    static const uint8_t heap[] = {
        [0x74 - 0x69] = WASM_HEAP_NOEXN,  [0x73 - 0x69] = WASM_HEAP_NOFUNC, [0x72 - 0x69] = WASM_HEAP_NOEXTERN,
        [0x71 - 0x69] = WASM_HEAP_NONE,   [0x70 - 0x69] = WASM_HEAP_FUNC,   [0x6f - 0x69] = WASM_HEAP_EXTERN,
        [0x6e - 0x69] = WASM_HEAP_ANY,    [0x6d - 0x69] = WASM_HEAP_EQ,     [0x6c - 0x69] = WASM_HEAP_I31,
        [0x6b - 0x69] = WASM_HEAP_STRUCT, [0x6a - 0x69] = WASM_HEAP_ARRAY,  [0x69 - 0x69] = WASM_HEAP_EXN,
    };
    return b >= 0x69 && b <= 0x74 ? heap[b - 0x69] : UINT32_MAX;
}

wasm_type wasm_type_of_byte(uint8_t b) {
    if (b >= 0x7b && b <= 0x7f) return 0x80u - b; /* i32 i64 f32 f64 v128 */
    uint32_t heap = wasm_heap_of_byte(b);
    return heap == UINT32_MAX ? WASM_BOT : wasm_ref(heap, true);
}

/* Indices past the limit of types cannot be valid; they are kept apart from all that may be. */
static uint32_t heap_of_index(int64_t i) { return WASM_HEAP_INDEX + (uint32_t)MIN(i, (int64_t)WASM_MAX_TYPES); }

uint32_t wasm_rd_heap(struct rd *r) {
    const uint8_t *at = r->p;
    int64_t i = wasm_rd_s(r, 33);
    if (i >= 0) return heap_of_index(i);
    uint32_t heap = i >= -64 ? wasm_heap_of_byte((uint8_t)(i & 0x7f)) : UINT32_MAX;
    if (heap == UINT32_MAX || r->p != at + 1) {
        if (!r->fail) r->p = at;
        rd_fail(r, "malformed heap type");
        return 0;
    }
    return heap;
}

wasm_type wasm_rd_type(struct rd *r) {
    if (UNLIKELY(r->p == r->end)) {
        rd_fail(r, "unexpected end");
        return WASM_BOT;
    }
    uint8_t b = *r->p++;
    if (b == 0x63 || b == 0x64) return wasm_ref(wasm_rd_heap(r), b == 0x63);
    wasm_type t = wasm_type_of_byte(b);
    if (UNLIKELY(t == WASM_BOT)) {
        r->p--;
        rd_fail(r, "malformed value type");
    }
    return t;
}

wasm_type wasm_rd_ref_type(struct rd *r) {
    const uint8_t *at = r->p;
    wasm_type t = wasm_rd_type(r);
    if (r->fail || wasm_is_ref(t)) return t;
    r->p = at;
    rd_fail(r, "malformed reference type");
    return WASM_BOT;
}

enum wasm_op wasm_rd_op(struct rd *r) {
    const uint8_t *at = r->p;
    uint8_t b = rd_u8(r);
    uint32_t op = b;
    if (b >= 0xfb && b <= 0xfe) {
        static const uint16_t base[] = {WASM_BASE_FB, WASM_BASE_FC, WASM_BASE_FD, WASM_BASE_FE, WASM_OPS_END};
        static const uint16_t room[] = {0x100, 0x100, WASM_OPS_END - WASM_BASE_FD, 0x100};
        uint32_t code = wasm_rd_u32(r);
        op = code < room[b - 0xfb] ? base[b - 0xfb] + code : WASM_OPS_END;
    }
    if (UNLIKELY(op >= WASM_OPS_END || !wasm_ops[op].text)) {
        if (!r->fail) r->p = at;
        rd_fail(r, "illegal opcode");
        return WASM_OP_UNREACHABLE;
    }
    return (enum wasm_op)op;
}

static void skip_memarg(struct rd *r) {
    uint32_t flags = wasm_rd_u32(r);
    if (flags >= 0x80) rd_fail(r, "malformed memop flags");
    if (flags & 0x40) wasm_rd_u32(r);
    wasm_rd_u64(r);
}

static void skip_block_type(struct rd *r) {
    if (rd_left(r) && (*r->p == 0x40 || *r->p == 0x63 || *r->p == 0x64 || wasm_type_of_byte(*r->p) != WASM_BOT)) {
        if (*r->p == 0x40) r->p++;
        else wasm_rd_type(r);
    } else if (wasm_rd_s(r, 33) < 0) rd_fail(r, "malformed block type");
}

static void skip_u32s(struct rd *r, uint32_t n) {
    while (n-- && !r->fail) wasm_rd_u32(r);
}

static void skip_catches(struct rd *r) {
    uint32_t n = wasm_rd_count(r, UINT32_MAX, 2, "");
    while (n-- && !r->fail) {
        uint8_t kind = rd_u8(r);
        if (kind > 3) rd_fail(r, "malformed catch clause");
        skip_u32s(r, kind < 2 ? 2 : 1);
    }
}

void wasm_rd_skip_imm(struct rd *r, enum wasm_op op) {
    switch ((enum wasm_imm)wasm_ops[op].imm) {
    case WASM_IMM_NONE: return;
    case WASM_IMM_BLOCK: skip_block_type(r); return;
    case WASM_IMM_BR_TABLE: skip_u32s(r, wasm_rd_count(r, UINT32_MAX - 1, 1, "") + 1); return;
    case WASM_IMM_SELECT:
        for (uint32_t n = wasm_rd_count(r, UINT32_MAX, 1, ""); n-- && !r->fail;) wasm_rd_type(r);
        return;
    case WASM_IMM_TRY_TABLE: skip_block_type(r), skip_catches(r); return;
    case WASM_IMM_MEMARG: skip_memarg(r); return;
    case WASM_IMM_MEMARG_LANE: skip_memarg(r), rd_u8(r); return;
    case WASM_IMM_I32: wasm_rd_s(r, 32); return;
    case WASM_IMM_I64: wasm_rd_s(r, 64); return;
    case WASM_IMM_F32: rd_bytes(r, 4); return;
    case WASM_IMM_F64: rd_bytes(r, 8); return;
    case WASM_IMM_V128:
    case WASM_IMM_SHUFFLE: rd_bytes(r, 16); return;
    case WASM_IMM_LANE: rd_u8(r); return;
    case WASM_IMM_FENCE:
        if (rd_u8(r)) rd_fail(r, "zero byte expected");
        return;
    case WASM_IMM_HEAP: wasm_rd_heap(r); return;
    case WASM_IMM_CAST:
        if (rd_u8(r) > 3) rd_fail(r, "malformed cast flags");
        wasm_rd_u32(r), wasm_rd_heap(r), wasm_rd_heap(r);
        return;
    case WASM_IMM_LABEL:
    case WASM_IMM_FUNC:
    case WASM_IMM_TYPE:
    case WASM_IMM_LOCAL:
    case WASM_IMM_GLOBAL:
    case WASM_IMM_TABLE:
    case WASM_IMM_TAG:
    case WASM_IMM_MEMORY:
    case WASM_IMM_DATA:
    case WASM_IMM_ELEM: wasm_rd_u32(r); return;
    case WASM_IMM_INDIRECT:
    case WASM_IMM_MEMORY_COPY:
    case WASM_IMM_MEMORY_INIT:
    case WASM_IMM_TABLE_COPY:
    case WASM_IMM_TABLE_INIT:
    case WASM_IMM_TYPE_FIELD:
    case WASM_IMM_TYPE_COUNT:
    case WASM_IMM_TYPE_DATA:
    case WASM_IMM_TYPE_ELEM:
    case WASM_IMM_TYPE_TYPE: skip_u32s(r, 2); return;
    }
}

wasm_expr wasm_rd_expr(struct rd *r) {
    const uint8_t *from = r->p;
    for (uint32_t depth = 1; depth && !r->fail;) {
        enum wasm_op op = wasm_rd_op(r);
        wasm_rd_skip_imm(r, op);
        if (op == WASM_OP_BLOCK || op == WASM_OP_LOOP || op == WASM_OP_IF || op == WASM_OP_TRY_TABLE) depth++;
        else if (op == WASM_OP_END) depth--;
    }
    return r->fail ? (wasm_expr){0} : (wasm_expr){from, (size_t)(r->p - from)};
}
