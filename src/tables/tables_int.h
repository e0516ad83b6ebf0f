/* Inside the tables room. */
#ifndef ORLO_TABLES_INT_H
#define ORLO_TABLES_INT_H

#include "app/app.h"
#include "app/data.h"
#include "app/object.h"
#include "app/wait.h"
#include "pg/pg.h"
#include "query/query.h"
#include "tables_wit.h"

typedef struct tables_wit_result_database_client_rows_database_client_error tables_answer;
typedef struct orlo_database_client_error tables_error;

/* ---- connection.c ---- */

struct tables_who { /* as whom; charged copies */
    str role, claims;
};
void tables_who_free(struct host_instance *in, struct tables_who *who);
enum { TABLES_ASK_VALUES = 3 }; /* of a query, as app.tables takes it (app/app.h): role, claims, body */
void tables_who_values(const struct tables_who *who, str body, struct app_value to[static TABLES_ASK_VALUES]);
tables_error tables_error_of(const char *code, const char *message, const char *hint); /* literals */
tables_error tables_error_said(struct host_call *call, const struct pg_error *error);
/* Of an answer that is not APP_DATA_OK; its strings are the call's. */
tables_error tables_error_reply(const struct app_reply *reply);

/* ---- tree.c ---- */

/* {"query": tree, "counted": true}, with the parameters where they stand. False: *error says why, or *trap is one. body is to be freed in any case. */
bool tables_body(struct host_call *call, str tree, const struct orlo_database_client_value *parameters, size_t n,
                 struct buf *body, tables_error *error, enum abi_trap *trap);

/* ---- rows.c ---- */

/* One that holds a copy of an answer's text. */
void tables_rows_answer(struct host_call *call, str text, tables_answer *result);
/* The next ones: at most so many. In mem; *n 0: that was all. False: *error. */
struct tables_page {
    struct orlo_database_client_row *rows;
    size_t n;
};
bool tables_rows_page(struct orlo_database_client_rows *rows, arena *mem, size_t most, struct tables_page *page,
                      struct pg_error *error);

/* ---- transaction.c ---- */

enum abi_trap tables_begin(struct host_call *call, const struct tables_who *who,
                           struct tables_wit_result_database_client_transaction_database_client_error *result);

#endif
