/* admin: the commands that talk to a node, and what a person is told of it. */
#include "base/json.h"
#include "cli/cli_int.h"
#include <sysexits.h>

struct node_where cli_where(const struct cli_options *o) {
    return (struct node_where){.state_dir = o->state_dir, .url = o->to, .token = o->token};
}

size_t cli_verb(const char *command, const char *word, const char *const *names, size_t n, struct diag *d) {
    size_t i = 0;
    while (i < n && strcmp(word, names[i])) i++;
    if (i < n) return i;
    const char *meant = text_nearest(word, names, n);
    diag_set(d, ERR_USAGE, DIAG_NOWHERE, "orlo %s has no verb '%s'%s%s%s", command, word,
             meant ? ", did you mean '" : "; --help lists them", meant ? meant : "", meant ? "'?" : "");
    return n;
}

static int done(err e, const struct diag *d) { return e == ERR_OK ? EX_OK : cli_complain(NULL, e, d); }

static const char *operand(const struct cli_options *o, uint32_t i) { return i < o->operands.n ? o->operands.p[i] : NULL; }

static int wrong(const char *fmt, ...) PRINTF_LIKE(1, 2);
static int wrong(const char *fmt, ...) {
    struct diag d = DIAG_INIT;
    char text[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return cli_complain(NULL, diag_set(&d, ERR_USAGE, DIAG_NOWHERE, "%s", text), &d);
}

/* ---- deploy ---- */

/* Words of others', which make a terminal do nothing. */
static void print(str s) {
    for (size_t i = 0; i < s.n; i++) fputc(s.p[i] < 32 || s.p[i] == 127 ? '?' : s.p[i], stdout);
}

/* The first is the app's own, NAME.DOMAIN, and in the URL. */
static void print_hosts(const struct json *result) {
    const struct json *own = json_item(json_get(result, "hosts"), 0);
    bool any = false;
    JSON_EACH(item, json_get(result, "hosts")) {
        str host = json_str(item);
        if (item == own) continue;
        fputs(any ? ", " : "also at ", stdout);
        print(str_eqc(host, "*") ? STR("every host that is no other app's") : host);
        any = true;
    }
    if (any) puts("");
}

/* What the node has answered to, in words that could be typed again; values of the environment are nobody's to see. */
static void print_granted(const struct json *granted) {
    static const char nothing[] = "nothing: no environment, no folder, no outgoing host, no socket";
    JSON_EACH(function, granted) {
        const struct json *grants = json_get(function, "grants");
        fputs("granted", stdout);
        if (json_count(granted) > 1) fputs(" to ", stdout), print(json_str(json_get(function, "function")));
        puts("");
        if (!json_count(grants)) printf("  %s\n", nothing);
        JSON_EACH(grant, grants) fputs("  ", stdout), print(json_str(grant)), puts("");
    }
}

static void print_granted_nothing(const struct json *granted) {
    if (json_count(granted) == 1 && !json_count(json_get(json_item(granted, 0), "grants")))
        puts("granted nothing: no environment, no folder, no outgoing host, no socket");
    else print_granted(granted);
}

/* Those of a line are the manifest's own, and were told before anything was sent; but for those of migrations, which have a kind, and what those raised. */
static void print_remarks(const struct json *result) {
    enum { SHOWN_MAX = 40 };
    uint32_t of_migrations = 0;
    JSON_EACH(remark, json_get(result, "remarks")) {
        str kind = json_str(json_get(remark, "kind")), text = json_str(json_get(remark, "text"));
        bool raised = str_starts(text, STR("NOTICE: ")) || str_starts(text, STR("WARNING: ")); /* by what ran */
        if (raised) {
            print(json_str(json_get(remark, "key"))), printf(":%lld: ", (long long)json_i64(json_get(remark, "line"))),
                print(text), puts("");
            continue;
        }
        if ((json_get(remark, "line") && !kind.n) || (kind.n && ++of_migrations > SHOWN_MAX)) continue;
        if (kind.n) print(json_str(json_get(remark, "key")));
        if (kind.n && json_get(remark, "line")) printf(":%lld", (long long)json_i64(json_get(remark, "line")));
        if (kind.n) fputs(": ", stdout);
        print(kind.n ? kind : STR("remark"));
        fputs(": ", stdout), print(text), puts("");
    }
    if (of_migrations > SHOWN_MAX) printf("… and %u more of its migrations: orlo db check\n", of_migrations - SHOWN_MAX);
}

static void print_migrations(const struct json *result) {
    JSON_EACH(item, json_get(result, "migrations")) {
        fputs(json_bool(json_get(item, "applied")) ? "migrated " : "to be migrated ", stdout);
        print(json_str(json_get(item, "name")));
        puts("");
    }
}

static void print_deployed(const struct cli_options *o, const struct node_deployed *to) {
    const struct json *r = to->result;
    print(json_str(json_get(r, "url")));
    if (o->dry_run) puts(" would be deployed; nothing was kept");
    else if (o->not_live)
        printf(" version %lld is kept, and not served; orlo promote gives it requests\n",
               (long long)json_i64(json_get(r, "version")));
    else printf(" version %lld, live after %.2f s\n", (long long)json_i64(json_get(r, "version")), (double)to->ns / 1e9);
    print_hosts(r);
    print_granted_nothing(json_get(r, "granted"));
    print_migrations(r);
    print_remarks(r);
}

static void print_json(const struct json *v) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    json_put(&w, NULL, v);
    printf(STR_FMT "\n", STR_ARG(buf_str(&b)));
    buf_free(&b);
}

