/* db: `orlo db VERB …`, a row of db.def each. */
#include "cli/cli_int.h"
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

static int cli_db_check(struct node_db_config *c), cli_db_migrate(struct node_db_config *c),
    cli_db_status(struct node_db_config *c), cli_db_reset(struct node_db_config *c), cli_db_diff(struct node_db_config *c),
    cli_db_pull(struct node_db_config *c), cli_db_dump(struct node_db_config *c), cli_db_restore(struct node_db_config *c),
    cli_db_query(struct node_db_config *c), cli_db_explain(struct node_db_config *c), cli_db_move(struct node_db_config *c),
    cli_db_types(struct node_db_config *c);

static const struct verb {
    const char *name;
    int (*fn)(struct node_db_config *c);
    const char *args;
    uint32_t least, most;
    const char *summary;
} verbs[] = {
#define VERB(name, fn, args, least, most, summary) {name, fn, args, least, most, summary},
#include "cli/db.def"
};

static int done(err e, const struct diag *d) { return e == ERR_OK ? EX_OK : cli_complain(NULL, e, d); }

#define DO(verb, call)                                                                                                           \
    static int cli_db_##verb(struct node_db_config *c) {                                                                         \
        struct diag d = DIAG_INIT;                                                                                               \
        err e = call(c, &d);                                                                                                     \
        return done(e, &d);                                                                                                      \
    }
DO(migrate, node_db_migrate)
DO(status, node_db_status)
DO(diff, node_db_diff)
DO(pull, node_db_pull)
DO(dump, node_db_dump)
DO(query, node_db_query)
DO(explain, node_db_explain)
DO(reset, node_db_reset)
DO(restore, node_db_restore)
DO(move, node_db_move)
DO(types, node_db_types)

static int cli_db_check(struct node_db_config *c) {
    struct diag d = DIAG_INIT;
    uint32_t errors = 0;
    err e = node_db_check(c, &errors, &d);
    return e == ERR_OK && errors ? EX_DATAERR : done(e, &d);
}

static const struct verb *verb_of(const char *word, struct diag *d) {
    const char *names[ARRAY_COUNT(verbs)];
    for (size_t i = 0; i < ARRAY_COUNT(verbs); i++) names[i] = verbs[i].name;
    size_t at = cli_verb("db", word, names, ARRAY_COUNT(verbs), d);
    return at < ARRAY_COUNT(verbs) ? &verbs[at] : NULL;
}

/* orlo db move APP: what follows may be a folder, as with the other verbs. */
static void settle_move(struct node_db_config *c) {
    struct stat st;
    if (c->operand && !c->app && stat(c->operand, &st)) c->app = c->operand, c->operand = NULL;
}

int cli_db(arena *mem, const struct cli_options *o) {
    struct diag d = DIAG_INIT;
    const struct verb *v = verb_of(o->operands.p[0], &d);
    uint32_t n = o->operands.n - 1;
    if (!v) return cli_complain(NULL, ERR_USAGE, &d);
    if (n < v->least || n > v->most) {
        diag_set(&d, ERR_USAGE, DIAG_NOWHERE, "orlo db %s %s: %s", v->name, v->args, v->summary);
        return cli_complain(NULL, ERR_USAGE, &d);
    }
    struct node_db_config c = {.mem = mem,
                               .where = cli_where(o),
                               .app = o->app,
                               .operand = n ? o->operands.p[1] : NULL,
                               .second = n > 1 ? o->operands.p[2] : NULL,
                               .as = o->as,
                               .claims = o->claims,
                               .engine = o->engine,
                               .command = o->on,
                               .to = stdout,
                               .yes = o->yes,
                               .json = o->json,
                               .dry_run = o->dry_run,
                               .csv = o->csv,
                               .writes = o->db_write,
                               .mark = o->db_mark,
                               .drop_old = o->drop_old,
                               .schema_only = o->schema_only,
                               .data_only = o->data_only,
                               .strict = o->strict,
                               .all = o->all,
                               .no_lint = o->no_lint};
    if (v->fn == cli_db_move) settle_move(&c);
    return v->fn(&c);
}
