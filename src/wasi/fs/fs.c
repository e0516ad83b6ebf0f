/* fs: files beneath a granted directory; see fs/fs.h. */
#include "wasi/fs/fs.h"
#include "wasi/fs/fs_int.h"
#include "wasi/wasi.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/* A path as the kernel wants it. EINVAL: a NUL inside. */
struct path {
    char text[PATH_MAX];
};

static int to_path(str s, struct path *out) {
    if (s.n == 0) return ENOENT;
    if (s.n >= sizeof out->text) return ENAMETOOLONG;
    if (memchr(s.p, 0, s.n)) return EINVAL;
    if (!str_is_utf8(s)) return EILSEQ;
    if (s.p[0] == '/') return EPERM;
    memcpy(out->text, s.p, s.n);
    out->text[s.n] = 0;
    return 0;
}

/* It is of a file system in which the kernel shows itself, or nobody can tell. */
static bool wasi_fs_of_kernel(int fd) {
    static const uint32_t types[] = {
#define X(type, name) type,
#include "wasi/fs/kernel.def"
#undef X
    };
    struct statfs s;
    if (fstatfs(fd, &s) != 0) return true;
    for (size_t i = 0; i < ARRAY_COUNT(types); i++)
        if ((uint32_t)s.f_type == types[i]) return true;
    return false;
}

bool wasi_may_grant(int folder_fd) { return !wasi_fs_of_kernel(folder_fd); }

bool wasi_fs_walks;

static long open_one(int dir, const char *path, struct open_how *how) {
    if (!wasi_fs_walks) {
        long r = syscall(SYS_openat2, dir, path, how, sizeof *how);
        if (r >= 0 || errno != ENOSYS) return r;
        wasi_fs_walks = true; /* it is not to be had here */
    }
    int fd = -1, e = wasi_fs_walk(dir, path, how->flags, &fd);
    if (!e) return fd;
    errno = e;
    return -1;
}

/* openat2 beneath dir. EAGAIN means that a rename raced with `..`: the kernel could not tell, so ask again. */
static int open_beneath(int dir, const char *path, uint64_t flags, int *fd) {
    struct open_how how = {.flags = flags | O_CLOEXEC | (flags & O_PATH ? 0 : O_NOCTTY), /* openat2 refuses both at once */
                           .mode = flags & O_CREAT ? 0666 : 0,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    for (int tries = 0; tries < 100; tries++) {
        long r = open_one(dir, path, &how);
        if (r >= 0 && wasi_fs_of_kernel((int)r)) {
            close((int)r);
            return EPERM;
        }
        if (r >= 0) {
            *fd = (int)r;
            return 0;
        }
        if (errno != EAGAIN && errno != EINTR) break;
    }
    return errno == EXDEV ? EPERM : errno;
}

/* The directory that holds the last component of path, and that component with its trailing slashes, for the calls that
 * take no resolve flags. None of them follows a link there. When it is `..`, or a link with a slash behind it, the whole path must lead
 * nowhere outside. */
static int open_parent(int dir, struct path *p, int *parent, const char **name) {
    size_t n = strlen(p->text), end = n;
    while (end > 1 && p->text[end - 1] == '/') end--;
    size_t slash = end;
    while (slash > 0 && p->text[slash - 1] != '/') slash--;
    bool up = end - slash == 2 && memcmp(p->text + slash, "..", 2) == 0;
    if (up || end < n) {
        int whole = -1;
        int e = open_beneath(dir, p->text, O_PATH, &whole);
        if (e && (up || e == EPERM)) return e;
        if (!e) close(whole);
    }
    *name = p->text + slash;
    if (slash == 0) return open_beneath(dir, ".", O_PATH | O_DIRECTORY, parent);
    char kept = p->text[slash - 1];
    p->text[slash - 1] = 0;
    int e = open_beneath(dir, slash == 1 ? "." : p->text, O_PATH | O_DIRECTORY, parent);
    p->text[slash - 1] = kept;
    return e;
}

static int result_of(int r) { return r < 0 ? errno : 0; }

/* Resolves path's parent and runs `call` (an expression in `parent` and `name`) on it. */
#define WITH_PARENT(dir, path, call)                                                                                             \
    ({                                                                                                                           \
        struct path path_;                                                                                                       \
        int parent = -1;                                                                                                         \
        const char *name = NULL;                                                                                                 \
        int e_ = to_path((path), &path_);                                                                                        \
        if (!e_) e_ = open_parent((dir), &path_, &parent, &name);                                                                \
        if (!e_) e_ = result_of(call);                                                                                           \
        if (parent >= 0) close(parent);                                                                                          \
        e_;                                                                                                                      \
    })

static uint64_t open_flags(const struct wasi_fs_open *h) {
    uint64_t f = h->write ? (h->read ? O_RDWR : O_WRONLY) : O_RDONLY;
    if (h->create) f |= O_CREAT;
    if (h->directory) f |= O_DIRECTORY;
    if (h->exclusive) f |= O_EXCL;
    if (h->truncate) f |= O_TRUNC;
    if (!h->follow) f |= O_NOFOLLOW;
    if (h->append) f |= O_APPEND;
    if (h->dsync) f |= O_DSYNC;
    if (h->sync) f |= O_SYNC;
    return f | O_NONBLOCK; /* should it be no file, after all */
}

/* What guests may have open: files and folders. Devices, FIFOs and sockets lead to others: drivers, and programs that trust who may
 * open them. */
static int check_type(int fd) {
    struct stat st;
    if (fstat(fd, &st) != 0) return errno;
    return S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode) ? 0
                                                                             : EPERM; /* of a link the open itself says why not */
}

