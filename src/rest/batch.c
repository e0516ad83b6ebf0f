/* batch: several requests as one, in one transaction: all of them, or none.
 *
 *   POST /rest/v1/-/batch   [{"method": "POST", "path": "/books?select=id", "headers": {"Prefer": "return=representation"}, "body": [{…}]}, …]
 *   200                     [{"status": 201, "headers": {"Content-Range": "*" "/" "*", …}, "body": [{"id": 7}]}, …]
 *
 * 1. Each is what it would be by itself, with its own preferences and media types; who asks is who asks for all. What one of them says of the transaction
 *    (tx, timezone) is said by the whole: in its Prefer.
 * 2. The first one that fails is the answer, with its place: "request", from 0. Nothing was done.
 * 3. A body that is no JSON is text, and bytes are base64: {"status", "headers", "base64"}.
 */
#include "rest/rest_int.h"

bool rest_is_batch(const struct rest_request *rq) {
    return str_eqc(rq->path, "/-/batch") && (str_eqc(rq->method, "POST") || str_eqc(rq->method, "OPTIONS"));
}

static bool wrong(struct pg_error *e, const char *what) {
    rest_fail(e, "PGRST102", "A batch is an array of requests: {\"method\", \"path\", \"headers\", \"body\"}");
    return rest_fail_detail(e, "%s", what), false;
}

static str text_of(const struct query_json *v, const char *key, str otherwise) {
    const struct query_json *m = query_json_get(v, key);
    return m && m->kind == JSON_KIND_STR ? m->s : otherwise;
}

/* Members that are texts. */
static bool fields_of(arena *out, const struct query_json *v, struct rest_request *rq, struct pg_error *e) {
    const struct query_json *h = query_json_get(v, "headers");
    if (!h) return true;
    if (h->kind != JSON_KIND_OBJECT || h->n > REST_BATCH_FIELDS_MAX) return wrong(e, "headers are an object of texts");
    struct rest_field *fields = arena_array(out, struct rest_field, h->n + 1);
    for (uint32_t i = 0; i < h->n; i++) {
        if (h->members[i].v.kind != JSON_KIND_STR) return wrong(e, "headers are an object of texts");
        fields[i] = (struct rest_field){h->members[i].key, h->members[i].v.s};
    }
    rq->fields = fields;
    rq->fields_count = h->n;
    return true;
}

static bool request_of(arena *out, const struct query_json *v, struct rest_request *rq, struct pg_error *e) {
    static const char *const known[] = {"method", "path", "headers", "body"};
    if (v->kind != JSON_KIND_OBJECT) return wrong(e, "a request is an object");
    for (uint32_t i = 0; i < v->n; i++) {
        bool found = false;
        for (size_t k = 0; k < ARRAY_COUNT(known); k++) found |= str_eqc(v->members[i].key, known[k]);
        if (!found) return wrong(e, "a request has a member that is not understood");
    }
    const struct query_json *body = query_json_get(v, "body");
    str path = text_of(v, "path", (str){0});
    if (!path.n) return wrong(e, "a request has no path");
    size_t at = str_find(path, '?');
    *rq = (struct rest_request){
        .method = text_of(v, "method", STR("GET")), .path = str_sub(path, 0, at), .query = str_sub(path, at + 1, path.n)};
    if (body && body->kind != JSON_KIND_NULL) rq->body = body->kind == JSON_KIND_STR ? body->s : body->raw;
    return fields_of(out, v, rq, e);
}

static bool plan_one(arena *out, const struct rest_options *o, const struct query_json *v, struct rest_plan *plan,
                     struct pg_error *e) {
    struct rest_request rq;
    if (!request_of(out, v, &rq, e) || !rest_plan_one(out, o, &rq, plan, e)) return false;
    if (plan->action == REST_DESCRIBE || plan->action == REST_ALLOW)
        return wrong(e, "a request of a batch reads, writes or calls");
    if (plan->batch.rollback || plan->batch.time_zone.n)
        return wrong(e, "tx and timezone are preferred by the batch, and not by one of its requests");
    return true;
}

