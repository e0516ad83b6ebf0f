/* record: an app in one version, as bytes; and the names it goes by. */
#include "app/record_int.h"
#include "net/addr.h"

/* ---- as bytes ---- */

enum {
    LAYOUT_FIRST = 1,
    LAYOUT_DATABASE = 3,
    LAYOUT_REST = 5,
    LAYOUT_REACHED = 6,
    LAYOUT_CALLS = 7,
    LAYOUT_ROOT = 8,
    LAYOUT_AUTH = 9,
    LAYOUT_RULES = 10,
    LAYOUT = APP_RECORD_LAYOUT
};
enum { FOLLOWS = 1 << 8, USERS = 1 << 9 /* beside a database */ };
enum { FUNCTION_BYTES_MIN = 40, FILES_BYTES_MIN = 40, REDIRECT_BYTES_MIN = 8, SECRET_BYTES_MIN = 12, ROUTE_BYTES_MIN = 12 };

static const char *const databases[] = {
#define X(name, word) word,
    APP_DATABASES_LIST(X)
#undef X
};
const char *app_database_text(enum app_database_engine engine) { return databases[engine]; }

static void read_digest(struct rd *from, uint8_t digest[APP_DIGEST_BYTES]) {
    str bytes = rd_bytes(from, APP_DIGEST_BYTES);
    if (bytes.n) memcpy(digest, bytes.p, bytes.n);
}

static void write_route(struct buf *to, const struct app_route *r) {
    write_str(to, r->path);
    write_u32(to, r->exact | r->strip << 1 | r->internal << 2 | r->slash << 3 | r->to << 8);
    write_u32(to, r->index);
}

static void write_trigger(struct buf *to, const struct app_trigger *t) {
    write_str(to, t->schema);
    write_str(to, t->table);
    write_u32(to, t->on);
    write_u32(to, t->attempts);
    write_list(to, t->columns.p, t->columns.n);
}

static void write_computed(struct buf *to, const struct app_computed *c) {
    const str *const texts[] = {&c->schema, &c->table, &c->name, &c->type};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) write_str(to, *texts[i]);
    write_list(to, c->needs.p, c->needs.n);
}

static void write_function(struct buf *to, const struct app_function *f) {
    write_str(to, f->name);
    write_str(to, f->source);
    buf_put(to, f->module, APP_DIGEST_BYTES);
    buf_put(to, f->digest, APP_DIGEST_BYTES);
    write_u32(to, f->kind);
    app_grants_write(to, &f->grants);
    app_limits_write(to, &f->limits);
    write_u32(to, f->spin | f->supabase << 1 | f->verify_jwt << 2 | f->rpc << 3 | f->rpc_reads << 4);
    write_u32(to, f->triggers.n);
    for (uint32_t i = 0; i < f->triggers.n; i++) write_trigger(to, &f->triggers.p[i]);
    write_u32(to, f->computes.n);
    for (uint32_t i = 0; i < f->computes.n; i++) write_computed(to, &f->computes.p[i]);
}

static void write_files(struct buf *to, const struct app_files *f) {
    write_str(to, f->name);
    write_str(to, f->folder);
    buf_put(to, f->digest, APP_DIGEST_BYTES);
    write_str(to, f->index);
    write_str(to, f->not_found);
    write_u32(to, f->spa | f->clean << 1 | f->no_immutable << 2);
}

static void write_rest(struct buf *to, const struct app_rest *r) {
    write_list(to, r->schemas.p, r->schemas.n);
    write_list(to, r->search.p, r->search.n);
    write_str(to, r->before);
    write_u32(to, r->off | r->no_openapi << 1 | r->aggregates << 2 | r->plans << 3 | r->terse << 4 | r->timed << 5);
    write_str(to, r->root);
    write_str(to, r->audience);
}

void app_auth_usual(struct app_auth *a) {
    *a = (struct app_auth){
#define X(name, usual, ...) .name = (usual),
        APP_AUTH_NUMBERS(X) APP_AUTH_FLAGS(X)
#undef X
    };
}

static void write_mail(struct buf *to, const struct app_mail *m) {
    write_str(to, m->host);
    write_str(to, m->user);
    write_str(to, m->secret);
    write_str(to, m->sender);
    write_str(to, m->from);
    write_u32(to, m->port | (uint32_t)m->tls << 16);
}

bool app_provider_known(str name) {
    static const char *const names[] = {
#define X(name) #name,
        APP_PROVIDERS_LIST(X)
#undef X
    };
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (str_eqc(name, names[i])) return true;
    return false;
}

static void write_provider(struct buf *to, const struct app_provider *p) {
    const str texts[] = {p->name,  p->secret,   p->url,    p->redirect, p->issuer, p->authorize,
                         p->token, p->userinfo, p->scopes, p->team,     p->key};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) write_str(to, texts[i]);
    write_list(to, p->clients.p, p->clients.n);
    write_u32(to, p->skip_nonce | p->email_optional << 1);
}

