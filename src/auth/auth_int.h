/* Inside src/auth. */
#ifndef ORLO_AUTH_INT_H
#define ORLO_AUTH_INT_H

#include "auth/auth.h"
#include "crypto/crypto.h"
#include "mail/mail.h"

enum auth_error {
#define X(name, status, message) AUTH_ERROR_##name,
#include "auth/errors.def"
#undef X
    AUTH_ERRORS
};
enum { AUTH_ID_BYTES = 36, AUTH_TIME_BYTES = 32 };

enum auth_mail {
    AUTH_MAIL_SIGN_UP,
    AUTH_MAIL_INVITE,
    AUTH_MAIL_MAGIC_LINK,
    AUTH_MAIL_RECOVERY,
    AUTH_MAIL_CHANGE_NEW,
    AUTH_MAIL_CHANGE_CURRENT,
    AUTH_MAIL_REAUTHENTICATE,
    AUTH_MAILS
};
struct auth_sent {
    str code, hash, link;
};

struct auth_call {
    const struct auth_host *host;
    const struct app_auth *config;
    const struct auth_request *rq;
    arena *mem;
    struct auth_response *to;
    struct json body;           /* an object, of a POST or PUT */
    str id, other;              /* of the path */
    const struct json *user;    /* who asks, of a route for users; his row, with identities and factors */
    const struct json *session; /* the same; NULL: his token names none */
    struct json claims;
    str now; /* as text */
    /* an error: */
    bool failed;
    enum auth_error error;
    str message, reasons; /* reasons: of a weak password, JSON */
    uint16_t status;
    str oauth_error; /* it is one of OAuth 2, with a word for it (RFC 6749 §5.2): GoTrue's has no code then */
    struct pg_error db;
    struct buf out;
    struct auth_oauth { /* a third party's session: openid.c; client empty: it is none */
        str client, scope, id_token;
    } oauth;
    /* hooks: */
    str made;                  /* the user that a batch makes; empty: none */
    struct auth_called called; /* what the last one said */
    bool refused;              /* one did, in words of its own: that is what holds */
    struct auth_mail_waits {
        enum auth_mail kind;
        str user; /* empty: it is not to be sent */
        struct auth_sent sent;
    } mails[4];
    uint32_t mails_count;
    str redirect;                               /* where it leads, whatever the request says; empty: as it says */
    str provider_token, provider_refresh_token; /* what a session is told with, once */
    struct { /* the same of a message to a telephone, by the send_sms hook; user empty: there is none */
        str user, phone, code;
        const char *kind;
    } texted;
    const struct json *data; /* user_metadata of whom a mail is for; NULL: it is not known */
    str new_email;           /* of a change of address */
    bool notified;           /* a mail tells somebody of what is done */
};
/* False, so that whoever finds it returns it. */
bool auth_fail(struct auth_call *c, enum auth_error e);
bool auth_fail_text(struct auth_call *c, enum auth_error e, const char *fmt, ...) PRINTF_LIKE(3, 4);
bool auth_fail_status(struct auth_call *c, enum auth_error e, uint16_t status, const char *message);
void auth_add_field(struct auth_call *c, const char *name, str value);
bool auth_answer(struct auth_call *c, uint16_t status); /* what is in out; true */

/* ---- requests ---- */

str auth_param(struct auth_call *c, const char *name); /* of the query, decoded; empty: it has none */
str auth_header(const struct auth_call *c, const char *name);
str auth_text(const struct auth_call *c, const char *key); /* of the body */
bool auth_is_form(const struct auth_call *c);              /* its body is a form's, and no JSON */
/* False: over a limit, or one of them is. n in a window, as a bucket that fills again. */
bool auth_limited(struct auth_call *c, const char *what, str whom, uint32_t n, uint64_t window_s);
str auth_network(struct auth_call *c); /* who asks, as limits count him: an IPv6 network of 64 bits is one */
/* An address, in small letters. False: it is none. */
bool auth_email(struct auth_call *c, str text, str *email);
bool auth_password_ok(struct auth_call *c, str password);
str auth_redirect(struct auth_call *c); /* where a link is to lead */
str auth_site(struct auth_call *c);
str auth_new_id(struct auth_call *c);
str auth_hex(arena *out, const uint8_t *p, size_t n);
str auth_base64url(arena *out, str bytes);
bool auth_base64url_read(arena *out, str text, str *bytes);
void auth_put_html(struct buf *to, str text);    /* as it stands in a page, or an attribute of it */
void auth_put_escaped(struct buf *to, str text); /* of a query or a fragment, as Go's QueryEscape */

