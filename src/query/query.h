/* query: what REST, guests, storage and realtime ask a database for, as a tree; its JSON form (docs/query.md), what it means by a catalogue and who
 * asks, its text for SQLite and for PostgreSQL, and running it on SQLite under the policies of whoever asks.
 *
 *   text ──query_read──> struct query ──query_resolve──> names found, rights checked, values typed ──┬─ query_run (SQLite)
 *                                                                                                     └─ query_print (PostgreSQL)
 *
 * 1. Nothing that a client sent becomes SQL text. A statement's text is made of words of this room, of names that the catalogue has, quoted, and of
 *    fragments that were made at deployment; whatever else varies is bound, but for small limits, which are numbers. The same shape has the same text. (But one: for a media type of the app's own
 *    over any row, and for GeoJSON, rows have the names of the list, quoted, on PostgreSQL.)
 * 2. No relation is read but through a view of the role's (policy.c), which only shows rows that the policies let through; what could raise runs on
 *    those rows alone. A second wall (wall.c) refuses each read of a table that is not by such a view.
 * 3. What goes wrong is an SQLSTATE with PostgreSQL's words, or one of PostgREST's codes (PGRST…) with its; the first one holds. A statement that failed
 *    has changed nothing. What a message tells is what the role may see.
 * 4. Sizes are bounded: of the tree (QUERY_…_MAX), of the answer (bytes_max), of time (whoever opened the database).
 */
#ifndef ORLO_QUERY_H
#define ORLO_QUERY_H

#include "base/base.h"
#include "base/json.h"
#include "catalog/catalog.h"
#include "db/db.h"
#include "pg/pg.h"

enum {
    QUERY_BYTES_MAX = 16 << 20, /* of a tree's JSON */
    QUERY_VALUES_MAX = 1 << 20, /* JSON values in it */
    QUERY_DEPTH_MAX = 56,       /* levels of JSON, of a tree and of what it writes */
    QUERY_EMBEDS_MAX = 8,       /* embeds in each other */
    QUERY_ITEMS_MAX = 1600,     /* of a select list */
    QUERY_PARAMS_MAX = 30'000,  /* bound values of a statement */
    QUERY_ALIASES_MAX = 8192,   /* times that relations stand in it */
    QUERY_TEXT_MAX = 8 << 20,   /* bytes of it */
    QUERY_BATCH_MAX = 1000,
    QUERY_ACCEPTS_MAX = 64, /* media types */
    QUERY_EXPOSED_MAX = 64, /* schemas */
};

/* ---- JSON as it was sent: numbers and documents keep their text, which a double would not ---- */

struct query_json {
    enum json_kind kind; /* JSON_KIND_F64 stands for every number */
    uint32_t n;          /* items, members */
    str raw;             /* its own text, from its first byte to its last: borrowed from what was read */
    union {
        bool b;
        str s; /* of a string, its escapes undone */
        struct query_json *items;
        struct query_json_member *members;
    };
};
struct query_json_member {
    str key;
    struct query_json v;
};
/* RFC 8259. Two members of a key: the later one counts, as PostgreSQL has it. False: 22P02 or 54000, with line and column. */
[[nodiscard]] bool query_json_read(arena *out, str text, struct query_json *v, struct pg_error *error);
const struct query_json *query_json_get(const struct query_json *object, const char *key); /* NULL: has none */

/* ---- the tree ---- */

enum query_kind {
    QUERY_SELECT,
    QUERY_INSERT,
    QUERY_UPDATE,
    QUERY_DELETE,
    QUERY_CALL,
    QUERY_DESCRIBE /* what there is in a schema, or of one relation or function in it, that the role may use: JSON (describe.c) */
};

