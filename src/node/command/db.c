/* db: what a person does to the database of an app, by the node that runs it. The folder's part is read here: its manifest and files, and what a job
 * makes of them; what is in the database is asked of the node.
 *
 *   migrate, reset   manifest ──> files of SQL ──uploaded──> POST …/migrations ──> what was applied, what is wrong
 *   restore          a dump: its head says which migrations it stands for; the rest is run as a seed of an empty database
 *   status, diff     what is there, held against the folder
 *   dump, types      the catalogue, as SQL or TypeScript (db_sql.c, db_types.c)
 *   query, explain   as somebody
 */
#include "node/command/ask.h"
#include "node/command/bundle.h"
#include "node/command/db.h"
#include "node/command/table.h"
#include "node/migration.h"
#include "node/node_int.h"
#include "query/query.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROUNDS = 3, ASKED_BYTES_MAX = 192 << 10 };

struct project {
    const struct node_db_config *c;
    arena *mem;
    struct manifest manifest;
    const char *file; /* NULL: no manifest was read */
    str folder, app;
    struct bundle files;
    struct ask *a;
};

/* Nothing has no address. */
static void put_bytes(str s, FILE *to) {
    if (s.n) fwrite(s.p, 1, s.n, to);
}

/* ---- which app ---- */

static str folder_of(struct project *p) {
    str path = str_c(p->file);
    for (int up = p->manifest.format == MANIFEST_SUPABASE ? 2 : 1; up > 0; up--) {
        while (path.n && path.p[path.n - 1] != '/') path.n--;
        while (path.n > 1 && path.p[path.n - 1] == '/') path.n--;
    }
    return path.n ? arena_str(p->mem, path) : STR(".");
}

static err read_manifest(struct project *p, const char *dir, struct diag *d) {
    TRY(node_manifest(p->mem, dir, str_c(p->c->app), &p->manifest, &p->file, d));
    if (p->manifest.errors)
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "%s has %u mistake%s: orlo check says which", p->file, p->manifest.errors,
                        p->manifest.errors == 1 ? "" : "s");
    p->app = p->manifest.record.name;
    p->folder = folder_of(p);
    return ERR_OK;
}

/* dir: NULL: where the app is named, no folder is looked at. */
static err open_project(struct project *p, const struct node_db_config *c, const char *dir, struct diag *d) {
    *p = (struct project){.c = c, .mem = c->mem};
    if (!dir && c->app) p->app = str_c(c->app);
    else TRY(read_manifest(p, dir ? dir : ".", d));
    TRY(app_name_check(p->app, d));
    return node_ask_open(&c->where, &p->a, d);
}

static err needs_database(const struct project *p, struct diag *d) {
    if (p->manifest.record.database.engine) return ERR_OK;
    return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "%s says nothing of a database: write database = \"sqlite\" there", p->file);
}

static err read_files(struct project *p, bool seeds, struct diag *d) {
    TRY(needs_database(p, d));
    TRY(node_bundle_of_sql(p->mem, &p->manifest, p->folder, seeds, &p->files, d));
    return node_bundle_hash(&p->files, NULL, NULL, d);
}

/* What it is called below the folder of migrations; of a seed its whole path. */
static str name_of(const struct bundle_file *f) {
    size_t slash = f->path.n;
    while (!f->is_seed && slash && f->path.p[slash - 1] != '/') slash--;
    return f->is_seed ? f->path : str_sub(f->path, slash, f->path.n);
}

/* ---- asking ---- */

static err ask_node(struct project *p, const char *method, const char *what, const struct json_writer *w, struct answer *to,
                    struct diag *d) {
    str path =
        arena_fmt(p->mem, STR_FMT "%s", STR_ARG(node_ask_path(p->mem, "/apps/%s/database", arena_cstr(p->mem, p->app))), what);
    return node_ask(p->a, p->mem, &(struct ask_call){.method = method, .path = path, .w = w}, to, d);
}

static err must_agree(const struct node_db_config *c, const char *verb, struct diag *d) {
    if (c->yes) return ERR_OK;
    return diag_set(d, ERR_USAGE, DIAG_NOWHERE,
                    "orlo db %s empties the database first, and all its rows are gone: add --yes (orlo db dump keeps them)",
                    verb);
}

static void print_tamed(FILE *to, str s) {
    for (size_t i = 0; i < s.n; i++) fputc(s.p[i] < ' ' || s.p[i] == 127 ? '?' : s.p[i], to);
}

/* ---- migrations ---- */

static void print_note(const struct project *p, str file, int64_t line, int64_t column, str kind, str code, str text) {
    str below = p->manifest.database.migrations;
    if (below.n && !str_eqc(below, ".") && file.n && str_find(file, '/') == file.n)
        print_tamed(stderr, below), fputc('/', stderr);
    print_tamed(stderr, file);
    if (line) fprintf(stderr, ":%lld:%lld", (long long)line, (long long)column);
    fputs(": ", stderr), print_tamed(stderr, kind);
    fprintf(stderr, ": " STR_FMT "%s", STR_ARG(str_sub(code, 0, 5)), code.n ? ": " : "");
    print_tamed(stderr, text);
    fputc('\n', stderr);
}

