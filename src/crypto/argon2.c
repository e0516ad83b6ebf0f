/* argon2: passwords as argon2id has them (RFC 9106), by libsodium. */
#include "crypto/crypto_int.h"
#include <sodium.h>

void crypto_argon2_make(str password, uint32_t passes, uint32_t memory_kib, char out[CRYPTO_ARGON2_TEXT_MAX]) {
    static_assert((int)CRYPTO_ARGON2_TEXT_MAX >= (int)crypto_pwhash_STRBYTES, "room for it");
    memset(out, 0, CRYPTO_ARGON2_TEXT_MAX);
    ENSURE(sodium_init() >= 0);
    if (crypto_pwhash_argon2id_str(out, (const char *)(password.n ? password.p : (const uint8_t *)""), password.n, passes,
                                   (size_t)memory_kib * 1024) != 0)
        base_no_memory((size_t)memory_kib * 1024);
}

bool crypto_argon2_is(str password, const char *hash) {
    const char *p = (const char *)(password.n ? password.p : (const uint8_t *)"");
    ENSURE(sodium_init() >= 0);
    return (strncmp(hash, "$argon2id$", 10) ? crypto_pwhash_argon2i_str_verify
                                            : crypto_pwhash_argon2id_str_verify)(hash, p, password.n) == 0;
}
