/* engines: the same migrations and the same requests, on SQLite and on a PostgreSQL that runs already.
 *
 *   engines --platform                          prints the platform's schemas, as PostgreSQL is given them
 *   engines [--strict] FOLDER DATABASE REQUESTS [WHERE [SERVERS]]
 *                                               FOLDER: *.sql; DATABASE: a file to be made; REQUESTS: a JSON document a line,
 *                                               {"role", "claims", "query" or "batch", "tx"}; WHERE: libpq's words, of one that has FOLDER's, or those of
 *                                               SERVERS; --strict: what SQLite lacks is refused, not put off to when it is run
 *
 * A request may be one over HTTP instead: {"role", "claims", "nobody", "method", "path", "query", "fields": [[name, value], …], "body", "schemas", "aggregates",
 * "rowsMax", "targetNames", "root", "terse"}; its role is whose the token in its Authorization is, signed by "secret" (or "keyless") and for "audience". What is printed then is {"status", "fields", "body"}, and what asks for no tx=commit is undone.
 *
 * For each line it prints what SQLite answered, then, where WHERE is given, what PostgreSQL did: "STATUS<TAB>BODY", STATUS ok or an SQLSTATE, BODY
 * the answer, or {"message", "details", "hint"}. */
#include "net/loop.h"
#include "node/worker/jwt.h"
#include "postgres/postgres.h"
#include "query/plan_test.h"
#include "rest/rest.h"
#include "sql/sql.h"
#include "sql/translate.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static arena *mem;
static bool strict;
static struct diag diag = DIAG_INIT;

static _Noreturn void fail(const char *what) {
    fprintf(stderr, "engines: %s: %s\n", what, diag.text);
    exit(2);
}

static str read_file(const char *path) {
    FILE *f = fopen(path, "rb");
    struct buf b = {0};
    char chunk[65536];
    size_t n;
    if (!f) fail(path);
    while ((n = fread(chunk, 1, sizeof chunk, f)) > 0) buf_put(&b, chunk, n);
    fclose(f);
    str text = arena_str(mem, buf_str(&b));
    buf_free(&b);
    return text;
}

/* ---- the schema ---- */

static int by_name(const void *a, const void *b) {
    return str_cmp(((const struct sql_file *)a)->name, ((const struct sql_file *)b)->name);
}

typedef VEC(struct sql_file) files;
static files files_of(const char *folder) {
    files v = {0};
    DIR *dir = opendir(folder);
    if (!dir) fail(folder);
    for (struct dirent *e; (e = readdir(dir));) {
        str name = arena_str(mem, str_c(e->d_name));
        if (!str_ends(name, STR(".sql"))) continue;
        str text = read_file(arena_cstr(mem, arena_fmt(mem, "%s/" STR_FMT, folder, STR_ARG(name))));
        vec_push(mem, &v, ((struct sql_file){.name = name, .text = text}));
    }
    closedir(dir);
    qsort(v.p, v.n, sizeof *v.p, by_name);
    return v;
}

static void say_report(const struct sql_report *report) {
    for (uint32_t i = 0; i < report->notes.n; i++) {
        const struct sql_note *n = &report->notes.p[i];
        if (n->severity == SQL_REFUSAL)
            fprintf(stderr, STR_FMT ":%u:%u: " STR_FMT ": " STR_FMT " " STR_FMT "\n", STR_ARG(n->file), n->line, n->column,
                    STR_ARG(n->code), STR_ARG(n->text), STR_ARG(n->instead));
    }
}

static struct sql_plan plan_of(files f, enum catalog_engine engine) {
    struct sql_plan plan = {0};
    struct sql_report report = {.strict = strict && engine == CATALOG_SQLITE};
    if (sql_migrate(mem, NULL, f.p, f.n, engine, NULL, &plan, &report, &diag) != ERR_OK) fail("migrations");
    if (report.refused) {
        say_report(&report);
        exit(3);
    }
    catalog_ready(plan.catalog);
    return plan;
}

