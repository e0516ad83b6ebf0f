/* For tests: a plan's steps, as a store runs them (node/store/errand.c), on a connection that has the plan's last catalogue. */
#ifndef ORLO_QUERY_PLAN_TEST_H
#define ORLO_QUERY_PLAN_TEST_H

#include "query/query.h"
#include "sql/sql.h"

struct plan_place {
    str file;
    uint32_t line; /* 0: of several */
};

/* False: what a step said is in d, or raised by the connection; where: whose it is. */
static inline bool plan_run(arena *mem, struct db *db, struct query_conn *conn, const struct sql_plan *plan,
                            struct plan_place *where, struct diag *d) {
    *where = (struct plan_place){0};
    uint32_t at = 0;
    str text = {0};
    struct catalog *between = NULL;
    const struct pg_session owner = {.role = STR("postgres"), .login = STR("postgres"), .mem = mem};
    bool ok = true;
    query_conn_begin(conn, &owner);
    for (uint32_t i = 0; ok && i < plan->files.n; i++)
        for (uint32_t k = 0; ok && k < plan->files.p[i].steps.n; k++) {
            const struct sql_plan_step *s = &plan->files.p[i].steps.p[k];
            *where = (struct plan_place){plan->files.p[i].name, s->line};
            db_foreign_keys(db, !plan->foreign_keys_off || s->kind != SQL_STEP_STRUCTURE);
            if (s->kind != SQL_STEP_CALL) {
                ok = query_conn_catalog(conn, plan->catalog, d) == ERR_OK && db_run_values(db, s->text, NULL, 0, d) == ERR_OK;
                continue;
            }
            if (s->catalog != at) {
                struct buf b = {0};
                ENSURE(s->catalog == at + 1 && catalog_delta_apply(&b, text, plan->catalogs.p[at++]));
                text = arena_str(mem, buf_str(&b));
                buf_free(&b);
                if (catalog_read(mem, text, &between, d) != ERR_OK) return false;
            }
            uint32_t id = 0;
            for (size_t c = 0; c < s->text.n; c++) id = id * 10 + (uint32_t)(s->text.p[c] - '0');
            ok = query_conn_catalog(conn, between, d) == ERR_OK;
            query_conn_begin(conn, &owner);
            ok = ok && query_step_call(conn, id);
        }
    db_foreign_keys(db, true);
    return query_conn_catalog(conn, plan->catalog, d) == ERR_OK && ok;
}

#endif
