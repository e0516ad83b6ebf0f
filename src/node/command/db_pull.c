/* db_pull: the first migration of a project that was made by hand, in a dashboard: of a PostgreSQL by its URL, or of a dump of pg_dump's or Supabase's. What is
 * asked or read there is a stranger's text: a job keeps what is the app's own of it (sql/pull.c). */
#include "net/loop.h"
#include "node/command/bundle.h"
#include "node/command/db.h"
#include "node/node_int.h"
#include "postgres/postgres.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ASK_MS = 120'000, CONNECT_MS = 20'000, ASK_BYTES_MAX = 48 << 20 };

/* ---- of a server ---- */

struct server {
    struct net_loop *loop;
    struct buf rows;
    struct diag *d;
    err e;
};

static void told(void *arg, const struct postgres_answer *a) {
    struct server *s = arg;
    if (postgres_outcome(a) == POSTGRES_DONE) {
        s->e = ERR_OK;
        for (uint32_t i = 0; i < postgres_rows(a, 1); i++)
            buf_puts(&s->rows, postgres_value(a, 1, i, 0, NULL)), buf_putc(&s->rows, '\n');
    } else {
        const struct postgres_error *e = postgres_error(a);
        s->e = diag_set(s->d, postgres_outcome(a) == POSTGRES_ERROR ? ERR_INVALID : ERR_CLOSED, DIAG_NOWHERE, "%s%s%.600s",
                        e->state, e->state[0] ? ": " : "", e->message);
    }
    net_loop_stop(s->loop);
}

static err ask_server(arena *mem, str url, str *objects, struct diag *d) {
    struct postgres_place *place;
    TRY(postgres_place_new(url, true, &place, d));
    struct server s = {.loop = net_loop_new(), .d = d, .e = ERR_CLOSED};
    struct postgres *db = postgres_new(&(struct postgres_options){
        .loop = s.loop, .place = place, .connections_max = 1, .waiting_max = 1, .connect_ms = CONNECT_MS});
    const struct postgres_statement asks[] = {{.text = STR_INIT("set local search_path = pg_catalog")},
                                              {.text = node_schema_objects()}};
    (void)postgres_ask(
        db,
        &(struct postgres_question){
            .statements = asks, .count = ARRAY_COUNT(asks), .ms_max = ASK_MS, .bytes_max = ASK_BYTES_MAX, .undone = true},
        told, &s);
    net_loop_run(s.loop);
    postgres_free(db);
    while (postgres_place_busy(place)) poll(NULL, 0, 10);
    postgres_place_free(place);
    net_loop_free(s.loop);
    *objects = arena_str(mem, buf_str(&s.rows));
    buf_free(&s.rows);
    return s.e;
}

static err text_of_server(arena *mem, str url, str *text, struct diag *d) {
    struct buf b = {0};
    str objects;
    TRY(ask_server(mem, url, &objects, d));
    err e = node_db_schema_all(mem, objects, &b, d);
    *text = arena_str(mem, buf_str(&b));
    buf_free(&b);
    return e;
}

/* ---- of a file ---- */

static err text_of_file(arena *mem, const char *path, str *text, struct diag *d) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0)
        return diag_set(d, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, DIAG_NOWHERE, "%s: %s%s", path, strerror(errno),
                        errno == ENOENT ? "; orlo db pull takes a file of pg_dump's, or postgres://…" : "");
    err e = fstat(fd, &st) || !S_ISREG(st.st_mode) ? diag_set(d, ERR_INVALID, DIAG_NOWHERE, "%s is no file", path)
                                                   : node_fd_bytes(mem, fd, MIGRATION_SQL_BYTES_MAX, text, d);
    close(fd);
    if (e == ERR_LIMIT) diag_prefix(d, "%s: pg_dump --schema-only leaves the rows out: ", path);
    else if (e == ERR_OK && str_starts(*text, STR("PGDMP")))
        e = diag_set(d, ERR_INVALID, DIAG_NOWHERE, "%s is an archive: pg_restore --schema-only -f dump.sql makes SQL of it",
                     path);
    return e;
}

/* ---- a file of the project ---- */