/* An older node says no kind. */
static str kind_of(const struct json *note) {
    str kind = json_str(json_get(note, "kind"));
    return kind.n ? kind : json_bool(json_get(note, "error")) ? STR("error") : STR("remark");
}

static err print_migrated(const struct project *p, const struct json *body, struct diag *d) {
    const struct json *problem = json_get(body, "error"), *list = json_get(body, "migrations");
    JSON_EACH(n, json_get(body, "notes"))
    print_note(p, json_str(json_get(n, "file")), json_i64(json_get(n, "line")), json_i64(json_get(n, "column")), kind_of(n),
               json_str(json_get(n, "code")), json_str(json_get(n, "text")));
    if (p->c->json) node_table_json(p->c->to, body);
    for (uint32_t i = 0; i < json_count(list) && !p->c->json; i++) {
        const struct json *m = json_item(list, i);
        if (problem && !json_bool(json_get(m, "applied"))) continue;
        fputs(p->c->dry_run ? "would apply " : "applied ", p->c->to);
        print_tamed(p->c->to, json_str(json_get(m, "name")));
        fputc('\n', p->c->to);
    }
    if (!problem && !json_count(list) && !p->c->json) fputs("all migrations are applied\n", p->c->to);
    if (!problem) return ERR_OK;
    return diag_set(d, node_ask_code(json_str(json_get(problem, "code")), 422), DIAG_NOWHERE, STR_FMT,
                    STR_ARG(json_str(json_get(problem, "message"))));
}

struct mark { /* a migration that a dump stands for */
    str name, digest;
};
typedef VEC(struct mark) marks;
enum how { NEW, RESET, ROWS };

static void put_wanted(const struct project *p, const marks *m, enum how how, struct json_writer *w) {
    json_put_object(w, NULL);
    json_put_array(w, "files");
    for (uint32_t i = 0; m && i < m->n; i++) {
        json_put_object(w, NULL);
        json_put_str(w, "name", m->p[i].name);
        json_put_str(w, "digest", m->p[i].digest);
        json_put_bool(w, "mark", true);
        json_put_end(w);
    }
    for (uint32_t i = 0; i < p->files.files.n; i++) {
        const struct bundle_file *f = &p->files.files.p[i];
        json_put_object(w, NULL);
        json_put_str(w, "name", name_of(f));
        json_put_hex(w, "digest", "", f->digest, sizeof f->digest);
        if (f->is_seed) json_put_bool(w, "seed", true);
        else if (p->c->mark) json_put_bool(w, "mark", true);
        json_put_end(w);
    }
    json_put_end(w);
    json_put_bool(w, "reset", how == RESET);
    if (how == ROWS) json_put_bool(w, "rows", true);
    json_put_bool(w, "dry_run", p->c->dry_run);
    json_put_end(w);
}

/* What was uploaded may go with a deployment that ends meanwhile: then once more. */
static err migrate(struct project *p, const marks *m, enum how how, struct diag *d) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    struct answer answer;
    err e = ERR_OK;
    put_wanted(p, m, how, &w);
    for (int round = 0; round < ROUNDS && e == ERR_OK; round++) {
        e = node_bundle_upload(p->a, p->app, &p->files, isatty(STDERR_FILENO), d);
        if (e == ERR_OK) e = ask_node(p, "POST", "/migrations", &w, &answer, d);
        if (e == ERR_OK && !str_eqc(json_str(json_get(json_get(&answer.body, "error"), "code")), "not_found")) break;
    }
    buf_free(&b);
    return e == ERR_OK ? print_migrated(p, &answer.body, d) : e;
}

err node_db_migrate(const struct node_db_config *c, struct diag *d) {
    struct project p;
    TRY(open_project(&p, c, c->operand ? c->operand : ".", d));
    err e = read_files(&p, false, d);
    if (e == ERR_OK && c->strict) e = node_db_strict(p.mem, &p.manifest, p.folder, d);
    if (e == ERR_OK) e = migrate(&p, NULL, NEW, d);
    node_ask_close(p.a);
    return e;
}

err node_db_reset(const struct node_db_config *c, struct diag *d) {
    struct project p;
    TRY(must_agree(c, "reset", d));
    TRY(open_project(&p, c, c->operand ? c->operand : ".", d));
    err e = read_files(&p, true, d);
    if (e == ERR_OK) e = migrate(&p, NULL, RESET, d);
    node_ask_close(p.a);
    return e;
}

/* ---- what is there ---- */

static const struct json *applied_named(const struct json *body, str name) {
    JSON_EACH(m, json_get(body, "migrations"))
    if (str_eq(json_str(json_get(m, "name")), name)) return m;
    return NULL;
}

static const struct bundle_file *file_named(const struct project *p, str name) {
    for (uint32_t i = 0; i < p->files.files.n; i++)
        if (str_eq(name_of(&p->files.files.p[i]), name)) return &p->files.files.p[i];
    return NULL;
}

static bool is_digest(const struct bundle_file *f, str hex) {
    char text[2 * CRYPTO_SHA256_BYTES + 1];
    for (size_t i = 0; i < sizeof f->digest; i++) snprintf(text + 2 * i, 3, "%02x", f->digest[i]);
    return str_eq(hex, str_c(text));
}

