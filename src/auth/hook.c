/* hook: where the app has its say (docs/auth-hooks.md): JSON goes out, JSON comes back, within a time; as GoTrue's hooks have it.
 *
 *   function   POST /hook of a function of the app's    5 s    200 or 202 with JSON; 204: nothing to say; 429 and 503 with Retry-After: asked again
 *   sql        a function of its database               2 s    jsonb → jsonb, as supabase_auth_admin
 *   url        a webhook, signed                        5 s    as a function; who does not answer is asked three times, all within that time
 *
 * 1. {"error": {"http_code", "message"}} refuses, and that is what the client is told. Anything else that is not as it should be is an error of its own.
 * 2. At a refresh, what is no refusal passes: 503, and the session is as it was.
 * 3. Nothing of the database is held meanwhile: what is decided by what was read is written where that is still so.
 * 4. What is sent, or told after the fact, goes after the answer where anybody may ask: how long it takes tells nothing.
 */
#include "auth/auth_int.h"
#include <stdio.h>

enum { SQL_MS = 2000, WEB_MS = 5000, TRIES = 3, BACKOFF_MS = 2000, ANSWER_BYTES_MAX = 200 << 10, KEYS_MAX = 8 };

static const struct {
    const char *key, *name; /* as it is configured; as GoTrue's metadata has it */
} hooks[APP_HOOKS] = {
    [APP_HOOK_before_user_created] = {"before_user_created", "before-user-created"},
    [APP_HOOK_after_user_created] = {"after_user_created", "after-user-created"},
    [APP_HOOK_custom_access_token] = {"custom_access_token", "customize-access-token"},
    [APP_HOOK_send_email] = {"send_email", "send-email"},
    [APP_HOOK_send_sms] = {"send_sms", "send-sms"},
    [APP_HOOK_mfa_verification_attempt] = {"mfa_verification_attempt", "mfa-verification"},
    [APP_HOOK_password_verification_attempt] = {"password_verification_attempt", "password-verification"},
};

bool auth_hook_on(const struct auth_call *c, enum app_hook_name name) {
    return c->config->hooks[name].to && c->host->call; /* a host without calls: an owner at the command line */
}

/* ---- what becomes of it ---- */

/* For the app's owner, as well as for the client. */
static bool fail(struct auth_call *c, enum app_hook_name name, enum auth_error e, uint16_t status, str message) {
    struct pg_error why = {.set = true};
    char what[64];
    snprintf(what, sizeof what, "hook %s", hooks[name].key);
    snprintf(why.message, sizeof why.message, "%.400s", message.p ? (const char *)message.p : "");
    if (c->called.error.set) why = c->called.error;
    c->host->failed(c->host->arg, what, &why);
    return auth_fail_status(c, e, status, (const char *)message.p);
}

static bool fail_late(struct auth_call *c, enum app_hook_name name) {
    uint32_t s = c->config->hooks[name].to == APP_HOOK_TO_SQL ? SQL_MS / 1000 : WEB_MS / 1000;
    return fail(c, name, AUTH_ERROR_hook_timeout, 422,
                arena_fmt(c->mem, "Failed to reach hook within maximum time of %u.000000 seconds", s));
}

static bool fail_broken(struct auth_call *c, enum app_hook_name name) {
    const struct app_hook *hook = &c->config->hooks[name];
    str at = hook->at, schema, function;
    if (hook->to == APP_HOOK_TO_SQL) {
        str_cut(at, '.', &schema, &function);
        at = arena_fmt(c->mem, "pg-functions://postgres/" STR_FMT "/" STR_FMT, STR_ARG(schema), STR_ARG(function));
    }
    return fail(c, name, AUTH_ERROR_unexpected_failure, 500, arena_fmt(c->mem, "Error running hook URI: " STR_FMT, STR_ARG(at)));
}

