/* wire: a connection of the client's.
 *
 *   lookup ─> attempts, the next address after ATTEMPT_MS or a failure (RFC 8305) ─> the first that is connected ─> TLS ─> up
 *
 * 1. Each address is asked about (allow_address) before anything is sent to it, whatever led there.
 * 2. A fetch is told by its job alone; what fails before the wire is up is told by net_fetch_fail.
 */
#include "crypto/tls.h"
#include "net/client_int.h"
#include <stdlib.h>

enum {
    ATTEMPT_MS = 250,
    RECEIVE_BYTES = 16 << 10,
    TURN_FEEDS = 2,                  /* that TLS takes in a turn without having data: a peer may send without end what is none */
    FRUITLESS_BYTES_MAX = 256 << 10, /* a handshake's, with certificates of 100 KB; of messages between data */
    ANSWER_BYTES_MAX = 64 << 10,     /* that TLS has to say by itself and the peer does not take */
};

static void attempt_more(struct net_wire *w);

/* ---- TLS ---- */

static void handshake(struct net_wire *w);

static void cut(struct net_wire *w) { w->cut = true; }

/* What TLS has to send. False: some of it waits. */
static bool flush(struct net_wire *w) {
    str data;
    while (!w->cut && (data = crypto_tls_pending(w->tls)).n) {
        size_t sent;
        enum net_sock_error e = net_sock_send(w->sock, data, &sent);
        if (e == NET_SOCK_WOULD_BLOCK) return false;
        if (e == NET_SOCK_OK) crypto_tls_sent(w->tls, sent);
        else cut(w);
    }
    return !w->cut;
}

/* From the socket to TLS. */
static enum net_flow feed(struct net_wire *w) {
    uint8_t bytes[RECEIVE_BYTES];
    size_t got;
    enum net_sock_error e = net_sock_receive(w->sock, bytes, sizeof bytes, &got);
    if (e == NET_SOCK_WOULD_BLOCK) return NET_FLOW_WAIT;
    if (e != NET_SOCK_OK || !got) return NET_FLOW_END;
    crypto_tls_feed(w->tls, (str){bytes, got});
    w->fruitless += got;
    return NET_FLOW_DATA;
}

/* The peer makes TLS work and says nothing. */
static bool idles(const struct net_wire *w) {
    return w->fruitless > FRUITLESS_BYTES_MAX || crypto_tls_pending(w->tls).n > ANSWER_BYTES_MAX;
}

static enum net_error tls_error(enum crypto_tls_result r) {
    return r == CRYPTO_TLS_CERTIFICATE ? NET_TLS_CERTIFICATE_ERROR
           : r == CRYPTO_TLS_ALERT     ? NET_TLS_ALERT_RECEIVED
                                       : NET_TLS_PROTOCOL_ERROR;
}

static void on_handshake(void *arg) { handshake(arg); }

static void handshake(struct net_wire *w) {
    for (int feeds = 0;; feeds++) {
        enum crypto_tls_result r = crypto_tls_handshake(w->tls);
        bool flushed = flush(w); /* an alert, too */
        if (r == CRYPTO_TLS_OK) {
            w->shaken = true;
            w->fruitless = 0;
            net_fetch_connected(w->fetch);
            return;
        }
        if (r != CRYPTO_TLS_MORE) {
            net_fetch_fail(w->fetch, r == CRYPTO_TLS_END ? NET_CONNECTION_TERMINATED : tls_error(r), crypto_tls_why(w->tls));
            return;
        }
        if (idles(w)) {
            net_fetch_fail(w->fetch, NET_TLS_PROTOCOL_ERROR, "the TLS handshake has no end");
            return;
        }
        enum net_flow flow = w->cut ? NET_FLOW_END : feeds == TURN_FEEDS ? NET_FLOW_WAIT : feed(w);
        if (flow == NET_FLOW_DATA) continue;
        if (flow == NET_FLOW_END) {
            net_fetch_fail(w->fetch, NET_CONNECTION_TERMINATED, "the connection broke in the TLS handshake");
            return;
        }
        net_sock_wait(w->sock, NET_READABLE, &w->readable, on_handshake, w);
        if (!flushed) net_sock_wait(w->sock, NET_WRITABLE, &w->writable, on_handshake, w);
        return;
    }
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
    w->sock = a->sock;
    w->address = a->address;
    a->sock = NULL;
    end_attempts(w);
    net_sock_no_delay(w->sock);
    if (!w->https) {
        net_fetch_connected(w->fetch);
        return;
    }
    struct crypto_tls_trust *trust = net_client_trust(w->client);
    if (!trust) {
        net_fetch_fail(w->fetch, NET_CONFIGURATION_ERROR, "the certificates to trust cannot be read");
        return;
    }
    w->tls = crypto_tls_new(trust, w->host);
    handshake(w);
}

