/* forwarded: see forwarded.h. */
#include "net/forwarded.h"

enum { HOST_BYTES_MAX = 255 + 6, HOPS_MAX = 64 };

/* ---- whom we trust ---- */

bool net_prefix_parse(str text, struct net_prefix *out) {
    str address, bits;
    uint64_t n;
    bool said = str_cut(text, '/', &address, &bits);
    if (!net_addr_parse(address, &out->prefix)) return false;
    uint8_t all = out->prefix.v6 ? 128 : 32;
    out->bits = all;
    if (!said) return true;
    if (!bits.n || bits.n > 3 || !str_to_u64(bits, &n) || n > all) return false;
    out->bits = (uint8_t)n;
    return true;
}

bool net_prefix_has(const struct net_prefix *of, size_t count, const struct net_addr *a) {
    for (size_t i = 0; i < count; i++)
        if (net_addr_in(a, &of[i].prefix, of[i].bits)) return true;
    return false;
}

/* ---- names ---- */

enum net_forwarded_field net_forwarded_field(str name) {
    static const str x[] = {STR_INIT("x-forwarded-for"),    STR_INIT("x-forwarded-proto"),  STR_INIT("x-forwarded-host"),
                            STR_INIT("x-forwarded-port"),   STR_INIT("x-forwarded-scheme"), STR_INIT("x-forwarded-ssl"),
                            STR_INIT("x-forwarded-prefix"), STR_INIT("x-real-ip")};
    if (name.n < 9) return NET_FORWARDED_NONE;
    uint8_t first = name.p[0] | 0x20;
    if (LIKELY(first != 'x' && first != 'f')) return NET_FORWARDED_NONE;
    if (first == 'f') return str_eq_nocase(name, STR("forwarded")) ? NET_FORWARDED_ITSELF : NET_FORWARDED_NONE;
    for (size_t i = 0; i < ARRAY_COUNT(x); i++)
        if (str_eq_nocase(name, x[i])) return NET_FORWARDED_X;
    return NET_FORWARDED_NONE;
}

/* ---- values ---- */

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]:80". */
static bool node_of(str text, struct net_addr *a) {
    size_t bracket = str_find(text, ']'), colon = str_find(text, ':');
    if (text.n && text.p[0] == '[') {
        str rest = str_sub(text, bracket + 1, text.n);
        if (bracket == text.n || (rest.n && rest.p[0] != ':')) return false;
        text = str_sub(text, 0, bracket + 1);
    } else if (colon < text.n && str_find(str_sub(text, colon + 1, text.n), ':') == text.n - colon - 1) {
        text = str_sub(text, 0, colon); /* one colon alone: a port is behind it */
    }
    if (!net_addr_parse(text, a)) return false;
    a->port = 0;
    return true;
}

static str scheme_of(str text) {
    if (str_eq_nocase(text, STR("https")) || str_eq_nocase(text, STR("wss"))) return STR("https");
    return str_eq_nocase(text, STR("http")) || str_eq_nocase(text, STR("ws")) ? STR("http") : (str){0};
}

/* A host as a Host field may have it: no more is taken from here. */
static str host_of(str text) {
    if (text.n > HOST_BYTES_MAX) return (str){0};
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] <= ' ' || text.p[i] >= 0x7f || strchr("\"/\\?#@,;<>", text.p[i])) return (str){0};
    return text;
}

/* ---- X-Forwarded-… ---- */

static str all_of(arena *out, const struct net_field *fields, uint32_t count, str name) {
    str all = {0};
    for (uint32_t i = 0; i < count; i++) {
        if (!str_eq_nocase(fields[i].name, name)) continue;
        str v = fields[i].value;
        all = all.n ? arena_fmt(out, STR_FMT "," STR_FMT, STR_ARG(all), STR_ARG(v)) : v;
    }
    return all;
}

/* The last element of a list, which is shortened by it. */
static str last(str *list) {
    size_t from = list->n;
    while (from && list->p[from - 1] != ',') from--;
    str element = str_trim(str_sub(*list, from, list->n));
    list->n = from ? from - 1 : 0;
    return element;
}