static bool read_output(struct auth_call *c, enum app_hook_name name, str body, struct json *output) {
    static const struct json_limits limits = {ANSWER_BYTES_MAX, 32, 20'000};
    struct diag d = DIAG_INIT;
    bool ok = json_read(c->mem, str_trim(body), &limits, output, &d) == ERR_OK &&
              (output->kind == JSON_KIND_OBJECT || output->kind == JSON_KIND_NULL);
    if (!ok) return fail(c, name, AUTH_ERROR_unexpected_failure, 500, STR("Error unmarshaling JSON output."));
    const struct json *error = json_get(output, "error"), *code = json_get(error, "http_code");
    str message = json_str(json_get(error, "message"));
    if (!message.n) return true;
    int64_t status = json_is(code, JSON_KIND_I64) ? json_i64(code) : 0;
    if (status < 400 || status > 599) status = 500;
    c->refused = true;
    return auth_fail_status(c, status == 500 ? AUTH_ERROR_unexpected_failure : AUTH_ERROR_unknown, (uint16_t)status,
                            (const char *)message.p);
}

/* ---- signed, as standard-webhooks has it ---- */

static bool key_of(struct auth_call *c, str secret, str *key) {
    uint8_t *p;
    if (!str_starts(secret, STR("v1,whsec_"))) return false;
    secret = str_sub(secret, 9, secret.n);
    while (secret.n && secret.p[secret.n - 1] == '=') secret.n--;
    p = arena_alloc(c->mem, secret.n + 1, 1);
    for (size_t i = 0; i < secret.n; i++) p[i] = secret.p[i] == '+' ? '-' : secret.p[i] == '/' ? '_' : secret.p[i];
    return secret.n && auth_base64url_read(c->mem, (str){p, secret.n}, key);
}

static void put_base64(struct auth_call *c, struct buf *to, str bytes) {
    str text = auth_base64url(c->mem, bytes);
    for (size_t i = 0; i < text.n; i++) buf_putc(to, text.p[i] == '-' ? '+' : text.p[i] == '_' ? '/' : text.p[i]);
    for (size_t n = text.n; n % 4; n++) buf_putc(to, '=');
}

/* Fields of one request; how many. 0, and an error: it cannot be signed. secrets empty: nobody wants it to be. */
static uint32_t sign(struct auth_call *c, enum app_hook_name name, str secrets, str body, struct auth_field fields[static 4]) {
    str id = auth_new_id(c), at = arena_fmt(c->mem, "%lld", (long long)(c->host->now_us / 1'000'000)), one, key;
    struct buf list = {0};
    uint8_t mac[CRYPTO_SHA256_BYTES];
    str said = arena_fmt(c->mem, STR_FMT "." STR_FMT "." STR_FMT, STR_ARG(id), STR_ARG(at), STR_ARG(body));
    bool ok = true;
    for (uint32_t i = 0; secrets.n && i < KEYS_MAX && ok; i++) {
        str_cut(secrets, '|', &one, &secrets);
        ok = key_of(c, str_trim(one), &key);
        if (!ok) break;
        crypto_hmac_sha256(key, said, mac);
        buf_puts(&list, list.n ? STR(", v1,") : STR("v1,"));
        put_base64(c, &list, (str){mac, sizeof mac});
    }
    fields[0] = (struct auth_field){STR("webhook-id"), id};
    fields[1] = (struct auth_field){STR("webhook-timestamp"), at};
    fields[2] = (struct auth_field){STR("webhook-signature"), arena_str(c->mem, buf_str(&list))};
    fields[3] = (struct auth_field){STR("content-type"), STR("application/json")};
    buf_free(&list);
    if (!ok) (void)fail(c, name, AUTH_ERROR_unexpected_failure, 500, STR("Error generating signatures: invalid secret format"));
    return !ok ? 0 : c->config->hooks[name].to == APP_HOOK_TO_URL ? 4 : 3;
}

/* ---- asking ---- */

/* One request, of a function or by the network. */
static enum auth_done ask_once(struct auth_call *c, const struct app_hook *hook, str body, const struct auth_field *fields,
                               uint32_t count, uint32_t ms, struct auth_called *to) {
    const struct auth_call_ask ask = {
        .name = hook->at, .body = body, .fields = fields, .fields_count = count, .ms = ms, .bytes_max = ANSWER_BYTES_MAX};
    if (hook->to == APP_HOOK_TO_FUNCTION) return c->host->call(c->host->arg, c->mem, &ask, to);
    const struct auth_fetch what = {.method = STR("POST"),
                                    .url = hook->at,
                                    .fields = fields,
                                    .fields_count = count,
                                    .body = body,
                                    .deadline_ms = ms,
                                    .bytes_max = 2 * ANSWER_BYTES_MAX};
    struct auth_fetched got;
    uint64_t until = clock_mono_ns() + ms * 1'000'000ull;
    enum auth_done done = c->host->fetch(c->host->arg, c->mem, &what, &got);
    if (done != AUTH_DONE) return clock_mono_ns() >= until ? AUTH_BUSY : AUTH_BROKEN;
    to->status = got.status, to->body = got.body;
    for (uint32_t i = 0; i < got.fields_count; i++) {
        if (str_eq_nocase(got.fields[i].name, STR("content-type"))) to->type = got.fields[i].value;
        if (str_eq_nocase(got.fields[i].name, STR("retry-after"))) to->retry = got.fields[i].value;
    }
    return AUTH_DONE;
}

/* *again: it is to be asked once more, at once. */
static bool take_answer(struct auth_call *c, enum app_hook_name name, const struct auth_called *a, struct json *output,
                        bool *again) {
    str type = str_trim(str_sub(a->type, 0, str_find(a->type, ';')));
    switch (a->status) {
    case 204: return true;
    case 200:
    case 202:
        if (!a->type.n)
            return fail(c, name, AUTH_ERROR_hook_payload_invalid_content_type, 400,
                        STR("Invalid Content-Type: Missing Content-Type header"));
        if (!str_eq_nocase(type, STR("application/json")))
            return fail(c, name, AUTH_ERROR_hook_payload_invalid_content_type, 400,
                        arena_fmt(c->mem, "Invalid JSON response. Received content-type: " STR_FMT, STR_ARG(a->type)));
        if (a->body.n > ANSWER_BYTES_MAX)
            return fail(c, name, AUTH_ERROR_hook_payload_over_size_limit, 422,
                        arena_fmt(c->mem, "Payload size exceeded size limit of %d bytes", ANSWER_BYTES_MAX));
        return read_output(c, name, a->body, output);
    case 429:
    case 503:
        *again = a->retry.n;
        return fail(c, name, AUTH_ERROR_unexpected_failure, 500, STR("Service currently unavailable due to hook"));
    case 400: return fail(c, name, AUTH_ERROR_unexpected_failure, 500, STR("Invalid payload sent to hook"));
    case 401: return fail(c, name, AUTH_ERROR_unexpected_failure, 500, STR("Hook requires authorization token"));
    default:
        return fail(c, name, AUTH_ERROR_unexpected_failure, 500,
                    arena_fmt(c->mem, "Unexpected status code returned from hook: %u", a->status));
    }
}

static bool ask_web(struct auth_call *c, enum app_hook_name name, str body, struct json *output) {
    const struct app_hook *hook = &c->config->hooks[name];
    uint64_t until = clock_mono_ns() + WEB_MS * 1'000'000ull;
    struct auth_field fields[4];
    str secrets = {0};
    if (hook->secret.n && !c->host->secret(c->host->arg, c->mem, hook->secret, &secrets))
        return fail(c, name, AUTH_ERROR_unexpected_failure, 500,
                    arena_fmt(c->mem, "Error generating signatures: the secret " STR_FMT " is not set", STR_ARG(hook->secret)));
    for (int i = 0;; i++) {
        uint64_t now = clock_mono_ns();
        uint32_t count = sign(c, name, secrets, body, fields), ms = until > now ? (uint32_t)((until - now) / 1'000'000) : 0;
        bool again = false, last = i == TRIES - 1;
        if (!count) return false;
        enum auth_done done = ms ? ask_once(c, hook, body, fields, count, ms, &c->called) : AUTH_BUSY;
        if (done == AUTH_BUSY) return fail_late(c, name);
        if (done == AUTH_BROKEN && (last || hook->to == APP_HOOK_TO_FUNCTION))
            return fail(c, name, AUTH_ERROR_hook_timeout_after_retry, 422, STR("Failed to reach hook after maximum retries"));
        if (done == AUTH_BROKEN) {
            c->host->wait(c->host->arg, BACKOFF_MS);
            continue;
        }
        if (take_answer(c, name, &c->called, output, &again)) return true;
        if (!again || last) return false;
        c->failed = false;
    }
}

/* rows: what a call answers: its value. */
static bool ask_sql(struct auth_call *c, enum app_hook_name name, str body, struct json *output) {
    const struct auth_call_ask ask = {.sql = true, .name = c->config->hooks[name].at, .body = body, .ms = SQL_MS};
    switch (c->host->call(c->host->arg, c->mem, &ask, &c->called)) {
    case AUTH_BUSY: return fail_late(c, name);
    case AUTH_BROKEN: return fail_broken(c, name);
    default: break;
    }
    if (c->called.body.n > ANSWER_BYTES_MAX)
        return fail(c, name, AUTH_ERROR_hook_payload_over_size_limit, 422,
                    arena_fmt(c->mem, "Payload size exceeded size limit of %d bytes", ANSWER_BYTES_MAX));
    return read_output(c, name, c->called.body, output);
}

/* What it says, an object or null. False: it refused, or did not answer as it should: an error is set. Frees what is asked. */
static bool ask(struct auth_call *c, enum app_hook_name name, struct buf *input, struct json *output) {
    *output = (struct json){.kind = JSON_KIND_NULL};
    c->called = (struct auth_called){0};
    str body = arena_str(c->mem, buf_str(input));
    if (input->p) explicit_bzero(input->p, input->n);
    buf_free(input);
    if (c->failed) return false;
    return c->config->hooks[name].to == APP_HOOK_TO_SQL ? ask_sql(c, name, body, output) : ask_web(c, name, body, output);
}

static void put_metadata(struct auth_call *c, struct json_writer *w, enum app_hook_name name) {
    json_put_object(w, "metadata");
    json_put_str(w, "uuid", auth_new_id(c));
    json_put_str(w, "time", c->now);
    json_put_cstr(w, "name", hooks[name].name);
    if (c->rq->address.n) json_put_str(w, "ip_address", c->rq->address);
    json_put_end(w);
}

/* ---- users ---- */

bool auth_hook_before_user(struct auth_call *c, const struct auth_new_user *u) {
    static const char never[] = "0001-01-01T00:00:00Z";
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    struct json output;
    if (!auth_hook_on(c, APP_HOOK_before_user_created)) return true;
    json_put_object(&w, NULL);
    put_metadata(c, &w, APP_HOOK_before_user_created);
    json_put_object(&w, "user");
    json_put_str(&w, "id", u->id);
    json_put_str(&w, "aud", u->aud.n ? u->aud : STR("authenticated"));
    json_put_str(&w, "role", u->role);
    json_put_str(&w, "email", u->email);
    json_put_str(&w, "phone", u->phone);
    auth_put_app_data(&w, "app_metadata", u);
    auth_put_merged(&w, "user_metadata", u->user_data, NULL);
    json_put_array(&w, "identities"), json_put_end(&w);
    json_put_cstr(&w, "created_at", never);
    json_put_cstr(&w, "updated_at", never);
    json_put_bool(&w, "is_anonymous", u->anonymous);
    json_put_end(&w);
    json_put_end(&w);
    return ask(c, APP_HOOK_before_user_created, &b, &output);
}

static bool tell_after_user(struct auth_call *c) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    struct json output;
    const struct json *user = NULL;
    if (!auth_read_user(c, "id", c->made, &user)) return false;
    if (!user) return true;
    json_put_object(&w, NULL);
    put_metadata(c, &w, APP_HOOK_after_user_created);
    auth_put_user(&w, "user", user);
    json_put_end(&w);
    return ask(c, APP_HOOK_after_user_created, &b, &output);
}

