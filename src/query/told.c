/* told: what PostgreSQL gave for a batch's statements, as results: bodies in their form, rows, totals; and whether it may be committed.
 *
 *   settings [before] | tree [count] [planned] | … | said
 */
#include "query/query_int.h"

struct place {
    const struct query_answers *a;
    uint32_t statement;
};

static str value_at(struct place p, uint32_t row, uint32_t column) { return p.a->value(p.a->arg, p.statement, row, column); }
static uint32_t rows_at(struct place p) { return p.a->rows(p.a->arg, p.statement); }

static uint32_t statements_of(const struct query_text *t) { return 1u + (t->count.n > 0) + (t->planned.n > 0); }

static int64_t number_at(struct place p) {
    str s = value_at(p, 0, 0);
    bool minus = s.n && s.p[0] == '-';
    uint64_t v = 0;
    return str_to_u64(str_sub(s, minus, s.n), &v) && v <= INT64_MAX ? minus ? -(int64_t)v : (int64_t)v : 0;
}

/* "Plan Rows" of EXPLAIN's JSON; -1: it says nothing of that. */
static int64_t planned_rows(str explained) {
    static const str key = STR_INIT("\"Plan Rows\":");
    uint64_t rows = 0;
    size_t at = 0, n = 0;
    while (at + key.n <= explained.n && memcmp(explained.p + at, key.p, key.n) != 0) at++;
    str digits = str_trim(str_sub(explained, at + key.n, explained.n));
    while (n < digits.n && digits.p[n] >= '0' && digits.p[n] <= '9') n++;
    return n && str_to_u64(str_sub(digits, 0, n), &rows) && rows <= INT64_MAX ? (int64_t)rows : -1;
}

/* ---- bodies ---- */

static void take_list(const struct query *q, struct place p, struct query_result *r) {
    bool features = q->form == QUERY_FORM_GEOJSON;
    buf_puts(&r->body, features ? STR("{\"type\":\"FeatureCollection\",\"features\":[") : STR("["));
    for (uint32_t i = 0; i < rows_at(p); i++) {
        if (i) buf_putc(&r->body, ',');
        buf_puts(&r->body, value_at(p, i, 0));
    }
    buf_puts(&r->body, features ? STR("]}") : STR("]"));
}

static void take_lines(const struct query *q, struct place p, struct query_result *r) {
    bool csv = q->form == QUERY_FORM_CSV;
    if (csv && rows_at(p)) query_put_names(&q->select, &r->body);
    if (csv && !rows_at(p)) buf_putc(&r->body, '\n');
    for (uint32_t i = 0; i < rows_at(p); i++) {
        if (csv || i) buf_putc(&r->body, '\n');
        buf_puts(&r->body, value_at(p, i, 0));
    }
}

/* How many rows there are, in the body and of those that were written. */
static struct query_result counted(const struct query *q, const struct query_text *t, struct place p) {
    struct query_result r = {.rows = rows_at(p), .total = -1, .has_body = t->answers};
    uint64_t folded = 0;
    bool folds = q->form == QUERY_FORM_FOLDED && r.rows && t->answers;
    if (folds && str_to_u64(value_at(p, 0, 1), &folded)) r.rows = folded;
    if (query_writes(q) && q->kind != QUERY_CALL) r.affected = folds ? folded : p.a->affected(p.a->arg, p.statement);
    return r;
}

static void take_body(const struct query *q, struct place p, struct query_result *r) {
    switch (q->form) {
    case QUERY_FORM_FOLDED: buf_puts(&r->body, value_at(p, 0, 0)); return;
    case QUERY_FORM_CSV:
    case QUERY_FORM_BARE:
    case QUERY_FORM_PLAN: take_lines(q, p, r); return;
    default: take_list(q, p, r);
    }
}

/* ---- totals ---- */

static int64_t total_of(const struct query *q, const struct query_text *t, struct place p, const struct query_result *r) {
    bool writes = query_writes(q) && q->kind != QUERY_CALL;
    int64_t exact = -1, planned = -1;
    if (t->count.n) p.statement++, exact = number_at(p);
    if (t->planned.n) p.statement++, planned = planned_rows(value_at(p, 0, 0));
    if (!q->count || (q->kind == QUERY_CALL && q->count == QUERY_COUNT_PLANNED)) return -1;
    if (!t->count.n && !t->planned.n) return (int64_t)(writes ? r->affected : r->rows);
    if (!t->count.n) return planned;
    return t->planned.n && exact > q->count_most ? MAX(exact, planned) : exact;
}

/* ---- the whole ---- */

bool query_judge_answers(const struct query_batch *b, const struct query_text *texts, const struct query_answers *a,
                         uint32_t first, struct pg_error *error) {
    struct place p = {a, first};
    for (uint32_t i = 0; i < b->count; p.statement += statements_of(&texts[i]), i++) {
        struct query_result r = counted(&b->queries[i], &texts[i], p);
        if (!query_check_result(&b->queries[i], &r)) return *error = r.error, false;
    }
    return true;
}

bool query_take_answers(const struct query_batch *b, const struct query_text *texts, const struct query_answers *a,
                        uint32_t first, struct query_result *results, struct query_said *said, struct pg_error *error) {
    struct place p = {a, first};
    for (uint32_t i = 0; i < b->count; p.statement += statements_of(&texts[i]), i++) {
        const struct query *q = &b->queries[i];
        struct query_result *r = &results[i];
        *r = counted(q, &texts[i], p);
        if (texts[i].answers) take_body(q, p, r);
        r->total = total_of(q, &texts[i], p, r);
        for (uint32_t row = 0; texts[i].updates && row < rows_at(p); row++) r->updated += str_eqc(value_at(p, row, 1), "t");
        if (!query_take_result(q, r) && !error->set) *error = r->error;
    }
    *said = (struct query_said){0};
    if (b->counted && !b->silent) *said = (struct query_said){value_at(p, 0, 0), value_at(p, 0, 1)};
    return !error->set;
}
