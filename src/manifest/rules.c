/* rules: what an app's manifest says of requests before anybody answers them: patterns, header fields, rates, hosts (docs/routing.md). */
#include "app/pattern.h"
#include "manifest/manifest_int.h"

/* ---- patterns ---- */

void manifest_pattern(struct reader *r, const struct toml *v, str *to) {
    const char *why = app_pattern_wrong(v->s);
    struct buf normal = {0};
    if (!why && v->s.p[0] == '/' && !str_eq(app_path_normal(v->s, &normal), v->s))
        why = "a pattern is of a path as it is once it was decoded: no %41, no //, no . and ..";
    buf_free(&normal);
    if (why) manifest_error(r, v, "%s", why);
    else *to = v->s;
}

void manifest_cache_match(struct reader *r, const struct toml *v, str *to) {
    struct toml at = *v;
    if (v->s.n && v->s.p[0] != '/' && v->s.p[0] != '*') at.s = arena_fmt(r->mem, "/" STR_FMT, STR_ARG(v->s));
    manifest_pattern(r, &at, to);
}

/* ---- header fields ---- */

static bool is_token(str s) {
    static const char others[] = "!#$%&'*+-.^_`|~";
    bool ok = s.n && s.n <= 128;
    for (size_t i = 0; ok && i < s.n; i++) {
        uint8_t c = s.p[i];
        ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr(others, c));
    }
    return ok;
}

static bool is_value(str s) {
    bool ok = s.n && s.n <= APP_FIELD_BYTES_MAX;
    for (size_t i = 0; ok && i < s.n; i++) ok = s.p[i] >= ' ' && s.p[i] != 0x7f;
    return ok && s.p[0] != ' ' && s.p[s.n - 1] != ' ';
}