static const struct catalog *migrate(struct db *db, struct query_conn *conn, files f) {
    struct sql_plan plan = plan_of(f, CATALOG_SQLITE);
    if (db_script(db,
                  "create table if not exists _orlo_sequences (id integer primary key, last integer not null, called integer not "
                  "null) strict",
                  &diag) != ERR_OK)
        fail("sequences");
    if (query_conn_catalog(conn, plan.catalog, &diag) != ERR_OK) fail("catalogue"); /* what sequences are called */
    if (db_begin(db, &diag) != ERR_OK) fail("begin");
    struct plan_place where;
    if (!plan_run(mem, db, conn, &plan, &where, &diag)) {
        const struct pg_error *raised = query_conn_raised(conn);
        fprintf(stderr, STR_FMT ":%u:1: %s: %s\n", STR_ARG(where.file), where.line, raised->state,
                *raised->message ? raised->message : diag.text);
        fail("step");
    }
    if (db_commit(db, &diag) != ERR_OK) fail("commit");
    return plan.catalog;
}

/* What a function's EXECUTE runs: read here, as this is a tool, and whoever wrote it is who runs it. */
static bool translate(void *arg, arena *out, const struct catalog *c, str text, str *answer, struct pg_error *error) {
    struct buf b = {0};
    struct diag d = DIAG_INIT;
    err e = sql_text_answers(c, NULL, text, &b, &d);
    *answer = arena_str(out, buf_str(&b));
    buf_free(&b);
    if (e != ERR_OK) *error = (struct pg_error){.set = true, .state = "XX000"};
    return e == ERR_OK;
}

/* ---- what is asked ---- */

struct request {
    struct pg_session session;
    str text;                /* of the batch */
    bool http;               /* over HTTP */
    bool terse;              /* … its errors */
    bool nobody;             /* … without a token */
    struct rest_plan plan;   /* of such a one */
    struct pg_error refused; /* by the REST room */
    str before, search;      /* as struct query_batch has them */
};

static bool flag_of(const struct query_json *v, const char *key) {
    const struct query_json *m = query_json_get(v, key);
    return m && m->kind == JSON_KIND_BOOL && m->b;
}

static str text_of(const struct query_json *v, const char *key) {
    const struct query_json *m = query_json_get(v, key);
    return m && m->kind == JSON_KIND_STR ? m->s : (str){0};
}

/* Who shows a token is who it says; false: it is none, and r->refused says why. */
static bool read_token(arena *out, const struct query_json *v, const struct rest_request *rq, struct request *r) {
    str field = {0}, anonymous = r->session.role;
    struct node_jwt_key key = {.any_kid = true, .secret = text_of(v, "secret")};
    struct node_jwt jwt;
    for (uint32_t i = 0; i < rq->fields_count; i++)
        if (str_eq_nocase(rq->fields[i].name, STR("authorization"))) field = rq->fields[i].value;
    if (field.n < 6 || !str_eq_nocase(str_sub(field, 0, 6), STR("bearer"))) return r->nobody = true;
    enum node_jwt_end end =
        node_jwt_verify(out, str_trim(str_sub(field, 6, field.n)), &key, !flag_of(v, "keyless"), (int64_t)time(NULL), &jwt);
    str audience = text_of(v, "audience");
    if (end == NODE_JWT_GOOD && audience.n && !node_jwt_is_for(&jwt, audience)) end = NODE_JWT_AUDIENCE;
    if (end != NODE_JWT_GOOD) return node_jwt_error(end, &jwt, &r->refused), false;
    r->session.role = jwt.has_role ? jwt.role : anonymous;
    r->session.claims = jwt.claims;
    str more = str_trim(str_sub(jwt.claims, str_find(jwt.claims, '{') + 1, jwt.claims.n));
    if (!jwt.has_role)
        r->session.claims =
            arena_fmt(out, "{\"role\":\"" STR_FMT "\"%s" STR_FMT, STR_ARG(anonymous), more.n > 1 ? "," : "", STR_ARG(more));
    r->nobody = !jwt.has_role;
    return true;
}

