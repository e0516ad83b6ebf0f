/* value: text and JSON in and out, and sizes, for any type: who does it is looked up by the type (io.def). */
#include "pg/pg_int.h"

enum json_style { BARE, QUOTED, NUMBER, DATED, RAW };
struct io {
    pg_in_fn in;
    pg_out_fn out;
    enum json_style json;
};
enum io_row {
#define IO(name, json) ROW_##name,
#define IO_NOT(name) ROW_##name,
#include "pg/io.def"
};
static const struct io ios[] = {
#define IO(name, json) {pg_##name##_in, pg_##name##_out, json},
#define IO_NOT(name) {0},
#include "pg/io.def"
};

static const struct io *io_of(struct pg_call *call, const struct pg_type *type) {
    enum io_row row;
    switch (type->id) {
#define TYPE(id, name, sql, oid, array, category, preferred, storage, collation, typmod, io)                                     \
    case oid:                                                                                                                    \
        row = ROW_##io;                                                                                                          \
        break;
#define PSEUDO(id, name, oid, array)
#define REFUSED(name, sql, oid, array)
#include "pg/types.def"
    default: row = 0; goto none;
    }
    if (ios[row].in) return &ios[row];
none:
    pg_raise(call, "0A000", "type %s has no text form on SQLite", type->sql);
    return NULL;
}

/* ---- enums ---- */

static bool enum_in(struct pg_call *call, const struct pg_type *type, str text, struct db_value *out) {
    const struct pg_types *own = call->session->types;
    int64_t sort;
    if (!own->enum_sort || !own->enum_sort(own->arg, type->id, text, &sort))
        return pg_raise(call, "22P02", "invalid input value for enum %s: \"" STR_FMT "\"", type->name, STR_ARG(text));
    *out = DB_I64(sort);
    return true;
}

static bool enum_out(struct pg_call *call, const struct pg_type *type, struct db_value v, struct buf *text) {
    const struct pg_types *own = call->session->types;
    str label;
    if (!own->enum_label || !own->enum_label(own->arg, type->id, v.i, &label))
        return pg_raise(call, "XX000", "an enum %s has a value that it has not", type->name);
    return buf_puts(text, label) || pg_raise(call, "54000", "a value is too long");
}

/* ---- text ---- */

bool pg_value_in(struct pg_call *call, uint32_t id, int32_t typmod, str text, struct db_value *out) {
    const struct pg_type *type = pg_call_base(call, id);
    *out = DB_NOTHING;
    if (!type) return false;
    if (type->kind == PG_KIND_ARRAY || type->element) return pg_array_in(call, type, typmod, text, out);
    if (type->kind == PG_KIND_ENUM) return enum_in(call, type, text, out);
    if (type->kind == PG_KIND_COMPOSITE) return pg_composite_in(call, type, text, out);
    const struct io *io = io_of(call, type);
    return io && io->in(call, text, typmod, out);
}

/* Is the value stored as those of its type are? What is printed of one that is not would be where it lies. A numeric may be an integer. */
static bool is_stored_so(struct pg_call *call, const struct pg_type *type, struct db_value v) {
    bool is_text = v.kind >= DB_TEXTUAL, ok = v.kind == DB_NULL || type->storage == PG_STORED_NOT;
    if (type->kind == PG_KIND_ARRAY || type->element) ok |= is_text;
    else if (type->kind == PG_KIND_ENUM || type->storage == PG_STORED_INTEGER) ok |= v.kind == DB_INTEGER;
    else if (type->storage == PG_STORED_REAL) ok |= !is_text;
    else ok |= is_text || type->id == PG_NUMERIC;
    return ok || pg_raise(call, "XX001", "a stored %s is damaged", type->sql);
}

bool pg_value_out(struct pg_call *call, uint32_t id, struct db_value v, struct buf *text) {
    const struct pg_type *type = pg_call_base(call, id);
    if (!type || !is_stored_so(call, type, v)) return false;
    if (type->kind == PG_KIND_ARRAY || type->element) return pg_array_out(call, type, v, text);
    if (type->kind == PG_KIND_ENUM) return enum_out(call, type, v, text);
    if (type->kind == PG_KIND_COMPOSITE) return pg_composite_out(call, type, v, text);
    const struct io *io = io_of(call, type);
    if (!io || !io->out(call, v, text)) return false;
    return !text->full || pg_raise(call, "54000", "a value is too long");
}

/* ---- JSON ---- */

static void put_quoted(struct buf *json, str text) {
    struct json_writer w = json_writer_of(json);
    json_put_str(&w, NULL, text);
}

