/* apps: what a person asks about apps, their versions, secrets and keys. */
#include "node/command/ask.h"
#include "node/command/table.h"
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static str member(const struct json *v, const char *key) { return json_str(json_get(v, key)); }
static int64_t number(const struct json *v, const char *key) { return json_i64(json_get(v, key)); }

/* ---- apps ---- */

static str list_text(arena *out, const struct json *list) {
    struct buf b = {0};
    JSON_EACH(item, list) buf_printf(&b, "%s" STR_FMT, b.n ? " " : "", STR_ARG(json_str(item)));
    str text = arena_str(out, buf_str(&b));
    buf_free(&b);
    return text;
}

/* Hosts, then routes where they say anything. */
static str reach_text(arena *out, const struct json *app) {
    struct buf b = {0};
    const struct json *routes = json_get(app, "routes");
    buf_puts(&b, list_text(out, json_get(app, "hosts")));
    if (json_bool(json_get(app, "default"))) buf_printf(&b, "%s*", b.n ? " " : "");
    JSON_EACH(route, routes)
    if (json_count(routes) > 1 || member(route, "path").n > 1)
        buf_printf(&b, " %s" STR_FMT, json_bool(json_get(route, "exact")) ? "=" : "", STR_ARG(member(route, "path")));
    str text = arena_str(out, buf_str(&b));
    buf_free(&b);
    return text;
}

static str functions_text(arena *out, const struct json *app) {
    struct buf b = {0};
    JSON_EACH(f, json_get(app, "functions"))
    buf_printf(&b, "%s" STR_FMT " (" STR_FMT ")", b.n ? ", " : "", STR_ARG(member(f, "name")), STR_ARG(member(f, "kind")));
    str text = arena_str(out, buf_str(&b));
    buf_free(&b);
    return text;
}

static void put_app_row(arena *mem, struct table *t, const struct json *app) {
    const struct json *canary = json_get(app, "canary");
    node_table_put(t, member(app, "name"));
    if (canary)
        node_table_fmt(t, "version %lld, %lld at %.4g %%", (long long)number(app, "version"),
                       (long long)number(canary, "version"), (double)number(canary, "permille") / 10);
    else node_table_fmt(t, "version %lld", (long long)number(app, "version"));
    node_table_put(t, reach_text(mem, app));
    node_table_put(t, functions_text(mem, app));
}

struct list {
    FILE *to;
    bool json, any;
    struct table table;
    arena *mem;
};

static void take_apps(struct list *l, const struct json *apps) {
    JSON_EACH(app, apps) {
        if (!l->json) put_app_row(l->mem, &l->table, app);
        else if (l->any) fputs(",", l->to);
        if (l->json) node_table_json(l->to, app);
        l->any = true;
    }
}

/* A part of them after the other. */
static err list_all(struct list *l, struct ask *a, struct diag *d) {
    for (unsigned after = 0;;) {
        arena *mem = arena_new(0);
        struct answer answer;
        err e = node_ask(a, mem, &(struct ask_call){.method = "GET", .path = node_ask_path(mem, "/apps?after=%u", after)},
                         &answer, d);
        if (e == ERR_OK) take_apps(l, json_get(&answer.body, "apps"));
        after = e == ERR_OK ? (unsigned)number(&answer.body, "next") : 0;
        arena_free(mem);
        if (e != ERR_OK || !after) return e;
    }
}

err node_command_apps(const struct node_where *where, bool json, FILE *to, struct diag *d) {
    static const char *const heads[] = {"APP", "SERVES", "HOSTS AND PATHS", "FUNCTIONS", NULL};
    struct ask *a;
    TRY(node_ask_open(where, &a, d));
    struct list l = {.to = to, .json = json, .mem = arena_new(0)};
    node_table_begin(&l.table, l.mem, heads);
    if (json) fputs("[", to);
    err e = list_all(&l, a, d);
    if (json) fputs("]\n", to);
    else if (e == ERR_OK && !l.any) fputs("no app yet; orlo deploy FILE --app NAME\n", stderr);
    else if (e == ERR_OK) node_table_print(&l.table, to);
    arena_free(l.mem);
    node_ask_close(a);
    return e;
}

err node_command_delete(const struct node_where *where, const char *app, struct diag *d) {
    arena *mem = arena_new(0);
    struct answer answer;
    err e = node_ask_once(where, mem, "DELETE", node_ask_path(mem, "/apps/%s", app), NULL, &answer, d);
    arena_free(mem);
    return e;
}

/* ---- versions ---- */

