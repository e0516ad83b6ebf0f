/* store: questions to the app's tables, as query trees (docs/query.md): batches, each of which is one transaction. */
#include "auth/auth_int.h"
#include <stdio.h>

void auth_batch_begin(struct auth_batch *b) {
    *b = (struct auth_batch){0};
    b->w = json_writer_of(&b->b);
    json_put_object(&b->w, NULL);
    json_put_array(&b->w, "batch");
}

void auth_tree(struct auth_batch *b, const char *kind, const char *table) {
    b->w.b = &b->b; /* it may have been moved */
    b->n++;
    json_put_object(&b->w, NULL);
    json_put_cstr(&b->w, "kind", kind);
    json_put_cstr(&b->w, "schema", "auth");
    json_put_cstr(&b->w, "from", table);
}
void auth_call_of(struct auth_batch *b, const char *function) {
    b->w.b = &b->b;
    b->n++;
    json_put_object(&b->w, NULL);
    json_put_cstr(&b->w, "kind", "call");
    json_put_cstr(&b->w, "schema", "auth");
    json_put_cstr(&b->w, "function", function);
}
void auth_end(struct auth_batch *b) { json_put_end(&b->w); }
void auth_where(struct auth_batch *b) { json_put_array(&b->w, "where"); }

void auth_op(struct auth_batch *b, const char *column, const char *op, str value) {
    json_put_object(&b->w, NULL);
    json_put_cstr(&b->w, "column", column);
    json_put_cstr(&b->w, "op", op);
    json_put_str(&b->w, "value", value);
    json_put_end(&b->w);
}
void auth_eq(struct auth_batch *b, const char *column, str value) { auth_op(b, column, "eq", value); }

void auth_is_null(struct auth_batch *b, const char *column) {
    json_put_object(&b->w, NULL);
    json_put_cstr(&b->w, "column", column);
    json_put_cstr(&b->w, "op", "is");
    json_put_null(&b->w, "value");
    json_put_end(&b->w);
}

void auth_is_false(struct auth_batch *b, const char *column) {
    json_put_object(&b->w, NULL);
    json_put_cstr(&b->w, "column", column);
    json_put_cstr(&b->w, "op", "is");
    json_put_bool(&b->w, "value", false);
    json_put_end(&b->w);
}

void auth_set(struct auth_batch *b) { json_put_object(&b->w, "set"); }
void auth_row(struct auth_batch *b) {
    json_put_array(&b->w, "rows");
    json_put_object(&b->w, NULL);
}
void auth_row_end(struct auth_batch *b) {
    json_put_end(&b->w);
    json_put_end(&b->w);
}

void auth_one(struct auth_batch *b) {
    b->guarded = true;
    json_put_bool(&b->w, "single", true);
    json_put_raw(&b->w, "select", STR("[\"id\"]"));
}

#define OF_USER                                                                                                                  \
    "\"*\",{\"embed\":\"identities\",\"select\":[\"*\"],\"order\":[\"created_at\",\"id\"]},"                                     \
    "{\"embed\":\"mfa_factors\",\"select\":[\"*\"],\"order\":[\"created_at\",\"id\"]}"
void auth_select_user(struct auth_batch *b) {
    auth_tree(b, "select", "users");
    json_put_raw(&b->w, "select", STR("[" OF_USER "]"));
}
void auth_select_identity(struct auth_batch *b) {
    auth_tree(b, "select", "identities");
    json_put_raw(&b->w, "select", STR("[\"*\",{\"embed\":\"users\",\"select\":[" OF_USER "]}]"));
}
void auth_select_session(struct auth_batch *b) {
    auth_tree(b, "select", "sessions");
    json_put_raw(
        &b->w, "select",
        STR("[\"*\",{\"embed\":\"users\",\"select\":[" OF_USER
            "]},{\"embed\":\"mfa_amr_claims\",\"select\":[\"*\"],\"order\":[{\"column\":\"updated_at\",\"desc\":true}]}]"));
}

/* Something that passes: a server that comes back, a queue that empties, a disk. */
static bool passes(const char *state) {
    static const char *const classes[] = {"08", "53", "57", "40", "55", "58", "25"};
    for (size_t i = 0; i < ARRAY_COUNT(classes); i++)
        if (!strncmp(state, classes[i], 2)) return true;
    return false;
}

enum auth_ran auth_run(struct auth_call *c, struct auth_batch *b, const char *what, struct json *answers) {
    static const struct json_limits limits = {24 << 20, JSON_DEPTH_MAX, 1 << 20};
    struct pg_error error = {0};
    struct diag d = DIAG_INIT;
    str answer = {0};
    *answers = (struct json){0};
    if (c->failed) { /* while it was made */
        buf_free(&b->b);
        return AUTH_NOT_RUN;
    }
    b->w.b = &b->b;
    json_put_end(&b->w);
    json_put_end(&b->w);
    bool ok = c->host->query(c->host->arg, c->mem, buf_str(&b->b), &answer, &error);
    bool guarded = b->guarded;
    explicit_bzero(b->b.p, b->b.n);
    buf_free(&b->b);
    if (ok && json_read(c->mem, answer, &limits, answers, &d) == ERR_OK) return AUTH_RAN;
    if (ok) snprintf(error.state, sizeof error.state, "XX000"), snprintf(error.message, sizeof error.message, "%.400s", d.text);
    c->db = error;
    c->made = (str){0};
    if (guarded && !strcmp(error.state, "PGRST116")) return AUTH_MOVED;
    if (!strcmp(error.state, "23505")) return AUTH_TAKEN;
    c->host->failed(c->host->arg, what, &error);
    if (passes(error.state)) (void)auth_fail(c, AUTH_ERROR_later);
    else (void)auth_fail_text(c, AUTH_ERROR_unexpected_failure, "%s", what);
    return AUTH_NOT_RUN;
}

const struct json *auth_first(const struct json *answers, uint32_t tree) {
    return json_item(json_get(json_item(answers, tree), "rows"), 0);
}
