/* walk: a path beneath a folder, resolved one component at a time, for a process that may not use openat2: there a filter could not see
 * whether an open truncates, and Landlock before version 3 does not stop it either.
 *
 * 1. Each component is opened by a descriptor of the folder that it is in, and never as a link: links are read, and what they say is
 *    walked like the rest. So whatever changes meanwhile, nothing is followed that was not looked at.
 * 2. `..` leads to the folder that was come from, whose descriptor is there still; from the first one it leads nowhere (EXDEV), as does
 *    a link that begins with a slash.
 */
#include "wasi/fs/fs_int.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 128, LINKS_MAX = 40 };

struct walk {
    int fds[DEPTH_MAX]; /* of the folders on the way; the first is the granted one's, and borrowed */
    int depth, links;
    char rest[2 * PATH_MAX]; /* what is still to be walked */
};

static int top(const struct walk *w) { return w->fds[w->depth]; }

static void leave(struct walk *w) {
    if (w->depth) close(w->fds[w->depth--]);
}

/* Takes the next component off; *last: there is nothing behind it, not even a slash. */
static bool next_name(struct walk *w, char name[static NAME_MAX + 2], bool *last) {
    size_t from = strspn(w->rest, "/"), n = strcspn(w->rest + from, "/");
    if (!n) return false;
    size_t kept = n > NAME_MAX ? NAME_MAX + 1 : n; /* too long: the kernel says so */
    memcpy(name, w->rest + from, kept);
    name[kept] = 0;
    *last = !w->rest[from + n];
    memmove(w->rest, w->rest + from + n, strlen(w->rest + from + n) + 1);
    return true;
}

/* What a link says takes its place. 0, or EINVAL: it is no link. */
static int expand(struct walk *w, const char *name) {
    char target[PATH_MAX + 1];
    ssize_t n = readlinkat(top(w), name, target, PATH_MAX);
    if (n < 0) return errno;
    size_t rest = strlen(w->rest);
    if (++w->links > LINKS_MAX) return ELOOP;
    if (target[0] == '/') return EXDEV;
    if ((size_t)n + rest >= PATH_MAX) return ENAMETOOLONG;
    memmove(w->rest + n, w->rest, rest + 1);
    memcpy(w->rest, target, (size_t)n);
    return 0;
}

static int enter(struct walk *w, const char *name) {
    if (w->depth + 1 == DEPTH_MAX) return ENAMETOOLONG;
    int fd = openat(top(w), name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0) {
        w->fds[++w->depth] = fd;
        return 0;
    }
    int why = errno;
    if (why != ENOTDIR && why != ELOOP) return why;
    int e = expand(w, name);
    return e == EINVAL ? ENOTDIR : e;
}

/* The last component. ERANGE: it was a link, which is walked on. */
static int open_last(struct walk *w, const char *name, uint64_t flags, int *fd) {
    bool follow = !(flags & O_NOFOLLOW) && !(flags & O_CREAT && flags & O_EXCL);
    if (follow) {
        int e = expand(w, name);
        if (!e) return ERANGE;
        if (e != EINVAL && e != ENOENT) return e;
    }
    int got = openat(top(w), name, (int)flags | O_NOFOLLOW | O_CLOEXEC, flags & O_CREAT ? 0666 : 0);
    struct stat st;
    if (got < 0) return follow && errno == ELOOP ? EAGAIN : errno; /* it has become one meanwhile */
    if (follow && flags & O_PATH && fstat(got, &st) == 0 && S_ISLNK(st.st_mode)) {
        close(got);
        return EAGAIN;
    }
    *fd = got;
    return 0;
}

/* Of a path that ends in a folder: ".", "..", a slash. */
static int open_here(struct walk *w, uint64_t flags, int *fd) {
    if (flags & O_CREAT) return flags & O_EXCL ? EEXIST : EISDIR;
    *fd = openat(top(w), ".", (int)flags | O_DIRECTORY | O_CLOEXEC);
    return *fd < 0 ? errno : 0;
}

static int walk(struct walk *w, uint64_t flags, int *fd) {
    char name[NAME_MAX + 2];
    for (bool last; next_name(w, name, &last);) {
        int e = 0;
        if (!strcmp(name, ".")) continue;
        if (!strcmp(name, "..") && !w->depth) return EXDEV;
        if (!strcmp(name, "..")) leave(w);
        else if (!last) e = enter(w, name);
        else if ((e = open_last(w, name, flags, fd)) != ERANGE) return e;
        if (e && e != ERANGE) return e;
    }
    return open_here(w, flags, fd);
}

int wasi_fs_walk(int dir, const char *path, uint64_t flags, int *fd) {
    struct walk w = {.fds = {dir}};
    size_t n = strlen(path);
    if (n >= PATH_MAX) return ENAMETOOLONG;
    if (!n) return ENOENT;
    if (path[0] == '/') return EXDEV;
    memcpy(w.rest, path, n + 1);
    int e = walk(&w, flags, fd);
    while (w.depth) leave(&w);
    return e;
}
