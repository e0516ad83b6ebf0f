/* deployment: an app on its way to being served.
 *
 *   READING ──a job: a manifest──> WAITING ──no other one of the app is before it──>
 *   for each function:  HASHING ──it is known what the file is──> its image is here already, or
 *                       COMPILING ──a job──> SIGNING ──keys──> WRITING ──on the disk──> the next function
 *                       (an image: first keys, then a job that looks at it)
 *   then                PACKING ──static folders, each a file──> MIGRATING ──new migrations, each a transaction──> CHANGING ──change.c: staged, live in all workers, kept──> answered
 *
 * 1. Nothing is served or kept of a deployment that fails at whatever step; the app is as it was. Images that were made are files that the
 *    next deployment finds, or the next start sweeps. Migrations that were applied stay, and the next deployment finds them applied.
 * 2. What was kept is what all workers serve, and is kept before anybody is told so.
 * 3. Nobody waits: steps go on when an answer comes, and what the disk may hold up is done by threads. Deployments of several apps are
 *    compiled at once, those of one app one after the other, so that who deploys much waits for himself; they go live one after the other.
 */
#include "node/control/deployment_int.h"
#include "node/control/logs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void node_deployment_change(struct control *c, struct deployment *dep);

enum { RECORD_BYTES_MAX = 1 * MiB };
static const uint64_t file_bytes_max = 1 * GiB;

/* ---- ends ---- */

static void start_waiting(struct control *c);

