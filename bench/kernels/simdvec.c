/* Vectors of four floats: bodies transformed by matrices and normalised; dot products of long rows. */
#include <stdio.h>

typedef float f4 __attribute__((vector_size(16)));
typedef int i4 __attribute__((vector_size(16)));

#ifdef __wasm_simd128__
#include <wasm_simd128.h>
#define root4(a) ((f4)wasm_f32x4_sqrt((v128_t)(a)))
#else
#include <xmmintrin.h>
#define root4(a) ((f4)_mm_sqrt_ps((__m128)(a)))
#endif
#define lane4(a, i) __builtin_shufflevector(a, a, i, i, i, i)

enum { N = 4096, ROW = 1024 };
struct matrix {
    f4 column[4];
};
static f4 points[N];
static float rows[64][ROW];

static f4 transform(const struct matrix *m, f4 p) {
    return m->column[0] * lane4(p, 0) + m->column[1] * lane4(p, 1) + m->column[2] * lane4(p, 2) + m->column[3] * lane4(p, 3);
}
static f4 normalise(f4 p) {
    f4 q = p * p;
    f4 sum = lane4(q, 0) + lane4(q, 1) + lane4(q, 2) + (f4){1e-6f, 1e-6f, 1e-6f, 1e-6f};
    f4 n = p / root4(sum);
    n[3] = 1;
    return n;
}

static void move(const struct matrix *m) {
    for (int i = 0; i < N; i++) points[i] = normalise(transform(m, points[i]));
}

static float dot(const float *x, const float *y) {
    f4 s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
    for (int i = 0; i < ROW; i += 16) {
        s0 += *(const f4 *)(x + i) * *(const f4 *)(y + i);
        s1 += *(const f4 *)(x + i + 4) * *(const f4 *)(y + i + 4);
        s2 += *(const f4 *)(x + i + 8) * *(const f4 *)(y + i + 8);
        s3 += *(const f4 *)(x + i + 12) * *(const f4 *)(y + i + 12);
    }
    f4 s = (s0 + s1) + (s2 + s3);
    return (s[0] + s[1]) + (s[2] + s[3]);
}

int main(void) {
    struct matrix m = {{{0.8f, -0.6f, 0.01f, 0}, {0.6f, 0.8f, 0.02f, 0}, {-0.02f, 0.01f, 1.0f, 0}, {0.1f, 0.2f, 0.3f, 1}}};
    for (int i = 0; i < N; i++) points[i] = (f4){(float)(i % 7) - 3, (float)(i % 11) - 5, (float)(i % 13) - 6, 1};
    for (int i = 0; i < 64; i++)
        for (int j = 0; j < ROW; j++) rows[i][j] = (float)((i * j) % 9) * 0.25f - 1;
    double total = 0;
    for (int round = 0; round < 12000; round++) {
        move(&m);
        for (int i = 0; i < 63; i++) total += (double)dot(rows[i], rows[i + 1]);
    }
    f4 sum = {0};
    for (int i = 0; i < N; i++) sum += points[i];
    printf("%.3f %.2f %.2f %.2f\n", total, (double)sum[0], (double)sum[1], (double)sum[2]);
}