/* What says how a message is framed, or how it was encoded, is whose who made it. */
static bool is_of_message(str name) {
    static const char *const names[] = {
        "connection", "content-length",    "content-encoding", "content-range", "date", "keep-alive", "proxy-connection",
        "te",         "transfer-encoding", "trailer",          "upgrade"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (str_eq_nocase(name, str_c(names[i]))) return true;
    return false;
}

static str in_lower_case(arena *out, str s) {
    uint8_t *p = arena_alloc(out, s.n + 1, 1);
    for (size_t i = 0; i < s.n; i++) p[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] | 0x20 : s.p[i];
    return (str){p, s.n};
}

void manifest_cache_value(struct reader *r, const struct toml *v, str *to) {
    if (is_value(v->s)) *to = v->s;
    else manifest_error(r, v, "it takes a Cache-Control, such as \"public, max-age=3600\"");
}

void manifest_field(struct reader *r, const struct toml *v, enum app_field_how how, struct app_headers *to) {
    str name = how == APP_FIELD_REMOVE ? v->s : v->key;
    if (!is_token(name)) {
        manifest_error(r, v, "a header field's name has letters, digits and hyphens, not \"" STR_FMT "\"",
                       STR_ARG(str_sub(name, 0, 100)));
    } else if (is_of_message(name)) {
        manifest_error(r, v, "a rule does not change " STR_FMT ": it says how the message itself is sent", STR_ARG(name));
    } else if (how != APP_FIELD_REMOVE && !is_value(v->s)) {
        manifest_error(r, v, "a header field's value has 1 to %d bytes, without control characters", APP_FIELD_BYTES_MAX);
    } else if (to->fields.n == APP_RULE_FIELDS_MAX) {
        manifest_error(r, v, "a rule changes at most %d fields", APP_RULE_FIELDS_MAX);
    } else {
        struct app_field f = {(uint8_t)how, in_lower_case(r->mem, name), how == APP_FIELD_REMOVE ? (str){0} : v->s};
        vec_push(r->mem, &to->fields, f);
    }
}

void manifest_method(struct reader *r, const struct toml *v, str *to) {
    bool ok = is_token(v->s) && v->s.n <= 32;
    for (size_t i = 0; ok && i < v->s.n; i++) ok = v->s.p[i] < 'a' || v->s.p[i] > 'z';
    if (ok) *to = v->s;
    else manifest_error(r, v, "a method is a word in capital letters, such as \"GET\"");
}

/* ---- rates ---- */

void manifest_rate_by(struct reader *r, const struct toml *v, struct app_rate *to) {
    static const char *const words[APP_RATE_BYS] = {
#define X(name, word) word,
        APP_RATE_BYS_LIST(X)
#undef X
    };
    str header = str_starts(v->s, STR("header:")) ? str_sub(v->s, 7, v->s.n) : (str){0};
    for (uint32_t i = 0; i < APP_RATE_BYS; i++) {
        if (i == APP_RATE_BY_HEADER ? !header.n || !is_token(header) : !str_eqc(v->s, words[i])) continue;
        to->by = (uint8_t)i;
        to->header = in_lower_case(r->mem, header);
        return;
    }
    manifest_error(r, v, "it takes \"address\", \"subject\", \"apikey\", \"header:NAME\" or \"all\"");
}

void manifest_rate_finish(struct reader *r, const struct toml *v, struct app_rate *to) {
    if (!to->requests) manifest_error(r, v, "it lacks requests: how many there may be in per_s seconds");
    if (!to->burst) to->burst = to->requests;
    if (!to->name.n) to->name = arena_fmt(r->mem, "rate-%u", r->to->record.rules.rates.n + 1);
    for (uint32_t i = 0; i < r->to->record.rules.rates.n; i++)
        if (str_eq(r->to->record.rules.rates.p[i].name, to->name))
            manifest_error(r, v, "there are two rates with the name " STR_FMT, STR_ARG(to->name));
    if (!manifest_name_ok(to->name, APP_NAME_MAX)) manifest_error(r, v, "a rate's name has letters, digits, _, - and .");
}

/* ---- HTTPS ---- */

void manifest_hsts_finish(struct reader *r, const struct toml *v) {
    const struct app_rules *s = &r->to->record.rules;
    if (s->hsts_preload && (!s->hsts_subdomains || s->hsts_s < 31'536'000))
        manifest_error(
            r, v, "browsers' lists take those alone that say include_subdomains, and max_age_s of a year (31536000) or more");
}

void manifest_https(struct reader *r, const struct toml *v) {
    if (str_eqc(v->s, "redirect")) r->to->record.rules.https = true;
    else if (!str_eqc(v->s, "any")) manifest_error(r, v, "it takes \"redirect\", or \"any\"");
}

/* ---- redirects ---- */

void manifest_moved_host(struct reader *r, const struct toml *v, struct app_moved *to) {
    struct diag d = DIAG_INIT;
    if (app_host_parse(r->mem, v->s, &to->host, &d) != ERR_OK) manifest_error_of(r, v, &d);
}

void manifest_moved_condition(struct reader *r, const struct toml *v, struct app_moved *to) {
    struct app_condition c = {v->key, v->s};
    bool plain = c.name.n && c.name.n <= APP_FUNCTION_NAME_MAX && c.value.n <= APP_FUNCTION_NAME_MAX;
    for (size_t i = 0; plain && i < c.name.n; i++)
        plain = c.name.p[i] > ' ' && c.name.p[i] < 0x7f && c.name.p[i] != '&' && c.name.p[i] != '=';
    for (size_t i = 0; plain && i < c.value.n; i++) plain = c.value.p[i] > ' ' && c.value.p[i] < 0x7f && c.value.p[i] != '&';
    if (plain) vec_push(r->mem, &to->query, c);
    else manifest_error(r, v, "it takes a parameter as it stands in a URL: { id = \"7\" }, or { id = \":id\" } for any");
}

static const str *names_of(arena *mem, const struct app_moved *m, uint32_t *n) {
    VEC(str) names = {0};
    for (uint32_t i = 0; i < m->query.n; i++)
        if (m->query.p[i].value.n > 1 && m->query.p[i].value.p[0] == ':')
            vec_push(mem, &names, str_sub(m->query.p[i].value, 1, m->query.p[i].value.n));
    *n = names.n;
    return names.p;
}

void manifest_target(struct reader *r, const struct toml *v, str target, str from) {
    const char *why = app_target_wrong(target, from, NULL, 0);
    if (why) manifest_error(r, v, "to: %s", why);
}

void manifest_moved_finish(struct reader *r, const struct toml *v, struct app_moved *to) {
    const struct app_record *record = &r->to->record;
    uint32_t n, known = record->is_default;
    const str *names = names_of(r->mem, to, &n);
    if (!to->from.n) to->from = STR("/*");
    const char *why = to->to.n ? app_target_wrong(to->to, to->from, names, n) : NULL;
    if (why) manifest_error(r, v, "to: %s", why);
    if (record->rules.moved.n == APP_RULES_MAX)
        manifest_error(r, v, "an app has at most %d redirects by host or query", APP_RULES_MAX);
    for (uint32_t i = 0; i < record->hosts.n; i++)
        known |= str_eq(record->hosts.p[i], to->host) || str_starts(record->hosts.p[i], STR("*."));
    if (to->host.n && !known)
        manifest_remark(
            r, v, "the host " STR_FMT " is none of `hosts`: nobody comes to the app by it, unless it is the node's name for it",
            STR_ARG(to->host));
}
