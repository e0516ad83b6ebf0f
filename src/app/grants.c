/* grants: what the command line or a manifest grants, from text, and as bytes. Every error says what was expected. */
#include "app/grants.h"
#include <limits.h>
#include <stdlib.h>

err app_grant_env(arena *out, struct app_grants *g, str arg, struct diag *d) {
    str key, value;
    if (!str_cut(arg, '=', &key, &value)) {
        const char *own = getenv(arena_cstr(out, arg));
        if (!own)
            return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE,
                            "--env '" STR_FMT "': it is not set here; write --env " STR_FMT "=VALUE", STR_ARG(arg), STR_ARG(arg));
        key = arg;
        value = str_c(own);
    }
    if (!key.n) return app_flag_refuse(d, "env", arg, "the name is missing", arena_fmt(out, "NAME" STR_FMT, STR_ARG(arg)));
    struct app_env env = {arena_str(out, key), arena_str(out, value)};
    for (uint32_t i = 0; i < g->env.n; i++)
        if (str_eq(g->env.p[i].key, key)) { /* the later one holds */
            g->env.p[i] = env;
            return ERR_OK;
        }
    vec_push(out, &g->env, env);
    return ERR_OK;
}

/* ---- stores, databases, variables ---- */

enum { LABEL_BYTES_MAX = 63 };
static bool label_ok(str s) {
    bool ok = s.n && s.n <= LABEL_BYTES_MAX;
    for (size_t i = 0; ok && i < s.n; i++) {
        uint8_t c = s.p[i] | 32;
        ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || s.p[i] == '_' || s.p[i] == '-' || s.p[i] == '.';
    }
    return ok;
}

static err refuse_label(struct diag *d, const char *flag, str arg) {
    return app_flag_refuse(d, flag, arg, "a label has up to 63 letters, digits, _, - and .", STR("default"));
}

err app_grant_store(arena *out, struct app_grants *g, str arg, struct diag *d) {
    if (!label_ok(arg)) return refuse_label(d, "store", arg);
    str label = arena_str(out, arg);
    vec_push(out, &g->stores, ((struct app_store){label, label}));
    return ERR_OK;
}

err app_grant_sqlite(arena *out, struct app_grants *g, str arg, struct diag *d) {
    if (!label_ok(arg)) return refuse_label(d, "sqlite", arg);
    str label = arena_str(out, arg);
    vec_push(out, &g->sqlite, ((struct app_store){label, label}));
    return ERR_OK;
}

err app_grant_variable(arena *out, struct app_grants *g, str arg, struct diag *d) {
    str name, value;
    if (!str_cut(arg, '=', &name, &value) || !label_ok(name))
        return app_flag_refuse(d, "variable", arg, "it is a name and a value", STR("greeting=hello"));
    struct app_variable v = {arena_str(out, name), arena_str(out, value), false};
    vec_push(out, &g->variables, v);
    return ERR_OK;
}

/* At the first "::"; false when there is none. */
static bool cut_double_colon(str s, str *before, str *after) {
    for (size_t i = 0; i + 1 < s.n; i++)
        if (s.p[i] == ':' && s.p[i + 1] == ':') {
            *before = str_sub(s, 0, i);
            *after = str_sub(s, i + 2, s.n);
            return true;
        }
    *before = s;
    *after = (str){0};
    return false;
}

/* What the guest may see a folder as: an absolute path, or "." where the two are the same. */
static str absolute(arena *out, str path) {
    for (size_t dots = 1; dots;) {
        dots = str_starts(path, STR("../")) ? 3 : str_starts(path, STR("./")) ? 2 : 0;
        path = str_sub(path, dots, path.n);
    }
    if (str_eqc(path, ".") || str_eqc(path, "..") || !path.n) return STR("/");
    return path.p[0] == '/' ? path : arena_fmt(out, "/" STR_FMT, STR_ARG(path));
}

/* A value that is almost right, as it was meant: "HOST::GUEST[:ro]". */
static err refuse_dir(arena *out, str arg, str host, str guest, bool read_only, const char *why, struct diag *d) {
    guest = absolute(out, guest);
    return app_flag_refuse(d, "dir", arg, why,
                           arena_fmt(out, STR_FMT "::" STR_FMT "%s", STR_ARG(host), STR_ARG(guest), read_only ? ":ro" : ""));
}

