/* coerce: one type made into another, by PostgreSQL's rules (its parse_coerce.c; the chapter "Type Conversion").
 *
 *   a literal without a type    is read by the type's input function, here and now; what means the present ('now', 'today') when it runs
 *   a domain                    is its base; into one, its checks are written out
 *   a cast in pg's tables       where the context allows it
 *   an array                    by its elements'
 *   by the text form            to text types where assigned, from text types where cast explicitly
 */
#include "sql/translate_int.h"
#include "system/system.h"

enum path { PATH_NONE, PATH_SAME, PATH_CAST, PATH_ARRAY, PATH_TEXT };

static bool is_text(struct sql_context *cx, uint32_t type) { return sql_type_category(cx, type, NULL) == 'S'; }

/* find_coercion_pathway; both are base types. */
static enum path find_path(struct sql_context *cx, uint32_t from, uint32_t to, enum pg_context context,
                           const struct pg_cast **cast) {
    if (from == to) return PATH_SAME;
    const struct pg_cast *found = pg_cast_find(from, to);
    if (found && found->from == from && found->to == to) {
        *cast = found;
        return context >= found->context ? PATH_CAST : PATH_NONE;
    }
    uint32_t from_element = sql_element_type(cx, from), to_element = sql_element_type(cx, to);
    if (from_element && to_element) {
        enum path element = find_path(cx, sql_base_type(cx, from_element), sql_base_type(cx, to_element), context, cast);
        return element == PATH_NONE ? PATH_NONE : PATH_ARRAY;
    }
    if (context >= PG_ASSIGNMENT && is_text(cx, to)) return PATH_TEXT;
    if (context >= PG_EXPLICIT && is_text(cx, from)) return PATH_TEXT;
    return PATH_NONE;
}

bool sql_can_coerce(struct sql_context *cx, uint32_t from, uint32_t to, enum pg_context context) {
    if (from == to || to == PG_ANY || sql_is_polymorphic(to) || from == PG_UNKNOWN) return true;
    if (sql_is_row_type(cx, from) && to == PG_RECORD) return true;
    const struct pg_cast *cast;
    return find_path(cx, sql_base_type(cx, from), sql_base_type(cx, to), context, &cast) != PATH_NONE;
}

/* ---- literals ---- */

struct sql_value sql_constant(struct sql_context *cx, uint32_t type, struct db_value v) {
    struct sql_value out = {
        .text = sql_literal(cx->mem, v), .type = type, .typmod = -1, .flags = SQL_CONSTANT | SQL_NOT_NULL, .location = -1};
    if (v.kind == DB_NULL) out.flags = SQL_CONSTANT | SQL_NULL;
    cx->work += out.text.n;
    return out;
}

struct sql_value sql_null_of(uint32_t type) {
    return (struct sql_value){.text = STR("null"), .type = type, .typmod = -1, .flags = SQL_CONSTANT | SQL_NULL, .location = -1};
}

static bool is_time(uint32_t type) {
    return type == PG_DATE || type == PG_TIME || type == PG_TIMETZ || type == PG_TIMESTAMP || type == PG_TIMESTAMPTZ;
}

/* Does the text of a date or time mean the moment that it is read at? */
static bool means_the_present(str s) {
    static const char *const words[] = {"now", "today", "tomorrow", "yesterday"};
    for (size_t i = 0; i < s.n; i++)
        for (size_t w = 0; w < ARRAY_COUNT(words); w++)
            if (str_eq_nocase(str_sub(s, i, strlen(words[w])), str_c(words[w]))) return true;
    return false;
}

static struct pg_call call_of(struct sql_context *cx, struct pg_types *types, struct pg_session *session,
                              struct pg_error *error) {
    sql_types_of(cx, types);
    *session = (struct pg_session){.types = types, .mem = cx->mem, .error = error};
    return (struct pg_call){.mem = cx->mem, .session = session, .error = error};
}

