/* sock: the sockets of guests, WASI 0.2 and 0.3 alike: states, options, what is granted, what is counted. The faces (p2/tcp.c,
 * p2/udp.c, p3/tcp.c, p3/udp.c) put a version's own names, waiting and streams around it.
 *
 *   TCP   NEW ──bind──> NEW, bound ──connect──> CONNECTING ──> CONNECTED        UDP   new ──bind, connect, send──> bound
 *          │               └──listen──> LISTENING                │                     bound <──connect, disconnect──> connected
 *          └──connect, listen: as bound                          └─ failed ──> CLOSED
 *
 * 1. What a guest may do is asked of its grants with the address, right before the system is: never with a name, never once for all.
 * 2. Without any grant of sockets a socket is made all the same, with no descriptor: its options can be set and read, and what
 *    would use the network is access-denied, with a line in the log that names the address and the flag.
 * 3. A socket costs its instance host memory for the system's buffers too, and counts against sockets_max of its run and against a
 *    share of the worker's descriptors, so that no guest keeps a worker from accepting requests.
 * 4. Objects are counted (app/object.h): streams and futures of a socket hold it, so the descriptor is closed with the last of them.
 */
#ifndef ORLO_WASI_SOCK_H
#define ORLO_WASI_SOCK_H

#include "net/sock.h"
#include "wasi/wasi_int.h"

enum wasi_sock_state { SOCK_NEW, SOCK_CONNECTING, SOCK_CONNECTED, SOCK_LISTENING, SOCK_CLOSED };

struct wasi_sock {
    struct app_object o;
    struct host_instance *in;
    enum net_sock_kind kind;
    bool v6, bound;
    bool serves;             /* UDP: bound to where it was granted to listen */
    bool peered;             /* UDP: connected, to remote */
    bool sending, receiving; /* TCP: each was taken once */
    bool shut_sending, shut_receiving;
    enum wasi_sock_state state; /* TCP */
    enum net_sock_error why;    /* CLOSED: what happened; CONNECTING: what connect said at once, or WOULD_BLOCK */
    int backlog;
    struct net_sock *sock; /* NULL: without a descriptor */
    struct net_addr asked; /* what it was bound to; port 0: the system chose */
    struct net_addr remote;
    struct net_addr *peers; /* UDP that serves: who wrote last, a ring of SOCK_PEERS; heap */
    uint32_t peers_count, peers_next;
    uint64_t options[NET_SOCK_OPTIONS]; /* without a descriptor: what was set; 0: nothing */
};

/* A version's object begins with a struct wasi_sock; size is the object's, and out points to a pointer to it, which is NULL on failure.
 * Waits in it need no end: they go with the descriptor. OUT_OF_MEMORY: of the instance's host memory. */
[[nodiscard]] enum net_sock_error wasi_sock_new(struct host_instance *in, size_t size, enum net_sock_kind kind, bool v6,
                                                void *out);

[[nodiscard]] enum net_sock_error wasi_sock_bind(struct wasi_sock *s, const struct net_addr *local);
[[nodiscard]] enum net_sock_error wasi_sock_local(struct wasi_sock *s, struct net_addr *out);
[[nodiscard]] enum net_sock_error wasi_sock_remote(struct wasi_sock *s, struct net_addr *out);
/* Closed, or connecting: TCP has no options then. A value of 0 is INVALID_ARGUMENT (but for KEEP_ALIVE). */
[[nodiscard]] enum net_sock_error wasi_sock_get(struct wasi_sock *s, enum net_sock_option o, uint64_t *value);
[[nodiscard]] enum net_sock_error wasi_sock_set(struct wasi_sock *s, enum net_sock_option o, uint64_t value);

/* ---- TCP ---- */

/* OK: it is CONNECTING, and NET_WRITABLE of its net_sock says when wasi_sock_tcp_connected has the outcome. */
[[nodiscard]] enum net_sock_error wasi_sock_tcp_connect(struct wasi_sock *s, const struct net_addr *remote);
bool wasi_sock_tcp_connecting(struct wasi_sock *s);                             /* the outcome is not there yet */
[[nodiscard]] enum net_sock_error wasi_sock_tcp_connected(struct wasi_sock *s); /* WOULD_BLOCK; OK: CONNECTED; else CLOSED */
[[nodiscard]] enum net_sock_error
wasi_sock_tcp_listen(struct wasi_sock *s); /* binds to a port of the system's choice where it was not bound */
[[nodiscard]] enum net_sock_error wasi_sock_tcp_set_backlog(struct wasi_sock *s, uint64_t value);
/* A connection, as wasi_sock_new. */
[[nodiscard]] enum net_sock_error wasi_sock_tcp_accept(struct wasi_sock *s, size_t size, void *out);
/* Once each: INVALID_STATE the second time, and where it is not connected. */
[[nodiscard]] enum net_sock_error wasi_sock_tcp_take_sending(struct wasi_sock *s);
[[nodiscard]] enum net_sock_error wasi_sock_tcp_take_receiving(struct wasi_sock *s);
void wasi_sock_tcp_shut(struct wasi_sock *s, bool receiving, bool sending); /* idempotent */

