/* tls_key: who has the private key of a certificate, and what is in files of certificates and keys.
 *
 *   64 spaces, "TLS 1.3, server CertificateVerify", 0, the transcript's hash                 RFC 8446 §4.4.3
 *   two randoms of 32 bytes, 3, the curve, the length of a point of it, that                 RFC 8422 §5.4
 *
 * Nothing else is signed: who may ask for signatures cannot have a token, a request for a certificate, or another's word signed with it. */
#include "crypto/tls_server.h"
#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <time.h>

struct crypto_tls_key {
    EVP_PKEY *key;
};

/* ---- keys ---- */

struct crypto_tls_key *crypto_tls_key_new(str pkcs8) {
    const unsigned char *p = pkcs8.p;
    EVP_PKEY *key = pkcs8.n ? d2i_AutoPrivateKey(NULL, &p, (long)pkcs8.n) : NULL;
    ERR_clear_error();
    if (!key) return NULL;
    struct crypto_tls_key *k = malloc(sizeof *k);
    ENSURE(k);
    k->key = key;
    return k;
}

void crypto_tls_key_free(struct crypto_tls_key *k) {
    if (!k) return;
    EVP_PKEY_free(k->key);
    free(k);
}

bool crypto_tls_key_is(const struct crypto_tls_key *k, str public) {
    const unsigned char *p = public.p;
    EVP_PKEY *other = public.n ? d2i_PUBKEY(NULL, &p, (long)public.n) : NULL;
    bool is = other && EVP_PKEY_eq(k->key, other) == 1;
    EVP_PKEY_free(other);
    ERR_clear_error();
    return is;
}

static bool is_verify13(str m) {
    static const char words[] = "TLS 1.3, server CertificateVerify"; /* and its NUL */
    enum { SPACES = 64, HEAD = SPACES + sizeof words };
    if (m.n != HEAD + 32 && m.n != HEAD + 48) return false;
    for (size_t i = 0; i < SPACES; i++)
        if (m.p[i] != ' ') return false;
    return !memcmp(m.p + SPACES, words, sizeof words);
}

static bool is_exchange12(str m) {
    static const struct { uint16_t curve, bytes; } points[] = {{29, 32}, {23, 65}, {24, 97}, {25, 133}};
    enum { RANDOMS = 64, HEAD = RANDOMS + 4 };
    if (m.n < HEAD || m.p[RANDOMS] != 3) return false;
    uint32_t curve = (uint32_t)m.p[RANDOMS + 1] << 8 | m.p[RANDOMS + 2];
    for (size_t i = 0; i < ARRAY_COUNT(points); i++)
        if (points[i].curve == curve) return m.p[RANDOMS + 3] == points[i].bytes && m.n == (size_t)HEAD + points[i].bytes;
    return false;
}

static const struct scheme {
    uint16_t number;
    const char *type, *digest; /* NULL: it has its own */
    bool pss, old;             /* old: not in TLS 1.3 */
} schemes[] = {{0x0403, "EC", "SHA256", false, false},  {0x0503, "EC", "SHA384", false, false},
               {0x0603, "EC", "SHA512", false, false},  {0x0804, "RSA", "SHA256", true, false},
               {0x0805, "RSA", "SHA384", true, false},  {0x0806, "RSA", "SHA512", true, false},
               {0x0807, "ED25519", NULL, false, false}, {0x0401, "RSA", "SHA256", false, true},
               {0x0501, "RSA", "SHA384", false, true},  {0x0601, "RSA", "SHA512", false, true}};

