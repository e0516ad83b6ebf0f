/* cpu: what the machine offers. */
#include "abi/image.h"

uint64_t abi_cpu_features(void) {
    uint64_t f = 0;
#if defined(__x86_64__)
#define HAS(bit, name) (__builtin_cpu_supports(name) ? (uint64_t)(bit) : 0)
    f |= HAS(ABI_CPU_SSE41, "sse4.1") | HAS(ABI_CPU_SSE42, "sse4.2") | HAS(ABI_CPU_POPCNT, "popcnt");
    f |= HAS(ABI_CPU_LZCNT, "lzcnt") | HAS(ABI_CPU_BMI1, "bmi") | HAS(ABI_CPU_BMI2, "bmi2");
    f |= HAS(ABI_CPU_AVX, "avx") | HAS(ABI_CPU_AVX2, "avx2") | HAS(ABI_CPU_FMA, "fma");
#undef HAS
#endif
    return f;
}
