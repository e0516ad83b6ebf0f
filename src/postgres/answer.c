/* answer: what the server said. */
#include "postgres/postgres_int.h"
#include <stdio.h>
#include <stdlib.h>

static void put(char *to, size_t n, const PGresult *r, int field) {
    const char *s = PQresultErrorField(r, field);
    snprintf(to, n, "%s", s ? s : "");
}

void postgres_answer_error(struct postgres_answer *a, uint32_t statement, const PGresult *r) {
    struct postgres_error *e = &a->error;
    const char *position = PQresultErrorField(r, PG_DIAG_STATEMENT_POSITION);
    if (a->outcome != POSTGRES_DONE) return;
    a->outcome = POSTGRES_ERROR;
    e->statement = statement;
    e->position = position ? (uint32_t)strtoul(position, NULL, 10) : 0;
    put(e->state, sizeof e->state, r, PG_DIAG_SQLSTATE);
    put(e->message, sizeof e->message, r, PG_DIAG_MESSAGE_PRIMARY);
    put(e->detail, sizeof e->detail, r, PG_DIAG_MESSAGE_DETAIL);
    put(e->hint, sizeof e->hint, r, PG_DIAG_MESSAGE_HINT);
    put(e->schema, sizeof e->schema, r, PG_DIAG_SCHEMA_NAME);
    put(e->table, sizeof e->table, r, PG_DIAG_TABLE_NAME);
    put(e->column, sizeof e->column, r, PG_DIAG_COLUMN_NAME);
    put(e->constraint, sizeof e->constraint, r, PG_DIAG_CONSTRAINT_NAME);
}

void postgres_answer_refuse(struct postgres_answer *a, uint32_t statement, const char *state, const char *why) {
    if (a->outcome != POSTGRES_DONE) return;
    postgres_answer_fail(a, POSTGRES_ERROR, why);
    a->error.statement = statement;
    snprintf(a->error.state, sizeof a->error.state, "%s", state);
}

void postgres_answer_fail(struct postgres_answer *a, enum postgres_outcome outcome, const char *why) {
    a->outcome = outcome;
    a->error = (struct postgres_error){0};
    snprintf(a->error.message, sizeof a->error.message, "%s", why);
}

enum postgres_outcome postgres_outcome(const struct postgres_answer *a) { return a->outcome; }
const struct postgres_error *postgres_error(const struct postgres_answer *a) { return &a->error; }

static const PGresult *result_of(const struct postgres_answer *a, uint32_t statement) {
    return statement < a->count ? a->results[statement] : NULL;
}

uint32_t postgres_rows(const struct postgres_answer *a, uint32_t statement) {
    const PGresult *r = result_of(a, statement);
    return r ? (uint32_t)PQntuples(r) : 0;
}

uint64_t postgres_affected(const struct postgres_answer *a, uint32_t statement) {
    const PGresult *r = result_of(a, statement);
    return r ? strtoull(PQcmdTuples((PGresult *)(uintptr_t)r), NULL, 10) : 0;
}

str postgres_value(const struct postgres_answer *a, uint32_t statement, uint32_t row, uint32_t column, bool *null) {
    const PGresult *r = result_of(a, statement);
    bool there = r && row < (uint32_t)PQntuples(r) && column < (uint32_t)PQnfields(r) && !PQgetisnull(r, (int)row, (int)column);
    if (null) *null = !there;
    return there ? (str){(const uint8_t *)PQgetvalue(r, (int)row, (int)column), (size_t)PQgetlength(r, (int)row, (int)column)}
                 : (str){0};
}
