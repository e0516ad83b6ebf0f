/* person: all that an app keeps about somebody, told or taken away, of whatever tables have it.
 *
 *   keys to auth.users (id), and keys to those columns in turn ──┐
 *   columns whose comment says so: 'orlo:person …'  ─────────────┴──> columns that hold who it is
 *
 *   'orlo:person [email|phone] [delete|clear|keep]'   what a column holds (the id), and what becomes of its rows (delete)
 *
 * 1. What a key says happens by itself: rows go (cascade), or forget (set null). Where it would hinder (no action, restrict), a comment has to say what is meant;
 *    before that nothing is deleted at all.
 * 2. All of it goes in one batch, which is one transaction, with the account and a line of the audit log.
 * 3. It is done as the service_role: no policy hinders, and what it has no right to is an error that names it.
 */
#include "auth/auth_int.h"

enum { COLUMNS_MAX = 256, DEPTH_MAX = 16, ROWS_MAX = 10'000, AUDIT_MAX = 1000 };

enum by { BY_ID, BY_EMAIL, BY_PHONE };
enum then { DELETE_ROWS, CLEAR, KEEP, CASCADES, FORGETS, HINDERS };
static const char *const then_words[] = {"delete", "clear", "keep", "cascades", "clears", "hinders"};
struct held { /* a column */
    int64_t relation, place;
    str schema, table, column, value;
    enum by by;
    enum then then;
    bool declared, needed;
    uint32_t depth;
};
struct person {
    struct auth_call *c;
    const struct json *user, *keys, *tables, *schemas, *columns, *declared;
    VEC(struct held) held;
};

/* ---- which columns ---- */

static void call(struct auth_batch *b, const char *function) {
    auth_call_of(b, function);
    auth_end(b);
}

static const struct json *row_of(const struct json *rows, int64_t relation, int64_t place) {
    JSON_EACH(r, rows)
    if (json_i64(json_get(r, "relation")) == relation && (place < 0 || json_i64(json_get(r, "place")) == place)) return r;
    return NULL;
}

static str schema_of(const struct person *p, int64_t space) {
    JSON_EACH(s, p->schemas)
    if (json_i64(json_get(s, "space")) == space) return json_str(json_get(s, "name"));
    return (str){0};
}

static struct held *find(struct person *p, int64_t relation, int64_t place) {
    for (uint32_t i = 0; i < p->held.n; i++)
        if (p->held.p[i].relation == relation && p->held.p[i].place == place) return &p->held.p[i];
    return NULL;
}

static struct held *add(struct person *p, int64_t relation, int64_t place) {
    const struct json *table = row_of(p->tables, relation, -1), *column = row_of(p->columns, relation, place);
    if (!table || !column || p->held.n == COLUMNS_MAX) return NULL;
    vec_push(p->c->mem, &p->held,
             ((struct held){.relation = relation,
                            .place = place,
                            .schema = schema_of(p, json_i64(json_get(table, "space"))),
                            .table = json_str(json_get(table, "name")),
                            .column = json_str(json_get(column, "name")),
                            .needed = json_bool(json_get(column, "needed"))}));
    return &p->held.p[p->held.n - 1];
}

static enum then by_key(str on_delete) {
    return str_eqc(on_delete, "c") ? CASCADES : str_eqc(on_delete, "n") || str_eqc(on_delete, "d") ? FORGETS : HINDERS;
}

/* One round for each step away from the account; a key that leads back is there already. */
static void follow(struct person *p) {
    for (uint32_t depth = 1, from = 0; depth <= DEPTH_MAX && from < p->held.n; depth++) {
        uint32_t end = p->held.n;
        for (; from < end; from++) JSON_EACH(k, p->keys) {
                struct held of = p->held.p[from];
                int64_t relation = json_i64(json_get(k, "relation")), place = json_i64(json_get(k, "place"));
                if (json_i64(json_get(k, "of_relation")) != of.relation || json_i64(json_get(k, "of_place")) != of.place)
                    continue;
                struct held *h = find(p, relation, place) ? NULL : add(p, relation, place);
                if (h) h->depth = depth, h->then = by_key(json_str(json_get(k, "on_delete")));
            }
    }
}

static bool says(str text, const char *word) {
    str one;
    while (text.n) {
        str_cut(text, ' ', &one, &text);
        while (one.n && memchr(",.;)", one.p[one.n - 1], 4)) one.n--;
        if (str_eqc(one, word)) return true;
    }
    return false;
}

static void declare(struct person *p) {
    JSON_EACH(r, p->declared) {
        str text = json_str(json_get(r, "says")), mark = STR("orlo:person");
        const uint8_t *at = memmem(text.p, text.n, mark.p, mark.n);
        int64_t relation = json_i64(json_get(r, "relation")), place = json_i64(json_get(r, "place"));
        struct held *h = at ? find(p, relation, place) : NULL;
        if (at && !h) h = add(p, relation, place);
        if (!h) continue;
        str words = str_sub(text, (size_t)(at - text.p) + mark.n, text.n);
        words = str_sub(words, 0, str_find(words, '\n'));
        h->declared = true;
        h->by = says(words, "email") ? BY_EMAIL : says(words, "phone") ? BY_PHONE : BY_ID;
        h->then = says(words, "keep") ? KEEP : says(words, "clear") ? CLEAR : DELETE_ROWS;
    }
}

static bool load(struct person *p) {
    struct auth_call *c = p->c;
    struct auth_batch b;
    struct json answers;
    if (!auth_is_id(c->id)) return auth_fail_status(c, AUTH_ERROR_validation_failed, 404, "user_id must be an UUID");
    if (!auth_read_user(c, "id", c->id, &p->user)) return false;
    if (!p->user) return auth_fail(c, AUTH_ERROR_user_not_found);
    auth_batch_begin(&b);
    call(&b, "orlo_keys"), call(&b, "orlo_tables"), call(&b, "orlo_schemas"), call(&b, "orlo_columns"), call(&b, "orlo_declared");
    if (auth_run(c, &b, "Database error finding what is kept", &answers) != AUTH_RAN)
        return auth_fail(c, AUTH_ERROR_unexpected_failure);
    const struct json *made = arena_make(c->mem, struct json);
    *(struct json *)(uintptr_t)made = answers;
    const struct json **to[] = {&p->keys, &p->tables, &p->schemas, &p->columns, &p->declared};
    for (uint32_t i = 0; i < ARRAY_COUNT(to); i++) *to[i] = json_get(json_item(made, i), "rows");
    JSON_EACH(t, p->tables) {
        int64_t relation = json_i64(json_get(t, "relation"));
        if (!str_eqc(json_str(json_get(t, "name")), "users") || !str_eqc(schema_of(p, json_i64(json_get(t, "space"))), "auth"))
            continue;
        JSON_EACH(k, p->columns)
        if (json_i64(json_get(k, "relation")) == relation && str_eqc(json_str(json_get(k, "name")), "id"))
            (void)add(p, relation, json_i64(json_get(k, "place")));
    }
    if (!p->held.n) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    follow(p);
    declare(p);
    for (uint32_t i = 0; i < p->held.n; i++) {
        struct held *h = &p->held.p[i];
        h->value = h->by == BY_ID ? c->id : json_str(json_get(p->user, h->by == BY_EMAIL ? "email" : "phone"));
    }
    return true;
}

/* The platform's own tables are the account itself. */
static bool is_apps(const struct held *h) { return !str_eqc(h->schema, "auth") && h->value.n; }

static void begin_tree(struct auth_batch *b, const char *kind, const struct held *h) {
    b->w.b = &b->b;
    b->n++;
    json_put_object(&b->w, NULL);
    json_put_cstr(&b->w, "kind", kind);
    json_put_str(&b->w, "schema", h->schema);
    json_put_str(&b->w, "from", h->table);
    auth_where(b), auth_eq(b, (const char *)h->column.p, h->value), auth_end(b);
}

static bool run(struct auth_call *c, struct auth_batch *b, const char *what, struct json *answers) {
    if (auth_run(c, b, what, answers) == AUTH_RAN) return true;
    if (!c->failed || c->error == AUTH_ERROR_later) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    c->status = 409; /* what it is the service_role can be told: it may read all of it */
    c->message = arena_fmt(c->mem, "%s: %s: %s", what, c->db.state, c->db.message);
    return false;
}

/* ---- telling ---- */

static void put_held(struct json_writer *w, const struct held *h, struct auth_call *c) {
    json_put_str(w, "table", arena_fmt(c->mem, STR_FMT "." STR_FMT, STR_ARG(h->schema), STR_ARG(h->table)));
    json_put_str(w, "column", h->column);
}

/* So many rows of a table, from where; `next` where there are more. */
bool auth_do_person_get(struct auth_call *c) {
    struct person p = {.c = c};
    struct auth_batch b;
    struct json answers;
    struct json_writer w;
    uint64_t offset = 0;
    str only = auth_param(c, "table");
    (void)str_to_u64(auth_param(c, "offset"), &offset);
    offset = MIN(offset, (uint64_t)1 << 40);
    if (!load(&p)) return false;
    auth_batch_begin(&b);
    for (uint32_t i = 0; i < p.held.n; i++) {
        struct held *h = &p.held.p[i];
        str name = arena_fmt(c->mem, STR_FMT "." STR_FMT, STR_ARG(h->schema), STR_ARG(h->table));
        if (only.n && !str_eq(only, name)) h->value = (str){0};
        if (!is_apps(h)) continue;
        begin_tree(&b, "select", h);
        json_put_raw(&b.w, "select", STR("[\"*\"]"));
        json_put_u64(&b.w, "limit", ROWS_MAX + 1);
        json_put_u64(&b.w, "offset", only.n ? offset : 0);
        auth_end(&b);
    }
    auth_tree(&b, "select", "sessions");
    json_put_raw(&b.w, "select", STR("[\"id\",\"created_at\",\"updated_at\",\"refreshed_at\",\"user_agent\",\"ip\",\"aal\"]"));
    auth_where(&b), auth_eq(&b, "user_id", c->id), auth_end(&b), auth_end(&b);
    auth_tree(&b, "select", "audit_log_entries");
    json_put_raw(&b.w, "select", STR("[\"created_at\",\"payload\",\"ip_address\"]"));
    auth_where(&b);
    json_put_object(&b.w, NULL);
    json_put_cstr(&b.w, "column", "payload"), json_put_raw(&b.w, "path", STR("[\"actor_id\"]"));
    json_put_bool(&b.w, "text", true), json_put_cstr(&b.w, "op", "eq"), json_put_str(&b.w, "value", c->id);
    json_put_end(&b.w);
    auth_end(&b);
    json_put_raw(&b.w, "order", STR("[{\"column\":\"created_at\",\"desc\":true}]"));
    json_put_u64(&b.w, "limit", AUDIT_MAX);
    auth_end(&b);
    if (!run(c, &b, "what is kept cannot be read", &answers)) return false;
    w = json_writer_of(&c->out);
    json_put_object(&w, NULL);
    auth_put_user(&w, "user", p.user);
    json_put_array(&w, "tables");
    uint32_t tree = 0;
    for (uint32_t i = 0; i < p.held.n; i++) {
        const struct held *h = &p.held.p[i];
        if (!is_apps(h)) continue;
        const struct json *rows = json_get(json_item(&answers, tree++), "rows");
        json_put_object(&w, NULL);
        put_held(&w, h, c);
        json_put_array(&w, "rows");
        for (uint32_t k = 0; k < MIN(json_count(rows), (uint32_t)ROWS_MAX); k++) json_put(&w, NULL, json_item(rows, k));
        json_put_end(&w);
        if (json_count(rows) > ROWS_MAX) json_put_u64(&w, "next", (only.n ? offset : 0) + ROWS_MAX);
        json_put_end(&w);
    }
    json_put_end(&w);
    const struct json *sessions = json_get(json_item(&answers, tree), "rows"),
                      *audit = json_get(json_item(&answers, tree + 1), "rows");
    json_put_array(&w, "sessions");
    JSON_EACH(s, sessions) json_put(&w, NULL, s);
    json_put_end(&w);
    json_put_array(&w, "audit");
    JSON_EACH(a, audit) json_put(&w, NULL, a);
    json_put_end(&w);
    json_put_end(&w);
    return auth_answer(c, 200);
}

/* ---- taking away ---- */

static bool may_go(struct person *p) {
    for (uint32_t i = 0; i < p->held.n; i++) {
        const struct held *h = &p->held.p[i];
        if (!is_apps(h)) continue;
        const char *why =
            h->then == HINDERS ? "its key hinders that (no action): comment on column … is 'orlo:person delete', or clear"
            : h->then == KEEP && h->depth   ? "it is to be kept, and its key is the account's: rows go, or forget (clear)"
            : h->then == CLEAR && h->needed ? "it is to forget who it was, and is not null"
                                            : NULL;
        if (!why) continue;
        str text = arena_fmt(p->c->mem, "Nothing was deleted: " STR_FMT "." STR_FMT "." STR_FMT ": %s", STR_ARG(h->schema),
                             STR_ARG(h->table), STR_ARG(h->column), why);
        return auth_fail_status(p->c, AUTH_ERROR_conflict, 409, (const char *)text.p);
    }
    return true;
}

static void put_deletion(struct person *p, struct auth_batch *b) {
    uint32_t deepest = 0;
    for (uint32_t i = 0; i < p->held.n; i++) deepest = MAX(deepest, p->held.p[i].depth);
    for (uint32_t depth = deepest + 1; depth-- > 0;) /* what refers to others goes before them */
        for (uint32_t i = 0; i < p->held.n; i++) {
            const struct held *h = &p->held.p[i];
            if (!is_apps(h) || h->depth != depth || (h->then != DELETE_ROWS && h->then != CLEAR)) continue;
            begin_tree(b, h->then == CLEAR ? "update" : "delete", h);
            if (h->then == CLEAR) auth_set(b), json_put_null(&b->w, (const char *)h->column.p), auth_end(b);
            auth_end(b);
        }
    auth_tree(b, "delete", "users");
    auth_where(b), auth_eq(b, "id", p->c->id), auth_end(b);
    auth_one(b);
    auth_end(b);
    auth_call_of(b, "orlo_audit_forget");
    json_put_object(&b->w, "args"), json_put_str(&b->w, "person", p->c->id), json_put_end(&b->w);
    auth_end(b);
    auth_audit(p->c, b, "user_deleted", "team", p->c->id, STR(""), NULL);
}

bool auth_do_person_delete(struct auth_call *c) {
    struct person p = {.c = c};
    struct auth_batch b;
    struct json answers = {0};
    struct json_writer w;
    bool dry = str_eqc(auth_param(c, "dry_run"), "true");
    if (!load(&p) || !may_go(&p)) return false;
    auth_batch_begin(&b);
    for (uint32_t i = 0; i < p.held.n; i++) {
        if (!is_apps(&p.held.p[i])) continue;
        begin_tree(&b, "select", &p.held.p[i]);
        json_put_raw(&b.w, "select", STR("[\"*\"]"));
        json_put_u64(&b.w, "limit", 1);
        json_put_cstr(&b.w, "count", "exact");
        auth_end(&b);
    }
    if (!dry) put_deletion(&p, &b);
    if (!b.n) buf_free(&b.b);
    else if (!run(c, &b, "nothing was deleted", &answers)) return false;
    if (!dry) auth_ended(c, c->id, INT64_MAX);
    w = json_writer_of(&c->out);
    json_put_object(&w, NULL);
    json_put_str(&w, "id", c->id);
    json_put_bool(&w, "deleted", !dry);
    json_put_array(&w, "tables");
    uint32_t tree = 0;
    for (uint32_t i = 0; i < p.held.n; i++) {
        const struct held *h = &p.held.p[i];
        if (!is_apps(h)) continue;
        json_put_object(&w, NULL);
        put_held(&w, h, c);
        json_put_cstr(&w, "then", then_words[h->then]);
        json_put_i64(&w, "rows", json_i64(json_get(json_item(&answers, tree++), "total")));
        json_put_end(&w);
    }
    json_put_end(&w);
    json_put_end(&w);
    return auth_answer(c, 200);
}
