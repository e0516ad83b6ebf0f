/* migrate: files of SQL on their way to an app's database. See data.h. */
#include "crypto/crypto.h"
#include "node/control/blobs.h"
#include "node/control/data.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PLANS_BIT = 1u << 31, ASK_MS_MAX = 30'000, ANSWER_BYTES_MAX = 128 << 20 };

struct migrating {
    struct migrating *next;
    struct control *c;
    arena *mem;
    uint32_t id; /* as a job's, with PLANS_BIT */
    struct control_migrate what;
    struct app_limits limits;
    VEC(struct migration_file) files;
    struct migration_state state;
    bool known; /* state is */
    uint32_t *pending, pending_count;
    VEC(str) names; /* of what is pending */
    int plan_fd;    /* what a job made; -1 */
    struct migration_plan plan;
    struct migration_done done;
    bool again; /* it was begun a second time */
    str answer;
    str file; /* where it failed */
    uint32_t line, column;
    err e;
    struct diag d;
};

/* ---- its end ---- */

static void end(struct migrating *g, err e) {
    struct control *c = g->c;
    struct migrating **at = &c->migrating;
    while (*at != g) at = &(*at)->next;
    *at = g->next;
    struct control_migrated r = {.err = e,
                                 .d = &g->d,
                                 .file = g->file,
                                 .line = g->line,
                                 .column = g->column,
                                 .pending = g->names.p,
                                 .pending_count = g->names.n,
                                 .applied = g->names.p,
                                 .applied_count = MIN(g->done.parts, g->names.n),
                                 .notes = g->plan.notes.p,
                                 .notes_count = g->plan.notes.n,
                                 .state = g->known ? &g->state : NULL,
                                 .answer = g->answer};
    g->what.done(g->what.arg, &r);
    if (g->plan_fd >= 0) close(g->plan_fd);
    arena_free(g->mem);
}

static void ask_state(struct migrating *g);

/* The store was another one when it was to be applied, or its database was. */
static bool again(struct migrating *g, err e) {
    if (g->again || (e != ERR_CLOSED && e != ERR_AGAIN)) return false;
    g->again = true;
    g->names.n = 0;
    g->plan = (struct migration_plan){0};
    g->done = (struct migration_done){0};
    if (g->plan_fd >= 0) close(g->plan_fd);
    g->plan_fd = -1;
    ask_state(g);
    return true;
}

/* ---- applying ---- */

static err name_failed(struct migrating *g) {
    uint32_t n = MIN(g->done.parts, g->names.n), at = g->done.failed;
    struct buf stay = {.max = 200};
    for (uint32_t i = 0; i < n && !g->what.reset; i++) buf_printf(&stay, "%s" STR_FMT, i ? ", " : "", STR_ARG(g->names.p[i]));
    g->file = at < g->plan.parts.n ? g->plan.parts.p[at].name : STR("the migrations");
    char what[400], where[40];
    const struct migration_part *p = at < g->plan.parts.n ? &g->plan.parts.p[at] : NULL;
    uint32_t line = p && g->done.step && g->done.step <= p->steps.n ? p->steps.p[g->done.step - 1].line : 0;
    snprintf(where, sizeof where, line ? ":%u" : ", statement %u", line ? line : g->done.step);
    if (g->what.reset) snprintf(what, sizeof what, "nothing was changed");
    else if (!n) snprintf(what, sizeof what, "nothing of it was applied");
    else
        snprintf(what, sizeof what, "nothing of it was applied; %u before it %s, and stay%s: " STR_FMT, n, n == 1 ? "is" : "are",
                 n == 1 ? "s" : "", STR_ARG(buf_str(&stay)));
    buf_free(&stay);
    str why = str_sub(g->done.text, 0, 300);
    while (str_ends(why, STR("."))) why.n--; /* a hint of PostgreSQL's has one */
    return diag_set(&g->d, ERR_INVALID, DIAG_NOWHERE, STR_FMT "%s: " STR_FMT "%s" STR_FMT ". %s", STR_ARG(g->file), where,
                    STR_ARG(g->done.state), g->done.state.n ? ": " : "", STR_ARG(why), what);
}

