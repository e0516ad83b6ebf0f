/* within: the operator's maxima. What an app is granted is held against what its deployer may grant: rule by rule, each has to lie inside one
 * that is allowed. */
#include "manifest/manifest_int.h"

struct checking {
    const struct manifest_config *c;
    const struct manifest_deployer *who;
    str function; /* empty: the app */
    struct diag *d;
    arena *scratch;
};

static err deny(const struct checking *k, const char *key, str what, const char *why) {
    return diag_set(k->d, ERR_DENIED, DIAG_NOWHERE, "%s" STR_FMT "%s%s: " STR_FMT " %s", k->function.n ? "functions." : "",
                    STR_ARG(k->function), k->function.n ? "." : "", key, STR_ARG(str_sub(what, 0, 200)), why);
}

/* ---- limits ---- */

/* Of what is not said: as many as there are; a burst is then a second's. */
static uint64_t what_holds(const struct app_limits *limits, const uint64_t *said) {
    if (said == &limits->burst_max && !*said) said = &limits->rate_max;
    return said == &limits->rate_max && !*said ? UINT64_MAX : *said;
}

static err check_limits(const struct checking *k, const struct app_limits *limits) {
    for (int id = 0; id < APP_SETTINGS; id++) {
        const uint64_t *most = app_limits_at((struct app_limits *)(uintptr_t)&k->c->max, (enum app_setting_id)id);
        const uint64_t *at = app_limits_at((struct app_limits *)(uintptr_t)limits, (enum app_setting_id)id);
        if (!most || !*most || what_holds(limits, at) <= *most) continue;
        uint64_t said = what_holds(limits, at);
        enum app_type type = app_settings[id].type;
        str key = arena_fmt(k->scratch, "limits.%s", app_settings[id].key),
            is = said == UINT64_MAX ? STR("no limit") : app_value_text(k->scratch, type, said),
            may = app_value_text(k->scratch, type, *most);
        return deny(k, arena_cstr(k->scratch, key), is,
                    arena_cstr(k->scratch,
                               arena_fmt(k->scratch,
                                         "is more than this node's operator allows, " STR_FMT " (max.%s of its configuration)",
                                         STR_ARG(may), app_settings[id].key)));
    }
    return ERR_OK;
}

/* ---- hosts ---- */

/* "shop.example.org", "*.a.example.org" in "*.example.org". */
static bool host_in(str host, str pattern) {
    if (str_eq(host, pattern) || str_eqc(pattern, "*")) return true;
    return str_starts(pattern, STR("*.")) && str_ends(host, str_sub(pattern, 1, pattern.n)) && host.n > pattern.n - 1;
}

static err check_hosts(const struct checking *k, const struct app_record *r) {
    bool all = k->who->owner;
    for (size_t t = 0; t < k->who->hosts_count; t++) all |= str_eqc(k->who->hosts[t], "*");
    if (all) return ERR_OK;
    if (r->is_default)
        return deny(k, "hosts", STR("*"), "is not among the hosts of this token; only the node's operator gives it away");
    for (uint32_t i = 0; i < r->hosts.n; i++) {
        size_t t = 0;
        while (t < k->who->hosts_count && !host_in(r->hosts.p[i], k->who->hosts[t])) t++;
        if (t == k->who->hosts_count)
            return deny(k, "hosts", r->hosts.p[i],
                        "is not among the hosts of this token: the node's operator makes one with orlo tokens create --host");
    }
    return ERR_OK;
}

/* ---- the network ---- */

static bool name_in(str name, str pattern) { return pattern.n && host_in(name, pattern); }

static bool rule_in(const struct app_net_rule *r, const struct app_net_rule *of) {
    if ((r->uses & ~of->uses) || r->port_from < of->port_from || r->port_to > of->port_to) return false;
    if (of->scheme && of->scheme != r->scheme) return false;
    if (of->any) return true;
    if (r->any) return false;
    if (r->name.n || of->name.n) return r->name.n && name_in(r->name, of->name);
    return r->bits >= of->bits && net_addr_in(&r->prefix, &of->prefix, of->bits);
}

/* Without a word of the operator's: what is public, for who is not the owner. */
static bool is_public(const struct app_net_rule *r) {
    enum net_addr_class class;
    if (r->uses & (1u << APP_NET_LISTEN | 1u << APP_NET_LISTEN_UDP)) return false;
    if (r->any) return true; /* no address that has to be named */
    if (r->name.n) return !net_name_local(str_starts(r->name, STR("*.")) ? str_sub(r->name, 2, r->name.n) : r->name);
    return net_addr_prefix_class(&r->prefix, r->bits, &class) && class == NET_ADDR_PUBLIC;
}

static str rule_text(arena *out, const struct app_net_rule *r) {
    char text[NET_ADDR_TEXT_MAX];
    str host = r->any ? STR("*") : r->name.n ? r->name : str_c(net_addr_text(&r->prefix, false, text));
    if (!r->any && !r->name.n) host = arena_fmt(out, STR_FMT "/%u", STR_ARG(host), r->bits);
    host = arena_fmt(out, STR_FMT STR_FMT, STR_ARG(app_scheme_text(r->scheme)), STR_ARG(host));
    if (r->port_from == r->port_to) return arena_fmt(out, STR_FMT ":%u", STR_ARG(host), r->port_from);
    return r->port_from || r->port_to != UINT16_MAX ? arena_fmt(out, STR_FMT ":%u-%u", STR_ARG(host), r->port_from, r->port_to)
                                                    : arena_str(out, host);
}