static enum net_error error_of(const struct net_wire *w) {
    switch (w->last_error) {
    case NET_SOCK_OK: return w->fetch->prohibited ? NET_DESTINATION_IP_PROHIBITED : NET_DESTINATION_UNAVAILABLE;
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

static void on_next(void *arg) { attempt_more(arg); }

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
        if (!net_fetch_may_connect(w->fetch, &a->address)) continue;
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
    net_fetch_fail(w->fetch, e, net_error_text(e));
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
        net_fetch_fail(w->fetch, NET_DNS_ERROR, "the name was not found");
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

struct net_wire *net_wire_new(struct net_client *c, struct net_fetch *f, const char *key, str host, uint16_t port, bool https,
                              enum net_error *e) {
    struct net_addr literal;
    str name = {0};
    bool is_literal = net_addr_parse(host, &literal);
    if (!is_literal && !net_name_ascii(f->mem, host, &name)) {
        *e = NET_DNS_ERROR;
        return NULL;
    }
    struct net_wire *w = calloc(1, sizeof *w);
    ENSURE(w);
    *w = (struct net_wire){.client = c, .fetch = f, .https = https};
    char text[NET_ADDR_TEXT_MAX];
    if (is_literal) name = str_c(net_addr_text(&literal, false, text));
    w->key = text_of(key, strlen(key));
    w->host = text_of((const char *)name.p, name.n);
    w->address.port = port;
    net_client_wires(c, 1);
    w->timer = net_timer_new(c->loop, on_next, w);
    if (is_literal) {
        set_addresses(w, &literal, 1, port);
        net_timer_start(w->timer, 0, 0);
    } else {
        w->lookup = net_lookup_new(c->loop, name, on_lookup, w);
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
    net_wait_cancel(&w->readable);
    net_wait_cancel(&w->writable);
    if (w->tls && w->shaken && !w->cut && !w->eof) {
        crypto_tls_close(w->tls);
        flush(w);
    }
    net_sock_free(w->sock);
    crypto_tls_free(w->tls);
    net_client_wires(w->client, -1);
    free(w->key);
    free(w->host);
    free(w);
}

/* ---- bytes ---- */

size_t net_wire_send(struct net_wire *w, str data) {
    size_t taken = 0;
    while (taken < data.n && !w->cut) {
        str piece = str_sub(data, taken, RECEIVE_BYTES);
        size_t sent = piece.n;
        if (w->tls) {
            if (!flush(w)) break;
            if (crypto_tls_write(w->tls, piece) != CRYPTO_TLS_OK) cut(w);
        } else {
            enum net_sock_error e = net_sock_send(w->sock, str_sub(data, taken, data.n), &sent);
            if (e == NET_SOCK_WOULD_BLOCK) break;
            if (e != NET_SOCK_OK) cut(w);
        }
        if (!w->cut) taken += sent;
    }
    if (w->tls) flush(w);
    return taken;
}

static enum net_flow ended(struct net_wire *w, bool said) {
    w->eof = true;
    w->secure_end = said;
    return NET_FLOW_END;
}

enum net_flow net_wire_receive(struct net_wire *w, struct buf *in) {
    size_t got = 0;
    if (w->eof) return NET_FLOW_END;
    ENSURE(buf_reserve(in, RECEIVE_BYTES));
    for (int feeds = 0; w->tls; feeds++) {
        enum crypto_tls_result r = crypto_tls_read(w->tls, in->p + in->n, RECEIVE_BYTES, &got);
        if (r == CRYPTO_TLS_OK) {
            w->fruitless = 0;
            break;
        }
        if (r != CRYPTO_TLS_MORE || idles(w)) return ended(w, r == CRYPTO_TLS_END);
        enum net_flow flow = feeds == TURN_FEEDS ? NET_FLOW_WAIT : feed(w);
        if (flow == NET_FLOW_END) return ended(w, false);
        if (flow == NET_FLOW_WAIT) {
            flush(w);
            return flow;
        }
    }
    if (!w->tls) {
        enum net_sock_error e = net_sock_receive(w->sock, in->p + in->n, RECEIVE_BYTES, &got);
        if (e == NET_SOCK_WOULD_BLOCK) return NET_FLOW_WAIT;
        if (e != NET_SOCK_OK || !got) return ended(w, e == NET_SOCK_OK);
    }
    w->dry = !w->tls && got < RECEIVE_BYTES;
    in->n += got;
    return NET_FLOW_DATA;
}

static void on_io(void *arg) { net_job_queue(((struct net_wire *)arg)->client->loop, &((struct net_wire *)arg)->fetch->job); }

void net_wire_watch(struct net_wire *w, bool read, bool write) {
    write |= w->tls && !w->cut && crypto_tls_pending(w->tls).n;
    if (read && !w->eof) net_sock_wait(w->sock, NET_READABLE, &w->readable, on_io, w);
    else net_wait_cancel(&w->readable);
    if (write && !w->cut) net_sock_wait(w->sock, NET_WRITABLE, &w->writable, on_io, w);
    else net_wait_cancel(&w->writable);
}

bool net_wire_fit(struct net_wire *w) { return !net_sock_ready(w->sock, NET_READABLE) && !(w->tls && crypto_tls_holds(w->tls)); }
