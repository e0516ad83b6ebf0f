/* sqlite: databases: spin:sqlite@3 and fermyon:spin/sqlite@2; the one before them is in before.c. */
#include "spin/spin_int.h"
#include "spin_world.h"

typedef struct spin_sqlite_sqlite_error sql_error;
typedef struct spin_sqlite_sqlite_value sql_value;
typedef struct spin_sqlite_sqlite_row_result sql_row;
typedef struct spin_world_result_sqlite_sqlite_connection_sqlite_sqlite_error sql_opened;
typedef struct spin_world_result_sqlite_sqlite_query_result_sqlite_sqlite_error sql_result;
static_assert(sizeof(sql_opened) == sizeof(struct spin_world_result_spin_sqlite_connection_spin_sqlite_error));
static_assert(sizeof(sql_result) == sizeof(struct spin_world_result_spin_sqlite_query_result_spin_sqlite_error));
static_assert(sizeof(sql_value) == sizeof(struct fermyon_spin_sqlite_value));
static_assert(SPIN_SQLITE_SQLITE_ERROR_IO == (int)FERMYON_SPIN_SQLITE_ERROR_IO);
static_assert(SPIN_SQLITE_SQLITE_VALUE_NULL == (int)FERMYON_SPIN_SQLITE_VALUE_NULL);

struct spin_sqlite_sqlite_connection {
    struct app_object o;
    struct app *app;
    struct spin_sql sql;
};
struct fermyon_spin_sqlite_connection {
    struct spin_sqlite_sqlite_connection c;
};

/* ---- connections ---- */

void spin_sql_close(struct app *app, const struct spin_sql *sql) {
    struct app_question q = {.op = APP_SQL_CLOSE, .place = sql->place, .values = &APP_I64(sql->number), .count = 1};
    if (sql->in_transaction && app->data) (void)app->data->ask(app->data, app, &q, NULL, NULL);
}

/* What it had begun and not ended is undone. */
static void connection_destroy(struct host_instance *in, void *self) {
    struct spin_sqlite_sqlite_connection *c = self;
    spin_sql_close(c->app, &c->sql);
}

static enum abi_trap open_connection(struct host_call *call, str database, sql_opened *result) {
    static int64_t number;
    struct app *app = app_instance_of(call->instance)->app;
    str place;
    result->is_err = !spin_granted(app->grants->sqlite.p, app->grants->sqlite.n, database, &place);
    if (result->is_err) {
        app_request_lacks(app_request_of(call), APP_LACK_SQLITE, database);
        result->err.tag = SPIN_SQLITE_SQLITE_ERROR_ACCESS_DENIED;
        return ABI_TRAP_NONE;
    }
    APP_OBJECT_NEW(call, c, spin_sqlite_sqlite_connection, connection_destroy);
    c->app = app;
    c->sql = (struct spin_sql){.place = place, .number = ++number};
    result->ok = c;
    return ABI_TRAP_NONE;
}

/* ---- statements ---- */

static sql_error error_of(const struct app_reply *r) {
    if (r->outcome == APP_DATA_FULL) return (sql_error){.tag = SPIN_SQLITE_SQLITE_ERROR_DATABASE_FULL};
    return (sql_error){.tag = SPIN_SQLITE_SQLITE_ERROR_IO, .io = app_reply_text(r)};
}

static struct app_value to_store(const sql_value *v) {
    switch (v->tag) {
    case SPIN_SQLITE_SQLITE_VALUE_INTEGER: return APP_I64(v->integer);
    case SPIN_SQLITE_SQLITE_VALUE_REAL: return (struct app_value){APP_VALUE_REAL, {.f = v->real}};
    case SPIN_SQLITE_SQLITE_VALUE_TEXT: return APP_TEXT(v->text);
    case SPIN_SQLITE_SQLITE_VALUE_BLOB: return APP_BLOB(v->blob);
    default: return (struct app_value){APP_VALUE_NULL, {0}};
    }
}

static sql_value of_store(const struct app_value *v) {
    switch (v->kind) {
    case APP_VALUE_INTEGER: return (sql_value){.tag = SPIN_SQLITE_SQLITE_VALUE_INTEGER, .integer = v->i};
    case APP_VALUE_REAL: return (sql_value){.tag = SPIN_SQLITE_SQLITE_VALUE_REAL, .real = v->f};
    case APP_VALUE_TEXT: return (sql_value){.tag = SPIN_SQLITE_SQLITE_VALUE_TEXT, .text = v->s};
    case APP_VALUE_BYTES: return (sql_value){.tag = SPIN_SQLITE_SQLITE_VALUE_BLOB, .blob = v->s};
    default: return (sql_value){.tag = SPIN_SQLITE_SQLITE_VALUE_NULL};
    }
}

