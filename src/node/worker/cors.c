/* cors: see cors.h. */
#include "node/worker/cors.h"

struct node_cors_asked node_cors_asked(str method, const struct net_field *fields, uint32_t count) {
    struct node_cors_asked a = {0};
    bool asks = false;
    for (uint32_t i = 0; i < count; i++) {
        if (str_eq_nocase(fields[i].name, STR("origin"))) a.origin = fields[i].value;
        else if (str_eq_nocase(fields[i].name, STR("access-control-request-method"))) a.method = fields[i].value, asks = true;
        else if (str_eq_nocase(fields[i].name, STR("access-control-request-headers"))) a.headers = fields[i].value;
        else if (str_eq_nocase(fields[i].name, STR("access-control-request-private-network")))
            a.private_network = str_eqc(fields[i].value, "true");
    }
    a.preflight = a.origin.n && asks && str_eqc(method, "OPTIONS");
    return a;
}

bool node_cors_field(str name) { return name.n > 15 && str_eq_nocase(str_sub(name, 0, 15), STR("access-control-")); }

void node_cors_free(struct node_cors_fields *f) { buf_free(&f->own); }

static void add(struct node_cors_fields *to, const char *name, str value) {
    ENSURE(to->n < NODE_CORS_FIELDS);
    if (value.n) to->of[to->n++] = (struct net_field){str_c(name), value};
}

/* ---- rules ---- */

static bool has_any(const str *list, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (str_eqc(list[i], "*")) return true;
    return false;
}

/* "https://shop.example"; a star stands for names before the rest of the host. */
static bool origin_matches(str rule, str origin) {
    size_t star = str_find(rule, '*');
    if (star == rule.n) return str_eq_nocase(rule, origin);
    str before = str_sub(rule, 0, star), after = str_sub(rule, star + 1, rule.n);
    if (origin.n <= before.n + after.n || !str_eq_nocase(str_sub(origin, 0, before.n), before)) return false;
    str middle = str_sub(origin, before.n, origin.n - before.n - after.n);
    return str_eq_nocase(str_sub(origin, origin.n - after.n, origin.n), after) && str_find(middle, '/') == middle.n &&
           str_find(middle, ':') == middle.n;
}

static bool origin_ok(const struct app_cors *rules, str origin) {
    for (uint32_t i = 0; i < rules->origins.n; i++)
        if (str_eqc(rules->origins.p[i], "*") || origin_matches(rules->origins.p[i], origin)) return true;
    return false;
}

static bool method_ok(const struct app_cors *rules, str method) {
    static const char *const simple[] = {"GET", "HEAD", "POST"}, *const usual[] = {"PUT", "PATCH", "DELETE"};
    for (size_t i = 0; i < ARRAY_COUNT(simple); i++)
        if (str_eqc(method, simple[i])) return true;
    for (size_t i = 0; i < ARRAY_COUNT(usual) && !rules->methods.n; i++)
        if (str_eqc(method, usual[i])) return true;
    for (uint32_t i = 0; i < rules->methods.n; i++)
        if (str_eqc(rules->methods.p[i], "*") || str_eq(rules->methods.p[i], method)) return true;
    return false;
}

static bool header_ok(const struct app_cors *rules, str name) {
    for (uint32_t i = 0; i < rules->headers.n; i++)
        if (str_eq_nocase(rules->headers.p[i], name)) return true;
    return false;
}

/* All that are asked for, or none. */
static bool headers_ok(const struct app_cors *rules, str headers) {
    str name;
    if (!rules->headers.n || has_any(rules->headers.p, rules->headers.n)) return true;
    while (headers.n) {
        str_cut(headers, ',', &name, &headers);
        name = str_trim(name);
        if (name.n && !header_ok(rules, name)) return false;
    }
    return true;
}

/* A part of own, which may still move: its offset for now. */
struct piece {
    size_t from, to;
};

static struct piece put_list(struct buf *own, const str *list, uint32_t n) {
    struct piece p = {own->n, 0};
    for (uint32_t i = 0; i < n; i++) {
        if (i) buf_puts(own, STR(", "));
        buf_puts(own, list[i]);
    }
    p.to = own->n;
    return p;
}

static str piece_of(const struct buf *own, struct piece p) { return str_sub(buf_str(own), p.from, p.to - p.from); }

static void answer_preflight(const struct app_cors *rules, const struct node_cors_asked *asked, struct node_cors_fields *to) {
    struct piece age = {to->own.n, 0};
    buf_printf(&to->own, "%u", rules->max_age_s);
    age.to = to->own.n;
    add(to, "access-control-allow-methods", asked->method);
    add(to, "access-control-allow-headers", asked->headers);
    add(to, "access-control-max-age", piece_of(&to->own, age));
    if (asked->private_network && rules->private_network) add(to, "access-control-allow-private-network", STR("true"));
}

bool node_cors_answer(const struct app_cors *rules, const struct node_cors_asked *asked, struct node_cors_fields *to) {
    bool any = has_any(rules->origins.p, rules->origins.n), ok = asked->origin.n && origin_ok(rules, asked->origin);
    bool credentials = rules->credentials && !any; /* to everybody's pages nobody's cookies */
    *to = (struct node_cors_fields){0};
    if (asked->preflight) add(to, "vary", STR("Origin, Access-Control-Request-Method, Access-Control-Request-Headers"));
    else if (!any) add(to, "vary", STR("Origin"));
    if (asked->preflight && (!ok || !method_ok(rules, asked->method) || !headers_ok(rules, asked->headers))) return false;
    if (!ok && !any) return true;
    add(to, "access-control-allow-origin", any ? STR("*") : asked->origin);
    if (credentials) add(to, "access-control-allow-credentials", STR("true"));
    if (asked->preflight) answer_preflight(rules, asked, to);
    else add(to, "access-control-expose-headers", piece_of(&to->own, put_list(&to->own, rules->expose.p, rules->expose.n)));
    return true;
}

void node_cors_answer_any(const struct node_cors_asked *asked, struct node_cors_fields *to) {
    *to = (struct node_cors_fields){0};
    add(to, "access-control-allow-origin", STR("*"));
    if (!asked->preflight) return;
    add(to, "access-control-allow-methods", asked->method);
    add(to, "access-control-allow-headers", asked->headers);
    add(to, "access-control-max-age", STR("86400"));
}
