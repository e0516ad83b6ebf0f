/* sql_eval SCHEMA [-v]: runs what the translator makes of PostgreSQL's statements, for tests/sql/expressions.py.
 *
 * SCHEMA is a file of CREATE TYPE … AS ENUM, CREATE TABLE, CREATE VIEW, CREATE FUNCTION (language sql) and INSERT: as much of them as the test
 * needs is read here, into a catalogue, so that the translator is tested without the reader of migrations. Then each line of the standard
 * input is a statement, and answered by a line:
 *     ok<TAB>rows      a row's columns with \x1f between, rows with \x1e; null is \N
 *     error<TAB>SQLSTATE<TAB>message
 * With -v a line `sql<TAB>text` stands before it. */
#include <pg_query.h>
#include <stdio.h>
#include <stdlib.h>

#include "sql/translate.h"
#include "system/system.h"

static arena *mem;
static struct catalog *cat;
static struct db *db;
static struct pg_session session;
static struct pg_error error;
static bool verbose;
static const str path[] = {STR_INIT("public")};

static void die(const char *what, const char *why) {
    fprintf(stderr, "sql_eval: %s: %s\n", what, why);
    exit(2);
}

/* A line, whatever the values in it have. */
static void say_error(const char *state, const char *text) {
    printf("error\t%s\t", state);
    for (; *text; text++) putchar(*text == '\n' ? ' ' : *text);
    putchar('\n');
}

static bool reads(void *arg, str text) {
    (void)arg;
    return db_can_read(db, text);
}
static const struct sql_reader reader = {.reads = reads};

static struct sql_context context(arena *a) {
    return (struct sql_context){.reader = &reader, .mem = a, .catalog = cat, .path = path, .path_count = 1, .definer = true};
}

/* ---- a schema ---- */

static uint32_t next_id(void) { return cat->next_id++; }
static uint32_t public_schema;

static void add_type(uint32_t id, uint32_t array, str name, uint8_t kind, struct catalog_type **out) {
    struct catalog_type *t = vec_add(mem, &cat->types);
    t->id = id;
    t->array = array;
    t->name = arena_str(mem, name);
    t->schema = public_schema;
    t->kind = kind;
    *out = t;
}

static void create_enum(const PgQuery__CreateEnumStmt *s) {
    struct catalog_type *t;
    uint32_t id = next_id(), array = next_id();
    add_type(id, array, str_c(s->type_name[s->n_type_name - 1]->string->sval), CATALOG_ENUM, &t);
    for (size_t i = 0; i < s->n_vals; i++)
        vec_push(mem, &t->labels,
                 ((struct catalog_label){arena_str(mem, str_c(s->vals[i]->string->sval)), 1024 * ((int64_t)i + 1)}));
}

static void run(str sql) {
    struct diag d = DIAG_INIT;
    if (db_run_values(db, sql, NULL, 0, &d) != ERR_OK) die(arena_cstr(mem, sql), error.set ? error.message : d.text);
}

static void add_key(struct catalog_relation *r, uint8_t kind, const PgQuery__Constraint *c, uint16_t column) {
    struct catalog_constraint *k = vec_add(mem, &r->constraints);
    k->id = next_id();
    k->kind = kind;
    k->name = arena_fmt(mem, STR_FMT "_%s", STR_ARG(r->name), kind == CATALOG_PRIMARY ? "pkey" : "key");
    if (column) vec_push(mem, &k->columns, column);
    for (size_t i = 0; i < c->n_keys; i++)
        vec_push(mem, &k->columns, catalog_column_named(r, str_c(c->keys[i]->string->sval))->number);
    for (uint32_t i = 0; kind == CATALOG_PRIMARY && i < r->columns.n; i++)
        if (catalog_ids_have(&k->columns, r->columns.p[i].number)) r->columns.p[i].not_null = true;
}

static void column_default(struct catalog_column *k, const PgQuery__Node *expr) {
    struct sql_context cx = context(mem);
    struct sql_want want = {.type = k->type, .typmod = k->typmod, .context = PG_ASSIGNMENT, .column = k->name};
    k->default_value.source = STR("?");
    if (sql_translate_expr(&cx, expr, &want, &k->default_value.fragment) != ERR_OK) die("default", cx.problem.message);
}

