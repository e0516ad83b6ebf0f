/* record: one version of an app, as it is deployed, after everything about it was checked.
 *
 *   layout  id  version  secrets' revision  name  default?  eager?  database  how many functions, files, redirects  hosts  routes   what routing reads
 *   functions  files  redirects  secrets  CORS  limits  weight  the database's secret                                               the rest
 *
 * 1. Everything in it is plain values, all numbers little-endian: whoever has the bytes has the app, but for its images, packs and secrets.
 * 2. Reading is by a sticky reader, and refuses what could not have been said as text. No route leads to what there is not.
 * 3. The layouts before this one are read too (app_record_read): the first one's app's grants and limits are those of each of its functions; the
 *    second one knew of no database, those before the sixth of none that functions reach, those before the seventh of none that calls functions,
 *    those before the eighth of no root document of its own, those before the tenth had no rules.
 * 4. What stands in it is no secret: a server's URL is the value of a secret of the app's, which is named here.
 */
#ifndef ORLO_APP_RECORD_H
#define ORLO_APP_RECORD_H

#include "app/grants.h"
#include "app/settings.h"

enum {
    APP_NAME_MAX = 63, /* of an app: a label of a host */
    APP_FUNCTION_NAME_MAX = 255,
    APP_HOST_MAX = 253, /* RFC 1035, as text */
    APP_HOSTS_MAX = 1024,
    APP_ROUTES_MAX = 16384,
    APP_ROUTE_BYTES_MAX = 1024,
    APP_FUNCTIONS_MAX = 256,
    APP_FILES_MAX = 256, /* static folders */
    APP_EARLIER_MAX = 8, /* versions of each that are asked besides */
    APP_REDIRECTS_MAX = 1024,
    APP_SECRETS_MAX = 256,
    APP_CORS_MAX = 256,  /* of each of its lists */
    APP_PATH_MAX = 4096, /* of a file in a bundle */
    APP_URL_MAX = 4096,  /* where a redirect leads */
    APP_DIGEST_BYTES = 32,
    APP_TRIGGERS_MAX = 64,   /* of a function */
    APP_FOLLOWERS_MAX = 32,  /* functions of an app that have triggers */
    APP_ATTEMPTS_MAX = 100,  /* at telling a function of a change */
    APP_COMPUTED_MAX = 64,   /* columns that a function computes */
    APP_IDENTIFIER_MAX = 63, /* bytes of a name in the database */
    APP_RECORD_LAYOUT = 10,  /* as app_record_write writes it */
    APP_COMPRESS_TYPES_MAX = 64,
    APP_COMPRESS_MIN = 1024, /* about what a packet has: less saves nobody one */
};

enum app_route_to { APP_TO_FUNCTION, APP_TO_FILES, APP_TO_REDIRECT, APP_ROUTE_TOS };
struct app_route {
    str path;       /* "/", "/api", "/a/:id/b": begins with a slash, and ends with none but the first. ":id" is any one segment */
    bool exact;     /* that path alone; else what is below it, too ("/api", "/api/x", not "/apix") */
    bool slash;     /* an exact one: and the same with a slash behind it */
    bool strip;     /* what matched is taken off before the function sees the path */
    bool internal;  /* no way in from outside: http://FUNCTION.internal alone */
    uint8_t to;     /* enum app_route_to */
    uint32_t index; /* into those */
};
/* Changes of a table that a function is told of, once they are committed. */
#define APP_CHANGES_LIST(X)                                                                                                      \
    X(INSERT, "insert")                                                                                                          \
    X(UPDATE, "update")                                                                                                          \
    X(DELETE, "delete")                                                                                                          \
    X(ALL, "all") /* more has changed than is told row by row: it is to be read anew */