err app_grant_dir(arena *out, struct app_grants *g, str arg, struct diag *d) {
    struct app_dir dir = {.fd = -1};
    str rest = arg, host, guest;
    bool says_rw = str_ends(arg, STR(":rw"));
    dir.read_only = str_ends(arg, STR(":ro"));
    if (dir.read_only || says_rw) rest = str_sub(rest, 0, rest.n - 3);
    bool two = cut_double_colon(rest, &host, &guest), one = !two && str_cut(rest, ':', &host, &guest) && guest.n;
    if (memchr(arg.p, 0, arg.n)) return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--dir: a path with a NUL byte");
    if (!host.n || (two && !guest.n))
        return refuse_dir(out, arg, host.n ? host : STR("./data"), guest.n ? guest : host, dir.read_only,
                          "it takes HOST::GUEST, a folder here and the path that the guest sees", d);
    if (one)
        return refuse_dir(out, arg, host, guest, dir.read_only, "two colons stand between the folder and the guest's path", d);
    if (!two) guest = host;
    if (says_rw) return refuse_dir(out, arg, host, guest, false, "a folder may be written to unless :ro says otherwise", d);
    if (guest.p[0] != '/' && !str_eqc(guest, "."))
        return refuse_dir(out, arg, host, guest, dir.read_only, "the path that the guest sees begins with a slash", d);
    while (guest.n > 1 && guest.p[guest.n - 1] == '/') guest.n--;
    if (g->dirs.n == APP_DIRS_MAX)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--dir: at most %d folders can be granted", APP_DIRS_MAX);
    for (uint32_t i = 0; i < g->dirs.n; i++)
        if (str_eq(g->dirs.p[i].guest, guest))
            return refuse_dir(out, arg, host, arena_fmt(out, STR_FMT "2", STR_ARG(guest)), dir.read_only,
                              "another folder has that name for the guest", d);
    dir.host = arena_str(out, host);
    dir.guest = arena_str(out, guest);
    vec_push(out, &g->dirs, dir);
    return ERR_OK;
}

bool app_cut_host_port(str arg, str *host, str *port) {
    *port = (str){0};
    if (arg.n && arg.p[0] == '[') {
        size_t close = str_find(arg, ']');
        if (close == arg.n) return false;
        *host = str_sub(arg, 1, close - 1);
        str rest = str_sub(arg, close + 1, arg.n);
        if (!rest.n) return true;
        *port = str_sub(rest, 1, rest.n);
        return rest.p[0] == ':' && port->n;
    }
    size_t colon = str_find(arg, ':');
    str after = str_sub(arg, colon + 1, arg.n);
    if (colon == arg.n || str_find(after, ':') != after.n) { /* none, or several: an IPv6 address */
        *host = arg;
        return true;
    }
    *host = str_sub(arg, 0, colon);
    *port = after;
    return port->n > 0;
}

bool app_parse_port(str s, bool zero_ok, uint16_t *out) {
    uint64_t v;
    if (!str_to_u64(s, &v) || v > 65535 || (!v && !zero_ok)) return false;
    *out = (uint16_t)v;
    return true;
}

err app_flag_refuse(struct diag *d, const char *flag, str arg, const char *why, str better) {
    return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--%s '" STR_FMT "': %s; write --%s " STR_FMT, flag, STR_ARG(arg), why, flag,
                    STR_ARG(better));
}

str app_port_meant(str digits) {
    uint64_t v;
    while (digits.n && (!str_to_u64(digits, &v) || v > UINT16_MAX)) digits.n--;
    return digits.n && str_to_u64(digits, &v) && v ? digits : STR("8080");
}

err app_grant_forward(arena *out, struct app_grants *g, str arg, struct diag *d) {
    str rest = arg, host, port;
    uint16_t number;
    bool https = str_starts(arg, STR("https://")), http = str_starts(arg, STR("http://"));
    if (https || http) rest = str_sub(arg, https ? 8 : 7, arg.n);
    if (rest.n && rest.p[rest.n - 1] == '/') rest.n--;
    bool ok =
        (https || http) && app_cut_host_port(rest, &host, &port) && host.n && (!port.n || app_parse_port(port, false, &number));
    for (size_t i = 0; ok && i < rest.n; i++) ok = rest.p[i] > ' ' && rest.p[i] < 0x7f && !strchr("/?#@", rest.p[i]);
    if (!ok) {
        str_cut(rest, '/', &rest, &host);
        if (!rest.n) rest = STR("127.0.0.1:3000");
        else if (app_cut_host_port(rest, &host, &port) && port.n && !app_parse_port(port, false, &number))
            rest = arena_fmt(out, STR_FMT STR_FMT, STR_ARG(str_sub(rest, 0, rest.n - port.n)), STR_ARG(app_port_meant(port)));
        return app_flag_refuse(d, "forward", arg, "it takes http://HOST[:PORT] or https://HOST[:PORT], without a path",
                               arena_fmt(out, "%s://" STR_FMT, https ? "https" : "http", STR_ARG(rest)));
    }
    g->forward_scheme = https ? STR("https") : STR("http");
    g->forward_authority = arena_str(out, rest);
    return ERR_OK;
}

