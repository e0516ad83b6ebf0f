/* sock: see sock/sock.h. What TCP and UDP have in common: making, counting, grants, binding, options. */
#include "wasi/sock/sock.h"
#include "wasi/sock/net_rules.h"
#include "wasi/notice.h"
#include <stdio.h>
#include <stdlib.h>

enum { SYSTEM_BYTES = 128 << 10 /* for the buffers that the system and net keep for one */, BACKLOG = 128 };

static struct wasi_net_rules rules_of(struct host_instance *in) {
    const struct app_grants *g = app_instance_of(in)->app->grants;
    return (struct wasi_net_rules){g->net.p, g->net.n};
}

/* ---- counting ---- */

static enum net_sock_error count_one(struct host_instance *in) {
    struct wasi_instance *i = wasi_instance_of(in);
    struct net_party *party = i->base.app->party;
    if (i->sockets >= i->base.app->limits->sockets_max || !net_party_take(party, NET_PART_SOCKETS, 1))
        return NET_SOCK_SOCKET_LIMIT;
    if (!host_charge(in, SYSTEM_BYTES)) {
        net_party_give(party, NET_PART_SOCKETS, 1);
        return NET_SOCK_OUT_OF_MEMORY;
    }
    i->sockets++;
    return NET_SOCK_OK;
}
static void uncount_one(struct host_instance *in) {
    wasi_instance_of(in)->sockets--;
    net_party_give(app_instance_of(in)->app->party, NET_PART_SOCKETS, 1);
    host_uncharge(in, SYSTEM_BYTES);
}

/* ---- making ---- */

static void destroy(struct host_instance *in, void *self) {
    struct wasi_sock *s = self;
    if (s->sock) uncount_one(in);
    net_sock_free(s->sock);
    if (s->peers) host_uncharge(in, SOCK_PEERS * sizeof *s->peers);
    free(s->peers);
}

static struct wasi_sock *make(struct host_instance *in, size_t size, enum net_sock_kind kind, bool v6) {
    struct wasi_sock *s = app_object_new(in, size, destroy);
    if (!s) return NULL;
    s->in = in;
    s->kind = kind;
    s->v6 = v6;
    s->backlog = BACKLOG;
    return s;
}

enum net_sock_error wasi_sock_adopt(struct host_instance *in, size_t size, struct net_sock *sock, enum net_sock_kind kind,
                                    bool v6, struct wasi_sock **out) {
    enum net_sock_error e = count_one(in);
    if (e != NET_SOCK_OK) return e;
    struct wasi_sock *s = make(in, size, kind, v6);
    if (!s) {
        uncount_one(in);
        return NET_SOCK_OUT_OF_MEMORY;
    }
    s->sock = sock;
    *out = s;
    return NET_SOCK_OK;
}

enum net_sock_error wasi_sock_new(struct host_instance *in, size_t size, enum net_sock_kind kind, bool v6, void *out) {
    struct wasi_sock *s = NULL;
    struct net_sock *sock;
    *(void **)out = NULL;
    if (!rules_of(in).count) {
        s = make(in, size, kind, v6);
        if (!s) return NET_SOCK_OUT_OF_MEMORY;
    } else {
        enum net_sock_error e = net_sock_new(wasi_instance_of(in)->base.app->loop, kind, v6, &sock);
        if (e != NET_SOCK_OK) return e;
        e = wasi_sock_adopt(in, size, sock, kind, v6, &s);
        if (e != NET_SOCK_OK) {
            net_sock_free(sock);
            return e;
        }
    }
    *(void **)out = s;
    return NET_SOCK_OK;
}

/* ---- grants ---- */

static void log_denial(struct host_instance *in, const char *use, const char *what) {
    char grant[320];
    snprintf(grant, sizeof grant, "--allow-net %s:%s", use, what);
    struct app_request *rq = app_request_in(in);
    app_request_lacks(rq, APP_LACK_NET, str_c(grant + sizeof "--allow-net"));
    if (!app_notice_due(app_instance_of(in), str_c(grant))) return;
    log_event(LOG_WARN, "network-denied", LF_STR("request", rq->id), LF_STR("app", rq->app->name), LF_CSTR("use", use),
              LF_CSTR("address", what), LF_CSTR("grant", grant));
}

bool wasi_sock_would_grant(const struct wasi_sock *s, enum app_net_use use, const struct net_addr *a) {
    return s->sock && wasi_net_rules_allow(rules_of(s->in), use, a, wasi_instance_of(s->in)->names);
}

