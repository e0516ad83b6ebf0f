/* arm64_simd_lane: vector instructions that are not of vectors alone: constants, shifts, tests, lanes, memory. */
#include "baseline/arm64_simd.h"

/* ---- constants ---- */

void arm64_pool16(struct compiler *c, uint8_t d, uint64_t low, uint64_t high) {
    struct pool16_use use = {code_at(c), code_at(c), {low, high}};
    vec_push(c->arena, &c->pool16, use);
    put(c, arm64_ldr_literal(d, 4));
}

static uint32_t movi_bits(uint32_t imm8) { return (imm8 >> 5) << 16 | (imm8 & 31) << 5; }

void arm64_vector_constant(struct compiler *c, uint8_t d, uint64_t low, uint64_t high) {
    uint32_t mask = 0;
    bool bytes_whole = true; /* each 0 or ff */
    for (unsigned i = 0; i < 8; i++) {
        uint8_t b = (uint8_t)(low >> 8 * i);
        bytes_whole &= b == 0 || b == 0xff;
        mask |= (uint32_t)(b & 1) << i;
    }
    if (low == high && bytes_whole) {
        put(c, arm64_vec1(0x6f00e400 | movi_bits(mask), d, 16)); /* movi d.2d */
    } else if (low == high && low == (low & 0xff) * 0x0101010101010101ull) {
        put(c, arm64_vec1(0x4f00e400 | movi_bits(low & 0xff), d, 16)); /* movi d.16b */
    } else if (!c->far_branches) {
        arm64_pool16(c, d, low, high);
    } else {
        arm64_set(c, X17, low);
        put(c, arm64_x_to_f(1, true, ARM64_FMOV_FROM_X, d, X17));
        if (high) arm64_set(c, X17, high);
        if (high) put(c, neon_lane(NEON_INS_X, 3, 1) | arm64_x(X17, 5) | arm64_v(d, 0));
    }
}

/* ---- shifts ---- */

static unsigned log2_of_shift(uint32_t op) {
    switch (op) {
    case WASM_OP_I8X16_SHL:
    case WASM_OP_I8X16_SHR_S:
    case WASM_OP_I8X16_SHR_U: return 0;
    case WASM_OP_I16X8_SHL:
    case WASM_OP_I16X8_SHR_S:
    case WASM_OP_I16X8_SHR_U: return 1;
    case WASM_OP_I32X4_SHL:
    case WASM_OP_I32X4_SHR_S:
    case WASM_OP_I32X4_SHR_U: return 2;
    default: return 3;
    }
}
static bool is_left(uint32_t op) {
    return op == WASM_OP_I8X16_SHL || op == WASM_OP_I16X8_SHL || op == WASM_OP_I32X4_SHL || op == WASM_OP_I64X2_SHL;
}
static bool is_right_signed(uint32_t op) {
    return op == WASM_OP_I8X16_SHR_S || op == WASM_OP_I16X8_SHR_S || op == WASM_OP_I32X4_SHR_S || op == WASM_OP_I64X2_SHR_S;
}

void target_simd_shift(struct compiler *c, uint32_t op, uint8_t d, struct value *a, struct value *n, uint8_t t) {
    (void)t;
    unsigned log2 = log2_of_shift(op), bits = 8u << log2;
    bool left = is_left(op), is_signed = is_right_signed(op);
    uint8_t s = reg_of(c, a);
    if (is_imm(n)) {
        unsigned k = (unsigned)n->imm & (bits - 1);
        if (k == 0) v_move(c, d, s);
        else if (left) v1(c, NEON_SHL | (bits + k) << 16, d, s);
        else v1(c, (uint32_t)(is_signed ? NEON_SSHR : NEON_USHR) | (2 * bits - k) << 16, d, s);
        return;
    }
    uint32_t mask = 0;
    arm64_logical(0, bits - 1, &mask);
    put(c, arm64_logic_imm(0, ARM64_AND, X16, in_reg(c, n, X16), mask));
    if (!left) put(c, arm64_add_reg(0, ARM64_SUB, X16, XZR, X16, 0, 0));
    put(c, neon_lane(NEON_DUP_X, log2, 0) | arm64_x(X16, 5) | arm64_v(VS, 0));
    v2(c, neon_size(left || is_signed ? NEON_SSHL : NEON_USHL, log2), d, s, VS);
}

/* ---- tests ---- */

