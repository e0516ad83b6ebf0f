/* store: see store.h. */
#include "node/control/store.h"
#include "node/control/control_int.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char name[] = "node.db";
static const char *const formats[] = {
    /* 1 */
    "create table meta (key text primary key, value any not null) strict, without rowid;"
    "create table apps (id integer primary key autoincrement, name text not null unique, live integer not null default 0,"
    " canary integer not null default 0, permille integer not null default 0, secrets_revision integer not null default 0) "
    "strict;"
    /* state: 0 staged, 1 kept, 2 has been live or a canary */
    "create table versions (app integer not null references apps on delete cascade, version integer not null, state integer not "
    "null,"
    " created integer not null, made_by text not null, bytes integer not null, record blob not null, sum blob not null,"
    " primary key (app, version)) strict;"
    "create table files (app integer not null, version integer not null, kind integer not null, digest blob not null,"
    " bytes integer not null, primary key (app, version, kind, digest),"
    " foreign key (app, version) references versions (app, version) on delete cascade) strict, without rowid;"
    "create index files_digest on files (digest, kind);"
    "create table images (module blob not null, how blob not null, image blob not null, kind integer not null,"
    " primary key (module, how)) strict, without rowid;"
    "create index images_image on images (image);"
    "create table secrets (app integer not null references apps on delete cascade, key text not null, sealed blob not null,"
    " changed integer not null, primary key (app, key)) strict;"
    "create table tokens (id integer primary key autoincrement, hash blob not null unique, name text not null, scope integer not "
    "null,"
    " app text not null, hosts text not null, read_only integer not null, created integer not null, last_used integer not null,"
    " expires integer not null) strict;"
    "create table quarantine (app integer primary key references apps on delete cascade, place integer not null,"
    " reason text not null, since integer not null) strict;",
    /* 2: what callers are known by. algorithm, state: as keyset.h and keys.h have them; entry: what it is sealed for; public: of a pair */
    "create table signing_keys (id integer primary key autoincrement, app integer not null references apps on delete cascade,"
    " kid text not null, algorithm integer not null, state integer not null, any_kid integer not null, entry text not null,"
    " sealed blob not null, public blob not null, created integer not null, changed integer not null, unique (app, kid)) strict;"
    "create table api_keys (id integer primary key autoincrement, app integer not null references apps on delete cascade,"
    " name text not null, secret integer not null, hash blob not null, begin text not null, created integer not null,"
    " last_used integer not null, expires integer not null, unique (app, hash)) strict;"
    "create index api_keys_app on api_keys (app, name);"
    "insert into signing_keys (app, kid, algorithm, state, any_kid, entry, sealed, public, created, changed)"
    " select app, lower(hex(randomblob(8))), 0, 1, 1, '_jwt', sealed, x'', changed, changed from secrets where key = '_jwt';"
    "delete from secrets where key = '_jwt';",
    /* 3: who the node is by TLS, but for what the operator's files say. source, entry: as node/certificates.h has them */
    "create table certificates (id integer primary key autoincrement, source integer not null, name text not null, entry blob "
    "not null,"
    " not_after integer not null, changed integer not null, unique (source, name)) strict;",
    /* 4: what is asked of authorities. begun, next, why_at, renew_from, renew_to, informed: seconds since 1970 */
    "create table acme_accounts (directory text primary key, url text not null, sealed blob not null, public blob not null,"
    " created integer not null) strict;"
    "create table acme_hosts (host text primary key, failures integer not null, next integer not null, begun integer not null,"
    " authority text not null, why text not null, why_at integer not null, certificate text not null, renew_from integer not "
    "null,"
    " renew_to integer not null, informed integer not null) strict;",
};

uint32_t node_store_format(void) { return ARRAY_COUNT(formats); }

/* ---- whose it is ---- */

enum { NODE_BYTES = 16, NODE_DIGITS = 2 * NODE_BYTES };

