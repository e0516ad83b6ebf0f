/* catalog: what a database is made of, as PostgreSQL sees it: schemas, roles, types, relations, policies, functions, grants.
 *
 *   struct catalog *c;
 *   TRY(catalog_read(mem, text, &c, d));                     the row `catalog` of the table _orlo_meta
 *   const struct catalog_relation *r = catalog_relation_named(c, STR("public"), STR("notes"));
 *   const struct catalog_column *k = catalog_column_named(r, STR("title"));
 *
 * 1. Everything lives in one arena, plain structs and vectors; after catalog_read nothing changes it, and any thread may read it. While
 *    migrations are read, sql changes one of its own, and nobody else sees that.
 * 2. An id is given once, from 16384 up, by one counter for types, relations, functions, roles and all else that has one; what is below is
 *    PostgreSQL's own (types: their oids). 0 is none. Ids survive renaming, and what refers to something does so by id.
 * 3. Text of PostgreSQL's language is for people and for the PostgreSQL engine. What runs on SQLite is a fragment, made at deployment;
 *    where there is none, `why_not` says why.
 * 4. The JSON form is the same whatever made it: catalog_write(catalog_read(x)) = x for each x that was written. Members that hold nothing
 *    (0, false, "", []) are left out.
 */
#ifndef ORLO_CATALOG_H
#define ORLO_CATALOG_H

#include "base/base.h"

enum { CATALOG_FIRST_ID = 16384, CATALOG_FORMAT = 1, CATALOG_BYTES_MAX = 64 << 20 };
enum catalog_engine { CATALOG_SQLITE, CATALOG_POSTGRES };

/* Vectors have names, so that they can be passed on. */
#define CATALOG_VEC(name, T) typedef VEC(T) name
CATALOG_VEC(catalog_ids, uint32_t);
CATALOG_VEC(catalog_names, str);

/* ---- fragments: text of SQLite's, with references between \x01 and \x02 -------------------------
 *
 *   \x01R17\x02   relation 17 as whoever runs the statement may see it       \x01B17\x02   relation 17 itself, with its owner's rights
 *   \x01C3\x02    column number 3 of the row at hand                         \x01A2\x02    argument 2 of the function
 *   \x01N3\x02    column number 3 of NEW                                     \x01O3\x02    … of OLD
 *   \x01T17\x02   rows of relation 17, which a view is written through to: what those are says whoever asks
 *
 *   \x01P1\x02, \x01K3\x02, \x01Q0\x02   between the parts of a statement that writes (sql/dml.c)
 *
 * Names and literals stand in quotes, and what stands in quotes is never a reference, whatever its bytes are (fragment.c). */
enum catalog_fragment_flags {
    CATALOG_SAFE = 1,      /* can neither raise nor call: may run on rows that a policy hides */
    CATALOG_VOLATILE = 2,  /* may give another value for each row: random(), gen_random_uuid(), nextval() */
    CATALOG_SESSION = 4,   /* asks who runs the statement, or when: auth.uid(), now() */
    CATALOG_SUBQUERY = 8,  /* holds a select */
    CATALOG_SET = 16,      /* gives any number of rows */
    CATALOG_CONSTANT = 32, /* a literal, which SQLite takes as the DEFAULT of a column */
    CATALOG_WRITES = 64,   /* a statement that changes rows */
    CATALOG_RETURNS = 128, /* … and gives them back */
    CATALOG_LATE = 256,    /* its text is PostgreSQL's, and read when it is run: it names a record that an executed text fills */
};
struct catalog_field {
    str name;
    uint32_t type;
    int32_t typmod;
};
CATALOG_VEC(catalog_fields, struct catalog_field);
struct catalog_fragment {
    str text; /* empty: there is none */
    uint32_t type;
    int32_t typmod; /* -1: none */
    uint32_t flags;
    catalog_ids reads;   /* relations */
    catalog_ids calls;   /* functions of the catalogue */
    catalog_ids schemas; /* that it names: who runs it needs USAGE of them */
    /* Of CATALOG_LATE: variables that are in sight, outer ones first, by three names each (label, name, field), their places and types; what its columns are made to */
    catalog_names names;
    catalog_ids scope;
    catalog_fields want;
};
CATALOG_VEC(catalog_fragments, struct catalog_fragment);
struct catalog_mark {
    char kind; /* 'R', 'B', 'T', 'C', 'A', 'N', 'O', 'P', 'K', 'Q'; 0: it is damaged */
    uint32_t id;
    size_t at, end; /* in the text */
};
/* The first one at or behind `from`, which is 0 or another's end. false: there is none. */
bool catalog_mark_next(str text, size_t from, struct catalog_mark *out);
/* Is there one of these kinds, with that id? */
bool catalog_mentions(const struct catalog_fragment *f, const char *kinds, uint32_t id);

