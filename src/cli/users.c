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
    for (size_t i = 0; i < ARRAY_COUNT(verbs); i++) {
        if (!strcmp(word, verbs[i].name)) return &verbs[i];
        names[i] = verbs[i].name;
    }
    const char *meant = text_nearest(word, names, ARRAY_COUNT(verbs));
    diag_set(d, ERR_USAGE, DIAG_NOWHERE, "orlo users has no verb '%s'%s%s%s", word,
             meant ? ", did you mean '" : "; orlo users --help lists them", meant ? meant : "", meant ? "'?" : "");
    return NULL;
}

static struct node_users_config config_of(arena *mem, const struct cli_options *o) {
    uint32_t n = o->operands.n - 1;
    return (struct node_users_config){.mem = mem,
                                      .where = {.state_dir = o->state_dir, .url = o->to, .token = o->token},
                                      .app = o->app,
                                      .operand = n ? o->operands.p[1] : NULL,
                                      .second = n > 1 ? o->operands.p[2] : NULL,
                                      .from = o->from,
                                      .hashes = o->hashes,
                                      .hash_config = o->hash_config,
                                      .jwt_secret = o->jwt_secret,
                                      .since = o->since,
                                      .to = stdout,
                                      .json = o->json,
                                      .yes = o->yes,
                                      .dry_run = o->dry_run};
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