/* ---- tokens ---- */

static const char *kind_text(const struct json *v) {
    static const char *const texts[] = {"null", "boolean", "integer", "number", "string", "array", "object"};
    return texts[v->kind];
}

static const struct {
    const char *name, *expected;
    bool needed;
    uint32_t kinds; /* 1 << enum json_kind; 0: any */
} claims[] = {
#define OF(kind) (1u << JSON_KIND_##kind)
    {"aud", "[string,array]", true, OF(STR) | OF(ARRAY)},
    {"exp", "integer", true, OF(I64)},
    {"iat", "integer", true, OF(I64)},
    {"sub", "string", true, OF(STR)},
    {"email", "string", true, OF(STR)},
    {"phone", "string", true, OF(STR)},
    {"role", "string", true, OF(STR)},
    {"aal", "string", true, OF(STR)},
    {"session_id", "string", true, OF(STR)},
    {"is_anonymous", "", true, 0},
    {"jti", "string", false, OF(STR)},
    {"iss", "string", false, OF(STR)},
    {"nbf", "integer", false, OF(I64)},
    {"app_metadata", "object", false, OF(OBJECT)},
    {"user_metadata", "object", false, OF(OBJECT)},
    {"amr", "array", false, OF(ARRAY)},
    {"client_id", "string", false, OF(STR)},
#undef OF
};

