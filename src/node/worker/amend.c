/* amend: what is said in every answer to a request besides what the app says: to whom a page may show it (cors.h), which version it was of, and what
 * the app's rules for header fields say.
 *
 *   no rules, not by Supabase's clients ──> what the app says goes out as it is
 *   rules (the record's) ──> theirs in place of whatever the app says of it; a preflight never reaches the app
 *   by Supabase's clients, without rules ──> a preflight is the app's to answer; if it does not, or anything else says nothing of it, anybody may
 *
 * 1. It holds for whoever answers: the app, its files, our own pages.
 * 2. What says for how long an answer may be kept is for those that are one: a rule for assets keeps nobody's 404.
 */
#include "app/pattern.h"
#include "node/worker/cors.h"
#include "node/worker/handler_int.h"
#include <stdlib.h>

struct node_amend {
    const struct app_cors *rules; /* NULL: none */
    bool anybody;                 /* there are none, and anybody may, where the app says nothing */
    bool allowed;                 /* by the rules, what a preflight asks for */
    struct node_cors_asked asked;
    struct node_cors_fields cors;
    struct net_field *fields;           /* the last response's; heap */
    char cookie[96];                    /* empty: none is set */
    const struct app_headers **headers; /* rules of the app's that match; heap */
    uint32_t headers_n, headers_fields; /* fields: of all of them */
    struct said {
        const char *name; /* a literal */
        char value[160];
    } said[NODE_AMEND_SAYS];
    uint32_t said_n;
};

static bool says_to_whom(const struct net_answer *a) {
    for (uint32_t i = 0; i < a->fields_count; i++)
        if (str_eq_nocase(a->fields[i].name, STR("access-control-allow-origin"))) return true;
    return false;
}

/* The preflight is answered in the app's place: nothing of its answer is left but the request's id. */
static bool keeps(const struct node_amend *m, const struct net_field *f, bool in_its_place) {
    if (in_its_place) return str_eq_nocase(f->name, STR("x-request-id"));
    return !m->rules || !node_cors_field(f->name);
}

/* ---- rules for header fields ---- */

static bool is_kept(uint16_t status) {
    return (status >= 200 && status < 300) || status == 301 || status == 304 || status == 308;
}

static bool says_how_long(str name) {
    static const char *const names[] = {"cache-control", "cdn-cache-control", "surrogate-control", "expires"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (str_eqc(name, names[i])) return true;
    return false;
}

static uint32_t drop_fields(struct net_field *of, uint32_t count, str name) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++)
        if (!str_eq_nocase(of[i].name, name)) of[n++] = of[i];
    return n;
}

static uint32_t apply(const struct node_amend *m, uint16_t status, uint32_t n) {
    for (uint32_t i = 0; i < m->headers_n; i++)
        for (uint32_t k = 0; k < m->headers[i]->fields.n; k++) {
            const struct app_field *f = &m->headers[i]->fields.p[k];
            if (says_how_long(f->name) && f->how != APP_FIELD_REMOVE && !is_kept(status)) continue;
            if (f->how != APP_FIELD_APPEND) n = drop_fields(m->fields, n, f->name);
            if (f->how != APP_FIELD_REMOVE) m->fields[n++] = (struct net_field){f->name, f->value};
        }
    for (uint32_t i = 0; i < m->said_n; i++) {
        str name = str_c(m->said[i].name);
        n = drop_fields(m->fields, n, name);
        m->fields[n++] = (struct net_field){name, str_c(m->said[i].value)};
    }
    return n;
}

