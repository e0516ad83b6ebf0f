/* password: digests by name, and crypt(3)'s methods, for the functions of databases that offer them. */
#include "crypto/crypto.h"
#include <crypt.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

static const EVP_MD *method(str name) {
    static const struct {
        const char *name;
        const EVP_MD *(*of)(void);
    } rows[] = {{"md5", EVP_md5},       {"sha1", EVP_sha1},     {"sha224", EVP_sha224},
                {"sha256", EVP_sha256}, {"sha384", EVP_sha384}, {"sha512", EVP_sha512}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (str_eq_nocase(name, str_c(rows[i].name))) return rows[i].of();
    return NULL;
}

size_t crypto_digest(str name, str s, uint8_t out[CRYPTO_DIGEST_BYTES_MAX]) {
    const EVP_MD *md = method(name);
    unsigned n = 0;
    if (md) ENSURE(EVP_Digest(s.n ? s.p : (const uint8_t *)"", s.n, out, &n, md, NULL) == 1);
    return n;
}

size_t crypto_hmac(str name, str key, str message, uint8_t out[CRYPTO_DIGEST_BYTES_MAX]) {
    const EVP_MD *md = method(name);
    unsigned n = 0;
    if (!md) return 0;
    ENSURE(HMAC(md, key.n ? key.p : (const uint8_t *)"", (int)key.n, message.n ? message.p : (const uint8_t *)"", message.n, out,
                &n));
    return n;
}

bool crypto_password(const char *password, const char *setting, char out[CRYPTO_PASSWORD_BYTES_MAX]) {
    struct crypt_data *data = calloc(1, sizeof *data); /* 32 KiB: no stack of ours has room for it */
    if (!data) base_no_memory(sizeof *data);
    const char *answer = crypt_rn(password, setting, data, (int)sizeof *data); /* a name that no sanitizer stands before */
    bool ok = answer && answer[0] != '*' && strlen(answer) < CRYPTO_PASSWORD_BYTES_MAX;
    if (ok) memcpy(out, answer, strlen(answer) + 1);
    explicit_bzero(data, sizeof *data);
    free(data);
    return ok;
}