static err refuse_as(struct sql_context *cx, const struct pg_error *error, int32_t location) {
    err e = sql_refuse(cx, location, error->set ? error->state : "22P02", "%s", error->message);
    if (error->detail[0]) sql_detail(cx, "%s", error->detail);
    if (error->hint[0]) sql_hint(cx, "%s", error->hint);
    return e;
}

err sql_constant_call(struct sql_context *cx, const char *name, const struct db_value *args, uint32_t n, int32_t location,
                      struct db_value *out) {
    struct pg_types types;
    struct pg_session session;
    struct pg_error error = {0};
    struct pg_call call = call_of(cx, &types, &session, &error);
    uint32_t count;
    const struct pg_c_function *f = pg_c_functions(&count);
    *out = DB_NOTHING;
    for (uint32_t i = 0; i < count; i++)
        if (!strcmp(f[i].name, name)) f[i].fn(&call, args, n, out);
    return error.set ? refuse_as(cx, &error, location) : ERR_OK;
}

/* "schema.name", each part in quotes or not, as an identifier. */
static bool next_identifier(struct sql_context *cx, str *rest, str *out) {
    *rest = str_trim(*rest);
    uint8_t *p = arena_alloc(cx->mem, rest->n + 1, 1);
    size_t n = 0, i = 0;
    if (rest->n && rest->p[0] == '"') {
        for (i = 1; i < rest->n; i++) {
            if (rest->p[i] == '"') {
                if (i + 1 >= rest->n || rest->p[i + 1] != '"') break;
                i++;
            }
            p[n++] = rest->p[i];
        }
        if (i >= rest->n) return false;
        i++;
    } else {
        for (; i < rest->n && rest->p[i] != '.'; i++) {
            uint8_t c = rest->p[i];
            p[n++] = c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
        }
    }
    *rest = str_sub(*rest, i, rest->n);
    *out = str_trim((str){p, n});
    return out->n > 0;
}

/* 'notes'::regclass: the id of a relation or a sequence. */
static err regclass(struct sql_context *cx, struct sql_value *v) {
    str rest = v->literal, a, b = {0};
    bool good = next_identifier(cx, &rest, &a);
    if (good && rest.n && rest.p[0] == '.') {
        rest = str_sub(rest, 1, rest.n);
        good = next_identifier(cx, &rest, &b);
    }
    if (!good || rest.n) return sql_refuse(cx, v->location, "42602", "invalid name syntax");
    str schema = b.n ? a : (str){0}, name = b.n ? b : a;
    const struct catalog_relation *r = sql_relation_named(cx, schema, name);
    uint32_t id = r ? r->id : 0;
    for (uint32_t i = 0; !id && i < (schema.n ? 1 : cx->path_count); i++) {
        const struct catalog_sequence *s = catalog_sequence_named(cx->catalog, schema.n ? schema : cx->path[i], name);
        if (s) id = s->id;
    }
    struct system_context system = {.catalog = cx->catalog};
    struct pg_names names = system_names(&system); /* an index, or one of PostgreSQL's own */
    if (!id && names.find(names.arg, PG_REGCLASS, v->literal, &id) != PG_FOUND)
        return sql_refuse(cx, v->location, "42P01", "relation \"" STR_FMT "\" does not exist", STR_ARG(v->literal));
    int32_t location = v->location;
    *v = sql_constant(cx, PG_REGCLASS, DB_I64(id));
    v->location = location;
    return ERR_OK;
}

