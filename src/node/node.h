/* node: processes around guests, each in its role (roles.def), and what they say to each other (wire.def).
 *
 *   cli ── node_serve ── supervisor ─┬─ control  what there is to serve; records, images, deployments
 *                                    ├─ keys     signs images
 *                                    ├─ job …    untrusted wasm in, image out; no files, no network, bounded
 *                                    └─ worker … its own listening sockets, an event loop, instances, guests
 *   cli ── node_run ──── job, keys, then this process becomes the one worker of a command
 *
 * 1. Untrusted wasm is parsed in a job and nowhere else. A worker maps images that this node, or a key it trusts, signed.
 * 2. The supervisor opens every listening socket, one per worker and address, and keeps them: a worker that dies loses the
 *    requests it had taken, not those that wait in its queue.
 * 3. Nothing is granted by default; a process that runs guests can exec nothing and reach no file that was not granted.
 */
#ifndef ORLO_NODE_H
#define ORLO_NODE_H

#include "app/grants.h"
#include "app/settings.h"
#include "net/forwarded.h"
#include <stdio.h>

/* ---- what bounds the process: app/settings.def ---- */

struct node_limits {       /* 0: not said, and so the default */
    struct app_limits app; /* of each app that says nothing else */
#define SETTING_FIELD_APP(field)
#define SETTING_FIELD_NODE(field) uint64_t field;
#define SETTING_FIELD_CONNECTION(field) uint64_t field;
#define SETTING_FIELD_COMPILE(field) uint64_t field;
#define SETTING(scope, field, ...) SETTING_FIELD_##scope(field)
#include "app/settings.def"
#undef SETTING
#undef SETTING_FIELD_APP
#undef SETTING_FIELD_NODE
#undef SETTING_FIELD_CONNECTION
#undef SETTING_FIELD_COMPILE
};

/* ---- serve ---- */

struct node_listen {
    str host; /* name or address; empty: every address */
    uint16_t port;
    bool proxied; /* connections begin with a PROXY header */
    bool tls;
};
/* "HOST:PORT", ":PORT", "PORT", "[::1]:PORT", "HOST" (port 8080). */
[[nodiscard]] err node_listen_parse(arena *out, str arg, struct node_listen *to, struct diag *d);

/* A set of apps that have workers of their own, and share no process with others'. */
struct node_cordon {
    str name;
    const str *apps; /* by name, there or to come */
    size_t apps_count;
    uint32_t workers; /* 0: one */
    str data;         /* the folder of their data; empty: the node's */
};
#define NODE_OTLP_UNSAID UINT32_MAX
struct node_otlp { /* where spans go */
    str endpoint;  /* "http://127.0.0.1:4318", /v1/traces is added; empty: nowhere */
    const struct app_env *headers;
    size_t headers_count;
    uint32_t sample_ppm; /* of a million requests without a parent; NODE_OTLP_UNSAID: the default, 1 % */
    bool json;           /* else protobuf */
};
struct node_serve_config {
    const char *file; /* .wasm or image, the one app; NULL: a node, whose apps are in the state folder */
    const struct node_listen *listen;
    size_t listen_count; /* 0: 127.0.0.1:8080 */
    const struct node_cordon *cordons;
    size_t cordons_count;
    const struct net_prefix *trusted; /* proxies before us: what they say of where a request comes from is so */
    size_t trusted_count;
    str url; /* how the world sees the node: "https://example.org"; empty: as it listens */
    struct app_grants grants;
    struct node_limits limits;
    const char *config_file;         /* of a node: what it says, where flags say nothing; read again by SIGHUP. NULL: none */
    const struct node_listen *admin; /* of a node; NULL: 127.0.0.1:8089, if it is free. Loopback alone */
    bool no_admin;
    bool no_access_log;
    bool logs_alone; /* lines of apps are in their own logs, and not on standard error */
    struct node_otlp otlp;
    bool dev;             /* its pages say to whoever asks what only who deploys may know elsewhere */
    const char *key_file; /* with the key that secrets are sealed with; NULL: systemd's credential, or the state folder's */
    const char
        *state_dir; /* where the node's key is, and all that it has; NULL: the default. With a file read only for an image */
};
/* Runs until SIGTERM or SIGINT. ERR_OK after a drain. Otherwise d says what is wrong:
 * ERR_NOT_FOUND, ERR_IO (the file), ERR_MALFORMED, ERR_INVALID, ERR_UNSUPPORTED, ERR_LINK, ERR_SIGNATURE (its content),
 * ERR_BUSY (a port), ERR_DENIED (a folder, a privileged port), ERR_LIMIT, ERR_USAGE. */
[[nodiscard]] err node_serve(const struct node_serve_config *config, struct diag *d);