const char *app_template_text(enum app_template_kind kind) {
    static const char *const names[] = {
#define X(name) #name,
        APP_TEMPLATES_LIST(X)
#undef X
    };
    return names[kind];
}

static void write_template(struct buf *to, const struct app_template *t) {
    const str texts[] = {t->language, t->subject, t->html_path, t->text_path, t->html, t->text};
    write_u32(to, t->kind);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) write_str(to, texts[i]);
}

static void write_sms(struct buf *to, const struct app_sms *s) {
    write_u32(to, s->provider);
    write_str(to, s->account);
    write_str(to, s->secret);
    write_str(to, s->from);
    write_str(to, s->url);
    write_str(to, s->words);
    write_u32(to, s->tests.n);
    for (uint32_t i = 0; i < s->tests.n; i++) write_str(to, s->tests.p[i].phone), write_str(to, s->tests.p[i].code);
}

static void write_auth(struct buf *to, const struct app_auth *a) {
    struct app_auth usual;
    uint32_t flags = 0, bit = 0;
    if (!a->jwt_s) app_auth_usual(&usual), a = &usual; /* nobody said anything of it */
#define X(name, ...) write_u32(to, a->name);
    APP_AUTH_NUMBERS(X)
#undef X
#define X(name, ...) flags |= (uint32_t)a->name << bit++;
    APP_AUTH_FLAGS(X)
#undef X
    write_u32(to, flags);
    write_str(to, a->site_url);
    write_list(to, a->redirects.p, a->redirects.n);
    write_str(to, a->leaked_url);
    write_str(to, a->rp_id), write_str(to, a->rp_name);
    write_list(to, a->rp_origins.p, a->rp_origins.n);
    write_mail(to, &a->mail);
    write_u32(to, a->providers.n);
    for (uint32_t i = 0; i < a->providers.n; i++) write_provider(to, &a->providers.p[i]);
    write_sms(to, &a->sms);
    write_u32(to, a->templates.n);
    for (uint32_t i = 0; i < a->templates.n; i++) write_template(to, &a->templates.p[i]);
}

static void write_hooks(struct buf *to, const struct app_hook *hooks) {
    for (uint32_t i = 0; i < APP_HOOKS; i++) {
        write_u32(to, hooks[i].to);
        write_str(to, hooks[i].at);
        write_str(to, hooks[i].secret);
    }
}

static void write_pages(struct buf *to, const struct app_auth *a) {
    write_u32(to, a->oauth.on | a->oauth.registers << 1 | a->pages.on << 2 | a->captcha.kind << 8);
    write_str(to, a->oauth.path);
    write_str(to, a->captcha.secret);
    write_str(to, a->captcha.url);
    write_str(to, a->pages.name);
    write_str(to, a->pages.logo);
    write_str(to, a->pages.colour);
}

static void write_compress(struct buf *to, const struct app_record *r) {
    write_u32(to, r->compress.off);
    write_u32(to, r->compress.bytes_min);
    write_list(to, r->compress.types.p, r->compress.types.n);
}

/* What routing reads comes first, so that the rest can be left alone. */
void app_record_write(struct buf *to, const struct app_record *r) {
    write_u32(to, LAYOUT);
    write_u32(to, r->id);
    write_u32(to, r->version);
    buf_put(to, &r->secrets_revision, 8);
    write_str(to, r->name);
    write_u32(to, r->is_default);
    write_u32(to, r->eager);
    write_u32(to, r->database.engine | (r->follows ? FOLLOWS : 0u) | (r->auth.on ? USERS : 0u));
    write_u32(to, r->functions.n);
    write_u32(to, r->files.n);
    write_u32(to, r->redirects.n);
    write_list(to, r->hosts.p, r->hosts.n);
    write_u32(to, r->routes.n);
    for (uint32_t i = 0; i < r->routes.n; i++) write_route(to, &r->routes.p[i]);
    for (uint32_t i = 0; i < r->functions.n; i++) write_function(to, &r->functions.p[i]);
    for (uint32_t i = 0; i < r->files.n; i++) write_files(to, &r->files.p[i]);
    for (uint32_t i = 0; i < r->redirects.n; i++) write_str(to, r->redirects.p[i].to), write_u32(to, r->redirects.p[i].status);
    write_u32(to, r->secrets.n);
    for (uint32_t i = 0; i < r->secrets.n; i++) {
        write_str(to, r->secrets.p[i].key);
        write_str(to, r->secrets.p[i].otherwise);
        write_u32(to, r->secrets.p[i].required);
    }
    app_cors_write(to, &r->cors);
    app_limits_write(to, &r->limits);
    write_u32(to, r->weight);
    write_str(to, r->database.secret);
    write_rest(to, &r->rest);
    buf_put(to, &r->made_ms, 8);
    write_auth(to, &r->auth);
    write_hooks(to, r->auth.hooks);
    write_pages(to, &r->auth);
    app_rules_write(to, r);
    write_compress(to, r);
}