size_t crypto_tls_key_sign(struct crypto_tls_key *k, uint16_t number, str message, uint8_t out[CRYPTO_TLS_SIGNATURE_MAX]) {
    const struct scheme *s = NULL;
    size_t n = CRYPTO_TLS_SIGNATURE_MAX;
    for (size_t i = 0; i < ARRAY_COUNT(schemes); i++)
        if (schemes[i].number == number && EVP_PKEY_is_a(k->key, schemes[i].type)) s = &schemes[i];
    if (!s || !((is_verify13(message) && !s->old) || is_exchange12(message))) return 0;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    EVP_PKEY_CTX *p;
    bool ok = c && EVP_DigestSignInit_ex(c, &p, s->digest, NULL, NULL, k->key, NULL) == 1 &&
              (!s->pss || (EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PSS_PADDING) == 1 &&
                           EVP_PKEY_CTX_set_rsa_pss_saltlen(p, RSA_PSS_SALTLEN_DIGEST) == 1)) &&
              EVP_DigestSign(c, out, &n, message.p, message.n) == 1;
    EVP_MD_CTX_free(c);
    ERR_clear_error();
    return ok ? n : 0;
}

/* ---- files ---- */

/* No password is asked for: a key that has one is none. */
static int no_password(char *to, int size, int writes, void *arg) { return -1; }

static str taken(arena *out, unsigned char *p, int n) {
    str s = n > 0 ? arena_str(out, (str){p, (size_t)n}) : (str){0};
    if (p && n > 0) OPENSSL_cleanse(p, (size_t)n);
    OPENSSL_free(p);
    return s;
}

/* What certificates may have, and what a server of ours signs with. */
static err check_kind(const EVP_PKEY *k, struct diag *d) {
    char group[32] = {0};
    size_t n;
    int bits = EVP_PKEY_get_bits(k);
    if (EVP_PKEY_is_a(k, "RSA"))
        return bits >= 2048 && bits <= 4096
                   ? ERR_OK
                   : diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "its RSA key has %d bits; 2048 to 4096 are taken", bits);
    if (EVP_PKEY_is_a(k, "ED25519")) return ERR_OK;
    bool known = EVP_PKEY_is_a(k, "EC") && EVP_PKEY_get_group_name(k, group, sizeof group, &n) == 1;
    int nid = known ? OBJ_txt2nid(group) : NID_undef;
    if (nid == NID_X9_62_prime256v1 || nid == NID_secp384r1 || nid == NID_secp521r1) return ERR_OK;
    return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "its key is none of RSA, ECDSA with P-256, P-384 or P-521, Ed25519");
}

err crypto_tls_key_read(arena *out, str pem, str *pkcs8, str *public, struct diag *d) {
    unsigned char *p = NULL;
    BIO *from = BIO_new_mem_buf(pem.n ? (const void *)pem.p : "", (int)MIN(pem.n, (size_t)INT32_MAX));
    ENSURE(from);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(from, NULL, no_password, NULL);
    bool locked = !key && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_BAD_PASSWORD_READ;
    BIO_free(from);
    err e = ERR_OK;
    if (locked)
        e = diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE,
                     "the key is locked with a password: write it without one (openssl pkey -in FILE -out …)");
    else if (!key) e = diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "it holds no private key in PEM (-----BEGIN PRIVATE KEY-----)");
    if (e == ERR_OK) e = check_kind(key, d);
    if (e == ERR_OK) {
        PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
        int n = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &p) : 0;
        *pkcs8 = taken(out, p, n);
        PKCS8_PRIV_KEY_INFO_free(info);
        p = NULL;
        n = i2d_PUBKEY(key, &p);
        *public = taken(out, p, n);
        if (!pkcs8->n || !public->n || pkcs8->n > CRYPTO_TLS_KEY_MAX)
            e = diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "it is no key that can be kept here");
    }
    EVP_PKEY_free(key);
    ERR_clear_error();
    return e;
}

bool crypto_name_covers(str name, str host) {
    if (!str_starts(name, STR("*."))) return str_eq(name, host);
    size_t dot = str_find(host, '.');
    return dot && dot < host.n && str_eq(str_sub(name, 1, name.n), str_sub(host, dot, host.n));
}

static void add_name(arena *out, struct crypto_chain *to, str name) {
    if (to->names.n == CRYPTO_CHAIN_NAMES_MAX || !name.n || name.n > 253) return;
    str own = arena_str(out, name);
    uint8_t *p = (uint8_t *)(uintptr_t)own.p;
    for (size_t i = 0; i < own.n; i++) {
        if (p[i] <= ' ' || p[i] >= 0x7f) return;
        if (p[i] >= 'A' && p[i] <= 'Z') p[i] |= 0x20;
    }
    vec_push(out, &to->names, own);
}

