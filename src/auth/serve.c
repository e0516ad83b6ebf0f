/* serve: from a request to the function of its route, and what became of it to an answer. */
#include "auth/auth_int.h"
#include <stdio.h>

enum { FORM_BYTES_MAX = 16 << 10 }; /* of the page with a button: a token, and where to go */

static const struct {
    const char *code, *message;
    uint16_t status;
} errors[] = {
#define X(name, status, message) {#name, message, status},
#include "auth/errors.def"
#undef X
};

/* ---- errors ---- */

bool auth_fail_status(struct auth_call *c, enum auth_error e, uint16_t status, const char *message) {
    if (c->failed) return false;
    c->failed = true;
    c->error = e;
    c->status = status;
    c->message = str_c(message);
    return false;
}

bool auth_fail(struct auth_call *c, enum auth_error e) { return auth_fail_status(c, e, errors[e].status, errors[e].message); }

bool auth_fail_text(struct auth_call *c, enum auth_error e, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    str text = arena_vfmt(c->mem, fmt, ap);
    va_end(ap);
    return auth_fail_status(c, e, errors[e].status, (const char *)text.p);
}

void auth_add_field(struct auth_call *c, const char *name, str value) {
    struct auth_response *to = c->to;
    if (to->fields_count < AUTH_FIELDS_MAX) to->fields[to->fields_count++] = (struct auth_field){str_c(name), value};
}

bool auth_answer(struct auth_call *c, uint16_t status) {
    c->to->status = status;
    c->to->body = arena_str(c->mem, buf_str(&c->out));
    return true;
}

/* 2024-01-01 and later: a date, so letters compare as days do. */
static bool is_new_version(const struct auth_call *c) {
    str v = auth_header(c, "x-supabase-api-version");
    bool ok = v.n == 10;
    for (size_t i = 0; i < v.n && ok; i++) ok = i == 4 || i == 7 ? v.p[i] == '-' : v.p[i] >= '0' && v.p[i] <= '9';
    return ok && str_cmp(v, STR("2024-01-01")) >= 0;
}

/* Two shapes, by what the client says that it knows. */
static void answer_error(struct auth_call *c) {
    bool newer = is_new_version(c);
    const char *code = c->error == AUTH_ERROR_later ? "unexpected_failure" : errors[c->error].code;
    bool none = c->error == AUTH_ERROR_not_found || c->error == AUTH_ERROR_method_not_allowed;
    struct json_writer w;
    c->out.n = 0;
    if (none) { /* as GoTrue's router has it: no error of its own */
        if (c->status == 404) buf_puts(&c->out, STR("404 page not found\n"));
        c->to->type = STR("text/plain; charset=utf-8");
        (void)auth_answer(c, c->status);
        return;
    }
    w = json_writer_of(&c->out);
    json_put_object(&w, NULL);
    if (c->oauth_error.n) {
        json_put_str(&w, "error", c->oauth_error);
        json_put_str(&w, "error_description", c->message);
        json_put_end(&w);
        if (newer) auth_add_field(c, "x-supabase-api-version", auth_header(c, "x-supabase-api-version"));
        (void)auth_answer(c, c->status);
        return;
    }
    if (newer) json_put_cstr(&w, "code", code);
    else json_put_u64(&w, "code", c->status);
    if (!newer) json_put_cstr(&w, "error_code", code);
    json_put_str(&w, newer ? "message" : "msg", c->message);
    if (c->reasons.n) json_put_raw(&w, "weak_password", c->reasons);
    json_put_end(&w);
    c->to->fields_count = MIN(c->to->fields_count, (uint32_t)AUTH_FIELDS_MAX - 3);
    if (newer) auth_add_field(c, "x-supabase-api-version", auth_header(c, "x-supabase-api-version"));
    bool own = c->refused || c->error == AUTH_ERROR_unknown; /* GoTrue says no code of those */
    if (!own && (!newer || !c->reasons.n)) auth_add_field(c, "x-sb-error-code", str_c(code));
    if (c->status == 503) auth_add_field(c, "retry-after", STR("1"));
    (void)auth_answer(c, c->status);
}

