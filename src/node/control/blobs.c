/* blobs: see blobs.h. */
#include "node/control/blobs.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DAY_S = 86'400, TAKE_OVER_MS = 2000, HEX = 2 * APP_DIGEST_BYTES };

/* ---- what there is ---- */

static struct control_blob *find(const struct control *c, str app, const uint8_t digest[APP_DIGEST_BYTES]) {
    struct control_blob *b = c->blobs;
    while (b && (memcmp(b->digest, digest, APP_DIGEST_BYTES) != 0 || !str_eqc(app, b->app))) b = b->next;
    return b;
}

const struct control_blob *node_blob_find(const struct control *c, str app, const uint8_t digest[APP_DIGEST_BYTES]) {
    return find(c, app, digest);
}

static struct control_blob *add(struct control *c, str app, const uint8_t digest[APP_DIGEST_BYTES]) {
    struct control_blob *b = calloc(1, sizeof *b);
    ENSURE(b && app.n < sizeof b->app);
    *b = (struct control_blob){.next = c->blobs};
    memcpy(b->app, app.p, app.n);
    memcpy(b->digest, digest, APP_DIGEST_BYTES);
    c->blobs = b;
    return b;
}

static void forget(struct control *c, struct control_blob *b) {
    struct control_blob **at = &c->blobs;
    while (*at != b) at = &(*at)->next;
    *at = b->next;
    free(b);
}

static void name_of(const struct control_blob *b, char *to, size_t size) {
    int n = snprintf(to, size, "%s.", b->app);
    for (size_t i = 0; i < APP_DIGEST_BYTES; i++) n += snprintf(to + n, size - (size_t)n, "%02x", b->digest[i]);
}

static void remove_file(const struct control *c, const struct control_blob *b) {
    char name[APP_NAME_MAX + 88];
    name_of(b, name, sizeof name);
    size_t n = strlen(name);
    if (!b->whole) snprintf(name + n, sizeof name - n, ".part");
    unlinkat(c->state.blobs, name, 0);
}

