/* orlo: the program. Reads the command line, starts the command, says on standard error what went wrong, and ends with a
 * status of sysexits.h. */
#include "cli/cli_int.h"
#include "cli/new.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

static err set_log(const struct cli_options *o, bool json, struct diag *d) {
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    enum log_level level = LOG_INFO;
    if (o->log_format && strcmp(o->log_format, "text") != 0 && strcmp(o->log_format, "json") != 0)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--log-format is text or json, not '%s'", o->log_format);
    if (o->log_format) json = !strcmp(o->log_format, "json");
    if (o->log_level) {
        size_t i = 0;
        while (i < ARRAY_COUNT(levels) && strcmp(levels[i], o->log_level) != 0) i++;
        if (i == ARRAY_COUNT(levels))
            return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--log-level is debug, info, warn or error, not '%s'", o->log_level);
        level = (enum log_level)i;
    }
    log_init(STDERR_FILENO, json, level);
    return ERR_OK;
}

/* "0.01", "1%": of a million. */
static bool read_part(const char *text, uint32_t *ppm) {
    char *end;
    double v = strtod(text, &end);
    if (*end == '%') v /= 100, end++;
    *ppm = v >= 0 && v <= 1 ? (uint32_t)(v * 1e6 + 0.5) : 0;
    return end != text && !*end && v >= 0 && v <= 1;
}

static err read_otlp(const struct cli_options *o, struct node_otlp *to, struct diag *d) {
    str url = str_c(o->otlp);
    to->endpoint = url;
    to->sample_ppm = NODE_OTLP_UNSAID;
    if (o->otlp &&
        ((!str_starts(url, STR("http://")) && !str_starts(url, STR("https://"))) || url.n > 2048 || str_ends(url, STR("//"))))
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--otlp is an address such as http://127.0.0.1:4318, not '%s'", o->otlp);
    if (o->otlp_sample && !read_part(o->otlp_sample, &to->sample_ppm))
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--otlp-sample is a part such as 0.01 or 1%%, not '%s'", o->otlp_sample);
    return ERR_OK;
}

static err read_proxies(arena *mem, const struct cli_options *o, struct node_serve_config *to, struct diag *d) {
    struct net_prefix *trusted = arena_array(mem, struct net_prefix, o->trusted_proxy.n + 1);
    str url = str_c(o->url);
    for (uint32_t i = 0; i < o->trusted_proxy.n; i++)
        if (!net_prefix_parse(str_c(o->trusted_proxy.p[i]), &trusted[i]))
            return diag_set(d, ERR_USAGE, DIAG_NOWHERE,
                            "--trusted-proxy is an address or ADDRESS/BITS, such as 10.0.0.0/8, not '%s'", o->trusted_proxy.p[i]);
    to->trusted = trusted;
    to->trusted_count = o->trusted_proxy.n;
    to->url = url.n && url.p[url.n - 1] == '/' ? str_sub(url, 0, url.n - 1) : url;
    size_t scheme = str_starts(url, STR("https://")) ? 8 : str_starts(url, STR("http://")) ? 7 : 0;
    if (!url.n || (scheme && to->url.n > scheme && to->url.n <= 255 &&
                   str_find(str_sub(to->url, scheme, url.n), '/') == to->url.n - scheme))
        return ERR_OK;
    return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--url is a scheme and a host, such as https://example.org, not '%s'", o->url);
}