/* ---- run ---- */

struct node_run_config {
    const char *file;
    const char *const *args; /* the guest's, after its own name */
    size_t args_count;
    struct app_grants grants;
    struct node_limits limits;
    const char *state_dir;
};
/* Runs a command with this process's standard streams; *status is the guest's exit status. A guest's trap is printed to
 * stderr with its backtrace and gives ERR_TRAP. */
[[nodiscard]] err node_run(const struct node_run_config *config, int *status, struct diag *d);

/* ---- dev ---- */

struct node_dev_config {
    const char *dir; /* of the project: orlo.toml, spin.toml … */
    const struct node_listen *listen;
    size_t listen_count; /* 0: every address, port 8080 or the next that is free */
    struct node_limits limits;
    bool colour; /* of what is printed */
};
/* Builds, serves, and does so again whenever a file changes, until SIGTERM or SIGINT. What is wrong with the project is printed, and waited for to
 * be mended; but with a manifest that cannot be read at the start: ERR_NOT_FOUND, ERR_MALFORMED, ERR_INVALID. ERR_IO, ERR_BUSY. */
[[nodiscard]] err node_dev(const struct node_dev_config *config, struct diag *d);

/* The first thing in main: processes of the node's own are this same program. In one of
 * those it does not return. */
void node_be(char **argv);

/* ---- commands to a node that runs: by the admin API (control/api.def) ----
 *
 * All of them: ERR_NOT_FOUND: there is no such app, or no node; ERR_DENIED: another user's node, a token that is none or for something else;
 * ERR_NETWORK, ERR_CLOSED: nobody answers, or not to the end; ERR_UNSUPPORTED: that node cannot do it. What is printed goes to `to`: tables on a
 * terminal, tabs elsewhere, or JSON. */

struct node_where {
    const char *state_dir; /* by its socket there; NULL: the default */
    const char *url;       /* or there, with a token (NULL: $ORLO_TOKEN); NULL: by the socket */
    const char *token;
};

struct json; /* base/json.h */
struct node_deploy_config {
    struct node_where where;
    const char *path; /* a folder with a manifest, a manifest, or a component, which needs an app; NULL: this folder */
    const char *app;  /* NULL: the manifest says it */
    bool dry_run, no_build, not_live, strict; /* strict: what migrations would only raise when it is run is refused */
    /* Of a component all that it is to have; with a manifest hosts and env are added to what that says. */
    const char *const *hosts; /* besides APP.localhost: "HOST", "*.HOST"; "*": every host that is no other app's */
    size_t hosts_count;
    const char *const *routes; /* "/api", "=/health"; none: every path */
    size_t routes_count;
    const char *const *allow_http, *const *allow_net;
    size_t allow_http_count, allow_net_count;
    const char *forward;
    struct app_grants grants; /* the same, read: env, dirs, stores, sqlite and variables are taken of it */
    struct app_limits limits;
};
struct node_deployed {
    const struct json *result; /* control/schema.def's Deployment; in out. NULL: it came to none */
    uint64_t ns;
    bool of_file; /* where it is not ERR_OK: what is wrong is the file's, not what else was asked for */
};
/* ERR_OK: it is live, and stays. Else the app is as it was: as node_serve; ERR_BUSY: another app has the host. */
[[nodiscard]] err node_command_deploy(arena *out, const struct node_deploy_config *config, struct node_deployed *to,
                                      struct diag *d);

/* ---- backups: on the node's machine ---- */

struct node_backup_config {
    struct node_where where; /* its state folder */
    const char *path;        /* of the backups' folder */
    const char *at, *app;    /* of a restore: "2026-01-31T10:15:00Z", "2h"; NULL: the latest; all apps */
    FILE *to;
    bool keys;      /* the backup has them, too */
    bool no_verify; /* it is not restored once */
};
/* ERR_BUSY: a backup is being made already. */
[[nodiscard]] err node_command_backup(const struct node_backup_config *c, struct diag *d);
/* ERR_BUSY: a node runs there, or the folder has a state already; ERR_NOT_FOUND, ERR_MALFORMED, ERR_UNSUPPORTED (of a newer format). */
[[nodiscard]] err node_command_restore(const struct node_backup_config *c, struct diag *d);

/* ---- an app's database: orlo db ---- */

