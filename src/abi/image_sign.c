/* image_sign: puts a signature on an image that a process without a key has made. */
#include "abi/image_int.h"
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

err abi_image_sign(int fd, const struct crypto_ed25519 *key, struct diag *d) {
    struct stat st;
    if (fstat(fd, &st) ||
        st.st_size < (off_t)(ABI_IMAGE_HEAD + sizeof(struct abi_image_head) + ABI_IMAGE_SIGNATURE))
        return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "not an image: it cannot be signed");
    size_t n = (size_t)st.st_size;
    void *p = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "cannot read the image: %s", strerror(errno));
    struct abi_image_signed m = {.purpose = ABI_IMAGE_PURPOSE};
    const struct abi_image_head *h =
        (const struct abi_image_head *)(const void *)((const uint8_t *)p + ABI_IMAGE_HEAD);
    bool is_image = memcmp(h->magic, ABI_IMAGE_MAGIC, sizeof h->magic) == 0 && h->file_bytes == n;
    if (is_image) crypto_sha256((str){p, n - ABI_IMAGE_SIGNATURE}, m.digest);
    munmap(p, n);
    if (!is_image) return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "not an image: it cannot be signed");
    uint8_t signature[ABI_IMAGE_SIGNATURE];
    crypto_ed25519_sign(key, (str){(const uint8_t *)&m, sizeof m}, signature);
    if (pwrite(fd, signature, sizeof signature, (off_t)(n - sizeof signature)) != (ssize_t)sizeof signature)
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "cannot write the image: %s", strerror(errno));
    return ERR_OK;
}
