/* pg_ask: evaluates expressions of SQLite's SQL on a connection that has the rows of the room pg, for tests/pg/texts.py.
 *
 *   type's oid TAB select …        a line in; its first row's first column is of that type
 *   = text | null | ! SQLSTATE message        a line out; \n, \t and \\ are escaped in both */
#include "pg/pg.h"
#include <stdio.h>
#include <stdlib.h>

static void unescape(str *s) {
    uint8_t *to = (uint8_t *)(uintptr_t)s->p, *start = to;
    for (const uint8_t *p = s->p, *end = p + s->n; p < end; p++) {
        if (*p == '\\' && p + 1 < end) {
            p++;
            *to++ = *p == 'n' ? '\n' : *p == 't' ? '\t' : *p;
        } else {
            *to++ = *p;
        }
    }
    s->n = (size_t)(to - start);
}

static void put_escaped(str s) {
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n') fputs("\\n", stdout);
        else if (s.p[i] == '\t') fputs("\\t", stdout);
        else if (s.p[i] == '\\') fputs("\\\\", stdout);
        else putchar(s.p[i]);
    }
}

static bool value_of(struct db *db, struct pg_call *call, str sql, uint32_t type, struct buf *out, bool *null, struct diag *d) {
    struct db_rows *rows;
    *null = true;
    if (db_query_values(db, sql, NULL, 0, &rows, d) != ERR_OK) return false;
    if (db_next(rows)) {
        struct db_value v = db_value(rows, 0);
        *null = v.kind == DB_NULL;
        if (!*null && type == PG_BOOL) buf_puts(out, v.i ? STR("true") : STR("false"));
        else if (!*null && !pg_value_out(call, type, v, out)) *null = true;
    }
    return db_end(rows, d) == ERR_OK && !pg_raised(call);
}

static void line_do(struct db *db, struct pg_call *call, str line) {
    str type, sql;
    uint64_t oid = 0;
    struct buf out = {0};
    struct diag d = DIAG_INIT;
    bool null;
    str_cut(line, '\t', &type, &sql);
    unescape(&sql);
    call->error->set = false;
    bool ok = str_to_u64(type, &oid) && value_of(db, call, sql, (uint32_t)oid, &out, &null, &d);
    if (!ok && call->error->set) printf("! %s ", call->error->state), put_escaped(str_c(call->error->message));
    else if (!ok) printf("? "), put_escaped(str_c(d.text));
    else if (null) fputs("null", stdout);
    else fputs("= ", stdout), put_escaped(buf_str(&out));
    putchar('\n');
    fflush(stdout);
    buf_free(&out);
}

int main(void) {
    struct pg_error error = {0};
    struct pg_session session = {.role = STR("postgres"), .mem = arena_new(0), .error = &error};
    struct pg_call call = {.mem = arena_new(0), .session = &session, .error = &error};
    struct diag d = DIAG_INIT;
    struct db *db;
    if (db_open(&(struct db_options){.name = ":memory:", .create = true, .statements = 1}, &db, &d) ||
        pg_register(db, &session, &d)) {
        fprintf(stderr, "pg_ask: %s\n", d.text);
        return 1;
    }
    char *line = NULL;
    size_t cap = 0;
    for (ssize_t n; (n = getline(&line, &cap, stdin)) > 2;) {
        line_do(db, &call, (str){(uint8_t *)line, (size_t)n - 1});
        arena_reset(call.mem);
    }
    free(line);
    db_close(db);
    arena_free(call.mem);
    arena_free(session.mem);
    return 0;
}