enum net_sock_error wasi_sock_granted(struct wasi_sock *s, enum app_net_use use, const struct net_addr *a) {
    char text[NET_ADDR_TEXT_MAX];
    if (wasi_sock_would_grant(s, use, a)) return NET_SOCK_OK;
    log_denial(s->in, app_net_use_text(use), net_addr_text(a, true, text));
    return NET_SOCK_ACCESS_DENIED;
}

/* ---- addresses ---- */

/* No IPv4 in IPv6's clothes either. */
static bool wasi_sock_family_ok(const struct wasi_sock *s, const struct net_addr *a) {
    return a->v6 == s->v6 && net_addr_class(a) != NET_ADDR_MAPPED;
}

static bool all_zero(const struct net_addr *a) {
    static const struct net_addr none;
    return !memcmp(a->ip, none.ip, a->v6 ? 16 : 4);
}
bool wasi_sock_remote_ok(const struct wasi_sock *s, const struct net_addr *a) {
    return wasi_sock_family_ok(s, a) && a->port && !all_zero(a);
}

/* A port of the system's choice is bound by who may connect or send; a certain one by who may listen at it. */
static enum net_sock_error may_bind(struct wasi_sock *s, const struct net_addr *local) {
    enum app_net_use reach = s->kind == NET_SOCK_TCP ? APP_NET_TCP : APP_NET_UDP;
    enum app_net_use listen = s->kind == NET_SOCK_TCP ? APP_NET_LISTEN : APP_NET_LISTEN_UDP;
    s->serves = wasi_sock_would_grant(s, listen, local);
    if (s->serves || (s->sock && !local->port && wasi_net_rules_any(rules_of(s->in), reach))) return NET_SOCK_OK;
    return wasi_sock_granted(s, listen, local);
}

enum net_sock_error wasi_sock_bind(struct wasi_sock *s, const struct net_addr *local) {
    if (s->bound || s->state != SOCK_NEW) return NET_SOCK_INVALID_STATE;
    if (!wasi_sock_family_ok(s, local) || (s->kind == NET_SOCK_TCP && !net_addr_unicast(local))) return NET_SOCK_INVALID_ARGUMENT;
    enum net_sock_error e = may_bind(s, local);
    if (e == NET_SOCK_OK) e = net_sock_bind(s->sock, local);
    s->bound = e == NET_SOCK_OK;
    s->serves &= s->bound; /* or a port of the system's choice would be open to anybody later */
    if (s->bound) s->asked = *local;
    return e;
}

enum net_sock_error wasi_sock_local(struct wasi_sock *s, struct net_addr *out) {
    if (s->state == SOCK_CLOSED) return s->why;
    if (!s->bound || s->state == SOCK_CONNECTING) return NET_SOCK_INVALID_STATE;
    return net_sock_local(s->sock, out);
}

enum net_sock_error wasi_sock_remote(struct wasi_sock *s, struct net_addr *out) {
    if (s->state == SOCK_CLOSED) return s->why;
    *out = s->remote;
    return s->kind == NET_SOCK_TCP ? (s->state == SOCK_CONNECTED ? NET_SOCK_OK : NET_SOCK_INVALID_STATE)
           : s->peered             ? NET_SOCK_OK
                                   : NET_SOCK_INVALID_STATE;
}

struct net_addr wasi_sock_v4(uint16_t port, const void *octets) {
    struct net_addr a = {.port = port};
    memcpy(a.ip, octets, 4);
    return a;
}

struct net_addr wasi_sock_v6(uint16_t port, uint32_t flow, const void *groups, uint32_t scope) {
    struct net_addr a = {.v6 = true, .port = port, .flow = flow, .scope = scope};
    uint16_t g[8];
    memcpy(g, groups, sizeof g);
    for (int i = 0; i < 8; i++) {
        a.ip[2 * i] = (uint8_t)(g[i] >> 8);
        a.ip[2 * i + 1] = (uint8_t)g[i];
    }
    return a;
}

void wasi_sock_groups(const struct net_addr *a, void *groups) {
    uint16_t g[8];
    for (int i = 0; i < 8; i++) g[i] = (uint16_t)(a->ip[2 * i] << 8 | a->ip[2 * i + 1]);
    memcpy(groups, g, sizeof g);
}

/* ---- options ---- */

static enum net_sock_error has_options(const struct wasi_sock *s) {
    return s->state == SOCK_CLOSED ? s->why : s->state == SOCK_CONNECTING ? NET_SOCK_INVALID_STATE : NET_SOCK_OK;
}

