/* bundle: what a deployment is made of: a manifest, and the files that it names.
 *
 *   node_control_deploy ──manifest──> a job ──> a record ──> within the operator's maxima ──> all files named, and here? ──> deployment.c
 *   a static folder's files, from what was uploaded or from a pack that the app has ──> one file, synced, named by its digest
 *
 * 1. A path is names between slashes: it leads nowhere else.
 * 2. A file is known by its digest. Those of static folders that a kept version has need not come again.
 * 3. What has been uploaded stays until a deployment of the app went well; of that, modules stay as long as a version names them.
 */
#include "manifest/config.h"
#include "manifest/manifest.h"
#include "node/control/deployment_int.h"
#include "node/pack.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* For so long, pages of a version that is live no more find what they ask for by names with a hash. */
static const uint64_t EARLIER_MS = 7 * 86'400'000ull;

enum { DEPLOYMENTS_MAX = 64, DEPLOYMENTS_OF_APP_MAX = 8, FILES_OF_BUNDLE_MAX = 65'536, MANIFEST_BYTES_MAX = 16 * MiB };
static_assert((int)NODE_PACK_DIGEST_BYTES == (int)APP_DIGEST_BYTES, "of the same kind");

/* ---- what is in it ---- */

static int by_path(const void *a, const void *b) {
    return str_cmp(((const struct control_file *)a)->path, ((const struct control_file *)b)->path);
}

static err check_paths(const struct deployment *dep, struct diag *d) {
    for (uint32_t i = 0; i < dep->bundle.n; i++) {
        str path = dep->bundle.p[i].path, shown = str_sub(path, 0, 200);
        if (!node_pack_path_ok(path) || memchr(path.p, '\\', path.n))
            return diag_set(d, ERR_INVALID, DIAG_NOWHERE,
                            "the file '" STR_FMT
                            "' has a path that cannot be: names between slashes, none of them dots alone, of "
                            "%d bytes at most",
                            STR_ARG(shown), NODE_PACK_PATH_MAX);
        if (i && str_eq(dep->bundle.p[i - 1].path, path))
            return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "the file '" STR_FMT "' is named twice", STR_ARG(shown));
    }
    return ERR_OK;
}

static err take_files(struct deployment *dep, const struct control_deploy *what, struct diag *d) {
    if (what->files_count > FILES_OF_BUNDLE_MAX)
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "an app has at most %d files", FILES_OF_BUNDLE_MAX);
    for (uint32_t i = 0; i < what->files_count; i++) {
        struct control_file file = what->files[i];
        file.path = arena_str(dep->mem, file.path);
        vec_push(dep->mem, &dep->bundle, file);
    }
    if (dep->bundle.n) qsort(dep->bundle.p, dep->bundle.n, sizeof *dep->bundle.p, by_path);
    return check_paths(dep, d);
}

const struct control_file *node_bundle_file(const struct deployment *dep, str path) {
    struct control_file key = {.path = path};
    return dep->bundle.n ? bsearch(&key, dep->bundle.p, dep->bundle.n, sizeof key, by_path) : NULL;
}

/* Whether a path is below a folder ("." is all there is), and how long what it has before that is. */
static bool is_below(str path, str folder, size_t *before) {
    *before = 0;
    if (!folder.n || str_eqc(folder, ".")) return true;
    *before = folder.n + 1;
    return path.n > folder.n + 1 && str_starts(path, folder) && path.p[folder.n] == '/';
}

/* ---- what the job says ---- */

static err read_manifest(struct deployment *dep, struct manifest *m, struct diag *d) {
    struct stat st;
    if (fstat(dep->manifest, &st) || st.st_size > (off_t)MANIFEST_BYTES_MAX)
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "the manifest says more than there may be");
    uint8_t *p = arena_alloc(dep->mem, (size_t)st.st_size + 1, 1);
    if (pread(dep->manifest, p, (size_t)st.st_size, 0) != st.st_size)
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "what the manifest says cannot be read");
    return manifest_decode(dep->mem, (str){p, (size_t)st.st_size}, m, d);
}

