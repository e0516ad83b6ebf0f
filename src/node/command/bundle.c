/* bundle: see bundle.h. */
#include "node/command/bundle.h"
#include "node/node_int.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_BYTES = 1 << 20, DEPTH_MAX = 32 };

int node_bundle_open(const struct bundle_file *f) {
    return open((const char *)f->disk.p, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

static str join(arena *out, str folder, str path) {
    if (!folder.n || str_eqc(folder, ".")) return arena_str(out, path);
    return arena_fmt(out, STR_FMT "/" STR_FMT, STR_ARG(folder), STR_ARG(path));
}

static err fault(struct bundle *b, str disk, err e, struct diag *d, const char *what) {
    b->at_fault = disk;
    return diag_set(d, e, DIAG_NOWHERE, STR_FMT ": %s", STR_ARG(disk), what);
}

static err no_file(struct bundle *b, str disk, struct diag *d) {
    err e = errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : errno == EACCES ? ERR_DENIED : ERR_IO;
    return fault(b, disk, e, d, strerror(errno));
}

static err add(struct bundle *b, str path, str disk, bool is_source, struct diag *d) {
    struct stat st;
    if (stat((const char *)disk.p, &st)) return no_file(b, disk, d);
    if (!S_ISREG(st.st_mode)) return fault(b, disk, ERR_INVALID, d, "it is no regular file");
    if (b->files.n == BUNDLE_FILES_MAX) return fault(b, disk, ERR_LIMIT, d, "a deployment has at most 65,536 files");
    if (path.n > APP_PATH_MAX) return fault(b, disk, ERR_LIMIT, d, "its path is longer than 4096 bytes");
    struct bundle_file *f = vec_add(b->mem, &b->files);
    *f = (struct bundle_file){.path = path,
                              .disk = disk,
                              .bytes = (uint64_t)st.st_size,
                              .modified_s = (uint64_t)MAX(st.st_mtime, (time_t)0),
                              .is_source = is_source};
    b->bytes += f->bytes;
    return ERR_OK;
}

/* That it is WebAssembly at all is said before anything is uploaded. */
static err add_source(struct bundle *b, str source, str disk, struct diag *d) {
    struct node_input in;
    for (uint32_t i = 0; i < b->files.n; i++)
        if (str_eq(b->files.p[i].path, source)) return ERR_OK;
    b->at_fault = disk;
    TRY(node_input_open((const char *)disk.p, &in, d));
    close(in.fd);
    b->at_fault = (str){0};
    return add(b, source, disk, true, d);
}

static err add_folder(struct bundle *b, str path, str disk, int depth, struct diag *d);

static err add_entry(struct bundle *b, str path, str disk, const struct dirent *entry, int depth, struct diag *d) {
    struct stat st;
    str name = str_c(entry->d_name), below = join(b->mem, disk, name),
        called = path.n ? join(b->mem, path, name) : arena_str(b->mem, name);
    if (name.p[0] == '.' && !str_eqc(name, ".well-known")) return ERR_OK;
    if (!str_is_utf8(name)) return fault(b, below, ERR_INVALID, d, "its name is no UTF-8");
    if (lstat((const char *)below.p, &st)) return errno == ENOENT ? ERR_OK : no_file(b, below, d);
    if (S_ISDIR(st.st_mode)) return add_folder(b, called, below, depth + 1, d);
    if (S_ISLNK(st.st_mode) && stat((const char *)below.p, &st)) return no_file(b, below, d);
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? fault(b, below, ERR_INVALID, d, "it is a link to a folder; name that folder instead")
                                   : ERR_OK;
    return add(b, called, below, false, d);
}

static err add_folder(struct bundle *b, str path, str disk, int depth, struct diag *d) {
    if (depth > DEPTH_MAX) return fault(b, disk, ERR_LIMIT, d, "folders are nested deeper than 32");
    DIR *dir = opendir((const char *)disk.p);
    if (!dir) return no_file(b, disk, d);
    err e = ERR_OK;
    for (struct dirent *entry; e == ERR_OK && (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) e = add_entry(b, path, disk, entry, depth, d);
    closedir(dir);
    return e;
}

/* ---- SQL ---- */

/* What is in a folder, and not below it: "*.sql", or of a pattern. */
static err add_matching(struct bundle *b, str path, str disk, str pattern, bool optional, struct diag *d) {
    DIR *dir = opendir((const char *)disk.p);
    if (!dir) return optional && errno == ENOENT ? ERR_OK : no_file(b, disk, d);
    err e = ERR_OK;
    for (struct dirent *entry; e == ERR_OK && (entry = readdir(dir));) {
        str name = str_c(entry->d_name);
        if (name.p[0] == '.' || fnmatch((const char *)pattern.p, entry->d_name, 0) != 0) continue;
        str below = join(b->mem, disk, name);
        if (!str_is_utf8(name)) e = fault(b, below, ERR_INVALID, d, "its name is no UTF-8");
        else e = add(b, path.n ? join(b->mem, path, name) : arena_str(b->mem, name), below, false, d);
    }
    closedir(dir);
    return e;
}

/* A Supabase project with an orlo.toml of its own: nothing but this would say that none of its migrations is taken. */
static err beside(struct bundle *b, const struct manifest *m, str folder, struct diag *d) {
    struct stat st;
    if (m->format != MANIFEST_ORLO || m->database.migrations_said) return ERR_OK;
    if (!stat((const char *)join(b->mem, folder, m->database.migrations).p, &st)) return ERR_OK;
    if (stat((const char *)join(b->mem, folder, STR("supabase/migrations")).p, &st)) return ERR_OK;
    return diag_set(d, ERR_INVALID, DIAG_NOWHERE,
                    "there is no folder migrations, and supabase/migrations is not looked for: say migrations = "
                    "\"supabase/migrations\" in orlo.toml");
}

static err add_migrations(struct bundle *b, const struct manifest *m, str folder, struct diag *d) {
    str path = m->database.migrations;
    if (!path.n) return ERR_OK;
    TRY(beside(b, m, folder, d));
    if (str_eqc(path, ".")) path = (str){0};
    return add_matching(b, path,
                        path.n     ? join(b->mem, folder, path)
                        : folder.n ? folder
                                   : STR("."),
                        STR("*.sql"), !m->database.migrations_said, d);
}

/* A file, or a pattern in the last part of its path. */
static err add_seed(struct bundle *b, str seed, str folder, bool optional, struct diag *d) {
    size_t slash = seed.n;
    struct stat st;
    while (slash && seed.p[slash - 1] != '/') slash--;
    str path = slash ? str_sub(seed, 0, slash - 1) : (str){0}, disk = path.n     ? join(b->mem, folder, path)
                                                                      : folder.n ? folder
                                                                                 : STR(".");
    if (memchr(seed.p, '*', seed.n) || memchr(seed.p, '?', seed.n) || memchr(seed.p, '[', seed.n))
        return add_matching(b, path, disk, arena_str(b->mem, str_sub(seed, slash, seed.n)), optional, d);
    disk = join(b->mem, folder, seed);
    if (optional && stat((const char *)disk.p, &st) && errno == ENOENT) return ERR_OK;
    return add(b, arena_str(b->mem, seed), disk, false, d);
}

static int by_path(const void *a, const void *b) {
    return str_cmp(((const struct bundle_file *)a)->path, ((const struct bundle_file *)b)->path);
}

/* Where the file of a function is: in the folder, or where it was fetched to. */
static str disk_of(arena *mem, const struct manifest *m, str folder, uint32_t function) {
    const struct app_function *f = &m->record.functions.p[function];
    for (uint32_t i = 0; i < m->fetches.n; i++)
        if (str_eq(m->fetches.p[i].function, f->name) && m->fetches.p[i].path.n) return m->fetches.p[i].path;
    return join(mem, folder, f->source);
}

err node_bundle_of(arena *mem, const struct manifest *m, str folder, struct bundle *out, struct diag *d) {
    const struct app_record *r = &m->record;
    *out = (struct bundle){.mem = mem};
    for (uint32_t i = 0; i < r->functions.n; i++)
        if (r->functions.p[i].source.n) TRY(add_source(out, r->functions.p[i].source, disk_of(mem, m, folder, i), d));
    for (uint32_t i = 0; i < r->files.n; i++) {
        str path = str_eqc(r->files.p[i].folder, ".") ? (str){0} : r->files.p[i].folder;
        TRY(add_folder(out, path, path.n ? join(mem, folder, path) : folder.n ? folder : STR("."), 0, d));
    }
    for (uint32_t i = 0; i < r->auth.templates.n; i++) {
        const struct app_template *t = &r->auth.templates.p[i];
        if (t->html_path.n) TRY(add(out, t->html_path, join(mem, folder, t->html_path), false, d));
        if (t->text_path.n) TRY(add(out, t->text_path, join(mem, folder, t->text_path), false, d));
    }
    TRY(add_migrations(out, m, folder, d));
    if (out->files.n) qsort(out->files.p, out->files.n, sizeof *out->files.p, by_path);
    uint32_t n = 0;
    for (uint32_t i = 0; i < out->files.n; i++) /* a source may lie in a folder that is served */
        if (!n || !str_eq(out->files.p[n - 1].path, out->files.p[i].path)) out->files.p[n++] = out->files.p[i];
    out->files.n = n;
    return ERR_OK;
}

static void sort_from(struct bundle *b, uint32_t from) {
    if (b->files.n > from + 1) qsort(b->files.p + from, b->files.n - from, sizeof *b->files.p, by_path);
}

err node_bundle_of_sql(arena *mem, const struct manifest *m, str folder, bool seeds, struct bundle *out, struct diag *d) {
    *out = (struct bundle){.mem = mem};
    TRY(add_migrations(out, m, folder, d));
    sort_from(out, 0);
    for (uint32_t i = 0; seeds && i < m->database.seeds.n; i++) {
        uint32_t from = out->files.n;
        TRY(add_seed(out, m->database.seeds.p[i], folder, !m->database.seeds_said, d));
        sort_from(out, from);
        for (uint32_t k = from; k < out->files.n; k++) out->files.p[k].is_seed = true;
    }
    return ERR_OK;
}

static err hash(struct bundle *b, struct bundle_file *f, uint8_t *piece, struct diag *d) {
    int fd = node_bundle_open(f);
    if (fd < 0) return no_file(b, f->disk, d);
    struct crypto_sha256_stream *h = crypto_sha256_begin();
    uint64_t at = 0;
    ssize_t n;
    while ((n = read(fd, piece, PIECE_BYTES)) > 0) crypto_sha256_add(h, (str){piece, (size_t)n}), at += (uint64_t)n;
    err e = n < 0 ? no_file(b, f->disk, d) : ERR_OK;
    crypto_sha256_end(h, f->digest);
    close(fd);
    f->bytes = at;
    return e;
}

err node_bundle_hash(struct bundle *b, void (*moved)(void *arg, uint64_t bytes), void *arg, struct diag *d) {
    uint8_t *piece = malloc(PIECE_BYTES);
    err e = ERR_OK;
    ENSURE(piece);
    b->bytes = 0;
    for (uint32_t i = 0; i < b->files.n && e == ERR_OK; i++) {
        e = hash(b, &b->files.p[i], piece, d);
        b->bytes += b->files.p[i].bytes;
        if (moved) moved(arg, b->bytes);
    }
    free(piece);
    return e;
}
