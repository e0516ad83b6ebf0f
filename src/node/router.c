/* router: see snapshot.h, 4. One table of all hosts; of the routes of each version of an app a tree, whose edges are one table.
 *
 *   "/users/:id/posts", "/users/me", "/" (a prefix)
 *
 *        (root) ──users──> ( ) ──:──> ( ) ──posts──> (posts: a prefix)
 *          │                └──me──> (me)
 *        prefix "/"
 *
 * 1. What is more specific wins, segment by segment from the left: the very word before ":name" before a prefix that ends there. Where that
 *    leads nowhere, the next is tried, as far as there is any: node_routes_check counts how often that may be.
 * 2. A segment is hashed once a lookup, and no segment that is longer than any route's.
 */
#include "crypto/crypto.h"
#include "node/snapshot_int.h"

enum { NOWHERE = UINT32_MAX, VISITS_MAX = 4 * NODE_ROUTE_WAYS_MAX };

/* ---- hashes: FNV-1a from a secret start ---- */

static uint64_t finish(uint64_t h) {
    h = (h ^ h >> 32) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

static uint64_t hash(uint64_t h, str s) {
    for (size_t i = 0; i < s.n; i++) h = (h ^ s.p[i]) * 0x100000001b3u;
    return h;
}

static uint64_t at_place(uint64_t h, uint32_t place) { return finish(h ^ (place + 1) * 0xd6e8feb86659fd93u); }

static uint32_t capacity(uint64_t n) {
    uint32_t cap = 8;
    while (cap < 2 * n) cap *= 2;
    return cap;
}

void node_router_new(struct node_router *r, arena *mem, const struct node_router_size *size) {
    *r = (struct node_router){.hosts_cap = capacity(size->hosts), .edges_cap = capacity(size->segments), .default_app = NOWHERE};
    crypto_random(&r->seed, sizeof r->seed);
    r->hosts = arena_array(mem, struct node_host_slot, r->hosts_cap);
    r->edges = arena_array(mem, struct node_edge, r->edges_cap);
    r->places_cap = size->trees + (uint32_t)size->segments;
    r->places = arena_array(mem, struct node_place, r->places_cap);
    r->routes = arena_array(mem, struct node_route, size->routes);
    r->routes_cap = (uint32_t)size->routes;
    r->places_count = size->trees;
    for (uint32_t i = 0; i < r->places_cap; i++) r->places[i] = (struct node_place){NOWHERE, NOWHERE, NOWHERE, false};
}

/* ---- hosts ---- */

static struct node_host_slot *host_slot(const struct node_router *r, str host) {
    for (uint64_t i = finish(hash(r->seed, host));; i++) {
        struct node_host_slot *s = &r->hosts[i & (r->hosts_cap - 1)];
        if (!s->host.p || str_eq(s->host, host)) return s;
    }
}

bool node_router_add_host(struct node_router *r, str host, uint32_t app) {
    struct node_host_slot *s = host_slot(r, host);
    if (s->host.p) return s->app == app;
    *s = (struct node_host_slot){host, app};
    r->wildcards += host.p[0] == '*';
    return true;
}

/* "a.b.c": "*.b.c", then "*.c". The star takes the place of what is before the dot. */
static uint32_t wildcard(const struct node_router *r, char *host, size_t n) {
    for (size_t dot = 1; dot + 1 < n; dot++) {
        if (host[dot] != '.') continue;
        host[dot - 1] = '*';
        const struct node_host_slot *s = host_slot(r, (str){(uint8_t *)host + dot - 1, n - dot + 1});
        if (s->host.p) return s->app;
    }
    return NOWHERE;
}

uint32_t node_router_app(const struct node_router *r, str authority) {
    char host[APP_HOST_MAX + 3];
    size_t n;
    if (!app_host_normal(authority, host, &n)) return r->default_app;
    const struct node_host_slot *s = host_slot(r, (str){(uint8_t *)host, n});
    if (s->host.p) return s->app;
    uint32_t app = r->wildcards && host[0] != '[' ? wildcard(r, host, n) : NOWHERE;
    return app == NOWHERE ? r->default_app : app;
}

/* ---- routes ---- */

/* The segment behind the slash at `at`, and where it ends. */
static str segment_at(str path, size_t at, size_t *end) {
    str rest = str_sub(path, at + 1, path.n);
    str segment = str_sub(rest, 0, str_find(rest, '/'));
    *end = at + 1 + segment.n;
    return segment;
}

uint32_t node_route_segments(str path, bool exact) {
    uint32_t n = 0;
    if (path.n == 1 && !exact) return 0;
    for (size_t i = 0; i < path.n; i++) n += path.p[i] == '/';
    return n;
}

static struct node_edge *edge(const struct node_router *r, uint64_t h, uint32_t from, str segment) {
    for (uint64_t i = at_place(h, from);; i++) {
        struct node_edge *e = &r->edges[i & (r->edges_cap - 1)];
        if (!e->segment.p || (e->from == from && str_eq(e->segment, segment))) return e;
    }
}

/* The place that a segment of a route leads to, made if there is none. */
static uint32_t go_or_make(struct node_router *r, uint32_t from, str segment) {
    struct node_place *p = &r->places[from];
    uint32_t next = r->places_count;
    if (segment.n && segment.p[0] == ':') {
        if (p->any == NOWHERE) p->any = r->places_count++;
        return p->any;
    }
    struct node_edge *e = edge(r, hash(r->seed, segment), from, segment);
    if (e->segment.p) return e->to;
    *e = (struct node_edge){segment, from, next};
    r->segment_bytes = MAX(r->segment_bytes, (uint32_t)segment.n);
    p->edges = true;
    r->places_count++;
    return next;
}

const char *node_router_add_route(struct node_router *r, uint32_t tree, const struct app_route *route) {
    uint32_t at = tree, segments = node_route_segments(route->path, route->exact);
    if (segments > NODE_SEGMENTS_MAX) return "a route with too many segments";
    size_t i = 0;
    for (uint32_t n = 0; n < segments; n++) {
        ENSURE(r->places_count < r->places_cap);
        at = go_or_make(r, at, segment_at(route->path, i, &i));
    }
    uint32_t *to = route->exact ? &r->places[at].exact : &r->places[at].prefix;
    if (*to != NOWHERE) return "a route twice";
    ENSURE(r->routes_count < r->routes_cap);
    *to = r->routes_count;
    r->routes[r->routes_count++] = (struct node_route){.path = route->path,
                                                       .index = route->index,
                                                       .to = route->to,
                                                       .exact = route->exact,
                                                       .strip = route->strip,
                                                       .slash = route->exact && route->slash};
    return NULL;
}

/* ---- a lookup ---- */

struct walk {
    const struct node_router *r;
    str path;
    uint32_t ends[NODE_SEGMENTS_MAX + 1]; /* of each segment, as far as it is known */
    uint64_t hashes[NODE_SEGMENTS_MAX + 1];
    struct step {
        uint32_t place;
        enum { BY_WORD, BY_NAME, HERE } next; /* what is to be tried */
    } steps[NODE_SEGMENTS_MAX + 1];
    uint32_t known, visits;
};

/* The segment of that depth; n of one that no route has: SIZE_MAX. */
static str segment_of(struct walk *w, uint32_t depth) {
    size_t from = depth ? w->ends[depth - 1] : 0, end;
    if (depth < w->known) return str_sub(w->path, from + 1, w->ends[depth] - from - 1);
    str s = segment_at(w->path, from, &end);
    w->ends[depth] = (uint32_t)end;
    w->hashes[depth] = s.n <= w->r->segment_bytes ? hash(w->r->seed, s) : 0;
    w->known = depth + 1;
    return s;
}

/* Where the next segment leads from a step, by what has not been tried yet. */
static uint32_t follow(struct walk *w, struct step *step, uint32_t depth) {
    const struct node_place *p = &w->r->places[step->place];
    if (step->next == BY_WORD) {
        step->next = BY_NAME;
        str s = segment_of(w, depth);
        const struct node_edge *e = p->edges && s.n <= w->r->segment_bytes ? edge(w->r, w->hashes[depth], step->place, s) : NULL;
        if (e && e->segment.p) return e->to;
    }
    if (step->next == BY_NAME) {
        step->next = HERE;
        if (p->any != NOWHERE && segment_of(w, depth).n) return p->any;
    }
    return NOWHERE;
}

/* The route of a place at which so many segments of the path have led; NOWHERE: none. */
static uint32_t route_here(const struct walk *w, uint32_t place, uint32_t depth) {
    const struct node_place *p = &w->r->places[place];
    size_t at = depth ? w->ends[depth - 1] : 0;
    bool all = at == w->path.n;
    if (p->exact != NOWHERE && (all || (w->r->routes[p->exact].slash && at + 1 == w->path.n))) return p->exact;
    return p->prefix;
}

static uint32_t search(struct walk *w, uint32_t tree) {
    uint32_t depth = 0;
    w->steps[0] = (struct step){tree, BY_WORD};
    while (w->visits++ < VISITS_MAX) {
        struct step *step = &w->steps[depth];
        bool over = depth && w->ends[depth - 1] == w->path.n;
        uint32_t next = over || step->next == HERE ? NOWHERE : follow(w, step, depth);
        if (next != NOWHERE) {
            ENSURE(depth < NODE_SEGMENTS_MAX);
            w->steps[++depth] = (struct step){next, BY_WORD};
            continue;
        }
        uint32_t found = route_here(w, step->place, depth);
        if (found != NOWHERE) return found;
        if (!depth--) return NOWHERE;
    }
    return NOWHERE;
}

const struct node_route *node_router_route(const struct node_router *r, uint32_t tree, str path) {
    const struct node_place *root = &r->places[tree];
    struct walk w;
    uint32_t found = root->prefix;
    path.n = str_find(path, '?');
    if (path.n && path.p[0] == '/' && (root->edges || root->any != NOWHERE)) {
        w.r = r, w.path = path, w.known = w.visits = 0;
        found = search(&w, tree);
    }
    return found == NOWHERE ? NULL : &r->routes[found];
}

/* ---- what a route made of a path ---- */

size_t node_route_matched(const struct node_route *route, str path) {
    size_t at = 0, end = str_find(path, '?');
    if (route->exact) return end;
    path.n = end;
    for (uint32_t n = node_route_segments(route->path, false); n; n--) (void)segment_at(path, at, &at);
    return at;
}

bool node_route_next_name(const struct node_route *route, str path, struct node_route_name *name) {
    path.n = str_find(path, '?');
    while (name->route_at < route->path.n && route->path.n > 1) {
        str s = segment_at(route->path, name->route_at, &name->route_at);
        str value = segment_at(path, name->path_at, &name->path_at);
        if (!s.n || s.p[0] != ':') continue;
        name->name = str_sub(s, 1, s.n);
        name->value = value;
        return true;
    }
    return false;
}

/* ---- what may become of an app's routes ---- */

/* How many places a lookup may see, whatever is asked for: at each those by a word or those by a name, and in the worst case both. */
static uint64_t ways(const struct node_router *r, arena *scratch) {
    uint64_t *by_word = arena_array(scratch, uint64_t, r->places_count), *all = arena_array(scratch, uint64_t, r->places_count);
    uint32_t *from = arena_array(scratch, uint32_t, r->places_count);
    for (uint32_t i = 0; i < r->edges_cap; i++)
        if (r->edges[i].segment.p) from[r->edges[i].to] = r->edges[i].from + 1;
    for (uint32_t i = r->places_count; i--;) { /* a place has a larger number than where it is reached from */
        const struct node_place *p = &r->places[i];
        all[i] = MIN(1 + by_word[i] + (p->any == NOWHERE ? 0 : all[p->any]), (uint64_t)UINT32_MAX);
        if (from[i]) by_word[from[i] - 1] = MAX(by_word[from[i] - 1], all[i]);
    }
    return all[0];
}

static err check(const struct app_record *r, arena *scratch, struct diag *d) {
    struct node_router_size size = {.trees = 1, .routes = r->routes.n};
    struct node_router router;
    for (uint32_t i = 0; i < r->routes.n; i++) {
        uint32_t n = node_route_segments(r->routes.p[i].path, r->routes.p[i].exact);
        if (n > NODE_SEGMENTS_MAX)
            return diag_set(d, ERR_LIMIT, DIAG_NOWHERE,
                            "the route '" STR_FMT "' has %u segments: at most %d may be between slashes",
                            STR_ARG(str_sub(r->routes.p[i].path, 0, 100)), n, NODE_SEGMENTS_MAX);
        size.segments += n;
    }
    if (size.segments > NODE_SEGMENTS_ALL_MAX)
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "the routes have %llu segments together: at most %d",
                        (unsigned long long)size.segments, NODE_SEGMENTS_ALL_MAX);
    node_router_new(&router, scratch, &size);
    for (uint32_t i = 0; i < r->routes.n; i++)
        if (!r->routes.p[i].internal && node_router_add_route(&router, 0, &r->routes.p[i]))
            return diag_set(d, ERR_USAGE, DIAG_NOWHERE,
                            "the route '%s" STR_FMT
                            "' is there twice: no two may answer the same paths, whatever their :names are called",
                            r->routes.p[i].exact ? "=" : "", STR_ARG(str_sub(r->routes.p[i].path, 0, 200)));
    uint64_t n = ways(&router, scratch);
    if (n <= NODE_ROUTE_WAYS_MAX) return ERR_OK;
    return diag_set(
        d, ERR_LIMIT, DIAG_NOWHERE,
        "the routes can be read in too many ways: a path may have to be compared with %llu beginnings of them, at most %d. "
        "Write words where there is a :name beside them, or fewer of both below each other",
        (unsigned long long)n, NODE_ROUTE_WAYS_MAX);
}

err node_routes_check(const struct app_record *r, struct diag *d) {
    arena *scratch = arena_new(0);
    err e = check(r, scratch, d);
    arena_free(scratch);
    return e;
}
