/* pg: PostgreSQL's types as values that SQLite stores, and what can be done with them: text in and out, functions, operators, casts,
 * aggregates. What there is stands in tables, one row each (*.def): the translator resolves names by them and prints their templates, the
 * registration puts their C functions onto a connection, docs/sql.md is printed from them, and a test asks a real PostgreSQL about every row.
 *
 * 1. A typed value is a struct db_value in its type's storage form (types.def) and a type's id: PostgreSQL's own oids for what is built in and
 *    its arrays, the catalogue's own from PG_OWN_MIN up. SQL's null is DB_NULL, of any type.
 * 2. What goes wrong is an SQLSTATE with PostgreSQL's words, put into call->error by pg_raise; the first one holds. A function that raised
 *    leaves no answer.
 * 3. Nothing here reads a file, a clock's zone or an environment at run time: the zones are a part of the program (zones.py at build time).
 * 4. Arguments are chosen badly: what loops over input asks pg_call_goes_on, what an answer may become is bounded before it is made.
 * 5. Out values borrow from call->mem, from arguments or from the program; a caller that keeps them copies.
 */
#ifndef ORLO_PG_H
#define ORLO_PG_H

#include "base/base.h"
#include "base/json.h"
#include "db/db.h"

/* ---- errors ---- */

struct pg_error {
    bool set;
    char state[12]; /* an SQLSTATE, or one of PostgREST's (PGRST…) */
    char message[512], detail[2048], hint[512];
    char schema[64], table[64], column[64], constraint[64]; /* what it is about, where that has a name */
    uint32_t place;                                         /* of a batch: which query, from 1; 0: none in particular */
};

/* ---- types ---- */

enum { PG_OWN_MIN = 16384, PG_VALUE_BYTES_MAX = 16 << 20 };
enum pg_storage {
    PG_STORED_INTEGER,
    PG_STORED_REAL,
    PG_STORED_TEXT,
    PG_STORED_BLOB,
    PG_STORED_NOT, /* a pseudo-type, or one that SQLite is refused (kind says which) */
};
enum pg_kind {
    PG_KIND_BASE,
    PG_KIND_ARRAY,
    PG_KIND_PSEUDO,
    PG_KIND_REFUSED, /* PostgreSQL has it, SQLite has not: refused at deployment */
    PG_KIND_ENUM,    /* from here on: the catalogue's */
    PG_KIND_DOMAIN,
    PG_KIND_COMPOSITE,
};
/* What the number in brackets behind a type's name means; typmods are PostgreSQL's atttypmod, -1: none. */
enum pg_typmod_kind {
    PG_TYPMOD_NONE,
    PG_TYPMOD_LENGTH,
    PG_TYPMOD_NUMERIC,
    PG_TYPMOD_SECONDS,
    PG_TYPMOD_INTERVAL,
    PG_TYPMOD_DIMENSIONS,
    PG_TYPMOD_BITS,
};
enum pg_type_id {
    PG_NO_TYPE = 0,
#define TYPE(id, name, sql, oid, array, category, preferred, storage, collation, typmod, io)                                     \
    PG_##id = oid, PG_##id##_ARRAY = array,
#define PSEUDO(id, name, oid, array) PG_##id = oid,
#define REFUSED(name, sql, oid, array)
#include "pg/types.def"
};
struct pg_type {
    uint32_t id;
    uint32_t array, element; /* the type of arrays of it; of an array: of its elements. 0: none */
    uint32_t base;           /* of a domain: what it is made of; else 0 */
    enum pg_kind kind;
    enum pg_storage storage;
    enum pg_typmod_kind typmod;
    char category; /* PostgreSQL's typcategory: N S B D T A E P U … */
    bool preferred;
    char name[32];      /* "int4", "_int4"; of pg_catalog, unless it is the catalogue's */
    char sql[32];       /* as format_type prints it: "integer", "integer[]" */
    char collation[24]; /* "": the bytes' own order */
};
/* Borrowed for good. NULL: not built in. */
const struct pg_type *pg_type_by_id(uint32_t id);
const struct pg_type *
pg_type_by_name(str name); /* "int4", "_int4", and also "integer[]", "timestamp with time zone" as format_type prints */
const struct pg_type *pg_types_all(uint32_t *count);
/* An array's storage collation is array_<class> of its element: num text numeric interval citext jsonb char. */