static bool are_claims(struct auth_call *c, const struct json *v) {
    struct buf wrong = {0};
    for (size_t i = 0; i < ARRAY_COUNT(claims); i++)
        if (claims[i].needed && !json_get(v, claims[i].name)) buf_printf(&wrong, "- (root): %s is required\n", claims[i].name);
    for (size_t i = 0; i < ARRAY_COUNT(claims); i++) {
        const struct json *one = json_get(v, claims[i].name);
        if (!one || !claims[i].kinds || (claims[i].kinds >> one->kind & 1)) continue;
        buf_printf(&wrong, "- %s: Invalid type. Expected: %s, given: %s\n", claims[i].name, claims[i].expected, kind_text(one));
    }
    uint32_t at = 0;
    JSON_EACH(a, json_get(v, "amr")) {
        if (a->kind != JSON_KIND_STR && a->kind != JSON_KIND_OBJECT)
            buf_printf(&wrong, "- amr.%u: Must validate at least one schema (anyOf)\n", at);
        at++;
    }
    str text = arena_str(c->mem, buf_str(&wrong));
    buf_free(&wrong);
    return !text.n || fail(c, APP_HOOK_custom_access_token, AUTH_ERROR_unexpected_failure, 500,
                           arena_fmt(c->mem, "output claims do not conform to the expected schema: \n" STR_FMT, STR_ARG(text)));
}

