/* backup_cluster: the PostgreSQL of apps in a backup, as files: `STATE/clusters/APP`, and what becomes of them when they are restored. See backup.h.
 *
 *   a node runs: begin (its log is kept from now on) ──files, whatever is being written to them──> end: the label ──the moment──> its log, as far as it was on the disk
 *   then; what is behind that in the last piece of the log is zeros
 *   none does:   files as they are, and all of the log
 *   restored:    its folders, the app's user's ──its own program, by itself (postgres --single)──> what the log has is in the files ──pg_checksums──> each page is whole
 *
 * 1. Nothing of a cluster is believed: what is in its folder is its user's, so nothing but a regular file is read, and no link is followed.
 * 2. Its programs run as a user who is not root, in the box in which its server runs (without Landlock there is none, and they do not run), and not for ever.
 * 3. What they run is PostgreSQL's own, as its superuser: nothing that the app has made is found by a name. */
#include "node/command/ask.h"
#include "node/command/backup.h"
#include "node/node_int.h"
#include "node/role.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DEPTH = 4, SEGMENT_NAME = 24, SAID = 4000, LOOK_MS = 20, SINGLE_S = 3600, CHECK_S = 86'400 };

/* ---- asking ---- */

/* *there: false: the app is no more. */
static err ask(struct backup_clusters *c, uint32_t app, const char *does, str *text, bool *there, struct diag *d) {
    struct ask *a;
    struct answer answer = {0};
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    c->answered = false;
    TRY(node_ask_open(c->where, &a, d));
    json_put_object(&w, NULL);
    json_put_u64(&w, "app", app);
    json_put_cstr(&w, "does", does);
    json_put_end(&w);
    err e = node_ask(a, c->mem, &(struct ask_call){.method = "POST", .path = STR("/backup/cluster"), .w = &w}, &answer, d);
    buf_free(&b);
    node_ask_close(a);
    *there = answer.status != 404;
    c->answered = answer.status;
    *text = answer.text;
    return *there ? e : ERR_OK;
}

/* ---- files ---- */

static bool is_left_out(const char *name, bool log) {
    static const char *const beginnings[] = {"postmaster.", "backup_label",     "tablespace_map",
                                             "pgsql_tmp",   "pg_internal.init", "current_logfiles"},
                             *const folders[] = {"pg_replslot",  "pg_dynshmem", "pg_notify",  "pg_serial",
                                                 "pg_snapshots", "pg_stat_tmp", "pg_subtrans"};
    bool out = name[0] == '.' || (!log && !strcmp(name, "pg_wal"));
    for (size_t i = 0; i < ARRAY_COUNT(beginnings); i++) out |= str_starts(str_c(name), str_c(beginnings[i]));
    for (size_t i = 0; i < ARRAY_COUNT(folders); i++) out |= !strcmp(name, folders[i]);
    return out;
}

