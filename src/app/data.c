/* data: see data.h. A value is a byte for its kind; then eight bytes, or a length of four and that many. */
#include "app/data.h"

static const struct {
    bool writes;
    enum app_data_of of;
} rows[] = {
#define KEYS APP_OF_KEYS
#define SQL APP_OF_SQL
#define APP APP_OF_APP
#define X(name, of, writes, ...) {writes, of},
#include "app/data.def"
#undef X
#undef KEYS
#undef SQL
#undef APP
};

bool app_data_writes(enum app_data_op op) { return rows[op].writes; }
enum app_data_of app_data_of(enum app_data_op op) { return rows[op].of; }

void app_values_write(struct buf *to, const struct app_value *values, uint32_t count) {
    for (const struct app_value *v = values; v < values + count; v++) {
        buf_putc(to, (uint8_t)v->kind);
        switch (v->kind) {
        case APP_VALUE_NULL: break;
        case APP_VALUE_INTEGER:
        case APP_VALUE_REAL: buf_put(to, &v->i, sizeof v->i); break; /* both machines are little-endian */
        case APP_VALUE_TEXT:
        case APP_VALUE_BYTES:
            buf_put(to, &(uint32_t){(uint32_t)v->s.n}, sizeof(uint32_t));
            buf_put(to, v->s.p, v->s.n);
            break;
        }
    }
}

static struct app_value read_value(struct rd *r) {
    uint8_t kind = rd_u8(r);
    struct app_value v = {.kind = (enum app_value_kind)kind};
    switch (kind) {
    case APP_VALUE_NULL: break;
    case APP_VALUE_INTEGER:
    case APP_VALUE_REAL: v.i = (int64_t)rd_u64le(r); break;
    case APP_VALUE_TEXT:
    case APP_VALUE_BYTES: v.s = rd_bytes(r, rd_u32le(r)); break;
    default: rd_fail(r, "no kind of value"); v.kind = APP_VALUE_NULL;
    }
    return v;
}

const struct app_value *app_values_read(arena *out, struct rd *from, uint32_t *count) {
    VEC(struct app_value) all = {0};
    while (rd_left(from) && !from->fail) vec_push(out, &all, read_value(from));
    *count = from->fail ? 0 : all.n;
    return all.p;
}
