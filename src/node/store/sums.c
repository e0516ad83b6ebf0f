/* sums: what an app's rows come to, so that two databases can be held against each other: postgres/move.c has the other half, and control/move.c compares.
 *
 *   of each table that has rows: "SCHEMA.TABLE\\tROWS\\tSUM\\n"
 *   a row is its columns' texts as PostgreSQL writes them, "LENGTH:TEXT" or "-" for null, one behind the other; what is generated is none of them
 *   SUM: of the first 60 bits of each row's SHA-256, as a number, modulo 2^64. It does not matter in which order rows are. */
#include "crypto/crypto.h"
#include "node/store/own.h"
#include "pg/pg.h"
#include "query/query.h"

struct sums {
    struct store_base *base;
    const struct catalog *c;
    arena *scratch;
    struct pg_session session;
    struct pg_error error;
    struct buf row, *to;
};

static uint64_t first_bits(str row) {
    uint8_t digest[CRYPTO_SHA256_BYTES];
    uint64_t v = 0;
    crypto_sha256(row, digest);
    for (int i = 0; i < 8; i++) v = v << 8 | digest[i];
    return v >> 4;
}

static err put_value(struct sums *s, uint32_t type, struct db_value v, struct diag *d) {
    struct buf text = {0};
    struct pg_call call = {.mem = s->scratch, .session = &s->session, .error = &s->error};
    if (v.kind == DB_NULL) {
        buf_putc(&s->row, '-');
        return ERR_OK;
    }
    bool ok = pg_value_out(&call, type, v, &text);
    if (ok) buf_printf(&s->row, "%zu:" STR_FMT, text.n, STR_ARG(buf_str(&text)));
    buf_free(&text);
    arena_reset(s->scratch);
    return ok ? ERR_OK : diag_set(d, ERR_INVALID, DIAG_NOWHERE, "a value cannot be written as text: %s", s->error.message);
}

static void put_quoted(struct buf *to, str name) {
    buf_putc(to, '"');
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '"') buf_putc(to, '"');
        buf_putc(to, name.p[i]);
    }
    buf_putc(to, '"');
}

static err sum_rows(struct sums *s, const struct catalog_relation *r, struct db_rows *rows, uint64_t *count, uint64_t *sum,
                    struct diag *d) {
    while (db_next(rows)) {
        uint32_t at = 0;
        s->row.n = 0;
        for (uint32_t i = 0; i < r->columns.n; i++)
            if (!r->columns.p[i].generated) TRY(put_value(s, r->columns.p[i].type, db_value(rows, at++), d));
        *sum += first_bits(buf_str(&s->row));
        ++*count;
    }
    return ERR_OK;
}

static err sum_table(struct sums *s, const struct catalog_relation *r, struct diag *d) {
    struct buf q = {0};
    struct db_rows *rows;
    struct diag unused = DIAG_INIT;
    uint64_t count = 0, sum = 0;
    bool any = false;
    for (uint32_t i = 0; i < r->columns.n; i++) {
        if (r->columns.p[i].generated) continue;
        buf_puts(&q, any ? STR(", ") : STR("select ")), put_quoted(&q, r->columns.p[i].storage), any = true;
    }
    buf_puts(&q, any ? STR(" from ") : STR("select 1 from "));
    put_quoted(&q, r->storage);
    err e = db_query_values(s->base->db, buf_str(&q), NULL, 0, &rows, d);
    buf_free(&q);
    TRY(e);
    e = sum_rows(s, r, rows, &count, &sum, d);
    err ended = db_end(rows, e == ERR_OK ? d : &unused);
    if (e == ERR_OK) e = ended;
    if (e != ERR_OK || !count) return e;
    const struct catalog_schema *schema = catalog_schema_of(s->c, r->schema);
    buf_printf(s->to, STR_FMT "." STR_FMT "\t%llu\t%llu\n", STR_ARG(schema ? schema->name : STR("public")), STR_ARG(r->name),
               (unsigned long long)count, (unsigned long long)sum);
    return ERR_OK;
}

err node_store_sums(struct store_base *base, arena *mem, struct buf *to, struct diag *d) {
    struct sums s = {.base = base, .c = node_store_own_catalog(base), .scratch = arena_new(0), .to = to};
    err e = ERR_OK;
    s.session = (struct pg_session){.role = STR("postgres"), .mem = s.scratch, .error = &s.error};
    if (s.c) s.session.types = query_types_new(mem, s.c);
    for (uint32_t i = 0; s.c && i < s.c->relations.n && e == ERR_OK; i++)
        if (s.c->relations.p[i].kind == CATALOG_TABLE) e = sum_table(&s, &s.c->relations.p[i], d);
    buf_free(&s.row);
    arena_free(s.scratch);
    return e;
}
