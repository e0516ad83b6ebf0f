/* options: one table drives parsing, --help and the reference in docs. */
#include "cli/cli_int.h"
#include <stdlib.h>

enum kind { ON, TEXT, LIST, VALUE };
enum {
    SERVE = 1 << CLI_serve,
    RUN = 1 << CLI_run,
    INSPECT = 1 << CLI_inspect,
    COMPILE = 1 << CLI_compile,
    HELP = 1 << CLI_help,
    NODE = 1 << CLI_node,
    DEPLOY = 1 << CLI_deploy,
    APPS = 1 << CLI_apps,
    DELETE = 1 << CLI_delete,
    NEW = 1 << CLI_new,
    CHECK = 1 << CLI_check,
    VERSIONS = 1 << CLI_versions,
    ROLLBACK = 1 << CLI_rollback,
    PROMOTE = 1 << CLI_promote,
    SECRETS = 1 << CLI_secrets,
    KEYS = 1 << CLI_keys,
    CERTS = 1 << CLI_certs,
    LOGS = 1 << CLI_logs,
    STATUS = 1 << CLI_status,
    TOKENS = 1 << CLI_tokens,
    TOP = 1 << CLI_top,
    RELOAD = 1 << CLI_reload,
    UPGRADE = 1 << CLI_upgrade,
    DB = 1 << CLI_db,
    USERS = 1 << CLI_users,
    IMPORT = 1 << CLI_import,
    BACKUP = 1 << CLI_backup,
    RESTORE = 1 << CLI_restore,
    TALK = DEPLOY | APPS | DELETE | VERSIONS | ROLLBACK | PROMOTE | SECRETS | CERTS | KEYS | LOGS | STATUS | TOP | TOKENS |
           RELOAD | DB | USERS | IMPORT, /* to a node */
    DEV = 1 << CLI_dev,
};

static const struct flag {
    unsigned commands;
    const char *name;
    enum kind kind;
    size_t field;
    const char *argument, *usual, *help;
    enum app_setting_id setting; /* of a VALUE */
} flags[] = {
#define AT_APP(field) offsetof(struct cli_options, limits.app.field)
#define AT_NODE(field) offsetof(struct cli_options, limits.field)
#define AT_CONNECTION(field) AT_NODE(field)
#define AT_COMPILE(field) AT_NODE(field)
#define SETTING(scope, field, type, value, least, most, key, flag, commands, argument, otherwise, bounds)                        \
    {commands, flag, VALUE, AT_##scope(field), argument, otherwise, bounds, APP_SETTING_##field},
#define X(commands, name, kind, field, argument, usual, help)                                                                    \
    {commands, name, kind, offsetof(struct cli_options, field), argument, usual, help, 0},
#include "cli/flags.def"
#undef X
#undef SETTING
};

static const struct {
    const char *name, *args;
    uint32_t least, most; /* operands */
    const char *what, *summary, *text;
} commands[] = {
    {"", "", 0, 0, "", "", ""},
#define X(name, args, least, most, what, summary, text) {#name, args, least, most, what, summary, text},
#include "cli/commands.def"
#undef X
};

/* ---- the nearest thing there is ---- */

static const char *nearest_flag(const char *word, enum cli_command command) {
    const char *names[ARRAY_COUNT(flags)];
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_COUNT(flags); i++)
        if (flags[i].commands & 1u << command) names[n++] = flags[i].name;
    return text_nearest(word, names, n);
}

/* ---- values ---- */

static err set_value(arena *out, const struct flag *f, const char *value, struct cli_options *o, struct diag *d) {
    void *field = (char *)o + f->field;
    switch (f->kind) {
    case ON: *(bool *)field = true; return ERR_OK;
    case TEXT:
        *(const char **)field = value;
        if (value[0]) return ERR_OK;
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--%s needs a value: --%s %s", f->name, f->name, f->argument);
    case LIST: vec_push(out, (cli_list *)field, value); return ERR_OK;
    case VALUE: {
        char called[40];
        snprintf(called, sizeof called, "--%s", f->name);
        return app_setting_parse(f->setting, called, value, field, d);
    }
    }
    return ERR_OK;
}

