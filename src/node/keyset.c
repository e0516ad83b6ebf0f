/* keyset: see keyset.h. */
#include "node/keyset.h"
#include "base/json.h"
#include "node/secrets.h"

static const char *const algorithms[NODE_KEY_ALGORITHMS] = {"HS256", "ES256"};
const char *node_key_algorithm_text(enum node_key_algorithm a) { return algorithms[a]; }

bool node_key_algorithm_named(str name, enum node_key_algorithm *a) {
    for (*a = 0; *a < NODE_KEY_ALGORITHMS; ++*a)
        if (str_eqc(name, algorithms[*a])) return true;
    return false;
}

/* ---- the set ---- */

enum { OPAQUE = 1, SECRET = 2, ANY_KID = 4, FLAGS = 7 };

static void put_str(struct buf *to, str s) {
    buf_putc(to, (uint8_t)s.n);
    buf_puts(to, s);
}

void node_keyset_put(struct buf *to, const struct node_keyset_key *key) {
    buf_putc(to, (uint8_t)((key->opaque ? OPAQUE : 0) | (key->secret ? SECRET : 0) | (key->any_kid ? ANY_KID : 0)));
    if (key->opaque) {
        buf_put(to, &key->id, 4);
        buf_put(to, &key->expires_s, 8);
        buf_put(to, key->hash, sizeof key->hash);
        return;
    }
    ENSURE(key->kid.n <= NODE_KID_BYTES_MAX && key->entry.n <= 128 && key->public.n <= 255);
    buf_putc(to, (uint8_t)key->algorithm);
    put_str(to, key->kid);
    put_str(to, key->entry);
    put_str(to, key->public);
}

static void read_signing(struct rd *from, struct node_keyset_key *key) {
    uint8_t algorithm = rd_u8(from);
    key->algorithm = (enum node_key_algorithm)algorithm;
    key->kid = rd_bytes(from, rd_u8(from));
    key->entry = rd_bytes(from, rd_u8(from));
    key->public = rd_bytes(from, rd_u8(from));
    bool es256 = algorithm == NODE_KEY_ES256;
    if (algorithm >= NODE_KEY_ALGORITHMS || key->public.n != (es256 ? CRYPTO_ES256_PUBLIC_BYTES : 0u))
        rd_fail(from, "no key of a set");
}

bool node_keyset_next(struct rd *from, struct node_keyset_key *key) {
    *key = (struct node_keyset_key){0};
    if (from->fail || !rd_left(from)) return false;
    uint8_t flags = rd_u8(from);
    *key = (struct node_keyset_key){.opaque = flags & OPAQUE, .secret = flags & SECRET, .any_kid = flags & ANY_KID};
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

static void put_coordinate(struct json_writer *w, const char *name, const uint8_t *p) {
    struct buf b = {0};
    node_base64url(&b, (str){p, 32});
    json_put_str(w, name, buf_str(&b));
    buf_free(&b);
}

void node_keyset_jwks(struct buf *to, str set) {
    struct json_writer w = json_writer_of(to);
    struct node_keyset_key k;
    json_put_object(&w, NULL);
    json_put_array(&w, "keys");
    for (struct rd from = rd_of(set); node_keyset_next(&from, &k);) {
        if (k.opaque || k.algorithm != NODE_KEY_ES256) continue;
        json_put_object(&w, NULL);
        json_put_cstr(&w, "kty", "EC");
        json_put_cstr(&w, "crv", "P-256");
        json_put_cstr(&w, "alg", node_key_algorithm_text(k.algorithm));
        json_put_cstr(&w, "use", "sig");
        json_put_array(&w, "key_ops");
        json_put_cstr(&w, NULL, "verify");
        json_put_end(&w);
        json_put_str(&w, "kid", k.kid);
        put_coordinate(&w, "x", k.public.p + 1);
        put_coordinate(&w, "y", k.public.p + 33);
        json_put_end(&w);
    }
    json_put_end(&w);
    json_put_end(&w);
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
