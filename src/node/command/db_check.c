/* db_check: what an app's migrations would be refused for, on either engine, before anybody deploys them: a job reads them on top of an empty
 * database, and lints what comes out. No node is asked. */
#include "base/json.h"
#include "node/command/bundle.h"
#include "node/command/db.h"
#include "node/node_int.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct checking {
    arena *mem;
    const struct node_db_config *config;
    const char *folder; /* of the migrations */
    struct migration_ask ask;
    struct migration_plan plan;
    uint32_t remarks, lints;
};

/* ---- the files ---- */

static err read_one(struct checking *k, const char *path, str name, bool seed, struct diag *d) {
    struct migration_file f = {.name = name, .seed = seed};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return diag_set(d, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, DIAG_NOWHERE, "%s: %s", path, strerror(errno));
    err e = node_fd_bytes(k->mem, fd, MIGRATION_SQL_BYTES_MAX, &f.text, d);
    close(fd);
    if (e == ERR_OK) vec_push(k->mem, &k->ask.files, f);
    else diag_prefix(d, "%s: ", path);
    return e;
}

static int is_sql(const struct dirent *entry) {
    str name = str_c(entry->d_name);
    return name.n > 4 && name.n <= MIGRATION_NAME_MAX && name.p[0] != '.' && str_ends(name, STR(".sql"));
}

static err read_folder(struct checking *k, struct diag *d) {
    struct dirent **entries;
    int n = scandir(k->folder, &entries, is_sql, alphasort);
    err e = n < 0 ? diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", k->folder, strerror(errno)) : ERR_OK;
    for (int i = 0; i < n; i++) {
        str name = arena_str(k->mem, str_c(entries[i]->d_name));
        if (e == ERR_OK)
            e = read_one(k, arena_cstr(k->mem, arena_fmt(k->mem, "%s/" STR_FMT, k->folder, STR_ARG(name))), name, false, d);
        free(entries[i]);
    }
    if (n >= 0) free(entries);
    if (e == ERR_OK && !k->ask.files.n)
        return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "%s holds no migrations: files whose names end in .sql", k->folder);
    return e;
}

static bool is_folder(const char *path) {
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

err node_db_ask_of(arena *mem, const struct manifest *m, str folder, struct migration_ask *ask, struct diag *d) {
    struct bundle files;
    uint64_t bytes = 0;
    ask->engine = (uint8_t)m->record.database.engine;
    TRY(node_bundle_of_sql(mem, m, folder, true, &files, d));
    for (uint32_t i = 0; i < files.files.n; i++) {
        const struct bundle_file *f = &files.files.p[i];
        size_t slash = f->path.n;
        while (!f->is_seed && slash && f->path.p[slash - 1] != '/') slash--;
        struct migration_file file = {.name = f->is_seed ? f->path : str_sub(f->path, slash, f->path.n), .seed = f->is_seed};
        int fd = node_bundle_open(f);
        err e = fd < 0 ? diag_set(d, ERR_IO, DIAG_NOWHERE, STR_FMT ": %s", STR_ARG(f->disk), strerror(errno))
                       : node_fd_bytes(mem, fd, MIGRATION_SQL_BYTES_MAX - bytes, &file.text, d);
        if (fd >= 0) close(fd);
        TRY(e);
        bytes += file.text.n;
        vec_push(mem, &ask->files, file);
    }
    return ERR_OK;
}

/* As its manifest has it: which folder, which seeds, and what it is to run on. False: there is none that says so. */
static bool find_by_manifest(struct checking *k, const char *dir) {
    struct manifest m;
    struct migration_ask ask = {0};
    const char *file;
    struct diag unused = DIAG_INIT;
    if (node_manifest(k->mem, dir, (str){0}, &m, &file, &unused) != ERR_OK || m.errors || !m.database.migrations.n) return false;
    if (node_db_ask_of(k->mem, &m, str_c(dir), &ask, &unused) != ERR_OK || !ask.files.n || ask.files.p[0].seed) return false;
    k->ask.files.p = ask.files.p, k->ask.files.n = ask.files.n, k->ask.files.cap = ask.files.cap;
    if (ask.engine && !k->config->engine) k->ask.engine = ask.engine;
    k->folder = arena_cstr(k->mem, arena_fmt(k->mem, "%s/" STR_FMT, dir, STR_ARG(m.database.migrations)));
    return true;
}

/* A Supabase project, a project of Orlo's, or the folder of migrations itself; the seed of a project comes last. */
static err find_files(struct checking *k, struct diag *d) {
    static const char *const below[][2] = {
        {"/supabase/migrations", "/supabase/seed.sql"}, {"/migrations", "/seed.sql"}, {"", NULL}};
    const char *dir = k->config->operand ? k->config->operand : ".", *seed = NULL;
    if (find_by_manifest(k, dir)) return ERR_OK;
    for (size_t i = 0; i < ARRAY_COUNT(below) && !k->folder; i++) {
        const char *path = arena_cstr(k->mem, arena_fmt(k->mem, "%s%s", dir, below[i][0]));
        if (is_folder(path))
            k->folder = path, seed = below[i][1] ? arena_cstr(k->mem, arena_fmt(k->mem, "%s%s", dir, below[i][1])) : NULL;
    }
    if (!k->folder) return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "%s is no folder", dir);
    TRY(read_folder(k, d));
    return seed && !access(seed, R_OK) ? read_one(k, seed, STR("seed.sql"), true, d) : ERR_OK;
}