/* ---- parsing ---- */

static const struct flag *find_flag(const char *name, size_t n, enum cli_command command) {
    for (size_t i = 0; i < ARRAY_COUNT(flags); i++)
        if (flags[i].commands & 1u << command && strlen(flags[i].name) == n && !memcmp(flags[i].name, name, n)) return &flags[i];
    return NULL;
}

/* ---- flags of other programs ---- */

/* A value as it is written here. */
static const char *same(arena *out, const char *value) { return (void)out, value; }

static const char *port(arena *out, const char *value) {
    bool alone = value[0] != ':' && !strpbrk(value, ".[*"); /* no address before it */
    return alone ? arena_cstr(out, arena_fmt(out, "127.0.0.1:%s", value)) : value;
}

static const char *host(arena *out, const char *value) {
    return strchr(value, ':') ? value : arena_cstr(out, arena_fmt(out, "%s:8080", value));
}

static const char *guest_first(arena *out, const char *value) { /* GUEST::HOST */
    const char *colon = strchr(value, ':');
    if (!colon) return value;
    return arena_cstr(out, arena_fmt(out, "%s::%.*s", colon + 1 + (colon[1] == ':'), (int)(colon - value), value));
}

/* What other programs call it: the flag here, and what their value is in it. */
static const struct {
    const char *theirs, *flag;
    const char *(*meant)(arena *, const char *);
} elsewhere[] = {
    {"-p", "listen", port},        {"--port", "listen", port},
    {"--host", "listen", host},    {"-b", "listen", same},
    {"--bind", "listen", same},    {"--addr", "listen", same},
    {"--address", "listen", same}, {"-e", "env", same},
    {"-v", "dir", same},           {"--volume", "dir", same},
    {"--mount", "dir", same},      {"--mapdir", "dir", guest_first},
    {"-w", "workers", same},       {"--allow-outbound", "allow-http", same},
};

/* What other programs have a flag for and is done otherwise here. */
static const struct {
    const char *theirs, *here;
} otherwise[] = {
    {"-S", "what a guest may use is granted by --env, --dir, --allow-http and --allow-net"},
    {"--wasi", "what a guest may use is granted by --env, --dir, --allow-http and --allow-net"},
    {"-A", "nothing grants all at once; orlo inspect FILE lists what it would need"},
    {"--allow-all", "nothing grants all at once; orlo inspect FILE lists what it would need"},
    {"--invoke", "it is _start or wasi:cli/run that is called, or the HTTP handler"},
    {"-O", "there are no levels of optimization"},
    {"-f", "FILE stands without a flag"},
    {"--file", "FILE stands without a flag"},
    {"-c", "there is no file of settings; all is said by flags"},
    {"--config", "there is no file of settings; all is said by flags"},
    {"-d", "it stays in the foreground; docs/operations.md has a unit for systemd"},
    {"--detach", "it stays in the foreground; docs/operations.md has a unit for systemd"},
    {"--daemon", "it stays in the foreground; docs/operations.md has a unit for systemd"},
    {"--watch", "the signal SIGHUP makes it read FILE again"},
    {"--reload", "the signal SIGHUP makes it read FILE again"},
    {"--tls", "it answers plain HTTP; put what ends TLS before it"},
    {"--https", "it answers plain HTTP; put what ends TLS before it"},
    {"--cert", "it answers plain HTTP; put what ends TLS before it"},
    {"--tls-cert", "it answers plain HTTP; put what ends TLS before it"},
    {"--tls-key", "it answers plain HTTP; put what ends TLS before it"},
    {"--verbose", "write --log-level debug"},
    {"--debug", "write --log-level debug"},
    {"-q", "write --log-level error"},
    {"--quiet", "write --log-level error"},
    {"--log-file", "log lines go to standard error: 2>orlo.log"},
    {"--access-log", "log lines go to standard error: 2>orlo.log"},
};

