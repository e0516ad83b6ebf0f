/* check: all that is wrong with an app before anybody deploys it. Its manifest is read by a job, and each function's file compiled by one, which
 * says whether what it imports is offered here; what the manifest names in its folder is looked for. No node is asked. */
#include "base/json.h"
#include "manifest/config.h"
#include "manifest/manifest.h"
#include "node/command/db.h"
#include "node/command/download.h"
#include "node/node_int.h"
#include "node/snapshot.h"
#include "node/wire.h"
#include "wasi/wasi.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct checking {
    arena *mem;
    const struct node_check_config *config;
    struct node_limits limits;
    struct manifest m;
    const char *file;         /* the manifest's path */
    str folder;               /* its own, with a slash; empty: here */
    const char **kinds;       /* of each function; NULL: not known */
    uint32_t errors, remarks; /* of all notes */
};

static void note(struct checking *k, bool is_error, str key, const char *fmt, ...) PRINTF_LIKE(4, 5);
static void note(struct checking *k, bool is_error, str key, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    struct manifest_note n = {.is_error = is_error, .key = key, .text = arena_vfmt(k->mem, fmt, ap)};
    va_end(ap);
    const struct manifest_place *at = manifest_place_of(&k->m, key);
    if (at) n.line = at->line, n.column = at->column;
    text_tame((char *)(uintptr_t)n.text.p, n.text.n);
    vec_push(k->mem, &k->m.notes, n);
}

static str key_of(struct checking *k, const struct app_function *f, const char *key) {
    const char *table = k->m.format == MANIFEST_SPIN ? "component" : "functions";
    return arena_fmt(k->mem, "%s." STR_FMT ".%s", table, STR_ARG(f->name), key);
}

/* ---- what it names ---- */

static char *path_of(struct checking *k, str below) {
    bool whole = below.n && below.p[0] == '/';
    return arena_cstr(
        k->mem, arena_fmt(k->mem, STR_FMT STR_FMT, whole ? 0 : (int)k->folder.n, (const char *)k->folder.p, STR_ARG(below)));
}

static const struct manifest_build *build_of(const struct checking *k, str function) {
    const struct manifest_build *found = NULL;
    for (uint32_t i = 0; i < k->m.builds.n; i++)
        if (str_eq(k->m.builds.p[i].function, function) || (!found && !k->m.builds.p[i].function.n)) found = &k->m.builds.p[i];
    return found;
}

static void check_kind(struct checking *k, const struct app_function *f, uint32_t kind) {
    if (!wasi_kind_serves((enum wasi_kind)kind))
        note(k, true, key_of(k, f, "source"), STR_FMT " is a %s, and answers no requests", STR_ARG(f->source),
             node_kind_text(kind));
}

/* What the compiler says of it: the image itself is nobody's. */
static void check_module(struct checking *k, uint32_t i, const struct node_input *in, const char *path) {
    const struct app_function *f = &k->m.record.functions.p[i];
    struct diag d = DIAG_INIT;
    uint32_t kind = 0;
    k->limits.app.memory_bytes_max = f->limits.memory_bytes_max;
    err e = node_compile_try(in, path, &k->limits, &kind, &d);
    if (e == ERR_OK) {
        k->kinds[i] = node_kind_text(kind);
        check_kind(k, f, kind);
        return;
    }
    char at[32] = "";
    if (d.offset != DIAG_NOWHERE) snprintf(at, sizeof at, " at byte %llu:", (unsigned long long)d.offset);
    note(k, true, key_of(k, f, "source"), STR_FMT ":%s %s", STR_ARG(f->source), at, d.text[0] ? d.text : err_text(e));
}

static void check_source(struct checking *k, uint32_t i) {
    const struct app_function *f = &k->m.record.functions.p[i];
    const struct manifest_build *build = build_of(k, f->name);
    struct node_input in;
    struct diag d = DIAG_INIT;
    struct stat st;
    const char *path = node_manifest_source(k->mem, &k->m, k->folder, i);
    if (stat(path, &st) && errno == ENOENT) {
        if (build)
            note(k, false, key_of(k, f, "source"), STR_FMT " is not there yet; its build makes it: " STR_FMT, STR_ARG(f->source),
                 STR_ARG(build->command));
        else note(k, true, key_of(k, f, "source"), STR_FMT " is not there, and no build makes it", STR_ARG(f->source));
        return;
    }
    if (node_input_open(path, &in, &d) != ERR_OK) {
        note(k, true, key_of(k, f, "source"), STR_FMT ": %s", STR_ARG(f->source), d.text);
        return;
    }
    if (!in.is_image) check_module(k, i, &in, path);
    close(in.fd);
}

