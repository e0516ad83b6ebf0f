/* What the 0.3 faces of sockets share. */
#ifndef ORLO_WASI_P3_SOCK_H
#define ORLO_WASI_P3_SOCK_H

#include "wasi/p3/p3_int.h"
#include "wasi/sock/sock.h"

typedef struct wasi_p3_result_void_sockets_types_error_code wasi_p3_sock_result;

struct wasi3_sockets_types_error_code wasi_p3_sock_error(enum net_sock_error e);
wasi_p3_sock_result wasi_p3_sock_result_of(enum net_sock_error e);
/* Sets a result<_, error-code> (its ok was set before) and gives ABI_TRAP_NONE. */
#define P3_SOCK_SAY(result, error)                                                                                               \
    ({                                                                                                                           \
        enum net_sock_error error_ = (error);                                                                                    \
        (result)->is_err = error_ != NET_SOCK_OK;                                                                                \
        if (error_ != NET_SOCK_OK) (result)->err = wasi_p3_sock_error(error_);                                                   \
        ABI_TRAP_NONE;                                                                                                           \
    })

/* ---- operations that wait for their socket ---- */

struct wasi_p3_sock_op {
    struct host_call *call; /* for memory of the result */
    struct wasi_sock *s;    /* referenced */
    struct host_pending *pending;
    struct net_wait wait;
    unsigned event;
    /* Tries once more; false: it is not possible yet. Otherwise the result is set. */
    bool (*try)(struct wasi_p3_sock_op *op);
    void *result;
    str data; /* of a datagram: the call's */
    bool has_to;
    struct net_addr to;
};
/* like->try now; if that is not possible, whenever the socket is ready for like->event. call and s are filled in here. */
enum abi_trap wasi_p3_sock_perform(struct host_call *call, struct wasi_sock *s, const struct wasi_p3_sock_op *like);

/* Both functions of an option: of(resource, its name in WIT without get and set, option, C type, its result's struct) */
#define P3_SOCK_OPTION(resource, name, option, type, result_type)                                                                \
    enum abi_trap resource##_get_##name(struct host_call *call, struct resource *self, struct result_type *result) {             \
        uint64_t v = 0;                                                                                                          \
        enum net_sock_error e = wasi_sock_get(&self->s, NET_SOCK_##option, &v);                                                  \
        result->ok = (type)v;                                                                                                    \
        return P3_SOCK_SAY(result, e);                                                                                           \
    }                                                                                                                            \
    enum abi_trap resource##_set_##name(struct host_call *call, struct resource *self, type value,                               \
                                        wasi_p3_sock_result *result) {                                                           \
        return P3_SOCK_SAY(result, wasi_sock_set(&self->s, NET_SOCK_##option, value));                                           \
    }
#define P3_SOCK_ADDRESS(resource, name, get)                                                                                     \
    enum abi_trap resource##_##name(struct host_call *call, struct resource *self,                                               \
                                    struct wasi_p3_result_sockets_types_ip_socket_address_sockets_types_error_code *result) {    \
        struct net_addr a;                                                                                                       \
        enum net_sock_error e = get(&self->s, &a);                                                                               \
        if (e == NET_SOCK_OK) SOCK_PUT_ADDR(&a, &result->ok);                                                                    \
        return P3_SOCK_SAY(result, e);                                                                                           \
    }
#define P3_SOCK_FAMILY(resource)                                                                                                 \
    enum abi_trap resource##_get_address_family(struct host_call *call, struct resource *self,                                   \
                                                enum wasi3_sockets_types_ip_address_family *result) {                            \
        *result = self->s.v6 ? WASI3_SOCKETS_TYPES_IP_ADDRESS_FAMILY_IPV6 : WASI3_SOCKETS_TYPES_IP_ADDRESS_FAMILY_IPV4;          \
        return ABI_TRAP_NONE;                                                                                                    \
    }

#endif
