/* upgrade: what was a file for each app, before there was a database, becomes rows of it.
 *
 *   apps/NAME        "orla" layout  a record (app/record.h)  SHA-256 of all that
 *   apps/.next-id    a number that no app has had
 *   apps/NODE.DB     what an Orlo of then reads first and refuses, so that it takes nothing for nobody's: a record of a layout that it does
 *                    not know
 *
 *   copied to db/backup-0-DATE.NAME ──> rows, in one transaction ──> NODE.DB written ──> the files removed
 *
 * 1. Killed anywhere, the next start finds what is left and goes on from there: a file whose app is a row with its number is removed.
 * 2. A file that is no record is said and left alone, and no file of the node's is swept as long as it is there.
 */
#include "node/control/control_int.h"
#include "node/control/store.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LAYOUT = 1, GUARD_LAYOUT = 2, RECORD_BYTES_MAX = 1 * MiB };
static const char magic[] = "orla", next_id_name[] = ".next-id", guard_name[] = "NODE.DB";

struct old_app {
    str name;
    struct app_record record;
};
struct old_apps {
    arena *mem;
    VEC(struct old_app) apps;
    uint32_t next_id;
    char date[32];
};

/* ---- reading ---- */

static err read_record(arena *mem, int folder, const char *name, struct app_record *r, struct diag *d) {
    str bytes;
    uint8_t digest[CRYPTO_SHA256_BYTES];
    if (!node_control_read_file(mem, folder, name, RECORD_BYTES_MAX + 64, &bytes))
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "it cannot be read");
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

static err read_one(struct control *c, struct old_apps *old, const char *name, struct diag *d) {
    struct diag own = DIAG_INIT;
    struct old_app app = {.name = arena_str(old->mem, str_c(name))};
    err e = read_record(old->mem, c->state.records, name, &app.record, &own);
    if (e == ERR_OK) vec_push(old->mem, &old->apps, app);
    else log_event(LOG_ERROR, "record-broken", LF_CSTR("app", name), LF_CSTR("reason", own.text));
    c->record_broken |= e != ERR_OK;
    if (e != ERR_UNSUPPORTED) return ERR_OK;
    return diag_set(d, e, DIAG_NOWHERE, "apps/%s of the state folder: %s", name, own.text);
}

static err unreadable(struct diag *d) {
    return diag_set(d, ERR_IO, DIAG_NOWHERE, "the state folder cannot be read: %s", strerror(errno));
}

static err read_all(struct control *c, struct old_apps *old, struct diag *d) {
    str bytes;
    uint64_t id;
    DIR *folder = node_control_read_folder(c->state.records);
    err e = folder ? ERR_OK : unreadable(d);
    for (struct dirent *entry; e == ERR_OK && (errno = 0, entry = readdir(folder));) {
        const char *name = entry->d_name;
        if (str_ends(str_c(name), STR(".part"))) unlinkat(c->state.records, name, 0); /* it never was */
        else if (name[0] != '.' && strcmp(name, guard_name) != 0) e = read_one(c, old, name, d);
    }
    if (e == ERR_OK && errno) e = unreadable(d); /* some are not none */
    if (folder) closedir(folder);
    if (node_control_read_file(old->mem, c->state.records, next_id_name, 16, &bytes) && str_to_u64(bytes, &id) && id < UINT32_MAX)
        old->next_id = (uint32_t)id;
    return e;
}

/* ---- becoming rows ---- */