static unsigned log2_of_test(uint32_t op) {
    switch (op) {
    case WASM_OP_I8X16_ALL_TRUE:
    case WASM_OP_I8X16_BITMASK: return 0;
    case WASM_OP_I16X8_ALL_TRUE:
    case WASM_OP_I16X8_BITMASK: return 1;
    case WASM_OP_I32X4_ALL_TRUE:
    case WASM_OP_I32X4_BITMASK: return 2;
    default: return 3;
    }
}

uint8_t target_simd_test(struct compiler *c, uint32_t op, struct value *a) {
    uint8_t s = reg_of(c, a);
    bool all = op != WASM_OP_V128_ANY_TRUE;
    if (all) v1(c, neon_size(NEON_CMEQ_0, log2_of_test(op)), VS, s), s = VS; /* none is zero */
    v2(c, neon_size(NEON_UMAXP, 2), VS, s, s);
    put(c, arm64_f_to_x(1, true, ARM64_FMOV_TO_X, X16, VS));
    put(c, arm64_add_imm(1, ARM64_SUB | ARM64_S, XZR, X16, 0));
    note(c);
    return all ? CC_EQ : CC_NE;
}

/* Each lane's sign, as the bit of its place; then their sum. */
void target_simd_bitmask(struct compiler *c, uint32_t op, uint8_t d, struct value *a) {
    static const uint64_t places[3][2] = {{0x8040201008040201, 0x8040201008040201},
                                          {0x0008000400020001, 0x0080004000200010},
                                          {0x0000000200000001, 0x0000000800000004}};
    unsigned log2 = log2_of_test(op), bits = 8u << log2;
    uint8_t s = reg_of(c, a);
    if (log2 == 3) {
        v1(c, NEON_USHR | (2 * 64 - 63) << 16, VS, s);
        put(c, arm64_f_to_x(1, true, ARM64_FMOV_TO_X, X16, VS));
        put(c, neon_lane(NEON_UMOV | NEON_2, 3, 1) | arm64_v(VS, 5) | arm64_x(X17, 0));
        put(c, arm64_add_reg(0, ARM64_ADD, d, X16, X17, ARM64_LSL, 1));
        return;
    }
    v1(c, NEON_SSHR | (2 * bits - (bits - 1)) << 16, VS, s);
    arm64_vector_constant(c, VS + 1, places[log2][0], places[log2][1]);
    v2(c, NEON_AND, VS, VS, VS + 1);
    if (log2 == 0) { /* the two halves as bytes of words */
        v2(c, NEON_EXT | 8 << 11, VS + 1, VS, VS);
        v2(c, NEON_ZIP1, VS, VS, VS + 1);
        log2 = 1;
    }
    v1(c, neon_size(NEON_ADDV, log2), VS, VS);
    put(c, arm64_f_to_x(0, false, ARM64_FMOV_TO_X, d, VS));
}

/* ---- splat, extract, replace ---- */

void target_simd_splat(struct compiler *c, uint32_t op, uint8_t d, struct value *a) {
    uint8_t s = reg_of(c, a);
    switch (op) {
    case WASM_OP_I8X16_SPLAT: put(c, neon_lane(NEON_DUP_X, 0, 0) | arm64_x(s, 5) | arm64_v(d, 0)); break;
    case WASM_OP_I16X8_SPLAT: put(c, neon_lane(NEON_DUP_X, 1, 0) | arm64_x(s, 5) | arm64_v(d, 0)); break;
    case WASM_OP_I32X4_SPLAT: put(c, neon_lane(NEON_DUP_X, 2, 0) | arm64_x(s, 5) | arm64_v(d, 0)); break;
    case WASM_OP_I64X2_SPLAT: put(c, neon_lane(NEON_DUP_X, 3, 0) | arm64_x(s, 5) | arm64_v(d, 0)); break;
    case WASM_OP_F32X4_SPLAT: v1(c, neon_lane(NEON_DUP, 2, 0), d, s); break;
    default: v1(c, neon_lane(NEON_DUP, 3, 0), d, s); break;
    }
}

static void move_lane(struct compiler *c, uint32_t in, unsigned log2, unsigned lane, uint8_t d,
                      uint8_t s) { /* to a general register */
    put(c, neon_lane(in, log2, lane) | arm64_v(s, 5) | arm64_x(d, 0));
}

