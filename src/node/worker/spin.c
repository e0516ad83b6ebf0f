/* spin: what a Spin application's components are told of a request besides what it says, in fields of its own (spin-full-url and the like), as Spin
 * does (its crates/trigger-http/src/headers.rs and crates/http/src/routes.rs say which and how they read):
 *
 *   route "/users/:id/..."   request http://shop.example/users/7/posts/1?x=y
 *
 *   spin-full-url             http://shop.example/users/7/posts/1?x=y       spin-base-path             /
 *   spin-path-info            /posts/1                                      spin-component-route       /users/:id
 *   spin-matched-route        /users/:id/...                                spin-raw-component-route   /users/:id/...
 *   spin-path-match-id        7                                             spin-client-addr           203.0.113.7:4711
 *
 * 1. Nobody from outside says any of it: what a request has of fields that begin so is left out. */
#include "node/snapshot.h"
#include "node/worker/handler_int.h"

enum { FIELDS = 7 + NODE_SEGMENTS_MAX };

struct said {
    arena *mem;
    struct net_field *of;
    uint32_t n;
};

static void say(struct said *s, const char *name, str value) { s->of[s->n++] = (struct net_field){str_c(name), value}; }

static bool spins(str name) { return name.n >= 5 && str_eq_nocase(str_sub(name, 0, 5), STR("spin-")); }

static str lower(arena *mem, str prefix, str name) {
    str text = arena_fmt(mem, STR_FMT STR_FMT, STR_ARG(prefix), STR_ARG(name));
    uint8_t *p = (uint8_t *)(uintptr_t)text.p;
    for (size_t i = prefix.n; i < text.n; i++) {
        if (p[i] >= 'A' && p[i] <= 'Z') p[i] |= 0x20;
        if (p[i] == '_') p[i] = '-';
    }
    return text;
}

/* The route as it is written there. Without one (of another component's request) it is as if all led to it. */
static void say_route(struct said *s, const struct node_route *route, str path) {
    str text = route ? route->path : STR("/"), query = str_sub(path, 0, str_find(path, '?'));
    bool all = !route || !route->exact, root = text.n == 1;
    str word = root ? STR("") : text;
    str raw = all ? arena_fmt(s->mem, STR_FMT "/...", STR_ARG(word)) : text;
    say(s, "spin-path-info", all ? str_sub(query, route ? node_route_matched(route, path) : 0, query.n) : STR(""));
    say(s, "spin-matched-route", all ? raw : word);
    say(s, "spin-component-route", all ? word : text);
    say(s, "spin-raw-component-route", raw);
    for (struct node_route_name n = {0}; route && node_route_next_name(route, path, &n);)
        s->of[s->n++] = (struct net_field){lower(s->mem, STR("spin-path-match-"), n.name), n.value};
}

void node_spin_fields(struct node_request *r, const struct node_route *route) {
    const struct net_request *rq = net_exchange_request(r->exchange);
    r->mem = arena_new(0);
    r->fields = (struct net_field *)(uintptr_t)rq->fields;
    r->fields_count = rq->fields_count;
    struct said s = {r->mem, arena_array(r->mem, struct net_field, rq->fields_count + FIELDS), 0};
    for (uint32_t i = 0; i < rq->fields_count; i++)
        if (!spins(rq->fields[i].name)) s.of[s.n++] = rq->fields[i];
    str peer = net_exchange_peer(r->exchange);
    bool v6 = str_find(peer, ':') < peer.n;
    say(&s, "spin-full-url",
        arena_fmt(r->mem, STR_FMT "://" STR_FMT STR_FMT, STR_ARG(rq->scheme), STR_ARG(rq->authority), STR_ARG(r->path)));
    say_route(&s, route, r->path);
    say(&s, "spin-base-path", STR("/"));
    say(&s, "spin-client-addr",
        arena_fmt(r->mem, "%s" STR_FMT "%s:%u", v6 ? "[" : "", STR_ARG(peer), v6 ? "]" : "",
                  net_exchange_peer_port(r->exchange)));
    net_exchange_set_fields(r->exchange, s.of, s.n);
}
