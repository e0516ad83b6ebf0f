/* gate: see gate.h. */
#include "node/worker/gate.h"
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
    if (fd >= 0 && ftruncate(fd, sizeof(struct node_rates)) == 0 &&
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

/* The app's, or one that is full and becomes its; of none of those, the first is shared. */
static uint64_t *bucket_of(uint64_t app, uint64_t now) {
    uint64_t key = app + 1;
    for (uint64_t i = 0; i < LOOK_AT; i++)
        if (__atomic_load_n(&node_rates->of[(app + i) % NODE_RATES].app, __ATOMIC_RELAXED) == key)
            return &node_rates->of[(app + i) % NODE_RATES].full_ns;
    for (uint64_t i = 0; i < LOOK_AT; i++) {
        uint64_t at = (app + i) % NODE_RATES, whose = __atomic_load_n(&node_rates->of[at].app, __ATOMIC_RELAXED);
        if (__atomic_load_n(&node_rates->of[at].full_ns, __ATOMIC_RELAXED) > now) continue;
        if (__atomic_compare_exchange_n(&node_rates->of[at].app, &whose, key, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return &node_rates->of[at].full_ns;
    }
    return &node_rates->of[app % NODE_RATES].full_ns;
}

/* Relaxed: the word itself is all that is said. */
uint64_t node_rates_take(uint32_t app, uint64_t per_second, uint64_t burst, uint64_t now_ns) {
    uint64_t *bucket = bucket_of(app, now_ns), each = MAX(second_ns / per_second, (uint64_t)1);
    uint64_t room = burst > UINT64_MAX / 4 / each ? UINT64_MAX / 4 : burst * each;
    uint64_t full = __atomic_load_n(bucket, __ATOMIC_RELAXED);
    for (;;) {
        uint64_t from = MAX(full, now_ns);
        if (full > now_ns + room + second_ns * 3600) from = now_ns; /* nonsense: no bucket takes so long to fill */
        if (from + each > now_ns + room) return from + each - now_ns - room;
        if (__atomic_compare_exchange_n(bucket, &full, from + each, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) return 0;
    }
}