/* ---- times ---- */

int64_t auth_time_of(const struct json *v); /* µs since 1970; INT64_MIN: there is none */
str auth_time_text(arena *out, int64_t us); /* "2024-05-01T10:00:00.5Z" */
void auth_put_time(struct json_writer *w, const char *key,
                   const struct json *v); /* as GoTrue tells it; nothing where there is none */

/* ---- store.c: the app's tables ---- */

struct auth_batch {
    struct buf b;
    struct json_writer w;
    uint32_t n;   /* trees */
    bool guarded; /* one of them has to find one row */
};
void auth_batch_begin(struct auth_batch *b);
void auth_tree(struct auth_batch *b, const char *kind, const char *table);
void auth_call_of(struct auth_batch *b, const char *function); /* of a function of auth's; args may follow, and auth_end */
void auth_where(struct auth_batch *b);                         /* then auth_eq and its kin, then auth_end of the array */
void auth_eq(struct auth_batch *b, const char *column, str value);
void auth_op(struct auth_batch *b, const char *column, const char *op, str value);
void auth_is_null(struct auth_batch *b, const char *column);
void auth_is_false(struct auth_batch *b, const char *column);
void auth_set(struct auth_batch *b); /* the object of an update; auth_end ends it */
void auth_row(struct auth_batch *b); /* of an insert: one row; auth_row_end */
void auth_row_end(struct auth_batch *b);
void auth_end(struct auth_batch *b);
void auth_one(struct auth_batch *b);             /* of one row, or the batch fails (and of a write its columns: id) */
void auth_select_user(struct auth_batch *b);     /* a user with all that is his: its where is to follow */
void auth_select_identity(struct auth_batch *b); /* of an identity, with its user */
void auth_select_session(struct auth_batch *b);  /* the same of a session, with its user */
enum auth_ran {
    AUTH_RAN,
    AUTH_MOVED /* what a guard was of is otherwise by now */,
    AUTH_TAKEN /* 23505 */,
    AUTH_NOT_RUN /* an error is set */
};
/* Runs it, and frees it. what: of an error that is not expected. answers: an array, one for each tree. */
enum auth_ran auth_run(struct auth_call *c, struct auth_batch *b, const char *what, struct json *answers);
const struct json *auth_first(const struct json *answers, uint32_t tree); /* row; NULL: none */

/* ---- user.c ---- */

void auth_put_user(struct json_writer *w, const char *key, const struct json *user);
void auth_put_user_fields(struct json_writer *w, const struct json *user);
void auth_as_made(const struct json *user); /* its confirmed_at is told from the next time on: GoTrue has not computed it yet */
bool auth_banned(const struct auth_call *c, const struct json *user);
void auth_ended(const struct auth_call *c, str user,
                int64_t until_us); /* his tokens hold no more until then: INT64_MAX, he is gone */
bool auth_confirmed(const struct json *user);
const struct json *auth_identity(const struct json *user, const char *provider);
/* An object with what more says over it; a null there takes a member away. more NULL: as it is. */
void auth_put_merged(struct json_writer *w, const char *key, const struct json *object, const struct json *more);
/* app_metadata with the providers that his identities are of, but for one (NULL: all), in the order in which they came, and more (empty: none). */
void auth_put_providers(struct json_writer *w, const char *key, const struct json *user, const struct json *identities,
                        const struct json *but, str more);
