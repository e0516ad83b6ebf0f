/* Inside the store: an app's own database, what it is made of. */
#ifndef ORLO_STORE_OWN_H
#define ORLO_STORE_OWN_H

#include "catalog/catalog.h"
#include "node/store/store_int.h"

struct store_column {                    /* of a table, as SQLite counts them */
    const struct catalog_column *column; /* NULL: the catalogue does not know it */
    str name_json;                       /* "\"title\":" */
    bool is_key;
};
struct store_table {
    uint32_t relation;
    struct store_column *columns;
    uint32_t columns_count;
    bool has_key;
};
/* The table of that name in SQLite. NULL: it is none of the catalogue's. Inside of a hook of SQLite's: it runs no statement. */
const struct store_table *node_store_own_table(struct store_base *base, str name);
/* What a relation of the catalogue is called; empty: it is gone. */
void node_store_own_relation(const struct store_base *base, uint32_t relation, str *schema, str *table);
/* A value, as to_jsonb has it. */
void node_store_own_json(struct store_base *base, uint32_t type, struct db_value v, struct buf *to);

/* The catalogue that is kept from now on, in the transaction that is open: the rows `catalog` and `version` of _orlo_meta. */
[[nodiscard]] err node_store_own_put_catalog(struct store_base *base, const struct catalog *c, struct diag *d);
/* Reads it again: after a commit that changed it, or a rollback of one that did. */
[[nodiscard]] err node_store_own_reload(struct store_base *base, struct diag *d);
/* The connection's views of rows go: before a transaction that changes tables, and outside of it. */
[[nodiscard]] err node_store_own_forget(struct store_base *base, struct diag *d);
/* Another one, for what is asked until it is read again: of the same tables, and kept nowhere. It lives until then. */
[[nodiscard]] err node_store_own_lend(struct store_base *base, struct catalog *c, struct diag *d);
/* Statements that are run now are the owner's, and of now. */
void node_store_own_as_owner(struct store_base *base);
struct query_conn *node_store_own_conn(const struct store_base *base);
bool node_store_own_frozen(const struct store_base *base);                   /* it is read alone */
const struct catalog *node_store_own_catalog(const struct store_base *base); /* NULL: nothing was deployed yet */

/* ---- feed.c ---- */

struct store_feed *node_store_own_feed(struct store_base *base);
void node_store_feed_undone(struct store_feed *feed); /* what it wrote was rolled back, perhaps */
void node_store_feed_stop(struct store_feed *feed);   /* what changes now is not told row by row */
/* Whoever follows reads anew: in the transaction that is open. */
[[nodiscard]] err node_store_feed_anew(struct store_feed *feed, struct diag *d);

#endif
