/* notice: a guest that looks for a folder and has none. C's and Go's libraries look for one before main, whatever a program is about, so of a
 * program it is only remembered, and said should it fail, of a command if a person is looking; a service that asks means it. The log
 * says it once an image. */
#ifndef ORLO_WASI_NOTICE_H
#define ORLO_WASI_NOTICE_H

#include "wasi/wasi_int.h"

void wasi_notice_folder(struct wasi_instance *i); /* it asks what it was granted */
void wasi_notice_folder_if_failed(struct wasi_run *run);

#endif
