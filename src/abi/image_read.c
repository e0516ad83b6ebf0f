/* image_read: maps an image whose signature holds.
 *
 * 1. Nothing in the file is used before the signature has been checked over all of it.
 * 2. No page is writable and executable at any time: text is never written, records are never executable.
 */
#include "abi/image_int.h"
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool signature_holds(const uint8_t *p, size_t n, const struct abi_key_public *key) {
    struct abi_image_signed m = {.purpose = ABI_IMAGE_PURPOSE};
    crypto_sha256((str){p, n - ABI_IMAGE_SIGNATURE}, m.digest);
    return crypto_ed25519_verify(key->bytes, (str){(const uint8_t *)&m, sizeof m}, p + n - ABI_IMAGE_SIGNATURE);
}

static bool span_fits(const struct abi_image *im, struct abi_span s, size_t element) {
    return !s.count || (s.offset <= im->size && s.count <= (im->size - s.offset) / element);
}

bool abi_image_is(str begin) {
    size_t magic = ABI_IMAGE_HEAD + offsetof(struct abi_image_head, magic);
    return str_starts(begin, STR(ELFMAG)) && str_starts(str_sub(begin, magic, begin.n), STR(ABI_IMAGE_MAGIC));
}

/* The tables that the head names are in the file. What they hold is the signer's word. */
static bool spans_fit(const struct abi_image *im) {
    const struct abi_image_head *h = im->head;
    bool aligned = !(h->text.offset % ABI_PAGE) && !(h->funcs.offset % ABI_PAGE);
    return aligned && span_fits(im, h->text, 1) && span_fits(im, h->funcs, sizeof(struct abi_func)) &&
           span_fits(im, h->sites, 1) && span_fits(im, h->groups, sizeof(struct abi_image_group)) &&
           span_fits(im, h->instances, sizeof(struct abi_image_instance)) &&
           span_fits(im, h->codes, sizeof(struct abi_image_code)) && span_fits(im, h->hosts, sizeof(struct abi_image_host)) &&
           span_fits(im, h->exports, sizeof(struct abi_image_export)) && span_fits(im, h->types, sizeof(uint32_t)) &&
           span_fits(im, h->tags, sizeof(struct abi_image_tag)) && span_fits(im, h->unwind, 1) && span_fits(im, h->plan, 1) &&
           span_fits(im, h->start_steps, sizeof(uint32_t));
}

static err check_head(const struct abi_image *im, struct diag *d) {
    const struct abi_image_head *h = im->head;
    if (memcmp(h->magic, ABI_IMAGE_MAGIC, sizeof h->magic) != 0 || h->file_bytes != im->size)
        return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "not an Orlo image, or a part of one");
    if (h->version != ABI_IMAGE_VERSION)
        return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE,
                        "the image has format version %u, this program reads %u: compile it again", h->version,
                        ABI_IMAGE_VERSION);
    if (h->machine != ABI_MACHINE)
        return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "the image is for %s, this machine is %s: compile it here",
                        abi_machine_name(h->machine), abi_machine_name(ABI_MACHINE));
    if (!spans_fit(im)) return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "the image's tables lie outside of it");
    uint64_t missing = h->cpu_features & ~abi_cpu_features();
    if (missing)
        return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE,
                        "the image needs CPU features that this machine lacks (0x%llx): compile it here",
                        (unsigned long long)missing);
    return ERR_OK;
}

/* Text becomes executable; records get their addresses and become read-only. */
static err relocate(struct abi_image *im, struct diag *d) {
    const struct abi_image_head *h = im->head;
    uint8_t *base = (uint8_t *)(uintptr_t)im->base;
    if (h->text.count && mprotect(base + h->text.offset, h->text.count, PROT_READ | PROT_EXEC) < 0)
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "cannot make the image executable: %s", strerror(errno));
#if defined(__aarch64__) /* the file's pages may have been written by another core, whose instruction caches are not kept alike */
    if (h->text.count) __builtin___clear_cache((char *)base + h->text.offset, (char *)base + h->text.offset + h->text.count);
