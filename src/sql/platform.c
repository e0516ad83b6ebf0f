/* platform: the schemas that projects expect, as files of PostgreSQL's language that are a part of the program (platform.py). */
#include "sql/sql.h"

#include "platform_files.h"

const struct sql_file *sql_platform(bool postgres, uint32_t *n) {
    *n = ARRAY_COUNT(platform_files) - !postgres; /* the last is PostgreSQL's alone */
    return platform_files;
}
