/* causes: why workers died, and what follows from it: when the successor starts, and which app is to have a worker of its own.
 *
 * 1. A worker that had begun to serve is replaced at once: who can kill one cannot keep it down.
 * 2. One that dies before it served anybody has a fault that a restart does not mend: its successors wait, longer each time.
 * 3. An app is to blame if its guest ran, or if its requests alone were in progress; failing that, every app with a request in progress
 *    is suspected. Twice within a minute: from then on it is to have a worker of its own.
 */
#include "node/node_int.h"

static const uint64_t pause_first_ns = 50'000'000u, pause_most_ns = 10'000'000'000u, minute_ns = 60'000'000'000u;

static struct node_cause *cause_of(struct node_causes *c, uint32_t app) {
    struct node_cause *oldest = &c->of[0];
    for (size_t i = 0; i < ARRAY_COUNT(c->of); i++) {
        if (c->of[i].deaths && c->of[i].app == app) return &c->of[i];
        if (c->of[i].at_ns < oldest->at_ns) oldest = &c->of[i];
    }
    *oldest = (struct node_cause){.app = app};
    return oldest;
}

/* Whether this death makes it two within a minute. */
static bool blame(struct node_causes *c, uint32_t app, uint64_t now_ns) {
    struct node_cause *cause = cause_of(c, app);
    bool again = cause->deaths && now_ns - cause->at_ns < minute_ns;
    cause->deaths = again ? cause->deaths + 1 : 1;
    cause->at_ns = now_ns;
    return again;
}

struct node_fate node_causes_death(struct node_causes *c, const struct node_death *death, uint64_t pause_ns, uint64_t now_ns) {
    struct node_fate fate = {.isolate = NODE_NO_APP};
    if (!death->served) {
        fate.pause_ns = pause_ns ? MIN(pause_ns * 2, pause_most_ns) : pause_first_ns;
        return fate;
    }
    if (death->running != NODE_NO_APP) {
        if (blame(c, death->running, now_ns)) fate.isolate = death->running;
        return fate;
    }
    for (size_t i = 0; i < death->apps_count; i++)
        if (blame(c, death->apps[i], now_ns) && fate.isolate == NODE_NO_APP) fate.isolate = death->apps[i];
    return fate;
}
