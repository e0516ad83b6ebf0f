/* p2: wasi:sockets, of which nothing is granted: every component that imports it links, and is refused at the door.
 *
 * 1. A network can be had (it is a name for nothing); sockets and lookups answer access-denied.
 * 2. So no socket ever exists, no method of one can be called, and no drop: the rows below only give them their types.
 */
#include "wasi/p2_int.h"

struct wasi_sockets_network_network {
    struct p2_object o;
};

enum abi_trap wasi_sockets_instance_network_instance_network(struct host_call *call,
                                                             struct wasi_sockets_network_network **result) {
    P2_NEW(call, n, wasi_sockets_network_network, NULL);
    *result = n;
    return ABI_TRAP_NONE;
}
void wasi_sockets_network_network_drop(struct host_instance *in, struct wasi_sockets_network_network *self) {
    p2_unref(in, self);
}

/* ---- what is refused ---- */

#define REFUSED(result)                                                                                                          \
    (*(result) = (typeof(*(result))){.is_err = true, .err = WASI_SOCKETS_NETWORK_ERROR_CODE_ACCESS_DENIED}, ABI_TRAP_NONE)

enum abi_trap wasi_sockets_tcp_create_socket_create_tcp_socket(
    struct host_call *call, enum wasi_sockets_network_ip_address_family address_family,
    struct wasi_p2_result_sockets_tcp_tcp_socket_sockets_network_error_code *result) {
    return REFUSED(result);
}
enum abi_trap wasi_sockets_udp_create_socket_create_udp_socket(
    struct host_call *call, enum wasi_sockets_network_ip_address_family address_family,
    struct wasi_p2_result_sockets_udp_udp_socket_sockets_network_error_code *result) {
    return REFUSED(result);
}
enum abi_trap wasi_sockets_ip_name_lookup_resolve_addresses(
    struct host_call *call, struct wasi_sockets_network_network *network, str name,
    struct wasi_p2_result_sockets_ip_name_lookup_resolve_address_stream_sockets_network_error_code *result) {
    return REFUSED(result);
}

/* ---- what nobody can call: METHOD(resource, name, result, other parameters) ---- */

static enum abi_trap no_socket(struct host_call *call) {
    return host_trap(call, ABI_TRAP_HOST, "wasi:sockets: there is no such socket");
}

#define METHOD(resource, name, type, ...)                                                                                        \
    enum abi_trap resource##_##name(struct host_call *call, struct resource *self __VA_OPT__(, ) __VA_ARGS__, type *result) {    \
        return no_socket(call);                                                                                                  \
    }
#define RESULT(t) struct wasi_p2_result_##t##_sockets_network_error_code
#define ADDRESS const struct wasi_sockets_network_ip_socket_address *address
#define NETWORK struct wasi_sockets_network_network *network