static void print_status(struct project *p, const struct json *body) {
    static const char *const heads[] = {"MIGRATION", "STATE", "SINCE", NULL};
    struct table t;
    node_table_begin(&t, p->mem, heads);
    JSON_EACH(m, json_get(body, "migrations")) {
        str name = json_str(json_get(m, "name"));
        const struct bundle_file *f = file_named(p, name);
        node_table_put(&t, name);
        node_table_put(&t, !p->file                                         ? STR("applied")
                           : !f                                             ? STR("applied, and missing here")
                           : !is_digest(f, json_str(json_get(m, "digest"))) ? STR("applied, and edited since")
                                                                            : STR("applied"));
        node_table_put(&t, json_str(json_get(m, "at")));
    }
    for (uint32_t i = 0; i < p->files.files.n; i++) {
        str name = name_of(&p->files.files.p[i]);
        if (applied_named(body, name)) continue;
        node_table_put(&t, name);
        node_table_put(&t, STR("pending"));
        node_table_put(&t, STR(""));
    }
    arena *scratch = arena_new(0);
    fprintf(p->c->to, STR_FMT ": " STR_FMT ", " STR_FMT "\n", STR_ARG(p->app), STR_ARG(json_str(json_get(body, "engine"))),
            STR_ARG(node_table_bytes(scratch, (uint64_t)json_i64(json_get(body, "bytes")))));
    arena_free(scratch);
    if (t.cells.n) node_table_print(&t, p->c->to);
    else fputs("no migrations\n", p->c->to);
}

err node_db_status(const struct node_db_config *c, struct diag *d) {
    struct project p;
    struct answer answer;
    TRY(open_project(&p, c, c->operand, d));
    err e = p.file ? read_files(&p, false, d) : ERR_OK;
    if (e == ERR_OK) e = ask_node(&p, "GET", "", NULL, &answer, d);
    if (e == ERR_OK && c->json) node_table_json(c->to, &answer.body);
    else if (e == ERR_OK) print_status(&p, &answer.body);
    node_ask_close(p.a);
    return e;
}

/* The catalogue of what is live; NULL: nothing was ever migrated. */
static err ask_catalog(struct project *p, struct catalog **out, struct diag *d) {
    struct answer answer;
    *out = NULL;
    TRY(ask_node(p, "GET", "/catalog", NULL, &answer, d));
    return answer.text.n ? catalog_read(p->mem, answer.text, out, d) : ERR_OK;
}

/* What the folder's migrations make of an empty database. */
static err folder_catalog(struct project *p, struct catalog **out, struct diag *d) {
    struct migration_ask ask = {.engine = (uint8_t)p->manifest.record.database.engine};
    struct migration_plan plan;
    *out = NULL;
    for (uint32_t i = 0; i < p->files.files.n; i++) {
        const struct bundle_file *f = &p->files.files.p[i];
        struct migration_file file = {.name = name_of(f)};
        int fd = node_bundle_open(f);
        err e = fd < 0 ? diag_set(d, ERR_IO, DIAG_NOWHERE, STR_FMT ": %s", STR_ARG(f->disk), strerror(errno))
                       : node_fd_bytes(p->mem, fd, MIGRATION_SQL_BYTES_MAX, &file.text, d);
        if (fd >= 0) close(fd);
        TRY(e);
        memcpy(file.digest, f->digest, sizeof file.digest);
        vec_push(p->mem, &ask.files, file);
    }
    if (!ask.files.n) return ERR_OK;
    TRY(node_migrate(p->mem, &ask, &plan, d));
    for (uint32_t i = 0; i < plan.notes.n; i++)
        if (plan.notes.p[i].is_error)
            print_note(p, plan.notes.p[i].file, plan.notes.p[i].line, plan.notes.p[i].column, STR("error"), plan.notes.p[i].code,
                       plan.notes.p[i].text);
    if (plan.errors) return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "the migrations have %u mistakes", plan.errors);
    str text = {0};
    for (uint32_t i = 0; i < plan.parts.n; i++)
        if (plan.parts.p[i].catalog.n) text = plan.parts.p[i].catalog;
    return text.n ? catalog_read(p->mem, text, out, d) : ERR_OK;
}

/* What stands in its PostgreSQL, and what the files make there of an empty one: lines of objects. */
static err ask_schema(struct project *p, str *text, struct diag *d) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    struct answer answer;
    put_wanted(p, NULL, false, &w);
    err e = ask_node(p, "POST", "/schema", &w, &answer, d);
    buf_free(&b);
    *text = answer.text;
    return e;
}

static err diff_postgres(struct project *p, struct diag *d) {
    struct buf b = {0};
    str text;
    err e = node_bundle_upload(p->a, p->app, &p->files, isatty(STDERR_FILENO), d);
    if (e == ERR_OK) e = ask_schema(p, &text, d);
    if (e == ERR_OK) e = node_db_schema_diff(p->mem, text, &b, d);
    if (e == ERR_OK && !b.n) fputs("the database is what the migrations make\n", p->c->to);
    if (e == ERR_OK && b.n)
        fputs("what stands in the database and no migration makes, as one that makes it (orlo db migrate --mark, where it stands "
              "already):\n",
              stderr);
    for (str rest = buf_str(&b), line; rest.n;) {
        str_cut(rest, '\n', &line, &rest);
        print_tamed(p->c->to, line), fputc('\n', p->c->to);
    }
    buf_free(&b);
    return e;
}

