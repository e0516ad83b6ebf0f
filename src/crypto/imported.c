/* imported: passwords as other services kept them, read as their notations say, and compared: what they cost is what others chose, and has a bound.
 *
 *   $2b$10$…                                                        bcrypt
 *   $argon2id$v=19$m=…,t=…,p=…$salt$hash                            argon2id, argon2i (argon2.c)
 *   $fbscrypt$v=1,n=14,r=8,p=1,ss=…,sk=…$salt$hash                  Firebase's scrypt, in GoTrue's notation: its key, enciphered by what scrypt makes
 *   $scrypt$ln=14,r=8,p=1$salt$hash                                 scrypt (RFC 7914)
 *   $pbkdf2-sha256$i=600000,l=32$salt$hash, $pbkdf2-sha256$600000$…  PBKDF2 (RFC 8018); sha1, sha256, sha512; $pbkdf2$ is sha1's
 *
 * Salts and hashes are base64, of either alphabet, with or without its end; a dot is a plus there (passlib's).
 */
#include "crypto/crypto_int.h"
#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/* What is allowed to cost anything: at most what takes a core about half a second. */
enum { ARGON2_KIB_MAX = 64 << 10, ARGON2_PASSES_MAX = 10, BCRYPT_MIN = 4, BCRYPT_MAX = 13, PBKDF2_ROUNDS_MAX = 2'000'000 };
enum { SCRYPT_LOG_MAX = 17, SCRYPT_BLOCKS_MAX = 1 << 20 /* N r p: 128 bytes each */, SCRYPT_THREADS_MAX = 16 };
enum { SALT_MAX = 128, KEY_MAX = 64, HASH_MIN = 16 };

struct bytes {
    size_t n;
    uint8_t p[SALT_MAX + KEY_MAX];
};
struct imported {
    enum kind { BCRYPT, ARGON2, FBSCRYPT, SCRYPT, PBKDF2 } kind;
    uint64_t cost, memory_kib, passes; /* cost: of bcrypt; of PBKDF2 its rounds */
    uint64_t log_n, r, p;
    const EVP_MD *digest;
    struct bytes salt, hash, separator, signer;
};

