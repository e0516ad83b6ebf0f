/* p2: wasi:sockets/tcp and tcp-create-socket.
 *
 * 1. A half (of a connection) is what a stream holds: it shuts its direction when the stream is dropped, and keeps the socket.
 * 2. bind and listen are done when they are started; finishing them has nothing left to wait for. */
#include "wasi/p2/sock.h"

struct wasi_sockets_tcp_tcp_socket {
    struct wasi_sock s; /* must be first */
    enum wasi_p2_sock_op op;
    struct net_wait wait;
};
typedef struct wasi_sockets_tcp_tcp_socket tcp_socket;
typedef struct wasi_p2_result_void_sockets_network_error_code result_void;

enum abi_trap wasi_sockets_tcp_create_socket_create_tcp_socket(
    struct host_call *call, enum wasi_sockets_network_ip_address_family address_family,
    struct wasi_p2_result_sockets_tcp_tcp_socket_sockets_network_error_code *result) {
    bool v6 = address_family == WASI_SOCKETS_NETWORK_IP_ADDRESS_FAMILY_IPV6;
    return P2_SOCK_SAY(result, wasi_sock_new(call->instance, sizeof(tcp_socket), NET_SOCK_TCP, v6, &result->ok));
}
void wasi_sockets_tcp_tcp_socket_drop(struct host_instance *in, tcp_socket *self) { app_object_unref(in, self); }

/* ---- start and finish ---- */

static enum net_sock_error start(tcp_socket *t, enum wasi_p2_sock_op op, enum net_sock_error done) {
    if (done == NET_SOCK_OK) t->op = op;
    return done;
}
static enum net_sock_error finish(tcp_socket *t, enum wasi_p2_sock_op op) {
    if (t->op != op) return NET_SOCK_NOT_IN_PROGRESS;
    t->op = P2_SOCK_IDLE;
    return NET_SOCK_OK;
}
#define BUSY(self, result)                                                                                                       \
    if ((self)->op != P2_SOCK_IDLE) return P2_SOCK_SAY(result, NET_SOCK_CONCURRENCY_CONFLICT)

enum abi_trap wasi_sockets_tcp_tcp_socket_start_bind(struct host_call *call, tcp_socket *self,
                                                     struct wasi_sockets_network_network *network,
                                                     const struct wasi_sockets_network_ip_socket_address *local_address,
                                                     result_void *result) {
    BUSY(self, result);
    struct net_addr a = SOCK_ADDR(local_address);
    return P2_SOCK_SAY(result, start(self, P2_SOCK_BIND, wasi_sock_bind(&self->s, &a)));
}
enum abi_trap wasi_sockets_tcp_tcp_socket_finish_bind(struct host_call *call, tcp_socket *self, result_void *result) {
    return P2_SOCK_SAY(result, finish(self, P2_SOCK_BIND));
}

enum abi_trap wasi_sockets_tcp_tcp_socket_start_listen(struct host_call *call, tcp_socket *self, result_void *result) {
    BUSY(self, result);
    enum net_sock_error e = self->s.state == SOCK_NEW && !self->s.bound ? NET_SOCK_INVALID_STATE : wasi_sock_tcp_listen(&self->s);
    return P2_SOCK_SAY(result, start(self, P2_SOCK_LISTEN, e));
}
enum abi_trap wasi_sockets_tcp_tcp_socket_finish_listen(struct host_call *call, tcp_socket *self, result_void *result) {
    return P2_SOCK_SAY(result, finish(self, P2_SOCK_LISTEN));
}

enum abi_trap wasi_sockets_tcp_tcp_socket_start_connect(struct host_call *call, tcp_socket *self,
                                                        struct wasi_sockets_network_network *network,
                                                        const struct wasi_sockets_network_ip_socket_address *remote_address,
                                                        result_void *result) {
    BUSY(self, result);
    struct net_addr a = SOCK_ADDR(remote_address);
    return P2_SOCK_SAY(result, start(self, P2_SOCK_CONNECT, wasi_sock_tcp_connect(&self->s, &a)));
}

/* ---- streams ---- */

struct half {
    struct app_object o;
    struct wasi_sock *s; /* referenced */
    bool sends;
    struct net_wait wait;
};

static void half_destroy(struct host_instance *in, void *self) {
    struct half *h = self;
    net_wait_cancel(&h->wait);
    wasi_sock_tcp_shut(h->s, !h->sends, h->sends);
    app_object_unref(in, h->s);
}

