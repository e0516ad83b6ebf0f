/* client: HTTP of ours to others: HTTP/1.1, plain and over TLS. A fetch is one request and its response. */
#ifndef ORLO_NET_CLIENT_H
#define ORLO_NET_CLIENT_H

#include "net/addr.h"
#include "net/flow.h"
#include "net/loop.h"

struct net_client;
struct net_fetch;

struct net_client_config {
    struct net_loop *loop;
    struct net_party *party;          /* for whom names are looked up; it outlives the client */
    uint32_t connections_max;         /* open at once, over all hosts; 256; who comes then waits */
    uint32_t idle_max;                /* kept for reuse; 64 */
    str ca_file;                      /* PEM; empty: the system's */
    bool trust_now;                   /* it is read at once, and not when it is first needed: there may be no way to it then */
    const char *cert_file, *key_file; /* PEM: what is shown to who asks for a certificate; NULL: none. Borrowed */
    /* Where connections come from, whatever a request's authority says: a connected stream socket, which is the client's from then on; -1:
     * errno says why there is none. NULL: the network. */
    int (*open)(void *arg);
    void *open_arg;
};
[[nodiscard]] err net_client_new(const struct net_client_config *config, struct net_client **out, struct diag *d);
void net_client_free(struct net_client *c); /* its fetches must have been freed */

/* Requests in flight on behalf of one owner (an app, an instance): a counter with a cap, kept by the caller. */
struct net_quota {
    uint32_t used, max;   /* max 0: no cap */
    struct net_quota *of; /* in which they count, too; NULL: in none */
};
/* False: it is full, or one that it is of is. */
[[nodiscard]] bool net_quota_take(struct net_quota *q);
void net_quota_give(struct net_quota *q);

struct net_fetch_request {
    str method, scheme, authority, path; /* scheme http or https; path with query, empty is "/" */
    const struct net_field
        *fields; /* sent in this order and case; Host comes from authority unless given; none is added but framing */
    uint32_t fields_count;
    bool has_body; /* the body will be written to net_fetch_sink; its content-length is read from fields, else chunked */
    uint32_t connect_ms_max;       /* 0: 30,000 */
    uint32_t first_byte_ms_max;    /* 0: 60,000; from the end of connecting */
    uint32_t between_bytes_ms_max; /* 0: 60,000; while the reader wants bytes; of the upload after the response has begun */
    uint32_t head_bytes_max;       /* 0: 64 KiB, of the response */
    struct net_quota *quota;       /* NULL: none; not looked at after net_fetch_free */
    /* False: the address may not be connected to for this authority (DESTINATION_IP_PROHIBITED). Asked of every address before it is
     * connected to, and of a connection that is used again. NULL: all may. */
    bool (*allow_address)(void *arg, str authority, const struct net_addr *address);
    void *allow_address_arg;
};
/* What a fetch holds at most: 80 KiB of its response, 64 KiB of its body, heads of 64 KiB each, TLS. For who counts. */
enum { NET_FETCH_BYTES_MAX = 320 << 10 };
/* Everything of rq is copied. Failures (even a full quota) come as the fetch's error; only what cannot be sent at all is returned, *out NULL:
 * HTTP_REQUEST_METHOD_INVALID, HTTP_REQUEST_URI_INVALID, HTTP_PROTOCOL_ERROR (a field), HTTP_REQUEST_BODY_SIZE (a content-length that is
 * none, or announces what has_body denies). on_change(arg): the head arrived, or the fetch came to its end. */
[[nodiscard]] enum net_error net_fetch_new(struct net_client *c, const struct net_fetch_request *rq, void (*on_change)(void *arg),
                                           void *arg, struct net_fetch **out);
void net_fetch_free(struct net_fetch *f); /* cancels what is under way; from any callback too */

struct net_response {
    uint16_t status;
    const struct net_field *fields; /* in order; for HTTP/1.1 case kept */
    uint32_t fields_count;
};
/* NULL while it has not come, or never will (net_fetch_error). Borrows until net_fetch_free. */
const struct net_response *net_fetch_response(const struct net_fetch *f);
enum net_error net_fetch_error(const struct net_fetch *f); /* NET_OK: none so far */
str net_fetch_error_text(const struct net_fetch *f);       /* for a log, e.g. "Could not resolve host: x" */
str net_fetch_scheme(const struct net_fetch *f);           /* of the request */
str net_fetch_authority(const struct net_fetch *f);
/* The last address that allow_address turned down; NULL: none. */
const struct net_addr *net_fetch_prohibited(const struct net_fetch *f);
struct net_source *net_fetch_source(struct net_fetch *f); /* the response's body */
struct net_sink *net_fetch_sink(struct net_fetch *f);     /* the request's body; may outlast the response */

#endif