/* An expression of a default, check, policy, index. */
struct catalog_expr {
    str source; /* PostgreSQL's text; empty: no expression */
    struct catalog_fragment fragment;
    str why_not; /* there is no fragment, because … */
};
CATALOG_VEC(catalog_exprs, struct catalog_expr);

/* ---- rights --------------------------------------------------------------------------------------- */

enum catalog_privilege { /* bits */
                         CATALOG_SELECT = 1,
                         CATALOG_INSERT = 2,
                         CATALOG_UPDATE = 4,
                         CATALOG_DELETE = 8,
                         CATALOG_TRUNCATE = 16,
                         CATALOG_REFERENCES = 32,
                         CATALOG_TRIGGER = 64,
                         CATALOG_EXECUTE = 128,
                         CATALOG_USAGE = 256,
                         CATALOG_CREATE = 512,
                         CATALOG_TEMPORARY = 1024,
                         CATALOG_CONNECT = 2048,
                         CATALOG_ALL_TABLE = 127,
                         CATALOG_ALL_SEQUENCE = CATALOG_SELECT | CATALOG_UPDATE | CATALOG_USAGE,
                         CATALOG_ALL_SCHEMA = CATALOG_USAGE | CATALOG_CREATE,
                         CATALOG_ALL_COLUMN = CATALOG_SELECT | CATALOG_INSERT | CATALOG_UPDATE | CATALOG_REFERENCES,
};
enum { CATALOG_PUBLIC = 0 }; /* as a role: everybody */
/* One row for each role that was given something; the owner and PUBLIC stand there like all others. */
struct catalog_grant {
    uint32_t role, privileges, options; /* options: those that it may pass on */
};
CATALOG_VEC(catalog_grants, struct catalog_grant);

struct catalog_role {
    uint32_t id;
    str name, comment;
    bool superuser, bypass_rls, login, no_inherit, create_role, create_db, replication;
    catalog_ids member_of;
    catalog_names settings; /* "statement_timeout=3s" */
    bool platform;          /* made by the platform's own SQL */
};
struct catalog_schema {
    uint32_t id, owner;
    str name, comment;
    catalog_grants grants;
    bool platform;
};
enum catalog_object { CATALOG_ON_TABLES, CATALOG_ON_SEQUENCES, CATALOG_ON_FUNCTIONS, CATALOG_ON_TYPES, CATALOG_ON_SCHEMAS };
/* ALTER DEFAULT PRIVILEGES: of what `owner` makes. In one schema it adds to what holds else; without one (0) it stands for it. */
struct catalog_default_grants {
    uint32_t owner, schema;
    uint8_t object; /* enum catalog_object */
    catalog_grants grants;
};

/* ---- types ---------------------------------------------------------------------------------------- */

enum catalog_type_kind { CATALOG_ENUM, CATALOG_DOMAIN, CATALOG_COMPOSITE, CATALOG_ROW /* of a relation */ };
struct catalog_label {
    str name;
    int64_t sort; /* what is stored: 1024, 2048, …; one that came between takes the middle */
};
struct catalog_check {
    str name;
    struct catalog_expr expr; /* of a domain: \x01C0\x02 is VALUE */
};
struct catalog_type {
    uint32_t id, array, schema, owner;
    str name, comment;
    uint8_t kind;
    VEC(struct catalog_label) labels; /* in their order */
    uint32_t base;                    /* of a domain */
    int32_t typmod;
    bool not_null;
    struct catalog_expr default_value;
    VEC(struct catalog_check) checks;
    catalog_fields fields; /* of a composite */
    uint32_t relation;     /* of a row */
    catalog_grants grants;
    bool platform;
};