static err check_rule(const struct checking *k, const char *key, const struct app_net_rule *r, bool said,
                      const struct app_net_rule *allowed, uint32_t count) {
    if (!said && (k->who->owner || is_public(r))) return ERR_OK;
    for (uint32_t i = 0; said && i < count; i++)
        if (rule_in(r, &allowed[i])) return ERR_OK;
    return deny(k, key, rule_text(k->scratch, r),
                said ? "is more than this node's operator allows (allow of its configuration)"
                     : "is no public address: this node's operator has to allow it (allow of its configuration)");
}

/* What a middleware passes on goes where its requests may. */
static err check_forward(const struct checking *k, const struct app_grants *g) {
    struct app_grants as_http = {0};
    if (!g->forward_authority.n || (!k->c->allow.http_said && k->who->owner)) return ERR_OK;
    str host, port;
    bool https = str_eqc(g->forward_scheme, "https");
    if (!app_cut_host_port(g->forward_authority, &host, &port)) return deny(k, "forward", g->forward_authority, "is no host");
    str six = str_find(host, ':') < host.n ? arena_fmt(k->scratch, "[" STR_FMT "]", STR_ARG(host)) : host;
    str arg = arena_fmt(k->scratch, STR_FMT "://" STR_FMT ":" STR_FMT, STR_ARG(g->forward_scheme), STR_ARG(six),
                        STR_ARG(port.n  ? port
                                : https ? STR("443")
                                        : STR("80")));
    if (app_grant_http(k->scratch, &as_http, arg, NULL) != ERR_OK)
        return deny(k, "forward", g->forward_authority, "is no host to connect to");
    return check_rule(k, "forward", &as_http.allow_http.p[0], k->c->allow.http_said, k->c->allow.http.p, k->c->allow.http.n);
}

/* ---- folders ---- */

static bool below(str path, str folder) {
    return str_eq(path, folder) || str_eqc(folder, "/") ||
           (str_starts(path, folder) && path.n > folder.n && path.p[folder.n] == '/');
}

static err check_dir(const struct checking *k, const struct app_dir *dir) {
    const struct manifest_allow *a = &k->c->allow;
    str part, rest = dir->host;
    if (!a->dirs_said && k->who->owner) return ERR_OK;
    while (rest.n) {
        str_cut(rest, '/', &part, &rest);
        if (str_eqc(part, "..") || str_eqc(part, "."))
            return deny(k, "dirs", dir->host, "has . or .. in it, and is compared by its letters");
    }
    for (uint32_t i = 0; i < a->dirs.n; i++)
        if (below(dir->host, a->dirs.p[i].path) && (dir->read_only || !a->dirs.p[i].read_only)) return ERR_OK;
    return deny(k, "dirs", dir->host,
                dir->read_only
                    ? "is in no folder that this node's operator allows (allow.dirs of its configuration)"
                    : "is in no folder that this node's operator allows for writing (allow.dirs of its configuration)");
}

static err check_grants(const struct checking *k, const struct app_grants *g) {
    const struct manifest_allow *a = &k->c->allow;
    for (uint32_t i = 0; i < g->allow_http.n; i++)
        TRY(check_rule(k, "allow_http", &g->allow_http.p[i], a->http_said, a->http.p, a->http.n));
    for (uint32_t i = 0; i < g->net.n; i++) TRY(check_rule(k, "allow_net", &g->net.p[i], a->net_said, a->net.p, a->net.n));
    for (uint32_t i = 0; i < g->dirs.n; i++) TRY(check_dir(k, &g->dirs.p[i]));
    return check_forward(k, g);
}

/* What one has more of the processor, others have less. */
static err check_weight(const struct checking *k, const struct app_record *r) {
    if (k->who->owner || r->weight <= 1) return ERR_OK;
    return deny(k, "weight", arena_fmt(k->scratch, "%u", r->weight),
                "is more than other apps have; only the node's operator gives that away");
}

static err check_all(struct checking *k, const struct app_record *r) {
    TRY(check_hosts(k, r));
    TRY(check_weight(k, r));
    TRY(check_limits(k, &r->limits));
    for (uint32_t i = 0; i < r->functions.n; i++) {
        k->function = r->functions.p[i].name;
        TRY(check_limits(k, &r->functions.p[i].limits));
        TRY(check_grants(k, &r->functions.p[i].grants));
    }
    return ERR_OK;
}

err manifest_within(const struct app_record *r, const struct manifest_config *c, const struct manifest_deployer *who,
                    struct diag *d) {
    struct checking k = {.c = c, .who = who, .function = STR(""), .d = d, .scratch = arena_new(0)};
    err e = check_all(&k, r);
    arena_free(k.scratch);
    return e;
}
