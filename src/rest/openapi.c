/* openapi: the root document: what query's describe says of a schema, as Swagger 2.0, with a path for each relation and function, a definition for each
 * relation, and the parameters that all of them have. What it is made of names only what the role may use. */
#include "rest/rest_int.h"

static bool has(const struct query_json *v, const char *key) {
    const struct query_json *m = query_json_get(v, key);
    return m && m->kind == JSON_KIND_BOOL && m->b;
}

static str text(const struct query_json *v, const char *key) {
    const struct query_json *m = query_json_get(v, key);
    return m && m->kind == JSON_KIND_STR ? m->s : (str){0};
}

#define EACH(item, list)                                                                                                         \
    for (const struct query_json *item = (list) && (list)->kind == JSON_KIND_ARRAY ? (list)->items : NULL,                       \
                                 *item##_end = item ? item + (list)->n : NULL;                                                   \
         item < item##_end; item++)

/* What a type of PostgreSQL's is in a schema. */
static const char *json_type(str type) {
    static const struct {
        const char *sql, *json;
    } rows[] = {{"boolean", "boolean"}, {"smallint", "integer"}, {"integer", "integer"},        {"bigint", "integer"},
                {"numeric", "number"},  {"real", "number"},      {"double precision", "number"}};
    if (str_ends(type, STR("[]"))) return "array";
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (str_eqc(type, rows[i].sql)) return rows[i].json;
    return str_eqc(type, "json") || str_eqc(type, "jsonb") ? NULL : "string";
}

/* A comment's first line is a title, and what follows it the text. */
static str title_of(str comment) { return str_sub(comment, 0, str_find(comment, '\n')); }
static str rest_of(str comment) {
    str rest = str_sub(comment, title_of(comment).n, comment.n);
    while (rest.n && rest.p[0] == '\n') rest = str_sub(rest, 1, rest.n);
    return rest;
}
static void put_comment(struct json_writer *w, str comment) {
    if (comment.n) json_put_str(w, "summary", title_of(comment));
    if (rest_of(comment).n) json_put_str(w, "description", rest_of(comment));
}

static str format_of(str type) {
    if (str_eqc(type, "smallint") || str_eqc(type, "integer")) return STR("int32");
    return str_eqc(type, "bigint") ? STR("int64") : type;
}

/* What it is where nothing is given, if that is a value, or at least a text. */
static void put_default(struct json_writer *w, arena *out, const struct query_json *of) {
    str said = text(of, "default");
    const char *json = json_type(text(of, "type"));
    struct query_json v;
    struct pg_error ignored = {0};
    if (!said.n) return;
    if (json && !strcmp(json, "string")) {
        size_t end = said.n;
        while (end > 2 && !str_starts(str_sub(said, end - 2, said.n), STR("::"))) end--;
        if (end > 3 && said.p[end - 3] == '\'') said = str_sub(said, 0, end - 2);
        if (said.n >= 2 && said.p[0] == '\'' && said.p[said.n - 1] == '\'') said = str_sub(said, 1, said.n - 2);
        json_put_str(w, "default", said);
    } else if (query_json_read(out, said, &v, &ignored) && v.kind != JSON_KIND_OBJECT && v.kind != JSON_KIND_ARRAY)
        json_put_raw(w, "default", said);
}

static void put_type(struct json_writer *w, const struct query_json *of) {
    str type = text(of, "type");
    const char *json = json_type(type);
    const struct query_json *labels = query_json_get(of, "enum");
    json_put_str(w, "format", format_of(text(of, "format")));
    if (json) json_put_cstr(w, "type", json);
    if (json && str_eqc(str_c(json), "array")) {
        const char *item = json_type(str_sub(type, 0, type.n - 2));
        json_put_object(w, "items");
        json_put_cstr(w, "type", item ? item : "string");
        json_put_end(w);
    }
    if (labels) json_put_raw(w, "enum", labels->raw);
}

/* ---- definitions ---- */

static void put_column(arena *out, struct json_writer *w, const struct query_json *c) {
    const struct query_json *refers = query_json_get(c, "references"), *max = query_json_get(c, "max");
    str comment = text(c, "comment");
    json_put_object(w, arena_cstr(out, text(c, "name")));
    struct buf b = {0};
    buf_puts(&b, comment);
    if (has(c, "key")) buf_printf(&b, "%sNote:\nThis is a Primary Key.<pk/>", b.n ? "\n\n" : "");
    if (refers)
        buf_printf(&b, "%sThis is a Foreign Key to `" STR_FMT "." STR_FMT "`.<fk table='" STR_FMT "' column='" STR_FMT "'/>",
                   has(c, "key") ? "\n"
                   : b.n         ? "\n\nNote:\n"
                                 : "Note:\n",
                   STR_ARG(text(refers, "table")), STR_ARG(text(refers, "column")), STR_ARG(text(refers, "table")),
                   STR_ARG(text(refers, "column")));
    if (b.n) json_put_str(w, "description", buf_str(&b));
    buf_free(&b);
    put_type(w, c);
    put_default(w, out, c);
    if (max) json_put_raw(w, "maxLength", max->raw);
    json_put_end(w);
}

static void put_definition(arena *out, struct json_writer *w, const struct rest_plan *plan, const struct query_json *t) {
    const struct query_json *columns = query_json_get(t, "columns");
    bool any = false;
    json_put_object(w, arena_cstr(out, text(t, "name")));
    if (text(t, "comment").n) json_put_str(w, "description", text(t, "comment"));
    EACH(c, columns) any |= !has(c, "nullable");
    if (any) {
        json_put_array(w, "required");
        EACH(c, columns) if (!has(c, "nullable")) json_put_str(w, NULL, text(c, "name"));
        json_put_end(w);
    }
    json_put_object(w, "properties");
    EACH(c, columns) put_column(out, w, c);
    for (uint32_t i = 0; i < plan->computed_count; i++) {
        const struct rest_computed *c = &plan->computed[i];
        if (!str_eq(c->table, text(t, "name"))) continue;
        json_put_object(w, arena_cstr(out, c->name));
        json_put_cstr(w, "description", "Computed by a function of the app's, where it is selected by name");
        json_put_str(w, "format", c->type);
        json_put_bool(w, "readOnly", true);
        json_put_end(w);
    }
    json_put_end(w);
    json_put_cstr(w, "type", "object");
    json_put_end(w);
}

/* ---- parameters ---- */

static const struct {
    const char *name, *in, *key, *description, *values /* that it may have */, *otherwise;
} shared[] = {
    {"select", "query", "select", "Filtering Columns", NULL, NULL},
    {"order", "query", "order", "Ordering", NULL, NULL},
    {"on_conflict", "query", "on_conflict", "On Conflict", NULL, NULL},
    {"limit", "query", "limit", "Limiting and Pagination", NULL, NULL},
    {"offset", "query", "offset", "Limiting and Pagination", NULL, NULL},
    {"Range", "header", "range", "Limiting and Pagination", NULL, NULL},
    {"Range-Unit", "header", "rangeUnit", "Limiting and Pagination", NULL, "items"},
    {"Prefer", "header", "preferParams", "Preference", NULL, NULL},
    {"Prefer", "header", "preferReturn", "Preference", "[\"return=representation\",\"return=minimal\",\"return=none\"]", NULL},
    {"Prefer", "header", "preferCount", "Preference", "[\"count=none\",\"count=exact\",\"count=planned\",\"count=estimated\"]",
     NULL},
};

static void put_parameters(arena *out, struct json_writer *w, const struct query_json *tables) {
    json_put_object(w, "parameters");
    for (size_t i = 0; i < ARRAY_COUNT(shared); i++) {
        json_put_object(w, shared[i].key);
        json_put_cstr(w, "name", shared[i].name);
        json_put_cstr(w, "description", shared[i].description);
        json_put_bool(w, "required", false);
        json_put_cstr(w, "in", shared[i].in);
        json_put_cstr(w, "type", "string");
        if (shared[i].values) json_put_raw(w, "enum", str_c(shared[i].values));
        if (shared[i].otherwise) json_put_cstr(w, "default", shared[i].otherwise);
        json_put_end(w);
    }
    EACH(t, tables) {
        str name = text(t, "name");
        json_put_object(w, arena_cstr(out, arena_fmt(out, "body." STR_FMT, STR_ARG(name))));
        json_put_str(w, "name", name);
        if (text(t, "comment").n) json_put_str(w, "description", text(t, "comment"));
        json_put_bool(w, "required", false);
        json_put_cstr(w, "in", "body");
        json_put_object(w, "schema");
        json_put_str(w, "$ref", arena_fmt(out, "#/definitions/" STR_FMT, STR_ARG(name)));
        json_put_end(w);
        json_put_end(w);
        EACH(c, query_json_get(t, "columns")) {
            json_put_object(
                w, arena_cstr(out, arena_fmt(out, "rowFilter." STR_FMT "." STR_FMT, STR_ARG(name), STR_ARG(text(c, "name")))));
            json_put_str(w, "name", text(c, "name"));
            if (text(c, "comment").n) json_put_str(w, "description", text(c, "comment"));
            json_put_bool(w, "required", false);
            json_put_cstr(w, "in", "query");
            json_put_cstr(w, "type", "string");
            json_put_end(w);
        }
    }
    json_put_end(w);
}

/* ---- paths ---- */

static void put_refs(arena *out, struct json_writer *w, const struct query_json *t, bool filters, bool body,
                     const char *const *keys, size_t n) {
    str name = text(t, "name");
    json_put_array(w, "parameters");
    for (const struct query_json *c = filters ? query_json_get(t, "columns")->items : NULL,
                                 *end = c ? c + query_json_get(t, "columns")->n : NULL;
         c < end; c++) {
        json_put_object(w, NULL);
        json_put_str(w, "$ref",
                     arena_fmt(out, "#/parameters/rowFilter." STR_FMT "." STR_FMT, STR_ARG(name), STR_ARG(text(c, "name"))));
        json_put_end(w);
    }
    if (body) {
        json_put_object(w, NULL);
        json_put_str(w, "$ref", arena_fmt(out, "#/parameters/body." STR_FMT, STR_ARG(name)));
        json_put_end(w);
    }
    for (size_t i = 0; i < n; i++) {
        json_put_object(w, NULL);
        json_put_str(w, "$ref", arena_fmt(out, "#/parameters/%s", keys[i]));
        json_put_end(w);
    }
    json_put_end(w);
}

static void put_response(struct json_writer *w, const char *status, const char *description) {
    json_put_object(w, status);
    json_put_cstr(w, "description", description);
}

static void put_tags(struct json_writer *w, str tag) {
    json_put_array(w, "tags");
    json_put_str(w, NULL, tag);
    json_put_end(w);
}

static void put_method(arena *out, struct json_writer *w, const struct query_json *t, const char *method) {
    static const char *const get[] = {"select", "order", "range", "rangeUnit", "offset", "limit", "preferCount"},
                             *const post[] = {"select", "preferPost"}, *const change[] = {"preferReturn"};
    bool reads = method[0] == 'g', creates = method[1] == 'o', patches = method[1] == 'a';
    json_put_object(w, method);
    put_tags(w, text(t, "name"));
    put_comment(w, text(t, "comment"));
    put_refs(out, w, t, !creates, creates || patches,
             reads     ? get
             : creates ? post
                       : change,
             reads     ? ARRAY_COUNT(get)
             : creates ? ARRAY_COUNT(post)
                       : 1);
    json_put_object(w, "responses");
    if (reads) {
        put_response(w, "200", "OK");
        json_put_object(w, "schema");
        json_put_object(w, "items");
        json_put_str(w, "$ref", arena_fmt(out, "#/definitions/" STR_FMT, STR_ARG(text(t, "name"))));
        json_put_end(w);
        json_put_cstr(w, "type", "array");
        json_put_end(w);
        json_put_end(w);
        put_response(w, "206", "Partial Content");
        json_put_end(w);
    } else {
        put_response(w, creates ? "201" : "204", creates ? "Created" : "No Content");
        json_put_end(w);
    }
    json_put_end(w);
    json_put_end(w);
}

static void put_relation(arena *out, struct json_writer *w, const struct query_json *t) {
    json_put_object(w, arena_cstr(out, arena_fmt(out, "/" STR_FMT, STR_ARG(text(t, "name")))));
    if (has(t, "select")) put_method(out, w, t, "get");
    if (has(t, "insert")) put_method(out, w, t, "post");
    if (has(t, "delete")) put_method(out, w, t, "delete");
    if (has(t, "update")) put_method(out, w, t, "patch");
    json_put_end(w);
}

static void put_arguments(arena *out, struct json_writer *w, const struct query_json *f) {
    const struct query_json *arguments = query_json_get(f, "arguments");
    bool any = false;
    json_put_array(w, "parameters");
    json_put_object(w, NULL);
    json_put_bool(w, "required", true);
    json_put_cstr(w, "in", "body");
    json_put_cstr(w, "name", "args");
    json_put_object(w, "schema");
    if (text(f, "comment").n) json_put_str(w, "description", text(f, "comment"));
    EACH(a, arguments) any |= has(a, "required") && text(a, "name").n;
    if (any) {
        json_put_array(w, "required");
        EACH(a, arguments) if (has(a, "required") && text(a, "name").n) json_put_str(w, NULL, text(a, "name"));
        json_put_end(w);
    }
    json_put_cstr(w, "type", "object");
    json_put_object(w, "properties");
    EACH(a, arguments) {
        if (!text(a, "name").n) continue;
        json_put_object(w, arena_cstr(out, text(a, "name")));
        put_type(w, a);
        json_put_end(w);
    }
    json_put_end(w);
    json_put_end(w);
    json_put_end(w);
    json_put_object(w, NULL);
    json_put_cstr(w, "$ref", "#/parameters/preferParams");
    json_put_end(w);
    json_put_end(w);
}

/* Of GET they are the query's. */
static void put_query_arguments(arena *out, struct json_writer *w, const struct query_json *f) {
    json_put_array(w, "parameters");
    EACH(a, query_json_get(f, "arguments")) {
        if (!text(a, "name").n) continue;
        str type = text(a, "type"), item = str_sub(type, 0, type.n > 2 ? type.n - 2 : 0);
        const char *json = json_type(type), *of = json_type(item);
        bool several = has(a, "variadic");
        json_put_object(w, NULL);
        json_put_str(w, "name", text(a, "name"));
        json_put_bool(w, "required", has(a, "required"));
        json_put_cstr(w, "in", "query");
        json_put_cstr(w, "type", several ? "array" : json && strcmp(json, "array") != 0 ? json : "string");
        if (!several) json_put_str(w, "format", format_of(text(a, "format")));
        else {
            json_put_cstr(w, "collectionFormat", "multi");
            json_put_object(w, "items");
            json_put_cstr(w, "type", of ? of : "string");
            json_put_str(w, "format", format_of(item));
            json_put_end(w);
        }
        json_put_end(w);
    }
    json_put_end(w);
}

static void put_call(arena *out, struct json_writer *w, const struct query_json *f, bool get) {
    json_put_object(w, get ? "get" : "post");
    put_tags(w, arena_fmt(out, "(rpc) " STR_FMT, STR_ARG(text(f, "name"))));
    put_comment(w, text(f, "comment"));
    json_put_array(w, "produces");
    json_put_cstr(w, NULL, "application/json");
    json_put_cstr(w, NULL, "application/vnd.pgrst.object+json;nulls=stripped");
    json_put_cstr(w, NULL, "application/vnd.pgrst.object+json");
    json_put_end(w);
    if (get) put_query_arguments(out, w, f);
    else put_arguments(out, w, f);
    json_put_object(w, "responses");
    put_response(w, "200", "OK");
    json_put_end(w);
    json_put_end(w);
    json_put_end(w);
}

static void put_function(arena *out, struct json_writer *w, const struct query_json *f) {
    json_put_object(w, arena_cstr(out, arena_fmt(out, "/rpc/" STR_FMT, STR_ARG(text(f, "name")))));
    if (!has(f, "volatile")) put_call(out, w, f, true);
    put_call(out, w, f, false);
    json_put_end(w);
}

/* Of which nothing is known but its name, and whether it may be called by GET, too. */
static void put_app_function(arena *out, struct json_writer *w, str name, bool reads) {
    json_put_object(w, arena_cstr(out, arena_fmt(out, "/rpc/" STR_FMT, STR_ARG(name))));
    if (reads) {
        json_put_object(w, "get");
        put_tags(w, arena_fmt(out, "(rpc) " STR_FMT, STR_ARG(name)));
        json_put_cstr(w, "summary", "A function of the app's, which changes nothing");
        json_put_object(w, "responses");
        put_response(w, "200", "OK");
        json_put_end(w);
        json_put_end(w);
        json_put_end(w);
    }
    json_put_object(w, "post");
    put_tags(w, arena_fmt(out, "(rpc) " STR_FMT, STR_ARG(name)));
    json_put_cstr(w, "summary", "A function of the app's");
    json_put_array(w, "produces");
    json_put_cstr(w, NULL, "application/json");
    json_put_end(w);
    json_put_array(w, "parameters");
    json_put_object(w, NULL);
    json_put_cstr(w, "in", "body");
    json_put_cstr(w, "name", "args");
    json_put_object(w, "schema");
    json_put_cstr(w, "type", "object");
    json_put_end(w);
    json_put_end(w);
    json_put_end(w);
    json_put_object(w, "responses");
    put_response(w, "200", "OK");
    json_put_end(w);
    json_put_end(w);
    json_put_end(w);
    json_put_end(w);
}

static void put_paths(arena *out, struct json_writer *w, const struct rest_plan *plan, const struct query_json *v) {
    const struct query_json *functions = query_json_get(v, "functions");
    json_put_object(w, "paths");
    json_put_object(w, "/");
    json_put_object(w, "get");
    put_tags(w, STR("Introspection"));
    json_put_cstr(w, "summary", "OpenAPI description (this document)");
    json_put_array(w, "produces");
    json_put_cstr(w, NULL, "application/openapi+json");
    json_put_cstr(w, NULL, "application/json");
    json_put_end(w);
    json_put_object(w, "responses");
    put_response(w, "200", "OK");
    json_put_end(w);
    json_put_end(w);
    json_put_end(w);
    json_put_end(w);
    EACH(t, query_json_get(v, "tables")) put_relation(out, w, t);
    EACH(f, functions) {
        bool again = false; /* of several that are called alike, the first */
        for (const struct query_json *k = functions->items; k < f; k++) again |= str_eq(text(k, "name"), text(f, "name"));
        for (uint32_t i = 0; i < plan->functions_count; i++) again |= str_eq(plan->functions[i], text(f, "name"));
        if (!again) put_function(out, w, f);
    }
    for (uint32_t i = 0; i < plan->functions_count; i++) put_app_function(out, w, plan->functions[i], plan->functions_read[i]);
    json_put_end(w);
}

str rest_openapi(arena *out, const struct rest_plan *plan, str description) {
    struct query_json v;
    struct pg_error error = {0};
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    if (!query_json_read(out, description, &v, &error)) return STR("{}");
    json_put_object(&w, NULL);
    json_put_cstr(&w, "swagger", "2.0");
    json_put_object(&w, "info");
    str comment = text(&v, "comment"), more = rest_of(comment);
    json_put_str(&w, "title", comment.n ? title_of(comment) : STR("Orlo REST API"));
    json_put_str(&w, "description", more.n ? more : arena_fmt(out, "the schema " STR_FMT, STR_ARG(plan->schema)));
    json_put_cstr(&w, "version", "1");
    json_put_end(&w);
    put_paths(out, &w, plan, &v);
    json_put_object(&w, "definitions");
    EACH(t, query_json_get(&v, "tables")) put_definition(out, &w, plan, t);
    json_put_end(&w);
    put_parameters(out, &w, query_json_get(&v, "tables"));
    static const char *const types[] = {"application/json", "application/vnd.pgrst.object+json;nulls=stripped",
                                        "application/vnd.pgrst.object+json", "text/csv"};
    static const char *const members[] = {"consumes", "produces"};
    for (size_t k = 0; k < 2; k++) {
        json_put_array(&w, members[k]);
        for (size_t i = 0; i < ARRAY_COUNT(types); i++) json_put_cstr(&w, NULL, types[i]);
        json_put_end(&w);
    }
    json_put_end(&w);
    str s = arena_str(out, buf_str(&b));
    buf_free(&b);
    return s;
}
