/* migrate: what an app's migrations make of its database, worked out by a job; for a command, who waits for it. Control asks the supervisor
 * (migrate_want), and reads what came out with node_migration_plan_read as here. */
#include "crypto/crypto.h"
#include "node/migration.h"
#include "node/node_int.h"
#include "node/supervisor/jobs.h"
#include "sql/sql.h"
#include "sql/translate.h"
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* What keeps a project from SQLite is said by who asks what it needs (orlo db check); where it has PostgreSQL, it is nothing. */
static void take_notes(arena *mem, const struct migration_ask *ask, const struct sql_report *report,
                       struct migration_plan *plan) {
    plan->errors = report->refused;
    for (uint32_t i = 0; i < report->notes.n && plan->notes.n < MIGRATION_NOTES_MAX; i++) {
        const struct sql_note *n = &report->notes.p[i];
        static const uint8_t kinds[] = {[SQL_REFUSAL] = MIGRATION_NOTE_ERROR,   [SQL_NEEDS_POSTGRES] = MIGRATION_NOTE_POSTGRES,
                                        [SQL_LATER] = MIGRATION_NOTE_LATER,     [SQL_RECORDED] = MIGRATION_NOTE_RECORDED,
                                        [SQL_IGNORED] = MIGRATION_NOTE_IGNORED, [SQL_REMARK] = MIGRATION_NOTE_REMARK,
                                        [SQL_LINT] = MIGRATION_NOTE_LINT};
        if (n->severity == SQL_NEEDS_POSTGRES && ask->engine != APP_DATABASE_SQLITE && !ask->lint) continue;
        str text = n->instead.n ? arena_fmt(mem, STR_FMT "; " STR_FMT, STR_ARG(n->text), STR_ARG(n->instead)) : n->text;
        vec_push(mem, &plan->notes,
                 ((struct migration_note){.file = str_sub(n->file, 0, MIGRATION_NAME_MAX),
                                          .line = n->line,
                                          .column = n->column,
                                          .is_error = n->severity == SQL_REFUSAL,
                                          .kind = kinds[n->severity],
                                          .code = str_sub(n->code, 0, 63),
                                          .text = str_sub(text, 0, 4000)}));
    }
}

static void take_statements(arena *mem, const struct sql_report *report, struct migration_plan *plan) {
    for (uint32_t i = 0; i < report->statements.n && plan->statements.n < MIGRATION_STATEMENTS_MAX; i++) {
        const struct sql_judged *j = &report->statements.p[i];
        vec_push(mem, &plan->statements,
                 ((struct migration_statement){.file = str_sub(j->file, 0, MIGRATION_NAME_MAX),
                                               .line = j->line,
                                               .verdict = j->verdict,
                                               .what = str_sub(j->what, 0, 60),
                                               .why = str_sub(j->why, 0, 1000)}));
    }
}

static void take_steps(arena *mem, const struct sql_plan_file *from, struct migration_part *to) {
    for (uint32_t i = 0; i < from->steps.n; i++)
        vec_push(mem, &to->steps,
                 ((struct migration_step){from->steps.p[i].text, from->steps.p[i].line, from->steps.p[i].kind,
                                          from->steps.p[i].catalog}));
}

/* The statements of a file are those of its part; the platform's own, which have no file, come with the first. Marks have none. */
static void take_parts(arena *mem, const struct migration_ask *ask, const struct sql_plan *made, struct migration_plan *plan) {
    uint32_t at = 0;
    struct migration_part first = {0};
    for (; at < made->files.n && !made->files.p[at].name.n; at++) take_steps(mem, &made->files.p[at], &first);
    for (uint32_t i = 0; i < ask->files.n; i++) {
        const struct migration_file *f = &ask->files.p[i];
        struct migration_part p = {.name = f->name, .seed = f->seed};
        if (!i) p.steps.p = first.steps.p, p.steps.n = first.steps.n, p.steps.cap = first.steps.cap;
        memcpy(p.digest, f->digest, sizeof p.digest);
        const struct sql_plan_file *of = !f->mark && at < made->files.n ? &made->files.p[at++] : NULL;
        ENSURE(!of || str_eq(of->name, f->name));
        if (of) take_steps(mem, of, &p), p.catalog = of->catalog;
        vec_push(mem, &plan->parts, p);
    }
}

