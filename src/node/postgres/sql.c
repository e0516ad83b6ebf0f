/* sql: a select of SQL's, as an app's owner has it asked (`orlo db query "select …"`): in a transaction that may write nothing and of which nothing stays, as its owner
 * or as a role with claims. What is asked is one statement, and stands where nothing but a query can: `select … from (it)`. */
#include "node/postgres/broker.h"
#include <stdio.h>

enum { ANSWER_BYTES_MAX = 64 << 20, LATE_MS = 2000 };
#define BEFORE "select pg_catalog.row_to_json(_orlo_query)::pg_catalog.text from (\n"

/* Where in what was asked; nothing where it is in none of it. */
static void place_of(str sql, uint32_t position, char to[static 64]) {
    uint32_t at = sizeof BEFORE - 1, line = 1, column = 1;
    *to = 0;
    if (position <= at || position - at > sql.n) return;
    for (size_t i = 0; i < sql.n && ++at < position; i++) {
        if (sql.p[i] == '\n') line++, column = 1;
        else column++;
        while (i + 1 < sql.n && (sql.p[i + 1] & 0xc0) == 0x80) i++; /* it counts characters */
    }
    snprintf(to, 64, "line %u, column %u: ", line, column);
}

static void on_rows(void *arg, const struct postgres_answer *a) {
    struct broker_errand *w = arg;
    struct buf b = {0};
    const struct postgres_error *e = postgres_error(a);
    err how = ERR_OK;
    char place[64];
    if (postgres_outcome(a) == POSTGRES_ERROR)
        place_of(w->sql, e->position, place),
            how = diag_set(&w->d, ERR_INVALID, DIAG_NOWHERE, "%s%s: %s%s%s%s%s", place, e->state, e->message,
                           e->detail[0] ? "; " : "", e->detail, e->hint[0] ? "; " : "", e->hint);
    else if (postgres_outcome(a) != POSTGRES_DONE)
        how = diag_set(&w->d, ERR_CLOSED, DIAG_NOWHERE, "the database system is not there at the moment: %s", e->message);
    if (how == ERR_OK) {
        buf_putc(&b, '[');
        for (uint32_t i = 0; i < postgres_rows(a, 1); i++) {
            if (i) buf_puts(&b, STR(",\n "));
            buf_puts(&b, postgres_value(a, 1, i, 0, NULL));
        }
        buf_putc(&b, ']');
        how = node_errand_say(w, buf_str(&b));
    }
    buf_free(&b);
    node_errand_over(w, how);
}

/* Who may not be whom a caller may be, and has no claims, is the owner. */
static void ask(struct broker_errand *w, str sql, str role, str claims, bool owner) {
    struct broker_base *b = w->base;
    char limit[16];
    w->sql = sql;
    snprintf(limit, sizeof limit, "%u", w->ms_max);
    struct postgres_value *v = arena_array(w->mem, struct postgres_value, 3);
    v[0].text = arena_str(w->mem, str_c(limit)), v[1].text = claims, v[2].text = owner ? STR("postgres") : role;
    const struct postgres_statement s[] = {
        {.text = STR("select set_config('statement_timeout', $1, true), set_config('transaction_read_only', 'on', true), "
                     "set_config('request.jwt.claims', $2, true), set_config('role', $3, true)"),
         .values = v,
         .count = 3},
        {.text = arena_fmt(w->mem, BEFORE STR_FMT "\n) as _orlo_query", STR_ARG(sql))}};
    if (owner) b->owner = node_base_connect(b, "postgres", "postgres", 1);
    (void)postgres_ask(owner ? b->owner : b->asks,
                       &(struct postgres_question){.statements = s,
                                                   .count = ARRAY_COUNT(s),
                                                   .ms_max = w->ms_max + LATE_MS,
                                                   .bytes_max = ANSWER_BYTES_MAX,
                                                   .undone = true},
                       on_rows, w);
}

void node_sql_ask(struct broker_errand *w, const struct json *v) {
    str role = json_str(json_get(v, "role")), sql = json_str(json_get(v, "sql")), claims = json_str(json_get(v, "claims"));
    bool owner = json_bool(json_get(v, "owner"));
    struct pg_error error = {0};
    err e = ERR_OK;
    if (!w->base->made) e = diag_set(&w->d, ERR_INVALID, DIAG_NOWHERE, "42P01: nothing was migrated to this database yet");
    else if (!owner && !node_tree_may_be(w->base->made->catalog, role, &error))
        e = diag_set(&w->d, ERR_INVALID, DIAG_NOWHERE, "%s: %s", error.state, error.message);
    else if (memchr(sql.p, 0, sql.n) || memchr(claims.p, 0, claims.n) || memchr(role.p, 0, role.n))
        e = diag_set(&w->d, ERR_INVALID, DIAG_NOWHERE, "22021: invalid byte sequence for encoding \"UTF8\": 0x00");
    if (e == ERR_OK) ask(w, sql, role, claims.n ? claims : STR("{}"), owner);
    else node_errand_over(w, e);
}