/* ---- as bytes ---- */

static void write_u32(struct buf *to, uint64_t v) {
    ENSURE(v <= UINT32_MAX);
    buf_put(to, &(uint32_t){(uint32_t)v}, 4);
}

static void write_str(struct buf *to, str s) {
    write_u32(to, s.n);
    buf_puts(to, s);
}

static str read_str(struct rd *from) { return rd_bytes(from, rd_u32le(from)); }

/* How many follow, each of so many bytes at least. */
static uint32_t read_count(struct rd *from, size_t least) {
    uint32_t n = rd_u32le(from);
    if (n <= rd_left(from) / least) return n;
    rd_fail(from, "more than there is room for");
    return 0;
}

static void write_rule(struct buf *to, const struct app_net_rule *r) {
    write_u32(to, r->uses);
    write_u32(to, r->any);
    write_str(to, r->name);
    write_u32(to, r->prefix.v6);
    buf_put(to, r->prefix.ip, sizeof r->prefix.ip);
    write_u32(to, r->bits | (uint32_t)r->scheme << 8);
    write_u32(to, (uint32_t)r->port_from << 16 | r->port_to);
}

enum { RULE_BYTES_MIN = 6 * 4 + 16 };

/* Bytes are refused what text is: who writes a record himself grants nothing that could not be said. */
static bool plain(str s, const char *but) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f || strchr(but, s.p[i])) return false;
    return true;
}

static bool has_nul(str s) { return s.n && memchr(s.p, 0, s.n); }

static struct app_env read_env(struct rd *from) {
    struct app_env env = {.key = read_str(from)};
    env.value = read_str(from);
    if (!env.key.n || memchr(env.key.p, '=', env.key.n) || has_nul(env.key) || has_nul(env.value)) rd_fail(from, "no variable");
    return env;
}

static struct app_dir read_dir(arena *out, struct rd *from, const struct app_grants *g) {
    struct app_dir dir = {.host = arena_str(out, read_str(from)), .fd = -1}; /* with a NUL byte, for who opens it */
    dir.guest = read_str(from);
    dir.read_only = rd_u32le(from) != 0;
    bool ok = dir.host.n && dir.host.n < PATH_MAX && !has_nul(dir.host) && !has_nul(dir.guest) && g->dirs.n < APP_DIRS_MAX &&
              (str_eqc(dir.guest, ".") || (dir.guest.n && dir.guest.p[0] == '/'));
    for (uint32_t i = 0; ok && i < g->dirs.n; i++) ok = !str_eq(g->dirs.p[i].guest, dir.guest);
    if (!ok) rd_fail(from, "no folder, or too many");
    return dir;
}

static bool forward_ok(str scheme, str authority) {
    if (!scheme.n) return !authority.n;
    return (str_eqc(scheme, "http") || str_eqc(scheme, "https")) && authority.n && plain(authority, "/?#@");
}

static struct app_net_rule read_rule(struct rd *from) {
    struct app_net_rule r = {.uses = rd_u32le(from), .any = rd_u32le(from) != 0, .name = read_str(from)};
    r.prefix.v6 = rd_u32le(from) != 0;
    str ip = rd_bytes(from, sizeof r.prefix.ip);
    if (ip.n) memcpy(r.prefix.ip, ip.p, ip.n);
    uint32_t bits = rd_u32le(from), ports = rd_u32le(from);
    r.scheme = (uint8_t)(bits >> 8);
    r.bits = (uint8_t)bits;
    if (r.uses >> APP_NET_USES || bits >> 16 || r.bits > (r.prefix.v6 ? 128 : 32) || r.scheme >= APP_SCHEMES)
        rd_fail(from, "no rule of the network");
    r.port_from = (uint16_t)(ports >> 16);
    r.port_to = (uint16_t)ports;
    if (r.port_from > r.port_to || !plain(r.name, "/?#@")) rd_fail(from, "no rule of the network");
    return r;
}

