/* arm64_simd: what the files of vector instructions share. */
#ifndef ORLO_BASELINE_ARM64_SIMD_H
#define ORLO_BASELINE_ARM64_SIMD_H

#include "baseline/arm64_int.h"
#include "baseline/arm64_neon.h"

enum { VS = V16 }; /* VS and those above are scratch */

static inline void v1(struct compiler *c, uint32_t op, uint8_t d, uint8_t n) { put(c, arm64_vec1(op, d, n)); }
static inline void v2(struct compiler *c, uint32_t op, uint8_t d, uint8_t n, uint8_t m) { put(c, arm64_vec(op, d, n, m)); }
static inline void v_move(struct compiler *c, uint8_t d, uint8_t s) { target_move_reg(c, T_V128, d, s); }

#endif
