/* crypto: thin calls into OpenSSL 3's libcrypto, algorithms fetched once. */
#include "crypto/crypto.h"
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sys/random.h>

static EVP_MD *fetched;
static void fetch(void) { ENSURE((fetched = EVP_MD_fetch(NULL, "SHA256", NULL))); }

/* EVP_sha256() is looked for by name each time that it is used, under locks. */
static const EVP_MD *sha256(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    ENSURE(pthread_once(&once, fetch) == 0);
    return fetched;
}

void crypto_sha256(str s, uint8_t out[CRYPTO_SHA256_BYTES]) {
    unsigned n = 0;
    ENSURE(EVP_Digest(s.n ? s.p : (const uint8_t *)"", s.n, out, &n, sha256(), NULL) == 1);
    ENSURE(n == CRYPTO_SHA256_BYTES);
}

/* The stream is OpenSSL's context under a name of ours. */
struct crypto_sha256_stream *crypto_sha256_begin(void) {
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    ENSURE(c && EVP_DigestInit_ex(c, sha256(), NULL) == 1);
    return (struct crypto_sha256_stream *)c;
}

void crypto_sha256_add(struct crypto_sha256_stream *h, str s) { ENSURE(EVP_DigestUpdate((EVP_MD_CTX *)h, s.p, s.n) == 1); }

void crypto_sha256_end(struct crypto_sha256_stream *h, uint8_t out[CRYPTO_SHA256_BYTES]) {
    unsigned n = 0;
    ENSURE(EVP_DigestFinal_ex((EVP_MD_CTX *)h, out, &n) == 1 && n == CRYPTO_SHA256_BYTES);
    EVP_MD_CTX_free((EVP_MD_CTX *)h);
}

static EVP_PKEY *secret_key(const uint8_t seed[CRYPTO_ED25519_SECRET_BYTES]) {
    EVP_PKEY *k = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, CRYPTO_ED25519_SECRET_BYTES);
    ENSURE(k);
    return k;
}

void crypto_ed25519_of_seed(const uint8_t seed[CRYPTO_ED25519_SECRET_BYTES], struct crypto_ed25519 *out) {
    EVP_PKEY *k = secret_key(seed);
    size_t n = sizeof out->public;
    ENSURE(EVP_PKEY_get_raw_public_key(k, out->public, &n) == 1 && n == sizeof out->public);
    memcpy(out->secret, seed, sizeof out->secret);
    EVP_PKEY_free(k);
}

void crypto_ed25519_new(struct crypto_ed25519 *out) {
    uint8_t seed[CRYPTO_ED25519_SECRET_BYTES];
    crypto_random(seed, sizeof seed);
    crypto_ed25519_of_seed(seed, out);
    OPENSSL_cleanse(seed, sizeof seed);
}

void crypto_ed25519_sign(const struct crypto_ed25519 *key, str message, uint8_t out[CRYPTO_ED25519_SIGNATURE_BYTES]) {
    EVP_PKEY *k = secret_key(key->secret);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    size_t n = CRYPTO_ED25519_SIGNATURE_BYTES;
    ENSURE(c && EVP_DigestSignInit(c, NULL, NULL, NULL, k) == 1);
    ENSURE(EVP_DigestSign(c, out, &n, message.p, message.n) == 1 && n == CRYPTO_ED25519_SIGNATURE_BYTES);
    EVP_MD_CTX_free(c);
    EVP_PKEY_free(k);
}

bool crypto_ed25519_verify(const uint8_t public[CRYPTO_ED25519_PUBLIC_BYTES], str message,
                           const uint8_t signature[CRYPTO_ED25519_SIGNATURE_BYTES]) {
    EVP_PKEY *k = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public, CRYPTO_ED25519_PUBLIC_BYTES);
    if (!k) return false;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    ENSURE(c);
    bool ok = EVP_DigestVerifyInit(c, NULL, NULL, NULL, k) == 1 &&
              EVP_DigestVerify(c, signature, CRYPTO_ED25519_SIGNATURE_BYTES, message.p, message.n) == 1;
    EVP_MD_CTX_free(c);
    EVP_PKEY_free(k);
    return ok;
}

