/* Any text as SQL: the translator neither crashes nor hangs, and what it prints is SQL that SQLite prepares. */
#include "base/fuzz.h"
#include <pg_query.h>
#include <stdlib.h>

#include "sql/translate.h"