/* What is wrong with a value that a flag would be given; NULL: nothing. */
static const char *wrong_with(arena *out, const char *flag, const char *value) {
    struct app_grants g = {0};
    struct node_listen l;
    struct diag d = DIAG_INIT;
    str v = str_c(value);
    err e = !strcmp(flag, "listen")       ? node_listen_parse(out, v, &l, &d)
            : !strcmp(flag, "env")        ? app_grant_env(out, &g, v, &d)
            : !strcmp(flag, "dir")        ? app_grant_dir(out, &g, v, &d)
            : !strcmp(flag, "allow-http") ? app_grant_http(out, &g, v, &d)
                                          : ERR_OK;
    return e == ERR_OK ? NULL : arena_cstr(out, str_c(d.text));
}

/* A flag of another program's: how it is said here. value: the word behind it, or NULL. False: it is none. */
static bool known_elsewhere(arena *out, const char *arg, const char *value, enum cli_command command, struct diag *d) {
    size_t n = strcspn(arg, "=");
    const char *name = commands[command].name;
    if (arg[n]) value = arg + n + 1;
    for (size_t i = 0; i < ARRAY_COUNT(elsewhere); i++) {
        const struct flag *f = find_flag(elsewhere[i].flag, strlen(elsewhere[i].flag), command);
        if (!f || strlen(elsewhere[i].theirs) != n || strncmp(elsewhere[i].theirs, arg, n) != 0) continue;
        const char *meant = value ? elsewhere[i].meant(out, value) : f->argument;
        const char *wrong = value ? wrong_with(out, f->name, meant) : NULL;
        if (wrong) diag_set(d, ERR_USAGE, DIAG_NOWHERE, "%s has no flag '%.*s'; %s", name, (int)n, arg, wrong);
        else diag_set(d, ERR_USAGE, DIAG_NOWHERE, "%s has no flag '%.*s'; write --%s %s", name, (int)n, arg, f->name, meant);
        return true;
    }
    for (size_t i = 0; i < ARRAY_COUNT(otherwise); i++) {
        size_t length = arg[1] == '-' ? n : 2; /* -Scli is -S with a value */
        if (strlen(otherwise[i].theirs) != length || strncmp(otherwise[i].theirs, arg, length) != 0) continue;
        diag_set(d, ERR_USAGE, DIAG_NOWHERE, "%s has no flag '%.*s'; %s", name, (int)length, arg, otherwise[i].here);
        return true;
    }
    return false;
}

/* Where a command's arguments are written like flags. */
static const char *guests_flag(const struct cli_options *o) {
    return o->command == CLI_run && o->operands.n ? "; what is for the guest comes behind --" : "";
}

/* A flag that other commands have. */
static bool of_others(const char *name, const char *arg, enum cli_command command, struct diag *d) {
    char who[120] = "";
    for (int c = 1; c < CLI_COMMANDS; c++)
        if (find_flag(name, strlen(name), (enum cli_command)c))
            snprintf(who + strlen(who), sizeof who - strlen(who), "%sorlo %s", who[0] ? ", " : "", commands[c].name);
    if (!who[0]) return false;
    diag_set(d, ERR_USAGE, DIAG_NOWHERE, "%s has no flag '%s'; it is a flag of %s", commands[command].name, arg, who);
    return true;
}

static err unknown_flag(arena *out, const char *arg, const char *value, const struct cli_options *o, struct diag *d) {
    char name[32];
    enum cli_command command = o->command;
    if (known_elsewhere(out, arg, value, command, d)) return ERR_USAGE;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(arg + 2, "="), arg + 2);
    if (of_others(name, arg, command, d)) return ERR_USAGE;
    const char *near = nearest_flag(name, command);
    if (near)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "%s has no flag '%s'; did you mean --%s?%s", commands[command].name, arg,
                        near, guests_flag(o));
    return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "%s has no flag '%s'; see: orlo %s --help%s", commands[command].name, arg,
                    commands[command].name, guests_flag(o));
}

