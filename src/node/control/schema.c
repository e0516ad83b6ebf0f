/* schema: what schema.def says of a body, and whether one is that. */
#include "node/control/api_int.h"

static const struct api_form form_APP = {.pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"},
                             form_DIGEST = {.pattern = "^[0-9a-f]{64}$"}, form_TIME = {.format = "date-time"},
                             form_KEY_TYPE = {.values = "publishable secret"},
                             form_ALGORITHM = {.values = "HS256 ES256 RS256 EdDSA"},
                             form_KEY_STATE = {.values = "standby in_use previously_used revoked"},
                             form_FORMAT = {.values = "orlo spin supabase"}, form_STATE = {.values = "working done failed"},
                             form_SCOPE = {.values = "node app"}, form_COMMAND = {.values = "select insert update delete"};
static const struct api_form *const form_ANY = NULL;

/* The row's `of` is a schema or a form, as the type says. */
#define OF_TEXT(of) .form = FORM_##of
#define OF_TEXTS(of) .form = FORM_##of
#define OF_WHOLE(of) .form = form_ANY
#define OF_FLAG(of) .form = form_ANY
#define OF_ONE(schema) .of = API_SCHEMA_##schema
#define OF_MANY(schema) .of = API_SCHEMA_##schema
#define FORM_ANY form_ANY
#define FORM_APP &form_APP
#define FORM_DIGEST &form_DIGEST
#define FORM_TIME &form_TIME
#define FORM_FORMAT &form_FORMAT
#define FORM_KEY_TYPE &form_KEY_TYPE
#define FORM_ALGORITHM &form_ALGORITHM
#define FORM_KEY_STATE &form_KEY_STATE
#define FORM_STATE &form_STATE
#define FORM_SCOPE &form_SCOPE
#define FORM_COMMAND &form_COMMAND
enum { MAY, NEEDED };

#define SCHEMA(name, what) static const struct api_field fields_##name[] = {
#define FIELD(k, t, o, must, from, to, text) {#k, text, API_##t, OF_##t(o), .needed = must, .least = from, .most = to},
#define END                                                                                                                      \
    }                                                                                                                            \
    ;
#include "node/control/schema.def"

const struct api_schema_row node_api_schemas[API_SCHEMAS] = {
#define SCHEMA(name, what) [API_SCHEMA_##name] = {#name, what, fields_##name, ARRAY_COUNT(fields_##name)},
#include "node/control/schema.def"
};

/* ---- checking ---- */

struct at { /* where in the document */
    const struct at *up;
    const char *key;
    uint32_t index;
};

static void write_at(struct buf *b, const struct at *at) {
    if (!at) return;
    write_at(b, at->up);
    if (!at->key) buf_printf(b, "[%u]", at->index);
    else buf_printf(b, "%s%s", b->n ? "." : "", at->key);
}

struct check {
    arena *out;
    str *key;
    struct diag *d;
};

static err wrong(const struct check *k, const struct at *at, const char *fmt, ...) PRINTF_LIKE(3, 4);
static err wrong(const struct check *k, const struct at *at, const char *fmt, ...) {
    struct buf where = {0};
    va_list ap;
    write_at(&where, at);
    *k->key = arena_str(k->out, buf_str(&where));
    buf_free(&where);
    va_start(ap, fmt);
    str what = arena_vfmt(k->out, fmt, ap);
    va_end(ap);
    return diag_set(k->d, ERR_INVALID, DIAG_NOWHERE, STR_FMT "%s" STR_FMT, STR_ARG(str_sub(*k->key, 0, 200)),
                    k->key->n ? " " : "", STR_ARG(what));
}

static size_t characters(str s) {
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) n += (s.p[i] & 0xc0) != 0x80;
    return n;
}

