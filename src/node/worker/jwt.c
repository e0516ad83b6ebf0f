/* jwt: see jwt.h. */
#include "node/worker/jwt.h"
#include "base/json.h"
#include "node/secrets.h"
#include <stdio.h>

static bool read_object(arena *out, str text, struct json *v) {
    /* As deep and as full as users' metadata may be (auth): what was signed here is read here. */
    const struct json_limits limits = {NODE_JWT_BYTES_MAX, 40, NODE_JWT_BYTES_MAX / 2};
    return json_read(out, text, &limits, v, NULL) == ERR_OK && v->kind == JSON_KIND_OBJECT;
}

/* What its head says. */
struct head {
    bool known; /* algorithm is one of ours */
    enum node_key_algorithm algorithm;
    str kid; /* empty: none */
};

static enum node_jwt_end read_head(arena *out, str text, struct head *h) {
    struct json v;
    str bytes;
    *h = (struct head){0};
    if (!node_base64url_read(out, text, &bytes) || !read_object(out, bytes, &v)) return NODE_JWT_MALFORMED;
    str alg = json_str(json_get(&v, "alg"));
    if (str_eq_nocase(alg, STR("none"))) return NODE_JWT_ALGORITHM;
    if (!alg.n || json_get(&v, "crit"))
        return NODE_JWT_MALFORMED; /* crit: what has to be understood, and is not (RFC 7515 §4.1.11) */
    h->known = node_key_algorithm_named(alg, &h->algorithm);
    h->kid = json_str(json_get(&v, "kid"));
    return NODE_JWT_GOOD;
}

static bool fits(const struct node_jwt_key *key, const struct head *h) {
    return h->known && key->algorithm == h->algorithm && (!h->kid.n || key->any_kid || str_eq(key->kid, h->kid));
}

static bool signed_by(const struct node_jwt_key *key, str what, str given) {
    uint8_t is[CRYPTO_SHA256_BYTES];
    if (node_key_is_pair(key->algorithm)) return key->public && crypto_pair_verify(key->public, what, given);
    if (!key->secret.n || given.n != sizeof is) return false;
    crypto_hmac_sha256(key->secret, what, is);
    return crypto_equal(is, given.p, sizeof is);
}

enum {
    PAIRS_MAX = 4
}; /* that are tried: each takes some tenth of a millisecond of a worker, and who sends forged tokens has many */

/* *by: the key whose it is. */
static enum node_jwt_end check_signature(const struct node_jwt_key *keys, uint32_t count, const struct head *h, str what,
                                         str given, const struct node_jwt_key **by) {
    enum node_jwt_end end = NODE_JWT_KEY;
    uint32_t pairs = 0;
    for (uint32_t i = 0; i < count && pairs < PAIRS_MAX; i++) {
        if (!fits(&keys[i], h)) continue;
        pairs += node_key_is_pair(keys[i].algorithm);
        *by = &keys[i];
        if (signed_by(&keys[i], what, given)) return NODE_JWT_GOOD;
        end = NODE_JWT_SIGNATURE;
    }
    return end;
}

/* A time of the claims; otherwise, where there is none (null is none). False: it is no number. */
static bool time_of(const struct json *claims, const char *name, double otherwise, double *t) {
    const struct json *v = json_get(claims, name);
    *t = otherwise;
    if (json_is(v, JSON_KIND_I64)) *t = (double)v->i;
    else if (json_is(v, JSON_KIND_F64)) *t = v->f;
    else return !v || v->kind == JSON_KIND_NULL;
    return true;
}

static bool audience_ok(const struct json *v) {
    if (!v || v->kind == JSON_KIND_NULL || v->kind == JSON_KIND_STR) return true;
    if (v->kind != JSON_KIND_ARRAY) return false;
    JSON_EACH(one, v) if (one->kind != JSON_KIND_STR) return false;
    return true;
}

static const double never = 1e18; /* what an int64 holds with room to spare */

static enum node_jwt_end check_claims(const struct json *v, int64_t now, int64_t *until_s) {
    double until, from, issued;
    if (!time_of(v, "exp", never, &until)) return NODE_JWT_EXP_TYPE;
    if ((double)(now - NODE_JWT_SKEW_S) > until) return NODE_JWT_EXPIRED;
    if (!time_of(v, "nbf", -never, &from)) return NODE_JWT_NBF_TYPE;
    if ((double)(now + NODE_JWT_SKEW_S) < from) return NODE_JWT_EARLY;
    if (!time_of(v, "iat", -never, &issued)) return NODE_JWT_IAT_TYPE;
    if ((double)(now + NODE_JWT_SKEW_S) < issued) return NODE_JWT_ISSUED;
    if (!audience_ok(json_get(v, "aud"))) return NODE_JWT_AUD_TYPE;
    *until_s = until >= never ? INT64_MAX : (int64_t)until + NODE_JWT_SKEW_S;
    return NODE_JWT_GOOD;
}