static err diff_catalogs(struct project *p, struct diag *d) {
    struct catalog *live, *folder;
    TRY(ask_catalog(p, &live, d));
    TRY(folder_catalog(p, &folder, d));
    if (!node_db_sql_diff(p->mem, live, folder, p->c->to)) fputs("the database is what the migrations make\n", p->c->to);
    return ERR_OK;
}

static bool is_postgres(const struct answer *status) { return !str_eqc(json_str(json_get(&status->body, "engine")), "sqlite"); }

err node_db_diff(const struct node_db_config *c, struct diag *d) {
    struct project p;
    struct answer status;
    TRY(open_project(&p, c, c->operand ? c->operand : ".", d));
    err e = read_files(&p, false, d);
    if (e == ERR_OK) e = ask_node(&p, "GET", "", NULL, &status, d);
    if (e == ERR_OK) e = is_postgres(&status) ? diff_postgres(&p, d) : diff_catalogs(&p, d);
    if (e == ERR_UNSUPPORTED) e = diff_catalogs(&p, d);
    node_ask_close(p.a);
    return e;
}

/* ---- what was made by hand ---- */

static err pull_own(struct project *p, str *text, struct diag *d) {
    struct answer status;
    struct buf b = {0};
    str objects;
    TRY(read_files(p, false, d));
    TRY(ask_node(p, "GET", "", NULL, &status, d));
    if (!is_postgres(&status))
        return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE,
                        "on SQLite nothing stands that no migration made: orlo db pull URL, or FILE, takes it from elsewhere");
    TRY(node_bundle_upload(p->a, p->app, &p->files, isatty(STDERR_FILENO), d));
    TRY(ask_schema(p, &objects, d));
    err e = node_db_schema_diff(p->mem, objects, &b, d);
    *text = arena_str(p->mem, buf_str(&b));
    buf_free(&b);
    return e;
}

err node_db_pull(const struct node_db_config *c, struct diag *d) {
    struct project p;
    struct node_db_config marks = *c;
    str text = {0};
    if (c->operand) return node_db_pull_from(c, d);
    TRY(open_project(&p, c, ".", d));
    err e = pull_own(&p, &text, d);
    node_ask_close(p.a);
    TRY(e);
    if (!text.n) return fputs("the database is what the migrations make\n", c->to), ERR_OK;
    TRY(node_db_pull_write(p.mem, NULL, text, false, d));
    marks.mark = true;
    return node_db_migrate(&marks, d);
}

/* ---- dumps ---- */

static void put_head(const struct project *p, const struct json *body, FILE *to) {
    fprintf(to, "-- orlo dump 1: the database of " STR_FMT "\n", STR_ARG(p->app));
    JSON_EACH(m, json_get(body, "migrations")) {
        fputs("-- migration ", to);
        print_tamed(to, json_str(json_get(m, "digest")));
        fputc(' ', to);
        print_tamed(to, json_str(json_get(m, "name")));
        fputc('\n', to);
    }
    fputc('\n', to);
}

/* Before and after the rows the catalogue is the same: no migration came between. */
static err dump(struct project *p, struct diag *d) {
    struct answer status, rows = {0}, after;
    struct catalog *live;
    str schema = {0};
    const struct node_db_config *c = p->c;
    for (int round = 0; round < ROUNDS; round++) {
        TRY(ask_node(p, "GET", "", NULL, &status, d));
        TRY(ask_catalog(p, &live, d));
        bool postgres = live && is_postgres(&status);
        if (postgres && !c->data_only) TRY(ask_schema(p, &schema, d));
        if (!c->schema_only) TRY(ask_node(p, "GET", "/rows", NULL, &rows, d));
        TRY(ask_node(p, "GET", "", NULL, &after, d));
        if (!json_equals(json_get(&status.body, "migrations"), json_get(&after.body, "migrations"))) continue;
        struct buf before = {0}, behind = {0};
        if (postgres && !c->data_only) TRY(node_db_schema_dump(p->mem, schema, live, &before, &behind, d));
        else if (live && !c->data_only) node_db_sql(live, &before, &behind);
        put_head(p, &status.body, c->to);
        put_bytes(buf_str(&before), c->to);
        put_bytes(rows.text, c->to);
        put_bytes(buf_str(&behind), c->to);
        buf_free(&before), buf_free(&behind);
        return fflush(c->to) ? diag_set(d, ERR_IO, DIAG_NOWHERE, "the dump cannot be written: %s", strerror(errno)) : ERR_OK;
    }
    return diag_set(d, ERR_AGAIN, DIAG_NOWHERE, "the database is being migrated meanwhile: try again");
}

err node_db_dump(const struct node_db_config *c, struct diag *d) {
    struct project p;
    if (c->schema_only && c->data_only) return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--schema-only or --data-only, not both");
    TRY(open_project(&p, c, NULL, d));
    err e = dump(&p, d);
    node_ask_close(p.a);
    return e;
}