static void put_version_row(struct table *t, const struct json *v) {
    node_table_fmt(t, "%lld", (long long)number(v, "version"));
    node_table_put(t, json_bool(json_get(v, "live")) ? STR("live") : json_bool(json_get(v, "canary")) ? STR("canary") : STR("-"));
    node_table_put(t, member(v, "created"));
    node_table_put(t, node_table_bytes(t->mem, (uint64_t)number(v, "bytes")));
    node_table_put(t, member(v, "by").n ? member(v, "by") : STR("operator"));
}

err node_command_versions(const struct node_where *where, const char *app, bool json, FILE *to, struct diag *d) {
    static const char *const heads[] = {"VERSION", "SERVED", "DEPLOYED", "SIZE", "BY", NULL};
    arena *mem = arena_new(0);
    struct answer answer;
    struct table t;
    err e = node_ask_once(where, mem, "GET", node_ask_path(mem, "/apps/%s/versions", app), NULL, &answer, d);
    node_table_begin(&t, mem, heads);
    const struct json *versions = e == ERR_OK ? json_get(&answer.body, "versions") : NULL;
    if (e == ERR_OK && json) node_table_json(to, versions);
    JSON_EACH(v, versions) put_version_row(&t, v);
    if (e == ERR_OK && !json) node_table_print(&t, to);
    arena_free(mem);
    return e;
}

static void print_served(FILE *to, const struct json *app, bool json) {
    if (json) node_table_json(to, app);
    else
        fprintf(to,
                STR_FMT " serves version %lld"
                        "\n",
                STR_ARG(member(app, "name")), (long long)number(app, "version"));
}

err node_command_rollback(const struct node_where *where, const char *app, uint32_t version, bool json, FILE *to,
                          struct diag *d) {
    arena *mem = arena_new(0);
    struct answer answer;
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    json_put_object(&w, NULL);
    if (version) json_put_u64(&w, "version", version);
    json_put_end(&w);
    err e = node_ask_once(where, mem, "POST", node_ask_path(mem, "/apps/%s/rollback", app), &w, &answer, d);
    if (e == ERR_OK) print_served(to, &answer.body, json);
    buf_free(&b);
    arena_free(mem);
    return e;
}

err node_command_promote(const struct node_where *where, const char *app, uint32_t version, uint32_t permille, bool json,
                         FILE *to, struct diag *d) {
    arena *mem = arena_new(0);
    struct answer answer;
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    json_put_object(&w, NULL);
    json_put_u64(&w, "version", version);
    json_put_u64(&w, "permille", permille);
    json_put_end(&w);
    err e = node_ask_once(where, mem, "POST", node_ask_path(mem, "/apps/%s/promote", app), &w, &answer, d);
    if (e == ERR_OK && !json && permille && permille < 1000)
        fprintf(to, "%s: version %u has %.4g %% of the requests\n", app, version, permille / 10.0);
    else if (e == ERR_OK) print_served(to, &answer.body, json);
    buf_free(&b);
    arena_free(mem);
    return e;
}

/* ---- secrets ---- */

enum { SECRET_BYTES_MAX = 32 * 1024 };

/* A line that is not shown, from who sits at the terminal. */
static bool read_hidden(int terminal, const char *key, struct buf *to) {
    struct termios shown, hidden;
    uint8_t c;
    if (tcgetattr(terminal, &shown)) return false;
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(terminal, TCSAFLUSH, &hidden);
    dprintf(STDERR_FILENO, "%s: ", key);
    while (read(terminal, &c, 1) == 1 && c != '\n') buf_putc(to, c);
    tcsetattr(terminal, TCSAFLUSH, &shown);
    dprintf(STDERR_FILENO, "\n");
    return to->n > 0;
}

static bool read_all(int fd, struct buf *to) {
    uint8_t piece[4096];
    ssize_t n;
    while ((n = read(fd, piece, sizeof piece)) > 0 && to->n <= SECRET_BYTES_MAX) buf_put(to, piece, (size_t)n);
    if (to->n && to->p[to->n - 1] == '\n') to->n--; /* what echo and editors put there */
    return n >= 0;
}

static err read_secret(const char *key, struct buf *to, struct diag *d) {
    bool ok = isatty(STDIN_FILENO) ? read_hidden(STDIN_FILENO, key, to) : read_all(STDIN_FILENO, to);
    if (!ok) return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "no value came from standard input");
    if (to->n > SECRET_BYTES_MAX)
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "a secret has at most %d KiB", SECRET_BYTES_MAX / 1024);
    if (!str_is_utf8(buf_str(to)))
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "a secret is text in UTF-8; encode other bytes, in base64 for instance");
    return ERR_OK;
}

static void wipe(struct buf *b) {
    if (b->cap) explicit_bzero(b->p, b->cap);
    buf_free(b);
}

