/* Offsets that x64.S uses; held against the C structs in call.c. */
#ifndef ORLO_ENGINE_X64_H
#define ORLO_ENGINE_X64_H

/* struct abi_ctx, from GS */
#define X64_CTX_GROUPS (-72)
#define X64_CTX_INSTANCE (-64)
#define X64_CTX_NATIVE_LIMIT (-24)
/* struct abi_func */
#define X64_FUNC_CODE 0
#define X64_FUNC_ENTRY 8
#define X64_FUNC_GROUP 20
/* struct engine_instance */
#define X64_INSTANCE_TRAP_STACK 0
/* struct engine_frame */
#define X64_FRAME_SP 0
/* struct engine_saved: as the kernel's gregs, then ours */
#define X64_SAVED_R8 0
#define X64_SAVED_R9 8
#define X64_SAVED_R10 16
#define X64_SAVED_R11 24
#define X64_SAVED_R12 32
#define X64_SAVED_R13 40
#define X64_SAVED_R14 48
#define X64_SAVED_R15 56
#define X64_SAVED_RDI 64
#define X64_SAVED_RSI 72
#define X64_SAVED_RBP 80
#define X64_SAVED_RBX 88
#define X64_SAVED_RDX 96
#define X64_SAVED_RAX 104
#define X64_SAVED_RCX 112
#define X64_SAVED_RSP 120
#define X64_SAVED_RIP 128
#define X64_SAVED_FLAGS 136
#define X64_SAVED_GS 144
#define X64_SAVED_XSAVE 152
/* enum abi_trap */
#define X64_TRAP_STACK_OVERFLOW 10

#endif