enum net_sock_error wasi_sock_get(struct wasi_sock *s, enum net_sock_option o, uint64_t *value) {
    enum net_sock_error e = has_options(s);
    if (e != NET_SOCK_OK) return e;
    if (s->sock) return net_sock_get(s->sock, o, value);
    *value = s->options[o] ? s->options[o] : net_sock_option_initial(o);
    return NET_SOCK_OK;
}

enum net_sock_error wasi_sock_set(struct wasi_sock *s, enum net_sock_option o, uint64_t value) {
    if (!value && o != NET_SOCK_KEEP_ALIVE) return NET_SOCK_INVALID_ARGUMENT;
    enum net_sock_error e = has_options(s);
    if (e != NET_SOCK_OK) return e;
    if (s->sock) return net_sock_set(s->sock, o, value);
    s->options[o] = net_sock_option_clamp(o, value);
    return NET_SOCK_OK;
}

/* ---- names ---- */

static bool may_look_up(struct wasi_sock_lookup *k) {
    if (wasi_net_rules_allow_lookup(rules_of(k->in), k->name)) return true;
    char name[256];
    snprintf(name, sizeof name, STR_FMT, STR_ARG(k->name));
    log_denial(k->in, app_net_use_text(APP_NET_LOOKUP), name);
    return false;
}

/* The name in ASCII, charged. False: *k says why not. */
static bool take_name(struct wasi_sock_lookup *k, str name) {
    arena *scratch = arena_new(0);
    str ascii;
    k->error = SOCK_NAME_INVALID;
    if (net_name_ascii(scratch, name, &ascii)) {
        k->error = host_charge(k->in, ascii.n) ? SOCK_NAME_OK : SOCK_NAME_TEMPORARY;
        uint8_t *p = k->error == SOCK_NAME_OK ? malloc(ascii.n) : NULL;
        if (p) {
            memcpy(p, ascii.p, ascii.n);
            k->name = (str){p, ascii.n};
        }
    }
    arena_free(scratch);
    return k->error == SOCK_NAME_OK;
}

static void on_answer(void *arg) {
    static const enum wasi_sock_name_error errors[] = {
        [NET_LOOKUP_OK] = SOCK_NAME_OK,
        [NET_LOOKUP_NO_NAME] = SOCK_NAME_NONE,
        [NET_LOOKUP_TEMPORARY] = SOCK_NAME_TEMPORARY,
        [NET_LOOKUP_PERMANENT] = SOCK_NAME_PERMANENT,
    };
    struct wasi_sock_lookup *k = arg;
    k->error = errors[net_lookup_error(k->lookup)];
    wasi_instance_of(k->in)->lookups--;
    k->fn(k->arg);
}

void wasi_sock_lookup_start(struct wasi_sock_lookup *k, struct host_instance *in, str name, void (*fn)(void *arg), void *arg) {
    struct wasi_instance *i = wasi_instance_of(in);
    *k = (struct wasi_sock_lookup){.in = in, .fn = fn, .arg = arg};
    k->is_literal = net_addr_parse(name, &k->literal);
    if (k->is_literal || !take_name(k, name)) return;
    if (!may_look_up(k)) k->error = SOCK_NAME_DENIED;
    else if (i->lookups >= i->base.app->limits->lookups_max) k->error = SOCK_NAME_TEMPORARY;
    if (k->error != SOCK_NAME_OK) return;
    i->lookups++;
    k->lookup = net_lookup_new(i->base.app->loop, i->base.app->party, k->name, on_answer, k);
}

bool wasi_sock_lookup_done(const struct wasi_sock_lookup *k) { return !k->lookup || net_lookup_done(k->lookup); }

const struct net_addr *wasi_sock_lookup_addresses(struct wasi_sock_lookup *k, uint32_t *count) {
    *count = k->is_literal;
    if (!k->lookup) return &k->literal;
    struct wasi_instance *i = wasi_instance_of(k->in);
    const struct net_addr *list = net_lookup_addresses(k->lookup, count);
    if (!i->names) i->names = arena_make(i->base.mem, struct wasi_net_names);
    wasi_net_names_learn(i->names, rules_of(k->in), k->name, list, *count);
    return list;
}

void wasi_sock_lookup_end(struct wasi_sock_lookup *k) {
    if (k->lookup && !net_lookup_done(k->lookup)) wasi_instance_of(k->in)->lookups--;
    net_lookup_free(k->lookup);
    k->lookup = NULL;
    if (k->name.p) host_uncharge(k->in, k->name.n);
    free((void *)(uintptr_t)k->name.p);
    k->name = (str){0};
}
