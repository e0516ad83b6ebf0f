/* users: what a person does with the users of an app, by the node that runs it: requests of the room auth, made here, whose questions to the app's database
 * go to the node. So a verb does what the admin API of /auth/v1 does, with its audit log.
 *
 *   orlo users ban WHO ──> PUT /admin/users/ID (auth_serve) ──batches──> POST …/database/query, as the service_role
 */
#include "node/command/users.h"
#include "auth/auth.h"
#include "crypto/crypto.h"
#include "manifest/manifest.h"
#include "node/command/db.h"
#include "node/command/table.h"
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { PASSES = 2, MEMORY_KIB = 19 << 10, PAGE = 1000, SHOWN_MAX = 100'000 };

/* ---- which app ---- */

err node_users_open(const struct node_users_config *c, const char *dir, struct users *u, struct diag *d) {
    struct manifest m;
    const char *file;
    *u = (struct users){.c = c, .mem = c->mem, .app = str_c(c->app)};
    if (!c->app) {
        TRY(node_manifest(c->mem, dir ? dir : ".", (str){0}, &m, &file, d));
        u->app = m.record.name;
    }
    TRY(app_name_check(u->app, d));
    return node_ask_open(&c->where, &u->a, d);
}

/* "23505: duplicate key …" */
static void read_error(str text, struct pg_error *error) {
    str state, message;
    bool cut = str_cut(text, ':', &state, &message), ok = cut && (state.n == 5 || state.n == 8);
    for (size_t i = 0; i < state.n && ok; i++)
        ok = (state.p[i] >= '0' && state.p[i] <= '9') || (state.p[i] >= 'A' && state.p[i] <= 'Z');
    if (!ok) return;
    snprintf(error->state, sizeof error->state, STR_FMT, STR_ARG(state));
    snprintf(error->message, sizeof error->message, STR_FMT, STR_ARG(str_sub(str_trim(message), 0, 400)));
}

err node_users_ask(struct users *u, arena *out, str batch, str *answer, struct pg_error *error, struct diag *d) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    struct answer told;
    json_put_object(&w, NULL);
    json_put_cstr(&w, "role", "service_role"), json_put_cstr(&w, "claims", "{}");
    json_put_str(&w, "query", batch);
    json_put_end(&w);
    str path = node_ask_path(out, "/apps/%s/database/query", arena_cstr(out, u->app));
    err e = node_ask(u->a, out, &(struct ask_call){.method = "POST", .path = path, .w = &w}, &told, d);
    if (e == ERR_INVALID) read_error(json_str(json_get(json_get(&told.body, "error"), "message")), error);
    *answer = told.text;
    buf_free(&b);
    return e;
}

/* ---- as auth's host ---- */

struct host {
    struct users *u;
    struct diag d;
    err e;
    char why[600];
};

static bool query(void *arg, arena *out, str batch, str *answer, struct pg_error *error) {
    struct host *h = arg;
    h->d = (struct diag)DIAG_INIT;
    err e = node_users_ask(h->u, out, batch, answer, error, &h->d);
    if (e == ERR_OK) return true;
    if (!error->state[0]) {
        h->e = e;
        snprintf(error->state, sizeof error->state, "08006");
        snprintf(error->message, sizeof error->message, "%.400s", h->d.text);
    }
    return false;
}

static enum auth_done hash(void *arg, arena *out, str password, str *made) {
    char text[CRYPTO_ARGON2_TEXT_MAX];
    crypto_argon2_make(password, PASSES, MEMORY_KIB, text);
    *made = arena_str(out, str_c(text));
    return AUTH_DONE;
}
static enum auth_done verify(void *arg, str password, str hash, bool *right, bool *old) { return AUTH_BROKEN; }
static enum auth_done sign(void *arg, arena *out, str claims, str *token) { return AUTH_BROKEN; }
static uint64_t limit(void *arg, str key, uint64_t each_ns, uint64_t burst, bool take) { return 0; }
static void mailed(void *arg, bool sms, const char *kind, str to, str link, str code) {}
static void failed(void *arg, const char *what, const struct pg_error *error) {
    struct host *h = arg;
    snprintf(h->why, sizeof h->why, "%s: %s: %s", what, error->state, error->message);
}

