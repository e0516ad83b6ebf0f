/* granted: what a function may, in words: those of the command line where it has some. Values of the environment are nobody's to see. */
#include "node/granted.h"

static str host_text(arena *out, const struct app_net_rule *r) {
    char text[NET_ADDR_TEXT_MAX];
    if (r->any) return STR("*");
    if (r->name.n) return r->name;
    net_addr_text(&r->prefix, false, text);
    if (r->bits == (r->prefix.v6 ? 128 : 32)) return arena_fmt(out, r->prefix.v6 ? "[%s]" : "%s", text);
    return arena_fmt(out, "%s/%u", text, r->bits);
}

static str rule_text(arena *out, const struct app_net_rule *r) {
    str host = host_text(out, r);
    if (r->port_to == UINT16_MAX && r->port_from <= 1) return host;
    if (r->port_from == r->port_to) return arena_fmt(out, STR_FMT ":%u", STR_ARG(host), r->port_to);
    return arena_fmt(out, STR_FMT ":%u-%u", STR_ARG(host), r->port_from, r->port_to);
}

static void add_net(arena *out, const struct app_net_rule *r, node_words *to) {
    for (enum app_net_use use = 0; use < APP_NET_USES; use++)
        if (r->uses & 1u << use)
            vec_push(out, to, arena_fmt(out, "--allow-net %s:" STR_FMT, app_net_use_text(use), STR_ARG(rule_text(out, r))));
}

static void add_pairs(arena *out, const char *what, const struct app_store *p, uint32_t n, node_words *to) {
    for (uint32_t i = 0; i < n; i++)
        vec_push(out, to,
                 str_eq(p[i].label, p[i].store)
                     ? arena_fmt(out, "%s " STR_FMT, what, STR_ARG(p[i].label))
                     : arena_fmt(out, "%s " STR_FMT " as " STR_FMT, what, STR_ARG(p[i].store), STR_ARG(p[i].label)));
}

void node_granted(arena *out, const struct app_grants *g, node_words *to) {
    for (uint32_t i = 0; i < g->env.n; i++) vec_push(out, to, arena_fmt(out, "--env " STR_FMT, STR_ARG(g->env.p[i].key)));
    for (uint32_t i = 0; i < g->secrets.n; i++)
        vec_push(out, to,
                 arena_fmt(out, "secret " STR_FMT " as " STR_FMT, STR_ARG(g->secrets.p[i].secret), STR_ARG(g->secrets.p[i].env)));
    for (uint32_t i = 0; i < g->dirs.n; i++)
        vec_push(out, to,
                 arena_fmt(out, "--dir " STR_FMT "::" STR_FMT "%s", STR_ARG(g->dirs.p[i].host), STR_ARG(g->dirs.p[i].guest),
                           g->dirs.p[i].read_only ? ":ro" : ""));
    for (uint32_t i = 0; i < g->allow_http.n; i++)
        vec_push(out, to,
                 arena_fmt(out, "--allow-http " STR_FMT STR_FMT, STR_ARG(app_scheme_text(g->allow_http.p[i].scheme)),
                           STR_ARG(rule_text(out, &g->allow_http.p[i]))));
    for (uint32_t i = 0; i < g->net.n; i++) add_net(out, &g->net.p[i], to);
    if (g->forward_authority.n)
        vec_push(out, to,
                 arena_fmt(out, "--forward " STR_FMT "://" STR_FMT, STR_ARG(g->forward_scheme), STR_ARG(g->forward_authority)));
    for (uint32_t i = 0; i < g->functions.n; i++)
        vec_push(out, to, arena_fmt(out, "http://" STR_FMT ".internal", STR_ARG(g->functions.p[i])));
    add_pairs(out, "store", g->stores.p, g->stores.n, to);
    for (uint32_t i = 0; i < g->roles.n; i++) vec_push(out, to, arena_fmt(out, "database as " STR_FMT, STR_ARG(g->roles.p[i])));
    add_pairs(out, "sqlite", g->sqlite.p, g->sqlite.n, to);
    for (uint32_t i = 0; i < g->variables.n; i++)
        vec_push(out, to, arena_fmt(out, "variable " STR_FMT, STR_ARG(g->variables.p[i].name)));
}
