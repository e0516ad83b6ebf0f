/* stream_tls: TLS over another stream.
 *
 *   owner ── plain bytes ── crypto_tls ── records ── below
 *
 * 1. What TLS has to say goes before what the owner wants to: a send takes nothing while some of it waits.
 * 2. A peer may make TLS work without end and say nothing: a turn takes TURN_FEEDS of that, a connection FRUITLESS_BYTES_MAX.
 * 3. An end that the peer did not announce is no end to a client: recv fails, for what came may not be all. To a server it is one: requests say how
 *    long they are, and many a client just hangs up.
 */
#include "crypto/tls_server.h"
#include "net/loop_int.h"
#include "net/stream_int.h"
#include <stdlib.h>

enum {
    RECORDS_BYTES = 16 << 10,
    TURN_FEEDS = 2,                  /* that TLS takes in a turn without having data */
    FRUITLESS_BYTES_MAX = 256 << 10, /* a handshake's, with certificates of 100 KB; of messages between data */
    ANSWER_BYTES_MAX = 64 << 10,     /* that TLS has to say by itself and the peer does not take */
    SEND_BYTES = 64 << 10,           /* that are made records of before they are sent */
};

struct tls_stream {
    struct net_stream s;
    struct net_stream *below;
    struct crypto_tls *tls;
    struct net_job job; /* goes on with what a turn cut short */
    struct net_loop *loop;
    size_t fruitless; /* bytes that TLS took since the last ones that were data */
    bool shaken;      /* the handshake is done */
    bool serves;      /* it is the server's side */
    bool ended, torn; /* the peer sends no more; without having said so */
    bool cut;         /* nothing more can be sent */
};

static struct tls_stream *of(struct net_stream *s) { return container_of(s, struct tls_stream, s); }

/* What TLS has to send. False: some of it waits, or never goes. */
static bool flush(struct tls_stream *t) {
    str data;
    while (!t->cut && (data = crypto_tls_pending(t->tls)).n) {
        ssize_t sent = net_stream_send(t->below, data.p, data.n);
        if (sent == NET_STREAM_WAIT) break;
        if (sent == NET_STREAM_FAILED) t->cut = true;
        else crypto_tls_sent(t->tls, (size_t)sent);
    }
    bool flushed = !t->cut && !crypto_tls_pending(t->tls).n;
    t->s.writable = flushed || t->cut; /* or to be told that it is */
    return flushed;
}

/* From below to TLS: bytes, 0: the end, or WAIT. */
static ssize_t feed(struct tls_stream *t) {
    uint8_t bytes[RECORDS_BYTES];
    if (!t->below->readable && !t->below->failed && !t->below->half_closed)
        return NET_STREAM_WAIT; /* it says so without being asked */
    ssize_t got = net_stream_recv(t->below, bytes, sizeof bytes);
    if (got > 0) {
        crypto_tls_feed(t->tls, (str){bytes, (size_t)got});
        t->fruitless += (size_t)got;
    }
    return got == NET_STREAM_FAILED ? 0 : got;
}

/* The peer makes TLS work and says nothing. */
static bool idles(const struct tls_stream *t) {
    return t->fruitless > FRUITLESS_BYTES_MAX || crypto_tls_pending(t->tls).n > ANSWER_BYTES_MAX;
}

/* Nothing now. In a turn of its own, if below has more. */
static ssize_t wait_for(struct tls_stream *t, bool more) {
    flush(t);
    t->s.readable = false;
    if (more) net_job_queue(t->loop, &t->job);
    return NET_STREAM_WAIT;
}

static ssize_t end(struct tls_stream *t, bool torn) {
    t->ended = true;
    t->torn = torn && !t->serves;
    return t->torn ? NET_STREAM_FAILED : 0;
}

static ssize_t tls_recv(struct net_stream *s, void *p, size_t n) {
    struct tls_stream *t = of(s);
    size_t got;
    if (t->ended) return end(t, t->torn);
    for (int feeds = 0;; feeds++) {
        enum crypto_tls_result r = crypto_tls_read(t->tls, p, n, &got);
        if (r == CRYPTO_TLS_OK) {
            t->fruitless = 0;
            return (ssize_t)got;
        }
        if (r != CRYPTO_TLS_MORE || idles(t)) return end(t, r != CRYPTO_TLS_END);
        if (feeds == TURN_FEEDS) return wait_for(t, true);
        ssize_t fed = feed(t);
        if (fed == 0) return end(t, true);
        if (fed == NET_STREAM_WAIT) return wait_for(t, false);
    }
}

static ssize_t tls_send(struct net_stream *s, const void *p, size_t n) {
    struct tls_stream *t = of(s);
    size_t taken = 0;
    bool flushed = flush(t);
    while (flushed && taken < n) {
        while (!t->cut && taken < n && crypto_tls_pending(t->tls).n < SEND_BYTES) {
            size_t piece = MIN(n - taken, (size_t)RECORDS_BYTES);
            t->cut |= crypto_tls_write(t->tls, (str){(const uint8_t *)p + taken, piece}) != CRYPTO_TLS_OK;
            if (!t->cut) taken += piece;
        }
        flushed = flush(t);
    }
    return taken ? (ssize_t)taken : t->cut ? NET_STREAM_FAILED : NET_STREAM_WAIT;
}