/* "-- migration DIGEST NAME": what the head of a dump says. */
static err read_marks(struct project *p, const char *path, marks *m, struct diag *d) {
    FILE *f = fopen(path, "re");
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    bool is_dump = false;
    if (!f) return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "%s: %s", path, strerror(errno));
    while ((n = getline(&line, &cap, f)) > 1 && str_starts(str_c(line), STR("-- "))) {
        str text = {(uint8_t *)line, (size_t)n - (line[n - 1] == '\n')}, word = STR("-- migration ");
        is_dump |= str_starts(text, STR("-- orlo dump 1:"));
        if (!str_starts(text, word) || text.n < word.n + 66) continue;
        vec_push(p->mem, m,
                 ((struct mark){.digest = arena_str(p->mem, str_sub(text, word.n, 64)),
                                .name = arena_str(p->mem, str_sub(text, word.n + 65, text.n))}));
    }
    free(line);
    fclose(f);
    if (is_dump) return ERR_OK;
    return diag_set(d, ERR_INVALID, DIAG_NOWHERE,
                    "%s is no dump of orlo db dump (its first line says so): SQL of others is a migration, or a seed", path);
}

static int by_name(const void *a, const void *b) {
    return str_cmp(((const struct mark *)a)->name, ((const struct mark *)b)->name);
}

/* One file, behind the others. */
static err add_file(struct project *p, const char *path, struct diag *d) {
    struct stat st;
    const char *slash = strrchr(path, '/');
    if (stat(path, &st)) return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", path, strerror(errno));
    p->files.mem = p->mem;
    vec_push(p->mem, &p->files.files,
             ((struct bundle_file){.path = str_c(slash ? slash + 1 : path),
                                   .disk = arena_str(p->mem, str_c(path)),
                                   .bytes = (uint64_t)st.st_size,
                                   .is_seed = true}));
    return node_bundle_hash(&p->files, NULL, NULL, d);
}

err node_db_fill(const struct node_db_config *c, const char *path, struct diag *d) {
    struct project p;
    TRY(open_project(&p, c, NULL, d));
    err e = add_file(&p, path, d);
    if (e == ERR_OK) e = migrate(&p, NULL, ROWS, d);
    node_ask_close(p.a);
    return e;
}

err node_db_restore(const struct node_db_config *c, struct diag *d) {
    struct project p;
    marks m = {0};
    TRY(must_agree(c, "restore", d));
    TRY(open_project(&p, c, NULL, d));
    err e = read_marks(&p, c->operand, &m, d);
    if (m.n) qsort(m.p, m.n, sizeof *m.p, by_name);
    if (e == ERR_OK) e = add_file(&p, c->operand, d);
    if (e == ERR_OK) e = migrate(&p, &m, RESET, d);
    node_ask_close(p.a);
    return e;
}

/* ---- to another engine ---- */

/* The line of its manifest, so that the next deployment is for it: in place of what it says. False: it is written another way there. */
static bool say_in_manifest(struct project *p, str value) {
    const struct app_database *was = &p->manifest.record.database;
    str text, made = arena_fmt(p->mem, "\ndatabase = " STR_FMT, STR_ARG(value));
    str line = arena_fmt(p->mem, "\ndatabase = \"%s\"", app_database_text(was->engine));
    struct diag d = DIAG_INIT;
    if (was->secret.n) line = arena_fmt(p->mem, "\ndatabase = { secret = \"" STR_FMT "\" }", STR_ARG(was->secret));
    int fd = p->file && p->manifest.format == MANIFEST_ORLO ? open(p->file, O_RDONLY | O_CLOEXEC) : -1;
    bool ok = fd >= 0 && node_fd_bytes(p->mem, fd, MiB, &text, &d) == ERR_OK;
    if (fd >= 0) close(fd);
    const uint8_t *at = ok ? memmem(text.p, text.n, line.p, line.n) : NULL;
    if (!at) return false;
    size_t from = (size_t)(at - text.p), behind = from + line.n;
    if (behind < text.n && !strchr(" \t\r\n#", text.p[behind])) return false;
    str whole = arena_fmt(p->mem, STR_FMT STR_FMT STR_FMT, STR_ARG(str_sub(text, 0, from)), STR_ARG(made),
                          STR_ARG(str_sub(text, behind, text.n)));
    char *aside = arena_cstr(p->mem, arena_fmt(p->mem, "%s.part", p->file));
    FILE *f = fopen(aside, "we");
    ok = f && fwrite(whole.p, 1, whole.n, f) == whole.n;
    if (f && fclose(f)) ok = false;
    return ok && rename(aside, p->file) == 0;
}

static err drop_old(const struct node_db_config *c, struct diag *d) {
    struct project p;
    struct answer answer;
    if (c->engine)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE,
                        "--engine moves it, --drop-old drops what it was moved away from: one after the other");
    if (!c->yes)
        return diag_set(
            d, ERR_USAGE, DIAG_NOWHERE,
            "orlo db move --drop-old: what the database was moved away from is gone then, with all of its rows: add --yes");
    TRY(open_project(&p, c, c->operand, d));
    err e = ask_node(&p, "POST", "/drop-old", NULL, &answer, d);
    node_ask_close(p.a);
    if (e == ERR_OK) fprintf(c->to, "what the database of " STR_FMT " was moved away from is gone\n", STR_ARG(p.app));
    return e;
}

