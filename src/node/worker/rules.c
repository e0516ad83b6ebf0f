/* rules: what an app's manifest says of requests before anybody answers them (docs/routing.md).
 *
 *   begin: header fields of its answer ──> https ──> redirects by host and query ──> (front.c: route, CORS, preflight)
 *   let:   methods (405) ──> how large a body ──> rates (429)
 *
 * 1. A rule is of one app: whose it is, is known before any is looked at. Requests of functions to each other meet none.
 * 2. Paths are held against patterns as guests may read them (struct app_paths).
 * 3. Of several rates all have room, or none is taken from.
 */
#include "app/pattern.h"
#include "net/addr.h"
#include "node/worker/gate.h"
#include "node/worker/handler_int.h"

/* ---- redirects ---- */

static void lead_to(struct node_request *r, uint16_t status, struct buf *location) {
    struct net_field fields[] = {{STR("location"), buf_str(location)}, {STR("x-request-id"), str_c(r->id)}};
    err e = net_exchange_reply(r->exchange, status, fields, ARRAY_COUNT(fields), STR(""));
    if (e != ERR_OK) log_event(LOG_DEBUG, "redirect-not-sent", LF_CSTR("request", r->id), LF_CSTR("reason", err_text(e)));
    buf_free(location);
    node_handler_answered(r);
}

static void put_query(struct buf *to, str query, bool more) {
    if (query.n && more) buf_putc(to, '&'), query = str_sub(query, 1, query.n);
    buf_puts(to, query);
}

/* Where it leads: with the rest of the path, which stays a path whatever slashes it begins with, and the query. */
static void put_location(struct buf *to, str target, str rest, str asked) {
    size_t own_query = str_find(target, '?'), slashes = 0;
    str query = str_sub(target, own_query, target.n);
    target = str_sub(target, 0, own_query);
    while (slashes < rest.n && (rest.p[slashes] == '/' || rest.p[slashes] == '\\')) slashes++;
    if (slashes && target.n && target.p[target.n - 1] == '/') target.n--;
    buf_puts(to, target);
    if (slashes) buf_putc(to, '/');
    for (size_t i = slashes; i < rest.n; i++)
        if (rest.p[i] == '\\') buf_printf(to, "%%5C"); /* some read it as a slash */
        else buf_putc(to, rest.p[i]);
    buf_puts(to, query);
    put_query(to, asked, query.n > 0);
}

void node_rules_redirect(struct node_request *r, const struct app_redirect *to, const struct node_route *route) {
    struct buf location = {0};
    size_t query = str_find(r->path, '?');
    str asked = str_sub(r->path, query, r->path.n), rest = str_sub(r->path, r->matched, query - r->matched);
    if (!app_target_has_names(to->to)) {
        put_location(&location, to->to, rest, asked);
    } else {
        struct app_matched names = {.n = 1, .of = {{STR("splat"), rest}}};
        struct node_route_name name = {0};
        while (rest.n && rest.p[0] == '/') rest = str_sub(rest, 1, rest.n);
        names.of[0].value = rest;
        while (names.n < ARRAY_COUNT(names.of) && node_route_next_name(route, r->path, &name))
            names.of[names.n].name = name.name, names.of[names.n++].value = name.value;
        app_target_fill(&location, to->to, &names);
        put_query(&location, asked, str_find(to->to, '?') < to->to.n);
    }
    lead_to(r, to->status, &location);
}

/* ---- redirects that ask for more than a path ---- */

/* The value of a query's parameter, as it stands there. False: it has none of that name. */
static bool parameter(str query, str name, str *value) {
    for (str one, key; query.n;) {
        str_cut(query, '&', &one, &query);
        str_cut(one, '=', &key, value);
        if (str_eq(key, name)) return true;
    }
    return false;
}

static bool meets(const struct app_moved *m, str query, struct app_matched *names) {
    for (uint32_t i = 0; i < m->query.n; i++) {
        const struct app_condition *c = &m->query.p[i];
        bool any = c->value.n > 1 && c->value.p[0] == ':';
        str value;
        if (!parameter(query, c->name, &value) || (c->value.n && !any && !str_eq(value, c->value))) return false;
        if (any && names->n < ARRAY_COUNT(names->of))
            names->of[names->n].name = str_sub(c->value, 1, c->value.n), names->of[names->n++].value = value;
    }
    return true;
}

static bool host_is(str rule, str host) {
    if (!rule.n || str_eq(rule, host)) return true;
    str below = str_sub(rule, 1, rule.n); /* ".shop.example" */
    return str_starts(rule, STR("*.")) && host.n > below.n && str_ends(host, below);
}

