/* What image_write.c and image_read.c agree on.
 *
 *   0            ELF header
 *   64           program headers: R the head, RX .text, RW .data.rel.ro, R the rest, NOTE
 *   HEAD_OFFSET  note: name "orlo", description struct abi_image_head
 *   4096         .text, .data.rel.ro, .rodata, …, each section page-aligned
 *   size - 64    signature
 */
#ifndef ORLO_ABI_IMAGE_INT_H
#define ORLO_ABI_IMAGE_INT_H

#include "abi/image.h"
#include <elf.h>

enum {
    ABI_IMAGE_VERSION = 3,
    ABI_IMAGE_PHDRS = 5,
    ABI_IMAGE_NOTE = sizeof(Elf64_Ehdr) + ABI_IMAGE_PHDRS * sizeof(Elf64_Phdr) + 4, /* puts the head at a multiple of 8 */
    ABI_IMAGE_HEAD = ABI_IMAGE_NOTE + sizeof(Elf64_Nhdr) + 8 /* "orlo\0", padded */,
};
static_assert(ABI_IMAGE_HEAD % 8 == 0);

#define ABI_IMAGE_MAGIC "orlo\0img"

#define ABI_IMAGE_PURPOSE "orlo image 1\0\0\0"

#endif