static void read_x(arena *out, const struct net_field *fields, uint32_t count, const struct net_prefix *trusted,
                   size_t trusted_count, struct net_forwarded *to) {
    str list = all_of(out, fields, count, STR("x-forwarded-for")), proto = all_of(out, fields, count, STR("x-forwarded-proto")),
        host = all_of(out, fields, count, STR("x-forwarded-host")), port = all_of(out, fields, count, STR("x-forwarded-port"));
    for (int hops = 0; list.n && hops < HOPS_MAX; hops++) {
        struct net_addr a;
        if (!node_of(last(&list), &a)) break;
        to->client = a;
        to->has_client = true;
        if (!net_prefix_has(trusted, trusted_count, &a)) break;
    }
    to->scheme = scheme_of(last(&proto));
    to->host = host_of(last(&host));
    uint64_t number;
    port = last(&port);
    bool https = str_eqc(to->scheme, "https"),
         bare = to->host.n && to->host.p[to->host.n - 1] != ']' ? str_find(to->host, ':') == to->host.n : to->host.n > 0;
    if (bare && port.n < 6 && str_to_u64(port, &number) && number && number <= UINT16_MAX && number != (https ? 443 : 80))
        to->host = arena_fmt(out, STR_FMT ":%llu", STR_ARG(to->host), (unsigned long long)number);
}

/* ---- Forwarded ---- */

struct element {
    str node, proto, host;
};

/* A token or a quoted string at *at, without its quotes. False: neither. */
static bool take_value(arena *out, str s, size_t *at, str *value) {
    size_t i = *at, from = i;
    if (i == s.n || s.p[i] != '"') {
        while (i < s.n && s.p[i] > ' ' && s.p[i] < 0x7f && !strchr(",;\"", s.p[i])) i++;
        *value = str_sub(s, from, i - from);
        *at = i;
        return i > from;
    }
    uint8_t *text = arena_alloc(out, s.n, 1);
    size_t n = 0;
    for (i++; i < s.n && s.p[i] != '"'; i++) {
        if (s.p[i] == '\\' && ++i == s.n) return false;
        text[n++] = s.p[i];
    }
    *value = (str){text, n};
    *at = i + 1;
    return i < s.n;
}

static void skip_space(str s, size_t *at) {
    while (*at < s.n && (s.p[*at] == ' ' || s.p[*at] == '\t')) ++*at;
}

/* One element, up to its comma or the end. False: it is malformed. */
static bool take_element(arena *out, str s, size_t *at, struct element *e) {
    *e = (struct element){0};
    for (;;) {
        skip_space(s, at);
        size_t from = *at;
        while (*at < s.n && s.p[*at] > ' ' && !strchr("=,;\"", s.p[*at])) ++*at;
        str name = str_sub(s, from, *at - from), value;
        if (name.n) {
            if (*at == s.n || s.p[(*at)++] != '=' || !take_value(out, s, at, &value)) return false;
            str *to = str_eq_nocase(name, STR("for")) ? &e->node : str_eq_nocase(name, STR("proto")) ? &e->proto : &e->host;
            if (str_eq_nocase(name, STR("for")) || str_eq_nocase(name, STR("proto")) || str_eq_nocase(name, STR("host")))
                *to = value;
        }
        skip_space(s, at);
        if (*at == s.n) return true;
        uint8_t c = s.p[(*at)++];
        if (c == ',') return true;
        if (c != ';') return false;
    }
}

static void read_forwarded(arena *out, str list, const struct net_prefix *trusted, size_t trusted_count,
                           struct net_forwarded *to) {
    struct element of[HOPS_MAX];
    size_t n = 0, at = 0;
    while (at < list.n) {
        if (n == HOPS_MAX) memmove(of, of + 1, --n * sizeof *of);
        if (!take_element(out, list, &at, &of[n])) return; /* what a proxy could not have written: nothing of it is taken */
        n++;
    }
    while (n--) {
        struct net_addr a;
        if (of[n].proto.n) to->scheme = scheme_of(of[n].proto);
        if (of[n].host.n) to->host = host_of(of[n].host);
        if (!node_of(of[n].node, &a)) return; /* "unknown", "_hidden" */
        to->client = a;
        to->has_client = true;
        if (!net_prefix_has(trusted, trusted_count, &a)) return;
    }
}

void net_forwarded_read(arena *out, const struct net_field *fields, uint32_t count, const struct net_prefix *trusted,
                        size_t trusted_count, struct net_forwarded *to) {
    *to = (struct net_forwarded){0};
    bool itself = false;
    for (uint32_t i = 0; i < count; i++) {
        enum net_forwarded_field f = net_forwarded_field(fields[i].name);
        to->by_x |= f == NET_FORWARDED_X;
        itself |= f == NET_FORWARDED_ITSELF;
    }
    to->said = to->by_x || itself;
    if (to->by_x) read_x(out, fields, count, trusted, trusted_count, to);
    else if (itself) read_forwarded(out, all_of(out, fields, count, STR("forwarded")), trusted, trusted_count, to);
}
