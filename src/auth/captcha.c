/* captcha: who signs up or in proves that he is no machine, as hCaptcha or Turnstile judges it: gotrue_meta_security.captcha_token of the body. Where GoTrue wants it
 * (wants), and not of the service_role. */
#include "auth/auth_int.h"

enum { JUDGE_MS = 10'000, JUDGE_BYTES = 16 << 10, TOKEN_MAX = 8192 };
static const char *const judges[APP_CAPTCHAS] = {[APP_CAPTCHA_HCAPTCHA] = "https://hcaptcha.com/siteverify",
                                                 [APP_CAPTCHA_TURNSTILE] =
                                                     "https://challenges.cloudflare.com/turnstile/v0/siteverify"};

static bool wants(struct auth_call *c) {
    static const char *const paths[] = {"/signup", "/recover", "/resend", "/magiclink",
                                        "/otp",    "/token",   "/sso",    "/passkeys/authentication/options"};
    static const char *const free_grants[] = {"pkce", "refresh_token", "id_token"};
    bool here = false;
    str grant = str_eqc(c->rq->path, "/token") ? auth_param(c, "grant_type") : (str){0};
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) here |= str_eqc(c->rq->path, paths[i]);
    for (size_t i = 0; i < ARRAY_COUNT(free_grants); i++) here &= !str_eqc(grant, free_grants[i]);
    return here && str_eqc(c->rq->method, "POST");
}

static bool judged(struct auth_call *c, str answer) {
    static const struct json_limits limits = {JUDGE_BYTES, 8, 256};
    struct json v;
    struct diag d = DIAG_INIT;
    struct buf why = {0};
    if (json_read(c->mem, str_trim(answer), &limits, &v, &d) != ERR_OK || v.kind != JSON_KIND_OBJECT)
        return auth_fail_status(c, AUTH_ERROR_later, 503, "captcha verification process failed");
    if (json_bool(json_get(&v, "success"))) return true;
    JSON_EACH(one, json_get(&v, "error-codes")) {
        if (why.n) buf_puts(&why, STR(", "));
        buf_puts(&why, json_str(one));
    }
    (void)auth_fail_text(c, AUTH_ERROR_captcha_failed, "captcha protection: request disallowed (" STR_FMT ")",
                         STR_ARG(buf_str(&why)));
    buf_free(&why);
    return false;
}

bool auth_captcha(struct auth_call *c) {
    const struct app_captcha *captcha = &c->config->captcha;
    struct buf form = {0};
    struct auth_fetched got;
    str secret, token = str_trim(json_str(json_get(json_get(&c->body, "gotrue_meta_security"), "captcha_token")));
    if (!captcha->kind || !c->host->fetch || str_eqc(c->rq->role, "service_role") || !wants(c)) return true;
    if (!token.n || token.n > TOKEN_MAX)
        return auth_fail_text(c, AUTH_ERROR_captcha_failed, "captcha protection: request disallowed (no captcha_token found)");
    if (!auth_limited(c, "captcha", auth_network(c), c->config->sign_ins, 300)) return false;
    if (!c->host->secret(c->host->arg, c->mem, captcha->secret, &secret))
        return auth_fail_text(c, AUTH_ERROR_unexpected_failure, "captcha verification process failed");
    buf_puts(&form, STR("secret=")), auth_put_escaped(&form, str_trim(secret));
    buf_puts(&form, STR("&response=")), auth_put_escaped(&form, token);
    buf_puts(&form, STR("&remoteip=")), auth_put_escaped(&form, c->rq->address);
    const struct auth_field type = {STR("content-type"), STR("application/x-www-form-urlencoded")};
    const struct auth_fetch what = {.method = STR("POST"),
                                    .url = captcha->url.n ? captcha->url : str_c(judges[captcha->kind]),
                                    .fields = &type,
                                    .fields_count = 1,
                                    .body = buf_str(&form),
                                    .deadline_ms = JUDGE_MS,
                                    .bytes_max = JUDGE_BYTES};
    enum auth_done done = c->host->fetch(c->host->arg, c->mem, &what, &got);
    explicit_bzero(form.p, form.n);
    buf_free(&form);
    /* whoever judges is away: that passes */
    if (done != AUTH_DONE) return auth_fail_status(c, AUTH_ERROR_later, 503, "captcha verification process failed");
    return judged(c, got.body);
}
