/* types: what is built in (types.def), looked up by number and by name; made at first use. */
#include "pg/pg_int.h"
#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>

struct row {
    uint32_t id, array;
    enum pg_kind kind;
    enum pg_storage storage;
    enum pg_typmod_kind typmod;
    char category;
    bool preferred;
    char name[32], sql[32], collation[16];
};
#define TYPE(id, name, sql, oid, array, category, preferred, storage, collation, typmod, io)                                     \
    {oid, array, PG_KIND_BASE, PG_STORED_##storage, PG_TYPMOD_##typmod, category, preferred, name, sql, collation},
#define PSEUDO(id, name, oid, array) {oid, array, PG_KIND_PSEUDO, PG_STORED_NOT, PG_TYPMOD_NONE, 'P', false, name, name, ""},
#define REFUSED(name, sql, oid, array) {oid, array, PG_KIND_REFUSED, PG_STORED_NOT, PG_TYPMOD_NONE, 'U', false, name, sql, ""},
static const struct row rows[] = {
#include "pg/types.def"
};

static struct pg_type types[2 * ARRAY_COUNT(rows)];
static uint32_t types_count;

/* Of an array: by how its elements are compared. */
static const char *element_class(const struct row *row) {
    if (row->id == PG_BPCHAR) return "bpchar";
    if (row->collation[0]) return row->collation;
    return row->storage == PG_STORED_INTEGER || row->storage == PG_STORED_REAL ? "num" : "text";
}

static void add_array(const struct row *row) {
    struct pg_type *a = &types[types_count++];
    *a = (struct pg_type){.id = row->array, .element = row->id, .category = 'A', .typmod = row->typmod};
    a->kind = row->kind == PG_KIND_REFUSED ? PG_KIND_REFUSED : row->kind == PG_KIND_PSEUDO ? PG_KIND_PSEUDO : PG_KIND_ARRAY;
    a->storage = a->kind == PG_KIND_ARRAY ? PG_STORED_TEXT : PG_STORED_NOT;
    snprintf(a->name, sizeof a->name, "_%.30s", row->name);
    snprintf(a->sql, sizeof a->sql, "%.29s[]", row->sql);
    if (a->kind == PG_KIND_ARRAY) snprintf(a->collation, sizeof a->collation, "array_%s", element_class(row));
}

static int by_id(const void *a, const void *b) {
    const struct pg_type *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static void make_types(void) {
    for (const struct row *row = rows; row < rows + ARRAY_COUNT(rows); row++) {
        struct pg_type *t = &types[types_count++];
        *t = (struct pg_type){.id = row->id, .array = row->array, .kind = row->kind, .storage = row->storage};
        t->typmod = row->typmod, t->category = row->category, t->preferred = row->preferred;
        memcpy(t->name, row->name, sizeof row->name);
        memcpy(t->sql, row->sql, sizeof row->sql);
        memcpy(t->collation, row->collation, sizeof row->collation);
        if (row->array) add_array(row);
    }
    qsort(types, types_count, sizeof *types, by_id);
}

const struct pg_type *pg_types_all(uint32_t *count) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_types);
    *count = types_count;
    return types;
}

const struct pg_type *pg_type_by_id(uint32_t id) {
    uint32_t n;
    const struct pg_type *all = pg_types_all(&n);
    return bsearch(&(struct pg_type){.id = id}, all, n, sizeof *all, by_id);
}

const struct pg_type *pg_type_by_name(str name) {
    uint32_t n;
    const struct pg_type *all = pg_types_all(&n);
    for (uint32_t i = 0; i < n; i++)
        if (str_eqc(name, all[i].name)) return &all[i];
    for (uint32_t i = 0; i < n; i++)
        if (str_eqc(name, all[i].sql)) return &all[i];
    return NULL;
}

static const struct pg_type *pg_call_type(struct pg_call *call, uint32_t id) {
    const struct pg_type *t = pg_type_by_id(id);
    const struct pg_types *own = call->session ? call->session->types : NULL;
    if (!t && own && own->by_id) t = own->by_id(own->arg, id);
    if (!t) pg_raise(call, "42704", "type with OID %u does not exist", id);
    return t;
}

const struct pg_type *pg_call_base(struct pg_call *call, uint32_t id) {
    for (int depth = 0; depth < 32; depth++) {
        const struct pg_type *t = pg_call_type(call, id);
        if (!t || t->kind != PG_KIND_DOMAIN) return t;
        id = t->base;
    }
    pg_raise(call, "54001", "domains over domains are nested too deep");
    return NULL;
}

/* ---- typmods ---- */

enum { HEADER = 4 }; /* PostgreSQL's VARHDRSZ */

static bool length_in(struct pg_call *call, uint32_t type, int32_t length, int32_t *out) {
    const char *name = type == PG_BPCHAR ? "char" : "varchar"; /* as PostgreSQL's grammar calls them */
    if (length < 1) return pg_raise(call, "22023", "length for type %s must be at least 1", name);
    if (length > 10485760) return pg_raise(call, "22023", "length for type %s cannot exceed 10485760", name);
    *out = length + HEADER;
    return true;
}