/* ---- reading: what routing needs ---- */

static bool host_ok(str host) {
    char normal[APP_HOST_MAX + 3];
    size_t n;
    if (str_starts(host, STR("*."))) host = str_sub(host, 2, host.n);
    return app_host_normal(host, normal, &n) && str_eq(host, (str){(uint8_t *)normal, n});
}

/* ":id": letters, digits, - and _ behind a colon. */
static bool segment_ok(str s) {
    bool ok = !s.n || s.p[0] != ':' || s.n > 1;
    for (size_t i = 1; ok && s.n && s.p[0] == ':' && i < s.n; i++) {
        uint8_t c = s.p[i];
        ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    }
    return ok;
}

/* Bytes as they stand in a URL. */
static bool path_ok(str p) {
    bool ok = p.n && p.n <= APP_ROUTE_BYTES_MAX && p.p[0] == '/';
    for (size_t i = 0; ok && i < p.n; i++) ok = p.p[i] > ' ' && p.p[i] < 0x7f && p.p[i] != '?' && p.p[i] != '#';
    for (str rest = p, segment; ok && rest.n;) {
        str_cut(rest, '/', &segment, &rest);
        ok = segment_ok(segment);
    }
    return ok;
}

static bool route_ok(const struct app_route *r, const struct app_record *of) {
    const uint32_t counts[APP_ROUTE_TOS] = {of->functions.n, of->files.n, of->redirects.n};
    str p = r->path;
    return path_ok(p) && (p.n == 1 || r->exact || p.p[p.n - 1] != '/') && r->to < APP_ROUTE_TOS && r->index < counts[r->to];
}

static struct app_route read_route(struct rd *from, const struct app_record *of, uint32_t layout) {
    struct app_route route = {.path = read_str(from, APP_ROUTE_BYTES_MAX)};
    uint32_t flags = rd_u32le(from);
    if (layout == LAYOUT_FIRST) flags = flags != 0;
    route.exact = flags & 1, route.strip = flags & 2, route.internal = flags & 4, route.slash = flags & 8;
    route.to = (uint8_t)(flags >> 8);
    route.index = rd_u32le(from);
    if (!from->fail && (flags >> 16 || (flags & 0xf0) || !route_ok(&route, of))) rd_fail(from, "no route");
    return route;
}

static void read_counts(struct rd *from, struct app_record *r, uint32_t layout) {
    r->functions.n = rd_u32le(from);
    r->files.n = layout == LAYOUT_FIRST ? 0 : rd_u32le(from);
    r->redirects.n = layout == LAYOUT_FIRST ? 0 : rd_u32le(from);
    bool any = r->functions.n || r->files.n || r->redirects.n || r->database.engine;
    if (!any || r->functions.n > APP_FUNCTIONS_MAX || r->files.n > APP_FILES_MAX || r->redirects.n > APP_REDIRECTS_MAX)
        rd_fail(from, "an app has a function, files or a database, and not so many");
}

static uint32_t read_routing(arena *out, struct rd *from, struct app_record *r) {
    uint32_t layout = rd_u32le(from);
    *r = (struct app_record){0};
    if (layout < LAYOUT_FIRST || layout > LAYOUT) rd_fail(from, "a record of another layout");
    r->id = rd_u32le(from);
    r->version = rd_u32le(from);
    if (layout > LAYOUT_FIRST) r->secrets_revision = rd_u64le(from);
    r->name = read_str(from, APP_NAME_MAX);
    if (!from->fail && app_name_check(r->name, NULL) != ERR_OK) rd_fail(from, "no name of an app");
    r->is_default = rd_u32le(from) != 0;
    r->eager = rd_u32le(from) != 0;
    uint32_t engine = layout < LAYOUT_DATABASE ? APP_DATABASE_NONE : rd_u32le(from);
    r->follows = layout >= LAYOUT_CALLS && engine & FOLLOWS;
    if (r->follows) engine &= ~(uint32_t)FOLLOWS;
    r->has_users = layout >= LAYOUT_AUTH && engine & USERS;
    if (r->has_users) engine &= ~(uint32_t)USERS;
    if (engine >= APP_DATABASES) rd_fail(from, "no database");
    r->database.engine = (enum app_database_engine)(engine < APP_DATABASES ? engine : APP_DATABASE_NONE);
    read_counts(from, r, layout);
    for (uint32_t n = read_count(from, 4, APP_HOSTS_MAX); n; n--) {
        str host = read_str(from, APP_HOST_MAX + 2);
        if (!from->fail && !host_ok(host)) rd_fail(from, "no host");
        vec_push(out, &r->hosts, host);
    }
    for (uint32_t n = read_count(from, ROUTE_BYTES_MIN, APP_ROUTES_MAX); n; n--)
        vec_push(out, &r->routes, read_route(from, r, layout));
    return layout;
}

