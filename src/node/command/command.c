/* command: what a person asks of a node that runs, from a process of its own: over the socket in the node's state folder. */
#include "base/json.h"
#include "node/node_int.h"
#include "node/snapshot.h"
#include "node/state.h"
#include "node/wire.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static err ask(const char *state_dir, const struct node_message *m, int *fd, struct diag *d) {
    arena *scratch = arena_new(0);
    err e = node_state_connect(node_state_folder(scratch, state_dir), fd, d);
    arena_free(scratch);
    if (e != ERR_OK) return e;
    e = node_wire_send(*fd, m);
    if (e == ERR_OK) return ERR_OK;
    close(*fd);
    return diag_set(d, e, DIAG_NOWHERE, "the node cannot be asked: %s", err_text(e));
}

/* The answer; what comes meanwhile is shown on a terminal. m is the caller's to drop. */
static err await(int fd, enum node_message_type type, struct node_message *m, struct diag *d) {
    bool shows = isatty(STDERR_FILENO), shown = false;
    for (;;) {
        enum node_wire_got got = node_wire_await(fd, NODE_ROLE_control, NODE_ROLE_command, m);
        bool goes_on = got == NODE_WIRE_GOT && m->type == NODE_MSG_progress;
        if (goes_on && shows) dprintf(STDERR_FILENO, "\r" STR_FMT " …\x1b[K", STR_ARG(m->progress.text)), shown = true;
        if (goes_on) continue;
        if (shown) dprintf(STDERR_FILENO, "\r\x1b[K");
        if (got == NODE_WIRE_GOT && m->type == type) return ERR_OK;
        if (got == NODE_WIRE_GOT) node_message_drop(m);
        return diag_set(d, ERR_CLOSED, DIAG_NOWHERE, "the node ended before it had answered");
    }
}

/* ---- deploying ---- */

/* Folders as the node sees them, which may run elsewhere. */
static err absolute_dirs(arena *out, struct app_grants *g, struct diag *d) {
    for (uint32_t i = 0; i < g->dirs.n; i++) {
        char *path = realpath((const char *)g->dirs.p[i].host.p, NULL);
        if (!path)
            return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "the folder " STR_FMT " cannot be granted (--dir): %s",
                            STR_ARG(g->dirs.p[i].host), strerror(errno));
        g->dirs.p[i].host = arena_str(out, str_c(path));
        free(path);
    }
    return ERR_OK;
}

static err set_hosts(arena *out, const struct node_deploy_config *c, struct app_record *r, struct diag *d) {
    str host = arena_fmt(out, "%s.localhost", c->app);
    vec_push(out, &r->hosts, host);
    for (size_t i = 0; i < c->hosts_count; i++) {
        if (!strcmp(c->hosts[i], "*")) {
            r->is_default = true;
            continue;
        }
        TRY(app_host_parse(out, str_c(c->hosts[i]), &host, d));
        for (uint32_t k = 0; k < r->hosts.n; k++)
            if (str_eq(r->hosts.p[k], host))
                return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--host %s stands there twice", c->hosts[i]);
        if (r->hosts.n == APP_HOSTS_MAX)
            return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "an app has at most %d hosts", APP_HOSTS_MAX);
        vec_push(out, &r->hosts, host);
    }
    return ERR_OK;
}

static err set_routes(arena *out, const struct node_deploy_config *c, struct app_record *r, struct diag *d) {
    struct app_route route = {.path = STR("/")};
    if (c->routes_count > APP_ROUTES_MAX)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "an app has at most %d routes", APP_ROUTES_MAX);
    for (size_t i = 0; i < c->routes_count; i++) {
        TRY(app_route_parse(out, str_c(c->routes[i]), &route, d));
        for (uint32_t k = 0; k < r->routes.n; k++)
            if (r->routes.p[k].exact == route.exact && str_eq(r->routes.p[k].path, route.path))
                return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--route %s stands there twice", c->routes[i]);
        vec_push(out, &r->routes, route);
    }
    if (!c->routes_count) vec_push(out, &r->routes, route);
    return ERR_OK;
}

static err make_record(arena *out, const struct node_deploy_config *c, struct app_record *r, struct diag *d) {
    const char *slash = strrchr(c->file, '/');
    TRY(app_name_check(str_c(c->app), d));
    *r = (struct app_record){.name = str_c(c->app), .limits = c->limits, .weight = 1, .eager = true};
    app_limits_fill(&r->limits);
    struct app_function f = {.name = str_c(slash ? slash + 1 : c->file),
                             .source = str_c(slash ? slash + 1 : c->file),
                             .grants = c->grants,
                             .limits = r->limits};
    TRY(absolute_dirs(out, &f.grants, d));
    TRY(set_hosts(out, c, r, d));
    TRY(set_routes(out, c, r, d));
    vec_push(out, &r->functions, f);
    return ERR_OK;
}

static int record_fd(const struct app_record *r) {
    struct buf b = {0};
    app_record_write(&b, r);
    int fd = memfd_create("orlo-record", MFD_CLOEXEC);
    if (fd >= 0 && write(fd, b.p, b.n) != (ssize_t)b.n) {
        close(fd);
        fd = -1;
    }
    buf_free(&b);
    return fd;
}