/* What the files' blocks and functions told while they ran. */
static void take_raised(struct migrating *g) {
    for (uint32_t i = 0; i < g->done.raised.n; i++) {
        const struct migration_raised *r = &g->done.raised.p[i];
        const struct migration_part *p = r->part < g->plan.parts.n ? &g->plan.parts.p[r->part] : NULL;
        if (!p || !r->step || r->step > p->steps.n) continue;
        vec_push(g->mem, &g->plan.notes,
                 ((struct migration_note){
                     .file = p->name,
                     .line = p->steps.p[r->step - 1].line,
                     .code = r->warns ? STR("01000") : STR("00000"),
                     .text = arena_fmt(g->mem, "%s: " STR_FMT, r->warns ? "WARNING" : "NOTICE", STR_ARG(r->text))}));
    }
}

static void on_applied(void *arg, err e, const struct diag *d, int out) {
    struct migrating *g = arg;
    str bytes;
    g->d = *d;
    if (e == ERR_OK) e = node_fd_bytes(g->mem, out, MiB, &bytes, &g->d);
    if (e == ERR_OK) e = node_migration_done_read(g->mem, bytes, &g->done, &g->d);
    if (out >= 0) close(out);
    if (again(g, e)) return;
    if (e == ERR_OK) take_raised(g);
    if (e == ERR_OK && g->done.step) e = name_failed(g);
    end(g, e);
}

static void on_answered(void *arg, err e, const struct diag *d, int out) {
    struct migrating *g = arg;
    g->d = *d;
    if (e == ERR_OK) e = node_fd_bytes(g->mem, out, ANSWER_BYTES_MAX, &g->answer, &g->d);
    if (out >= 0) close(out);
    if (!again(g, e)) end(g, e);
}

/* What is asked, and the plan of what it is asked of, in one. */
static void ask_of_it(struct migrating *g) {
    struct buf b = {0};
    str plan;
    uint64_t n = g->what.asked.n;
    err e = node_fd_bytes(g->mem, g->plan_fd, MIGRATION_PLAN_BYTES_MAX, &plan, &g->d);
    buf_put(&b, &n, sizeof n), buf_puts(&b, g->what.asked);
    if (e == ERR_OK) buf_puts(&b, plan);
    int in = e == ERR_OK ? node_bytes_fd("orlo-asked", buf_str(&b)) : -1;
    uint64_t bytes = b.n;
    buf_free(&b);
    if (in < 0) {
        if (e == ERR_OK) e = diag_set(&g->d, ERR_IO, DIAG_NOWHERE, "no memory file for the query: %s", strerror(errno));
        end(g, e);
        return;
    }
    node_data_ask(g->c, &(struct control_data_want){.does = NODE_DATA_SQL,
                                                    .app = g->what.app,
                                                    .name = g->what.name,
                                                    .postgres = g->what.engine > APP_DATABASE_SQLITE,
                                                    .secret = g->what.secret,
                                                    .in = in,
                                                    .bytes = bytes,
                                                    .limits = &g->limits,
                                                    .ms_max = ASK_MS_MAX,
                                                    .done = on_answered,
                                                    .arg = g});
    close(in);
}

static void apply(struct migrating *g) {
    off_t bytes = lseek(g->plan_fd, 0, SEEK_END);
    enum node_data_does does = g->what.compares ? NODE_DATA_SCHEMA
                               : g->what.fills  ? NODE_DATA_FILL
                               : g->what.reset  ? NODE_DATA_RESET
                                                : NODE_DATA_MIGRATE;
    node_data_ask(g->c, &(struct control_data_want){.does = does,
                                                    .app = g->what.app,
                                                    .name = g->what.name,
                                                    .postgres = g->what.engine > APP_DATABASE_SQLITE,
                                                    .secret = g->what.secret,
                                                    .in = g->plan_fd,
                                                    .bytes = (uint64_t)MAX(bytes, (off_t)0),
                                                    .limits = &g->limits,
                                                    .ms_max = (uint32_t)MIN(g->limits.migration_ms_max, (uint64_t)UINT32_MAX),
                                                    .done = g->what.compares ? on_answered : on_applied,
                                                    .arg = g});
}

