/* names: what is called so (regclass, regtype, regprocedure …), and what something is called. Names are looked for by the search path of
 * whoever asks, and pg_catalog before it. Functions that are built in have numbers of their own, which stand in
 * no relation. */
#include "system/system_int.h"

enum { BUILT_IN = 1000 /* a function's number: its place in pg's table, and this */, PARTS_MAX = 3, NAME_MAX_BYTES = 128 };
static const str usual[] = {STR_INIT("public"), STR_INIT("extensions")};
/* Of whoever asks, while he is answered. */
static _Thread_local const str *path = usual;
static _Thread_local uint32_t path_n = ARRAY_COUNT(usual);
static void ask_by(const struct system_context *cx) {
    path = cx->path ? cx->path : usual;
    path_n = cx->path ? cx->path_n : ARRAY_COUNT(usual);
}

/* ---- reading ---- */

struct parts {
    char room[PARTS_MAX][NAME_MAX_BYTES];
    str p[PARTS_MAX];
    uint32_t n;
};

/* One part of a name: folded, unless it is quoted. false: it is none. */
static bool part_of(str *text, char *to, size_t room, str *out) {
    str s = str_trim(*text);
    size_t n = 0, i = 0;
    bool quoted = s.n && s.p[0] == '"', closed = !quoted;
    for (i = quoted; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (quoted && c == '"') {
            if (i + 1 == s.n || s.p[i + 1] != '"') {
                closed = true, i++;
                break;
            }
            i++;
        }
        if (!quoted && c == '.') break;
        if (n == room) return false;
        to[n++] = (char)(quoted || c < 'A' || c > 'Z' ? c : c + 32);
    }
    *out = quoted ? (str){(const uint8_t *)to, n} : str_trim((str){(const uint8_t *)to, n});
    *text = str_sub(s, i, s.n);
    return out->n && closed;
}

static bool read_parts(str text, struct parts *o) {
    str rest = str_trim(text);
    for (o->n = 0; o->n < PARTS_MAX; o->n++) {
        if (!part_of(&rest, o->room[o->n], sizeof o->room[0], &o->p[o->n])) return false;
        rest = str_trim(rest);
        if (!rest.n) {
            o->n++;
            return true;
        }
        if (rest.p[0] != '.') return false;
        rest = str_sub(rest, 1, rest.n);
    }
    return false;
}

static str last(const struct parts *o) { return o->p[o->n - 1]; }
static str schema(const struct parts *o) { return o->n > 1 ? o->p[o->n - 2] : (str){0}; }

static uint32_t relation_by(const struct catalog *c, str schema, str name) {
    const struct catalog_relation *r = catalog_relation_named(c, schema, name);
    const struct catalog_sequence *q = r ? NULL : catalog_sequence_named(c, schema, name);
    const struct catalog_schema *s = catalog_schema_named(c, schema);
    if (r || q) return r ? r->id : q->id;
    for (uint32_t i = 0; s && i < c->relations.n; i++) {
        const struct catalog_relation *t = &c->relations.p[i];
        if (t->schema != s->id) continue;
        for (uint32_t k = 0; k < t->indexes.n; k++)
            if (str_eq(t->indexes.p[k].name, name)) return t->indexes.p[k].id;
        for (uint32_t k = 0; k < t->constraints.n; k++)
            if ((t->constraints.p[k].kind == CATALOG_PRIMARY || t->constraints.p[k].kind == CATALOG_UNIQUE) &&
                str_eq(t->constraints.p[k].name, name))
                return t->constraints.p[k].id;
    }
    return 0;
}

/* PostgreSQL's own relations: by their numbers in the table of them, which no catalogue's id is. */
static uint32_t relation(const struct catalog *c, const struct parts *o) {
    const struct system_relation *r = system_relation_named(schema(o), last(o));
    if (r) return SYSTEM_RELATIONS + system_relation_number(r);
    if (o->n > 1) return relation_by(c, schema(o), last(o));
    for (size_t i = 0; i < path_n; i++) {
        uint32_t found = relation_by(c, path[i], last(o));
        if (found) return found;
    }
    return 0;
}

