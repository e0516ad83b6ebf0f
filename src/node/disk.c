/* disk: see disk.h. */
#include "node/disk.h"
#include <stdio.h>
#include <sys/statfs.h>

static uint64_t limit = 100;     /* percent */
static uint64_t looked_ns, used; /* when; percent. Both atomic: threads may look at the same time, and see the same */

void node_disk_limit(uint64_t percent) { limit = percent; }

/* As df(1) counts: of what others than root may use. */
static uint64_t percent_used(void) {
    struct statfs st;
    if (statfs(".", &st)) return 0; /* what is to be written says why it cannot be */
    uint64_t taken = st.f_blocks - st.f_bfree, all = taken + st.f_bavail;
    return all ? (taken * 100 + all - 1) / all : 0;
}

bool node_disk_full(char *text) {
    uint64_t now = clock_mono_ns();
    if (limit >= 100) return false;
    if (now - __atomic_load_n(&looked_ns, __ATOMIC_RELAXED) >= 1'000'000'000u) {
        __atomic_store_n(&used, percent_used(), __ATOMIC_RELAXED);
        __atomic_store_n(&looked_ns, now, __ATOMIC_RELAXED);
    }
    uint64_t percent = __atomic_load_n(&used, __ATOMIC_RELAXED);
    if (percent <= limit) return false;
    if (text)
        snprintf(text, NODE_DISK_TEXT,
                 "the disk of the state folder is %llu %% full: above %llu %% (disk_percent) nothing is written any more, and "
                 "what is there "
                 "is served; make room, or raise it",
                 (unsigned long long)percent, (unsigned long long)limit);
    return true;
}
