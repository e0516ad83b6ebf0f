/* rest_fuzz: any bytes as a request: a line of method and path, fields, an empty line, a body. It is refused with a code and a sentence, or becomes a tree that
 * is read again as the same; and an answer to it has a status, fields that HTTP can carry, and a body that is what it says. The canary says that a refusal
 * has no sentence. */
#include "base/fuzz.h"
#include "rest/rest.h"

static void check_field(str value) {
    for (size_t i = 0; i < value.n; i++) ENSURE(value.p[i] != '\n' && value.p[i] != '\r');
}

static void check_answer(arena *a, const struct rest_plan *plan, str body) {
    struct rest_response r;
    struct query_json v;
    struct pg_error error = {0};
    if (!query_json_read(a, body, &v, &error)) body = STR("[{\"a\":null}]");
    rest_answer(a, plan, &(struct query_head){.rows = 1, .affected = 1, .total = 7, .flags = QUERY_HEAD_BODY}, body, &r);
    ENSURE(r.status >= 200 && r.status < 600 && r.fields_count <= REST_FIELDS_MAX);
    for (uint32_t i = 0; i < r.fields_count; i++)
        if (!str_eqc(r.fields[i].name, "Preference-Applied") && !str_eqc(r.fields[i].name, "Content-Profile"))
            check_field(r.fields[i].value);
}

static void check_plan(arena *a, const struct rest_plan *plan) {
    struct buf b = {0}, again = {0};
    struct query_batch read;
    struct pg_error error = {0};
    struct query_batch made = plan->batch;
    bool stands = query_stands(&made);
    query_put_batch(&b, &plan->batch);
    ENSURE(!stands || b.n <= QUERY_BYTES_MAX);
    if (b.n <= QUERY_BYTES_MAX) {
        bool ok = query_read_batch(a, buf_str(&b), &read, &error);
        ENSURE(ok || (!stands && error.state[0] == '5')); /* too large or too deep */
        if (!error.set) {
            query_put_batch(&again, &read);
            ENSURE(again.n == b.n && !memcmp(again.p, b.p, b.n));
        }
    }
    buf_free(&b), buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const str schemas[] = {STR_INIT("public"), STR_INIT("other")};
    const struct rest_options o = {.schemas = schemas, .schemas_count = 2, .undo = true, .aggregates = true, .rows_max = 100};
    arena *a = arena_new(0);
    struct rest_field fields[8] = {0};
    struct rest_request rq = {.fields = fields};
    struct rest_plan plan;
    struct pg_error error = {0};
    str left = {data, size}, line, target;
    str_cut(left, '\n', &line, &left);
    str_cut(line, ' ', &rq.method, &target);
    str_cut(target, '?', &rq.path, &rq.query);
    while (left.n && rq.fields_count < ARRAY_COUNT(fields)) {
        str_cut(left, '\n', &line, &left);
        if (!line.n) break;
        str_cut(line, ':', &fields[rq.fields_count].name, &fields[rq.fields_count].value);
        fields[rq.fields_count].value = str_trim(fields[rq.fields_count].value);
        rq.fields_count++;
    }
    rq.body = left;
    if (rest_plan_of(a, &o, &rq, &plan, &error)) {
        ENSURE(!error.set);
        check_plan(a, &plan);
        check_answer(a, &plan, rq.body);
    } else {
        struct rest_response r;
        if (canary) error.message[0] = 0;
        ENSURE(error.set && error.state[0] && error.message[0]);
        rest_refuse(a, &error, true, &r);
        ENSURE(r.status >= 300 && r.body.n);
    }
    arena_free(a);
    return 0;
}
