/* fs: no path leads out of the granted folder, whatever the operation; and what the paths inside mean. */
#include "wasi/fs/fs.h"
#include "wasi/fs/fs_int.h"
#include "wasi/p1/p1_int.h"
#include "wasi/p2/fs.h"
#include "wasi/p3/fs.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

/*  base/outside/secret
 *  base/in/             the granted folder, with files, and links that stay inside or lead out */
static char base[64];
static int in = -1, outside = -1;

static void put_file(int dir, const char *name, const char *text) {
    int fd = openat(dir, name, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static int make_tree(void **state) {
    static const char *const links[][2] = {
        {"file", "to_file"},
        {"dir", "to_dir"},
        {"../file", "dir/back"},
        {"../outside/secret", "out"},
        {"../outside", "out_dir"},
        {"..", "up"},
        {"dir/../../outside/secret", "deep"},
        {"loop", "loop"},
        {"nothing", "dangling"},
        {"../outside/nothing", "out_dangling"},
        {"/proc/self/root", "proc"},
        {"fifo", "to_fifo"},
    };
    char absolute[128];
    snprintf(base, sizeof base, "/tmp/orlo-fs-test.XXXXXX");
    assert_non_null(mkdtemp(base));
    int root = open(base, O_RDONLY | O_DIRECTORY);
    assert_false(mkdirat(root, "in", 0755) || mkdirat(root, "outside", 0755) || mkdirat(root, "in/dir", 0755) ||
                 mkdirat(root, "in/dir/sub", 0755) || mkfifoat(root, "in/fifo", 0644) ||
                 mknodat(root, "in/socket", S_IFSOCK | 0644, 0));
    in = openat(root, "in", O_RDONLY | O_DIRECTORY);
    outside = openat(root, "outside", O_RDONLY | O_DIRECTORY);
    close(root);
    put_file(in, "file", "of the root");
    put_file(in, "dir/file", "of dir");
    put_file(outside, "secret", "secret");
    for (size_t i = 0; i < ARRAY_COUNT(links); i++) assert_false(symlinkat(links[i][0], in, links[i][1]));
    snprintf(absolute, sizeof absolute, "%s/outside/secret", base);
    assert_false(symlinkat(absolute, in, "absolute"));
    return 0;
}

static int remove_tree(void **state) {
    char command[128];
    close(in);
    close(outside);
    snprintf(command, sizeof command, "rm -rf %s", base);
    return system(command);
}

/* What is outside is as it was. */
static void check_outside(void) {
    char text[16] = "";
    int fd = openat(outside, "secret", O_RDONLY), own = openat(outside, ".", O_RDONLY | O_DIRECTORY), entries = 0;
    assert_true(fd >= 0);
    assert_int_equal(read(fd, text, sizeof text), 6);
    assert_string_equal(text, "secret");
    close(fd);
    DIR *d = fdopendir(own);
    while (readdir(d)) entries++;
    closedir(d);
    assert_int_equal(entries, 3);
}

/* ---- opening ---- */

#define BYTES(lit)                                                                                                               \
    { (const uint8_t *)(lit), sizeof(lit) - 1 }
static const struct {
    str path;
    int want;        /* errno of opening it for reading, links followed */
    int want_itself; /* not followed */
} opens[] = {
    {BYTES("file"), 0, 0},
    {BYTES("./file"), 0, 0},
    {BYTES("dir"), 0, 0},
    {BYTES("dir/"), 0, 0},
    {BYTES("."), 0, 0},
    {BYTES("dir//file"), 0, 0},
    {BYTES("dir/../file"), 0, 0},
    {BYTES("dir/sub/../../file"), 0, 0},
    {BYTES("dir/sub/.."), 0, 0},
    {BYTES("to_file"), 0, ELOOP},
    {BYTES("to_dir"), 0, ELOOP},
    {BYTES("to_dir/"), 0, 0},
    {BYTES("to_dir/file"), 0, 0},
    {BYTES("dir/back"), 0, ELOOP},
    {BYTES("to_dir/back"), 0, ELOOP},
    {BYTES("fifo"), EPERM, EPERM},
    {BYTES("socket"), EPERM, EPERM},
    {BYTES("to_fifo"), EPERM, ELOOP},
    {BYTES("to_fifo/"), ENOTDIR, ENOTDIR},
    {BYTES(""), ENOENT, ENOENT},
    {BYTES("nothing"), ENOENT, ENOENT},
    {BYTES("nothing/file"), ENOENT, ENOENT},
    {BYTES("dangling"), ENOENT, ELOOP},
    {BYTES("loop"), ELOOP, ELOOP},
    {BYTES("file/"), ENOTDIR, ENOTDIR},
    {BYTES("file/more"), ENOTDIR, ENOTDIR},
    {BYTES("fi\0le"), EINVAL, EINVAL},
    {BYTES("fi\xff"), EILSEQ, EILSEQ},
    {BYTES(".."), EPERM, EPERM},
    {BYTES("../in/file"), EPERM, EPERM},
    {BYTES("../outside/secret"), EPERM, EPERM},
    {BYTES("dir/../../in/file"), EPERM, EPERM},
    {BYTES("dir/sub/../../../outside/secret"), EPERM, EPERM},
    {BYTES("nothing/../../outside/secret"), ENOENT, ENOENT},
    {BYTES("/"), EPERM, EPERM},
    {BYTES("/etc/passwd"), EPERM, EPERM},
    {BYTES("//file"), EPERM, EPERM},
    {BYTES("out"), EPERM, ELOOP},
    {BYTES("out_dir"), EPERM, ELOOP},
    {BYTES("out_dir/"), EPERM, EPERM},
    {BYTES("out_dir/secret"), EPERM, EPERM},
    {BYTES("out_dir/nothing"), EPERM, EPERM},
    {BYTES("out_dangling"), EPERM, ELOOP},
    {BYTES("up"), EPERM, ELOOP},
    {BYTES("up/in/file"), EPERM, EPERM},
    {BYTES("deep"), EPERM, ELOOP},
    {BYTES("absolute"), EPERM, ELOOP},
    {BYTES("proc"), EPERM, ELOOP},
    {BYTES("proc/etc/passwd"), EPERM, EPERM},
};

static void test_open(void **state) {
    for (size_t i = 0; i < ARRAY_COUNT(opens); i++)
        for (int follow = 0; follow < 2; follow++) {
            struct wasi_fs_open how = {.read = true, .follow = follow};
            int fd = -1, want = follow ? opens[i].want : opens[i].want_itself, e = wasi_fs_open(in, opens[i].path, &how, &fd);
            if (e != want)
                fail_msg("open of " STR_FMT " (follow %d): %s, not %s", STR_ARG(opens[i].path), follow, strerror(e),
                         strerror(want));
            if (!e) {
                assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
                close(fd);
            }
        }
}

static void test_long_names(void **state) {
    static const size_t lengths[][2] = {
        {255, ENOENT}, {256, ENAMETOOLONG}, {4095, ENAMETOOLONG}, {4096, ENAMETOOLONG}, {1 << 20, ENAMETOOLONG}};
    uint8_t *name = malloc(1 << 20);
    struct wasi_fs_open how = {.read = true};
    int fd;
    memset(name, 'n', 1 << 20);
    for (size_t i = 0; i < ARRAY_COUNT(lengths); i++)
        assert_int_equal(wasi_fs_open(in, (str){name, lengths[i][0]}, &how, &fd), lengths[i][1]);
    for (size_t i = 0; i < 4094; i += 2) memcpy(name + i, "./", 2); /* a long path of short names */
    assert_int_equal(wasi_fs_open(in, (str){name, 4094}, &how, &fd), 0);
    close(fd);
    free(name);
}

/* The links of /proc that are no paths, even where /proc itself is granted. */
static void test_magic_links(void **state) {
    static const char *const paths[] = {"self/root", "self/root/etc/passwd", "self/cwd/x", "self/exe",
                                        "self/fd/0", "thread-self/root/"};
    int proc = open("/proc", O_RDONLY | O_DIRECTORY), fd;
    struct wasi_fs_open how = {.read = true, .follow = true};
    struct stat st;
    if (proc < 0) skip();
    assert_false(wasi_may_grant(proc));
    static const char *const views[] = {"self/mem", "self/environ", "self", "1", "sys", "self/task"};
    for (size_t i = 0; i < ARRAY_COUNT(views); i++) assert_int_equal(wasi_fs_open(proc, str_c(views[i]), &how, &fd), EPERM);
    assert_int_equal(wasi_fs_mkdir(proc, STR("new")), EPERM);
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        int wanted = wasi_fs_walks ? EPERM : ELOOP; /* to a walk they are links like any, and lead out */
        assert_int_equal(wasi_fs_open(proc, str_c(paths[i]), &how, &fd), wanted);
        assert_int_equal(wasi_fs_stat(proc, str_c(paths[i]), true, &st), wanted);
    }
    close(proc);
}

static void test_open_flags(void **state) {
    struct stat st;
    int fd;
#define OPEN(path, ...) wasi_fs_open(in, STR(path), &(struct wasi_fs_open){__VA_ARGS__}, &fd)
    assert_int_equal(OPEN("new", .create = true, .exclusive = true, .write = true), 0);
    assert_int_equal(write(fd, "12345", 5), 5);
    close(fd);
    assert_int_equal(OPEN("new", .create = true, .exclusive = true, .write = true), EEXIST);
    assert_int_equal(OPEN("new", .create = true, .append = true, .write = true), 0);
    assert_int_equal(write(fd, "6", 1), 1);
    close(fd);
    assert_int_equal(wasi_fs_stat(in, STR("new"), false, &st), 0);
    assert_int_equal(st.st_size, 6);
    assert_int_equal(OPEN("new", .truncate = true, .write = true), 0);
    close(fd);
    assert_int_equal(wasi_fs_stat(in, STR("new"), false, &st), 0);
    assert_int_equal(st.st_size, 0);
    assert_int_equal(OPEN("dir", .write = true), EISDIR);
    assert_int_equal(OPEN("file", .directory = true, .read = true), ENOTDIR);
    assert_int_equal(OPEN("dir", .directory = true, .create = true), EINVAL);
    assert_int_equal(OPEN("fifo", .write = true), EPERM);
    assert_int_equal(OPEN("fifo", .create = true, .truncate = true, .write = true), EPERM);
    assert_int_equal(OPEN("socket", .read = true, .write = true), EPERM);
    if (mknodat(in, "zero", S_IFCHR | 0666, makedev(1, 5)) == 0) { /* as root */
        assert_int_equal(OPEN("zero", .read = true), EPERM);
        assert_int_equal(OPEN("zero", .write = true, .truncate = true), EPERM);
        assert_int_equal(wasi_fs_stat(in, STR("zero"), true, &st), 0); /* it may be looked at */
        assert_int_equal(wasi_fs_unlink(in, STR("zero")), 0);
    }
    assert_int_equal(wasi_fs_unlink(in, STR("new")), 0);
#undef OPEN
}

/* A name that is now a file and now a FIFO never opens the FIFO. */
static void *swap_types(void *stop) {
    while (!*(atomic_bool *)stop) syscall(SYS_renameat2, in, "turns", in, "fifo", 2 /* RENAME_EXCHANGE */);
    return NULL;
}

static void test_type_is_checked_at_the_open(void **state) {
    atomic_bool stop = false;
    pthread_t thread;
    int fd, opened = 0, refused = 0;
    struct stat st;
    put_file(in, "turns", "a file");
    assert_int_equal(pthread_create(&thread, NULL, swap_types, &stop), 0);
    for (int i = 0; i < 20000 || !opened || !refused; i++) {
        int e = wasi_fs_open(in, STR("turns"), &(struct wasi_fs_open){.read = true}, &fd);
        assert_true(e == 0 || e == EPERM);
        opened += e == 0;
        refused += e != 0;
        if (e) continue;
        assert_int_equal(fstat(fd, &st), 0);
        assert_true(S_ISREG(st.st_mode));
        close(fd);
    }
    stop = true;
    pthread_join(thread, NULL);
    assert_int_equal(wasi_fs_stat(in, STR("fifo"), false, &st), 0);
    if (S_ISREG(st.st_mode)) assert_int_equal(syscall(SYS_renameat2, in, "turns", in, "fifo", 2), 0);
    assert_int_equal(wasi_fs_unlink(in, STR("turns")), 0);
}

/* ---- every operation on every way out ---- */

static const char *const ways_out[] = {"../outside/secret",
                                       "../outside/new",
                                       "../new",
                                       "/tmp/orlo-fs-test-new",
                                       "out_dir/secret",
                                       "out_dir/new",
                                       "up/outside/secret",
                                       "up/new",
                                       "dir/../../outside/secret",
                                       "out_dir/",
                                       "proc/tmp/orlo-fs-test-new"};

/* The operations with a path; the number of them. */
static int operate(int op, str path) {
    static const struct timespec now[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};
    struct stat st;
    uint8_t text[16];
    size_t n;
    int fd = -1;
    switch (op) {
    case 0: return wasi_fs_stat(in, path, true, &st);
    case 1: return wasi_fs_stat(in, path, false, &st);
    case 2: return wasi_fs_set_times(in, path, true, now);
    case 3: return wasi_fs_set_times(in, path, false, now);
    case 4: return wasi_fs_mkdir(in, path);
    case 5: return wasi_fs_rmdir(in, path);
    case 6: return wasi_fs_unlink(in, path);
    case 7: return wasi_fs_rename(in, path, in, STR("taken"));
    case 8: return wasi_fs_rename(in, STR("file"), in, path);
    case 9: return wasi_fs_link(in, path, in, STR("taken"));
    case 10: return wasi_fs_link(in, STR("file"), in, path);
    case 11: return wasi_fs_symlink(STR("file"), in, path);
    case 12: return wasi_fs_readlink(in, path, text, sizeof text, &n);
    case 13: return wasi_fs_open(in, path, &(struct wasi_fs_open){.create = true, .write = true, .follow = true}, &fd);
    case 14: return wasi_fs_open(in, path, &(struct wasi_fs_open){.create = true, .exclusive = true, .write = true}, &fd);
    case 15: return wasi_fs_open(in, path, &(struct wasi_fs_open){.truncate = true, .write = true, .follow = true}, &fd);
    default: return -1;
    }
}

static void test_ways_out(void **state) {
    struct stat st;
    for (int op = 0; op < 16; op++)
        for (size_t i = 0; i < ARRAY_COUNT(ways_out); i++) {
            int e = operate(op, str_c(ways_out[i]));
            bool slash = str_ends(str_c(ways_out[i]), STR("/")); /* names the link itself for what makes and removes names */
            if (e == EPERM || (slash && e > 0)) continue;
            fail_msg("operation %d on %s: %s", op, ways_out[i], strerror(e));
        }
    check_outside();
    assert_int_equal(wasi_fs_stat(in, STR("taken"), false, &st), ENOENT);
    assert_int_equal(wasi_fs_stat(in, STR("file"), false, &st), 0);
    assert_int_not_equal(access("/tmp/orlo-fs-test-new", F_OK), 0);
}

/* A slash behind a link that leads out tells nothing of what is there. */
static void test_nothing_is_told(void **state) {
    static const str paths[] = {STR_INIT("out/"), STR_INIT("out_dir/"), STR_INIT("out_dangling/")};
    uint8_t text[16];
    struct stat st;
    size_t n;
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        assert_int_equal(wasi_fs_readlink(in, paths[i], text, sizeof text, &n), EPERM);
        assert_int_equal(wasi_fs_link(in, paths[i], in, STR("taken")), EPERM);
        assert_int_equal(wasi_fs_stat(in, paths[i], false, &st), EPERM);
    }
}

