/* router: see snapshot.h, 4. One table of all hosts, one of all routes of all apps. */
#include "crypto/crypto.h"
#include "node/snapshot_int.h"

/* FNV-1a from a secret start, one byte after another, so that each prefix of a path has its hash on the way to the next. */
static uint64_t step(uint64_t h, uint8_t c) { return (h ^ c) * 0x100000001b3u; }
static uint64_t finish(uint64_t h) {
    h = (h ^ h >> 32) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}
static uint64_t begin(const struct node_router *r, uint32_t app) { return r->seed ^ app * 0xd6e8feb86659fd93u; }

static uint64_t hash(uint64_t h, str s) {
    for (size_t i = 0; i < s.n; i++) h = step(h, s.p[i]);
    return h;
}

static uint32_t capacity(uint64_t n) {
    uint32_t cap = 8;
    while (cap < 2 * n) cap *= 2;
    return cap;
}

void node_router_new(struct node_router *r, arena *mem, uint32_t apps, uint64_t hosts, uint64_t routes) {
    *r = (struct node_router){.hosts_cap = capacity(hosts), .routes_cap = capacity(routes), .default_app = NODE_NOWHERE};
    crypto_random(&r->seed, sizeof r->seed);
    r->hosts = arena_array(mem, struct node_host_slot, r->hosts_cap);
    r->routes = arena_array(mem, struct node_route_slot, r->routes_cap);
    r->paths = arena_array(mem, struct node_paths, apps);
    for (uint32_t i = 0; i < apps; i++) r->paths[i].root = NODE_NOWHERE;
}

/* ---- hosts ---- */

static struct node_host_slot *host_slot(const struct node_router *r, str host) {
    for (uint64_t i = finish(hash(r->seed, host));; i++) {
        struct node_host_slot *s = &r->hosts[i & (r->hosts_cap - 1)];
        if (!s->host.p || str_eq(s->host, host)) return s;
    }
}

const char *node_router_add_host(struct node_router *r, str host, uint32_t app) {
    struct node_host_slot *s = host_slot(r, host);
    if (s->host.p) return "two apps answer one host";
    *s = (struct node_host_slot){host, app};
    r->wildcards += host.p[0] == '*';
    return NULL;
}

/* "a.b.c": "*.b.c", then "*.c". The star takes the place of what is before the dot. */
static uint32_t wildcard(const struct node_router *r, char *host, size_t n) {
    for (size_t dot = 1; dot + 1 < n; dot++) {
        if (host[dot] != '.') continue;
        host[dot - 1] = '*';
        const struct node_host_slot *s = host_slot(r, (str){(uint8_t *)host + dot - 1, n - dot + 1});
        if (s->host.p) return s->app;
    }
    return NODE_NOWHERE;
}

uint32_t node_router_app(const struct node_router *r, str authority) {
    char host[APP_HOST_MAX + 3];
    size_t n;
    if (!app_host_normal(authority, host, &n)) return r->default_app;
    const struct node_host_slot *s = host_slot(r, (str){(uint8_t *)host, n});
    if (s->host.p) return s->app;
    uint32_t app = r->wildcards && host[0] != '[' ? wildcard(r, host, n) : NODE_NOWHERE;
    return app == NODE_NOWHERE ? r->default_app : app;
}

/* ---- paths ---- */

static struct node_route_slot *route_slot(const struct node_router *r, uint64_t h, str path, uint32_t app, bool exact) {
    for (uint64_t i = finish(h + exact);; i++) {
        struct node_route_slot *s = &r->routes[i & (r->routes_cap - 1)];
        if (!s->path.p || (s->app == app && s->exact == exact && str_eq(s->path, path))) return s;
    }
}

static uint16_t segments_of(str path) {
    uint32_t n = 0;
    for (size_t i = 0; i < path.n; i++) n += path.p[i] == '/';
    return (uint16_t)MIN(n, (uint32_t)UINT16_MAX);
}

const char *node_router_add_route(struct node_router *r, const struct app_route *route, uint32_t app) {
    struct node_paths *p = &r->paths[app];
    if (route->path.n == 1 && !route->exact) {
        if (p->root != NODE_NOWHERE) return "a route twice";
        p->root = route->index;
        return NULL;
    }
    uint16_t segments = segments_of(route->path), *longest = route->exact ? &p->exact_bytes : &p->prefix_bytes;
    if (segments > NODE_SEGMENTS_MAX) return "a route with too many segments";
    struct node_route_slot *s = route_slot(r, hash(begin(r, app), route->path), route->path, app, route->exact);
    if (s->path.p) return "a route twice";
    *s = (struct node_route_slot){route->path, app, route->index, route->exact};
    *longest = MAX(*longest, (uint16_t)route->path.n);
    if (!route->exact) p->segments = MAX(p->segments, segments);
    return NULL;
}

/* The longest prefix that ends where a segment does. */
static uint32_t longest_prefix(const struct node_router *r, uint32_t app, str path) {
    const struct node_paths *p = &r->paths[app];
    uint64_t h = begin(r, app), hashes[NODE_SEGMENTS_MAX];
    uint16_t ends[NODE_SEGMENTS_MAX], n = 0;
    size_t most = MIN(path.n, (size_t)p->prefix_bytes);
    for (size_t i = 0; i <= most && n < p->segments; i++) {
        bool end = i && (i == path.n || path.p[i] == '/');
        if (end) ends[n] = (uint16_t)i, hashes[n++] = h;
        if (i < path.n) h = step(h, path.p[i]);
    }
    while (n--) {
        const struct node_route_slot *s = route_slot(r, hashes[n], str_sub(path, 0, ends[n]), app, false);
        if (s->path.p) return s->function;
    }
    return p->root;
}

uint32_t node_router_function(const struct node_router *r, uint32_t app, str path) {
    const struct node_paths *p = &r->paths[app];
    if (!p->segments && !p->exact_bytes) return p->root;
    path.n = str_find(path, '?');
    if (path.n <= p->exact_bytes) {
        const struct node_route_slot *s = route_slot(r, hash(begin(r, app), path), path, app, true);
        if (s->path.p) return s->function;
    }
    return longest_prefix(r, app, path);
}