static void digits_of(const uint8_t id[NODE_BYTES], char text[static NODE_DIGITS + 2]) {
    for (size_t i = 0; i < NODE_BYTES; i++) snprintf(text + 2 * i, 3, "%02x", id[i]);
    text[NODE_DIGITS] = '\n', text[NODE_DIGITS + 1] = 0;
}

/* The folder's lock says whose it is, too: a database of another one was not put there by this node. */
static err check_owner(struct control *c, struct diag *d) {
    uint8_t id[NODE_BYTES];
    char text[NODE_DIGITS + 2], there[NODE_DIGITS + 2] = {0};
    struct db_rows *rows;
    ssize_t n = pread(c->state.lock, there, NODE_DIGITS + 1, 0);
    TRY(db_query(c->db, &rows, d, "select value from meta where key = 'node'"));
    str known = db_next(rows) ? db_str(rows, 0) : (str){0};
    bool has = known.n == sizeof id;
    if (has) memcpy(id, known.p, sizeof id);
    TRY(db_end(rows, d));
    if (!has) {
        crypto_random(id, sizeof id);
        TRY(db_run(c->db, d, "insert or replace into meta (key, value) values ('node', ?)", DB_BLOB_OF(id)));
    }
    digits_of(id, text);
    if (n <= 0 && pwrite(c->state.lock, text, NODE_DIGITS + 1, 0) == NODE_DIGITS + 1) return ERR_OK;
    if (n > 0 && !memcmp(text, there, NODE_DIGITS + 1)) return ERR_OK;
    if (n <= 0) return diag_set(d, ERR_IO, DIAG_NOWHERE, "the state folder's lock cannot be written: %s", strerror(errno));
    return diag_set(
        d, ERR_DENIED, DIAG_NOWHERE,
        "the state folder's db/%s is of another node (%.8s), and the folder is of the node %.8s: put its own back, or, to "
        "let that one's apps be served here, remove the file lock",
        name, text, there);
}

static err check_there(struct control *c, struct diag *d) {
    char one;
    if (faccessat(c->state.db, name, F_OK, 0) == 0 || pread(c->state.lock, &one, 1, 0) != 1) return ERR_OK;
    return diag_set(
        d, ERR_NOT_FOUND, DIAG_NOWHERE,
        "the state folder's db/%s is gone, and with it this node's apps: put it back from a backup, or remove the file "
        "lock to begin with nothing",
        name);
}

/* ---- reading ---- */

static void sum_of(str record, uint8_t sum[CRYPTO_SHA256_BYTES]) { crypto_sha256(record, sum); }

/* ERR_MALFORMED, ERR_UNSUPPORTED. Strings borrow scratch. */
static err decode(arena *scratch, str record, str sum, struct app_record *r, struct diag *d) {
    uint8_t own[CRYPTO_SHA256_BYTES];
    struct rd rd = rd_of(record);
    uint32_t layout = rd_u32le(&rd);
    if (layout > APP_RECORD_LAYOUT)
        return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "it is of a newer version of Orlo (layout %u, this one knows %d)",
                        layout, APP_RECORD_LAYOUT);
    sum_of(record, own);
    if (!str_eq(sum, (str){own, sizeof own}))
        return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "its bytes have changed since it was written");
    return app_record_decode(scratch, arena_str(scratch, record), r, d);
}

struct found { /* a row of the query below */
    struct db_rows *rows;
    arena *scratch;
};

static err served_of(const struct found *f, uint32_t column, struct control_served **out, struct diag *d) {
    struct app_record r;
    if (!db_str(f->rows, column).n) return ERR_OK;
    TRY(decode(f->scratch, db_str(f->rows, column), db_str(f->rows, column + 1), &r, d));
    r.secrets_revision = (uint64_t)db_i64(f->rows, 3);
    r.eager = false;
    *out = node_served_new(&r);
    return ERR_OK;
}

