/* notice: a guest that looks for a folder, or into its environment, and was granted none. C's and Go's libraries do so before main, whatever a
 * program is about, so of a program it is only remembered, and said should it fail, of a command if a person is looking; a service that asks for
 * a folder means it. A command that ends with a status says nothing of its environment by that: of one that is run nothing is said. The log says
 * each once an image. */
#ifndef ORLO_WASI_NOTICE_H
#define ORLO_WASI_NOTICE_H

#include "wasi/wasi_int.h"

void wasi_notice_folder(struct wasi_instance *i); /* it asks what it was granted */
void wasi_notice_env(struct wasi_instance *i);    /* likewise */
void wasi_notice_if_failed(struct wasi_run *run);

#endif
