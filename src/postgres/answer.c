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
    return r ? r->rows : 0;
}

uint64_t postgres_affected(const struct postgres_answer *a, uint32_t statement) {
    const struct postgres_rows *r = rows_of(a, statement);
    return r ? r->affected : 0;
}

str postgres_value(const struct postgres_answer *a, uint32_t statement, uint32_t row, uint32_t column, bool *null) {
    const struct postgres_rows *r = rows_of(a, statement);
    const struct postgres_cell *c =
        r && row < r->rows && column < r->columns ? &r->cells[(size_t)row * r->columns + column] : NULL;
    bool there = c && c->n != UINT32_MAX;
    if (null) *null = !there;
    return there ? (str){r->text.p + c->at, c->n} : (str){0};
}

uint32_t postgres_columns(const struct postgres_answer *a, uint32_t statement) {
    const struct postgres_rows *r = rows_of(a, statement);
    return r ? r->named : 0;
}

str postgres_tag(const struct postgres_answer *a, uint32_t statement) {
    const struct postgres_rows *r = rows_of(a, statement);
    return r ? str_c(r->tag) : (str){0};
}

str postgres_column(const struct postgres_answer *a, uint32_t statement, uint32_t column, uint32_t *type) {
    const struct postgres_rows *r = rows_of(a, statement);
    str name = {0};
    *type = 0;
    if (!r || column >= r->named) return name;
    struct rd from = rd_of(buf_str(&r->names));
    for (uint32_t i = 0; i <= column; i++) {
        *type = rd_u32le(&from);
        name = rd_bytes(&from, rd_u32le(&from));
    }
    return name;
}

static void put_names(struct postgres_rows *rows, const PGresult *r) {
    for (int i = 0; i < PQnfields(r); i++) {
        str name = str_c(PQfname(r, i));
        uint32_t type = PQftype(r, i), n = (uint32_t)name.n;
        buf_put(&rows->names, &type, sizeof type), buf_put(&rows->names, &n, sizeof n);
        buf_puts(&rows->names, name);
    }
    rows->named = (uint32_t)MAX(PQnfields(r), 0);
}

/* ---- rows, as they come ---- */

enum { CELL_BYTES = 16 /* that a value takes beside its text */ };

void postgres_answer_large(struct postgres_answer *a, uint32_t statement) {
    char why[80];
    snprintf(why, sizeof why, "the answer is larger than %llu bytes", (unsigned long long)a->bytes_max);
    postgres_answer_refuse(a, statement, "54000", why);
}

static void put_cell(struct postgres_rows *rows, struct postgres_cell cell) {
    if (rows->count == rows->cap) {
        rows->cap = rows->cap ? 2 * rows->cap : 16;
        rows->cells = realloc(rows->cells, rows->cap * sizeof *rows->cells);
        ENSURE(rows->cells);
    }
    rows->cells[rows->count++] = cell;
}

bool postgres_answer_row(struct postgres_answer *a, uint32_t statement, const PGresult *r, int row) {
    struct postgres_rows *rows = &a->results[statement];
    int columns = PQnfields(r);
    for (int i = 0; i < columns; i++) a->bytes += (uint64_t)PQgetlength(r, row, i) + CELL_BYTES;
    if ((a->bytes_max && a->bytes > a->bytes_max) || rows->text.n + a->bytes > INT32_MAX) {
        postgres_answer_large(a, statement);
        return false;
    }
    rows->columns = (uint32_t)columns;
    for (int i = 0; i < columns; i++) {
        str text = {(const uint8_t *)PQgetvalue(r, row, i), (size_t)PQgetlength(r, row, i)};
        put_cell(rows, PQgetisnull(r, row, i) ? (struct postgres_cell){0, UINT32_MAX}
                                              : (struct postgres_cell){(uint32_t)rows->text.n, (uint32_t)text.n});
        buf_puts(&rows->text, text);
    }
    rows->rows++;
    return true;
}

void postgres_answer_end(struct postgres_answer *a, uint32_t statement, PGresult *r) {
    struct postgres_rows *rows = &a->results[statement];
    rows->affected = strtoull(PQcmdTuples(r), NULL, 10);
    if (a->wants_names && !rows->named) put_names(rows, r);
    if (a->wants_names) snprintf(rows->tag, sizeof rows->tag, "%s", PQcmdStatus(r));
}

void postgres_answer_free(struct postgres_answer *a) {
    for (uint32_t i = 0; i < a->count; i++) {
        buf_free(&a->results[i].text);
        buf_free(&a->results[i].names);
        free(a->results[i].cells);
    }
}