/* What was put since is too much: an error is set, and a batch that it is in does not run. */
void auth_bound_metadata(struct auth_call *c, const struct buf *b, size_t since, size_t most, const char *what);
/* Reads one by a column; *user NULL: there is none. False: an error is set. */
bool auth_read_user(struct auth_call *c, const char *column, str value, const struct json **user);
bool auth_load_caller(struct auth_call *c);
bool auth_need_user(struct auth_call *c); /* of a route that asks for one only sometimes. False: an error is set */
struct auth_new_user {
    str id, email, phone, password /* a hash; empty: none */, role, aud, provider;
    bool email_confirmed, phone_confirmed, anonymous, invited;
    bool by_admin; /* no hook is asked */
    bool bare;     /* his identity is another's */
    bool own;      /* he signs up himself: what he says of himself is his identity's, too */
    const struct json *user_data, *app_data;
    str banned_until;
};
void auth_put_app_data(struct json_writer *w, const char *key, const struct auth_new_user *u);
/* Its row and its identities; an error may be set (before_user_created), and the batch does not run. */
void auth_insert_user(struct auth_call *c, struct auth_batch *b, const struct auth_new_user *u);
void auth_insert_identity(struct auth_call *c, struct auth_batch *b, str user, str email);
/* The password of one whose address is not confirmed: whoever signed up with it, it is not to be good once the address's owner confirms that. */
void auth_replace_unconfirmed(struct auth_batch *b, str user, str hash);
void auth_audit(struct auth_call *c, struct auth_batch *b, const char *action, const char *type, str actor, str name,
                const char *provider);
/* Sets what a confirmed address means, in an update of users that is open. */
void auth_confirm_email(struct auth_call *c, struct auth_batch *b, const struct json *user);

/* ---- session.c ---- */

struct auth_new_session {
    str id, key, method; /* key: HMAC's, base64url */
    bool recovery;
};
/* Trees that make one; it is whole once the batch has run. */
void auth_insert_session(struct auth_call *c, struct auth_batch *b, str user, const char *method, struct auth_new_session *s);
/* Answers the session of a user's row. */
bool auth_answer_session(struct auth_call *c, const struct json *user, const struct auth_new_session *s, const char *weak);
/* The same, as it goes into a fragment. */
bool auth_session_fragment(struct auth_call *c, const struct json *user, const struct auth_new_session *s, struct buf *to,
                           const char *type);

/* One that a second factor has raised, as its row is now; codes: JSON, or empty. */
bool auth_answer_raised(struct auth_call *c, const struct json *session, str codes);

/* ---- verify.c: leading a browser on ---- */

void auth_begin_url(struct buf *url, str to);
void auth_put_error(struct auth_call *c, struct buf *to);                 /* the error that is set, as it goes into a fragment */
void auth_put_query_error(struct auth_call *c, struct buf *url);          /* the same, behind a URL */
bool auth_lead_to(struct auth_call *c, struct buf *url, uint16_t status); /* frees it; what was an error is told with it */

/* When it ends, or did, by its own time, the app's, or for want of use; INT64_MAX: never. */
int64_t auth_session_end(const struct auth_call *c, const struct json *session);

/* ---- sessions.c ---- */

void auth_sweep_sessions(const struct auth_call *c); /* now and then: some of those that are over go */

/* ---- mail.c ---- */

/* A token of a user's for what a mail is of, and the mail: trees of a batch. email: where it goes to. */
void auth_send(struct auth_call *c, struct auth_batch *b, enum auth_mail kind, str user, str email, bool pkce, bool mails,
               struct auth_sent *sent);
/* In an update of users that is open, and after it: what was sent before is good for nothing any more, a change of address that waits neither. */
void auth_put_unsent(struct json_writer *w, bool change);
void auth_delete_sent(struct auth_batch *b, str user);
/* As much, for who is nobody: nothing of it is there once it has run. */
void auth_send_nothing(struct auth_call *c, struct auth_batch *b, enum auth_mail kind, str nobody, str email,
                       struct auth_sent *sent);
void auth_told_mail(struct auth_call *c, enum auth_mail kind, str email, const struct auth_sent *sent); /* once it has run */
/* The column of users and the type of tokens that it is of. */
const char *auth_mail_type(enum auth_mail kind);
const char *auth_mail_action(enum auth_mail kind);
const char *auth_mail_column(enum auth_mail kind);
const char *auth_mail_sent_at(enum auth_mail kind);
str auth_code_hash(struct auth_call *c, str email, str code);
/* False: too many to this address, or of this app. It is asked before anybody is looked for. */
bool auth_may_mail(struct auth_call *c, str email);