/* Reads the flag at argv[*i], and its value. */
static err read_flag(arena *out, int argc, char **argv, int *i, struct cli_options *o, struct diag *d) {
    const char *arg = argv[*i];
    if (!strcmp(arg, "-h")) arg = "--help";
    if (!strcmp(arg, "-f") && find_flag("follow", 6, o->command)) arg = "--follow";
    if (!strncmp(arg, "-o", 2)) { /* -o FILE, -oFILE */
        const struct flag *output = find_flag("output", 6, o->command);
        if (output && arg[2]) return set_value(out, output, arg + 2, o, d);
        if (output) arg = "--output";
    }
    const char *next = *i + 1 < argc && argv[*i + 1][0] != '-' ? argv[*i + 1] : NULL;
    if (arg[1] != '-' && known_elsewhere(out, arg, next, o->command, d)) return ERR_USAGE;
    if (arg[1] != '-')
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "there is no flag '%s'; see: orlo %s --help%s", arg,
                        commands[o->command].name, guests_flag(o));
    size_t n = strcspn(arg + 2, "=");
    const struct flag *f = find_flag(arg + 2, n, o->command);
    if (!f) return unknown_flag(out, arg, next, o, d);
    const char *value = arg[2 + n] == '=' ? arg + 3 + n : NULL;
    if (f->kind == ON && value) return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--%s takes no value", f->name);
    if (f->kind != ON && !value) {
        if (*i + 1 >= argc)
            return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--%s needs a value: --%s %s", f->name, f->name, f->argument);
        value = argv[++*i];
    }
    return set_value(out, f, value, o, d);
}

static enum cli_command find_command(const char *word) {
    for (int c = 1; c < CLI_COMMANDS; c++)
        if (!strcmp(commands[c].name, word)) return (enum cli_command)c;
    return CLI_NONE;
}

static err unknown_command(const char *word, struct diag *d) {
    static const struct {
        const char *theirs, *here;
    } others[] = {{"up", "serve"},    {"start", "serve"},      {"dev", "serve"},         {"build", "compile"},
                  {"exec", "run"},    {"validate", "inspect"}, {"version", "--version"}, {"publish", "deploy"},
                  {"push", "deploy"}, {"list", "apps"},        {"ls", "apps"},           {"ps", "apps"},
                  {"rm", "delete"},   {"remove", "delete"},    {"undeploy", "delete"}};
    const char *names[CLI_COMMANDS - 1];
    for (size_t i = 0; i < ARRAY_COUNT(others); i++)
        if (!strcmp(word, others[i].theirs))
            return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "there is no command '%s'; did you mean %s?", word, others[i].here);
    for (int c = 1; c < CLI_COMMANDS; c++) names[c - 1] = commands[c].name;
    const char *near = text_nearest(word, names, CLI_COMMANDS - 1);
    str s = str_c(word);
    if (near) return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "there is no command '%s'; did you mean %s?", word, near);
    if (str_ends(s, STR(".wasm")))
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "what is to be done with it? Try: orlo serve %s", word);
    return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "there is no command '%s'; see: orlo --help", word);
}

static err first_word(int argc, char **argv, struct cli_options *o, struct diag *d) {
    if (argc < 2) return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "nothing to do; try: orlo serve FILE, or orlo --help");
    const char *word = argv[1];
    if (!strcmp(word, "--help") || !strcmp(word, "-h")) o->help = true;
    else if (!strcmp(word, "--version") || !strcmp(word, "-V")) o->version = true;
    else if (word[0] == '-') return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "a command comes before the flags; see: orlo --help");
    else if (!(o->command = find_command(word))) return unknown_command(word, d);
    return ERR_OK;
}

static err check_operands(const struct cli_options *o, struct diag *d) {
    const char *name = commands[o->command].name, *what = commands[o->command].what;
    uint32_t n = o->operands.n;
    if (o->help || o->list) return ERR_OK;
    if (n < commands[o->command].least || o->guest_from == 0 || (n && !o->operands.p[0][0]))
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "which %s? orlo %s %s%s", what, name, commands[o->command].args,
                        !strcmp(what, "app") ? "; orlo apps lists them" : "");
    if (n <= commands[o->command].most) return ERR_OK;
    const char *more = o->operands.p[commands[o->command].most];
    if (commands[o->command].most)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "%s takes one %s; what is '%s'?", name, what, more);
    return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "%s takes no file; what is '%s'?%s", name, more,
                    o->command == CLI_node ? " A file is served by orlo serve, or deployed by orlo deploy" : "");
}

