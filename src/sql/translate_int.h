/* Of the translator's own files. What goes from one to the other is a struct sql_value: a piece of SQLite text and what is known of it.
 *
 *   tree ── expr.c ──→ value          names: scope.c   types: types.c   overloads: overload.c   casts: coerce.c
 *            │  ↑
 *            ↓  │ operands are values too
 *   select.c, from.c, aggregate.c, inline.c, dml.c
 */
#ifndef ORLO_SQL_TRANSLATE_INT_H
#define ORLO_SQL_TRANSLATE_INT_H

#include "sql/translate.h"

/* ---- values ---- */

enum sql_value_flags {
    SQL_RAISES = 1,    /* may fail: not to be evaluated where PostgreSQL would not */
    SQL_VOLATILE = 2,  /* another value each time */
    SQL_SESSION = 4,   /* asks who runs it, or when */
    SQL_SUBQUERY = 8,  /* holds a select */
    SQL_CONSTANT = 16, /* a literal */
    SQL_UNTYPED = 32,  /* a string without a type yet, or NULL: `literal` has it, and null */
    SQL_NULL = 64,     /* the literal NULL */
    SQL_NOT_NULL = 128,
    SQL_AGGREGATE = 256,
    SQL_WINDOWED = 512,
    SQL_SET = 1024, /* a set-returning function that was moved into FROM */
    SQL_INHERITED = SQL_RAISES | SQL_VOLATILE | SQL_SESSION | SQL_SUBQUERY | SQL_AGGREGATE | SQL_WINDOWED | SQL_SET,
};
struct sql_row;
struct sql_value {
    str text; /* stands as an operand as it is: a literal, a name, a call, or something in brackets. Empty for a row */
    uint32_t type;
    int32_t typmod;
    uint32_t flags;
    uint64_t levels;               /* bit n: it refers to columns of the scope with level n */
    str literal;                   /* SQL_UNTYPED: what was written */
    const struct sql_row *row;     /* of several fields: type is record or a row's */
    const struct sql_value *sides; /* of an equality: its two sides, as they are compared */
    struct sql_origin origin;      /* holds as long as the text is its own */
    int32_t location;
    struct {
        const uint8_t *of; /* the text's: else it is no chain any more */
        uint32_t links;    /* 0: it is none */
        uint8_t kind;
    } chain; /* of one operator's operands, side by side: the next one joins them, and nests no deeper */
};
enum { SQL_CHAIN_AND, SQL_CHAIN_OR, SQL_CHAIN_CONCAT, SQL_CHAIN_MAX = 90 };
/* None: it is more than a column. */
static inline struct sql_origin sql_value_origin(const struct sql_value *v) {
    return v->origin.relation && v->origin.text == v->text.p ? v->origin : (struct sql_origin){0};
}
struct sql_row {
    uint32_t n;
    str *names;
    struct sql_value *values;
    str present; /* SQLite text: is there a row? Empty: always */
};
typedef VEC(struct sql_value) sql_values;

/* What a function's parameters stand for while it is taken into a query. */
struct sql_value sql_row_of(struct sql_context *cx,
                            const struct catalog_relation *r); /* whose columns are those of the row at hand */
struct sql_argument_values {
    uint32_t n;
    struct sql_value *values;
};

/* ---- PL/pgSQL's variables (routine_expr.c) ---- */

struct sql_variable {
    str name;
    uint32_t place; /* the first of its places, from 0 */
    uint32_t type;
    int32_t typmod;
    const catalog_fields *fields; /* of a row: a place each; NULL: it is a value */
    bool record;                  /* a row of whatever is put into it: `fields` are all that come */
    bool several;                 /* … and not always the same: by name alone */
    bool flagged;                 /* of a row: whether there is one says `flag`, a place that is not null, or any of its fields */
    uint32_t flag;
    str present;      /* … or this does */
    uint32_t ordinal; /* of records, in a body */
    bool constant;
    struct routine_cursor *cursor; /* it is one's */
    bool late;                     /* a record that an executed text fills: its fields are known when that has run */
    str not_null;                  /* the message; empty: it may be null */
};
struct sql_variables { /* a block's */
    const struct sql_variables *outer;
    str label;
    VEC(struct sql_variable *) list;
    uint8_t conflict; /* enum plpgsql_conflict */
};
/* label empty: by its name alone. NULL: there is none. */
struct sql_variable *sql_variable_named(const struct sql_context *cx, str label, str name);
/* name, or row.name, label.name, label.row.name: false: no variable is called so. */
bool sql_find_variable(struct sql_context *cx, str schema, str table, str name, int32_t location, struct sql_value *out, err *e);

