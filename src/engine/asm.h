/* Offsets that assembler code of every machine uses; held against the C structs in call.c. */
#ifndef ORLO_ENGINE_ASM_H
#define ORLO_ENGINE_ASM_H

/* struct abi_ctx, from its end */
#define ASM_CTX_BYTES 112
#define ASM_CTX_GROUPS (-72)
#define ASM_CTX_INSTANCE (-64)
#define ASM_CTX_NATIVE_LIMIT (-24)
/* struct abi_run */
#define ASM_RUN_NEXT 0
#define ASM_RUN_END 8
#define ASM_RUN_CELL_BYTES 16
/* struct abi_func */
#define ASM_FUNC_CODE 0
#define ASM_FUNC_ENTRY 8
#define ASM_FUNC_GROUP 20
/* struct engine_instance */
#define ASM_INSTANCE_TRAP_STACK 0
/* struct engine_frame */
#define ASM_FRAME_SP 0
/* struct engine_throw */
#define ASM_THROW_FRAME 256
#define ASM_THROW_BASE 264
#define ASM_THROW_SP 272
#define ASM_THROW_PC 280
#define ASM_THROW_BYTES 288
/* gc.h */
#define ASM_OBJECT_TYPE_SHIFT 6
/* enum abi_rtcall */
#define ASM_RT_STRUCT_NEW 0
/* enum abi_trap */
#define ASM_TRAP_STACK_OVERFLOW 10

#endif
