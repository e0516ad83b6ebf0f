/* p3: wasi:clocks and wasi:random. */
#include "wasi/p3/p3_int.h"
#include "wasi/sys.h"

/* ---- clocks ---- */

enum abi_trap wasi3_clocks_monotonic_clock_now(struct host_call *call, wasi3_clocks_monotonic_clock_mark *result) {
    *result = clock_mono_ns();
    return ABI_TRAP_NONE;
}
enum abi_trap wasi3_clocks_monotonic_clock_get_resolution(struct host_call *call, wasi3_clocks_types_duration *result) {
    *result = 1;
    return ABI_TRAP_NONE;
}
enum abi_trap wasi3_clocks_system_clock_now(struct host_call *call, struct wasi3_clocks_system_clock_instant *result) {
    uint64_t now = clock_wall_ns();
    *result = (struct wasi3_clocks_system_clock_instant){(int64_t)(now / 1'000'000'000), (uint32_t)(now % 1'000'000'000)};
    return ABI_TRAP_NONE;
}
enum abi_trap wasi3_clocks_system_clock_get_resolution(struct host_call *call, wasi3_clocks_types_duration *result) {
    *result = 1;
    return ABI_TRAP_NONE;
}

/* ---- waiting ---- */

struct nap {
    struct host_instance *in;
    struct host_pending *pending;
    struct net_timer *timer;
    uint64_t due; /* on the monotonic clock */
};

enum { NAP_BYTES = sizeof(struct nap) + 256 /* its timer */ };

static void nap_end(struct nap *n) {
    net_timer_free(n->timer);
    host_uncharge(n->in, NAP_BYTES);
    free(n);
}

/* The loop's timers count in milliseconds from the time of its turn, which is a little old. */
static void nap_start(struct nap *n) {
    uint64_t now = clock_mono_ns(), ms = n->due > now ? (n->due - now) / 1'000'000 + 1 : 0;
    net_timer_start(n->timer, MIN(ms, (uint64_t)INT64_MAX), 0);
}

static void nap_ring(void *arg) {
    struct nap *n = arg;
    if (n->due > clock_mono_ns()) {
        nap_start(n);
        return;
    }
    struct host_pending *pending = n->pending;
    nap_end(n);
    host_pending_done(pending);
}

static void nap_cancel(struct host_pending *pending, void *arg) {
    nap_end(arg);
    host_pending_cancelled(pending);
}
static void nap_gone(struct host_pending *pending, void *arg) { nap_end(arg); }
static const struct host_pending_ops nap_ops = {nap_cancel, nap_gone};

static enum abi_trap nap_until(struct host_call *call, uint64_t due) {
    if (due <= clock_mono_ns()) return ABI_TRAP_NONE;
    if (!host_charge(call->instance, NAP_BYTES)) return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "too many timers");
    struct nap *n = malloc(sizeof *n);
    ENSURE(n);
    *n = (struct nap){.in = call->instance, .due = due, .timer = net_timer_new(wasi_caller(call)->base.app->loop, nap_ring, n)};
    n->pending = host_pend(call, &nap_ops, n);
    if (!n->pending) {
        nap_end(n);
        return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "too many calls at once");
    }
    nap_start(n);
    return ABI_TRAP_NONE;
}

enum abi_trap wasi3_clocks_monotonic_clock_wait_until(struct host_call *call, wasi3_clocks_monotonic_clock_mark when) {
    return nap_until(call, when);
}
enum abi_trap wasi3_clocks_monotonic_clock_wait_for(struct host_call *call, wasi3_clocks_types_duration how_long) {
    uint64_t now = clock_mono_ns();
    return nap_until(call, how_long ? now + MIN(how_long, UINT64_MAX - now) : 0);
}

/* ---- random ---- */

enum abi_trap wasi3_random_random_get_random_bytes(struct host_call *call, uint64_t max_len, str *result) {
    return wasi_sys_random_bytes(call, MIN(max_len, (uint64_t)SYS_RANDOM_BYTES), result);
}
enum abi_trap wasi3_random_random_get_random_u64(struct host_call *call, uint64_t *result) {
    return wasi_sys_random_fill(call, result, sizeof *result);
}
enum abi_trap wasi3_random_insecure_get_insecure_random_bytes(struct host_call *call, uint64_t max_len, str *result) {
    return wasi_sys_random_bytes(call, MIN(max_len, (uint64_t)SYS_RANDOM_BYTES), result);
}
enum abi_trap wasi3_random_insecure_get_insecure_random_u64(struct host_call *call, uint64_t *result) {
    return wasi_sys_random_fill(call, result, sizeof *result);
}
enum abi_trap wasi3_random_insecure_seed_get_insecure_seed(struct host_call *call, struct wasi_p3_tuple2_u64_u64 *result) {
    uint64_t seed[2];
    enum abi_trap t = wasi_sys_seed(call, seed);
    *result = (struct wasi_p3_tuple2_u64_u64){seed[0], seed[1]};
    return t;
}
