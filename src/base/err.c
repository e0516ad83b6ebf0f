/* err and diag: what failed, for code and for people. */
#include "base/base.h"
#include <stdlib.h>
#include <unistd.h>

const char *err_text(err e) {
    static const char *const text[] = {
#define X(name, t) t,
#include "base/err.def"
#undef X
    };
    return (unsigned)e < ERR_COUNT ? text[e] : "unknown error";
}

const char *err_name(err e) {
    static const char *const name[] = {
#define X(n, t) #n,
#include "base/err.def"
#undef X
    };
    return (unsigned)e < ERR_COUNT ? name[e] : "?";
}

err diag_set(struct diag *d, err e, uint64_t offset, const char *fmt, ...) {
    if (d && !d->text[0]) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(d->text, sizeof d->text, fmt, ap);
        va_end(ap);
        text_tame(d->text, strlen(d->text)); /* it may quote what others chose */
        d->offset = offset;
    }
    return e;
}

void diag_prefix(struct diag *d, const char *fmt, ...) {
    if (!d) return;
    char old[sizeof d->text];
    memcpy(old, d->text, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(d->text, sizeof d->text, fmt, ap);
    va_end(ap);
    text_tame(d->text, strlen(d->text));
    if (n >= 0 && (size_t)n < sizeof d->text)
        snprintf(d->text + n, sizeof d->text - (size_t)n, ": %.*s", (int)(sizeof d->text - 3 - (size_t)n), old);
}

void base_panic(const char *file, int line, const char *what) {
    char text[512];
    int n = snprintf(text, sizeof text, "orlo: bug at %s:%d: %s\n", file, line, what);
    if (n > 0 && write(STDERR_FILENO, text, MIN((size_t)n, sizeof text - 1)) < 0) { /* nowhere left to say it */
    }
    abort();
}

void base_no_memory(size_t bytes) {
    char text[80];
    int n = snprintf(text, sizeof text, "orlo: no memory for %zu bytes\n", bytes);
    if (write(STDERR_FILENO, text, (size_t)n) < 0) { /* nothing more can be done */
    }
    abort();
}