static err take_notes(struct deployment *dep, const struct manifest *m, bool mails, struct diag *d) {
    const char *file = arena_cstr(dep->mem, dep->manifest_name.n ? dep->manifest_name : STR("the manifest"));
    err e = ERR_OK;
    for (uint32_t i = 0; i < m->notes.n; i++) {
        const struct manifest_note *n = &m->notes.p[i];
        *vec_add(dep->mem, &dep->remarks) = (struct control_remark){.key = n->key, .text = n->text, .line = n->line};
        if (!n->is_error || e != ERR_OK) continue;
        if (mails) file = arena_cstr(dep->mem, n->key);
        const struct manifest_note bare = {.line = n->line, .column = n->column, .is_error = true, .text = n->text};
        str text = manifest_note_text(dep->mem, file, mails ? &bare : n);
        dep->wrong = n->key;
        dep->line = n->line;
        e = diag_set(d, ERR_INVALID, DIAG_NOWHERE, STR_FMT, STR_ARG(text));
    }
    if (e == ERR_OK && m->errors) e = diag_set(d, ERR_INVALID, DIAG_NOWHERE, "%s has %u errors", file, m->errors);
    return e;
}

/* ---- what else was asked for ---- */

static void join_dirs(struct deployment *dep, struct app_grants *g) {
    for (uint32_t i = 0; i < g->dirs.n && dep->folder.n; i++) {
        str *host = &g->dirs.p[i].host, below = *host;
        if (host->n && host->p[0] == '/') continue;
        while (str_starts(below, STR("./"))) below = str_sub(below, 2, below.n);
        bool all = !below.n || str_eqc(below, ".");
        *host = all ? dep->folder : arena_fmt(dep->mem, STR_FMT "/" STR_FMT, STR_ARG(dep->folder), STR_ARG(below));
    }
}

static err add_env(struct deployment *dep, struct app_grants *g, str arg, struct diag *d) {
    struct app_env env;
    if (!str_cut(arg, '=', &env.key, &env.value) || !env.key.n)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "'" STR_FMT "' is no KEY=VALUE", STR_ARG(str_sub(arg, 0, 100)));
    for (uint32_t i = 0; i < g->env.n; i++) {
        if (!str_eq(g->env.p[i].key, env.key)) continue;
        g->env.p[i].value = env.value;
        return ERR_OK;
    }
    if (g->env.n >= APP_NAMES_MAX)
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "a function has at most %d variables of its environment", APP_NAMES_MAX);
    vec_push(dep->mem, &g->env, env);
    return ERR_OK;
}

static err add_host(struct deployment *dep, str arg, struct diag *d) {
    str host;
    struct app_record *r = &dep->record;
    if (str_eqc(arg, "*")) {
        r->is_default = true;
        return ERR_OK;
    }
    TRY(app_host_parse(dep->mem, arg, &host, d));
    for (uint32_t i = 0; i < r->hosts.n; i++)
        if (str_eq(r->hosts.p[i], host)) return ERR_OK;
    if (r->hosts.n >= APP_HOSTS_MAX) return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "an app has at most %d hosts", APP_HOSTS_MAX);
    vec_push(dep->mem, &r->hosts, host);
    return ERR_OK;
}

static err add_what_was_asked(struct deployment *dep, struct diag *d) {
    for (uint32_t i = 0; i < dep->hosts.n; i++) TRY(add_host(dep, dep->hosts.p[i], d));
    for (uint32_t f = 0; f < dep->record.functions.n; f++) {
        struct app_grants *g = &dep->record.functions.p[f].grants;
        join_dirs(dep, g);
        for (uint32_t i = 0; i < dep->env.n; i++) TRY(add_env(dep, g, dep->env.p[i], d));
    }
    return ERR_OK;
}

static err check_within(struct control *c, struct deployment *dep, struct diag *d) {
    struct manifest_config none;
    manifest_config_init(&none);
    const struct manifest_deployer who = {.owner = dep->who.node, .hosts = dep->who.hosts, .hosts_count = dep->who.hosts_count};
    TRY(manifest_within(&dep->record, c->config ? c->config : &none, &who, d));
    TRY(node_routes_check(&dep->record, d));
    return node_deployment_check(c, &dep->record, d);
}

