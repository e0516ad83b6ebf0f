/* sys: what a guest of any WASI gets of its surroundings: environment, arguments, terminals, random bytes.
 *
 * Standard streams of a run:           stdin               stdout        stderr
 *   a command                          config.stdin_fd     config.out    config.err
 *   a command that serves a request    the request's body  the response  config.err     (cgi.h)
 *   a handler                          empty               config.out    config.err
 */
#ifndef ORLO_WASI_SYS_H
#define ORLO_WASI_SYS_H

#include "wasi/wasi_int.h"

struct cgi; /* wasi/cgi.h */

/* Of a component that is a command and serves a request as a CGI program; NULL: it does not. The first to ask makes it, since
 * instantiation may do so before the command runs; it may park. A module's is its own (p1.c). */
struct cgi *sys_cgi(struct wasi_run *run);

/* list<tuple<string, string>> and list<string>, as generated for any version; in call memory. NULL, 0 past its cap. */
struct sys_pair {
    str f0, f1;
};
struct sys_pairs {
    struct sys_pair *p;
    size_t n;
};
struct sys_strings {
    str *p;
    size_t n;
};
[[nodiscard]] enum abi_trap sys_environment(struct host_call *call, struct sys_pairs *out);
[[nodiscard]] enum abi_trap sys_arguments(struct host_call *call, struct sys_strings *out);

enum sys_stream { SYS_STDIN, SYS_STDOUT, SYS_STDERR };
bool sys_is_terminal(const struct wasi_run *run, enum sys_stream which);

/* Fills p; others have a turn while a large buffer is filled. An errno of this system. */
[[nodiscard]] int sys_random(struct wasi_run *run, uint8_t *p, size_t n);
/* For the functions of components: into p, or a new list<u8>. The seed is the run's: the same whenever it is asked for. */
[[nodiscard]] enum abi_trap sys_random_fill(struct host_call *call, void *p, size_t n);
[[nodiscard]] enum abi_trap sys_seed(struct host_call *call, uint64_t out[2]);
[[nodiscard]] enum abi_trap sys_random_bytes(struct host_call *call, uint64_t n, str *out);

enum { SYS_RANDOM_BYTES = 256 << 10 }; /* at once; 0.3 lets a host return fewer than were asked for */

#endif
