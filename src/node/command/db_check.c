/* db_check: what an app's migrations would be refused for, on either engine, before anybody deploys them: a job reads them on top of an empty
 * database, and lints what comes out. No node is asked. */
#include "base/json.h"
#include "node/command/bundle.h"
#include "node/command/db.h"
#include "node/node_int.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct checking {
    arena *mem;
    const struct node_db_config *config;
    const char *folder; /* of the migrations */
    struct migration_ask ask;
    struct migration_plan plan;
};

/* ---- the files ---- */

static err read_one(struct checking *k, const char *path, str name, bool seed, struct diag *d) {
    struct migration_file f = {.name = name, .seed = seed};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return diag_set(d, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, DIAG_NOWHERE, "%s: %s", path, strerror(errno));
    err e = node_fd_bytes(k->mem, fd, MIGRATION_SQL_BYTES_MAX, &f.text, d);
    close(fd);
    if (e == ERR_OK) vec_push(k->mem, &k->ask.files, f);
    else diag_prefix(d, "%s: ", path);
    return e;
}

static int is_sql(const struct dirent *entry) {
    str name = str_c(entry->d_name);
    return name.n > 4 && name.n <= MIGRATION_NAME_MAX && name.p[0] != '.' && str_ends(name, STR(".sql"));
}

static err read_folder(struct checking *k, struct diag *d) {
    struct dirent **entries;
    int n = scandir(k->folder, &entries, is_sql, alphasort);
    err e = n < 0 ? diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", k->folder, strerror(errno)) : ERR_OK;
    for (int i = 0; i < n; i++) {
        str name = arena_str(k->mem, str_c(entries[i]->d_name));
        if (e == ERR_OK)
            e = read_one(k, arena_cstr(k->mem, arena_fmt(k->mem, "%s/" STR_FMT, k->folder, STR_ARG(name))), name, false, d);
        free(entries[i]);
    }
    if (n >= 0) free(entries);
    if (e == ERR_OK && !k->ask.files.n)
        return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "%s holds no migrations: files whose names end in .sql", k->folder);
    return e;
}

