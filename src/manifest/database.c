/* database: what a manifest says of the app's tables: what holds them, and where the SQL is that makes and fills them.
 *
 * 1. A server's URL has a password in it: it is the value of a secret, never a part of the record. One that stands in the manifest all the same
 *    is told of, and becomes the secret DATABASE_URL.
 * 2. A folder of migrations that nobody named may be missing, a seed too; one that was named may not. */
#include "manifest/manifest_int.h"

enum { URL_BYTES_MAX = 2048 };

void manifest_need_secret(struct reader *r, str key) {
    for (uint32_t i = 0; i < r->to->record.secrets.n; i++) {
        if (!str_eq(r->to->record.secrets.p[i].key, key)) continue;
        r->to->record.secrets.p[i].required = true;
        return;
    }
    vec_push(r->mem, &r->to->record.secrets, ((struct app_secret){.key = key, .required = true}));
}

static bool is_url(str s) { return str_starts(s, STR("postgres://")) || str_starts(s, STR("postgresql://")); }

static bool url_ok(str url) {
    bool ok = url.n <= URL_BYTES_MAX;
    for (size_t i = 0; ok && i < url.n; i++) ok = url.p[i] > ' ' && url.p[i] < 0x7f;
    return ok;
}

static void take_url(struct reader *r, const struct toml *v) {
    struct app_database *db = &r->to->record.database;
    if (!url_ok(v->s)) {
        manifest_error(r, v, "a URL has up to %d characters, as they stand in a URL", URL_BYTES_MAX);
        return;
    }
    *db = (struct app_database){APP_DATABASE_SERVER, STR("DATABASE_URL")};
    r->to->database.url = v->s;
    manifest_remark(
        r, v,
        "a URL with a password stands where everybody reads it: write database = { secret = \"DATABASE_URL\" }, and give "
        "it its value by orlo secrets set; a deployment of this manifest sets that secret");
}

/* What was said is not told again: it may be a mistyped URL. */
void manifest_database_word(struct reader *r, const struct toml *v) {
    struct app_database *db = &r->to->record.database;
    if (str_eqc(v->s, "sqlite")) db->engine = APP_DATABASE_SQLITE;
    else if (str_eqc(v->s, "postgres")) db->engine = APP_DATABASE_POSTGRES;
    else if (is_url(v->s)) take_url(r, v);
    else
        manifest_error(
            r, v,
            "it takes \"sqlite\", \"postgres\", a URL postgres://…, or { secret = \"NAME\" }, the secret that is such a URL");
}

void manifest_database_migrations(struct reader *r, const struct toml *v) {
    r->to->database.migrations = manifest_bundle_path(r, v);
    r->to->database.migrations_said = true;
}

/* below: what paths there are relative to: "" or "supabase/". */
static void one_seed(struct reader *r, const struct toml *v, const char *below) {
    struct toml at = *v;
    while (str_starts(at.s, STR("./"))) at.s = str_sub(at.s, 2, at.s.n);
    bool up = below[0] && str_starts(at.s, STR("../"));
    at.s = up ? str_sub(at.s, 3, at.s.n) : arena_fmt(r->mem, "%s" STR_FMT, below, STR_ARG(at.s));
    str path = manifest_bundle_path(r, &at);
    if (path.n) vec_push(r->mem, &r->to->database.seeds, path);
}

void manifest_database_seed(struct reader *r, const struct toml *v, const char *below) {
    r->to->database.seeds_said = true;
    if (v->type == TOML_STRING) one_seed(r, v, below);
    if (v->type != TOML_ARRAY) return;
    if (v->n > MANIFEST_SEEDS_MAX) manifest_error(r, v, "it has %u entries, and may have %d", v->n, MANIFEST_SEEDS_MAX);
    for (uint32_t i = 0; i < MIN(v->n, (uint32_t)MANIFEST_SEEDS_MAX); i++) one_seed(r, &v->items[i], below);
}

void manifest_database_places(struct reader *r, const struct toml *root, const char *folder) {
    struct manifest_database *db = &r->to->database;
    if (!r->to->record.database.engine) {
        const char *of[] = {db->migrations_said ? "migrations" : NULL, db->seeds_said && db->seeds.n ? "seed" : NULL,
                            r->to->record.auth.on ? "auth" : NULL};
        for (size_t i = 0; i < ARRAY_COUNT(of); i++)
            if (of[i])
                manifest_error(r, manifest_toml_get(root, of[i]),
                               "%s is for an app with a database: write database = \"sqlite\" too", of[i]);
        return;
    }
    if (!db->migrations_said) db->migrations = arena_fmt(r->mem, "%smigrations", folder);
    if (!db->seeds_said) vec_push(r->mem, &db->seeds, arena_fmt(r->mem, "%sseed.sql", folder));
}

/* ---- what /rest/v1 shows ---- */

static bool is_name(str s) {
    bool ok = s.n && s.n <= 63;
    for (size_t i = 0; i < s.n && ok; i++) ok = s.p[i] >= ' ' && s.p[i] != 0x7f;
    return ok;
}

static void one_schema(struct reader *r, void *to, const struct toml *v) {
    struct app_rest *rest = to;
    if (!is_name(v->s)) manifest_error(r, v, "a schema's name has up to 63 bytes");
    else vec_push(r->mem, &rest->schemas, v->s);
}
void manifest_rest_schemas(struct reader *r, const struct toml *v) {
    if (!v->n) manifest_error(r, v, "it names no schema: enabled = false shows nothing");
    manifest_each(r, v, APP_REST_SCHEMAS_MAX, one_schema, &r->to->record.rest);
}

static void one_search(struct reader *r, void *to, const struct toml *v) {
    struct app_rest *rest = to;
    if (!is_name(v->s)) manifest_error(r, v, "a schema's name has up to 63 bytes");
    else vec_push(r->mem, &rest->search, v->s);
}
void manifest_rest_search(struct reader *r, const struct toml *v) {
    if (!v->n) manifest_error(r, v, "it names no schema");
    manifest_each(r, v, APP_REST_SCHEMAS_MAX, one_search, &r->to->record.rest);
}

void manifest_rest_function(struct reader *r, const struct toml *v, str *to) {
    str schema = {0}, name = v->s;
    bool in_one = str_find(v->s, '.') < v->s.n && str_cut(v->s, '.', &schema, &name);
    if (!is_name(name) || (in_one && !is_name(schema))) manifest_error(r, v, "a function is \"NAME\" or \"SCHEMA.NAME\"");
    else *to = v->s;
}

void manifest_rest_audience(struct reader *r, const struct toml *v) {
    bool ok = v->s.n && v->s.n <= APP_AUDIENCE_MAX;
    for (size_t i = 0; i < v->s.n && ok; i++) ok = v->s.p[i] >= ' ' && v->s.p[i] != 0x7f;
    if (!ok) manifest_error(r, v, "an audience has up to %d bytes, and no control characters", APP_AUDIENCE_MAX);
    else r->to->record.rest.audience = v->s;
}
