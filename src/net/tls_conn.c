/* tls_conn: a connection until it is known what it speaks: see tls.h.
 *
 *   HELLO ──whole──> SHAKING ⇄ SIGNING ──done──> OPEN: another protocol's
 *     │                 └──────────── fails: an alert, and the end ──> GONE
 *     └─ it is no TLS: a 400 in plain HTTP, or the end
 */
#include "net/http1_conn.h"
#include "net/proxy.h"
#include "net/tls_int.h"
#include <stdlib.h>

struct net_tls_ask {
    struct net_conn *c;
    void *asked; /* what sign gave */
};

struct net_tls_conn {
    enum { HELLO, SHAKING, SIGNING, OPEN, GONE } state;
    bool proxy_due, expired;
    uint64_t deadline_ns;
    enum crypto_tls_protocol agreed;
    struct crypto_tls *tls;               /* the stream's */
    struct crypto_tls_identity *identity; /* held */
    struct net_tls_ask ask;
    uint8_t name_n;
    char name[]; /* the server's, as the client asks for it */
};

enum { FIRST_BYTES = 2 << 10, HELLO_BYTES_MAX = CRYPTO_HELLO_BYTES_MAX + NET_PROXY_BYTES_MAX };

static struct net_tls_conn *of(const struct net_conn *c) { return c->tls; }

/* ---- its end ---- */

void net_tls_forget(struct net_conn *c) {
    struct net_tls_conn *t = of(c);
    if (!t) return;
    ENSURE(t->state != SIGNING);
    crypto_tls_identity_drop(t->identity);
    free(t);
    c->tls = NULL;
}

static void end(struct net_conn *c) {
    const struct net_tls_config *config = c->server->c.tls;
    if (of(c)->state == GONE) return;
    if (of(c)->state == SIGNING && config->cancel) config->cancel(config->arg, of(c)->ask.asked);
    of(c)->state = GONE;
    net_conn_close(c, false);
    net_conn_bury(c);
}

/* Whatever can leave of it does; nobody waits for more. */
static void end_with(struct net_conn *c, enum crypto_alert which, const char *why) {
    struct net_server *s = c->server;
    uint8_t alert[CRYPTO_ALERT_BYTES];
    crypto_alert(which, alert);
    s->stats.bad_requests++;
    if (s->c.on_refused) s->c.on_refused(net_conn_peer(c), 0, why, s->c.arg);
    (void)!net_stream_send(&c->plain.s, alert, sizeof alert);
    end(c);
}

/* ---- what is spoken then ---- */

enum crypto_tls_protocol net_tls_agreed(const struct net_conn *c) { return c->tls ? of(c)->agreed : CRYPTO_TLS_NO_PROTOCOL; }

static void become_http(struct net_conn *c) {
    net_conn_serve(c);
    net_bytes_release(&c->in);
    c->protocol = &net_http1_protocol;
    c->protocol->start(c);
    container_of(c, struct http1_conn, c)->io_deadline_ns = of(c)->deadline_ns; /* whoever was slow so far has less time now */
    if (c->server->draining) c->protocol->drain(c);
}

static void shaken(struct net_conn *c) {
    struct net_tls_conn *t = of(c);
    t->agreed = crypto_tls_protocol(t->tls);
    if (t->agreed == CRYPTO_TLS_CHALLENGE) { /* RFC 8737 §3: the certificate was all there was to say */
        end(c);
        return;
    }
    t->state = OPEN;
    become_http(c);
    c->stream->readable = true; /* something may have come with the last of the handshake */
    net_conn_later(c);
}

/* ---- the handshake ---- */

/* False: too many wait, and it fails. */
static bool sign(struct net_conn *c) {
    const struct net_tls_config *config = c->server->c.tls;
    struct net_tls_conn *t = of(c);
    uint16_t scheme;
    str message = crypto_tls_wants(t->tls, &scheme);
    t->ask.c = c;
    t->ask.asked = config->sign(config->arg, &t->ask, crypto_tls_identity(t->tls), scheme, message);
    if (t->ask.asked) t->state = SIGNING;
    return t->ask.asked;
}

static void took(struct net_conn *c, ssize_t n, enum crypto_tls_result r, const char *why) {
    struct net_server *s = c->server;
    if (n == NET_STREAM_WAIT && r == CRYPTO_TLS_SIGN && !sign(c)) {
        n = net_stream_signed(c->stream, (str){0}, &r, &why); /* which says so to the client */
        why = "too many handshakes wait for a signature";
        if (n != 0) n = NET_STREAM_FAILED;
    }
    if (n == 0) {
        shaken(c);
    } else if (n == NET_STREAM_FAILED) {
        s->stats.bad_requests++;
        if (s->c.on_refused && r != CRYPTO_TLS_END) s->c.on_refused(net_conn_peer(c), 0, why, s->c.arg);
        end(c);
    }
}