/* ---- a server of one's own ---- */

enum { URL_SECRET_BYTES = 128 };
#define URL_SECRET "DATABASE_URL"

static bool is_url(const char *to) { return !strncmp(to, "postgres://", 11) || !strncmp(to, "postgresql://", 13); }

static err ask_secrets(struct project *p, const char *method, const char *key, const struct json_writer *w, struct answer *to,
                       struct diag *d) {
    str path = node_ask_path(p->mem, key ? "/apps/%s/secrets/%s" : "/apps/%s/secrets", arena_cstr(p->mem, p->app), key);
    return node_ask(p->a, p->mem, &(struct ask_call){.method = method, .path = path, .w = w}, to, d);
}

/* What was set by somebody may be a URL that is in use. */
static err keep_url(struct project *p, const char *url, struct diag *d) {
    struct answer answer;
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    TRY(ask_secrets(p, "GET", NULL, NULL, &answer, d));
    JSON_EACH(s, json_get(&answer.body, "secrets"))
    if (str_eqc(json_str(json_get(s, "key")), URL_SECRET))
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE,
                        "the app's secret " URL_SECRET
                        " is set already. If that is the server's URL: orlo db move --to secret:" URL_SECRET
                        "; else set another one (orlo secrets set APP NAME), and say --to secret:NAME");
    json_put_object(&w, NULL);
    json_put_cstr(&w, "value", url);
    json_put_end(&w);
    err e = ask_secrets(p, "PUT", URL_SECRET, &w, &answer, d);
    explicit_bzero(b.p, b.n);
    buf_free(&b);
    return e;
}

/* The line that it is in the manifest, without its name. */
static str line_of(struct project *p, const char *engine, const char *secret) {
    return secret ? arena_fmt(p->mem, "{ secret = \"%s\" }", secret) : arena_fmt(p->mem, "\"%s\"", engine);
}

/* With a folder its migrations are brought along: what a node has by itself are those of what was deployed. */
err node_db_move(const struct node_db_config *c, struct diag *d) {
    static const char by_secret[] = "secret:";
    struct project p;
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    struct answer answer;
    if (c->drop_old) return drop_old(c, d);
    const char *to = c->engine ? c->engine : "", *secret = NULL;
    bool url = is_url(to);
    if (url) secret = URL_SECRET;
    else if (!strncmp(to, by_secret, sizeof by_secret - 1)) secret = to + sizeof by_secret - 1;
    if ((secret && (!*secret || strlen(secret) > URL_SECRET_BYTES)) ||
        (!secret && strcmp(to, "sqlite") && strcmp(to, "postgres")))
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE,
                        "orlo db move goes somewhere: --to postgres, or --to sqlite; or to a server of yours: --to postgres://…, "
                        "--to secret:NAME");
    TRY(open_project(&p, c, c->operand, d));
    err e = p.file ? read_files(&p, false, d) : ERR_OK;
    if (e == ERR_OK && p.file) e = node_bundle_upload(p.a, p.app, &p.files, isatty(STDERR_FILENO), d);
    bool kept = e == ERR_OK && url && (e = keep_url(&p, to, d)) == ERR_OK;
    json_put_object(&w, NULL);
    json_put_cstr(&w, "engine", secret ? "server" : to);
    if (secret) json_put_cstr(&w, "secret", secret);
    json_put_end(&w);
    if (e == ERR_OK) e = ask_node(&p, "POST", "/move", &w, &answer, d);
    if (e != ERR_OK && kept) { /* as it was; the node may be gone, too */
        struct diag own = DIAG_INIT;
        struct answer gone;
        if (e != ERR_CLOSED && ask_secrets(&p, "DELETE", URL_SECRET, NULL, &gone, &own) != ERR_OK)
            fprintf(stderr, "the secret " URL_SECRET " is set yet: %s\n", own.text);
    }
    buf_free(&b);
    node_ask_close(p.a);
    if (e != ERR_OK) return e;
    if (c->json) {
        node_table_json(c->to, &answer.body);
    } else {
        JSON_EACH(t, json_get(&answer.body, "tables")) {
            fprintf(c->to, "moved %lld row%s of ", (long long)json_i64(json_get(t, "rows")),
                    json_i64(json_get(t, "rows")) == 1 ? "" : "s");
            print_tamed(c->to, json_str(json_get(t, "name")));
            fputc('\n', c->to);
        }
        fprintf(c->to, STR_FMT " is on %s, as version %lld\n", STR_ARG(p.app), secret ? "a server of yours" : to,
                (long long)json_i64(json_get(&answer.body, "version")));
    }
    str line = line_of(&p, to, secret);
    bool said = say_in_manifest(&p, line);
    if (said) fprintf(stderr, "%s says so from now on\n", p.file);
    else fprintf(stderr, "its manifest has to say database = " STR_FMT " from now on\n", STR_ARG(line));
    return ERR_OK;
}

/* ---- types ---- */

