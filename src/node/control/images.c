/* images: what workers map. Each is a sealed memory file when it is handed out, so that what was checked cannot change, whatever becomes
 * of its file.
 *
 * What is kept as files is in memory only as long as it is used: at most so many bytes, the least recently used go first. Who has mapped
 * one has it for as long as he likes.
 */
#include "abi/cpu.h"
#include "node/control/control_int.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint64_t cached_bytes_max = 256 * MiB;
enum { SWEEP_MS = 10'000 };

static bool keeps(const struct control *c) { return c->state.images >= 0; }

/* ---- memory files ---- */

err node_images_seal(int fd, struct diag *d) {
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0) return ERR_OK;
    return diag_set(d, ERR_IO, DIAG_NOWHERE, "the image cannot be sealed: %s", strerror(errno));
}

err node_images_copy(int from, uint64_t bytes, int *fd, struct diag *d) {
    static uint8_t piece[256 * KiB];
    *fd = memfd_create("orlo-image", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*fd < 0) return diag_set(d, ERR_IO, DIAG_NOWHERE, "no memory file: %s", strerror(errno));
    for (uint64_t at = 0; at < bytes;) {
        ssize_t n = pread(from, piece, MIN(sizeof piece, bytes - at), (off_t)at);
        if (n > 0 && write(*fd, piece, (size_t)n) == n) {
            at += (uint64_t)n;
            continue;
        }
        err e = diag_set(d, ERR_IO, DIAG_NOWHERE, "it cannot be copied: %s", n ? strerror(errno) : "it became shorter");
        close(*fd);
        *fd = -1;
        return e;
    }
    return ERR_OK;
}

/* ---- those in memory ---- */

static bool names(const struct control_served *served, const uint8_t digest[APP_DIGEST_BYTES]) {
    struct app_record r;
    bool found = false;
    arena *scratch = arena_new(0);
    node_served_record(scratch, served, &r);
    for (uint32_t i = 0; i < r.functions.n; i++) found |= !memcmp(r.functions.p[i].digest, digest, APP_DIGEST_BYTES);
    arena_free(scratch);
    return found;
}

/* Whether a version has it, or is about to. */
static bool is_wanted(struct control *c, enum control_file_kind kind, const uint8_t digest[APP_DIGEST_BYTES]) {
    if (node_deployment_holds(c, kind, digest)) return true;
    if (c->db) return node_store_named(c, kind, digest);
    bool found = false;
    for (const struct control_app *app = c->apps; app && !found; app = app->next) found = names(app->state.live, digest);
    return found;
}

static struct control_image *find(struct control *c, const uint8_t digest[APP_DIGEST_BYTES]) {
    struct control_image *im = c->images;
    while (im && memcmp(im->digest, digest, APP_DIGEST_BYTES) != 0) im = im->next;
    return im;
}

static void forget(struct control *c, struct control_image *im) {
    struct control_image **at = &c->images;
    while (*at != im) at = &(*at)->next;
    *at = im->next;
    close(im->fd);
    free(im);
}

/* Where nothing is kept this is all there is, so what an app has stays. */
static void make_room(struct control *c) {
    for (;;) {
        uint64_t bytes = 0;
        struct control_image *oldest = NULL;
        for (struct control_image *im = c->images; im; im = im->next) {
            bytes += im->bytes;
            if ((keeps(c) || !is_wanted(c, CONTROL_IMAGE, im->digest)) && im->used != c->images_used &&
                (!oldest || im->used < oldest->used))
                oldest = im;
        }
        if (bytes <= cached_bytes_max || !oldest) return;
        forget(c, oldest);
    }
}

void node_images_put(struct control *c, const uint8_t digest[APP_DIGEST_BYTES], const struct abi_key_public *key, int fd) {
    struct control_image *im = find(c, digest);
    struct stat st = {0};
    if (im) forget(c, im);
    im = malloc(sizeof *im);
    ENSURE(im);
    fstat(fd, &st);
    *im =
        (struct control_image){.next = c->images, .key = *key, .fd = fd, .bytes = (uint64_t)st.st_size, .used = ++c->images_used};
    memcpy(im->digest, digest, APP_DIGEST_BYTES);
    c->images = im;
    make_room(c);
}

