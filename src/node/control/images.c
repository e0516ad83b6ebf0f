/* images: what workers map. Each is a sealed memory file when it is handed out, so that what was checked cannot change, whatever becomes
 * of its file.
 *
 * What is kept as files is in memory only as long as it is used: at most so many bytes, the least recently used go first. Who has mapped
 * one has it for as long as he likes.
 */
#include "node/control/control_int.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint64_t cached_bytes_max = 256 * MiB;
enum { NAME_BYTES = 2 * APP_DIGEST_BYTES + 1 };

static void name_of(const uint8_t digest[APP_DIGEST_BYTES], char name[static NAME_BYTES]) {
    for (size_t i = 0; i < APP_DIGEST_BYTES; i++) snprintf(name + 2 * i, 3, "%02x", digest[i]);
}

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

static bool has_app(const struct control *c, const uint8_t digest[APP_DIGEST_BYTES]) {
    for (const struct control_app *app = c->apps; app; app = app->next)
        for (uint32_t i = 0; i < app->record.functions.n; i++)
            if (!memcmp(app->record.functions.p[i].digest, digest, APP_DIGEST_BYTES)) return true;
    return false;
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
            if ((keeps(c) || !has_app(c, im->digest)) && im->used != c->images_used && (!oldest || im->used < oldest->used))
                oldest = im;
        }
        if (bytes <= cached_bytes_max || !oldest) return;
        forget(c, oldest);
    }
}

static void put(struct control *c, const uint8_t digest[APP_DIGEST_BYTES], const struct abi_key_public *key, int fd) {
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

err node_images_add(struct control *c, const uint8_t digest[APP_DIGEST_BYTES], const struct abi_key_public *key, int fd,
                    struct diag *d) {
    char name[NAME_BYTES];
    name_of(digest, name);
    put(c, digest, key, fd);
    if (!keeps(c) || faccessat(c->state.images, name, F_OK, 0) == 0) return ERR_OK;
    return node_control_write_file(c->state.images, name, fd, (str){0}, d);
}

/* ---- handing out ---- */

static err take_from_file(struct control *c, const uint8_t digest[APP_DIGEST_BYTES], struct diag *d) {
    char name[NAME_BYTES];
    struct stat st;
    int fd = -1, file;
    name_of(digest, name);
    file = keeps(c) ? openat(c->state.images, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
    if (file < 0 || fstat(file, &st) || !S_ISREG(st.st_mode)) {
        if (file >= 0) close(file);
        return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "the image %s is missing: deploy its app again", name);
    }
    err e = node_images_copy(file, (uint64_t)st.st_size, &fd, d);
    if (e == ERR_OK) e = node_images_seal(fd, d);
    if (e == ERR_OK) put(c, digest, &c->key, fd);
    else if (fd >= 0) close(fd);
    close(file);
    return e;
}

static void give(struct control *c, uint32_t id, const uint8_t digest[APP_DIGEST_BYTES]) {
    struct diag d = DIAG_INIT;
    struct control_image *im = find(c, digest);
    err e = im ? ERR_OK : take_from_file(c, digest, &d);
    if (e == ERR_OK) im = find(c, digest);
    struct node_message m = NODE_MESSAGE(image_give, .id = id, .err = e, .text = str_c(d.text));
    if (im) {
        im->used = ++c->images_used;
        memcpy(m.image_give.key, im->key.bytes, sizeof m.image_give.key);
        m.fds[m.fds_count++] = im->fd;
    }
    node_control_tell(c, &m);
}

void node_images_ask(struct control *c, uint32_t id, const uint8_t digest[APP_DIGEST_BYTES]) {
    if (find(c, digest) || c->key_known || !keeps(c)) {
        give(c, id, digest);
        return;
    }
    struct control_ask *ask = vec_add(c->asks_mem, &c->asks);
    ask->id = id;
    memcpy(ask->digest, digest, sizeof ask->digest);
    if (!c->key_asked) node_control_tell(c, &NODE_MESSAGE(sign_want, .id = 0, .public_alone = true));
    c->key_asked = true;
}

void node_images_key_known(struct control *c, err e, str text) {
    c->key_asked = false;
    c->key_known = e == ERR_OK;
    for (uint32_t i = 0; i < c->asks.n; i++) {
        const struct control_ask *ask = &c->asks.p[i];
        if (e == ERR_OK) give(c, ask->id, ask->digest);
        else node_control_tell(c, &NODE_MESSAGE(image_give, .id = ask->id, .err = e, .text = text));
    }
    c->asks.n = 0;
}

/* ---- those that nobody has any more ---- */

static bool digest_of(const char *name, uint8_t digest[APP_DIGEST_BYTES]) {
    if (strlen(name) != NAME_BYTES - 1) return false;
    for (size_t i = 0; i < APP_DIGEST_BYTES; i++) {
        unsigned byte;
        if (sscanf(name + 2 * i, "%2x", &byte) != 1) return false;
        digest[i] = (uint8_t)byte;
    }
    return true;
}

static struct map wanted_digests(arena *scratch, const struct control *c) {
    struct map m = {0};
    for (const struct control_app *app = c->apps; app; app = app->next)
        for (uint32_t i = 0; i < app->record.functions.n; i++)
            map_put(scratch, &m, (str){app->record.functions.p[i].digest, APP_DIGEST_BYTES}, 1);
    return m;
}

void node_images_sweep(struct control *c) {
    DIR *folder = keeps(c) && !c->record_broken ? node_control_read_folder(c->state.images) : NULL;
    arena *scratch = arena_new(0);
    struct map wanted = wanted_digests(scratch, c);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        uint8_t digest[APP_DIGEST_BYTES];
        uint64_t one;
        bool part = str_ends(str_c(entry->d_name), STR(".part")),
             unwanted = digest_of(entry->d_name, digest) && !map_get(&wanted, (str){digest, sizeof digest}, &one);
        if (part || unwanted) unlinkat(c->state.images, entry->d_name, 0);
    }
    if (folder) closedir(folder);
    arena_free(scratch);
}

void node_images_release(struct control *c, const uint8_t digest[APP_DIGEST_BYTES]) {
    char name[NAME_BYTES];
    struct control_image *im = find(c, digest);
    if (has_app(c, digest)) return;
    name_of(digest, name);
    if (keeps(c)) unlinkat(c->state.images, name, 0);
    if (im) forget(c, im);
}
