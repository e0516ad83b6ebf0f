/* tree: see tree.h. */
#include "node/tree.h"
#include <stdio.h>
#include <stdlib.h>

/* ---- asks ---- */

void node_tree_ask_copy(arena *out, const struct node_tree_ask *from, struct node_tree_ask *to) {
    *to = (struct node_tree_ask){.role = arena_str(out, from->role),
                                 .claims = arena_str(out, from->claims),
                                 .headers = arena_str(out, from->headers),
                                 .cookies = arena_str(out, from->cookies),
                                 .method = arena_str(out, from->method),
                                 .path = arena_str(out, from->path),
                                 .before = arena_str(out, from->before),
                                 .search = arena_str(out, from->search),
                                 .explains = arena_str(out, from->explains),
                                 .rows = arena_str(out, from->rows),
                                 .parts = arena_str(out, from->parts),
                                 .own = arena_str(out, from->own),
                                 .body = arena_str(out, from->body),
                                 .hops = from->hops};
}

void node_tree_ask_values(const struct node_tree_ask *ask, struct app_value to[static NODE_TREE_ASK_VALUES]) {
    const str texts[NODE_TREE_ASK_VALUES] = {ask->role,  ask->claims, ask->headers, ask->cookies,  ask->method,
                                             ask->path,  ask->before, ask->search,  ask->explains, ask->rows,
                                             ask->parts, ask->own,    ask->body};
    for (size_t i = 0; i < NODE_TREE_ASK_VALUES; i++) to[i] = APP_TEXT(texts[i]);
}

bool node_tree_ask_of_values(const struct app_value *values, uint32_t count, struct node_tree_ask *to) {
    str *const texts[NODE_TREE_ASK_VALUES] = {&to->role,  &to->claims, &to->headers, &to->cookies,  &to->method,
                                              &to->path,  &to->before, &to->search,  &to->explains, &to->rows,
                                              &to->parts, &to->own,    &to->body};
    for (uint32_t i = 0; i < NODE_TREE_ASK_VALUES && count == NODE_TREE_ASK_VALUES; i++) {
        if (values[i].kind != APP_VALUE_TEXT || !str_is_utf8(values[i].s)) return false;
        *texts[i] = values[i].s;
    }
    return count == NODE_TREE_ASK_VALUES;
}

bool node_tree_read_batch(arena *out, const struct node_tree_ask *ask, struct query_batch *batch, struct pg_error *error) {
    uint64_t most = 0;
    if (!query_read_batch(out, ask->body, batch, error)) return false;
    if (!ask->rows.n || !str_to_u64(ask->rows, &most) || most > INT64_MAX) return true;
    for (uint32_t i = 0; i < batch->count; i++) {
        struct query *q = &batch->queries[i];
        bool lists = q->kind == QUERY_SELECT || q->kind == QUERY_CALL;
        if (lists && (q->select.limit < 0 || q->select.limit > (int64_t)most)) q->select.limit = (int64_t)most;
    }
    return true;
}

bool node_tree_writes(const struct query_batch *batch) {
    for (uint32_t i = 0; i < batch->count; i++)
        if (query_writes(&batch->queries[i])) return true;
    return false;
}

/* ---- errors ---- */

void node_tree_fail(struct pg_error *error, const char *state, const char *fmt, ...) {
    if (error->set) return;
    va_list ap;
    ENSURE(fmt);
    va_start(ap, fmt);
    vsnprintf(error->message, sizeof error->message, fmt, ap);
    va_end(ap);
    snprintf(error->state, sizeof error->state, "%s", state);
    error->set = true;
}

void node_tree_late(struct pg_error *error) {
    *error = (struct pg_error){0};
    node_tree_fail(error, "57014", "canceling statement due to statement timeout");
}

void node_tree_error_values(const struct pg_error *error, struct buf *to) {
    const char *const texts[] = {error->state,  error->message, error->detail, error->hint,
                                 error->schema, error->table,   error->column, error->constraint};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) app_values_write(to, &APP_TEXT(str_c(texts[i])), 1);
    app_values_write(to, &APP_I64(error->place), 1);
}

