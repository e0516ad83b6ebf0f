/* keyless: a provider for OpenSSL, in the program, whose keys are somewhere else.
 *
 *   libssl ── sign this handshake message ──> signature ── the handshake's fiber pauses ──> SIGN to whoever drives the connection
 *                                                       <── goes on, with the signature ── crypto_tls_signed
 *
 * 1. It is in a library context of its own: nothing else in the process is signed by it.
 * 2. A key here is the public half, which says what libssl wants to know of it. Nothing leaves it that would be taken for a private one.
 */
#include "crypto/tls_int.h"
#include <openssl/async.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <stdlib.h>

_Thread_local struct crypto_tls *crypto_tls_shaking;

static const char own_param[] = "orlo-public"; /* what makes one that signs: a pointer to an EVP_PKEY */

struct key {
    const char *type;
    EVP_PKEY *public;
    bool signs;
};

/* ---- keys ---- */

static void *new_key(const char *type) {
    struct key *k = calloc(1, sizeof *k);
    if (k) k->type = type;
    return k;
}
static void *new_rsa(void *provider) { return new_key("RSA"); }
static void *new_ec(void *provider) { return new_key("EC"); }
static void *new_ed25519(void *provider) { return new_key("ED25519"); }

static void free_key(void *data) {
    struct key *k = data;
    EVP_PKEY_free(k->public);
    free(k);
}

static int key_has(const void *data, int selection) {
    const struct key *k = data;
    return k->public && (k->signs || !(selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY));
}

static int key_match(const void *a, const void *b, int selection) {
    return EVP_PKEY_eq(((const struct key *)a)->public, ((const struct key *)b)->public) == 1;
}

static int key_get(void *data, OSSL_PARAM params[]) { return EVP_PKEY_get_params(((struct key *)data)->public, params); }

static const OSSL_PARAM *key_gettable(void *provider) {
    static const OSSL_PARAM params[] = {OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
                                        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
                                        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
                                        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
                                        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
                                        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
                                        OSSL_PARAM_END};
    return params;
}

/* A certificate's, to be compared; or one of ours. */
static int key_import(void *data, int selection, const OSSL_PARAM params[]) {
    struct key *k = data;
    const OSSL_PARAM *own = OSSL_PARAM_locate_const(params, own_param);
    const void *p;
    size_t n;
    if (own) {
        k->signs = OSSL_PARAM_get_octet_string_ptr(own, &p, &n) == 1 && n == sizeof k->public;
        if (k->signs) memcpy(&k->public, p, sizeof k->public);
        return k->signs && EVP_PKEY_up_ref(k->public);
    }
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, k->type, NULL);
    int ok = c && EVP_PKEY_fromdata_init(c) == 1 &&
             EVP_PKEY_fromdata(c, &k->public, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)(uintptr_t)params) == 1;
    EVP_PKEY_CTX_free(c);
    return ok;
}

static int key_export(void *data, int selection, OSSL_CALLBACK *to, void *arg) { return 0; }

static const OSSL_PARAM *key_types(int selection) {
    static const OSSL_PARAM params[] = {OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
                                        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
                                        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
                                        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
                                        OSSL_PARAM_octet_ptr(own_param, NULL, 0),
                                        OSSL_PARAM_END};
    return params;
}

static const char *signs_as(int operation) { return "ECDSA"; }

typedef void (*any_fn)(void);
#define MANAGED                                                                                                                  \
    {OSSL_FUNC_KEYMGMT_FREE, (any_fn)free_key}, {OSSL_FUNC_KEYMGMT_HAS, (any_fn)key_has},                                        \
        {OSSL_FUNC_KEYMGMT_MATCH, (any_fn)key_match}, {OSSL_FUNC_KEYMGMT_GET_PARAMS, (any_fn)key_get},                           \
        {OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (any_fn)key_gettable}, {OSSL_FUNC_KEYMGMT_IMPORT, (any_fn)key_import},               \
        {OSSL_FUNC_KEYMGMT_IMPORT_TYPES, (any_fn)key_types}, {OSSL_FUNC_KEYMGMT_EXPORT, (any_fn)key_export}, {                   \
        OSSL_FUNC_KEYMGMT_EXPORT_TYPES, (any_fn)key_types                                                                        \
    }
static const OSSL_DISPATCH rsa_keys[] = {{OSSL_FUNC_KEYMGMT_NEW, (any_fn)new_rsa}, MANAGED, {0, NULL}},
                           ec_keys[] = {{OSSL_FUNC_KEYMGMT_NEW, (any_fn)new_ec},
                                        MANAGED,
                                        {OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, (any_fn)signs_as},
                                        {0, NULL}},
                           ed25519_keys[] = {{OSSL_FUNC_KEYMGMT_NEW, (any_fn)new_ed25519}, MANAGED, {0, NULL}};

/* ---- signatures ---- */

struct signing {
    const struct key *key;
    char digest[32];
    bool pss;
};

static void *new_signing(void *provider, const char *properties) { return calloc(1, sizeof(struct signing)); }
static void free_signing(void *data) { free(data); }
static void *copy_signing(void *data) {
    struct signing *s = malloc(sizeof *s);
    if (s) *s = *(struct signing *)data;
    return s;
}

static int begin_signing(void *data, const char *digest, void *key, const OSSL_PARAM params[]) {
    struct signing *s = data;
    *s = (struct signing){.key = key};
    snprintf(s->digest, sizeof s->digest, "%s", digest ? digest : "");
    return s->key && s->key->signs;
}

