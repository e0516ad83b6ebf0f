/* What the 0.2 faces of sockets share. */
#ifndef ORLO_WASI_P2_SOCK_H
#define ORLO_WASI_P2_SOCK_H

#include "wasi/p2/p2_int.h"
#include "wasi/sock/sock.h"

/* A network is a name for whatever the grants say. */
struct wasi_sockets_network_network {
    struct app_object o;
};

/* bind, connect and listen have a start and a finish; between them no other may begin. */
enum wasi_p2_sock_op { P2_SOCK_IDLE, P2_SOCK_BIND, P2_SOCK_CONNECT, P2_SOCK_LISTEN };

enum wasi_sockets_network_error_code wasi_p2_sock_error(enum net_sock_error e);
/* Sets a result<_, error-code> (its ok was set before) and gives ABI_TRAP_NONE. */
#define P2_SOCK_SAY(result, error)                                                                                               \
    ({                                                                                                                           \
        enum net_sock_error error_ = (error);                                                                                    \
        (result)->is_err = error_ != NET_SOCK_OK;                                                                                \
        if (error_ != NET_SOCK_OK) (result)->err = wasi_p2_sock_error(error_);                                                   \
        ABI_TRAP_NONE;                                                                                                           \
    })

/* Both functions of an option: of(resource, its name in WIT, option, C type, its result's struct) */
#define P2_SOCK_OPTION(resource, name, option, type, result_type)                                                                \
    enum abi_trap resource##_##name(struct host_call *call, struct resource *self, struct result_type *result) {                 \
        uint64_t v = 0;                                                                                                          \
        enum net_sock_error e = wasi_sock_get(&self->s, NET_SOCK_##option, &v);                                                  \
        result->ok = (type)v;                                                                                                    \
        return P2_SOCK_SAY(result, e);                                                                                           \
    }                                                                                                                            \
    enum abi_trap resource##_set_##name(struct host_call *call, struct resource *self, type value,                               \
                                        struct wasi_p2_result_void_sockets_network_error_code *result) {                         \
        return P2_SOCK_SAY(result, wasi_sock_set(&self->s, NET_SOCK_##option, value));                                           \
    }
/* local-address and remote-address, address-family */
#define P2_SOCK_ADDRESS(resource, name, get)                                                                                     \
    enum abi_trap resource##_##name(                                                                                             \
        struct host_call *call, struct resource *self,                                                                           \
        struct wasi_p2_result_sockets_network_ip_socket_address_sockets_network_error_code *result) {                            \
        struct net_addr a;                                                                                                       \
        enum net_sock_error e = get(&self->s, &a);                                                                               \
        if (e == NET_SOCK_OK) SOCK_PUT_ADDR(&a, &result->ok);                                                                    \
        return P2_SOCK_SAY(result, e);                                                                                           \
    }
#define P2_SOCK_FAMILY(resource)                                                                                                 \
    enum abi_trap resource##_address_family(struct host_call *call, struct resource *self,                                       \
                                            enum wasi_sockets_network_ip_address_family *result) {                               \
        *result = self->s.v6 ? WASI_SOCKETS_NETWORK_IP_ADDRESS_FAMILY_IPV6 : WASI_SOCKETS_NETWORK_IP_ADDRESS_FAMILY_IPV4;        \
        return ABI_TRAP_NONE;                                                                                                    \
    }

#endif