struct pg_field {
    str name;
    uint32_t type;
    int32_t typmod;
};
/* The catalogue's types, by whoever has it. All may be NULL, and answer NULL or false for what they do not know. */
struct pg_types {
    void *arg;
    const struct pg_type *(*by_id)(void *arg, uint32_t id);
    const struct pg_type *(*by_name)(void *arg, str schema, str name); /* schema empty: the search path */
    bool (*enum_sort)(void *arg, uint32_t type, str label, int64_t *sort);
    bool (*enum_label)(void *arg, uint32_t type, int64_t sort, str *label);
    /* labels in their order: enum_range, enum_first … ; false: there is no such index */
    bool (*enum_nth)(void *arg, uint32_t type, uint32_t index, int64_t *sort, str *label);
    bool (*field)(void *arg, uint32_t type, uint32_t index,
                  struct pg_field *out); /* of a composite; false: there is no such index */
};

/* Names of the catalogue's things and their numbers (regclass, regtype …), and what else is told of one. type: PG_REGCLASS and its kin. */
enum pg_found { PG_FOUND_NONE, PG_FOUND, PG_FOUND_SEVERAL, PG_FOUND_MALFORMED };
enum pg_about {
    PG_ABOUT_CONSTRAINT,
    PG_ABOUT_FUNCTION,
    PG_ABOUT_ARGUMENTS,
    PG_ABOUT_IDENTITY, /* of a function: its arguments, without defaults */
    PG_ABOUT_RESULT,
    PG_ABOUT_INDEX,
    PG_ABOUT_VIEW,
    PG_ABOUT_TRIGGER,
    PG_ABOUT_COMMENT, /* more: of which column; 0: of the thing itself */
    PG_ABOUT_RELATION_VISIBLE,
    PG_ABOUT_FUNCTION_VISIBLE,
    PG_ABOUT_TYPE_VISIBLE,
    PG_ABOUT_TYPE, /* more: its typmod; -1: none */
    PG_ABOUT_COUNT,
};
struct pg_names {
    void *arg;
    enum pg_found (*find)(void *arg, uint32_t type, str text, uint32_t *id);
    bool (*print)(void *arg, uint32_t type, uint32_t id, struct buf *text); /* false: there is none */
    bool (*tell)(void *arg, enum pg_about about, uint32_t id, int64_t more, struct buf *text);
    uint32_t (*sequence)(void *arg, str table, str column, const char **missing); /* of a serial or an identity; 0: none */
};

/* ---- who asks ---- */

