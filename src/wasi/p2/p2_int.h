/* WASI 0.2 inside the wasi room: what its interfaces share.
 *
 *   p2.c       a component's run: incoming-handler, cli/run
 *   io.c       error, poll, streams                cli.c      environment, exit, standard streams, terminals
 *   clock.c    clocks, random                      fields.c   fields, over http/fields.c
 *   http.c     messages and bodies                 fetch.c    outgoing-handler
 *   fs.c       descriptors and paths               fs_io.c    the bytes of files
 *   network.c  networks, names                     tcp.c, udp.c  sockets
 *
 * 1. Every resource is a struct app_object.
 * 2. A drop touches the exchange only while the run is going on (wasi_p2_going).
 * 3. What waits, waits on a fiber: an object is asked `ready`, and told whom to wake.
 */
#ifndef ORLO_WASI_P2_INT_H
#define ORLO_WASI_P2_INT_H

#include "wasi/http/outgoing.h"
#include "wasi/wasi_int.h"
#include "wasi_p2.h"

/* Whether the guest that has these objects still runs: else the exchange is none of theirs. */
static inline bool wasi_p2_going(struct host_instance *in) {
    const struct wasi_instance *i = wasi_instance_of(in);
    return i && !(i->run ? i->run->ended : host_instance_dead(in));
}

/* ---- waiting ---- */

/* What a pollable looks at. */
struct wasi_p2_event {
    bool (*ready)(void *object);
    void (*listen)(void *object, struct engine_fiber *f); /* wake f on a change, until told NULL */
};
struct wasi_io_poll_pollable {
    struct app_object o;
    const struct wasi_p2_event *event;
    void *object; /* referenced */
};
enum abi_trap wasi_p2_pollable(struct host_call *call, const struct wasi_p2_event *event, void *object,
                               struct wasi_io_poll_pollable **out);
/* Parks until ready. False: the run was killed. */
bool wasi_p2_wait(struct wasi_instance *i, const struct wasi_p2_event *event, void *object);
void wasi_p2_wake(void *fiber); /* engine_ready, as a callback */

/* ---- errors ---- */

struct wasi_io_error_error {
    struct app_object o;
    enum net_error net; /* NET_OK: not of HTTP */
    int host_errno;     /* 0: not of a file */
    str text;           /* static */
};
struct wasi_io_error_error *wasi_p2_error(struct host_instance *in, enum net_error net, int host_errno);

/* ---- streams ---- */

enum wasi_p2_state { P2_OPEN, P2_CLOSED, P2_FAILED };

/* Where a stream's bytes come from. read: WAIT and END leave *got 0; FAILED sets *e. */
struct wasi_p2_source {
    enum net_flow (*read)(struct wasi_io_streams_input_stream *s, void *p, size_t n, size_t *got, struct wasi_io_error_error **e);
    struct wasi_p2_event event; /* on the stream */
};
struct wasi_io_streams_input_stream {
    struct app_object o;
    struct host_instance *in;
    const struct wasi_p2_source *source;
    void *origin; /* referenced; may be NULL */
    bool closed;
    int fd;          /* of standard input */
    uint64_t offset; /* of files */
    struct net_source *body;
    struct wasi_std_watch *watch;
    struct net_loop *loop;
};
enum abi_trap wasi_p2_input_stream(struct host_call *call, const struct wasi_p2_source *source, void *origin,
                                   struct wasi_io_streams_input_stream **out);
extern const struct wasi_p2_source wasi_p2_source_body, wasi_p2_source_fd, wasi_p2_source_empty;

/* Where a stream's bytes go. room 0 with NONE pending error: wait. */
struct wasi_p2_sink {
    size_t (*room)(struct wasi_io_streams_output_stream *s);
    /* All of bytes (at most room). False: failed, *e says why (NULL: it was closed). */
    bool (*write)(struct wasi_io_streams_output_stream *s, str bytes, struct wasi_io_error_error **e);
    /* Whether it can take no more for good. */
    enum wasi_p2_state (*state)(struct wasi_io_streams_output_stream *s, struct wasi_io_error_error **e);
    struct wasi_p2_event event;
};
struct wasi_io_streams_output_stream {
    struct app_object o;
    struct host_instance *in;
    const struct wasi_p2_sink *sink;
    void *origin; /* referenced; may be NULL */
    bool closed;
    uint64_t permit; /* what check-write allowed and was not yet written */
    uint64_t offset;
    bool append;
};
enum abi_trap wasi_p2_output_stream(struct host_call *call, const struct wasi_p2_sink *sink, void *origin,
                                    struct wasi_io_streams_output_stream **out);

