/* fs_file: see fs/file.h. */
#include "wasi/fs/file.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

enum {
    SLOW_NS = 2'000'000,    /* a transfer that takes longer was held up */
    SLOW_COUNT = 64,        /* and so many after it are made on a thread */
    LARGE_BYTES = 64 << 20, /* freeing a file of this size takes a while */
    PIECES_MAX = 16,
};

/* ---- files ---- */

struct wasi_fs_file *wasi_fs_file_new(int fd, bool borrowed) {
    struct wasi_fs_file *f = malloc(sizeof *f);
    struct stat st;
    ENSURE(f);
    *f = (struct wasi_fs_file){.refs = 1, .fd = fd, .borrowed = borrowed};
    f->disk = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    int flags = f->disk ? fcntl(fd, F_GETFL) : 0;
    f->syncs = flags > 0 && flags & (O_SYNC | O_DSYNC);
    return f;
}

static struct wasi_fs_file *wasi_fs_file_ref(struct wasi_fs_file *f) {
    f->refs++;
    return f;
}

void wasi_fs_file_unref(struct wasi_fs_file *f) {
    if (!f || --f->refs) return;
    if (!f->borrowed) close(f->fd);
    free(f);
}

/* ---- doing it ---- */

static size_t length_of(const struct wasi_fs_task *t) {
    size_t n = 0;
    for (int i = 0; i < t->count; i++) n += MIN(t->v[i].iov_len, (size_t)FS_SLICE_BYTES - n);
    return n;
}

/* The part of t->v that one call moves. */
static int pieces_of(const struct wasi_fs_task *t, struct iovec *out) {
    int n = 0;
    size_t room = FS_SLICE_BYTES;
    for (int i = 0; i < t->count && n < PIECES_MAX && room; i++) {
        if (!t->v[i].iov_len) continue;
        out[n] = (struct iovec){t->v[i].iov_base, MIN(t->v[i].iov_len, room)};
        room -= out[n++].iov_len;
    }
    return n;
}

static void transfer(struct wasi_fs_task *t, int flags) {
    struct iovec v[PIECES_MAX];
    int n = pieces_of(t, v);
    off_t at = t->offset == FS_END ? 0 : t->offset;
    ssize_t r;
    do
        r = t->op == FS_READ      ? preadv2(t->file->fd, v, n, at, flags)
            : t->offset == FS_END ? pwritev2(t->file->fd, v, n, at, flags | RWF_APPEND)
                                  : pwritev2(t->file->fd, v, n, at, flags);
    while (r < 0 && errno == EINTR);
    t->moved = r > 0 ? (size_t)r : 0;
    t->error = r < 0 ? errno : !r && n && t->op == FS_WRITE ? ENOSPC : 0;
}

static int result_of(int r) { return r < 0 ? errno : 0; }

/* Waits as long as it takes. On any thread. */
static void perform(struct wasi_fs_task *t) {
    switch (t->op) {
    case FS_READ:
    case FS_WRITE: transfer(t, 0); return;
    case FS_SYNC: t->error = result_of(fsync(t->file->fd)); return;
    case FS_DATASYNC: t->error = result_of(fdatasync(t->file->fd)); return;
    case FS_RESIZE: t->error = result_of(ftruncate(t->file->fd, t->offset)); return;
    case FS_ALLOCATE: t->error = result_of(fallocate(t->file->fd, 0, t->offset, t->length)); return;
    case FS_OPEN: t->error = wasi_fs_open(t->file->fd, t->path, &t->how, &t->fd); return;
    case FS_UNLINK: t->error = wasi_fs_unlink(t->file->fd, t->path); return;
    case FS_RENAME: t->error = wasi_fs_rename(t->file->fd, t->path, t->to->fd, t->new_path); return;
    }
}

/* Whether taking away what stands at path frees much. */
static bool frees_much(int dir, str path, bool follow) {
    struct stat st;
    return wasi_fs_stat(dir, path, follow, &st) == 0 && S_ISREG(st.st_mode) && st.st_blocks > LARGE_BYTES / 512;
}

static bool shrinks_much(const struct wasi_fs_task *t) {
    struct stat st;
    return fstat(t->file->fd, &st) == 0 && st.st_blocks > LARGE_BYTES / 512 && t->offset < st.st_size;
}

