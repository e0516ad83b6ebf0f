/* acme: the dialogue.
 *
 *   DIRECTORY ──┬─ no request ─> INFO ─────────────────────────────────────────────────────────────────────────────> DONE
 *               └─> ACCOUNT (an account is known: not at all) ──> ORDER ──> AUTHORIZATION ──> PROVE ──> CHALLENGE ─┐
 *                                                                   │ ready                ┌── pending ── WAIT <───┤
 *                                                                   v                      v                       │
 *                   DONE <── CERTIFICATE <── valid ── POLL <── FINALIZE <──── valid ── AUTHORIZATION <─────────────┘
 *                                                      └─ processing: WAIT
 *
 *   Each that is a POST: a nonce, where there is none (HEAD) ──> SIGN ──> HTTP; badNonce: once more, with the nonce that came along.
 *   No answer, 5xx: TRIES times, with pauses; anything that is not expected: FAILED, with the authority's own words.
 */
#include "acme/acme_int.h"
#include "base/json.h"
#include "crypto/crypto.h"
#include <stdio.h>
#include <stdlib.h>

enum step { DIRECTORY, INFO, ACCOUNT, ORDER, AUTHORIZATION, CHALLENGE, FINALIZE, POLL, CERTIFICATE };
enum {
    TRIES = 3,
    NONCES_MAX = 24, /* refused in one request's place */
    PAUSE_MS = 1000,
    PAUSE_MOST_MS = 15'000,
    WAITS_MS_MAX = 600'000, /* in all */
    LATER_S_MAX = 60,       /* that is waited for here */
    DEPTH_MAX = 8,
    VALUES_MAX = 2000,
    CHALLENGES_LOOKED_AT = 16
};

struct acme {
    arena *mem, *scratch;
    struct acme_config c;
    enum acme_wants wants;
    enum step step;
    str scheme, authority;
    str new_nonce, new_account, new_order, renewal_info;
    str account, order, authorization, challenge, finalize, certificate, token, binding;
    enum acme_challenge kind;
    char nonce[ACME_NONCE_MAX + 1]; /* empty: there is none */
    bool asks_nonce, posts, as_get, bound, proved, replaces;
    str url; /* of what is asked */
    struct buf payload, text, body, why, proof, chain;
    uint32_t steps, tries, nonces, polls;
    uint64_t wait_ms, waited_ms;
    struct acme_result result;
};

static const char *challenge_text(enum acme_challenge c) {
    static const char *const text[ACME_CHALLENGES] = {"http-01", "tls-alpn-01"};
    return text[c];
}

/* ---- its ends ---- */

static void fail(struct acme *a, enum acme_fault fault, const char *what) {
    if (a->why.n && what[0]) {
        struct buf both = {0};
        buf_puts(&both, str_c(what)), buf_puts(&both, STR(": ")), buf_puts(&both, buf_str(&a->why));
        buf_free(&a->why);
        a->why = both;
    } else if (what[0]) {
        buf_puts(&a->why, str_c(what));
    }
    a->why.n = str_utf8_prefix(str_sub(buf_str(&a->why), 0, ACME_WHY_MAX));
    a->result.fault = fault;
    a->result.why = buf_str(&a->why);
    if (fault == ACME_FAULT_ACCOUNT) a->account = (str){0};
    a->wants = ACME_WANTS_FAILED;
}

static void done(struct acme *a) { a->wants = ACME_WANTS_DONE; }

static bool is_over(const struct acme *a) { return a->wants == ACME_WANTS_DONE || a->wants == ACME_WANTS_FAILED; }

/* ---- what is asked ---- */

static bool is_own(const struct acme *a, str url) {
    str scheme, authority, path;
    return acme_url_parts(url, &scheme, &authority, &path) && str_eq(scheme, a->scheme) && str_eq(authority, a->authority);
}

/* A URL of the authority's, kept. False: it has failed. */
static bool take_url(struct acme *a, str url, const char *what, str *to) {
    if (is_own(a, url)) {
        *to = arena_str(a->mem, url);
        return true;
    }
    buf_printf(&a->why, "the address of its %s", what);
    fail(a, ACME_FAULT_AWAY, url.n ? "it leads elsewhere, where nobody follows" : "it names none");
    return false;
}

static void send(struct acme *a) {
    if (++a->steps > ACME_STEPS_MAX) {
        fail(a, ACME_FAULT_AWAY, "the authority goes on and on");
        return;
    }
    a->wants = ACME_WANTS_HTTP;
}

