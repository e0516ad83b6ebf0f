/* addr: see addr.h. */
#include "net/addr.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <netinet/in.h>
#include <stdio.h>

/* ---- classes ---- */

enum { CARRIES = -1 };
static const struct range {
    const char *prefix;
    uint8_t bits;
    int class;  /* enum net_addr_class, or CARRIES */
    uint8_t at; /* of the IPv4 address that it carries */
} ranges[] = {
#define RANGE(prefix, bits, class, source, what) {prefix, bits, NET_ADDR_##class, 0},
#define CARRIER(prefix, bits, at, source, what) {prefix, bits, CARRIES, at},
#include "net/addr.def"
#undef RANGE
#undef CARRIER
};
enum { RANGES = ARRAY_COUNT(ranges) };

static struct net_addr parsed[RANGES];
static void parse_prefixes(void) {
    for (size_t k = 0; k < RANGES; k++) {
        parsed[k].v6 = strchr(ranges[k].prefix, ':');
        ENSURE(inet_pton(parsed[k].v6 ? AF_INET6 : AF_INET, ranges[k].prefix, parsed[k].ip) == 1);
    }
}

/* The prefix of a row, not unmapped. Threads ask at once. */
static const struct net_addr *range_prefix(size_t i) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    ENSURE(pthread_once(&once, parse_prefixes) == 0);
    return &parsed[i];
}

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

/* The first row that a is in; NULL: it is the internet's. */
static const struct range *range_of(const struct net_addr *a) {
    for (size_t i = 0; i < RANGES; i++)
        if (net_addr_in(a, range_prefix(i), ranges[i].bits)) return &ranges[i];
    return NULL;
}

static struct net_addr carried(const struct net_addr *a, const struct range *r) {
    struct net_addr inner = {0};
    memcpy(inner.ip, a->ip + r->at, 4);
    return inner;
}

enum net_addr_class net_addr_class(const struct net_addr *a) {
    const struct range *r = range_of(a);
    if (!r) return NET_ADDR_PUBLIC;
    if (r->class != CARRIES) return (enum net_addr_class)r->class;
    struct net_addr inner = carried(a, r);
    return net_addr_class(&inner);
}

bool net_addr_unicast(const struct net_addr *a) {
    enum net_addr_class c = net_addr_class(a);
    return c != NET_ADDR_MULTICAST && c != NET_ADDR_BROADCAST;
}

bool net_addr_in(const struct net_addr *a, const struct net_addr *prefix, uint8_t bits) {
    if (a->v6 != prefix->v6) return false;
    size_t whole = bits / 8;
    if (memcmp(a->ip, prefix->ip, whole) != 0) return false;
    return !(bits % 8) || !((a->ip[whole] ^ prefix->ip[whole]) >> (8 - bits % 8));
}

bool net_addr_prefix_class(const struct net_addr *prefix, uint8_t bits, enum net_addr_class *out) {
    struct net_addr first = *prefix, last = *prefix;
    const struct range *r = range_of(prefix);
    if (r && r->class == CARRIES && bits >= 8 * r->at) { /* it carries a prefix, too */
        struct net_addr inner = carried(prefix, r);
        return net_addr_prefix_class(&inner, (uint8_t)MIN(bits - 8 * r->at, 32), out);
    }
    for (unsigned i = bits; i < (prefix->v6 ? 128u : 32u); i++) {
        first.ip[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
        last.ip[i / 8] |= (uint8_t)(0x80 >> i % 8);
    }
    *out = net_addr_class(&first);
    if (*out != net_addr_class(&last)) return false;
    /* Both ends may lie outside of what lies between them. */
    for (size_t i = 0; i < RANGES; i++)
        if (ranges[i].bits > bits && ranges[i].class != (int)*out && net_addr_in(range_prefix(i), prefix, bits)) return false;
    return true;
}

bool net_addr_same_ip(const struct net_addr *a, const struct net_addr *b) {
    return a->v6 == b->v6 && !memcmp(a->ip, b->ip, a->v6 ? 16 : 4);
}
bool net_addr_same(const struct net_addr *a, const struct net_addr *b) { return a->port == b->port && net_addr_same_ip(a, b); }

/* ---- text ---- */

static void unmap(struct net_addr *a) {
    if (!a->v6 || memcmp(a->ip, mapped, 12) != 0) return;
    memmove(a->ip, a->ip + 12, 4);
    memset(a->ip + 4, 0, 12);
    a->v6 = false;
    a->flow = a->scope = 0;
}

bool net_addr_parse(str text, struct net_addr *out) {
    char c[INET6_ADDRSTRLEN + 1];
    bool bracketed = text.n > 2 && text.p[0] == '[' && text.p[text.n - 1] == ']';
    if (bracketed) text = str_sub(text, 1, text.n - 2);
    *out = (struct net_addr){.v6 = str_find(text, ':') < text.n};
    if (!text.n || text.n >= sizeof c || memchr(text.p, 0, text.n) || (bracketed && !out->v6)) return false;
    memcpy(c, text.p, text.n);
    c[text.n] = 0;
    if (inet_pton(out->v6 ? AF_INET6 : AF_INET, c, out->ip) != 1) return false;
    unmap(out);
    return true;
}

const char *net_addr_text(const struct net_addr *a, bool with_port, char to[static NET_ADDR_TEXT_MAX]) {
    char ip[INET6_ADDRSTRLEN] = "";
    inet_ntop(a->v6 ? AF_INET6 : AF_INET, a->ip, ip, sizeof ip);
    if (with_port) snprintf(to, NET_ADDR_TEXT_MAX, a->v6 ? "[%s]:%u" : "%s:%u", ip, a->port);
    else snprintf(to, NET_ADDR_TEXT_MAX, "%s", ip);
    return to;
}

/* ---- the system's ---- */

void net_addr_of(const struct sockaddr *from, struct net_addr *out) {
    *out = (struct net_addr){0};
    if (from->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)from;
        memcpy(out->ip, &v4->sin_addr, 4);
        out->port = ntohs(v4->sin_port);
    } else if (from->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)from;
        out->v6 = true;
        memcpy(out->ip, &v6->sin6_addr, 16);
        out->port = ntohs(v6->sin6_port);
        out->flow = ntohl(v6->sin6_flowinfo);
        out->scope = v6->sin6_scope_id;
        unmap(out);
    }
}

uint32_t net_addr_sockaddr(const struct net_addr *a, struct sockaddr_storage *out) {
    *out = (struct sockaddr_storage){0};
    if (!a->v6) {
        struct sockaddr_in *v4 = (void *)out;
        v4->sin_family = AF_INET;
        v4->sin_port = htons(a->port);
        memcpy(&v4->sin_addr, a->ip, 4);
        return sizeof *v4;
    }
    struct sockaddr_in6 *v6 = (void *)out;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(a->port);
    v6->sin6_flowinfo = htonl(a->flow);
    v6->sin6_scope_id = a->scope;
    memcpy(&v6->sin6_addr, a->ip, 16);
    return sizeof *v6;
}
