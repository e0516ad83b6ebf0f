/* key: the node's Ed25519 key, a file of 32 bytes in the state folder that only its owner may read.
 *
 *   starter ── open_key ──> keys: loads or makes the key, gives up all rights, says the public half
 *           ── sign ──────>       signs what it is told, as often as it is asked
 *
 * 1. A secret key is in the memory of such a process and nowhere else: it started by exec, and whoever started it asks by message.
 * 2. It parses nothing: it reads a file of 32 bytes, and fixed numbers of bytes that it signs.
 */
#include "node/node_int.h"
#include "node/role.h"
#include "node/state.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Written aside and linked into place, so that two processes that start together agree on one key. */
static err make_key(arena *scratch, char *dir, const char *path, struct diag *d) {
    if (!node_state_make_folder(dir))
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

static err load_key(str dir, bool make, struct crypto_ed25519 *out, struct diag *d) {
    arena *scratch = arena_new(0);
    char *folder = arena_cstr(scratch, dir);
    char *path = arena_cstr(scratch, arena_fmt(scratch, "%s/node.key", folder));
    err e = ERR_OK;
    if (make && access(path, F_OK) != 0) e = make_key(scratch, folder, path, d);
    if (e == ERR_OK) e = read_key(path, out, d);
    arena_free(scratch);
    return e;
}

/* ---- the process that holds it ---- */

/* Whose memory the key is in: of nobody who reads the file named /proc/PID/mem, or a core. */
static err open_key(const struct node_msg_open_key *m, struct crypto_ed25519 *key, struct diag *d) {
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (m->folder.n) TRY(load_key(m->folder, m->make, key, d));
    else crypto_ed25519_new(key);
    if (!node_role_drop(NODE_ROLE_keys))
        log_event(LOG_WARN, "role-as-root", LF_CSTR("role", "keys"), LF_CSTR("reason", strerror(errno)));
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* again: who changes his user is dumpable anew */
    return node_sandbox_keys(d);
}

static err be_opened(struct crypto_ed25519 *key) {
    struct node_message m;
    struct diag d = DIAG_INIT;
    if (node_wire_await(NODE_WIRE_FD, NODE_ROLE_supervisor, NODE_ROLE_keys, &m) != NODE_WIRE_GOT || m.type != NODE_MSG_open_key)
        return ERR_CLOSED;
    struct node_message opened = NODE_MESSAGE(key, .err = open_key(&m.open_key, key, &d), .text = str_c(d.text));
    if (opened.key.err == ERR_OK) memcpy(opened.key.public, key->public, sizeof key->public);
    TRY(node_wire_send(NODE_WIRE_FD, &opened));
    return opened.key.err;
}

static err sign_next(const struct crypto_ed25519 *key) {
    struct node_message m;
    struct abi_image_signed sign;
    if (node_wire_await(NODE_WIRE_FD, NODE_ROLE_supervisor, NODE_ROLE_keys, &m) != NODE_WIRE_GOT || m.type != NODE_MSG_sign)
        return ERR_CLOSED;
    memcpy(sign.purpose, m.sign.purpose, sizeof sign.purpose);
    memcpy(sign.digest, m.sign.digest, sizeof sign.digest);
    struct node_message answer = NODE_MESSAGE(signature, .id = m.sign.id);
    memcpy(answer.signature.public, key->public, sizeof key->public);
    crypto_ed25519_sign(key, (str){(const uint8_t *)&sign, sizeof sign}, answer.signature.signature);
    return node_wire_send(NODE_WIRE_FD, &answer);
}

int node_keys_main(void) {
    struct crypto_ed25519 key = {0};
    err e = be_opened(&key);
    while (e == ERR_OK) e = sign_next(&key);
    explicit_bzero(&key, sizeof key);
    return 0;
}

/* ---- asking one for a single thing ---- */

/* It ends when its wire is closed. */
static err start(const struct node_msg_open_key *how, struct node_process *p, struct abi_key_public *out, struct diag *d) {
    struct node_message m = {.type = NODE_MSG_open_key, .open_key = *how};
    if (!node_role_start(NODE_ROLE_keys, STDERR_FILENO, p))
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "no process: %s", strerror(errno));
    if (node_wire_send(p->wire, &m) != ERR_OK ||
        node_wire_await(p->wire, NODE_ROLE_keys, NODE_ROLE_supervisor, &m) != NODE_WIRE_GOT || m.type != NODE_MSG_key)
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "the process that holds the node's key died");
    memcpy(out->bytes, m.key.public, sizeof out->bytes);
    return node_diag_of(d, m.key.err, DIAG_NOWHERE, m.key.text);
}

err node_key_public(const char *folder, struct abi_key_public *out, struct diag *d) {
    arena *scratch = arena_new(0);
    struct node_process p;
    err e = start(&(struct node_msg_open_key){.folder = node_state_folder(scratch, folder)}, &p, out, d);
    node_process_end(&p);
    arena_free(scratch);
    return e;
}

static err ask_signature(struct node_process *p, int image_fd, const struct abi_image_signed *sign, struct diag *d) {
    struct node_message m = NODE_MESSAGE(sign, .id = 0);
    memcpy(m.sign.purpose, sign->purpose, sizeof sign->purpose);
    memcpy(m.sign.digest, sign->digest, sizeof sign->digest);
    if (node_wire_send(p->wire, &m) != ERR_OK ||
        node_wire_await(p->wire, NODE_ROLE_keys, NODE_ROLE_supervisor, &m) != NODE_WIRE_GOT || m.type != NODE_MSG_signature)
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "the process that holds the node's key died");
    return abi_image_put_signature(image_fd, m.signature.signature, d);
}

err node_key_sign(enum node_key which, const char *folder, int image_fd, struct abi_key_public *out, struct diag *d) {
    struct abi_image_signed sign;
    TRY(abi_image_to_sign(image_fd, &sign, d));
    arena *scratch = arena_new(0);
    struct node_process p;
    struct node_msg_open_key how = {.make = true};
    if (which == NODE_KEY_OF_THE_NODE) how.folder = node_state_folder(scratch, folder);
    err e = start(&how, &p, out, d);
    if (e == ERR_OK) e = ask_signature(&p, image_fd, &sign, d);
    node_process_end(&p);
    arena_free(scratch);
    return e;
}