static void begin_binding(struct acme *a) {
    struct buf jwk = {0};
    acme_jwk(&jwk, a->c.public);
    acme_jws_begin(
        &a->text,
        &(struct acme_jws){.algorithm = STR("HS256"), .kid = a->c.binding, .url = a->new_account, .payload = buf_str(&jwk)});
    buf_free(&jwk);
    a->wants = ACME_WANTS_MAC;
}

static void begin_signing(struct acme *a) {
    struct buf jwk = {0};
    if (a->step == ACCOUNT) acme_jwk(&jwk, a->c.public);
    acme_jws_begin(&a->text, &(struct acme_jws){.algorithm = STR("ES256"),
                                                .kid = a->account,
                                                .jwk = buf_str(&jwk),
                                                .nonce = str_c(a->nonce),
                                                .url = a->url,
                                                .payload = a->as_get ? (str){0} : buf_str(&a->payload)});
    a->nonce[0] = 0; /* each is good once */
    buf_free(&jwk);
    a->wants = ACME_WANTS_SIGN;
}

static void post_now(struct acme *a) {
    a->asks_nonce = !a->nonce[0];
    if (a->asks_nonce) send(a);
    else begin_signing(a);
}

static void ask(struct acme *a, enum step step, str url, bool posts, bool as_get) {
    a->step = step, a->url = url, a->posts = posts, a->as_get = as_get;
    a->tries = a->nonces = 0;
    a->asks_nonce = false;
    if (posts) post_now(a);
    else send(a);
}

static void again(struct acme *a) {
    if (a->posts) post_now(a);
    else send(a);
}

static void pause_ms(struct acme *a, uint64_t ms) {
    a->c.chance = a->c.chance * 6364136223846793005u + 1442695040888963407u;
    ms += (a->c.chance >> 33) % (ms / 4 + 1);
    if (a->waited_ms + ms > WAITS_MS_MAX) {
        fail(a, ACME_FAULT_AWAY, "the authority did not come to an end in ten minutes");
        return;
    }
    a->waited_ms += ms;
    a->wait_ms = ms;
    a->wants = ACME_WANTS_WAIT;
}

static void try_again(struct acme *a, uint64_t later_s) {
    if (++a->tries > TRIES || later_s > LATER_S_MAX) {
        a->result.retry_s = later_s;
        fail(a, later_s ? ACME_FAULT_LATER : ACME_FAULT_AWAY, "");
        return;
    }
    pause_ms(a, MAX(later_s * 1000, (uint64_t)PAUSE_MS << (a->tries - 1)));
}

/* ---- the account ---- */

static void put_account(struct acme *a) {
    struct json_writer w = json_writer_of(&a->payload);
    a->payload.n = 0;
    json_put_object(&w, NULL);
    json_put_bool(&w, "termsOfServiceAgreed", a->c.terms);
    if (a->c.email.n) {
        str mailto = arena_fmt(a->mem, "mailto:" STR_FMT, STR_ARG(a->c.email));
        json_put_array(&w, "contact");
        json_put_str(&w, NULL, mailto);
        json_put_end(&w);
    }
    if (a->binding.n) json_put_raw(&w, "externalAccountBinding", a->binding);
    json_put_end(&w);
}

static void begin_account(struct acme *a) {
    if (a->c.binding.n && !a->bound) {
        begin_binding(a);
        return;
    }
    put_account(a);
    ask(a, ACCOUNT, a->new_account, true, false);
}

/* ---- the order ---- */

static void begin_order(struct acme *a) {
    struct json_writer w = json_writer_of(&a->payload);
    a->payload.n = 0;
    json_put_object(&w, NULL);
    json_put_array(&w, "identifiers");
    json_put_object(&w, NULL);
    json_put_cstr(&w, "type", "dns");
    json_put_str(&w, "value", a->c.host);
    json_put_end(&w);
    json_put_end(&w);
    if (a->replaces) json_put_str(&w, "replaces", a->c.certificate);
    json_put_end(&w);
    ask(a, ORDER, a->new_order, true, false);
}

static void begin_finalize(struct acme *a) {
    struct buf request = {0};
    struct json_writer w = json_writer_of(&a->payload);
    acme_base64url(&request, a->c.request);
    a->payload.n = 0;
    json_put_object(&w, NULL);
    json_put_str(&w, "csr", buf_str(&request));
    json_put_end(&w);
    buf_free(&request);
    ask(a, FINALIZE, a->finalize, true, false);
}

