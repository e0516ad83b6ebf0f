/* p2: wasi:sockets/udp and udp-create-socket. Only the streams that `stream` returned last work; older ones are in no state to. */
#include "wasi/p2/sock.h"

enum { DATAGRAMS_MAX = 16 /* of one call */ };

struct wasi_sockets_udp_udp_socket {
    struct wasi_sock s; /* must be first */
    enum wasi_p2_sock_op op;
    uint32_t generation; /* of streams */
};
typedef struct wasi_sockets_udp_udp_socket udp_socket;
typedef struct wasi_p2_result_void_sockets_network_error_code result_void;

struct direction {
    struct app_object o;
    udp_socket *u; /* referenced */
    uint32_t generation;
    uint64_t permit; /* what check-send allowed */
    struct net_wait wait;
};
struct wasi_sockets_udp_incoming_datagram_stream {
    struct direction d;
};
struct wasi_sockets_udp_outgoing_datagram_stream {
    struct direction d;
};

enum abi_trap wasi_sockets_udp_create_socket_create_udp_socket(
    struct host_call *call, enum wasi_sockets_network_ip_address_family address_family,
    struct wasi_p2_result_sockets_udp_udp_socket_sockets_network_error_code *result) {
    bool v6 = address_family == WASI_SOCKETS_NETWORK_IP_ADDRESS_FAMILY_IPV6;
    return P2_SOCK_SAY(result, wasi_sock_new(call->instance, sizeof(udp_socket), NET_SOCK_UDP, v6, &result->ok));
}
void wasi_sockets_udp_udp_socket_drop(struct host_instance *in, udp_socket *self) { app_object_unref(in, self); }

enum abi_trap wasi_sockets_udp_udp_socket_start_bind(struct host_call *call, udp_socket *self,
                                                     struct wasi_sockets_network_network *network,
                                                     const struct wasi_sockets_network_ip_socket_address *local_address,
                                                     result_void *result) {
    if (self->op != P2_SOCK_IDLE) return P2_SOCK_SAY(result, NET_SOCK_CONCURRENCY_CONFLICT);
    struct net_addr a = SOCK_ADDR(local_address);
    enum net_sock_error e = wasi_sock_bind(&self->s, &a);
    if (e == NET_SOCK_OK) self->op = P2_SOCK_BIND;
    return P2_SOCK_SAY(result, e);
}
enum abi_trap wasi_sockets_udp_udp_socket_finish_bind(struct host_call *call, udp_socket *self, result_void *result) {
    bool bound = self->op == P2_SOCK_BIND;
    self->op = P2_SOCK_IDLE;
    return P2_SOCK_SAY(result, bound ? NET_SOCK_OK : NET_SOCK_NOT_IN_PROGRESS);
}

/* ---- streams ---- */

static void direction_destroy(struct host_instance *in, void *self) {
    struct direction *d = self;
    net_wait_cancel(&d->wait);
    app_object_unref(in, d->u);
}

static void *new_direction(struct host_call *call, udp_socket *u) {
    struct direction *d = app_object_new(call->instance, sizeof *d, direction_destroy);
    if (!d) return NULL;
    d->u = app_object_ref(u);
    d->generation = u->generation;
    return d;
}

static enum net_sock_error choose_peer(udp_socket *u, const struct wasi_p2_option_sockets_network_ip_socket_address *remote) {
    if (!u->s.bound || u->op != P2_SOCK_IDLE) return NET_SOCK_INVALID_STATE;
    if (!remote->some) return u->s.peered ? wasi_sock_udp_disconnect(&u->s) : NET_SOCK_OK;
    struct net_addr a = SOCK_ADDR(&remote->value);
    return wasi_sock_udp_connect(&u->s, &a);
}

