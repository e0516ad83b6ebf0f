/* hosts: whose each host is: a table of the hosts of all versions that are served, so that whoever brings one need not be compared with every app.
 * "*" is the host of who answers for all that are nobody's.
 *
 * 1. Each app in control's memory has an entry for each host of its live version and of its canary; they borrow its strings.
 * 2. There are no more entries than chains.
 */
#include "node/control/control_int.h"
#include <stdlib.h>

struct control_host {
    struct control_host *next;
    str host;
    const struct control_app *app;
};

static str every(void) { return STR("*"); }

static struct control_host **chain(const struct control_hosts *h, str host) { return &h->chains[str_hash(host) & (h->cap - 1)]; }

static void grow(struct control_hosts *h) {
    struct control_hosts more = {.cap = h->cap ? h->cap * 2 : 64, .n = h->n};
    more.chains = calloc(more.cap, sizeof(struct control_host *));
    ENSURE(more.chains);
    for (uint32_t i = 0; i < h->cap; i++)
        for (struct control_host *at = h->chains[i], *next; at; at = next) {
            struct control_host **to = chain(&more, at->host);
            next = at->next;
            at->next = *to;
            *to = at;
        }
    free(h->chains);
    *h = more;
}

static void add(struct control_hosts *h, str host, const struct control_app *app) {
    if (h->n == h->cap) grow(h);
    struct control_host *e = malloc(sizeof *e), **to = chain(h, host);
    ENSURE(e);
    *e = (struct control_host){*to, host, app};
    *to = e;
    h->n++;
}

/* The app's other version may have the same host: both entries go, as both versions do. */
static void remove_all(struct control_hosts *h, str host, const struct control_app *app) {
    if (!h->cap) return;
    for (struct control_host **at = chain(h, host), *e; (e = *at);) {
        if (e->app != app || !str_eq(e->host, host)) {
            at = &e->next;
            continue;
        }
        *at = e->next;
        free(e);
        h->n--;
    }
}

static void each(struct control_hosts *h, const struct control_served *s, const struct control_app *app,
                 void (*does)(struct control_hosts *h, str host, const struct control_app *app)) {
    if (!s) return;
    for (uint32_t i = 0; i < s->hosts.n; i++) does(h, s->hosts.p[i], app);
    if (s->is_default) does(h, every(), app);
}

void node_hosts_add(struct control *c, const struct control_app *app) {
    each(&c->hosts, app->state.live, app, add);
    each(&c->hosts, app->state.canary, app, add);
}

void node_hosts_remove(struct control *c, const struct control_app *app) {
    each(&c->hosts, app->state.live, app, remove_all);
    each(&c->hosts, app->state.canary, app, remove_all);
}

static err check(const struct control_hosts *h, str host, uint32_t id, struct diag *d) {
    const struct control_host *e = h->cap ? *chain(h, host) : NULL;
    while (e && (e->app->id == id || !str_eq(e->host, host))) e = e->next;
    if (!e) return ERR_OK;
    if (str_eq(host, every()))
        return diag_set(d, ERR_BUSY, DIAG_NOWHERE,
                        "the host * belongs to the app " STR_FMT ": leave it out, or delete that app first",
                        STR_ARG(e->app->name));
    return diag_set(d, ERR_BUSY, DIAG_NOWHERE,
                    "the host " STR_FMT " belongs to the app " STR_FMT ": take another, or delete that app first", STR_ARG(host),
                    STR_ARG(e->app->name));
}

err node_hosts_check(const struct control *c, const struct control_served *s, uint32_t id, struct diag *d) {
    if (!s) return ERR_OK;
    if (s->is_default) TRY(check(&c->hosts, every(), id, d));
    for (uint32_t i = 0; i < s->hosts.n; i++) TRY(check(&c->hosts, s->hosts.p[i], id, d));
    return ERR_OK;
}
