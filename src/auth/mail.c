/* mail: what is sent to an address, with a code and a link in it that are good once.
 *
 *   one_time_tokens   the link's: random, so that nobody makes one from an address and a code
 *   users.…_token     the code's: SHA-224 of address and code, compared once the user is found by his address
 *   orlo_mails        what is to be sent: in the same transaction. There it stays until the node has a server for mails: it is caught
 *
 * A link in a mail leads to a page with a button (/confirm), so that nothing is spent by a scanner that looks at it.
 */
#include "auth/auth_int.h"
#include <stdio.h>

enum { HASH_BYTES = 28, CODE_MAX = 10 };

static const struct {
    const char *action, *type, *column, *sent_at;
    enum app_template_kind template;
} mails[AUTH_MAILS] = {
    [AUTH_MAIL_SIGN_UP] = {"signup", "confirmation_token", "confirmation_token", "confirmation_sent_at",
                           APP_TEMPLATE_confirmation},
    [AUTH_MAIL_INVITE] = {"invite", "confirmation_token", "confirmation_token", "confirmation_sent_at", APP_TEMPLATE_invite},
    [AUTH_MAIL_MAGIC_LINK] = {"magiclink", "recovery_token", "recovery_token", "recovery_sent_at", APP_TEMPLATE_magic_link},
    [AUTH_MAIL_RECOVERY] = {"recovery", "recovery_token", "recovery_token", "recovery_sent_at", APP_TEMPLATE_recovery},
    [AUTH_MAIL_CHANGE_NEW] = {"email_change", "email_change_token_new", "email_change_token_new", "email_change_sent_at",
                              APP_TEMPLATE_email_change},
    [AUTH_MAIL_CHANGE_CURRENT] = {"email_change", "email_change_token_current", "email_change_token_current",
                                  "email_change_sent_at", APP_TEMPLATE_email_change},
    [AUTH_MAIL_REAUTHENTICATE] = {"reauthentication", "reauthentication_token", "reauthentication_token",
                                  "reauthentication_sent_at", APP_TEMPLATE_reauthentication},
};
const char *auth_mail_type(enum auth_mail kind) { return mails[kind].type; }
const char *auth_mail_action(enum auth_mail kind) { return mails[kind].action; }
const char *auth_mail_column(enum auth_mail kind) { return mails[kind].column; }
const char *auth_mail_sent_at(enum auth_mail kind) { return mails[kind].sent_at; }

str auth_code_hash(struct auth_call *c, str email, str code) {
    uint8_t digest[CRYPTO_DIGEST_BYTES_MAX];
    str text = arena_fmt(c->mem, STR_FMT STR_FMT, STR_ARG(email), STR_ARG(code));
    size_t n = crypto_digest(STR("sha224"), text, digest);
    return auth_hex(c->mem, digest, n);
}

/* By addresses alone, whoever has them: so it tells nothing of them. */
bool auth_may_mail(struct auth_call *c, str email) {
    uint64_t second = 1'000'000'000u, wait = 0;
    if (c->failed) return false;
    if (c->config->mail_every_s)
        wait = c->host->limit(c->host->arg, arena_fmt(c->mem, "mail " STR_FMT, STR_ARG(email)), c->config->mail_every_s * second,
                              1, true);
    if (wait)
        return auth_fail_text(c, AUTH_ERROR_over_email_send_rate_limit,
                              "For security purposes, you can only request this after %llu seconds.",
                              (unsigned long long)((wait + second - 1) / second));
    wait = c->host->limit(c->host->arg, STR("mails"), 3600 * second / c->config->mails_hour, c->config->mails_hour, true);
    return !wait || auth_fail(c, AUTH_ERROR_over_email_send_rate_limit);
}

str auth_make_code(struct auth_call *c, uint32_t count) {
    uint8_t digits[CODE_MAX + 1] = {0}, byte;
    for (uint32_t i = 0; i < MIN(count, (uint32_t)CODE_MAX);) {
        crypto_random(&byte, 1);
        if (byte < 250) digits[i++] = (uint8_t)('0' + byte % 10);
    }
    return arena_str(c->mem, (str){digits, MIN(count, (uint32_t)CODE_MAX)});
}