static void poll_later(struct acme *a, enum step step, str url, uint64_t later_s) {
    a->step = step, a->url = url, a->posts = a->as_get = true;
    a->tries = a->nonces = 0;
    uint64_t own = (uint64_t)PAUSE_MS << MIN(a->polls++, 4u);
    pause_ms(a, MIN(MAX(own, later_s * 1000), (uint64_t)MAX(PAUSE_MOST_MS, LATER_S_MAX * 1000)));
}

/* ---- answers ---- */

static void take_directory(struct acme *a, const struct json *v) {
    const struct json *meta = json_get(v, "meta");
    str info = json_str(json_get(v, "renewalInfo"));
    if (info.n && is_own(a, info)) a->renewal_info = arena_str(a->mem, info), a->result.informs = true;
    if (!a->c.request.n) {
        if (!a->renewal_info.n || !a->c.certificate.n) {
            done(a);
            return;
        }
        bool slash = str_ends(a->renewal_info, STR("/"));
        ask(a, INFO,
            arena_fmt(a->mem, STR_FMT "%s" STR_FMT, STR_ARG(a->renewal_info), slash ? "" : "/", STR_ARG(a->c.certificate)), false,
            false);
        return;
    }
    if (!take_url(a, json_str(json_get(v, "newNonce")), "nonces", &a->new_nonce) ||
        !take_url(a, json_str(json_get(v, "newAccount")), "accounts", &a->new_account) ||
        !take_url(a, json_str(json_get(v, "newOrder")), "orders", &a->new_order))
        return;
    a->replaces = a->renewal_info.n && a->c.certificate.n;
    str terms = json_str(json_get(meta, "termsOfService"));
    if (!a->account.n && terms.n && !a->c.terms) {
        buf_puts(&a->why, str_sub(terms, 0, 300));
        text_tame((char *)a->why.p, a->why.n);
        fail(a, ACME_FAULT_ACCOUNT, "[acme] terms_agreed is not true; the authority's terms are at");
    } else if (!a->account.n && json_bool(json_get(meta, "externalAccountRequired")) && !a->c.binding.n) {
        fail(a, ACME_FAULT_ACCOUNT,
             "the authority wants an account that is known to it already: set [acme] eab_kid and eab_hmac_key");
    } else if (a->account.n) {
        begin_order(a);
    } else {
        begin_account(a);
    }
}

static void take_info(struct acme *a, const struct json *v, uint64_t retry_s) {
    const struct json *window = json_get(v, "suggestedWindow");
    uint64_t from, to;
    if (!acme_time(json_str(json_get(window, "start")), &from) || !acme_time(json_str(json_get(window, "end")), &to) ||
        to <= from) {
        fail(a, ACME_FAULT_AWAY, "its renewal information has no window");
        return;
    }
    a->result.from_s = from, a->result.to_s = to, a->result.retry_s = retry_s;
    str url = json_str(json_get(v, "explanationURL"));
    if (acme_url_is(url)) a->result.explained = arena_str(a->mem, url);
    done(a);
}

static void take_account(struct acme *a, const struct json *v, str location) {
    str status = json_str(json_get(v, "status"));
    if (status.n && !str_eqc(status, "valid")) {
        text_tame((char *)memcpy(arena_alloc(a->mem, status.n + 1, 1), status.p, status.n), status.n);
        fail(a, ACME_FAULT_ACCOUNT, "the account is not valid there any more");
        return;
    }
    if (take_url(a, location, "account", &a->account)) begin_order(a);
}

static void take_order(struct acme *a, const struct json *v, uint64_t later_s) {
    str status = json_str(json_get(v, "status"));
    const struct json *all = json_get(v, "authorizations");
    if (a->step == ORDER && !take_url(a, json_str(json_get(v, "finalize")), "orders' ends", &a->finalize)) return;
    if (str_eqc(status, "pending") && a->step == ORDER) {
        if (json_count(all) != 1) fail(a, ACME_FAULT_AWAY, "an order of one host has other than one authorization");
        else if (take_url(a, json_str(json_item(all, 0)), "authorization", &a->authorization))
            ask(a, AUTHORIZATION, a->authorization, true, true);
    } else if (str_eqc(status, "ready") && a->step == ORDER) {
        begin_finalize(a);
    } else if (str_eqc(status, "processing") || (str_eqc(status, "ready") && a->polls)) {
        poll_later(a, POLL, a->order, later_s);
    } else if (str_eqc(status, "valid")) {
        if (take_url(a, json_str(json_get(v, "certificate")), "certificate", &a->certificate))
            ask(a, CERTIFICATE, a->certificate, true, true);
    } else {
        acme_problem(&a->why, json_get(v, "error"), 0);
        fail(a, ACME_FAULT_HOST, "the authority ended the order");
    }
}

