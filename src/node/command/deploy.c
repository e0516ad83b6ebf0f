/* deploy: an app's folder, or a file, on its way to a node.
 *
 *   manifest (a file's, or made of flags) ──job──> what it names ──build──> files ──hashed──> which does the node lack? ──uploaded──> deployed
 *
 * What was uploaded is there when it is tried again: a connection that breaks costs what was under way.
 */
#include "node/command/ask.h"
#include "node/command/db.h"
#include "node/command/bundle.h"
#include "node/command/download.h"
#include "node/command/flags.h"
#include "node/command/table.h"
#include "manifest/manifest.h"
#include "node/node_int.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TRIES = 8, ROUNDS = 3, POLL_MS = 20'000 };

struct job {
    const struct node_deploy_config *c;
    arena *mem;
    struct manifest manifest;
    const char *file; /* the manifest's; NULL: it was made of flags */
    str text, folder; /* folder: where what it names lies */
    struct bundle bundle;
    struct ask *a;
    struct node_deployed *to;
    str app;
    bool shows; /* progress, on a terminal */
    uint64_t to_send, sent, of_file, shown_ns;
    uint32_t missing, uploaded;
};

/* ---- progress ---- */

static void show(struct job *j, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void show(struct job *j, const char *fmt, ...) {
    char text[160];
    va_list ap;
    if (!j->shows) return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    text_tame(text, strlen(text));
    dprintf(STDERR_FILENO, "\r%s …\x1b[K", text);
}
static void show_nothing(const struct job *j) {
    if (j->shows) dprintf(STDERR_FILENO, "\r\x1b[K");
}

static bool is_time(struct job *j) {
    uint64_t now = clock_mono_ns();
    if (now - j->shown_ns < 100'000'000u) return false;
    j->shown_ns = now;
    return true;
}

/* ---- the manifest ---- */

static err read_text(int fd, arena *out, str *text, struct diag *d) {
    struct stat st;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) return diag_set(d, ERR_IO, DIAG_NOWHERE, "it is no regular file");
    if (st.st_size > MANIFEST_TEXT_MAX)
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "a manifest has at most %d KiB", MANIFEST_TEXT_MAX / 1024);
    uint8_t *p = arena_alloc(out, (size_t)st.st_size + 1, 1);
    ssize_t n = pread(fd, p, (size_t)st.st_size, 0);
    *text = (str){p, n > 0 ? (size_t)n : 0};
    return n == st.st_size ? ERR_OK : diag_set(d, ERR_IO, DIAG_NOWHERE, "it cannot be read");
}

static void print_notes(const struct job *j) {
    for (uint32_t i = 0; i < j->manifest.notes.n; i++) {
        str text = manifest_note_text(j->mem, j->file ? j->file : "the command line", &j->manifest.notes.p[i]);
        char *tamed = arena_cstr(j->mem, text);
        text_tame(tamed, strlen(tamed));
        fprintf(stderr, "%s\n", tamed);
    }
}

/* Of a manifest that was made of flags: the flag that was meant. */
static err refuse_flag(const struct manifest_note *note, struct diag *d) {
    static const char *const flags[][2] = {
        {"hosts", "--host"},          {"routes", "--route"},    {"dirs", "--dir"},          {"allow_http", "--allow-http"},
        {"allow_net", "--allow-net"}, {"forward", "--forward"}, {"env", "--env"},           {"name", "--app"},
        {"stores", "--store"},        {"sqlite", "--sqlite"},   {"variables", "--variable"}};
    const char *flag = "";
    for (str key = note->key, part; key.n;) { /* "functions.api.routes.0" */
        str_cut(key, '.', &part, &key);
        for (size_t i = 0; i < ARRAY_COUNT(flags); i++)
            if (str_eq(part, str_c(flags[i][0]))) flag = flags[i][1];
    }
    return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "%s%s" STR_FMT, flag, flag[0] ? ": " : "", STR_ARG(note->text));
}