void target_simd_extract(struct compiler *c, uint32_t op, uint8_t lane, uint8_t d, struct value *a) {
    uint8_t s = reg_of(c, a);
    switch (op) {
    case WASM_OP_I8X16_EXTRACT_LANE_S: move_lane(c, NEON_SMOV, 0, lane, d, s); break;
    case WASM_OP_I8X16_EXTRACT_LANE_U: move_lane(c, NEON_UMOV, 0, lane, d, s); break;
    case WASM_OP_I16X8_EXTRACT_LANE_S: move_lane(c, NEON_SMOV, 1, lane, d, s); break;
    case WASM_OP_I16X8_EXTRACT_LANE_U: move_lane(c, NEON_UMOV, 1, lane, d, s); break;
    case WASM_OP_I32X4_EXTRACT_LANE: move_lane(c, NEON_UMOV, 2, lane, d, s); break;
    case WASM_OP_I64X2_EXTRACT_LANE: move_lane(c, NEON_UMOV | NEON_2, 3, lane, d, s); break;
    case WASM_OP_F32X4_EXTRACT_LANE: v1(c, neon_lane(NEON_DUP_SCALAR, 2, lane), d, s); break;
    default: v1(c, neon_lane(NEON_DUP_SCALAR, 3, lane), d, s); break;
    }
}

/* Lane `lane` of d, which holds the vector, becomes lane 0 of r. */
static void insert(struct compiler *c, unsigned log2, unsigned lane, uint8_t d, uint8_t r) {
    v1(c, neon_lane(NEON_INS, log2, lane), d, r);
}

void target_simd_replace(struct compiler *c, uint32_t op, uint8_t lane, uint8_t d, struct value *a, struct value *x) {
    uint8_t s = reg_of(c, a), r = reg_of(c, x);
    unsigned log2 = op == WASM_OP_I8X16_REPLACE_LANE ? 0 : op == WASM_OP_I16X8_REPLACE_LANE ? 1 : 2;
    if (op == WASM_OP_I64X2_REPLACE_LANE || op == WASM_OP_F64X2_REPLACE_LANE) log2 = 3;
    if (type_is_float(x->type)) {
        if (r == d && s != d) v_move(c, VS, r), r = VS;
        v_move(c, d, s);
        insert(c, log2, lane, d, r);
    } else {
        v_move(c, d, s);
        put(c, neon_lane(NEON_INS_X, log2, lane) | arm64_x(r, 5) | arm64_v(d, 0));
    }
}

/* ---- shuffle ---- */

/* Lane i of 1 << log2 bytes, of the instruction's result: which lane of the two operands it is. */
static unsigned zip_lane(unsigned i, unsigned lanes, bool second) { return (second ? lanes / 2 : 0) + i / 2 + (i & 1) * lanes; }
static unsigned uzp_lane(unsigned i, unsigned lanes, bool second) {
    (void)lanes;
    return 2 * i + second;
}
static unsigned trn_lane(unsigned i, unsigned lanes, bool second) { return (i & ~1u) + second + (i & 1) * lanes; }

static const struct {
    uint32_t insn;
    unsigned (*lane)(unsigned i, unsigned lanes, bool second);
} permutes[] = {{NEON_ZIP1, zip_lane}, {NEON_UZP1, uzp_lane}, {NEON_TRN1, trn_lane}};

/* mask 31: of two operands; 15: of one twice */
static bool is_permute(const uint8_t *lanes, unsigned k, unsigned log2, bool second, unsigned mask) {
    unsigned bytes = 1u << log2;
    for (unsigned i = 0; i < 16; i++)
        if (lanes[i] != ((permutes[k].lane(i >> log2, 16 >> log2, second) << log2 | (i & (bytes - 1))) & mask)) return false;
    return true;
}

static bool permute(struct compiler *c, const uint8_t *lanes, uint8_t d, uint8_t a, uint8_t b, unsigned mask) {
    unsigned i = 1;
    while (i < 16 && lanes[i] == ((lanes[0] + i) & mask)) i++;
    if (i == 16 && (lanes[0] & 15) == 0) {
        v_move(c, d, lanes[0] ? b : a);
        return true;
    }
    if (i == 16) { /* a window */
        v2(c, NEON_EXT | (lanes[0] & 15u) << 11, d, lanes[0] < 16 ? a : b, lanes[0] < 16 ? b : a);
        return true;
    }
    for (unsigned k = 0; k < ARRAY_COUNT(permutes); k++)
        for (unsigned form = 0; form < 8; form++)
            if (is_permute(lanes, k, form >> 1, form & 1, mask)) {
                v2(c, neon_size(permutes[k].insn | (form & 1 ? NEON_SECOND : 0), form >> 1), d, a, b);
                return true;
            }
    return false;
}