static err load_app(struct control *c, const struct found *f, struct diag *d) {
    struct control_state s = {.permille = (uint32_t)db_i64(f->rows, 2), .secrets_revision = (uint64_t)db_i64(f->rows, 3)};
    struct diag own = DIAG_INIT;
    str app = db_str(f->rows, 1);
    err e = served_of(f, 4, &s.live, &own);
    if (e == ERR_OK) e = served_of(f, 6, &s.canary, &own);
    if (e == ERR_OK) {
        node_control_app_put(c, (uint32_t)db_i64(f->rows, 0), app, &s);
        return ERR_OK;
    }
    node_served_free(s.live);
    c->record_broken = true;
    log_event(LOG_ERROR, "record-broken", LF_STR("app", app), LF_CSTR("reason", own.text));
    if (e != ERR_UNSUPPORTED) return ERR_OK;
    return diag_set(d, e, DIAG_NOWHERE, "the app " STR_FMT " of the state folder: %s", STR_ARG(app), own.text);
}

static err load(struct control *c, struct diag *d) {
    struct found f = {.scratch = arena_new(0)};
    err e = db_query(c->db, &f.rows, d,
                     "select a.id, a.name, a.permille, a.secrets_revision, v.record, v.sum, w.record, w.sum from apps a"
                     " join versions v on v.app = a.id and v.version = a.live"
                     " left join versions w on w.app = a.id and w.version = a.canary order by a.id");
    if (e == ERR_OK) {
        while (e == ERR_OK && db_next(f.rows)) {
            e = load_app(c, &f, d);
            arena_reset(f.scratch);
        }
        err ended = db_end(f.rows, d);
        e = e == ERR_OK ? ended : e;
    }
    arena_free(f.scratch);
    return e;
}

/* ---- opening ---- */

/* Of a database that is about to become another format; "backup-1-20261130-010203.db". */
static err back_up(struct control *c, uint32_t format, struct diag *d) {
    char to[64];
    time_t now = (time_t)(clock_wall_ns() / 1'000'000'000u);
    struct tm t;
    gmtime_r(&now, &t);
    size_t n = (size_t)snprintf(to, sizeof to, "backup-%u-", format);
    strftime(to + n, sizeof to - n, "%Y%m%d-%H%M%S.db", &t);
    TRY(db_checkpoint(c->db, d));
    int from = openat(c->state.db, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (from < 0) return diag_set(d, ERR_IO, DIAG_NOWHERE, "the state folder's db/%s cannot be read: %s", name, strerror(errno));
    err e = node_control_write_file(c->state.db, to, from, (str){0}, d);
    close(from);
    if (e == ERR_OK)
        log_event(LOG_INFO, "state-upgraded", LF_U64("from", format), LF_U64("to", ARRAY_COUNT(formats)), LF_CSTR("backup", to));
    return e;
}

static err upgrade(struct control *c, struct diag *d) {
    uint32_t format;
    TRY(db_version(c->db, &format, d));
    if (format && format < ARRAY_COUNT(formats)) TRY(back_up(c, format, d));
    return db_upgrade(c->db, formats, ARRAY_COUNT(formats), d);
}

/* What was on its way when control died never was. */
static err forget_staged(struct control *c, struct diag *d) {
    TRY(db_run(c->db, d, "delete from versions where state = 0"));
    return db_run(c->db, d,
                  "delete from apps where live = 0 and id not in (select app from versions) and"
                  " id not in (select app from secrets)");
}

err node_store_enter(struct control *c, struct diag *d) {
    umask(077);
    if (c->state.db < 0 || fchdir(c->state.db) == 0) return ERR_OK;
    return diag_set(d, ERR_IO, DIAG_NOWHERE, "the state folder's db cannot be opened: %s", strerror(errno));
}

err node_store_open(struct control *c, struct diag *d) {
    if (c->state.db < 0) return ERR_OK;
    TRY(check_there(c, d));
    TRY(db_open(&(struct db_options){.name = name, .create = true}, &c->db, d));
    TRY(upgrade(c, d));
    TRY(check_owner(c, d));
    TRY(forget_staged(c, d));
    TRY(node_upgrade_apps(c, d));
    return load(c, d);
}

/* ---- apps and versions ---- */

static err no_app(struct diag *d, str app) {
    return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "there is no app " STR_FMT "; orlo apps lists those that there are",
                    STR_ARG(str_sub(app, 0, APP_NAME_MAX)));
}

/* All or nothing of what fn does. */
static err in_transaction(struct control *c, err (*fn)(struct control *c, void *arg, struct diag *d), void *arg, struct diag *d) {
    TRY(db_begin(c->db, d));
    err e = fn(c, arg, d);
    if (e == ERR_OK) return db_commit(c->db, d);
    db_rollback(c->db);
    return e;
}

err node_store_app(struct control *c, str app, uint32_t *id, struct diag *d) {
    int64_t found;
    if (!c->db) {
        const struct control_app *old = node_control_app_named(c, app);
        *id = old ? old->id : c->next_id++;
        return ERR_OK;
    }
    err e = db_one_i64(c->db, &found, d, "select id from apps where name = ?", DB_TEXT(app));
    if (e == ERR_NOT_FOUND) {
        TRY(db_run(c->db, d, "insert into apps (name) values (?)", DB_TEXT(app)));
        found = db_last_id(c->db);
    } else if (e != ERR_OK) return e;
    if (found <= 0 || found >= UINT32_MAX)
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "this node has had as many apps as it can number");
    *id = (uint32_t)found;
    return ERR_OK;
}

