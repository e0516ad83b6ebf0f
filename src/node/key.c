/* key: the node's keys, files of 32 bytes in the state folder that only its owner may read: one that signs images (Ed25519), and one that
 * secrets are sealed with (AES-256-GCM), which may be a file of the operator's instead.
 *
 *   starter ── open_key ──> keys: loads or makes the keys, gives up all rights, says the public half
 *           ── sign ──────>       signs what it is told, as often as it is asked
 *           ── secret ────>       seals a secret; makes a key of an app's, and signs with one
 *           ── tickets ───>       makes the key of TLS tickets anew, in the page that workers have
 *           ── unseal ────>       opens an app's secrets, into a file that the worker gets
 *   worker  ── token_ask ─>       signs a user's token, by a key that comes along sealed
 *           ── tls_ask ───>       signs a message of a TLS handshake, the same way
 *           ── vault_ask ─>       seals bytes of an app's (of a row of its database), or opens them
 *
 * 1. A secret key is in the memory of such a process and nowhere else: it started by exec, and whoever started it asks by message.
 * 2. It parses nothing that a stranger wrote: files of 32 bytes, fixed numbers of bytes that it signs, what control has sealed by it, and certificates and
 *    keys of the operator's, in a process that ends with that.
 * 3. A sealed secret is about its app and its name: put in another's place, it is refused.
 * 4. What an app seals has a key of its own, made of the one that seals and of the app's number; who asks shows the app's pass, which keys puts among the
 *    secrets of workers that serve it: another's worker, taken over, opens nothing, though it had the bytes.
 */
#include "node/certificates.h"
#include "node/node_int.h"
#include "node/keyset.h"
#include "node/role.h"
#include "node/secrets.h"
#include "node/state.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_BYTES = 32, KEY_FILE_MAX = 256 };
static_assert((int)CRYPTO_ED25519_SECRET_BYTES == KEY_BYTES && (int)CRYPTO_SEAL_KEY_BYTES == KEY_BYTES, "of one length");

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
    uint8_t key[KEY_BYTES];
    crypto_random(key, sizeof key);
    bool ok = write(fd, key, sizeof key) == (ssize_t)sizeof key && fsync(fd) == 0;
    close(fd);
    if (ok && link(aside, path) != 0 && errno != EEXIST) ok = false;
    int why = errno, folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    unlink(aside);
    if (folder >= 0) fsync(folder), close(folder); /* what is sealed with it must not outlive it */
    explicit_bzero(key, sizeof key);
    return ok ? ERR_OK : diag_set(d, ERR_IO, DIAG_NOWHERE, "%s cannot be written: %s", path, strerror(why));
}

/* "01ab…": 64 digits, and perhaps a newline. */
static bool of_digits(const uint8_t *text, size_t n, uint8_t key[KEY_BYTES]) {
    if (n == 2 * KEY_BYTES + 1 && text[n - 1] == '\n') n--;
    if (n != 2 * KEY_BYTES) return false;
    for (size_t i = 0; i < KEY_BYTES; i++) {
        unsigned byte;
        char two[3] = {(char)text[2 * i], (char)text[2 * i + 1], 0};
        if (strspn(two, "0123456789abcdefABCDEF") != 2 || sscanf(two, "%2x", &byte) != 1) return false;
        key[i] = (uint8_t)byte;
    }
    return true;
}

/* what: "the node's key". digits: it may be written in them. */
static err read_key(const char *path, const char *what, bool digits, uint8_t key[KEY_BYTES], struct diag *d) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* whatever it is, nobody waits for it */
    if (fd < 0)
        return diag_set(d, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, DIAG_NOWHERE, "%s %s cannot be read: %s", what, path,
                        strerror(errno));
    struct stat st;
    uint8_t bytes[KEY_FILE_MAX];
    bool known = fstat(fd, &st) == 0, private = known && !(st.st_mode & 077);
    ssize_t got = known && S_ISREG(st.st_mode) ? read(fd, bytes, sizeof bytes) : -1;
    close(fd);
    err e = ERR_OK;
    if (known && !S_ISREG(st.st_mode))
        e = diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "%s is no node key: it is no regular file", path);
    else if (!private) e = diag_set(d, ERR_DENIED, DIAG_NOWHERE, "%s %s is open to others; run: chmod 600 %s", what, path, path);
    else if (got == KEY_BYTES) memcpy(key, bytes, KEY_BYTES);
    else if (!digits || got < 0 || !of_digits(bytes, (size_t)got, key))
        e = diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "%s is no node key: it must hold 32 bytes%s", path,
                     digits ? ", or 64 hexadecimal digits" : "");
    explicit_bzero(bytes, sizeof bytes);
    return e;
}

struct keyring {
    struct crypto_ed25519 sign;
    uint8_t seal[KEY_BYTES];
    err no_seal; /* why there is none */
    struct diag no_seal_d;
};