void app_record_read_routing(arena *out, struct rd *from, struct app_record *r) { (void)read_routing(out, from, r); }

/* ---- reading: the rest ---- */

/* A name in the database, as people write it. */
static str read_identifier(struct rd *from) {
    str s = read_plain(from, APP_IDENTIFIER_MAX);
    if (!from->fail && (!s.n || !str_is_utf8(s))) rd_fail(from, "no name in a database");
    return s;
}

static struct app_trigger read_trigger(arena *out, struct rd *from) {
    struct app_trigger t = {.schema = read_identifier(from), .table = read_identifier(from)};
    t.on = rd_u32le(from);
    t.attempts = rd_u32le(from);
    if (!t.on || t.on >> APP_CHANGES || !t.attempts || t.attempts > APP_ATTEMPTS_MAX) rd_fail(from, "no trigger");
    for (uint32_t n = read_count(from, 5, APP_TRIGGERS_MAX); n && !from->fail; n--)
        vec_push(out, &t.columns, read_identifier(from));
    return t;
}

static struct app_computed read_computed(arena *out, struct rd *from) {
    struct app_computed c = {read_identifier(from), read_identifier(from), read_identifier(from), read_identifier(from), {0}};
    for (uint32_t n = read_count(from, 5, APP_COMPUTED_MAX); n && !from->fail; n--)
        vec_push(out, &c.needs, read_identifier(from));
    return c;
}

static void read_calls(arena *out, struct rd *from, struct app_function *f) {
    for (uint32_t n = read_count(from, 20, APP_TRIGGERS_MAX); n && !from->fail; n--)
        vec_push(out, &f->triggers, read_trigger(out, from));
    for (uint32_t n = read_count(from, 20, APP_COMPUTED_MAX); n && !from->fail; n--)
        vec_push(out, &f->computes, read_computed(out, from));
}

static struct app_function read_function(arena *out, struct rd *from, uint32_t layout) {
    struct app_function f = {.name = read_str(from, APP_FUNCTION_NAME_MAX), .source = read_plain(from, APP_PATH_MAX)};
    read_digest(from, f.module);
    read_digest(from, f.digest);
    f.kind = rd_u32le(from);
    if (layout < LAYOUT_REACHED) app_grants_read_third(out, from, &f.grants);
    else app_grants_read(out, from, &f.grants);
    app_limits_read(from, &f.limits);
    uint32_t flags = rd_u32le(from);
    if (flags > (layout < LAYOUT_REACHED ? 7u : layout < LAYOUT_CALLS ? 15u : 31u)) rd_fail(from, "no function");
    f.spin = flags & 1, f.supabase = flags & 2, f.verify_jwt = flags & 4, f.rpc = flags & 8, f.rpc_reads = flags & 16;
    if (layout >= LAYOUT_CALLS) read_calls(out, from, &f);
    return f;
}

static struct app_files read_files(struct rd *from) {
    struct app_files f = {.name = read_str(from, APP_FUNCTION_NAME_MAX), .folder = read_plain(from, APP_PATH_MAX)};
    read_digest(from, f.digest);
    f.index = read_plain(from, APP_PATH_MAX);
    f.not_found = read_plain(from, APP_PATH_MAX);
    uint32_t flags = rd_u32le(from);
    f.spa = flags & 1, f.clean = flags & 2, f.no_immutable = flags & 4;
    if (flags > 7) rd_fail(from, "no folder");
    return f;
}

static struct app_redirect read_redirect(struct rd *from) {
    struct app_redirect r = {.to = read_plain(from, APP_URL_MAX)};
    uint32_t status = rd_u32le(from);
    if (!r.to.n || status < 300 || status > 399) rd_fail(from, "no redirect");
    r.status = (uint16_t)status;
    return r;
}

static struct app_secret read_secret(struct rd *from) {
    struct app_secret s = {.key = read_plain(from, APP_FUNCTION_NAME_MAX), .otherwise = read_str(from, UINT16_MAX)};
    s.required = rd_u32le(from) != 0;
    if (!s.key.n) rd_fail(from, "a secret without a name");
    return s;
}