/* Where an offset of whole hours ends, which JSON has with its minutes; 0: there is none. */
static size_t hours_end(str text, size_t from) {
    for (size_t i = from; i + 2 < text.n; i++)
        if (text.p[i] == '+' || text.p[i] == '-') return i + 3 < text.n && text.p[i + 3] == ':' ? 0 : i + 3;
    return 0;
}

/* A date or timestamp with the T of ISO 8601; infinities have none. */
static void put_dated(struct buf *json, struct buf *text) {
    uint8_t *blank = memchr(text->p, ' ', text->n);
    if (blank && blank > text->p && blank[-1] >= '0' && blank[-1] <= '9' && blank + 1 < text->p + text->n && blank[1] >= '0' &&
        blank[1] <= '9')
        *blank = 'T';
    size_t end = blank && *blank == 'T' ? hours_end(buf_str(text), (size_t)(blank - text->p)) : 0;
    if (!end) {
        put_quoted(json, buf_str(text));
        return;
    }
    struct buf full = {0};
    buf_put(&full, text->p, end), buf_puts(&full, STR(":00")), buf_put(&full, text->p + end, text->n - end);
    put_quoted(json, buf_str(&full));
    buf_free(&full);
}

static void put_as(struct buf *json, enum json_style style, struct buf *text) {
    bool number = text->n && (text->p[text->n - 1] >= '0' && text->p[text->n - 1] <= '9');
    if (style == BARE || style == RAW || (style == NUMBER && number)) buf_puts(json, buf_str(text));
    else if (style == DATED) put_dated(json, text);
    else put_quoted(json, buf_str(text));
}

bool pg_value_json(struct pg_call *call, uint32_t id, struct db_value v, struct buf *json) {
    if (v.kind == DB_NULL) return buf_puts(json, STR("null"));
    const struct pg_type *type = pg_call_base(call, id);
    if (!type || !is_stored_so(call, type, v)) return false;
    if (type->kind == PG_KIND_ARRAY || type->element) return pg_array_json(call, type, v, json);
    if (type->kind == PG_KIND_COMPOSITE) return pg_composite_json(call, type, v, json);
    struct buf text = {.max = PG_VALUE_BYTES_MAX};
    const struct io *io = type->kind == PG_KIND_ENUM ? NULL : io_of(call, type);
    bool ok = type->kind == PG_KIND_ENUM ? enum_out(call, type, v, &text) : io && io->out(call, v, &text);
    if (ok && type->id == PG_BOOL) buf_puts(json, v.i ? STR("true") : STR("false"));
    else if (ok) put_as(json, io ? io->json : QUOTED, &text);
    ok = ok && ((!text.full && !json->full) || pg_raise(call, "54000", "a value is too long"));
    buf_free(&text);
    return ok;
}

bool pg_value_of_json(struct pg_call *call, uint32_t id, int32_t typmod, const struct json *v, struct db_value *out) {
    *out = DB_NOTHING;
    if (!v || v->kind == JSON_KIND_NULL) {
        const struct pg_type *any = pg_call_base(call, id);
        return any != NULL; /* SQL's null, of json types too: what json_populate_record does */
    }
    const struct pg_type *type = pg_call_base(call, id);
    if (!type) return false;
    if (type->kind == PG_KIND_ARRAY || type->element) return pg_array_of_json(call, type, typmod, v, out);
    if (type->kind == PG_KIND_COMPOSITE) return pg_composite_of_json(call, type, v, out);
    if (v->kind == JSON_KIND_STR && type->id != PG_JSON && type->id != PG_JSONB) return pg_value_in(call, id, typmod, v->s, out);
    struct buf text = {.max = PG_VALUE_BYTES_MAX};
    struct json_writer w = json_writer_of(&text);
    json_put(&w, NULL, v);
    bool ok = !text.full || pg_raise(call, "54000", "a value is too long");
    struct db_value copy = ok ? pg_call_text(call, buf_str(&text)) : DB_NOTHING;
    buf_free(&text);
    return ok && !pg_raised(call) && pg_value_in(call, id, typmod, copy.s, out);
}

/* ---- by any type, called from SQL ---- */

/* type id, value */
PG_FN(pg_out) {
    struct buf text = {.max = PG_VALUE_BYTES_MAX};
    if (args[1].kind != DB_NULL && pg_value_out(call, (uint32_t)args[0].i, args[1], &text))
        *out = pg_call_text(call, buf_str(&text));
    buf_free(&text);
}

/* type id, typmod, text */
PG_FN(pg_in) {
    if (!pg_value_in(call, (uint32_t)args[0].i, (int32_t)args[1].i, args[2].s, out)) *out = DB_NOTHING;
}
