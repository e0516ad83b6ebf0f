/* tls_server: the server's side of TLS (1.2 and 1.3), without I/O, and without a private key.
 *
 *   bytes ── crypto_hello_parse ──> whom the client wants ── an identity is chosen ──> crypto_tls_accept
 *            ┌───────────────────────────────────────────────────────────────────────────┐
 *            └─> crypto_tls_handshake ─┬─ MORE, END, …: as a client's (tls.h)
 *                                      └─ SIGN: crypto_tls_wants says what is to be signed; whoever has the key does that,
 *                                               whenever, and crypto_tls_signed goes on with the handshake
 *
 * 1. What is signed is a handshake message, whole: who holds the key can see that it is one, and of what form (crypto_tls_key_sign).
 * 2. TLS 1.2 is spoken with forward secrecy and AEAD alone; nothing is renegotiated, and no data comes early.
 * 3. A connection holds its identity for as long as it lives.
 */
#ifndef ORLO_CRYPTO_TLS_SERVER_H
#define ORLO_CRYPTO_TLS_SERVER_H

#include "crypto/tls.h"

/* ---- what a client says first ---- */

enum { CRYPTO_HELLO_BYTES_MAX = 16 << 10 };
struct crypto_hello {
    str server_name;                 /* as the DNS has it, small letters; empty: none. In `own` */
    bool alpn, h2, http1, challenge; /* it names protocols: these (challenge: acme-tls/1, RFC 8737) */
    char own[256];
};
enum crypto_hello_result { CRYPTO_HELLO_OK, CRYPTO_HELLO_MORE, CRYPTO_HELLO_BAD };
/* bytes: all that came. BAD: it is no ClientHello, or too long a one. */
enum crypto_hello_result crypto_hello_parse(str bytes, struct crypto_hello *out);
bool crypto_hello_begins(uint8_t first); /* whether TLS begins so */
/* A fatal alert, as a record, for who has no connection of TLS yet. */
enum { CRYPTO_ALERT_BYTES = 7 };
enum crypto_alert { CRYPTO_ALERT_DECODE = 50, CRYPTO_ALERT_INTERNAL = 80, CRYPTO_ALERT_NO_NAME = 112 };
void crypto_alert(enum crypto_alert which, uint8_t out[CRYPTO_ALERT_BYTES]);

/* ---- tickets (RFC 8446 §4.6.1, RFC 5077): what a client resumes by, sealed by keys that all processes of a node have ---- */

/* A page that one process writes and others read while it does. The key in use is the youngest; those before it open what they have sealed. */
enum { CRYPTO_TICKET_KEYS = 3, CRYPTO_TICKET_TURN_S = 2 * 3600 /* how long one is in use, and how long a ticket holds */ };
struct crypto_tickets {
    uint32_t turn; /* odd: it is being written. Pairs with itself */
    uint32_t now;
    struct crypto_ticket_key {
        uint8_t name[16], cipher[32], mac[32];
        uint64_t made_s; /* 0: there is none */
    } of[CRYPTO_TICKET_KEYS];
};
void crypto_tickets_turn(struct crypto_tickets *t, uint64_t now_s); /* another takes the oldest one's place */
void crypto_tickets_use(const struct crypto_tickets *t); /* by all connections of this process from now on; NULL: no tickets */

/* ---- who the server is ---- */

struct crypto_tls_identity;
struct crypto_tls_identity_config {
    const str *chain; /* DER, the own one first */
    uint32_t chain_count;
    bool challenge; /* for acme-tls/1, and nothing else */
    str client_ca;  /* PEM: clients have to show a certificate of one of these; empty: none is asked for */
    bool tls13_alone;
    str ocsp;                /* an answer that goes with it, DER; empty: none */
    int64_t ocsp_until_s;    /* not after that */
    void *arg;               /* crypto_tls_identity_arg */
    void (*drop)(void *arg); /* when nobody has it any more; NULL: nothing to do */
};
/* One hold of it is the caller's. NULL: d says why. */
struct crypto_tls_identity *crypto_tls_identity_new(const struct crypto_tls_identity_config *config, struct diag *d);
void *crypto_tls_identity_arg(const struct crypto_tls_identity *i);
void crypto_tls_identity_hold(struct crypto_tls_identity *i);
void crypto_tls_identity_drop(struct crypto_tls_identity *i); /* NULL is fine */