static void read_api(arena *out, struct rd *from, struct app_rest *r, uint32_t layout) {
    READ_LIST(out, from, &r->schemas);
    READ_LIST(out, from, &r->search);
    r->before = read_plain(from, 2 * APP_FUNCTION_NAME_MAX);
    uint32_t flags = rd_u32le(from);
    if (flags > (layout < LAYOUT_ROOT ? 15u : 63u) || r->schemas.n > APP_REST_SCHEMAS_MAX || r->search.n > APP_REST_SCHEMAS_MAX)
        rd_fail(from, "nothing to be shown so");
    r->off = flags & 1, r->no_openapi = flags & 2, r->aggregates = flags & 4, r->plans = flags & 8;
    r->terse = flags & 16, r->timed = flags & 32;
    if (layout < LAYOUT_ROOT) return;
    r->root = read_plain(from, 2 * APP_FUNCTION_NAME_MAX);
    r->audience = read_plain(from, APP_AUDIENCE_MAX);
}

static uint32_t read_within(struct rd *from, uint32_t least, uint32_t most) {
    uint32_t n = rd_u32le(from);
    if (n - least > most - least) rd_fail(from, "a number out of range");
    return n;
}

static void read_mail(struct rd *from, struct app_mail *m) {
    m->host = read_plain(from, APP_HOST_MAX);
    m->user = read_plain(from, APP_MAIL_WORDS_MAX);
    m->secret = read_plain(from, APP_NAME_MAX);
    m->sender = read_plain(from, APP_MAIL_WORDS_MAX);
    m->from = read_plain(from, APP_MAIL_WORDS_MAX);
    uint32_t how = rd_u32le(from);
    m->port = how & UINT16_MAX;
    m->tls = (uint8_t)(how >> 16);
    if (how >> 16 >= APP_MAIL_TLS_KINDS || (m->host.n && (!m->port || !m->from.n))) rd_fail(from, "no relay");
}

static struct app_provider read_provider(arena *out, struct rd *from) {
    struct app_provider p = {0};
    str *const texts[] = {&p.name,  &p.secret,   &p.url,    &p.redirect, &p.issuer, &p.authorize,
                          &p.token, &p.userinfo, &p.scopes, &p.team,     &p.key};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) *texts[i] = read_plain(from, APP_URL_MAX);
    READ_LIST(out, from, &p.clients);
    uint32_t flags = rd_u32le(from);
    if (!p.name.n || p.name.n > APP_PROVIDER_NAME_MAX || p.clients.n > APP_PROVIDER_CLIENTS_MAX || flags > 3)
        rd_fail(from, "no provider of identities");
    p.skip_nonce = flags & 1, p.email_optional = flags >> 1;
    return p;
}

static str read_words(struct rd *from) {
    str s = read_str(from, APP_TEMPLATES_BYTES_MAX);
    if (!from->fail && !str_is_utf8(s)) rd_fail(from, "words that are no UTF-8");
    return s;
}

static struct app_template read_template(struct rd *from) {
    struct app_template t = {0};
    uint32_t kind = rd_u32le(from);
    t.kind = (uint8_t)kind;
    t.language = read_plain(from, APP_LANGUAGE_MAX);
    t.subject = read_plain(from, APP_MAIL_WORDS_MAX);
    t.html_path = read_plain(from, APP_PATH_MAX), t.text_path = read_plain(from, APP_PATH_MAX);
    t.html = read_words(from), t.text = read_words(from);
    if (kind >= APP_TEMPLATES) rd_fail(from, "words of no mail");
    return t;
}

static void read_sms(arena *out, struct rd *from, struct app_sms *s) {
    uint32_t provider = rd_u32le(from);
    s->provider = (uint8_t)provider;
    s->account = read_plain(from, APP_MAIL_WORDS_MAX);
    s->secret = read_plain(from, APP_NAME_MAX);
    s->from = read_plain(from, APP_MAIL_WORDS_MAX);
    s->url = read_plain(from, APP_URL_MAX);
    s->words = read_plain(from, APP_SMS_WORDS_MAX);
    for (uint32_t n = read_count(from, 8, APP_SMS_TESTS_MAX); n && !from->fail; n--) {
        struct app_test_code *t = vec_add(out, &s->tests);
        t->phone = read_plain(from, 15), t->code = read_plain(from, 10);
    }
    if (provider >= APP_SMS_PROVIDERS) rd_fail(from, "nobody who brings messages");
}