static err take_manifest(struct job *j, struct diag *d) {
    const struct manifest *m = &j->manifest;
    for (uint32_t i = 0; i < m->notes.n && !j->file; i++)
        if (m->notes.p[i].is_error) return refuse_flag(&m->notes.p[i], d); /* the first, as of any command line */
    print_notes(j);
    if (m->errors)
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "%s has %u mistake%s; nothing was deployed",
                        j->file ? j->file : "the command line", m->errors, m->errors == 1 ? "" : "s");
    j->app = m->record.name;
    if (j->app.n) return ERR_OK;
    return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "%s does not say what the app is called: name = \"…\" there, or --app NAME",
                    j->file);
}

/* Where what a manifest names lies: its folder; a Supabase project's is two up. */
static str folder_of(struct job *j) {
    str path = str_c(j->file);
    for (int up = j->manifest.format == MANIFEST_SUPABASE ? 2 : 1; up > 0; up--) {
        while (path.n && path.p[path.n - 1] != '/') path.n--;
        while (path.n > 1 && path.p[path.n - 1] == '/') path.n--;
    }
    return path.n ? arena_str(j->mem, path) : STR(".");
}

static err open_manifest(struct job *j, const char *path, struct diag *d) {
    TRY(node_manifest(j->mem, path, str_c(j->c->app), &j->manifest, &j->file, d));
    int fd = open(j->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    err e = fd < 0 ? diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", j->file, strerror(errno)) : read_text(fd, j->mem, &j->text, d);
    if (fd >= 0) close(fd);
    TRY(e);
    j->folder = folder_of(j);
    return take_manifest(j, d);
}

/* Of one file, and flags. */
static err make_manifest(struct job *j, struct diag *d) {
    const char *slash = strrchr(j->c->path, '/');
    str source = str_c(slash ? slash + 1 : j->c->path);
    struct buf b = {0};
    TRY(app_name_check(str_c(j->c->app), d));
    err e = node_flags_manifest(j->c, source, &b, d);
    j->text = arena_str(j->mem, buf_str(&b));
    j->folder =
        slash ? arena_str(j->mem, (str){(const uint8_t *)j->c->path, MAX((size_t)(slash - j->c->path), (size_t)1)}) : STR(".");
    buf_free(&b);
    TRY(e);
    int fd = memfd_create("orlo-manifest", MFD_CLOEXEC);
    if (fd < 0 || write(fd, j->text.p, j->text.n) != (ssize_t)j->text.n)
        e = diag_set(d, ERR_IO, DIAG_NOWHERE, "no memory file: %s", strerror(errno));
    if (e == ERR_OK) e = node_manifest_read(j->mem, fd, MANIFEST_ORLO, str_c(j->c->app), &j->manifest, d);
    if (fd >= 0) close(fd);
    TRY(e);
    return take_manifest(j, d);
}

/* ---- building ---- */

static err build_one(const struct job *j, const struct manifest_build *b, struct diag *d) {
    char *command = arena_cstr(j->mem, b->command), *at = arena_cstr(j->mem, j->folder);
    if (b->dir.n && !str_eqc(b->dir, ".")) at = arena_cstr(j->mem, arena_fmt(j->mem, "%s/" STR_FMT, at, STR_ARG(b->dir)));
    fprintf(stderr, "%s\n", command);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(STDERR_FILENO, STDOUT_FILENO); /* what is printed of a deployment is nobody else's */
        if (chdir(at) == 0) execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        dprintf(STDERR_FILENO, "%s: %s\n", at, strerror(errno));
        _exit(127);
    }
    int status = 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    if (pid > 0 && WIFEXITED(status) && !WEXITSTATUS(status)) return ERR_OK;
    if (pid > 0 && WIFSIGNALED(status))
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "the build command was ended by signal %d: %s", WTERMSIG(status), command);
    return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "the build command ended with status %d: %s",
                    pid > 0 ? WEXITSTATUS(status) : -1, command);
}