/* Of those that are offered, the one that is liked best. */
static const struct json *choose(struct acme *a, const struct json *all) {
    const struct json *found[ACME_CHALLENGES] = {0};
    for (uint32_t i = 0; i < MIN(json_count(all), (uint32_t)CHALLENGES_LOOKED_AT); i++) {
        str type = json_str(json_get(json_item(all, i), "type"));
        for (uint32_t k = 0; k < ACME_CHALLENGES; k++)
            if (!found[k] && str_eqc(type, challenge_text(k))) found[k] = json_item(all, i);
    }
    a->kind = a->c.challenge;
    if (!found[a->kind] && a->c.either) a->kind = a->kind == ACME_HTTP_01 ? ACME_TLS_ALPN_01 : ACME_HTTP_01;
    return found[a->kind];
}

static void begin_proof(struct acme *a, const struct json *authorization) {
    char thumbprint[ACME_THUMBPRINT + 1];
    const struct json *one = choose(a, json_get(authorization, "challenges"));
    if (!one) {
        fail(a, ACME_FAULT_HOST, "the authority offers no challenge that this node may answer ([acme] challenge)");
        return;
    }
    str token = json_str(json_get(one, "token"));
    if (!acme_token_is(token, 16, ACME_TOKEN_MAX)) {
        fail(a, ACME_FAULT_AWAY, "its challenge has no token that is one");
        return;
    }
    if (!take_url(a, json_str(json_get(one, "url")), "challenge", &a->challenge)) return;
    a->token = arena_str(a->mem, token);
    acme_thumbprint(a->c.public, thumbprint);
    a->proof.n = 0;
    buf_puts(&a->proof, token), buf_putc(&a->proof, '.'), buf_puts(&a->proof, str_c(thumbprint));
    a->wants = ACME_WANTS_PROVE;
}

/* Why it did not pass: what is said of the challenge that was taken. */
static void refused(struct acme *a, const struct json *v) {
    const struct json *all = json_get(v, "challenges");
    for (uint32_t i = 0; !a->why.n && i < MIN(json_count(all), (uint32_t)CHALLENGES_LOOKED_AT); i++)
        acme_problem(&a->why, json_get(json_item(all, i), "error"), 0);
    fail(a, ACME_FAULT_HOST,
         a->kind == ACME_HTTP_01 ? "the authority did not find the host here by http-01"
                                 : "the authority did not find the host here by tls-alpn-01");
}

static void take_authorization(struct acme *a, const struct json *v, uint64_t later_s) {
    const struct json *who = json_get(v, "identifier");
    str status = json_str(json_get(v, "status"));
    if (!str_eqc(json_str(json_get(who, "type")), "dns") || !str_eq_nocase(json_str(json_get(who, "value")), a->c.host) ||
        json_bool(json_get(v, "wildcard")))
        fail(a, ACME_FAULT_AWAY, "the authority wants another host's proof");
    else if (str_eqc(status, "valid")) a->polls = 0, begin_finalize(a);
    else if (str_eqc(status, "pending") && a->proved) poll_later(a, AUTHORIZATION, a->authorization, later_s);
    else if (str_eqc(status, "pending")) begin_proof(a, v);
    else refused(a, v);
}

static void take_certificate(struct acme *a, str body) {
    str der[ACME_CHAIN_CERTS_MAX];
    if (!acme_chain_read(a->scratch, body, der)) {
        fail(a, ACME_FAULT_AWAY, "what it gave is no chain of certificates");
        return;
    }
    buf_puts(&a->chain, body);
    done(a);
}

/* ---- what went wrong ---- */

static bool is(str type, const char *name) {
    static const str urn = STR_INIT("urn:ietf:params:acme:error:");
    return str_starts(type, urn) && str_eqc(str_sub(type, urn.n, type.n), name);
}

static enum acme_fault fault_of(const struct acme *a, str type, uint32_t status) {
    static const char *const of_account[] = {"accountDoesNotExist",  "externalAccountRequired", "invalidContact",
                                             "unsupportedContact",   "userActionRequired",      "badPublicKey",
                                             "badSignatureAlgorithm"};
    if (status == 429 || is(type, "rateLimited")) return ACME_FAULT_LATER;
    for (size_t i = 0; i < ARRAY_COUNT(of_account); i++)
        if (is(type, of_account[i])) return ACME_FAULT_ACCOUNT;
    if (is(type, "unauthorized") && a->step <= ORDER) return ACME_FAULT_ACCOUNT;
    return status >= 500 || status < 400 ? ACME_FAULT_AWAY : ACME_FAULT_HOST;
}