static str make_hash(struct auth_call *c, bool pkce) {
    uint8_t random[HASH_BYTES];
    crypto_random(random, sizeof random);
    str hex = auth_hex(c->mem, random, sizeof random);
    return pkce ? arena_fmt(c->mem, "pkce_" STR_FMT, STR_ARG(hex)) : hex;
}

static str make_link(struct auth_call *c, const char *page, const char *action, str hash) {
    struct buf b = {0};
    buf_puts(&b, c->rq->url);
    buf_printf(&b, "/auth/v1/%s?token=" STR_FMT "&type=%s&redirect_to=", page, STR_ARG(hash), action);
    auth_put_escaped(&b, auth_redirect(c));
    str link = arena_str(c->mem, buf_str(&b));
    buf_free(&b);
    return link;
}

str auth_put_mail(struct auth_call *c, struct auth_batch *b, enum app_template_kind kind, const char *word, str user, str to,
                  const struct auth_words *w, uint32_t holds_s) {
    struct json_writer *j = &b->w;
    str id = auth_new_id(c), subject, text, html;
    const struct {
        const char *name;
        str value;
    } all[] = {{"Token", w->code},          {"TokenHash", w->hash},   {"ConfirmationURL", w->link}, {"SiteURL", auth_site(c)},
               {"RedirectTo", w->redirect}, {"Email", w->email},      {"NewEmail", w->new_email},   {"OldEmail", w->old_email},
               {"Provider", w->provider},   {"FactorType", w->factor}};
    auth_words(c, kind, w, &subject, &text, &html);
    auth_tree(b, "insert", "orlo_mails");
    auth_row(b);
    json_put_str(j, "id", id);
    if (user.n) json_put_str(j, "user_id", user);
    json_put_cstr(j, "kind", word);
    json_put_str(j, "recipient", to);
    json_put_str(j, "subject", subject);
    json_put_object(j, "variables");
    for (size_t i = 0; i < ARRAY_COUNT(all); i++)
        if (all[i].value.n) json_put_str(j, all[i].name, all[i].value);
    json_put_end(j);
    json_put_str(j, "body", text);
    json_put_str(j, "html", html);
    json_put_str(j, "created_at", c->now);
    json_put_str(j, "next_at", c->now);
    json_put_str(j, "expires_at", auth_time_text(c->mem, c->host->now_us + holds_s * 1'000'000ll));
    auth_row_end(b);
    auth_end(b);
    return id;
}

/* user empty: nobody's. Gives the row's id. */
static str put_mail(struct auth_call *c, struct auth_batch *b, enum auth_mail kind, str user, str email,
                    const struct auth_sent *sent) {
    str own = kind == AUTH_MAIL_CHANGE_NEW && c->user ? json_str(json_get(c->user, "email")) : (str){0};
    const struct auth_words w = {.to = email,
                                 .email = own.n ? own : email,
                                 .new_email = kind == AUTH_MAIL_CHANGE_NEW       ? email
                                              : kind == AUTH_MAIL_CHANGE_CURRENT ? c->new_email
                                                                                 : (str){0},
                                 .code = sent->code,
                                 .hash = sent->hash,
                                 .link = sent->link,
                                 .redirect = auth_redirect(c),
                                 .data = c->data ? c->data : json_get(c->user, "raw_user_meta_data")};
    return auth_put_mail(c, b, mails[kind].template, mails[kind].action, user, email, &w, c->config->otp_s);
}

