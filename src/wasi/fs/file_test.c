/* fs_file: files outlive what is done with them; what is abandoned; what moves at once. */
#include "wasi/fs/file.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[64];
static struct net_loop *loop;

static int begin(void **state) {
    snprintf(folder, sizeof folder, "/tmp/orlo-fs-file.XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    loop = net_loop_new();
    return 0;
}

static int end(void **state) {
    char command[128];
    net_loop_free(loop);
    assert_int_equal(chdir("/"), 0);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static struct wasi_fs_file *file(const char *name, int flags) {
    int fd = open(name, flags | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    return wasi_fs_file_new(fd, false);
}

static struct wasi_fs_task transfer(enum wasi_fs_op op, struct wasi_fs_file *f, struct iovec *v, int count, int64_t offset) {
    return (struct wasi_fs_task){.op = op, .file = f, .v = v, .count = count, .offset = offset};
}

struct outcome {
    struct wasi_fs_job *job;
    struct wasi_fs_task t;
    char bytes[64];
    int times;
};

static void on_done(void *arg, struct wasi_fs_task *t) {
    struct outcome *o = arg;
    o->times++;
    o->t = *t;
    if (t->op != FS_READ) return;
    str got = wasi_fs_job_bytes(o->job);
    memcpy(o->bytes, got.p, MIN(got.n, sizeof o->bytes - 1));
}

static void defer(struct wasi_fs_task t, struct outcome *o) {
    *o = (struct outcome){};
    o->job = wasi_fs_defer(loop, NULL, &t, on_done, o);
    assert_non_null(o->job);
}

static void test_at_once(void **state) {
    struct wasi_fs_file *f = file("a", O_CREAT | O_RDWR);
    char to[16] = "";
    struct iovec out[] = {{"one ", 4}, {NULL, 0}, {"two", 3}}, in[] = {{to, 5}, {to + 5, 6}};
    struct wasi_fs_task t = transfer(FS_WRITE, f, out, 3, 2);
    assert_true(f->disk && !f->syncs && wasi_fs_try(&t));
    assert_int_equal(t.moved, 7);
    t = transfer(FS_WRITE, f, out, 1, FS_END);
    assert_true(wasi_fs_try(&t));
    t = transfer(FS_READ, f, in, 2, 0);
    assert_true(wasi_fs_try(&t));
    assert_int_equal(t.moved, 11);
    assert_memory_equal(to, "\0\0one two", 9);
    assert_memory_equal(to + 9, "on", 2);
    t = transfer(FS_READ, f, in, 1, 100);
    assert_true(wasi_fs_try(&t) && !t.error && !t.moved);
    t = (struct wasi_fs_task){.op = FS_RESIZE, .file = f, .offset = 3};
    assert_true(wasi_fs_try(&t) && !t.error);
    t = (struct wasi_fs_task){.op = FS_SYNC, .file = f};
    assert_false(wasi_fs_try(&t)); /* that is for a thread */
    wasi_fs_file_unref(f);
    f = file("a", O_WRONLY | O_DSYNC);
    t = transfer(FS_WRITE, f, out, 1, 0);
    assert_true(f->syncs && !wasi_fs_try(&t));
    wasi_fs_file_unref(f);
}

static void test_elsewhere(void **state) {
    struct wasi_fs_file *f = file("a", O_CREAT | O_RDWR), *dir = file(".", O_RDONLY | O_DIRECTORY);
    char text[] = "hello";
    struct iovec v = {text, 5};
    struct outcome o[5];
    struct stat st;
    defer(transfer(FS_WRITE, f, &v, 1, 0), &o[0]);
    memset(text, 'x', 5); /* it was copied */
    net_loop_run(loop);
    defer(transfer(FS_READ, f, &(struct iovec){NULL, 63}, 1, 1), &o[1]);
    defer((struct wasi_fs_task){.op = FS_SYNC, .file = f}, &o[2]);
    net_loop_run(loop);
    defer((struct wasi_fs_task){.op = FS_RENAME, .file = dir, .to = dir, .path = STR("a"), .new_path = STR("b")}, &o[3]);
    net_loop_run(loop);
    defer(
        (struct wasi_fs_task){
            .op = FS_OPEN, .file = dir, .path = STR("b"), .how = {.read = true, .truncate = true, .write = true}},
        &o[4]);
    net_loop_run(loop);
    for (int i = 0; i < 5; i++) assert_true(o[i].times == 1 && !o[i].t.error);
    assert_string_equal(o[1].bytes, "ello");
    assert_int_equal(fstat(o[4].t.fd, &st), 0);
    assert_int_equal(st.st_size, 0);
    close(o[4].t.fd);
    defer((struct wasi_fs_task){.op = FS_UNLINK, .file = dir, .path = STR("../b")}, &o[0]);
    net_loop_run(loop);
    assert_int_equal(o[0].t.error, EPERM);
    wasi_fs_file_unref(f);
    wasi_fs_file_unref(dir);
}

enum { THREADS = 4 };

/* Every thread is busy with a pipe that is never written, until told. */
static void occupy(struct wasi_fs_file *f, struct outcome *o) {
    for (int i = 0; i < THREADS; i++) defer(transfer(FS_READ, f, &(struct iovec){NULL, 1}, 1, FS_POSITION), &o[i]);
}

static void test_number_is_not_reused(void **state) {
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct wasi_fs_file *f = wasi_fs_file_new(ends[0], false);
    struct outcome o[THREADS];
    assert_false(f->disk);
    occupy(f, o);
    wasi_fs_file_unref(f); /* the guest drops it */
    int other = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_not_equal(other, ends[0]);
    for (int i = 0; i < THREADS; i++) wasi_fs_job_abandon(o[i].job);
    assert_int_equal(write(ends[1], "1234", 4), 4);
    net_loop_run(loop);
    for (int i = 0; i < THREADS; i++) assert_int_equal(o[i].times, 0);
    assert_int_equal(fcntl(ends[0], F_GETFD), -1); /* now it is closed */
    close(other);
    close(ends[1]);
}

/* What was accepted for writing is written; what was only asked for is forgotten. */
static void test_abandoned(void **state) {
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct wasi_fs_file *f = wasi_fs_file_new(ends[0], false), *a = file("a", O_CREAT | O_RDWR),
                        *dir = file(".", O_RDONLY | O_DIRECTORY);
    struct outcome busy[THREADS], wrote, removed;
    struct stat st;
    occupy(f, busy);
    defer(transfer(FS_WRITE, a, &(struct iovec){"kept", 4}, 1, 0), &wrote);
    defer((struct wasi_fs_task){.op = FS_UNLINK, .file = dir, .path = STR("a")}, &removed);
    wasi_fs_job_abandon(wrote.job);
    wasi_fs_job_abandon(removed.job);
    wasi_fs_file_unref(a);
    assert_int_equal(write(ends[1], "1234", 4), 4);
    net_loop_run(loop);
    assert_int_equal(wrote.times + removed.times, 0);
    assert_int_equal(stat("a", &st), 0);
    assert_int_equal(st.st_size, 4);
    wasi_fs_file_unref(f);
    wasi_fs_file_unref(dir);
    close(ends[1]);
}

/* A read that would wait for the disk is not made on the worker. */
static void test_cold(void **state) {
    enum { BYTES = FS_SLICE_BYTES };
    struct wasi_fs_file *f = file("cold", O_CREAT | O_RDWR);
    static char to[BYTES];
    struct iovec v = {to, BYTES};
    struct wasi_fs_task t = transfer(FS_READ, f, &v, 1, 0);
    assert_int_equal(ftruncate(f->fd, 0), 0);
    assert_int_equal(pwrite(f->fd, to, BYTES, 0), BYTES);
    assert_int_equal(fsync(f->fd), 0);
    posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED);
    if (!wasi_fs_try(&t)) {
        struct outcome o;
        defer(t, &o);
        net_loop_run(loop);
        assert_true(o.times == 1 && !o.t.error && o.t.moved == BYTES);
    } else if (t.moved) skip(); /* a file system in memory */
    wasi_fs_file_unref(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_at_once, begin, end),
        cmocka_unit_test_setup_teardown(test_elsewhere, begin, end),
        cmocka_unit_test_setup_teardown(test_number_is_not_reused, begin, end),
        cmocka_unit_test_setup_teardown(test_abandoned, begin, end),
        cmocka_unit_test_setup_teardown(test_cold, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