int cli_deploy(arena *mem, const struct cli_options *o) {
    struct diag d = DIAG_INIT;
    struct node_deploy_config config = {.where = cli_where(o),
                                        .path = operand(o, 0),
                                        .app = o->app,
                                        .dry_run = o->dry_run,
                                        .no_build = o->no_build,
                                        .not_live = o->not_live,
                                        .strict = o->strict,
                                        .hosts = o->host.p,
                                        .hosts_count = o->host.n,
                                        .routes = o->route.p,
                                        .routes_count = o->route.n,
                                        .allow_http = o->allow_http.p,
                                        .allow_http_count = o->allow_http.n,
                                        .allow_net = o->allow_net.p,
                                        .allow_net_count = o->allow_net.n,
                                        .forward = o->forward,
                                        .limits = o->limits.app};
    struct node_deployed deployed;
    err e = cli_read_grants(mem, o, &config.grants, &d);
    if (e != ERR_OK) return cli_complain(NULL, ERR_USAGE, &d);
    e = node_command_deploy(mem, &config, &deployed, &d);
    if (o->json && deployed.result) print_json(deployed.result);
    if (e != ERR_OK) return cli_complain(deployed.of_file ? config.path : NULL, e, &d);
    if (!o->json) print_deployed(o, &deployed);
    return EX_OK;
}

/* ---- apps ---- */

int cli_apps(const struct cli_options *o) {
    struct diag d = DIAG_INIT;
    struct node_where where = cli_where(o);
    return done(node_command_apps(&where, o->json, stdout, &d), &d);
}

int cli_delete(const struct cli_options *o) {
    struct diag d = DIAG_INIT;
    struct node_where where = cli_where(o);
    return done(node_command_delete(&where, o->operands.p[0], &d), &d);
}

int cli_versions(const struct cli_options *o) {
    struct diag d = DIAG_INIT;
    struct node_where where = cli_where(o);
    return done(node_command_versions(&where, o->operands.p[0], o->json, stdout, &d), &d);
}

static bool version_of(const char *text, uint32_t *version) {
    uint64_t v;
    if (text && text[0] == 'v') text++;
    if (!text || !str_to_u64(str_c(text), &v) || !v || v > UINT32_MAX) return false;
    *version = (uint32_t)v;
    return true;
}

int cli_rollback(const struct cli_options *o) {
    struct diag d = DIAG_INIT;
    struct node_where where = cli_where(o);
    uint32_t version = 0;
    const char *text = operand(o, 1);
    if (text && !version_of(text, &version))
        return wrong("'%s' is no version: a number, as orlo versions %s lists them", text, o->operands.p[0]);
    return done(node_command_rollback(&where, o->operands.p[0], version, o->json, stdout, &d), &d);
}

