/* media: in which form rows are answered. Who asks names media types, the best one first; the first that there is counts.
 *
 *   application/json, application/vnd.pgrst.…      rows, one row, without nulls
 *   text/csv, application/geo+json                 what PostgreSQL and PostGIS make of a row
 *   a type of the app's own: a domain that is called like a media type (or "*" "/" "*")
 *       a function that gives a value of it        its value, as it is
 *       an aggregate that gives one, of a table's rows or of anyelement: what it makes of the rows; it comes before ours of that name
 *
 * Types are of the exposed schemas' functions. One of a table's rows is for those that have all its columns: a select list of one's own is another row.
 */
#include "query/query_int.h"

static bool is_type_name(str s) {
    size_t slash = str_find(s, '/');
    if (str_eqc(s, "*/*")) return true;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
        if (i != slash && !word && (c != '+' || i < slash)) return false;
    }
    return slash && slash + 1 < s.n;
}

/* The media type that a function's value is of; empty: of none. */
static str media_of(const struct query_resolving *r, const struct catalog_function *f) {
    const struct catalog_type *t = f->returns >= PG_OWN_MIN ? catalog_type_of(r->catalog, f->returns) : NULL;
    return t && t->id == f->returns && t->kind == CATALOG_DOMAIN && is_type_name(t->name) ? t->name : (str){0};
}

static bool is_exposed(const struct query_resolving *r, uint32_t schema) {
    const struct query *q = r->query;
    const struct catalog_schema *s = catalog_schema_of(r->catalog, schema);
    bool found = s && str_eq(s->name, q->select.schema);
    for (uint32_t i = 0; i < q->exposed_count && s; i++) found |= str_eq(s->name, q->exposed[i]);
    return found;
}

/* Who gives that type: of rows of that type (0: of any), or that function itself. */
static const struct catalog_function *handler_of(const struct query_resolving *r, str media, uint32_t row) {
    for (uint32_t i = 0; i < r->catalog->functions.n; i++) {
        const struct catalog_function *f = &r->catalog->functions.p[i];
        if (!f->aggregate || f->arguments.n != 1 || !str_eq_nocase(media_of(r, f), media) || !is_exposed(r, f->schema)) continue;
        if (row ? f->arguments.p[0].type == row : f->arguments.p[0].type == PG_ANYELEMENT) return f;
    }
    return NULL;
}

static bool gives(const struct query_resolving *r, str media) {
    const struct catalog_function *f = r->query->function;
    return f && !f->set && !f->aggregate && str_eq_nocase(media_of(r, f), media) && is_exposed(r, f->schema);
}

static bool take(struct query *q, enum query_form form, const struct catalog_function *fold, str media) {
    q->form = form;
    q->fold = fold;
    q->media = str_eqc(media, "*/*") && form != QUERY_FORM_ROWS ? STR("application/octet-stream") : media;
    return true;
}

static bool has_postgis(const struct query_resolving *r) {
    for (uint32_t i = 0; i < r->catalog->extensions.n; i++)
        if (str_eqc(r->catalog->extensions.p[i].name, "postgis")) return r->values.engine == CATALOG_POSTGRES;
    return false;
}

/* One of the names; false: there is none of it. */
static bool take_named(struct query_resolving *r, str media, uint32_t row, bool whole) {
    struct query *q = r->query;
    static const struct {
        const char *media;
        bool single, stripped;
    } ours[] = {{"application/vnd.pgrst.object+json", true, false},
                {"application/vnd.pgrst.object+json;nulls=stripped", true, true},
                {"application/vnd.pgrst.array+json;nulls=stripped", false, true}};
    for (size_t i = 0; i < ARRAY_COUNT(ours); i++) {
        if (!str_eqc(media, ours[i].media)) continue;
        q->single |= ours[i].single;
        q->stripped = ours[i].stripped;
        return take(q, QUERY_FORM_ROWS, NULL, media);
    }
    const struct catalog_function *fold = NULL;
    if (whole && gives(r, STR("*/*"))) return take(q, QUERY_FORM_BARE, NULL, STR("*/*"));
    if (whole && row && (fold = handler_of(r, STR("*/*"), row))) return take(q, QUERY_FORM_FOLDED, fold, STR("*/*"));
    if (whole && gives(r, media)) return take(q, QUERY_FORM_BARE, NULL, media);
    if (whole && row && (fold = handler_of(r, media, row))) return take(q, QUERY_FORM_FOLDED, fold, media);
    if ((fold = handler_of(r, media, 0))) return take(q, QUERY_FORM_FOLDED, fold, media);
    if (str_eqc(media, "application/json") || str_eqc(media, "*/*"))
        return take(q, QUERY_FORM_ROWS, NULL, STR("application/json"));
    if (str_eqc(media, "text/csv")) return take(q, QUERY_FORM_CSV, NULL, media);
    return str_eqc(media, "application/geo+json") && has_postgis(r) && take(q, QUERY_FORM_GEOJSON, NULL, media);
}

