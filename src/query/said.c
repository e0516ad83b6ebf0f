/* said: what functions say of the answer over HTTP, response.headers and response.status, is looked at while what they did can still be undone: who is told of an
 * error finds nothing done. */
#include "query/query_int.h"

static str setting_of(const struct pg_session *s, const char *name) {
    for (uint32_t i = 0; i < s->settings.n; i++)
        if (str_eq_nocase(s->settings.p[i].name, str_c(name))) return s->settings.p[i].value;
    return (str){0};
}

struct query_said query_said_of(const struct pg_session *s) {
    return (struct query_said){setting_of(s, "response.headers"), setting_of(s, "response.status")};
}

static bool is_token(str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 127 || strchr("()<>@,;:\\\"/[]?={}", s.p[i])) return false;
    return s.n;
}

static bool is_value(str s) {
    for (size_t i = 0; i < s.n; i++)
        if ((s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 127) return false;
    return true;
}

/* [{"name": "value"}, …] */
static bool are_fields(str text) {
    arena *scratch = arena_new(0);
    struct query_json v;
    struct pg_error ignored = {0};
    bool ok = query_json_read(scratch, text, &v, &ignored) && v.kind == JSON_KIND_ARRAY && v.n <= QUERY_SAID_FIELDS_MAX;
    for (uint32_t i = 0; ok && i < v.n; i++) {
        const struct query_json *o = &v.items[i];
        ok = o->kind == JSON_KIND_OBJECT && o->n == 1 && o->members[0].v.kind == JSON_KIND_STR && is_token(o->members[0].key) &&
             is_value(o->members[0].v.s);
    }
    arena_free(scratch);
    return ok;
}

bool query_said_ok(const struct query_said *said, struct pg_error *error) {
    uint64_t status = 200;
    if (said->status.n && (!str_to_u64(said->status, &status) || status < 200 || status > 599))
        return query_fail(error, "PGRST112", "response.status guc must be a valid status code");
    return !said->headers.n || are_fields(said->headers) ||
           query_fail(error, "PGRST111",
                      "response.headers guc must be a JSON array composed of objects with a single key and a string value");
}