struct pg_setting {
    str name, value; /* name in lower case */
    bool local;      /* until the transaction ends */
};
typedef VEC(struct pg_setting) pg_settings; /* never changed in place: whoever keeps one has what held then */
struct pg_session {
    str role;                           /* current_user */
    str login;                          /* session_user; empty: "authenticator" */
    str database;                       /* current_database() */
    str claims;                         /* the JWT's, JSON text; empty: none */
    const struct json *claims_json;     /* NULL: read by their first use, of what of a request has none */
    str headers, cookies, method, path; /* of the request: request.headers … (JSON text) */
    int64_t now;                        /* of the transaction, µs since 2000-01-01 UTC */
    int64_t statement_now;              /* of the statement */
    str time_zone;                      /* empty: UTC */
    const struct pg_zone *zone;         /* of time_zone: looked up by its first use; set to NULL with time_zone */
    str zone_name;                      /* that zone was looked up for */
    uint64_t random[2];                 /* the state of random(); both 0: seeded from the system at first use */
    const struct pg_types *types;       /* NULL: only built-in ones */
    const struct pg_names *names;       /* NULL: there are none */
    arena *mem;                         /* of settings that set_config makes */
    pg_settings settings;
    uint64_t settings_bytes; /* that they took of mem */
    str told_claims;         /* the setting that stands for claims, and what it says once it is read */
    const struct json *told_claims_json;
    struct pg_error *error; /* where registered functions raise; the one who runs the statement looks here first */
};
struct pg_call {
    arena *mem; /* of the call: results stand in it */
    struct pg_session *session;
    struct pg_error *error;
    bool (*goes_on)(void *arg); /* false: the statement's time is over. NULL: it may go on */
    void *arg;
    uint32_t work;                   /* since goes_on was asked */
    struct pg_regex_cache **regexes; /* of the connection; NULL: none are kept */
};
typedef void (*pg_fn)(struct pg_call *call, const struct db_value *args, uint32_t n, struct db_value *out);

/* What set_config does; value.p NULL: it is not set any more. False: they take too much. */
bool pg_setting_put(struct pg_session *s, str name, str value, bool local);
/* A limit or a wish of the session that changes no answer here: anybody may set it, and it is kept. */
bool pg_setting_is_harmless(str name);
const struct pg_setting *pg_setting_of(const struct pg_session *s, str name); /* NULL: nobody set it */

/* The first one holds. Gives false, so `return pg_raise(…)`. */
#define pg_raise(call, ...)                                                                                                      \
    ({                                                                                                                           \
        pg_raise_as((call), __VA_ARGS__);                                                                                        \
        false;                                                                                                                   \
    })
void pg_raise_as(struct pg_call *call, const char *state, const char *fmt, ...) PRINTF_LIKE(3, 4);
void pg_raise_detail(struct pg_call *call, const char *fmt, ...) PRINTF_LIKE(2, 3); /* of what was raised just now */
void pg_raise_hint(struct pg_call *call, const char *fmt, ...) PRINTF_LIKE(2, 3);
static inline bool pg_raised(const struct pg_call *call) { return call->error->set; }
/* Some `steps` of work (each about a nanosecond to ten) are about to be done: false, and 57014 is raised, if time is over. */
bool pg_call_works(struct pg_call *call, uint64_t steps);
static inline bool pg_call_goes_on(struct pg_call *call) { return pg_call_works(call, 1); }
/* Memory of the call's for a value; NULL, and 54000 is raised, past PG_VALUE_BYTES_MAX. */
void *pg_call_alloc(struct pg_call *call, size_t n);
/* A copy in call->mem as a text value. */
struct db_value pg_call_text(struct pg_call *call, str s);

bool pg_zone_there(str name); /* as session->time_zone: IANA's, in any case */

/* ---- values ---- */

/* PostgreSQL's text form. False: raised. v is not null (out, json), and in its storage form. */
[[nodiscard]] bool pg_value_in(struct pg_call *call, uint32_t type, int32_t typmod, str text, struct db_value *out);
[[nodiscard]] bool pg_value_out(struct pg_call *call, uint32_t type, struct db_value v, struct buf *text);
/* As to_json: numbers bare, timestamps with a T; v may be null. */
[[nodiscard]] bool pg_value_json(struct pg_call *call, uint32_t type, struct db_value v, struct buf *json);
/* As json_populate_record: strings are text in, numbers are their text, an array is an array, null is null. */
[[nodiscard]] bool pg_value_of_json(struct pg_call *call, uint32_t type, int32_t typmod, const struct json *v,
                                    struct db_value *out);
/* What a cast to a type with a typmod does to a value of the type: rounds, pads, cuts, refuses. is_explicit: varchar(n) cuts. */
[[nodiscard]] bool pg_value_sized(struct pg_call *call, uint32_t type, int32_t typmod, bool is_explicit, struct db_value v,
                                  struct db_value *out);
