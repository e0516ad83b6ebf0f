/* upgrade: what the node keeps in an app's own PostgreSQL, as this version of the node has it. `platform` of _orlo.meta says how far that is.
 *
 *   looks ──it is as it should be──> on with it
 *     └──> _platform lets in ──its steps──> lets nobody in any more ──> the database's own steps ──> looks again
 *
 * 1. Steps are done in their order, each with its number, in one transaction for each of the two databases: whoever is killed finds what is left to do.
 * 2. A reset begins with _platform, so that is brought there first: what is migrated anew finds what this version makes.
 * 3. A step that changes what the whole cluster shares (roles) comes twice: it is one that can. */
#include "node/postgres/broker.h"
#include "sql/sql.h"
#include <stdio.h>
#include <stdlib.h>

static str extension_made(arena *mem) {
    return arena_fmt(mem, STR_FMT "; " BROKER_EXTENSION_RIGHTS "; grant execute on function _orlo.extension to postgres;",
                     STR_ARG(sql_extension_function(mem, true)));
}

/* What an owner has made of that name meanwhile is left as it is. */
static str files_since(arena *mem, uint8_t since) {
    struct buf b = {0};
    uint32_t n;
    const struct sql_file *files = sql_platform(true, &n);
    for (uint32_t i = 0; i < n; i++)
        if (files[i].since == since)
            buf_printf(&b,
                       "begin execute format('grant create on database %%I to postgres', current_database()); perform "
                       "set_config('role', 'postgres', "
                       "true); execute $orlo_file$" STR_FMT
                       "$orlo_file$; perform set_config('role', 'none', true); exception when others then null; end; ",
                       STR_ARG(files[i].text));
    str text = arena_str(mem, buf_str(&b));
    buf_free(&b);
    return text;
}

static str functions_made(arena *mem) { return files_since(mem, 2); }
/* Hooks of /auth/v1 are called as that one, by the node alone (node/tree.h). */
static str users_made(arena *mem) {
    return arena_fmt(mem, STR_FMT " begin grant " NODE_TREE_OWN_ROLE " to authenticator; exception when others then null; end; ",
                     STR_ARG(files_since(mem, 3)));
}

static const struct step {
    uint32_t to;
    const char *text; /* of PL/pgSQL */
    str (*made)(arena *mem);
} steps[] = {
    {2, "alter role orlo password null; alter role authenticator password null; alter role postgres password null;",
     NULL}, /* nobody asks for them any more */
    {3, NULL, extension_made},
    {4, NULL, functions_made},
    {5, NULL, extension_made}, /* what an owner's extension has of his is his */
    {6, NULL, users_made},
};
static_assert(BROKER_PLATFORM == 6); /* the last step's */

static void push_steps(arena *mem, struct postgres_statement to[static ARRAY_COUNT(steps)]) {
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++)
        to[i] = (struct postgres_statement){
            .text =
                arena_fmt(mem,
                          "do $orlo_do$ begin if (select value::int from _orlo.meta where key = 'platform') < %u then " STR_FMT
                          " update _orlo.meta set value = '%u' where key = 'platform'; end if; end $orlo_do$",
                          steps[i].to, STR_ARG(steps[i].made ? steps[i].made(mem) : str_c(steps[i].text)), steps[i].to)};
}

/* What to do next is one of these; each is told once. */
static void ask(struct broker_base *b, struct postgres *db, const struct postgres_statement *s, uint32_t n, bool bare,
                postgres_told told) {
    (void)postgres_ask(db, &(struct postgres_question){.statements = s, .count = n, .ms_max = 60'000, .bare = bare}, told, b);
}
static void ask_text(struct broker_base *b, str text, postgres_told told) {
    ask(b, b->admin, &(struct postgres_statement){.text = text}, 1, true, told);
}

static void on_upgraded(void *arg, const struct postgres_answer *a) {
    struct broker_base *b = arg;
    if (!node_base_went_well(b, a)) return;
    log_event(LOG_INFO, "postgres-upgraded", LF_CSTR("app", b->name), LF_U64("version", BROKER_PLATFORM));
    node_base_open(b);
}

static void on_closed(void *arg, const struct postgres_answer *a) {
    struct broker_base *b = arg;
    postgres_free(b->template);
    b->template = NULL;
    if (!node_base_went_well(b, a)) return;
    struct postgres_statement s[ARRAY_COUNT(steps)];
    arena *mem = arena_new(0);
    push_steps(mem, s);
    ask(b, b->admin, s, ARRAY_COUNT(s), false, on_upgraded);
    arena_free(mem);
}

static void on_template(void *arg, const struct postgres_answer *a) {
    struct broker_base *b = arg;
    if (node_base_went_well(b, a)) ask_text(b, STR("alter database _platform allow_connections false"), on_closed);
}

static void on_let_in(void *arg, const struct postgres_answer *a) {
    struct broker_base *b = arg;
    if (!node_base_went_well(b, a)) return;
    struct postgres_statement s[ARRAY_COUNT(steps)];
    arena *mem = arena_new(0);
    push_steps(mem, s);
    if (!b->template) b->template = node_base_connect(b, "orlo", "_platform", 1);
    ask(b, b->template, s, ARRAY_COUNT(s), false, on_template);
    arena_free(mem);
}

static void on_version(void *arg, const struct postgres_answer *a) {
    struct broker_base *b = arg;
    uint64_t version = 0;
    if (!node_base_went_well(b, a)) return;
    if (!str_to_u64(postgres_value(a, 0, 0, 0, NULL), &version) || version >= BROKER_PLATFORM) node_base_let_in(b);
    else ask_text(b, STR("alter database _platform allow_connections true"), on_let_in);
}

void node_upgrade_begin(struct broker_base *b) {
    ask(b, b->admin, &(struct postgres_statement){.text = STR("select value from _orlo.meta where key = 'platform'")}, 1, false,
        on_version);
}