struct crypto_tls *crypto_tls_accept(struct crypto_tls_identity *i);
struct crypto_tls_identity *crypto_tls_identity(const struct crypto_tls *t); /* borrowed */

/* After SIGN: what, and how (RFC 8446 §4.2.3). Until crypto_tls_signed. */
str crypto_tls_wants(const struct crypto_tls *t, uint16_t *scheme);
/* signature empty: it is not to be had, and the handshake fails with an alert. Goes on as crypto_tls_handshake does. */
enum crypto_tls_result crypto_tls_signed(struct crypto_tls *t, str signature);

enum crypto_tls_protocol { CRYPTO_TLS_NO_PROTOCOL, CRYPTO_TLS_HTTP1, CRYPTO_TLS_HTTP2, CRYPTO_TLS_CHALLENGE };
enum crypto_tls_protocol crypto_tls_protocol(const struct crypto_tls *t); /* that was agreed on */
bool crypto_tls_resumed(const struct crypto_tls *t);                      /* by a ticket: nothing was signed */
const char *crypto_tls_version(const struct crypto_tls *t);               /* "TLSv1.3" */

/* ---- who has the key ---- */

enum { CRYPTO_TLS_KEY_MAX = 3 << 10, CRYPTO_TLS_SIGNATURE_MAX = 512, CRYPTO_TLS_MESSAGE_MAX = 512 };
struct crypto_tls_key;
struct crypto_tls_key *crypto_tls_key_new(str pkcs8);               /* NULL: it is none */
void crypto_tls_key_free(struct crypto_tls_key *k);                 /* NULL is fine */
bool crypto_tls_key_is(const struct crypto_tls_key *k, str public); /* whose public half that is (struct crypto_chain) */
/* Bytes of out; 0: it is not what a server of TLS signs (RFC 8446 §4.4.3, RFC 8422 §5.4), or not with that key. */
[[nodiscard]] size_t crypto_tls_key_sign(struct crypto_tls_key *k, uint16_t scheme, str message,
                                         uint8_t out[CRYPTO_TLS_SIGNATURE_MAX]);

/* ---- certificates and keys of files ---- */

enum { CRYPTO_CHAIN_MAX = 10, CRYPTO_CHAIN_NAMES_MAX = 200 };
struct crypto_chain {
    str der[CRYPTO_CHAIN_MAX]; /* the own one first */
    uint32_t count;
    VEC(str) names; /* of hosts, small letters: "example.org", "*.example.org", "192.0.2.7" */
    int64_t not_before_s, not_after_s;
    bool must_staple;
    str ocsp_url; /* empty: none */
    str issuer;   /* for people */
    str public;   /* its key: a SubjectPublicKeyInfo */
};
/* PEM, as files have it; strings in out. ERR_MALFORMED, ERR_UNSUPPORTED: one that is no server's, of a weak key, or whose chain does not hang together. That it
 * holds now is another question. */
[[nodiscard]] err crypto_chain_read(arena *out, str pem, struct crypto_chain *to, struct diag *d);
/* A private key: what crypto_tls_key_new takes, and the public half as a chain has it. In out, where it is wiped by the caller. */
[[nodiscard]] err crypto_tls_key_read(arena *out, str pem, str *pkcs8, str *public, struct diag *d);
/* An OCSP answer (RFC 6960), DER: that it says of the chain's own certificate that it is good, by who signed it or whom he lets, now, and until when. */
[[nodiscard]] err crypto_ocsp_check(const struct crypto_chain *chain, str der, int64_t now_s, int64_t *until_s, struct diag *d);
/* "*.example.org" covers one label. Both small letters. */
bool crypto_name_covers(str name, str host);

#endif
