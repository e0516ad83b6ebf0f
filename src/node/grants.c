/* grants: what the command line grants, and where it listens, from text. Every error says what was expected. */
#include "node/node_int.h"
#include "wasi/wasi.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
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
                            "--env '" STR_FMT "': it is not set here; write --env " STR_FMT "=VALUE", STR_ARG(arg), STR_ARG(arg));
        key = arg;
        value = str_c(own);
    }
    if (!key.n) return node_flag_refuse(d, "env", arg, "the name is missing", arena_fmt(out, "NAME" STR_FMT, STR_ARG(arg)));
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
    return node_flag_refuse(d, "dir", arg, why,
                            arena_fmt(out, STR_FMT "::" STR_FMT "%s", STR_ARG(host), STR_ARG(guest), read_only ? ":ro" : ""));
}

err node_grant_dir(arena *out, struct node_grants *g, str arg, struct diag *d) {
    struct node_dir dir = {0};
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
    for (uint32_t i = 0; i < g->dirs.n; i++)
        if (str_eq(g->dirs.p[i].guest, guest))
            return refuse_dir(out, arg, host, arena_fmt(out, STR_FMT "2", STR_ARG(guest)), dir.read_only,
                              "another folder has that name for the guest", d);
    dir.host = arena_str(out, host);
    dir.guest = arena_str(out, guest);
    vec_push(out, &g->dirs, dir);
    return ERR_OK;
}

/* Root enters any folder by a capability, of which a worker has none. An access control list opens nothing that the group's bits do not. */
static bool shut_without_capabilities(const struct stat *st) {
    return st->st_uid != geteuid() && !(st->st_mode & (S_IXGRP | S_IXOTH));
}