static void close_fd(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static void release(struct control *c, struct deployment *dep) {
    struct deployment **at = &c->deployments;
    while (*at != dep) at = &(*at)->next;
    *at = dep->next;
    for (uint32_t i = 0; i < dep->held.n; i++) node_images_retire(c, dep->held.p[i].kind, dep->held.p[i].digest);
    if (dep->client) dep->client->busy = NULL;
    for (int i = 0; i < dep->files_count; i++) close_fd(&dep->files[i]);
    close_fd(&dep->module);
    close_fd(&dep->image);
    close_fd(&dep->manifest);
    node_bundle_close(dep);
    arena_free(dep->mem);
    start_waiting(c);
}

static void answer(struct control *c, struct deployment *dep, err e, const struct diag *d) {
    struct control_result r = {.err = e,
                               .d = d,
                               .app = dep->record.name,
                               .version = e == ERR_OK ? dep->record.version : 0,
                               .live = e == ERR_OK && !dep->dry_run && !dep->not_live,
                               .record = e == ERR_OK ? &dep->record : NULL,
                               .missing = dep->missing.p,
                               .missing_count = dep->missing.n,
                               .remarks = dep->remarks.p,
                               .remarks_count = dep->remarks.n,
                               .key = dep->wrong,
                               .line = dep->line,
                               .migrations = dep->applied.p,
                               .migrations_count = dep->applied.n,
                               .compiled = dep->compiled};
    struct node_message m = NODE_MESSAGE(deployed, .err = e, .offset = d->offset, .text = str_c(d->text), .function = dep->at,
                                         .version = dep->record.version, .kind = dep->kind, .url = str_c(c->url));
    if (dep->client) node_control_answer(c, dep->client, &m);
    if (dep->done) dep->done(dep->arg, &r);
}

void node_deployment_end(struct control *c, struct deployment *dep, err e, const struct diag *d) {
    answer(c, dep, e, d);
    release(c, dep);
}

void node_deployment_tell(struct control *c, const struct deployment *dep, const char *what, str of) {
    char text[300];
    snprintf(text, sizeof text, "%s " STR_FMT, what, STR_ARG(str_sub(of, 0, 200)));
    if (dep->client) node_control_answer(c, dep->client, &NODE_MESSAGE(progress, .text = str_c(text)));
    if (dep->progress) dep->progress(dep->arg, str_c(text));
}

struct deployment *node_deployment_new(struct control *c) {
    arena *mem = arena_new(0);
    struct deployment *dep = arena_make(mem, struct deployment), **at = &c->deployments;
    *dep = (struct deployment){.control = c,
                               .id = c->last_deployment = c->last_deployment % (UINT32_MAX - 1) + 1,
                               .mem = mem,
                               .module = -1,
                               .image = -1,
                               .manifest = -1,
                               .ns = clock_mono_ns(),
                               .d = DIAG_INIT};
    while (*at) at = &(*at)->next;
    *at = dep;
    return dep;
}

/* ---- threads ---- */

static void fail(struct control *c, struct deployment *dep, err e, const struct diag *d) { node_deployment_end(c, dep, e, d); }

/* fn sets dep->failed and dep->d there; then goes on here, unless it was given up meanwhile. */
struct errand {
    struct deployment *dep;
    void (*fn)(struct deployment *dep);
    void (*then)(struct control *c, struct deployment *dep);
};

static void do_errand(void *arg) {
    struct errand *e = arg;
    e->fn(e->dep);
}

static void errand_done(void *arg, bool ran) {
    struct errand *e = arg;
    struct deployment *dep = e->dep;
    struct control *c = dep->control;
    void (*then)(struct control *, struct deployment *) = e->then;
    free(e);
    dep->works = false;
    if (dep->cancelled) release(c, dep);
    else if (dep->failed != ERR_OK) fail(c, dep, dep->failed, &dep->d);
    else then(c, dep);
}

void node_deployment_send(struct deployment *dep, void (*fn)(struct deployment *dep),
                          void (*then)(struct control *c, struct deployment *dep)) {
    struct errand *e = malloc(sizeof *e);
    ENSURE(e);
    *e = (struct errand){dep, fn, then};
    dep->works = true;
    net_work_new(dep->control->loop, NULL, do_errand, errand_done, e);
}

/* ---- to be served ---- */

/* NAME.domain is the app NAME's, whether there is one or not: nobody else waits there for who asks for it. */
static err check_own_hosts(const struct control *c, const struct app_record *r, struct diag *d) {
    str domain = str_c(c->domain);
    for (uint32_t i = 0; i < r->hosts.n; i++) {
        str host = r->hosts.p[i], label = str_sub(host, 0, str_find(host, '.'));
        if (label.n < host.n && str_eq(str_sub(host, label.n + 1, host.n), domain) && !str_eqc(label, "*") &&
            !str_eq(label, r->name))
            return diag_set(d, ERR_DENIED, DIAG_NOWHERE, "the host " STR_FMT " is for the app " STR_FMT " alone", STR_ARG(host),
                            STR_ARG(label));
    }
    return ERR_OK;
}

/* What runs has another working directory than who deploys. */
static err check_dirs(const struct app_grants *g, struct diag *d) {
    for (uint32_t i = 0; i < g->dirs.n; i++)
        if (g->dirs.p[i].host.p[0] != '/')
            return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "the folder " STR_FMT " is no absolute path",
                            STR_ARG(g->dirs.p[i].host));
    return ERR_OK;
}

err node_deployment_check(const struct control *c, const struct app_record *r, struct diag *d) {
    TRY(app_name_check(r->name, d));
    if (!c->db) return ERR_OK;
    TRY(check_own_hosts(c, r, d));
    for (uint32_t i = 0; i < r->functions.n; i++) TRY(check_dirs(&r->functions.p[i].grants, d));
    return ERR_OK;
}

/* Its number and version, and the row that counts once it is live. */
static err stage(struct control *c, struct control_change *ch, struct diag *d) {
    struct deployment *dep = ch->arg;
    struct app_record *r = &dep->record;
    const struct control_app *old;
    if (!dep->not_live) TRY(node_move_check(c, r->name, r->database.engine, d));
    TRY(node_store_app(c, r->name, &r->id, d));
    old = node_control_app_numbered(c, r->id);
    ch->id = r->id;
    r->eager = false;
    r->secrets_revision = old ? old->state.secrets_revision : 0;
    err e = node_store_stage(c, r, dep->who.name, dep->held.p, dep->held.n, d);
    if (e != ERR_OK) {
        node_store_unstage(c, r->id, 0);
        return e;
    }
    ch->quiet = dep->not_live;
    ch->eager = true; /* a worker that cannot load it says so before it is live */
    if (!ch->quiet) ch->to = (struct control_state){.live = node_served_new(r), .secrets_revision = r->secrets_revision};
    return ERR_OK;
}