/* Reads it now: to a base type, no domain. */
static err read_literal(struct sql_context *cx, struct sql_value *v, uint32_t type, int32_t typmod, enum pg_context context) {
    if (type == PG_REGCLASS && v->literal.n && v->literal.p[0] != '-' && (v->literal.p[0] < '0' || v->literal.p[0] > '9'))
        return regclass(cx, v);
    if (is_time(type) && means_the_present(v->literal)) {
        v->text = sql_literal_text(cx->mem, v->literal);
        v->type = PG_TEXT;
        v->flags = SQL_CONSTANT | SQL_NOT_NULL;
        bool can;
        TRY(sql_coerce(cx, v, type, typmod, PG_EXPLICIT, &can));
        v->flags |= SQL_SESSION;
        return ERR_OK;
    }
    struct pg_types types;
    struct pg_session session;
    struct pg_error error = {0};
    struct pg_call call = call_of(cx, &types, &session, &error);
    struct system_context system = {.catalog = cx->catalog};
    struct pg_names names = system_names(&system);
    struct db_value value;
    session.names = &names;
    int32_t first = type == PG_INTERVAL ? typmod : -1; /* as PostgreSQL: only an interval's input wants to know at once */
    if (!pg_value_in(&call, type, first, v->literal, &value)) return refuse_as(cx, &error, v->location);
    if (typmod >= 0 && type != PG_INTERVAL && !pg_value_sized(&call, type, typmod, context == PG_EXPLICIT, value, &value))
        return refuse_as(cx, &error, v->location);
    int32_t location = v->location;
    *v = sql_constant(cx, type, value);
    v->typmod = typmod;
    v->location = location;
    return ERR_OK;
}

err sql_settle(struct sql_context *cx, struct sql_value *v) {
    if (!(v->flags & SQL_UNTYPED)) return ERR_OK;
    bool can;
    return sql_coerce(cx, v, PG_TEXT, -1, PG_IMPLICIT, &can);
}

/* ---- domains ---- */

static str put_value(struct sql_context *cx, str check, str value) {
    VEC(str) parts = {0};
    struct catalog_mark m = {0};
    size_t from = 0;
    while (catalog_mark_next(check, m.end, &m)) {
        if (m.kind != 'C' || m.id) continue;
        vec_push(cx->mem, &parts, str_sub(check, from, m.at - from));
        vec_push(cx->mem, &parts, value);
        from = m.end;
    }
    vec_push(cx->mem, &parts, str_sub(check, from, check.n - from));
    return sql_joined(cx, parts.p, parts.n, "");
}

/* v is of its base type already. */
static err check_domain(struct sql_context *cx, struct sql_value *v, const struct catalog_type *domain) {
    str name = domain->name, arms = {0}, alias = sql_alias(cx);
    str value = sql_fmt(cx, STR_FMT ".c1", STR_ARG(alias));
    if (domain->not_null)
        arms = sql_fmt(
            cx, " when " STR_FMT " is null then pg_refuse('23502', " STR_FMT ")", STR_ARG(value),
            STR_ARG(sql_literal_text(cx->mem, sql_fmt(cx, "domain " STR_FMT " does not allow null values", STR_ARG(name)))));
    for (uint32_t i = 0; i < domain->checks.n; i++) {
        const struct catalog_check *k = &domain->checks.p[i];
        if (!k->expr.fragment.text.n) continue;
        str message = sql_fmt(cx, "value for domain " STR_FMT " violates check constraint \"" STR_FMT "\"", STR_ARG(name),
                              STR_ARG(k->name));
        str condition = put_value(cx, k->expr.fragment.text, value);
        arms = sql_fmt(cx, STR_FMT " when not coalesce((" STR_FMT "), 1) then pg_refuse('23514', " STR_FMT ")", STR_ARG(arms),
                       STR_ARG(condition), STR_ARG(sql_literal_text(cx->mem, message)));
    }
    if (arms.n) {
        v->text = sql_fmt(cx, "(select case" STR_FMT " else " STR_FMT " end from (select " STR_FMT " as c1) as " STR_FMT ")",
                          STR_ARG(arms), STR_ARG(value), STR_ARG(v->text), STR_ARG(alias));
        v->flags = (v->flags & ~(uint32_t)(SQL_CONSTANT | SQL_NULL)) | SQL_RAISES | SQL_SUBQUERY;
    }
    v->type = domain->id;
    return ERR_OK;
}