/* ---- relations ------------------------------------------------------------------------------------ */

enum catalog_identity { CATALOG_NO_IDENTITY, CATALOG_IDENTITY_ALWAYS, CATALOG_IDENTITY_BY_DEFAULT };
struct catalog_column {
    uint16_t number; /* from 1, never given twice: what fragments name */
    str name, comment;
    str storage; /* the column's name in SQLite's table */
    uint32_t type;
    int32_t typmod;
    bool not_null;
    uint8_t identity;
    bool generated;    /* stored; its expression stands in default_value */
    uint32_t sequence; /* of an identity or a serial: the sequence's id */
    uint32_t from;     /* of a view: the table whose column it is, and that column's number; 0: it is made of more */
    uint16_t from_number;
    uint16_t base_number; /* of a view that is written through: the column of its base that it is; 0: it is made of more */
    struct catalog_expr default_value; /* put in by whoever inserts: SQLite's own default is not relied upon */
    catalog_grants grants;
};
CATALOG_VEC(catalog_columns, struct catalog_column);

enum catalog_constraint_kind { CATALOG_PRIMARY, CATALOG_UNIQUE, CATALOG_CHECK, CATALOG_FOREIGN };
enum catalog_action { CATALOG_NO_ACTION, CATALOG_RESTRICT, CATALOG_CASCADE, CATALOG_SET_NULL, CATALOG_SET_DEFAULT };
struct catalog_constraint {
    uint32_t id;
    uint8_t kind;
    str name, comment;
    str storage;         /* its name in SQLite: of a unique one, its index's; of a check, what SQLite says was violated */
    catalog_ids columns; /* numbers */
    uint32_t reference;  /* of a foreign key: a relation */
    catalog_ids reference_columns;
    uint8_t on_delete, on_update; /* enum catalog_action */
    catalog_ids set_columns;      /* ON DELETE SET NULL (columns) */
    bool match_full, deferrable, deferred, nulls_not_distinct, not_valid;
    struct catalog_expr check;
    bool late; /* a check that SQLite's CHECK cannot hold (it has a subquery): whoever writes rows sees to it, as with a policy */
};
CATALOG_VEC(catalog_constraints, struct catalog_constraint);

struct catalog_index_key {
    uint16_t column; /* 0: an expression */
    struct catalog_expr expr;
    bool descending, nulls_first;
    str opclass;
};
struct catalog_index {
    uint32_t id;
    str name, comment, storage;
    str method; /* "btree", "gin", … as it was asked for */
    bool unique, nulls_not_distinct;
    bool exclusion;      /* it is the constraint of its name: EXCLUDE (… with =), which a unique one is */
    uint32_t constraint; /* it is there for a constraint: its id. Such a one is not in `indexes` unless it was made before */
    VEC(struct catalog_index_key) keys;
    catalog_ids include;
    struct catalog_expr where;
    str ignored; /* not made on SQLite, because … */
};
CATALOG_VEC(catalog_indexes, struct catalog_index);

enum catalog_command { CATALOG_FOR_ALL, CATALOG_FOR_SELECT, CATALOG_FOR_INSERT, CATALOG_FOR_UPDATE, CATALOG_FOR_DELETE };
struct catalog_policy {
    uint32_t id;
    str name, comment;
    uint8_t command; /* enum catalog_command */
    bool permissive;
    catalog_ids roles; /* CATALOG_PUBLIC: for all */
    struct catalog_expr using_expr, check_expr;
};
CATALOG_VEC(catalog_policies, struct catalog_policy);

