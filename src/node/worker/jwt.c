/* jwt: see jwt.h. */
#include "node/worker/jwt.h"
#include "base/json.h"
#include "crypto/crypto.h"

static int digit(uint8_t c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/* base64url without padding, one way to say each (RFC 7515 §2). */
static bool decode(arena *out, str text, str *bytes) {
    uint8_t *p = arena_array(out, uint8_t, text.n / 4 * 3 + 3);
    uint32_t bits = 0, have = 0;
    size_t n = 0;
    if (text.n % 4 == 1) return false;
    for (size_t i = 0; i < text.n; i++) {
        int d = digit(text.p[i]);
        if (d < 0) return false;
        bits = bits << 6 | (uint32_t)d;
        have += 6;
        if (have < 8) continue;
        have -= 8;
        p[n++] = (uint8_t)(bits >> have);
    }
    if (bits & ((1u << have) - 1)) return false;
    *bytes = (str){p, n};
    return true;
}

static bool read_object(arena *out, str text, struct json *v) {
    const struct json_limits limits = {NODE_JWT_BYTES_MAX, 8, 512};
    return json_read(out, text, &limits, v, NULL) == ERR_OK && v->kind == JSON_KIND_OBJECT;
}

static enum node_jwt_end check_header(arena *out, str header) {
    struct json v;
    str bytes;
    if (!decode(out, header, &bytes) || !read_object(out, bytes, &v)) return NODE_JWT_MALFORMED;
    if (!str_eqc(json_str(json_get(&v, "alg")), "HS256")) return NODE_JWT_ALGORITHM;
    return json_get(&v, "crit") ? NODE_JWT_MALFORMED
                                : NODE_JWT_GOOD; /* what has to be understood, and is not (RFC 7515 §4.1.11) */
}

static bool signed_by(arena *out, str key, str what, str signature) {
    uint8_t is[CRYPTO_SHA256_BYTES];
    str given;
    if (!key.n || !decode(out, signature, &given) || given.n != sizeof is) return false;
    crypto_hmac_sha256(key, what, is);
    return crypto_equal(is, given.p, sizeof is);
}

/* A time of the claims; *is false: there is none. False: it is no number. */
static bool time_of(const struct json *claims, const char *name, bool *is, double *t) {
    const struct json *v = json_get(claims, name);
    *is = v;
    if (json_is(v, JSON_KIND_I64)) *t = (double)v->i;
    else if (json_is(v, JSON_KIND_F64)) *t = v->f;
    else return !v;
    return true;
}

static enum node_jwt_end check_claims(arena *out, str claims, int64_t now, struct node_jwt *jwt) {
    struct json v;
    str bytes;
    bool expires, begins;
    double until, from;
    if (!decode(out, claims, &bytes) || !read_object(out, bytes, &v)) return NODE_JWT_MALFORMED;
    if (!time_of(&v, "exp", &expires, &until) || !time_of(&v, "nbf", &begins, &from)) return NODE_JWT_MALFORMED;
    if (expires && !((double)now < until)) return NODE_JWT_EXPIRED;
    if (begins && !((double)now >= from)) return NODE_JWT_EARLY;
    *jwt = (struct node_jwt){json_str(json_get(&v, "role")), json_str(json_get(&v, "sub")), bytes};
    return NODE_JWT_GOOD;
}

enum node_jwt_end node_jwt_verify(arena *out, str token, str key, int64_t now, struct node_jwt *jwt) {
    str header, rest, claims, signature;
    *jwt = (struct node_jwt){0};
    if (token.n > NODE_JWT_BYTES_MAX || !str_cut(token, '.', &header, &rest) || !str_cut(rest, '.', &claims, &signature))
        return NODE_JWT_MALFORMED;
    enum node_jwt_end end = check_header(out, header);
    if (end != NODE_JWT_GOOD) return end;
    if (!signed_by(out, key, str_sub(token, 0, header.n + 1 + claims.n), signature)) return NODE_JWT_SIGNATURE;
    return check_claims(out, claims, now, jwt);
}