static void on_answer(void *arg, struct net_answer *a) {
    struct node_amend *m = arg;
    bool quiet = m->anybody && !says_to_whom(a), in_its_place = quiet && m->asked.preflight;
    uint32_t n = 0;
    free(m->fields);
    m->fields = malloc((a->fields_count + NODE_CORS_FIELDS + 1 + m->headers_fields + m->said_n) * sizeof *m->fields);
    ENSURE(m->fields);
    for (uint32_t i = 0; i < a->fields_count; i++)
        if (keeps(m, &a->fields[i], in_its_place)) m->fields[n++] = a->fields[i];
    for (uint32_t i = 0; (m->rules || quiet) && i < m->cors.n; i++) m->fields[n++] = m->cors.of[i];
    if (m->cookie[0]) m->fields[n++] = (struct net_field){STR("set-cookie"), str_c(m->cookie)};
    if (in_its_place) a->status = 204;
    if (UNLIKELY(m->headers_n || m->said_n)) n = apply(m, a->status, n);
    a->fields = m->fields;
    a->fields_count = n;
}

static struct node_amend *of(struct node_request *r) {
    if (r->amend) return r->amend;
    r->amend = calloc(1, sizeof *r->amend);
    ENSURE(r->amend);
    net_exchange_amend(r->exchange, on_answer, r->amend);
    return r->amend;
}

void node_amend_version(struct node_request *r, uint32_t version) {
    const struct net_request *rq = net_exchange_request(r->exchange);
    struct node_amend *m = of(r);
    snprintf(m->cookie, sizeof m->cookie, "orlo-version=%u; Path=/; HttpOnly; SameSite=Lax%s", version,
             str_eqc(rq->scheme, "https") ? "; Secure" : "");
}

void node_amend_headers(struct node_request *r, const struct app_rules *rules, const struct app_paths *paths) {
    struct node_amend *m = r->amend;
    for (uint32_t i = 0; i < rules->headers.n; i++) {
        const struct app_headers *h = &rules->headers.p[i];
        if (!app_paths_any(paths, h->match)) continue;
        if (!m) m = of(r);
        if (!m->headers) m->headers = malloc(rules->headers.n * sizeof(struct app_headers *));
        ENSURE(m->headers);
        m->headers[m->headers_n++] = h;
        m->headers_fields += h->fields.n;
    }
}

void node_amend_say(struct node_request *r, const char *name, const char *value) {
    struct node_amend *m = of(r);
    uint32_t i = 0;
    while (i < m->said_n && strcmp(m->said[i].name, name) != 0) i++;
    if (i == NODE_AMEND_SAYS) return;
    m->said_n = MAX(m->said_n, i + 1);
    m->said[i].name = name;
    snprintf(m->said[i].value, sizeof m->said[i].value, "%s", value);
}

void node_amend_cors(struct node_request *r, const struct app_cors *rules, bool supabase) {
    const struct net_request *rq = net_exchange_request(r->exchange);
    struct node_amend *m = of(r);
    m->asked = node_cors_asked(rq->method, rq->fields, rq->fields_count);
    m->anybody = supabase && !rules->origins.n;
    if (rules->origins.n) m->rules = rules, m->allowed = node_cors_answer(rules, &m->asked, &m->cors);
    else node_cors_answer_any(&m->asked, &m->cors);
}

bool node_amend_preflight(struct node_request *r) {
    struct node_amend *m = r->amend;
    struct net_field id = {STR("x-request-id"), str_c(r->id)};
    if (!m->rules || !m->asked.preflight) return false;
    if (!m->allowed) {
        node_refuse(r, NODE_REFUSE_ORIGIN);
        return true;
    }
    err e = net_exchange_reply(r->exchange, 204, &id, 1, STR(""));
    if (e != ERR_OK) log_event(LOG_DEBUG, "error-page-not-sent", LF_CSTR("request", r->id), LF_CSTR("reason", err_text(e)));
    return true;
}

void node_amend_forget(struct node_request *r) {
    if (!r->amend) return;
    if (r->exchange) net_exchange_amend(r->exchange, NULL, NULL);
    node_cors_free(&r->amend->cors);
    free(r->amend->fields);
    free(r->amend->headers);
    free(r->amend);
    r->amend = NULL;
}
