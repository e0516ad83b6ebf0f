/* answer: what came of a plan, as PostgREST says it: status, Content-Range, Location, Preference-Applied, Content-Profile, the body in the form that was
 * accepted; and what went wrong.
 *
 *   read, call   200, 206 where not all of a known number is there, 416 behind it; void 204
 *   create       201; 200 where rows were merged and none was new         put   201, 200; 204 without a body
 *   update, delete   200 with rows, 204 without
 */
#include "rest/rest_int.h"
#include <stdio.h>
#include <stdlib.h>

static void add(struct rest_response *r, const char *name, str value) {
    ENSURE(r->fields_count < REST_FIELDS_MAX);
    r->fields[r->fields_count++] = (struct rest_field){str_c(name), value};
}

static const str vary = STR_INIT("Accept, Prefer, Range");

/* ---- errors ---- */

static uint16_t own_status(const char *state) { /* PT404 */
    char *end;
    long v = strtol(state + 2, &end, 10);
    return *end || v < 200 || v > 599 ? 500 : (uint16_t)v;
}

uint16_t rest_status_of(const struct pg_error *e, bool nobody) {
    static const struct {
        const char *state;
        uint16_t status;
    } rows[] = {
#define X(state, status) {state, status},
#include "rest/status.def"
#undef X
    };
    str message = str_c(e->message), state = str_c(e->state);
    size_t i = 0;
    if (str_starts(state, STR("PT"))) return own_status(e->state);
    if (!strcmp(e->state, "42501") && nobody) return 401;
    if (!strcmp(e->state, "21000") && str_ends(message, STR("requires a WHERE clause"))) return 400;
    if (!strcmp(e->state, "22023") && str_starts(message, STR("role")) && str_ends(message, STR("does not exist"))) return 401;
    while (!str_starts(state, str_c(rows[i].state))) i++;
    return rows[i].status;
}

static void put_or_null(struct json_writer *w, const char *key, const char *text) {
    if (text[0]) json_put_cstr(w, key, text);
    else json_put_null(w, key);
}

static str error_body(arena *out, const struct pg_error *e, bool terse) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    json_put_object(&w, NULL);
    json_put_cstr(&w, "code", e->state);
    json_put_cstr(&w, "message", e->message);
    if (terse) {
    } else if (!strcmp(e->state, "PGRST201") && e->detail[0] == '[') json_put_raw(&w, "details", str_c(e->detail));
    else put_or_null(&w, "details", e->detail);
    if (!terse) put_or_null(&w, "hint", e->hint);
    if (e->place) json_put_u64(&w, "request", e->place - 1);
    json_put_end(&w);
    str s = arena_str(out, buf_str(&b));
    buf_free(&b);
    return s;
}

/* Which fields frame the message is for whoever sends it. */
static bool is_framing(str name) {
    static const char *const names[] = {"connection", "content-length",    "keep-alive", "te",
                                        "trailer",    "transfer-encoding", "upgrade"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (str_eq_nocase(name, str_c(names[i]))) return true;
    return false;
}

static bool is_token(str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 127 || strchr("()<>@,;:\\\"/[]?={}", s.p[i])) return false;
    return s.n;
}