err node_db_types(const struct node_db_config *c, struct diag *d) {
    struct project p;
    struct catalog *live;
    struct buf b = {0};
    const char *language = c->operand ? c->operand : "typescript";
    bool native = node_db_native(NULL, language, NULL);
    if (!native && strcmp(language, "typescript") != 0)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "types are written in typescript, swift, kotlin or dart, not in '%s'",
                        language);
    TRY(open_project(&p, c, NULL, d));
    err e = ask_catalog(&p, &live, d);
    if (e == ERR_OK && !live) e = diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "its database is empty: orlo db migrate fills it");
    if (e == ERR_OK && !(native && node_db_native(live, language, &b))) node_db_typescript(live, &b);
    put_bytes(buf_str(&b), c->to);
    buf_free(&b);
    node_ask_close(p.a);
    return e;
}

/* ---- as somebody ---- */

bool node_db_is_user(str s) {
    bool ok = s.n == 36;
    for (size_t i = 0; ok && i < s.n; i++) {
        uint8_t c = s.p[i];
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        ok = dash ? c == '-' : (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    }
    return ok;
}

/* A user is authenticated, and has his id as `sub`, besides what --claims says. */
static void put_who(const struct node_db_config *c, struct json_writer *w) {
    str as = c->as ? str_c(c->as) : STR("service_role");
    bool user = node_db_is_user(as);
    struct buf claims = {0};
    struct json_writer own = json_writer_of(&claims);
    json_put_str(w, "role", user ? STR("authenticated") : as);
    json_put_object(&own, NULL);
    if (user) json_put_str(&own, "sub", as);
    json_put_str(&own, "role", user ? STR("authenticated") : as);
    json_put_end(&own);
    json_put_str(w, "claims", c->claims ? str_c(c->claims) : buf_str(&claims));
    buf_free(&claims);
}

static err ask_as(struct project *p, const char *what, struct json_writer *w, struct diag *d) {
    struct answer answer;
    TRY(ask_node(p, "POST", what, w, &answer, d));
    put_bytes(answer.text, p->c->to);
    if (answer.text.n && answer.text.p[answer.text.n - 1] != '\n') fputc('\n', p->c->to);
    return ERR_OK;
}

static err read_file(const struct node_db_config *c, const char *path, str *text, struct diag *d) {
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    uint8_t *p = arena_alloc(c->mem, ASKED_BYTES_MAX + 1, 1);
    size_t n = 0;
    ssize_t got = 1;
    if (fd < 0) return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "%s: %s", path, strerror(errno));
    while (n <= ASKED_BYTES_MAX && (got = read(fd, p + n, ASKED_BYTES_MAX + 1 - n)) > 0) n += (size_t)got;
    if (fd != STDIN_FILENO) close(fd);
    if (got < 0) return diag_set(d, ERR_IO, DIAG_NOWHERE, "the query cannot be read: %s", strerror(errno));
    *text = (str){p, n};
    return ERR_OK;
}

/* A file's name, "-", a tree or SQL itself: those have what no file's name begins with or a space. */
static err read_query(const struct node_db_config *c, str *text, struct diag *d) {
    const char *said = c->operand && strcmp(c->operand, "-") != 0 ? c->operand : NULL;
    bool itself = said && access(said, F_OK) != 0 && (said[0] == '{' || strpbrk(said, " \n\t("));
    if (itself) *text = str_c(said);
    else TRY(read_file(c, said, text, d));
    while (text->n && memchr(" \t\r\n;", text->p[text->n - 1], 5)) text->n--;
    while (text->n && memchr(" \t\r\n", text->p[0], 4)) *text = str_sub(*text, 1, text->n);
    if (text->n > ASKED_BYTES_MAX)
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "a query has at most %d KiB", ASKED_BYTES_MAX >> 10);
    return text->n ? ERR_OK : diag_set(d, ERR_USAGE, DIAG_NOWHERE, "there is no query: a tree (docs/query.md), or SQL");
}

/* ---- its rows ---- */

/* As it was answered: a number keeps its digits. */
static str cell_of(const struct query_json *row, uint32_t i) {
    const struct query_json *v = &row->members[i].v;
    return v->kind == JSON_KIND_NULL ? STR("") : v->kind == JSON_KIND_STR ? v->s : v->raw;
}

static void print_csv_cell(FILE *to, str s, bool first) {
    bool quote = false;
    for (size_t i = 0; i < s.n; i++) quote |= s.p[i] == ',' || s.p[i] == '"' || s.p[i] == '\n' || s.p[i] == '\r';
    if (!first) fputc(',', to);
    if (quote) fputc('"', to);
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"') fputc('"', to);
        fputc(s.p[i], to);
    }
    if (quote) fputc('"', to);
}

/* RFC 4180; null is nothing. */
static void print_csv(const struct query_json *rows, FILE *to) {
    for (uint32_t k = 0; k < rows->n; k++) {
        const struct query_json *row = &rows->items[k];
        for (uint32_t i = 0; !k && i < row->n; i++) print_csv_cell(to, row->members[i].key, !i);
        if (!k) fputs("\r\n", to);
        for (uint32_t i = 0; i < row->n; i++) print_csv_cell(to, cell_of(row, i), !i);
        fputs("\r\n", to);
    }
}