/* Images are on the disk for good before a version that is kept names them; that takes as long as workers take to load them. */
static void sync_images(struct deployment *dep) {
    char name[NODE_DIGEST_NAME_BYTES];
    int folder = dep->control->state.images;
    for (uint32_t i = 0; i < dep->held.n && dep->synced == ERR_OK; i++) {
        if (dep->held.p[i].kind != CONTROL_IMAGE) continue;
        node_digest_name(dep->held.p[i].digest, name);
        dep->synced = node_control_sync_file(folder, name, &dep->d);
    }
    if (dep->synced == ERR_OK) dep->synced = node_control_sync_folder(folder, "images", &dep->d);
}

static void images_synced(struct control *c, struct deployment *dep) { node_change_ready(c, &dep->change); }

static void begun(struct control *c, struct control_change *ch) {
    struct deployment *dep = ch->arg;
    dep->synced = ERR_OK;
    ch->waits = c->db;
    if (c->db) node_deployment_send(dep, sync_images, images_synced);
}

static err keep(struct control *c, struct control_change *ch, struct diag *d) {
    struct deployment *dep = ch->arg;
    if (dep->synced != ERR_OK) return diag_set(d, dep->synced, DIAG_NOWHERE, "%s", dep->d.text);
    struct control_now now = {.app = ch->id, .live = dep->record.version};
    if (!c->db && node_control_app_numbered(c, ch->id)) node_images_retire_app(c, node_control_app_numbered(c, ch->id));
    if (ch->quiet) {
        TRY(node_store_now(c, dep->record.name, &now, NULL, d));
        now.kept = dep->record.version;
    }
    return node_store_set(c, &now, dep->record.limits.versions_max, d);
}

static void undo(struct control *c, struct control_change *ch) {
    const struct deployment *dep = ch->arg;
    node_store_unstage(c, ch->id, dep->record.version);
}

/* Images that were here already are of a key that this node has no more: they are made again, once. */
static bool again(struct control *c, struct deployment *dep, err e) {
    if (e != ERR_SIGNATURE || dep->again || dep->compiled == dep->record.functions.n || dep->cancelled) return false;
    for (uint32_t i = 0; i < dep->record.functions.n; i++) node_images_forget(c, dep->record.functions.p[i].digest);
    dep->again = true;
    dep->held.n = dep->at = dep->compiled = 0;
    dep->state = WAITING;
    start_waiting(c);
    return true;
}

/* In the node's log, and in the app's own. */
static void log_deployed(struct control *c, const struct deployment *dep) {
    const struct log_field fields[] = {LF_STR("app", dep->record.name), LF_U64("version", dep->record.version),
                                       LF_BOOL("live", !dep->not_live), LF_U64("compiled", dep->compiled),
                                       LF_U64("ms", (clock_mono_ns() - dep->ns) / 1000000u)};
    log_emit(LOG_INFO, "app-deployed", fields, ARRAY_COUNT(fields));
    node_logs_event(c, dep->record.id, LOG_INFO, "app-deployed", fields, ARRAY_COUNT(fields));
}

static void over(struct control *c, struct control_change *ch, err e, const struct diag *d) {
    struct deployment *dep = ch->arg;
    if (!dep->files_count && again(c, dep, e)) return;
    if (e == ERR_OK && c->db) log_deployed(c, dep);
    if (e == ERR_OK && dep->bundle.n) node_bundle_sweep(c, dep->record.name);
    if (e == ERR_OK) dep->held.n = 0; /* else what was made for it is nobody's */
    node_deployment_end(c, dep, e, d);
}

static void change(struct control *c, struct deployment *dep) {
    dep->state = CHANGING;
    node_deployment_tell(c, dep, "publishing", dep->record.name);
    dep->change = (struct control_change){
        .app = dep->record.name, .stage = stage, .begun = begun, .keep = keep, .undo = undo, .over = over, .arg = dep};
    node_change_begin(c, &dep->change);
}