/* ---- bodies ---- */

/* A body that a guest writes: of its response, or of a request of its own. Bytes wait in `pending` until the message is sent, and until
 * the sink has room for them. Without a message there is no room that could come: what is too much then is an error. */
struct wasi_http_types_outgoing_body {
    struct app_object o;
    struct host_instance *in;
    struct net_sink *sink; /* NULL until the message is sent */
    struct buf pending;    /* its bytes are charged */
    size_t pending_sent;   /* of them */
    bool response;         /* of one; else of a request */
    bool bodiless;         /* of a response that has no body by rule, whatever its content-length says */
    bool stream_taken, finished, ended, has_length, abandoned; /* ended: the sink knows that it has finished */
    uint64_t length, written;                                  /* declared content-length; bytes so far */
    struct wasi_http_types_fields *trailer_fields;
    void *origin;                 /* referenced: what owns the sink */
    void (*wants_out)(void *arg); /* request: bytes or the end are there, or it never will be whole; arg is wants_out_arg */
    void *wants_out_arg;
    struct engine_fiber *waiter;
    struct app_late late; /* of a request: it is kept until all of it is in the sink, whoever lets go of it */
    bool kept;
    enum net_error error;
};
struct wasi_http_types_outgoing_body *wasi_p2_body_new(struct host_instance *in, const struct wasi_http_types_fields *headers,
                                                       bool response);
/* The message's head went out: the body's bytes go to sink from now on. origin: what the sink lives in; NULL: the run's exchange. */
void wasi_p2_body_attach(struct wasi_http_types_outgoing_body *b, struct net_sink *sink, void *origin);
/* Waits until a finished body is in its sink. False: the run was killed. */
bool wasi_p2_body_flush(struct wasi_run *run, struct wasi_http_types_outgoing_body *b);

/* A body that arrives. */
struct wasi_http_types_incoming_body {
    struct app_object o;
    struct host_instance *in;
    struct net_source *source;
    bool stream_taken;
    void *origin; /* referenced: what owns source; NULL: the exchange */
};

struct wasi_http_types_incoming_request {
    struct app_object o;
    struct net_exchange *exchange;
    const struct net_request *request;
    bool https, consumed;
};
struct wasi_http_types_outgoing_response {
    struct app_object o;
    uint16_t status;
    struct wasi_http_types_fields *headers;
    struct wasi_http_types_outgoing_body *body;
};
struct wasi_http_types_response_outparam {
    struct app_object o;
    struct net_exchange *exchange;
};
struct wasi_http_types_outgoing_request {
    struct app_object o;
    str method, authority, path; /* heap; authority and path as set */
    bool has_authority, has_path, has_scheme;
    struct wasi_http_types_scheme scheme;
    str scheme_other;
    struct wasi_http_types_fields *headers;
    struct wasi_http_types_outgoing_body *body;
};
struct wasi_http_types_request_options {
    struct app_object o;
    struct wasi_p2_option_u64 connect, first_byte, between_bytes;
};
/* A request of the guest's under way. */
struct wasi_p2_fetch {
    struct app_object o;
    struct host_instance *in;
    struct net_fetch *fetch;                          /* NULL until the head is sent */
    struct wasi_http_types_outgoing_request *request; /* referenced, until then */
    struct wasi_http_types_outgoing_body *body;       /* referenced; NULL: none */
    struct wasi_http_types_request_options *options;  /* referenced; may be NULL */
    enum net_error error;                             /* it could not even be sent */
    struct engine_fiber *waiter;
    struct app_request *served; /* for which it is sent, referenced */
    struct wasi_outgoing seen;
    bool taken; /* its response was handed out */
};
struct net_source *wasi_p2_fetch_source(struct wasi_p2_fetch *f);

struct wasi_http_types_incoming_response {
    struct app_object o;
    struct wasi_p2_fetch *fetch; /* referenced */
    const struct net_response *response;
    bool consumed;
};

/* A net error as wasi:http has it; text lives as long as the process. */
void wasi_p2_error_code(enum net_error e, struct wasi_http_types_error_code *out);
str wasi_p2_method_text(const struct wasi_http_types_method *m);
void wasi_p2_method_of(str text, struct wasi_http_types_method *out);

/* What a run remembers of the response that its guest makes; run->state. */
struct wasi_p2_served {
    bool answered;                              /* the outparam was set */
    struct wasi_http_types_outgoing_body *body; /* of the response, referenced; NULL: none was taken */
};

#endif