static int serve(arena *mem, const struct cli_options *o) {
    struct diag d = DIAG_INIT;
    struct node_serve_config config = {
        .file = o->command == CLI_node ? NULL : o->operands.p[0],
        .limits = o->limits,
        .no_access_log = o->no_access_log,
        .state_dir = o->state_dir,
        .config_file = o->config_file,
    };
    struct node_listen *listen = arena_array(mem, struct node_listen, o->listen.n);
    err e = set_log(o, !isatty(STDERR_FILENO), &d);
    for (uint32_t i = 0; e == ERR_OK && i < o->listen.n; i++) e = node_listen_parse(mem, str_c(o->listen.p[i]), &listen[i], &d);
    struct node_listen admin;
    if (e == ERR_OK && o->admin && strcmp(o->admin, "off") != 0) {
        e = node_listen_parse(mem, str_c(o->admin), &admin, &d);
        config.admin = &admin;
    }
    config.no_admin = o->admin && !strcmp(o->admin, "off");
    config.key_file = o->key_file;
    static struct node_listen usual = {STR_INIT("127.0.0.1"), 8080, true, false};
    for (uint32_t i = 0; i < o->listen.n; i++) listen[i].proxied = o->proxy_protocol;
    if (o->proxy_protocol && !o->listen.n) listen = &usual;
    config.listen = listen;
    config.listen_count = o->listen.n ? o->listen.n : o->proxy_protocol;
    if (e == ERR_OK) e = cli_read_grants(mem, o, &config.grants, &d);
    if (e == ERR_OK) e = read_otlp(o, &config.otlp, &d);
    if (e == ERR_OK) e = read_proxies(mem, o, &config, &d);
    if (e != ERR_OK) return cli_complain(NULL, ERR_USAGE, &d);
    e = node_serve(&config, &d);
    if (e == ERR_OK) return EX_OK;
    bool about_file = e != ERR_BUSY && e != ERR_NETWORK && e != ERR_USAGE && e != ERR_DENIED;
    return cli_complain(about_file ? config.file : NULL, e, &d);
}

static int check(const struct cli_options *o) {
    struct diag d = DIAG_INIT;
    struct node_check_config config = {.path = o->operands.n ? o->operands.p[0] : ".", .json = o->json, .limits = o->limits};
    uint32_t errors = 0;
    err e = node_check(&config, stdout, &errors, &d);
    return e != ERR_OK ? cli_complain(NULL, e, &d) : errors ? EX_DATAERR : EX_OK;
}

static int new (arena *mem, const struct cli_options *o) {
    struct diag d = DIAG_INIT;
    str name;
    bool two = o->operands.n == 2;
    if (o->list) {
        cli_new_list(stdout);
        return EX_OK;
    }
    const char *dir = o->operands.p[two];
    err e = cli_new(mem, two ? o->operands.p[0] : NULL, dir, &name, &d);
    if (e != ERR_OK) return cli_complain(NULL, e, &d);
    printf("%s is there: the app " STR_FMT ", made from the template %s\nnext: orlo dev %s (README.md says what else there is)\n",
           dir, STR_ARG(name), two ? o->operands.p[0] : "javascript", dir);
    return EX_OK;
}

static int dev(arena *mem, const struct cli_options *o) {
    struct diag d = DIAG_INIT;
    struct node_listen *listen = arena_array(mem, struct node_listen, o->listen.n);
    struct node_dev_config config = {.dir = o->operands.n ? o->operands.p[0] : ".",
                                     .listen = listen,
                                     .listen_count = o->listen.n,
                                     .limits = o->limits,
                                     .colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR")};
    for (uint32_t i = 0; i < o->listen.n; i++)
        if (node_listen_parse(mem, str_c(o->listen.p[i]), &listen[i], &d) != ERR_OK) return cli_complain(NULL, ERR_USAGE, &d);
    err e = node_dev(&config, &d);
    return e == ERR_OK ? EX_OK : cli_complain(NULL, e, &d);
}

static int run(arena *mem, const struct cli_options *o) {
    struct diag d = DIAG_INIT;
    struct node_run_config config = {
        .file = o->operands.p[0],
        .args = o->operands.p + 1,
        .args_count = o->operands.n - 1,
        .limits = o->limits,
        .state_dir = o->state_dir,
    };
    err e = set_log(o, false, &d);
    if (e == ERR_OK) e = cli_read_grants(mem, o, &config.grants, &d);
    if (e != ERR_OK) return cli_complain(NULL, ERR_USAGE, &d);
    int status = 0;
    e = node_run(&config, &status, &d);
    return e == ERR_OK ? status : cli_complain(config.file, e, &d);
}

static int inspect(const struct cli_options *o) {
    struct diag d = DIAG_INIT;
    struct node_inspect_config config = {.file = o->operands.p[0],
                                         .format = o->json  ? NODE_INSPECT_JSON
                                                   : o->wat ? NODE_INSPECT_WAT
                                                            : NODE_INSPECT_TEXT,
                                         .fd = STDOUT_FILENO,
                                         .limits = o->limits,
                                         .state_dir = o->state_dir};
    err e = node_inspect(&config, &d);
    return e == ERR_OK ? EX_OK : cli_complain(config.file, e, &d);
}

static int compile(const struct cli_options *o) {
    struct diag d = DIAG_INIT;
    struct node_compile_config config = {
        .file = o->operands.p[0], .output = o->output, .limits = o->limits, .state_dir = o->state_dir, .target = o->target};
    struct node_compiled out;
    err e = node_compile(&config, &out, &d);
    if (e == ERR_IO) return cli_complain(NULL, e, &d), EX_CANTCREAT;
    if (e != ERR_OK) return cli_complain(e == ERR_USAGE ? NULL : config.file, e, &d);
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "%s: %llu bytes of WebAssembly to %llu bytes in %.2f s\n", config.output,
                (unsigned long long)out.wasm_bytes, (unsigned long long)out.image_bytes, (double)out.ns / 1e9);
    return EX_OK;
}

