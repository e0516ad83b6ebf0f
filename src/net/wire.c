/* wire: a connection of the client's.
 *
 *   dial.h ─> the first address that is connected ─> TLS ─> up
 *
 * 1. Each address is asked about (allow_address) before anything is sent to it, whatever led there.
 * 2. A fetch is told by its job alone; what fails before the wire is up is told by http1_fetch_fail.
 */
#include "crypto/tls.h"
#include "net/client_int.h"
#include "net/sock_int.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

enum { RECEIVE_BYTES = 16 << 10 };

/* ---- TLS ---- */

static enum net_error tls_error(enum crypto_tls_result r) {
    return r == CRYPTO_TLS_CERTIFICATE ? NET_TLS_CERTIFICATE_ERROR
           : r == CRYPTO_TLS_ALERT     ? NET_TLS_ALERT_RECEIVED
           : r == CRYPTO_TLS_END       ? NET_CONNECTION_TERMINATED
                                       : NET_TLS_PROTOCOL_ERROR;
}

static void on_io(void *arg) {
    struct net_wire *w = arg;
    net_job_queue(w->client->loop, &w->fetch->job);
}

static void up(struct net_wire *w) {
    net_stream_listen(w->stream, on_io, w);
    http1_fetch_connected(w->fetch);
}

static void on_handshake(void *arg) {
    struct net_wire *w = arg;
    enum crypto_tls_result r;
    const char *why;
    ssize_t n = net_stream_handshake(w->stream, &r, &why);
    if (n == 0) up(w);
    else if (n == NET_STREAM_FAILED) http1_fetch_fail(w->fetch, tls_error(r), why);
}

/* ---- connecting ---- */

static void end_dialling(struct net_wire *w) {
    net_timer_free(w->timer);
    w->timer = NULL;
    net_dial_free(w->dial);
    w->dial = NULL;
}

static void connected(struct net_wire *w) {
    end_dialling(w);
    if (!w->https) {
        up(w);
        return;
    }
    struct crypto_tls_trust *trust = net_client_trust(w->client);
    if (!trust) {
        http1_fetch_fail(w->fetch, NET_CONFIGURATION_ERROR, "the certificates to trust cannot be read");
        return;
    }
    w->stream = net_stream_tls(w->client->loop, w->stream, crypto_tls_new(trust, w->host));
    net_stream_listen(w->stream, on_handshake, w);
    on_handshake(w);
}

/* Not by the network. */
static void open_own(void *arg) {
    struct net_wire *w = arg;
    int fd = w->client->c.open(w->client->c.open_arg);
    if (fd < 0) {
        http1_fetch_fail(w->fetch,
                         errno == ECONNREFUSED || errno == ENOENT ? NET_CONNECTION_REFUSED : NET_DESTINATION_UNAVAILABLE,
                         strerror(errno));
        return;
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    w->stream = net_stream_of_sock(net_sock_wrap(w->client->loop, fd, NET_SOCK_TCP, false));
    end_dialling(w);
    up(w);
}

static enum net_error error_of(enum net_sock_error e, bool denied) {
    switch (e) {
    case NET_SOCK_OK: return denied ? NET_DESTINATION_IP_PROHIBITED : NET_DESTINATION_UNAVAILABLE;
    case NET_SOCK_CONNECTION_REFUSED: return NET_CONNECTION_REFUSED;
    case NET_SOCK_REMOTE_UNREACHABLE: return NET_DESTINATION_IP_UNROUTABLE;
    case NET_SOCK_TIMEOUT: return NET_CONNECTION_TIMEOUT;
    case NET_SOCK_SOCKET_LIMIT:
    case NET_SOCK_OUT_OF_MEMORY: return NET_CONNECTION_LIMIT_REACHED;
    default: return NET_DESTINATION_UNAVAILABLE;
    }
}

static void on_dialled(void *arg) {
    struct net_wire *w = arg;
    bool lost, denied;
    w->stream = net_dial_take(w->dial, &w->address);
    if (w->stream) {
        connected(w);
        return;
    }
    enum net_sock_error why = net_dial_error(w->dial, &lost, &denied);
    enum net_error e = lost ? NET_DNS_ERROR : error_of(why, denied);
    http1_fetch_fail(w->fetch, e, lost ? "the name was not found" : net_error_text(e));
}

static bool may_connect(void *arg, const struct net_addr *a) {
    return http1_fetch_may_connect(((struct net_wire *)arg)->fetch, a);
}

static char *text_of(const char *p, size_t n) {
    char *to = malloc(n + 1);
    ENSURE(to);
    memcpy(to, p, n);
    to[n] = 0;
    return to;
}

struct net_wire *net_wire_new(struct net_client *c, struct http1_fetch *f, const char *key, str host, uint16_t port, bool https,
                              enum net_error *e) {
    struct net_wire *w = calloc(1, sizeof *w);
    ENSURE(w);
    *w = (struct net_wire){.client = c, .fetch = f, .https = https};
    const struct net_dial_config dial = {
        .loop = c->loop, .party = c->c.party, .allow = may_connect, .told = on_dialled, .arg = w};
    if (!c->c.open && !(w->dial = net_dial_new(&dial, host, port))) {
        free(w);
        *e = NET_DNS_ERROR;
        return NULL;
    }
    str name = w->dial ? str_c(net_dial_host(w->dial)) : host;
    w->key = text_of(key, strlen(key));
    w->host = text_of((const char *)name.p, name.n);
    w->address.port = port;
    net_client_wires(c, 1);
    if (w->dial) return w;
    w->timer = net_timer_new(c->loop, open_own, w);
    net_timer_start(w->timer, 0, 0);
    return w;
}

void net_wire_free(struct net_wire *w) {
    if (!w) return;
    if (w->next) {
        w->prev->next = w->next;
        w->next->prev = w->prev;
        w->client->resting_count--;
    }
    end_dialling(w);
    if (w->stream) net_stream_close(w->stream, false);
    net_client_wires(w->client, -1);
    free(w->key);
    free(w->host);
    free(w);
}

/* ---- bytes ---- */

size_t net_wire_send(struct net_wire *w, str data) {
    size_t taken = 0;
    while (taken < data.n && w->stream->writable && !w->cut) {
        ssize_t n = net_stream_send(w->stream, data.p + taken, data.n - taken);
        if (n > 0) taken += (size_t)n;
        else w->cut = n == NET_STREAM_FAILED;
    }
    return taken;
}

enum net_flow net_wire_receive(struct net_wire *w, struct buf *in) {
    if (w->eof) return NET_FLOW_END;
    if (!w->stream->readable && !w->stream->failed) return NET_FLOW_WAIT;
    ENSURE(buf_reserve(in, RECEIVE_BYTES));
    ssize_t n = net_stream_recv(w->stream, in->p + in->n, RECEIVE_BYTES);
    if (n == NET_STREAM_WAIT) return NET_FLOW_WAIT;
    if (n > 0) {
        in->n += (size_t)n;
        return NET_FLOW_DATA;
    }
    w->eof = true;
    w->secure_end = n == 0;
    return NET_FLOW_END;
}

void net_wire_rest(struct net_wire *w) {
    w->fetch = NULL;
    net_stream_listen(w->stream, NULL, NULL);
}

void net_wire_give(struct net_wire *w, struct http1_fetch *f) {
    w->fetch = f;
    net_stream_listen(w->stream, on_io, w);
}

/* What its peer has to say by itself, such as TLS's tickets, is not much and is taken. */
bool net_wire_fit(struct net_wire *w) {
    uint8_t byte;
    return net_stream_recv(w->stream, &byte, 1) == NET_STREAM_WAIT;
}
