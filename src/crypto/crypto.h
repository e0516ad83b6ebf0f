/* crypto: digests, signatures, sealing and random bytes; TLS is in tls.h. The one room that sees OpenSSL.
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
    CRYPTO_ES256_SECRET_BYTES = 32,
    CRYPTO_ES256_PUBLIC_BYTES = 65, /* 4, x, y */
    CRYPTO_ES256_SIGNATURE_BYTES = 64,
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

/* Signatures of tokens, by a secret half and a public one: ECDSA over P-256 with SHA-256, RSA PKCS #1 v1.5 with SHA-256 (2048 to 4096 bits), Ed25519, as JWS has them
 * (RFC 7518 §3.3, 3.4; RFC 8037). How halves and signatures are written: pair.c. */
enum crypto_pair_kind { CRYPTO_ES256, CRYPTO_RS256, CRYPTO_EDDSA, CRYPTO_PAIR_KINDS };
enum { CRYPTO_PAIR_SECRET_MAX = 2400, CRYPTO_PAIR_PUBLIC_MAX = 520, CRYPTO_PAIR_SIGNATURE_MAX = 512 };
/* A new one; of RSA that takes some tenths of a second. */
void crypto_pair_make(enum crypto_pair_kind kind, uint8_t secret[CRYPTO_PAIR_SECRET_MAX], size_t *n);
/* False: it is no secret half. */
[[nodiscard]] bool crypto_pair_public(enum crypto_pair_kind kind, str secret, uint8_t public[CRYPTO_PAIR_PUBLIC_MAX], size_t *n);
/* One that signs, or verifies: made once, as that takes as long as a signature. NULL: it is no such half. Of one thread at a time. */
struct crypto_pair;
struct crypto_pair *crypto_pair_signer(enum crypto_pair_kind kind, str secret);
struct crypto_pair *crypto_pair_verifier(enum crypto_pair_kind kind, str public);
void crypto_pair_free(struct crypto_pair *k); /* NULL is fine */
/* Bytes of out; 0: it cannot. */
[[nodiscard]] size_t crypto_pair_sign(struct crypto_pair *k, str message, uint8_t out[CRYPTO_PAIR_SIGNATURE_MAX]);
[[nodiscard]] bool crypto_pair_verify(struct crypto_pair *k, str message, str signature);

/* ES256 of a key that is used once: made, used, freed. */
[[nodiscard]] bool crypto_es256_sign(const uint8_t secret[CRYPTO_ES256_SECRET_BYTES], str message,
                                     uint8_t out[CRYPTO_ES256_SIGNATURE_BYTES]);
struct crypto_es256;
struct crypto_es256 *crypto_es256_public(const uint8_t public[CRYPTO_ES256_PUBLIC_BYTES]); /* NULL: no point of the curve */
void crypto_es256_free(struct crypto_es256 *key);                                          /* NULL is fine */
[[nodiscard]] bool crypto_es256_verify(struct crypto_es256 *key, str message,
                                       const uint8_t signature[CRYPTO_ES256_SIGNATURE_BYTES]);
/* A secret as PEM has it (PKCS #8 or SEC 1: "-----BEGIN PRIVATE KEY-----"). False: it is none, or of another curve. */
[[nodiscard]] bool crypto_es256_of_pem(str pem, uint8_t secret[CRYPTO_ES256_SECRET_BYTES]);

/* RSA of 2048 to 8192 bits, PKCS #1 v1.5, with SHA-256 (RFC 7518 §3.3); n, e: big-endian. */
struct crypto_rs256;
struct crypto_rs256 *crypto_rs256_public(str n, str e); /* NULL: no such key */
void crypto_rs256_free(struct crypto_rs256 *key);       /* NULL is fine */
[[nodiscard]] bool crypto_rs256_verify(const struct crypto_rs256 *key, str message, str signature);

/* Public keys and certificates of others, by the numbers of COSE (RFC 9053): what ES… signs is ASN.1. */
enum {
    CRYPTO_COSE_ES256 = -7,
    CRYPTO_COSE_EDDSA = -8,
    CRYPTO_COSE_ES384 = -35,
    CRYPTO_COSE_ES512 = -36,
    CRYPTO_COSE_RS256 = -257,
    CRYPTO_COSE_RS384 = -258,
    CRYPTO_COSE_RS512 = -259,
    CRYPTO_COSE_RS1 = -65535, /* SHA-1: of TPMs */
    CRYPTO_CERT_BYTES_MAX = 8 << 10
};
struct crypto_public;
struct crypto_public *crypto_public_ec(str x, str y); /* of P-256. NULL, of all three: no such key */
struct crypto_public *crypto_public_rsa(str n, str e);
struct crypto_public *crypto_public_ed25519(str key);
void crypto_public_free(struct crypto_public *key); /* NULL is fine */
bool crypto_public_equal(const struct crypto_public *a, const struct crypto_public *b);
[[nodiscard]] bool crypto_public_verify(const struct crypto_public *key, int64_t algorithm, str message, str signature);
struct crypto_cert;
struct crypto_cert *crypto_cert_read(str der); /* NULL: it is none */
void crypto_cert_free(struct crypto_cert *cert);
const struct crypto_public *crypto_cert_public(const struct crypto_cert *cert); /* borrowed */
[[nodiscard]] bool crypto_cert_signed_by(const struct crypto_cert *cert, const struct crypto_cert *issuer);
bool crypto_cert_holds_at(const struct crypto_cert *cert, int64_t now_s);
bool crypto_cert_is_leaf(const struct crypto_cert *cert); /* of version 3, and no authority's */
size_t crypto_cert_subject(const struct crypto_cert *cert, const char *field, char *to, size_t size); /* bytes; 0: it lacks it */
bool crypto_cert_has_subject(const struct crypto_cert *cert);
bool crypto_cert_extension(const struct crypto_cert *cert, const char *oid, bool *critical, str *value); /* borrowed */
bool crypto_cert_has_usage(const struct crypto_cert *cert, const char *oid);                             /* extended key usage */
bool crypto_cert_names_have(const struct crypto_cert *cert, const char *oid); /* a directory name among its other names */

