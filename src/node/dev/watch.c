/* watch: see watch.h. */
#include "node/dev/watch.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- patterns ---- */

/* One segment: `*` and `?`. Linear in the text for each star, and there is one way back. */
static bool segment_fits(str p, str s) {
    size_t i = 0, k = 0, star = SIZE_MAX, from = 0;
    while (k < s.n) {
        if (i < p.n && p.p[i] == '*') star = i++, from = k;
        else if (i < p.n && (p.p[i] == '?' || p.p[i] == s.p[k])) i++, k++;
        else if (star != SIZE_MAX) i = star + 1, k = ++from;
        else return false;
    }
    while (i < p.n && p.p[i] == '*') i++;
    return i == p.n;
}

/* The same with segments for characters, `**` for a star. What is left of the path when the pattern ends lies below what it names. */
bool node_dev_glob(str pattern, str path) {
    str before_p = {0}, before_s = {0}, seg, name, rest_p, rest_s;
    bool star = false;
    while (pattern.n && pattern.p[pattern.n - 1] == '/') pattern.n--;
    if (!pattern.n) return false;
    for (;;) {
        if (!pattern.n) return true;
        str_cut(pattern, '/', &seg, &rest_p);
        if (str_eqc(seg, "**")) {
            star = true;
            before_p = pattern = rest_p, before_s = path;
            if (!pattern.n) return path.n > 0;
            continue;
        }
        str_cut(path, '/', &name, &rest_s);
        if (path.n && segment_fits(seg, name)) {
            pattern = rest_p, path = rest_s;
            continue;
        }
        if (!star || !before_s.n) return false;
        str_cut(before_s, '/', &name, &before_s);
        pattern = before_p, path = before_s;
    }
}

/* A folder that nobody writes sources into. */
static bool ignores(str name) {
    static const char *const tools[] = {"node_modules", "target", "__pycache__", "dist", "build"};
    if (name.n && name.p[0] == '.') return true; /* .git, .venv, .orlo, an editor's own */
    for (size_t i = 0; i < ARRAY_COUNT(tools); i++)
        if (str_eqc(name, tools[i])) return true;
    return false;
}

/* ---- folders ---- */

enum { DEPTH_MAX = 32 };

struct folder {
    int wd;
    char *path; /* below the root, with a slash at its end; "" is the root */
};
struct node_dev_watch {
    int fd, root;
    bool lost, partial;
    VEC(struct folder) folders;
    arena *mem;
    _Alignas(struct inotify_event) char events[16 * KiB];
    size_t at, n;
    char path[PATH_MAX];
};

static const uint32_t looked_for =
    IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR | IN_DONT_FOLLOW;

static struct folder *find(struct node_dev_watch *w, int wd) {
    for (uint32_t i = 0; i < w->folders.n; i++)
        if (w->folders.p[i].wd == wd) return &w->folders.p[i];
    return NULL;
}

static void add_below(struct node_dev_watch *w, int dir, const char *path);

static uint32_t depth_of(const char *path) {
    uint32_t n = 0;
    for (; *path; path++) n += *path == '/';
    return n;
}

static void add(struct node_dev_watch *w, const char *path) {
    char proc[64];
    w->partial |= depth_of(path) > DEPTH_MAX;
    if (depth_of(path) > DEPTH_MAX) return;
    int dir = openat(w->root, path[0] ? path : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0) return; /* gone again */
    snprintf(proc, sizeof proc, "/proc/self/fd/%d/.", dir);
    int wd = w->folders.n < NODE_DEV_WATCHES_MAX ? inotify_add_watch(w->fd, proc, looked_for) : -1;
    w->partial |= wd < 0;
    if (wd >= 0 && !find(w, wd)) vec_push(w->mem, &w->folders, ((struct folder){wd, arena_cstr(w->mem, str_c(path))}));
    if (wd >= 0) add_below(w, dir, path);
    close(dir);
}

static void add_below(struct node_dev_watch *w, int dir, const char *path) {
    int own = fcntl(dir, F_DUPFD_CLOEXEC, 3);
    DIR *all = own >= 0 ? fdopendir(own) : NULL;
    if (!all && own >= 0) close(own);
    if (!all) return;
    for (struct dirent *e; (e = readdir(all));) {
        struct stat st;
        char below[PATH_MAX];
        if (ignores(str_c(e->d_name))) continue;
        if (fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISDIR(st.st_mode)) continue;
        int n = snprintf(below, sizeof below, "%s%s/", path, e->d_name);
        if (n > 0 && (size_t)n < sizeof below) add(w, below);
    }
    closedir(all);
}

err node_dev_watch_new(const char *root, struct node_dev_watch **out, struct diag *d) {
    int dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (dir < 0 || fd < 0) {
        int why = errno;
        if (dir >= 0) close(dir);
        if (fd >= 0) close(fd);
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s cannot be watched: %s%s", root, strerror(why),
                        why == EMFILE ? " (sysctl fs.inotify.max_user_instances)" : "");
    }
    struct node_dev_watch *w = calloc(1, sizeof *w);
    ENSURE(w);
    w->fd = fd, w->root = dir, w->mem = arena_new(0);
    add(w, "");
    *out = w;
    return ERR_OK;
}

int node_dev_watch_fd(const struct node_dev_watch *w) { return w->fd; }
bool node_dev_watch_whole(const struct node_dev_watch *w) { return !w->partial; }

/* Of one event: false, nothing is to be said of it. */
static bool said(struct node_dev_watch *w, const struct inotify_event *e, str *path) {
    struct folder *f = find(w, e->wd);
    if (e->mask & IN_Q_OVERFLOW) w->lost = true;
    if (f && e->mask & IN_IGNORED) {
        *f = w->folders.p[--w->folders.n];
        return false;
    }
    if (!f || !e->len || (e->mask & IN_ISDIR && ignores(str_c(e->name)))) return false;
    bool folder = e->mask & IN_ISDIR;
    int n = snprintf(w->path, sizeof w->path, "%s%s%s", f->path, e->name, folder ? "/" : "");
    if (n < 0 || (size_t)n >= sizeof w->path) return false;
    if (folder && e->mask & (IN_CREATE | IN_MOVED_TO)) add(w, w->path);
    *path = (str){(uint8_t *)w->path, (size_t)n - folder};
    return !(e->mask & IN_CREATE) || folder; /* a file is said when it was written, too */
}

enum node_dev_watch_got node_dev_watch_next(struct node_dev_watch *w, str *path) {
    for (;;) {
        if (w->at >= w->n) {
            ssize_t n = read(w->fd, w->events, sizeof w->events);
            w->at = 0, w->n = n > 0 ? (size_t)n : 0;
            if (w->lost && !w->n) {
                w->lost = false;
                return NODE_DEV_WATCH_LOST;
            }
            if (!w->n) return NODE_DEV_WATCH_NOTHING;
        }
        const struct inotify_event *e = (const struct inotify_event *)(const void *)(w->events + w->at);
        w->at += sizeof *e + e->len;
        if (said(w, e, path)) return NODE_DEV_WATCH_PATH;
    }
}

void node_dev_watch_free(struct node_dev_watch *w) {
    close(w->fd);
    close(w->root);
    arena_free(w->mem);
    free(w);
}