/* Opening is an act already (a FIFO's other end wakes, a tape rewinds), so what is there is looked at first, by a descriptor that only
 * names it. Should it not be there or be exchanged meanwhile, the open says so, and what it opened is looked at again. */
static int look_first(int dir, const char *path, uint64_t flags) {
    int fd = -1, e = open_beneath(dir, path, O_PATH | (flags & (O_NOFOLLOW | O_DIRECTORY)), &fd);
    if (e) return e == EPERM ? EPERM : 0;
    e = check_type(fd);
    close(fd);
    return e;
}

int wasi_fs_open(int dir, str path, const struct wasi_fs_open *how, int *fd) {
    struct path p;
    int e = to_path(path, &p);
    if (e) return e;
    if (how->create && how->directory) return EINVAL;
    e = look_first(dir, p.text, open_flags(how));
    if (!e) e = open_beneath(dir, p.text, open_flags(how), fd);
    if (e) return e;
    e = check_type(*fd);
    int flags = fcntl(*fd, F_GETFL);
    if (!e && flags >= 0) fcntl(*fd, F_SETFL, flags & ~O_NONBLOCK);
    if (e) close(*fd);
    return e;
}

/* A descriptor that only names what path leads to. */
static int open_name(int dir, str path, bool follow, int *fd) {
    struct path p;
    int e = to_path(path, &p);
    return e ? e : open_beneath(dir, p.text, O_PATH | (follow ? 0 : O_NOFOLLOW), fd);
}

int wasi_fs_stat(int dir, str path, bool follow, struct stat *out) {
    int fd = -1, e = open_name(dir, path, follow, &fd);
    if (e) return e;
    e = result_of(fstat(fd, out));
    close(fd);
    return e;
}

int wasi_fs_set_times(int dir, str path, bool follow, const struct timespec times[2]) {
    int fd = -1, e = open_name(dir, path, follow, &fd);
    if (e) return e;
    e = result_of(utimensat(fd, "", times, AT_EMPTY_PATH));
    close(fd);
    return e;
}

int wasi_fs_mkdir(int dir, str path) { return WITH_PARENT(dir, path, mkdirat(parent, name, 0777)); }
int wasi_fs_rmdir(int dir, str path) { return WITH_PARENT(dir, path, unlinkat(parent, name, AT_REMOVEDIR)); }
int wasi_fs_unlink(int dir, str path) { return WITH_PARENT(dir, path, unlinkat(parent, name, 0)); }

