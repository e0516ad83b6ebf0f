/* net_rules: see sock/net_rules.h. */
#include "wasi/sock/net_rules.h"

static bool listens(enum app_net_use use) { return use == APP_NET_LISTEN || use == APP_NET_LISTEN_UDP; }

static bool has(const struct app_net_rule *rule, enum app_net_use use) { return rule->uses >> use & 1; }

/* What "*" and names may cover. */
static bool ordinary(enum net_addr_class c, enum app_net_use use) {
    return c == NET_ADDR_PUBLIC || c == NET_ADDR_PRIVATE || c == NET_ADDR_LOOPBACK || (listens(use) && c == NET_ADDR_UNSPECIFIED);
}

static bool knows(const struct wasi_net_names *names, uint32_t rule, const struct net_addr *a) {
    for (uint32_t i = 0; names && i < names->count; i++)
        if (names->list[i].rule == rule && net_addr_same_ip(&names->list[i].ip, a)) return true;
    return false;
}

static bool covers(const struct app_net_rule *rule, uint32_t index, enum app_net_use use, const struct net_addr *a,
                   const struct wasi_net_names *names) {
    enum net_addr_class c = net_addr_class(a), all;
    if (rule->any) return ordinary(c, use);
    if (str_eqc(rule->name, "localhost")) return c == NET_ADDR_LOOPBACK;
    if (rule->name.n) return knows(names, index, a);
    if (!net_addr_in(a, &rule->prefix, rule->bits)) return false;
    return ordinary(c, use) || (net_addr_prefix_class(&rule->prefix, rule->bits, &all) && all == c);
}

static bool has_port(const struct app_net_rule *rule, uint16_t port) { return port >= rule->port_from && port <= rule->port_to; }

bool wasi_net_rules_allow(struct wasi_net_rules r, enum app_net_use use, const struct net_addr *a,
                          const struct wasi_net_names *names) {
    for (uint32_t i = 0; i < r.count; i++) {
        const struct app_net_rule *rule = &r.list[i];
        if (has(rule, use) && has_port(rule, a->port) && covers(rule, i, use, a, names)) return true;
    }
    return false;
}

bool wasi_net_rules_any(struct wasi_net_rules r, enum app_net_use use) {
    for (size_t i = 0; i < r.count; i++)
        if (has(&r.list[i], use)) return true;
    return false;
}

/* ---- names ---- */

static bool name_fits(str rule, str name) {
    if (!str_starts(rule, STR("*."))) return str_eq(rule, name);
    str tail = str_sub(rule, 1, rule.n); /* ".example.org" */
    return name.n > tail.n && str_ends(name, tail);
}

static bool reaches(const struct app_net_rule *rule) { return has(rule, APP_NET_TCP) || has(rule, APP_NET_UDP); }

bool wasi_net_rules_allow_lookup(struct wasi_net_rules r, str ascii) {
    for (size_t i = 0; i < r.count; i++) {
        const struct app_net_rule *rule = &r.list[i];
        if ((has(rule, APP_NET_LOOKUP) || reaches(rule)) && (rule->any || (rule->name.n && name_fits(rule->name, ascii))))
            return true;
    }
    return false;
}

static void learn(struct wasi_net_names *names, uint32_t rule, const struct net_addr *a) {
    if (knows(names, rule, a)) return;
    names->list[names->next].rule = rule;
    names->list[names->next].ip = *a;
    names->next = (names->next + 1) % ARRAY_COUNT(names->list);
    names->count = MIN(names->count + 1, (uint32_t)ARRAY_COUNT(names->list));
}

void wasi_net_names_learn(struct wasi_net_names *names, struct wasi_net_rules r, str ascii, const struct net_addr *list,
                          uint32_t count) {
    bool local = net_name_local(ascii);
    for (uint32_t i = 0; i < r.count; i++) {
        const struct app_net_rule *rule = &r.list[i];
        if (!reaches(rule) || !rule->name.n || !name_fits(rule->name, ascii)) continue;
        for (uint32_t k = 0; k < count; k++) {
            enum net_addr_class c = net_addr_class(&list[k]);
            if (c == NET_ADDR_PUBLIC || (c == NET_ADDR_PRIVATE && local)) learn(names, i, &list[k]);
        }
    }
}

/* ---- HTTP requests ---- */

bool wasi_net_host_parse(arena *out, str text, struct wasi_net_host *host) {
    *host = (struct wasi_net_host){0};
    host->is_address = net_addr_parse(text, &host->address);
    return host->is_address || net_name_ascii(out, text, &host->name);
}

/* RFC 6761 §6.3: these names are the loopback, and asked of nobody. */
static bool is_localhost(str name) { return str_eqc(name, "localhost") || str_ends(name, STR(".localhost")); }

static bool found_by(const struct app_net_rule *rule, const struct wasi_net_host *host, const struct net_addr *a) {
    enum net_addr_class c = net_addr_class(a);
    if (c == NET_ADDR_UNSPECIFIED) return false; /* no destination, though systems take it for this machine */
    if (host->is_address || !(rule->any || rule->name.n)) return covers(rule, 0, APP_NET_TCP, a, NULL);
    if (rule->name.n && !name_fits(rule->name, host->name)) return false;
    return c == NET_ADDR_PUBLIC || (c == NET_ADDR_LOOPBACK && rule->name.n && is_localhost(host->name));
}

bool wasi_net_rules_allow_found(struct wasi_net_rules r, const struct wasi_net_host *host, const struct net_addr *a) {
    for (size_t i = 0; i < r.count; i++)
        if (has(&r.list[i], APP_NET_TCP) && has_port(&r.list[i], a->port) && found_by(&r.list[i], host, a)) return true;
    return false;
}

bool wasi_net_rules_allow_host(struct wasi_net_rules r, const struct wasi_net_host *host, uint16_t port) {
    struct net_addr loopback[] = {{.ip = {127, 0, 0, 1}, .port = port}, {.v6 = true, .ip = {[15] = 1}, .port = port}},
                    a = host->address;
    a.port = port;
    if (host->is_address) return wasi_net_rules_allow_found(r, host, &a);
    if (is_localhost(host->name))
        return wasi_net_rules_allow_found(r, host, &loopback[0]) || wasi_net_rules_allow_found(r, host, &loopback[1]);
    for (size_t i = 0; i < r.count; i++) {
        const struct app_net_rule *rule = &r.list[i];
        if (has(rule, APP_NET_TCP) && has_port(rule, port) && (rule->any || (rule->name.n && name_fits(rule->name, host->name))))
            return true;
    }
    return false;
}
