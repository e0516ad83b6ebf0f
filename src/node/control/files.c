/* files: what control keeps beside its database is files named by what is in them, whole or not there. */
#include "node/control/control_int.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void node_digest_name(const uint8_t digest[APP_DIGEST_BYTES], char name[static NODE_DIGEST_NAME_BYTES]) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < APP_DIGEST_BYTES; i++) name[2 * i] = digits[digest[i] >> 4], name[2 * i + 1] = digits[digest[i] & 15];
    name[2 * APP_DIGEST_BYTES] = 0;
}

static int digit_of(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

bool node_digest_of_name(str name, uint8_t digest[APP_DIGEST_BYTES]) {
    if (name.n != 2 * APP_DIGEST_BYTES) return false;
    for (size_t i = 0; i < APP_DIGEST_BYTES; i++) {
        int high = digit_of((char)name.p[2 * i]), low = digit_of((char)name.p[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        digest[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* ---- writing ---- */

static bool put_all(int fd, str bytes) {
    for (size_t at = 0; at < bytes.n;) {
        ssize_t n = write(fd, bytes.p + at, bytes.n - at);
        if (n < 0 && errno != EINTR) return false;
        at += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* As it lies in memory: the kernel copies it once. */
static bool copy_all(int to, int from) {
    struct stat st;
    if (fstat(from, &st)) return false;
    if (!st.st_size) return true;
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, from, 0);
    bool ok = p != MAP_FAILED && put_all(to, (str){p, (size_t)st.st_size});
    int why = errno;
    if (p != MAP_FAILED) munmap(p, (size_t)st.st_size);
    errno = why;
    return ok;
}

static err cannot(struct diag *d, const char *name) {
    bool full = errno == ENOSPC || errno == EDQUOT;
    return diag_set(d, full ? ERR_LIMIT : ERR_IO, DIAG_NOWHERE, "the state folder's %s cannot be written: %s", name,
                    full ? "the disk is full" : strerror(errno));
}

static err write_part(int folder, const char *part, const char *name, int from, str bytes, bool syncs, struct diag *d) {
    unlinkat(folder, part, 0);
    int fd = openat(folder, part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && (from >= 0 ? copy_all(fd, from) : put_all(fd, bytes)) && (!syncs || fsync(fd) == 0);
    err e = ok ? ERR_OK : cannot(d, name);
    if (fd >= 0) close(fd);
    if (!ok && fd >= 0) unlinkat(folder, part, 0);
    return e;
}

static err write_file(int folder, const char *name, int from, str bytes, bool syncs, struct diag *d) {
    static _Atomic unsigned last; /* two threads may write the same */
    char part[256];
    snprintf(part, sizeof part, "%.200s.%u.part", name, last++);
    TRY(write_part(folder, part, name, from, bytes, syncs, d));
    if (renameat(folder, part, folder, name) == 0 && (!syncs || fsync(folder) == 0)) return ERR_OK;
    err e = cannot(d, name);
    unlinkat(folder, part, 0);
    return e;
}

err node_control_write_file(int folder, const char *name, int from, str bytes, struct diag *d) {
    return write_file(folder, name, from, bytes, true, d);
}

err node_control_copy_file(int folder, const char *name, int from, struct diag *d) {
    return write_file(folder, name, from, (str){0}, false, d);
}

err node_control_sync_file(int folder, const char *name, struct diag *d) {
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    err e = fd >= 0 && fsync(fd) == 0 ? ERR_OK : cannot(d, name);
    if (fd >= 0) close(fd);
    return e;
}

err node_control_sync_folder(int folder, const char *name, struct diag *d) {
    return fsync(folder) == 0 ? ERR_OK : cannot(d, name);
}

/* ---- reading ---- */

bool node_control_read_file(arena *out, int folder, const char *name, size_t bytes_max, str *bytes) {
    struct stat st;
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    bool ok = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= (off_t)bytes_max;
    if (ok) {
        uint8_t *p = arena_alloc(out, (size_t)st.st_size + 1, 1);
        ssize_t n = pread(fd, p, (size_t)st.st_size, 0);
        *bytes = (str){p, n > 0 ? (size_t)n : 0};
        ok = n == st.st_size;
    }
    if (fd >= 0) close(fd);
    return ok;
}

/* Where somebody else has read to does not matter: the descriptor came from the supervisor, whose earlier control read it to its end. */
DIR *node_control_read_folder(int folder) {
    int fd = fcntl(folder, F_DUPFD_CLOEXEC, 3);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir) rewinddir(dir);
    else if (fd >= 0) close(fd);
    errno = dir ? 0 : errno;
    return dir;
}