/* Bytes that end a field's value are none of a field. */
static bool is_field_value(str s) {
    for (size_t i = 0; i < s.n; i++)
        if ((s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 127) return false;
    return true;
}

/* ---- raise sqlstate 'PGRST': a function says the whole answer, its error in the message and how it is told in the detail ---- */

static bool raise_unread(struct pg_error *e, const char *detail, const char *text, const char *hint) {
    *e = (struct pg_error){0};
    rest_fail(e, "PGRST121", "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error");
    rest_fail_detail(e, detail, text);
    rest_fail_hint(e, "%s", hint);
    return false;
}

static const struct query_json *member(const struct query_json *v, const char *key, enum json_kind kind) {
    const struct query_json *m = query_json_get(v, key);
    return m && m->kind == kind ? m : NULL;
}

static void put_member(struct json_writer *w, const char *key, const struct query_json *v) {
    const struct query_json *m = member(v, key, JSON_KIND_STR);
    if (m) json_put_str(w, key, m->s);
    else json_put_null(w, key);
}

static void raised_fields(arena *out, const struct query_json *headers, struct rest_response *r) {
    uint32_t ours = r->fields_count;
    for (uint32_t i = 0; i < headers->n && r->fields_count + 1 < REST_FIELDS_MAX; i++) {
        const struct query_json_member *h = &headers->members[i];
        if (h->v.kind != JSON_KIND_STR || !is_token(h->key) || is_framing(h->key) || !is_field_value(h->v.s)) continue;
        bool there = false; /* one of ours: theirs is in its place */
        for (uint32_t k = 0; k < ours; k++) {
            if (!str_eq_nocase(r->fields[k].name, h->key)) continue;
            r->fields[k].value = h->v.s;
            there = true;
        }
        if (!there) add(r, arena_cstr(out, h->key), h->v.s);
    }
}

/* False: *e says what is wrong with it. */
static bool answer_raised(arena *out, struct pg_error *e, struct rest_response *r) {
    static const char
        *const message_hint = "MESSAGE must be a JSON object with obligatory keys: 'code', 'message' and optional keys: "
                              "'details', 'hint'.",
               *const detail_hint =
                   "DETAIL must be a JSON object with obligatory keys: 'status', 'headers' and optional key: 'status_text'.";
    struct query_json said, how;
    struct pg_error ignored = {0};
    char *text = arena_cstr(out, str_c(e->message)), *detail = arena_cstr(out, str_c(e->detail));
    if (!query_json_read(out, str_c(text), &said, &ignored) || said.kind != JSON_KIND_OBJECT ||
        !member(&said, "code", JSON_KIND_STR) || !member(&said, "message", JSON_KIND_STR))
        return raise_unread(e, "Invalid JSON value for MESSAGE: '%s'", text, message_hint);
    if (!detail[0]) return raise_unread(e, "%s", "DETAIL is missing in the RAISE statement", detail_hint);
    ignored = (struct pg_error){0};
    if (!query_json_read(out, str_c(detail), &how, &ignored) || how.kind != JSON_KIND_OBJECT ||
        !member(&how, "status", JSON_KIND_F64) || !member(&how, "headers", JSON_KIND_OBJECT))
        return raise_unread(e, "Invalid JSON value for DETAIL: '%s'", detail, detail_hint);
    uint64_t status;
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    if (!str_to_u64(member(&how, "status", JSON_KIND_F64)->raw, &status) || status < 200 || status > 599) status = 500;
    json_put_object(&w, NULL);
    put_member(&w, "code", &said);
    put_member(&w, "message", &said);
    put_member(&w, "details", &said);
    put_member(&w, "hint", &said);
    json_put_end(&w);
    *r = (struct rest_response){.status = (uint16_t)status, .has_body = true, .body = arena_str(out, buf_str(&b))};
    buf_free(&b);
    str code = member(&said, "code", JSON_KIND_STR)->s;
    add(r, "Content-Type", STR("application/json; charset=utf-8"));
    if (is_field_value(code)) add(r, "Proxy-Status", arena_fmt(out, "PostgREST; error=" STR_FMT, STR_ARG(code)));
    add(r, "Vary", vary);
    raised_fields(out, member(&how, "headers", JSON_KIND_OBJECT), r);
    return true;
}

/* Whoever shows a token that is none is told what is wrong with it. */
static str challenge(arena *out, const struct pg_error *e) {
    bool shown = !strcmp(e->state, "PGRST301") || !strcmp(e->state, "PGRST303");
    return shown ? arena_fmt(out, "Bearer error=\"invalid_token\", error_description=\"%s\"", e->message) : STR("Bearer");
}

void rest_refuse(arena *out, const struct pg_error *e, uint32_t how, struct rest_response *r) {
    struct pg_error own = *e;
    if (!strcmp(e->state, "PGRST") && answer_raised(out, &own, r)) return;
    e = &own;
    *r = (struct rest_response){.status = rest_status_of(e, how & REST_NOBODY), .has_body = true};
    r->body = error_body(out, e, how & REST_TERSE);
    add(r, "Content-Type", STR("application/json; charset=utf-8"));
    add(r, "Proxy-Status", arena_fmt(out, "PostgREST; error=%s", e->state));
    if (r->status == 401) add(r, "WWW-Authenticate", challenge(out, e));
    if (r->status == 503) add(r, "Retry-After", STR("1"));
    add(r, "Vary", vary);
}

/* ---- fields ---- */

static str applied(arena *out, const struct rest_plan *plan, const struct query_head *head) {
    const struct rest_prefer *p = &plan->prefer;
    struct rest_prefer heeded = *p;
    enum rest_action a = plan->action;
    struct buf b = {0};
    bool writes = a >= REST_CREATE && a <= REST_DELETE;
    if (a != REST_CREATE || !(head->flags & QUERY_HEAD_RESOLVED)) heeded.resolution = 0;
    if (!writes) heeded.returns = 0;
    if (a != REST_CREATE && a != REST_UPDATE) heeded.missing = 0;
#define P(member, named, ...)                                                                                                    \
    if (heeded.member) {                                                                                                         \
        static const char *const words[] = {__VA_ARGS__};                                                                        \
        buf_printf(&b, "%s%s=%s", b.n ? ", " : "", named, words[heeded.member - 1]);                                             \
    }
#include "rest/prefer.def"
#undef P
    if (p->time_zone.n) buf_printf(&b, "%stimezone=" STR_FMT, b.n ? ", " : "", STR_ARG(p->time_zone));
    if (p->max_affected.n && p->handling == REST_STRICT && (a == REST_UPDATE || a == REST_DELETE || a == REST_CALL))
        buf_printf(&b, "%smax-affected=" STR_FMT, b.n ? ", " : "", STR_ARG(p->max_affected));
    str s = arena_str(out, buf_str(&b));
    buf_free(&b);
    return s;
}

static void add_applied(arena *out, const struct rest_plan *plan, const struct query_head *head, struct rest_response *r) {
    str s = applied(out, plan, head);
    if (s.n) add(r, "Preference-Applied", s);
}

/* lo-hi/total */
static str content_range(arena *out, int64_t from, int64_t to, int64_t total) {
    struct buf b = {0};
    bool none = total == 0 || from > to;
    if (none) buf_putc(&b, '*');
    else buf_i64(&b, from), buf_putc(&b, '-'), buf_i64(&b, to);
    buf_putc(&b, '/');
    if (total < 0) buf_putc(&b, '*');
    else buf_i64(&b, total);
    str s = arena_str(out, buf_str(&b));
    buf_free(&b);
    return s;
}

static bool is_utf8(str type) {
    static const char *const types[] = {
#define CHARSET(type) type,
#include "rest/media.def"
    };
    for (size_t i = 0; i < ARRAY_COUNT(types); i++)
        if (str_eq_nocase(type, str_c(types[i]))) return true;
    return false;
}

/* type empty: JSON. */
static void add_type(arena *out, const struct rest_plan *plan, str type, struct rest_response *r) {
    if (!type.n) type = STR("application/json");
    if (str_eqc(type, "application/json")) add(r, "Content-Type", STR("application/json; charset=utf-8"));
    else add(r, "Content-Type", is_utf8(type) ? arena_fmt(out, STR_FMT "; charset=utf-8", STR_ARG(type)) : type);
    if (plan->negotiated) add(r, "Content-Profile", plan->schema);
}

/* ---- bodies ---- */

static uint8_t digit_of(uint8_t c) { return (uint8_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10) & 15; }

static str bytes_of(arena *out, str hex) {
    uint8_t *p = arena_alloc(out, hex.n / 2 + 1, 1);
    for (size_t i = 0; i + 1 < hex.n; i += 2) p[i / 2] = (uint8_t)(digit_of(hex.p[i]) << 4 | digit_of(hex.p[i + 1]));
    return (str){p, hex.n / 2};
}

/* body: a list of rows, or a value; or what is sent as it is. */
static str in_form(arena *out, const struct query_head *head, str body) {
    if (!(head->flags & QUERY_HEAD_BODY)) return (str){0};
    if (head->flags & QUERY_HEAD_HEX) return bytes_of(out, body);
    bool object = str_starts(head->media, STR("application/vnd.pgrst.object+json"));
    if (object && !(head->flags & (QUERY_HEAD_VALUE | QUERY_HEAD_BARE)) && body.n >= 2) return str_sub(body, 1, body.n - 2);
    return body;
}

/* [{"id":11}] as ?id=eq.11 */
static str location(arena *out, const struct rest_plan *plan, const struct query_head *head, str body) {
    struct query_json v;
    struct pg_error error = {0};
    struct buf b = {0};
    if (head->rows != 1 || !query_json_read(out, body, &v, &error) || v.kind != JSON_KIND_ARRAY || v.n != 1 || !v.items[0].n)
        return (str){0};
    buf_putc(&b, '/');
    rest_escape(&b, plan->relation);
    for (uint32_t i = 0; i < v.items[0].n; i++) {
        const struct query_json_member *m = &v.items[0].members[i];
        buf_putc(&b, i ? '&' : '?');
        rest_escape(&b, m->key);
        if (m->v.kind == JSON_KIND_NULL) {
            buf_puts(&b, STR("=is.null"));
            continue;
        }
        buf_puts(&b, STR("=eq."));
        rest_escape(&b, m->v.kind == JSON_KIND_STR ? m->v.s : m->v.raw);
    }
    str s = arena_str(out, buf_str(&b));
    buf_free(&b);
    return s;
}

/* ---- each kind of request ---- */

static void out_of_range(arena *out, const struct rest_plan *plan, const struct query_head *head, struct rest_response *r) {
    struct pg_error e = {0};
    rest_fail(&e, "PGRST103", "Requested range not satisfiable");
    rest_fail_detail(&e, "An offset of %lld was requested, but there are only %lld rows.", (long long)plan->offset,
                     (long long)head->total);
    r->status = 416;
    r->body = error_body(out, &e, plan->terse);
}

static void answer_read(arena *out, const struct rest_plan *plan, const struct query_head *head, str body,
                        struct rest_response *r) {
    int64_t rows = (int64_t)head->rows;
    add(r, "Content-Range", content_range(out, plan->offset, plan->offset + rows - 1, head->total));
    if (plan->action == REST_READ) {
        struct buf b = {0};
        buf_putc(&b, '/');
        rest_escape(&b, plan->relation);
        add(r, "Content-Location",
            arena_fmt(out, STR_FMT "%s" STR_FMT, STR_ARG(buf_str(&b)), plan->canonical.n ? "?" : "", STR_ARG(plan->canonical)));
        buf_free(&b);
    }
    add_applied(out, plan, head, r);
    if (head->flags & QUERY_HEAD_VOID) {
        r->status = 204;
        return;
    }
    if (head->total >= 0 && plan->offset > head->total) out_of_range(out, plan, head, r);
    else {
        r->status = head->total >= 0 && rows < head->total ? 206 : 200;
        r->body = in_form(out, head, body);
    }
    r->has_body = !plan->head;
    if (plan->head) r->body = (str){0};
    add_type(out, plan, plan->root ? STR("application/openapi+json") : head->media, r);
}

static void answer_write(arena *out, const struct rest_plan *plan, const struct query_head *head, str body,
                         struct rest_response *r) {
    bool full = plan->prefer.returns == REST_FULL,
         counts = plan->prefer.count == REST_EXACT || plan->prefer.count == REST_ESTIMATED;
    int64_t n = (int64_t)(full ? head->rows : head->affected), total = counts ? n : -1;
    bool fresh = head->affected > head->updated;
    switch (plan->action) {
    case REST_CREATE: {
        str at = plan->prefer.returns == REST_HEADERS ? location(out, plan, head, body) : (str){0};
        if (at.n) add(r, "Location", at);
        add(r, "Content-Range", content_range(out, 1, 0, total));
        r->status = plan->prefer.resolution == REST_MERGE && !fresh ? 200 : 201;
        r->has_body = true;
        break;
    }
    case REST_UPDATE:
    case REST_DELETE:
        add(r, "Content-Range",
            content_range(out, plan->action == REST_UPDATE ? 0 : 1, plan->action == REST_UPDATE ? n - 1 : 0, total));
        r->status = full ? 200 : 204;
        r->has_body = full;
        break;
    default: r->status = !full ? 204 : fresh ? 201 : 200; r->has_body = full;
    }
    add_applied(out, plan, head, r);
    if (!full) return;
    r->body = in_form(out, head, body);
    add_type(out, plan, head->media, r);
}

/* ---- what there is ---- */

static void answer_allow(arena *out, const struct rest_plan *plan, str body, struct rest_response *r) {
    struct query_json v;
    struct pg_error error = {0};
    struct buf b = {0};
    r->status = 200;
    r->has_body = true;
    buf_puts(&b, STR("OPTIONS,GET,HEAD"));
    if (!query_json_read(out, body, &v, &error)) v = (struct query_json){0};
    const struct query_json *list = query_json_get(&v, plan->called ? "functions" : "tables");
    const struct query_json *of = plan->relation.n && list && list->n ? &list->items[0] : NULL;
    if (of && plan->called) {
        const struct query_json *is_volatile = query_json_get(of, "volatile");
        b.n = 0;
        buf_puts(&b, is_volatile && is_volatile->b ? STR("OPTIONS,POST") : STR("OPTIONS,GET,HEAD,POST"));
    } else if (of) {
        bool insert = query_json_get(of, "insert")->b, update = query_json_get(of, "update")->b;
        if (insert) buf_puts(&b, STR(",POST"));
        if (insert && update && query_json_get(of, "key")->b) buf_puts(&b, STR(",PUT"));
        if (update) buf_puts(&b, STR(",PATCH"));
        if (query_json_get(of, "delete")->b) buf_puts(&b, STR(",DELETE"));
    }
    add(r, "Access-Control-Allow-Origin", STR("*"));
    add(r, "Allow", arena_str(out, buf_str(&b)));
    buf_free(&b);
}

/* How it would be found, and nothing of what would. */
static void answer_plan(const struct rest_plan *plan, str body, struct rest_response *r) {
    r->body = plan->head ? (str){0} : body;
    r->has_body = !plan->head;
    add(r, "Content-Type", plan->media);
    if (plan->negotiated) add(r, "Content-Profile", plan->schema);
}

static void answer(arena *out, const struct rest_plan *plan, const struct query_head *head, str body, struct rest_response *r) {
    if (plan->media.n) {
        answer_plan(plan, body, r);
        return;
    }
    switch (plan->action) {
    case REST_READ:
    case REST_CALL: answer_read(out, plan, head, body, r); break;
    case REST_ALLOW: answer_allow(out, plan, body, r); break;
    case REST_DESCRIBE:
        r->body = plan->head ? (str){0} : rest_openapi(out, plan, body);
        r->has_body = !plan->head;
        add_type(out, plan, STR("application/openapi+json"), r);
        break;
    default: answer_write(out, plan, head, body, r);
    }
}

/* ---- what functions said of the answer ---- */

static bool bad_fields(struct pg_error *e) {
    rest_fail(e, "PGRST111",
              "response.headers guc must be a JSON array composed of objects with a single key and a string value");
    return false;
}

/* [{"name": "value"}, …]: they come before what is said else, and in its place. */
static bool take_fields(arena *out, str said, struct rest_response *r, struct pg_error *e) {
    struct query_json v;
    struct pg_error ignored = {0};
    struct rest_response own = {0};
    if (!said.n) return true;
    if (!query_json_read(out, said, &v, &ignored) || v.kind != JSON_KIND_ARRAY) return bad_fields(e);
    for (uint32_t i = 0; i < v.n; i++) {
        const struct query_json *o = &v.items[i];
        if (o->kind != JSON_KIND_OBJECT || o->n != 1 || o->members[0].v.kind != JSON_KIND_STR) return bad_fields(e);
        str name = o->members[0].key, value = o->members[0].v.s;
        if (!is_token(name) || !is_field_value(value) || own.fields_count >= REST_FIELDS_MAX - r->fields_count)
            return bad_fields(e);
        if (!is_framing(name)) own.fields[own.fields_count++] = (struct rest_field){name, value};
    }
    uint32_t theirs = own.fields_count;
    for (uint32_t i = 0; i < r->fields_count; i++) {
        bool again = false;
        for (uint32_t k = 0; k < theirs; k++) again |= str_eq_nocase(own.fields[k].name, r->fields[i].name);
        if (!again) own.fields[own.fields_count++] = r->fields[i];
    }
    memcpy(r->fields, own.fields, own.fields_count * sizeof *own.fields);
    r->fields_count = own.fields_count;
    return true;
}

/* What takes no body in HTTP has none. */
static bool take_status(str said, struct rest_response *r, struct pg_error *e) {
    uint64_t status = 0;
    if (!said.n) return true;
    if (!str_to_u64(said, &status) || status < 200 || status > 599)
        return rest_fail(e, "PGRST112", "response.status guc must be a valid status code");
    r->status = (uint16_t)status;
    if (status == 204 || status == 304) r->body = (str){0}, r->has_body = false;
    return true;
}

void rest_answer(arena *out, const struct rest_plan *plan, const struct query_head *head, str body, struct rest_response *r) {
    struct pg_error e = {0};
    *r = (struct rest_response){.status = 200};
    answer(out, plan, head, body, r);
    add(r, "Vary", vary);
    if (!take_status(head->said.status, r, &e) || !take_fields(out, head->said.headers, r, &e))
        rest_refuse(out, &e, plan->terse ? REST_TERSE : 0, r);
}

static void answer_batch(arena *out, const struct rest_plan *plan, str answers, struct rest_response *r) {
    struct query_head head = {.total = -1};
    struct pg_error e = {0};
    str body;
    *r = (struct rest_response){.status = 200, .has_body = true};
    if (!rest_batch_answer(out, plan, answers, &head.said, &body)) {
        rest_fail(&e, "XX000", "the answers of a batch are not whole");
        rest_refuse(out, &e, plan->terse ? REST_TERSE : 0, r);
        return;
    }
    r->body = body;
    add_type(out, plan, (str){0}, r);
    add_applied(out, plan, &head, r);
    add(r, "Vary", vary);
    if (!take_status(head.said.status, r, &e) || !take_fields(out, head.said.headers, r, &e))
        rest_refuse(out, &e, plan->terse ? REST_TERSE : 0, r);
}

void rest_answer_all(arena *out, const struct rest_plan *plan, str answer, struct rest_response *r) {
    struct query_head head;
    struct pg_error e = {0};
    str body;
    if (plan->action == REST_BATCH) answer_batch(out, plan, answer, r);
    else if (query_head_of(out, answer, &head, &body)) rest_answer(out, plan, &head, body, r);
    else rest_fail(&e, "XX000", "the answer has no head"), rest_refuse(out, &e, plan->terse ? REST_TERSE : 0, r);
}
