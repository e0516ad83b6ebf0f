/* migrate: what an app's migrations make of its database, worked out by a job; for a command, who waits for it. Control asks the supervisor
 * (migrate_want), and reads what came out with node_migration_plan_read as here. */
#include "node/migration.h"
#include "node/node_int.h"
#include "node/supervisor/jobs.h"
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- in the job ---- */

err node_migrate_job(const struct node_message *what, int in, int out, struct node_job_result *result) {
    return diag_set(&result->diag, ERR_UNSUPPORTED, DIAG_NOWHERE, "migrations are not read yet");
}

/* ---- for who waits ---- */

/* A tree of PostgreSQL's parser takes some hundred bytes for each of a statement's; a catalogue of 200 tables has 2 MiB as text. */
void node_migrate_limits(struct node_job_config *config) {
    config->memory_bytes_max = 2 * GiB;
    config->file_bytes_max = MIGRATION_PLAN_BYTES_MAX;
    config->cpu_s_max = 120;
}

static void on_done(void *arg, const struct node_job_result *result) { *(struct node_job_result *)arg = *result; }

static err run_job(const struct node_message *what, int in, int out, struct diag *d) {
    struct node_jobs jobs = {.running_max = 1};
    struct node_job_result result;
    struct node_job_config config = {
        .what = what, .in = in, .out = out, .title = "reading the migrations", .done = on_done, .arg = &result};
    node_migrate_limits(&config);
    ENSURE(node_jobs_add(&jobs, &config));
    for (node_jobs_turn(&jobs); jobs.first; node_jobs_show(&jobs)) node_jobs_wait(&jobs, 200);
    return node_diag_of(d, result.err, result.diag.offset, str_c(result.diag.text));
}

int node_bytes_fd(const char *name, str bytes) {
    int fd = memfd_create(name, MFD_CLOEXEC);
    for (size_t at = 0; fd >= 0 && at < bytes.n;) {
        ssize_t n = pwrite(fd, bytes.p + at, bytes.n - at, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            close(fd);
            return -1;
        }
        at += (size_t)n;
    }
    return fd;
}

err node_fd_bytes(arena *out, int fd, size_t most, str *bytes, struct diag *d) {
    struct stat st;
    if (fstat(fd, &st)) return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s", strerror(errno));
    if ((uint64_t)st.st_size > most)
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "it has %llu bytes, and may have %zu", (unsigned long long)st.st_size, most);
    uint8_t *p = arena_alloc(out, (size_t)st.st_size + 1, 1);
    for (size_t at = 0; at < (size_t)st.st_size;) {
        ssize_t n = pread(fd, p + at, (size_t)st.st_size - at, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return diag_set(d, ERR_IO, DIAG_NOWHERE, "it became shorter while it was read");
        at += (size_t)n;
    }
    *bytes = (str){p, (size_t)st.st_size};
    return ERR_OK;
}

err node_migrate(arena *out, const struct migration_ask *ask, struct migration_plan *plan, struct diag *d) {
    struct buf b = {0};
    str bytes;
    node_migration_ask_write(&b, ask);
    struct node_message what = NODE_MESSAGE(migrate, .bytes = b.n);
    int in = node_bytes_fd("orlo-migrations", buf_str(&b)), made = memfd_create("orlo-plan", MFD_CLOEXEC);
    err e = in < 0 || made < 0 ? diag_set(d, ERR_IO, DIAG_NOWHERE, "no memory file: %s", strerror(errno)) : ERR_OK;
    buf_free(&b);
    if (e == ERR_OK) e = run_job(&what, in, made, d);
    if (e == ERR_OK) e = node_fd_bytes(out, made, MIGRATION_PLAN_BYTES_MAX, &bytes, d);
    if (in >= 0) close(in);
    if (made >= 0) close(made);
    return e == ERR_OK ? node_migration_plan_read(out, bytes, plan, d) : e;
}