static bool is_moved(struct node_request *r, const struct app_rules *rules, str host) {
    size_t at = str_find(r->path, '?');
    str path = str_sub(r->path, 0, at), asked = str_sub(r->path, at, r->path.n);
    for (uint32_t i = 0; i < rules->moved.n; i++) {
        const struct app_moved *m = &rules->moved.p[i];
        struct app_matched names;
        struct buf location = {0};
        if (!host_is(m->host, host) || !app_pattern_match(m->from, path, &names) || !meets(m, str_sub(asked, 1, asked.n), &names))
            continue;
        if (m->query.n) asked = (str){0}; /* it was asked for what it says */
        if (app_target_has_names(m->to)) {
            app_target_fill(&location, m->to, &names);
            put_query(&location, asked, str_find(m->to, '?') < m->to.n);
        } else {
            size_t star = str_find(m->from, '*');
            str rest = star < m->from.n ? str_sub(path, MIN(star ? star - 1 : 0, path.n), path.n) : (str){0};
            if (str_find(m->from, ':') < star) rest = (str){0}; /* whose places are not known; it names what it keeps */
            put_location(&location, m->to, rest, asked);
        }
        lead_to(r, m->status, &location);
        return true;
    }
    return false;
}

static bool is_secure(const struct node_request *r) { return str_eqc(net_exchange_request(r->exchange)->scheme, "https"); }

/* To the same host and path, at the port that everybody knows. */
static bool is_led_to_https(struct node_request *r, const struct app_rules *rules, str host) {
    struct buf location = {0};
    if (!rules->https || r->handler->dev || is_secure(r) || !host.n) return false;
    buf_puts(&location, STR("https://"));
    buf_puts(&location, host);
    buf_puts(&location, r->path.n && r->path.p[0] == '/' ? r->path : STR("/"));
    lead_to(r, 308, &location);
    return true;
}

static void say_hsts(struct node_request *r, const struct app_rules *rules) {
    char value[96];
    if (!rules->hsts_s || !is_secure(r) || r->handler->dev) return;
    snprintf(value, sizeof value, "max-age=%u%s%s", rules->hsts_s, rules->hsts_subdomains ? "; includeSubDomains" : "",
             rules->hsts_preload ? "; preload" : "");
    node_amend_say(r, "strict-transport-security", value);
}

bool node_rules_begin(struct node_request *r, const struct node_app *app) {
    const struct app_rules *rules = &app->record.rules;
    char host[APP_HOST_MAX + 3];
    size_t n = 0;
    struct app_paths paths;
    r->body_max = 0;
    app_paths_of(&paths, r->path);
    node_amend_headers(r, rules, &paths);
    app_paths_free(&paths);
    say_hsts(r, rules);
    if (!rules->https && !rules->moved.n) return true;
    if (!app_host_normal(net_exchange_request(r->exchange)->authority, host, &n)) n = 0;
    str name = {(uint8_t *)host, n};
    return !is_led_to_https(r, rules, name) && !is_moved(r, rules, name);
}

/* ---- CORS ---- */

const struct app_cors *node_rules_cors(const struct node_app *app, const struct node_request *r) {
    const struct app_rules *rules = &app->record.rules;
    const struct app_cors *found = &app->record.cors;
    struct app_paths paths;
    if (!rules->cors.n) return found;
    app_paths_of(&paths, r->path);
    for (uint32_t i = 0; i < rules->cors.n; i++) {
        if (!app_paths_all(&paths, rules->cors.p[i].match)) continue;
        found = &rules->cors.p[i].cors;
        break;
    }
    app_paths_free(&paths);
    return found;
}

/* ---- methods ---- */

static bool has_method(const str *list, uint32_t n, str method) {
    for (uint32_t i = 0; i < n; i++)
        if (str_eq(list[i], method) || (str_eqc(list[i], "GET") && str_eqc(method, "HEAD"))) return true;
    return !n;
}

/* A WebSocket is asked for by GET, and by HTTP/2 with a CONNECT that says so (RFC 8441 §4): the same to a rule. */
static str method_of(const struct node_request *r) {
    const struct net_request *rq = net_exchange_request(r->exchange);
    return UNLIKELY(rq->protocol.n) ? STR("GET") : rq->method;
}

static bool refuse(struct node_request *r, enum node_refusal what, uint64_t retry_ns) {
    r->app->counts.refused++;
    node_refuse_for(r, what, retry_ns);
    node_handler_answered(r);
    return false;
}

static bool refuse_method(struct node_request *r, const struct app_allow *a) {
    uint8_t allow[160];
    struct buf b = BUF_FIXED(allow);
    for (uint32_t i = 0; i < a->methods.n; i++)
        buf_printf(&b, "%s" STR_FMT "%s", i ? ", " : "", STR_ARG(a->methods.p[i]),
                   str_eqc(a->methods.p[i], "GET") ? ", HEAD" : "");
    buf_putc(&b, 0);
    allow[sizeof allow - 1] = 0;
    node_amend_say(r, "allow", (const char *)allow);
    return refuse(r, NODE_REFUSE_METHOD, 0);
}

/* ---- rates ---- */

