/* p2: wasi:clocks and wasi:random. */
#include "wasi/p2_int.h"
#include <errno.h>
#include <sys/random.h>

/* ---- clocks ---- */

enum abi_trap wasi_clocks_monotonic_clock_now(struct host_call *call, uint64_t *result) {
    *result = clock_mono_ns();
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_clocks_monotonic_clock_resolution(struct host_call *call, uint64_t *result) {
    *result = 1;
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_clocks_wall_clock_now(struct host_call *call, struct wasi_clocks_wall_clock_datetime *result) {
    uint64_t now = clock_wall_ns();
    *result = (struct wasi_clocks_wall_clock_datetime){now / 1'000'000'000, (uint32_t)(now % 1'000'000'000)};
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_clocks_wall_clock_resolution(struct host_call *call, struct wasi_clocks_wall_clock_datetime *result) {
    *result = (struct wasi_clocks_wall_clock_datetime){0, 1};
    return ABI_TRAP_NONE;
}

/* ---- an instant to wait for ---- */

struct alarm {
    struct p2_object o;
    uint64_t due; /* on the monotonic clock */
    struct net_loop *loop;
    struct net_timer *timer; /* while somebody listens */
};

static void alarm_destroy(struct host_instance *in, void *self) { net_timer_free(((struct alarm *)self)->timer); }

static bool alarm_ready(void *object) { return ((struct alarm *)object)->due <= clock_mono_ns(); }

static void alarm_listen(void *object, struct engine_fiber *f) {
    struct alarm *a = object;
    net_timer_free(a->timer);
    a->timer = NULL;
    if (!f) return;
    uint64_t now = clock_mono_ns();
    a->timer = net_timer_new(a->loop, p2_wake, f);
    net_timer_start(a->timer, a->due > now ? (a->due - now) / 1'000'000 + 1 : 0, 0);
}

static const struct p2_event alarm_event = {alarm_ready, alarm_listen};

static enum abi_trap subscribe(struct host_call *call, uint64_t due, struct wasi_io_poll_pollable **result) {
    P2_NEW(call, a, alarm, alarm_destroy);
    a->due = due;
    a->loop = p2_run(call)->app->loop;
    enum abi_trap t = p2_pollable(call, &alarm_event, a, result);
    p2_unref(call->instance, a);
    return t;
}

enum abi_trap wasi_clocks_monotonic_clock_subscribe_instant(struct host_call *call, uint64_t when,
                                                            struct wasi_io_poll_pollable **result) {
    return subscribe(call, when, result);
}

enum abi_trap wasi_clocks_monotonic_clock_subscribe_duration(struct host_call *call, uint64_t when,
                                                             struct wasi_io_poll_pollable **result) {
    uint64_t now = clock_mono_ns();
    return subscribe(call, now + MIN(when, UINT64_MAX - now), result);
}

/* ---- random: always the kernel's; what is called insecure costs the same ---- */

enum { SLICE_BYTES = 1 << 20 };

static enum abi_trap fill(struct host_call *call, uint8_t *to, size_t n) {
    for (size_t done = 0; done < n;) {
        ssize_t got = getrandom(to + done, MIN(n - done, (size_t)SLICE_BYTES), 0);
        if (got < 0 && errno != EINTR) return host_trap(call, ABI_TRAP_HOST, "no random bytes: %s", strerrordesc_np(errno));
        if (got > 0) done += (size_t)got;
        if (done < n) engine_yield(p2_run(call)->app->engine); /* a large buffer is filled in slices */
    }
    return ABI_TRAP_NONE;
}

static enum abi_trap random_bytes(struct host_call *call, uint64_t len, str *result) {
    if (!len) return ABI_TRAP_NONE;
    uint8_t *p = host_alloc(call, len, 1);
    if (!p)
        return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "%llu random bytes are more than a call may return",
                         (unsigned long long)len);
    *result = (str){p, len};
    return fill(call, p, len);
}

enum abi_trap wasi_random_random_get_random_bytes(struct host_call *call, uint64_t len, str *result) {
    return random_bytes(call, len, result);
}
enum abi_trap wasi_random_random_get_random_u64(struct host_call *call, uint64_t *result) {
    return fill(call, (uint8_t *)result, sizeof *result);
}
enum abi_trap wasi_random_insecure_get_insecure_random_bytes(struct host_call *call, uint64_t len, str *result) {
    return random_bytes(call, len, result);
}
enum abi_trap wasi_random_insecure_get_insecure_random_u64(struct host_call *call, uint64_t *result) {
    return fill(call, (uint8_t *)result, sizeof *result);
}
enum abi_trap wasi_random_insecure_seed_insecure_seed(struct host_call *call, struct wasi_p2_tuple2_u64_u64 *result) {
    return fill(call, (uint8_t *)result, sizeof *result);
}