enum app_change {
#define X(name, word) APP_CHANGE_##name,
    APP_CHANGES_LIST(X)
#undef X
        APP_CHANGES
};
struct app_trigger {
    str schema, table;
    uint32_t on;       /* 1 << enum app_change */
    uint32_t attempts; /* then it is given up */
    VEC(str) columns;  /* an update is told where one of them is another; none: any */
};
/* A column of a table or view that a function computes from others, where /rest/v1 is asked for it. */
struct app_computed {
    str schema, table, name, type;
    VEC(str) needs;
};
struct app_function {
    str name, source;                                           /* source: its file's path in the bundle */
    uint8_t module[APP_DIGEST_BYTES], digest[APP_DIGEST_BYTES]; /* SHA-256 of that file; of its image file */
    uint32_t kind;                                              /* wasi_kind */
    struct app_grants grants;
    struct app_limits limits;
    bool spin;                 /* it gets Spin's request headers */
    bool supabase, verify_jwt; /* it is at /functions/v1/NAME, too, for those who bring the app's token, or for everybody */
    bool rpc, rpc_reads;       /* it is at /rest/v1/rpc/NAME; by GET, too */
    VEC(struct app_trigger) triggers;
    VEC(struct app_computed) computes;
};
struct app_cache {    /* which files of a folder are to be kept for how long */
    str match, value; /* a pattern (pattern.h) of its path within the folder; a Cache-Control */
};
struct app_files { /* a static folder */
    str name, folder;
    uint8_t digest[APP_DIGEST_BYTES]; /* of its pack */
    str index, not_found;             /* file names; empty: none */
    bool spa;                         /* what is not there is the index, 200 */
    bool clean;                       /* about.html is /about */
    bool no_immutable;                /* files whose names have a hash are as others */
    VEC(struct app_cache) cache;      /* the first that matches */
    uint32_t
        earlier_of; /* not 0: it is what the folder of that number (from 1) was in an earlier version. No route leads to it: what has a hash in its */
    uint64_t until_ms; /* name, and is not there any more, is served from it until then (since 1970), to pages of that version */
};
struct app_redirect {
    str to; /* a path or a URL */
    uint16_t status;
};
struct app_secret {
    str key;
    str otherwise; /* where it is not set */
    bool required; /* it has to be */
};
/* X(name, word): what holds an app's tables. */
#define APP_DATABASES_LIST(X)                                                                                                    \
    X(NONE, "none")                                                                                                              \
    X(SQLITE, "sqlite")     /* a file of the app's */                                                                            \
    X(POSTGRES, "postgres") /* a server of the app's own, that the node runs */                                                  \
    X(SERVER, "server")     /* somebody's server, by a URL */
enum app_database_engine {
#define X(name, word) APP_DATABASE_##name,
    APP_DATABASES_LIST(X)
#undef X
        APP_DATABASES
};
const char *app_database_text(enum app_database_engine engine);
struct app_database {
    enum app_database_engine engine;
    str secret; /* SERVER: the secret of the app's that is its URL; else empty */
};
/* What /rest/v1 shows of the database. */
struct app_rest {
    VEC(str) schemas; /* the first one is asked where no other is; none: "public" and "graphql_public" */
    VEC(str) search;  /* schemas behind it, on PostgreSQL; none: "public" and "extensions" */
    str before;       /* a function, "f" or "schema.f", that is called before each request; empty: none */
    bool off, no_openapi;
    bool aggregates; /* are let through */
    bool plans;      /* everybody may ask for one, and not the service_role alone */
    bool terse;      /* errors tell their code and message alone */
    bool timed;      /* answers say how long what took (Server-Timing) */
    str root;        /* a function, as before, that answers / in the place of the OpenAPI document; empty: none */
    str audience;    /* tokens that are for others are refused; empty: they are not */
};
enum { APP_REST_SCHEMAS_MAX = 32, APP_AUDIENCE_MAX = 1024 };
/* How mails of users leave; where host is empty: by the node's relay, if it has one. */
#define APP_MAIL_TLS_LIST(X)                                                                                                     \
    X(AUTO, "auto")         /* at port 465 TLS, elsewhere STARTTLS; at this machine's own addresses where that is offered */     \
    X(STARTTLS, "starttls") /* or not at all */                                                                                  \
    X(TLS, "tls")           /* from the first byte on */                                                                         \
    X(NONE, "none")
enum app_mail_tls {
#define X(name, word) APP_MAIL_TLS_##name,
    APP_MAIL_TLS_LIST(X)
#undef X
        APP_MAIL_TLS_KINDS
};
struct app_mail {
    str host, user, secret; /* secret: the app's, that is the password; empty: nobody is signed in */
    str sender, from;       /* a name, and an address */
    uint32_t port;
    uint8_t tls;
};
enum { APP_MAIL_WORDS_MAX = 255, APP_SMS_TESTS_MAX = 64, APP_SMS_WORDS_MAX = 480 };
/* X(name, word, where it is, what account is called there): who brings messages to telephones. */
#define APP_SMS_LIST(X)                                                                                                          \
    X(NONE, "", "", "")                                                                                                          \
    X(TWILIO, "twilio", "https://api.twilio.com", "the account's SID")                                                           \
    X(VONAGE, "vonage", "https://rest.nexmo.com", "the API key")                                                                 \
    X(MESSAGEBIRD, "messagebird", "https://rest.messagebird.com", "")                                                            \
    X(TEXTLOCAL, "textlocal", "https://api.textlocal.in", "")
