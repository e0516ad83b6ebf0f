/* lists: users, and the audit log, a page at a time, for the service_role. */
#include "auth/auth_int.h"

enum { PAGE = 50, PAGE_MAX = 1000 };

static bool number(struct auth_call *c, const char *name, uint64_t usual, uint64_t *n) {
    str text = auth_param(c, name);
    *n = usual;
    if (text.n && !str_to_u64(text, n))
        return auth_fail_text(c, AUTH_ERROR_validation_failed,
                              "Bad Pagination Parameters: strconv.ParseUint: parsing \"" STR_FMT "\": invalid syntax",
                              STR_ARG(str_sub(text, 0, 40)));
    return true;
}

/* `page` stands first: what clients read is what follows the first equals sign. Behind it what else was asked for. */
static void put_link(struct auth_call *c, struct buf *b, const char *path, uint64_t page, uint64_t per_page, const char *rel) {
    static const char *const others[] = {"filter", "query", "since", "sort", "until"};
    buf_printf(b, "%s<%s?page=%llu&per_page=%llu", b->n ? ", " : "", path, (unsigned long long)page,
               (unsigned long long)per_page);
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        str value = auth_param(c, others[i]);
        if (!value.n) continue;
        buf_printf(b, "&%s=", others[i]);
        auth_put_escaped(b, str_sub(value, 0, 256));
    }
    buf_printf(b, ">; rel=\"%s\"", rel);
}

static void add_pages(struct auth_call *c, const char *path, uint64_t page, uint64_t per_page, uint64_t total) {
    struct buf b = {0};
    uint64_t last = MAX((total + per_page - 1) / per_page, (uint64_t)1);
    if (page < last) put_link(c, &b, path, page + 1, per_page, "next");
    put_link(c, &b, path, last, per_page, "last");
    auth_add_field(c, "link", arena_str(c->mem, buf_str(&b)));
    auth_add_field(c, "x-total-count", arena_fmt(c->mem, "%llu", (unsigned long long)total));
    buf_free(&b);
}

static bool page_of(struct auth_call *c, uint64_t *page, uint64_t *per_page) {
    if (!number(c, "page", 1, page) || !number(c, "per_page", PAGE, per_page)) return false;
    *page = MIN(MAX(*page, (uint64_t)1), (uint64_t)1 << 32), *per_page = MIN(MAX(*per_page, (uint64_t)1), (uint64_t)PAGE_MAX);
    return true;
}

/* "created_at", "created_at asc" */
static bool sort_of(struct auth_call *c, bool *up) {
    str text = auth_param(c, "sort"), field, way;
    *up = false;
    if (!text.n) return true;
    str_cut(text, ' ', &field, &way);
    if (!str_eqc(field, "created_at"))
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "Bad Sort Parameters: bad field for sort '" STR_FMT "'",
                              STR_ARG(str_sub(field, 0, 40)));
    *up = str_eq_nocase(way, STR("asc"));
    return *up || !way.n || str_eq_nocase(way, STR("desc")) ||
           auth_fail_text(c, AUTH_ERROR_validation_failed,
                          "Bad Sort Parameters: bad direction for sort '" STR_FMT "', only 'asc' and 'desc' allowed",
                          STR_ARG(str_sub(way, 0, 40)));
}

/* The rest of a tree: in their order, so many from there. */
static void put_page(struct auth_batch *b, uint64_t page, uint64_t per_page, bool up) {
    json_put_raw(&b->w, "order",
                 up ? STR("[\"created_at\",\"id\"]")
                    : STR("[{\"column\":\"created_at\",\"desc\":true},{\"column\":\"id\",\"desc\":true}]"));
    json_put_u64(&b->w, "limit", per_page);
    json_put_u64(&b->w, "offset", (page - 1) * per_page);
    json_put_cstr(&b->w, "count", "exact");
    auth_end(b);
}

static void put_within(struct auth_batch *b, const char *column, const char *path, str pattern) {
    json_put_object(&b->w, NULL);
    json_put_cstr(&b->w, "column", column);
    json_put_raw(&b->w, "path", str_c(path));
    json_put_bool(&b->w, "text", true);
    json_put_cstr(&b->w, "op", "ilike");
    json_put_str(&b->w, "value", pattern);
    json_put_end(&b->w);
}

