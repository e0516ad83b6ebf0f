/* front: whom a request is for, before anybody is asked to serve it.
 *
 *   host ──> app ──> version ──> route ─┬─> function: its path is what the function is to see of it
 *                                       ├─> static folder
 *                                       ├─> "/data/v1/", "/rest/v1" and "/auth/v1/" of an app that has a database, and the public keys of whichever has keys:
 *                                       │   the door (door.c), before any route
 *                                       └─> redirect: answered here (rules.c)
 *   before its route, and before whoever answers: the app's rules (rules.c)
 *
 * Where there is a canary, who was led to a version once stays with it: by the header x-orlo-version, or the cookie orlo-version that its first answer
 * set. Which it is the first time is left to chance, by the share that the canary has.
 *
 * 1. Nothing of it depends on what the app's guest says or on its image: what is answered here is answered while there is none.
 * 2. A worker that rests knows what was served before; who has its place knows better, and is asked.
 */
#include "node/worker/compress.h"
#include "node/worker/handler_int.h"
#include "node/worker/inbox.h"
#include "node/worker/report.h"
#include "node/worker/tls.h"
#include "net/tls.h"
#include <stdlib.h>

static struct node_part *answer(struct node_request *r, enum node_refusal what) {
    node_refuse(r, what);
    node_handler_answered(r);
    return NULL;
}

/* It is for workers of another cordon, to whom its connection goes. */
static struct node_part *pass_on(struct node_request *r, uint32_t cordon) {
    net_exchange_listen(r->exchange, NULL, NULL);
    err e = node_inbox_pass(r->handler->inbox, r->exchange, cordon);
    if (e != ERR_OK && e != ERR_CLOSED) return answer(r, NODE_REFUSE_NO_WORKER);
    if (e == ERR_CLOSED) net_exchange_end(r->exchange);
    node_handler_passed(r);
    return NULL;
}

/* It goes to who serves what is live now, with its connection. False: it stays; it is of no connection, or they have too much before them already. */
static bool lead_back(struct node_request *r) {
    struct node_handler *h = r->handler;
    if (!node_inbox_leads_back(h->inbox) || node_inbox_pass(h->inbox, r->exchange, h->cordon) != ERR_OK) return false;
    net_exchange_listen(r->exchange, NULL, NULL);
    node_handler_passed(r);
    return true;
}

/* ---- paths ---- */

/* What is left of the path when its first n bytes are off: it begins with a slash. */
static void strip(struct node_request *r, size_t n) {
    str rest = str_sub(r->path, n, r->path.n);
    if (!n) return;
    if (!rest.n) rest = STR("/");
    else if (rest.p[0] != '/') { /* "?query" */ r->seen = malloc(rest.n + 1);
        ENSURE(r->seen);
        r->seen[0] = '/';
        memcpy(r->seen + 1, rest.p, rest.n);
        rest = (str){r->seen, rest.n + 1};
    }
    net_exchange_set_path(r->exchange, rest);
}

void node_front_forget(struct node_request *r) {
    node_amend_forget(r);
    if (r->exchange && r->compress) net_exchange_filter(r->exchange, NULL);
    node_compress_forget(r);
    if (r->exchange && r->path.p) net_exchange_set_path(r->exchange, r->path);
    free(r->seen);
    r->seen = NULL;
    if (!r->mem) return;
    if (r->exchange) net_exchange_set_fields(r->exchange, r->fields, r->fields_count);
    arena_free(r->mem);
    r->mem = NULL;
}

/* ---- for who develops ---- */

static const char rest_page[] = "/_orlo/rest";

/* A page that runs what it brought along, and nothing else, and asks its own host alone. */
static struct node_part *show_rest(struct node_request *r) {
    struct buf page = {0}, policy = {0};
    node_dev_rest_page(&page, str_c(r->id));
    buf_printf(
        &policy,
        "default-src 'none'; script-src 'nonce-%s'; style-src 'nonce-%s'; connect-src 'self'; base-uri 'none'; form-action "
        "'none'; frame-ancestors 'none'",
        r->id, r->id);
    struct net_field fields[] = {{STR("content-type"), STR("text/html; charset=utf-8")},
                                 {STR("content-security-policy"), buf_str(&policy)},
                                 {STR("x-content-type-options"), STR("nosniff")},
                                 {STR("referrer-policy"), STR("no-referrer")},
                                 {STR("cache-control"), STR("no-store")},
                                 {STR("x-request-id"), str_c(r->id)}};
    err e = net_exchange_reply(r->exchange, 200, fields, ARRAY_COUNT(fields), buf_str(&page));
    if (e != ERR_OK) log_event(LOG_DEBUG, "page-not-sent", LF_CSTR("request", r->id), LF_CSTR("reason", err_text(e)));
    buf_free(&page), buf_free(&policy);
    node_handler_answered(r);
    return NULL;
}