/* Operations on a link's own name touch the link alone. */
static void test_links_themselves(void **state) {
    uint8_t text[64];
    struct stat st;
    size_t n;
    assert_int_equal(wasi_fs_stat(in, STR("out"), false, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(wasi_fs_readlink(in, STR("out"), text, sizeof text, &n), 0);
    assert_true(str_eqc((str){text, n}, "../outside/secret"));
    assert_int_equal(wasi_fs_readlink(in, STR("out"), text, 4, &n), 0);
    assert_true(str_eqc((str){text, n}, "../o"));
    assert_int_equal(wasi_fs_readlink(in, STR("file"), text, sizeof text, &n), EINVAL);
    assert_int_equal(wasi_fs_rename(in, STR("out"), in, STR("dir/moved")), 0);
    assert_int_equal(wasi_fs_open(in, STR("dir/moved"), &(struct wasi_fs_open){.read = true, .follow = true}, &(int){0}),
                     ENOENT); /* dir/../outside */
    assert_int_equal(wasi_fs_link(in, STR("dir/moved"), in, STR("out")), 0);
    assert_int_equal(wasi_fs_unlink(in, STR("dir/moved")), 0);
    assert_int_equal(wasi_fs_symlink(STR("/etc/passwd"), in, STR("dir/moved")), EPERM);
    assert_int_equal(wasi_fs_rmdir(in, STR("out_dir")), ENOTDIR);
    assert_int_equal(wasi_fs_unlink(in, STR("dir")), EISDIR);
    assert_int_equal(wasi_fs_rmdir(in, STR("dir")), ENOTEMPTY);
    check_outside();
}

static void test_times(void **state) {
    struct timespec times[2] = {{.tv_sec = 100, .tv_nsec = 5}, {.tv_nsec = UTIME_OMIT}};
    struct stat before, after;
    assert_int_equal(wasi_fs_stat(in, STR("file"), false, &before), 0);
    assert_int_equal(wasi_fs_set_times(in, STR("to_file"), true, times), 0);
    assert_int_equal(wasi_fs_stat(in, STR("file"), false, &after), 0);
    assert_int_equal(after.st_atim.tv_sec, 100);
    assert_int_equal(after.st_atim.tv_nsec, 5);
    assert_int_equal(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
}

/* Somebody else changes the tree all the while: `swap` is a folder, then a link that leads out, then a folder. */
struct swapper {
    int dir;
    atomic_bool stop;
};

static void *swap_names(void *arg) {
    struct swapper *s = arg;
    while (!atomic_load(&s->stop)) syscall(SYS_renameat2, s->dir, "swap", s->dir, "other", RENAME_EXCHANGE);
    return NULL;
}

static void test_changing_tree(void **state) {
    static const str paths[] = {STR_INIT("swap/secret"), STR_INIT("swap/new"), STR_INIT("swap/../swap/secret"),
                                STR_INIT("swap/")};
    struct swapper s = {.dir = in};
    struct stat secret, st;
    pthread_t thread;
    int fd, opened = 0;
    assert_int_equal(fstatat(outside, "secret", &secret, 0), 0);
    assert_int_equal(wasi_fs_mkdir(in, STR("swap")), 0);
    put_file(in, "swap/secret", "of swap");
    assert_int_equal(symlinkat("../outside", in, "other"), 0);
    assert_int_equal(pthread_create(&thread, NULL, swap_names, &s), 0);
    for (int i = 0; i < 4000; i++) {
        str path = paths[(size_t)i % ARRAY_COUNT(paths)];
        if (wasi_fs_open(in, path, &(struct wasi_fs_open){.read = true, .follow = i & 1}, &fd) == 0) {
            assert_int_equal(fstat(fd, &st), 0);
            assert_true(st.st_ino != secret.st_ino);
            opened++;
            close(fd);
        }
        if (wasi_fs_stat(in, path, i & 1, &st) == 0) assert_true(st.st_ino != secret.st_ino);
        if (wasi_fs_open(in, STR("swap/new"), &(struct wasi_fs_open){.write = true, .create = true, .truncate = true}, &fd) == 0)
            close(fd);
        int ignored = wasi_fs_mkdir(in, STR("swap/sub")) | wasi_fs_rename(in, STR("file"), in, STR("swap/taken")) |
                      wasi_fs_rename(in, STR("swap/taken"), in, STR("file")) |
                      wasi_fs_link(in, STR("swap/secret"), in, STR("grabbed")) | wasi_fs_unlink(in, STR("swap/secret2")) |
                      wasi_fs_rmdir(in, STR("swap/sub")) | wasi_fs_symlink(STR("x"), in, STR("swap/l"));
        (void)ignored;
    }
    atomic_store(&s.stop, true);
    pthread_join(thread, NULL);
    assert_true(opened > 0);
    if (wasi_fs_stat(in, STR("grabbed"), false, &st) == 0) assert_true(st.st_ino != secret.st_ino);
    check_outside();
}

/* ---- directories ---- */

static void test_directory(void **state) {
    int many = -1;
    assert_int_equal(wasi_fs_mkdir(in, STR("many")), 0);
    assert_int_equal(wasi_fs_open(in, STR("many"), &(struct wasi_fs_open){.directory = true, .read = true}, &many), 0);
    for (int i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%d", i);
        put_file(many, name, "");
    }
    struct wasi_fs_dir *d;
    struct wasi_fs_entry entry;
    bool end = false;
    uint64_t cookies[128];
    char names[128][16];
    int n = 0;
    assert_int_equal(wasi_fs_dir_open(many, &d), 0);
    for (; assert_int_equal(wasi_fs_dir_next(d, &entry, &end), 0), !end; n++) {
        assert_true(n < 128 && entry.name.n < 16);
        memcpy(names[n], entry.name.p, entry.name.n);
        names[n][entry.name.n] = 0;
        cookies[n] = entry.next;
    }
    assert_int_equal(n, 102);
    for (int i = 0; i < n - 1; i += 7) { /* any cookie leads to the entry behind it */
        wasi_fs_dir_seek(d, cookies[i]);
        assert_int_equal(wasi_fs_dir_next(d, &entry, &end), 0);
        assert_true(!end && str_eqc(entry.name, names[i + 1]));
    }
    wasi_fs_dir_seek(d, 0);
    assert_int_equal(wasi_fs_dir_next(d, &entry, &end), 0);
    assert_true(str_eqc(entry.name, names[0]));
    wasi_fs_dir_close(d);
    close(many);
}

/* ---- errors ---- */

/* The errno of preview 1, in the order of its witx. */
static const char *const p1_names[] = {
    "0",
    "E2BIG",
    "EACCES",
    "EADDRINUSE",
    "EADDRNOTAVAIL",
    "EAFNOSUPPORT",
    "EAGAIN",
    "EALREADY",
    "EBADF",
    "EBADMSG",
    "EBUSY",
    "ECANCELED",
    "ECHILD",
    "ECONNABORTED",
    "ECONNREFUSED",
    "ECONNRESET",
    "EDEADLK",
    "EDESTADDRREQ",
    "EDOM",
    "EDQUOT",
    "EEXIST",
    "EFAULT",
    "EFBIG",
    "EHOSTUNREACH",
    "EIDRM",
    "EILSEQ",
    "EINPROGRESS",
    "EINTR",
    "EINVAL",
    "EIO",
    "EISCONN",
    "EISDIR",
    "ELOOP",
    "EMFILE",
    "EMLINK",
    "EMSGSIZE",
    "EMULTIHOP",
    "ENAMETOOLONG",
    "ENETDOWN",
    "ENETRESET",
    "ENETUNREACH",
    "ENFILE",
    "ENOBUFS",
    "ENODEV",
    "ENOENT",
    "ENOEXEC",
    "ENOLCK",
    "ENOLINK",
    "ENOMEM",
    "ENOMSG",
    "ENOPROTOOPT",
    "ENOSPC",
    "ENOSYS",
    "ENOTCONN",
    "ENOTDIR",
    "ENOTEMPTY",
    "ENOTRECOVERABLE",
    "ENOTSOCK",
    "ENOTSUP",
    "ENOTTY",
    "ENXIO",
    "EOVERFLOW",
    "EOWNERDEAD",
    "EPERM",
    "EPIPE",
    "EPROTO",
    "EPROTONOSUPPORT",
    "EPROTOTYPE",
    "ERANGE",
    "EROFS",
    "ESPIPE",
    "ESRCH",
    "ESTALE",
    "ETIMEDOUT",
    "ETXTBSY",
    "EXDEV",
    "ENOTCAPABLE",
};

static void test_errno(void **state) {
    static const struct {
        int host;
        const char *name;
        uint32_t p1;
        enum wasi_filesystem_types_error_code p2;
    } rows[] = {
#define X(name, p1, p2) {name, #name, p1, WASI_FILESYSTEM_TYPES_ERROR_CODE_##p2},
#include "wasi/fs/errno.def"
#undef X
    };
    bool p3_used[WASI3_FILESYSTEM_TYPES_ERROR_CODE_OTHER + 1] = {};
    bool p2_used[WASI_FILESYSTEM_TYPES_ERROR_CODE_CROSS_DEVICE + 1] = {};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        assert_string_equal(p1_names[rows[i].p1], rows[i].name);
        assert_int_equal(wasi_p1_errno_of(rows[i].host), rows[i].p1);
        assert_int_equal(wasi_p2_fs_code(rows[i].host), rows[i].p2);
        p3_used[wasi_p3_fs_code(rows[i].host).tag] = true;
        p2_used[rows[i].p2] = true;
    }
    for (size_t i = 0; i < ARRAY_COUNT(p2_used); i++) assert_true(p2_used[i]); /* each case of error-code can be said */
    for (size_t i = 0; i < ARRAY_COUNT(p3_used); i++) assert_true(p3_used[i]);
    assert_int_equal(wasi_p3_fs_code(ENOENT).tag, WASI3_FILESYSTEM_TYPES_ERROR_CODE_NO_ENTRY);
    assert_int_equal(wasi_p3_fs_code(EXDEV).tag, WASI3_FILESYSTEM_TYPES_ERROR_CODE_CROSS_DEVICE);
    assert_true(wasi_p3_fs_code(ECHILD).other.some && str_eqc(wasi_p3_fs_code(ECHILD).other.value, "No child processes"));
    assert_string_equal(p1_names[P1_NOTCAPABLE], "ENOTCAPABLE");
    assert_int_equal(wasi_p1_errno_of(0), 0);
    assert_int_equal(wasi_p1_errno_of(12345), P1_EIO);
    assert_int_equal(wasi_p2_fs_code(12345), WASI_FILESYSTEM_TYPES_ERROR_CODE_IO);
}

int main(int argc, char **argv) {
    wasi_fs_walks = argc > 1; /* all of it, the other way */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_open, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(test_long_names, make_tree, remove_tree),
        cmocka_unit_test(test_magic_links),
        cmocka_unit_test_setup_teardown(test_open_flags, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(test_type_is_checked_at_the_open, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(test_ways_out, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(test_nothing_is_told, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(test_links_themselves, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(test_changing_tree, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(test_times, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(test_directory, make_tree, remove_tree),
        cmocka_unit_test(test_errno),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