static void shake(struct net_conn *c) {
    enum crypto_tls_result r;
    const char *why;
    ssize_t n = net_stream_handshake(c->stream, &r, &why);
    took(c, n, r, why);
}

void net_tls_told(struct net_tls_ask *ask, str signature) {
    struct net_conn *c = ask->c;
    enum crypto_tls_result r;
    const char *why;
    of(c)->state = SHAKING;
    ssize_t n = net_stream_signed(c->stream, signature, &r, &why);
    took(c, n, r, signature.n ? why : "the certificate's key is not to be had");
}

static void begin(struct net_conn *c, struct crypto_tls_identity *who, const struct crypto_hello *hello) {
    struct net_tls_conn *t = realloc(c->tls, sizeof *t + hello->server_name.n);
    ENSURE(t);
    c->tls = t;
    t->name_n = (uint8_t)hello->server_name.n;
    if (t->name_n) memcpy(t->name, hello->server_name.p, t->name_n);
    crypto_tls_identity_hold(t->identity = who);
    t->tls = crypto_tls_accept(who);
    t->state = SHAKING;
    crypto_tls_feed(t->tls, (str){c->in.p + c->in.off, net_bytes_left(&c->in)});
    net_bytes_release(&c->in);
    net_stream_listen(&c->plain.s, NULL, NULL);
    c->stream = net_stream_tls(c->server->loop, &c->plain.s, t->tls);
    net_conn_listen(c);
    shake(c);
}

/* ---- what comes first ---- */

static bool pass(struct net_conn *c, const struct net_pass *to) {
    str bytes = {c->in.p + c->in.off, net_bytes_left(&c->in)};
    net_conn_unwatch(c);
    if (!to->give(to->arg,
                  &(struct net_handover){
                      .fd = c->plain.fd, .bytes = bytes, .peer = &c->peer, .peer_n = sizeof c->peer, .passes = c->passes + 1}))
        return false;
    c->server->stats.passed++;
    end(c);
    return true;
}

static void refuse_plain(struct net_conn *c) {
    c->protocol = &net_http1_protocol;
    net_conn_serve(c);
    net_bytes_release(&c->in);
    net_http1_refuse(c, 400, "this port speaks TLS, not plain HTTP; use https://");
}

static void said(struct net_conn *c) {
    const struct net_tls_config *config = c->server->c.tls;
    struct crypto_hello hello;
    struct net_pass to = {0};
    uint8_t first = c->in.p[c->in.off];
    if (!crypto_hello_begins(first)) {
        if (first >= 'A' && first <= 'Z') refuse_plain(c);
        else end_with(c, CRYPTO_ALERT_DECODE, "it speaks no TLS");
        return;
    }
    enum crypto_hello_result r = crypto_hello_parse((str){c->in.p + c->in.off, net_bytes_left(&c->in)}, &hello);
    if (r == CRYPTO_HELLO_MORE && net_bytes_left(&c->in) < CRYPTO_HELLO_BYTES_MAX) return;
    if (r != CRYPTO_HELLO_OK) {
        end_with(c, CRYPTO_ALERT_DECODE, "its ClientHello is malformed or too long");
        return;
    }
    if (config->elsewhere && c->passes < NET_PASSES_MAX && config->elsewhere(config->arg, c->server, hello.server_name, &to)) {
        if (!pass(c, &to)) end_with(c, CRYPTO_ALERT_INTERNAL, "whoever is to answer takes no more connections now");
        return;
    }
    struct crypto_tls_identity *who = config->choose(config->arg, &hello);
    if (who) begin(c, who, &hello);
    else end_with(c, CRYPTO_ALERT_NO_NAME, "there is no certificate for the name that it asks for");
}

/* False: it is not all there, or there is none, and the connection is gone. */
static bool take_proxy(struct net_conn *c) {
    struct net_proxy proxy;
    struct net_server *s = c->server;
    enum net_proxy_result r = net_proxy_parse(c->in.p + c->in.off, net_bytes_left(&c->in), &proxy);
    if (r == NET_PROXY_MORE) return false;
    if (r == NET_PROXY_ERROR) {
        s->stats.bad_requests++;
        if (s->c.on_refused) s->c.on_refused(net_conn_peer(c), 400, proxy.why, s->c.arg);
        end(c);
        return false;
    }
    c->in.off += (uint32_t)proxy.bytes;
    of(c)->proxy_due = false;
    if (proxy.known) net_conn_set_peer(c, &proxy.peer);
    return net_bytes_left(&c->in);
}

