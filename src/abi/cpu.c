/* cpu: what the machine offers. */
#include "abi/cpu.h"
#include "base/base.h"
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#if defined(__x86_64__)
/* Not every compiler's __builtin_cpu_supports knows it: CPUID 8000'0001h, ecx bit 5. */
static bool has_lzcnt(void) {
    unsigned a, b, c, d;
    return __get_cpuid(0x80000001, &a, &b, &c, &d) && (c & 1u << 5);
}
#endif

uint64_t abi_cpu_features(void) {
    uint64_t f = 0;
#if defined(__x86_64__)
#define HAS(bit, name) (__builtin_cpu_supports(name) ? (uint64_t)(bit) : 0)
    f |= HAS(ABI_CPU_SSE41, "sse4.1") | HAS(ABI_CPU_SSE42, "sse4.2") | HAS(ABI_CPU_POPCNT, "popcnt");
    f |= HAS(ABI_CPU_BMI1, "bmi") | HAS(ABI_CPU_BMI2, "bmi2") | (has_lzcnt() ? (uint64_t)ABI_CPU_LZCNT : 0);
    f |= HAS(ABI_CPU_AVX, "avx") | HAS(ABI_CPU_AVX2, "avx2") | HAS(ABI_CPU_FMA, "fma");
#undef HAS
    if (!(f & ABI_CPU_AVX)) f &= ~(uint64_t)ABI_CPU_VEX; /* or the system does not save the registers */
    if ((f & ABI_CPU_BMI) != ABI_CPU_BMI) f &= ~(uint64_t)ABI_CPU_BMI;
#endif
    return f;
}

uint32_t abi_machine_named(const char *name) {
    if (!strcmp(name, "x86-64")) return ABI_MACHINE_X86_64;
    return !strcmp(name, "aarch64") ? ABI_MACHINE_AARCH64 : 0;
}

const char *abi_machine_name(uint32_t machine) {
    return machine == ABI_MACHINE_X86_64 ? "x86-64" : machine == ABI_MACHINE_AARCH64 ? "aarch64" : "another machine";
}