/* "character varying(10)[]": words as they are, in single blanks and lower case, without what is in brackets. */
static str words_of(str text, char *to, size_t room, uint32_t *arrays) {
    size_t n = 0;
    *arrays = 0;
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        if (c == '(')
            while (i < text.n && text.p[i] != ')') i++;
        else if (c == '[') {
            while (i < text.n && text.p[i] != ']') i++;
            ++*arrays;
        } else if (c == ' ' || c == '\t' || c == '\n') {
            if (n && to[n - 1] != ' ' && n < room) to[n++] = ' ';
        } else if (n < room) {
            to[n++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        }
    }
    return str_trim((str){(const uint8_t *)to, n});
}

static uint32_t built_in_type(str words) {
    static const struct {
        const char *word;
        uint32_t type;
    } others[] = {{"int", PG_INT4},    {"decimal", PG_NUMERIC},          {"dec", PG_NUMERIC},  {"float", PG_FLOAT8},
                  {"char", PG_BPCHAR}, {"char varying", PG_VARCHAR},     {"nchar", PG_BPCHAR}, {"\"char\"", PG_CHAR},
                  {"bool", PG_BOOL},   {"national character", PG_BPCHAR}};
    for (size_t i = 0; i < ARRAY_COUNT(others); i++)
        if (str_eqc(words, others[i].word)) return others[i].type;
    if (str_starts(words, STR("pg_catalog."))) words = str_sub(words, 11, words.n);
    const struct pg_type *t = pg_type_by_name(words);
    return t ? t->id : 0;
}

static uint32_t type(const struct catalog *c, str text) {
    char room[NAME_MAX_BYTES];
    uint32_t arrays;
    str words = words_of(text, room, sizeof room, &arrays);
    uint32_t id = built_in_type(words);
    if (id) {
        const struct pg_type *t = pg_type_by_id(id);
        return arrays ? t->array : id;
    }
    for (size_t i = 0; i < text.n; i++) /* a name may be in quotes: as it was written */
        if (text.p[i] == '(' || text.p[i] == '[') text.n = i;
    struct parts o;
    if (!read_parts(text, &o)) return 0;
    const struct catalog_type *t = NULL;
    if (o.n > 1) t = catalog_type_named(c, schema(&o), last(&o));
    for (size_t i = 0; o.n == 1 && !t && i < path_n; i++) t = catalog_type_named(c, path[i], last(&o));
    return !t ? 0 : arrays ? t->array : t->id;
}

/* ---- functions ---- */

static bool goes_in(const struct catalog_argument *a) { return a->mode != CATALOG_OUT && a->mode != CATALOG_TABLE_COLUMN; }

const struct catalog_function *system_function_of(const struct catalog *c, uint32_t id) {
    for (uint32_t i = 0; i < c->functions.n; i++)
        if (c->functions.p[i].id == id) return &c->functions.p[i];
    return NULL;
}

enum { ARGUMENTS_MAX = 100, ANY_ARGUMENTS = UINT32_MAX };

static bool takes(const struct catalog_function *f, const uint32_t *types, uint32_t n) {
    uint32_t at = 0;
    if (n == (uint32_t)ANY_ARGUMENTS) return true;
    for (uint32_t i = 0; i < f->arguments.n; i++) {
        if (!goes_in(&f->arguments.p[i])) continue;
        if (at == n || f->arguments.p[i].type != types[at++]) return false;
    }
    return at == n;
}

static void look_in(const struct catalog *c, str schema, str name, const uint32_t *types, uint32_t n, uint32_t *found,
                    uint32_t *id) {
    const struct catalog_function *f = NULL;
    while ((f = catalog_function_next(c, schema, name, f)))
        if (takes(f, types, n)) *id = f->id, ++*found;
}