static void read_names(arena *out, X509 *x, struct crypto_chain *to) {
    GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; all && i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
        char text[INET6_ADDRSTRLEN];
        if (g->type == GEN_DNS)
            add_name(out, to, (str){ASN1_STRING_get0_data(g->d.dNSName), (size_t)ASN1_STRING_length(g->d.dNSName)});
        if (g->type != GEN_IPADD) continue;
        int n = ASN1_STRING_length(g->d.iPAddress);
        if ((n == 4 || n == 16) &&
            inet_ntop(n == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(g->d.iPAddress), text, sizeof text))
            add_name(out, to, str_c(text));
    }
    GENERAL_NAMES_free(all);
}

static bool staples(const X509 *x) {
    TLS_FEATURE *all = X509_get_ext_d2i(x, NID_tlsfeature, NULL, NULL);
    bool found = false;
    for (int i = 0; all && i < sk_ASN1_INTEGER_num(all); i++) found |= ASN1_INTEGER_get(sk_ASN1_INTEGER_value(all, i)) == 5;
    TLS_FEATURE_free(all);
    return found;
}

static int64_t seconds_of(const ASN1_TIME *t) {
    struct tm tm;
    return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static err read_own(arena *out, X509 *x, struct crypto_chain *to, struct diag *d) {
    unsigned char *p = NULL;
    EVP_PKEY *key = X509_get0_pubkey(x);
    if (!key) return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "its key is of no known kind");
    TRY(check_kind(key, d));
    read_names(out, x, to);
    if (!to->names.n) return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "it names no host (subjectAltName), and so is nobody's");
    if ((X509_get_extension_flags(x) & EXFLAG_XKUSAGE) && !(X509_get_extended_key_usage(x) & (XKU_SSL_SERVER | XKU_ANYEKU)))
        return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "it is not for servers (extended key usage)");
    to->not_before_s = seconds_of(X509_get0_notBefore(x));
    to->not_after_s = seconds_of(X509_get0_notAfter(x));
    to->must_staple = staples(x);
    int n = i2d_PUBKEY(key, &p);
    to->public = taken(out, p, n);
    STACK_OF(OPENSSL_STRING) *urls = X509_get1_ocsp(x);
    if (urls && sk_OPENSSL_STRING_num(urls))
        to->ocsp_url = arena_str(out, str_sub(str_c(sk_OPENSSL_STRING_value(urls, 0)), 0, 1024));
    X509_email_free(urls);
    BIO *b = BIO_new(BIO_s_mem());
    char *text;
    ENSURE(b);
    X509_NAME_print_ex(b, X509_get_issuer_name(x), 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB);
    long length = BIO_get_mem_data(b, &text);
    to->issuer = arena_str(out, str_sub((str){(const uint8_t *)text, (size_t)MAX(length, 0l)}, 0, 200));
    BIO_free(b);
    return ERR_OK;
}

static err check_signed(X509 *x, X509 *by, uint32_t nth, struct diag *d) {
    if (X509_check_issued(by, x) == X509_V_OK && X509_verify(x, X509_get0_pubkey(by)) == 1) return ERR_OK;
    return diag_set(
        d, ERR_MALFORMED, DIAG_NOWHERE,
        "certificate %u of the file was not signed by the one behind it: the own one comes first, then who signed it, and so on",
        nth);
}

