/* records: the apps of a node, each a file.
 *
 *   apps/NAME        "orla" layout  a record (snapshot.h)  SHA-256 of all that
 *   apps/NAME.part   one that is not served yet: forgotten at the next start
 *   apps/.next-id    a number that no app has had
 *
 * 1. A file is written aside, synced and renamed, and its folder synced: at any moment the old one is there, or the new one, whole.
 * 2. An app's number is given once. The file that says which is next is written before it is given.
 */
#include "node/control/control_int.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LAYOUT = 1, RECORD_BYTES_MAX = 1 * MiB };
static const char magic[] = "orla", next_id_name[] = ".next-id";

static bool keeps(const struct control *c) { return c->state.records >= 0; }

/* ---- files ---- */

static bool put_all(int fd, int from, str bytes) {
    static uint8_t piece[64 * KiB];
    for (size_t at = 0; from < 0 && at < bytes.n;) {
        ssize_t n = write(fd, bytes.p + at, bytes.n - at);
        if (n < 0 && errno != EINTR) return false;
        at += n > 0 ? (size_t)n : 0;
    }
    ssize_t n = 0;
    for (off_t at = 0; from >= 0 && (n = pread(from, piece, sizeof piece, at)) > 0; at += n)
        if (!put_all(fd, -1, (str){piece, (size_t)n})) return false;
    return n == 0;
}

static err cannot(struct diag *d, const char *name) {
    return diag_set(d, ERR_IO, DIAG_NOWHERE, "the state folder's %s cannot be written: %s", name, strerror(errno));
}

static err write_part(int folder, const char *part, int from, str bytes, struct diag *d) {
    unlinkat(folder, part, 0);
    int fd = openat(folder, part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && put_all(fd, from, bytes) && fsync(fd) == 0;
    err e = ok ? ERR_OK : cannot(d, part);
    if (fd >= 0) close(fd);
    if (!ok && fd >= 0) unlinkat(folder, part, 0);
    return e;
}

static err put_in_place(int folder, const char *part, const char *name, struct diag *d) {
    return renameat(folder, part, folder, name) == 0 && fsync(folder) == 0 ? ERR_OK : cannot(d, name);
}

err node_control_write_file(int folder, const char *name, int from, str bytes, struct diag *d) {
    char part[APP_NAME_MAX + 16];
    snprintf(part, sizeof part, "%s.part", name);
    TRY(write_part(folder, part, from, bytes, d));
    return put_in_place(folder, part, name, d);
}

/* ---- in memory ---- */

struct control_app *node_control_app_new(const struct app_record *r) {
    struct buf b = {0};
    struct diag d = DIAG_INIT;
    arena *mem = arena_new(0);
    struct control_app *app = arena_make(mem, struct control_app);
    app->mem = mem;
    app_record_write(&b, r);
    ENSURE(app_record_decode(mem, arena_str(mem, buf_str(&b)), &app->record, &d) == ERR_OK);
    for (uint32_t i = 0; i < app->record.functions.n; i++) {
        struct node_rights own;
        node_rights_of(mem, &own, &app->record.functions.p[i].grants);
        node_rights_join(mem, &app->rights, &own);
    }
    buf_free(&b);
    return app;
}

void node_control_app_free(struct control_app *app) { arena_free(app->mem); }

struct control_app *node_control_app_named(const struct control *c, str name) {
    struct control_app *app = c->apps;
    while (app && !str_eq(app->record.name, name)) app = app->next;
    return app;
}

void node_control_app_remove(struct control *c, struct control_app *app) {
    struct control_app **at = &c->apps;
    while (*at != app) at = &(*at)->next;
    *at = app->next;
    node_control_app_free(app);
}

void node_control_app_put(struct control *c, struct control_app *app) {
    struct control_app *old = node_control_app_named(c, app->record.name), **at = &c->apps;
    if (old) node_control_app_remove(c, old);
    while (*at && (*at)->record.id < app->record.id) at = &(*at)->next;
    app->next = *at;
    *at = app;
}

/* ---- reading ---- */

/* All of a file that is no longer than it may be; bytes of arena. False: it is none. */
static bool read_file(arena *out, int folder, const char *name, str *bytes) {
    struct stat st;
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    bool ok = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= (off_t)(RECORD_BYTES_MAX + 64);
    if (ok) {
        uint8_t *p = arena_alloc(out, (size_t)st.st_size + 1, 1);
        ssize_t n = pread(fd, p, (size_t)st.st_size, 0);
        *bytes = (str){p, n > 0 ? (size_t)n : 0};
        ok = n == st.st_size;
    }
    if (fd >= 0) close(fd);
    return ok;
}

static err read_record(arena *mem, int folder, const char *name, struct app_record *r, struct diag *d) {
    str bytes;
    uint8_t digest[CRYPTO_SHA256_BYTES];
    if (!read_file(mem, folder, name, &bytes)) return diag_set(d, ERR_IO, DIAG_NOWHERE, "it cannot be read");
    struct rd rd = rd_of(bytes);
    bool ours = str_eqc(rd_bytes(&rd, 4), magic);
    uint32_t layout = rd_u32le(&rd);
    if (ours && layout > LAYOUT)
        return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "it is of a newer version of Orlo (layout %u, this one knows %d)",
                        layout, LAYOUT);
    if (!ours || bytes.n < 8 + sizeof digest) return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "it is no record");
    str whole = str_sub(bytes, 0, bytes.n - sizeof digest);
    crypto_sha256(whole, digest);
    if (memcmp(digest, whole.p + whole.n, sizeof digest) != 0)
        return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "its bytes have changed since it was written");
    TRY(app_record_decode(mem, str_sub(whole, 8, whole.n), r, d));
    return str_eqc(r->name, name) ? ERR_OK : diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "it is another app's");
}

