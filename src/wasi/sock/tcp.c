/* sock: TCP's states. */
#include "wasi/sock/sock.h"

static enum net_sock_error fail(struct wasi_sock *s, enum net_sock_error why) {
    s->state = SOCK_CLOSED;
    s->why = why;
    return why;
}

/* ---- connecting ---- */

enum net_sock_error wasi_sock_tcp_connect(struct wasi_sock *s, const struct net_addr *remote) {
    if (s->state != SOCK_NEW) return NET_SOCK_INVALID_STATE;
    if (!wasi_sock_remote_ok(s, remote) || !net_addr_unicast(remote)) return NET_SOCK_INVALID_ARGUMENT;
    s->state = SOCK_CONNECTING;
    s->remote = *remote;
    s->why = wasi_sock_granted(s, APP_NET_TCP, remote);
    if (s->why == NET_SOCK_OK) s->why = net_sock_connect(s->sock, remote);
    return NET_SOCK_OK;
}

bool wasi_sock_tcp_connecting(struct wasi_sock *s) {
    if (s->state == SOCK_CONNECTING && s->why == NET_SOCK_WOULD_BLOCK) s->why = net_sock_connected(s->sock);
    return s->state == SOCK_CONNECTING && s->why == NET_SOCK_WOULD_BLOCK;
}

enum net_sock_error wasi_sock_tcp_connected(struct wasi_sock *s) {
    if (s->state == SOCK_CONNECTED) return NET_SOCK_OK;
    if (s->state == SOCK_CLOSED) return s->why;
    if (s->state != SOCK_CONNECTING) return NET_SOCK_INVALID_STATE;
    if (wasi_sock_tcp_connecting(s)) return NET_SOCK_WOULD_BLOCK;
    if (s->why != NET_SOCK_OK) return fail(s, s->why);
    s->state = SOCK_CONNECTED;
    s->bound = true;
    return NET_SOCK_OK;
}

/* ---- listening ---- */

enum net_sock_error wasi_sock_tcp_set_backlog(struct wasi_sock *s, uint64_t value) {
    if (!value) return NET_SOCK_INVALID_ARGUMENT;
    switch (s->state) {
    case SOCK_NEW: break;
    case SOCK_LISTENING: {
        enum net_sock_error e = net_sock_listen(s->sock, (int)MIN(value, (uint64_t)INT32_MAX));
        return e == NET_SOCK_OK ? e : NET_SOCK_NOT_SUPPORTED;
    }
    case SOCK_CLOSED: return s->why;
    default: return NET_SOCK_INVALID_STATE;
    }
    s->backlog = (int)MIN(value, (uint64_t)INT32_MAX);
    return NET_SOCK_OK;
}

enum net_sock_error wasi_sock_tcp_listen(struct wasi_sock *s) {
    if (s->state == SOCK_CLOSED) return s->why;
    if (s->state != SOCK_NEW) return NET_SOCK_INVALID_STATE;
    struct net_addr at = s->bound ? s->asked : (struct net_addr){.v6 = s->v6};
    enum net_sock_error e = wasi_sock_granted(s, APP_NET_LISTEN, &at);
    if (e == NET_SOCK_OK && !s->bound) e = wasi_sock_bind(s, &at);
    if (e == NET_SOCK_OK) e = net_sock_listen(s->sock, s->backlog);
    if (e == NET_SOCK_OK) s->state = SOCK_LISTENING;
    return e;
}

enum net_sock_error wasi_sock_tcp_accept(struct wasi_sock *s, size_t size, void *out) {
    struct net_sock *sock;
    struct wasi_sock *made = NULL;
    *(void **)out = NULL;
    if (s->state == SOCK_CLOSED) return s->why;
    if (s->state != SOCK_LISTENING) return NET_SOCK_INVALID_STATE;
    enum net_sock_error e = net_sock_accept(s->sock, &sock);
    if (e != NET_SOCK_OK) return e;
    e = wasi_sock_adopt(s->in, size, sock, NET_SOCK_TCP, s->v6, &made);
    if (e != NET_SOCK_OK) {
        net_sock_free(sock);
        return e;
    }
    made->state = SOCK_CONNECTED;
    made->bound = true;
    if (net_sock_remote(sock, &made->remote) != NET_SOCK_OK) fail(made, NET_SOCK_CONNECTION_ABORTED);
    *(void **)out = made;
    return NET_SOCK_OK;
}

/* ---- connected ---- */

static enum net_sock_error take(struct wasi_sock *s, bool *taken) {
    if (s->state == SOCK_CLOSED) return s->why;
    if (s->state != SOCK_CONNECTED || *taken) return NET_SOCK_INVALID_STATE;
    *taken = true;
    return NET_SOCK_OK;
}
enum net_sock_error wasi_sock_tcp_take_sending(struct wasi_sock *s) { return take(s, &s->sending); }
enum net_sock_error wasi_sock_tcp_take_receiving(struct wasi_sock *s) { return take(s, &s->receiving); }

void wasi_sock_tcp_shut(struct wasi_sock *s, bool receiving, bool sending) {
    receiving &= !s->shut_receiving;
    sending &= !s->shut_sending;
    s->shut_receiving |= receiving;
    s->shut_sending |= sending;
    if (s->state == SOCK_CONNECTED) net_sock_shut(s->sock, receiving, sending);
}