/* ---- scopes ---- */

struct sql_column {
    str name;
    struct sql_value value;
};
/* What a name in front of a dot may be. */
struct sql_item {
    str name, schema; /* empty: a join without a name */
    const struct catalog_relation *relation;
    struct sql_column *columns;
    uint32_t n;
    str alias;                    /* ours, in SQLite; empty: none (joins) */
    bool names_columns;           /* without qualification */
    bool names_itself;            /* as a qualifier, and as a row */
    bool nullable;                /* of the optional side of an outer join */
    bool is_scalar;               /* a function of one plain column: its name is that value */
    bool lateral_only;            /* while FROM is read: an item to the left */
    bool lateral_ok;              /* … that may be referred to there */
    const catalog_fields *wanted; /* of a function that RETURNS record: its columns' definitions; NULL: there are none */
};
typedef VEC(struct sql_column) sql_column_list;
typedef VEC(str) sql_texts;
struct sql_cte {
    str name, alias;
    uint32_t relation; /* of rows that are kept: it is this one's, however that is named */
    struct sql_column_out *columns;
    uint32_t n;
    bool recursive_open; /* its own recursive part is being read */
    bool used;
    uint32_t flags;
};
struct sql_window {
    str name;
    const PgQuery__WindowDef *def;
    str text;
    bool ordered, framed;
};
/* A column that was named outside of an aggregate. */
struct sql_mention {
    str name;
    const struct sql_item *item;
    str text;
    int32_t location;
    bool from_subquery;
};
/* GROUPING SETS: what is grouped by, and which of it each set has. */
enum { SQL_GROUPING_SETS_MAX = 128 };
struct sql_grouping {
    sql_values values;
    VEC(bool *) sets;
    const bool *now; /* the set that is read; NULL: all of them */
};
/* One level of a query. */
struct sql_scope {
    struct sql_scope *parent;
    uint32_t level;
    VEC(struct sql_item *) items;
    VEC(struct sql_cte *) ctes;
    VEC(struct sql_window) windows;
    sql_values groups;
    bool is_grouped;      /* there is GROUP BY, HAVING or an aggregate */
    bool reads_aggregate; /* inside of an aggregate's argument */
    VEC(struct sql_mention) mentions;
    bool lateral;                   /* an expression of FROM is being read */
    bool no_aggregates, no_windows; /* clause says where */
    const char *clause;
    VEC(str) sets;                 /* FROM items that set-returning functions of the select list became */
    struct sql_grouping *grouping; /* GROUPING SETS and kin; NULL: there are none */
    bool zips; /* … there are several, which go side by side: rows of theirs as JSON, with how many columns each has */
    str zip_alias;
    uint32_t zip_columns;
    bool allows_set;
    bool has_aggregate, has_window;
};

/* ---- queries, between being read and being printed ---- */

struct sql_sort {
    uint32_t ordinal; /* the select list's, from 1; 0: text */
    str text;
    uint32_t type;
    bool descending, nulls_first, not_null;
};
typedef VEC(struct sql_sort) sql_sorts;
enum sql_part_kind { SQL_PART_SELECT, SQL_PART_VALUES, SQL_PART_SETS };
/* The types of its columns may still be changed (sql_part_column_to): set operations, INSERT and recursive queries ask for that. */
struct sql_part {
    enum sql_part_kind kind;
    str with;
    sql_values targets; /* of a VALUES or a set operation: what is known of the columns */
    VEC(str) names;     /* as PostgreSQL names them */
    /* select */
    bool distinct, grouped;
    VEC(str) distinct_on;
    str from, where, group, having;
    sql_values conjuncts; /* of where */
    uint32_t sets;        /* set-returning functions of the select list */
    bool reads_tables;    /* there is something in FROM */
    /* values */
    VEC(sql_values) rows;
    /* set operation */
    int op;
    bool all;
    struct sql_part *left, *right;
    /* all */
    sql_sorts sorts;
    str limit, offset;
    bool ties;   /* and the rows that are equal to the last one */
    bool single; /* one row at most */
    uint32_t flags;
    uint64_t levels;
    uint32_t level; /* its scope's */
};

