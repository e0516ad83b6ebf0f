/* hops: see hops.h. */
#include "app/hops.h"
#include "crypto/crypto.h"

enum { ID_BYTES = 4, SEAL_BYTES = 12, WINDOW_S = 64, HOPS_MAX = 1000 };
static_assert((int)HOPS_MAX < (int)APP_HOPS_NODE);

static uint8_t key[APP_HOPS_KEY_BYTES];
static bool has_key;
enum { ID_TEXT = 5 + 2 * ID_BYTES }; /* "orlo-", whose */

static void hex(char *to, const uint8_t *from, size_t n) {
    for (size_t i = 0; i < n; i++) to[2 * i] = "0123456789abcdef"[from[i] >> 4], to[2 * i + 1] = "0123456789abcdef"[from[i] & 15];
    to[2 * n] = 0;
}

/* Of what a number means in a minute, of an app: without the key nobody can say it. */
static void digest(uint64_t app, uint64_t hops, uint64_t window, uint8_t out[CRYPTO_SHA256_BYTES]) {
    uint8_t text[APP_HOPS_KEY_BYTES + 24];
    const uint64_t of[] = {hops, window, app};
    memcpy(text, key, sizeof key);
    memcpy(text + sizeof key, of, sizeof of);
    crypto_sha256((str){text, sizeof text}, out);
}

void app_hops_key(const uint8_t of[APP_HOPS_KEY_BYTES]) {
    memcpy(key, of, sizeof key);
    has_key = true;
}

static void id_of(uint64_t app, char out[ID_TEXT + 1]) {
    uint8_t d[CRYPTO_SHA256_BYTES];
    digest(app, UINT64_MAX, UINT64_MAX, d);
    memcpy(out, "orlo-", 5);
    hex(out + 5, d, ID_BYTES);
}

static void need_key(void) {
    uint8_t own[APP_HOPS_KEY_BYTES];
    if (has_key) return;
    crypto_random(own, sizeof own);
    app_hops_key(own);
}

static uint64_t window_now(void) { return clock_mono_ns() / 1'000'000'000 / WINDOW_S; }

static void seal_of(uint64_t app, uint64_t hops, uint64_t window, char out[2 * SEAL_BYTES + 1]) {
    uint8_t d[CRYPTO_SHA256_BYTES];
    digest(app, hops, window, d);
    hex(out, d, SEAL_BYTES);
}

/* ID;hops=N;seal=…: this one's, and nobody else's. */
static bool is_of(str entry, const char *id) {
    str name, rest;
    str_cut(entry, ';', &name, &rest);
    return str_eqc(str_trim(name), id);
}

static uint32_t hops_of(str entry, uint64_t app) {
    str part, rest, value;
    uint64_t n;
    char seal[2 * SEAL_BYTES + 1];
    str_cut(entry, ';', &part, &rest);
    str_cut(rest, ';', &part, &rest);
    if (!str_starts(part, STR("hops=")) || !str_to_u64(str_sub(part, 5, part.n), &n) || n > HOPS_MAX) return 0;
    str_cut(rest, ';', &part, &rest);
    value = str_sub(part, MIN((size_t)5, part.n), part.n);
    if (!str_starts(part, STR("seal=")) || value.n != 2 * SEAL_BYTES) return 0;
    for (uint64_t ago = 0; ago < 2; ago++) {
        seal_of(app, n, window_now() - ago, seal);
        if (crypto_equal(value.p, seal, value.n)) return (uint32_t)n;
    }
    return 0;
}

uint32_t app_hops_count(str loop, uint32_t app) {
    uint32_t most = 0;
    char id[ID_TEXT + 1];
    str entry;
    if (!loop.n) return 0;
    need_key();
    id_of(app, id);
    while (loop.n) {
        str_cut(loop, ',', &entry, &loop);
        entry = str_trim(entry);
        if (is_of(entry, id)) most = MAX(most, hops_of(entry, app));
    }
    return most;
}

static void put(struct buf *to, uint32_t app, uint32_t hops) {
    char id[ID_TEXT + 1], seal[2 * SEAL_BYTES + 1];
    id_of(app, id);
    seal_of(app, hops, window_now(), seal);
    buf_printf(to, "%s;hops=%u;seal=%s", id, hops, seal);
}

/* The node's, then the app's: where there are no apps it is one and the same. */
static void put_both(struct buf *to, uint32_t app, uint32_t of_node, uint32_t of_app) {
    put(to, 0, of_node);
    if (app) buf_puts(to, STR(", ")), put(to, app, of_app);
}

str app_hops_made(arena *out, uint32_t of_change, uint32_t app) {
    struct buf b = {0};
    need_key();
    put_both(&b, app, of_change / APP_HOPS_NODE + 1, of_change % APP_HOPS_NODE + 1);
    str value = arena_str(out, buf_str(&b));
    buf_free(&b);
    return value;
}

str app_hops_next(arena *out, str loop, uint32_t app) {
    char ids[2][ID_TEXT + 1];
    uint32_t of_node = app_hops_count(loop, 0), of_app = app_hops_count(loop, app);
    struct buf b = {0};
    str entry;
    need_key();
    id_of(0, ids[0]), id_of(app, ids[1]);
    while (loop.n) {
        str_cut(loop, ',', &entry, &loop);
        entry = str_trim(entry);
        if (entry.n && !is_of(entry, ids[0]) && !is_of(entry, ids[1])) buf_printf(&b, STR_FMT ", ", STR_ARG(entry));
    }
    put_both(&b, app, of_node + 1, of_app + 1);
    str value = arena_str(out, buf_str(&b));
    buf_free(&b);
    return value;
}

bool app_hops_field(str name) { return str_eq_nocase(name, STR("cdn-loop")); }
