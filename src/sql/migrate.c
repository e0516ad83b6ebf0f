/* migrate: files in their order, each statement by the table, into a plan.
 *
 * 1. The platform's own schemas come first, where the catalogue that is there lacks them or has an older version.
 * 2. What comes before a refusal is still read, and what comes after it too: the report is whole, and then there is no plan.
 */
#include "sql/ddl_int.h"
#include "sql/translate_int.h"
#include <stdio.h>

/* ---- one statement ---- */

static const struct {
    PgQuery__Node__NodeCase node;
    err (*fn)(struct sql_ddl *d, const PgQuery__Node *node);
    const char *what, *how;
} handlers[] = {
#define STATEMENT(node, member, handler, what, how) {PG_QUERY__NODE__NODE_##node, sql_do_##handler, what, how},
#include "sql/statements.def"
#undef STATEMENT
};

/* "CREATE_FDW_STMT" as a person would say it: of the tree's own field name. */
static str kind_of(struct sql_ddl *d, const PgQuery__Node *node) {
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field(&pg_query__node__descriptor, (unsigned)node->node_case);
    str name = arena_str(d->mem, str_c(f ? f->name : "statement"));
    if (str_ends(name, STR("_stmt"))) name.n -= 5;
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] == '_') ((uint8_t *)(uintptr_t)name.p)[i] = ' ';
    return name;
}

/* What reaches outside of the database, or above its owner. */
static bool is_malicious(PgQuery__Node__NodeCase c) {
    return c == PG_QUERY__NODE__NODE_COPY_STMT || c == PG_QUERY__NODE__NODE_LOAD_STMT ||
           c == PG_QUERY__NODE__NODE_ALTER_SYSTEM_STMT || c == PG_QUERY__NODE__NODE_CREATE_FDW_STMT ||
           c == PG_QUERY__NODE__NODE_CREATE_FOREIGN_SERVER_STMT || c == PG_QUERY__NODE__NODE_CREATEDB_STMT ||
           c == PG_QUERY__NODE__NODE_DROPDB_STMT || c == PG_QUERY__NODE__NODE_CREATE_TABLE_SPACE_STMT ||
           c == PG_QUERY__NODE__NODE_CREATE_SUBSCRIPTION_STMT;
}

/* What leaves the catalogue as it is: calls may be of the place that is open. */
static bool defines(PgQuery__Node__NodeCase c) {
    return c != PG_QUERY__NODE__NODE_SELECT_STMT && c != PG_QUERY__NODE__NODE_INSERT_STMT &&
           c != PG_QUERY__NODE__NODE_UPDATE_STMT && c != PG_QUERY__NODE__NODE_DELETE_STMT && c != PG_QUERY__NODE__NODE_DO_STMT &&
           c != PG_QUERY__NODE__NODE_MERGE_STMT && c != PG_QUERY__NODE__NODE_VARIABLE_SET_STMT &&
           c != PG_QUERY__NODE__NODE_TRUNCATE_STMT && c != PG_QUERY__NODE__NODE_CALL_STMT &&
           c != PG_QUERY__NODE__NODE_TRANSACTION_STMT;
}

err sql_statement_run(struct sql_ddl *d, const PgQuery__Node *node) {
    if (defines(node->node_case)) sql_place_end(d);
    for (size_t i = 0; i < ARRAY_COUNT(handlers); i++)
        if (handlers[i].node == node->node_case) return handlers[i].fn(d, node);
    if (is_malicious(node->node_case))
        return sql_refuse_at(d, -1, "42501", "leave it out",
                             "%s may not stand in a migration: it reaches outside of the database",
                             (const char *)arena_cstr(d->mem, kind_of(d, node)));
    return sql_needs_postgres(d, -1, NULL, "the statement \"" STR_FMT "\" is not there on SQLite", STR_ARG(kind_of(d, node)));
}

/* ---- one file ---- */

void sql_path_reset(struct sql_ddl *d) {
    static const str usual[] = {STR_INIT("public"), STR_INIT("extensions")};
    sql_path_begin(d);
    for (size_t i = 0; i < ARRAY_COUNT(usual); i++) d->path[d->path_n++] = usual[i];
}

