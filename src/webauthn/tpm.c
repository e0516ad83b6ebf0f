/* tpm: attestation by a Trusted Platform Module (§8.3): TPMS_ATTEST of a key (TPM 2.0 Library, Part 2, §10.12.8), signed by a key that a certificate has.
 *
 *   certInfo   magic, type, signer (2+n), extraData (2+n: hash of what the others sign), clock (17), firmware (8), name of the key (2+n), another name (2+n)
 *   pubArea    type, nameAlg, attributes (4), policy (2+n), parameters, unique: the credential's key
 */
#include "webauthn/webauthn_int.h"

enum {
    MAGIC = 0xff544347,
    ATTEST_CERTIFY = 0x8017,
    RSA = 1,
    ECC = 0x23,
    NONE = 0x10,
    P256 = 3,
    SHA1 = 4,
    SHA256 = 0x0b,
    SHA384 = 0x0c,
    SHA512 = 0x0d
};

static bool refuse(struct webauthn_statement *s, const char *why) {
    s->why = why;
    return false;
}
static uint32_t u16(struct rd *r) {
    uint32_t high = rd_u8(r);
    return high << 8 | rd_u8(r);
}
static uint32_t u32(struct rd *r) {
    uint32_t high = u16(r);
    return high << 16 | u16(r);
}
static str sized(struct rd *r) { return rd_bytes(r, u16(r)); }

static const char *hash_name(uint32_t algorithm) {
    return algorithm == SHA1     ? "sha1"
           : algorithm == SHA256 ? "sha256"
           : algorithm == SHA384 ? "sha384"
           : algorithm == SHA512 ? "sha512"
                                 : NULL;
}

/* A number without its leading zeroes. */
static str short_of(str n) {
    while (n.n && !n.p[0]) n = str_sub(n, 1, n.n);
    return n;
}

static bool is_key(struct webauthn_statement *s, str area, uint32_t *name_algorithm) {
    struct rd r = rd_of(area);
    uint32_t type = u16(&r);
    *name_algorithm = u16(&r);
    (void)u32(&r);
    (void)sized(&r);
    uint32_t symmetric = u16(&r);
    if (symmetric != NONE) (void)u16(&r), (void)u16(&r);
    uint32_t scheme = u16(&r);
    if (scheme != NONE) (void)u16(&r); /* its hash */
    bool same = false;
    if (type == RSA) {
        (void)u16(&r); /* bits */
        uint32_t e = u32(&r);
        const uint8_t exponent[] = {(uint8_t)(e >> 24), (uint8_t)(e >> 16), (uint8_t)(e >> 8), (uint8_t)e};
        static const uint8_t usual[] = {1, 0, 1};
        str n = sized(&r), own = e ? short_of((str){exponent, 4}) : (str){usual, 3};
        same = s->key->algorithm == CRYPTO_COSE_RS256 && str_eq(short_of(n), short_of(s->key->n)) &&
               str_eq(own, short_of(s->key->e));
    } else if (type == ECC) {
        uint32_t curve = u16(&r), kdf = u16(&r);
        if (kdf != NONE) (void)u16(&r);
        str x = sized(&r), y = sized(&r);
        same = s->key->algorithm == CRYPTO_COSE_ES256 && curve == P256 && str_eq(short_of(x), short_of(s->key->x)) &&
               str_eq(short_of(y), short_of(s->key->y));
    }
    return !r.fail && !rd_left(&r) && same;
}

static bool info_ok(struct webauthn_statement *s, str info, int64_t algorithm, str area, uint32_t name_algorithm) {
    struct rd r = rd_of(info);
    uint8_t hash[CRYPTO_DIGEST_BYTES_MAX];
    const char *by = algorithm == CRYPTO_COSE_RS1                                       ? "sha1"
                     : algorithm == CRYPTO_COSE_RS384 || algorithm == CRYPTO_COSE_ES384 ? "sha384"
                     : algorithm == CRYPTO_COSE_RS512 || algorithm == CRYPTO_COSE_ES512 ? "sha512"
                                                                                        : "sha256";
    uint32_t magic = u32(&r), type = u16(&r);
    (void)sized(&r);
    str extra = sized(&r);
    (void)rd_bytes(&r, 17), (void)rd_bytes(&r, 8);
    str name = sized(&r);
    (void)sized(&r);
    if (r.fail || rd_left(&r) || magic != MAGIC || type != ATTEST_CERTIFY) return refuse(s, "certInfo is none of a key");
    size_t n = crypto_digest(str_c(by), s->data_hashed, hash);
    if (extra.n != n || memcmp(extra.p, hash, n)) return refuse(s, "certInfo is of another answer");
    const char *naming = hash_name(name_algorithm);
    n = naming ? crypto_digest(str_c(naming), area, hash) : 0;
    bool same = n && name.n == n + 2 && (uint32_t)(name.p[0] << 8 | name.p[1]) == name_algorithm && !memcmp(name.p + 2, hash, n);
    return same || refuse(s, "certInfo is of another key");
}

/* §8.3.1 */
static bool leaf_ok(struct webauthn_statement *s, const struct crypto_cert *cert) {
    bool ok = crypto_cert_is_leaf(cert) && !crypto_cert_has_subject(cert) && crypto_cert_has_usage(cert, "2.23.133.8.3") &&
              crypto_cert_names_have(cert, "2.23.133.2.1") && crypto_cert_names_have(cert, "2.23.133.2.2") &&
              crypto_cert_names_have(cert, "2.23.133.2.3");
    return ok ? webauthn_aaguid_ok(s, cert) : refuse(s, "the certificate is of no TPM (WebAuthn 8.3.1)");
}

bool webauthn_attest_tpm(struct webauthn_statement *s) {
    struct webauthn_cbor version, algorithm;
    str signature, info, area;
    uint32_t name_algorithm;
    if (!webauthn_cbor_text_key(&s->map, "ver", &version) || version.kind != WEBAUTHN_CBOR_TEXT || !str_eqc(version.bytes, "2.0"))
        return refuse(s, "a TPM of a version that is not known here");
    if (!webauthn_cbor_text_key(&s->map, "alg", &algorithm) || algorithm.kind > WEBAUTHN_CBOR_NINT ||
        !webauthn_cbor_bytes_of(&s->map, "sig", &signature) || !webauthn_cbor_bytes_of(&s->map, "certInfo", &info) ||
        !webauthn_cbor_bytes_of(&s->map, "pubArea", &area))
        return refuse(s, "a TPM's statement lacks alg, sig, certInfo or pubArea");
    if (!is_key(s, area, &name_algorithm)) return refuse(s, "pubArea is of another key");
    if (!info_ok(s, info, algorithm.number, area, name_algorithm)) return false;
    struct crypto_cert *cert = webauthn_chain(s);
    if (!cert || !leaf_ok(s, cert)) return false;
    s->to->attestation = "attca";
    return crypto_public_verify(crypto_cert_public(cert), algorithm.number, info, signature) ||
           refuse(s, "the statement is not signed");
}
