/* id_token: what an OpenID provider signs of somebody (OpenID Connect Core §2): RS256 and ES256, by keys that are its own (JWKS), which are kept for a while.
 *
 * 1. A key is of the provider's set, never the token's; an algorithm that is none of these two is refused before anything of it is believed.
 * 2. Who signed it (iss), for whom (aud, azp), until when (exp) and from when (iat, nbf) are held against what is wanted; nonces by who asks. */
#include "auth/provider_int.h"

enum { TOKEN_MAX = 16 << 10, KEYS_MAX = 64, KEEP_S = 3600, LOOK_AGAIN_S = 60, SKEW_S = 60 };

static const struct json_limits limits = {64 << 10, 32, 4'000};

static bool read_part(struct auth_call *c, str text, struct json *v) {
    struct diag d = DIAG_INIT;
    str bytes;
    return auth_base64url_read(c->mem, text, &bytes) && json_read(c->mem, bytes, &limits, v, &d) == ERR_OK &&
           v->kind == JSON_KIND_OBJECT;
}

static bool cut(str token, str *head, str *claims, str *signature) {
    str rest;
    return token.n <= TOKEN_MAX && str_cut(token, '.', head, &rest) && str_cut(rest, '.', claims, signature) &&
           str_find(*signature, '.') == signature->n;
}

bool auth_id_token_peek(struct auth_call *c, str token, struct json *claims) {
    str head, middle, signature;
    return cut(token, &head, &middle, &signature) && read_part(c, middle, claims);
}

bool auth_id_token_is_for(const struct json *claims, const str *clients, uint32_t count) {
    const struct json *aud = json_get(claims, "aud");
    for (uint32_t i = 0; i < count; i++) {
        if (!clients[i].n) continue;
        if (str_eq(json_str(aud), clients[i])) return true;
        JSON_EACH(one, aud) if (str_eq(json_str(one), clients[i])) return true;
    }
    return false;
}

/* ---- keys ---- */

static bool part(struct auth_call *c, const struct json *key, const char *name, str *bytes) {
    str text = json_str(json_get(key, name));
    return text.n && text.n < 4096 && auth_base64url_read(c->mem, text, bytes);
}

static bool signed_rs256(struct auth_call *c, const struct json *key, str what, str signature) {
    str n, e;
    if (!str_eqc(json_str(json_get(key, "kty")), "RSA") || !part(c, key, "n", &n) || !part(c, key, "e", &e)) return false;
    struct crypto_rs256 *k = crypto_rs256_public(n, e);
    bool ok = k && crypto_rs256_verify(k, what, signature);
    crypto_rs256_free(k);
    return ok;
}

static bool signed_es256(struct auth_call *c, const struct json *key, str what, str signature) {
    uint8_t public[CRYPTO_ES256_PUBLIC_BYTES] = {4};
    str x, y;
    if (!str_eqc(json_str(json_get(key, "kty")), "EC") || !str_eqc(json_str(json_get(key, "crv")), "P-256") ||
        !part(c, key, "x", &x) || !part(c, key, "y", &y) || x.n != 32 || y.n != 32 || signature.n != CRYPTO_ES256_SIGNATURE_BYTES)
        return false;
    memcpy(public + 1, x.p, 32), memcpy(public + 33, y.p, 32);
    struct crypto_es256 *k = crypto_es256_public(public);
    bool ok = k && crypto_es256_verify(k, what, signature.p);
    crypto_es256_free(k);
    return ok;
}

/* One that the head names, or where it names none, any of that kind. */
static bool fits(const struct json *key, str kid, str algorithm) {
    str use = json_str(json_get(key, "use")), alg = json_str(json_get(key, "alg")), name = json_str(json_get(key, "kid"));
    return (!use.n || str_eqc(use, "sig")) && (!alg.n || str_eq(alg, algorithm)) && (!kid.n || str_eq(name, kid));
}

static bool fetch_keys(struct auth_call *c, const struct auth_provider *p, uint32_t age_s, struct json *set) {
    struct auth_fetched answer;
    struct diag d = DIAG_INIT;
    const struct auth_fetch ask = {.method = STR("GET"), .url = p->keys, .keep_s = age_s};
    return p->keys.n && c->host->fetch(c->host->arg, c->mem, &ask, &answer) == AUTH_DONE && answer.status == 200 &&
           json_read(c->mem, answer.body, &limits, set, &d) == ERR_OK;
}

enum signed_by { NO_KEY, WRONG, RIGHT };
static enum signed_by signed_by(struct auth_call *c, const struct json *set, str kid, str algorithm, str what, str signature) {
    enum signed_by end = NO_KEY;
    uint32_t tried = 0;
    JSON_EACH(key, json_get(set, "keys")) {
        if (!fits(key, kid, algorithm) || ++tried > KEYS_MAX) continue;
        if (str_eqc(algorithm, "RS256") ? signed_rs256(c, key, what, signature) : signed_es256(c, key, what, signature))
            return RIGHT;
        end = WRONG;
    }
    return end;
}

/* A key that is not there may be new: it is looked for once more, but not each time that somebody says so. */
static bool check_signature(struct auth_call *c, const struct auth_provider *p, const struct json *head, str what,
                            str signature) {
    str kid = json_str(json_get(head, "kid")), algorithm = json_str(json_get(head, "alg"));
    struct json set;
    if (!fetch_keys(c, p, KEEP_S, &set)) return false;
    enum signed_by end = signed_by(c, &set, kid, algorithm, what, signature);
    if (end == NO_KEY && fetch_keys(c, p, LOOK_AGAIN_S, &set)) end = signed_by(c, &set, kid, algorithm, what, signature);
    return end == RIGHT;
}

/* ---- claims ---- */

static bool number(const struct json *claims, const char *name, double *v) {
    const struct json *at = json_get(claims, name);
    if (json_is(at, JSON_KIND_I64)) *v = (double)at->i;
    else if (json_is(at, JSON_KIND_F64)) *v = at->f;
    else return false;
    return true;
}

static bool holds_now(struct auth_call *c, const struct json *claims, const char **why) {
    double now = (double)(c->host->now_us / 1'000'000), exp = 0, at = 0;
    if (!number(claims, "exp", &exp) || exp + SKEW_S < now) *why = "it has expired";
    else if (number(claims, "nbf", &at) && at - 5 * SKEW_S > now) *why = "it does not hold yet";
    else if (number(claims, "iat", &at) && at - 5 * SKEW_S > now) *why = "it is of tomorrow";
    else return true;
    return false;
}

static bool is_issuer(const struct auth_provider *p, str iss) {
    bool apple = auth_provider_is(p, "apple"), google = auth_provider_is(p, "google");
    return str_eq(iss, p->issuer) ||
           (apple && str_eqc(iss, "https://account.apple.com") && str_eqc(p->issuer, "https://appleid.apple.com")) ||
           (google && str_eqc(iss, "accounts.google.com") && str_eqc(p->issuer, "https://accounts.google.com"));
}

/* OpenID Connect Core §3.1.3.6: the left half of the digest. */
static bool is_of_access(struct auth_call *c, const struct json *claims, str access) {
    uint8_t digest[CRYPTO_SHA256_BYTES];
    str hash = json_str(json_get(claims, "at_hash"));
    if (!access.n || !hash.n) return true;
    crypto_sha256(access, digest);
    return str_eq(hash, auth_base64url(c->mem, (str){digest, sizeof digest / 2}));
}

bool auth_id_token_verify(struct auth_call *c, const struct auth_provider *p, str token, str access, struct json *claims,
                          const char **why) {
    str head, middle, signature, bytes;
    struct json said;
    *why = "it is no token";
    if (!cut(token, &head, &middle, &signature) || !read_part(c, head, &said) || !auth_base64url_read(c->mem, signature, &bytes))
        return false;
    str alg = json_str(json_get(&said, "alg"));
    *why = "it is signed by neither RS256 nor ES256";
    if ((!str_eqc(alg, "RS256") && !str_eqc(alg, "ES256")) || json_get(&said, "crit")) return false;
    *why = "its signature is none of the provider's keys'";
    if (!check_signature(c, p, &said, str_sub(token, 0, head.n + 1 + middle.n), bytes)) return false;
    *why = "its claims are no JSON";
    if (!read_part(c, middle, claims)) return false;
    *why = "it is of another issuer";
    if (!is_issuer(p, json_str(json_get(claims, "iss")))) return false;
    if (!holds_now(c, claims, why)) return false;
    *why = "its at_hash is another access token's";
    return is_of_access(c, claims, access);
}
