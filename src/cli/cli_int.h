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
    bool help, version, no_access_log, json, wat, markdown, man, list;
    const char *state_dir, *log_level, *log_format, *output, *forward, *target, *app, *otlp, *otlp_sample;
    cli_list listen, env, dir, allow_http, allow_net, host, route;
    struct node_limits limits;
    cli_list operands;   /* what is no flag: FILE, then the guest's arguments */
    uint32_t guest_from; /* first of the operands that came after "--" */
};

/* Reads the command line. ERR_USAGE: d says what is wrong and the nearest thing there is. Strings are argv's. */
[[nodiscard]] err cli_parse(arena *out, int argc, char **argv, struct cli_options *options, struct diag *d);

void cli_help(FILE *to);
void cli_help_command(FILE *to, enum cli_command command);
void cli_help_markdown(FILE *to);
void cli_help_man(FILE *to); /* orlo(1) */

#endif