/* Whose key signed it, as it says (its key identifier), and its serial number as DER has it; borrowed, the number until the next of this thread. False: it says no such thing. */
[[nodiscard]] bool crypto_cert_authority(const struct crypto_cert *cert, str *key_identifier, str *serial);

/* What a certificate for a host is asked for with, or what answers an authority's challenge (acme-tls/1) for it: DER, of a new key of P-256, which comes along as
 * PKCS #8. False: no name of a host, in small letters. */
enum { CRYPTO_REQUEST_SECRET_MAX = 256, CRYPTO_REQUEST_MAX = 1024 };
struct crypto_request {
    uint8_t secret[CRYPTO_REQUEST_SECRET_MAX], made[CRYPTO_REQUEST_MAX];
    size_t secret_n, made_n;
};
[[nodiscard]] bool crypto_request_make(str host, struct crypto_request *out);
/* Its key, as a SubjectPublicKeyInfo. False: it is no such request. */
enum { CRYPTO_REQUEST_PUBLIC_MAX = 128 };
[[nodiscard]] bool crypto_request_public(str der, uint8_t out[CRYPTO_REQUEST_PUBLIC_MAX], size_t *n);
[[nodiscard]] bool crypto_challenge_make(str host, const uint8_t digest[CRYPTO_SHA256_BYTES], struct crypto_request *out);

/* HMAC with SHA-256 (RFC 2104). */
void crypto_hmac_sha256(str key, str message, uint8_t out[CRYPTO_SHA256_BYTES]);

/* By name, without regard to case: md5 sha1 sha224 sha256 sha384 sha512. Bytes of out; 0: there is no such. For what others chose long ago: of
 * our own, SHA-256. */
enum { CRYPTO_DIGEST_BYTES_MAX = 64 };
size_t crypto_digest(str name, str s, uint8_t out[CRYPTO_DIGEST_BYTES_MAX]);
size_t crypto_hmac(str name, str key, str message, uint8_t out[CRYPTO_DIGEST_BYTES_MAX]);

/* crypt(3): setting begins with its method's mark ($2a$08$…, $1$…). It takes as long as the setting says: what others chose is bounded before. False:
 * it is none. */
enum { CRYPTO_PASSWORD_BYTES_MAX = 384 };
[[nodiscard]] bool crypto_password(const char *password, const char *setting, char out[CRYPTO_PASSWORD_BYTES_MAX]);

/* argon2id (RFC 9106, one lane), as text with its cost and a random salt: "$argon2id$v=19$m=19456,t=2,p=1$…". It takes as long as passes and memory say. */
enum { CRYPTO_ARGON2_TEXT_MAX = 128 };
void crypto_argon2_make(str password, uint32_t passes, uint32_t memory_kib, char out[CRYPTO_ARGON2_TEXT_MAX]);
/* What others made: argon2id, argon2i, bcrypt, scrypt (Firebase's too), PBKDF2 (imported.c has their notations), within bounds of what it costs. *old: of
 * another kind than argon2id, or cheaper than that. */
[[nodiscard]] bool crypto_password_is(str password, const char *hash, uint32_t passes, uint32_t memory_kib, bool *old);
enum { CRYPTO_HASH_TEXT_MAX = 512 };
enum crypto_hash { CRYPTO_HASH_OK, CRYPTO_HASH_DEAR /* beyond what it may cost: never right */, CRYPTO_HASH_UNKNOWN };
enum crypto_hash crypto_hash_known(str text);

/* AES-256-GCM (NIST SP 800-38D) with a random nonce: nonce (12 bytes), what was sealed, tag (16). Whoever unseals it has to say what it is
 * about, too: so it is of no use in another's place. */
enum { CRYPTO_SEAL_KEY_BYTES = 32, CRYPTO_SEAL_MORE_BYTES = 12 + 16 };
void crypto_seal(const uint8_t key[CRYPTO_SEAL_KEY_BYTES], str about, str plain, uint8_t *out); /* plain.n + MORE bytes */
/* False: it is not of this key, about something else, or was changed; out has nothing of it then. out: sealed.n - MORE bytes. */
[[nodiscard]] bool crypto_unseal(const uint8_t key[CRYPTO_SEAL_KEY_BYTES], str about, str sealed, uint8_t *out);

/* Cryptographically secure, from the kernel (getrandom). */
void crypto_random(void *out, size_t n);
/* Equal, in time that depends on n alone. */
bool crypto_equal(const void *a, const void *b, size_t n);

#endif
