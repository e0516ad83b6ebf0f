/* cpu: what the machine has. */
#include "baseline/baseline.h"

#if defined(__x86_64__)
#include <cpuid.h>

bool baseline_cpu_features(uint64_t *out) {
    unsigned a, b, c, d, max = __get_cpuid_max(0, NULL);
    *out = 0;
    if (max < 1 || !__get_cpuid(1, &a, &b, &c, &d)) return false;
    if (!(c & bit_SSE4_2) || !(c & bit_POPCNT)) return false;
    bool avx = c & bit_AVX && c & bit_OSXSAVE, fma = c & bit_FMA;
    if (avx) {
        unsigned low, high;
        __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        avx = (low & 6) == 6; /* the system saves the registers */
    }
    if (avx) *out |= BASELINE_CPU_AVX | (fma ? BASELINE_CPU_FMA : 0);
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return true;
    bool bmi = b & bit_BMI && b & bit_BMI2;
    if (avx && b & bit_AVX2) *out |= BASELINE_CPU_AVX2;
    if (__get_cpuid(0x80000001, &a, &b, &c, &d) && bmi && avx && c & bit_LZCNT) *out |= BASELINE_CPU_BMI;
    return true;
}
#else
/* aarch64: the instructions of ARMv8.0 with floating point and NEON, which every such machine that runs Linux has. */
bool baseline_cpu_features(uint64_t *out) {
    *out = 0;
    return true;
}
#endif
