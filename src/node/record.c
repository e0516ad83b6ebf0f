/* record: an app in one version, as bytes; and the names it goes by. */
#include "net/addr.h"
#include "node/snapshot_int.h"

/* ---- as bytes ---- */

enum { RECORD_LAYOUT = 1, FUNCTION_BYTES_MIN = 4 + NODE_DIGEST_BYTES + 4 };

static void write_u32(struct buf *to, uint64_t v) {
    ENSURE(v <= UINT32_MAX);
    buf_put(to, &(uint32_t){(uint32_t)v}, 4);
}

static void write_str(struct buf *to, str s) {
    write_u32(to, s.n);
    buf_puts(to, s);
}

static str read_str(struct rd *from, size_t most) {
    uint32_t n = rd_u32le(from);
    if (n > most) rd_fail(from, "a name is too long");
    return rd_bytes(from, n > most ? 0 : n);
}

static uint32_t read_count(struct rd *from, size_t least, uint32_t most) {
    uint32_t n = rd_u32le(from);
    if (n <= most && n <= rd_left(from) / least) return n;
    rd_fail(from, "more than there may be");
    return 0;
}

/* What routing reads comes first, so that the rest can be left alone. */
void node_record_write(struct buf *to, const struct node_record *r) {
    write_u32(to, RECORD_LAYOUT);
    write_u32(to, r->id);
    write_u32(to, r->version);
    write_str(to, r->name);
    write_u32(to, r->is_default);
    write_u32(to, r->eager);
    write_u32(to, r->functions.n);
    write_u32(to, r->hosts.n);
    for (uint32_t i = 0; i < r->hosts.n; i++) write_str(to, r->hosts.p[i]);
    write_u32(to, r->routes.n);
    for (uint32_t i = 0; i < r->routes.n; i++) {
        write_str(to, r->routes.p[i].path);
        write_u32(to, r->routes.p[i].exact);
        write_u32(to, r->routes.p[i].function);
    }
    for (uint32_t i = 0; i < r->functions.n; i++) {
        write_str(to, r->functions.p[i].name);
        buf_put(to, r->functions.p[i].digest, NODE_DIGEST_BYTES);
        write_u32(to, r->functions.p[i].kind);
    }
    app_grants_write(to, &r->grants);
    app_limits_write(to, &r->limits);
    write_u32(to, r->weight);
}

static bool host_ok(str host) {
    char normal[NODE_HOST_MAX + 3];
    size_t n;
    if (str_starts(host, STR("*."))) host = str_sub(host, 2, host.n);
    return node_host_normal(host, normal, &n) && str_eq(host, (str){(uint8_t *)normal, n});
}

/* Bytes as they stand in a URL. */
static bool path_ok(str p) {
    bool ok = p.n && p.n <= NODE_ROUTE_BYTES_MAX && p.p[0] == '/';
    for (size_t i = 0; ok && i < p.n; i++) ok = p.p[i] > ' ' && p.p[i] < 0x7f && p.p[i] != '?' && p.p[i] != '#';
    return ok;
}

static bool route_ok(const struct node_route *r, uint32_t functions) {
    str p = r->path;
    return path_ok(p) && (p.n == 1 || r->exact || p.p[p.n - 1] != '/') && r->function < functions;
}

void node_record_read_routing(arena *out, struct rd *from, struct node_record *r) {
    *r = (struct node_record){0};
    if (rd_u32le(from) != RECORD_LAYOUT) rd_fail(from, "a record of another layout");
    r->id = rd_u32le(from);
    r->version = rd_u32le(from);
    r->name = read_str(from, NODE_NAME_MAX);
    if (!from->fail && node_app_name_check(r->name, NULL) != ERR_OK) rd_fail(from, "no name of an app");
    r->is_default = rd_u32le(from) != 0;
    r->eager = rd_u32le(from) != 0;
    r->functions.n = rd_u32le(from);
    if (!r->functions.n || r->functions.n > NODE_FUNCTIONS_MAX) rd_fail(from, "an app has a function, and not so many");
    for (uint32_t n = read_count(from, 4, NODE_HOSTS_MAX); n; n--) {
        str host = read_str(from, NODE_HOST_MAX + 2);
        if (!from->fail && !host_ok(host)) rd_fail(from, "no host");
        vec_push(out, &r->hosts, host);
    }
    for (uint32_t n = read_count(from, 12, NODE_ROUTES_MAX); n; n--) {
        struct node_route route = {.path = read_str(from, NODE_ROUTE_BYTES_MAX), .exact = rd_u32le(from) != 0};
        route.function = rd_u32le(from);
        if (!from->fail && !route_ok(&route, r->functions.n)) rd_fail(from, "no route");
        vec_push(out, &r->routes, route);
    }
}