enum abi_trap wasi_sockets_udp_udp_socket_stream(
    struct host_call *call, udp_socket *self, const struct wasi_p2_option_sockets_network_ip_socket_address *remote_address,
    struct
    wasi_p2_result_tuple2_sockets_udp_incoming_datagram_stream_sockets_udp_outgoing_datagram_stream_sockets_network_error_code
        *result) {
    enum net_sock_error e = choose_peer(self, remote_address);
    if (e != NET_SOCK_OK) return P2_SOCK_SAY(result, e);
    self->generation++;
    result->ok.f0 = new_direction(call, self);
    result->ok.f1 = result->ok.f0 ? new_direction(call, self) : NULL;
    if (result->ok.f1) return ABI_TRAP_NONE;
    app_object_unref(call->instance, result->ok.f0);
    return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "too many streams");
}
void wasi_sockets_udp_incoming_datagram_stream_drop(struct host_instance *in,
                                                    struct wasi_sockets_udp_incoming_datagram_stream *self) {
    app_object_unref(in, self);
}
void wasi_sockets_udp_outgoing_datagram_stream_drop(struct host_instance *in,
                                                    struct wasi_sockets_udp_outgoing_datagram_stream *self) {
    app_object_unref(in, self);
}

static bool stale(const struct direction *d) { return d->generation != d->u->generation; }

/* One datagram, with room taken from the call for as much as came. */
static enum net_sock_error receive_one(struct host_call *call, udp_socket *u, struct wasi_sockets_udp_incoming_datagram *to,
                                       bool *full) {
    static uint8_t scratch[NET_SOCK_DATAGRAM_MAX]; /* nothing parks while it is used */
    struct net_addr from;
    size_t n;
    enum net_sock_error e = wasi_sock_udp_receive(&u->s, scratch, sizeof scratch, &n, &from);
    if (e != NET_SOCK_OK) return e;
    to->data = host_alloc_str(call, (str){scratch, n});
    *full = n && !to->data.p;
    SOCK_PUT_ADDR(&from, &to->remote_address);
    return NET_SOCK_OK;
}

enum abi_trap wasi_sockets_udp_incoming_datagram_stream_receive(
    struct host_call *call, struct wasi_sockets_udp_incoming_datagram_stream *self, uint64_t max_results,
    struct wasi_p2_result_list_sockets_udp_incoming_datagram_sockets_network_error_code *result) {
    if (stale(&self->d)) return P2_SOCK_SAY(result, NET_SOCK_INVALID_STATE);
    size_t max = MIN(max_results, (uint64_t)DATAGRAMS_MAX), n = 0;
    struct wasi_sockets_udp_incoming_datagram *list =
        host_alloc(call, max * sizeof *list, _Alignof(struct wasi_sockets_udp_incoming_datagram));
    bool full = max && !list;
    enum net_sock_error e = NET_SOCK_OK;
    while (n < max && !full) {
        e = receive_one(call, self->d.u, &list[n], &full);
        if (e != NET_SOCK_OK) break;
        n++;
    }
    if (full) return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "no memory for the datagrams received");
    result->ok.p = list;
    result->ok.n = n;
    return P2_SOCK_SAY(result, n || e == NET_SOCK_WOULD_BLOCK ? NET_SOCK_OK : e);
}

enum abi_trap wasi_sockets_udp_outgoing_datagram_stream_check_send(struct host_call *call,
                                                                   struct wasi_sockets_udp_outgoing_datagram_stream *self,
                                                                   struct wasi_p2_result_u64_sockets_network_error_code *result) {
    if (stale(&self->d)) return P2_SOCK_SAY(result, NET_SOCK_INVALID_STATE);
    self->d.permit = net_sock_ready(self->d.u->s.sock, NET_WRITABLE) ? DATAGRAMS_MAX : 0;
    result->ok = self->d.permit;
    return P2_SOCK_SAY(result, NET_SOCK_OK);
}

static enum net_sock_error send_one(udp_socket *u, const struct wasi_sockets_udp_outgoing_datagram *from) {
    if (!from->remote_address.some) return wasi_sock_udp_send(&u->s, from->data, NULL);
    struct net_addr to = SOCK_ADDR(&from->remote_address.value);
    return wasi_sock_udp_send(&u->s, from->data, &to);
}

