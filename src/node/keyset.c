/* keyset: see keyset.h. */
#include "node/keyset.h"
#include "base/json.h"
#include "node/secrets.h"

static const char *const algorithms[NODE_KEY_ALGORITHMS] = {"HS256", "ES256", "RS256", "EdDSA"};
const char *node_key_algorithm_text(enum node_key_algorithm a) { return algorithms[a]; }

bool node_key_algorithm_named(str name, enum node_key_algorithm *a) {
    for (*a = 0; *a < NODE_KEY_ALGORITHMS; ++*a)
        if (str_eqc(name, algorithms[*a])) return true;
    return false;
}

/* ---- the set ---- */

enum { OPAQUE = 1, SECRET = 2, ANY_KID = 4, FOREIGN = 8, FLAGS = 15 };

static void put_str(struct buf *to, str s) {
    buf_putc(to, (uint8_t)s.n);
    buf_puts(to, s);
}

void node_keyset_put(struct buf *to, const struct node_keyset_key *key) {
    buf_putc(to, (uint8_t)((key->opaque ? OPAQUE : 0) | (key->secret ? SECRET : 0) | (key->any_kid ? ANY_KID : 0) |
                           (key->foreign ? FOREIGN : 0)));
    if (key->opaque) {
        buf_put(to, &key->id, 4);
        buf_put(to, &key->expires_s, 8);
        buf_put(to, key->hash, sizeof key->hash);
        return;
    }
    ENSURE(key->kid.n <= NODE_KID_BYTES_MAX && key->entry.n <= 128 && key->public.n <= CRYPTO_PAIR_PUBLIC_MAX);
    buf_putc(to, (uint8_t)key->algorithm);
    put_str(to, key->kid);
    put_str(to, key->entry);
    buf_put(to, &(uint16_t){(uint16_t)key->public.n}, 2);
    buf_puts(to, key->public);
}

static void read_signing(struct rd *from, struct node_keyset_key *key) {
    uint8_t algorithm = rd_u8(from);
    key->algorithm = (enum node_key_algorithm)algorithm;
    key->kid = rd_bytes(from, rd_u8(from));
    key->entry = rd_bytes(from, rd_u8(from));
    uint32_t low = rd_u8(from);
    key->public = rd_bytes(from, low | (uint32_t)rd_u8(from) << 8);
    if (algorithm >= NODE_KEY_ALGORITHMS || !key->public.n == node_key_is_pair(key->algorithm) ||
        key->public.n > CRYPTO_PAIR_PUBLIC_MAX)
        rd_fail(from, "no key of a set");
}

bool node_keyset_next(struct rd *from, struct node_keyset_key *key) {
    *key = (struct node_keyset_key){0};
    if (from->fail || !rd_left(from)) return false;
    uint8_t flags = rd_u8(from);
    *key = (struct node_keyset_key){
        .opaque = flags & OPAQUE, .secret = flags & SECRET, .any_kid = flags & ANY_KID, .foreign = flags & FOREIGN};
    if (flags & ~FLAGS) rd_fail(from, "no key of a set");
    if (key->opaque) {
        key->id = rd_u32le(from);
        key->expires_s = rd_u64le(from);
        str hash = rd_bytes(from, sizeof key->hash);
        if (hash.n == sizeof key->hash) memcpy(key->hash, hash.p, sizeof key->hash);
    } else {
        read_signing(from, key);
    }
    return !from->fail;
}

/* ---- as others write them ---- */

static void put_bytes(struct json_writer *w, const char *name, str bytes) {
    struct buf b = {0};
    node_base64url(&b, bytes);
    json_put_str(w, name, buf_str(&b));
    buf_free(&b);
}

static str past_zeroes(str n) {
    while (n.n && !n.p[0]) n.p++, n.n--;
    return n;
}

enum { HALF = 32, EXPONENT = 4 }; /* pair.c has how a public half is written */