struct query_step { /* of a JSON path */
    str key;
    int64_t index;
    bool is_index;
};
/* column, column->'a'->0, column->'a'->>'b' */
struct query_field {
    str column;
    const struct query_step *steps;
    uint32_t steps_count;
    bool text; /* the last step gives text (->>) */
    /* resolved */
    const struct catalog_column *of;
    const struct catalog_function
        *computed;                       /* it is what this gives of the row; `of` has its name and type, and is no relation's */
    const struct catalog_relation *rows; /* what it is computed of */
    uint32_t type;
    int32_t typmod;
};
enum query_op {
#define OP(id, name, operator, flags) QUERY_OP_##id,
#include "query/ops.def"
    QUERY_OP_COUNT
};
enum query_quantifier { QUERY_ONE, QUERY_ANY, QUERY_ALL };
struct query_bound { /* one value, as it goes to either engine */
    bool null;
    str text;              /* PostgreSQL's text form: what PostgreSQL is sent */
    struct db_value value; /* storage form: what SQLite is sent */
    uint32_t type;
    str said; /* it is the text of this string in the tree's JSON, quotes and all, and nothing else of the tree hangs on that; empty: of none */
    bool stars; /* but that each * in it is a % */
};
struct query_test {
    struct query_field field;
    enum query_op op;
    enum query_quantifier quantifier;
    str config; /* of text search; empty: the default one */
    const struct query_json **values;
    uint32_t values_count;
    /* resolved */
    struct query_bound *bound, *config_bound;
};
enum query_where_kind {
    QUERY_AND,
    QUERY_OR,
    QUERY_NOT,
    QUERY_TEST,
    QUERY_HAS /* an embed has rows, or none: not.is.null, is.null */
};
struct query_where {
    enum query_where_kind kind;
    struct query_where *parts;
    uint32_t parts_count;
    struct query_test test;
    str embed;
    bool has; /* QUERY_HAS: rows are wanted */
    struct query_embed *to;
};
enum query_nulls { QUERY_NULLS_DEFAULT, QUERY_NULLS_FIRST, QUERY_NULLS_LAST };
struct query_order {
    struct query_field field;
    str embed; /* by a column of a to-one embed; empty: of the relation itself */
    bool descending;
    enum query_nulls nulls;
    struct query_embed *to;
};
enum query_item_kind { QUERY_STAR, QUERY_FIELD, QUERY_AGGREGATE, QUERY_EMBED, QUERY_KEY /* the primary key's columns */ };
struct query_item {
    enum query_item_kind kind;
    str alias; /* empty: as it is called */
    struct query_field field;
    bool whole; /* of an aggregate: count() */
    bool bare;  /* of a count: it came as a column's name (resolved) */
    str aggregate, cast /* of the field, before an aggregate */, cast_after;
    struct query_embed *embed;
    /* resolved */
    str name; /* what it is called in the answer */
    uint32_t cast_type, cast_after_type, type;
    int32_t typmod;
    const struct pg_function *call; /* the aggregate */
};
/* From a relation, what of which rows: the request itself, and each embed. */
struct query_select {
    str schema, relation;
    struct query_item *items;
    uint32_t items_count;
    struct query_where *where; /* NULL: all */
    struct query_order *order;
    uint32_t order_count;
    int64_t limit, offset; /* limit -1: none */
    bool has_items;        /* a select list was given; of a write: it answers rows */
    /* resolved */
    const struct catalog_relation *of;
    struct query_item *list; /* the items without stars, in the answer's order */
    uint32_t list_count;
    bool grouped;
};
enum query_join { QUERY_LEFT, QUERY_INNER };
enum query_cardinality { QUERY_TO_ONE, QUERY_TO_MANY, QUERY_THROUGH /* a junction table */ };
struct query_embed {
    str target, alias, hint;
    enum query_join join;
    bool spread;
    struct query_select select;
    /* resolved */
    const struct catalog_relation *parent;
    enum query_cardinality cardinality;
    bool one;                                      /* an object and not an array */
    const struct catalog_constraint *key, *second; /* second: the junction's key to the target */
    const struct catalog_relation *junction;
    const struct catalog_function *computed; /* its rows are what this gives of the parent's row; there is no key then */
    bool key_is_theirs;                      /* the target holds the key */
    str name;
};
enum query_conflict { QUERY_CONFLICT_NONE, QUERY_CONFLICT_MERGE, QUERY_CONFLICT_IGNORE };
enum query_count { QUERY_COUNT_NONE, QUERY_COUNT_EXACT, QUERY_COUNT_PLANNED, QUERY_COUNT_ESTIMATED };
/* A call's body as it came, for a function whose one parameter has no name and is of such a type. Text in of that type. */
enum query_raw { QUERY_RAW_NONE, QUERY_RAW_JSON, QUERY_RAW_TEXT, QUERY_RAW_XML, QUERY_RAW_BYTES };
/* In which form it is answered (media.c). */
enum query_form {
    QUERY_FORM_ROWS,    /* JSON: a list of rows, or a value */
    QUERY_FORM_CSV,     /* as PostgreSQL's COPY … CSV HEADER nearly does: a row's text */
    QUERY_FORM_GEOJSON, /* PostGIS's */
    QUERY_FORM_BARE,    /* a function's value, of a type that is a media type */
    QUERY_FORM_FOLDED,  /* what an aggregate of the app's makes of the rows */
    QUERY_FORM_PLAN,    /* how it would be found */
};
enum query_explain { QUERY_EXPLAIN_NONE, QUERY_EXPLAIN_TEXT, QUERY_EXPLAIN_JSON };
enum query_explain_options {
#define X(id, name) QUERY_EXPLAIN_##id,
#define QUERY_EXPLAIN_OPTIONS(X)                                                                                                 \
    X(ANALYZE, "analyze") X(VERBOSE, "verbose") X(SETTINGS, "settings") X(BUFFERS, "buffers") X(WAL, "wal")
    QUERY_EXPLAIN_OPTIONS(X)
#undef X
        QUERY_EXPLAIN_OPTIONS_COUNT
};
struct query_row {
    struct query_bound *cells; /* one for each of the query's columns */
    bool *there;               /* false: its default */
};
struct query {
    enum query_kind kind;
    struct query_select select;
    const struct query_json *rows; /* of an insert: an array of objects, of an update: one object, of a call: its arguments */
    const str *columns;            /* that are taken from rows; none and !has_columns: what the rows have, all the same */
    uint32_t columns_count;
    bool has_columns;
    bool missing_default; /* a column that a row lacks is its default, and not null */
    enum query_conflict conflict;
    const str *conflict_columns;
    uint32_t conflict_count;
    bool has_conflict_columns; /* else the primary key */
    enum query_count count;
    int64_t max_affected; /* -1: any number */
    bool single;          /* of one row, or an error (PGRST116) */
    bool put;             /* an insert of one row whose primary key where says too (PGRST105, PGRST115) */
    bool reads_only;      /* of a call: what it calls may not write */
    bool args_text;       /* of a call: its arguments are text, whatever they are of */
    enum query_raw raw;
    bool raw_named; /* its one parameter may have a name */
    str raw_body;
    const str *accept; /* media types, the best one first; none: JSON */
    uint32_t accept_count;
    const str *exposed; /* schemas in whose functions media types are looked for, besides its own */
    uint32_t exposed_count;
    bool bodiless;      /* how many rows there are is wanted, and of which media type they would be */
    int64_t count_most; /* of an estimated count: so many are counted, and what are more are estimated; 0: any number */
    enum query_explain explain;
    uint32_t explain_options; /* bits, by place */
    const str
        *path; /* schemas that are looked through behind the query's own: for computed columns; usually public, extensions */
    uint32_t path_count;
    bool has_path;
    /* resolved */
    uint32_t role;
    const struct query_where *put_where;   /* of put: what where said */
    const struct catalog_column **targets; /* one for each column: of the table that is written */
    const struct catalog_relation *target; /* what is written: the relation that is named, or the table that a view is of */
    bool instead;                          /* a view whose INSTEAD OF triggers do it */
    uint32_t target_role;                  /* with whose rights: a view's owner's, or the role's */
    const struct catalog_column *
        *through; /* of each column of such a view the target's; NULL: it is made of more. Of a table it is NULL itself */
    const struct catalog_column **arbiter;
    struct query_row *cells;
    uint32_t cells_count;
    const struct catalog_function *function;
    const struct catalog_relation *gives; /* whose rows the function gives; NULL: nobody's */
    struct query_bound *arguments;
    bool *arguments_there;
    enum query_form form;
    bool stripped;                       /* JSON without members that are null */
    bool hex;                            /* its body is a bytea's, in hexadecimal digits */
    str media;                           /* of the answer; empty: JSON, as nobody asked */
    const struct catalog_function *fold; /* of QUERY_FORM_FOLDED */
    bool reads; /* column privileges: the statement reads columns of the relation, so that SELECT policies hold too */
};
struct query_batch {
    struct query *queries;
    uint32_t count;
    bool many;     /* {"batch": [ … ]}: the answer is an array of answers */
    bool rollback; /* all is done, answered, and undone */
    bool counted;  /* a head stands before the answer: query_head_of */
    bool silent;   /* not in its JSON: nothing in the database sets response.headers or response.status */
    str time_zone; /* in which times are told; empty: UTC. Unknown: 22023 */
    /* Not in its JSON, but whoever runs it says so: */
    str before; /* a function without parameters that is called first, as who asks: "f", "schema.f"; empty: none */
    str search; /* PostgreSQL: schemas that names are looked for in, behind the first tree's own: "\"public\", \"extensions\""; empty: as it is set */
};
/* What functions set as response.headers and response.status: of the whole batch. Empty: nothing. */
struct query_said {
    str headers, status;
};
enum { QUERY_SAID_FIELDS_MAX = 32 };
/* False: they are no fields, or no status, of an answer: PGRST111, PGRST112. */
[[nodiscard]] bool query_said_ok(const struct query_said *said, struct pg_error *error);
/* As JSON, which query_read_batch reads as the same. Of what was read or made, not of what was resolved. */
void query_put_batch(struct buf *to, const struct query_batch *b);
/* One select that was made: its JSON would be read as just that, so it need not be said, and read again. False: nothing is known of it. */
bool query_stands(struct query_batch *b);
/* One tree. False: *error says what is wrong with it (PGRST100 and its kin). */
[[nodiscard]] bool query_read(arena *out, str text, struct query *q, struct pg_error *error);
/* {"query": tree, "tx": "rollback"} or {"batch": [tree, …]} */
[[nodiscard]] bool query_read_batch(arena *out, str text, struct query_batch *b, struct pg_error *error);
[[nodiscard]] bool query_of_json(arena *out, const struct query_json *v, struct query *q, struct pg_error *error);
/* Does it change anything? Those go to whoever writes. Of a call it is known once it was resolved, and taken to be so before. */
bool query_writes(const struct query *q);