/* to: JSON, in the memory of the call. */
static err serve(struct users *u, const char *method, str path, str query_text, str body, struct json *to, str *text,
                 struct diag *d) {
    static const struct json_limits limits = {64 << 20, JSON_DEPTH_MAX, 4 << 20};
    struct host h = {.u = u};
    struct timespec now;
    struct app_auth config;
    struct auth_response answer;
    clock_gettime(CLOCK_REALTIME, &now);
    app_auth_usual(&config);
    config.on = true;
    config.audit_days = UINT32_MAX, config.audit_rows = UINT32_MAX; /* an app's own say when lines go */
    const struct auth_host host = {.query = query,
                                   .arg = &h,
                                   .failed = failed,
                                   .mailed = mailed,
                                   .limit = limit,
                                   .hash = hash,
                                   .sign = sign,
                                   .verify = verify,
                                   .now_us = (int64_t)now.tv_sec * 1'000'000 + now.tv_nsec / 1000};
    static const struct auth_field newer = {STR_INIT("x-supabase-api-version"), STR_INIT("2024-01-01")};
    const struct auth_request rq = {.method = str_c(method),
                                    .path = path,
                                    .query = query_text,
                                    .body = body,
                                    .fields = &newer,
                                    .fields_count = 1,
                                    .url = STR("http://localhost"),
                                    .role = STR("service_role"),
                                    .brings = true};
    auth_serve(&host, &config, &rq, u->mem, &answer);
    if (answer.body.n && json_read(u->mem, answer.body, &limits, to, d) != ERR_OK) return ERR_MALFORMED;
    if (text) *text = answer.body;
    if (answer.status / 100 == 2) return ERR_OK;
    if (h.e != ERR_OK) {
        *d = h.d;
        return h.e;
    }
    str message = json_str(json_get(to, "message"));
    return diag_set(d,
                    answer.status == 404   ? ERR_NOT_FOUND
                    : answer.status == 503 ? ERR_BUSY
                                           : ERR_INVALID,
                    DIAG_NOWHERE, STR_FMT "%s%s", STR_ARG(message), h.why[0] ? "; " : "", h.why);
}

/* A user's id, of what a person says. */
static err find(struct users *u, const char *who, str *id, struct diag *d) {
    static const struct json_limits limits = {1 << 20, 16, 1000};
    struct pg_error error = {0};
    struct json v;
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    str email, answer;
    if (node_db_is_user(str_c(who))) {
        *id = str_c(who);
        return ERR_OK;
    }
    if (auth_address(u->mem, str_c(who), &email))
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "%s is no user's id, and no address", who);
    json_put_object(&w, NULL);
    json_put_array(&w, "batch");
    json_put_object(&w, NULL);
    json_put_cstr(&w, "schema", "auth"), json_put_cstr(&w, "from", "users");
    json_put_raw(&w, "select", STR("[\"id\"]"));
    json_put_object(&w, "where");
    json_put_cstr(&w, "column", "email"), json_put_cstr(&w, "op", "eq"), json_put_str(&w, "value", email);
    json_put_end(&w), json_put_end(&w), json_put_end(&w), json_put_end(&w);
    err e = node_users_ask(u, u->mem, buf_str(&b), &answer, &error, d);
    buf_free(&b);
    if (e == ERR_OK) e = json_read(u->mem, answer, &limits, &v, d);
    if (e != ERR_OK) return e;
    *id = json_str(json_get(json_item(json_get(json_item(&v, 0), "rows"), 0), "id"));
    return id->n ? ERR_OK : diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "there is no user " STR_FMT, STR_ARG(email));
}

/* ---- verbs ---- */

static str escaped(arena *out, const char *text) {
    struct buf b = {0};
    for (const char *p = text; *p; p++) buf_printf(&b, "%%%02X", (unsigned char)*p);
    str s = arena_str(out, buf_str(&b));
    buf_free(&b);
    return s;
}

static void put_row(struct table *t, const struct json *user) {
    str email = json_str(json_get(user, "email"));
    node_table_put(t, json_str(json_get(user, "id")));
    node_table_put(t, email.n ? email : json_str(json_get(user, "phone")));
    node_table_put(t, str_sub(json_str(json_get(user, "created_at")), 0, 10));
    node_table_put(t, str_sub(json_str(json_get(user, "last_sign_in_at")), 0, 10));
    node_table_put(t, json_get(user, "deleted_at")                ? STR("deleted")
                      : json_get(user, "banned_until")            ? STR("banned")
                      : json_bool(json_get(user, "is_anonymous")) ? STR("anonymous")
                      : json_get(user, "confirmed_at")            ? STR("confirmed")
                                                                  : STR("waits"));
}

