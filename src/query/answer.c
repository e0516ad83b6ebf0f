/* answer: rows as JSON, as PostgreSQL's row_to_json says them: {"id":1,"title":"x"}, keys in the order of the list, values as to_json has them. */
#include "query/query_int.h"

/* How many of its first bytes stand for themselves in JSON, as PostgreSQL's escape_json has it: all but controls, quotes and backslashes. Eight at a time: a
 * byte of v that is one of those sets its highest bit; ahead of it others may come out set wrongly, never one left out. */
static size_t plain_run(str s) {
    const uint64_t ones = UINT64_MAX / 255;
    size_t i = 0;
    for (uint64_t v; i + 8 <= s.n; i += 8) {
        memcpy(&v, s.p + i, 8);
        uint64_t quote = v ^ ones * '"', slash = v ^ ones * '\\';
        if (((v - ones * 0x20) | (quote - ones) | (slash - ones)) & ~v & ones << 7) break;
    }
    while (i < s.n && s.p[i] >= 0x20 && s.p[i] != '"' && s.p[i] != '\\') i++;
    return i;
}

static void put_odd(struct buf *b, uint8_t c) {
    static const char *const short_ones[] = {
        ['\b'] = "\\b", ['\f'] = "\\f", ['\n'] = "\\n", ['\r'] = "\\r", ['\t'] = "\\t", ['"'] = "\\\"", ['\\'] = "\\\\"};
    if (c < ARRAY_COUNT(short_ones) && short_ones[c]) buf_puts(b, str_c(short_ones[c]));
    else buf_printf(b, "\\u%04x", c);
}

static void put_text(struct buf *b, str s) {
    buf_putc(b, '"');
    while (s.n) {
        size_t n = plain_run(s);
        buf_puts(b, (str){s.p, n});
        if (n == s.n) break;
        put_odd(b, s.p[n]);
        s = (str){s.p + n + 1, s.n - n - 1};
    }
    buf_putc(b, '"');
}

void query_shape_add(arena *out, struct query_shape *s, str name, uint32_t type) {
    struct buf key = {0};
    if (s->count % 16 == 0) {
        struct query_member *more = arena_array(out, struct query_member, s->count + 16);
        if (s->count) memcpy(more, s->members, s->count * sizeof *more);
        s->members = more;
    }
    buf_putc(&key, s->count ? ',' : '{');
    put_text(&key, name);
    buf_putc(&key, ':');
    s->members[s->count++] = (struct query_member){name, arena_str(out, buf_str(&key)), type};
    buf_free(&key);
}

bool query_put_json(struct query_conn *conn, uint32_t type, struct db_value v, struct buf *to, arena *scratch) {
    struct pg_call call = {.mem = scratch, .session = &conn->session, .error = &conn->raised};
    if (v.kind == DB_NULL) return buf_puts(to, STR("null"));
    switch (type) { /* the most frequent ones, without a detour */
    case PG_NO_TYPE: return buf_puts(to, v.s);
    case PG_TEXT:
    case PG_VARCHAR: return v.kind == DB_TEXTUAL ? (put_text(to, v.s), true) : pg_value_json(&call, type, v, to);
    case PG_INT4:
    case PG_INT8: return v.kind == DB_INTEGER ? buf_i64(to, v.i) : pg_value_json(&call, type, v, to);
    case PG_BOOL:
        return v.kind == DB_INTEGER ? buf_puts(to, v.i ? STR("true") : STR("false")) : pg_value_json(&call, type, v, to);
    default: return pg_value_json(&call, type, v, to);
    }
}

bool query_put_row(struct query_conn *conn, const struct query_shape *shape, const struct db_value *values, struct buf *to,
                   arena *scratch) {
    if (!shape->count) buf_putc(to, '{');
    for (uint32_t i = 0; i < shape->count; i++) {
        buf_puts(to, shape->members[i].key);
        if (!query_put_json(conn, shape->members[i].type, values[i], to, scratch)) return false;
    }
    return buf_putc(to, '}');
}

/* ---- a request's answer ---- */

static void put_result(const struct query_result *r, struct buf *to) {
    buf_puts(to, STR("{\"rows\":"));
    buf_puts(to, r->has_body ? buf_str(&r->body) : STR("null"));
    buf_printf(to, ",\"affected\":%llu", (unsigned long long)r->affected);
    if (r->total >= 0) buf_printf(to, ",\"total\":%lld", (long long)r->total);
    buf_putc(to, '}');
}

/* rows affected updated total flags */
void query_put_head(const struct query *q, const struct query_result *r, const struct query_said *said, struct buf *to) {
    const struct catalog_function *f = q->kind == QUERY_CALL ? q->function : NULL;
    uint32_t flags = r->has_body ? QUERY_HEAD_BODY : 0;
    if (f && !f->set) flags |= QUERY_HEAD_VALUE;
    if (q->kind == QUERY_DESCRIBE) flags |= QUERY_HEAD_VALUE;
    if (f && f->returns == PG_VOID) flags |= QUERY_HEAD_VOID;
    if (q->conflict) flags |= QUERY_HEAD_RESOLVED;
    if (q->form) flags |= QUERY_HEAD_BARE;
    if (q->hex) flags |= QUERY_HEAD_HEX;
    if (said->headers.n || said->status.n || q->media.n) flags |= QUERY_HEAD_SAID;
    const int64_t numbers[] = {(int64_t)r->rows, (int64_t)r->affected, (int64_t)r->updated, r->total, flags};
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++)
        buf_i64(to, numbers[i]), buf_putc(to, i + 1 < ARRAY_COUNT(numbers) ? ' ' : '\n');
    if (!(flags & QUERY_HEAD_SAID)) return;
    struct json_writer w = json_writer_of(to);
    json_put_array(&w, NULL);
    json_put_str(&w, NULL, said->headers);
    json_put_str(&w, NULL, said->status);
    json_put_str(&w, NULL, q->media);
    json_put_end(&w);
    buf_putc(to, '\n');
}