bool node_images_have(struct control *c, const uint8_t digest[APP_DIGEST_BYTES], uint64_t *bytes) {
    char name[NODE_DIGEST_NAME_BYTES];
    struct stat st;
    const struct control_image *im = find(c, digest);
    node_digest_name(digest, name);
    bool there = keeps(c) ? fstatat(c->state.images, name, &st, AT_SYMLINK_NOFOLLOW) == 0 : im != NULL;
    if (there && bytes) *bytes = keeps(c) ? (uint64_t)st.st_size : im->bytes;
    return there;
}

void node_images_forget(struct control *c, const uint8_t digest[APP_DIGEST_BYTES]) {
    char name[NODE_DIGEST_NAME_BYTES];
    struct control_image *im = find(c, digest);
    node_digest_name(digest, name);
    if (keeps(c)) unlinkat(c->state.images, name, 0);
    if (im) forget(c, im);
}

/* What makes another image of the same module: another program, another processor, what the function may have of memory. */
void node_images_how(const struct app_function *f, uint8_t how[APP_DIGEST_BYTES]) {
    struct buf b = {0};
    const uint64_t numbers[] = {ABI_MACHINE, abi_cpu_features(), f->limits.memory_bytes_max};
    buf_puts(&b, node_build_id());
    buf_put(&b, numbers, sizeof numbers);
    crypto_sha256(buf_str(&b), how);
    buf_free(&b);
}

/* ---- handing out ---- */

static err take_from_file(struct control *c, const uint8_t digest[APP_DIGEST_BYTES], struct diag *d) {
    char name[NODE_DIGEST_NAME_BYTES];
    struct stat st;
    int fd = -1, file;
    node_digest_name(digest, name);
    file = keeps(c) ? openat(c->state.images, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
    if (file < 0 || fstat(file, &st) || !S_ISREG(st.st_mode)) {
        if (file >= 0) close(file);
        return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "the image %s is missing: deploy its app again", name);
    }
    err e = node_images_copy(file, (uint64_t)st.st_size, &fd, d);
    if (e == ERR_OK) e = node_images_seal(fd, d);
    if (e == ERR_OK) node_images_put(c, digest, &c->key, fd);
    else if (fd >= 0) close(fd);
    close(file);
    return e;
}

