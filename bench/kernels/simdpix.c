/* Pixels of 8 bits with vector instructions: blends two pictures by a third, sharpens the result, counts what is bright. */
#include <stdint.h>
#include <stdio.h>

#ifdef __wasm_simd128__
#include <wasm_simd128.h>
typedef v128_t v;
#define load wasm_v128_load
#define store wasm_v128_store
#define low(a) wasm_u16x8_extend_low_u8x16(a)
#define high(a) wasm_u16x8_extend_high_u8x16(a)
#define mul16 wasm_i16x8_mul
#define add16 wasm_i16x8_add
#define sub16 wasm_i16x8_sub
#define shr16 wasm_u16x8_shr
#define narrow wasm_u8x16_narrow_i16x8
#define splat16 wasm_i16x8_splat
#define splat8 wasm_i8x16_splat
#define avg8 wasm_u8x16_avgr
#define adds8 wasm_u8x16_add_sat
#define subs8 wasm_u8x16_sub_sat
#define max8 wasm_u8x16_max
#define equal8 wasm_i8x16_eq
#define mask8 wasm_i8x16_bitmask
#else
#include <emmintrin.h>
typedef __m128i v;
#define load(p) _mm_loadu_si128((const v *)(p))
#define store(p, a) _mm_storeu_si128((v *)(p), a)
#define low(a) _mm_unpacklo_epi8(a, _mm_setzero_si128())
#define high(a) _mm_unpackhi_epi8(a, _mm_setzero_si128())
#define mul16 _mm_mullo_epi16
#define add16 _mm_add_epi16
#define sub16 _mm_sub_epi16
#define shr16 _mm_srli_epi16
#define narrow _mm_packus_epi16
#define splat16 _mm_set1_epi16
#define splat8 _mm_set1_epi8
#define avg8 _mm_avg_epu8
#define adds8 _mm_adds_epu8
#define subs8 _mm_subs_epu8
#define max8 _mm_max_epu8
#define equal8 _mm_cmpeq_epi8
#define mask8 _mm_movemask_epi8
#endif

enum { W = 1024, H = 512 };
static uint8_t a[H * W], b[H * W], alpha[H * W], out[H * W];

static v weigh(v x, v y, v k) { /* (x k + y (255 - k) + 128) / 256, of words */
    v sum = add16(mul16(x, k), mul16(y, sub16(splat16(255), k)));
    return shr16(add16(sum, splat16(128)), 8);
}

static void blend(void) {
    for (int i = 0; i < W * H; i += 16) {
        v x = load(a + i), y = load(b + i), k = load(alpha + i);
        store(out + i, narrow(weigh(low(x), low(y), low(k)), weigh(high(x), high(y), high(k))));
    }
}

static void sharpen(void) {
    for (int i = W; i < W * (H - 1); i += 16) {
        v x = load(out + i),
          around = avg8(avg8(load(out + i - 1), load(out + i + 1)), avg8(load(out + i - W), load(out + i + W)));
        v more = subs8(x, around), less = subs8(around, x);
        store(a + i, subs8(adds8(x, more), less));
    }
}

static int bright(int limit) {
    int n = 0;
    v least = splat8((char)limit);
    for (int i = 0; i < W * H; i += 16) {
        v x = load(a + i);
        n += __builtin_popcount((unsigned)mask8(equal8(max8(x, least), x)));
    }
    return n;
}

int main(void) {
    uint32_t r = 1;
    for (int i = 0; i < W * H; i++) {
        r = r * 1664525 + 1013904223;
        a[i] = (uint8_t)(r >> 24), b[i] = (uint8_t)(r >> 16), alpha[i] = (uint8_t)(r >> 8);
    }
    long sum = 0;
    for (int round = 0; round < 1500; round++) {
        blend();
        sharpen();
        sum += bright(round & 255);
    }
    printf("%ld\n", sum);
}