static err load(str dir, const char *name, bool make, uint8_t key[KEY_BYTES], const char *what, struct diag *d) {
    arena *scratch = arena_new(0);
    char *folder = arena_cstr(scratch, dir), *path = arena_cstr(scratch, arena_fmt(scratch, "%s/%s", folder, name));
    err e = ERR_OK;
    if (make && access(path, F_OK) != 0) e = make_key(scratch, folder, path, d);
    if (e == ERR_OK) e = read_key(path, what, false, key, d);
    arena_free(scratch);
    return e;
}

static err load_sign(str dir, bool make, struct crypto_ed25519 *out, struct diag *d) {
    uint8_t seed[KEY_BYTES];
    err e = load(dir, "node.key", make, seed, "the node's key", d);
    if (e == ERR_OK) crypto_ed25519_of_seed(seed, out);
    explicit_bzero(seed, sizeof seed);
    return e;
}

/* One that cannot be had is said when it is wanted: images are signed without it. */
static void load_seal(const struct node_msg_open_key *m, struct keyring *k) {
    static const char what[] = "the key that secrets are sealed with,";
    char path[4097];
    snprintf(path, sizeof path, STR_FMT, STR_ARG(m->seal_file));
    k->no_seal_d = (struct diag)DIAG_INIT;
    if (m->seal_file.n) k->no_seal = read_key(path, what, true, k->seal, &k->no_seal_d);
    else if (m->folder.n) k->no_seal = load(m->folder, "seal.key", m->make, k->seal, what, &k->no_seal_d);
    else k->no_seal = diag_set(&k->no_seal_d, ERR_NOT_FOUND, DIAG_NOWHERE, "nothing is kept here, and so no secrets");
}

/* ---- the process that holds it ---- */

/* Whose memory the key is in: of nobody who reads the file named /proc/PID/mem, or a core. */
static err open_keys(const struct node_msg_open_key *m, struct keyring *k, struct diag *d) {
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (m->folder.n) TRY(load_sign(m->folder, m->make, &k->sign, d));
    else crypto_ed25519_new(&k->sign);
    load_seal(m, k);
    if (!node_role_drop(NODE_ROLE_keys))
        log_event(LOG_WARN, "role-as-root", LF_CSTR("role", "keys"), LF_CSTR("reason", strerror(errno)));
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* again: who changes his user is dumpable anew */
    return node_sandbox_keys(d);
}

static err be_opened(struct keyring *k) {
    struct node_message m;
    struct diag d = DIAG_INIT;
    if (node_wire_await(NODE_WIRE_FD, NODE_ROLE_supervisor, NODE_ROLE_keys, &m) != NODE_WIRE_GOT || m.type != NODE_MSG_open_key)
        return ERR_CLOSED;
    struct node_message opened = NODE_MESSAGE(key, .err = open_keys(&m.open_key, k, &d), .text = str_c(d.text));
    if (opened.key.err == ERR_OK) memcpy(opened.key.public, k->sign.public, sizeof k->sign.public);
    TRY(node_wire_send(NODE_WIRE_FD, &opened));
    return opened.key.err;
}

static err sign(const struct crypto_ed25519 *key, const struct node_msg_sign *m) {
    struct abi_image_signed sign;
    memcpy(sign.purpose, m->purpose, sizeof sign.purpose);
    memcpy(sign.digest, m->digest, sizeof sign.digest);
    struct node_message answer = NODE_MESSAGE(signature, .id = m->id);
    memcpy(answer.signature.public, key->public, sizeof key->public);
    crypto_ed25519_sign(key, (str){(const uint8_t *)&sign, sizeof sign}, answer.signature.signature);
    return node_wire_send(NODE_WIRE_FD, &answer);
}

/* ---- secrets ---- */

/* What a sealed secret is about. */
static str about(uint32_t app, str key, uint8_t to[static 256]) {
    struct buf b = {.p = to, .cap = 256, .max = 256};
    buf_put(&b, "orlo secret", 12);
    buf_put(&b, &app, sizeof app);
    buf_puts(&b, key);
    ENSURE(!b.full);
    return buf_str(&b);
}

static err open_one(const struct keyring *k, uint32_t app, str key, str sealed, uint8_t *to, struct diag *d) {
    uint8_t scratch[256];
    if (k->no_seal != ERR_OK) return diag_set(d, k->no_seal, DIAG_NOWHERE, "%s", k->no_seal_d.text);
    if (crypto_unseal(k->seal, about(app, key, scratch), sealed, to)) return ERR_OK;
    return diag_set(d, ERR_DENIED, DIAG_NOWHERE,
                    "the secret " STR_FMT
                    " was sealed with another key: start the node with that one (--key-file), or set it again",
                    STR_ARG(key));
}

/* To its end; whoever has the memory next finds nothing. */
struct work {
    uint8_t in[NODE_SECRET_SEALED_MAX], out[NODE_SECRET_SEALED_MAX];
};