static bool adds_value(const PgQuery__Node *node) {
    const PgQuery__AlterEnumStmt *s =
        node && node->node_case == PG_QUERY__NODE__NODE_ALTER_ENUM_STMT ? node->alter_enum_stmt : NULL;
    return s && !(s->old_val && *s->old_val);
}

/* A value that an enum gets may be used once it is committed (55P04 before). */
static void commit_here(struct sql_ddl *d, struct sql_plan_file *out) {
    struct buf b = {0};
    catalog_write(&b, d->c);
    out->catalog = arena_str(d->mem, buf_str(&b));
    buf_free(&b);
}

/* With PostgreSQL behind it, a file's own statements are its steps; the platform's are there before. What begins and ends transactions is left out, as all
 * pending files are one. */
static void pass_through(struct sql_ddl *d, const struct sql_file *file, const sql_statements *statements,
                         struct sql_plan_file *out) {
    bool needs = false;
    out->steps.n = 0;
    for (uint32_t i = 0; i < statements->n && !d->platform; i++) {
        const struct sql_statement *s = &statements->p[i];
        struct sql_plan_step step = {.text = str_sub(file->text, s->offset, s->bytes), .line = s->line};
        needs = needs || adds_value(s->node);
        str instead = s->node ? sql_extension_step(d->mem, s->node, step.text) : (str){0};
        if (instead.n) step.text = instead;
        if (s->node && s->node->node_case != PG_QUERY__NODE__NODE_TRANSACTION_STMT) vec_push(d->mem, &out->steps, step);
    }
    if (needs && !d->report->refused) commit_here(d, out);
}

/* ---- a statement that is asked ---- */

static err must_be_rows(struct sql_ddl *d, const PgQuery__Node *node) {
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_SELECT_STMT:
        if (!node->select_stmt->into_clause) return ERR_OK;
        break;
    case PG_QUERY__NODE__NODE_INSERT_STMT:
    case PG_QUERY__NODE__NODE_UPDATE_STMT:
    case PG_QUERY__NODE__NODE_DELETE_STMT:
    case PG_QUERY__NODE__NODE_MERGE_STMT: return ERR_OK;
    case PG_QUERY__NODE__NODE_TRUNCATE_STMT:
        return sql_refuse_at(d, -1, "0A000", "write delete from", "truncate is a migration's on SQLite");
    default: break;
    }
    return sql_refuse_at(d, -1, "0A000", "write it into a migration, and orlo db migrate applies it",
                         STR_FMT " is not run by a query, which reads and writes rows", STR_ARG(kind_of(d, node)));
}

static err make_asked(struct sql_ddl *d, const struct sql_statement *s, bool owner) {
    struct sql_context cx = sql_context_of(d);
    struct sql_columns columns = {0};
    struct catalog_fragment fragment;
    const struct catalog_schema *in = catalog_schema_named(d->c, STR("public"));
    TRY(must_be_rows(d, s->node));
    if (!in) return sql_refuse_at(d, -1, "3F000", NULL, "schema \"public\" does not exist");
    cx.definer = cx.definer_function = cx.owners = owner;
    err e = sql_translate_statement(&cx, s->node, &fragment, &columns);
    if (e == ERR_USAGE && !cx.problem.set)
        return sql_refuse_at(d, -1, "0A000", NULL, "the statement \"" STR_FMT "\" is not there on SQLite",
                             STR_ARG(kind_of(d, s->node)));
    if (e != ERR_OK) return sql_refuse_problem(d, &cx);
    struct catalog_function f = {.id = d->c->next_id++,
                                 .schema = in->id,
                                 .owner = d->c->owner,
                                 .name = STR(SQL_ASKED),
                                 .language = STR("sql"),
                                 .definer = owner,
                                 .set = columns.n > 0,
                                 .returns = columns.n ? PG_RECORD : PG_VOID};
    for (uint32_t i = 0; i < columns.n; i++)
        vec_push(d->mem, &f.columns, ((struct catalog_field){columns.p[i].name, columns.p[i].type, columns.p[i].typmod}));
    vec_push(d->mem, &f.statements, fragment);
    vec_push(d->mem, &f.grants, ((struct catalog_grant){CATALOG_PUBLIC, CATALOG_EXECUTE, 0}));
    vec_push(d->mem, &d->c->functions, f);
    return ERR_OK;
}

