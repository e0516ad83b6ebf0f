/* notice: warnings about what guests do, which could do it a million times: a run says at most NOTICES_MAX things, and a worker the
 * same thing once a minute. */
#ifndef ORLO_WASI_NOTICE_H
#define ORLO_WASI_NOTICE_H

#include "wasi/wasi_int.h"

/* Whether `what` (the thing, not its circumstances) may be logged for the run now; it then counts as logged. */
bool notice_due(struct wasi_run *run, str what);

#endif