struct staging {
    struct app_record *r;
    str by;
    const struct control_held *held;
    uint32_t count;
};

static err stage(struct control *c, void *arg, struct diag *d) {
    struct staging *s = arg;
    int64_t version;
    uint64_t bytes = 0;
    uint8_t sum[CRYPTO_SHA256_BYTES];
    struct buf b = {0};
    TRY(db_one_i64(c->db, &version, d, "select coalesce(max(version), 0) + 1 from versions where app = ?", DB_I64(s->r->id)));
    s->r->version = (uint32_t)version;
    for (uint32_t i = 0; i < s->count; i++) bytes += s->held[i].bytes;
    app_record_write(&b, s->r);
    sum_of(buf_str(&b), sum);
    err e =
        db_run(c->db, d,
               "insert into versions (app, version, state, created, made_by, bytes, record, sum) values (?, ?, 0, ?, ?, ?, ?, ?)",
               DB_I64(s->r->id), DB_I64(version), DB_I64(clock_wall_ns() / 1'000'000'000u), DB_TEXT(s->by), DB_I64(bytes),
               DB_BLOB(buf_str(&b)), DB_BLOB_OF(sum));
    buf_free(&b);
    for (uint32_t i = 0; e == ERR_OK && i < s->count; i++)
        e = db_run(c->db, d, "insert or ignore into files (app, version, kind, digest, bytes) values (?, ?, ?, ?, ?)",
                   DB_I64(s->r->id), DB_I64(version), DB_I64(s->held[i].kind), DB_BLOB_OF(s->held[i].digest),
                   DB_I64(s->held[i].bytes));
    return e;
}

err node_store_stage(struct control *c, struct app_record *r, str by, const struct control_held *held, uint32_t count,
                     struct diag *d) {
    r->made_ms = clock_wall_ns() / 1'000'000u;
    if (!c->db) {
        const struct control_app *old = node_control_app_named(c, r->name);
        r->version = old ? old->state.live->version + 1 : 1;
        return ERR_OK;
    }
    return in_transaction(c, stage, &(struct staging){r, by, held, count}, d);
}

void node_store_unstage(struct control *c, uint32_t app, uint32_t version) {
    struct diag d = DIAG_INIT;
    if (!c->db) return;
    if (db_run(c->db, &d, "delete from versions where app = ? and version = ? and state = 0", DB_I64(app), DB_I64(version)) !=
            ERR_OK ||
        db_run(c->db, &d,
               "delete from apps where id = ? and live = 0 and id not in (select app from versions) and"
               " id not in (select app from secrets)",
               DB_I64(app)) != ERR_OK)
        log_event(LOG_ERROR, "version-left", LF_U64("app", app), LF_U64("version", version), LF_CSTR("reason", d.text));
}

/* ---- sweeping ---- */

/* Files that these versions name are looked at again, once nobody can ask for them any more. */
static err sweep_later(struct control *c, struct db_rows *rows, struct diag *d) {
    while (db_next(rows)) {
        str digest = db_str(rows, 1);
        if (digest.n == APP_DIGEST_BYTES) node_images_retire(c, (enum control_file_kind)db_i64(rows, 0), digest.p);
    }
    return db_end(rows, d);
}

struct setting {
    const struct control_now *now;
    uint64_t versions_max;
};

static err set(struct control *c, void *arg, struct diag *d) {
    const struct setting *s = arg;
    const struct control_now *n = s->now;
    struct db_rows *rows;
    TRY(db_run(c->db, d, "update apps set live = ?, canary = ?, permille = ? where id = ?", DB_I64(n->live), DB_I64(n->canary),
               DB_I64(n->permille), DB_I64(n->app)));
    TRY(db_run(c->db, d, "update versions set state = 2 where app = ? and version in (?, ?) and state <> 2", DB_I64(n->app),
               DB_I64(n->live), DB_I64(n->canary)));
    TRY(db_run(c->db, d, "update versions set state = 1 where app = ? and version = ? and state = 0", DB_I64(n->app),
               DB_I64(n->kept)));
    /* The newest, and those that are served; the last of them may have become one too many just now. */
    static const char old[] = "select version from versions where app = ?1 and state <> 0 and version not in (?2, ?3)"
                              " order by version desc limit -1 offset max(?4 - (?2 > 0) - (?3 > 0), 0)";
    char sql[512];
    snprintf(sql, sizeof sql, "select distinct kind, digest from files where app = ?1 and version in (%s)", old);
    TRY(db_query(c->db, &rows, d, sql, DB_I64(n->app), DB_I64(n->live), DB_I64(n->canary), DB_I64(s->versions_max)));
    TRY(sweep_later(c, rows, d));
    snprintf(sql, sizeof sql, "delete from versions where app = ?1 and version in (%s)", old);
    return db_run(c->db, d, sql, DB_I64(n->app), DB_I64(n->live), DB_I64(n->canary), DB_I64(s->versions_max));
}

err node_store_set(struct control *c, const struct control_now *now, uint64_t versions_max, struct diag *d) {
    if (!c->db) return ERR_OK;
    return in_transaction(c, set, &(struct setting){now, versions_max}, d);
}

static err drop(struct control *c, void *arg, struct diag *d) {
    uint32_t app = *(uint32_t *)arg;
    struct db_rows *rows;
    TRY(db_query(c->db, &rows, d, "select distinct kind, digest from files where app = ?", DB_I64(app)));
    TRY(sweep_later(c, rows, d));
    return db_run(c->db, d, "delete from apps where id = ?", DB_I64(app));
}

err node_store_drop(struct control *c, uint32_t app, struct diag *d) { return c->db ? in_transaction(c, drop, &app, d) : ERR_OK; }

bool node_store_named(struct control *c, enum control_file_kind kind, const uint8_t digest[APP_DIGEST_BYTES]) {
    int64_t one;
    struct diag d = DIAG_INIT;
    if (!c->db) return false;
    /* What cannot be answered is named by somebody. */
    return db_one_i64(c->db, &one, &d, "select 1 from files where digest = ? and kind = ? limit 1",
                      DB_BLOB(((str){digest, APP_DIGEST_BYTES})), DB_I64(kind)) != ERR_NOT_FOUND;
}

static void sweep_folder(struct control *c, int folder, enum control_file_kind kind) {
    DIR *dir = node_control_read_folder(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        uint8_t digest[APP_DIGEST_BYTES];
        bool part = str_ends(str_c(entry->d_name), STR(".part"));
        if (part || (node_digest_of_name(str_c(entry->d_name), digest) && !node_store_named(c, kind, digest)))
            unlinkat(folder, entry->d_name, 0);
    }
    if (dir) closedir(dir);
}

void node_store_sweep(struct control *c) {
    struct diag d = DIAG_INIT;
    if (!c->db || c->record_broken) return;
    sweep_folder(c, c->state.images, CONTROL_IMAGE);
    sweep_folder(c, c->state.packs, CONTROL_PACK);
    sweep_folder(c, c->state.db, CONTROL_IMAGE); /* what was cut off of a copy */
    if (db_run(c->db, &d, "delete from images where image not in (select digest from files where kind = 0)") != ERR_OK)
        log_event(LOG_WARN, "sweep-failed", LF_CSTR("reason", d.text));
}

/* ---- what there is ---- */

err node_store_now(struct control *c, str app, struct control_now *now, uint64_t *secrets_revision, struct diag *d) {
    struct db_rows *rows;
    *now = (struct control_now){0};
    if (!c->db) return no_app(d, app);
    TRY(db_query(c->db, &rows, d, "select id, live, canary, permille, secrets_revision from apps where name = ?", DB_TEXT(app)));
    if (db_next(rows)) {
        *now = (struct control_now){.app = (uint32_t)db_i64(rows, 0),
                                    .live = (uint32_t)db_i64(rows, 1),
                                    .canary = (uint32_t)db_i64(rows, 2),
                                    .permille = (uint32_t)db_i64(rows, 3)};
        if (secrets_revision) *secrets_revision = (uint64_t)db_i64(rows, 4);
    }
    TRY(db_end(rows, d));
    return now->app ? ERR_OK : no_app(d, app);
}

err node_store_record(struct control *c, arena *out, uint32_t app, uint32_t version, struct app_record *r, struct diag *d) {
    struct db_rows *rows;
    TRY(db_query(c->db, &rows, d, "select record, sum from versions where app = ? and version = ? and state <> 0", DB_I64(app),
                 DB_I64(version)));
    bool there = db_next(rows);
    err e = there ? decode(out, db_str(rows, 0), db_str(rows, 1), r, d) : ERR_OK, ended = db_end(rows, d);
    if (e != ERR_OK || ended != ERR_OK) return e != ERR_OK ? e : ended;
    if (there) return ERR_OK;
    return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "there is no version %u of it; orlo versions lists those that there are",
                    version);
}

