/* session: what is known of who asks: settings, and the claims of the token that came. A setting that set_config made comes before what the request
 * says under the same name; PostgREST's names are kept ("request.jwt.claims", "request.jwt.claim.sub", "request.headers" …). */
#include "pg/pg_int.h"

enum { SETTINGS_MAX = 256, SETTING_BYTES_MAX = 64 << 10, SETTINGS_BYTES_MAX = 64 << 20 };

static str of_value(struct db_value v) { return v.kind == DB_TEXTUAL ? v.s : (str){0}; }

/* ---- settings ---- */

const struct pg_setting *pg_setting_of(const struct pg_session *s, str name) {
    for (uint32_t i = 0; i < s->settings.n; i++)
        if (str_eq_nocase(s->settings.p[i].name, name)) return &s->settings.p[i];
    return NULL;
}

bool pg_setting_put(struct pg_session *s, str name, str value, bool local) {
    const struct pg_setting *there = pg_setting_of(s, name);
    uint32_t at = there ? (uint32_t)(there - s->settings.p) : s->settings.n, n = s->settings.n;
    if (!there && !value.p) return true;
    if (!s->mem || (!there && n >= SETTINGS_MAX) || name.n > 200 || value.n > SETTING_BYTES_MAX) return false;
    s->settings_bytes += (n + 1) * sizeof *there + name.n + value.n;
    if (s->settings_bytes > SETTINGS_BYTES_MAX) return false;
    struct pg_setting *all = arena_array(s->mem, struct pg_setting, n + 1);
    if (n) memcpy(all, s->settings.p, n * sizeof *all);
    if (!value.p) memmove(all + at, all + at + 1, (--n - at) * sizeof *all);
    else all[at] = (struct pg_setting){there ? there->name : arena_str(s->mem, name), arena_str(s->mem, value), local};
    s->settings.p = all, s->settings.n = value.p && !there ? n + 1 : n, s->settings.cap = s->settings.n;
    return true;
}

/* What a setting says of claims comes before what the token says, until the request is over: "request.jwt.claim.sub", then "request.jwt.claims". NULL: none does. */
static const struct json *told_claims(struct pg_call *call, str text, bool raises) {
    static const struct json_limits limits = {.bytes_max = 64 << 10, .depth_max = 32, .values_max = 4096};
    struct pg_session *s = call->session;
    if (s->told_claims_json && s->told_claims.p == text.p) return s->told_claims_json;
    struct json *v = arena_make(s->mem, struct json);
    struct diag d = DIAG_INIT;
    s->settings_bytes += text.n + 256;
    if (s->settings_bytes > SETTINGS_BYTES_MAX || json_read(s->mem, text, &limits, v, &d) != ERR_OK) {
        if (raises) pg_raise(call, "22P02", "invalid input syntax for type json");
        return NULL;
    }
    s->told_claims = text;
    return s->told_claims_json = v;
}

static str claim(struct pg_session *s, const char *name) {
    static const struct json_limits limits = {.bytes_max = 64 << 10, .depth_max = 32, .values_max = 4096};
    static const struct json nothing;
    if (!s->claims_json && s->claims.n && s->mem) {
        struct json *v = arena_make(s->mem, struct json);
        struct diag d = DIAG_INIT;
        s->claims_json = json_read(s->mem, s->claims, &limits, v, &d) == ERR_OK ? v : &nothing;
    }
    return json_str(json_get(s->claims_json, name));
}

/* False: the request says nothing under that name. */
static bool of_request(struct pg_session *s, str name, str *value) {
    static const char claims[] = "request.jwt.claim.";
    const struct {
        const char *name;
        str value;
    } known[] = {{"request.jwt.claims", s->claims},
                 {"request.headers", s->headers},
                 {"request.cookies", s->cookies},
                 {"request.method", s->method},
                 {"request.path", s->path},
                 {"role", s->role},
                 {"timezone", s->time_zone.n ? s->time_zone : STR("UTC")},
                 {"server_version", STR("15.0")},
                 {"server_version_num", STR("150000")},
                 {"server_encoding", STR("UTF8")},
                 {"client_encoding", STR("UTF8")},
                 {"is_superuser", STR("off")},
                 {"standard_conforming_strings", STR("on")},
                 {"integer_datetimes", STR("on")},
                 {"datestyle", STR("ISO, MDY")},
                 {"intervalstyle", STR("postgres")},
                 {"transaction_isolation", STR("serializable")},
                 {"search_path", STR("public, extensions")}};
    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        if (!str_eq_nocase(name, str_c(known[i].name))) continue;
        *value = known[i].value;
        return known[i].value.p;
    }
    if (!str_starts(name, str_c(claims)) || name.n > 100) return false;
    char key[128];
    snprintf(key, sizeof key, STR_FMT, STR_ARG(str_sub(name, strlen(claims), name.n)));
    *value = claim(s, key);
    return value->p;
}