#endif
    size_t bytes = h->funcs.count * sizeof(struct abi_func);
    if (!bytes) return ERR_OK;
    im->funcs = (struct abi_func *)(void *)(base + h->funcs.offset);
    if (mprotect(im->funcs, bytes, PROT_READ | PROT_WRITE) < 0)
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "cannot relocate the image: %s", strerror(errno));
    for (uint64_t i = 0; i < h->funcs.count; i++) {
        struct abi_func *f = &im->funcs[i];
        f->code = base + (uintptr_t)f->code;
        if (f->entry) f->entry = base + (uintptr_t)f->entry;
    }
    if (mprotect(im->funcs, bytes, PROT_READ) < 0)
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "cannot relocate the image: %s", strerror(errno));
    return ERR_OK;
}

static err check_and_relocate(struct abi_image *im, const struct abi_key_public *key, struct diag *d) {
    if (key && !signature_holds(im->base, im->size, key))
        return diag_set(d, ERR_SIGNATURE, DIAG_NOWHERE,
                        "the image's signature does not hold: it was changed, cut short, or made with the key of another node; "
                        "compile the .wasm here");
    im->head = (const struct abi_image_head *)(const void *)(im->base + ABI_IMAGE_HEAD);
    TRY(check_head(im, d));
    return relocate(im, d);
}

err abi_image_open(int fd, const struct abi_key_public *key, struct abi_image *out, struct diag *d) {
    *out = (struct abi_image){.fd = fd};
    struct stat st;
    err e = ERR_OK;
    if (fstat(fd, &st) < 0) e = diag_set(d, ERR_IO, DIAG_NOWHERE, "cannot read the image: %s", strerror(errno));
    else if (st.st_size < (off_t)(ABI_IMAGE_HEAD + sizeof(struct abi_image_head) + ABI_IMAGE_SIGNATURE))
        e = diag_set(d, ERR_SIGNATURE, DIAG_NOWHERE, "the image is too short to be one");
    if (e == ERR_OK) {
        out->size = (size_t)st.st_size;
        /* All of it is read for the signature; else what is used comes in by faults. */
        void *p = mmap(NULL, out->size, PROT_READ, MAP_PRIVATE | (key ? MAP_POPULATE : 0), fd, 0);
        if (p == MAP_FAILED) e = diag_set(d, ERR_IO, DIAG_NOWHERE, "cannot map the image: %s", strerror(errno));
        else out->base = p;
    }
    if (e == ERR_OK) e = check_and_relocate(out, key, d);
    if (e != ERR_OK) abi_image_close(out);
    return e;
}

void abi_image_close(struct abi_image *im) {
    if (im->base) munmap((void *)(uintptr_t)im->base, im->size);
    if (im->fd >= 0) close(im->fd);
    *im = (struct abi_image){.fd = -1};
}

struct abi_func *abi_image_func(const struct abi_image *im, uint32_t instance, uint32_t func_index) {
    uint64_t lo = 0, hi = im->head->funcs.count;
    while (lo < hi) {
        uint64_t mid = lo + (hi - lo) / 2;
        struct abi_func *f = &im->funcs[mid];
        if (f->instance == instance && f->func_index == func_index) return f;
        if (f->instance < instance || (f->instance == instance && f->func_index < func_index)) lo = mid + 1;
        else hi = mid;
    }
    return NULL;
}

const struct abi_image_code *abi_image_find(const struct abi_image *im, const void *pc) {
    const struct abi_image_head *h = im->head;
    uintptr_t at = (uintptr_t)pc - (uintptr_t)im->base - h->text.offset;
    if (at >= h->text.count) return NULL;
    const struct abi_image_code *codes = abi_image_at(im, h->codes, struct abi_image_code);
    uint64_t lo = 0, hi = h->codes.count;
    while (lo < hi) {
        uint64_t mid = lo + (hi - lo) / 2;
        if (codes[mid].start <= at) lo = mid + 1;
        else hi = mid;
    }
    if (!lo || at - codes[lo - 1].start >= codes[lo - 1].size) return NULL;
    return &codes[lo - 1];
}