/* Of pg's tables: those of other schemas have them in their names. */
static void look_built_in(str name, const uint32_t *types, uint32_t n, uint32_t *found, uint32_t *id) {
    uint32_t count, all_count;
    const struct pg_function *all = pg_functions_all(&all_count), *f = pg_functions_named(name, &count);
    for (uint32_t i = 0; f && i < count; i++) {
        bool same = n == (uint32_t)ANY_ARGUMENTS || f[i].params_count == n;
        for (uint32_t k = 0; n != (uint32_t)ANY_ARGUMENTS && same && k < n; k++) same = f[i].params[k].type == types[k];
        if (same) *id = BUILT_IN + (uint32_t)(&f[i] - all), ++*found;
    }
}

static enum pg_found function(const struct catalog *c, str text, const uint32_t *types, uint32_t n, uint32_t *id) {
    struct parts o;
    uint32_t found = 0;
    char whole[2 * NAME_MAX_BYTES + 2];
    if (!read_parts(text, &o)) return PG_FOUND_MALFORMED;
    bool own = o.n == 1 || str_eqc(schema(&o), "pg_catalog");
    snprintf(whole, sizeof whole, STR_FMT "%s" STR_FMT, STR_ARG(own ? (str){0} : schema(&o)), own ? "" : ".", STR_ARG(last(&o)));
    look_built_in(str_c(whole), types, n, &found, id);
    if (o.n > 1) look_in(c, schema(&o), last(&o), types, n, &found, id);
    for (size_t i = 0; o.n == 1 && (!found || n == (uint32_t)ANY_ARGUMENTS) && i < path_n; i++)
        look_in(c, path[i], last(&o), types, n, &found, id);
    return !found ? PG_FOUND_NONE : found > 1 && n == (uint32_t)ANY_ARGUMENTS ? PG_FOUND_SEVERAL : PG_FOUND;
}

/* "f(integer, numeric(10,2), public.mood[])" */
static enum pg_found signature(const struct catalog *c, str text, uint32_t *id) {
    uint32_t types[ARGUMENTS_MAX], n = 0;
    size_t open = 0, depth = 0;
    bool quoted = false;
    while (open < text.n && (quoted || text.p[open] != '(')) quoted ^= text.p[open++] == '"';
    if (open == text.n || text.p[text.n - 1] != ')') return PG_FOUND_MALFORMED;
    str list = str_trim(str_sub(text, open + 1, text.n - open - 2));
    for (size_t from = 0, i = 0; list.n && i <= list.n; i++) {
        uint8_t c0 = i < list.n ? list.p[i] : ',';
        if (c0 == '"') quoted = !quoted;
        depth += !quoted && c0 == '(', depth -= !quoted && c0 == ')' && depth;
        if (c0 != ',' || (i < list.n && (quoted || depth))) continue;
        if (n == ARGUMENTS_MAX) return PG_FOUND_NONE;
        types[n] = type(c, str_trim(str_sub(list, from, i - from)));
        if (!types[n++]) return PG_FOUND_NONE;
        from = i + 1;
    }
    return function(c, str_sub(text, 0, open), types, n, id);
}

static enum pg_found find(const struct catalog *c, uint32_t kind, str text, uint32_t *id) {
    struct parts o;
    *id = 0;
    text = str_trim(text);
    if (kind == PG_REGTYPE) return (*id = type(c, text)) ? PG_FOUND : PG_FOUND_NONE;
    if (kind == PG_REGPROCEDURE) return signature(c, text, id);
    if (kind == PG_REGPROC) return function(c, text, NULL, (uint32_t)ANY_ARGUMENTS, id);
    if (!read_parts(text, &o)) return PG_FOUND_MALFORMED;
    if (kind == PG_REGCLASS) *id = relation(c, &o);
    const struct catalog_schema *s = kind == PG_REGNAMESPACE ? catalog_schema_named(c, last(&o)) : NULL;
    const struct catalog_role *r = kind == PG_REGROLE ? catalog_role_named(c, last(&o)) : NULL;
    if (s || r) *id = s ? s->id : r->id;
    if (kind == PG_REGNAMESPACE && !s && str_eqc(last(&o), "pg_catalog")) *id = SYSTEM_PG_CATALOG;
    if (kind == PG_REGNAMESPACE && !s && str_eqc(last(&o), "information_schema")) *id = SYSTEM_INFORMATION;
    return *id ? PG_FOUND : PG_FOUND_NONE;
}

