/* Inside the cli room: the table of commands and flags, and what parsing gives. */
#ifndef ORLO_CLI_INT_H
#define ORLO_CLI_INT_H

#include "base/base.h"
#include "node/node.h"
#include <stdio.h>

enum cli_command {
    CLI_NONE,
#define X(name, ...) CLI_##name,
#include "cli/commands.def"
#undef X
    CLI_COMMANDS
};

typedef VEC(const char *) cli_list;

struct cli_options {
    enum cli_command command;
    bool help, version, no_access_log, proxy_protocol, json, wat, markdown, man, list;
    bool yes, csv, db_write, db_mark, drop_old, schema_only, data_only, strict, all, no_lint, with_keys, no_verify;
    bool secret, standby;
    bool check, dry_run, no_build, not_live, read_only, follow, once;
    const char *to, *token, *admin, *share, *lines, *expires, *sort, *key_file;
    const char *state_dir, *config_file, *log_level, *log_format, *output, *forward, *target, *app, *otlp, *otlp_sample;
    const char *overlap, *algorithm, *from, *hashes, *hash_config, *jwt_secret;
    const char *since, *level, *url, *as, *claims, *engine, *on, *at;
    cli_list listen, env, dir, allow_http, allow_net, host, route, trusted_proxy, store, sqlite, variable;
    struct node_limits limits;
    cli_list operands;   /* what is no flag: FILE, then the guest's arguments */
    uint32_t guest_from; /* first of the operands that came after "--" */
};

/* Reads the command line. ERR_USAGE: d says what is wrong and the nearest thing there is. Strings are argv's. */
[[nodiscard]] err cli_parse(arena *out, int argc, char **argv, struct cli_options *options, struct diag *d);

/* "orlo: app.wasm: at byte 1234: what"; gives the exit status. */
int cli_complain(const char *about, err e, const struct diag *d);
[[nodiscard]] err cli_read_grants(arena *mem, const struct cli_options *o, struct app_grants *g, struct diag *d);

/* Of names, which one a word after `orlo COMMAND` is. n: none; d says what was meant, perhaps. */
size_t cli_verb(const char *command, const char *word, const char *const *names, size_t n, struct diag *d);
struct node_where cli_where(const struct cli_options *o);

/* admin.c: each gives the exit status. */
int cli_deploy(arena *mem, const struct cli_options *o);
int cli_apps(const struct cli_options *o);
int cli_versions(const struct cli_options *o);
int cli_rollback(const struct cli_options *o);
int cli_promote(const struct cli_options *o);
int cli_delete(const struct cli_options *o);
int cli_secrets(const struct cli_options *o);
int cli_keys(const struct cli_options *o);
int cli_certs(const struct cli_options *o);
int cli_logs(const struct cli_options *o);
int cli_status(const struct cli_options *o);
int cli_top(const struct cli_options *o);
int cli_reload(const struct cli_options *o);
int cli_upgrade(const struct cli_options *o);
int cli_tokens(const struct cli_options *o);
int cli_backup(const struct cli_options *o);
int cli_db(arena *mem, const struct cli_options *o);    /* db.c */
int cli_users(arena *mem, const struct cli_options *o); /* users.c */
int cli_import(arena *mem, const struct cli_options *o);

void cli_help(FILE *to);
void cli_help_command(FILE *to, enum cli_command command);
void cli_help_markdown(FILE *to);
void cli_help_man(FILE *to); /* orlo(1) */

#endif
