/* auth: /auth/v1, as GoTrue answers it: users of an app, their sessions, what they are known by. Of requests it makes questions to the app's database,
 * and answers; whoever calls has the rest (struct auth_host), and may take its time: everything here runs on a stack that can wait.
 *
 *   request ──routes.def──> its function ──> questions (store.c) ──> answer, or an error (errors.def)
 *                              │  token: grants.def
 *                              └─ a mail (mail.c): a row beside what it tells of, in one transaction with it
 *
 * 1. Nothing of it is kept between two requests: what is so stands in the tables of the schema auth, which are GoTrue's (docs/auth.md).
 * 2. What is decided by what was read is written where that is still so, or not at all: a batch that finds it otherwise fails whole, and is decided anew.
 * 3. Whether somebody is a user, no status, body, field or time tells, where GoTrue's own does not (a sign-up that needs no confirmation says so).
 * 4. Trouble that passes is 503 with Retry-After, and nothing else: clients keep their sessions.
 */
#ifndef ORLO_AUTH_H
#define ORLO_AUTH_H

#include "app/record.h"
#include "base/base.h"
#include "base/json.h"
#include "pg/pg.h"

enum { AUTH_BODY_BYTES_MAX = 1 << 20, AUTH_FIELDS_MAX = 16 };

struct auth_field {
    str name, value;
};
/* Strings live as long as the call. */
struct auth_request {
    str method, path, query; /* path: below /auth/v1: "/token" */
    str body;
    const struct auth_field *fields;
    uint32_t fields_count;
    str address; /* who asks: "203.0.113.7" */
    str url;     /* how the world sees the app: "https://shop.example" */
    str role;    /* of the token or key that came; empty: none did, or none that holds */
    str claims;  /* of a user's token that holds: JSON; empty: none came, or (token_why) it does not hold */
    bool brings; /* an Authorization with a token in it */
    const char *token_why;
};
struct auth_response {
    uint16_t status;
    struct auth_field fields[AUTH_FIELDS_MAX]; /* besides content-type */
    uint32_t fields_count;
    str type; /* empty: JSON */
    str body;
};

/* A request to others. */
struct auth_fetch {
    str method, url; /* https://…; http:// where the operator allows it (calls.h) */
    const struct auth_field *fields;
    uint32_t fields_count;
    str body;
    uint32_t deadline_ms, bytes_max; /* of all of it; of the body that is answered. 0: ten seconds; 64 KiB */
    uint32_t
        keep_s; /* an answer of 200 to a GET is kept, and one that is so old does; where none is to be had, one of a day. 0: none does */
};
struct auth_fetched {
    uint16_t status;
    const struct auth_field *fields;
    uint32_t fields_count;
    str body;
};

/* A mail on its way out, and what came of it. */
struct auth_post {
    str id, to, subject, text, html;
    int64_t made_s; /* since 1970 */
    enum auth_posted {
        AUTH_POSTED,
        AUTH_POST_LATER,   /* it is not taken now */
        AUTH_POST_NEVER,   /* and will not be */
        AUTH_POST_NOBODYS, /* there no mail is taken now, of nobody's */
    } done;
    char why[200];
    int64_t done_us; /* when */
};

