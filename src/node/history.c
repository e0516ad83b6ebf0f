/* history: see history.h. Numbers are little-endian. */
#include "node/history.h"
#include "crypto/crypto.h"
#include "node/wal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    VERSION = 1,
    SUM_BYTES = 16,
    PART_BYTES = 1 << 20, /* of a record's body: a commit that has more is several of them */
    NOTES_MAX = 4096,     /* commits that are noted and not taken; more have the time of the last one */
    GAP = 16,             /* bytes that are the same between two runs, and cheaper kept than left out */
    BODY_BYTES_MAX = 4 << 20,
};

struct head {
    char magic[8]; /* "orlohist" */
    uint32_t version, page_bytes;
    uint8_t generation[HISTORY_GENERATION_BYTES];
    uint64_t first, began_ms;
    uint8_t unused[8], sum[SUM_BYTES];
};
enum flags { LAST = 1 /* of a commit's parts */, MARK = 2 /* no commit: where it stands; a body of the file's size and time */ };
struct record {
    uint32_t magic, bytes; /* of what follows it */
    uint64_t commit, at_ms;
    uint8_t salts[8];
    uint32_t frames, pages; /* of the log, with it; of the database */
    uint32_t part, flags;
    uint8_t sum[SUM_BYTES]; /* of all of it before, and what follows */
};
static_assert(sizeof(struct head) == 64 && sizeof(struct record) == 64, "as they are on the disk");
static const uint32_t record_magic = 0x54494d43; /* "CMIT" */
struct change {                                  /* of a page, with its runs behind it: offset, length (u32 each), bytes */
    uint32_t page, runs;
    uint64_t sum; /* of the page with them */
};

struct note {
    uint8_t salts[8];
    uint32_t frames;
    uint64_t at_ms;
};
struct history {
    char name[320];
    int main, wal, segment, times; /* times: notes, as they are here, for who comes after this process was killed */
    bool own_files, gap, made;     /* made: a file, and it is not on the disk yet that there is one of that name */
    uint64_t bytes_max, ms_max;
    struct record last; /* that was written */
    struct head head;   /* of the segment */
    uint64_t segment_bytes, recovered_ms;
    struct wal_cursor at;  /* in the log: all before it was taken */
    uint32_t *frames, cap; /* of each page: its last frame of this log, from 1 */
    uint8_t *page, *before;
    pthread_mutex_t lock; /* of what follows */
    struct note *notes;
    uint32_t notes_count, times_count; /* here; in the file */
};

static uint64_t now_ms(void) { return clock_wall_ns() / 1'000'000u; }

static err cannot(struct diag *d, const char *what) {
    bool full = errno == ENOSPC || errno == EDQUOT;
    return diag_set(d, full ? ERR_LIMIT : ERR_IO, DIAG_NOWHERE, "its history cannot be %s: %s", what, strerror(errno));
}