err node_command_secret_set(const struct node_where *where, const char *app, const char *key, struct diag *d) {
    arena *mem = arena_new(0);
    struct answer answer;
    struct buf value = {0}, b = {0};
    struct json_writer w = json_writer_of(&b);
    buf_reserve(&value, SECRET_BYTES_MAX + 8192); /* neither moves, and leaves a copy behind */
    buf_reserve(&b, 8 * SECRET_BYTES_MAX);
    err e = read_secret(key, &value, d);
    json_put_object(&w, NULL);
    json_put_str(&w, "value", buf_str(&value));
    json_put_end(&w);
    if (e == ERR_OK) e = node_ask_once(where, mem, "PUT", node_ask_path(mem, "/apps/%s/secrets/%s", app, key), &w, &answer, d);
    wipe(&value), wipe(&b);
    arena_free(mem);
    return e;
}

err node_command_secret_remove(const struct node_where *where, const char *app, const char *key, struct diag *d) {
    arena *mem = arena_new(0);
    struct answer answer;
    err e = node_ask_once(where, mem, "DELETE", node_ask_path(mem, "/apps/%s/secrets/%s", app, key), NULL, &answer, d);
    arena_free(mem);
    return e;
}

err node_command_secrets(const struct node_where *where, const char *app, bool json, FILE *to, struct diag *d) {
    static const char *const heads[] = {"SECRET", "SET", NULL};
    arena *mem = arena_new(0);
    struct answer answer;
    struct table t;
    err e = node_ask_once(where, mem, "GET", node_ask_path(mem, "/apps/%s/secrets", app), NULL, &answer, d);
    node_table_begin(&t, mem, heads);
    const struct json *secrets = e == ERR_OK ? json_get(&answer.body, "secrets") : NULL;
    if (e == ERR_OK && json) node_table_json(to, secrets);
    JSON_EACH(s, secrets) node_table_put(&t, member(s, "key")), node_table_put(&t, member(s, "changed"));
    if (e == ERR_OK && !json) node_table_print(&t, to);
    arena_free(mem);
    return e;
}

/* ---- tokens ---- */

static void put_token_row(struct table *t, const struct json *token) {
    str app = member(token, "app");
    node_table_fmt(t, "%lld", (long long)number(token, "id"));
    node_table_fmt(t, "%s" STR_FMT "%s", app.n ? "app " : "node", STR_ARG(app),
                   json_bool(json_get(token, "read_only")) ? ", reads" : "");
    node_table_put(t, json_count(json_get(token, "hosts")) ? list_text(t->mem, json_get(token, "hosts")) : STR("-"));
    node_table_put(t, member(token, "created"));
    node_table_put(t, member(token, "last_used").n ? member(token, "last_used") : STR("never"));
    node_table_put(t, member(token, "expires").n ? member(token, "expires") : STR("never"));
}

err node_command_tokens(const struct node_where *where, bool json, FILE *to, struct diag *d) {
    static const char *const heads[] = {"TOKEN", "FOR", "HOSTS", "MADE", "USED", "EXPIRES", NULL};
    arena *mem = arena_new(0);
    struct answer answer;
    struct table t;
    err e = node_ask_once(where, mem, "GET", STR("/tokens"), NULL, &answer, d);
    node_table_begin(&t, mem, heads);
    const struct json *tokens = e == ERR_OK ? json_get(&answer.body, "tokens") : NULL;
    if (e == ERR_OK && json) node_table_json(to, tokens);
    if (e == ERR_OK && !json && !json_count(tokens)) fputs("no token; orlo tokens create makes one\n", stderr);
    JSON_EACH(token, tokens) put_token_row(&t, token);
    if (e == ERR_OK && !json) node_table_print(&t, to);
    arena_free(mem);
    return e;
}

err node_command_token_make(const struct node_where *where, const struct node_token_config *c, bool json, FILE *to,
                            struct diag *d) {
    arena *mem = arena_new(0);
    struct answer answer;
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    json_put_object(&w, NULL);
    if (c->app) json_put_cstr(&w, "app", c->app);
    json_put_array(&w, "hosts");
    for (size_t i = 0; i < c->hosts_count; i++) json_put_cstr(&w, NULL, c->hosts[i]);
    json_put_end(&w);
    json_put_bool(&w, "read_only", c->read_only);
    if (c->expires_s) json_put_u64(&w, "expires_s", c->expires_s);
    json_put_end(&w);
    err e = node_ask_once(where, mem, "POST", STR("/tokens"), &w, &answer, d);
    if (e == ERR_OK && json) node_table_json(to, &answer.body);
    else if (e == ERR_OK) fprintf(to, STR_FMT "\n", STR_ARG(member(&answer.body, "token")));
    buf_free(&b);
    arena_free(mem);
    return e;
}