static err check_flags(struct cli_options *o, struct diag *d) {
    if (o->help) return ERR_OK;
    if (o->command == CLI_db && o->to && strncmp(o->to, "http", 4) != 0)
        o->engine = o->to, o->to = NULL; /* of move: where it goes */
    if (o->to && o->state_dir) return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--to or --state, not both");
    if (o->command == CLI_compile && !o->output)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "where to? orlo compile FILE -o IMAGE");
    if (o->json && o->wat) return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--json or --wat, not both");
    return ERR_OK;
}

err cli_parse(arena *out, int argc, char **argv, struct cli_options *o, struct diag *d) {
    *o = (struct cli_options){.guest_from = UINT32_MAX};
    TRY(first_word(argc, argv, o, d));
    if (!o->command) return ERR_OK;
    for (int i = 2; i < argc; i++) {
        const char *arg = argv[i];
        if (o->guest_from == UINT32_MAX && !strcmp(arg, "--")) o->guest_from = o->operands.n;
        else if (o->guest_from == UINT32_MAX && arg[0] == '-' && arg[1]) TRY(read_flag(out, argc, argv, &i, o, d));
        else vec_push(out, &o->operands, arg);
    }
    TRY(check_operands(o, d));
    return check_flags(o, d);
}

/* ---- help ---- */

static const char exit_statuses[] =
    "0 done, 64 wrong use, 65 bad file, 66 no such file, app or node, 69 a port or a host is taken, 70 a guest trapped,\n"
    "73 output cannot be written, 77 not permitted.\n";

enum { USUAL_MAX = 80 };
/* A flag's default, as people read it; empty: it has none. */
static const char *usual_of(const struct flag *f, char to[USUAL_MAX]) {
    arena *scratch = arena_new(0);
    str text = f->kind == VALUE ? app_setting_default(scratch, f->setting) : str_c(f->usual);
    snprintf(to, USUAL_MAX, STR_FMT, STR_ARG(text));
    arena_free(scratch);
    return to;
}

void cli_help(FILE *to) {
    fputs("orlo " ORLO_VERSION ": answers HTTP with WebAssembly, each request in a fresh sandbox.\n\nUsage: orlo COMMAND …\n\n",
          to);
    for (int c = 1; c < CLI_COMMANDS; c++) {
        char left[64];
        snprintf(left, sizeof left, "%s %s", commands[c].name, commands[c].args);
        /* "…" is three bytes and one column */
        fprintf(to, "  %-*s  %s\n", 30 + (strstr(left, "…") ? 2 : 0), left, commands[c].summary);
    }
    fputs("\n  orlo COMMAND --help             what it takes\n  orlo --version\n\n"
          "Start: orlo serve app.wasm, then open http://127.0.0.1:8080/\nExit status: ",
          to);
    fputs(exit_statuses, to);
}

void cli_help_command(FILE *to, enum cli_command c) {
    fprintf(to, "orlo %s%s%s: %s\n\n%s", commands[c].name, commands[c].args[0] ? " " : "", commands[c].args, commands[c].summary,
            commands[c].text);
    fputs("\nFlags\n", to);
    for (size_t i = 0; i < ARRAY_COUNT(flags); i++) {
        const struct flag *f = &flags[i];
        if (!(f->commands & 1u << c) || (c == CLI_help && f->kind == ON)) continue;
        char left[64];
        snprintf(left, sizeof left, "--%s %s", f->name, f->argument);
        fprintf(to, "  %-28s %s", left, f->help);
        char usual[USUAL_MAX];
        if (usual_of(f, usual)[0]) fprintf(to, " (%s)", usual);
        fputc('\n', to);
    }
}

static void markdown_cell(FILE *to, const char *text) {
    for (; *text; text++) {
        if (*text == '|') fputc('\\', to);
        fputc(*text, to);
    }
}

static void markdown_flag(FILE *to, const struct flag *f) {
    fprintf(to, "| `--%s%s", f->name, f->argument[0] ? " " : "");
    markdown_cell(to, f->argument);
    fputs("` | ", to);
    char usual[USUAL_MAX];
    markdown_cell(to, usual_of(f, usual));
    fputs(" | ", to);
    markdown_cell(to, f->help);
    fputs(" |\n", to);
}

