/* cgi: a served program's view of its request and response (RFC 3875), whatever WASI it speaks. See cgi.c.
 *
 * What may park is called on a fiber of the run; the rest from anywhere. A struct cgi lives in run->mem.
 */
#ifndef ORLO_WASI_CGI_H
#define ORLO_WASI_CGI_H

#include "wasi/wasi_int.h"

struct cgi;
/* May wait for a short body of unknown length. The run may have ended in it: then the program is not to be run. */
struct cgi *cgi_begin(struct wasi_run *run);
/* What the app was given, and the meta-variables (§4.1). Bytes are the client's: not always UTF-8. */
const struct wasi_env *cgi_env(const struct cgi *c, uint32_t *count);

/* Standard input: the request's body. WAIT: nothing now. */
enum net_flow cgi_read(struct cgi *c, void *p, size_t n, size_t *got);
bool cgi_readable(struct cgi *c);                                       /* cgi_read would not say WAIT */
void cgi_listen_input(struct cgi *c, void (*fn)(void *arg), void *arg); /* fn(arg) when it became readable; fn NULL: no more */

/* Standard output: the response. Writes all of bytes, parks for the client as needed. INTERRUPTED: the run was killed;
 * *error: EPIPE, the response is over (run->outcome says why). */
enum abi_trap cgi_write(struct cgi *c, str bytes, int *error);
/* The same without parking: takes all of bytes, of which there may be cgi_room. 0 or EPIPE. */
int cgi_put(struct cgi *c, str bytes);
size_t cgi_room(struct cgi *c);       /* what is taken without parking */
bool cgi_broken(const struct cgi *c); /* nothing more will be taken */
void cgi_listen_output(struct cgi *c, void (*fn)(void *arg), void *arg);

/* The program returned or exited with `status`: the response must be whole by now. May park. */
void cgi_end(struct cgi *c, int status);

#endif