err node_grants_check(const struct node_grants *g, struct diag *d) {
    for (uint32_t i = 0; i < g->dirs.n; i++) {
        int fd = open((const char *)g->dirs.p[i].host.p, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) {
            bool file = errno == ENOTDIR, missing = errno == ENOENT;
            return diag_set(d, file || missing ? ERR_NOT_FOUND : ERR_DENIED, DIAG_NOWHERE,
                            "the folder " STR_FMT " cannot be granted (--dir): %s", STR_ARG(g->dirs.p[i].host),
                            file      ? "it is a file; name the folder it is in"
                            : missing ? "there is none; make it first"
                                      : strerror(errno));
        }
        struct stat st;
        bool may = wasi_may_grant(fd), shut = fstat(fd, &st) == 0 && shut_without_capabilities(&st);
        close(fd);
        if (shut)
            return diag_set(d, ERR_DENIED, DIAG_NOWHERE,
                            "the folder " STR_FMT
                            " cannot be granted (--dir): only another user may enter it, and guests have none of "
                            "root's rights; start orlo as that user, or change the folder's mode",
                            STR_ARG(g->dirs.p[i].host));
        if (!may)
            return diag_set(d, ERR_DENIED, DIAG_NOWHERE,
                            "the folder " STR_FMT
                            " cannot be granted: it is the kernel's own, and shows this machine and its processes; "
                            "copy what the guest is to read elsewhere",
                            STR_ARG(g->dirs.p[i].host));
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

err node_flag_refuse(struct diag *d, const char *flag, str arg, const char *why, str better) {
    return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--%s '" STR_FMT "': %s; write --%s " STR_FMT, flag, STR_ARG(arg), why, flag,
                    STR_ARG(better));
}

str node_port_meant(str digits) {
    uint64_t v;
    while (digits.n && (!str_to_u64(digits, &v) || v > UINT16_MAX)) digits.n--;
    return digits.n && str_to_u64(digits, &v) && v ? digits : STR("8080");
}

err node_grant_forward(arena *out, struct node_grants *g, str arg, struct diag *d) {
    str rest = arg, host, port;
    uint16_t number;
    bool https = str_starts(arg, STR("https://")), http = str_starts(arg, STR("http://"));
    if (https || http) rest = str_sub(arg, https ? 8 : 7, arg.n);
    if (rest.n && rest.p[rest.n - 1] == '/') rest.n--;
    bool ok =
        (https || http) && node_cut_host_port(rest, &host, &port) && host.n && (!port.n || parse_port(port, false, &number));
    for (size_t i = 0; ok && i < rest.n; i++) ok = rest.p[i] > ' ' && rest.p[i] < 0x7f && !strchr("/?#@", rest.p[i]);
    if (!ok) {
        str_cut(rest, '/', &rest, &host);
        if (!rest.n) rest = STR("127.0.0.1:3000");
        else if (node_cut_host_port(rest, &host, &port) && port.n && !parse_port(port, false, &number))
            rest = arena_fmt(out, STR_FMT STR_FMT, STR_ARG(str_sub(rest, 0, rest.n - port.n)), STR_ARG(node_port_meant(port)));
        return node_flag_refuse(d, "forward", arg, "it takes http://HOST[:PORT] or https://HOST[:PORT], without a path",
                                arena_fmt(out, "%s://" STR_FMT, https ? "https" : "http", STR_ARG(rest)));
    }
    g->forward_scheme = https ? STR("https") : STR("http");
    g->forward_authority = arena_str(out, rest);
    return ERR_OK;
}

/* Several colons and no IPv6 address: one whose port has no brackets before it, or HOST:PORT and more. */
static err refuse_colons(arena *out, str arg, str host, str port, struct diag *d) {
    size_t last = host.n;
    while (last && host.p[last - 1] != ':') last--;
    str six = str_sub(host, 0, last - 1), after = str_sub(host, last, host.n), name, rest, number;
    if (!port.n && inet_pton(AF_INET6, arena_cstr(out, six), &(struct in6_addr){0}) == 1)
        return node_flag_refuse(d, "listen", arg, "an IPv6 address with a port has brackets",
                                arena_fmt(out, "[" STR_FMT "]:" STR_FMT, STR_ARG(six), STR_ARG(node_port_meant(after))));
    str_cut(host, ':', &name, &rest);
    if (!str_cut(rest, ':', &number, &after)) number = rest;
    return node_flag_refuse(d, "listen", arg, "it takes one HOST and one PORT",
                            arena_fmt(out, STR_FMT ":" STR_FMT, STR_ARG(name), STR_ARG(node_port_meant(number))));
}

err node_listen_parse(arena *out, str arg, struct node_listen *to, struct diag *d) {
    *to = (struct node_listen){.port = 8080};
    if (arg.n && str_to_u64(arg, &(uint64_t){0})) { /* a port alone: on this machine only, like the default */
        to->host = STR("127.0.0.1");
        if (parse_port(arg, true, &to->port)) return ERR_OK;
        return node_flag_refuse(d, "listen", arg, "a port is at most 65535",
                                arena_fmt(out, "127.0.0.1:" STR_FMT, STR_ARG(node_port_meant(arg))));
    }
    str host, port, rest = arg;
    for (size_t i = 0; i + 2 < rest.n && rest.p == arg.p; i++)
        if (str_starts(str_sub(arg, i, arg.n), STR("://"))) rest = str_sub(arg, i + 3, arg.n);
    if (rest.p != arg.p) {
        str authority;
        str_cut(rest, '/', &authority, &rest);
        return node_flag_refuse(d, "listen", arg, "it takes HOST:PORT, no URL", authority.n ? authority : STR("127.0.0.1:8080"));
    }
    if (memchr(arg.p, '/', arg.n))
        return node_flag_refuse(d, "listen", arg, "it takes HOST:PORT, no path", STR("127.0.0.1:8080"));
    if (!node_cut_host_port(arg, &host, &port) || (!host.n && !port.n))
        return node_flag_refuse(d, "listen", arg, "it takes HOST:PORT or :PORT", STR("127.0.0.1:8080"));
    str address = str_sub(host, 0, str_find(host, '%')); /* behind it is an interface's name */
    if (str_find(host, ':') < host.n && inet_pton(AF_INET6, arena_cstr(out, address), &(struct in6_addr){0}) != 1)
        return refuse_colons(out, arg, host, port, d);
    if (port.n && !parse_port(port, true, &to->port)) {
        bool six = str_find(host, ':') < host.n;
        return node_flag_refuse(
            d, "listen", arg, "a port is a number up to 65535",
            arena_fmt(out, six ? "[" STR_FMT "]:" STR_FMT : STR_FMT ":" STR_FMT, STR_ARG(host), STR_ARG(node_port_meant(port))));
    }
    to->host = str_eqc(host, "*") ? (str){0} : host;
    return ERR_OK;
}