static void read_http(arena *out, const struct query_json *v, struct request *r) {
    struct rest_request *rq = arena_make(out, struct rest_request);
    struct rest_options *o = arena_make(out, struct rest_options);
    const struct query_json *fields = query_json_get(v, "fields"), *schemas = query_json_get(v, "schemas"),
                            *most = query_json_get(v, "rowsMax"), *path = query_json_get(v, "searched");
    *rq = (struct rest_request){
        .method = text_of(v, "method"), .path = text_of(v, "path"), .query = text_of(v, "query"), .body = text_of(v, "body")};
    struct rest_field *f = arena_array(out, struct rest_field, fields ? fields->n + 1 : 1);
    str *names = arena_array(out, str, schemas ? schemas->n + 1 : 1);
    for (uint32_t i = 0; fields && i < fields->n; i++)
        f[i] = (struct rest_field){fields->items[i].items[0].s, fields->items[i].items[1].s};
    for (uint32_t i = 0; schemas && i < schemas->n; i++) names[i] = schemas->items[i].s;
    rq->fields = f;
    rq->fields_count = fields ? fields->n : 0;
    str *searched = arena_array(out, str, path ? path->n + 1 : 1);
    for (uint32_t i = 0; path && i < path->n; i++) searched[i] = path->items[i].s;
    *o = (struct rest_options){.schemas = names,
                               .schemas_count = schemas ? schemas->n : 0,
                               .path = path ? searched : NULL,
                               .path_count = path ? path->n : 0,
                               .aggregates = flag_of(v, "aggregates"),
                               .explains = flag_of(v, "plan"),
                               .undo = true,
                               .target_names = flag_of(v, "targetNames"),
                               .rows_max = most ? (uint32_t)atoi(arena_cstr(out, most->raw)) : 0};
    struct buf h = {0};
    struct json_writer w = json_writer_of(&h);
    json_put_object(&w, NULL);
    for (uint32_t i = 0; i < rq->fields_count; i++) {
        char *name = arena_cstr(out, f[i].name);
        for (char *c = name; *c; c++) *c |= *c >= 'A' && *c <= 'Z' ? 32 : 0;
        json_put_str(&w, name, f[i].value);
    }
    json_put_end(&w);
    r->session.headers = arena_str(out, buf_str(&h));
    buf_free(&h);
    r->session.cookies = rest_cookies(out, rq);
    r->session.method = rq->method;
    r->session.path = rq->path;
    r->http = true;
    r->before = text_of(v, "before");
    r->search = text_of(v, "search");
    r->terse = o->terse = flag_of(v, "terse");
    o->root = text_of(v, "root");
    o->no_openapi = flag_of(v, "noOpenapi");
    if (!read_token(out, v, rq, r) || !rest_plan_of(out, o, rq, &r->plan, &r->refused)) return;
    struct buf b = {0};
    r->plan.batch.rollback = r->plan.prefer.tx != REST_COMMIT;
    query_put_batch(&b, &r->plan.batch);
    r->text = arena_str(out, buf_str(&b));
    buf_free(&b);
}

static void read_claims(arena *out, struct request *r) {
    static const struct json_limits limits = {.bytes_max = 64 << 10, .depth_max = 32, .values_max = 4096};
    struct json *parsed = arena_make(out, struct json);
    struct diag ignored = DIAG_INIT;
    if (r->session.claims.n && json_read(out, r->session.claims, &limits, parsed, &ignored) == ERR_OK)
        r->session.claims_json = parsed;
}

static bool read_request(arena *out, str line, struct request *r) {
    struct query_json v;
    struct pg_error e = {0};
    if (!query_json_read(out, line, &v, &e)) return false;
    const struct query_json *role = query_json_get(&v, "role"), *claims = query_json_get(&v, "claims");
    *r = (struct request){0};
    r->session = (struct pg_session){.role = role ? role->s : STR("anon"), .claims = claims ? claims->raw : (str){0}, .mem = out};
    if (query_json_get(&v, "method")) read_http(out, &v, r);
    read_claims(out, r);
    if (r->http) return true;
    struct buf b = {0};
    buf_puts(&b, STR("{"));
    for (uint32_t i = 0; i < v.n; i++) {
        struct query_json_member *m = &v.members[i];
        if (str_eqc(m->key, "role") || str_eqc(m->key, "claims")) continue;
        buf_printf(&b, "%s\"" STR_FMT "\":" STR_FMT, b.n > 1 ? "," : "", STR_ARG(m->key), STR_ARG(m->v.raw));
    }
    buf_puts(&b, STR("}"));
    r->text = arena_str(out, buf_str(&b));
    buf_free(&b);
    return true;
}

static void print_error(const char *state, str message, str detail, str hint) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    json_put_object(&w, NULL);
    json_put_str(&w, "message", message);
    json_put_str(&w, "details", detail);
    json_put_str(&w, "hint", hint);
    json_put_end(&w);
    printf("%s\t" STR_FMT "\n", state, STR_ARG(buf_str(&b)));
    buf_free(&b);
}

static void print_pg_error(const struct pg_error *e) {
    print_error(e->state, str_c(e->message), str_c(e->detail), str_c(e->hint));
}