/* ---- routes ---- */

enum who { OPEN, KEY, USER, ADMIN };
static const struct route {
    const char *method, *path;
    enum who who;
    bool (*serve)(struct auth_call *c);
} routes[] = {
#define X(method, path, who, function) {#method, path, who, auth_do_##function},
#include "auth/routes.def"
#undef X
};

/* "/admin/users/:id" */
static bool is_at(str path, const char *route, str *id, str *other) {
    str left = str_c(route), a, b;
    *id = *other = (str){0};
    while (path.n > 1 && path.p[path.n - 1] == '/') path.n--;
    while (path.n && left.n) {
        str_cut(path, '/', &a, &path);
        str_cut(left, '/', &b, &left);
        if (str_eqc(b, ":id") && a.n) *id = a;
        else if (str_eqc(b, ":other") && a.n) *other = a;
        else if (!str_eq(a, b)) return false;
    }
    return !path.n && !left.n;
}

bool auth_is_open(str path) {
    str id, other;
    for (size_t i = 0; i < ARRAY_COUNT(routes); i++)
        if (routes[i].who == OPEN && is_at(path, routes[i].path, &id, &other)) return true;
    return false;
}

static const struct route *find(struct auth_call *c) {
    bool there = false;
    for (size_t i = 0; i < ARRAY_COUNT(routes); i++) {
        if (!is_at(c->rq->path, routes[i].path, &c->id, &c->other)) continue;
        if (str_eqc(c->rq->method, routes[i].method)) return &routes[i];
        there = true;
    }
    (void)auth_fail(c, there ? AUTH_ERROR_method_not_allowed : AUTH_ERROR_not_found);
    return NULL;
}

/* What a third party has of a user lets it see who he is, and nothing of his account be changed. */
static bool may_third_party(struct auth_call *c) {
    bool sees = str_eqc(c->rq->path, "/oauth/userinfo") || str_eqc(c->rq->path, "/logout") ||
                (str_eqc(c->rq->path, "/user") && str_eqc(c->rq->method, "GET"));
    return sees || !json_str(json_get(c->session, "oauth_client_id")).n ||
           auth_fail_text(c, AUTH_ERROR_not_admin, "A third party's token does not do that");
}

static bool has_token(struct auth_call *c) {
    if (!c->rq->brings) return auth_fail(c, AUTH_ERROR_no_authorization);
    return !c->rq->token_why ||
           auth_fail_text(c, AUTH_ERROR_bad_jwt, "invalid JWT: unable to parse or verify signature, %s", c->rq->token_why);
}

bool auth_need_user(struct auth_call *c) { return has_token(c) && auth_load_caller(c) && may_third_party(c); }

static bool may(struct auth_call *c, const struct route *r) {
    if (r->who < USER) return true;
    if (r->who == USER) return auth_need_user(c);
    if (!has_token(c)) return false;
    return str_eqc(c->rq->role, "service_role") || str_eqc(c->rq->role, "supabase_admin") || auth_fail(c, AUTH_ERROR_not_admin);
}

/* What is text in every body is text, or not there. */
static bool are_texts(struct auth_call *c) {
    static const char *const keys[] = {"email",
                                       "phone",
                                       "password",
                                       "token",
                                       "token_hash",
                                       "type",
                                       "redirect_to",
                                       "refresh_token",
                                       "nonce",
                                       "code_challenge",
                                       "auth_code",
                                       "code_verifier",
                                       "code_challenge_method",
                                       "role",
                                       "aud",
                                       "new_email",
                                       "ban_duration",
                                       "password_hash",
                                       "friendly_name",
                                       "factor_type",
                                       "issuer",
                                       "code",
                                       "challenge_id",
                                       "channel",
                                       "id"};
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        const struct json *v = json_get(&c->body, keys[i]);
        if (v && v->kind != JSON_KIND_STR && v->kind != JSON_KIND_NULL)
            return auth_fail_text(c, AUTH_ERROR_bad_json, "Could not parse request body as JSON: %s is a string", keys[i]);
        if (v && memchr(json_str(v).p ? json_str(v).p : (const uint8_t *)"", 0, json_str(v).n))
            return auth_fail_text(c, AUTH_ERROR_bad_json, "Could not parse request body as JSON: %s has a NUL character",
                                  keys[i]);
    }
    return true;
}