static bool is_folder(const char *path) {
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

err node_db_ask_of(arena *mem, const struct manifest *m, str folder, struct migration_ask *ask, struct diag *d) {
    struct bundle files;
    uint64_t bytes = 0;
    ask->engine = (uint8_t)m->record.database.engine;
    TRY(node_bundle_of_sql(mem, m, folder, true, &files, d));
    for (uint32_t i = 0; i < files.files.n; i++) {
        const struct bundle_file *f = &files.files.p[i];
        size_t slash = f->path.n;
        while (!f->is_seed && slash && f->path.p[slash - 1] != '/') slash--;
        struct migration_file file = {.name = f->is_seed ? f->path : str_sub(f->path, slash, f->path.n), .seed = f->is_seed};
        int fd = node_bundle_open(f);
        err e = fd < 0 ? diag_set(d, ERR_IO, DIAG_NOWHERE, STR_FMT ": %s", STR_ARG(f->disk), strerror(errno))
                       : node_fd_bytes(mem, fd, MIGRATION_SQL_BYTES_MAX - bytes, &file.text, d);
        if (fd >= 0) close(fd);
        TRY(e);
        bytes += file.text.n;
        vec_push(mem, &ask->files, file);
    }
    return ERR_OK;
}

static str file_of(const char *file) { return file ? str_c(file) : STR("the manifest"); }

/* As its manifest has it: which folder, which seeds, and what it is to run on. false in *is: there is none that says so. One that is refused is no reason to
 * look at other files than a deployment would. */
static err find_by_manifest(struct checking *k, const char *dir, bool *is, struct diag *d) {
    struct manifest m;
    struct migration_ask ask = {0};
    const char *file = NULL;
    struct diag why = DIAG_INIT;
    *is = false;
    err e = node_manifest(k->mem, dir, (str){0}, &m, &file, &why);
    if (e == ERR_NOT_FOUND || (e != ERR_OK && !file)) return ERR_OK;
    bool supabase = file && str_ends(str_c(file), STR("config.toml")); /* whose folders are where they always are */
    if (e != ERR_OK) return supabase ? ERR_OK : diag_set(d, e, DIAG_NOWHERE, STR_FMT ": %s", STR_ARG(file_of(file)), why.text);
    for (uint32_t i = 0; i < m.notes.n; i++)
        if (m.notes.p[i].is_error && supabase) return ERR_OK;
        else if (m.notes.p[i].is_error)
            return diag_set(d, ERR_INVALID, DIAG_NOWHERE, STR_FMT ": " STR_FMT "%s" STR_FMT " (orlo check)",
                            STR_ARG(file_of(file)), STR_ARG(m.notes.p[i].key), m.notes.p[i].key.n ? ": " : "",
                            STR_ARG(m.notes.p[i].text));
    if (!m.database.migrations.n) return ERR_OK;
    TRY(node_db_ask_of(k->mem, &m, str_c(dir), &ask, d));
    if (!ask.files.n || ask.files.p[0].seed) return ERR_OK;
    *is = true;
    k->ask.files.p = ask.files.p, k->ask.files.n = ask.files.n, k->ask.files.cap = ask.files.cap;
    if (ask.engine && !k->config->engine) k->ask.engine = ask.engine;
    k->folder = arena_cstr(k->mem, arena_fmt(k->mem, "%s/" STR_FMT, dir, STR_ARG(m.database.migrations)));
    return ERR_OK;
}

/* A Supabase project, a project of Orlo's, or the folder of migrations itself; the seed of a project comes last. */
static err find_files(struct checking *k, struct diag *d) {
    static const char *const below[][2] = {
        {"/supabase/migrations", "/supabase/seed.sql"}, {"/migrations", "/seed.sql"}, {"", NULL}};
    const char *dir = k->config->operand ? k->config->operand : ".", *seed = NULL;
    bool is;
    TRY(find_by_manifest(k, dir, &is, d));
    if (is) return ERR_OK;
    for (size_t i = 0; i < ARRAY_COUNT(below) && !k->folder; i++) {
        const char *path = arena_cstr(k->mem, arena_fmt(k->mem, "%s%s", dir, below[i][0]));
        if (is_folder(path))
            k->folder = path, seed = below[i][1] ? arena_cstr(k->mem, arena_fmt(k->mem, "%s%s", dir, below[i][1])) : NULL;
    }
    if (!k->folder) return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "%s is no folder", dir);
    TRY(read_folder(k, d));
    return seed && !access(seed, R_OK) ? read_one(k, seed, STR("seed.sql"), true, d) : ERR_OK;
}

/* ---- what is said ---- */

static const char *engine_word(const struct checking *k) {
    return k->ask.engine == APP_DATABASE_SQLITE ? "SQLite" : "PostgreSQL";
}

static uint32_t notes_of(const struct checking *k, enum migration_note_kind kind) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < k->plan.notes.n; i++) n += k->plan.notes.p[i].kind == kind;
    return n;
}
static uint32_t judged(const struct checking *k, enum migration_verdict verdict) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < k->plan.statements.n; i++) n += k->plan.statements.p[i].verdict == verdict;
    return n;
}

/* Which engine the project needs. */
enum needs { NEEDS_NOTHING /* SQLite runs all of it */, NEEDS_LENIENCE, NEEDS_POSTGRES, NEEDS_MENDING };
static const char *const needs_words[] = {"sqlite", "sqlite-but-for", "postgres", "mending"};

/* A refusal that PostgreSQL would not share has these states; what it says itself of all others is a mistake on both. */
static bool is_for_sqlite(const struct migration_note *n) {
    return n->kind == MIGRATION_NOTE_POSTGRES || str_eqc(n->code, "0A000") || str_eqc(n->code, "54001");
}

static enum needs needs_of(const struct checking *k) {
    bool lacks = false;
    for (uint32_t i = 0; i < k->plan.notes.n; i++) {
        const struct migration_note *n = &k->plan.notes.p[i];
        if (n->is_error && !is_for_sqlite(n)) return NEEDS_MENDING;
        lacks |= is_for_sqlite(n) && (n->is_error || n->kind == MIGRATION_NOTE_POSTGRES);
    }
    return lacks ? NEEDS_POSTGRES : notes_of(k, MIGRATION_NOTE_LATER) ? NEEDS_LENIENCE : NEEDS_NOTHING;
}

