/* sql_fuzz: any text as a migration. Either it is refused, and then there are words for it, or the catalogue it makes can be written and read. The canary
 * breaks that. */
#include "sql/sql.h"
#include "base/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena *mem = arena_new(0);
    struct diag d = DIAG_INIT;
    struct sql_plan plan;
    struct sql_report report = {0};
    struct sql_file file = {.name = STR("1.sql"), .text = {data, size}};
    struct catalog *from = catalog_new(mem, CATALOG_SQLITE), *again;
    struct buf text = {0};
    from->platform = SQL_PLATFORM;
    ENSURE(sql_migrate(mem, from, &file, 1, CATALOG_SQLITE, NULL, &plan, &report, &d) == ERR_OK);
    ENSURE(!report.refused || report.notes.n);
    for (uint32_t i = 0; i < report.notes.n; i++) ENSURE(report.notes.p[i].text.n && report.notes.p[i].code.n);
    if (!report.refused) {
        catalog_write(&text, plan.catalog);
        ENSURE((catalog_read(mem, buf_str(&text), &again, &d) == ERR_OK) != canary);
        sql_lint(mem, again, &report);
    }
    buf_free(&text);
    arena_free(mem);
    return 0;
}