/* One lane everywhere. */
static bool spread(struct compiler *c, const uint8_t *lanes, uint8_t d, uint8_t a, uint8_t b) {
    for (unsigned log2 = 0; log2 < 4; log2++) {
        unsigned bytes = 1u << log2, i = 0;
        while (i < 16 && lanes[i] == lanes[0] + (i & (bytes - 1)) && !(lanes[0] & (bytes - 1))) i++;
        if (i < 16) continue;
        v1(c, neon_lane(NEON_DUP, log2, (lanes[0] & 15u) >> log2), d, lanes[0] < 16 ? a : b);
        return true;
    }
    return false;
}

void target_simd_shuffle(struct compiler *c, uint8_t *lanes, uint8_t d, struct value *a, struct value *b) {
    uint8_t ra = reg_of(c, a), rb = reg_of(c, b);
    unsigned either = 0, both = 16;
    for (unsigned i = 0; i < 16; i++) either |= lanes[i], both &= lanes[i];
    bool one = ra == rb || !(either & 16) || both & 16;
    if (one) {
        if (both & 16) ra = rb;
        rb = ra;
        for (unsigned i = 0; i < 16; i++) lanes[i] &= 15;
    }
    if (spread(c, lanes, d, ra, rb) || permute(c, lanes, d, ra, rb, one ? 15 : 31)) return;
    uint64_t k[2];
    memcpy(k, lanes, 16);
    arm64_vector_constant(c, VS + 2, k[0], k[1]);
    if (one) {
        v2(c, NEON_TBL, d, ra, VS + 2);
        return;
    }
    v_move(c, VS, ra); /* the table is of neighbours */
    v_move(c, VS + 1, rb);
    v2(c, NEON_TBL_2, d, VS, VS + 2);
}

/* ---- memory ---- */

static struct arm64_access vector_access(unsigned log2, bool load) { return ARM64_LDST((uint8_t)log2, log2, 1, load); }

void target_simd_load(struct compiler *c, uint32_t op, uint32_t memory, uint64_t offset, uint8_t d, struct value *addr) {
    unsigned log2 = wasm_ops[op].aux;
    struct arm64_mem m = arm64_address(c, log2, memory, offset, addr);
    site(c, ABI_SITE_MEMORY);
    put_ldst(c, vector_access(log2, true), d, m);
    switch (op) {
    case WASM_OP_V128_LOAD8X8_S: v1(c, NEON_SXTL | 8 << 16, d, d); break;
    case WASM_OP_V128_LOAD8X8_U: v1(c, NEON_UXTL | 8 << 16, d, d); break;
    case WASM_OP_V128_LOAD16X4_S: v1(c, NEON_SXTL | 16 << 16, d, d); break;
    case WASM_OP_V128_LOAD16X4_U: v1(c, NEON_UXTL | 16 << 16, d, d); break;
    case WASM_OP_V128_LOAD32X2_S: v1(c, NEON_SXTL | 32 << 16, d, d); break;
    case WASM_OP_V128_LOAD32X2_U: v1(c, NEON_UXTL | 32 << 16, d, d); break;
    case WASM_OP_V128_LOAD32_ZERO:
    case WASM_OP_V128_LOAD64_ZERO: break;
    default: v1(c, neon_lane(NEON_DUP, log2, 0), d, d); break;
    }
}

void target_simd_load_lane(struct compiler *c, unsigned log2, uint8_t lane, uint32_t memory, uint64_t offset, uint8_t d,
                           struct value *addr, struct value *a) {
    uint8_t s = reg_of(c, a);
    struct arm64_mem m = arm64_address(c, log2, memory, offset, addr);
    site(c, ABI_SITE_MEMORY);
    put_ldst(c, vector_access(log2, true), VS, m);
    v_move(c, d, s);
    insert(c, log2, lane, d, VS);
}

void target_simd_store_lane(struct compiler *c, unsigned log2, uint8_t lane, uint32_t memory, uint64_t offset, struct value *addr,
                            struct value *a) {
    uint8_t s = reg_of(c, a);
    if (lane) v1(c, neon_lane(NEON_DUP_SCALAR, log2, lane), VS, s), s = VS;
    struct arm64_mem m = arm64_address(c, log2, memory, offset, addr);
    site(c, ABI_SITE_MEMORY);
    put_ldst(c, vector_access(log2, false), s, m);
}