/* ---- printing ---- */

void system_put_name(struct buf *b, str name) {
    bool plain = name.n && (name.p[0] == '_' || (name.p[0] >= 'a' && name.p[0] <= 'z'));
    for (size_t i = 0; plain && i < name.n; i++)
        plain = name.p[i] == '_' || (name.p[i] >= 'a' && name.p[i] <= 'z') || (name.p[i] >= '0' && name.p[i] <= '9');
    if (plain) return (void)buf_puts(b, name);
    buf_putc(b, '"');
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '"') buf_putc(b, '"');
        buf_putc(b, name.p[i]);
    }
    buf_putc(b, '"');
}

static bool in_path(str name) {
    for (size_t i = 0; i < path_n; i++)
        if (str_eq(name, path[i])) return true;
    return false;
}

void system_put_qualified(struct buf *b, const struct catalog *c, uint32_t schema, str name, bool always) {
    const struct catalog_schema *s = catalog_schema_of(c, schema);
    if (s && (always || !in_path(s->name))) system_put_name(b, s->name), buf_putc(b, '.');
    system_put_name(b, name);
}

/* timestamp(3) with time zone: the digits stand behind the first word */
static void put_built_in(struct buf *b, const struct pg_type *t, int32_t typmod) {
    const struct pg_type *of = t->element ? pg_type_by_id(t->element) : t;
    str name = str_c(of ? of->sql : t->sql);
    const uint8_t *blank = memchr(name.p, ' ', name.n);
    size_t cut = of && of->typmod == PG_TYPMOD_SECONDS && blank ? (size_t)(blank - name.p) : name.n;
    buf_puts(b, str_sub(name, 0, cut));
    pg_typmod_out(of ? of->id : t->id, typmod, b);
    buf_puts(b, str_sub(name, cut, name.n));
    if (t->element) buf_puts(b, STR("[]"));
}

void system_put_type(struct buf *b, const struct catalog *c, uint32_t type, int32_t typmod) {
    const struct pg_type *t = pg_type_by_id(type);
    if (t) return put_built_in(b, t, typmod);
    const struct catalog_type *own = catalog_type_of(c, type);
    if (!own) return (void)buf_puts(b, STR("???"));
    system_put_qualified(b, c, own->schema, own->name, false);
    if (own->array == type && own->id != type) buf_puts(b, STR("[]"));
}

static bool put_function(struct buf *b, const struct catalog *c, uint32_t id, bool arguments) {
    const struct catalog_function *f = system_function_of(c, id);
    uint32_t count, at = 0;
    const struct pg_function *all = pg_functions_all(&count);
    if (f) {
        system_put_qualified(b, c, f->schema, f->name, false);
        if (!arguments) return true;
        buf_putc(b, '(');
        for (uint32_t i = 0; i < f->arguments.n; i++) {
            if (!goes_in(&f->arguments.p[i])) continue;
            if (at++) buf_putc(b, ',');
            system_put_type(b, c, f->arguments.p[i].type, -1);
        }
        return buf_putc(b, ')'), true;
    }
    if (id < BUILT_IN || id - BUILT_IN >= count) return false;
    const struct pg_function *built_in = &all[id - BUILT_IN];
    buf_puts(b, str_c(built_in->name));
    if (arguments) buf_putc(b, '(');
    for (uint32_t i = 0; arguments && i < built_in->params_count; i++) {
        if (i) buf_putc(b, ',');
        system_put_type(b, c, built_in->params[i].type, -1);
    }
    if (arguments) buf_putc(b, ')');
    return true;
}

