/* state: see state.h. */
#include "node/state.h"
#include "node/role.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { WAITING_CLIENTS = 64, LOCK_TRIES = 50 };

str node_state_folder(arena *out, const char *dir) {
    const char *home = getenv("HOME"), *xdg = getenv("XDG_STATE_HOME"), *own = getenv("ORLO_STATE");
    if (dir) return str_c(dir);
    if (own && *own) return str_c(own);
    if (xdg && *xdg == '/') return arena_fmt(out, "%s/orlo", xdg);
    return arena_fmt(out, "%s/.local/state/orlo", home && *home ? home : "/root");
}

bool node_state_make_folder(char *path) {
    for (char *p = path + 1; *p; p++) {
        if (*p != '/') continue;
        *p = 0;
        bool ok = mkdir(path, 0755) == 0 || errno == EEXIST;
        *p = '/';
        if (!ok) return false;
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

static err failed(struct diag *d, str folder, const char *what) {
    return diag_set(d, ERR_IO, DIAG_NOWHERE, "the state folder " STR_FMT " %s: %s; name another with --state", STR_ARG(folder),
                    what, strerror(errno));
}

static int open_below(int dir, const char *name) {
    if (mkdirat(dir, name, 0700) && errno != EEXIST) return -1;
    return openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool give_files(struct node_user user, int dir) {
    DIR *folder = fdopendir(fcntl(dir, F_DUPFD_CLOEXEC, 3));
    bool ok = folder;
    if (folder) rewinddir(folder);
    for (struct dirent *entry; ok && (entry = readdir(folder));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            ok = fchownat(dir, entry->d_name, user.uid, user.gid, AT_SYMLINK_NOFOLLOW) == 0;
    if (folder) closedir(folder);
    return ok;
}

/* What control and the store write is their own, and what root wrote there before it was; and again and again where root may have put a
 * database back. */
static bool give_to(enum node_role role, int dir, bool again) {
    struct node_user user = node_role_user(role);
    struct stat st;
    if (dir < 0 || !user.uid || (!again && fstat(dir, &st) == 0 && st.st_uid == user.uid)) return true;
    return give_files(user, dir) && fchown(dir, user.uid, user.gid) == 0;
}

/* Bound by way of the folder's descriptor: a path as long as it may be does not fit into an address. */
static const char control_name[] = "control.sock", upgrade_name[] = "upgrade.sock";

static bool address_in(int dir, const char *name, struct sockaddr_un *a) {
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    return snprintf(a->sun_path, sizeof a->sun_path, "/proc/self/fd/%d/%s", dir, name) < (int)sizeof a->sun_path;
}

/* Whoever is there already has no node behind it: this one has the lock. */
static int listen_in(int dir, const char *name, int type) {
    struct sockaddr_un a;
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    unlinkat(dir, name, 0);
    mode_t mask = umask(0177);
    bool ok = fd >= 0 && address_in(dir, name, &a) && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
              listen(fd, WAITING_CLIENTS) == 0;
    umask(mask);
    if (ok) return fd;
    if (fd >= 0) close(fd);
    return -1;
}

/* Who else may write there could put another key, record or socket in place. */
static bool is_others(int dir, bool top) {
    struct stat st;
    return fstat(dir, &st) || st.st_mode & (S_IWGRP | S_IWOTH) || (top && st.st_uid != geteuid());
}

static err refuse_others(struct diag *d, str folder) {
    return diag_set(d, ERR_DENIED, DIAG_NOWHERE,
                    "the state folder " STR_FMT
                    " or one in it may be written by others, and holds what says who may deploy and what is run; "
                    "chown it to who starts orlo, and chmod it to 700",
                    STR_ARG(folder));
}

static err take_lock(int dir, str folder, int *lock, struct diag *d) {
    *lock = openat(dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (*lock < 0) return failed(d, folder, "cannot be written to");
    for (int i = 0; i < LOCK_TRIES; i++) { /* one that was killed just now may not be gone altogether */
        if (flock(*lock, LOCK_EX | LOCK_NB) == 0) return ERR_OK;
        if (errno != EWOULDBLOCK) break;
        poll(NULL, 0, 10);
    }
    if (errno != EWOULDBLOCK) return failed(d, folder, "cannot be locked");
    return diag_set(d, ERR_BUSY, DIAG_NOWHERE,
                    "another node runs on the state folder " STR_FMT "; stop it first, or name another with --state",
                    STR_ARG(folder));
}

static err open_folders(int dir, str folder, struct node_state *out, struct diag *d) {
#define X(role, field, name)                                                                                                     \
    out->field = open_below(dir, name);                                                                                          \
    if (out->field < 0 || !give_to(NODE_ROLE_##role, out->field, !strcmp(name, "db")))                                           \
        return failed(d, folder, "cannot be written to");                                                                        \
    if (is_others(out->field, false)) return refuse_others(d, folder);
    NODE_STATE_FOLDERS(X)
#undef X
    return ERR_OK;
}

static bool listen_at(int dir, struct node_state *out) {
    if (out->socket < 0) out->socket = listen_in(dir, control_name, SOCK_STREAM);
    if (out->upgrade < 0) out->upgrade = listen_in(dir, upgrade_name, SOCK_SEQPACKET);
    return out->socket >= 0 && out->upgrade >= 0;
}

err node_state_open(str folder, struct node_state *out, struct diag *d) {
    node_state_none(out);
    return node_state_go_on(folder, out, d);
}

err node_state_go_on(str folder, struct node_state *out, struct diag *d) {
    arena *scratch = arena_new(0);
    char *path = arena_cstr(scratch, folder);
    int dir = node_state_make_folder(path) ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    err e = dir < 0                ? failed(d, folder, "cannot be made")
            : is_others(dir, true) ? refuse_others(d, folder)
            : out->lock >= 0       ? ERR_OK
                                   : take_lock(dir, folder, &out->lock, d);
    if (e == ERR_OK) e = open_folders(dir, folder, out, d);
    if (e == ERR_OK && !listen_at(dir, out)) e = failed(d, folder, "cannot be written to");
    if (e != ERR_OK) node_state_close(out);
    if (dir >= 0) close(dir);
    arena_free(scratch);
    return e;
}

void node_state_none(struct node_state *s) {
    memset(s, 0xff, sizeof *s);
    static_assert(~0 == -1, "of ints");
}

void node_state_close(struct node_state *s) {
    int *fds = node_state_fds(s);
    for (size_t i = 0; i < sizeof *s / sizeof *fds; i++)
        if (fds[i] >= 0) close(fds[i]);
    node_state_none(s);
}

err node_state_hold(int folder, int *own, struct diag *d) {
    enum { TRIES = 3000, EACH_MS = 100, SOON = 200, SOON_MS = 5 };
    *own = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* a description of its own, which no other process has */
    for (int i = 0; *own >= 0 && i < TRIES; i++) {
        if (flock(*own, LOCK_EX | LOCK_NB) == 0) return ERR_OK;
        if (errno != EWOULDBLOCK && errno != EINTR) break;
        poll(NULL, 0, i < SOON ? SOON_MS : EACH_MS);
    }
    err e = *own >= 0 && errno == EWOULDBLOCK
                ? diag_set(d, ERR_BUSY, DIAG_NOWHERE, "the process that wrote there before does not end")
                : diag_set(d, ERR_IO, DIAG_NOWHERE, "its folder cannot be locked: %s", strerror(errno));
    if (*own >= 0) close(*own);
    *own = -1;
    return e;
}

static err connect_to(str folder, const char *name, int type, int *fd, struct diag *d) {
    struct sockaddr_un a;
    arena *scratch = arena_new(0);
    int dir = open(arena_cstr(scratch, folder), O_PATH | O_DIRECTORY | O_CLOEXEC);
    arena_free(scratch);
    *fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    bool ok = dir >= 0 && *fd >= 0 && address_in(dir, name, &a) && connect(*fd, (struct sockaddr *)&a, sizeof a) == 0;
    int why = errno;
    struct ucred peer;
    socklen_t n = sizeof peer;
    if (ok && (getsockopt(*fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) || (peer.uid && peer.uid != geteuid())))
        ok = false, why = EPERM; /* what is deployed is not for whoever waits there */
    if (dir >= 0) close(dir);
    if (ok) return ERR_OK;
    if (*fd >= 0) close(*fd);
    *fd = -1;
    if (why == EACCES || why == EPERM)
        return diag_set(d, ERR_DENIED, DIAG_NOWHERE,
                        "the node on the state folder " STR_FMT
                        " is another user's: ask as that user, or name another with --state",
                        STR_ARG(folder));
    return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE,
                    "no node runs on the state folder " STR_FMT "; start one with orlo node, or name its folder with --state",
                    STR_ARG(folder));
}

err node_state_connect(str folder, int *fd, struct diag *d) { return connect_to(folder, control_name, SOCK_STREAM, fd, d); }

err node_state_connect_upgrade(str folder, int *fd, struct diag *d) {
    return connect_to(folder, upgrade_name, SOCK_SEQPACKET, fd, d);
}