/* "5%", "0.5%", "100%". */
static bool share_of(const char *text, uint32_t *permille) {
    str s = str_c(text), whole, part;
    uint64_t v, tenth = 0;
    if (s.n && s.p[s.n - 1] == '%') s.n--;
    bool has_part = str_cut(s, '.', &whole, &part);
    if (!str_to_u64(whole, &v) || v > 100 || (has_part && (part.n != 1 || !str_to_u64(part, &tenth)))) return false;
    *permille = (uint32_t)(v * 10 + tenth);
    return *permille <= 1000;
}

int cli_promote(const struct cli_options *o) {
    struct diag d = DIAG_INIT;
    struct node_where where = cli_where(o);
    uint32_t version, permille = 1000;
    if (!version_of(operand(o, 1), &version))
        return wrong("'%s' is no version: a number, as orlo versions %s lists them", operand(o, 1), o->operands.p[0]);
    if (o->share && !share_of(o->share, &permille))
        return wrong("--share takes a share of the requests, such as 5%% or 0.5%%, not '%s'", o->share);
    return done(node_command_promote(&where, o->operands.p[0], version, permille, o->json, stdout, &d), &d);
}

/* ---- backups ---- */

int cli_backup(const struct cli_options *o) {
    struct diag d = DIAG_INIT;
    struct node_backup_config c = {.where = cli_where(o),
                                   .path = o->operands.p[0],
                                   .at = o->at,
                                   .app = o->app,
                                   .to = stdout,
                                   .keys = o->with_keys,
                                   .no_verify = o->no_verify};
    return done(o->command == CLI_backup ? node_command_backup(&c, &d) : node_command_restore(&c, &d), &d);
}

/* ---- secrets, keys, logs ---- */

int cli_secrets(const struct cli_options *o) {
    struct diag d = DIAG_INIT;
    struct node_where where = cli_where(o);
    const char *verb = o->operands.p[0], *app = operand(o, 1), *key = operand(o, 2);
    if (!strcmp(verb, "list") && !key) return done(node_command_secrets(&where, app, o->json, stdout, &d), &d);
    bool set = !strcmp(verb, "set"), remove = !strcmp(verb, "rm");
    if (!set && !remove && strcmp(verb, "list") != 0) return wrong("orlo secrets set|list|rm APP [KEY]; what is '%s'?", verb);
    if (!key) return wrong("which secret? orlo secrets %s %s KEY", verb, app);
    if (!set && !remove) return wrong("list shows all of an app; what is '%s'?", key);
    const char *value = strchr(key, '=');
    if (set && value)
        return wrong("a secret's value stands on no command line, where others can read it: orlo secrets set %s %.*s, and type "
                     "it, or let it come "
                     "from standard input",
                     app, (int)(value - key), key);
    return done(set ? node_command_secret_set(&where, app, key, &d) : node_command_secret_remove(&where, app, key, &d), &d);
}

int cli_logs(const struct cli_options *o) {
    struct diag d = DIAG_INIT;
    struct node_where where = cli_where(o);
    return done(node_command_logs(&where, o->operands.p[0], o->follow, o->lines, o->since, o->level, o->json, stdout, &d), &d);
}

/* ---- the node ---- */

int cli_status(const struct cli_options *o) {
    struct diag d = DIAG_INIT;
    struct node_where where = cli_where(o);
    return done(node_command_status(&where, o->json, stdout, &d), &d);
}

int cli_top(const struct cli_options *o) {
    struct diag d = DIAG_INIT;
    struct node_where where = cli_where(o);
    return done(node_command_top(&where, o->sort, o->once, o->json, stdout, &d), &d);
}

int cli_reload(const struct cli_options *o) {
    struct diag d = DIAG_INIT;
    struct node_where where = cli_where(o);
    return done(node_command_reload(&where, stdout, &d), &d);
}

int cli_upgrade(const struct cli_options *o) {
    struct diag d = DIAG_INIT;
    struct node_upgrade_config config = {o->state_dir, o->operands.n ? o->operands.p[0] : NULL, o->check};
    return done(node_upgrade(&config, stdout, &d), &d);
}

/* "90d", "12h", "30m". */
static bool lasts(const char *text, uint64_t *s) {
    uint64_t ms, days;
    str t = str_c(text);
    if (t.n && t.p[t.n - 1] == 'd' && str_to_u64(str_sub(t, 0, t.n - 1), &days) && days && days <= 36'500) {
        *s = days * 86'400;
        return true;
    }
    if (!app_parse_ms(text, &ms) || ms < 1000) return false;
    *s = ms / 1000;
    return true;
}