err node_command_token_revoke(const struct node_where *where, const char *id, struct diag *d) {
    arena *mem = arena_new(0);
    struct answer answer;
    err e = node_ask_once(where, mem, "DELETE", node_ask_path(mem, "/tokens/%s", id), NULL, &answer, d);
    arena_free(mem);
    return e;
}

/* ---- the node ---- */

static void print_notes(FILE *to, const struct json *notes) {
    JSON_EACH(note, notes) {
        str app = member(note, "app");
        fprintf(to, "! " STR_FMT "%s" STR_FMT "\n", STR_ARG(app), app.n ? ": " : "", STR_ARG(member(note, "text")));
    }
}

static void print_node(arena *mem, FILE *to, const struct json *n) {
    if (!n) return;
    fprintf(to, "workers      %lld, %lld died\nrequests     %lld so far, %lld connections\n", (long long)number(n, "workers"),
            (long long)number(n, "worker_deaths"), (long long)number(n, "requests"), (long long)number(n, "connections"));
    fprintf(to, "memory       " STR_FMT " of apps\nlogs         " STR_FMT "\n",
            STR_ARG(node_table_bytes(mem, (uint64_t)number(n, "memory_bytes"))),
            STR_ARG(node_table_bytes(mem, (uint64_t)number(n, "logs_bytes"))));
    if (json_get(n, "disk_bytes"))
        fprintf(to, "disk         " STR_FMT " free of " STR_FMT "\n",
                STR_ARG(node_table_bytes(mem, (uint64_t)number(n, "disk_free_bytes"))),
                STR_ARG(node_table_bytes(mem, (uint64_t)number(n, "disk_bytes"))));
    fprintf(to, "jobs         %lld run, %lld wait\n", (long long)number(n, "jobs_running"), (long long)number(n, "jobs_waiting"));
    if (!str_eqc(member(n, "collector"), "none"))
        fprintf(to, "traces       collector " STR_FMT ", %lld spans sent, %lld lost\n", STR_ARG(member(n, "collector")),
                (long long)number(n, "spans_exported"), (long long)number(n, "spans_lost"));
}

static void print_certificates(arena *mem, FILE *to, const struct json *all) {
    int64_t now = (int64_t)(clock_wall_ns() / 1'000'000'000u);
    JSON_EACH(c, all) {
        const struct json *names = json_get(c, "names");
        int64_t left = number(c, "not_after_s") - now;
        fprintf(to, "certificate  ");
        JSON_EACH(name, names) fprintf(to, STR_FMT " ", STR_ARG(name->s));
        if (left < 0) fprintf(to, "expired");
        else fprintf(to, "for " STR_FMT, STR_ARG(node_table_age(mem, (uint64_t)left)));
        fprintf(to, ", " STR_FMT " " STR_FMT "\n", STR_ARG(member(c, "source")), STR_ARG(member(c, "from")));
    }
}

static void print_status(arena *mem, FILE *to, const struct json *v) {
    fprintf(to, "orlo " STR_FMT " at " STR_FMT ", up for " STR_FMT "\n", STR_ARG(member(v, "version")), STR_ARG(member(v, "url")),
            STR_ARG(node_table_age(mem, (uint64_t)number(v, "uptime_ms") / 1000)));
    fprintf(to, "apps         %lld\ndeployments  %lld under way, %lld uploads\n", (long long)number(v, "apps"),
            (long long)number(v, "deployments"), (long long)number(v, "uploads"));
    print_node(mem, to, json_get(v, "node"));
    if (json_get(v, "node")) print_certificates(mem, to, json_get(json_get(v, "node"), "certificates"));
    print_notes(to, json_get(v, "notes"));
}

err node_command_status(const struct node_where *where, bool json, FILE *to, struct diag *d) {
    arena *mem = arena_new(0);
    struct answer answer;
    err e = node_ask_once(where, mem, "GET", STR("/status"), NULL, &answer, d);
    if (e == ERR_OK && json) node_table_json(to, &answer.body);
    else if (e == ERR_OK) print_status(mem, to, &answer.body);
    arena_free(mem);
    return e;
}

err node_command_reload(const struct node_where *where, FILE *to, struct diag *d) {
    arena *mem = arena_new(0);
    struct answer answer;
    err e = node_ask_once(where, mem, "POST", STR("/reload"), NULL, &answer, d);
    if (e == ERR_OK) fprintf(to, STR_FMT "\n", STR_ARG(member(&answer.body, "text")));
    arena_free(mem);
    return e;
}
