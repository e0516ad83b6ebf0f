/* attestation: what an authenticator says of itself (§8): none, packed (§8.2), apple (§8.8); tpm.c has the fourth. */
#include "webauthn/webauthn_int.h"

static bool refuse(struct webauthn_statement *s, const char *why) {
    s->why = why;
    return false;
}
static void drop(void *cert) { crypto_cert_free(cert); }

struct crypto_cert *webauthn_chain(struct webauthn_statement *s) {
    struct webauthn_cbor list, one;
    struct crypto_cert *first = NULL, *last = NULL;
    if (!webauthn_cbor_text_key(&s->map, "x5c", &list) || list.kind != WEBAUTHN_CBOR_ARRAY || list.number < 1 ||
        list.number > WEBAUTHN_CHAIN_MAX) {
        (void)refuse(s, "x5c is no list of certificates");
        return NULL;
    }
    for (struct rd from = rd_of(list.bytes); rd_left(&from);) {
        webauthn_cbor_next(&from, &one);
        struct crypto_cert *cert = !from.fail && one.kind == WEBAUTHN_CBOR_BYTES ? crypto_cert_read(one.bytes) : NULL;
        if (cert) arena_cleanup(s->scratch, drop, cert);
        if (!cert || !crypto_cert_holds_at(cert, s->now_s)) {
            (void)refuse(s, "a certificate of x5c is none, or not of now");
            return NULL;
        }
        if (last && !crypto_cert_signed_by(last, cert)) {
            (void)refuse(s, "a certificate of x5c is not signed by the next one");
            return NULL;
        }
        if (!first) first = cert;
        last = cert;
    }
    return first;
}

/* id-fido-gen-ce-aaguid: an OCTET STRING of 16 bytes in the extension's own, not critical (§8.2.1). */
bool webauthn_aaguid_ok(struct webauthn_statement *s, const struct crypto_cert *cert) {
    bool critical;
    str value;
    if (!crypto_cert_extension(cert, "1.3.6.1.4.1.45724.1.1.4", &critical, &value)) return true;
    return (!critical && value.n == 18 && value.p[0] == 4 && value.p[1] == 16 && !memcmp(value.p + 2, s->aaguid, 16)) ||
           refuse(s, "the certificate is of another authenticator (aaguid)");
}

static bool packed_leaf_ok(struct webauthn_statement *s, const struct crypto_cert *cert) {
    char text[128];
    bool ok = crypto_cert_is_leaf(cert) && crypto_cert_subject(cert, "C", text, sizeof text) == 2 &&
              crypto_cert_subject(cert, "O", text, sizeof text) && crypto_cert_subject(cert, "CN", text, sizeof text) &&
              crypto_cert_subject(cert, "OU", text, sizeof text) && !strcmp(text, "Authenticator Attestation");
    return ok ? webauthn_aaguid_ok(s, cert) : refuse(s, "the certificate is of no authenticator (WebAuthn 8.2.1)");
}

static bool attest_packed(struct webauthn_statement *s) {
    struct webauthn_cbor algorithm, v;
    str signature;
    if (!webauthn_cbor_text_key(&s->map, "alg", &algorithm) || algorithm.kind > WEBAUTHN_CBOR_NINT ||
        !webauthn_cbor_bytes_of(&s->map, "sig", &signature))
        return refuse(s, "a packed statement lacks alg or sig");
    if (webauthn_cbor_text_key(&s->map, "ecdaaKeyId", &v)) return refuse(s, "ECDAA is not there any more");
    const struct crypto_public *by = s->key->public;
    if (webauthn_cbor_text_key(&s->map, "x5c", &v)) {
        struct crypto_cert *cert = webauthn_chain(s);
        if (!cert || !packed_leaf_ok(s, cert)) return false;
        by = crypto_cert_public(cert);
        s->to->attestation = "basic";
    } else {
        if (algorithm.number != s->key->algorithm) return refuse(s, "the statement's algorithm is not the key's");
        s->to->attestation = "self";
    }
    return crypto_public_verify(by, algorithm.number, s->data_hashed, signature) || refuse(s, "the statement is not signed");
}

/* SEQUENCE { [1] { OCTET STRING: SHA-256 of what the others sign } }, in a certificate that has the credential's own key. */
static bool attest_apple(struct webauthn_statement *s) {
    static const uint8_t head[] = {0x30, 0x24, 0xa1, 0x22, 0x04, 0x20};
    uint8_t nonce[CRYPTO_SHA256_BYTES];
    bool critical;
    str value;
    struct crypto_cert *cert = webauthn_chain(s);
    if (!cert) return false;
    crypto_sha256(s->data_hashed, nonce);
    if (!crypto_cert_extension(cert, "1.2.840.113635.100.8.2", &critical, &value) || value.n != sizeof head + sizeof nonce ||
        memcmp(value.p, head, sizeof head) || memcmp(value.p + sizeof head, nonce, sizeof nonce))
        return refuse(s, "the certificate is of another answer (nonce)");
    s->to->attestation = "anonca";
    return crypto_public_equal(crypto_cert_public(cert), s->key->public) || refuse(s, "the certificate is of another key");
}

bool webauthn_attest(struct webauthn_statement *s, str format) {
    static const struct {
        const char *name;
        bool (*attest)(struct webauthn_statement *s);
    } formats[] = {{"packed", attest_packed}, {"apple", attest_apple}, {"tpm", webauthn_attest_tpm}};
    if (str_eqc(format, "none")) {
        s->to->format = s->to->attestation = "none";
        return !s->map.number || refuse(s, "a statement of none says something");
    }
    for (size_t i = 0; i < ARRAY_COUNT(formats); i++)
        if (str_eqc(format, formats[i].name)) {
            s->to->format = formats[i].name;
            return formats[i].attest(s);
        }
    return refuse(s, "attestation of a format that is not known here");
}