static uint32_t be32(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

/* ---- sums ---- */

static void sum_of(const void *a, size_t n, str b, uint8_t sum[static SUM_BYTES]) {
    uint8_t digest[CRYPTO_SHA256_BYTES];
    struct crypto_sha256_stream *s = crypto_sha256_begin();
    crypto_sha256_add(s, (str){a, n});
    crypto_sha256_add(s, b);
    crypto_sha256_end(s, digest);
    memcpy(sum, digest, SUM_BYTES);
}

static uint64_t sum_of_page(const uint8_t *p, size_t n) {
    uint64_t sum = n;
    for (size_t i = 0; i < n; i += 8) {
        uint64_t word;
        memcpy(&word, p + i, 8);
        sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
        sum ^= sum >> 29;
    }
    return sum;
}

/* ---- segments ---- */

static bool is_hex(const char *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f'))) return false;
    return true;
}

enum { GENERATION_DIGITS = 16, FIRST_DIGITS = 12, SUFFIX = sizeof "-history-" - 1 + GENERATION_DIGITS + 1 + FIRST_DIGITS };
static const char infix[] = "-history-";

bool node_history_is_segment(const char *file) {
    size_t n = strlen(file);
    const char *at = n > SUFFIX ? file + n - SUFFIX : "";
    return !strncmp(at, infix, sizeof infix - 1) && is_hex(at + sizeof infix - 1, GENERATION_DIGITS) &&
           at[SUFFIX - FIRST_DIGITS - 1] == '-' && is_hex(at + SUFFIX - FIRST_DIGITS, FIRST_DIGITS);
}

static void name_segment(const char *database, const struct head *head, char to[static HISTORY_NAME_MAX]) {
    int n = snprintf(to, HISTORY_NAME_MAX, "%s%s", database, infix);
    for (size_t i = 0; i < HISTORY_GENERATION_BYTES; i++)
        n += snprintf(to + n, (size_t)(HISTORY_NAME_MAX - n), "%02x", head->generation[i]);
    snprintf(to + n, (size_t)(HISTORY_NAME_MAX - n), "-%0*llx", FIRST_DIGITS, (unsigned long long)head->first);
}

static bool read_head(int fd, struct head *head) {
    uint8_t sum[SUM_BYTES];
    if (pread(fd, head, sizeof *head, 0) != (ssize_t)sizeof *head) return false;
    sum_of(head, offsetof(struct head, sum), (str){0}, sum);
    return !memcmp(head->magic, "orlohist", 8) && head->version == VERSION && !memcmp(sum, head->sum, sizeof sum) &&
           head->page_bytes >= 512 && head->page_bytes <= 65536;
}

/* The record at `at`, and its body in p, of BODY_BYTES_MAX. False: there is none, or it is damaged; which of both, *there says. */
static bool read_record(int fd, uint64_t at, struct record *r, uint8_t *p, bool *there) {
    uint8_t sum[SUM_BYTES];
    *there = pread(fd, r, sizeof *r, (off_t)at) == (ssize_t)sizeof *r;
    if (!*there || r->magic != record_magic || r->bytes > BODY_BYTES_MAX) return false;
    if (pread(fd, p, r->bytes, (off_t)(at + sizeof *r)) != (ssize_t)r->bytes) return *there = false;
    sum_of(r, offsetof(struct record, sum), (str){p, r->bytes}, sum);
    return !memcmp(sum, r->sum, sizeof sum);
}

struct listed {
    char *name; /* of the file, without its folder */
    struct head head;
    uint64_t bytes, changed_ms;
};
typedef VEC(struct listed) list;

static int by_age(const void *a, const void *b) {
    const struct head *x = &((const struct listed *)a)->head, *y = &((const struct listed *)b)->head;
    if (x->began_ms != y->began_ms) return x->began_ms < y->began_ms ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

/* Those of a database, the oldest first. */
static void list_segments(arena *mem, int folder, const char *file, list *out) {
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    size_t n = strlen(file);
    if (fd >= 0 && !dir) close(fd);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        struct listed l = {0};
        struct stat st;
        const char *name = entry->d_name;
        if (strncmp(name, file, n) != 0 || strlen(name) != n + SUFFIX || !node_history_is_segment(name)) continue;
        int segment = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        bool ok = segment >= 0 && read_head(segment, &l.head) && fstat(segment, &st) == 0;
        if (segment >= 0) close(segment);
        if (!ok) continue;
        l.name = arena_cstr(mem, str_c(name));
        l.bytes = (uint64_t)st.st_size;
        l.changed_ms = (uint64_t)st.st_mtim.tv_sec * 1000;
        vec_push(mem, out, l);
    }
    if (dir) closedir(dir);
    if (out->n) qsort(out->p, out->n, sizeof *out->p, by_age);
}

/* "shop.17/app.db": its folder's descriptor, and what it is called in there. */
static int folder_of(const char *name, const char **file) {
    char folder[320];
    size_t slash = str_find(str_c(name), '/');
    *file = name[slash] ? name + slash + 1 : name;
    snprintf(folder, sizeof folder, "%.*s", name[slash] ? (int)slash : 1, name[slash] ? name : ".");
    return openat(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Where what is whole of a segment ends, and the last record there that ends a commit. False: it has none. */
static bool find_end(int fd, uint64_t *end, struct record *last) {
    uint8_t *body = malloc(BODY_BYTES_MAX);
    struct record r;
    bool there, any = false;
    ENSURE(body);
    *end = sizeof(struct head);
    for (uint64_t at = *end; read_record(fd, at, &r, body, &there);) {
        at += sizeof r + r.bytes;
        if (!(r.flags & (LAST | MARK))) continue;
        *last = r, *end = at;
        any = true;
    }
    free(body);
    return any;
}

/* The same, of a segment that this node wrote: only its last record is summed, the others are passed over. begun: none in it ends a commit, nor ever did,
 * as whoever wrote it was killed before the first one was whole. */
static bool find_own_end(int fd, uint64_t *end, struct record *last, bool *begun) {
    enum { WINDOW = 256 << 10 };
    struct stat st;
    struct record r;
    uint8_t *p = malloc(BODY_BYTES_MAX);
    uint64_t found = 0, from = 0, n = 0;
    bool there;
    ENSURE(p);
    if (fstat(fd, &st)) st.st_size = 0;
    for (uint64_t at = sizeof(struct head), size = (uint64_t)st.st_size; at + sizeof r <= size; at += sizeof r + r.bytes) {
        if (at + sizeof r > from + n) {
            ssize_t got = pread(fd, p, WINDOW, (off_t)at);
            from = at, n = got > 0 ? (uint64_t)got : 0;
            if (n < sizeof r) break;
        }
        memcpy(&r, p + (at - from), sizeof r);
        if (r.magic != record_magic || r.bytes > BODY_BYTES_MAX || r.bytes > size - at - sizeof r) break;
        if (r.flags & (LAST | MARK)) found = at;
    }
    *begun = !found;
    bool ok = found && read_record(fd, found, last, p, &there);
    if (ok) *end = found + sizeof *last + last->bytes;
    free(p);
    return ok || (found && find_end(fd, end, last));
}

/* The newest one in which a commit ended, at its end, and which it is; what is behind that was begun, and no more. -1: there is none, which is -1 too, or
 * it is damaged. */
static int open_newest(int folder, const list *all, int flags, uint64_t *end, struct record *last, int64_t *which) {
    for (*which = (int64_t)all->n - 1; *which >= 0; --*which) {
        bool begun;
        int fd = openat(folder, all->p[*which].name, flags | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) return -1;
        if (find_own_end(fd, end, last, &begun)) return fd;
        close(fd);
        if (!begun) return -1;
    }
    return -1;
}

/* ---- writing ---- */

/* More than may be kept goes: the oldest first, and never the one that is written to. Of what is too old one at a time: a clock that is wrong for a minute
 * takes no more than that. */
static void prune(struct history *h) {
    arena *mem = arena_new(0);
    const char *file;
    list all = {0};
    int folder = folder_of(h->name, &file);
    uint64_t bytes = 0, now = now_ms();
    if (folder >= 0) list_segments(mem, folder, file, &all);
    for (uint32_t i = 0; i < all.n; i++) bytes += all.p[i].bytes;
    for (uint32_t i = 0; i + 1 < all.n; i++) {
        bool old = !i && all.p[i].changed_ms + h->ms_max < now;
        if (!old && bytes <= h->bytes_max) break;
        if (unlinkat(folder, all.p[i].name, 0) == 0) bytes -= all.p[i].bytes;
    }
    if (folder >= 0) close(folder);
    arena_free(mem);
}

static err put(struct history *h, const void *p, size_t n, struct diag *d) {
    for (size_t done = 0; done < n;) {
        ssize_t w = pwrite(h->segment, (const uint8_t *)p + done, n - done, (off_t)(h->segment_bytes + done));
        if (w < 0 && errno == EINTR) continue;
        if (w <= 0) return cannot(d, "written");
        done += (size_t)w;
    }
    h->segment_bytes += n;
    return ERR_OK;
}

static err new_segment(struct history *h, struct diag *d) {
    char name[HISTORY_NAME_MAX];
    if (h->segment >= 0) {
        bool ok = fdatasync(h->segment) == 0;
        close(h->segment), h->segment = -1;
        if (!ok) return cannot(d, "written");
    }
    h->head.version = VERSION, h->head.page_bytes = h->at.page_bytes;
    memcpy(h->head.magic, "orlohist", 8);
    h->head.first = h->last.commit + 1;
    h->head.began_ms = MAX(now_ms(), h->head.began_ms + 1);
    sum_of(&h->head, offsetof(struct head, sum), (str){0}, h->head.sum);
    name_segment(h->name, &h->head, name);
    h->segment = openat(AT_FDCWD, name, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    h->segment_bytes = 0;
    if (h->segment < 0) return cannot(d, "made");
    h->made = true;
    TRY(put(h, &h->head, sizeof h->head, d));
    prune(h);
    return ERR_OK;
}

static err put_record(struct history *h, struct record *r, str body, struct diag *d) {
    r->magic = record_magic, r->bytes = (uint32_t)body.n;
    sum_of(r, offsetof(struct record, sum), body, r->sum);
    uint64_t before = h->segment_bytes;
    err e = put(h, r, sizeof *r, d);
    if (e == ERR_OK) e = put(h, body.p, body.n, d);
    if (e != ERR_OK) h->segment_bytes = before;
    return e;
}

/* Where it stands, without a commit: the file as it is. */
static err put_mark(struct history *h, struct diag *d) {
    struct stat st;
    struct record r = h->last;
    uint64_t body[2];
    if (fstat(h->main, &st)) return cannot(d, "written");
    body[0] = (uint64_t)st.st_size, body[1] = (uint64_t)st.st_mtim.tv_sec * 1'000'000'000u + (uint64_t)st.st_mtim.tv_nsec;
    memcpy(r.salts, h->at.salts, sizeof r.salts);
    r.frames = h->at.frames, r.part = 0, r.flags = MARK;
    TRY(put_record(h, &r, (str){(const uint8_t *)body, sizeof body}, d));
    h->last = r;
    return ERR_OK;
}

/* ---- pages ---- */

static void forget_frames(struct history *h) {
    free(h->frames);
    h->frames = NULL, h->cap = 0;
}

static void set_frame(struct history *h, uint32_t page, uint32_t frame) {
    if (page > h->cap) {
        uint32_t to = MAX(page, MIN(h->cap, UINT32_MAX / 2) * 2);
        uint32_t *grown = calloc(to, sizeof *grown);
        ENSURE(grown);
        if (h->frames) memcpy(grown, h->frames, (size_t)h->cap * sizeof *grown);
        free(h->frames);
        h->frames = grown, h->cap = to;
    }
    h->frames[page - 1] = frame;
}

/* What a page was before; false: it was not there. */
static bool page_before(const struct history *h, uint32_t page) {
    uint32_t frame = page <= h->cap ? h->frames[page - 1] : 0, n = h->at.page_bytes;
    if (frame) return node_wal_frame(h->wal, n, frame, &page, h->before);
    return page <= h->last.pages && pread(h->main, h->before, n, (off_t)(page - 1) * n) == (ssize_t)n;
}

static void put_run(struct buf *to, const uint8_t *page, uint32_t from, uint32_t end) {
    uint32_t head[2] = {from, end - from};
    buf_put(to, head, sizeof head);
    buf_put(to, page + from, end - from);
}

/* Where before and page differ; before NULL: all of it. */
static uint32_t put_runs(struct buf *to, const uint8_t *before, const uint8_t *page, uint32_t n) {
    uint32_t runs = 0, from = 0, end = 0;
    if (!before) {
        put_run(to, page, 0, n);
        return 1;
    }
    for (uint32_t i = 0; i < n; i += 8) {
        if (!memcmp(before + i, page + i, 8)) continue;
        if (end && i - end > GAP) put_run(to, page, from, end), runs++, end = 0;
        if (!end) from = i;
        end = i + 8;
    }
    if (end) put_run(to, page, from, end), runs++;
    return runs;
}

static void put_change(struct history *h, struct buf *body, uint32_t page) {
    size_t at = body->n;
    struct change c = {.page = page, .sum = sum_of_page(h->page, h->at.page_bytes)};
    buf_put(body, &c, sizeof c);
    c.runs = put_runs(body, page_before(h, page) ? h->before : NULL, h->page, h->at.page_bytes);
    memcpy(body->p + at, &c, sizeof c);
}

/* ---- commits ---- */

/* The first note that has it: those that were taken stay until drop_notes, as the file has them. */
static uint64_t time_of(struct history *h, const struct wal_cursor *end) {
    uint64_t at_ms = h->recovered_ms ? h->recovered_ms : now_ms();
    pthread_mutex_lock(&h->lock);
    for (uint32_t i = 0; i < h->notes_count; i++) {
        const struct note *n = &h->notes[i];
        if (memcmp(n->salts, end->salts, sizeof n->salts) != 0 || n->frames < end->frames) continue;
        at_ms = n->at_ms;
        break;
    }
    pthread_mutex_unlock(&h->lock);
    return MAX(at_ms, h->last.at_ms);
}

/* From `h->at` to `end`, whose last frame ends a commit. */
static err put_commit(struct history *h, const struct wal_cursor *end, uint32_t pages, struct diag *d) {
    struct record r = {.commit = h->last.commit + 1, .at_ms = time_of(h, end), .frames = end->frames, .pages = pages};
    struct buf body = {0};
    err e = ERR_OK;
    memcpy(r.salts, end->salts, sizeof r.salts);
    if (h->segment_bytes > HISTORY_SEGMENT_BYTES) TRY(new_segment(h, d));
    uint64_t before = h->segment_bytes;
    for (uint32_t frame = h->at.frames + 1; frame <= end->frames && e == ERR_OK; frame++) {
        uint32_t page;
        if (!node_wal_frame(h->wal, h->at.page_bytes, frame, &page, h->page)) {
            errno = EIO;
            e = cannot(d, "read");
            break;
        }
        put_change(h, &body, page);
        set_frame(h, page, frame);
        bool last = frame == end->frames;
        if (!last && body.n < PART_BYTES) continue;
        r.flags = last ? LAST : 0;
        e = put_record(h, &r, buf_str(&body), d);
        r.part++, body.n = 0;
    }
    buf_free(&body);
    if (e != ERR_OK) {
        h->segment_bytes = before;
        return e;
    }
    for (uint32_t page = pages + 1; page <= h->cap; page++) h->frames[page - 1] = 0; /* they are no more */
    h->last = r;
    h->at = *end;
    return ERR_OK;
}

/* The next commit's end in the log, from c. */
static bool next_commit(const struct history *h, struct wal_cursor *c, uint32_t *pages) {
    uint32_t page;
    while (node_wal_next(h->wal, c, h->page, &page, pages))
        if (*pages) return true;
    return false;
}

/* ---- times, and gaps ---- */

/* A time that is lost is later than it was, and nothing else: the rest goes on. */
static void keep_times(struct history *h) {
    ssize_t n = (ssize_t)(h->notes_count * sizeof *h->notes);
    if (n && pwrite(h->times, h->notes, (size_t)n, 0) != n) n = 0;
    if (ftruncate(h->times, n)) {}
    h->times_count = h->notes_count;
}

/* Of notes. It is there as long as nothing is missing in the history: only what begins one makes it. */
static err open_times(struct history *h, bool make, struct diag *d) {
    char name[sizeof h->name + 16];
    snprintf(name, sizeof name, "%s-history-times", h->name);
    int times = openat(AT_FDCWD, name, O_RDWR | (make ? O_CREAT : 0) | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (times < 0) return make || errno != ENOENT ? cannot(d, "made") : ERR_OK;
    pthread_mutex_lock(&h->lock);
    if (h->times >= 0) close(h->times);
    h->times = times;
    ssize_t n = make ? 0 : pread(times, h->notes, NOTES_MAX * sizeof *h->notes, 0);
    if (make) keep_times(h);
    else h->notes_count = h->times_count = n > 0 ? (uint32_t)((size_t)n / sizeof *h->notes) : 0;
    pthread_mutex_unlock(&h->lock);
    return ERR_OK;
}

/* What was made in its folder, or removed, is on the disk. */
static bool sync_folder(const char *name) {
    const char *file;
    int folder = folder_of(name, &file);
    bool ok = folder >= 0 && fsync(folder) == 0;
    if (folder >= 0) close(folder);
    return ok;
}

/* Who opens it after this process is to know it, too. To remove a file asks for no room, and for no descriptor. */
static void remove_times(const char *database) {
    char name[sizeof((struct history){}).name + 16];
    snprintf(name, sizeof name, "%s-history-times", database);
    if (unlinkat(AT_FDCWD, name, 0) == 0 && !sync_folder(database)) {} /* then there is no more to be done */
}

static void set_gap(struct history *h) {
    if (!h->gap) remove_times(h->name);
    h->gap = true;
}

/* The log as it is now is what was taken: from here on commits become records of a new generation. */
static err begin_generation(struct history *h, struct diag *d) {
    struct wal_cursor c;
    struct stat st;
    uint32_t pages, page;
    forget_frames(h);
    h->at = (struct wal_cursor){.page_bytes = h->at.page_bytes};
    if (fstat(h->main, &st)) return cannot(d, "made");
    h->last = (struct record){.pages = (uint32_t)((uint64_t)st.st_size / h->at.page_bytes), .at_ms = h->last.at_ms};
    if (node_wal_begin(h->wal, &c)) {
        for (h->at = c; next_commit(h, &c, &pages); h->at = c) h->last.pages = pages;
        for (uint32_t i = 1; i <= h->at.frames; i++)
            if (node_wal_frame(h->wal, h->at.page_bytes, i, &page, h->page)) set_frame(h, page, i);
    }
    crypto_random(h->head.generation, sizeof h->head.generation);
    TRY(new_segment(h, d));
    TRY(put_mark(h, d));
    if (h->times < 0 || h->gap) TRY(open_times(h, true, d));
    h->gap = false, h->recovered_ms = 0;
    return ERR_OK;
}

/* ---- taking ---- */

/* Those of what was taken go: of the log that it was in; and of one before that which is there now, as none begins before all of the last one is here. */
static void drop_notes(struct history *h) {
    uint8_t now[8];
    uint32_t kept = 0;
    pthread_mutex_lock(&h->lock);
    bool begun = node_wal_salts(h->wal, now);
    for (uint32_t i = 0; i < h->notes_count; i++) {
        const struct note *n = &h->notes[i];
        bool same = !memcmp(n->salts, h->at.salts, sizeof n->salts);
        if (same ? n->frames > h->at.frames : begun && !memcmp(n->salts, now, sizeof now)) h->notes[kept++] = *n;
    }
    h->notes_count = kept;
    if (h->times_count || kept) keep_times(h);
    pthread_mutex_unlock(&h->lock);
}

/* A commit counts in the log before it is known to be on the disk. One that was taken then, and failed, is written over by the next one: by the sums of what
 * is there, or because one was acknowledged that ends before it. */
static bool is_other(struct history *h) {
    bool other = !node_wal_has(h->wal, &h->at);
    pthread_mutex_lock(&h->lock);
    for (uint32_t i = 0; i < h->notes_count; i++)
        other |= !memcmp(h->notes[i].salts, h->at.salts, sizeof h->at.salts) && h->notes[i].frames < h->at.frames;
    pthread_mutex_unlock(&h->lock);
    return other;
}

static err take(struct history *h, struct diag *d) {
    struct wal_cursor c;
    uint32_t pages;
    if (h->gap) return begin_generation(h, d);
    if (!node_wal_begin(h->wal, &c)) { /* nothing is in it */
        h->recovered_ms = 0;
        drop_notes(h);
        return ERR_OK;
    }
    if (c.page_bytes != h->at.page_bytes) return diag_set(d, ERR_IO, DIAG_NOWHERE, "its pages have another size now");
    if (memcmp(c.salts, h->at.salts, sizeof c.salts) != 0 || !h->at.frames) { /* it has begun anew: all before was taken */
        forget_frames(h);
        h->at = c;
    } else if (is_other(h)) return diag_set(d, ERR_IO, DIAG_NOWHERE, "a commit was in it that failed");
    for (c = h->at; next_commit(h, &c, &pages); c = h->at) TRY(put_commit(h, &c, pages, d));
    h->recovered_ms = 0;
    drop_notes(h);
    return ERR_OK;
}

err node_history_take(struct history *h, bool sync, struct diag *d) {
    err e = take(h, d);
    if (e == ERR_OK && sync && (fdatasync(h->segment) || (h->made && !sync_folder(h->name)))) e = cannot(d, "written");
    if (e == ERR_OK && sync) h->made = false;
    if (e == ERR_OK) return e;
    set_gap(h);
    if (h->segment >= 0 && ftruncate(h->segment, (off_t)h->segment_bytes)) {} /* what is cut off is no record */
    return e;
}

void node_history_note(struct history *h, uint32_t frames) {
    struct note n = {.frames = frames, .at_ms = now_ms()};
    if (!frames || !node_wal_salts(h->wal, n.salts))
        return; /* it changed nothing, and no log has it: it is no sign of one that failed */
    pthread_mutex_lock(&h->lock);
    if (h->notes_count < NOTES_MAX) h->notes_count++;
    h->notes[h->notes_count - 1] = n;
    off_t at = (off_t)((h->notes_count - 1) * sizeof n);
    if (pwrite(h->times, &n, sizeof n, at) != (ssize_t)sizeof n) {} /* see keep_times */
    h->times_count++;
    pthread_mutex_unlock(&h->lock);
}

bool node_history_behind(const struct history *h) {
    struct history *own = (struct history *)(uintptr_t)h;
    pthread_mutex_lock(&own->lock);
    bool any = h->notes_count;
    pthread_mutex_unlock(&own->lock);
    return any;
}

/* ---- opening ---- */

static bool same_file(const struct history *h, uint64_t at, const struct record *r) {
    struct stat st;
    uint64_t body[2];
    if (r->bytes != sizeof body || pread(h->segment, body, sizeof body, (off_t)at) != (ssize_t)sizeof body) return false;
    return fstat(h->main, &st) == 0 && body[0] == (uint64_t)st.st_size &&
           body[1] == (uint64_t)st.st_mtim.tv_sec * 1'000'000'000u + (uint64_t)st.st_mtim.tv_nsec;
}

/* The last page that the last record changes, where it is one of a commit's: is it that one? It may be one of a commit that failed, and was written over. */
static bool is_last_change(const struct history *h, uint32_t page, uint32_t pages) {
    const struct record *r = &h->last;
    struct change c = {0};
    if (pages != r->pages) return false;
    if (r->flags & MARK) return true;
    uint8_t *body = malloc(r->bytes + 1u);
    ENSURE(body);
    bool ok = pread(h->segment, body, r->bytes, (off_t)(h->segment_bytes - r->bytes)) == (ssize_t)r->bytes;
    for (struct rd from = rd_of((str){body, r->bytes}); ok && rd_left(&from);) {
        str head = rd_bytes(&from, sizeof c);
        if (!(ok = head.n)) break;
        memcpy(&c, head.p, sizeof c);
        for (uint32_t i = 0, run[2]; ok && i < c.runs; i++) {
            str where = rd_bytes(&from, sizeof run);
            if ((ok = where.n)) memcpy(run, where.p, sizeof run), ok = rd_bytes(&from, run[1]).n == run[1];
        }
    }
    free(body);
    return ok && c.page == page && c.sum == sum_of_page(h->page, h->at.page_bytes);
}

/* Whether nothing was committed between the last record and what the log has now: it is the same log; or the one after it, as SQLite counts its first
 * salt, and none begins before all of the one before was taken; or the file is what it was when it was closed. */
static bool follows(struct history *h) {
    struct wal_cursor c;
    const struct record *r = &h->last;
    uint32_t pages = 0, page = 0;
    bool any = node_wal_begin(h->wal, &c), whole = !r->frames;
    if (any && c.page_bytes != h->at.page_bytes) return false;
    if (r->flags & MARK && !r->frames) {
        if (!same_file(h, h->segment_bytes - r->bytes, r)) return false;
    } else if (!any) return false;
    else if (memcmp(c.salts, r->salts, sizeof c.salts) != 0 && be32(c.salts) != be32(r->salts) + 1) return false;
    else if (!memcmp(c.salts, r->salts, sizeof c.salts)) {
        while (c.frames < r->frames && node_wal_next(h->wal, &c, h->page, &page, &pages)) set_frame(h, page, c.frames);
        whole = c.frames == r->frames && (whole || is_last_change(h, page, pages));
        h->at = c;
        return whole;
    }
    h->at = any ? c : (struct wal_cursor){.page_bytes = h->at.page_bytes};
    return true;
}

/* Opens the newest segment at its end. What was begun behind it goes, and all of it is in the log still: what is in no record on the disk is not brought
 * into the file. False: there is none that can be gone on with; any: there was one. */
static bool go_on(struct history *h, bool *any) {
    arena *mem = arena_new(0);
    const char *file;
    list all = {0};
    int64_t which = -1;
    int folder = folder_of(h->name, &file);
    if (folder >= 0) {
        list_segments(mem, folder, file, &all);
        h->segment = open_newest(folder, &all, O_RDWR, &h->segment_bytes, &h->last, &which);
        for (int64_t i = which + 1; i < all.n; i++)
            if (unlinkat(folder, all.p[i].name, 0)) {} /* it is begun anew under this name */
        close(folder);
    }
    *any = which >= 0;
    if (*any) h->head = all.p[which].head;
    arena_free(mem);
    if (h->segment < 0 || h->head.page_bytes != h->at.page_bytes) return false;
    if (ftruncate(h->segment, (off_t)h->segment_bytes)) return false;
    return h->times >= 0 && follows(h); /* else commits went by that are in no record, whatever it looks like */
}

static uint32_t page_bytes_of(const struct history *h) {
    uint8_t head[100];
    struct wal_cursor c;
    if (pread(h->main, head, sizeof head, 0) == (ssize_t)sizeof head) {
        uint32_t n = (uint32_t)head[16] << 8 | head[17];
        return n == 1 ? 65536 : n;
    }
    return node_wal_begin(h->wal, &c) ? c.page_bytes : 4096;
}

static void free_all(struct history *h) {
    if (h->own_files && h->main >= 0) close(h->main);
    if (h->own_files && h->wal >= 0) close(h->wal);
    if (h->segment >= 0) close(h->segment);
    if (h->times >= 0) close(h->times);
    forget_frames(h);
    pthread_mutex_destroy(&h->lock);
    free(h->notes), free(h->page), free(h->before), free(h);
}

err node_history_open(const struct history_options *o, struct history **out, struct diag *d) {
    struct history *h = calloc(1, sizeof *h);
    struct stat st;
    char log[sizeof h->name + 8];
    ENSURE(h);
    *h = (struct history){.main = o->main,
                          .wal = o->wal,
                          .segment = -1,
                          .times = -1,
                          .own_files = o->main < 0,
                          .bytes_max = o->bytes_max,
                          .ms_max = o->ms_max,
                          .lock = PTHREAD_MUTEX_INITIALIZER};
    snprintf(h->name, sizeof h->name, "%s", o->name);
    snprintf(log, sizeof log, "%s-wal", h->name);
    if (h->own_files) h->main = openat(AT_FDCWD, h->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (h->own_files) h->wal = openat(AT_FDCWD, log, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    err e = h->main >= 0 && h->wal >= 0 ? ERR_OK : cannot(d, "made");
    h->notes = calloc(NOTES_MAX, sizeof *h->notes);
    h->page = malloc(65536), h->before = malloc(65536);
    ENSURE(h->notes && h->page && h->before);
    if (e == ERR_OK) e = open_times(h, false, d);
    if (e == ERR_OK) h->at.page_bytes = page_bytes_of(h);
    if (e == ERR_OK && fstat(h->wal, &st) == 0)
        h->recovered_ms = (uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1'000'000u;
    bool any = false;
    if (e == ERR_OK && !go_on(h, &any)) set_gap(h), e = begin_generation(h, d);
    else any = false; /* it goes on */
    if (e == ERR_OK) drop_notes(h);
    if (e != ERR_OK) {
        remove_times(h->name); /* what is committed from now on is in none */
        free_all(h);
        return e;
    }
    if (any) log_event(LOG_WARN, "history-gap", LF_CSTR("database", h->name), LF_CSTR("reason", "it was written without one"));
    prune(h);
    *out = h;
    return ERR_OK;
}

/* Where all of the log is in the file, which is as it will be found. What was not taken is in the log. */
void node_history_close(struct history *h) {
    struct diag d = DIAG_INIT;
    struct wal_cursor c;
    if (!h) return;
    if (!h->gap && !node_wal_begin(h->wal, &c)) {
        h->at = (struct wal_cursor){.page_bytes = h->at.page_bytes};
        if (put_mark(h, &d) != ERR_OK && ftruncate(h->segment, (off_t)h->segment_bytes)) {} /* the next one begins a generation */
    }
    free_all(h);
}

void node_history_none(const char *name) {
    arena *mem = arena_new(0);
    const char *file;
    list all = {0};
    int folder = folder_of(name, &file);
    if (folder >= 0) list_segments(mem, folder, file, &all);
    for (uint32_t i = 0; i < all.n; i++) unlinkat(folder, all.p[i].name, 0);
    if (folder >= 0) close(folder);
    arena_free(mem);
    remove_times(name);
}

/* ---- going back ---- */

bool node_history_end(int folder, const char *name, struct history_position *p) {
    arena *mem = arena_new(0);
    list all = {0};
    struct record last;
    uint64_t end;
    int64_t which;
    *p = (struct history_position){0};
    list_segments(mem, folder, name, &all);
    int fd = open_newest(folder, &all, O_RDONLY, &end, &last, &which);
    if (fd >= 0) memcpy(p->generation, all.p[which].head.generation, sizeof p->generation), p->commit = last.commit;
    if (fd >= 0) close(fd);
    arena_free(mem);
    return fd >= 0;
}

struct place { /* of a record: its segment, and where in there */
    int fd;
    uint64_t at;
};
struct going {
    int database;
    uint32_t page_bytes, pages;
    uint8_t *body, *page;
    VEC(struct place) records; /* that are to be applied */
    struct page_sum {          /* of each page that was changed, as often as it was */
        uint32_t page, nth;
        uint64_t sum;
    } * sums;
    size_t sums_count, sums_cap;
    arena *mem;
};

static err damaged(struct diag *d) {
    return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "a segment of its history is damaged: a moment before it may be reached");
}

/* Those of the generation in the order of their first commits, each once: the longer one of two. */
static uint32_t choose(struct listed *all, uint32_t n, const struct history_position *p) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++)
        if (!memcmp(all[i].head.generation, p->generation, sizeof p->generation)) all[kept++] = all[i];
    if (kept) qsort(all, kept, sizeof *all, by_age);
    n = kept, kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct listed *before = kept ? &all[kept - 1] : NULL;
        if (!before || before->head.first != all[i].head.first) all[kept++] = all[i];
        else if (before->bytes < all[i].bytes) *before = all[i];
    }
    return kept;
}

struct scan {
    uint64_t commit, until_ms, reached_ms;
    bool has_image, over; /* has_image: what the image is of was passed */
    bool found, gap;      /* there is a segment that goes on from it; a commit is missing */
    uint32_t parts;       /* of the commit that is being read */
};

/* Which records are to be applied: from the first commit that may not be in the image on, to the time, and in any case to where the image is. */
static err scan_segment(struct going *g, int fd, const struct history_position *p, struct scan *s, struct diag *d) {
    struct record r;
    bool there;
    for (uint64_t at = sizeof(struct head); !s->over; at += sizeof r + r.bytes) {
        if (!read_record(fd, at, &r, g->body, &there)) return there ? damaged(d) : ERR_OK;
        bool image = p->frames && r.frames == p->frames && !memcmp(r.salts, p->salts, sizeof p->salts);
        if (r.flags & MARK || r.commit <= s->commit) {
            s->has_image |= image;
            continue;
        }
        s->gap = r.commit != s->commit + 1;
        s->over = s->gap || (r.at_ms > s->until_ms && (s->has_image || !p->frames));
        if (s->over) break;
        if (!r.part) g->records.n -= s->parts, s->parts = 0;
        vec_push(g->mem, &g->records, ((struct place){fd, at}));
        s->parts++;
        if (!(r.flags & LAST)) continue;
        s->has_image |= image, s->parts = 0;
        s->commit = r.commit, s->reached_ms = r.at_ms, g->pages = r.pages;
    }
    return ERR_OK;
}

/* Another generation began after this one, before that moment: what came between is in neither. */
static bool is_over(const struct listed *all, uint32_t n, const struct history_position *p, uint64_t until_ms) {
    uint64_t last = 0;
    bool over = false;
    for (uint32_t i = 0; i < n; i++)
        if (!memcmp(all[i].head.generation, p->generation, sizeof p->generation)) last = MAX(last, all[i].head.began_ms);
    for (uint32_t i = 0; i < n; i++) over |= all[i].head.began_ms > last && all[i].head.began_ms <= until_ms;
    return over;
}

static err bad_write(struct diag *d) {
    return diag_set(d, errno == ENOSPC || errno == EDQUOT ? ERR_LIMIT : ERR_IO, DIAG_NOWHERE, "it cannot be written: %s",
                    strerror(errno));
}

static int by_page(const void *a, const void *b) {
    const struct page_sum *x = a, *y = b;
    if (x->page != y->page) return x->page < y->page ? -1 : 1;
    return x->nth < y->nth ? -1 : x->nth > y->nth;
}

/* Of each page the last one stays. */
static void keep_last_sums(struct going *g) {
    size_t kept = 0;
    if (g->sums_count) qsort(g->sums, g->sums_count, sizeof *g->sums, by_page);
    for (size_t i = 0; i < g->sums_count; i++) {
        if (i + 1 < g->sums_count && g->sums[i + 1].page == g->sums[i].page) continue;
        g->sums[kept] = g->sums[i], g->sums[kept].nth = 0;
        kept++;
    }
    g->sums_count = kept;
}

/* By what was changed, not by what a page's number is, which may be any. */
static void remember_sum(struct going *g, const struct change *c) {
    if (g->sums_count == g->sums_cap) {
        keep_last_sums(g);
        if (g->sums_count > g->sums_cap / 2 || !g->sums_cap) {
            g->sums_cap = MAX(g->sums_cap * 2, (size_t)1024);
            g->sums = realloc(g->sums, g->sums_cap * sizeof *g->sums);
            ENSURE(g->sums);
        }
    }
    uint32_t nth = (uint32_t)g->sums_count + 1; /* behind those that were kept */
    g->sums[g->sums_count++] = (struct page_sum){c->page, nth, c->sum};
}

static err apply_record(struct going *g, const struct place *at, struct diag *d) {
    struct record r;
    bool there;
    if (!read_record(at->fd, at->at, &r, g->body, &there)) return damaged(d);
    struct rd from = rd_of((str){g->body, r.bytes});
    while (rd_left(&from)) {
        struct change c;
        str head = rd_bytes(&from, sizeof c);
        if (!head.n) return damaged(d);
        memcpy(&c, head.p, sizeof c);
        if (!c.page) return damaged(d);
        for (uint32_t i = 0; i < c.runs; i++) {
            uint32_t run[2];
            str where = rd_bytes(&from, sizeof run);
            if (!where.n) return damaged(d);
            memcpy(run, where.p, sizeof run);
            str bytes = rd_bytes(&from, run[1]);
            if (bytes.n != run[1] || run[0] > g->page_bytes || run[1] > g->page_bytes - run[0]) return damaged(d);
            off_t to = (off_t)(c.page - 1) * g->page_bytes + run[0];
            if (pwrite(g->database, bytes.p, bytes.n, to) != (ssize_t)bytes.n) return bad_write(d);
        }
        remember_sum(g, &c);
    }
    return ERR_OK;
}

/* Each page that was changed is now what it was then. */
static err check_sums(struct going *g, struct diag *d) {
    keep_last_sums(g);
    for (size_t i = 0; i < g->sums_count; i++) {
        const struct page_sum *s = &g->sums[i];
        if (s->page > g->pages) continue; /* it was, and is no more */
        if (pread(g->database, g->page, g->page_bytes, (off_t)(s->page - 1) * g->page_bytes) != (ssize_t)g->page_bytes ||
            sum_of_page(g->page, g->page_bytes) != s->sum)
            return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "page %u is not what its history says: it is of another database",
                            s->page);
    }
    return ERR_OK;
}

static err go_back(struct going *g, struct listed *all, uint32_t n, const struct history_position *p, struct scan *s,
                   struct diag *d) {
    bool over = is_over(all, n, p, s->until_ms);
    uint32_t count = choose(all, n, p), from = 0;
    s->found = count && !over;
    int *fds = arena_array(g->mem, int, count + 1);
    err e = ERR_OK;
    while (from + 1 < count && all[from + 1].head.first <= p->commit) from++;
    for (uint32_t i = 0; i < count; i++) fds[i] = i < from ? -1 : openat(AT_FDCWD, all[i].name, O_RDONLY | O_CLOEXEC);
    for (uint32_t i = from; i < count && e == ERR_OK && !s->over; i++) {
        g->page_bytes = all[i].head.page_bytes;
        e = fds[i] < 0 ? cannot(d, "read") : scan_segment(g, fds[i], p, s, d);
    }
    g->records.n -= s->parts;
    if (e == ERR_OK && p->frames && !s->has_image)
        g->records.n = 0, s->reached_ms = 0, s->found = false; /* it does not go on to where the image is */
    for (uint32_t i = 0; i < g->records.n && e == ERR_OK; i++) e = apply_record(g, &g->records.p[i], d);
    if (e == ERR_OK && g->records.n && ftruncate(g->database, (off_t)g->pages * g->page_bytes)) e = bad_write(d);
    if (e == ERR_OK && g->records.n) e = check_sums(g, d);
    for (uint32_t i = 0; i < count; i++)
        if (fds[i] >= 0) close(fds[i]);
    return e;
}

err node_history_apply(int database, const struct history_position *p, const char *const *segments, uint32_t n, uint64_t until_ms,
                       uint64_t *reached_ms, bool *whole, struct diag *d) {
    struct going g = {.database = database, .body = malloc(BODY_BYTES_MAX), .page = malloc(65536), .mem = arena_new(0)};
    struct scan s = {.commit = p->commit, .until_ms = until_ms};
    list all = {0};
    ENSURE(g.body && g.page);
    for (uint32_t i = 0; i < n; i++) {
        struct listed l = {.name = arena_cstr(g.mem, str_c(segments[i]))};
        struct stat st;
        int fd = openat(AT_FDCWD, l.name, O_RDONLY | O_CLOEXEC);
        bool ok = fd >= 0 && read_head(fd, &l.head) && fstat(fd, &st) == 0;
        if (fd >= 0) close(fd);
        if (!ok) continue;
        l.bytes = (uint64_t)st.st_size;
        vec_push(g.mem, &all, l);
    }
    err e = go_back(&g, all.p, all.n, p, &s, d);
    *reached_ms = e == ERR_OK ? s.reached_ms : 0;
    *whole = e == ERR_OK && s.found && !s.gap;
    free(g.body), free(g.page), free(g.sums);
    arena_free(g.mem);
    return e;
}
