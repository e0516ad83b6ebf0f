/* sock: TCP and UDP sockets as the system has them, non-blocking, on the loop; names looked up.
 *
 *   net_sock     a descriptor, who waits for it, and bytes that it has yet to send
 *   net_lookup   a name on its way to addresses
 *
 * 1. Nothing blocks. What is not possible now answers WOULD_BLOCK, and net_sock_wait says when to try again.
 * 2. Waits come from the loop, never from inside a call made here; any number may be in line, each is told once.
 * 3. A socket is freed by its owner at any time, also from a wait of its own; who still waits is never told.
 */
#ifndef ORLO_NET_SOCK_H
#define ORLO_NET_SOCK_H

#include "net/addr.h"
#include "net/loop.h"

enum net_sock_error {
    NET_SOCK_OK,
#define X(name, p2, p3, text) NET_SOCK_##name,
#include "net/sock_error.def"
#undef X
    NET_SOCK_ERRORS
};
const char *net_sock_error_text(enum net_sock_error e);

struct net_sock;
enum net_sock_kind { NET_SOCK_TCP, NET_SOCK_UDP };
/* Close-on-exec; IPv6 sockets are for IPv6 alone; bind of TCP is not held up by connections of the past (SO_REUSEADDR).
 * SOCKET_LIMIT, ACCESS_DENIED (the process may make none), NOT_SUPPORTED (no such family), OUT_OF_MEMORY. */
[[nodiscard]] enum net_sock_error net_sock_new(struct net_loop *l, enum net_sock_kind kind, bool v6, struct net_sock **out);
/* Closes. What net_sock_write took and the peer has not yet accepted goes on being sent for up to 5 seconds. NULL is fine. */
void net_sock_free(struct net_sock *s);

[[nodiscard]] enum net_sock_error net_sock_bind(struct net_sock *s, const struct net_addr *local);
/* WOULD_BLOCK: under way; NET_WRITABLE when net_sock_connected has the outcome. UDP: at once; remote NULL dissolves. */
[[nodiscard]] enum net_sock_error net_sock_connect(struct net_sock *s, const struct net_addr *remote);
[[nodiscard]] enum net_sock_error net_sock_connected(struct net_sock *s);
[[nodiscard]] enum net_sock_error net_sock_listen(struct net_sock *s, int backlog);
/* WOULD_BLOCK: nobody is there; NET_READABLE. A connection that ended before it was accepted is passed over. */
[[nodiscard]] enum net_sock_error net_sock_accept(struct net_sock *s, struct net_sock **out);
enum net_sock_error net_sock_local(const struct net_sock *s, struct net_addr *out);
enum net_sock_error net_sock_remote(const struct net_sock *s, struct net_addr *out);

/* ---- bytes ---- */

/* OK with *got 0: the peer has sent all it will. */
[[nodiscard]] enum net_sock_error net_sock_receive(struct net_sock *s, void *p, size_t n, size_t *got);
/* As much as the system takes now, at least one byte. */
[[nodiscard]] enum net_sock_error net_sock_send(struct net_sock *s, str data, size_t *sent);
enum { NET_SOCK_QUEUE_MAX = 64 << 10 };
/* How many bytes net_sock_write takes: 0 while it queues. NET_WRITABLE when that changes, also by a failure. */
size_t net_sock_room(struct net_sock *s);
/* All of data (at most net_sock_room): what the system does not take is queued, and sent by the loop. */
[[nodiscard]] enum net_sock_error net_sock_write(struct net_sock *s, str data);
enum net_sock_error net_sock_queue_error(const struct net_sock *s); /* of what was sent from the queue; OK: none */
/* Sending ends when the queue is empty. */
void net_sock_shut(struct net_sock *s, bool receiving, bool sending);

void net_sock_no_delay(struct net_sock *s); /* what is sent leaves at once (TCP_NODELAY) */

/* ---- datagrams ---- */

enum { NET_SOCK_DATAGRAM_MAX = 65535 };
[[nodiscard]] enum net_sock_error net_sock_receive_from(struct net_sock *s, void *p, size_t n, size_t *got,
                                                        struct net_addr *from);
[[nodiscard]] enum net_sock_error net_sock_send_to(struct net_sock *s, str data,
                                                   const struct net_addr *to); /* NULL: as connected */

/* ---- options: values as in sock_option.def ---- */

enum net_sock_option {
#define X(name, level4, name4, level6, name6, unit, least, most, initial) NET_SOCK_##name,
#include "net/sock_option.def"
#undef X
    NET_SOCK_OPTIONS
};
enum net_sock_error net_sock_get(const struct net_sock *s, enum net_sock_option o, uint64_t *value);
enum net_sock_error net_sock_set(struct net_sock *s, enum net_sock_option o, uint64_t value);
/* The same without a socket: what reading gives after value was set, and before anything was. */
uint64_t net_sock_option_clamp(enum net_sock_option o, uint64_t value);
uint64_t net_sock_option_initial(enum net_sock_option o);

/* ---- waiting ---- */

struct net_wait {                 /* the caller's to keep; zeroed before the first use */
    struct net_wait *prev, *next; /* NULL: in no line */
    void (*fn)(void *arg);
    void *arg;
};
/* fn(arg) once, when s is ready for NET_READABLE or NET_WRITABLE. Starts anew if w waits already. */
void net_sock_wait(struct net_sock *s, unsigned event, struct net_wait *w, void (*fn)(void *arg), void *arg);
void net_wait_cancel(struct net_wait *w); /* also of one that does not wait */
bool net_sock_ready(const struct net_sock *s, unsigned event);

/* ---- lookups: getaddrinfo, on threads of their own, for all parties in turn ---- */

enum net_lookup_error { NET_LOOKUP_OK, NET_LOOKUP_NO_NAME, NET_LOOKUP_TEMPORARY, NET_LOOKUP_PERMANENT };
enum { NET_LOOKUP_ADDRESSES_MAX = 64 };
struct net_lookup;
/* name: as net_name_ascii gives it; copied. fn(arg) on the loop's thread when it is done. Never NULL. */
struct net_lookup *net_lookup_new(struct net_loop *l, struct net_party *party, str name, void (*fn)(void *arg), void *arg);
bool net_lookup_done(const struct net_lookup *k);
enum net_lookup_error net_lookup_error(const struct net_lookup *k);
/* In the order to try them, each once, ports 0. */
const struct net_addr *net_lookup_addresses(const struct net_lookup *k, uint32_t *count);
void net_lookup_free(struct net_lookup *k); /* also before it is done: fn is not called; NULL is fine */

#endif
