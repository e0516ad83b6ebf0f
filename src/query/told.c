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

static bool is_lines(const struct query *q) {
    return q->form == QUERY_FORM_CSV || q->form == QUERY_FORM_BARE || q->form == QUERY_FORM_PLAN;
}

void query_put_told(const struct query *q, uint64_t before, str row, struct buf *to) {
    if (is_lines(q)) {
        bool csv = q->form == QUERY_FORM_CSV;
        if (csv && !before) query_put_names(&q->select, to);
        if (csv || before) buf_putc(to, '\n');
    } else if (before) buf_putc(to, ',');
    else buf_puts(to, q->form == QUERY_FORM_GEOJSON ? STR("{\"type\":\"FeatureCollection\",\"features\":[") : STR("["));
    buf_puts(to, row);
}

void query_put_told_end(const struct query *q, uint64_t rows, struct buf *to) {
    if (q->form == QUERY_FORM_CSV && !rows) buf_putc(to, '\n');
    if (is_lines(q)) return;
    bool features = q->form == QUERY_FORM_GEOJSON;
    if (!rows) buf_puts(to, features ? STR("{\"type\":\"FeatureCollection\",\"features\":[") : STR("["));
    buf_puts(to, features ? STR("]}") : STR("]"));
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
    if (q->form == QUERY_FORM_FOLDED) {
        buf_puts(&r->body, value_at(p, 0, 0));
        return;
    }
    size_t bytes = 64;
    for (uint32_t i = 0; i < rows_at(p); i++) bytes += value_at(p, i, 0).n + 1;
    buf_reserve(&r->body, bytes);
    for (uint32_t i = 0; i < rows_at(p); i++) query_put_told(q, i, value_at(p, i, 0), &r->body);
    query_put_told_end(q, rows_at(p), &r->body);
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

/* ---- what stands before rows that are told as they come ---- */

void query_put_ahead(const struct query_batch *b, const struct query_text *text, const struct query_answers *a,
                     const struct query_ahead *at, uint64_t rows, struct buf *to) {
    struct query_result r = {.rows = rows, .has_body = true};
    struct query_said said = {0};
    if (!b->silent)
        said = (struct query_said){value_at((struct place){a, at->said}, 0, 0), value_at((struct place){a, at->said}, 0, 1)};
    if (at->rows) r.rows = (uint64_t)number_at((struct place){a, at->rows});
    r.total = total_of(&b->queries[0], text, (struct place){a, at->count - 1}, &r);
    query_put_head(&b->queries[0], &r, &said, to);
}

/* ---- the whole ---- */

bool query_judge_answers(const struct query_batch *b, const struct query_text *texts, const struct query_answers *a,
                         uint32_t first, struct pg_error *error) {
    struct place p = {a, first};
    for (uint32_t i = 0; i < b->count; p.statement += statements_of(&texts[i]), i++) {
        struct query_result r = counted(&b->queries[i], &texts[i], p);
        if (!query_check_result(&b->queries[i], &r)) return *error = r.error, false;
    }
    if (!b->counted || b->silent) return true;
    return query_said_ok(&(struct query_said){value_at(p, 0, 0), value_at(p, 0, 1)}, error);
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