/* From..: zeros, from there on; -1: none. A file that has gone meanwhile is none. */
static err copy_file(struct backup_clusters *c, int in, const char *name, str path, int64_t zeros, struct diag *d) {
    struct stat st;
    int fd = openat(in, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return ERR_OK;
    if (fd < 0 || fstat(fd, &st)) return diag_set(d, ERR_IO, DIAG_NOWHERE, STR_FMT ": %s", STR_ARG(path), strerror(errno));
    err e = ERR_OK;
    struct backup_file f = {.path = arena_str(c->mem, path)};
    for (bool more = S_ISREG(st.st_mode); more && e == ERR_OK;) {
        size_t n = 0;
        for (ssize_t r = 1; n < BACKUP_PIECE_BYTES && r > 0; n += (size_t)MAX(r, (ssize_t)0))
            if ((r = pread(fd, c->piece + n, BACKUP_PIECE_BYTES - n, (off_t)(f.bytes + n))) < 0)
                e = diag_set(d, ERR_IO, DIAG_NOWHERE, STR_FMT ": %s", STR_ARG(path), strerror(errno));
        more = n == BACKUP_PIECE_BYTES;
        if (!n || e != ERR_OK) break;
        uint64_t keep = zeros < 0 || (uint64_t)zeros > f.bytes + n ? n
                        : (uint64_t)zeros > f.bytes                ? (uint64_t)zeros - f.bytes
                                                                   : 0;
        memset(c->piece + keep, 0, n - keep);
        uint8_t *digest = arena_alloc(c->mem, CRYPTO_SHA256_BYTES, 1);
        e = node_backup_put(c->folder, c->b, c->piece, n, digest, d);
        vec_push(c->mem, &f.pieces, digest);
        f.bytes += n;
        if (c->moved) c->moved(c->arg, c->b->bytes);
    }
    close(fd);
    if (e == ERR_OK && S_ISREG(st.st_mode)) vec_push(c->mem, &c->b->files, f);
    return e;
}

static err copy_folder(struct backup_clusters *c, int in, const char *name, str path, bool log, int depth, struct diag *d) {
    int fd = openat(in, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    err e = ERR_OK;
    if (!dir && fd >= 0) close(fd);
    if (!dir) return errno == ENOENT ? ERR_OK : diag_set(d, ERR_IO, DIAG_NOWHERE, STR_FMT ": %s", STR_ARG(path), strerror(errno));
    for (struct dirent *entry; e == ERR_OK && (entry = readdir(dir));) {
        struct stat st;
        bool last = !strcmp(entry->d_name, "pg_control"); /* behind all that it may know of */
        if (last || is_left_out(entry->d_name, log) || fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW)) continue;
        str below = arena_fmt(c->mem, STR_FMT "/%s", STR_ARG(path), entry->d_name);
        if (S_ISDIR(st.st_mode) && depth) e = copy_folder(c, fd, entry->d_name, below, log, depth - 1, d);
        else if (S_ISREG(st.st_mode)) e = copy_file(c, fd, entry->d_name, below, -1, d);
    }
    if (e == ERR_OK) e = copy_file(c, fd, "pg_control", arena_fmt(c->mem, STR_FMT "/pg_control", STR_ARG(path)), -1, d);
    closedir(dir);
    return e;
}

static err copy_bytes(struct backup_clusters *c, str path, str bytes, struct diag *d) {
    uint8_t *digest = arena_alloc(c->mem, CRYPTO_SHA256_BYTES, 1);
    TRY(node_backup_put(c->folder, c->b, bytes.p, bytes.n, digest, d));
    struct backup_file f = {.path = path, .bytes = bytes.n};
    vec_push(c->mem, &f.pieces, digest);
    vec_push(c->mem, &c->b->files, f);
    return ERR_OK;
}

static int open_cluster(const struct backup_clusters *c, uint32_t app) {
    return openat(c->state, arena_cstr(c->mem, arena_fmt(c->mem, "clusters/%u", app)),
                  O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static err copy_whole(struct backup_clusters *c, uint32_t app, int fd, bool log, struct diag *d) {
    TRY(copy_file(c, fd, "password", arena_fmt(c->mem, "clusters/%u/password", app), -1, d));
    return copy_folder(c, fd, "data", arena_fmt(c->mem, "clusters/%u/data", app), log, DEPTH, d);
}

/* ---- all of them ---- */

static bool is_made(const struct backup_clusters *c, const char *name) {
    struct stat st;
    return fstatat(c->state, arena_cstr(c->mem, arena_fmt(c->mem, "clusters/%s/data/PG_VERSION", name)), &st,
                   AT_SYMLINK_NOFOLLOW) == 0;
}

static void list(struct backup_clusters *c) {
    int fd = openat(c->state, "clusters", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    uint64_t app;
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (str_to_u64(str_c(entry->d_name), &app) && app <= UINT32_MAX && is_made(c, entry->d_name))
            vec_push(c->mem, &c->all, ((struct backup_cluster){.app = (uint32_t)app}));
    if (dir) closedir(dir);
}

/* "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)" */
static bool take_start(struct backup_cluster *k, str label) {
    const char *at = label.n ? memmem(label.p, label.n, "(file ", 6) : NULL;
    if (!at || at + 6 + SEGMENT_NAME > (const char *)label.p + label.n) return false;
    snprintf(k->start, sizeof k->start, "%.*s", SEGMENT_NAME, at + 6);
    return strspn(k->start, "0123456789ABCDEF") == SEGMENT_NAME;
}

/* It alone is not in the backup: no app keeps all others out of it. */
static err leave_out(struct backup_clusters *c, struct backup_cluster *k, err e, struct diag *d) {
    if (!c->answered) return e; /* it is the node that did not */
    struct backup *b = c->b;
    str prefix = arena_fmt(c->mem, "clusters/%u/", k->app);
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->files.n; i++)
        if (!str_starts(b->files.p[i].path, prefix)) b->files.p[n++] = b->files.p[i];
    b->files.n = n;
    k->gone = true;
    if (!b->left_out++) c->why = *d;
    *d = (struct diag)DIAG_INIT;
    return ERR_OK;
}

static err copy_running(struct backup_clusters *c, struct backup_cluster *k, struct diag *d) {
    bool there;
    str label;
    err e = ask(c, k->app, "begin", &label, &there, d);
    if (e != ERR_OK) return leave_out(c, k, e, d);
    k->gone = !there;
    int fd = there ? open_cluster(c, k->app) : -1;
    if (fd < 0) return ERR_OK;
    uint32_t before = c->b->files.n;
    e = copy_whole(c, k->app, fd, false, d);
    close(fd);
    if (e == ERR_OK && (e = ask(c, k->app, "end", &label, &there, d)) != ERR_OK) return leave_out(c, k, e, d);
    k->gone = !there;
    if (!there) c->b->files.n = before;
    if (e != ERR_OK || !there) return e;
    if (!take_start(k, label)) return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "a label of PostgreSQL's that cannot be read");
    return copy_bytes(c, arena_fmt(c->mem, "clusters/%u/data/backup_label", k->app), arena_str(c->mem, label), d);
}

err node_backup_clusters(struct backup_clusters *c, bool running, struct diag *d) {
    list(c);
    for (uint32_t i = 0; i < c->all.n; i++) {
        struct backup_cluster *k = &c->all.p[i];
        if (running) {
            TRY(copy_running(c, k, d));
            continue;
        }
        int fd = open_cluster(c, k->app);
        err e = fd >= 0 ? copy_whole(c, k->app, fd, true, d) : ERR_OK;
        if (fd >= 0) close(fd);
        TRY(e);
    }
    return ERR_OK;
}

void node_backup_cluster_at(struct backup_clusters *c, uint32_t app, str lsn) {
    for (uint32_t i = 0; i < c->all.n; i++)
        if (c->all.p[i].app == app) c->all.p[i].lsn = arena_str(c->mem, lsn);
}

/* ---- logs ---- */

struct place { /* in a log */
    uint64_t segment, offset, bytes;
};

/* A log's first page says how large its files are. */
static uint64_t segment_bytes(int wal, const char *name) {
    uint32_t n = 0;
    int fd = openat(wal, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    bool ok = fd >= 0 && pread(fd, &n, sizeof n, 32) == sizeof n && n >= MiB && n <= 1024 * MiB && !(n & (n - 1));
    if (fd >= 0) close(fd);
    return ok ? n : 0;
}

static bool take_place(str lsn, uint64_t bytes, struct place *to) {
    unsigned high, low;
    char text[32];
    snprintf(text, sizeof text, STR_FMT, STR_ARG(lsn));
    if (sscanf(text, "%8X/%8X", &high, &low) != 2) return false;
    uint64_t at = (uint64_t)high << 32 | low;
    *to = (struct place){(at - 1) / bytes, (at - 1) % bytes + 1, bytes};
    return at;
}

static err copy_log(struct backup_clusters *c, const struct backup_cluster *k, int wal, struct diag *d) {
    uint64_t bytes = segment_bytes(wal, k->start), each = bytes ? (1ull << 32) / bytes : 1;
    unsigned timeline = 0, high = 0, low = 0;
    struct place end;
    if (!bytes || !take_place(k->lsn, bytes, &end) || sscanf(k->start, "%8X%8X%8X", &timeline, &high, &low) != 3)
        return diag_set(d, ERR_CLOSED, DIAG_NOWHERE, "clusters/%u: its log is gone or cannot be read", k->app);
    for (uint64_t at = high * each + low; at <= end.segment; at++) {
        char name[SEGMENT_NAME + 1];
        uint32_t before = c->b->files.n;
        snprintf(name, sizeof name, "%08X%08X%08X", timeline, (unsigned)(at / each), (unsigned)(at % each));
        TRY(copy_file(c, wal, name, arena_fmt(c->mem, "clusters/%u/data/pg_wal/%s", k->app, name),
                      at == end.segment ? (int64_t)end.offset : -1, d));
        if (c->b->files.n == before || c->b->files.p[before].bytes != bytes)
            return diag_set(d, ERR_CLOSED, DIAG_NOWHERE, "clusters/%u: its log went on for too long", k->app);
    }
    return ERR_OK;
}

err node_backup_cluster_logs(struct backup_clusters *c, struct diag *d) {
    for (uint32_t i = 0; i < c->all.n; i++) {
        struct backup_cluster *k = &c->all.p[i];
        bool there = true;
        if (k->gone) continue;
        err e = k->lsn.n ? ERR_OK : ask(c, k->app, "at", &k->lsn, &there, d);
        if (e != ERR_OK) {
            TRY(leave_out(c, k, e, d));
            continue;
        }
        int fd = open_cluster(c, k->app),
            wal = fd >= 0 ? openat(fd, "data/pg_wal", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
        e = there && wal >= 0 ? copy_log(c, k, wal, d)
                              : diag_set(d, ERR_CLOSED, DIAG_NOWHERE, "clusters/%u: the app is no more", k->app);
        if (wal >= 0) close(wal);
        if (fd >= 0) close(fd);
        if (e == ERR_CLOSED) e = leave_out(c, k, e, d);
        TRY(e);
    }
    return ERR_OK;
}

/* ---- restored ---- */

static struct node_user new_owner;
static int own_one(const char *path, const struct stat *st, int kind, struct FTW *f) {
    return lchown(path, new_owner.uid, new_owner.gid);
}

/* What it needs, and no backup has, as nothing is in it. */
static err make_folders(int data, str path, struct diag *d) {
    static const char *const folders[] = {"pg_wal",
                                          "pg_wal/archive_status",
                                          "pg_replslot",
                                          "pg_dynshmem",
                                          "pg_notify",
                                          "pg_serial",
                                          "pg_snapshots",
                                          "pg_stat_tmp",
                                          "pg_subtrans",
                                          "pg_twophase",
                                          "pg_tblspc",
                                          "pg_commit_ts",
                                          "pg_stat",
                                          "pg_logical",
                                          "pg_logical/mappings",
                                          "pg_logical/snapshots",
                                          "pg_multixact",
                                          "pg_multixact/members",
                                          "pg_multixact/offsets",
                                          "pg_xact",
                                          "base",
                                          "global"};
    for (size_t i = 0; i < ARRAY_COUNT(folders); i++)
        if (mkdirat(data, folders[i], 0700) && errno != EEXIST)
            return diag_set(d, ERR_IO, DIAG_NOWHERE, STR_FMT "/%s: %s", STR_ARG(path), folders[i], strerror(errno));
    return ERR_OK;
}

static _Noreturn void become(int data, int in, int out, struct node_user user, const char *const *argv, pid_t parent) {
    static const int keep[] = {0, 1, 2, 3};
    static char *const environment[] = {"LC_ALL=C.UTF-8", "TZ=UTC", "PATH=/usr/bin:/bin", NULL};
    int fds[] = {in, out, out, data}, at[4], confined[] = {3};
    for (int i = 0; i < 4; i++) at[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 16);
    for (int i = 0; i < 4; i++) dup2(at[i], i);
    node_close_fds_except(keep, ARRAY_COUNT(keep));
    bool ok = chdir("/") == 0 && node_role_become(user) && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent;
    ok = ok && node_sandbox_server(confined, 1, argv[0]);
    if (ok) execve(argv[0], (char **)(uintptr_t)argv, environment);
    dprintf(STDERR_FILENO, "FATAL: %s cannot be started: %s\n", argv[0], strerror(errno));
    _exit(127);
}

/* The first line that says what went wrong. */
static err said(int out, const char *program, struct diag *d) {
    static const char *const words[] = {"PANIC:", "FATAL:", "ERROR:", "error:", "failed"};
    char text[SAID + 1];
    ssize_t n = pread(out, text, SAID, 0);
    text[MAX(n, (ssize_t)0)] = 0;
    const char *at = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(words) && !at; i++) at = strstr(text, words[i]);
    if (!at) at = text;
    char line[300];
    snprintf(line, sizeof line, "%.*s", (int)MIN(strcspn(at, "\n"), (size_t)250), at);
    text_tame(line, strlen(line));
    return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "%s: %s", program, line);
}

/* False: it took too long, and was ended. */
static bool await(pid_t pid, uint32_t most_s, int *status) {
    uint64_t end = clock_mono_ns() + most_s * 1'000'000'000ull;
    for (pid_t got; (got = waitpid(pid, status, WNOHANG)) != pid; poll(NULL, 0, LOOK_MS)) {
        if (got < 0 && errno != EINTR) return true;
        if (clock_mono_ns() < end) continue;
        kill(pid, SIGKILL);
        while (waitpid(pid, status, 0) < 0 && errno == EINTR) {}
        return false;
    }
    return true;
}

static err run(int data, struct node_user user, const char *program, const char *const *argv, uint32_t most_s, struct diag *d) {
    /* Whoever followed its changes has had numbers that are not in it. */
    static const char select[] =
        "do $$ begin if pg_catalog.to_regclass('_orlo.feed') is not null then update _orlo.feed set last = greatest(last, "
        "(extract(epoch from pg_catalog.clock_timestamp()) operator(pg_catalog.*) 1000000)::pg_catalog.int8); insert into "
        "_orlo.fed (at, op) values ((extract(epoch from pg_catalog.clock_timestamp()) operator(pg_catalog.*) "
        "1000)::pg_catalog.int8, '*'); end if; end $$\n";
    int in = memfd_create("orlo-in", MFD_CLOEXEC), out = memfd_create("orlo-out", MFD_CLOEXEC | MFD_ALLOW_SEALING), status = -1;
    bool ok = in >= 0 && out >= 0 && write(in, select, sizeof select - 1) == sizeof select - 1 && lseek(in, 0, SEEK_SET) == 0;
    pid_t parent = getpid(), pid = ok ? fork() : -1;
    if (pid == 0) become(data, in, out, user, argv, parent);
    err e = pid < 0 ? diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", program, strerror(errno)) : ERR_OK;
    if (pid > 0 && !await(pid, most_s, &status))
        e = diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "%s: it was not done in %u s", program, most_s);
    else if (pid > 0 && (!WIFEXITED(status) || WEXITSTATUS(status))) e = said(out, program, d);
    if (in >= 0) close(in);
    if (out >= 0) close(out);
    return e;
}

static err look_at(int data, struct node_user user, const char *bin, struct diag *d) {
    char server[300], checksums[300];
    snprintf(server, sizeof server, "%s/postgres", bin), snprintf(checksums, sizeof checksums, "%s/pg_checksums", bin);
#define C(setting) "-c", setting
    const char *const single[] = {server,
                                  "--single",
                                  "-D",
                                  "/proc/self/fd/3",
                                  C("shared_buffers=8MB"),
                                  C("huge_pages=off"),
                                  C("dynamic_shared_memory_type=mmap"),
                                  C("wal_level=replica"),
                                  C("max_wal_senders=0"),
                                  C("max_replication_slots=2"),
                                  C("search_path=pg_catalog"),
                                  C("statement_timeout=60s"),
                                  C("shared_preload_libraries="),
                                  C("session_preload_libraries="),
                                  C("local_preload_libraries="),
                                  C("archive_mode=off"),
                                  C("log_min_messages=fatal"),
                                  C("log_destination=stderr"),
                                  C("logging_collector=off"),
                                  C("jit=off"),
#undef C
                                  "postgres",
                                  NULL},
                      *const check[] = {checksums, "--check", "-D", "/proc/self/fd/3", NULL};
    TRY(run(data, user, "postgres --single", single, SINGLE_S, d));
    return access(checksums, X_OK) == 0 ? run(data, user, "pg_checksums", check, CHECK_S, d) : ERR_OK;
}

static unsigned version_of(int data) {
    char text[16] = "";
    int fd = openat(data, "PG_VERSION", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    if (fd >= 0) close(fd);
    return n > 0 ? (unsigned)strtoul(text, NULL, 10) : 0;
}

static err give(const char *path, struct node_user user, struct diag *d) {
    new_owner = user;
    if (user.uid && nftw(path, own_one, 16, FTW_PHYS)) return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", path, strerror(errno));
    return ERR_OK;
}

/* Its programs know nobody who has no name: that of the package, and then the files are handed on, as where a cluster is made (supervisor/cluster.c). */
static err settle_data(struct backup_restore *r, int data, const char *full, str path, uint32_t app, struct diag *d) {
    struct passwd *p = geteuid() == 0 ? getpwnam("postgres") : NULL;
    struct node_user maker = p ? (struct node_user){p->pw_uid, p->pw_gid} : (struct node_user){0};
    char bin[256];
    unsigned version = version_of(data);
    TRY(make_folders(data, path, d));
    bool boxed = node_sandbox_has_landlock();
    if ((geteuid() == 0 && !p) || !node_postgres_programs(version, bin) || !boxed) {
        if (!r->unseen++) r->unseen_version = boxed ? version : 0;
        return give(full, node_role_app_user(app), d);
    }
    TRY(give(full, maker, d));
    err e = look_at(data, maker, bin, d);
    if (e != ERR_OK)
        diag_prefix(d, "the database " STR_FMT " %s", STR_ARG(path),
                    e == ERR_LIMIT ? "was not looked at to its end" : "is damaged");
    return e == ERR_OK ? give(full, node_role_app_user(app), d) : e;
}

/* root: of what is restored; app: whose it will be. */
static err settle(struct backup_restore *r, int root, str path, uint32_t app, struct diag *d) {
    char *below = arena_cstr(r->b->mem, path),
         *name = arena_cstr(r->b->mem, arena_fmt(r->b->mem, STR_FMT "/data", STR_ARG(path)));
    int data = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (data < 0) return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "the backup is damaged: %s is not in it", name);
    err e = settle_data(r, data, arena_cstr(r->b->mem, arena_fmt(r->b->mem, "%s/%s", r->to, name)), path, app, d);
    if (e == ERR_OK && fchmodat(root, below, 0711, 0)) e = diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", below, strerror(errno));
    close(data);
    return e;
}

static str cluster_of(str path) {
    str prefix = STR("clusters/");
    if (!str_starts(path, prefix)) return (str){0};
    str rest = str_sub(path, prefix.n, path.n);
    return str_sub(path, 0, prefix.n + str_find(rest, '/'));
}

err node_backup_clusters_settle(struct backup_restore *r, int root, struct diag *d) {
    str last = {0};
    for (uint32_t i = 0; i < r->b->files.n; i++) {
        str path = cluster_of(r->b->files.p[i].path);
        uint64_t app = 0;
        if (!path.n || str_eq(path, last) || !str_starts(r->b->files.p[i].path, r->below)) continue;
        last = path;
        bool done = false;
        for (uint32_t k = 0; k < i && !done; k++) done = str_eq(cluster_of(r->b->files.p[k].path), path);
        if (done || !str_to_u64(str_sub(path, 9, path.n), &app) || app > UINT32_MAX) continue;
        TRY(settle(r, root, path, r->app ? r->app : (uint32_t)app, d));
        r->clusters++;
    }
    return ERR_OK;
}