/* ---- versions ---- */

static str cookie(str cookies, const char *name) {
    for (str one, key, value; cookies.n;) {
        str_cut(cookies, ';', &one, &cookies);
        if (str_cut(str_trim(one), '=', &key, &value) && str_eqc(key, name)) return value;
    }
    return (str){0};
}

/* The version that a header's or cookie's words mean. False: none of those there are. */
static bool means(const struct node_entry *e, str said, enum node_version *v) {
    uint64_t number;
    for (*v = 0; *v < NODE_VERSIONS && str_to_u64(said, &number); ++*v)
        if (e->of[*v].version == number) return true;
    return false;
}

/* Of two. *new: who asks does not say. */
static enum node_version choose(const struct node_request *r, const struct node_entry *e, bool *new) {
    const struct net_request *rq = net_exchange_request(r->exchange);
    enum node_version v;
    str by_cookie = {0};
    *new = false;
    for (uint32_t i = 0; i < rq->fields_count; i++) {
        if (str_eq_nocase(rq->fields[i].name, STR("x-orlo-version")) && means(e, rq->fields[i].value, &v)) return v;
        if (str_eq_nocase(rq->fields[i].name, STR("cookie")) && !by_cookie.n)
            by_cookie = cookie(rq->fields[i].value, "orlo-version");
    }
    if (means(e, by_cookie, &v)) return v;
    *new = true;
    uint64_t chance = 0; /* the id's bits are */
    for (int i = 0; i < 12; i++) chance = chance << 4 | (uint64_t)((r->id[i] & 15) + (r->id[i] > '9' ? 9 : 0));
    return chance % 1000 < e->canary_permille ? NODE_CANARY : NODE_LIVE;
}

/* ---- routes ---- */

static const char supabase[] = "/functions/v1";

static bool for_supabase(const struct node_request *r, const struct node_route *route) {
    return route->to == APP_TO_FUNCTION && r->app->record.functions.p[route->index].supabase &&
           str_starts(route->path, STR("/functions/v1/"));
}

static bool hex_digit(uint8_t c, uint8_t *value) {
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;
    if (at) *value = (uint8_t)(at - digits);
    return at;
}

/* "/trigger", however it is written. */
static bool means_path(str path, const char *word) {
    size_t n = 0, len = strlen(word);
    path = str_sub(path, 0, str_find(path, '?'));
    while (path.n > 1 && path.p[path.n - 1] == '/') path.n--;
    for (size_t i = 0; i < path.n; i++, n++) {
        uint8_t c = path.p[i], high, low;
        if (c == '/' && n && word[n] != '/' && n <= 1) { /* "//trigger" */
            n--;
            continue;
        }
        if (c == '%' && i + 2 < path.n && hex_digit(path.p[i + 1], &high) && hex_digit(path.p[i + 2], &low))
            c = (uint8_t)(high << 4 | low), i += 2;
        if (n >= len || c != (uint8_t)word[n]) return false;
    }
    return n == len;
}

/* Where the node alone tells a function something, nobody from outside does. */
static bool is_the_nodes(const struct node_request *r, const struct app_function *f) {
    if (LIKELY(!f->triggers.n && !f->computes.n)) return false;
    str path = net_exchange_request(r->exchange)->path;
    return (f->triggers.n && means_path(path, "/trigger")) || (f->computes.n && means_path(path, "/computed"));
}

static struct node_part *lead(struct node_request *r, const struct node_route *route) {
    switch ((enum app_route_to)route->to) {
    case APP_TO_FUNCTION:
        if (route->strip) strip(r, r->matched);
        else if (for_supabase(r, route)) strip(r, sizeof supabase - 1);
        if (UNLIKELY(r->app->record.functions.p[route->index].spin)) node_spin_fields(r, route);
        if (is_the_nodes(r, &r->app->record.functions.p[route->index])) return answer(r, NODE_REFUSE_NO_ROUTE);
        return &r->app->parts[route->index];
    case APP_TO_FILES: return &r->app->parts[r->app->record.functions.n + route->index];
    case APP_TO_REDIRECT: node_rules_redirect(r, &r->app->record.redirects.p[route->index], route); return NULL;
    default: return answer(r, NODE_REFUSE_NO_ROUTE);
    }
}

