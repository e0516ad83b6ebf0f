/* sys: what a guest of any WASI gets of its surroundings: environment, arguments, terminals, random bytes.
 *
 * Standard streams of a request:           stdin               stdout        stderr
 *   a command                          config.stdin_fd     its out       its err
 *   a command that serves a request    the request's body  the response  its err        (http/cgi.h)
 *   a handler                          empty               its out       its err
 */
#ifndef ORLO_WASI_SYS_H
#define ORLO_WASI_SYS_H

#include "wasi/wasi_int.h"

struct wasi_cgi; /* wasi/http/cgi.h */

/* Of a component that is a command and serves a request as a CGI program; NULL: it does not. The first to ask makes it, since
 * instantiation may do so before the command runs; it may park. A module's is its own (p1/p1.c). */
struct wasi_cgi *wasi_sys_cgi(struct wasi_instance *i);

/* list<tuple<string, string>> and list<string>, as generated for any version; in call memory. NULL, 0 past its cap. */
struct wasi_sys_pair {
    str f0, f1;
};
struct wasi_sys_pairs {
    struct wasi_sys_pair *p;
    size_t n;
};
struct wasi_sys_strings {
    str *p;
    size_t n;
};
[[nodiscard]] enum abi_trap wasi_sys_environment(struct host_call *call, struct wasi_sys_pairs *out);
[[nodiscard]] enum abi_trap wasi_sys_arguments(struct host_call *call, struct wasi_sys_strings *out);

enum wasi_sys_stream { SYS_STDIN, SYS_STDOUT, SYS_STDERR };
/* get-terminal-…: an object of the terminal, if the stream is one. Which of the two resources it is, is the caller's to know. */
[[nodiscard]] enum abi_trap wasi_sys_terminal(struct host_call *call, enum wasi_sys_stream which, bool *some, void **value);

/* Fills p; others have a turn while a large buffer is filled. An errno of this system. */
[[nodiscard]] int wasi_sys_random(struct wasi_instance *i, uint8_t *p, size_t n);
/* For the functions of components: into p, or a new list<u8>. The seed is the instance's: the same whenever it is asked for. */
[[nodiscard]] enum abi_trap wasi_sys_random_fill(struct host_call *call, void *p, size_t n);
[[nodiscard]] enum abi_trap wasi_sys_seed(struct host_call *call, uint64_t out[2]);
[[nodiscard]] enum abi_trap wasi_sys_random_bytes(struct host_call *call, uint64_t n, str *out);

enum { SYS_RANDOM_BYTES = 256 << 10 }; /* at once; 0.3 lets a host return fewer than were asked for */

#endif