struct node_db_config {
    arena *mem;
    struct node_where where;
    const char *app;                   /* NULL: the manifest's */
    const char *operand, *second;      /* what follows the verb: a folder, a file, a table; NULL: nothing did */
    const char *as, *claims, *command; /* NULL: not said */
    FILE *to;
    const char *engine; /* of check: "sqlite", "postgres"; NULL: the former */
    bool yes, json, csv, dry_run, schema_only, data_only, writes, mark, drop_old, strict, all, no_lint;
};
/* Mistakes of files are printed to stderr, a line each. ERR_INVALID: there are some, or a migration cannot be; ERR_USAGE: --yes is missing. */
[[nodiscard]] err node_db_migrate(const struct node_db_config *c, struct diag *d);
[[nodiscard]] err node_db_status(const struct node_db_config *c, struct diag *d);
[[nodiscard]] err node_db_reset(const struct node_db_config *c, struct diag *d);
[[nodiscard]] err node_db_diff(const struct node_db_config *c, struct diag *d);
[[nodiscard]] err node_db_dump(const struct node_db_config *c, struct diag *d);
[[nodiscard]] err node_db_pull(const struct node_db_config *c, struct diag *d);
[[nodiscard]] err node_db_restore(const struct node_db_config *c, struct diag *d);
[[nodiscard]] err node_db_query(const struct node_db_config *c, struct diag *d);
[[nodiscard]] err node_db_explain(const struct node_db_config *c, struct diag *d);
[[nodiscard]] err node_db_check(const struct node_db_config *c, uint32_t *errors, struct diag *d);
[[nodiscard]] err node_db_types(const struct node_db_config *c, struct diag *d);
[[nodiscard]] err node_db_move(const struct node_db_config *c, struct diag *d);

[[nodiscard]] err node_command_apps(const struct node_where *where, bool json, FILE *to, struct diag *d);
[[nodiscard]] err node_command_delete(const struct node_where *where, const char *app, struct diag *d);
[[nodiscard]] err node_command_versions(const struct node_where *where, const char *app, bool json, FILE *to, struct diag *d);
/* version 0: the one that was served before. */
[[nodiscard]] err node_command_rollback(const struct node_where *where, const char *app, uint32_t version, bool json, FILE *to,
                                        struct diag *d);
[[nodiscard]] err node_command_promote(const struct node_where *where, const char *app, uint32_t version, uint32_t permille,
                                       bool json, FILE *to, struct diag *d);
/* The value is what comes from standard input; from a terminal, a line that is not shown. */
[[nodiscard]] err node_command_secret_set(const struct node_where *where, const char *app, const char *key, struct diag *d);
[[nodiscard]] err node_command_secret_remove(const struct node_where *where, const char *app, const char *key, struct diag *d);
[[nodiscard]] err node_command_secrets(const struct node_where *where, const char *app, bool json, FILE *to, struct diag *d);
/* Who the node is by TLS; renew: a host whose certificate is asked for now, NULL: what there is, is shown. */
[[nodiscard]] err node_command_certs(const struct node_where *where, const char *renew, bool json, FILE *to, struct diag *d);
/* What an app's callers are known by. */
struct node_keys_config {
    const struct node_where *where;
    enum {
        NODE_KEYS_SHOW, /* as lines for an .env file */
        NODE_KEYS_LIST,
        NODE_KEYS_CREATE, /* which: a name; NULL: one that signs */
        NODE_KEYS_ROTATE, /* which: as revoke has it; NULL: what signs */
        NODE_KEYS_REVOKE, /* which: a name, an id, or how one of either begins */
        NODE_KEYS_IMPORT, /* from standard input; which: a name, of one that does not sign */
        NODE_KEYS_TOKEN,
    } verb;
    const char *app, *which, *algorithm, *as, *claims;
    bool secret, standby, json;
    const uint64_t *overlap_s; /* NULL: as the node has it */
    uint64_t expires_s;        /* 0: the same */
    FILE *to;
};
[[nodiscard]] err node_command_keys(const struct node_keys_config *c, struct diag *d);
/* An app's users. */
struct node_users_config {
    arena *mem;
    struct node_where where;
    const char *app;                         /* NULL: the manifest's */
    const char *operand, *second;            /* what follows the verb */
    const char *from, *hashes, *hash_config; /* of an import: which service's; files; NULL: none */
    const char *jwt_secret;                  /* of orlo import: a file */
    const char *since;
    FILE *to;
    bool json, yes, dry_run;
};
[[nodiscard]] err node_users_list(const struct node_users_config *c, struct diag *d);
[[nodiscard]] err node_users_add(const struct node_users_config *c,
                                 struct diag *d); /* a password comes from standard input, or none */