/* Where somebody else has read to does not matter: the descriptor came from the supervisor, whose earlier control read it to its end. */
DIR *node_control_read_folder(int folder) {
    int fd = fcntl(folder, F_DUPFD_CLOEXEC, 3);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir) rewinddir(dir);
    else if (fd >= 0) close(fd);
    errno = dir ? 0 : errno;
    return dir;
}

static err load_one(struct control *c, const char *name, struct diag *d) {
    arena *mem = arena_new(0);
    struct app_record r;
    struct diag own = DIAG_INIT;
    err e = read_record(mem, c->state.records, name, &r, &own);
    if (e == ERR_OK) node_control_app_put(c, node_control_app_new(&r));
    else log_event(LOG_ERROR, "record-broken", LF_CSTR("app", name), LF_CSTR("reason", own.text));
    c->record_broken |= e != ERR_OK;
    if (e == ERR_OK) c->next_id = MAX(c->next_id, r.id + 1);
    arena_free(mem);
    if (e != ERR_UNSUPPORTED) return ERR_OK;
    return diag_set(d, e, DIAG_NOWHERE, "apps/%s of the state folder: %s", name, own.text);
}

static void load_next_id(struct control *c) {
    arena *mem = arena_new(0);
    str bytes;
    uint64_t id;
    if (read_file(mem, c->state.records, next_id_name, &bytes) && str_to_u64(bytes, &id) && id < UINT32_MAX)
        c->next_id = MAX(c->next_id, (uint32_t)id);
    arena_free(mem);
}

static err unreadable(struct diag *d) {
    return diag_set(d, ERR_IO, DIAG_NOWHERE, "the state folder cannot be read: %s", strerror(errno));
}

err node_records_load(struct control *c, struct diag *d) {
    if (!keeps(c)) return ERR_OK;
    DIR *folder = node_control_read_folder(c->state.records);
    err e = folder ? ERR_OK : unreadable(d);
    for (struct dirent *entry; e == ERR_OK && (errno = 0, entry = readdir(folder));) {
        if (str_ends(str_c(entry->d_name), STR(".part"))) unlinkat(c->state.records, entry->d_name, 0); /* it never was */
        else if (entry->d_name[0] != '.') e = load_one(c, entry->d_name, d);
    }
    if (e == ERR_OK && errno) e = unreadable(d); /* some are not none */
    if (folder) closedir(folder);
    load_next_id(c);
    return e;
}

/* ---- writing ---- */

static void part_name(str name, char part[static APP_NAME_MAX + 16]) {
    snprintf(part, APP_NAME_MAX + 16, STR_FMT ".part", STR_ARG(name));
}

err node_records_stage(struct control *c, const struct app_record *r, struct diag *d) {
    char part[APP_NAME_MAX + 16];
    uint8_t digest[CRYPTO_SHA256_BYTES];
    struct buf b = {0};
    if (!keeps(c)) return ERR_OK;
    buf_put(&b, magic, 4);
    buf_put(&b, &(uint32_t){LAYOUT}, 4);
    app_record_write(&b, r);
    crypto_sha256(buf_str(&b), digest);
    buf_put(&b, digest, sizeof digest);
    part_name(r->name, part);
    err e = write_part(c->state.records, part, -1, buf_str(&b), d);
    buf_free(&b);
    return e;
}

err node_records_commit(struct control *c, str name, struct diag *d) {
    char part[APP_NAME_MAX + 16], whole[APP_NAME_MAX + 1];
    if (!keeps(c)) return ERR_OK;
    part_name(name, part);
    snprintf(whole, sizeof whole, STR_FMT, STR_ARG(name));
    return put_in_place(c->state.records, part, whole, d);
}

void node_records_unstage(struct control *c, str name) {
    char part[APP_NAME_MAX + 16];
    part_name(name, part);
    if (keeps(c)) unlinkat(c->state.records, part, 0);
}

err node_records_remove(struct control *c, str name, struct diag *d) {
    char whole[APP_NAME_MAX + 1];
    if (!keeps(c)) return ERR_OK;
    snprintf(whole, sizeof whole, STR_FMT, STR_ARG(name));
    return unlinkat(c->state.records, whole, 0) == 0 && fsync(c->state.records) == 0 ? ERR_OK : cannot(d, whole);
}

err node_records_next_id(struct control *c, uint32_t *id, struct diag *d) {
    char text[16];
    int n = snprintf(text, sizeof text, "%u", c->next_id + 1);
    if (c->next_id >= UINT32_MAX - 1)
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "this node has had as many apps as it can number");
    if (keeps(c)) TRY(node_control_write_file(c->state.records, next_id_name, -1, (str){(uint8_t *)text, (size_t)n}, d));
    *id = c->next_id++;
    return ERR_OK;
}
