/* Of what runs compiled PL/pgSQL: routine.c has statements and the loop over instructions, routine_text.c texts (EXECUTE), routine_error.c what is raised and
 * caught, routine_table.c what SQLite's FROM sees of it. */
#ifndef ORLO_QUERY_ROUTINE_INT_H
#define ORLO_QUERY_ROUTINE_INT_H

#include "query/query_int.h"

enum { DEPTH_MAX = 100, TRIES_MAX = 64, STEPS = 256 };
#define BYTES_MAX ((uint64_t)64 << 20)

/* What is kept of a routine, for a role. */
struct made { /* a statement's text */
    str sql;
    struct query_places places;
    const struct catalog_relation *touches; /* what it writes: the wall is told each time */
    const struct query_scalar *scalar;      /* NULL: it takes a statement */
    bool there;
};
struct loaded {
    const struct catalog_routine *code;
    struct made *made;
    uint32_t generation, warm_generation;
    bool warm;
};

struct cursor {
    arena *mem;
    struct db_value *values;
    uint32_t columns, n, at, cap;
    uint64_t bytes;
    catalog_fields shape; /* of an executed text's */
};
struct try {
    uint32_t handler;
    pg_settings settings; /* that held where it began */
    uint32_t deferred;    /* triggers that waited then */
    bool writes, handling;
    struct pg_error *error;
};
/* Of whatever columns an executed text has. */
struct record {
    uint32_t place;
    arena *mem; /* NULL: it is not assigned yet */
    catalog_fields shape;
    struct db_value *values;
    uint64_t bytes;
};
struct frame {
    struct query_conn *conn;
    const struct catalog_function *f;
    struct loaded *loaded;
    uint32_t role, definer, rows_of;
    const struct catalog_trigger *trigger; /* it is one's, of that relation */
    arena *mem;                            /* of errors that are being handled */
    arena *scratch;                        /* of what an expression makes on its way */
    struct diag said;
    struct query_place *places;
    struct cursor *cursors; /* CATALOG_CURSORS_MAX of them, once there is one */
    uint8_t states[CATALOG_CURSORS_MAX];
    struct try tries[TRIES_MAX];
    uint32_t tries_n;
    uint64_t rows; /* of the statement before */
    uint64_t bytes;
    struct query_routine_rows *result;
    uint32_t steps;
    catalog_ids argument_types, argument_places; /* what is told of a text before it is run */
    catalog_fields want;
    VEC(struct db_value) values; /* $1 … of the text that runs */
    VEC(struct record) records;
    catalog_ids types; /* of places, where those are known when they are set: place, type */
};

/* What it gave. */
struct query_routine_rows {
    arena *mem;
    struct db_value *values; /* n rows of so many columns */
    uint32_t columns, n, cap;
    bool null; /* not even a row */
};

/* ---- routine.c: false is said and stands in conn->raised ---- */

bool query_frame_raised(struct frame *f, const char *state, const char *message);
bool query_frame_charge(struct frame *f, uint64_t bytes);
void query_frame_credit(struct frame *f, uint64_t bytes);
bool query_frame_put(struct frame *f, uint32_t at, struct db_value v);
void query_frame_cursor_close(struct frame *f, struct cursor *c);
bool query_frame_keep_row(struct frame *f, arena *mem, struct db_rows *rows, uint32_t columns, struct db_value **values,
                          uint32_t *n, uint32_t *cap, uint64_t *bytes);
bool query_frame_may_write(struct frame *f, const struct catalog_fragment *s);
bool query_frame_failed(struct frame *f, err e, const struct diag *d);
bool query_frame_finish(struct frame *f, struct db_rows *rows, bool ok);
void query_frame_set_found(struct frame *f, bool found);
bool query_frame_too_many(struct frame *f);
struct cursor *query_frame_cursor(struct frame *f, uint32_t i);
const struct catalog_function *query_routine_function(struct query_conn *conn, uint32_t id);
bool query_routine_rows_of(struct query_conn *conn, const struct db_value *args, uint32_t n, struct query_routine_rows *out);

/* ---- routine_text.c ---- */

void query_text_over(struct frame *f);
bool query_text_execute(struct frame *f, const uint32_t *op);
const struct catalog_fragment *query_text_late(const struct frame *f, uint32_t e);
struct query_script *query_text_late_script(struct frame *f, const struct catalog_fragment *s, enum catalog_text_use use);
uint32_t query_text_type(const struct frame *f, uint32_t place);
bool query_text_late_value(struct frame *f, const struct catalog_fragment *s, uint32_t to, bool *is);
bool query_text_late_statement(struct frame *f, const struct catalog_fragment *s, const uint32_t *op);
bool query_text_open_script(struct frame *f, uint32_t slot, struct query_script *t);
bool query_text_open(struct frame *f, const uint32_t *op);
bool query_text_next(struct frame *f, const uint32_t *op, bool *more);
bool query_text_give_script(struct frame *f, struct query_script *t);
bool query_text_give(struct frame *f, const uint32_t *op);
bool query_text_cursor_row(struct frame *f, const uint32_t *op);

/* ---- routine_error.c ---- */

str query_frame_text(struct frame *f, uint32_t place);
bool query_frame_raise(struct frame *f, const uint32_t *op);
bool query_frame_try(struct frame *f, const uint32_t *op);
bool query_frame_leave(struct frame *f, uint32_t n);
bool query_frame_unwind(struct frame *f, uint32_t *at);
bool query_frame_catch(struct frame *f, const uint32_t *op, bool *hit);
bool query_frame_throw(struct frame *f);
bool query_frame_stacked(struct frame *f, const uint32_t *op);

#endif