/* ---- trees that are asked again, with other values (outline.c) ---- */

enum { QUERY_HOLES_MAX = 64 };
struct query_outline {
    struct buf text;
    str holes[QUERY_HOLES_MAX]; /* in json: what stands between the quotes */
    uint32_t count;
};
/* Of UTF-8. False: it has none, and nothing is said of whether it is JSON at all; one that is as a tree's was differs from it in its holes alone. */
[[nodiscard]] bool query_outline(str json, struct query_outline *to);
/* Which value of a tree's text is what stands in a hole. */
struct query_slot {
    uint32_t statement; /* of those that the text has: 0 text, then count, planned */
    uint32_t value, hole;
    struct query_bound of;
};
struct query_text;
/* Of one that was resolved and printed. False: what stands in one of the holes is more than a value, or none. */
[[nodiscard]] bool query_slots(arena *out, const struct query_outline *o, const struct query_text *text,
                               struct query_slot **slots, uint32_t *count);
/* A value's text where that stands in its hole. Borrows, or copies. */
str query_slot_text(arena *out, const struct query_bound *of, str hole);

/* ---- what it means ---- */

/* Of a catalogue, for session->types: made once, and lives as long as both. */
const struct pg_types *query_types_new(arena *out, const struct catalog *c);
/* Names become the catalogue's, rights of session->role are checked, values get types. session->types is set. False: 42501, 42703, 22P02,
 * PGRST200 … */