#define TCP(...) METHOD(wasi_sockets_tcp_tcp_socket, __VA_ARGS__)
TCP(start_bind, RESULT(void), NETWORK, ADDRESS)
TCP(finish_bind, RESULT(void))
TCP(start_connect, RESULT(void), NETWORK, ADDRESS)
TCP(finish_connect, RESULT(tuple2_io_streams_input_stream_io_streams_output_stream))
TCP(start_listen, RESULT(void))
TCP(finish_listen, RESULT(void))
TCP(accept, RESULT(tuple3_sockets_tcp_tcp_socket_io_streams_input_stream_io_streams_output_stream))
TCP(local_address, RESULT(sockets_network_ip_socket_address))
TCP(remote_address, RESULT(sockets_network_ip_socket_address))
TCP(is_listening, bool)
TCP(address_family, enum wasi_sockets_network_ip_address_family)
TCP(set_listen_backlog_size, RESULT(void), uint64_t value)
TCP(keep_alive_enabled, RESULT(bool))
TCP(set_keep_alive_enabled, RESULT(void), bool value)
TCP(keep_alive_idle_time, RESULT(u64))
TCP(set_keep_alive_idle_time, RESULT(void), wasi_clocks_monotonic_clock_duration value)
TCP(keep_alive_interval, RESULT(u64))
TCP(set_keep_alive_interval, RESULT(void), wasi_clocks_monotonic_clock_duration value)
TCP(keep_alive_count, RESULT(u32))
TCP(set_keep_alive_count, RESULT(void), uint32_t value)
TCP(hop_limit, RESULT(u8))
TCP(set_hop_limit, RESULT(void), uint8_t value)
TCP(receive_buffer_size, RESULT(u64))
TCP(set_receive_buffer_size, RESULT(void), uint64_t value)
TCP(send_buffer_size, RESULT(u64))
TCP(set_send_buffer_size, RESULT(void), uint64_t value)
TCP(subscribe, struct wasi_io_poll_pollable *)
TCP(shutdown, RESULT(void), enum wasi_sockets_tcp_shutdown_type shutdown_type)
void wasi_sockets_tcp_tcp_socket_drop(struct host_instance *in, struct wasi_sockets_tcp_tcp_socket *self) {}

#define UDP(...) METHOD(wasi_sockets_udp_udp_socket, __VA_ARGS__)
UDP(start_bind, RESULT(void), NETWORK, ADDRESS)
UDP(finish_bind, RESULT(void))
UDP(stream, RESULT(tuple2_sockets_udp_incoming_datagram_stream_sockets_udp_outgoing_datagram_stream),
    const struct wasi_p2_option_sockets_network_ip_socket_address *remote_address)
UDP(local_address, RESULT(sockets_network_ip_socket_address))
UDP(remote_address, RESULT(sockets_network_ip_socket_address))
UDP(address_family, enum wasi_sockets_network_ip_address_family)
UDP(unicast_hop_limit, RESULT(u8))
UDP(set_unicast_hop_limit, RESULT(void), uint8_t value)
UDP(receive_buffer_size, RESULT(u64))
UDP(set_receive_buffer_size, RESULT(void), uint64_t value)
UDP(send_buffer_size, RESULT(u64))
UDP(set_send_buffer_size, RESULT(void), uint64_t value)
UDP(subscribe, struct wasi_io_poll_pollable *)
void wasi_sockets_udp_udp_socket_drop(struct host_instance *in, struct wasi_sockets_udp_udp_socket *self) {}

#define INCOMING(...) METHOD(wasi_sockets_udp_incoming_datagram_stream, __VA_ARGS__)
INCOMING(receive, RESULT(list_sockets_udp_incoming_datagram), uint64_t max_results)
INCOMING(subscribe, struct wasi_io_poll_pollable *)
void wasi_sockets_udp_incoming_datagram_stream_drop(struct host_instance *in,
                                                    struct wasi_sockets_udp_incoming_datagram_stream *self) {}

#define OUTGOING(...) METHOD(wasi_sockets_udp_outgoing_datagram_stream, __VA_ARGS__)
OUTGOING(check_send, RESULT(u64))
OUTGOING(send, RESULT(u64), struct wasi_p2_list_sockets_udp_outgoing_datagram datagrams)
OUTGOING(subscribe, struct wasi_io_poll_pollable *)
void wasi_sockets_udp_outgoing_datagram_stream_drop(struct host_instance *in,
                                                    struct wasi_sockets_udp_outgoing_datagram_stream *self) {}

#define ADDRESSES(...) METHOD(wasi_sockets_ip_name_lookup_resolve_address_stream, __VA_ARGS__)
ADDRESSES(resolve_next_address, RESULT(option_sockets_network_ip_address))
ADDRESSES(subscribe, struct wasi_io_poll_pollable *)
void wasi_sockets_ip_name_lookup_resolve_address_stream_drop(struct host_instance *in,
                                                             struct wasi_sockets_ip_name_lookup_resolve_address_stream *self) {}