static err build(const struct job *j, struct diag *d) {
    for (uint32_t i = 0; i < j->manifest.builds.n && !j->c->no_build; i++)
        if (j->manifest.builds.p[i].command.n) TRY(build_one(j, &j->manifest.builds.p[i], d));
    return ERR_OK;
}

/* ---- uploading ---- */

static void hashed(void *arg, uint64_t bytes) {
    struct job *j = arg;
    arena *scratch = arena_new(0);
    if (is_time(j)) show(j, "reading files, " STR_FMT, STR_ARG(node_table_bytes(scratch, bytes)));
    arena_free(scratch);
}

static void moved(void *arg, uint64_t offset) {
    struct job *j = arg;
    if (!is_time(j)) return;
    arena *scratch = arena_new(0);
    str sent = node_table_bytes(scratch, j->sent + offset), all = node_table_bytes(scratch, j->to_send);
    show(j, "uploading file %u of %u, " STR_FMT " of " STR_FMT, j->uploaded + 1, j->missing, STR_ARG(sent), STR_ARG(all));
    arena_free(scratch);
}

static const char *hex(arena *out, const uint8_t digest[CRYPTO_SHA256_BYTES]) {
    char *to = arena_alloc(out, 2 * CRYPTO_SHA256_BYTES + 1, 1);
    for (size_t i = 0; i < CRYPTO_SHA256_BYTES; i++) snprintf(to + 2 * i, 3, "%02x", digest[i]);
    return to;
}

static err where_it_was(struct job *j, arena *scratch, str path, uint64_t *offset, bool *whole, struct diag *d) {
    struct answer answer;
    err e = node_ask(j->a, scratch, &(struct ask_call){.method = "HEAD", .path = path}, &answer, d);
    *offset = e == ERR_OK ? answer.upload_offset : 0;
    *whole = e == ERR_OK && answer.upload_complete;
    return answer.status == 404 ? ERR_OK : e;
}

/* Worth another try: what breaks by itself, and what others hold for a moment. */
static bool passes(err e) { return e == ERR_NETWORK || e == ERR_CLOSED || e == ERR_AGAIN || e == ERR_BUSY; }

static err upload(struct job *j, const struct bundle_file *f, uint64_t offset, struct diag *d) {
    arena *scratch = arena_new(0);
    str path = node_ask_path(scratch, "/apps/%s/blobs/%s", arena_cstr(scratch, j->app), hex(scratch, f->digest));
    int fd = node_bundle_open(f);
    bool whole = false;
    err e = fd < 0 ? diag_set(d, ERR_IO, DIAG_NOWHERE, STR_FMT ": %s", STR_ARG(f->disk), strerror(errno)) : ERR_OK;
    for (int tries = 0; e == ERR_OK && !whole; tries++) {
        struct answer answer;
        struct diag own = DIAG_INIT, unused = DIAG_INIT;
        if (offset == f->bytes && offset) offset = 0; /* all of it, and yet it is none: from the start */
        e = node_ask_upload(j->a, scratch, path, fd, offset, f->bytes, moved, j, &answer, &own);
        whole = e == ERR_OK && answer.upload_complete;
        if (e == ERR_OK || !passes(e) || tries == TRIES) {
            if (e != ERR_OK) diag_set(d, e, DIAG_NOWHERE, STR_FMT ": %s", STR_ARG(f->disk), own.text);
            break;
        }
        show(j, "interrupted: %s; again", own.text);
        poll(NULL, 0, 250 << MIN(tries, 5));
        e = where_it_was(j, scratch, path, &offset, &whole, &unused);
        if (passes(e)) e = ERR_OK, offset = 0; /* the next try says it */
    }
    if (fd >= 0) close(fd);
    arena_free(scratch);
    j->sent += f->bytes;
    j->uploaded++;
    return e;
}