static void create_column(struct catalog_relation *r, const PgQuery__ColumnDef *def) {
    struct sql_context cx = context(mem);
    struct catalog_column *k = vec_add(mem, &r->columns);
    k->number = ++r->last_number;
    k->name = k->storage = arena_str(mem, str_c(def->colname));
    if (sql_type_named(&cx, def->type_name, &k->type, &k->typmod) != ERR_OK) die(def->colname, cx.problem.message);
    for (size_t i = 0; i < def->n_constraints; i++) {
        const PgQuery__Constraint *c = def->constraints[i]->constraint;
        if (c->contype == PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL) k->not_null = true;
        if (c->contype == PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY) add_key(r, CATALOG_PRIMARY, c, k->number);
        if (c->contype == PG_QUERY__CONSTR_TYPE__CONSTR_UNIQUE) add_key(r, CATALOG_UNIQUE, c, k->number);
        if (c->contype == PG_QUERY__CONSTR_TYPE__CONSTR_DEFAULT) column_default(k, c->raw_expr);
    }
}

static const char *storage_of(const struct pg_type *t) {
    static const char *const names[] = {
        [PG_STORED_INTEGER] = "integer", [PG_STORED_REAL] = "real", [PG_STORED_TEXT] = "text", [PG_STORED_BLOB] = "blob"};
    return names[t->storage];
}

static void make_table(const struct catalog_relation *r) {
    struct sql_context cx = context(mem);
    struct buf b = {0};
    buf_printf(&b, "create table " STR_FMT " (", STR_ARG(sql_quoted(mem, r->storage)));
    for (uint32_t i = 0; i < r->columns.n; i++) {
        const struct catalog_column *k = &r->columns.p[i];
        const struct pg_type *t = sql_type_of(&cx, k->type);
        buf_printf(&b, "%s" STR_FMT " %s%s", i ? ", " : "", STR_ARG(sql_quoted(mem, k->storage)), storage_of(t),
                   k->not_null ? " not null" : "");
        if (t->collation[0]) buf_printf(&b, " collate %s", t->collation);
    }
    for (uint32_t i = 0; i < r->constraints.n; i++) {
        const struct catalog_constraint *c = &r->constraints.p[i];
        buf_puts(&b, c->kind == CATALOG_PRIMARY ? STR(", primary key (") : STR(", unique ("));
        for (uint32_t k = 0; k < c->columns.n; k++)
            buf_printf(&b, "%s" STR_FMT, k ? ", " : "", STR_ARG(sql_quoted(mem, catalog_column_of(r, c->columns.p[k])->storage)));
        buf_putc(&b, ')');
    }
    buf_puts(&b, STR(") strict"));
    run(buf_str(&b));
    buf_free(&b);
}

static struct catalog_relation *add_relation(str name, uint8_t kind) {
    uint32_t id = next_id(), row = next_id(), array = next_id();
    struct catalog_type *t;
    add_type(row, array, name, CATALOG_ROW, &t);
    t->relation = id;
    struct catalog_relation *r = vec_add(mem, &cat->relations);
    r->id = id;
    r->row_type = row;
    r->row_array = array;
    r->schema = public_schema;
    r->name = r->storage = arena_str(mem, name);
    r->kind = kind;
    return r;
}

static void create_table(const PgQuery__CreateStmt *s) {
    struct catalog_relation *r = add_relation(str_c(s->relation->relname), CATALOG_TABLE);
    for (size_t i = 0; i < s->n_table_elts; i++)
        if (s->table_elts[i]->node_case == PG_QUERY__NODE__NODE_COLUMN_DEF) create_column(r, s->table_elts[i]->column_def);
    for (size_t i = 0; i < s->n_table_elts; i++) {
        if (s->table_elts[i]->node_case != PG_QUERY__NODE__NODE_CONSTRAINT) continue;
        const PgQuery__Constraint *c = s->table_elts[i]->constraint;
        if (c->contype == PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY) add_key(r, CATALOG_PRIMARY, c, 0);
        if (c->contype == PG_QUERY__CONSTR_TYPE__CONSTR_UNIQUE) add_key(r, CATALOG_UNIQUE, c, 0);
    }
    make_table(r);
}

