/* certificates: who the node is by TLS, as control, keys, the supervisor and workers hand it on: a list of entries, in memory files.
 *
 *   operator's files ──certify──> keys: read, held against each other, the key sealed ──> supervisor ──config──> control ─┐
 *   an authority's answer ──────> a job reads it; its key was made by keys, sealed ─────────────────────────────> control ─┤
 *                                                                                                                          │
 *   a worker: an identity for each, its key still sealed <── certificates ── supervisor <── certificates_set ──────────────┘
 *        └── tls_ask: a handshake message, and the sealed key ──> keys ── tls_told: the signature
 *
 * 1. A private key is in keys, for as long as that is asked, and nowhere else; sealed it is where its certificate is.
 * 2. What keys signs with it is a handshake's (crypto/tls_server.h), whoever asks: a worker that is taken over signs no token and no request with it.
 */
#ifndef ORLO_NODE_CERTIFICATES_H
#define ORLO_NODE_CERTIFICATES_H

#include "crypto/tls_server.h"

/* Where one comes from; the numbers are kept in databases. A challenge (acme-tls/1) is shown to who asks for that, and to nobody else. */
enum node_certificate_source { NODE_CERT_OPERATOR, NODE_CERT_ACME, NODE_CERT_CHALLENGE, NODE_CERT_SOURCES };
struct node_certificate {
    enum node_certificate_source source;
    struct crypto_chain chain; /* without its public half */
    str sealed;                /* its key (PKCS #8), as keys sealed it about NODE_CERT_ABOUT */
    int64_t ocsp_until_s;
    str ocsp; /* an answer to go with it; empty: none */
    str from; /* the operator's file, the authority: for people */
};
#define NODE_CERT_ABOUT "orlo tls key"
enum {
    NODE_CERTS_MAX = 4096,
    NODE_CERT_FILE_BYTES_MAX = 256 << 10, /* a file of certificates, or of a key */
    NODE_CERT_SEALED_MAX = CRYPTO_TLS_KEY_MAX + 28,
    NODE_CERTS_BYTES_MAX = 64 << 20 /* all of them */
};
void node_certificate_put(struct buf *to, const struct node_certificate *c);
/* False: there is no more, or (from->fail) nonsense. Strings borrow; lists in out. */
[[nodiscard]] bool node_certificate_next(arena *out, struct rd *from, struct node_certificate *c);
/* All of a memory file, mapped for as long as out lives. False: it cannot be, or is too long. */
[[nodiscard]] bool node_certificates_map(arena *out, int fd, str *bytes);

/* One that was read (crypto_chain_read), with its key as keys sealed it: whether they may be put into a set now. ERR_INVALID: expired, or not yet valid. */
[[nodiscard]] err node_certificate_holds(const struct crypto_chain *chain, int64_t now_s, struct diag *d);

/* key.c: an operator's files, opened: to a memory file with the entry of each. By a process of its own, which is waited for. What is wrong with one is said
 * with its name, and then there is none. */
struct node_certificate_file {
    const char *cert, *key, *ocsp; /* names */
    int cert_fd, key_fd, ocsp_fd;  /* ocsp_fd -1: there is none */
};
struct node_msg_open_key;
[[nodiscard]] err node_certificates_load(const struct node_msg_open_key *how, const struct node_certificate_file *files,
                                         uint32_t count, int out, struct diag *d);

#endif
