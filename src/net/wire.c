/* wire: a connection of the client's.
 *
 *   lookup ─> attempts, the next address after ATTEMPT_MS or a failure (RFC 8305) ─> the first that is connected ─> TLS ─> up
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

enum { ATTEMPT_MS = 250, RECEIVE_BYTES = 16 << 10 };

static void attempt_more(struct net_wire *w);

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

static void end_attempts(struct net_wire *w) {
    for (int i = 0; i < NET_WIRE_ATTEMPTS; i++) {
        net_wait_cancel(&w->attempts[i].wait);
        net_sock_free(w->attempts[i].sock);
        w->attempts[i].sock = NULL;
    }
    net_timer_free(w->timer);
    w->timer = NULL;
    net_lookup_free(w->lookup);
    w->lookup = NULL;
}

static void connected(struct net_attempt *a) {
    struct net_wire *w = a->wire;
    net_sock_no_delay(a->sock);
    w->stream = net_stream_of_sock(a->sock);
    w->address = a->address;
    a->sock = NULL;
    end_attempts(w);
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
static void open_own(struct net_wire *w) {
    int fd = w->client->c.open(w->client->c.open_arg);
    if (fd < 0) {
        http1_fetch_fail(w->fetch,
                         errno == ECONNREFUSED || errno == ENOENT ? NET_CONNECTION_REFUSED : NET_DESTINATION_UNAVAILABLE,
                         strerror(errno));
        return;
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    w->stream = net_stream_of_sock(net_sock_wrap(w->client->loop, fd, NET_SOCK_TCP, false));
    end_attempts(w);
    up(w);
}

static enum net_error error_of(const struct net_wire *w) {
    switch (w->last_error) {
    case NET_SOCK_OK: return w->fetch->base.prohibited ? NET_DESTINATION_IP_PROHIBITED : NET_DESTINATION_UNAVAILABLE;
    case NET_SOCK_CONNECTION_REFUSED: return NET_CONNECTION_REFUSED;
    case NET_SOCK_REMOTE_UNREACHABLE: return NET_DESTINATION_IP_UNROUTABLE;
    case NET_SOCK_TIMEOUT: return NET_CONNECTION_TIMEOUT;
    case NET_SOCK_SOCKET_LIMIT:
    case NET_SOCK_OUT_OF_MEMORY: return NET_CONNECTION_LIMIT_REACHED;
    default: return NET_DESTINATION_UNAVAILABLE;
    }
}

static void on_attempt(void *arg) {
    struct net_attempt *a = arg;
    struct net_wire *w = a->wire;
    enum net_sock_error e = net_sock_connected(a->sock);
    if (e == NET_SOCK_OK) {
        connected(a);
        return;
    }
    if (e == NET_SOCK_WOULD_BLOCK) {
        net_sock_wait(a->sock, NET_WRITABLE, &a->wait, on_attempt, a);
        return;
    }
    w->last_error = e;
    net_sock_free(a->sock);
    a->sock = NULL;
    attempt_more(w);
}

static void open_own(struct net_wire *w);

static void on_next(void *arg) {
    struct net_wire *w = arg;
    if (w->client->c.open) open_own(w);
    else attempt_more(w);
}

/* The next address, where one is left and another attempt may run. Fails the fetch when nothing runs any more. */
static void attempt_more(struct net_wire *w) {
    struct net_attempt *a = NULL;
    bool running = false;
    for (int i = 0; i < NET_WIRE_ATTEMPTS; i++) {
        if (w->attempts[i].sock) running = true;
        else a = &w->attempts[i];
    }
    while (a && w->tried < w->count) {
        *a = (struct net_attempt){.wire = w, .address = w->addresses[w->tried++]};
        if (!http1_fetch_may_connect(w->fetch, &a->address)) continue;
        enum net_sock_error e = net_sock_new(w->client->loop, NET_SOCK_TCP, a->address.v6, &a->sock);
        if (e == NET_SOCK_OK) e = net_sock_connect(a->sock, &a->address);
        if (e == NET_SOCK_OK || e == NET_SOCK_WOULD_BLOCK) {
            net_sock_wait(a->sock, NET_WRITABLE, &a->wait, on_attempt, a);
            if (w->tried < w->count) net_timer_start(w->timer, ATTEMPT_MS, 0);
            return;
        }
        w->last_error = e;
        net_sock_free(a->sock);
        a->sock = NULL;
    }
    if (running) return;
    enum net_error e = error_of(w);
    http1_fetch_fail(w->fetch, e, net_error_text(e));
}

/* In the resolver's order, but the families take turns: one of them may lead nowhere. */
static void set_addresses(struct net_wire *w, const struct net_addr *list, uint32_t count, uint16_t port) {
    uint32_t at[2] = {0, 0};
    bool v6 = count && list[0].v6;
    for (uint32_t k = 0; k < count && w->count < NET_WIRE_ADDRESSES; k++, v6 = !v6) {
        while (at[v6] < count && list[at[v6]].v6 != v6) at[v6]++;
        if (at[v6] == count) v6 = !v6;
        while (at[v6] < count && list[at[v6]].v6 != v6) at[v6]++;
        w->addresses[w->count] = list[at[v6]++];
        w->addresses[w->count++].port = port;
    }
}

static void on_lookup(void *arg) {
    struct net_wire *w = arg;
    uint32_t count;
    uint16_t port = w->address.port;
    const struct net_addr *list = net_lookup_addresses(w->lookup, &count);
    if (net_lookup_error(w->lookup) != NET_LOOKUP_OK) {
        http1_fetch_fail(w->fetch, NET_DNS_ERROR, "the name was not found");
        return;
    }
    set_addresses(w, list, count, port);
    net_lookup_free(w->lookup);
    w->lookup = NULL;
    attempt_more(w);
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
    struct net_addr literal;
    str name = {0};
    bool own = c->c.open, is_literal = !own && net_addr_parse(host, &literal);
    if (!own && !is_literal && !net_name_ascii(f->mem, host, &name)) {
        *e = NET_DNS_ERROR;
        return NULL;
    }
    struct net_wire *w = calloc(1, sizeof *w);
    ENSURE(w);
    *w = (struct net_wire){.client = c, .fetch = f, .https = https};
    char text[NET_ADDR_TEXT_MAX];
    if (own) name = host;
    if (is_literal) name = str_c(net_addr_text(&literal, false, text));
    w->key = text_of(key, strlen(key));
    w->host = text_of((const char *)name.p, name.n);
    w->address.port = port;
    net_client_wires(c, 1);
    w->timer = net_timer_new(c->loop, on_next, w);
    if (own) {
        net_timer_start(w->timer, 0, 0);
    } else if (is_literal) {
        set_addresses(w, &literal, 1, port);
        net_timer_start(w->timer, 0, 0);
    } else {
        w->lookup = net_lookup_new(c->loop, c->c.party, name, on_lookup, w);
    }
    return w;
}

void net_wire_free(struct net_wire *w) {
    if (!w) return;
    if (w->next) {
        w->prev->next = w->next;
        w->next->prev = w->prev;
        w->client->resting_count--;
    }
    end_attempts(w);
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