/* ---- which files are here ---- */

static struct map uploaded(arena *scratch, const struct control *c, str app) {
    struct map m = {0};
    for (const struct control_blob *b = c->blobs; b; b = b->next)
        if (b->whole && str_eqc(app, b->app)) map_put(scratch, &m, (str){b->digest, sizeof b->digest}, b->bytes);
    return m;
}

/* What pages of the live version may still ask for, once it is that no more. */
static void list_earlier(struct control *c, struct deployment *dep) {
    const struct control_app *app = node_control_app_named(c, dep->record.name);
    arena *scratch = arena_new(0);
    const struct app_record *live = app ? node_control_app_record(scratch, app) : NULL;
    uint64_t now = clock_wall_ns() / 1'000'000;
    for (uint32_t i = 0; live && i < live->files.n; i++) {
        const struct app_files *f = &live->files.p[i];
        if (f->earlier_of && f->until_ms <= now) continue;
        struct app_files e = {.name = arena_str(dep->mem, f->name),
                              .folder = arena_str(dep->mem, f->folder),
                              .no_immutable = f->no_immutable,
                              .until_ms = f->earlier_of ? f->until_ms : now + EARLIER_MS};
        memcpy(e.digest, f->digest, sizeof e.digest);
        vec_push(dep->mem, &dep->earlier, e);
    }
    arena_free(scratch);
}

/* Packs of the app's versions, by digest. */
static err list_packs(struct control *c, struct deployment *dep, struct diag *d) {
    struct db_rows *rows;
    dep->packs.n = 0;
    if (!c->db) return ERR_OK;
    TRY(db_query(c->db, &rows, d,
                 "select f.digest from files f join apps a on a.id = f.app where a.name = ? and f.kind = ? "
                 "group by f.digest order by max(f.version) desc",
                 DB_TEXT(dep->record.name), DB_I64(CONTROL_PACK)));
    while (db_next(rows))
        if (db_str(rows, 0).n == APP_DIGEST_BYTES)
            memcpy(vec_add(dep->mem, &dep->packs)->digest, db_str(rows, 0).p, APP_DIGEST_BYTES);
    return db_end(rows, d);
}

/* All files of those packs, by their digests: the value is pack << 32 | file. On a thread. */
static void open_packs(struct deployment *dep) {
    char name[NODE_DIGEST_NAME_BYTES];
    for (uint32_t i = 0, known = 0; i < dep->packs.n && known < CONTROL_PACKED_MAX; i++) {
        struct bundle_pack *pack = &dep->packs.p[i];
        struct diag d = DIAG_INIT;
        uint32_t count;
        const struct node_pack_file *files;
        if (pack->open) continue;
        node_digest_name(pack->digest, name);
        int fd = openat(dep->control->state.packs, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0 || node_pack_open(fd, pack->digest, &pack->open, &d) != ERR_OK) continue;
        files = node_pack_files(pack->open, &count);
        known += count;
        for (uint32_t k = 0; k < count; k++)
            map_put(dep->mem, &dep->packed, (str){files[k].digest, sizeof files[k].digest}, (uint64_t)i << 32 | k);
    }
}

void node_bundle_close(struct deployment *dep) {
    for (uint32_t i = 0; i < dep->packs.n; i++) node_pack_unref(dep->packs.p[i].open);
    dep->packs.n = 0;
}

static void miss(struct deployment *dep, const struct control_file *file) {
    struct control_missing *m = vec_add(dep->mem, &dep->missing);
    m->path = file->path;
    memcpy(m->digest, file->digest, sizeof m->digest);
}

static bool is_static(const struct deployment *dep, const struct control_file *file) {
    size_t before;
    for (uint32_t i = 0; i < dep->record.files.n; i++)
        if (is_below(file->path, dep->record.files.p[i].folder, &before)) return true;
    return false;
}

static bool is_module(const struct deployment *dep, const struct control_file *file) {
    for (uint32_t i = 0; i < dep->record.functions.n; i++)
        if (str_eq(file->path, dep->record.functions.p[i].source)) return true;
    return false;
}

