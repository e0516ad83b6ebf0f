/* sys: see sys.h. */
#include "wasi/sys.h"
#include "wasi/http/cgi.h"
#include "wasi/notice.h"
#include <errno.h>
#include <sys/random.h>
#include <unistd.h>

struct wasi_cgi *wasi_sys_cgi(struct wasi_instance *i) {
    struct wasi_run *run = i->run;
    if (!run || !i->image->ops->cgi) return NULL;
    if (!run->state && run->request->exchange) run->state = wasi_cgi_begin(run);
    return run->state;
}

/* A string of a component is UTF-8, so what is not becomes U+FFFD. {NULL, 0}: no memory. */
static str utf8_of(struct host_call *call, str s) {
    if (str_is_utf8(s)) return s;
    uint8_t *p = host_alloc(call, s.n * 3, 1);
    if (!p) return (str){};
    size_t n = 0;
    for (size_t i = 0; i < s.n;) {
        size_t len = 1; /* of the character at i, or 0 */
        while (len <= 4 && i + len <= s.n && !str_is_utf8(str_sub(s, i, len))) len++;
        bool good = len <= 4 && i + len <= s.n;
        memcpy(p + n, good ? s.p + i : (const uint8_t *)"\xef\xbf\xbd", good ? len : 3);
        n += good ? len : 3;
        i += good ? len : 1;
    }
    return (str){p, n};
}

enum abi_trap wasi_sys_environment(struct host_call *call, struct wasi_sys_pairs *out) {
    struct wasi_instance *i = wasi_caller(call);
    uint32_t n = (uint32_t)i->base.app->grants->env.n;
    wasi_notice_env(i);
    struct wasi_cgi *cgi = wasi_sys_cgi(i);
    const struct app_env *env = cgi ? wasi_cgi_env(cgi, &n) : i->base.app->grants->env.p;
    out->p = host_alloc(call, (n + 1) * sizeof *out->p, _Alignof(str));
    if (!out->p) return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "no memory for the environment");
    for (out->n = 0; out->n < n; out->n++)
        out->p[out->n] = (struct wasi_sys_pair){utf8_of(call, env[out->n].key), utf8_of(call, env[out->n].value)};
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_sys_arguments(struct host_call *call, struct wasi_sys_strings *out) {
    const struct wasi_config *config = &wasi_caller(call)->image->config;
    out->p = host_alloc(call, (config->args_count + 1) * sizeof(str), _Alignof(str));
    if (!out->p) return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "no memory for the arguments");
    for (out->n = 0; out->n < config->args_count; out->n++) out->p[out->n] = utf8_of(call, config->args[out->n]);
    return ABI_TRAP_NONE;
}

static bool is_terminal(struct wasi_instance *i, enum wasi_sys_stream which) {
    if (!i->run || i->run->request->exchange) return false;
    const struct app_out *out = which == SYS_STDOUT ? &i->run->request->out : &i->run->request->err;
    int fd = which == SYS_STDIN ? i->run->config.stdin_fd : out->write ? -1 : out->fd;
    return fd >= 0 && isatty(fd);
}

enum abi_trap wasi_sys_terminal(struct host_call *call, enum wasi_sys_stream which, bool *some, void **value) {
    if (!is_terminal(wasi_caller(call), which)) return ABI_TRAP_NONE;
    APP_OBJECT_NEW(call, terminal, app_object, NULL);
    *some = true;
    *value = terminal;
    return ABI_TRAP_NONE;
}

/* ---- random: always the kernel's; what is called insecure costs the same ---- */

enum { PIECE_BYTES = 64 << 10, BYTE_NS = 3 };

int wasi_sys_random(struct wasi_instance *i, uint8_t *p, size_t n) {
    for (size_t done = 0; done < n;) {
        ssize_t got = getrandom(p + done, MIN(n - done, (size_t)PIECE_BYTES), 0);
        if (got < 0 && errno != EINTR) return errno;
        if (got > 0) done += (size_t)got;
        if (!engine_work(i->base.app->engine, PIECE_BYTES * BYTE_NS)) return ECANCELED;
    }
    return 0;
}

enum abi_trap wasi_sys_random_fill(struct host_call *call, void *p, size_t n) {
    int e = wasi_sys_random(wasi_caller(call), p, n);
    if (e == ECANCELED) return ABI_TRAP_INTERRUPTED;
    return e ? host_trap(call, ABI_TRAP_HOST, "no random bytes: %s", strerrordesc_np(e)) : ABI_TRAP_NONE;
}

enum abi_trap wasi_sys_seed(struct host_call *call, uint64_t out[2]) {
    struct wasi_instance *i = wasi_caller(call);
    enum abi_trap t = i->seeded ? ABI_TRAP_NONE : wasi_sys_random_fill(call, i->seed, sizeof i->seed);
    i->seeded = !t;
    memcpy(out, i->seed, sizeof i->seed);
    return t;
}

enum abi_trap wasi_sys_random_bytes(struct host_call *call, uint64_t n, str *out) {
    if (!n) return ABI_TRAP_NONE;
    uint8_t *p = host_alloc(call, n, 1);
    if (!p)
        return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "%llu random bytes are more than a call may return",
                         (unsigned long long)n);
    *out = (str){p, n};
    return wasi_sys_random_fill(call, p, n);
}