/* Its numbers are notes: code kept, left-out. */
static void pull(arena *mem, const struct migration_ask *ask, struct migration_plan *plan) {
    struct sql_report report = {0};
    struct sql_pulled counts;
    struct buf text = {0};
    struct migration_part part = {.name = STR("pulled")};
    for (uint32_t i = 0; i < MIN(ask->files.n, 1u); i++) {
        part.name = ask->files.p[i].name;
        sql_pull(mem, part.name, ask->files.p[i].text, &text, &counts, &report);
        take_notes(mem, ask, &report, plan);
        vec_push(mem, &part.steps, ((struct migration_step){.text = arena_str(mem, buf_str(&text)), .line = counts.kept}));
        vec_push(mem, &part.steps, ((struct migration_step){.line = counts.left_out + counts.unread}));
    }
    buf_free(&text);
    vec_push(mem, &plan->parts, part);
}

static bool can_read(void *db, str text) { return db_can_read(db, text); }

static err make_plan(arena *mem, const struct migration_ask *ask, struct migration_plan *plan, struct diag *d) {
    struct catalog *from = NULL;
    struct sql_plan made = {0};
    struct sql_report report = {.strict = ask->strict, .each = ask->lint};
    struct buf text = {0};
    VEC(struct sql_file) files = {0};
    enum catalog_engine engine = ask->engine == APP_DATABASE_SQLITE ? CATALOG_SQLITE : CATALOG_POSTGRES;
    if (ask->pull) return pull(mem, ask, plan), ERR_OK;
    if (ask->catalog.n) TRY(catalog_read(mem, ask->catalog, &from, d));
    for (uint32_t i = 0; i < ask->files.n; i++)
        if (!ask->files.p[i].mark)
            vec_push(mem, &files,
                     ((struct sql_file){.name = ask->files.p[i].name,
                                        .text = ask->files.p[i].text,
                                        .seed = ask->files.p[i].seed,
                                        .copied = ask->files.p[i].copied,
                                        .asked = ask->files.p[i].asked,
                                        .owner = ask->files.p[i].owner}));
    struct db *db;
    TRY(db_open(&(struct db_options){.name = ":memory:", .create = true}, &db, d));
    struct sql_reader reader = {.reads = can_read, .arg = db};
    err e = sql_migrate(mem, from, files.p, files.n, engine, &reader, &made, &report, d);
    db_close(db);
    TRY(e);
    if (ask->lint) sql_lint(mem, made.catalog, &report);
    take_notes(mem, ask, &report, plan);
    take_statements(mem, &report, plan);
    if (plan->errors) return ERR_OK;
    plan->foreign_keys_off = made.foreign_keys_off;
    if (made.catalogs.n > MIGRATION_CATALOGS_MAX)
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE,
                        "definitions, and blocks or rows that need them, follow each other more than %d times",
                        MIGRATION_CATALOGS_MAX);
    for (uint32_t i = 0; i < made.catalogs.n; i++) vec_push(mem, &plan->catalogs, made.catalogs.p[i]);
    take_parts(mem, ask, &made, plan);
    catalog_write(&text, made.catalog);
    if (plan->parts.n) plan->parts.p[plan->parts.n - 1].catalog = arena_str(mem, buf_str(&text));
    buf_free(&text);
    return ERR_OK;
}

/* That the migrations are wrong is no failure of the job: its notes say so. */
err node_migrate_job(const struct node_message *what, int in, int out, struct node_job_result *result) {
    struct diag *d = &result->diag;
    arena *mem = arena_new(0);
    struct migration_ask ask;
    struct migration_plan plan = {0};
    struct buf b = {0};
    str bytes;
    TRY(node_fd_bytes(mem, in, MIGRATION_PLAN_BYTES_MAX, &bytes, d));
    TRY(node_migration_ask_read(mem, bytes, &ask, d));
    crypto_sha256(ask.catalog, plan.from);
    TRY(make_plan(mem, &ask, &plan, d));
    node_migration_plan_write(&b, &plan);
    return write_all(out, buf_str(&b), d);
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