static str seal(const struct keyring *k, const struct node_msg_secret *m, str plain, struct work *w) {
    uint8_t scratch[256];
    crypto_seal(k->seal, about(m->app, m->key, scratch), plain, w->out);
    return (str){w->out, plain.n + CRYPTO_SEAL_MORE_BYTES};
}

/* ---- pairs that sign ---- */

static_assert((int)CRYPTO_PAIR_KINDS == (int)NODE_SECRET_PAIRS && (int)NODE_KEY_ALGORITHMS == 1 + (int)NODE_SECRET_PAIRS);
enum { PAIRS_KEPT = 64 };

/* What was opened and made ready: that takes longer than a signature. As it came sealed; so nothing signs that would not have been opened. */
static struct kept {
    struct crypto_pair *pair; /* NULL: none */
    enum crypto_pair_kind kind;
    uint32_t app;
    uint64_t used;
    str key, sealed;
} kept[PAIRS_KEPT];
static uint64_t pairs_used;

static void drop_kept(struct kept *p) {
    crypto_pair_free(p->pair);
    free((void *)(uintptr_t)p->key.p);
    *p = (struct kept){0};
}

static struct kept *find_kept(enum crypto_pair_kind kind, uint32_t app, str key, str sealed) {
    struct kept *oldest = &kept[0];
    for (size_t i = 0; i < PAIRS_KEPT; i++) {
        struct kept *p = &kept[i];
        if (p->pair && p->app == app && p->kind == kind && str_eq(p->key, key) && str_eq(p->sealed, sealed)) return p;
        if (p->used < oldest->used) oldest = p;
    }
    drop_kept(oldest);
    return oldest;
}

/* NULL: it is none of this kind, or is not to be opened. */
static struct crypto_pair *pair_of(const struct keyring *k, enum crypto_pair_kind kind, uint32_t app, str key, str sealed,
                                   struct diag *d) {
    uint8_t secret[CRYPTO_PAIR_SECRET_MAX];
    if (!key.n || sealed.n < CRYPTO_SEAL_MORE_BYTES || sealed.n - CRYPTO_SEAL_MORE_BYTES > sizeof secret) return NULL;
    struct kept *p = find_kept(kind, app, key, sealed);
    p->used = ++pairs_used;
    if (p->pair) return p->pair;
    if (open_one(k, app, key, sealed, secret, d) == ERR_OK)
        p->pair = crypto_pair_signer(kind, (str){secret, sealed.n - CRYPTO_SEAL_MORE_BYTES});
    explicit_bzero(secret, sizeof secret);
    if (!p->pair) return NULL;
    uint8_t *own = malloc(key.n + sealed.n);
    ENSURE(own);
    memcpy(own, key.p, key.n), memcpy(own + key.n, sealed.p, sealed.n);
    p->kind = kind, p->app = app;
    p->key = (str){own, key.n}, p->sealed = (str){own + key.n, sealed.n};
    return p->pair;
}

/* With what was sealed, which is the value. */
static err sign_with(const struct keyring *k, const struct node_msg_secret *m, struct work *w, str *out, struct diag *d) {
    if (m->value.n < CRYPTO_SEAL_MORE_BYTES) return ERR_MALFORMED;
    if (m->does == NODE_SECRET_SIGNS) {
        TRY(open_one(k, m->app, m->key, m->value, w->in, d));
        crypto_hmac_sha256((str){w->in, m->value.n - CRYPTO_SEAL_MORE_BYTES}, m->message, w->out);
        *out = (str){w->out, CRYPTO_SHA256_BYTES};
        return ERR_OK;
    }
    enum crypto_pair_kind kind = (enum crypto_pair_kind)(m->does - NODE_SECRET_SIGNS_PAIR);
    struct crypto_pair *pair = pair_of(k, kind, m->app, m->key, m->value, d);
    *out = (str){w->out, pair ? crypto_pair_sign(pair, m->message, w->out) : 0};
    if (out->n) return ERR_OK;
    return d->text[0] ? ERR_DENIED : diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "it is no key of that algorithm");
}

static err make_pair(const struct keyring *k, const struct node_msg_secret *m, struct work *w, str *out, struct diag *d) {
    bool makes = m->does < NODE_SECRET_TAKES_PAIR;
    enum crypto_pair_kind kind = (enum crypto_pair_kind)(m->does - (makes ? NODE_SECRET_MAKES_PAIR : NODE_SECRET_TAKES_PAIR));
    uint8_t public[CRYPTO_PAIR_PUBLIC_MAX];
    size_t secret_n = 0, n = 0;
    str secret = m->value;
    if (makes) crypto_pair_make(kind, w->in, &secret_n), secret = (str){w->in, secret_n};
    struct crypto_pair *works = crypto_pair_signer(kind, secret);
    bool ok = works && crypto_pair_public(kind, secret, public, &n);
    crypto_pair_free(works);
    if (!ok)
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE,
                        "it is no secret key of that algorithm: of ES256 a number of 32 bytes, below the order of P-256; of "
                        "EdDSA a seed of 32; "
                        "of RS256 2048 to 4096 bits, and numbers that belong together");
    struct buf b = {.p = w->out, .cap = sizeof w->out, .max = sizeof w->out};
    uint8_t scratch[256];
    buf_put(&b, &(uint16_t){(uint16_t)n}, 2);
    buf_put(&b, public, n);
    crypto_seal(k->seal, about(m->app, m->key, scratch), secret, w->out + b.n);
    *out = (str){w->out, b.n + secret.n + CRYPTO_SEAL_MORE_BYTES};
    return ERR_OK;
}