static bool read_said(arena *out, str line, struct query_head *head) {
    struct query_json v;
    struct pg_error error = {0};
    if (!query_json_read(out, line, &v, &error) || v.kind != JSON_KIND_ARRAY || v.n != 3) return false;
    for (uint32_t i = 0; i < v.n; i++)
        if (v.items[i].kind != JSON_KIND_STR) return false;
    head->said = (struct query_said){v.items[0].s, v.items[1].s};
    head->media = v.items[2].s;
    return true;
}

bool query_head_of(arena *out, str answer, struct query_head *head, str *body) {
    str line, word;
    uint64_t v[5];
    if (!str_cut(answer, '\n', &line, body)) return false;
    for (size_t i = 0; i < ARRAY_COUNT(v); i++) {
        str_cut(line, ' ', &word, &line);
        bool none = i == 3 && str_eqc(word, "-1");
        if (none) v[i] = UINT64_MAX;
        else if (!str_to_u64(word, &v[i])) return false;
    }
    *head = (struct query_head){.rows = v[0], .affected = v[1], .updated = v[2], .total = (int64_t)v[3], .flags = (uint32_t)v[4]};
    return !(head->flags & QUERY_HEAD_SAID) || (str_cut(*body, '\n', &line, body) && read_said(out, line, head));
}

/* A value, what an aggregate makes of them: none of that is known before the last row. */
bool query_streams(const struct query *q) {
    return q->kind == QUERY_SELECT && !q->explain && (q->form == QUERY_FORM_ROWS || q->form == QUERY_FORM_CSV);
}

bool query_check_result(const struct query *q, struct query_result *result) {
    bool writes = q->kind == QUERY_INSERT || q->kind == QUERY_UPDATE || q->kind == QUERY_DELETE;
    uint64_t n = writes ? result->affected : result->rows, all = writes && result->has_body ? result->rows : n;
    bool list = q->kind != QUERY_DESCRIBE && !(q->kind == QUERY_CALL && !q->function->set);
    if (q->single && list && all != 1) {
        query_fail(&result->error, "PGRST116", "Cannot coerce the result to a single JSON object");
        query_fail_detail(&result->error, "The result contains %llu rows", (unsigned long long)all);
        return false;
    }
    if (q->max_affected < 0 || n <= (uint64_t)q->max_affected) return true;
    query_fail(&result->error, "PGRST124", "Query result exceeds max-affected preference constraint");
    query_fail_detail(&result->error, "The query affects %llu rows", (unsigned long long)n);
    return false;
}

bool query_take_result(const struct query *q, struct query_result *r) {
    bool value = !q->form && (q->kind == QUERY_DESCRIBE || (q->kind == QUERY_CALL && q->function && !q->function->set));
    if (value && r->has_body) {
        if (r->body.n >= 2 && r->rows) buf_drop(&r->body, 1), r->body.n--;
        else r->body.n = 0, buf_puts(&r->body, STR("null"));
    }
    return query_check_result(q, r);
}

/* Each with its head, behind a line that says how long it is. */
static void put_counted(const struct query_batch *b, const struct query_result *results, const struct query_said *said,
                        struct buf *to) {
    static const struct query_said again = {0}; /* it is the transaction's: the first one has it */
    for (uint32_t i = 0; i < b->count; i++) {
        struct buf head = {0};
        query_put_head(&b->queries[i], &results[i], i ? &again : said, &head);
        str body = results[i].has_body ? buf_str(&results[i].body) : (str){0};
        buf_printf(to, "%zu\n", head.n + body.n);
        buf_puts(to, buf_str(&head));
        buf_puts(to, body);
        buf_free(&head);
    }
}

bool query_answer_next(str *answers, str *one) {
    str line, left;
    uint64_t n;
    if (!str_cut(*answers, '\n', &line, &left) || !str_to_u64(line, &n) || n > left.n) return false;
    *one = str_sub(left, 0, n);
    *answers = str_sub(left, n, left.n);
    return true;
}

void query_batch_body(const struct query_batch *b, const struct query_result *results, const struct query_said *said,
                      struct buf *to) {
    if (b->many && b->counted) {
        put_counted(b, results, said, to);
        return;
    }
    if (!b->many) {
        if (b->counted) query_put_head(&b->queries[0], &results[0], said, to);
        if (results[0].has_body) buf_puts(to, buf_str(&results[0].body));
        return;
    }
    buf_putc(to, '[');
    for (uint32_t i = 0; i < b->count; i++) {
        if (i) buf_putc(to, ',');
        put_result(&results[i], to);
    }
    buf_putc(to, ']');
}

void query_result_free(struct query_result *r) { buf_free(&r->body); }
