/* Encoders of aarch64 against the assembler (its name is the argument; without one that part is skipped), and what they say fits. */
#include "baseline/arm64_neon.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static const char *assembler;

enum { V0 = 16, V1 = 17, V2 = 18, V15 = 31, V31 = 47 };

static uint32_t logic(unsigned w, uint32_t op, unsigned d, unsigned n, uint64_t v) {
    uint32_t bits = 0;
    assert_true(arm64_logical(w, v, &bits));
    return arm64_logic_imm(w, op, d, n, bits);
}
static uint32_t fmov(bool d, unsigned to, double v) {
    uint64_t bits = 0;
    float f = (float)v;
    if (d) memcpy(&bits, &v, 8);
    else memcpy(&bits, &f, 4);
    uint32_t imm = 0;
    assert_true(arm64_float_imm(d, bits, &imm));
    return arm64_fmov_imm(d, to, imm);
}
static uint32_t at(uint32_t word, int64_t offset) {
    assert_true(arm64_set_offset(&word, offset));
    return word;
}

static void test_assembler(void **state) {
    const struct {
        const char *text;
        uint32_t word;
    } rows[] = {
        {"add w1, w2, #5", arm64_add_imm(0, ARM64_ADD, 1, 2, 5)},
        {"sub x27, x27, #0x123, lsl #12", arm64_add_imm(1, ARM64_SUB, 27, 27, 0x123000)},
        {"subs xzr, x3, #4095", arm64_add_imm(1, ARM64_SUB | ARM64_S, XZR, 3, 4095)},
        {"cmn w7, #1", arm64_add_imm(0, ARM64_ADD | ARM64_S, XZR, 7, 1)},
        {"add x1, x2, x3, lsl #3", arm64_add_reg(1, ARM64_ADD, 1, 2, 3, ARM64_LSL, 3)},
        {"sub w1, w2, w3, lsr #31", arm64_add_reg(0, ARM64_SUB, 1, 2, 3, ARM64_LSR, 31)},
        {"neg w17, w3", arm64_add_reg(0, ARM64_SUB, 17, XZR, 3, 0, 0)},
        {"add x16, x16, w17, sxtw", arm64_add_word(ARM64_ADD, true, 16, 16, 17)},
        {"cmp x1, w1, uxtw", arm64_add_word(ARM64_SUB | ARM64_S, false, XZR, 1, 1)},
        {"and w1, w2, #0xff", logic(0, ARM64_AND, 1, 2, 0xff)},
        {"orr x1, x2, #0xffff0000ffff0000", logic(1, ARM64_ORR, 1, 2, 0xffff0000ffff0000)},
        {"eor w1, w2, #0x80000001", logic(0, ARM64_EOR, 1, 2, 0x80000001)},
        {"tst x2, #0x8000000000000000", logic(1, ARM64_ANDS, XZR, 2, 0x8000000000000000)},
        {"and x1, x2, #0xfffffffffffffff0", logic(1, ARM64_AND, 1, 2, 0xfffffffffffffff0)},
        {"orr w1, w2, #0x55555555", logic(0, ARM64_ORR, 1, 2, 0x55555555)},
        {"and x1, x2, x3", arm64_logic_reg(1, ARM64_AND, false, 1, 2, 3, 0, 0)},
        {"orr w1, w2, w3, lsl #7", arm64_logic_reg(0, ARM64_ORR, false, 1, 2, 3, ARM64_LSL, 7)},
        {"mvn x1, x3", arm64_logic_reg(1, ARM64_ORR, true, 1, XZR, 3, 0, 0)},
        {"mov x1, x30", arm64_mov(1, 1, 30)},
        {"movz w1, #0x1234", arm64_mov_half(0, ARM64_MOVZ, 1, 0x1234, 0)},
        {"movk x1, #0xabcd, lsl #48", arm64_mov_half(1, ARM64_MOVK, 1, 0xabcd, 3)},
        {"movn x1, #1, lsl #16", arm64_mov_half(1, ARM64_MOVN, 1, 1, 1)},
        {"lsl w1, w2, #3", arm64_lsl(0, 1, 2, 3)},
        {"lsl x1, x2, #63", arm64_lsl(1, 1, 2, 63)},
        {"lsr w1, w2, #31", arm64_lsr(0, 1, 2, 31)},
        {"asr x1, x2, #5", arm64_asr(1, 1, 2, 5)},
        {"ror w1, w2, #9", arm64_ror(0, 1, 2, 9)},
        {"sxtb x1, w2", arm64_bitfield(1, ARM64_SBFM, 1, 2, 0, 7)},
        {"ubfx w1, w2, #4, #8", arm64_bitfield(0, ARM64_UBFM, 1, 2, 4, 11)},
        {"udiv w1, w2, w3", arm64_two(0, ARM64_UDIV, 1, 2, 3)},
        {"sdiv x1, x2, x3", arm64_two(1, ARM64_SDIV, 1, 2, 3)},
        {"lsl x1, x2, x3", arm64_two(1, ARM64_LSLV, 1, 2, 3)},
        {"lsr w1, w2, w3", arm64_two(0, ARM64_LSRV, 1, 2, 3)},
        {"asr w1, w2, w3", arm64_two(0, ARM64_ASRV, 1, 2, 3)},
        {"ror x1, x2, x3", arm64_two(1, ARM64_RORV, 1, 2, 3)},
        {"clz w1, w2", arm64_one(0, ARM64_CLZ, 1, 2)},
        {"rbit x1, x2", arm64_one(1, ARM64_RBIT, 1, 2)},
        {"madd x1, x2, x3, x4", arm64_madd(1, false, 1, 2, 3, 4)},
        {"msub w1, w2, w3, w4", arm64_madd(0, true, 1, 2, 3, 4)},
        {"umull x1, w2, w3", arm64_mull(false, 1, 2, 3)},
        {"smull x1, w2, w3", arm64_mull(true, 1, 2, 3)},
        {"csel x1, x2, x3, hi", arm64_csel(1, 1, 2, 3, CC_HI)},
        {"cset w1, lt", arm64_cset(1, CC_LT)},
        {"ccmp w4, #1, #0, eq", arm64_ccmp_imm(0, 4, 1, 0, CC_EQ)},
        {"b .+0x7fffffc", at(ARM64_B, 0x7fffffc)},
        {"bl .-0x8000000", at(ARM64_BL, -0x8000000)},
        {"b.ls .+0xffffc", at(arm64_b_cond(CC_LS), 0xffffc)},
        {"cbz w5, .-16", at(arm64_cbz(0, false, 5), -16)},
        {"cbnz x5, .+64", at(arm64_cbz(1, true, 5), 64)},
        {"tbz w5, #31, .+8", at(arm64_tbz(false, 5, 31), 8)},
        {"tbnz x5, #33, .-0x8000", at(arm64_tbz(true, 5, 33), -0x8000)},
        {"br x16", arm64_br(16)},
        {"blr x17", arm64_blr(17)},
        {"ret", ARM64_RET},
        {"adr x25, .+16", arm64_adr(25, 16)},
        {"adr x1, .-3", arm64_adr(1, -3)},
        {"ldr s3, .+8", at(arm64_ldr_literal(V0 + 3, 2), 8)},
        {"ldr d3, .+0x1000", at(arm64_ldr_literal(V0 + 3, 3), 0x1000)},
        {"ldr q3, .+32", at(arm64_ldr_literal(V0 + 3, 4), 32)},
        {"ldr x1, [x27, #32760]", arm64_ldst(ARM64_LOAD_X, 1, 27, 32760)},
        {"ldur x1, [x28, #-88]", arm64_ldst(ARM64_LOAD_X, 1, 28, -88)},
        {"str w1, [x2, #4]", arm64_ldst(ARM64_STORE_W, 1, 2, 4)},
        {"stur w1, [x2, #3]", arm64_ldst(ARM64_STORE_W, 1, 2, 3)},
        {"ldrsw x1, [x2]", arm64_ldst(ARM64_LOAD_SW, 1, 2, 0)},
        {"ldr q1, [x2, #16]", arm64_ldst(ARM64_LOAD_Q, V1, 2, 16)},
        {"str q15, [x28, x3]", arm64_ldst_reg(ARM64_STORE_Q, V15, 28, 3, false)},
        {"ldr x1, [x2, x3, lsl #3]", arm64_ldst_reg(ARM64_LOAD_X, 1, 2, 3, true)},
        {"ldrsw x1, [x25, x1, lsl #2]", arm64_ldst_reg(ARM64_LOAD_SW, 1, 25, 1, true)},
        {"ldrsb w1, [x2, #1]", arm64_ldst(ARM64_LDST(0, 0, 0, 3), 1, 2, 1)},
        {"ldrsh x1, [x2, #2]", arm64_ldst(ARM64_LDST(1, 1, 0, 2), 1, 2, 2)},
        {"str h31, [x2, #2]", arm64_ldst(ARM64_LDST(1, 1, 1, 0), V31, 2, 2)},
        {"stp xzr, x30, [sp, #-16]!", arm64_pair(ARM64_STP_PRE, XZR, 30, XSP, -16)},
        {"ldp xzr, x30, [sp], #16", arm64_pair(ARM64_LDP_POST, XZR, 30, XSP, 16)},
        {"ldp x9, x10, [x27, #504]", arm64_pair(ARM64_LDP, 9, 10, 27, 504)},
        {"stp x9, x10, [x27, #8]", arm64_pair(ARM64_STP, 9, 10, 27, 8)},
        {"fadd s1, s2, s15", arm64_f2(false, ARM64_FADD, V1, V2, V15)},
        {"fsub d1, d2, d16", arm64_f2(true, ARM64_FSUB, V1, V2, V16)},
        {"fmul d1, d2, d0", arm64_f2(true, ARM64_FMUL, V1, V2, V0)},
        {"fdiv s1, s2, s0", arm64_f2(false, ARM64_FDIV, V1, V2, V0)},
        {"fmin d1, d2, d0", arm64_f2(true, ARM64_FMIN, V1, V2, V0)},
        {"fmax s1, s2, s0", arm64_f2(false, ARM64_FMAX, V1, V2, V0)},
        {"fmov d1, d2", arm64_f1(true, ARM64_FMOV, V1, V2)},
        {"fabs s1, s2", arm64_f1(false, ARM64_FABS, V1, V2)},
        {"fneg d1, d2", arm64_f1(true, ARM64_FNEG, V1, V2)},
        {"fsqrt d1, d2", arm64_f1(true, ARM64_FSQRT, V1, V2)},
        {"fcvt s1, d2", arm64_f1(true, ARM64_FCVT_S, V1, V2)},
        {"fcvt d1, s2", arm64_f1(false, ARM64_FCVT_D, V1, V2)},
        {"frintn d1, d2", arm64_f1(true, ARM64_FRINTN, V1, V2)},
        {"frintp s1, s2", arm64_f1(false, ARM64_FRINTP, V1, V2)},
        {"frintm d1, d2", arm64_f1(true, ARM64_FRINTM, V1, V2)},
        {"frintz d1, d2", arm64_f1(true, ARM64_FRINTZ, V1, V2)},
        {"fcmp d1, d31", arm64_fcmp(true, V1, V31)},
        {"fcmp s1, #0.0", arm64_fcmp_zero(false, V1)},
        {"fcsel d1, d2, d0, mi", arm64_fcsel(true, V1, V2, V0, CC_MI)},
        {"fmov d1, #1.0", fmov(true, V1, 1)},
        {"fmov s1, #-0.125", fmov(false, V1, -0.125)},
        {"fmov d1, #31.0", fmov(true, V1, 31)},
        {"fcvtzs x1, d2", arm64_f_to_x(1, true, ARM64_FCVTZS, 1, V2)},
        {"fcvtzu w1, s2", arm64_f_to_x(0, false, ARM64_FCVTZU, 1, V2)},
        {"fmov x1, d2", arm64_f_to_x(1, true, ARM64_FMOV_TO_X, 1, V2)},
        {"fmov s1, w2", arm64_x_to_f(0, false, ARM64_FMOV_FROM_X, V1, 2)},
        {"scvtf d1, w2", arm64_x_to_f(0, true, ARM64_SCVTF, V1, 2)},
        {"ucvtf s1, x2", arm64_x_to_f(1, false, ARM64_UCVTF, V1, 2)},
        {"add v1.8h, v2.8h, v31.8h", arm64_vec(neon_size(NEON_ADD, 1), V1, V2, V31)},
        {"cmhi v1.16b, v2.16b, v0.16b", arm64_vec(neon_size(NEON_CMHI, 0), V1, V2, V0)},
        {"sqrdmulh v1.8h, v2.8h, v0.8h", arm64_vec(neon_size(NEON_SQRDMULH, 1), V1, V2, V0)},
        {"bsl v1.16b, v2.16b, v0.16b", arm64_vec(NEON_BSL, V1, V2, V0)},
        {"bit v1.16b, v2.16b, v0.16b", arm64_vec(NEON_BIT, V1, V2, V0)},
        {"bif v1.16b, v2.16b, v0.16b", arm64_vec(NEON_BIF, V1, V2, V0)},
        {"bic v1.16b, v2.16b, v0.16b", arm64_vec(NEON_BIC, V1, V2, V0)},
        {"sqxtn v1.8b, v2.8h", arm64_vec1(NEON_SQXTN, V1, V2)},
        {"sqxtun2 v1.8h, v2.4s", arm64_vec1(neon_size(NEON_SQXTUN | NEON_2, 1), V1, V2)},
        {"uqxtn v1.2s, v2.2d", arm64_vec1(neon_size(NEON_UQXTN, 2), V1, V2)},
        {"smull2 v1.4s, v2.8h, v0.8h", arm64_vec(neon_size(NEON_SMULL | NEON_2, 1), V1, V2, V0)},
        {"umlal v1.2d, v2.2s, v0.2s", arm64_vec(neon_size(NEON_UMLAL, 2), V1, V2, V0)},
        {"sxtl v1.8h, v2.8b", arm64_vec1(NEON_SXTL | 8 << 16, V1, V2)},
        {"uxtl2 v1.2d, v2.4s", arm64_vec1(NEON_UXTL | NEON_2 | 32 << 16, V1, V2)},
        {"fadd v1.2d, v2.2d, v0.2d", arm64_vec(NEON_FADD | NEON_D, V1, V2, V0)},
        {"fcmgt v1.4s, v2.4s, v0.4s", arm64_vec(NEON_FCMGT, V1, V2, V0)},
        {"fmls v1.2d, v2.2d, v0.2d", arm64_vec(NEON_FMLS | NEON_D, V1, V2, V0)},
        {"frintm v1.4s, v2.4s", arm64_vec1(NEON_FRINTM, V1, V2)},
        {"fcvtzu v1.2d, v2.2d", arm64_vec1(NEON_FCVTZU | NEON_D, V1, V2)},
        {"fcvtn v1.2s, v2.2d", arm64_vec1(NEON_FCVTN, V1, V2)},
        {"fcvtl v1.2d, v2.2s", arm64_vec1(NEON_FCVTL, V1, V2)},
        {"shl v1.2d, v2.2d, #63", arm64_vec1(NEON_SHL | 127u << 16, V1, V2)},
        {"sshr v1.16b, v2.16b, #7", arm64_vec1(NEON_SSHR | 9u << 16, V1, V2)},
        {"dup v1.8h, v2.h[7]", arm64_vec1(neon_lane(NEON_DUP, 1, 7), V1, V2)},
        {"mov v1.s[3], v2.s[0]", arm64_vec1(neon_lane(NEON_INS, 2, 3), V1, V2)},
        {"mov s1, v2.s[3]", arm64_vec1(neon_lane(NEON_DUP_SCALAR, 2, 3), V1, V2)},
        {"dup v1.2d, x2", neon_lane(NEON_DUP_X, 3, 0) | arm64_x(2, 5) | arm64_v(V1, 0)},
        {"smov w1, v2.b[15]", neon_lane(NEON_SMOV, 0, 15) | arm64_v(V2, 5) | arm64_x(1, 0)},
        {"umov x1, v2.d[1]", neon_lane(NEON_UMOV | NEON_2, 3, 1) | arm64_v(V2, 5) | arm64_x(1, 0)},
        {"tbl v1.16b, {v16.16b, v17.16b}, v2.16b", arm64_vec(NEON_TBL_2, V1, V16, V2)},
        {"ext v1.16b, v2.16b, v0.16b, #5", arm64_vec(NEON_EXT | 5 << 11, V1, V2, V0)},
        {"zip2 v1.4s, v2.4s, v0.4s", arm64_vec(neon_size(NEON_ZIP1 | NEON_SECOND, 2), V1, V2, V0)},
        {"uzp1 v1.16b, v2.16b, v0.16b", arm64_vec(NEON_UZP1, V1, V2, V0)},
        {"trn2 v1.2d, v2.2d, v0.2d", arm64_vec(neon_size(NEON_TRN1 | NEON_SECOND, 3), V1, V2, V0)},
        {"addv h1, v2.8h", arm64_vec1(neon_size(NEON_ADDV, 1), V1, V2)},
        {"umaxp v1.4s, v2.4s, v2.4s", arm64_vec(neon_size(NEON_UMAXP, 2), V1, V2, V2)},
    };
    if (!assembler) skip();
    char folder[] = "/tmp/orlo-asm-XXXXXX", command[512], path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.s", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) fprintf(f, "%s\n", rows[i].text);
    fclose(f);
    size_t prefix = strlen(assembler) - 2; /* …-as, …-objcopy */
    snprintf(command, sizeof command, "cd %s && %s -o a.o a.s && %.*sobjcopy -O binary -j .text a.o a.bin", folder, assembler,
             (int)prefix, assembler);
    assert_int_equal(system(command), 0);
    snprintf(path, sizeof path, "%s/a.bin", folder);
    f = fopen(path, "rb");
    assert_non_null(f);
    unsigned wrong = 0;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        uint32_t word;
        assert_int_equal(fread(&word, 4, 1, f), 1);
        if (word == rows[i].word) continue;
        print_message("%s: %08x, not %08x\n", rows[i].text, word, rows[i].word);
        wrong++;
    }
    fclose(f);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(wrong, 0);
}