int wasi_fs_symlink(str target, int dir, str path) {
    struct path t;
    int e = to_path(target, &t);
    return e ? e : WITH_PARENT(dir, path, symlinkat(t.text, parent, name));
}

int wasi_fs_readlink(int dir, str path, uint8_t *p, size_t cap, size_t *n) {
    char target[PATH_MAX];
    struct stat st;
    int fd = -1, e = open_name(dir, path, false, &fd);
    if (e) return e;
    e = result_of(fstat(fd, &st));
    if (!e && !S_ISLNK(st.st_mode)) e = EINVAL;
    ssize_t got = e ? 0 : readlinkat(fd, "", target, sizeof target);
    if (got < 0) e = errno;
    close(fd);
    if (e) return e;
    *n = MIN((size_t)got, cap);
    if (*n) memcpy(p, target, *n);
    return 0;
}

/* Both names' parents, then one call on them. */
static int on_two(int dir, str path, int new_dir, str new_path, int (*call)(int, const char *, int, const char *)) {
    struct path a, b;
    int from = -1, to = -1;
    const char *name, *new_name;
    int e = to_path(path, &a);
    if (!e) e = to_path(new_path, &b);
    if (!e) e = open_parent(dir, &a, &from, &name);
    if (!e) e = open_parent(new_dir, &b, &to, &new_name);
    if (!e) e = result_of(call(from, name, to, new_name));
    if (from >= 0) close(from);
    if (to >= 0) close(to);
    return e;
}

static int link_unfollowed(int dir, const char *name, int new_dir, const char *new_name) {
    return linkat(dir, name, new_dir, new_name, 0);
}

int wasi_fs_rename(int dir, str path, int new_dir, str new_path) { return on_two(dir, path, new_dir, new_path, renameat); }

/* Of a directory the kernel makes no second link, but has other reasons to name as well. A slash at the end of a path names one; the
 * kernel would follow a link there, wherever that leads, so it is not asked. */
int wasi_fs_link(int dir, str path, int new_dir, str new_path) {
    struct stat st;
    int e = str_ends(path, STR("/")) ? wasi_fs_stat(dir, path, false, &st) : 0;
    if (e || str_ends(path, STR("/"))) return e ? e : EPERM;
    e = on_two(dir, path, new_dir, new_path, link_unfollowed);
    return e == EXDEV && wasi_fs_stat(dir, path, false, &st) == 0 && S_ISDIR(st.st_mode) ? EPERM : e;
}

/* ---- reading a directory ---- */

struct wasi_fs_dir {
    DIR *dir;
};

int wasi_fs_dir_open(int fd, struct wasi_fs_dir **out) {
    int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (own < 0) return errno;
    DIR *dir = fdopendir(own);
    if (!dir) {
        int e = errno;
        close(own);
        return e;
    }
    *out = calloc(1, sizeof **out);
    ENSURE(*out);
    (*out)->dir = dir;
    return 0;
}

void wasi_fs_dir_close(struct wasi_fs_dir *d) {
    if (!d) return;
    closedir(d->dir);
    free(d);
}

void wasi_fs_dir_seek(struct wasi_fs_dir *d, uint64_t cookie) {
    if (cookie) seekdir(d->dir, (long)cookie);
    else rewinddir(d->dir);
}

int wasi_fs_dir_next(struct wasi_fs_dir *d, struct wasi_fs_entry *out, bool *end) {
    errno = 0;
    struct dirent *e = readdir(d->dir);
    *end = !e && !errno;
    if (!e) return errno;
    uint8_t type = e->d_type;
    struct stat st;
    if (type == DT_UNKNOWN && fstatat(dirfd(d->dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        type = (uint8_t)IFTODT(st.st_mode);
    *out = (struct wasi_fs_entry){str_c(e->d_name), e->d_ino, (uint64_t)telldir(d->dir), type};
    return 0;
}
