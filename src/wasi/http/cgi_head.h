/* cgi_head: the header that a CGI program writes, read from any split of its bytes (RFC 3875 §6). No I/O. */
#ifndef ORLO_WASI_CGI_HEAD_H
#define ORLO_WASI_CGI_HEAD_H

#include "net/http.h"

/* What a program is told that answers without one. */
#define CGI_HEAD_HINT "print Content-Type and an empty line first, then the body"

struct wasi_cgi_head {
    struct buf bytes; /* as written, up to and with the empty line; the caller sets max, and frees */
    uint16_t status;
    VEC(struct net_field) fields; /* borrow `bytes` */
    str local; /* a Location alone, with a path on this server: the request is to be made there (§6.2.2); else empty */
};

enum wasi_cgi_result {
    CGI_MORE, /* the empty line has not come yet */
    CGI_DONE, /* status and fields are there; *used bytes of the input belonged to the header */
    CGI_BAD,  /* *why says what is wrong */
};
/* Takes more of what the program wrote. Not to be called again after DONE or BAD. */
enum wasi_cgi_result wasi_cgi_head_feed(struct wasi_cgi_head *h, arena *mem, str in, size_t *used, const char **why);

#endif