/* ---- what is said ---- */

enum said { SAID_ERROR, SAID_REMARK, SAID_LINT };

/* An SQLSTATE has no small letters, a lint's name no large ones. */
static enum said said_of(const struct migration_note *n) {
    if (n->is_error) return SAID_ERROR;
    return n->code.n && n->code.p[0] >= 'a' && n->code.p[0] <= 'z' ? SAID_LINT : SAID_REMARK;
}

static void print_text(const struct checking *k, FILE *to) {
    static const char *const words[] = {"error", "remark", "lint"};
    for (uint32_t i = 0; i < k->plan.notes.n; i++) {
        const struct migration_note *n = &k->plan.notes.p[i];
        if (n->file.n) fprintf(to, "%s/" STR_FMT, k->folder, STR_ARG(n->file));
        else fputs(k->folder, to);
        if (n->line) fprintf(to, ":%u:%u", n->line, n->column);
        fprintf(to, ": %s: " STR_FMT ": " STR_FMT "\n", words[said_of(n)], STR_ARG(n->code), STR_ARG(n->text));
    }
    fprintf(to, "%s: %u file%s for %s: %u error%s, %u remark%s, %u lint%s\n", k->folder, k->ask.files.n,
            k->ask.files.n == 1 ? "" : "s", k->ask.engine == APP_DATABASE_SQLITE ? "SQLite" : "PostgreSQL", k->plan.errors,
            k->plan.errors == 1 ? "" : "s", k->remarks, k->remarks == 1 ? "" : "s", k->lints, k->lints == 1 ? "" : "s");
}

static void print_json(const struct checking *k, FILE *to) {
    static const char *const words[] = {"error", "remark", "lint"};
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    json_put_object(&w, NULL);
    json_put_cstr(&w, "folder", k->folder);
    json_put_cstr(&w, "engine", k->ask.engine == APP_DATABASE_SQLITE ? "sqlite" : "postgres");
    json_put_bool(&w, "ok", !k->plan.errors);
    json_put_u64(&w, "files", k->ask.files.n);
    json_put_array(&w, "problems");
    for (uint32_t i = 0; i < k->plan.notes.n; i++) {
        const struct migration_note *n = &k->plan.notes.p[i];
        json_put_object(&w, NULL);
        json_put_cstr(&w, "kind", words[said_of(n)]);
        json_put_str(&w, "file", n->file);
        json_put_u64(&w, "line", n->line);
        json_put_u64(&w, "column", n->column);
        json_put_str(&w, "code", n->code);
        json_put_str(&w, "text", n->text);
        json_put_end(&w);
    }
    json_put_end(&w);
    json_put_end(&w);
    fprintf(to, STR_FMT "\n", STR_ARG(buf_str(&b)));
    buf_free(&b);
}

static err check(struct checking *k, struct diag *d) {
    TRY(find_files(k, d));
    k->ask.lint = true;
    TRY(node_migrate(k->mem, &k->ask, &k->plan, d));
    for (uint32_t i = 0; i < k->plan.notes.n; i++) {
        enum said said = said_of(&k->plan.notes.p[i]);
        k->remarks += said == SAID_REMARK, k->lints += said == SAID_LINT;
    }
    if (k->config->json) print_json(k, k->config->to);
    else print_text(k, k->config->to);
    return ERR_OK;
}

err node_db_check(const struct node_db_config *c, uint32_t *errors, struct diag *d) {
    struct checking k = {.mem = arena_new(0), .config = c, .ask.engine = APP_DATABASE_SQLITE};
    err e = ERR_OK;
    if (c->engine && !strcmp(c->engine, "postgres")) k.ask.engine = APP_DATABASE_POSTGRES;
    else if (c->engine && strcmp(c->engine, "sqlite") != 0)
        e = diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--engine is sqlite or postgres, not '%s'", c->engine);
    if (e == ERR_OK) e = check(&k, d);
    *errors = k.plan.errors;
    arena_free(k.mem);
    return e;
}
