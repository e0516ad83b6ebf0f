/* config: a node's configuration, from its file, and as bytes. */
#include "manifest/manifest_int.h"

enum { PPM = 1'000'000 };

void manifest_config_init(struct manifest_config *c) {
    *c = (struct manifest_config){.access_log = MANIFEST_UNSAID,
                                  .log_json = MANIFEST_UNSAID,
                                  .log_level = MANIFEST_UNSAID,
                                  .logs_stderr = MANIFEST_UNSAID,
                                  .otlp = {.sample_ppm = PPM / 100}};
}

/* ---- the table ---- */

static uint64_t *config_setting(void *to, enum app_setting_id id) { return &((struct manifest_config *)to)->settings[id]; }
static uint64_t *limits_setting(void *to, enum app_setting_id id) { return app_limits_at(to, id); }

#define SHAPE(name, ...)
#define KEY(...) MANIFEST_READER(__VA_ARGS__)
#define END
#include "manifest/config.def"
#undef SHAPE
#undef KEY

#define SHAPE(name, ...) static const struct manifest_key name##_keys[] = {
#define KEY(...) MANIFEST_ROW(__VA_ARGS__)
#undef END
#define END                                                                                                                      \
    { 0 }                                                                                                                        \
    }                                                                                                                            \
    ;
#include "manifest/config.def"
#undef SHAPE
#undef KEY
#undef END

static const struct manifest_shape shapes[] = {
#define SHAPE(name, settings, setting, help) {#name, help, name##_keys, ARRAY_COUNT(name##_keys) - 1, settings, setting},
#define KEY(...)
#define END
#include "manifest/config.def"
#undef SHAPE
#undef KEY
#undef END
};
const struct manifest_shapes manifest_config_shapes = {"Orlo node configuration", shapes, ARRAY_COUNT(shapes)};

enum {
#define SHAPE(name, ...) SHAPE_##name,
#define KEY(...)
#define END
#include "manifest/config.def"
#undef SHAPE
#undef KEY
#undef END
};

static void read_shape(struct reader *r, const struct toml *v, int shape, void *to) { manifest_table(r, v, &shapes[shape], to); }

/* ---- the file itself ---- */

static void put_address(struct reader *r, const struct toml *v, str *to) {
    str host, port, rest = v->s;
    uint16_t number;
    bool ok = rest.n && rest.n <= APP_HOST_MAX + 8 && !memchr(rest.p, '/', rest.n);
    bool alone = ok && app_parse_port(rest, true, &number);
    ok = ok && (alone || (app_cut_host_port(rest, &host, &port) && (!port.n || app_parse_port(port, true, &number))));
    if (ok) *to = rest;
    else
        manifest_error(r, v, "it takes HOST:PORT or :PORT, such as 127.0.0.1:8080, not \"" STR_FMT "\"",
                       STR_ARG(str_sub(rest, 0, 200)));
}

static void one_listen(struct reader *r, void *to, const struct toml *v) {
    struct manifest_config *c = to;
    struct manifest_listen l = {0};
    uint32_t before = r->to->errors;
    if (v->type == TOML_STRING) put_address(r, v, &l.address);
    else if (v->type == TOML_TABLE) read_shape(r, v, SHAPE_listen, &l);
    else manifest_error(r, v, "it takes a string, or a table with an address");
    if (before != r->to->errors) return;
    if (!l.address.n) manifest_error(r, v, "it lacks an address");
    else vec_push(r->mem, &c->listen, l);
}
static void config_listen(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, MANIFEST_LISTEN_MAX, one_listen, to);
}
static void listen_address(struct reader *r, void *to, const struct toml *v) {
    put_address(r, v, &((struct manifest_listen *)to)->address);
}
static void listen_proxy_protocol(struct reader *r, void *to, const struct toml *v) {
    ((struct manifest_listen *)to)->proxy_protocol = v->i;
}
static void listen_tls(struct reader *r, void *to, const struct toml *v) { ((struct manifest_listen *)to)->tls = v->i; }
static void config_admin(struct reader *r, void *to, const struct toml *v) {
    put_address(r, v, &((struct manifest_config *)to)->admin);
}