[[nodiscard]] bool query_resolve(arena *out, const struct catalog *c, struct pg_session *session, struct query *q,
                                 struct pg_error *error);

/* ---- PostgreSQL ---- */

/* One statement; each row that it gives has one column: a row of the answer, as JSON text. values are sent as text and without a type (oid 0). count, if the
 * tree asks for one of a select: a second statement, one row of one bigint; of a write it is the rows that were affected. */
struct query_text {
    str text, count; /* count empty: none */
    str planned;     /* one row: the JSON of EXPLAIN, query_planned_rows. Empty: none */
    struct query_bound *values, *count_values, *planned_values;
    uint32_t values_count, count_values_count, planned_values_count;
    bool answers; /* rows are wanted: of a write without a select list none are */
    bool updates; /* each row has a second column: had it been there (t), and was updated? */
};
/* What comes first in the batch's transaction: who asks, and all that policies and functions may ask for; and a call of what is to be called before.
 * The first one's text has no "select ", so that others can stand beside. Its first values are claims, headers, cookies, method, path; those behind hang on the
 * batch and on the role alone. */
enum { QUERY_SETTINGS_OWN = 5 };
void query_print_settings(arena *out, const struct pg_session *session, const struct query_batch *b, struct query_text *text);
[[nodiscard]] bool query_print_before(arena *out, const struct query_batch *b, struct query_text *text);
/* Of what is undone: what its commit would have refused is refused. */
extern const str query_ask_constraints;
extern const str query_ask_said; /* and last, of a counted batch: one row of two texts, struct query_said */
[[nodiscard]] bool query_print_postgres(arena *out, const struct catalog *c, const struct pg_session *session,
                                        const struct query *q, struct query_text *text, struct pg_error *error);