/* A static folder's is handed out as it is: whoever reads it holds each file in it against its digest. -1: there is none. */
static int open_pack(const struct control *c, const uint8_t digest[APP_DIGEST_BYTES]) {
    char name[NODE_DIGEST_NAME_BYTES];
    node_digest_name(digest, name);
    return keeps(c) ? openat(c->state.packs, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
}

static void give_pack(struct control *c, const struct node_msg_image_ask *ask, int pack) {
    struct node_message m = NODE_MESSAGE(image_give, .id = ask->id, .err = ERR_OK);
    m.fds[m.fds_count++] = pack;
    node_control_tell(c, &m);
    node_message_drop(&m);
}

/* Of an app's door there is no image: what comes with it is all there is. */
static void give_secrets(struct control *c, const struct node_msg_image_ask *ask) {
    struct diag d = DIAG_INIT;
    int secrets = -1, image = memfd_create("orlo-none", MFD_CLOEXEC);
    err e = image < 0 ? diag_set(&d, ERR_IO, DIAG_NOWHERE, "no memory file")
                      : node_secrets_file(c, ask->app, ask->version, &secrets, &d);
    struct node_message m = NODE_MESSAGE(image_give, .id = ask->id, .app = ask->app, .err = e, .text = str_c(d.text));
    if (e == ERR_OK) m.fds[m.fds_count++] = image;
    if (e == ERR_OK && secrets >= 0) m.fds[m.fds_count++] = secrets;
    node_control_tell(c, &m);
    if (image >= 0) close(image);
    if (secrets >= 0) close(secrets);
}

static void give(struct control *c, const struct node_msg_image_ask *ask) {
    struct diag d = DIAG_INIT;
    struct control_image *im = find(c, ask->digest);
    int pack = im ? -1 : open_pack(c, ask->digest), secrets = -1;
    if (pack >= 0) {
        give_pack(c, ask, pack);
        return;
    }
    err e = im ? ERR_OK : take_from_file(c, ask->digest, &d);
    if (e == ERR_OK && ask->app) e = node_secrets_file(c, ask->app, ask->version, &secrets, &d);
    struct node_message m = NODE_MESSAGE(image_give, .id = ask->id, .app = ask->app, .err = e, .text = str_c(d.text));
    if (e == ERR_OK) {
        im = find(c, ask->digest);
        im->used = ++c->images_used;
        memcpy(m.image_give.key, im->key.bytes, sizeof m.image_give.key);
        m.fds[m.fds_count++] = im->fd;
        if (secrets >= 0) m.fds[m.fds_count++] = secrets;
    }
    node_control_tell(c, &m);
    if (secrets >= 0) close(secrets);
}

void node_images_ask(struct control *c, const struct node_msg_image_ask *ask) {
    static const uint8_t none[APP_DIGEST_BYTES];
    if (ask->app && !memcmp(ask->digest, none, sizeof none)) {
        give_secrets(c, ask);
        return;
    }
    if (find(c, ask->digest) || c->key_known || !keeps(c)) {
        give(c, ask);
        return;
    }
    vec_push(c->asks_mem, &c->asks, *ask);
    if (!c->key_asked) node_control_tell(c, &NODE_MESSAGE(sign_want, .id = 0, .public_alone = true));
    c->key_asked = true;
}

void node_images_key_known(struct control *c, err e, str text) {
    c->key_asked = false;
    c->key_known = e == ERR_OK;
    for (uint32_t i = 0; i < c->asks.n; i++) {
        const struct node_msg_image_ask *ask = &c->asks.p[i];
        if (e == ERR_OK) give(c, ask);
        else node_control_tell(c, &NODE_MESSAGE(image_give, .id = ask->id, .err = e, .text = text));
    }
    c->asks.n = 0;
}

/* ---- those that nobody has any more ---- */

static void release(struct control *c, const struct control_held *held) {
    char name[NODE_DIGEST_NAME_BYTES];
    if (is_wanted(c, held->kind, held->digest)) return;
    struct control_image *im = held->kind == CONTROL_IMAGE ? find(c, held->digest) : NULL;
    node_digest_name(held->digest, name);
    if (keeps(c) && held->kind != CONTROL_MODULE)
        unlinkat(held->kind == CONTROL_IMAGE ? c->state.images : c->state.packs, name, 0);
    if (im) forget(c, im);
}

void node_images_sweep(struct control *c) {
    if (c->backup) return; /* somebody copies them */
    for (uint32_t i = 0; i < c->retired.n; i++) release(c, &c->retired.p[i]);
    memset(&c->retired, 0, sizeof c->retired);
    if (c->retired_mem) arena_reset(c->retired_mem);
}

/* Those that were there when the timer began have waited long enough; who comes while it runs does not keep them. */
static void on_time(void *arg) {
    struct control *c = arg;
    if (c->backup) {
        net_timer_start(c->sweep_timer, SWEEP_MS, 0);
        return;
    }
    uint32_t due = MIN(c->retired_due, c->retired.n), left = c->retired.n - due;
    for (uint32_t i = 0; i < due; i++) release(c, &c->retired.p[i]);
    if (!left) {
        node_images_sweep(c);
        return;
    }
    memmove(c->retired.p, c->retired.p + due, left * sizeof *c->retired.p);
    c->retired.n = c->retired_due = left;
    net_timer_start(c->sweep_timer, SWEEP_MS, 0);
}

void node_images_retire(struct control *c, enum control_file_kind kind, const uint8_t digest[APP_DIGEST_BYTES]) {
    if (!c->retired_mem) c->retired_mem = arena_new(0);
    struct control_held *held = vec_add(c->retired_mem, &c->retired);
    held->kind = kind;
    memcpy(held->digest, digest, sizeof held->digest);
    if (!c->sweep_timer) c->sweep_timer = net_timer_new(c->loop, on_time, c);
    if (c->retired.n > 1) return;
    net_timer_start(c->sweep_timer, SWEEP_MS, 0);
    c->retired_due = 1;
}

void node_images_retire_app(struct control *c, const struct control_app *app) {
    struct app_record r;
    arena *scratch = arena_new(0);
    node_served_record(scratch, app->state.live, &r);
    for (uint32_t i = 0; i < r.functions.n; i++) node_images_retire(c, CONTROL_IMAGE, r.functions.p[i].digest);
    arena_free(scratch);
}