static void check_folders(struct checking *k, const struct app_function *f) {
    for (uint32_t i = 0; i < f->grants.dirs.n; i++) {
        struct diag d = DIAG_INIT;
        struct app_dir dir = f->grants.dirs.p[i];
        struct app_grants one = {.dirs = {&dir, 1, 1}};
        dir.host = str_c(path_of(k, dir.host));
        if (node_grants_check(&one, &d) != ERR_OK)
            note(k, true, key_of(k, f, k->m.format == MANIFEST_SPIN ? "files" : "dirs"), "%s", d.text);
    }
}

static bool is_there(struct checking *k, str folder, str file, bool want_folder) {
    struct stat st;
    str below = file.n ? arena_fmt(k->mem, STR_FMT "/" STR_FMT, STR_ARG(folder), STR_ARG(file)) : folder;
    return stat(path_of(k, below), &st) == 0 && (want_folder ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode));
}

static void check_files(struct checking *k, uint32_t i) {
    const struct app_files *f = &k->m.record.files.p[i];
    str key = arena_fmt(k->mem, "files.%u", i);
    if (!is_there(k, f->folder, (str){0}, true)) {
        bool built = build_of(k, STR("")) != NULL;
        note(k, !built, key, "the folder " STR_FMT " is not there%s", STR_ARG(f->folder),
             built ? " yet; the build may make it" : "");
        return;
    }
    if (f->spa && !is_there(k, f->folder, f->index, false))
        note(k, true, key, "the folder " STR_FMT " has no " STR_FMT ", which answers what is not there", STR_ARG(f->folder),
             STR_ARG(f->index));
    if (f->not_found.n && !is_there(k, f->folder, f->not_found, false))
        note(k, true, key, "the folder " STR_FMT " has no " STR_FMT ", which answers what is not there", STR_ARG(f->folder),
             STR_ARG(f->not_found));
}

/* Each as a deployment would refuse it; what else there is to say of them, orlo db check says. */
static void check_database(struct checking *k) {
    struct migration_ask ask = {0};
    struct migration_plan plan;
    struct diag d = DIAG_INIT;
    if (!k->m.record.database.engine) return;
    str folder = k->folder.n ? str_sub(k->folder, 0, MAX(k->folder.n - 1, (size_t)1)) : STR(".");
    err e = node_db_ask_of(k->mem, &k->m, folder, &ask, &d);
    if (e == ERR_OK && ask.files.n) e = node_migrate(k->mem, &ask, &plan, &d);
    if (e != ERR_OK) note(k, true, STR("database"), "%s", d.text);
    for (uint32_t i = 0; e == ERR_OK && ask.files.n && i < plan.notes.n; i++) {
        const struct migration_note *n = &plan.notes.p[i];
        if (n->is_error)
            note(k, true, STR("database"), STR_FMT ":%u:%u: " STR_FMT ": " STR_FMT, STR_ARG(n->file), n->line, n->column,
                 STR_ARG(n->code), STR_ARG(n->text));
    }
}

static void check_routes(struct checking *k) {
    struct diag d = DIAG_INIT;
    if (node_routes_check(&k->m.record, &d) != ERR_OK) note(k, true, STR(""), "%s", d.text);
}

static bool is_fetched(const struct checking *k, str function) {
    for (uint32_t i = 0; i < k->m.fetches.n; i++)
        if (str_eq(k->m.fetches.p[i].function, function)) return true;
    return false;
}

static void check_app(struct checking *k) {
    const struct app_record *r = &k->m.record;
    struct diag d = DIAG_INIT;
    check_routes(k);
    check_database(k);
    bool fetched = node_manifest_fetch(k->mem, &k->m, &d) == ERR_OK;
    if (!fetched) note(k, true, STR(""), "%s", d.text);
    for (uint32_t i = 0; i < r->functions.n; i++) {
        if (fetched || !is_fetched(k, r->functions.p[i].name)) check_source(k, i);
        check_folders(k, &r->functions.p[i]);
    }
    for (uint32_t i = 0; i < r->files.n; i++) check_files(k, i);
}

/* ---- a Supabase project: functions that its file does not name ---- */

static bool is_told(const struct checking *k, str name) {
    str key = arena_fmt(k->mem, "functions." STR_FMT, STR_ARG(name));
    for (uint32_t i = 0; i < k->m.notes.n; i++)
        if (str_starts(k->m.notes.p[i].key, key)) return true;
    return app_record_function(&k->m.record, name) != UINT32_MAX;
}

