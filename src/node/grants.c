/* limits and grants of the process: what the defaults of this machine are, whether what is granted is there, and where it listens. */
#include "node/node_int.h"
#include "wasi/wasi.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void node_limits_fill(struct node_limits *limits) {
    app_limits_fill(&limits->app);
#define FILL_APP(field, value)
#define FILL_NODE(field, value)                                                                                                  \
    if (!limits->field) limits->field = (value);
#define FILL_CONNECTION(field, value) FILL_NODE(field, value)
#define FILL_COMPILE(field, value) FILL_NODE(field, value)
#define SETTING(scope, field, type, value, ...) FILL_##scope(field, value)
#include "app/settings.def"
#undef SETTING
#undef FILL_APP
#undef FILL_NODE
#undef FILL_CONNECTION
#undef FILL_COMPILE
    if (!limits->node_memory_bytes_max) limits->node_memory_bytes_max = node_machine_memory() / 4 * 3;
}

void node_settings_write(struct buf *to, const struct node_limits *limits) {
    app_limits_write(to, &limits->app);
#define PUT_APP(field)
#define PUT_NODE(field) buf_put(to, &limits->field, 8);
#define PUT_CONNECTION(field) PUT_NODE(field)
#define PUT_COMPILE(field) PUT_NODE(field)
#define SETTING(scope, field, ...) PUT_##scope(field)
#include "app/settings.def"
#undef SETTING
}

/* The node's own are what the supervisor filled in: workers 0 is one per core. */
void node_settings_read(struct rd *from, struct node_limits *limits) {
    app_limits_read(from, &limits->app);
#define GET_APP(field)
#define GET_NODE(field) limits->field = rd_u64le(from);
#define GET_CONNECTION(field) GET_NODE(field)
#define GET_COMPILE(field) GET_NODE(field)
#define SETTING(scope, field, ...) GET_##scope(field)
#include "app/settings.def"
#undef SETTING
    if (rd_left(from)) rd_fail(from, "bytes behind the settings");
}

/* Root enters any folder by a capability, of which a worker has none. An access control list opens nothing that the group's bits do not. */
static bool shut_without_capabilities(const struct stat *st) {
    return st->st_uid != geteuid() && !(st->st_mode & (S_IXGRP | S_IXOTH));
}

err node_grants_check(const struct app_grants *g, struct diag *d) {
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

/* Several colons and no IPv6 address: one whose port has no brackets before it, or HOST:PORT and more. */
static err refuse_colons(arena *out, str arg, str host, str port, struct diag *d) {
    size_t last = host.n;
    while (last && host.p[last - 1] != ':') last--;
    str six = str_sub(host, 0, last - 1), after = str_sub(host, last, host.n), name, rest, number;
    if (!port.n && inet_pton(AF_INET6, arena_cstr(out, six), &(struct in6_addr){0}) == 1)
        return app_flag_refuse(d, "listen", arg, "an IPv6 address with a port has brackets",
                               arena_fmt(out, "[" STR_FMT "]:" STR_FMT, STR_ARG(six), STR_ARG(app_port_meant(after))));
    str_cut(host, ':', &name, &rest);
    if (!str_cut(rest, ':', &number, &after)) number = rest;
    return app_flag_refuse(d, "listen", arg, "it takes one HOST and one PORT",
                           arena_fmt(out, STR_FMT ":" STR_FMT, STR_ARG(name), STR_ARG(app_port_meant(number))));
}

err node_listen_parse(arena *out, str arg, struct node_listen *to, struct diag *d) {
    *to = (struct node_listen){.port = 8080};
    if (arg.n && str_to_u64(arg, &(uint64_t){0})) { /* a port alone: on this machine only, like the default */
        to->host = STR("127.0.0.1");
        if (app_parse_port(arg, true, &to->port)) return ERR_OK;
        return app_flag_refuse(d, "listen", arg, "a port is at most 65535",
                               arena_fmt(out, "127.0.0.1:" STR_FMT, STR_ARG(app_port_meant(arg))));
    }
    str host, port, rest = arg;
    for (size_t i = 0; i + 2 < rest.n && rest.p == arg.p; i++)
        if (str_starts(str_sub(arg, i, arg.n), STR("://"))) rest = str_sub(arg, i + 3, arg.n);
    if (rest.p != arg.p) {
        str authority;
        str_cut(rest, '/', &authority, &rest);
        return app_flag_refuse(d, "listen", arg, "it takes HOST:PORT, no URL", authority.n ? authority : STR("127.0.0.1:8080"));
    }
    if (memchr(arg.p, '/', arg.n)) return app_flag_refuse(d, "listen", arg, "it takes HOST:PORT, no path", STR("127.0.0.1:8080"));
    if (!app_cut_host_port(arg, &host, &port) || (!host.n && !port.n))
        return app_flag_refuse(d, "listen", arg, "it takes HOST:PORT or :PORT", STR("127.0.0.1:8080"));
    str address = str_sub(host, 0, str_find(host, '%')); /* behind it is an interface's name */
    if (str_find(host, ':') < host.n && inet_pton(AF_INET6, arena_cstr(out, address), &(struct in6_addr){0}) != 1)
        return refuse_colons(out, arg, host, port, d);
    if (port.n && !app_parse_port(port, true, &to->port)) {
        bool six = str_find(host, ':') < host.n;
        return app_flag_refuse(
            d, "listen", arg, "a port is a number up to 65535",
            arena_fmt(out, six ? "[" STR_FMT "]:" STR_FMT : STR_FMT ":" STR_FMT, STR_ARG(host), STR_ARG(app_port_meant(port))));
    }
    to->host = str_eqc(host, "*") ? (str){0} : host;
    return ERR_OK;
}
