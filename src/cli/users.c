/* users: `orlo users VERB …`, a row of users.def each. */
#include "cli/cli_int.h"
#include <string.h>
#include <sysexits.h>

static uint64_t refused; /* of an import */
static err import(const struct node_users_config *c, struct diag *d) { return node_users_import(c, &refused, d); }

static const struct verb {
    const char *name;
    err (*fn)(const struct node_users_config *c, struct diag *d);
    const char *args;
    uint32_t least, most;
    const char *summary;
} verbs[] = {
#define VERB(name, fn, args, least, most, summary) {name, fn, args, least, most, summary},
#include "cli/users.def"
};

static const struct verb *verb_of(const char *word, struct diag *d) {
    const char *names[ARRAY_COUNT(verbs)];
    for (size_t i = 0; i < ARRAY_COUNT(verbs); i++) names[i] = verbs[i].name;
    size_t at = cli_verb("users", word, names, ARRAY_COUNT(verbs), d);
    return at < ARRAY_COUNT(verbs) ? &verbs[at] : NULL;
}

static struct node_users_config config_of(arena *mem, const struct cli_options *o) {
    uint32_t n = o->operands.n - 1;
    struct node_users_config c = {.to = stdout, .mem = mem, .where = cli_where(o), .app = o->app};
    c.json = o->json, c.yes = o->yes, c.dry_run = o->dry_run, c.since = o->since;
    c.from = o->from, c.hashes = o->hashes, c.hash_config = o->hash_config, c.jwt_secret = o->jwt_secret;
    if (n) c.operand = o->operands.p[1];
    if (n > 1) c.second = o->operands.p[2];
    return c;
}

int cli_import(arena *mem, const struct cli_options *o) {
    struct diag d = DIAG_INIT;
    const struct node_users_config c = config_of(mem, o);
    err e =
        !strcmp(o->operands.p[0], "supabase")
            ? node_import_supabase(&c, &d)
            : diag_set(
                  &d, ERR_USAGE, DIAG_NOWHERE,
                  "orlo import supabase FILE: of what else is not known; orlo users import takes Firebase's and Auth0's users");
    return e == ERR_OK ? EX_OK : cli_complain(NULL, e, &d);
}

int cli_users(arena *mem, const struct cli_options *o) {
    struct diag d = DIAG_INIT;
    const struct verb *v = verb_of(o->operands.p[0], &d);
    uint32_t n = o->operands.n - 1;
    if (!v) return cli_complain(NULL, ERR_USAGE, &d);
    if (n < v->least || n > v->most) {
        diag_set(&d, ERR_USAGE, DIAG_NOWHERE, "orlo users %s %s: %s", v->name, v->args, v->summary);
        return cli_complain(NULL, ERR_USAGE, &d);
    }
    const struct node_users_config c = config_of(mem, o);
    err e = v->fn(&c, &d);
    if (e != ERR_OK) return cli_complain(NULL, e, &d);
    return refused ? EX_DATAERR : EX_OK;
}