static void key_made(void *arg, const struct control_result *r) {
    struct deployment *dep = arg;
    struct control *c = dep->control;
    dep->works = false;
    if (r->err != ERR_OK || dep->cancelled) node_store_unstage(c, dep->record.id, 0);
    if (dep->cancelled) release(c, dep);
    else if (r->err != ERR_OK) fail(c, dep, r->err, r->d);
    else change(c, dep);
}

/* ---- its database ---- */

static void note_migrated(struct deployment *dep, const struct control_migrated *r) {
    for (uint32_t i = 0; i < r->pending_count; i++)
        *vec_add(dep->mem, &dep->applied) = (struct control_migration){arena_str(dep->mem, r->pending[i]), i < r->applied_count};
    for (uint32_t i = 0; i < r->notes_count; i++) {
        const struct migration_note *n = &r->notes[i];
        if (n->is_error || n->kind == MIGRATION_NOTE_IGNORED) continue;
        *vec_add(dep->mem, &dep->remarks) =
            (struct control_remark){.key = arena_fmt(dep->mem, STR_FMT "/" STR_FMT, STR_ARG(dep->migrations), STR_ARG(n->file)),
                                    .text = arena_str(dep->mem, n->text),
                                    .line = n->line,
                                    .kind = node_migration_note_word(n->kind)};
    }
}

static void migrated(void *arg, const struct control_migrated *r) {
    struct deployment *dep = arg;
    struct control *c = dep->control;
    dep->works = false;
    note_migrated(dep, r);
    if (r->err != ERR_OK && !dep->dry_run) node_store_unstage(c, dep->record.id, 0);
    if (r->err != ERR_OK && r->file.n) {
        dep->wrong = arena_fmt(dep->mem, STR_FMT "/" STR_FMT, STR_ARG(dep->migrations), STR_ARG(r->file));
        dep->line = r->line;
    }
    if (dep->cancelled) release(c, dep);
    else if (r->err != ERR_OK) fail(c, dep, r->err, r->d);
    else node_deployment_change(c, dep);
}

/* An app's first deployment tells what it would do to a database that is not there yet. */
static err database_of(struct control *c, struct deployment *dep, struct diag *d) {
    const struct control_app *there = node_control_app_named(c, dep->record.name);
    if (!dep->dry_run) return node_store_app(c, dep->record.name, &dep->record.id, d);
    dep->record.id = there ? there->id : 0;
    return ERR_OK;
}

static void url_kept(void *arg, const struct control_result *r);
static void migrate(struct control *c, struct deployment *dep);

void node_deployment_migrate(struct control *c, struct deployment *dep) {
    struct diag d = DIAG_INIT;
    const struct app_record *r = &dep->record;
    bool server = r->database.engine == APP_DATABASE_SERVER && !dep->dry_run; /* whether it is there is found out now */
    if (!c->db || !r->database.engine || (!dep->sql.n && !server && !r->auth.on)) {
        node_deployment_change(c, dep);
        return;
    }
    err e = node_move_check(c, r->name, r->database.engine, &d);
    if (e == ERR_OK) e = database_of(c, dep, &d);
    if (e != ERR_OK) {
        fail(c, dep, e, &d);
        return;
    }
    for (uint32_t i = 0; i < dep->sql.n; i++) node_deployment_hold(dep, CONTROL_MODULE, dep->sql.p[i].digest, 0);
    dep->state = MIGRATING;
    dep->works = true;
    if (dep->url.n && !dep->dry_run) {
        node_control_secret_set(c, r->name, r->database.secret, dep->url, url_kept, dep);
        return;
    }
    migrate(c, dep);
}

static void url_kept(void *arg, const struct control_result *r) {
    struct deployment *dep = arg;
    struct control *c = dep->control;
    dep->works = dep->cancelled ? false : r->err == ERR_OK;
    if (dep->cancelled) release(c, dep);
    else if (r->err != ERR_OK) fail(c, dep, r->err, r->d);
    else migrate(c, dep);
}

