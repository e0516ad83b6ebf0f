/* pull: a dump of a database that somebody made by hand, as pg_dump or Supabase writes it, as a migration: what the app's own schemas are made of, and what it has
 * put on the platform's tables (policies of files and channels, triggers of users). Rows, owners, roles and the platform's own objects are left out, and counted.
 *
 * 1. The text is a stranger's: bounded and read as every migration is; COPY's rows are passed over, not parsed.
 * 2. A statement that is kept stands as it was written. What cannot be read is told, and left out. */
#include "sql/ddl_int.h"
#include "sql/parse.h"
#include "sql/sql.h"
#include "sql/translate_int.h"

/* ---- what is the platform's ---- */

static bool is_one_of(str name, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (str_eqc(name, names[i])) return true;
    return false;
}

static bool is_platforms(str schema) {
    static const char *const schemas[] = {"auth",
                                          "storage",
                                          "realtime",
                                          "extensions",
                                          "graphql",
                                          "graphql_public",
                                          "vault",
                                          "pgsodium",
                                          "pgsodium_masks",
                                          "supabase_functions",
                                          "supabase_migrations",
                                          "net",
                                          "cron",
                                          "pgmq",
                                          "pgmq_public",
                                          "pgbouncer",
                                          "pgtle",
                                          "repack",
                                          "tiger",
                                          "tiger_data",
                                          "topology",
                                          "_analytics",
                                          "_realtime",
                                          "_supavisor",
                                          "_orlo",
                                          "_platform",
                                          "information_schema",
                                          "pg_catalog",
                                          "pg_toast"};
    return is_one_of(schema, schemas, ARRAY_COUNT(schemas));
}

static bool is_known_role(const PgQuery__RoleSpec *r) {
    static const char *const roles[] = {"anon", "authenticated", "service_role", "postgres"};
    return r->roletype != PG_QUERY__ROLE_SPEC_TYPE__ROLESPEC_CSTRING || is_one_of(str_c(r->rolename), roles, ARRAY_COUNT(roles));
}

static str first_of(PgQuery__Node *const *names, size_t n) { return n > 1 ? sql_name_of(names[n > 2 ? n - 3 : 0]) : (str){0}; }
static str schema_of_names(PgQuery__Node *const *names, size_t n) { return n > 1 ? sql_name_of(names[n - 2]) : (str){0}; }
static str schema_of_var(const PgQuery__RangeVar *v) { return str_c(v ? v->schemaname : ""); }

/* Of what COMMENT and GRANT name. A column's and a constraint's name has three parts. */
static str schema_of_object(const PgQuery__Node *o, bool inner) {
    if (!o) return (str){0};
    switch (o->node_case) {
    case PG_QUERY__NODE__NODE_RANGE_VAR: return schema_of_var(o->range_var);
    case PG_QUERY__NODE__NODE_STRING: return str_c(o->string->sval);
    case PG_QUERY__NODE__NODE_OBJECT_WITH_ARGS:
        return schema_of_names(o->object_with_args->objname, o->object_with_args->n_objname);
    case PG_QUERY__NODE__NODE_TYPE_NAME: return schema_of_names(o->type_name->names, o->type_name->n_names);
    case PG_QUERY__NODE__NODE_LIST:
        return inner ? first_of(o->list->items, o->list->n_items) : schema_of_names(o->list->items, o->list->n_items);
    default: return (str){0};
    }
}

/* ---- statement by statement ---- */

enum { DROP, KEEP };

static int keep_unless(str schema) { return is_platforms(schema) ? DROP : KEEP; }

static int table_change(const PgQuery__AlterTableStmt *s) {
    bool owner = s->n_cmds > 0;
    for (size_t i = 0; i < s->n_cmds; i++)
        owner &= s->cmds[i]->alter_table_cmd->subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_ChangeOwner;
    return owner ? DROP : keep_unless(schema_of_var(s->relation));
}

static int comment_on(const PgQuery__CommentStmt *s) {
    static const PgQuery__ObjectType inner[] = {PG_QUERY__OBJECT_TYPE__OBJECT_COLUMN, PG_QUERY__OBJECT_TYPE__OBJECT_POLICY,
                                                PG_QUERY__OBJECT_TYPE__OBJECT_TRIGGER,
                                                PG_QUERY__OBJECT_TYPE__OBJECT_TABCONSTRAINT};
    bool of_table = false;
    for (size_t i = 0; i < ARRAY_COUNT(inner); i++) of_table |= s->objtype == inner[i];
    if (s->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_SCHEMA)
        return str_eqc(sql_name_of(s->object), "public") ? DROP : keep_unless(sql_name_of(s->object));
    if (s->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_EXTENSION || s->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_EVENT_TRIGGER ||
        s->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_PUBLICATION || s->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_DATABASE ||
        s->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_ROLE)
        return DROP;
    return keep_unless(schema_of_object(s->object, of_table));
}

