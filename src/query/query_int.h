/* Inside the query room. */
#ifndef ORLO_QUERY_INT_H
#define ORLO_QUERY_INT_H

#include "query/query.h"
#include "system/system.h"

/* Sets what is not set yet; gives false. */
bool query_fail(struct pg_error *e, const char *state, const char *fmt, ...) PRINTF_LIKE(3, 4);
void query_fail_detail(struct pg_error *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
void query_fail_hint(struct pg_error *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

enum query_op_flags {
    QUERY_IS_MANY = 1,
    QUERY_IS_QUANTIFIED = 2,
    QUERY_IS_TRUTH = 4,
    QUERY_IS_SEARCH = 8,
    QUERY_IS_STARS = 16,
    QUERY_IS_BARE = 32,
};
struct query_op_row {
    const char *name, *operator;
    uint32_t flags;
};
extern const struct query_op_row query_ops[QUERY_OP_COUNT];

/* ---- types and values ---- */

struct query_values { /* whoever makes values */
    arena *out;
    struct pg_session *session;
    struct pg_error *error;
    enum catalog_engine engine;
};
const struct pg_type *query_type_of(const struct pg_types *types, uint32_t id); /* built in, or the catalogue's; NULL: neither */
uint32_t query_type_base(const struct pg_types *types, uint32_t id);            /* of a domain: what it is made of */
int32_t query_type_typmod(const struct pg_types *types, uint32_t id,
                          int32_t typmod); /* typmod, or a domain's own where that is -1 */
/* written: of a row that is written, else of a filter. NULL and null: null. */
[[nodiscard]] bool query_value_of(struct query_values *q, uint32_t type, int32_t typmod, const struct query_json *v, bool written,
                                  struct query_bound *out);

/* ---- operators (overload.c) ---- */

/* Does a value of the type go where one of `want` is expected, without a function? 0: no; the higher, the closer. */
uint32_t query_fits(const struct pg_types *types, uint32_t type, uint32_t want);
const struct pg_operator *query_operator_of(const struct pg_types *types, const char *name, uint32_t left, uint32_t right);
/* The function of so many parameters whose first ones fit the types. */
const struct pg_function *query_function_of(const struct pg_types *types, const struct pg_function *named, uint32_t count,
                                            const uint32_t *args, uint32_t n);

/* ---- relations by keys (relate.c) ---- */

struct query_want { /* a value that is taken once all names are found */
    uint32_t type;
    int32_t typmod;
    const struct query_json *v;
    bool written, stars;
    struct query_bound *to;
};
struct query_resolving {
    arena *out;
    const struct catalog *catalog;
    struct pg_session *session;
    struct pg_error *error;
    struct query_values values;
    uint32_t role;
    struct query *query;
    VEC(struct query_want) wants; /* values, in the order of a statement's places */
    struct pg_error no_plan;      /* what PostgreSQL says when it plans: behind values, before rights */
    struct pg_error denial;       /* a right that is missing, of the relation that is highest in the tree */
    uint32_t depth, denial_depth;
    bool view_denied; /* the denial is of a view that is written, and not of what it is of */
};
[[nodiscard]] bool query_relate(struct query_resolving *r, const struct catalog_relation *from, struct query_embed *e);
/* Its primary key's columns; of a view those of the keys that it shows. */
void query_primary_key(arena *out, const struct catalog *c, const struct catalog_relation *of, catalog_ids *columns);
/* Does it take a row of the relation, and nothing else? */
bool query_is_of_row(const struct catalog_function *f, const struct catalog_relation *of);
bool query_may_compute(struct query_resolving *r, const struct catalog_function *f);
bool query_need_schema(struct query_resolving *r, uint32_t schema); /* USAGE; PostgreSQL asks itself */
uint32_t query_likeness(str a, str b);                              /* of two words, from 0 to 100 */
const struct catalog_relation *query_relation_find(struct query_resolving *r, str schema, str name);

/* ---- a statement for SQLite (sqlite.c) ---- */

struct query_member { /* of a row as it is answered */
    str name, key;    /* key: `,"name":`, or of the first one `{"name":` */
    uint32_t type;    /* PG_NO_TYPE: it is JSON text already */
};
struct query_shape {
    struct query_member *members;
    uint32_t count;
};
struct query_conn;
struct query_statement {
    struct buf sql; /* on the heap: query_statement_free */
    VEC(struct db_value) values;
    VEC(struct query_shape)
    shapes; /* 0: of the statement's own rows; others: of what is embedded, which query_row(shape, …) makes */
};
struct query_printing {
    struct query_conn *conn;
    struct query_statement *to;
    const struct query *query;
    arena *out;
    struct pg_error *error;
    uint32_t role, aliases;
};
void query_statement_free(struct query_statement *s);
void query_put_name(struct buf *b, str name); /* quoted */
void query_put_next_value(struct query_printing *p, struct db_value v);
void query_put_value(struct query_printing *p, struct db_value v); /* ?N */
/* The select of a request, or of what is embedded. from: a view's name. */
[[nodiscard]] bool query_put_select(struct query_printing *p, const struct query_select *s);
/* A list and all that follows it, of a table that stands in the statement: what a function gives. count: how many rows there are without a range. */
[[nodiscard]] bool query_put_from(struct query_printing *p, const struct query_select *s, str table, bool count);
/* How many rows there are; ranged: within its limit and offset. */
[[nodiscard]] bool query_put_count(struct query_printing *p, const struct query_select *s, bool ranged);
/* Is the text that follows WHERE; alias of the relation. Nothing is to be asked: 1. */
[[nodiscard]] bool query_put_where(struct query_printing *p, const struct query_select *s, uint32_t alias);
/* Makes shape 0 of the list; `alias.column` where alias is not NO_ALIAS. */
bool query_where_is_bare(const struct query_where *w); /* it stands in front of policies (sqlite.c 2) */
enum { QUERY_NO_ALIAS = UINT32_MAX };
[[nodiscard]] bool query_put_list(struct query_printing *p, const struct query_select *s, uint32_t alias);
/* An embed that joins, and is not in the answer: its list is empty, or holds such ones alone. */
bool query_is_silent(const struct query_item *it);
/* What stands behind where: inner embeds, groups, order, range. */
[[nodiscard]] bool query_put_tail(struct query_printing *p, const struct query_select *s, uint32_t alias);

/* A key of one integer column, which is SQLite's rowid: it gives one to a row without, where PostgreSQL refuses the null. NULL: it has no such (run.c) */
const struct catalog_column *query_key_of(const struct query *q);
/* write.c: rows from..from+n of an insert; all return what the tree's list says, or where that has more than columns, the rows' keys (a delete nothing) */
[[nodiscard]] bool query_put_insert(struct query_printing *p, uint32_t from, uint32_t n);
/* For change.c, which writes rows one by one. */
[[nodiscard]] bool query_put_insert_row(struct query_printing *p, uint32_t row, const struct catalog_column **columns,
                                        uint32_t *n);
[[nodiscard]] bool query_put_found(struct query_printing *p);
/* How many rows of the table have the keys (columns at[0..n) of the query's) of rows from..from+rows of an insert. */
[[nodiscard]] bool query_put_there(struct query_printing *p, const uint32_t *at, uint32_t n, uint32_t from, uint32_t rows);
[[nodiscard]] bool query_put_update(struct query_printing *p);
[[nodiscard]] bool query_put_delete(struct query_printing *p);
[[nodiscard]] bool query_put_select_rows(struct query_printing *p,
                                         str keys);          /* keys: a JSON array; of a delete: those that it will delete */
[[nodiscard]] bool query_put_rows(struct query_printing *p); /* (select … ) of the keys of rows that an update or delete finds */
bool query_list_is_plain(const struct query *q); /* what is answered of what is written is columns of the table alone */
/* Of a column of what is named the target's; NULL: there is none */
const struct catalog_column *query_column_through(const struct query *q, const struct catalog_column *c);

/* ---- what a role sees (policy.c) ---- */

enum query_sight {
    QUERY_SEES,         /* rows that it may read */
    QUERY_UPDATES,      /* rows that it may update, read or not */
    QUERY_UPDATES_READ, /* … and read */
    QUERY_DELETES,
    QUERY_DELETES_READ,
    QUERY_WRITTEN, /* of a view: rows of it or not, with their keys, as they are answered when they were written */
};
/* The name of a TEMP view of the relation as the role sees it, made by its first use. false: an error is set. */
[[nodiscard]] bool query_view_of(struct query_conn *conn, const struct catalog_relation *of, uint32_t role,
                                 enum query_sight sight, str *name, struct pg_error *error);
/* What is made goes with the transaction, or the part of one, in which it was made: looks what is left, where something went. */
void query_made_look(struct query_conn *conn);
/* What new rows are held against, as a TEMP trigger: its number, which is made to hold for a statement (conn->guards). 0: nothing. */
enum query_check {
    QUERY_CHECK_INSERT,
    QUERY_CHECK_INSERT_READ,
    QUERY_CHECK_UPDATE,
    QUERY_CHECK_UPDATE_READ,
    QUERY_CHECK_UPSERT /* its update arm */
};
[[nodiscard]] bool query_check_of(struct query_conn *conn, const struct catalog_relation *of, uint32_t role,
                                  enum query_check check, uint32_t *guard, struct pg_error *error);
/* What a view's own WITH CHECK OPTION and those below it ask of rows that are written through it, and its conditions of the row that an upsert finds. */
enum query_view_check { QUERY_VIEW_INSERTED, QUERY_VIEW_UPDATED, QUERY_VIEW_FOUND };
[[nodiscard]] bool query_view_check_of(struct query_conn *conn, const struct catalog_relation *of, uint32_t role,
                                       enum query_view_check check, uint32_t *guard, struct pg_error *error);
const char *query_rowid_of(const struct catalog_relation *of);
/* A fragment's text with its references made SQL. row: what \x01C is of. */
enum query_row_at {
    QUERY_AT_TABLE,
    QUERY_AT_NEW,
    QUERY_AT_OLD,
    QUERY_AT_VALUES,
    QUERY_AT_ALONE, /* of no row: VALUE is ?1 */
    QUERY_AT_ALIAS  /* of what stands in the statement as a0, a1 … */
};
struct query_expanding {
    struct query_conn *conn;
    const struct catalog_relation *of; /* whose columns \x01C names; may be NULL */
    enum query_row_at at;
    uint32_t alias;
    uint32_t role, definer;              /* definer 0: of each relation its owner */
    const struct query_bound *arguments; /* bound: the function's, as ?N from arguments_from on */
    uint32_t arguments_from, arguments_count;
    str rows;                    /* what \x01T is */
    bool writes;                 /* a statement that changes rows: what follows INTO, UPDATE, FROM of DELETE is a table */
    bool returns;                /* … and gives them back: an insert's may be read, too */
    struct query_places *places; /* arguments are these, and are numbered as they come */
};
/* The policies of a command together, as an expression over the row; check: over a new one. */
[[nodiscard]] bool query_put_policies(const struct query_expanding *x, enum catalog_command command, bool check, struct buf *to,
                                      struct pg_error *error);
[[nodiscard]] bool query_expand(const struct query_expanding *x, str fragment, struct buf *to, struct pg_error *error);

/* ---- a connection (conn.c) ---- */

struct query_made { /* a view or a trigger */
    str name, drop;
    const struct catalog_relation *of; /* of a view: which relation it shows, and who sees it */
    uint32_t role;
    uint32_t guard; /* of a trigger */
    uint32_t parts; /* of a view: how many SELECTs SQLite makes of it, as each view that it names is put in there anew */
    bool gone;      /* it went with the transaction in which it was made: its place and name wait for the next */
};
enum { QUERY_TOKEN = 33, QUERY_GUARDS = 5 /* of the table: insert, upsert; of a view: each check */, QUERY_NESTING_MAX = 32 };
struct query_refusal { /* what a trigger of ours refuses with */
    const struct catalog_relation *of;
    const struct catalog_policy *policy; /* NULL: no one in particular */
    const struct catalog_constraint *check;
    const struct catalog_relation *view; /* whose check option it is */
    bool existing;                       /* the row that was there: (USING expression) */
};
struct query_touch { /* a table that a statement writes */
    const struct catalog_relation *of;
    bool whole; /* it is named: any column is read. Else SQLite writes it, because of a key */
};
struct query_deferred {
    const struct catalog_trigger *trigger;
    const struct catalog_relation *of;
    uint32_t event;
    struct db_value *new, *old;
};
struct query_conn {
    struct db *db;
    const struct catalog *catalog;
    struct query_options options;
    uint64_t changed; /* rows, by the last statement that a function ran */
    uint64_t answer_max,
        answered; /* of the batch at hand: bytes that it may answer with, and those of the queries before this one */
    struct query_stream *stream; /* of the batch at hand; NULL: it is collected */
    bool counted;                /* that one has a head */
    arena *mem;                  /* of what lasts as long as the catalogue holds */
    const struct pg_types *types;
    struct pg_session session; /* of the statement at hand */
    struct pg_error raised;    /* by functions, in it */
    char token[QUERY_TOKEN];   /* in the names of our views: nobody can know one */
    struct map views, checks;  /* what is made, by relation, role and use */
    VEC(struct query_made) made;
    int64_t made_at; /* the TEMP schema's version when the last one was made */
    VEC(struct query_refusal) refusals;
    uint32_t guards[QUERY_GUARDS];           /* that hold in the statement at hand */
    uint32_t guards_made, remade;            /* remade: views and checks that were undone, and made again */
    const struct query_statement *statement; /* at hand */
    struct query_nesting {
        const struct catalog_relation *of;
        uint32_t role, use;
    } nesting[QUERY_NESTING_MAX]; /* whose views are being made */
    uint32_t parts;               /* of what is being made */
    uint32_t depth;
    struct system_context system;
    bool walled;
    uint32_t current;                     /* role: who runs what runs now */
    bool reads_only;                      /* what is called may not write */
    struct map routines, functions_by_id; /* PL/pgSQL that was called (routine.c) */
    uint32_t made_generation;             /* counts up where a view or check has gone: text that names it is made anew */
    uint32_t routine_depth;
    uint64_t routine_bytes; /* that variables and rows of those that run now take */
    struct db_table_function tables[3];
    const struct query_transition *transition; /* of the trigger at hand */
    VEC(struct query_deferred) deferred;       /* triggers that wait for the transaction's end, and their rows (change.c) */
    arena *deferred_mem;
    const struct db_value *written;       /* the row of conn->target that a statement failed with; NULL: it is not known */
    const struct catalog_trigger *firing; /* whose function is about to be called, for this relation */
    uint32_t firing_of;
    const struct frame *frame;    /* of the body at hand (routine.c) */
    struct query_script *scripts; /* texts of EXECUTE that are kept, those used last in front (script.c) */
    uint32_t scripts_n;
    size_t scripts_bytes;
    bool *deleting_fires; /* of the catalogue's relations, by place (change.c) */
    uint32_t trigger_depth;
    void (*notice)(void *arg, bool warns, str text); /* what RAISE says that is no error; NULL: nobody listens */
    void *notice_arg;
    struct db_function functions[13]; /* the connection's own, as long as that is there */
    struct db_aggregate aggregates[1];
    const struct catalog_relation *target; /* of a statement that writes */
    VEC(struct query_touch) touched;       /* it, and what changes with it because of keys */
    struct map seen;                       /* tables that the statement reads by views of ours */
    arena *seen_mem;
    struct buf said; /* one row of what is embedded, while it is made */
    arena *said_mem;
    arena *row_mem, *row_values_mem; /* while a row is looked for */
    struct db_value *row;
    uint32_t row_count;
    struct query_reached {
        uint32_t sequence;
        int64_t last;
    } reached[32]; /* sequences that this request drew from, and how far */
    uint32_t reached_n;
    VEC(int64_t) drawn;   /* from sequences, by the statement at hand */
    uint32_t drawn_again; /* of them, while a row is looked for */
    int64_t last_sequence;
    uint32_t last_sequence_id;
};
/* conn.c: functions that statements call */
/* wall.c */
bool query_wall(void *arg, enum db_act act, str a, str b, str inner);
void query_wall_up(struct query_conn *conn); /* before a statement is prepared */
void query_wall_touch(struct query_conn *conn, const struct catalog_relation *of);
void query_wall_target(struct query_conn *conn, const struct catalog_relation *of);
/* change.c: rows written one by one, with triggers */
struct query_rows {
    VEC(struct db_value *) list;
    uint32_t columns;
};
struct query_happened {
    uint32_t event, depth;
    struct db_value *new, *old;
};
struct query_transition { /* rows before and after, of REFERENCING */
    struct db_value **rows[2];
    uint32_t n[2], columns;
};
struct query_change {
    struct query_conn *conn;
    const struct query *q; /* of a tree; NULL: of a function's statement */
    arena *mem;
    uint32_t event; /* CATALOG_TRIGGER_INSERT, UPDATE or DELETE */
    const struct catalog_relation *of;
    uint32_t role;
    const struct catalog_column **columns; /* that are inserted, or set */
    uint32_t count;
    bool conflicts, merges; /* ON CONFLICT; DO UPDATE */
    str arbiter_text, conflict_where;
    catalog_ids arbiter;
    const struct catalog_column **set; /* by DO UPDATE, and the texts, over `alias` and excluded */
    str *set_texts, *update_texts;
    uint32_t set_count;
    str alias, back;              /* back: RETURNING's list */
    const struct db_value *extra; /* what those texts name, behind the row's values and its key */
    uint32_t extra_count;
    bool wants_keys, wants_rows, told;
    bool (*tell)(void *arg, struct query_change *c); /* of a delete: c->keys are about to go */
    void *tell_arg;
    uint32_t guards[QUERY_GUARDS];
    VEC(int64_t) keys;              /* of rows that were written */
    VEC(int64_t) merged;            /* that this statement has written already */
    struct query_rows rows;         /* what RETURNING gave */
    VEC(struct db_value *) instead; /* of a view: rows that its triggers did something for */
    VEC(struct query_happened) happened;
    uint64_t affected, bytes;
    const struct db_value *written, *unwritten; /* the row that is being written now, and as it was: a key may say no */
    const struct query_transition *transition;  /* of the event at hand, once it is asked for */
    uint32_t transition_event;
    bool meddled;                     /* a BEFORE trigger wrote something */
    struct map *going;                /* rows that are being deleted */
    uint32_t depth;                   /* of keys that lead here */
    struct query_change *root;        /* the statement whose keys lead here; NULL: it is one itself */
    uint32_t level;                   /* how many keys lead to it, at least */
    VEC(struct query_change *) along; /* rows that went with these, because of keys */
};
bool query_has_triggers(struct query_conn *conn, const struct catalog_relation *of, uint32_t events);
[[nodiscard]] bool query_change_before(struct query_change *c); /* BEFORE triggers of the statement */
[[nodiscard]] bool query_change_gather(struct query_change *c, str sql, const struct db_value *values, uint32_t n,
                                       struct query_rows *out);
/* rows: of an insert `columns`' values; of an update the key, the row, what is set; of a delete the key and the row. conn->guards are up. */
[[nodiscard]] bool query_change_run(struct query_change *c, const struct query_rows *rows);
/* Makes what the statement's rows are found by and held against, ahead; its target, where it is written row by row. */
const struct catalog_relation *query_change_warm(const struct query_expanding *x, str text);
/* Does a change of these columns change rows of other tables that have triggers for it? */
bool query_keys_fire(struct query_conn *conn, const struct catalog_relation *of, const struct catalog_column *const *set,
                     uint32_t n);
/* policy.c: may the role that runs it use the schemas that it names? False: raised (42501). */
bool query_schemas_hold(const struct query_expanding *x, const struct catalog_fragment *f, struct pg_error *error);
bool query_change_needed(const struct query_expanding *x, str text);
const struct catalog_relation *query_change_target(const struct query_expanding *x, str text); /* NULL: it is none that writes */
[[nodiscard]] bool query_change_statement(struct query_change *c, const struct query_expanding *x, str text,
                                          struct db_value (*value)(void *arg, uint32_t place), void *arg);
/* Constraint triggers that are deferred, once all else is done; and none is any more. False: raised. */
[[nodiscard]] bool query_deferred_run(struct query_conn *conn);
void query_deferred_forget(struct query_conn *conn);
/* error: that a key said no to such a statement, which was run whole. Which one it was is added, if that can be told. */
void query_change_name_key(const struct query_expanding *x, const struct catalog_fragment *f,
                           struct db_value (*value)(void *arg, uint32_t place), void *arg, struct pg_error *error);
/* routine.c: args go to the places behind FOUND; *out: so many columns, NULL: it returned nothing */
[[nodiscard]] bool query_trigger_call(struct query_conn *conn, const struct catalog_trigger *t, const struct db_value *args,
                                      uint32_t n, uint32_t columns, arena *mem, struct db_value **out);
void query_sequences_again(struct query_conn *conn); /* conn.c: as far as they had come, after something was undone */
/* routine.c */
struct query_places { /* places that a text names, in the order in which they were met: ?1, ?2 … */
    arena *mem;
    VEC(uint32_t) list;
};
struct query_place { /* a body's variable, or what it keeps between two instructions */
    struct db_value v;
    uint8_t *own; /* its bytes */
    size_t cap;
};
/* scalar.c: an expression that needs no statement. NULL: it does, or may. */
struct query_scalar;
const struct query_scalar *query_scalar_new(arena *mem, struct db *db, str text, const struct query_places *places);
/* ERR_UNSUPPORTED: with these values it needs one, and nothing has happened; else as a statement's. Bytes of *out are in scratch, or borrowed. */
[[nodiscard]] err query_scalar_run(struct query_conn *conn, const struct query_scalar *s, const struct query_place *places,
                                   arena *scratch, struct db_value *out, struct diag *d);
void query_routine_warm(struct query_conn *conn, str sql); /* before it is run */
/* script.c */
struct query_script_part {
    str sql;
    struct query_places places;
    bool there, change; /* change: it is run row by row (change.c) */
    uint32_t generation;
};
struct query_script {
    struct query_script *next;
    arena *mem;
    str key;
    uint32_t uses;
    size_t bytes;
    struct catalog_text_answer answer;
    struct query_script_part *parts;
};
/* as: whose rights. NULL: raised. To be given back (query_script_done). */
struct query_script *query_script_of(struct query_conn *conn, const struct query_expanding *as, const struct catalog_text *text);
void query_script_done(struct query_conn *conn, struct query_script *t);
[[nodiscard]] bool query_script_made(struct query_conn *conn, struct query_script *t, uint32_t i,
                                     const struct query_expanding *as, uint32_t arguments, struct query_script_part **out);
void query_scripts_free(struct query_conn *conn);
/* script_wall.c */
bool query_script_holds(const struct catalog *c, const struct catalog_fragment *f, uint32_t definer, bool rows);
void query_routine_call(struct db_call *call, void *arg, const struct db_value *args,
                        uint32_t n);                          /* query_call(function, as whom, …) */
extern const struct db_table_function query_kept_table;       /* query_kept(cursor): of the body at hand */
extern const struct db_table_function query_transition_table; /* query_transition(0: old, 1: new) */
extern const struct db_table_function query_routine_table;    /* query_table(function, as whom, …) */
/* domain.c: of a domain, and of no other type, the value is held against its checks */
[[nodiscard]] bool query_domain_check(struct query_conn *conn, uint32_t type, uint32_t role, const struct query_bound *b,
                                      struct pg_error *error);
const struct catalog_check *query_domain_check_named(const struct query_conn *conn, uint32_t type, str name,
                                                     const struct catalog_type **of);
bool query_domain_refuse(const struct catalog_type *t, const struct catalog_check *check /* NULL: not null */,
                         struct pg_error *error);
/* row.c: the detail of an error of a statement, of which nothing is left, as far as the role may see it. null_key: a column's number whose null SQLite would
 * not keep; 0: none */
void query_row_tell(struct query_conn *conn, const struct query *q, const struct query_statement *s, uint16_t null_key,
                    struct pg_error *error);
void query_row_seen(struct query_conn *conn, const struct db_value *values, uint32_t n);
/* answer.c */
void query_shape_add(arena *out, struct query_shape *s, str name, uint32_t type);
[[nodiscard]] bool query_put_json(struct query_conn *conn, uint32_t type, struct db_value v, struct buf *to, arena *scratch);
[[nodiscard]] bool query_put_row(struct query_conn *conn, const struct query_shape *shape, const struct db_value *values,
                                 struct buf *to, arena *scratch);

/* answer.c: what stands before an answer's body */
void query_put_head(const struct query *q, const struct query_result *r, const struct query_said *said, struct buf *to);
/* said.c: what functions have set so far, on SQLite */
struct query_said query_said_of(const struct pg_session *s);
/* query_check_result, and a value that came as a list of one row becomes what it is. */
[[nodiscard]] bool query_take_result(const struct query *q, struct query_result *result);

/* What an answered row is made of, in its order: fields, aggregates, embeds, and those of spreads, however deep: steps[0..depth) lead there. (relate.c) */
struct query_leaves {
    const struct query_select *levels[QUERY_EMBEDS_MAX + 1];
    const struct query_embed *steps[QUERY_EMBEDS_MAX];
    uint32_t at[QUERY_EMBEDS_MAX + 1], depth;
};
struct query_leaves query_leaves_of(const struct query_select *s);
const struct query_item *query_leaf_next(struct query_leaves *l); /* NULL: that was all */
/* Of a grouped row, by which of its members an order is, from 1; 0: by none of them. */
uint32_t query_leaf_of_order(const struct query_select *s, const struct query_order *o);

/* media.c */
[[nodiscard]] bool query_resolve_media(struct query_resolving *r);
bool query_media_is_bytes(const struct pg_types *types, const struct query *q);
void query_put_names(const struct query_select *s, struct buf *to); /* a line of CSV */
void query_put_cell(struct buf *to, str s);
/* What stands in it from there on is one value. */
[[nodiscard]] bool query_strip_nulls(arena *scratch, struct buf *b, size_t from, struct pg_error *error);

/* describe.c */
void query_describe(const struct catalog *c, const struct pg_types *types, const struct query *q, struct buf *to);

/* fail.c: what SQLite said, as PostgreSQL would */
void query_failed_null(const struct catalog_relation *of, const struct catalog_column *c, struct pg_error *error);
/* A key was violated by a row of that relation; new NULL: it was to go. False: by none of its own. */
bool query_failed_key(struct query_conn *conn, const struct catalog_relation *of, const struct db_value *new,
                      const struct db_value *old, struct pg_error *error);
void query_failed(struct query_conn *conn, const struct query *q, err e, const struct diag *d, struct pg_error *error);

#endif