enum app_sms_provider {
#define X(name, ...) APP_SMS_##name,
    APP_SMS_LIST(X)
#undef X
        APP_SMS_PROVIDERS
};
struct app_test_code {
    str phone, code; /* a telephone that gets no messages, and whose code is always that one */
};
/* X(name): mails whose words an app may have. Those from password_changed on tell of what was done, where mail.notify says so. */
#define APP_TEMPLATES_LIST(X)                                                                                                    \
    X(confirmation)                                                                                                              \
    X(invite)                                                                                                                    \
    X(magic_link)                                                                                                                \
    X(recovery)                                                                                                                  \
    X(email_change)                                                                                                              \
    X(reauthentication)                                                                                                          \
    X(password_changed)                                                                                                          \
    X(email_changed)                                                                                                             \
    X(phone_changed)                                                                                                             \
    X(identity_linked)                                                                                                           \
    X(identity_unlinked)                                                                                                         \
    X(mfa_factor_enrolled)                                                                                                       \
    X(mfa_factor_unenrolled)
enum app_template_kind {
#define X(name) APP_TEMPLATE_##name,
    APP_TEMPLATES_LIST(X)
#undef X
        APP_TEMPLATES
};
const char *app_template_text(enum app_template_kind kind);
struct app_template {
    uint8_t kind;
    str language;             /* "de", "pt-br"; empty: where there is none for the user's */
    str subject;              /* in Go's notation, as its words are; empty: the usual one */
    str html_path, text_path; /* in the bundle; empty: the usual words */
    str html, text;           /* what stands there */
};
enum { APP_TEMPLATES_OF_APP_MAX = 256, APP_TEMPLATES_BYTES_MAX = 192 << 10 /* of all together */, APP_LANGUAGE_MAX = 16 };
struct app_sms {
    uint8_t provider;
    str account, secret, from; /* secret: the app's, that is the token there */
    str url;                   /* in the place of the usual one; empty: that */
    str words;                 /* in which {{ .Code }} is the code */
    VEC(struct app_test_code) tests;
};
/* Who may have users, and how: /auth/v1. */
#define APP_PASSWORDS_LIST(X)                                                                                                    \
    X(ANY, "")                                                                                                                   \
    X(LETTERS_DIGITS, "letters_digits")                                                                                          \
    X(LOWER_UPPER_DIGITS, "lower_upper_letters_digits")                                                                          \
    X(LOWER_UPPER_DIGITS_SYMBOLS, "lower_upper_letters_digits_symbols")
