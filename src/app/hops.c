/* hops: see hops.h. */
#include "app/hops.h"
#include "crypto/crypto.h"

enum { ID_BYTES = 4, SEAL_BYTES = 12, WINDOW_S = 64, HOPS_MAX = 1000 };

static uint8_t key[APP_HOPS_KEY_BYTES];
static bool has_key;
static char id[5 + 2 * ID_BYTES + 1]; /* "orlo-", which node */

static void hex(char *to, const uint8_t *from, size_t n) {
    for (size_t i = 0; i < n; i++) to[2 * i] = "0123456789abcdef"[from[i] >> 4], to[2 * i + 1] = "0123456789abcdef"[from[i] & 15];
    to[2 * n] = 0;
}

/* Of what a number means in a minute: without the key nobody can say it. */
static void digest(uint64_t hops, uint64_t window, uint8_t out[CRYPTO_SHA256_BYTES]) {
    uint8_t text[APP_HOPS_KEY_BYTES + 16];
    memcpy(text, key, sizeof key);
    memcpy(text + sizeof key, &hops, 8);
    memcpy(text + sizeof key + 8, &window, 8);
    crypto_sha256((str){text, sizeof text}, out);
}

void app_hops_key(const uint8_t of[APP_HOPS_KEY_BYTES]) {
    uint8_t d[CRYPTO_SHA256_BYTES];
    memcpy(key, of, sizeof key);
    has_key = true;
    digest(UINT64_MAX, UINT64_MAX, d);
    memcpy(id, "orlo-", 5);
    hex(id + 5, d, ID_BYTES);
}

static void need_key(void) {
    uint8_t own[APP_HOPS_KEY_BYTES];
    if (has_key) return;
    crypto_random(own, sizeof own);
    app_hops_key(own);
}

static uint64_t window_now(void) { return clock_mono_ns() / 1'000'000'000 / WINDOW_S; }

static void seal_of(uint64_t hops, uint64_t window, char out[2 * SEAL_BYTES + 1]) {
    uint8_t d[CRYPTO_SHA256_BYTES];
    digest(hops, window, d);
    hex(out, d, SEAL_BYTES);
}

/* ID;hops=N;seal=…: ours, and nobody else's. */
static bool own_entry(str entry) {
    str name, rest;
    str_cut(entry, ';', &name, &rest);
    return str_eqc(str_trim(name), id);
}

static uint32_t hops_of(str entry) {
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
        seal_of(n, window_now() - ago, seal);
        if (crypto_equal(value.p, seal, value.n)) return (uint32_t)n;
    }
    return 0;
}

uint32_t app_hops_count(str loop) {
    uint32_t most = 0;
    str entry;
    if (!loop.n) return 0;
    need_key();
    while (loop.n) {
        str_cut(loop, ',', &entry, &loop);
        entry = str_trim(entry);
        if (own_entry(entry)) most = MAX(most, hops_of(entry));
    }
    return most;
}

str app_hops_made(arena *out, uint32_t hops) {
    char seal[2 * SEAL_BYTES + 1];
    need_key();
    seal_of(hops, window_now(), seal);
    return arena_fmt(out, "%s;hops=%u;seal=%s", id, hops, seal);
}

str app_hops_next(arena *out, str loop) {
    str own = app_hops_made(out, app_hops_count(loop) + 1);
    struct buf b = {0};
    str entry;
    while (loop.n) {
        str_cut(loop, ',', &entry, &loop);
        entry = str_trim(entry);
        if (entry.n && !own_entry(entry)) buf_printf(&b, STR_FMT ", ", STR_ARG(entry));
    }
    buf_puts(&b, own);
    str value = arena_str(out, buf_str(&b));
    buf_free(&b);
    return value;
}

bool app_hops_field(str name) { return str_eq_nocase(name, STR("cdn-loop")); }
