/* crypto: digests, signatures and random bytes; TLS is in tls.h. The one room that sees OpenSSL.
 *
 * Nothing here fails but for a reason that makes going on unsafe (no entropy, libcrypto broken): those abort.
 */
#ifndef ORLO_CRYPTO_H
#define ORLO_CRYPTO_H

#include "base/base.h"

enum {
    CRYPTO_SHA256_BYTES = 32,
    CRYPTO_ED25519_PUBLIC_BYTES = 32,
    CRYPTO_ED25519_SECRET_BYTES = 32,
    CRYPTO_ED25519_SIGNATURE_BYTES = 64,
};

/* SHA-256 (FIPS 180-4) of all of s. */
void crypto_sha256(str s, uint8_t out[CRYPTO_SHA256_BYTES]);
/* The same in pieces. */
struct crypto_sha256_stream *crypto_sha256_begin(void);
void crypto_sha256_add(struct crypto_sha256_stream *h, str s);
void crypto_sha256_end(struct crypto_sha256_stream *h, uint8_t out[CRYPTO_SHA256_BYTES]); /* frees h */

/* Ed25519 (RFC 8032, pure). The secret is the 32-byte seed. */
struct crypto_ed25519 {
    uint8_t public[CRYPTO_ED25519_PUBLIC_BYTES];
    uint8_t secret[CRYPTO_ED25519_SECRET_BYTES];
};
void crypto_ed25519_new(struct crypto_ed25519 *out); /* a random key */
void crypto_ed25519_of_seed(const uint8_t seed[CRYPTO_ED25519_SECRET_BYTES], struct crypto_ed25519 *out);
void crypto_ed25519_sign(const struct crypto_ed25519 *key, str message, uint8_t out[CRYPTO_ED25519_SIGNATURE_BYTES]);
[[nodiscard]] bool crypto_ed25519_verify(const uint8_t public[CRYPTO_ED25519_PUBLIC_BYTES], str message,
                                         const uint8_t signature[CRYPTO_ED25519_SIGNATURE_BYTES]);

/* Cryptographically secure, from the kernel (getrandom). */
void crypto_random(void *out, size_t n);
/* Equal, in time that depends on n alone. */
bool crypto_equal(const void *a, const void *b, size_t n);

#endif
