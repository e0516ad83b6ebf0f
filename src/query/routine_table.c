/* routine_table: what FROM sees of compiled bodies: functions that give rows, transition tables, and what parts of a statement gave back. */
#include "query/routine_int.h"

struct rows_state {
    struct query_routine_rows rows;
    uint32_t at;
};

static void table_begin(struct db_call *call, void *arg, void *state, const struct db_value *args, uint32_t n) {
    struct query_conn *conn = arg;
    struct rows_state *s = state;
    *s = (struct rows_state){.rows.mem = arena_new(0)};
    if (conn->row_mem) return;
    const struct catalog_function *f =
        n >= 2 && args[0].kind == DB_INTEGER ? query_routine_function(conn, (uint32_t)args[0].i) : NULL;
    if (!query_routine_rows_of(conn, args, n, &s->rows)) return db_refuse(call, str_c(conn->raised.message));
    if (f && !f->set && !s->rows.n && !f->strict) { /* no row is one of nulls */
        s->rows.values = arena_array(s->rows.mem, struct db_value, s->rows.columns);
        for (uint32_t i = 0; i < s->rows.columns; i++) s->rows.values[i] = DB_NOTHING;
        s->rows.n = 1;
    }
}

static bool table_next(struct db_call *call, void *arg, void *state, struct db_value *row) {
    struct rows_state *s = state;
    (void)call, (void)arg;
    if (s->at >= s->rows.n) return false;
    for (uint32_t i = 0; i < s->rows.columns && i < DB_TABLE_COLUMNS_MAX; i++)
        row[i] = s->rows.values[(size_t)s->at * s->rows.columns + i];
    s->at++;
    return true;
}

static void table_end(void *arg, void *state) {
    (void)arg;
    arena_free(((struct rows_state *)state)->rows.mem);
}

#define TEN(p) "c" p "1", "c" p "2", "c" p "3", "c" p "4", "c" p "5", "c" p "6", "c" p "7", "c" p "8", "c" p "9"
#define COLUMNS                                                                                                                  \
    {                                                                                                                            \
        TEN(""), "c10", TEN("1"), "c20", TEN("2"), "c30", TEN("3"), "c40", TEN("4"), "c50", TEN("5"), "c60", TEN("6"), "c70",    \
            TEN("7"), "c80", TEN("8"), "c90", TEN("9"), "c100"                                                                   \
    }
const struct db_table_function query_routine_table = {
    .name = "query_table",
    .columns = COLUMNS,
    .arguments = DB_TABLE_ARGUMENTS_MAX,
    .arguments_min = 2,
    .state_bytes = sizeof(struct rows_state),
    .begin = table_begin,
    .next = table_next,
    .end = table_end,
};

/* ---- transition tables ---- */

struct transition_state {
    const struct query_transition *of;
    uint32_t which, at;
};

static void transition_begin(struct db_call *call, void *arg, void *state, const struct db_value *args, uint32_t n) {
    struct query_conn *conn = arg;
    struct transition_state *s = state;
    (void)call;
    *s = (struct transition_state){.of = conn->transition, .which = n && args[0].kind == DB_INTEGER && args[0].i == 1};
}

static bool transition_next(struct db_call *call, void *arg, void *state, struct db_value *row) {
    struct transition_state *s = state;
    (void)call, (void)arg;
    if (!s->of || s->at >= s->of->n[s->which]) return false;
    const struct db_value *from = s->of->rows[s->which][s->at++];
    for (uint32_t i = 0; i < s->of->columns && i < DB_TABLE_COLUMNS_MAX; i++) row[i] = from[i];
    return true;
}

const struct db_table_function query_transition_table = {
    .name = "query_transition",
    .columns = COLUMNS,
    .arguments = 1,
    .arguments_min = 1,
    .state_bytes = sizeof(struct transition_state),
    .begin = transition_begin,
    .next = transition_next,
};

/* ---- what parts of a statement gave back (sql/routine_with.c) ---- */

struct kept_state {
    const struct cursor *of;
    uint32_t at;
};

static void kept_begin(struct db_call *call, void *arg, void *state, const struct db_value *args, uint32_t n) {
    const struct query_conn *conn = arg;
    const struct frame *f = conn->frame;
    bool there = f && f->cursors && n && args[0].kind == DB_INTEGER && args[0].i >= 0 && args[0].i < CATALOG_CURSORS_MAX;
    (void)call;
    *(struct kept_state *)state = (struct kept_state){.of = there ? &f->cursors[args[0].i] : NULL};
}

static bool kept_next(struct db_call *call, void *arg, void *state, struct db_value *row) {
    struct kept_state *s = state;
    (void)call, (void)arg;
    if (!s->of || s->at >= s->of->n) return false;
    const struct db_value *from = s->of->values + (size_t)s->at++ * s->of->columns;
    for (uint32_t i = 0; i < s->of->columns && i < DB_TABLE_COLUMNS_MAX; i++) row[i] = from[i];
    return true;
}

const struct db_table_function query_kept_table = {
    .name = "query_kept",
    .columns = COLUMNS,
    .arguments = 1,
    .arguments_min = 1,
    .state_bytes = sizeof(struct kept_state),
    .begin = kept_begin,
    .next = kept_next,
};