/* Where there are more columns than a table has, each row is a list. */
static void print_table(arena *mem, const struct query_json *rows, FILE *to) {
    const char *heads[TABLE_COLUMNS_MAX + 1] = {0};
    struct table t;
    uint32_t n = rows->n ? rows->items[0].n : 0;
    for (uint32_t i = 0; i < n && i < TABLE_COLUMNS_MAX; i++) {
        char *name = arena_cstr(mem, rows->items[0].members[i].key);
        text_tame(name, strlen(name));
        heads[i] = name;
    }
    bool list = n > TABLE_COLUMNS_MAX;
    if (n && !list) node_table_begin(&t, mem, heads);
    for (uint32_t k = 0; k < rows->n; k++) {
        const struct query_json *row = &rows->items[k];
        for (uint32_t i = 0; i < row->n && !list; i++) node_table_put(&t, cell_of(row, i));
        for (uint32_t i = 0; i < row->n && list; i++) {
            print_tamed(to, row->members[i].key), fputs(": ", to);
            print_tamed(to, cell_of(row, i)), fputc('\n', to);
        }
        if (list) fputc('\n', to);
    }
    if (n && !list) node_table_print(&t, to);
    fprintf(to, "(%u row%s)\n", rows->n, rows->n == 1 ? "" : "s");
}

/* A write without a select answers nothing, and a batch no rows: those are shown as they came. */
static void print_rows(struct project *p, str text) {
    const struct node_db_config *c = p->c;
    struct query_json v;
    struct pg_error error = {0};
    bool table = !c->json && !c->csv && isatty(fileno(c->to));
    bool rows = (table || c->csv) && query_json_read(p->mem, text, &v, &error) && v.kind == JSON_KIND_ARRAY;
    for (uint32_t i = 0; rows && i < v.n; i++) rows = v.items[i].kind == JSON_KIND_OBJECT && v.items[i].n == v.items[0].n;
    if (rows && c->csv) print_csv(&v, c->to);
    else if (rows) print_table(p->mem, &v, c->to);
    else {
        put_bytes(text, c->to);
        if (text.n && text.p[text.n - 1] != '\n') fputc('\n', c->to);
    }
}

/* What it wrote, and what RETURNING gave. */
static err print_written(struct project *p, str text, struct diag *d) {
    const struct node_db_config *c = p->c;
    struct query_json v;
    struct pg_error error = {0};
    bool whole = query_json_read(p->mem, text, &v, &error) && v.kind == JSON_KIND_OBJECT && v.n == 2 &&
                 v.members[1].v.kind == JSON_KIND_F64;
    if (!whole) return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "the node answered something else");
    const struct query_json *rows = &v.members[0].v;
    str n = v.members[1].v.raw;
    if (c->json) {
        print_rows(p, text);
    } else {
        if (rows->kind == JSON_KIND_ARRAY) print_rows(p, rows->raw);
        fflush(c->to);
        fprintf(stderr, "(" STR_FMT " row%s written)\n", STR_ARG(n), str_eqc(n, "1") ? "" : "s");
    }
    return ERR_OK;
}

/* That it would not be one that reads is said before anybody is asked, by its first word. */
static err must_read(str sql, struct diag *d) {
    static const char *const words[] = {"insert", "update", "delete", "merge", "truncate", "call"};
    size_t n = 0;
    while (n < sql.n && (sql.p[n] | 32) >= 'a' && (sql.p[n] | 32) <= 'z') n++;
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (str_eq_nocase(str_sub(sql, 0, n), str_c(words[i])))
            return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "%s writes, and a query only reads: --write lets it", words[i]);
    return ERR_OK;
}

/* SQL is the owner's unless it is said whose. */
err node_db_query(const struct node_db_config *c, struct diag *d) {
    struct project p;
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    struct answer answer;
    str text;
    TRY(read_query(c, &text, d));
    bool sql = text.p[0] != '{';
    if (sql && !c->writes) TRY(must_read(text, d));
    TRY(open_project(&p, c, NULL, d));
    json_put_object(&w, NULL);
    put_who(c, &w);
    json_put_str(&w, sql ? "sql" : "query", text);
    if (sql && !c->as) json_put_bool(&w, "owner", true);
    if (sql && c->writes) json_put_bool(&w, "write", true);
    json_put_end(&w);
    err e = ask_node(&p, "POST", "/query", &w, &answer, d);
    if (e == ERR_OK && sql && c->writes) e = print_written(&p, answer.text, d);
    else if (e == ERR_OK) print_rows(&p, answer.text);
    buf_free(&b);
    node_ask_close(p.a);
    return e;
}

err node_db_explain(const struct node_db_config *c, struct diag *d) {
    struct project p;
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    TRY(open_project(&p, c, NULL, d));
    json_put_object(&w, NULL);
    put_who(c, &w);
    json_put_cstr(&w, "table", c->operand);
    if (c->command) json_put_cstr(&w, "command", c->command);
    json_put_end(&w);
    err e = ask_as(&p, "/explain-policy", &w, d);
    buf_free(&b);
    node_ask_close(p.a);
    return e;
}
