/* rights: see rights.h. */
#include "node/rights.h"

void node_rights_add_dir(arena *out, struct node_rights *r, str path, bool write) {
    for (uint32_t i = 0; i < r->dirs.n; i++)
        if (str_eq(r->dirs.p[i].path, path)) {
            r->dirs.p[i].write |= write;
            return;
        }
    vec_push(out, &r->dirs, ((struct node_right_dir){path, write}));
}

/* False: more than can be named. */
static bool add_port(struct node_rights *r, uint16_t port) {
    size_t at = 0;
    while (at < r->ports_count && r->ports[at] < port) at++;
    if (at < r->ports_count && r->ports[at] == port) return true;
    if (r->ports_count == ARRAY_COUNT(r->ports)) return false;
    memmove(&r->ports[at + 1], &r->ports[at], (r->ports_count - at) * sizeof *r->ports);
    r->ports[at] = port;
    r->ports_count++;
    return true;
}

static void add_ports(struct node_rights *r, uint16_t from, uint16_t to) {
    for (unsigned port = from; port <= to && !r->any_port_out; port++) r->any_port_out = !add_port(r, (uint16_t)port);
}

/* Of a rule that opens any, the list says nothing. */
static void settle_ports(struct node_rights *r) {
    if (r->any_port_out) r->ports_count = 0;
}

static void add_forward(struct node_rights *r, str authority) {
    str host, port;
    uint64_t number;
    add_ports(r, 80, 80); /* the two that it may leave out */
    add_ports(r, 443, 443);
    if (app_cut_host_port(authority, &host, &port) && port.n && str_to_u64(port, &number) && number <= UINT16_MAX)
        add_ports(r, (uint16_t)number, (uint16_t)number);
}

void node_rights_of(arena *out, struct node_rights *r, const struct app_grants *g) {
    enum { LISTENS = 1 << APP_NET_LISTEN | 1 << APP_NET_LISTEN_UDP };
    *r = (struct node_rights){.network = g->allow_http.n || g->net.n || g->forward_authority.n ? NODE_RIGHTS_CONNECT : 0};
    for (uint32_t i = 0; i < g->dirs.n; i++) node_rights_add_dir(out, r, g->dirs.p[i].host, !g->dirs.p[i].read_only);
    if (r->network) add_ports(r, 53, 53); /* names */
    if (g->forward_authority.n) add_forward(r, g->forward_authority);
    for (uint32_t i = 0; i < g->allow_http.n; i++) add_ports(r, g->allow_http.p[i].port_from, g->allow_http.p[i].port_to);
    for (uint32_t i = 0; i < g->net.n; i++) {
        if (g->net.p[i].uses & LISTENS) r->network |= NODE_RIGHTS_LISTEN;
        if (g->net.p[i].uses & 1 << APP_NET_TCP) add_ports(r, g->net.p[i].port_from, g->net.p[i].port_to);
    }
    settle_ports(r);
}

void node_rights_join(arena *out, struct node_rights *r, const struct node_rights *more) {
    r->network |= more->network;
    r->any_port_out |= more->any_port_out;
    for (size_t i = 0; i < more->ports_count; i++) add_ports(r, more->ports[i], more->ports[i]);
    settle_ports(r);
    for (uint32_t i = 0; i < more->dirs.n; i++) node_rights_add_dir(out, r, more->dirs.p[i].path, more->dirs.p[i].write);
}

static bool has_port(const struct node_rights *r, uint16_t port) {
    for (size_t i = 0; i < r->ports_count; i++)
        if (r->ports[i] == port) return true;
    return r->any_port_out;
}

static bool has_dir(const struct node_rights *r, const struct node_right_dir *want) {
    for (uint32_t i = 0; i < r->dirs.n; i++)
        if (str_eq(r->dirs.p[i].path, want->path)) return r->dirs.p[i].write || !want->write;
    return false;
}

bool node_rights_within(const struct node_rights *want, const struct node_rights *have) {
    bool ok = !(want->network & ~have->network) && (have->any_port_out || !want->any_port_out);
    for (size_t i = 0; ok && i < want->ports_count; i++) ok = has_port(have, want->ports[i]);
    for (uint32_t i = 0; ok && i < want->dirs.n; i++) ok = has_dir(have, &want->dirs.p[i]);
    return ok;
}

str node_rights_ports(const struct node_rights *r) { return (str){(const uint8_t *)r->ports, r->ports_count * sizeof *r->ports}; }

bool node_rights_set_ports(struct node_rights *r, str bytes) {
    r->ports_count = 0;
    if (bytes.n % sizeof *r->ports || bytes.n > sizeof r->ports) return false;
    r->ports_count = bytes.n / sizeof *r->ports;
    if (bytes.n) memcpy(r->ports, bytes.p, bytes.n);
    for (size_t i = 1; i < r->ports_count; i++)
        if (r->ports[i - 1] >= r->ports[i]) return false;
    return true;
}