void node_record_read(arena *out, struct rd *from, struct node_record *r) {
    node_record_read_routing(out, from, r);
    uint32_t functions = r->functions.n;
    r->functions.n = 0;
    if (!from->fail && functions > rd_left(from) / FUNCTION_BYTES_MIN) rd_fail(from, "more than there may be");
    for (; functions && !from->fail; functions--) {
        struct node_function f = {.name = read_str(from, NODE_FUNCTION_NAME_MAX)};
        str digest = rd_bytes(from, NODE_DIGEST_BYTES);
        if (digest.n) memcpy(f.digest, digest.p, digest.n);
        f.kind = rd_u32le(from);
        vec_push(out, &r->functions, f);
    }
    app_grants_read(out, from, &r->grants);
    app_limits_read(from, &r->limits);
    r->weight = rd_u32le(from);
}

err node_record_decode(arena *out, str bytes, struct node_record *r, struct diag *d) {
    struct rd from = rd_of(bytes);
    node_record_read(out, &from, r);
    if (!from.fail && rd_left(&from)) rd_fail(&from, "bytes behind the record");
    return from.fail ? diag_set(d, ERR_MALFORMED, from.fail_at, "%s", from.fail) : ERR_OK;
}

bool node_record_same(str a, str b) {
    struct rd from = rd_of(a);
    (void)rd_bytes(&from, 12); /* layout, id, version */
    (void)read_str(&from, NODE_NAME_MAX);
    (void)rd_u32le(&from); /* default */
    size_t eager = a.n - rd_left(&from), rest = eager + 4;
    return !from.fail && a.n == b.n && a.n >= rest && str_eq(str_sub(a, 0, eager), str_sub(b, 0, eager)) &&
           str_eq(str_sub(a, rest, a.n), str_sub(b, rest, b.n));
}