/* What fits goes into one record. */
static ssize_t tls_sendv(struct net_stream *s, const struct iovec *parts, int count) {
    uint8_t bytes[RECORDS_BYTES];
    size_t n = 0;
    for (int i = 0; i < count; i++) n += parts[i].iov_len;
    if (count == 1 || n > sizeof bytes || !n) return net_stream_sendv_each(s, parts, count);
    n = 0;
    for (int i = 0; i < count; n += parts[i++].iov_len)
        if (parts[i].iov_len) memcpy(bytes + n, parts[i].iov_base, parts[i].iov_len);
    return tls_send(s, bytes, n);
}

static void on_below(void *arg) {
    struct tls_stream *t = arg;
    flush(t);
    t->s.readable |= t->below->readable || t->below->failed;
    t->s.half_closed = t->below->half_closed;
    t->s.failed = t->below->failed;
    net_stream_tell(&t->s);
}

static void tls_job(struct net_job *job) {
    struct tls_stream *t = container_of(job, struct tls_stream, job);
    t->s.readable = true;
    net_stream_tell(&t->s);
}

static bool tls_has_input(struct net_stream *s) { return crypto_tls_holds(of(s)->tls) || net_stream_has_input(of(s)->below); }

static bool tls_local(struct net_stream *s, struct net_addr *out) { return of(s)->below->ops->local(of(s)->below, out); }

static void tls_listen(struct net_stream *s) {
    struct tls_stream *t = of(s);
    net_stream_listen(t->below, s->ready ? on_below : NULL, t);
    if (!s->ready) net_job_cancel(&t->job);
    else if (!s->readable && t->below->readable) net_job_queue(t->loop, &t->job);
}

static void say_goodbye(struct tls_stream *t) {
    if (!t->shaken || t->cut) return;
    crypto_tls_close(t->tls);
    flush(t);
}

static void tls_shutdown(struct net_stream *s) {
    say_goodbye(of(s));
    net_stream_shutdown(of(s)->below);
    of(s)->cut = true;
}

static void tls_close(struct net_stream *s, bool reset) {
    struct tls_stream *t = of(s);
    if (!reset && !t->ended) say_goodbye(t);
    net_job_cancel(&t->job);
    net_stream_close(t->below, reset);
    crypto_tls_free(t->tls);
    free(t);
}

static const struct net_stream_ops tls_ops = {.recv = tls_recv,
                                              .send = tls_send,
                                              .sendv = tls_sendv,
                                              .has_input = tls_has_input,
                                              .local = tls_local,
                                              .listen = tls_listen,
                                              .shutdown = tls_shutdown,
                                              .close = tls_close};

struct net_stream *net_stream_tls(struct net_loop *l, struct net_stream *below, struct crypto_tls *tls) {
    struct tls_stream *t = calloc(1, sizeof *t);
    ENSURE(t);
    t->s = (struct net_stream){.ops = &tls_ops, .readable = true, .writable = true};
    t->below = below;
    t->tls = tls;
    t->serves = crypto_tls_identity(tls);
    t->loop = l;
    t->job.fn = tls_job;
    return &t->s;
}

/* first: what it came to just now. */
static ssize_t shake(struct tls_stream *t, enum crypto_tls_result first, enum crypto_tls_result *r, const char **why) {
    *r = first;
    for (int feeds = 0;; feeds++) {
        if (feeds) *r = crypto_tls_handshake(t->tls);
        *why = crypto_tls_why(t->tls);
        flush(t); /* an alert, too */
        if (*r == CRYPTO_TLS_OK) {
            t->shaken = true;
            t->fruitless = 0;
            return 0;
        }
        if (*r == CRYPTO_TLS_SIGN) return NET_STREAM_WAIT;
        if (*r != CRYPTO_TLS_MORE) return NET_STREAM_FAILED;
        *why = "the TLS handshake has no end";
        if (idles(t)) return NET_STREAM_FAILED;
        if (feeds == TURN_FEEDS) return wait_for(t, true);
        ssize_t fed = t->cut ? 0 : feed(t);
        *r = CRYPTO_TLS_END;
        *why = "the connection broke in the TLS handshake";
        if (fed == 0) return NET_STREAM_FAILED;
        if (fed == NET_STREAM_WAIT) {
            *r = CRYPTO_TLS_MORE;
            return wait_for(t, false);
        }
    }
}

ssize_t net_stream_handshake(struct net_stream *s, enum crypto_tls_result *r, const char **why) {
    return shake(of(s), crypto_tls_handshake(of(s)->tls), r, why);
}

ssize_t net_stream_signed(struct net_stream *s, str signature, enum crypto_tls_result *r, const char **why) {
    return shake(of(s), crypto_tls_signed(of(s)->tls, signature), r, why);
}