[[nodiscard]] err node_users_ban(const struct node_users_config *c, struct diag *d);
[[nodiscard]] err node_users_unban(const struct node_users_config *c, struct diag *d);
[[nodiscard]] err node_users_export(const struct node_users_config *c, struct diag *d);
[[nodiscard]] err node_users_delete(const struct node_users_config *c, struct diag *d);
[[nodiscard]] err node_users_audit(const struct node_users_config *c, struct diag *d);
/* A whole project, of its dumps: operand, and perhaps second; into the app of this folder. */
[[nodiscard]] err node_import_supabase(const struct node_users_config *c, struct diag *d);
/* Whom the database does not take is told to stderr, by his line; *refused: how many. */
[[nodiscard]] err node_users_import(const struct node_users_config *c, uint64_t *refused, struct diag *d);

/* Until there is no more, or nobody to read it. */
/* since: "10m", "2026-01-31T10:00:00Z"; level: "warn" and above; NULL: all. */
[[nodiscard]] err node_command_logs(const struct node_where *where, const char *app, bool follow, const char *lines,
                                    const char *since, const char *level, bool json, FILE *to, struct diag *d);
[[nodiscard]] err node_command_status(const struct node_where *where, bool json, FILE *to, struct diag *d);
/* sort: "requests" (NULL), "errors", "p99", "cpu", "memory", "name". On a terminal until it is enough, unless once. */
[[nodiscard]] err node_command_top(const struct node_where *where, const char *sort, bool once, bool json, FILE *to,
                                   struct diag *d);
struct node_upgrade_config {
    const char *state_dir; /* of the node; NULL: the default */
    const char *program;   /* that takes its place; NULL: the one that is now where the node's was started from */
    bool check;            /* only says what would happen */
};
/* Whatever it returns but ERR_OK, the node serves as before: ERR_UNSUPPORTED: that program cannot take its place; ERR_BUSY; ERR_NOT_FOUND, ERR_DENIED. */
[[nodiscard]] err node_upgrade(const struct node_upgrade_config *config, FILE *to, struct diag *d);
[[nodiscard]] err node_command_reload(const struct node_where *where, FILE *to, struct diag *d);
[[nodiscard]] err node_command_tokens(const struct node_where *where, bool json, FILE *to, struct diag *d);
struct node_token_config {
    const char *app; /* NULL: of the node */
    const char *const *hosts;
    size_t hosts_count;
    bool read_only;
    uint64_t expires_s; /* 0: never */
};
[[nodiscard]] err node_command_token_make(const struct node_where *where, const struct node_token_config *c, bool json, FILE *to,
                                          struct diag *d);
[[nodiscard]] err node_command_token_revoke(const struct node_where *where, const char *id, struct diag *d);

/* ---- compile, inspect ---- */

struct node_compile_config {
    const char *file, *output;
    struct node_limits limits;
    const char *state_dir;
    const char *target; /* "x86-64", "aarch64"; NULL: this machine */
};
struct node_compiled {
    uint64_t wasm_bytes, image_bytes, ns;
};
/* Writes an image signed by the node's key, which is made at the first use. The output appears whole or not at all.
 * ERR_IO: the output cannot be written; otherwise as node_serve. */
[[nodiscard]] err node_compile(const struct node_compile_config *config, struct node_compiled *out, struct diag *d);

/* ---- manifests ---- */

struct manifest; /* manifest/manifest.h */
struct manifest_config;
/* Read by a job. Of a folder: its orlo.toml, else spin.toml, else supabase/config.toml; or one of those itself: *file is its path, in out.
 * name: the app's, where it says none or another is wanted; empty: none. ERR_OK though it may have errors: m->errors. ERR_NOT_FOUND, ERR_DENIED,
 * ERR_IO, ERR_USAGE, ERR_LIMIT. */
[[nodiscard]] err node_manifest(arena *out, const char *path, str name, struct manifest *m, const char **file, struct diag *d);
/* A node's configuration. ERR_INVALID: d has the first error with its line. */
[[nodiscard]] err node_config_read(arena *out, const char *path, struct manifest_config **config, struct diag *d);

struct node_check_config {
    const char *path; /* an app's folder, its manifest, or a node's configuration */
    bool json;
    struct node_limits limits;
};
/* Writes all that is wrong to `to`; *errors: how much of it. Not ERR_OK: there is nothing to check, as node_manifest. */
[[nodiscard]] err node_check(const struct node_check_config *config, FILE *to, uint32_t *errors, struct diag *d);

enum node_inspect_format { NODE_INSPECT_TEXT, NODE_INSPECT_JSON, NODE_INSPECT_WAT };
struct node_inspect_config {
    const char *file;
    enum node_inspect_format format; /* of an image only TEXT and JSON */
    int fd;
    struct node_limits limits;
    const char *state_dir; /* whose key an image has to be signed by */
};
/* Writes what is to be known about the file to fd: a component, a core module, an image. */
[[nodiscard]] err node_inspect(const struct node_inspect_config *config, struct diag *d);

#endif
