/* key: the node's Ed25519 key, a file of 32 bytes in the state folder that only its owner may read.
 *
 *   parent ── fork ──> child: loads or makes the key, signs a digest, forgets the key
 *          <─ answer ─ the public half and the signature, or why not
 *
 * 1. No secret is ever in the memory of a process that goes on to do something else: not in the supervisor's, so in none of a worker
 *    or a job that it starts.
 * 2. The process that holds one parses nothing: it reads a file of 32 bytes and signs a digest.
 */
#include "node/node_int.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
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
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "the state folder %s cannot be made: %s; name another with --state", dir,
                        strerror(errno));
    char *aside = arena_cstr(scratch, arena_fmt(scratch, "%s.%d", path, (int)getpid()));
    unlink(aside); /* of a process with this number that was cut off: in a container they come again */
    int fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "the state folder %s cannot be written to: %s; name another with --state", dir,
                        strerror(errno));
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
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* whatever it is, nobody waits for it */
    if (fd < 0)
        return diag_set(d, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, DIAG_NOWHERE, "the node's key %s cannot be read: %s", path,
                        strerror(errno));
    struct stat st;
    uint8_t seed[CRYPTO_ED25519_SECRET_BYTES + 1];
    bool known = fstat(fd, &st) == 0, private = known && !(st.st_mode & 077);
    ssize_t got = known && S_ISREG(st.st_mode) ? read(fd, seed, sizeof seed) : -1;
    close(fd);
    err e = ERR_OK;
    if (known && !S_ISREG(st.st_mode))
        e = diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "%s is no node key: it is no regular file", path);
    else if (!private)
        e = diag_set(d, ERR_DENIED, DIAG_NOWHERE, "the node's key %s is open to others; run: chmod 600 %s", path, path);
    else if (got != CRYPTO_ED25519_SECRET_BYTES)
        e = diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "%s is no node key: it must hold 32 bytes", path);
    else crypto_ed25519_of_seed(seed, out);
    explicit_bzero(seed, sizeof seed);
    return e;
}

static err load_key(const char *dir, bool make, struct crypto_ed25519 *out, struct diag *d) {
    arena *scratch = arena_new(0);
    char *folder = arena_cstr(scratch, state_dir(scratch, dir));
    char *path = arena_cstr(scratch, arena_fmt(scratch, "%s/node.key", folder));
    err e = ERR_OK;
    if (make && access(path, F_OK) != 0) e = make_key(scratch, folder, path, d);
    if (e == ERR_OK) e = read_key(path, out, d);
    arena_free(scratch);
    return e;
}

/* ---- the process that holds it ---- */

struct answer {
    err err;
    struct diag diag;
    struct abi_key_public public;
    uint8_t signature[ABI_IMAGE_SIGNATURE];
};
struct question {
    enum node_key which;
    const char *state_dir;
    const struct abi_image_signed *sign; /* NULL: only the public half is asked for */
};

static void answer(const struct question *q, struct answer *a) {
    struct crypto_ed25519 key = {0};
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (q->which == NODE_KEY_OF_THIS_START) crypto_ed25519_new(&key);
    else a->err = load_key(q->state_dir, q->sign != NULL, &key, &a->diag);
    if (a->err == ERR_OK) {
        memcpy(a->public.bytes, key.public, sizeof a->public.bytes);
        if (q->sign) crypto_ed25519_sign(&key, (str){(const uint8_t *)q->sign, sizeof *q->sign}, a->signature);
    }
    explicit_bzero(&key, sizeof key);
}

static err ask(const struct question *q, struct answer *a, struct diag *d) {
    int pipe_fd[2];
    if (pipe2(pipe_fd, O_CLOEXEC)) return diag_set(d, ERR_IO, DIAG_NOWHERE, "no pipe: %s", strerror(errno));
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        answer(q, a);
        _exit(write(pipe_fd[1], a, sizeof *a) != (ssize_t)sizeof *a); /* at once: it is shorter than PIPE_BUF */
    }
    close(pipe_fd[1]);
    if (pid < 0) {
        close(pipe_fd[0]);
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "no process: %s", strerror(errno));
    }
    ssize_t n;
    while ((n = read(pipe_fd[0], a, sizeof *a)) < 0 && errno == EINTR) {}
    close(pipe_fd[0]);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
    if (n != (ssize_t)sizeof *a) return diag_set(d, ERR_IO, DIAG_NOWHERE, "the process that holds the node's key died");
    return a->err == ERR_OK ? ERR_OK : diag_set(d, a->err, a->diag.offset, "%s", a->diag.text);
}
static_assert(sizeof(struct answer) <= 4096, "a pipe takes it whole");

err node_key_public(const char *state_dir, struct abi_key_public *out, struct diag *d) {
    struct question q = {.which = NODE_KEY_OF_THE_NODE, .state_dir = state_dir};
    struct answer a = {.diag = DIAG_INIT};
    err e = ask(&q, &a, d);
    *out = a.public;
    return e;
}

err node_key_sign(enum node_key which, const char *state_dir, int image_fd, struct abi_key_public *out, struct diag *d) {
    struct abi_image_signed sign;
    struct question q = {which, state_dir, &sign};
    struct answer a = {.diag = DIAG_INIT};
    TRY(abi_image_to_sign(image_fd, &sign, d));
    TRY(ask(&q, &a, d));
    *out = a.public;
    return abi_image_put_signature(image_fd, a.signature, d);
}
