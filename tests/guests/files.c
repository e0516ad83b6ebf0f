/* A command for tests of granted folders: each argument is one operation, VERB:FD:PATH[:MORE]; it prints what came of it:
 * bytes, or "errno N". The folders are descriptors 3, 4, ... in the order they were granted. */
#include "p1.h"

IMPORT("path_open")
int path_open(int fd, int lookup, const char *path, size_t n, int oflags, int64_t rights, int64_t inheriting, int fdflags,
              int *out);
IMPORT("path_create_directory") int path_create_directory(int fd, const char *path, size_t n);
IMPORT("path_remove_directory") int path_remove_directory(int fd, const char *path, size_t n);
IMPORT("path_unlink_file") int path_unlink_file(int fd, const char *path, size_t n);
IMPORT("path_filestat_get") int path_filestat_get(int fd, int lookup, const char *path, size_t n, void *stat);
IMPORT("path_filestat_set_times")
int path_filestat_set_times(int fd, int lookup, const char *path, size_t n, int64_t atim, int64_t mtim, int flags);
IMPORT("path_rename") int path_rename(int fd, const char *path, size_t n, int new_fd, const char *new_path, size_t m);
IMPORT("path_link") int path_link(int fd, int lookup, const char *path, size_t n, int new_fd, const char *new_path, size_t m);
IMPORT("path_symlink") int path_symlink(const char *target, size_t m, int fd, const char *path, size_t n);
IMPORT("path_readlink") int path_readlink(int fd, const char *path, size_t n, char *to, size_t cap, size_t *used);
IMPORT("fd_close") int fd_close(int fd);
IMPORT("fd_filestat_set_size") int fd_filestat_set_size(int fd, int64_t size);
IMPORT("fd_prestat_dir_name") int fd_prestat_dir_name(int fd, char *to, size_t n);

IMPORT("poll_oneoff") int poll_oneoff(const void *in, void *out, size_t n, size_t *events);

enum { FOLLOW = 1, CREAT = 1, TRUNC = 8, R_READ = 1 << 1, R_WRITE = 1 << 6, R_SET_SIZE = 1 << 22 };

static char *words_of[4];

/* Cuts at ':' in place. */
static void split(char *s) {
    for (int i = 0; i < 4; i++) words_of[i] = "";
    for (int i = 0; i < 4; i++) {
        words_of[i] = s;
        while (*s && *s != ':') s++;
        if (!*s) return;
        *s++ = 0;
    }
}

static int copy_out(int fd, const char *path, size_t n) {
    static char piece[4096];
    int file, e = path_open(fd, FOLLOW, path, n, 0, R_READ, 0, 0, &file);
    if (e) return e;
    for (size_t got; (got = get_bytes(file, piece, sizeof piece));) put_bytes(1, piece, got);
    return fd_close(file);
}

static int write_file(int fd, const char *path, size_t n, const char *text, int oflags) {
    int file, e = path_open(fd, FOLLOW, path, n, oflags, R_WRITE, 0, 0, &file);
    if (e) return e;
    put(file, text);
    return fd_close(file);
}

/* Waits until a file can be read, or some ms have passed: prints which it was, 1 the file, 0 the clock. */
static int wait_file(int fd, const char *path, size_t n, const char *ms) {
    static _Alignas(8) uint64_t subs[2][6], events[2][4];
    uint64_t wait = 0;
    size_t count;
    int file, e = path_open(fd, FOLLOW, path, n, 0, R_READ | 1 << 27, 0, 0, &file);
    if (e) return e;
    while (*ms) wait = wait * 10 + (uint64_t)(*ms++ - '0');
    subs[0][0] = 1, subs[0][1] = 1, subs[0][2] = (uint64_t)file;
    subs[1][0] = 0, subs[1][1] = 0, subs[1][2] = 1, subs[1][3] = wait * 1000000;
    e = poll_oneoff(subs, events, 2, &count);
    if (!e) put_number(1, events[0][0]);
    fd_close(file);
    return e;
}

/* As many files as it is given: prints how many. */
static int open_all(int fd, const char *path, size_t n) {
    uint64_t count = 0;
    int file, e;
    while (!(e = path_open(fd, FOLLOW, path, n, 0, R_READ, 0, 0, &file))) count++;
    put_number(1, count);
    put(1, " ");
    return e;
}

static int operate(const char *verb, int fd, const char *path, const char *more) {
    size_t n = length(path), m = length(more);
    static char text[4096];
    if (same(verb, "read")) return copy_out(fd, path, n);
    if (same(verb, "write")) return write_file(fd, path, n, more, CREAT | TRUNC);
    if (same(verb, "over")) return write_file(fd, path, n, more, 0);
    if (same(verb, "truncate")) return write_file(fd, path, n, "", TRUNC);
    if (same(verb, "mkdir")) return path_create_directory(fd, path, n);
    if (same(verb, "rmdir")) return path_remove_directory(fd, path, n);
    if (same(verb, "unlink")) return path_unlink_file(fd, path, n);
    if (same(verb, "stat")) return path_filestat_get(fd, FOLLOW, path, n, text);
    if (same(verb, "touch")) return path_filestat_set_times(fd, 0, path, n, 0, 0, 2 | 8);
    if (same(verb, "rename")) return path_rename(fd, path, n, fd, more, m);
    if (same(verb, "give")) return path_rename(fd, path, n, fd + 1, more, m);
    if (same(verb, "link")) return path_link(fd, 0, path, n, fd, more, m);
    if (same(verb, "symlink")) return path_symlink(more, m, fd, path, n);
    if (same(verb, "openall")) return open_all(fd, path, n);
    if (same(verb, "wait")) return wait_file(fd, path, n, more);
    if (same(verb, "exit")) proc_exit(fd);
    if (same(verb, "name")) {
        int e = 0;
        memset(text, 0, sizeof text);
        for (size_t k = 0; k < 64 && (e = fd_prestat_dir_name(fd, text, k)); k++) {}
        put(1, text);
        return e;
    }
    if (same(verb, "readlink")) {
        size_t used = 0;
        int e = path_readlink(fd, path, n, text, sizeof text, &used);
        put_bytes(1, text, used);
        return e;
    }
    return -1;
}

static void operate_all(char *s) {
    split(s);
    int e = operate(words_of[0], words_of[1][0] - '0', words_of[2], words_of[3]);
    if (e) put(1, "errno "), put_number(1, (uint64_t)e);
    put(1, "\n");
}

/* Served as a CGI program, its query string is the one operation. */
__attribute__((export_name("_start"))) void start(void) {
    load_environ();
    const char *query = variable("QUERY_STRING");
    if (*query) {
        put(1, "Content-Type: text/plain\n\n");
        operate_all((char *)query);
        return;
    }
    load_args();
    for (size_t i = 1; i < words_count; i++) operate_all(words[i]);
}
