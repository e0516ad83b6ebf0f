/* mails: words of mails in Go's notation, as an app's folder has them: their tables, and what is wrong with them, by its line. */
#include "mail/mail.h"
#include "manifest/manifest_int.h"

/* What stands for something in mails of a kind: src/auth/words.c fills it. */
static const char *const *names_of(uint32_t kind) {
    static const char *const link[] = {"SiteURL", "ConfirmationURL", "Email", "Token", "TokenHash", "RedirectTo", "Data", NULL};
    static const char *const change[] = {"SiteURL", "ConfirmationURL", "Email",      "NewEmail", "SendingTo",
                                         "Token",   "TokenHash",       "RedirectTo", "Data",     NULL};
    static const char *const code[] = {"SiteURL", "Email", "Token", "Data", NULL};
    static const char *const done[] = {"SiteURL",  "Email",      "OldEmail", "Phone", "OldPhone",
                                       "Provider", "FactorType", "Data",     NULL};
    return kind == APP_TEMPLATE_email_change       ? change
           : kind == APP_TEMPLATE_reauthentication ? code
           : kind < APP_TEMPLATE_reauthentication  ? link
                                                   : done;
}

static bool is_well(str text, uint32_t kind, bool html, struct mail_fault *fault) {
    struct buf b = {0};
    const struct mail_template t = {.html = html, .names = names_of(kind)};
    bool ok = mail_template_fill(&b, text, &t, fault);
    buf_free(&b);
    return ok;
}

void manifest_template_add(struct reader *r, const struct toml *v, const struct app_template *t) {
    struct mail_fault fault;
    if (t->subject.n && !is_well(t->subject, t->kind, false, &fault)) manifest_error(r, v, "subject: %s", fault.text);
    if (!t->subject.n && !t->html_path.n && !t->text_path.n) return;
    if (r->to->record.auth.templates.n == APP_TEMPLATES_OF_APP_MAX)
        manifest_error(r, v, "an app has at most %d templates", APP_TEMPLATES_OF_APP_MAX);
    else vec_push(r->mem, &r->to->record.auth.templates, *t);
}

void manifest_template_subject(struct reader *r, const struct toml *v, struct app_template *t) {
    manifest_mail_words(r, v, &t->subject);
}

bool manifest_language(struct reader *r, const struct toml *v, str *language) {
    bool ok = v->key.n >= 2 && v->key.n <= APP_LANGUAGE_MAX;
    uint8_t *p = arena_alloc(r->mem, v->key.n + 1, 1);
    for (size_t i = 0; i < v->key.n && ok; i++) {
        uint8_t c = v->key.p[i] == '_' ? '-' : v->key.p[i];
        p[i] = c >= 'A' && c <= 'Z' ? c | 32 : c;
        ok = (p[i] >= 'a' && p[i] <= 'z') || (i > 1 && ((p[i] >= '0' && p[i] <= '9') || p[i] == '-'));
    }
    *language = (str){p, v->key.n};
    if (!ok) manifest_error(r, v, "a language is \"de\", or \"pt-BR\"");
    return ok;
}

void manifest_notify(struct reader *r, void *to, const struct toml *v) {
    for (uint32_t i = APP_TEMPLATE_password_changed; i < APP_TEMPLATES; i++)
        if (str_eqc(v->s, app_template_text((enum app_template_kind)i))) {
            r->to->record.auth.notify |= 1u << i;
            return;
        }
    manifest_error(r, v, "nobody is told of that: \"password_changed\", \"email_changed\" and the other templates that say so");
}

/* ---- their files ---- */

void manifest_read_mails(struct reader *r, str text) {
    while (text.n) {
        str path, what, bytes, words, kind_text;
        uint64_t n;
        uint32_t kind = 0;
        struct mail_fault fault;
        if (!str_cut(text, '\n', &path, &text) || !str_cut(text, '\n', &what, &text) || !str_cut(text, '\n', &bytes, &text) ||
            !str_to_u64(bytes, &n) || n > text.n)
            return;
        words = str_sub(text, 0, (size_t)n);
        text = str_sub(text, (size_t)n, text.n);
        str_cut(what, ' ', &kind_text, &what);
        while (kind < APP_TEMPLATES && !str_eqc(kind_text, app_template_text((enum app_template_kind)kind))) kind++;
        if (kind == APP_TEMPLATES || is_well(words, kind, str_eqc(what, "html"), &fault)) continue;
        const struct manifest_path place = {.name = path};
        struct toml at = {.line = fault.line, .column = 1};
        r->path = &place;
        manifest_error(r, &at, "%s", fault.text);
        r->path = NULL;
    }
}