/* ---- certificates: what they are asked for with, and what answers a challenge ---- */

static err make_request(const struct keyring *k, const struct node_msg_secret *m, struct work *w, str *out, struct diag *d) {
    struct crypto_request r;
    str host = m->message;
    bool ok = m->does == NODE_SECRET_MAKES_REQUEST || host.n > CRYPTO_SHA256_BYTES;
    if (m->does == NODE_SECRET_MAKES_REQUEST) ok = crypto_request_make(host, &r);
    else if (ok) ok = crypto_challenge_make(str_sub(host, CRYPTO_SHA256_BYTES, host.n), host.p, &r);
    if (!ok) return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "it is no name of a host");
    struct buf b = {.p = w->out, .cap = sizeof w->out, .max = sizeof w->out};
    buf_put(&b, &(uint16_t){(uint16_t)r.made_n}, 2);
    buf_put(&b, r.made, r.made_n);
    crypto_seal(k->seal, STR(NODE_CERT_ABOUT), (str){r.secret, r.secret_n}, w->out + b.n);
    *out = (str){w->out, b.n + r.secret_n + CRYPTO_SEAL_MORE_BYTES};
    explicit_bzero(&r, sizeof r);
    return ERR_OK;
}

/* ---- handshakes of control's ---- */

static struct crypto_tls_key *tls_key_of(const struct keyring *k, str sealed);

/* Of control, where it is administered. */
static err sign_handshake(const struct keyring *k, const struct node_msg_secret *m, struct work *w, str *out, struct diag *d) {
    struct crypto_tls_key *key = tls_key_of(k, m->value);
    size_t n = key && m->message.n > 2 ? crypto_tls_key_sign(key, (uint16_t)(m->message.p[0] | m->message.p[1] << 8),
                                                             str_sub(m->message, 2, m->message.n), w->out)
                                       : 0;
    *out = (str){w->out, n};
    return n ? ERR_OK : diag_set(d, ERR_DENIED, DIAG_NOWHERE, "it is no message of a handshake, or the key is not to be opened");
}

static err do_secret(const struct keyring *k, const struct node_msg_secret *m, struct work *w, str *out, struct diag *d) {
    if (k->no_seal != ERR_OK) return diag_set(d, k->no_seal, DIAG_NOWHERE, "%s", k->no_seal_d.text);
    if (m->does == NODE_SECRET_SIGNS_TLS) return sign_handshake(k, m, w, out, d);
    if (m->does >= NODE_SECRET_MAKES_REQUEST) return make_request(k, m, w, out, d);
    if (m->does == NODE_SECRET_SIGNS || m->does >= NODE_SECRET_SIGNS_PAIR) return sign_with(k, m, w, out, d);
    if (m->does >= NODE_SECRET_MAKES_PAIR) return make_pair(k, m, w, out, d);
    str plain = m->value;
    if (m->does == NODE_SECRET_MAKES) crypto_random(w->in, KEY_BYTES), plain = (str){w->in, KEY_BYTES};
    if (plain.n > sizeof w->out - CRYPTO_SEAL_MORE_BYTES) return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "the secret is too long");
    *out = seal(k, m, plain, w);
    return ERR_OK;
}

static err answer_secret(const struct keyring *k, const struct node_msg_secret *m) {
    static struct work w;
    struct diag d = DIAG_INIT;
    str out = {0};
    err e = do_secret(k, m, &w, &out, &d);
    e = node_wire_send(NODE_WIRE_FD, &NODE_MESSAGE(secret_said, .id = m->id, .err = e, .text = str_c(d.text), .value = out));
    explicit_bzero(&w, sizeof w);
    return e;
}

/* ---- bytes of apps ---- */

static void vault_part(const struct keyring *k, const char *what, uint32_t app, uint8_t out[CRYPTO_SHA256_BYTES]) {
    uint8_t bytes[64];
    struct buf b = {.p = bytes, .cap = sizeof bytes, .max = sizeof bytes};
    buf_puts(&b, str_c(what));
    buf_put(&b, &app, sizeof app);
    ENSURE(!b.full);
    crypto_hmac_sha256((str){k->seal, sizeof k->seal}, buf_str(&b), out);
}