static void write_names(struct buf *to, const struct app_grants *g) {
    write_u32(to, g->secrets.n);
    for (uint32_t i = 0; i < g->secrets.n; i++) write_str(to, g->secrets.p[i].env), write_str(to, g->secrets.p[i].secret);
    write_u32(to, g->stores.n);
    for (uint32_t i = 0; i < g->stores.n; i++) write_str(to, g->stores.p[i].label), write_str(to, g->stores.p[i].store);
    write_u32(to, g->sqlite.n);
    for (uint32_t i = 0; i < g->sqlite.n; i++) write_str(to, g->sqlite.p[i].label), write_str(to, g->sqlite.p[i].store);
    write_u32(to, g->functions.n);
    for (uint32_t i = 0; i < g->functions.n; i++) write_str(to, g->functions.p[i]);
    write_u32(to, g->variables.n);
    for (uint32_t i = 0; i < g->variables.n; i++) {
        write_str(to, g->variables.p[i].name), write_str(to, g->variables.p[i].value);
        write_u32(to, g->variables.p[i].secret);
    }
    write_u32(to, g->roles.n);
    for (uint32_t i = 0; i < g->roles.n; i++) write_str(to, g->roles.p[i]);
}

void app_grants_write(struct buf *to, const struct app_grants *g) {
    write_u32(to, g->env.n);
    for (uint32_t i = 0; i < g->env.n; i++) write_str(to, g->env.p[i].key), write_str(to, g->env.p[i].value);
    write_u32(to, g->dirs.n);
    for (uint32_t i = 0; i < g->dirs.n; i++) {
        write_str(to, g->dirs.p[i].host), write_str(to, g->dirs.p[i].guest);
        write_u32(to, g->dirs.p[i].read_only);
    }
    write_u32(to, g->allow_http.n);
    for (uint32_t i = 0; i < g->allow_http.n; i++) write_rule(to, &g->allow_http.p[i]);
    write_u32(to, g->net.n);
    for (uint32_t i = 0; i < g->net.n; i++) write_rule(to, &g->net.p[i]);
    write_str(to, g->forward_scheme);
    write_str(to, g->forward_authority);
    write_names(to, g);
}

void app_grants_read_first(arena *out, struct rd *from, struct app_grants *g) {
    *g = (struct app_grants){0};
    for (uint32_t n = read_count(from, 8); n && !from->fail; n--) vec_push(out, &g->env, read_env(from));
    for (uint32_t n = read_count(from, 12); n && !from->fail; n--) vec_push(out, &g->dirs, read_dir(out, from, g));
    for (uint32_t n = read_count(from, RULE_BYTES_MIN); n; n--) vec_push(out, &g->allow_http, read_rule(from));
    for (uint32_t n = read_count(from, RULE_BYTES_MIN); n; n--) vec_push(out, &g->net, read_rule(from));
    g->forward_scheme = read_str(from);
    g->forward_authority = read_str(from);
    if (!from->fail && !forward_ok(g->forward_scheme, g->forward_authority)) rd_fail(from, "nowhere to forward to");
}

/* A name that goes into a host, a header or an environment. */
static str read_name(struct rd *from) {
    str name = read_str(from);
    if (!name.n || name.n > UINT8_MAX || !plain(name, "=")) rd_fail(from, "no name");
    return name;
}

static struct app_store read_store(struct rd *from) {
    struct app_store s = {.label = read_name(from)};
    s.store = read_name(from);
    return s;
}

static struct app_variable read_variable(struct rd *from) {
    struct app_variable v = {.name = read_name(from), .value = read_str(from)};
    v.secret = rd_u32le(from) != 0;
    if (v.value.n > APP_VALUE_MAX) rd_fail(from, "no variable");
    return v;
}

static uint32_t read_names_count(struct rd *from, size_t least) {
    uint32_t n = read_count(from, least);
    if (n > APP_NAMES_MAX) rd_fail(from, "more names than may be granted");
    return n;
}

void app_grants_read_third(arena *out, struct rd *from, struct app_grants *g) {
    app_grants_read_first(out, from, g);
    for (uint32_t n = read_names_count(from, 8); n && !from->fail; n--) {
        struct app_secret_env s = {.env = read_name(from)};
        s.secret = read_name(from);
        vec_push(out, &g->secrets, s);
    }
    for (uint32_t n = read_names_count(from, 8); n && !from->fail; n--) vec_push(out, &g->stores, read_store(from));
    for (uint32_t n = read_names_count(from, 8); n && !from->fail; n--) vec_push(out, &g->sqlite, read_store(from));
    for (uint32_t n = read_names_count(from, 4); n && !from->fail; n--) vec_push(out, &g->functions, read_name(from));
    for (uint32_t n = read_names_count(from, 12); n && !from->fail; n--) vec_push(out, &g->variables, read_variable(from));
}

void app_grants_read(arena *out, struct rd *from, struct app_grants *g) {
    app_grants_read_third(out, from, g);
    for (uint32_t n = read_names_count(from, 4); n && !from->fail; n--) vec_push(out, &g->roles, read_name(from));
}