static const char *doing(const struct acme *a) {
    static const char *const text[] = {[DIRECTORY] = "its directory",
                                       [INFO] = "its renewal information",
                                       [ACCOUNT] = "the account",
                                       [ORDER] = "the order",
                                       [AUTHORIZATION] = "the authorization",
                                       [CHALLENGE] = "the challenge",
                                       [FINALIZE] = "the request for a certificate",
                                       [POLL] = "the order",
                                       [CERTIFICATE] = "the certificate"};
    return a->asks_nonce ? "a nonce" : text[a->step];
}

static void take_problem(struct acme *a, const struct acme_answer *r, const struct json *v, uint64_t later_s) {
    str type = json_str(json_get(v, "type"));
    a->why.n = 0;
    if (is(type, "badNonce") && a->posts && ++a->nonces <= NONCES_MAX) {
        post_now(a);
        return;
    }
    if (a->step == ORDER && a->replaces && (is(type, "alreadyReplaced") || r->status == 409)) {
        a->replaces = false;
        begin_order(a);
        return;
    }
    buf_printf(&a->why, "%s: ", doing(a));
    acme_problem(&a->why, v, r->status);
    if (r->status / 100 == 3) buf_puts(&a->why, STR(": it leads elsewhere, where nobody follows"));
    enum acme_fault fault = fault_of(a, type, r->status);
    if (fault == ACME_FAULT_AWAY && r->status / 100 != 3) {
        try_again(a, later_s);
        return;
    }
    a->result.retry_s = later_s;
    fail(a, fault, "");
}

static bool was_taken(const struct acme *a, uint32_t status) {
    return status == 200 || ((a->step == ACCOUNT || a->step == ORDER) && status == 201) || (a->asks_nonce && status == 204) ||
           (a->step == CHALLENGE && status == 202);
}

static void keep_nonce(struct acme *a, str nonce) {
    if (!acme_token_is(nonce, 1, ACME_NONCE_MAX)) return;
    memcpy(a->nonce, nonce.p, nonce.n);
    a->nonce[nonce.n] = 0;
}

static void take(struct acme *a, const struct acme_answer *r, const struct json *v, uint64_t later_s) {
    switch (a->step) {
    case DIRECTORY: take_directory(a, v); break;
    case INFO: take_info(a, v, later_s); break;
    case ACCOUNT: take_account(a, v, r->location); break;
    case ORDER:
        if (!take_url(a, r->location, "order", &a->order)) break;
        [[fallthrough]];
    case FINALIZE:
    case POLL: take_order(a, v, later_s); break;
    case AUTHORIZATION: take_authorization(a, v, later_s); break;
    case CHALLENGE: poll_later(a, AUTHORIZATION, a->authorization, later_s); break;
    case CERTIFICATE: take_certificate(a, r->body); break;
    }
}

/* A nonce was asked for alone. */
static void take_nonce(struct acme *a) {
    if (a->nonce[0]) begin_signing(a), a->asks_nonce = false;
    else buf_puts(&a->why, STR("its answers have no nonce")), try_again(a, 0);
}

void acme_answered(struct acme *a, const struct acme_answer *r, uint64_t now_s) {
    static const struct json_limits limits = {.bytes_max = ACME_BODY_MAX, .depth_max = DEPTH_MAX, .values_max = VALUES_MAX};
    struct json v = {0};
    struct diag d = DIAG_INIT;
    ENSURE(a->wants == ACME_WANTS_HTTP);
    uint64_t later_s = acme_retry_after_s(r->retry_after, now_s);
    bool taken = was_taken(a, r->status), text = a->step == CERTIFICATE && taken && !a->asks_nonce;
    a->why.n = 0;
    keep_nonce(a, r->nonce);
    if (r->cut) {
        buf_printf(&a->why, "%s", doing(a));
        fail(a, ACME_FAULT_AWAY, "the authority's answer is longer than any may be");
    } else if (a->asks_nonce && taken) {
        take_nonce(a);
    } else if (!text && json_read(a->scratch, r->body, &limits, &v, &d) != ERR_OK && taken) {
        buf_printf(&a->why, "%s: its answer is no JSON: %s", doing(a), d.text);
        try_again(a, 0);
    } else if (!taken) {
        take_problem(a, r, &v, later_s);
    } else {
        take(a, r, &v, later_s);
    }
    arena_reset(a->scratch);
}