static void hash_both(str a, str b, uint8_t out[CRYPTO_SHA256_BYTES]) {
    struct crypto_sha256_stream *h = crypto_sha256_begin();
    crypto_sha256_add(h, a);
    if (b.n) crypto_sha256_add(h, b);
    crypto_sha256_end(h, out);
}

void crypto_hmac_sha256(str key, str message, uint8_t out[CRYPTO_SHA256_BYTES]) {
    enum { BLOCK = 64 }; /* RFC 2104; what HMAC() of OpenSSL 3 does is three times as much work as the hashing */
    uint8_t block[BLOCK] = {0}, inner[CRYPTO_SHA256_BYTES];
    if (key.n > BLOCK) crypto_sha256(key, block);
    else if (key.n) memcpy(block, key.p, key.n);
    for (size_t i = 0; i < BLOCK; i++) block[i] ^= 0x36;
    hash_both((str){block, BLOCK}, message, inner);
    for (size_t i = 0; i < BLOCK; i++) block[i] ^= 0x36 ^ 0x5c;
    hash_both((str){block, BLOCK}, (str){inner, sizeof inner}, out);
    OPENSSL_cleanse(block, sizeof block);
    OPENSSL_cleanse(inner, sizeof inner);
}

enum { NONCE = 12, TAG = 16 };
static_assert((int)CRYPTO_SEAL_MORE_BYTES == NONCE + TAG, "as the header says");

static EVP_CIPHER_CTX *begin_gcm(bool seals, const uint8_t *key, const uint8_t *nonce, str about) {
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int n;
    ENSURE(c && EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, key, nonce, seals) == 1);
    ENSURE(EVP_CipherUpdate(c, NULL, &n, about.n ? about.p : (const uint8_t *)"", (int)about.n) == 1);
    return c;
}

void crypto_seal(const uint8_t key[CRYPTO_SEAL_KEY_BYTES], str about, str plain, uint8_t *out) {
    int n = 0, more = 0;
    ENSURE(plain.n <= INT32_MAX);
    crypto_random(out, NONCE);
    EVP_CIPHER_CTX *c = begin_gcm(true, key, out, about);
    if (plain.n) ENSURE(EVP_CipherUpdate(c, out + NONCE, &n, plain.p, (int)plain.n) == 1);
    ENSURE(EVP_CipherFinal_ex(c, out + NONCE + n, &more) == 1 && (size_t)(n + more) == plain.n);
    ENSURE(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG, out + NONCE + plain.n) == 1);
    EVP_CIPHER_CTX_free(c);
}

bool crypto_unseal(const uint8_t key[CRYPTO_SEAL_KEY_BYTES], str about, str sealed, uint8_t *out) {
    if (sealed.n < CRYPTO_SEAL_MORE_BYTES || sealed.n > INT32_MAX) return false;
    size_t plain = sealed.n - CRYPTO_SEAL_MORE_BYTES;
    uint8_t tag[TAG], none[1];
    int n = 0, more = 0;
    EVP_CIPHER_CTX *c = begin_gcm(false, key, sealed.p, about);
    memcpy(tag, sealed.p + NONCE + plain, TAG);
    if (plain) ENSURE(EVP_CipherUpdate(c, out, &n, sealed.p + NONCE, (int)plain) == 1);
    ENSURE(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG, tag) == 1);
    bool ok = EVP_CipherFinal_ex(c, plain ? out + n : none, &more) == 1;
    EVP_CIPHER_CTX_free(c);
    if (!ok && plain) OPENSSL_cleanse(out, plain);
    return ok;
}

void crypto_random(void *out, size_t n) {
    for (uint8_t *p = out; n;) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0 && errno == EINTR) continue;
        ENSURE(got > 0);
        p += got;
        n -= (size_t)got;
    }
}

bool crypto_equal(const void *a, const void *b, size_t n) { return CRYPTO_memcmp(a, b, n) == 0; }
