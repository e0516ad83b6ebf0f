/* p3: wasi:sockets/types udp-socket. */
#include "wasi/p3/sock.h"

struct wasi3_sockets_types_udp_socket {
    struct wasi_sock s; /* must be first */
};
typedef struct wasi3_sockets_types_udp_socket udp_socket;

enum abi_trap
wasi3_sockets_types_udp_socket_create(struct host_call *call, enum wasi3_sockets_types_ip_address_family address_family,
                                      struct wasi_p3_result_sockets_types_udp_socket_sockets_types_error_code *result) {
    bool v6 = address_family == WASI3_SOCKETS_TYPES_IP_ADDRESS_FAMILY_IPV6;
    return P3_SOCK_SAY(result, wasi_sock_new(call->instance, sizeof(udp_socket), NET_SOCK_UDP, v6, &result->ok));
}
void wasi3_sockets_types_udp_socket_drop(struct host_instance *in, udp_socket *self) { app_object_unref(in, self); }

enum abi_trap wasi3_sockets_types_udp_socket_bind(struct host_call *call, udp_socket *self,
                                                  const struct wasi3_sockets_types_ip_socket_address *local_address,
                                                  wasi_p3_sock_result *result) {
    struct net_addr a = SOCK_ADDR(local_address);
    return P3_SOCK_SAY(result, wasi_sock_bind(&self->s, &a));
}
enum abi_trap wasi3_sockets_types_udp_socket_connect(struct host_call *call, udp_socket *self,
                                                     const struct wasi3_sockets_types_ip_socket_address *remote_address,
                                                     wasi_p3_sock_result *result) {
    struct net_addr a = SOCK_ADDR(remote_address);
    return P3_SOCK_SAY(result, wasi_sock_udp_connect(&self->s, &a));
}
enum abi_trap wasi3_sockets_types_udp_socket_disconnect(struct host_call *call, udp_socket *self, wasi_p3_sock_result *result) {
    return P3_SOCK_SAY(result, wasi_sock_udp_disconnect(&self->s));
}

/* ---- datagrams ---- */

static bool try_send(struct wasi_p3_sock_op *op) {
    enum net_sock_error e = wasi_sock_udp_send(op->s, op->data, op->has_to ? &op->to : NULL);
    if (e == NET_SOCK_WOULD_BLOCK) return false;
    *(wasi_p3_sock_result *)op->result = wasi_p3_sock_result_of(e);
    return true;
}

enum abi_trap wasi3_sockets_types_udp_socket_send(struct host_call *call, udp_socket *self, str data,
                                                  const struct wasi_p3_option_sockets_types_ip_socket_address *remote_address,
                                                  wasi_p3_sock_result *result) {
    struct wasi_p3_sock_op op = {
        .try = try_send, .event = NET_WRITABLE, .result = result, .data = data, .has_to = remote_address->some};
    if (op.has_to) op.to = SOCK_ADDR(&remote_address->value);
    return wasi_p3_sock_perform(call, &self->s, &op);
}

static bool try_receive(struct wasi_p3_sock_op *op) {
    static uint8_t scratch[NET_SOCK_DATAGRAM_MAX]; /* nothing parks while it is used */
    struct wasi_p3_result_tuple2_list_u8_sockets_types_ip_socket_address_sockets_types_error_code *result = op->result;
    struct net_addr from;
    size_t n;
    enum net_sock_error e = wasi_sock_udp_receive(op->s, scratch, sizeof scratch, &n, &from);
    if (e == NET_SOCK_WOULD_BLOCK) return false;
    if (e == NET_SOCK_OK && n) {
        result->ok.f0 = host_alloc_str(op->call, (str){scratch, n});
        if (!result->ok.f0.p) e = NET_SOCK_OUT_OF_MEMORY;
    }
    if (e == NET_SOCK_OK) SOCK_PUT_ADDR(&from, &result->ok.f1);
    (void)P3_SOCK_SAY(result, e);
    return true;
}

enum abi_trap wasi3_sockets_types_udp_socket_receive(
    struct host_call *call, udp_socket *self,
    struct wasi_p3_result_tuple2_list_u8_sockets_types_ip_socket_address_sockets_types_error_code *result) {
    struct wasi_p3_sock_op op = {.try = try_receive, .event = NET_READABLE, .result = result};
    return wasi_p3_sock_perform(call, &self->s, &op);
}

/* ---- properties ---- */

P3_SOCK_FAMILY(wasi3_sockets_types_udp_socket)
P3_SOCK_ADDRESS(wasi3_sockets_types_udp_socket, get_local_address, wasi_sock_local)
P3_SOCK_ADDRESS(wasi3_sockets_types_udp_socket, get_remote_address, wasi_sock_remote)
#define OPTION(name, option, type, r)                                                                                            \
    P3_SOCK_OPTION(wasi3_sockets_types_udp_socket, name, option, type, wasi_p3_result_##r##_sockets_types_error_code)
#include "wasi/sock/udp_option.def"
#undef OPTION