static void config_domain(struct reader *r, void *to, const struct toml *v) {
    struct diag d = DIAG_INIT;
    str host;
    if (str_starts(v->s, STR("*.")) || str_starts(v->s, STR("["))) manifest_error(r, v, "it takes a name, such as example.org");
    else if (app_host_parse(r->mem, v->s, &host, &d) != ERR_OK) manifest_error_of(r, v, &d);
    else ((struct manifest_config *)to)->domain = host;
}

/* "https://HOST[:PORT]", without a path. */
static bool is_origin(str url) {
    str rest = str_starts(url, STR("https://"))  ? str_sub(url, 8, url.n)
               : str_starts(url, STR("http://")) ? str_sub(url, 7, url.n)
                                                 : (str){0};
    str host, port;
    uint16_t number;
    char normal[APP_HOST_MAX + 3];
    size_t n;
    return rest.n && app_cut_host_port(rest, &host, &port) && (!port.n || app_parse_port(port, false, &number)) &&
           app_host_normal(rest, normal, &n);
}

static void config_url(struct reader *r, void *to, const struct toml *v) {
    str url = v->s;
    if (url.n && url.p[url.n - 1] == '/') url.n--;
    if (is_origin(url)) ((struct manifest_config *)to)->url = url;
    else manifest_error(r, v, "it takes http://HOST[:PORT] or https://HOST[:PORT], without a path");
}

static void config_state(struct reader *r, void *to, const struct toml *v) { ((struct manifest_config *)to)->state = v->s; }
static void config_key_file(struct reader *r, void *to, const struct toml *v) { ((struct manifest_config *)to)->key_file = v->s; }

static void one_proxy(struct reader *r, void *to, const struct toml *v) {
    struct manifest_prefix p;
    str address, bits;
    uint64_t n = 0;
    bool prefix = str_cut(v->s, '/', &address, &bits), ok = net_addr_parse(address, &p.prefix);
    uint64_t most = ok && p.prefix.v6 ? 128 : 32;
    if (ok && prefix) ok = str_to_u64(bits, &n) && n <= most;
    p.bits = (uint8_t)(prefix ? n : most);
    if (ok) vec_push(r->mem, &((struct manifest_config *)to)->trusted_proxies, p);
    else
        manifest_error(r, v, "it takes addresses and prefixes, such as 10.0.0.0/8, not \"" STR_FMT "\"",
                       STR_ARG(str_sub(v->s, 0, 100)));
}
static void config_trusted_proxies(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, MANIFEST_PROXIES_MAX, one_proxy, to);
}

/* ---- what it logs ---- */

/* Which of some words; -1, and an error: none. */
static int word(struct reader *r, const struct toml *v, const char *const *words, int count) {
    struct buf b = {0};
    for (int i = 0; i < count; i++) {
        if (str_eqc(v->s, words[i])) {
            buf_free(&b);
            return i;
        }
        buf_printf(&b, "%s%s", i == 0 ? "" : i + 1 == count ? " or " : ", ", words[i]);
    }
    manifest_error(r, v, "it takes " STR_FMT ", not \"" STR_FMT "\"", STR_ARG(buf_str(&b)), STR_ARG(str_sub(v->s, 0, 100)));
    buf_free(&b);
    return MANIFEST_UNSAID;
}

static void config_access_log(struct reader *r, void *to, const struct toml *v) {
    ((struct manifest_config *)to)->access_log = (int)v->i;
}
static void config_log_format(struct reader *r, void *to, const struct toml *v) {
    static const char *const words[] = {"text", "json"};
    ((struct manifest_config *)to)->log_json = word(r, v, words, 2);
}
static void config_log_level(struct reader *r, void *to, const struct toml *v) {
    static const char *const words[] = {"debug", "info", "warn", "error"};
    ((struct manifest_config *)to)->log_level = word(r, v, words, 4);
}

static void config_logs(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_logs, to); }
static void logs_stderr(struct reader *r, void *to, const struct toml *v) {
    ((struct manifest_config *)to)->logs_stderr = (int)v->i;
}

