/* cpu: which machine code is for, and what of it the code may use. The one list: compilers, images and the engine go by it. */
#ifndef ORLO_ABI_CPU_H
#define ORLO_ABI_CPU_H

#include <stdint.h>

/* abi_image_head.machine, as ELF numbers them; ABI_MACHINE: of this program. */
enum {
    ABI_MACHINE_X86_64 = 62,
    ABI_MACHINE_AARCH64 = 183,
#if defined(__aarch64__)
    ABI_MACHINE = ABI_MACHINE_AARCH64
#else
    ABI_MACHINE = ABI_MACHINE_X86_64
#endif
};
const char *abi_machine_name(uint32_t machine); /* "x86-64", "aarch64" */
uint32_t abi_machine_named(const char *name);   /* 0: no such */

/* What this machine's CPU offers of what compilers may use, beyond what every aarch64 has. */
enum abi_cpu {
#define X(name, bit, text) ABI_CPU_##name = 1 << bit,
#include "abi/cpu.def"
#undef X
    /* On x86-64 code may take these for granted, */
    ABI_CPU_MINIMUM_X86_64 = ABI_CPU_SSE41 | ABI_CPU_SSE42 | ABI_CPU_POPCNT,
    ABI_CPU_MINIMUM = ABI_MACHINE == ABI_MACHINE_X86_64 ? ABI_CPU_MINIMUM_X86_64 : 0,
    ABI_CPU_BMI = ABI_CPU_BMI1 | ABI_CPU_BMI2 | ABI_CPU_LZCNT,                            /* and use these only together, */
    ABI_CPU_VEX = ABI_CPU_AVX | ABI_CPU_AVX2 | ABI_CPU_FMA | ABI_CPU_BMI1 | ABI_CPU_BMI2, /* or not without AVX. */
};
static inline uint64_t abi_cpu_minimum(uint32_t machine) { return machine == ABI_MACHINE_X86_64 ? ABI_CPU_MINIMUM_X86_64 : 0; }
/* Bits of enum abi_cpu; none that the rules above make useless. */
uint64_t abi_cpu_features(void);

#endif
