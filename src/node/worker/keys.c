/* keys: see keys.h. */
#include "node/worker/keys.h"
#include "engine/engine.h"
#include "node/secrets.h"
#include "node/worker/apps.h"
#include <stdlib.h>

enum { SEEN = 256, SEEN_TOKEN_MAX = 4 << 10, SEEN_BYTES_MAX = 512 << 10 };
static const int64_t told_s = 60;

struct seen {
    size_t bytes; /* paid for */
    uint64_t hash;
    str token;
    struct node_jwt jwt;
    uint8_t own[];
};
struct opaque {
    struct node_keyset_key key;
    int64_t told; /* when control heard that it is used */
};
struct node_keys {
    struct node_app *app;
    VEC(struct node_jwt_key) verify;
    VEC(struct opaque) opaque;
    str jwks, url;
    str pass;
    str entry, sealed; /* of the key in use, if it is a pair: its name, and what keys sealed */
    struct seen *seen[SEEN];
    size_t seen_bytes;
};

/* ---- what came ---- */

static void drop_public(void *key) { crypto_pair_free(key); }

static void add_verifying(struct node_keys *keys, str secrets, const struct node_keyset_key *k) {
    arena *mem = keys->app->mem;
    struct node_jwt_key *to = vec_add(mem, &keys->verify);
    *to = (struct node_jwt_key){
        .algorithm = k->algorithm, .kid = arena_str(mem, k->kid), .any_kid = k->any_kid, .foreign = k->foreign};
    str secret;
    if (k->algorithm == NODE_KEY_HS256 && node_secret_find(secrets, k->entry, &secret)) to->secret = arena_str(mem, secret);
    if (!node_key_is_pair(k->algorithm)) return;
    to->public = crypto_pair_verifier(node_key_pair(k->algorithm), k->public);
    arena_cleanup(mem, drop_public, to->public);
}

struct node_keys *node_keys_new(struct node_app *app, str secrets) {
    struct node_keys *keys = arena_make(app->mem, struct node_keys);
    struct node_keyset_key k;
    struct buf jwks = {0};
    str set;
    *keys = (struct node_keys){.app = app};
    if (!node_secret_find(secrets, STR(NODE_KEYSET_ENTRY), &set)) set = (str){0};
    for (struct rd from = rd_of(set); node_keyset_next(&from, &k);)
        if (k.opaque) vec_push(app->mem, &keys->opaque, ((struct opaque){.key = k}));
        else {
            if (!keys->verify.n) keys->entry = arena_str(app->mem, k.entry);
            add_verifying(keys, secrets, &k);
        }
    if (node_secret_find(secrets, STR(NODE_SIGNER_ENTRY), &keys->sealed)) keys->sealed = arena_str(app->mem, keys->sealed);
    if (node_secret_find(secrets, STR(NODE_PASS_ENTRY), &keys->pass)) keys->pass = arena_str(app->mem, keys->pass);
    if (node_secret_find(secrets, STR("SUPABASE_URL"), &keys->url)) keys->url = arena_str(app->mem, keys->url);
    node_keyset_jwks(&jwks, set);
    keys->jwks = arena_str(app->mem, buf_str(&jwks));
    buf_free(&jwks);
    return keys;
}

str node_keys_pass(const struct node_keys *keys) { return keys && keys->pass.n == CRYPTO_SHA256_BYTES ? keys->pass : (str){0}; }
str node_keys_url(const struct node_keys *keys) { return keys ? keys->url : (str){0}; }

bool node_keys_signer(const struct node_keys *keys, arena *out, str claims, struct node_keys_signer *to) {
    const struct node_jwt_key *k = keys && keys->verify.n ? &keys->verify.p[0] : NULL; /* which is the one in use */
    struct buf b = {0};
    *to = (struct node_keys_signer){0};
    if (!k || (k->algorithm == NODE_KEY_HS256 ? !k->secret.n : !keys->sealed.n)) return false;
    node_token_begin(&b, str_c(node_key_algorithm_text(k->algorithm)), k->any_kid ? (str){0} : k->kid, claims);
    to->message = arena_str(out, buf_str(&b));
    buf_free(&b);
    if (k->algorithm == NODE_KEY_HS256) {
        uint8_t *mac = arena_alloc(out, CRYPTO_SHA256_BYTES, 1);
        crypto_hmac_sha256(k->secret, to->message, mac);
        to->signature = (str){mac, CRYPTO_SHA256_BYTES};
    } else {
        to->key = keys->entry, to->sealed = keys->sealed, to->algorithm = k->algorithm;
    }
    return true;
}

