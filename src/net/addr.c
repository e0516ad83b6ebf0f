/* addr: see addr.h. */
#include "net/addr.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

/* ---- classes ---- */

static const struct {
    const char *prefix;
    uint8_t bits;
    enum net_addr_class class;
} classes[] = {
    /* the first that fits holds */
    {"255.255.255.255", 32, NET_ADDR_BROADCAST},
    {"0.0.0.0", 8, NET_ADDR_UNSPECIFIED},
    {"127.0.0.0", 8, NET_ADDR_LOOPBACK},
    {"169.254.0.0", 16, NET_ADDR_LINK_LOCAL},
    {"168.63.129.16", 32, NET_ADDR_LINK_LOCAL},   /* Azure */
    {"100.100.100.200", 32, NET_ADDR_LINK_LOCAL}, /* Alibaba Cloud */
    {"192.0.0.192", 32, NET_ADDR_LINK_LOCAL},     /* Oracle Cloud */
    {"224.0.0.0", 4, NET_ADDR_MULTICAST},
    {"10.0.0.0", 8, NET_ADDR_PRIVATE},
    {"172.16.0.0", 12, NET_ADDR_PRIVATE},
    {"192.168.0.0", 16, NET_ADDR_PRIVATE},
    {"100.64.0.0", 10, NET_ADDR_PRIVATE},
    {"198.18.0.0", 15, NET_ADDR_PRIVATE},
    {"240.0.0.0", 4, NET_ADDR_PRIVATE},
    {"::", 128, NET_ADDR_UNSPECIFIED},
    {"::1", 128, NET_ADDR_LOOPBACK},
    {"::", 96, NET_ADDR_MAPPED},
    {"fe80::", 10, NET_ADDR_LINK_LOCAL},
    {"fd00:ec2::254", 128, NET_ADDR_LINK_LOCAL}, /* AWS */
    {"fd20:ce::254", 128, NET_ADDR_LINK_LOCAL},  /* Google Cloud */
    {"fc00::", 7, NET_ADDR_PRIVATE},
    {"fec0::", 10, NET_ADDR_PRIVATE},
    {"ff00::", 8, NET_ADDR_MULTICAST},
};
enum { CLASSES = ARRAY_COUNT(classes) };

static const struct net_addr *class_prefix(size_t i) {
    static struct net_addr parsed[CLASSES];
    static bool ready;
    for (size_t k = 0; !ready && k < CLASSES; k++) {
        bool v6 = strchr(classes[k].prefix, ':');
        parsed[k].v6 = v6;
        ENSURE(inet_pton(v6 ? AF_INET6 : AF_INET, classes[k].prefix, parsed[k].ip) == 1);
    }
    ready = true;
    return &parsed[i];
}

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

/* Prefixes whose addresses carry an IPv4 one after them, which decides where a packet ends up: NAT64 (RFC 6052), 6to4 (RFC 3056). */
static const struct {
    struct net_addr prefix;
    uint8_t bits;
} carriers[] = {
    {{.v6 = true, .ip = {0, 0x64, 0xff, 0x9b}}, 96},
    {{.v6 = true, .ip = {0x20, 0x02}}, 16},
};

static bool embedded(const struct net_addr *a, struct net_addr *out, uint8_t *before) {
    for (size_t i = 0; i < ARRAY_COUNT(carriers); i++)
        if (net_addr_in(a, &carriers[i].prefix, carriers[i].bits)) {
            *out = (struct net_addr){0};
            *before = carriers[i].bits;
            memcpy(out->ip, a->ip + *before / 8, 4);
            return true;
        }
    return false;
}

enum net_addr_class net_addr_class(const struct net_addr *a) {
    struct net_addr inner;
    uint8_t before;
    if (embedded(a, &inner, &before)) return net_addr_class(&inner);
    if (a->v6 && !memcmp(a->ip, mapped, 12)) return NET_ADDR_MAPPED;
    for (size_t i = 0; i < CLASSES; i++)
        if (net_addr_in(a, class_prefix(i), classes[i].bits)) return classes[i].class;
    return NET_ADDR_PUBLIC;
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
    struct net_addr first = *prefix, last = *prefix, inner;
    uint8_t before;
    if (embedded(prefix, &inner, &before) && bits >= before)
        return net_addr_prefix_class(&inner, (uint8_t)MIN(bits - before, 32), out);
    for (unsigned i = bits; i < (prefix->v6 ? 128u : 32u); i++) {
        first.ip[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
        last.ip[i / 8] |= (uint8_t)(0x80 >> i % 8);
    }
    *out = net_addr_class(&first);
    if (*out != net_addr_class(&last)) return false;
    /* Both ends may lie outside of what lies between them. */
    for (size_t i = 0; i < ARRAY_COUNT(carriers); i++)
        if (carriers[i].bits > bits && net_addr_in(&carriers[i].prefix, prefix, bits)) return false;
    for (size_t i = 0; i < CLASSES; i++)
        if (classes[i].bits > bits && classes[i].class != *out && net_addr_in(class_prefix(i), prefix, bits)) return false;
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
