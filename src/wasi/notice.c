/* notice: see notice.h. */
#include "wasi/notice.h"
#include <unistd.h>

enum { RUN_MAX = 8, WORKER_MAX = 64 };
static const uint64_t minute_ns = 60'000'000'000;

bool wasi_notice_due(struct wasi_run *run, str what) {
    static struct { uint64_t hash, until_ns; } lately[WORKER_MAX];
    static uint32_t next;
    uint64_t hash = str_hash(what), now = clock_mono_ns();
    if (now - run->notices_since_ns > minute_ns) { /* of a service's instance, which outlives its requests */
        run->notices_since_ns = now;
        run->notices = 0;
    }
    if (run->notices >= RUN_MAX || lately[next].until_ns > now) return false;
    for (size_t i = 0; i < ARRAY_COUNT(lately); i++)
        if (lately[i].hash == hash && lately[i].until_ns > now) return false;
    lately[next].hash = hash;
    lately[next].until_ns = now + minute_ns;
    next = (next + 1) % ARRAY_COUNT(lately);
    run->notices++;
    return true;
}

static void say_folder(struct wasi_run *run) {
    if (run->app->told_folders) return;
    run->app->told_folders = true;
    log_event(LOG_INFO, "no-folder-granted", LF_STR("request", wasi_run_request_id(run)),
              LF_CSTR("reason", "the guest looked for a folder and was granted none"), LF_CSTR("grant", "--dir ./data::/data"));
}

void wasi_notice_folder(struct wasi_run *run, bool means_it) {
    if (run->app->config.grants->dirs.n) return;
    run->sought_folder = true;
    if (means_it) say_folder(run);
}

void wasi_notice_folder_if_failed(struct wasi_run *run) {
    bool somebody_sees = run->config.exchange || (run->config.err.fd >= 0 && isatty(run->config.err.fd));
    if (!run->sought_folder || !somebody_sees) return;
    const struct wasi_outcome *o = &run->outcome;
    uint16_t status = run->config.exchange ? net_exchange_stats(run->config.exchange).status : 0;
    bool failed =
        o->end == WASI_END_TRAP || o->end == WASI_END_EXIT || o->end == WASI_END_NO_RESPONSE || o->end == WASI_END_BAD_RESPONSE;
    if (failed || o->exit_status || status >= 500) say_folder(run);
}