/* Order of two values of a type that are not null, as its btree class has it. */
int pg_value_compare(uint32_t type, struct db_value a, struct db_value b);
/* numeric(10,2) ↔ 655366; NULL in n modifiers: none. False: raised (22023). */
[[nodiscard]] bool pg_typmod_in(struct pg_call *call, uint32_t type, const int32_t *modifiers, uint32_t n, int32_t *out);
void pg_typmod_out(uint32_t type, int32_t typmod, struct buf *text); /* "(10,2)", or nothing */

/* Collations that the registration makes by these names; a and b are storage text. */
struct pg_collation {
    const char *name;
    int (*compare)(str a, str b);
};
const struct pg_collation *pg_collations_all(uint32_t *count);

/* ---- tables ---- */

enum pg_flags {
    PG_STRICT = 1, /* a null argument: the answer is null, and it is not called */
    PG_STABLE = 2, /* the same during a statement: registered deterministic */
    PG_VOLATILE = 4,
    PG_SAFE = 8,      /* cannot raise, and tells nobody what it was given: may run before a policy */
    PG_VARIADIC = 16, /* the last parameter, an array's type or "any", takes any number of elements */
    PG_WINDOW = 32,   /* of an aggregate's row: needs OVER */
    PG_ORDERED = 64,  /* of an aggregate's row: WITHIN GROUP (ORDER BY its last parameter) */
};
/* How it is said in SQLite's SQL. A C function is called by its own name: pg_int4_add($1, $2).
 *   C(f)     f($1, $2 …)
 *   CT(f)    f($T1, $1, $2 …)           the type of the first argument before all: an integer
 *   CTS(f)   f($T1, $1, $T2, $2 …)      each argument's type before it: of "any"
 *   CR(f)    f($R, $1, $2 …)            the type of the answer before all
 *   SQL(t)   the text, in which
 *            $1 … $9    arguments, in brackets where they need some     $*      all of them, with commas between
 *            $T1        the type's id of argument 1                     $R      of the answer
 *            $C1        " COLLATE name" of argument 1's type, or nothing
 *            $M         the typmod that is cast to (-1: none)           $E      1: the cast is explicit, 0: it is not
 * Operators and functions that compare say the collation themselves ($C1); ORDER BY, GROUP BY, DISTINCT and IN say the type's (struct pg_type).
 */
enum pg_how_kind { PG_HOW_SQL, PG_HOW_C, PG_HOW_CT, PG_HOW_CTS, PG_HOW_CR, PG_HOW_AGGREGATE, PG_HOW_SET };
struct pg_how {
    enum pg_how_kind kind;
    const char *text; /* the template, or the name in SQLite */
    bool typed; /* an aggregate: each argument has its type's id before it (as CTS); a set: the first one's before all (as CT) */
};
enum { PG_PARAMS_MAX = 12 };
struct pg_param {
    uint32_t type;
    str name; /* of named notation; empty: has none */
    str dflt; /* SQLite's text of what it is when left out; empty: has to be there */
};
struct pg_function {
    const char *name; /* "abs"; of another schema than pg_catalog with it: "auth.uid" */
    const struct pg_param *params;
    uint32_t params_count;
    uint32_t result; /* of a set with several columns: PG_RECORD */
    enum pg_flags flags;
    struct pg_how how;
    const char *columns; /* of a set of records: "key:text value:jsonb" */
};
struct pg_operator {
    const char *name;
    uint32_t left, right, result; /* left PG_NO_TYPE: a prefix */
    enum pg_flags flags;
    struct pg_how how;
};
enum pg_context { PG_IMPLICIT, PG_ASSIGNMENT, PG_EXPLICIT };
struct pg_cast {
    uint32_t from, to; /* the same: what a typmod does */
    enum pg_context context;
    enum pg_flags flags;
    struct pg_how how;
};
/* All borrowed for good, sorted by name; made at first use by one thread. count 0: no such name. Functions, sets and aggregates share names'
 * space as in pg_proc: how.kind says which it is, for the SQL ones `aggregate` (pg_function_is_aggregate). */
