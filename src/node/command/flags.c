/* flags: see flags.h. */
#include "node/command/flags.h"
#include "base/json.h"
#include <errno.h>
#include <stdlib.h>

/* TOML's basic strings are JSON's, as they are written here. */
static void put_string(struct buf *to, str s) {
    buf_putc(to, '"');
    json_escape(to, s);
    buf_putc(to, '"');
}

static void put_list(struct buf *to, const char *key, const char *const *list, size_t n) {
    if (!n) return;
    buf_printf(to, "%s = [", key);
    for (size_t i = 0; i < n; i++) {
        if (i) buf_puts(to, STR(", "));
        put_string(to, str_c(list[i]));
    }
    buf_puts(to, STR("]\n"));
}

static void put_env(struct buf *to, const struct app_grants *g) {
    if (!g->env.n) return;
    buf_puts(to, STR("env = { "));
    for (uint32_t i = 0; i < g->env.n; i++) {
        if (i) buf_puts(to, STR(", "));
        put_string(to, g->env.p[i].key);
        buf_puts(to, STR(" = "));
        put_string(to, g->env.p[i].value);
    }
    buf_puts(to, STR(" }\n"));
}

static void put_labels(struct buf *to, const char *key, const struct app_store *list, uint32_t n) {
    if (!n) return;
    buf_printf(to, "%s = [", key);
    for (uint32_t i = 0; i < n; i++) {
        if (i) buf_puts(to, STR(", "));
        put_string(to, list[i].label);
    }
    buf_puts(to, STR("]\n"));
}

static void put_variables(struct buf *to, const struct app_grants *g) {
    if (!g->variables.n) return;
    buf_puts(to, STR("variables = { "));
    for (uint32_t i = 0; i < g->variables.n; i++) {
        if (i) buf_puts(to, STR(", "));
        put_string(to, g->variables.p[i].name);
        buf_puts(to, STR(" = "));
        put_string(to, g->variables.p[i].value);
    }
    buf_puts(to, STR(" }\n"));
}

/* Folders as the node sees them, which may run elsewhere. */
static err put_dirs(struct buf *to, const struct app_grants *g, struct diag *d) {
    if (!g->dirs.n) return ERR_OK;
    buf_puts(to, STR("dirs = ["));
    for (uint32_t i = 0; i < g->dirs.n; i++) {
        const struct app_dir *dir = &g->dirs.p[i];
        char *path = realpath((const char *)dir->host.p, NULL);
        if (!path)
            return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "the folder " STR_FMT " cannot be granted (--dir): %s",
                            STR_ARG(dir->host), strerror(errno));
        struct buf one = {0};
        buf_printf(&one, "%s::" STR_FMT "%s", path, STR_ARG(dir->guest), dir->read_only ? ":ro" : "");
        if (i) buf_puts(to, STR(", "));
        put_string(to, buf_str(&one));
        buf_free(&one);
        free(path);
    }
    buf_puts(to, STR("]\n"));
    return ERR_OK;
}

static void put_limits(struct buf *to, const struct app_limits *limits) {
    buf_puts(to, STR("limits = {"));
    bool any = false;
    for (int id = 0; id < APP_SETTINGS; id++) {
        const struct app_setting *s = &app_settings[id];
        const uint64_t *at = app_limits_at((struct app_limits *)(uintptr_t)limits, (enum app_setting_id)id);
        if (!at || !*at) continue;
        const char *form = s->type == APP_BYTES ? "\"%lluB\"" : s->type == APP_MS ? "\"%llums\"" : "%llu";
        buf_printf(to, "%s%s = ", any ? ", " : " ", s->key);
        char value[40];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(value, sizeof value, form, (unsigned long long)*at);
#pragma GCC diagnostic pop
        buf_puts(to, str_c(value));
        any = true;
    }
    buf_puts(to, STR(" }\n"));
}

static err check_twice(const char *flag, const char *const *list, size_t n, struct diag *d) {
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            if (!strcmp(list[i], list[k]))
                return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--%s %s stands there twice", flag, list[i]);
    return ERR_OK;
}

/* The file's name, as far as a function may be called that. */
static void put_name(struct buf *to, str source) {
    char name[64];
    size_t n = 0;
    for (; n < source.n && n < sizeof name - 1; n++) {
        uint8_t c = source.p[n], low = c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
        bool fits = (low >= 'a' && low <= 'z') || (low >= '0' && low <= '9') || low == '-' || low == '_' || low == '.';
        name[n] = (char)(fits ? low : '-');
    }
    put_string(to, (str){(const uint8_t *)name, n});
}

err node_flags_manifest(const struct node_deploy_config *c, str source, struct buf *to, struct diag *d) {
    TRY(check_twice("host", c->hosts, c->hosts_count, d));
    TRY(check_twice("route", c->routes, c->routes_count, d));
    buf_puts(to, STR("name = "));
    put_string(to, str_c(c->app));
    buf_putc(to, '\n');
    put_list(to, "hosts", c->hosts, c->hosts_count);
    put_limits(to, &c->limits); /* all of the app's, which are its function's as well */
    buf_puts(to, STR("\n[functions."));
    put_name(to, source);
    buf_puts(to, STR("]\nsource = "));
    put_string(to, source);
    buf_putc(to, '\n');
    static const char *const everywhere[] = {"/"};
    put_list(to, "routes", c->routes_count ? c->routes : everywhere, c->routes_count ? c->routes_count : 1);
    put_env(to, &c->grants);
    TRY(put_dirs(to, &c->grants, d));
    put_list(to, "allow_http", c->allow_http, c->allow_http_count);
    put_list(to, "allow_net", c->allow_net, c->allow_net_count);
    put_labels(to, "stores", c->grants.stores.p, c->grants.stores.n);
    put_labels(to, "sqlite", c->grants.sqlite.p, c->grants.sqlite.n);
    put_variables(to, &c->grants);
    if (c->forward) {
        buf_puts(to, STR("forward = "));
        put_string(to, str_c(c->forward));
        buf_putc(to, '\n');
    }
    return ERR_OK;
}
