/* tree: see tree.h. */
#include "node/tree.h"
#include <stdio.h>
#include <stdlib.h>

/* ---- asks ---- */

void node_tree_ask_copy(arena *out, const struct node_tree_ask *from, struct node_tree_ask *to) {
    *to = (struct node_tree_ask){.role = arena_str(out, from->role),
                                 .claims = arena_str(out, from->claims),
                                 .headers = arena_str(out, from->headers),
                                 .method = arena_str(out, from->method),
                                 .path = arena_str(out, from->path),
                                 .body = arena_str(out, from->body)};
}

void node_tree_ask_values(const struct node_tree_ask *ask, struct app_value to[static NODE_TREE_ASK_VALUES]) {
    const str texts[NODE_TREE_ASK_VALUES] = {ask->role, ask->claims, ask->headers, ask->method, ask->path, ask->body};
    for (size_t i = 0; i < NODE_TREE_ASK_VALUES; i++) to[i] = APP_TEXT(texts[i]);
}

bool node_tree_ask_of_values(const struct app_value *values, uint32_t count, struct node_tree_ask *to) {
    str *const texts[NODE_TREE_ASK_VALUES] = {&to->role, &to->claims, &to->headers, &to->method, &to->path, &to->body};
    for (uint32_t i = 0; i < NODE_TREE_ASK_VALUES && count == NODE_TREE_ASK_VALUES; i++) {
        if (values[i].kind != APP_VALUE_TEXT || !str_is_utf8(values[i].s)) return false;
        *texts[i] = values[i].s;
    }
    return count == NODE_TREE_ASK_VALUES;
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
}

/* ---- running ---- */

/* What runs them is not here yet. */
static void not_yet(struct pg_error *error) { node_tree_fail(error, "0A000", "queries are not run by this node yet"); }

void node_tree_made_unref(struct node_tree_made *made) {}
void node_tree_conn_free(struct node_tree_conn *conn) {}
void node_tree_read(const struct node_tree_reading *what, struct buf *body, struct pg_error *error) { not_yet(error); }
bool node_tree_run(const struct node_tree_running *what, struct buf *body, struct pg_error *error) {
    not_yet(error);
    return false;
}