static const struct catalog_type *domain_of(struct sql_context *cx, uint32_t type) {
    const struct catalog_type *t = type >= PG_OWN_MIN && cx->catalog ? catalog_type_of(cx->catalog, type) : NULL;
    return t && t->id == type && t->kind == CATALOG_DOMAIN ? t : NULL;
}

/* What a column holds is looked at by the column's own CHECKs. */
err sql_coerce_column(struct sql_context *cx, struct sql_value *v, uint32_t type, int32_t typmod, enum pg_context context,
                      bool *can) {
    const struct catalog_type *domain;
    uint32_t to = type;
    for (; !v->row && v->type != to && (domain = domain_of(cx, to)); typmod = domain->typmod) to = domain->base;
    TRY(sql_coerce(cx, v, to, typmod, context, can));
    if (*can) sql_pack(cx, v);
    if (*can) v->type = type;
    return ERR_OK;
}

/* ---- casts ---- */

static err apply_cast(struct sql_context *cx, struct sql_value *v, const struct pg_cast *cast, uint32_t to, int32_t typmod,
                      bool is_explicit) {
    struct sql_value out, from = *v;
    if (cast->how.kind == PG_HOW_SQL && !strcmp(cast->how.text, "$1")) { /* stored alike, and perhaps in another order */
        const char *before = sql_type_collation(cx, v->type), *after = sql_type_collation(cx, to);
        if (strcmp(before, after)) {
            v->text = sql_fmt(cx, "(" STR_FMT " collate %s)", STR_ARG(v->text), after[0] ? after : "binary");
            v->flags &= ~(uint32_t)SQL_CONSTANT;
        }
        v->type = to;
        return ERR_OK;
    }
    if (v->flags & SQL_CONSTANT && to == PG_NUMERIC && (v->type == PG_INT4 || v->type == PG_INT8)) { /* its digits are its text */
        str digits = v->text.p[0] == '(' ? str_sub(v->text, 1, v->text.n - 2) : v->text;
        out = sql_constant(cx, to, DB_TEXT(digits));
        out.location = v->location;
        *v = out;
        return ERR_OK;
    }
    TRY(sql_apply_how(cx, &cast->how, cast->flags, &from, 1, to, typmod, is_explicit, &out));
    out.flags |= v->flags & SQL_NOT_NULL;
    out.location = v->location;
    *v = out;
    return ERR_OK;
}

/* By the text form; both ways through pg_cast_find's general rows. */
static err through_text(struct sql_context *cx, struct sql_value *v, uint32_t to) {
    const struct pg_cast *cast = pg_cast_find(is_text(cx, to) && !is_text(cx, v->type) ? v->type : PG_TEXT, to);
    if (!cast) cast = pg_cast_find(PG_TEXT, PG_INT4 == to ? PG_INT8 : to);
    if (!cast)
        return sql_refuse(cx, v->location, "42846", "cannot cast type " STR_FMT " to " STR_FMT,
                          STR_ARG(sql_type_name(cx, v->type)), STR_ARG(sql_type_name(cx, to)));
    return apply_cast(cx, v, cast, to, -1, true);
}

/* The elements are stored alike, so that nothing is to be done. */
static bool elements_alike(struct sql_context *cx, uint32_t from, uint32_t to) {
    uint32_t a = sql_base_type(cx, sql_element_type(cx, from)), b = sql_base_type(cx, sql_element_type(cx, to));
    if (a == b) return true;
    bool texts = (a == PG_TEXT || a == PG_VARCHAR) && (b == PG_TEXT || b == PG_VARCHAR);
    bool integers = (a == PG_INT2 || a == PG_INT4) && (b == PG_INT4 || b == PG_INT8);
    return texts || integers;
}

static err cast_array(struct sql_context *cx, struct sql_value *v, uint32_t to) {
    if (elements_alike(cx, v->type, to)) {
        v->type = to;
        return ERR_OK;
    }
    const struct pg_cast *out = pg_cast_find(v->type, PG_TEXT);
    TRY(apply_cast(cx, v, out, PG_TEXT, -1, true));
    return through_text(cx, v, to);
}

