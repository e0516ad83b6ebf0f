/* image_sign: what of an image is signed, and where the signature goes. Who holds the key need not see the image: it may be made of a
 * stranger's bytes. */
#include "abi/image_int.h"
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

err abi_image_to_sign(int fd, struct abi_image_signed *out, struct diag *d) {
    struct stat st;
    *out = (struct abi_image_signed){.purpose = ABI_IMAGE_PURPOSE};
    if (fstat(fd, &st) || st.st_size < (off_t)(ABI_IMAGE_HEAD + sizeof(struct abi_image_head) + ABI_IMAGE_SIGNATURE))
        return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "not an image: it cannot be signed");
    size_t n = (size_t)st.st_size;
    void *p = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) return diag_set(d, ERR_IO, DIAG_NOWHERE, "cannot read the image: %s", strerror(errno));
    const struct abi_image_head *h = (const struct abi_image_head *)(const void *)((const uint8_t *)p + ABI_IMAGE_HEAD);
    bool is_image = memcmp(h->magic, ABI_IMAGE_MAGIC, sizeof h->magic) == 0 && h->file_bytes == n;
    if (is_image) crypto_sha256((str){p, n - ABI_IMAGE_SIGNATURE}, out->digest);
    munmap(p, n);
    return is_image ? ERR_OK : diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "not an image: it cannot be signed");
}

err abi_image_put_signature(int fd, const uint8_t signature[ABI_IMAGE_SIGNATURE], struct diag *d) {
    struct stat st;
    if (fstat(fd, &st) == 0 && st.st_size > ABI_IMAGE_SIGNATURE &&
        pwrite(fd, signature, ABI_IMAGE_SIGNATURE, st.st_size - ABI_IMAGE_SIGNATURE) == ABI_IMAGE_SIGNATURE)
        return ERR_OK;
    return diag_set(d, ERR_IO, DIAG_NOWHERE, "cannot write the image: %s", strerror(errno));
}
