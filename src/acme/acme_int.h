/* Inside src/acme. */
#ifndef ORLO_ACME_INT_H
#define ORLO_ACME_INT_H

#include "acme/acme.h"

/* jose.c */
void acme_jwk(struct buf *to, const uint8_t public[ACME_PUBLIC_BYTES]); /* as a thumbprint has it (RFC 7638) */
void acme_thumbprint(const uint8_t public[ACME_PUBLIC_BYTES], char out[ACME_THUMBPRINT + 1]);
/* What is signed: "HEADER.PAYLOAD". kid, nonce: empty: none; jwk: instead of kid. */
struct acme_jws {
    str algorithm, kid, jwk, nonce, url, payload;
};
void acme_jws_begin(struct buf *to, const struct acme_jws *j);
void acme_jws_end(struct buf *to, str begun, str signature); /* flattened JSON (RFC 7515 §7.2.2) */

/* text.c */
bool acme_token_is(str s, size_t n_min, size_t n_max); /* letters of base64url, and no others */
bool acme_url_parts(str url, str *scheme, str *authority, str *path);
/* "HTTP 403: unauthorized: Invalid response from http://…"; what no terminal shows is left out. */
struct json;
void acme_problem(struct buf *to, const struct json *problem, uint32_t status);

#endif