static err apply_typmod(struct sql_context *cx, struct sql_value *v, int32_t typmod, bool is_explicit) {
    if (typmod < 0 || typmod == v->typmod || v->flags & SQL_NULL) return ERR_OK;
    const struct pg_type *t = sql_type_of(cx, v->type);
    const struct pg_cast *cast = pg_cast_find(v->type, v->type);
    if (cast) {
        TRY(apply_cast(cx, v, cast, v->type, typmod, is_explicit));
    } else if (t && t->element) {
        v->text = sql_fmt(cx, "pg_sized(%u, %d, %d, " STR_FMT ")", v->type, typmod, is_explicit, STR_ARG(v->text));
        v->flags = (v->flags & ~(uint32_t)SQL_CONSTANT) | SQL_RAISES;
    }
    v->typmod = typmod;
    return ERR_OK;
}

static err coerce_base(struct sql_context *cx, struct sql_value *v, uint32_t to, int32_t typmod, enum pg_context context,
                       bool *can) {
    const struct pg_cast *cast = NULL;
    uint32_t from = sql_base_type(cx, v->type);
    enum path path = find_path(cx, from, to, context, &cast);
    if (path == PATH_NONE) {
        *can = false;
        return ERR_OK;
    }
    if (from != v->type) v->type = from;
    if (v->flags & SQL_NULL) {
        v->type = to;
        return ERR_OK;
    }
    if (path == PATH_CAST) TRY(apply_cast(cx, v, cast, to, typmod, context == PG_EXPLICIT));
    if (path == PATH_TEXT) TRY(through_text(cx, v, to));
    if (path == PATH_ARRAY) TRY(cast_array(cx, v, to));
    if (path != PATH_SAME) v->typmod = -1;
    return apply_typmod(cx, v, typmod, context == PG_EXPLICIT);
}

static err coerce_row(struct sql_context *cx, struct sql_value *v, uint32_t type, bool *can) {
    *can = type == PG_RECORD || type == v->type;
    if (*can || !sql_is_row_type(cx, type)) return ERR_OK;
    const struct catalog_type *t = catalog_type_of(cx->catalog, type);
    struct sql_row *row = arena_make(cx->mem, struct sql_row);
    *row = *v->row;
    row->values = arena_array(cx->mem, struct sql_value, row->n + 1);
    row->names = arena_array(cx->mem, str, row->n + 1);
    const struct catalog_relation *r = t && t->kind == CATALOG_ROW ? catalog_relation_of(cx->catalog, t->relation) : NULL;
    uint32_t n = r ? r->columns.n : t ? t->fields.n : 0;
    if (n != row->n) return ERR_OK;
    *can = true;
    for (uint32_t i = 0; i < n; i++) {
        row->values[i] = v->row->values[i];
        row->names[i] = r ? r->columns.p[i].name : t->fields.p[i].name;
        TRY(sql_coerce_to(cx, &row->values[i], r ? r->columns.p[i].type : t->fields.p[i].type,
                          r ? r->columns.p[i].typmod : t->fields.p[i].typmod, PG_ASSIGNMENT));
    }
    v->row = row;
    v->type = type;
    return ERR_OK;
}

err sql_coerce(struct sql_context *cx, struct sql_value *v, uint32_t type, int32_t typmod, enum pg_context context, bool *can) {
    *can = true;
    if (type == PG_NO_TYPE || type == PG_ANY || sql_is_polymorphic(type)) return ERR_OK;
    if (v->row) return coerce_row(cx, v, type, can);
    const struct catalog_type *domain = domain_of(cx, type);
    if (domain && v->type != type) {
        TRY(sql_coerce(cx, v, domain->base, domain->typmod, context, can));
        return *can ? check_domain(cx, v, domain) : ERR_OK;
    }
    if (v->flags & SQL_UNTYPED) {
        if (type == PG_UNKNOWN) return ERR_OK;
        if (!(v->flags & SQL_NULL)) return read_literal(cx, v, type, typmod, context);
        v->type = type;
        v->typmod = typmod;
        v->flags &= ~(uint32_t)SQL_UNTYPED;
        return ERR_OK;
    }
    if (v->type == type) return apply_typmod(cx, v, typmod, context == PG_EXPLICIT);
    return coerce_base(cx, v, type, typmod, context, can);
}