enum auth_done { AUTH_DONE, AUTH_BUSY /* later, perhaps */, AUTH_BROKEN };
struct auth_call_ask {
    bool sql;
    str name, body; /* name: of the function; sql: "schema.function" */
    const struct auth_field *fields;
    uint32_t fields_count, ms;
    size_t bytes_max; /* of the answer; one byte more says that it is larger */
};
struct auth_called {
    uint16_t status; /* of a function */
    str type, retry, body;
    struct pg_error error;
};
struct auth_host {
    void *arg;
    int64_t now_us; /* since 1970 */
    /* {"batch": [tree, …]} (docs/query.md), as the service_role, with the claims of nobody. */
    bool (*query)(void *arg, arena *out, str batch, str *answer, struct pg_error *error);
    enum auth_done (*hash)(void *arg, arena *out, str password, str *made);
    /* hash empty: there is none, and it takes as long as if there were. old: it is of another kind, or cheaper, than what is made today. */
    enum auth_done (*verify)(void *arg, str password, str hash, bool *right, bool *old);
    enum auth_done (*sign)(void *arg, arena *out, str claims, str *token);
    /* What is secret in a row: plain has up to 8 KiB; sealed is text, and about what says which row and column it is of ("factors:ID"): it opens nowhere
     * else, and in no other app. unseal AUTH_BROKEN: it was sealed by another node's key, about something else, or changed. */
    enum auth_done (*seal)(void *arg, arena *out, str about, str plain, str *sealed);
    enum auth_done (*unseal)(void *arg, arena *out, str about, str sealed, str *plain);
    /* A hook (hook.c): a function of the app's is asked by POST /hook, or one of its database's with a jsonb; within ms. AUTH_DONE: it answered, whatever.
     * AUTH_BUSY: not in time. AUTH_BROKEN: not at all (of the database: to->error says why). */
    enum auth_done (*call)(void *arg, arena *out, const struct auth_call_ask *ask, struct auth_called *to);
    void (*wait)(void *arg, uint32_t ms);
    /* What is answered is sent now; the call goes on after it. */
    void (*answer)(void *arg);
    /* A user is banned or gone: his tokens that are out there hold no more, for so long; 0: they do again. NULL: nobody can say so. */
    void (*ended)(void *arg, str user, uint64_t for_s);
    /* Of what key says one is let through each so many ns, and so many at once: 0, or the ns after which there is room. take false: it is only asked. */
    uint64_t (*limit)(void *arg, str key, uint64_t each_ns, uint64_t burst, bool take);
    /* DONE: there was an answer, whatever its status, redirects too. BUSY: they cannot be reached, or are slow, or too many are asked already. BROKEN: they may
     * not be asked, or what they answer is none. Why it failed is for the app's owner (its log). */
    bool plain; /* the operator lets private addresses be asked, without TLS too */
    enum auth_done (*fetch)(void *arg, arena *out, const struct auth_fetch *what, struct auth_fetched *to);
    /* A secret of the app's. False: it has none of that name. */
    bool (*secret)(void *arg, arena *out, str name, str *value);
    int64_t (*clock)(void *arg);                                  /* now_us, as it is by then */
    bool posts;                                                   /* there is a relay for its mails */
    bool catches;                                                 /* somebody develops, and reads mails here: GET /mails */
    void (*post)(void *arg, struct auth_post *mails, uint32_t n); /* all at once; each has its outcome then */
    uint32_t post_s_max;                                          /* after that nobody is at it any more */
    /* For the app's owner: a mail did not leave; again_s 0: it is given up. */
    void (*unsent)(void *arg, str id, const char *kind, uint32_t attempts, uint64_t again_s, const char *why);
    /* For the app's owner: why somebody was answered that it failed. */
    void (*failed)(void *arg, const char *what, const struct pg_error *error);
    /* A mail, or a message to a telephone (sms), waits. */
    void (*mailed)(void *arg, bool sms, const char *kind, str to, str link, str code);
};
void auth_serve(const struct auth_host *host, const struct app_auth *config, const struct auth_request *rq, arena *mem,
                struct auth_response *to);
/* Sends what waits of the app's mails. When there is something to do again, in µs since 1970; INT64_MAX: when there is another one. */
int64_t auth_deliver(const struct auth_host *host, const struct app_auth *config, arena *mem);
/* Whether a path is there for who brings no key: links in mails, settings of others. */
bool auth_is_open(str path);
bool auth_is_id(str text); /* a UUID */
/* An address in small letters. NULL, or why it is none. */
const char *auth_address(arena *out, str text, str *email);
enum { AUTH_USER_DATA_MAX = 3 << 10, AUTH_APP_DATA_MAX = 2 << 10 }; /* both are in each token */
/* Where a link may lead: the site's own pages, loopback addresses, globs. */
bool auth_may_lead_to(const struct app_auth *config, str site, str url);

#endif