/* ---- fragments ---- */

/* Marks of relations become their tables. */
static str expand(arena *a, str text) {
    struct buf b = {0};
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] != 1) {
            buf_putc(&b, text.p[i]);
            continue;
        }
        uint32_t id = 0;
        char kind = (char)text.p[i + 1];
        for (i += 2; text.p[i] != 2; i++) id = id * 10 + text.p[i] - '0';
        if (kind == 'P' || kind == 'K' || kind == 'Q') continue; /* a statement's parts: nothing by themselves */
        const struct catalog_relation *r = kind == 'R' || kind == 'B' ? catalog_relation_of(cat, id) : NULL;
        if (!r) die("a mark of no relation", arena_cstr(a, text));
        buf_puts(&b, sql_quoted(a, r->storage));
    }
    str out = arena_str(a, buf_str(&b));
    buf_free(&b);
    return out;
}

static void create_view(const PgQuery__ViewStmt *s) {
    struct sql_context cx = context(mem);
    struct catalog_fragment f;
    struct sql_columns columns;
    if (sql_translate_query(&cx, s->query->select_stmt, NULL, 0, &f, &columns) != ERR_OK)
        die(s->view->relname, cx.problem.message);
    struct catalog_relation *r = add_relation(str_c(s->view->relname), CATALOG_VIEW);
    for (uint32_t i = 0; i < columns.n; i++) {
        struct catalog_column *k = vec_add(mem, &r->columns);
        k->number = ++r->last_number;
        k->name = k->storage = arena_str(mem, columns.p[i].name);
        k->type = columns.p[i].type;
        k->typmod = columns.p[i].typmod;
    }
    run(arena_fmt(mem, "create view " STR_FMT " as " STR_FMT, STR_ARG(sql_quoted(mem, r->storage)),
                  STR_ARG(expand(mem, f.text))));
}

static const char *option_text(const PgQuery__Node *n) {
    if (n->node_case == PG_QUERY__NODE__NODE_STRING) return n->string->sval;
    if (n->node_case == PG_QUERY__NODE__NODE_LIST && n->list->n_items) return n->list->items[0]->string->sval;
    return "";
}

static void function_option(struct catalog_function *f, const PgQuery__DefElem *o) {
    const char *name = o->defname;
    if (!strcmp(name, "as")) f->source = arena_str(mem, str_c(option_text(o->arg)));
    if (!strcmp(name, "language")) f->language = arena_str(mem, str_c(option_text(o->arg)));
    if (!strcmp(name, "strict")) f->strict = o->arg->boolean ? o->arg->boolean->boolval : true;
    if (!strcmp(name, "security")) f->definer = true;
    if (!strcmp(name, "volatility"))
        f->volatility = !strcmp(option_text(o->arg), "volatile") ? CATALOG_IS_VOLATILE
                        : !strcmp(option_text(o->arg), "stable") ? CATALOG_IS_STABLE
                                                                 : CATALOG_IS_IMMUTABLE;
}

static uint8_t mode_of(PgQuery__FunctionParameterMode m) {
    switch (m) {
    case PG_QUERY__FUNCTION_PARAMETER_MODE__FUNC_PARAM_OUT: return CATALOG_OUT;
    case PG_QUERY__FUNCTION_PARAMETER_MODE__FUNC_PARAM_INOUT: return CATALOG_INOUT;
    case PG_QUERY__FUNCTION_PARAMETER_MODE__FUNC_PARAM_VARIADIC: return CATALOG_VARIADIC;
    case PG_QUERY__FUNCTION_PARAMETER_MODE__FUNC_PARAM_TABLE: return CATALOG_TABLE_COLUMN;
    default: return CATALOG_IN;
    }
}