/* The door's paths. */
static bool is_data(str path, const struct node_app *app) {
    static const str keys = STR_INIT(NODE_JWKS_PATH);
    if (LIKELY(!str_starts(path, STR("/data/v1/")) && !str_starts(path, STR("/rest/v1")) &&
               !str_starts(path, STR("/auth/v1/"))) ||
        !app)
        return false;
    if (path.p[1] == 'a' && str_starts(path, keys) && (path.n == keys.n || path.p[keys.n] == '?'))
        return app_record_for_supabase(&app->record);
    if (path.p[1] == 'a') return app->record.auth.on && app->record.database.engine != APP_DATABASE_NONE;
    return app->record.database.engine != APP_DATABASE_NONE &&
           (path.p[1] == 'd' || path.n == 8 || path.p[8] == '/' || path.p[8] == '?');
}

/* A key may come in the query, and is no argument. */
static void hide_key(struct node_request *r) {
    size_t at = str_find(r->path, '?');
    if (LIKELY(at == r->path.n)) return;
    arena *scratch = arena_new(0);
    str query = node_who_query(scratch, net_exchange_request(r->exchange), str_sub(r->path, at + 1, r->path.n));
    if (query.n + at + 1 < r->path.n) {
        size_t n = at + (query.n ? query.n + 1 : 0);
        r->seen = malloc(n);
        ENSURE(r->seen);
        memcpy(r->seen, r->path.p, MIN(at + 1, n));
        if (query.n) memcpy(r->seen + at + 1, query.p, query.n);
        net_exchange_set_path(r->exchange, (str){r->seen, n});
    }
    arena_free(scratch);
}

/* The app's own function that is called as one of its database's. NULL: it is the database's, or nobody's. */
static struct node_part *called(struct node_request *r) {
    static const str at = STR_INIT("/rest/v1/rpc/");
    if (!str_starts(r->path, at)) return NULL;
    str rest = str_sub(r->path, at.n, r->path.n), name = str_sub(rest, 0, str_find(rest, '?'));
    uint32_t i = app_record_function(&r->app->record, name);
    r->rpc = i != UINT32_MAX && r->app->record.functions.p[i].rpc && !r->app->record.rest.off;
    if (r->rpc && r->app->record.functions.p[i].spin) node_spin_fields(r, NULL);
    if (r->rpc) hide_key(r);
    return r->rpc ? &r->app->parts[i] : NULL;
}

static struct node_part *data_part(struct node_request *r) {
    struct node_part *function = called(r);
    return function ? function : &r->app->parts[r->app->parts_count - 1];
}

struct node_part *node_front_route(struct node_request *r) {
    struct node_apps *apps = r->handler->apps;
    struct net_tls_facts facts;
    if (net_exchange_tls(r->exchange, &facts) && !node_tls_covers(&facts, net_exchange_request(r->exchange)->authority))
        return answer(r, NODE_REFUSE_MISDIRECTED);
    if (UNLIKELY(r->handler->proofs.n) && node_proofs_answer(r)) return NULL;
    if (UNLIKELY(r->handler->rests) && lead_back(r)) return NULL;
    const struct node_entry *e = node_apps_at(apps, net_exchange_request(r->exchange)->authority);
    if (!e) return answer(r, NODE_REFUSE_NO_HOST);
    if (UNLIKELY(e->cordon != r->handler->cordon) && r->handler->inbox) return pass_on(r, e->cordon);
    bool new = false;
    enum node_version v = LIKELY(!e->of[NODE_CANARY].record.n) ? NODE_LIVE : choose(r, e, &new);
    const struct node_app *app = node_apps_app(apps, e, v);
    bool ruled = app && UNLIKELY(app->record.rules.any);
    if (ruled && !node_rules_begin(r, app)) return NULL;
    bool data = is_data(r->path, app);
    if (UNLIKELY(r->handler->dev) && app && app->record.database.engine != APP_DATABASE_NONE && str_eqc(r->path, rest_page))
        return show_rest(r);
    const struct node_route *route = data ? NULL : node_apps_route(apps, e, v, r->path);
    if (new) node_amend_version(r, e->of[v].version);
    if (!route && !data) return answer(r, NODE_REFUSE_NO_ROUTE);
    r->app = node_apps_app(apps, e, v);
    if (!r->app) return answer(r, NODE_REFUSE_NO_APP);
    net_exchange_serve_for(r->exchange, r->app->party);
    if (route) r->matched = node_route_matched(route, r->path);
    bool by_supabase = data || for_supabase(r, route);
    const struct app_cors *cors = ruled ? node_rules_cors(app, r) : &r->app->record.cors;
    if (UNLIKELY(cors->origins.n || by_supabase)) node_amend_cors(r, cors, by_supabase);
    if (!node_handler_admit(r)) return NULL;
    if (UNLIKELY(r->amend) && node_amend_preflight(r)) {
        node_handler_answered(r);
        return NULL;
    }
    if (ruled && !node_rules_let(r)) return NULL;
    return data ? data_part(r) : lead(r, route);
}