/* What a stream says of e: an error, or NULL where it is just closed. */
static struct wasi_io_error_error *stream_error(struct host_instance *in, enum net_sock_error e) {
    struct wasi_io_error_error *error = e == NET_SOCK_CONNECTION_BROKEN ? NULL : wasi_p2_error(in, NET_OK, 0);
    if (error) error->text = str_c(net_sock_error_text(e));
    return error;
}

static void wait_for(struct half *h, struct engine_fiber *f) {
    if (f) net_sock_wait(h->s->sock, h->sends ? NET_WRITABLE : NET_READABLE, &h->wait, wasi_p2_wake, f);
    else net_wait_cancel(&h->wait);
}

static enum net_flow tcp_read(struct wasi_io_streams_input_stream *s, void *p, size_t n, size_t *got,
                              struct wasi_io_error_error **e) {
    struct half *h = s->origin;
    if (h->s->shut_receiving) return NET_FLOW_END;
    enum net_sock_error error = net_sock_receive(h->s->sock, p, n, got);
    if (error == NET_SOCK_OK) return *got ? NET_FLOW_DATA : NET_FLOW_END;
    if (error == NET_SOCK_WOULD_BLOCK) return NET_FLOW_WAIT;
    *e = stream_error(s->in, error);
    return NET_FLOW_FAILED;
}
static bool tcp_readable(void *stream) {
    struct half *h = ((struct wasi_io_streams_input_stream *)stream)->origin;
    return h->s->shut_receiving || net_sock_ready(h->s->sock, NET_READABLE);
}
static void tcp_await_read(void *stream, struct engine_fiber *f) {
    wait_for(((struct wasi_io_streams_input_stream *)stream)->origin, f);
}
static const struct wasi_p2_source tcp_source = {tcp_read, {tcp_readable, tcp_await_read}};

static size_t tcp_room(struct wasi_io_streams_output_stream *s) {
    struct half *h = s->origin;
    return h->s->shut_sending ? 0 : net_sock_room(h->s->sock);
}
static bool tcp_write(struct wasi_io_streams_output_stream *s, str bytes, struct wasi_io_error_error **e) {
    struct half *h = s->origin;
    enum net_sock_error error = net_sock_write(h->s->sock, bytes);
    if (error != NET_SOCK_OK) *e = stream_error(s->in, error);
    return error == NET_SOCK_OK;
}
static enum wasi_p2_state tcp_write_state(struct wasi_io_streams_output_stream *s, struct wasi_io_error_error **e) {
    struct half *h = s->origin;
    enum net_sock_error error = net_sock_queue_error(h->s->sock);
    if (error == NET_SOCK_OK) return h->s->shut_sending ? P2_CLOSED : P2_OPEN;
    *e = stream_error(s->in, error);
    return P2_FAILED;
}
static bool tcp_writable(void *stream) {
    struct wasi_io_error_error *e = NULL;
    struct wasi_io_streams_output_stream *s = stream;
    bool ready = tcp_room(s) || tcp_write_state(s, &e) != P2_OPEN;
    app_object_unref(s->in, e);
    return ready;
}
static void tcp_await_write(void *stream, struct engine_fiber *f) {
    wait_for(((struct wasi_io_streams_output_stream *)stream)->origin, f);
}
static const struct wasi_p2_sink tcp_sink = {tcp_room, tcp_write, tcp_write_state, {tcp_writable, tcp_await_write}};

static struct half *new_half(struct wasi_sock *s, bool sends) {
    struct half *h = app_object_new(s->in, sizeof *h, half_destroy);
    if (!h) return NULL;
    h->s = app_object_ref(s);
    h->sends = sends;
    return h;
}

/* Both streams of a connection. */
static enum abi_trap streams(struct host_call *call, struct wasi_sock *s, struct wasi_io_streams_input_stream **in,
                             struct wasi_io_streams_output_stream **out) {
    struct half *reads = new_half(s, false), *writes = new_half(s, true);
    enum abi_trap t = reads && writes ? wasi_p2_input_stream(call, &tcp_source, reads, in)
                                      : host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "too many streams");
    if (!t) {
        t = wasi_p2_output_stream(call, &tcp_sink, writes, out);
        if (t) app_object_unref(s->in, *in);
    }
    app_object_unref(s->in, reads);
    app_object_unref(s->in, writes);
    return t;
}