static int help(arena *mem, const struct cli_options *o) {
    if (o->markdown) {
        cli_help_markdown(stdout);
        return EX_OK;
    }
    if (o->man) {
        cli_help_man(stdout);
        return EX_OK;
    }
    if (!o->operands.n) {
        cli_help(stdout);
        return EX_OK;
    }
    char *argv[] = {(char *)(uintptr_t) "orlo", (char *)(uintptr_t)o->operands.p[0], (char *)(uintptr_t) "--help"};
    struct cli_options about;
    struct diag d = DIAG_INIT;
    err e = cli_parse(mem, 3, argv, &about, &d);
    if (e != ERR_OK) return cli_complain(NULL, e, &d);
    cli_help_command(stdout, about.command);
    return EX_OK;
}

static int dispatch(arena *mem, struct cli_options *o) {
    if (o->help && o->command) {
        cli_help_command(stdout, o->command);
        return EX_OK;
    }
    switch (o->command) {
    case CLI_serve:
    case CLI_node: return serve(mem, o);
    case CLI_deploy: return cli_deploy(mem, o);
    case CLI_apps: return cli_apps(o);
    case CLI_versions: return cli_versions(o);
    case CLI_rollback: return cli_rollback(o);
    case CLI_promote: return cli_promote(o);
    case CLI_delete: return cli_delete(o);
    case CLI_secrets: return cli_secrets(o);
    case CLI_keys: return cli_keys(o);
    case CLI_certs: return cli_certs(o);
    case CLI_logs: return cli_logs(o);
    case CLI_status: return cli_status(o);
    case CLI_top: return cli_top(o);
    case CLI_tokens: return cli_tokens(o);
    case CLI_reload: return cli_reload(o);
    case CLI_upgrade: return cli_upgrade(o);
    case CLI_backup:
    case CLI_restore: return cli_backup(o);
    case CLI_db: return cli_db(mem, o);
    case CLI_users: return cli_users(mem, o);
    case CLI_import: return cli_import(mem, o);
    case CLI_new: return new (mem, o);
    case CLI_check: return check(o);
    case CLI_dev: return dev(mem, o);
    case CLI_run: return run(mem, o);
    case CLI_inspect: return inspect(o);
    case CLI_compile: return compile(o);
    default: return help(mem, o);
    }
}

/* Started without a standard stream (`>&-`), the next file opened would become it, and what is printed would go there. */
static void open_standard_streams(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) exit(EX_OSERR);
}

int main(int argc, char **argv) {
    node_be(argv);
    open_standard_streams();
    arena *mem = arena_new(0);
    struct cli_options options;
    struct diag d = DIAG_INIT;
    err e = cli_parse(mem, argc, argv, &options, &d);
    int status;
    if (e != ERR_OK) {
        status = cli_complain(NULL, e, &d);
    } else if (options.version) {
        puts("orlo " ORLO_VERSION);
        status = EX_OK;
    } else {
        status = dispatch(mem, &options);
    }
    arena_free(mem);
    if (fflush(stdout) != 0 && status == EX_OK) {
        fprintf(stderr, "orlo: what was to be printed cannot be written: %s\n", strerror(errno));
        status = EX_IOERR;
    }
    return status;
}
