/* x64_simd_lane: vector instructions that move lanes: splat, extract, replace, shuffle, and those on memory. */
#include "baseline/x64_simd.h"

static bool has_avx2(const struct compiler *c) { return has_avx(c) && c->cpu & ABI_CPU_AVX2; }

/* ---- splat, extract, replace ---- */

/* The lowest byte or word of d to all lanes. */
static void spread_byte(struct compiler *c, uint8_t d) {
    if (has_avx2(c)) {
        v1(c, PBROADCASTB, d, d);
        return;
    }
    v_zero(c, S);
    v2(c, PSHUFB, d, d, S);
}
static void spread_word(struct compiler *c, uint8_t d) {
    if (has_avx2(c)) {
        v1(c, PBROADCASTW, d, d);
        return;
    }
    v1i(c, PSHUFLW, d, d, 0);
    v1i(c, PSHUFD, d, d, 0);
}

void target_simd_splat(struct compiler *c, uint32_t op, uint8_t d, struct value *a) {
    uint8_t s = reg_of(c, a);
    switch (op) {
    case WASM_OP_I8X16_SPLAT:
        v1(c, MOVD_TO, d, s);
        spread_byte(c, d);
        break;
    case WASM_OP_I16X8_SPLAT:
        v1(c, MOVD_TO, d, s);
        spread_word(c, d);
        break;
    case WASM_OP_I32X4_SPLAT:
        v1(c, MOVD_TO, d, s);
        v1i(c, PSHUFD, d, d, 0);
        break;
    case WASM_OP_I64X2_SPLAT:
        v1(c, MOVD_TO | VI_W, d, s);
        v1i(c, PSHUFD, d, d, 0x44);
        break;
    case WASM_OP_F32X4_SPLAT:
        if (has_avx2(c)) v1(c, BROADCASTSS, d, s);
        else v2i(c, SHUFPS, d, s, s, 0);
        break;
    default: v1(c, MOVDDUP, d, s); break;
    }
}

void target_simd_extract(struct compiler *c, uint32_t op, uint8_t lane, uint8_t d, struct value *a) {
    uint8_t s = reg_of(c, a);
    switch (op) {
    case WASM_OP_I8X16_EXTRACT_LANE_S:
    case WASM_OP_I8X16_EXTRACT_LANE_U:
        v1i(c, PEXTRB, s, d, lane);
        if (op == WASM_OP_I8X16_EXTRACT_LANE_S) x64_movsx8(&c->p, 0, d, d);
        break;
    case WASM_OP_I16X8_EXTRACT_LANE_S:
    case WASM_OP_I16X8_EXTRACT_LANE_U:
        v1i(c, PEXTRW, d, s, lane);
        if (op == WASM_OP_I16X8_EXTRACT_LANE_S) x64_movsx16(&c->p, 0, d, d);
        break;
    case WASM_OP_I32X4_EXTRACT_LANE:
        if (lane == 0) v1(c, MOVD_FROM, s, d);
        else v1i(c, PEXTRD, s, d, lane);
        break;
    case WASM_OP_I64X2_EXTRACT_LANE:
        if (lane == 0) v1(c, MOVD_FROM | VI_W, s, d);
        else v1i(c, PEXTRQ, s, d, lane);
        break;
    case WASM_OP_F32X4_EXTRACT_LANE:
        if (lane == 0) v_move(c, d, s);
        else v1i(c, PSHUFD, d, s, (uint8_t)(lane * 0x55));
        break;
    default:
        if (lane == 0) v_move(c, d, s);
        else v1i(c, PSHUFD, d, s, 0xee);
        break;
    }
}

void target_simd_replace(struct compiler *c, uint32_t op, uint8_t lane, uint8_t d, struct value *a, struct value *x) {
    uint8_t s = reg_of(c, a), r = reg_of(c, x);
    switch (op) {
    case WASM_OP_I8X16_REPLACE_LANE: v2i(c, PINSRB, d, s, r, lane); break;
    case WASM_OP_I16X8_REPLACE_LANE: v2i(c, PINSRW, d, s, r, lane); break;
    case WASM_OP_I32X4_REPLACE_LANE: v2i(c, PINSRD, d, s, r, lane); break;
    case WASM_OP_I64X2_REPLACE_LANE: v2i(c, PINSRQ, d, s, r, lane); break;
    case WASM_OP_F32X4_REPLACE_LANE: v2i(c, INSERTPS, d, s, r, (uint8_t)(lane << 4)); break;
    default: v2(c, lane ? MOVLHPS : MOVSD, d, s, r); break;
    }
}

/* ---- shuffle ---- */