static const struct node_pack_file *packed(const struct deployment *dep, const uint8_t digest[APP_DIGEST_BYTES],
                                           const struct node_pack **pack) {
    uint64_t at;
    uint32_t count;
    if (!map_get(&dep->packed, (str){digest, APP_DIGEST_BYTES}, &at)) return NULL;
    *pack = dep->packs.p[at >> 32].open;
    return &node_pack_files(*pack, &count)[(uint32_t)at];
}

static bool is_mail(const struct deployment *dep, const struct control_file *file) {
    for (uint32_t i = 0; i < dep->record.auth.templates.n; i++)
        if (str_eq(dep->record.auth.templates.p[i].html_path, file->path) ||
            str_eq(dep->record.auth.templates.p[i].text_path, file->path))
            return true;
    return false;
}

static bool is_sql(const struct deployment *dep, const struct control_file *file) {
    for (uint32_t i = 0; i < dep->sql.n; i++)
        if (!memcmp(dep->sql.p[i].digest, file->digest, APP_DIGEST_BYTES)) return true;
    return false;
}

/* Migrations: what is in their folder, and not below it. In the order of their names, as the bundle is. */
static err take_sql(struct deployment *dep, const struct manifest *m, struct diag *d) {
    size_t before;
    dep->migrations = m->database.migrations;
    dep->url = m->database.url;
    for (uint32_t i = 0; i < dep->bundle.n && dep->migrations.n; i++) {
        const struct control_file *file = &dep->bundle.p[i];
        if (!is_below(file->path, dep->migrations, &before) || !str_ends(file->path, STR(".sql"))) continue;
        struct migration_file f = {.name = str_sub(file->path, before, file->path.n)};
        if (memchr(f.name.p, '/', f.name.n)) continue;
        if (f.name.n > MIGRATION_NAME_MAX || dep->sql.n == MIGRATION_FILES_MAX)
            return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "an app has at most %d migrations, with names of %d bytes",
                            MIGRATION_FILES_MAX, MIGRATION_NAME_MAX);
        memcpy(f.digest, file->digest, sizeof f.digest);
        vec_push(dep->mem, &dep->sql, f);
    }
    return ERR_OK;
}

/* Files that nothing in the manifest leads to need not be here. What is has as many bytes as it has, whatever was said of it. */
static void look_for_files(struct control *c, struct deployment *dep) {
    arena *scratch = arena_new(0);
    uint64_t bytes;
    struct map here = uploaded(scratch, c, dep->record.name);
    for (uint32_t i = 0; i < dep->bundle.n; i++) {
        struct control_file *file = &dep->bundle.p[i];
        const struct node_pack *pack;
        const struct node_pack_file *there = packed(dep, file->digest, &pack);
        if (map_get(&here, (str){file->digest, sizeof file->digest}, &bytes)) file->bytes = bytes;
        else if (is_module(dep, file) || is_sql(dep, file) || is_mail(dep, file)) miss(dep, file);
        else if (there) file->bytes = there->bytes;
        else if (is_static(dep, file)) miss(dep, file);
    }
    arena_free(scratch);
}

static err check_sources(const struct deployment *dep, struct diag *d) {
    for (uint32_t i = 0; i < dep->record.functions.n; i++) {
        const struct app_function *f = &dep->record.functions.p[i];
        if (!node_bundle_file(dep, f->source))
            return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE,
                            "the function " STR_FMT " is made of " STR_FMT ", which is not among the files that came",
                            STR_ARG(f->name), STR_ARG(str_sub(f->source, 0, 200)));
    }
    return ERR_OK;
}

static err within_bytes(struct deployment *dep, uint64_t bytes, struct diag *d) {
    uint64_t most = dep->record.limits.deployment_bytes_max;
    if (bytes <= most) return ERR_OK;
    dep->wrong = STR("limits.deployment_mb");
    return diag_set(d, ERR_LIMIT, DIAG_NOWHERE,
                    "its files have more than %llu MiB together, the most that a version may have "
                    "(limits.deployment_mb; the operator says how much that may be)",
                    (unsigned long long)(most / MiB));
}