err crypto_chain_read(arena *out, str pem, struct crypto_chain *to, struct diag *d) {
    X509 *all[CRYPTO_CHAIN_MAX + 1] = {0};
    uint32_t n = 0;
    err e = ERR_OK;
    *to = (struct crypto_chain){0};
    BIO *from = BIO_new_mem_buf(pem.n ? (const void *)pem.p : "", (int)MIN(pem.n, (size_t)INT32_MAX));
    ENSURE(from);
    while (n < ARRAY_COUNT(all) && (all[n] = PEM_read_bio_X509(from, NULL, no_password, NULL))) n++;
    bool whole = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    BIO_free(from);
    if (n > CRYPTO_CHAIN_MAX) e = diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "it has more than %d certificates", CRYPTO_CHAIN_MAX);
    else if (!n) e = diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "it holds no certificate in PEM (-----BEGIN CERTIFICATE-----)");
    else if (!whole) e = diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "what follows certificate %u is none", n);
    if (e == ERR_OK) e = read_own(out, all[0], to, d);
    for (uint32_t i = 0; i + 1 < n && e == ERR_OK; i++) e = check_signed(all[i], all[i + 1], i + 1, d);
    for (uint32_t i = 0; i < n && e == ERR_OK; i++) {
        unsigned char *p = NULL;
        int bytes = i2d_X509(all[i], &p);
        to->der[to->count++] = taken(out, p, bytes);
    }
    for (uint32_t i = 0; i < n; i++) X509_free(all[i]);
    ERR_clear_error();
    return e;
}

/* ---- OCSP ---- */

static X509 *certificate_of(str der) {
    const unsigned char *p = der.p;
    return d2i_X509(NULL, &p, (long)der.n);
}

/* Whoever signed the certificate, or whom he lets (RFC 6960 §4.2.2.2), signed the answer. */
static bool by_issuer(OCSP_BASICRESP *basic, X509 *issuer) {
    X509_STORE *store = X509_STORE_new();
    STACK_OF(X509) *known = sk_X509_new_null();
    ENSURE(store && known && X509_STORE_add_cert(store, issuer) == 1 && sk_X509_push(known, issuer));
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    bool ok = OCSP_basic_verify(basic, known, store, 0) == 1;
    sk_X509_free(known);
    X509_STORE_free(store);
    return ok;
}

static err check_single(OCSP_BASICRESP *basic, X509 *own, X509 *issuer, int64_t now_s, int64_t *until_s, struct diag *d) {
    int status, reason;
    ASN1_GENERALIZEDTIME *revoked, *from, *until;
    OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), own, issuer);
    ENSURE(id);
    bool found = OCSP_resp_find_status(basic, id, &status, &reason, &revoked, &from, &until) == 1;
    OCSP_CERTID_free(id);
    if (!found) return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "it is the OCSP answer of another certificate");
    if (status != V_OCSP_CERTSTATUS_GOOD)
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "it says that the certificate is %s", OCSP_cert_status_str(status));
    *until_s = until ? seconds_of(until) : 0;
    if (until && now_s <= *until_s && now_s + 300 >= seconds_of(from)) return ERR_OK;
    return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "the OCSP answer holds no more, or not yet: fetch another");
}

err crypto_ocsp_check(const struct crypto_chain *chain, str der, int64_t now_s, int64_t *until_s, struct diag *d) {
    const unsigned char *p = der.p;
    OCSP_RESPONSE *r = der.n ? d2i_OCSP_RESPONSE(NULL, &p, (long)der.n) : NULL;
    OCSP_BASICRESP *basic = r && OCSP_response_status(r) == OCSP_RESPONSE_STATUS_SUCCESSFUL ? OCSP_response_get1_basic(r) : NULL;
    X509 *own = chain->count ? certificate_of(chain->der[0]) : NULL,
         *issuer = chain->count > 1 ? certificate_of(chain->der[1]) : NULL;
    err e = ERR_OK;
    if (!basic || (size_t)(p - der.p) != der.n) e = diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "it is no OCSP answer in DER");
    else if (!issuer)
        e = diag_set(d, ERR_INVALID, DIAG_NOWHERE,
                     "the chain lacks who signed the certificate, and so the OCSP answer cannot be checked");
    else if (!own || !by_issuer(basic, issuer))
        e = diag_set(d, ERR_INVALID, DIAG_NOWHERE, "the OCSP answer is not signed by who signed the certificate");
    if (e == ERR_OK) e = check_single(basic, own, issuer, now_s, until_s, d);
    X509_free(own), X509_free(issuer);
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(r);
    ERR_clear_error();
    return e;
}