static void migrate(struct control *c, struct deployment *dep) {
    const struct app_record *r = &dep->record;
    node_deployment_tell(c, dep, "migrating", dep->migrations);
    node_migrate_begin(c, &(struct control_migrate){.app = r->id,
                                                    .name = r->name,
                                                    .engine = r->database.engine,
                                                    .secret = r->database.secret,
                                                    .limits = &r->limits,
                                                    .files = dep->sql.p,
                                                    .files_count = dep->sql.n,
                                                    .dry_run = dep->dry_run,
                                                    .makes = r->auth.on,
                                                    .done = migrated,
                                                    .arg = dep});
}

/* What Supabase's clients call has a key that their tokens are signed with, from the first such version on. */
static void node_deployment_change(struct control *c, struct deployment *dep) {
    struct diag d = DIAG_INIT;
    err e = ERR_OK;
    if (dep->dry_run) {
        node_deployment_end(c, dep, e, &d);
        return;
    }
    bool keyed = c->db && app_record_for_supabase(&dep->record);
    if (keyed) e = node_store_app(c, dep->record.name, &dep->record.id, &d);
    dep->works = keyed && e == ERR_OK && node_keys_needed(c, dep->record.id, dep->record.auth.on, key_made, dep);
    if (e != ERR_OK) fail(c, dep, e, &d);
    else if (!dep->works) change(c, dep);
}

/* ---- functions ---- */

static void next_function(struct control *c, struct deployment *dep);

void node_deployment_hold(struct deployment *dep, enum control_file_kind kind, const uint8_t digest[APP_DIGEST_BYTES],
                          uint64_t bytes) {
    struct control_held *h = vec_add(dep->mem, &dep->held);
    *h = (struct control_held){.kind = kind, .bytes = bytes};
    memcpy(h->digest, digest, sizeof h->digest);
}

static void function_done(struct control *c, struct deployment *dep) {
    struct app_function *f = &dep->record.functions.p[dep->at];
    uint64_t bytes = 0;
    (void)node_images_have(c, f->digest, &bytes);
    node_deployment_hold(dep, CONTROL_IMAGE, f->digest, bytes);
    if (!dep->at) dep->kind = f->kind;
    close_fd(&dep->module);
    dep->at++;
    next_function(c, dep);
}

static void want_job(struct control *c, struct deployment *dep, int in, struct node_msg_compile_want want) {
    char title[256];
    const struct app_function *f = &dep->record.functions.p[dep->at];
    snprintf(title, sizeof title, "%s " STR_FMT, want.is_image ? "reading" : "compiling", STR_ARG(str_sub(f->name, 0, 200)));
    want.id = dep->id;
    want.title = str_c(title);
    want.memory_bytes_max = f->limits.memory_bytes_max;
    struct node_message m = {.type = NODE_MSG_compile_want, .compile_want = want, .fds = {in, dep->image}, .fds_count = 2};
    node_control_tell(c, &m);
    dep->state = COMPILING;
    if (dep->client) node_control_answer(c, dep->client, &NODE_MESSAGE(progress, .text = want.title));
    if (dep->progress) dep->progress(dep->arg, want.title);
}

/* An image: copied where nobody can change it, before anybody looks. */
static err take_image(struct control *c, struct deployment *dep, struct diag *d) {
    if (dep->module_bytes > c->limits.image_bytes_max)
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "it has %llu MiB, an image may have %llu (--max-image)",
                        (unsigned long long)(dep->module_bytes / MiB), (unsigned long long)(c->limits.image_bytes_max / MiB));
    TRY(node_images_copy(dep->module, dep->module_bytes, &dep->image, d));
    TRY(node_images_seal(dep->image, d));
    node_control_tell(c, &NODE_MESSAGE(sign_want, .id = dep->id, .public_alone = true));
    dep->state = SIGNING;
    return ERR_OK;
}

