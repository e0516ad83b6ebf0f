/* manifest: a manifest, or a node's configuration, read by a job; for a command and for the supervisor, who wait for it. Control asks the
 * supervisor (manifest_want), and reads what came out with manifest_decode as here. */
#include "manifest/config.h"
#include "manifest/manifest.h"
#include "node/node_int.h"
#include "node/supervisor/jobs.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static_assert((int)NODE_MANIFEST_FORMATS == (int)MANIFEST_FORMATS);

/* ---- in the job ---- */

static err write_all(int fd, str s, struct diag *d) {
    while (s.n) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return diag_set(d, ERR_IO, DIAG_NOWHERE, "cannot write: %s", strerror(errno));
        s = str_sub(s, (size_t)n, s.n);
    }
    return ERR_OK;
}

/* That the manifest is wrong is no failure of the job: its notes say so. */
err node_manifest_job(const struct node_message *what, int in, int out, struct node_job_result *result) {
    struct diag *d = &result->diag, own = DIAG_INIT;
    const struct node_msg_manifest *m = &what->manifest;
    arena *mem = arena_new(0);
    struct manifest read;
    struct buf b = {0};
    size_t bytes = (size_t)MIN(m->bytes, (uint64_t)MANIFEST_TEXT_MAX + 1);
    uint8_t *p = arena_alloc(mem, bytes + 1, 1);
    if (bytes && pread(in, p, bytes, 0) != (ssize_t)bytes)
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "it became shorter while it was read");
    (void)manifest_read(mem, (str){p, bytes}, (enum manifest_format)m->format, m->name, &read, &own);
    manifest_write(&b, &read);
    return write_all(out, buf_str(&b), d);
}

/* ---- for who waits ---- */

/* A text of MANIFEST_TEXT_MAX bytes is at most some 60 MiB as a tree. */
void node_manifest_limits(struct node_job_config *config) {
    config->memory_bytes_max = 256 * MiB;
    config->file_bytes_max = 64 * MiB;
    config->cpu_s_max = 10;
}

static void on_done(void *arg, const struct node_job_result *result) { *(struct node_job_result *)arg = *result; }

static err run_job(const struct node_message *what, int in, int out, struct diag *d) {
    struct node_jobs jobs = {.running_max = 1};
    struct node_job_result result;
    struct node_job_config config = {
        .what = what, .in = in, .out = out, .title = "reading the manifest", .done = on_done, .arg = &result};
    node_manifest_limits(&config);
    ENSURE(node_jobs_add(&jobs, &config));
    for (node_jobs_turn(&jobs); jobs.first; node_jobs_show(&jobs)) node_jobs_wait(&jobs, 200);
    return node_diag_of(d, result.err, result.diag.offset, str_c(result.diag.text));
}

static err take(arena *out, int fd, struct manifest *m, struct diag *d) {
    struct stat st;
    if (fstat(fd, &st)) return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s", strerror(errno));
    uint8_t *p = arena_alloc(out, (size_t)st.st_size + 1, 1);
    if (pread(fd, p, (size_t)st.st_size, 0) != st.st_size) return diag_set(d, ERR_IO, DIAG_NOWHERE, "what the job made is gone");
    return manifest_decode(out, (str){p, (size_t)st.st_size}, m, d);
}

err node_manifest_read(arena *out, int fd, int format, str name, struct manifest *m, struct diag *d) {
    struct stat st;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) return diag_set(d, ERR_IO, DIAG_NOWHERE, "it is no file");
    struct node_message what = NODE_MESSAGE(manifest, .format = (uint8_t)format, .name = name, .bytes = (uint64_t)st.st_size);
    int made = memfd_create("orlo-manifest", MFD_CLOEXEC);
    if (made < 0) return diag_set(d, ERR_IO, DIAG_NOWHERE, "no memory file: %s", strerror(errno));
    err e = run_job(&what, fd, made, d);
    if (e == ERR_OK) e = take(out, made, m, d);
    close(made);
    return e;
}

static err open_file(const char *path, int *fd, struct diag *d) {
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd >= 0) return ERR_OK;
    return diag_set(d,
                    errno == ENOENT   ? ERR_NOT_FOUND
                    : errno == EACCES ? ERR_DENIED
                                      : ERR_IO,
                    DIAG_NOWHERE, "%s: %s", path, strerror(errno));
}

static err first_error(const struct manifest *m, const char *file, struct diag *d) {
    arena *scratch = arena_new(0);
    err e = ERR_OK;
    for (uint32_t i = 0; i < m->notes.n && e == ERR_OK; i++)
        if (m->notes.p[i].is_error) {
            str text = manifest_note_text(scratch, file, &m->notes.p[i]);
            e = diag_set(d, ERR_INVALID, DIAG_NOWHERE, STR_FMT "%s", STR_ARG(text),
                         m->errors > 1 ? "; there is more, which orlo check says" : "");
        }
    arena_free(scratch);
    return m->errors ? ERR_INVALID : ERR_OK;
}

err node_config_read(arena *out, const char *path, struct manifest_config **config, struct diag *d) {
    struct manifest m;
    int fd;
    TRY(open_file(path, &fd, d));
    err e = node_manifest_read(out, fd, MANIFEST_CONFIG, STR(""), &m, d);
    close(fd);
    TRY(e);
    TRY(first_error(&m, path, d));
    *config = m.config;
    return ERR_OK;
}

/* ---- an app's folder ---- */

err node_manifest(arena *out, const char *path, str name, struct manifest *m, const char **file, struct diag *d) {
    struct stat st;
    int fd = -1;
    if (stat(path, &st)) return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "%s: %s", path, strerror(errno));
    bool folder = S_ISDIR(st.st_mode);
    for (int f = MANIFEST_ORLO; f < MANIFEST_CONFIG && fd < 0; f++) {
        str called = str_c(manifest_format_file((enum manifest_format)f));
        const char *slash = str_ends(str_c(path), STR("/")) ? "" : "/";
        str at = folder ? arena_fmt(out, "%s%s" STR_FMT, path, slash, STR_ARG(called)) : str_c(path);
        if (!folder && !str_ends(at, called)) continue;
        *file = arena_cstr(out, at);
        fd = open(*file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0 && errno != ENOENT && errno != ENOTDIR)
            return diag_set(d, errno == EACCES ? ERR_DENIED : ERR_IO, DIAG_NOWHERE, "%s: %s", *file, strerror(errno));
        if (fd < 0) continue;
        err e = node_manifest_read(out, fd, (enum manifest_format)f, name, m, d);
        close(fd);
        return e;
    }
    if (!folder && str_ends(str_c(path), STR(".toml"))) { /* of another name: a node's */
        *file = path;
        TRY(open_file(path, &fd, d));
        err e = node_manifest_read(out, fd, MANIFEST_CONFIG, STR(""), m, d);
        close(fd);
        return e;
    }
    if (!folder)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "%s is no manifest: orlo.toml, spin.toml or supabase/config.toml", path);
    return diag_set(
        d, ERR_NOT_FOUND, DIAG_NOWHERE,
        "%s has no orlo.toml (nor spin.toml, nor supabase/config.toml): orlo new makes one, docs/manifest.md tells what it says",
        path);
}