static void run_asked(struct sql_ddl *d, const struct sql_file *file) {
    sql_statements statements = {0};
    d->file = file, d->out = vec_add(d->mem, &d->plan->files);
    *d->out = (struct sql_plan_file){.name = file->name, .seed = true};
    sql_path_reset(d);
    sql_parse(d->mem, file->text, &statements);
    d->statement = statements.n ? &statements.p[statements.n > 1 && statements.p[0].node] : NULL;
    if (!d->statement) sql_refuse_at(d, -1, "42601", NULL, "there is no statement");
    else if (!d->statement->node)
        sql_refuse_at(d, (int32_t)(d->statement->at - d->statement->base), d->statement->state, NULL, STR_FMT,
                      STR_ARG(d->statement->message));
    else if (statements.n > 1) sql_refuse_at(d, -1, "42601", "ask one after the other", "there is more than one statement");
    else (void)make_asked(d, d->statement, file->owner); /* what it says is in the report */
    d->statement = NULL;
}

/* Statements that leave nothing behind say nothing themselves. */
static void judge_nothing(struct sql_ddl *d, struct sql_statement *s) {
    const PgQuery__Node *node = s->node;
    if (s->verdict || d->engine == CATALOG_POSTGRES) return;
    for (size_t i = 0; i < ARRAY_COUNT(handlers); i++) {
        bool sets = node->node_case == PG_QUERY__NODE__NODE_VARIABLE_SET_STMT &&
                    (!node->variable_set_stmt->name || strcmp(node->variable_set_stmt->name, "search_path") != 0);
        if (handlers[i].node == node->node_case && (sets || !strncmp(handlers[i].how, "nothing", 7)))
            s->verdict = SQL_VERDICT_IGNORED, s->why = str_c(sets ? "left out: nothing depends on it" : handlers[i].how);
    }
    (void)d;
}

/* "create view", as the table has it; what one row has of several kinds is told apart by its own words. */
static str what_of(struct sql_ddl *d, const struct sql_file *file, const struct sql_statement *s) {
    str text = str_sub(file->text, s->offset, MIN(s->bytes, 24u)), what = {0};
    for (size_t i = 0; s->node && i < ARRAY_COUNT(handlers); i++)
        if (handlers[i].node == s->node->node_case) what = str_c(handlers[i].what);
    if (what.n && str_find(what, ',') == what.n) return what;
    size_t words = 0, n = 0;
    for (; n < text.n && words < 2; n++) words += text.p[n] == ' ' || text.p[n] == '\n' || text.p[n] == '\t';
    char *to = arena_cstr(d->mem, str_trim(str_sub(text, 0, n)));
    text_tame(to, strlen(to));
    for (char *p = to; *p; p++) *p = *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p;
    return what.n || s->node == NULL ? str_c(to) : kind_of(d, s->node);
}

static void tell_each(struct sql_ddl *d, const struct sql_file *file, const sql_statements *statements) {
    for (uint32_t i = 0; d->report->each && !d->platform && i < statements->n; i++) {
        const struct sql_statement *s = &statements->p[i];
        if (d->report->statements.n >= SQL_JUDGED_MAX) return;
        vec_push(d->mem, &d->report->statements,
                 ((struct sql_judged){.file = file->name, .line = s->line, .what = what_of(d, file, s)}));
        vec_push(d->mem, &d->judged, s);
    }
}

/* What is said of a function's body is said at the end. */
static void judge_all(struct sql_ddl *d) {
    for (uint32_t i = 0; i < d->judged.n; i++)
        d->report->statements.p[i].verdict = d->judged.p[i]->verdict, d->report->statements.p[i].why = d->judged.p[i]->why;
}