/* "My App.v2.wasm" → "my-app-v2" */
static str name_of_file(arena *out, str base) {
    if (str_ends(base, STR(".wasm"))) base.n -= 5;
    char *name = arena_cstr(out, str_sub(base, 0, NODE_NAME_MAX));
    size_t n = 0;
    for (const char *c = name; *c; c++) {
        bool ok = (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9'), upper = *c >= 'A' && *c <= 'Z';
        char to = ok ? *c : upper ? (char)(*c + 32) : '-';
        if (to != '-' || (n && name[n - 1] != '-')) name[n++] = to;
    }
    while (n && name[n - 1] == '-') n--;
    return n ? (str){(uint8_t *)name, n} : STR("app");
}

void node_record_of_file(arena *out, str file, struct node_record *r) {
    size_t slash = file.n;
    while (slash && file.p[slash - 1] != '/') slash--;
    str base = str_sub(file, slash, NODE_FUNCTION_NAME_MAX);
    *r = (struct node_record){
        .id = 1, .version = 1, .name = name_of_file(out, base), .is_default = true, .eager = true, .weight = 1};
    vec_push(out, &r->routes, ((struct node_route){.path = STR("/")}));
    vec_push(out, &r->functions, ((struct node_function){.name = arena_str(out, base)}));
    app_limits_fill(&r->limits);
}

/* ---- names ---- */

err node_app_name_check(str name, struct diag *d) {
    bool ok = name.n && name.n <= NODE_NAME_MAX && name.p[0] != '-' && name.p[name.n - 1] != '-';
    for (size_t i = 0; ok && i < name.n; i++)
        ok = (name.p[i] >= 'a' && name.p[i] <= 'z') || (name.p[i] >= '0' && name.p[i] <= '9') || name.p[i] == '-';
    if (ok) return ERR_OK;
    return diag_set(d, ERR_USAGE, DIAG_NOWHERE,
                    "an app's name has up to %d letters a-z, digits and inner hyphens, for it is part of a host: not '" STR_FMT
                    "'",
                    NODE_NAME_MAX, STR_ARG(str_sub(name, 0, 100)));
}

/* "[::1]:80" → "[::1]" */
static bool address_normal(str authority, char *to, size_t *n) {
    size_t close = str_find(authority, ']');
    struct net_addr a;
    char text[NET_ADDR_TEXT_MAX];
    if (close == authority.n || (close + 1 < authority.n && authority.p[close + 1] != ':')) return false;
    if (!net_addr_parse(str_sub(authority, 1, close - 1), &a) || !a.v6) return false;
    *n = (size_t)snprintf(to, NODE_HOST_MAX + 3, "[%s]", net_addr_text(&a, false, text));
    return true;
}

bool node_host_normal(str authority, char *to, size_t *n) {
    if (authority.n && authority.p[0] == '[') return address_normal(authority, to, n);
    size_t end = str_find(authority, ':');
    if (end && authority.p[end - 1] == '.') end--;
    if (!end || end > NODE_HOST_MAX || authority.p[end - 1] == '.' || authority.p[0] == '.') return false;
    for (size_t i = 0; i < end; i++) {
        uint8_t c = authority.p[i];
        bool upper = c >= 'A' && c <= 'Z';
        if (!upper && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '.' && c != '_') return false;
        to[i] = (char)(upper ? c + 32 : c);
    }
    *n = end;
    return true;
}

err node_host_parse(arena *out, str arg, str *host, struct diag *d) {
    bool below = str_starts(arg, STR("*."));
    str rest = below ? str_sub(arg, 2, arg.n) : arg, ascii;
    char normal[NODE_HOST_MAX + 3];
    size_t n;
    for (size_t i = 0; i + 2 < arg.n; i++)
        if (str_starts(str_sub(arg, i, arg.n), STR("://")))
            return app_flag_refuse(d, "host", arg, "it takes a host, no URL", STR("shop.example.org"));
    bool address = rest.n && rest.p[0] == '[', many = false;
    for (size_t i = str_find(rest, ':') + 1; i < rest.n; i++) many = many || rest.p[i] == ':';
    if (!address && !below && many)
        return app_flag_refuse(d, "host", arg, "an IPv6 address stands in brackets",
                               arena_fmt(out, "[" STR_FMT "]", STR_ARG(arg)));
    if (!address && str_find(rest, ':') < rest.n)
        return app_flag_refuse(d, "host", arg, "a host is answered at every port",
                               str_sub(arg, 0, arg.n - rest.n + str_find(rest, ':')));
    if (!address && !net_name_ascii(out, rest, &ascii)) ascii = rest;
    if ((below && address) || !node_host_normal(address ? rest : ascii, normal, &n))
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--host '" STR_FMT "' is no host: it takes a name, *.NAME or an address",
                        STR_ARG(arg));
    *host = arena_fmt(out, "%s%.*s", below ? "*." : "", (int)n, normal);
    return ERR_OK;
}

err node_route_parse(arena *out, str arg, struct node_route *route, struct diag *d) {
    bool exact = arg.n && arg.p[0] == '=';
    str path = exact ? str_sub(arg, 1, arg.n) : arg;
    if (!path.n || path.p[0] != '/')
        return app_flag_refuse(d, "route", arg, "a path begins with a slash",
                               arena_fmt(out, "%s/" STR_FMT, exact ? "=" : "", STR_ARG(path)));
    if (!path_ok(path))
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE,
                        "--route '" STR_FMT "': a path has up to %d bytes, as they stand in a URL, without ? and #",
                        STR_ARG(str_sub(arg, 0, 200)), NODE_ROUTE_BYTES_MAX);
    if (str_ends(path, STR("/*")))
        return app_flag_refuse(d, "route", arg, "a path is answered with all below it",
                               arena_fmt(out, STR_FMT, STR_ARG(str_sub(path, 0, MAX(path.n - 2, (size_t)1)))));
    while (!exact && path.n > 1 && path.p[path.n - 1] == '/') path.n--;
    *route = (struct node_route){.path = arena_str(out, path), .exact = exact};
    return ERR_OK;
}
