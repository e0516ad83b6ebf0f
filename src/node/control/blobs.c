/* blobs: see blobs.h. */
#include "node/control/blobs.h"
#include "node/control/deployment_int.h"
#include "node/control/store.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DAY_S = 86'400, RECENT_MS = 120'000, TAKE_OVER_MS = 2000, HEX = 2 * APP_DIGEST_BYTES };

/* ---- what there is ---- */

struct blob_owner { /* an app that has some */
    struct blob_owner *next;
    char app[APP_NAME_MAX + 1];
    uint64_t bytes;
    uint32_t count;
    bool waits; /* something was too recent to be swept */
};
enum { BUCKETS = 4096, OWNERS = 1024 };
struct control_blobs {
    struct control_blob *like[BUCKETS];
    struct blob_owner *owners[OWNERS];
    uint32_t uploads;
    struct net_timer *later;
    bool waits; /* for the timer */
};

static uint32_t bucket_of(const uint8_t digest[APP_DIGEST_BYTES]) { return (digest[0] | (uint32_t)digest[1] << 8) % BUCKETS; }

static struct control_blobs *index_of(struct control *c) {
    if (!c->blobs_index) c->blobs_index = calloc(1, sizeof *c->blobs_index);
    ENSURE(c->blobs_index);
    return c->blobs_index;
}

static struct blob_owner *owner_of(struct control *c, str app) {
    struct blob_owner **at = &index_of(c)->owners[str_hash(app) % OWNERS];
    while (*at && !str_eqc(app, (*at)->app)) at = &(*at)->next;
    if (*at) return *at;
    *at = calloc(1, sizeof **at);
    ENSURE(*at && app.n < sizeof(*at)->app);
    memcpy((*at)->app, app.p, app.n);
    return *at;
}

static void set_bytes(struct control_blob *b, uint64_t bytes) {
    b->owner->bytes += bytes - b->bytes;
    b->bytes = bytes;
}

static struct control_blob *find(const struct control *c, str app, const uint8_t digest[APP_DIGEST_BYTES]) {
    struct control_blob *b = c->blobs_index ? c->blobs_index->like[bucket_of(digest)] : NULL;
    while (b && (memcmp(b->digest, digest, APP_DIGEST_BYTES) != 0 || !str_eqc(app, b->app))) b = b->next_like;
    return b;
}

const struct control_blob *node_blob_find(const struct control *c, str app, const uint8_t digest[APP_DIGEST_BYTES]) {
    return find(c, app, digest);
}

static struct control_blob *add(struct control *c, str app, const uint8_t digest[APP_DIGEST_BYTES]) {
    struct control_blob *b = calloc(1, sizeof *b), **like = &index_of(c)->like[bucket_of(digest)];
    ENSURE(b && app.n < sizeof b->app);
    *b = (struct control_blob){.next = c->blobs, .next_like = *like, .owner = owner_of(c, app)};
    memcpy(b->app, app.p, app.n);
    memcpy(b->digest, digest, APP_DIGEST_BYTES);
    if (c->blobs) c->blobs->previous = b;
    c->blobs = *like = b;
    b->owner->count++;
    return b;
}

static void forget(struct control *c, struct control_blob *b) {
    struct control_blob **like = &index_of(c)->like[bucket_of(b->digest)];
    while (*like != b) like = &(*like)->next_like;
    *like = b->next_like;
    if (b->next) b->next->previous = b->previous;
    if (b->previous) b->previous->next = b->next;
    else c->blobs = b->next;
    set_bytes(b, 0);
    b->owner->count--; /* its row stays: an app that had some has some again */
    free(b);
}

static void name_of(const struct control_blob *b, char *to, size_t size) {
    int n = snprintf(to, size, "%s.", b->app);
    for (size_t i = 0; i < APP_DIGEST_BYTES; i++) n += snprintf(to + n, size - (size_t)n, "%02x", b->digest[i]);
}

static void remove_file(const struct control *c, const struct control_blob *b) {
    char name[APP_NAME_MAX + 88];
    if (c->backup && b->whole) return; /* somebody copies it; the next start finds it */
    name_of(b, name, sizeof name);
    size_t n = strlen(name);
    if (!b->whole) snprintf(name + n, sizeof name - n, ".part");
    unlinkat(c->state.blobs, name, 0);
}

/* Of a small one. */
static bool is_what_it_says(int fd, const struct control_blob *b) {
    uint8_t digest[APP_DIGEST_BYTES], *bytes = malloc(BLOB_SYNCED_BYTES);
    ssize_t n = bytes ? pread(fd, bytes, BLOB_SYNCED_BYTES, 0) : -1;
    if (n >= 0) crypto_sha256((str){bytes, (size_t)n}, digest);
    free(bytes);
    return n >= 0 && !memcmp(digest, b->digest, sizeof digest);
}

