/* sock: UDP. Who may be sent to and heard: who is granted; and for a socket that serves, anybody, and who has written to it lately. */
#include "wasi/sock/sock.h"
#include <stdlib.h>

enum { DROPS_MAX = 64 }; /* a call */

static bool has_written(const struct wasi_sock *s, const struct net_addr *a) {
    for (uint32_t i = 0; i < s->peers_count; i++)
        if (net_addr_same(&s->peers[i], a)) return true;
    return false;
}

static void note_peer(struct wasi_sock *s, const struct net_addr *a) {
    if (has_written(s, a)) return;
    if (!s->peers) {
        if (!host_charge(s->in, SOCK_PEERS * sizeof *s->peers)) return;
        s->peers = calloc(SOCK_PEERS, sizeof *s->peers);
        ENSURE(s->peers);
    }
    s->peers[s->peers_next] = *a;
    s->peers_next = (s->peers_next + 1) % SOCK_PEERS;
    s->peers_count = MIN(s->peers_count + 1, (uint32_t)SOCK_PEERS);
}

static enum net_sock_error may_send(struct wasi_sock *s, const struct net_addr *to) {
    if (s->serves && has_written(s, to)) return NET_SOCK_OK;
    return wasi_sock_granted(s, APP_NET_UDP, to);
}

enum net_sock_error wasi_sock_udp_connect(struct wasi_sock *s, const struct net_addr *remote) {
    if (!wasi_sock_remote_ok(s, remote)) return NET_SOCK_INVALID_ARGUMENT;
    enum net_sock_error e = may_send(s, remote);
    if (e == NET_SOCK_OK) e = net_sock_connect(s->sock, remote);
    if (e != NET_SOCK_OK) return e;
    s->bound = s->peered = true;
    s->remote = *remote;
    return NET_SOCK_OK;
}

enum net_sock_error wasi_sock_udp_disconnect(struct wasi_sock *s) {
    if (!s->peered) return NET_SOCK_INVALID_STATE;
    s->peered = false;
    return net_sock_connect(s->sock, NULL);
}

enum net_sock_error wasi_sock_udp_send(struct wasi_sock *s, str data, const struct net_addr *to) {
    if (data.n > NET_SOCK_DATAGRAM_MAX) return NET_SOCK_DATAGRAM_TOO_LARGE;
    if (to && (!wasi_sock_remote_ok(s, to) || (s->peered && !net_addr_same(to, &s->remote)))) return NET_SOCK_INVALID_ARGUMENT;
    if (!to && !s->peered) return NET_SOCK_INVALID_ARGUMENT;
    enum net_sock_error e = may_send(s, to ? to : &s->remote);
    if (e == NET_SOCK_OK) e = net_sock_send_to(s->sock, data, s->peered ? NULL : to);
    if (e == NET_SOCK_OK) s->bound = true;
    return e;
}

enum net_sock_error wasi_sock_udp_receive(struct wasi_sock *s, void *p, size_t n, size_t *got, struct net_addr *from) {
    *got = 0;
    if (!s->bound) return NET_SOCK_INVALID_STATE;
    for (int drops = 0; drops < DROPS_MAX; drops++) {
        enum net_sock_error e = net_sock_receive_from(s->sock, p, n, got, from);
        if (e != NET_SOCK_OK) return e;
        if (s->peered && !net_addr_same(from, &s->remote)) continue; /* it came before the socket was connected (Linux) */
        if (s->serves) note_peer(s, from);
        if (s->serves || wasi_sock_would_grant(s, APP_NET_UDP, from)) return NET_SOCK_OK;
    }
    return NET_SOCK_WOULD_BLOCK;
}
