/* Inside src/auth: whom users come from. */
#ifndef ORLO_AUTH_PROVIDER_INT_H
#define ORLO_AUTH_PROVIDER_INT_H

#include "auth/auth_int.h"

enum { AUTH_EMAILS_MAX = 16 };
struct auth_provider;

/* ---- claims.c: what a provider says of somebody ---- */

struct auth_known {
    str subject, email;        /* email: the one that is his first; empty: none */
    bool verified;             /* that one */
    str sure[AUTH_EMAILS_MAX]; /* all that are */
    uint32_t sure_count;
    const struct json *data; /* an object: what his identity keeps, and his user_metadata has */
};
struct auth_claims { /* while it is made */
    struct auth_call *c;
    const struct auth_provider *p;
    const struct json *said; /* by the userinfo, or the id_token */
    struct json_writer w;
    struct buf b;
    bool sure; /* of the address: by own */
};
typedef void (*auth_claims_fn)(struct auth_claims *k);
void auth_claims_azure(struct auth_claims *k);
void auth_claims_discord(struct auth_claims *k);
void auth_claims_facebook(struct auth_claims *k);
/* emails: what the provider has of all addresses; NULL: said has the one. name: that he said himself where he began; empty: none. False: an error is set. */
bool auth_claims_read(struct auth_call *c, const struct auth_provider *p, const struct json *said, const struct json *emails,
                      bool token, str name, struct auth_known *to);

/* ---- provider.c: where it is, and what it is asked ---- */

enum auth_provider_kind { DISCOVERED, ID_TOKEN, USERINFO };
struct auth_preset {
    const char *name;
    enum auth_provider_kind kind;
    const char *base, *api, *below, *authorize, *token, *user, *emails, *iss, *issuer, *scopes, *map, *custom, *verified;
    bool pkce, basic, form_post, proof /* of the client's secret, with each question */;
    auth_claims_fn own;
};
struct auth_provider {
    const struct auth_preset *preset; /* NULL: one that only the app knows */
    enum auth_provider_kind kind;
    str name; /* "google", "custom:acme" */
    VEC(str) clients;
    str secret, redirect, url;
    str issuer, discovery; /* of OpenID Connect */
    str authorize, token, user, emails, keys, iss;
    str scopes;
    str team, key; /* Apple's */
    bool pkce, basic, skip_nonce, email_optional;
    bool tenant;                           /* of Azure's: the app has named one */
    const struct json *map, *more, *allow; /* of custom ones: members, parameters, claims */
};
/* By the name that a client says. False: it cannot be used, and *why says so; or an error is set. discovers: its places are wanted. */
bool auth_provider_find(struct auth_call *c, str name, bool discovers, struct auth_provider *p, const char **why);
/* Its places, where they are to be found out. False: *why. */
bool auth_provider_discover(struct auth_call *c, struct auth_provider *p, const char **why);
/* Where a user is led to. more: parameters of the client's, as a query; nonce, challenge: empty, or as they are to be sent. */
str auth_provider_url(struct auth_call *c, const struct auth_provider *p, str scopes, str state, str nonce, str challenge,
                      str more);
struct auth_tokens {
    str access, refresh, id;
};
/* False: *why. */
bool auth_provider_exchange(struct auth_call *c, struct auth_provider *p, str code, str verifier, struct auth_tokens *to,
                            const char **why);
bool auth_provider_who(struct auth_call *c, struct auth_provider *p, const struct auth_tokens *tokens, str nonce, str name,
                       struct auth_known *to, const char **why);
bool auth_is_azure(str issuer); /* a tenant's */
bool auth_provider_tenant(struct auth_call *c, struct auth_provider *p, str token,
                          const char **why); /* of Azure, whose token that is */
bool auth_provider_is(const struct auth_provider *p, const char *name);

/* ---- id_token.c: what OpenID Connect signs ---- */

/* Its claims, unchecked. False: it is no token. */
bool auth_id_token_peek(struct auth_call *c, str token, struct json *claims);
/* Whether p signed it, for one of its clients, and it holds now. access: what at_hash is of; empty: it is not looked at. False: *why. */
bool auth_id_token_verify(struct auth_call *c, const struct auth_provider *p, str token, str access, struct json *claims,
                          const char **why);
bool auth_id_token_is_for(const struct json *claims, const str *clients, uint32_t count);

/* ---- link.c: whose identity it is ---- */

struct auth_arrival {
    const struct auth_provider *provider;
    const struct auth_known *known;
    str invite; /* a token; empty: none */
    str target; /* whom it is to be added to: an id; empty: nobody */
    /* Trees of what is spent with it. NULL: none */
    void (*spend)(struct auth_call *c, struct auth_batch *b, void *arg, str user);
    void *arg;
    bool begins; /* a session */
    struct auth_new_session session;
    const struct json *user; /* as it is then */
};
bool auth_arrive(struct auth_call *c, struct auth_arrival *a);
bool auth_is_invited(struct auth_call *c, str token); /* false: an error is set */

#endif