static bool may_take_long(const struct wasi_fs_task *t) {
    switch (t->op) {
    case FS_READ: return t->file->disk && t->file->slow;
    case FS_WRITE: return t->file->disk && (t->file->slow || t->file->syncs);
    case FS_SYNC:
    case FS_DATASYNC:
    case FS_ALLOCATE: return true;
    case FS_RESIZE: return shrinks_much(t);
    case FS_OPEN: return t->how.truncate && frees_much(t->file->fd, t->path, t->how.follow);
    case FS_UNLINK: return frees_much(t->file->fd, t->path, false);
    case FS_RENAME: return frees_much(t->to->fd, t->new_path, false);
    }
    return false;
}

/* Transfers that the kernel cannot promise to make at once are tried all the same, until one was held up. */
static void perform_timed(struct wasi_fs_task *t) {
    uint64_t began = clock_mono_ns();
    perform(t);
    if (clock_mono_ns() - began > SLOW_NS) t->file->slow = SLOW_COUNT;
}

bool wasi_fs_try(struct wasi_fs_task *t) {
    if (t->op == FS_READ && t->file->disk) {
        transfer(t, RWF_NOWAIT);
        if (t->error == EAGAIN) return false;
        if (t->error != EOPNOTSUPP) return true;
    }
    if (may_take_long(t)) return false;
    if (t->op <= FS_WRITE && t->file->disk) perform_timed(t);
    else perform(t);
    return true;
}

/* ---- on a thread ---- */

struct wasi_fs_job {
    struct wasi_fs_task t;
    struct host_instance *in; /* NULL: not charged */
    struct net_work *work;
    struct net_party *party;
    void (*done)(void *arg, struct wasi_fs_task *t); /* NULL: abandoned */
    void *arg;
    bool orphan; /* in the pool of those */
    uint64_t took_ns;
    size_t charged;
    struct iovec v;
    uint8_t bytes[]; /* of the transfer, or of the paths */
};

/* On a thread there is time for all of a WRITE. */
static void write_whole(struct wasi_fs_job *job) {
    struct wasi_fs_task part = job->t;
    while (job->v.iov_len) {
        transfer(&part, 0);
        job->t.error = part.error;
        if (part.error) return;
        job->t.moved += part.moved;
        job->v = (struct iovec){(uint8_t *)job->v.iov_base + part.moved, job->v.iov_len - part.moved};
        if (part.offset >= 0) part.offset += (int64_t)part.moved;
    }
}

static void work(void *arg) {
    struct wasi_fs_job *job = arg;
    uint64_t began = clock_mono_ns();
    if (job->t.op == FS_WRITE) write_whole(job);
    else perform(&job->t);
    job->took_ns = clock_mono_ns() - began;
}

static void free_job(struct wasi_fs_job *job) {
    wasi_fs_file_unref(job->t.file);
    wasi_fs_file_unref(job->t.to);
    free(job);
}

/* What is written for guests that are gone: their memory is no longer charged to anybody, so there is a pool for it. */
enum { ORPHAN_BYTES = 64 << 10 /* at least, for one: it is also an open file */ };

static size_t weight(const struct wasi_fs_job *job) { return MAX(job->charged, (size_t)ORPHAN_BYTES); }

static void uncharge(struct wasi_fs_job *job) {
    if (job->in) host_uncharge(job->in, job->charged);
}

static void finish(void *arg, bool ran) {
    struct wasi_fs_job *job = arg;
    struct wasi_fs_file *f = job->t.file;
    if (!ran) job->t.error = ENOMEM; /* there is no thread; nobody is told of what was taken back */
    if (ran && job->t.op <= FS_WRITE && f->slow && job->took_ns < SLOW_NS) f->slow--;
    if (job->done) {
        uncharge(job);
        job->done(job->arg, &job->t);
    } else {
        if (job->orphan) net_party_give(job->party, NET_PART_ORPHAN_BYTES, weight(job));
        if (ran && job->t.op == FS_OPEN && !job->t.error) close(job->t.fd);
    }
    free_job(job);
}

static str put_path(uint8_t **at, str path) {
    str own = {*at, path.n};
    if (path.n) memcpy(*at, path.p, path.n);
    *at += path.n;
    return own;
}

static void gather(const struct wasi_fs_task *t, uint8_t *to, size_t n) {
    for (int i = 0; i < t->count && n; i++) {
        size_t part = MIN(n, t->v[i].iov_len);
        if (part) memcpy(to, t->v[i].iov_base, part);
        to += part;
        n -= part;
    }
}