static bool numeric_in(struct pg_call *call, const int32_t *m, uint32_t n, int32_t *out) {
    int32_t precision = m[0], scale = n > 1 ? m[1] : 0;
    if (n > 2) return pg_raise(call, "22023", "invalid NUMERIC type modifier");
    if (precision < 1 || precision > 1000)
        return pg_raise(call, "22023", "NUMERIC precision %d must be between 1 and 1000", precision);
    if (scale < -1000 || scale > 1000) return pg_raise(call, "22023", "NUMERIC scale %d must be between -1000 and 1000", scale);
    *out = (precision << 16 | (scale & 0x7ff)) + HEADER;
    return true;
}

/* More digits than there are: PostgreSQL warns, and takes six. */
static bool seconds_in(struct pg_call *call, const char *sql, int32_t digits, int32_t *out) {
    if (digits < 0) return pg_raise(call, "22023", "%s(%d) precision must not be negative", sql, digits);
    *out = MIN(digits, 6);
    return true;
}

static const char *seconds_name(uint32_t type) { return type == PG_TIME || type == PG_TIMETZ ? "TIME" : "TIMESTAMP"; }

/* The first is the mask of fields (day to second …), the second the digits. */
static bool interval_in(struct pg_call *call, const int32_t *m, uint32_t n, int32_t *out) {
    int32_t digits = 0xffff;
    if (n > 1) {
        if (m[1] < 0) return pg_raise(call, "22023", "INTERVAL(%d) precision must not be negative", m[1]);
        digits = MIN(m[1], 6);
    }
    *out = n < 2 && m[0] == 0x7fff ? -1 : m[0] << 16 | digits;
    return true;
}

bool pg_typmod_in(struct pg_call *call, uint32_t type, const int32_t *modifiers, uint32_t n, int32_t *out) {
    const struct pg_type *t = pg_call_type(call, type);
    *out = -1;
    if (!t) return false;
    if (!n) return true;
    switch (t->typmod) {
    case PG_TYPMOD_NUMERIC: return numeric_in(call, modifiers, n, out);
    case PG_TYPMOD_LENGTH:
    case PG_TYPMOD_SECONDS:
        if (n > 1) return pg_raise(call, "22023", "invalid type modifier");
        if (t->typmod == PG_TYPMOD_LENGTH) return length_in(call, t->element ? t->element : type, modifiers[0], out);
        return seconds_in(call, seconds_name(t->element ? t->element : type), modifiers[0], out);
    case PG_TYPMOD_INTERVAL: return interval_in(call, modifiers, n, out);
    case PG_TYPMOD_DIMENSIONS:
        if (n > 1) return pg_raise(call, "22023", "invalid type modifier");
        if (modifiers[0] < 1) return pg_raise(call, "22023", "dimensions for type vector must be at least 1");
        if (modifiers[0] > 16'000) return pg_raise(call, "22023", "dimensions for type vector cannot exceed 16000");
        *out = modifiers[0];
        return true;
    case PG_TYPMOD_BITS:
        if (n > 1) return pg_raise(call, "22023", "invalid type modifier");
        if (modifiers[0] < 1) return pg_raise(call, "22023", "length for type %s must be at least 1", t->name);
        if (modifiers[0] > 83'886'080) return pg_raise(call, "22023", "length for type %s cannot exceed 83886080", t->name);
        *out = modifiers[0];
        return true;
    case PG_TYPMOD_NONE: break;
    }
    return pg_raise(call, "42601", "type modifier is not allowed for type \"%s\"", t->name);
}

int32_t pg_numeric_typmod_scale(int32_t typmod) { return (((typmod - HEADER) & 0x7ff) ^ 1024) - 1024; }
int32_t pg_numeric_typmod_precision(int32_t typmod) { return (typmod - HEADER) >> 16 & 0xffff; }

void pg_typmod_out(uint32_t type, int32_t typmod, struct buf *text) {
    const struct pg_type *t = pg_type_by_id(type);
    if (!t || typmod < 0) return;
    switch (t->typmod) {
    case PG_TYPMOD_LENGTH: buf_printf(text, "(%d)", typmod - HEADER); break;
    case PG_TYPMOD_NUMERIC:
        buf_printf(text, "(%d,%d)", pg_numeric_typmod_precision(typmod), pg_numeric_typmod_scale(typmod));
        break;
    case PG_TYPMOD_SECONDS:
    case PG_TYPMOD_BITS:
    case PG_TYPMOD_DIMENSIONS: buf_printf(text, "(%d)", typmod); break;
    case PG_TYPMOD_INTERVAL:
        if ((typmod & 0xffff) <= 6) buf_printf(text, "(%d)", typmod & 0xffff);
        break;
    case PG_TYPMOD_NONE: break;
    }
}