static int sextet(uint8_t c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' || c == '-' || c == '.' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

static bool base64(str s, size_t most, struct bytes *to) {
    uint32_t v = 0, bits = 0;
    to->n = 0;
    while (s.n && s.p[s.n - 1] == '=') s.n--;
    for (size_t i = 0; i < s.n; i++) {
        int c = sextet(s.p[i]);
        if (c < 0) return false;
        v = (v << 6 | (uint32_t)c) & 0xffff, bits += 6;
        if (bits < 8) continue;
        if (to->n == most) return false;
        bits -= 8;
        to->p[to->n++] = (uint8_t)(v >> bits);
    }
    return s.n % 4 != 1;
}

/* "n=14,r=8": of a name, its value. False: it is not there. */
static bool named(str list, const char *name, str *value) {
    str one, key;
    while (list.n) {
        str_cut(list, ',', &one, &list);
        str_cut(one, '=', &key, value);
        if (str_eqc(key, name)) return true;
    }
    *value = (str){0};
    return false;
}

static bool number(str list, const char *name, uint64_t *n) {
    str text;
    return named(list, name, &text) && str_to_u64(text, n);
}

/* "…$salt$hash" */
static bool salt_and_hash(str rest, struct imported *h) {
    str salt, hash;
    str_cut(rest, '$', &salt, &hash);
    return base64(salt, SALT_MAX, &h->salt) && base64(hash, KEY_MAX, &h->hash) && h->hash.n >= HASH_MIN;
}

static bool read_scrypt(str costs, str rest, struct imported *h) {
    str signer, separator;
    bool fire = h->kind == FBSCRYPT;
    if (!number(costs, fire ? "n" : "ln", &h->log_n) || !number(costs, "r", &h->r) || !number(costs, "p", &h->p)) return false;
    if (!h->log_n || !h->r || !h->p || !salt_and_hash(rest, h)) return false;
    if (!fire) return true;
    (void)named(costs, "ss", &separator), (void)named(costs, "sk", &signer);
    return base64(separator, KEY_MAX, &h->separator) && base64(signer, KEY_MAX, &h->signer) && h->signer.n == h->hash.n &&
           named(costs, "v", &costs) && str_eqc(costs, "1");
}

static bool read_pbkdf2(str name, str costs, str rest, struct imported *h) {
    static const struct {
        const char *name;
        const EVP_MD *(*of)(void);
    } rows[] = {{"pbkdf2", EVP_sha1}, {"pbkdf2-sha1", EVP_sha1}, {"pbkdf2-sha256", EVP_sha256}, {"pbkdf2-sha512", EVP_sha512}};
    uint64_t length = 0;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (str_eqc(name, rows[i].name)) h->digest = rows[i].of();
    return h->digest && (str_to_u64(costs, &h->cost) || number(costs, "i", &h->cost)) && h->cost && salt_and_hash(rest, h) &&
           (!number(costs, "l", &length) || length == h->hash.n);
}

/* "$argon2id$v=19$m=19456,t=2,p=1$salt$hash": what is behind the costs libsodium reads itself. */
static bool read_argon2(str costs, str rest, struct imported *h) {
    str version = costs, salt, hash;
    str_cut(rest, '$', &costs, &rest);
    str_cut(rest, '$', &salt, &hash);
    return str_eqc(version, "v=19") && number(costs, "m", &h->memory_kib) && number(costs, "t", &h->passes) &&
           number(costs, "p", &h->p) && h->memory_kib && h->passes && h->p && salt.n && hash.n;
}

static bool read_bcrypt(str costs, str rest, struct imported *h) {
    bool ok = costs.n == 2 && str_to_u64(costs.p[0] == '0' ? str_sub(costs, 1, 2) : costs, &h->cost) && rest.n == 53;
    for (size_t i = 0; i < rest.n && ok; i++)
        ok = sextet(rest.p[i]) >= 0 && rest.p[i] != '+' && rest.p[i] != '-' && rest.p[i] != '_';
    return ok && h->cost >= BCRYPT_MIN;
}

static bool read_hash(str text, struct imported *h) {
    str name, costs, rest;
    *h = (struct imported){0};
    if (!text.n || text.p[0] != '$' || text.n >= CRYPTO_HASH_TEXT_MAX) return false;
    str_cut(str_sub(text, 1, text.n), '$', &name, &rest);
    str_cut(rest, '$', &costs, &rest);
    if (str_eqc(name, "2a") || str_eqc(name, "2b") || str_eqc(name, "2y")) return h->kind = BCRYPT, read_bcrypt(costs, rest, h);
    if (str_eqc(name, "argon2id") || str_eqc(name, "argon2i")) return h->kind = ARGON2, read_argon2(costs, rest, h);
    if (str_eqc(name, "fbscrypt") || str_eqc(name, "scrypt"))
        return h->kind = name.p[0] == 'f' ? FBSCRYPT : SCRYPT, read_scrypt(costs, rest, h);
    return h->kind = PBKDF2, read_pbkdf2(name, costs, rest, h);
}

static bool affordable(const struct imported *h) {
    switch (h->kind) {
    case BCRYPT: return h->cost <= BCRYPT_MAX;
    case ARGON2: return h->memory_kib <= ARGON2_KIB_MAX && h->passes <= ARGON2_PASSES_MAX && h->p <= 16;
    case FBSCRYPT:
    case SCRYPT:
        return h->log_n <= SCRYPT_LOG_MAX && h->r <= SCRYPT_BLOCKS_MAX && h->p <= SCRYPT_THREADS_MAX &&
               (h->r * h->p) << h->log_n <= SCRYPT_BLOCKS_MAX;
    case PBKDF2: {
        uint64_t bytes = (uint64_t)EVP_MD_get_size(h->digest), blocks = (h->hash.n + bytes - 1) / bytes;
        return h->cost <= PBKDF2_ROUNDS_MAX && h->cost * blocks <= PBKDF2_ROUNDS_MAX;
    }
    }
    return false;
}

enum crypto_hash crypto_hash_known(str text) {
    struct imported h;
    if (!read_hash(text, &h)) return CRYPTO_HASH_UNKNOWN;
    return affordable(&h) ? CRYPTO_HASH_OK : CRYPTO_HASH_DEAR;
}

/* ---- comparing ---- */

static bool by_bcrypt(str password, const char *hash) {
    char made[CRYPTO_PASSWORD_BYTES_MAX], plain[512];
    if (password.n >= sizeof plain || (password.n && memchr(password.p, 0, password.n))) return false;
    if (password.n) memcpy(plain, password.p, password.n);
    plain[password.n] = 0;
    bool ok = crypto_password(plain, hash, made) && strlen(made) == strlen(hash) && crypto_equal(made, hash, strlen(hash));
    explicit_bzero(plain, sizeof plain);
    return ok;
}

static bool scrypt(str password, const struct imported *h, const uint8_t *salt, size_t salt_n, uint8_t *out, size_t n) {
    static const uint8_t none;
    return crypto_pwhash_scryptsalsa208sha256_ll(password.n ? password.p : &none, password.n, salt, salt_n, 1ull << h->log_n,
                                                 (uint32_t)h->r, (uint32_t)h->p, out, n) == 0;
}

/* The signer's key in counter mode under what scrypt makes of salt and separator. */
static bool firebase(str password, const struct imported *h, uint8_t out[KEY_MAX]) {
    uint8_t salt[SALT_MAX + KEY_MAX], key[32];
    static const uint8_t start[16];
    int n = 0;
    if (h->salt.n) memcpy(salt, h->salt.p, h->salt.n);
    if (h->separator.n) memcpy(salt + h->salt.n, h->separator.p, h->separator.n);
    if (!scrypt(password, h, salt, h->salt.n + h->separator.n, key, sizeof key)) return false;
    EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
    bool ok = x && EVP_EncryptInit_ex2(x, EVP_aes_256_ctr(), key, start, NULL) == 1 &&
              EVP_EncryptUpdate(x, out, &n, h->signer.p, (int)h->signer.n) == 1 && (size_t)n == h->signer.n;
    EVP_CIPHER_CTX_free(x);
    explicit_bzero(key, sizeof key);
    return ok;
}

static bool derived(str password, const struct imported *h, uint8_t out[KEY_MAX]) {
    if (h->kind == FBSCRYPT) return firebase(password, h, out);
    if (h->kind == SCRYPT) return scrypt(password, h, h->salt.p, h->salt.n, out, h->hash.n);
    return PKCS5_PBKDF2_HMAC(password.n ? (const char *)password.p : "", (int)password.n, h->salt.p, (int)h->salt.n, (int)h->cost,
                             h->digest, (int)h->hash.n, out) == 1;
}

bool crypto_password_is(str password, const char *text, uint32_t passes, uint32_t memory_kib, bool *old) {
    struct imported h;
    uint8_t out[KEY_MAX];
    *old = true;
    if (!read_hash(str_c(text), &h) || !affordable(&h)) return false;
    if (h.kind == BCRYPT) return by_bcrypt(password, text);
    if (h.kind == ARGON2) {
        *old = strncmp(text, "$argon2id$", 10) || h.memory_kib < memory_kib || h.passes < passes;
        return crypto_argon2_is(password, text);
    }
    ENSURE(sodium_init() >= 0);
    bool right = derived(password, &h, out) && crypto_equal(out, h.hash.p, h.hash.n);
    explicit_bzero(out, sizeof out);
    return right;
}