/* The salt is as long as the digest, which is what TLS wants (RFC 8446 §4.2.3) and libssl asks for. */
static int set_signing(void *data, const OSSL_PARAM params[]) {
    struct signing *s = data;
    const OSSL_PARAM *pad = params ? OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE) : NULL;
    int mode = 0;
    if (!pad) return 1;
    if (pad->data_type == OSSL_PARAM_UTF8_STRING) s->pss = !strcmp(pad->data, OSSL_PKEY_RSA_PAD_MODE_PSS);
    else if (OSSL_PARAM_get_int(pad, &mode)) s->pss = mode == RSA_PKCS1_PSS_PADDING;
    return 1;
}

static const OSSL_PARAM *settable_signing(void *data, void *provider) {
    static const OSSL_PARAM params[] = {OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
                                        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
                                        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0), OSSL_PARAM_END};
    return params;
}

/* RFC 8446 §4.2.3: the low byte says the signature, the high one the digest; 0: there is no such scheme. */
static uint16_t scheme_of(const struct signing *s) {
    static const char *const digests[] = {"SHA2-256", "SHA2-384", "SHA2-512"};
    for (uint16_t i = 0; i < ARRAY_COUNT(digests); i++) {
        const char *with = digests[i], *plain = &digests[i][5];
        bool is = !strcmp(s->digest, with) || (!strncmp(s->digest, "SHA", 3) && !strcmp(s->digest + 3, plain));
        if (!is) continue;
        if (s->key->type[0] == 'R') return (uint16_t)(s->pss ? 0x0804 + i : 0x0401 + 0x100 * i);
        return (uint16_t)(0x0403 + 0x100 * i);
    }
    return s->key->type[1] == 'D' ? 0x0807 : 0;
}

/* On the handshake's own stack: it stands still here until whoever holds the key has answered. */
static int sign(void *data, unsigned char *to, size_t *n, size_t size, const unsigned char *p, size_t bytes) {
    struct signing *s = data;
    struct crypto_tls *t = crypto_tls_shaking;
    if (!to) {
        *n = (size_t)EVP_PKEY_get_size(s->key->public);
        return 1;
    }
    t->scheme = scheme_of(s);
    if (!t->scheme || !ASYNC_get_current_job()) return 0;
    t->message = (str){p, bytes};
    t->sign = CRYPTO_SIGN_WANTED;
    while (t->sign == CRYPTO_SIGN_WANTED && ASYNC_pause_job() == 1) {}
    t->sign = CRYPTO_SIGN_NONE;
    t->message = (str){0};
    if (!t->signature.n || t->signature.n > size) return 0;
    memcpy(to, t->signature.p, t->signature.n);
    *n = t->signature.n;
    return 1;
}

static const OSSL_DISPATCH signatures[] = {{OSSL_FUNC_SIGNATURE_NEWCTX, (any_fn)new_signing},
                                           {OSSL_FUNC_SIGNATURE_FREECTX, (any_fn)free_signing},
                                           {OSSL_FUNC_SIGNATURE_DUPCTX, (any_fn)copy_signing},
                                           {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (any_fn)begin_signing},
                                           {OSSL_FUNC_SIGNATURE_DIGEST_SIGN, (any_fn)sign},
                                           {OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, (any_fn)set_signing},
                                           {OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, (any_fn)settable_signing},
                                           {0, NULL}};

/* ---- the provider ---- */

static const char properties[] = "provider=orlo";

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_cache) {
    static const OSSL_ALGORITHM keys[] = {{"RSA:rsaEncryption", properties, rsa_keys, NULL},
                                          {"EC:id-ecPublicKey", properties, ec_keys, NULL},
                                          {"ED25519", properties, ed25519_keys, NULL},
                                          {NULL, NULL, NULL, NULL}},
                                signs[] = {{"RSA:rsaEncryption", properties, signatures, NULL},
                                           {"ECDSA", properties, signatures, NULL},
                                           {"ED25519", properties, signatures, NULL},
                                           {NULL, NULL, NULL, NULL}};
    *no_cache = 0;
    return operation == OSSL_OP_KEYMGMT ? keys : operation == OSSL_OP_SIGNATURE ? signs : NULL;
}

static int open_provider(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **provider) {
    static const OSSL_DISPATCH functions[] = {{OSSL_FUNC_PROVIDER_QUERY_OPERATION, (any_fn)query}, {0, NULL}};
    *out = functions;
    *provider = (void *)(uintptr_t)handle;
    return 1;
}

static OSSL_LIB_CTX *library;
static void make_library(void) {
    OSSL_LIB_CTX *l = OSSL_LIB_CTX_new();
    ENSURE(l && OSSL_PROVIDER_load(l, "default") && OSSL_PROVIDER_add_builtin(l, "orlo", open_provider) == 1 &&
           OSSL_PROVIDER_load(l, "orlo"));
    library = l;
}

OSSL_LIB_CTX *crypto_keyless_library(void) {
    static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
    ENSURE(CRYPTO_THREAD_run_once(&once, make_library) == 1);
    return library;
}

EVP_PKEY *crypto_keyless_key(EVP_PKEY *public) {
    EVP_PKEY *key = NULL;
    const char *type = EVP_PKEY_is_a(public, "RSA") ? "RSA" : EVP_PKEY_is_a(public, "EC") ? "EC" : "ED25519";
    if (type[1] == 'D' && !EVP_PKEY_is_a(public, type)) return NULL;
    OSSL_PARAM params[] = {OSSL_PARAM_octet_ptr(own_param, NULL, 0), OSSL_PARAM_END};
    void *pointer = public, *at = &pointer;
    params[0] = OSSL_PARAM_construct_octet_string(own_param, at, sizeof public);
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(crypto_keyless_library(), type, properties);
    if (c && EVP_PKEY_fromdata_init(c) == 1 && EVP_PKEY_fromdata(c, &key, EVP_PKEY_KEYPAIR, params) != 1) key = NULL;
    EVP_PKEY_CTX_free(c);
    return key;
}