static err check_bytes(struct deployment *dep, struct diag *d) {
    uint64_t bytes = 0, most = dep->record.limits.deployment_bytes_max;
    for (uint32_t i = 0; i < dep->bundle.n && bytes <= most; i++) bytes += MIN(dep->bundle.p[i].bytes, most + 1);
    return within_bytes(dep, bytes, d);
}

/* ---- words of mails ---- */

static err read_words(struct deployment *dep, str path, str *to) {
    const struct control_file *file = node_bundle_file(dep, path);
    char digest[NODE_DIGEST_NAME_BYTES], name[APP_NAME_MAX + 80];
    if (!file)
        return diag_set(&dep->d, ERR_NOT_FOUND, DIAG_NOWHERE,
                        "a mail's words are " STR_FMT ", which is not among the files that came", STR_ARG(str_sub(path, 0, 200)));
    if (file->bytes > APP_TEMPLATES_BYTES_MAX)
        return diag_set(&dep->d, ERR_LIMIT, DIAG_NOWHERE, STR_FMT " has more than %d KiB", STR_ARG(str_sub(path, 0, 200)),
                        APP_TEMPLATES_BYTES_MAX >> 10);
    node_digest_name(file->digest, digest);
    snprintf(name, sizeof name, STR_FMT ".%s", STR_ARG(dep->record.name), digest);
    int fd = openat(dep->control->state.blobs, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    uint8_t *p = arena_alloc(dep->mem, (size_t)file->bytes + 1, 1);
    ssize_t n = fd >= 0 ? pread(fd, p, (size_t)file->bytes, 0) : -1;
    if (fd >= 0) close(fd);
    if (n != (ssize_t)file->bytes)
        return diag_set(&dep->d, ERR_NOT_FOUND, DIAG_NOWHERE, "the file " STR_FMT " is not here any more: upload it again",
                        STR_ARG(str_sub(path, 0, 200)));
    *to = (str){p, (size_t)n};
    return ERR_OK;
}

static void put_words(struct deployment *dep, const struct app_template *t, str path, const char *as, str words) {
    if (path.n)
        buf_printf(&dep->mails, STR_FMT "\n%s %s\n%zu\n" STR_FMT, STR_ARG(path),
                   app_template_text((enum app_template_kind)t->kind), as, words.n, STR_ARG(words));
}

/* On a thread. */
static void read_mails(struct deployment *dep) {
    for (uint32_t i = 0; i < dep->record.auth.templates.n && dep->failed == ERR_OK; i++) {
        struct app_template *t = &dep->record.auth.templates.p[i];
        if (t->html_path.n) dep->failed = read_words(dep, t->html_path, &t->html);
        if (t->text_path.n && dep->failed == ERR_OK) dep->failed = read_words(dep, t->text_path, &t->text);
        put_words(dep, t, t->html_path, "html", t->html), put_words(dep, t, t->text_path, "text", t->text);
        if (dep->failed == ERR_OK && dep->mails.n > APP_TEMPLATES_BYTES_MAX)
            dep->failed = diag_set(&dep->d, ERR_LIMIT, DIAG_NOWHERE, "the words of its mails have more than %d KiB together",
                                   APP_TEMPLATES_BYTES_MAX >> 10);
    }
    if (dep->failed != ERR_OK) buf_free(&dep->mails);
}

static void ask_job(struct control *c, struct deployment *dep, str text);
static void look_at_mails(struct control *c, struct deployment *dep) {
    if (dep->manifest >= 0) close(dep->manifest);
    dep->manifest = -1;
    dep->mails_asked = true;
    dep->format = MANIFEST_MAILS;
    ask_job(c, dep, buf_str(&dep->mails));
    buf_free(&dep->mails);
    if (dep->failed != ERR_OK) node_deployment_end(c, dep, dep->failed, &dep->d);
}

static void mails_seen(struct control *c, struct deployment *dep, err e, struct diag *d) {
    struct manifest m;
    if (e == ERR_OK) e = read_manifest(dep, &m, d);
    if (e == ERR_OK) e = take_notes(dep, &m, true, d);
    if (e == ERR_OK) node_deployment_go_on(c, dep);
    else node_deployment_end(c, dep, e, d);
}

static void files_known(struct control *c, struct deployment *dep) {
    struct diag d = DIAG_INIT;
    look_for_files(c, dep);
    if (check_bytes(dep, &d) != ERR_OK) {
        node_deployment_end(c, dep, ERR_LIMIT, &d);
        return;
    }
    if (dep->missing.n && !dep->dry_run) {
        err e =
            diag_set(&d, ERR_NOT_FOUND, DIAG_NOWHERE, "%u of its files are not here, the first is " STR_FMT ": upload them first",
                     dep->missing.n, STR_ARG(str_sub(dep->missing.p[0].path, 0, 200)));
        node_deployment_end(c, dep, e, &d);
        return;
    }
    if (dep->record.auth.templates.n && !dep->missing.n) node_deployment_send(dep, read_mails, look_at_mails);
    else node_deployment_go_on(c, dep);
}

/* The app has to be there before they can be set from a console; what lacks them says so when it is asked. */
static err note_secrets(struct control *c, struct deployment *dep, struct diag *d) {
    struct control_keys missing = {0};
    if (!c->db) return ERR_OK;
    TRY(node_secrets_missing(c, &dep->record, dep->mem, &missing, d));
    for (uint32_t i = 0; i < missing.n; i++)
        *vec_add(dep->mem, &dep->remarks) = (struct control_remark){
            .key = STR("secrets"),
            .text = arena_fmt(dep->mem, "the secret " STR_FMT " is not set yet: orlo secrets set " STR_FMT " " STR_FMT,
                              STR_ARG(missing.p[i]), STR_ARG(dep->record.name), STR_ARG(missing.p[i]))};
    return ERR_OK;
}

static err read_all(struct control *c, struct deployment *dep, struct diag *d) {
    struct manifest m;
    TRY(read_manifest(dep, &m, d));
    TRY(take_notes(dep, &m, false, d));
    if (c->config) manifest_defaults(&m, &c->config->defaults, &c->config->max);
    dep->record = m.record;
    TRY(add_what_was_asked(dep, d));
    TRY(check_within(c, dep, d));
    TRY(check_sources(dep, d));
    TRY(take_sql(dep, &m, d));
    TRY(note_secrets(c, dep, d));
    list_earlier(c, dep);
    return list_packs(c, dep, d);
}

void node_bundle_read(struct control *c, struct deployment *dep, err e, const struct diag *d) {
    struct diag own = *d;
    if (dep->mails_asked) {
        mails_seen(c, dep, e, &own);
        return;
    }
    if (e == ERR_OK) e = read_all(c, dep, &own);
    if (e == ERR_OK) node_deployment_send(dep, open_packs, files_known);
    else node_deployment_end(c, dep, e, &own);
}

/* ---- static folders ---- */

static err add_file(struct deployment *dep, struct node_pack_writer *w, const struct control_file *file, str path) {
    char digest[NODE_DIGEST_NAME_BYTES], name[APP_NAME_MAX + 80];
    node_digest_name(file->digest, digest);
    snprintf(name, sizeof name, STR_FMT ".%s", STR_ARG(dep->record.name), digest);
    int fd = openat(dep->control->state.blobs, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0) {
        err e = node_pack_add(w, path, fd, 0, file->bytes, file->modified_s, &dep->d);
        close(fd);
        return e;
    }
    const struct node_pack *pack;
    const struct node_pack_file *there = packed(dep, file->digest, &pack);
    if (there) return node_pack_add(w, path, node_pack_fd(pack), there->at, there->bytes, file->modified_s, &dep->d);
    return diag_set(&dep->d, ERR_NOT_FOUND, DIAG_NOWHERE, "the file " STR_FMT " is not here any more: upload it again",
                    STR_ARG(str_sub(file->path, 0, 200)));
}

/* In the order of their paths, as they are in the bundle. */
static err fill(struct deployment *dep, int fd, str folder, uint8_t digest[APP_DIGEST_BYTES]) {
    struct node_pack_writer *w = node_pack_begin(fd);
    err e = ERR_OK;
    for (uint32_t i = 0; i < dep->bundle.n && e == ERR_OK && !dep->cancelled; i++) {
        size_t before;
        const struct control_file *file = &dep->bundle.p[i];
        if (!is_below(file->path, folder, &before)) continue;
        e = within_bytes(dep, dep->packed_bytes += file->bytes + file->path.n + NODE_PACK_DIGEST_BYTES, &dep->d);
        if (e == ERR_OK) e = add_file(dep, w, file, str_sub(file->path, before, file->path.n));
    }
    err ended = node_pack_end(w, digest, &dep->d);
    return e == ERR_OK ? ended : e;
}

static err cannot(struct deployment *dep) {
    bool full = errno == ENOSPC || errno == EDQUOT;
    return diag_set(&dep->d, full ? ERR_LIMIT : ERR_IO, DIAG_NOWHERE, "the state folder's packs cannot be written: %s",
                    full ? "the disk is full" : strerror(errno));
}

static err pack_one(struct deployment *dep, uint32_t i) {
    char part[64], name[NODE_DIGEST_NAME_BYTES];
    struct app_files *files = &dep->record.files.p[i];
    int folder = dep->control->state.packs;
    struct stat st = {0};
    for (uint32_t k = 0; k < i; k++) /* at another route */
        if (str_eq(dep->record.files.p[k].folder, files->folder)) {
            memcpy(files->digest, dep->record.files.p[k].digest, sizeof files->digest);
            return ERR_OK;
        }
    snprintf(part, sizeof part, "%u-%u.part", dep->id, i);
    unlinkat(folder, part, 0);
    int fd = openat(folder, part, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return cannot(dep);
    err e = fill(dep, fd, files->folder, files->digest);
    node_digest_name(files->digest, name);
    if (e == ERR_OK && (fsync(fd) || fstat(fd, &st) || renameat(folder, part, folder, name) || fsync(folder))) e = cannot(dep);
    if (e != ERR_OK) unlinkat(folder, part, 0);
    close(fd);
    if (e == ERR_OK) node_deployment_hold(dep, CONTROL_PACK, files->digest, (uint64_t)st.st_size);
    return e;
}

static bool has_digest(const struct app_record *r, uint32_t folder, const uint8_t digest[APP_DIGEST_BYTES]) {
    for (uint32_t i = 0; i < r->files.n; i++)
        if ((i == folder || r->files.p[i].earlier_of == folder + 1) && !memcmp(r->files.p[i].digest, digest, APP_DIGEST_BYTES))
            return true;
    return false;
}

/* Behind the folders: what was in them, the newest first. Their packs are held by this version, too. */
static void add_earlier(struct deployment *dep) {
    struct app_record *r = &dep->record;
    for (uint32_t i = 0, folders = r->files.n; i < folders; i++)
        for (uint32_t k = 0, n = 0; k < dep->earlier.n && n < APP_EARLIER_MAX && r->files.n < APP_FILES_MAX; k++) {
            struct app_files e = dep->earlier.p[k];
            if (!str_eq(e.folder, r->files.p[i].folder) || has_digest(r, i, e.digest)) continue;
            e.earlier_of = i + 1;
            vec_push(dep->mem, &r->files, e);
            node_deployment_hold(dep, CONTROL_PACK, e.digest, 0);
            n++;
        }
}

static void pack_all(struct deployment *dep) {
    for (uint32_t i = 0; i < dep->record.files.n && dep->failed == ERR_OK && !dep->cancelled; i++) dep->failed = pack_one(dep, i);
    if (dep->failed == ERR_OK && !dep->cancelled) add_earlier(dep);
}

void node_bundle_pack(struct control *c, struct deployment *dep) {
    if (!dep->record.files.n || dep->dry_run) {
        node_deployment_migrate(c, dep);
        return;
    }
    node_deployment_tell(c, dep, "packing", dep->record.files.p[0].folder);
    node_deployment_send(dep, pack_all, node_deployment_migrate);
}

/* ---- what is not needed any more ---- */

struct keeping {
    struct control *c;
    str app;
};

static bool keeps_blob(void *arg, const uint8_t digest[APP_DIGEST_BYTES]) {
    const struct keeping *k = arg;
    for (const struct deployment *dep = k->c->deployments; dep; dep = dep->next) {
        if (dep->state == CHANGING || !str_eq(dep->record.name, k->app)) continue;
        for (uint32_t i = 0; i < dep->bundle.n; i++)
            if (!memcmp(dep->bundle.p[i].digest, digest, APP_DIGEST_BYTES)) return true;
    }
    return node_store_named(k->c, CONTROL_MODULE, digest);
}

void node_bundle_sweep(struct control *c, str app) {
    struct keeping k = {c, app};
    node_blob_sweep(c, app, keeps_blob, &k);
}

/* ---- the beginning ---- */

static void ask_job(struct control *c, struct deployment *dep, str text) {
    int in = memfd_create("orlo-manifest", MFD_CLOEXEC);
    dep->manifest = memfd_create("orlo-manifest", MFD_CLOEXEC);
    bool ok = in >= 0 && dep->manifest >= 0 && write(in, text.p, text.n) == (ssize_t)text.n;
    if (ok) {
        struct node_message m =
            NODE_MESSAGE(manifest_want, .id = dep->id, .format = dep->format, .name = dep->app_name, .bytes = text.n);
        m.fds[0] = in, m.fds[1] = dep->manifest, m.fds_count = 2;
        node_control_tell(c, &m);
    } else {
        dep->failed = diag_set(&dep->d, ERR_IO, DIAG_NOWHERE, "no memory file for the manifest: %s", strerror(errno));
    }
    if (in >= 0) close(in);
}

static void nothing(struct deployment *dep) {}

uint32_t node_control_deploy(struct control *c, const struct control_deploy *what) {
    uint32_t n = 0, of_app = 0;
    for (const struct deployment *dep = c->deployments; dep; dep = dep->next)
        n++, of_app += what->app.n && str_eq(dep->app_name, what->app);
    if (n >= DEPLOYMENTS_MAX || of_app >= DEPLOYMENTS_OF_APP_MAX) return 0;
    struct deployment *dep = node_deployment_new(c);
    dep->done = what->done;
    dep->progress = what->progress;
    dep->arg = what->arg;
    dep->dry_run = what->dry_run;
    dep->not_live = what->not_live;
    dep->format = what->format;
    dep->app_name = arena_str(dep->mem, what->app);
    dep->manifest_name = arena_str(dep->mem, what->manifest_name);
    dep->folder = arena_str(dep->mem, what->folder);
    for (uint32_t i = 0; i < what->hosts_count; i++) vec_push(dep->mem, &dep->hosts, arena_str(dep->mem, what->hosts[i]));
    for (uint32_t i = 0; i < what->env_count; i++) vec_push(dep->mem, &dep->env, arena_str(dep->mem, what->env[i]));
    dep->who = (struct control_who){.name = arena_str(dep->mem, what->who->name), .node = what->who->node};
    str *hosts = arena_array(dep->mem, str, what->who->hosts_count);
    for (uint32_t i = 0; i < what->who->hosts_count; i++) hosts[i] = arena_str(dep->mem, what->who->hosts[i]);
    dep->who.hosts = hosts;
    dep->who.hosts_count = what->who->hosts_count;
    dep->failed = take_files(dep, what, &dep->d);
    if (dep->failed == ERR_OK && what->manifest.n > MANIFEST_TEXT_MAX)
        dep->failed = diag_set(&dep->d, ERR_LIMIT, DIAG_NOWHERE, "a manifest has at most %d KiB", MANIFEST_TEXT_MAX / 1024);
    if (dep->failed == ERR_OK) ask_job(c, dep, what->manifest);
    if (dep->failed != ERR_OK) node_deployment_send(dep, nothing, NULL); /* whoever asked hears it later */
    return dep->id;
}