/* PL/pgSQL, compiled: instructions of CATALOG_OP_WIDTH numbers each (routine.def), the expressions and statements that they name, and how many places
 * variables take. \x01A3\x02 is the third place. The first one is FOUND, behind it are the arguments. */
enum catalog_op {
#define OP(id, a, b, c, d, what) CATALOG_OP_##id,
#include "catalog/routine.def"
#undef OP
    CATALOG_OP_COUNT
};
enum {
    CATALOG_OP_WIDTH = 6 /* the op, four operands, the line in the body */,
    CATALOG_PLACES_MAX = 20'000,
    CATALOG_CURSORS_MAX = 100
};
enum {
    CATALOG_RUN_INTO = 1,
    CATALOG_RUN_STRICT = 2,
    CATALOG_RUN_ONE = 4 /* more than one row is an error */,
    CATALOG_RUN_QUERY = 8,
    CATALOG_RUN_RECORD = 16 /* the place is a record's, of whatever columns come */
};
enum catalog_raise { /* places of RAISE, in their order */
                     CATALOG_RAISE_MESSAGE,
                     CATALOG_RAISE_STATE,
                     CATALOG_RAISE_DETAIL,
                     CATALOG_RAISE_HINT,
                     CATALOG_RAISE_COLUMN,
                     CATALOG_RAISE_CONSTRAINT,
                     CATALOG_RAISE_DATATYPE,
                     CATALOG_RAISE_TABLE,
                     CATALOG_RAISE_SCHEMA,
                     CATALOG_RAISE_CONTEXT,
                     CATALOG_RAISE_COUNT = 9
};
struct catalog_routine {
    catalog_ids code;
    catalog_fragments statements;
    uint32_t places;
};
/* Does each instruction name what is there? */
bool catalog_routine_holds(const struct catalog_routine *r);

/* Text that is not known before it is run (EXECUTE): whoever runs it asks, and somebody who may read PostgreSQL's language answers. Both are JSON. */
enum catalog_text_use {
    CATALOG_TEXT_RUN,    /* EXECUTE */
    CATALOG_TEXT_INTO,   /* … INTO */
    CATALOG_TEXT_ROWS,   /* a loop's, a cursor's */
    CATALOG_TEXT_RESULT, /* RETURN QUERY: its columns are what is wanted, or it is refused */
    CATALOG_TEXT_USES
};
enum { CATALOG_TEXT_BYTES_MAX = 256 << 10, CATALOG_TEXT_PARTS_MAX = 1000 };
#define CATALOG_GOES_ON UINT32_MAX
struct catalog_text {
    uint32_t function; /* whose it is; 0: a block of the catalogue's owner */
    uint8_t use;
    str text;
    catalog_ids arguments; /* types of $1, $2 … */
    catalog_names names;   /* of variables that they are: label, name, field, with \x1f between; n: as many, or 0 */
    catalog_fields want;   /* what its columns are made to, as far as they go */
    uint32_t rows_of;      /* the relation whose rows a trigger's old_table and new_table have; 0: there are none */
    str old_table, new_table;
};
struct catalog_text_part { /* a statement of it; \x01A2\x02 is $2 */
    struct catalog_fragment fragment;
    catalog_fields columns;
    catalog_fragments casts; /* of columns to what is wanted: \x01A1\x02 is the value; no text: it is one already */
    bool query;
};
struct catalog_text_answer {
    VEC(struct catalog_text_part) parts;
    str state, message, detail, hint; /* or what is wrong with it */
};
void catalog_text_write(struct buf *to, const struct catalog_text *text);
void catalog_text_answer_write(struct buf *to, const struct catalog_text_answer *answer);
/* ERR_MALFORMED, ERR_INVALID, ERR_LIMIT: it is none. bytes may be freed afterwards. */
[[nodiscard]] err catalog_text_read(arena *mem, str bytes, struct catalog_text *out, struct diag *d);
[[nodiscard]] err catalog_text_answer_read(arena *mem, str bytes, struct catalog_text_answer *out, struct diag *d);

