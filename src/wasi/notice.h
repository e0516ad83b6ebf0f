/* notice: warnings about what guests do, which could do it a million times: in a minute a run says at most RUN_MAX things, and a worker
 * WORKER_MAX, each once. */
#ifndef ORLO_WASI_NOTICE_H
#define ORLO_WASI_NOTICE_H

#include "wasi/wasi_int.h"

/* Whether `what` (the thing, not its circumstances) may be logged for the run now; it then counts as logged. */
bool wasi_notice_due(struct wasi_run *run, str what);

/* The guest looks for a folder, and none is granted to its app. C's and Go's libraries do so before main, whatever a program is about, so of a
 * program it is only remembered, and said should it fail (wasi_notice_folder_if_failed), of a command if a person is looking; a service that asks
 * means it. The log says it once an app. */
void wasi_notice_folder(struct wasi_run *run, bool means_it);
void wasi_notice_folder_if_failed(struct wasi_run *run);

#endif