static void function_parameter(struct catalog_function *f, const PgQuery__FunctionParameter *p) {
    struct sql_context cx = context(mem);
    struct catalog_argument *a = vec_add(mem, &f->arguments);
    a->name = arena_str(mem, str_c(p->name));
    a->mode = mode_of(p->mode);
    if (sql_type_named(&cx, p->arg_type, &a->type, &a->typmod) != ERR_OK) die(p->name, cx.problem.message);
    if (!p->defexpr) return;
    struct sql_want want = {.type = a->type, .typmod = -1, .context = PG_ASSIGNMENT};
    a->default_value.source = STR("?");
    if (sql_translate_expr(&cx, p->defexpr, &want, &a->default_value.fragment) != ERR_OK) die(p->name, cx.problem.message);
}

static void create_function(const PgQuery__CreateFunctionStmt *s) {
    struct sql_context cx = context(mem);
    struct catalog_function *f = vec_add(mem, &cat->functions);
    int32_t typmod;
    f->id = next_id();
    f->schema = public_schema;
    f->name = arena_str(mem, str_c(s->funcname[s->n_funcname - 1]->string->sval));
    for (size_t i = 0; i < s->n_parameters; i++) {
        function_parameter(f, s->parameters[i]->function_parameter);
        f->set |= f->arguments.p[i].mode == CATALOG_TABLE_COLUMN;
    }
    f->returns = PG_RECORD;
    if (s->return_type && sql_type_named(&cx, s->return_type, &f->returns, &typmod) != ERR_OK) die("returns", cx.problem.message);
    if (s->return_type && s->return_type->setof) f->set = true;
    for (size_t i = 0; i < s->n_options; i++) function_option(f, s->options[i]->def_elem);
    if (sql_translate_function(&cx, f) != ERR_OK) die(arena_cstr(mem, f->name), cx.problem.message);
}

/* ---- statements ---- */

static PgQuery__ParseResult *parse(const char *text) {
    PgQueryProtobufParseResult r = pg_query_parse_protobuf(text);
    PgQuery__ParseResult *tree = NULL;
    if (r.error) printf("error\t42601\t%s\n", r.error->message);
    else tree = pg_query__parse_result__unpack(NULL, r.parse_tree.len, (const uint8_t *)r.parse_tree.data);
    pg_query_free_protobuf_parse_result(r);
    return tree;
}

static void put_value(arena *a, struct buf *b, uint32_t type, struct db_value v) {
    if (v.kind == DB_NULL) {
        buf_puts(b, STR("\\N"));
        return;
    }
    struct pg_call call = {.mem = a, .session = &session, .error = &error};
    struct buf text = {0};
    if (!pg_value_out(&call, type, v, &text)) {
        buf_printf(b, "<kind %d is no value of type %u>", v.kind, type);
        error.set = false;
    }
    for (size_t i = 0; i < text.n; i++) buf_puts(b, text.p[i] == '\n' ? STR("\\n") : (str){text.p + i, 1});
    buf_free(&text);
}

static void put_rows(arena *a, struct db_rows *rows, const struct sql_columns *columns, struct buf *b) {
    for (bool first = true; db_next(rows); first = false) {
        if (!first) buf_putc(b, 0x1e);
        for (uint32_t i = 0; i < columns->n; i++) {
            if (i) buf_putc(b, 0x1f);
            put_value(a, b, columns->p[i].type, db_value(rows, i));
        }
    }
}

/* Of a constraint of SQLite's own, as query tells it. */
static const char *state_of(const char *text) {
    return strstr(text, "NOT NULL constraint") ? "23502" : strstr(text, "UNIQUE constraint") ? "23505" : "XX000";
}

static void say_sql(str sql) {
    printf("sql\t");
    for (size_t i = 0; i < sql.n; i++) putchar(sql.p[i] == '\n' ? ' ' : sql.p[i]);
    putchar('\n');
}