const struct pg_function *pg_functions_named(str name, uint32_t *count);
const struct pg_function *pg_aggregates_named(str name, uint32_t *count);
const struct pg_operator *pg_operators_named(str name, uint32_t *count);
/* NULL: there is none in the tables. To text types from any, and from text types to any, there is always one: by the text form (explicit, or
 * assignment to text). Arrays are cast by their elements' cast (pg_array_cast). */
const struct pg_cast *pg_cast_find(uint32_t from, uint32_t to);
const struct pg_function *pg_functions_all(uint32_t *count);
const struct pg_function *pg_aggregates_all(uint32_t *count);
const struct pg_operator *pg_operators_all(uint32_t *count);
const struct pg_cast *pg_casts_all(uint32_t *count);

/* Prints how over the arguments' texts. collation of an argument: of its type, or of what was said with COLLATE; NULL or "": none. */
struct pg_print_arg {
    str text;
    uint32_t type;
    const char *collation;
};
struct pg_print {
    const struct pg_print_arg *args;
    uint32_t count;
    uint32_t result;
    int32_t typmod;
    bool is_explicit;
};
void pg_how_print(struct buf *out, const struct pg_how *how, const struct pg_print *with);

/* ---- what C rows stand for ---- */

/* state: state_bytes of zeroes at first. */
struct pg_aggregate {
    size_t state_bytes;
    void (*step)(struct pg_call *call, void *state, const struct db_value *args, uint32_t n);
    void (*inverse)(struct pg_call *call, void *state, const struct db_value *args,
                    uint32_t n);                                                  /* takes back the oldest step; NULL: cannot */
    void (*value)(struct pg_call *call, const void *state, struct db_value *out); /* as often as wanted; out is null at first */
    void (*drop)(void *state);                                                    /* gives back what it holds; NULL: nothing */
};
struct pg_set {
    size_t state_bytes;
    uint32_t columns;
    void (*open)(struct pg_call *call, void *state, const struct db_value *args, uint32_t n);
    bool (*next)(struct pg_call *call, void *state, struct db_value *columns); /* false: no more, or raised */
    void (*drop)(void *state);
};
/* For the registration: each C row once by its name. */
struct pg_c_function {
    const char *name;
    pg_fn fn;
    int32_t args; /* as SQLite counts them, hidden ones included; -1: any number */
    enum pg_flags flags;
};
struct pg_c_aggregate {
    const char *name;
    const struct pg_aggregate *aggregate;
    int32_t args;
    enum pg_flags flags;
};
struct pg_c_set {
    const char *name;
    const struct pg_set *set;
    int32_t args;
    enum pg_flags flags;
};
const struct pg_c_function *pg_c_functions(uint32_t *count);
const struct pg_c_aggregate *pg_c_aggregates(uint32_t *count);
const struct pg_c_set *pg_c_sets(uint32_t *count);

/* ---- onto a connection ----
 *
 * All C functions, aggregates, sets and collations, once for a connection. session is the caller's, as long as the connection is there; what it
 * holds may change between two statements. What a function raises stands in session->error, which whoever runs a statement clears before, and
 * looks into after it failed; in the database's own error is its message alone.
 * An aggregate N is there as N_ordered(spec, keys …, arguments …), too: its rows are sorted by the keys before it sees them. spec has for each
 * key "asc|desc first|last" (where nulls go) and the name of its collation, if it has one, with a comma between keys; "distinct;" before all
 * that: of rows with equal keys the first alone. As SQLite counts them, an aggregate's own number of arguments is what is left. */
[[nodiscard]] err pg_register(struct db *db, struct pg_session *session, struct diag *d);

#endif