static bool put_relation(struct buf *b, const struct catalog *c, uint32_t id, bool always) {
    const struct catalog_relation *r = catalog_relation_of(c, id);
    const struct catalog_sequence *q = r ? NULL : catalog_sequence_of(c, id);
    const struct system_relation *own = id >= SYSTEM_RELATIONS ? system_relation_at(id - SYSTEM_RELATIONS) : NULL;
    if (r || q) return system_put_qualified(b, c, r ? r->schema : q->schema, r ? r->name : q->name, always), true;
    if (own) return buf_printf(b, "%s%s", !strcmp(own->schema, "pg_catalog") ? "" : "information_schema.", own->name), true;
    for (uint32_t i = 0; i < c->relations.n; i++) {
        const struct catalog_relation *t = &c->relations.p[i];
        for (uint32_t k = 0; k < t->indexes.n; k++)
            if (t->indexes.p[k].id == id) return system_put_qualified(b, c, t->schema, t->indexes.p[k].name, always), true;
        for (uint32_t k = 0; k < t->constraints.n; k++)
            if (t->constraints.p[k].id == id)
                return system_put_qualified(b, c, t->schema, t->constraints.p[k].name, always), true;
    }
    return false;
}

static bool print(const struct catalog *c, uint32_t type, uint32_t id, struct buf *b) {
    if (type == PG_REGCLASS) return put_relation(b, c, id, false);
    if (type == PG_REGPROC || type == PG_REGPROCEDURE) return put_function(b, c, id, type == PG_REGPROCEDURE);
    if (type == PG_REGTYPE) {
        if (!pg_type_by_id(id) && !catalog_type_of(c, id)) return false;
        return system_put_type(b, c, id, -1), true;
    }
    const struct catalog_schema *s = type == PG_REGNAMESPACE ? catalog_schema_of(c, id) : NULL;
    const struct catalog_role *r = type == PG_REGROLE ? catalog_role_of(c, id) : NULL;
    if (s || r) return system_put_name(b, s ? s->name : r->name), true;
    if (type == PG_REGNAMESPACE && id == SYSTEM_PG_CATALOG) return buf_puts(b, STR("pg_catalog"));
    if (type == PG_REGNAMESPACE && id == SYSTEM_INFORMATION) return buf_puts(b, STR("information_schema"));
    return false;
}

/* ---- for pg ---- */

static const struct catalog *catalog_at(void *arg) {
    ask_by(arg);
    return ((struct system_context *)arg)->catalog;
}

static enum pg_found names_find(void *arg, uint32_t type, str text, uint32_t *id) {
    return catalog_at(arg) ? find(catalog_at(arg), type, text, id) : PG_FOUND_NONE;
}
static bool names_print(void *arg, uint32_t type, uint32_t id, struct buf *b) {
    return catalog_at(arg) && print(catalog_at(arg), type, id, b);
}
static bool names_tell(void *arg, enum pg_about about, uint32_t id, int64_t more, struct buf *b) {
    const struct catalog *c = catalog_at(arg);
    if (!c) return false;
    if (about == PG_ABOUT_RELATION_VISIBLE && more) return put_relation(b, c, id, true);
    return system_tell(c, about, id, more, b);
}
static uint32_t names_sequence(void *arg, str table, str column, const char **missing) {
    const struct catalog *c = catalog_at(arg);
    static _Thread_local char name[NAME_MAX_BYTES];
    uint32_t id;
    const struct catalog_relation *r = c && find(c, PG_REGCLASS, table, &id) == PG_FOUND ? catalog_relation_of(c, id) : NULL;
    const struct catalog_column *k = r ? catalog_column_named(r, column) : NULL;
    if (r && !k) {
        snprintf(name, sizeof name, STR_FMT, STR_ARG(r->name));
        *missing = name;
    }
    for (uint32_t i = 0; k && i < c->sequences.n; i++) /* or what was given to it: OWNED BY */
        if (!k->sequence && c->sequences.p[i].relation == r->id && c->sequences.p[i].column == k->number)
            return c->sequences.p[i].id;
    return k ? k->sequence : 0;
}

struct pg_names system_names(struct system_context *of) {
    return (struct pg_names){of, names_find, names_print, names_tell, names_sequence};
}
