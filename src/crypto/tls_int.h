/* Inside src/crypto: what a connection of TLS is, at either end. */
#ifndef ORLO_CRYPTO_TLS_INT_H
#define ORLO_CRYPTO_TLS_INT_H

#include "crypto/tls.h"
#include "crypto/tls_server.h"
#include <openssl/ssl.h>

struct crypto_tls_bytes { /* one way; no memory while there is nothing */
    uint8_t *p;
    size_t off, n, cap;
};

struct crypto_tls {
    SSL *ssl;
    struct crypto_tls_bytes in, out;
    char *why; /* of a failure; NULL: none yet */
    /* of a server's: */
    struct crypto_tls_identity *identity; /* NULL: it is a client's */
    enum { CRYPTO_SIGN_NONE, CRYPTO_SIGN_WANTED, CRYPTO_SIGN_TOLD } sign;
    uint16_t scheme;
    str message, signature; /* while it is wanted; as it was told: empty: it is not to be had */
};
struct crypto_tls *crypto_tls_of(SSL_CTX *ctx); /* a new one */

/* keyless.c: where OpenSSL's server has a key that is somewhere else. */
OSSL_LIB_CTX *crypto_keyless_library(void); /* one for the process */
/* What signs for the certificate's key: by whoever is asked in the handshake that goes on at that moment. NULL: no such kind. */
EVP_PKEY *crypto_keyless_key(EVP_PKEY *public);
extern _Thread_local struct crypto_tls *crypto_tls_shaking; /* whose handshake this thread is in */

#endif