static void config_otlp(struct reader *r, void *to, const struct toml *v) {
    struct manifest_otlp *o = &((struct manifest_config *)to)->otlp;
    read_shape(r, v, SHAPE_otlp, o);
    if (!manifest_toml_get(v, "endpoint")) manifest_error(r, v, "it lacks an endpoint");
}
static void otlp_endpoint(struct reader *r, void *to, const struct toml *v) {
    str url = v->s, path = url;
    for (int slashes = 0; path.n && slashes < 3; path = str_sub(path, 1, path.n)) slashes += path.p[0] == '/';
    bool ok = is_origin(str_sub(url, 0, url.n - path.n - (path.p > url.p && path.p[-1] == '/')));
    for (size_t i = 0; ok && i < path.n; i++) ok = path.p[i] > ' ' && path.p[i] < 0x7f && path.p[i] != '?' && path.p[i] != '#';
    if (ok) ((struct manifest_otlp *)to)->endpoint = url;
    else manifest_error(r, v, "it takes http://HOST[:PORT] or https://HOST[:PORT], and a path if there is one");
}
static void one_header(struct reader *r, void *to, const struct toml *v) {
    struct manifest_otlp *o = to;
    bool ok = v->key.n && v->s.n;
    for (size_t i = 0; ok && i < v->key.n; i++) ok = v->key.p[i] > ' ' && v->key.p[i] < 0x7f && v->key.p[i] != ':';
    for (size_t i = 0; ok && i < v->s.n; i++) ok = v->s.p[i] >= ' ' && v->s.p[i] != 0x7f;
    if (ok) vec_push(r->mem, &o->headers, ((struct app_env){v->key, v->s}));
    else manifest_error(r, v, "no header field has that form");
}
static void otlp_headers(struct reader *r, void *to, const struct toml *v) { manifest_each(r, v, 32, one_header, to); }
static void otlp_sample(struct reader *r, void *to, const struct toml *v) {
    double part = v->type == TOML_FLOAT ? v->f : (double)v->i;
    ((struct manifest_otlp *)to)->sample_ppm = (uint32_t)(part * PPM + 0.5);
}
static void otlp_format(struct reader *r, void *to, const struct toml *v) {
    static const char *const words[] = {"protobuf", "json"};
    ((struct manifest_otlp *)to)->json = word(r, v, words, 2) == 1;
}

static void config_tls(struct reader *r, void *to, const struct toml *v) {
    read_shape(r, v, SHAPE_tls, &((struct manifest_config *)to)->tls);
}
static void one_certificate(struct reader *r, void *to, const struct toml *v) {
    struct manifest_certificate c = {0};
    if (!manifest_is(r, v, MANIFEST_TABLE)) return;
    read_shape(r, v, SHAPE_certificate, &c);
    if (!c.cert.n || !c.key.n) manifest_error(r, v, "it takes two files, cert and key");
    else vec_push(r->mem, &((struct manifest_tls *)to)->certificates, c);
}
static void tls_certificates(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, MANIFEST_CERTIFICATES_MAX, one_certificate, to);
}
static void tls_min_version(struct reader *r, void *to, const struct toml *v) {
    static const char *const words[] = {"1.2", "1.3"};
    ((struct manifest_tls *)to)->tls13_alone = word(r, v, words, 2) == 1;
}
static void file_name(struct reader *r, const struct toml *v, str *to) {
    if (v->s.n && v->s.n <= APP_PATH_MAX && !memchr(v->s.p, 0, v->s.n)) *to = v->s;
    else manifest_error(r, v, "it takes the name of a file");
}
static void tls_client_ca(struct reader *r, void *to, const struct toml *v) {
    file_name(r, v, &((struct manifest_tls *)to)->client_ca);
}
static void certificate_cert(struct reader *r, void *to, const struct toml *v) {
    file_name(r, v, &((struct manifest_certificate *)to)->cert);
}
static void certificate_key(struct reader *r, void *to, const struct toml *v) {
    file_name(r, v, &((struct manifest_certificate *)to)->key);
}

