/* words: what mails say: the app's templates in the user's language, else its own without a language, else these.
 *
 *   user_metadata's locale, language or lang; else the request's Accept-Language ──> "de-at" ──> templates of "de-at", of "de", of none ──> the usual ones
 */
#include "auth/auth_int.h"
#include <stdio.h>

struct usual {
    const char *subject, *words, *button, *more;
};
static const struct usual usual[APP_TEMPLATES] = {
    [APP_TEMPLATE_confirmation] = {"Confirm your email address",
                                   "Follow the link below to confirm this email address and finish signing up.", "Confirm",
                                   "If you did not sign up, you can ignore this mail."},
    [APP_TEMPLATE_invite] = {"You have been invited",
                             "You have been invited to create an account. Follow the link below to accept.", "Accept", ""},
    [APP_TEMPLATE_magic_link] = {"Your sign-in link", "Follow the link below to sign in.", "Sign in",
                                 "If you did not ask for this, you can ignore this mail."},
    [APP_TEMPLATE_recovery] = {"Reset your password", "Follow the link below to choose a new password.", "Reset my password",
                               "If you did not ask for this, you can ignore this mail: your password stays as it is."},
    [APP_TEMPLATE_email_change] = {"Confirm the change of your email address",
                                   "Follow the link below to have {{ .NewEmail }} as the email address of your account.",
                                   "Confirm", "If you did not ask for this, do not follow the link, and change your password."},
    [APP_TEMPLATE_reauthentication] = {"Your code", "Enter this code to go on.", NULL,
                                       "If you did not ask for this, change your password."},
    [APP_TEMPLATE_password_changed] = {"Your password was changed", "The password of your account was changed.", NULL,
                                       "If it was not you, reset your password at once."},
    [APP_TEMPLATE_email_changed] = {"Your email address was changed",
                                    "The email address of your account was {{ .OldEmail }}, and is {{ .Email }} now.", NULL,
                                    "If it was not you, ask whoever runs this service for help at once."},
    [APP_TEMPLATE_phone_changed] = {"Your phone number was changed",
                                    "The phone number of your account was {{ .OldPhone }}, and is {{ .Phone }} now.", NULL,
                                    "If it was not you, reset your password at once."},
    [APP_TEMPLATE_identity_linked] = {"There is another way to sign in to your account",
                                      "{{ .Provider }} was linked to your account {{ .Email }}.", NULL,
                                      "If it was not you, reset your password at once."},
    [APP_TEMPLATE_identity_unlinked] = {"A way to sign in to your account was removed",
                                        "{{ .Provider }} was unlinked from your account {{ .Email }}.", NULL,
                                        "If it was not you, reset your password at once."},
    [APP_TEMPLATE_mfa_factor_enrolled] = {"Your account has another second factor",
                                          "A factor ({{ .FactorType }}) was added to your account.", NULL,
                                          "If it was not you, reset your password at once."},
    [APP_TEMPLATE_mfa_factor_unenrolled] = {"A second factor of your account was removed",
                                            "A factor ({{ .FactorType }}) was removed from your account.", NULL,
                                            "If it was not you, reset your password at once."},
};
static const char *const names[] = {"SiteURL", "ConfirmationURL", "Email",    "NewEmail",   "SendingTo",
                                    "Token",   "TokenHash",       "Data",     "RedirectTo", "OldEmail",
                                    "Phone",   "OldPhone",        "Provider", "FactorType", NULL};

/* ---- values ---- */

static void of_json(const struct json *v, struct mail_value *to) {
    if (!v || v->kind == JSON_KIND_NULL) return;
    if (v->kind == JSON_KIND_STR) *to = (struct mail_value){.kind = MAIL_TEXT, .text = v->s, .is_true = v->s.n};
    else if (v->kind == JSON_KIND_BOOL)
        *to = (struct mail_value){.kind = MAIL_BOOL, .text = v->b ? STR("true") : STR("false"), .is_true = v->b};
    else if (v->kind == JSON_KIND_OBJECT || v->kind == JSON_KIND_ARRAY)
        *to = (struct mail_value){.kind = MAIL_MANY, .is_true = v->n};
    else *to = (struct mail_value){.kind = MAIL_TEXT, .is_true = true}; /* numbers: below */
}

struct filling {
    struct auth_call *c;
    const struct auth_words *w;
};

static void find(void *arg, const str *path, uint32_t n, struct mail_value *v) {
    const struct filling *f = arg;
    const struct auth_words *w = f->w;
    const struct {
        const char *name;
        str text;
        bool trusted;
    } all[] = {{"SiteURL", auth_site(f->c), true}, {"ConfirmationURL", w->link, true}, {"Email", w->email, false},
               {"NewEmail", w->new_email, false},  {"SendingTo", w->to, false},        {"Token", w->code, false},
               {"TokenHash", w->hash, false},      {"RedirectTo", w->redirect, true},  {"OldEmail", w->old_email, false},
               {"Phone", w->phone, false},         {"OldPhone", w->old_phone, false},  {"Provider", w->provider, false},
               {"FactorType", w->factor, false}};
    *v = (struct mail_value){0};
    if (str_eqc(path[0], "Data")) {
        const struct json *at = w->data;
        for (uint32_t i = 1; i < n && at; i++) at = json_get(at, arena_cstr(f->c->mem, path[i]));
        of_json(at, v);
        if (v->kind == MAIL_TEXT && json_is(at, JSON_KIND_I64))
            v->text = arena_fmt(f->c->mem, "%lld", (long long)at->i), v->is_true = at->i;
        return;
    }
    for (size_t i = 0; i < ARRAY_COUNT(all); i++)
        if (str_eqc(path[0], all[i].name))
            *v = (struct mail_value){.kind = MAIL_TEXT, .text = all[i].text, .is_true = all[i].text.n, .trusted = all[i].trusted};
}