static void markdown_setting(FILE *to, enum app_setting_id id) {
    const struct app_setting *s = &app_settings[id];
    static const char *const scopes[] = {"app", "node", "connection", "compile"};
    arena *scratch = arena_new(0);
    fprintf(to, "| `%s` | %s | ", s->key, scopes[s->scope]);
    markdown_cell(to, arena_cstr(scratch, app_setting_default(scratch, id)));
    fprintf(to, " | " STR_FMT " | ", STR_ARG(app_value_text(scratch, s->type, s->least)));
    if (s->most != UINT64_MAX) fprintf(to, STR_FMT, STR_ARG(app_value_text(scratch, s->type, s->most)));
    if (s->flag[0]) fprintf(to, " | `--%s` | ", s->flag);
    else fputs(" | | ", to);
    markdown_cell(to, s->bounds);
    fputs(" |\n", to);
    arena_free(scratch);
}

void cli_help_markdown(FILE *to) {
    for (int c = 1; c < CLI_COMMANDS; c++) {
        if (c == CLI_help) continue;
        fprintf(to, "## orlo %s%s%s\n\n%s.\n\n| flag | default | |\n|---|---|---|\n", commands[c].name,
                commands[c].args[0] ? " " : "", commands[c].args, commands[c].summary);
        for (size_t i = 0; i < ARRAY_COUNT(flags); i++)
            if (flags[i].commands & 1u << c) markdown_flag(to, &flags[i]);
        fputc('\n', to);
    }
    fputs("## Settings\n\nEvery setting, with its name in a manifest, what it is of, and its range.\n\n"
          "| name | of | default | least | most | flag | |\n|---|---|---|---|---|---|---|\n",
          to);
    for (int id = 0; id < APP_SETTINGS; id++) markdown_setting(to, (enum app_setting_id)id);
    fputc('\n', to);
}

/* Text as roff has it: a line's first dot or quote, backslashes and hyphens lose their meaning. */
static void man_text(FILE *to, const char *text) {
    bool first = true;
    for (; *text; text++) {
        if (first && (*text == '.' || *text == '\'')) fputs("\\&", to);
        if (*text == '\\') fputs("\\e", to);
        else if (*text == '-') fputs("\\-", to);
        else fputc(*text, to);
        first = *text == '\n';
    }
}

static void man_command(FILE *to, enum cli_command c) {
    fputs(".SS \"", to);
    man_text(to, commands[c].name);
    fprintf(to, " %s\"\n", commands[c].args);
    man_text(to, commands[c].summary);
    fputs(".\n.PP\n.nf\n", to);
    man_text(to, commands[c].text);
    fputs(".fi\n", to);
    for (size_t i = 0; i < ARRAY_COUNT(flags); i++) {
        const struct flag *f = &flags[i];
        if (!(f->commands & 1u << c)) continue;
        fputs(".TP\n\\fB", to);
        man_text(to, "--");
        man_text(to, f->name);
        fputs("\\fR", to);
        if (f->argument[0]) {
            fputs(" \\fI", to);
            man_text(to, f->argument);
            fputs("\\fR", to);
        }
        fputc('\n', to);
        man_text(to, f->help);
        char usual[USUAL_MAX];
        if (usual_of(f, usual)[0]) {
            fputs(" (default: ", to);
            man_text(to, usual);
            fputc(')', to);
        }
        fputs(".\n", to);
    }
}

void cli_help_man(FILE *to) {
    fputs(".TH ORLO 1 \"\" \"Orlo " ORLO_VERSION
          "\"\n.SH NAME\norlo \\- answers HTTP with WebAssembly, each request in a fresh sandbox\n"
          ".SH SYNOPSIS\n\\fBorlo\\fR \\fICOMMAND\\fR [\\fIFLAG\\fR ...] [\\fIFILE\\fR]\n.SH COMMANDS\n",
          to);
    for (int c = 1; c < CLI_COMMANDS; c++)
        if (c != CLI_help) man_command(to, (enum cli_command)c);
    fputs(".SH EXIT STATUS\n", to);
    man_text(to, exit_statuses);
}