bool auth_hook_claims(struct auth_call *c, str user, const char *method, struct buf *token) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    struct json output;
    if (!auth_hook_on(c, APP_HOOK_custom_access_token)) return true;
    json_put_object(&w, NULL);
    put_metadata(c, &w, APP_HOOK_custom_access_token);
    json_put_str(&w, "user_id", user);
    json_put_raw(&w, "claims", buf_str(token));
    json_put_cstr(&w, "authentication_method", method);
    json_put_end(&w);
    if (!ask(c, APP_HOOK_custom_access_token, &b, &output)) return false;
    const struct json *said = json_get(&output, "claims");
    if (!said)
        return fail(c, APP_HOOK_custom_access_token, AUTH_ERROR_unexpected_failure, 500, STR("output claims field is missing"));
    if (said->kind != JSON_KIND_OBJECT)
        return fail(c, APP_HOOK_custom_access_token, AUTH_ERROR_unexpected_failure, 500, STR("Error unmarshaling JSON output."));
    if (!are_claims(c, said)) return false;
    token->n = 0;
    w = json_writer_of(token);
    json_put(&w, NULL, said);
    return true;
}

/* ---- attempts ---- */

static bool end_sessions(struct auth_call *c, str user) {
    struct auth_batch b;
    struct json answers;
    auth_batch_begin(&b);
    auth_tree(&b, "delete", "sessions");
    auth_where(&b), auth_eq(&b, "user_id", user), auth_end(&b), auth_end(&b);
    return auth_run(c, &b, "Error logging out user", &answers) == AUTH_RAN || auth_fail(c, AUTH_ERROR_unexpected_failure);
}