static void certificate_ocsp(struct reader *r, void *to, const struct toml *v) {
    file_name(r, v, &((struct manifest_certificate *)to)->ocsp);
}

static void config_mail(struct reader *r, void *to, const struct toml *v) {
    struct manifest_mail *m = &((struct manifest_config *)to)->mail;
    read_shape(r, v, SHAPE_mail, m);
    if (!m->relay.host.n) manifest_error(r, v, "it lacks a host");
    else manifest_mail_finish(r, v, &m->relay, "from");
    if (!m->per_app_hour) m->per_app_hour = 100;
}
static struct app_mail *relay_of(void *to) { return &((struct manifest_mail *)to)->relay; }
static void mail_host(struct reader *r, void *to, const struct toml *v) { manifest_mail_host(r, v, relay_of(to)); }
static void mail_port(struct reader *r, void *to, const struct toml *v) { manifest_mail_port(r, v, relay_of(to)); }
static void mail_tls(struct reader *r, void *to, const struct toml *v) { manifest_mail_tls(r, v, relay_of(to)); }
static void mail_user(struct reader *r, void *to, const struct toml *v) { manifest_mail_words(r, v, &relay_of(to)->user); }
static void mail_password(struct reader *r, void *to, const struct toml *v) { manifest_mail_words(r, v, &relay_of(to)->secret); }
static void mail_from(struct reader *r, void *to, const struct toml *v) { manifest_mail_address(r, v, &relay_of(to)->from); }
static void mail_per_app_hour(struct reader *r, void *to, const struct toml *v) {
    if (v->i < 1 || v->i > 1'000'000) manifest_error(r, v, "it takes a number from 1 to 1000000");
    else ((struct manifest_mail *)to)->per_app_hour = (uint32_t)v->i;
}

/* ---- certificates from an authority ---- */

static void config_acme(struct reader *r, void *to, const struct toml *v) {
    struct manifest_acme *a = &((struct manifest_config *)to)->acme;
    uint32_t before = r->to->errors;
    read_shape(r, v, SHAPE_acme, a);
    if (before != r->to->errors) return;
    if (!a->directories.n) manifest_error(r, v, "it lacks a directory");
    else if (!a->terms)
        manifest_error(r, v, "it lacks terms_agreed = true: an authority gives nothing to who has not agreed to its terms");
    else if (a->eab_kid.n && !a->eab_key.n) manifest_error(r, v, "it has eab_kid, and lacks eab_hmac_key");
    else if (!a->eab_kid.n && a->eab_key.n) manifest_error(r, v, "it has eab_hmac_key, and lacks eab_kid");
}
static void one_directory(struct reader *r, void *to, const struct toml *v) {
    str rest = str_starts(v->s, STR("https://")) ? str_sub(v->s, 8, v->s.n) : (str){0};
    size_t slash = str_find(rest, '/');
    bool ok = slash > 0 && slash < rest.n && v->s.n <= 1024 && is_origin(str_sub(v->s, 0, 8 + slash));
    for (size_t i = slash; ok && i < rest.n; i++) ok = rest.p[i] > ' ' && rest.p[i] < 0x7f && !strchr("#\\\"<>^`{|}", rest.p[i]);
    if (ok) vec_push(r->mem, &((struct manifest_acme *)to)->directories, v->s);
    else manifest_error(r, v, "it takes the address of an authority's directory: https://HOST[:PORT]/PATH");
}
static void acme_directory(struct reader *r, void *to, const struct toml *v) {
    if (v->type == TOML_STRING) one_directory(r, to, v);
    else manifest_each(r, v, MANIFEST_AUTHORITIES_MAX, one_directory, to);
}
static void acme_email(struct reader *r, void *to, const struct toml *v) {
    bool ok = v->s.n <= 254 && str_find(v->s, '@') > 0 && str_find(v->s, '@') + 1 < v->s.n;
    for (size_t i = 0; ok && i < v->s.n; i++) ok = v->s.p[i] > ' ' && v->s.p[i] < 0x7f && !strchr("?,;<>\"", v->s.p[i]);
    if (ok) ((struct manifest_acme *)to)->email = v->s;
    else manifest_error(r, v, "it takes one address, such as you@example.org");
}
static void acme_terms_agreed(struct reader *r, void *to, const struct toml *v) { ((struct manifest_acme *)to)->terms = v->i; }
static void one_acme_host(struct reader *r, void *to, const struct toml *v) {
    struct diag d = DIAG_INIT;
    str host, name = v->s;
    if (str_eqc(name, "*")) vec_push(r->mem, &((struct manifest_acme *)to)->hosts, name);
    else if (app_host_parse(r->mem, name, &host, &d) != ERR_OK) manifest_error_of(r, v, &d);
    else vec_push(r->mem, &((struct manifest_acme *)to)->hosts, host);
}
static void acme_hosts(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, MANIFEST_ACME_HOSTS_MAX, one_acme_host, to);
}
static void acme_challenge(struct reader *r, void *to, const struct toml *v) {
    static const char *const words[] = {"any", "http-01", "tls-alpn-01"};
    int which = word(r, v, words, MANIFEST_ACME_CHALLENGES);
    if (which >= 0) ((struct manifest_acme *)to)->challenge = (uint32_t)which;
}
static void acme_ca_file(struct reader *r, void *to, const struct toml *v) {
    if (v->s.n && v->s.p[0] == '/' && v->s.n < 4096) ((struct manifest_acme *)to)->ca_file = v->s;
    else manifest_error(r, v, "it takes an absolute path");
}
static void acme_eab_kid(struct reader *r, void *to, const struct toml *v) {
    if (v->s.n && v->s.n <= 255) ((struct manifest_acme *)to)->eab_kid = v->s;
    else manifest_error(r, v, "it takes 1 to 255 bytes");
}
static void acme_eab_hmac_key(struct reader *r, void *to, const struct toml *v) {
    bool ok = v->s.n >= 16 && v->s.n <= 1024;
    for (size_t i = 0; ok && i < v->s.n; i++) ok = v->s.p[i] > ' ' && v->s.p[i] < 0x7f && !strchr("+/=", v->s.p[i]);
    if (ok) ((struct manifest_acme *)to)->eab_key = v->s;
    else manifest_error(r, v, "it takes a key as base64url, as the authority shows it");
}

