/* p2: wasi:clocks and wasi:random. */
#include "wasi/p2/p2_int.h"
#include "wasi/sys.h"

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
    struct app_object o;
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
    a->timer = net_timer_new(a->loop, wasi_p2_wake, f);
    net_timer_start(a->timer, a->due > now ? (a->due - now) / 1'000'000 + 1 : 0, 0);
}

static const struct wasi_p2_event alarm_event = {alarm_ready, alarm_listen};

static enum abi_trap subscribe(struct host_call *call, uint64_t due, struct wasi_io_poll_pollable **result) {
    APP_OBJECT_NEW(call, a, alarm, alarm_destroy);
    a->due = due;
    a->loop = wasi_caller(call)->base.app->loop;
    enum abi_trap t = wasi_p2_pollable(call, &alarm_event, a, result);
    app_object_unref(call->instance, a);
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

/* ---- random ---- */

enum abi_trap wasi_random_random_get_random_bytes(struct host_call *call, uint64_t len, str *result) {
    return wasi_sys_random_bytes(call, len, result);
}
enum abi_trap wasi_random_random_get_random_u64(struct host_call *call, uint64_t *result) {
    return wasi_sys_random_fill(call, result, sizeof *result);
}
enum abi_trap wasi_random_insecure_get_insecure_random_bytes(struct host_call *call, uint64_t len, str *result) {
    return wasi_sys_random_bytes(call, len, result);
}
enum abi_trap wasi_random_insecure_get_insecure_random_u64(struct host_call *call, uint64_t *result) {
    return wasi_sys_random_fill(call, result, sizeof *result);
}
enum abi_trap wasi_random_insecure_seed_insecure_seed(struct host_call *call, struct wasi_p2_tuple2_u64_u64 *result) {
    uint64_t seed[2];
    enum abi_trap t = wasi_sys_seed(call, seed);
    *result = (struct wasi_p2_tuple2_u64_u64){seed[0], seed[1]};
    return t;
}
