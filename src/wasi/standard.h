/* standard: a command's standard streams: descriptors that it shares with whoever started it.
 *
 * 1. Their flags are left as they are (a shell would find its terminal in non-blocking mode), so it is asked before each
 *    transfer whether it would wait.
 * 2. What is waited for is watched through a descriptor of our own, as often as there are streams of it.
 */
#ifndef ORLO_WASI_STANDARD_H
#define ORLO_WASI_STANDARD_H

#include "net/loop.h"

/* events: NET_READABLE or NET_WRITABLE. Files are always ready. */
bool wasi_std_ready(int fd, unsigned events);
/* At most n bytes, now. 0 with *got 0: the end. EAGAIN: nothing there now. */
[[nodiscard]] int wasi_std_read(int fd, void *p, size_t n, size_t *got);
/* How much one write may carry without waiting for a reader; 0: none now. */
size_t wasi_std_room(int fd);

struct wasi_std_watch;
/* fn(arg) whenever it is ready. NULL: it cannot be watched, mostly because it is always ready. */
struct wasi_std_watch *wasi_std_watch_new(struct net_loop *l, int fd, unsigned events, void (*fn)(void *arg), void *arg);
void wasi_std_watch_free(struct wasi_std_watch *w); /* NULL is fine; also from fn */

#endif
