/* sql: statements of an app's in a database of its own, in SQLite's dialect. What they may do and how much they take, says db (a guest's
 * connection); how long, and which of them are one transaction, is said here and in batch.c. */
#include "node/disk.h"
#include "node/store/store_int.h"

enum { ROW_BYTES = 32, VALUE_BYTES = 16 /* what a row and a value take of an answer besides their bytes */ };

bool node_store_sql_is_alone(str sql) {
    static const char *const words[] = {"begin",   "savepoint", "commit", "end",    "rollback",
                                        "release", "pragma",    "vacuum", "analyze"};
    for (;;) { /* comments and space come before it */
        while (sql.n && (sql.p[0] <= ' ' || sql.p[0] == ';')) sql = str_sub(sql, 1, sql.n);
        if (str_starts(sql, STR("--"))) sql = str_sub(sql, str_find(sql, '\n'), sql.n);
        else if (str_starts(sql, STR("/*"))) {
            size_t at = 2;
            while (at < sql.n && !(sql.p[at] == '/' && sql.p[at - 1] == '*' && at > 2)) at++;
            sql = str_sub(sql, at + 1, sql.n);
        } else break;
    }
    size_t n = 0;
    while (n < sql.n && ((sql.p[n] | 32) >= 'a' && (sql.p[n] | 32) <= 'z')) n++;
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (str_eq_nocase(str_sub(sql, 0, n), str_c(words[i]))) return true;
    return false;
}

static struct db_value *parameters(struct store_ask *ask) {
    struct db_value *to = arena_array(ask->mem, struct db_value, ask->count);
    static const enum db_kind kinds[] = {[APP_VALUE_NULL] = DB_NULL,
                                         [APP_VALUE_INTEGER] = DB_INTEGER,
                                         [APP_VALUE_REAL] = DB_REAL,
                                         [APP_VALUE_TEXT] = DB_TEXTUAL,
                                         [APP_VALUE_BYTES] = DB_BYTES};
    for (uint32_t i = 2; i < ask->count; i++) {
        const struct app_value *v = &ask->values[i];
        to[i - 2].kind = kinds[v->kind];
        if (v->kind >= APP_VALUE_TEXT) to[i - 2].s = v->s;
        else to[i - 2].i = v->i; /* the bits of a real, too */
    }
    return to;
}

static struct app_value value_of(struct db_value v) {
    switch (v.kind) {
    case DB_INTEGER: return APP_I64(v.i);
    case DB_REAL: return (struct app_value){APP_VALUE_REAL, {.f = v.f}};
    case DB_TEXTUAL: return APP_TEXT(v.s);
    case DB_BYTES: return APP_BLOB(v.s);
    default: return (struct app_value){APP_VALUE_NULL, {0}};
    }
}

/* Whether it is no more than may be answered, with what else it takes. */
static bool fits(struct store_ask *ask, uint64_t taken) {
    if (ask->answer.n + taken > ask->answer_bytes_max)
        node_store_ask_fail(ask, APP_DATA_TOO_LARGE, "the answer is larger than %u KiB: ask for fewer rows (data_answer_kb)",
                            ask->answer_bytes_max / 1024);
    return ask->outcome == APP_DATA_OK;
}

/* False: there are more than may be answered, or text that is none. */
static bool answer_row(struct store_ask *ask, struct db_rows *rows, uint32_t columns, uint64_t *taken) {
    *taken += ROW_BYTES + columns * VALUE_BYTES;
    (void)fits(ask, *taken);
    for (uint32_t i = 0; i < columns && ask->outcome == APP_DATA_OK; i++) {
        struct app_value v = value_of(db_value(rows, i));
        if (v.kind == APP_VALUE_TEXT && !str_is_utf8(v.s))
            node_store_ask_fail(ask, APP_DATA_REFUSED, "column %u has text that is not UTF-8; read it as a blob: cast(… as blob)",
                                i + 1);
        else node_store_ask_answer(ask, v);
    }
    return ask->outcome == APP_DATA_OK;
}

static void answer_rows(struct store_base *base, struct store_ask *ask, struct db_rows *rows) {
    struct diag d = DIAG_INIT;
    uint32_t columns = db_columns(rows);
    char full[NODE_DISK_TEXT];
    if (db_writes(rows) && node_disk_full(full)) {
        node_store_ask_fail(ask, APP_DATA_FULL, "%s", full);
        err ended = db_end(rows, &d);
        (void)ended; /* it has not begun */
        return;
    }
    struct buf head = {0}, body;
    app_values_write(&head, &APP_I64(columns), 1);
    for (uint32_t i = 0; i < columns && head.n <= ask->answer_bytes_max;
         i++) /* a view's are as long as its owner likes, and as often */
        app_values_write(&head, &APP_TEXT(db_column_name(rows, i)), 1);
    uint64_t taken = head.n;
    for (bool more = fits(ask, taken); more && db_next(rows);) more = answer_row(ask, rows, columns, &taken);
    int64_t changes = db_writes(rows) ? (int64_t)db_changed(base->db) : -1;
    err e = db_end(rows, &d);
    if (e != ERR_OK) node_store_ask_db_failed(ask, e, &d);
    body = ask->answer;
    ask->answer = (struct buf){0};
    struct app_value facts[] = {APP_I64(db_in_transaction(base->db) && base->alone), APP_I64(db_last_id(base->db)),
                                APP_I64(changes)};
    if (ask->outcome == APP_DATA_OK) {
        app_values_write(&ask->answer, facts, ARRAY_COUNT(facts));
        buf_put(&ask->answer, head.p, head.n);
        buf_put(&ask->answer, body.p, body.n);
    }
    buf_free(&head);
    buf_free(&body);
}

void node_store_sql_do(struct store_base *base, struct store_ask *ask) {
    struct diag d = DIAG_INIT;
    struct db_rows *rows;
    if (ask->op != APP_SQL_RUN || ask->count < 2 || ask->values[0].kind != APP_VALUE_INTEGER ||
        ask->values[1].kind != APP_VALUE_TEXT) {
        node_store_ask_fail(ask, APP_DATA_REFUSED, "this is not what is asked of a database");
        return;
    }
    db_forget_last_id(base->db);
    err e = db_query_values(base->db, ask->values[1].s, parameters(ask), ask->count - 2, &rows, &d);
    if (e != ERR_OK) node_store_ask_db_failed(ask, e, &d);
    else answer_rows(base, ask, rows);
}