enum abi_trap wasi_sockets_udp_outgoing_datagram_stream_send(struct host_call *call,
                                                             struct wasi_sockets_udp_outgoing_datagram_stream *self,
                                                             struct wasi_p2_list_sockets_udp_outgoing_datagram datagrams,
                                                             struct wasi_p2_result_u64_sockets_network_error_code *result) {
    if (stale(&self->d)) return P2_SOCK_SAY(result, NET_SOCK_INVALID_STATE);
    if (datagrams.n > self->d.permit)
        return host_trap(call, ABI_TRAP_HOST, "wasi:sockets/udp: %zu datagrams sent where check-send permitted %llu", datagrams.n,
                         (unsigned long long)self->d.permit);
    enum net_sock_error e = NET_SOCK_OK;
    size_t n = 0;
    while (n < datagrams.n && (e = send_one(self->d.u, &datagrams.p[n])) == NET_SOCK_OK) n++;
    self->d.permit -= n;
    result->ok = n;
    return P2_SOCK_SAY(result, n || e == NET_SOCK_WOULD_BLOCK ? NET_SOCK_OK : e);
}

/* ---- readiness ---- */

static bool always(void *object) { return true; }
static void nothing(void *object, struct engine_fiber *f) {}
static const struct wasi_p2_event socket_event = {always, nothing}; /* binding is done when it is started */

enum abi_trap wasi_sockets_udp_udp_socket_subscribe(struct host_call *call, udp_socket *self,
                                                    struct wasi_io_poll_pollable **result) {
    return wasi_p2_pollable(call, &socket_event, self, result);
}

static void wait_for(struct direction *d, unsigned event, struct engine_fiber *f) {
    if (f) net_sock_wait(d->u->s.sock, event, &d->wait, wasi_p2_wake, f);
    else net_wait_cancel(&d->wait);
}
static bool incoming_ready(void *object) {
    struct direction *d = object;
    return stale(d) || net_sock_ready(d->u->s.sock, NET_READABLE);
}
static void incoming_listen(void *object, struct engine_fiber *f) { wait_for(object, NET_READABLE, f); }
static const struct wasi_p2_event incoming_event = {incoming_ready, incoming_listen};

static bool outgoing_ready(void *object) {
    struct direction *d = object;
    return stale(d) || net_sock_ready(d->u->s.sock, NET_WRITABLE);
}
static void outgoing_listen(void *object, struct engine_fiber *f) { wait_for(object, NET_WRITABLE, f); }
static const struct wasi_p2_event outgoing_event = {outgoing_ready, outgoing_listen};

enum abi_trap wasi_sockets_udp_incoming_datagram_stream_subscribe(struct host_call *call,
                                                                  struct wasi_sockets_udp_incoming_datagram_stream *self,
                                                                  struct wasi_io_poll_pollable **result) {
    return wasi_p2_pollable(call, &incoming_event, self, result);
}
enum abi_trap wasi_sockets_udp_outgoing_datagram_stream_subscribe(struct host_call *call,
                                                                  struct wasi_sockets_udp_outgoing_datagram_stream *self,
                                                                  struct wasi_io_poll_pollable **result) {
    return wasi_p2_pollable(call, &outgoing_event, self, result);
}

/* ---- properties ---- */

P2_SOCK_FAMILY(wasi_sockets_udp_udp_socket)
P2_SOCK_ADDRESS(wasi_sockets_udp_udp_socket, local_address, wasi_sock_local)
P2_SOCK_ADDRESS(wasi_sockets_udp_udp_socket, remote_address, wasi_sock_remote)
#define OPTION(name, option, type, r)                                                                                            \
    P2_SOCK_OPTION(wasi_sockets_udp_udp_socket, name, option, type, wasi_p2_result_##r##_sockets_network_error_code)
#include "wasi/sock/udp_option.def"
#undef OPTION