static void begin_attempt(struct auth_call *c, struct json_writer *w, enum app_hook_name name, str user) {
    json_put_object(w, NULL);
    put_metadata(c, w, name);
    json_put_str(w, "user_id", user);
}

static bool is_rejected(const struct json *output) { return str_eqc(json_str(json_get(output, "decision")), "reject"); }

bool auth_hook_password(struct auth_call *c, str user, bool valid) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    struct json output;
    if (!auth_hook_on(c, APP_HOOK_password_verification_attempt)) return true;
    begin_attempt(c, &w, APP_HOOK_password_verification_attempt, user);
    json_put_bool(&w, "valid", valid);
    json_put_end(&w);
    if (!ask(c, APP_HOOK_password_verification_attempt, &b, &output)) return false;
    if (!is_rejected(&output)) return true;
    if (json_bool(json_get(&output, "should_logout_user")) && !end_sessions(c, user)) return false;
    str message = json_str(json_get(&output, "message"));
    return auth_fail_text(c, AUTH_ERROR_invalid_credentials, STR_FMT,
                          STR_ARG(message.n ? message : STR("Further password verification attempts will be rejected.")));
}

bool auth_hook_factor(struct auth_call *c, str user, str factor, str type, bool valid) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    struct json output;
    if (!auth_hook_on(c, APP_HOOK_mfa_verification_attempt)) return true;
    begin_attempt(c, &w, APP_HOOK_mfa_verification_attempt, user);
    json_put_str(&w, "factor_id", factor);
    json_put_str(&w, "factor_type", type);
    json_put_bool(&w, "valid", valid);
    json_put_end(&w);
    if (!ask(c, APP_HOOK_mfa_verification_attempt, &b, &output)) return false;
    if (!is_rejected(&output)) return true;
    if (!end_sessions(c, user)) return false;
    str message = json_str(json_get(&output, "message"));
    return auth_fail_text(c, AUTH_ERROR_mfa_verification_rejected, STR_FMT,
                          STR_ARG(message.n ? message : STR("Further MFA verification attempts will be rejected.")));
}

/* ---- what is sent ---- */

bool auth_hook_sends(struct auth_call *c, enum auth_mail kind, str user, const struct auth_sent *sent) {
    if (!auth_hook_on(c, APP_HOOK_send_email)) return false;
    for (uint32_t i = 0; i < c->mails_count; i++)
        if (c->mails[i].kind == kind) c->mails[i].user = (str){0}; /* it was tried before, and is another by now */
    if (c->mails_count < ARRAY_COUNT(c->mails))
        c->mails[c->mails_count++] = (struct auth_mail_waits){.kind = kind, .user = user, .sent = *sent};
    return true;
}

static const struct auth_mail_waits *other_of(const struct auth_call *c, enum auth_mail kind) {
    for (uint32_t i = 0; i < c->mails_count; i++)
        if (c->mails[i].kind == kind && c->mails[i].user.n) return &c->mails[i];
    return NULL;
}

