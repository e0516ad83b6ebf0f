/* pack: see pack.h. */
#include "node/pack.h"
#include "crypto/crypto.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LAYOUT = 1,
    HEAD_BYTES = 8,
    TAIL_BYTES = 24,
    FILE_BYTES_MIN = 4 + 1 + 24 + NODE_PACK_DIGEST_BYTES,
    COPY_BYTES = 256 << 10
};
static const char magic[4] = {'o', 'r', 'l', 'p'};

bool node_pack_path_ok(str path) {
    if (!path.n || path.n > NODE_PACK_PATH_MAX) return false;
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] < ' ' || path.p[i] == 0x7f) return false;
    for (str rest = path, name;;) {
        bool more = str_cut(rest, '/', &name, &rest);
        if (!name.n || str_eqc(name, ".") || str_eqc(name, "..")) return false;
        if (!more) return true;
    }
}

/* ---- making one ---- */

struct node_pack_writer {
    int fd;
    uint64_t at;
    uint32_t count;
    struct buf index, last; /* last: path */
    uint8_t *copy;
    err failed;
};

static err write_all(int fd, const void *bytes, size_t n, struct diag *d) {
    for (const uint8_t *p = bytes; n;) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return diag_set(d, ERR_IO, DIAG_NOWHERE, "a pack of static files cannot be written: %s", strerror(errno));
        p += done, n -= (size_t)done;
    }
    return ERR_OK;
}

static void put_u32(struct buf *to, uint32_t v) { buf_put(to, &v, 4); }
static void put_u64(struct buf *to, uint64_t v) { buf_put(to, &v, 8); }

struct node_pack_writer *node_pack_begin(int fd) {
    struct node_pack_writer *w = calloc(1, sizeof *w);
    ENSURE(w && (w->copy = malloc(COPY_BYTES)));
    struct buf head = {0};
    buf_put(&head, magic, sizeof magic);
    put_u32(&head, LAYOUT);
    w->fd = fd;
    w->at = HEAD_BYTES;
    w->failed = write_all(fd, head.p, head.n, NULL);
    buf_free(&head);
    return w;
}

static err copy(struct node_pack_writer *w, int from, uint64_t start, uint64_t bytes, uint8_t digest[NODE_PACK_DIGEST_BYTES],
                struct diag *d) {
    struct crypto_sha256_stream *h = crypto_sha256_begin();
    uint64_t at = 0;
    err e = ERR_OK;
    while (e == ERR_OK && at < bytes) {
        ssize_t n = pread(from, w->copy, (size_t)MIN(bytes - at, (uint64_t)COPY_BYTES), (off_t)(start + at));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            e = diag_set(d, ERR_IO, DIAG_NOWHERE, "a static file is shorter than it was, or cannot be read: %s",
                         n ? strerror(errno) : "it ends");
            break;
        }
        crypto_sha256_add(h, (str){w->copy, (size_t)n});
        e = write_all(w->fd, w->copy, (size_t)n, d);
        at += (uint64_t)n;
    }
    crypto_sha256_end(h, digest);
    return e;
}

static err may_add(const struct node_pack_writer *w, str path, struct diag *d) {
    if (w->failed != ERR_OK) return diag_set(d, w->failed, DIAG_NOWHERE, "a pack of static files cannot be written");
    if (!node_pack_path_ok(path))
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE,
                        "the static file '" STR_FMT
                        "' cannot be served: its path has control characters, an empty part or dots alone, or "
                        "more than %d bytes; give it another name",
                        STR_ARG(str_sub(path, 0, 200)), NODE_PACK_PATH_MAX);
    if (w->last.n && str_cmp(buf_str(&w->last), path) >= 0)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "the static file '" STR_FMT "' is there twice",
                        STR_ARG(str_sub(path, 0, 200)));
    if (w->count == NODE_PACK_FILES_MAX || w->index.n + path.n + 64 > NODE_PACK_INDEX_MAX)
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE,
                        "a folder of static files has more than %d files, or paths of more than %d MiB", NODE_PACK_FILES_MAX,
                        NODE_PACK_INDEX_MAX >> 20);
    return ERR_OK;
}

