/* names: types whose values are the numbers of the catalogue's things and are written by their names (regclass, regtype …), and what is told of
 * such a thing. Whoever has the catalogue says it (struct pg_names); where there is none, types that are built in are known alone. */
#include "pg/pg_int.h"

static const struct kind {
    uint32_t type;
    const char *state, *what;
} kinds[] = {{PG_REGCLASS, "42P01", "relation"},     {PG_REGTYPE, "42704", "type"},        {PG_REGPROC, "42883", "function"},
             {PG_REGPROCEDURE, "42883", "function"}, {PG_REGNAMESPACE, "3F000", "schema"}, {PG_REGROLE, "42704", "role"}};

static enum pg_found find(struct pg_call *call, uint32_t type, str text, uint32_t *id) {
    const struct pg_names *names = call->session ? call->session->names : NULL;
    if (names) return names->find(names->arg, type, text, id);
    const struct pg_type *t = type == PG_REGTYPE ? pg_type_by_name(text) : NULL;
    *id = t ? t->id : 0;
    return t ? PG_FOUND : PG_FOUND_NONE;
}

/* A number, or "-", which is none. */
static bool is_number(str text, struct db_value *out) {
    uint64_t id;
    if (str_eqc(text, "-")) *out = DB_I64(0);
    else if (text.n && text.p[0] >= '0' && text.p[0] <= '9' && str_to_u64(text, &id) && id <= UINT32_MAX)
        *out = DB_I64((int64_t)id);
    else return false;
    return true;
}

static bool read_name(struct pg_call *call, uint32_t type, str text, struct db_value *out) {
    const struct kind *k = kinds;
    uint32_t id = 0;
    text = str_trim(text);
    if (is_number(text, out)) return true;
    while (k->type != type) k++;
    switch (find(call, type, text, &id)) {
    case PG_FOUND: *out = DB_I64(id); return true;
    case PG_FOUND_SEVERAL: return pg_raise(call, "42725", "more than one function named \"" STR_FMT "\"", STR_ARG(text));
    case PG_FOUND_MALFORMED:
        if (type == PG_REGPROCEDURE) return pg_raise(call, "22P02", "expected a left parenthesis");
        return pg_raise(call, "42602", "invalid name syntax");
    case PG_FOUND_NONE: break;
    }
    return pg_raise(call, k->state, "%s \"" STR_FMT "\" does not exist", k->what, STR_ARG(text));
}

static bool print_name(struct pg_call *call, uint32_t type, struct db_value v, struct buf *text) {
    const struct pg_names *names = call->session ? call->session->names : NULL;
    uint32_t id = (uint32_t)v.i;
    const struct pg_type *t = type == PG_REGTYPE ? pg_type_by_id(id) : NULL;
    if (!id) return buf_putc(text, '-'), true;
    if (names && names->print(names->arg, type, id, text)) return true;
    if (t) return buf_puts(text, str_c(t->sql)), true;
    return buf_printf(text, "%u", id), true;
}

/* to_regclass and its kin: what is not there, or is not the only one, is null. */
static void to_name(struct pg_call *call, uint32_t type, struct db_value text, struct db_value *out) {
    uint32_t id = 0;
    if (is_number(str_trim(text.s), out)) return;
    enum pg_found found = find(call, type, str_trim(text.s), &id);
    if (found == PG_FOUND) *out = DB_I64(id);
    else if (found == PG_FOUND_MALFORMED) (void)read_name(call, type, text.s, out);
    else *out = DB_NOTHING;
}

#define NAMED(name, id)                                                                                                          \
    bool pg_##name##_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {                                  \
        (void)typmod;                                                                                                            \
        return read_name(call, id, text, out);                                                                                   \
    }                                                                                                                            \
    bool pg_##name##_out(struct pg_call *call, struct db_value v, struct buf *text) { return print_name(call, id, v, text); }    \
    PG_FN(pg_to_##name) {                                                                                                        \
        (void)n;                                                                                                                 \
        to_name(call, id, args[0], out);                                                                                         \
    }
NAMED(regclass, PG_REGCLASS)
NAMED(regtype, PG_REGTYPE)
NAMED(regproc, PG_REGPROC)
NAMED(regprocedure, PG_REGPROCEDURE)
NAMED(regnamespace, PG_REGNAMESPACE)
NAMED(regrole, PG_REGROLE)

/* ---- what is told of one ---- */

/* (enum pg_about, number, more) */
PG_FN(pg_told) {
    const struct pg_names *names = call->session ? call->session->names : NULL;
    struct buf text = {.max = PG_VALUE_BYTES_MAX};
    *out = DB_NOTHING;
    (void)n;
    if (args[0].kind != DB_INTEGER || args[1].kind != DB_INTEGER || args[0].i < 0 || args[0].i >= PG_ABOUT_COUNT) return;
    int64_t more = args[2].kind == DB_INTEGER ? args[2].i : 0;
    uint32_t id = (uint32_t)args[1].i;
    const struct pg_type *t = args[0].i == PG_ABOUT_TYPE ? pg_type_by_id(id) : NULL;
    if (names && names->tell(names->arg, (enum pg_about)args[0].i, id, more, &text)) *out = pg_call_text(call, buf_str(&text));
    else if (t) *out = DB_TEXT(str_c(t->sql));
    else if (args[0].i == PG_ABOUT_TYPE) *out = DB_TEXT(id ? STR("???") : STR("-"));
    buf_free(&text);
}