static bool may_be_empty(str path) {
    return str_eqc(path, "/logout") || str_ends(path, STR("/challenge")) || str_ends(path, STR("/recovery_codes")) ||
           str_ends(path, STR("/options")) || str_ends(path, STR("/regenerate_secret"));
}

/* "\\u0000", and no "\\\\u0000". */
static bool escapes_nul(str body) {
    str escape = STR("\\u0000");
    for (const uint8_t *p = body.p, *end = body.p + body.n; body.n && (p = memmem(p, (size_t)(end - p), escape.p, escape.n));) {
        const uint8_t *q = p;
        while (q > body.p && q[-1] == '\\') q--;
        if ((p - q) % 2 == 0) return true;
        p += escape.n;
    }
    return false;
}

static bool read_body(struct auth_call *c) {
    static const struct json_limits limits = {AUTH_BODY_BYTES_MAX, 32, 20'000};
    struct diag d = DIAG_INIT;
    str body = str_trim(c->rq->body);
    bool deletes = str_eqc(c->rq->method, "DELETE"), reads = str_eqc(c->rq->method, "GET");
    c->body = (struct json){.kind = JSON_KIND_OBJECT};
    static const char *const forms[] = {"/verify", "/oauth/token"};
    bool form = str_eqc(c->rq->path, "/callback"); /* whatever it says that it is */
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) form |= str_eqc(c->rq->path, forms[i]) && auth_is_form(c);
    form |= str_starts(c->rq->path, STR("/pages/")) && auth_is_form(c);
    if (c->rq->body.n > (form ? FORM_BYTES_MAX : AUTH_BODY_BYTES_MAX)) return auth_fail(c, AUTH_ERROR_request_entity_too_large);
    if (reads || form || (!body.n && (deletes || may_be_empty(c->rq->path)))) return true;
    if (json_read(c->mem, body, &limits, &c->body, &d) != ERR_OK)
        return auth_fail_text(c, AUTH_ERROR_bad_json, "Could not parse request body as JSON: %s",
                              body.n ? d.text : "unexpected end of JSON input");
    if (c->body.kind == JSON_KIND_NULL) c->body = (struct json){.kind = JSON_KIND_OBJECT};
    if (c->body.kind != JSON_KIND_OBJECT)
        return auth_fail_text(c, AUTH_ERROR_bad_json, "Could not parse request body as JSON: no object");
    if (!are_texts(c)) return false;
    return !escapes_nul(body) ||
           auth_fail_status(c, AUTH_ERROR_validation_failed, 422, "\\u0000 cannot be kept: no text of a database has it");
}

/* What tells somebody of what was done waits: it is a mail as any other. */
static bool auth_told(struct auth_call *c) {
    if (c->notified) c->host->mailed(c->host->arg, false, "notification", (str){0}, (str){0}, (str){0});
    return true;
}

void auth_serve(const struct auth_host *host, const struct app_auth *config, const struct auth_request *rq, arena *mem,
                struct auth_response *to) {
    struct auth_request own = *rq; /* "/token/" is "/token", to whoever asks where this is */
    struct auth_call c = {.host = host, .config = config, .rq = &own, .mem = mem, .to = to};
    while (own.path.n > 1 && own.path.p[own.path.n - 1] == '/') own.path.n--;
    *to = (struct auth_response){0};
    c.now = auth_time_text(mem, host->now_us);
    const struct route *r = find(&c);
    bool ok = r && read_body(&c) && may(&c, r) && auth_captcha(&c) && r->serve(&c) && auth_told(&c) &&
              auth_hooks_after(&c, r->who < USER);
    if (!ok) {
        if (!c.failed) (void)auth_fail(&c, AUTH_ERROR_unexpected_failure);
        answer_error(&c);
    }
    buf_free(&c.out);
}