static bool is_digest(str s) {
    bool ok = s.n == 64;
    for (size_t i = 0; ok && i < s.n; i++) ok = (s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f');
    return ok;
}

static bool is_one_of(str s, const char *values) {
    for (str left = str_c(values), one; left.n;) {
        str_cut(left, ' ', &one, &left);
        if (str_eq(s, one)) return true;
    }
    return false;
}

static err check_text(const struct check *k, const struct at *at, const struct api_field *f, str s) {
    struct diag own = DIAG_INIT;
    size_t n = characters(s);
    if (f->form == &form_DIGEST && !is_digest(s))
        return wrong(k, at, "is to be a SHA-256: 64 hexadecimal digits, letters in lower case");
    if (f->form == &form_APP && app_name_check(s, &own) != ERR_OK) return wrong(k, at, "is no app's name: %s", own.text);
    if (f->form && f->form->values && !is_one_of(s, f->form->values)) return wrong(k, at, "is one of: %s", f->form->values);
    if (f->type == API_TEXT && (n < f->least || n > f->most))
        return wrong(k, at, "has %zu characters, and is to have %llu to %llu", n, (unsigned long long)f->least,
                     (unsigned long long)f->most);
    if (f->type == API_TEXT && f->most <= 4096 && s.n && memchr(s.p, 0, s.n)) return wrong(k, at, "has a NUL character");
    return ERR_OK;
}

static err check_object(const struct check *k, const struct at *at, enum api_schema schema, const struct json *v);

static err check_items(const struct check *k, const struct at *at, const struct api_field *f, const struct json *v) {
    if (v->n < f->least || v->n > f->most)
        return wrong(k, at, "has %u items, and may have %llu", v->n, (unsigned long long)f->most);
    for (uint32_t i = 0; i < v->n; i++) {
        struct at item = {at, NULL, i};
        if (f->type == API_MANY) TRY(check_object(k, &item, f->of, &v->items[i]));
        else if (v->items[i].kind != JSON_KIND_STR) return wrong(k, &item, "is to be a string");
        else TRY(check_text(k, &item, f, v->items[i].s));
    }
    return ERR_OK;
}

static err check_field(const struct check *k, const struct at *at, const struct api_field *f, const struct json *v) {
    switch (f->type) {
    case API_TEXT: return v->kind == JSON_KIND_STR ? check_text(k, at, f, v->s) : wrong(k, at, "is to be a string");
    case API_FLAG: return v->kind == JSON_KIND_BOOL ? ERR_OK : wrong(k, at, "is to be true or false");
    case API_ONE: return check_object(k, at, f->of, v);
    case API_MANY:
    case API_TEXTS: return v->kind == JSON_KIND_ARRAY ? check_items(k, at, f, v) : wrong(k, at, "is to be an array");
    case API_WHOLE:
    case API_WORD: break;
    }
    bool fits = v->kind == JSON_KIND_I64 && v->i >= 0 && (uint64_t)v->i >= f->least && (uint64_t)v->i <= f->most;
    return fits ? ERR_OK
                : wrong(k, at, "is to be a whole number from %llu to %llu", (unsigned long long)f->least,
                        (unsigned long long)f->most);
}

static err unknown_key(const struct check *k, const struct at *at, const struct api_schema_row *row, str key) {
    const char *words[64], *meant;
    size_t n = 0;
    for (uint32_t i = 0; i < row->count && n < ARRAY_COUNT(words); i++) words[n++] = row->fields[i].key;
    const char *name = arena_cstr(k->out, str_sub(key, 0, 64));
    meant = text_nearest(name, words, n);
    struct at here = {at, name, 0};
    return wrong(k, &here, "is no key here%s%s%s", meant ? "; did you mean " : "", meant ? meant : "", meant ? "?" : "");
}

static const struct api_field *field_of(const struct api_schema_row *row, str key) {
    for (uint32_t i = 0; i < row->count; i++)
        if (str_eqc(key, row->fields[i].key)) return &row->fields[i];
    return NULL;
}

static err check_object(const struct check *k, const struct at *at, enum api_schema schema, const struct json *v) {
    const struct api_schema_row *row = &node_api_schemas[schema];
    if (v->kind != JSON_KIND_OBJECT) return wrong(k, at, "is to be an object");
    for (uint32_t i = 0; i < v->n; i++) {
        const struct api_field *f = field_of(row, v->members[i].key);
        if (!f) return unknown_key(k, at, row, v->members[i].key);
        struct at here = {at, f->key, 0};
        TRY(check_field(k, &here, f, &v->members[i].v));
    }
    for (uint32_t i = 0; i < row->count; i++) {
        struct at here = {at, row->fields[i].key, 0};
        if (row->fields[i].needed && !json_get(v, row->fields[i].key)) return wrong(k, &here, "is missing");
    }
    return ERR_OK;
}

err node_api_schema_check(arena *out, enum api_schema schema, const struct json *v, str *key, struct diag *d) {
    return check_object(&(struct check){out, key, d}, NULL, schema, v);
}