/* connection, statement, parameters: the call's memory. NULL: too many. */
static struct app_value *question_of(struct host_call *call, const struct spin_sql *sql, str statement,
                                     struct spin_parameters parameters) {
    const sql_value *from = parameters.p;
    if (parameters.n > UINT16_MAX || !host_work(call->instance, parameters.n)) return NULL;
    struct app_value *v = host_alloc(call, (parameters.n + 2) * sizeof *v, 8);
    if (!v) return NULL;
    v[0] = APP_I64(sql->number);
    v[1] = APP_TEXT(statement);
    for (size_t i = 0; i < parameters.n; i++) v[i + 2] = to_store(&from[i]);
    return v;
}

/* What comes before columns and rows (app/data.def). */
enum { FACTS = 4 };
static bool take_facts(struct spin_sql *sql, const struct app_value *v, uint32_t count) {
    if (count < FACTS) return false;
    sql->in_transaction = v[0].i;
    if (v[1].i) sql->last_rowid = v[1].i;
    if (v[2].i >= 0) sql->changes = (uint64_t)v[2].i;
    return v[3].i >= 0 && v[3].i <= count - FACTS && (v[3].i ? (count - FACTS) % (uint64_t)v[3].i == 0 : count == FACTS);
}

/* Columns and rows in host layout. `alloc` gives memory, or NULL. False: there is none. */
static bool lay_out(const struct app_value *v, uint32_t count, void *(*alloc)(void *arg, size_t n), void *arg,
                    struct spin_rows *out) {
    size_t columns = (size_t)v[3].i, rows = columns ? (count - FACTS) / columns - 1 : 0;
    str *names = alloc(arg, MAX(columns, (size_t)1) * sizeof *names);
    sql_row *to = alloc(arg, MAX(rows, (size_t)1) * sizeof *to);
    sql_value *values = alloc(arg, MAX(rows * columns, (size_t)1) * sizeof *values);
    if (!names || !to || !values) return false;
    v += FACTS;
    for (size_t i = 0; i < columns; i++) names[i] = v[i].kind >= APP_VALUE_TEXT ? v[i].s : (str){0};
    for (size_t i = 0; i < rows * columns; i++) values[i] = of_store(&v[columns + i]);
    for (size_t i = 0; i < rows; i++) to[i] = (sql_row){{values + i * columns, columns}};
    *out = (struct spin_rows){.columns = names, .rows = to, .columns_count = columns, .rows_count = rows};
    return true;
}

static void *of_call(void *arg, size_t n) { return host_alloc(arg, n, 8); }
static void *of_arena(void *arg, size_t n) { return arena_alloc(arg, n, 8); }

struct run {
    struct spin_sql *sql;
    struct spin_rows *out;
};
static void fill_rows(struct host_call *call, const struct app_reply *r, void *about, void *result) {
    struct run *run = result;
    bool ok = r->outcome == APP_DATA_OK && take_facts(run->sql, r->values, r->count);
    if (ok && lay_out(r->values, r->count, of_call, call, run->out)) return;
    *run->out = (struct spin_rows){.reply = *r};
    if (r->outcome == APP_DATA_OK) run->out->reply = (struct app_reply){.outcome = APP_DATA_TOO_LARGE};
}

enum abi_trap spin_sql_run(struct host_call *call, struct spin_sql *sql, void *about, str statement,
                           struct spin_parameters parameters, struct spin_rows *out) {
    struct app_value *v = question_of(call, sql, statement, parameters);
    if (!v) return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "too many parameters of a statement");
    struct app_question q = {.op = APP_SQL_RUN, .place = sql->place, .values = v, .count = (uint32_t)parameters.n + 2};
    return app_wait(call, spin_data(call), &q, fill_rows, about, &(struct run){sql, out});
}

static enum abi_trap execute(struct host_call *call, struct spin_sqlite_sqlite_connection *c, str statement,
                             struct spin_parameters parameters, sql_result *result) {
    struct spin_rows rows = {0};
    enum abi_trap t = spin_sql_run(call, &c->sql, c, statement, parameters, &rows);
    result->is_err = rows.reply.outcome != APP_DATA_OK;
    if (result->is_err) {
        result->err = error_of(&rows.reply);
        return t;
    }
    result->ok.columns.p = rows.columns, result->ok.columns.n = rows.columns_count;
    result->ok.rows.p = rows.rows, result->ok.rows.n = rows.rows_count;
    return t;
}

/* ---- spin:sqlite@3 ---- */