void node_tree_error_of_values(const struct app_value *values, uint32_t count, struct pg_error *to) {
    const struct {
        char *p;
        size_t n;
    } texts[] = {{to->state, sizeof to->state},   {to->message, sizeof to->message},      {to->detail, sizeof to->detail},
                 {to->hint, sizeof to->hint},     {to->schema, sizeof to->schema},        {to->table, sizeof to->table},
                 {to->column, sizeof to->column}, {to->constraint, sizeof to->constraint}};
    *to = (struct pg_error){.set = true, .state = "XX000"};
    for (uint32_t i = 0; i < count && i < ARRAY_COUNT(texts); i++)
        if (values[i].kind == APP_VALUE_TEXT) snprintf(texts[i].p, texts[i].n, STR_FMT, STR_ARG(values[i].s));
    const struct app_value *place = count > ARRAY_COUNT(texts) ? &values[ARRAY_COUNT(texts)] : NULL;
    if (place && place->kind == APP_VALUE_INTEGER && place->i >= 0 && place->i <= QUERY_BATCH_MAX) to->place = (uint32_t)place->i;
}

/* ---- running ---- */

/* Whether it may become that one: being a member is enough, whether it inherits or not. */
static bool may_become(const struct catalog *c, const struct catalog_role *login, uint32_t role) {
    for (uint32_t i = 0; i < login->member_of.n; i++)
        if (catalog_role_is(c, login->member_of.p[i], role)) return true;
    return false;
}

/* Callers come as a role that the authenticator may take: its members, as PostgREST has it. */
bool node_tree_may_be(const struct catalog *c, str name, bool own, struct pg_error *error) {
    const struct catalog_role *role = catalog_role_named(c, name), *login = catalog_role_named(c, STR("authenticator"));
    if (!role) node_tree_fail(error, "22023", "role \"" STR_FMT "\" does not exist", STR_ARG(str_sub(name, 0, 63)));
    else if (role->superuser || (str_eqc(name, NODE_TREE_OWN_ROLE) ? !own : !login || !may_become(c, login, role->id)))
        node_tree_fail(error, "42501", "permission denied to set role \"" STR_FMT "\"", STR_ARG(str_sub(name, 0, 63)));
    return !error->set;
}

bool node_tree_may_ask(const struct node_tree_ask *ask, const struct query_batch *batch, struct pg_error *error) {
    bool explains = false;
    for (uint32_t i = 0; i < batch->count; i++) explains |= batch->queries[i].explain != QUERY_EXPLAIN_NONE;
    if (explains && !ask->explains.n && !str_eqc(ask->role, "service_role"))
        node_tree_fail(error, "42501", "permission denied to ask how a query is run");
    return !error->set;
}

int64_t node_tree_now_us(void) {
    static const int64_t from_1970_to_2000_s = 946'684'800;
    return (int64_t)(clock_wall_ns() / 1000u) - from_1970_to_2000_s * 1'000'000;
}

/* What came as claims is JSON. Who came without any is of its role, and claims that: policies and functions may read them in any case. */
static void read_claims(arena *mem, const struct node_tree_ask *ask, struct pg_session *s) {
    s->claims = ask->claims;
    if (s->claims.n) return;
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    json_put_object(&w, NULL);
    json_put_str(&w, "role", ask->role);
    json_put_end(&w);
    s->claims = arena_str(mem, buf_str(&b));
    buf_free(&b);
}

struct pg_session node_tree_session(const struct node_tree_ask *ask, arena *mem) {
    int64_t now = node_tree_now_us();
    struct pg_session s = {.role = ask->role,
                           .headers = ask->headers,
                           .cookies = ask->cookies,
                           .method = ask->method,
                           .path = ask->path,
                           .now = now,
                           .statement_now = now,
                           .mem = mem};
    read_claims(mem, ask, &s);
    return s;
}

bool node_tree_run(const struct node_tree_running *what, struct buf *body, struct pg_error *error) {
    struct query_batch *batch = (struct query_batch *)(uintptr_t)what->batch;
    struct query_result *results = arena_array(what->mem, struct query_result, batch->count + 1);
    struct pg_session session = node_tree_session(what->ask, what->mem);
    memset(results, 0, sizeof *results * (batch->count + 1));
    if (!node_tree_may_be(what->catalog, what->ask->role, what->ask->own.n, error) || !node_tree_may_ask(what->ask, batch, error))
        return false;
    struct query_said said;
    batch->before = what->ask->before;
    query_conn_answer_max(what->conn, what->bytes_max);
    query_conn_stream(what->conn, what->stream);
    bool ok = query_run_batch(what->conn, &session, batch, results, &said), rest = what->stream && what->stream->begun;
    query_conn_stream(what->conn, NULL);
    for (uint32_t i = 0; i < batch->count && !ok && !error->set; i++)
        if (results[i].error.set) *error = results[i].error, error->place = batch->many ? i + 1 : 0;
    if (ok && rest) buf_puts(body, buf_str(&results[0].body));
    else if (ok) query_batch_body(batch, results, &said, body);
    for (uint32_t i = 0; i < batch->count; i++) query_result_free(&results[i]);
    if (ok && body->n > what->bytes_max) node_tree_fail(error, "54000", "the answer is larger than %u bytes", what->bytes_max);
    return ok && !error->set;
}