static void answer(arena *a, str sql, const struct sql_columns *columns) {
    struct diag d = DIAG_INIT;
    struct db_rows *rows;
    struct buf b = {0};
    error = (struct pg_error){0};
    if (verbose) say_sql(sql);
    err e = db_query_values(db, sql, NULL, 0, &rows, &d);
    if (e == ERR_OK) {
        put_rows(a, rows, columns, &b);
        e = db_end(rows, &d);
    }
    if (e != ERR_OK) say_error(error.set ? error.state : state_of(d.text), error.set ? error.message : d.text);
    else printf("ok\t" STR_FMT "\n", STR_ARG(buf_str(&b)));
    buf_free(&b);
}

static void statement(const PgQuery__Node *node) {
    arena *a = arena_new(0);
    struct sql_context cx = context(a);
    struct catalog_fragment f;
    struct sql_columns columns = {0};
    err e = sql_translate_statement(&cx, node, &f, &columns);
    struct diag d = DIAG_INIT;
    if (e == ERR_OK) {
        if (db_begin(db, &d) != ERR_OK) die("begin", d.text);
        answer(a, expand(a, f.text), &columns);
        db_rollback(db);
    } else {
        say_error(cx.problem.set ? cx.problem.state : "?????", cx.problem.message);
    }
    arena_free(a);
}

static void schema_statement(const PgQuery__Node *node) {
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_CREATE_ENUM_STMT: create_enum(node->create_enum_stmt); return;
    case PG_QUERY__NODE__NODE_CREATE_STMT: create_table(node->create_stmt); return;
    case PG_QUERY__NODE__NODE_VIEW_STMT: create_view(node->view_stmt); return;
    case PG_QUERY__NODE__NODE_CREATE_FUNCTION_STMT: create_function(node->create_function_stmt); return;
    default: break;
    }
    struct sql_context cx = context(mem);
    struct catalog_fragment f;
    if (sql_translate_statement(&cx, node, &f, NULL) != ERR_OK) die("schema", cx.problem.message);
    run(expand(mem, f.text));
}

static void read_schema(const char *file) {
    static char text[1 << 20];
    FILE *in = fopen(file, "r");
    if (!in) die(file, "cannot be read");
    text[fread(text, 1, sizeof text - 1, in)] = 0;
    fclose(in);
    PgQuery__ParseResult *tree = parse(text);
    if (!tree) die(file, "is no SQL");
    for (size_t i = 0; i < tree->n_stmts; i++) schema_statement(tree->stmts[i]->stmt);
    pg_query__parse_result__free_unpacked(tree, NULL);
}

int main(int argc, char **argv) {
    struct diag d = DIAG_INIT;
    if (argc < 2) die("usage", "sql_eval SCHEMA [-v]");
    verbose = argc > 2;
    mem = arena_new(0);
    cat = catalog_new(mem, CATALOG_SQLITE);
    struct catalog_schema *s = vec_add(mem, &cat->schemas);
    s->id = public_schema = next_id();
    s->name = STR("public");
    struct catalog_role *owner = vec_add(mem, &cat->roles);
    *owner = (struct catalog_role){.id = next_id(), .name = STR("postgres"), .superuser = true, .login = true};
    cat->owner = s->owner = owner->id;
    if (db_open(&(struct db_options){.name = ":memory:", .create = true}, &db, &d) != ERR_OK) die("open", d.text);
    static struct sql_context types_cx;
    static struct pg_types types;
    types_cx = context(mem);
    sql_types_of(&types_cx, &types);
    session = (struct pg_session){.types = &types, .mem = mem, .error = &error, .role = STR("postgres")};
    if (pg_register(db, &session, &d) != ERR_OK) die("register", d.text);
    static struct system_context system = {.session = &session};
    system.catalog = cat;
    if (system_register(db, &system, &d) != ERR_OK) die("register", d.text);
    session.names = &system.names;
    read_schema(argv[1]);
    static char line[1 << 20];
    while (fgets(line, sizeof line, stdin)) {
        PgQuery__ParseResult *tree = parse(line);
        if (tree && tree->n_stmts == 1) statement(tree->stmts[0]->stmt);
        else if (tree) printf("error\t42601\tnot one statement\n");
        if (tree) pg_query__parse_result__free_unpacked(tree, NULL);
        fflush(stdout);
    }
    db_close(db);
    arena_free(mem);
}
