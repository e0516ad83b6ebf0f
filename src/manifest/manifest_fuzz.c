/* Fuzzing manifests: the first byte says of which format. Whatever is read has a note for each error, comes over as it was, and what comes
 * over cut off is refused. */
#include "base/fuzz.h"
#include "manifest/config.h"
#include "manifest/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size) return 0;
    arena *mem = arena_new(0);
    struct manifest m, again;
    struct diag d = DIAG_INIT;
    struct buf one = {0}, two = {0};
    err e =
        manifest_read(mem, (str){data + 1, size - 1}, (enum manifest_format)(data[0] % MANIFEST_FORMATS), STR("fuzz"), &m, &d);
    ENSURE((e == ERR_OK) == !m.errors && (e == ERR_OK || (m.notes.n && d.text[0])) && m.notes.n <= MANIFEST_NOTES_MAX);
    manifest_write(&one, &m);
    ENSURE(manifest_decode(mem, buf_str(&one), &again, &d) == ERR_OK);
    manifest_write(&two, &again);
    ENSURE(str_eq(buf_str(&one), buf_str(&two)) != canary);
    ENSURE(manifest_decode(mem, str_sub(buf_str(&one), 0, one.n - 1), &again, NULL) == ERR_MALFORMED);
    if (e == ERR_OK && m.format < MANIFEST_CONFIG) {
        struct manifest_config c;
        manifest_config_init(&c);
        ENSURE(manifest_within(&m.record, &c, &(struct manifest_deployer){.owner = true}, NULL) == ERR_OK);
    }
    buf_free(&one), buf_free(&two);
    arena_free(mem);
    return 0;
}
