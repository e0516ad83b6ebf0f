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

/* ---- source.c ---- */

struct tables_source;
struct tables_source *tables_source_new(struct app_data *tables);
void tables_source_free(struct tables_source *s); /* nothing more is wanted of it; NULL is fine */
/* Whom app_wait asks: the query first, then, without a question, for the next part; not where one is there already. */
struct app_data *tables_source_data(struct tables_source *s);
bool tables_source_lives(const struct tables_source *s); /* more may come; NULL: it does not */
bool tables_source_waits(const struct tables_source *s); /* somebody does, for the next part */
/* What came when nobody waited: rows that are to be freed, or *error. False: nothing did. */
bool tables_source_take(struct tables_source *s, struct buf *part, struct pg_error *error);
void tables_source_more(struct tables_source *s, app_told told,
                        void *arg);                /* told of the next part, as of an answer; or of the end */
void tables_source_leave(struct tables_source *s); /* … is not; NULL is fine */

/* ---- rows.c ---- */

/* One of which parts will come, without any yet; NULL: over a limit. It is what app_wait's about may be. */
struct orlo_database_client_rows *tables_rows_new(struct host_instance *in, struct tables_source *source);
/* It holds a copy of an answer's text, or of the first part of it. of NULL: a new one. */
void tables_rows_answer(struct host_call *call, struct orlo_database_client_rows *of, str text, tables_answer *result);
struct tables_source *tables_rows_source(struct orlo_database_client_rows *r);
/* The next part is there. False: *error, and those were all. */
bool tables_rows_refill(struct orlo_database_client_rows *r, str text, struct pg_error *error);
bool tables_rows_over(const struct orlo_database_client_rows *r); /* none will come */
/* The next ones: at most so many. In mem; *n 0: that was all that is here (tables_rows_over). False: *error. */
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