static void print_response(const struct rest_response *x) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    json_put_object(&w, NULL);
    json_put_u64(&w, "status", x->status);
    json_put_array(&w, "fields");
    for (uint32_t i = 0; i < x->fields_count; i++) {
        json_put_array(&w, NULL);
        json_put_str(&w, NULL, x->fields[i].name);
        json_put_str(&w, NULL, x->fields[i].value);
        json_put_end(&w);
    }
    json_put_end(&w);
    if (x->has_body) json_put_u64(&w, "length", x->body.n);
    json_put_str(&w, "body", x->body);
    json_put_end(&w);
    printf(STR_FMT "\n", STR_ARG(buf_str(&b)));
    buf_free(&b);
}

static void say_error(const struct request *r, const struct pg_error *e, arena *out) {
    struct rest_response x;
    if (!r->http) {
        print_pg_error(e);
        return;
    }
    rest_refuse(out, e, (r->nobody ? REST_NOBODY : 0) | (r->terse ? REST_TERSE : 0), &x);
    print_response(&x);
}

static void say_results(const struct request *r, const struct query_batch *b, const struct query_result *results,
                        const struct query_said *said, arena *out) {
    struct buf body = {0};
    struct rest_response x;
    struct query_head head;
    str rest;
    query_batch_body(b, results, said, &body);
    if (r->http) {
        if (!query_head_of(out, buf_str(&body), &head, &rest)) fail("head");
        rest_answer(out, &r->plan, &head, rest, &x);
        print_response(&x);
        buf_free(&body);
        return;
    }
    printf("ok\t" STR_FMT "\n", STR_ARG(buf_str(&body)));
    buf_free(&body);
}

static int64_t now_us(void) { return (int64_t)(clock_wall_ns() / 1000) - 946'684'800'000'000; }

static const struct catalog *here; /* SQLite's */

/* What is called before each request and cannot run on SQLite is left out there. */
static bool runs_here(str name) {
    str schema, function;
    if (!str_cut(name, '.', &schema, &function)) return false;
    const struct catalog_function *f = catalog_function_next(here, schema, function, NULL);
    return f && !f->why_not.n;
}

static void on_sqlite(struct db *db, struct query_conn *conn, const struct request *r, arena *out) {
    struct query_batch b = {0};
    struct pg_error e = {0};
    if (r->refused.set || !query_read_batch(out, r->text, &b, &e)) {
        say_error(r, r->refused.set ? &r->refused : &e, out);
        return;
    }
    struct query_result *results = arena_array(out, struct query_result, b.count);
    struct pg_session session = r->session;
    session.now = session.statement_now = now_us();
    if (db_begin(db, &diag) != ERR_OK) fail("begin");
    struct query_said said;
    b.before = runs_here(r->before) ? r->before : (str){0};
    bool ok = query_run_batch(conn, &session, &b, results, &said);
    if (!ok || b.rollback) db_rollback(db);
    else if (db_commit(db, &diag) != ERR_OK) fail("commit");
    const struct pg_error *first = NULL;
    for (uint32_t i = 0; i < b.count && !first; i++)
        if (results[i].error.set) first = &results[i].error;
    if (ok) say_results(r, &b, results, &said, out);
    else say_error(r, first ? first : &e, out);
    for (uint32_t i = 0; i < b.count; i++) query_result_free(&results[i]);
}

/* ---- PostgreSQL ---- */

struct asked {
    struct net_loop *loop;
    const struct query_batch *batch;
    struct query_result *results;
    const struct query_text *texts;
    const struct request *request;
    arena *out;
    bool failed;
    uint32_t first; /* tree's statement */
    struct query_said said;
};

static str value_of(void *arg, uint32_t statement, uint32_t row, uint32_t column) {
    return postgres_value(arg, statement, row, column, NULL);
}
static uint32_t rows_of(void *arg, uint32_t statement) { return postgres_rows(arg, statement); }
static uint64_t affected_by(void *arg, uint32_t statement) { return postgres_affected(arg, statement); }

static struct query_answers answers_of(const struct postgres_answer *answer) {
    return (struct query_answers){(void *)(uintptr_t)answer, value_of, rows_of, affected_by};
}

/* Before the commit: what the trees say of the number of rows. */
static bool judge(void *arg, const struct postgres_answer *a, struct postgres_error *error) {
    struct asked *asked = arg;
    struct pg_error said = {0};
    struct query_answers answers = answers_of(a);
    if (query_judge_answers(asked->batch, asked->texts, &answers, asked->first, &said)) return true;
    snprintf(error->state, sizeof error->state, "%.*s", (int)sizeof error->state - 1, said.state);
    snprintf(error->message, sizeof error->message, "%s", said.message);
    snprintf(error->detail, sizeof error->detail, "%s", said.detail);
    return false;
}