/* ---- what a job makes of it ---- */

static err first_error(struct migrating *g) {
    uint32_t i = 0;
    while (i < g->plan.notes.n && !g->plan.notes.p[i].is_error) i++;
    if (i == g->plan.notes.n)
        return diag_set(&g->d, ERR_INVALID, DIAG_NOWHERE, "the migrations have %u mistakes", g->plan.errors);
    const struct migration_note *n = &g->plan.notes.p[i];
    char more[80] = "";
    uint32_t above = g->what.writes ? 0 : 1; /* a line of ours */
    if (g->what.sql.n && n->line > above)
        return diag_set(&g->d, ERR_INVALID, DIAG_NOWHERE, "line %u, column %u: " STR_FMT ": " STR_FMT, n->line - above, n->column,
                        STR_ARG(n->code), STR_ARG(str_sub(n->text, 0, 500)));
    if (g->what.sql.n)
        return diag_set(&g->d, ERR_INVALID, DIAG_NOWHERE, STR_FMT ": " STR_FMT, STR_ARG(n->code),
                        STR_ARG(str_sub(n->text, 0, 500)));
    if (g->plan.errors > 1) snprintf(more, sizeof more, " (and %u more: orlo db check)", g->plan.errors - 1);
    g->file = n->file, g->line = n->line, g->column = n->column;
    return diag_set(&g->d, ERR_INVALID, DIAG_NOWHERE, STR_FMT ":%u:%u: " STR_FMT "%s", STR_ARG(n->file), n->line, n->column,
                    STR_ARG(str_sub(n->text, 0, 500)), more);
}

/* A job may have gone astray: its parts are the files that were asked for. */
static err check_parts(struct migrating *g) {
    bool same = g->plan.parts.n == g->pending_count;
    for (uint32_t i = 0; same && i < g->pending_count; i++) {
        const struct migration_file *f = &g->files.p[g->pending[i]];
        const struct migration_part *p = &g->plan.parts.p[i];
        same = str_eq(f->name, p->name) && f->seed == p->seed && !memcmp(f->digest, p->digest, sizeof f->digest);
    }
    return same ? ERR_OK : diag_set(&g->d, ERR_INVALID, DIAG_NOWHERE, "the job that reads the migrations went astray");
}

static err take_plan(struct migrating *g) {
    str bytes;
    TRY(node_fd_bytes(g->mem, g->plan_fd, MIGRATION_PLAN_BYTES_MAX, &bytes, &g->d));
    TRY(node_migration_plan_read(g->mem, bytes, &g->plan, &g->d));
    if (g->plan.errors) return first_error(g);
    return check_parts(g);
}

bool node_migrate_planned(struct control *c, const struct node_msg_compile_done *m) {
    struct migrating *g = c->migrating;
    if (!(m->id & PLANS_BIT)) return false;
    while (g && g->id != m->id) g = g->next;
    if (!g) return true;
    err e = node_diag_of(&g->d, m->err, m->offset, m->text);
    if (e == ERR_OK) e = take_plan(g);
    if (e == ERR_OK && g->what.sql.n) ask_of_it(g);
    else if (e == ERR_OK && !g->what.dry_run) apply(g);
    else end(g, e);
    return true;
}

/* It is made of nothing. */
static bool is_anew(const struct migrating *g) { return g->what.reset || g->what.compares; }

static err ask_job(struct migrating *g) {
    struct migration_ask ask = {.engine = (uint8_t)g->what.engine, .catalog = is_anew(g) ? (str){0} : g->state.catalog};
    struct buf b = {0};
    for (uint32_t i = 0; i < g->pending_count; i++) vec_push(g->mem, &ask.files, g->files.p[g->pending[i]]);
    node_migration_ask_write(&b, &ask);
    uint64_t bytes = b.n;
    int in = node_bytes_fd("orlo-migrations", buf_str(&b));
    buf_free(&b);
    g->plan_fd = memfd_create("orlo-plan", MFD_CLOEXEC);
    bool ok = in >= 0 && g->plan_fd >= 0;
    struct node_message m = NODE_MESSAGE(migrate_want, .id = g->id, .app = g->what.name, .bytes = bytes);
    m.fds[0] = in, m.fds[1] = g->plan_fd, m.fds_count = 2;
    if (ok) node_control_tell(g->c, &m);
    if (in >= 0) close(in);
    return ok ? ERR_OK : diag_set(&g->d, ERR_IO, DIAG_NOWHERE, "no memory file for the migrations: %s", strerror(errno));
}