/* How many rows there will be: one row of one bigint. Of a select. */
[[nodiscard]] bool query_print_rows(arena *out, const struct catalog *c, const struct pg_session *session, const struct query *q,
                                    struct query_text *text, struct pg_error *error);
/* Whether its rows can be told one by one, or are not told at all. Of one that was resolved. */
bool query_streams(const struct query *q);

/* What PostgreSQL gave, by statement (told.c); first: the one of the batch's first tree. A tree has one, then those of its count and of what is planned, where
 * it has such; behind all trees of a counted batch stands query_ask_said, if it is not silent. */
struct query_result;
struct query_answers {
    void *arg;
    str (*value)(void *arg, uint32_t statement, uint32_t row, uint32_t column);
    uint32_t (*rows)(void *arg, uint32_t statement);
    uint64_t (*affected)(void *arg, uint32_t statement);
};
/* The same where rows are told as they come: which of the answer's statements are before them. */
struct query_ahead {
    uint32_t said, count /* behind which is what is planned */, rows; /* rows: how many there will be; 0: was not asked */
};
void query_put_ahead(const struct query_batch *b, const struct query_text *text, const struct query_answers *a,
                     const struct query_ahead *at, uint64_t rows, struct buf *to);    /* the head */
void query_put_told(const struct query *q, uint64_t before, str row, struct buf *to); /* a row, and what stands before it */
void query_put_told_end(const struct query *q, uint64_t rows, struct buf *to);
/* What a tree says of the number of rows, which result has. False: result->error, and it is to be undone. */
[[nodiscard]] bool query_check_result(const struct query *q, struct query_result *result);
/* Before the commit: false, if what trees say of the number of rows does not hold. */
[[nodiscard]] bool query_judge_answers(const struct query_batch *b, const struct query_text *texts, const struct query_answers *a,
                                       uint32_t first, struct pg_error *error);
/* results: b->count of them, to be freed in any case. said stands in the answers. */
[[nodiscard]] bool query_take_answers(const struct query_batch *b, const struct query_text *texts, const struct query_answers *a,
                                      uint32_t first, struct query_result *results, struct query_said *said,
                                      struct pg_error *error);

/* ---- SQLite ---- */

struct query_options {
    uint64_t bytes_max;               /* of an answer; more is an error. 0: 64 MiB */
    bool writer;                      /* it may write, so that sequences count */
    void (*told)(void *arg, str sql); /* of each statement's text, before it is prepared; NULL: nobody */
    void *told_arg;
    /* A text that a function runs (catalog_text_write), as its statements (catalog_text_answer_write), made by whoever may read PostgreSQL's language; in mem.
     * Called while a statement runs: it may wait, and gives up when that has run for long enough. False: *error. NULL: nobody is there. */
    bool (*translate)(void *arg, arena *mem, const struct catalog *c, str text, str *answer, struct pg_error *error);
    void *translate_arg;
};
struct query_conn; /* a database, a catalogue, views by use. One thread at a time; begin to end of a statement */
/* The connection's functions are registered with it, so there is one for each db, as long as that is open. The catalogue outlives it, or the next
 * query_conn_catalog. */
[[nodiscard]] err query_conn_new(struct db *db, const struct catalog *c, const struct query_options *options,
                                 struct query_conn **out, struct diag *d);
[[nodiscard]] err query_conn_catalog(struct query_conn *conn, const struct catalog *c,
                                     struct diag *d);                /* another one, from now on */
void query_conn_answer_max(struct query_conn *conn, uint64_t bytes); /* of the batches that follow, each as a whole */
/* Who asks from now on: of what is run without a tree (migrations). */
/* What a function raised in the last statement; not set: nothing did. */
const struct pg_error *query_conn_raised(const struct query_conn *conn);
uint64_t query_conn_changed(const struct query_conn *conn); /* rows, by the last statement of the last function that was called */
void query_conn_begin(struct query_conn *conn, const struct pg_session *session);
/* A step of a deployment: a function of the catalogue's without arguments, as its owner, with all that its statements fire. False: query_conn_raised. */
[[nodiscard]] bool query_step_call(struct query_conn *conn, uint32_t function);
/* What RAISE NOTICE, INFO and WARNING say, from now on; NULL: nobody listens. */
void query_conn_notices(struct query_conn *conn, void (*notice)(void *arg, bool warns, str text), void *arg);
/* Rows that are told before the last of them is there: bytes that one after the other are what query_batch_body would have put, so a head stands in the
 * first part. What is small is no stream: `begun` says whether it was one, and what then is left in the result's body is the rest. */