static err compile(struct control *c, struct deployment *dep, struct diag *d) {
    dep->image = memfd_create("orlo-image", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (dep->image < 0) return diag_set(d, ERR_IO, DIAG_NOWHERE, "no memory file: there are too many open");
    want_job(c, dep, dep->module, (struct node_msg_compile_want){.bytes = dep->module_bytes});
    if (c->db && !c->key_asked) { /* who signs it starts meanwhile */
        c->key_asked = true;
        node_control_tell(c, &NODE_MESSAGE(sign_want, .id = 0, .public_alone = true));
    }
    return ERR_OK;
}

/* On a disk bytes change; one that is not what it was is made again. */
static void check_image(struct deployment *dep) {
    char name[NODE_DIGEST_NAME_BYTES];
    struct diag d = DIAG_INIT;
    const uint8_t *digest = dep->record.functions.p[dep->at].digest;
    node_digest_name(digest, name);
    int fd = openat(dep->control->state.images, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    dep->image_fits =
        fd >= 0 && abi_image_to_sign(fd, &dep->sign, &d) == ERR_OK && !memcmp(dep->sign.digest, digest, APP_DIGEST_BYTES);
    close_fd(&fd);
}

static void image_checked(struct control *c, struct deployment *dep) {
    struct diag d = DIAG_INIT;
    if (dep->image_fits) {
        function_done(c, dep);
        return;
    }
    node_images_forget(c, dep->record.functions.p[dep->at].digest);
    err e = compile(c, dep, &d);
    if (e != ERR_OK) fail(c, dep, e, &d);
}

static void hashed(struct control *c, struct deployment *dep) {
    struct app_function *f = &dep->record.functions.p[dep->at];
    uint8_t how[APP_DIGEST_BYTES];
    struct diag d = DIAG_INIT;
    node_images_how(f, how);
    if (!dep->is_image && node_store_image(c, f->module, how, f->digest, &f->kind)) {
        node_deployment_send(dep, check_image, image_checked);
        return;
    }
    err e = dep->is_image ? take_image(c, dep, &d) : compile(c, dep, &d);
    if (e != ERR_OK) fail(c, dep, e, &d);
}

/* What it is, by its bytes; an image goes by what is signed of it. */
static void hash(struct deployment *dep) {
    uint8_t head[1 * KiB];
    ssize_t n = pread(dep->module, head, sizeof head, 0);
    dep->is_image = n > 0 && abi_image_is((str){head, (size_t)n});
    if (dep->is_image || !dep->control->db || !dep->files_count) return;
    void *p = dep->module_bytes ? mmap(NULL, dep->module_bytes, PROT_READ, MAP_PRIVATE | MAP_POPULATE, dep->module, 0) : NULL;
    if (p == MAP_FAILED) {
        dep->failed = diag_set(&dep->d, ERR_IO, DIAG_NOWHERE, "it cannot be read");
        return;
    }
    if (dep->files_count) crypto_sha256((str){p, dep->module_bytes}, dep->record.functions.p[dep->at].module);
    if (p) munmap(p, dep->module_bytes);
}

/* The file of the next function: one that came with the message, or that was uploaded. */
static err open_module(struct control *c, struct deployment *dep, bool *hashes, struct diag *d) {
    struct stat st = {0};
    *hashes = dep->files_count > 0;
    if (*hashes) {
        dep->module = dep->files[dep->at];
        dep->files[dep->at] = -1;
        if (fstat(dep->module, &st) || !S_ISREG(st.st_mode))
            return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "it is no regular file that can be read");
        dep->module_bytes = (uint64_t)st.st_size;
    } else {
        struct app_function *f = &dep->record.functions.p[dep->at];
        const struct control_file *file = node_bundle_file(dep, f->source);
        ENSURE(file);
        memcpy(f->module, file->digest, sizeof f->module);
        dep->module = node_blob_open(c, dep->record.name, file->digest, &dep->module_bytes);
        if (dep->module < 0 && dep->dry_run) return ERR_OK;
        if (dep->module < 0)
            return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "the file " STR_FMT " is not here any more: upload it again",
                            STR_ARG(f->source));
        node_deployment_hold(dep, CONTROL_MODULE, file->digest, dep->module_bytes);
    }
    if (dep->module_bytes > file_bytes_max) return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "it is larger than 1 GiB");
    return ERR_OK;
}

static void next_function(struct control *c, struct deployment *dep) {
    bool hashes;
    if (dep->at == dep->record.functions.n) {
        dep->state = PACKING;
        node_bundle_pack(c, dep);
        return;
    }
    struct diag d = DIAG_INIT;
    err e = open_module(c, dep, &hashes, &d);
    if (e != ERR_OK) {
        fail(c, dep, e, &d);
        return;
    }
    dep->state = HASHING;
    if (dep->module < 0) { /* of a dry run; it is said to be missing */
        dep->at++;
        dep->state = WAITING;
        start_waiting(c);
        return;
    }
    node_deployment_send(dep, hash, hashed);
}