/* Of a change that both addresses confirm there is one: as GoTrue has it, the old one's code stands beside the new one's hash, and the other way round. */
static void put_email_data(struct auth_call *c, struct json_writer *w, const struct auth_mail_waits *m) {
    static const char *const empty[] = {"old_email", "old_phone", "provider", "factor_type"};
    const struct auth_mail_waits *current = m->kind == AUTH_MAIL_CHANGE_NEW ? other_of(c, AUTH_MAIL_CHANGE_CURRENT) : NULL;
    json_put_object(w, "email_data");
    json_put_str(w, "token", current ? current->sent.code : m->sent.code);
    json_put_str(w, "token_hash", m->sent.hash);
    json_put_str(w, "redirect_to", auth_redirect(c));
    json_put_cstr(w, "email_action_type", auth_mail_action(m->kind));
    json_put_str(w, "site_url", arena_fmt(c->mem, STR_FMT "/auth/v1", STR_ARG(c->rq->url)));
    json_put_str(w, "token_new", current ? m->sent.code : STR(""));
    json_put_str(w, "token_hash_new", current ? current->sent.hash : STR(""));
    for (size_t i = 0; i < ARRAY_COUNT(empty); i++) json_put_cstr(w, empty[i], "");
    json_put_end(w);
}

static bool send_one(struct auth_call *c, const struct auth_mail_waits *m) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    struct json output;
    const struct json *user = NULL;
    if (m->kind == AUTH_MAIL_CHANGE_CURRENT && other_of(c, AUTH_MAIL_CHANGE_NEW)) return true;
    if (!auth_read_user(c, "id", m->user, &user)) return false;
    if (!user) return true;
    json_put_object(&w, NULL);
    put_metadata(c, &w, APP_HOOK_send_email);
    auth_put_user(&w, "user", user);
    put_email_data(c, &w, m);
    json_put_end(&w);
    return ask(c, APP_HOOK_send_email, &b, &output);
}

/* type: "mfa"; NULL: none is said. */
static bool send_sms(struct auth_call *c, const struct json *user, str phone, str code, const char *type) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    struct json output;
    json_put_object(&w, NULL);
    put_metadata(c, &w, APP_HOOK_send_sms);
    auth_put_user(&w, "user", user);
    json_put_object(&w, "sms");
    json_put_str(&w, "otp", code);
    if (type) json_put_cstr(&w, "sms_type", type);
    json_put_str(&w, "phone", phone);
    json_put_end(&w);
    json_put_end(&w);
    return ask(c, APP_HOOK_send_sms, &b, &output);
}

static bool send_message(struct auth_call *c) {
    const struct json *user;
    str id = c->texted.user;
    c->texted.user = (str){0};
    if (!id.n) return true;
    return auth_read_user(c, "id", id, &user) &&
           (!user || send_sms(c, user, c->texted.phone, c->texted.code, strcmp(c->texted.kind, "mfa") ? NULL : "mfa"));
}

static bool send_mails(struct auth_call *c) {
    bool ok = send_message(c);
    for (uint32_t i = 0; i < c->mails_count; i++) {
        if (!c->mails[i].user.n) continue;
        ok &= send_one(c, &c->mails[i]);
    }
    c->mails_count = 0;
    return ok;
}

/* ---- after what was asked has been done ---- */

bool auth_hooks_after(struct auth_call *c, bool anybody) {
    bool made = c->made.n && auth_hook_on(c, APP_HOOK_after_user_created);
    if (!made && !c->mails_count && !c->texted.user.n) return true;
    if (!anybody && !send_mails(c)) return false;
    if (!made && !c->mails_count && !c->texted.user.n) return true;
    c->host->answer(c->host->arg);
    (void)send_mails(c);
    c->failed = false;
    if (made) (void)tell_after_user(c);
    return true;
}