static int by_digest(const void *a, const void *b) {
    return memcmp((*(const struct bundle_file *const *)a)->digest, (*(const struct bundle_file *const *)b)->digest,
                  CRYPTO_SHA256_BYTES);
}

static const struct bundle_file *file_of(const struct bundle_file **files, uint32_t n, str digest_hex) {
    uint32_t from = 0;
    for (uint32_t to = n; from < to;) {
        uint32_t middle = from + (to - from) / 2;
        char text[2 * CRYPTO_SHA256_BYTES + 1];
        for (size_t i = 0; i < CRYPTO_SHA256_BYTES; i++) snprintf(text + 2 * i, 3, "%02x", files[middle]->digest[i]);
        int order = str_cmp(str_c(text), digest_hex);
        if (!order) return files[middle];
        if (order < 0) from = middle + 1;
        else to = middle;
    }
    return NULL;
}

static err ask_missing(struct job *j, const struct bundle_file **files, uint32_t n, struct answer *answer, struct diag *d) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    json_put_object(&w, NULL);
    json_put_array(&w, "digests");
    for (uint32_t i = 0; i < n; i++)
        if (!i || memcmp(files[i]->digest, files[i - 1]->digest, CRYPTO_SHA256_BYTES) != 0)
            json_put_hex(&w, NULL, "", files[i]->digest, CRYPTO_SHA256_BYTES);
    json_put_end(&w);
    json_put_end(&w);
    struct ask_call call = {
        .method = "POST", .path = node_ask_path(j->mem, "/apps/%s/blobs", arena_cstr(j->mem, j->app)), .w = &w};
    err e = node_ask(j->a, j->mem, &call, answer, d);
    buf_free(&b);
    return e;
}

static err upload_all(struct job *j, struct diag *d) {
    uint32_t n = j->bundle.files.n;
    const struct bundle_file **files = (const struct bundle_file **)(void *)arena_array(j->mem, void *, n + 1);
    struct answer answer;
    for (uint32_t i = 0; i < n; i++) files[i] = &j->bundle.files.p[i];
    qsort((void *)files, n, sizeof *files, by_digest);
    TRY(ask_missing(j, files, n, &answer, d));
    const struct json *missing = json_get(&answer.body, "missing");
    JSON_EACH(item, missing) {
        const struct bundle_file *f = file_of(files, n, json_str(json_get(item, "digest")));
        if (f) j->to_send += f->bytes, j->missing++;
    }
    JSON_EACH(item, missing) {
        const struct bundle_file *f = file_of(files, n, json_str(json_get(item, "digest")));
        int64_t offset = json_i64(json_get(item, "offset"));
        if (f) TRY(upload(j, f, offset > 0 && (uint64_t)offset <= f->bytes ? (uint64_t)offset : 0, d));
    }
    return ERR_OK;
}

err node_bundle_upload(struct ask *a, str app, struct bundle *b, bool shows, struct diag *d) {
    struct job j = {.mem = b->mem, .a = a, .app = app, .bundle = *b, .shows = shows};
    err e = upload_all(&j, d);
    show_nothing(&j);
    return e;
}

/* ---- deploying ---- */

static void put_files(struct job *j, struct json_writer *w) {
    json_put_array(w, "files");
    for (uint32_t i = 0; i < j->bundle.files.n; i++) {
        const struct bundle_file *f = &j->bundle.files.p[i];
        json_put_object(w, NULL);
        json_put_str(w, "path", f->path);
        json_put_hex(w, "digest", "", f->digest, CRYPTO_SHA256_BYTES);
        json_put_u64(w, "bytes", f->bytes);
        json_put_u64(w, "modified_s", f->modified_s);
        json_put_end(w);
    }
    json_put_end(w);
}

