/* gate: see gate.h. */
#include "node/worker/gate.h"
#include "crypto/crypto.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LOOK_AT = 8 };
static const uint64_t second_ns = 1'000'000'000;

static struct node_rates own;
struct node_rates *node_rates = &own;

int node_rates_new(void) {
    int fd = memfd_create("orlo-rates", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    uint8_t salt[sizeof node_rates->salt];
    crypto_random(salt, sizeof salt);
    if (fd >= 0 && ftruncate(fd, sizeof(struct node_rates)) == 0 &&
        pwrite(fd, salt, sizeof salt, offsetof(struct node_rates, salt)) == (ssize_t)sizeof salt &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        return fd;
    if (fd >= 0) close(fd);
    return -1;
}

err node_rates_map(int fd, struct diag *d) {
    void *p = mmap(NULL, sizeof *node_rates, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) return diag_set(d, ERR_IO, DIAG_NOWHERE, "the page of rates cannot be mapped: %s", strerror(errno));
    node_rates = p;
    return ERR_OK;
}

struct bucket {
    uint64_t app, full_ns;
};
static_assert(sizeof(struct bucket) == sizeof node_rates->of[0], "as gate.h has it");

/* The key's, or one that is full and becomes its; of none of those, the first is shared, or (takes) the one that is full soonest becomes its: where
 * anybody makes keys up, what he leaves behind is not to be what others wait for. */
static uint64_t *bucket_of(struct bucket *of, uint64_t app, uint64_t now, bool takes) {
    uint64_t key = app + 1;
    for (uint64_t i = 0; i < LOOK_AT; i++)
        if (__atomic_load_n(&of[(app + i) % NODE_RATES].app, __ATOMIC_RELAXED) == key) return &of[(app + i) % NODE_RATES].full_ns;
    for (uint64_t i = 0; i < LOOK_AT; i++) {
        uint64_t at = (app + i) % NODE_RATES, whose = __atomic_load_n(&of[at].app, __ATOMIC_RELAXED);
        if (__atomic_load_n(&of[at].full_ns, __ATOMIC_RELAXED) > now) continue;
        if (__atomic_compare_exchange_n(&of[at].app, &whose, key, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return &of[at].full_ns;
    }
    uint64_t best = app % NODE_RATES;
    for (uint64_t i = 1; i < LOOK_AT && takes; i++) {
        uint64_t at = (app + i) % NODE_RATES;
        if (__atomic_load_n(&of[at].full_ns, __ATOMIC_RELAXED) < __atomic_load_n(&of[best].full_ns, __ATOMIC_RELAXED)) best = at;
    }
    if (takes) __atomic_store_n(&of[best].app, key, __ATOMIC_RELAXED), __atomic_store_n(&of[best].full_ns, 0, __ATOMIC_RELAXED);
    return &of[best].full_ns;
}

/* Relaxed: the word itself is all that is said. */
static uint64_t take_from(uint64_t *bucket, uint64_t each, uint64_t burst, uint64_t now_ns, bool take) {
    uint64_t room = burst > UINT64_MAX / 4 / each ? UINT64_MAX / 4 : burst * each;
    uint64_t full = __atomic_load_n(bucket, __ATOMIC_RELAXED);
    for (;;) {
        uint64_t from = MAX(full, now_ns);
        if (full > now_ns + room + second_ns * 3600 * 25) from = now_ns; /* nonsense: no bucket takes so long to fill */
        if (from + each > now_ns + room) return from + each - now_ns - room;
        if (!take || __atomic_compare_exchange_n(bucket, &full, from + each, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) return 0;
    }
}

uint64_t node_rates_take(uint32_t app, uint64_t per_second, uint64_t burst, uint64_t now_ns) {
    uint64_t *bucket = bucket_of((struct bucket *)node_rates->of, app, now_ns, false),
             each = MAX(second_ns / per_second, (uint64_t)1);
    return take_from(bucket, each, burst, now_ns, true);
}

static uint64_t hash_of(uint32_t app, str key) {
    uint8_t text[512], mac[CRYPTO_SHA256_BYTES];
    struct buf b = BUF_FIXED(text);
    uint64_t hash;
    buf_put(&b, &app, sizeof app);
    buf_puts(&b, str_sub(key, 0, sizeof text - sizeof app));
    crypto_hmac_sha256((str){node_rates->salt, sizeof node_rates->salt}, buf_str(&b), mac);
    memcpy(&hash, mac, sizeof hash);
    return hash;
}

/* ---- users whose tokens hold no more ---- */

bool node_rates_ended(uint32_t app, str user, uint64_t now_ns) {
    if (!user.n || __atomic_load_n(&node_rates->ended_ns, __ATOMIC_RELAXED) <= now_ns) return false;
    uint64_t hash = hash_of(app, user);
    for (uint64_t i = 0; i < LOOK_AT; i++) {
        uint64_t at = (hash + i) % NODE_ENDED;
        if (__atomic_load_n(&node_rates->ended[at].user, __ATOMIC_RELAXED) == hash)
            return __atomic_load_n(&node_rates->ended[at].until_ns, __ATOMIC_RELAXED) > now_ns;
    }
    return false;
}

/* Two at once for the same place: one of both is told of a moment later, by its token's end. */
void node_rates_end(uint32_t app, str user, uint64_t for_ns, uint64_t now_ns) {
    uint64_t hash = hash_of(app, user), at = hash % NODE_ENDED, until = for_ns ? now_ns + for_ns : 0;
    for (uint64_t i = 0, least = UINT64_MAX; i < LOOK_AT; i++) {
        uint64_t k = (hash + i) % NODE_ENDED, end = __atomic_load_n(&node_rates->ended[k].until_ns, __ATOMIC_RELAXED);
        bool his = __atomic_load_n(&node_rates->ended[k].user, __ATOMIC_RELAXED) == hash;
        if (his || end < least) at = k, least = end;
        if (his) break;
        if (i == LOOK_AT - 1 && !until) return; /* he is not there */
    }
    __atomic_store_n(&node_rates->ended[at].user, hash, __ATOMIC_RELAXED);
    __atomic_store_n(&node_rates->ended[at].until_ns, until, __ATOMIC_RELAXED);
    uint64_t last = __atomic_load_n(&node_rates->ended_ns, __ATOMIC_RELAXED);
    while (last < until &&
           !__atomic_compare_exchange_n(&node_rates->ended_ns, &last, until, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
}

uint64_t node_rates_take_key(uint32_t app, str key, uint64_t each_ns, uint64_t burst, uint64_t now_ns, bool take) {
    uint64_t hash = hash_of(app, key);
    return take_from(bucket_of((struct bucket *)node_rates->keyed, hash, now_ns, true), MAX(each_ns, (uint64_t)1), burst, now_ns,
                     take);
}

/* ---- rules ---- */

#define ROTATED(x, n) ((x) << (n) | (x) >> (64 - (n)))
static void sip_round(uint64_t v[4]) {
    v[0] += v[1], v[1] = ROTATED(v[1], 13) ^ v[0], v[0] = ROTATED(v[0], 32);
    v[2] += v[3], v[3] = ROTATED(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = ROTATED(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = ROTATED(v[1], 17) ^ v[2], v[2] = ROTATED(v[2], 32);
}
#undef ROTATED

uint64_t node_rates_siphash(const uint8_t key[16], str text) {
    uint64_t k[2], word;
    memcpy(k, key, sizeof k);
    uint64_t v[4] = {k[0] ^ 0x736f6d6570736575, k[1] ^ 0x646f72616e646f6d, k[0] ^ 0x6c7967656e657261, k[1] ^ 0x7465646279746573};
    for (size_t i = 0; i <= text.n / 8; i++) {
        size_t left = text.n - 8 * i, n = MIN(left, (size_t)8);
        word = 0;
        if (n) memcpy(&word, text.p + 8 * i, n);
        if (n < 8) word |= (uint64_t)(text.n & 255) << 56;
        v[3] ^= word;
        sip_round(v), sip_round(v);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++) sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* The place of who was here, or a free one, if its app may have one more. NULL: there is none. */
static uint64_t *place_of(uint64_t who, uint64_t now) {
    uint64_t base = (who >> 16) % (NODE_RULED / NODE_RULED_SET) * NODE_RULED_SET;
    for (uint32_t again = 0; again < NODE_RULED_SET; again++) {
        uint64_t free_at = UINT64_MAX, seen = 0;
        uint32_t own = 0;
        for (uint64_t i = base; i < base + NODE_RULED_SET; i++) {
            uint64_t there = __atomic_load_n(&node_rates->ruled[i].who, __ATOMIC_RELAXED);
            if (there == who) return &node_rates->ruled[i].full_ns;
            bool over = __atomic_load_n(&node_rates->ruled[i].full_ns, __ATOMIC_RELAXED) <= now;
            if (over && free_at == UINT64_MAX) free_at = i, seen = there;
            own += !over && (there & UINT16_MAX) == (who & UINT16_MAX);
        }
        if (free_at == UINT64_MAX || own >= NODE_RULED_APP) return NULL;
        if (__atomic_compare_exchange_n(&node_rates->ruled[free_at].who, &seen, who, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return &node_rates->ruled[free_at].full_ns;
    }
    return NULL;
}

static uint64_t *shared_of(uint32_t app, uint32_t rule) {
    uint32_t words[2] = {app, rule};
    uint64_t hash = node_rates_siphash(node_rates->salt, (str){(const uint8_t *)words, sizeof words});
    return &node_rates->ruled_shared[hash % NODE_RULED_SHARED].full_ns;
}

uint64_t node_rates_take_ruled(uint32_t app, uint32_t rule, str key, struct node_ruled *of, uint64_t now_ns, bool take) {
    uint8_t text[8 + 256];
    uint32_t words[2] = {app, rule};
    size_t n = MIN(key.n, sizeof text - sizeof words);
    memcpy(text, words, sizeof words);
    if (n) memcpy(text + sizeof words, key.p, n);
    uint64_t hash = node_rates_siphash(node_rates->salt, (str){text, n + sizeof words});
    uint64_t *bucket = place_of(((hash | (uint64_t)1 << 63) & ~(uint64_t)UINT16_MAX) | (app & UINT16_MAX), now_ns);
    uint64_t each = MAX(bucket ? of->each_ns : of->each_ns / NODE_RULED_WIDE, (uint64_t)1);
    uint64_t burst = bucket ? of->burst : of->burst * NODE_RULED_WIDE;
    if (!bucket) bucket = shared_of(app, rule);
    uint64_t wait = take_from(bucket, each, burst, now_ns, take);
    uint64_t full = MAX(__atomic_load_n(bucket, __ATOMIC_RELAXED), now_ns) - now_ns, room = each * burst;
    of->left = full < room ? (room - full) / each : 0;
    of->full_ns = MIN(full, room);
    return wait;
}