/* ---- UDP ---- */

[[nodiscard]] enum net_sock_error wasi_sock_udp_connect(struct wasi_sock *s, const struct net_addr *remote);
[[nodiscard]] enum net_sock_error wasi_sock_udp_disconnect(struct wasi_sock *s);
[[nodiscard]] enum net_sock_error wasi_sock_udp_send(struct wasi_sock *s, str data,
                                                     const struct net_addr *to); /* NULL: as connected */
/* What comes from who is not granted is dropped, a bounded number of times a call. */
[[nodiscard]] enum net_sock_error wasi_sock_udp_receive(struct wasi_sock *s, void *p, size_t n, size_t *got,
                                                        struct net_addr *from);

/* ---- names ---- */

enum wasi_sock_name_error {
    SOCK_NAME_OK,
    SOCK_NAME_DENIED,
    SOCK_NAME_INVALID,
    SOCK_NAME_NONE,
    SOCK_NAME_TEMPORARY,
    SOCK_NAME_PERMANENT
};
struct wasi_sock_lookup {
    struct host_instance *in;
    struct net_lookup *lookup; /* NULL: an address, or it failed at once */
    enum wasi_sock_name_error error;
    struct net_addr literal;
    bool is_literal;
    str name; /* as net_name_ascii gives it; heap */
    void (*fn)(void *arg);
    void *arg;
};
/* Looks name up if that is granted: *k is filled in, and stays where it is. fn(arg) from the loop when there is an answer, unless
 * wasi_sock_lookup_done holds at once. */
void wasi_sock_lookup_start(struct wasi_sock_lookup *k, struct host_instance *in, str name, void (*fn)(void *arg), void *arg);
bool wasi_sock_lookup_done(const struct wasi_sock_lookup *k);
/* After it is done. From here on the addresses are those of the name for the grants. */
const struct net_addr *wasi_sock_lookup_addresses(struct wasi_sock_lookup *k, uint32_t *count);
void wasi_sock_lookup_end(struct wasi_sock_lookup *k); /* also before it is done */

/* ---- addresses, from and to the types of either version, which have the same fields ---- */

struct net_addr wasi_sock_v4(uint16_t port, const void *octets);
struct net_addr wasi_sock_v6(uint16_t port, uint32_t flow, const void *groups, uint32_t scope);
void wasi_sock_groups(const struct net_addr *a, void *groups);
/* w: pointer to an ip-socket-address */
#define SOCK_ADDR(w)                                                                                                             \
    ((w)->tag ? wasi_sock_v6((w)->ipv6.port, (w)->ipv6.flow_info, &(w)->ipv6.address, (w)->ipv6.scope_id)                        \
              : wasi_sock_v4((w)->ipv4.port, &(w)->ipv4.address))
#define SOCK_PUT_ADDR(a, w)                                                                                                      \
    do {                                                                                                                         \
        (w)->tag = (a)->v6;                                                                                                      \
        if ((a)->v6) {                                                                                                           \
            (w)->ipv6.port = (a)->port;                                                                                          \
            (w)->ipv6.flow_info = (a)->flow;                                                                                     \
            (w)->ipv6.scope_id = (a)->scope;                                                                                     \
            wasi_sock_groups((a), &(w)->ipv6.address);                                                                           \
        } else {                                                                                                                 \
            (w)->ipv4.port = (a)->port;                                                                                          \
            memcpy(&(w)->ipv4.address, (a)->ip, 4);                                                                              \
        }                                                                                                                        \
    } while (0)
/* w: pointer to an ip-address */
#define SOCK_PUT_IP(a, w)                                                                                                        \
    do {                                                                                                                         \
        (w)->tag = (a)->v6;                                                                                                      \
        if ((a)->v6) wasi_sock_groups((a), &(w)->ipv6);                                                                          \
        else memcpy(&(w)->ipv4, (a)->ip, 4);                                                                                     \
    } while (0)

/* ---- what the parts of sock share ---- */

enum { SOCK_PEERS = 256 };
bool wasi_sock_remote_ok(const struct wasi_sock *s,
                         const struct net_addr *a); /* and an address and port that somebody can have */
/* OK, or ACCESS_DENIED, which is logged. */
[[nodiscard]] enum net_sock_error wasi_sock_granted(struct wasi_sock *s, enum app_net_use use, const struct net_addr *a);
bool wasi_sock_would_grant(const struct wasi_sock *s, enum app_net_use use, const struct net_addr *a);
/* The object for a descriptor, counted; takes it on success. */
[[nodiscard]] enum net_sock_error wasi_sock_adopt(struct host_instance *in, size_t size, struct net_sock *sock,
                                                  enum net_sock_kind kind, bool v6, struct wasi_sock **out);

#endif
