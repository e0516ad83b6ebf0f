/* grants: what an app may use, declared once; nothing is granted that stands not here.
 *
 * Text becomes grants here, for flags and manifests alike: every refusal says what was expected and how it is written.
 */
#ifndef ORLO_APP_GRANTS_H
#define ORLO_APP_GRANTS_H

#include "base/base.h"
#include "net/addr.h"

enum { APP_DIRS_MAX = 256, APP_NAMES_MAX = 256 /* of each list of names below */, APP_VALUE_MAX = 65536 };
struct app_env {
    str key, value;
};
struct app_dir {
    str host, guest; /* the folder here; the path that the guest sees, "/data" */
    bool read_only;
    int fd; /* the folder, once a worker has opened it, whose it is; not part of what is written */
};
/* A part of the network that the guest may use, by sockets or by HTTP requests. A host is one of: any, a name, a prefix. */
enum app_net_use {
#define X(name, text, what) APP_NET_##name,
#include "app/net_use.def"
#undef X
    APP_NET_USES
};
const char *app_net_use_text(enum app_net_use use); /* "tcp", "listen-udp" */
enum app_scheme { APP_SCHEME_ANY, APP_SCHEME_HTTP, APP_SCHEME_HTTPS, APP_SCHEMES };
str app_scheme_text(uint8_t scheme); /* "https://"; of any, empty */
struct app_net_rule {
    unsigned uses; /* 1 << enum app_net_use */
    bool any;      /* every host but those that must be named: wasi's net_rules.h */
    str name;      /* as net_name_ascii gives it; "*.example.org" any name below it; empty: the prefix */
    struct net_addr prefix;
    uint8_t bits;                /* of the prefix; 32 or 128 for one address */
    uint8_t scheme;              /* of requests: enum app_scheme */
    uint16_t port_from, port_to; /* 0 in the range: a guest may leave the choice of its own port to the system */
};
/* A secret of the app's, in the function's environment. */
struct app_secret_env {
    str env, secret;
};
/* A store, or a database, that the function knows by a label. */
struct app_store {
    str label, store;
};
/* What wasi:config and Spin's variables answer. */
struct app_variable {
    str name, value;
    bool
        secret; /* value is a template: "{{ KEY }}" stands for that secret of the app's, as often as it is there; braces mean nothing else */
};
struct app_grants {
    VEC(struct app_env) env;
    VEC(struct app_dir) dirs;
    VEC(struct app_secret_env) secrets;
    VEC(struct app_store) stores, sqlite; /* key-value stores; databases */
    VEC(str) functions;                   /* of the same app, that it may call as http://NAME.internal */
    VEC(str) roles;                       /* as whom it may ask the app's own database: "caller", a role's name, "*" any role */
    VEC(struct app_variable) variables;
    VEC(struct app_net_rule) allow_http, net; /* of HTTP requests: rules for tcp */
    str forward_scheme, forward_authority; /* the server that a 0.3 middleware's wasi:http/handler import reaches; empty: none */
};

/* Each adds to g what arg says. ERR_USAGE: d says what was expected, and how it is written; strings are copied to out. */

/* "K=V"; "K" takes the value from this process's environment (ERR_NOT_FOUND when it has none). */
[[nodiscard]] err app_grant_env(arena *out, struct app_grants *g, str arg, struct diag *d);
/* "HOST::GUEST", "HOST" (the guest sees the same path: absolute, or "."), either with ":ro" at the end. */
[[nodiscard]] err app_grant_dir(arena *out, struct app_grants *g, str arg, struct diag *d);
/* "HOST", "HOST:PORT", "https://HOST[:PORT]", "http://…" (then its usual port, where none stands there); HOST a name, *.NAME, address,
 * ADDRESS/BITS or *. */
[[nodiscard]] err app_grant_http(arena *out, struct app_grants *g, str arg, struct diag *d);
/* "tcp:HOST:PORT" and the like: grants_net.c has the forms. */
[[nodiscard]] err app_grant_net(arena *out, struct app_grants *g, str arg, struct diag *d);
/* "LABEL": letters, digits, _, - and . */
[[nodiscard]] err app_grant_store(arena *out, struct app_grants *g, str arg, struct diag *d);
[[nodiscard]] err app_grant_sqlite(arena *out, struct app_grants *g, str arg, struct diag *d);
/* "NAME=VALUE" */
[[nodiscard]] err app_grant_variable(arena *out, struct app_grants *g, str arg, struct diag *d);
/* "http://HOST[:PORT]" or https: where what a middleware passes on goes. */
[[nodiscard]] err app_grant_forward(arena *out, struct app_grants *g, str arg, struct diag *d);

/* ---- for whoever reads text of this kind ---- */

/* "--FLAG 'ARG': WHY; write --FLAG BETTER": ERR_USAGE. */
err app_flag_refuse(struct diag *d, const char *flag, str arg, const char *why, str better);
/* The port that too large a number was meant to be: its first digits. */
str app_port_meant(str digits);
bool app_parse_port(str s, bool zero_ok, uint16_t *out);
/* "HOST", "HOST:PORT", "[ADDRESS]:PORT", ":PORT". A bare IPv6 address has no port. False: the port is no port. */
bool app_cut_host_port(str arg, str *host, str *port);

/* As bytes, for a snapshot or a file; what is read borrows them, and is refused where it could not have been said as text. */
void app_grants_write(struct buf *to, const struct app_grants *g);
void app_grants_read(arena *out, struct rd *from, struct app_grants *g);
void app_grants_read_third(arena *out, struct rd *from, struct app_grants *g); /* as the third layout has them, and the second */
void app_grants_read_first(arena *out, struct rd *from, struct app_grants *g); /* as a record of the first layout has them */

#endif
