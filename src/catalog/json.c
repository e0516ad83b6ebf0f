/* json: a catalogue as JSON and back, by tables: a row for each member of each struct.
 *
 * 1. What holds nothing is left out, and what is left out is nothing: so a member that is added later needs no new format.
 * 2. What is read is checked before anybody sees it (check.c): every number in its range, every id leading somewhere.
 * 3. A member that the tables do not know is refused: it was written by another program, whose catalogue this one would misread.
 */
#include "base/json.h"
#include <stdio.h>
#include "catalog/catalog_int.h"

enum kind { STRING, U8, U16, U32, U64, I64, BOOL, TYPMOD, IDS, NAMES, ONE, MANY };
struct record;
struct field {
    const char *key;
    uint32_t at;
    enum kind kind;
    const struct record *of;
};
struct record {
    const struct field *fields;
    uint32_t n;
    size_t size;
};
struct any_vec {
    void *p;
    uint32_t n, cap;
};

#define RECORD(name, ...)                                                                                                        \
    static const struct field name##_fields[] = {__VA_ARGS__};                                                                   \
    static const struct record name##_record = {name##_fields, ARRAY_COUNT(name##_fields), sizeof(struct T)};
#define F(kind, member)                                                                                                          \
    { #member, offsetof(struct T, member), kind, NULL }
#define R(kind, member, record)                                                                                                  \
    { #member, offsetof(struct T, member), kind, &record##_record }
#define RK(kind, key, member, record)                                                                                            \
    { key, offsetof(struct T, member), kind, &record##_record }

#define T catalog_field
RECORD(field, F(STRING, name), F(U32, type), F(TYPMOD, typmod))
#undef T
#define T catalog_fragment
RECORD(fragment, F(STRING, text), F(U32, type), F(TYPMOD, typmod), F(U32, flags), F(IDS, reads), F(IDS, calls), F(IDS, schemas),
       F(NAMES, names), F(IDS, scope), R(MANY, want, field))
#undef T
#define T catalog_expr
RECORD(expr, F(STRING, source), R(ONE, fragment, fragment), F(STRING, why_not))
#undef T
#define T catalog_grant
RECORD(grant, F(U32, role), F(U32, privileges), F(U32, options))
#undef T
#define T catalog_role
RECORD(role, F(U32, id), F(STRING, name), F(STRING, comment), F(BOOL, superuser), F(BOOL, bypass_rls), F(BOOL, login),
       F(BOOL, no_inherit), F(BOOL, create_role), F(BOOL, create_db), F(BOOL, replication), F(IDS, member_of), F(NAMES, settings),
       F(BOOL, platform))
#undef T
#define T catalog_schema
RECORD(schema, F(U32, id), F(U32, owner), F(STRING, name), F(STRING, comment), R(MANY, grants, grant), F(BOOL, platform))
#undef T
#define T catalog_default_grants
RECORD(default_grants, F(U32, owner), F(U32, schema), F(U8, object), R(MANY, grants, grant))
#undef T
#define T catalog_label
RECORD(label, F(STRING, name), F(I64, sort))
#undef T
#define T catalog_check
RECORD(check, F(STRING, name), R(ONE, expr, expr))
#undef T
#define T catalog_type
RECORD(type, F(U32, id), F(U32, array), F(U32, schema), F(U32, owner), F(STRING, name), F(STRING, comment), F(U8, kind),
       R(MANY, labels, label), F(U32, base), F(TYPMOD, typmod), F(BOOL, not_null), RK(ONE, "default", default_value, expr),
       R(MANY, checks, check), R(MANY, fields, field), F(U32, relation), R(MANY, grants, grant), F(BOOL, platform))
#undef T
#define T catalog_column
RECORD(column, F(U16, number), F(STRING, name), F(STRING, comment), F(STRING, storage), F(U32, type), F(TYPMOD, typmod),
       F(BOOL, not_null), F(U8, identity), F(BOOL, generated), F(U32, sequence), F(U32, from), F(U16, from_number),
       F(U16, base_number), RK(ONE, "default", default_value, expr), R(MANY, grants, grant))
#undef T
#define T catalog_constraint
RECORD(constraint, F(U32, id), F(U8, kind), F(STRING, name), F(STRING, comment), F(STRING, storage), F(IDS, columns),
       F(U32, reference), F(IDS, reference_columns), F(U8, on_delete), F(U8, on_update), F(IDS, set_columns), F(BOOL, match_full),
       F(BOOL, deferrable), F(BOOL, deferred), F(BOOL, nulls_not_distinct), F(BOOL, not_valid), R(ONE, check, expr),
       F(BOOL, late))
#undef T
#define T catalog_index_key
RECORD(index_key, F(U16, column), R(ONE, expr, expr), F(BOOL, descending), F(BOOL, nulls_first), F(STRING, opclass))
#undef T
#define T catalog_index
RECORD(index, F(U32, id), F(STRING, name), F(STRING, comment), F(STRING, storage), F(STRING, method), F(BOOL, unique),
       F(BOOL, nulls_not_distinct), F(BOOL, exclusion), F(U32, constraint), R(MANY, keys, index_key), F(IDS, include),
       R(ONE, where, expr), F(STRING, ignored))
#undef T
#define T catalog_policy
RECORD(policy, F(U32, id), F(STRING, name), F(STRING, comment), F(U8, command), F(BOOL, permissive), F(IDS, roles),
       RK(ONE, "using", using_expr, expr), RK(ONE, "check", check_expr, expr))
#undef T
#define T catalog_routine
RECORD(routine, F(IDS, code), R(MANY, statements, fragment), F(U32, places))
#undef T
#define T catalog_text
RECORD(text, F(U32, function), F(U8, use), F(STRING, text), F(IDS, arguments), F(NAMES, names), R(MANY, want, field),
       F(U32, rows_of), F(STRING, old_table), F(STRING, new_table))
#undef T
#define T catalog_text_part
RECORD(text_part, R(ONE, fragment, fragment), R(MANY, columns, field), R(MANY, casts, fragment), F(BOOL, query))
#undef T
#define T catalog_text_answer
RECORD(text_answer, R(MANY, parts, text_part), F(STRING, state), F(STRING, message), F(STRING, detail), F(STRING, hint))
#undef T
#define T catalog_trigger
RECORD(trigger, F(U32, id), F(STRING, name), F(STRING, comment), F(U32, function), F(U32, when), F(IDS, columns),
       R(ONE, condition, expr), F(NAMES, arguments), F(BOOL, constraint), F(BOOL, deferrable), F(BOOL, deferred),
       F(BOOL, disabled), F(STRING, old_table), F(STRING, new_table), F(STRING, source), R(ONE, routine, routine))
#undef T
#define T catalog_relation
RECORD(relation, F(U32, id), F(U32, schema), F(U32, owner), F(U32, row_type), F(U32, row_array), F(U8, kind), F(STRING, name),
       F(STRING, comment), F(STRING, storage), F(U16, last_number), R(MANY, columns, column), R(MANY, constraints, constraint),
       R(MANY, indexes, index), R(MANY, policies, policy), R(MANY, triggers, trigger), F(BOOL, rls), F(BOOL, force_rls),
       F(BOOL, security_invoker), F(BOOL, security_barrier), R(ONE, query, expr), F(IDS, depends), F(U32, base),
       F(STRING, base_list), F(STRING, base_from), F(STRING, base_where), F(STRING, not_writable), F(U8, check_option),
       F(BOOL, unfilled), F(BOOL, partitioned), F(U8, commands), F(BOOL, replica_full), R(MANY, grants, grant), F(BOOL, platform))
#undef T
#define T catalog_sequence
RECORD(sequence, F(U32, id), F(U32, schema), F(U32, owner), F(STRING, name), F(STRING, comment), F(U32, type), F(I64, start),
       F(I64, increment), F(I64, min), F(I64, max), F(BOOL, cycle), F(U32, relation), F(U16, column), R(MANY, grants, grant),
       F(BOOL, platform))
#undef T
#define T catalog_argument
RECORD(argument, F(STRING, name), F(U32, type), F(TYPMOD, typmod), F(U8, mode), RK(ONE, "default", default_value, expr))
#undef T
#define T catalog_function
RECORD(function, F(U32, id), F(U32, schema), F(U32, owner), F(STRING, name), F(STRING, comment), R(MANY, arguments, argument),
       F(U32, returns), F(BOOL, set), F(BOOL, one_row), F(BOOL, procedure), F(BOOL, window), F(BOOL, aggregate),
       F(STRING, language), F(U8, volatility), F(BOOL, strict), F(BOOL, definer), F(BOOL, leakproof), F(NAMES, settings),
       F(STRING, source), R(MANY, statements, fragment), R(MANY, columns, field), R(ONE, routine, routine), F(STRING, why_not),
       R(MANY, grants, grant), F(BOOL, platform))
#undef T
#define T catalog_extension
RECORD(extension, F(STRING, name), F(STRING, version), F(STRING, comment), F(U32, schema), F(U8, how))
#undef T
#define T catalog_publication
RECORD(publication, F(STRING, name), F(STRING, comment), F(BOOL, all_tables), F(U8, publishes), F(IDS, relations))
#undef T
#define T catalog
RECORD(whole, F(U64, version), F(U32, platform), F(U32, next_id), F(U8, engine), F(U32, owner), R(MANY, roles, role),
       R(MANY, schemas, schema), R(MANY, types, type), R(MANY, relations, relation), R(MANY, sequences, sequence),
       R(MANY, functions, function), R(MANY, default_grants, default_grants), R(MANY, extensions, extension),
       R(MANY, publications, publication))
#undef T

/* ---- writing ---- */

static bool holds(const struct field *f, const void *at);

static bool record_holds(const struct record *r, const void *at) {
    for (uint32_t i = 0; i < r->n; i++)
        if (r->fields[i].kind != TYPMOD && holds(&r->fields[i], (const char *)at + r->fields[i].at)) return true;
    return false;
}

static uint64_t number_of(const struct field *f, const void *at) {
    switch (f->kind) {
    case U8: return *(const uint8_t *)at;
    case U16: return *(const uint16_t *)at;
    case U32: return *(const uint32_t *)at;
    case U64: return *(const uint64_t *)at;
    case BOOL: return *(const bool *)at;
    default: return 0;
    }
}

static bool holds(const struct field *f, const void *at) {
    switch (f->kind) {
    case STRING: return ((const str *)at)->n;
    case I64: return *(const int64_t *)at;
    case TYPMOD: return *(const int32_t *)at >= 0; /* -1 is none; 0 is timestamp(0)'s */
    case IDS:
    case NAMES:
    case MANY: return ((const struct any_vec *)at)->n;
    case ONE: return record_holds(f->of, at);
    default: return number_of(f, at);
    }
}

static void write_record(struct json_writer *w, const char *key, const struct record *r, const void *at);

static void write_vec(struct json_writer *w, const struct field *f, const struct any_vec *v) {
    json_put_array(w, f->key);
    for (uint32_t i = 0; i < v->n; i++) {
        if (f->kind == IDS) json_put_u64(w, NULL, ((const uint32_t *)v->p)[i]);
        else if (f->kind == NAMES) json_put_str(w, NULL, ((const str *)v->p)[i]);
        else write_record(w, NULL, f->of, (const char *)v->p + i * f->of->size);
    }
    json_put_end(w);
}

static void write_field(struct json_writer *w, const struct field *f, const void *at) {
    switch (f->kind) {
    case STRING: json_put_str(w, f->key, *(const str *)at); break;
    case I64: json_put_i64(w, f->key, *(const int64_t *)at); break;
    case TYPMOD: json_put_i64(w, f->key, *(const int32_t *)at); break;
    case BOOL: json_put_bool(w, f->key, true); break;
    case ONE: write_record(w, f->key, f->of, at); break;
    case IDS:
    case NAMES:
    case MANY: write_vec(w, f, at); break;
    default: json_put_u64(w, f->key, number_of(f, at));
    }
}

static void write_members(struct json_writer *w, const struct record *r, const void *of) {
    for (uint32_t i = 0; i < r->n; i++) {
        const void *at = (const char *)of + r->fields[i].at;
        if (holds(&r->fields[i], at)) write_field(w, &r->fields[i], at);
    }
}

static void write_record(struct json_writer *w, const char *key, const struct record *r, const void *at) {
    json_put_object(w, key);
    write_members(w, r, at);
    json_put_end(w);
}

void catalog_write(struct buf *to, const struct catalog *c) {
    struct json_writer w = json_writer_of(to);
    json_put_object(&w, NULL);
    json_put_u64(&w, "format", CATALOG_FORMAT);
    write_members(&w, &whole_record, c);
    json_put_end(&w);
}

/* ---- reading ---- */

struct reader {
    arena *mem;
    struct diag *d;
};

static err refuse(struct reader *r, const char *key, const char *what) {
    return diag_set(r->d, ERR_INVALID, DIAG_NOWHERE, "the catalogue's \"%s\" %s", key, what);
}

static err read_record(struct reader *r, const struct record *of, const struct json *v, const char *key, void *at);

static err read_number(struct reader *r, const struct field *f, const struct json *v, void *at) {
    static const uint64_t most[] = {[U8] = UINT8_MAX, [U16] = UINT16_MAX, [U32] = UINT32_MAX, [U64] = INT64_MAX};
    if (!json_is(v, JSON_KIND_I64)) return refuse(r, f->key, "is no whole number");
    if (v->i < 0 || (uint64_t)v->i > most[f->kind]) return refuse(r, f->key, "is out of range");
    if (f->kind == U8) *(uint8_t *)at = (uint8_t)v->i;
    if (f->kind == U16) *(uint16_t *)at = (uint16_t)v->i;
    if (f->kind == U32) *(uint32_t *)at = (uint32_t)v->i;
    if (f->kind == U64) *(uint64_t *)at = (uint64_t)v->i;
    return ERR_OK;
}

static err read_text(struct reader *r, const struct field *f, const struct json *v, str *to) {
    if (!json_is(v, JSON_KIND_STR)) return refuse(r, f->key, "is no text");
    *to = arena_str(r->mem, v->s);
    return ERR_OK;
}

static err read_item(struct reader *r, const struct field *f, const struct json *v, void *at) {
    if (f->kind == MANY) return read_record(r, f->of, v, f->key, at);
    if (f->kind == NAMES) return read_text(r, f, v, at);
    return read_number(r, &(struct field){.key = f->key, .kind = U32}, v, at);
}

static err read_vec(struct reader *r, const struct field *f, const struct json *v, struct any_vec *to) {
    if (!json_is(v, JSON_KIND_ARRAY)) return refuse(r, f->key, "is no array");
    size_t size = f->kind == MANY ? f->of->size : f->kind == NAMES ? sizeof(str) : sizeof(uint32_t);
    to->p = arena_array_bytes(r->mem, size, v->n, _Alignof(max_align_t));
    to->n = to->cap = v->n;
    for (uint32_t i = 0; i < v->n; i++) TRY(read_item(r, f, &v->items[i], (char *)to->p + i * size));
    return ERR_OK;
}

static err read_field(struct reader *r, const struct field *f, const struct json *v, void *at) {
    switch (f->kind) {
    case STRING: return read_text(r, f, v, at);
    case BOOL:
        if (!json_is(v, JSON_KIND_BOOL)) return refuse(r, f->key, "is neither true nor false");
        *(bool *)at = v->b;
        return ERR_OK;
    case I64:
    case TYPMOD:
        if (!json_is(v, JSON_KIND_I64)) return refuse(r, f->key, "is no whole number");
        if (f->kind == I64) return *(int64_t *)at = v->i, ERR_OK;
        if (v->i < 0 || v->i > INT32_MAX) return refuse(r, f->key, "is out of range");
        return *(int32_t *)at = (int32_t)v->i, ERR_OK;
    case ONE: return read_record(r, f->of, v, f->key, at);
    case IDS:
    case NAMES:
    case MANY: return read_vec(r, f, v, at);
    default: return read_number(r, f, v, at);
    }
}

static const struct field *field_named(const struct record *of, str key) {
    for (uint32_t i = 0; i < of->n; i++)
        if (str_eqc(key, of->fields[i].key)) return &of->fields[i];
    return NULL;
}

static void no_typmods(const struct record *of, void *at) {
    for (uint32_t i = 0; i < of->n; i++) {
        if (of->fields[i].kind == TYPMOD) *(int32_t *)((char *)at + of->fields[i].at) = -1;
        if (of->fields[i].kind == ONE) no_typmods(of->fields[i].of, (char *)at + of->fields[i].at);
    }
}

static err read_record(struct reader *r, const struct record *of, const struct json *v, const char *key, void *at) {
    if (!json_is(v, JSON_KIND_OBJECT)) return refuse(r, key, "is no object");
    no_typmods(of, at);
    for (uint32_t i = 0; i < v->n; i++) {
        const struct field *f = field_named(of, v->members[i].key);
        if (!f) {
            char name[48];
            snprintf(name, sizeof name, STR_FMT, (int)MIN(v->members[i].key.n, 40u), (const char *)v->members[i].key.p);
            text_tame(name, strlen(name));
            return refuse(r, key, arena_cstr(r->mem, arena_fmt(r->mem, "has a member \"%s\" that is not known here", name)));
        }
        TRY(read_field(r, f, &v->members[i].v, (char *)at + f->at));
    }
    return ERR_OK;
}

/* The member "format" is looked at and then left out: the tables do not have it. */
static err read_whole(struct reader *r, struct json *v, struct catalog *c) {
    if (!json_is(v, JSON_KIND_OBJECT) || !v->n || !str_eqc(v->members[0].key, "format"))
        return refuse(r, "format", "does not stand first");
    if (json_i64(&v->members[0].v) != CATALOG_FORMAT)
        return refuse(r, "format", "is another than this program's: it was written by a newer one");
    struct json rest = *v;
    rest.members++, rest.n--;
    return read_record(r, &whole_record, &rest, "catalog", c);
}

err catalog_read(arena *mem, str text, struct catalog **out, struct diag *d) {
    struct json_limits limits = {.bytes_max = CATALOG_BYTES_MAX, .depth_max = 16, .values_max = 4 << 20};
    struct reader r = {mem, d};
    struct catalog *c = catalog_new(mem, CATALOG_SQLITE);
    struct json v;
    arena *scratch = arena_new(0);
    err e = json_read(scratch, text, &limits, &v, d);
    if (e == ERR_OK) e = read_whole(&r, &v, c);
    arena_free(scratch);
    TRY(e);
    TRY(catalog_check(c, d));
    catalog_ready(c);
    *out = c;
    return ERR_OK;
}

/* ---- texts and their answers ---- */

void catalog_text_write(struct buf *to, const struct catalog_text *text) {
    struct json_writer w = json_writer_of(to);
    write_record(&w, NULL, &text_record, text);
}

void catalog_text_answer_write(struct buf *to, const struct catalog_text_answer *answer) {
    struct json_writer w = json_writer_of(to);
    write_record(&w, NULL, &text_answer_record, answer);
}

static err read_alone(arena *mem, str bytes, const struct record *of, void *at, size_t most, struct diag *d) {
    struct json_limits limits = {.bytes_max = most, .depth_max = 16, .values_max = 1 << 17};
    struct reader r = {mem, d};
    struct json v;
    arena *scratch = arena_new(0);
    memset(at, 0, of->size);
    err e = json_read(scratch, bytes, &limits, &v, d);
    if (e == ERR_OK) e = read_record(&r, of, &v, "text", at);
    arena_free(scratch);
    return e;
}

err catalog_text_read(arena *mem, str bytes, struct catalog_text *out, struct diag *d) {
    TRY(read_alone(mem, bytes, &text_record, out, 8 * (size_t)CATALOG_TEXT_BYTES_MAX, d));
    bool ok = out->use < CATALOG_TEXT_USES && out->text.n <= CATALOG_TEXT_BYTES_MAX;
    return ok ? ERR_OK : diag_set(d, ERR_INVALID, DIAG_NOWHERE, "a text of a function is out of range");
}

err catalog_text_answer_read(arena *mem, str bytes, struct catalog_text_answer *out, struct diag *d) {
    TRY(read_alone(mem, bytes, &text_answer_record, out, CATALOG_BYTES_MAX, d));
    bool ok = out->parts.n <= CATALOG_TEXT_PARTS_MAX && (out->message.n ? out->state.n == 5 : !out->state.n);
    for (uint32_t i = 0; ok && i < out->parts.n; i++) ok = out->parts.p[i].fragment.text.n != 0;
    return ok ? ERR_OK : diag_set(d, ERR_INVALID, DIAG_NOWHERE, "what a text was made into is out of range");
}