bool rest_batch_of(arena *out, const struct rest_options *o, const struct rest_request *rq, struct rest_plan *plan,
                   struct pg_error *error) {
    struct query_json *v = arena_make(out, struct query_json);
    struct pg_error unread = {0};
    *plan = (struct rest_plan){.action = REST_BATCH};
    if (!str_eqc(rq->method, "POST")) return rest_fail(error, "PGRST117", "Unsupported HTTP method: a batch is a POST");
    if (!rest_prefer_of(out, rq, o->undo, &plan->prefer, error)) return false;
    if (!query_json_read(out, rq->body, v, &unread)) return rest_fail(error, "PGRST102", "Empty or invalid json");
    if (v->kind != JSON_KIND_ARRAY || !v->n) return wrong(error, "it is no array, or has none");
    if (v->n > REST_BATCH_MAX) return rest_fail(error, "PGRST102", "A batch has at most %d requests", REST_BATCH_MAX);
    plan->parts = arena_array(out, struct rest_plan, v->n);
    plan->parts_count = v->n;
    struct query *queries = arena_array(out, struct query, v->n);
    for (uint32_t i = 0; i < v->n; i++) {
        if (!plan_one(out, o, &v->items[i], &plan->parts[i], error)) return error->place = i + 1, false;
        queries[i] = plan->parts[i].batch.queries[0];
    }
    plan->batch = (struct query_batch){.queries = queries,
                                       .count = v->n,
                                       .many = true,
                                       .counted = true,
                                       .rollback = plan->prefer.tx == REST_ROLLBACK,
                                       .time_zone = plan->prefer.time_zone};
    return true;
}

/* ---- the answer ---- */

static void put_base64(struct buf *to, str s) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < s.n; i += 3) {
        uint32_t n = (uint32_t)s.p[i] << 16 | (i + 1 < s.n ? (uint32_t)s.p[i + 1] << 8 : 0) | (i + 2 < s.n ? s.p[i + 2] : 0u);
        buf_putc(to, (uint8_t)digits[n >> 18]);
        buf_putc(to, (uint8_t)digits[n >> 12 & 63]);
        buf_putc(to, i + 1 < s.n ? (uint8_t)digits[n >> 6 & 63] : '=');
        buf_putc(to, i + 2 < s.n ? (uint8_t)digits[n & 63] : '=');
    }
}

static bool is_json(const struct rest_response *r) {
    for (uint32_t i = 0; i < r->fields_count; i++) {
        str type = str_sub(r->fields[i].value, 0, str_find(r->fields[i].value, ';'));
        if (str_eq_nocase(r->fields[i].name, STR("content-type")))
            return str_ends(type, STR("/json")) || str_ends(type, STR("+json"));
    }
    return false;
}

static void put_response(struct json_writer *w, arena *out, const struct rest_response *r) {
    json_put_object(w, NULL);
    json_put_u64(w, "status", r->status);
    json_put_object(w, "headers");
    for (uint32_t i = 0; i < r->fields_count; i++) json_put_str(w, arena_cstr(out, r->fields[i].name), r->fields[i].value);
    json_put_end(w);
    if (r->body.n && is_json(r)) json_put_raw(w, "body", r->body);
    else if (r->body.n && str_is_utf8(r->body)) json_put_str(w, "body", r->body);
    else if (r->body.n) {
        struct buf b = {0};
        put_base64(&b, r->body);
        json_put_str(w, "base64", buf_str(&b));
        buf_free(&b);
    }
    json_put_end(w);
}

bool rest_batch_answer(arena *out, const struct rest_plan *plan, str answers, struct query_said *said, str *body) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    bool ok = true;
    json_put_array(&w, NULL);
    for (uint32_t i = 0; i < plan->parts_count && ok; i++) {
        struct query_head head;
        struct rest_response r;
        str one, rows;
        ok = query_answer_next(&answers, &one) && query_head_of(out, one, &head, &rows);
        if (!ok) break;
        if (!i) *said = head.said;
        head.said = (struct query_said){0};
        rest_answer(out, &plan->parts[i], &head, rows, &r);
        put_response(&w, out, &r);
    }
    json_put_end(&w);
    *body = arena_str(out, buf_str(&b));
    buf_free(&b);
    return ok;
}