static void put_strings(struct json_writer *w, const char *key, const char *const *list, size_t n) {
    if (!n) return;
    json_put_array(w, key);
    for (size_t i = 0; i < n; i++) json_put_cstr(w, NULL, list[i]);
    json_put_end(w);
}

/* What flags add to a manifest of its own. */
static void put_additions(struct job *j, struct json_writer *w) {
    char *folder = node_ask_is_here(j->a) ? realpath(arena_cstr(j->mem, j->folder), NULL) : NULL;
    if (folder) json_put_cstr(w, "folder", folder);
    free(folder);
    if (!j->file) return;
    put_strings(w, "hosts", j->c->hosts, j->c->hosts_count);
    if (!j->c->grants.env.n) return;
    json_put_array(w, "env");
    for (uint32_t i = 0; i < j->c->grants.env.n; i++)
        json_put_str(
            w, NULL,
            arena_fmt(j->mem, STR_FMT "=" STR_FMT, STR_ARG(j->c->grants.env.p[i].key), STR_ARG(j->c->grants.env.p[i].value)));
    json_put_end(w);
}

static err begin(struct job *j, struct answer *answer, struct diag *d) {
    static const char *const formats[] = {"orlo", "spin", "supabase"};
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    const char *slash = j->file ? strrchr(j->file, '/') : NULL;
    json_put_object(&w, NULL);
    json_put_cstr(&w, "format", formats[j->manifest.format]);
    json_put_cstr(&w, "name", slash ? slash + 1 : j->file ? j->file : "the command line");
    json_put_str(&w, "manifest", j->text);
    put_files(j, &w);
    put_additions(j, &w);
    json_put_bool(&w, "dry_run", j->c->dry_run);
    json_put_bool(&w, "live", !j->c->not_live);
    json_put_end(&w);
    struct ask_call call = {
        .method = "POST", .path = node_ask_path(j->mem, "/apps/%s/deployments", arena_cstr(j->mem, j->app)), .w = &w};
    err e = node_ask(j->a, j->mem, &call, answer, d);
    buf_free(&b);
    return e;
}

/* Until it has ended. A connection that breaks meanwhile is no reason to give it up: it goes on. */
static err follow(struct job *j, struct answer *answer, struct diag *d) {
    char *app = arena_cstr(j->mem, j->app);
    for (int tries = 0;;) {
        struct diag own = DIAG_INIT;
        str state = json_str(json_get(&answer->body, "state"));
        if (!str_eqc(state, "working")) return ERR_OK;
        show(j, STR_FMT, STR_ARG(json_str(json_get(&answer->body, "progress"))));
        unsigned id = (unsigned)json_i64(json_get(&answer->body, "id")),
                 seen = (unsigned)json_i64(json_get(&answer->body, "seen"));
        str path = node_ask_path(j->mem, "/apps/%s/deployments/%u?wait_ms=%u&seen=%u", app, id, (unsigned)POLL_MS, seen);
        struct answer next;
        err e = node_ask(j->a, j->mem, &(struct ask_call){.method = "GET", .path = path}, &next, &own);
        if (e == ERR_OK) *answer = next, tries = 0;
        else if (!passes(e) || ++tries > TRIES) return diag_set(d, e, DIAG_NOWHERE, "%s", own.text);
        else poll(NULL, 0, 250 << MIN(tries, 4));
    }
}

static err read_result(struct job *j, const struct answer *answer, struct diag *d) {
    const struct json *problem = json_get(&answer->body, "error"), *offset = json_get(problem, "offset");
    j->to->result = arena_make(j->mem, struct json);
    *(struct json *)(uintptr_t)j->to->result = answer->body;
    if (!problem) return ERR_OK;
    char text[sizeof d->text];
    snprintf(text, sizeof text, STR_FMT, STR_ARG(json_str(json_get(problem, "message"))));
    text_tame(text, strlen(text));
    return diag_set(d, node_ask_code(json_str(json_get(problem, "code")), 422),
                    offset ? (uint64_t)json_i64(offset) : DIAG_NOWHERE, "%s", text);
}