static int grant(const PgQuery__GrantStmt *s) {
    for (size_t i = 0; i < s->n_grantees; i++)
        if (!is_known_role(s->grantees[i]->role_spec)) return DROP;
    for (size_t i = 0; i < s->n_objects; i++)
        if (is_platforms(schema_of_object(s->objects[i], false))) return DROP;
    return s->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_DATABASE || s->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_LANGUAGE ? DROP
                                                                                                                        : KEEP;
}

static int default_privileges(const PgQuery__AlterDefaultPrivilegesStmt *s) {
    const PgQuery__DefElem *roles = sql_option(s->options, s->n_options, "roles"),
                           *in = sql_option(s->options, s->n_options, "schemas");
    for (size_t i = 0; roles && i < roles->arg->list->n_items; i++)
        if (!is_known_role(roles->arg->list->items[i]->role_spec)) return DROP;
    for (size_t i = 0; in && i < in->arg->list->n_items; i++)
        if (is_platforms(sql_name_of(in->arg->list->items[i]))) return DROP;
    return grant(s->action);
}

/* Of the platform's tables what the app hung there is kept: a trigger by whose function it is. */
static int trigger(const PgQuery__CreateTrigStmt *s) {
    str schema = schema_of_names(s->funcname, s->n_funcname);
    return is_platforms(schema) && (is_platforms(schema_of_var(s->relation)) || !str_eqc(schema, "supabase_functions")) ? DROP
                                                                                                                        : KEEP;
}
static int policy(str schema) { return str_eqc(schema, "storage") || str_eqc(schema, "realtime") ? KEEP : keep_unless(schema); }

static int publication(const PgQuery__AlterPublicationStmt *s) {
    for (size_t i = 0; i < s->n_pubobjects; i++) {
        const PgQuery__PublicationTable *t = s->pubobjects[i]->node_case == PG_QUERY__NODE__NODE_PUBLICATION_OBJ_SPEC
                                                 ? s->pubobjects[i]->publication_obj_spec->pubtable
                                                 : NULL;
        if (!t || is_platforms(schema_of_var(t->relation))) return DROP;
    }
    return strcmp(s->pubname, "supabase_realtime") != 0 ? DROP : KEEP;
}

static int extension(const PgQuery__CreateExtensionStmt *s) { return !strcmp(s->extname, "plpgsql") ? DROP : KEEP; }