enum abi_trap spin_sqlite_sqlite_connection_open(struct host_call *call, str database, sql_opened *result) {
    return open_connection(call, database, result);
}
enum abi_trap spin_sqlite_sqlite_connection_open_async(struct host_call *call, str database, sql_opened *result) {
    return open_connection(call, database, result);
}
enum abi_trap spin_sqlite_sqlite_connection_execute(struct host_call *call, struct spin_sqlite_sqlite_connection *self,
                                                    str statement, struct spin_world_list_sqlite_sqlite_value parameters,
                                                    sql_result *result) {
    return execute(call, self, statement, (struct spin_parameters){parameters.p, parameters.n}, result);
}
enum abi_trap spin_sqlite_sqlite_connection_last_insert_rowid(struct host_call *call, struct spin_sqlite_sqlite_connection *self,
                                                              int64_t *result) {
    *result = self->sql.last_rowid;
    return ABI_TRAP_NONE;
}
enum abi_trap spin_sqlite_sqlite_connection_last_insert_rowid_async(struct host_call *call,
                                                                    struct spin_sqlite_sqlite_connection *self, int64_t *result) {
    *result = self->sql.last_rowid;
    return ABI_TRAP_NONE;
}
enum abi_trap spin_sqlite_sqlite_connection_changes(struct host_call *call, struct spin_sqlite_sqlite_connection *self,
                                                    uint64_t *result) {
    *result = self->sql.changes;
    return ABI_TRAP_NONE;
}
enum abi_trap spin_sqlite_sqlite_connection_changes_async(struct host_call *call, struct spin_sqlite_sqlite_connection *self,
                                                          uint64_t *result) {
    *result = self->sql.changes;
    return ABI_TRAP_NONE;
}
void spin_sqlite_sqlite_connection_drop(struct host_instance *in, struct spin_sqlite_sqlite_connection *self) {
    app_object_unref(in, self);
}

/* ---- its rows as a stream: all are there, so it is one page ---- */

static const void *row_elements(arena *mem, const struct app_answer *a, size_t *n, bool *more) {
    struct spin_rows rows = {0};
    struct app_value *copies = arena_array(mem, struct app_value, a->count);
    for (uint32_t i = 0; i < a->count; i++) {
        copies[i] = a->values[i];
        if (copies[i].kind >= APP_VALUE_TEXT) copies[i].s = arena_str(mem, copies[i].s);
    }
    (void)lay_out(copies, a->count, of_arena, mem, &rows);
    *n = rows.rows_count;
    *more = false;
    return rows.rows;
}
static const struct spin_giver_ops rows_ops = {.element_bytes = sizeof(sql_row),
                                               .result_bytes = sizeof(struct spin_world_result_void_sqlite_sqlite_error),
                                               .elements = row_elements};

typedef struct
    spin_world_result_tuple3_list_string_stream_sqlite_sqlite_row_result_future_result_void_sqlite_sqlite_error_sqlite_sqlite_error
        sql_streamed;

static void fill_streamed(struct host_call *call, const struct app_reply *r, void *about, void *result) {
    struct spin_sqlite_sqlite_connection *c = about;
    sql_streamed *to = result;
    struct app_question none = {0};
    struct app_answer all = {.values = r->values, .count = r->count};
    to->is_err = r->outcome != APP_DATA_OK || !take_facts(&c->sql, r->values, r->count);
    if (!to->is_err) {
        size_t columns = (size_t)r->values[3].i;
        str *names = host_alloc(call, MAX(columns, (size_t)1) * sizeof *names, 8);
        for (size_t i = 0; names && i < columns; i++) names[i] = r->values[FACTS + i].s;
        to->ok.f0.p = names, to->ok.f0.n = columns;
        to->is_err = !names || !spin_giver_new(call->instance, &rows_ops, &none, &all, &to->ok.f1, &to->ok.f2);
    }
    if (to->is_err) to->err = error_of(r->outcome != APP_DATA_OK ? r : &(struct app_reply){.outcome = APP_DATA_TOO_LARGE});
}

enum abi_trap spin_sqlite_sqlite_connection_execute_async(struct host_call *call, struct spin_sqlite_sqlite_connection *self,
                                                          str statement, struct spin_world_list_sqlite_sqlite_value parameters,
                                                          sql_streamed *result) {
    struct app_value *v = question_of(call, &self->sql, statement, (struct spin_parameters){parameters.p, parameters.n});
    if (!v) return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "too many parameters of a statement");
    struct app_question q = {.op = APP_SQL_RUN, .place = self->sql.place, .values = v, .count = (uint32_t)parameters.n + 2};
    return app_wait(call, spin_data(call), &q, fill_streamed, self, result);
}

/* ---- fermyon:spin/sqlite@2 ---- */

enum abi_trap fermyon_spin_sqlite_connection_open(struct host_call *call, str database,
                                                  struct spin_world_result_spin_sqlite_connection_spin_sqlite_error *result) {
    return open_connection(call, database, (sql_opened *)(void *)result);
}
enum abi_trap
fermyon_spin_sqlite_connection_execute(struct host_call *call, struct fermyon_spin_sqlite_connection *self, str statement,
                                       struct spin_world_list_spin_sqlite_value parameters,
                                       struct spin_world_result_spin_sqlite_query_result_spin_sqlite_error *result) {
    return execute(call, &self->c, statement, (struct spin_parameters){parameters.p, parameters.n}, (sql_result *)(void *)result);
}
void fermyon_spin_sqlite_connection_drop(struct host_instance *in, struct fermyon_spin_sqlite_connection *self) {
    app_object_unref(in, self);
}
