/* store_fuzz: any question, of keys or with any statement, on a store in memory that the questions before have filled. The first two bytes
 * say what and where; the rest are values.
 *
 * What must hold: it ends, and what the store says there is, is there. The canary breaks the second. */
#include "base/fuzz.h"
#include "node/store/store_int.h"
#include <stdio.h>

static struct store_base bases[] = {
    {.name = "f.1/keys.db"}, {.name = "f.1/sql.db", .of = APP_OF_SQL}, {.name = "f.1/app.db", .of = APP_OF_APP}};
static struct store_peer peer = {.fd = -1};

static int64_t count(const char *sql) {
    int64_t n = 0;
    struct diag d = DIAG_INIT;
    ENSURE(db_one_i64_values(bases[0].db, str_c(sql), NULL, 0, &n, &d) == ERR_OK);
    return n;
}

static void check(void) {
    if (!bases[0].db) return;
    ENSURE((int64_t)bases[0].keys + canary == count("select count(*) from pair"));
    ENSURE(
        (int64_t)bases[0].bytes ==
        count("select coalesce(sum(32 + length(cast(store as blob)) + length(cast(key as blob)) + length(value)), 0) from pair"));
    ENSURE(bases[0].bytes <= 64 << 10);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int runs;
    if (size < 2) return 0;
    arena *mem = arena_new(0);
    struct store_ask *ask = arena_make(mem, struct store_ask);
    struct rd r = rd_of((str){data + 2, size - 2});
    *ask = (struct store_ask){.peer = &peer,
                              .mem = mem,
                              .op = (enum app_data_op)(data[0] % APP_DATA_OPS),
                              .place = data[1] % 2 ? STR("a") : STR("b"),
                              .bytes_max = 64 << 10,
                              .keys_max = 20,
                              .value_bytes_max = 8 << 10,
                              .answer_bytes_max = 64 << 10,
                              .ms_max = 50};
    ask->values = app_values_read(mem, &r, &ask->count);
    struct store_base *base = &bases[app_data_of(ask->op)];
    ask->base = base;
    bool apart = r.fail || (ask->op == APP_SQL_CLOSE && (!ask->count || ask->values[0].kind != APP_VALUE_INTEGER));
    if (!apart) ENSURE(node_store_batch(base, &ask, 1) == 1);
    if (!apart) check();
    node_store_ask_free(ask);
    if (++runs % 1000 == 0) /* what one input finds does not hang on thousands before it */
        for (size_t i = 0; i < ARRAY_COUNT(bases); i++) node_store_base_close(&bases[i]), bases[i].holder = NULL;
    return 0;
}