static struct deployment *find(const struct control *c, uint32_t id, int state) {
    struct deployment *dep = c->deployments;
    while (dep && dep->id != id) dep = dep->next;
    return dep && (int)dep->state == state ? dep : NULL;
}

/* ---- an image ---- */

static void write_image(struct deployment *dep) {
    char name[NODE_DIGEST_NAME_BYTES];
    struct control *c = dep->control;
    node_digest_name(dep->sign.digest, name);
    if (!c->db || faccessat(c->state.images, name, F_OK, 0) == 0) return;
    dep->failed = node_control_copy_file(c->state.images, name, dep->image, &dep->d);
}

static void image_written(struct control *c, struct deployment *dep) {
    struct app_function *f = &dep->record.functions.p[dep->at];
    uint8_t how[APP_DIGEST_BYTES];
    struct diag d = DIAG_INIT;
    memcpy(f->digest, dep->sign.digest, APP_DIGEST_BYTES);
    node_images_put(c, dep->sign.digest, &dep->key, dep->image);
    dep->image = -1;
    node_images_how(f, how);
    err e = dep->is_image ? ERR_OK : node_store_put_image(c, f->module, how, f->digest, f->kind, &d);
    dep->compiled += !dep->is_image;
    if (e == ERR_OK) function_done(c, dep);
    else fail(c, dep, e, &d);
}

static void keep_image(struct control *c, struct deployment *dep) {
    dep->state = WRITING;
    node_deployment_send(dep, write_image, image_written);
}

static void hash_image(struct deployment *dep) { dep->failed = abi_image_to_sign(dep->image, &dep->sign, &dep->d); }

static void ask_signature(struct control *c, struct deployment *dep) {
    struct node_message ask = NODE_MESSAGE(sign_want, .id = dep->id);
    memcpy(ask.sign_want.purpose, dep->sign.purpose, sizeof dep->sign.purpose);
    memcpy(ask.sign_want.digest, dep->sign.digest, sizeof dep->sign.digest);
    node_control_tell(c, &ask);
    dep->state = SIGNING;
}

/* False of both: nobody asked. One that was asked for may have been given up meanwhile. */
bool node_deployment_compiled(struct control *c, const struct node_msg_compile_done *m) {
    struct deployment *dep = find(c, m->id, COMPILING), *reads = find(c, m->id, READING);
    struct diag d = DIAG_INIT;
    if (!dep && !reads) return m->id <= c->last_deployment;
    err e = node_diag_of(&d, m->err, m->offset, m->text);
    if (reads) {
        node_bundle_read(c, reads, e, &d);
        return true;
    }
    dep->record.functions.p[dep->at].kind = m->kind;
    if (e != ERR_OK) {
        fail(c, dep, e, &d);
        return true;
    }
    dep->state = HASHING; /* what it goes by */
    node_deployment_send(dep, hash_image, dep->is_image ? keep_image : ask_signature);
    return true;
}

static err no_key(const struct deployment *dep, err e, struct diag *d) {
    if (!dep->is_image) return e;
    diag_prefix(d, e == ERR_NOT_FOUND ? "an image is taken only if this node's key signed it, so compile the .wasm here"
                                      : "an image is taken only if this node's key signed it");
    return e == ERR_NOT_FOUND ? ERR_SIGNATURE : e;
}

static err take_signature(struct control *c, struct deployment *dep, const struct node_msg_sign_done *m, struct diag *d) {
    err e = node_diag_of(d, m->err, DIAG_NOWHERE, m->text);
    if (e != ERR_OK) return no_key(dep, e, d);
    memcpy(dep->key.bytes, m->public, sizeof dep->key.bytes);
    if (dep->is_image) {
        struct node_msg_compile_want want = {.is_image = true};
        memcpy(want.key, m->public, sizeof want.key);
        want_job(c, dep, dep->image, want);
        return ERR_OK;
    }
    TRY(abi_image_put_signature(dep->image, m->signature, d));
    TRY(node_images_seal(dep->image, d));
    keep_image(c, dep);
    return ERR_OK;
}