err node_users_list(const struct node_users_config *c, struct diag *d) {
    static const char *const heads[] = {"ID", "WHO", "SINCE", "SIGNED IN", "IS", NULL};
    struct users u;
    struct table t;
    uint32_t n = 0;
    TRY(node_users_open(c, NULL, &u, d));
    node_table_begin(&t, c->mem, heads);
    err e = ERR_OK;
    for (uint32_t page = 1, got = PAGE; e == ERR_OK && got == PAGE && n < SHOWN_MAX; page++) {
        struct json v;
        str params = arena_fmt(c->mem, "page=%u&per_page=%d%s" STR_FMT, page, PAGE, c->operand ? "&filter=" : "",
                               STR_ARG(escaped(c->mem, c->operand ? c->operand : "")));
        e = serve(&u, "GET", STR("/admin/users"), params, (str){0}, &v, NULL, d);
        got = e == ERR_OK ? json_count(json_get(&v, "users")) : 0;
        n += got;
        for (uint32_t i = 0; i < got; i++) {
            if (c->json) node_table_json(c->to, json_item(json_get(&v, "users"), i));
            else put_row(&t, json_item(json_get(&v, "users"), i));
        }
    }
    if (e == ERR_OK && !c->json) node_table_print(&t, c->to);
    node_ask_close(u.a);
    return e;
}

/* A line, if something is there to be read that is no terminal. */
static str password_of(arena *out) {
    char line[1025];
    size_t n = 0;
    if (isatty(STDIN_FILENO) || !fgets(line, sizeof line, stdin)) return (str){0};
    n = strcspn(line, "\r\n");
    str password = arena_str(out, (str){(uint8_t *)line, n});
    explicit_bzero(line, sizeof line);
    return password;
}

static err tell(const struct users *u, const struct json *user, const char *what) {
    if (u->c->json) node_table_json(u->c->to, user);
    else {
        str email = json_str(json_get(user, "email"));
        fprintf(u->c->to, "%s " STR_FMT " " STR_FMT "\n", what, STR_ARG(json_str(json_get(user, "id"))), STR_ARG(email));
    }
    return ERR_OK;
}

err node_users_add(const struct node_users_config *c, struct diag *d) {
    struct users u;
    struct json v;
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    str password = password_of(c->mem);
    TRY(node_users_open(c, NULL, &u, d));
    json_put_object(&w, NULL);
    json_put_cstr(&w, "email", c->operand);
    json_put_bool(&w, "email_confirm", true);
    if (password.n) json_put_str(&w, "password", password);
    json_put_end(&w);
    err e = serve(&u, "POST", STR("/admin/users"), (str){0}, buf_str(&b), &v, NULL, d);
    explicit_bzero(b.p, b.n);
    buf_free(&b);
    if (e == ERR_OK) e = tell(&u, &v, "added");
    node_ask_close(u.a);
    return e;
}

static err change(const struct node_users_config *c, str body, const char *what, struct diag *d) {
    struct users u;
    struct json v;
    str id;
    TRY(node_users_open(c, NULL, &u, d));
    err e = find(&u, c->operand, &id, d);
    if (e == ERR_OK) e = serve(&u, "PUT", arena_fmt(c->mem, "/admin/users/" STR_FMT, STR_ARG(id)), (str){0}, body, &v, NULL, d);
    if (e == ERR_OK) e = tell(&u, &v, what);
    node_ask_close(u.a);
    return e;
}

err node_users_ban(const struct node_users_config *c, struct diag *d) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    json_put_object(&w, NULL);
    json_put_cstr(&w, "ban_duration", c->second ? c->second : "876000h");
    json_put_end(&w);
    err e = change(c, buf_str(&b), "banned", d);
    buf_free(&b);
    return e;
}
err node_users_unban(const struct node_users_config *c, struct diag *d) {
    return change(c, STR("{\"ban_duration\":\"none\"}"), "let in again", d);
}

/* ---- all about a person ---- */

static void print_rest(struct users *u, str id, const struct json *table, FILE *to, err *e, struct diag *d) {
    uint64_t next = (uint64_t)json_i64(json_get(table, "next"));
    while (*e == ERR_OK && next) {
        struct json v;
        str params =
            arena_fmt(u->mem, "table=" STR_FMT "&offset=%llu",
                      STR_ARG(escaped(u->mem, arena_cstr(u->mem, json_str(json_get(table, "table"))))), (unsigned long long)next);
        *e = serve(u, "GET", arena_fmt(u->mem, "/admin/users/" STR_FMT "/data", STR_ARG(id)), params, (str){0}, &v, NULL, d);
        next = 0;
        JSON_EACH(t, json_get(&v, "tables")) {
            if (*e != ERR_OK || !str_eq(json_str(json_get(t, "column")), json_str(json_get(table, "column")))) continue;
            JSON_EACH(r, json_get(t, "rows")) fputc(',', to), node_table_json(to, r);
            next = (uint64_t)json_i64(json_get(t, "next"));
        }
    }
}

