/* ddl_temporary: temporary tables, and what else is put into pg_temp. They are of a schema of that name, which is there while files are read and goes, with all
 * that is in it, at their end; what is ON COMMIT DROP goes at the file's end, or at its COMMIT. Names are looked for there first.
 *
 *   create temp table moved on commit drop as select … ;  update t set … from moved … ;     a table "pg_temp.moved" of SQLite's, for a while */
#include "sql/ddl_int.h"

static const struct catalog_schema *there(const struct sql_ddl *d) { return catalog_schema_named(d->c, STR("pg_temp")); }

void sql_path_begin(struct sql_ddl *d) {
    d->path_n = 0;
    if (there(d)) d->path[d->path_n++] = STR("pg_temp");
}

const struct catalog_schema *sql_temporary_schema(struct sql_ddl *d) {
    if (there(d)) return there(d);
    struct catalog_schema s = {.id = d->c->next_id++, .owner = d->c->owner, .name = STR("pg_temp")};
    vec_push(d->mem, &s.grants, ((struct catalog_grant){CATALOG_PUBLIC, CATALOG_USAGE | CATALOG_CREATE, 0}));
    vec_push(d->mem, &d->c->schemas, s);
    if (d->path_n == ARRAY_COUNT(d->path)) d->path_n--;
    memmove(d->path + 1, d->path, d->path_n * sizeof *d->path);
    d->path[0] = STR("pg_temp");
    d->path_n++;
    return there(d);
}

static void run(struct sql_ddl *d, str text) {
    sql_statements statements = {0};
    const struct sql_statement *outer = d->statement;
    sql_parse(d->mem, text, &statements);
    d->statement = NULL;
    for (uint32_t i = 0; i < statements.n; i++)
        (void)sql_statement_run(d, statements.p[i].node); /* what it says is in the report */
    d->statement = outer;
}

void sql_temporary_is(struct sql_ddl *d, uint32_t relation, const PgQuery__RangeVar *var, PgQuery__OnCommitAction action) {
    if (var->relpersistence[0] == 't' && action == PG_QUERY__ON_COMMIT_ACTION__ONCOMMIT_DROP)
        vec_push(d->mem, &d->on_commit, relation);
}

err sql_temporary_may(struct sql_ddl *d, const PgQuery__RangeVar *var, PgQuery__OnCommitAction action) {
    if (action == PG_QUERY__ON_COMMIT_ACTION__ONCOMMIT_DELETE_ROWS)
        return sql_needs_postgres(d, var->location, "delete them", "ON COMMIT DELETE ROWS is not there on SQLite");
    return ERR_OK;
}

void sql_temporary_committed(struct sql_ddl *d) {
    for (uint32_t i = d->on_commit.n; i--;) {
        const struct catalog_relation *r = catalog_relation_of(d->c, d->on_commit.p[i]);
        if (r) run(d, arena_fmt(d->mem, "drop table pg_temp." STR_FMT " cascade", STR_ARG(sql_quoted(d->mem, r->name))));
    }
    d->on_commit.n = 0;
}

void sql_temporary_end(struct sql_ddl *d) {
    if (!there(d)) return;
    run(d, STR("drop schema pg_temp cascade"));
    sql_path_reset(d);
}