err node_store_before(struct control *c, const struct control_now *now, uint32_t *version, struct diag *d) {
    int64_t before;
    err e = db_one_i64(c->db, &before, d,
                       "select version from versions where app = ? and version < ? and state = 2 order by version desc limit 1",
                       DB_I64(now->app), DB_I64(now->live));
    if (e == ERR_NOT_FOUND)
        return diag_set(d, e, DIAG_NOWHERE, "no version before %u has been live, or none of them is kept", now->live);
    *version = (uint32_t)before;
    return e;
}

/* ---- images of modules ---- */

#define DIGEST(p) DB_BLOB(((str){(p), APP_DIGEST_BYTES}))

bool node_store_image(struct control *c, const uint8_t module[APP_DIGEST_BYTES], const uint8_t how[APP_DIGEST_BYTES],
                      uint8_t image[APP_DIGEST_BYTES], uint32_t *kind) {
    struct db_rows *rows;
    struct diag d = DIAG_INIT;
    if (!c->db || db_query(c->db, &rows, &d, "select image, kind from images where module = ? and how = ?", DIGEST(module),
                           DIGEST(how)) != ERR_OK)
        return false;
    bool found = db_next(rows) && db_str(rows, 0).n == APP_DIGEST_BYTES;
    if (found) memcpy(image, db_str(rows, 0).p, APP_DIGEST_BYTES), *kind = (uint32_t)db_i64(rows, 1);
    return db_end(rows, &d) == ERR_OK && found;
}

err node_store_put_image(struct control *c, const uint8_t module[APP_DIGEST_BYTES], const uint8_t how[APP_DIGEST_BYTES],
                         const uint8_t image[APP_DIGEST_BYTES], uint32_t kind, struct diag *d) {
    if (!c->db) return ERR_OK;
    return db_run(c->db, d, "insert or replace into images (module, how, image, kind) values (?, ?, ?, ?)", DIGEST(module),
                  DIGEST(how), DIGEST(image), DB_I64(kind));
}