/* Its network where that is an IPv6 address: whoever has one address has 2^64 of them. */
static void put_address(struct buf *to, const struct node_request *r) {
    str peer = net_exchange_peer(r->exchange);
    struct net_addr a;
    if (net_addr_parse(peer, &a)) buf_put(to, a.ip, a.v6 ? 8 : 4);
    else buf_puts(to, peer);
}

static const str *field_of(const struct node_request *r, str name) {
    const struct net_request *rq = net_exchange_request(r->exchange);
    for (uint32_t i = 0; i < rq->fields_count; i++)
        if (str_eq_nocase(rq->fields[i].name, name)) return &rq->fields[i].value;
    return NULL;
}

/* Whose request it is, by a rate. The first byte keeps what is said from being an address. */
static void put_who(struct buf *to, const struct app_rate *rate, const struct node_request *r) {
    const str *said = rate->by == APP_RATE_BY_HEADER ? field_of(r, rate->header) : NULL;
    buf_putc(to, (uint8_t)rate->by);
    bool known = rate->by == APP_RATE_BY_ALL || (said && said->n);
    if (said) buf_puts(to, *said);
    if (rate->by == APP_RATE_BY_SUBJECT || rate->by == APP_RATE_BY_APIKEY)
        known = node_who_counts(r, rate->by == APP_RATE_BY_APIKEY, to);
    if (known) return;
    to->n = 0;
    buf_putc(to, APP_RATE_BY_ADDRESS);
    put_address(to, r);
}

static bool is_of_rate(const struct app_rate *rate, const struct node_request *r, const struct app_paths *paths) {
    return has_method(rate->methods.p, rate->methods.n, method_of(r)) && app_paths_any(paths, rate->match);
}

/* The one that lets him wait longest, or that has the least left: draft-ietf-httpapi-ratelimit-headers. */
static void say_rate(struct node_request *r, const struct app_rate *rate, const struct node_ruled *of) {
    char text[160];
    snprintf(text, sizeof text, "\"" STR_FMT "\";q=%u;w=%u", STR_ARG(rate->name), rate->requests, rate->per_s);
    node_amend_say(r, "ratelimit-policy", text);
    snprintf(text, sizeof text, "\"" STR_FMT "\";r=%llu;t=%llu", STR_ARG(rate->name), (unsigned long long)of->left,
             (unsigned long long)((of->full_ns + 999'999'999) / 1'000'000'000));
    node_amend_say(r, "ratelimit", text);
}

/* One pass that looks, one that takes: who is refused by one rate has not used up another. */
static uint64_t take_rates(struct node_request *r, const struct app_paths *paths, bool take) {
    const struct app_rules *rules = &r->app->record.rules;
    uint64_t now = clock_mono_ns(), longest = 0, least = UINT64_MAX;
    struct buf who = {.max = 64 * KiB};
    for (uint32_t i = 0; i < rules->rates.n; i++) {
        const struct app_rate *rate = &rules->rates.p[i];
        if (!is_of_rate(rate, r, paths)) continue;
        struct node_ruled of = {.each_ns = (uint64_t)rate->per_s * 1'000'000'000 / rate->requests, .burst = rate->burst};
        who.n = 0;
        put_who(&who, rate, r);
        uint64_t wait = node_rates_take_ruled(r->app->record.id, i, buf_str(&who), &of, now, take);
        if (wait > longest || (!longest && of.left < least)) say_rate(r, rate, &of);
        longest = MAX(longest, wait);
        least = MIN(least, of.left);
    }
    buf_free(&who);
    return longest;
}

bool node_rules_let(struct node_request *r) {
    const struct app_rules *rules = &r->app->record.rules;
    const struct net_request *rq = net_exchange_request(r->exchange);
    struct app_paths paths;
    bool preflight =
        str_eqc(rq->method, "OPTIONS") && field_of(r, STR("origin")) && field_of(r, STR("access-control-request-method"));
    app_paths_of(&paths, r->path);
    const struct app_allow *refuses = NULL;
    for (uint32_t i = 0; i < rules->allows.n && !refuses; i++) {
        const struct app_allow *a = &rules->allows.p[i];
        if (!app_paths_any(&paths, a->match)) continue;
        if (!preflight && !has_method(a->methods.p, a->methods.n, method_of(r))) refuses = a;
        if (a->body_bytes_max) r->body_max = r->body_max ? MIN(r->body_max, a->body_bytes_max) : a->body_bytes_max;
    }
    uint64_t wait = 0;
    bool counts = !refuses && rules->rates.n && !r->ruled; /* a preflight that comes so far is the guest's to answer */
    if (counts) r->ruled = true;
    if (counts && rules->rates.n > 1) wait = take_rates(r, &paths, false);
    if (counts && !wait) wait = take_rates(r, &paths, true);
    app_paths_free(&paths);
    if (refuses) return refuse_method(r, refuses);
    return !wait || refuse(r, NODE_REFUSE_TOO_OFTEN, wait);
}