/* ---- what apps may ---- */

static void config_defaults(struct reader *r, void *to, const struct toml *v) {
    read_shape(r, v, SHAPE_limits, &((struct manifest_config *)to)->defaults);
}
static void config_max(struct reader *r, void *to, const struct toml *v) {
    read_shape(r, v, SHAPE_limits, &((struct manifest_config *)to)->max);
}
static void config_allow(struct reader *r, void *to, const struct toml *v) {
    read_shape(r, v, SHAPE_allow, &((struct manifest_config *)to)->allow);
}

/* One item of a list of grants, read as a flag's argument. */
static void one_rule(struct reader *r, const struct toml *v, bool http, struct manifest_allow *to) {
    struct app_grants g = {0};
    struct diag d = DIAG_INIT;
    err e = http ? app_grant_http(r->mem, &g, v->s, &d) : app_grant_net(r->mem, &g, v->s, &d);
    if (e != ERR_OK) manifest_error_of(r, v, &d);
    else if (http) vec_push(r->mem, &to->http, g.allow_http.p[0]);
    else vec_push(r->mem, &to->net, g.net.p[0]);
}
static void one_http(struct reader *r, void *to, const struct toml *v) { one_rule(r, v, true, to); }
static void one_net(struct reader *r, void *to, const struct toml *v) { one_rule(r, v, false, to); }
static void allow_http(struct reader *r, void *to, const struct toml *v) {
    ((struct manifest_allow *)to)->http_said = true;
    manifest_each(r, v, APP_NAMES_MAX, one_http, to);
}
static void allow_net(struct reader *r, void *to, const struct toml *v) {
    ((struct manifest_allow *)to)->net_said = true;
    manifest_each(r, v, APP_NAMES_MAX, one_net, to);
}