static void told(void *arg, const struct postgres_answer *a) {
    struct asked *asked = arg;
    const struct postgres_error *e = postgres_error(a);
    net_loop_stop(asked->loop);
    if (postgres_outcome(a) != POSTGRES_DONE) {
        struct pg_error said = {.set = true};
        asked->failed = true;
        snprintf(said.state, sizeof said.state, "%s", *e->state ? e->state : "away");
        snprintf(said.message, sizeof said.message, "%.500s", e->message);
        snprintf(said.detail, sizeof said.detail, "%s", e->detail);
        snprintf(said.hint, sizeof said.hint, "%s", e->hint);
        say_error(asked->request, &said, asked->out);
        return;
    }
    struct pg_error error = {0};
    struct query_answers answers = answers_of(a);
    if (!query_take_answers(asked->batch, asked->texts, &answers, asked->first, asked->results, &asked->said, &error)) {
        asked->failed = true;
        say_error(asked->request, &error, asked->out);
    }
    asked->said.headers = arena_str(asked->out, asked->said.headers);
    asked->said.status = arena_str(asked->out, asked->said.status);
}

static struct postgres_statement statement_of(arena *out, str text, const struct query_bound *values, uint32_t n) {
    struct postgres_value *v = arena_array(out, struct postgres_value, n + 1);
    for (uint32_t i = 0; i < n; i++) v[i] = (struct postgres_value){values[i].null, values[i].text, 0};
    return (struct postgres_statement){.text = text, .values = v, .count = n, .kept = true};
}