static void scatter(const struct wasi_fs_task *t, str from) {
    for (int i = 0; i < t->count && from.n; i++) {
        size_t part = MIN(from.n, t->v[i].iov_len);
        if (part) memcpy(t->v[i].iov_base, from.p, part);
        from = str_sub(from, part, from.n);
    }
}

struct wasi_fs_job *wasi_fs_defer(struct net_loop *loop, struct host_instance *in, const struct wasi_fs_task *t,
                                  void (*done)(void *arg, struct wasi_fs_task *t), void *arg) {
    bool transfers = t->op <= FS_WRITE;
    size_t n = transfers ? length_of(t) : t->path.n + t->new_path.n, size = sizeof(struct wasi_fs_job) + n;
    if (in && !host_charge(in, size)) return NULL;
    struct wasi_fs_job *job = malloc(size);
    ENSURE(job);
    *job = (struct wasi_fs_job){.t = *t, .in = in, .done = done, .arg = arg, .charged = size};
    wasi_fs_file_ref(t->file);
    if (t->to) wasi_fs_file_ref(t->to);
    uint8_t *at = job->bytes;
    job->t.path = put_path(&at, t->path);
    job->t.new_path = put_path(&at, t->new_path);
    if (transfers) {
        job->v = (struct iovec){job->bytes, n};
        job->t.v = &job->v;
        job->t.count = 1;
        job->t.moved = 0;
        job->t.error = 0;
        if (t->op == FS_WRITE) gather(t, job->bytes, n);
    }
    job->party = in ? app_instance_of(in)->app->party : NULL;
    job->work = net_work_new(loop, job->party, work, finish, job);
    return job;
}

str wasi_fs_job_bytes(const struct wasi_fs_job *job) { return (str){job->bytes, job->t.moved}; }

void wasi_fs_job_abandon(struct wasi_fs_job *job) {
    uncharge(job);
    job->done = NULL;
    job->orphan = job->t.op == FS_WRITE && net_party_take(job->party, NET_PART_ORPHAN_BYTES, weight(job));
    if (!job->orphan) net_work_cancel(job->work);
}

/* ---- on a fiber ---- */

struct waiting {
    struct engine_fiber *fiber;
    struct wasi_fs_job *job;
    struct wasi_fs_task *t;
    bool over;
};

static void resume(void *arg, struct wasi_fs_task *t) {
    struct waiting *w = arg;
    w->t->error = t->error;
    w->t->moved = t->moved;
    w->t->fd = t->fd;
    if (t->op == FS_READ) scatter(w->t, wasi_fs_job_bytes(w->job));
    w->over = true;
    engine_ready(w->fiber);
}

bool wasi_fs_run(struct wasi_instance *i, struct wasi_fs_task *t) {
    if (wasi_fs_try(t)) return true;
    struct waiting w = {.fiber = engine_fiber_current(i->base.app->engine), .t = t};
    w.job = wasi_fs_defer(i->base.app->loop, i->base.in, t, resume, &w);
    if (!w.job) t->error = ENOMEM;
    while (w.job && !w.over)
        if (!engine_park(i->base.app->engine)) {
            if (!w.over) wasi_fs_job_abandon(w.job);
            return false;
        }
    return true;
}

/* t without its first `done` bytes. */
static struct wasi_fs_task rest_of(const struct wasi_fs_task *t, size_t done, struct iovec v[static PIECES_MAX]) {
    struct wasi_fs_task rest = *t;
    rest.v = v;
    rest.count = 0;
    if (t->offset >= 0) rest.offset += (int64_t)done;
    for (int i = 0; i < t->count && rest.count < PIECES_MAX; i++) {
        size_t skip = MIN(done, t->v[i].iov_len);
        done -= skip;
        if (t->v[i].iov_len > skip) v[rest.count++] = (struct iovec){(uint8_t *)t->v[i].iov_base + skip, t->v[i].iov_len - skip};
    }
    return rest;
}

bool wasi_fs_run_all(struct wasi_instance *i, struct wasi_fs_task *t) {
    struct iovec v[PIECES_MAX];
    size_t total = 0;
    for (;;) {
        struct wasi_fs_task part = rest_of(t, total, v);
        if (!wasi_fs_run(i, &part)) return false;
        total += part.moved;
        t->error = total ? 0 : part.error;
        t->moved = total;
        bool over = part.error || !part.moved;
        if (over || !rest_of(t, total, v).count) return true;
        if (!engine_work(i->base.app->engine, part.moved)) return false;
    }
}