err node_deploy(arena *out, const struct node_deploy_config *c, struct node_deployed *to, struct diag *d) {
    struct app_record r;
    struct node_input in;
    int fd;
    uint64_t started_ns = clock_mono_ns();
    *to = (struct node_deployed){0};
    TRY(make_record(out, c, &r, d));
    to->of_file = true;
    TRY(node_input_open(c->file, &in, d));
    to->of_file = false;
    struct node_message m = NODE_MESSAGE(deploy);
    m.fds[0] = record_fd(&r), m.fds[1] = in.fd, m.fds_count = 2;
    err e =
        m.fds[0] < 0 ? diag_set(d, ERR_IO, DIAG_NOWHERE, "no memory file: %s", strerror(errno)) : ask(c->state_dir, &m, &fd, d);
    node_message_drop(&m);
    TRY(e);
    e = await(fd, NODE_MSG_deployed, &m, d);
    if (e == ERR_OK) {
        e = node_diag_of(d, m.deployed.err, m.deployed.offset, m.deployed.text);
        *to = (struct node_deployed){.version = m.deployed.version,
                                     .url = arena_str(out, m.deployed.url),
                                     .path = r.routes.p[0].path,
                                     .of_file = e != ERR_BUSY && e != ERR_DENIED,
                                     .ns = clock_mono_ns() - started_ns};
    }
    close(fd);
    return e;
}

/* ---- looking ---- */

static void list_text(FILE *to, const struct app_record *r) {
    fprintf(to, STR_FMT "\tversion %u\t", STR_ARG(r->name), r->version);
    for (uint32_t i = 0; i < r->hosts.n; i++) fprintf(to, "%s" STR_FMT, i ? " " : "", STR_ARG(r->hosts.p[i]));
    if (r->is_default) fputs(" *", to);
    for (uint32_t i = 0; i < r->routes.n; i++)
        if (r->routes.n > 1 || r->routes.p[i].path.n > 1)
            fprintf(to, " %s" STR_FMT, r->routes.p[i].exact ? "=" : "", STR_ARG(r->routes.p[i].path));
    for (uint32_t i = 0; i < r->functions.n; i++) { /* a file's name, which a terminal does not obey */
        char name[APP_FUNCTION_NAME_MAX];
        str f = str_sub(r->functions.p[i].name, 0, sizeof name);
        if (f.n) memcpy(name, f.p, f.n);
        text_tame(name, f.n);
        fprintf(to, "\t%.*s (%s)", (int)f.n, name, node_kind_text(r->functions.p[i].kind));
    }
    fputc('\n', to);
}

static void list_json(struct json_writer *w, const struct app_record *r) {
    json_put_object(w, NULL);
    json_put_str(w, "name", r->name);
    json_put_u64(w, "version", r->version);
    json_put_bool(w, "default", r->is_default);
    json_put_array(w, "hosts");
    for (uint32_t i = 0; i < r->hosts.n; i++) json_put_str(w, NULL, r->hosts.p[i]);
    json_put_end(w);
    json_put_array(w, "routes");
    for (uint32_t i = 0; i < r->routes.n; i++) {
        json_put_object(w, NULL);
        json_put_str(w, "path", r->routes.p[i].path);
        json_put_bool(w, "exact", r->routes.p[i].exact);
        json_put_str(w, "function", r->functions.p[r->routes.p[i].index].name);
        json_put_end(w);
    }
    json_put_end(w);
    json_put_array(w, "functions");
    for (uint32_t i = 0; i < r->functions.n; i++) {
        json_put_object(w, NULL);
        json_put_str(w, "name", r->functions.p[i].name);
        json_put_cstr(w, "kind", node_kind_text(r->functions.p[i].kind));
        json_put_end(w);
    }
    json_put_end(w);
    json_put_end(w);
}

static err list(const struct node_snapshot *s, bool json, FILE *to, struct diag *d) {
    uint32_t n;
    const struct node_entry *e = node_snapshot_entries(s, &n);
    arena *mem = arena_new(0);
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    err failed = ERR_OK;
    if (json) json_put_array(&w, NULL);
    for (uint32_t i = 0; i < n && failed == ERR_OK; i++) {
        struct app_record r;
        arena_reset(mem);
        failed = app_record_decode(mem, e[i].of[NODE_LIVE].record, &r, d);
        if (failed != ERR_OK) break;
        if (json) list_json(&w, &r);
        else list_text(to, &r);
    }
    if (!n && !json) fputs("no app yet; orlo deploy FILE --app NAME\n", stderr);
    if (json && failed == ERR_OK) {
        json_put_end(&w);
        fprintf(to, STR_FMT "\n", STR_ARG(buf_str(&b)));
    }
    buf_free(&b);
    arena_free(mem);
    return failed;
}

err node_list(const char *state_dir, bool json, FILE *to, struct diag *d) {
    struct node_message m;
    struct node_snapshot *s;
    int fd;
    TRY(ask(state_dir, &NODE_MESSAGE(list), &fd, d));
    err e = await(fd, NODE_MSG_apps, &m, d);
    close(fd);
    TRY(e);
    e = node_snapshot_map(m.fds[0], &s, d);
    node_message_drop(&m);
    TRY(e);
    e = list(s, json, to, d);
    node_snapshot_free(s);
    return e;
}

/* ---- deleting ---- */

err node_delete(const char *state_dir, const char *app, struct diag *d) {
    struct node_message m;
    int fd;
    TRY(app_name_check(str_c(app), d));
    TRY(ask(state_dir, &NODE_MESSAGE(drop, .app = str_c(app)), &fd, d));
    err e = await(fd, NODE_MSG_dropped, &m, d);
    close(fd);
    return e == ERR_OK ? node_diag_of(d, m.dropped.err, DIAG_NOWHERE, m.dropped.text) : e;
}