enum abi_trap wasi_sockets_tcp_tcp_socket_finish_connect(
    struct host_call *call, tcp_socket *self,
    struct wasi_p2_result_tuple2_io_streams_input_stream_io_streams_output_stream_sockets_network_error_code *result) {
    enum net_sock_error e = self->op == P2_SOCK_CONNECT ? wasi_sock_tcp_connected(&self->s) : NET_SOCK_NOT_IN_PROGRESS;
    if (e != NET_SOCK_WOULD_BLOCK && e != NET_SOCK_NOT_IN_PROGRESS) self->op = P2_SOCK_IDLE;
    if (e != NET_SOCK_OK) return P2_SOCK_SAY(result, e);
    return streams(call, &self->s, &result->ok.f0, &result->ok.f1);
}

enum abi_trap wasi_sockets_tcp_tcp_socket_accept(
    struct host_call *call, tcp_socket *self,
    struct
    wasi_p2_result_tuple3_sockets_tcp_tcp_socket_io_streams_input_stream_io_streams_output_stream_sockets_network_error_code
        *result) {
    tcp_socket *made = NULL;
    enum net_sock_error e =
        self->op == P2_SOCK_LISTEN ? NET_SOCK_INVALID_STATE : wasi_sock_tcp_accept(&self->s, sizeof *made, &made);
    if (e != NET_SOCK_OK) return P2_SOCK_SAY(result, e);
    enum abi_trap t = streams(call, &made->s, &result->ok.f1, &result->ok.f2);
    if (t) app_object_unref(call->instance, made);
    else result->ok.f0 = made;
    return t;
}

enum abi_trap wasi_sockets_tcp_tcp_socket_shutdown(struct host_call *call, tcp_socket *self,
                                                   enum wasi_sockets_tcp_shutdown_type shutdown_type, result_void *result) {
    if (self->s.state != SOCK_CONNECTED)
        return P2_SOCK_SAY(result, self->s.state == SOCK_CLOSED ? self->s.why : NET_SOCK_INVALID_STATE);
    wasi_sock_tcp_shut(&self->s, shutdown_type != WASI_SOCKETS_TCP_SHUTDOWN_TYPE_SEND,
                       shutdown_type != WASI_SOCKETS_TCP_SHUTDOWN_TYPE_RECEIVE);
    return P2_SOCK_SAY(result, NET_SOCK_OK);
}

/* ---- readiness ---- */

static bool socket_ready(void *object) {
    tcp_socket *t = object;
    if (t->s.state == SOCK_CONNECTING) return !wasi_sock_tcp_connecting(&t->s);
    return t->op != P2_SOCK_IDLE || t->s.state != SOCK_LISTENING || net_sock_ready(t->s.sock, NET_READABLE);
}
static void socket_listen(void *object, struct engine_fiber *f) {
    tcp_socket *t = object;
    if (f) net_sock_wait(t->s.sock, t->s.state == SOCK_CONNECTING ? NET_WRITABLE : NET_READABLE, &t->wait, wasi_p2_wake, f);
    else net_wait_cancel(&t->wait);
}
static const struct wasi_p2_event socket_event = {socket_ready, socket_listen};

enum abi_trap wasi_sockets_tcp_tcp_socket_subscribe(struct host_call *call, tcp_socket *self,
                                                    struct wasi_io_poll_pollable **result) {
    return wasi_p2_pollable(call, &socket_event, self, result);
}

/* ---- properties ---- */

enum abi_trap wasi_sockets_tcp_tcp_socket_is_listening(struct host_call *call, tcp_socket *self, bool *result) {
    *result = self->s.state == SOCK_LISTENING && self->op != P2_SOCK_LISTEN;
    return ABI_TRAP_NONE;
}
enum abi_trap wasi_sockets_tcp_tcp_socket_set_listen_backlog_size(struct host_call *call, tcp_socket *self, uint64_t value,
                                                                  result_void *result) {
    return P2_SOCK_SAY(result, wasi_sock_tcp_set_backlog(&self->s, value));
}
P2_SOCK_FAMILY(wasi_sockets_tcp_tcp_socket)
P2_SOCK_ADDRESS(wasi_sockets_tcp_tcp_socket, local_address, wasi_sock_local)
P2_SOCK_ADDRESS(wasi_sockets_tcp_tcp_socket, remote_address, wasi_sock_remote)
#define OPTION(name, option, type, r)                                                                                            \
    P2_SOCK_OPTION(wasi_sockets_tcp_tcp_socket, name, option, type, wasi_p2_result_##r##_sockets_network_error_code)
#include "wasi/sock/tcp_option.def"
#undef OPTION