/* Whole runs of `w` bytes: which run each of the result's is, or false. */
static bool runs(const uint8_t *lanes, unsigned w, uint8_t *out) {
    for (unsigned i = 0; i < 16; i += w) {
        if (lanes[i] % w) return false;
        for (unsigned k = 1; k < w; k++)
            if (lanes[i + k] != lanes[i] + k) return false;
        out[i / w] = (uint8_t)(lanes[i] / w);
    }
    return true;
}

/* How far lanes are a window on 32 bytes, or on 16 that repeat (`mask` 31 or 15); -1. */
static int window(const uint8_t *lanes, unsigned mask) {
    for (unsigned i = 1; i < 16; i++)
        if (lanes[i] != ((lanes[0] + i) & mask)) return -1;
    return lanes[0];
}

static void shuffle_one(struct compiler *c, const uint8_t *lanes, uint8_t d, uint8_t s) {
    uint8_t q[4];
    int at;
    if (runs(lanes, 4, q)) {
        uint8_t imm = (uint8_t)(q[0] | q[1] << 2 | q[2] << 4 | q[3] << 6);
        if (imm == 0xe4) v_move(c, d, s);
        else v1i(c, PSHUFD, d, s, imm);
    } else if ((at = window(lanes, 15)) >= 0) {
        v2i(c, PALIGNR, d, s, s, (uint8_t)at);
    } else {
        uint64_t k[2];
        memcpy(k, lanes, 16);
        v2k(c, PSHUFB, d, s, k[0], k[1]);
    }
}

/* The machine's instructions that take lanes of both in turn. */
static bool interleave(struct compiler *c, const uint8_t *lanes, uint8_t d, uint8_t a, uint8_t b) {
    static const uint32_t insn[4][2] = {
        {PUNPCKLBW, PUNPCKHBW}, {PUNPCKLWD, PUNPCKHWD}, {PUNPCKLDQ, PUNPCKHDQ}, {PUNPCKLQDQ, PUNPCKHQDQ}};
    for (unsigned log2 = 0; log2 < 4; log2++) {
        for (unsigned form = 0; form < 4; form++) {
            unsigned high = form & 1, swap = form >> 1, i = 0;
            for (; i < 16; i++) {
                unsigned run = i >> log2, from = (run & 1) ^ swap;
                if (lanes[i] != from * 16 + high * 8 + (run >> 1 << log2) + (i & ((1u << log2) - 1))) break;
            }
            if (i < 16) continue;
            v2(c, insn[log2][high], d, swap ? b : a, swap ? a : b);
            return true;
        }
    }
    return false;
}

/* Two lanes of 32 bits from one, two from the other; or words that stay in their places. */
static bool combine(struct compiler *c, const uint8_t *lanes, uint8_t d, uint8_t a, uint8_t b) {
    uint8_t q[8];
    if (runs(lanes, 4, q) && (q[0] ^ q[1]) < 4 && (q[2] ^ q[3]) < 4) {
        uint8_t imm = (uint8_t)((q[0] & 3) | (q[1] & 3) << 2 | (q[2] & 3) << 4 | (q[3] & 3) << 6);
        v2i(c, SHUFPS, d, q[0] < 4 ? a : b, q[2] < 4 ? a : b, imm);
        return true;
    }
    if (!runs(lanes, 2, q)) return false;
    unsigned imm = 0;
    for (unsigned i = 0; i < 8; i++) {
        if ((q[i] & 7) != i) return false;
        imm |= (unsigned)(q[i] >> 3) << i;
    }
    v2i(c, PBLENDW, d, a, b, (uint8_t)imm);
    return true;
}

static void shuffle_two(struct compiler *c, const uint8_t *lanes, uint8_t d, uint8_t a, uint8_t b) {
    if (interleave(c, lanes, d, a, b)) return;
    int at = window(lanes, 31);
    if (at >= 0) {
        v2i(c, PALIGNR, d, at < 16 ? b : a, at < 16 ? a : b, (uint8_t)(at & 15));
        return;
    }
    if (combine(c, lanes, d, a, b)) return;
    uint8_t of_a[16], of_b[16];
    for (unsigned i = 0; i < 16; i++) {
        of_a[i] = lanes[i] < 16 ? lanes[i] : 0x80;
        of_b[i] = lanes[i] < 16 ? 0x80 : lanes[i] & 15;
    }
    uint64_t k[2];
    memcpy(k, of_a, 16);
    v2k(c, PSHUFB, S, a, k[0], k[1]);
    memcpy(k, of_b, 16);
    v2k(c, PSHUFB, d, b, k[0], k[1]);
    v2(c, POR, d, d, S);
}