static void print_note(const struct checking *k, const struct migration_note *n, FILE *to) {
    if (n->file.n) fprintf(to, "%s/" STR_FMT, k->folder, STR_ARG(n->file));
    else fputs(k->folder, to);
    if (n->line) fprintf(to, ":%u:%u", n->line, n->column);
    fprintf(to, ": %s: " STR_FMT ": " STR_FMT "\n", node_migration_note_word(n->kind), STR_ARG(n->code), STR_ARG(n->text));
}

static void print_statement(const struct checking *k, const struct migration_statement *s, FILE *to) {
    fprintf(to, "%s/" STR_FMT ":%u: %s: " STR_FMT "%s" STR_FMT "\n", k->folder, STR_ARG(s->file), s->line,
            node_migration_verdict_word(s->verdict), STR_ARG(s->what), s->why.n ? ": " : "", STR_ARG(s->why));
}

static void print_engine(const struct checking *k, FILE *to) {
    uint32_t later = notes_of(k, MIGRATION_NOTE_LATER);
    switch (needs_of(k)) {
    case NEEDS_NOTHING: fputs("SQLite runs all of it, and PostgreSQL.\n", to); return;
    case NEEDS_LENIENCE:
        fprintf(to, "SQLite runs it but for %u thing%s that raise%s 0A000 when %s run; database = \"postgres\" runs all of it.\n",
                later, later == 1 ? "" : "s", later == 1 ? "s" : "", later == 1 ? "it is" : "they are");
        return;
    case NEEDS_POSTGRES: fputs("It needs database = \"postgres\".\n", to); return;
    case NEEDS_MENDING: fputs("It has mistakes on either engine.\n", to); return;
    }
}

/* What is least grave first, so that what has to be done stands at the end. */
static void print_text(const struct checking *k, FILE *to) {
    static const uint8_t order[] = {MIGRATION_NOTE_LINT,     MIGRATION_NOTE_REMARK,   MIGRATION_NOTE_IGNORED,
                                    MIGRATION_NOTE_RECORDED, MIGRATION_NOTE_POSTGRES, MIGRATION_NOTE_LATER,
                                    MIGRATION_NOTE_ERROR};
    for (uint32_t i = 0; i < k->plan.statements.n && k->config->all; i++) print_statement(k, &k->plan.statements.p[i], to);
    for (size_t o = 0; o < ARRAY_COUNT(order); o++)
        for (uint32_t i = 0; i < k->plan.notes.n; i++) {
            const struct migration_note *n = &k->plan.notes.p[i];
            if (n->kind == order[o] && (n->kind != MIGRATION_NOTE_LINT || !k->config->no_lint)) print_note(k, n, to);
        }
    fprintf(to, "%s: %u statement%s in %u file%s for %s: ", k->folder, k->plan.statements.n, k->plan.statements.n == 1 ? "" : "s",
            k->ask.files.n, k->ask.files.n == 1 ? "" : "s", engine_word(k));
    for (unsigned v = 0; v < MIGRATION_VERDICTS_COUNT; v++)
        if (judged(k, v) || !v)
            fprintf(to, "%s%u %s", v ? ", " : "", judged(k, v), v ? node_migration_verdict_word((uint8_t)v) : "run");
    uint32_t remarks = notes_of(k, MIGRATION_NOTE_REMARK), lints = notes_of(k, MIGRATION_NOTE_LINT);
    fprintf(to, "; %u error%s, %u remark%s, %u lint%s\n", k->plan.errors, k->plan.errors == 1 ? "" : "s", remarks,
            remarks == 1 ? "" : "s", lints, lints == 1 ? "" : "s");
    print_engine(k, to);
}

