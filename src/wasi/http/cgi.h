/* cgi: a served program's view of its request and response (RFC 3875), whatever WASI it speaks. See http/cgi.c.
 *
 * What may park is called on a fiber of the run; the rest from anywhere. A struct wasi_cgi lives in run->i->base.mem.
 */
#ifndef ORLO_WASI_CGI_H
#define ORLO_WASI_CGI_H

#include "wasi/wasi_int.h"

struct wasi_cgi;
/* May wait for a short body of unknown length. The run may have ended in it: then the program is not to be run. */
struct wasi_cgi *wasi_cgi_begin(struct wasi_run *run);
/* What the app was given, and the meta-variables (§4.1). Bytes are the client's: not always UTF-8. */
const struct app_env *wasi_cgi_env(const struct wasi_cgi *c, uint32_t *count);

/* Standard input: the request's body. WAIT: nothing now. */
enum net_flow wasi_cgi_read(struct wasi_cgi *c, void *p, size_t n, size_t *got);
bool wasi_cgi_readable(struct wasi_cgi *c); /* wasi_cgi_read would not say WAIT */
void wasi_cgi_listen_input(struct wasi_cgi *c, void (*fn)(void *arg),
                           void *arg); /* fn(arg) when it became readable; fn NULL: no more */

/* Standard output: the response. Writes all of bytes, parks for the client as needed. INTERRUPTED: the run was killed;
 * *error: EPIPE, the response is over (run->outcome says why). */
enum abi_trap wasi_cgi_write(struct wasi_cgi *c, str bytes, int *error);
/* The same without parking: takes all of bytes, of which there may be wasi_cgi_room. 0 or EPIPE. */
int wasi_cgi_put(struct wasi_cgi *c, str bytes);
size_t wasi_cgi_room(struct wasi_cgi *c);       /* what is taken without parking */
bool wasi_cgi_broken(const struct wasi_cgi *c); /* nothing more will be taken */
void wasi_cgi_listen_output(struct wasi_cgi *c, void (*fn)(void *arg), void *arg);

/* The program returned or exited with `status`: the response must be whole by now. May park. */
void wasi_cgi_end(struct wasi_cgi *c, int status);

#endif
