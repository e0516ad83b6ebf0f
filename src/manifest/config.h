/* config: what an operator says of a node: the file of `orlo node --config FILE`, and what apps may at most be granted.
 *
 * The file is TOML; config.def has a row for each key. A job reads it (manifest_read), and what comes out travels as bytes: who applies it
 * parses no TOML. What it does not say is 0, empty or -1, and a flag of the command line says otherwise.
 */
#ifndef ORLO_MANIFEST_CONFIG_H
#define ORLO_MANIFEST_CONFIG_H

#include "app/record.h"

enum { MANIFEST_LISTEN_MAX = 16, MANIFEST_CORDONS_MAX = 64, MANIFEST_PROXIES_MAX = 256, MANIFEST_CERTIFICATES_MAX = 256 };

struct manifest_listen {
    str address; /* "127.0.0.1:8080", ":80": as --listen has it */
    bool proxy_protocol, tls;
};
struct manifest_certificate { /* files */
    str cert, key;
    str ocsp; /* empty: none */
};
struct manifest_tls {
    VEC(struct manifest_certificate) certificates; /* the first is shown to who names no host, and to who names an unknown one */
    str client_ca;                                 /* a file; empty: none */
    bool tls13_alone;
};
struct manifest_prefix {
    struct net_addr prefix;
    uint8_t bits;
};
struct manifest_cordon {
    str name;
    VEC(str) apps;    /* by name; "team-*" all that begin so */
    uint32_t workers; /* 0: one */
    str data;         /* a folder of its own for its apps' data; empty: the node's */
};
struct manifest_folder { /* it and all below it */
    str path;
    bool read_only;
};
struct
    manifest_allow { /* the most that an app may be granted; what is not said: all to who deploys at the node's socket, and to others no
                         * folder, no listening, and of the network what is public */
    bool http_said, net_said, dirs_said;
    VEC(struct app_net_rule) http, net;
    VEC(struct manifest_folder) dirs;
};
struct manifest_otlp {
    str endpoint;                /* "http://127.0.0.1:4318"; empty: nothing is sent */
    VEC(struct app_env) headers; /* of its requests */
    uint32_t sample_ppm;         /* of a million requests without a parent, so many are sampled */
    bool json;                   /* else protobuf */
};
struct manifest_mail {
    struct app_mail relay; /* host empty: there is none; secret is the password itself */
    uint32_t per_app_hour;
};
enum { MANIFEST_AUTHORITIES_MAX = 8, MANIFEST_ACME_HOSTS_MAX = 1024 };
enum manifest_acme_challenge { MANIFEST_ACME_ANY, MANIFEST_ACME_HTTP_01, MANIFEST_ACME_TLS_ALPN_01, MANIFEST_ACME_CHALLENGES };
struct manifest_acme {
    VEC(str) directories;                 /* none: there are no certificates to be asked for */
    VEC(str) hosts;                       /* none: all */
    str email, ca_file, eab_kid, eab_key; /* eab_key: base64url */
    bool terms;
    uint32_t challenge;
};
enum { MANIFEST_UNSAID = -1 };
struct manifest_config {
    VEC(struct manifest_listen) listen;
    str admin;  /* "127.0.0.1:8089"; empty: not said */
    str domain; /* apps are at NAME.domain; empty: "localhost" */
    str url;    /* how the world sees the node: "https://example.org"; empty: as it listens */
    str state, key_file;
    uint64_t settings[APP_SETTINGS]; /* of scope NODE, CONNECTION and COMPILE */
    struct app_limits defaults, max; /* of apps: what they have unless they say, and the most they may say */
    struct manifest_allow allow;
    VEC(struct manifest_prefix) trusted_proxies;
    VEC(struct manifest_cordon) cordons;
    struct manifest_otlp otlp;
    struct manifest_mail mail;
    struct manifest_tls tls;
    struct manifest_acme acme;
    int access_log, logs_stderr; /* 0, 1, MANIFEST_UNSAID */
    int log_json, log_level;     /* log_level: enum log_level */
};
/* Where nothing is said. */
void manifest_config_init(struct manifest_config *c);
void manifest_config_write(struct buf *to, const struct manifest_config *c);
/* Strings borrow what is read. Else rd_fail. */
void manifest_config_read(arena *out, struct rd *from, struct manifest_config *c);

/* ---- the operator's maxima ---- */

struct manifest_deployer {
    bool owner;       /* at the node's own socket, or with a token of the whole node */
    const str *hosts; /* that its token has: "shop.example.org", "*.example.org"; of an owner all */
    size_t hosts_count;
};
/* Whether an app may have what its record grants: its limits, hosts, folders, network. ERR_DENIED: d says which key, and who could allow it. */
[[nodiscard]] err manifest_within(const struct app_record *r, const struct manifest_config *c,
                                  const struct manifest_deployer *who, struct diag *d);

#endif
