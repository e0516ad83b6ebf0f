/* collations: orders that are not those of the stored bytes, by the names that columns are declared with (types.def, and array_… of arrays). */
#include "pg/arrays.h"
#include "pg/chars.h"
#include "pg/jsons.h"
#include "pg/numeric.h"
#include "pg/times.h"

/* citext: as lower() has them. Without memory: character by character. */
static int compare_citext(str a, str b) {
    size_t i = 0, j = 0, k, m;
    while (i < a.n && j < b.n) {
        uint32_t c = pg_char_lower(pg_char_at(a, i, &k)), d = pg_char_lower(pg_char_at(b, j, &m));
        if (c != d) return c < d ? -1 : 1;
        i += k, j += m;
    }
    return (i < a.n) - (j < b.n);
}

static int compare_trimmed(str a, str b) {
    while (a.n && a.p[a.n - 1] == ' ') a.n--;
    while (b.n && b.p[b.n - 1] == ' ') b.n--;
    return str_cmp(a, b);
}

#define ARRAY_OF(name, by)                                                                                                       \
    static int compare_array_##name(str a, str b) { return pg_array_compare_by(a, b, by); }
#define COLLATION(name, by) ARRAY_OF(name, by)
ARRAY_OF(num, NULL)
ARRAY_OF(text, NULL)
ARRAY_OF(bpchar, compare_trimmed)
#include "pg/collations.def"

static const struct pg_collation rows[] = {
#define COLLATION(name, by) {#name, by}, {"array_" #name, compare_array_##name},
#include "pg/collations.def"
    {"array_num", compare_array_num},
    {"array_text", compare_array_text},
    {"array_bpchar", compare_array_bpchar},
};

const struct pg_collation *pg_collations_all(uint32_t *count) {
    *count = ARRAY_COUNT(rows);
    return rows;
}