int cli_certs(const struct cli_options *o) {
    struct diag d = DIAG_INIT;
    struct node_where where = cli_where(o);
    const char *verb = operand(o, 0), *host = operand(o, 1);
    bool renews = verb && !strcmp(verb, "renew");
    if (verb && !renews && strcmp(verb, "list") != 0) return wrong("orlo certs [list | renew HOST]; what is '%s'?", verb);
    if (renews && !host) return wrong("whose? orlo certs renew HOST; orlo certs shows them");
    if (!renews && host) return wrong("orlo certs list takes nothing else; what is '%s'?", host);
    return done(node_command_certs(&where, host, o->json, stdout, &d), &d);
}

int cli_keys(const struct cli_options *o) {
    static const char *const verbs[] = {"", "list", "create", "rotate", "revoke", "import", "token"};
    struct diag d = DIAG_INIT;
    struct node_where where = cli_where(o);
    uint64_t overlap_s = 0;
    struct node_keys_config c = {.where = &where,
                                 .algorithm = o->algorithm,
                                 .as = o->as,
                                 .claims = o->claims,
                                 .secret = o->secret,
                                 .standby = o->standby,
                                 .json = o->json,
                                 .to = stdout};
    uint32_t verb = ARRAY_COUNT(verbs) - 1;
    while (verb && strcmp(o->operands.p[0], verbs[verb]) != 0) verb--;
    c.verb = verb;
    c.app = operand(o, verb != 0), c.which = operand(o, 1 + (verb != 0));
    if (!verb && c.which) return wrong("orlo keys [list|create|rotate|revoke|import|token] APP [WHICH]; what is '%s'?", c.app);
    if (!c.app) return wrong("of which app? orlo keys %s APP", verbs[verb]);
    if ((verb == NODE_KEYS_LIST || verb == NODE_KEYS_TOKEN) && c.which)
        return wrong("orlo keys %s APP takes nothing else; what is '%s'?", verbs[verb], c.which);
    if (verb == NODE_KEYS_REVOKE && !c.which)
        return wrong("which key? orlo keys revoke %s NAME; orlo keys list %s shows them", c.app, c.app);
    if (o->expires && !lasts(o->expires, &c.expires_s))
        return wrong("--expires takes a time such as 90d or 12h, not '%s'", o->expires);
    if (o->overlap && strcmp(o->overlap, "0") != 0 && !lasts(o->overlap, &overlap_s))
        return wrong("--overlap takes a time such as 7d or 12h, or 0, not '%s'", o->overlap);
    if (o->overlap) c.overlap_s = &overlap_s;
    if (c.secret && !c.which) return wrong("--secret is of a key with a name: orlo keys %s %s NAME --secret", verbs[verb], c.app);
    return done(node_command_keys(&c, &d), &d);
}

int cli_tokens(const struct cli_options *o) {
    struct diag d = DIAG_INIT;
    struct node_where where = cli_where(o);
    const char *verb = operand(o, 0), *id = operand(o, 1);
    struct node_token_config c = {.app = o->app, .hosts = o->host.p, .hosts_count = o->host.n, .read_only = o->read_only};
    bool makes = verb && !strcmp(verb, "create"), revokes = verb && !strcmp(verb, "revoke");
    if (verb && !makes && !revokes && strcmp(verb, "list") != 0)
        return wrong("orlo tokens [create|revoke ID]; what is '%s'?", verb);
    if (revokes && !id) return wrong("which token? orlo tokens revoke ID; orlo tokens lists them");
    if (!revokes && id) return wrong("orlo tokens %s takes nothing; what is '%s'?", verb, id);
    if (!makes && (o->app || o->host.n || o->read_only || o->expires))
        return wrong("--app, --host, --read-only and --expires are for orlo tokens create");
    if (o->expires && !lasts(o->expires, &c.expires_s))
        return wrong("--expires takes a time such as 90d or 12h, not '%s'", o->expires);
    if (makes) return done(node_command_token_make(&where, &c, o->json, stdout, &d), &d);
    if (revokes) return done(node_command_token_revoke(&where, id, &d), &d);
    return done(node_command_tokens(&where, o->json, stdout, &d), &d);
}