static void put_statements(const struct checking *k, struct json_writer *w) {
    json_put_object(w, "verdicts");
    for (unsigned v = 0; v < MIGRATION_VERDICTS_COUNT; v++)
        json_put_u64(w, node_migration_verdict_word((uint8_t)v), judged(k, v));
    json_put_end(w);
    json_put_array(w, "statements");
    for (uint32_t i = 0; i < k->plan.statements.n; i++) {
        const struct migration_statement *s = &k->plan.statements.p[i];
        json_put_object(w, NULL);
        json_put_str(w, "file", s->file);
        json_put_u64(w, "line", s->line);
        json_put_str(w, "statement", s->what);
        json_put_cstr(w, "verdict", node_migration_verdict_word(s->verdict));
        if (s->why.n) json_put_str(w, "why", s->why);
        json_put_end(w);
    }
    json_put_end(w);
}

static void print_json(const struct checking *k, FILE *to) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    json_put_object(&w, NULL);
    json_put_cstr(&w, "folder", k->folder);
    json_put_cstr(&w, "engine", k->ask.engine == APP_DATABASE_SQLITE ? "sqlite" : "postgres");
    json_put_bool(&w, "ok", !k->plan.errors);
    json_put_cstr(&w, "needs", needs_words[needs_of(k)]);
    json_put_u64(&w, "files", k->ask.files.n);
    json_put_array(&w, "problems");
    for (uint32_t i = 0; i < k->plan.notes.n; i++) {
        const struct migration_note *n = &k->plan.notes.p[i];
        json_put_object(&w, NULL);
        json_put_cstr(&w, "kind", node_migration_note_word(n->kind));
        json_put_str(&w, "file", n->file);
        json_put_u64(&w, "line", n->line);
        json_put_u64(&w, "column", n->column);
        json_put_str(&w, "code", n->code);
        json_put_str(&w, "text", n->text);
        json_put_end(&w);
    }
    json_put_end(&w);
    put_statements(k, &w);
    json_put_end(&w);
    fprintf(to, STR_FMT "\n", STR_ARG(buf_str(&b)));
    buf_free(&b);
}

static err check(struct checking *k, struct diag *d) {
    TRY(find_files(k, d));
    k->ask.lint = true, k->ask.strict = k->config->strict;
    TRY(node_migrate(k->mem, &k->ask, &k->plan, d));
    if (k->config->json) print_json(k, k->config->to);
    else print_text(k, k->config->to);
    return ERR_OK;
}

err node_db_check(const struct node_db_config *c, uint32_t *errors, struct diag *d) {
    struct checking k = {.mem = arena_new(0), .config = c, .ask.engine = APP_DATABASE_SQLITE};
    err e = ERR_OK;
    if (c->engine && !strcmp(c->engine, "postgres")) k.ask.engine = APP_DATABASE_POSTGRES;
    else if (c->engine && strcmp(c->engine, "sqlite") != 0)
        e = diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--engine is sqlite or postgres, not '%s'", c->engine);
    if (e == ERR_OK) e = check(&k, d);
    *errors = k.plan.errors;
    arena_free(k.mem);
    return e;
}

err node_db_strict(arena *mem, const struct manifest *m, str folder, struct diag *d) {
    struct migration_ask ask = {.strict = true};
    struct migration_plan plan = {0};
    if (!m->database.migrations.n || m->record.database.engine != APP_DATABASE_SQLITE) return ERR_OK;
    TRY(node_db_ask_of(mem, m, folder, &ask, d));
    uint32_t files = 0;
    for (uint32_t i = 0; i < ask.files.n; i++)
        if (!ask.files.p[i].seed) ask.files.p[files++] = ask.files.p[i];
    ask.files.n = files;
    if (files) TRY(node_migrate(mem, &ask, &plan, d));
    for (uint32_t i = 0; i < plan.notes.n; i++) {
        const struct migration_note *n = &plan.notes.p[i];
        if (n->is_error)
            fprintf(stderr, STR_FMT "/" STR_FMT ":%u:%u: error: " STR_FMT ": " STR_FMT "\n", STR_ARG(m->database.migrations),
                    STR_ARG(n->file), n->line, n->column, STR_ARG(n->code), STR_ARG(n->text));
    }
    if (!plan.errors) return ERR_OK;
    return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "--strict: the migrations have %u thing%s that SQLite would not run",
                    plan.errors, plan.errors == 1 ? "" : "s");
}