enum {
    CATALOG_TRIGGER_BEFORE = 1,
    CATALOG_TRIGGER_AFTER = 2,
    CATALOG_TRIGGER_INSTEAD = 4,
    CATALOG_TRIGGER_INSERT = 8,
    CATALOG_TRIGGER_UPDATE = 16,
    CATALOG_TRIGGER_DELETE = 32,
    CATALOG_TRIGGER_TRUNCATE = 64,
    CATALOG_TRIGGER_ROW = 128
};
enum { CATALOG_TRANSITION_COLUMNS_MAX = 100 };
struct catalog_trigger {
    uint32_t id;
    str name, comment;
    uint32_t function;
    uint32_t when; /* bits, as above */
    catalog_ids columns;
    struct catalog_expr condition;
    catalog_names arguments;
    bool constraint, deferrable, deferred, disabled;
    str old_table, new_table; /* REFERENCING */
    str source;
    struct catalog_routine routine; /* its function, compiled for this relation's rows */
};

struct catalog_relation;
/* Does an INSTEAD OF trigger stand for what an event (CATALOG_TRIGGER_INSERT …) would do to a view? */
bool catalog_is_instead(const struct catalog_relation *view, uint32_t event);

enum catalog_check_option { CATALOG_NO_CHECK, CATALOG_CHECK_LOCAL, CATALOG_CHECK_CASCADED };
enum catalog_relation_kind { CATALOG_TABLE, CATALOG_VIEW, CATALOG_MATVIEW };
struct catalog_relation {
    uint32_t id, schema, owner, row_type, row_array;
    uint8_t kind;
    str name, comment, storage;      /* storage: the table in SQLite; views have none */
    uint16_t last_number;            /* that a column was given */
    catalog_columns columns;         /* in their order; those that were dropped are gone */
    catalog_constraints constraints; /* by name */
    catalog_indexes indexes;
    catalog_policies policies; /* by name, as PostgreSQL applies them */
    VEC(struct catalog_trigger) triggers;
    bool rls, force_rls;
    bool security_invoker, security_barrier; /* of a view */
    struct catalog_expr query;               /* of a view: a select with the columns in order, named as the columns' storage */
    catalog_ids depends;                     /* relations that the view reads */
    /* Of a view: what it is written through to, and its query in parts: `base_list` over the rows of `base_from`, which is \x01T and an alias, where
     * `base_where`. \x01T stands for the base's rows, whichever are meant. base 0: it is not written through, because … */
    uint32_t base;
    str base_list, base_from, base_where, not_writable;
    uint8_t check_option; /* enum catalog_check_option */
    bool partitioned;     /* on PostgreSQL */
    bool unfilled;        /* a materialized view WITH NO DATA */
    uint8_t
        commands; /* on PostgreSQL, what it can be written to by: bits 4 update, 8 insert, 16 delete, as pg_relation_is_updatable has it */
    bool replica_full;
    catalog_grants grants;
    bool platform;
};

struct catalog_sequence {
    uint32_t id, schema, owner;
    str name, comment;
    uint32_t type; /* int2, int4, int8 */
    int64_t start, increment, min, max;
    bool cycle;
    uint32_t relation; /* OWNED BY; 0: nobody's */
    uint16_t column;
    catalog_grants grants;
    bool platform;
};

/* ---- functions ------------------------------------------------------------------------------------ */

enum catalog_argument_mode { CATALOG_IN, CATALOG_OUT, CATALOG_INOUT, CATALOG_VARIADIC, CATALOG_TABLE_COLUMN };
struct catalog_argument {
    str name; /* "": none */
    uint32_t type;
    int32_t typmod;
    uint8_t mode;
    struct catalog_expr default_value;
};
enum catalog_volatility { CATALOG_IS_VOLATILE, CATALOG_IS_STABLE, CATALOG_IS_IMMUTABLE };
struct catalog_function {
    uint32_t id, schema, owner;
    str name, comment;
    VEC(struct catalog_argument) arguments;
    uint32_t returns; /* type: of a trigger 2279, void 2278, record 2249 */
    bool set;         /* RETURNS SETOF, TABLE */
    bool one_row;     /* ROWS 1 */
    bool procedure, window, aggregate;
    str language; /* "sql", "plpgsql", "c" (the platform's own) */
    uint8_t volatility;
    bool strict, definer, leakproof;
    catalog_names settings; /* "search_path=" */
    str source;             /* the body, PostgreSQL's text */
    /* On SQLite: the statements in order, the last gives the value. \x01A2\x02 is argument 2. */
    catalog_fragments statements;
    catalog_fields columns;         /* of the rows it gives, with their names; one without a name for a plain value */
    struct catalog_routine routine; /* PL/pgSQL's; a trigger's stands with the trigger */
    str why_not;                    /* a call is refused, because … */
    bool pending;                   /* while migrations are read: that may be so no more by now */
    catalog_grants grants;
    bool platform;
};