struct query_stream {
    size_t first, part;     /* bytes that are collected before the first part, and before each other */
    bool counts;            /* the head says how many rows there will be: they are counted first */
    bool (*may)(void *arg); /* false: not now, so that what is small enough for one answer is collected all the same */
    bool (*give)(void *arg, struct buf *part,
                 struct pg_error *error); /* it takes what is in it. False: nobody wants more, or *error */
    void *arg;
    bool begun;
};
/* Of the batch that follows, if that is one select whose rows can be told so. s lives until then; NULL: none. */
void query_conn_stream(struct query_conn *conn, struct query_stream *s);
/* So many of its views were undone and made again that what was left of them takes memory: query_conn_catalog with the same one, outside of a transaction,
 * gives that back. */
bool query_conn_worn(const struct query_conn *conn);
void query_conn_free(struct query_conn *conn); /* before the db is closed; NULL is fine */

struct query_result {
    struct buf
        body; /* of a select, or a write with a list: a JSON array of rows; a plain value's call: the value. Freed by query_result_free */
    bool has_body;
    uint64_t rows;     /* in body */
    uint64_t affected; /* of a write */
    uint64_t updated;  /* of an upsert: those of them that had been there */
    int64_t total;     /* that was asked for; -1: was not */
    struct pg_error error;
};
/* What stands before a counted answer: a line of numbers. */
enum query_head_flags {
    QUERY_HEAD_BODY = 1,     /* it has one */
    QUERY_HEAD_VALUE = 2,    /* that is a value, and no list of rows */
    QUERY_HEAD_VOID = 4,     /* of a function that gives nothing */
    QUERY_HEAD_RESOLVED = 8, /* conflicts were resolved: there was a key for that */
    QUERY_HEAD_SAID = 16,    /* a second line: an array of texts */
    QUERY_HEAD_BARE = 32,    /* the body is as it is to be sent, and no JSON of rows */
    QUERY_HEAD_HEX = 64,     /* … as hexadecimal digits */
};
struct query_head {
    uint64_t rows, affected, updated;
    int64_t total;
    uint32_t flags;
    struct query_said said;
    str media; /* empty: JSON */
};
[[nodiscard]] bool query_head_of(arena *out, str answer, struct query_head *head, str *body); /* false: it is none */
/* Of a counted batch of several: the next one's answer, with its head. False: there is none. */
[[nodiscard]] bool query_answer_next(str *answers, str *one);
void query_result_free(struct query_result *r);
/* One statement, within whatever transaction is open; a write needs one, or is one of its own. session->types is the connection's own afterwards.
 * False: result->error, and nothing was changed. q is resolved by it. */
[[nodiscard]] bool query_run(struct query_conn *conn, const struct pg_session *session, struct query *q,
                             struct query_result *result);
/* All of them, or none: the first that fails is in its result, those behind it were not run. In the caller's transaction, which he undoes where this is
 * false, and where b->rollback says so. results: b->count of them, zeroed. said: stands in session->mem. Where what came before the trees fails, that is in
 * the first one's result. */
[[nodiscard]] bool query_run_batch(struct query_conn *conn, const struct pg_session *session, struct query_batch *b,
                                   struct query_result *results, struct query_said *said);
/* The answer to a whole request: of one the rows, of many {"rows", "affected", "total"} each. */
void query_batch_body(const struct query_batch *b, const struct query_result *results, const struct query_said *said,
                      struct buf *to);

/* Which policies let the role have the rows of a table by a command, and which do not, for the owner's eyes. Each is evaluated for each row by itself, as the
 * role: JSON {"table", "role", "command", "rls", "holds", "rows", "visible", "accepted", "policies": [{"name", "permissive", "for", "using", "check", "passes",
 * "passesCheck"}]}; visible, passes: rows that are found (not of an insert); accepted, passesCheck: rows that would be taken as new ones, as they are (insert,
 * update). key: a filter as in a tree, of the rows that are asked about; NULL: all. */
[[nodiscard]] bool query_explain_policy(struct query_conn *conn, const struct pg_session *session, str schema, str relation,
                                        enum catalog_command command, const struct query_json *key, struct buf *json,
                                        struct pg_error *error);

#endif