PG_FN(pg_get_userbyid) {
    struct buf text = {0};
    (void)n;
    const struct pg_names *names = call->session ? call->session->names : NULL;
    if (!names || !names->print(names->arg, PG_REGROLE, (uint32_t)args[0].i, &text)) {
        text.n = 0;
        buf_printf(&text, "unknown (OID=%lld)", (long long)args[0].i);
    }
    *out = pg_call_text(call, buf_str(&text));
    buf_free(&text);
}

PG_FN(pg_get_serial_sequence) {
    const struct pg_names *names = call->session ? call->session->names : NULL;
    struct db_value table;
    struct buf text = {0};
    const char *missing = NULL;
    (void)n;
    *out = DB_NOTHING;
    if (!names || !read_name(call, PG_REGCLASS, args[0].s, &table)) return;
    uint32_t id = names->sequence(names->arg, args[0].s, args[1].s, &missing);
    if (missing)
        return pg_raise_as(call, "42703", "column \"" STR_FMT "\" of relation \"%s\" does not exist", STR_ARG(args[1].s),
                           missing);
    if (!id) return;
    /* its schema is always told */
    if (names->tell(names->arg, PG_ABOUT_RELATION_VISIBLE, id, 1, &text)) *out = pg_call_text(call, buf_str(&text));
    buf_free(&text);
}

PG_FN(pg_typeof) {
    (void)call, (void)n;
    *out = args[0];
}

/* (type, value) of each */
static int64_t nulls(const struct db_value *args, uint32_t n) {
    int64_t count = 0;
    for (uint32_t i = 1; i < n; i += 2) count += args[i].kind == DB_NULL;
    return count;
}
PG_FN(pg_num_nulls) {
    (void)call;
    *out = DB_I64(nulls(args, n));
}
PG_FN(pg_num_nonnulls) {
    (void)call;
    *out = DB_I64((int64_t)n / 2 - nulls(args, n));
}

/* ---- of the server ---- */

/* Nobody listens: what changes is in the feed. */
PG_FN(pg_notify) {
    str channel = args[0].kind >= DB_TEXTUAL ? args[0].s : (str){0};
    (void)n;
    *out = DB_NOTHING;
    if (!channel.n) return pg_raise_as(call, "22023", "channel name cannot be empty");
    if (channel.n >= 64) return pg_raise_as(call, "22023", "channel name too long");
    if (args[1].kind >= DB_TEXTUAL && args[1].s.n >= 8000) return pg_raise_as(call, "22023", "payload string too long");
}

PG_FN(pg_version) {
    (void)call, (void)args, (void)n;
    *out = DB_TEXT(STR("PostgreSQL 15.0 (Orlo, on SQLite)"));
}
PG_FN(pg_current_schema) {
    (void)call, (void)args, (void)n;
    *out = DB_TEXT(STR("public"));
}
PG_FN(pg_current_schemas) {
    (void)call, (void)n;
    *out = DB_TEXT(args[0].i ? STR("[\"pg_catalog\",\"public\",\"extensions\"]") : STR("[\"public\",\"extensions\"]"));
}

/* The whole part of a numeric's text. false: there is none, or it is too large. */
static bool whole_of(str text, int64_t *out) {
    bool minus = text.n && text.p[0] == '-';
    *out = 0;
    for (size_t i = minus; i < text.n && text.p[i] != '.'; i++)
        if (text.p[i] < '0' || text.p[i] > '9' || __builtin_mul_overflow(*out, 10, out) ||
            __builtin_add_overflow(*out, text.p[i] - '0', out))
            return false;
    if (minus) *out = -*out;
    return true;
}

/* As PostgreSQL: halves are kept until the unit is found, and are rounded away from zero. */
PG_FN(pg_size_pretty) {
    static const struct {
        const char *name;
        int64_t limit;
        uint8_t bits;
        bool round;
    } units[] = {{"bytes", 10 * 1024, 0, false},  {"kB", 20 * 1024 - 1, 10, true}, {"MB", 20 * 1024 - 1, 20, true},
                 {"GB", 20 * 1024 - 1, 30, true}, {"TB", 20 * 1024 - 1, 40, true}, {"PB", 20 * 1024 - 1, 50, true}};
    struct buf text = {0};
    int64_t size = args[0].i;
    size_t unit = 0;
    (void)n;
    if (args[0].kind >= DB_TEXTUAL && !whole_of(args[0].s, &size)) return pg_raise_as(call, "22003", "bigint out of range");
    for (; unit + 1 < ARRAY_COUNT(units) && (size < 0 ? -(uint64_t)size : (uint64_t)size) >= (uint64_t)units[unit].limit; unit++)
        size /= 1ll << (units[unit + 1].bits - units[unit].bits - 1 + units[unit].round);
    if (units[unit].round) size = (size + (size < 0 ? -1 : 1)) / 2;
    if (!unit && args[0].kind >= DB_TEXTUAL) buf_printf(&text, STR_FMT " bytes", STR_ARG(args[0].s));
    else buf_printf(&text, "%lld %s", (long long)size, units[unit].name);
    *out = pg_call_text(call, buf_str(&text));
    buf_free(&text);
}