static void read_auth(arena *out, struct rd *from, struct app_auth *a) {
    uint32_t bit = 0, flags;
#define X(name, usual, least, most) a->name = read_within(from, least, most);
    APP_AUTH_NUMBERS(X)
#undef X
    flags = rd_u32le(from);
#define X(name, ...) a->name = flags >> bit++ & 1;
    APP_AUTH_FLAGS(X)
#undef X
    if (flags >> bit) rd_fail(from, "nothing that users may have");
    a->site_url = read_plain(from, APP_URL_MAX);
    READ_LIST(out, from, &a->redirects);
    a->leaked_url = read_plain(from, APP_URL_MAX);
    a->rp_id = read_plain(from, APP_URL_MAX), a->rp_name = read_plain(from, APP_URL_MAX);
    READ_LIST(out, from, &a->rp_origins);
    if (a->redirects.n > APP_AUTH_REDIRECTS_MAX || a->rp_origins.n > APP_AUTH_ORIGINS_MAX)
        rd_fail(from, "more than there may be");
    read_mail(from, &a->mail);
    for (uint32_t n = read_count(from, 13 * 4, APP_PROVIDERS_MAX); n && !from->fail; n--)
        vec_push(out, &a->providers, read_provider(out, from));
    read_sms(out, from, &a->sms);
    for (uint32_t n = read_count(from, 28, APP_TEMPLATES_OF_APP_MAX); n && !from->fail; n--)
        vec_push(out, &a->templates, read_template(from));
}

static void read_hooks(struct rd *from, struct app_hook *hooks) {
    for (uint32_t i = 0; i < APP_HOOKS && !from->fail; i++) {
        uint32_t to = rd_u32le(from);
        if (to >= APP_HOOK_TOS) rd_fail(from, "no hook");
        hooks[i].to = (uint8_t)to;
        hooks[i].at = read_plain(from, APP_URL_MAX);
        hooks[i].secret = read_plain(from, APP_FUNCTION_NAME_MAX);
        if (!from->fail && !hooks[i].to != !hooks[i].at.n) rd_fail(from, "a hook of nobody's, or of somebody nowhere");
    }
}

static void read_pages(struct rd *from, struct app_auth *a) {
    uint32_t flags = rd_u32le(from);
    if (flags & ~0xff07u || flags >> 8 >= APP_CAPTCHAS) rd_fail(from, "nothing that users may have");
    a->oauth.on = flags & 1, a->oauth.registers = flags & 2, a->pages.on = flags & 4, a->captcha.kind = (uint8_t)(flags >> 8);
    a->oauth.path = read_plain(from, APP_URL_MAX);
    a->captcha.secret = read_plain(from, APP_FUNCTION_NAME_MAX);
    a->captcha.url = read_plain(from, APP_URL_MAX);
    a->pages.name = read_plain(from, APP_FUNCTION_NAME_MAX);
    a->pages.logo = read_plain(from, APP_URL_MAX);
    a->pages.colour = read_plain(from, APP_NAME_MAX);
}

static void read_compress(arena *out, struct rd *from, struct app_record *r) {
    uint32_t flags = rd_u32le(from);
    if (flags > 1) rd_fail(from, "no compression");
    r->compress.off = flags;
    r->compress.bytes_min = rd_u32le(from);
    for (uint32_t n = read_count(from, 4, APP_COMPRESS_TYPES_MAX); n && !from->fail; n--)
        vec_push(out, &r->compress.types, read_plain(from, APP_NAME_MAX));
}

static void read_rest(arena *out, struct rd *from, struct app_record *r, uint32_t layout) {
    uint32_t functions = r->functions.n, files = r->files.n, redirects = r->redirects.n;
    r->functions.n = r->files.n = r->redirects.n = 0;
    uint64_t least = (uint64_t)functions * FUNCTION_BYTES_MIN + files * FILES_BYTES_MIN + redirects * REDIRECT_BYTES_MIN;
    if (!from->fail && least > rd_left(from)) rd_fail(from, "more than there may be");
    for (; functions && !from->fail; functions--) vec_push(out, &r->functions, read_function(out, from, layout));
    for (; files && !from->fail; files--) vec_push(out, &r->files, read_files(from));
    for (; redirects && !from->fail; redirects--) vec_push(out, &r->redirects, read_redirect(from));
    for (uint32_t n = read_count(from, SECRET_BYTES_MIN, APP_SECRETS_MAX); n && !from->fail; n--)
        vec_push(out, &r->secrets, read_secret(from));
    app_cors_read(out, from, &r->cors, layout < LAYOUT_RULES);
    app_limits_read(from, &r->limits);
    r->weight = rd_u32le(from);
    if (layout >= LAYOUT_DATABASE) r->database.secret = read_plain(from, APP_FUNCTION_NAME_MAX);
    if (!from->fail && (r->database.engine == APP_DATABASE_SERVER) != (r->database.secret.n > 0))
        rd_fail(from, "a server without a secret, or a secret of none");
    if (layout >= LAYOUT_REST) read_api(out, from, &r->rest, layout);
    if (layout >= LAYOUT_CALLS) r->made_ms = rd_u64le(from);
    app_auth_usual(&r->auth);
    if (layout >= LAYOUT_AUTH) read_auth(out, from, &r->auth), read_hooks(from, r->auth.hooks), read_pages(from, &r->auth);
    if (layout >= LAYOUT_RULES) app_rules_read(out, from, r), read_compress(out, from, r);
}