void acme_unanswered(struct acme *a, str why) {
    ENSURE(a->wants == ACME_WANTS_HTTP);
    a->why.n = 0;
    buf_printf(&a->why, "%s: the authority does not answer: ", doing(a));
    buf_puts(&a->why, str_sub(why, 0, 300));
    text_tame((char *)a->why.p, a->why.n);
    try_again(a, 0);
}

/* ---- who works for it ---- */

void acme_signed(struct acme *a, str signature) {
    ENSURE(a->wants == ACME_WANTS_SIGN || a->wants == ACME_WANTS_MAC);
    if (!signature.n) {
        fail(a, ACME_FAULT_OWN, "there is no signature of the account's key to be had");
        return;
    }
    struct buf *to = &a->body;
    to->n = 0;
    acme_jws_end(to, buf_str(&a->text), signature);
    if (a->wants == ACME_WANTS_SIGN) {
        send(a);
        return;
    }
    a->binding = arena_str(a->mem, buf_str(to));
    a->bound = true;
    begin_account(a);
}

void acme_proven(struct acme *a, str why) {
    ENSURE(a->wants == ACME_WANTS_PROVE);
    if (why.n) {
        a->why.n = 0;
        buf_puts(&a->why, str_sub(why, 0, 300));
        fail(a, ACME_FAULT_OWN, "the challenge cannot be answered here");
        return;
    }
    a->proved = true;
    a->payload.n = 0;
    buf_puts(&a->payload, STR("{}"));
    ask(a, CHALLENGE, a->challenge, true, false);
}

void acme_waited(struct acme *a) {
    ENSURE(a->wants == ACME_WANTS_WAIT);
    a->why.n = 0;
    again(a);
}

/* ---- as others see it ---- */

enum acme_wants acme_wants(const struct acme *a) { return a->wants; }
str acme_scheme(const struct acme *a) { return a->scheme; }
str acme_authority(const struct acme *a) { return a->authority; }
str acme_text(const struct acme *a) { return buf_str(&a->text); }
uint64_t acme_wait_ms(const struct acme *a) { return a->wait_ms; }
struct acme_proof acme_proof(const struct acme *a) {
    return (struct acme_proof){a->kind, a->token, buf_str(&a->proof)};
}

struct acme_request acme_request(const struct acme *a) {
    str scheme, authority;
    struct acme_request r = {.method = STR("GET")};
    ENSURE(acme_url_parts(a->asks_nonce ? a->new_nonce : a->url, &scheme, &authority, &r.path));
    if (a->asks_nonce) r.method = STR("HEAD");
    else if (a->posts) r.method = STR("POST"), r.body = buf_str(&a->body), r.pem = a->step == CERTIFICATE;
    return r;
}

struct acme_result acme_result(const struct acme *a) {
    struct acme_result r = a->result;
    ENSURE(is_over(a));
    r.account = a->account;
    r.chain = buf_str(&a->chain);
    return r;
}

struct acme *acme_new(const struct acme_config *c) {
    struct acme *a = calloc(1, sizeof *a);
    ENSURE(a);
    a->mem = arena_new(0), a->scratch = arena_new(0);
    a->c = *c;
    a->c.directory = arena_str(a->mem, c->directory), a->c.email = arena_str(a->mem, c->email);
    a->c.binding = arena_str(a->mem, c->binding), a->c.host = arena_str(a->mem, c->host);
    a->c.request = arena_str(a->mem, c->request), a->c.certificate = arena_str(a->mem, c->certificate);
    a->account = a->c.account = arena_str(a->mem, c->account);
    str path;
    if (!acme_url_parts(a->c.directory, &a->scheme, &a->authority, &path))
        fail(a, ACME_FAULT_OWN, "the directory's address is none: https://HOST/PATH");
    else if (a->account.n && !is_own(a, a->account)) a->account = (str){0}, ask(a, DIRECTORY, a->c.directory, false, false);
    else ask(a, DIRECTORY, a->c.directory, false, false);
    return a;
}

void acme_free(struct acme *a) {
    if (!a) return;
    buf_free(&a->payload), buf_free(&a->text), buf_free(&a->body), buf_free(&a->why), buf_free(&a->proof), buf_free(&a->chain);
    arena_free(a->scratch), arena_free(a->mem);
    free(a);
}
