/* openapi: the admin API's description (OpenAPI 3.1), made of the tables that do what it says. */
#include "node/control/api_int.h"

static void put_form(struct json_writer *w, const struct api_form *form) {
    if (!form) return;
    if (form->pattern) json_put_cstr(w, "pattern", form->pattern);
    if (form->format) json_put_cstr(w, "format", form->format);
    if (!form->values) return;
    json_put_array(w, "enum");
    for (str left = str_c(form->values), one; left.n;) {
        str_cut(left, ' ', &one, &left);
        json_put_str(w, NULL, one);
    }
    json_put_end(w);
}

static void put_ref(struct json_writer *w, enum api_schema schema) {
    char ref[96];
    snprintf(ref, sizeof ref, "#/components/schemas/%s", node_api_schemas[schema].name);
    json_put_cstr(w, "$ref", ref);
}

static void put_items(struct json_writer *w, const struct api_field *f) {
    json_put_cstr(w, "type", "array");
    json_put_u64(w, "maxItems", f->most);
    json_put_object(w, "items");
    if (f->type == API_MANY) {
        put_ref(w, f->of);
    } else {
        json_put_cstr(w, "type", "string");
        put_form(w, f->form);
    }
    json_put_end(w);
}

static void put_field(struct json_writer *w, const struct api_field *f) {
    json_put_object(w, f->key);
    if (f->what[0]) json_put_cstr(w, "description", f->what);
    switch (f->type) {
    case API_ONE: put_ref(w, f->of); break;
    case API_MANY:
    case API_TEXTS: put_items(w, f); break;
    case API_FLAG: json_put_cstr(w, "type", "boolean"); break;
    case API_WHOLE:
        json_put_cstr(w, "type", "integer");
        json_put_u64(w, "minimum", f->least);
        json_put_u64(w, "maximum", f->most);
        break;
    default:
        json_put_cstr(w, "type", "string");
        if (f->least) json_put_u64(w, "minLength", f->least);
        json_put_u64(w, "maxLength", f->most);
        put_form(w, f->form);
        break;
    }
    json_put_end(w);
}

static void put_schema(struct json_writer *w, const struct api_schema_row *row) {
    json_put_object(w, row->name);
    json_put_cstr(w, "description", row->what);
    json_put_cstr(w, "type", "object");
    json_put_bool(w, "additionalProperties", false);
    json_put_object(w, "properties");
    for (uint32_t i = 0; i < row->count; i++) put_field(w, &row->fields[i]);
    json_put_end(w);
    json_put_array(w, "required");
    for (uint32_t i = 0; i < row->count; i++)
        if (row->fields[i].needed) json_put_cstr(w, NULL, row->fields[i].key);
    json_put_end(w);
    json_put_end(w);
}

/* ---- calls ---- */

static void put_param(struct json_writer *w, const struct api_param_row *p) {
    json_put_object(w, NULL);
    json_put_cstr(w, "name", p->name);
    json_put_cstr(w, "in", "path");
    json_put_bool(w, "required", true);
    json_put_cstr(w, "description", p->summary);
    json_put_object(w, "schema");
    json_put_cstr(w, "type", "string");
    json_put_cstr(w, "pattern", p->pattern);
    json_put_end(w);
    json_put_end(w);
}

static void put_query(struct json_writer *w, const struct api_query *q) {
    json_put_object(w, NULL);
    json_put_cstr(w, "name", q->name);
    json_put_cstr(w, "in", "query");
    json_put_bool(w, "required", false);
    json_put_cstr(w, "description", q->summary);
    json_put_object(w, "schema");
    json_put_cstr(w, "type", q->type == API_WHOLE ? "integer" : q->type == API_FLAG ? "boolean" : "string");
    if (q->type == API_WHOLE) {
        json_put_u64(w, "minimum", q->least);
        json_put_u64(w, "maximum", q->most);
    } else if (q->type == API_WORD) {
        json_put_u64(w, "maxLength", q->most);
    }
    json_put_end(w);
    json_put_end(w);
}

static void put_parameters(struct json_writer *w, const struct api_row *row) {
    json_put_array(w, "parameters");
    for (enum api_param p = 0; p < API_PARAMS; p++) {
        char place[64];
        snprintf(place, sizeof place, "{%s}", node_api_params[p].name);
        if (strstr(row->path, place)) put_param(w, &node_api_params[p]);
    }
    for (uint32_t i = 0; i < node_api_queries_count; i++)
        if (&node_api_rows[node_api_queries[i].row] == row) put_query(w, &node_api_queries[i]);
    json_put_end(w);
}