/* The first layout: one program, whose grants and limits were the app's. Its limits were all there, in this order. */
static void read_limits_first(struct rd *from, struct app_limits *limits) {
    static const enum app_setting_id ids[] = {
        APP_SETTING_handler_ms_max,     APP_SETTING_memory_bytes_max, APP_SETTING_app_memory_bytes_max,
        APP_SETTING_body_bytes_max,     APP_SETTING_instances_max,    APP_SETTING_instance_requests,
        APP_SETTING_instance_reuse_max, APP_SETTING_instance_idle_ms, APP_SETTING_instance_growth_max,
        APP_SETTING_host_bytes_max,     APP_SETTING_head_bytes_max,   APP_SETTING_handles_max,
        APP_SETTING_files_max,          APP_SETTING_outgoing_max,     APP_SETTING_outgoing_timeout_ms,
        APP_SETTING_sockets_max,        APP_SETTING_lookups_max,      APP_SETTING_cancel_ms,
    };
    *limits = (struct app_limits){0};
    for (size_t i = 0; i < ARRAY_COUNT(ids); i++) {
        uint64_t value = rd_u64le(from);
        if (!from->fail && value != app_settings[ids[i]].value && app_setting_check(ids[i], "", value, NULL) != ERR_OK)
            rd_fail(from, "a limit out of range");
        *app_limits_at(limits, ids[i]) = value;
    }
    app_limits_fill(limits);
}

static void read_rest_first(arena *out, struct rd *from, struct app_record *r) {
    struct app_grants grants;
    uint32_t functions = r->functions.n;
    r->functions.n = 0;
    if (!from->fail && functions > rd_left(from) / FUNCTION_BYTES_MIN) rd_fail(from, "more than there may be");
    for (; functions && !from->fail; functions--) {
        struct app_function f = {.name = read_str(from, APP_FUNCTION_NAME_MAX)};
        read_digest(from, f.digest);
        f.kind = rd_u32le(from);
        vec_push(out, &r->functions, f);
    }
    app_grants_read_first(out, from, &grants);
    read_limits_first(from, &r->limits);
    r->weight = rd_u32le(from);
    for (uint32_t i = 0; i < r->functions.n; i++) r->functions.p[i].grants = grants, r->functions.p[i].limits = r->limits;
}

void app_record_read(arena *out, struct rd *from, struct app_record *r) {
    uint32_t layout = read_routing(out, from, r);
    if (layout == LAYOUT_FIRST) read_rest_first(out, from, r);
    else read_rest(out, from, r, layout);
}

err app_record_decode(arena *out, str bytes, struct app_record *r, struct diag *d) {
    struct rd from = rd_of(bytes);
    app_record_read(out, &from, r);
    if (!from.fail && rd_left(&from)) rd_fail(&from, "bytes behind the record");
    return from.fail ? diag_set(d, ERR_MALFORMED, from.fail_at, "%s", from.fail) : ERR_OK;
}

/* Both of this layout: one of the first says it otherwise, and is not the same. */
bool app_record_same(str a, str b) {
    struct rd from = rd_of(a);
    (void)rd_bytes(&from, 20); /* layout, id, version, secrets' revision */
    (void)read_str(&from, APP_NAME_MAX);
    (void)rd_u32le(&from); /* default */
    size_t eager = a.n - rd_left(&from), rest = eager + 4;
    return !from.fail && a.n == b.n && a.n >= rest && str_eq(str_sub(a, 0, eager), str_sub(b, 0, eager)) &&
           str_eq(str_sub(a, rest, a.n), str_sub(b, rest, b.n));
}

bool app_record_for_supabase(const struct app_record *r) {
    if (r->database.engine != APP_DATABASE_NONE) return true;
    for (uint32_t i = 0; i < r->functions.n; i++)
        if (r->functions.p[i].supabase || r->functions.p[i].verify_jwt) return true;
    return false;
}

