/* catalog_int: what the room's files share. */
#ifndef ORLO_CATALOG_INT_H
#define ORLO_CATALOG_INT_H

#include "catalog/catalog.h"

/* Does all of it hold together? ERR_INVALID: d says what does not. */
[[nodiscard]] err catalog_check(const struct catalog *c, struct diag *d);

#endif