int node_blob_open(const struct control *c, str app, const uint8_t digest[APP_DIGEST_BYTES], uint64_t *bytes) {
    char name[APP_NAME_MAX + 80];
    struct stat st;
    const struct control_blob *b = find(c, app, digest);
    if (!b || !b->whole) return -1;
    name_of(b, name, sizeof name);
    int fd = openat(c->state.blobs, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    bool ok = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    if (ok) *bytes = (uint64_t)st.st_size;
    else if (fd >= 0) close(fd);
    return ok ? fd : -1;
}

static void drop(struct control *c, struct control_blob *b) {
    struct control_upload *u = b->upload;
    if (u && u->taken_over) {
        void (*fn)(void *) = u->taken_over;
        void *arg = u->arg;
        node_upload_leave(u);
        fn(arg);
    }
    remove_file(c, b);
    forget(c, b);
}

void node_blob_sweep(struct control *c, str app, bool (*keep)(void *arg, const uint8_t digest[APP_DIGEST_BYTES]), void *arg) {
    for (struct control_blob *b = c->blobs, *next; b; b = next) {
        next = b->next;
        if (b->whole && !b->upload && str_eqc(app, b->app) && !keep(arg, b->digest)) drop(c, b);
    }
}

void node_blob_drop(struct control *c, str app) {
    for (struct control_blob *b = c->blobs, *next; b; b = next) {
        next = b->next;
        if (str_eqc(app, b->app)) drop(c, b);
    }
}

uint32_t node_uploads_count(const struct control *c) {
    uint32_t n = 0;
    for (const struct control_blob *b = c->blobs; b; b = b->next) n += b->upload != NULL;
    return n;
}

/* ---- at the start ---- */

static bool digest_of(str hex, uint8_t digest[APP_DIGEST_BYTES]) {
    for (size_t i = 0; i < APP_DIGEST_BYTES; i++) {
        unsigned byte;
        char two[3] = {(char)hex.p[2 * i], (char)hex.p[2 * i + 1], 0};
        if (strspn(two, "0123456789abcdef") != 2 || sscanf(two, "%2x", &byte) != 1) return false;
        digest[i] = (uint8_t)byte;
    }
    return true;
}

/* False: it is no file of these. */
static bool load_one(struct control *c, const char *name) {
    uint8_t digest[APP_DIGEST_BYTES];
    str app, rest, whole = str_c(name), part = STR(".part");
    struct stat st;
    struct diag d = DIAG_INIT;
    bool is_part = str_ends(whole, part);
    if (is_part) whole.n -= part.n;
    if (!str_cut(whole, '.', &app, &rest) || app_name_check(app, &d) != ERR_OK || rest.n != HEX || !digest_of(rest, digest))
        return false;
    if (fstatat(c->state.blobs, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode)) return false;
    if (!is_part && st.st_size < BLOB_SYNCED_BYTES) return false;
    if (is_part && (uint64_t)st.st_mtime + DAY_S < clock_wall_ns() / 1000000000u) return false;
    struct control_blob *b = find(c, app, digest);
    if (b && b->whole) return !is_part;
    if (!b) b = add(c, app, digest);
    b->bytes = (uint64_t)st.st_size, b->whole = !is_part;
    return true;
}

void node_blobs_load(struct control *c) {
    DIR *folder = c->state.blobs >= 0 ? node_control_read_folder(c->state.blobs) : NULL;
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (entry->d_name[0] != '.' && !load_one(c, entry->d_name)) unlinkat(c->state.blobs, entry->d_name, 0);
    if (folder) closedir(folder);
}

/* ---- on threads ---- */

static void failed(struct control_upload *u, const char *what) {
    u->e = diag_set(&u->d, errno == ENOSPC || errno == EDQUOT ? ERR_LIMIT : ERR_IO, DIAG_NOWHERE, "the upload cannot be %s: %s",
                    what, strerror(errno));
}

static bool hash_begin(struct control_upload *u) {
    uint8_t *piece = malloc(UPLOAD_PIECE_BYTES);
    uint64_t at = 0;
    u->hash = crypto_sha256_begin();
    while (piece && at < u->from) {
        ssize_t n = pread(u->fd, piece, MIN((uint64_t)UPLOAD_PIECE_BYTES, u->from - at), (off_t)at);
        if (n <= 0) break;
        crypto_sha256_add(u->hash, (str){piece, (size_t)n});
        at += (uint64_t)n;
    }
    free(piece);
    return at == u->from;
}

static void open_part(struct control_upload *u) {
    u->fd = openat(u->folder, u->part, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (u->fd < 0 || ftruncate(u->fd, (off_t)u->from) || !hash_begin(u)) failed(u, "begun");
}

static void write_piece(struct control_upload *u) {
    size_t at = 0;
    while (at < u->piece.n) {
        ssize_t n = pwrite(u->fd, u->piece.p + at, u->piece.n - at, (off_t)(u->from + u->written + at));
        if (n <= 0 && errno != EINTR) break;
        at += n > 0 ? (size_t)n : 0;
    }
    crypto_sha256_add(u->hash, str_sub(buf_str(&u->piece), 0, at));
    u->written += at;
    if (at < u->piece.n) failed(u, "written");
}

static void end_part(struct control_upload *u) {
    uint8_t digest[APP_DIGEST_BYTES];
    if (u->from + u->written < u->total) return; /* the rest comes later */
    crypto_sha256_end(u->hash, digest);
    u->hash = NULL;
    u->fits = !memcmp(digest, u->blob->digest, sizeof digest);
    if (!u->fits) {
        unlinkat(u->folder, u->part, 0);
        u->e = diag_set(&u->d, ERR_INVALID, DIAG_NOWHERE, "what came has another SHA-256 than its name; it is thrown away");
    } else if ((u->total >= BLOB_SYNCED_BYTES && fsync(u->fd)) || renameat(u->folder, u->part, u->folder, u->name) ||
               (u->total >= BLOB_SYNCED_BYTES && fsync(u->folder))) {
        failed(u, "kept");
    }
}

static void work(void *arg) {
    struct control_upload *u = arg;
    if (u->state == UPLOAD_OPENS) open_part(u);
    else if (u->state == UPLOAD_WRITES) write_piece(u);
    else end_part(u);
}

/* ---- on the loop ---- */

static void done(void *arg, bool ran);

static void begin_work(struct control_upload *u, int state) {
    u->state = (typeof(u->state))state;
    net_work_new(u->control->loop, NULL, work, done, u);
}

static void release(struct control_upload *u) {
    uint8_t unused[CRYPTO_SHA256_BYTES];
    if (u->hash) crypto_sha256_end(u->hash, unused);
    if (u->fd >= 0) close(u->fd);
    buf_free(&u->piece);
    free(u);
}

static void detach(struct control_upload *u) {
    if (u->blob) u->blob->upload = NULL;
    u->blob = NULL;
}

static void ended(struct control_upload *u) {
    struct control_blob *b = u->blob;
    bool all = u->from + u->written == u->total;
    void (*fn)(void *, err, const struct diag *) = u->left ? NULL : u->fn;
    detach(u);
    if (b && all && u->e == ERR_OK) b->whole = true;
    if (b && all && !u->fits) forget(u->control, b);
    if (fn) fn(u->arg, u->e, &u->d);
    release(u);
}

static void done(void *arg, bool ran) {
    struct control_upload *u = arg;
    if (u->blob && u->e == ERR_OK) u->blob->bytes = u->from + u->written;
    u->news_ns = net_loop_now_ns(u->control->loop);
    if (u->state == UPLOAD_ENDS) {
        ended(u);
        return;
    }
    u->state = UPLOAD_RESTS;
    u->piece.n = 0;
    if (u->left) release(u);
    else u->fn(u->arg, u->e, &u->d);
}

void node_upload_put(struct control_upload *u) { begin_work(u, UPLOAD_WRITES); }
void node_upload_finish(struct control_upload *u) { begin_work(u, UPLOAD_ENDS); }

/* What is being ended goes on: it may be whole. */
void node_upload_leave(struct control_upload *u) {
    u->left = true;
    if (u->state == UPLOAD_ENDS) return;
    detach(u);
    if (u->state == UPLOAD_RESTS) release(u);
}

/* ---- beginning ---- */

static bool take_over(struct control_upload *u) {
    uint64_t silent_ns = net_loop_now_ns(u->control->loop) - u->news_ns;
    if (u->state != UPLOAD_RESTS || silent_ns < TAKE_OVER_MS * 1000000ull) return false;
    void (*fn)(void *) = u->taken_over;
    void *arg = u->arg;
    node_upload_leave(u);
    fn(arg);
    return true;
}

static err check_room(const struct control *c, const struct control_upload_want *want, struct diag *d) {
    uint64_t bytes = 0;
    uint32_t n = 0;
    for (const struct control_blob *b = c->blobs; b; b = b->next)
        if (str_eqc(want->app, b->app) && memcmp(b->digest, want->digest, APP_DIGEST_BYTES) != 0) bytes += b->bytes, n++;
    if (want->total > blob_bytes_max) return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "a file has at most 1 GiB");
    if (n >= BLOBS_OF_APP_MAX || bytes + want->total > 4 * blob_bytes_max)
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE,
                        "the files of an app that wait for a deployment have at most 4 GiB; deploy some first");
    if (node_uploads_count(c) >= UPLOADS_MAX)
        return diag_set(d, ERR_AGAIN, DIAG_NOWHERE, "%d uploads are under way, as many as may be", UPLOADS_MAX);
    return ERR_OK;
}