err node_pack_add(struct node_pack_writer *w, str path, int from, uint64_t start, uint64_t bytes, uint64_t modified,
                  struct diag *d) {
    uint8_t digest[NODE_PACK_DIGEST_BYTES];
    err e = may_add(w, path, d);
    if (e == ERR_OK) e = w->failed = copy(w, from, start, bytes, digest, d);
    TRY(e);
    put_u32(&w->index, (uint32_t)path.n);
    buf_puts(&w->index, path);
    put_u64(&w->index, w->at), put_u64(&w->index, bytes), put_u64(&w->index, modified);
    buf_put(&w->index, digest, sizeof digest);
    w->last.n = 0;
    buf_puts(&w->last, path);
    w->at += bytes;
    w->count++;
    return ERR_OK;
}

err node_pack_end(struct node_pack_writer *w, uint8_t digest[NODE_PACK_DIGEST_BYTES], struct diag *d) {
    struct buf index = {0};
    put_u32(&index, w->count);
    buf_puts(&index, buf_str(&w->index));
    crypto_sha256(buf_str(&index), digest);
    uint64_t bytes = index.n;
    buf_put(&index, magic, sizeof magic);
    put_u32(&index, LAYOUT);
    put_u64(&index, w->at), put_u64(&index, bytes);
    err e = w->failed != ERR_OK ? diag_set(d, w->failed, DIAG_NOWHERE, "a pack of static files cannot be written")
                                : write_all(w->fd, index.p, index.n, d);
    buf_free(&index);
    buf_free(&w->index);
    buf_free(&w->last);
    free(w->copy);
    free(w);
    return e;
}

/* ---- reading it ---- */

struct node_pack {
    arena *mem;
    int fd;
    uint32_t count, refs;
    struct node_pack_file *files;
    uint64_t *warm_ns; /* of each file, when it was last read without a disk; NULL: none was */
    uint64_t memory;
};

void node_pack_read_index(arena *out, struct rd *from, uint64_t contents_end, struct node_pack_file **files, uint32_t *count) {
    uint32_t n = rd_u32le(from);
    if (n > NODE_PACK_FILES_MAX || n > rd_left(from) / FILE_BYTES_MIN) rd_fail(from, "more files than there may be");
    *count = from->fail ? 0 : n;
    *files = arena_array(out, struct node_pack_file, *count);
    for (uint32_t i = 0; i < *count && !from->fail; i++) {
        struct node_pack_file *f = &(*files)[i];
        f->path = rd_bytes(from, rd_u32le(from));
        f->at = rd_u64le(from);
        f->bytes = rd_u64le(from);
        f->modified = rd_u64le(from);
        str digest = rd_bytes(from, NODE_PACK_DIGEST_BYTES);
        if (from->fail) break;
        memcpy(f->digest, digest.p, digest.n);
        if (!node_pack_path_ok(f->path)) rd_fail(from, "no path of a file");
        else if (i && str_cmp(f[-1].path, f->path) >= 0) rd_fail(from, "files that are not in order");
        else if (f->at < HEAD_BYTES || f->at > contents_end || f->bytes > contents_end - f->at)
            rd_fail(from, "a file outside of the pack");
    }
    if (!from->fail && rd_left(from)) rd_fail(from, "bytes behind the index");
}

static err read_at(int fd, void *to, size_t n, uint64_t at, struct diag *d) {
    for (uint8_t *p = to; n;) {
        ssize_t got = pread(fd, p, n, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0)
            return diag_set(d, got ? ERR_IO : ERR_MALFORMED, DIAG_NOWHERE, "a pack of static files cannot be read: %s",
                            got ? strerror(errno) : "it is cut short");
        p += got, at += (uint64_t)got, n -= (size_t)got;
    }
    return ERR_OK;
}