static str text_of(arena *out, const struct json *v) {
    if (!v || v->kind == JSON_KIND_STR) return json_str(v);
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    json_put(&w, NULL, v);
    str s = arena_str(out, buf_str(&b));
    buf_free(&b);
    return s;
}

static enum node_jwt_end read_claims(arena *out, str text, int64_t now, struct node_jwt *jwt) {
    struct json v;
    str bytes;
    int64_t until_s;
    if (!node_base64url_read(out, text, &bytes) || !read_object(out, bytes, &v)) return NODE_JWT_CLAIMS;
    enum node_jwt_end end = check_claims(&v, now, &until_s);
    if (end != NODE_JWT_GOOD) return end;
    const struct json *role = json_get(&v, "role");
    str names[] = {json_str(role), json_str(json_get(&v, "sub"))}; /* some of those who read them end at a NUL */
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (names[i].n && memchr(names[i].p, 0, names[i].n)) return NODE_JWT_CLAIMS;
    *jwt = (struct node_jwt){.role = text_of(out, role),
                             .subject = json_str(json_get(&v, "sub")),
                             .claims = bytes,
                             .has_role = role,
                             .until_s = until_s};
    return NODE_JWT_GOOD;
}

/* Policies do not hold for it. */
static bool is_above(str role) { return str_eqc(role, "service_role") || str_eqc(role, "supabase_admin"); }

static uint32_t parts_of(str token) {
    uint32_t n = 1;
    for (size_t i = 0; i < token.n; i++) n += token.p[i] == '.';
    return n;
}

enum node_jwt_end node_jwt_verify(arena *out, str token, const struct node_jwt_key *keys, uint32_t count, int64_t now,
                                  struct node_jwt *jwt) {
    str header, rest, claims, signature, given;
    struct head head;
    *jwt = (struct node_jwt){0};
    if (!count) return NODE_JWT_LACKS;
    if (!token.n) return NODE_JWT_EMPTY;
    if (token.n > NODE_JWT_BYTES_MAX) return NODE_JWT_MALFORMED;
    if (parts_of(token) != 3) {
        jwt->parts = parts_of(token);
        return NODE_JWT_PARTS;
    }
    str_cut(token, '.', &header, &rest), str_cut(rest, '.', &claims, &signature);
    enum node_jwt_end end = read_head(out, header, &head);
    if (end != NODE_JWT_GOOD) return end;
    if (!node_base64url_read(out, signature, &given)) return NODE_JWT_MALFORMED;
    const struct node_jwt_key *by = NULL;
    end = check_signature(keys, count, &head, str_sub(token, 0, header.n + 1 + claims.n), given, &by);
    if (end == NODE_JWT_GOOD) end = read_claims(out, claims, now, jwt);
    if (end != NODE_JWT_GOOD || !by->foreign || !is_above(jwt->role)) return end;
    *jwt = (struct node_jwt){0};
    return NODE_JWT_KEY; /* that is for none of theirs to say */
}

bool node_jwt_is_for(const struct node_jwt *jwt, str audience) {
    arena *scratch = arena_new(0);
    struct json v;
    bool read = read_object(scratch, jwt->claims, &v), found = false;
    const struct json *aud = read ? json_get(&v, "aud") : NULL;
    bool any = read && (!aud || aud->kind == JSON_KIND_NULL || (aud->kind == JSON_KIND_ARRAY && !aud->n));
    if (json_is(aud, JSON_KIND_STR)) found = str_eq(json_str(aud), audience);
    if (json_is(aud, JSON_KIND_ARRAY)) JSON_EACH(one, aud) found |= str_eq(json_str(one), audience);
    arena_free(scratch);
    return any || found;
}

void node_jwt_error(enum node_jwt_end end, const struct node_jwt *jwt, struct pg_error *error) {
    static const struct {
        const char *state, *message, *details;
    } rows[NODE_JWT_ENDS] = {
#define X(name, state, code, message, details) [NODE_JWT_##name] = {state, message, details},
#include "node/worker/jwt.def"
#undef X
    };
    *error = (struct pg_error){.set = true};
    snprintf(error->state, sizeof error->state, "%s", rows[end].state);
    snprintf(error->detail, sizeof error->detail, "%s", rows[end].details);
    if (end == NODE_JWT_PARTS) snprintf(error->message, sizeof error->message, "%s%u", rows[end].message, jwt->parts);
    else snprintf(error->message, sizeof error->message, "%s", rows[end].message);
}