err node_upload_begin(struct control *c, const struct control_upload_want *want, struct control_upload **out, struct diag *d) {
    struct control_blob *b = find(c, want->app, want->digest);
    if (b && b->upload && !take_over(b->upload))
        return diag_set(d, ERR_BUSY, DIAG_NOWHERE, "somebody else uploads this file at the moment");
    TRY(check_room(c, want, d));
    if (want->from && (!b || want->from != b->bytes || want->from > want->total))
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "of this file %llu bytes are here, and that piece begins at byte %llu",
                        (unsigned long long)(b ? b->bytes : 0), (unsigned long long)want->from);
    if (!b) b = add(c, want->app, want->digest);
    struct control_upload *u = calloc(1, sizeof *u);
    ENSURE(u);
    *u = (struct control_upload){.control = c,
                                 .blob = b,
                                 .total = want->total,
                                 .fn = want->fn,
                                 .taken_over = want->taken_over,
                                 .arg = want->arg,
                                 .fd = -1,
                                 .folder = c->state.blobs,
                                 .from = want->from,
                                 .d = DIAG_INIT,
                                 .news_ns = net_loop_now_ns(c->loop)};
    name_of(b, u->name, sizeof u->name);
    snprintf(u->part, sizeof u->part, "%s.part", u->name);
    b->upload = u;
    b->bytes = want->from;
    *out = u;
    begin_work(u, UPLOAD_OPENS);
    return ERR_OK;
}