static int judge(const PgQuery__Node *n) {
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_CREATE_SCHEMA_STMT:
        return !strcmp(n->create_schema_stmt->schemaname, "public") ? DROP
                                                                    : keep_unless(str_c(n->create_schema_stmt->schemaname));
    case PG_QUERY__NODE__NODE_CREATE_EXTENSION_STMT: return extension(n->create_extension_stmt);
    case PG_QUERY__NODE__NODE_CREATE_STMT: return keep_unless(schema_of_var(n->create_stmt->relation));
    case PG_QUERY__NODE__NODE_ALTER_TABLE_STMT: return table_change(n->alter_table_stmt);
    case PG_QUERY__NODE__NODE_INDEX_STMT: return keep_unless(schema_of_var(n->index_stmt->relation));
    case PG_QUERY__NODE__NODE_VIEW_STMT: return keep_unless(schema_of_var(n->view_stmt->view));
    case PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT: return keep_unless(schema_of_var(n->create_table_as_stmt->into->rel));
    case PG_QUERY__NODE__NODE_CREATE_SEQ_STMT: return keep_unless(schema_of_var(n->create_seq_stmt->sequence));
    case PG_QUERY__NODE__NODE_ALTER_SEQ_STMT: return keep_unless(schema_of_var(n->alter_seq_stmt->sequence));
    case PG_QUERY__NODE__NODE_CREATE_ENUM_STMT:
        return keep_unless(schema_of_names(n->create_enum_stmt->type_name, n->create_enum_stmt->n_type_name));
    case PG_QUERY__NODE__NODE_CREATE_DOMAIN_STMT:
        return keep_unless(schema_of_names(n->create_domain_stmt->domainname, n->create_domain_stmt->n_domainname));
    case PG_QUERY__NODE__NODE_CREATE_RANGE_STMT:
        return keep_unless(schema_of_names(n->create_range_stmt->type_name, n->create_range_stmt->n_type_name));
    case PG_QUERY__NODE__NODE_COMPOSITE_TYPE_STMT: return keep_unless(schema_of_var(n->composite_type_stmt->typevar));
    case PG_QUERY__NODE__NODE_CREATE_FUNCTION_STMT:
        return keep_unless(schema_of_names(n->create_function_stmt->funcname, n->create_function_stmt->n_funcname));
    case PG_QUERY__NODE__NODE_ALTER_FUNCTION_STMT:
        return keep_unless(schema_of_names(n->alter_function_stmt->func->objname, n->alter_function_stmt->func->n_objname));
    case PG_QUERY__NODE__NODE_CREATE_TRIG_STMT: return trigger(n->create_trig_stmt);
    case PG_QUERY__NODE__NODE_CREATE_POLICY_STMT: return policy(schema_of_var(n->create_policy_stmt->table));
    case PG_QUERY__NODE__NODE_COMMENT_STMT: return comment_on(n->comment_stmt);
    case PG_QUERY__NODE__NODE_GRANT_STMT: return grant(n->grant_stmt);
    case PG_QUERY__NODE__NODE_ALTER_DEFAULT_PRIVILEGES_STMT: return default_privileges(n->alter_default_privileges_stmt);
    case PG_QUERY__NODE__NODE_ALTER_PUBLICATION_STMT: return publication(n->alter_publication_stmt);
    case PG_QUERY__NODE__NODE_REPLICA_IDENTITY_STMT:
    case PG_QUERY__NODE__NODE_RULE_STMT: return KEEP;
    default: return DROP;
    }
}

/* "create schema x" as pg_dump has it fails where a migration before it made one. */
static void put(struct buf *to, const PgQuery__Node *n, str text) {
    if (n->node_case == PG_QUERY__NODE__NODE_CREATE_SCHEMA_STMT && n->create_schema_stmt->schemaname &&
        !n->create_schema_stmt->n_schema_elts)
        buf_printf(to, "create schema if not exists \"%s\"", n->create_schema_stmt->schemaname);
    else
        while (text.n && (text.p[text.n - 1] == ';' || text.p[text.n - 1] <= ' ')) text.n--;
    if (n->node_case != PG_QUERY__NODE__NODE_CREATE_SCHEMA_STMT || n->create_schema_stmt->n_schema_elts) buf_puts(to, text);
    buf_puts(to, STR(";\n\n"));
}

static void pull(arena *mem, str name, str text, struct buf *to, struct sql_pulled *counts, struct sql_report *report) {
    sql_statements statements = {0};
    sql_parse_dump(mem, text, &statements);
    for (uint32_t i = 0; i < statements.n; i++) {
        const struct sql_statement *s = &statements.p[i];
        if (!s->node) {
            str words = arena_str(mem, s->message);
            text_tame((char *)(uintptr_t)words.p, words.n);
            struct sql_note n = {.severity = SQL_REMARK,
                                 .file = name,
                                 .line = s->line,
                                 .column = s->column,
                                 .code = arena_str(mem, str_c(s->state)),
                                 .text = arena_fmt(mem, "left out, as it cannot be read: " STR_FMT, STR_ARG(words))};
            sql_note_add(mem, report, n);
            counts->unread++;
        } else if (judge(s->node) == KEEP) {
            put(to, s->node, str_sub(text, s->offset, s->bytes));
            counts->kept++;
        } else counts->left_out++;
    }
}

struct pulling {
    arena *mem;
    str name, text;
    struct buf *to;
    struct sql_pulled *counts;
    struct sql_report *report;
};

static void *on_stack(void *arg) {
    struct pulling *p = arg;
    pull(p->mem, p->name, p->text, p->to, p->counts, p->report);
    return NULL;
}

void sql_pull(arena *mem, str name, str text, struct buf *to, struct sql_pulled *counts, struct sql_report *report) {
    struct pulling p = {mem, name, text, to, counts, report};
    *counts = (struct sql_pulled){0};
    sql_on_deep_stack(on_stack, &p);
}