/* ---- what there is to do ---- */

static bool is_here(const struct migration_file *f) { return f->mark || f->text.p; }

/* A file that nobody wrote, with nothing in it: what there is without migrations comes of it, and it is noted down nowhere. */
static void make_of_nothing(struct migrating *g) {
    struct migration_file f = {.name = STR("nothing"), .text = STR(""), .seed = true};
    crypto_sha256(f.text, f.digest);
    g->pending[g->pending_count++] = (uint32_t)g->files.n;
    vec_push(g->mem, &g->files, f);
}

/* Of migrations those that are new; seeds, which are asked for, all. */
static err settle(struct migrating *g) {
    if (g->what.reset && g->what.engine == APP_DATABASE_SERVER && !g->what.moves)
        return diag_set(
            &g->d, ERR_UNSUPPORTED, DIAG_NOWHERE,
            "a PostgreSQL that somebody else runs is not emptied from here: do it there (drop schema …), then deploy");
    static const struct migration_state nothing;
    if (g->what.sql.n) {
        g->pending = arena_array(g->mem, uint32_t, 1);
        g->pending_count = 1;
        return ERR_OK;
    }
    uint32_t migrations = 0, *pending = NULL, count = 0;
    while (migrations < g->files.n && !g->files.p[migrations].seed) migrations++;
    if (!g->what.fills && !g->what.seeds)
        TRY(node_migration_pending(g->mem, g->files.p, migrations, is_anew(g) ? &nothing : &g->state, &pending, &count, &g->d));
    g->pending = arena_array(g->mem, uint32_t, g->files.n + 1);
    g->pending_count = 0;
    for (uint32_t i = 0; i < count; i++) g->pending[g->pending_count++] = pending[i];
    for (uint32_t i = migrations; i < g->files.n && (g->what.reset || g->what.fills || g->what.seeds); i++)
        g->pending[g->pending_count++] = i;
    for (uint32_t i = 0; i < g->pending_count; i++) vec_push(g->mem, &g->names, g->files.p[g->pending[i]].name);
    for (uint32_t i = 0; i < g->pending_count; i++)
        if (!is_here(&g->files.p[g->pending[i]]) && !g->what.dry_run)
            return diag_set(&g->d, ERR_NOT_FOUND, DIAG_NOWHERE, STR_FMT " is not here any more: upload it again",
                            STR_ARG(g->names.p[i]));
    if (g->what.makes && !g->pending_count && (g->what.reset || !g->state.catalog.n)) make_of_nothing(g);
    return ERR_OK;
}

/* A dry run of files of which some were not uploaded says their names alone. */
static bool has_texts(const struct migrating *g) {
    for (uint32_t i = 0; i < g->pending_count; i++)
        if (!is_here(&g->files.p[g->pending[i]])) return false;
    return true;
}

static void go_on(struct migrating *g) {
    err e = settle(g);
    bool works = e == ERR_OK && (g->pending_count || is_anew(g)) && has_texts(g);
    if (works) e = ask_job(g);
    if (!works || e != ERR_OK) end(g, e);
}

static void on_state(void *arg, err e, const struct diag *d, int out) {
    struct migrating *g = arg;
    str bytes;
    g->d = *d;
    if (e == ERR_OK) e = node_fd_bytes(g->mem, out, MIGRATION_PLAN_BYTES_MAX, &bytes, &g->d);
    if (e == ERR_OK) e = node_migration_state_read(g->mem, bytes, &g->state, &g->d);
    if (out >= 0) close(out);
    if (again(g, e)) return;
    g->known = e == ERR_OK;
    if (e == ERR_OK) go_on(g);
    else end(g, e);
}