static err do_vault(const struct keyring *k, const struct node_msg_vault_ask *m, uint8_t *out, size_t *n) {
    uint8_t pass[CRYPTO_SHA256_BYTES], key[CRYPTO_SHA256_BYTES];
    if (k->no_seal != ERR_OK) return k->no_seal;
    vault_part(k, "orlo vault pass", m->app, pass);
    if (!crypto_equal(pass, m->pass, sizeof pass)) return ERR_DENIED;
    vault_part(k, "orlo vault key", m->app, key);
    err e = ERR_OK;
    if (m->opens) {
        *n = m->bytes.n - MIN(m->bytes.n, (size_t)CRYPTO_SEAL_MORE_BYTES);
        if (!crypto_unseal(key, m->about, m->bytes, out)) e = ERR_DENIED;
    } else if (m->bytes.n > NODE_VAULT_BYTES_MAX) {
        e = ERR_LIMIT;
    } else {
        *n = m->bytes.n + CRYPTO_SEAL_MORE_BYTES;
        crypto_seal(key, m->about, m->bytes, out);
    }
    explicit_bzero(key, sizeof key);
    return e;
}

struct opening {
    const struct keyring *k;
    uint32_t app;
    struct buf out;
    uint8_t signer[256]; /* of HS256 */
    size_t signer_n;
    struct crypto_pair *pair; /* NULL: that of HS256 signs, if one does */
};

static void put_opened(struct opening *o, str key, str value) {
    buf_put(&o->out, &(uint32_t){(uint32_t)key.n}, 4);
    buf_puts(&o->out, key);
    buf_put(&o->out, &(uint32_t){(uint32_t)value.n}, 4);
    buf_puts(&o->out, value);
}

/* With the signer before it. */
static err put_token(struct opening *o, str key, str message) {
    uint8_t sig[CRYPTO_PAIR_SIGNATURE_MAX];
    size_t n = o->signer_n ? CRYPTO_SHA256_BYTES : 0;
    struct buf token = {0};
    if (o->pair) n = crypto_pair_sign(o->pair, message, sig);
    else if (n) crypto_hmac_sha256((str){o->signer, o->signer_n}, message, sig);
    if (!n) return ERR_MALFORMED;
    buf_puts(&token, message);
    buf_putc(&token, '.');
    node_base64url(&token, (str){sig, n});
    put_opened(o, key, buf_str(&token));
    buf_free(&token);
    return ERR_OK;
}

static err take_signer(struct opening *o, str secret) {
    if (secret.n > sizeof o->signer) return ERR_LIMIT;
    memcpy(o->signer, secret.p, secret.n);
    o->signer_n = secret.n;
    o->pair = NULL;
    return ERR_OK;
}

static void put_pass(struct opening *o) {
    uint8_t pass[CRYPTO_SHA256_BYTES];
    if (o->k->no_seal != ERR_OK) return;
    vault_part(o->k, "orlo vault pass", o->app, pass);
    put_opened(o, STR(NODE_PASS_ENTRY), (str){pass, sizeof pass});
}

static err open_entry(struct opening *o, struct rd *from, struct diag *d) {
    static uint8_t plain[NODE_SECRET_SEALED_MAX];
    uint32_t kind = rd_u32le(from);
    str key = rd_bytes(from, rd_u32le(from)), bytes = rd_bytes(from, rd_u32le(from));
    if (from->fail || kind >= NODE_SECRET_KINDS || key.n > 128 || bytes.n > sizeof plain) return ERR_MALFORMED;
    if (kind == NODE_SECRET_TOKEN) return put_token(o, key, bytes);
    if (kind == NODE_SECRET_PLAIN) {
        put_opened(o, key, bytes);
        if (str_eqc(key, NODE_KEYSET_ENTRY)) put_pass(o);
        return ERR_OK;
    }
    if (bytes.n < CRYPTO_SEAL_MORE_BYTES) return ERR_MALFORMED;
    if (kind >= NODE_SECRET_SIGNER_PAIR && kind < NODE_SECRET_TOKEN) {
        o->pair = pair_of(o->k, (enum crypto_pair_kind)(kind - NODE_SECRET_SIGNER_PAIR), o->app, key, bytes, d);
        return o->pair ? ERR_OK : d->text[0] ? ERR_DENIED : ERR_MALFORMED;
    }
    TRY(open_one(o->k, o->app, key, bytes, plain, d));
    str value = {plain, bytes.n - CRYPTO_SEAL_MORE_BYTES};
    err e = ERR_OK;
    if (kind == NODE_SECRET_SEALED) put_opened(o, key, value);
    else e = take_signer(o, value);
    explicit_bzero(plain, sizeof plain);
    return e;
}