static void run_file(struct sql_ddl *d, const struct sql_file *file) {
    sql_statements statements = {0};
    d->file = file, d->statement = NULL, d->bodies_unchecked = false;
    struct sql_plan_file *out = vec_add(d->mem, &d->plan->files);
    *out = (struct sql_plan_file){.name = d->platform ? (str){0} : file->name, .seed = file->seed};
    d->out = out;
    sql_path_reset(d);
    sql_parse(d->mem, file->text, &statements);
    for (uint32_t i = 0; i < statements.n; i++) {
        d->statement = &statements.p[i];
        if (!d->statement->node)
            sql_refuse_at(d, (int32_t)(d->statement->at - d->statement->base), d->statement->state, NULL, STR_FMT,
                          STR_ARG(d->statement->message));
        else (void)sql_statement_run(d, d->statement->node); /* what it says is in the report */
        if (d->statement->node) judge_nothing(d, &statements.p[i]);
        d->statements++;
    }
    d->statement = NULL;
    sql_temporary_committed(d);
    tell_each(d, file, &statements);
    sql_function_settle(d, false);
    sql_refresh(d);
    sql_flush(d);
    if (d->engine == CATALOG_POSTGRES) pass_through(d, file, &statements, out);
}

/* ---- all of them ---- */

static void note_storage(struct sql_ddl *d) {
    struct catalog *c = d->c;
    for (uint32_t i = 0; i < c->relations.n; i++) {
        const struct catalog_relation *r = &c->relations.p[i];
        sql_storage_note(d, r->storage);
        for (uint32_t j = 0; j < r->indexes.n; j++) sql_storage_note(d, r->indexes.p[j].storage);
        for (uint32_t j = 0; j < r->constraints.n; j++)
            if (r->constraints.p[j].kind <= CATALOG_UNIQUE) sql_storage_note(d, r->constraints.p[j].storage);
    }
}

static err copy_of(arena *out, const struct catalog *from, struct catalog **copy, struct diag *d) {
    struct buf b = {0};
    catalog_write(&b, from);
    err e = catalog_read(out, buf_str(&b), copy, d);
    buf_free(&b);
    if (e == ERR_OK) (*copy)->names = NULL; /* it changes from here on */
    return e;
}

static void first_owner(struct sql_ddl *d) {
    if (d->c->owner) return;
    struct catalog_role *r = vec_add(d->mem, &d->c->roles);
    *r = (struct catalog_role){.id = d->c->next_id++,
                               .name = STR("postgres"),
                               .login = true,
                               .create_role = true,
                               .create_db = true,
                               .platform = true,
                               .bypass_rls = true};
    d->c->owner = r->id;
    struct catalog_schema s = {.id = d->c->next_id++, .owner = r->id, .name = STR("public"), .platform = true};
    vec_push(d->mem, &s.grants, ((struct catalog_grant){CATALOG_PUBLIC, CATALOG_USAGE, 0}));
    vec_push(d->mem, &s.grants, ((struct catalog_grant){r->id, CATALOG_ALL_SCHEMA, CATALOG_ALL_SCHEMA}));
    vec_push(d->mem, &d->c->schemas, s);
}

static void run_platform(struct sql_ddl *d) {
    uint32_t n;
    const struct sql_file *files = sql_platform(false, &n);
    if (d->c->platform >= SQL_PLATFORM) return;
    d->platform = true;
    for (uint32_t i = 0; i < n; i++)
        if (files[i].since > d->c->platform) run_file(d, &files[i]);
    d->platform = false;
    d->c->platform = SQL_PLATFORM;
}

/* ---- what is recorded ---- */

/* What a statement calls of cron, net and pgmq is written down there: the report says so once for each. */
void sql_note_recorded(struct sql_ddl *d, const struct catalog_fragment *f) {
    static const char *const schemas[] = {"cron", "net", "pgmq"};
    for (uint32_t i = 0; !d->platform && i < f->calls.n; i++) {
        const struct catalog_function *g = NULL;
        for (uint32_t k = 0; k < d->c->functions.n && !g; k++)
            if (d->c->functions.p[k].id == f->calls.p[i] && d->c->functions.p[k].platform) g = &d->c->functions.p[k];
        const struct catalog_schema *s = g ? catalog_schema_of(d->c, g->schema) : NULL;
        for (size_t k = 0; s && k < ARRAY_COUNT(schemas); k++) {
            if (!str_eqc(s->name, schemas[k]) || catalog_ids_have(&d->told, g->id)) continue;
            vec_push(d->mem, &d->told, g->id);
            sql_recorded(d, STR_FMT "." STR_FMT ": recorded, runs when jobs are on", STR_ARG(s->name), STR_ARG(g->name));
        }
    }
}