/* ---- totp.c ---- */

enum { AUTH_TOTP_BYTES_MAX = 64 };
str auth_base32(arena *out, str bytes);
/* secret: base32. *step: of which half minute since 1970 the code is: now's, the one before, the one after. */
bool auth_totp_is(str secret, str code, int64_t now_s, uint64_t *step);
str auth_totp_uri(arena *out, str issuer, str account, str secret);
bool auth_qr_svg(arena *out, str text, str *svg); /* false: it does not fit */

/* ---- factor.c ---- */

enum auth_factor { AUTH_FACTOR_TOTP, AUTH_FACTOR_PHONE, AUTH_FACTOR_WEBAUTHN, AUTH_FACTORS };
bool auth_has_factor(const struct json *user); /* a verified one */
bool auth_is_aal2(const struct auth_call *c);
/* What is secret in a row: column "mfa_factors.secret", of the row's id. False: an error is set. */
bool auth_seal(struct auth_call *c, const char *column, str id, str plain, str *sealed);
bool auth_unseal(struct auth_call *c, const char *column, str id, str sealed, str *plain);
void auth_put_factor(struct json_writer *w, const struct json *factor);
/* code: sealed, or empty; data: JSON, or empty. */
void auth_insert_challenge(struct auth_call *c, struct auth_batch *b, str id, const struct json *factor, str code, str data);
bool auth_run_challenge(struct auth_call *c, struct auth_batch *b);
/* Of the body, while it holds. False: an error is set. */
bool auth_load_challenge(struct auth_call *c, const struct json *factor, const struct json **challenge);
void auth_spend_challenge(struct auth_call *c, struct auth_batch *b, const struct json *challenge);
/* The rest of what a right answer means: the session is raised, and answered. wrong: what it means that something of the batch is taken (23505). */
bool auth_factor_verified(struct auth_call *c, struct auth_batch *b, const struct json *factor, const char *wrong);

/* Of a session's newest refresh token, which stays that: NULL: none that holds. False: an error is set. */
bool auth_session_of(struct auth_call *c, str token, const struct json **session);
bool auth_session_handed(struct auth_call *c, const struct json *session,
                         struct buf *to); /* its tokens, as they go into a fragment */

/* ---- captcha.c ---- */

bool auth_captcha(struct auth_call *c); /* it has been proven, or need not be */

/* ---- openid.c, openid_client.c: third parties ---- */

bool auth_openid_on(struct auth_call *c);
bool auth_openid_client(struct auth_call *c, str id, const struct json **client); /* NULL: there is none */
bool auth_openid_secret_is(struct auth_call *c, const struct json *client, str secret);
/* By who asks, or nobody: else it is answered, or an error is set. */
bool auth_openid_may_refresh(struct auth_call *c, const struct json *session, bool *answered);
bool auth_refresh(struct auth_call *c, str token); /* session.c */

/* ---- hook.c: where the app has its say ---- */

bool auth_hook_on(const struct auth_call *c, enum app_hook_name name);
/* Each of them: false: it refused, or did not answer as it should: an error is set. True where nobody is to be asked. */
bool auth_hook_before_user(struct auth_call *c, const struct auth_new_user *u);
bool auth_hook_claims(struct auth_call *c, str user, const char *method,
                      struct buf *token); /* token's claims: they are others then */
bool auth_hook_password(struct auth_call *c, str user, bool valid);
bool auth_hook_factor(struct auth_call *c, str user, str factor, str type, bool valid);
/* True: it sends that mail, once what was asked has been done; nobody else is to. */
bool auth_hook_sends(struct auth_call *c, enum auth_mail kind, str user, const struct auth_sent *sent);
/* What was asked is done, and is about to be answered. anybody: who asks need not be known. */
bool auth_hooks_after(struct auth_call *c, bool anybody);

/* ---- passkey.c ---- */

