/* argon2: passwords as argon2id has them (RFC 9106), by libsodium; and bcrypt's, which others made. */
#include "crypto/crypto.h"
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/* What is allowed to cost anything: others made it, and say how much. */
enum { MEMORY_KIB_MAX = 256 << 10, PASSES_MAX = 16, BCRYPT_MAX = 14 };

void crypto_argon2_make(str password, uint32_t passes, uint32_t memory_kib, char out[CRYPTO_ARGON2_TEXT_MAX]) {
    static_assert((int)CRYPTO_ARGON2_TEXT_MAX >= (int)crypto_pwhash_STRBYTES, "room for it");
    memset(out, 0, CRYPTO_ARGON2_TEXT_MAX);
    ENSURE(sodium_init() >= 0);
    if (crypto_pwhash_argon2id_str(out, (const char *)(password.n ? password.p : (const uint8_t *)""), password.n, passes,
                                   (size_t)memory_kib * 1024) != 0)
        base_no_memory((size_t)memory_kib * 1024);
}

/* "$argon2id$v=19$m=19456,t=2,p=1$…" */
static bool costs(const char *hash, unsigned *memory_kib, unsigned *passes) {
    unsigned v, p;
    const char *of = !strncmp(hash, "$argon2id$", 10) ? hash + 10 : !strncmp(hash, "$argon2i$", 9) ? hash + 9 : NULL;
    return of && sscanf(of, "v=%3u$m=%9u,t=%5u,p=%3u$", &v, memory_kib, passes, &p) == 4;
}

static bool by_bcrypt(str password, const char *hash) {
    char made[CRYPTO_PASSWORD_BYTES_MAX], plain[512];
    unsigned rounds = 0;
    bool ok = sscanf(hash + 3, "$%2u$", &rounds) == 1 && rounds <= BCRYPT_MAX && password.n < sizeof plain &&
              !memchr(password.p ? password.p : (const uint8_t *)"", 0, password.n);
    if (!ok) return false;
    if (password.n) memcpy(plain, password.p, password.n);
    plain[password.n] = 0;
    ok = crypto_password(plain, hash, made) && strlen(made) == strlen(hash) && crypto_equal(made, hash, strlen(hash));
    explicit_bzero(plain, sizeof plain);
    return ok;
}

bool crypto_password_is(str password, const char *hash, uint32_t passes, uint32_t memory_kib, bool *old) {
    unsigned m, t;
    const char *p = (const char *)(password.n ? password.p : (const uint8_t *)"");
    *old = true;
    ENSURE(sodium_init() >= 0);
    if (!strncmp(hash, "$2a$", 4) || !strncmp(hash, "$2b$", 4) || !strncmp(hash, "$2y$", 4)) return by_bcrypt(password, hash);
    if (!costs(hash, &m, &t) || m > MEMORY_KIB_MAX || t > PASSES_MAX) return false;
    *old = strncmp(hash, "$argon2id$", 10) || m < memory_kib || t < passes;
    return (hash[7] == 'i' && hash[8] == 'd' ? crypto_pwhash_argon2id_str_verify
                                             : crypto_pwhash_argon2i_str_verify)(hash, p, password.n) == 0;
}