/* "My App.v2.wasm" → "my-app-v2" */
static str name_of_file(arena *out, str base) {
    if (str_ends(base, STR(".wasm"))) base.n -= 5;
    char *name = arena_cstr(out, str_sub(base, 0, APP_NAME_MAX));
    size_t n = 0;
    for (const char *c = name; *c; c++) {
        bool ok = (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9'), upper = *c >= 'A' && *c <= 'Z';
        char to = ok ? *c : upper ? (char)(*c + 32) : '-';
        if (to != '-' || (n && name[n - 1] != '-')) name[n++] = to;
    }
    while (n && name[n - 1] == '-') n--;
    return n ? (str){(uint8_t *)name, n} : STR("app");
}

void app_record_of_file(arena *out, str file, const struct app_grants *grants, const struct app_limits *limits,
                        struct app_record *r) {
    size_t slash = file.n;
    while (slash && file.p[slash - 1] != '/') slash--;
    str base = str_sub(file, slash, APP_FUNCTION_NAME_MAX);
    *r = (struct app_record){
        .id = 1, .version = 1, .name = name_of_file(out, base), .is_default = true, .eager = true, .weight = 1};
    vec_push(out, &r->routes, ((struct app_route){.path = STR("/")}));
    r->limits = *limits;
    app_limits_fill(&r->limits);
    vec_push(out, &r->functions, ((struct app_function){.name = arena_str(out, base), .grants = *grants, .limits = r->limits}));
}

uint32_t app_record_function(const struct app_record *r, str name) {
    for (uint32_t i = 0; i < r->functions.n; i++)
        if (str_eq(r->functions.p[i].name, name)) return i;
    return UINT32_MAX;
}

/* ---- names ---- */

err app_name_check(str name, struct diag *d) {
    bool ok = name.n && name.n <= APP_NAME_MAX && name.p[0] != '-' && name.p[name.n - 1] != '-';
    for (size_t i = 0; ok && i < name.n; i++)
        ok = (name.p[i] >= 'a' && name.p[i] <= 'z') || (name.p[i] >= '0' && name.p[i] <= '9') || name.p[i] == '-';
    if (ok) return ERR_OK;
    return diag_set(d, ERR_USAGE, DIAG_NOWHERE,
                    "an app's name has up to %d letters a-z, digits and inner hyphens, for it is part of a host: not '" STR_FMT
                    "'",
                    APP_NAME_MAX, STR_ARG(str_sub(name, 0, 100)));
}

/* "[::1]:80" → "[::1]" */
static bool address_normal(str authority, char *to, size_t *n) {
    size_t close = str_find(authority, ']');
    struct net_addr a;
    char text[NET_ADDR_TEXT_MAX];
    if (close == authority.n || (close + 1 < authority.n && authority.p[close + 1] != ':')) return false;
    if (!net_addr_parse(str_sub(authority, 1, close - 1), &a) || !a.v6) return false;
    *n = (size_t)snprintf(to, APP_HOST_MAX + 3, "[%s]", net_addr_text(&a, false, text));
    return true;
}

bool app_host_normal(str authority, char *to, size_t *n) {
    if (authority.n && authority.p[0] == '[') return address_normal(authority, to, n);
    size_t end = str_find(authority, ':');
    if (end && authority.p[end - 1] == '.') end--;
    if (!end || end > APP_HOST_MAX || authority.p[end - 1] == '.' || authority.p[0] == '.') return false;
    for (size_t i = 0; i < end; i++) {
        uint8_t c = authority.p[i];
        bool upper = c >= 'A' && c <= 'Z';
        if (!upper && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '.' && c != '_') return false;
        to[i] = (char)(upper ? c + 32 : c);
    }
    *n = end;
    return true;
}

err app_host_parse(arena *out, str arg, str *host, struct diag *d) {
    bool below = str_starts(arg, STR("*."));
    str rest = below ? str_sub(arg, 2, arg.n) : arg, ascii;
    char normal[APP_HOST_MAX + 3];
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
    if ((below && address) || !app_host_normal(address ? rest : ascii, normal, &n))
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--host '" STR_FMT "' is no host: it takes a name, *.NAME or an address",
                        STR_ARG(arg));
    *host = arena_fmt(out, "%s%.*s", below ? "*." : "", (int)n, normal);
    return ERR_OK;
}

err app_route_parse(arena *out, str arg, struct app_route *route, struct diag *d) {
    bool exact = arg.n && arg.p[0] == '=';
    str path = exact ? str_sub(arg, 1, arg.n) : arg;
    if (!path.n || path.p[0] != '/')
        return app_flag_refuse(d, "route", arg, "a path begins with a slash",
                               arena_fmt(out, "%s/" STR_FMT, exact ? "=" : "", STR_ARG(path)));
    if (!path_ok(path))
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE,
                        "--route '" STR_FMT
                        "': a path has up to %d bytes, as they stand in a URL, without ? and #; :NAME is any one segment",
                        STR_ARG(str_sub(arg, 0, 200)), APP_ROUTE_BYTES_MAX);
    size_t star = str_ends(path, STR("/*")) ? 2 : str_ends(path, STR("/...")) ? 4 : 0;
    if (star)
        return app_flag_refuse(d, "route", arg, "a path is answered with all below it",
                               arena_fmt(out, STR_FMT, STR_ARG(str_sub(path, 0, MAX(path.n - star, (size_t)1)))));
    while (!exact && path.n > 1 && path.p[path.n - 1] == '/') path.n--;
    *route = (struct app_route){.path = arena_str(out, path), .exact = exact};
    return ERR_OK;
}