/* An absolute path without "." and "..", for it is compared by its bytes. */
static bool is_place(str path) {
    str part, rest = path;
    bool ok = path.n && path.n <= APP_PATH_MAX && path.p[0] == '/';
    while (ok && rest.n) {
        str_cut(rest, '/', &part, &rest);
        ok = !str_eqc(part, ".") && !str_eqc(part, "..");
    }
    return ok;
}

static void one_folder(struct reader *r, void *to, const struct toml *v) {
    struct manifest_folder f = {v->s, str_ends(v->s, STR(":ro"))};
    if (f.read_only) f.path.n -= 3;
    while (f.path.n > 1 && f.path.p[f.path.n - 1] == '/') f.path.n--;
    if (is_place(f.path)) vec_push(r->mem, &((struct manifest_allow *)to)->dirs, f);
    else
        manifest_error(r, v, "it takes absolute paths, \"/srv/data\" or \"/srv/data:ro\", not \"" STR_FMT "\"",
                       STR_ARG(str_sub(v->s, 0, 200)));
}
static void allow_dirs(struct reader *r, void *to, const struct toml *v) {
    ((struct manifest_allow *)to)->dirs_said = true;
    manifest_each(r, v, APP_NAMES_MAX, one_folder, to);
}

/* ---- cordons ---- */

static void one_cordon(struct reader *r, void *to, const struct toml *v) {
    struct manifest_cordon c = {.name = v->key, .workers = 1};
    struct diag d = DIAG_INIT;
    if (!manifest_is(r, v, MANIFEST_TABLE)) return;
    if (app_name_check(v->key, &d) != ERR_OK) manifest_error(r, v, "a cordon's name has letters a-z, digits and inner hyphens");
    read_shape(r, v, SHAPE_cordon, &c);
    vec_push(r->mem, &((struct manifest_config *)to)->cordons, c);
}

/* No app is in two of them. */
static void config_cordons(struct reader *r, void *to, const struct toml *v) {
    struct manifest_config *c = to;
    struct map seen = {0};
    manifest_each(r, v, MANIFEST_CORDONS_MAX, one_cordon, to);
    for (uint32_t i = 0; i < c->cordons.n; i++)
        for (uint32_t k = 0; k < c->cordons.p[i].apps.n; k++)
            if (!map_put(r->mem, &seen, c->cordons.p[i].apps.p[k], i))
                manifest_error(r, v, "the app " STR_FMT " stands there twice", STR_ARG(c->cordons.p[i].apps.p[k]));
}
static void one_app(struct reader *r, void *to, const struct toml *v) {
    str name = v->s;
    bool all = name.n && name.p[name.n - 1] == '*';
    if (all) name.n--;
    if (all && name.n && name.p[name.n - 1] == '-') name.n--; /* "team-*" */
    if ((all && !name.n) || app_name_check(name, NULL) == ERR_OK) vec_push(r->mem, &((struct manifest_cordon *)to)->apps, v->s);
    else
        manifest_error(r, v, "it takes names of apps, or PART* for all that begin so, not \"" STR_FMT "\"",
                       STR_ARG(str_sub(v->s, 0, 100)));
}
static void cordon_apps(struct reader *r, void *to, const struct toml *v) { manifest_each(r, v, APP_HOSTS_MAX, one_app, to); }
static void cordon_workers(struct reader *r, void *to, const struct toml *v) {
    if (v->i < 1 || v->i > 256) manifest_error(r, v, "it takes a number from 1 to 256");
    else ((struct manifest_cordon *)to)->workers = (uint32_t)v->i;
}
/* An operator who asks for this wall is not to believe that it stands. */
static void cordon_data(struct reader *r, void *to, const struct toml *v) {
    if (!is_place(v->s)) manifest_error(r, v, "it takes an absolute path");
    else
        manifest_error(r, v,
                       "no cordon has a folder of its own yet: what apps keep lies in the node's state folder; leave it out");
}

void manifest_read_config(struct reader *r, const struct toml *root) {
    r->to->config = arena_make(r->mem, struct manifest_config);
    manifest_config_init(r->to->config);
    read_shape(r, root, SHAPE_config, r->to->config);
}