/* ---- readers ---- */

struct node_tree_made {
    uint32_t users;
    int64_t version;
    arena *mem;
    struct catalog *catalog;
};
struct node_tree_conn {
    struct query_conn *conn;
    struct node_tree_made *made;
    uint32_t looked; /* the database's own number as it was when the catalogue's was read: both change with a commit */
};

void node_tree_made_unref(struct node_tree_made *made) {
    if (!made || --made->users) return;
    arena_free(made->mem);
    free(made);
}

void node_tree_conn_free(struct node_tree_conn *conn) {
    if (!conn) return;
    query_conn_free(conn->conn);
    node_tree_made_unref(conn->made);
    free(conn);
}

static void failed(struct pg_error *error, err e, const struct diag *d) {
    node_tree_fail(error, e == ERR_LIMIT ? "53200" : "58030", "%s",
                   e == ERR_LIMIT ? "out of memory" : "the database cannot be read");
    log_event(LOG_WARN, "data-not-read", LF_CSTR("reason", d->text));
}

static err read_catalog(struct db *db, int64_t version, struct node_tree_made **out, struct diag *d) {
    struct node_tree_made *made = calloc(1, sizeof *made);
    struct db_rows *rows;
    ENSURE(made);
    *made = (struct node_tree_made){.users = 1, .version = version, .mem = arena_new(0)};
    err e = db_query(db, &rows, d, "select value from _orlo_meta where key = 'catalog'");
    if (e == ERR_OK) {
        e = db_next(rows) ? catalog_read(made->mem, db_str(rows, 0), &made->catalog, d) : ERR_NOT_FOUND;
        err ended = db_end(rows, d);
        if (e == ERR_OK) e = ended;
    }
    if (e == ERR_OK) *out = made;
    else node_tree_made_unref(made);
    return e;
}

/* The catalogue as this transaction sees it. Other connections of the app have it, perhaps. */
static err catch_up(const struct node_tree_reading *what, int64_t version, struct diag *d) {
    struct node_tree_conn *conn = *what->conn;
    if (conn && conn->made->version == version && !query_conn_worn(conn->conn)) return ERR_OK;
    if (!*what->made || (*what->made)->version != version) {
        struct node_tree_made *made;
        TRY(read_catalog(what->db, version, &made, d));
        node_tree_made_unref(*what->made);
        *what->made = made;
    }
    if (!conn) {
        conn = calloc(1, sizeof *conn);
        ENSURE(conn);
        err e =
            query_conn_new(what->db, (*what->made)->catalog,
                           &(struct query_options){
                               .bytes_max = what->bytes_max, .translate = what->translate, .translate_arg = what->translate_arg},
                           &conn->conn, d);
        if (e != ERR_OK) free(conn);
        TRY(e);
        *what->conn = conn;
    } else {
        TRY(query_conn_catalog(conn->conn, (*what->made)->catalog, d));
        node_tree_made_unref(conn->made);
    }
    conn->made = *what->made;
    conn->made->users++;
    return ERR_OK;
}

void node_tree_read(const struct node_tree_reading *what, struct buf *body, struct pg_error *error) {
    struct diag d = DIAG_INIT;
    int64_t version = 0;
    err e = db_begin(what->db, &d);
    uint32_t now = db_data_version(what->db);
    bool known = *what->conn && (*what->conn)->looked == now && now;
    if (known) version = (*what->conn)->made->version;
    else if (e == ERR_OK) e = db_one_i64(what->db, &version, &d, "select value from _orlo_meta where key = 'version'");
    if (e == ERR_OK) e = catch_up(what, version, &d);
    if (e == ERR_OK) (*what->conn)->looked = now;
    if (e == ERR_NOT_FOUND) node_tree_fail(error, "42P01", "nothing was migrated to this database yet");
    else if (e != ERR_OK) failed(error, e, &d);
    else
        (void)node_tree_run(&(struct node_tree_running){.conn = (*what->conn)->conn,
                                                        .catalog = (*what->conn)->made->catalog,
                                                        .ask = what->ask,
                                                        .batch = what->batch,
                                                        .mem = what->mem,
                                                        .bytes_max = what->bytes_max,
                                                        .stream = what->stream},
                            body, error);
    /* Nothing of the database's was written: what stays are the connection's own views, for the next one. */
    if (db_in_transaction(what->db) && db_commit(what->db, &d) != ERR_OK) failed(error, ERR_IO, &d);
}
