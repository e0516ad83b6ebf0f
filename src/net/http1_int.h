/* http1's own: character classes and the field line, shared by heads and trailers. */
#ifndef ORLO_NET_HTTP1_INT_H
#define ORLO_NET_HTTP1_INT_H

#include "net/http1.h"

enum {
    CLASS_TOKEN = 1,  /* tchar, RFC 9110 §5.6.2 */
    CLASS_TARGET = 2, /* visible ASCII but '#': what a request-target may hold */
    CLASS_HOST = 4,   /* reg-name and IP-literal, RFC 3986 §3.2.2, and ':' */
    CLASS_HEX = 8,
    CLASS_TEXT = 16, /* field content: visible, obs-text, SP, HTAB (RFC 9110 §5.5) */
};
extern const uint8_t http1_class[256];

/* Index of the first byte at or after i that is not CLASS_TEXT, or n. */
size_t http1_scan_text(const uint8_t *p, size_t i, size_t n);
/* One field line at p[*i], which is not the empty line. DONE: *field set, *i behind its CRLF. ERROR: *why. */
enum http1_result http1_field_line(const uint8_t *p, size_t n, size_t *i, struct net_field *field, const char **why);

/* uri-host [ ":" port ]; userinfo is refused (RFC 9110 §4.2.4). */
bool http1_authority_ok(str a, bool port_needed);
void http1_see_coding(struct http1_codings *c, str value);

static inline uint8_t http1_lower(uint8_t c) { return c >= 'A' && c <= 'Z' ? c | 0x20 : c; }
/* lit is lower case and as long as p. */
static inline bool http1_is(const uint8_t *p, const char *lit, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (http1_lower(p[i]) != (uint8_t)lit[i]) return false;
    return true;
}
#define HTTP1_IS(s, lit) ((s).n == sizeof(lit) - 1 && http1_is((s).p, lit, sizeof(lit) - 1))

#endif