static bool is_folder(const char *path) {
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

/* Where its migrations are, or would be. */
static const char *place_of(arena *mem, const char *dir) {
    struct manifest m;
    const char *file;
    struct diag unused = DIAG_INIT;
    if (node_manifest(mem, dir, (str){0}, &m, &file, &unused) == ERR_OK && m.database.migrations.n)
        return arena_cstr(mem, arena_fmt(mem, "%s/" STR_FMT, dir, STR_ARG(m.database.migrations)));
    const char *supabase = arena_cstr(mem, arena_fmt(mem, "%s/supabase", dir));
    return arena_cstr(mem, arena_fmt(mem, "%s/migrations", is_folder(supabase) ? supabase : dir));
}

static bool has_migrations(const char *folder) {
    DIR *dir = opendir(folder);
    bool has = false;
    for (const struct dirent *e; dir && !has && (e = readdir(dir));)
        has = e->d_name[0] != '.' && str_ends(str_c(e->d_name), STR(".sql"));
    if (dir) closedir(dir);
    return has;
}

static err make_folders(arena *mem, const char *path, struct diag *d) {
    for (const char *p = path; *p; p++) {
        bool ends = p[1] == '/' || !p[1];
        const char *one = arena_cstr(mem, str_sub(str_c(path), 0, (size_t)(p - path) + 1));
        if (ends && mkdir(one, 0777) && errno != EEXIST) return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", one, strerror(errno));
    }
    return ERR_OK;
}

err node_db_pull_write(arena *mem, const char *dir, str text, bool first, struct diag *d) {
    const char *folder = place_of(mem, dir ? dir : ".");
    char stamp[32];
    struct tm tm;
    time_t now = time(NULL);
    if (first && has_migrations(folder))
        return diag_set(d, ERR_BUSY, DIAG_NOWHERE,
                        "%s has migrations already, and this would be the first: move them away, or pull into another folder",
                        folder);
    TRY(make_folders(mem, folder, d));
    gmtime_r(&now, &tm);
    strftime(stamp, sizeof stamp, "%Y%m%d%H%M%S", &tm);
    const char *path = arena_cstr(mem, arena_fmt(mem, "%s/%s_pulled.sql", folder, stamp));
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0) return diag_set(d, errno == EEXIST ? ERR_BUSY : ERR_IO, DIAG_NOWHERE, "%s: %s", path, strerror(errno));
    bool fine = true;
    for (str rest = text; rest.n && fine;) {
        ssize_t n = write(fd, rest.p, rest.n);
        fine = n > 0;
        if (fine) rest = str_sub(rest, (size_t)n, rest.n);
    }
    fine = !close(fd) && fine;
    if (!fine) unlink(path);
    if (!fine) return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", path, strerror(errno));
    fprintf(stderr, "wrote %s\n", path);
    return ERR_OK;
}

err node_db_pull_from(const struct node_db_config *c, struct diag *d) {
    struct migration_ask ask = {.engine = APP_DATABASE_POSTGRES, .pull = true};
    struct migration_plan plan = {0};
    struct migration_file file = {.name = STR("dump.sql")};
    str source = str_c(c->operand);
    bool url = str_starts(source, STR("postgres://")) || str_starts(source, STR("postgresql://"));
    if (!url && c->second == NULL && is_folder(c->operand))
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "of what? orlo db pull postgres://… or FILE, and then the folder");
    TRY(url ? text_of_server(c->mem, source, &file.text, d) : text_of_file(c->mem, c->operand, &file.text, d));
    vec_push(c->mem, &ask.files, file);
    TRY(node_migrate(c->mem, &ask, &plan, d));
    for (uint32_t i = 0; i < plan.notes.n; i++)
        fprintf(stderr, "%s:%u:%u: " STR_FMT ": " STR_FMT "\n", url ? "the server" : c->operand, plan.notes.p[i].line,
                plan.notes.p[i].column, STR_ARG(plan.notes.p[i].code), STR_ARG(plan.notes.p[i].text));
    if (plan.parts.n != 1 || plan.parts.p[0].steps.n != 2) return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "the job went astray");
    const struct migration_step *kept = &plan.parts.p[0].steps.p[0], *left = &plan.parts.p[0].steps.p[1];
    if (!kept->line)
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "there is nothing of an app's own in it (%u statement%s of others)",
                        left->line, left->line == 1 ? "" : "s");
    static const char *const kinds[] = {"tables", "sequences", "functions"};
    str none = {0}, usual = {0};
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        none = arena_fmt(c->mem,
                         STR_FMT
                         "alter default privileges in schema public revoke all on %s from anon, authenticated, service_role;\n",
                         STR_ARG(none), kinds[i]);
        usual = arena_fmt(
            c->mem, STR_FMT "alter default privileges in schema public grant all on %s to anon, authenticated, service_role;\n",
            STR_ARG(usual), kinds[i]);
    }
    str text = arena_fmt(c->mem,
                         "-- What stood in a database that was made by hand, as orlo db pull found it.\n"
                         "set check_function_bodies = off;\n\n"
                         "-- Rights are those that stood there: what is made here gets no others by itself.\n" STR_FMT
                         "\n" STR_FMT "-- What comes after it gets the usual ones again.\n" STR_FMT,
                         STR_ARG(none), STR_ARG(kept->text), STR_ARG(usual));
    TRY(node_db_pull_write(c->mem, c->second, text, true, d));
    fprintf(c->to, "%u statement%s; %u left out: rows, owners, and what is the platform's\n", kept->line,
            kept->line == 1 ? "" : "s", left->line);
    return ERR_OK;
}