str node_keys_jwks(const struct node_keys *keys) { return keys->jwks; }

/* ---- opaque keys ---- */

/* All are compared: how long that takes tells nothing of which it is. */
static struct opaque *find(struct node_keys *keys, str key) {
    uint8_t hash[CRYPTO_SHA256_BYTES];
    struct opaque *found = NULL;
    node_opaque_hash(key, hash);
    for (uint32_t i = 0; i < keys->opaque.n; i++)
        if (crypto_equal(hash, keys->opaque.p[i].key.hash, sizeof hash)) found = &keys->opaque.p[i];
    return found;
}

enum node_opaque_end node_keys_opaque(struct node_keys *keys, str key, int64_t now, bool *secret) {
    struct opaque *o = keys && key.n <= NODE_JWT_BYTES_MAX ? find(keys, key) : NULL;
    if (!o) return node_opaque_whole(key) ? NODE_OPAQUE_UNKNOWN : NODE_OPAQUE_CUT;
    if (o->key.expires_s && (uint64_t)now >= o->key.expires_s) return NODE_OPAQUE_EXPIRED;
    *secret = o->key.secret;
    if (now - o->told >= told_s || now < o->told) {
        o->told = now;
        if (keys->app->guest->applog) node_applog_key_used(keys->app->guest->applog, keys->app->record.id, o->key.id);
    }
    return NODE_OPAQUE_GOOD;
}

/* ---- tokens ---- */

static void drop_seen(struct node_keys *keys, struct seen **at) {
    if (!*at) return;
    keys->seen_bytes -= (*at)->bytes;
    engine_unpay(keys->app->share, (*at)->bytes);
    free(*at);
    *at = NULL;
}

void node_keys_forget(struct node_keys *keys) {
    for (size_t i = 0; keys && i < SEEN; i++) drop_seen(keys, &keys->seen[i]);
}

static str copy(uint8_t **to, str s) {
    uint8_t *p = *to;
    if (s.n) memcpy(p, s.p, s.n);
    *to += s.n;
    return (str){p, s.n};
}

/* In the place of whichever was there; where there is no room for it, it is verified again the next time. */
static void remember(struct node_keys *keys, struct seen **at, str token, uint64_t hash, const struct node_jwt *jwt) {
    size_t bytes = sizeof(struct seen) + token.n + jwt->role.n + jwt->subject.n + jwt->claims.n;
    drop_seen(keys, at);
    if (token.n > SEEN_TOKEN_MAX || keys->seen_bytes + bytes > SEEN_BYTES_MAX || !engine_pay(keys->app->share, bytes)) return;
    struct seen *s = malloc(bytes);
    ENSURE(s);
    uint8_t *to = s->own;
    *s = (struct seen){.bytes = bytes, .hash = hash, .jwt = *jwt};
    s->token = copy(&to, token);
    s->jwt.role = copy(&to, jwt->role), s->jwt.subject = copy(&to, jwt->subject), s->jwt.claims = copy(&to, jwt->claims);
    keys->seen_bytes += bytes;
    *at = s;
}

enum node_jwt_end node_keys_verify(struct node_keys *keys, arena *out, str token, int64_t now, struct node_jwt *jwt) {
    if (!keys) return node_jwt_verify(out, token, NULL, 0, now, jwt);
    uint64_t hash = str_hash(token.n > 64 ? str_sub(token, token.n - 64, token.n) : token); /* of its signature */
    struct seen **at = &keys->seen[hash % SEEN];
    if (*at && (*at)->hash == hash && (*at)->token.n == token.n && crypto_equal((*at)->token.p, token.p, token.n)) {
        *jwt = (*at)->jwt;
        if (now <= jwt->until_s) return NODE_JWT_GOOD;
        drop_seen(keys, at);
    }
    enum node_jwt_end end = node_jwt_verify(out, token, keys->verify.p, keys->verify.n, now, jwt);
    if (end == NODE_JWT_GOOD) remember(keys, at, token, hash, jwt);
    return end;
}
