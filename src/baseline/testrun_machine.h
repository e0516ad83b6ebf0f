/* testrun_machine: the stubs of testrun, which save what compiled code expects to find again, and what it knows of signals. */
#ifndef ORLO_BASELINE_TESTRUN_MACHINE_H
#define ORLO_BASELINE_TESTRUN_MACHINE_H

#include <signal.h>
#include <stdint.h>
#include <ucontext.h>

void stub_rt(void), stub_host(void), stub_trap(void);

#if defined(__x86_64__)
#include <asm/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SAVE_AND_CALL(name, fn)                                                                                                  \
    __asm__(".text\n.globl " name "\n" name ":\n push %rbp\n mov %rsp,%rbp\n push %rbx\n push %rsi\n push %rdi\n push %r8\n"     \
            " push %r9\n push %r10\n push %r11\n sub $216,%rsp\n and $-16,%rsp\n"                                                \
            " movups %xmm3,(%rsp)\n movups %xmm4,16(%rsp)\n movups %xmm5,32(%rsp)\n movups %xmm6,48(%rsp)\n"                     \
            " movups %xmm7,64(%rsp)\n movups %xmm8,80(%rsp)\n movups %xmm9,96(%rsp)\n movups %xmm10,112(%rsp)\n"                 \
            " movups %xmm11,128(%rsp)\n movups %xmm12,144(%rsp)\n movups %xmm13,160(%rsp)\n movups %xmm14,176(%rsp)\n"           \
            " mov %rcx,%rdi\n mov %eax,%esi\n call " fn "\n"                                                                     \
            " movups (%rsp),%xmm3\n movups 16(%rsp),%xmm4\n movups 32(%rsp),%xmm5\n movups 48(%rsp),%xmm6\n"                     \
            " movups 64(%rsp),%xmm7\n movups 80(%rsp),%xmm8\n movups 96(%rsp),%xmm9\n movups 112(%rsp),%xmm10\n"                 \
            " movups 128(%rsp),%xmm11\n movups 144(%rsp),%xmm12\n movups 160(%rsp),%xmm13\n movups 176(%rsp),%xmm14\n"           \
            " lea -56(%rbp),%rsp\n pop %r11\n pop %r10\n pop %r9\n pop %r8\n pop %rdi\n pop %rsi\n pop %rbx\n pop %rbp\n"        \
            " mov $0x5555555555555555,%rcx\n mov %rcx,%rdx\n ret\n")
SAVE_AND_CALL("stub_rt", "testrun_rt_synced");
SAVE_AND_CALL("stub_host", "testrun_host");
__asm__(".globl stub_trap\nstub_trap:\n mov %eax,%edi\n and $-16,%rsp\n call testrun_trap\n");

static inline uint64_t context_pc(const ucontext_t *u) { return (uint64_t)u->uc_mcontext.gregs[REG_RIP]; }
static inline uint64_t context_sp(const ucontext_t *u) { return (uint64_t)u->uc_mcontext.gregs[REG_RSP]; }
static inline void enter(void *entry, const void *f, uint64_t *args, void *frame, uint8_t *base) {
    syscall(SYS_arch_prctl, ARCH_SET_GS, base);
    ((void (*)(const void *, uint64_t *, void *))entry)(f, args, frame);
}

#elif defined(__aarch64__)

/* x1-x3 and the scratch registers come back changed. */
#define SAVE_AND_CALL(name, fn)                                                                                                  \
    __asm__(".text\n.globl " name "\n" name ":\n stp x29, x30, [sp, #-16]!\n stp x4, x5, [sp, #-96]!\n"                          \
            " stp x6, x7, [sp, #16]\n stp x8, x9, [sp, #32]\n stp x10, x11, [sp, #48]\n stp x12, x13, [sp, #64]\n"               \
            " str x14, [sp, #80]\n stp q4, q5, [sp, #-176]!\n stp q6, q7, [sp, #32]\n stp q8, q9, [sp, #64]\n"                   \
            " stp q10, q11, [sp, #96]\n stp q12, q13, [sp, #128]\n str q14, [sp, #160]\n"                                        \
            " mov w2, w0\n mov x0, x1\n mov w1, w2\n bl " fn "\n"                                                                \
            " ldp q6, q7, [sp, #32]\n ldp q8, q9, [sp, #64]\n ldp q10, q11, [sp, #96]\n ldp q12, q13, [sp, #128]\n"              \
            " ldr q14, [sp, #160]\n ldp q4, q5, [sp], #176\n ldp x6, x7, [sp, #16]\n ldp x8, x9, [sp, #32]\n"                    \
            " ldp x10, x11, [sp, #48]\n ldp x12, x13, [sp, #64]\n ldr x14, [sp, #80]\n ldp x4, x5, [sp], #96\n"                  \
            " ldp x29, x30, [sp], #16\n mov x1, #0x5555\n mov x2, x1\n mov x3, x1\n mov x15, x1\n mov x16, x1\n"                 \
            " mov x17, x1\n ret\n")
SAVE_AND_CALL("stub_rt", "testrun_rt_synced");
SAVE_AND_CALL("stub_host", "testrun_host");
__asm__(".globl stub_trap\nstub_trap:\n bl testrun_trap\n");
void testrun_enter(void *entry, const void *f, uint64_t *args, void *frame, uint8_t *base);
__asm__(".globl testrun_enter\ntestrun_enter:\n stp x29, x30, [sp, #-160]!\n stp x19, x20, [sp, #16]\n"
        " stp x21, x22, [sp, #32]\n stp x23, x24, [sp, #48]\n stp x25, x26, [sp, #64]\n stp x27, x28, [sp, #80]\n"
        " stp d8, d9, [sp, #96]\n stp d10, d11, [sp, #112]\n stp d12, d13, [sp, #128]\n stp d14, d15, [sp, #144]\n"
        " mov x16, x0\n mov x0, x1\n mov x1, x2\n mov x2, x3\n mov x28, x4\n blr x16\n"
        " ldp d14, d15, [sp, #144]\n ldp d12, d13, [sp, #128]\n ldp d10, d11, [sp, #112]\n ldp d8, d9, [sp, #96]\n"
        " ldp x27, x28, [sp, #80]\n ldp x25, x26, [sp, #64]\n ldp x23, x24, [sp, #48]\n ldp x21, x22, [sp, #32]\n"
        " ldp x19, x20, [sp, #16]\n ldp x29, x30, [sp], #160\n ret\n");

static inline uint64_t context_pc(const ucontext_t *u) { return u->uc_mcontext.pc; }
static inline uint64_t context_sp(const ucontext_t *u) { return u->uc_mcontext.sp; }
static inline void enter(void *entry, const void *f, uint64_t *args, void *frame, uint8_t *base) {
    testrun_enter(entry, f, args, frame, base);
}
#endif

#endif