static void ask_state(struct migrating *g) {
    node_data_ask(g->c, &(struct control_data_want){.does = NODE_DATA_STATE,
                                                    .app = g->what.app,
                                                    .name = g->what.name,
                                                    .postgres = g->what.engine > APP_DATABASE_SQLITE,
                                                    .secret = g->what.secret,
                                                    .in = -1,
                                                    .limits = &g->limits,
                                                    .ms_max = ASK_MS_MAX,
                                                    .done = on_state,
                                                    .arg = g});
}

/* ---- its beginning ---- */

struct reading { /* of the texts, by a thread */
    struct migrating *g;
    int *fds; /* of each file; -1: it is not here */
    uint64_t bytes;
};

static void read_texts(void *arg) {
    struct reading *r = arg;
    struct migrating *g = r->g;
    for (uint32_t i = 0; i < g->files.n && g->e == ERR_OK; i++) {
        struct migration_file *f = &g->files.p[i];
        uint8_t digest[APP_DIGEST_BYTES];
        if (r->fds[i] < 0 || f->mark) continue;
        g->e = node_fd_bytes(g->mem, r->fds[i], MIGRATION_SQL_BYTES_MAX - r->bytes, &f->text, &g->d);
        if (g->e == ERR_LIMIT)
            diag_set(&g->d, ERR_LIMIT, DIAG_NOWHERE,
                     "the migrations have more than %d MiB together: load data by a function, or orlo restore",
                     MIGRATION_SQL_BYTES_MAX >> 20);
        if (g->e != ERR_OK) return;
        r->bytes += f->text.n;
        crypto_sha256(f->text, digest);
        if (memcmp(digest, f->digest, sizeof digest) != 0) f->text = (str){0}; /* cut off by a restart */
    }
}

static void texts_read(void *arg, bool ran) {
    struct reading *r = arg;
    struct migrating *g = r->g;
    for (uint32_t i = 0; i < g->files.n; i++)
        if (r->fds[i] >= 0) close(r->fds[i]);
    free(r->fds);
    free(r);
    if (g->e != ERR_OK) end(g, g->e);
    else if (g->what.app) ask_state(g);
    else go_on(g);
}

static void copy_files(struct migrating *g, struct reading *r) {
    r->fds = calloc(g->what.files_count + 1, sizeof *r->fds);
    ENSURE(r->fds);
    for (uint32_t i = 0; i < g->what.files_count; i++) {
        struct migration_file f = g->what.files[i];
        uint64_t bytes;
        f.name = arena_str(g->mem, f.name);
        f.text = (str){0};
        r->fds[i] = node_blob_open(g->c, g->what.name, f.digest, &bytes);
        vec_push(g->mem, &g->files, f);
    }
    if (!g->what.rows.n) return;
    struct migration_file f = {.name = STR("rows"), .text = arena_str(g->mem, g->what.rows), .seed = true, .copied = true};
    crypto_sha256(f.text, f.digest);
    r->fds[g->files.n] = -1;
    vec_push(g->mem, &g->files, f);
}

void node_migrate_begin(struct control *c, const struct control_migrate *what) {
    arena *mem = arena_new(0);
    struct migrating *g = arena_make(mem, struct migrating);
    struct reading *r = calloc(1, sizeof *r);
    ENSURE(r);
    *g = (struct migrating){
        .next = c->migrating, .c = c, .mem = mem, .what = *what, .limits = *what->limits, .plan_fd = -1, .d = DIAG_INIT};
    c->last_migration = (c->last_migration + 1) % PLANS_BIT;
    g->id = c->last_migration | PLANS_BIT;
    g->what.name = arena_str(mem, what->name);
    g->what.secret = arena_str(mem, what->secret);
    g->what.limits = &g->limits;
    c->migrating = g;
    if (what->sql.n) {
        struct migration_file f = {.name = STR("query.sql"),
                                   .text = arena_str(mem, what->sql),
                                   .asked = what->writes,
                                   .owner = what->writes && what->owner};
        crypto_sha256(f.text, f.digest);
        g->what.sql = f.text, g->what.asked = arena_str(mem, what->asked);
        vec_push(mem, &g->files, f);
        free(r);
        ask_state(g);
        return;
    }
    r->g = g;
    copy_files(g, r);
    net_work_new(c->loop, NULL, read_texts, texts_read, r);
}
