/* dial: see dial.h. */
#include "net/dial.h"
#include "crypto/tls.h"
#include "net/sock_int.h"
#include "net/stream_int.h"
#include <stdlib.h>

enum { ATTEMPT_MS = 250, ATTEMPTS = 4 /* at the same time */, ADDRESSES = 16 /* of a name that are tried at all */ };

struct attempt {
    struct net_sock *sock; /* NULL: free */
    struct net_wait wait;
    struct net_dial *of;
    struct net_addr address;
};
struct net_dial {
    struct net_dial_config c;
    char *host;
    uint16_t port;
    bool lost, denied;
    struct net_lookup *lookup;
    struct net_timer *timer; /* the next address */
    struct net_addr addresses[ADDRESSES];
    uint32_t count, tried;
    struct attempt attempts[ATTEMPTS];
    enum net_sock_error last_error;
    struct net_sock *sock; /* that is connected */
    struct net_addr address;
};

static void attempt_more(struct net_dial *d);

static void end_attempts(struct net_dial *d) {
    for (int i = 0; i < ATTEMPTS; i++) {
        net_wait_cancel(&d->attempts[i].wait);
        net_sock_free(d->attempts[i].sock);
        d->attempts[i].sock = NULL;
    }
    net_timer_free(d->timer);
    d->timer = NULL;
    net_lookup_free(d->lookup);
    d->lookup = NULL;
}

static void on_attempt(void *arg) {
    struct attempt *a = arg;
    struct net_dial *d = a->of;
    enum net_sock_error e = net_sock_connected(a->sock);
    if (e == NET_SOCK_OK) {
        net_sock_no_delay(a->sock);
        d->sock = a->sock;
        d->address = a->address;
        a->sock = NULL;
        end_attempts(d);
        d->c.told(d->c.arg);
        return;
    }
    if (e == NET_SOCK_WOULD_BLOCK) {
        net_sock_wait(a->sock, NET_WRITABLE, &a->wait, on_attempt, a);
        return;
    }
    d->last_error = e;
    net_sock_free(a->sock);
    a->sock = NULL;
    attempt_more(d);
}

static bool may(struct net_dial *d, const struct net_addr *a) {
    bool ok = !d->c.allow || d->c.allow(d->c.arg, a);
    d->denied |= !ok;
    return ok;
}

/* The next address, where one is left and another attempt may run. It has failed when nothing runs any more. */
static void attempt_more(struct net_dial *d) {
    struct attempt *a = NULL;
    bool running = false;
    for (int i = 0; i < ATTEMPTS; i++) {
        if (d->attempts[i].sock) running = true;
        else a = &d->attempts[i];
    }
    while (a && d->tried < d->count) {
        *a = (struct attempt){.of = d, .address = d->addresses[d->tried++]};
        if (!may(d, &a->address)) continue;
        enum net_sock_error e = net_sock_new(d->c.loop, NET_SOCK_TCP, a->address.v6, &a->sock);
        if (e == NET_SOCK_OK) e = net_sock_connect(a->sock, &a->address);
        if (e == NET_SOCK_OK || e == NET_SOCK_WOULD_BLOCK) {
            net_sock_wait(a->sock, NET_WRITABLE, &a->wait, on_attempt, a);
            if (d->tried < d->count) net_timer_start(d->timer, ATTEMPT_MS, 0);
            return;
        }
        d->last_error = e;
        net_sock_free(a->sock);
        a->sock = NULL;
    }
    if (!running) d->c.told(d->c.arg);
}

static void on_next(void *arg) { attempt_more(arg); }

/* In the resolver's order, but the families take turns: one of them may lead nowhere. */
static void set_addresses(struct net_dial *d, const struct net_addr *list, uint32_t count) {
    uint32_t at[2] = {0, 0};
    bool v6 = count && list[0].v6;
    for (uint32_t k = 0; k < count && d->count < ADDRESSES; k++, v6 = !v6) {
        while (at[v6] < count && list[at[v6]].v6 != v6) at[v6]++;
        if (at[v6] == count) v6 = !v6;
        while (at[v6] < count && list[at[v6]].v6 != v6) at[v6]++;
        d->addresses[d->count] = list[at[v6]++];
        d->addresses[d->count++].port = d->port;
    }
}

static void on_lookup(void *arg) {
    struct net_dial *d = arg;
    uint32_t count;
    const struct net_addr *list = net_lookup_addresses(d->lookup, &count);
    d->lost = net_lookup_error(d->lookup) != NET_LOOKUP_OK;
    if (!d->lost) set_addresses(d, list, count);
    net_lookup_free(d->lookup);
    d->lookup = NULL;
    attempt_more(d);
}

struct net_dial *net_dial_new(const struct net_dial_config *config, str host, uint16_t port) {
    struct net_addr literal;
    char text[NET_ADDR_TEXT_MAX];
    arena *scratch = arena_new(0);
    str name = {0};
    bool is_literal = net_addr_parse(host, &literal);
    if (is_literal) name = str_c(net_addr_text(&literal, false, text));
    if (!is_literal && !net_name_ascii(scratch, host, &name)) {
        arena_free(scratch);
        return NULL;
    }
    struct net_dial *d = calloc(1, sizeof *d);
    ENSURE(d);
    *d = (struct net_dial){.c = *config, .port = port, .host = strndup((const char *)name.p, name.n)};
    ENSURE(d->host);
    d->timer = net_timer_new(config->loop, on_next, d);
    if (is_literal) {
        set_addresses(d, &literal, 1);
        net_timer_start(d->timer, 0, 0);
    } else {
        d->lookup = net_lookup_new(config->loop, config->party, name, on_lookup, d);
    }
    arena_free(scratch);
    return d;
}

void net_dial_free(struct net_dial *d) {
    if (!d) return;
    end_attempts(d);
    net_sock_free(d->sock);
    free(d->host);
    free(d);
}

bool net_dial_looks_up(const struct net_dial *d) { return d && d->lookup; }
const char *net_dial_host(const struct net_dial *d) { return d->host; }

struct net_stream *net_dial_take(struct net_dial *d, struct net_addr *address) {
    if (!d->sock) return NULL;
    struct net_stream *s = net_stream_of_sock(d->sock);
    *address = d->address;
    d->sock = NULL;
    return s;
}

enum net_sock_error net_dial_error(const struct net_dial *d, bool *lost, bool *denied) {
    *lost = d->lost;
    *denied = d->denied;
    return d->last_error;
}

struct net_stream *net_dial_secure(struct net_loop *l, struct net_stream *below, struct crypto_tls_trust *trust,
                                   const char *host) {
    return net_stream_tls(l, below, crypto_tls_new(trust, host));
}

ssize_t net_dial_shake(struct net_stream *s, const char **why) {
    enum crypto_tls_result r;
    return net_stream_handshake(s, &r, why);
}