static err read_pack(struct node_pack *p, const uint8_t digest[NODE_PACK_DIGEST_BYTES], struct diag *d) {
    struct stat st;
    uint8_t tail[TAIL_BYTES], is[NODE_PACK_DIGEST_BYTES];
    if (fstat(p->fd, &st))
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "a pack of static files cannot be looked at: %s", strerror(errno));
    uint64_t size = (uint64_t)st.st_size;
    if (!S_ISREG(st.st_mode) || size < HEAD_BYTES + TAIL_BYTES)
        return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "no pack of static files");
    TRY(read_at(p->fd, tail, sizeof tail, size - TAIL_BYTES, d));
    struct rd r = rd_of((str){tail, sizeof tail});
    bool ours = str_eq(rd_bytes(&r, sizeof magic), (str){(const uint8_t *)magic, sizeof magic}) && rd_u32le(&r) == LAYOUT;
    uint64_t at = rd_u64le(&r), bytes = rd_u64le(&r);
    if (!ours || at < HEAD_BYTES || at > size - TAIL_BYTES || bytes != size - TAIL_BYTES - at)
        return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "no pack of static files, or one of another version");
    if (bytes > NODE_PACK_INDEX_MAX + 4)
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "a pack with an index of %llu bytes", (unsigned long long)bytes);
    uint8_t *index = arena_array(p->mem, uint8_t, bytes);
    TRY(read_at(p->fd, index, (size_t)bytes, at, d));
    crypto_sha256((str){index, (size_t)bytes}, is);
    if (memcmp(is, digest, sizeof is) != 0)
        return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "a pack that is another than was asked for");
    struct rd from = rd_of((str){index, (size_t)bytes});
    node_pack_read_index(p->mem, &from, at, &p->files, &p->count);
    p->memory = sizeof *p + bytes + p->count * (sizeof *p->files + sizeof *p->warm_ns);
    return from.fail ? diag_set(d, ERR_MALFORMED, from.fail_at, "%s", from.fail) : ERR_OK;
}

err node_pack_open(int fd, const uint8_t digest[NODE_PACK_DIGEST_BYTES], struct node_pack **out, struct diag *d) {
    arena *mem = arena_new(0);
    struct node_pack *p = arena_make(mem, struct node_pack);
    *p = (struct node_pack){.mem = mem, .fd = fd, .refs = 1};
    err e = read_pack(p, digest, d);
    *out = e == ERR_OK ? p : NULL;
    if (e != ERR_OK) node_pack_unref(p);
    return e;
}

struct node_pack *node_pack_ref(struct node_pack *p) {
    p->refs++;
    return p;
}

void node_pack_unref(struct node_pack *p) {
    if (!p || --p->refs) return;
    close(p->fd);
    arena_free(p->mem);
}

int node_pack_fd(const struct node_pack *p) { return p->fd; }

const struct node_pack_file *node_pack_files(const struct node_pack *p, uint32_t *count) {
    *count = p->count;
    return p->files;
}

void node_pack_warmed(struct node_pack *p, uint32_t file, uint64_t now_ns) {
    if (!p->warm_ns) p->warm_ns = arena_array(p->mem, uint64_t, p->count);
    p->warm_ns[file] = now_ns;
}

bool node_pack_is_warm(const struct node_pack *p, uint32_t file, uint64_t now_ns) {
    return p->warm_ns && p->warm_ns[file] && now_ns - p->warm_ns[file] < 1'000'000'000;
}

uint64_t node_pack_memory(const struct node_pack *p) { return p->memory; }

/* The first that is not before path. */
static uint32_t lower_bound(const struct node_pack *p, str path) {
    uint32_t from = 0;
    for (uint32_t to = p->count; from < to;) {
        uint32_t middle = from + (to - from) / 2;
        if (str_cmp(p->files[middle].path, path) < 0) from = middle + 1;
        else to = middle;
    }
    return from;
}

const struct node_pack_file *node_pack_find(const struct node_pack *p, str path) {
    uint32_t i = lower_bound(p, path);
    return i < p->count && str_eq(p->files[i].path, path) ? &p->files[i] : NULL;
}

bool node_pack_has_folder(const struct node_pack *p, str path) {
    uint8_t prefix[NODE_PACK_PATH_MAX + 1];
    if (!path.n || path.n >= sizeof prefix) return false;
    memcpy(prefix, path.p, path.n);
    prefix[path.n] = '/';
    str s = {prefix, path.n + 1};
    uint32_t i = lower_bound(p, s);
    return i < p->count && str_starts(p->files[i].path, s);
}