int node_blob_open(struct control *c, str app, const uint8_t digest[APP_DIGEST_BYTES], uint64_t *bytes) {
    char name[APP_NAME_MAX + 80];
    struct stat st;
    struct control_blob *b = find(c, app, digest);
    if (!b || !b->whole) return -1;
    name_of(b, name, sizeof name);
    int fd = openat(c->state.blobs, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    bool ok = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    if (ok && b->unsure) ok = is_what_it_says(fd, b);
    b->unsure &= !ok;
    if (ok) *bytes = (uint64_t)st.st_size;
    else if (fd >= 0) close(fd);
    return ok ? fd : -1;
}

/* Who uploads it is told; what a thread of his still writes goes to a file without a name. */
static void drop(struct control *c, struct control_blob *b) {
    struct control_upload *u = b->upload;
    void (*fn)(void *) = u && !u->left ? u->taken_over : NULL;
    void *arg = u ? u->arg : NULL;
    if (u) {
        u->blob = NULL;
        node_upload_leave(u);
    }
    remove_file(c, b);
    forget(c, b);
    if (fn) fn(arg);
}

static void sweep_waiting(void *arg) {
    struct control *c = arg;
    c->blobs_index->waits = false;
    for (uint32_t i = 0; i < OWNERS; i++)
        for (struct blob_owner *o = c->blobs_index->owners[i]; o; o = o->next) {
            if (!o->waits) continue;
            o->waits = false;
            node_bundle_sweep(c, str_c(o->app));
        }
}

static void sweep_later(struct control *c, struct blob_owner *owner) {
    struct control_blobs *index = index_of(c);
    if (!index->later) index->later = net_timer_new(c->loop, sweep_waiting, c);
    if (!index->waits) net_timer_start(index->later, RECENT_MS + 1000, 0);
    index->waits = owner->waits = true;
}

void node_blob_sweep(struct control *c, str app, bool (*keep)(void *arg, const uint8_t digest[APP_DIGEST_BYTES]), void *arg) {
    uint64_t now = net_loop_now_ns(c->loop);
    struct blob_owner *owner = owner_of(c, app);
    for (struct control_blob *b = c->blobs, *next; b; b = next) {
        next = b->next;
        if (b->owner != owner || !b->whole || b->upload || keep(arg, b->digest)) continue;
        if (!b->since_ns || now - b->since_ns > RECENT_MS * 1000000ull) drop(c, b);
        else sweep_later(c, owner);
    }
}

void node_blob_drop(struct control *c, str app) {
    for (struct control_blob *b = c->blobs, *next; b; b = next) {
        next = b->next;
        if (str_eqc(app, b->app)) drop(c, b);
    }
}

uint32_t node_uploads_count(const struct control *c) { return c->blobs_index ? c->blobs_index->uploads : 0; }

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

/* A file of a future further away than a day was written while the clock was wrong: nobody would ever see it grow old. */
static bool is_old(int64_t modified_s, int64_t now_s) { return modified_s < now_s - DAY_S || modified_s > now_s + DAY_S; }

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
    bool small = !is_part && st.st_size < BLOB_SYNCED_BYTES, old = is_old(st.st_mtime, (int64_t)(clock_wall_ns() / 1000000000u));
    if (is_part && old) return false;
    if ((small || old) && !node_store_named(c, CONTROL_MODULE, digest)) return false;
    struct control_blob *b = find(c, app, digest);
    if (b && b->whole) return !is_part;
    if (!b) b = add(c, app, digest);
    set_bytes(b, (uint64_t)st.st_size);
    b->whole = !is_part, b->unsure = small;
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
    u->fits = !memcmp(digest, u->digest, sizeof digest);
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
    index_of(u->control)->uploads--;
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
    if (!b && all && u->e == ERR_OK) unlinkat(u->folder, u->name, 0); /* it was dropped meanwhile */
    if (b && all && u->e == ERR_OK) b->whole = true, b->since_ns = net_loop_now_ns(u->control->loop);
    if (b && all && !u->fits) forget(u->control, b);
    if (fn) fn(u->arg, u->e, &u->d);
    release(u);
}

static void done(void *arg, bool ran) {
    struct control_upload *u = arg;
    if (u->blob && u->e == ERR_OK) set_bytes(u->blob, u->from + u->written);
    u->news_ns = net_loop_now_ns(u->control->loop);
    if (u->state == UPLOAD_ENDS) {
        ended(u);
        return;
    }
    u->state = UPLOAD_RESTS;
    u->piece.n = 0;
    if (u->left) detach(u), release(u);
    else u->fn(u->arg, u->e, &u->d);
}

void node_upload_put(struct control_upload *u) { begin_work(u, UPLOAD_WRITES); }
void node_upload_finish(struct control_upload *u) { begin_work(u, UPLOAD_ENDS); }

/* What is being ended goes on: it may be whole. */
void node_upload_leave(struct control_upload *u) {
    u->left = true;
    if (u->state != UPLOAD_RESTS) return; /* until the thread is done */
    detach(u);
    release(u);
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

static err check_room(struct control *c, const struct control_upload_want *want, const struct control_blob *b, struct diag *d) {
    const struct blob_owner *owner = owner_of(c, want->app);
    uint64_t bytes = owner->bytes - (b ? b->bytes : 0);
    if (want->total > blob_bytes_max) return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "a file has at most 1 GiB");
    if (owner->count >= BLOBS_OF_APP_MAX || bytes + want->total > 4 * blob_bytes_max)
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
    TRY(check_room(c, want, b, d));
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
    memcpy(u->digest, b->digest, sizeof u->digest);
    name_of(b, u->name, sizeof u->name);
    snprintf(u->part, sizeof u->part, "%s.part", u->name);
    b->upload = u;
    index_of(c)->uploads++;
    set_bytes(b, want->from);
    *out = u;
    begin_work(u, UPLOAD_OPENS);
    return ERR_OK;
}
