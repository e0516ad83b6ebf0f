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

static const struct postgres_rows *rows_of(const struct postgres_answer *a, uint32_t statement) {
    return statement < a->count ? &a->results[statement] : NULL;
}

uint32_t postgres_rows(const struct postgres_answer *a, uint32_t statement) {
    const struct postgres_rows *r = rows_of(a, statement);
    return r ? (uint32_t)PQntuples(r->raw) : 0;
}

uint64_t postgres_affected(const struct postgres_answer *a, uint32_t statement) {
    const struct postgres_rows *r = rows_of(a, statement);
    return r ? r->affected : 0;
}

str postgres_value(const struct postgres_answer *a, uint32_t statement, uint32_t row, uint32_t column, bool *null) {
    const struct postgres_rows *r = rows_of(a, statement);
    int i = (int)row, k = (int)column;
    bool there = r && row < (uint32_t)PQntuples(r->raw) && column < (uint32_t)PQnfields(r->raw) && !PQgetisnull(r->raw, i, k);
    if (null) *null = !there;
    return there ? (str){(const uint8_t *)PQgetvalue(r->raw, i, k), (size_t)PQgetlength(r->raw, i, k)} : (str){0};
}

uint32_t postgres_columns(const struct postgres_answer *a, uint32_t statement) {
    const struct postgres_rows *r = rows_of(a, statement);
    return r ? (uint32_t)PQnfields(r->raw) : 0;
}

str postgres_tag(const struct postgres_answer *a, uint32_t statement) {
    const struct postgres_rows *r = rows_of(a, statement);
    return r && r->raw ? str_c(PQcmdStatus(r->raw)) : (str){0};
}

str postgres_column(const struct postgres_answer *a, uint32_t statement, uint32_t column, uint32_t *type) {
    const struct postgres_rows *r = rows_of(a, statement);
    bool there = r && column < (uint32_t)PQnfields(r->raw);
    *type = there ? PQftype(r->raw, (int)column) : 0;
    return there ? str_c(PQfname(r->raw, (int)column)) : (str){0};
}

/* ---- as they come ---- */

enum { CELL_BYTES = 16 /* that a value takes beside its text */ };

void postgres_answer_large(struct postgres_answer *a, uint32_t statement) {
    char why[80];
    snprintf(why, sizeof why, "the answer is larger than %llu bytes", (unsigned long long)a->bytes_max);
    postgres_answer_refuse(a, statement, "54000", why);
    a->large = true;
}

bool postgres_too_large(const struct postgres_answer *a) { return a->large; }

static uint64_t bytes_of(const PGresult *r) {
    int rows = PQntuples(r), columns = PQnfields(r);
    uint64_t bytes = (uint64_t)rows * (uint64_t)columns * CELL_BYTES;
    for (int row = 0; row < rows; row++)
        for (int i = 0; i < columns; i++) bytes += (uint64_t)PQgetlength(r, row, i);
    return bytes;
}

bool postgres_answer_take(struct postgres_answer *a, uint32_t statement, PGresult *r) {
    struct postgres_rows *rows = &a->results[statement];
    PQclear(rows->raw);
    rows->raw = r;
    rows->affected = strtoull(PQcmdTuples(r), NULL, 10);
    a->bytes += bytes_of(r);
    if (!a->bytes_max || a->bytes <= a->bytes_max) return true;
    postgres_answer_large(a, statement);
    return false;
}

struct postgres_answer *postgres_answer_keep(const struct postgres_answer *a) {
    struct postgres_answer *kept = malloc(sizeof *kept);
    ENSURE(kept);
    *kept = *a;
    kept->results = calloc(a->count + 1, sizeof *kept->results);
    ENSURE(kept->results);
    for (uint32_t i = 0; i < a->count; i++) kept->results[i] = a->results[i], a->results[i].raw = NULL;
    return kept;
}

void postgres_answer_let_go(struct postgres_answer *a) {
    if (!a) return;
    postgres_answer_free(a);
    free(a->results);
    free(a);
}

void postgres_answer_free(struct postgres_answer *a) {
    for (uint32_t i = 0; i < a->count; i++) PQclear(a->results[i].raw);
}