bool auth_challenge_webauthn(struct auth_call *c, const struct json *factor, str id);
bool auth_verify_webauthn(struct auth_call *c, const struct json *factor);

/* ---- phone.c: telephones ---- */

/* "+1 555 123": its digits. False: it is none (E.164). */
bool auth_phone(struct auth_call *c, str text, str *phone);
/* False: too many to this number, or of this app. It is asked before anybody is looked for. */
bool auth_may_sms(struct auth_call *c, str phone);
/* A message that waits: a row of the queue in the batch. code: what stands for {{ .Code }} in the app's words. channel: "sms", "whatsapp". user empty: nobody's.
 * Gives its id. Of a number of tests none is sent. */
str auth_put_sms(struct auth_call *c, struct auth_batch *b, const char *kind, str user, str phone, str code, str channel);
void auth_told_sms(struct auth_call *c, const char *kind, str phone, str code); /* once it has run */
str auth_test_code(const struct auth_call *c, str phone);                       /* empty: the number is none of tests */
bool auth_channel_ok(struct auth_call *c, str *channel);                        /* of the body; none: "sms" */
bool auth_phone_confirmed(const struct json *user);
bool auth_phone_sign_up(struct auth_call *c, str given, str password);
bool auth_phone_otp(struct auth_call *c, str given, bool creates);
bool auth_phone_resend(struct auth_call *c, bool change);
bool auth_phone_verify(struct auth_call *c, bool change, str given, str code);
/* Of a change of oneself: trees that are to run with it. at_once: numbers are not confirmed. */
struct auth_phone_change {
    str phone, code, channel;
    bool at_once;
};
void auth_put_phone_change(struct auth_call *c, struct auth_batch *b, struct auth_phone_change *change);
void auth_put_phone_reauthentication(struct auth_call *c, struct auth_batch *b, str phone, str *code);
/* sms.c: brings it; what came of it is in p. */
void auth_send_sms(struct auth_call *c, bool whatsapp, struct auth_post *p);

/* sign_up.c: a password's hash; whether it is that user's. False: an error is set. */
bool auth_hash_password(struct auth_call *c, str password, str *made);
bool auth_is_password(struct auth_call *c, str password, const struct json *user, bool *same);
/* mail.c: digits that nobody guesses; a row of one_time_tokens. */
str auth_make_code(struct auth_call *c, uint32_t count);
void auth_put_token(struct auth_call *c, struct auth_batch *b, str user, const char *type, str hash, str relates);

void auth_put_html(struct buf *to, str text); /* of an element, or an attribute in quotes */

/* ---- words.c: what mails say ---- */

struct auth_words { /* what stands for what in templates */
    str to, email, new_email, code, hash, link, redirect, old_email, phone, old_phone, provider, factor;
    const struct json *data;
};
void auth_words(struct auth_call *c, enum app_template_kind kind, const struct auth_words *w, str *subject, str *text, str *html);
/* mail.c: its row. word: its kind, as people read it. Gives its id. */
str auth_put_mail(struct auth_call *c, struct auth_batch *b, enum app_template_kind kind, const char *word, str user, str to,
                  const struct auth_words *w, uint32_t holds_s);
/* Where the app wants it: a mail that tells the user of what this batch does. to: where he reads it; empty: nowhere. more: what stands there besides .Email, .Data. */
void auth_notify(struct auth_call *c, struct auth_batch *b, enum app_template_kind kind, const struct json *user, str to,
                 const struct auth_words *more);

/* ---- flow.c: codes of PKCE ---- */

bool auth_challenge_ok(struct auth_call *c); /* of the body: both, or none */
bool auth_has_challenge(const struct auth_call *c);
bool auth_verifier_is(struct auth_call *c, str verifier, const struct json *flow); /* of its challenge */
void auth_insert_flow(struct auth_call *c, struct auth_batch *b, str user, const char *method);

#define X(method, path, who, function) bool auth_do_##function(struct auth_call *c);
#include "auth/routes.def"
#undef X
#define X(name, function) bool auth_grant_##function(struct auth_call *c);
#include "auth/grants.def"
#undef X

#endif