/* Every run of ones, rotated, repeated: found, and what the bits mean is it. */
static void test_logical(void **state) {
    unsigned found = 0;
    for (unsigned size = 2; size <= 64; size *= 2)
        for (unsigned ones = 1; ones < size; ones++)
            for (unsigned turn = 0; turn < size; turn++) {
                uint64_t mask = size == 64 ? UINT64_MAX : (1ull << size) - 1, run = (1ull << ones) - 1, v;
                v = turn ? (run >> turn | run << (size - turn)) & mask : run;
                for (unsigned k = size; k < 64; k *= 2) v |= v << k;
                uint32_t bits;
                assert_true(arm64_logical(1, v, &bits));
                assert_int_equal(bits, (uint32_t)(size == 64) << 12 | turn << 6 | (((~(size - 1) << 1) & 0x3f) | (ones - 1)));
                found++;
                if (size < 64) assert_true(arm64_logical(0, (uint32_t)v, &bits));
            }
    assert_int_equal(found, 5334);
    uint32_t bits;
    assert_false(arm64_logical(1, 0, &bits));
    assert_false(arm64_logical(1, UINT64_MAX, &bits));
    assert_false(arm64_logical(0, UINT32_MAX, &bits));
    assert_false(arm64_logical(1, 5, &bits));
    assert_false(arm64_logical(1, 0x0000000100000003, &bits));
}

static void test_reach(void **state) {
    uint32_t word = arm64_tbz(false, 1, 0);
    assert_false(arm64_set_offset(&word, 0x8000));
    word = arm64_b_cond(CC_EQ);
    assert_false(arm64_set_offset(&word, -0x100004));
    word = ARM64_BL;
    assert_false(arm64_set_offset(&word, 0x8000000));
    word = 0; /* data */
    assert_true(arm64_set_offset(&word, -12345));
    assert_int_equal((int32_t)word, -12345);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_assembler), cmocka_unit_test(test_logical),
                                       cmocka_unit_test(test_reach)};
    if (argc > 1) assembler = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