static bool has_room(struct net_conn *c) {
    const struct net_server *s = c->server;
    if (!c->in.base && s->c.memory_bytes_max && s->held_bytes >= s->c.memory_bytes_max && !net_conn_make_memory(c)) return false;
    if (c->in.end < c->in.cap) return true;
    size_t cap = c->in.base ? MIN(c->in.cap * 4u, (uint32_t)HELLO_BYTES_MAX) : FIRST_BYTES;
    if (cap == c->in.cap) return false;
    struct net_bytes more = net_bytes_new(c->server, cap);
    more.p = more.base;
    more.cap = (uint32_t)cap;
    more.end = c->in.end, more.off = c->in.off;
    if (c->in.end) memcpy(more.p, c->in.p, c->in.end);
    net_bytes_release(&c->in);
    c->in = more;
    return true;
}

static void hear(struct net_conn *c) {
    struct net_stream *s = c->stream;
    while (of(c) && of(c)->state == HELLO && c->protocol == &net_tls_protocol && s->readable) {
        if (!has_room(c)) {
            end_with(c, CRYPTO_ALERT_INTERNAL, "all memory of connections is in use");
            return;
        }
        ssize_t n = net_stream_recv(s, c->in.p + c->in.end, c->in.cap - c->in.end);
        if (n == NET_STREAM_WAIT) return;
        if (n <= 0) {
            end(c);
            return;
        }
        c->in.end += (uint32_t)n;
        c->server->stats.bytes_in += (uint64_t)n;
        if (!of(c)->proxy_due || take_proxy(c)) said(c);
        if (c->stream != s) return;
    }
}

/* ---- as a protocol ---- */

static void on_job(struct net_job *job) {
    struct net_conn *c = container_of(job, struct net_conn, job);
    c->protocol->ready(c);
}

static void tls_start(struct net_conn *c) {
    struct net_tls_conn *t = c->tls = calloc(1, sizeof *t);
    ENSURE(t);
    t->deadline_ns = net_server_deadline(c->server, c->server->c.header_ms_max);
    t->proxy_due = c->server->c.proxied;
    c->job.fn = on_job;
    net_conn_unserve(c, NET_UNSERVED_SILENT);
}

/* What another process read of it: the ClientHello, and what came behind it. */
static void tls_adopt(struct net_conn *c, str bytes) {
    of(c)->proxy_due = false;
    if (!bytes.n) return;
    c->in = net_bytes_new(c->server, MAX(bytes.n, (size_t)FIRST_BYTES));
    c->in.p = c->in.base;
    c->in.cap = c->in.size;
    memcpy(c->in.p, bytes.p, bytes.n);
    c->in.end = (uint32_t)bytes.n;
    said(c);
}

static void tls_ready(struct net_conn *c) {
    if (UNLIKELY(of(c)->expired)) {
        end(c);
        return;
    }
    switch (of(c)->state) {
    case HELLO: hear(c); break;
    case SHAKING: shake(c); break;
    case SIGNING: /* what comes meanwhile waits; but for who waits for nothing any more */
        if (c->plain.s.failed) end(c);
        break;
    default: break;
    }
}

static void tls_kill(struct net_conn *c) { end(c); }

/* Whoever sweeps goes on with the next one: this one may not be gone by then. */
static void tls_sweep(struct net_conn *c, uint64_t now_ns) {
    if (LIKELY(!net_passed(of(c)->deadline_ns, now_ns))) return;
    of(c)->expired = true;
    net_conn_later(c);
}

static void tls_drain(struct net_conn *c) {}

const struct net_protocol net_tls_protocol = {.bytes = 0, /* those of HTTP/1.1's, which it becomes */
                                              .start = tls_start,
                                              .adopt = tls_adopt,
                                              .ready = tls_ready,
                                              .sweep = tls_sweep,
                                              .drain = tls_drain,
                                              .kill = tls_kill,
                                              .abandon = tls_kill};

bool net_exchange_tls(const struct net_exchange *x, struct net_tls_facts *out) {
    const struct net_tls_conn *t = x->tls;
    if (!t || t->state != OPEN) return false;
    *out = (struct net_tls_facts){.server_name = {(const uint8_t *)t->name, t->name_n}, .identity = t->identity};
    return true;
}