/* What nobody has set is an error, or null where that may be. */
PG_FN(pg_current_setting) {
    str name = of_value(args[0]), value;
    const struct pg_setting *set = pg_setting_of(call->session, name);
    bool may_miss = n > 1 && args[1].i;
    if (set) *out = DB_TEXT(set->value);
    else if (of_request(call->session, name, &value)) *out = DB_TEXT(value);
    else if (may_miss) *out = DB_NOTHING;
    else (void)pg_raise(call, "42704", "unrecognized configuration parameter \"" STR_FMT "\"", STR_ARG(str_sub(name, 0, 63)));
}

bool pg_setting_is_harmless(str name) {
    static const char *const names[] = {"statement_timeout",
                                        "lock_timeout",
                                        "idle_in_transaction_session_timeout",
                                        "work_mem",
                                        "maintenance_work_mem",
                                        "client_min_messages",
                                        "application_name",
                                        "check_function_bodies",
                                        "row_security",
                                        "synchronous_commit",
                                        "jit"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (str_eq_nocase(name, str_c(names[i]))) return true;
    return false;
}

PG_FN(pg_set_config) {
    struct pg_session *s = call->session;
    str name = of_value(args[0]), value = of_value(args[1]);
    if (args[0].kind == DB_NULL) {
        (void)pg_raise(call, "22004", "SET requires parameter name");
        return;
    }
    if (!memchr(name.p, '.', name.n) && !pg_setting_is_harmless(name)) {
        (void)pg_raise(call, "42501", "permission denied to set parameter \"" STR_FMT "\"", STR_ARG(str_sub(name, 0, 63)));
        return;
    }
    if (!pg_setting_put(s, name, value.p ? value : STR(""), args[2].kind == DB_INTEGER && args[2].i)) {
        (void)pg_raise(call, "54000", "more settings than a session may have");
        return;
    }
    *out = DB_TEXT(pg_setting_of(s, name)->value);
}

/* ---- claims ---- */

/* As Supabase's functions ask for it; empty: there is none, or it was raised why. */
static str claim_of(struct pg_call *call, const char *name, bool raises) {
    char key[64];
    snprintf(key, sizeof key, "request.jwt.claim.%s", name);
    const struct pg_setting *one = pg_setting_of(call->session, str_c(key)),
                            *all = pg_setting_of(call->session, STR("request.jwt.claims"));
    if (one && one->value.n) return one->value;
    if (!all) return claim(call->session, name);
    if (!all->value.n) return (str){0};
    const struct json *v = told_claims(call, all->value, raises);
    return v ? json_str(json_get(v, name)) : (str){0};
}

PG_FN(pg_auth_uid) {
    str sub = claim_of(call, "sub", true);
    if (!sub.n) *out = DB_NOTHING;
    else (void)pg_value_in(call, PG_UUID, -1, sub, out);
}
PG_FN(pg_auth_jwt) {
    const struct pg_setting *one = pg_setting_of(call->session, STR("request.jwt.claim")),
                            *all = pg_setting_of(call->session, STR("request.jwt.claims"));
    str claims = one && one->value.n ? one->value : all ? all->value : call->session->claims;
    if (!claims.n) *out = DB_NOTHING;
    else (void)pg_value_in(call, PG_JSONB, -1, claims, out);
}
PG_FN(pg_auth_role) {
    str role = claim_of(call, "role", false);
    *out = role.n ? DB_TEXT(role) : DB_NOTHING;
}
PG_FN(pg_auth_email) {
    str email = claim_of(call, "email", false);
    *out = email.n ? DB_TEXT(email) : DB_NOTHING;
}

/* ---- names ---- */

static struct db_value named(str name, const char *otherwise) { return DB_TEXT(name.n ? name : str_c(otherwise)); }

PG_FN(pg_current_user) { *out = named(call->session->role, "postgres"); }
PG_FN(pg_session_user) { *out = named(call->session->login, "authenticator"); }
PG_FN(pg_current_database) { *out = named(call->session->database, "postgres"); }