enum catalog_extension_how {
    CATALOG_EXT_THERE /* its functions are */,
    CATALOG_EXT_IGNORED /* nothing of it is needed, or its use is refused */,
    CATALOG_EXT_ABSENT /* what names something of it raises when it is run */
};
struct catalog_extension {
    str name, version, comment;
    uint32_t schema;
    uint8_t how;
};
struct catalog_publication {
    str name, comment;
    bool all_tables;
    uint8_t publishes; /* CATALOG_INSERT … */
    catalog_ids relations;
};

/* An implicit cast of a domain from or to json or text by a function: how its values are told, read and filtered by. */
struct catalog_cast {
    uint32_t from, to;
    str schema, function;
};

/* ---- the whole ------------------------------------------------------------------------------------ */

struct catalog_index_of_names; /* made by catalog_ready */
struct catalog {
    arena *mem;
    uint64_t version;  /* counts up with each change that was applied */
    uint32_t platform; /* which of the platform's schemas it has; 0: none yet */
    uint32_t next_id;
    uint8_t engine; /* enum catalog_engine */
    uint32_t owner; /* the role that migrations run as */
    VEC(struct catalog_role) roles;
    VEC(struct catalog_schema) schemas;
    VEC(struct catalog_type) types;
    VEC(struct catalog_relation) relations;
    VEC(struct catalog_sequence) sequences;
    VEC(struct catalog_function) functions;
    VEC(struct catalog_default_grants) default_grants;
    VEC(struct catalog_extension) extensions;
    VEC(struct catalog_publication) publications;
    VEC(struct catalog_cast) casts;       /* of a live one alone: never in its JSON */
    struct catalog_index_of_names *names; /* NULL: it is still being made; lookups then go through everything */
};

/* An empty one, of mem. Makes the maps that lookups use, once nothing changes any more (catalog_read has done so). */
struct catalog *catalog_new(arena *mem, enum catalog_engine engine);
void catalog_ready(struct catalog *c);

void catalog_write(struct buf *to, const struct catalog *c);
/* ERR_LIMIT (over CATALOG_BYTES_MAX), ERR_MALFORMED: no JSON; ERR_INVALID: no catalogue, an id that leads nowhere, another format. text may be
 * freed afterwards. */
[[nodiscard]] err catalog_read(arena *mem, str text, struct catalog **out, struct diag *d);
/* A text by what it differs in from another one, and back. False: it is no such thing, or makes more than CATALOG_BYTES_MAX. */
void catalog_delta(struct buf *to, str from, str text);
[[nodiscard]] bool catalog_delta_apply(struct buf *to, str from, str delta);

/* NULL: there is none. What is given back lives as long as the catalogue; while one is being made, until the next of its kind is added. */
const struct catalog_schema *catalog_schema_named(const struct catalog *c, str name);
const struct catalog_schema *catalog_schema_of(const struct catalog *c, uint32_t id);
const struct catalog_role *catalog_role_named(const struct catalog *c, str name); /* "public" is none: CATALOG_PUBLIC */
const struct catalog_role *catalog_role_of(const struct catalog *c, uint32_t id);
const struct catalog_relation *catalog_relation_named(const struct catalog *c, str schema, str name);
const struct catalog_relation *catalog_relation_of(const struct catalog *c, uint32_t id);
const struct catalog_type *catalog_type_named(const struct catalog *c, str schema, str name);
const struct catalog_type *catalog_type_of(const struct catalog *c, uint32_t id); /* of an array type too: its element's */
const struct catalog_sequence *catalog_sequence_named(const struct catalog *c, str schema, str name);
const struct catalog_sequence *catalog_sequence_of(const struct catalog *c, uint32_t id);
/* The functions of a name, whatever their arguments: begin with NULL. */
const struct catalog_function *catalog_function_next(const struct catalog *c, str schema, str name,
                                                     const struct catalog_function *after);