/* ---- errors ---- */

/* Records what went wrong, the first time; gives ERR_INVALID, or ERR_UNSUPPORTED for 0A000, ERR_LIMIT for 54001. */
err sql_refuse(struct sql_context *cx, int32_t location, const char *state, const char *fmt, ...) PRINTF_LIKE(4, 5);
void sql_hint(struct sql_context *cx, const char *fmt, ...) PRINTF_LIKE(2, 3);
void sql_detail(struct sql_context *cx, const char *fmt, ...) PRINTF_LIKE(2, 3);
err sql_unsupported(struct sql_context *cx, int32_t location, const char *what, const char *instead);

/* ---- text ---- */

/* translate.c: a fragment is whole: what went wrong on the way, or is too much of it. */
err sql_fragment_done(struct sql_context *cx, str text);
/* Would SQLite's parser take it? */
bool sql_reads(const struct sql_reader *reader, arena *mem, str text);

/* As arena_fmt, in cx->mem, counted against SQL_WORK_MAX. %.*s with STR_ARG. */
str sql_fmt(struct sql_context *cx, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* ERR_LIMIT: what was made so far is too much. To be asked where text may grow by much. */
err sql_check_size(struct sql_context *cx, str text, int32_t location);
err sql_check_work(struct sql_context *cx, int32_t location); /* … what was done so far */
err sql_enter(struct sql_context *cx, int32_t location);      /* one level deeper; sql_leave in any case when it was ERR_OK */
void sql_leave(struct sql_context *cx);
str sql_alias(struct sql_context *cx); /* "a1", "a2" …: never the same twice */
str sql_joined(struct sql_context *cx, const str *parts, uint32_t n, const char *between);
str sql_name_of(const PgQuery__Node *node); /* of a String node; else empty */
int32_t sql_location_of(const PgQuery__Node *node);

/* ---- types.c ---- */

uint32_t sql_base_type(struct sql_context *cx, uint32_t type);    /* of a domain: what it is made of */
uint32_t sql_element_type(struct sql_context *cx, uint32_t type); /* of an array (a domain's too); 0: it is none */
uint32_t sql_array_type(struct sql_context *cx, uint32_t type);   /* 0: there is none */
char sql_type_category(struct sql_context *cx, uint32_t type, bool *preferred);
const char *sql_type_collation(struct sql_context *cx, uint32_t type); /* "": none */
bool sql_is_polymorphic(uint32_t type);
bool sql_is_row_type(struct sql_context *cx, uint32_t type); /* a composite, a relation's row, record */
str sql_type_name(struct sql_context *cx, uint32_t type);    /* for messages, without a typmod */
/* A column's or type's collation as text: ` collate "numeric"`, or nothing. */
str sql_collate(struct sql_context *cx, uint32_t type);
/* A text that is made of a comparison by another order has its own again: SQLite would hand that order on, out of CASE and calls, to whatever is compared
 * with it. */
void sql_shield(struct sql_context *cx, struct sql_value *v);

/* ---- coerce.c ---- */

bool sql_can_coerce(struct sql_context *cx, uint32_t from, uint32_t to, enum pg_context context);
/* Makes v one of the type. false in *can: there is no such cast (nothing is recorded). */
err sql_coerce(struct sql_context *cx, struct sql_value *v, uint32_t type, int32_t typmod, enum pg_context context, bool *can);
/* … whose checks are somebody else's, where it is a domain. */
err sql_coerce_column(struct sql_context *cx, struct sql_value *v, uint32_t type, int32_t typmod, enum pg_context context,
                      bool *can);
/* … or 42804/42846 with these words: "%s" is v's type. */
err sql_coerce_to(struct sql_context *cx, struct sql_value *v, uint32_t type, int32_t typmod, enum pg_context context);
err sql_coerce_boolean(struct sql_context *cx, struct sql_value *v, const char *clause);
/* select_common_type; what is for messages: "CASE", "UNION", "ARRAY", "COALESCE", "IN" */
err sql_common_type(struct sql_context *cx, const struct sql_value *values, uint32_t n, const char *what, uint32_t *type);
err sql_to_common_type(struct sql_context *cx, struct sql_value *values, uint32_t n, const char *what, uint32_t *type);
/* A literal that is still without a type becomes text. */
err sql_settle(struct sql_context *cx, struct sql_value *v);
/* What one of the room pg's C functions makes of constants, now. */
err sql_constant_call(struct sql_context *cx, const char *name, const struct db_value *args, uint32_t n, int32_t location,
                      struct db_value *out);
struct sql_value sql_constant(struct sql_context *cx, uint32_t type, struct db_value v);
struct sql_value sql_null_of(uint32_t type);

/* ---- overload.c ---- */

enum { SQL_ARGS_MAX = 100 /* as SQLite has it for its functions */ };

/* What was found for a name and argument types. */
struct sql_callee {
    const struct pg_function *builtin; /* or */
    const struct catalog_function *own;
    bool aggregate;
    uint32_t params[SQL_ARGS_MAX]; /* the type that each argument is made to; polymorphic ones are resolved already */
    uint32_t n;                    /* arguments with those that defaults fill */
    int32_t filled[SQL_ARGS_MAX];  /* of argument i: which one of the call's, or -1: the default of parameter `slot` */
    uint32_t slots[SQL_ARGS_MAX];
    uint32_t result;
    uint32_t variadic_from; /* n: not spread */
    uint32_t variadic_element;
    bool is_cast; /* text(x): a cast to `result` */
};
err sql_find_function(struct sql_context *cx, const str *names, uint32_t names_n, const struct sql_value *args,
                      const str *arg_names, uint32_t n, bool variadic, int32_t location, struct sql_callee *out);
err sql_find_operator(struct sql_context *cx, str name, const struct sql_value *left, const struct sql_value *right,
                      int32_t location, const struct pg_operator **out, uint32_t *left_type, uint32_t *right_type,
                      uint32_t *result);
/* Applies it: casts, template, flags. left NULL: a prefix operator. */
err sql_apply_operator(struct sql_context *cx, str name, const struct sql_value *left, const struct sql_value *right,
                       int32_t location, struct sql_value *out);
/* A row of pg's tables, with arguments whose types fit already. */
err sql_apply_how(struct sql_context *cx, const struct pg_how *how, uint32_t flags, const struct sql_value *args, uint32_t n,
                  uint32_t result, int32_t typmod, bool is_explicit, struct sql_value *out);
/* By name in pg_catalog, as if it had been written so. */
err sql_call_builtin(struct sql_context *cx, const char *name, const struct sql_value *args, uint32_t n, int32_t location,
                     struct sql_value *out);

/* ---- scope.c ---- */

void sql_scope_open(struct sql_context *cx, struct sql_scope *scope);
void sql_scope_close(struct sql_context *cx, struct sql_scope *scope);
err sql_find_column(struct sql_context *cx, const PgQuery__ColumnRef *ref, struct sql_value *out);
/* Of `t.*` and `*`: the columns. Is it one? sql_is_star. */
bool sql_is_star(const PgQuery__Node *node);
err sql_expand_star(struct sql_context *cx, const PgQuery__ColumnRef *ref, sql_column_list *out);
/* A row as a value: of an item, with its columns. */
struct sql_value sql_row_of_item(struct sql_context *cx, const struct sql_item *item);
/* An unqualified name among the items of the innermost scope alone: false: there is none (or several: refused). */
err sql_find_in_scope(struct sql_context *cx, struct sql_scope *scope, str name, int32_t location, const struct sql_column **out);
err sql_find_argument(struct sql_context *cx, uint32_t number, int32_t location, struct sql_value *out); /* $n */
const struct sql_cte *sql_find_cte(struct sql_context *cx, str name);
/* Columns that were named since `mark` count for nothing: they are grouped by, or an aggregate's. */
void sql_forget_mentions(struct sql_context *cx, str grouped_text, const uint32_t *marks);

/* ---- expr.c ---- */

bool sql_chain_goes_on(const struct sql_value *v, uint8_t kind);
void sql_chain_add(struct sql_value *v, const struct sql_value *before, uint8_t kind); /* v's text has before's, and one more */

err sql_expr(struct sql_context *cx, const PgQuery__Node *node, struct sql_value *out);
/* v[…] := part: what is assigned to (0: it has no parts), and the whole of it then. */
uint32_t sql_part_type(struct sql_context *cx, uint32_t type, PgQuery__Node *const *steps, size_t n);
/* column: what it is a part of, for what is refused. */
err sql_set_part(struct sql_context *cx, str column, struct sql_value *v, PgQuery__Node *const *steps, size_t n,
                 const struct sql_value *part);
err sql_exprs(struct sql_context *cx, PgQuery__Node *const *nodes, size_t n, sql_values *out);
bool sql_has_star(const PgQuery__List *list);                  /* VALUES (new.*) */
err sql_row_text(struct sql_context *cx, struct sql_value *v); /* a row becomes its text: (1,"a b") */
/* WHERE, ON, HAVING, FILTER, WHEN: boolean, and null is as false. */
err sql_condition(struct sql_context *cx, const PgQuery__Node *node, const char *clause, struct sql_value *out);
/* flags and levels of an operand go into what is made of it. */
void sql_inherit(struct sql_value *out, const struct sql_value *from);
struct sql_value sql_bool(struct sql_context *cx, str text, const struct sql_value *a, const struct sql_value *b);
err sql_array_of(struct sql_context *cx, struct sql_value *elements, uint32_t n, uint32_t array_type, int32_t location,
                 struct sql_value *out);

/* ---- select.c ---- */

err sql_part_read(struct sql_context *cx, const PgQuery__SelectStmt *s, struct sql_part *out);
/* All literals of the columns that have no type yet become text. */
err sql_part_settle(struct sql_context *cx, struct sql_part *p);
err sql_part_column_to(struct sql_context *cx, struct sql_part *p, uint32_t i, uint32_t type, int32_t typmod,
                       enum pg_context context, bool *can);
/* names: n of them; NULL: c1, c2 … */
str sql_part_print(struct sql_context *cx, const struct sql_part *p, const str *names);
/* Without a select list: `select 1 from …`. Of a select without groups, limits and the like alone. */
str sql_part_print_bare(struct sql_context *cx, const struct sql_part *p, const char *list, str where);
bool sql_part_is_bare(const struct sql_part *p);
/* Read, settled and printed. */
err sql_subquery(struct sql_context *cx, const PgQuery__SelectStmt *s, struct sql_part *part, str *text);
err sql_where(struct sql_context *cx, const PgQuery__Node *node, sql_values *conjuncts, str *text);
err sql_with(struct sql_context *cx, const PgQuery__WithClause *with, str *text);
err sql_order_by(struct sql_context *cx, PgQuery__Node *const *nodes, size_t n, const sql_values *values, const str *names,
                 bool plain, sql_sorts *out);
str sql_sorts_text(struct sql_context *cx, const sql_sorts *sorts);
str sql_figure_name(const PgQuery__Node *node);
err sql_target_list(struct sql_context *cx, PgQuery__Node *const *nodes, size_t n, sql_column_list *out);

/* What GROUP BY says by a name, a number or an expression. */
err sql_group_value(struct sql_context *cx, const PgQuery__SelectStmt *s, const PgQuery__Node *node, struct sql_value *out);

/* ---- grouping.c ---- */

bool sql_has_grouping_sets(const PgQuery__SelectStmt *s);
err sql_grouping_read(struct sql_context *cx, const PgQuery__SelectStmt *s, struct sql_grouping *g);
err sql_grouping_of(struct sql_context *cx, const PgQuery__GroupingFunc *f, struct sql_value *out);
void sql_grouping_nulls(const struct sql_context *cx, struct sql_value *v);

/* ---- from.c ---- */

/* Items go into cx->scope. text: what stands behind FROM; empty for none. */
err sql_from(struct sql_context *cx, PgQuery__Node *const *nodes, size_t n, str *text);
void sql_names_schema(struct sql_context *cx, str schema); /* empty: it does not */
err sql_relation_item(struct sql_context *cx, const PgQuery__RangeVar *var, const struct catalog_relation **relation);
struct sql_item *sql_item_of_relation(struct sql_context *cx, const struct catalog_relation *r, str name, str alias);
str sql_relation_mark(struct sql_context *cx, const struct catalog_relation *r);
err sql_lateral_text(struct sql_context *cx, const struct sql_part *p, str body, struct sql_item *item, str *text);
/* "width, rows as JSON" of what stands in FROM, and a cell of such a row. */
str sql_rows_json(struct sql_context *cx, const struct sql_column *columns, uint32_t n, str from);
str sql_cell(struct sql_context *cx, str alias, uint32_t index, uint32_t type);
/* Several such, side by side: the shorter ones are filled up with nulls. */
str sql_zipped(struct sql_context *cx, const str *sets, uint32_t n, str alias);
err sql_builtin_set(struct sql_context *cx, const struct pg_function *f, const struct sql_value *args, uint32_t n,
                    uint32_t result, bool ordinality, struct sql_item *item, str *text);

/* ---- aggregate.c ---- */

err sql_aggregate(struct sql_context *cx, const PgQuery__FuncCall *call, struct sql_value *out);
err sql_window_call(struct sql_context *cx, const PgQuery__FuncCall *call, struct sql_value *out);
bool sql_is_aggregate_call(struct sql_context *cx, const PgQuery__FuncCall *call);

/* ---- inline.c ---- */

/* Text to trees, which live as long as cx->mem. */
err sql_parse_text(struct sql_context *cx, str source, const PgQuery__ParseResult **out);
bool sql_is_bare_value(const PgQuery__SelectStmt *s);
void sql_spread_row(struct sql_context *cx, struct sql_part *p,
                    const catalog_fields *fields); /* `select t from t`: the row's columns are the columns */
err sql_set_local(struct sql_context *cx, const PgQuery__Node *node, const PgQuery__Node **out);
/* The columns of what it gives: one without a name for a plain value. */
err sql_declared(struct sql_context *cx, const struct catalog_function *f, catalog_fields *out);
bool sql_is_routine(const struct catalog_function *f);                        /* in PL/pgSQL */
bool sql_is_called(struct sql_context *cx, const struct catalog_function *f); /* … or run as one is: not taken into a query */
bool sql_gives_row(struct sql_context *cx, const struct catalog_function *f);
void sql_path_of(struct sql_context *cx, const struct catalog_function *f);

/* A call of a function of the catalogue, its arguments of the right types. */
err sql_inline_scalar(struct sql_context *cx, const struct catalog_function *f, const struct sql_value *args, uint32_t n,
                      bool condition, int32_t location, struct sql_value *out);
err sql_inline_set(struct sql_context *cx, const struct catalog_function *f, const struct sql_value *args, uint32_t n,
                   int32_t location, struct sql_item *item, str *text);

/* ---- translate.c ---- */

void sql_fragment_flags(struct sql_context *cx, uint32_t flags, struct catalog_fragment *out);

/* ---- sublink.c ---- */

err sql_sublink(struct sql_context *cx, const PgQuery__SubLink *link, bool condition, struct sql_value *out);
/* x op ANY (array), x op ALL (array) */
err sql_any_array(struct sql_context *cx, str op, bool all, const struct sql_value *x, const struct sql_value *array,
                  int32_t location, struct sql_value *out);

/* ---- call.c ---- */

err sql_func_call(struct sql_context *cx, const PgQuery__FuncCall *call, bool condition, struct sql_value *out);
/* The arguments, named ones with their names; VARIADIC as it stands. */
err sql_call_arguments(struct sql_context *cx, const PgQuery__FuncCall *call, sql_values *args, str *names);
/* Makes them what the callee takes, with its defaults and its VARIADIC array. */
err sql_fit_arguments(struct sql_context *cx, const struct sql_callee *callee, const struct sql_value *args, uint32_t n,
                      int32_t location, sql_values *out);

/* By name with arguments that are values already, as f(args). */
err sql_call_named(struct sql_context *cx, const str *names, uint32_t names_n, const struct sql_value *args, uint32_t n,
                   int32_t location, struct sql_value *out);
uint32_t sql_populates(str name, bool *set);
err sql_populated(struct sql_context *cx, const struct sql_value *base, str text, struct sql_value *out);
/* A composite as it is stored, and its fields again: of the catalogue's own types alone. */
bool sql_is_composite(struct sql_context *cx, uint32_t type);
void sql_pack(struct sql_context *cx, struct sql_value *v);
void sql_unpack(struct sql_context *cx, struct sql_value *v);
err sql_row_shown(struct sql_context *cx, struct sql_value *v);
err sql_field_of(struct sql_context *cx, const struct sql_value *row, str name, int32_t location, struct sql_value *out);

#endif