static void find_edge_functions(struct checking *k) {
    enum { MOST = 256 };
    DIR *dir = opendir(path_of(k, STR("supabase/functions")));
    struct dirent *entry;
    for (int n = 0; dir && n < MOST && (entry = readdir(dir)); n++) {
        str name = str_c(entry->d_name);
        if (name.p[0] == '.' || name.p[0] == '_' || is_told(k, name)) continue;
        if (is_there(k, arena_fmt(k->mem, "supabase/functions/" STR_FMT, STR_ARG(name)), STR("index.ts"), false))
            note(k, false, arena_fmt(k->mem, "functions." STR_FMT, STR_ARG(name)),
                 "supabase/functions/" STR_FMT "/index.ts is a function of Deno's, which does not run here yet", STR_ARG(name));
    }
    if (dir) closedir(dir);
}

/* ---- what is said ---- */

static void count(struct checking *k) {
    for (uint32_t i = 0; i < k->m.notes.n; i++) *(k->m.notes.p[i].is_error ? &k->errors : &k->remarks) += 1;
    if (k->m.errors > k->errors) k->errors = k->m.errors;
}

static void print_text(const struct checking *k, FILE *to) {
    for (uint32_t i = 0; i < k->m.notes.n; i++) {
        const struct manifest_note *n = &k->m.notes.p[i];
        fputs(k->file, to);
        if (n->line) fprintf(to, ":%u:%u", n->line, n->column);
        fprintf(to, ": %s: " STR_FMT "%s" STR_FMT "\n", n->is_error ? "error" : "remark", STR_ARG(n->key), n->key.n ? ": " : "",
                STR_ARG(n->text));
    }
    if (k->errors > k->m.notes.n) fprintf(to, "%s: and more errors\n", k->file);
    if (k->errors) return;
    if (k->m.config) {
        fprintf(to, "%s: a node's configuration, without an error\n", k->file);
        return;
    }
    fprintf(to, "%s: the app " STR_FMT ": %u route%s\n", k->file, STR_ARG(k->m.record.name), k->m.record.routes.n,
            k->m.record.routes.n == 1 ? "" : "s");
    for (uint32_t i = 0; i < k->m.record.functions.n; i++) {
        const struct app_function *f = &k->m.record.functions.p[i];
        fprintf(to, "  " STR_FMT ": " STR_FMT " (%s)\n", STR_ARG(f->name), STR_ARG(f->source),
                k->kinds[i] ? k->kinds[i] : "not looked at");
    }
}

static void print_json(const struct checking *k, FILE *to) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    json_put_object(&w, NULL);
    json_put_cstr(&w, "file", k->file);
    json_put_bool(&w, "ok", !k->errors);
    json_put_str(&w, "app", k->m.record.name);
    json_put_array(&w, "problems");
    for (uint32_t i = 0; i < k->m.notes.n; i++) {
        const struct manifest_note *n = &k->m.notes.p[i];
        json_put_object(&w, NULL);
        json_put_bool(&w, "error", n->is_error);
        json_put_u64(&w, "line", n->line);
        json_put_u64(&w, "column", n->column);
        json_put_str(&w, "key", n->key);
        json_put_str(&w, "text", n->text);
        json_put_end(&w);
    }
    json_put_end(&w);
    json_put_array(&w, "functions");
    for (uint32_t i = 0; !k->m.errors && i < k->m.record.functions.n; i++) {
        json_put_object(&w, NULL);
        json_put_str(&w, "name", k->m.record.functions.p[i].name);
        json_put_str(&w, "source", k->m.record.functions.p[i].source);
        json_put_cstr(&w, "kind", k->kinds[i] ? k->kinds[i] : "");
        json_put_end(&w);
    }
    json_put_end(&w);
    json_put_end(&w);
    fprintf(to, STR_FMT "\n", STR_ARG(buf_str(&b)));
    buf_free(&b);
}

/* "shop/supabase/config.toml" is of the folder "shop". */
static str folder_of(const struct checking *k) {
    str file = str_c(k->file), called = k->m.config ? (str){0} : str_c(manifest_format_file(k->m.format));
    if (called.n && str_ends(file, called)) return str_sub(file, 0, file.n - called.n);
    return (str){file.p, 0};
}

err node_check(const struct node_check_config *config, FILE *to, uint32_t *errors, struct diag *d) {
    struct checking k = {.mem = arena_new(0), .config = config, .limits = config->limits};
    node_limits_fill(&k.limits);
    err e = node_manifest(k.mem, config->path, STR(""), &k.m, &k.file, d);
    if (e == ERR_OK) {
        k.folder = folder_of(&k);
        k.kinds = arena_array(k.mem, const char *, k.m.record.functions.n + 1);
        if (k.m.format == MANIFEST_SUPABASE) find_edge_functions(&k);
        if (!k.m.errors && !k.m.config) check_app(&k);
        count(&k);
        if (config->json) print_json(&k, to);
        else print_text(&k, to);
        *errors = k.errors;
    }
    arena_free(k.mem);
    return e;
}