static err open_all(struct opening *o, int in, int out, struct diag *d) {
    uint8_t *sealed = malloc(NODE_SECRETS_FILE_MAX);
    ssize_t n = sealed ? pread(in, sealed, NODE_SECRETS_FILE_MAX, 0) : -1;
    err e = n < 0 || n == NODE_SECRETS_FILE_MAX ? ERR_LIMIT : ERR_OK;
    n = MAX(n, 0);
    for (struct rd from = rd_of((str){sealed, (size_t)n}); e == ERR_OK && rd_left(&from);) e = open_entry(o, &from, d);
    for (size_t at = 0; e == ERR_OK && at < o->out.n;) {
        ssize_t put = write(out, o->out.p + at, o->out.n - at);
        if (put <= 0) e = diag_set(d, ERR_IO, DIAG_NOWHERE, "the app's secrets cannot be handed on: %s", strerror(errno));
        else at += (size_t)put;
    }
    free(sealed);
    return e;
}

static err answer_unseal(const struct keyring *k, struct node_message *m) {
    struct opening o = {.k = k, .app = m->unseal.app};
    struct diag d = DIAG_INIT;
    struct node_message answer = NODE_MESSAGE(unsealed, .id = m->unseal.id);
    answer.unsealed.err = open_all(&o, m->fds[0], m->fds[1], &d);
    answer.unsealed.text = str_c(d.text);
    explicit_bzero(o.signer, sizeof o.signer);
    if (o.out.p) explicit_bzero(o.out.p, o.out.cap);
    buf_free(&o.out);
    return node_wire_send(NODE_WIRE_FD, &answer);
}

/* ---- TLS ---- */

enum { TLS_KEPT = 256 };
/* As `kept`: of what it came as; in a place that says its hash. */
static struct kept_tls {
    struct crypto_tls_key *key; /* NULL: none */
    size_t n;
    uint8_t *sealed;
} kept_tls[TLS_KEPT];

static struct crypto_tls_key *tls_key_of(const struct keyring *k, str sealed) {
    uint8_t secret[NODE_CERT_SEALED_MAX];
    struct kept_tls *at = &kept_tls[str_hash(sealed) % TLS_KEPT];
    if (k->no_seal != ERR_OK || sealed.n <= CRYPTO_SEAL_MORE_BYTES || sealed.n > sizeof secret) return NULL;
    if (at->key && at->n == sealed.n && !memcmp(at->sealed, sealed.p, sealed.n)) return at->key;
    struct crypto_tls_key *key = NULL;
    if (crypto_unseal(k->seal, STR(NODE_CERT_ABOUT), sealed, secret))
        key = crypto_tls_key_new((str){secret, sealed.n - CRYPTO_SEAL_MORE_BYTES});
    explicit_bzero(secret, sizeof secret);
    if (!key) return NULL;
    crypto_tls_key_free(at->key);
    free(at->sealed);
    at->key = key, at->n = sealed.n;
    at->sealed = malloc(sealed.n);
    ENSURE(at->sealed);
    memcpy(at->sealed, sealed.p, sealed.n);
    return key;
}

static err sign_tls(const struct keyring *k, const struct node_msg_tls_ask *m, uint8_t out[CRYPTO_TLS_SIGNATURE_MAX], size_t *n) {
    struct crypto_tls_key *key = tls_key_of(k, m->sealed);
    *n = key && m->scheme <= UINT16_MAX ? crypto_tls_key_sign(key, (uint16_t)m->scheme, m->message, out) : 0;
    return *n ? ERR_OK : ERR_DENIED;
}

static str read_whole(arena *out, int fd) {
    uint8_t *p = arena_alloc(out, NODE_CERT_FILE_BYTES_MAX, 1);
    ssize_t n = pread(fd, p, NODE_CERT_FILE_BYTES_MAX, 0);
    return (str){p, n > 0 && n < NODE_CERT_FILE_BYTES_MAX ? (size_t)n : 0};
}

/* Which serves, where it is put to work. */
static err try_identity(const struct crypto_chain *chain, struct diag *d) {
    struct crypto_tls_identity *i =
        crypto_tls_identity_new(&(struct crypto_tls_identity_config){.chain = chain->der, .chain_count = chain->count}, d);
    crypto_tls_identity_drop(i);
    return i ? ERR_OK : ERR_UNSUPPORTED;
}

static err seal_pair(const struct keyring *k, const struct node_certificate *read, str pkcs8, int out, struct diag *d) {
    struct node_certificate c = *read;
    struct buf b = {0};
    uint8_t sealed[NODE_CERT_SEALED_MAX];
    struct crypto_tls_key *key = crypto_tls_key_new(pkcs8);
    bool is = key && crypto_tls_key_is(key, c.chain.public);
    crypto_tls_key_free(key);
    if (!is) return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "it is the key of another certificate");
    crypto_seal(k->seal, STR(NODE_CERT_ABOUT), pkcs8, sealed);
    c.sealed = (str){sealed, pkcs8.n + CRYPTO_SEAL_MORE_BYTES};
    node_certificate_put(&b, &c);
    err e = write(out, b.p, b.n) == (ssize_t)b.n ? ERR_OK : diag_set(d, ERR_IO, DIAG_NOWHERE, "%s", strerror(errno));
    buf_free(&b);
    return e;
}

