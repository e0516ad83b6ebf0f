/* wasi:http 0.3 inside the wasi room.
 *
 *   p3/fields.c   fields                       p3/body.c     bodies: inlets and outlets
 *   p3/http.c     request, response, options   p3/client.c   client.send, and handler.handle as a middleware's downstream
 *   p3/service.c  instances that serve: wasi:http/handler
 *
 *   a body that arrives   net_source ─ inlet ─┬─ feed ──> stream<u8> and future of trailers   (consume-body)
 *                                             └─ relay ─────────────┐  a message passed on as it is
 *   a body that leaves    stream<u8>, future of trailers ── drain ─ outlet ─> net_sink
 *
 * 1. A source or sink belongs to an exchange or a fetch, whose owner detaches inlet and outlet before it is gone.
 * 2. What a guest was given of an exchange's request (strings, fields) becomes its own copy when the exchange ends first.
 */
#ifndef ORLO_WASI_P3_HTTP_H
#define ORLO_WASI_P3_HTTP_H

#include "wasi/http/fields.h"
#include "wasi/p3/p3_int.h"

struct wasi3_http_types_fields {
    struct wasi_http_fields f;
};

/* ---- bodies ---- */

struct wasi_p3_outlet;
struct wasi_p3_inlet {
    struct host_instance *in;
    struct net_source *source;        /* NULL: detached */
    struct wasi_p3_feed *feed;        /* while the guest reads */
    struct wasi_p3_promise *trailers; /* until they are known */
    struct wasi_p3_outlet *relay;     /* what passes it on */
    void *keeper;                     /* referenced while the guest reads; NULL: an exchange's */
    bool over;                        /* nobody wants anything of it any more */
    struct host_note note;            /* of that */
    void (*on_over)(void *arg);       /* may be NULL; later, as host.h, 7, has it */
    void *arg;
};
/* The source's owner makes it: nobody reads yet. */
void wasi_p3_inlet_init(struct wasi_p3_inlet *i, struct host_instance *in, struct net_source *source, void (*on_over)(void *arg),
                        void *arg);
/* The source is going: who still reads gets an error. on_over is not called. */
void wasi_p3_inlet_detach(struct wasi_p3_inlet *i);

struct wasi_p3_body { /* of a message */
    enum { P3_BODY_TAKEN, P3_BODY_GUEST, P3_BODY_HOST } kind;
    struct host_stream *contents; /* GUEST: NULL: none */
    struct host_future *trailers;
    struct wasi_p3_promise *sent; /* how its transmission went */
    struct wasi_p3_inlet *inlet;  /* HOST: NULL: its owner is gone */
    void *keeper;                 /* HOST: a referenced object that the inlet is in; NULL: an exchange's */
};
void wasi_p3_body_drop(struct host_instance *in, struct wasi_p3_body *b);
void wasi_p3_body_fail(struct host_instance *in, struct wasi_p3_body *b,
                       enum net_error e); /* the same, and why it could not be sent */

struct wasi_p3_outlet {
    /* the owner's to fill in: */
    struct host_instance *in;
    struct net_sink *sink;     /* NULL: of a message that has no contents, so that only its trailers can say that it failed */
    enum net_error wrong_size; /* of a body that is not as long as its content-length says */
    bool hold_sent;            /* handed to the sink is not sent yet: wasi_p3_outlet_sent says when */
    /* Once, later (host.h, 7): all of it was handed to the sink (NET_OK), or why not; code: the guest's own error, in a trailers future,
     * without its texts. */
    void (*on_over)(void *arg, enum net_error e, const struct wasi3_http_types_error_code *code);
    void *arg;
    /* private: */
    bool contents_over, trailers_known, started, over, has_code;
    enum net_error error; /* how it ended, and that is noted */
    struct wasi3_http_types_error_code code;
    struct host_note note;
    struct wasi_p3_drain *drain;                    /* while contents come */
    struct wasi_p3_await *trailers;                 /* until they are known */
    struct wasi3_http_types_fields *trailer_fields; /* owned */
    struct wasi_p3_promise *sent;
    struct wasi_p3_inlet *inlet; /* relayed */
    void *keeper;
};
/* Takes the body. */
void wasi_p3_outlet_start(struct wasi_p3_outlet *o, struct wasi_p3_body *from);
/* A guest has let go of what it had to write: the message will never be whole. */
bool wasi_p3_outlet_forsaken(const struct wasi_p3_outlet *o);
/* With hold_sent: the message is known to have arrived, or not. */
void wasi_p3_outlet_sent(struct wasi_p3_outlet *o, enum net_error e, const struct wasi3_http_types_error_code *code);
/* The sink is going, or nobody cares any more: on_over is not called, the guest is told e. */
void wasi_p3_outlet_stop(struct wasi_p3_outlet *o, enum net_error e);

/* ---- messages ---- */

struct wasi3_http_types_request_options {
    struct app_object o;
    bool immutable;
    struct wasi_p3_option_u64 connect, first_byte, between_bytes;
};
struct wasi3_http_types_request {
    struct app_object o;
    struct host_instance *in;
    const struct net_request *net;       /* what an exchange's request is borrowed from; NULL: it is all its own */
    str method, authority, path, scheme; /* heap and charged, or borrowed with net; method as sent, scheme lower case */
    bool has_authority, has_path, has_scheme;
    bool came_with_body;                              /* of a served request: the client said that there is one */
    struct wasi3_http_types_fields *headers;          /* of a served request: NULL until asked for */
    struct wasi3_http_types_request_options *options; /* NULL: none */
    struct wasi_p3_body body;
};
struct wasi3_http_types_response {
    struct app_object o;
    uint16_t status;
    struct wasi3_http_types_fields *headers;
    struct wasi_p3_body body;
};
/* The request of an exchange, to be detached from it. NULL: over the limit. */
struct wasi3_http_types_request *wasi_p3_request_of(struct host_instance *in, const struct net_request *rq, bool https,
                                                    struct wasi_p3_inlet *inlet);
/* Before the exchange ends: what the guest still holds becomes its own. Takes the caller's reference. */
void wasi_p3_request_detach(struct wasi3_http_types_request *r);
/* The response of a fetch, which is kept while its body is wanted. NULL: over the limit. */
struct wasi3_http_types_response *wasi_p3_response_of(struct host_instance *in, const struct net_response *response,
                                                      struct wasi_p3_inlet *inlet, void *keeper);

/* A net error as wasi:http has it; its texts live as long as the process. */
void wasi_p3_error_code(enum net_error e, struct wasi3_http_types_error_code *out);
/* The other way. */
enum net_error wasi_p3_error_of(const struct wasi3_http_types_error_code *code);
enum abi_trap wasi_p3_no_memory(struct host_call *call);

#endif