static void on_postgres(struct net_loop *loop, struct postgres *server, const struct catalog *c, const struct request *r,
                        arena *out) {
    struct query_batch b = {0};
    struct pg_error e = {0};
    if (r->refused.set || !query_read_batch(out, r->text, &b, &e)) {
        say_error(r, r->refused.set ? &r->refused : &e, out);
        return;
    }
    struct postgres_statement *s = arena_array(out, struct postgres_statement, 3 * b.count + 4);
    struct query_text *texts = arena_array(out, struct query_text, b.count);
    struct pg_session session = r->session;
    struct query_text settings, before;
    uint32_t n = 0, first;
    bool writes = false;
    b.before = r->before;
    b.search = r->search;
    query_print_settings(out, &session, &b, &settings);
    s[n++] = statement_of(out, arena_fmt(out, "select " STR_FMT, STR_ARG(settings.text)), settings.values, settings.values_count);
    if (query_print_before(out, &b, &before)) s[n++] = statement_of(out, before.text, NULL, 0);
    first = n;
    session.now = session.statement_now = now_us();
    session.types = query_types_new(out, c);
    for (uint32_t i = 0; i < b.count; i++) {
        if (!query_resolve(out, c, &session, &b.queries[i], &e) ||
            !query_print_postgres(out, c, &session, &b.queries[i], &texts[i], &e)) {
            b.count = i; /* those before it come first, and what goes wrong with them */
            break;
        }
        writes |= query_writes(&b.queries[i]);
        s[n++] = statement_of(out, texts[i].text, texts[i].values, texts[i].values_count);
        if (texts[i].count.n) s[n++] = statement_of(out, texts[i].count, texts[i].count_values, texts[i].count_values_count);
        if (texts[i].planned.n)
            s[n++] = statement_of(out, texts[i].planned, texts[i].planned_values, texts[i].planned_values_count);
    }
    if (!writes && !e.set)
        s[0].text = arena_fmt(out, "select set_config('transaction_read_only', 'on', true), " STR_FMT, STR_ARG(settings.text));
    if (b.counted) s[n++] = statement_of(out, query_ask_said, NULL, 0);
    if (b.rollback && writes) s[n++] = statement_of(out, query_ask_constraints, NULL, 0);
    struct asked asked = {.loop = loop,
                          .batch = &b,
                          .results = arena_array(out, struct query_result, b.count + 1),
                          .texts = texts,
                          .request = r,
                          .out = out,
                          .first = first};
    bool undone = b.rollback || e.set;
    postgres_ask(server,
                 &(struct postgres_question){.statements = s, .count = n, .ms_max = 20'000, .undone = undone, .judge = judge},
                 told, &asked);
    net_loop_run(loop);
    if (!asked.failed && e.set) say_error(r, &e, out);
    else if (!asked.failed) say_results(r, &b, asked.results, &asked.said, out);
    for (uint32_t i = 0; i < b.count; i++) query_result_free(&asked.results[i]);
}

/* What PostgreSQL itself says of what it has, as the broker asks it. */
static uint32_t live_rows(void *arg, uint32_t statement) { return postgres_rows(arg, statement); }
static str live_value(void *arg, uint32_t statement, uint32_t row, uint32_t column) {
    return postgres_value(arg, statement, row, column, NULL);
}

struct living {
    struct net_loop *loop;
    struct catalog *catalog;
};

static void on_live(void *arg, const struct postgres_answer *a) {
    struct living *l = arg;
    net_loop_stop(l->loop);
    if (postgres_outcome(a) != POSTGRES_DONE) {
        fprintf(stderr, "%s\n", postgres_error(a)->message);
        fail("what PostgreSQL says of itself");
    }
    catalog_live(l->catalog, &(struct catalog_answer){(void *)(uintptr_t)a, live_rows, live_value});
    struct buf b = {0}; /* it holds together */
    struct catalog *again;
    arena *scratch = arena_new(0);
    catalog_write(&b, l->catalog);
    if (catalog_read(scratch, buf_str(&b), &again, &diag) != ERR_OK) fail("what PostgreSQL says of itself");
    buf_free(&b);
    arena_free(scratch);
}

static void make_live(struct net_loop *loop, struct postgres *server, struct catalog *c) {
    struct postgres_statement s[1 + CATALOG_LIVE] = {0};
    struct living l = {loop, c};
    for (uint32_t i = 0; i < CATALOG_LIVE; i++) s[i] = (struct postgres_statement){.text = catalog_live_text(i)};
    postgres_ask(server, &(struct postgres_question){.statements = s, .count = CATALOG_LIVE, .ms_max = 60'000}, on_live, &l);
    net_loop_run(loop);
}

/* ---- the whole ---- */

static void print_platform(void) {
    uint32_t n;
    const struct sql_file *f = sql_platform(true, &n);
    for (uint32_t i = 0; i < n; i++) printf(STR_FMT "\n", STR_ARG(f[i].text));
}

static struct db *open_database(const char *path) {
    struct db *db;
    char *folder = arena_cstr(mem, str_c(path)), *slash = strrchr(folder, '/');
    if (slash) {
        *slash = 0;
        if (chdir(folder)) fail(folder);
    }
    if (db_open(&(struct db_options){.name = slash ? slash + 1 : folder, .create = true, .quick = true}, &db, &diag) != ERR_OK)
        fail(path);
    return db;
}

int main(int argc, char **argv) {
    mem = arena_new(0);
    if (argc == 2 && !strcmp(argv[1], "--platform")) {
        print_platform();
        return 0;
    }
    if (argc > 1 && !strcmp(argv[1], "--strict")) strict = true, argc--, argv++;
    if (argc < 4) return 64;
    str requests = read_file(argv[3]), line;
    struct db *db = open_database(argv[2]);
    struct query_conn *conn; /* what migrations call is registered by it */
    if (query_conn_new(db, catalog_new(mem, CATALOG_SQLITE), &(struct query_options){.writer = true, .translate = translate},
                       &conn, &diag) != ERR_OK)
        fail("connection");
    files f = files_of(argv[1]);
    here = migrate(db, conn, f);
    struct catalog *there = argc > 4 ? plan_of(argc > 5 ? files_of(argv[5]) : f, CATALOG_POSTGRES).catalog : NULL;
    struct net_loop *loop = argc > 4 ? net_loop_new() : NULL;
    struct postgres *server =
        loop ? postgres_new(&(struct postgres_options){
                   .loop = loop, .where = argv[4], .connections_max = 1, .waiting_max = 1, .connect_ms = 20'000})
             : NULL;
    if (server && requests.n) make_live(loop, server, there);
    while (requests.n) {
        str_cut(requests, '\n', &line, &requests);
        if (!line.n) continue;
        arena *out = arena_new(0);
        struct request r;
        if (!read_request(out, line, &r)) fail("a request is no JSON");
        on_sqlite(db, conn, &r, out);
        if (server) on_postgres(loop, server, there, &r, out);
        fflush(stdout);
        arena_free(out);
    }
    postgres_free(server);
    if (loop) net_loop_free(loop);
    query_conn_free(conn);
    db_close(db);
    return 0;
}
