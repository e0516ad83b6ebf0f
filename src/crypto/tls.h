/* tls: the client's side of TLS (1.2 and 1.3), without I/O: what the peer sent goes in, what it is to be sent comes out. The server's: tls_server.h.
 *
 * The peer's certificate must be signed by somebody trusted and name the host that was asked for; there is no way to do without.
 */
#ifndef ORLO_CRYPTO_TLS_H
#define ORLO_CRYPTO_TLS_H

#include "base/base.h"

/* Whom to trust. */
struct crypto_tls_trust;
/* ca_file: PEM; NULL: what the system trusts. NULL is returned when it cannot be read. */
struct crypto_tls_trust *crypto_tls_trust_new(const char *ca_file);
/* Files, as PEM: what connections from now on show who asks for it. False: they cannot be read, or do not belong together. */
[[nodiscard]] bool crypto_tls_trust_show(struct crypto_tls_trust *t, const char *cert_file, const char *key_file);
void crypto_tls_trust_free(struct crypto_tls_trust *t); /* after its connections; NULL is fine */

enum crypto_tls_result {
    CRYPTO_TLS_OK,
    CRYPTO_TLS_MORE,        /* feed what the peer sends, and ask again */
    CRYPTO_TLS_SIGN,        /* of a server: tls_server.h */
    CRYPTO_TLS_END,         /* the peer said that it will send no more */
    CRYPTO_TLS_CERTIFICATE, /* the rest are failures: its certificate is not trusted */
    CRYPTO_TLS_ALERT,       /* it sent an alert */
    CRYPTO_TLS_PROTOCOL,    /* it does not speak TLS, or not as we do */
};

struct crypto_tls;
/* host: a name as the DNS has it, or an address without brackets. Never NULL. */
struct crypto_tls *crypto_tls_new(struct crypto_tls_trust *t, const char *host);
void crypto_tls_free(struct crypto_tls *t); /* NULL is fine */
void crypto_tls_feed(struct crypto_tls *t, str received);
bool crypto_tls_holds(const struct crypto_tls *t); /* something was fed that nobody has read */
/* What is to be sent, until crypto_tls_sent; looked at after each call below. */
str crypto_tls_pending(struct crypto_tls *t);
void crypto_tls_sent(struct crypto_tls *t, size_t n);
/* OK: the handshake is done, with a peer that is who it should be. */
enum crypto_tls_result crypto_tls_handshake(struct crypto_tls *t);
/* OK with *got > 0. */
enum crypto_tls_result crypto_tls_read(struct crypto_tls *t, void *p, size_t n, size_t *got);
/* Takes all of data. */
enum crypto_tls_result crypto_tls_write(struct crypto_tls *t, str data);
void crypto_tls_close(struct crypto_tls *t);            /* says that no more will be sent */
const char *crypto_tls_why(const struct crypto_tls *t); /* of a failure, for a log */

#endif
