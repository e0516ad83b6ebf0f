/* urls: where an app under development is to be seen, also from the telephone beside the keyboard. */
#include "node/dev/dev.h"
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

static str port_of(str url) {
    size_t colon = url.n;
    while (colon && url.p[colon - 1] != ':') colon--;
    return str_sub(url, colon, url.n);
}

/* One address of each kind and interface is enough; link-local ones of IPv6 need a zone that browsers refuse. */
static void put_addresses(str port, struct buf *out) {
    struct ifaddrs *all;
    if (getifaddrs(&all)) return;
    uint32_t n = 0;
    for (struct ifaddrs *i = all; i && n < 8; i = i->ifa_next) {
        char text[INET6_ADDRSTRLEN];
        if (!i->ifa_addr || i->ifa_flags & IFF_LOOPBACK || !(i->ifa_flags & IFF_UP) || i->ifa_addr->sa_family != AF_INET)
            continue;
        if (!inet_ntop(AF_INET, &((struct sockaddr_in *)(void *)i->ifa_addr)->sin_addr, text, sizeof text)) continue;
        buf_printf(out, "  from the network   http://%s:" STR_FMT "/\n", text, STR_ARG(port));
        n++;
    }
    freeifaddrs(all);
}

void node_dev_urls(const struct node_dev_project *p, str url, bool everywhere, struct buf *out) {
    str port = port_of(url);
    size_t widest = 0;
    for (uint32_t i = 0; i < p->routes.n; i++) widest = MAX(widest, p->routes.p[i].path.n);
    for (uint32_t i = 0; i < p->routes.n; i++) {
        const struct node_dev_line *l = &p->routes.p[i];
        buf_printf(out, "  http://" STR_FMT ".localhost:" STR_FMT STR_FMT "%*s  " STR_FMT "\n", STR_ARG(p->name), STR_ARG(port),
                   STR_ARG(l->path), (int)(widest - l->path.n), "", STR_ARG(l->to));
    }
    buf_printf(out, "  without names      http://127.0.0.1:" STR_FMT "/\n", STR_ARG(port));
    if (everywhere) put_addresses(port, out);
}
