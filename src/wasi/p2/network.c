/* p2: wasi:sockets/network, instance-network and ip-name-lookup. */
#include "wasi/p2/sock.h"

enum wasi_sockets_network_error_code wasi_p2_sock_error(enum net_sock_error e) {
    static const enum wasi_sockets_network_error_code codes[] = {
#define X(name, p2, p3, text) [NET_SOCK_##name] = WASI_SOCKETS_NETWORK_ERROR_CODE_##p2,
#include "net/sock_error.def"
#undef X
    };
    return codes[e];
}

enum abi_trap wasi_sockets_instance_network_instance_network(struct host_call *call,
                                                             struct wasi_sockets_network_network **result) {
    APP_OBJECT_NEW(call, n, wasi_sockets_network_network, NULL);
    *result = n;
    return ABI_TRAP_NONE;
}
void wasi_sockets_network_network_drop(struct host_instance *in, struct wasi_sockets_network_network *self) {
    app_object_unref(in, self);
}

/* ---- ip-name-lookup ---- */

struct wasi_sockets_ip_name_lookup_resolve_address_stream {
    struct app_object o;
    struct wasi_sock_lookup lookup;
    uint32_t given;
    struct engine_fiber *waiter;
};
typedef struct wasi_sockets_ip_name_lookup_resolve_address_stream address_stream;

static enum wasi_sockets_network_error_code name_error(enum wasi_sock_name_error e) {
    static const enum wasi_sockets_network_error_code codes[] = {
        [SOCK_NAME_DENIED] = WASI_SOCKETS_NETWORK_ERROR_CODE_ACCESS_DENIED,
        [SOCK_NAME_INVALID] = WASI_SOCKETS_NETWORK_ERROR_CODE_INVALID_ARGUMENT,
        [SOCK_NAME_NONE] = WASI_SOCKETS_NETWORK_ERROR_CODE_NAME_UNRESOLVABLE,
        [SOCK_NAME_TEMPORARY] = WASI_SOCKETS_NETWORK_ERROR_CODE_TEMPORARY_RESOLVER_FAILURE,
        [SOCK_NAME_PERMANENT] = WASI_SOCKETS_NETWORK_ERROR_CODE_PERMANENT_RESOLVER_FAILURE,
    };
    return codes[e];
}

static void on_answer(void *arg) {
    address_stream *s = arg;
    if (s->waiter) wasi_p2_wake(s->waiter);
}

static void stream_destroy(struct host_instance *in, void *self) { wasi_sock_lookup_end(&((address_stream *)self)->lookup); }

enum abi_trap wasi_sockets_ip_name_lookup_resolve_addresses(
    struct host_call *call, struct wasi_sockets_network_network *network, str name,
    struct wasi_p2_result_sockets_ip_name_lookup_resolve_address_stream_sockets_network_error_code *result) {
    APP_OBJECT_NEW(call, s, wasi_sockets_ip_name_lookup_resolve_address_stream, stream_destroy);
    wasi_sock_lookup_start(&s->lookup, call->instance, name, on_answer, s);
    result->is_err = s->lookup.error != SOCK_NAME_OK;
    if (result->is_err) {
        result->err = name_error(s->lookup.error);
        app_object_unref(call->instance, s);
    } else {
        result->ok = s;
    }
    return ABI_TRAP_NONE;
}
void wasi_sockets_ip_name_lookup_resolve_address_stream_drop(struct host_instance *in, address_stream *self) {
    app_object_unref(in, self);
}

enum abi_trap wasi_sockets_ip_name_lookup_resolve_address_stream_resolve_next_address(
    struct host_call *call, address_stream *self,
    struct wasi_p2_result_option_sockets_network_ip_address_sockets_network_error_code *result) {
    result->is_err = !wasi_sock_lookup_done(&self->lookup);
    result->err = WASI_SOCKETS_NETWORK_ERROR_CODE_WOULD_BLOCK;
    if (result->is_err) return ABI_TRAP_NONE;
    result->is_err = self->lookup.error != SOCK_NAME_OK;
    result->err = name_error(self->lookup.error);
    if (result->is_err) return ABI_TRAP_NONE;
    uint32_t count;
    const struct net_addr *list = wasi_sock_lookup_addresses(&self->lookup, &count);
    result->ok.some = self->given < count;
    if (result->ok.some) {
        SOCK_PUT_IP(&list[self->given], &result->ok.value);
        self->given++;
    }
    return ABI_TRAP_NONE;
}

static bool stream_ready(void *object) { return wasi_sock_lookup_done(&((address_stream *)object)->lookup); }
static void stream_listen(void *object, struct engine_fiber *f) { ((address_stream *)object)->waiter = f; }
static const struct wasi_p2_event stream_event = {stream_ready, stream_listen};

enum abi_trap wasi_sockets_ip_name_lookup_resolve_address_stream_subscribe(struct host_call *call, address_stream *self,
                                                                           struct wasi_io_poll_pollable **result) {
    return wasi_p2_pollable(call, &stream_event, self, result);
}
