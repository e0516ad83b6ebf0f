/* via: what proxies before us say of a request: where it comes from, and how they were asked (net/forwarded.h).
 *
 *   from whom            their fields
 *   one that is trusted  count: client, scheme and host are what they say. Of the two families the one that is not believed goes
 *   anybody else         go, so that no guest takes a client's word for it
 *
 * A request of an app's own (http://F.internal) is not looked at: the app says what it likes to itself.
 */
#include "net/exchange.h"
#include "node/worker/handler_int.h"
#include <stdlib.h>

struct node_via {
    char client[NET_ADDR_TEXT_MAX];
    size_t host_n;
    uint8_t host[];
};

static bool is_any(void *arg, str name) { return net_forwarded_field(name) != NET_FORWARDED_NONE; }
static bool is_itself(void *arg, str name) { return net_forwarded_field(name) == NET_FORWARDED_ITSELF; }

static bool has_any(const struct net_request *rq) {
    for (uint32_t i = 0; i < rq->fields_count; i++)
        if (UNLIKELY(is_any(NULL, rq->fields[i].name))) return true;
    return false;
}

static bool trusts(const struct node_handler *h, str peer) {
    struct net_addr a;
    return h->trusted_count && net_addr_parse(peer, &a) && net_prefix_has(h->trusted, h->trusted_count, &a);
}

static void believe(struct node_request *r) {
    const struct node_handler *h = r->handler;
    const struct net_request *rq = net_exchange_request(r->exchange);
    struct net_forwarded f;
    arena *scratch = arena_new(0);
    net_forwarded_read(scratch, rq->fields, rq->fields_count, h->trusted, h->trusted_count, &f);
    struct node_via *v = malloc(sizeof *v + f.host.n);
    ENSURE(v);
    *v = (struct node_via){.host_n = f.host.n};
    if (f.host.n) memcpy(v->host, f.host.p, f.host.n);
    if (f.has_client) net_addr_text(&f.client, false, v->client);
    net_exchange_set_origin(r->exchange, str_c(v->client), f.scheme, (str){v->host, v->host_n});
    if (f.by_x) net_exchange_drop_fields(r->exchange, is_itself, NULL);
    arena_free(scratch);
    r->via = v;
}

void node_via_read(struct node_request *r) {
    const struct net_request *rq = net_exchange_request(r->exchange);
    if (LIKELY(!has_any(rq)) || !net_exchange_port(r->exchange)) return;
    if (trusts(r->handler, net_exchange_peer(r->exchange))) believe(r);
    else net_exchange_drop_fields(r->exchange, is_any, NULL);
}

void node_via_forget(struct node_request *r) {
    free(r->via);
    r->via = NULL;
}
