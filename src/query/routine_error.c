/* routine_error: what a body raises, and what its handlers catch: as PostgreSQL's SQLSTATEs, and undone to where the block began. */
#include "plpgsql/plpgsql.h"
#include "query/routine_int.h"
#include <stdio.h>

str query_frame_text(struct frame *f, uint32_t place) {
    struct db_value v = f->places[place].v;
    return v.kind == DB_TEXTUAL ? v.s : (str){0};
}

static bool is_state(str s) {
    if (s.n != 5) return false;
    for (size_t i = 0; i < 5; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'A' && s.p[i] <= 'Z'))) return false;
    return true;
}

static void copy_text(char *to, size_t cap, str s) {
    size_t n = MIN(s.n, cap - 1);
    while (n && n < s.n && (s.p[n] & 0xc0) == 0x80) n--;
    if (n) memcpy(to, s.p, n);
    to[n] = 0;
}

bool query_frame_raise(struct frame *f, const uint32_t *op) {
    struct pg_error *e = &f->conn->raised;
    str state = query_frame_text(f, op[2] + CATALOG_RAISE_STATE), message = query_frame_text(f, op[2] + CATALOG_RAISE_MESSAGE);
    bool said = f->places[op[2] + CATALOG_RAISE_MESSAGE].v.kind == DB_TEXTUAL; /* if but the empty text */
    size_t at = 0;
    if (op[1] != PLPGSQL_EXCEPTION) {
        if (f->conn->notice && op[1] >= PLPGSQL_INFO) f->conn->notice(f->conn->notice_arg, op[1] == PLPGSQL_WARNING, message);
        return true;
    }
    if (!state.n) state = STR("P0001");
    if (!is_state(state)) {
        const char *known = plpgsql_condition(state, &at);
        if (!known)
            return query_fail(e, "42704", "unrecognized exception condition \"" STR_FMT "\"", STR_ARG(str_sub(state, 0, 100)));
        if (!said) message = state, said = true;
        state = str_c(known);
    }
    if (!said) message = state;
    *e = (struct pg_error){.set = true};
    copy_text(e->state, sizeof e->state, state);
    copy_text(e->message, sizeof e->message, message);
    copy_text(e->detail, sizeof e->detail, query_frame_text(f, op[2] + CATALOG_RAISE_DETAIL));
    copy_text(e->hint, sizeof e->hint, query_frame_text(f, op[2] + CATALOG_RAISE_HINT));
    copy_text(e->column, sizeof e->column, query_frame_text(f, op[2] + CATALOG_RAISE_COLUMN));
    copy_text(e->constraint, sizeof e->constraint, query_frame_text(f, op[2] + CATALOG_RAISE_CONSTRAINT));
    copy_text(e->table, sizeof e->table, query_frame_text(f, op[2] + CATALOG_RAISE_TABLE));
    copy_text(e->schema, sizeof e->schema, query_frame_text(f, op[2] + CATALOG_RAISE_SCHEMA));
    return false;
}

/* "orlo_r1" …: within the transaction that is open, each inside of the one before. */
static bool point(struct frame *f, const char *what, uint32_t depth) {
    char sql[64];
    struct diag d = DIAG_INIT;
    bool walled = f->conn->walled;
    snprintf(sql, sizeof sql, "%s orlo_r%u_%u", what, f->conn->routine_depth, depth);
    f->conn->walled = false;
    err e = db_script(f->conn->db, sql, &d);
    f->conn->walled = walled;
    if (e == ERR_OK) return true;
    if (strstr(d.text, "statements in progress"))
        return query_frame_raised(f, "0A000",
                                  "an exception block that writes cannot run within a statement that writes, on SQLite");
    return query_frame_failed(f, e, &d);
}

bool query_frame_try(struct frame *f, const uint32_t *op) {
    if (f->tries_n == TRIES_MAX) return query_frame_raised(f, "54001", "exception blocks nest too deep");
    bool writes = op[2] && !f->conn->reads_only;
    if (writes && !point(f, "savepoint", f->tries_n)) return false;
    f->tries[f->tries_n++] =
        (struct try){.handler = op[1], .writes = writes, .settings = f->conn->session.settings, .deferred = f->conn->deferred.n};
    return true;
}