bool node_deployment_signed(struct control *c, const struct node_msg_sign_done *m) {
    struct deployment *dep = find(c, m->id, SIGNING);
    struct diag d = DIAG_INIT;
    if (!dep) return m->id <= c->last_deployment;
    err e = take_signature(c, dep, m, &d);
    if (e != ERR_OK) fail(c, dep, e, &d);
    return true;
}

/* ---- one after the other, of an app ---- */

static bool is_first(const struct control *c, const struct deployment *dep) {
    const struct deployment *before = c->deployments;
    while (before != dep && (before->state <= WAITING || !str_eq(before->record.name, dep->record.name))) before = before->next;
    return before == dep;
}

static void on_waiting(void *arg) {
    struct control *c = arg;
    struct deployment *dep = c->deployments;
    c->deployments_due = false;
    while (dep && !(dep->state == WAITING && is_first(c, dep))) dep = dep->next;
    if (!dep) return;
    start_waiting(c); /* there may be another app's */
    next_function(c, dep);
}

static void start_waiting(struct control *c) {
    bool waits = false;
    for (const struct deployment *dep = c->deployments; dep; dep = dep->next) waits |= dep->state == WAITING;
    if (!waits || c->deployments_due) return;
    c->deployments_due = true;
    net_loop_post(c->loop, on_waiting, c);
}

void node_deployment_go_on(struct control *c, struct deployment *dep) {
    dep->state = WAITING;
    start_waiting(c);
}

/* ---- beginnings ---- */

static err read_record(struct deployment *dep, int fd, struct diag *d) {
    struct stat st;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > (off_t)RECORD_BYTES_MAX)
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "a record is a file of at most 1 MiB");
    uint8_t *p = arena_alloc(dep->mem, (size_t)st.st_size + 1, 1);
    if (pread(fd, p, (size_t)st.st_size, 0) != st.st_size) return diag_set(d, ERR_IO, DIAG_NOWHERE, "the record cannot be read");
    TRY(app_record_decode(dep->mem, (str){p, (size_t)st.st_size}, &dep->record, d));
    TRY(node_deployment_check(dep->control, &dep->record, d));
    if (dep->record.functions.n && dep->record.functions.n == (uint32_t)dep->files_count) return ERR_OK;
    return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "the record has %u functions, and %d files came", dep->record.functions.n,
                    dep->files_count);
}

void node_deployment_begin(struct control *c, struct control_client *client, struct node_message *m) {
    struct deployment *dep = node_deployment_new(c);
    struct diag d = DIAG_INIT;
    dep->client = client;
    client->busy = dep;
    for (int i = 1; i < m->fds_count; i++) dep->files[dep->files_count++] = node_message_take(m, i);
    err e = read_record(dep, m->fds[0], &d);
    if (e == ERR_OK) node_deployment_go_on(c, dep);
    else fail(c, dep, e, &d);
}

/* What is being published goes on: it may be live already. */
static void give_up(struct control *c, struct deployment *dep) {
    if (dep->client) dep->client->busy = NULL;
    dep->client = NULL;
    dep->done = NULL;
    dep->progress = NULL;
    if (dep->state == CHANGING) return;
    dep->cancelled = true;
    if (dep->state == COMPILING || dep->state == READING) node_control_tell(c, &NODE_MESSAGE(compile_cancel, .id = dep->id));
    if (!dep->works) release(c, dep);
}

void node_deployment_client_gone(struct control *c, struct control_client *client) {
    if (client->busy) give_up(c, client->busy);
}

bool node_deployment_holds(const struct control *c, enum control_file_kind kind, const uint8_t digest[APP_DIGEST_BYTES]) {
    for (const struct deployment *dep = c->deployments; dep; dep = dep->next)
        for (uint32_t i = 0; i < dep->held.n; i++)
            if (dep->held.p[i].kind == kind && !memcmp(dep->held.p[i].digest, digest, APP_DIGEST_BYTES)) return true;
    return false;
}
