/* notice: see notice.h. */
#include "wasi/notice.h"

enum { NOTICES_MAX = 8 };
static const uint64_t again_ns = 60'000'000'000;

bool notice_due(struct wasi_run *run, str what) {
    static struct {
        uint64_t hash, until_ns;
    } lately[64];
    static uint32_t next;
    if (run->notices >= NOTICES_MAX) return false;
    uint64_t hash = str_hash(what), now = clock_mono_ns();
    for (size_t i = 0; i < ARRAY_COUNT(lately); i++)
        if (lately[i].hash == hash && lately[i].until_ns > now) return false;
    lately[next].hash = hash;
    lately[next].until_ns = now + again_ns;
    next = (next + 1) % ARRAY_COUNT(lately);
    run->notices++;
    return true;
}
