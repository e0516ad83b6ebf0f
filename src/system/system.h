/* system: the catalogue as PostgreSQL's own relations (pg_catalog.pg_class, information_schema.columns …), and what PostgreSQL's functions say of it.
 *
 *   struct system_context cx = {.catalog = c};              a connection's; the catalogue may be another one from one statement to the next
 *   system_register(db, &cx, &d);                           select c2 from pg_system(1); pg_to_regclass(text) …
 *
 * 1. Each relation is a table that is a function without arguments: its rows are made when they are asked for, and never written.
 * 2. All rows are there for whoever asks, as PostgreSQL's pg_catalog has it; information_schema's are those of what the one who asks has some right to.
 * 3. Texts of definitions are those that the migrations have, and not as PostgreSQL would print them. */
#ifndef ORLO_SYSTEM_H
#define ORLO_SYSTEM_H

#include "catalog/catalog.h"
#include "db/db.h"
#include "pg/pg.h"

struct system_column {
    const char *name;
    uint32_t type;
};
struct system_relation {
    const char *schema, *name;
    const struct system_column *columns;
    uint32_t columns_count;
};
/* NULL: there is none. schema empty: pg_catalog. */
const struct system_relation *system_relation_named(str schema, str name);
uint32_t system_relation_number(const struct system_relation *r); /* select c1, c2 … from pg_system(number) */

enum { SYSTEM_COLUMNS_MAX = 20 };
struct system_context {
    const struct catalog *catalog;
    const str *path; /* the search path, by which names are looked for and told; NULL: public, extensions */
    uint32_t path_n;
    const struct pg_session *session; /* who asks, and where what goes wrong is said; NULL: the catalogue's owner */
    struct db_function functions[1];
    struct db_table_function table;
    struct pg_names names; /* for the session that asks: of `catalog`, whichever that is by then */
};
/* What pg's names are answered by; of: has the catalogue. */
struct pg_names system_names(struct system_context *of);
/* cx lasts as long as the connection. */
[[nodiscard]] err system_register(struct db *db, struct system_context *cx, struct diag *d);

#endif
