/* grants: what the command line grants, and where it listens, from text. Every error says what was expected. */
#include "node/node_int.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void node_limits_fill(struct node_limits *limits) {
#define X(field, value)                                                                                                          \
    if (!limits->field) limits->field = (value);
#include "node/limits.def"
#undef X
}

err node_grant_env(arena *out, struct node_grants *g, str arg, struct diag *d) {
    str key, value;
    if (!str_cut(arg, '=', &key, &value)) {
        const char *own = getenv(arena_cstr(out, arg));
        if (!own)
            return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE,
                            "'" STR_FMT "' is not set here; write " STR_FMT "=VALUE to give the guest a value", STR_ARG(arg),
                            STR_ARG(arg));
        key = arg;
        value = str_c(own);
    }
    if (!key.n) return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "expected KEY=VALUE, not '" STR_FMT "'", STR_ARG(arg));
    struct node_env env = {arena_str(out, key), arena_str(out, value)};
    for (uint32_t i = 0; i < g->env.n; i++)
        if (str_eq(g->env.p[i].key, key)) { /* the later one holds */
            g->env.p[i] = env;
            return ERR_OK;
        }
    vec_push(out, &g->env, env);
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

err node_grant_dir(arena *out, struct node_grants *g, str arg, struct diag *d) {
    struct node_dir dir = {0};
    str rest = arg;
    if (str_ends(rest, STR(":ro"))) {
        dir.read_only = true;
        rest = str_sub(rest, 0, rest.n - 3);
    }
    str host, guest;
    if (!cut_double_colon(rest, &host, &guest)) guest = host;
    if (!host.n || !guest.n)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE,
                        "expected HOST::GUEST, a folder here and the path the guest sees, not '" STR_FMT "'", STR_ARG(arg));
    if (memchr(host.p, 0, host.n)) return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "a path with a NUL byte");
    dir.host = arena_str(out, host);
    dir.guest = arena_str(out, guest);
    vec_push(out, &g->dirs, dir);
    return ERR_OK;
}

err node_grants_check(const struct node_grants *g, struct diag *d) {
    for (uint32_t i = 0; i < g->dirs.n; i++) {
        int fd = open((const char *)g->dirs.p[i].host.p, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return diag_set(d, errno == ENOENT ? ERR_NOT_FOUND : ERR_DENIED, DIAG_NOWHERE,
                            "the folder " STR_FMT " cannot be granted: %s", STR_ARG(g->dirs.p[i].host), strerror(errno));
        close(fd);
    }
    return ERR_OK;
}

bool node_cut_host_port(str arg, str *host, str *port) {
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

static bool parse_port(str s, bool zero_ok, uint16_t *out) {
    uint64_t v;
    if (!str_to_u64(s, &v) || v > 65535 || (!v && !zero_ok)) return false;
    *out = (uint16_t)v;
    return true;
}

err node_grant_http(arena *out, struct node_grants *g, str arg, struct diag *d) {
    struct node_allow allow = {0};
    str host, port;
    if (str_starts(arg, STR("http://")) || str_starts(arg, STR("https://")))
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "expected HOST or HOST:PORT without a scheme, not '" STR_FMT "'",
                        STR_ARG(arg));
    if (!node_cut_host_port(arg, &host, &port) || !host.n || (port.n && !str_eqc(port, "*") && !parse_port(port, false, &allow.port)))
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "expected HOST or HOST:PORT, not '" STR_FMT "'", STR_ARG(arg));
    str lower = arena_str(out, host);
    for (size_t i = 0; i < lower.n; i++) {
        uint8_t *c = (uint8_t *)lower.p + i;
        if (*c >= 'A' && *c <= 'Z') *c = (uint8_t)(*c + 'a' - 'A');
        if (*c <= ' ' || *c == '/' || *c == '@')
            return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "'" STR_FMT "' is no host name", STR_ARG(arg));
    }
    allow.host = lower;
    vec_push(out, &g->allow_http, allow);
    return ERR_OK;
}

err node_grant_forward(arena *out, struct node_grants *g, str arg, struct diag *d) {
    str rest = arg, host, port;
    uint16_t number;
    bool https = str_starts(arg, STR("https://")), http = str_starts(arg, STR("http://"));
    if (https || http) rest = str_sub(arg, https ? 8 : 7, arg.n);
    if (rest.n && rest.p[rest.n - 1] == '/') rest.n--;
    bool ok = (https || http) && node_cut_host_port(rest, &host, &port) && host.n && (!port.n || parse_port(port, false, &number));
    for (size_t i = 0; ok && i < rest.n; i++) ok = rest.p[i] > ' ' && rest.p[i] < 0x7f && !strchr("/?#@", rest.p[i]);
    if (!ok) return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "expected http://HOST[:PORT] without a path, not '" STR_FMT "'", STR_ARG(arg));
    g->forward_scheme = https ? STR("https") : STR("http");
    g->forward_authority = arena_str(out, rest);
    return ERR_OK;
}

err node_listen_parse(str arg, struct node_listen *out, struct diag *d) {
    *out = (struct node_listen){.port = 8080};
    if (arg.n && str_to_u64(arg, &(uint64_t){0})) { /* a port alone: on this machine only, like the default */
        out->host = STR("127.0.0.1");
        if (parse_port(arg, true, &out->port)) return ERR_OK;
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "'" STR_FMT "' is no port: 0 to 65535", STR_ARG(arg));
    }
    str host, port;
    if (!node_cut_host_port(arg, &host, &port) || (!host.n && !port.n))
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "expected HOST:PORT, such as 127.0.0.1:8080 or :8080, not '" STR_FMT "'",
                        STR_ARG(arg));
    if (port.n && !parse_port(port, true, &out->port))
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "'" STR_FMT "' is no port: 0 to 65535", STR_ARG(port));
    out->host = str_eqc(host, "*") ? (str){0} : host;
    return ERR_OK;
}
