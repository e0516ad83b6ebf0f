/* Fuzzing tokens and keys. Bytes are, in turn:
 *   a token as it came: none is a good one under keys that nobody has; what stands before the signature is read all the same
 *   a head, and claims, behind signatures that are right, of either algorithm: what a token says is read; one signed with one key never holds for another
 *   a set of keys: what was read is written as the same bytes, and told as JSON
 *   an opaque key: it is whole or not, and nobody's
 *   a JWK: of what is taken the halves are of such a size */
#include "base/fuzz.h"
#include "base/json.h"
#include "node/secrets.h"
#include "node/worker/jwt.h"

static const uint8_t secret[32] = {1, 2, 3};
static struct crypto_pair *signs;
static struct node_jwt_key keys[2]; /* of either kind of algorithm */
enum { NOW = 1700000000 };

static void open_keys(void) {
    uint8_t public[CRYPTO_PAIR_PUBLIC_MAX];
    size_t n;
    if (keys[0].secret.n) return;
    ENSURE(crypto_pair_public(CRYPTO_ES256, (str){secret, sizeof secret}, public, &n));
    ENSURE((signs = crypto_pair_signer(CRYPTO_ES256, (str){secret, sizeof secret})));
    keys[0] = (struct node_jwt_key){NODE_KEY_HS256, STR("hs"), .secret = STR("k")};
    keys[1] = (struct node_jwt_key){NODE_KEY_ES256, STR("es"), .public = crypto_pair_verifier(CRYPTO_ES256, (str){public, n})};
}

static str token_of(arena *mem, str head, str claims, enum node_key_algorithm a) {
    uint8_t sig[CRYPTO_PAIR_SIGNATURE_MAX];
    size_t n = CRYPTO_SHA256_BYTES;
    struct buf token = {0};
    node_base64url(&token, head);
    buf_putc(&token, '.');
    node_base64url(&token, claims);
    if (a == NODE_KEY_HS256) crypto_hmac_sha256(keys[0].secret, buf_str(&token), sig);
    else n = crypto_pair_sign(signs, buf_str(&token), sig);
    buf_putc(&token, '.');
    node_base64url(&token, (str){sig, n});
    str text = arena_str(mem, buf_str(&token));
    buf_free(&token);
    return text;
}

static enum node_jwt_end verify(arena *mem, str token, const struct node_jwt_key *key) {
    struct node_jwt jwt;
    enum node_jwt_end end = node_jwt_verify(mem, token, key, 1, NOW, &jwt);
    ENSURE(end < NODE_JWT_ENDS && (end == NODE_JWT_GOOD || !jwt.role.n));
    ENSURE(end != NODE_JWT_GOOD || (jwt.until_s >= NOW && str_is_utf8(jwt.claims)));
    return end;
}

static void with_claims(arena *mem, str claims, enum node_key_algorithm a) {
    static const char *const heads[] = {"{\"alg\":\"HS256\"}", "{\"alg\":\"ES256\"}"};
    str token = token_of(mem, str_c(heads[a]), claims, a);
    enum node_jwt_end end = verify(mem, token, &keys[a]);
    ENSURE(end != NODE_JWT_KEY && (end != NODE_JWT_SIGNATURE) != canary);
    ENSURE(verify(mem, token, &keys[1 - a]) != NODE_JWT_GOOD);
}

/* By the other key's hand it never holds, whatever the head says. */
static void with_head(arena *mem, str head) {
    for (enum node_key_algorithm a = NODE_KEY_HS256; a <= NODE_KEY_ES256; a++)
        ENSURE(verify(mem, token_of(mem, head, STR("{}"), a), &keys[1 - a]) != NODE_JWT_GOOD);
}

static void as_set(arena *mem, str bytes) {
    struct node_keyset_key k;
    struct buf again = {0}, jwks = {0};
    struct json v;
    const struct json_limits limits = {1 << 20, 8, 1 << 16};
    struct rd from = rd_of(bytes);
    while (node_keyset_next(&from, &k)) node_keyset_put(&again, &k);
    ENSURE(from.fail || str_eq(buf_str(&again), bytes));
    node_keyset_jwks(&jwks, buf_str(&again));
    ENSURE(json_read(mem, buf_str(&jwks), &limits, &v, NULL) != ERR_MALFORMED);
    buf_free(&again), buf_free(&jwks);
}

static void as_opaque(str bytes) {
    char made[NODE_OPAQUE_BYTES_MAX];
    if (node_opaque_whole(bytes)) ENSURE(node_opaque_is(bytes) && bytes.n < NODE_OPAQUE_BYTES_MAX);
    if (!bytes.n) return;
    node_opaque_make(bytes.p[0] & 1, made);
    ENSURE(node_opaque_whole(str_c(made)));
    size_t at = bytes.p[0] / 2 % (strlen(made) - 12); /* of what the sum is about, or its own */
    made[at + 12] = made[at + 12] == '-' ? 'A' : '-';
    ENSURE(!node_opaque_whole(str_c(made)));
}

static void as_jwk(arena *mem, str bytes) {
    struct node_jwk k;
    struct diag d = DIAG_INIT;
    if (node_jwk_read(mem, bytes, &k, &d) != ERR_OK) return;
    ENSURE((k.secret.n || k.public.n) && k.secret.n <= CRYPTO_PAIR_SECRET_MAX && k.public.n <= CRYPTO_PAIR_PUBLIC_MAX);
    if (k.public.n) crypto_pair_free(crypto_pair_verifier(node_key_pair(k.algorithm), k.public));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena *mem = arena_new(0);
    str bytes = {data, size};
    open_keys();
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) ENSURE(verify(mem, bytes, &keys[i]) != NODE_JWT_GOOD);
    with_claims(mem, bytes, NODE_KEY_HS256);
    if (size % 4 == 0) with_claims(mem, bytes, NODE_KEY_ES256); /* a hundred times as dear */
    if (size % 4 == 1) with_head(mem, bytes);
    as_set(mem, bytes);
    as_opaque(bytes);
    as_jwk(mem, bytes);
    arena_free(mem);
    return 0;
}