/* Whose rows they are: its type; 0: nobody's. */
static uint32_t row_of(const struct query *q) {
    const struct catalog_relation *of = q->kind == QUERY_CALL ? q->gives : q->select.of;
    return of ? of->row_type : 0;
}

bool query_resolve_media(struct query_resolving *r) {
    struct query *q = r->query;
    const struct query_select *s = &q->select;
    bool whole = !s->items_count || (s->items_count == 1 && s->items[0].kind == QUERY_STAR);
    if (!q->accept_count || q->kind == QUERY_DESCRIBE) return true;
    for (uint32_t i = 0; i < q->accept_count; i++)
        if (take_named(r, q->accept[i], row_of(q), whole)) {
            if (q->bodiless) q->form = QUERY_FORM_ROWS, q->stripped = false;
            return true;
        }
    struct buf said = {0};
    for (uint32_t i = 0; i < q->accept_count; i++)
        buf_printf(&said, "%s" STR_FMT, i ? ", " : "", STR_ARG(str_sub(q->accept[i], 0, 100)));
    query_fail(r->error, "PGRST107", "None of these media types are available: " STR_FMT, STR_ARG(buf_str(&said)));
    buf_free(&said);
    return false;
}

/* ---- an answer of such a form ---- */

bool query_media_is_bytes(const struct pg_types *types, const struct query *q) {
    uint32_t type = q->form == QUERY_FORM_FOLDED ? q->fold->returns : q->form == QUERY_FORM_BARE ? q->function->returns : PG_TEXT;
    return query_type_base(types, type) == PG_BYTEA;
}

void query_put_names(const struct query_select *s, struct buf *to) {
    struct query_leaves l = query_leaves_of(s);
    bool first = true;
    for (const struct query_item *it; (it = query_leaf_next(&l)); first = false) {
        if (!first) buf_putc(to, ',');
        buf_puts(to, it->name);
    }
}

/* As a row's text has it, between its parentheses. */
void query_put_cell(struct buf *to, str s) {
    bool quoted = !s.n;
    for (size_t i = 0; i < s.n && !quoted; i++) quoted = memchr("\",()\\ \t\n\r\v\f", s.p[i], 11) != NULL;
    if (!quoted) {
        buf_puts(to, s);
        return;
    }
    buf_putc(to, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\') buf_putc(to, s.p[i]);
        buf_putc(to, s.p[i]);
    }
    buf_putc(to, '"');
}

static void put_stripped(struct buf *b, const struct query_json *v, uint32_t depth) {
    bool first = true;
    if (depth > QUERY_DEPTH_MAX || (v->kind != JSON_KIND_OBJECT && v->kind != JSON_KIND_ARRAY)) {
        buf_puts(b, v->raw);
        return;
    }
    buf_putc(b, v->kind == JSON_KIND_OBJECT ? '{' : '[');
    for (uint32_t i = 0; i < v->n; i++) {
        const struct query_json *item = v->kind == JSON_KIND_OBJECT ? &v->members[i].v : &v->items[i];
        if (v->kind == JSON_KIND_OBJECT && item->kind == JSON_KIND_NULL) continue;
        if (!first) buf_putc(b, ',');
        first = false;
        if (v->kind == JSON_KIND_OBJECT) {
            buf_putc(b, '"');
            json_escape(b, v->members[i].key);
            buf_puts(b, STR("\":"));
        }
        put_stripped(b, item, depth + 1);
    }
    buf_putc(b, v->kind == JSON_KIND_OBJECT ? '}' : ']');
}

bool query_strip_nulls(arena *scratch, struct buf *b, size_t from, struct pg_error *error) {
    struct query_json v;
    struct pg_error ignored = {0};
    struct buf stripped = {0};
    if (!query_json_read(scratch, str_sub(buf_str(b), from, b->n - from), &v, &ignored))
        return query_fail(error, "54000", "the answer is too large, or too deep, to be told without its nulls");
    put_stripped(&stripped, &v, 0);
    b->n = from;
    buf_puts(b, buf_str(&stripped));
    buf_free(&stripped);
    return true;
}