/* What is to go with it; one that demands that is not taken without. */
static err take_ocsp(arena *mem, const struct node_message *m, struct node_certificate *c, struct diag *d) {
    if (m->fds_count < 4 && c->chain.must_staple)
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE,
                        "the certificate demands that an OCSP answer goes with it (must-staple): name it, as `ocsp`");
    if (m->fds_count < 4) return ERR_OK;
    c->ocsp = read_whole(mem, m->fds[3]);
    return crypto_ocsp_check(&c->chain, c->ocsp, (int64_t)(clock_wall_ns() / 1'000'000'000u), &c->ocsp_until_s, d);
}

static err certify(const struct keyring *k, const struct node_message *m, uint8_t *which, struct diag *d) {
    arena *mem = arena_new(0);
    struct node_certificate c = {.source = NODE_CERT_OPERATOR, .from = m->certify.from};
    str pkcs8 = {0}, public, key_pem;
    err e = k->no_seal != ERR_OK ? diag_set(d, k->no_seal, DIAG_NOWHERE, "%s", k->no_seal_d.text) : ERR_OK;
    if (e == ERR_OK) e = crypto_chain_read(mem, read_whole(mem, m->fds[0]), &c.chain, d);
    if (e == ERR_OK) e = node_certificate_holds(&c.chain, (int64_t)(clock_wall_ns() / 1'000'000'000u), d);
    if (e == ERR_OK) e = try_identity(&c.chain, d);
    if (e == ERR_OK) {
        *which = 1;
        key_pem = read_whole(mem, m->fds[1]);
        e = crypto_tls_key_read(mem, key_pem, &pkcs8, &public, d);
        explicit_bzero((void *)(uintptr_t)key_pem.p, key_pem.n);
    }
    if (e == ERR_OK) *which = m->fds_count > 3 ? 2 : 0, e = take_ocsp(mem, m, &c, d);
    if (e == ERR_OK) *which = 1, e = seal_pair(k, &c, pkcs8, m->fds[2], d);
    if (pkcs8.n) explicit_bzero((void *)(uintptr_t)pkcs8.p, pkcs8.n);
    arena_free(mem);
    return e;
}

static err answer_certify(const struct keyring *k, const struct node_message *m) {
    struct diag d = DIAG_INIT;
    struct node_message answer = NODE_MESSAGE(certified);
    answer.certified.err = certify(k, m, &answer.certified.which, &d);
    answer.certified.text = str_c(d.text);
    return node_wire_send(NODE_WIRE_FD, &answer);
}

/* Nothing is kept here of it. */
static void turn_tickets(int fd) {
    void *p = mmap(NULL, sizeof(struct crypto_tickets), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) return;
    crypto_tickets_turn(p, clock_wall_ns() / 1'000'000'000u);
    munmap(p, sizeof(struct crypto_tickets));
}

/* ---- workers ---- */

enum { PEERS_MAX = 1024, AT_A_TIME = 16 };
static const uint64_t used_ns = 5'000'000'000u;
static struct {
    struct pollfd of[1 + PEERS_MAX]; /* the first is the wire */
    nfds_t n;
    uint64_t told_ns; /* when it was said that it is not idle */
} ends;

/* A worker has what it sends of apps that it serves; for another's, or by another's name, it does not open. */
static err sign_token(const struct keyring *k, const struct node_msg_token_ask *m, uint8_t signature[CRYPTO_PAIR_SIGNATURE_MAX],
                      size_t *n) {
    struct diag d = DIAG_INIT;
    struct crypto_pair *pair =
        node_key_is_pair(m->algorithm) ? pair_of(k, node_key_pair(m->algorithm), m->app, m->key, m->sealed, &d) : NULL;
    *n = pair ? crypto_pair_sign(pair, m->message, signature) : 0;
    return *n ? ERR_OK : ERR_DENIED;
}

static void drop_end(nfds_t i) {
    close(ends.of[i].fd);
    ends.of[i] = ends.of[--ends.n];
}

/* False: that end is gone. */
static bool hear_one(const struct keyring *k, int fd, bool *more) {
    struct node_message m, told;
    enum node_wire_got got = node_wire_receive(fd, NODE_ROLE_worker, NODE_ROLE_keys, &m);
    if (got == NODE_WIRE_AGAIN) {
        *more = false;
        return true;
    }
    bool vault = got == NODE_WIRE_GOT && m.type == NODE_MSG_vault_ask;
    bool tls = got == NODE_WIRE_GOT && m.type == NODE_MSG_tls_ask;
    bool sense = vault || tls || (got == NODE_WIRE_GOT && m.type == NODE_MSG_token_ask);
    uint8_t bytes[NODE_VAULT_BYTES_MAX + CRYPTO_SEAL_MORE_BYTES];
    size_t n = 0;
    if (vault) {
        told = NODE_MESSAGE(vault_told, .id = m.vault_ask.id);
        told.vault_told.err = do_vault(k, &m.vault_ask, bytes, &n);
        if (told.vault_told.err == ERR_OK) told.vault_told.bytes = (str){bytes, n};
    } else if (tls) {
        told = NODE_MESSAGE(tls_told, .id = m.tls_ask.id);
        told.tls_told.err = sign_tls(k, &m.tls_ask, bytes, &n);
        told.tls_told.signature = (str){bytes, n};
    } else if (sense) {
        told = NODE_MESSAGE(token_told, .id = m.token_ask.id);
        told.token_told.err = sign_token(k, &m.token_ask, bytes, &n);
        told.token_told.signature = (str){bytes, n};
    }
    if (got == NODE_WIRE_GOT) node_message_drop(&m);
    sense = sense && node_wire_send(fd, &told) == ERR_OK; /* who does not read asks anew */
    explicit_bzero(bytes, n);
    return sense;
}

static bool hear_worker(const struct keyring *k, int fd) {
    bool more = true, lives = true;
    for (int i = 0; i < AT_A_TIME && lives && more; i++) lives = hear_one(k, fd, &more);
    return lives;
}

static void say_used(void) {
    uint64_t now = clock_mono_ns();
    if (ends.told_ns && now - ends.told_ns < used_ns) return;
    ends.told_ns = now;
    err e = node_wire_send(NODE_WIRE_FD, &NODE_MESSAGE(keys_used));
    (void)e; /* where it is not heard, another is started when it is wanted */
}

static void add_end(int fd) {
    fcntl(fd, F_SETFL, O_NONBLOCK);
    if (ends.n < ARRAY_COUNT(ends.of)) ends.of[ends.n++] = (struct pollfd){.fd = fd, .events = POLLIN};
    else close(fd);
}

/* ---- its life ---- */

static err do_next(const struct keyring *k) {
    struct node_message m;
    if (node_wire_await(NODE_WIRE_FD, NODE_ROLE_supervisor, NODE_ROLE_keys, &m) != NODE_WIRE_GOT) return ERR_CLOSED;
    err e = m.type == NODE_MSG_sign      ? sign(&k->sign, &m.sign)
            : m.type == NODE_MSG_secret  ? answer_secret(k, &m.secret)
            : m.type == NODE_MSG_unseal  ? answer_unseal(k, &m)
            : m.type == NODE_MSG_certify ? answer_certify(k, &m)
                                         : ERR_USAGE;
    if (m.type == NODE_MSG_tickets) turn_tickets(m.fds[0]), e = ERR_OK;
    if (m.type == NODE_MSG_keys_peer) add_end(node_message_take(&m, 0)), e = ERR_OK;
    node_message_drop(&m);
    return e;
}

int node_keys_main(void) {
    static struct keyring k;
    err e = be_opened(&k);
    ends.of[0] = (struct pollfd){.fd = NODE_WIRE_FD, .events = POLLIN};
    ends.n = 1;
    while (e == ERR_OK) {
        if (poll(ends.of, ends.n, -1) < 0) continue;
        for (nfds_t i = ends.n; i-- > 1;) {
            bool asks = ends.of[i].revents;
            if (asks && !hear_worker(&k, ends.of[i].fd)) drop_end(i);
            if (asks) say_used();
        }
        if (ends.of[0].revents) e = do_next(&k);
    }
    explicit_bzero(&k, sizeof k);
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

/* ---- an operator's certificates ---- */

static err certify_one(const struct node_process *p, const struct node_certificate_file *f, int out, struct diag *d) {
    struct node_message m = NODE_MESSAGE(certify, .from = str_sub(str_c(f->cert), 0, 1024));
    m.fds[m.fds_count++] = f->cert_fd, m.fds[m.fds_count++] = f->key_fd, m.fds[m.fds_count++] = out;
    if (f->ocsp_fd >= 0) m.fds[m.fds_count++] = f->ocsp_fd;
    if (node_wire_send(p->wire, &m) != ERR_OK ||
        node_wire_await(p->wire, NODE_ROLE_keys, NODE_ROLE_supervisor, &m) != NODE_WIRE_GOT || m.type != NODE_MSG_certified)
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: the process that was to read it died", f->cert);
    if (m.certified.err == ERR_OK) return ERR_OK;
    return diag_set(d, m.certified.err, DIAG_NOWHERE, "%s: " STR_FMT,
                    m.certified.which == 2 ? f->ocsp
                    : m.certified.which    ? f->key
                                           : f->cert,
                    STR_ARG(m.certified.text));
}

err node_certificates_load(const struct node_msg_open_key *how, const struct node_certificate_file *files, uint32_t count,
                           int out, struct diag *d) {
    struct node_process p;
    struct abi_key_public public;
    err e = start(how, &p, &public, d);
    for (uint32_t i = 0; e == ERR_OK && i < count; i++) e = certify_one(&p, &files[i], out, d);
    node_process_end(&p);
    return e;
}
