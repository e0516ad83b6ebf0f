/* project: what orlo dev knows of a project's manifest, and what a change in its folder asks for. */
#include "manifest/manifest.h"
#include "node/dev/dev.h"

static bool below(str folder, str path) {
    while (folder.n && folder.p[folder.n - 1] == '/') folder.n--;
    if (str_eqc(folder, ".") || !folder.n) return true;
    return path.n > folder.n && path.p[folder.n] == '/' && str_eq(str_sub(path, 0, folder.n), folder);
}

/* Where a function says nothing of what it is made of: all that no build makes. */
static bool may_be_source(const struct node_dev_project *p, str path) {
    if (str_ends(path, STR(".wasm")) || str_ends(path, STR("~")) || str_ends(path, STR(".log"))) return false;
    for (uint32_t i = 0; i < p->folders.n; i++)
        if (below(p->folders.p[i], path)) return false;
    return true;
}

static bool made_of(const struct node_dev_project *p, const struct node_dev_function *f, str path) {
    for (uint32_t i = 0; i < f->watch.n; i++)
        if (node_dev_glob(f->watch.p[i], path)) return true;
    return !f->watch.n && may_be_source(p, path);
}

enum node_dev_due node_dev_due(const struct node_dev_project *p, str path, uint64_t *functions) {
    enum node_dev_due due = NODE_DEV_NOTHING;
    *functions = 0;
    if (str_eq(path, p->manifest)) return NODE_DEV_READ;
    for (uint32_t i = 0; i < p->functions.n; i++) {
        const struct node_dev_function *f = &p->functions.p[i];
        if (str_eq(f->source, path)) due = MAX(due, NODE_DEV_DEPLOY);
        else if (f->command && made_of(p, f, path)) due = NODE_DEV_BUILD, *functions |= i < 64 ? 1ull << i : 0;
    }
    for (uint32_t i = 0; i < p->folders.n; i++)
        if (below(p->folders.p[i], path)) due = MAX(due, NODE_DEV_DEPLOY);
    for (uint32_t i = 0; i < p->mails.n; i++)
        if (str_eq(p->mails.p[i], path)) due = MAX(due, NODE_DEV_DEPLOY);
    bool sql = str_ends(path, STR(".sql"));
    if (sql && p->migrations.n && below(p->migrations, path)) due = MAX(due, NODE_DEV_DEPLOY);
    for (uint32_t i = 0; i < p->seeds.n; i++)
        if (sql && node_dev_glob(p->seeds.p[i], path)) due = MAX(due, NODE_DEV_SEEDS);
    return due;
}

/* ---- of the manifest ---- */

/* "web" and "src/a.ts" are "web/src/a.ts" below the project's folder. */
static str joined(arena *out, str folder, str path) {
    while (folder.n && folder.p[folder.n - 1] == '/') folder.n--;
    if (!folder.n || str_eqc(folder, ".")) return arena_str(out, path);
    return arena_fmt(out, STR_FMT "/" STR_FMT, STR_ARG(folder), STR_ARG(path));
}

static const struct manifest_build *build_of(const struct manifest *m, str function) {
    for (uint32_t i = 0; i < m->builds.n; i++)
        if (str_eq(m->builds.p[i].function, function)) return &m->builds.p[i];
    return NULL;
}

static void add_function(struct node_dev_project *p, str name, str source, const struct manifest_build *build) {
    struct node_dev_function f = {.name = arena_str(p->mem, name.n ? name : STR("app")), .source = arena_str(p->mem, source)};
    if (build) f.command = arena_cstr(p->mem, build->command);
    if (build && build->dir.n) f.folder = arena_cstr(p->mem, build->dir);
    for (uint32_t i = 0; build && i < build->watch.n; i++)
        vec_push(p->mem, &f.watch, joined(p->mem, build->dir, build->watch.p[i]));
    vec_push(p->mem, &p->functions, f);
}

static str target_text(arena *out, const struct app_record *r, const struct app_route *route) {
    switch (route->to) {
    case APP_TO_FILES: return arena_fmt(out, "files of " STR_FMT "/", STR_ARG(r->files.p[route->index].folder));
    case APP_TO_REDIRECT: return arena_fmt(out, "→ " STR_FMT, STR_ARG(r->redirects.p[route->index].to));
    default: return arena_str(out, r->functions.p[route->index].name);
    }
}

static void take(struct node_dev_project *p, const struct manifest *m) {
    const struct app_record *r = &m->record;
    const struct manifest_build *whole = build_of(m, (str){0});
    p->has_database = r->database.engine;
    if (p->has_database) p->migrations = arena_str(p->mem, m->database.migrations);
    for (uint32_t i = 0; i < m->database.seeds.n; i++) vec_push(p->mem, &p->seeds, arena_str(p->mem, m->database.seeds.p[i]));
    p->name = arena_str(p->mem, r->name);
    if (whole) add_function(p, (str){0}, (str){0}, whole); /* the app's own comes first */
    for (uint32_t i = 0; i < r->functions.n; i++)
        add_function(p, r->functions.p[i].name, r->functions.p[i].source, build_of(m, r->functions.p[i].name));
    for (uint32_t i = 0; i < r->auth.templates.n; i++) {
        const str paths[] = {r->auth.templates.p[i].html_path, r->auth.templates.p[i].text_path};
        for (size_t k = 0; k < ARRAY_COUNT(paths); k++)
            if (paths[k].n) vec_push(p->mem, &p->mails, arena_str(p->mem, paths[k]));
    }
    for (uint32_t i = 0; i < r->files.n; i++) vec_push(p->mem, &p->folders, arena_str(p->mem, r->files.p[i].folder));
    for (uint32_t i = 0; i < r->routes.n; i++) {
        const struct app_route *route = &r->routes.p[i];
        if (route->internal) continue;
        struct node_dev_line line = {arena_str(p->mem, route->path), target_text(p->mem, r, route)};
        vec_push(p->mem, &p->routes, line);
    }
}

err node_dev_project_read(const char *dir, struct node_dev_project *p, struct buf *said, struct diag *d) {
    struct node_dev_project fresh = {.mem = arena_new(0)};
    struct manifest m;
    const char *file = NULL;
    err e = node_manifest(fresh.mem, dir, (str){0}, &m, &file, d);
    for (uint32_t i = 0; e == ERR_OK && i < m.notes.n; i++) {
        str text = manifest_note_text(fresh.mem, file, &m.notes.p[i]);
        buf_printf(said, STR_FMT "\n", STR_ARG(text));
    }
    if (e == ERR_OK && m.errors) e = diag_set(d, ERR_INVALID, DIAG_NOWHERE, "%s says what cannot be, see above", file);
    if (e != ERR_OK) {
        arena_free(fresh.mem);
        return e;
    }
    size_t n = strlen(dir);
    while (n && dir[n - 1] == '/') n--;
    bool inside = n && !strncmp(file, dir, n) && file[n] == '/';
    fresh.manifest = arena_str(fresh.mem, str_c(inside ? file + n + 1 : file));
    take(&fresh, &m);
    *p = fresh;
    return ERR_OK;
}

void node_dev_project_free(struct node_dev_project *p) {
    if (p->mem) arena_free(p->mem);
    *p = (struct node_dev_project){0};
}
