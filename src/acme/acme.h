/* acme: how a certificate is asked for (RFC 8555, RFC 9773), without I/O, without a clock, and without a key.
 *
 *   acme_new ──> WANTS ──HTTP──────> whoever may connect sends acme_request ──────> acme_answered, acme_unanswered ──┐
 *                ^     ──SIGN──────> whoever has the account's key signs acme_text ─> acme_signed ───────────────────┤
 *                │     ──MAC───────> whoever has the binding's key ─────────────────> acme_signed ───────────────────┤
 *                │     ──PROVE─────> acme_proof is to be seen at the host ──────────> acme_proven ───────────────────┤
 *                │     ──WAIT──────> acme_wait_ms ──────────────────────────────────> acme_waited ───────────────────┤
 *                └───────────────────────────────────────────────────────────────────────────────────────────────────┘
 *                      ──DONE, FAILED: acme_result
 *
 * 1. What an authority says is hearsay: sizes, depths and counts are bounded, its URLs are of the directory's own scheme, host and port, it is never followed
 *    elsewhere, and what it repeats for ever ends (ACME_STEPS_MAX).
 * 2. A certificate is of one host, and an order has one authorization, which is for that host: another one's is refused.
 * 3. What comes back is text of certificates, which nobody has read: whose they are is found out by whoever keeps them.
 */
#ifndef ORLO_ACME_H
#define ORLO_ACME_H

#include "base/base.h"

enum {
    ACME_URL_MAX = 2048,
    ACME_NONCE_MAX = 512,
    ACME_TOKEN_MAX = 256,
    ACME_THUMBPRINT = 43,
    ACME_PROOF_MAX = ACME_TOKEN_MAX + 1 + ACME_THUMBPRINT,
    ACME_BODY_MAX = 64 << 10,  /* of an answer */
    ACME_CHAIN_MAX = 48 << 10, /* of certificates as text */
    ACME_CHAIN_CERTS_MAX = 8,
    ACME_CERTIFICATE_MAX = 256, /* a certificate's name for renewal information (RFC 9773 §4.1) */
    ACME_WHY_MAX = 600,
    ACME_PUBLIC_BYTES = 65,
    ACME_STEPS_MAX = 120 /* requests in one dialogue */
};

enum acme_challenge { ACME_HTTP_01, ACME_TLS_ALPN_01, ACME_CHALLENGES };

struct acme_config {
    str directory;                     /* its URL */
    str account;                       /* the account's, or empty: it is made, or found by its key */
    uint8_t public[ACME_PUBLIC_BYTES]; /* of the account's key: P-256, 4, x, y */
    str email;                         /* empty: none */
    bool terms;                        /* they are agreed to */
    str binding;                       /* the key identifier of an external account; empty: none */
    str host;                          /* as the DNS has it, small letters */
    enum acme_challenge challenge;     /* which is liked best */
    bool either;                       /* the other one will do, too */
    str request;                       /* a CSR for the host, DER; empty: it is asked for renewal information alone */
    str certificate;                   /* whose renewal information, or which is replaced; empty: none */
    uint64_t chance;                   /* for pauses */
};

enum acme_wants {
    ACME_WANTS_HTTP,
    ACME_WANTS_SIGN,
    ACME_WANTS_MAC,
    ACME_WANTS_PROVE,
    ACME_WANTS_WAIT,
    ACME_WANTS_DONE,
    ACME_WANTS_FAILED
};

struct acme;
struct acme *acme_new(const struct acme_config *c); /* copies it */
void acme_free(struct acme *a);                     /* NULL is fine */
enum acme_wants acme_wants(const struct acme *a);

/* Borrowed, as all that follows, until the next word to it. */
struct acme_request {
    str method; /* GET, HEAD, POST: then body is application/jose+json */
    str path;   /* of the directory's scheme and authority */
    str body;
    bool pem; /* Accept: application/pem-certificate-chain */
};
struct acme_request acme_request(const struct acme *a);
str acme_scheme(const struct acme *a);    /* "https" */
str acme_authority(const struct acme *a); /* "acme.example.org:14000" */
struct acme_answer {
    uint32_t status;
    str nonce, location, retry_after; /* as the fields have it; empty: none */
    str body;
    bool cut; /* it was longer than ACME_BODY_MAX */
};
void acme_answered(struct acme *a, const struct acme_answer *answer, uint64_t now_s);
void acme_unanswered(struct acme *a, str why);

str acme_text(const struct acme *a);             /* to be signed (ES256), or authenticated (HS256) */
void acme_signed(struct acme *a, str signature); /* empty: it is not to be had */

struct acme_proof {
    enum acme_challenge challenge;
    str token, text; /* the key authorization */
};
struct acme_proof acme_proof(const struct acme *a);
void acme_proven(struct acme *a, str why); /* empty: it can be seen */

uint64_t acme_wait_ms(const struct acme *a);
void acme_waited(struct acme *a);

enum acme_fault {
    ACME_FAULT_NONE,
    ACME_FAULT_AWAY,    /* the authority does not answer, or not as one does */
    ACME_FAULT_LATER,   /* not now: it says when (retry_s), or that it is too much */
    ACME_FAULT_HOST,    /* the host did not pass, or it makes none for this one */
    ACME_FAULT_ACCOUNT, /* the account, its terms or its binding */
    ACME_FAULT_OWN      /* something here */
};
struct acme_result {
    enum acme_fault fault;
    str why; /* for people: the authority's problem document in words */
    uint64_t retry_s;
    str account;           /* the account's URL, once it is known; empty with FAULT_ACCOUNT where it is known no more */
    str chain;             /* PEM, the own one first */
    uint64_t from_s, to_s; /* when it is to be renewed, since 1970; 0: it does not say */
    str explained;         /* a URL: why then */
    bool informs;          /* it has renewal information at all */
};
struct acme_result acme_result(const struct acme *a);

/* "https://acme.example.org/directory". False: it is none that may be asked. */
[[nodiscard]] bool acme_url_is(str url);
/* Seconds: "120", or "Fri, 31 Dec 1999 23:59:59 GMT". 0: neither; at most a month. */
uint64_t acme_retry_after_s(str text, uint64_t now_s);
/* "2026-12-01T01:02:03Z", with fractions and offsets as RFC 3339 has them. False: it is none. */
[[nodiscard]] bool acme_time(str text, uint64_t *s);
/* RFC 9773 §4.1, of the key identifier of who signed it and of its serial number, as a certificate has them. */
bool acme_certificate_name(str key_identifier, str serial, char out[ACME_CERTIFICATE_MAX]);
/* RFC 4648 §5, without padding. */
void acme_base64url(struct buf *to, str bytes);
/* The certificates of a text: bounded, and nothing but them. In out, DER; 0: it is none. */
uint32_t acme_chain_read(arena *out, str pem, str der[ACME_CHAIN_CERTS_MAX]);

#endif