static bool needs_something(const struct api_schema_row *row) {
    for (uint32_t i = 0; i < row->count; i++)
        if (row->fields[i].needed) return true;
    return false;
}

static void put_content(struct json_writer *w, enum api_schema schema) {
    const char *type = schema == API_SCHEMA_BYTES        ? "application/octet-stream"
                       : schema == API_SCHEMA_TEXT_PLAIN ? "text/plain"
                       : schema == API_SCHEMA_LINES      ? "application/x-ndjson"
                                                         : "application/json";
    json_put_object(w, "content");
    json_put_object(w, type);
    json_put_object(w, "schema");
    if (schema == API_SCHEMA_Document) json_put_cstr(w, "type", "object");
    else if (schema > API_SCHEMA_Document) put_ref(w, schema);
    else json_put_cstr(w, "type", "string");
    json_put_end(w);
    json_put_end(w);
    json_put_end(w);
}

static void put_answers(struct json_writer *w, const struct api_row *row) {
    char status[8];
    snprintf(status, sizeof status, "%u", row->status);
    json_put_object(w, "responses");
    json_put_object(w, status);
    json_put_cstr(w, "description",
                  row->answer == API_SCHEMA_NONE || row->answer < API_SCHEMA_Document ? "done"
                  : node_api_schemas[row->answer].name                                ? node_api_schemas[row->answer].what
                                                                                      : "done");
    if (row->answer != API_SCHEMA_NONE) put_content(w, row->answer);
    json_put_end(w);
    json_put_object(w, "default");
    json_put_cstr(w, "description", node_api_schemas[API_SCHEMA_Error].what);
    if (row->method != API_HEAD) put_content(w, API_SCHEMA_Error);
    json_put_end(w);
    json_put_end(w);
}

static void put_call(struct json_writer *w, const struct api_row *row) {
    static const char *const methods[] = {"get", "head", "put", "post", "delete"};
    json_put_object(w, methods[row->method]);
    json_put_cstr(w, "operationId", row->name);
    json_put_cstr(w, "summary", row->summary);
    put_parameters(w, row);
    if (row->body != API_SCHEMA_NONE) {
        json_put_object(w, "requestBody");
        json_put_bool(w, "required", row->body == API_SCHEMA_BYTES || needs_something(&node_api_schemas[row->body]));
        put_content(w, row->body);
        json_put_end(w);
    }
    put_answers(w, row);
    if (row->access == API_OPEN) {
        json_put_array(w, "security");
        json_put_end(w);
    }
    json_put_end(w);
}

static bool is_first_of_path(enum api_id i) {
    for (enum api_id k = 0; k < i; k++)
        if (!strcmp(node_api_rows[k].path, node_api_rows[i].path)) return false;
    return true;
}

static void put_paths(struct json_writer *w) {
    json_put_object(w, "paths");
    for (enum api_id i = 0; i < API_IDS; i++) {
        if (!is_first_of_path(i)) continue;
        json_put_object(w, node_api_rows[i].path);
        for (enum api_id k = i; k < API_IDS; k++)
            if (!strcmp(node_api_rows[k].path, node_api_rows[i].path)) put_call(w, &node_api_rows[k]);
        json_put_end(w);
    }
    json_put_end(w);
}

static void put_components(struct json_writer *w) {
    json_put_object(w, "components");
    json_put_object(w, "securitySchemes");
    json_put_object(w, "token");
    json_put_cstr(w, "type", "http");
    json_put_cstr(w, "scheme", "bearer");
    json_put_end(w);
    json_put_end(w);
    json_put_object(w, "schemas");
    for (enum api_schema s = 0; s < API_SCHEMAS; s++)
        if (node_api_schemas[s].name) put_schema(w, &node_api_schemas[s]);
    json_put_end(w);
    json_put_end(w);
}

void node_api_document(struct buf *to) {
    struct json_writer w = json_writer_of(to);
    json_put_object(&w, NULL);
    json_put_cstr(&w, "openapi", "3.1.0");
    json_put_object(&w, "info");
    json_put_cstr(&w, "title", "Orlo's admin API");
    json_put_cstr(&w, "version", "1");
    json_put_end(&w);
    json_put_array(&w, "servers");
    json_put_object(&w, NULL);
    json_put_cstr(&w, "url", "/_orlo");
    json_put_end(&w);
    json_put_end(&w);
    json_put_array(&w, "security");
    json_put_object(&w, NULL);
    json_put_array(&w, "token");
    json_put_end(&w);
    json_put_end(&w);
    json_put_end(&w);
    put_paths(&w);
    put_components(&w);
    json_put_end(&w);
    ENSURE(json_done(&w));
}