err sql_coerce_to(struct sql_context *cx, struct sql_value *v, uint32_t type, int32_t typmod, enum pg_context context) {
    bool can;
    uint32_t from = v->type;
    TRY(sql_coerce(cx, v, type, typmod, context, &can));
    if (can) return ERR_OK;
    return sql_refuse(cx, v->location, "42846", "cannot cast type " STR_FMT " to " STR_FMT, STR_ARG(sql_type_name(cx, from)),
                      STR_ARG(sql_type_name(cx, type)));
}

err sql_coerce_boolean(struct sql_context *cx, struct sql_value *v, const char *clause) {
    bool can;
    uint32_t from = v->type;
    TRY(sql_coerce(cx, v, PG_BOOL, -1, PG_ASSIGNMENT, &can));
    if (can) return ERR_OK;
    return sql_refuse(cx, v->location, "42804", "argument of %s must be type boolean, not type " STR_FMT, clause,
                      STR_ARG(sql_type_name(cx, from)));
}

/* ---- several become one ---- */

static bool all_of_one_type(const struct sql_value *values, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (values[i].type == PG_UNKNOWN || values[i].type != values[0].type) return false;
    return n > 0;
}

err sql_common_type(struct sql_context *cx, const struct sql_value *values, uint32_t n, const char *what, uint32_t *type) {
    if (all_of_one_type(values, n)) {
        *type = values[0].type;
        return ERR_OK;
    }
    uint32_t best = sql_base_type(cx, values[0].type);
    bool preferred;
    char category = sql_type_category(cx, best, &preferred);
    for (uint32_t i = 1; i < n; i++) {
        uint32_t next = sql_base_type(cx, values[i].type);
        if (next == PG_UNKNOWN || next == best) continue;
        bool next_preferred;
        char next_category = sql_type_category(cx, next, &next_preferred);
        if (best != PG_UNKNOWN) {
            if (next_category != category)
                return sql_refuse(cx, values[i].location, "42804", "%s types " STR_FMT " and " STR_FMT " cannot be matched", what,
                                  STR_ARG(sql_type_name(cx, best)), STR_ARG(sql_type_name(cx, next)));
            if (preferred || !sql_can_coerce(cx, best, next, PG_IMPLICIT) || sql_can_coerce(cx, next, best, PG_IMPLICIT))
                continue;
        }
        best = next;
        category = next_category;
        preferred = next_preferred;
    }
    *type = best == PG_UNKNOWN ? PG_TEXT : best;
    return ERR_OK;
}

static int32_t common_typmod(const struct sql_value *values, uint32_t n, uint32_t type) {
    for (uint32_t i = 0; i < n; i++)
        if (values[i].type != type || values[i].typmod != values[0].typmod) return -1;
    return n ? values[0].typmod : -1;
}

err sql_to_common_type(struct sql_context *cx, struct sql_value *values, uint32_t n, const char *what, uint32_t *type) {
    TRY(sql_common_type(cx, values, n, what, type));
    int32_t typmod = common_typmod(values, n, *type);
    for (uint32_t i = 0; i < n; i++) {
        bool can;
        uint32_t from = values[i].type;
        TRY(sql_coerce(cx, &values[i], *type, -1, PG_IMPLICIT, &can));
        if (!can)
            return sql_refuse(cx, values[i].location, "42846", "%s could not convert type " STR_FMT " to " STR_FMT, what,
                              STR_ARG(sql_type_name(cx, from)), STR_ARG(sql_type_name(cx, *type)));
        values[i].typmod = typmod;
    }
    return ERR_OK;
}