/* Which of the files that the manifest names, and whether its build command would have made it. */
static err name_file(const struct job *j, err e, struct diag *d) {
    str file = j->bundle.at_fault;
    if (file.n && !memmem(d->text, strlen(d->text), file.p, file.n)) diag_prefix(d, STR_FMT, STR_ARG(file));
    size_t n = strlen(d->text);
    if (e == ERR_NOT_FOUND && j->c->no_build && j->manifest.builds.n)
        snprintf(d->text + n, sizeof d->text - n, "; without --no-build it would be built");
    return e;
}

static err upload_named(struct job *j, const struct json *paths, struct diag *d) {
    JSON_EACH(item, paths)
    for (uint32_t i = 0; i < j->bundle.files.n; i++)
        if (str_eq(j->bundle.files.p[i].path, json_str(item))) TRY(upload(j, &j->bundle.files.p[i], 0, d));
    return ERR_OK;
}

static err begin_and_follow(struct job *j, struct answer *answer, struct diag *d) {
    for (int tries = 0;; tries++) { /* where too many are under way it was not even begun */
        struct diag own = DIAG_INIT;
        err e = begin(j, answer, &own);
        if (e == ERR_OK) return follow(j, answer, d);
        if (e != ERR_AGAIN || tries == TRIES) return diag_set(d, e, own.offset, "%s", own.text);
        show(j, "waiting: %s", own.text);
        poll(NULL, 0, 250 << MIN(tries, 4));
    }
}

static err deploy(struct job *j, struct diag *d) {
    struct answer answer;
    struct stat st;
    const char *path = j->c->path ? j->c->path : ".";
    bool is_manifest = stat(path, &st) == 0 && (S_ISDIR(st.st_mode) || str_ends(str_c(path), STR(".toml")));
    if (!is_manifest && !j->c->app)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "which app? orlo deploy FILE --app NAME; or a folder with an orlo.toml");
    TRY(is_manifest ? open_manifest(j, path, d) : make_manifest(j, d));
    TRY(build(j, d));
    if (j->manifest.fetches.n) {
        show(j, "fetching what the manifest names by URL");
        TRY(node_manifest_fetch(j->mem, &j->manifest, d));
    }
    j->to->of_file = !is_manifest;
    err e = node_bundle_of(j->mem, &j->manifest, j->folder, &j->bundle, d);
    if (e != ERR_OK) return is_manifest ? name_file(j, e, d) : e;
    if (j->c->strict) TRY(node_db_strict(j->mem, &j->manifest, j->folder, d));
    TRY(node_bundle_hash(&j->bundle, hashed, j, d));
    j->to->of_file = false;
    TRY(node_ask_open(&j->c->where, &j->a, d));
    TRY(upload_all(j, d));
    for (int rounds = 0;; rounds++) {
        TRY(begin_and_follow(j, &answer, d));
        if (!json_count(json_get(&answer.body, "missing")) || j->c->dry_run || rounds == ROUNDS) break;
        TRY(upload_named(j, json_get(&answer.body, "missing"), d)); /* what was there went away with another deployment */
    }
    e = read_result(j, &answer, d);
    j->to->of_file = !is_manifest && e != ERR_BUSY && e != ERR_DENIED && e != ERR_USAGE;
    return e;
}

err node_command_deploy(arena *out, const struct node_deploy_config *c, struct node_deployed *to, struct diag *d) {
    struct job j = {.c = c, .mem = out, .to = to, .shows = isatty(STDERR_FILENO)};
    uint64_t started_ns = clock_mono_ns();
    *to = (struct node_deployed){0};
    err e = deploy(&j, d);
    show_nothing(&j);
    to->ns = clock_mono_ns() - started_ns;
    node_ask_close(j.a);
    return e;
}