bool query_frame_leave(struct frame *f, uint32_t n) {
    bool ok = true;
    for (; ok && n && f->tries_n; n--) {
        struct try *t = &f->tries[--f->tries_n];
        if (t->writes && !t->handling) ok = point(f, "release", f->tries_n);
    }
    return ok;
}

static bool may_catch(const struct pg_error *e) {
    return strcmp(e->state, "57014") != 0 && strcmp(e->state, "54001") != 0 && strcmp(e->state, "53200") != 0 &&
           strcmp(e->state, "58030") != 0 && strcmp(e->state, "53100") != 0;
}

/* To the innermost block that has handlers and was not in one: what it did is undone. False: there is none. */
bool query_frame_unwind(struct frame *f, uint32_t *at) {
    struct query_conn *conn = f->conn;
    query_text_over(f);
    while (f->tries_n) {
        struct try *t = &f->tries[f->tries_n - 1];
        if (t->handling || !may_catch(&conn->raised)) {
            f->tries_n--;
            if (t->writes && !t->handling && !db_in_transaction(conn->db)) t->writes = false;
            continue; /* whoever is above undoes all of it */
        }
        struct pg_error *e = arena_make(f->mem, struct pg_error);
        *e = conn->raised;
        conn->raised = (struct pg_error){0};
        if (t->writes) {
            if (!point(f, "rollback to", f->tries_n - 1) || !point(f, "release", f->tries_n - 1)) return false;
            query_made_look(conn);
            query_sequences_again(conn);
        }
        conn->session.settings = t->settings;
        conn->deferred.n = MIN(conn->deferred.n, t->deferred);
        t->handling = true;
        t->error = e;
        *at = t->handler;
        return true;
    }
    return false;
}

static uint32_t packed(const char *state) {
    uint32_t v = 0;
    for (size_t i = 0; i < 5 && state[i]; i++) v = v << 6 | (uint32_t)(state[i] <= '9' ? state[i] - '0' : state[i] - 'A' + 10);
    return v;
}

static const struct pg_error *handled(const struct frame *f) {
    for (uint32_t i = f->tries_n; i-- > 0;)
        if (f->tries[i].handling) return f->tries[i].error;
    return NULL;
}

/* A state of three zeroes stands for its class. */
static bool catches(uint32_t wanted, const struct pg_error *e) {
    uint32_t is = packed(e->state);
    if (wanted == UINT32_MAX) return strcmp(e->state, "P0004") != 0; /* others: but not ASSERT */
    return wanted == is || (!(wanted & 0x3ffff) && wanted >> 18 == is >> 18);
}

bool query_frame_catch(struct frame *f, const uint32_t *op, bool *hit) {
    const struct pg_error *e = handled(f);
    *hit = e && catches(op[1], e);
    return !*hit ||
           (query_frame_put(f, op[2], DB_TEXT(str_c(e->state))) && query_frame_put(f, op[2] + 1, DB_TEXT(str_c(e->message))));
}

bool query_frame_throw(struct frame *f) {
    const struct pg_error *e = handled(f);
    if (e) f->conn->raised = *e;
    else query_frame_raised(f, "XX000", "there is no error to raise again");
    return false;
}

bool query_frame_stacked(struct frame *f, const uint32_t *op) {
    const struct pg_error *e = handled(f);
    if (!e) return query_frame_raised(f, "0Z002", "GET STACKED DIAGNOSTICS cannot be used outside an exception handler");
    const char *const parts[] = {e->message, e->state, e->detail, e->hint, e->column, e->constraint, "", e->table, e->schema, ""};
    return query_frame_put(f, op[2], DB_TEXT(str_c(op[1] < ARRAY_COUNT(parts) ? parts[op[1]] : "")));
}