const struct catalog_column *catalog_column_named(const struct catalog_relation *r, str name);
const struct catalog_column *catalog_column_of(const struct catalog_relation *r, uint32_t number);
/* What the column is where nothing is given: its own default, or its domain's. source may be empty: null, or the column's sequence. */
const struct catalog_expr *catalog_default_of(const struct catalog *c, const struct catalog_column *column);
const struct catalog_constraint *catalog_constraint_named(const struct catalog_relation *r, str name);
const struct catalog_constraint *catalog_primary_key(const struct catalog_relation *r);
const struct catalog_label *catalog_label_named(const struct catalog_type *t, str name);
const struct catalog_label *catalog_label_stored(const struct catalog_type *t, int64_t sort);
bool catalog_ids_have(const catalog_ids *ids, uint32_t id);

/* Is role a member of `of`, itself or through others? Everybody is one of CATALOG_PUBLIC; a superuser of all. */
bool catalog_role_is(const struct catalog *c, uint32_t role, uint32_t of);
bool catalog_may_relation(const struct catalog *c, uint32_t role, const struct catalog_relation *r, uint32_t privilege);
bool catalog_may_column(const struct catalog *c, uint32_t role, const struct catalog_relation *r, const struct catalog_column *k,
                        uint32_t privilege);
bool catalog_may_function(const struct catalog *c, uint32_t role, const struct catalog_function *f);
bool catalog_may_schema(const struct catalog *c, uint32_t role, uint32_t schema, uint32_t privilege);

/* Do policies hold for the role on the relation? RLS is on, and it neither bypasses it nor owns the table (unless that is forced). */
bool catalog_policies_hold(const struct catalog *c, uint32_t role, const struct catalog_relation *r);
/* The next policy for the role and command (not CATALOG_FOR_ALL) that is permissive or not: begin with NULL. None permissive: nothing may pass. */
const struct catalog_policy *catalog_policy_next(const struct catalog *c, const struct catalog_relation *r, uint32_t role,
                                                 enum catalog_command command, bool permissive,
                                                 const struct catalog_policy *after);

/* Foreign keys between two relations, for embedding. From r, or to r; begin with NULL, in the order of relations and names. */
struct catalog_edge {
    const struct catalog_relation *from; /* has the key */
    const struct catalog_constraint *key;
    const struct catalog_relation *to;
};
bool catalog_edge_next(const struct catalog *c, uint32_t relation, struct catalog_edge *edge);

const struct catalog_cast *catalog_cast_of(const struct catalog *c, uint32_t from, uint32_t to); /* NULL: there is none */

/* ---- what PostgreSQL says of a database (live.c) ---- */

enum { CATALOG_LIVE = 10 };
str catalog_live_text(
    uint32_t statement); /* of statements 0 to CATALOG_LIVE - 1, as a superuser with no search_path but pg_catalog asks them */
struct catalog_answer {
    void *arg;
    uint32_t (*rows)(void *arg, uint32_t statement);
    str (*value)(void *arg, uint32_t statement, uint32_t row, uint32_t column); /* empty: null, too */
};
/* Whether that is no more than a database's may be: of rows, names in lists, bytes. Of views the text of their trees is not counted among those. */
bool catalog_live_fits(const struct catalog_answer *a, uint64_t bytes_max);
/* A catalogue that nobody uses yet becomes what the answers say, which fit. */
void catalog_live(struct catalog *c, const struct catalog_answer *a);

#endif
