/* key: the node's Ed25519 key, a file of 32 bytes in the state folder that only its owner may read. */
#include "node/node_int.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static str state_dir(arena *out, const char *dir) {
    const char *home = getenv("HOME"), *xdg = getenv("XDG_STATE_HOME"), *own = getenv("ORLO_STATE");
    if (dir) return str_c(dir);
    if (own && *own) return str_c(own);
    if (xdg && *xdg == '/') return arena_fmt(out, "%s/orlo", xdg);
    return arena_fmt(out, "%s/.local/state/orlo", home && *home ? home : "/root");
}

/* mkdir -p, the last one 0700. */
static bool make_folder(char *path) {
    for (char *p = path + 1; *p; p++) {
        if (*p != '/') continue;
        *p = 0;
        bool ok = mkdir(path, 0755) == 0 || errno == EEXIST;
        *p = '/';
        if (!ok) return false;
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

/* Written aside and linked into place, so that two processes that start together agree on one key. */
static err make_key(arena *scratch, char *dir, const char *path, struct diag *d) {
    if (!make_folder(dir))
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "the state folder %s cannot be made: %s", dir, strerror(errno));
    char *aside = arena_cstr(scratch, arena_fmt(scratch, "%s.%d", path, (int)getpid()));
    int fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s cannot be written: %s", aside, strerror(errno));
    struct crypto_ed25519 key;
    crypto_ed25519_new(&key);
    bool ok = write(fd, key.secret, sizeof key.secret) == (ssize_t)sizeof key.secret && fsync(fd) == 0;
    close(fd);
    if (ok && link(aside, path) != 0 && errno != EEXIST) ok = false;
    int why = errno;
    unlink(aside);
    explicit_bzero(&key, sizeof key);
    return ok ? ERR_OK : diag_set(d, ERR_IO, DIAG_NOWHERE, "%s cannot be written: %s", path, strerror(why));
}

static err read_key(const char *path, struct crypto_ed25519 *out, struct diag *d) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return diag_set(d, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, DIAG_NOWHERE, "the node's key %s cannot be read: %s", path,
                        strerror(errno));
    struct stat st;
    uint8_t seed[CRYPTO_ED25519_SECRET_BYTES + 1];
    ssize_t got = read(fd, seed, sizeof seed);
    bool private = fstat(fd, &st) == 0 && !(st.st_mode & 077);
    close(fd);
    err e = ERR_OK;
    if (!private) e = diag_set(d, ERR_DENIED, DIAG_NOWHERE, "the node's key %s is open to others; run: chmod 600 %s", path, path);
    else if (got != CRYPTO_ED25519_SECRET_BYTES)
        e = diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "%s is no node key: it must hold 32 bytes", path);
    else crypto_ed25519_of_seed(seed, out);
    explicit_bzero(seed, sizeof seed);
    return e;
}

err node_key_load(const char *dir, bool make, struct crypto_ed25519 *out, struct diag *d) {
    arena *scratch = arena_new(0);
    char *folder = arena_cstr(scratch, state_dir(scratch, dir));
    char *path = arena_cstr(scratch, arena_fmt(scratch, "%s/node.key", folder));
    err e = ERR_OK;
    if (make && access(path, F_OK) != 0) e = make_key(scratch, folder, path, d);
    if (e == ERR_OK) e = read_key(path, out, d);
    arena_free(scratch);
    return e;
}