static err back_up(struct control *c, const struct old_apps *old, struct diag *d) {
    for (uint32_t i = 0; i < old->apps.n; i++) {
        char to[APP_NAME_MAX + 64];
        const char *name = (const char *)old->apps.p[i].name.p;
        snprintf(to, sizeof to, "backup-0-%s.%s", old->date, name);
        int from = openat(c->state.records, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (from < 0) return unreadable(d);
        err e = node_control_write_file(c->state.db, to, from, (str){0}, d);
        close(from);
        TRY(e);
    }
    return ERR_OK;
}

static err insert(struct control *c, struct old_app *app, struct diag *d) {
    struct buf b = {0};
    uint8_t sum[CRYPTO_SHA256_BYTES];
    struct app_record *r = &app->record;
    TRY(db_run(c->db, d, "insert into apps (id, name, live) values (?, ?, ?)", DB_I64(r->id), DB_TEXT(r->name),
               DB_I64(r->version)));
    app_record_write(&b, r);
    crypto_sha256(buf_str(&b), sum);
    err e = db_run(
        c->db, d,
        "insert into versions (app, version, state, created, made_by, bytes, record, sum) values (?, ?, 2, ?, '', 0, ?, ?)",
        DB_I64(r->id), DB_I64(r->version), DB_I64(clock_wall_ns() / 1'000'000'000u), DB_BLOB(buf_str(&b)), DB_BLOB_OF(sum));
    buf_free(&b);
    for (uint32_t i = 0; e == ERR_OK && i < r->functions.n; i++)
        e = db_run(c->db, d, "insert or ignore into files (app, version, kind, digest, bytes) values (?, ?, ?, ?, 0)",
                   DB_I64(r->id), DB_I64(r->version), DB_I64(CONTROL_IMAGE), DB_BLOB_OF(r->functions.p[i].digest));
    return e;
}

/* One that is a row already was left by a start that was cut off, or is not what the node has by now. */
static err insert_all(struct control *c, const struct old_apps *old, struct diag *d) {
    int64_t one;
    for (uint32_t i = 0; i < old->apps.n; i++) {
        struct old_app *app = &old->apps.p[i];
        err e =
            db_one_i64(c->db, &one, d, "select 1 from apps where name = ? or id = ?", DB_TEXT(app->name), DB_I64(app->record.id));
        if (e == ERR_NOT_FOUND) e = insert(c, app, d);
        TRY(e);
    }
    if (old->next_id < 2) return ERR_OK;
    TRY(db_run(c->db, d,
               "insert into sqlite_sequence (name, seq) select 'apps', 0 where not exists (select 1 from sqlite_sequence"
               " where name = 'apps')"));
    return db_run(c->db, d, "update sqlite_sequence set seq = max(seq, ?) where name = 'apps'", DB_I64(old->next_id - 1));
}

static err put_guard(struct control *c, struct diag *d) {
    static const char text[] = "what there was here is in db/node.db\n";
    struct buf b = {0};
    if (faccessat(c->state.records, guard_name, F_OK, 0) == 0) return ERR_OK;
    buf_put(&b, magic, 4);
    buf_put(&b, &(uint32_t){GUARD_LAYOUT}, 4);
    buf_put(&b, text, sizeof text - 1);
    err e = node_control_write_file(c->state.records, guard_name, -1, buf_str(&b), d);
    buf_free(&b);
    return e;
}

static void remove_files(struct control *c, const struct old_apps *old) {
    for (uint32_t i = 0; i < old->apps.n; i++) unlinkat(c->state.records, (const char *)old->apps.p[i].name.p, 0);
    unlinkat(c->state.records, next_id_name, 0);
    fsync(c->state.records);
}

static err take_over(struct control *c, const struct old_apps *old, struct diag *d) {
    if (old->apps.n) TRY(back_up(c, old, d));
    TRY(db_begin(c->db, d));
    err e = insert_all(c, old, d);
    if (e == ERR_OK) e = db_commit(c->db, d);
    else db_rollback(c->db);
    TRY(e);
    TRY(put_guard(c, d));
    remove_files(c, old);
    if (old->apps.n)
        log_event(LOG_INFO, "state-upgraded", LF_U64("from", 0), LF_U64("to", 1), LF_U64("apps", old->apps.n),
                  LF_CSTR("backup", old->date));
    return ERR_OK;
}

err node_upgrade_apps(struct control *c, struct diag *d) {
    struct old_apps old = {.mem = arena_new(0)};
    time_t now = (time_t)(clock_wall_ns() / 1'000'000'000u);
    struct tm t;
    strftime(old.date, sizeof old.date, "%Y%m%d-%H%M%S", gmtime_r(&now, &t));
    err e = read_all(c, &old, d);
    if (e == ERR_OK) e = old.apps.n || old.next_id ? take_over(c, &old, d) : put_guard(c, d);
    arena_free(old.mem);
    return e;
}