/* What of his, and of all, nobody comes back for. */
static void put_forgotten(struct auth_call *c, struct auth_batch *b, enum auth_mail kind, str user) {
    auth_tree(b, "delete", "one_time_tokens");
    auth_where(b), auth_eq(b, "user_id", user), auth_eq(b, "token_type", str_c(mails[kind].type)), auth_end(b);
    auth_end(b);
    static const struct {
        const char *table;
        int64_t days;
    } kept[] = {{"flow_state", 1}, {"orlo_mails", 30}};
    for (size_t i = 0; i < ARRAY_COUNT(kept); i++) { /* nobody comes back for what is so old */
        auth_tree(b, "delete", kept[i].table);
        auth_where(b);
        auth_op(b, "created_at", "lt", auth_time_text(c->mem, c->host->now_us - kept[i].days * 86'400'000'000));
        auth_end(b);
        auth_end(b);
    }
}

void auth_put_token(struct auth_call *c, struct auth_batch *b, str user, const char *type, str hash, str relates) {
    struct json_writer *w = &b->w;
    auth_tree(b, "insert", "one_time_tokens");
    auth_row(b);
    json_put_str(w, "id", auth_new_id(c));
    json_put_str(w, "user_id", user);
    json_put_cstr(w, "token_type", type);
    json_put_str(w, "token_hash", hash);
    json_put_str(w, "relates_to", relates);
    json_put_str(w, "created_at", str_sub(c->now, 0, c->now.n - 1));
    json_put_str(w, "updated_at", str_sub(c->now, 0, c->now.n - 1));
    auth_row_end(b);
    auth_end(b);
}

void auth_send(struct auth_call *c, struct auth_batch *b, enum auth_mail kind, str user, str email, bool pkce, bool is_mailed,
               struct auth_sent *sent) {
    struct json_writer *w = &b->w;
    sent->code = auth_make_code(c, c->config->otp_digits);
    sent->hash = make_hash(c, pkce);
    sent->link = make_link(c, is_mailed ? "confirm" : "verify", mails[kind].action, sent->hash);
    put_forgotten(c, b, kind, user);
    auth_put_token(c, b, user, mails[kind].type, sent->hash, email);
    auth_tree(b, "update", "users");
    auth_set(b);
    json_put_str(w, mails[kind].column, auth_code_hash(c, email, sent->code));
    json_put_str(w, mails[kind].sent_at, c->now);
    if (kind == AUTH_MAIL_INVITE) json_put_str(w, "invited_at", c->now);
    json_put_str(w, "updated_at", c->now);
    auth_end(b);
    auth_where(b), auth_eq(b, "id", user), auth_end(b);
    auth_end(b);
    if (is_mailed && !auth_hook_sends(c, kind, user, sent)) (void)put_mail(c, b, kind, user, email, sent);
}

void auth_put_unsent(struct json_writer *w, bool change) {
    static const char *const columns[] = {"recovery_token", "reauthentication_token", "email_change_token_new",
                                          "email_change_token_current", "email_change"};
    for (size_t i = 0; i < ARRAY_COUNT(columns) - !change; i++) json_put_cstr(w, columns[i], "");
    if (change) json_put_u64(w, "email_change_confirm_status", 0), json_put_cstr(w, "phone_change", "");
    json_put_cstr(w, "phone_change_token", "");
}

/* What confirms an address stays: it is of no password. */
void auth_delete_sent(struct auth_batch *b, str user) {
    auth_tree(b, "delete", "one_time_tokens");
    auth_where(b), auth_eq(b, "user_id", user), auth_op(b, "token_type", "neq", STR("confirmation_token")), auth_end(b);
    auth_end(b);
}

void auth_send_nothing(struct auth_call *c, struct auth_batch *b, enum auth_mail kind, str nobody, str email,
                       struct auth_sent *sent) {
    *sent = (struct auth_sent){.code = auth_make_code(c, c->config->otp_digits), .hash = make_hash(c, false)};
    sent->link = make_link(c, "confirm", mails[kind].action, sent->hash);
    put_forgotten(c, b, kind, nobody);
    auth_tree(b, "update", "users");
    auth_set(b), json_put_str(&b->w, mails[kind].column, auth_code_hash(c, email, sent->code)), auth_end(b);
    auth_where(b), auth_eq(b, "id", nobody), auth_end(b);
    auth_end(b);
    for (int i = 0; i < 2; i++) { /* the mail, and for the audit log's row and the token's */
        str id = put_mail(c, b, kind, (str){0}, email, sent);
        auth_tree(b, "delete", "orlo_mails");
        auth_where(b), auth_eq(b, "id", id), auth_end(b), auth_end(b);
    }
}

void auth_told_mail(struct auth_call *c, enum auth_mail kind, str email, const struct auth_sent *sent) {
    if (!auth_hook_on(c, APP_HOOK_send_email))
        c->host->mailed(c->host->arg, false, mails[kind].action, email, sent->link, sent->code);
}
