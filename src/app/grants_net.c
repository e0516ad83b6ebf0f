/* grants_net: what of the network is granted, from text.
 *
 *   "*"                      everything below, with anybody
 *   [KIND:]HOST[:PORT]       KIND of app/net_use.def; without one tcp and udp. PORT: N, N-M or *; without one any
 *   HOST                     name, *.name, *, address, address/bits; IPv6 with a port in brackets
 *   listen:PORT              at this machine's loopback addresses; listen::PORT at all its addresses
 *   lookup:NAME              a name's addresses, which do not become reachable by it
 */
#include "app/grants.h"

static const char *const kinds[] = {
#define X(name, text, what) [APP_NET_##name] = text,
#include "app/net_use.def"
#undef X
};
const char *app_net_use_text(enum app_net_use use) { return kinds[use]; }

enum { LISTENS = 1 << APP_NET_LISTEN | 1 << APP_NET_LISTEN_UDP };

static err refuse(str arg, struct diag *d, const char *why) {
    return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--allow-net '" STR_FMT "' is no grant of the network: %s", STR_ARG(arg), why);
}

/* "https://HOST:PORT/PATH" → "https", "HOST:PORT" */
static bool cut_url(str arg, str *scheme, str *authority) {
    str rest;
    for (size_t i = 0; i + 2 < arg.n; i++)
        if (str_starts(str_sub(arg, i, arg.n), STR("://"))) {
            *scheme = str_sub(arg, 0, i);
            str_cut(str_sub(arg, i + 3, arg.n), '/', authority, &rest);
            return true;
        }
    return false;
}

/* "HOST:" and the port that was meant. */
static str with_port(arena *out, str before, str port) {
    return arena_fmt(out, STR_FMT STR_FMT, STR_ARG(before), STR_ARG(app_port_meant(port)));
}

static unsigned cut_kind(str arg, str *rest) {
    str kind, after;
    if (str_cut(arg, ':', &kind, &after))
        for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
            if (str_eqc(kind, kinds[i])) {
                *rest = after;
                return 1u << i;
            }
    *rest = arg;
    return 1u << APP_NET_TCP | 1u << APP_NET_UDP;
}

static bool number(str s, uint64_t most, uint64_t *out) { return str_to_u64(s, out) && *out <= most; }

static bool parse_ports(str s, struct app_net_rule *rule) {
    str from, to;
    uint64_t a = 0, b = UINT16_MAX;
    if (s.n && !str_eqc(s, "*")) {
        bool range = str_cut(s, '-', &from, &to);
        if (!number(from, UINT16_MAX, &a) || !number(range ? to : from, UINT16_MAX, &b) || a > b) return false;
    }
    rule->port_from = (uint16_t)a;
    rule->port_to = (uint16_t)b;
    return true;
}

/* "10.0.0.0/8", "::1". False: it is neither an address nor a prefix. */
static bool parse_prefix(str s, struct app_net_rule *rule) {
    str address, bits;
    uint64_t n;
    bool prefix = str_cut(s, '/', &address, &bits);
    if (!net_addr_parse(address, &rule->prefix)) return false;
    uint64_t most = rule->prefix.v6 ? 128 : 32;
    if (!prefix) n = most;
    else if (!number(bits, most, &n)) return false;
    /* "listen:0.0.0.0" means every address, as it does to bind */
    if (!prefix && rule->uses & LISTENS && net_addr_class(&rule->prefix) == NET_ADDR_UNSPECIFIED) n = 0;
    rule->bits = (uint8_t)n;
    return true;
}

static bool parse_name(arena *out, str s, struct app_net_rule *rule) {
    bool below = str_starts(s, STR("*."));
    str ascii;
    if (!net_name_ascii(out, below ? str_sub(s, 2, s.n) : s, &ascii)) return false;
    rule->name = below ? arena_fmt(out, "*." STR_FMT, STR_ARG(ascii)) : ascii;
    return true;
}

static err parse_host(arena *out, str arg, str host, struct app_net_rule *rule, struct diag *d) {
    bool listens = rule->uses & LISTENS;
    if (str_eqc(host, "*") || (listens && !host.n)) rule->any = true;
    else if (!host.n) return refuse(arg, d, "which host? * is any");
    else if (!parse_prefix(host, rule) && !parse_name(out, host, rule))
        return refuse(arg, d, "its host is no name, *.name, address or address/bits");
    if (listens && rule->name.n && !str_eqc(rule->name, "localhost"))
        return refuse(arg, d, "to listen takes an address of this machine, or localhost");
    return ERR_OK;
}

static err parse_lookup(arena *out, str arg, str host, struct app_net_rule *rule, struct diag *d) {
    if (str_eqc(host, "*")) rule->any = true;
    else if (!parse_name(out, host, rule)) return refuse(arg, d, "lookup takes a name, *.name or *");
    return ERR_OK;
}

