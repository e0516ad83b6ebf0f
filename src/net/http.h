/* http: the words that every version of HTTP has: fields, tokens, statuses, failures. */
#ifndef ORLO_NET_HTTP_H
#define ORLO_NET_HTTP_H

#include "base/base.h"

struct net_field {
    str name, value; /* as on the wire: case kept, value without surrounding whitespace */
};
bool net_field_name_ok(str name);   /* a token (RFC 9110 §5.1) */
bool net_field_value_ok(str value); /* no CR, LF, NUL or other control but HTAB (RFC 9110 §5.5) */
bool net_fields_ok(const struct net_field *fields, uint32_t count);
bool net_token_ok(str s); /* as a method is spelled */

/* Failures of HTTP, ours or a peer's, as wasi:http's error-code names them. */
enum net_error {
    NET_OK,
#define X(name, wit, text) NET_##name,
#include "net/http_error.def"
#undef X
    NET_ERROR_COUNT
};
const char *net_error_text(enum net_error e);
const char *net_error_wit(enum net_error e);

/* Whether a response to that method with that status ends with its head, whatever its fields say (RFC 9112 §6.3). */
bool net_response_bodiless(str method, uint16_t status);

/* Standard reason phrase; "" if unknown. */
const char *net_status_text(uint16_t status);

#endif