static void put_public(struct json_writer *w, enum node_key_algorithm a, str public) {
    static const char *const types[NODE_KEY_ALGORITHMS] = {"", "EC", "RSA", "OKP"};
    json_put_cstr(w, "kty", types[a]);
    if (a == NODE_KEY_RS256) {
        put_bytes(w, "n", str_sub(public, EXPONENT, public.n));
        put_bytes(w, "e", past_zeroes(str_sub(public, 0, EXPONENT)));
    } else if (a == NODE_KEY_EDDSA) {
        json_put_cstr(w, "crv", "Ed25519");
        put_bytes(w, "x", public);
    } else {
        json_put_cstr(w, "crv", "P-256");
        put_bytes(w, "x", str_sub(public, 1, HALF));
        put_bytes(w, "y", str_sub(public, 1 + HALF, HALF));
    }
}

void node_keyset_jwks(struct buf *to, str set) {
    struct json_writer w = json_writer_of(to);
    struct node_keyset_key k;
    json_put_object(&w, NULL);
    json_put_array(&w, "keys");
    for (struct rd from = rd_of(set); node_keyset_next(&from, &k);) {
        if (k.opaque || k.foreign || !node_key_is_pair(k.algorithm)) continue;
        json_put_object(&w, NULL);
        put_public(&w, k.algorithm, k.public);
        json_put_cstr(&w, "alg", node_key_algorithm_text(k.algorithm));
        json_put_cstr(&w, "use", "sig");
        json_put_array(&w, "key_ops");
        json_put_cstr(&w, NULL, "verify");
        json_put_end(&w);
        json_put_str(&w, "kid", k.kid);
        json_put_end(&w);
    }
    json_put_end(&w);
    json_put_end(&w);
}

/* A member of base64url. Empty: it has none, or that is not it. */
static str member_bytes(arena *out, const struct json *jwk, const char *name) {
    str bytes;
    return node_base64url_read(out, json_str(json_get(jwk, name)), &bytes) ? bytes : (str){0};
}

/* Of so many bytes: some write numbers without the zeroes before them. Empty: it is longer. */
static str padded(arena *out, str n, size_t bytes) {
    n = past_zeroes(n);
    if (!n.n || n.n > bytes) return (str){0};
    uint8_t *p = arena_alloc(out, bytes, 1);
    memset(p, 0, bytes - n.n);
    memcpy(p + bytes - n.n, n.p, n.n);
    return (str){p, bytes};
}

static str joined(arena *out, str a, str b) {
    uint8_t *p = arena_alloc(out, a.n + b.n, 1);
    memcpy(p, a.p, a.n);
    memcpy(p + a.n, b.p, b.n);
    return (str){p, a.n + b.n};
}

static err read_rsa(arena *out, const struct json *v, struct node_jwk *to, struct diag *d) {
    static const char *const names[] = {"n", "e", "d", "p", "q", "dp", "dq", "qi"};
    struct buf b = {0};
    bool whole = true;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        str n = past_zeroes(member_bytes(out, v, names[i]));
        whole &= n.n && n.n <= CRYPTO_PAIR_SIGNATURE_MAX;
        buf_put(&b, &(uint16_t){(uint16_t)n.n}, 2);
        buf_puts(&b, n);
    }
    if (whole && b.n <= CRYPTO_PAIR_SECRET_MAX) to->secret = arena_str(out, buf_str(&b));
    if (b.p) explicit_bzero(b.p, b.n);
    buf_free(&b);
    if (json_get(v, "d") && !to->secret.n)
        return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE,
                        "a secret key of RSA has n, e, d, p, q, dp, dq and qi, and at most 4096 bits");
    str e = padded(out, member_bytes(out, v, "e"), EXPONENT), n = past_zeroes(member_bytes(out, v, "n"));
    if (e.n && n.n && n.n <= CRYPTO_PAIR_SIGNATURE_MAX) to->public = joined(out, e, n);
    return ERR_OK;
}

static void read_curve(arena *out, const struct json *v, struct node_jwk *to) {
    bool points = to->algorithm == NODE_KEY_ES256;
    str x = member_bytes(out, v, "x"), y = points ? padded(out, member_bytes(out, v, "y"), HALF) : (str){0};
    str secret = member_bytes(out, v, "d");
    to->secret = points ? padded(out, secret, HALF) : secret.n == HALF ? secret : (str){0};
    if (!points) to->public = x.n == HALF ? x : (str){0};
    else if ((x = padded(out, x, HALF)).n && y.n) to->public = joined(out, STR("\4"), joined(out, x, y));
}

