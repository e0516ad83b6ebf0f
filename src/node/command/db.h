/* db: a catalogue as text: SQL of PostgreSQL's, and types of TypeScript's. */
#ifndef ORLO_NODE_COMMAND_DB_H
#define ORLO_NODE_COMMAND_DB_H

#include "base/json.h"
#include "catalog/catalog.h"
#include "manifest/manifest.h"
#include "node/migration.h"
#include <stdio.h>

/* The SQL that a manifest names, its texts read: migrations by name, and seeds behind them. folder: of the project; "." where it is this one. */
[[nodiscard]] err node_db_ask_of(arena *mem, const struct manifest *m, str folder, struct migration_ask *ask, struct diag *d);

/* Would all of it run there, with nothing that raises later? What would not is printed to stderr. Of PostgreSQL nothing is asked. */
[[nodiscard]] err node_db_strict(arena *mem, const struct manifest *m, str folder, struct diag *d);

/* Of a URL's server, or a file: a project's first migration (db_pull.c). */
struct node_db_config;
[[nodiscard]] err node_db_pull_from(const struct node_db_config *c, struct diag *d);
/* A new migration of the project in dir (NULL: here), with that text; told. first: only where there is none yet. */
[[nodiscard]] err node_db_pull_write(arena *mem, const char *dir, str text, bool first, struct diag *d);
/* A file of SQL, of INSERTs, run in one transaction: rows of another database, for which no trigger fires on SQLite. */
[[nodiscard]] err node_db_fill(const struct node_db_config *c, const char *path, struct diag *d);
/* Rows of node_schema_objects as SQL, in their order. */
[[nodiscard]] err node_db_schema_all(arena *mem, str text, struct buf *to, struct diag *d);

/* What makes it: before rows are put in, and behind (foreign keys, indexes, views, functions, policies, grants). What is the platform's own is left
 * out. In an order of its own, so that two catalogues that say the same have the same text. */
void node_db_sql(const struct catalog *c, struct buf *before, struct buf *behind);
/* Lines that one has and the other has not, as "-" and "+". False: there are none. NULL: an empty one. */
bool node_db_sql_diff(arena *scratch, const struct catalog *from, const struct catalog *to, FILE *out);
/* The shape that `supabase gen types typescript` gives: export type Database = { public: { Tables … } }. */
void node_db_typescript(const struct catalog *c, struct buf *to);
/* The same for "swift", "kotlin" or "dart". False: it is another language. c NULL: nothing is written. */
bool node_db_native(const struct catalog *c, const char *language, struct buf *to);

/* Of what a node tells of a PostgreSQL (POST …/schema). A dump's parts, as node_db_sql's: c, for its roles, may be NULL. */
[[nodiscard]] err node_db_schema_dump(arena *mem, str text, const struct catalog *c, struct buf *before, struct buf *behind,
                                      struct diag *d);
/* SQL that brings what the migrations make to what stands there; nothing: it is the same. ERR_UNSUPPORTED: there is nothing to compare with. */
[[nodiscard]] err node_db_schema_diff(arena *mem, str text, struct buf *to, struct diag *d);
void node_db_sql_roles(const struct catalog *c, struct buf *to); /* those that are not the platform's */

bool node_db_is_user(str who); /* a user's id: a UUID */

#endif