/* "author:ann", "action:login", "type:account" */
static bool put_scope(struct auth_call *c, struct auth_batch *b) {
    static const struct {
        const char *scope, *path, *other;
    } scopes[] = {{"author", "[\"actor_username\"]", "[\"actor_name\"]"},
                  {"action", "[\"action\"]", NULL},
                  {"type", "[\"log_type\"]", NULL}};
    str query = auth_param(c, "query"), scope, value;
    size_t i = 0;
    if (!query.n) return true;
    bool cut = str_cut(query, ':', &scope, &value);
    while (i < ARRAY_COUNT(scopes) && !str_eqc(scope, scopes[i].scope)) i++;
    if (!cut || i == ARRAY_COUNT(scopes))
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "Invalid query scope: " STR_FMT, STR_ARG(str_sub(query, 0, 100)));
    if (!value.n) return true;
    str pattern = arena_fmt(c->mem, "%%" STR_FMT "%%", STR_ARG(str_sub(value, 0, 256)));
    json_put_object(&b->w, NULL);
    json_put_array(&b->w, "or");
    put_within(b, "payload", scopes[i].path, pattern);
    if (scopes[i].other) put_within(b, "payload", scopes[i].other, pattern);
    json_put_end(&b->w);
    json_put_end(&b->w);
    return true;
}

static bool put_when(struct auth_call *c, struct auth_batch *b, const char *name, const char *op) {
    str text = auth_param(c, name);
    const struct json v = {.kind = JSON_KIND_STR, .s = text};
    if (!text.n) return true;
    int64_t us = auth_time_of(&v);
    if (us == INT64_MIN) return auth_fail_text(c, AUTH_ERROR_validation_failed, "%s is a time: 2026-01-31T10:00:00Z", name);
    auth_op(b, "created_at", op, auth_time_text(c->mem, us));
    return true;
}

static uint64_t total_of(const struct json *answers) {
    int64_t n = json_i64(json_get(json_item(answers, 0), "total"));
    return n > 0 ? (uint64_t)n : 0;
}

bool auth_do_admin_list(struct auth_call *c) {
    struct auth_batch b;
    struct json answers;
    struct json_writer w;
    uint64_t page, per_page;
    bool up;
    str filter = auth_param(c, "filter");
    if (!sort_of(c, &up) || !page_of(c, &page, &per_page)) return false;
    auth_batch_begin(&b);
    auth_select_user(&b);
    auth_where(&b);
    auth_eq(&b, "aud", STR("authenticated"));
    if (filter.n) {
        str pattern = arena_fmt(c->mem, "%%" STR_FMT "%%", STR_ARG(str_sub(filter, 0, 256)));
        json_put_object(&b.w, NULL);
        json_put_array(&b.w, "or");
        auth_op(&b, "email", "ilike", pattern);
        put_within(&b, "raw_user_meta_data", "[\"full_name\"]", pattern);
        json_put_end(&b.w);
        json_put_end(&b.w);
    }
    auth_end(&b);
    put_page(&b, page, per_page, up);
    if (auth_run(c, &b, "Database error finding users", &answers) != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    w = json_writer_of(&c->out);
    json_put_object(&w, NULL);
    json_put_array(&w, "users");
    JSON_EACH(u, json_get(json_item(&answers, 0), "rows")) auth_put_user(&w, NULL, u);
    json_put_end(&w);
    json_put_cstr(&w, "aud", "authenticated");
    json_put_end(&w);
    add_pages(c, "/admin/users", page, per_page, total_of(&answers));
    return auth_answer(c, 200);
}

bool auth_do_admin_audit(struct auth_call *c) {
    struct auth_batch b;
    struct json answers;
    struct json_writer w;
    uint64_t page, per_page;
    bool up;
    if (!page_of(c, &page, &per_page) || !sort_of(c, &up)) return false;
    auth_batch_begin(&b);
    auth_tree(&b, "select", "audit_log_entries");
    json_put_raw(&b.w, "select", STR("[\"*\"]"));
    auth_where(&b);
    if (!put_scope(c, &b) || !put_when(c, &b, "since", "gte") || !put_when(c, &b, "until", "lt")) {
        buf_free(&b.b);
        return false;
    }
    auth_end(&b);
    put_page(&b, page, per_page, up);
    if (auth_run(c, &b, "Error searching for audit logs", &answers) != AUTH_RAN)
        return auth_fail(c, AUTH_ERROR_unexpected_failure);
    w = json_writer_of(&c->out);
    json_put_array(&w, NULL);
    JSON_EACH(e, json_get(json_item(&answers, 0), "rows")) {
        json_put_object(&w, NULL);
        json_put_str(&w, "id", json_str(json_get(e, "id")));
        json_put(&w, "payload", json_get(e, "payload"));
        auth_put_time(&w, "created_at", json_get(e, "created_at"));
        json_put_str(&w, "ip_address", json_str(json_get(e, "ip_address")));
        json_put_end(&w);
    }
    json_put_end(&w);
    add_pages(c, "/admin/audit", page, per_page, total_of(&answers));
    return auth_answer(c, 200);
}