err node_jwk_read(arena *out, str text, struct node_jwk *to, struct diag *d) {
    static const struct json_limits limits = {16 << 10, 8, 256};
    static const struct {
        const char *type, *curve;
        enum node_key_algorithm algorithm;
    } kinds[] = {{"EC", "P-256", NODE_KEY_ES256}, {"RSA", NULL, NODE_KEY_RS256}, {"OKP", "Ed25519", NODE_KEY_EDDSA}};
    struct json v;
    size_t i = 0;
    *to = (struct node_jwk){0};
    TRY(json_read(out, text, &limits, &v, d));
    str type = json_str(json_get(&v, "kty")), curve = json_str(json_get(&v, "crv")), alg = json_str(json_get(&v, "alg"));
    while (i < ARRAY_COUNT(kinds) && !(str_eqc(type, kinds[i].type) && (!kinds[i].curve || str_eqc(curve, kinds[i].curve)))) i++;
    bool known = i < ARRAY_COUNT(kinds);
    if (known) to->algorithm = kinds[i].algorithm;
    if (!known || (alg.n && !str_eqc(alg, node_key_algorithm_text(to->algorithm))))
        return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE,
                        "a JWK that is taken over is of ES256 (kty EC, crv P-256), RS256 (RSA) or EdDSA (OKP, Ed25519)");
    to->kid = json_str(json_get(&v, "kid"));
    if (to->algorithm == NODE_KEY_RS256) TRY(read_rsa(out, &v, to, d));
    else read_curve(out, &v, to);
    bool wants = json_get(&v, "d");
    if (wants ? to->secret.n : to->public.n) return ERR_OK;
    return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "the JWK's numbers are missing, or are not what such a key has");
}

/* ---- opaque keys ---- */

enum { CHANCE = 22, SUM = 8 };
static const str publishable = STR_INIT("sb_publishable_"), secret_key = STR_INIT("sb_secret_");

bool node_opaque_is(str key) { return str_starts(key, STR("sb_")); }
bool node_opaque_is_secret(str key) { return str_starts(key, secret_key); }
void node_opaque_hash(str key, uint8_t hash[CRYPTO_SHA256_BYTES]) { crypto_sha256(key, hash); }

static void sum_of(str begin, struct buf *to) {
    uint8_t hash[CRYPTO_SHA256_BYTES];
    struct buf b = {0};
    buf_puts(&b, STR("orlo|"));
    buf_puts(&b, begin);
    crypto_sha256(buf_str(&b), hash);
    b.n = 0;
    node_base64url(&b, (str){hash, sizeof hash});
    buf_puts(to, str_sub(buf_str(&b), 0, SUM));
    buf_free(&b);
}

void node_opaque_make(bool secret, char to[static NODE_OPAQUE_BYTES_MAX]) {
    uint8_t chance[17];
    struct buf b = {0}, digits = {0};
    crypto_random(chance, sizeof chance);
    node_base64url(&digits, (str){chance, sizeof chance});
    buf_puts(&b, secret ? secret_key : publishable);
    buf_puts(&b, str_sub(buf_str(&digits), 0, CHANCE));
    str begin = str_sub(buf_str(&b), 0, b.n);
    struct buf sum = {0};
    sum_of(begin, &sum);
    buf_putc(&b, '_');
    buf_puts(&b, buf_str(&sum));
    ENSURE(b.n < NODE_OPAQUE_BYTES_MAX);
    memcpy(to, b.p, b.n);
    to[b.n] = 0;
    explicit_bzero(chance, sizeof chance), explicit_bzero(b.p, b.cap), explicit_bzero(digits.p, digits.cap);
    buf_free(&b), buf_free(&digits), buf_free(&sum);
}

bool node_opaque_whole(str key) {
    size_t n = (node_opaque_is_secret(key) ? secret_key.n : publishable.n) + CHANCE;
    if (!node_opaque_is_secret(key) && !str_starts(key, publishable)) return false;
    if (key.n != n + 1 + SUM || key.p[n] != '_') return false;
    struct buf sum = {0};
    sum_of(str_sub(key, 0, n), &sum);
    bool ok = str_eq(str_sub(key, n + 1, key.n), buf_str(&sum));
    buf_free(&sum);
    return ok;
}
