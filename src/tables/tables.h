/* tables: the app's own database, as its functions ask it: orlo:database (wit/orlo/deps/database, docs/guests-database.md).
 *
 * 1. A function asks as whom its manifest lets it; whether that one may, say the database's policies and rights, as for every caller.
 * 2. Nothing that a guest says becomes SQL: it is a query tree, and its parameters stay values.
 * 3. What a guest makes the host hold is charged to its instance; a transaction has a time limit, and is rolled back when its guest is gone.
 */
#ifndef ORLO_TABLES_H
#define ORLO_TABLES_H

#include "host/host.h"

extern const struct host_offer tables_wit_offer;

#endif