/* {"user": …, "tables": [{"table", "column", "rows"}], "sessions", "audit"}: a table that is longer than an answer is asked on. */
static err print_person(struct users *u, str id, const struct json *v, FILE *to, struct diag *d) {
    static const char *const others[] = {"sessions", "audit"};
    err e = ERR_OK;
    fputs("{\"user\":", to), node_table_json(to, json_get(v, "user"));
    fputs(",\"tables\":[", to);
    JSON_EACH(t, json_get(v, "tables")) {
        struct buf b = {0};
        struct json_writer w = json_writer_of(&b);
        bool first = true;
        json_put_object(&w, NULL);
        json_put(&w, "table", json_get(t, "table")), json_put(&w, "column", json_get(t, "column"));
        json_put_end(&w);
        fprintf(to, "%s" STR_FMT ",\"rows\":[\n", t == json_item(json_get(v, "tables"), 0) ? "" : ",",
                STR_ARG(str_sub(buf_str(&b), 0, b.n - 1)));
        buf_free(&b);
        JSON_EACH(r, json_get(t, "rows")) {
            if (!first) fputc(',', to);
            node_table_json(to, r);
            first = false;
        }
        print_rest(u, id, t, to, &e, d);
        fputs("]}", to);
    }
    fputs("]", to);
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        fprintf(to, ",\"%s\":", others[i]);
        node_table_json(to, json_get(v, others[i]));
    }
    fputs("}\n", to);
    return e == ERR_OK && fflush(to) ? diag_set(d, ERR_IO, DIAG_NOWHERE, "it cannot be written") : e;
}

err node_users_export(const struct node_users_config *c, struct diag *d) {
    struct users u;
    struct json v;
    str id;
    TRY(node_users_open(c, NULL, &u, d));
    err e = find(&u, c->operand, &id, d);
    if (e == ERR_OK)
        e = serve(&u, "GET", arena_fmt(c->mem, "/admin/users/" STR_FMT "/data", STR_ARG(id)), (str){0}, (str){0}, &v, NULL, d);
    if (e == ERR_OK) e = print_person(&u, id, &v, c->to, d);
    node_ask_close(u.a);
    return e;
}

static void print_deleted(const struct users *u, const struct json *v) {
    static const char *const heads[] = {"TABLE", "COLUMN", "ROWS", "THEN", NULL};
    struct table t;
    if (u->c->json) {
        node_table_json(u->c->to, v);
        return;
    }
    node_table_begin(&t, u->mem, heads);
    JSON_EACH(r, json_get(v, "tables")) {
        node_table_put(&t, json_str(json_get(r, "table")));
        node_table_put(&t, json_str(json_get(r, "column")));
        node_table_fmt(&t, "%lld", (long long)json_i64(json_get(r, "rows")));
        node_table_put(&t, json_str(json_get(r, "then")));
    }
    node_table_print(&t, u->c->to);
    fprintf(u->c->to, "%s " STR_FMT "\n", json_bool(json_get(v, "deleted")) ? "deleted" : "would delete",
            STR_ARG(json_str(json_get(v, "id"))));
}

err node_users_delete(const struct node_users_config *c, struct diag *d) {
    struct users u;
    struct json v;
    str id;
    if (!c->yes && !c->dry_run)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE,
                        "orlo users delete takes away all about a person: add --yes, or --dry-run to see what it is");
    TRY(node_users_open(c, NULL, &u, d));
    err e = find(&u, c->operand, &id, d);
    if (e == ERR_OK)
        e = serve(&u, "DELETE", arena_fmt(c->mem, "/admin/users/" STR_FMT "/data", STR_ARG(id)),
                  c->dry_run ? STR("dry_run=true") : (str){0}, (str){0}, &v, NULL, d);
    if (e == ERR_OK) print_deleted(&u, &v);
    node_ask_close(u.a);
    return e;
}

/* ---- the audit log ---- */

err node_users_audit(const struct node_users_config *c, struct diag *d) {
    struct users u;
    TRY(node_users_open(c, NULL, &u, d));
    err e = ERR_OK;
    for (uint32_t page = 1, got = PAGE; e == ERR_OK && got == PAGE; page++) {
        struct json v;
        str params = arena_fmt(c->mem, "sort=created_at+asc&page=%u&per_page=%d%s" STR_FMT, page, PAGE, c->since ? "&since=" : "",
                               STR_ARG(escaped(c->mem, c->since ? c->since : "")));
        e = serve(&u, "GET", STR("/admin/audit"), params, (str){0}, &v, NULL, d);
        got = e == ERR_OK ? json_count(&v) : 0;
        for (uint32_t i = 0; i < got; i++) node_table_json(c->to, json_item(&v, i));
    }
    node_ask_close(u.a);
    return e;
}