enum app_password {
#define X(name, word) APP_PASSWORD_##name,
    APP_PASSWORDS_LIST(X)
#undef X
        APP_PASSWORDS
};
/* X(name, what an app has that says nothing, the least, the most): numbers, each of four bytes. */
#define APP_AUTH_NUMBERS(X)                                                                                                      \
    X(jwt_s, 3600, 30, 604'800)                                                                                                  \
    X(reuse_s, 10, 0, 3600)                                                                                                      \
    X(password_min, 6, 6, 72)                                                                                                    \
    X(otp_digits, 6, 6, 10)                                                                                                      \
    X(notify, 0, 0, (1 << APP_TEMPLATES) - 1) /* 1 << enum app_template_kind */                                                  \
    X(sms_every_s, 60, 0, 86'400)                                                                                                \
    X(sms_hour, 30, 1, 1'000'000)                                                                                                \
    X(sms_digits, 6, 6, 10)                                                                                                      \
    X(sms_s, 300, 30, 86'400)                                                                                                    \
    X(otp_s, 3600, 60, 86'400)                                                                                                   \
    X(mail_every_s, 60, 0, 86'400)                                                                                               \
    X(mails_hour, 30, 1, 1'000'000)                                                                                              \
    X(timebox_s, 0, 0, 315'360'000)                                                                                              \
    X(idle_s, 0, 0, 315'360'000)                                                                                                 \
    X(sign_ins, 30, 1, 1'000'000)                                                                                                \
    X(refreshes, 150, 1, 1'000'000)                                                                                              \
    X(verifies, 30, 1, 1'000'000)                                                                                                \
    X(anonymous_hour, 30, 1, 1'000'000)                                                                                          \
    X(factors_most, 10, 1, 50)                                                                                                   \
    X(challenge_s, 300, 30, 3600)                                                                                                \
    X(factor_tries, 15, 1, 1'000'000)                                                                                            \
    X(factor_sms_every_s, 60, 0, 86'400)                                                                                         \
    X(factor_digits, 6, 6, 10)                                                                                                   \
    X(passkeys_most, 10, 1, 100)                                                                                                 \
    X(passkey_challenge_s, 300, 30, 3600)                                                                                        \
    X(passkey_asks, 30, 1, 1'000'000)                                                                                            \
    X(audit_days, 365, 30, 36'500)                                                                                               \
    X(audit_rows, 1'000'000, 10'000, 2'000'000'000)                                                                              \
    X(passwords, APP_PASSWORD_ANY, 0, APP_PASSWORDS - 1)
/* X(name, what an app has that says nothing) */
#define APP_AUTH_FLAGS(X)                                                                                                        \
    X(on, false)                                                                                                                 \
    X(sign_up, true)                                                                                                             \
    X(anonymous, false)                                                                                                          \
    X(email, true)                                                                                                               \
    X(email_sign_up, true)                                                                                                       \
    X(phone, false)                                                                                                              \
    X(confirm_phone, true)                                                                                                       \
    X(confirm_email, false)                                                                                                      \
    X(both_addresses, true)                                                                                                      \
    X(recent_for_password, false)                                                                                                \
    X(rotates, true)                                                                                                             \
    X(one_session, false)                                                                                                        \
    X(totp, true)                                                                                                                \
    X(totp_enrol, true)                                                                                                          \
    X(factor_phone, false)                                                                                                       \
    X(factor_phone_enrol, false)                                                                                                 \
    X(factor_webauthn, false)                                                                                                    \
    X(factor_webauthn_enrol, false)                                                                                              \
    X(recovery_codes, true)                                                                                                      \
    X(leaked_closed, false)                                                                                                      \
    X(passkeys, false)                                                                                                           \
    X(passkeys_verify_user, false)                                                                                               \
    X(calls, false) /* it asks others: providers, hooks, who judges a captcha */                                                 \
    X(manual_linking, false)
/* Providers of identities that are known by name: where they are, and what they say of whom, src/auth/providers.def has. */
#define APP_PROVIDERS_LIST(X)                                                                                                    \
    X(apple)                                                                                                                     \
    X(azure)                                                                                                                     \
    X(discord)                                                                                                                   \
    X(facebook)                                                                                                                  \
    X(github)                                                                                                                    \
    X(gitlab)                                                                                                                    \
    X(google)                                                                                                                    \
    X(keycloak)                                                                                                                  \
    X(slack_oidc)
bool app_provider_known(str name);
struct app_provider {
    str name; /* of those; or any, which users know as custom:NAME */
    VEC(str)
    clients; /* what the provider knows the app as: the first asks, tokens for the others are taken, too. "env(NAME)": a secret's value */
    str secret;        /* the app's that is the client's secret, or Apple's key; empty: it has none */
    str url, redirect; /* where it is, if not where it is usually; where it leads back to, if not to the app's own address */
    str issuer;        /* of OpenID Connect, whose places are found by discovery */
    str authorize, token, userinfo; /* of OAuth 2 */
    str scopes;                     /* besides the usual ones */
    str team, key;                  /* Apple's names of who made the key, and of that */
    bool skip_nonce, email_optional;
};
enum { APP_PROVIDERS_MAX = 32, APP_PROVIDER_CLIENTS_MAX = 16, APP_PROVIDER_NAME_MAX = 40, APP_PROVIDER_TEXT_MAX = 1024 };
/* X(name): where an app may have its say about its users (docs/auth-hooks.md). */
#define APP_HOOKS_LIST(X)                                                                                                        \
    X(before_user_created)                                                                                                       \
    X(after_user_created)                                                                                                        \
    X(custom_access_token)                                                                                                       \
    X(send_email)                                                                                                                \
    X(send_sms)                                                                                                                  \
    X(mfa_verification_attempt)                                                                                                  \
    X(password_verification_attempt)
enum app_hook_name {
#define X(name) APP_HOOK_##name,
    APP_HOOKS_LIST(X)
#undef X
        APP_HOOKS
};
enum app_hook_to { APP_HOOK_TO_NOBODY, APP_HOOK_TO_FUNCTION, APP_HOOK_TO_SQL, APP_HOOK_TO_URL, APP_HOOK_TOS };
struct app_hook {
    uint8_t to; /* enum app_hook_to */
    str at;     /* a function of the app's; "schema.function" of its database; a URL */
    str secret; /* the secret of the app's that it is signed with: "v1,whsec_BASE64", several with | between; empty: it is not */
};
/* It is an OpenID provider for third parties: docs/openid.md. */
struct app_oauth {
    bool on, registers; /* registers: third parties register themselves */
    str path;           /* of the app's page on which users consent, below site_url; empty: the node's own */
};
enum app_captcha_kind { APP_CAPTCHA_NONE, APP_CAPTCHA_HCAPTCHA, APP_CAPTCHA_TURNSTILE, APP_CAPTCHAS };
struct app_captcha {
    uint8_t kind;    /* enum app_captcha_kind */
    str secret, url; /* secret: which of the app's; url: who is asked; empty: its own service */
};
/* The node's own pages for signing in: docs/auth-pages.md. */
struct app_pages {
    bool on;
    str name, logo, colour; /* name empty: the app's; logo: a URL; colour: "#1a2b3c" */
};
struct app_auth {
#define X(name, ...) uint32_t name;
    APP_AUTH_NUMBERS(X)
#undef X
#define X(name, ...) bool name;
    APP_AUTH_FLAGS(X)
#undef X
    str site_url;        /* where links of mails lead that name nothing else; empty: the app's own address */
    VEC(str) redirects;  /* where else they may lead: globs */
    str leaked_url;      /* of a service that knows passwords that leaked, by their hash's first digits; empty: none is asked */
    str rp_id, rp_name;  /* of passkeys (WebAuthn); empty: the host of site_url */
    VEC(str) rp_origins; /* of pages that may ask for them; none: site_url's alone */
    struct app_mail mail;
    struct app_hook hooks[APP_HOOKS];
    VEC(struct app_provider) providers;
    struct app_sms sms;
    struct app_oauth oauth;
    struct app_captcha captcha;
    struct app_pages pages;
    VEC(struct app_template) templates;
};
enum { APP_AUTH_REDIRECTS_MAX = 64, APP_AUTH_ORIGINS_MAX = 32 };
void app_auth_usual(struct app_auth *a); /* as an app has it that says nothing */

struct app_cors {
    VEC(str) origins, methods, headers, expose; /* no origins: no rules; "*" any */
    bool credentials, private_network;
    uint32_t max_age_s;
};
/* ---- rules for requests (docs/routing.md). match: a pattern (pattern.h) of the path as app_path_normal has it ---- */

enum {
    APP_RULES_MAX = 256, /* of each kind */
    APP_RULE_FIELDS_MAX = 64,
    APP_RULE_WORDS_MAX = 64,
    APP_FIELD_BYTES_MAX = 4096,
    APP_RATE_MAX = 1'000'000'000,
    APP_RATE_S_MAX = 86'400,
};
/* X(name, the key of orlo.toml) */
#define APP_FIELD_HOWS_LIST(X) X(SET, set) X(APPEND, append) X(REMOVE, remove)
enum app_field_how {
#define X(name, key) APP_FIELD_##name,
    APP_FIELD_HOWS_LIST(X)
#undef X
        APP_FIELD_HOWS
};
struct app_field {
    uint8_t how; /* enum app_field_how */
    str name, value;
};
struct app_headers { /* what is said in answers; all that match, in their order */
    str match;
    VEC(struct app_field) fields;
};
struct app_allow { /* what may be asked; all that match */
    str match;
    VEC(str) methods;        /* none: any */
    uint64_t body_bytes_max; /* 0: as its function has it */
};
/* X(name, word): whose requests are counted together: of an address (an IPv6 network of 64 bits is one); of the subject of a token that holds, or of a key
 * that does, or by a header's value, and who brings none of those by his address; everybody's. */
#define APP_RATE_BYS_LIST(X)                                                                                                     \
    X(ADDRESS, "address")                                                                                                        \
    X(SUBJECT, "subject")                                                                                                        \
    X(APIKEY, "apikey")                                                                                                          \
    X(HEADER, "header")                                                                                                          \
    X(ALL, "all")
enum app_rate_by {
#define X(name, word) APP_RATE_BY_##name,
    APP_RATE_BYS_LIST(X)
#undef X
        APP_RATE_BYS
};
struct app_rate {
    str match, name, header; /* header: by HEADER, in lower case */
    VEC(str) methods;        /* none: any */
    uint32_t requests, per_s, burst;
    uint8_t by; /* enum app_rate_by */
};
struct app_cors_of {
    str match;
    struct app_cors cors;
};
struct app_condition {
    str name, value; /* of the query; value ":NAME": any, "": that it is there */
};
struct app_moved {      /* a redirect that asks for more than a path: looked at before routes, the first that matches */
    str host, from, to; /* host: as app_host_normal has it; empty: any */
    VEC(struct app_condition) query;
    uint16_t status;
};
struct app_rules {
    VEC(struct app_headers) headers;
    VEC(struct app_allow) allows;
    VEC(struct app_rate) rates;
    VEC(struct app_cors_of) cors; /* the first that matches, before the app's own */
    VEC(struct app_moved) moved;
    uint32_t hsts_s; /* 0: nothing is said */
    bool hsts_subdomains, hsts_preload;
    bool https; /* who comes without is led there */
    bool any;   /* one of these is there: not in the bytes */
};

struct app_compress { /* of what it answers with */
    bool off;
    uint32_t bytes_min; /* what is smaller goes as it is; 0: than APP_COMPRESS_MIN */
    VEC(str) types;     /* besides those that the node knows; "text/" is all below it */
};
struct app_record {
    uint32_t id, version;      /* id: never given twice in a node's life; version: counts from 1 */
    uint64_t secrets_revision; /* of its secrets' values, which are elsewhere: counts their changes */
    str name;
    bool is_default;              /* it answers hosts that nobody else does */
    bool eager;                   /* a worker loads it before it says that it applied the snapshot */
    bool follows;                 /* some function of it has triggers */
    bool has_users;               /* what auth.on says, for routing */
    struct app_database database; /* for routing, its engine is there alone */
    uint64_t made_ms;             /* since 1970: a function that had no triggers before is told of what changes from then on */
    VEC(str) hosts;               /* as app_host_normal has them, or "*." before one */
    VEC(struct app_route) routes;
    VEC(struct app_function) functions; /* an app has a function, or files, redirects or a database */
    VEC(struct app_files) files;
    VEC(struct app_redirect) redirects;
    VEC(struct app_secret) secrets; /* all that its functions ask for */
    struct app_cors cors;
    struct app_compress compress;
    struct app_limits limits; /* of all of it together, and what its functions' are when they say nothing */
    uint32_t weight;          /* of its share of the core */
    struct app_rest rest;
    struct app_auth auth;
    struct app_rules rules;
};
void app_record_write(struct buf *to, const struct app_record *r);
/* One that a file makes alone, as `orlo serve FILE` and `orlo run` do: the default of all hosts, all paths lead to it. Named after the file. */
void app_record_of_file(arena *out, str file, const struct app_grants *grants, const struct app_limits *limits,
                        struct app_record *r);
/* Strings borrow what is read. Else rd_fail. */
void app_record_read(arena *out, struct rd *from, struct app_record *r);
/* As far as routing needs it: functions, files and redirects have their n alone. */
void app_record_read_routing(arena *out, struct rd *from, struct app_record *r);
/* All of bytes is one record. ERR_MALFORMED: d says where. */
[[nodiscard]] err app_record_decode(arena *out, str bytes, struct app_record *r, struct diag *d);
/* Whether two records are the same but for `eager`, which each snapshot says anew. */
bool app_record_same(str a, str b);
/* Its callers have keys: it has a database, or a function that Supabase's clients call. */
bool app_record_for_supabase(const struct app_record *r);
/* UINT32_MAX: it has none of that name. */
uint32_t app_record_function(const struct app_record *r, str name);

/* ---- names ---- */

/* "shop", "a-1": letters in lower case, digits, inner hyphens; up to 63. ERR_USAGE: d says what it takes. */
[[nodiscard]] err app_name_check(str name, struct diag *d);
/* A request's authority as hosts are compared: without a port, in lower case, without a last dot, an IPv6 address in brackets as RFC 5952
 * writes it, an IPv4 one as it is. False: no host has that form. to: of APP_HOST_MAX + 3 bytes. */
[[nodiscard]] bool app_host_normal(str authority, char *to, size_t *n);
/* "HOST", "*.HOST", as an app is to have it: names of other scripts become xn--… ERR_USAGE. */
[[nodiscard]] err app_host_parse(arena *out, str arg, str *host, struct diag *d);
/* "/api", "/api/" (a prefix), "/a/:id" (any one segment there), "=/health" (that path alone). ERR_USAGE. */
[[nodiscard]] err app_route_parse(arena *out, str arg, struct app_route *route, struct diag *d);

#endif