err app_grant_net(arena *out, struct app_grants *g, str arg, struct diag *d) {
    struct app_net_rule rule = {.port_to = UINT16_MAX};
    str rest, host, port;
    if (str_eqc(arg, "*")) {
        rule.any = true;
        rule.uses = (1u << ARRAY_COUNT(kinds)) - 1;
        vec_push(out, &g->net, rule);
        return ERR_OK;
    }
    rule.uses = cut_kind(arg, &rest);
    str scheme, authority;
    if (cut_url(arg, &scheme, &authority))
        return app_flag_refuse(d, "allow-net", arg, "it takes KIND:HOST:PORT, no URL",
                               arena_fmt(out, "tcp:" STR_FMT, STR_ARG(authority)));
    if (rule.uses == 1u << APP_NET_LOOKUP) {
        TRY(parse_lookup(out, arg, rest, &rule, d));
        vec_push(out, &g->net, rule);
        return ERR_OK;
    }
    uint64_t alone;
    if (rule.uses & LISTENS && number(rest, UINT16_MAX, &alone)) {
        host = STR("localhost");
        port = rest;
    } else if (!app_cut_host_port(rest, &host, &port)) {
        return refuse(arg, d, "expected KIND:HOST:PORT, such as tcp:db.internal:5432 or listen:127.0.0.1:8080");
    }
    if (!parse_ports(port, &rule))
        return app_flag_refuse(d, "allow-net", arg, "a port is a number up to 65535, FROM-TO or *",
                               with_port(out, str_sub(arg, 0, arg.n - port.n), port));
    TRY(parse_host(out, arg, host, &rule, d));
    vec_push(out, &g->net, rule);
    return ERR_OK;
}

/* "HOST/PATH", which is no "ADDRESS/BITS". */
static bool is_path(str arg) {
    size_t slash = str_find(arg, '/');
    return slash < arg.n && (slash + 1 == arg.n || arg.p[slash + 1] < '0' || arg.p[slash + 1] > '9');
}

str app_scheme_text(uint8_t scheme) {
    return scheme == APP_SCHEME_HTTPS ? STR("https://") : scheme == APP_SCHEME_HTTP ? STR("http://") : STR("");
}

/* Takes "https://" off, and the one slash that a URL may end with. */
static void cut_scheme(str *arg, struct app_net_rule *rule) {
    for (uint8_t s = APP_SCHEME_HTTP; s < APP_SCHEMES; s++)
        if (str_starts(*arg, app_scheme_text(s))) {
            *arg = str_sub(*arg, app_scheme_text(s).n, arg->n);
            if (arg->n && arg->p[arg->n - 1] == '/') arg->n--;
            rule->scheme = s;
            return;
        }
}

/* "https://" and what was better. */
static str with_scheme(arena *out, const struct app_net_rule *rule, str better) {
    return arena_fmt(out, STR_FMT STR_FMT, STR_ARG(app_scheme_text(rule->scheme)), STR_ARG(better));
}

static err add_http(arena *out, struct app_grants *g, str arg, str rest, struct app_net_rule rule, struct diag *d) {
    str host, port;
    if (!app_cut_host_port(rest, &host, &port) || !host.n)
        return app_flag_refuse(d, "allow-http", arg, "it takes HOST[:PORT]", with_scheme(out, &rule, STR("api.example.org:443")));
    if (!parse_ports(port, &rule) || (port.n && !str_eqc(port, "*") && !rule.port_from))
        return app_flag_refuse(d, "allow-http", arg, "a port is a number from 1 to 65535, FROM-TO or *",
                               with_port(out, str_sub(arg, 0, arg.n - port.n), port));
    if (rule.scheme && !port.n) rule.port_from = rule.port_to = rule.scheme == APP_SCHEME_HTTPS ? 443 : 80;
    if (str_eqc(host, "*")) rule.any = true;
    else if (!parse_prefix(host, &rule) && !parse_name(out, host, &rule))
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE,
                        "--allow-http '" STR_FMT "': its host is no name, *.name, address or address/bits", STR_ARG(arg));
    if (!rule.any && !rule.name.n && rule.bits >= 32 && net_addr_class(&rule.prefix) == NET_ADDR_UNSPECIFIED)
        return app_flag_refuse(
            d, "allow-http", arg, "it is no address to connect to",
            with_scheme(out, &rule, arena_fmt(out, port.n ? "127.0.0.1:" STR_FMT : "127.0.0.1", STR_ARG(port))));
    vec_push(out, &g->allow_http, rule);
    return ERR_OK;
}

err app_grant_http(arena *out, struct app_grants *g, str arg, struct diag *d) {
    struct app_net_rule rule = {.uses = 1u << APP_NET_TCP, .port_to = UINT16_MAX};
    str scheme, authority, path, rest = arg;
    cut_scheme(&rest, &rule);
    if (cut_url(rest, &scheme, &authority))
        return app_flag_refuse(d, "allow-http", arg, "its scheme is http:// or https://, or it has none",
                               authority.n ? authority : STR("api.example.org"));
    if (!is_path(rest)) return add_http(out, g, arg, rest, rule, d);
    str_cut(rest, '/', &authority, &path);
    return app_flag_refuse(d, "allow-http", arg, "it takes HOST[:PORT], without a path",
                           with_scheme(out, &rule, authority.n ? authority : STR("api.example.org")));
}