void target_simd_shuffle(struct compiler *c, uint8_t *lanes, uint8_t d, struct value *a, struct value *b) {
    uint8_t ra = reg_of(c, a), rb = reg_of(c, b);
    unsigned either = 0, both = 16;
    for (unsigned i = 0; i < 16; i++) either |= lanes[i], both &= lanes[i];
    if (ra == rb || !(either & 16) || both & 16) {
        for (unsigned i = 0; i < 16; i++) lanes[i] &= 15;
        shuffle_one(c, lanes, d, both & 16 ? rb : ra);
    } else {
        shuffle_two(c, lanes, d, ra, rb);
    }
}

/* ---- memory ---- */

static void load(struct compiler *c, uint32_t in, uint8_t d, struct x64_mem m) {
    site(c, ABI_SITE_MEMORY);
    v_rm(c, in, d, 0, m);
}

static void load_splat(struct compiler *c, unsigned log2, uint8_t d, struct x64_mem m) {
    static const uint32_t broadcast[] = {PBROADCASTB, PBROADCASTW, BROADCASTSS};
    if (log2 == 3) {
        load(c, MOVDDUP, d, m);
    } else if (has_avx2(c) || (log2 == 2 && has_avx(c))) {
        load(c, broadcast[log2], d, m);
    } else if (log2 == 2) {
        load(c, MOVSS, d, m);
        v2i(c, SHUFPS, d, d, d, 0);
    } else {
        site(c, ABI_SITE_MEMORY);
        x64_0f_rm(&c->p, 0, 0, log2 ? 0xb7 : 0xb6, SCRATCH, m); /* movzx; the address may be in the scratch register */
        v1(c, MOVD_TO, d, SCRATCH);
        if (log2) spread_word(c, d);
        else spread_byte(c, d);
    }
}

void target_simd_load(struct compiler *c, uint32_t op, uint32_t memory, uint64_t offset, uint8_t d, struct value *addr) {
    unsigned log2 = wasm_ops[op].aux;
    uint8_t temp;
    struct x64_mem m = x64_address(c, log2, memory, offset, addr, &temp);
    switch (op) {
    case WASM_OP_V128_LOAD8X8_S: load(c, PMOVSXBW, d, m); break;
    case WASM_OP_V128_LOAD8X8_U: load(c, PMOVZXBW, d, m); break;
    case WASM_OP_V128_LOAD16X4_S: load(c, PMOVSXWD, d, m); break;
    case WASM_OP_V128_LOAD16X4_U: load(c, PMOVZXWD, d, m); break;
    case WASM_OP_V128_LOAD32X2_S: load(c, PMOVSXDQ, d, m); break;
    case WASM_OP_V128_LOAD32X2_U: load(c, PMOVZXDQ, d, m); break;
    case WASM_OP_V128_LOAD32_ZERO: load(c, MOVSS, d, m); break;
    case WASM_OP_V128_LOAD64_ZERO: load(c, MOVSD, d, m); break;
    default: load_splat(c, log2, d, m); break;
    }
    if (temp != NO_REG) release_reg(c, temp);
}

void target_simd_load_lane(struct compiler *c, unsigned log2, uint8_t lane, uint32_t memory, uint64_t offset, uint8_t d,
                           struct value *addr, struct value *a) {
    static const uint32_t insert[] = {PINSRB, PINSRW, PINSRD, PINSRQ};
    uint8_t temp, s = reg_of(c, a);
    struct x64_mem m = x64_address(c, log2, memory, offset, addr, &temp);
    if (!has_avx(c)) v_move(c, d, s);
    site(c, ABI_SITE_MEMORY);
    v_rm(c, insert[log2], d, s, m);
    *c->p++ = lane;
    if (temp != NO_REG) release_reg(c, temp);
}

void target_simd_store_lane(struct compiler *c, unsigned log2, uint8_t lane, uint32_t memory, uint64_t offset, struct value *addr,
                            struct value *a) {
    static const uint32_t extract[] = {PEXTRB, PEXTRW_STORE, PEXTRD, PEXTRQ};
    uint8_t temp, s = reg_of(c, a);
    struct x64_mem m = x64_address(c, log2, memory, offset, addr, &temp);
    site(c, ABI_SITE_MEMORY);
    if (lane == 0 && log2 >= 2) {
        v_rm(c, log2 == 2 ? MOVSS_STORE : MOVSD_STORE, s, 0, m);
    } else {
        v_rm(c, extract[log2], s, 0, m);
        *c->p++ = lane;
    }
    if (temp != NO_REG) release_reg(c, temp);
}