/* ---- which template ---- */

static str language_of(struct auth_call *c, const struct json *data) {
    static const char *const keys[] = {"locale", "language", "lang"};
    str text = {0};
    for (size_t i = 0; i < ARRAY_COUNT(keys) && !text.n; i++) text = json_str(json_get(data, keys[i]));
    if (!text.n && c->rq) text = str_sub(auth_header(c, "accept-language"), 0, 64);
    uint8_t *p = arena_alloc(c->mem, APP_LANGUAGE_MAX + 1, 1);
    size_t n = 0;
    for (; n < MIN(text.n, (size_t)APP_LANGUAGE_MAX); n++) {
        uint8_t ch = text.p[n] == '_' ? '-' : text.p[n];
        if (!((ch | 32) >= 'a' && (ch | 32) <= 'z') && !(ch >= '0' && ch <= '9') && ch != '-') break;
        p[n] = ch >= 'A' && ch <= 'Z' ? ch | 32 : ch;
    }
    return (str){p, n};
}

/* Of that kind, one that has what is looked for (at: of struct app_template, a str): in the language, in its first part, in none. */
static str words_of(const struct app_auth *config, enum app_template_kind kind, str language, size_t at) {
    str first = str_sub(language, 0, str_find(language, '-'));
    const str order[] = {language, first, (str){0}};
    for (size_t k = 0; k < ARRAY_COUNT(order); k++)
        for (uint32_t i = 0; i < config->templates.n; i++) {
            const struct app_template *t = &config->templates.p[i];
            str words = *(const str *)(const void *)((const uint8_t *)t + at);
            if (t->kind == kind && words.n && str_eq(t->language, order[k])) return words;
        }
    return (str){0};
}

/* ---- the usual ones ---- */

static str usual_text(arena *mem, const struct usual *u, bool code) {
    return arena_fmt(mem, "%s\n\n%s%s%s%s\n", u->words, u->button ? "{{ .ConfirmationURL }}\n\n" : "",
                     code ? "Your code: {{ .Token }}\n" : "", *u->more ? "\n" : "", u->more);
}

static str usual_html(arena *mem, const struct usual *u, bool code) {
    struct buf b = {0};
    buf_printf(
        &b,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">"
        "<title>%s</title></head><body style=\"margin:0;padding:24px;background:#f4f4f5;color:#18181b;font:16px/1.5 "
        "system-ui,-apple-system,'Segoe UI',Roboto,sans-serif\"><div style=\"max-width:480px;margin:0 auto;padding:32px;"
        "background:#fff;border-radius:8px\"><h1 style=\"margin:0 0 16px;font-size:22px\">%s</h1><p>%s</p>",
        u->subject, u->subject, u->words);
    if (u->button)
        buf_printf(&b,
                   "<p><a href=\"{{ .ConfirmationURL }}\" style=\"display:inline-block;padding:12px 24px;border-radius:6px;"
                   "background:#18181b;color:#fff;text-decoration:none\">%s</a></p>",
                   u->button);
    if (code)
        buf_printf(&b, "<p>%s<b style=\"font-size:22px;letter-spacing:2px\">{{ .Token }}</b></p>",
                   u->button ? "Or enter this code: " : "");
    if (*u->more) buf_printf(&b, "<p style=\"color:#71717a;font-size:14px\">%s</p>", u->more);
    buf_puts(&b, STR("</div></body></html>\n"));
    str html = arena_str(mem, buf_str(&b));
    buf_free(&b);
    return html;
}

static str fill(struct auth_call *c, const struct auth_words *w, str template, str otherwise, bool html) {
    struct filling f = {c, w};
    const struct mail_template t = {.html = html, .names = names, .find = find, .arg = &f};
    struct mail_fault fault;
    struct buf b = {0};
    str filled = {0};
    if (template.n && mail_template_fill(&b, template, &t, &fault)) filled = arena_str(c->mem, buf_str(&b));
    b.n = 0;
    if (!filled.n && mail_template_fill(&b, otherwise, &t, &fault)) filled = arena_str(c->mem, buf_str(&b));
    buf_free(&b);
    return filled;
}

void auth_words(struct auth_call *c, enum app_template_kind kind, const struct auth_words *w, str *subject, str *text,
                str *html) {
    const struct app_auth *config = c->config;
    const struct usual *u = &usual[kind];
    bool code = w->code.n, own_html, own_text;
    str language = language_of(c, w->data);
    str said = words_of(config, kind, language, offsetof(struct app_template, subject));
    str as_text = words_of(config, kind, language, offsetof(struct app_template, text));
    str as_html = words_of(config, kind, language, offsetof(struct app_template, html));
    own_text = as_text.n, own_html = as_html.n;
    *subject = fill(c, w, said, str_c(u->subject), false);
    *text = fill(c, w, as_text, usual_text(c->mem, u, code), false);
    *html = own_text && !own_html ? (str){0} : fill(c, w, as_html, usual_html(c->mem, u, code), true);
}

/* ---- mails that tell of what was done ---- */

void auth_notify(struct auth_call *c, struct auth_batch *b, enum app_template_kind kind, const struct json *user, str to,
                 const struct auth_words *more) {
    struct auth_words w = *more;
    if (!(c->config->notify >> kind & 1) || !to.n) return;
    w.to = to;
    if (!w.email.n) w.email = to;
    w.data = json_get(user, "raw_user_meta_data");
    auth_put_mail(c, b, kind, app_template_text(kind), json_str(json_get(user, "id")), to, &w, 24 * 3600);
    c->notified = true;
}
