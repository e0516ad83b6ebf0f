/* p1: arguments, environment, clocks, random bytes, the process, sockets that are none. */
#include "wasi/p1/p1_int.h"
#include "wasi/notice.h"
#include "wasi/sys.h"
#include <errno.h>
#include <time.h>

static enum abi_trap done(uint64_t *a, uint32_t e) {
    a[0] = e;
    return ABI_TRAP_NONE;
}

/* ---- args and environ: an array of pointers, and the strings with a NUL behind each ---- */

static bool put_bytes(struct wasi_p1 *p, uint64_t *at, str s) {
    uint8_t *m = wasi_p1_mem(p, *at, s.n);
    if (!m) return false;
    if (s.n) memcpy(m, s.p, s.n);
    *at += s.n;
    return true;
}

enum abi_trap wasi_p1_args_sizes_get(struct engine_call *call, uint64_t *a) {
    struct wasi_p1 *p = wasi_p1_of(call);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < p->args_count; i++) bytes += p->args[i].n + 1;
    return done(a, wasi_p1_put_u32(p, a[0], p->args_count) && wasi_p1_put_u32(p, a[1], (uint32_t)bytes) ? 0 : P1_EFAULT);
}

enum abi_trap wasi_p1_args_get(struct engine_call *call, uint64_t *a) {
    struct wasi_p1 *p = wasi_p1_of(call);
    uint64_t at = a[1];
    for (uint32_t i = 0; i < p->args_count; i++)
        if (!wasi_p1_put_u32(p, a[0] + 4 * (uint64_t)i, (uint32_t)at) || !put_bytes(p, &at, p->args[i]) ||
            !put_bytes(p, &at, (str){(const uint8_t *)"", 1}))
            return done(a, P1_EFAULT);
    return done(a, 0);
}

enum abi_trap wasi_p1_environ_sizes_get(struct engine_call *call, uint64_t *a) {
    struct wasi_p1 *p = wasi_p1_of(call);
    wasi_notice_env(p->run->i);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < p->env_count; i++) bytes += p->env[i].key.n + p->env[i].value.n + 2;
    return done(a, wasi_p1_put_u32(p, a[0], p->env_count) && wasi_p1_put_u32(p, a[1], (uint32_t)bytes) ? 0 : P1_EFAULT);
}

enum abi_trap wasi_p1_environ_get(struct engine_call *call, uint64_t *a) {
    struct wasi_p1 *p = wasi_p1_of(call);
    uint64_t at = a[1];
    for (uint32_t i = 0; i < p->env_count; i++)
        if (!wasi_p1_put_u32(p, a[0] + 4 * (uint64_t)i, (uint32_t)at) || !put_bytes(p, &at, p->env[i].key) ||
            !put_bytes(p, &at, STR("=")) || !put_bytes(p, &at, p->env[i].value) ||
            !put_bytes(p, &at, (str){(const uint8_t *)"", 1}))
            return done(a, P1_EFAULT);
    return done(a, 0);
}

/* ---- clocks: realtime, monotonic; processor-time clocks would tell of other tenants ---- */

enum { CLOCK_P1_REALTIME, CLOCK_P1_MONOTONIC };

enum abi_trap wasi_p1_clock_res_get(struct engine_call *call, uint64_t *a) {
    if (a[0] > CLOCK_P1_MONOTONIC) return done(a, P1_EINVAL);
    return done(a, wasi_p1_put_u64(wasi_p1_of(call), a[1], 1) ? 0 : P1_EFAULT);
}

enum abi_trap wasi_p1_clock_time_get(struct engine_call *call, uint64_t *a) {
    if (a[0] > CLOCK_P1_MONOTONIC) return done(a, P1_EINVAL);
    uint64_t now = a[0] == CLOCK_P1_REALTIME ? clock_wall_ns() : clock_mono_ns();
    return done(a, wasi_p1_put_u64(wasi_p1_of(call), a[2], now) ? 0 : P1_EFAULT);
}

enum abi_trap wasi_p1_random_get(struct engine_call *call, uint64_t *a) {
    uint8_t *m = wasi_p1_mem(wasi_p1_of(call), a[0], a[1]);
    if (!m) return done(a, P1_EFAULT);
    int e = wasi_sys_random(wasi_p1_of(call)->run->i, m, a[1]);
    return e == ECANCELED ? ABI_TRAP_INTERRUPTED : done(a, wasi_p1_errno_of(e));
}

/* ---- process ---- */

enum abi_trap wasi_p1_proc_exit(struct engine_call *call, uint64_t *a) {
    return engine_exit(engine_call_instance(call), (int32_t)a[0]);
}

enum abi_trap wasi_p1_proc_raise(struct engine_call *call, uint64_t *a) { return done(a, P1_ENOTSUP); }

enum abi_trap wasi_p1_sched_yield(struct engine_call *call, uint64_t *a) {
    engine_yield(wasi_p1_of(call)->run->image->app->engine);
    return done(a, 0);
}

/* ---- sockets: preview 1 cannot open one, so every descriptor is none ---- */

static enum abi_trap not_a_socket(struct engine_call *call, uint64_t *a) {
    uint32_t e = 0;
    return done(a, wasi_p1_desc(wasi_p1_of(call), a[0], 0, &e) ? P1_ENOTSOCK : e);
}

enum abi_trap wasi_p1_sock_accept(struct engine_call *call, uint64_t *a) { return not_a_socket(call, a); }
enum abi_trap wasi_p1_sock_recv(struct engine_call *call, uint64_t *a) { return not_a_socket(call, a); }
enum abi_trap wasi_p1_sock_send(struct engine_call *call, uint64_t *a) { return not_a_socket(call, a); }
enum abi_trap wasi_p1_sock_shutdown(struct engine_call *call, uint64_t *a) { return not_a_socket(call, a); }