static void stand_at(struct sql_ddl *d, uint32_t function) {
    d->file = NULL, d->statement = NULL;
    for (uint32_t i = 0; i < d->bodies.n; i++)
        if (d->bodies.p[i].function == function) d->file = d->bodies.p[i].file, d->statement = d->bodies.p[i].statement;
}

/* In bodies that came with these files. */
static void note_recorded(struct sql_ddl *d) {
    for (uint32_t i = 0; i < d->c->functions.n; i++) {
        const struct catalog_function *f = &d->c->functions.p[i];
        if (f->platform || f->id < d->first_id) continue;
        stand_at(d, f->id);
        for (uint32_t k = 0; k < f->statements.n; k++) sql_note_recorded(d, &f->statements.p[k]);
        for (uint32_t k = 0; k < f->routine.statements.n; k++) sql_note_recorded(d, &f->routine.statements.p[k]);
    }
    for (uint32_t i = 0; i < d->c->relations.n; i++)
        for (uint32_t k = 0; k < d->c->relations.p[i].triggers.n; k++) {
            const struct catalog_trigger *t = &d->c->relations.p[i].triggers.p[k];
            stand_at(d, t->function);
            for (uint32_t n = 0; t->id >= d->first_id && n < t->routine.statements.n; n++)
                sql_note_recorded(d, &t->routine.statements.p[n]);
        }
    d->file = NULL, d->statement = NULL;
}

struct migrating {
    struct sql_ddl d;
    const struct catalog *from;
    const struct sql_file *files;
    uint32_t n;
    struct diag *diag;
    err e;
};

static err migrate(struct migrating *m) {
    struct sql_ddl *d = &m->d;
    if (m->from) TRY(copy_of(d->mem, m->from, &d->c, m->diag));
    else d->c = catalog_new(d->mem, d->engine);
    d->c->engine = (uint8_t)d->engine;
    d->first_id = d->c->next_id;
    note_storage(d);
    first_owner(d);
    run_platform(d);
    for (uint32_t i = 0; i < m->n; i++)
        if (m->files[i].asked) run_asked(d, &m->files[i]);
        else run_file(d, &m->files[i]);
    sql_temporary_end(d);
    sql_path_reset(d);
    sql_function_settle(d, true);
    sql_refresh(d);
    sql_place_end(d);
    buf_free(&d->place.text);
    sql_compile_routines(d);
    note_recorded(d);
    judge_all(d);
    d->c->version++;
    struct diag check = DIAG_INIT;
    struct catalog *whole;
    if (!d->report->refused &&
        copy_of(d->mem, d->c, &whole, &check) != ERR_OK) /* our own fault, found before anybody relies on it */
        sql_refuse_at(d, -1, "XX000", "please report it", "what the migrations make does not hold together: %s", check.text);
    if (!d->report->refused) catalog_ready(d->c);
    d->plan->catalog = d->c;
    return ERR_OK;
}

static void *on_stack(void *arg) {
    struct migrating *m = arg;
    m->e = migrate(m);
    return NULL;
}

err sql_migrate(arena *out, const struct catalog *from, const struct sql_file *files, uint32_t n, enum catalog_engine engine,
                const struct sql_reader *reader, struct sql_plan *plan, struct sql_report *report, struct diag *diag) {
    struct migrating m = {.d = {.mem = out, .plan = plan, .report = report, .engine = engine, .reader = reader},
                          .from = from,
                          .files = files,
                          .n = n,
                          .diag = diag};
    *plan = (struct sql_plan){0};
    sql_on_deep_stack(on_stack, &m);
    return m.e;
}
